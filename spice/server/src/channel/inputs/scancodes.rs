//! From PS/2 set 1 bytes to keys.

use caraway_ports::input::Scancode;

/// Bytes of a key that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    prefix: Prefix,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Prefix {
    #[default]
    None,
    E0,
    /// Pause begins: e1 1d 45, or e1 9d c5.
    E1,
    E1First,
}

impl Assembler {
    /// Takes a byte; the key it completes, and whether it goes down. Bytes that mean no key are dropped.
    pub(super) fn push(&mut self, byte: u8) -> Option<(Scancode, bool)> {
        let (code, down) = (byte & 0x7f, byte & 0x80 == 0);
        match (std::mem::take(&mut self.prefix), byte) {
            (_, 0xe0) => {
                self.prefix = Prefix::E0;
                None
            }
            (_, 0xe1) => {
                self.prefix = Prefix::E1;
                None
            }
            (Prefix::E1, _) if code == 0x1d => {
                self.prefix = Prefix::E1First;
                None
            }
            (Prefix::E1First, _) if code == 0x45 => Some((Scancode::Pause, down)),
            (_, 0x00 | 0x80 | 0xff) => None,
            (Prefix::E0, _) => Some((Scancode::Extended(code), down)),
            (Prefix::None | Prefix::E1 | Prefix::E1First, _) => Some((Scancode::Plain(code), down)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<(Scancode, bool)> {
        let mut assembler = Assembler::default();
        bytes.iter().filter_map(|byte| assembler.push(*byte)).collect()
    }

    #[test]
    fn plain_and_extended_keys_go_down_and_up() {
        assert_eq!(
            keys(&[0x1e, 0x9e]),
            [(Scancode::Plain(0x1e), true), (Scancode::Plain(0x1e), false)]
        );
        assert_eq!(
            keys(&[0xe0, 0x1d, 0xe0, 0x9d]),
            [(Scancode::Extended(0x1d), true), (Scancode::Extended(0x1d), false)]
        );
    }

    #[test]
    fn pause_is_one_key() {
        assert_eq!(
            keys(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]),
            [(Scancode::Pause, true), (Scancode::Pause, false)]
        );
    }

    #[test]
    fn bytes_that_mean_no_key_are_dropped() {
        assert_eq!(keys(&[0x00, 0xff, 0x80, 0xe0, 0x00]), []);
        assert_eq!(keys(&[0xe0, 0xe0, 0x1d]), [(Scancode::Extended(0x1d), true)]);
    }
}
