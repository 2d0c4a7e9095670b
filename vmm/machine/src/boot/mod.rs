//! Loading a kernel: what goes where in guest memory, and how the boot processor has to be entered.
//!
//! Two protocols: PVH for ELF files (32-bit entry) and Linux boot protocol 2.12 or later for bzImage (64-bit entry).
//! Below 640 KiB lie the boot structures, from 1 MiB the kernel, at the top of low RAM the initramfs. A file is checked
//! as a whole before the first byte of it goes into guest memory. Loading again for a reset gives the same memory:
//! everything the protocols promise is written, `.bss` included.

mod bzimage;
mod elf;
mod error;
mod image;
mod params;

#[cfg(test)]
mod boot_tests;

use std::{fs::File, path::Path};

use caraway_base::memory::GuestRam;

pub use self::error::BootError;
use self::{
    image::Image,
    params::{Information, Initramfs},
};

/// Kernels are loaded from here on; below are the boot structures, option ROMs and tables.
const LOAD_START: u64 = 0x10_0000;

/// Linux takes 2048 bytes with the NUL (`COMMAND_LINE_SIZE`); the PVH protocol does not say what a kernel takes.
const PVH_CMDLINE_LIMIT: usize = 2047;

/// Where a kernel comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A regular file, opened for reading, and its name for messages. The file's position is changed.
    File(&'a File, &'a Path),
    /// An ELF file or bzImage in this program.
    Bytes(&'a [u8]),
}

/// What a range of guest-physical addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// Free for the kernel.
    Ram,
    /// Not to be touched: ECAM, holes.
    Reserved,
    /// ACPI tables, which the kernel may reclaim when it has read them.
    Acpi,
}

/// One line of the memory map the kernel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What is there.
    pub kind: MemoryKind,
}

/// A frame buffer a kernel can write to before it has a driver: 32 bits a pixel, B G R x in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearScreen {
    /// Pixels across.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bytes from one row to the next.
    pub stride: u16,
    /// Guest-physical address of the first pixel.
    pub address: u32,
    /// Bytes of video memory there.
    pub size: u32,
}

/// A display that shows something before a driver is loaded.
pub trait BootVideo: std::fmt::Debug + Send + Sync {
    /// Sets a mode as firmware would. `None` when the display cannot now.
    fn linear_screen(&self) -> Option<LinearScreen>;
}

/// What to boot.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The kernel.
    pub kernel: Source<'a>,
    /// Initial root file system: the file and its name for messages.
    pub initramfs: Option<(&'a File, &'a Path)>,
    /// Kernel command line.
    pub cmdline: &'a str,
    /// Told to the kernel as it is; at most 128 ranges.
    pub memory_map: &'a [MemoryRange],
    /// End of the RAM below 4 GiB (RAM from 1 MiB to here is one piece).
    pub low_ram_end: u64,
    /// Guest address of the ACPI RSDP, from [`crate::acpi::write`].
    pub rsdp: u64,
    /// The display a Linux kernel starts with, if it is loaded by the Linux boot protocol; PVH has no place for one.
    pub video: Option<&'a dyn BootVideo>,
}

/// How the boot processor starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// PVH: 32-bit protected mode, paging off, flat segments, `ebx` = `start_info`.
    Pvh32 {
        /// Entry address.
        rip: u64,
        /// Address of the `hvm_start_info`.
        start_info: u64,
    },
    /// Linux 64-bit: long mode, `cs` = 0x10, the data segments = 0x18, interrupts off, `rsi` = `zero_page`.
    Long64 {
        /// Entry address.
        rip: u64,
        /// Address of the `boot_params`.
        zero_page: u64,
        /// `cr3`: the first 4 GiB, identity-mapped.
        page_table: u64,
        /// Base of the GDT.
        gdt: u64,
        /// Limit of the GDT.
        gdt_limit: u16,
    },
}

/// Loads the kernel and the initramfs and writes what the boot protocol asks for.
///
/// # Errors
/// Says which file is wrong and how. Guest memory may hold a part of the files when a read from the host fails; it is
/// untouched when the files themselves are wrong.
pub fn load(ram: &GuestRam, request: &Request<'_>) -> Result<Entry, BootError> {
    let plan = Plan::new(request)?;
    match &plan.kernel {
        KernelPlan::Elf(kernel) => {
            kernel.load(&plan.image, ram)?;
            Placed::load(plan.initramfs.as_ref(), ram)?;
            Ok(Entry::Pvh32 {
                rip: kernel.entry,
                start_info: plan.information.write_start_info(ram)?,
            })
        }
        KernelPlan::BzImage(kernel) => {
            kernel.load(&plan.image, ram)?;
            Placed::load(plan.initramfs.as_ref(), ram)?;
            let video = request.video.filter(|_| !wants_no_screen(request.cmdline));
            let screen = video.and_then(BootVideo::linear_screen);
            let zero_page = plan
                .information
                .write_zero_page(ram, &kernel.header, kernel.load, screen.as_ref())?;
            params::write_long_mode_tables(ram)?;
            Ok(Entry::Long64 {
                rip: kernel.entry,
                zero_page,
                page_table: params::PAGE_TABLES,
                gdt: params::GDT,
                gdt_limit: params::GDT_LIMIT,
            })
        }
    }
}

/// Whether a command line asks for a machine whose screen nobody has set: `vga=normal`, which boot loaders read. Xorg's own
/// driver for QXL cannot map video memory that the kernel's console on a VESA mode has taken.
fn wants_no_screen(cmdline: &str) -> bool {
    cmdline
        .split_ascii_whitespace()
        .rev()
        .find_map(|word| word.strip_prefix("vga="))
        == Some("normal")
}

/// Whether [`load`] would find anything wrong with the files and the command line.
///
/// # Errors
/// As [`load`].
pub fn check(request: &Request<'_>) -> Result<(), BootError> {
    Plan::new(request).map(drop)
}

/// What goes where, worked out before guest memory is touched.
struct Plan<'a> {
    image: Image<'a>,
    kernel: KernelPlan,
    initramfs: Option<Placed<'a>>,
    information: Information<'a>,
}

enum KernelPlan {
    Elf(elf::Plan),
    BzImage(bzimage::Plan),
}

impl<'a> Plan<'a> {
    fn new(request: &Request<'a>) -> Result<Self, BootError> {
        let image = Image::open(request.kernel)?;
        let start = image.read("the header", 0, usize::try_from(image.size().min(64)).unwrap_or(64))?;
        let (kernel, end, top, cmdline_limit) = if start.starts_with(b"\x7fELF") {
            let plan = elf::plan(&image, request.low_ram_end)?;
            let end = plan.end;
            (KernelPlan::Elf(plan), end, request.low_ram_end, PVH_CMDLINE_LIMIT)
        } else if bzimage::is_bzimage(&image)? {
            let plan = bzimage::plan(&image, request.low_ram_end)?;
            // The header names the last address an initramfs may use, not the one after it.
            let top = request.low_ram_end.min(plan.initramfs_max.saturating_add(1));
            let (end, limit) = (plan.end, plan.cmdline_limit);
            (KernelPlan::BzImage(plan), end, top, limit)
        } else {
            return Err(image.not_a_kernel(describe(&start)));
        };
        let initramfs = Placed::plan(request, end, top)?;
        let information = information(request, initramfs.as_ref());
        information.check(cmdline_limit)?;
        Ok(Self {
            image,
            kernel,
            initramfs,
            information,
        })
    }
}

fn information<'a>(request: &Request<'a>, initramfs: Option<&Placed<'_>>) -> Information<'a> {
    Information {
        cmdline: request.cmdline,
        memory_map: request.memory_map,
        rsdp: request.rsdp,
        initramfs: initramfs.map(|placed| placed.at),
    }
}

/// An initramfs and where it goes.
#[derive(Debug)]
struct Placed<'a> {
    image: Image<'a>,
    at: Initramfs,
}

impl<'a> Placed<'a> {
    /// As high as it goes below `top`, on a page of its own, above `floor`.
    fn plan(request: &Request<'a>, floor: u64, top: u64) -> Result<Option<Self>, BootError> {
        let Some((file, path)) = request.initramfs else {
            return Ok(None);
        };
        let image = Image::from_file(file, path)?;
        let size = image.size();
        let floor = floor.checked_next_multiple_of(4096).unwrap_or(u64::MAX);
        match top.checked_sub(size).map(|address| address & !4095) {
            Some(address) if address >= floor => Ok(Some(Self {
                image,
                at: Initramfs { address, size },
            })),
            _ => Err(BootError::InitramfsTooBig {
                name: image.name(),
                size,
                available: (top & !4095).saturating_sub(floor),
            }),
        }
    }

    fn load(placed: Option<&Self>, ram: &GuestRam) -> Result<(), BootError> {
        placed.map_or(Ok(()), |placed| {
            placed
                .image
                .load("the initramfs", 0, placed.at.size, ram, placed.at.address)
        })
    }
}

/// Says what a file that is no kernel looks like.
fn describe(start: &[u8]) -> String {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || matches!(byte, b'\t' | b'\n' | b'\r');
    match start {
        [0x1f, 0x8b, ..] => "it is a gzip file".to_owned(),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is an xz file".to_owned(),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "it is a zstd file".to_owned(),
        [b'0', b'7', b'0', b'7', b'0', ..] => "it is a cpio archive, perhaps an initramfs".to_owned(),
        [b'M', b'Z', ..] => "it is an EFI program without a Linux setup header".to_owned(),
        text if text.iter().all(is_text) => "it is a text file".to_owned(),
        other => {
            let bytes: Vec<_> = other.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("it starts with the bytes {}", bytes.join(" "))
        }
    }
}
