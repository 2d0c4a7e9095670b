//! The pixels a drawable may touch: its box and the union of its clip rectangles.

use caraway_ports::{drawing::Clip, geometry::Rect};

/// Which pixels are drawn.
#[derive(Debug)]
pub(crate) struct Region {
    bounds: Rect,
    /// Parts of `bounds`, none empty; they may overlap. One that is all of `bounds` is left out.
    parts: Vec<Rect>,
}

impl Region {
    /// The part of `bbox` that `clip` leaves.
    pub(crate) fn new(bbox: Rect, clip: &Clip) -> Self {
        match clip {
            Clip::None => Self::one(bbox),
            Clip::Rects(rects) => Self::from_parts(&bbox, rects),
        }
    }

    /// The part of this region inside `area`.
    pub(crate) fn within(&self, area: &Rect) -> Self {
        if self.is_rect() {
            Self::one(self.bounds.intersect(area))
        } else {
            Self::from_parts(area, &self.parts)
        }
    }

    /// One rectangle, or nothing.
    fn one(rect: Rect) -> Self {
        Self {
            bounds: if rect.is_empty() { Rect::default() } else { rect },
            parts: Vec::new(),
        }
    }

    fn from_parts(area: &Rect, rects: &[Rect]) -> Self {
        let inside = rects.iter().map(|rect| rect.intersect(area));
        let parts: Vec<Rect> = inside.filter(|rect| !rect.is_empty()).collect();
        if let [only] = parts.as_slice() {
            return Self::one(*only);
        }
        let bounds = parts.iter().fold(Rect::default(), |all, rect| all.union(rect));
        Self { bounds, parts }
    }

    /// The smallest rectangle around it.
    pub(crate) const fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Whether it is one rectangle.
    pub(crate) fn is_rect(&self) -> bool {
        self.parts.is_empty()
    }

    /// Calls `visit` with disjoint rectangles that cover the region, from top to bottom and left to right.
    ///
    /// Takes time in proportion to the number of rectangles and the area of the bounds, and memory in proportion to
    /// the number of rectangles and the width, however the rectangles overlap.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Rect)) {
        if self.is_rect() {
            if !self.bounds.is_empty() {
                visit(self.bounds);
            }
            return;
        }
        let mut starting: Vec<&Rect> = self.parts.iter().collect();
        let mut ending = starting.clone();
        starting.sort_unstable_by_key(|rect| rect.top);
        ending.sort_unstable_by_key(|rect| rect.bottom);
        let (mut starting, mut ending) = (starting.into_iter().peekable(), ending.into_iter().peekable());
        let mut edges = Edges::new(self.bounds);
        while let Some(first) = ending.peek() {
            let top = starting.peek().map_or(first.bottom, |rect| rect.top.min(first.bottom));
            while let Some(rect) = starting.next_if(|rect| rect.top == top) {
                edges.change(rect, 1);
            }
            while let Some(rect) = ending.next_if(|rect| rect.bottom == top) {
                edges.change(rect, -1);
            }
            let Some(last) = ending.peek() else { break };
            let bottom = starting.peek().map_or(last.bottom, |rect| rect.top.min(last.bottom));
            edges.spans(|left, right| {
                visit(Rect {
                    top,
                    left,
                    bottom,
                    right,
                });
            });
        }
    }
}

/// How many rectangles begin (positive) and end (negative) at each column of the current band.
struct Edges {
    left: i32,
    changes: Vec<i32>,
    /// A bit for each column where there is one.
    any: Vec<u64>,
}

impl Edges {
    fn new(bounds: Rect) -> Self {
        let columns = bounds.width() as usize + 1;
        Self {
            left: bounds.left,
            changes: vec![0; columns],
            any: vec![0; columns.div_ceil(64)],
        }
    }

    fn change(&mut self, rect: &Rect, by: i32) {
        for (x, by) in [(rect.left, by), (rect.right, -by)] {
            let at = usize::try_from(x - self.left).unwrap_or(usize::MAX);
            if let (Some(change), Some(any)) = (self.changes.get_mut(at), self.any.get_mut(at / 64)) {
                *change += by;
                let bit = 1 << (at % 64);
                *any = if *change == 0 { *any & !bit } else { *any | bit };
            }
        }
    }

    /// Calls `visit` with the first and the end column of each covered stretch.
    fn spans(&self, mut visit: impl FnMut(i32, i32)) {
        let (mut depth, mut start) = (0, 0);
        for (word, any) in self.any.iter().enumerate() {
            let mut any = *any;
            while any != 0 {
                let at = word * 64 + any.trailing_zeros() as usize;
                any &= any - 1;
                let x = self.left + at as i32;
                let before = depth;
                depth += self.changes.get(at).copied().unwrap_or(0);
                match (before > 0, depth > 0) {
                    (false, true) => start = x,
                    (true, false) => visit(start, x),
                    _ => {}
                }
            }
        }
    }
}

/// A region as one bit per pixel of its bounds, for operations that visit single pixels.
#[derive(Debug)]
pub(crate) struct RegionBits {
    bounds: Rect,
    /// `None`: all of the bounds.
    bits: Option<Vec<u64>>,
}

impl RegionBits {
    pub(crate) fn new(region: &Region) -> Self {
        let bounds = region.bounds();
        let bits = (!region.is_rect()).then(|| {
            let mut bits = vec![0u64; (bounds.area() as usize).div_ceil(64)];
            region.for_each(|rect| {
                for y in rect.top..rect.bottom {
                    for x in rect.left..rect.right {
                        if let Some(at) = index(&bounds, x, y)
                            && let Some(word) = bits.get_mut(at / 64)
                        {
                            *word |= 1 << (at % 64);
                        }
                    }
                }
            });
            bits
        });
        Self { bounds, bits }
    }

    /// Whether the pixel is drawn.
    pub(crate) fn contains(&self, x: i32, y: i32) -> bool {
        let Some(at) = index(&self.bounds, x, y) else {
            return false;
        };
        self.bits
            .as_ref()
            .is_none_or(|bits| bits.get(at / 64).is_some_and(|word| (word >> (at % 64)) & 1 == 1))
    }
}

/// Number of the pixel in `bounds`, row by row.
fn index(bounds: &Rect, x: i32, y: i32) -> Option<usize> {
    let inside = (bounds.left..bounds.right).contains(&x) && (bounds.top..bounds.bottom).contains(&y);
    inside.then(|| (y - bounds.top) as usize * bounds.width() as usize + (x - bounds.left) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn small_rect() -> impl Strategy<Value = Rect> {
        (-5..40i32, -5..40i32, -2..20i32, -2..20i32).prop_map(|(left, top, w, h)| Rect {
            top,
            left,
            bottom: top + h,
            right: left + w,
        })
    }

    proptest! {
        #[test]
        fn every_pixel_of_the_union_is_visited_once(rects in prop::collection::vec(small_rect(), 0..8)) {
            let bbox = Rect::at(2, 3, 30, 28);
            let clip = Clip::Rects(rects.clone().into());
            let region = Region::new(bbox, &clip);
            let bits = RegionBits::new(&region);
            let mut seen = vec![0; 40 * 40];
            region.for_each(|r| {
                for y in r.top..r.bottom {
                    for x in r.left..r.right {
                        seen[(y * 40 + x) as usize] += 1;
                    }
                }
            });
            for y in 0..40 {
                for x in 0..40 {
                    let pixel = Rect::at(x, y, 1, 1);
                    let inside = bbox.contains(&pixel) && rects.iter().any(|r| r.contains(&pixel));
                    prop_assert_eq!(seen[(y * 40 + x) as usize], i32::from(inside));
                    prop_assert_eq!(bits.contains(x, y), inside);
                }
            }
        }
    }
}
