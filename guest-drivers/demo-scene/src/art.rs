//! The two drawings: the name in large letters, and the umbel of a caraway plant.

use crate::stroke::{Layer, Stroke, StrokeImage, StrokeList, UNIT};
use crate::text::Backdrop;
use crate::{Painter, theme};

const NAME: &[u8] = b"Caraway";
const GRID: i32 = 10 * UNIT;
const PEN: i32 = 7 * UNIT;
/// From the left edge of one letter to the next, in 1/64 pixels.
const ADVANCE: i32 = 72 * UNIT;

pub(crate) fn draw_title(painter: &mut impl Painter) {
    let mut letters = StrokeList::<320>::new();
    let mut shadow = StrokeList::<320>::new();
    let mut x = 10 * UNIT;
    for character in NAME {
        letters.push_character(*character, (x, -10 * UNIT), GRID, PEN);
        shadow.push_character(*character, (x + 3 * UNIT, -7 * UNIT), GRID, PEN);
        // The wide letter of the table is one step wider.
        x += if *character == b'w' { ADVANCE + GRID } else { ADVANCE };
    }
    let layers = [
        Layer {
            color: theme::SHADOW,
            strokes: shadow.strokes(),
        },
        Layer {
            color: theme::CREAM,
            strokes: letters.strokes(),
        },
    ];
    let area = theme::TITLE;
    painter.copy(
        area,
        &StrokeImage {
            backdrop: Backdrop::Background(area.y),
            layers: &layers,
        },
    );
}

/// Where the rays of the umbel meet, and where they end.
const HUB: (i32, i32) = (128, 118);
const RAY_ENDS: [(i32, i32); 7] = [(26, 84), (52, 50), (88, 30), (128, 22), (168, 30), (204, 50), (230, 84)];
/// A floret: offsets of its blossoms from the end of its ray.
const BLOSSOMS: [(i32, i32); 6] = [(-13, 3), (-8, -9), (4, -13), (12, -4), (8, 8), (0, -2)];

pub(crate) fn draw_umbel(painter: &mut impl Painter) {
    let mut stems = [Stroke::line(0, 0, 0, 0, 0); 10];
    let mut florets = [Stroke::line(0, 0, 0, 0, 0); RAY_ENDS.len() * BLOSSOMS.len()];
    let mut hearts = [Stroke::line(0, 0, 0, 0, 0); RAY_ENDS.len()];
    let curve = [(HUB.0, HUB.1), (126, 146), (122, 172), (114, 195)];
    let trunk = curve.windows(2).filter_map(|pair| match pair {
        [(x, y), (to_x, to_y)] => Some(Stroke::line(*x, *y, *to_x, *to_y, 150)),
        _ => None,
    });
    let rays = RAY_ENDS.iter().map(|(x, y)| Stroke::line(HUB.0, HUB.1, *x, *y, 90));
    stems
        .iter_mut()
        .zip(trunk.chain(rays))
        .for_each(|(cell, stroke)| *cell = stroke);
    let blossoms = RAY_ENDS.iter().flat_map(|(x, y)| {
        BLOSSOMS
            .iter()
            .map(move |(dx, dy)| Stroke::line(x + dx, y + dy, x + dx, y + dy, 330))
    });
    florets
        .iter_mut()
        .zip(blossoms)
        .for_each(|(cell, stroke)| *cell = stroke);
    hearts
        .iter_mut()
        .zip(RAY_ENDS)
        .for_each(|(cell, (x, y))| *cell = Stroke::line(x, y, x, y, 240));
    let layers = [
        Layer {
            color: theme::LEAF,
            strokes: &stems,
        },
        Layer {
            color: theme::CREAM,
            strokes: &florets,
        },
        Layer {
            color: theme::AMBER,
            strokes: &hearts,
        },
    ];
    let area = theme::UMBEL;
    painter.copy(
        area,
        &StrokeImage {
            backdrop: Backdrop::Background(area.y),
            layers: &layers,
        },
    );
}
