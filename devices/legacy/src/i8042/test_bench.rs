//! An i8042 with its lines, and a guest driver that only moves on interrupts.

use std::sync::Arc;

use caraway_base::bus::{BusDevice, Outcome};
use caraway_ports::input::{Button, InputEvent, InputSink as _, Scancode};

use super::{I8042, I8042Args};
use crate::test_support::{Line, line, read, write};

pub(super) const OUTPUT_FULL: u8 = 0x01;
pub(super) const AUX: u8 = 0x20;

pub(super) struct Bench {
    pub(super) device: Arc<I8042>,
    data: Arc<dyn BusDevice>,
    command: Arc<dyn BusDevice>,
    pub(super) keyboard: Arc<Line>,
    pub(super) mouse: Arc<Line>,
}

pub(super) fn args() -> I8042Args {
    I8042Args {
        keyboard: line(),
        mouse: line(),
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(I8042::new)
    }

    pub(super) fn with(device: impl FnOnce(I8042Args) -> I8042) -> Self {
        let (keyboard, mouse) = (line(), line());
        let device = Arc::new(device(I8042Args {
            keyboard: keyboard.clone(),
            mouse: mouse.clone(),
        }));
        Self {
            data: device.data_port(),
            command: device.command_port(),
            device,
            keyboard,
            mouse,
        }
    }

    pub(super) fn status(&self) -> u8 {
        read(&*self.command, 0, 1) as u8
    }

    pub(super) fn data(&self) -> u8 {
        read(&*self.data, 0, 1) as u8
    }

    pub(super) fn out(&self, byte: u8) -> Outcome {
        write(&*self.data, 0, 1, byte.into())
    }

    pub(super) fn command(&self, byte: u8) -> Outcome {
        write(&*self.command, 0, 1, byte.into())
    }

    /// Reads a byte that must be there.
    pub(super) fn take(&self) -> u8 {
        assert_ne!(self.status() & OUTPUT_FULL, 0, "nothing to read");
        self.data()
    }

    /// Sends bytes to the mouse and returns all it answers.
    pub(super) fn to_mouse(&self, bytes: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        for byte in bytes {
            self.command(0xd4);
            self.out(*byte);
            answers.extend(self.drain().aux);
        }
        answers
    }

    /// Sends bytes to the keyboard and returns all it answers.
    pub(super) fn to_keyboard(&self, bytes: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        for byte in bytes {
            self.out(*byte);
            answers.extend(self.drain().keys);
        }
        answers
    }

    /// Polls until the status has said twice that there is nothing (once may be the end of a burst).
    pub(super) fn drain(&self) -> Taken {
        let mut taken = Taken::default();
        let mut empty = 0;
        while empty < 2 {
            let status = self.status();
            if status & OUTPUT_FULL == 0 {
                empty += 1;
                continue;
            }
            empty = 0;
            taken.push(status, self.data());
        }
        taken
    }

    /// One interrupt, if an edge has come since the last: a status read, and a byte if there is one.
    pub(super) fn interrupt(&self, taken: &mut Taken) -> bool {
        if self.keyboard.edges() + self.mouse.edges() == 0 {
            return false;
        }
        let status = self.status();
        if status & OUTPUT_FULL != 0 {
            taken.push(status, self.data());
        }
        true
    }

    /// All interrupts there are.
    pub(super) fn interrupts(&self) -> Taken {
        let mut taken = Taken::default();
        while self.interrupt(&mut taken) {}
        taken
    }

    /// Both interrupts on, translating, keyboard scanning.
    pub(super) fn typing() -> Self {
        let bench = Self::new();
        bench.command(0x60);
        bench.out(0x47);
        assert_eq!(bench.to_keyboard(&[0xf4]), [0xfa]);
        bench.interrupts();
        bench
    }

    /// As [`Bench::typing`], with a mouse of that kind (0, 3 or 4) reporting.
    pub(super) fn pointing(kind: u8) -> Self {
        let bench = Self::typing();
        let rates: &[u8] = match kind {
            3 => &[200, 100, 80],
            4 => &[200, 200, 80],
            _ => &[],
        };
        for rate in rates {
            assert_eq!(bench.to_mouse(&[0xf3, *rate]), [0xfa, 0xfa]);
        }
        assert_eq!(bench.to_mouse(&[0xf2]), [0xfa, kind]);
        assert_eq!(bench.to_mouse(&[0xf4]), [0xfa]);
        bench.interrupts();
        bench
    }

    pub(super) fn key(&self, code: Scancode, down: bool) {
        self.device.send(InputEvent::Key { code, down });
    }

    pub(super) fn tap(&self, code: Scancode) {
        self.key(code, true);
        self.key(code, false);
    }

    pub(super) fn motion(&self, dx: i32, dy: i32) {
        self.device.send(InputEvent::Motion { dx, dy });
    }

    pub(super) fn button(&self, button: Button, down: bool) {
        self.device.send(InputEvent::Button { button, down });
    }
}

/// Bytes a guest has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) keys: Vec<u8>,
    pub(super) aux: Vec<u8>,
}

impl Taken {
    fn push(&mut self, status: u8, byte: u8) {
        if status & AUX == 0 {
            self.keys.push(byte);
        } else {
            self.aux.push(byte);
        }
    }
}

/// What a guest makes of set 1 bytes: which keys are down, and every change in order.
#[derive(Debug, Default)]
pub(super) struct Typed {
    prefix: Option<u8>,
    pub(super) down: std::collections::BTreeSet<(bool, u8)>,
    pub(super) changes: Vec<(bool, u8, bool)>,
}

impl Typed {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == 0xe0 {
                assert_eq!(self.prefix.replace(*byte), None, "two prefixes");
                continue;
            }
            let extended = self.prefix.take().is_some();
            let (code, down) = (byte & 0x7f, byte & 0x80 == 0);
            if down {
                self.down.insert((extended, code));
            } else {
                self.down.remove(&(extended, code));
            }
            self.changes.push((extended, code, down));
        }
    }
}

/// A mouse packet as a guest reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) dx: i32,
    pub(super) dy: i32,
    pub(super) wheel: i32,
    /// Left, right, middle, side, extra from bit 0 on.
    pub(super) buttons: u8,
}

pub(super) fn packets(kind: u8, bytes: &[u8]) -> Vec<Packet> {
    let size = if kind == 0 { 3 } else { 4 };
    assert!(bytes.len().is_multiple_of(size), "{bytes:x?}");
    let packets = bytes.chunks(size).map(|packet| {
        let head = packet[0];
        assert_eq!(head & 0xc8, 0x08, "out of step: {bytes:x?}");
        let axis = |byte: u8, sign: u8| i32::from(byte) - if head & sign != 0 { 256 } else { 0 };
        let (wheel, more) = match kind {
            0 => (0, 0),
            3 => (i32::from(packet[3] as i8), 0),
            _ => (i32::from((packet[3] << 4) as i8 >> 4), packet[3] >> 1 & 0x18),
        };
        Packet {
            dx: axis(packet[1], 0x10),
            dy: -axis(packet[2], 0x20),
            wheel,
            buttons: head & 7 | more,
        }
    });
    packets.collect()
}
