//! What a PCI function tells the bus and what it is told. Config space, BARs, MSI-X and INTx are handled once, by the
//! bus; a device sees its own register accesses only.

use std::sync::Arc;

use caraway_base::{
    address_space::{DirtyLog, Doorbell},
    bus::Outcome,
    irq::{IrqLine, MsiVector},
    memory::SharedMemory,
};

/// Ids and class, read-only to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciIdentity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision id.
    pub revision: u8,
    /// Class, subclass, programming interface.
    pub class: [u8; 3],
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
    /// Whether it uses INTA#.
    pub intx: bool,
}

/// What a BAR leads to.
#[derive(Clone, Debug)]
pub enum BarKind {
    /// I/O ports; accesses are calls.
    Ports,
    /// Registers in memory space; accesses are calls.
    Registers,
    /// Memory the guest reaches without an exit.
    Memory {
        /// The backing, from `offset` on.
        memory: SharedMemory,
        /// Start in the backing.
        offset: u64,
        /// Guest writes are dropped.
        read_only: bool,
        /// Keep KVM's dirty log.
        log_dirty: bool,
    },
}

/// Index of the expansion ROM's base address register among the BARs.
pub const EXPANSION_ROM: u8 = 6;

/// One BAR.
#[derive(Clone, Debug)]
pub struct BarSpec {
    /// 0 to 5; a 64-bit BAR takes the next one too. [`EXPANSION_ROM`] is the expansion ROM's: read-only memory that
    /// answers once the guest sets its enable bit.
    pub index: u8,
    /// Bytes, a power of two; at least 4 for ports, 16 for registers, 4096 for memory.
    pub size: u64,
    /// 64-bit address.
    pub wide: bool,
    /// Prefetchable.
    pub prefetchable: bool,
    /// What is behind it.
    pub kind: BarKind,
}

/// A capability in config space.
#[derive(Clone, Debug)]
pub enum Capability {
    /// MSI-X with this many vectors. Table and PBA live in the `Registers` BAR `bar`, at offsets 0 and 2048 of the
    /// BAR; the bus answers there and the device never sees those accesses. The BAR is at least 4096 bytes, for at
    /// most 128 vectors, and holds nothing else.
    MsiX { vectors: u16, bar: u8 },
    /// Vendor specific (id 9): everything after the id and next bytes, so `body[0]` is the length byte, which counts
    /// id and next too.
    Vendor { body: Vec<u8> },
}

/// How a function interrupts, given to it once when it is plugged in.
#[derive(Clone)]
pub struct PciInterrupts {
    /// INTA#, if the identity asked for it. The bus gates it with command bit 10 and shows it in the status register.
    pub intx: Option<Arc<dyn IrqLine>>,
    /// The MSI-X vectors, if the capability is there. Usable while [`PciInterrupts::msix_enabled`] says so.
    pub msix: Vec<Arc<dyn MsiVector>>,
    /// Whether the guest has enabled MSI-X (INTx must stay quiet then).
    pub msix_enabled: Arc<std::sync::atomic::AtomicBool>,
}

impl std::fmt::Debug for PciInterrupts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PciInterrupts")
            .field("intx", &self.intx.is_some())
            .field("msix", &self.msix.len())
            .finish_non_exhaustive()
    }
}

/// A PCI function. Called on vCPU threads; short locks only.
pub trait PciFunction: Send + Sync {
    /// Ids and class.
    fn identity(&self) -> PciIdentity;

    /// The BARs; asked once.
    fn bars(&self) -> Vec<BarSpec>;

    /// Capabilities in the order they are to appear; asked once.
    fn capabilities(&self) -> Vec<Capability> {
        Vec::new()
    }

    /// Doorbells within a BAR; asked once. They follow the BAR when it moves.
    fn doorbells(&self, _bar: u8) -> Vec<Doorbell> {
        Vec::new()
    }

    /// Called once, before the machine starts.
    fn plugged(&self, interrupts: PciInterrupts);

    /// The guest reads a register of a `Ports` or `Registers` BAR; `data` is all ones before.
    fn bar_read(&self, bar: u8, offset: u64, data: &mut [u8]);

    /// The guest writes a register of a `Ports` or `Registers` BAR.
    fn bar_write(&self, bar: u8, offset: u64, data: &[u8]) -> Outcome;

    /// The dirty log of a memory BAR that keeps one, each time the BAR is mapped; `None` once it is unmapped. Told before
    /// [`PciFunction::bar_moved`].
    fn bar_logged(&self, _bar: u8, _log: Option<DirtyLog>) {}

    /// A BAR was mapped at an address or unmapped.
    fn bar_moved(&self, _bar: u8, _address: Option<u64>) {}

    /// The guest changed bus mastering; while off the function must not touch guest RAM.
    fn bus_master(&self, _enabled: bool) {}

    /// The guest reads config space at `offset` (64 to 255) inside a vendor capability; `data` holds what the bus has.
    fn config_read(&self, _offset: u8, _data: &mut [u8]) {}

    /// The guest wrote config space inside a vendor capability; the bus has stored nothing.
    fn config_write(&self, _offset: u8, _data: &[u8]) -> Outcome {
        Outcome::Done
    }
}
