//! Memory sizes of the device (ABI 2.1, 2.2).

use crate::QxlError;

const MIB: u64 = 1 << 20;

/// Bytes of the RAM header at the end of BAR 0, rounded up to pages.
pub(crate) const RAM_HEADER_SIZE: u64 = 8192;

/// Number of surface ids; 0 is the primary surface.
pub(crate) const SURFACE_COUNT: u32 = 1024;

/// Sizes of the memory behind the BARs, in bytes, each a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QxlSizes {
    vgamem: u64,
    ram: u64,
    vram32: u64,
    vram64: u64,
}

impl QxlSizes {
    /// Applies the device's size rules to what was asked for: `vgamem` is held to 8 to 256 MiB, `ram` (BAR 0) is at
    /// least twice that, `vram64` at least `vram32`, and all round up to powers of two. `vram64` larger than `vram32`
    /// adds the 64-bit BAR 4.
    ///
    /// # Errors
    /// When a size is larger than its BAR can be: 1 GiB, 64 GiB for `vram64`.
    pub fn new(vgamem: u64, ram: u64, vram32: u64, vram64: Option<u64>) -> Result<Self, QxlError> {
        let vgamem = vgamem.clamp(8 * MIB, 256 * MIB);
        let ram = ram.max(2 * vgamem);
        let vram32 = vram32.max(4096);
        let vram64 = vram64.unwrap_or(vram32).max(vram32);
        Ok(Self {
            vgamem: round("vgamem", vgamem, 256 * MIB)?,
            ram: round("ram", ram, 1024 * MIB)?,
            vram32: round("vram", vram32, 1024 * MIB)?,
            vram64: round("vram64", vram64, 64 * 1024 * MIB)?,
        })
    }

    /// As a device of this revision has them: the first one has a page of VRAM, whatever was asked for.
    #[must_use]
    pub const fn for_revision(self, revision: u8) -> Self {
        if revision > 1 {
            return self;
        }
        Self {
            vram32: 4096,
            vram64: 4096,
            ..self
        }
    }

    /// Bytes of the draw area, which bounds the primary surface.
    #[must_use]
    pub const fn vgamem(&self) -> u64 {
        self.vgamem
    }

    /// Bytes of BAR 0.
    #[must_use]
    pub const fn ram(&self) -> u64 {
        self.ram
    }

    /// Bytes of BAR 1.
    #[must_use]
    pub const fn vram32(&self) -> u64 {
        self.vram32
    }

    /// Bytes of all surface memory: BAR 4 when larger than BAR 1.
    #[must_use]
    pub const fn vram64(&self) -> u64 {
        self.vram64
    }

    /// Where the RAM header starts in BAR 0.
    pub(crate) const fn ram_header(&self) -> u64 {
        self.ram - RAM_HEADER_SIZE
    }

    /// Pages between the draw area and the RAM header.
    pub(crate) const fn pages(&self) -> u64 {
        (self.ram - RAM_HEADER_SIZE - self.vgamem) / 4096
    }
}

impl Default for QxlSizes {
    /// 16 MiB draw area, 64 MiB RAM, 64 MiB VRAM.
    fn default() -> Self {
        Self {
            vgamem: 16 * MIB,
            ram: 64 * MIB,
            vram32: 64 * MIB,
            vram64: 64 * MIB,
        }
    }
}

fn round(what: &'static str, size: u64, most: u64) -> Result<u64, QxlError> {
    size.checked_next_power_of_two()
        .filter(|rounded| *rounded <= most)
        .ok_or(QxlError::Size { what, size, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_give_the_reference_layout() {
        let sizes = QxlSizes::new(16 * MIB, 64 * MIB, 64 * MIB, None).unwrap();
        assert_eq!(sizes, QxlSizes::default());
        assert_eq!(sizes.ram_header(), 0x3ff_e000);
        assert_eq!(sizes.pages(), 0x2ffe);
    }

    #[test]
    fn ram_is_at_least_twice_the_draw_area_and_all_are_powers_of_two() {
        let sizes = QxlSizes::new(40 * MIB, 1, 5000, Some(1)).unwrap();
        assert_eq!(
            (sizes.vgamem(), sizes.ram(), sizes.vram32(), sizes.vram64()),
            (64 * MIB, 128 * MIB, 8192, 8192)
        );
        let small = QxlSizes::new(0, 0, 0, None).unwrap();
        assert_eq!((small.vgamem(), small.ram(), small.vram32()), (8 * MIB, 16 * MIB, 4096));
    }

    #[test]
    fn sizes_no_bar_can_have_are_refused_by_name() {
        let error = QxlSizes::new(0, u64::MAX, 0, None).unwrap_err();
        assert!(error.to_string().contains("ram"), "{error}");
        assert!(QxlSizes::new(0, 0, 0, Some(1 << 37)).is_err());
    }
}
