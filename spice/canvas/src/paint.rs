//! Applying an operation to the pixels of a region, row by row.

use caraway_ports::geometry::Rect;

use crate::{
    picture::{Paint, Selection},
    region::Region,
    rop::BinaryOp,
    scale::Scaled,
    surface::Surface,
};

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

    /// Sets each pixel to `combine` of what `first` says for it (column, row, values to set) and of what it was.
    pub(crate) fn zip(self, mut first: impl FnMut(u32, u32, &mut [u32]), combine: impl Fn(u32, u32) -> u32) {
        let mut scratch = vec![0; self.region.bounds().width() as usize];
        self.rows(|x, y, values| {
            if let Some(scratch) = scratch.get_mut(..values.len()) {
                first(x, y, scratch);
                values.iter_mut().zip(scratch).for_each(|(b, a)| *b = combine(*a, *b));
            }
        });
    }

    /// Combines a brush with the destination.
    pub(crate) fn fill(self, brush: &Paint<'_>, op: BinaryOp) {
        if let (Paint::Solid(value), None) = (brush, &self.selection)
            && let Some(value) = op.constant(*value)
        {
            return fill_plain(self.surface, self.region, value);
        }
        let format = self.surface.format;
        self.zip(|x, y, out| brush.row(x, y, out, format), |a, b| op.apply(a, b));
    }

    /// Combines a source with the destination.
    pub(crate) fn copy(mut self, source: &Scaled<'_>, op: BinaryOp) {
        if op == BinaryOp::COPY && self.selection.is_none() && self.copy_plain(source) {
            return;
        }
        let format = self.surface.format;
        self.zip(|x, y, out| source.row(x, y, out, format), |a, b| op.apply(a, b));
    }

    /// Copies whole rows of bytes; false, and nothing done, when the source is stored in another way.
    fn copy_plain(&mut self, source: &Scaled<'_>) -> bool {
        let (surface, region) = (&mut *self.surface, self.region);
        let mut plain = true;
        region.for_each(|rect| {
            let (x, width) = (rect.left.unsigned_abs(), rect.width());
            for y in rows_of(&rect) {
                let to = surface.format;
                match source.same_bytes(x, y, width, to) {
                    Some(bytes) if bytes.len() == surface.span(x, y, width).len() => {
                        surface.span_mut(x, y, width).copy_from_slice(bytes);
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
