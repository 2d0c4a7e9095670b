//! Windows for BARs, and the addresses functions start with when no firmware runs.

use std::ops::Range;

use caraway_base::address_space::Space;

/// Where BARs may lie. Ranges run from the first address to the one after the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// I/O ports.
    pub ports: Range<u64>,
    /// Memory below 4 GiB.
    pub low: Range<u64>,
    /// Memory above RAM; empty when the guest cannot address any. 64-bit BARs go there first.
    pub high: Range<u64>,
}

impl Windows {
    /// The address map of a q35 machine, with `high` as the 64-bit window.
    #[must_use]
    pub fn with_high(high: Range<u64>) -> Self {
        Self {
            ports: 0xc000..0x1_0000,
            low: 0xc000_0000..0xfec0_0000,
            high,
        }
    }
}

impl Default for Windows {
    /// Without a 64-bit window.
    fn default() -> Self {
        Self::with_high(0..0)
    }
}

/// Hands out naturally aligned ranges from the bottom of each window. Asked for the largest first it wastes nothing.
#[derive(Debug)]
pub(crate) struct Allocator {
    free: Windows,
}

impl Allocator {
    pub(crate) fn new(windows: Windows) -> Self {
        Self { free: windows }
    }

    /// An address for a BAR of `size` bytes (a power of two).
    pub(crate) fn allocate(&mut self, space: Space, wide: bool, size: u64) -> Option<u64> {
        match space {
            Space::Ports => take(&mut self.free.ports, size),
            Space::Memory => {
                let high = if wide { take(&mut self.free.high, size) } else { None };
                high.or_else(|| take(&mut self.free.low, size))
            }
        }
    }
}

fn take(window: &mut Range<u64>, size: u64) -> Option<u64> {
    let start = window.start.checked_next_multiple_of(size)?;
    let end = start.checked_add(size)?;
    if end > window.end {
        return None;
    }
    window.start = end;
    Some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_aligned_disjoint_and_inside() {
        let mut allocator = Allocator::new(Windows::with_high(1 << 40..(1 << 40) + (1 << 20)));
        assert_eq!(allocator.allocate(Space::Memory, false, 1 << 26), Some(0xc000_0000));
        assert_eq!(allocator.allocate(Space::Memory, false, 1 << 13), Some(0xc400_0000));
        assert_eq!(allocator.allocate(Space::Memory, false, 1 << 26), Some(0xc800_0000));
        assert_eq!(allocator.allocate(Space::Memory, true, 1 << 20), Some(1 << 40));
        assert_eq!(allocator.allocate(Space::Memory, true, 1 << 20), Some(0xcc00_0000));
        assert_eq!(allocator.allocate(Space::Memory, false, 1 << 30), None);
        assert_eq!(allocator.allocate(Space::Ports, false, 32), Some(0xc000));
    }

    #[test]
    fn an_empty_window_gives_nothing() {
        assert_eq!(take(&mut (0..0), 16), None);
        assert_eq!(take(&mut (u64::MAX - 3..u64::MAX), 16), None);
    }
}
