//! The guest-physical address map and guest RAM.
//!
//! The map is that of a q35 PC, so that firmware later moves nothing:
//!
//! | from | to | what |
//! |---|---|---|
//! | 0 | 0x9fc00 | RAM |
//! | 0xa0000 | 0xc0000 | VGA window |
//! | 0xc0000 | 0xe0000 | option ROM shadow (RAM) |
//! | 0xe0000 | 0x100000 | tables (RAM) |
//! | 1 MiB | at most 0xb0000000 | RAM |
//! | 0xb0000000 | 0xc0000000 | ECAM |
//! | 0xc0000000 | 0xfec00000 | 32-bit PCI window |
//! | 4 GiB | | the rest of RAM, then the 64-bit PCI window |

use std::ops::Range;

use caraway_base::memory::{GuestRam, MemoryError, PAGE_SIZE, allocate_region};
use vm_memory::{GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _, GuestRegionMmap};

/// End of conventional memory that is free to use.
pub const CONVENTIONAL_END: u64 = 0x9_fc00;
/// The VGA window: no RAM here.
pub const VGA_WINDOW: Range<u64> = 0xa_0000..0xc_0000;
/// Tables, with the RSDP in the last 64 KiB.
pub const TABLES: Range<u64> = 0xe_0000..0x10_0000;
/// Start of RAM above the first megabyte.
pub const HIGH_MEMORY: u64 = 0x10_0000;
/// RAM below 4 GiB ends here at the latest.
pub const LOW_RAM_LIMIT: u64 = 0xb000_0000;
/// PCI Express config space: 256 buses of 1 MiB.
pub const ECAM: Range<u64> = 0xb000_0000..0xc000_0000;
/// Where 32-bit BARs are.
pub const WINDOW32: Range<u64> = 0xc000_0000..0xfec0_0000;
/// First address above the 32-bit hole.
pub const FOUR_GIB: u64 = 0x1_0000_0000;
/// Where the 64-bit window is, unless RAM reaches further.
const WINDOW64_START: u64 = 0x8_0000_0000;
const WINDOW64_SIZE: u64 = 32 << 30;
const GIB: u64 = 1 << 30;
/// Least RAM a machine is built with: tables and a kernel must fit.
pub const LEAST_RAM: u64 = 4 << 20;

/// What a part of the address map is, for the kernel's memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Free RAM.
    Ram,
    /// Not to be touched.
    Reserved,
}

/// Why RAM of a size cannot be laid out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Not a number of pages, or too few.
    #[error("memory of {bytes} bytes: must be a multiple of 4096 and at least {LEAST_RAM}")]
    Size { bytes: u64 },
    /// More than the guest's physical addresses reach.
    #[error("memory of {bytes} bytes and the PCI window above it do not fit into {bits} physical address bits")]
    TooLarge { bytes: u64, bits: u32 },
}

/// Where everything is for a given amount of RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    low_ram_end: u64,
    high_ram_end: Option<u64>,
    window64: Range<u64>,
}

impl Layout {
    /// Lays out `bytes` of RAM for a guest with that many physical address bits.
    ///
    /// # Errors
    /// When the size cannot be.
    pub fn new(bytes: u64, physical_bits: u32) -> Result<Self, LayoutError> {
        if bytes < LEAST_RAM || !bytes.is_multiple_of(PAGE_SIZE) {
            return Err(LayoutError::Size { bytes });
        }
        let too_large = LayoutError::TooLarge {
            bytes,
            bits: physical_bits,
        };
        let low_ram_end = bytes.min(LOW_RAM_LIMIT);
        let rest = bytes - low_ram_end;
        let Some(top) = FOUR_GIB.checked_add(rest) else {
            return Err(too_large);
        };
        let window = top
            .max(WINDOW64_START)
            .checked_next_multiple_of(GIB)
            .and_then(|start| Some(start..start.checked_add(WINDOW64_SIZE)?));
        match window {
            Some(window64) if physical_bits >= 64 || window64.end <= 1 << physical_bits => Ok(Self {
                low_ram_end,
                high_ram_end: (rest > 0).then_some(top),
                window64,
            }),
            _ => Err(too_large),
        }
    }

    /// End of RAM below 4 GiB.
    #[must_use]
    pub fn low_ram_end(&self) -> u64 {
        self.low_ram_end
    }

    /// Bytes of RAM from 4 GiB on.
    #[must_use]
    pub fn high_ram(&self) -> u64 {
        self.high_ram_end.map_or(0, |end| end - FOUR_GIB)
    }

    /// Where 64-bit BARs are.
    #[must_use]
    pub fn window64(&self) -> Range<u64> {
        self.window64.clone()
    }

    /// Ranges backed by RAM. The VGA window is a hole: a display device puts its own memory there.
    #[must_use]
    pub fn ram(&self) -> Vec<Range<u64>> {
        let mut ranges = vec![0..VGA_WINDOW.start, VGA_WINDOW.end..self.low_ram_end];
        ranges.extend(self.high_ram_end.map(|end| FOUR_GIB..end));
        ranges
    }

    /// The map a kernel is told.
    #[must_use]
    pub fn memory_map(&self) -> Vec<(Range<u64>, Use)> {
        let mut map = vec![
            (0..CONVENTIONAL_END, Use::Ram),
            (CONVENTIONAL_END..VGA_WINDOW.start, Use::Reserved),
            (TABLES, Use::Reserved),
            (HIGH_MEMORY..self.low_ram_end, Use::Ram),
            (ECAM, Use::Reserved),
        ];
        map.extend(self.high_ram_end.map(|end| (FOUR_GIB..end, Use::Ram)));
        map
    }

    /// Maps the RAM: memfd-backed, zero, taken from the host when first touched.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn allocate(&self) -> Result<GuestRam, MemoryError> {
        let mut regions = Vec::new();
        for range in self.ram() {
            let size = range.end - range.start;
            let region = allocate_region("caraway-ram", size)?;
            regions.push(GuestRegionMmap::new(region, GuestAddress(range.start)).ok_or_else(|| {
                MemoryError::Allocate {
                    size,
                    source: std::io::ErrorKind::InvalidInput.into(),
                }
            })?);
        }
        GuestRam::from_regions(regions).map_err(|source| MemoryError::Allocate {
            size: self.low_ram_end,
            source: std::io::Error::other(source),
        })
    }
}

/// Gives all RAM back to the host: the guest sees zeros. For a reset in place, while every vCPU is parked.
///
/// # Errors
/// When the host refuses.
pub fn clear(ram: &GuestRam) -> std::io::Result<()> {
    use caraway_base::memory::Region;
    use vm_memory::bitmap::Bitmap as _;
    for region in ram.iter() {
        let file = region.file_offset().ok_or(std::io::ErrorKind::Unsupported)?;
        rustix::fs::fallocate(
            file.file(),
            rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE,
            file.start(),
            region.len(),
        )?;
        let mapping: &Region = region;
        mapping.bitmap().mark_dirty(0, mapping.size());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes as _;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn ram_beyond_the_hole_goes_above_four_gib() {
        let layout = Layout::new(8 << 30, 40).unwrap();
        assert_eq!(layout.low_ram_end(), LOW_RAM_LIMIT);
        assert_eq!(layout.high_ram(), (8 << 30) - LOW_RAM_LIMIT);
        let total: u64 = layout.ram().iter().map(|range| range.end - range.start).sum();
        assert_eq!(total, (8 << 30) - (VGA_WINDOW.end - VGA_WINDOW.start));
        assert_eq!(layout.window64(), WINDOW64_START..WINDOW64_START + WINDOW64_SIZE);
    }

    #[test]
    fn window_follows_large_ram_aligned_to_a_gib() {
        let layout = Layout::new((100 << 30) + MIB, 40).unwrap();
        assert_eq!(layout.window64().start % GIB, 0);
        assert!(layout.window64().start >= layout.ram().last().unwrap().end);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(matches!(Layout::new(0, 40), Err(LayoutError::Size { .. })));
        assert!(matches!(Layout::new(8 * MIB + 1, 40), Err(LayoutError::Size { .. })));
        assert!(matches!(Layout::new(64 << 30, 36), Err(LayoutError::TooLarge { .. })));
        assert!(matches!(Layout::new(!0xfff, 52), Err(LayoutError::TooLarge { .. })));
    }

    #[test]
    fn the_kernels_map_has_no_overlaps_and_lists_ram_inside_ram() {
        let layout = Layout::new(6 << 30, 40).unwrap();
        let mut map = layout.memory_map();
        map.sort_by_key(|(range, _)| range.start);
        assert!(map.windows(2).all(|pair| pair[0].0.end <= pair[1].0.start));
        for (range, _) in map.iter().filter(|(_, use_)| *use_ == Use::Ram) {
            assert!(
                layout
                    .ram()
                    .iter()
                    .any(|ram| ram.start <= range.start && range.end <= ram.end)
            );
        }
    }

    #[test]
    fn cleared_memory_reads_zero() {
        let ram = Layout::new(8 * MIB, 40).unwrap().allocate().unwrap();
        ram.write_obj(7_u64, GuestAddress(HIGH_MEMORY)).unwrap();
        clear(&ram).unwrap();
        assert_eq!(ram.read_obj::<u64>(GuestAddress(HIGH_MEMORY)).unwrap(), 0);
        assert!(ram.write_obj(7_u64, GuestAddress(VGA_WINDOW.start)).is_err());
    }
}
