use caraway_ports::{display::Pixels, drawing::GlyphDepth};

use super::*;
use crate::CreateError;

#[test]
fn fill_paints_the_box_and_nothing_else() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 3, 2);
    let drawn = draw(&mut canvas, Rect::at(1, 0, 2, 1), fill(0x12_3456, Rop::OP_PUT)).unwrap();
    assert_eq!(drawn.bbox, Rect::at(1, 0, 2, 1));
    assert_eq!(values(&canvas, 0), [0, 0x12_3456, 0x12_3456, 0, 0, 0]);
}

#[test]
fn fill_combines_brush_and_destination() {
    let cases = [
        (Rop::OP_XOR, 0x0ff0_ff00 ^ 0x00ff_00ff),
        (Rop::OP_AND | Rop::INVERS_DEST, 0x00ff_00ff & !0x0ff0_ff00),
        (
            Rop::OP_OR | Rop::INVERS_BRUSH | Rop::INVERS_RES,
            0x00ff_00ff & !0x0ff0_ff00,
        ),
        (Rop::OP_INVERS, !0x0ff0_ff00),
        (Rop::OP_PUT | Rop::INVERS_BRUSH, !0x00ff_00ff),
        (0, 0x00ff_00ff),
    ];
    for (rop, expected) in cases {
        let mut canvas = canvas(SurfaceFormat::Argb, 1, 1);
        set(&mut canvas, &[0x0ff0_ff00]);
        draw(&mut canvas, Rect::at(0, 0, 1, 1), fill(0x00ff_00ff, rop)).unwrap();
        assert_eq!(values(&canvas, 0), [expected], "{rop:#x}");
    }
}

#[test]
fn overlapping_clip_rectangles_draw_once() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 1);
    let clip = Clip::Rects([Rect::at(0, 0, 2, 1), Rect::at(1, 0, 2, 9)].into());
    let drawn = draw_clipped(&mut canvas, Rect::at(0, 0, 4, 1), clip, fill(1, Rop::OP_XOR)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 1, 1, 0]);
    assert_eq!(drawn.bbox, Rect::at(0, 0, 3, 1));
    let nothing = Clip::Rects([].into());
    let drawn = draw_clipped(&mut canvas, Rect::at(0, 0, 4, 1), nothing, fill(9, Rop::OP_PUT)).unwrap();
    assert_eq!((values(&canvas, 0), drawn), (vec![1, 1, 1, 0], Drawn::default()));
}

#[test]
fn patterns_tile_from_their_position() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 5, 3);
    let op = DrawOp::Fill {
        brush: Brush::Pattern {
            image: image32(BitmapFormat::Bit32, 2, &[1, 2, 3, 4]),
            pos: Point::new(-1, 1),
        },
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    draw(&mut canvas, Rect::at(0, 0, 5, 3), op).unwrap();
    assert_eq!(values(&canvas, 0), [4, 3, 4, 3, 4, 2, 1, 2, 1, 2, 4, 3, 4, 3, 4]);
}

#[test]
fn masks_select_pixels_relative_to_the_box() {
    let bits = || bitmap(BitmapFormat::Bit1Be, 3, 1, 1, &[0b0110_0000]);
    let filled = |mask: Mask| {
        let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 1);
        let op = DrawOp::Fill {
            brush: Brush::Solid(7),
            rop: Rop::PUT,
            mask,
        };
        draw(&mut canvas, Rect::at(1, 0, 3, 1), op).unwrap();
        values(&canvas, 0)
    };
    assert_eq!(filled(mask(bits(), 0, 0, false)), [0, 0, 7, 7]);
    assert_eq!(filled(mask(bits(), 0, 0, true)), [0, 7, 0, 0]);
    assert_eq!(
        filled(mask(bits(), 1, 0, false)),
        [0, 7, 7, 0],
        "outside the mask is not drawn"
    );
    assert_eq!(
        filled(mask(bits(), 1, 0, true)),
        [0, 0, 0, 0],
        "nor is it with an inverse mask"
    );
    let le = bitmap(BitmapFormat::Bit1Le, 3, 1, 1, &[0b0000_0001]);
    assert_eq!(filled(mask(le, 0, 0, false)), [0, 7, 0, 0]);
}

#[test]
fn black_white_and_inversion_act_on_all_bits() {
    let mut canvas = canvas(SurfaceFormat::Argb, 3, 1);
    set(&mut canvas, &[0x1234_5678; 3]);
    let mask = Mask::default;
    draw(&mut canvas, Rect::at(0, 0, 1, 1), DrawOp::Blackness { mask: mask() }).unwrap();
    draw(&mut canvas, Rect::at(1, 0, 1, 1), DrawOp::Whiteness { mask: mask() }).unwrap();
    draw(&mut canvas, Rect::at(2, 0, 1, 1), DrawOp::Invers { mask: mask() }).unwrap();
    assert_eq!(values(&canvas, 0), [0, u32::MAX, !0x1234_5678]);
}

#[test]
fn copy_bits_is_a_copy_through_a_temporary() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 1);
    set(&mut canvas, &[1, 2, 3, 4]);
    let op = |x| DrawOp::CopyBits {
        src_pos: Point::new(x, 0),
    };
    draw(&mut canvas, Rect::at(1, 0, 3, 1), op(0)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 1, 2, 3]);
    draw(&mut canvas, Rect::at(0, 0, 3, 1), op(1)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 2, 3, 3]);
    let clip = Clip::Rects([Rect::at(1, 0, 1, 1), Rect::at(3, 0, 1, 1)].into());
    draw_clipped(&mut canvas, Rect::at(1, 0, 3, 1), clip, op(0)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 1, 3, 3]);
    let outside = draw(&mut canvas, Rect::at(0, 0, 3, 1), op(2));
    assert!(matches!(outside, Err(DrawError::CopySource { .. })));
}

#[test]
fn opaque_combines_the_brush_with_the_source() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 1);
    let op = DrawOp::Opaque {
        source: source(image32(BitmapFormat::Bit32, 1, &[0x0f0f])),
        brush: Brush::Solid(0x00ff),
        rop: Rop(Rop::OP_AND | Rop::INVERS_SRC),
        mask: Mask::default(),
    };
    draw(&mut canvas, Rect::at(0, 0, 1, 1), op).unwrap();
    assert_eq!(values(&canvas, 0), [0x00f0]);
}

#[test]
fn rop3_combines_brush_source_and_destination() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 1);
    set(&mut canvas, &[0b1010_1010]);
    let op = |rop3| DrawOp::Rop3 {
        source: source(image32(BitmapFormat::Bit32, 1, &[0b1100_1100])),
        brush: Brush::Solid(0b1111_0000),
        rop3,
        mask: Mask::default(),
    };
    draw(&mut canvas, Rect::at(0, 0, 1, 1), op(0xb8)).unwrap();
    assert_eq!(values(&canvas, 0), [0xb8]);
}

#[test]
fn text_fills_its_background_and_applies_each_depth_of_glyph() {
    let text = |depth, data: &[u8]| DrawOp::Text {
        glyphs: [caraway_ports::drawing::Glyph {
            render_pos: Point::new(1, 2),
            origin: Point::new(0, -2),
            width: 2,
            height: 2,
            data: data.to_vec(),
        }]
        .into(),
        depth,
        back_area: Rect::at(0, 0, 4, 1),
        fore_brush: Brush::Solid(0x00ff_0000),
        back_brush: Brush::Solid(0xff),
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let shown = |depth, data: &[u8]| {
        let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 2);
        let drawn = draw(&mut canvas, Rect::at(0, 0, 4, 2), text(depth, data)).unwrap();
        assert_eq!(drawn.bbox, Rect::at(0, 0, 4, 2));
        values(&canvas, 0)
    };
    let (red, back) = (0xff_0000, 0xff);
    assert_eq!(
        shown(GlyphDepth::A1, &[0b1000_0000, 0b0100_0000]),
        [back, red, back, back, 0, 0, red, 0]
    );
    // Coverage of 4 bits is one of 16ths: the most is 240 of 255.
    assert_eq!(
        shown(GlyphDepth::A4, &[0xf0, 0x08]),
        [back, 0xf0_000f, back, back, 0, 0, 0x80_0000, 0]
    );
    assert_eq!(
        shown(GlyphDepth::A8, &[0, 0x80, 0xff, 0]),
        [back, back, 0x80_007f, back, 0, red, 0, 0]
    );
}

#[test]
fn boxes_outside_the_surface_are_refused() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 4);
    for bbox in [
        Rect::at(-1, 0, 2, 2),
        Rect::at(3, 0, 2, 2),
        Rect::at(0, 3, 1, 2),
        Rect {
            top: 2,
            left: 0,
            bottom: 1,
            right: 4,
        },
        Rect {
            top: i32::MIN,
            left: i32::MIN,
            bottom: i32::MAX,
            right: i32::MAX,
        },
    ] {
        let result = draw(&mut canvas, bbox, fill(1, Rop::OP_PUT));
        assert!(matches!(result, Err(DrawError::Box { .. })), "{bbox:?}");
    }
    assert_eq!(
        draw_on(&mut canvas, 5, Rect::at(0, 0, 1, 1), Clip::None, fill(1, 8)),
        Err(DrawError::NoSurface { id: 5 })
    );
    assert_eq!(
        draw(&mut canvas, Rect::at(4, 4, 0, 0), fill(1, 8)),
        Ok(Drawn::default())
    );
    assert_eq!(values(&canvas, 0), [0; 16]);
}

#[test]
fn creation_stays_within_the_limits() {
    let limits = Limits {
        max_side: 100,
        max_surfaces: 2,
        max_bytes: 4000,
    };
    let mut canvas = Canvas::new(limits);
    let spec = |id, width, height| SurfaceSpec {
        id,
        width,
        height,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    };
    for (width, height) in [(0, 1), (1, 0), (101, 1), (1, u32::MAX)] {
        assert!(matches!(
            canvas.create(&spec(0, width, height)),
            Err(CreateError::Size { .. })
        ));
    }
    canvas.create(&spec(0, 100, 8)).unwrap();
    let left = canvas.create(&spec(1, 100, 3));
    assert_eq!(
        left,
        Err(CreateError::Memory {
            id: 1,
            needed: 1200,
            left: 800
        })
    );
    canvas.create(&spec(0, 100, 5)).unwrap();
    canvas.create(&spec(1, 100, 5)).unwrap();
    assert_eq!(canvas.create(&spec(2, 1, 1)), Err(CreateError::Count { id: 2, max: 2 }));
    assert!(canvas.destroy(0));
    assert!(!canvas.destroy(0));
    canvas.create(&spec(2, 100, 5)).unwrap();
    assert_eq!(canvas.ids().collect::<Vec<_>>(), [1, 2]);
    canvas.clear();
    canvas.create(&spec(7, 100, 10)).unwrap();
}

#[test]
fn first_content_is_taken_over_without_its_padding() {
    let mut canvas = Canvas::new(Limits::default());
    let spec = |data: &'static [u8]| SurfaceSpec {
        id: 3,
        width: 1,
        height: 2,
        format: SurfaceFormat::Rgb565,
        pixels: Some(Pixels {
            format: SurfaceFormat::Rgb565,
            width: 1,
            height: 2,
            stride: 4,
            data: Bytes::from_static(data),
        }),
    };
    canvas.create(&spec(&[1, 2, 9, 9, 3, 4])).unwrap();
    assert_eq!(values(&canvas, 3), [0x0201, 0x0403]);
    assert_eq!(
        canvas.create(&spec(&[1, 2, 9, 9, 3])),
        Err(CreateError::Content { id: 3 })
    );
    assert_eq!(
        values(&canvas, 3),
        [0x0201, 0x0403],
        "a refused surface replaces nothing"
    );
}

#[test]
fn reading_is_clipped_and_without_padding() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 2);
    set(&mut canvas, &[1, 2, 3, 0xaa00_0004]);
    let pixels = canvas.read(0, Rect::at(1, -5, 100, 100)).unwrap();
    assert_eq!((pixels.width, pixels.height, pixels.stride), (1, 2, 4));
    assert_eq!(pixels.data.as_ref(), [2, 0, 0, 0, 4, 0, 0, 0xaa]);
    assert_eq!(canvas.read(0, Rect::at(2, 0, 1, 1)), None);
    assert_eq!(canvas.read(1, Rect::at(0, 0, 1, 1)), None);
}

#[test]
fn one_bit_surfaces_pack_the_leftmost_pixel_low() {
    let mut canvas = canvas(SurfaceFormat::A1, 10, 1);
    draw(&mut canvas, Rect::at(0, 0, 2, 1), fill(1, Rop::OP_PUT)).unwrap();
    draw(
        &mut canvas,
        Rect::at(9, 0, 1, 1),
        DrawOp::Invers { mask: Mask::default() },
    )
    .unwrap();
    let read = |canvas: &Canvas, area| canvas.read(0, area).unwrap().data.to_vec();
    assert_eq!(read(&canvas, Rect::at(0, 0, 10, 1)), [0b11, 0b10]);
    assert_eq!(read(&canvas, Rect::at(1, 0, 9, 1)), [0b1, 0b1]);
    let shift = DrawOp::CopyBits {
        src_pos: Point::new(0, 0),
    };
    draw(&mut canvas, Rect::at(1, 0, 9, 1), shift).unwrap();
    assert_eq!(read(&canvas, Rect::at(0, 0, 10, 1)), [0b111, 0]);
}

#[test]
fn the_checksum_is_fnv_of_size_and_colours() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 1);
    set(&mut canvas, &[0xff33_2211]);
    let bytes = [1, 0, 0, 0, 1, 0, 0, 0, 0x11, 0x22, 0x33u8];
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(canvas.checksum(0), Some(fnv));
    set(&mut canvas, &[0x0033_2211]);
    assert_eq!(canvas.checksum(0), Some(fnv), "the unused byte does not count");
    set(&mut canvas, &[0x0033_2210]);
    assert_ne!(canvas.checksum(0), Some(fnv));
    assert_eq!(canvas.checksum(9), None);
}
