//! Guest RAM as a PCI device may reach it: only while the guest lets it be bus master.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use caraway_base::memory::GuestRam;

/// Guest RAM behind the bus-master gate. Clones share the gate.
#[derive(Clone, Debug)]
pub struct DeviceMemory {
    ram: GuestRam,
    open: Arc<RwLock<bool>>,
}

impl DeviceMemory {
    /// RAM behind a closed gate, as after a reset.
    #[must_use]
    pub fn new(ram: GuestRam) -> Self {
        Self {
            ram,
            open: Arc::new(RwLock::new(false)),
        }
    }

    /// The RAM, while the guest lets the device be bus master. Closing the gate waits for the guard: hold it while bytes
    /// are copied, never while waiting for anything.
    #[must_use]
    pub fn access(&self) -> Option<MemoryAccess<'_>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.then_some(MemoryAccess {
            ram: &self.ram,
            _open: open,
        })
    }

    /// Opens or closes the gate. When closing returns, nobody is inside.
    pub fn set_bus_master(&self, enabled: bool) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = enabled;
    }

    /// The RAM whatever the gate: to ask where it is, not to touch it.
    pub(crate) fn ram(&self) -> &GuestRam {
        &self.ram
    }
}

/// Guest RAM, and the promise that the gate stays open meanwhile.
#[derive(Debug)]
pub struct MemoryAccess<'a> {
    ram: &'a GuestRam,
    _open: RwLockReadGuard<'a, bool>,
}

impl Deref for MemoryAccess<'_> {
    type Target = GuestRam;

    fn deref(&self) -> &GuestRam {
        self.ram
    }
}
