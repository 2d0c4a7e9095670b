//! Smooth lines: round-ended strokes of any width, with coverage computed in integers, so that every machine gets the
//! same pixels.

use crate::text::Backdrop;
use crate::{Color, Image, WIDTH, font, theme};

/// Subdivisions of a pixel; also the coverage of a pixel wholly inside.
pub(crate) const UNIT: i32 = 64;

/// A line with round ends, in 1/64 pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    pub(crate) from: (i32, i32),
    pub(crate) to: (i32, i32),
    pub(crate) radius: i32,
}

impl Stroke {
    /// A line between two points given in pixels, with a radius in 1/64 pixels.
    pub(crate) const fn line(x: i32, y: i32, to_x: i32, to_y: i32, radius: i32) -> Self {
        Self {
            from: (x * UNIT, y * UNIT),
            to: (to_x * UNIT, to_y * UNIT),
            radius,
        }
    }

    /// How much of the pixel is covered, 0 to 64.
    pub(crate) fn coverage(&self, x: i32, y: i32) -> i32 {
        let (px, py) = (i64::from(x * UNIT + UNIT / 2), i64::from(y * UNIT + UNIT / 2));
        let (ax, ay) = (i64::from(self.from.0), i64::from(self.from.1));
        let (dx, dy) = (i64::from(self.to.0) - ax, i64::from(self.to.1) - ay);
        let length = dx * dx + dy * dy;
        let along = ((px - ax) * dx + (py - ay) * dy).clamp(0, length);
        let (nx, ny) = if length == 0 {
            (ax, ay)
        } else {
            (ax + dx * along / length, ay + dy * along / length)
        };
        let square = (px - nx) * (px - nx) + (py - ny) * (py - ny);
        let distance = square.isqrt() as i32;
        (self.radius + UNIT / 2 - distance).clamp(0, UNIT)
    }

    /// Columns the stroke can touch in row `y`, if it touches the row.
    fn columns(&self, y: i32, width: i32) -> core::ops::Range<i32> {
        let reach = self.radius + UNIT;
        let row = y * UNIT + UNIT / 2;
        if row < self.from.1.min(self.to.1) - reach || row > self.from.1.max(self.to.1) + reach {
            return 0..0;
        }
        let left = (self.from.0.min(self.to.0) - reach) / UNIT;
        let right = (self.from.0.max(self.to.0) + reach) / UNIT + 1;
        left.clamp(0, width)..right.clamp(0, width)
    }
}

/// Strokes of one colour; where they overlap they are one shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) color: Color,
    pub(crate) strokes: &'a [Stroke],
}

/// Layers of strokes over a backdrop.
#[derive(Debug)]
pub(crate) struct StrokeImage<'a> {
    pub(crate) backdrop: Backdrop,
    pub(crate) layers: &'a [Layer<'a>],
}

impl Image for StrokeImage<'_> {
    fn row(&self, y: i32, out: &mut [Color]) {
        out.fill(self.backdrop.color(y));
        for layer in self.layers {
            blend_row(layer, y, out);
        }
    }
}

/// Draws one row of a layer over what is there.
pub(crate) fn blend_row(layer: &Layer<'_>, y: i32, out: &mut [Color]) {
    let mut covered = [0u8; WIDTH];
    for stroke in layer.strokes {
        for x in stroke.columns(y, out.len() as i32) {
            if let Some(most) = covered.get_mut(x as usize) {
                *most = (*most).max(stroke.coverage(x, y) as u8);
            }
        }
    }
    for (pixel, covered) in out.iter_mut().zip(covered).filter(|(_, covered)| *covered > 0) {
        *pixel = theme::mix(*pixel, layer.color, covered.into(), UNIT);
    }
}

/// Points of one stroke after rounding.
const MAX_POINTS: usize = 64;

/// Room for the strokes of a word.
#[derive(Debug)]
pub(crate) struct StrokeList<const N: usize> {
    strokes: [Stroke; N],
    length: usize,
}

impl<const N: usize> StrokeList<N> {
    pub(crate) fn new() -> Self {
        Self {
            strokes: [Stroke::line(0, 0, 0, 0, 0); N],
            length: 0,
        }
    }

    pub(crate) fn strokes(&self) -> &[Stroke] {
        self.strokes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, stroke: Stroke) {
        if let Some(cell) = self.strokes.get_mut(self.length) {
            *cell = stroke;
            self.length += 1;
        }
    }

    /// Adds a character whose grid has its origin at (`x`, `y`) and `grid` per step, all in 1/64 pixels.
    pub(crate) fn push_character(&mut self, character: u8, (x, y): (i32, i32), grid: i32, radius: i32) {
        for points in font::strokes(character) {
            let mut path = Path::new(points.map(|(column, row)| (x + column * grid, y + row * grid)));
            path.round();
            path.round();
            for pair in path.points().windows(2) {
                if let [from, to] = pair {
                    self.push(Stroke {
                        from: *from,
                        to: *to,
                        radius,
                    });
                }
            }
        }
    }
}

/// A line through points.
struct Path {
    points: [(i32, i32); MAX_POINTS],
    length: usize,
}

impl Path {
    fn new(points: impl Iterator<Item = (i32, i32)>) -> Self {
        let mut path = Self {
            points: [(0, 0); MAX_POINTS],
            length: 0,
        };
        points.for_each(|point| path.push(point));
        path
    }

    fn points(&self) -> &[(i32, i32)] {
        self.points.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, point: (i32, i32)) {
        if let Some(cell) = self.points.get_mut(self.length) {
            *cell = point;
            self.length += 1;
        }
    }

    /// Cuts the corners (Chaikin): each side keeps its middle half. Ends stay where they are; a closed line is rounded
    /// at its seam as well.
    fn round(&mut self) {
        let source = Self {
            points: self.points,
            length: self.length,
        };
        let points = source.points();
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return;
        };
        let closed = points.len() > 2 && first == last;
        self.length = 0;
        if !closed {
            self.push(*first);
        }
        for pair in points.windows(2) {
            if let [from, to] = pair {
                self.push(between(*from, *to, 1));
                self.push(between(*from, *to, 3));
            }
        }
        if closed {
            if let Some(start) = self.points().first().copied() {
                self.push(start);
            }
        } else {
            self.push(*last);
        }
    }
}

fn between(from: (i32, i32), to: (i32, i32), quarters: i32) -> (i32, i32) {
    (
        from.0 + (to.0 - from.0) * quarters / 4,
        from.1 + (to.1 - from.1) * quarters / 4,
    )
}
