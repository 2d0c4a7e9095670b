//! Scan code set 1 to what a US keyboard types.

/// What a key press means for the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Press {
    /// A printable character.
    Character(u8),
    /// Enter.
    Enter,
    /// Backspace.
    Backspace,
    /// Tab.
    Tab,
    /// A key without a character, by its name.
    Named(&'static str),
    /// A modifier, or a key this keyboard does not have.
    Silent,
}

const PLAIN: &[u8; 0x3a] = b"\0\x1b1234567890-=\x08\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
const SHIFTED: &[u8; 0x3a] = b"\0\x1b!@#$%^&*()_+\x08\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
const KEYPAD: &[u8; 13] = b"789-456+1230.";
const KEYPAD_FIRST: u8 = 0x47;
const FUNCTION_KEYS: [&str; 10] = ["F1", "F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10"];
const FUNCTION_FIRST: u8 = 0x3b;

const RELEASE: u8 = 0x80;
const PREFIX_EXTENDED: u8 = 0xe0;
const PREFIX_PAUSE: u8 = 0xe1;
/// Bytes that follow the prefix of the pause key.
const PAUSE_BYTES: u8 = 2;

const LEFT_SHIFT: u8 = 0x2a;
const RIGHT_SHIFT: u8 = 0x36;
const CAPS_LOCK: u8 = 0x3a;

/// The state a keyboard's bytes have to be read with.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keyboard {
    extended: bool,
    skip: u8,
    left_shift: bool,
    right_shift: bool,
    caps_lock: bool,
}

impl Keyboard {
    pub(crate) const fn new() -> Self {
        Self {
            extended: false,
            skip: 0,
            left_shift: false,
            right_shift: false,
            caps_lock: false,
        }
    }

    /// Takes a byte; says what was pressed when it completes a key press.
    pub(crate) fn byte(&mut self, byte: u8) -> Option<Press> {
        if self.skip > 0 {
            self.skip -= 1;
            // The pause key is told once, at the end of its press; it has no release of its own.
            return (self.skip == 0 && byte & RELEASE == 0).then_some(Press::Named("Pause"));
        }
        match byte {
            PREFIX_EXTENDED => {
                self.extended = true;
                return None;
            }
            PREFIX_PAUSE => {
                self.skip = PAUSE_BYTES;
                return None;
            }
            _ => {}
        }
        let extended = core::mem::take(&mut self.extended);
        let (code, pressed) = (byte & !RELEASE, byte & RELEASE == 0);
        if extended && matches!(code, LEFT_SHIFT | RIGHT_SHIFT) {
            // The shifts a keyboard makes up around its navigation keys.
            return None;
        }
        match code {
            LEFT_SHIFT => self.left_shift = pressed,
            RIGHT_SHIFT => self.right_shift = pressed,
            CAPS_LOCK if pressed => self.caps_lock = !self.caps_lock,
            _ => {}
        }
        pressed.then(|| if extended { extended_key(code) } else { self.key(code) })
    }

    fn key(self, code: u8) -> Press {
        if let Some(character) = code
            .checked_sub(KEYPAD_FIRST)
            .and_then(|key| KEYPAD.get(usize::from(key)))
        {
            return Press::Character(*character);
        }
        if let Some(name) = code
            .checked_sub(FUNCTION_FIRST)
            .and_then(|key| FUNCTION_KEYS.get(usize::from(key)))
        {
            return Press::Named(name);
        }
        match code {
            0x45 => return Press::Named("Num Lock"),
            0x46 => return Press::Named("Scroll Lock"),
            0x57 => return Press::Named("F11"),
            0x58 => return Press::Named("F12"),
            _ => {}
        }
        let plain = PLAIN.get(usize::from(code)).copied().unwrap_or(0);
        let shift = (self.left_shift || self.right_shift) != (self.caps_lock && plain.is_ascii_lowercase());
        let character = if shift {
            SHIFTED.get(usize::from(code)).copied().unwrap_or(0)
        } else {
            plain
        };
        match character {
            0 => Press::Silent,
            0x1b => Press::Named("Esc"),
            0x08 => Press::Backspace,
            b'\t' => Press::Tab,
            b'\n' => Press::Enter,
            character => Press::Character(character),
        }
    }
}

fn extended_key(code: u8) -> Press {
    match code {
        0x1c => Press::Enter,
        0x35 => Press::Character(b'/'),
        0x37 => Press::Named("Print"),
        0x46 => Press::Named("Break"),
        0x47 => Press::Named("Home"),
        0x48 => Press::Named("Up"),
        0x49 => Press::Named("Page Up"),
        0x4b => Press::Named("Left"),
        0x4d => Press::Named("Right"),
        0x4f => Press::Named("End"),
        0x50 => Press::Named("Down"),
        0x51 => Press::Named("Page Down"),
        0x52 => Press::Named("Insert"),
        0x53 => Press::Named("Delete"),
        0x5b | 0x5c => Press::Named("Super"),
        0x5d => Press::Named("Menu"),
        _ => Press::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presses(bytes: &[u8]) -> std::vec::Vec<Press> {
        let mut keyboard = Keyboard::new();
        bytes.iter().filter_map(|byte| keyboard.byte(*byte)).collect()
    }

    #[test]
    fn letters_follow_shift_and_caps_lock() {
        let a = [0x1e, 0x9e];
        assert_eq!(presses(&a), [Press::Character(b'a')]);
        assert_eq!(
            presses(&[&[0x2a], &a[..], &[0xaa]].concat()),
            [Press::Silent, Press::Character(b'A')]
        );
        assert_eq!(
            presses(&[&[0x3a, 0xba], &a[..]].concat()),
            [Press::Silent, Press::Character(b'A')]
        );
        let both = presses(&[&[0x3a, 0xba, 0x36], &a[..]].concat());
        assert_eq!(both, [Press::Silent, Press::Silent, Press::Character(b'a')]);
    }

    #[test]
    fn caps_lock_leaves_digits_alone() {
        assert_eq!(
            presses(&[0x3a, 0xba, 0x02, 0x82]),
            [Press::Silent, Press::Character(b'1')]
        );
        assert_eq!(presses(&[0x36, 0x02, 0x82]), [Press::Silent, Press::Character(b'!')]);
    }

    #[test]
    fn extended_keys_have_names_and_made_up_shifts_are_no_keys() {
        assert_eq!(presses(&[0xe0, 0x48, 0xe0, 0xc8]), [Press::Named("Up")]);
        assert_eq!(
            presses(&[0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]),
            [Press::Named("Print")]
        );
    }

    #[test]
    fn pause_is_one_key() {
        assert_eq!(
            presses(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x1e]),
            [Press::Named("Pause"), Press::Character(b'a')]
        );
    }
}
