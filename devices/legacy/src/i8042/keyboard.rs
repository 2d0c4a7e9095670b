//! The PS/2 keyboard: host commands, scan codes, and a bounded queue of key events.

use std::collections::VecDeque;

use caraway_base::state::StateError;
use caraway_ports::input::{Leds, Scancode};
use serde::{Deserialize, Serialize};

use super::{
    keys::KeySet,
    scancodes::{
        ALT_KEYS, CTRL_KEYS, PRINT_SCREEN_KEY, PrintScreen, SHIFT_KEYS, key_bytes, key_number, pause_bytes,
        print_screen_bytes, to_set1,
    },
    wire::{ACK, BAT_PASSED, Byte, RESEND, invalid},
};

/// Bytes of key events that wait at most; presses beyond are dropped, releases of keys the guest knows to be down are
/// not.
pub(super) const CAPACITY: usize = 4096;
/// Longest sequence of one event (Pause).
const LONGEST: usize = 8;

const POWER_ON_TYPEMATIC: u8 = 0x2b;
const ID: [u8; 2] = [0xab, 0x83];

/// The next byte belongs to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Expecting {
    /// LED bits.
    Leds,
    /// Scan code set.
    Set,
    /// Repeat rate and delay.
    Typematic,
    /// Key codes of a set 3 command, until a command comes.
    Keys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Action {
    Press,
    /// Another press of a key that is down, or a key that is never down.
    Repeat,
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KeyEvent {
    /// Key number; 0 for Pause.
    key: u8,
    action: Action,
    /// What is left to send.
    bytes: VecDeque<u8>,
}

/// All of the keyboard; also its saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keyboard {
    scanning: bool,
    set: u8,
    leds: u8,
    typematic: u8,
    expecting: Option<Expecting>,
    /// Answers to commands; they go before events.
    answers: VecDeque<u8>,
    /// The first may have been sent in part.
    queue: VecDeque<KeyEvent>,
    /// Keys that are down once the guest has read the queue.
    down: KeySet,
    /// Keys let go while scanning was off; told when it is on again.
    let_go: KeySet,
    print_screen: PrintScreen,
    last: u8,
}

impl Default for Keyboard {
    /// Power-on. Unlike a real keyboard it does not scan until the guest says so, so that nothing typed while a
    /// machine starts gets in the way of drivers that look for a controller.
    fn default() -> Self {
        Self {
            scanning: false,
            set: 2,
            leds: 0,
            typematic: POWER_ON_TYPEMATIC,
            expecting: None,
            answers: VecDeque::new(),
            queue: VecDeque::new(),
            down: KeySet::default(),
            let_go: KeySet::default(),
            print_screen: PrintScreen::default(),
            last: 0,
        }
    }
}

impl Keyboard {
    /// A key goes down or up.
    pub(super) fn key(&mut self, code: Scancode, down: bool) {
        let Some(key) = key_number(code) else {
            if code == Scancode::Pause && down && self.scanning {
                let with_ctrl = self.down.any(&CTRL_KEYS);
                self.push(0, Action::Repeat, pause_bytes(with_ctrl));
            }
            return;
        };
        if !self.scanning {
            if !down && self.down.remove(key) {
                self.let_go.insert(key);
            }
            return;
        }
        if down {
            self.press(key);
        } else if self.down.contains(key) {
            self.release(key);
        }
    }

    fn press(&mut self, key: u8) {
        if self.down.contains(key) {
            // A repetition the guest is too slow for says nothing new.
            if self.queue.back().is_none_or(|event| event.key != key) {
                let bytes = match (key, self.print_screen) {
                    (PRINT_SCREEN_KEY, PrintScreen::Alone) => print_screen_bytes(PrintScreen::Modified, true),
                    (PRINT_SCREEN_KEY, form) => print_screen_bytes(form, true),
                    _ => key_bytes(key, true),
                };
                self.push(key, Action::Repeat, bytes);
            }
            return;
        }
        let bytes = if key == PRINT_SCREEN_KEY {
            self.print_screen = self.print_screen_form();
            print_screen_bytes(self.print_screen, true)
        } else {
            key_bytes(key, true)
        };
        if self.push(key, Action::Press, bytes) {
            self.down.insert(key);
        }
    }

    fn release(&mut self, key: u8) {
        let bytes = if key == PRINT_SCREEN_KEY {
            print_screen_bytes(self.print_screen, false)
        } else {
            key_bytes(key, false)
        };
        self.down.remove(key);
        self.push(key, Action::Release, bytes);
    }

    fn print_screen_form(&self) -> PrintScreen {
        if self.down.any(&ALT_KEYS) {
            PrintScreen::SysRq
        } else if self.down.any(&CTRL_KEYS) || self.down.any(&SHIFT_KEYS) {
            PrintScreen::Modified
        } else {
            PrintScreen::Alone
        }
    }

    /// Queues an event; all but releases only while there is room. There is at most one release for each press.
    fn push(&mut self, key: u8, action: Action, bytes: Vec<u8>) -> bool {
        let bytes = if self.set == 1 { to_set1(&bytes) } else { bytes };
        if action != Action::Release && self.queued_bytes() + bytes.len() > CAPACITY {
            return false;
        }
        let bytes = bytes.into();
        self.queue.push_back(KeyEvent { key, action, bytes });
        true
    }

    fn queued_bytes(&self) -> usize {
        self.queue.iter().map(|event| event.bytes.len()).sum()
    }

    /// Drops events: what remains of them are the releases of keys that had gone down before.
    fn without_presses(&mut self, events: VecDeque<KeyEvent>) -> VecDeque<KeyEvent> {
        let mut dropped = KeySet::default();
        let mut releases: VecDeque<KeyEvent> = VecDeque::new();
        for event in events {
            match event.action {
                Action::Repeat => {}
                Action::Press => {
                    let before = releases.len();
                    releases.retain(|release| release.key != event.key);
                    if releases.len() == before {
                        dropped.insert(event.key);
                    }
                }
                Action::Release if dropped.remove(event.key) => {}
                Action::Release => releases.push_back(event),
            }
        }
        self.down.subtract(&dropped);
        releases
    }

    /// Events the guest has not read to the end, the byte in the controller's buffer aside.
    pub(super) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// The lights.
    pub(super) fn leds(&self) -> Leds {
        Leds {
            scroll: self.leds & 1 != 0,
            num: self.leds & 2 != 0,
            caps: self.leds & 4 != 0,
        }
    }

    /// The next byte on the wire.
    pub(super) fn next(&mut self) -> Option<Byte> {
        if let Some(value) = self.answers.pop_front() {
            if value != RESEND {
                self.last = value;
            }
            return Some(Byte { value, event: false });
        }
        let event = self.queue.front_mut()?;
        let value = event.bytes.pop_front()?;
        if event.bytes.is_empty() {
            self.queue.pop_front();
        }
        self.last = value;
        Some(Byte { value, event: true })
    }

    /// The host sends a byte.
    pub(super) fn command(&mut self, byte: u8) {
        // A command interrupts whatever the keyboard still had to answer.
        self.answers.clear();
        match self.expecting.take() {
            Some(expecting) if byte < 0xed => self.parameter(expecting, byte),
            _ => self.start(byte),
        }
    }

    fn parameter(&mut self, expecting: Expecting, byte: u8) {
        let accepted = match expecting {
            Expecting::Leds => {
                self.leds = byte & 7;
                true
            }
            Expecting::Typematic => {
                self.typematic = byte & 0x7f;
                byte < 0x80
            }
            Expecting::Keys => {
                self.expecting = Some(Expecting::Keys);
                true
            }
            Expecting::Set => match byte {
                0 => true,
                1 | 2 => {
                    self.set = byte;
                    self.forget_events();
                    true
                }
                _ => false,
            },
        };
        self.answers.push_back(if accepted { ACK } else { RESEND });
        if expecting == Expecting::Set && byte == 0 {
            self.answers.push_back(self.set);
        }
    }

    fn start(&mut self, byte: u8) {
        let mut answers = vec![ACK];
        match byte {
            0xed => self.expecting = Some(Expecting::Leds),
            0xee => answers = vec![0xee],
            0xf0 => self.expecting = Some(Expecting::Set),
            0xf2 => answers.extend(ID),
            0xf3 => self.expecting = Some(Expecting::Typematic),
            0xf4 => {
                self.scanning = true;
                self.tell_let_go();
            }
            0xf5 => {
                self.scanning = false;
                self.set_defaults();
            }
            0xf6 => self.set_defaults(),
            // Modes of keys in set 3: taken and without effect in the others.
            0xf7..=0xfa => {}
            0xfb..=0xfd => self.expecting = Some(Expecting::Keys),
            0xfe => answers = vec![self.last],
            0xff => {
                *self = Self {
                    scanning: true,
                    ..Self::default()
                };
                answers.push(BAT_PASSED);
            }
            _ => answers = vec![RESEND],
        }
        self.answers.extend(answers);
    }

    fn set_defaults(&mut self) {
        self.set = 2;
        self.typematic = POWER_ON_TYPEMATIC;
        self.forget_events();
    }

    /// Clears the buffer. Keys the guest believes to be down and that are up by now stay to be told.
    fn forget_events(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        for release in self.without_presses(queue) {
            self.let_go.insert(release.key);
        }
        if self.scanning {
            self.tell_let_go();
        }
    }

    fn tell_let_go(&mut self) {
        for key in std::mem::take(&mut self.let_go).iter() {
            self.release(key);
        }
    }

    /// Refuses what cannot be in a saved state.
    pub(super) fn check(&self) -> Result<(), StateError> {
        if !matches!(self.set, 1 | 2) {
            return Err(invalid("scan code set", self.set));
        }
        let bad = |event: &KeyEvent| event.bytes.is_empty() || event.bytes.len() > LONGEST;
        // Releases may go beyond the capacity, by one for each key.
        if self.queued_bytes() > CAPACITY + 256 * LONGEST || self.queue.iter().any(bad) {
            return Err(invalid("key queue", self.queue.len()));
        }
        if self.answers.len() > LONGEST {
            return Err(invalid("keyboard answers", self.answers.len()));
        }
        Ok(())
    }
}
