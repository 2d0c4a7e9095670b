//! The bus as a guest sees it.

use std::{fmt::Write as _, sync::Arc};

use caraway_base::{
    address_space::{AddressSpace as _, Doorbell, Mapping, Space, Target},
    bus::{Outcome, value_of},
    memory::SharedMemory,
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{
    PlugError, Windows,
    function::{BarKind, BarSpec, Capability, EXPANSION_ROM, PciFunction as _},
    test_support::{Bench, Probe, Told},
};

const HIGH: u64 = 0x8_0000_0000;

fn windows() -> Windows {
    Windows::with_high(HIGH..HIGH + (32 << 30))
}

/// QXL at 1, virtio at 4, addresses assigned.
fn assigned() -> (Bench, Arc<Probe>, Arc<Probe>) {
    let bench = Bench::new();
    let (qxl, virtio) = (Arc::new(Probe::qxl()), Arc::new(Probe::virtio()));
    bench.bus.plug(1, qxl.clone()).unwrap();
    bench.bus.plug(4, virtio.clone()).unwrap();
    bench.bus.assign(windows()).unwrap();
    qxl.take();
    virtio.take();
    (bench, qxl, virtio)
}

/// Sizes a BAR as `pci_read_bases` does: decode off, all ones, read, restore.
fn size_of_bar(bench: &Bench, device: u8, bar: u8) -> u32 {
    let at = 0x10 + 4 * bar;
    let command = bench.config(device, 4, 2);
    bench.set_config(device, 4, 2, command & !3);
    let old = bench.config(device, at, 4);
    bench.set_config(device, at, 4, 0xffff_ffff);
    let mask = bench.config(device, at, 4);
    bench.set_config(device, at, 4, old);
    bench.set_config(device, 4, 2, command);
    mask as u32
}

fn lspci(bench: &Bench) -> String {
    let mut text = String::new();
    for device in 0..32 {
        let ids = bench.config(device, 0, 4);
        if ids == 0xffff_ffff {
            continue;
        }
        let _ = writeln!(
            text,
            "00:{device:02x}.0 {:04x}: {:04x}:{:04x} (rev {:02x}) subsystem {:04x}:{:04x}",
            bench.config(device, 0x0a, 2),
            ids & 0xffff,
            ids >> 16,
            bench.config(device, 8, 1),
            bench.config(device, 0x2c, 2),
            bench.config(device, 0x2e, 2),
        );
        let _ = writeln!(
            text,
            "  command {:04x} status {:04x} pin {} line {}",
            bench.config(device, 4, 2),
            bench.config(device, 6, 2),
            bench.config(device, 0x3d, 1),
            bench.config(device, 0x3c, 1),
        );
        for bar in 0..6 {
            let (value, mask) = (bench.config(device, 0x10 + 4 * bar, 4), size_of_bar(bench, device, bar));
            if mask != 0 {
                let _ = writeln!(text, "  bar {bar}: {value:08x} mask {mask:08x}");
            }
        }
        let mut next = bench.config(device, 0x34, 1) as u8;
        while next != 0 {
            let _ = writeln!(
                text,
                "  capability {next:02x}: id {:02x}",
                bench.config(device, next, 1)
            );
            next = bench.config(device, next + 1, 1) as u8;
        }
    }
    text
}

#[test]
fn a_guest_lists_what_is_plugged_in() {
    let (bench, ..) = assigned();
    let golden = "\
00:00.0 0600: 8086:29c0 (rev 00) subsystem 1af4:1100
  command 0000 status 0000 pin 0 line 0
00:01.0 0300: 1b36:0100 (rev 05) subsystem 1af4:1100
  command 0003 status 0000 pin 1 line 17
  bar 0: c0000000 mask fc000000
  bar 1: c4000000 mask fc000000
  bar 2: c8000000 mask ffffe000
  bar 3: 0000c001 mask ffffffe1
00:04.0 0100: 1af4:1042 (rev 01) subsystem 1af4:1100
  command 0002 status 0010 pin 1 line 16
  bar 1: c8002000 mask fffff000
  bar 4: 0000000c mask ffffc00c
  bar 5: 00000008 mask ffffffff
  capability 40: id 11
  capability 4c: id 09
";
    assert_eq!(lspci(&bench), golden);
}

#[test]
fn assigned_addresses_are_mapped_and_told_to_the_function() {
    let bench = Bench::new();
    let qxl = Arc::new(Probe::qxl());
    bench.bus.plug(1, qxl.clone()).unwrap();
    bench.bus.assign(windows()).unwrap();
    let moved = |bar, address| Told::Moved(bar, Some(address));
    assert_eq!(
        qxl.take(),
        [
            moved(0, 0xc000_0000),
            moved(1, 0xc400_0000),
            moved(2, 0xc800_0000),
            moved(3, 0xc000)
        ]
    );
    assert_eq!(bench.space.ranges(Space::Ports), [(0xc000, 0xc020)]);
    assert_eq!(bench.space.ranges(Space::Memory).len(), 3);
}

#[test]
fn register_accesses_reach_the_function_with_bar_and_offset() {
    let (bench, qxl, virtio) = assigned();
    bench.space.write(Space::Ports, 0xc004, 1, 7);
    assert_eq!(qxl.take(), [Told::Write(3, 4, 7)]);
    assert_eq!(bench.space.read(Space::Memory, HIGH + 0x100, 4), 0x5a5a_5a5a);
    assert_eq!(virtio.take(), [Told::Read(4, 0x100, 4)]);
}

#[test]
fn moving_a_bar_is_one_change_and_takes_its_doorbells_along() {
    let bench = Bench::new();
    let mut probe = Probe::qxl();
    let event = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let bell = Doorbell {
        offset: 0,
        width: 1,
        value: None,
        event,
    };
    probe.bells.push((3, bell));
    let probe = Arc::new(probe);
    bench.bus.plug(1, probe.clone()).unwrap();
    bench.bus.assign(windows()).unwrap();
    probe.take();
    let changes = bench.space.changes.load(std::sync::atomic::Ordering::Relaxed);
    bench.set_config(1, 0x1c, 4, 0xd040);
    assert_eq!(
        bench.space.changes.load(std::sync::atomic::Ordering::Relaxed),
        changes + 1
    );
    assert_eq!(bench.space.ranges(Space::Ports), [(0xd040, 0xd060)]);
    assert_eq!(bench.space.at(Space::Ports, 0xd040).unwrap().doorbells.len(), 1);
    assert_eq!(probe.take(), [Told::Moved(3, Some(0xd040))]);
}

#[test]
fn decode_bits_unmap_and_map_again_where_the_bar_points() {
    let (bench, qxl, _) = assigned();
    bench.set_config(1, 4, 2, 1);
    assert_eq!(bench.space.at(Space::Memory, 0xc000_0000).map(|m| m.range), None);
    assert_eq!(bench.space.ranges(Space::Ports), [(0xc000, 0xc020)]);
    bench.set_config(1, 0x10, 4, 0xe000_0000);
    bench.set_config(1, 4, 2, 7);
    assert!(bench.space.at(Space::Memory, 0xe000_0000).is_some());
    let told = qxl.take();
    assert_eq!(told.last(), Some(&Told::Moved(2, Some(0xc800_0000))));
    assert!(told.contains(&Told::Master(true)) && told.contains(&Told::Moved(0, None)));
}

#[test]
fn a_bar_outside_the_windows_or_on_another_does_not_answer_and_comes_back_when_there_is_room() {
    let (bench, qxl, _) = assigned();
    bench.set_config(1, 0x10, 4, 0x1000_0000);
    assert_eq!(qxl.take(), [Told::Moved(0, None)]);
    assert_eq!(bench.config(1, 0x10, 4), 0x1000_0000);
    assert_eq!(bench.bus.refused_placements(), 1);
    bench.set_config(1, 0x10, 4, 0xc400_0000);
    assert_eq!(bench.bus.refused_placements(), 2);
    assert_eq!(qxl.take(), []);
    bench.set_config(1, 0x14, 4, 0xd000_0000);
    assert_eq!(
        qxl.take(),
        [Told::Moved(1, Some(0xd000_0000)), Told::Moved(0, Some(0xc400_0000))]
    );
}

#[test]
fn a_bar_on_top_of_something_of_the_machine_does_not_answer() {
    let (bench, qxl, _) = assigned();
    let target = Target::Device(bench.bus.ecam());
    let doorbells = Vec::new();
    let mapping = Mapping {
        space: Space::Memory,
        range: 0xe000_0000..0xe000_1000,
        target,
        doorbells,
    };
    bench.space.change(&[], vec![mapping]).unwrap();
    bench.set_config(1, 0x10, 4, 0xe000_0000);
    assert_eq!(qxl.take(), [Told::Moved(0, None)]);
    bench.set_config(1, 0x10, 4, 0xe400_0000);
    assert_eq!(qxl.take(), [Told::Moved(0, Some(0xe400_0000))]);
}

#[test]
fn two_bars_can_change_places_through_a_third() {
    let (bench, ..) = assigned();
    bench.set_config(1, 0x10, 4, 0xd000_0000);
    bench.set_config(1, 0x14, 4, 0xc000_0000);
    bench.set_config(1, 0x10, 4, 0xc400_0000);
    let size = 64 << 20;
    let ranges = bench.space.ranges(Space::Memory);
    assert!(ranges.contains(&(0xc000_0000, 0xc000_0000 + size)) && ranges.contains(&(0xc400_0000, 0xc400_0000 + size)));
}

#[test]
fn wide_bars_size_and_move_in_both_halves() {
    let (bench, _, virtio) = assigned();
    bench.set_config(4, 4, 2, 0);
    bench.set_config(4, 0x20, 4, 0xffff_ffff);
    bench.set_config(4, 0x24, 4, 0xffff_ffff);
    assert_eq!(bench.config(4, 0x20, 4), 0xffff_c00c);
    assert_eq!(bench.config(4, 0x24, 4), 0xffff_ffff);
    bench.set_config(4, 0x20, 4, 0x1234_4000);
    bench.set_config(4, 0x24, 4, 0xc);
    virtio.take();
    bench.set_config(4, 4, 2, 2);
    assert!(virtio.take().contains(&Told::Moved(4, Some(0xc_1234_4000))));
}

#[test]
fn the_address_register_wants_double_words_and_leaves_cf9_alone() {
    let (bench, ..) = assigned();
    bench.out(0xcf8, 4, 0xffff_ffff);
    assert_eq!(bench.input(0xcf8, 4), 0x80ff_fffc);
    bench.out(0xcf9, 1, 0x06);
    bench.out(0xcfb, 1, 0x01);
    bench.out(0xcf8, 2, 0);
    assert_eq!(bench.input(0xcf8, 4), 0x80ff_fffc);
    assert_eq!(bench.input(0xcf9, 1), 0xff);
    bench.out(0xcf8, 4, 0);
    assert_eq!(bench.input(0xcfc, 4), 0xffff_ffff);
    assert_eq!(bench.config(1, 2, 2), 0x0100);
    assert_eq!(bench.config(1, 9, 1), 0);
    assert_eq!(bench.config(1, 0xb, 1), 3);
}

#[test]
fn absent_devices_functions_and_buses_read_ones() {
    let (bench, ..) = assigned();
    assert_eq!(bench.config(2, 0, 4), 0xffff_ffff);
    for address in [0x8001_0800u64, 0x8000_0900] {
        bench.out(0xcf8, 4, address);
        assert_eq!(bench.input(0xcfc, 4), 0xffff_ffff);
        bench.out(0xcfc, 4, 0);
    }
}

#[test]
fn ecam_shows_the_same_registers_and_nothing_past_byte_255() {
    let (bench, ..) = assigned();
    let ecam = bench.bus.ecam();
    let read = |offset, width| {
        let mut data = vec![0xff; width];
        ecam.read(offset, &mut data);
        value_of(&data)
    };
    assert_eq!(read(1 << 15, 4), 0x0100_1b36);
    assert_eq!(read(1 << 15 | 0x10, 8), 0xc400_0000_c000_0000);
    assert_eq!(read(1 << 15 | 0x100, 4), 0xffff_ffff);
    assert_eq!(read(1 << 15 | 0xffe, 4), 0xffff_ffff);
    assert_eq!(read(1 << 15 | 1 << 12, 4), 0xffff_ffff);
    assert_eq!(read(1 << 20, 4), 0xffff_ffff);
    assert_eq!(read(1 << 28, 4), 0xffff_ffff);
    assert_eq!(ecam.write(1 << 15 | 0x3c, &[11]), Outcome::Done);
    assert_eq!(bench.config(1, 0x3c, 1), 11);
}

#[test]
fn ids_class_pin_and_an_absent_rom_cannot_be_written() {
    let (bench, ..) = assigned();
    for at in [0x00, 0x08, 0x0c, 0x28, 0x2c, 0x30, 0x34] {
        let before = bench.config(1, at, 4);
        bench.set_config(1, at, 4, 0xffff_ffff);
        assert_eq!(bench.config(1, at, 4), before);
    }
    bench.set_config(1, 0x3c, 4, 0xffff_ffff);
    assert_eq!(bench.config(1, 0x3c, 4), 0x01ff);
    assert_eq!(bench.config(1, 0x30, 4), 0);
}

#[test]
fn intx_follows_command_bit_10_and_shows_in_the_status_register() {
    let (bench, qxl, _) = assigned();
    let line = qxl.line();
    line.set(true);
    assert!(bench.lines[1].level());
    assert_eq!(bench.config(1, 6, 2), 8);
    assert_eq!(bench.config(1, 4, 4), 0x0008_0003);
    bench.set_config(1, 4, 2, 0x403);
    assert!(!bench.lines[1].level());
    assert_eq!(bench.config(1, 6, 2), 8);
    bench.set_config(1, 4, 2, 3);
    assert!(bench.lines[1].level());
    line.set(false);
    assert!(!bench.lines[1].level());
    assert_eq!(bench.config(1, 6, 2), 0);
}

#[test]
fn vendor_capabilities_are_answered_by_the_function() {
    let (bench, _, virtio) = assigned();
    assert_eq!(bench.config(4, 0x4c, 4), 0x8190_0009);
    bench.set_config(4, 0x58, 4, 0x4433_2211);
    assert_eq!(virtio.take(), [Told::ConfigWrite(0x58, vec![0x11, 0x22, 0x33, 0x44])]);
    bench.set_config(4, 0x4c, 4, 0x4433_2211);
    assert_eq!(virtio.take(), [Told::ConfigWrite(0x4e, vec![0x33, 0x44])]);
}

#[test]
fn reset_goes_back_to_what_was_assigned() {
    let (bench, ..) = assigned();
    let (listing, ranges) = (lspci(&bench), bench.space.ranges(Space::Memory));
    bench.set_config(1, 0x10, 4, 0xe000_0000);
    bench.set_config(1, 0x14, 4, 0xc000_0000);
    bench.set_config(4, 4, 2, 0x404);
    bench.set_config(4, 0x42, 2, 0x8000);
    bench.bus.reset();
    assert_eq!(lspci(&bench), listing);
    assert_eq!(bench.space.ranges(Space::Memory), ranges);
}

#[test]
fn what_cannot_be_is_refused_when_plugging() {
    let bench = Bench::new();
    let plug = |device, probe: Probe| bench.bus.plug(device, Arc::new(probe));
    assert!(matches!(
        plug(32, Probe::qxl()),
        Err(PlugError::Number { device: 32, number: 0 })
    ));
    assert!(matches!(
        plug(0, Probe::qxl()),
        Err(PlugError::Taken { device: 0, number: 0 })
    ));
    let identity = Probe::qxl().identity;
    let bad = |spec: BarSpec| plug(1, Probe::new(identity, vec![spec], Vec::new()));
    let registers = BarSpec {
        index: 0,
        size: 4096,
        wide: false,
        prefetchable: false,
        kind: BarKind::Registers,
    };
    for spec in [
        BarSpec {
            size: 3000,
            ..registers.clone()
        },
        BarSpec {
            size: 8,
            ..registers.clone()
        },
        BarSpec {
            size: 1 << 32,
            ..registers.clone()
        },
        BarSpec {
            index: 6,
            ..registers.clone()
        },
        BarSpec {
            index: 5,
            wide: true,
            ..registers.clone()
        },
        BarSpec {
            size: 512,
            kind: BarKind::Ports,
            ..registers.clone()
        },
    ] {
        assert!(matches!(bad(spec), Err(PlugError::Bar { device: 1, .. })));
    }
    let twice = vec![
        BarSpec {
            wide: true,
            ..registers.clone()
        },
        BarSpec {
            index: 1,
            ..registers.clone()
        },
    ];
    assert!(plug(1, Probe::new(identity, twice, Vec::new())).is_err());
    for capability in [
        Capability::MsiX { vectors: 0, bar: 0 },
        Capability::MsiX { vectors: 129, bar: 0 },
        Capability::MsiX { vectors: 1, bar: 1 },
        Capability::Vendor { body: vec![9, 0] },
        Capability::Vendor { body: Vec::new() },
    ] {
        assert!(plug(1, Probe::new(identity, vec![registers.clone()], vec![capability])).is_err());
    }
    plug(1, Probe::qxl()).unwrap();
}

#[test]
fn a_full_window_is_an_error() {
    let bench = Bench::new();
    bench.bus.plug(1, Arc::new(Probe::qxl())).unwrap();
    let windows = Windows {
        low: 0xc000_0000..0xc400_0000,
        ..Windows::default()
    };
    assert!(bench.bus.assign(windows).is_err());
}

#[test]
fn functions_of_one_device_are_found_and_share_its_line() {
    let bench = Bench::new();
    let (first, second) = (Arc::new(Probe::qxl()), Arc::new(Probe::qxl()));
    bench.bus.plug(2, first.clone()).unwrap();
    assert_eq!(bench.config(2, 0x0e, 1), 0);
    bench.bus.plug_at(2, 1, second.clone()).unwrap();
    bench.bus.assign(windows()).unwrap();
    let (zero, one) = (2, 2 | 1 << 5);
    for function in [zero, one] {
        assert_eq!(bench.config(function, 0, 4), 0x0100_1b36);
        assert_eq!(bench.config(function, 0x0e, 1), 0x80);
        assert_eq!(bench.config(function, 0x3c, 2), 0x0112, "INTA# on GSI 18");
    }
    assert_eq!(bench.config(2 | 2 << 5, 0, 4), 0xffff_ffff);
    first.line().set(true);
    second.line().set(true);
    first.line().set(false);
    assert!(bench.lines[2].level());
    assert_eq!(bench.config(zero, 6, 1) & 8, 0);
    assert_eq!(bench.config(one, 6, 1) & 8, 8);
    let taken = bench.bus.plug_at(2, 1, Arc::new(Probe::qxl()));
    assert!(matches!(taken, Err(PlugError::Taken { device: 2, number: 1 })));
    let number = bench.bus.plug_at(2, 8, Arc::new(Probe::qxl()));
    assert!(matches!(number, Err(PlugError::Number { device: 2, number: 8 })));
}

#[test]
fn an_expansion_rom_answers_once_it_is_enabled() {
    let mut bars = Probe::qxl().bars();
    bars.push(BarSpec {
        index: EXPANSION_ROM,
        size: 65536,
        wide: false,
        prefetchable: false,
        kind: BarKind::Memory {
            memory: SharedMemory::allocate("rom", 65536).unwrap(),
            offset: 0,
            read_only: true,
            log_dirty: false,
        },
    });
    let bench = Bench::new();
    let function = Arc::new(Probe::new(Probe::qxl().identity(), bars, Vec::new()));
    bench.bus.plug(1, function.clone()).unwrap();
    bench.bus.assign(windows()).unwrap();
    function.take();
    let address = bench.config(1, 0x30, 4);
    assert_eq!(address, 0xc800_0000, "assigned, not enabled");
    assert!(bench.space.at(Space::Memory, address).is_none());

    bench.set_config(1, 0x30, 4, 0xffff_ffff);
    assert_eq!(bench.config(1, 0x30, 4), 0xffff_0001);
    bench.set_config(1, 0x30, 4, 0xd000_0001);
    assert_eq!(function.take(), [Told::Moved(EXPANSION_ROM, Some(0xd000_0000))]);
    let mapping = bench.space.at(Space::Memory, 0xd000_0000).unwrap();
    assert!(matches!(mapping.target, Target::Memory { read_only: true, .. }));

    bench.set_config(1, 4, 2, 1);
    assert!(
        bench.space.at(Space::Memory, 0xd000_0000).is_none(),
        "memory decode is off"
    );
}

#[test]
fn a_function_reads_the_dirty_log_of_where_its_bar_is_now() {
    let (bench, qxl, _) = assigned();
    let first = qxl.log(0).unwrap();
    bench.set_config(1, 0x10, 4, 0xd000_0000);
    let second = qxl.log(0).unwrap();
    assert_ne!(first, second);
    assert!(qxl.log(3).is_none(), "ports have none");
    bench.set_config(1, 4, 2, 0);
    assert!(qxl.log(0).is_none());
}
