//! The state of vCPUs, and what KVM keeps for the machine as a whole: read from one machine, put into another.
//!
//! Structures of KVM's interface are saved as their bytes, which the kernel never changes. What is restored goes in this
//! order: registers of every vCPU ([`SavedVcpu::apply_registers`]), the controllers, then what reacts to them and to time
//! ([`SavedVcpu::apply_events`]), the clock last ([`SavedVm`]).

use caraway_base::{
    errors::chain,
    state::{Migratable, StateError},
};
use kvm_bindings::{
    kvm_clock_data, kvm_cpuid_entry2, kvm_debugregs, kvm_irqchip, kvm_lapic_state, kvm_mp_state, kvm_msr_entry,
    kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::driver::CpuLeaf;

use super::{
    KvmError, cpuid,
    reset::{Controllers, MSR_TSC, PowerOn, read_msr, write_msr},
    vcpu::Vcpu,
    vm::Vm,
};

/// Written last: it arms the timer of a local APIC, whose mode and whose clock must be right before.
const MSR_TSC_DEADLINE: u32 = 0x6e0;

/// A vCPU between two instructions. Byte strings are KVM's structures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VcpuState {
    tsc_khz: u32,
    cpuid: Vec<CpuLeaf>,
    regs: Vec<u8>,
    sregs: Vec<u8>,
    xcrs: Vec<u8>,
    xsave: Vec<u8>,
    lapic: Vec<u8>,
    /// Index and value, in the order in which they are written.
    msrs: Vec<(u32, u64)>,
    debugregs: Vec<u8>,
    mp_state: u32,
    events: Vec<u8>,
}

/// A vCPU's state as a record. The vCPU itself belongs to its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedVcpu(VcpuState);

impl Migratable for SavedVcpu {
    type State = VcpuState;
    type Args = ();
    const KIND: &'static str = "vcpu";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> VcpuState {
        self.0.clone()
    }

    fn restore((): (), state: VcpuState) -> Result<Self, StateError> {
        Ok(Self(state))
    }
}

impl SavedVcpu {
    /// Reads the state; the vCPU must be parked between two instructions. `power_on` knows its MSRs.
    pub(crate) fn take(power_on: &PowerOn, vcpu: &Vcpu) -> Result<Self, KvmError> {
        let fd = vcpu.fd();
        let read = KvmError::ioctl;
        // First: reading it has KVM act on an INIT or SIPI that waits, which changes registers.
        let mp_state = fd.get_mp_state().map_err(read("read the multiprocessing state"))?;
        let mut indices: Vec<u32> = power_on.msr_indices().filter(|at| *at != MSR_TSC_DEADLINE).collect();
        indices.insert(0, MSR_TSC);
        indices.extend(power_on.msr_indices().filter(|at| *at == MSR_TSC_DEADLINE));
        let mut msrs = Vec::with_capacity(indices.len());
        for index in indices {
            let value = read_msr(vcpu, index).ok_or(KvmError::Ioctl {
                what: "read an MSR",
                source: std::io::Error::other(format!("index {index:#x}")),
            })?;
            msrs.push((index, value));
        }
        Ok(Self(VcpuState {
            tsc_khz: fd.get_tsc_khz().map_err(read("read the frequency of the TSC"))?,
            cpuid: vcpu.cpuid().iter().map(leaf).collect(),
            regs: bytes(&fd.get_regs().map_err(read("read the registers"))?),
            sregs: bytes(&fd.get_sregs().map_err(read("read the system registers"))?),
            xcrs: bytes(&fd.get_xcrs().map_err(read("read the XCRs"))?),
            xsave: bytes(&fd.get_xsave().map_err(read("read the FPU"))?),
            lapic: bytes(&fd.get_lapic().map_err(read("read the local APIC"))?),
            msrs,
            debugregs: bytes(&fd.get_debug_regs().map_err(read("read the debug registers"))?),
            mp_state: mp_state.mp_state,
            events: bytes(&fd.get_vcpu_events().map_err(read("read the pending events"))?),
        }))
    }

    /// The saved CPUID. It may have less than this host's, `here`, and nothing more.
    pub(crate) fn cpuid(&self, here: &[kvm_cpuid_entry2]) -> Result<Vec<kvm_cpuid_entry2>, StateError> {
        let leaves: Vec<_> = self.0.cpuid.iter().map(entry).collect();
        match cpuid::missing(&leaves, here) {
            None => Ok(leaves),
            Some(missing) => Err(invalid("cpuid", format!("{missing}, which this host has not"))),
        }
    }

    /// Sets what depends on nothing else. Guest memory must be there: paging may read it.
    pub(crate) fn apply_registers(&self, vcpu: &Vcpu) -> Result<(), StateError> {
        let fd = vcpu.fd();
        let khz = self.0.tsc_khz;
        if fd.get_tsc_khz() != Ok(khz) {
            // Guests measure it once, when they start.
            fd.set_tsc_khz(khz).map_err(|error| refused("tsc_khz", khz, error))?;
        }
        let sregs: kvm_sregs = parse("sregs", &self.0.sregs)?;
        fd.set_sregs(&sregs).map_err(|error| refused("sregs", "", error))?;
        let regs: kvm_regs = parse("regs", &self.0.regs)?;
        fd.set_regs(&regs).map_err(|error| refused("regs", "", error))?;
        let xcrs: kvm_xcrs = parse("xcrs", &self.0.xcrs)?;
        fd.set_xcrs(&xcrs).map_err(|error| refused("xcrs", "", error))?;
        let xsave: kvm_xsave = parse("xsave", &self.0.xsave)?;
        // SAFETY: the structure has the 4096 bytes KVM reads when no feature was enabled that needs more (this program
        // asks for none); KVM checks what they say.
        unsafe { fd.set_xsave(&xsave) }.map_err(|error| refused("xsave", "", error))
    }

    /// Sets what reacts to the interrupt controllers and to time; after those.
    pub(crate) fn apply_events(&self, vcpu: &Vcpu) -> Result<(), StateError> {
        let fd = vcpu.fd();
        let lapic: kvm_lapic_state = parse("lapic", &self.0.lapic)?;
        fd.set_lapic(&lapic).map_err(|error| refused("lapic", "", error))?;
        for &(index, data) in &self.0.msrs {
            let entry = kvm_msr_entry {
                index,
                data,
                ..kvm_msr_entry::default()
            };
            // Those that cannot be written are right when they have the value already.
            if !write_msr(vcpu, &entry) && read_msr(vcpu, index) != Some(data) {
                return Err(invalid("msrs", format!("{index:#x}: {data:#x}, which KVM refuses")));
            }
        }
        let debugregs: kvm_debugregs = parse("debugregs", &self.0.debugregs)?;
        fd.set_debug_regs(&debugregs)
            .map_err(|error| refused("debugregs", "", error))?;
        let mp_state = self.0.mp_state;
        fd.set_mp_state(kvm_mp_state { mp_state })
            .map_err(|error| refused("mp_state", mp_state, error))?;
        let events: kvm_vcpu_events = parse("events", &self.0.events)?;
        fd.set_vcpu_events(&events)
            .map_err(|error| refused("events", "", error))
    }
}

/// What KVM keeps once for the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VmState {
    /// PIC master, PIC slave, IOAPIC.
    chips: Vec<Vec<u8>>,
    pit: Vec<u8>,
    /// Nanoseconds of the paravirtual clock.
    clock: u64,
}

/// That state as a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedVm(VmState);

impl Migratable for SavedVm {
    type State = VmState;
    type Args = ();
    const KIND: &'static str = "kvm";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> VmState {
        self.0.clone()
    }

    fn restore((): (), state: VmState) -> Result<Self, StateError> {
        Ok(Self(state))
    }
}

impl SavedVm {
    /// Reads the state, before that of the vCPUs: a tick of the PIT in between is in their local APICs then, and not lost.
    pub(crate) fn take(vm: &Vm) -> Result<Self, KvmError> {
        let clock = vm.fd().get_clock().map_err(KvmError::ioctl("read the clock"))?;
        let controllers = Controllers::take(vm)?;
        Ok(Self(VmState {
            chips: controllers.chips.iter().map(bytes).collect(),
            pit: bytes(&controllers.pit),
            clock: clock.clock,
        }))
    }

    /// Sets the interrupt controllers and the PIT. Lines must have their levels before: what they do from here on is new
    /// to the guest.
    pub(crate) fn apply_controllers(&self, vm: &Vm) -> Result<(), StateError> {
        let chips = self.0.chips.iter().map(|chip| parse::<kvm_irqchip>("chips", chip));
        let controllers = Controllers {
            chips: chips.collect::<Result<_, _>>()?,
            pit: parse("pit", &self.0.pit)?,
        };
        controllers
            .apply(vm)
            .map_err(|error| invalid("controllers", chain(&error)))
    }

    /// Sets the clock to what it was: for the guest no time has passed.
    pub(crate) fn apply_clock(&self, vm: &Vm) -> Result<(), StateError> {
        let clock = kvm_clock_data {
            clock: self.0.clock,
            ..kvm_clock_data::default()
        };
        vm.fd()
            .set_clock(&clock)
            .map_err(|error| refused("clock", self.0.clock, error))
    }
}

fn bytes<T: IntoBytes + Immutable>(structure: &T) -> Vec<u8> {
    structure.as_bytes().to_vec()
}

fn parse<T: FromBytes>(field: &'static str, bytes: &[u8]) -> Result<T, StateError> {
    T::read_from_bytes(bytes).map_err(|_| invalid(field, format!("{} bytes", bytes.len())))
}

pub(crate) fn leaf(entry: &kvm_cpuid_entry2) -> CpuLeaf {
    let kvm_cpuid_entry2 {
        function,
        index,
        flags,
        eax,
        ebx,
        ecx,
        edx,
        ..
    } = *entry;
    [function, index, flags, eax, ebx, ecx, edx]
}

pub(crate) fn entry(leaf: &CpuLeaf) -> kvm_cpuid_entry2 {
    let [function, index, flags, eax, ebx, ecx, edx] = *leaf;
    kvm_cpuid_entry2 {
        function,
        index,
        flags,
        eax,
        ebx,
        ecx,
        edx,
        ..kvm_cpuid_entry2::default()
    }
}

fn refused(field: &'static str, value: impl std::fmt::Display, error: kvm_ioctls::Error) -> StateError {
    invalid(field, format!("{value} (KVM: {error})"))
}

fn invalid(field: &'static str, value: String) -> StateError {
    StateError::Invalid {
        kind: SavedVcpu::KIND,
        field,
        value,
    }
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
