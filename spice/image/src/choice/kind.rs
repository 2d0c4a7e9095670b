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
    let contrast = CONTRAST[usize::from(narrow)];
    let stored: Vec<&[u8]> = rows.stored().collect();
    // Quarters of a point, and pairs of pixels.
    let (mut score, mut pairs) = (0i64, 0i64);
    let mut at = width / 2;
    while at < width * (height - 1) {
        at -= usize::from((at + 1).is_multiple_of(width));
        let (x, y) = (at % width, at / width);
        let pixel = |x, y: usize| stored.get(y).map_or([0; 3], |row| components(rows.format, row, x));
        let own = pixel(x, y);
        let others = [pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
        let points = others.map(|other| match own.into_iter().zip(other) {
            pairs if pairs.clone().any(|(a, b)| a.abs_diff(b) >= contrast) => 4,
            _ if own == other => 2,
            _ => -1,
        });
        // A flat place says nothing.
        if points != [2; 3] {
            score += points.iter().sum::<i64>();
        }
        pairs += 3;
        at += step;
    }
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

/// The components of a pixel as they are stored: 5 bits each or 8.
fn components(format: BitmapFormat, row: &[u8], x: usize) -> [u32; 3] {
    let bytes = format.bits_per_pixel() as usize / 8;
    match row.get(x * bytes..).unwrap_or_default() {
        [low, high, ..] if bytes == 2 => {
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
    // One in each of as many equal parts, a little further from where its part begins each time, so that the samples do
    // not stand in columns.
    let mut colours: Vec<u32> = (0..samples)
        .filter_map(|sample| {
            let at = (sample * pixels + sample * pixels / samples) / samples;
            let row = stored.get((at / width) as usize)?;
            let value = match components(rows.format, row, (at % width) as usize) {
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
