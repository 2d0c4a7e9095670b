//! Paths as straight lines between whole pixels.

use std::ops::ControlFlow;

use caraway_ports::{drawing::PathSegment, geometry::Point};

const BEGIN: u8 = 1;
const END: u8 = 2;
const CLOSE: u8 = 8;
const BEZIER: u8 = 0x10;

/// Coordinates beyond this (28.4) are moved to it, so that no arithmetic overflows.
const MAX_COORDINATE: i32 = 1 << 26;

/// How far (28.4) a curve may be from the lines that stand for it: a quarter of a pixel.
const FLATNESS: i64 = 4;

/// A straight line; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) from: Point,
    pub(crate) to: Point,
    /// The first of a sub-path.
    pub(crate) first: bool,
}

/// Calls `visit` with each line of the path until it breaks.
pub(crate) fn lines<B>(path: &[PathSegment], visit: impl FnMut(Line) -> ControlFlow<B>) -> ControlFlow<B> {
    let mut walk = Walk {
        visit,
        start: None,
        at: Point::default(),
        first: true,
    };
    path.iter().try_for_each(|segment| walk.segment(segment))
}

struct Walk<V> {
    visit: V,
    /// Where the sub-path began; `None` before one has.
    start: Option<Point>,
    /// Where it is now, 28.4.
    at: Point,
    /// Whether no line of the sub-path has been drawn.
    first: bool,
}

impl<B, V: FnMut(Line) -> ControlFlow<B>> Walk<V> {
    fn segment(&mut self, segment: &PathSegment) -> ControlFlow<B> {
        let mut points = segment.points.iter().map(|point| clamped(*point));
        if (segment.flags & BEGIN != 0 || self.start.is_none())
            && let Some(point) = points.next()
        {
            self.start = Some(point);
            self.at = point;
            self.first = true;
        }
        if segment.flags & BEZIER != 0 {
            while let (Some(a), Some(b), Some(end)) = (points.next(), points.next(), points.next()) {
                self.curve(a, b, end)?;
            }
        } else {
            points.try_for_each(|point| self.line_to(point))?;
        }
        if segment.flags & END != 0 {
            let start = self.start.take();
            if segment.flags & CLOSE != 0
                && let Some(start) = start
            {
                return self.line_to(start);
            }
        }
        ControlFlow::Continue(())
    }

    fn line_to(&mut self, point: Point) -> ControlFlow<B> {
        let line = Line {
            from: rounded(self.at),
            to: rounded(point),
            first: self.first,
        };
        self.at = point;
        self.first = false;
        (self.visit)(line)
    }

    /// A cubic Bézier curve as lines of equal steps of its parameter.
    fn curve(&mut self, a: Point, b: Point, end: Point) -> ControlFlow<B> {
        let points = [self.at, a, b, end];
        let steps = steps(&points);
        for step in 1..steps {
            self.line_to(on_curve(&points, step, steps))?;
        }
        self.line_to(end)
    }
}

/// Lines needed so that none is further than [`FLATNESS`] from the curve: the distance of a curve from the chord of a
/// step of 1/n is at most 1/8 of its second derivative over n², which is at most 6 times the second difference of
/// neighbouring control points.
fn steps(points: &[Point; 4]) -> i64 {
    let [p, q, r, s] = points;
    let bend = |a: i32, b: i32, c: i32| (i64::from(a) - 2 * i64::from(b) + i64::from(c)).abs();
    let bends = [bend(p.x, q.x, r.x), bend(q.x, r.x, s.x)]
        .into_iter()
        .max()
        .unwrap_or(0)
        + [bend(p.y, q.y, r.y), bend(q.y, r.y, s.y)]
            .into_iter()
            .max()
            .unwrap_or(0);
    let squared = (6 * bends) / (8 * FLATNESS);
    squared.isqrt() + 1
}

/// The point of a curve at the parameter `step / steps`, rounded down.
fn on_curve(points: &[Point; 4], step: i64, steps: i64) -> Point {
    let (t, u, n) = (i128::from(step), i128::from(steps - step), i128::from(steps));
    let weights = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
    let mean = |coordinate: fn(&Point) -> i32| {
        let sum: i128 = weights
            .iter()
            .zip(points)
            .map(|(w, p)| w * i128::from(coordinate(p)))
            .sum();
        // A mean of 32-bit numbers.
        sum.div_euclid(n * n * n) as i32
    };
    Point::new(mean(|p| p.x), mean(|p| p.y))
}

/// A point moved to where arithmetic is safe.
fn clamped(point: Point) -> Point {
    let clamp = |value: i32| value.clamp(-MAX_COORDINATE, MAX_COORDINATE);
    Point::new(clamp(point.x), clamp(point.y))
}

/// The whole pixel of a 28.4 point.
fn rounded(point: Point) -> Point {
    Point::new(whole(point.x), whole(point.y))
}

/// 28.4 to the nearest whole number; a half rounds down.
pub(crate) const fn whole(value: i32) -> i32 {
    (value >> 4) + ((value & 15) > 8) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(path: &[PathSegment]) -> Vec<(i32, i32, i32, i32, bool)> {
        let mut found = Vec::new();
        let flow = lines(path, |line| {
            found.push((line.from.x, line.from.y, line.to.x, line.to.y, line.first));
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(flow, ControlFlow::Continue(()));
        found
    }

    fn segment(flags: u8, points: &[(i32, i32)]) -> PathSegment {
        PathSegment {
            flags,
            points: points.iter().map(|(x, y)| Point::new(x * 16, y * 16)).collect(),
        }
    }

    #[test]
    fn halves_round_down_and_more_rounds_up() {
        assert_eq!([16, 24, 25, -8, -7, -9].map(whole), [1, 1, 2, -1, 0, -1]);
    }

    #[test]
    fn closed_paths_return_to_their_start_and_open_ones_do_not() {
        let triangle = [(0, 0), (4, 0), (4, 4)];
        assert_eq!(
            collect(&[segment(BEGIN | END | CLOSE, &triangle)]),
            [(0, 0, 4, 0, true), (4, 0, 4, 4, false), (4, 4, 0, 0, false)]
        );
        assert_eq!(collect(&[segment(BEGIN | END, &triangle)]).len(), 2);
        let apart = [segment(BEGIN, &triangle), segment(END | CLOSE, &[(9, 9)])];
        assert_eq!(collect(&apart).last(), Some(&(9, 9, 0, 0, false)));
    }

    #[test]
    fn a_curve_stays_close_to_its_formula_and_ends_where_it_says() {
        let path = [segment(BEGIN | END | BEZIER, &[(0, 0), (0, 100), (100, 100), (100, 0)])];
        let found = collect(&path);
        assert!((8..40).contains(&found.len()), "{} lines", found.len());
        assert_eq!(found.last().map(|line| (line.2, line.3)), Some((100, 0)));
        assert!(
            found
                .iter()
                .any(|line| (line.2 - 50).abs() <= 6 && (line.3 - 75).abs() <= 1)
        );
        let straight = [segment(BEGIN | BEZIER, &[(0, 0), (1, 1), (2, 2), (3, 3)])];
        assert_eq!(collect(&straight), [(0, 0, 3, 3, true)]);
    }

    #[test]
    fn extreme_points_do_not_overflow() {
        let wild = [i32::MIN, i32::MAX]
            .map(|v| Point::new(v, v))
            .into_iter()
            .cycle()
            .take(7)
            .collect();
        let path = [PathSegment {
            flags: BEGIN | END | CLOSE | BEZIER,
            points: wild,
        }];
        assert!(collect(&path).len() < 30_000);
    }
}
