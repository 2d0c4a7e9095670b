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
fn alpha_of_the_destination_changes_only_when_it_has_some() {
    let half_red = || source(image32(BitmapFormat::Rgba, 1, &[0x8080_0000]));
    assert_eq!(blend(SurfaceFormat::Argb, 0, half_red(), 1, 255), 0x8080_0000);
    assert_eq!(blend(SurfaceFormat::Argb, 0x4000_0000, half_red(), 0, 255), 0x4080_0000);
}

#[test]
fn images_without_alpha_are_opaque() {
    let red = source(image32(BitmapFormat::Bit32, 1, &[0x00ff_0000]));
    assert_eq!(blend(SurfaceFormat::Xrgb, 0xff, red, 0, 128), 0x80_007f);
}

#[test]
fn alpha_of_a_source_surface_counts_when_the_flag_says_so() {
    for (flags, expected) in [(0, 0x80_0000), (2, 0x80_007f)] {
        let mut canvas = canvas(SurfaceFormat::Xrgb, 1, 1);
        add_surface(&mut canvas, 1, SurfaceFormat::Argb, 1, 1);
        draw_on(&mut canvas, 1, Rect::at(0, 0, 1, 1), Clip::None, fill(0x8080_0000, 8)).unwrap();
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
        assert_eq!(values(&canvas, 0), [expected], "flags {flags}");
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
fn unknown_operators_are_refused() {
    let mut canvas = canvas(SurfaceFormat::Argb, 1, 1);
    let op = DrawOp::Composite(Box::new(composite(14, image32(BitmapFormat::Rgba, 1, &[0]))));
    assert_eq!(
        draw(&mut canvas, Rect::at(0, 0, 1, 1), op),
        Err(DrawError::Operator { operator: 14 })
    );
}
