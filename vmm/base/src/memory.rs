//! Memory shared with the guest: guest RAM and the memory behind BARs.
//!
//! All access goes through bounds-checked copies and atomics; no slice of guest memory ever leaves this module, since
//! the guest may change it at any time. Writes made here are recorded in a dirty bitmap beside KVM's own log.

use std::{
    fs::File,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering},
    },
};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use vm_memory::{
    Bytes as _, FileOffset, VolatileMemory as _,
    bitmap::{AtomicBitmap, Bitmap as _},
    mmap::MmapRegionBuilder,
};

/// Guest RAM as vm-memory sees it, with a dirty bitmap. One alias, so that nobody uses the no-op bitmap by accident.
pub type GuestRam = vm_memory::GuestMemoryMmap<AtomicBitmap>;

/// A mapped region with a dirty bitmap.
pub type Region = vm_memory::MmapRegion<AtomicBitmap>;

/// Dirty bitmap granularity and the size of a guest page.
pub const PAGE_SIZE: u64 = 4096;

/// Why memory cannot be had or reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The host has none to give.
    #[error("cannot get {size} bytes of memory from the host")]
    Allocate {
        /// Bytes asked for.
        size: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The access is not inside.
    #[error("access of {length} bytes at {offset:#x} of {size:#x}")]
    OutOfBounds {
        /// Start.
        offset: u64,
        /// Bytes.
        length: u64,
        /// Size of the memory.
        size: u64,
    },
}

/// A memfd mapped into this process and lent to the guest. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Region>);

/// Maps `size` bytes of fresh, zero, lazily allocated memory backed by a memfd.
///
/// # Errors
/// When the host refuses.
pub fn allocate_region(name: &str, size: u64) -> Result<Region, MemoryError> {
    let fail = |source: std::io::Error| MemoryError::Allocate { size, source };
    let length = usize::try_from(size).map_err(|_| fail(std::io::ErrorKind::OutOfMemory.into()))?;
    let fd: OwnedFd = memfd_create(name, MemfdFlags::CLOEXEC).map_err(|e| fail(e.into()))?;
    ftruncate(&fd, size).map_err(|e| fail(e.into()))?;
    MmapRegionBuilder::new_with_bitmap(
        length,
        AtomicBitmap::new(
            length,
            std::num::NonZeroUsize::new(4096).unwrap_or(std::num::NonZeroUsize::MIN),
        ),
    )
    .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
    .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE)
    .with_file_offset(FileOffset::new(File::from(fd), 0))
    .build()
    .map_err(|e| fail(std::io::Error::other(e)))
}

impl SharedMemory {
    /// Fresh zero memory of `size` bytes.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn allocate(name: &str, size: u64) -> Result<Self, MemoryError> {
        allocate_region(name, size).map(|region| Self(Arc::new(region)))
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size() as u64
    }

    /// Address of the mapping in this process, for KVM's memory slots. Not to be read or written through.
    #[must_use]
    pub fn host_address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// Descriptor of the backing memfd.
    #[must_use]
    pub fn raw_fd(&self) -> Option<i32> {
        self.0.file_offset().map(|file| file.file().as_raw_fd())
    }

    /// Whether `length` bytes at `offset` are inside.
    #[must_use]
    pub fn contains(&self, offset: u64, length: u64) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.size())
    }

    /// Copies out.
    ///
    /// # Errors
    /// When the range is not inside; nothing is copied then.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), MemoryError> {
        let at = self.check(offset, into.len() as u64)?;
        self.0
            .as_volatile_slice()
            .read_slice(into, at)
            .map_err(|_| self.outside(offset, into.len() as u64))
    }

    /// Copies out into a new vector. The length is checked before anything is allocated.
    ///
    /// # Errors
    /// When the range is not inside.
    pub fn read_vec(&self, offset: u64, length: u64) -> Result<Vec<u8>, MemoryError> {
        self.check(offset, length)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| self.outside(offset, length))?];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies in and marks the pages dirty.
    ///
    /// # Errors
    /// When the range is not inside; nothing is copied then.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), MemoryError> {
        let at = self.check(offset, bytes.len() as u64)?;
        self.0
            .as_volatile_slice()
            .write_slice(bytes, at)
            .map_err(|_| self.outside(offset, bytes.len() as u64))
    }

    /// Zeroes a range and marks it dirty.
    ///
    /// # Errors
    /// When the range is not inside.
    pub fn zero(&self, offset: u64, length: u64) -> Result<(), MemoryError> {
        self.check(offset, length)?;
        const ZERO: [u8; 4096] = [0; 4096];
        let mut done = 0;
        while done < length {
            let step = (length - done).min(4096);
            self.write(
                offset + done,
                ZERO.get(..usize::try_from(step).unwrap_or(0)).unwrap_or(&[]),
            )?;
            done += step;
        }
        Ok(())
    }

    /// Marks a range dirty that was written by other means (a device file read into it, for example).
    pub fn mark_dirty(&self, offset: u64, length: u64) {
        if let (Ok(offset), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) {
            self.0.bitmap().mark_dirty(offset, length);
        }
    }

    /// Whether this process wrote to the page of `offset` since the bitmap was last reset.
    #[must_use]
    pub fn is_dirty(&self, offset: u64) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.0.bitmap().dirty_at(offset))
    }

    /// The region, for vm-memory users.
    #[must_use]
    pub fn region(&self) -> &Arc<Region> {
        &self.0
    }

    fn check(&self, offset: u64, length: u64) -> Result<usize, MemoryError> {
        if !self.contains(offset, length) {
            return Err(self.outside(offset, length));
        }
        usize::try_from(offset).map_err(|_| self.outside(offset, length))
    }

    fn outside(&self, offset: u64, length: u64) -> MemoryError {
        MemoryError::OutOfBounds {
            offset,
            length,
            size: self.size(),
        }
    }
}

/// The file behind a memory, for whoever copies its contents to or from somewhere else while nothing else touches it. Such
/// copies do not show in the dirty bitmap.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    name: String,
    size: u64,
    file: Arc<File>,
}

impl MemoryFile {
    /// The file behind `region`, `None` when the region was not made by [`allocate_region`]. The name tells the memories
    /// of a machine apart: lower-case letters, digits and hyphens.
    #[must_use]
    pub fn of(name: impl Into<String>, region: &Region) -> Option<Self> {
        let backing = region.file_offset().filter(|backing| backing.start() == 0)?;
        Some(Self {
            name: name.into(),
            size: region.size() as u64,
            file: Arc::clone(backing.arc()),
        })
    }

    /// Which memory of the machine.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The contents, from the start of the file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

macro_rules! atomics {
    ($($load:ident $store:ident $swap:ident $or:ident $int:ty, $atomic:ty;)*) => { $(
        impl SharedMemory {
            /// Atomic load, sequentially consistent.
            ///
            /// # Errors
            /// When the value is not inside or not naturally aligned.
            pub fn $load(&self, offset: u64) -> Result<$int, MemoryError> {
                Ok(self.0.get_atomic_ref::<$atomic>(self.check(offset, size_of::<$int>() as u64)?)
                    .map_err(|_| self.outside(offset, size_of::<$int>() as u64))?.load(Ordering::SeqCst))
            }

            /// Atomic store, sequentially consistent; marks the page dirty.
            ///
            /// # Errors
            /// When the value is not inside or not naturally aligned.
            pub fn $store(&self, offset: u64, value: $int) -> Result<(), MemoryError> {
                self.0.get_atomic_ref::<$atomic>(self.check(offset, size_of::<$int>() as u64)?)
                    .map_err(|_| self.outside(offset, size_of::<$int>() as u64))?.store(value, Ordering::SeqCst);
                self.mark_dirty(offset, size_of::<$int>() as u64);
                Ok(())
            }

            /// Atomic exchange; the old value.
            ///
            /// # Errors
            /// When the value is not inside or not naturally aligned.
            pub fn $swap(&self, offset: u64, value: $int) -> Result<$int, MemoryError> {
                let old = self.0.get_atomic_ref::<$atomic>(self.check(offset, size_of::<$int>() as u64)?)
                    .map_err(|_| self.outside(offset, size_of::<$int>() as u64))?.swap(value, Ordering::SeqCst);
                self.mark_dirty(offset, size_of::<$int>() as u64);
                Ok(old)
            }

            /// Atomic or; the old value.
            ///
            /// # Errors
            /// When the value is not inside or not naturally aligned.
            pub fn $or(&self, offset: u64, bits: $int) -> Result<$int, MemoryError> {
                let old = self.0.get_atomic_ref::<$atomic>(self.check(offset, size_of::<$int>() as u64)?)
                    .map_err(|_| self.outside(offset, size_of::<$int>() as u64))?.fetch_or(bits, Ordering::SeqCst);
                self.mark_dirty(offset, size_of::<$int>() as u64);
                Ok(old)
            }
        }
    )* };
}

atomics! {
    load_u8 store_u8 swap_u8 or_u8 u8, AtomicU8;
    load_u16 store_u16 swap_u16 or_u16 u16, AtomicU16;
    load_u32 store_u32 swap_u32 or_u32 u32, AtomicU32;
    load_u64 store_u64 swap_u64 or_u64 u64, AtomicU64;
}

/// A full barrier between two accesses to shared memory.
pub fn full_barrier() {
    std::sync::atomic::fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_past_the_end_are_refused_and_copy_nothing() {
        let memory = SharedMemory::allocate("test", 4096).unwrap();
        let mut bytes = [7; 8];
        assert!(memory.read(4090, &mut bytes).is_err());
        assert_eq!(bytes, [7; 8]);
        assert!(memory.write(u64::MAX - 3, &bytes).is_err());
        assert!(memory.load_u32(4094).is_err());
        assert!(memory.load_u32(4096).is_err());
        assert!(memory.read_vec(0, u64::MAX).is_err());
    }

    #[test]
    fn own_writes_mark_their_pages_dirty_and_reads_do_not() {
        let memory = SharedMemory::allocate("test", 4 * PAGE_SIZE).unwrap();
        memory.write(PAGE_SIZE - 1, &[1, 2]).unwrap();
        memory.read_vec(2 * PAGE_SIZE, 8).unwrap();
        memory.or_u32(3 * PAGE_SIZE, 1).unwrap();
        assert!(memory.is_dirty(0) && memory.is_dirty(PAGE_SIZE) && memory.is_dirty(3 * PAGE_SIZE));
        assert!(!memory.is_dirty(2 * PAGE_SIZE));
    }

    #[test]
    fn clones_share_the_same_bytes() {
        let memory = SharedMemory::allocate("test", PAGE_SIZE).unwrap();
        memory.clone().write(10, b"abc").unwrap();
        assert_eq!(memory.read_vec(10, 3).unwrap(), b"abc");
        assert_eq!(memory.swap_u32(8, 5).unwrap(), u32::from_le_bytes([0, 0, b'a', b'b']));
    }
}
