//! Frames as parts of what a guest copies.

use std::sync::Arc;

use caraway_ports::{
    drawing::{Bitmap, Clip, DrawOp, Drawable, Image, ImageData, Source},
    geometry::Rect,
};

use crate::{part::cut, region::around};

/// What a frame shows.
pub(crate) fn bitmap_source(drawable: &Drawable) -> Option<Bitmap> {
    match &drawable.op {
        DrawOp::Copy { source, .. } => match &source.image.data {
            ImageData::Bitmap(bitmap) => cut(bitmap, &source.area),
            _ => None,
        },
        _ => None,
    }
}

/// Cuts the copy of a bitmap that is not scaled into the part that fills `dest`, which has to be inside what is drawn,
/// and what it draws beside it, if anything.
pub(crate) fn part_of(drawable: &Drawable, source: &Source, dest: &Rect) -> Option<(Drawable, Option<Drawable>)> {
    let DrawOp::Copy { rop, mask, .. } = &drawable.op else {
        return None;
    };
    let ImageData::Bitmap(bitmap) = &source.image.data else {
        return None;
    };
    let bbox = drawable.bbox;
    let same_size = (source.area.width(), source.area.height()) == (bbox.width(), bbox.height());
    if !same_size || !bbox.contains(dest) {
        return None;
    }
    let (dx, dy) = (
        source.area.left.checked_sub(bbox.left)?,
        source.area.top.checked_sub(bbox.top)?,
    );
    let inner = cut(bitmap, &dest.translate(dx, dy))?;
    let (width, height) = (inner.width, inner.height);
    let op = DrawOp::Copy {
        source: Source {
            image: Image {
                id: 0,
                cache: false,
                high_bits_set: source.image.high_bits_set,
                width,
                height,
                data: ImageData::Bitmap(Arc::new(inner)),
            },
            area: Rect::at(0, 0, width, height),
            scale: source.scale,
        },
        rop: *rop,
        mask: mask.clone(),
    };
    let frame = Drawable {
        bbox: *dest,
        clip: Clip::None,
        op,
        ..*drawable
    };
    let beside = around(&bbox, dest);
    let rest: Vec<Rect> = match &drawable.clip {
        Clip::None => beside.into_iter().filter(|part| !part.is_empty()).collect(),
        Clip::Rects(rects) => rects
            .iter()
            .flat_map(|rect| beside.map(|part| part.intersect(rect)))
            .filter(|part| !part.is_empty())
            .collect(),
    };
    let rest = (!rest.is_empty()).then(|| Drawable {
        clip: Clip::Rects(rest.into()),
        ..drawable.clone()
    });
    Some((frame, rest))
}
