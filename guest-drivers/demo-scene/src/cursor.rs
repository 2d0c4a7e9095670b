//! The shape of the hardware cursor.

use crate::stroke::{Stroke, UNIT};

/// Width and height of the cursor in pixels.
pub const CURSOR_SIZE: usize = 32;
/// Column and row of the arrow's tip.
pub const CURSOR_HOT_SPOT: (u16, u16) = (3, 2);

/// The arrow's corners.
const ARROW: [(i32, i32); 8] = [(3, 2), (3, 24), (8, 19), (12, 28), (16, 26), (12, 18), (19, 18), (3, 2)];
const OUTLINE: i32 = UNIT;
const SHADOW_REACH: i32 = 3 * UNIT;
/// Opacity of the shadow at the arrow's edge, of 64.
const SHADOW: i32 = 26;
const FACE: i32 = 0xfa;
const EDGE: i32 = 0x14;

/// The pixels, premultiplied 0xAARRGGBB, rows top-down.
pub fn cursor_pixels() -> [u32; CURSOR_SIZE * CURSOR_SIZE] {
    let mut pixels = [0; CURSOR_SIZE * CURSOR_SIZE];
    for (index, pixel) in (0..).zip(&mut pixels) {
        *pixel = pixel_at(index % CURSOR_SIZE as i32, index / CURSOR_SIZE as i32);
    }
    pixels
}

fn pixel_at(x: i32, y: i32) -> u32 {
    let edge = outline(x, y, OUTLINE);
    let inside = if contains(x, y) { UNIT } else { 0 };
    let body = edge.max(inside);
    let shadow =
        (outline(x - 1, y - 2, SHADOW_REACH) * SHADOW / UNIT).max(if contains(x - 1, y - 2) { SHADOW } else { 0 });
    // The body over its shadow; the outline over the face.
    let alpha = body + shadow * (UNIT - body) / UNIT;
    let grey = (FACE * (UNIT - edge) + EDGE * edge) / UNIT * body / UNIT;
    let alpha = (alpha * 255 / UNIT) as u32;
    let grey = (grey as u32).min(alpha);
    (alpha << 24) | (grey << 16) | (grey << 8) | grey
}

/// Coverage by the outline drawn with a pen of this radius.
fn outline(x: i32, y: i32, radius: i32) -> i32 {
    let sides = ARROW.windows(2).filter_map(|pair| match pair {
        [(x, y), (to_x, to_y)] => Some(Stroke::line(*x, *y, *to_x, *to_y, radius)),
        _ => None,
    });
    let cover = sides.map(|side| side.coverage(x, y)).max().unwrap_or(0);
    // A broad pen fades towards its rim.
    if radius <= OUTLINE {
        cover
    } else {
        cover * UNIT / radius.max(UNIT)
    }
}

/// Whether the middle of a pixel is inside the arrow (even-odd rule).
fn contains(x: i32, y: i32) -> bool {
    let (px, py) = (2 * x + 1, 2 * y + 1);
    let crossings = ARROW.windows(2).filter(|pair| match pair {
        [(ax, ay), (bx, by)] => {
            let (ax, ay, bx, by) = (2 * ax, 2 * ay, 2 * bx, 2 * by);
            let spans = (ay > py) != (by > py);
            // Where the side crosses the pixel's row, compared without division.
            let side = (px - ax) * (by - ay) - (bx - ax) * (py - ay);
            spans && (side < 0) == (by > ay)
        }
        _ => false,
    });
    crossings.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_is_light_inside_dark_at_its_rim_and_premultiplied() {
        let pixels = cursor_pixels();
        let at = |x: usize, y: usize| pixels[y * CURSOR_SIZE + x];
        assert_eq!(at(6, 14), 0xfffa_fafa);
        assert_eq!(at(3, 12) >> 24, 0xff);
        assert!(at(3, 12) & 0xff < 0x60, "{:#x}", at(3, 12));
        assert_eq!(at(31, 0), 0);
        assert!(pixels.iter().all(|pixel| pixel & 0xff <= pixel >> 24));
    }
}
