//! Drawables in the layout of the first drivers: every type, and self bitmaps.

use caraway_ports::{
    drawing::{Brush, DrawOp, ImageData},
    geometry::{Point, Rect},
};

use crate::{
    ports,
    testing::{
        Rig,
        guest::{Driver, Packed, compat_drawable, image_of, physical},
    },
};

const MODE_16: u8 = 0;
const MODE_32: u8 = 1;

fn in_mode(id: u8) -> Driver {
    let mut driver = Driver::new(Rig::new());
    driver.rig.out(ports::SET_MODE, id);
    driver
}

fn place(driver: &mut Driver, packed: &Packed) -> u64 {
    physical(driver.place(packed))
}

/// What the viewer is told of a drawable in a box of 16x16; it comes back in any case.
fn drawn(driver: &mut Driver, kind: u8, own: u16, payload: &Packed) -> Option<DrawOp> {
    driver.rig.sink.take();
    let body = driver.place(&compat_drawable(1, kind, [0, 0, 16, 16], own, payload));
    driver.command(1, physical(body));
    assert_eq!(driver.collect(|_| body), [1], "kind {kind}");
    assert!(!driver.rig.frozen());
    let draw = driver.rig.sink.draws().pop()?;
    assert_eq!((draw.surface, draw.mm_time), (0, 1234));
    assert_eq!(draw.bbox, Rect::at(0, 0, 16, 16));
    Some(draw.op)
}

fn picture(driver: &mut Driver) -> u64 {
    let data = place(driver, &Packed::new().chunk(16 * 16 * 4, 0).bytes(&[7; 16 * 16 * 4]));
    place(driver, &image_of(16, 16, 64, data))
}

#[test]
fn every_type_is_read_but_composite_which_is_younger() {
    let mut driver = in_mode(MODE_32);
    let image = picture(&mut driver);
    let area = [0, 0, 16, 16];
    let source = Packed::new().u64(image).rect(area);
    let path = place(&mut driver, &Packed::new().u32(24).chunk(24, 0).u32(3).u32(2).zeros(16));
    let string = place(&mut driver, &Packed::new().u32(0).u16(0).u16(1).chunk(0, 0));
    let payloads = [
        (1, Packed::new().solid(1).u16(8).no_mask()),
        (2, source.clone().solid(1).u16(8).u8(1).no_mask()),
        (3, source.clone().u16(8).u8(1).no_mask()),
        (4, Packed::new().i32(1).i32(2)),
        (5, source.clone().u16(8).u8(1).no_mask()),
        (6, Packed::new().no_mask()),
        (7, Packed::new().no_mask()),
        (8, Packed::new().no_mask()),
        (9, source.clone().solid(1).u8(0xcc).u8(1).no_mask()),
        (10, Packed::new().u64(path).zeros(20).solid(1).u16(8).u16(8)),
        (11, Packed::new().u64(string).rect(area).solid(1).solid(2).u16(8).u16(8)),
        (12, source.clone().u32(1).u32(1)),
        (13, Packed::new().u8(9).u64(image).rect(area)),
    ];
    for (kind, payload) in &payloads {
        assert!(drawn(&mut driver, *kind, 0, payload).is_some(), "type {kind}");
    }
    assert_eq!(
        drawn(&mut driver, 0, 0, &Packed::new()),
        None,
        "nothing to draw, and no fault"
    );
    assert_eq!(driver.rig.core.counters.read().dropped, 0);
    let composite = Packed::new().u32(3).u64(image).zeros(32);
    assert_eq!(drawn(&mut driver, 14, 0, &composite), None);
    assert_eq!(drawn(&mut driver, 15, 0, &Packed::new()), None);
    assert_eq!(driver.rig.core.counters.read().dropped, 2);
}

#[test]
fn alpha_blend_has_no_flags_in_front_and_copy_bits_its_screen() {
    let mut driver = in_mode(MODE_32);
    let image = picture(&mut driver);
    let blend = Packed::new().u8(0x80).u64(image).rect([2, 3, 10, 11]);
    let Some(DrawOp::AlphaBlend { source, flags, alpha }) = drawn(&mut driver, 13, 0, &blend) else {
        panic!("not drawn")
    };
    assert_eq!((flags, alpha), (0, 0x80));
    assert_eq!(source.area, Rect::at(3, 2, 8, 8));
    let moved = Packed::new().i32(20).i32(30);
    assert_eq!(
        drawn(&mut driver, 4, 0, &moved),
        Some(DrawOp::CopyBits {
            src_pos: Point::new(20, 30)
        })
    );
    assert_eq!(
        drawn(&mut driver, 4, 0, &Packed::new().i32(630).i32(30)),
        None,
        "past the screen"
    );
}

#[test]
fn an_offset_of_a_self_bitmap_makes_the_screen_the_source() {
    let mut driver = in_mode(MODE_32);
    let transparent = Packed::new().u64(0).rect([0, 0, 8, 8]).u32(1).u32(1);
    let Some(DrawOp::Transparent { source, .. }) = drawn(&mut driver, 12, 0x3c, &transparent) else {
        panic!("not drawn")
    };
    assert_eq!(source.image.data, ImageData::Surface(0));
    assert_eq!(source.area, Rect::at(0, 0, 8, 8));
    assert_eq!(drawn(&mut driver, 12, 0, &transparent), None);
    let copy = Packed::new().u64(0).rect([0, 0, 8, 8]).u16(8).u8(1).no_mask();
    assert_eq!(
        drawn(&mut driver, 3, 0x3c, &copy),
        None,
        "a copy has a source of its own"
    );
}

#[test]
fn palettes_and_brushes_of_16_bits_are_widened_and_pixels_are_not() {
    for (id, red) in [(MODE_16, 0xff_0000), (MODE_32, 0x7c00)] {
        let mut driver = in_mode(id);
        let palette = place(&mut driver, &Packed::new().u64(5).u16(2).u32(0x7c00).u32(0));
        let data = place(&mut driver, &Packed::new().chunk(2, 0).bytes(&[0, 0]));
        let image = Packed::new().u64(0).u8(0).u8(0).u32(8).u32(2).u8(2).u8(4);
        let image = place(&mut driver, &image.u32(8).u32(2).u32(1).u64(palette).u64(data));
        let brush = Packed::new().u32(2).u64(image).zeros(8).u16(8).no_mask();
        let Some(DrawOp::Fill {
            brush: Brush::Pattern { image, .. },
            ..
        }) = drawn(&mut driver, 1, 0, &brush)
        else {
            panic!("not drawn")
        };
        let ImageData::Bitmap(bitmap) = image.data else {
            panic!("no bitmap")
        };
        assert_eq!(bitmap.palette.as_ref().unwrap().entries, [red, 0]);
        // Colours that are compared with pixels stay as they are said.
        let image = picture(&mut driver);
        let transparent = Packed::new().u64(image).rect([0, 0, 8, 8]).u32(0x7c00).u32(0xff_0000);
        assert!(matches!(
            drawn(&mut driver, 12, 0, &transparent),
            Some(DrawOp::Transparent {
                src_color: 0x7c00,
                true_color: 0xff_0000,
                ..
            })
        ));
    }
}

#[test]
fn boxes_clips_and_ends_are_checked_as_in_the_other_layout() {
    let mut driver = in_mode(MODE_32);
    let payload = Packed::new().solid(1).u16(8).no_mask();
    for bbox in [[0, 0, 481, 1], [0, 0, 1, 641], [-1, 0, 1, 1], [5, 0, 4, 1]] {
        let body = driver.place(&compat_drawable(1, 1, bbox, 0, &payload));
        driver.command(1, physical(body));
        assert_eq!(driver.collect(|_| body), [1]);
    }
    // A body whose last byte is past the slot: its cell is there, the drawable is not.
    let end = 16 << 20;
    let drawable = compat_drawable(1, 1, [0, 0, 1, 1], 0, &payload);
    driver.rig.ram().write(end - 127, &drawable.0[..127]).unwrap();
    driver.command(1, physical(end - 127));
    assert_eq!(driver.collect(|_| end - 127), [1]);
    assert_eq!(driver.rig.core.counters.read().dropped, 5);
    driver.rig.ram().write(end - 128, &drawable.0).unwrap();
    driver.command(1, physical(end - 128));
    assert_eq!(driver.collect(|_| end - 128), [1]);
    assert_eq!(driver.rig.core.counters.read().dropped, 5);
}
