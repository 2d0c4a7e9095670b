//! What a disk device needs of an image.

use std::{
    fmt::Debug,
    io::{self, IoSlice, IoSliceMut},
};

/// Bytes of a sector: the unit of sizes everywhere, whatever the host's disk has.
pub const SECTOR: u64 = 512;

/// An image. Offsets and lengths are in bytes from the start of the disk as the guest sees it.
///
/// Called from I/O threads; every call may wait for the host's disk. A range that reaches past [`BlockBackend::size`] is
/// an error and changes nothing. What was written may be lost until [`BlockBackend::flush`] has returned.
pub trait BlockBackend: Send + Sync + Debug {
    /// Bytes, a multiple of [`SECTOR`], the same for life.
    fn size(&self) -> u64;

    /// Whether all writes fail.
    fn read_only(&self) -> bool;

    /// Whether [`BlockBackend::discard`] gives anything back to the host.
    fn can_discard(&self) -> bool;

    /// Fills all buffers from `offset` on.
    ///
    /// # Errors
    /// When the host cannot read, or the image ends early. The buffers may be filled in part.
    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<()>;

    /// Writes all buffers from `offset` on.
    ///
    /// # Errors
    /// When the host cannot write, or the image is read-only. A part may have been written.
    fn write_at(&self, offset: u64, buffers: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Makes everything written so far survive a crash of the host.
    ///
    /// # Errors
    /// When the host cannot say that it will.
    fn flush(&self) -> io::Result<()>;

    /// Tells that the content is not needed; it may read as anything afterwards. A host that cannot use the hint
    /// ignores it.
    ///
    /// # Errors
    /// When the host fails, or the image is read-only.
    fn discard(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Makes a range read as zeroes. With `unmap` its space may be given back to the host.
    ///
    /// # Errors
    /// When the host fails, or the image is read-only.
    fn write_zeroes(&self, offset: u64, length: u64, unmap: bool) -> io::Result<()>;
}
