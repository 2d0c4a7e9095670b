use caraway_base::state::Records;

use super::*;
use crate::{kvm::Kvm, memory::Layout};

struct Machine {
    vm: Vm,
    vcpu: Vcpu,
    power_on: PowerOn,
}

impl Machine {
    fn new() -> Self {
        let kvm = Kvm::open().unwrap();
        let vm = Vm::new(&kvm, Layout::new(4 << 20, 40).unwrap().allocate().unwrap()).unwrap();
        let supported = kvm.supported_cpuid().unwrap();
        let mut vcpu = vm.create_vcpu(0).unwrap();
        vcpu.set_cpuid(&cpuid::leaves(supported.as_slice(), 0, 1, true))
            .unwrap();
        let power_on = PowerOn::take(&kvm, &vcpu).unwrap();
        Self { vm, vcpu, power_on }
    }

    /// Changes something of everything a guest could change.
    fn change(&self) {
        let fd = self.vcpu.fd();
        let mut regs = fd.get_regs().unwrap();
        (regs.rip, regs.rax, regs.r15) = (0x1234, 0xdead_beef_0123, 7);
        fd.set_regs(&regs).unwrap();
        let mut sregs = fd.get_sregs().unwrap();
        (sregs.cr2, sregs.gdt.base, sregs.ds.base) = (0xc2, 0x6000, 0x1000);
        fd.set_sregs(&sregs).unwrap();
        let mut xsave = fd.get_xsave().unwrap();
        // XMM0 at 160, and the bit of SSE in XSTATE_BV at 512.
        xsave.region[40] = 0x5555_aaaa;
        xsave.region[128] |= 3;
        // SAFETY: as in `apply_registers`.
        unsafe { fd.set_xsave(&xsave) }.unwrap();
        let mut debugregs = fd.get_debug_regs().unwrap();
        debugregs.db[1] = 0x9999;
        fd.set_debug_regs(&debugregs).unwrap();
        let mut lapic = fd.get_lapic().unwrap();
        // Task priority, and the spurious vector with the APIC enabled.
        lapic.regs[0x80] = 0x30;
        (lapic.regs[0xf0], lapic.regs[0xf1]) = (0x7f, 1);
        fd.set_lapic(&lapic).unwrap();
        // LSTAR.
        let lstar = kvm_msr_entry {
            index: 0xc000_0082,
            data: 0xffff_8000_1234_5678,
            ..kvm_msr_entry::default()
        };
        assert!(write_msr(&self.vcpu, &lstar));
        let mut chips = Controllers::take(&self.vm).unwrap();
        // SAFETY: chip 2 is the IOAPIC.
        unsafe { chips.chips[2].chip.ioapic.redirtbl[5].bits = 0x1_0045 };
        chips.pit.channels[2].count = 777;
        chips.apply(&self.vm).unwrap();
    }

    fn save(&self) -> (SavedVm, SavedVcpu) {
        let vm = SavedVm::take(&self.vm).unwrap();
        (vm, SavedVcpu::take(&self.power_on, &self.vcpu).unwrap())
    }

    fn restore(&self, (vm, vcpu): &(SavedVm, SavedVcpu)) {
        vcpu.apply_registers(&self.vcpu).unwrap();
        vm.apply_controllers(&self.vm).unwrap();
        vcpu.apply_events(&self.vcpu).unwrap();
        vm.apply_clock(&self.vm).unwrap();
    }
}

/// Without what goes on by itself: the counter, the clock, and when KVM last loaded the PIT's counts.
fn still((mut vm, mut vcpu): (SavedVm, SavedVcpu)) -> (SavedVm, SavedVcpu) {
    vcpu.0.msrs.retain(|(index, _)| *index != MSR_TSC);
    vm.0.clock = 0;
    let mut pit: kvm_bindings::kvm_pit_state2 = parse("pit", &vm.0.pit).unwrap();
    for channel in &mut pit.channels {
        channel.count_load_time = 0;
    }
    vm.0.pit = bytes(&pit);
    (vm, vcpu)
}

fn time(saved: &(SavedVm, SavedVcpu)) -> (u64, u64) {
    let tsc = saved.1.0.msrs.first().unwrap();
    assert_eq!(tsc.0, MSR_TSC);
    (saved.0.0.clock, tsc.1)
}

#[test]
fn saving_is_stable_and_a_change_shows_everywhere() {
    let machine = Machine::new();
    let fresh = machine.save();
    assert_eq!(still(fresh.clone()), still(machine.save()));
    machine.change();
    let (fresh, changed) = (still(fresh), still(machine.save()));
    let (old, new) = (fresh.1.0, changed.1.0);
    assert_ne!(old.regs, new.regs);
    assert_ne!(old.sregs, new.sregs);
    assert_ne!(old.xsave, new.xsave);
    assert_ne!(old.lapic, new.lapic);
    assert_ne!(old.msrs, new.msrs);
    assert_ne!(old.debugregs, new.debugregs);
    assert_ne!(fresh.0.0.chips, changed.0.0.chips);
    assert_ne!(fresh.0.0.pit, changed.0.0.pit);
}

#[test]
fn another_machine_saves_what_was_restored_into_it_and_time_goes_on() {
    let old = Machine::new();
    old.change();
    let saved = old.save();
    let mut records = Records::default();
    records.put("0", &saved.0).unwrap();
    records.put("0", &saved.1).unwrap();
    let taken = (records.take("0", ()).unwrap(), records.take("0", ()).unwrap());
    records.finish().unwrap();
    assert_eq!(saved, taken);
    let new = Machine::new();
    new.restore(&taken);
    let again = new.save();
    assert_eq!(still(saved.clone()), still(again.clone()));
    let ((clock, tsc), (later_clock, later_tsc)) = (time(&saved), time(&again));
    assert!(later_clock >= clock && later_tsc >= tsc, "time jumped back");
    // Within a minute: the counts of this machine, not those since it was made.
    let limit = u64::from(saved.1.0.tsc_khz) * 60_000;
    assert!(later_clock - clock < 60_000_000_000 && later_tsc - tsc < limit);
}

#[test]
fn a_newer_record_is_refused() {
    let (vm, vcpu) = Machine::new().save();
    let mut records = Records::default();
    records.put("0", &vm).unwrap();
    records.put("0", &vcpu).unwrap();
    let mut list = records.into_inner();
    list.iter_mut().for_each(|record| record.version += 1);
    let mut records = Records::new(list);
    assert!(records.take::<SavedVm>("0", ()).is_err());
    assert!(records.take::<SavedVcpu>("0", ()).is_err());
}

#[test]
fn what_kvm_does_not_take_is_refused_by_field() {
    let machine = Machine::new();
    let (vm, vcpu) = machine.save();
    let refused = |field: &str, change: &dyn Fn(&mut VcpuState)| {
        let mut bad = vcpu.clone();
        change(&mut bad.0);
        let result = bad
            .apply_registers(&machine.vcpu)
            .and_then(|()| bad.apply_events(&machine.vcpu));
        let error = result.expect_err(field).to_string();
        assert!(error.contains(&format!("record \"vcpu\": {field} =")), "{error}");
    };
    refused("regs", &|state| state.regs.truncate(9));
    refused("xsave", &|state| state.xsave.push(0));
    refused("sregs", &|state| state.sregs.clear());
    refused("lapic", &|state| state.lapic.truncate(9));
    refused("mp_state", &|state| state.mp_state = 77);
    refused("msrs", &|state| state.msrs.push((0xffff_0000, 1)));
    refused("tsc_khz", &|state| state.tsc_khz = 1);
    let mut bad = vm;
    bad.0.chips[1].pop();
    assert!(bad.apply_controllers(&machine.vm).is_err());
}

#[test]
fn a_host_with_fewer_features_is_refused_with_their_names() {
    let machine = Machine::new();
    let (_, vcpu) = machine.save();
    let mut here = machine.vcpu.cpuid().to_vec();
    assert_eq!(vcpu.cpuid(&here).unwrap(), here);
    // SSE2.
    here.iter_mut().find(|leaf| leaf.function == 1).unwrap().edx &= !(1 << 26);
    let error = vcpu.cpuid(&here).unwrap_err().to_string();
    assert!(error.contains("leaf 0x1.0 EDX bits 0x4000000"), "{error}");
}
