//! Applying an operation to the pixels of a region, row by row.

use caraway_ports::geometry::Rect;
use zerocopy::IntoBytes;

use crate::{
    blend::Dest,
    lanes::{self, Pixel},
    picture::{Paint, Selection},
    region::Region,
    rop::BinaryOp,
    scale::Scaled,
    surface::Surface,
};

/// Bytes of a row from which on the C library copies with string instructions.
const LONG: usize = 4096;

/// The surface drawn on and the pixels that are drawn.
#[derive(Debug)]
pub(crate) struct Painter<'a, 's> {
    pub(crate) surface: &'a mut Surface,
    pub(crate) region: &'a Region,
    pub(crate) selection: Option<Selection<'s>>,
}

impl Painter<'_, '_> {
    /// Calls `paint` with column, row and raw values of each stretch of the region; what it leaves there is stored
    /// where the mask selects the pixel.
    pub(crate) fn rows(self, mut paint: impl FnMut(u32, u32, &mut [u32])) {
        let Self {
            surface,
            region,
            selection,
        } = self;
        let mut values = vec![0; region.bounds().width() as usize];
        let mut before = Vec::new();
        region.for_each(|rect| {
            let x = rect.left.unsigned_abs();
            let Some(values) = values.get_mut(..rect.width() as usize) else {
                return;
            };
            for y in rows_of(&rect) {
                surface.load(x, y, values);
                if selection.is_some() {
                    before.clear();
                    before.extend_from_slice(values);
                }
                paint(x, y, values);
                if let Some(selection) = &selection {
                    for ((at, new), old) in (x..).zip(values.iter_mut()).zip(&before) {
                        if !selection.contains(at, y) {
                            *new = *old;
                        }
                    }
                }
                surface.store(x, y, values);
            }
        });
    }

    /// Has `combine` change each stretch (second) by what `first` says for it (column, row, values to set).
    pub(crate) fn zip(
        self,
        mut first: impl FnMut(u32, u32, &mut [u32]),
        mut combine: impl FnMut(&mut [u32], &mut [u32]),
    ) {
        let mut scratch = vec![0; self.region.bounds().width() as usize];
        self.rows(|x, y, values| {
            if let Some(scratch) = scratch.get_mut(..values.len()) {
                first(x, y, scratch);
                combine(scratch, values);
            }
        });
    }

    /// Has `change` change the pixels of a surface of 32 bits where they are: column and row of each stretch, and its
    /// pixels. False, and nothing done, when the surface is another or a mask selects pixels.
    fn pixels(&mut self, mut change: impl FnMut(u32, u32, &mut [Pixel])) -> bool {
        if self.selection.is_some() || self.surface.pixel_bytes() != Some(4) {
            return false;
        }
        self.region.for_each(|rect| {
            let (x, width) = (rect.left.unsigned_abs(), rect.width() as usize);
            for y in rows_of(&rect) {
                if let Some(pixels) = self.surface.pixels_mut(x, y, width) {
                    change(x, y, pixels);
                }
            }
        });
        true
    }

    /// Has `change` change premultiplied pixels, in the bits it is told: column and row of each stretch, its pixels and
    /// the bits. Their alpha is not to be relied on where those are not all.
    pub(crate) fn blend(mut self, dest: Dest, mut change: impl FnMut(u32, u32, &mut [Pixel], u32)) {
        if self.pixels(|x, y, pixels| change(x, y, pixels, dest.written())) {
            return;
        }
        self.rows(|x, y, values| {
            dest.widen(values);
            change(x, y, lanes::pixels(values), u32::MAX);
            lanes::values(values);
            // Only formats of 32 bits keep something.
            dest.narrow(values, &[]);
        });
    }

    /// Combines a brush with the destination.
    pub(crate) fn fill(mut self, brush: &Paint<'_>, op: BinaryOp) {
        if let (Paint::Solid(value), None) = (brush, &self.selection)
            && let Some(value) = op.constant(*value)
        {
            return fill_plain(self.surface, self.region, value);
        }
        let format = self.surface.format;
        let mut first = Vec::new();
        if let Paint::Solid(value) = brush {
            first.resize(self.region.bounds().width() as usize, value.to_le());
        }
        let done = self.pixels(|x, y, pixels| {
            let count = pixels.len();
            if let Paint::Tile(..) = brush {
                first.resize(count, 0);
                brush.row(x, y, &mut first, format);
                lanes::pixels(&mut first);
            }
            op.apply_pixels(first.as_bytes().as_chunks().0, u32::MAX, pixels);
        });
        if !done {
            self.zip(|x, y, out| brush.row(x, y, out, format), |a, b| op.apply_row(a, b));
        }
    }

    /// Combines a source with the destination.
    pub(crate) fn copy(mut self, source: &mut Scaled<'_>, op: BinaryOp) {
        if op == BinaryOp::COPY && self.selection.is_none() && self.copy_plain(source) {
            return;
        }
        let format = self.surface.format;
        let mut scratch = Vec::new();
        let done = self.pixels(|x, y, pixels| {
            let (first, kept) = source.raw_pixels((x, y), pixels.len(), format, &mut scratch);
            op.apply_pixels(first, kept, pixels);
        });
        if !done {
            self.zip(|x, y, out| source.row(x, y, out, format), |a, b| op.apply_row(a, b));
        }
    }

    /// Copies whole rows of bytes; false, and nothing done, when the source is stored in another way.
    fn copy_plain(&mut self, source: &Scaled<'_>) -> bool {
        let (surface, region) = (&mut *self.surface, self.region);
        let (format, is_wide) = (surface.format, surface.pixel_bytes() == Some(4));
        let mut plain = true;
        region.for_each(|rect| {
            let (x, width) = (rect.left.unsigned_abs(), rect.width());
            for y in rows_of(&rect) {
                let to = surface.span_mut(x, y, width);
                match source.same_bytes(x, y, width, format) {
                    Some(from) if from.len() == to.len() => {
                        if is_wide && from.len() >= LONG {
                            lanes::copy(to.as_chunks_mut().0, from.as_chunks().0, u32::MAX);
                        } else {
                            to.copy_from_slice(from);
                        }
                    }
                    _ => {
                        plain = false;
                        return;
                    }
                }
            }
        });
        plain
    }
}

/// The rows of a rectangle inside a surface.
fn rows_of(rect: &Rect) -> std::ops::Range<u32> {
    rect.top.unsigned_abs()..rect.bottom.unsigned_abs()
}

/// Sets every pixel of the region to one raw value.
fn fill_plain(surface: &mut Surface, region: &Region, value: u32) {
    if surface.pixel_bytes() == Some(4) {
        return region.for_each(|rect| {
            let (x, width) = (rect.left.unsigned_abs(), rect.width() as usize);
            for y in rows_of(&rect) {
                if let Some(pixels) = surface.pixels_mut(x, y, width) {
                    lanes::fill(pixels, value.to_le_bytes());
                }
            }
        });
    }
    let width = region.bounds().width();
    let row = vec![value; width as usize];
    region.for_each(|rect| {
        let (x, y, width) = (rect.left.unsigned_abs(), rect.top.unsigned_abs(), rect.width());
        let values = row.get(..width as usize).unwrap_or_default();
        surface.store(x, y, values);
        if surface.pixel_bytes().is_none() {
            return (y + 1..rect.bottom.unsigned_abs()).for_each(|y| surface.store(x, y, values));
        }
        let first = surface.span(x, y, width).to_vec();
        for y in y + 1..rect.bottom.unsigned_abs() {
            let span = surface.span_mut(x, y, width);
            if span.len() == first.len() {
                span.copy_from_slice(&first);
            }
        }
    });
}
