//! Scan codes: the keyboard speaks set 2, the controller translates to set 1, and the rest of the program names keys by
//! set 1.

use caraway_ports::input::Scancode;

/// Break prefix of set 2.
pub(super) const BREAK: u8 = 0xf0;
/// Prefix of the keys the first AT keyboard did not have.
pub(super) const EXTENDED: u8 = 0xe0;

const LEFT_SHIFT: u8 = 0x12;
const PRINT_SCREEN: u8 = 0x7c;
/// Print Screen while Alt is held.
const SYS_RQ: u8 = 0x84;
/// Pause while Ctrl is held.
const BREAK_KEY: u8 = 0x7e;
const PAUSE: [u8; 8] = [0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77];

/// The controller's translation of set 2 codes below 0x80 (IBM PS/2 technical reference, keyboard controller).
const TO_SET1: [u8; 128] = [
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, // 00
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, // 10
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, // 20
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, // 30
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, // 40
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, // 50
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, // 60
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, // 70
];

/// The other way round. Two keys have codes above 0x80: F7 and SysRq.
const TO_SET2: [u8; 128] = {
    let mut table = [0; 128];
    let mut code = 1;
    while code < 128 {
        table[TO_SET1[code] as usize] = code as u8;
        code += 1;
    }
    table[0x41] = 0x83;
    table[0x54] = SYS_RQ;
    table
};

/// What the controller makes of a byte from the keyboard, break prefix aside.
pub(super) fn translate(byte: u8) -> u8 {
    match byte {
        0x83 => 0x41,
        SYS_RQ => 0x54,
        _ => TO_SET1.get(usize::from(byte)).copied().unwrap_or(byte),
    }
}

/// Numbers keys for sets and records: set 1 code, plus 0x80 when extended.
pub(super) fn key_number(code: Scancode) -> Option<u8> {
    match code {
        Scancode::Plain(code @ 1..=0x7f) => Some(code),
        Scancode::Extended(code @ 1..=0x7f) => Some(code | 0x80),
        _ => None,
    }
}

/// Number of the Print Screen key.
pub(super) const PRINT_SCREEN_KEY: u8 = 0x80 | 0x37;
/// Numbers of the Alt keys.
pub(super) const ALT_KEYS: [u8; 2] = [0x38, 0xb8];
/// Numbers of the Ctrl keys.
pub(super) const CTRL_KEYS: [u8; 2] = [0x1d, 0x9d];
/// Numbers of the Shift keys.
pub(super) const SHIFT_KEYS: [u8; 2] = [0x2a, 0x36];

/// Set 2 bytes of an ordinary key.
pub(super) fn key_bytes(key: u8, down: bool) -> Vec<u8> {
    let code = TO_SET2.get(usize::from(key & 0x7f)).copied().unwrap_or(0);
    let mut bytes = Vec::with_capacity(3);
    if key & 0x80 != 0 {
        bytes.push(EXTENDED);
    }
    if !down {
        bytes.push(BREAK);
    }
    bytes.push(code);
    bytes
}

/// What Print Screen sends depends on the modifiers held when it went down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum PrintScreen {
    /// Alone: wrapped in a shift that nobody holds.
    #[default]
    Alone,
    /// With Shift or Ctrl.
    Modified,
    /// With Alt: SysRq.
    SysRq,
}

/// Set 2 bytes of Print Screen.
pub(super) fn print_screen_bytes(form: PrintScreen, down: bool) -> Vec<u8> {
    match (form, down) {
        (PrintScreen::Alone, true) => vec![EXTENDED, LEFT_SHIFT, EXTENDED, PRINT_SCREEN],
        (PrintScreen::Alone, false) => vec![EXTENDED, BREAK, PRINT_SCREEN, EXTENDED, BREAK, LEFT_SHIFT],
        (PrintScreen::Modified, true) => vec![EXTENDED, PRINT_SCREEN],
        (PrintScreen::Modified, false) => vec![EXTENDED, BREAK, PRINT_SCREEN],
        (PrintScreen::SysRq, true) => vec![SYS_RQ],
        (PrintScreen::SysRq, false) => vec![BREAK, SYS_RQ],
    }
}

/// Set 2 bytes of Pause, which has no break of its own.
pub(super) fn pause_bytes(with_ctrl: bool) -> Vec<u8> {
    if with_ctrl {
        vec![EXTENDED, BREAK_KEY, EXTENDED, BREAK, BREAK_KEY]
    } else {
        PAUSE.to_vec()
    }
}

/// A set 2 sequence as a keyboard in set 1 sends it, which is also what the controller makes of it.
pub(super) fn to_set1(bytes: &[u8]) -> Vec<u8> {
    let mut released = 0;
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if *byte == BREAK {
            released = 0x80;
        } else {
            out.push(translate(*byte) | std::mem::take(&mut released));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_survives_the_way_through_set_2() {
        for key in (1..=0x7f).chain(0x81..=0xff) {
            let code = key & 0x7f;
            let prefix: &[u8] = if key & 0x80 != 0 { &[EXTENDED] } else { &[] };
            assert_eq!(to_set1(&key_bytes(key, true)), [prefix, &[code]].concat(), "{key:#x}");
            assert_eq!(
                to_set1(&key_bytes(key, false)),
                [prefix, &[code | 0x80]].concat(),
                "{key:#x}"
            );
        }
    }

    #[test]
    fn set_2_codes_are_those_of_a_real_keyboard() {
        // Key in set 1, set 2: A, Esc, F7, Enter, right Ctrl, up, left Windows, keypad 5, F11, F12, Scroll Lock.
        let table: [(u8, &[u8]); 11] = [
            (0x1e, &[0x1c]),
            (0x01, &[0x76]),
            (0x41, &[0x83]),
            (0x1c, &[0x5a]),
            (0x9d, &[0xe0, 0x14]),
            (0xc8, &[0xe0, 0x75]),
            (0xdb, &[0xe0, 0x1f]),
            (0x4c, &[0x73]),
            (0x57, &[0x78]),
            (0x58, &[0x07]),
            (0x46, &[0x7e]),
        ];
        for (key, bytes) in table {
            assert_eq!(key_bytes(key, true), bytes, "{key:#x}");
        }
        assert_eq!(key_bytes(0x9d, false), [0xe0, 0xf0, 0x14]);
    }

    #[test]
    fn the_odd_keys_translate_to_their_set_1_sequences() {
        use PrintScreen::{Alone, Modified, SysRq};
        for (set2, set1) in [
            (print_screen_bytes(Alone, true), &[0xe0, 0x2a, 0xe0, 0x37][..]),
            (print_screen_bytes(Alone, false), &[0xe0, 0xb7, 0xe0, 0xaa]),
            (print_screen_bytes(Modified, true), &[0xe0, 0x37]),
            (print_screen_bytes(Modified, false), &[0xe0, 0xb7]),
            (print_screen_bytes(SysRq, true), &[0x54]),
            (print_screen_bytes(SysRq, false), &[0xd4]),
            (pause_bytes(false), &[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]),
            (pause_bytes(true), &[0xe0, 0x46, 0xe0, 0xc6]),
        ] {
            assert_eq!(to_set1(&set2), set1);
        }
    }
}
