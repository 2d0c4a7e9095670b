//! The picture of 16-colour modes: all write modes, both read modes, set/reset, rotation and logic, and BIOS calls.

use caraway_guest_rt::cpu::out16;
use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::real_mode;

use crate::text::{move_to, teletype};
use crate::video::Call;

const WINDOW: u32 = 0xa_0000;
const SEQUENCER: u16 = 0x3c4;
const MAP_MASK: u8 = 2;
const GRAPHICS: u16 = 0x3ce;
const SET_RESET: u8 = 0;
const ENABLE_SET_RESET: u8 = 1;
const COLOUR_COMPARE: u8 = 2;
const FUNCTION: u8 = 3;
const READ_MAP: u8 = 4;
const MODE: u8 = 5;
const DO_NOT_CARE: u8 = 7;
const BIT_MASK: u8 = 8;
/// Functions, for FUNCTION, with the latches.
const AND: u8 = 0x08;
const OR: u8 = 0x10;
const XOR: u8 = 0x18;
const READ_MODE_1: u8 = 0x08;

struct Planar {
    /// Bytes of a line.
    pitch: u32,
}

impl Planar {
    fn at(&self, column: u32, line: u32) -> u32 {
        WINDOW + line * self.pitch + column
    }

    /// Writes bytes, one after the other as the device sees them.
    fn write(&self, column: u32, line: u32, value: u8) {
        real_mode::write(self.at(column, line), Width::B1, value.into());
    }

    fn read(&self, column: u32, line: u32) -> u8 {
        real_mode::read(self.at(column, line), Width::B1).unwrap_or(0) as u8
    }

    /// Reads for the latches' sake, then writes.
    fn change(&self, column: u32, line: u32, value: u8) {
        self.read(column, line);
        self.write(column, line, value);
    }
}

fn graphics(index: u8, value: u8) {
    out16(GRAPHICS, u16::from_le_bytes([index, value]));
}

fn planes(mask: u8) {
    out16(SEQUENCER, u16::from_le_bytes([MAP_MASK, mask]));
}

/// Draws on any screen.
pub(crate) fn draw(width: u32, height: u32) {
    let screen = Planar { pitch: width / 8 };
    bands(&screen, height);
    let box_height = height / 12;
    latches(&screen, box_height);
    logic(&screen, box_height);
    compare(&screen, box_height);
    masked(&screen, height / 2, box_height);
    separate_planes(&screen, height / 2 + box_height + 4, box_height);
    defaults();
    by_bios(width, height);
}

/// The whole screen in bands of the 16 colours, by set/reset.
fn bands(screen: &Planar, height: u32) {
    planes(0x0f);
    graphics(ENABLE_SET_RESET, 0x0f);
    graphics(BIT_MASK, 0xff);
    graphics(FUNCTION, 0);
    graphics(MODE, 0);
    for line in 0..height {
        let colour = (line * 16 / height) as u8;
        graphics(SET_RESET, colour);
        // The value does not matter; eight bytes with one access where they are a multiple.
        let words = screen.pitch / 8;
        for word in 0..words {
            real_mode::write(screen.at(8 * word, line), Width::B8, 0);
        }
        for column in 8 * words..screen.pitch {
            screen.write(column, line, 0);
        }
    }
    graphics(ENABLE_SET_RESET, 0);
}

/// Write mode 1: a box copied through the latches.
fn latches(screen: &Planar, size: u32) {
    graphics(MODE, 1);
    for line in 0..size {
        for column in 0..4 {
            screen.read(column, 10 * size + line);
            screen.write(4 + column, size / 2 + line, 0);
        }
    }
}

/// Write mode 0 with each function and a rotation.
fn logic(screen: &Planar, size: u32) {
    graphics(MODE, 0);
    for (number, function) in [0, AND, OR, XOR].into_iter().enumerate() {
        graphics(FUNCTION, function | 3);
        for line in 0..2 * size {
            for column in 0..3 {
                screen.change(10 + 4 * number as u32 + column, size / 2 + line, 0x1f ^ line as u8);
            }
        }
    }
    graphics(FUNCTION, 0);
}

/// Read mode 1: where the planes say colour 5, all of them or but the last, seen in white below.
fn compare(screen: &Planar, size: u32) {
    for (number, care) in [0x0f_u8, 0x07].into_iter().enumerate() {
        for line in 0..4 * size {
            graphics(MODE, READ_MODE_1);
            graphics(COLOUR_COMPARE, 5);
            graphics(DO_NOT_CARE, care);
            let found = screen.read(30 + number as u32, 3 * size + line);
            graphics(MODE, 0);
            screen.write(34 + number as u32, 3 * size + line, found);
        }
    }
    graphics(COLOUR_COMPARE, 0);
    graphics(DO_NOT_CARE, 0x0f);
}

/// Write modes 2 and 3 with a bit mask.
fn masked(screen: &Planar, top: u32, size: u32) {
    for line in 0..size {
        graphics(MODE, 2);
        graphics(BIT_MASK, 0x80 >> (line % 8));
        for colour in 0..16 {
            screen.change(2 + colour, top + line, colour as u8);
        }
        graphics(MODE, 3);
        graphics(BIT_MASK, 0x3c);
        for colour in 0..16 {
            graphics(SET_RESET, 15 - colour as u8);
            screen.change(20 + colour, top + line, (0xff_u32 << (line % 8)) as u8);
        }
    }
    graphics(BIT_MASK, 0xff);
    graphics(SET_RESET, 0);
}

/// Single planes written by the map mask, and one read back by read map select.
fn separate_planes(screen: &Planar, top: u32, size: u32) {
    graphics(MODE, 0);
    for line in 0..size {
        for plane in 0..4_u8 {
            planes(1 << plane);
            screen.write(2 + 2 * u32::from(plane), top + line, 0xf0);
            screen.write(3 + 2 * u32::from(plane), top + line, 0xcc);
            graphics(READ_MAP, plane);
            let seen = screen.read(3 + 2 * u32::from(plane), top + line);
            planes(0x0f);
            screen.write(12 + u32::from(plane), top + line, seen);
        }
    }
    graphics(READ_MAP, 0);
}

/// As the BIOS leaves the registers.
fn defaults() {
    planes(0x0f);
    graphics(MODE, 0);
}

/// AH=0c: pixels in a diagonal, then some of them again with XOR; text.
fn by_bios(width: u32, height: u32) {
    let base = (height * 3 / 4) as u16;
    for step in 0..40_u16 {
        let pixel = Call::new(0x0c00 | step & 15)
            .cx(width as u16 / 2 + 2 * step)
            .dx(base + step);
        pixel.make();
        if step % 4 == 0 {
            Call::new(0x0c8f).cx(pixel.cx).dx(pixel.dx).make();
        }
    }
    move_to(1, 2);
    teletype(b"int 10h");
}
