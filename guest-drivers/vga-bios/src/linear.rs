//! The picture of VBE modes of 8 to 32 bits a pixel, drawn in the linear frame buffer or through the window by banks.

use caraway_guest_rt::mmio::{self, Width};
use caraway_guest_rt::real_mode;

use crate::video::{self, Call, VbeMode};

const WINDOW: u32 = 0xa_0000;
const BANK: u32 = 0x1_0000;
const BARS: u32 = 8;
const CHECKS: u32 = 16;
/// Longest line that is drawn: 1600 pixels of 32 bits.
const LINE: usize = 6400;

/// Draws on any screen; whether the mode can be drawn in.
pub(crate) fn draw(mode: &VbeMode) -> bool {
    let bytes = mode.bits.div_ceil(8);
    let used = mode.width * bytes;
    // AX=4f06, BL=1: the length of a line, which may have been changed.
    let pitch = u32::from(Call::new(0x4f06).bx(1).make().bx);
    if used as usize > LINE || used > pitch || !used.is_multiple_of(8) {
        return false;
    }
    if mode.bits == 8 {
        video::set_palette(|index| {
            // Not up to 255: repeated bits would be the same in a DAC of six bits and of eight.
            let scale = |value: u8, most: u32| (u32::from(value) * 250 / most) as u8;
            [scale(index >> 5, 7), scale(index >> 2 & 7, 7), scale(index & 3, 3)]
        });
    }
    let mut line = [0; LINE];
    let mut target = Target::new(mode);
    for y in 0..mode.height {
        for (x, pixel) in (0..mode.width).zip(line.chunks_exact_mut(bytes as usize)) {
            let value = pack(colour(x, y, mode.width, mode.height), mode.bits);
            pixel.copy_from_slice(value.to_le_bytes().get(..pixel.len()).unwrap_or_default());
        }
        let (words, _) = line.as_chunks::<8>();
        for (at, word) in (y * pitch..y * pitch + used).step_by(8).zip(words) {
            target.write(at, u64::from_le_bytes(*word));
        }
    }
    true
}

/// Red, green, blue: bars, ramps, a board of single pixels, all in a white frame with a diagonal.
fn colour(x: u32, y: u32, width: u32, height: u32) -> [u8; 3] {
    const WHITE: [u8; 3] = [255; 3];
    if x == 0 || y == 0 || x == width - 1 || y == height - 1 || x == y {
        return WHITE;
    }
    let ramp = (x * 256 / width) as u8;
    match y * 6 / height {
        0 | 1 => {
            let bar = x * BARS / width;
            [bar & 4, bar & 2, bar & 1].map(|bit| if bit == 0 { 0 } else { 255 })
        }
        2 => [ramp, 0, 0],
        3 => [0, ramp, 0],
        4 => [0, 0, ramp],
        _ if x % (2 * CHECKS) < CHECKS && (x + y).is_multiple_of(2) => WHITE,
        _ => [ramp, 255 - ramp, 128],
    }
}

/// A pixel of `bits` bits. In a mode of 8 bits: three of red, three of green, two of blue.
fn pack([red, green, blue]: [u8; 3], bits: u32) -> u32 {
    let (red, green, blue) = (u32::from(red), u32::from(green), u32::from(blue));
    match bits {
        8 => (red & 0xe0) | (green & 0xe0) >> 3 | blue >> 6,
        15 => (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3,
        16 => (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3,
        _ => red << 16 | green << 8 | blue,
    }
}

/// Where the picture's memory is.
enum Target {
    Linear(u32),
    /// Through the window; the bank that is there.
    Banked(Option<u32>),
}

impl Target {
    fn new(mode: &VbeMode) -> Self {
        mode.linear.map_or(Self::Banked(None), Self::Linear)
    }

    fn write(&mut self, offset: u32, value: u64) {
        match self {
            Self::Linear(base) => {
                mmio::write(*base + offset, Width::B8, value);
            }
            Self::Banked(now) => {
                let bank = offset / BANK;
                if *now != Some(bank) {
                    *now = Some(bank);
                    Call::new(0x4f05).dx(bank as u16).make();
                }
                real_mode::write(WINDOW + offset % BANK, Width::B8, value);
            }
        }
    }
}
