use super::*;
use crate::{
    interrupts::{CURSOR, DISPLAY},
    ports,
    testing::{
        Rig,
        guest::{Driver, Packed},
    },
};

/// A driver with a screen, on a device whose fault is armed then.
fn driver(fault: &str, value: i64, count: Option<u32>) -> Driver {
    let driver = Driver::with_primary();
    driver.rig.device.misbehave(fault, value, count).unwrap();
    driver
}

fn misdeeds(driver: &Driver) -> u64 {
    driver.rig.device.misdeeds()
}

/// Draws; the address of the command.
fn draw(driver: &mut Driver, id: u64) -> u64 {
    driver.fill(id, 0, [0, 0, 8, 8], 0x00ff_0000)
}

fn word(driver: &Driver, ring: u64, field: u64) -> u32 {
    driver.rig.header().load(ring + field)
}

/// What is in place `index` of the release ring.
fn released(driver: &Driver, index: u32) -> u64 {
    let at = offset::RELEASE_RING + offset::RING_ITEMS + 8 * u64::from(index);
    u64::from_le_bytes(driver.rig.header().read(at))
}

fn release_producer(driver: &Driver) -> u32 {
    word(driver, offset::RELEASE_RING, offset::RING_PRODUCER)
}

/// The first 8 bytes of a command in slot 1.
fn link(driver: &Driver, body: u64) -> u64 {
    driver.rig.ram().load_u64(body & 0xffff_ffff).unwrap()
}

fn rom(driver: &Driver, at: u64, bytes: u64) -> Vec<u8> {
    driver.rig.rom.read_vec(at, bytes).unwrap()
}

/// Count and first rectangle of the client's monitors, if the sum fits.
fn monitors(driver: &Driver) -> Option<[i32; 5]> {
    let block = rom(driver, rom::CLIENT_MONITORS, rom::CLIENT_MONITORS_SIZE as u64);
    let sum = rom(driver, rom::CLIENT_MONITORS_CRC, 4);
    let words = [0, 4, 8, 12, 16].map(|at| i32::from_le_bytes(block[at..at + 4].try_into().unwrap()));
    (rom::crc(&block).to_le_bytes() == sum[..]).then_some(words)
}

#[test]
fn a_fault_that_is_none_is_refused_and_the_one_there_is_stays() {
    let mut driver = driver("release-empty", 0, None);
    let error = driver.rig.device.misbehave("release", 0, None).unwrap_err().to_string();
    assert!(
        error.contains("\"release\"") && error.contains("release-never, "),
        "{error}"
    );
    draw(&mut driver, 7);
    assert_eq!(misdeeds(&driver), 1);
}

#[test]
fn the_names_are_all_different() {
    for (index, (name, fault)) in FAULTS.iter().enumerate() {
        let rest = &FAULTS[index + 1..];
        assert!(
            rest.iter().all(|(other, is)| other != name && is != fault),
            "{name} is there twice"
        );
    }
}

#[test]
fn a_fault_acts_as_often_as_it_was_told_and_not_once_it_is_over() {
    let mut driver = driver("release-unknown", 99, Some(2));
    for (index, id) in [99, 99, 3].into_iter().enumerate() {
        draw(&mut driver, 3);
        assert_eq!(released(&driver, index as u32), id);
        driver
            .rig
            .header()
            .store(offset::RELEASE_RING + offset::RING_CONSUMER, index as u32 + 1);
    }
    assert_eq!(misdeeds(&driver), 2);
    driver.rig.device.misbehave("release-unknown", 98, None).unwrap();
    assert_eq!(misdeeds(&driver), 0, "of the fault before");
    driver.rig.device.behave();
    draw(&mut driver, 4);
    assert_eq!((released(&driver, 3), misdeeds(&driver)), (4, 0));
}

#[test]
fn release_unknown_gives_back_what_it_was_told_to() {
    let mut driver = driver("release-unknown", -1, None);
    draw(&mut driver, 3);
    assert_eq!((release_producer(&driver), released(&driver, 0)), (1, u64::MAX));
}

#[test]
fn release_twice_gives_back_in_two_places() {
    let mut driver = driver("release-twice", 0, None);
    draw(&mut driver, 3);
    assert_eq!(
        (release_producer(&driver), released(&driver, 0), released(&driver, 1)),
        (2, 3, 3)
    );
}

#[test]
fn release_early_gives_back_what_is_not_taken_yet_and_then_no_more() {
    let mut driver = Driver::with_primary();
    let body = draw(&mut driver, 2);
    driver.collect(|_| body);
    driver.rig.device.misbehave("release-early", 0, None).unwrap();
    // Pushed without a word: nothing of it is done.
    driver
        .rig
        .header()
        .store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, u32::MAX);
    let body = draw(&mut driver, 3);
    let taken = word(&driver, offset::COMMAND_RING, offset::RING_CONSUMER);
    driver.rig.worker().before_command().unwrap();
    assert_eq!(
        word(&driver, offset::COMMAND_RING, offset::RING_CONSUMER),
        taken,
        "it is still in the ring"
    );
    assert_eq!((released(&driver, 1), link(&driver, body)), (3, 0));
    driver.rig.device.behave();
    driver.rig.run();
    assert_eq!(word(&driver, offset::COMMAND_RING, offset::RING_CONSUMER), taken + 1);
    assert_eq!(release_producer(&driver), 2, "once");
}

#[test]
fn release_empty_gives_back_nothing() {
    let mut driver = driver("release-empty", 0, None);
    draw(&mut driver, 3);
    assert_eq!((release_producer(&driver), released(&driver, 0)), (1, 0));
}

#[test]
fn release_loop_comes_back_to_its_begin() {
    let mut driver = driver("release-loop", 0, None);
    let body = draw(&mut driver, 3);
    assert_eq!((released(&driver, 0), link(&driver, body)), (3, 3));
}

#[test]
fn release_never_gives_back_nothing_at_all() {
    let mut driver = driver("release-never", 0, Some(2));
    draw(&mut driver, 3);
    draw(&mut driver, 4);
    driver.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!((release_producer(&driver), misdeeds(&driver)), (0, 2));
    draw(&mut driver, 5);
    assert_eq!((release_producer(&driver), released(&driver, 0)), (1, 5));
}

#[test]
fn indices_jump_by_what_they_are_told_and_come_back() {
    let mut commands = driver("command-consumer", -1000, Some(1));
    draw(&mut commands, 2);
    let index = |driver: &Driver, ring| word(driver, ring, offset::RING_CONSUMER);
    assert_eq!(index(&commands, offset::COMMAND_RING), 1_u32.wrapping_sub(1000));
    commands.rig.device.behave();
    assert_eq!(index(&commands, offset::COMMAND_RING), 1, "it is over");
    draw(&mut commands, 4);
    assert_eq!(index(&commands, offset::COMMAND_RING), 2);

    let mut cursors = driver("cursor-consumer", 40, Some(1));
    let body = cursors.place(&Packed::new().u64(9).u8(2).zeros(141));
    cursors.cursor_command(body);
    assert_eq!(index(&cursors, offset::CURSOR_RING), 41);

    let mut releases = driver("release-producer", 9, Some(1));
    draw(&mut releases, 3);
    assert_eq!(release_producer(&releases), 10);
    releases
        .rig
        .header()
        .store(offset::RELEASE_RING + offset::RING_CONSUMER, 1);
    draw(&mut releases, 4);
    assert_eq!(release_producer(&releases), 2);
}

#[test]
fn marks_never_leaves_the_doorbells_silent() {
    let mut driver = driver("marks-never", 0, None);
    driver.rig.run();
    for ring in [offset::COMMAND_RING, offset::CURSOR_RING] {
        assert_eq!(word(&driver, ring, offset::RING_NOTIFY_ON_PRODUCER), 1 << 31);
    }
    draw(&mut driver, 3);
    assert_eq!(word(&driver, offset::COMMAND_RING, offset::RING_CONSUMER), 0);
    driver.rig.device.behave();
    driver.rig.run();
    assert_eq!(word(&driver, offset::COMMAND_RING, offset::RING_CONSUMER), 1);
    assert_eq!(word(&driver, offset::COMMAND_RING, offset::RING_NOTIFY_ON_PRODUCER), 2);
}

#[test]
fn interrupts_lost_are_pending_without_the_line_until_it_is_over() {
    let mut driver = driver("interrupts-lost", 0, None);
    driver.rig.take_pending();
    draw(&mut driver, 3);
    assert_eq!((driver.rig.pending(), driver.rig.line.level()), (DISPLAY, false));
    driver.rig.device.behave();
    assert!(driver.rig.line.level());
}

#[test]
fn interrupts_storm_as_often_as_they_were_told() {
    let mut driver = driver("interrupts-storm", (DISPLAY | CURSOR).into(), Some(3));
    driver.rig.take_pending();
    for bits in [DISPLAY | CURSOR, DISPLAY | CURSOR, DISPLAY | CURSOR, 0] {
        assert_eq!(driver.rig.line.level(), bits != 0);
        assert_eq!(driver.rig.take_pending(), bits);
    }
}

#[test]
fn level_held_is_up_with_nothing_pending_until_it_is_over() {
    let mut driver = driver("level-held", 0, None);
    for _ in 0..3 {
        driver.rig.take_pending();
        assert_eq!((driver.rig.pending(), driver.rig.line.level()), (0, true));
    }
    driver.rig.device.behave();
    assert!(!driver.rig.line.level());
}

#[test]
fn pending_unknown_adds_its_bits() {
    let mut driver = driver("pending-unknown", 0x7fff_ff80, None);
    draw(&mut driver, 3);
    assert_eq!(driver.rig.take_pending(), 0x7fff_ff80 | DISPLAY);
}

#[test]
fn ports_are_silent_twice_or_in_error() {
    for (fault, bits) in [
        ("ports-silent", [0, 0, IO_COMMAND]),
        ("ports-error", [ERROR, 0, IO_COMMAND]),
        ("ports-twice", [IO_COMMAND, IO_COMMAND, IO_COMMAND]),
    ] {
        let mut driver = driver(fault, 0, Some(1));
        driver.rig.take_pending();
        driver.rig.out(ports::MONITORS_ASYNC, 0);
        assert_eq!(
            [driver.rig.take_pending(), driver.rig.take_pending()],
            bits[..2],
            "{fault}"
        );
        driver.rig.out(ports::MONITORS_ASYNC, 0);
        assert_eq!(driver.rig.take_pending(), bits[2], "{fault} once");
        assert!(!driver.rig.frozen(), "the port is free all the same");
    }
}

#[test]
fn client_flaps_with_each_command() {
    let mut driver = driver("client-flaps", 0, None);
    for (present, capabilities) in [(1, 0xff), (0, 0), (1, 0xff)] {
        driver.rig.take_pending();
        draw(&mut driver, 3);
        assert_ne!(driver.rig.take_pending() & CLIENT, 0);
        assert_eq!(rom(&driver, 0x45, 2), [present, capabilities]);
    }
}

#[test]
fn monitors_lie_with_a_sum_that_fits_and_the_truth_returns() {
    for (fault, value, expected) in [
        ("monitors-count", 65535, Some([65535, 0, 0, 480, 640])),
        ("monitors-negative", 0, Some([2, -600, -800, 168, 224])),
        ("monitors-inverted", 0, Some([2, 480, 640, 0, 0])),
        ("monitors-huge", 0, Some([2, 0, 0, i32::MAX, i32::MAX])),
        ("monitors-checksum", 0, None),
    ] {
        let mut driver = Driver::with_primary();
        let before = monitors(&driver);
        driver.rig.take_pending();
        driver.rig.device.misbehave(fault, value, None).unwrap();
        assert_eq!(monitors(&driver), expected, "{fault}");
        assert_eq!(driver.rig.take_pending(), CLIENT_MONITORS, "{fault} is told");
        driver.rig.out(ports::RESET, 0);
        assert_eq!(monitors(&driver), expected, "{fault} after a reset");
        driver.rig.device.behave();
        assert_eq!(monitors(&driver), before, "{fault} is over");
        assert_eq!(driver.rig.take_pending(), CLIENT_MONITORS);
    }
}

#[test]
fn the_rom_lies_in_one_field_through_resets_until_it_is_over() {
    for (name, fault) in FAULTS {
        let Fault::Rom(at, bytes) = *fault else { continue };
        let mut driver = Driver::new(Rig::new());
        let whole = rom(&driver, 0, rom::ROM_SIZE);
        let mut lie = whole.clone();
        lie[at as usize..at as usize + bytes].copy_from_slice(&0x5a96_3c77_u32.to_le_bytes()[..bytes]);
        driver.rig.device.misbehave(name, 0x5a96_3c77, None).unwrap();
        assert_eq!(rom(&driver, 0, rom::ROM_SIZE), lie, "{name}");
        driver.rig.out(ports::RESET, 0);
        assert_eq!(rom(&driver, 0, rom::ROM_SIZE), lie, "{name} after a reset");
        driver.rig.device.behave();
        assert_eq!(rom(&driver, 0, rom::ROM_SIZE), whole, "{name} is over");
    }
}

#[test]
fn the_header_lies_now_and_after_each_reset() {
    for (name, fault) in FAULTS {
        let Fault::Header(field) = *fault else { continue };
        let mut driver = driver(name, 0x1234_5678, None);
        assert_eq!(driver.rig.header().load(field), 0x1234_5678, "{name}");
        driver.rig.out(ports::RESET, 0);
        assert_eq!(driver.rig.header().load(field), 0x1234_5678, "{name} after a reset");
        driver.rig.device.behave();
        driver.rig.out(ports::RESET, 0);
        assert_ne!(driver.rig.header().load(field), 0x1234_5678, "{name} is over");
    }
}

#[test]
fn a_scribble_is_all_over_the_rings() {
    let driver = driver("ram-scribble", -1, None);
    for ring in RINGS {
        for field in [0, 4, 8, 12, 16] {
            assert_eq!(word(&driver, ring, field), u32::MAX);
        }
    }
    assert_eq!(driver.rig.header().load(offset::MAGIC), u32::MAX);
}

#[test]
fn a_sound_device_is_as_if_nothing_were_there() {
    let mut driver = Driver::with_primary();
    driver.rig.device.misbehave("ram-scribble", 0, None).unwrap();
    driver.rig.device.misbehave("rom-magic", 0, None).unwrap();
    driver.rig.device.behave();
    driver.rig.device.behave();
    driver.probe();
    let body = draw(&mut driver, 3);
    assert_eq!(driver.collect(|_| body), [0; 0], "in VGA mode nothing is taken");
    driver.create_primary(640, 480, 640 * 4, crate::testing::guest::slot(2, 0), 0);
    assert_eq!(driver.collect(|_| body), [3]);
    assert!(!driver.rig.frozen());
}
