//! Drawables into the guest's structures.

use bytes::{BufMut as _, Bytes, BytesMut};
use caraway_ports::{
    drawing::{
        Brush, Clip, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask, PathSegment, Source, Transform,
    },
    geometry::{Point, Rect},
};

use super::{chunks, held};
use crate::{
    BITMAP_DIRECT, BITMAP_TOP_DOWN,
    record::{self, Op},
};

/// Colours an index of 8 bits can name.
const COLOURS_MAX: usize = 256;
const START_WITH_GAP: u8 = 4;
const STYLED: u8 = 8;
const STRING_TOP_DOWN: u16 = 8;

/// `None` when a list is longer than the format can say.
pub(super) fn drawable(drawable: &Drawable) -> Option<record::Drawable> {
    let clip = match &drawable.clip {
        Clip::None => None,
        Clip::Rects(rects) => Some(clip_rects(rects)?),
    };
    let mut reads = [(-1, Rect::default()); 3];
    let images = images(&drawable.op);
    for (read, (id, area)) in reads.iter_mut().zip(images.into_iter().filter_map(surface_of)) {
        *read = (id.cast_signed(), area);
    }
    Some(record::Drawable {
        bbox: drawable.bbox,
        clip,
        // Blends with what is below: always true enough.
        effect: 0,
        mm_time: drawable.mm_time,
        self_bitmap: false,
        self_bitmap_area: Rect::default(),
        surface: drawable.surface,
        reads,
        op: op(&drawable.op)?,
    })
}

/// The surface an image is, and all of its area.
fn surface_of(image: &Image) -> Option<(u32, Rect)> {
    match image.data {
        ImageData::Surface(id) => Some((id, Rect::at(0, 0, image.width, image.height))),
        _ => None,
    }
}

fn pattern(brush: &Brush) -> Option<&Image> {
    match brush {
        Brush::Pattern { image, .. } => Some(image),
        _ => None,
    }
}

/// The images an operation reads, without masks, which are never surfaces.
fn images(op: &DrawOp) -> Vec<&Image> {
    match op {
        DrawOp::Fill { brush, .. } | DrawOp::Stroke { brush, .. } => pattern(brush).into_iter().collect(),
        DrawOp::Opaque { source, brush, .. } | DrawOp::Rop3 { source, brush, .. } => {
            [Some(&source.image), pattern(brush)].into_iter().flatten().collect()
        }
        DrawOp::Copy { source, .. }
        | DrawOp::Blend { source, .. }
        | DrawOp::Transparent { source, .. }
        | DrawOp::AlphaBlend { source, .. } => vec![&source.image],
        DrawOp::Text {
            fore_brush, back_brush, ..
        } => [pattern(fore_brush), pattern(back_brush)]
            .into_iter()
            .flatten()
            .collect(),
        DrawOp::Composite(parts) => [Some(&parts.src), parts.mask.as_ref()].into_iter().flatten().collect(),
        DrawOp::CopyBits { .. } | DrawOp::Blackness { .. } | DrawOp::Whiteness { .. } | DrawOp::Invers { .. } => {
            Vec::new()
        }
    }
}

fn clip_rects(rects: &[Rect]) -> Option<record::ClipRects> {
    let mut data = BytesMut::with_capacity(16 * rects.len());
    for rect in rects {
        for edge in [rect.top, rect.left, rect.bottom, rect.right] {
            data.put_i32_le(edge);
        }
    }
    Some(record::ClipRects {
        count: u32::try_from(rects.len()).ok()?,
        rects: chunks(data.freeze()),
    })
}

fn op(op: &DrawOp) -> Option<Op> {
    Some(match op {
        DrawOp::Fill { brush, rop, mask } => Op::Fill {
            brush: of_brush(brush)?,
            rop: rop.0,
            mask: of_mask(mask)?,
        },
        DrawOp::Opaque {
            source,
            brush,
            rop,
            mask,
        } => Op::Opaque {
            source: of_source(source)?,
            brush: of_brush(brush)?,
            rop: rop.0,
            scale: source.scale as u8,
            mask: of_mask(mask)?,
        },
        DrawOp::Copy { source, rop, mask } => Op::Copy {
            source: of_source(source)?,
            rop: rop.0,
            scale: source.scale as u8,
            mask: of_mask(mask)?,
        },
        DrawOp::Blend { source, rop, mask } => Op::Blend {
            source: of_source(source)?,
            rop: rop.0,
            scale: source.scale as u8,
            mask: of_mask(mask)?,
        },
        DrawOp::CopyBits { src_pos } => Op::CopyBits { position: *src_pos },
        DrawOp::Blackness { mask } => Op::Blackness { mask: of_mask(mask)? },
        DrawOp::Whiteness { mask } => Op::Whiteness { mask: of_mask(mask)? },
        DrawOp::Invers { mask } => Op::Invers { mask: of_mask(mask)? },
        DrawOp::Rop3 {
            source,
            brush,
            rop3,
            mask,
        } => Op::Rop3 {
            source: of_source(source)?,
            brush: of_brush(brush)?,
            rop3: *rop3,
            scale: source.scale as u8,
            mask: of_mask(mask)?,
        },
        DrawOp::Stroke {
            path,
            style,
            start_with_gap,
            brush,
            fore_mode,
            back_mode,
        } => Op::Stroke(Box::new(record::Stroke {
            path: chunks(of_path(path)?),
            flags: if *start_with_gap { START_WITH_GAP } else { 0 } | if style.is_empty() { 0 } else { STYLED },
            style: (!style.is_empty()).then(|| style.iter().flat_map(|length| length.to_le_bytes()).collect()),
            brush: of_brush(brush)?,
            fore_mode: fore_mode.0,
            back_mode: back_mode.0,
        })),
        DrawOp::Text {
            glyphs,
            depth,
            back_area,
            fore_brush,
            back_brush,
            fore_mode,
            back_mode,
        } => {
            let data = of_glyphs(glyphs);
            Op::Text(Box::new(record::Text {
                data_size: u32::try_from(data.len()).ok()?,
                length: u16::try_from(glyphs.len()).ok()?,
                flags: STRING_TOP_DOWN | depth_flag(*depth),
                data: chunks(data),
                back_area: *back_area,
                fore_brush: of_brush(fore_brush)?,
                back_brush: of_brush(back_brush)?,
                fore_mode: fore_mode.0,
                back_mode: back_mode.0,
            }))
        }
        DrawOp::Transparent {
            source,
            src_color,
            true_color,
        } => Op::Transparent {
            source: of_source(source)?,
            src_color: *src_color,
            true_color: *true_color,
        },
        DrawOp::AlphaBlend { source, flags, alpha } => Op::AlphaBlend {
            flags: u16::from(*flags),
            alpha: *alpha,
            source: of_source(source)?,
        },
        DrawOp::Composite(parts) => Op::Composite(Box::new(record::Composite {
            flags: parts.flags,
            src: Some(of_image(&parts.src)?),
            src_transform: parts.src_transform.as_ref().map(of_transform),
            mask: match &parts.mask {
                None => None,
                Some(mask) => Some(of_image(mask)?),
            },
            mask_transform: parts.mask_transform.as_ref().map(of_transform),
            src_origin: held(parts.src_origin),
            mask_origin: held(parts.mask_origin),
        })),
    })
}

fn of_source(source: &Source) -> Option<record::Source> {
    Some(record::Source {
        image: Some(of_image(&source.image)?),
        area: source.area,
    })
}

fn of_path(path: &[PathSegment]) -> Option<Bytes> {
    let mut data = BytesMut::new();
    for segment in path {
        data.put_u32_le(segment.flags.into());
        data.put_u32_le(u32::try_from(segment.points.len()).ok()?);
        segment.points.iter().for_each(|point| put_point(&mut data, *point));
    }
    Some(data.freeze())
}

fn put_point(data: &mut BytesMut, point: Point) {
    data.put_i32_le(point.x);
    data.put_i32_le(point.y);
}

const fn depth_flag(depth: GlyphDepth) -> u16 {
    depth as u16
}

fn of_glyphs(glyphs: &[Glyph]) -> Bytes {
    let mut data = BytesMut::new();
    for glyph in glyphs {
        put_point(&mut data, glyph.render_pos);
        put_point(&mut data, glyph.origin);
        data.put_u16_le(glyph.width);
        data.put_u16_le(glyph.height);
        data.put_slice(&glyph.data);
    }
    data.freeze()
}

fn of_transform(transform: &Transform) -> Bytes {
    transform.0.iter().flat_map(|element| element.to_le_bytes()).collect()
}

fn of_brush(brush: &Brush) -> Option<record::Brush> {
    Some(match brush {
        Brush::None => record::Brush::None,
        Brush::Solid(colour) => record::Brush::Solid(*colour),
        Brush::Pattern { image, pos } => record::Brush::Pattern(Some(of_image(image)?), *pos),
    })
}

fn of_mask(mask: &Mask) -> Option<record::Mask> {
    Some(record::Mask {
        flags: u8::from(mask.inverse),
        position: mask.pos,
        image: match &mask.bitmap {
            None => None,
            Some(bitmap) => Some(of_image(bitmap)?),
        },
    })
}

fn of_image(image: &Image) -> Option<record::Image> {
    let pixels = match &image.data {
        ImageData::Surface(id) => record::PixelSource::Surface(*id),
        ImageData::Quic(stream) => record::PixelSource::Quic {
            size: u32::try_from(stream.len()).ok()?,
            data: chunks(stream.clone()),
        },
        ImageData::Bitmap(bitmap) => {
            let bytes = usize::try_from(u64::from(bitmap.stride) * u64::from(bitmap.height)).ok()?;
            if bitmap.data.len() < bytes {
                return None;
            }
            let top_down = if bitmap.top_down { BITMAP_TOP_DOWN } else { 0 };
            record::PixelSource::Bitmap(Box::new(record::Bitmap {
                format: bitmap.format as u8,
                flags: BITMAP_DIRECT | top_down,
                width: bitmap.width,
                height: bitmap.height,
                stride: bitmap.stride,
                palette: bitmap.palette.as_deref().map(|palette| record::Palette {
                    unique: palette.unique,
                    entries: palette.entries.iter().copied().take(COLOURS_MAX).collect(),
                }),
                data: chunks(bitmap.data.slice(..bytes)),
            }))
        }
    };
    Some(record::Image {
        id: image.id,
        flags: u8::from(image.cache) | u8::from(image.high_bits_set) << 1,
        width: image.width,
        height: image.height,
        pixels,
    })
}
