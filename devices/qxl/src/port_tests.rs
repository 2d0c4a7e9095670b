//! Every I/O port: what it does in every mode, what it refuses, and that a reset heals everything.

use std::time::Duration;

use caraway_ports::display::{CursorCommand, DisplayCommand};
use proptest::prelude::*;

use crate::{
    QxlConfig, QxlSizes,
    core::Mode,
    header::offset,
    interrupts, ports,
    testing::{
        BAR0, BAR1, Rig, config,
        guest::{Driver, Frame, Packed, slot},
    },
};

const ASYNC: [u8; 8] = [
    ports::UPDATE_AREA_ASYNC,
    ports::ADD_SLOT_ASYNC,
    ports::CREATE_PRIMARY_ASYNC,
    ports::DESTROY_PRIMARY_ASYNC,
    ports::DESTROY_SURFACE_ASYNC,
    ports::DESTROY_ALL_ASYNC,
    ports::FLUSH_SURFACES_ASYNC,
    ports::MONITORS_ASYNC,
];

fn mode(driver: &Driver) -> Mode {
    driver.rig.core.front().mode
}

/// What the guest finds pending after one port write.
fn bits_after(driver: &mut Driver, port: u8, value: u8) -> u32 {
    driver.rig.take_pending();
    driver.rig.out(port, value);
    driver.rig.take_pending()
}

/// A write that breaks the protocol: the error is told, an asynchronous port completes all the same, nothing works
/// until the reset, and then everything does.
fn assert_breach(driver: &mut Driver, port: u8, value: u8) {
    let bits = bits_after(driver, port, value);
    let completes = if ASYNC.contains(&port) {
        interrupts::IO_COMMAND
    } else {
        0
    };
    assert_eq!(bits, interrupts::ERROR | completes, "port {port} value {value}");
    assert!(driver.rig.frozen());
    assert_eq!(driver.rig.core.front().current_async, None);
    assert_reset_heals(driver);
}

fn assert_reset_heals(driver: &mut Driver) {
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    driver.fill(1, 0, [0, 0, 1, 1], 0x99);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99);
}

#[test]
fn in_vga_mode_other_ports_are_dropped_and_asynchronous_ones_answered() {
    for port in 0..32 {
        let mut driver = Driver::probed();
        if ports::works_in_vga_mode(port) {
            continue;
        }
        driver.rig.sink.take();
        let expected = if (16..=24).contains(&port) {
            interrupts::IO_COMMAND
        } else {
            0
        };
        assert_eq!(bits_after(&mut driver, port, 1), expected, "port {port}");
        assert!(!driver.rig.frozen(), "port {port}");
        assert_eq!(mode(&driver), Mode::Vga);
        assert!(driver.rig.sink.take().is_empty(), "port {port} did something");
        assert_eq!(driver.rig.core.counters.read().filtered_writes, 1);
    }
}

#[test]
fn a_frozen_device_answers_nothing_but_interrupt_updates_and_reset() {
    let mut driver = Driver::with_primary();
    driver.rig.take_pending();
    driver.rig.out(ports::DETACH_PRIMARY, 0);
    assert!(!driver.rig.line.level(), "Linux does not ask for errors");
    driver.rig.header().store(offset::INT_MASK, u32::MAX);
    driver.rig.out(ports::UPDATE_IRQ, 0);
    assert!(driver.rig.line.level(), "the line rises while frozen");
    driver.assert_frozen();
    assert!(!driver.rig.line.level(), "and drops while frozen");
    let body = driver.place(&Frame::default().with(&Packed::new().solid(0x77).u16(8).no_mask()));
    driver.command(1, body);
    driver.rig.sink.take();
    for port in (0..32).filter(|port| ![ports::RESET, ports::UPDATE_IRQ].contains(port)) {
        assert_eq!(bits_after(&mut driver, port, 1), 0, "port {port}");
    }
    assert!(driver.rig.sink.take().is_empty(), "nothing is taken from the rings");
    assert_reset_heals(&mut driver);
}

#[test]
fn ports_that_never_existed_are_breaches() {
    let missing = [ports::DETACH_PRIMARY, ports::ATTACH_PRIMARY];
    for port in missing.into_iter().chain(25..32) {
        assert_breach(&mut Driver::with_primary(), port, 0);
    }
}

#[test]
fn values_out_of_range_are_breaches() {
    for (port, values) in [
        (ports::ADD_SLOT, &[8, 9, 128, 255][..]),
        (ports::ADD_SLOT_ASYNC, &[8, 255]),
        (ports::DELETE_SLOT, &[8, 255]),
        (ports::CREATE_PRIMARY, &[1, 255]),
        (ports::CREATE_PRIMARY_ASYNC, &[1, 255]),
        (ports::DESTROY_PRIMARY, &[1, 255]),
        (ports::DESTROY_PRIMARY_ASYNC, &[1, 255]),
    ] {
        for value in values {
            let mut driver = Driver::with_primary();
            driver.set_slot_argument(BAR0, BAR0 + 4096);
            driver.set_primary_argument(64, 64, 256, slot(2, 0), 0);
            assert_breach(&mut driver, port, *value);
        }
    }
}

#[test]
fn a_second_asynchronous_command_while_one_is_in_flight_is_a_breach() {
    for port in ASYNC {
        let mut driver = Driver::with_primary();
        driver.rig.take_pending();
        let effect = driver.rig.out_only(ports::FLUSH_SURFACES_ASYNC, 0);
        assert!(effect.wake && effect.ticket.is_none());
        assert_eq!(driver.rig.pending(), 0, "not before it is done");
        assert_eq!(driver.rig.core.front().current_async, Some(ports::FLUSH_SURFACES_ASYNC));
        driver.rig.out_only(port, 0);
        assert_eq!(driver.rig.pending(), interrupts::ERROR, "port {port}");
        driver.rig.run();
        let bits = driver.rig.take_pending();
        assert_eq!(bits, interrupts::ERROR | interrupts::IO_COMMAND, "the first one ends");
        assert!(driver.rig.frozen());
        assert_eq!(driver.rig.core.front().current_async, None);
        assert_reset_heals(&mut driver);
    }
}

#[test]
fn a_reset_abandons_what_is_in_flight_and_raises_nothing() {
    let mut driver = Driver::with_primary();
    driver.rig.take_pending();
    driver.set_slot_argument(BAR0, BAR0 + 4096);
    let waiting = driver.rig.out_only(ports::ADD_SLOT, 5).ticket.unwrap();
    driver.rig.out_only(ports::FLUSH_SURFACES_ASYNC, 0);
    let first = driver.rig.out_only(ports::RESET, 0).ticket.unwrap();
    let second = driver.rig.out_only(ports::RESET, 0).ticket.unwrap();
    assert!(waiting.wait(Duration::ZERO), "its virtual CPU goes on");
    assert!(!first.wait(Duration::ZERO) && !second.wait(Duration::ZERO));
    driver.rig.run();
    assert!(first.wait(Duration::ZERO) && second.wait(Duration::ZERO));
    assert_eq!(driver.rig.pending(), 0);
    assert!(driver.rig.worker().slots.get(5).is_none() && driver.rig.core.front().slots.get(5).is_none());
    assert_reset_heals(&mut driver);
}

#[test]
fn a_reset_drops_commands_without_giving_them_back() {
    let mut driver = Driver::with_primary();
    for id in 1..=3 {
        driver.fill(id, 0, [0, 0, 1, 1], 1);
    }
    let body = driver.place(&Frame::default().with(&Packed::new().solid(0x77).u16(8).no_mask()));
    let header = driver.rig.header().clone();
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
    driver.command(1, body);
    driver.rig.sink.take();
    driver.rig.out(ports::RESET, 0);
    let said = driver.rig.sink.take();
    assert!(matches!(said[..], [DisplayCommand::Reset]), "{said:?}");
    for (field, value) in [
        (offset::COMMAND_RING + offset::RING_PRODUCER, 0),
        (offset::COMMAND_RING + offset::RING_CONSUMER, 0),
        (offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 1),
        (offset::RELEASE_RING + offset::RING_PRODUCER, 0),
        (offset::INT_MASK, 0),
        (offset::INT_PENDING, 0),
    ] {
        assert_eq!(header.load(field), value, "{field:#x}");
    }
    assert_eq!(driver.rig.worker().release.batch(), None);
    assert_eq!(mode(&driver), Mode::Vga);
    assert!(!driver.rig.line.level());
}

#[test]
fn more_commands_at_once_than_a_driver_has_freeze_the_device() {
    let mut driver = Driver::with_primary();
    let mut written = 0;
    while !driver.rig.frozen() {
        driver.rig.out_only(ports::FLUSH_RELEASE, 0);
        written += 1;
        assert!(written < 100);
    }
    assert_eq!(written, 65);
    // The asynchronous one has its place.
    driver.rig.out(ports::RESET, 0);
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    for _ in 0..64 {
        driver.rig.out_only(ports::FLUSH_RELEASE, 0);
    }
    driver.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
}

#[test]
fn out_of_memory_writes_do_not_pile_up() {
    let mut driver = Driver::with_primary();
    for _ in 0..1000 {
        assert!(driver.rig.out_only(ports::OUT_OF_MEMORY, 0).wake);
    }
    driver.rig.run();
    assert!(!driver.rig.frozen());
}

#[test]
fn slots_lie_inside_one_bar_of_this_device_as_it_is_mapped_now() {
    const END0: u64 = BAR0 + (16 << 20);
    const END1: u64 = BAR1 + (16 << 20);
    let good = [(BAR0, END0), (BAR0, BAR0), (END0, END0), (END1 - 1, END1), (BAR1, END1)];
    for (start, end) in good {
        let mut driver = Driver::probed();
        driver.add_slot(3, start, end);
        let size = driver.rig.core.front().slots.get(3).unwrap().size;
        assert_eq!(size, end - start);
    }
    let bad = [
        (BAR0 + 1, BAR0),
        (BAR0 - 1, BAR0 + 4096),
        (BAR0, END0 + 1),
        (END0 - 1, END0 + 1),
        (BAR0, END1),
        (0, 4096),
        (0, u64::MAX),
        (u64::MAX, u64::MAX),
        (u64::MAX - 1, 1),
        (END1, END1 + 1),
    ];
    for (start, end) in bad {
        let mut driver = Driver::probed();
        driver.set_slot_argument(start, end);
        assert_breach(&mut driver, ports::ADD_SLOT, 3);
    }
}

#[test]
fn a_slot_that_is_there_is_not_added_again_and_deleting_is_always_fine() {
    let mut driver = Driver::probed();
    driver.set_slot_argument(BAR1, BAR1 + 4096);
    for _ in 0..2 {
        assert_eq!(bits_after(&mut driver, ports::DELETE_SLOT, 5), 0);
    }
    driver.rig.out(ports::ADD_SLOT, 5);
    driver.rig.out(ports::DELETE_SLOT, 5);
    driver.rig.out(ports::ADD_SLOT, 5);
    assert!(driver.rig.worker().slots.get(5).is_some());
    assert_breach(&mut driver, ports::ADD_SLOT_ASYNC, 5);
}

#[test]
fn slots_stay_where_they_are_when_bars_move() {
    let mut driver = Driver::with_primary();
    driver.rig.core.bar_moved(0, Some(0xe000_0000));
    driver.rig.core.bar_moved(1, None);
    driver.fill(1, 0, [0, 0, 1, 1], 0x99);
    driver.update_area(0, [0, 0, 1, 1]);
    assert_eq!(driver.rig.vram().load_u32(0).unwrap(), 0x99);
    driver.add_slot(4, 0xe000_0000, 0xe000_1000);
    driver.set_slot_argument(BAR0, BAR0 + 4096);
    assert_breach_at(&mut driver, 5);
    // Not mapped at all.
    let mut driver = Driver::with_primary();
    driver.rig.core.bar_moved(1, None);
    driver.set_slot_argument(BAR1, BAR1 + 4096);
    assert_breach_at(&mut driver, 5);
}

/// As [`assert_breach`] where the BARs are elsewhere, so that a probe cannot follow.
fn assert_breach_at(driver: &mut Driver, slot: u8) {
    driver.rig.take_pending();
    driver.rig.out(ports::ADD_SLOT, slot);
    driver.assert_frozen();
    driver.rig.out(ports::RESET, 0);
    assert!(!driver.rig.frozen());
}

#[test]
fn slots_reach_into_the_wide_bar_past_the_first() {
    const MIB: u64 = 1 << 20;
    const BAR4: u64 = 0x8_0000_0000;
    let sizes = QxlSizes::new(8 * MIB, 16 * MIB, 16 * MIB, Some(64 * MIB)).unwrap();
    let rig = Rig::with(QxlConfig { sizes, ..config() });
    rig.core.bar_moved(4, Some(BAR4));
    let mut driver = Driver::new(rig);
    driver.probe();
    driver.add_slot(3, BAR4, BAR4 + 64 * MIB);
    driver.create_primary(640, 480, 2560, slot(3, 32 * MIB), 0);
    driver.fill(1, 0, [0, 0, 1, 1], 0x99);
    driver.update_area(0, [0, 0, 1, 1]);
    assert_eq!(driver.rig.vram().load_u32(32 * MIB).unwrap(), 0x99);
}

#[test]
fn commands_pushed_before_their_slot_goes_are_done() {
    let mut driver = Driver::with_primary();
    let header = driver.rig.header().clone();
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
    driver.fill(1, 0, [0, 0, 1, 1], 0x99);
    driver.rig.out(ports::DELETE_SLOT, 1);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99);
    assert!(!driver.rig.frozen());
}

#[test]
fn a_command_in_no_slot_freezes_the_device() {
    for body in [
        0,
        slot(3, 0),
        slot(0xff, 0),
        slot(1, 1 << 40),
        slot(1, (16 << 20) - 8192 - 7),
    ] {
        let mut driver = Driver::with_primary();
        driver.command(1, body);
        driver.assert_frozen();
        assert_reset_heals(&mut driver);
    }
}

#[test]
fn update_area_refuses_what_cannot_be_and_forgives_what_is_empty() {
    let fine: [(u32, [i32; 4]); 5] = [
        (0, [0, 0, 0, 0]),
        (0, [5, 5, 5, 9]),
        (0, [0, 0, i32::MAX, i32::MAX]),
        (0, [10_000, 10_000, 10_001, 10_001]),
        (1023, [0, 0, 4, 4]),
    ];
    for (surface, area) in fine {
        let mut driver = Driver::with_primary();
        driver.update_area(surface, area);
        assert_eq!(bits_after(&mut driver, ports::UPDATE_AREA, 0), 0);
        assert!(!driver.rig.frozen());
    }
    let bad: [(u32, [i32; 4]); 7] = [
        (1024, [0, 0, 4, 4]),
        (u32::MAX, [0, 0, 4, 4]),
        (0, [-1, 0, 4, 4]),
        (0, [0, i32::MIN, 4, 4]),
        (0, [4, 0, 3, 4]),
        (0, [0, 4, 4, 3]),
        (0, [i32::MAX, i32::MAX, i32::MIN, i32::MIN]),
    ];
    for (surface, area) in bad {
        for port in [ports::UPDATE_AREA, ports::UPDATE_AREA_ASYNC] {
            let mut driver = Driver::with_primary();
            let argument = Packed::new().rect(area).u32(surface);
            driver.rig.header().write(offset::UPDATE_AREA, &argument.0);
            assert_breach(&mut driver, port, 0);
        }
    }
}

#[test]
fn update_area_shows_what_was_pushed_before_it() {
    for port in [ports::UPDATE_AREA, ports::UPDATE_AREA_ASYNC] {
        let mut driver = Driver::with_primary();
        let header = driver.rig.header().clone();
        header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
        driver.fill(1, 0, [10, 20, 12, 24], 0x0012_3456);
        let argument = Packed::new().rect([10, 20, 11, 22]).u32(0);
        header.write(offset::UPDATE_AREA, &argument.0);
        driver.rig.out(port, 0);
        let at = |x: u64, y: u64| driver.rig.vram().load_u32(y * 2560 + 4 * x).unwrap();
        assert_eq!([at(20, 10), at(21, 10)], [0x0012_3456; 2]);
        assert_eq!([at(22, 10), at(20, 11)], [0; 2], "only the area is written");
    }
}

#[test]
fn destroying_the_primary_ends_the_cursor_and_without_one_is_a_no_op() {
    for (port, all) in [(ports::DESTROY_PRIMARY, false), (ports::DESTROY_ALL, true)] {
        let mut driver = Driver::with_primary();
        driver.fill(1, 0, [0, 0, 1, 1], 0x99);
        driver.rig.sink.take();
        driver.rig.out(port, 0);
        assert_eq!(driver.rig.vram().load_u32(0).unwrap(), 0x99, "the picture is kept");
        let said = driver.rig.sink.take();
        assert!(matches!(
            said[..],
            [
                DisplayCommand::DestroySurface(0),
                DisplayCommand::Cursor(CursorCommand::Reset)
            ]
        ));
        assert_eq!(mode(&driver), Mode::Undefined);
        assert_eq!(bits_after(&mut driver, port, 0), 0);
        if !all {
            assert!(driver.rig.sink.take().is_empty());
        }
        driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
        driver.rig.async_out(ports::DESTROY_ALL_ASYNC, 0);
        assert_eq!(mode(&driver), Mode::Undefined);
    }
}

#[test]
fn a_primary_over_a_live_one_replaces_it_after_what_was_drawn_on_it() {
    let mut driver = Driver::with_primary();
    let header = driver.rig.header().clone();
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
    driver.fill(1, 0, [0, 0, 480, 640], 0x99);
    driver.create_primary(320, 200, 1280, slot(2, 8 << 20), 0);
    assert_eq!(driver.rig.vram().load_u32(479 * 2560).unwrap(), 0x99);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0, "the new one is empty");
    assert_eq!(driver.rig.core.counters.read().replaced_primaries, 1);
    assert_eq!(driver.rig.core.counters.read().dropped, 0);
}

#[test]
fn the_log_port_is_limited_and_hides_no_breach() {
    let mut driver = Driver::with_primary();
    driver.rig.header().write(offset::LOG_BUFFER, &[0xff; 4096]);
    for _ in 0..1000 {
        driver.rig.out(ports::LOG, 0);
    }
    let counters = driver.rig.core.counters.read();
    assert!((1..20).contains(&counters.log_lines), "{}", counters.log_lines);
    assert_eq!(counters.log_lines + counters.log_suppressed, 1000);
    assert_breach(&mut driver, ports::DETACH_PRIMARY, 0);
    assert_eq!(driver.rig.core.counters.read().guest_bugs, 1);
}

#[test]
fn a_second_display_has_no_vga_mode() {
    let rig = Rig::with(QxlConfig {
        primary: false,
        index: 1,
        ..config()
    });
    let mut driver = Driver::new(rig);
    assert_eq!(mode(&driver), Mode::Undefined);
    driver.probe();
    assert_eq!(mode(&driver), Mode::Undefined);
    // Commands run without a screen: one for the missing surface is dropped and given back.
    let body = driver.fill(1, 0, [0, 0, 1, 1], 1);
    assert_eq!(driver.collect(|_| body), [1]);
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
    assert_reset_heals(&mut driver);
}

#[test]
fn the_line_follows_the_masks_only_at_updates_and_events() {
    let mut driver = Driver::with_primary();
    driver.rig.take_pending();
    let header = driver.rig.header().clone();
    // As Windows does: off in the handler, on again later; what came meanwhile raises the line.
    header.store(offset::INT_MASK, 0);
    driver.rig.out(ports::UPDATE_IRQ, 0);
    driver.rig.out(ports::FLUSH_SURFACES_ASYNC, 0);
    assert!(!driver.rig.line.level());
    header.store(offset::INT_MASK, 7);
    assert!(!driver.rig.line.level(), "the mask alone raises nothing");
    driver.rig.out(ports::UPDATE_IRQ, 0x55);
    assert!(driver.rig.line.level());
    header.store(offset::INT_PENDING, 0);
    assert!(driver.rig.line.level(), "clearing alone drops nothing");
    driver.rig.out(ports::UPDATE_IRQ, 0);
    assert!(!driver.rig.line.level());
    // An interrupt that is pending already is told once.
    driver.rig.out(ports::FLUSH_SURFACES_ASYNC, 0);
    let count = driver.rig.core.counters.read().interrupts;
    driver.rig.out(ports::FLUSH_SURFACES_ASYNC, 0);
    assert_eq!(driver.rig.core.counters.read().interrupts, count);
}

proptest! {
    /// Any sequence of port writes with any arguments, bodies of commands included.
    #[test]
    fn random_port_writes_leave_a_device_that_a_reset_heals(
        steps in proptest::collection::vec((0_u8..32, any::<u8>(), 0_u64..0x14e4, any::<u32>(), 0_u8..4), 1..60),
    ) {
        let mut driver = Driver::with_primary();
        for (port, value, at, word, act) in steps {
            let word = if act & 1 == 0 { word % 700 } else { word };
            driver.rig.header().store(at & !3, word);
            if act & 2 == 0 {
                let body = Frame { bbox: [0, 0, (word % 500) as i32, 9], kind: value % 16, ..Frame::default() };
                let body = driver.place(&body.with(&Packed::new().u64(u64::from(word) << 30).zeros(60)));
                driver.rig.header().write(
                    offset::COMMAND_RING + offset::RING_ITEMS,
                    &Packed::new().u64(body).u32(u32::from(value % 7)).u32(0).0,
                );
            }
            driver.rig.out(port, if act == 3 { value % 8 } else { value });
        }
        driver.rig.core.bar_moved(0, Some(BAR0));
        driver.probe();
        driver.create_primary(640, 480, 2560, slot(2, 0), 0);
        driver.fill(1, 0, [0, 0, 1, 1], 0x99);
        prop_assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99);
    }
}
