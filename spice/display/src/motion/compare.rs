//! The picture that is there beside the one that is to be there.

use caraway_canvas::View;
use caraway_ports::{
    drawing::Bitmap,
    geometry::{Point, Rect},
};

use crate::region::Region;

/// Side of the squares in which changes are looked for.
const TILE: u32 = 16;

/// Side of the squares of which one piece of a row, as wide as a tile, is a sample.
const SAMPLED_TILE: u32 = 64;

/// Fewer samples say nothing.
const LEAST_SAMPLES: u32 = 256;

/// What is new has fewer samples that were there before than one in so many. A quarter is worth looking for.
const SAME_OF_NEW: u32 = 8;

/// With more stretches of changed tiles than this, all between them is taken to have changed.
const MOST_RUNS: usize = 256;

/// A pixel of 32 bits as it is stored.
pub(super) type Pixel = [u8; 4];

/// The move of a part of the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// Where to.
    pub(super) to: Rect,
    /// The top left corner of where from.
    pub(super) from: Point,
}

impl Move {
    /// The part of `to` in columns `from..end` of row `y`: where it begins and ends, and where its pixels come from.
    fn part(&self, y: i32, from: i32, end: i32) -> Option<(i32, i32, Point)> {
        let to = &self.to;
        let (left, right) = (from.max(to.left), end.min(to.right));
        let inside = (to.top..to.bottom).contains(&y) && left < right;
        inside.then(|| {
            let (x, y) = (self.from.x + (left - to.left), self.from.y + (y - to.top));
            (left, right, Point::new(x, y))
        })
    }
}

/// A surface before a command, and the bitmap that it copies to it. All places are those on the surface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    view: View<'a>,
    bitmap: &'a Bitmap,
    /// What to add to a place on the surface for the place in the bitmap.
    offset: (i32, i32),
    /// The bits of a pixel that count.
    significant: u32,
}

impl<'a> Pair<'a> {
    /// Both have pixels of 32 bits.
    pub(super) const fn new(view: View<'a>, bitmap: &'a Bitmap, offset: (i32, i32), significant: u32) -> Self {
        Self {
            view,
            bitmap,
            offset,
            significant,
        }
    }

    /// The whole surface.
    pub(super) fn screen(&self) -> Rect {
        self.view.area()
    }

    /// Pixels of the surface in columns `from..end` of row `y`; none unless all are there.
    pub(super) fn before(&self, y: i32, from: i32, end: i32) -> &'a [Pixel] {
        let row = u32::try_from(y).map(|y| self.view.row(y)).unwrap_or_default();
        columns(row, from, end)
    }

    /// The same of the bitmap.
    pub(super) fn after(&self, y: i32, from: i32, end: i32) -> &'a [Pixel] {
        let (dx, dy) = self.offset;
        let row = u32::try_from(y.saturating_add(dy))
            .ok()
            .and_then(|y| self.bitmap.row(y));
        columns(row.unwrap_or_default(), from.saturating_add(dx), end.saturating_add(dx))
    }

    /// Whether two pixels show the same.
    pub(super) fn same(&self, a: Pixel, b: Pixel) -> bool {
        (u32::from_le_bytes(a) ^ u32::from_le_bytes(b)) & self.significant == 0
    }

    /// Whether two rows of pixels show the same.
    fn all_same(&self, a: &[Pixel], b: &[Pixel]) -> bool {
        let differing = a
            .iter()
            .zip(b)
            .fold(0, |all, (a, b)| all | (u32::from_le_bytes(*a) ^ u32::from_le_bytes(*b)));
        a.len() == b.len() && differing & self.significant == 0
    }

    /// What the surface has in columns `from..end` of row `y` after a move; `row` is memory for it.
    fn predicted<'r>(
        &self,
        y: i32,
        (from, end): (i32, i32),
        moved: Option<&Move>,
        row: &'r mut Vec<Pixel>,
    ) -> &'r [Pixel]
    where
        'a: 'r,
    {
        let Some((left, right, source)) = moved.and_then(|moved| moved.part(y, from, end)) else {
            return self.before(y, from, end);
        };
        row.clear();
        row.extend_from_slice(self.before(y, from, left));
        row.extend_from_slice(self.before(source.y, source.x, source.x + (right - left)));
        row.extend_from_slice(self.before(y, right, end));
        row
    }

    /// Whether hardly anything of `area` is there already, as far as samples tell: short pieces of rows all over it.
    pub(super) fn is_new(&self, area: &Rect) -> bool {
        let (mut same, mut all) = (0_u32, 0_u32);
        let tops = (area.top..area.bottom).step_by(SAMPLED_TILE as usize);
        for (line, top) in (0_u32..).zip(tops) {
            let lefts = (area.left..area.right).step_by(SAMPLED_TILE as usize);
            for (column, left) in (0_u32..).zip(lefts) {
                // Somewhere in the tile, so that what has a pattern does not look like what it is where the samples are.
                let place = (line.wrapping_mul(31) ^ column.wrapping_mul(17)).wrapping_mul(0x9e37_79b1) >> 16;
                let y = top.saturating_add_unsigned(place % SAMPLED_TILE);
                let x = left.saturating_add_unsigned((place >> 8) % (SAMPLED_TILE - TILE));
                let end = x.saturating_add_unsigned(TILE);
                if y < area.bottom && end <= area.right {
                    all += 1;
                    same += u32::from(self.all_same(self.before(y, x, end), self.after(y, x, end)));
                }
            }
        }
        all >= LEAST_SAMPLES && same < all / SAME_OF_NEW
    }

    /// A few rectangles of `area` that have all pixels that the bitmap changes after a move.
    pub(super) fn changed(&self, area: &Rect, moved: Option<&Move>) -> Vec<Rect> {
        let (mut done, mut open): (Vec<Rect>, Vec<Rect>) = (Vec::new(), Vec::new());
        let mut row = Vec::with_capacity(area.width() as usize);
        for top in (area.top..area.bottom).step_by(TILE as usize) {
            let bottom = top.saturating_add_unsigned(TILE).min(area.bottom);
            let band = Rect { top, bottom, ..*area };
            // A stretch below one of the same width is part of it.
            let above = std::mem::take(&mut open);
            for run in self.runs(&band, moved, &mut row) {
                let same = |other: &&Rect| (other.left, other.right) == (run.left, run.right);
                open.push(above.iter().find(same).map_or(run, |other| other.union(&run)));
            }
            let ended = |rect: &Rect| !open.iter().any(|run| run.contains(rect));
            done.extend(above.into_iter().filter(ended));
        }
        done.append(&mut open);
        if done.len() > MOST_RUNS {
            done = vec![done.iter().fold(Rect::default(), |all, rect| all.union(rect))];
        }
        let mut region = Region::default();
        done.into_iter().for_each(|rect| region.add(rect));
        let mut few = Vec::new();
        while let Some(rect) = region.take(u64::MAX) {
            few.push(self.trimmed(&rect, moved, &mut row));
        }
        few.retain(|rect| !rect.is_empty());
        few
    }

    /// The stretches of changed tiles of one row of them.
    fn runs(&self, band: &Rect, moved: Option<&Move>, row: &mut Vec<Pixel>) -> Vec<Rect> {
        let tile = TILE as usize;
        let mut changed = vec![false; (band.width() as usize).div_ceil(tile)];
        for y in band.top..band.bottom {
            if changed.iter().all(|changed| *changed) {
                break;
            }
            let before = self.predicted(y, (band.left, band.right), moved, row);
            let after = self.after(y, band.left, band.right);
            for ((changed, a), b) in changed.iter_mut().zip(before.chunks(tile)).zip(after.chunks(tile)) {
                *changed = *changed || !self.all_same(a, b);
            }
        }
        let mut runs: Vec<Rect> = Vec::new();
        let mut left = band.left;
        for changed in changed {
            let right = left.saturating_add_unsigned(TILE).min(band.right);
            if changed {
                match runs.last_mut() {
                    Some(run) if run.right == left => run.right = right,
                    _ => runs.push(Rect { left, right, ..*band }),
                }
            }
            left = right;
        }
        runs
    }

    /// A rectangle without what does not change at its edges.
    fn trimmed(&self, rect: &Rect, moved: Option<&Move>, row: &mut Vec<Pixel>) -> Rect {
        let mut found = Rect::default();
        for y in rect.top..rect.bottom {
            let before = self.predicted(y, (rect.left, rect.right), moved, row);
            let after = self.after(y, rect.left, rect.right);
            let mut differ = before.iter().zip(after).map(|(a, b)| !self.same(*a, *b));
            let Some(first) = differ.position(|differs| differs) else {
                continue;
            };
            // What is between is of no interest.
            let last = differ.rposition(|differs| differs).map_or(first, |at| first + 1 + at);
            let at = |column: usize| rect.left.saturating_add(i32::try_from(column).unwrap_or(i32::MAX));
            let line = Rect {
                top: y,
                left: at(first),
                bottom: y + 1,
                right: at(last + 1),
            };
            found = found.union(&line);
        }
        found
    }
}

/// Columns `from..end` of a row; none unless all are there.
fn columns(row: &[u8], from: i32, end: i32) -> &[Pixel] {
    match (usize::try_from(from), usize::try_from(end)) {
        (Ok(from), Ok(end)) => row.as_chunks().0.get(from..end).unwrap_or_default(),
        _ => &[],
    }
}
