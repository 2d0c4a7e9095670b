//! Display commands as a device gives them.

use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType, DisplayCommand, Pixels, SurfaceSpec},
    drawing::{
        Bitmap, BitmapFormat, Brush, Clip, Composite, DrawOp, Drawable, Glyph, GlyphDepth, Image, ImageData, Mask,
        Palette, PathSegment, Rop, ScaleMode, Source, SurfaceFormat, Transform,
    },
    geometry::{Point, Rect},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// The screen these commands are for.
pub(crate) const SCREEN: (u32, u32) = (64, 48);
/// An off-screen surface.
pub(crate) const OTHER: (u32, (u32, u32)) = (5, (40, 30));

/// The surfaces that have to be there.
pub(crate) fn surfaces() -> [DisplayCommand; 2] {
    let create = |id, (width, height), format| {
        DisplayCommand::CreateSurface(SurfaceSpec {
            id,
            width,
            height,
            format,
            pixels: None,
        })
    };
    [
        create(0, SCREEN, SurfaceFormat::Xrgb),
        create(OTHER.0, OTHER.1, SurfaceFormat::Argb),
    ]
}

/// Any command.
pub(crate) fn command() -> impl Strategy<Value = DisplayCommand> {
    prop_oneof![
        6 => drawable().prop_map(|drawable| DisplayCommand::Draw(Box::new(drawable))),
        2 => cursor().prop_map(DisplayCommand::Cursor),
        2 => surface(7).prop_map(DisplayCommand::CreateSurface),
        1 => surface(0).prop_map(DisplayCommand::CreateSurface),
        1 => select(vec![0, OTHER.0]).prop_map(DisplayCommand::DestroySurface),
        1 => Just(DisplayCommand::Reset),
    ]
}

fn surface(id: u32) -> impl Strategy<Value = SurfaceSpec> {
    let formats = if id == 0 {
        vec![
            SurfaceFormat::Rgb555,
            SurfaceFormat::Xrgb,
            SurfaceFormat::Rgb565,
            SurfaceFormat::Argb,
        ]
    } else {
        vec![SurfaceFormat::A1, SurfaceFormat::A8, SurfaceFormat::Xrgb]
    };
    (select(formats), 1..40_u32, 1..10_u32, any::<bool>()).prop_flat_map(move |(format, width, height, content)| {
        let stride = format.row_bytes(width) as u32;
        let size = if content { stride * height } else { 0 };
        vec(any::<u8>(), size as usize).prop_map(move |data| SurfaceSpec {
            id,
            width,
            height,
            format,
            pixels: content.then(|| Pixels {
                format,
                width,
                height,
                stride,
                data: Bytes::from(data),
            }),
        })
    })
}

fn position() -> impl Strategy<Value = Point> {
    any::<(i16, i16)>().prop_map(|(x, y)| Point::new(x.into(), y.into()))
}

fn cursor() -> impl Strategy<Value = CursorCommand> {
    let sizes = (1..20_u16, 1..20_u16).prop_flat_map(|(width, height)| {
        let bytes = 4 * usize::from(width) * usize::from(height);
        (Just((width, height)), (0..width, 0..height), vec(any::<u8>(), bytes))
    });
    prop_oneof![
        (position(), any::<bool>(), any::<u64>(), sizes).prop_map(
            |(position, visible, unique, ((width, height), hot_spot, data))| CursorCommand::Set {
                position,
                visible,
                shape: Arc::new(CursorShape {
                    unique,
                    kind: CursorType::Alpha,
                    width,
                    height,
                    hot_spot,
                    data: Bytes::from(data),
                }),
            }
        ),
        position().prop_map(CursorCommand::Move),
        Just(CursorCommand::Hide),
        any::<(u16, u16)>().prop_map(|(length, frequency)| CursorCommand::Trail { length, frequency }),
        Just(CursorCommand::Reset),
    ]
}

/// A rectangle inside, which holds a pixel.
fn inside((width, height): (u32, u32)) -> impl Strategy<Value = Rect> {
    let (width, height) = (width as i32, height as i32);
    (0..width, 0..height)
        .prop_flat_map(move |(left, top)| (Just((left, top)), left + 1..=width, top + 1..=height))
        .prop_map(|((left, top), right, bottom)| Rect {
            top,
            left,
            bottom,
            right,
        })
}

fn point() -> impl Strategy<Value = Point> {
    any::<(i32, i32)>().prop_map(|(x, y)| Point { x, y })
}

fn drawable() -> impl Strategy<Value = Drawable> {
    select(vec![(0, SCREEN), OTHER]).prop_flat_map(|(surface, size)| {
        (inside(size), any::<u32>()).prop_flat_map(move |(bbox, mm_time)| {
            (clip(bbox), operation(bbox)).prop_map(move |(clip, op)| Drawable {
                surface,
                bbox,
                clip,
                mm_time,
                op,
            })
        })
    })
}

fn clip(bbox: Rect) -> impl Strategy<Value = Clip> {
    let rects = vec(inside((bbox.width(), bbox.height())), 1..5).prop_map(move |rects| {
        let moved = rects.iter().map(|rect| rect.translate(bbox.left, bbox.top));
        Clip::Rects(moved.collect())
    });
    prop_oneof![Just(Clip::None), rects]
}

fn bitmap(formats: &'static [BitmapFormat], mask: bool) -> impl Strategy<Value = Bitmap> {
    (select(formats), 1..20_u32, 1..8_u32, any::<bool>()).prop_flat_map(move |(format, width, height, top_down)| {
        let stride = format.row_bytes(width) as u32;
        let palette = (any::<u64>(), vec(any::<u32>(), 0..20));
        let coloured = format.has_palette() && !mask;
        (vec(any::<u8>(), (stride * height) as usize), palette).prop_map(move |(data, (unique, entries))| Bitmap {
            format,
            width,
            height,
            stride,
            top_down,
            palette: coloured.then(|| Arc::new(Palette { unique, entries })),
            data: Bytes::from(data),
        })
    })
}

fn image() -> impl Strategy<Value = Image> {
    let data = prop_oneof![
        4 => bitmap(
            &[
                BitmapFormat::Bit1Be,
                BitmapFormat::Bit4Le,
                BitmapFormat::Bit8,
                BitmapFormat::Bit16,
                BitmapFormat::Bit24,
                BitmapFormat::Bit32,
                BitmapFormat::Rgba,
                BitmapFormat::Bit8A,
            ],
            false,
        )
        .prop_map(|bitmap| (bitmap.width, bitmap.height, ImageData::Bitmap(Arc::new(bitmap)))),
        1 => select(vec![(0, SCREEN), OTHER])
            .prop_map(|(id, (width, height))| (width, height, ImageData::Surface(id))),
        1 => (1..1000_u32, 1..1000_u32, 1..=5_u32, vec(any::<u8>(), 0..40)).prop_map(|(width, height, kind, rest)| {
            let header = [u32::from_le_bytes(*b"QUIC"), 0, kind, width, height];
            let mut stream: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
            stream.extend(rest);
            (width, height, ImageData::Quic(Bytes::from(stream)))
        }),
    ];
    (any::<(u64, bool, bool)>(), data).prop_map(|((id, cache, high_bits_set), (width, height, data))| Image {
        id,
        cache,
        high_bits_set,
        width,
        height,
        data,
    })
}

fn source(scale: impl Strategy<Value = ScaleMode> + 'static) -> impl Strategy<Value = Source> {
    (image(), scale).prop_flat_map(|(image, scale)| {
        inside((image.width, image.height)).prop_map(move |area| Source {
            image: image.clone(),
            area,
            scale,
        })
    })
}

fn any_scale() -> impl Strategy<Value = ScaleMode> {
    select(vec![ScaleMode::Interpolate, ScaleMode::Nearest])
}

fn brush() -> impl Strategy<Value = Brush> {
    prop_oneof![
        Just(Brush::None),
        any::<u32>().prop_map(Brush::Solid),
        (image(), point()).prop_map(|(image, pos)| Brush::Pattern { image, pos }),
    ]
}

fn mask() -> impl Strategy<Value = Mask> {
    let bits = bitmap(&[BitmapFormat::Bit1Le, BitmapFormat::Bit1Be], true).prop_map(|bitmap| Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: bitmap.width,
        height: bitmap.height,
        data: ImageData::Bitmap(Arc::new(bitmap)),
    });
    (any::<bool>(), point(), option::of(bits)).prop_map(|(inverse, pos, bitmap)| Mask { inverse, pos, bitmap })
}

fn rop() -> impl Strategy<Value = Rop> {
    (0..=0x7ff_u16).prop_map(Rop)
}

fn operation(bbox: Rect) -> BoxedStrategy<DrawOp> {
    let fits = (
        0..=SCREEN.0.min(OTHER.1.0).saturating_sub(bbox.width()),
        0..=SCREEN.1.min(OTHER.1.1).saturating_sub(bbox.height()),
    );
    let small = bbox.width() <= OTHER.1.0 && bbox.height() <= OTHER.1.1;
    let copy_bits = fits.prop_map(move |(x, y)| DrawOp::CopyBits {
        src_pos: if small {
            Point::new(x as i32, y as i32)
        } else {
            Point::new(bbox.left, bbox.top)
        },
    });
    prop_oneof![
        (brush(), rop(), mask()).prop_map(|(brush, rop, mask)| DrawOp::Fill { brush, rop, mask }),
        (source(any_scale()), brush(), rop(), mask()).prop_map(|(source, brush, rop, mask)| DrawOp::Opaque {
            source,
            brush,
            rop,
            mask
        }),
        (source(any_scale()), rop(), mask()).prop_map(|(source, rop, mask)| DrawOp::Copy { source, rop, mask }),
        (source(any_scale()), rop(), mask()).prop_map(|(source, rop, mask)| DrawOp::Blend { source, rop, mask }),
        copy_bits,
        mask().prop_map(|mask| DrawOp::Blackness { mask }),
        mask().prop_map(|mask| DrawOp::Whiteness { mask }),
        mask().prop_map(|mask| DrawOp::Invers { mask }),
        (source(any_scale()), brush(), any::<u8>(), mask()).prop_map(|(source, brush, rop3, mask)| DrawOp::Rop3 {
            source,
            brush,
            rop3,
            mask
        }),
        stroke(),
        text(),
        (source(Just(ScaleMode::Nearest)), any::<(u32, u32)>()).prop_map(|(source, (src_color, true_color))| {
            DrawOp::Transparent {
                source,
                src_color,
                true_color,
            }
        }),
        (source(Just(ScaleMode::Nearest)), 0..4_u8, any::<u8>())
            .prop_map(|(source, flags, alpha)| DrawOp::AlphaBlend { source, flags, alpha }),
        composite(),
    ]
    .boxed()
}

fn stroke() -> impl Strategy<Value = DrawOp> {
    let fixed = -(1 << 26)..=(1 << 26);
    let points = vec((fixed.clone(), fixed).prop_map(|(x, y)| Point { x, y }), 0..5);
    let segment = (0..=0x1b_u8, points).prop_map(|(flags, points)| PathSegment {
        flags: flags & 0x1b,
        points,
    });
    let style = vec(1..=1 << 26, 0..4).prop_map(Arc::from);
    (vec(segment, 0..4), style, any::<bool>(), brush(), rop(), rop()).prop_map(
        |(path, style, start_with_gap, brush, fore_mode, back_mode)| DrawOp::Stroke {
            path: path.into(),
            style,
            start_with_gap,
            brush,
            fore_mode,
            back_mode,
        },
    )
}

fn text() -> impl Strategy<Value = DrawOp> {
    let depths = vec![(GlyphDepth::A1, 1), (GlyphDepth::A4, 4), (GlyphDepth::A8, 8)];
    let string = select(depths).prop_flat_map(|(depth, bits)| {
        let glyph = (point(), point(), 0..9_u16, 0..5_u16).prop_flat_map(move |(render_pos, origin, width, height)| {
            let size = (usize::from(width) * bits).div_ceil(8) * usize::from(height);
            vec(any::<u8>(), size).prop_map(move |data| Glyph {
                render_pos,
                origin,
                width,
                height,
                data,
            })
        });
        (vec(glyph, 0..4), Just(depth))
    });
    (string, inside(SCREEN), brush(), brush(), rop(), rop()).prop_map(
        |((glyphs, depth), back_area, fore_brush, back_brush, fore_mode, back_mode)| DrawOp::Text {
            glyphs: glyphs.into(),
            depth,
            back_area,
            fore_brush,
            back_brush,
            fore_mode,
            back_mode,
        },
    )
}

fn composite() -> impl Strategy<Value = DrawOp> {
    let invertible = any::<[i32; 6]>().prop_filter("can be inverted", |[a, b, _, c, d, _]| {
        i64::from(*a) * i64::from(*d) != i64::from(*b) * i64::from(*c)
    });
    let transform = option::of(invertible.prop_map(Transform)).boxed();
    let flags = (0..=0x0d_u32, 0..=4_u32, 0..=4_u32, 0..=0x1f_u32)
        .prop_map(|(operator, src, mask, rest)| operator | src << 8 | mask << 11 | rest << 14);
    (
        flags,
        image(),
        transform.clone(),
        option::of(image()),
        transform,
        position(),
        position(),
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
