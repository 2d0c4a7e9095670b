//! A file of the host, or bytes of this program, as something to load from.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

use caraway_base::memory::GuestRam;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError};

use super::{BootError, Source};

/// A source with its size and a name for messages.
#[derive(Debug)]
pub(super) struct Image<'a> {
    source: Source<'a>,
    name: String,
    size: u64,
}

impl<'a> Image<'a> {
    /// Looks at the size. The file must be regular and have bytes: the size of anything else means nothing.
    pub(super) fn open(source: Source<'a>) -> Result<Self, BootError> {
        let (name, size) = match &source {
            Source::File(file, path) => {
                let name = path.display().to_string();
                let metadata = match file.metadata() {
                    Ok(metadata) => metadata,
                    Err(source) => return Err(BootError::Read { name, source }),
                };
                if !metadata.is_file() {
                    return Err(BootError::NotAFile { name });
                }
                (name, metadata.len())
            }
            Source::Bytes(bytes) => ("the built-in kernel".to_owned(), bytes.len() as u64),
        };
        if size == 0 {
            return Err(BootError::Empty { name });
        }
        Ok(Self { source, name, size })
    }

    pub(super) fn from_file(file: &'a File, path: &'a Path) -> Result<Self, BootError> {
        Self::open(Source::File(file, path))
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads `length` bytes at `offset`, or says that `what` is cut. The caller bounds `length`.
    pub(super) fn read(&self, what: &'static str, offset: u64, length: usize) -> Result<Vec<u8>, BootError> {
        self.check(what, offset, length as u64)?;
        let mut bytes = vec![0; length];
        match &self.source {
            Source::File(file, _) => file.read_exact_at(&mut bytes, offset).map_err(|e| self.unreadable(e))?,
            Source::Bytes(all) => {
                let from = usize::try_from(offset)
                    .ok()
                    .and_then(|start| all.get(start..)?.get(..length));
                bytes.copy_from_slice(from.ok_or_else(|| self.truncated(what, offset, length as u64))?);
            }
        }
        Ok(bytes)
    }

    /// Copies `length` bytes at `offset` to guest memory without a stop in between.
    pub(super) fn load(
        &self,
        what: &'static str,
        offset: u64,
        length: u64,
        ram: &GuestRam,
        address: u64,
    ) -> Result<(), BootError> {
        self.check(what, offset, length)?;
        let cut = || self.truncated(what, offset, length);
        let count = usize::try_from(length).map_err(|_| cut())?;
        let result = match &self.source {
            Source::File(file, _) => {
                let mut file = *file;
                file.seek(SeekFrom::Start(offset)).map_err(|e| self.unreadable(e))?;
                ram.read_exact_volatile_from(GuestAddress(address), &mut file, count)
            }
            Source::Bytes(all) => {
                let from = usize::try_from(offset)
                    .ok()
                    .and_then(|start| all.get(start..)?.get(..count));
                ram.write_slice(from.ok_or_else(cut)?, GuestAddress(address))
            }
        };
        result.map_err(|error| match error {
            GuestMemoryError::IOError(source) => self.unreadable(source),
            source => BootError::GuestMemory { what, address, source },
        })
    }

    /// The error for `what` at `offset` when the file is shorter.
    pub(super) fn truncated(&self, what: &'static str, offset: u64, length: u64) -> BootError {
        BootError::Truncated {
            name: self.name(),
            what,
            needed: offset.saturating_add(length),
            size: self.size,
        }
    }

    pub(super) fn damaged(&self, what: String) -> BootError {
        BootError::Damaged {
            name: self.name(),
            what,
        }
    }

    pub(super) fn unsupported(&self, why: impl Into<String>) -> BootError {
        BootError::Unsupported {
            name: self.name(),
            why: why.into(),
        }
    }

    pub(super) fn not_a_kernel(&self, what: impl Into<String>) -> BootError {
        BootError::NotAKernel {
            name: self.name(),
            what: what.into(),
        }
    }

    fn check(&self, what: &'static str, offset: u64, length: u64) -> Result<(), BootError> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(self.truncated(what, offset, length)),
        }
    }

    fn unreadable(&self, source: std::io::Error) -> BootError {
        BootError::Read {
            name: self.name(),
            source,
        }
    }
}
