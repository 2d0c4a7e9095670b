//! How a device tells its driver something: MSI-X vectors, or the ISR register and INTA#.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering},
};

use caraway_pci::function::PciInterrupts;

/// No vector: what is to be told is not (virtio 1.2, 4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;

const ISR_QUEUE: u8 = 1;
const ISR_CONFIG: u8 = 2;
/// What the ISR register can hold.
pub(crate) const ISR_BITS: u8 = ISR_QUEUE | ISR_CONFIG;

/// The interrupts of one device. Any thread may call.
#[derive(Debug)]
pub struct Interrupt {
    lines: OnceLock<PciInterrupts>,
    queue_vectors: Vec<AtomicU16>,
    config_vector: AtomicU16,
    /// The ISR register. INTA# is asserted while it is not zero; both change under this lock.
    isr: Mutex<u8>,
    generation: AtomicU8,
    needs_reset: AtomicBool,
    silent: AtomicBool,
}

impl Interrupt {
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            lines: OnceLock::new(),
            queue_vectors: (0..queues).map(|_| AtomicU16::new(NO_VECTOR)).collect(),
            config_vector: AtomicU16::new(NO_VECTOR),
            isr: Mutex::new(0),
            generation: AtomicU8::new(0),
            needs_reset: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        }
    }

    /// Buffers of a queue were used.
    pub fn used(&self, queue: u16) {
        let vector = self.queue_vector(queue);
        self.deliver(ISR_QUEUE, vector);
    }

    /// The device-specific configuration has changed.
    pub fn config_changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.deliver(ISR_CONFIG, self.config_vector());
    }

    /// The device cannot go on until it is reset.
    pub fn needs_reset(&self) {
        self.needs_reset.store(true, Ordering::Release);
        self.deliver(ISR_CONFIG, self.config_vector());
    }

    fn deliver(&self, cause: u8, vector: u16) {
        let Some(lines) = self.lines.get() else {
            return;
        };
        if self.silent.load(Ordering::Acquire) {
            return;
        }
        let messages = lines.msix_enabled.load(Ordering::Acquire);
        // A configuration change shows in the register with messages too (virtio 1.2, 4.1.4.5.1), but not on INTA#.
        if !messages || cause == ISR_CONFIG {
            let mut isr = self.isr.lock().unwrap_or_else(PoisonError::into_inner);
            *isr |= cause;
            if !messages {
                self.show(*isr);
            }
        }
        if messages && let Some(vector) = lines.msix.get(usize::from(vector)) {
            // A full counter means that the message is on its way many times over.
            let _ = vector.event().write(1);
        }
    }

    fn show(&self, isr: u8) {
        if let Some(line) = self.lines.get().and_then(|lines| lines.intx.as_ref()) {
            line.set(isr != 0);
        }
    }

    /// Given once; the line follows what was saved before.
    pub(crate) fn connect(&self, lines: PciInterrupts) {
        let isr = self.isr.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lines.set(lines).is_ok() {
            self.show(*isr);
        }
    }

    /// Vectors of the MSI-X table.
    pub(crate) fn vectors(&self) -> usize {
        self.queue_vectors.len() + 1
    }

    /// The ISR register as the guest reads it: reading clears it and lowers INTA#.
    pub(crate) fn take_isr(&self) -> u8 {
        let mut isr = self.isr.lock().unwrap_or_else(PoisonError::into_inner);
        let value = std::mem::take(&mut *isr);
        self.show(0);
        value
    }

    pub(crate) fn isr(&self) -> u8 {
        *self.isr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue_vector(&self, queue: u16) -> u16 {
        self.queue_vectors
            .get(usize::from(queue))
            .map_or(NO_VECTOR, |vector| vector.load(Ordering::Acquire))
    }

    pub(crate) fn set_queue_vector(&self, queue: u16, vector: u16) {
        if let Some(slot) = self.queue_vectors.get(usize::from(queue)) {
            slot.store(self.existing(vector), Ordering::Release);
        }
    }

    pub(crate) fn config_vector(&self) -> u16 {
        self.config_vector.load(Ordering::Acquire)
    }

    pub(crate) fn set_config_vector(&self, vector: u16) {
        self.config_vector.store(self.existing(vector), Ordering::Release);
    }

    /// A vector that is not there reads back as none, which tells the driver.
    fn existing(&self, vector: u16) -> u16 {
        if usize::from(vector) < self.vectors() {
            vector
        } else {
            NO_VECTOR
        }
    }

    pub(crate) fn generation(&self) -> u8 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.needs_reset.load(Ordering::Acquire)
    }

    /// From now on nothing is delivered, until [`Interrupt::reset`].
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::Release);
    }

    /// The state after a reset: nothing pending, no vectors.
    pub(crate) fn reset(&self) {
        for vector in self.queue_vectors.iter().chain([&self.config_vector]) {
            vector.store(NO_VECTOR, Ordering::Release);
        }
        self.take_isr();
        self.needs_reset.store(false, Ordering::Release);
        self.silent.store(false, Ordering::Release);
    }

    /// What was saved, besides the vectors.
    pub(crate) fn load(&self, isr: u8, generation: u8, needs_reset: bool) {
        *self.isr.lock().unwrap_or_else(PoisonError::into_inner) = isr;
        self.generation.store(generation, Ordering::Release);
        self.needs_reset.store(needs_reset, Ordering::Release);
    }
}
