use proptest::prelude::*;

use super::*;
use crate::{
    header::offset,
    interrupts,
    memory::Region,
    ports,
    testing::{
        Rig,
        guest::{Driver, Frame, Packed},
    },
};

/// A header of its own, and memory for bodies.
struct Rings {
    header: RamHeader,
    memory: GuestMemory,
}

impl Rings {
    fn new() -> Self {
        let rig = Rig::new();
        rig.header().reset();
        Self {
            header: rig.header().clone(),
            memory: rig.core.memory.clone(),
        }
    }

    /// The guest's end of the command ring: `count` entries whose body is their number.
    fn push(&self, count: u32) {
        for _ in 0..count {
            let producer = self.header.load(offset::COMMAND_RING + offset::RING_PRODUCER);
            let at = offset::COMMAND_RING + offset::RING_ITEMS + 16 * u64::from(producer % 32);
            let item = Packed::new().u64(producer.into()).u32(5).u32(0xffff_ffff);
            self.header.write(at, &item.0);
            self.header
                .store(offset::COMMAND_RING + offset::RING_PRODUCER, producer.wrapping_add(1));
        }
    }

    fn start_at(&self, index: u32) -> CommandRing {
        self.header.store(offset::COMMAND_RING + offset::RING_PRODUCER, index);
        CommandRing::command(index)
    }

    fn field(&self, ring: u64, field: u64) -> u32 {
        self.header.load(ring + field)
    }

    fn held(&self, id: u64) -> Held {
        Held {
            id,
            body: Location {
                region: Region::Ram,
                offset: id * 64,
            },
        }
    }

    /// The cookie in entry `index` of the release ring.
    fn entry(&self, index: u32) -> u64 {
        let at = offset::RELEASE_RING + offset::RING_ITEMS + 8 * u64::from(index % 8);
        u64::from_le_bytes(self.header.read(at))
    }

    fn next(&self, id: u64) -> u64 {
        self.memory.ram.load_u64(id * 64).unwrap()
    }

    fn chain(&self, index: u32) -> Vec<u64> {
        let mut ids = vec![self.entry(index)];
        while self.next(ids[ids.len() - 1]) != 0 {
            ids.push(self.next(ids[ids.len() - 1]));
        }
        ids
    }

    fn guest_takes(&self, count: u32) {
        let consumer = self.field(offset::RELEASE_RING, offset::RING_CONSUMER);
        self.header.store(
            offset::RELEASE_RING + offset::RING_CONSUMER,
            consumer.wrapping_add(count),
        );
    }
}

#[test]
fn entries_come_in_order_across_the_end_of_the_index() {
    let rings = Rings::new();
    let mut ring = rings.start_at(u32::MAX - 2);
    rings.push(32);
    assert_eq!(ring.waiting(&rings.header).unwrap(), 32);
    for number in 0..32_u32 {
        let (item, _) = ring.take(&rings.header).unwrap().unwrap();
        let index = (u32::MAX - 2).wrapping_add(number);
        assert_eq!((item.body, item.kind), (index.into(), 5));
        assert_eq!(
            rings.field(offset::COMMAND_RING, offset::RING_CONSUMER),
            index.wrapping_add(1)
        );
    }
    assert_eq!(ring.take(&rings.header).unwrap(), None);
    assert_eq!(ring.consumer(), 29);
}

#[test]
fn the_guest_is_told_at_its_mark_and_only_there() {
    let rings = Rings::new();
    for start in [0, u32::MAX - 3] {
        let mut ring = rings.start_at(start);
        rings.push(8);
        let mark = start.wrapping_add(5);
        rings
            .header
            .store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_CONSUMER, mark);
        let told: Vec<bool> = (0..8).map(|_| ring.take(&rings.header).unwrap().unwrap().1).collect();
        assert_eq!(told, [false, false, false, false, true, false, false, false]);
    }
}

#[test]
fn arming_asks_for_the_next_entry_and_sees_one_that_is_there() {
    let rings = Rings::new();
    let mut ring = rings.start_at(u32::MAX);
    assert!(!ring.arm(&rings.header).unwrap());
    assert_eq!(rings.field(offset::COMMAND_RING, offset::RING_NOTIFY_ON_PRODUCER), 0);
    rings.push(1);
    assert!(ring.arm(&rings.header).unwrap(), "no doorbell will come for it");
    ring.take(&rings.header).unwrap().unwrap();
    assert!(!ring.arm(&rings.header).unwrap());
    assert_eq!(rings.field(offset::COMMAND_RING, offset::RING_NOTIFY_ON_PRODUCER), 1);
}

#[test]
fn what_the_guest_writes_into_the_devices_fields_changes_nothing() {
    let rings = Rings::new();
    let mut ring = rings.start_at(7);
    rings.push(3);
    rings
        .header
        .store(offset::COMMAND_RING + offset::RING_CONSUMER, 0xdead_beef);
    rings.header.store(offset::COMMAND_RING + offset::RING_ITEM_COUNT, 0);
    assert_eq!(ring.waiting(&rings.header).unwrap(), 3);
    assert_eq!(ring.take(&rings.header).unwrap().unwrap().0.body, 7);
    assert_eq!(rings.field(offset::COMMAND_RING, offset::RING_CONSUMER), 8);
    let mut release = ReleaseRing::new(0, None);
    rings.header.store(offset::RELEASE_RING + offset::RING_PRODUCER, 0x1234);
    rings
        .header
        .store(offset::RELEASE_RING + offset::RING_ITEM_COUNT, u32::MAX);
    release.add(&rings.memory, rings.held(3));
    assert!(release.publish(&rings.header).unwrap());
    assert_eq!(rings.field(offset::RELEASE_RING, offset::RING_PRODUCER), 1);
    assert_eq!(rings.chain(0), [3]);
}

#[test]
fn more_entries_than_fit_are_corruption() {
    let rings = Rings::new();
    let mut ring = rings.start_at(100);
    for producer in [133, 99, 100 + (1 << 31), 0, u32::MAX] {
        rings
            .header
            .store(offset::COMMAND_RING + offset::RING_PRODUCER, producer);
        assert!(ring.waiting(&rings.header).is_err(), "{producer}");
        assert!(ring.take(&rings.header).is_err() && ring.arm(&rings.header).is_err());
    }
    rings.header.store(offset::COMMAND_RING + offset::RING_PRODUCER, 132);
    assert_eq!(ring.waiting(&rings.header).unwrap(), 32);
    assert_eq!(ring.consumer(), 100, "nothing was taken meanwhile");
    let release = ReleaseRing::new(5, None);
    rings.header.store(offset::RELEASE_RING + offset::RING_CONSUMER, 6);
    assert!(release.is_empty(&rings.header).is_err());
}

#[test]
fn a_batch_is_a_chain_in_order_that_the_guest_sees_when_it_is_published() {
    let rings = Rings::new();
    let mut release = ReleaseRing::new(0, None);
    assert!(!release.publish(&rings.header).unwrap(), "nothing to publish");
    for id in 1..=31 {
        release.add(&rings.memory, rings.held(id));
        assert!(!release.is_full());
    }
    assert_eq!(rings.field(offset::RELEASE_RING, offset::RING_PRODUCER), 0);
    assert_eq!(rings.entry(0), 0);
    release.add(&rings.memory, rings.held(32));
    assert!(release.is_full());
    assert!(release.publish(&rings.header).unwrap());
    assert_eq!(rings.field(offset::RELEASE_RING, offset::RING_PRODUCER), 1);
    assert_eq!(rings.chain(0), (1..=32).collect::<Vec<_>>());
    assert_eq!(rings.entry(1), 0, "the next entry is empty");
    assert_eq!(release.batch(), None);
}

#[test]
fn one_entry_of_the_release_ring_stays_free_and_what_waits_joins_one_chain() {
    let rings = Rings::new();
    // Across the end of the index.
    let start = u32::MAX - 3;
    let mut release = ReleaseRing::new(start, None);
    rings.header.store(offset::RELEASE_RING + offset::RING_CONSUMER, start);
    for id in 1..=7 {
        release.add(&rings.memory, rings.held(id));
        assert!(release.publish(&rings.header).unwrap(), "{id}");
    }
    for id in 8..=100 {
        release.add(&rings.memory, rings.held(id));
        assert!(!release.publish(&rings.header).unwrap(), "{id}");
    }
    for number in 0..7 {
        assert_eq!(rings.chain(start.wrapping_add(number)), [u64::from(number) + 1]);
    }
    rings.guest_takes(1);
    assert!(release.publish(&rings.header).unwrap());
    assert_eq!(rings.chain(start.wrapping_add(7)), (8..=100).collect::<Vec<_>>());
    release.add(&rings.memory, rings.held(101));
    assert!(!release.publish(&rings.header).unwrap());
    rings.guest_takes(7);
    assert!(release.is_empty(&rings.header).unwrap());
    assert!(release.publish(&rings.header).unwrap());
}

#[test]
fn only_the_release_cell_of_a_body_is_written() {
    let mut driver = Driver::with_primary();
    let bodies: Vec<u64> = (1..=3)
        .map(|id| {
            let frame = Frame { id, ..Frame::default() };
            driver.place(&frame.with(&Packed::new().solid(9).u16(8).no_mask()))
        })
        .collect();
    let before: Vec<Vec<u8>> = bodies.iter().map(|body| body_bytes(&driver, *body)).collect();
    for body in &bodies {
        driver.command(1, *body);
    }
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    for (body, before) in bodies.iter().zip(before) {
        assert_eq!(body_bytes(&driver, *body)[8..], before[8..]);
    }
}

fn body_bytes(driver: &Driver, body: u64) -> Vec<u8> {
    driver.rig.ram().read_vec(body & 0xffff_ffff, 191).unwrap()
}

#[test]
fn a_busy_device_publishes_every_32_commands() {
    let mut driver = Driver::probed();
    // They wait until there is a screen, then all are taken at once.
    for id in 1..=32 {
        driver.fill(id, 0, [0, 0, 4, 4], 1);
    }
    driver.create_primary(640, 480, 2560, crate::testing::guest::slot(2, 0), 0);
    let header = driver.rig.header();
    assert_eq!(header.load(offset::RELEASE_RING + offset::RING_PRODUCER), 1);
    assert_eq!(driver.rig.core.counters.read().releases, 32);
}

#[test]
fn flush_release_publishes_at_once_and_with_an_interrupt() {
    let mut driver = Driver::with_primary();
    let first = driver.fill(1, 0, [0, 0, 4, 4], 1);
    let second = driver.fill(2, 0, [0, 0, 4, 4], 1);
    driver.rig.take_pending();
    driver.rig.out(ports::FLUSH_RELEASE, 0);
    assert_eq!(driver.rig.take_pending(), interrupts::DISPLAY, "and no IO_CMD");
    let header = driver.rig.header();
    assert_eq!(header.load(offset::RELEASE_RING + offset::RING_PRODUCER), 2);
    driver.rig.out(ports::FLUSH_RELEASE, 0);
    assert_eq!(driver.rig.take_pending(), 0, "there is nothing more");
    assert_eq!(driver.collect(|id| [first, second][id as usize - 1]), [1, 2]);
}

#[test]
fn flushing_before_anything_was_pushed_does_nothing() {
    for port in [ports::FLUSH_RELEASE, ports::OUT_OF_MEMORY, ports::FLUSH_SURFACES_ASYNC] {
        let mut driver = Driver::with_primary();
        driver.rig.take_pending();
        driver.rig.out(port, 0);
        assert_eq!(driver.rig.take_pending() & !interrupts::IO_COMMAND, 0, "port {port}");
        assert!(driver.collect_addresses().is_empty() && !driver.rig.frozen());
    }
}

#[test]
fn out_of_memory_is_ignored_while_the_guest_has_something_to_collect() {
    let mut driver = Driver::with_primary();
    let first = driver.fill(1, 0, [0, 0, 4, 4], 1);
    let second = driver.fill(2, 0, [0, 0, 4, 4], 1);
    driver.rig.take_pending();
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(driver.rig.take_pending(), 0);
    let body_of = |id| [first, second][id as usize - 1];
    assert_eq!(driver.collect(body_of), [1]);
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(driver.collect(body_of), [2]);
}

#[test]
fn an_out_of_memory_write_takes_what_waits_in_the_rings_along() {
    let mut driver = Driver::with_primary();
    let header = driver.rig.header().clone();
    // No doorbell for these.
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
    let bodies: Vec<u64> = (1..=3).map(|id| driver.fill(id, 0, [0, 0, 4, 4], 1)).collect();
    assert_eq!(driver.rig.core.counters.read().releases, 0);
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(driver.collect(|id| bodies[id as usize - 1]), [1, 2, 3]);
}

#[test]
fn a_command_without_a_cookie_is_done_and_not_given_back() {
    let mut driver = Driver::with_primary();
    driver.fill(0, 0, [0, 0, 4, 4], 0x42);
    let last = driver.fill(5, 0, [4, 0, 8, 4], 0x43);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x42);
    assert_eq!(driver.collect(|_| last), [5]);
}

#[test]
fn a_corrupt_ring_freezes_the_device_until_its_reset() {
    for ring in [offset::COMMAND_RING, offset::CURSOR_RING] {
        let mut driver = Driver::with_primary();
        driver.rig.header().store(ring + offset::RING_PRODUCER, 0x8000_0000);
        driver.rig.out(ports::NOTIFY_COMMAND, 0);
        driver.assert_frozen();
        driver.probe();
        driver.create_primary(640, 480, 2560, crate::testing::guest::slot(2, 0), 0);
        driver.fill(1, 0, [0, 0, 1, 1], 0x99);
        assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99);
    }
    let mut driver = Driver::with_primary();
    driver
        .rig
        .header()
        .store(offset::RELEASE_RING + offset::RING_CONSUMER, 1);
    driver.fill(1, 0, [0, 0, 1, 1], 1);
    driver.assert_frozen();
}

#[test]
fn the_guest_that_waits_for_room_is_told_for_both_rings() {
    for (ring, kind, expected) in [
        (offset::COMMAND_RING, 0, interrupts::DISPLAY),
        (offset::CURSOR_RING, 3, interrupts::CURSOR),
    ] {
        let mut driver = Driver::with_primary();
        let header = driver.rig.header().clone();
        driver.rig.take_pending();
        header.store(ring + offset::RING_NOTIFY_ON_CONSUMER, 2);
        let moved = driver.place(&Packed::new().u64(0).u8(1).u16(1).u16(1).zeros(137));
        for told in [0, expected, 0] {
            if kind == 3 {
                driver.cursor_command(moved);
            } else {
                driver.command(kind, 0);
            }
            assert_eq!(driver.rig.take_pending(), told);
        }
    }
}

#[test]
fn notifications_without_a_reason_do_no_harm() {
    let mut driver = Driver::probed();
    for port in [ports::NOTIFY_COMMAND, ports::NOTIFY_CURSOR, ports::OUT_OF_MEMORY] {
        driver.rig.out(port, 0xff);
    }
    driver.create_primary(640, 480, 2560, crate::testing::guest::slot(2, 0), 0);
    for port in [ports::NOTIFY_COMMAND, ports::NOTIFY_CURSOR, ports::OUT_OF_MEMORY] {
        driver.rig.out(port, 0);
    }
    assert_eq!(driver.rig.take_pending(), 0);
    assert!(!driver.rig.frozen());
}

proptest! {
    /// Whatever is written into the rings, the device comes to rest and works again after its reset.
    #[test]
    fn random_rings_do_no_more_than_freeze_the_device(
        words in proptest::collection::vec((0_u64..0x48c, any::<u32>()), 1..64),
        port in 0_u8..25,
    ) {
        let mut driver = Driver::with_primary();
        for (word, value) in words {
            let at = offset::COMMAND_RING + (word & !3);
            // Small values often: an index near the device's own gets further.
            driver.rig.header().store(at, if value % 3 == 0 { value % 40 } else { value });
        }
        driver.rig.out(port, 0);
        driver.rig.out(ports::NOTIFY_CURSOR, 0);
        driver.probe();
        driver.create_primary(640, 480, 2560, crate::testing::guest::slot(2, 0), 0);
        driver.fill(1, 0, [0, 0, 1, 1], 0x99);
        prop_assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99);
    }
}
