//! Linux bzImage, boot protocol 2.12 or later, 64-bit entry (Linux Documentation/arch/x86/boot.rst).

use caraway_base::memory::GuestRam;
use linux_loader::bootparam::setup_header;
use vm_memory::ByteValued as _;

use super::{BootError, LOAD_START, image::Image};

/// Where the setup header starts in the file.
const HEADER_OFFSET: u64 = 0x1f1;

/// The byte at 0x201 is the length of the header past 0x202.
const HEADER_LENGTH_OFFSET: u64 = 0x201;

/// "HdrS" at 0x202.
const HEADER_MAGIC: u32 = 0x5372_6448;
const BOOT_FLAG: u16 = 0xaa55;

/// 2.12 has `xloadflags`, which tells whether there is a 64-bit entry.
const MIN_VERSION: u16 = 0x020c;

/// The 64-bit entry, from the start of the protected-mode part.
const ENTRY_64: u64 = 0x200;
const XLF_KERNEL_64: u16 = 1;
const LOADED_HIGH: u8 = 1;

/// Load address of kernels that cannot be relocated.
const FIXED_LOAD_ADDRESS: u64 = 0x10_0000;

/// A checked bzImage.
pub(super) struct Plan {
    /// 64-bit entry.
    pub(super) entry: u64,
    /// The address after the last byte the kernel needs before it knows the memory map.
    pub(super) end: u64,
    /// Highest address an initramfs may have.
    pub(super) initramfs_max: u64,
    /// Bytes of command line, without the NUL.
    pub(super) cmdline_limit: usize,
    /// The header as the file has it, to be copied into the zero page.
    pub(super) header: setup_header,
    /// Where the protected-mode part goes.
    pub(super) load: u64,
    offset: u64,
    size: u64,
}

/// Whether the file has the magic of a Linux setup header.
pub(super) fn is_bzimage(image: &Image<'_>) -> Result<bool, BootError> {
    if image.size() < 0x206 {
        return Ok(false);
    }
    Ok(image.read("the setup header", 0x202, 4)? == HEADER_MAGIC.to_le_bytes())
}

/// Checks the headers. `limit` is the end of low RAM.
pub(super) fn plan(image: &Image<'_>, limit: u64) -> Result<Plan, BootError> {
    let header = setup_header_of(image)?;
    let (offset, size) = protected_mode_part(image, &header)?;
    let alignment = u64::from(header.kernel_alignment);
    if !alignment.is_power_of_two() {
        return Err(image.damaged(format!("kernel_alignment is {alignment:#x}, must be a power of two")));
    }
    let preferred = { header.pref_address }
        .max(LOAD_START)
        .checked_next_multiple_of(alignment)
        .unwrap_or(u64::MAX);
    let load = if header.relocatable_kernel == 0 {
        FIXED_LOAD_ADDRESS
    } else {
        preferred
    };
    // The kernel unpacks itself to `preferred` and works in `init_size` bytes from there.
    let end = load
        .checked_add(size)
        .zip(preferred.checked_add(u64::from(header.init_size)))
        .map_or(u64::MAX, |(file_end, work_end)| file_end.max(work_end));
    if end > limit {
        return Err(BootError::KernelTooBig {
            name: image.name(),
            start: load,
            end,
            limit,
        });
    }
    Ok(Plan {
        entry: load.saturating_add(ENTRY_64),
        end,
        initramfs_max: u64::from(header.initrd_addr_max),
        cmdline_limit: usize::try_from(header.cmdline_size).unwrap_or(usize::MAX),
        header,
        load,
        offset,
        size,
    })
}

impl Plan {
    /// Copies the protected-mode part.
    pub(super) fn load(&self, image: &Image<'_>, ram: &GuestRam) -> Result<(), BootError> {
        image.load("the compressed kernel", self.offset, self.size, ram, self.load)
    }
}

fn setup_header_of(image: &Image<'_>) -> Result<setup_header, BootError> {
    let mut header = setup_header::default();
    let length = image.read("the setup header", HEADER_LENGTH_OFFSET, 1)?;
    let told = usize::from(length.first().copied().unwrap_or(0)) + 0x202 - 0x1f1;
    let count = told.min(size_of::<setup_header>());
    let bytes = image.read("the setup header", HEADER_OFFSET, count)?;
    for (to, from) in header.as_mut_slice().iter_mut().zip(bytes) {
        *to = from;
    }
    let (flag, version, flags) = (header.boot_flag, header.version, header.xloadflags);
    if flag != BOOT_FLAG {
        return Err(image.damaged(format!("boot_flag is {flag:#06x}, must be {BOOT_FLAG:#06x}")));
    }
    if version < MIN_VERSION {
        return Err(image.unsupported(format!(
            "it speaks boot protocol {}.{:02}, 2.12 (Linux 3.8) or later is needed",
            version >> 8,
            version & 0xff
        )));
    }
    if flags & XLF_KERNEL_64 == 0 || header.loadflags & LOADED_HIGH == 0 {
        return Err(image.unsupported("it is a 32-bit kernel, a 64-bit one is needed"));
    }
    Ok(header)
}

/// Where the protected-mode part is in the file and its size.
fn protected_mode_part(image: &Image<'_>, header: &setup_header) -> Result<(u64, u64), BootError> {
    // Zero means four: older than the field.
    let sectors = if header.setup_sects == 0 { 4 } else { header.setup_sects };
    let offset = (u64::from(sectors) + 1) * 512;
    let told = u64::from(header.syssize) * 16;
    let size = image
        .size()
        .checked_sub(offset)
        .filter(|size| *size >= told && *size > ENTRY_64)
        .ok_or_else(|| image.truncated("the compressed kernel", offset, told.max(ENTRY_64 + 1)))?;
    // A signature may follow what `syssize` tells; it belongs to the file and is loaded with it, as boot loaders do.
    Ok((offset, size))
}
