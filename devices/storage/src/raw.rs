//! Raw images: regular files and block devices.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Seek as _, SeekFrom},
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, Mode, OFlags, fallocate, fdatasync, flock, open},
    io::{Errno, preadv, pwritev},
};

use crate::{BlockBackend, SECTOR, StorageError};

/// Buffers one system call takes (`IOV_MAX`).
const MAX_BUFFERS: usize = 1024;

/// A file or block device whose bytes are the disk's.
///
/// Locked for life: a writer keeps everybody else out, readers keep writers out. The lock (`flock`) belongs to this
/// open file and ends with it, however the process ends. Programs that do not lock are not kept out.
#[derive(Debug)]
pub struct RawFile {
    pub(crate) file: File,
    size: u64,
    read_only: bool,
}

impl RawFile {
    /// Opens and locks an image.
    ///
    /// # Errors
    /// When the file is missing, is no disk, has an odd size, or is in use.
    pub fn open(path: &Path, read_only: bool) -> Result<Self, StorageError> {
        let fail = |source: io::Error| StorageError::Open {
            path: path.to_owned(),
            read_only,
            source,
        };
        let access = if read_only { OFlags::RDONLY } else { OFlags::RDWR };
        // Without NONBLOCK a pipe named by mistake would wait for its other end.
        let flags = access | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mut file = File::from(open(path, flags, Mode::empty()).map_err(|e| fail(e.into()))?);
        let kind = file.metadata().map_err(fail)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(StorageError::NotADisk { path: path.to_owned() });
        }
        lock(&file, path, read_only)?;
        // The metadata of a block device says zero.
        let size = file.seek(SeekFrom::End(0)).map_err(fail)?;
        if size == 0 || !size.is_multiple_of(SECTOR) {
            return Err(StorageError::Size {
                path: path.to_owned(),
                size,
            });
        }
        Ok(Self { file, size, read_only })
    }

    fn check(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{length} bytes at {offset} of a disk of {} bytes", self.size),
            )),
        }
    }

    fn check_write(&self, offset: u64, length: u64) -> io::Result<()> {
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.check(offset, length)
    }

    pub(crate) fn zero_by_writing(&self, offset: u64, length: u64) -> io::Result<()> {
        static ZERO: [u8; 0x1_0000] = [0; 0x1_0000];
        let mut done = 0;
        while done < length {
            let step = (length - done).min(ZERO.len() as u64);
            let zero = usize::try_from(step).ok().and_then(|count| ZERO.get(..count));
            self.write_at(offset + done, &mut [IoSlice::new(zero.unwrap_or(&ZERO))])?;
            done += step;
        }
        Ok(())
    }
}

fn lock(file: &File, path: &Path, read_only: bool) -> Result<(), StorageError> {
    let operation = if read_only {
        FlockOperation::NonBlockingLockShared
    } else {
        FlockOperation::NonBlockingLockExclusive
    };
    flock(file, operation).map_err(|error| match error {
        Errno::WOULDBLOCK => StorageError::InUse {
            path: path.to_owned(),
            read_only,
        },
        other => StorageError::Lock {
            path: path.to_owned(),
            source: other.into(),
        },
    })
}

impl BlockBackend for RawFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn can_discard(&self) -> bool {
        !self.read_only
    }

    fn read_at(&self, mut offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<()> {
        self.check(offset, buffers.iter().map(|buffer| buffer.len() as u64).sum())?;
        let mut rest = buffers;
        // Empty ones are passed over here, so that a result of zero bytes means the end of the file.
        IoSliceMut::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let batch = rest.len().min(MAX_BUFFERS);
            let count = match preadv(&self.file, rest.get_mut(..batch).unwrap_or_default(), offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += count as u64;
            IoSliceMut::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    fn write_at(&self, mut offset: u64, buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.check_write(offset, buffers.iter().map(|buffer| buffer.len() as u64).sum())?;
        let mut rest = buffers;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let batch = rest.len().min(MAX_BUFFERS);
            let count = match pwritev(&self.file, rest.get(..batch).unwrap_or_default(), offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += count as u64;
            IoSlice::advance_slices(&mut rest, count);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check_write(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        match fallocate(
            &self.file,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            offset,
            length,
        ) {
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_zeroes(&self, offset: u64, length: u64, unmap: bool) -> io::Result<()> {
        self.check_write(offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let flags = if unmap {
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE
        } else {
            FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE
        };
        match fallocate(&self.file, flags, offset, length) {
            Ok(()) => Ok(()),
            // Not every file system can, and device mapper targets may refuse with either.
            Err(Errno::OPNOTSUPP | Errno::INVAL) => self.zero_by_writing(offset, length),
            Err(error) => Err(error.into()),
        }
    }
}
