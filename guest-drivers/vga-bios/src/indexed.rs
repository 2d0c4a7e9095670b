//! The pictures of modes whose pixels are in the window as they are: 320x200 bytes, and CGA.

use caraway_guest_rt::mmio::Width;
use caraway_guest_rt::real_mode;

use crate::text::{move_to, teletype};
use crate::video::{BUFFER, Call};

const WINDOW: u32 = 0xa_0000;
const CGA_WINDOW: u32 = 0xb_8000;
const CGA_BANK: u32 = 0x2000;
const WIDTH: u32 = 320;
const HEIGHT: u32 = 200;
const CGA_PITCH: u32 = 80;

/// Mode 13h: bands of all colours above a ramp, with a palette set by AX=1012.
pub(crate) fn draw() {
    for index in 0..=u8::MAX {
        // Components of six bits.
        let entry = [index >> 2, index & 0x3f, 0x3f - (index >> 2)];
        real_mode::write_bytes(BUFFER + 3 * u32::from(index), &entry);
    }
    Call::new(0x1012).cx(256).make();
    for line in 0..HEIGHT {
        for x in (0..WIDTH).step_by(8) {
            let pixels: [u8; 8] = core::array::from_fn(|step| {
                let x = x + step as u32;
                if line < HEIGHT / 2 {
                    (x / 5 * 4 + line / 25) as u8
                } else {
                    (x / 20 + line / 6 * 16) as u8
                }
            });
            real_mode::write(WINDOW + line * WIDTH + x, Width::B8, u64::from_le_bytes(pixels));
        }
    }
    for step in 0..64_u16 {
        Call::new(0x0cff).cx(4 + 4 * step).dx(68 + step).make();
    }
    move_to(20, 3);
    teletype(b"mode 13h");
}

/// Modes 4 to 6: stripes of all pixel values, lines in two banks.
pub(crate) fn draw_cga(bits: u32) {
    for line in 0..HEIGHT {
        let start = CGA_WINDOW + line % 2 * CGA_BANK + line / 2 * CGA_PITCH;
        for column in (0..CGA_PITCH).step_by(8) {
            let value = match (bits, line / 50) {
                (_, 0) => 0x1b * 0x0101_0101_0101_0101,
                (_, 1) => 0xffaa_5500_ffaa_5500,
                (2, _) => u64::from(line % 4) * 0x5555_5555_5555_5555,
                _ => u64::from(line % 8 + 1) * 0x0101_0101_0101_0101,
            };
            real_mode::write(start + column, Width::B8, value);
        }
    }
    for step in 0..40_u16 {
        Call::new(0x0c01).cx(4 + 4 * step).dx(110 + step).make();
    }
    move_to(20, 3);
    teletype(b"CGA");
}
