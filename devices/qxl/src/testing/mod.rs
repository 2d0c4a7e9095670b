//! What the tests share: a viewer that draws the simple operations, a device without threads, and a guest that speaks
//! to it through memory and ports only.

pub(crate) mod guest;
pub(crate) mod sink;
mod whole;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use caraway_base::{irq::IrqLine, memory::SharedMemory};
use caraway_pci::function::{BarKind, PciFunction as _, PciInterrupts};

use self::sink::TestSink;
use crate::{
    Qxl, QxlConfig, QxlSizes,
    core::{Core, PortEffect},
    header::{RamHeader, offset},
    interrupts, lock, ports,
    worker::{Step, Worker},
};

pub(crate) const BAR0: u64 = 0xc000_0000;
pub(crate) const BAR1: u64 = 0xd000_0000;
const MIB: u64 = 1 << 20;

/// A small device: 8 MiB draw area, 16 MiB RAM, 16 MiB VRAM.
pub(crate) fn config() -> QxlConfig {
    QxlConfig {
        sizes: QxlSizes::new(8 * MIB, 16 * MIB, 16 * MIB, None).unwrap(),
        ..QxlConfig::default()
    }
}

#[derive(Debug, Default)]
pub(crate) struct TestLine {
    level: Mutex<bool>,
    changed: Condvar,
}

impl TestLine {
    pub(crate) fn level(&self) -> bool {
        *lock(&self.level)
    }

    /// Waits until the line is up. Whether it came up within `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let waiting = self
            .changed
            .wait_timeout_while(lock(&self.level), limit, |level| !*level);
        *waiting.unwrap().0
    }
}

impl IrqLine for TestLine {
    fn set(&self, asserted: bool) {
        *lock(&self.level) = asserted;
        self.changed.notify_all();
    }
}

/// The device with its display thread not started or parked: the test is the worker.
pub(crate) struct Rig {
    pub(crate) device: Qxl,
    pub(crate) core: Arc<Core>,
    pub(crate) sink: Arc<TestSink>,
    pub(crate) line: Arc<TestLine>,
    pub(crate) rom: SharedMemory,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: QxlConfig) -> Self {
        let config = config.checked().unwrap();
        let memory = Qxl::allocate(&config).unwrap();
        let sink = Arc::new(TestSink::default());
        let device = Qxl::assemble(config, memory, sink.clone()).unwrap();
        device.shared().core.header.reset();
        Self::of(device, sink)
    }

    /// Plugs the device in, which must not run by itself.
    pub(crate) fn of(device: Qxl, sink: Arc<TestSink>) -> Self {
        let core = device.shared().core.clone();
        let line = Arc::new(TestLine::default());
        device.plugged(PciInterrupts {
            intx: Some(line.clone()),
            msix: Vec::new(),
            msix_enabled: Arc::default(),
        });
        device.bar_moved(0, Some(BAR0));
        device.bar_moved(1, Some(BAR1));
        let rom = device.bars().into_iter().find_map(|bar| match bar.kind {
            BarKind::Memory { memory, .. } if bar.index == 2 => Some(memory),
            _ => None,
        });
        Self {
            device,
            core,
            sink,
            line,
            rom: rom.unwrap(),
        }
    }

    pub(crate) fn worker(&self) -> MutexGuard<'_, Worker> {
        lock(&self.device.shared().worker)
    }

    /// Writes a port and lets the worker come to rest.
    pub(crate) fn out(&mut self, port: u8, value: u8) {
        let effect = self.core.port_write(port, value);
        if effect.wake {
            self.run();
        }
        if let Some(ticket) = effect.ticket {
            assert!(ticket.wait(Duration::ZERO), "port {port} is synchronous");
        }
    }

    /// Writes a port; the worker has not got to it yet.
    pub(crate) fn out_only(&mut self, port: u8, value: u8) -> PortEffect {
        self.core.port_write(port, value)
    }

    pub(crate) fn run(&mut self) {
        let mut steps = 0;
        while self.worker().step() == Step::Busy {
            steps += 1;
            assert!(steps < 100_000, "the worker does not come to rest");
        }
    }

    pub(crate) fn header(&self) -> &RamHeader {
        &self.core.header
    }

    pub(crate) fn pending(&self) -> u32 {
        self.header().load(offset::INT_PENDING)
    }

    /// Reads and clears the pending bits as an interrupt handler does, and lets the line settle.
    pub(crate) fn take_pending(&mut self) -> u32 {
        let base = self.core.config.sizes.ram_header();
        let bits = self.core.memory.ram.swap_u32(base + offset::INT_PENDING, 0).unwrap();
        self.out(ports::UPDATE_IRQ, 0);
        bits
    }

    /// An asynchronous port that must complete without complaint.
    pub(crate) fn async_out(&mut self, port: u8, value: u8) {
        self.take_pending();
        self.out(port, value);
        let bits = self.take_pending();
        assert_eq!(
            bits & (interrupts::IO_COMMAND | interrupts::ERROR),
            interrupts::IO_COMMAND,
            "port {port}"
        );
    }

    pub(crate) fn frozen(&self) -> bool {
        self.core.front().guest_bug
    }

    pub(crate) fn vram(&self) -> &SharedMemory {
        &self.core.memory.vram
    }

    pub(crate) fn ram(&self) -> &SharedMemory {
        &self.core.memory.ram
    }
}
