//! ACPI tables for guests that boot without firmware: RSDP, XSDT, FADT, FACS, MADT, MCFG and DSDT (ACPI 6.5).
//!
//! The tables lie from 0xe0000 on, the RSDP at 0xf0000, where a guest that was not told its address looks for it.

mod dsdt;
mod fixed;

#[cfg(test)]
mod acpi_tests;

use std::ops::{Range, RangeInclusive};

use acpi_tables::{Aml, facs::FACS, mcfg::MCFG, rsdp::Rsdp, xsdt::XSDT};
use caraway_base::memory::GuestRam;
use vm_memory::{Bytes as _, GuestAddress};

/// Where the tables lie, without the RSDP.
pub const TABLES: Range<u64> = 0xe_0000..0xf_0000;

/// Where the RSDP lies: in the last 64 KiB below 1 MiB, on a multiple of 16, as the specification asks.
pub const RSDP: u64 = 0xf_0000;

const OEM_ID: [u8; 6] = *b"CARAWA";
const OEM_TABLE_ID: [u8; 8] = *b"CARAWAY ";
const OEM_REVISION: u32 = 1;

/// What the tables tell about the machine. Ranges end one past the last address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Processors; their APIC ids are 0 to `cpus - 1`.
    pub cpus: u32,
    /// Address of the local APICs.
    pub local_apic: u32,
    /// Address of the IOAPIC, whose inputs are the GSIs from 0 on.
    pub io_apic: u32,
    /// Reserved for config space: below 4 GiB, 1 MiB a bus, at most 256.
    pub ecam: Range<u64>,
    /// Highest bus number there is. A guest may look at every device number of every bus it is told of, each an exit to
    /// this program: Linux looks at 8160 for 255 empty buses.
    pub last_bus: u8,
    /// PCI memory below 4 GiB.
    pub window32: Range<u64>,
    /// PCI memory above 4 GiB.
    pub window64: Range<u64>,
    /// PCI I/O ports.
    pub pci_ports: RangeInclusive<u16>,
    /// PM1a status and enable registers, 4 bytes. The power button is the fixed one.
    pub pm1_event_port: u16,
    /// PM1a control register, 2 bytes. SCI_EN reads as set: there is no SMI command port to set it by.
    pub pm1_control_port: u16,
    /// 3.579545 MHz timer, 4 bytes of which the low 24 bits count.
    pub pm_timer_port: u16,
    /// General-purpose events: status, then enable registers.
    pub gpe0_port: u16,
    /// Bytes of both, an even number.
    pub gpe0_bytes: u8,
    /// ISA interrupt (and GSI) of the SCI.
    pub sci: u8,
    /// Where writing [`Spec::reset_value`] resets the machine.
    pub reset_port: u16,
    /// See [`Spec::reset_port`].
    pub reset_value: u8,
    /// CMOS byte with the century.
    pub rtc_century: u8,
    /// SLP_TYP that powers off.
    pub s5: u8,
}

/// Why the tables cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcpiError {
    /// A field of [`Spec`] holds what the tables cannot tell.
    #[error("ACPI: {field} cannot be {value}")]
    Spec {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// Too many processors for the place there is.
    #[error("the ACPI tables need {size} bytes, there is room for {room}")]
    TooBig {
        /// Bytes needed.
        size: u64,
        /// Bytes there are.
        room: u64,
    },
    /// There is no RAM where the tables go.
    #[error("cannot write ACPI tables to guest memory at {address:#x}")]
    GuestMemory {
        /// Where.
        address: u64,
        /// Why.
        #[source]
        source: vm_memory::GuestMemoryError,
    },
}

/// Writes the tables and returns the address of the RSDP.
///
/// # Errors
/// When the specification cannot be told or the guest has no RAM at [`TABLES`] and [`RSDP`].
pub fn write(ram: &GuestRam, spec: &Spec) -> Result<u64, AcpiError> {
    for table in tables(spec)? {
        let address = table.address;
        ram.write_slice(&table.bytes, GuestAddress(address))
            .map_err(|source| AcpiError::GuestMemory { address, source })?;
    }
    Ok(RSDP)
}

/// One table and its place.
#[derive(Debug)]
struct Table {
    address: u64,
    bytes: Vec<u8>,
}

/// All tables, the RSDP last.
fn tables(spec: &Spec) -> Result<Vec<Table>, AcpiError> {
    spec.check()?;
    let mut placed = Placed {
        next: TABLES.start,
        tables: Vec::new(),
    };
    let facs = placed.put(bytes_of(&FACS::new()));
    let dsdt = placed.put(dsdt::dsdt(spec));
    let listed = [
        placed.put(fixed::fadt(spec, facs, dsdt)),
        placed.put(fixed::madt(spec)),
        placed.put(mcfg(spec)),
    ];
    let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    for address in listed {
        xsdt.add_entry(address);
    }
    let xsdt = placed.put(bytes_of(&xsdt));
    if placed.next > TABLES.end {
        return Err(AcpiError::TooBig {
            size: placed.next - TABLES.start,
            room: TABLES.end - TABLES.start,
        });
    }
    placed.tables.push(Table {
        address: RSDP,
        bytes: bytes_of(&Rsdp::new(OEM_ID, xsdt)),
    });
    Ok(placed.tables)
}

fn mcfg(spec: &Spec) -> Vec<u8> {
    let mut mcfg = MCFG::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    mcfg.add_ecam(spec.ecam.start, 0, 0, spec.last_bus);
    bytes_of(&mcfg)
}

fn bytes_of(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// Tables in a row, each on a multiple of 64 as the FACS has to be.
struct Placed {
    next: u64,
    tables: Vec<Table>,
}

impl Placed {
    fn put(&mut self, bytes: Vec<u8>) -> u64 {
        let address = self.next;
        self.next = address.saturating_add((bytes.len() as u64).next_multiple_of(64));
        self.tables.push(Table { address, bytes });
        address
    }
}

impl Spec {
    fn check(&self) -> Result<(), AcpiError> {
        const FOUR_GIB: u64 = 1 << 32;
        let refuse = |field, value: String| Err(AcpiError::Spec { field, value });
        let range = |range: &Range<u64>| format!("{:#x}..{:#x}", range.start, range.end);
        let (ecam, low, high) = (&self.ecam, &self.window32, &self.window64);
        if self.cpus == 0 {
            return refuse("cpus", self.cpus.to_string());
        }
        let ecam_size = ecam.end.saturating_sub(ecam.start);
        if ecam.end > FOUR_GIB || !(1 << 20..=256 << 20).contains(&ecam_size) || !ecam_size.is_multiple_of(1 << 20) {
            return refuse("ecam", range(ecam));
        }
        if (u64::from(self.last_bus) + 1) << 20 > ecam_size {
            return refuse("last_bus", self.last_bus.to_string());
        }
        if low.is_empty() || low.end > FOUR_GIB {
            return refuse("window32", range(low));
        }
        if high.is_empty() || high.start < FOUR_GIB {
            return refuse("window64", range(high));
        }
        if self.pci_ports.is_empty() || *self.pci_ports.start() == 0 {
            return refuse("pci_ports", format!("{:?}", self.pci_ports));
        }
        if !self.gpe0_bytes.is_multiple_of(2) {
            return refuse("gpe0_bytes", self.gpe0_bytes.to_string());
        }
        if self.sci > 15 {
            return refuse("sci", self.sci.to_string());
        }
        if self.s5 > 7 {
            return refuse("s5", self.s5.to_string());
        }
        Ok(())
    }
}
