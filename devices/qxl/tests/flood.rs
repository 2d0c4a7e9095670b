//! A running device from outside: memory through its BARs, ports through the bus. A guest that floods it with doorbells,
//! port writes and commands stops neither the device nor the machine.
#![allow(clippy::unwrap_used)] // Helpers are tests too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bytes::Bytes;
use caraway_base::{irq::IrqLine, lifecycle::Lifecycle as _, memory::SharedMemory};
use caraway_pci::function::{BarKind, PciFunction as _, PciInterrupts};
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, Pixels},
    drawing::SurfaceFormat,
    geometry::Rect,
};
use caraway_qxl::{Qxl, QxlConfig, QxlSizes};

const MIB: u64 = 1 << 20;
const BAR0: u64 = 0xc000_0000;
/// Offsets in the RAM header.
const COMMAND_RING: u64 = 0x100c;
const UPDATE_AREA_ARGUMENT: u64 = 0x1488;
const SLOT_ARGUMENT: u64 = 0x149c;
const PRIMARY_ARGUMENT: u64 = 0x14ac;
/// Ports.
const UPDATE_AREA: u64 = 2;
const RESET: u64 = 5;
const ADD_SLOT: u64 = 8;
const CREATE_PRIMARY: u64 = 12;

/// A viewer whose screen is all one colour.
struct White;

impl DisplaySink for White {
    fn submit(&self, _: DisplayCommand) {}

    fn read(&self, _: u32, area: Rect) -> Option<Pixels> {
        let (width, height) = (area.width(), area.height());
        Some(Pixels {
            format: SurfaceFormat::Xrgb,
            width,
            height,
            stride: 4 * width,
            data: Bytes::from(vec![0xff; 4 * width as usize * height as usize]),
        })
    }
}

#[derive(Debug)]
struct NoLine;

impl IrqLine for NoLine {
    fn set(&self, _: bool) {}
}

struct Guest {
    device: Arc<Qxl>,
    ram: SharedMemory,
    header: u64,
}

impl Guest {
    fn new() -> Self {
        let config = QxlConfig {
            sizes: QxlSizes::new(8 * MIB, 16 * MIB, 16 * MIB, None).unwrap(),
            ..QxlConfig::default()
        };
        let device = Qxl::new(config, Arc::new(White)).unwrap();
        device.plugged(PciInterrupts {
            intx: Some(Arc::new(NoLine)),
            msix: Vec::new(),
            msix_enabled: Arc::default(),
        });
        device.bar_moved(0, Some(BAR0));
        let memory = |index| {
            device.bars().into_iter().find_map(|bar| match bar.kind {
                BarKind::Memory { memory, .. } if bar.index == index => Some(memory),
                _ => None,
            })
        };
        let (ram, rom) = (memory(0).unwrap(), memory(2).unwrap());
        let header = u64::from(rom.load_u32(0x2c).unwrap());
        let guest = Self { device, ram, header };
        guest.start();
        guest
    }

    fn out(&self, port: u64, value: u8) {
        self.device.bar_write(3, port, &[value]);
    }

    fn argument(&self, at: u64, words: &[u64]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.ram.write(self.header + at, &bytes).unwrap();
    }

    fn start(&self) {
        self.out(RESET, 0);
        self.argument(SLOT_ARGUMENT, &[BAR0, BAR0 + self.header]);
        self.out(ADD_SLOT, 1);
        // 64x64 pixels of 32 bits at the start of RAM.
        self.argument(PRIMARY_ARGUMENT, &[64 | 64 << 32, 256 | 32 << 32, 0, 0, 1 << 56]);
        self.out(CREATE_PRIMARY, 0);
    }

    /// Fills the command ring with one fill, again and again. Nothing is taken back.
    fn refill(&self) {
        let body = 8 * MIB;
        let mut fill = [0_u8; 191];
        (fill[0], fill[0x0d]) = (1, 1);
        (fill[0x27], fill[0x2b]) = (8, 8);
        fill[0x3f..0x4b].fill(0xff);
        (fill[0x7b], fill[0x8f]) = (1, 8);
        self.ram.write(body, &fill).unwrap();
        for item in 0..32 {
            self.argument(COMMAND_RING + 0x14 + 16 * item, &[body | 1 << 56, 1]);
        }
        let consumer = self.ram.load_u32(self.header + COMMAND_RING + 0x0c).unwrap();
        let producer = consumer.wrapping_add(32);
        self.ram.store_u32(self.header + COMMAND_RING + 4, producer).unwrap();
    }

    /// Whether a synchronous update reaches memory, which it does when everything before it is done.
    fn draws(&self) -> bool {
        self.ram.write(0, &[0; 4]).unwrap();
        self.refill();
        self.argument(UPDATE_AREA_ARGUMENT, &[0, 1 | 1 << 32, 0]);
        self.out(UPDATE_AREA, 0);
        self.ram.load_u32(0).unwrap() == u32::MAX
    }
}

#[test]
fn memory_is_behind_the_bars_and_a_synchronous_port_waits_for_what_was_pushed() {
    let guest = Guest::new();
    assert!(guest.draws());
    let counters = guest.device.counters();
    assert_eq!((counters.commands, counters.dropped, counters.guest_bugs), (32, 0, 0));
}

#[test]
fn a_storm_of_doorbells_and_port_writes_ends_in_a_device_that_draws() {
    let guest = Guest::new();
    thread::scope(|scope| {
        for bell in guest.device.doorbells(3) {
            scope.spawn(move || {
                for _ in 0..50_000 {
                    bell.event.write(1).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..5_000 {
                // Doorbells, interrupt update, out of memory, log, flush of the release ring.
                for port in [0, 1, 3, 4, 7, 23] {
                    guest.out(port, 0xff);
                }
            }
        });
    });
    assert!(guest.draws());
    let counters = guest.device.counters();
    assert_eq!(counters.guest_bugs, 0, "none of that is a breach");
    assert_eq!(counters.log_lines + counters.log_suppressed, 5_000);
    assert!(counters.log_suppressed > 0, "the log is limited");
}

#[test]
fn a_guest_that_never_stops_pushing_holds_up_neither_pause_nor_reset() {
    let guest = Guest::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let bells = guest.device.doorbells(3);
            while !stop.load(Ordering::Relaxed) {
                guest.refill();
                bells[0].event.write(1).unwrap();
            }
        });
        let mut before = 0;
        for _ in 0..50 {
            guest.device.pause();
            guest.device.resume();
            while guest.device.counters().commands == before {
                thread::yield_now();
            }
            before = guest.device.counters().commands;
        }
        // A reset under way may meet indices from before it, which is a breach the next reset heals.
        for _ in 0..50 {
            guest.out(RESET, 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(guest.device.counters().timeouts, 0);
    guest.start();
    assert!(guest.draws());
}
