//! What the reference client is told instead of what the guest has said.

use super::*;

const BOX: Rect = Rect {
    top: 0,
    left: 0,
    bottom: 8,
    right: 8,
};

fn drawable(clip: Clip, op: DrawOp) -> Drawable {
    Drawable {
        surface: 1,
        bbox: BOX,
        clip,
        mm_time: 0,
        op,
    }
}

/// What one command becomes on a surface of 565.
fn told(op: DrawOp) -> Vec<DrawOp> {
    let all = adapted(&drawable(Clip::None, op), Some(SurfaceFormat::Rgb565)).unwrap();
    all.into_iter().map(|drawable| drawable.op).collect()
}

fn image(width: u32, height: u32, data: ImageData) -> Image {
    Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width,
        height,
        data,
    }
}

fn pixels(format: BitmapFormat, values: &[u32]) -> Image {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let width = values.len() as u32;
    let bitmap = Bitmap {
        format,
        width,
        height: 1,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: data.into(),
    };
    image(width, 1, ImageData::Bitmap(Arc::new(bitmap)))
}

#[test]
fn tiles_and_masks_come_to_where_the_client_can_calculate() {
    let fill = |x, y, mask_x| DrawOp::Fill {
        brush: Brush::Pattern {
            image: pixels(BitmapFormat::Bit32, &[1, 2, 3]),
            pos: Point::new(x, y),
        },
        rop: Rop::PUT,
        mask: Mask {
            inverse: false,
            pos: Point::new(mask_x, 0),
            bitmap: None,
        },
    };
    let places = |x, y, mask_x| match &told(fill(x, y, mask_x))[..] {
        [
            DrawOp::Fill {
                brush: Brush::Pattern { pos, .. },
                mask,
                ..
            },
        ] => (pos.x, pos.y, mask.pos.x),
        other => panic!("{other:?}"),
    };
    assert_eq!(places(0, 0, 5), (-3, -1, 5));
    assert_eq!(places(4, 7, -5), (-2, -1, -5));
    assert_eq!(places(-1, -1, 0), (-1, -1, 0));
    // -2^31 is 1 modulo 3.
    assert_eq!(places(i32::MIN, i32::MAX, i32::MIN), (-2, -1, -MASK_FARTHEST));
}

#[test]
fn an_overlapping_copy_is_a_copy_of_bits() {
    let copy = |rop| DrawOp::Copy {
        source: caraway_ports::drawing::Source {
            image: image(8, 8, ImageData::Surface(1)),
            area: Rect::at(3, 4, 8, 8),
            scale: caraway_ports::drawing::ScaleMode::Nearest,
        },
        rop: Rop(rop),
        mask: Mask::default(),
    };
    let moved = DrawOp::CopyBits {
        src_pos: Point::new(3, 4),
    };
    assert_eq!(told(copy(Rop::OP_PUT)), [moved]);
    assert_eq!(told(copy(Rop::OP_OR)), [copy(Rop::OP_OR)]);
}

#[test]
fn strokes_are_solid_lines_in_one_rectangle_each() {
    let path = |flags, points: &[(i32, i32)]| PathSegment {
        flags,
        points: points.iter().map(|(x, y)| Point::new(x * 16, y * 16)).collect(),
    };
    let stroke = |segment, style: &[i32]| DrawOp::Stroke {
        path: [segment].into(),
        style: style.into(),
        start_with_gap: true,
        brush: Brush::Solid(1),
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let parts = [Rect::at(0, 0, 4, 4), Rect::at(4, 4, 4, 4)];
    let clip = Clip::Rects(parts.into());
    let dashed = stroke(path(3, &[(0, 2), (8, 2)]), &[48, 32]);
    let lines = DrawOp::Stroke {
        path: [path(3, &[(3, 2), (5, 2)])].into(),
        style: [].into(),
        start_with_gap: false,
        brush: Brush::Solid(1),
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let all = adapted(&drawable(clip, dashed), None).unwrap();
    let expected = parts.map(|part| drawable(Clip::Rects([part].into()), lines.clone()));
    assert_eq!(all, expected);
    // A curve is no longer one.
    let curve = told(stroke(path(0x13, &[(0, 0), (0, 8), (8, 8), (8, 0)]), &[]));
    let [DrawOp::Stroke { path: lines, .. }] = &curve[..] else {
        panic!("{curve:?}");
    };
    assert!(
        lines
            .iter()
            .all(|line| line.flags == WHOLE_SUB_PATH && line.points.len() > 4)
    );
}

#[test]
fn text_says_put_and_counts_tiles_from_its_corner() {
    let text = |fore_brush| DrawOp::Text {
        glyphs: [(7, 3), (5, 6)]
            .map(|(x, y)| Glyph {
                render_pos: Point::new(x, y),
                origin: Point::new(-1, 1),
                width: 1,
                height: 1,
                data: vec![0x80],
            })
            .into(),
        depth: caraway_ports::drawing::GlyphDepth::A1,
        back_area: Rect::default(),
        fore_brush,
        back_brush: Brush::None,
        fore_mode: Rop(Rop::OP_XOR),
        back_mode: Rop::PUT,
    };
    let brush = |fore_brush| match told(text(fore_brush)).pop() {
        Some(DrawOp::Text {
            fore_brush,
            fore_mode: Rop::PUT,
            ..
        }) => fore_brush,
        other => panic!("{other:?}"),
    };
    let tiles = pixels(BitmapFormat::Bit32, &[1, 2, 3]);
    let Brush::Pattern { pos, .. } = brush(Brush::Pattern {
        image: tiles,
        pos: Point::default(),
    }) else {
        panic!("no pattern");
    };
    // Four left of the origin, and one more tile to begin before everything.
    assert_eq!(pos, Point::new(-1, -1));
    assert_eq!(brush(Brush::None), Brush::None);
    // 0xf81f of 565 is magenta; the client takes a colour for one of 555.
    let Brush::Pattern { image, .. } = brush(Brush::Solid(0xf81f)) else {
        panic!("no pattern");
    };
    assert_eq!(image, pixels(BitmapFormat::Bit32, &[0x00ff_00ff]));
}

#[test]
fn images_lose_alpha_that_does_not_count() {
    let alpha = || pixels(BitmapFormat::Rgba, &[0x4030_2010]);
    let composite = |flags| {
        DrawOp::Composite(Box::new(Composite {
            flags,
            src: alpha(),
            src_transform: None,
            mask: Some(alpha()),
            mask_transform: None,
            src_origin: Point::default(),
            mask_origin: Point::default(),
        }))
    };
    let formats = |flags| match told(composite(flags)).pop() {
        Some(DrawOp::Composite(composite)) => [Some(composite.src), composite.mask].map(|image| match image?.data {
            ImageData::Bitmap(bitmap) => Some(bitmap.format),
            _ => None,
        }),
        other => panic!("{other:?}"),
    };
    let (with, without) = (Some(BitmapFormat::Rgba), Some(BitmapFormat::Bit32));
    assert_eq!(formats(3), [with, with]);
    assert_eq!(formats(3 | SOURCE_OPAQUE), [without, with]);
    assert_eq!(formats(3 | MASK_OPAQUE), [with, without]);
}

#[test]
fn a_ternary_operation_has_a_brush() {
    let op = DrawOp::Rop3 {
        source: caraway_ports::drawing::Source {
            image: pixels(BitmapFormat::Bit32, &[1]),
            area: Rect::at(0, 0, 1, 1),
            scale: caraway_ports::drawing::ScaleMode::Nearest,
        },
        brush: Brush::None,
        rop3: 0x96,
        mask: Mask::default(),
    };
    let [DrawOp::Rop3 { brush, .. }] = &told(op)[..] else {
        panic!("something else");
    };
    assert_eq!(*brush, Brush::Solid(0));
}
