//! A memory BAR, mapped one to one.

use crate::pci::MemoryBar;

/// Shared memory of a device: BAR memory that host and guest both write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    base: usize,
    size: usize,
}

impl Bar {
    pub(crate) fn new(bar: MemoryBar) -> Self {
        Self {
            base: bar.base as usize,
            size: bar.size as usize,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Guest-physical address of an offset.
    pub(crate) fn address(&self, offset: usize) -> u64 {
        (self.base + offset) as u64
    }

    fn pointer(&self, offset: usize, size: usize) -> *mut u8 {
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= self.size),
            "offset {offset:#x} is outside the BAR"
        );
        (self.base + offset) as *mut u8
    }

    pub(crate) fn read8(&self, offset: usize) -> u8 {
        // SAFETY: inside the BAR (checked), which ring0.s maps one to one.
        unsafe { self.pointer(offset, 1).read_volatile() }
    }

    pub(crate) fn read32(&self, offset: usize) -> u32 {
        // SAFETY: as above; the fields read are 4-aligned.
        unsafe { self.pointer(offset, 4).cast::<u32>().read_volatile() }
    }

    pub(crate) fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as above; the fields written are 4-aligned.
        unsafe { self.pointer(offset, 4).cast::<u32>().write_volatile(value) }
    }

    /// Reads a field of 8 bytes, which in this ABI may be aligned to 4 only.
    pub(crate) fn read64(&self, offset: usize) -> u64 {
        u64::from(self.read32(offset)) | (u64::from(self.read32(offset + 4)) << 32)
    }

    pub(crate) fn write64(&self, offset: usize, value: u64) {
        self.write32(offset, value as u32);
        self.write32(offset + 4, (value >> 32) as u32);
    }

    /// Copies out of memory that the device may write meanwhile.
    pub(crate) fn copy_out(&self, offset: usize, into: &mut [u8]) {
        for (byte, at) in into.iter_mut().zip(offset..) {
            *byte = self.read8(at);
        }
    }

    /// Copies into memory that the device may read meanwhile.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(offset..) {
            // SAFETY: inside the BAR (checked).
            unsafe { self.pointer(at, 1).write_volatile(*byte) }
        }
    }

    /// Memory of a command that has not been handed to the device.
    pub(crate) fn bytes(&mut self, offset: usize, size: usize) -> &mut [u8] {
        // SAFETY: inside the BAR (checked); the allocator has given this range to one command, and the device does
        // not touch it before the command is in a ring.
        unsafe { core::slice::from_raw_parts_mut(self.pointer(offset, size), size) }
    }
}
