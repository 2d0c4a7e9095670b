//! Which rectangles of the frame changed: spans of lines, joined downwards while they stay the same.

use std::ops::Range;

use caraway_ports::geometry::Rect;

/// More rectangles than this are joined.
const MOST_RECTS: usize = 64;
/// More spans of one line than this are one.
const MOST_SPANS: usize = 8;

/// Changed rectangles, collected from the top down.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Those that can still grow downwards, and those that cannot.
    open: Vec<Rect>,
    done: Vec<Rect>,
    /// Scratch of `add`.
    next: Vec<Rect>,
}

impl Damage {
    /// Adds changed columns (pixels, ascending) of the lines `top` to `top + height`, which are below all added before.
    pub(super) fn add(&mut self, top: usize, height: usize, spans: &[Range<usize>]) {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return;
        };
        let around = first.start..last.end;
        let spans = if spans.len() > MOST_SPANS {
            std::slice::from_ref(&around)
        } else {
            spans
        };
        let (top, bottom) = (edge(top), edge(top + height));
        let mut next = std::mem::take(&mut self.next);
        for span in spans {
            let (left, right) = (edge(span.start), edge(span.end));
            let above = self
                .open
                .iter()
                .position(|rect| (rect.left, rect.right, rect.bottom) == (left, right, top));
            next.push(Rect {
                top: above.map_or(top, |index| self.open.swap_remove(index).top),
                left,
                bottom,
                right,
            });
        }
        std::mem::swap(&mut self.open, &mut next);
        for rect in next.drain(..) {
            self.close(rect);
        }
        self.next = next;
    }

    /// Adds the whole frame; nothing else is needed then.
    pub(super) fn add_whole(&mut self, (width, height): (u32, u32)) {
        self.open.clear();
        self.done = vec![Rect::at(0, 0, width, height)];
    }

    /// What was collected, [`MOST_RECTS`] at most.
    pub(super) fn into_rects(mut self) -> Vec<Rect> {
        while let Some(rect) = self.open.pop() {
            self.close(rect);
        }
        self.done
    }

    fn close(&mut self, rect: Rect) {
        if self.done.len() >= MOST_RECTS {
            // Those next to each other were closed one after the other, so they are near each other.
            let pairs = self.done.chunks(2);
            self.done = pairs
                .map(|pair| pair.iter().fold(Rect::default(), |all, rect| all.union(rect)))
                .collect();
        }
        self.done.push(rect);
    }
}

fn edge(pixels: usize) -> i32 {
    i32::try_from(pixels).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_spans_of_adjacent_lines_are_one_rectangle() {
        const LEFT: Range<usize> = 0..32;
        const RIGHT: Range<usize> = 64..96;
        let mut damage = Damage::default();
        damage.add(3, 1, &[LEFT, RIGHT]);
        damage.add(4, 1, &[LEFT]);
        damage.add(5, 1, &[LEFT, RIGHT]);
        damage.add(7, 1, &[LEFT]);
        let mut rects = damage.into_rects();
        rects.sort_by_key(|rect| (rect.top, rect.left));
        assert_eq!(
            rects,
            [
                Rect::at(0, 3, 32, 3),
                Rect::at(64, 3, 32, 1),
                Rect::at(64, 5, 32, 1),
                Rect::at(0, 7, 32, 1)
            ]
        );
    }

    #[test]
    fn many_rectangles_are_joined_and_cover_what_was_added() {
        let mut damage = Damage::default();
        for line in 0..4000 {
            let shift = line % 7;
            damage.add(line, 1, &[shift..shift + 1, 100 + shift..120]);
        }
        let many: Vec<_> = (0..200).map(|column| 2 * column..2 * column + 1).collect();
        damage.add(4000, 1, &many);
        let rects = damage.into_rects();
        assert!(rects.len() <= MOST_RECTS);
        for line in 0..4000_i32 {
            for column in [line % 7, 100 + line % 7, 119] {
                let pixel = Rect::at(column, line, 1, 1);
                assert!(rects.iter().any(|rect| rect.contains(&pixel)), "{pixel:?}");
            }
        }
        assert!(rects.iter().any(|rect| rect.contains(&Rect::at(0, 4000, 399, 1))));
    }
}
