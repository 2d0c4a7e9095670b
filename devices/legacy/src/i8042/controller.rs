//! The i8042 itself: config byte, commands, and one output buffer that two devices share.

use std::collections::VecDeque;

use caraway_base::{bus::Outcome, state::StateError};
use serde::{Deserialize, Serialize};

use super::{
    keyboard::Keyboard,
    mouse::Mouse,
    scancodes::{BREAK, translate},
    wire::{Byte, invalid},
};

#[cfg(test)]
pub(super) mod broken;

/// Status register bits.
mod status {
    pub(super) const OUTPUT_FULL: u8 = 1 << 0;
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const COMMAND: u8 = 1 << 3;
    pub(super) const UNLOCKED: u8 = 1 << 4;
    pub(super) const AUX: u8 = 1 << 5;
}

/// Config byte bits.
mod config {
    pub(super) const KEYBOARD_INTERRUPT: u8 = 1 << 0;
    pub(super) const MOUSE_INTERRUPT: u8 = 1 << 1;
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const KEYBOARD_OFF: u8 = 1 << 4;
    pub(super) const MOUSE_OFF: u8 = 1 << 5;
    pub(super) const TRANSLATE: u8 = 1 << 6;
}

/// Output port bits.
mod output_port {
    pub(super) const NOT_RESET: u8 = 1 << 0;
    pub(super) const A20: u8 = 1 << 1;
    pub(super) const KEYBOARD_FULL: u8 = 1 << 4;
    pub(super) const MOUSE_FULL: u8 = 1 << 5;
}

/// Answers of the controller's own that wait at most: a command has one.
const ANSWERS: usize = 4;

/// Bytes the guest may read in a row before a look at the status says once that there are no more. A driver that looks
/// for a controller first empties it, and Linux takes one that is not empty after 16 bytes for absent. On a real wire
/// there is a pause after each byte.
const LONGEST_BURST: u8 = 8;

/// Who a byte in the output buffer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    Controller,
    Keyboard,
    Mouse,
    /// The controller pretends it was the mouse.
    Loop,
}

impl Source {
    fn is_aux(self) -> bool {
        matches!(self, Self::Mouse | Self::Loop)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Output {
    byte: Byte,
    source: Source,
}

/// Where the next write to the data port goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DataWrite {
    Keyboard,
    Ram(u8),
    OutputPort,
    LoopKeyboard,
    LoopMouse,
    Mouse,
}

/// Controller and devices; also the saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    pub(super) keyboard: Keyboard,
    pub(super) mouse: Mouse,
    config: u8,
    ram: Vec<u8>,
    a20: bool,
    next_write: DataWrite,
    /// The last write was to the command port.
    commanded: bool,
    answers: VecDeque<(u8, Source)>,
    output: Option<Output>,
    /// Bytes an answer of the controller went ahead of.
    put_back: VecDeque<Output>,
    /// What the data port reads when there is nothing.
    last: u8,
    /// The keyboard sent the break prefix.
    release: bool,
    /// Bytes read since the status last said that there are none, up to [`LONGEST_BURST`].
    burst: u8,
}

/// What a read of the status port gives.
pub(super) struct Status {
    pub(super) bits: u8,
    /// A byte waits that `bits` do not tell of. It needs an edge of the interrupt line of its own.
    pub(super) withheld: bool,
}

impl Default for Controller {
    /// As firmware leaves it: self-tested, translating, keyboard interrupt on, mouse off.
    fn default() -> Self {
        Self {
            keyboard: Keyboard::default(),
            mouse: Mouse::default(),
            config: config::KEYBOARD_INTERRUPT | config::SYSTEM | config::MOUSE_OFF | config::TRANSLATE,
            ram: vec![0; 31],
            a20: true,
            next_write: DataWrite::Keyboard,
            commanded: true,
            answers: VecDeque::new(),
            output: None,
            put_back: VecDeque::new(),
            last: 0,
            release: false,
            burst: 0,
        }
    }
}

impl Controller {
    /// Levels of the keyboard and mouse interrupts.
    pub(super) fn interrupts(&self) -> (bool, bool) {
        let Some(output) = self.output else {
            return (false, false);
        };
        let aux = output.source.is_aux();
        (
            !aux && self.config & config::KEYBOARD_INTERRUPT != 0,
            aux && self.config & config::MOUSE_INTERRUPT != 0,
        )
    }

    /// Events the guest has not read.
    pub(super) fn pending(&self) -> usize {
        let buffered = self.output.iter().chain(&self.put_back);
        buffered.filter(|output| output.byte.event).count() + self.keyboard.pending() + self.mouse.pending()
    }

    /// The guest reads the status port.
    pub(super) fn read_status(&mut self) -> Status {
        // Answers are never withheld: drivers wait for them.
        let withheld = self.burst >= LONGEST_BURST && self.output.is_some_and(|output| output.byte.event);
        let output = self.output.filter(|_| !withheld);
        if output.is_none() {
            self.burst = 0;
        }
        let mut bits = status::UNLOCKED;
        if self.config & config::SYSTEM != 0 {
            bits |= status::SYSTEM;
        }
        if self.commanded {
            bits |= status::COMMAND;
        }
        if let Some(output) = output {
            bits |= status::OUTPUT_FULL;
            if output.source.is_aux() {
                bits |= status::AUX;
            }
        }
        Status { bits, withheld }
    }

    /// The guest reads the data port. [`Controller::fill`] has to follow.
    pub(super) fn read_data(&mut self) -> u8 {
        if let Some(output) = self.output.take() {
            self.last = output.byte.value;
            self.burst = self.burst.saturating_add(1).min(LONGEST_BURST);
        }
        self.last
    }

    /// Puts the next byte into the output buffer, if it is empty and there is one.
    pub(super) fn fill(&mut self) {
        if !self.answers.is_empty()
            && let Some(output) = self.output
            && matches!(output.source, Source::Keyboard | Source::Mouse)
        {
            // Drivers take the next byte for the answer to their command.
            self.output = None;
            self.put_back.push_back(output);
        }
        if self.output.is_some() {
            return;
        }
        self.output = self.next_answer().or_else(|| self.put_back.pop_front());
        if self.output.is_none() && self.config & config::KEYBOARD_OFF == 0 {
            self.output = self.next_key_byte().map(|byte| Output {
                byte,
                source: Source::Keyboard,
            });
        }
        if self.output.is_none() && self.config & config::MOUSE_OFF == 0 {
            self.output = self.mouse.next().map(|byte| Output {
                byte,
                source: Source::Mouse,
            });
        }
    }

    fn next_answer(&mut self) -> Option<Output> {
        let (value, source) = self.answers.pop_front()?;
        let byte = Byte { value, event: false };
        Some(Output { byte, source })
    }

    fn next_key_byte(&mut self) -> Option<Byte> {
        loop {
            let Byte { value, event } = self.keyboard.next()?;
            if self.config & config::TRANSLATE == 0 {
                self.release = false;
                return Some(Byte { value, event });
            }
            if value == BREAK {
                self.release = true;
                continue;
            }
            // Answers to commands come between: only codes use the prefix up.
            let release = if event && std::mem::take(&mut self.release) {
                0x80
            } else {
                0
            };
            let value = translate(value) | release;
            return Some(Byte { value, event });
        }
    }

    fn answer(&mut self, value: u8, source: Source) {
        if self.answers.len() >= ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back((value, source));
    }

    /// The guest writes the data port.
    pub(super) fn write_data(&mut self, byte: u8) -> Outcome {
        self.commanded = false;
        match std::mem::replace(&mut self.next_write, DataWrite::Keyboard) {
            DataWrite::Keyboard => {
                // Talking to the keyboard switches its port on.
                self.config &= !config::KEYBOARD_OFF;
                self.drop_put_back(Source::Keyboard);
                self.keyboard.command(byte);
            }
            DataWrite::Ram(0) => self.config = byte & 0x7f,
            DataWrite::Ram(at) => {
                if let Some(slot) = self.ram.get_mut(usize::from(at).wrapping_sub(1)) {
                    *slot = byte;
                }
            }
            DataWrite::OutputPort => {
                self.a20 = byte & output_port::A20 != 0;
                if byte & output_port::NOT_RESET == 0 {
                    return Outcome::Reset;
                }
            }
            DataWrite::LoopKeyboard => self.answer(byte, Source::Controller),
            DataWrite::LoopMouse => self.answer(byte, Source::Loop),
            DataWrite::Mouse => {
                self.config &= !config::MOUSE_OFF;
                self.drop_put_back(Source::Mouse);
                self.mouse.command(byte);
            }
        }
        Outcome::Done
    }

    /// A command discards answers to the one before, also those on their way.
    fn drop_put_back(&mut self, source: Source) {
        self.put_back
            .retain(|output| output.byte.event || output.source != source);
    }

    /// The guest writes the command port.
    pub(super) fn command(&mut self, command: u8) -> Outcome {
        self.commanded = true;
        self.next_write = DataWrite::Keyboard;
        let own = Source::Controller;
        match command {
            0x20 => self.answer(self.config, own),
            0x21..=0x3f => {
                let value = self.ram.get(usize::from(command) - 0x21).copied().unwrap_or(0);
                self.answer(value, own);
            }
            0x60..=0x7f => self.next_write = DataWrite::Ram(command - 0x60),
            0xa7 => self.config |= config::MOUSE_OFF,
            0xa8 => self.config &= !config::MOUSE_OFF,
            // Interface tests: no fault.
            0xa9 | 0xab => self.answer(0x00, own),
            0xaa => {
                self.config |= config::SYSTEM;
                self.answer(0x55, own);
            }
            0xad => self.config |= config::KEYBOARD_OFF,
            0xae => self.config &= !config::KEYBOARD_OFF,
            // Input port: keyboard not locked.
            0xc0 => self.answer(0x80, own),
            0xd0 => self.answer(self.output_port(), own),
            0xd1 => self.next_write = DataWrite::OutputPort,
            0xd2 => self.next_write = DataWrite::LoopKeyboard,
            0xd3 => self.next_write = DataWrite::LoopMouse,
            0xd4 => self.next_write = DataWrite::Mouse,
            0xdd => self.a20 = false,
            0xdf => self.a20 = true,
            0xe0 => self.answer(0x00, own),
            // Pulses the low output port bits that are zero; bit 0 is the reset line.
            0xf0..=0xff if command & 1 == 0 => return Outcome::Reset,
            _ => {}
        }
        Outcome::Done
    }

    fn output_port(&self) -> u8 {
        let a20 = if self.a20 { output_port::A20 } else { 0 };
        let full = match self.output {
            Some(output) if output.source.is_aux() => output_port::MOUSE_FULL,
            Some(_) => output_port::KEYBOARD_FULL,
            None => 0,
        };
        output_port::NOT_RESET | a20 | full
    }

    /// Refuses what cannot be in a saved state.
    pub(super) fn check(&self) -> Result<(), StateError> {
        if self.ram.len() != 31 {
            return Err(invalid("controller memory", self.ram.len()));
        }
        if self.answers.len() > ANSWERS || self.put_back.len() > 2 {
            return Err(invalid(
                "controller answers",
                self.answers.len().max(self.put_back.len()),
            ));
        }
        if self.burst > LONGEST_BURST {
            return Err(invalid("controller burst", self.burst));
        }
        self.keyboard.check()?;
        self.mouse.check()
    }
}
