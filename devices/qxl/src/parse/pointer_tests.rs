//! Every pointer a guest can give, good and bad, and every chain of chunks, leading back into itself.

use super::drawable_tests::drawn;
use crate::{
    header::offset,
    ports,
    testing::guest::{Driver, Frame, Packed, copy_of, image_of, slot},
};

const MIB: u64 = 1 << 20;
/// Bytes of slot 1: RAM up to the header.
const SLOT_SIZE: u64 = 16 * MIB - 8192;

/// Places a command that holds a pointer and says what it is: command type, body. What the pointer would be is given to
/// the first function, which says what is written instead.
type Make = fn(&mut Driver, &dyn Fn(u64) -> u64) -> (u32, u64);

struct Pointer {
    name: &'static str,
    make: Make,
    /// 0 means that there is nothing, which is fine.
    optional: bool,
}

const fn required(name: &'static str, make: Make) -> Pointer {
    Pointer {
        name,
        make,
        optional: false,
    }
}

const fn optional(name: &'static str, make: Make) -> Pointer {
    Pointer {
        name,
        make,
        optional: true,
    }
}

const DRAW: u32 = 1;
const CURSOR: u32 = 3;
const SURFACE: u32 = 5;

fn drawable(driver: &mut Driver, kind: u8, payload: &Packed) -> (u32, u64) {
    let frame = Frame {
        kind,
        ..Frame::default()
    };
    (DRAW, driver.place(&frame.with(payload)))
}

/// A fill clipped to the rectangles at this address.
fn clipped(driver: &mut Driver, clip: u64) -> (u32, u64) {
    let mut body = Frame::default().with(&solid());
    let at = Packed::new().u32(1).u64(clip);
    body.0[0x2f..0x3b].copy_from_slice(&at.0);
    (DRAW, driver.place(&body))
}

fn solid() -> Packed {
    Packed::new().solid(1).u16(8).no_mask()
}

fn chunk(driver: &mut Driver, bytes: usize) -> u64 {
    driver.place(&Packed::new().chunk(bytes as u32, 0).zeros(bytes))
}

fn picture(driver: &mut Driver) -> u64 {
    driver.bitmap(16, 16, 64, &[1; 1024])
}

/// A bitmap of 8x8 pixels of one bit.
fn bits(driver: &mut Driver, palette: u64) -> u64 {
    let data = chunk(driver, 8);
    let image = Packed::new().u64(0).u8(0).u8(0).u32(8).u32(8).u8(2).u8(4);
    driver.place(&image.u32(8).u32(8).u32(1).u64(palette).u64(data))
}

fn copy(driver: &mut Driver, image: u64) -> (u32, u64) {
    drawable(driver, 3, &copy_of(image, 8, 8))
}

fn with_source(driver: &mut Driver, kind: u8, image: u64) -> (u32, u64) {
    let source = Packed::new().u64(image).rect([0, 0, 8, 8]);
    let payload = match kind {
        2 => source.solid(1).u16(8).u8(1).no_mask(),
        9 => source.solid(1).u8(0xcc).u8(1).no_mask(),
        12 => source.u32(1).u32(1),
        13 => Packed::new().u16(0).u8(9).bytes(&source.0),
        _ => source.u16(8).u8(1).no_mask(),
    };
    drawable(driver, kind, &payload)
}

fn stroke(driver: &mut Driver, path: u64, style: u64) -> (u32, u64) {
    let attributes = Packed::new().u8(8).u8(0).u8(0).u8(2).i32(16).i32(0).u64(style);
    let payload = Packed::new().u64(path).bytes(&attributes.0).solid(1).u16(8).u16(8);
    drawable(driver, 10, &payload)
}

/// A path of two points, the first `size` bytes of 24 in its first chunk.
fn path(driver: &mut Driver, size: u32, next: u64) -> u64 {
    let points = Packed::new().u32(3).u32(2).zeros(16);
    driver.place(&Packed::new().u32(24).chunk(size, next).bytes(&points.0))
}

fn style(driver: &mut Driver) -> u64 {
    driver.place(&Packed::new().i32(16).i32(16))
}

fn text(driver: &mut Driver, string: u64) -> (u32, u64) {
    let payload = Packed::new().u64(string).zeros(16).solid(1).solid(2).u16(8).u16(8);
    drawable(driver, 11, &payload)
}

fn composite(driver: &mut Driver, src: u64, transforms: [u64; 2], mask: u64) -> (u32, u64) {
    let payload = Packed::new().u32(3).u64(src).u64(transforms[0]).u64(mask);
    drawable(driver, 14, &payload.u64(transforms[1]).zeros(8))
}

fn transform(driver: &mut Driver) -> u64 {
    let matrix = [0x1_0000, 0, 0, 0, 0x1_0000, 0];
    driver.place(&matrix.iter().fold(Packed::new(), |packed, value| packed.i32(*value)))
}

/// A QUIC image of 30x20 whose first chunk has the first 20 bytes.
fn quic(driver: &mut Driver, next: u64) -> u64 {
    let stream = Packed::new().bytes(b"QUIC").u32(0).u32(4).u32(30).u32(20);
    let image = Packed::new().u64(0).u8(1).u8(0).u32(30).u32(20).u32(28);
    driver.place(&image.chunk(20, next).bytes(&stream.0))
}

fn cursor(driver: &mut Driver, shape: u64) -> (u32, u64) {
    let body = Packed::new().u64(1).u8(0).u16(5).u16(6).u8(1).u64(shape).zeros(128);
    (CURSOR, driver.place(&body))
}

/// A monochrome shape of 8x8 whose first chunk has half of the data.
fn shape(driver: &mut Driver, next: u64) -> u64 {
    let header = Packed::new().u64(0).u16(1).u16(8).u16(8).u16(0).u16(0).u32(16);
    driver.place(&header.chunk(8, next).zeros(8))
}

fn surface(driver: &mut Driver, data: u64) -> (u32, u64) {
    let body = Packed::new().u64(1).u32(9).u8(0).u32(0).u32(32).u32(8).u32(8).i32(32);
    (SURFACE, driver.place(&body.u64(data)))
}

const POINTERS: [Pointer; 27] = [
    required("clip", |driver, swap| {
        let clip = driver.clip(&[[0, 0, 4, 4]]);
        clipped(driver, swap(clip))
    }),
    required("clip chunk", |driver, swap| {
        let next = chunk(driver, 16);
        let clip = Packed::new().u32(2).chunk(16, swap(next)).rect([0, 0, 4, 4]);
        let clip = driver.place(&clip);
        clipped(driver, clip)
    }),
    required("copy source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 3, swap(image))
    }),
    required("blend source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 5, swap(image))
    }),
    required("opaque source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 2, swap(image))
    }),
    required("rop3 source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 9, swap(image))
    }),
    required("transparent source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 12, swap(image))
    }),
    required("alpha blend source", |driver, swap| {
        let image = picture(driver);
        with_source(driver, 13, swap(image))
    }),
    required("bitmap data", |driver, swap| {
        let data = chunk(driver, 1024);
        let image = driver.place(&image_of(16, 16, 64, swap(data)));
        copy(driver, image)
    }),
    required("flat bitmap data", |driver, swap| {
        let data = driver.place(&Packed::new().zeros(1024));
        let mut image = image_of(16, 16, 64, swap(data));
        image.0[0x13] |= 1;
        let image = driver.place(&image);
        copy(driver, image)
    }),
    required("bitmap chunk", |driver, swap| {
        let next = chunk(driver, 960);
        let data = driver.place(&Packed::new().chunk(64, swap(next)).zeros(64));
        let image = driver.place(&image_of(16, 16, 64, data));
        copy(driver, image)
    }),
    required("palette", |driver, swap| {
        let palette = driver.place(&Packed::new().u64(0).u16(2).u32(1).u32(2));
        let image = bits(driver, swap(palette));
        copy(driver, image)
    }),
    optional("mask", |driver, swap| {
        let mask = bits(driver, 0);
        let payload = Packed::new().solid(1).u16(8).zeros(9).u64(swap(mask));
        drawable(driver, 1, &payload)
    }),
    required("pattern", |driver, swap| {
        let image = picture(driver);
        let payload = Packed::new().u32(2).u64(swap(image)).zeros(8).u16(8).no_mask();
        drawable(driver, 1, &payload)
    }),
    required("QUIC chunk", |driver, swap| {
        let next = chunk(driver, 8);
        let image = quic(driver, swap(next));
        copy(driver, image)
    }),
    required("path", |driver, swap| {
        let (path, style) = (path(driver, 24, 0), style(driver));
        stroke(driver, swap(path), style)
    }),
    required("path chunk", |driver, swap| {
        let next = chunk(driver, 16);
        let (path, style) = (path(driver, 8, swap(next)), style(driver));
        stroke(driver, path, style)
    }),
    required("line style", |driver, swap| {
        let (path, style) = (path(driver, 24, 0), style(driver));
        stroke(driver, path, swap(style))
    }),
    required("string", |driver, swap| {
        let string = driver.place(&Packed::new().u32(20).u16(1).u16(1).chunk(20, 0).zeros(20));
        text(driver, swap(string))
    }),
    required("string chunk", |driver, swap| {
        let next = chunk(driver, 10);
        let string = Packed::new().u32(20).u16(1).u16(1).chunk(10, swap(next)).zeros(10);
        let string = driver.place(&string);
        text(driver, string)
    }),
    required("composite source", |driver, swap| {
        let image = picture(driver);
        composite(driver, swap(image), [0, 0], 0)
    }),
    optional("composite mask", |driver, swap| {
        let image = picture(driver);
        composite(driver, image, [0, 0], swap(image))
    }),
    optional("source transform", |driver, swap| {
        let (image, transform) = (picture(driver), transform(driver));
        composite(driver, image, [swap(transform), 0], 0)
    }),
    optional("mask transform", |driver, swap| {
        let (image, transform) = (picture(driver), transform(driver));
        composite(driver, image, [0, swap(transform)], image)
    }),
    required("cursor shape", |driver, swap| {
        let last = chunk(driver, 8);
        let shape = shape(driver, last);
        cursor(driver, swap(shape))
    }),
    required("cursor chunk", |driver, swap| {
        let next = chunk(driver, 8);
        let shape = shape(driver, swap(next));
        cursor(driver, shape)
    }),
    required("surface memory", |driver, swap| {
        surface(driver, swap(slot(2, 12 * MIB)))
    }),
];

/// Addresses at which no structure can be.
fn bad_addresses() -> Vec<(&'static str, u64)> {
    vec![
        ("null", 0),
        ("slot 0, which is not there", slot(0, 0x1000)),
        ("a slot that is not there", slot(3, 0x1000)),
        ("the last slot", slot(7, 0)),
        ("one slot too many", slot(8, 0)),
        ("no slot at all", slot(255, 0)),
        ("another generation", slot(1, 8 * MIB) | 1 << 48),
        ("all generations", slot(1, 8 * MIB) | 0xff << 48),
        ("the last byte", slot(1, SLOT_SIZE - 1)),
        ("the end", slot(1, SLOT_SIZE)),
        ("past the end", slot(1, SLOT_SIZE + 1)),
        ("the largest offset", slot(1, (1 << 48) - 1)),
        ("a guest-physical address", crate::testing::BAR0 + 8 * MIB),
        ("all ones", u64::MAX),
    ]
}

fn push(driver: &mut Driver, kind: u32, body: u64) {
    if kind == CURSOR {
        driver.cursor_command(body);
    } else {
        driver.command(kind, body);
    }
}

/// Whether the command was done; it came back if it was not.
fn done(driver: &mut Driver, (kind, body): (u32, u64), what: &str) -> bool {
    let before = driver.rig.core.counters.read();
    driver.rig.sink.take();
    push(driver, kind, body);
    assert!(!driver.rig.frozen(), "{what}");
    let after = driver.rig.core.counters.read();
    let dropped = after.dropped - before.dropped;
    let returned = after.releases - before.releases;
    driver.collect(|_| body);
    let said = driver.rig.sink.take().len() as u64;
    assert_eq!(said + dropped, 1, "{what}: done or dropped");
    // A surface keeps the command that made it.
    assert_eq!(
        returned,
        u64::from(kind != SURFACE || dropped == 1),
        "{what}: comes back"
    );
    dropped == 0
}

#[test]
fn every_pointer_is_checked_against_slot_generation_and_end() {
    for Pointer { name, make, optional } in &POINTERS {
        let mut driver = Driver::with_primary();
        let command = make(&mut driver, &|good| good);
        assert!(done(&mut driver, command, name), "{name}: a good one");
        let mut driver = Driver::with_primary();
        for (case, address) in bad_addresses() {
            let what = format!("{name}: {case}");
            let command = make(&mut driver, &|_| address);
            let fine = *optional && address == 0;
            assert_eq!(done(&mut driver, command, &what), fine, "{what}");
        }
    }
}

#[test]
fn a_slot_that_goes_takes_its_pointers_along() {
    for Pointer { name, make, .. } in &POINTERS {
        let mut driver = Driver::with_primary();
        // Only the pointer leads to slot 3, which covers what slot 1 does.
        let base = crate::testing::BAR0;
        driver.add_slot(3, base, base + SLOT_SIZE);
        let swap = |good: u64| good & 0xff_ffff_ffff | slot(3, 0);
        let command = make(&mut driver, &swap);
        assert!(done(&mut driver, command, name), "{name}: by the other slot");
        driver.rig.out(ports::DELETE_SLOT, 3);
        let command = make(&mut driver, &swap);
        if *name == "surface memory" {
            // The first one lives.
            driver.rig.out(ports::DESTROY_SURFACE, 9);
        }
        assert!(!done(&mut driver, command, name), "{name}: without it");
    }
}

/// The chunk of a structure leads to itself, so that its bytes never end or are never enough.
#[test]
fn every_chain_that_leads_back_into_itself_ends() {
    // Where the chunk header is, how many bytes the structure wants, and how it is used.
    type Use = fn(&mut Driver, u64) -> (u32, u64);
    let path: Use = |driver, path| {
        let style = style(driver);
        stroke(driver, path, style)
    };
    let bitmap: Use = |driver, data| {
        let image = driver.place(&image_of(16, 16, 64, data));
        copy(driver, image)
    };
    let chains: [(&str, u64, Packed, Use); 6] = [
        ("clip", 4, Packed::new().u32(1000), clipped),
        ("path", 4, Packed::new().u32(24_000), path),
        ("string", 8, Packed::new().u32(20_000).u16(1000).u16(1), text),
        ("bitmap", 0, Packed::new(), bitmap),
        (
            "QUIC",
            0x16,
            Packed::new().u64(0).u8(1).u8(0).u32(30).u32(20).u32(28_000),
            copy,
        ),
        (
            "cursor",
            0x16,
            Packed::new().u64(0).u16(0).u16(64).u16(64).u16(0).u16(0).u32(16_384),
            cursor,
        ),
    ];
    for (name, at, header, using) in chains {
        for size in [0_u32, 1, 3, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            let mut driver = Driver::with_primary();
            let start = driver.place(&header.clone().chunk(size, 0).zeros(64));
            let next = (start + at).to_le_bytes();
            let ram = driver.rig.ram();
            ram.write((start & 0xffff_ffff) + at + 12, &next).unwrap();
            let command = using(&mut driver, start);
            // A cursor takes what it needs and looks no further: the same bytes again and again.
            let done = done(&mut driver, command, name);
            assert!(!done || name == "cursor", "{name} in chunks of {size}");
        }
    }
}

#[test]
fn bodies_nobody_can_reach_freeze_the_device_whatever_the_command() {
    for kind in [1, 2, 4, SURFACE, CURSOR] {
        for (case, address) in bad_addresses() {
            let mut driver = Driver::with_primary();
            driver.rig.take_pending();
            push(&mut driver, kind, address);
            assert!(driver.rig.frozen(), "type {kind}: {case}");
            driver.assert_frozen();
        }
    }
}

#[test]
fn a_body_cut_off_by_the_end_of_its_slot_is_dropped_and_comes_back() {
    for (kind, size) in [(DRAW, 191), (2, 32), (SURFACE, 17), (CURSOR, 22)] {
        let mut driver = Driver::with_primary();
        for left in [8, size - 1] {
            let at = SLOT_SIZE - left;
            driver.rig.ram().write(at, &9_u64.to_le_bytes()).unwrap();
            assert!(
                !done(&mut driver, (kind, slot(1, at)), "cut off"),
                "type {kind} with {left} bytes"
            );
        }
    }
    // A message may end with its slot.
    let mut driver = Driver::with_primary();
    let at = SLOT_SIZE - 8;
    driver.rig.ram().write(at, &9_u64.to_le_bytes()).unwrap();
    driver.command(4, slot(1, at));
    assert_eq!(driver.collect(|_| slot(1, at)), [9]);
    assert_eq!(driver.rig.core.counters.read().dropped, 0);
}

#[test]
fn arguments_in_the_header_are_checked_like_pointers_in_commands() {
    for (case, address) in bad_addresses() {
        let mut driver = Driver::probed();
        driver.rig.take_pending();
        driver.set_primary_argument(64, 64, 256, address, 0);
        driver.rig.out(ports::CREATE_PRIMARY_ASYNC, 0);
        driver.assert_frozen();
        let mut driver = Driver::with_primary();
        driver
            .rig
            .header()
            .write(offset::MONITORS_CONFIG, &address.to_le_bytes());
        driver.rig.async_out(ports::MONITORS_ASYNC, 0);
        assert_eq!(driver.rig.sink.monitors(), None, "{case}");
    }
    // One line more than the slot has.
    let mut driver = Driver::probed();
    driver.set_primary_argument(64, 64, 256, slot(1, SLOT_SIZE - 64 * 256 + 1), 0);
    driver.rig.out(ports::CREATE_PRIMARY, 0);
    driver.assert_frozen();
    let mut driver = Driver::probed();
    driver.create_primary(64, 64, 256, slot(1, SLOT_SIZE - 64 * 256), 0);
    assert!(drawn(&mut driver, 6, &Packed::new().no_mask()).is_some());
}
