//! The debug-exit port: a test guest ends the program with a code of its own. Only there when the config enables it.

use caraway_base::bus::{BusDevice, Outcome};

/// Its port.
pub const DEBUG_EXIT_PORT: u16 = 0xf4;
/// Ports: wide enough for the four-byte writes test suites make.
pub const DEBUG_EXIT_LENGTH: u16 = 4;
/// Largest code; larger ones are cut to it.
pub const LARGEST_CODE: u8 = 62;

/// The port; it has no state. A write ends with [`Outcome::Exit`] of the value, 0 to [`LARGEST_CODE`].
#[derive(Clone, Copy, Debug, Default)]
pub struct DebugExit;

impl BusDevice for DebugExit {
    fn read(&self, _offset: u64, _data: &mut [u8]) {}

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        match data.first() {
            Some(code) if offset == 0 => Outcome::Exit((*code).min(LARGEST_CODE)),
            _ => Outcome::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{read, write};

    #[test]
    fn the_code_is_the_low_byte_cut_to_the_largest() {
        for (offset, width, value, outcome) in [
            (0, 1, 0, Outcome::Exit(0)),
            (0, 1, 5, Outcome::Exit(5)),
            (0, 4, 0x3e, Outcome::Exit(62)),
            (0, 2, 0x1ff, Outcome::Exit(62)),
            (1, 1, 5, Outcome::Done),
        ] {
            assert_eq!(write(&DebugExit, offset, width, value), outcome);
        }
        assert_eq!(read(&DebugExit, 0, 1), 0xff);
    }
}
