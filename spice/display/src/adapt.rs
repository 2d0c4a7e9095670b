//! A command in the form in which the reference client (spice-gtk) draws what our canvas has drawn.

use std::sync::Arc;

use bytes::Bytes;
use caraway_canvas::{clip_parts, stroke_lines};
use caraway_ports::{
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, Composite, DrawOp, Drawable, Glyph, Image, ImageData, Mask, PathSegment,
        Rop, SurfaceFormat,
    },
    geometry::{Point, Rect},
};

use crate::{
    client::is_put,
    encode::{EncodeError, expanded},
};

/// `alpha` of the source of a composite counts as full.
pub(crate) const SOURCE_OPAQUE: u32 = 1 << 22;
/// `alpha` of the mask of a composite counts as full.
pub(crate) const MASK_OPAQUE: u32 = 1 << 23;

/// Flags of a path segment: it is a sub-path.
const WHOLE_SUB_PATH: u8 = 1 | 2;

/// Most points of the lines that stand for a path.
const MOST_POINTS: usize = 1 << 14;
/// Lines may end this far from the origin: further out the client's arithmetic overflows.
const FARTHEST: i32 = 8192;
/// Most parts of a clip that a stroke is sent for one by one.
const MOST_PARTS: usize = 16;
/// Masks this far away select nothing; further away the client's arithmetic overflows.
const MASK_FARTHEST: i32 = 1 << 24;

/// The lines of a stroke and the parts of its clip, if the client can be told of them.
fn stroke_parts(drawable: &Drawable) -> Option<(Arc<[PathSegment]>, Vec<Rect>)> {
    let DrawOp::Stroke {
        path,
        style,
        start_with_gap,
        ..
    } = &drawable.op
    else {
        return None;
    };
    let parts = clip_parts(drawable.bbox, &drawable.clip);
    if parts.len() > MOST_PARTS {
        return None;
    }
    let near = -FARTHEST..=FARTHEST;
    let lines = stroke_lines(path, style, *start_with_gap, &drawable.bbox, MOST_POINTS)?;
    let segment = |line: Vec<Point>| {
        let points: Option<Vec<Point>> = line
            .iter()
            .map(|point| {
                let inside = near.contains(&point.x) && near.contains(&point.y);
                inside.then_some(Point::new(point.x << 4, point.y << 4))
            })
            .collect();
        points.map(|points| PathSegment {
            flags: WHOLE_SUB_PATH,
            points,
        })
    };
    let path: Option<Vec<PathSegment>> = lines.into_iter().map(segment).collect();
    Some((path?.into(), parts))
}

/// Whether the client can be told of a stroke.
pub(crate) fn takes_stroke(drawable: &Drawable) -> bool {
    stroke_parts(drawable).is_some()
}

/// The commands to send for one on a surface of this format; more than one for a stroke in a clip of several rectangles.
pub(crate) fn adapted(drawable: &Drawable, format: Option<SurfaceFormat>) -> Result<Vec<Drawable>, EncodeError> {
    let mut told = drawable.clone();
    match &mut told.op {
        DrawOp::Fill { brush, mask, .. } => (*brush, *mask) = (placed(brush), held(mask)),
        DrawOp::Opaque { brush, mask, .. } => (*brush, *mask) = (placed(brush), held(mask)),
        DrawOp::Copy { mask, .. } | DrawOp::Blend { mask, .. } => {
            *mask = held(mask);
            if let Some(src_pos) = as_copy_bits(drawable) {
                told.op = DrawOp::CopyBits { src_pos };
            }
        }
        DrawOp::Blackness { mask } | DrawOp::Whiteness { mask } | DrawOp::Invers { mask } => *mask = held(mask),
        DrawOp::Rop3 { brush, mask, .. } => {
            // Without a brush the client takes what happens to lie there for its colour.
            let some = if *brush == Brush::None {
                Brush::Solid(0)
            } else {
                placed(brush)
            };
            (*brush, *mask) = (some, held(mask));
        }
        DrawOp::Text {
            glyphs,
            fore_brush,
            back_brush,
            fore_mode,
            ..
        } => {
            // Glyphs are blended whatever the operation; with another than this the client draws nothing.
            *fore_mode = Rop::PUT;
            *back_brush = placed(back_brush);
            *fore_brush = match &*fore_brush {
                // It takes a colour of 565 for one of 555, but an image as what it is.
                Brush::Solid(value) if format == Some(SurfaceFormat::Rgb565) => tile(*value),
                brush => placed(&from_corner(brush, glyphs)),
            };
        }
        DrawOp::Stroke { .. } => return Ok(strokes(drawable)),
        DrawOp::Composite(composite) => opaque_images(composite)?,
        DrawOp::CopyBits { .. } | DrawOp::Transparent { .. } | DrawOp::AlphaBlend { .. } => {}
    }
    Ok(vec![told])
}

/// Where from, if it is a plain copy from the surface drawn on: the client does it right where the two overlap only if it is
/// told so.
pub(crate) fn as_copy_bits(drawable: &Drawable) -> Option<Point> {
    let (DrawOp::Copy { source, rop, mask } | DrawOp::Blend { source, rop, mask }) = &drawable.op else {
        return None;
    };
    let size = |rect: &Rect| (rect.width(), rect.height());
    let plain = source.image.data == ImageData::Surface(drawable.surface)
        && is_put(*rop)
        && mask.bitmap.is_none()
        && size(&source.area) == size(&drawable.bbox);
    plain.then_some(Point::new(source.area.left, source.area.top))
}

/// A stroke as solid lines, once for each part of its clip: the client goes through the spans of a line as if they came
/// from top to bottom, which matters as soon as there are several parts, and draws dashes with a wide pen.
fn strokes(drawable: &Drawable) -> Vec<Drawable> {
    let Some((lines, parts)) = stroke_parts(drawable) else {
        return Vec::new();
    };
    let DrawOp::Stroke {
        brush,
        fore_mode,
        back_mode,
        ..
    } = &drawable.op
    else {
        return Vec::new();
    };
    let on_part = |part: Rect| Drawable {
        clip: Clip::Rects([part].into()),
        op: DrawOp::Stroke {
            path: Arc::clone(&lines),
            style: [].into(),
            start_with_gap: false,
            brush: placed(brush),
            fore_mode: *fore_mode,
            back_mode: *back_mode,
        },
        ..*drawable
    };
    parts.into_iter().map(on_part).collect()
}

/// A brush whose tiles begin left of and above everything: the client's remainders are those of C.
fn placed(brush: &Brush) -> Brush {
    let Brush::Pattern { image, pos } = brush else {
        return brush.clone();
    };
    let first = |at: i32, side: u32| {
        let side = i64::from(side.max(1));
        // Above -2^32 and at most 0; images are smaller than that.
        i32::try_from(i64::from(at).rem_euclid(side) - side).unwrap_or(0)
    };
    Brush::Pattern {
        image: image.clone(),
        pos: Point::new(first(pos.x, image.width), first(pos.y, image.height)),
    }
}

/// A brush for glyphs: the client counts from the corner of the box around all of them.
fn from_corner(brush: &Brush, glyphs: &[Glyph]) -> Brush {
    let Brush::Pattern { image, pos } = brush else {
        return brush.clone();
    };
    let first = |at: fn(&Glyph) -> i32, origin: fn(&Glyph) -> i32| {
        let corners = glyphs.iter().map(|glyph| at(glyph).saturating_add(origin(glyph)));
        corners.min().unwrap_or(0)
    };
    let corner = (
        first(|glyph| glyph.render_pos.x, |glyph| glyph.origin.x),
        first(|glyph| glyph.render_pos.y, |glyph| glyph.origin.y),
    );
    // Modulo the size of the image, so that nothing overflows.
    let moved = |at: i32, by: i32, side: u32| {
        let side = i64::from(side.max(1));
        i32::try_from((i64::from(at) - i64::from(by)).rem_euclid(side)).unwrap_or(0)
    };
    Brush::Pattern {
        image: image.clone(),
        pos: Point::new(
            moved(pos.x, corner.0, image.width),
            moved(pos.y, corner.1, image.height),
        ),
    }
}

/// A mask at a place the client can calculate with.
fn held(mask: &Mask) -> Mask {
    let held = |at: i32| at.clamp(-MASK_FARTHEST, MASK_FARTHEST);
    Mask {
        pos: Point::new(held(mask.pos.x), held(mask.pos.y)),
        ..mask.clone()
    }
}

/// A brush of one colour of 565, as an image of one pixel.
fn tile(value: u32) -> Brush {
    let bytes = caraway_image::color::from_565(value as u16).to_le_bytes();
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width: 1,
        height: 1,
        stride: 4,
        top_down: true,
        palette: None,
        data: Bytes::copy_from_slice(&bytes),
    };
    let image = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: 1,
        height: 1,
        data: ImageData::Bitmap(Arc::new(bitmap)),
    };
    Brush::Pattern {
        image,
        pos: Point::default(),
    }
}

/// The client heeds neither flag for images: those whose alpha is full are sent without it.
fn opaque_images(composite: &mut Composite) -> Result<(), EncodeError> {
    let Composite { flags, src, mask, .. } = composite;
    let images = [(Some(src), SOURCE_OPAQUE), (mask.as_mut(), MASK_OPAQUE)];
    for (image, flag) in images {
        if let Some(image) = image
            && *flags & flag != 0
            && let ImageData::Bitmap(bitmap) = &image.data
        {
            image.data = ImageData::Bitmap(Arc::new(expanded(bitmap, BitmapFormat::Bit32)?));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "adapt_tests.rs"]
mod tests;
