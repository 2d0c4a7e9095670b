use std::sync::Arc;

use caraway_base::{
    lifecycle::Lifecycle as _,
    migratable_suite,
    state::{Migratable as _, StateError},
};
use caraway_pci::{PciBus, function::PciFunction as _};
use caraway_ports::{
    input::Button,
    tablet::{TabletEvent, TabletSink as _},
};

use super::{
    Report, Tablet, TabletState,
    fake_driver::{ALL, Driver, Watcher, abs, at, device, key, machine, press, release},
    reports::CAPACITY,
};
use crate::{
    VirtioPci,
    test_support::{Bench, Mode, common, ram, status},
};

/// Saves the machine and builds it again, with the same memory.
fn moved(bench: &Bench, tablet: &Tablet) -> (Arc<Tablet>, Bench) {
    bench.function.pause();
    let tablet = Arc::new(Tablet::restore((), tablet.save()).unwrap());
    let restored = VirtioPci::restore((device(&tablet), bench.ram.clone()), bench.function.save()).unwrap();
    let there = Bench::with(restored, bench.ram.clone());
    PciBus::restore(there.bus.clone(), bench.bus.save()).unwrap();
    (tablet, there)
}

#[test]
fn the_tablet_is_there_while_a_driver_works() {
    let (tablet, bench) = machine();
    let watcher = Watcher::of(&tablet);
    assert!(!tablet.is_present());
    tablet.send(&at(9, 9));
    for round in 1..4 {
        let mut driver = Driver::new(&bench, Mode::Messages);
        assert!(tablet.is_present());
        tablet.send(&[press(Button::Left)]);
        assert_eq!(driver.group(), [key(0x110, 1)], "a new driver knows of no button");
        // Not while the machine is paused either does it go away.
        bench.function.pause();
        bench.function.resume();
        assert!(tablet.is_present());
        assert_eq!(watcher.changes(), 2 * round - 1);
        bench.reset_device();
        assert!(!tablet.is_present());
        assert_eq!(watcher.changes(), 2 * round);
    }
    drop(watcher);
    Driver::new(&bench, Mode::Messages);
    assert!(tablet.is_present());
}

#[test]
fn a_machine_reset_takes_the_tablet_away() {
    let (tablet, bench) = machine();
    Driver::bare(&bench, ALL, Mode::Line);
    bench.write(bench.place(4).0, 2, 0x0112);
    tablet.send(&[press(Button::Left)]);
    bench.function.pause();
    bench.function.reset();
    bench.bus.reset();
    assert!(!tablet.is_present());
    assert_eq!(tablet.save(), Tablet::new().save());
    bench.function.resume();
    let mut driver = Driver::new(&bench, Mode::Line);
    tablet.send(&[TabletEvent::X(5)]);
    assert_eq!(driver.group(), [abs(0, 5)]);
}

#[test]
fn what_happens_while_the_machine_is_paused_is_told_afterwards() {
    let (tablet, bench) = machine();
    let mut driver = Driver::new(&bench, Mode::Messages);
    bench.function.pause();
    tablet.send(&[TabletEvent::X(1), press(Button::Left)]);
    tablet.send(&[release(Button::Left)]);
    for round in 0..100 {
        tablet.send(&at(round, round));
    }
    assert_eq!(driver.rings[0].used_index(), 0, "nothing moves while paused");
    bench.function.resume();
    assert_eq!(driver.group(), [abs(0, 1), key(0x110, 1)]);
    assert_eq!(driver.group(), [key(0x110, 0)]);
    assert_eq!(driver.group(), [abs(0, 99), abs(1, 99)]);
}

#[test]
fn memory_taken_away_and_given_back_neither_loses_nor_repeats_a_report() {
    let (tablet, bench) = machine();
    let mut driver = Driver::new(&bench, Mode::Messages);
    for round in 0..100 {
        bench.set_config(4, 2, 0x402);
        tablet.send(&[TabletEvent::X(round), press(Button::Left)]);
        bench.set_config(4, 2, 0x406);
        tablet.send(&[release(Button::Left)]);
        assert_eq!(driver.group(), [abs(0, round.into()), key(0x110, 1)]);
        assert_eq!(driver.group(), [key(0x110, 0)]);
    }
}

#[test]
fn after_a_restore_the_guest_hears_what_it_was_not_told_and_goes_on() {
    for mode in [Mode::Messages, Mode::Line] {
        let (tablet, bench) = machine();
        let mut driver = Driver::new(&bench, mode);
        tablet.send(&[press(Button::Middle)]);
        assert_eq!(driver.group(), [key(0x112, 1)]);
        bench.write(bench.place(4).0, 2, 0x0112);
        bench.function.pause();
        tablet.send(&[TabletEvent::Y(7)]);
        let (there, bench) = moved(&bench, &tablet);
        let watcher = Watcher::of(&there);
        let mut driver = driver.moved(&bench);
        assert!(!there.is_present(), "not before it runs");
        assert_eq!(bench.read(bench.place(4).0, 4), 0x14_0112, "what was selected still is");
        bench.function.resume();
        assert_eq!((there.is_present(), watcher.changes()), (true, 1));
        assert_eq!(driver.group(), [abs(1, 7)]);
        // Whoever held the button is not here; the one that points now says so.
        there.send(&[release(Button::Middle)]);
        assert_eq!(driver.group(), [key(0x112, 0)]);
        assert_eq!(bench.status(), status::WORKING);
    }
}

#[test]
fn dropping_the_machine_ends_its_thread() {
    let (tablet, bench) = machine();
    let weak = Arc::downgrade(&tablet);
    let driver = Driver::bare(&bench, ALL, Mode::Messages);
    tablet.send(&[press(Button::Left)]);
    drop((driver.rings, tablet));
    drop(bench);
    assert!(weak.upgrade().is_none());
}

migratable_suite!(
    migratable_function,
    VirtioPci,
    fresh: VirtioPci::new(device(&Arc::new(Tablet::new())), ram()).unwrap(),
    args: (device(&Arc::new(Tablet::new())), ram()),
    change: |device: &VirtioPci| {
        device.bar_write(0, common::STATUS, &[status::ACKNOWLEDGE]);
    }
);

/// Something in every field.
fn change(tablet: &Tablet) {
    tablet.set_present(true);
    tablet.select(0, 0x11);
    tablet.select(1, 3);
    tablet.send(&[press(Button::Left)]);
    let mut inner = tablet.lock();
    inner.reports.first_is_told();
    drop(inner);
    tablet.send(&[
        TabletEvent::X(1),
        TabletEvent::Y(2),
        TabletEvent::Wheel(-1),
        press(Button::Extra),
    ]);
}

migratable_suite!(
    migratable_tablet,
    Tablet,
    fresh: Tablet::new(),
    args: (),
    change: change
);

type Damage = fn(&mut TabletState);

#[test]
fn states_that_cannot_be_are_refused() {
    let tablet = Tablet::new();
    change(&tablet);
    let good = tablet.save();
    let report = Report {
        x: Some(1),
        y: Some(2),
        buttons: 0b10001,
        wheel: -1,
    };
    assert_eq!((good.select, good.subselect, good.told), (0x11, 3, 1));
    assert_eq!(good.waiting, [report]);
    assert_eq!(Tablet::restore((), good.clone()).unwrap().save(), good);
    let damage: [(&str, Damage); 6] = [
        ("a sixth button was told", |state| state.told = 0x20),
        ("a sixth button", |state| state.waiting[0].buttons = 0x20),
        ("a place beyond the right edge", |state| {
            state.waiting[0].x = Some(0x8000);
        }),
        ("a place beyond the bottom edge", |state| {
            state.waiting[0].y = Some(0x8000);
        }),
        ("too many steps", |state| state.waiting[0].wheel = i32::MIN),
        ("too many reports", |state| {
            state.waiting.resize(CAPACITY + 1, Report::default());
        }),
    ];
    for (what, change) in damage {
        let mut state = good.clone();
        change(&mut state);
        assert!(
            matches!(Tablet::restore((), state), Err(StateError::Invalid { .. })),
            "{what}"
        );
    }
    let mut most = good;
    most.waiting.resize(CAPACITY, Report::default());
    assert!(Tablet::restore((), most).is_ok());
}
