//! The device as the machine sees it: a PCI function, and the life cycle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use caraway_base::{address_space::Doorbell, bus::Outcome, lifecycle::Lifecycle, memory::SharedMemory};
use caraway_pci::function::{BarKind, BarSpec, PciFunction, PciIdentity, PciInterrupts};
use caraway_ports::port::DevicePort;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::{
    VdiPortError,
    core::Core,
    ram::{BAR_SIZE, PortRam},
};

const PORT_BAR: u8 = 0;
const MEMORY_BAR: u8 = 1;
const PORT_BAR_SIZE: u64 = 16;

// Registers of BAR 0; each is 32 bits wide.
const CONNECTION: u64 = 0;
const NOTIFY: u64 = 4;
const UPDATE_IRQ: u64 = 8;

/// A VDIPort.
///
/// Whatever may need work on the rings (a doorbell, news of the host, a new connection) signals [`VdiPort::wake`]. vCPUs do
/// no such work.
#[derive(Debug)]
pub struct VdiPort {
    core: Mutex<Core>,
    memory: SharedMemory,
    wake: Arc<EventFd>,
}

impl VdiPort {
    /// Makes the device in its power-on state, with memory of its own.
    ///
    /// # Errors
    /// When the host refuses memory or an event descriptor.
    pub fn new(port: DevicePort) -> Result<Self, VdiPortError> {
        let memory = SharedMemory::allocate("vdiport", BAR_SIZE)?;
        Self::assemble(memory, port, Core::new)
    }

    pub(crate) fn assemble(
        memory: SharedMemory,
        port: DevicePort,
        core: impl FnOnce(PortRam, DevicePort) -> Core,
    ) -> Result<Self, VdiPortError> {
        let wake = Arc::new(EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map_err(VdiPortError::Event)?);
        let waking = Arc::clone(&wake);
        port.set_waker(Arc::new(move || ring(&waking)));
        Ok(Self {
            core: Mutex::new(core(PortRam::new(memory.clone()), port)),
            memory,
            wake,
        })
    }

    /// Contents of BAR 1: what is saved beside the record.
    #[must_use]
    pub const fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// What somebody is to wait for to be readable, to call [`VdiPort::attend`] then.
    #[must_use]
    pub const fn wake(&self) -> &Arc<EventFd> {
        &self.wake
    }

    /// Takes the signal back and does what there is to do: a turn of each ring; with more, the signal is there again. Waits
    /// for nobody.
    pub fn attend(&self) {
        // Nothing there to read for those who come unasked.
        let _ = self.wake.read();
        if self.core().poll() {
            ring(&self.wake);
        }
    }

    #[cfg(feature = "misbehave")]
    pub(crate) fn ring_the_bell(&self) {
        ring(&self.wake);
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(event: &EventFd) {
    // Fails only when the counter is full, and then it is signalled.
    let _ = event.write(1);
}

impl PciFunction for VdiPort {
    fn identity(&self) -> PciIdentity {
        PciIdentity {
            vendor: 0x1b36,
            device: 0x0105,
            revision: 1,
            // Another communication device.
            class: [0x07, 0x80, 0x00],
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            intx: true,
        }
    }

    fn bars(&self) -> Vec<BarSpec> {
        let bar = |index, size, kind| BarSpec {
            index,
            size,
            wide: false,
            prefetchable: false,
            kind,
        };
        let memory = BarKind::Memory {
            memory: self.memory.clone(),
            offset: 0,
            read_only: false,
            log_dirty: true,
        };
        vec![
            bar(PORT_BAR, PORT_BAR_SIZE, BarKind::Ports),
            bar(MEMORY_BAR, BAR_SIZE, memory),
        ]
    }

    fn doorbells(&self, bar: u8) -> Vec<Doorbell> {
        if bar != PORT_BAR {
            return Vec::new();
        }
        vec![Doorbell {
            offset: NOTIFY,
            width: 4,
            value: None,
            event: Arc::clone(&self.wake),
        }]
    }

    fn plugged(&self, interrupts: PciInterrupts) {
        if let Some(line) = interrupts.intx {
            self.core().set_line(line);
        }
    }

    /// What is not a register reads as ones, which is what `data` holds already.
    fn bar_read(&self, bar: u8, offset: u64, data: &mut [u8]) {
        if let (PORT_BAR, CONNECTION, Ok(value)) = (bar, offset, <&mut [u8; 4]>::try_from(data)) {
            *value = self.core().connect().to_le_bytes();
            // The ring may hold packets of before, and the guest need not tell of those that follow them.
            ring(&self.wake);
        }
    }

    fn bar_write(&self, bar: u8, offset: u64, data: &[u8]) -> Outcome {
        match (bar, offset, data) {
            (PORT_BAR, CONNECTION, [_, _, _, _]) => self.core().disconnect(),
            (PORT_BAR, NOTIFY, [_, _, _, _]) => ring(&self.wake),
            (PORT_BAR, UPDATE_IRQ, [_, _, _, _]) => {
                let core = self.core();
                core.update_level();
                #[cfg(feature = "misbehave")]
                core.after_update();
            }
            _ => {}
        }
        Outcome::Done
    }
}

impl Lifecycle for VdiPort {
    fn pause(&self) {
        self.core().pause();
    }

    fn resume(&self) {
        if self.core().resume() {
            ring(&self.wake);
        }
    }

    /// The host learns that the guest is gone.
    fn reset(&self) {
        self.core().reset();
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
