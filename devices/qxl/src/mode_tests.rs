//! SET_MODE and the mode it makes (ABI 17), and VGA registers that take the screen back (ABI 8).

use caraway_base::state::Migratable as _;
use caraway_pci::function::PciFunction as _;
use caraway_ports::{
    display::{CursorCommand, DisplayCommand},
    drawing::{Brush, DrawOp, SurfaceFormat},
};

use proptest::prelude::*;

use crate::{
    Drive, Qxl, QxlArgs, QxlConfig,
    core::Mode,
    header::offset,
    interrupts,
    memory::Region,
    parse::Layout,
    ports,
    testing::{
        BAR0, Rig, config,
        guest::{Driver, Packed, compat_drawable, physical, slot},
    },
};

const MIB: u64 = 1 << 20;
/// 640x480 in 16 and 32 bits, and the first mode an 8 MiB draw area has in 16 bits only.
const MODE_16: u8 = 0;
const MODE_32: u8 = 1;

fn mode(driver: &Driver) -> Mode {
    driver.rig.core.front().mode
}

fn with_revision(revision: u8) -> Driver {
    Driver::new(Rig::with(QxlConfig { revision, ..config() }))
}

fn in_mode(id: u8) -> Driver {
    let mut driver = with_revision(1);
    driver.rig.out(ports::SET_MODE, id);
    assert_eq!(mode(&driver), Mode::Compat);
    driver
}

/// Pushes a fill of the top left corner of the screen by the first layout.
fn fill(driver: &mut Driver, id: u64, colour: u32) -> u64 {
    let payload = Packed::new().solid(colour).u16(8).no_mask();
    let body = driver.place(&compat_drawable(id, 1, [0, 0, 2, 2], 0, &payload));
    driver.command(1, physical(body));
    body
}

fn rom_mode(driver: &Driver) -> u8 {
    driver.rig.rom.load_u32(0x14).unwrap().try_into().unwrap()
}

#[test]
fn a_mode_is_a_reset_and_a_screen_over_bar_0() {
    for revision in 1..=5 {
        for (id, layout) in [(MODE_16, Layout::Compat16), (MODE_32, Layout::Compat)] {
            let mut driver = with_revision(revision);
            driver.rig.header().store(offset::INT_MASK, 0x3f);
            driver.rig.sink.take();
            driver.rig.out(ports::SET_MODE, id);
            assert_eq!((mode(&driver), rom_mode(&driver)), (Mode::Compat, id));
            assert_eq!(driver.rig.header().load(offset::INT_MASK), 0, "reset first");
            assert_eq!(driver.rig.worker().layout, layout);
            let said = driver.rig.sink.take();
            let [
                DisplayCommand::Reset,
                DisplayCommand::CreateSurface(screen),
                DisplayCommand::Monitors { heads, .. },
            ] = &said[..]
            else {
                panic!("{said:?}")
            };
            assert_eq!((screen.id, screen.width, screen.height), (0, 640, 480));
            assert_eq!(screen.format, SurfaceFormat::Xrgb, "whatever the mode's bits");
            assert!(heads.is_empty());
            let slot = driver.rig.worker().slots.get(0).unwrap();
            assert_eq!((slot.region, slot.size, slot.bias), (Region::Ram, 16 * MIB, BAR0));
        }
    }
}

#[test]
fn commands_in_the_first_layout_draw_bottom_up_into_bar_0_and_come_back() {
    let mut driver = in_mode(MODE_32);
    for id in 1..=3 {
        let body = fill(&mut driver, id, 0x10 + id as u32);
        assert_eq!(driver.collect(|_| body), [id]);
    }
    assert_eq!(driver.rig.sink.pixel(0, 1, 1), 0x13);
    // An update in its first form: 28 bytes, the screen.
    let update = driver.place(&Packed::new().u64(9).rect([0, 0, 1, 640]).u32(0x55).u32(0xffff_ffff));
    driver.command(2, physical(update));
    assert_eq!(driver.collect(|_| update), [9]);
    let last_row = 479 * 2560;
    assert_eq!(
        driver.rig.ram().load_u32(last_row).unwrap(),
        0x13,
        "the top row is the last one"
    );
    assert_eq!(driver.rig.ram().load_u32(0).unwrap(), 0);
    assert_eq!(driver.rig.rom.load_u32(8).unwrap(), 0x55);
}

#[test]
fn a_mode_of_16_bits_widens_the_colours() {
    let mut driver = in_mode(MODE_16);
    let colour = |driver: &mut Driver, id, colour| {
        driver.rig.sink.take();
        fill(driver, id, colour);
        match driver.rig.sink.draws().pop().map(|draw| draw.op) {
            Some(DrawOp::Fill {
                brush: Brush::Solid(colour),
                ..
            }) => colour,
            other => panic!("{other:?}"),
        }
    };
    for (narrow, wide) in [
        (0x7fff, 0xff_ffff),
        (0x7c00, 0xff_0000),
        (0x03e0, 0x00_ff00),
        (0x001f, 0x00_00ff),
        (0x4210, 0x84_8484),
        (0xffff_8000, 0),
    ] {
        assert_eq!(colour(&mut driver, 1, narrow), wide, "{narrow:#x}");
    }
    let mut driver = in_mode(MODE_32);
    assert_eq!(colour(&mut driver, 1, 0x7fff), 0x7fff);
}

#[test]
fn addresses_are_those_of_bar_0_in_guest_memory() {
    let mut driver = in_mode(MODE_32);
    let end = BAR0 + 16 * MIB;
    for address in [
        0,
        1,
        BAR0 - 1,
        BAR0 - 8,
        end - 7,
        end,
        slot(1, 0),
        slot(0, 0) | 1 << 48,
        u64::MAX,
    ] {
        driver.command(1, address);
        driver.rig.out(ports::SET_MODE, MODE_32);
        driver.assert_frozen();
        driver.rig.out(ports::RESET, 0);
        driver.rig.out(ports::SET_MODE, MODE_32);
    }
    // A body there whose image is not is dropped and comes back.
    let copy = Packed::new().u64(BAR0 - 18).rect([0, 0, 1, 1]).u16(8).u8(1).no_mask();
    let body = driver.place(&compat_drawable(7, 3, [0, 0, 1, 1], 0, &copy));
    driver.command(1, physical(body));
    assert_eq!(driver.collect(|_| body), [7]);
    assert_eq!(driver.rig.core.counters.read().dropped, 1);
}

#[test]
fn the_slot_of_a_mode_stays_where_it_is_when_bar_0_moves() {
    let mut driver = in_mode(MODE_32);
    driver.rig.device.bar_moved(0, Some(0x1000_0000));
    fill(&mut driver, 1, 0x42);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x42);
    driver.rig.device.bar_moved(0, None);
    fill(&mut driver, 2, 0x43);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x43);
}

#[test]
fn modes_that_cannot_be_freeze_the_device_without_a_reset() {
    let mut driver = Driver::new(Rig::new());
    let missing: Vec<u8> = (0..=255_u8)
        .filter(|id| crate::modes::find(8 * MIB, u32::from(*id)).is_none())
        .collect();
    assert!(missing.len() > 100 && missing.contains(&148) && missing.contains(&255));
    // Listed with 16 bits; the 32 bits of the screen do not fit the draw area.
    let too_large = crate::modes::modes(8 * MIB)
        .find(|mode| u64::from(4 * mode.width * mode.height) > 8 * MIB)
        .unwrap();
    for id in missing.into_iter().chain([too_large.id as u8]) {
        driver.probe();
        driver.create_primary(640, 480, 2560, slot(2, 0), 0);
        driver.rig.out(ports::SET_MODE, id);
        assert_eq!(mode(&driver), Mode::Native, "mode {id}");
        driver.assert_frozen();
        assert!(driver.rig.worker().slots.get(1).is_some(), "no reset");
    }
    driver.rig.out(ports::RESET, 0);
    driver.rig.device.bar_moved(0, None);
    driver.rig.out(ports::SET_MODE, MODE_32);
    driver.assert_frozen();
    for base in [1 << 48, u64::MAX] {
        driver.rig.out(ports::RESET, 0);
        driver.rig.device.bar_moved(0, Some(base));
        driver.rig.out(ports::SET_MODE, MODE_32);
        driver.assert_frozen();
    }
}

#[test]
fn modes_are_found_by_their_id_not_by_their_place() {
    // 16 MiB list 120, 122, 124: the place of 122 is 121.
    let list: Vec<u32> = crate::modes::modes(16 * MIB).map(|mode| mode.id).collect();
    assert_eq!(list[121], 122);
    assert_eq!(crate::modes::find(16 * MIB, 121), None);
    assert_eq!(crate::modes::find(16 * MIB, 122).unwrap().id, 122);
}

#[test]
fn a_mode_abandons_what_is_in_flight() {
    let mut driver = Driver::with_primary();
    driver.rig.take_pending();
    driver.rig.out_only(ports::FLUSH_SURFACES_ASYNC, 0);
    driver.rig.out(ports::SET_MODE, MODE_32);
    assert_eq!(driver.rig.pending(), 0, "nothing is told of it");
    assert_eq!(driver.rig.core.front().current_async, None);
    let set = driver.rig.out_only(ports::SET_MODE, MODE_16).ticket.unwrap();
    driver.rig.out(ports::RESET, 0);
    assert!(set.wait(std::time::Duration::ZERO), "a reset ends the wait for a mode");
    assert_eq!((mode(&driver), driver.rig.worker().layout), (Mode::Vga, Layout::Native));
    assert!(driver.rig.sink.live().is_empty());
    assert_eq!(rom_mode(&driver), MODE_32, "the ROM keeps the last mode that was set");
}

#[test]
fn destroying_or_replacing_the_screen_ends_the_mode() {
    for (port, after) in [
        (ports::DESTROY_PRIMARY, Mode::Undefined),
        (ports::DESTROY_ALL, Mode::Undefined),
        (ports::CREATE_PRIMARY, Mode::Native),
        (ports::RESET, Mode::Vga),
    ] {
        let mut driver = with_revision(2);
        driver.rig.out(ports::SET_MODE, MODE_16);
        // Pushed before, so drawn as it was meant.
        driver.rig.sink.take();
        let header = driver.rig.header().clone();
        header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
        fill(&mut driver, 1, 0x7fff);
        driver.set_primary_argument(64, 64, 256, physical(0), 0);
        driver.rig.out(port, 0);
        assert_eq!(mode(&driver), after);
        assert_eq!(driver.rig.worker().layout, Layout::Native);
        assert_eq!(driver.rig.sink.draws().len(), usize::from(port != ports::RESET));
        assert_eq!(rom_mode(&driver), MODE_16);
    }
}

#[test]
fn a_saved_mode_goes_on_where_it_was() {
    for id in [MODE_16, MODE_32] {
        let mut driver = in_mode(id);
        let body = fill(&mut driver, 1, 0x7fff);
        driver.rig.worker().quiesce();
        let args = QxlArgs {
            config: driver.rig.core.config,
            sink: std::sync::Arc::new(crate::testing::sink::TestSink::default()),
            ram: driver.rig.ram().clone(),
            vram: driver.rig.vram().clone(),
            option_rom: None,
            drive: Drive::default(),
        };
        let state = driver.rig.device.save();
        let sink = std::sync::Arc::new(crate::testing::sink::TestSink::default());
        let args = QxlArgs {
            sink: sink.clone(),
            ..args
        };
        let restored = Qxl::restore(args, state.clone()).unwrap();
        assert_eq!(restored.save(), state);
        let mut moved = driver.moved_to(Rig::of(restored, sink));
        assert_eq!(moved.collect(|_| body), [1]);
        let wide = if id == MODE_16 { 0xff_ffff } else { 0x7fff };
        assert_eq!(moved.rig.sink.pixel(0, 0, 0), wide);
        assert_eq!(rom_mode(&moved), id);
        fill(&mut moved, 2, 0x001f);
        let wide = if id == MODE_16 { 0xff } else { 0x1f };
        assert_eq!(moved.rig.sink.pixel(0, 0, 0), wide);
    }
}

#[test]
fn every_port_with_bars_off_moved_and_overlapping_leaves_a_device_that_a_reset_heals() {
    let places: [[Option<u64>; 2]; 6] = [
        [None, None],
        [Some(BAR0), None],
        [None, Some(BAR0)],
        [Some(BAR0), Some(BAR0)],
        [Some(0), Some(u64::MAX)],
        [Some(u64::MAX - 4096), Some(1 << 47)],
    ];
    for (port, [bar0, bar1]) in (0..32).flat_map(|port| places.map(|place| (port, place))) {
        for mut driver in [Driver::with_primary(), in_mode(MODE_32), Driver::probed()] {
            driver.rig.device.bar_moved(0, bar0);
            driver.rig.device.bar_moved(1, bar1);
            driver.set_slot_argument(BAR0, BAR0 + 4096);
            driver.set_primary_argument(64, 64, 256, slot(1, 0), 0);
            driver.rig.out(port, 1);
            driver.rig.out(port, 0);
            driver.rig.device.bar_moved(0, Some(BAR0));
            driver.rig.device.bar_moved(1, Some(crate::testing::BAR1));
            driver.rig.out(ports::RESET, 0);
            assert!(!driver.rig.frozen());
            driver.rig.out(ports::SET_MODE, MODE_32);
            fill(&mut driver, 1, 0x99);
            assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x99, "port {port} {bar0:?} {bar1:?}");
        }
    }
}

/// A device of this revision with a primary surface of its guest, mask and slots set.
fn native(revision: u8) -> Driver {
    let mut driver = with_revision(revision);
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    driver.rig.sink.take();
    driver
}

fn write_vga(driver: &mut Driver) {
    let effect = driver.rig.core.vga_written();
    if effect.wake {
        driver.rig.run();
    }
    if let Some(ticket) = effect.ticket {
        assert!(ticket.wait(std::time::Duration::ZERO), "as the register write returns");
    }
}

#[test]
fn a_vga_register_takes_the_screen_up_to_revision_4_and_leaves_slots_rings_and_mask() {
    for revision in [3, 4] {
        let mut driver = native(revision);
        let header = driver.rig.header().clone();
        header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 99);
        let body = driver.fill(1, 0, [0, 0, 1, 1], 0x42);
        write_vga(&mut driver);
        assert_eq!(mode(&driver), Mode::Vga);
        let said = driver.rig.sink.take();
        let [
            DisplayCommand::Draw(_),
            DisplayCommand::DestroySurface(0),
            DisplayCommand::Cursor(CursorCommand::Reset),
            DisplayCommand::Monitors { heads, .. },
        ] = &said[..]
        else {
            panic!("{said:?}")
        };
        assert!(heads.is_empty(), "one head that covers the screen");
        assert_eq!(
            driver.rig.vram().load_u32(0).unwrap(),
            0x42,
            "the picture is in guest memory"
        );
        assert_eq!(header.load(offset::INT_MASK), 0x27);
        assert!(driver.rig.worker().slots.get(1).is_some() && driver.rig.core.front().slots.get(2).is_some());
        assert_eq!(header.load(offset::COMMAND_RING + offset::RING_CONSUMER), 1);
        // What is pushed now waits for the next screen.
        let next = driver.fill(2, 0, [0, 0, 1, 1], 0x43);
        driver.rig.out(ports::NOTIFY_COMMAND, 0);
        assert!(driver.rig.sink.draws().is_empty());
        driver.create_primary(640, 480, 2560, slot(2, 0), 1);
        driver.rig.run();
        assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x43);
        let ids = driver.collect(|id| if id == 1 { body } else { next });
        assert_eq!(ids, [1, 2]);
    }
}

#[test]
fn a_vga_register_means_nothing_in_revision_5_on_a_second_display_and_in_vga_mode() {
    let mut driver = native(5);
    write_vga(&mut driver);
    assert_eq!(mode(&driver), Mode::Native);
    assert!(driver.rig.sink.take().is_empty());
    let mut second = Driver::new(Rig::with(QxlConfig {
        revision: 4,
        primary: false,
        ..config()
    }));
    write_vga(&mut second);
    assert_eq!(mode(&second), Mode::Undefined);
    let mut idle = with_revision(4);
    write_vga(&mut idle);
    assert!(idle.rig.sink.take().is_empty());
}

#[test]
fn a_vga_register_ends_compatibility_and_undefined_mode_too() {
    let mut driver = in_mode(MODE_16);
    write_vga(&mut driver);
    assert_eq!((mode(&driver), driver.rig.worker().layout), (Mode::Vga, Layout::Native));
    let mut driver = native(4);
    driver.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    driver.rig.sink.take();
    write_vga(&mut driver);
    assert_eq!(mode(&driver), Mode::Vga);
    assert!(matches!(
        driver.rig.sink.take()[..],
        [
            DisplayCommand::Cursor(CursorCommand::Reset),
            DisplayCommand::Monitors { .. }
        ]
    ));
}

#[test]
fn a_vga_register_thaws_the_device_and_forgets_the_command_in_flight() {
    let mut driver = native(4);
    driver.rig.take_pending();
    // A ring nobody can follow: not followed on the way to VGA mode either.
    let ring = offset::COMMAND_RING + offset::RING_PRODUCER;
    driver.rig.header().store(ring, 0x1000);
    driver.rig.out(ports::NOTIFY_COMMAND, 0);
    driver.assert_frozen();
    write_vga(&mut driver);
    assert!(!driver.rig.frozen());
    assert_eq!(mode(&driver), Mode::Vga);
    let mut driver = native(4);
    driver.rig.take_pending();
    driver.rig.out_only(ports::FLUSH_SURFACES_ASYNC, 0);
    let effect = driver.rig.core.vga_written();
    assert!(effect.wake);
    // A command of the new time is not ended by the old one.
    driver.set_slot_argument(BAR0, BAR0 + 4096);
    driver.rig.out_only(ports::ADD_SLOT_ASYNC, 3);
    assert!(driver.rig.worker().slots.get(3).is_none());
    let _ = driver.rig.worker().step();
    assert_eq!(driver.rig.pending(), 0);
    assert_eq!(driver.rig.core.front().current_async, Some(ports::ADD_SLOT_ASYNC));
    driver.rig.run();
    assert_eq!(driver.rig.take_pending(), interrupts::IO_COMMAND);
    assert!(driver.rig.worker().slots.get(3).is_some());
}

#[test]
fn a_guest_that_goes_to_and_fro_fills_no_queue() {
    let mut driver = native(4);
    for _ in 0..1000 {
        driver.set_primary_argument(64, 64, 256, slot(2, 0), 0);
        let _ = driver.rig.core.vga_written();
        driver.rig.out_only(ports::CREATE_PRIMARY_ASYNC, 0);
        driver.rig.out_only(ports::CREATE_PRIMARY, 0);
    }
    assert!(
        driver.rig.core.waiting_jobs() <= 200,
        "{}",
        driver.rig.core.waiting_jobs()
    );
    driver.rig.out(ports::RESET, 0);
    driver.probe();
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    driver.fill(1, 0, [0, 0, 1, 1], 0x42);
    assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x42);
}

#[test]
fn heads_are_forgotten_when_the_vga_core_takes_the_screen() {
    let mut driver = native(4);
    let heads = [[0, 0, 320, 480, 0, 0], [1, 0, 320, 480, 320, 0]];
    let packed = heads.iter().fold(Packed::new().u16(2).u16(2), |packed, head| {
        head.iter().fold(packed, |packed, word| packed.u32(*word)).u32(0)
    });
    let address = driver.place(&packed);
    driver
        .rig
        .header()
        .write(offset::MONITORS_CONFIG, &address.to_le_bytes());
    driver.rig.async_out(ports::MONITORS_ASYNC, 0);
    let heads = |driver: &Driver| driver.rig.sink.monitors().map(|(heads, _)| heads);
    assert_eq!(heads(&driver).unwrap().len(), 2);
    write_vga(&mut driver);
    driver.create_primary(640, 480, 2560, slot(2, 0), 0);
    assert_eq!(heads(&driver), Some(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any order of ports, VGA registers, commands and turns of the worker: once the worker has come to rest both sides
    /// of the device agree, a mode has the screen and the layout that belong to it, and a reset heals everything.
    #[test]
    fn any_order_of_modes_leaves_a_device_whose_parts_agree(
        revision in 1_u8..=5,
        primary in any::<bool>(),
        acts in proptest::collection::vec((0_u8..40, 0_u8..6, any::<bool>()), 0..60),
    ) {
        let mut driver = Driver::new(Rig::with(QxlConfig { revision, primary, ..config() }));
        for (act, value, rest) in acts {
            driver.set_slot_argument(BAR0, BAR0 + 12 * MIB);
            driver.set_primary_argument(64, 64, 256, slot(u64::from(value % 3), 0), 0);
            match act {
                32..36 => drop(driver.rig.core.vga_written()),
                36.. => {
                    let ring = offset::COMMAND_RING + offset::RING_PRODUCER;
                    let producer = driver.rig.header().load(ring).wrapping_add(u32::from(value));
                    driver.rig.header().store(ring, producer);
                }
                port => drop(driver.rig.out_only(port, value)),
            }
            if rest {
                driver.rig.run();
            }
        }
        driver.rig.run();
        let (now, slots) = {
            let front = driver.rig.core.front();
            (front.mode, front.slots.clone())
        };
        {
            let worker = driver.rig.worker();
            prop_assert_eq!(&worker.slots, &slots);
            prop_assert_eq!(worker.layout.is_compat(), now == Mode::Compat);
            prop_assert_eq!(worker.consuming, now != Mode::Vga);
            let screen = matches!(now, Mode::Native | Mode::Compat);
            prop_assert!(screen || !worker.surfaces.contains(0));
        }
        prop_assert!(primary || now != Mode::Vga);
        driver.rig.out(ports::RESET, 0);
        driver.rig.out(ports::SET_MODE, MODE_32);
        fill(&mut driver, 1, 0x42);
        prop_assert_eq!(driver.rig.sink.pixel(0, 0, 0), 0x42);
    }
}
