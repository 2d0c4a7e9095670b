//! What a drawable reads besides the images it brings: surfaces it names, and the one it draws on.

use caraway_ports::{
    drawing::{DrawOp, ImageData},
    geometry::Point,
};

use super::drawable_tests::{dropped, framed};
use crate::testing::guest::{Driver, Frame, Packed, slot};

#[test]
fn surfaces_a_drawable_says_it_reads_must_be_there() {
    let mut driver = Driver::with_primary();
    let create = Packed::new().u64(0).u32(5).u8(0).u32(0).u32(32);
    let create = driver.place(&create.u32(16).u32(16).i32(64).u64(slot(2, 8 << 20)));
    driver.command(5, create);
    let payload = Packed::new().solid(1).u16(8).no_mask();
    for (reads, live) in [
        ([-1, -1, -1], true),
        ([0, 5, -1], true),
        ([-1, -1, 5], true),
        ([6, -1, -1], false),
        ([-1, 1024, -1], false),
        ([5, 5, -2], false),
        ([i32::MIN, -1, -1], false),
        ([-1, -1, i32::MAX], false),
    ] {
        let mut body = Frame::default().with(&payload);
        for (at, id) in (0x3f..).step_by(4).zip(reads) {
            body.0[at..at + 4].copy_from_slice(&id.to_le_bytes());
        }
        let body = driver.place(&body);
        driver.command(1, body);
        assert_eq!(driver.collect(|_| body), [1]);
        assert_eq!(driver.rig.sink.draws().len(), usize::from(live), "{reads:?}");
    }
}

#[test]
fn a_composite_reads_its_own_surface_where_that_equals_a_copy() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 14,
        self_bitmap: 1,
        self_area: [100, 50, 132, 82],
        ..Frame::default()
    };
    let payload = |flags: u32, transform, x: i16, y: i16| {
        let packed = Packed::new().u32(flags).u64(0).u64(transform).u64(0).u64(0);
        packed.u16(x as u16).u16(y as u16).zeros(4)
    };
    let Some(DrawOp::Composite(composite)) = framed(&mut driver, &frame, &payload(3, 0, 4, 8)) else {
        panic!("not drawn")
    };
    assert_eq!(composite.src.data, ImageData::Surface(0));
    assert_eq!(composite.src_origin, Point::new(54, 108));
    let matrix = [0x1_0000, 0, 0, 0, 0x1_0000, 0];
    let identity = driver.place(&matrix.iter().fold(Packed::new(), |packed, value| packed.i32(*value)));
    for (case, payload) in [
        ("reads past the area", payload(3, 0, 17, 0)),
        ("reads before the area", payload(3, 0, 0, -1)),
        ("repeats the area", payload(3 | 1 << 14, 0, 0, 0)),
        ("transforms the area", payload(3, identity, 0, 0)),
    ] {
        assert!(dropped(&mut driver, &frame, &payload), "{case}");
    }
    let without = Frame {
        self_bitmap: 0,
        ..frame
    };
    assert!(dropped(&mut driver, &without, &payload(3, 0, 4, 8)));
}
