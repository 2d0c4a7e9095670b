use caraway_base::{lifecycle::Lifecycle as _, migratable_suite, state::Records};
use caraway_pci::function::PciFunction as _;
use caraway_ports::{
    display::{CursorCommand, DisplayCommand, DisplaySink as _, Head},
    geometry::Rect,
};

use super::*;
use crate::{
    core::ClientNews,
    header::offset,
    interrupts,
    memory::{Region, Slot},
    ports,
    rom::CLIENT_CAPABILITY_BYTES,
    surfaces::Backing,
    testing::{
        BAR0, Rig, config,
        guest::{Driver, Frame, Packed, slot},
        sink::TestSink,
    },
};

const MIB: u64 = 1 << 20;

fn fresh() -> Qxl {
    Rig::new().device
}

fn args() -> QxlArgs {
    let memory = Qxl::allocate(&config()).unwrap();
    QxlArgs {
        config: config(),
        sink: Arc::new(TestSink::default()),
        ram: memory.ram,
        vram: memory.vram,
        option_rom: None,
        drive: Drive::default(),
    }
}

/// A port write with the worker run here: the display thread does not.
fn out(device: &Qxl, port: u8, value: u8) {
    device.shared().core.port_write(port, value);
    lock(&device.shared().worker).quiesce();
}

migratable_suite!(suite, Qxl, fresh: fresh(), args: args(), change: |device: &Qxl| {
    device.bar_moved(0, Some(BAR0));
    let argument = Packed::new().u64(BAR0).u64(BAR0 + MIB);
    device.shared().core.header.write(offset::MEMORY_SLOT, &argument.0);
    out(device, ports::ADD_SLOT, 3);
    out(device, ports::DETACH_PRIMARY, 0);
});

/// A guest in the middle of its work: screen, surfaces, cursor, monitors, returns it has not taken, news of a client.
fn busy() -> (Driver, Vec<(u64, u64)>) {
    let mut driver = Driver::with_primary();
    let mut bodies = Vec::new();
    let create = Packed::new()
        .u64(50)
        .u32(5)
        .u8(0)
        .u32(0)
        .u32(96)
        .u32(32)
        .u32(16)
        .i32(-128)
        .u64(slot(2, 8 * MIB));
    let create = driver.place(&create);
    driver.command(5, create);
    bodies.push((50, create));
    for id in 1..=20 {
        let body = driver.fill(id, if id % 2 == 0 { 5 } else { 0 }, [2, 3, 9, 11], id as u32);
        bodies.push((id, body));
    }
    let shape = Packed::new()
        .u64(7)
        .u16(1)
        .u16(9)
        .u16(3)
        .u16(8)
        .u16(2)
        .u32(12)
        .chunk(12, 0)
        .bytes(&[0xa5; 12]);
    let shape = driver.place(&shape);
    let set = driver.place(&Packed::new().u64(60).u8(0).u16(5).u16(6).u8(1).u64(shape).zeros(128));
    driver.cursor_command(set);
    let trail = driver.place(&Packed::new().u64(61).u8(3).u16(3).u16(30).zeros(137));
    driver.cursor_command(trail);
    bodies.extend([(60, set), (61, trail)]);
    let heads = Packed::new()
        .u16(1)
        .u16(4)
        .u32(2)
        .u32(0)
        .u32(320)
        .u32(480)
        .u32(0)
        .u32(0)
        .u32(0);
    let heads = driver.place(&heads);
    driver.rig.header().write(offset::MONITORS_CONFIG, &heads.to_le_bytes());
    driver.rig.async_out(ports::MONITORS_ASYNC, 0);
    let update = driver.place(&Packed::new().u64(62).rect([0, 0, 1, 1]).u32(0x77).u32(0));
    driver.command(2, update);
    bodies.push((62, update));
    driver.rig.core.tell(ClientNews {
        client: Some((true, Box::new([0x0f; CLIENT_CAPABILITY_BYTES]))),
        heads: Some(vec![crate::ClientHead {
            x: 1,
            y: 2,
            width: 3,
            height: 4,
        }]),
    });
    driver.rig.worker().quiesce();
    (driver, bodies)
}

fn copy_of(memory: &SharedMemory) -> SharedMemory {
    let copy = SharedMemory::allocate("copy", memory.size()).unwrap();
    copy.write(0, &memory.read_vec(0, memory.size()).unwrap()).unwrap();
    copy
}

/// The record and the memory go to another process; the guest goes on there.
fn migrated(driver: &Driver) -> Driver {
    let mut records = Records::default();
    records.put("00:01.0", &driver.rig.device).unwrap();
    let sink = Arc::new(TestSink::default());
    let args = QxlArgs {
        config: driver.rig.core.config,
        sink: sink.clone(),
        ram: copy_of(driver.rig.ram()),
        vram: copy_of(driver.rig.vram()),
        option_rom: None,
        drive: Drive::default(),
    };
    let device: Qxl = records.take("00:01.0", args).unwrap();
    records.finish().unwrap();
    assert_eq!(device.save(), driver.rig.device.save());
    driver.moved_to(Rig::of(device, sink))
}

#[test]
fn the_new_viewer_is_told_everything() {
    let (driver, _) = busy();
    let moved = migrated(&driver);
    let said = moved.rig.sink.take();
    assert!(matches!(said[0], DisplayCommand::Reset));
    for (surface, width, height) in [(0, 640, 480), (5, 32, 16)] {
        let whole = Rect::at(0, 0, width, height);
        assert_eq!(
            moved.rig.sink.read(surface, whole),
            driver.rig.sink.read(surface, whole)
        );
    }
    assert_eq!(moved.rig.sink.pixel(5, 3, 2), 20, "not a black one");
    let cursors: Vec<&CursorCommand> = said
        .iter()
        .filter_map(|command| match command {
            DisplayCommand::Cursor(cursor) => Some(cursor),
            _ => None,
        })
        .collect();
    let [
        CursorCommand::Set { shape, visible, .. },
        CursorCommand::Trail { length: 3, .. },
    ] = cursors[..]
    else {
        panic!("{cursors:?}")
    };
    assert_eq!(
        (shape.hot_spot, &shape.data[..], *visible),
        ((8, 2), &[0xa5; 12][..], true)
    );
    let heads = vec![Head {
        id: 2,
        surface: 0,
        area: Rect::at(0, 0, 320, 480),
    }];
    assert!(matches!(said.last(), Some(DisplayCommand::Monitors { heads: said, max: 4 }) if *said == heads));
}

#[test]
fn registers_and_rom_are_as_they_were() {
    let (driver, _) = busy();
    driver.rig.header().store(offset::INT_MASK, 0x3f);
    driver.rig.header().store(offset::INT_PENDING, interrupts::CLIENT);
    let moved = migrated(&driver);
    assert!(moved.rig.line.level(), "what was pending is still to be served");
    let rom = |driver: &Driver| driver.rig.rom.read_vec(0, 8192).unwrap();
    assert_eq!(rom(&moved), rom(&driver));
    assert_eq!(moved.rig.rom.load_u32(8).unwrap(), 0x77);
}

#[test]
fn returns_the_guest_has_not_taken_are_neither_lost_nor_given_twice() {
    let (driver, bodies) = busy();
    assert!(
        driver.rig.worker().release.batch().is_some(),
        "some are not even published"
    );
    let mut moved = migrated(&driver);
    let last = moved.fill(99, 0, [0, 0, 1, 1], 1);
    let body_of = |id| match id {
        99 => last,
        id => bodies.iter().find(|(cookie, _)| *cookie == id).unwrap().1,
    };
    let mut ids = moved.collect(body_of);
    moved.rig.run();
    ids.extend(moved.collect(body_of));
    ids.sort_unstable();
    let expected: Vec<u64> = (1..=20).chain([60, 61, 62, 99]).collect();
    assert_eq!(ids, expected, "all but the command of the live surface");
    // That one comes back with its surface.
    let destroy = moved.place(&Packed::new().u64(51).u32(5).u8(1).u32(0));
    moved.command(5, destroy);
    moved.rig.run();
    let create = body_of(50);
    let ids = moved.collect(|id| if id == 50 { create } else { destroy });
    assert_eq!(ids, [50, 51]);
}

#[test]
fn a_full_release_ring_and_a_chain_in_vram_survive() {
    let mut driver = Driver::with_primary();
    // Seven entries the guest does not take, and a chain behind them, all in VRAM.
    let bodies: Vec<u64> = (0..20).map(|number| slot(2, 8 * MIB + number * 256)).collect();
    for body in &bodies {
        let frame = Frame {
            id: *body,
            ..Frame::default()
        };
        let bytes = frame.with(&Packed::new().solid(1).u16(8).no_mask());
        driver.rig.vram().write(body & 0xffff_ffff, &bytes.0).unwrap();
        driver.command(1, *body);
        driver.rig.out(ports::FLUSH_RELEASE, 0);
    }
    let header = driver.rig.header();
    assert_eq!(header.load(offset::RELEASE_RING + offset::RING_PRODUCER), 7);
    driver.rig.worker().quiesce();
    let mut moved = migrated(&driver);
    let ids = collect_in_vram(&moved, 0, 7);
    assert_eq!(ids, bodies[..7]);
    moved
        .rig
        .header()
        .store(offset::RELEASE_RING + offset::RING_CONSUMER, 7);
    moved.rig.out(ports::OUT_OF_MEMORY, 0);
    assert_eq!(collect_in_vram(&moved, 7, 1), bodies[7..]);
}

fn collect_in_vram(driver: &Driver, first: u32, count: u32) -> Vec<u64> {
    let mut ids = Vec::new();
    for entry in first..first + count {
        let at = offset::RELEASE_RING + offset::RING_ITEMS + 8 * u64::from(entry % 8);
        let mut id = u64::from_le_bytes(driver.rig.header().read(at));
        while id != 0 {
            ids.push(id);
            id = driver.rig.vram().load_u64(id & 0xffff_ffff).unwrap();
        }
    }
    ids
}

#[test]
fn the_guest_goes_on_drawing_where_it_was() {
    let (driver, _) = busy();
    let mut moved = migrated(&driver);
    moved.fill(99, 5, [0, 0, 1, 1], 0x1234);
    moved.update_area(5, [0, 0, 1, 1]);
    // The last line first.
    assert_eq!(moved.rig.vram().load_u32(8 * MIB + 15 * 128).unwrap(), 0x1234);
    moved.rig.async_out(ports::DESTROY_PRIMARY_ASYNC, 0);
    moved.create_primary(320, 200, 1280, slot(2, 0), 0);
    assert!(!moved.rig.frozen());
    moved.probe();
}

#[test]
fn a_restored_device_is_at_rest_until_it_is_resumed() {
    let (mut driver, _) = busy();
    let saved = driver.rig.device.save();
    let header = driver.rig.header().clone();
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_PRODUCER, 9999);
    driver.fill(99, 0, [0, 0, 1, 1], 0xfeed);
    // The guest wants to hear when it is taken.
    let mark = header.load(offset::COMMAND_RING + offset::RING_PRODUCER);
    header.store(offset::COMMAND_RING + offset::RING_NOTIFY_ON_CONSUMER, mark);
    let moved = migrated(&driver);
    assert_eq!(moved.rig.device.save(), saved);
    moved.rig.device.pause();
    assert_eq!(moved.rig.device.save(), saved, "pausing what is paused changes nothing");
    moved.rig.header().store(offset::INT_PENDING, 0);
    moved.rig.device.resume();
    assert!(
        moved.rig.line.wait(std::time::Duration::from_secs(60)),
        "what waits is done"
    );
    moved.rig.device.pause();
    assert_eq!(moved.rig.sink.pixel(0, 0, 0), 0xfeed);
}

#[test]
fn vga_mode_and_a_frozen_device_stay_what_they_are() {
    let mut driver = Driver::probed();
    let body = driver.fill(1, 0, [0, 0, 1, 1], 0xfeed);
    driver.rig.worker().quiesce();
    let mut moved = migrated(&driver);
    assert_eq!(moved.rig.core.front().mode, Mode::Vga);
    assert!(moved.collect(|_| body).is_empty());
    moved.create_primary(640, 480, 2560, slot(2, 0), 0);
    assert_eq!(
        moved.rig.sink.pixel(0, 0, 0),
        0xfeed,
        "the command waited for the screen"
    );
    moved.rig.out(ports::DETACH_PRIMARY, 0);
    moved.rig.worker().quiesce();
    let mut again = migrated(&moved);
    assert!(again.rig.frozen());
    again.rig.out(ports::FLUSH_SURFACES_ASYNC, 0);
    again.probe();
    assert!(!again.rig.frozen());
}

#[test]
fn what_is_in_flight_is_done_before_a_save() {
    let mut driver = Driver::with_primary();
    driver.fill(1, 0, [0, 0, 1, 1], 0xfeed);
    driver.rig.take_pending();
    driver.rig.out_only(ports::FLUSH_SURFACES_ASYNC, 0);
    driver.rig.worker().quiesce();
    assert_eq!(
        driver.rig.core.front().current_async,
        None,
        "what was in flight is done"
    );
    assert_eq!(driver.rig.vram().load_u32(0).unwrap(), 0xfeed);
    let mut moved = migrated(&driver);
    assert_eq!(
        moved.rig.take_pending() & interrupts::IO_COMMAND,
        interrupts::IO_COMMAND
    );
    moved.rig.async_out(ports::FLUSH_SURFACES_ASYNC, 0);
}

/// A restore with a changed record.
fn refused(change: impl FnOnce(&mut QxlState)) -> bool {
    let (driver, _) = busy();
    let mut state = driver.rig.device.save();
    change(&mut state);
    Qxl::restore(args(), state).is_err()
}

fn surface_at(offset: u64, side: u32) -> Surface {
    let mut slots = SlotTable::default();
    slots.set(
        1,
        Some(Slot {
            region: Region::Vram,
            offset: 0,
            size: 1 << 40,
            bias: 0,
        }),
    );
    let bytes = Packed::new()
        .u32(side)
        .u32(side)
        .i32(side as i32 * 4)
        .u32(32)
        .zeros(16)
        .u64(slot(1, offset));
    let (backing, _) = Backing::primary(&bytes.0, &slots, 256 * MIB).unwrap();
    Surface::new(backing, None, false)
}

#[test]
fn records_that_no_device_can_have_written_are_refused() {
    assert!(!refused(|_| {}));
    let nowhere = Location {
        region: Region::Ram,
        offset: u64::MAX - 3,
    };
    assert!(refused(|state| state.shape.index = 1));
    assert!(refused(|state| state.shape.revision = 4));
    assert!(refused(|state| state.shape.vram64 *= 2));
    assert!(refused(|state| state.slots.set(
        7,
        Some(Slot {
            region: Region::Ram,
            offset: 16 * MIB,
            size: 1,
            bias: 0,
        })
    )));
    assert!(refused(|state| state.slots.set(
        7,
        Some(Slot {
            region: Region::Vram,
            offset: u64::MAX,
            size: 2,
            bias: 0,
        })
    )));
    assert!(refused(|state| state.rom_mode = 148));
    assert!(!refused(|state| (state.mode, state.rom_mode) = (Mode::Compat, 1)));
    assert!(refused(|state| (state.mode, state.rom_mode) = (Mode::Compat, u32::MAX)));
    let biased = |region, bias| Slot {
        region,
        offset: 0,
        size: MIB,
        bias,
    };
    assert!(!refused(|state| state.slots.set(0, Some(biased(Region::Ram, 1 << 32)))));
    assert!(refused(|state| state.slots.set(0, Some(biased(Region::Ram, 1 << 48)))));
    assert!(refused(|state| state.slots.set(0, Some(biased(Region::Vram, 1 << 32)))));
    assert!(refused(|state| state.slots.set(3, Some(biased(Region::Ram, 4096)))));
    assert!(refused(|state| {
        let mut ring = ReleaseRing::new(0, None);
        let rig = Rig::new();
        ring.add(&rig.core.memory, Held { id: 1, body: nowhere });
        state.batch = ring.batch();
    }));
    assert!(refused(
        |state| state.surfaces[1].1.created_by = Some(Held { id: 1, body: nowhere })
    ));
    assert!(refused(|state| state.surfaces[1].0 = 1024));
    assert!(refused(|state| state.surfaces[1].0 = 0), "the primary twice");
    assert!(refused(|state| state.surfaces[1].1 = surface_at(16 * MIB - 4, 16)));
    assert!(
        refused(|state| state.surfaces[0].1 = surface_at(0, 2048)),
        "past the draw area"
    );
    assert!(
        !refused(|state| state.surfaces[1].1 = surface_at(0, 2048)),
        "fine for another"
    );
    assert!(refused(|state| {
        // All over the same memory, more than the device has.
        let surface = surface_at(0, 1024);
        state.surfaces.extend((10..20).map(|id| (id, surface.clone())));
    }));
}

#[test]
fn memory_of_another_size_is_refused() {
    let state = fresh().save();
    for (ram, vram) in [(8, 16), (32, 16), (16, 8), (16, 32)] {
        let args = QxlArgs {
            ram: SharedMemory::allocate("ram", ram * MIB).unwrap(),
            vram: SharedMemory::allocate("vram", vram * MIB).unwrap(),
            option_rom: None,
            drive: Drive::default(),
            ..args()
        };
        assert!(Qxl::restore(args, state.clone()).is_err(), "{ram} {vram}");
    }
    let secondary = QxlConfig {
        primary: false,
        ..config()
    };
    let args = QxlArgs {
        config: secondary,
        ..args()
    };
    let mut vga = state;
    vga.shape.primary = false;
    assert!(Qxl::restore(args, vga).is_err(), "no VGA mode on a second display");
}
