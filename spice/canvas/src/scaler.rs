//! Rows of a picture under a map that only scales: places across are the same in all rows.

use caraway_ports::geometry::Rect;

use crate::{
    color::OPAQUE,
    lanes::{self, Pixel},
    mix::{self, Column, Row},
    picture::Picture,
    sample::{Filter, Map, Repeat},
};

/// Places (16.16) up to which columns are found in advance.
const MOST: i64 = 1 << 48;

/// Source columns that are read for each of the surface at most, and those that are always: with more of them it is
/// quicker to read single pixels.
const MOST_COLUMNS: (usize, usize) = (8, 64);

/// Whether reading so many columns is quicker than reading single ones for `count` pixels.
const fn pays(columns: usize, count: usize) -> bool {
    columns <= count * MOST_COLUMNS.0 + MOST_COLUMNS.1
}

/// Two rows of the picture, or of what is outside, and how much the second one counts, in 128ths.
type Rows = (Option<u32>, Option<u32>, u8);

/// What is known of all rows, and the row made last.
#[derive(Debug)]
pub(crate) struct Scaler {
    /// The column of the surface that the first of `columns` stands for.
    left: u32,
    /// Places in rows of the picture from `first` on; `count` of those are read, and the next one stands for the outside.
    columns: Vec<Column>,
    first: u32,
    count: usize,
    /// Whether the alpha of the picture is taken as full.
    opaque: bool,
    /// Memory for rows that are not just so in the picture.
    scratch: [Vec<u32>; 2],
    /// The two rows mixed, in 128ths, and which.
    mixed: Vec<[i32; 4]>,
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
        if !pays(read, places.len()) {
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
            scratch: [Vec::new(), Vec::new()],
            mixed: Vec::new(),
            mixed_of: None,
            line: Vec::new(),
            line_of: None,
        })
    }

    /// Whether so many pixels of a row are worth reading a row of the picture. A clip of many narrow parts would have it read
    /// for each of them.
    pub(crate) fn pays(&self, count: usize) -> bool {
        pays(self.count, count)
    }

    fn columns(&self, x: u32, count: usize) -> &[Column] {
        let start = x.saturating_sub(self.left) as usize;
        self.columns.get(start..start + count).unwrap_or_default()
    }

    /// The pixels of row `y` of the picture, or of what is outside, that lie nearest from column `x` of the surface on.
    pub(crate) fn nearest(&mut self, picture: &Picture<'_>, y: Option<u32>, x: u32, count: usize) -> &[Pixel] {
        let made = ((y, y, 0), x, count);
        if self.line_of != Some(made) {
            let [mut scratch, other] = std::mem::take(&mut self.scratch);
            let mut line = std::mem::take(&mut self.line);
            let (pixels, set) = self.read(picture, y, &mut scratch);
            line.clear();
            line.extend(self.columns(x, count).iter().map(|column| {
                let pixel = pixels.get(column.left as usize);
                pixel.map_or([0; 4], |pixel| (u32::from_le_bytes(*pixel) | set).to_le_bytes())
            }));
            self.line = line;
            self.line_of = Some(made);
            self.scratch = [scratch, other];
        }
        &self.line
    }

    /// The pixels of two rows, the second of which counts a number of 128ths, mixed.
    pub(crate) fn mixed(&mut self, picture: &Picture<'_>, rows: Rows, x: u32, count: usize) -> &[Pixel] {
        if self.line_of == Some((rows, x, count)) {
            return &self.line;
        }
        let (top, bottom, weight) = rows;
        if self.count > self.columns.len() {
            let [mut above, mut below] = std::mem::take(&mut self.scratch);
            let mut line = std::mem::take(&mut self.line);
            line.resize(count, [0; 4]);
            let (top, bottom) = (
                self.read(picture, top, &mut above),
                self.read(picture, bottom, &mut below),
            );
            mix::mix(&mut line, self.columns(x, count), top, bottom, weight);
            self.line = line;
            self.line_of = Some((rows, x, count));
            self.scratch = [above, below];
            return &self.line;
        }
        if self.mixed_of != Some(rows) {
            let [mut above, mut below] = std::mem::take(&mut self.scratch);
            let mut mixed = std::mem::take(&mut self.mixed);
            mixed.resize(self.count + 1, [0; 4]);
            let (top, bottom) = (
                self.read(picture, top, &mut above),
                self.read(picture, bottom, &mut below),
            );
            mix::mix_rows(&mut mixed, top, bottom, weight);
            self.mixed = mixed;
            self.mixed_of = Some(rows);
            self.scratch = [above, below];
        }
        let mut line = std::mem::take(&mut self.line);
        line.resize(count, [0; 4]);
        mix::mix_columns(&mut line, self.columns(x, count), &self.mixed);
        self.line = line;
        self.line_of = Some((rows, x, count));
        &self.line
    }

    /// What is read of row `y`, or of one outside.
    fn read<'a>(&self, picture: &'a Picture<'_>, y: Option<u32>, scratch: &'a mut Vec<u32>) -> Row<'a> {
        if let Some(y) = y
            && self.count > 0
        {
            let (pixels, set) = picture.argb_pixels((self.first, y), self.count, scratch);
            return (pixels, if self.opaque { OPAQUE } else { set });
        }
        scratch.clear();
        scratch.resize(self.count, 0);
        (lanes::pixels(scratch), 0)
    }
}
