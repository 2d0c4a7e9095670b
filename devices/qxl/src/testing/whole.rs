//! That what the viewer is told holds together, whatever the guest wrote: sizes agree with the data, areas lie inside
//! what they are areas of.

use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType, DisplayCommand},
    drawing::{Brush, Clip, DrawOp, Drawable, GlyphDepth, Image, ImageData, Mask, Source},
    geometry::Rect,
};

pub(crate) fn assert_whole(command: &DisplayCommand) {
    match command {
        DisplayCommand::Draw(drawable) => draw(drawable),
        DisplayCommand::Cursor(CursorCommand::Set { shape, .. }) => cursor(shape),
        DisplayCommand::CreateSurface(spec) => {
            assert!(spec.id < 1024 && spec.width > 0 && spec.height > 0);
            assert!(spec.format.row_bytes(spec.width) * u64::from(spec.height) <= 0x7fff_ffff);
        }
        DisplayCommand::Monitors { heads, max } => {
            assert!(heads.len() <= usize::from(*max) && *max <= 64);
            assert!(heads.iter().all(|head| head.surface == 0 && !head.area.is_empty()));
        }
        _ => {}
    }
}

fn draw(drawable: &Drawable) {
    let bbox = &drawable.bbox;
    assert!(!bbox.is_empty());
    if let Clip::Rects(rects) = &drawable.clip {
        assert!(rects.iter().all(|rect| !rect.is_empty() && bbox.contains(rect)));
    }
    match &drawable.op {
        DrawOp::Fill { brush, mask, .. } => {
            of_brush(brush);
            of_mask(mask);
        }
        DrawOp::Opaque {
            source: from,
            brush,
            mask,
            ..
        }
        | DrawOp::Rop3 {
            source: from,
            brush,
            mask,
            ..
        } => {
            source(from);
            of_brush(brush);
            of_mask(mask);
        }
        DrawOp::Copy { source: from, mask, .. } | DrawOp::Blend { source: from, mask, .. } => {
            source(from);
            of_mask(mask);
        }
        DrawOp::CopyBits { src_pos } => assert!(src_pos.x >= 0 && src_pos.y >= 0),
        DrawOp::Blackness { mask } | DrawOp::Whiteness { mask } | DrawOp::Invers { mask } => of_mask(mask),
        DrawOp::Stroke { path, style, brush, .. } => {
            of_brush(brush);
            let held = |value: i32| (-(1 << 26)..=1 << 26).contains(&value);
            let mut points = path.iter().flat_map(|segment| &segment.points);
            assert!(points.all(|point| held(point.x) && held(point.y)));
            assert!(style.is_empty() || style.iter().any(|length| *length > 0));
            assert!(style.iter().all(|length| *length >= 0));
        }
        DrawOp::Text {
            glyphs,
            depth,
            fore_brush,
            back_brush,
            ..
        } => {
            of_brush(fore_brush);
            of_brush(back_brush);
            let bits = match depth {
                GlyphDepth::A1 => 1,
                GlyphDepth::A4 => 4,
                GlyphDepth::A8 => 8,
            };
            for glyph in glyphs.iter() {
                let row = (usize::from(glyph.width) * bits).div_ceil(8);
                assert_eq!(glyph.data.len(), row * usize::from(glyph.height));
            }
        }
        DrawOp::Transparent { source: from, .. } | DrawOp::AlphaBlend { source: from, .. } => source(from),
        DrawOp::Composite(composite) => {
            of_image(&composite.src);
            composite.mask.iter().for_each(of_image);
        }
    }
}

fn of_brush(brush: &Brush) {
    if let Brush::Pattern { image, .. } = brush {
        of_image(image);
    }
}

fn of_mask(mask: &Mask) {
    if let Some(image) = &mask.bitmap {
        of_image(image);
        let ImageData::Bitmap(bitmap) = &image.data else {
            panic!("a mask is a bitmap")
        };
        assert_eq!(bitmap.format.bits_per_pixel(), 1);
    }
}

fn source(source: &Source) {
    of_image(&source.image);
    let whole = Rect::at(0, 0, source.image.width, source.image.height);
    assert!(!source.area.is_empty() && whole.contains(&source.area));
}

fn of_image(image: &Image) {
    assert!(image.width > 0 && image.height > 0);
    match &image.data {
        ImageData::Bitmap(bitmap) => {
            assert_eq!((bitmap.width, bitmap.height), (image.width, image.height));
            assert_eq!(
                u64::from(bitmap.stride),
                bitmap.format.row_bytes(bitmap.width),
                "no padding"
            );
            assert_eq!(
                bitmap.data.len() as u64,
                u64::from(bitmap.stride) * u64::from(bitmap.height)
            );
            let colours = bitmap.palette.as_ref().map_or(0, |palette| palette.entries.len());
            assert!(colours <= 256);
        }
        ImageData::Quic(stream) => {
            let word = |at: usize| u32::from_le_bytes(stream[at..at + 4].try_into().unwrap());
            assert_eq!((word(12), word(16)), (image.width, image.height));
        }
        ImageData::Surface(_) => {}
    }
}

fn cursor(shape: &CursorShape) {
    let (width, height) = (usize::from(shape.width), usize::from(shape.height));
    assert!((1..=512).contains(&width) && (1..=512).contains(&height));
    assert!(shape.hot_spot.0 < shape.width && shape.hot_spot.1 < shape.height);
    let mask = width.div_ceil(8) * height;
    let expected = match shape.kind {
        CursorType::Alpha => 4 * width * height,
        CursorType::Mono => 2 * mask,
        CursorType::Color4 => width.div_ceil(2) * height + 64 + mask,
        CursorType::Color8 => width * height + 1024 + mask,
        CursorType::Color16 => 2 * width * height + mask,
        CursorType::Color24 => 3 * width * height + mask,
        CursorType::Color32 => 4 * width * height + mask,
    };
    assert_eq!(shape.data.len(), expected);
}
