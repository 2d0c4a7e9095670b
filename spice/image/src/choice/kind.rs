//! What an image looks like, from a part of its pixels.

use caraway_ports::drawing::{Bitmap, BitmapFormat};

use super::FEW_COLOURS;
use crate::{color, rows::Rows};

/// How many pixels are looked at to count colours.
pub const COLOUR_SAMPLES: u32 = 256;

/// How smooth a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Graduality {
    /// Drawn: text, windows.
    Low,
    /// In between: it may be video, but is no photograph.
    Medium,
    /// Smooth: a photograph.
    High,
}

/// Differences of a component that stand out, for 8 bits and for 5.
const CONTRAST: [u32; 2] = [60, 8];
/// In larger pictures not all rows are sampled, but as many as have about so many pixels: they are enough to tell.
const ENOUGH_PIXELS: usize = 1 << 16;
/// Steps from sample to sample, the second where the first would stay in a column.
const STEPS: [usize; 2] = [15, 14];

/// How smooth a bitmap is: a sample of pixels is compared with the neighbours on the right, below, and below that.
/// `None` for formats without colours of their own and for bitmaps whose rows are not there.
#[must_use]
pub fn graduality(bitmap: &Bitmap) -> Option<Graduality> {
    let rows = Rows::of_bitmap(bitmap).ok()?;
    let (width, height) = (rows.width as usize, rows.height as usize);
    if width <= 1 || height <= 1 {
        return Some(Graduality::Low);
    }
    let step = STEPS[usize::from(STEPS[0].is_multiple_of(width))];
    let narrow = rows.format == BitmapFormat::Bit16;
    let Sums { score, pairs } = match rows.format.bits_per_pixel() {
        16 => sums::<2>(&rows, step, CONTRAST[1]),
        24 => sums::<3>(&rows, step, CONTRAST[0]),
        _ => sums::<4>(&rows, step, CONTRAST[0]),
    };
    // Less than -0.03 of a point for each pair, or 0 for 5 bits; less than 0.002.
    let high = if narrow { score < 0 } else { 25 * score < -3 * pairs };
    Some(if high {
        Graduality::High
    } else if 125 * score < pairs {
        Graduality::Medium
    } else {
        Graduality::Low
    })
}

/// What the samples came to.
struct Sums {
    /// Quarters of a point.
    score: i64,
    /// Pairs of pixels.
    pairs: i64,
}

/// Every `step`-th pixel, from the middle of the first row on, but for the last row, of large pictures in some of the rows;
/// one in the last column is taken for the one before. A pixel has `BYTES` bytes.
fn sums<const BYTES: usize>(rows: &Rows, step: usize, contrast: u32) -> Sums {
    let width = rows.width as usize;
    let each = (width * rows.height as usize / ENOUGH_PIXELS).max(1);
    let mut stored = rows.stored().map(|row| row.as_chunks::<BYTES>().0);
    let mut sums = Sums { score: 0, pairs: 0 };
    let (Some(mut row), Some(mut below)) = (stored.next(), stored.next()) else {
        return sums;
    };
    let mut x = width / 2;
    loop {
        while x >= width {
            x -= width;
            if each > 1 {
                let Some(next) = stored.nth(each - 2) else { return sums };
                below = next;
            }
            row = below;
            let Some(next) = stored.next() else { return sums };
            below = next;
        }
        x -= usize::from(x + 1 == width);
        if let (Some([own, right]), Some([under, beside])) = (row.get(x..x + 2), below.get(x..x + 2)) {
            let (first, mut points) = (components(own), 0);
            for other in [right, under, beside].map(|pixel: &[u8; BYTES]| components(pixel)) {
                let [a, b, c] = [0, 1, 2].map(|at: usize| first[at].abs_diff(other[at]));
                points += if a | b | c == 0 {
                    2
                } else if a.max(b).max(c) >= contrast {
                    4
                } else {
                    -1
                };
            }
            // A flat place says nothing: all three pairs are equal, which no others make 6 points of.
            if points != 6 {
                sums.score += points;
            }
        }
        sums.pairs += 3;
        x += step;
    }
}

/// The components of a pixel as they are stored: 5 bits each or 8.
fn components(pixel: &[u8]) -> [u32; 3] {
    match pixel {
        [low, high] => {
            let value = u32::from(u16::from_le_bytes([*low, *high]));
            [value & 31, (value >> 5) & 31, (value >> 10) & 31]
        }
        [b, g, r, ..] => [*b, *g, *r].map(u32::from),
        _ => [0; 3],
    }
}

/// How many colours [`COLOUR_SAMPLES`] pixels show, spread over all of the picture; alpha does not count. `None` for
/// formats without colours of their own and for bitmaps whose rows are not there.
#[must_use]
pub fn sampled_colours(bitmap: &Bitmap) -> Option<u32> {
    let rows = Rows::of_bitmap(bitmap).ok()?;
    let stored: Vec<&[u8]> = rows.stored().collect();
    let (width, pixels) = (u64::from(rows.width), u64::from(rows.width) * u64::from(rows.height));
    let samples = u64::from(COLOUR_SAMPLES).min(pixels);
    let bytes = rows.format.bits_per_pixel() as usize / 8;
    // One in each of as many equal parts, a little further from where its part begins each time, so that the samples do
    // not stand in columns.
    let mut colours: Vec<u32> = (0..samples)
        .filter_map(|sample| {
            let at = (sample * pixels + sample * pixels / samples) / samples;
            let row = stored.get((at / width) as usize)?;
            let pixel = row.get((at % width) as usize * bytes..)?.get(..bytes)?;
            let value = match components(pixel) {
                [b, g, r] if rows.format == BitmapFormat::Bit16 => color::from_555((b | (g << 5) | (r << 10)) as u16),
                [b, g, r] => b | (g << 8) | (r << 16),
            };
            Some(value)
        })
        .collect();
    colours.sort_unstable();
    colours.dedup();
    Some(colours.len() as u32)
}

/// Whether a bitmap is a photograph: smooth, and of many colours.
#[must_use]
pub fn is_photo(bitmap: &Bitmap) -> bool {
    graduality(bitmap) == Some(Graduality::High) && sampled_colours(bitmap).is_some_and(|colours| colours > FEW_COLOURS)
}
