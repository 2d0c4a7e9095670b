//! What the tests share: a viewer that draws the simple operations, a device without threads, and a guest that speaks
//! to it through memory and ports only.

pub(crate) mod guest;
pub(crate) mod sink;

use std::sync::{Arc, Mutex};

use caraway_base::{irq::IrqLine, memory::SharedMemory};

use self::sink::TestSink;
use crate::{
    Qxl, QxlConfig, QxlSizes,
    core::{Core, PortEffect},
    header::{RamHeader, offset},
    interrupts, lock, ports,
    rom::{ROM_SIZE, Rom},
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
pub(crate) struct TestLine(Mutex<bool>);

impl TestLine {
    pub(crate) fn level(&self) -> bool {
        *lock(&self.0)
    }
}

impl IrqLine for TestLine {
    fn set(&self, asserted: bool) {
        *lock(&self.0) = asserted;
    }
}

/// The device without threads.
pub(crate) struct Rig {
    pub(crate) core: Arc<Core>,
    pub(crate) worker: Worker,
    pub(crate) sink: Arc<TestSink>,
    pub(crate) line: Arc<TestLine>,
    pub(crate) rom: SharedMemory,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: QxlConfig) -> Self {
        let memory = Qxl::allocate(&config).unwrap();
        let core = Arc::new(Core::new(config, memory));
        core.header.reset();
        let line = Arc::new(TestLine::default());
        core.interrupts.connect(line.clone());
        core.bar_moved(0, Some(BAR0));
        core.bar_moved(1, Some(BAR1));
        let rom = SharedMemory::allocate("rom", ROM_SIZE).unwrap();
        let sink = Arc::new(TestSink::default());
        Self {
            worker: Worker::new(
                core.clone(),
                Rom::new(rom.clone(), config.index, config.sizes),
                sink.clone(),
            ),
            core,
            sink,
            line,
            rom,
        }
    }

    /// Writes a port and lets the worker come to rest.
    pub(crate) fn out(&mut self, port: u8, value: u8) {
        let effect = self.core.port_write(port, value);
        if effect.wake {
            self.run();
        }
        if let Some(ticket) = effect.ticket {
            assert!(ticket.wait(std::time::Duration::ZERO), "port {port} is synchronous");
        }
    }

    /// Writes a port; the worker has not got to it yet.
    pub(crate) fn out_only(&mut self, port: u8, value: u8) -> PortEffect {
        self.core.port_write(port, value)
    }

    pub(crate) fn run(&mut self) {
        let mut steps = 0;
        while self.worker.step() == Step::Busy {
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
