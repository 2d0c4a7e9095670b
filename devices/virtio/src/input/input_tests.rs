use caraway_ports::{
    input::Button,
    tablet::{FARTHEST, TabletEvent, TabletSink as _},
};
use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::{
    fake_driver::{ALL, Driver, SYN, abs, at, key, machine, press, release, wheel},
    reports::{CAPACITY, FARTHEST_WHEEL, Reports},
};
use crate::{
    EVENT_IDX,
    test_support::{Bench, DATA, Mode, common, status},
};

/// What the driver reads after it has selected something: as many bytes as the device says.
fn config(bench: &Bench, select: u8, subselect: u8) -> Vec<u8> {
    let at = bench.place(4).0;
    bench.write(at, 1, select.into());
    bench.write(at + 1, 1, subselect.into());
    assert_eq!(bench.read(at, 2), u64::from(subselect) << 8 | u64::from(select));
    let size = bench.read(at + 2, 1);
    assert_eq!(bench.read(at + 3, 1) | bench.read(at + 4, 4), 0);
    assert_eq!(bench.read(at + 8 + size, 1), 0, "nothing after it");
    (0..size).map(|byte| bench.read(at + 8 + byte, 1) as u8).collect()
}

#[test]
fn the_configuration_describes_a_tablet_with_five_buttons_and_a_wheel() {
    let (_tablet, bench) = machine();
    assert_eq!(bench.config(2, 2), 0x1052);
    assert_eq!(bench.config(8, 4) >> 8, 0x09_8000);
    assert_eq!(bench.device_features() & 0xff_ffff, 0, "no features of its own");
    assert_eq!(bench.common(common::NUM_QUEUES, 2), 2);
    for queue in 0..2 {
        bench.set_common(common::QUEUE_SELECT, 2, queue);
        assert_eq!(bench.common(common::QUEUE_SIZE, 2), 64, "queue {queue}");
    }
    assert_eq!(config(&bench, 0, 0), b"");
    assert_eq!(config(&bench, 0x01, 0), b"Caraway Virtio Tablet");
    assert_eq!(config(&bench, 0x02, 0), b"caraway-tablet");
    assert_eq!(config(&bench, 0x03, 0), [6, 0, 0xf4, 0x1a, 1, 0, 1, 0]);
    assert_eq!(config(&bench, 0x10, 0), b"", "no properties");
    let mut keys = vec![0; 0x22];
    keys.push(0x1f);
    assert_eq!(config(&bench, 0x11, 1), keys, "0x110 to 0x114");
    assert_eq!(config(&bench, 0x11, 2), [0, 1]);
    assert_eq!(config(&bench, 0x11, 3), [3]);
    for kind in (4..=255).chain([0]) {
        assert_eq!(config(&bench, 0x11, kind), b"", "events of type {kind}");
    }
    let axis = [0, 0, 0, 0, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        (config(&bench, 0x12, 0), config(&bench, 0x12, 1)),
        (axis.to_vec(), axis.to_vec())
    );
    assert_eq!((config(&bench, 0x12, 2), config(&bench, 0x13, 0)), (vec![], vec![]));
    assert_eq!((config(&bench, 0x01, 1), config(&bench, 0xff, 0xff)), (vec![], vec![]));
    // Both in one write.
    bench.write(bench.place(4).0, 2, 0x0312);
    assert_eq!(bench.read(bench.place(4).0, 4), 0x0312);
}

#[test]
fn places_buttons_and_the_wheel_are_told_in_groups() {
    for mode in [Mode::Messages, Mode::Line] {
        let (tablet, bench) = machine();
        let mut driver = Driver::new(&bench, mode);
        assert!(tablet.is_present());
        tablet.send(&at(0, FARTHEST));
        assert_eq!(driver.group(), [abs(0, 0), abs(1, 32767)]);
        for (button, code) in [
            (Button::Left, 0x110),
            (Button::Right, 0x111),
            (Button::Middle, 0x112),
            (Button::Side, 0x113),
            (Button::Extra, 0x114),
        ] {
            tablet.send(&[press(button)]);
            assert_eq!(driver.group(), [key(code, 1)]);
            // It is down already.
            tablet.send(&[press(button)]);
            tablet.send(&[TabletEvent::X(7), TabletEvent::Y(8), release(button)]);
            assert_eq!(driver.group(), [abs(0, 7), abs(1, 8), key(code, 0)]);
        }
        tablet.send(&[TabletEvent::Wheel(1)]);
        assert_eq!(driver.group(), [wheel(-1)], "towards the person is negative");
        tablet.send(&[TabletEvent::Wheel(-3), TabletEvent::Y(9)]);
        assert_eq!(driver.group(), [abs(1, 9), wheel(3)]);
        tablet.send(&[TabletEvent::X(u16::MAX)]);
        assert_eq!(driver.group(), [abs(0, 32767)], "not beyond the edge");
        tablet.send(&[]);
        // A click that is sent as one is told as two.
        tablet.send(&[TabletEvent::X(1), press(Button::Left), release(Button::Left)]);
        assert_eq!(
            [driver.group(), driver.group()],
            [vec![abs(0, 1), key(0x110, 1)], vec![key(0x110, 0)]]
        );
        assert_eq!(bench.status(), status::WORKING);
    }
}

#[test]
fn a_group_waits_until_all_of_it_fits() {
    for features in [ALL, !EVENT_IDX] {
        let (tablet, bench) = machine();
        let mut driver = Driver::bare(&bench, features, Mode::Messages);
        tablet.send(&[TabletEvent::X(1), TabletEvent::Y(2), press(Button::Left)]);
        for _ in 0..3 {
            driver.give();
        }
        // The places merge while it waits, the press does not.
        tablet.send(&at(3, 4));
        tablet.send(&at(5, 6));
        // The device has looked: it looks at the other queue after this one.
        driver.rings[1].add(&[(DATA, 8, false)]);
        driver.rings[1].kick();
        driver.rings[1].wait();
        assert_eq!(driver.rings[0].used_index(), 0, "three buffers are one too few");
        driver.give();
        let taken = [driver.take(), driver.take(), driver.take(), driver.take()];
        assert_eq!(taken, [abs(0, 1), abs(1, 2), key(0x110, 1), SYN]);
        for _ in 0..3 {
            driver.give();
        }
        assert_eq!(
            [driver.take(), driver.take(), driver.take()],
            [abs(0, 5), abs(1, 6), SYN]
        );
    }
}

#[test]
fn a_driver_that_gives_buffers_one_by_one_is_told_everything() {
    for (features, mode) in [(ALL, Mode::Messages), (!EVENT_IDX, Mode::Messages), (ALL, Mode::Line)] {
        let (tablet, bench) = machine();
        let mut driver = Driver::bare(&bench, features, mode);
        for round in 0..50 {
            tablet.send(&at(round, 2 * round));
            for _ in 0..3 {
                driver.give();
            }
            let taken = [driver.take(), driver.take(), driver.take()];
            assert_eq!(taken, [abs(0, round.into()), abs(1, (2 * round).into()), SYN]);
        }
    }
}

#[test]
fn what_the_driver_says_is_taken_and_means_nothing() {
    let (tablet, bench) = machine();
    let mut driver = Driver::new(&bench, Mode::Messages);
    bench
        .ram
        .write_slice(&[17, 0, 1, 0, 1, 0, 0, 0], GuestAddress(DATA))
        .unwrap();
    for parts in [
        &[(DATA, 8, false)][..],
        &[(DATA, 3, false)],
        &[(DATA, 0, false)],
        &[(DATA, 8, true)],
    ] {
        driver.rings[1].add(parts);
        driver.rings[1].kick();
        assert_eq!(driver.rings[1].wait().1, 0);
    }
    tablet.send(&at(1, 1));
    assert_eq!(driver.group(), [abs(0, 1), abs(1, 1)]);
}

/// Everything a driver is told of what waits.
fn drain(reports: &mut Reports) -> Vec<(u16, u16, i32)> {
    let mut all = Vec::new();
    while let Some(events) = reports.first() {
        for event in events {
            let word = |at: usize| u16::from_le_bytes([event[at], event[at + 1]]);
            all.push((word(0), word(2), i32::from_le_bytes(event[4..].try_into().unwrap())));
        }
        reports.first_is_told();
    }
    all
}

#[test]
fn places_merge_and_clicks_stay_where_they_were_made() {
    let mut reports = Reports::default();
    for place in 0..1000 {
        reports.push(&at(place, place));
    }
    reports.push(&[press(Button::Left)]);
    for place in 0..1000 {
        reports.push(&[TabletEvent::X(place)]);
        reports.push(&[TabletEvent::Y(place / 2)]);
    }
    reports.push(&[release(Button::Left)]);
    reports.push(&[TabletEvent::Wheel(1)]);
    reports.push(&at(3, 3));
    let told = [
        vec![abs(0, 999), abs(1, 999), SYN, key(0x110, 1), SYN],
        vec![abs(0, 999), abs(1, 499), SYN, key(0x110, 0), SYN],
        vec![wheel(-1), SYN, abs(0, 3), abs(1, 3), SYN],
    ];
    assert_eq!(drain(&mut reports), told.concat());
}

#[test]
fn a_driver_that_reads_nothing_knows_the_buttons_and_the_place_in_the_end() {
    let mut reports = Reports::default();
    for round in 0..10_000 {
        reports.push(&[press(Button::Left), TabletEvent::X(round)]);
        reports.push(&[release(Button::Left), TabletEvent::Wheel(1)]);
        assert!(reports.waiting.len() <= CAPACITY);
    }
    reports.push(&[press(Button::Right)]);
    assert_eq!(reports.waiting.len(), CAPACITY);
    assert!(reports.waiting.iter().all(super::Report::is_valid));
    let last = *reports.waiting.back().unwrap();
    assert_eq!((last.x, last.buttons, last.wheel), (Some(9999), 2, FARTHEST_WHEEL));
    let told = drain(&mut reports);
    let last = &told[told.len() - 4..];
    assert_eq!(last, [key(0x110, 0), key(0x111, 1), wheel(-FARTHEST_WHEEL), SYN]);
}

fn any_event() -> impl Strategy<Value = TabletEvent> {
    let button = prop::sample::select(vec![
        Button::Left,
        Button::Middle,
        Button::Right,
        Button::Side,
        Button::Extra,
    ]);
    prop_oneof![
        any::<u16>().prop_map(TabletEvent::X),
        any::<u16>().prop_map(TabletEvent::Y),
        (-3..=3).prop_map(TabletEvent::Wheel),
        (button, any::<bool>()).prop_map(|(button, down)| TabletEvent::Button { button, down }),
    ]
}

proptest! {
    /// Whatever is sent, in whatever portions the driver reads: it learns of every change of a button as long as there is
    /// room, of all wheel steps, of the last place, and is never told what it knows.
    #[test]
    fn no_change_of_a_button_and_no_step_is_lost(
        batches in prop::collection::vec((prop::collection::vec(any_event(), 0..6), 0_usize..4), 0..60)
    ) {
        let mut reports = Reports::default();
        let (mut told, mut changes, mut steps, mut place) = (Vec::new(), Vec::new(), 0, (None, None));
        let mut down = [false; 5];
        for (events, read) in batches {
            for event in &events {
                match *event {
                    TabletEvent::X(x) => place.0 = Some(i32::from(x.min(FARTHEST))),
                    TabletEvent::Y(y) => place.1 = Some(i32::from(y.min(FARTHEST))),
                    TabletEvent::Wheel(wheel) => steps += wheel,
                    TabletEvent::Button { button, down: now } => {
                        let code = match button {
                            Button::Left => 0,
                            Button::Right => 1,
                            Button::Middle => 2,
                            Button::Side => 3,
                            Button::Extra => 4,
                        };
                        if std::mem::replace(&mut down[code as usize], now) != now {
                            changes.push(key(0x110 + code, now.into()));
                        }
                    }
                }
            }
            reports.push(&events);
            for _ in 0..read {
                let Some(group) = reports.first() else { break };
                // As many as a queue of the least size that Linux takes holds.
                prop_assert!(group.len() <= 9);
                let mut rest = std::mem::take(&mut reports.waiting);
                reports.waiting.push_back(rest.pop_front().unwrap());
                told.extend(drain(&mut reports));
                reports.waiting = rest;
            }
        }
        told.extend(drain(&mut reports));
        for code in 0..5 {
            let of = |list: &[(u16, u16, i32)]| -> Vec<_> {
                list.iter().copied().filter(|event| (event.0, event.1) == (1, 0x110 + code)).collect()
            };
            prop_assert_eq!(of(&told), of(&changes));
        }
        let wheeled: i32 = told.iter().filter(|event| event.0 == 2).map(|event| event.2).sum();
        prop_assert_eq!(wheeled, -steps);
        let last = |axis| told.iter().rev().find(|event| (event.0, event.1) == (3, axis)).map(|event| event.2);
        prop_assert_eq!((last(0), last(1)), place);
    }
}
