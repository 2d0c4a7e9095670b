//! FADT and MADT.

use acpi_tables::{
    fadt::{FADTBuilder, Flags, PmProfile},
    gas::{AccessSize, AddressSpace, GAS},
    sdt::Sdt,
};

use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID, Spec, bytes_of};

/// Boot architecture flags: there are devices of the ISA time, and a keyboard controller. The flags for no VGA, no
/// MSI and no CMOS clock stay clear: all three are there.
const LEGACY_DEVICES: u16 = 1;
const HAS_8042: u16 = 2;

pub(super) fn fadt(spec: &Spec, facs: u64, dsdt: u64) -> Vec<u8> {
    let mut fadt = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .preferred_pm_profile(PmProfile::Desktop)
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::SlpButton)
        .flag(Flags::FixRtc)
        .flag(Flags::ResetRegSup);
    // Old guests read the 32-bit fields, newer ones the 64-bit ones; both are below 1 MiB.
    let low = |address: u64| u32::try_from(address).unwrap_or(0).into();
    fadt.firmware_ctrl = low(facs);
    fadt.dsdt = low(dsdt);
    fadt.x_dsdt = dsdt.into();
    fadt.sci_int = u16::from(spec.sci).into();
    fadt.pm1a_evt_blk = u32::from(spec.pm1_event_port).into();
    fadt.pm1_evt_len = 4;
    fadt.x_pm1a_evt_blk = ports(spec.pm1_event_port, 32, AccessSize::WordAccess);
    fadt.pm1a_cnt_blk = u32::from(spec.pm1_control_port).into();
    fadt.pm1_cnt_len = 2;
    fadt.x_pm1a_cnt_blk = ports(spec.pm1_control_port, 16, AccessSize::WordAccess);
    fadt.pm_tmr_blk = u32::from(spec.pm_timer_port).into();
    fadt.pm_tmr_len = 4;
    fadt.x_pm_tmr_blk = ports(spec.pm_timer_port, 32, AccessSize::DwordAccess);
    if let Some(bits) = spec.gpe0_bytes.checked_mul(8).filter(|bits| *bits > 0) {
        fadt.gpe0_blk = u32::from(spec.gpe0_port).into();
        fadt.gpe0_blk_len = spec.gpe0_bytes;
        fadt.x_gpe0_blk = ports(spec.gpe0_port, bits, AccessSize::ByteAccess);
    }
    // C2 and C3 latencies above these mean that there is neither.
    fadt.p_lvl2_lat = 0xfff.into();
    fadt.p_lvl3_lat = 0xfff.into();
    fadt.century = spec.rtc_century;
    fadt.iapc_boot_arch = (LEGACY_DEVICES | HAS_8042).into();
    fadt.reset_reg = ports(spec.reset_port, 8, AccessSize::ByteAccess);
    fadt.reset_value = spec.reset_value;
    bytes_of(&fadt.finalize())
}

fn ports(port: u16, bits: u8, access: AccessSize) -> GAS {
    GAS::new(AddressSpace::SystemIo, bits, 0, access, port.into())
}

/// APIC ids of the old kind of entry; 255 is broadcast.
const LOCAL_APIC_IDS: u32 = 255;

/// There are two 8259 as well.
const PCAT_COMPAT: u32 = 1;

/// Flags of a processor entry.
const ENABLED: u32 = 1;

/// Interrupt flags: polarity in bits 0-1 (3 = active low), trigger in bits 2-3 (3 = level).
const LEVEL_ACTIVE_LOW: u16 = 0xf;
const AS_THE_BUS: u16 = 0;

/// The MADT. PCI interrupts need no entry here: a GSI in a _PRT is level-triggered and active-low (ACPI 6.2.13).
pub(super) fn madt(spec: &Spec) -> Vec<u8> {
    let mut madt = Sdt::new(*b"APIC", 36, 5, OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    madt.append_slice(&spec.local_apic.to_le_bytes());
    madt.append_slice(&PCAT_COMPAT.to_le_bytes());
    for id in 0..spec.cpus {
        match u8::try_from(id) {
            Ok(low) if id < LOCAL_APIC_IDS => {
                madt.append_slice(&[0, 8, low, low]);
                madt.append_slice(&ENABLED.to_le_bytes());
            }
            // Local x2APIC: id, flags, processor UID.
            _ => {
                madt.append_slice(&[9, 16, 0, 0]);
                for field in [id, ENABLED, id] {
                    madt.append_slice(&field.to_le_bytes());
                }
            }
        }
    }
    // The IOAPIC's id does not have to differ from a local APIC's on machines of this century.
    madt.append_slice(&[1, 12, 0, 0]);
    madt.append_slice(&spec.io_apic.to_le_bytes());
    madt.append_slice(&0_u32.to_le_bytes());
    source_override(&mut madt, 0, 2, AS_THE_BUS);
    source_override(&mut madt, spec.sci, spec.sci.into(), LEVEL_ACTIVE_LOW);
    // NMI on LINT1 of every processor: 255 and 0xffff_ffff mean all.
    madt.append_slice(&[4, 6, 0xff, 0, 0, 1]);
    if spec.cpus > LOCAL_APIC_IDS {
        madt.append_slice(&[10, 12, 0, 0]);
        madt.append_slice(&u32::MAX.to_le_bytes());
        madt.append_slice(&[1, 0, 0, 0]);
    }
    madt.as_slice().to_vec()
}

/// An ISA interrupt that is not the GSI of its number, or not as ISA interrupts are (edge, active high).
fn source_override(madt: &mut Sdt, isa: u8, gsi: u32, flags: u16) {
    madt.append_slice(&[2, 10, 0, isa]);
    madt.append_slice(&gsi.to_le_bytes());
    madt.append_slice(&flags.to_le_bytes());
}
