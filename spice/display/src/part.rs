//! Parts of bitmaps.

use std::sync::Arc;

use caraway_ports::{
    drawing::{Bitmap, DrawOp, Drawable, ImageData, Rop, Source},
    geometry::Rect,
};

/// The copy of a part of a bitmap that is as large as the box, without a mask: every pixel of the box comes from its own of
/// the part.
pub(crate) struct Unscaled<'a> {
    pub(crate) source: &'a Source,
    pub(crate) bitmap: &'a Arc<Bitmap>,
    pub(crate) rop: Rop,
}

impl<'a> Unscaled<'a> {
    /// What a command is, if it is such a copy.
    pub(crate) fn of(drawable: &'a Drawable) -> Option<Self> {
        let DrawOp::Copy { source, rop, mask } = &drawable.op else {
            return None;
        };
        let ImageData::Bitmap(bitmap) = &source.image.data else {
            return None;
        };
        let (area, bbox) = (source.area, drawable.bbox);
        let same_size = (area.width(), area.height()) == (bbox.width(), bbox.height());
        let is_inside = Rect::at(0, 0, bitmap.width, bitmap.height).contains(&area);
        (mask.bitmap.is_none() && same_size && is_inside && !area.is_empty()).then_some(Self {
            source,
            bitmap,
            rop: *rop,
        })
    }
}

/// The part `area` of a bitmap, on the same memory; `None` outside it, and for pixels of less than a byte.
pub(crate) fn cut(bitmap: &Bitmap, area: &Rect) -> Option<Bitmap> {
    let whole = Rect::at(0, 0, bitmap.width, bitmap.height);
    let bits = bitmap.format.bits_per_pixel();
    if area.is_empty() || !whole.contains(area) || !bits.is_multiple_of(8) {
        return None;
    }
    let first = if bitmap.top_down {
        area.top.unsigned_abs()
    } else {
        bitmap.height - area.bottom.unsigned_abs()
    };
    let left = u64::from(area.left.unsigned_abs()) * u64::from(bits / 8);
    let start = u64::from(first) * u64::from(bitmap.stride) + left;
    let last = u64::from(area.height() - 1) * u64::from(bitmap.stride);
    let end = start + last + bitmap.format.row_bytes(area.width());
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    if end > bitmap.data.len() {
        return None;
    }
    Some(Bitmap {
        format: bitmap.format,
        width: area.width(),
        height: area.height(),
        stride: bitmap.stride,
        top_down: bitmap.top_down,
        palette: None,
        data: bitmap.data.slice(start..end),
    })
}

/// The same pixels in memory of their own: what waits for a viewer must not hold a picture of which it is a part.
pub(crate) fn packed(bitmap: &Bitmap) -> Option<Bitmap> {
    let row_bytes = bitmap.format.row_bytes(bitmap.width);
    let mut data = Vec::with_capacity(usize::try_from(row_bytes).ok()? * bitmap.height as usize);
    for y in 0..bitmap.height {
        data.extend_from_slice(bitmap.row(y)?);
    }
    Some(Bitmap {
        stride: u32::try_from(row_bytes).ok()?,
        top_down: true,
        data: data.into(),
        ..bitmap.clone()
    })
}
