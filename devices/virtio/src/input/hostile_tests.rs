use std::sync::Arc;

use caraway_base::lifecycle::Lifecycle as _;
use caraway_ports::{
    input::Button,
    tablet::{TabletEvent, TabletSink as _},
};
use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::fake_driver::{ALL, Driver, Watcher, abs, at, key, machine, press, release};
use crate::{
    EVENT_IDX,
    test_support::{Bench, DATA, HIGH, HIGH_END, LOW_END, Mode, Part, common, status},
};

/// The device asks for a reset, the tablet is gone, and after the reset all is well.
fn assert_breaks(bench: &Bench, tablet: &super::Tablet, what: &str) {
    bench.wait_for(|| bench.status() & status::NEEDS_RESET != 0, what);
    bench.wait_for(|| !tablet.is_present(), what);
    tablet.send(&at(1, 1));
    bench.reset_device();
    let mut driver = Driver::new(bench, Mode::Messages);
    tablet.send(&at(2, 2));
    assert_eq!(driver.group(), [abs(0, 2), abs(1, 2)], "{what}");
}

#[test]
fn buffers_that_cannot_hold_an_event_break_the_device_until_a_reset() {
    let cases: [(&str, &[Part]); 6] = [
        ("seven bytes", &[(DATA, 7, true)]),
        ("none", &[(DATA, 0, true)]),
        ("only to read", &[(DATA, 8, false)]),
        ("outside of RAM", &[(LOW_END - 4, 8, true)]),
        ("beyond all RAM", &[(HIGH_END, 8, true)]),
        ("at the end of all addresses", &[(u64::MAX - 3, 8, true)]),
    ];
    for (what, parts) in cases {
        let (tablet, bench) = machine();
        let mut driver = Driver::bare(&bench, ALL, Mode::Messages);
        driver.rings[0].add(parts);
        driver.rings[0].kick();
        tablet.send(&at(1, 1));
        assert_breaks(&bench, &tablet, what);
    }
}

#[test]
fn a_bad_buffer_behind_good_ones_leaves_no_half_of_a_group() {
    let (tablet, bench) = machine();
    let mut driver = Driver::bare(&bench, ALL, Mode::Messages);
    driver.give();
    driver.give();
    driver.rings[0].add(&[(HIGH_END, 8, true)]);
    driver.rings[0].kick();
    tablet.send(&at(1, 1));
    bench.wait_for(|| bench.status() & status::NEEDS_RESET != 0, "it breaks");
    assert_eq!(driver.rings[0].used_index(), 0);
    assert_breaks(&bench, &tablet, "the third");
}

#[test]
fn an_event_may_lie_in_pieces_behind_what_is_to_be_read() {
    let (tablet, bench) = machine();
    let mut driver = Driver::bare(&bench, ALL, Mode::Line);
    for slot in 0..2 {
        let place = HIGH + 64 * slot;
        let parts = [
            (DATA, 5, false),
            (place, 3, true),
            (place + 16, 0, true),
            (place + 32, 64, true),
        ];
        if slot == 0 {
            driver.rings[0].add(&parts);
        } else {
            driver.rings[0].add_indirect(&parts);
        }
        driver.rings[0].kick();
    }
    tablet.send(&[TabletEvent::X(0x1234)]);
    assert_eq!((driver.rings[0].wait().1, driver.rings[0].wait().1), (8, 8));
    let read = |at, count| -> Vec<u8> {
        let mut bytes = vec![0; count];
        bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    };
    assert_eq!(
        (read(HIGH, 3), read(HIGH + 32, 5)),
        (vec![3, 0, 0], vec![0, 0x34, 0x12, 0, 0])
    );
    assert_eq!(bench.status(), status::WORKING);
}

#[test]
fn loops_and_heads_that_are_not_there_break_the_device_until_a_reset() {
    let (tablet, bench) = machine();
    let ring = &mut Driver::bare(&bench, ALL, Mode::Messages).rings[0];
    ring.describe(ring.table, 0, (DATA, 8, 3, 1));
    ring.describe(ring.table, 1, (DATA, 8, 3, 0));
    ring.offer(0);
    ring.kick();
    tablet.send(&at(1, 1));
    assert_breaks(&bench, &tablet, "a loop");
    let ring = &mut Driver::bare(&bench, ALL, Mode::Messages).rings[0];
    ring.offer(16);
    ring.kick();
    tablet.send(&at(1, 1));
    assert_breaks(&bench, &tablet, "a head that is not there");
    // More buffers than there are descriptors.
    let ring = &mut Driver::bare(&bench, !EVENT_IDX, Mode::Messages).rings[0];
    ring.publish(17);
    ring.kick();
    tablet.send(&at(1, 1));
    assert_breaks(&bench, &tablet, "an index that is too far");
}

#[test]
fn a_queue_too_small_for_a_group_gets_none_and_the_next_driver_all() {
    let (tablet, bench) = machine();
    bench.enable(Mode::Messages);
    let mut rings = bench.start(ALL, Mode::Messages, 2);
    for _ in 0..2 {
        rings[0].add(&[(DATA, 8, true)]);
        rings[0].kick();
    }
    for round in 0..1000 {
        tablet.send(&[TabletEvent::X(round), TabletEvent::Y(round), press(Button::Left)]);
        tablet.send(&[release(Button::Left)]);
    }
    rings[1].add(&[(DATA, 8, false)]);
    rings[1].kick();
    rings[1].wait();
    assert_eq!(rings[0].used_index(), 0);
    bench.reset_device();
    let mut driver = Driver::new(&bench, Mode::Messages);
    tablet.send(&[press(Button::Right)]);
    assert_eq!(driver.group(), [key(0x111, 1)], "nothing of before");
}

#[test]
fn a_driver_without_an_event_queue_has_no_tablet() {
    let (tablet, bench) = machine();
    let watcher = Watcher::of(&tablet);
    bench.enable(Mode::Messages);
    bench.negotiate(ALL);
    bench.set_status(status::WORKING);
    assert!(!tablet.is_present());
    tablet.send(&at(1, 1));
    bench.reset_device();
    assert_eq!(watcher.changes(), 0);
    // Rings that cannot be.
    bench.negotiate(ALL);
    bench.set_common(common::QUEUE_SELECT, 2, 0);
    bench.set_common(common::QUEUE_DESC, 4, HIGH_END);
    bench.set_common(common::QUEUE_ENABLE, 2, 1);
    bench.set_status(status::WORKING);
    assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
    assert!(!tablet.is_present());
}

#[test]
fn odd_accesses_to_the_configuration_do_nothing_else() {
    let (_tablet, bench) = machine();
    let at = bench.place(4).0;
    for (offset, width, value) in [
        (1, 1, 0x77),
        (2, 1, 0xff),
        (3, 4, u64::MAX),
        (8, 8, u64::MAX),
        (0xffc, 4, u64::MAX),
    ] {
        bench.write(at + offset, width, value);
    }
    assert_eq!(bench.read(at, 8), 0x7700);
    bench.write(at, 8, 0x0102_0304_0506_0001);
    assert_eq!(
        bench.read(at, 8),
        0x15_0001,
        "a name of 21 bytes, and nothing else was written"
    );
    assert_eq!(bench.read(at + 8, 4), u64::from(u32::from_le_bytes(*b"Cara")));
    for offset in [130, 132, 136, 0x800, 0xffc] {
        assert_eq!(bench.read(at + offset, 4), 0, "{offset}");
    }
}

#[test]
fn a_storm_of_kicks_and_selections_beside_a_storm_of_reports_ends_well() {
    let (tablet, bench) = machine();
    let mut driver = Driver::new(&bench, Mode::Messages);
    let pointing = Arc::clone(&tablet);
    let sender = std::thread::spawn(move || {
        for round in 0..3000_u16 {
            pointing.send(&at(round, round));
        }
        pointing.send(&[press(Button::Extra)]);
    });
    let place = bench.place(4).0;
    let mut last = Vec::new();
    for round in 0.. {
        bench.write(place, 2, round % 0x1_0000);
        driver.rings[1].kick();
        let group = driver.group();
        if group == [key(0x114, 1)] {
            break;
        }
        last = group;
    }
    sender.join().unwrap();
    assert_eq!(last, [abs(0, 2999), abs(1, 2999)]);
    assert_eq!(bench.status(), status::WORKING);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Descriptors of any content: the device works, or says that it does not; the host goes on.
    #[test]
    fn any_ring_contents_are_survived(
        words in prop::collection::vec((any::<bool>(), any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>()), 16),
        heads in prop::collection::vec(0_u16..20, 1..16),
    ) {
        let (tablet, bench) = machine();
        let mut driver = Driver::bare(&bench, ALL, Mode::Messages);
        let ring = &mut driver.rings[0];
        for (index, (is_near, address, length, flags, next)) in (0..).zip(words) {
            let (address, length) = if is_near { (DATA + (address & 0xffff), length & 0xff) } else { (address, length) };
            ring.describe(ring.table, index, (address, length, u32::from(flags & 7), next & 0x1f));
        }
        for head in heads {
            ring.offer(head);
        }
        ring.kick();
        for round in 0..20 {
            tablet.send(&[TabletEvent::X(round), press(Button::Left)]);
            tablet.send(&[release(Button::Left)]);
        }
        bench.function.pause();
        bench.function.resume();
        bench.reset_device();
        let mut driver = Driver::new(&bench, Mode::Messages);
        tablet.send(&at(1, 2));
        prop_assert_eq!(driver.group(), [abs(0, 1), abs(1, 2)]);
    }
}
