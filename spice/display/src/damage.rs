//! What of a surface a viewer has to be shown from the canvas, and what of it first.

use caraway_ports::geometry::Rect;

use crate::region::Region;

/// Damaged pixels of one surface. Small areas do not wait for large ones: what a person does while a picture loads is
/// small. Both go on, though: neither has more than half of the pixels while the other has some.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    small: Region,
    large: Region,
    /// Pixels of small areas taken since a large one was.
    ahead: u64,
}

impl Damage {
    /// Adds the pixels of `rect`, which is small with at most so many pixels.
    pub(crate) fn add(&mut self, rect: Rect, small: u64) {
        if rect.area() <= small {
            self.small.add(rect);
        } else {
            self.large.add(rect);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Pixels of all areas.
    pub(crate) fn area(&self) -> u64 {
        self.small.area() + self.large.area()
    }

    /// Forgets what is outside `area`.
    pub(crate) fn clip(&mut self, area: &Rect) {
        self.small.clip(area);
        self.large.clip(area);
    }

    /// Takes `area` out, or most of it.
    pub(crate) fn subtract(&mut self, area: &Rect) {
        self.small.subtract(area);
        self.large.subtract(area);
    }

    /// Whether pixels of `area` are in it.
    pub(crate) fn overlaps(&self, area: &Rect) -> bool {
        self.small.overlaps(area) || self.large.overlaps(area)
    }

    /// Takes out at most `pixels` pixels, or one row.
    pub(crate) fn take(&mut self, pixels: u64) -> Option<Rect> {
        let first_small = self.large.is_empty() || self.ahead < pixels;
        if first_small && let Some(rect) = self.small.take_oldest(pixels) {
            self.ahead = self.ahead.saturating_add(rect.area());
            // What is read now need not be read again.
            if self.large.overlaps(&rect) {
                self.large.subtract(&rect);
            }
            return Some(rect);
        }
        self.ahead = 0;
        let rect = self.large.take(pixels)?;
        if self.small.overlaps(&rect) {
            self.small.subtract(&rect);
        }
        Some(rect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_area_does_not_wait_for_a_large_one_and_does_not_hold_it_up() {
        let mut damage = Damage::default();
        damage.add(Rect::at(0, 0, 1000, 1000), 1024);
        assert_eq!(damage.take(4000), Some(Rect::at(0, 0, 1000, 4)));
        // Below it, and inside it.
        let text = Rect::at(0, 1000, 64, 16);
        let inside = Rect::at(100, 500, 8, 16);
        damage.add(text, 1024);
        damage.add(inside, 1024);
        assert_eq!(damage.take(4000), Some(text));
        assert_eq!(damage.take(4000), Some(inside));
        // One that changes all the time has half.
        let mut large = 0;
        for _ in 0..100 {
            damage.add(text, 1024);
            if damage.take(text.area()) != Some(text) {
                large += 1;
            }
        }
        assert_eq!(large, 50);
    }

    proptest! {
        #[test]
        fn everything_is_taken(
            rects in proptest::collection::vec((0..60i32, 0..60i32, 1..40u32, 1..40u32), 1..40),
            pixels in 1..500u64,
            between in 0..4usize,
        ) {
            let mut damage = Damage::default();
            let mut dirty = std::collections::BTreeSet::new();
            let pixels_of = |rect: Rect| (rect.top..rect.bottom).flat_map(move |y| (rect.left..rect.right).map(move |x| (x, y)));
            for (x, y, w, h) in rects {
                let rect = Rect::at(x, y, w, h);
                damage.add(rect, 100);
                dirty.extend(pixels_of(rect));
                for taken in (0..between).filter_map(|_| damage.take(pixels)) {
                    prop_assert!(taken.area() <= pixels.max(u64::from(taken.width())));
                    pixels_of(taken).for_each(|pixel| { dirty.remove(&pixel); });
                }
            }
            while let Some(taken) = damage.take(pixels) {
                pixels_of(taken).for_each(|pixel| { dirty.remove(&pixel); });
            }
            prop_assert!(damage.is_empty() && dirty.is_empty(), "{dirty:?}");
        }
    }
}
