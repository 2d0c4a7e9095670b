//! A set of damaged pixels, kept as a few rectangles that may cover a little too much.

use caraway_ports::geometry::Rect;

/// Most rectangles kept; beyond that the two whose union wastes least are merged.
const MAX_RECTS: usize = 16;

/// Damaged pixels of one surface. Memory is constant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    rects: Vec<Rect>,
}

impl Region {
    pub(crate) fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// Adds the pixels of `rect`.
    pub(crate) fn add(&mut self, rect: Rect) {
        if rect.is_empty() || self.rects.iter().any(|known| known.contains(&rect)) {
            return;
        }
        self.rects.retain(|known| !rect.contains(known));
        self.rects.push(rect);
        if self.rects.len() > MAX_RECTS {
            self.merge_cheapest();
        }
    }

    /// Takes out at most `max_pixels` pixels (at least one row), whole rows of one rectangle, topmost first.
    pub(crate) fn take(&mut self, max_pixels: u64) -> Option<Rect> {
        let (index, _) = self.rects.iter().enumerate().min_by_key(|(_, rect)| rect.top)?;
        self.take_at(index, max_pixels)
    }

    /// As [`Self::take`], of the rectangle that was added first.
    pub(crate) fn take_oldest(&mut self, max_pixels: u64) -> Option<Rect> {
        self.take_at(0, max_pixels)
    }

    fn take_at(&mut self, index: usize, max_pixels: u64) -> Option<Rect> {
        let rect = self.rects.get_mut(index)?;
        let rows = (max_pixels / u64::from(rect.width().max(1))).max(1);
        if rows >= u64::from(rect.height()) {
            return Some(self.rects.remove(index));
        }
        let split = rect
            .top
            .saturating_add_unsigned(u32::try_from(rows).unwrap_or(u32::MAX));
        let taken = Rect { bottom: split, ..*rect };
        rect.top = split;
        Some(taken)
    }

    /// Pixels of its rectangles, those where they overlap for each.
    pub(crate) fn area(&self) -> u64 {
        self.rects.iter().map(Rect::area).sum()
    }

    /// Forgets what is outside `area`.
    pub(crate) fn clip(&mut self, area: &Rect) {
        for rect in &mut self.rects {
            *rect = rect.intersect(area);
        }
        self.rects.retain(|rect| !rect.is_empty());
    }

    /// Takes `area` out, or most of it: what is left may cover a little too much.
    pub(crate) fn subtract(&mut self, area: &Rect) {
        let before = std::mem::take(&mut self.rects);
        for rect in before {
            let inner = rect.intersect(area);
            if inner.is_empty() {
                self.add(rect);
                continue;
            }
            around(&rect, &inner).into_iter().for_each(|part| self.add(part));
        }
    }

    /// Whether pixels of `area` are in it.
    pub(crate) fn overlaps(&self, area: &Rect) -> bool {
        self.rects.iter().any(|rect| !rect.intersect(area).is_empty())
    }

    fn merge_cheapest(&mut self) {
        let mut best = (u64::MAX, 0, 1);
        for (i, a) in self.rects.iter().enumerate() {
            for (j, b) in self.rects.iter().enumerate().skip(i + 1) {
                let waste = a.union(b).area().saturating_sub(a.area()).saturating_sub(b.area());
                if waste < best.0 {
                    best = (waste, i, j);
                }
            }
        }
        let (_, i, j) = best;
        let b = self.rects.swap_remove(j);
        if let Some(a) = self.rects.get_mut(i) {
            *a = a.union(&b);
        }
    }
}

/// What is left of a rectangle without `hole`; some parts may be empty.
pub(crate) fn around(rect: &Rect, hole: &Rect) -> [Rect; 4] {
    let inner = rect.intersect(hole);
    let beside = Rect {
        top: inner.top,
        bottom: inner.bottom,
        ..*rect
    };
    [
        Rect {
            bottom: inner.top,
            ..*rect
        },
        Rect {
            top: inner.bottom,
            ..*rect
        },
        Rect {
            right: inner.left,
            ..beside
        },
        Rect {
            left: inner.right,
            ..beside
        },
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn taking_everything_in_bits_covers_what_was_added() {
        let mut region = Region::default();
        region.add(Rect::at(10, 10, 100, 50));
        let mut rows = 0;
        while let Some(rect) = region.take(250) {
            assert_eq!((rect.left, rect.right), (10, 110));
            rows += rect.height();
        }
        assert_eq!(rows, 50);
    }

    proptest! {
        #[test]
        fn what_is_taken_out_is_gone_and_all_else_stays(
            rects in proptest::collection::vec((0..60i32, 0..60i32, 1..30u32, 1..30u32), 1..4),
            hole in (0..60i32, 0..60i32, 1..40u32, 1..40u32),
        ) {
            let mut region = Region::default();
            let rects: Vec<Rect> = rects.into_iter().map(|(x, y, w, h)| Rect::at(x, y, w, h)).collect();
            rects.iter().for_each(|rect| region.add(*rect));
            let hole = Rect::at(hole.0, hole.1, hole.2, hole.3);
            region.subtract(&hole);
            for (x, y) in (0..90).flat_map(|y| (0..90).map(move |x| (x, y))) {
                let pixel = Rect::at(x, y, 1, 1);
                let inside = rects.iter().any(|rect| rect.contains(&pixel)) && !hole.contains(&pixel);
                prop_assert_eq!(region.overlaps(&pixel), inside, "{}, {}", x, y);
            }
        }

        #[test]
        fn no_added_pixel_is_lost_and_memory_stays_bounded(
            rects in proptest::collection::vec((0..200i32, 0..200i32, 1..50u32, 1..50u32), 1..60)
        ) {
            let mut region = Region::default();
            for (x, y, w, h) in &rects {
                region.add(Rect::at(*x, *y, *w, *h));
                prop_assert!(region.rects.len() <= MAX_RECTS);
            }
            for (x, y, w, h) in rects {
                for point in [(x, y), (x + w as i32 - 1, y + h as i32 - 1)] {
                    let pixel = Rect::at(point.0, point.1, 1, 1);
                    prop_assert!(region.rects.iter().any(|rect| rect.contains(&pixel)));
                }
            }
        }
    }
}
