use caraway_ports::display::{CursorType, DisplayCommand};
use proptest::prelude::*;

use super::*;
use crate::{
    ports,
    testing::guest::{Driver, Packed, slot},
};

/// A shape with its data in one chunk.
struct Shape {
    kind: u16,
    width: u16,
    height: u16,
    hot_spot: (u16, u16),
    data: Vec<u8>,
    /// What the header says.
    size: u32,
}

impl Shape {
    fn new(kind: u16, width: u16, height: u16, length: usize) -> Self {
        Self {
            kind,
            width,
            height,
            hot_spot: (0, 0),
            data: (0..length).map(|at| at as u8).collect(),
            size: length as u32,
        }
    }

    fn header(&self) -> Packed {
        Packed::new()
            .u64(0x1234)
            .u16(self.kind)
            .u16(self.width)
            .u16(self.height)
            .u16(self.hot_spot.0)
            .u16(self.hot_spot.1)
            .u32(self.size)
    }

    fn place(&self, driver: &mut Driver) -> u64 {
        let packed = self.header().chunk(self.data.len() as u32, 0).bytes(&self.data);
        driver.place(&packed)
    }
}

fn set(driver: &mut Driver, shape: u64) -> u64 {
    let body = Packed::new()
        .u64(9)
        .u8(0)
        .u16(5)
        .u16(0xfffe)
        .u8(1)
        .u64(shape)
        .zeros(128);
    let body = driver.place(&body);
    driver.cursor_command(body);
    body
}

fn plain(driver: &mut Driver, kind: u8, first: u16, second: u16) {
    let body = driver.place(&Packed::new().u64(9).u8(kind).u16(first).u16(second).zeros(137));
    driver.cursor_command(body);
}

/// The shape the viewer was told of last.
fn shown(driver: &Driver) -> Option<Arc<CursorShape>> {
    driver
        .rig
        .sink
        .cursors()
        .into_iter()
        .rev()
        .find_map(|command| match command {
            CursorCommand::Set { shape, .. } => Some(shape),
            _ => None,
        })
}

fn assert_dropped(driver: &mut Driver, body: u64) {
    assert!(driver.rig.sink.cursors().is_empty());
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
    assert_eq!(driver.collect(|_| body), [9], "given back all the same");
    assert!(!driver.rig.frozen());
}

/// Kind and bytes of a shape of 9x3.
const KINDS: [(u16, CursorType, usize); 7] = [
    (0, CursorType::Alpha, 108),
    (1, CursorType::Mono, 12),
    (2, CursorType::Color4, 15 + 64 + 6),
    (3, CursorType::Color8, 27 + 1024 + 6),
    (4, CursorType::Color16, 54 + 6),
    (5, CursorType::Color24, 81 + 6),
    (6, CursorType::Color32, 108 + 6),
];

#[test]
fn every_type_takes_exactly_the_bytes_it_needs() {
    for (kind, expected, length) in KINDS {
        let mut driver = Driver::with_primary();
        // More than is needed is fine; what follows stays behind.
        let mut shape = Shape::new(kind, 9, 3, length + 50);
        shape.hot_spot = (8, 2);
        let address = shape.place(&mut driver);
        let body = set(&mut driver, address);
        let shown = shown(&driver).expect("the shape is shown");
        assert_eq!((shown.kind, shown.unique), (expected, 0x1234));
        assert_eq!((shown.width, shown.height, shown.hot_spot), (9, 3, (8, 2)));
        assert_eq!(shown.data, shape.data[..length], "{expected:?}");
        assert_eq!(driver.collect(|_| body), [9]);
    }
}

#[test]
fn a_byte_too_few_drops_the_shape() {
    for (kind, _, length) in KINDS {
        // The header says too little; the chunks hold too little.
        for (size, held) in [(length - 1, length), (length, length - 1)] {
            let mut driver = Driver::with_primary();
            let mut shape = Shape::new(kind, 9, 3, held);
            shape.size = size as u32;
            let address = shape.place(&mut driver);
            let body = set(&mut driver, address);
            assert_dropped(&mut driver, body);
        }
    }
}

#[test]
fn sides_up_to_512_are_taken() {
    for (width, height, taken) in [
        (512, 512, true),
        (513, 1, false),
        (1, 513, false),
        (0, 1, false),
        (1, 0, false),
        (0xffff, 0xffff, false),
    ] {
        let mut driver = Driver::with_primary();
        let mut shape = Shape::new(0, width, height, 512 * 512 * 4);
        shape.size = u32::MAX;
        let address = shape.place(&mut driver);
        let body = set(&mut driver, address);
        if taken {
            assert_eq!(shown(&driver).expect("shown").data.len(), 1 << 20);
        } else {
            assert_dropped(&mut driver, body);
        }
    }
}

#[test]
fn unknown_kinds_and_bad_addresses_drop_the_command() {
    let mut driver = Driver::with_primary();
    let address = Shape::new(7, 1, 1, 64).place(&mut driver);
    let body = set(&mut driver, address);
    assert_dropped(&mut driver, body);
    for address in [0, slot(3, 0), slot(2, 16 << 20), slot(2, (16 << 20) - 0x20), u64::MAX] {
        let mut driver = Driver::with_primary();
        let body = set(&mut driver, address);
        assert_dropped(&mut driver, body);
    }
    let mut driver = Driver::with_primary();
    plain(&mut driver, 4, 0, 0);
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
}

#[test]
fn a_hot_spot_outside_is_held_to_the_edge() {
    let mut driver = Driver::with_primary();
    let mut shape = Shape::new(0, 9, 3, 108);
    shape.hot_spot = (9, 0xffff);
    let address = shape.place(&mut driver);
    set(&mut driver, address);
    assert_eq!(shown(&driver).expect("shown").hot_spot, (8, 2));
}

#[test]
fn chunks_are_put_together_in_order_whatever_their_sizes() {
    let mut driver = Driver::with_primary();
    let data: Vec<u8> = (0..108).collect();
    let last = driver.place(&Packed::new().chunk(1000, u64::MAX).bytes(&data[7..]).zeros(1000));
    let empty = driver.place(&Packed::new().chunk(0, last));
    let second = driver.place(&Packed::new().chunk(6, empty).bytes(&data[1..7]));
    let shape = Shape::new(0, 9, 3, 108).header().chunk(1, second).bytes(&data[..1]);
    let address = driver.place(&shape);
    set(&mut driver, address);
    assert_eq!(
        shown(&driver).expect("shown").data,
        data,
        "the rest of a long chain is not looked at"
    );
}

#[test]
fn chains_that_go_nowhere_end() {
    // A chunk that follows itself: empty, or with a byte; and one that names no memory.
    for (size, next_is_self) in [(0, true), (1, true), (1, false)] {
        let mut driver = Driver::with_primary();
        let here = driver.place(&Packed::new().zeros(64));
        let next = if next_is_self { here } else { slot(5, 0) };
        driver
            .rig
            .ram()
            .write(here & 0xffff_ffff, &Packed::new().chunk(size, next).0)
            .unwrap();
        let mut shape = Shape::new(0, 256, 256, 0);
        shape.size = 256 * 256 * 4;
        let address = driver.place(&shape.header().chunk(0, here));
        let body = set(&mut driver, address);
        assert_dropped(&mut driver, body);
    }
}

#[test]
fn the_viewer_is_told_what_the_guest_says_and_the_state_follows() {
    let mut driver = Driver::with_primary();
    let address = Shape::new(0, 9, 3, 108).place(&mut driver);
    set(&mut driver, address);
    plain(&mut driver, 2, 0, 0);
    plain(&mut driver, 1, 100, 0x8000);
    plain(&mut driver, 3, 7, 30);
    let said = driver.rig.sink.cursors();
    let trail = CursorCommand::Trail {
        length: 7,
        frequency: 30,
    };
    assert_eq!(
        said[1..],
        [
            CursorCommand::Hide,
            CursorCommand::Move(Point::new(100, -0x8000)),
            trail.clone()
        ]
    );
    let replay = driver.rig.worker().cursor.replay();
    let [
        CursorCommand::Set {
            position,
            visible,
            shape,
        },
        last,
    ] = &replay[..]
    else {
        panic!("{replay:?}")
    };
    assert_eq!((*position, *visible, shape.width), (Point::new(100, -0x8000), true, 9));
    assert_eq!(*last, trail);
    driver.rig.out(ports::DESTROY_PRIMARY, 0);
    assert!(driver.rig.worker().cursor.replay().is_empty());
}

#[test]
fn a_shape_set_hidden_is_replayed_hidden() {
    let mut driver = Driver::with_primary();
    let shape = Shape::new(1, 9, 3, 12).place(&mut driver);
    let body = driver.place(&Packed::new().u64(9).u8(0).u16(1).u16(2).u8(0).u64(shape).zeros(128));
    driver.cursor_command(body);
    let replay = driver.rig.worker().cursor.replay();
    assert!(matches!(replay[..], [CursorCommand::Set { visible: false, .. }]));
    let saved = SavedCursor::of(&driver.rig.worker().cursor);
    assert_eq!(saved.restore().as_ref(), Some(&driver.rig.worker().cursor));
}

#[test]
fn records_of_impossible_shapes_are_refused() {
    let good = SavedShape {
        unique: 1,
        kind: 1,
        size: (9, 3),
        hot_spot: (8, 2),
        data: vec![0; 12],
    };
    assert!(good.clone().restore().is_some());
    let bad = [
        SavedShape {
            kind: 7,
            ..good.clone()
        },
        SavedShape {
            size: (0, 3),
            ..good.clone()
        },
        SavedShape {
            size: (9, 513),
            ..good.clone()
        },
        SavedShape {
            hot_spot: (9, 0),
            ..good.clone()
        },
        SavedShape {
            data: vec![0; 13],
            ..good
        },
    ];
    for shape in bad {
        assert!(shape.clone().restore().is_none(), "{shape:?}");
    }
}

#[test]
fn commands_of_the_other_ring_are_dropped_and_given_back_where_they_have_a_cell() {
    let mut driver = Driver::with_primary();
    let body = driver.place(&Packed::new().u64(9).zeros(200));
    driver.command(3, body);
    assert_eq!(driver.collect(|_| body), [9]);
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
    let header = driver.rig.header().clone();
    use crate::header::offset;
    for (producer, kind) in [(1, 1_u32), (2, 0), (3, 6), (4, u32::MAX)] {
        let body = driver.place(&Packed::new().u64(9).zeros(200));
        let at = offset::CURSOR_RING + offset::RING_ITEMS + 16 * (u64::from(producer) - 1);
        header.write(at, &Packed::new().u64(body).u32(kind).u32(0).0);
        header.store(offset::CURSOR_RING + offset::RING_PRODUCER, producer);
        driver.rig.out(ports::NOTIFY_CURSOR, 0);
        let expected: &[u64] = if kind == 1 { &[9] } else { &[] };
        assert_eq!(driver.collect(|_| body), expected, "kind {kind}");
        assert_eq!(driver.rig.core.counters.read().dropped, 1 + u64::from(producer));
    }
    assert!(!driver.rig.frozen());
    let said = driver.rig.sink.take();
    assert!(said.iter().all(|command| !matches!(command, DisplayCommand::Draw(_))));
}

proptest! {
    /// Random cursor commands and shapes are shown or dropped, and always given back.
    #[test]
    fn random_cursors_always_come_back(
        body in proptest::collection::vec(any::<u8>(), 150),
        shape in proptest::collection::vec(any::<u8>(), 0x16 + 20 + 400),
        kind in 0_u8..5,
        (raw, width, height) in (0_u16..8, 0_u16..40, 0_u16..40),
        (size, chunk) in (prop_oneof![0_u32..5000, any::<u32>()], prop_oneof![0_u32..400, any::<u32>()]),
        next in prop_oneof![Just(0_u64), any::<u64>(), (0_u64..0x100_0000).prop_map(|at| slot(1, at))],
    ) {
        let mut driver = Driver::with_primary();
        let header = Packed::new()
            .u64(0).u16(raw).u16(width).u16(height).u16(1).u16(1).u32(size).chunk(chunk, next);
        let mut shape = shape;
        shape[..header.0.len()].copy_from_slice(&header.0);
        let address = driver.place(&Packed(shape));
        let mut body = body;
        body[..8].copy_from_slice(&9_u64.to_le_bytes());
        body[8] = kind;
        body[0x0e..0x16].copy_from_slice(&address.to_le_bytes());
        let place = driver.place(&Packed(body));
        driver.cursor_command(place);
        prop_assert_eq!(driver.collect(|_| place), [9]);
        prop_assert!(!driver.rig.frozen());
        let counters = driver.rig.core.counters.read();
        let said = driver.rig.sink.cursors();
        prop_assert_eq!(counters.dropped + said.len() as u64, 1);
        for command in said {
            if let CursorCommand::Set { shape, .. } = command {
                prop_assert_eq!(shape.data.len() as u64, layout::cursor_data(shape.kind as u16, shape.width, shape.height).unwrap().1 as u64);
                prop_assert!(shape.hot_spot.0 < shape.width && shape.hot_spot.1 < shape.height);
            }
        }
    }
}
