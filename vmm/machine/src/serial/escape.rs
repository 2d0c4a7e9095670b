//! Ctrl-] twice at the terminal ends the machine; once, it is for the guest.

const ESCAPE: u8 = 0x1d;

#[derive(Debug, Default)]
pub(super) struct Escape {
    held: bool,
}

impl Escape {
    /// What of `typed` is for the guest, and whether the user wants to quit.
    pub(super) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut for_guest = Vec::with_capacity(typed.len() + 1);
        for byte in typed {
            match (*byte, self.held) {
                (ESCAPE, true) => return (for_guest, true),
                (ESCAPE, false) => self.held = true,
                (byte, held) => {
                    if held {
                        for_guest.push(ESCAPE);
                    }
                    self.held = false;
                    for_guest.push(byte);
                }
            }
        }
        (for_guest, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_in_a_row_quits_even_across_reads() {
        let mut escape = Escape::default();
        assert_eq!(escape.filter(b"a\x1d"), (b"a".to_vec(), false));
        assert_eq!(escape.filter(b"\x1db"), (vec![], true));
    }

    #[test]
    fn once_followed_by_something_else_reaches_the_guest() {
        let mut escape = Escape::default();
        assert_eq!(escape.filter(b"\x1d"), (vec![], false));
        assert_eq!(escape.filter(b"x\x1dy\x1d"), (b"\x1dx\x1dy".to_vec(), false));
        assert_eq!(escape.filter(b"z"), (b"\x1dz".to_vec(), false));
    }
}
