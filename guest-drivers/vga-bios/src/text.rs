//! The text picture: charts of all characters and all attributes in the window, and lines by the BIOS around them.

use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::real_mode;

use crate::video::Call;

const WINDOW: u32 = 0xb_8000;
const GREY: u8 = 0x07;
const BLINK: u8 = 0x80;
/// Columns of the charts; that of attributes has cells of two columns.
const CHARACTERS_AT: u32 = 22;
const ATTRIBUTES_AT: u32 = 42;
const CHARTS_ROW: u32 = 5;
const LAST_ROW: u16 = 24;

/// How cells whose attribute has bit 7 are written. Without blinking the last two look as the first does while they are
/// shown and while they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bit7 {
    /// As they are.
    Kept,
    /// Without the bit.
    Cleared,
    /// Without the bit, and blank.
    Blank,
}

impl Bit7 {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "" => Some(Self::Kept),
            "shown" => Some(Self::Cleared),
            "hidden" => Some(Self::Blank),
            _ => None,
        }
    }
}

/// Draws on a clear screen. What was on its first line is scrolled out.
pub(crate) fn draw(columns: u32, bit7: Bit7) {
    move_to(1, 0);
    teletype(b"Text by teletype,\r\n\tbackspace\x08\x08\x08\x08, scrolling.\r\n");
    move_to(3, 2);
    // AH=09: a character with its attribute, several times.
    Call::new(0x0900 | u16::from(b'=')).bx(0x1e).cx(12).make();
    for index in 0..=u8::MAX {
        let (row, column) = (CHARTS_ROW + u32::from(index >> 4), u32::from(index & 15));
        let (character, attribute) = match bit7 {
            _ if index & BLINK == 0 => (b'A' + (index & 15), index),
            Bit7::Kept => (b'A' + (index & 15), index),
            Bit7::Cleared => (b'A' + (index & 15), index & !BLINK),
            Bit7::Blank => (b' ', index & !BLINK),
        };
        if columns >= 80 {
            put(columns, row, ATTRIBUTES_AT + 2 * column, character, attribute);
            put(columns, row, ATTRIBUTES_AT + 2 * column + 1, b' ', attribute);
        } else {
            put(columns, row, column, character, attribute);
        }
        put(columns, row, CHARACTERS_AT + column, index, GREY);
    }
    move_to(LAST_ROW, 0);
    teletype(b"Last line\r\nNew line");
    move_to(2, 20);
}

fn put(columns: u32, row: u32, column: u32, character: u8, attribute: u8) {
    let cell = u16::from_le_bytes([character, attribute]);
    real_mode::write(WINDOW + 2 * (row * columns + column), Width::B2, cell.into());
}

/// AH=02: the cursor of page 0.
pub(crate) fn move_to(row: u16, column: u16) {
    Call::new(0x0200).dx(row << 8 | column).make();
}

/// AH=0e: characters at the cursor of page 0, in graphics modes in white.
pub(crate) fn teletype(text: &[u8]) {
    for byte in text {
        Call::new(0x0e00 | u16::from(*byte)).bx(GREY.into()).make();
    }
}
