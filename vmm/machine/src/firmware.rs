//! What firmware would do before the kernel: tables and the kernel itself, at the start and again at every reset.

use std::{io, sync::Arc};

use caraway_base::memory::GuestRam;
use caraway_legacy::{pm, reset, rtc};

use crate::{
    acpi::{self, AcpiError},
    boot::{self, BootError, BootVideo, Entry, MemoryKind, MemoryRange},
    kvm::{KvmError, reset::Start},
    memory::{ECAM, Layout, Use, WINDOW32},
    spec::{BootFile, Kernel},
    vcpu::CpusError,
};

/// Ports given to PCI.
pub(crate) const PCI_PORTS: std::ops::RangeInclusive<u16> = 0xc000..=0xffff;
/// There is one flat bus.
const LAST_BUS: u8 = 0;
const IO_APIC: u32 = 0xfec0_0000;
const LOCAL_APIC: u32 = 0xfee0_0000;

/// Why a machine cannot be brought to its kernel's first instruction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootFailure {
    /// The kernel, initramfs or command line.
    #[error(transparent)]
    Kernel(#[from] BootError),
    /// The tables.
    #[error(transparent)]
    Acpi(#[from] AcpiError),
    /// The host's KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// A vCPU.
    #[error(transparent)]
    Cpus(#[from] CpusError),
    /// The RAM.
    #[error("cannot clear the guest's memory")]
    Clear {
        #[source]
        source: io::Error,
    },
}

/// What is loaded.
#[derive(Debug)]
pub(crate) struct Firmware {
    pub(crate) cpus: u32,
    pub(crate) layout: Layout,
    pub(crate) kernel: Kernel,
    pub(crate) initramfs: Option<BootFile>,
    pub(crate) cmdline: String,
    /// The display a kernel starts with.
    pub(crate) video: Option<Arc<dyn BootVideo>>,
}

impl Firmware {
    /// Writes tables and kernel into zeroed RAM; where the boot processor starts.
    pub(crate) fn boot(&self, ram: &GuestRam) -> Result<Start, BootFailure> {
        let rsdp = acpi::write(ram, &self.tables())?;
        let memory_map: Vec<_> = self
            .layout
            .memory_map()
            .into_iter()
            .map(|(range, use_)| MemoryRange {
                start: range.start,
                end: range.end,
                kind: match use_ {
                    Use::Ram => MemoryKind::Ram,
                    Use::Reserved => MemoryKind::Reserved,
                },
            })
            .collect();
        let entry = boot::load(
            ram,
            &boot::Request {
                kernel: self.kernel.source(),
                initramfs: self.initramfs.as_ref().map(|file| (&file.file, file.path.as_path())),
                cmdline: &self.cmdline,
                memory_map: &memory_map,
                low_ram_end: self.layout.low_ram_end(),
                rsdp,
                video: self.video.as_deref(),
            },
        )?;
        Ok(match entry {
            Entry::Pvh32 { rip, start_info } => Start::Flat32 { rip, rbx: start_info },
            Entry::Long64 {
                rip,
                zero_page,
                page_table,
                gdt,
                gdt_limit,
            } => Start::Long64 {
                rip,
                rsi: zero_page,
                cr3: page_table,
                gdt_base: gdt,
                gdt_limit,
            },
        })
    }

    fn tables(&self) -> acpi::Spec {
        acpi::Spec {
            cpus: self.cpus,
            local_apic: LOCAL_APIC,
            io_apic: IO_APIC,
            ecam: ECAM,
            last_bus: LAST_BUS,
            window32: WINDOW32,
            window64: self.layout.window64(),
            pci_ports: PCI_PORTS,
            pm1_event_port: pm::PM1A_EVENT_PORT,
            pm1_control_port: pm::PM1A_CONTROL_PORT,
            pm_timer_port: pm::PM_TIMER_PORT,
            gpe0_port: pm::GPE0_PORT,
            gpe0_bytes: pm::GPE0_LENGTH,
            sci: SCI,
            reset_port: reset::RESET_PORT,
            reset_value: reset::RESET_VALUE,
            rtc_century: rtc::CENTURY,
            s5: pm::SLEEP_TYPE_S5,
        }
    }
}

/// The SCI as the tables have it, a byte.
const SCI: u8 = {
    assert!(pm::SCI_IRQ < 16);
    pm::SCI_IRQ as u8
};
