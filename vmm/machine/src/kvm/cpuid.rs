//! The CPUID a vCPU shows: what the host's KVM can do, with the topology of this machine (one package, one thread a core).

use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// Leaf 1 ECX: VMX, PDCM (performance capabilities), TSC deadline timer, x2APIC, hypervisor present.
const VMX: u32 = 1 << 5;
const PDCM: u32 = 1 << 15;
const X2APIC: u32 = 1 << 21;
const TSC_DEADLINE: u32 = 1 << 24;
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1 EDX: several logical processors in the package.
const HTT: u32 = 1 << 28;
/// Leaf 0x80000001 ECX of AMD: HTT means cores, not threads; SVM.
const CMP_LEGACY: u32 = 1 << 1;
const SVM: u32 = 1 << 2;
/// Most CPUs eight-bit APIC ids can name; 255 is the broadcast.
pub(crate) const MOST_CPUS: u32 = 255;

/// Width of the part of an APIC id that numbers the cores of the package.
fn core_bits(cpus: u32) -> u32 {
    cpus.next_power_of_two().trailing_zeros()
}

/// Physical address bits the guest has, from leaf 0x80000008 (36 where that is missing, as the manuals say).
#[must_use]
pub(crate) fn physical_bits(supported: &[kvm_cpuid_entry2]) -> u32 {
    supported
        .iter()
        .find(|entry| entry.function == 0x8000_0008)
        .map_or(36, |entry| entry.eax & 0xff)
}

/// The leaves of the vCPU with this APIC id.
#[must_use]
pub(crate) fn leaves(
    supported: &[kvm_cpuid_entry2],
    apic_id: u32,
    cpus: u32,
    tsc_deadline: bool,
) -> Vec<kvm_cpuid_entry2> {
    let amd = supported
        .iter()
        .find(|entry| entry.function == 0)
        // "Auth", "Hygo": the two vendors with AMD's leaves.
        .is_some_and(|entry| entry.ebx == 0x6874_7541 || entry.ebx == 0x6f67_7948);
    let top = supported
        .iter()
        .find(|entry| entry.function == 0)
        .map_or(0, |entry| entry.eax);
    let mut result: Vec<_> = supported
        .iter()
        .filter(|entry| !matches!(entry.function, 0xb | 0x1f))
        .copied()
        .collect();
    for entry in &mut result {
        adapt(entry, apic_id, cpus, tsc_deadline, amd);
    }
    result.extend(topology(0xb, apic_id, cpus));
    if top >= 0x1f {
        result.extend(topology(0x1f, apic_id, cpus));
    }
    result
}

fn adapt(entry: &mut kvm_cpuid_entry2, apic_id: u32, cpus: u32, tsc_deadline: bool, amd: bool) {
    let shared_by = 1 << core_bits(cpus);
    match entry.function {
        // Leaf 0xb is always offered: x2APIC ids are read there.
        0 => entry.eax = entry.eax.max(0xb),
        1 => {
            entry.ebx = (entry.ebx & 0x0000_ffff) | (apic_id << 24) | (shared_by.min(255) << 16);
            // No virtual machines in the guest: their state is not part of the machine's.
            entry.ecx = (entry.ecx & !(VMX | PDCM)) | X2APIC | HYPERVISOR;
            if tsc_deadline {
                entry.ecx |= TSC_DEADLINE;
            }
            if cpus > 1 {
                entry.edx |= HTT;
            } else {
                entry.edx &= !HTT;
            }
        }
        4 if entry.eax & 0x1f != 0 => {
            let level = (entry.eax >> 5) & 7;
            let sharing = if level >= 3 { shared_by - 1 } else { 0 };
            entry.eax = (entry.eax & 0x3fff) | (sharing << 14) | ((shared_by - 1).min(63) << 26);
        }
        // No virtual PMU: its counters are not part of the machine's state.
        0xa => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
        0x8000_0001 if amd => {
            entry.ecx &= !(SVM | CMP_LEGACY);
            if cpus > 1 {
                entry.ecx |= CMP_LEGACY;
            }
        }
        // What SVM can do.
        0x8000_000a => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
        0x8000_0008 if amd => {
            entry.ecx = (entry.ecx & 0xffff_0000) | (core_bits(cpus) << 12) | (cpus - 1).min(255);
        }
        0x8000_001d if entry.eax & 0x1f != 0 => {
            let level = (entry.eax >> 5) & 7;
            let sharing = if level >= 3 { shared_by - 1 } else { 0 };
            entry.eax = (entry.eax & 0x3fff) | (sharing << 14);
        }
        0x8000_001e => {
            entry.eax = apic_id;
            entry.ebx = apic_id & 0xff;
            entry.ecx = 0;
        }
        // AMD's own extended topology, which would contradict leaf 0xb.
        0x8000_0026 => (entry.eax, entry.ebx, entry.ecx, entry.edx) = (0, 0, 0, 0),
        _ => {}
    }
}

/// Registers whose bits are features each, by function and index: EAX, EBX, ECX, EDX, whether they are.
const FEATURES: [(u32, u32, [bool; 4]); 12] = [
    (1, 0, [false, false, true, true]),
    (6, 0, [true, false, false, false]),
    (7, 0, [false, true, true, true]),
    (7, 1, [true, false, false, true]),
    // What XCR0 may hold.
    (0xd, 0, [true, false, false, true]),
    (0xd, 1, [true, false, true, true]),
    (0x4000_0001, 0, [true, false, false, false]),
    (0x8000_0001, 0, [false, false, true, true]),
    (0x8000_0007, 0, [false, false, false, true]),
    (0x8000_0008, 0, [false, true, false, false]),
    (0x8000_000a, 0, [false, false, false, true]),
    (0x8000_0021, 0, [true, false, false, false]),
];

/// Features that are in `saved` and not in `here`, as text: the first register with any.
pub(crate) fn missing(saved: &[kvm_cpuid_entry2], here: &[kvm_cpuid_entry2]) -> Option<String> {
    let registers = |leaves: &[kvm_cpuid_entry2], function, index| {
        let leaf = leaves
            .iter()
            .find(|leaf| leaf.function == function && leaf.index == index);
        leaf.map_or([0; 4], |leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx])
    };
    for (function, index, are_features) in FEATURES {
        let both = registers(saved, function, index)
            .into_iter()
            .zip(registers(here, function, index));
        for ((name, features), (saved, here)) in ["EAX", "EBX", "ECX", "EDX"].into_iter().zip(are_features).zip(both) {
            let lacking = saved & !here;
            if features && lacking != 0 {
                return Some(format!("leaf {function:#x}.{index} {name} bits {lacking:#x}"));
            }
        }
    }
    None
}

/// The three levels of an extended topology leaf: thread, core, end of list.
fn topology(function: u32, apic_id: u32, cpus: u32) -> [kvm_cpuid_entry2; 3] {
    let level = |index, eax, ebx, kind: u32| kvm_cpuid_entry2 {
        function,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax,
        ebx,
        ecx: (kind << 8) | index,
        edx: apic_id,
        ..kvm_cpuid_entry2::default()
    };
    [level(0, 0, 1, 1), level(1, core_bits(cpus), cpus, 2), level(2, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::Kvm;

    fn leaf(entries: &[kvm_cpuid_entry2], function: u32, index: u32) -> kvm_cpuid_entry2 {
        *entries
            .iter()
            .find(|entry| entry.function == function && entry.index == index)
            .unwrap_or_else(|| panic!("leaf {function:#x}.{index}"))
    }

    #[test]
    fn topology_is_one_package_of_single_threaded_cores_for_any_count() {
        let supported = Kvm::open().unwrap().supported_cpuid().unwrap();
        for cpus in [1, 2, 3, 4, 16, 255] {
            for apic_id in [0, cpus - 1] {
                let entries = leaves(supported.as_slice(), apic_id, cpus, true);
                let basic = leaf(&entries, 1, 0);
                assert_eq!(basic.ebx >> 24, apic_id);
                assert_eq!(basic.edx & HTT != 0, cpus > 1);
                assert_ne!(basic.ecx & HYPERVISOR, 0);
                assert_ne!(basic.ecx & X2APIC, 0);
                let core = leaf(&entries, 0xb, 1);
                assert_eq!((core.ebx, core.edx), (cpus, apic_id));
                assert!(cpus <= 1 << core.eax && (cpus == 1 || cpus > 1 << (core.eax - 1)));
                assert!(leaf(&entries, 0, 0).eax >= 0xb);
                assert_eq!(leaf(&entries, 0xb, 2).ecx >> 8, 0);
            }
        }
    }

    #[test]
    fn a_guest_is_not_offered_virtual_machines_of_its_own() {
        let entry = |function, ebx, ecx| kvm_cpuid_entry2 {
            function,
            ebx,
            ecx,
            ..kvm_cpuid_entry2::default()
        };
        let host = [
            entry(0, 0x6874_7541, 0),
            entry(1, 0, u32::MAX),
            entry(0x8000_0001, 0, u32::MAX),
            entry(0x8000_000a, 8, 0),
        ];
        let entries = leaves(&host, 0, 1, true);
        assert_eq!(leaf(&entries, 1, 0).ecx & VMX, 0);
        assert_eq!(leaf(&entries, 0x8000_0001, 0).ecx & SVM, 0);
        assert_eq!(leaf(&entries, 0x8000_000a, 0).ebx, 0);
    }

    #[test]
    fn paravirtual_clock_is_offered() {
        let supported = Kvm::open().unwrap().supported_cpuid().unwrap();
        let entries = leaves(supported.as_slice(), 0, 2, true);
        assert_eq!(leaf(&entries, 0x4000_0000, 0).ebx, u32::from_le_bytes(*b"KVMK"));
        assert_ne!(leaf(&entries, 0x4000_0001, 0).eax & (1 << 3), 0);
    }

    #[test]
    fn physical_bits_are_those_of_the_host() {
        let supported = Kvm::open().unwrap().supported_cpuid().unwrap();
        assert!((36..=57).contains(&physical_bits(supported.as_slice())));
        assert_eq!(physical_bits(&[]), 36);
    }
}
