//! A second processor of the guest changes fields while the device reads them. Whatever it sees, it sees once: what the
//! viewer is told is whole (the test viewer looks), and every command is done or dropped and comes back.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use crate::{
    header::offset,
    ports,
    testing::guest::{Driver, Frame, Packed, copy_of, image_of, slot},
};

const MIB: u64 = 1 << 20;
const ROUNDS: u32 = 3000;

/// Bytes at an offset of RAM: the good ones and what they turn into, by turns.
struct Flip {
    at: u64,
    values: Vec<Vec<u8>>,
}

impl Flip {
    /// A field of what was placed in slot 1, of `width` bytes. The first value is the good one.
    fn new(address: u64, field: u64, width: usize, values: &[u64]) -> Self {
        Self {
            at: (address & 0xffff_ffff_ffff) + field,
            values: values
                .iter()
                .map(|value| value.to_le_bytes()[..width].to_vec())
                .collect(),
        }
    }

    /// A field of the RAM header.
    fn header(driver: &Driver, field: u64, width: usize, values: &[u64]) -> Self {
        Self::new(driver.rig.core.config.sizes.ram_header(), field, width, values)
    }
}

/// Does `action` again and again while another thread turns one field after the other, and back.
fn race(driver: &mut Driver, flips: &[Flip], mut action: impl FnMut(&mut Driver)) {
    let ram = driver.rig.ram().clone();
    let (stop, passes) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0_usize.. {
                for flip in flips {
                    let turned = &flip.values[turn % flip.values.len()];
                    ram.write(flip.at, turned).unwrap();
                    std::hint::spin_loop();
                    ram.write(flip.at, &flip.values[0]).unwrap();
                }
                passes.fetch_add(1, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for round in 0..ROUNDS {
            // Whichever of the two the host lets run: no round meets a thread that stands still.
            while passes.load(Ordering::Relaxed) < round {
                thread::yield_now();
            }
            action(driver);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Pushes the same body again, which the device has given a new first cell.
fn again(driver: &mut Driver, kind: u32, body: u64) {
    driver
        .rig
        .ram()
        .write(body & 0xffff_ffff, &5_u64.to_le_bytes())
        .unwrap();
    let before = driver.rig.core.counters.read();
    driver.rig.sink.take();
    if kind == 3 {
        driver.cursor_command(body);
    } else {
        driver.command(kind, body);
    }
    let after = driver.rig.core.counters.read();
    assert!(!driver.rig.frozen());
    let said = driver.rig.sink.take().len() as u64;
    assert_eq!(said + after.dropped - before.dropped, 1, "done or dropped");
    assert_eq!(after.releases - before.releases, 1, "comes back");
    driver.collect(|_| body);
}

fn drawable(driver: &mut Driver, kind: u8, clip: u64, payload: &Packed) -> u64 {
    let frame = Frame {
        kind,
        clip,
        ..Frame::default()
    };
    driver.place(&frame.with(payload))
}

#[test]
fn images_and_their_chunks_change_while_they_are_read() {
    let mut driver = Driver::with_primary();
    let last = driver.place(&Packed::new().chunk(512, 0).zeros(512));
    let data = driver.place(&Packed::new().chunk(512, last).zeros(512));
    let image = driver.place(&image_of(16, 16, 64, data));
    let body = drawable(&mut driver, 3, 0, &copy_of(image, 16, 16));
    let flips = [
        Flip::new(image, 0x08, 1, &[0, 0, 1, 104]),
        Flip::new(image, 0x12, 1, &[8, 9, 7, 5, 1]),
        Flip::new(image, 0x13, 1, &[4, 5]),
        Flip::new(image, 0x14, 4, &[16, 16, 15, 0, u64::MAX]),
        Flip::new(image, 0x18, 4, &[16, 16, 17, 0x0400_0000]),
        Flip::new(image, 0x1c, 4, &[64, 64, 63, 0x8000_0000]),
        Flip::new(image, 0x20, 8, &[0, image, last]),
        Flip::new(image, 0x28, 8, &[data, data, last, 0]),
        Flip::new(data, 0, 4, &[512, 512, 511, u64::MAX]),
        Flip::new(data, 12, 8, &[last, last, data, 0]),
        Flip::new(last, 0, 4, &[512, 512, 0, 513]),
    ];
    race(&mut driver, &flips, |driver| again(driver, 1, body));
}

#[test]
fn clip_counts_palettes_paths_and_strings_change_while_they_are_read() {
    let mut driver = Driver::with_primary();
    let clip = driver.clip(&[[0, 0, 4, 4], [4, 4, 8, 8]]);
    let fill = drawable(&mut driver, 1, clip, &Packed::new().solid(1).u16(8).no_mask());
    let palette = driver.place(&Packed::new().u64(0).u16(2).zeros(1024));
    let bits = driver.place(&Packed::new().chunk(8, 0).zeros(8));
    let image = Packed::new().u64(0).u8(0).u8(0).u32(8).u32(8).u8(2).u8(4);
    let image = driver.place(&image.u32(8).u32(8).u32(1).u64(palette).u64(bits));
    let copy = drawable(&mut driver, 3, 0, &copy_of(image, 8, 8));
    let points = Packed::new().u32(3).u32(2).zeros(16);
    let path = driver.place(&Packed::new().u32(24).chunk(24, 0).bytes(&points.0));
    let style = driver.place(&Packed::new().i32(16).i32(16));
    let attributes = Packed::new().u8(8).u8(0).u8(0).u8(2).i32(16).i32(0).u64(style);
    let stroke = Packed::new().u64(path).bytes(&attributes.0).solid(1).u16(8).u16(8);
    let stroke = drawable(&mut driver, 10, 0, &stroke);
    let glyph = Packed::new().zeros(16).u16(8).u16(2).u16(0xffff);
    let string = driver.place(&Packed::new().u32(22).u16(1).u16(1).chunk(22, 0).bytes(&glyph.0));
    let text = Packed::new().u64(string).zeros(16).solid(1).solid(2).u16(8).u16(8);
    let text = drawable(&mut driver, 11, 0, &text);
    let flips = [
        Flip::new(clip, 0, 4, &[2, 2, 1, 0x1000_0002]),
        Flip::new(clip, 4, 4, &[32, 32, 16, u64::MAX]),
        Flip::new(clip, 24, 4, &[0, 0, u64::MAX]),
        Flip::new(palette, 8, 2, &[2, 256, 0xffff, 0]),
        Flip::new(path, 0, 4, &[24, 24, 23, u64::MAX]),
        Flip::new(path, 28, 4, &[2, 2, 3, 0x2000_0002]),
        Flip::new(style, 0, 8, &[16, 0, u64::MAX]),
        Flip::new(string, 0, 4, &[22, 22, 21, u64::MAX]),
        Flip::new(string, 4, 4, &[0x1_0001, 0x1_0001, 0x4_0001, 0x8_ffff]),
        Flip::new(string, 28 + 16, 4, &[0x2_0008, 0x2_0008, u64::MAX, 0x1_0010]),
    ];
    race(&mut driver, &flips, |driver| {
        for body in [fill, copy, stroke, text] {
            again(driver, 1, body);
        }
    });
}

#[test]
fn cursor_sizes_change_while_they_are_read() {
    let mut driver = Driver::with_primary();
    let header = Packed::new().u64(0).u16(0).u16(64).u16(64).u16(0).u16(0).u32(16_384);
    let shape = driver.place(&header.chunk(16_384, 0).zeros(16_384));
    let body = driver.place(&Packed::new().u64(5).u8(0).u16(5).u16(6).u8(1).u64(shape).zeros(128));
    let flips = [
        Flip::new(shape, 0x08, 2, &[0, 0, 1, 2, 6, 7]),
        Flip::new(shape, 0x0a, 2, &[64, 64, 512, 513, 0xffff, 0]),
        Flip::new(shape, 0x0c, 2, &[64, 64, 512, 513, 0xffff, 0]),
        Flip::new(shape, 0x0e, 4, &[0, u64::MAX]),
        Flip::new(shape, 0x12, 4, &[16_384, 16_384, 1, u64::MAX]),
        Flip::new(shape, 0x16, 4, &[16_384, 16_384, 1, u64::MAX]),
        Flip::new(shape, 0x22, 8, &[0, 0, shape]),
        Flip::new(body, 0x08, 1, &[0, 0, 1, 3, 9]),
    ];
    race(&mut driver, &flips, |driver| again(driver, 3, body));
}

#[test]
fn the_number_of_monitors_changes_while_it_is_read() {
    let mut driver = Driver::with_primary();
    let heads = (0..64).fold(Packed::new().u16(1).u16(4), |packed, id| {
        packed.u32(id).u32(0).u32(10).u32(10).u32(0).u32(0).u32(0)
    });
    // The last that fits: more heads than one would reach out of the slot.
    let end = driver.rig.core.config.sizes.ram_header();
    let near_end = end - 32;
    let config = driver.place(&heads);
    driver.rig.ram().write(near_end, &heads.0[..32]).unwrap();
    for address in [config, slot(1, near_end)] {
        let flips = [
            Flip::new(address, 0, 4, &[0x4_0001, 0x40_0040, u64::MAX, 0]),
            Flip::new(address, 0x0c, 8, &[10 | 10 << 32, u64::MAX, 0]),
            Flip::header(&driver, offset::MONITORS_CONFIG, 8, &[address, address, 0, u64::MAX]),
        ];
        race(&mut driver, &flips, |driver| {
            driver.rig.async_out(ports::MONITORS_ASYNC, 0);
            driver.rig.sink.take();
        });
    }
}

#[test]
fn surfaces_change_their_size_while_they_are_made() {
    let mut driver = Driver::with_primary();
    let create = Packed::new().u64(5).u32(3).u8(0).u32(1).u32(32).u32(16).u32(16).i32(64);
    let create = driver.place(&create.u64(slot(2, 16 * MIB - 1024)));
    let destroy = driver.place(&Packed::new().u64(6).u32(3).u8(1).zeros(28));
    let flips = [
        Flip::new(create, 0x08, 4, &[3, 3, 0, 1024, u64::MAX]),
        Flip::new(create, 0x11, 4, &[32, 32, 16, 1, 7]),
        Flip::new(create, 0x15, 4, &[16, 16, 17, 0x10_0000]),
        Flip::new(create, 0x19, 4, &[16, 16, 17, 0x10_0000]),
        Flip::new(create, 0x1d, 4, &[64, 64, -64_i64 as u64, i32::MIN as u64, 65]),
    ];
    race(&mut driver, &flips, |driver| {
        for (id, body) in [(5_u64, create), (6, destroy)] {
            driver.rig.ram().write(body & 0xffff_ffff, &id.to_le_bytes()).unwrap();
            driver.command(5, body);
        }
        assert!(!driver.rig.frozen());
        driver.collect(|id| if id == 5 { create } else { destroy });
        driver.rig.sink.take();
        let live = driver.rig.sink.live();
        assert!(live.len() <= 2 && live[0] == 0, "{live:?}");
    });
}

#[test]
fn arguments_of_ports_change_while_they_are_read() {
    let mut driver = Driver::with_primary();
    let base = crate::testing::BAR0;
    let flips = [
        Flip::header(
            &driver,
            offset::MEMORY_SLOT,
            8,
            &[base, base, base + 16 * MIB, u64::MAX],
        ),
        Flip::header(
            &driver,
            offset::MEMORY_SLOT + 8,
            8,
            &[base + 4096, base + 16 * MIB, base + 17 * MIB, 0],
        ),
        Flip::header(&driver, offset::CREATE_SURFACE, 4, &[64, 64, 65, u64::MAX]),
        Flip::header(&driver, offset::CREATE_SURFACE + 4, 4, &[64, 64, 0x10_0000]),
        Flip::header(
            &driver,
            offset::CREATE_SURFACE + 8,
            4,
            &[256, 256, -256_i64 as u64, i32::MIN as u64],
        ),
        Flip::header(
            &driver,
            offset::CREATE_SURFACE + 32,
            8,
            &[slot(2, 0), slot(2, 0), slot(2, 16 * MIB - 1)],
        ),
        Flip::header(&driver, offset::UPDATE_AREA, 8, &[0, 8, u64::MAX]),
        Flip::header(
            &driver,
            offset::UPDATE_AREA + 8,
            8,
            &[0x8_0000_0008, 0x7fff_ffff_7fff_ffff],
        ),
        Flip::header(&driver, offset::UPDATE_SURFACE, 4, &[0, 0, 1, 1024]),
    ];
    let mut round = 0;
    race(&mut driver, &flips, |driver| {
        round += 1;
        let (port, value) = match round % 4 {
            0 => (ports::ADD_SLOT, 4),
            1 => (ports::CREATE_PRIMARY, 0),
            2 => (ports::UPDATE_AREA, 0),
            _ => (ports::DELETE_SLOT, 4),
        };
        driver.rig.out(port, value);
        let slots = driver.rig.core.front().slots.clone();
        assert!(slots.fits(&driver.rig.core.memory));
        assert_eq!(driver.rig.worker().slots, slots, "both sides know the same");
        driver.rig.sink.take();
        if driver.rig.frozen() {
            driver.rig.out(ports::RESET, 0);
            // The argument of a slot is not safe from the other thread.
            while driver.rig.core.front().slots.get(2).is_none() {
                driver.rig.out(ports::RESET, 0);
                driver.set_slot_argument(crate::testing::BAR1, crate::testing::BAR1 + 16 * MIB);
                driver.rig.out(ports::ADD_SLOT, 2);
            }
        }
    });
}

#[test]
fn ring_items_and_indices_change_while_they_are_read() {
    let mut driver = Driver::with_primary();
    let good = drawable(&mut driver, 1, 0, &Packed::new().solid(1).u16(8).no_mask());
    let ring = offset::COMMAND_RING;
    let flips = [
        Flip::header(&driver, ring + offset::RING_ITEMS, 8, &[good, good, 0, u64::MAX]),
        Flip::header(&driver, ring + offset::RING_ITEMS + 8, 4, &[1, 1, 2, 4, 5, 99]),
        Flip::header(&driver, ring + offset::RING_PRODUCER, 4, &[1, 1, 0, 32, 33, u64::MAX]),
        Flip::header(&driver, ring + offset::RING_CONSUMER, 4, &[0, 7, u64::MAX]),
        Flip::header(&driver, ring, 4, &[32, 1, u64::MAX]),
        Flip::header(
            &driver,
            offset::RELEASE_RING + offset::RING_CONSUMER,
            4,
            &[0, 0, 1, u64::MAX],
        ),
    ];
    race(&mut driver, &flips, |driver| {
        driver.rig.out(ports::NOTIFY_COMMAND, 0);
        driver.rig.out(ports::FLUSH_RELEASE, 0);
        driver.rig.sink.take();
        if driver.rig.frozen() {
            driver.rig.out(ports::RESET, 0);
            driver.set_slot_argument(crate::testing::BAR0, crate::testing::BAR0 + 16 * MIB - 8192);
            driver.rig.out(ports::ADD_SLOT, 1);
            driver.set_slot_argument(crate::testing::BAR1, crate::testing::BAR1 + 16 * MIB);
            driver.rig.out(ports::ADD_SLOT, 2);
            driver.set_primary_argument(640, 480, 2560, slot(2, 0), 0);
            driver.rig.out(ports::CREATE_PRIMARY, 0);
        }
    });
}
