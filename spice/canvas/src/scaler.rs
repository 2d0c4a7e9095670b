//! Rows of a picture under a map that only scales: places across are the same in all rows.

use caraway_ports::geometry::Rect;

use crate::{
    color::OPAQUE,
    picture::Picture,
    sample::{Filter, Map, Repeat},
};

/// Places (16.16) up to which columns are found in advance.
const MOST: i64 = 1 << 48;

/// Source columns that are read for each of the surface at most, and those that are always: with more of them it is
/// quicker to read single pixels.
const MOST_COLUMNS: (usize, usize) = (8, 64);

/// Where a column of the surface lies: places in the rows that are held.
#[derive(Clone, Copy, Debug)]
struct Column {
    left: u32,
    /// What is mixed in, and how much, in 128ths.
    right: u32,
    weight: u16,
}

/// A row of the picture from the first column needed on, and a clear pixel for what lies outside.
#[derive(Debug, Default)]
struct Held {
    /// Which; the inner `None` is one outside.
    y: Option<Option<u32>>,
    values: Vec<u32>,
}

/// What is known of all rows, and the rows read last.
#[derive(Debug)]
pub(crate) struct Scaler {
    /// The column of the surface that the first of `columns` stands for.
    left: u32,
    columns: Vec<Column>,
    first: u32,
    count: usize,
    /// Whether the alpha of the picture is taken as full.
    opaque: bool,
    held: [Held; 2],
    /// The two rows mixed, in 128ths, and which rows and by how much.
    mixed: Vec<[u16; 4]>,
    mixed_of: Option<(Option<u32>, Option<u32>, u16)>,
}

impl Scaler {
    /// For the pixels of `drawn`, a part of a surface, and a picture `width` wide. `None` when there is more to the
    /// map, or little to be gained.
    pub(crate) fn new(
        map: &Map,
        (filter, repeat): (Filter, Repeat),
        opaque: bool,
        width: u32,
        drawn: &Rect,
    ) -> Option<Self> {
        let (left, count) = (drawn.left.unsigned_abs(), drawn.width());
        if !map.only_scales() {
            return None;
        }
        let ((begin, _), (step, _)) = map.place(left, 0);
        let end = begin.checked_add(step.checked_mul(i64::from(count))?)?;
        if !(-MOST..MOST).contains(&begin) || !(-MOST..MOST).contains(&end) {
            return None;
        }
        let places: Vec<_> = (0..i64::from(count))
            .map(|at| {
                let (at, weight) = filter.first(begin + at * step);
                let right = match filter {
                    Filter::Nearest => None,
                    Filter::Bilinear => repeat.place(at + 1, width),
                };
                (repeat.place(at, width), right, weight)
            })
            .collect();
        let inside = || places.iter().flat_map(|(left, right, _)| [*left, *right]).flatten();
        let first = inside().min().unwrap_or(0);
        let read = inside().max().map_or(0, |last| (last - first) as usize + 1);
        if read > places.len() * MOST_COLUMNS.0 + MOST_COLUMNS.1 {
            return None;
        }
        let index = |column: Option<u32>| column.map_or(read as u32, |column| column - first);
        let columns = places.iter().map(|(left, right, weight)| Column {
            left: index(*left),
            right: index(*right),
            weight: *weight,
        });
        Some(Self {
            left,
            columns: columns.collect(),
            first,
            count: read,
            opaque,
            held: Default::default(),
            mixed: Vec::new(),
            mixed_of: None,
        })
    }

    /// Which of the two rows held is row `y`; read in place of the one that is not `kept` if none is.
    fn hold(&mut self, y: Option<u32>, kept: usize, picture: &Picture<'_>) -> usize {
        if let Some(found) = self.held.iter().position(|held| held.y == Some(y)) {
            return found;
        }
        let place = 1 - kept.min(1);
        if let Some(held) = self.held.get_mut(place) {
            held.y = Some(y);
            held.values.clear();
            held.values.resize(self.count + 1, 0);
            if let (Some(y), Some(values)) = (y, held.values.get_mut(..self.count))
                && !values.is_empty()
            {
                picture.argb_row(self.first, y, values);
                if self.opaque {
                    values.iter_mut().for_each(|value| *value |= OPAQUE);
                }
            }
        }
        place
    }

    fn values(&self, place: usize) -> &[u32] {
        self.held.get(place).map_or(&[], |held| &held.values)
    }

    fn columns(&self, x: u32, count: usize) -> &[Column] {
        let start = x.saturating_sub(self.left) as usize;
        self.columns.get(start..start + count).unwrap_or_default()
    }

    /// The pixels of row `y` of the picture, or of what is outside, that lie nearest from column `x` of the surface on.
    pub(crate) fn nearest(&mut self, picture: &Picture<'_>, y: Option<u32>, x: u32, out: &mut [u32]) {
        let place = self.hold(y, 0, picture);
        let (values, columns) = (self.values(place), self.columns(x, out.len()));
        for (out, column) in out.iter_mut().zip(columns) {
            *out = values.get(column.left as usize).copied().unwrap_or(0);
        }
    }

    /// The pixels of two rows, the second of which counts `weight` 128ths, mixed.
    pub(crate) fn mixed(
        &mut self,
        picture: &Picture<'_>,
        (top, bottom, weight): (Option<u32>, Option<u32>, u16),
        x: u32,
        out: &mut [u32],
    ) {
        if self.mixed_of != Some((top, bottom, weight)) {
            self.mix((top, bottom, weight), picture);
        }
        let columns = self.columns(x, out.len());
        for (out, column) in out.iter_mut().zip(columns) {
            let at = |place: u32| self.mixed.get(place as usize).copied().unwrap_or_default();
            let (left, right) = (at(column.left), at(column.right));
            let weight = u32::from(column.weight);
            // 128 * 128 parts, each below 2^15.
            let pixel = |at: usize| (u32::from(left[at]) * (128 - weight) + u32::from(right[at]) * weight) >> 14;
            *out = pixel(0) | pixel(1) << 8 | pixel(2) << 16 | pixel(3) << 24;
        }
    }

    fn mix(&mut self, (top, bottom, weight): (Option<u32>, Option<u32>, u16), picture: &Picture<'_>) {
        let upper = self.hold(top, 0, picture);
        let lower = self.hold(bottom, upper, picture);
        let mut mixed = std::mem::take(&mut self.mixed);
        mixed.clear();
        let rows = self.values(upper).iter().zip(self.values(lower));
        mixed.extend(rows.map(|(top, bottom)| {
            let (top, bottom) = (top.to_le_bytes(), bottom.to_le_bytes());
            std::array::from_fn(|at| u16::from(top[at]) * (128 - weight) + u16::from(bottom[at]) * weight)
        }));
        self.mixed = mixed;
        self.mixed_of = Some((top, bottom, weight));
    }
}
