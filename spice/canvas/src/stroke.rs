//! Lines one pixel wide.

use std::ops::{ControlFlow, Range};

use caraway_ports::{
    drawing::{PathSegment, Rop},
    geometry::{Point, Rect},
};

use crate::{
    error::DrawError,
    path::{self, Line},
    picture::Paint,
    region::{Region, RegionBits},
    rop::{BinaryOp, Operands},
    surface::Surface,
};

/// Most pixels and lines of one path. A screen of 16 million pixels drawn over once.
const MAX_PIXELS: u64 = 1 << 24;

/// A path ready to be drawn.
#[derive(Debug)]
pub(crate) struct Stroke<'s> {
    pub(crate) path: &'s [PathSegment],
    pub(crate) dashes: Dashes,
    pub(crate) brush: Paint<'s>,
    pub(crate) mode: Rop,
}

impl Stroke<'_> {
    /// Refuses a path whose visible part is beyond the budget.
    pub(crate) fn check(&self, region: &Region) -> Result<(), DrawError> {
        let bounds = region.bounds();
        let mut pixels = 0u64;
        let flow = path::lines(self.path, |line| {
            pixels += 1 + Steps::new(&line, &bounds).count();
            if pixels > MAX_PIXELS {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        if flow.is_break() {
            return Err(DrawError::Path {
                pixels,
                max: MAX_PIXELS,
            });
        }
        Ok(())
    }

    /// Draws; the rectangle around what was drawn.
    pub(crate) fn draw(&self, surface: &mut Surface, region: &Region) -> Rect {
        let bits = RegionBits::new(region);
        let bounds = region.bounds();
        let op = BinaryOp::new(self.mode, Operands::BRUSH_DEST);
        let format = surface.format;
        let mut drawn = Rect::default();
        let mut phase = 0u64;
        let _: ControlFlow<()> = path::lines(self.path, |line| {
            if line.first {
                phase = 0;
            }
            let steps = Steps::new(&line, &bounds);
            for (step, point) in steps.points() {
                if !bits.contains(point.x, point.y) || !self.dashes.is_on(phase + step) {
                    continue;
                }
                let (x, y) = (point.x.unsigned_abs(), point.y.unsigned_abs());
                let value = op.apply(self.brush.pixel(x, y, format), surface.pixel(x, y));
                surface.store(x, y, &[value]);
                drawn = drawn.union(&Rect::at(point.x, point.y, 1, 1));
            }
            phase += steps.length();
            ControlFlow::Continue(())
        });
        drawn
    }
}

/// The pattern of a styled line, in pixels along the longer axis.
#[derive(Debug)]
pub(crate) struct Dashes {
    /// Where each length ends, from the begin of the pattern; an even number of them, or none: a solid line.
    ends: Vec<u64>,
    /// Whether the first length is a gap.
    start_with_gap: bool,
}

impl Dashes {
    /// Of 28.4 lengths, on and off in turn. An odd number is taken twice; lengths below 0 are 0.
    pub(crate) fn new(style: &[i32], start_with_gap: bool) -> Self {
        let repeat = if style.len().is_multiple_of(2) { 1 } else { 2 };
        let lengths = style.iter().cycle().take(style.len() * repeat);
        let ends: Vec<u64> = lengths
            .scan(0u64, |end, length| {
                *end += u64::try_from(path::whole(*length)).unwrap_or(0);
                Some(*end)
            })
            .collect();
        let empty = ends.last().is_none_or(|total| *total == 0);
        Self {
            ends: if empty { Vec::new() } else { ends },
            start_with_gap,
        }
    }

    /// Whether everything is drawn.
    pub(crate) const fn are_solid(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether the pixel this far along the line is drawn.
    pub(crate) fn is_on(&self, at: u64) -> bool {
        let Some(total) = self.ends.last() else { return true };
        let place = at % total;
        let length = self.ends.partition_point(|end| *end <= place);
        length.is_multiple_of(2) != self.start_with_gap
    }
}

/// The pixels of a line, by their number along its longer axis: a Bresenham line whose ties are broken as in X, so
/// that a line drawn back covers the same pixels.
#[derive(Debug)]
pub(crate) struct Steps {
    from: Point,
    /// Along the longer axis.
    length: i64,
    /// Length along the shorter axis.
    rise: i64,
    /// 1 where a tie stays.
    bias: i64,
    y_major: bool,
    signs: (i64, i64),
    /// Those that may be inside the bounds.
    visible: Range<i64>,
}

impl Steps {
    pub(crate) fn new(line: &Line, bounds: &Rect) -> Self {
        let dx = i64::from(line.to.x) - i64::from(line.from.x);
        let dy = i64::from(line.to.y) - i64::from(line.from.y);
        let y_major = dx.abs() <= dy.abs();
        // The octants in which X decides a tie against the step.
        let bias = match (dx < 0, dy < 0, y_major) {
            (_, true, true) | (true, _, false) => 1,
            _ => 0,
        };
        let mut steps = Self {
            from: line.from,
            length: dx.abs().max(dy.abs()),
            rise: dx.abs().min(dy.abs()),
            bias,
            y_major,
            signs: (if dx < 0 { -1 } else { 1 }, if dy < 0 { -1 } else { 1 }),
            visible: 0..0,
        };
        steps.visible = steps.clipped(bounds);
        steps
    }

    /// How far the line has risen at pixel `step`.
    const fn rise_at(&self, step: i64) -> i64 {
        if self.length == 0 {
            return 0;
        }
        (2 * self.rise * step + self.length - self.bias) / (2 * self.length)
    }

    /// The first pixel that has risen by at least `rise`, as long as there is one.
    const fn first_at(&self, rise: i64) -> i64 {
        if rise <= 0 {
            return 0;
        }
        if self.rise == 0 {
            return self.length;
        }
        let needed = 2 * self.length * rise - self.length + self.bias;
        (needed + 2 * self.rise - 1) / (2 * self.rise)
    }

    /// The pixels inside `bounds`.
    fn clipped(&self, bounds: &Rect) -> Range<i64> {
        let along_x = inside(self.from.x, self.signs.0, bounds.left, bounds.right);
        let along_y = inside(self.from.y, self.signs.1, bounds.top, bounds.bottom);
        let (major, minor) = if self.y_major {
            (along_y, along_x)
        } else {
            (along_x, along_y)
        };
        let from = major.start.max(self.first_at(minor.start)).max(0);
        let to = if minor.end <= 0 {
            0
        } else {
            major.end.min(self.first_at(minor.end)).min(self.length)
        };
        from..to.max(from)
    }

    /// Number of pixels to draw.
    fn count(&self) -> u64 {
        u64::try_from(self.visible.end - self.visible.start).unwrap_or(0)
    }

    /// Pixels of the whole line.
    pub(crate) const fn length(&self) -> u64 {
        self.length.unsigned_abs()
    }

    /// The pixels to draw for which `is_on` holds, as lines along the longer axis: first pixel, and the one after the
    /// last.
    pub(crate) fn runs(&self, is_on: impl Fn(u64) -> bool) -> Vec<[Point; 2]> {
        let mut runs: Vec<[Point; 2]> = Vec::new();
        for (_, point) in self.points().filter(|(step, _)| is_on(*step)) {
            let (dx, dy) = if self.y_major {
                (0, self.signs.1)
            } else {
                (self.signs.0, 0)
            };
            let after = Point::new(point.x + dx as i32, point.y + dy as i32);
            match runs.last_mut() {
                Some([_, end]) if *end == point => *end = after,
                _ => runs.push([point, after]),
            }
        }
        runs
    }

    /// Number and place of each pixel to draw.
    fn points(&self) -> impl Iterator<Item = (u64, Point)> {
        self.visible.clone().map(|step| {
            let rise = self.rise_at(step);
            let (along_x, along_y) = if self.y_major { (rise, step) } else { (step, rise) };
            let point = Point::new(
                self.from.x + (self.signs.0 * along_x) as i32,
                self.from.y + (self.signs.1 * along_y) as i32,
            );
            (step.unsigned_abs(), point)
        })
    }
}

/// The distances from `from` in direction `sign` at which a coordinate lies in `low..high`.
fn inside(from: i32, sign: i64, low: i32, high: i32) -> Range<i64> {
    let (from, low, high) = (i64::from(from), i64::from(low), i64::from(high));
    if sign > 0 {
        low - from..high - from
    } else {
        from - high + 1..from - low + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(from: (i32, i32), to: (i32, i32)) -> Line {
        Line {
            from: Point::new(from.0, from.1),
            to: Point::new(to.0, to.1),
            first: true,
        }
    }

    fn points(line: &Line, bounds: &Rect) -> Vec<(i32, i32)> {
        Steps::new(line, bounds).points().map(|(_, p)| (p.x, p.y)).collect()
    }

    #[test]
    fn lines_cover_the_nearest_pixels_and_leave_out_the_last() {
        let all = Rect::at(-100, -100, 200, 200);
        assert_eq!(points(&line((0, 0), (4, 0)), &all), [(0, 0), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(points(&line((0, 0), (0, -3)), &all), [(0, 0), (0, -1), (0, -2)]);
        assert_eq!(
            points(&line((0, 0), (6, 2)), &all),
            [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 2)]
        );
        assert_eq!(points(&line((5, 5), (5, 5)), &all), []);
    }

    #[test]
    fn ties_are_broken_the_same_way_in_both_directions() {
        let all = Rect::at(-100, -100, 200, 200);
        let mut there = points(&line((0, 0), (4, 2)), &all);
        let mut back = points(&line((4, 2), (0, 0)), &all);
        there.push((4, 2));
        back.push((0, 0));
        back.reverse();
        assert_eq!(there, back);
    }

    #[test]
    fn dashes_alternate_and_repeat() {
        let on = |dashes: &Dashes| (0..8).map(|at| u8::from(dashes.is_on(at))).collect::<Vec<_>>();
        assert_eq!(on(&Dashes::new(&[32, 16], false)), [1, 1, 0, 1, 1, 0, 1, 1]);
        assert_eq!(on(&Dashes::new(&[32, 16], true)), [0, 0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(on(&Dashes::new(&[32], false)), [1, 1, 0, 0, 1, 1, 0, 0]);
        assert_eq!(on(&Dashes::new(&[], true)), [1; 8]);
        assert_eq!(on(&Dashes::new(&[-5, 0], false)), [1; 8]);
    }

    proptest! {
        #[test]
        fn clipping_removes_just_the_pixels_outside(
            from in (-60..60i32, -60..60i32), to in (-60..60i32, -60..60i32),
            corner in (-30..30i32, -30..30i32), size in (0..30u32, 0..30u32),
        ) {
            let bounds = Rect::at(corner.0, corner.1, size.0, size.1);
            let line = line(from, to);
            let mut all = points(&line, &Rect::at(-100, -100, 200, 200));
            all.retain(|(x, y)| bounds.contains(&Rect::at(*x, *y, 1, 1)));
            let visible = points(&line, &bounds);
            prop_assert_eq!(visible, all);
        }
    }
}
