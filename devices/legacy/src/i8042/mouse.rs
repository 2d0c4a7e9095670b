//! The PS/2 mouse: three buttons, IntelliMouse (wheel) and Explorer (five buttons) when the host asks for them.

use std::collections::VecDeque;

use caraway_base::state::StateError;
use caraway_ports::input::Button;
use serde::{Deserialize, Serialize};

use super::wire::{ACK, BAT_PASSED, Byte, RESEND, invalid};

/// Steps that wait at most; what comes then is added to the last one.
pub(super) const CAPACITY: usize = 256;
/// Motion one step can gather. It bounds how many packets a step becomes.
const FARTHEST: i32 = 0x7fff;
/// Wheel steps one step can gather.
const FARTHEST_WHEEL: i32 = 0x200;
const LONGEST_ANSWER: usize = 8;

const DEFAULT_RATE: u8 = 100;
const RATES: [u8; 7] = [10, 20, 40, 60, 80, 100, 200];
const DEFAULT_RESOLUTION: u8 = 2;

/// Button bits of a packet.
const THREE_BUTTONS: u8 = 0b00111;
/// Button bits of an Explorer packet.
const FIVE_BUTTONS: u8 = 0b11111;

/// What the mouse answers to the identify command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Standard,
    /// With a wheel.
    IntelliMouse,
    /// With a wheel and five buttons.
    Explorer,
}

impl Kind {
    fn id(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::IntelliMouse => 3,
            Self::Explorer => 4,
        }
    }

    fn buttons(self) -> u8 {
        if self == Self::Explorer {
            FIVE_BUTTONS
        } else {
            THREE_BUTTONS
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Expecting {
    Rate,
    Resolution,
}

/// Motion, with the buttons as they are after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    dx: i32,
    /// Down positive.
    dy: i32,
    /// Towards the person positive.
    wheel: i32,
    buttons: u8,
    /// Made by a button: motion that follows is a step of its own, so that the guest sees the button where it was
    /// pressed.
    click: bool,
}

impl Step {
    fn add(&mut self, dx: i32, dy: i32, wheel: i32) {
        self.dx = self.dx.saturating_add(dx).clamp(-FARTHEST, FARTHEST);
        self.dy = self.dy.saturating_add(dy).clamp(-FARTHEST, FARTHEST);
        self.wheel = self.wheel.saturating_add(wheel).clamp(-FARTHEST_WHEEL, FARTHEST_WHEEL);
    }

    fn is_still(&self) -> bool {
        self.dx == 0 && self.dy == 0 && self.wheel == 0
    }
}

/// All of the mouse; also its saved state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mouse {
    kind: Kind,
    reporting: bool,
    remote: bool,
    wrap: bool,
    /// Scaling 2:1.
    accelerated: bool,
    resolution: u8,
    rate: u8,
    /// The rates set last; the host asks for another kind by a sequence of three.
    rates: [u8; 3],
    expecting: Option<Expecting>,
    answers: VecDeque<u8>,
    /// What is left of the packet being sent.
    sending: VecDeque<u8>,
    queue: VecDeque<Step>,
    /// Motion waiting to be asked for in remote mode.
    gathered: Step,
    /// Buttons held now.
    buttons: u8,
    /// Buttons the guest knows of once it has read the queue; `None` when a packet was cut short.
    told: Option<u8>,
    /// Buttons of the last packet.
    sent: Option<u8>,
    /// The last packet or answer, for the resend command.
    last: Vec<u8>,
}

impl Default for Mouse {
    /// Power-on: not reporting.
    fn default() -> Self {
        Self {
            kind: Kind::Standard,
            reporting: false,
            remote: false,
            wrap: false,
            accelerated: false,
            resolution: DEFAULT_RESOLUTION,
            rate: DEFAULT_RATE,
            rates: [0; 3],
            expecting: None,
            answers: VecDeque::new(),
            sending: VecDeque::new(),
            queue: VecDeque::new(),
            gathered: Step::default(),
            buttons: 0,
            told: Some(0),
            sent: Some(0),
            last: Vec::new(),
        }
    }
}

impl Mouse {
    /// Motion and wheel.
    pub(super) fn motion(&mut self, dx: i32, dy: i32, wheel: i32) {
        let wheel = if self.kind == Kind::Standard { 0 } else { wheel };
        if self.remote {
            self.gathered.add(dx, dy, wheel);
            return;
        }
        if !self.reporting || (dx, dy, wheel) == (0, 0, 0) {
            return;
        }
        // While the guest is slow, motion gathers in the last step.
        let full = self.queue.len() >= CAPACITY;
        let buttons = match self.queue.back_mut() {
            Some(last) if full || !last.click => {
                last.add(dx, dy, wheel);
                return;
            }
            Some(last) => last.buttons,
            None => self.told.unwrap_or(self.buttons & self.kind.buttons()),
        };
        let mut step = Step {
            buttons,
            ..Step::default()
        };
        step.add(dx, dy, wheel);
        self.queue.push_back(step);
    }

    /// A button goes down or up.
    pub(super) fn button(&mut self, button: Button, down: bool) {
        let bit = match button {
            Button::Left => 1,
            Button::Right => 1 << 1,
            Button::Middle => 1 << 2,
            Button::Side => 1 << 3,
            Button::Extra => 1 << 4,
        };
        self.buttons = if down { self.buttons | bit } else { self.buttons & !bit };
        self.tell_buttons();
    }

    /// Queues a step when the guest does not know the buttons. In a full queue the last step takes them over, so that
    /// the guest always ends with the truth.
    fn tell_buttons(&mut self) {
        let buttons = self.buttons & self.kind.buttons();
        if !self.reporting || self.remote || self.told == Some(buttons) {
            return;
        }
        self.told = Some(buttons);
        let full = self.queue.len() >= CAPACITY;
        match self.queue.back_mut() {
            Some(last) if full => last.buttons = buttons,
            _ => self.queue.push_back(Step {
                buttons,
                click: true,
                ..Step::default()
            }),
        }
    }

    /// Events the guest has not read to the end, the byte in the controller's buffer aside.
    pub(super) fn pending(&self) -> usize {
        self.queue.len() + usize::from(!self.sending.is_empty())
    }

    /// The next byte on the wire.
    pub(super) fn next(&mut self) -> Option<Byte> {
        if let Some(value) = self.answers.pop_front() {
            return Some(Byte { value, event: false });
        }
        if self.sending.is_empty() && self.reporting && !self.remote && !self.wrap {
            let packet = self.next_packet()?;
            self.last.clone_from(&packet);
            self.sending = packet.into();
        }
        let value = self.sending.pop_front()?;
        Some(Byte { value, event: true })
    }

    /// Takes as much of the first step as a packet holds.
    fn next_packet(&mut self) -> Option<Vec<u8>> {
        let mut step = self.queue.pop_front()?;
        let packet = self.packet(&mut step, self.accelerated);
        self.sent = Some(step.buttons);
        if !step.is_still() {
            self.queue.push_front(step);
        }
        Some(packet)
    }

    /// A packet, taken out of the step.
    fn packet(&self, step: &mut Step, accelerated: bool) -> Vec<u8> {
        let farthest = if accelerated { 127 } else { 255 };
        let take = |value: &mut i32, least: i32, most: i32| {
            let part = (*value).clamp(least, most);
            *value -= part;
            part
        };
        let scale = |value: i32| if accelerated { accelerate(value) } else { value };
        let dx = scale(take(&mut step.dx, -farthest, farthest));
        // The wire counts up positive.
        let dy = -scale(take(&mut step.dy, -farthest, farthest));
        let signs = u8::from(dx < 0) << 4 | u8::from(dy < 0) << 5;
        let buttons = step.buttons & self.kind.buttons();
        let mut packet = vec![1 << 3 | signs | buttons & THREE_BUTTONS, low(dx), low(dy)];
        match self.kind {
            Kind::Standard => step.wheel = 0,
            Kind::IntelliMouse => packet.push(low(take(&mut step.wheel, -8, 7))),
            Kind::Explorer => {
                let wheel = low(take(&mut step.wheel, -8, 7)) & 0x0f;
                packet.push(wheel | (buttons & !THREE_BUTTONS) << 1);
            }
        }
        packet
    }

    /// The host sends a byte.
    pub(super) fn command(&mut self, byte: u8) {
        // A command interrupts what is being sent. A packet cut short is not sent again, but its buttons are.
        self.answers.clear();
        if !self.sending.is_empty() {
            self.sending.clear();
            self.sent = None;
            if self.queue.is_empty() {
                self.told = None;
                self.tell_buttons();
            }
        }
        if self.wrap && !matches!(byte, 0xec | 0xff) {
            self.answers.push_back(byte);
            return;
        }
        let answers = match self.expecting.take() {
            Some(expecting) if byte < 0xe6 => self.parameter(expecting, byte),
            _ => self.start(byte),
        };
        if answers.first() != Some(&RESEND) && byte != 0xfe {
            self.last.clone_from(&answers);
        }
        self.answers.extend(answers);
    }

    fn parameter(&mut self, expecting: Expecting, byte: u8) -> Vec<u8> {
        match expecting {
            Expecting::Resolution if byte <= 3 => self.resolution = byte,
            Expecting::Rate if RATES.contains(&byte) => {
                self.rate = byte;
                let [_, older, old] = self.rates;
                self.rates = [older, old, byte];
                match self.rates {
                    [200, 100, 80] => self.kind = Kind::IntelliMouse,
                    [200, 200, 80] => self.kind = Kind::Explorer,
                    _ => {}
                }
            }
            _ => return vec![RESEND],
        }
        vec![ACK]
    }

    fn start(&mut self, byte: u8) -> Vec<u8> {
        match byte {
            0xe6 => self.accelerated = false,
            0xe7 => self.accelerated = true,
            0xe8 => self.expecting = Some(Expecting::Resolution),
            0xe9 => return vec![ACK, self.status(), self.resolution, self.rate],
            0xea => {
                self.remote = false;
                self.forget();
                self.tell_buttons();
            }
            0xeb => return self.read_data(),
            0xec => self.wrap = false,
            0xee => {
                self.wrap = true;
                self.forget();
            }
            0xf0 => {
                self.remote = true;
                self.forget();
            }
            0xf2 => return vec![ACK, self.kind.id()],
            0xf3 => self.expecting = Some(Expecting::Rate),
            0xf4 => {
                self.reporting = true;
                self.forget();
                self.tell_buttons();
            }
            0xf5 => {
                self.reporting = false;
                self.forget();
            }
            0xf6 => self.set_defaults(),
            0xfe => {
                return if self.last.is_empty() {
                    vec![ACK]
                } else {
                    self.last.clone()
                };
            }
            0xff => {
                *self = Self {
                    buttons: self.buttons,
                    ..Self::default()
                };
                return vec![ACK, BAT_PASSED, self.kind.id()];
            }
            _ => return vec![RESEND],
        }
        vec![ACK]
    }

    /// First byte of the status answer: its button bits have another order than those of a packet.
    fn status(&self) -> u8 {
        let order = (self.buttons & 1) << 2 | (self.buttons >> 2 & 1) << 1 | self.buttons >> 1 & 1;
        u8::from(self.remote) << 6 | u8::from(self.reporting) << 5 | u8::from(self.accelerated) << 4 | order
    }

    /// The read data command: one packet now, from what remote mode gathered or from the queue.
    fn read_data(&mut self) -> Vec<u8> {
        let mut step = if self.remote {
            std::mem::take(&mut self.gathered)
        } else {
            self.queue.pop_front().unwrap_or_default()
        };
        step.buttons = self.buttons;
        let mut answers = vec![ACK];
        answers.extend(self.packet(&mut step, false));
        if self.remote {
            self.gathered = step;
        } else if !step.is_still() {
            self.queue.push_front(step);
        }
        self.sent = Some(self.buttons & self.kind.buttons());
        if self.queue.is_empty() {
            self.told = self.sent;
        }
        answers
    }

    fn set_defaults(&mut self) {
        self.rate = DEFAULT_RATE;
        self.resolution = DEFAULT_RESOLUTION;
        self.accelerated = false;
        self.remote = false;
        self.reporting = false;
        self.forget();
    }

    /// Drops motion that waits. What the guest was not told of the buttons it is told once reporting is on.
    fn forget(&mut self) {
        self.told = self.sent;
        self.queue.clear();
        self.gathered = Step::default();
    }

    /// Refuses what cannot be in a saved state.
    pub(super) fn check(&self) -> Result<(), StateError> {
        let steps = self.queue.iter().chain([&self.gathered]);
        if self.queue.len() > CAPACITY + 1 {
            return Err(invalid("mouse queue", self.queue.len()));
        }
        for step in steps {
            let motion = step.dx.unsigned_abs().max(step.dy.unsigned_abs());
            if motion > FARTHEST.unsigned_abs() || step.wheel.unsigned_abs() > FARTHEST_WHEEL.unsigned_abs() {
                return Err(invalid("mouse motion", motion));
            }
        }
        let longest = self.answers.len().max(self.sending.len()).max(self.last.len());
        if longest > LONGEST_ANSWER {
            return Err(invalid("mouse answer", longest));
        }
        Ok(())
    }
}

/// 2:1 scaling as the mouse specification tabulates it.
fn accelerate(value: i32) -> i32 {
    let size = match value.abs() {
        small @ 0..=1 => small,
        2 => 1,
        3 => 3,
        4 => 6,
        5 => 9,
        large => 2 * large,
    };
    size * value.signum()
}

/// Two's complement, low byte.
fn low(value: i32) -> u8 {
    let [byte, ..] = value.to_le_bytes();
    byte
}
