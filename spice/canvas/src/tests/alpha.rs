use caraway_ports::drawing::{Composite, Transform};

use super::*;

fn blend(format: SurfaceFormat, before: u32, source: Source, flags: u8, alpha: u8) -> u32 {
    let mut canvas = canvas(format, 1, 1);
    draw(&mut canvas, Rect::at(0, 0, 1, 1), fill(before, 8)).unwrap();
    let op = DrawOp::AlphaBlend { source, flags, alpha };
    draw(&mut canvas, Rect::at(0, 0, 1, 1), op).unwrap();
    values(&canvas, 0)[0]
}

#[test]
fn alpha_blend_is_over_times_the_constant() {
    let half_red = || source(image32(BitmapFormat::Rgba, 1, &[0x8080_0000]));
    let on_blue = |flags, alpha| blend(SurfaceFormat::Xrgb, 0xff, half_red(), flags, alpha);
    assert_eq!(on_blue(0, 255), 0x80_007f);
    assert_eq!(on_blue(0, 0), 0x00_00ff);
    assert_eq!(on_blue(0, 128), 0x40_00bf);
    assert_eq!(blend(SurfaceFormat::Rgb565, 0x001f, half_red(), 0, 255), 0x800f);
}

#[test]
fn alpha_of_the_destination_changes_where_there_is_some() {
    let half_red = || source(image32(BitmapFormat::Rgba, 1, &[0x8080_0000]));
    for flags in [0, 1] {
        assert_eq!(blend(SurfaceFormat::Argb, 0, half_red(), flags, 255), 0x8080_0000);
        assert_eq!(
            blend(SurfaceFormat::Argb, 0x4000_0000, half_red(), flags, 255),
            0xa080_0000
        );
        assert_eq!(blend(SurfaceFormat::A8, 0x40, half_red(), flags, 255), 0xa0);
    }
    // The unused byte is alpha where the flag says so.
    assert_eq!(blend(SurfaceFormat::Xrgb, 0x4000_0000, half_red(), 0, 255), 0x4080_0000);
    assert_eq!(blend(SurfaceFormat::Xrgb, 0x4000_0000, half_red(), 1, 255), 0xa080_0000);
}

#[test]
fn images_without_alpha_are_opaque() {
    let red = source(image32(BitmapFormat::Bit32, 1, &[0x00ff_0000]));
    assert_eq!(blend(SurfaceFormat::Xrgb, 0xff, red, 0, 128), 0x80_007f);
}

#[test]
fn alpha_of_a_source_surface_counts_and_the_unused_byte_when_the_flag_says_so() {
    let (half, full) = (0x80_007f, 0x80_0000);
    for (format, value, results) in [
        (SurfaceFormat::Argb, 0x8080_0000, [half, half]),
        (SurfaceFormat::Xrgb, 0x8080_0000, [full, half]),
        (SurfaceFormat::Rgb565, 0x8000, [0x84_0000, 0x84_0000]),
        (SurfaceFormat::A8, 0x80, [0x7f, 0x7f]),
    ] {
        for (flags, expected) in [0, 2].into_iter().zip(results) {
            let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 1);
            add_surface(&mut canvas, 1, format, 1, 1);
            draw_on(&mut canvas, 1, Rect::at(0, 0, 1, 1), Clip::None, fill(value, 8)).unwrap();
            draw(&mut canvas, Rect::at(0, 0, 1, 1), fill(0xff, 8)).unwrap();
            let source = Source {
                image: image(ImageData::Surface(1)),
                area: Rect::at(0, 0, 1, 1),
                scale: ScaleMode::Nearest,
            };
            let op = DrawOp::AlphaBlend {
                source,
                flags,
                alpha: 255,
            };
            draw(&mut canvas, Rect::at(0, 0, 1, 1), op).unwrap();
            assert_eq!(values(&canvas, 0), [expected], "{format:?}, flags {flags}");
        }
    }
}

fn composite(flags: u32, src: Image) -> Composite {
    Composite {
        flags,
        src,
        src_transform: None,
        mask: None,
        mask_transform: None,
        src_origin: Point::default(),
        mask_origin: Point::default(),
    }
}

fn composited(before: &[u32], composite: Composite) -> Vec<u32> {
    let mut canvas = canvas(SurfaceFormat::Argb, before.len() as u32, 1);
    set(&mut canvas, before);
    let area = canvas.area(0).unwrap();
    draw(&mut canvas, area, DrawOp::Composite(Box::new(composite))).unwrap();
    values(&canvas, 0)
}

#[test]
fn composite_over_uses_source_and_destination_alpha() {
    let src = image32(BitmapFormat::Rgba, 2, &[0x8080_0000, 0]);
    assert_eq!(
        composited(&[0x8000_0080; 2], composite(3, src)),
        [0xc080_0040, 0x8000_0080]
    );
}

#[test]
fn composite_masks_scale_the_source() {
    let mut by_alpha = composite(1, image32(BitmapFormat::Rgba, 1, &[0xffff_8000]));
    by_alpha.mask = Some(image32(BitmapFormat::Rgba, 1, &[0x80ff_ff00]));
    assert_eq!(composited(&[0], by_alpha.clone()), [0x8080_4000]);
    by_alpha.flags |= 1 << 18;
    assert_eq!(
        composited(&[0], by_alpha.clone()),
        [0x80ff_8000],
        "each component by its own"
    );
    by_alpha.flags = 1 | 1 << 23;
    assert_eq!(
        composited(&[0], by_alpha),
        [0xffff_8000],
        "an opaque mask hides nothing"
    );
}

#[test]
fn composite_outside_the_source_is_clear_or_repeated() {
    let src = || image32(BitmapFormat::Rgba, 2, &[0xff00_0001, 0xff00_0002]);
    let (a, b) = (0xff00_0001, 0xff00_0002);
    let row = |repeat: u32| composited(&[7; 5], composite(1 | repeat << 14, src()));
    assert_eq!(row(0), [a, b, 0, 0, 0]);
    assert_eq!(row(1), [a, b, a, b, a]);
    assert_eq!(row(2), [a, b, b, b, b]);
    assert_eq!(row(3), [a, b, b, a, a]);
}

#[test]
fn composite_transforms_and_origins_move_the_source() {
    let src = image32(
        BitmapFormat::Rgba,
        4,
        &[0xff00_0001, 0xff00_0002, 0xff00_0003, 0xff00_0004],
    );
    let mut moved = composite(1, src);
    moved.src_origin = Point::new(1, 0);
    assert_eq!(composited(&[0; 2], moved.clone()), [0xff00_0002, 0xff00_0003]);
    moved.src_origin = Point::default();
    moved.src_transform = Some(Transform([-0x1_0000, 0, 4 << 16, 0, 0x1_0000, 0]));
    assert_eq!(composited(&[0; 2], moved), [0xff00_0004, 0xff00_0003]);
}

#[test]
fn composite_filters_weigh_four_pixels_and_nothing_beyond_the_edge() {
    let src = || image32(BitmapFormat::Rgba, 2, &[0xff00_0000, 0xff00_0080]);
    let row = |filter: u32, repeat: u32| {
        // Two pixels of the surface for each of the source; their middles lie a quarter off.
        let mut scaled = composite(1 | filter << 8 | repeat << 14, src());
        scaled.src_transform = Some(Transform([0x8000, 0, 0, 0, 0x1_0000, 0]));
        composited(&[0; 4], scaled)
    };
    let (first, second) = (0xff00_0000, 0xff00_0080);
    for filter in [0, 3] {
        assert_eq!(row(filter, 0), [first, first, second, second], "filter {filter}");
    }
    for filter in [1, 2, 4] {
        assert_eq!(
            row(filter, 0),
            [0xbf00_0000, 0xff00_0020, 0xff00_0060, 0xbf00_0060],
            "filter {filter}"
        );
        assert_eq!(
            row(filter, 2),
            [0xff00_0000, 0xff00_0020, 0xff00_0060, 0xff00_0080],
            "filter {filter}"
        );
        assert_eq!(
            row(filter, 1),
            [0xff00_0020, 0xff00_0020, 0xff00_0060, 0xff00_0060],
            "filter {filter}"
        );
    }
    let mut by_mask = composite(1, image32(BitmapFormat::Rgba, 1, &[0xff00_00ff]));
    by_mask.flags |= 4 << 11 | 2 << 16 | 2 << 14;
    by_mask.mask = Some(image32(BitmapFormat::Rgba, 2, &[0, 0x8000_0000]));
    by_mask.mask_transform = Some(Transform([0x8000, 0, 0, 0, 0x1_0000, 0]));
    assert_eq!(composited(&[0; 4], by_mask), [0, 0x2000_0020, 0x6000_0060, 0x8000_0080]);
}

#[test]
fn composite_images_have_the_precision_of_the_surface() {
    let mut canvas = canvas(SurfaceFormat::Rgb565, 1, 1);
    // White in a mask of 0x84 for each component, which 565 cuts to 0x80, and widens to 0x84, 0x82 and 0x84.
    let mut op = composite(1 | 1 << 18, image32(BitmapFormat::Bit32, 1, &[0x00ff_ffff]));
    op.mask = Some(image32(BitmapFormat::Bit32, 1, &[0x0080_8080]));
    draw(
        &mut canvas,
        Rect::at(0, 0, 1, 1),
        DrawOp::Composite(Box::new(op.clone())),
    )
    .unwrap();
    assert_eq!(values(&canvas, 0), [0x8410]);
    op.mask = Some(image32(BitmapFormat::Rgba, 1, &[0x8080_8080]));
    op.flags |= 1 << 23;
    draw(&mut canvas, Rect::at(0, 0, 1, 1), DrawOp::Composite(Box::new(op))).unwrap();
    assert_eq!(values(&canvas, 0), [0x8410]);
}

#[test]
fn unknown_operators_are_refused() {
    let mut canvas = canvas(SurfaceFormat::Argb, 1, 1);
    let op = DrawOp::Composite(Box::new(composite(14, image32(BitmapFormat::Rgba, 1, &[0]))));
    assert_eq!(
        draw(&mut canvas, Rect::at(0, 0, 1, 1), op),
        Err(DrawError::Operator { operator: 14 })
    );
}
