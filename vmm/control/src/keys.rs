//! Key names and text as keys.

use caraway_ports::input::Scancode::{self, Extended, Pause, Plain};

/// QMP's `QKeyCode` names and the PS/2 set 1 codes of those keys.
const QCODES: &[(&str, Scancode)] = &[
    ("shift", Plain(0x2a)),
    ("shift_r", Plain(0x36)),
    ("alt", Plain(0x38)),
    ("alt_r", Extended(0x38)),
    ("ctrl", Plain(0x1d)),
    ("ctrl_r", Extended(0x1d)),
    ("menu", Extended(0x5d)),
    ("compose", Extended(0x5d)),
    ("meta_l", Extended(0x5b)),
    ("meta_r", Extended(0x5c)),
    ("esc", Plain(0x01)),
    ("1", Plain(0x02)),
    ("2", Plain(0x03)),
    ("3", Plain(0x04)),
    ("4", Plain(0x05)),
    ("5", Plain(0x06)),
    ("6", Plain(0x07)),
    ("7", Plain(0x08)),
    ("8", Plain(0x09)),
    ("9", Plain(0x0a)),
    ("0", Plain(0x0b)),
    ("minus", Plain(0x0c)),
    ("equal", Plain(0x0d)),
    ("backspace", Plain(0x0e)),
    ("tab", Plain(0x0f)),
    ("q", Plain(0x10)),
    ("w", Plain(0x11)),
    ("e", Plain(0x12)),
    ("r", Plain(0x13)),
    ("t", Plain(0x14)),
    ("y", Plain(0x15)),
    ("u", Plain(0x16)),
    ("i", Plain(0x17)),
    ("o", Plain(0x18)),
    ("p", Plain(0x19)),
    ("bracket_left", Plain(0x1a)),
    ("bracket_right", Plain(0x1b)),
    ("ret", Plain(0x1c)),
    ("a", Plain(0x1e)),
    ("s", Plain(0x1f)),
    ("d", Plain(0x20)),
    ("f", Plain(0x21)),
    ("g", Plain(0x22)),
    ("h", Plain(0x23)),
    ("j", Plain(0x24)),
    ("k", Plain(0x25)),
    ("l", Plain(0x26)),
    ("semicolon", Plain(0x27)),
    ("apostrophe", Plain(0x28)),
    ("grave_accent", Plain(0x29)),
    ("backslash", Plain(0x2b)),
    ("z", Plain(0x2c)),
    ("x", Plain(0x2d)),
    ("c", Plain(0x2e)),
    ("v", Plain(0x2f)),
    ("b", Plain(0x30)),
    ("n", Plain(0x31)),
    ("m", Plain(0x32)),
    ("comma", Plain(0x33)),
    ("dot", Plain(0x34)),
    ("slash", Plain(0x35)),
    ("asterisk", Plain(0x37)),
    ("spc", Plain(0x39)),
    ("caps_lock", Plain(0x3a)),
    ("f1", Plain(0x3b)),
    ("f2", Plain(0x3c)),
    ("f3", Plain(0x3d)),
    ("f4", Plain(0x3e)),
    ("f5", Plain(0x3f)),
    ("f6", Plain(0x40)),
    ("f7", Plain(0x41)),
    ("f8", Plain(0x42)),
    ("f9", Plain(0x43)),
    ("f10", Plain(0x44)),
    ("num_lock", Plain(0x45)),
    ("scroll_lock", Plain(0x46)),
    ("kp_divide", Extended(0x35)),
    ("kp_multiply", Plain(0x37)),
    ("kp_subtract", Plain(0x4a)),
    ("kp_add", Plain(0x4e)),
    ("kp_enter", Extended(0x1c)),
    ("kp_decimal", Plain(0x53)),
    ("kp_0", Plain(0x52)),
    ("kp_1", Plain(0x4f)),
    ("kp_2", Plain(0x50)),
    ("kp_3", Plain(0x51)),
    ("kp_4", Plain(0x4b)),
    ("kp_5", Plain(0x4c)),
    ("kp_6", Plain(0x4d)),
    ("kp_7", Plain(0x47)),
    ("kp_8", Plain(0x48)),
    ("kp_9", Plain(0x49)),
    ("sysrq", Plain(0x54)),
    ("less", Plain(0x56)),
    ("f11", Plain(0x57)),
    ("f12", Plain(0x58)),
    ("print", Extended(0x37)),
    ("home", Extended(0x47)),
    ("pgup", Extended(0x49)),
    ("pgdn", Extended(0x51)),
    ("end", Extended(0x4f)),
    ("left", Extended(0x4b)),
    ("up", Extended(0x48)),
    ("down", Extended(0x50)),
    ("right", Extended(0x4d)),
    ("insert", Extended(0x52)),
    ("delete", Extended(0x53)),
    ("pause", Pause),
];

/// Other names people use for the same keys, accepted by `caraway ctl send-key`.
const ALIASES: &[(&str, &str)] = &[
    ("enter", "ret"),
    ("return", "ret"),
    ("space", "spc"),
    ("escape", "esc"),
    ("super", "meta_l"),
    ("win", "meta_l"),
    ("del", "delete"),
    ("ins", "insert"),
    ("pageup", "pgup"),
    ("pagedown", "pgdn"),
    ("control", "ctrl"),
];

/// The key with this `QKeyCode` name.
#[must_use]
pub fn by_qcode(name: &str) -> Option<Scancode> {
    QCODES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

/// The `QKeyCode` name for a name as people write it: the QMP name itself or an alias, in any case.
#[must_use]
pub fn qcode_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name.as_str(), |(_, qcode)| qcode);
    QCODES.iter().find(|(known, _)| *known == name).map(|(known, _)| *known)
}

/// All `QKeyCode` names.
pub fn qcode_names() -> impl Iterator<Item = &'static str> {
    QCODES.iter().map(|(name, _)| *name)
}

/// The key of a QMP key number: a set 1 code, bit 7 = 0xe0 prefix.
#[must_use]
pub fn by_number(number: i64) -> Option<Scancode> {
    match u8::try_from(number).ok()? {
        0 | 0x80 => None,
        0xc6 => Some(Pause),
        code if code & 0x80 != 0 => Some(Extended(code & 0x7f)),
        code => Some(Plain(code)),
    }
}

/// The key that types a character on a US keyboard, and whether shift is held.
#[must_use]
pub fn by_char(character: char) -> Option<(Scancode, bool)> {
    const PLAIN: &str = "1234567890-=\u{8}\tqwertyuiop[]\n\u{0}asdfghjkl;'`\u{0}\\zxcvbnm,./";
    const SHIFT: &str = "!@#$%^&*()_+\u{0}\u{0}QWERTYUIOP{}\u{0}\u{0}ASDFGHJKL:\"~\u{0}|ZXCVBNM<>?";
    let code = |position: usize| u8::try_from(position + 2).ok().map(Plain);
    match character {
        '\0' => None,
        ' ' => Some((Plain(0x39), false)),
        '\r' => Some((Plain(0x1c), false)),
        '\u{1b}' => Some((Plain(0x01), false)),
        _ => {
            if let Some(position) = PLAIN.chars().position(|known| known == character) {
                return Some((code(position)?, false));
            }
            SHIFT
                .chars()
                .position(|known| known == character)
                .and_then(|position| Some((code(position)?, true)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_a_key() {
        for byte in 0x20..0x7fu8 {
            assert!(by_char(char::from(byte)).is_some(), "{:?}", char::from(byte));
        }
        assert_eq!(by_char('é'), None);
    }

    #[test]
    fn characters_are_where_a_us_keyboard_has_them() {
        assert_eq!(by_char('a'), Some((Plain(0x1e), false)));
        assert_eq!(by_char('Z'), Some((Plain(0x2c), true)));
        assert_eq!(by_char('|'), Some((Plain(0x2b), true)));
        assert_eq!(by_char('?'), Some((Plain(0x35), true)));
        assert_eq!(by_char('\n'), Some((Plain(0x1c), false)));
        assert_eq!(by_char('`'), Some((Plain(0x29), false)));
        assert_eq!(by_char('@'), Some((Plain(0x03), true)));
    }

    #[test]
    fn letters_typed_and_named_are_the_same_keys() {
        for letter in 'a'..='z' {
            assert_eq!(by_char(letter).map(|(code, _)| code), by_qcode(&letter.to_string()));
        }
    }

    #[test]
    fn names_are_unique_and_aliases_lead_to_one() {
        let mut names: Vec<_> = qcode_names().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QCODES.len());
        for (alias, _) in ALIASES {
            assert!(qcode_name(alias).is_some(), "{alias}");
        }
        assert_eq!(qcode_name("Enter"), Some("ret"));
    }

    #[test]
    fn numbers_with_bit_seven_are_extended() {
        assert_eq!(by_number(0x1d), Some(Plain(0x1d)));
        assert_eq!(by_number(0x9d), Some(Extended(0x1d)));
        assert_eq!(by_number(0x100), None);
        assert_eq!(by_number(-1), None);
    }
}
