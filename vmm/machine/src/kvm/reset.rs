//! Power-on state of vCPUs and interrupt controllers, and how a kernel is entered.
//!
//! KVM has no reset of its own. Each vCPU and each controller is photographed before the first instruction, and a reset
//! writes the picture back. The time-stamp counter goes on, as it does on a warm reset of a real machine.

use std::io;

use kvm_bindings::{
    KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED, Msrs, kvm_debugregs, kvm_dtable, kvm_irqchip, kvm_lapic_state,
    kvm_mp_state, kvm_msr_entry, kvm_pit_state2, kvm_regs, kvm_segment, kvm_sregs, kvm_vcpu_events, kvm_xcrs,
    kvm_xsave,
};

use super::{Kvm, KvmError, vcpu::Vcpu, vm::Vm};

pub(super) const MSR_TSC: u32 = 0x10;
const MSR_MISC_ENABLE: u32 = 0x1a0;
const MSR_MTRR_DEF_TYPE: u32 = 0x2ff;
/// Fast strings.
const MISC_FAST_STRINGS: u64 = 1;
/// Variable MTRRs, base and mask of eight, and fixed ones: KVM keeps them, but not in its list.
const MSR_MTRRS: [std::ops::RangeInclusive<u32>; 5] = [
    0x200..=0x20f,
    0x250..=0x250,
    0x258..=0x259,
    0x268..=0x26f,
    MSR_MTRR_DEF_TYPE..=MSR_MTRR_DEF_TYPE,
];
/// MTRRs enabled, write-back everywhere: what firmware leaves behind.
const MTRR_WRITE_BACK: u64 = (1 << 11) | 6;

/// Local APIC registers: the two pins, and what firmware programs there (ExtINT from the PIC, NMI).
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const LVT_EXTINT: u32 = 0x700;
const LVT_NMI: u32 = 0x400;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_NE: u64 = 1 << 5;
const CR0_WP: u64 = 1 << 16;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

/// Where the first vCPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// 32-bit protected mode, flat, paging off (PVH).
    Flat32 {
        /// First instruction.
        rip: u64,
        /// What PVH passes: the start info.
        rbx: u64,
    },
    /// 64-bit mode with the given page tables (Linux boot protocol, and small test guests).
    Long64 {
        /// First instruction.
        rip: u64,
        /// What Linux passes: the zero page.
        rsi: u64,
        /// Page tables.
        cr3: u64,
        /// Descriptor table with a 64-bit code segment at 0x10 and data at 0x18.
        gdt_base: u64,
        /// Its limit.
        gdt_limit: u16,
    },
}

/// A vCPU as it was before it ran.
#[derive(Debug)]
pub(crate) struct PowerOn {
    sregs: kvm_sregs,
    regs: kvm_regs,
    xcrs: kvm_xcrs,
    xsave: Box<kvm_xsave>,
    lapic: kvm_lapic_state,
    msrs: Vec<kvm_msr_entry>,
    debugregs: kvm_debugregs,
    events: kvm_vcpu_events,
}

impl PowerOn {
    /// Sets what firmware would have set and takes the picture. Call after the CPUID is set and before the first run.
    pub(crate) fn take(kvm: &Kvm, vcpu: &Vcpu) -> Result<Self, KvmError> {
        let fd = vcpu.fd();
        let mut lapic = fd.get_lapic().map_err(KvmError::ioctl("read the local APIC"))?;
        if vcpu.id() == 0 {
            set_lapic_register(&mut lapic, LVT_LINT0, LVT_EXTINT);
        }
        set_lapic_register(&mut lapic, LVT_LINT1, LVT_NMI);
        let mut msrs = Vec::new();
        let mut indices = kvm.msr_indices()?;
        indices.extend(MSR_MTRRS.into_iter().flatten());
        indices.sort_unstable();
        indices.dedup();
        for index in indices {
            if index == MSR_TSC {
                continue;
            }
            // Some of the list cannot be read with this CPUID; those are not part of this vCPU's state.
            if let Some(value) = read_msr(vcpu, index) {
                msrs.push(kvm_msr_entry {
                    index,
                    data: value,
                    ..kvm_msr_entry::default()
                });
            }
        }
        preset(&mut msrs, MSR_MTRR_DEF_TYPE, MTRR_WRITE_BACK);
        let misc = read_msr(vcpu, MSR_MISC_ENABLE).unwrap_or(0);
        preset(&mut msrs, MSR_MISC_ENABLE, misc | MISC_FAST_STRINGS);
        Ok(Self {
            sregs: fd.get_sregs().map_err(KvmError::ioctl("read the system registers"))?,
            regs: fd.get_regs().map_err(KvmError::ioctl("read the registers"))?,
            xcrs: fd.get_xcrs().map_err(KvmError::ioctl("read the XCRs"))?,
            xsave: Box::new(fd.get_xsave().map_err(KvmError::ioctl("read the FPU"))?),
            lapic,
            msrs,
            debugregs: fd
                .get_debug_regs()
                .map_err(KvmError::ioctl("read the debug registers"))?,
            events: fd
                .get_vcpu_events()
                .map_err(KvmError::ioctl("read the pending events"))?,
        })
    }

    /// The MSRs that make up the vCPU's state, without the time-stamp counter.
    pub(super) fn msr_indices(&self) -> impl Iterator<Item = u32> {
        self.msrs.iter().map(|entry| entry.index)
    }

    /// Puts the vCPU back; `start` makes it the one that boots, the others wait for INIT and SIPI.
    pub(crate) fn apply(&self, vcpu: &Vcpu, start: Option<&Start>) -> Result<(), KvmError> {
        let fd = vcpu.fd();
        let mut regs = self.regs;
        let mut sregs = self.sregs;
        if let Some(start) = start {
            start.enter(&mut regs, &mut sregs);
        }
        fd.set_sregs(&sregs)
            .map_err(KvmError::ioctl("set the system registers"))?;
        fd.set_regs(&regs).map_err(KvmError::ioctl("set the registers"))?;
        fd.set_xcrs(&self.xcrs).map_err(KvmError::ioctl("set the XCRs"))?;
        // SAFETY: the buffer is one this vCPU filled; without dynamically enabled features (this program asks for none)
        // KVM reads exactly its 4096 bytes.
        unsafe { fd.set_xsave(&self.xsave) }.map_err(KvmError::ioctl("set the FPU"))?;
        fd.set_lapic(&self.lapic)
            .map_err(KvmError::ioctl("set the local APIC"))?;
        for entry in &self.msrs {
            // Read-only ones are in the list too; they cannot have changed.
            if !write_msr(vcpu, entry) {
                tracing::trace!(index = entry.index, "MSR not written");
            }
        }
        fd.set_debug_regs(&self.debugregs)
            .map_err(KvmError::ioctl("set the debug registers"))?;
        let mp_state = if start.is_some() {
            KVM_MP_STATE_RUNNABLE
        } else {
            KVM_MP_STATE_UNINITIALIZED
        };
        fd.set_mp_state(kvm_mp_state { mp_state })
            .map_err(KvmError::ioctl("set the multiprocessing state"))?;
        // Takes back an INIT that another vCPU has sent and this one has not seen; without it a SIPI does nothing.
        fd.set_vcpu_events(&self.events)
            .map_err(KvmError::ioctl("set the pending events"))
    }
}

fn preset(msrs: &mut Vec<kvm_msr_entry>, index: u32, data: u64) {
    msrs.retain(|entry| entry.index != index);
    msrs.push(kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    });
}

pub(super) fn read_msr(vcpu: &Vcpu, index: u32) -> Option<u64> {
    let mut msrs = Msrs::from_entries(&[kvm_msr_entry {
        index,
        ..kvm_msr_entry::default()
    }])
    .ok()?;
    match vcpu.fd().get_msrs(&mut msrs) {
        Ok(1) => msrs.as_slice().first().map(|entry| entry.data),
        _ => None,
    }
}

pub(super) fn write_msr(vcpu: &Vcpu, entry: &kvm_msr_entry) -> bool {
    Msrs::from_entries(std::slice::from_ref(entry)).is_ok_and(|msrs| matches!(vcpu.fd().set_msrs(&msrs), Ok(1)))
}

fn set_lapic_register(lapic: &mut kvm_lapic_state, register: usize, value: u32) {
    for (index, byte) in value.to_le_bytes().into_iter().enumerate() {
        if let Some(slot) = lapic.regs.get_mut(register + index) {
            *slot = byte.cast_signed();
        }
    }
}

/// A flat 4 GiB segment of this type.
fn flat(selector: u16, type_: u8, long: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: u8::from(!long),
        s: 1,
        l: u8::from(long),
        g: 1,
        ..kvm_segment::default()
    }
}

/// Accessed execute/read and read/write segments; busy TSS.
const CODE: u8 = 0xb;
const DATA: u8 = 3;
const BUSY_TSS: u8 = 0xb;
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;

impl Start {
    pub(super) fn enter(&self, regs: &mut kvm_regs, sregs: &mut kvm_sregs) {
        *regs = kvm_regs {
            rflags: 2,
            ..kvm_regs::default()
        };
        let data = flat(DATA_SELECTOR, DATA, false);
        (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
        // Intel's processors insist on a busy TSS.
        sregs.tr = kvm_segment {
            limit: 0x67,
            type_: BUSY_TSS,
            present: 1,
            ..kvm_segment::default()
        };
        sregs.idt = kvm_dtable::default();
        sregs.gdt = kvm_dtable::default();
        match *self {
            Self::Flat32 { rip, rbx } => {
                regs.rip = rip;
                regs.rbx = rbx;
                sregs.cs = flat(CODE_SELECTOR, CODE, false);
                sregs.cr0 = CR0_PE | CR0_ET;
                sregs.cr4 = 0;
                sregs.efer = 0;
            }
            Self::Long64 {
                rip,
                rsi,
                cr3,
                gdt_base,
                gdt_limit,
            } => {
                regs.rip = rip;
                regs.rsi = rsi;
                sregs.cs = flat(CODE_SELECTOR, CODE, true);
                sregs.cr3 = cr3;
                sregs.cr4 = CR4_PAE;
                sregs.efer = EFER_LME | EFER_LMA;
                sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
                sregs.gdt.base = gdt_base;
                sregs.gdt.limit = gdt_limit;
            }
        }
    }
}

/// PICs, IOAPIC and PIT at one moment; for a reset, as they were before anything ran.
#[derive(Debug)]
pub(crate) struct Controllers {
    pub(super) chips: Vec<kvm_irqchip>,
    pub(super) pit: kvm_pit_state2,
}

impl Controllers {
    pub(crate) fn take(vm: &Vm) -> Result<Self, KvmError> {
        let mut chips = Vec::new();
        for chip_id in 0..3 {
            let mut chip = kvm_irqchip {
                chip_id,
                ..kvm_irqchip::default()
            };
            vm.fd()
                .get_irqchip(&mut chip)
                .map_err(KvmError::ioctl("read an interrupt controller"))?;
            chips.push(chip);
        }
        let pit = vm.fd().get_pit2().map_err(KvmError::ioctl("read the PIT"))?;
        Ok(Self { chips, pit })
    }

    pub(crate) fn apply(&self, vm: &Vm) -> Result<(), KvmError> {
        for chip in &self.chips {
            vm.fd()
                .set_irqchip(chip)
                .map_err(KvmError::ioctl("set an interrupt controller"))?;
        }
        vm.fd().set_pit2(&self.pit).map_err(KvmError::ioctl("set the PIT"))
    }
}

impl From<KvmError> for io::Error {
    fn from(error: KvmError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use kvm_bindings::{KVM_MP_STATE_INIT_RECEIVED, kvm_msi};

    use super::*;
    use crate::{kvm::cpuid, memory::Layout};

    const INIT: u32 = 0x500;
    const SIPI_AT_0X8000: u32 = 0x608;

    fn send(vm: &Vm, apic_id: u32, data: u32) {
        let message = kvm_msi {
            address_lo: 0xfee0_0000 | apic_id << 12,
            data,
            ..kvm_msi::default()
        };
        assert_eq!(vm.fd().signal_msi(message).unwrap(), 1);
    }

    #[test]
    fn wake_ups_from_before_a_reset_start_nothing_after_it() {
        let kvm = Kvm::open().unwrap();
        let vm = Vm::new(&kvm, Layout::new(4 << 20, 40).unwrap().allocate().unwrap()).unwrap();
        let supported = kvm.supported_cpuid().unwrap();
        let vcpus = [0, 1].map(|id| {
            let mut vcpu = vm.create_vcpu(id).unwrap();
            vcpu.set_cpuid(&cpuid::leaves(supported.as_slice(), id, 2, true))
                .unwrap();
            vcpu
        });
        let power_on = [0, 1].map(|id: usize| PowerOn::take(&kvm, &vcpus[id]).unwrap());
        let state = |id: usize| vcpus[id].fd().get_mp_state().unwrap().mp_state;
        let start = Start::Flat32 { rip: 0x10_0000, rbx: 7 };
        power_on[0].apply(&vcpus[0], Some(&start)).unwrap();
        power_on[1].apply(&vcpus[1], None).unwrap();
        assert_eq!(state(1), KVM_MP_STATE_UNINITIALIZED);
        // The messages work: without a reset they start it.
        send(&vm, 1, INIT);
        assert_eq!(state(1), KVM_MP_STATE_INIT_RECEIVED);
        send(&vm, 1, SIPI_AT_0X8000);
        assert_eq!(state(1), KVM_MP_STATE_RUNNABLE);

        for id in [0, 1] {
            send(&vm, id, INIT);
            send(&vm, id, SIPI_AT_0X8000);
        }
        power_on[0].apply(&vcpus[0], Some(&start)).unwrap();
        power_on[1].apply(&vcpus[1], None).unwrap();
        assert_eq!(state(1), KVM_MP_STATE_UNINITIALIZED);
        assert_eq!(state(0), KVM_MP_STATE_RUNNABLE);
        let (regs, sregs) = vcpus[0].registers().unwrap();
        assert_eq!((regs.rip, regs.rbx, sregs.cr0 & CR0_PE), (0x10_0000, 7, CR0_PE));
    }
}
