//! Prints the registers of the VGA core.

use caraway_guest_rt::cpu::{in8, in16, out8, out16};
use caraway_guest_rt::print;

const DISPI: u16 = 0x1ce;
const MISCELLANEOUS: u16 = 0x3cc;
const SEQUENCER: u16 = 0x3c4;
const GRAPHICS: u16 = 0x3ce;
const CRTC: u16 = 0x3d4;
const ATTRIBUTE: u16 = 0x3c0;
const ATTRIBUTE_READ: u16 = 0x3c1;
const STATUS: u16 = 0x3da;
/// Bit of the attribute index that leaves the screen on.
const SCREEN_ON: u8 = 0x20;

/// One line for each group: `NAME VALUE...` in hexadecimal from register 0 on.
pub(crate) fn print() {
    print!("dispi");
    for index in 0..=10 {
        out16(DISPI, index);
        print!(" {:x}", in16(DISPI + 1));
    }
    print!("\nmisc {:02x}\n", in8(MISCELLANEOUS));
    indexed("sr", SEQUENCER, 5);
    indexed("cr", CRTC, 0x19);
    indexed("gr", GRAPHICS, 9);
    print!("ar");
    for index in 0..0x15 {
        in8(STATUS);
        out8(ATTRIBUTE, index | SCREEN_ON);
        print!(" {:02x}", in8(ATTRIBUTE_READ));
    }
    in8(STATUS);
    print!("\n");
}

fn indexed(name: &str, port: u16, count: u8) {
    print!("{name}");
    for index in 0..count {
        out8(port, index);
        print!(" {:02x}", in8(port + 1));
    }
    print!("\n");
}
