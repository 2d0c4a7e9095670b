use caraway_ports::drawing::{Composite, Glyph, GlyphDepth, Palette, PathSegment, Transform};
use proptest::{collection::vec, option, prelude::*};

use super::*;

/// Side of the surfaces drawn on.
const SIDE: u32 = 12;

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![6 => -20..20i32, 1 => any::<i32>(), 1 => prop_oneof![Just(i32::MIN), Just(i32::MAX)]]
}

fn point() -> impl Strategy<Value = Point> {
    (number(), number()).prop_map(|(x, y)| Point::new(x, y))
}

fn rect() -> impl Strategy<Value = Rect> {
    let wild = (point(), point()).prop_map(|(a, b)| Rect {
        top: a.y,
        left: a.x,
        bottom: b.y,
        right: b.x,
    });
    prop_oneof![4 => inner_rect(), 1 => wild]
}

/// A rectangle inside the surface, perhaps empty.
fn inner_rect() -> impl Strategy<Value = Rect> {
    let end = SIDE as i32;
    (0..=end, 0..=end, 0..=end, 0..=end).prop_map(|(a, b, c, d)| Rect {
        top: a.min(b),
        left: c.min(d),
        bottom: a.max(b),
        right: c.max(d),
    })
}

fn any_bitmap() -> impl Strategy<Value = ImageData> {
    let size = (1u8..=10, 0..20u32, 0..20u32, 0..80u32, any::<bool>());
    (size, option::of(vec(any::<u32>(), 0..20)), vec(any::<u8>(), 0..600)).prop_map(
        |((format, width, height, stride, top_down), palette, data)| {
            let palette = palette.map(|entries| Arc::new(Palette { unique: 0, entries }));
            ImageData::Bitmap(Arc::new(Bitmap {
                format: BitmapFormat::from_raw(format).unwrap(),
                width,
                height,
                stride,
                top_down,
                palette,
                data: data.into(),
            }))
        },
    )
}

/// A good header for 8x8 pixels and any bits behind it.
fn quic_stream(body: Vec<u8>) -> ImageData {
    let kind = 1 + body.len() as u32 % 5;
    let header = [0x4349_5551, 0, kind, 8, 8].into_iter().flat_map(u32::to_le_bytes);
    ImageData::Quic(header.chain(body).collect())
}

fn any_image() -> impl Strategy<Value = Image> {
    let good = vec(any::<u32>(), 64).prop_map(|pixels| image32(BitmapFormat::Rgba, 8, &pixels).data);
    let data = prop_oneof![
        3 => any_bitmap(),
        2 => good,
        2 => (0..5u32).prop_map(ImageData::Surface),
        1 => vec(any::<u8>(), 0..200).prop_map(quic_stream),
    ];
    (data, any::<bool>()).prop_map(|(data, high_bits_set)| {
        let (width, height) = if matches!(data, ImageData::Quic(_)) {
            (8, 8)
        } else {
            (0, 0)
        };
        let plain = image(data);
        Image {
            high_bits_set,
            width: plain.width.max(width),
            height: plain.height.max(height),
            ..plain
        }
    })
}

fn any_source() -> impl Strategy<Value = Source> {
    (any_image(), rect(), any::<bool>()).prop_map(|(image, area, nearest)| Source {
        image,
        area,
        scale: if nearest {
            ScaleMode::Nearest
        } else {
            ScaleMode::Interpolate
        },
    })
}

fn any_brush() -> impl Strategy<Value = Brush> {
    prop_oneof![
        Just(Brush::None),
        any::<u32>().prop_map(Brush::Solid),
        (any_image(), point()).prop_map(|(image, pos)| Brush::Pattern { image, pos }),
    ]
}

fn any_mask() -> impl Strategy<Value = Mask> {
    (option::of(any_image()), point(), any::<bool>()).prop_map(|(bitmap, pos, inverse)| Mask { inverse, pos, bitmap })
}

fn any_rop() -> impl Strategy<Value = Rop> {
    any::<u16>().prop_map(Rop)
}

fn any_text() -> impl Strategy<Value = DrawOp> {
    let glyph = (point(), point(), 0..20u16, 0..20u16, vec(any::<u8>(), 0..400)).prop_map(
        |(render_pos, origin, width, height, data)| Glyph {
            render_pos,
            origin,
            width,
            height,
            data,
        },
    );
    let depth = prop_oneof![Just(GlyphDepth::A1), Just(GlyphDepth::A4), Just(GlyphDepth::A8)];
    (vec(glyph, 0..5), depth, rect(), any_brush(), any_brush(), any_rop()).prop_map(
        |(glyphs, depth, back_area, fore_brush, back_brush, fore_mode)| DrawOp::Text {
            glyphs: glyphs.into(),
            depth,
            back_area,
            fore_brush,
            back_brush,
            fore_mode,
            back_mode: Rop::PUT,
        },
    )
}

fn any_stroke() -> impl Strategy<Value = DrawOp> {
    let segment = (any::<u8>(), vec(point(), 0..10)).prop_map(|(flags, points)| PathSegment { flags, points });
    (
        vec(segment, 0..4),
        vec(number(), 0..5),
        any::<bool>(),
        any_brush(),
        any_rop(),
    )
        .prop_map(|(path, style, start_with_gap, brush, fore_mode)| DrawOp::Stroke {
            path: path.into(),
            style: style.into(),
            start_with_gap,
            brush,
            fore_mode,
            back_mode: Rop::PUT,
        })
}

fn any_composite() -> impl Strategy<Value = DrawOp> {
    let transform = || {
        let entry = prop_oneof![3 => -0x4_0000..0x4_0000i32, 1 => any::<i32>()];
        option::of(vec(entry, 6).prop_map(|t| Transform(t.try_into().unwrap())))
    };
    let flags = (0..16u32, any::<u32>()).prop_map(|(operator, flags)| operator | flags << 8);
    (
        flags,
        any_image(),
        transform(),
        option::of(any_image()),
        transform(),
        point(),
        point(),
    )
        .prop_map(
            |(flags, src, src_transform, mask, mask_transform, src_origin, mask_origin)| {
                DrawOp::Composite(Box::new(Composite {
                    flags,
                    src,
                    src_transform,
                    mask,
                    mask_transform,
                    src_origin,
                    mask_origin,
                }))
            },
        )
}

fn any_op() -> impl Strategy<Value = DrawOp> {
    prop_oneof![
        (any_brush(), any_rop(), any_mask()).prop_map(|(brush, rop, mask)| DrawOp::Fill { brush, rop, mask }),
        (any_source(), any_brush(), any_rop(), any_mask()).prop_map(|(source, brush, rop, mask)| DrawOp::Opaque {
            source,
            brush,
            rop,
            mask
        }),
        (any_source(), any_rop(), any_mask()).prop_map(|(source, rop, mask)| DrawOp::Copy { source, rop, mask }),
        (any_source(), any_rop(), any_mask()).prop_map(|(source, rop, mask)| DrawOp::Blend { source, rop, mask }),
        point().prop_map(|src_pos| DrawOp::CopyBits { src_pos }),
        any_mask().prop_map(|mask| DrawOp::Blackness { mask }),
        any_mask().prop_map(|mask| DrawOp::Whiteness { mask }),
        any_mask().prop_map(|mask| DrawOp::Invers { mask }),
        (any_source(), any_brush(), any::<u8>(), any_mask()).prop_map(|(source, brush, rop3, mask)| DrawOp::Rop3 {
            source,
            brush,
            rop3,
            mask
        }),
        (any_source(), any::<u32>()).prop_map(|(source, true_color)| DrawOp::Transparent {
            source,
            src_color: 0,
            true_color
        }),
        (any_source(), any::<u8>(), any::<u8>()).prop_map(|(source, flags, alpha)| DrawOp::AlphaBlend {
            source,
            flags,
            alpha
        }),
        any_text(),
        any_stroke(),
        any_composite(),
    ]
}

fn any_clip() -> impl Strategy<Value = Clip> {
    prop_oneof![
        Just(Clip::None),
        vec(rect(), 0..6).prop_map(|rects| Clip::Rects(rects.into()))
    ]
}

/// One surface of each format, with a pattern on it.
fn every_surface() -> Canvas {
    let formats = [
        SurfaceFormat::Xrgb,
        SurfaceFormat::Argb,
        SurfaceFormat::Rgb555,
        SurfaceFormat::Rgb565,
        SurfaceFormat::A8,
        SurfaceFormat::A1,
    ];
    let mut canvas = Canvas::new(Limits::default());
    for (id, format) in (0..).zip(formats) {
        add_surface(&mut canvas, id, format, SIDE, SIDE);
        for i in 0..SIDE as i32 {
            let stripe = Rect::at(i, 0, 1, SIDE - i as u32);
            draw_on(
                &mut canvas,
                id,
                stripe,
                Clip::None,
                fill(0x2468_ace1u32.wrapping_mul(i as u32), 8),
            )
            .unwrap();
        }
    }
    canvas
}

/// Whether pixel `x`, `y` is drawn.
fn visible(bbox: &Rect, clip: &Clip, x: i32, y: i32) -> bool {
    let pixel = Rect::at(x, y, 1, 1);
    let clipped = match clip {
        Clip::None => true,
        Clip::Rects(rects) => rects.iter().any(|rect| rect.contains(&pixel)),
    };
    bbox.contains(&pixel) && clipped
}

fn at(row_by_row: &[u32], x: i32, y: i32) -> u32 {
    row_by_row[(y * SIDE as i32 + x) as usize]
}

fn places() -> impl Iterator<Item = (i32, i32)> {
    (0..SIDE as i32).flat_map(|y| (0..SIDE as i32).map(move |x| (x, y)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_drawable_ends_well_and_stays_inside_what_it_reports(
        surface in 0..7u32, bbox in rect(), clip in any_clip(), op in any_op(),
    ) {
        let mut canvas = every_surface();
        let before: Vec<_> = canvas.ids().map(|id| canvas.read(id, Rect::at(0, 0, SIDE, SIDE))).collect();
        let drawn = draw_on(&mut canvas, surface, bbox, clip.clone(), op).unwrap_or_default().bbox;
        for (id, old) in (0..).zip(before) {
            for (x, y) in places() {
                let pixel = Rect::at(x, y, 1, 1);
                let inside = id == surface && drawn.contains(&pixel) && visible(&bbox, &clip, x, y);
                if !inside && canvas.format(id) != Some(SurfaceFormat::A1) {
                    let each = canvas.format(id).unwrap().bits_per_pixel() as usize / 8;
                    let start = (y as usize * SIDE as usize + x as usize) * each;
                    let old = old.as_ref().unwrap().data.slice(start..start + each);
                    prop_assert_eq!(canvas.read(id, pixel).unwrap().data, old, "surface {} {} {}", id, x, y);
                }
            }
        }
    }

    #[test]
    fn copy_bits_equals_a_copy_through_a_temporary(
        bbox in inner_rect(), pos in (0..12i32, 0..12i32), clip in any_clip(), id in 0..5u32,
    ) {
        let mut canvas = every_surface();
        let before = values(&canvas, id);
        let src_pos = Point::new(pos.0.min(SIDE as i32 - bbox.width() as i32), pos.1.min(SIDE as i32 - bbox.height() as i32));
        draw_on(&mut canvas, id, bbox, clip.clone(), DrawOp::CopyBits { src_pos }).unwrap();
        let after = values(&canvas, id);
        for (x, y) in places() {
            let expected = if visible(&bbox, &clip, x, y) {
                at(&before, x - bbox.left + src_pos.x, y - bbox.top + src_pos.y)
            } else {
                at(&before, x, y)
            };
            prop_assert_eq!(at(&after, x, y), expected, "{} {}", x, y);
        }
    }

    #[test]
    fn a_copy_from_the_same_surface_equals_copy_bits(
        bbox in inner_rect().prop_filter("holds a pixel", |bbox| !bbox.is_empty()),
        pos in (0..12i32, 0..12i32), clip in any_clip(), id in 0..5u32,
    ) {
        let src_pos = Point::new(pos.0.min(SIDE as i32 - bbox.width() as i32), pos.1.min(SIDE as i32 - bbox.height() as i32));
        let mut by_copy = every_surface();
        let mut by_bits = every_surface();
        let from = Source {
            image: image(ImageData::Surface(id)),
            area: Rect::at(src_pos.x, src_pos.y, bbox.width(), bbox.height()),
            scale: ScaleMode::Nearest,
        };
        draw_on(&mut by_copy, id, bbox, clip.clone(), copy(from)).unwrap();
        draw_on(&mut by_bits, id, bbox, clip, DrawOp::CopyBits { src_pos }).unwrap();
        prop_assert_eq!(values(&by_copy, id), values(&by_bits, id));
    }

    #[test]
    fn copies_and_fills_equal_their_definition_pixel_by_pixel(
        bbox in inner_rect().prop_filter("holds a pixel", |bbox| !bbox.is_empty()), clip in any_clip(), rop in 0..0x800u16, id in 0..2u32,
        pixels in vec(any::<u32>(), (SIDE * SIDE) as usize), bits in vec(any::<u8>(), 18),
        masked in any::<bool>(), inverse in any::<bool>(), offset in (-3..4i32, -3..4i32), copies in any::<bool>(),
    ) {
        let mut canvas = every_surface();
        let before = values(&canvas, id);
        let brush = image32(BitmapFormat::Rgba, SIDE, &pixels);
        let mask = Mask {
            inverse,
            pos: Point::new(offset.0, offset.1),
            bitmap: masked.then(|| bitmap(BitmapFormat::Bit1Be, 9, 9, 2, &bits)),
        };
        let area = Rect::at(0, 0, bbox.width(), bbox.height());
        let op = if copies {
            let source = Source { image: brush, area, scale: ScaleMode::Interpolate };
            DrawOp::Copy { source, rop: Rop(rop), mask }
        } else {
            let brush = Brush::Pattern { image: brush, pos: Point::new(bbox.left, bbox.top) };
            DrawOp::Fill { brush, rop: Rop(rop), mask }
        };
        draw_on(&mut canvas, id, bbox, clip.clone(), op).unwrap();
        let after = values(&canvas, id);
        for (x, y) in places() {
            let (dx, dy) = (x - bbox.left, y - bbox.top);
            let (mx, my) = (dx + offset.0, dy + offset.1);
            let in_mask = (0..9).contains(&mx) && (0..9).contains(&my);
            let selected = !masked || in_mask && {
                let byte = bits[(my * 2 + mx / 8) as usize];
                ((byte >> (7 - mx % 8)) & 1 == 1) != inverse
            };
            let old = at(&before, x, y);
            let expected = if visible(&bbox, &clip, x, y) && selected {
                let invert = if copies { Rop::INVERS_SRC } else { Rop::INVERS_BRUSH };
                combined(rop, invert, at(&pixels, dx, dy), old)
            } else {
                old
            };
            prop_assert_eq!(at(&after, x, y), expected, "{} {}", x, y);
        }
    }
}

/// A binary raster operation by its definition.
fn combined(rop: u16, invert: u16, first: u32, dest: u32) -> u32 {
    let a = if rop & invert != 0 { !first } else { first };
    let b = if rop & Rop::INVERS_DEST != 0 { !dest } else { dest };
    let result = match rop {
        _ if rop & Rop::OP_PUT != 0 => a,
        _ if rop & Rop::OP_OR != 0 => a | b,
        _ if rop & Rop::OP_AND != 0 => a & b,
        _ if rop & Rop::OP_XOR != 0 => a ^ b,
        _ if rop & Rop::OP_BLACKNESS != 0 => return 0,
        _ if rop & Rop::OP_WHITENESS != 0 => return u32::MAX,
        _ if rop & Rop::OP_INVERS != 0 => return !dest,
        _ => return first,
    };
    if rop & Rop::INVERS_RES != 0 { !result } else { result }
}
