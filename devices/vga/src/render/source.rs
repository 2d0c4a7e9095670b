//! The memory that is drawn. Addresses past its end start again at its beginning.

use caraway_base::memory::SharedMemory;

use crate::dirty::DirtyPages;

/// What a refresh reads from.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) memory: &'a SharedMemory,
    pub(super) dirty: &'a DirtyPages,
}

impl Source<'_> {
    /// Copies out from `address` on.
    pub(super) fn read(&self, address: u64, into: &mut [u8]) {
        let size = self.memory.size().max(1);
        let mut at = address % size;
        let mut rest = into;
        while !rest.is_empty() {
            let until_end = usize::try_from(size - at).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(rest.len().min(until_end));
            if self.memory.read(at, now).is_err() {
                now.fill(0);
            }
            rest = later;
            at = 0;
        }
    }

    /// Whether any of `length` bytes from `address` on may have changed.
    pub(super) fn is_dirty(&self, address: u64, length: usize) -> bool {
        if self.dirty.is_empty() {
            return false;
        }
        let (size, length) = (self.memory.size().max(1), length as u64);
        let at = address % size;
        let first = length.min(size - at);
        self.dirty.touches(at, first) || self.dirty.touches(0, length - first)
    }
}
