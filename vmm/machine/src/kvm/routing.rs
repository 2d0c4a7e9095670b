//! GSI routes: 24 IOAPIC inputs, the lower 16 of them also at the PICs, and messages from GSI 24 on.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use caraway_base::irq::{IrqLine, MsiAllocator, MsiVector};
use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
    KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1, kvm_irq_routing_irqchip,
    kvm_irq_routing_msi,
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::vm::{Vm, lock, os};

/// Inputs of the IOAPIC.
pub(crate) const IOAPIC_INPUTS: u32 = 24;
/// Inputs of the two PICs together.
const PIC_INPUTS: u32 = 16;
/// Input of the IOAPIC the PIT is wired to, as on every PC (the MADT's override says so).
const PIT_IOAPIC_INPUT: u32 = 2;

fn chip(gsi: u32, irqchip: u32, pin: u32) -> kvm_irq_routing_entry {
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_IRQCHIP,
        u: kvm_irq_routing_entry__bindgen_ty_1 {
            irqchip: kvm_irq_routing_irqchip { irqchip, pin },
        },
        ..kvm_irq_routing_entry::default()
    }
}

fn message(gsi: u32, address: u64, data: u32) -> kvm_irq_routing_entry {
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        u: kvm_irq_routing_entry__bindgen_ty_1 {
            msi: kvm_irq_routing_msi {
                address_lo: (address & 0xffff_ffff) as u32,
                address_hi: (address >> 32) as u32,
                data,
                ..kvm_irq_routing_msi::default()
            },
        },
        ..kvm_irq_routing_entry::default()
    }
}

/// Routes that never change.
fn wired() -> Vec<kvm_irq_routing_entry> {
    let mut entries = Vec::new();
    for gsi in 0..PIC_INPUTS {
        let (pic, pin) = if gsi < 8 {
            (KVM_IRQCHIP_PIC_MASTER, gsi)
        } else {
            (KVM_IRQCHIP_PIC_SLAVE, gsi - 8)
        };
        entries.push(chip(gsi, pic, pin));
    }
    for gsi in 0..IOAPIC_INPUTS {
        match gsi {
            // GSI 2 is the cascade of the PICs: no device drives it, and its IOAPIC input belongs to the PIT.
            2 => {}
            0 => entries.push(chip(0, KVM_IRQCHIP_IOAPIC, PIT_IOAPIC_INPUT)),
            _ => entries.push(chip(gsi, KVM_IRQCHIP_IOAPIC, gsi)),
        }
    }
    entries
}

impl Vm {
    pub(super) fn apply_routes(&self, messages: &BTreeMap<u32, kvm_irq_routing_entry>) -> io::Result<()> {
        let mut entries = wired();
        entries.extend(messages.values().copied());
        let table = KvmIrqRouting::from_entries(&entries).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.fd().set_gsi_routing(&table).map_err(os)
    }

    fn set_message(&self, gsi: u32, to: Option<(u64, u32)>) -> io::Result<()> {
        let mut messages = lock(&self.messages);
        let mut next = messages.clone();
        match to {
            Some((address, data)) => next.insert(gsi, message(gsi, address, data)),
            None => next.remove(&gsi),
        };
        self.apply_routes(&next)?;
        *messages = next;
        Ok(())
    }
}

/// One wired input. KVM is told of changes only: for an edge-triggered input that was restored it would take the level it
/// has for another edge.
#[derive(Debug)]
pub(crate) struct Line {
    vm: Arc<Vm>,
    gsi: u32,
    level: Mutex<bool>,
}

impl Line {
    /// The input `gsi`.
    #[must_use]
    pub(crate) fn new(vm: Arc<Vm>, gsi: u32) -> Self {
        Self {
            vm,
            gsi,
            level: Mutex::new(false),
        }
    }
}

impl IrqLine for Line {
    fn set(&self, asserted: bool) {
        // KVM is told under the lock, so that it hears of changes in their order.
        let mut level = lock(&self.level);
        if std::mem::replace(&mut *level, asserted) == asserted {
            return;
        }
        if let Err(error) = self.vm.set_irq(self.gsi, asserted) {
            // The ioctl can only fail for a GSI without a route: a mistake of ours, not of the guest.
            tracing::error!(gsi = self.gsi, %error, "interrupt line not set");
        }
    }
}

/// Hands out GSIs from 24 on.
#[derive(Debug)]
pub(crate) struct Messages {
    vm: Arc<Vm>,
    used: Arc<Mutex<Vec<bool>>>,
}

impl Messages {
    /// An allocator over the routes the host has.
    #[must_use]
    pub(crate) fn new(vm: Arc<Vm>) -> Self {
        let count = vm.most_routes().saturating_sub(IOAPIC_INPUTS + PIC_INPUTS);
        Self {
            vm,
            used: Arc::new(Mutex::new(vec![false; count as usize])),
        }
    }
}

impl MsiAllocator for Messages {
    fn allocate(&self) -> io::Result<Arc<dyn MsiVector>> {
        let event = EventFd::new(EFD_NONBLOCK)?;
        let mut used = lock(&self.used);
        let index = used
            .iter()
            .position(|used| !used)
            .ok_or_else(|| io::Error::other(format!("all {} message-signalled vectors are in use", used.len())))?;
        if let Some(slot) = used.get_mut(index) {
            *slot = true;
        }
        Ok(Arc::new(Vector {
            vm: Arc::clone(&self.vm),
            used: Arc::clone(&self.used),
            index,
            event,
            open: Mutex::new(false),
        }))
    }
}

/// One vector: an eventfd that KVM listens to while it is not masked. A message that arrives while masked stays in the
/// eventfd and is delivered when the vector is opened again, as the pending bit of MSI-X demands.
#[derive(Debug)]
struct Vector {
    vm: Arc<Vm>,
    used: Arc<Mutex<Vec<bool>>>,
    index: usize,
    event: EventFd,
    open: Mutex<bool>,
}

impl Vector {
    fn gsi(&self) -> u32 {
        IOAPIC_INPUTS + self.index as u32
    }
}

impl MsiVector for Vector {
    fn event(&self) -> &EventFd {
        &self.event
    }

    fn route(&self, address: u64, data: u32) -> io::Result<()> {
        let mut open = lock(&self.open);
        self.vm.set_message(self.gsi(), Some((address, data)))?;
        if !*open {
            self.vm.attach_irqfd(&self.event, self.gsi())?;
            *open = true;
        }
        Ok(())
    }

    fn mask(&self) -> io::Result<()> {
        let mut open = lock(&self.open);
        if *open {
            self.vm.detach_irqfd(&self.event, self.gsi())?;
            *open = false;
        }
        Ok(())
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        let closed = self.mask().and_then(|()| self.vm.set_message(self.gsi(), None));
        match closed {
            Ok(()) => {
                if let Some(slot) = lock(&self.used).get_mut(self.index) {
                    *slot = false;
                }
            }
            // Kept as used: a GSI KVM still listens on must not be handed out again.
            Err(error) => tracing::error!(gsi = self.gsi(), %error, "vector not released"),
        }
    }
}
