//! KVM, memory, buses and the event loop: what every machine stands on.

use std::sync::Arc;

use caraway_base::{
    address_space::{AddressSpace as _, Mapping, Space, Target},
    bus::BusDevice,
    irq::IrqLine,
};
use kvm_bindings::kvm_cpuid_entry2;

use super::{BuildError, host};
use crate::{
    bus::{Buses, space::MachineSpace},
    event_loop::DevicesThread,
    kvm::{
        Kvm, Vm,
        cpuid::{self, MOST_CPUS},
        routing::{Line, Messages},
    },
    memory::Layout,
};

/// What every machine stands on.
pub(super) struct Platform {
    pub(super) kvm: Kvm,
    pub(super) cpuid: Vec<kvm_cpuid_entry2>,
    pub(super) layout: Layout,
    pub(super) vm: Arc<Vm>,
    pub(super) buses: Arc<Buses>,
    pub(super) space: Arc<MachineSpace>,
    pub(super) messages: Arc<Messages>,
    pub(super) devices: DevicesThread,
}

impl Platform {
    pub(super) fn new(cpus: u32, memory: u64) -> Result<Self, BuildError> {
        let kvm = Kvm::open()?;
        let most = kvm.max_cpus().min(MOST_CPUS);
        if !(1..=most).contains(&cpus) {
            return Err(BuildError::Cpus { asked: cpus, most });
        }
        let cpuid = kvm.supported_cpuid()?.as_slice().to_vec();
        let layout = Layout::new(memory, cpuid::physical_bits(&cpuid))?;
        let vm = Arc::new(Vm::new(&kvm, layout.allocate()?)?);
        let buses = Arc::new(Buses::default());
        let space = MachineSpace::new(
            Arc::clone(&vm) as _,
            Arc::clone(&buses),
            layout.ram(),
            vm.first_free_slot(),
        );
        Ok(Self {
            messages: Arc::new(Messages::new(Arc::clone(&vm))),
            devices: DevicesThread::start().map_err(host("an event loop"))?,
            kvm,
            cpuid,
            layout,
            vm,
            buses,
            space: Arc::new(space),
        })
    }

    pub(super) fn place(
        &self,
        what: &'static str,
        space: Space,
        start: u64,
        length: u64,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), BuildError> {
        let mapping = Mapping {
            space,
            range: start..start + length,
            target: Target::Device(device),
            doorbells: Vec::new(),
        };
        self.space
            .change(&[], vec![mapping])
            .map(drop)
            .map_err(|source| BuildError::Map { what, source })
    }

    pub(super) fn place_ports(
        &self,
        what: &'static str,
        port: u16,
        length: u16,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), BuildError> {
        self.place(what, Space::Ports, port.into(), length.into(), device)
    }

    pub(super) fn line(&self, gsi: u32) -> Arc<dyn IrqLine> {
        Arc::new(Line::new(Arc::clone(&self.vm), gsi))
    }
}
