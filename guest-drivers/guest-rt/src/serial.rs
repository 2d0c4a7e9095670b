//! The first serial port (3f8, IRQ 4): text out, lines in.

use core::fmt;

use crate::cpu::{in8, out8};

const PORT: u16 = 0x3f8;
const DATA: u16 = PORT;
const INTERRUPT_ENABLE: u16 = PORT + 1;
const FIFO_CONTROL: u16 = PORT + 2;
const LINE_CONTROL: u16 = PORT + 3;
const MODEM_CONTROL: u16 = PORT + 4;
const LINE_STATUS: u16 = PORT + 5;

const LINE_STATUS_DATA: u8 = 0x01;
const LINE_STATUS_EMPTY: u8 = 0x20;
/// Status reads before a byte is given up: a port that never gets ready must not stop the guest.
const READY_TRIES: u32 = 10_000;
/// Bytes taken in one call.
const INPUT_BURST: usize = 256;

/// Sets the port to 115200 8N1 with its receive interrupt on.
pub fn init() {
    out8(INTERRUPT_ENABLE, 0);
    out8(LINE_CONTROL, 0x80);
    out8(DATA, 1);
    out8(INTERRUPT_ENABLE, 0);
    out8(LINE_CONTROL, 0x03);
    out8(FIFO_CONTROL, 0x07);
    out8(MODEM_CONTROL, 0x0b); // DTR, RTS, and OUT2, which lets the interrupt through
    out8(INTERRUPT_ENABLE, 0x01);
}

/// The port as a place to write text to; `\n` is sent as CR LF.
#[derive(Debug, Clone, Copy, Default)]
pub struct Serial;

impl Serial {
    fn send(byte: u8) {
        for _ in 0..READY_TRIES {
            if in8(LINE_STATUS) & LINE_STATUS_EMPTY != 0 {
                break;
            }
        }
        out8(DATA, byte);
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                Self::send(b'\r');
            }
            Self::send(byte);
        }
        Ok(())
    }
}

/// Writes formatted text to the serial port.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut $crate::serial::Serial, format_args!($($argument)*));
    }};
}

/// Hands every received byte to `take`.
pub fn receive(mut take: impl FnMut(u8)) {
    for _ in 0..INPUT_BURST {
        if in8(LINE_STATUS) & LINE_STATUS_DATA == 0 {
            return;
        }
        take(in8(DATA));
    }
}

/// Longest line kept; the rest of a longer one is dropped.
const LINE_LIMIT: usize = 80;

/// Puts received bytes together into lines.
#[derive(Debug)]
pub struct LineReader {
    bytes: [u8; LINE_LIMIT],
    length: usize,
}

impl LineReader {
    /// An empty line.
    pub const fn new() -> Self {
        Self {
            bytes: [0; LINE_LIMIT],
            length: 0,
        }
    }

    /// Adds a byte; CR or LF ends a line and hands it to `take`. Empty lines are left out.
    pub fn push(&mut self, byte: u8, take: impl FnOnce(&str)) {
        match byte {
            b'\r' | b'\n' => {
                let line = self
                    .bytes
                    .get(..self.length)
                    .and_then(|line| core::str::from_utf8(line).ok());
                if let Some(line) = line.map(str::trim).filter(|line| !line.is_empty()) {
                    take(line);
                }
                self.length = 0;
            }
            8 | 0x7f => self.length = self.length.saturating_sub(1),
            b' '..=b'~' => {
                if let Some(cell) = self.bytes.get_mut(self.length) {
                    *cell = byte;
                    self.length += 1;
                }
            }
            _ => {}
        }
    }
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new()
    }
}
