//! Chunk chains built to loop, to overflow or to cost, and random bytes for every command.

use caraway_ports::drawing::{DrawOp, ImageData};
use proptest::prelude::*;

use super::*;
use crate::testing::guest::{Driver, Frame, Packed, copy_of, image_of, slot};

const MIB: u64 = 1 << 20;

fn copy_frame() -> Frame {
    Frame {
        kind: 3,
        bbox: [0, 0, 4, 4],
        ..Frame::default()
    }
}

/// Copies from an image of 64x64 whose chain starts at `data`; the pixels, if it was drawn.
fn copy(driver: &mut Driver, data: u64) -> Option<Vec<u8>> {
    let image = driver.place(&image_of(64, 64, 256, data));
    let body = driver.draw(&copy_frame(), &copy_of(image, 64, 64));
    assert_eq!(driver.collect(|_| body), [1], "given back");
    assert!(!driver.rig.frozen());
    let op = driver.rig.sink.draws().pop()?.op;
    let DrawOp::Copy { source, .. } = op else {
        panic!("{op:?}")
    };
    let ImageData::Bitmap(bitmap) = source.image.data else {
        panic!()
    };
    Some(bitmap.data.to_vec())
}

/// A chain of chunks with these bytes, each followed by the next; its first address.
fn chain(driver: &mut Driver, parts: &[&[u8]]) -> u64 {
    parts.iter().rev().fold(0, |next, part| {
        driver.place(&Packed::new().chunk(part.len() as u32, next).bytes(part))
    })
}

fn pixels() -> Vec<u8> {
    (0..64 * 256).map(|at: u32| (at * 7) as u8).collect()
}

#[test]
fn chunks_may_end_anywhere_in_a_line() {
    let mut driver = Driver::with_primary();
    let pixels = pixels();
    let parts: Vec<&[u8]> = pixels.chunks(1000).collect();
    let data = chain(&mut driver, &parts);
    assert_eq!(copy(&mut driver, data), Some(pixels.clone()));
    let parts: Vec<&[u8]> = pixels.chunks(7).collect();
    let data = chain(&mut driver, &parts);
    assert_eq!(copy(&mut driver, data), Some(pixels));
}

#[test]
fn empty_chunks_are_passed_over_up_to_a_bound() {
    let pixels = pixels();
    for (empty, drawn) in [(1, true), (1024, true), (1025, false)] {
        let mut driver = Driver::with_primary();
        let mut parts: Vec<&[u8]> = vec![&[]; empty];
        parts.push(&pixels);
        let data = chain(&mut driver, &parts);
        assert_eq!(copy(&mut driver, data).is_some(), drawn, "{empty}");
    }
}

#[test]
fn chains_hold_exactly_what_the_image_needs() {
    let mut driver = Driver::with_primary();
    let pixels = pixels();
    let (short, rest) = pixels.split_at(100);
    for parts in [
        vec![&pixels[1..]],
        vec![short],
        vec![],
        vec![&pixels[..], &[1][..]],
        vec![short, rest, &[1]],
        vec![&[]],
    ] {
        let data = chain(&mut driver, &parts);
        assert_eq!(copy(&mut driver, data), None);
    }
    let data = chain(&mut driver, &[short, rest, &[]]);
    assert!(copy(&mut driver, data).is_some(), "an empty chunk at the end is fine");
}

#[test]
fn loops_end() {
    for size in [0_u32, 1, 4096, 16384, u32::MAX] {
        let mut driver = Driver::with_primary();
        let here = driver.place(&Packed::new().zeros(20 + 16384));
        driver
            .rig
            .ram()
            .write(here & 0xffff_ffff, &Packed::new().chunk(size, here).0)
            .unwrap();
        // Four times the same 4096 bytes is what the image needs, but the chain goes on after them.
        assert_eq!(copy(&mut driver, here), None, "{size}");
    }
}

#[test]
fn the_same_bytes_may_serve_twice() {
    let mut driver = Driver::with_primary();
    let last = driver.place(&Packed::new().chunk(4096, 0).bytes(&[3; 4096]));
    // Chunks that lie over each other's data.
    let data = (0..3).fold(last, |next, _| {
        driver.place(&Packed::new().chunk(4096, next).bytes(&[3; 4096]))
    });
    assert_eq!(copy(&mut driver, data), Some(vec![3; 16384]));
}

#[test]
fn chunks_end_inside_their_slot() {
    let mut driver = Driver::with_primary();
    let end = 16 * MIB - 8192;
    let write = |driver: &Driver, at: u64| {
        driver.rig.ram().write(at, &Packed::new().chunk(16384, 0).0).unwrap();
    };
    write(&driver, end - 20 - 16384);
    assert!(
        copy(&mut driver, slot(1, end - 20 - 16384)).is_some(),
        "up to the last byte"
    );
    write(&driver, end - 19 - 16384);
    for data in [end - 19 - 16384, end - 19, end, 0xffff_ffff_ffff] {
        assert_eq!(copy(&mut driver, slot(1, data)), None, "{data:#x}");
    }
    assert_eq!(copy(&mut driver, 0), None);
    assert_eq!(copy(&mut driver, slot(1, 0) | 1 << 50), None, "another generation");
}

#[test]
fn chains_of_many_small_chunks_are_refused() {
    let mut driver = Driver::with_primary();
    // 16384 bytes in chunks of 2: twice the number that is reasonable.
    let bytes = [1, 2];
    let parts = vec![&bytes[..]; 8192];
    let data = chain(&mut driver, &parts);
    assert_eq!(copy(&mut driver, data), None);
}

#[test]
fn one_command_copies_no_more_than_its_budget() {
    let rig = crate::testing::Rig::new();
    let mut slots = SlotTable::default();
    slots.set(
        1,
        Some(crate::memory::Slot {
            region: crate::memory::Region::Ram,
            offset: 0,
            size: 16 * MIB,
            bias: 0,
        }),
    );
    let mut guest = Guest::new(&rig.core.memory, &slots);
    for _ in 0..16 {
        guest.read_vec(slot(1, 0), 0, 16 * MIB).unwrap();
    }
    guest.read_vec(slot(1, 0), 0, MIB).unwrap();
    assert_eq!(guest.read_vec(slot(1, 0), 0, 1), Err(Malformed::Budget(1)));
    assert_eq!(guest.charge(u64::MAX), Err(Malformed::Budget(u64::MAX)));
    // The list of chunks counts too.
    rig.ram().write(0, &Packed::new().chunk(4, 0).0).unwrap();
    let walk = Chunks::walk(&mut guest, slot(1, 0), 0, ChunkLimit::Exactly(4));
    assert_eq!(walk.err(), Some(Malformed::Budget(24)));
}

#[test]
fn lists_past_their_limit_are_refused_before_anything_is_copied() {
    let mut driver = Driver::with_primary();
    // 17 MiB of clip rectangles in chunks that repeat the same megabyte.
    let count = (17 * MIB / 16) as u32;
    let last = driver.place(&Packed::new().chunk(MIB as u32, 0).zeros(MIB as usize));
    let mut next = last;
    for _ in 0..16 {
        next = driver.place(&Packed::new().chunk(0, next));
    }
    let clip = driver.place(&Packed::new().u32(count).chunk(0, next));
    let frame = Frame {
        clip,
        ..Frame::default()
    };
    let body = driver.draw(&frame, &Packed::new().solid(1).u16(8).no_mask());
    assert_eq!(driver.collect(|_| body), [1]);
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
}

/// A place in slot 1 or 2, near where things are, or anywhere.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (8 * MIB..8 * MIB + 0x4000).prop_map(|at| slot(1, at)),
        1 => (0..17 * MIB).prop_map(|at| slot(2, at)),
        1 => Just(0),
        1 => any::<u64>(),
    ]
}

/// Bytes full of small numbers, addresses that lead back into themselves, and noise.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        3 => (0_u32..40).prop_map(|value| value.to_le_bytes().to_vec()),
        2 => address().prop_map(|value| value.to_le_bytes().to_vec()),
        1 => any::<u32>().prop_map(|value| value.to_le_bytes().to_vec()),
        1 => any::<u8>().prop_map(|value| vec![value]),
    ];
    proptest::collection::vec(word, 100..1500).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Random bytes as any command: nothing panics, the command comes back, the device goes on.
    #[test]
    fn random_commands_are_drawn_or_dropped_and_always_come_back(
        memory in soup(),
        body in proptest::collection::vec(any::<u8>(), 191),
        command in 1_u32..6,
        kind in 0_u8..16,
        surface in 0_u32..3,
        bbox in (0_i32..20, 0_i32..20, 0_i32..600, 0_i32..700),
        (clip, area) in (address(), (0_i32..30, 0_i32..30, 0_i32..40, 0_i32..40)),
        pointers in proptest::collection::vec((0_usize..60, address()), 0..6),
    ) {
        let mut driver = Driver::with_primary();
        let surface_body = driver.place(&Packed::new()
            .u64(0).u32(1).u8(0).u32(1).u32(96).u32(64).u32(64).i32(-256).u64(slot(2, 8 * MIB)));
        driver.command(5, surface_body);
        driver.rig.ram().write(8 * MIB, &memory).unwrap();
        let mut body = body;
        body[..8].copy_from_slice(&9_u64.to_le_bytes());
        let frame = Frame {
            id: 9,
            surface,
            kind,
            self_bitmap: body[14] & 1,
            self_area: [area.0, area.1, area.2, area.3],
            bbox: [bbox.0, bbox.1, bbox.2, bbox.3],
            clip: if body[15] & 1 == 0 { 0 } else { clip },
        };
        if command == 1 {
            let mut payload = body[0x7b..].to_vec();
            for (at, pointer) in pointers {
                payload[at..at + 8].copy_from_slice(&pointer.to_le_bytes());
            }
            body = frame.with(&Packed(payload)).0;
        }
        // Behind the soup.
        let at = 9 * MIB;
        driver.rig.ram().write(at, &body).unwrap();
        let before = driver.rig.core.counters.read().releases;
        driver.command(command, slot(1, at));
        prop_assert!(!driver.rig.frozen());
        let held = driver.rig.sink.live().len() > 2;
        prop_assert_eq!(driver.rig.core.counters.read().releases - before, u64::from(!held));
        if !held {
            prop_assert_eq!(driver.collect(|_| slot(1, at)), [9]);
        }
        driver.update_area(1, [0, 0, 64, 64]);
        driver.update_area(0, [0, 0, 8, 640]);
    }

    /// The same soup for every kind of drawable, with an image that is nearly right.
    #[test]
    fn images_that_are_nearly_right_are_drawn_or_dropped(
        kind in prop_oneof![Just(2_u8), Just(3), Just(5), Just(9), Just(12), Just(13), Just(14)],
        format in 0_u8..12,
        flags in 0_u8..8,
        size in (0_u32..70, 0_u32..70, prop_oneof![0_u32..300, any::<u32>()]),
        (data, palette) in (address(), address()),
        memory in soup(),
    ) {
        let mut driver = Driver::with_primary();
        driver.rig.ram().write(8 * MIB, &memory).unwrap();
        driver.rig.ram().write(9 * MIB, &Packed::new()
            .u64(1).u8(0).u8(flags).u32(9).u32(9).u8(format).u8(flags)
            .u32(size.0).u32(size.1).u32(size.2).u64(palette).u64(data).0).unwrap();
        let image = slot(1, 9 * MIB);
        let payload = match kind {
            13 => Packed::new().u16(3).u8(9).u64(image).rect([0, 0, 4, 4]),
            14 => Packed::new().u32(0x1003).u64(image).u64(0).u64(image).u64(0).zeros(8),
            _ => Packed::new().u64(image).rect([0, 0, 4, 4]).zeros(30),
        };
        let body = Frame { kind, ..Frame::default() }.with(&payload);
        driver.rig.ram().write(10 * MIB, &body.0).unwrap();
        driver.command(1, slot(1, 10 * MIB));
        prop_assert!(!driver.rig.frozen());
        prop_assert_eq!(driver.collect(|_| slot(1, 10 * MIB)), [1]);
        let draws = driver.rig.sink.draws().len() as u64;
        prop_assert_eq!(draws + driver.rig.core.counters.read().dropped, 1);
    }
}
