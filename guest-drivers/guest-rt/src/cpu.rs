//! The services of ring 0: port I/O, one access or many at once, and waiting for events.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A tick of the timer ([`crate::irq::start_ticks`]).
pub const EVENT_TICK: u32 = 1;
/// The keyboard half of the i8042 has interrupted.
pub const EVENT_KEYBOARD: u32 = 2;
/// The mouse half of the i8042 has interrupted.
pub const EVENT_MOUSE: u32 = 4;
/// The first serial port has interrupted.
pub const EVENT_SERIAL: u32 = 8;
/// The VDIPort has interrupted.
pub const EVENT_VDIPORT: u32 = 1 << VDIPORT_SHIFT;
/// Pending bits of the first QXL device appear as events from this bit on.
pub const EVENT_QXL_SHIFT: u32 = 8;
/// QXL devices the interrupt entry looks at.
pub const QXL_DEVICES: usize = 4;
/// Pending bits of a QXL device; those of the next one follow.
const QXL_BITS: u32 = 6;
const VDIPORT_SHIFT: u32 = 4;
/// Devices of PCI lines the interrupt entry looks at: QXL devices, then the VDIPort.
const PCI_SOURCES: usize = QXL_DEVICES + 1;
/// In the port of a source: UPDATE_IRQ is 32 bits wide, not 8.
const WIDE_PORT: u32 = 1 << 16;

// Shared with ring0.s, which sets bits, counts ticks and reads where devices of PCI lines are.

/// Events that have not been taken yet.
// SAFETY: the runtime's own name, used by ring0.s only.
#[unsafe(no_mangle)]
static GUEST_EVENTS: AtomicU32 = AtomicU32::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static GUEST_TICKS: AtomicU64 = AtomicU64::new(0);
/// Interrupts of PCI lines, and those among them that were nobody's: right after an owner's, or not.
// SAFETY: as above.
#[unsafe(no_mangle)]
static GUEST_PCI_INTERRUPTS: AtomicU64 = AtomicU64::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static GUEST_PCI_ECHOES: AtomicU64 = AtomicU64::new(0);
// SAFETY: as above.
#[unsafe(no_mangle)]
static GUEST_PCI_UNCLAIMED: AtomicU64 = AtomicU64::new(0);
/// The devices that are looked at.
// SAFETY: as above.
#[unsafe(no_mangle)]
static GUEST_PCI_SOURCES: [PciSource; PCI_SOURCES] = [const { PciSource::new() }; PCI_SOURCES];

/// Where the interrupt entry finds a device. ring0.s knows this layout.
#[derive(Debug)]
#[repr(C)]
struct PciSource {
    /// Address of int_pending; 0 while there is no device.
    pending: AtomicU64,
    /// Number of the UPDATE_IRQ port, and [`WIDE_PORT`] if it is.
    port: AtomicU32,
    /// Event bit of pending bit 0.
    shift: AtomicU32,
}

impl PciSource {
    const fn new() -> Self {
        Self {
            pending: AtomicU64::new(0),
            port: AtomicU32::new(0),
            shift: AtomicU32::new(0),
        }
    }

    fn attach(&self, pending: u64, port: u32, shift: u32) {
        self.port.store(port, Ordering::Release);
        self.shift.store(shift, Ordering::Release);
        self.pending.store(pending, Ordering::Release);
    }
}

/// Event bit of pending bit 0 of QXL device number `device`.
pub const fn qxl_shift(device: usize) -> u32 {
    EVENT_QXL_SHIFT + QXL_BITS * device as u32
}

/// Interrupts of PCI lines so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciInterrupts {
    /// All of them.
    pub all: u64,
    /// Those right after a device's own for which none had anything pending. A host that ends interrupts when it delivers
    /// them makes one of each interrupt, because the line is still up then.
    pub echoes: u64,
    /// The other ones for which no device had anything pending.
    pub unclaimed: u64,
}

/// Interrupts of PCI lines so far.
pub fn pci_interrupts() -> PciInterrupts {
    PciInterrupts {
        all: GUEST_PCI_INTERRUPTS.load(Ordering::Acquire),
        echoes: GUEST_PCI_ECHOES.load(Ordering::Acquire),
        unclaimed: GUEST_PCI_UNCLAIMED.load(Ordering::Acquire),
    }
}

const SERVICE_IN8: u32 = 0;
const SERVICE_IN16: u32 = 1;
const SERVICE_IN32: u32 = 2;
const SERVICE_OUT8: u32 = 3;
const SERVICE_OUT16: u32 = 4;
const SERVICE_OUT32: u32 = 5;
const SERVICE_WAIT: u32 = 6;
const SERVICE_BATCH: u32 = 7;

fn service(number: u32, first: u32, second: u32) -> u32 {
    let result: u32;
    // SAFETY: ring 0 changes only the registers named here and touches no memory of ring 3 but the cells above; what
    // a port write makes a device do is the caller's business, as with any device register.
    unsafe {
        asm!("int3", inlateout("eax") number => result, in("edi") first, in("esi") second,
            lateout("rcx") _, lateout("rdx") _, lateout("r11") _);
    }
    result
}

/// Reads a byte from a port.
pub fn in8(port: u16) -> u8 {
    service(SERVICE_IN8, port.into(), 0) as u8
}

/// Reads a word from a port.
pub fn in16(port: u16) -> u16 {
    service(SERVICE_IN16, port.into(), 0) as u16
}

/// Reads a doubleword from a port.
pub fn in32(port: u16) -> u32 {
    service(SERVICE_IN32, port.into(), 0)
}

/// Writes a byte to a port.
pub fn out8(port: u16, value: u8) {
    service(SERVICE_OUT8, port.into(), value.into());
}

/// Writes a word to a port.
pub fn out16(port: u16, value: u16) {
    service(SERVICE_OUT16, port.into(), value.into());
}

/// Writes a doubleword to a port.
pub fn out32(port: u16, value: u32) {
    service(SERVICE_OUT32, port.into(), value);
}

/// What a port access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PortOperation {
    /// Reads a byte.
    In8 = 0,
    /// Reads a word.
    In16 = 1,
    /// Reads a doubleword.
    In32 = 2,
    /// Writes a byte.
    Out8 = 3,
    /// Writes a word.
    Out16 = 4,
    /// Writes a doubleword.
    Out32 = 5,
}

/// One of many port accesses ([`batch`]). ring0.s knows this layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct PortAccess {
    port: u16,
    operation: PortOperation,
    unused: u8,
    value: u32,
}

impl PortAccess {
    /// A read, or a write of the low bytes of `value`.
    pub const fn new(port: u16, operation: PortOperation, value: u32) -> Self {
        Self {
            port,
            operation,
            unused: 0,
            value,
        }
    }

    /// What was written or, after [`batch`], read.
    pub const fn value(self) -> u32 {
        self.value
    }
}

/// Makes many port accesses, in order, for the price of one call. No interrupt is taken meanwhile.
pub fn batch(accesses: &mut [PortAccess]) {
    let at = accesses.as_mut_ptr() as usize;
    if u32::try_from(at + size_of_val(accesses)).is_err() {
        return;
    }
    // SAFETY: ring 0 reads and writes the elements at `at`, which are borrowed here and lie below 4 GiB; it
    // changes only the registers named.
    unsafe {
        asm!("int3", inlateout("rax") u64::from(SERVICE_BATCH) => _, inlateout("rdi") at => _,
            inlateout("rsi") accesses.len() => _,
            lateout("rcx") _, lateout("rdx") _, lateout("r11") _);
    }
}

/// Halts until at least one event of `mask` is pending, and takes those of `mask`. Others stay for a later call.
pub fn wait(mask: u32) -> u32 {
    service(SERVICE_WAIT, mask, 0);
    take(mask)
}

/// Takes the pending events of `mask` without waiting.
pub fn take(mask: u32) -> u32 {
    GUEST_EVENTS.fetch_and(!mask, Ordering::AcqRel) & mask
}

/// Ticks since [`crate::irq::start_ticks`].
pub fn ticks() -> u64 {
    GUEST_TICKS.load(Ordering::Acquire)
}

/// Halts for good; interrupts are still acknowledged.
pub fn halt() -> ! {
    loop {
        service(SERVICE_WAIT, 0, 0);
    }
}

/// Has the interrupt entry collect and acknowledge the interrupts of QXL device number `device`. 0 for `pending` stops
/// that.
pub(crate) fn attach_qxl(device: usize, pending: u64, update_irq_port: u16) {
    if let Some(source) = GUEST_PCI_SOURCES.get(device).filter(|_| device < QXL_DEVICES) {
        source.attach(pending, update_irq_port.into(), qxl_shift(device));
    }
}

/// As [`attach_qxl`], for the VDIPort.
pub(crate) fn attach_vdiport(pending: u64, update_irq_port: u16) {
    if let Some(source) = GUEST_PCI_SOURCES.get(QXL_DEVICES) {
        source.attach(pending, u32::from(update_irq_port) | WIDE_PORT, VDIPORT_SHIFT);
    }
}
