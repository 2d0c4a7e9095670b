//! What a kernel finds in low memory: start_info or zero page, command line, memory map, page tables, GDT.

use caraway_base::memory::GuestRam;
use linux_loader::{
    bootparam::{E820_MAX_ENTRIES_ZEROPAGE, boot_e820_entry, boot_params, screen_info, setup_header},
    loader::elf::start_info::{XEN_HVM_START_MAGIC_VALUE, hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info},
};
use vm_memory::{Bytes as _, GuestAddress};

use super::{BootError, LinearScreen, MemoryKind, MemoryRange};

/// Four descriptors: null, unused, code (selector 0x10), data (0x18), as the 64-bit boot protocol asks.
pub(super) const GDT: u64 = 0x500;
const START_INFO: u64 = 0x6000;
const MODULE_LIST: u64 = 0x6040;
const MEMORY_MAP: u64 = 0x6100;
const ZERO_PAGE: u64 = 0x7000;
/// PML4, PDPT and four page directories: 0x9000 to 0xefff.
pub(super) const PAGE_TABLES: u64 = 0x9000;
const COMMAND_LINE: u64 = 0x2_0000;

/// The command line's area is 64 KiB with the NUL.
pub(super) const COMMAND_LINE_AREA: usize = 0x1_0000;

/// Most ranges a zero page holds; the PVH map takes as many here.
const MAX_RANGES: usize = E820_MAX_ENTRIES_ZEROPAGE;

// 64-bit code, read and execute; flat data, read and write; both accessed.
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const DESCRIPTORS: [u64; 4] = [0, 0, CODE_64, DATA];

/// Offset of the last byte of the GDT.
pub(super) const GDT_LIMIT: u16 = 31;

/// `type_of_loader`: undefined, no id assigned.
const LOADER_UNDEFINED: u8 = 0xff;

/// An initramfs in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Initramfs {
    pub(super) address: u64,
    pub(super) size: u64,
}

/// What both protocols tell.
#[derive(Debug)]
pub(super) struct Information<'a> {
    pub(super) cmdline: &'a str,
    pub(super) memory_map: &'a [MemoryRange],
    pub(super) rsdp: u64,
    pub(super) initramfs: Option<Initramfs>,
}

impl Information<'_> {
    /// Refuses what cannot be told. `limit` is the kernel's for the command line, without the NUL.
    pub(super) fn check(&self, limit: usize) -> Result<(), BootError> {
        let limit = limit.min(COMMAND_LINE_AREA - 1);
        if let Some(position) = self.cmdline.bytes().position(|byte| byte == 0) {
            return Err(BootError::CommandLineNul { position });
        }
        if self.cmdline.len() > limit {
            return Err(BootError::CommandLineTooLong {
                length: self.cmdline.len(),
                limit,
            });
        }
        if self.memory_map.len() > MAX_RANGES {
            return Err(BootError::MemoryMap {
                count: self.memory_map.len(),
                limit: MAX_RANGES,
            });
        }
        Ok(())
    }

    /// Writes the PVH start_info and what it points to; its address.
    pub(super) fn write_start_info(&self, ram: &GuestRam) -> Result<u64, BootError> {
        self.write_command_line(ram)?;
        for (index, range) in (0_u64..).zip(self.memory_map) {
            let entry = hvm_memmap_table_entry {
                addr: range.start,
                size: range.end.saturating_sub(range.start),
                type_: range.kind.number(),
                reserved: 0,
            };
            let at = MEMORY_MAP + index * size_of::<hvm_memmap_table_entry>() as u64;
            write_object(ram, "the memory map", at, entry)?;
        }
        let module = self
            .initramfs
            .map_or_else(hvm_modlist_entry::default, |initramfs| hvm_modlist_entry {
                paddr: initramfs.address,
                size: initramfs.size,
                ..hvm_modlist_entry::default()
            });
        write_object(ram, "the module list", MODULE_LIST, module)?;
        let info = hvm_start_info {
            magic: XEN_HVM_START_MAGIC_VALUE,
            version: 1,
            flags: 0,
            nr_modules: u32::from(self.initramfs.is_some()),
            modlist_paddr: if self.initramfs.is_some() { MODULE_LIST } else { 0 },
            cmdline_paddr: COMMAND_LINE,
            rsdp_paddr: self.rsdp,
            memmap_paddr: MEMORY_MAP,
            memmap_entries: u32::try_from(self.memory_map.len()).unwrap_or(0),
            reserved: 0,
        };
        write_object(ram, "start_info", START_INFO, info)?;
        Ok(START_INFO)
    }

    /// Writes the zero page and the command line; the zero page's address. `load` is where the kernel is.
    pub(super) fn write_zero_page(
        &self,
        ram: &GuestRam,
        header: &setup_header,
        load: u64,
        screen: Option<&LinearScreen>,
    ) -> Result<u64, BootError> {
        self.write_command_line(ram)?;
        let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap_or(0);
        let mut page = boot_params {
            hdr: *header,
            acpi_rsdp_addr: self.rsdp,
            e820_entries: u8::try_from(self.memory_map.len()).unwrap_or(0),
            screen_info: screen.map_or_else(screen_info::default, linear),
            ..boot_params::default()
        };
        page.hdr.type_of_loader = LOADER_UNDEFINED;
        page.hdr.code32_start = low(load);
        page.hdr.cmd_line_ptr = low(COMMAND_LINE);
        // Nothing but this loader puts an initramfs or setup data there, whatever the file says.
        page.hdr.setup_data = 0;
        page.hdr.ramdisk_image = self.initramfs.map_or(0, |initramfs| low(initramfs.address));
        page.hdr.ramdisk_size = self.initramfs.map_or(0, |initramfs| low(initramfs.size));
        let mut table = [boot_e820_entry::default(); MAX_RANGES];
        for (entry, range) in table.iter_mut().zip(self.memory_map) {
            *entry = boot_e820_entry {
                addr: range.start,
                size: range.end.saturating_sub(range.start),
                r#type: range.kind.number(),
            };
        }
        page.e820_table = table;
        write_object(ram, "the zero page", ZERO_PAGE, page)?;
        Ok(ZERO_PAGE)
    }

    fn write_command_line(&self, ram: &GuestRam) -> Result<(), BootError> {
        let mut line = Vec::with_capacity(self.cmdline.len() + 1);
        line.extend_from_slice(self.cmdline.as_bytes());
        line.push(0);
        write(ram, "the command line", COMMAND_LINE, &line)
    }
}

/// Identity-maps the first 4 GiB with pages of 2 MiB and writes the GDT.
pub(super) fn write_long_mode_tables(ram: &GuestRam) -> Result<(), BootError> {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 0x80;
    let page = |index: u64| PAGE_TABLES + index * 4096;
    let mut tables = vec![0_u64; 6 * 512];
    let entries = [(0, page(1) | PRESENT_WRITABLE)]
        .into_iter()
        .chain((0..4).map(|gib: u64| (512 + gib, page(2 + gib) | PRESENT_WRITABLE)))
        .chain((0..2048).map(|large: u64| (1024 + large, (large << 21) | LARGE | PRESENT_WRITABLE)));
    for (index, value) in entries {
        if let Some(slot) = usize::try_from(index).ok().and_then(|index| tables.get_mut(index)) {
            *slot = value;
        }
    }
    let bytes: Vec<u8> = tables.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    write(ram, "the page tables", PAGE_TABLES, &bytes)?;
    let gdt: Vec<u8> = DESCRIPTORS.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    write(ram, "the GDT", GDT, &gdt)
}

impl MemoryKind {
    /// The number both e820 and the PVH memory map use.
    fn number(self) -> u32 {
        match self {
            Self::Ram => 1,
            Self::Reserved => 2,
            Self::Acpi => 3,
        }
    }
}

/// The screen as the setup code of a kernel finds it in a VESA mode.
fn linear(screen: &LinearScreen) -> screen_info {
    /// `VIDEO_TYPE_VLFB`: a linear frame buffer in a VESA mode.
    const VLFB: u8 = 0x23;
    /// Unit of `lfb_size`.
    const BLOCK: u32 = 64 << 10;
    screen_info {
        orig_video_isVGA: VLFB,
        lfb_width: screen.width,
        lfb_height: screen.height,
        lfb_depth: 32,
        lfb_base: screen.address,
        lfb_size: screen.size / BLOCK,
        lfb_linelength: screen.stride,
        red_size: 8,
        red_pos: 16,
        green_size: 8,
        green_pos: 8,
        blue_size: 8,
        blue_pos: 0,
        rsvd_size: 8,
        rsvd_pos: 24,
        pages: 1,
        ..screen_info::default()
    }
}

fn write_object<T: vm_memory::ByteValued>(
    ram: &GuestRam,
    what: &'static str,
    address: u64,
    value: T,
) -> Result<(), BootError> {
    write(ram, what, address, value.as_slice())
}

fn write(ram: &GuestRam, what: &'static str, address: u64, bytes: &[u8]) -> Result<(), BootError> {
    ram.write_slice(bytes, GuestAddress(address))
        .map_err(|source| BootError::GuestMemory { what, address, source })
}
