use caraway_image::quic::{self, QuicImage, QuicType};
use caraway_ports::drawing::Palette;

use super::*;

#[test]
fn copy_takes_the_named_part_of_the_image() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 2);
    let mut from = source(image32(BitmapFormat::Bit32, 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]));
    from.area = Rect::at(1, 1, 2, 2);
    draw(&mut canvas, Rect::at(0, 0, 2, 2), copy(from)).unwrap();
    assert_eq!(values(&canvas, 0), [5, 6, 8, 9]);
}

#[test]
fn bottom_up_rows_are_turned() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 2);
    let data: Vec<u8> = [1u32, 2].iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    let turned = image(ImageData::Bitmap(Arc::new(Bitmap {
        format: BitmapFormat::Bit32,
        width: 1,
        height: 2,
        stride: 4,
        top_down: false,
        palette: None,
        data: data.into(),
    })));
    draw(&mut canvas, Rect::at(0, 0, 1, 2), copy(source(turned))).unwrap();
    assert_eq!(values(&canvas, 0), [2, 1]);
}

#[test]
fn parts_outside_the_image_are_refused() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 2);
    for area in [
        Rect::at(-1, 0, 2, 1),
        Rect::at(1, 0, 2, 1),
        Rect::at(0, 0, 0, 0),
        Rect::at(i32::MAX, 0, 1, 1),
    ] {
        let mut from = source(image32(BitmapFormat::Bit32, 2, &[1, 2]));
        from.area = area;
        let result = draw(&mut canvas, Rect::at(0, 0, 2, 1), copy(from));
        assert!(matches!(result, Err(DrawError::SourceArea { .. })), "{area:?}");
    }
}

#[test]
fn each_bitmap_format_lands_on_each_surface_format() {
    // (format, data, value on 32 bits, on 555, on 565)
    let white_red = [0x00ff_ffff, 0x00ff_0000];
    let cases: [(BitmapFormat, &[u8], u32, u32, u32); 9] = [
        (BitmapFormat::Bit1Le, &[1], 0xff_0000, 0x7c00, 0xf800),
        (BitmapFormat::Bit1Be, &[0x7f], 0xff_ffff, 0x7fff, 0xffff),
        (BitmapFormat::Bit4Le, &[0x01], 0xff_0000, 0x7c00, 0xf800),
        (BitmapFormat::Bit4Be, &[0x10], 0xff_0000, 0x7c00, 0xf800),
        (BitmapFormat::Bit8, &[0], 0xff_ffff, 0x7fff, 0xffff),
        (BitmapFormat::Bit16, &[0xe0, 0x83], 0x00_ff00, 0x03e0, 0x07e0),
        (BitmapFormat::Bit24, &[0x08, 0x04, 0xf8], 0xf8_0408, 0x7c01, 0xf821),
        (
            BitmapFormat::Bit32,
            &[0x08, 0x04, 0xf8, 0x77],
            0x77f8_0408,
            0x7c01,
            0xf821,
        ),
        (
            BitmapFormat::Rgba,
            &[0x08, 0x04, 0xf8, 0x77],
            0x77f8_0408,
            0x7c01,
            0xf821,
        ),
    ];
    for (format, data, wide, x555, x565) in cases {
        for (surface, expected) in [
            (SurfaceFormat::Xrgb, wide),
            (SurfaceFormat::Argb, wide),
            (SurfaceFormat::Rgb555, x555),
            (SurfaceFormat::Rgb565, x565),
        ] {
            let mut canvas = canvas(surface, 1, 1);
            let colours = Arc::new(Palette {
                unique: 0,
                entries: white_red.to_vec(),
            });
            let from = image(ImageData::Bitmap(Arc::new(Bitmap {
                format,
                width: 1,
                height: 1,
                stride: data.len() as u32,
                top_down: true,
                palette: format.has_palette().then_some(colours),
                data: Bytes::copy_from_slice(data),
            })));
            draw(&mut canvas, Rect::at(0, 0, 1, 1), copy(source(from))).unwrap();
            assert_eq!(values(&canvas, 0), [expected], "{format:?} on {surface:?}");
        }
    }
}

#[test]
fn high_bits_set_makes_the_unused_byte_full() {
    let mut canvas = canvas(SurfaceFormat::Argb, 1, 1);
    let mut opaque = image32(BitmapFormat::Bit32, 1, &[0x0012_3456]);
    opaque.high_bits_set = true;
    draw(&mut canvas, Rect::at(0, 0, 1, 1), copy(source(opaque))).unwrap();
    assert_eq!(values(&canvas, 0), [0xff12_3456]);
}

#[test]
fn nearest_scaling_repeats_and_skips_pixels() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 4, 1);
    // The unused byte is not kept where pixels are sampled.
    let two = source(image32(BitmapFormat::Bit32, 2, &[0xff00_0001, 2]));
    draw(&mut canvas, Rect::at(0, 0, 4, 1), copy(two)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 1, 2, 2]);
    let eight = source(image32(BitmapFormat::Bit32, 8, &[1, 2, 3, 4, 5, 6, 7, 8]));
    draw(&mut canvas, Rect::at(0, 0, 4, 1), copy(eight)).unwrap();
    assert_eq!(values(&canvas, 0), [1, 3, 5, 7]);
}

#[test]
fn interpolation_weighs_the_neighbours_and_nothing_beyond_the_edge() {
    let shown = |format, area: Rect, mode| {
        let mut canvas = canvas(format, 4, 2);
        let three = image32(BitmapFormat::Bit32, 3, &[0, 0x0080_8080, 0x00c0_c0c0]);
        let source = Source {
            image: three,
            area,
            scale: mode,
        };
        draw(&mut canvas, Rect::at(0, 0, 4, 2), copy(source)).unwrap();
        values(&canvas, 0)
    };
    // Of the one row, above and below which is nothing, three quarters remain; right of the area is the rest of the image.
    let row = [0, 0x18_1818, 0x48_4848, 0x6c_6c6c];
    let left = Rect::at(0, 0, 2, 1);
    assert_eq!(
        shown(SurfaceFormat::Xrgb, left, ScaleMode::Interpolate),
        [row, row].concat()
    );
    let row = [0x48_4848, 0x6c_6c6c, 0x84_8484, 0x6c_6c6c];
    let right = Rect::at(1, 0, 2, 1);
    assert_eq!(
        shown(SurfaceFormat::Xrgb, right, ScaleMode::Interpolate),
        [row, row].concat()
    );
    // What remains is alpha, too, and a pixel that is there is opaque.
    let row = [0xbf48_4848, 0xbf6c_6c6c, 0xbf84_8484, 0x8f6c_6c6c];
    assert_eq!(
        shown(SurfaceFormat::Argb, right, ScaleMode::Interpolate),
        [row, row].concat()
    );
    let row = [0xff80_8080, 0xff80_8080, 0xffc0_c0c0, 0xffc0_c0c0];
    assert_eq!(
        shown(SurfaceFormat::Argb, right, ScaleMode::Nearest),
        [row, row].concat()
    );
}

#[test]
fn interpolation_is_of_colours_as_the_surface_has_them() {
    let mut canvas = canvas(SurfaceFormat::Rgb565, 4, 1);
    // 0x0f and 0x77 become 8 and 0x73.
    let mut two = source(image32(BitmapFormat::Rgba, 2, &[0xff00_000f, 0x0000_0077]));
    two.image.height = 1;
    two.scale = ScaleMode::Interpolate;
    draw(&mut canvas, Rect::at(0, 0, 4, 1), copy(two)).unwrap();
    // 6, 0x22, 0x58 and 0x56, cut to five bits; of the unscaled row all remains.
    assert_eq!(values(&canvas, 0), [0, 0x22 >> 3, 0x58 >> 3, 0x56 >> 3]);
}

#[test]
fn a_scaled_ternary_operation_begins_at_a_whole_pixel_of_its_box() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 5, 1);
    let op = |scale| DrawOp::Rop3 {
        source: Source {
            image: image32(BitmapFormat::Bit32, 8, &[1, 2, 3, 4, 5, 6, 7, 8]),
            area: Rect::at(3, 0, 3, 1),
            scale,
        },
        brush: Brush::Solid(0),
        rop3: 0xcc,
        mask: Mask::default(),
    };
    // Three pixels in five: 3 of them are 5 of the box, exactly.
    draw(&mut canvas, Rect::at(0, 0, 5, 1), op(ScaleMode::Nearest)).unwrap();
    assert_eq!(values(&canvas, 0), [4, 4, 5, 6, 6]);
    // Three in two: 3 are 2. Three in four: 3 are 4. Three in one: 3 are 1.
    draw(&mut canvas, Rect::at(0, 0, 2, 1), op(ScaleMode::Nearest)).unwrap();
    assert_eq!(values(&canvas, 0)[..2], [4, 6]);
    let shifted = DrawOp::Rop3 {
        source: Source {
            image: image32(BitmapFormat::Bit32, 8, &[1, 2, 3, 4, 5, 6, 7, 8]),
            area: Rect::at(1, 0, 4, 1),
            scale: ScaleMode::Nearest,
        },
        brush: Brush::Solid(0),
        rop3: 0xcc,
        mask: Mask::default(),
    };
    // Four in two: 1 is half a pixel of the box, which rounds up to one.
    draw(&mut canvas, Rect::at(0, 0, 2, 1), shifted).unwrap();
    assert_eq!(values(&canvas, 0)[..2], [3, 5]);
}

#[test]
fn transparent_leaves_out_the_key_colour() {
    let key = |format, true_color, pixels: &[u32]| {
        let mut canvas = canvas(format, 2, 1);
        draw(&mut canvas, Rect::at(0, 0, 2, 1), fill(9, 8)).unwrap();
        let op = DrawOp::Transparent {
            source: source(image32(BitmapFormat::Bit32, 2, pixels)),
            src_color: 0,
            true_color,
        };
        draw(&mut canvas, Rect::at(0, 0, 2, 1), op).unwrap();
        values(&canvas, 0)
    };
    assert_eq!(key(SurfaceFormat::Xrgb, 5, &[5, 6]), [9, 6]);
    assert_eq!(
        key(SurfaceFormat::Xrgb, 5, &[0xff00_0005, 6]),
        [9, 6],
        "the unused byte does not count"
    );
    assert_eq!(key(SurfaceFormat::Rgb555, 0xff_0000, &[0x00f8_0000, 0xff]), [9, 0x1f]);
    // Where there is nothing but alpha, none is the key, whatever is said.
    let alpha = source(bitmap(BitmapFormat::Bit8A, 2, 1, 2, &[0, 5]));
    let mut canvas = canvas(SurfaceFormat::A8, 2, 1);
    draw(&mut canvas, Rect::at(0, 0, 2, 1), fill(9, 8)).unwrap();
    let op = DrawOp::Transparent {
        source: alpha,
        src_color: 0,
        true_color: 0x0500_0000,
    };
    draw(&mut canvas, Rect::at(0, 0, 2, 1), op).unwrap();
    assert_eq!(values(&canvas, 0), [9, 5]);
}

#[test]
fn surfaces_serve_as_images() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 1);
    add_surface(&mut canvas, 4, SurfaceFormat::Rgb565, 2, 1);
    draw_on(&mut canvas, 4, Rect::at(1, 0, 1, 1), Clip::None, fill(0xf800, 8)).unwrap();
    let from = |id, area| Source {
        image: image(ImageData::Surface(id)),
        area,
        scale: ScaleMode::Nearest,
    };
    draw(&mut canvas, Rect::at(0, 0, 2, 1), copy(from(4, Rect::at(0, 0, 2, 1)))).unwrap();
    assert_eq!(values(&canvas, 0), [0, 0xff_0000]);
    set(&mut canvas, &[1, 2]);
    let op = DrawOp::Copy {
        source: from(0, Rect::at(0, 0, 1, 1)),
        rop: Rop(Rop::OP_OR),
        mask: Mask::default(),
    };
    draw(&mut canvas, Rect::at(1, 0, 1, 1), op).unwrap();
    assert_eq!(values(&canvas, 0), [1, 3]);
    let missing = draw(&mut canvas, Rect::at(0, 0, 1, 1), copy(from(8, Rect::at(0, 0, 1, 1))));
    assert_eq!(missing, Err(DrawError::NoSource { id: 8 }));
}

#[test]
fn one_bit_surfaces_serve_as_masks() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 1);
    add_surface(&mut canvas, 1, SurfaceFormat::A1, 2, 1);
    draw_on(&mut canvas, 1, Rect::at(1, 0, 1, 1), Clip::None, fill(1, 8)).unwrap();
    let op = |id| DrawOp::Whiteness {
        mask: mask(image(ImageData::Surface(id)), 0, 0, false),
    };
    draw(&mut canvas, Rect::at(0, 0, 2, 1), op(1)).unwrap();
    assert_eq!(values(&canvas, 0), [0, u32::MAX]);
    let colour = draw(&mut canvas, Rect::at(0, 0, 2, 1), op(0));
    assert!(matches!(colour, Err(DrawError::MaskFormat { .. })));
}

/// A QUIC image of two pixels.
fn quic_image(kind: QuicType, data: &'static [u8]) -> Image {
    let stream = quic::encode(&QuicImage {
        kind,
        width: 2,
        height: 1,
        data: Bytes::from_static(data),
    });
    Image {
        width: 2,
        height: 1,
        ..image(ImageData::Quic(stream.unwrap().into()))
    }
}

#[test]
fn quic_images_are_decoded_for_each_surface_format() {
    let shown = |format, image| {
        let mut canvas = canvas(format, 2, 1);
        draw(&mut canvas, Rect::at(0, 0, 2, 1), copy(source(image))).unwrap();
        values(&canvas, 0)
    };
    let wide = || quic_image(QuicType::Rgb32, &[8, 4, 0xf8, 0, 0, 0xff, 0, 0]);
    assert_eq!(shown(SurfaceFormat::Xrgb, wide()), [0xf8_0408, 0xff00]);
    assert_eq!(shown(SurfaceFormat::Rgb565, wide()), [0xf821, 0x07e0]);
    let opaque = Image {
        high_bits_set: true,
        ..wide()
    };
    assert_eq!(shown(SurfaceFormat::Argb, opaque), [0xfff8_0408, 0xff00_ff00]);
    let narrow = quic_image(QuicType::Rgb16, &[0x00, 0x7c, 0x1f, 0]);
    assert_eq!(shown(SurfaceFormat::Xrgb, narrow), [0xff_0000, 0xff]);
    let alpha = quic_image(QuicType::Rgba, &[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(shown(SurfaceFormat::Argb, alpha), [0x0403_0201, 0x0807_0605]);
    let grey = quic_image(QuicType::Gray, &[7, 9]);
    assert_eq!(shown(SurfaceFormat::Xrgb, grey), [0x07_0707, 0x09_0909]);
}

#[test]
fn quic_images_that_are_not_what_they_say_are_refused() {
    let mut canvas = canvas(SurfaceFormat::Xrgb, 2, 1);
    let other_size = Image {
        height: 2,
        ..quic_image(QuicType::Rgb32, &[0; 8])
    };
    let result = draw(&mut canvas, Rect::at(0, 0, 2, 1), copy(source(other_size)));
    assert!(matches!(result, Err(DrawError::QuicSize { height: 1, .. })));
    let nonsense = Image {
        width: 2,
        height: 1,
        ..image(ImageData::Quic(Bytes::from_static(&[0; 40])))
    };
    let result = draw(&mut canvas, Rect::at(0, 0, 2, 1), copy(source(nonsense)));
    assert!(matches!(result, Err(DrawError::Quic(_))));
    let as_mask = DrawOp::Blackness {
        mask: mask(quic_image(QuicType::Rgb32, &[0; 8]), 0, 0, false),
    };
    assert_eq!(
        draw(&mut canvas, Rect::at(0, 0, 2, 1), as_mask),
        Err(DrawError::CompressedMask)
    );
}

#[test]
fn a_scaled_picture_is_the_same_in_narrow_parts_of_a_clip() {
    let pixels: Vec<u32> = (0..600 * 7u32).map(|at| at.wrapping_mul(0x9e37_79b1) >> 3).collect();
    for scale in [ScaleMode::Nearest, ScaleMode::Interpolate] {
        for format in [BitmapFormat::Bit32, BitmapFormat::Rgba] {
            let op = || {
                copy(Source {
                    image: image32(format, 600, &pixels),
                    area: Rect::at(0, 0, 600, 7),
                    scale,
                })
            };
            let bbox = Rect::at(0, 0, 250, 11);
            let mut whole = canvas(SurfaceFormat::Xrgb, 250, 11);
            draw(&mut whole, bbox, op()).unwrap();
            // A single row of the picture for each pixel would be too much to read.
            let parts = (0..125).map(|at| Rect::at(at * 2, 0, 1, 11)).collect();
            let mut parted = canvas(SurfaceFormat::Xrgb, 250, 11);
            draw_clipped(&mut parted, bbox, Clip::Rects(parts), op()).unwrap();
            for (at, (whole, part)) in values(&whole, 0).into_iter().zip(values(&parted, 0)).enumerate() {
                assert_eq!(part, if at % 2 == 0 { whole } else { 0 }, "{scale:?} {format:?} {at}");
            }
        }
    }
}
