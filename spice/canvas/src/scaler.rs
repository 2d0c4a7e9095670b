//! Rows of a picture under a map that only scales: places across are the same in all rows.

use caraway_ports::geometry::Rect;
use zerocopy::IntoBytes;

use crate::{
    color::OPAQUE,
    lanes::{self, Column, Pixel},
    picture::Picture,
    sample::{Filter, Map, Repeat},
};

/// Places (16.16) up to which columns are found in advance.
const MOST: i64 = 1 << 48;

/// Source columns that are read for each of the surface at most, and those that are always: with more of them it is
/// quicker to read single pixels.
const MOST_COLUMNS: (usize, usize) = (8, 64);

/// Two rows of the picture, or of what is outside, and how much the second one counts, in 128ths.
type Rows = (Option<u32>, Option<u32>, u16);

/// A row of the picture from the first column needed on, and a clear pixel for what lies outside.
#[derive(Debug, Default)]
struct Held {
    /// Which; the inner `None` is one outside.
    y: Option<Option<u32>>,
    /// As [`lanes::pixels`] makes them.
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
    mixed_of: Option<Rows>,
    /// The pixels handed out last, and for which rows, column and number.
    line: Vec<Pixel>,
    line_of: Option<(Rows, u32, usize)>,
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
            line: Vec::new(),
            line_of: None,
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
                lanes::pixels(values);
            }
        }
        place
    }

    fn pixels(&self, place: usize) -> &[Pixel] {
        let values = self.held.get(place).map_or(&[][..], |held| &held.values);
        values.as_bytes().as_chunks().0
    }

    fn columns(&self, x: u32, count: usize) -> &[Column] {
        let start = x.saturating_sub(self.left) as usize;
        self.columns.get(start..start + count).unwrap_or_default()
    }

    /// The pixels of row `y` of the picture, or of what is outside, that lie nearest from column `x` of the surface on.
    pub(crate) fn nearest(&mut self, picture: &Picture<'_>, y: Option<u32>, x: u32, count: usize) -> &[Pixel] {
        let rows = (y, y, 0);
        if self.line_of != Some((rows, x, count)) {
            let place = self.hold(y, 0, picture);
            let mut line = std::mem::take(&mut self.line);
            let (pixels, columns) = (self.pixels(place), self.columns(x, count));
            line.clear();
            line.extend(columns.iter().map(|column| pixel_at(pixels, column.left)));
            self.line = line;
            self.line_of = Some((rows, x, count));
        }
        &self.line
    }

    /// The pixels of two rows, the second of which counts a number of 128ths, mixed.
    pub(crate) fn mixed(&mut self, picture: &Picture<'_>, rows: Rows, x: u32, count: usize) -> &[Pixel] {
        if self.line_of == Some((rows, x, count)) {
            return &self.line;
        }
        if self.mixed_of != Some(rows) {
            let (top, bottom, weight) = rows;
            let upper = self.hold(top, 0, picture);
            let lower = self.hold(bottom, upper, picture);
            let mut mixed = std::mem::take(&mut self.mixed);
            mixed.resize(self.count + 1, [0; 4]);
            lanes::mix_rows(&mut mixed, self.pixels(upper), self.pixels(lower), weight);
            self.mixed = mixed;
            self.mixed_of = Some(rows);
        }
        let mut line = std::mem::take(&mut self.line);
        line.resize(count, [0; 4]);
        lanes::mix_columns(&mut line, self.columns(x, count), &self.mixed);
        self.line = line;
        self.line_of = Some((rows, x, count));
        &self.line
    }
}

/// The pixel at a place that is there.
#[inline(always)]
fn pixel_at(pixels: &[Pixel], place: u32) -> Pixel {
    pixels.get(place as usize).copied().unwrap_or_default()
}
