//! Bytes that wait until a descriptor takes them.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

/// The bytes.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    written: usize,
}

impl Queue {
    /// How many wait.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Whether none do.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Where more go.
    pub(crate) fn back(&mut self) -> &mut Vec<u8> {
        // Not every time: a queue that is long would be moved for each few bytes.
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// Writes what is taken without waiting; whether that was anything.
    ///
    /// # Errors
    /// The other end is gone.
    pub(crate) fn write(&mut self, to: impl AsFd) -> io::Result<bool> {
        let before = self.written;
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match rustix::io::write(&to, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(self.written > before),
                Err(error) => return Err(error.into()),
            }
        }
        let has_written = self.written > before;
        if has_written {
            self.clear();
        }
        Ok(has_written)
    }
}

/// Reads what is there without waiting; `None` at the end.
///
/// # Errors
/// The other end is gone.
pub(crate) fn read(from: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<&[u8]>> {
    loop {
        return match rustix::io::read(&from, &mut *buffer) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(buffer.get(..count)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Some(&[])),
            Err(error) => Err(error.into()),
        };
    }
}
