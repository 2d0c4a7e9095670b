//! Bounded reading of one message body.

use bytes::Bytes;
use caraway_ports::geometry::{Point, Rect};

use super::Point16;
use crate::error::{Error, Result};

/// A position in a message body. Every read names its field, so that an error says what did not fit.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    message: &'static str,
    body: &'a Bytes,
    at: usize,
}

/// Reads a little-endian integer.
macro_rules! integer {
    ($name:ident, $type:ty) => {
        #[doc = concat!("A little-endian `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// [`Error::Truncated`] when the body ends before.
        pub fn $name(&mut self, field: &'static str) -> Result<$type> {
            self.array(field).map(<$type>::from_le_bytes)
        }
    };
}

impl<'a> Reader<'a> {
    /// A reader at the start of `body`; `message` names it in errors.
    #[must_use]
    pub const fn new(message: &'static str, body: &'a Bytes) -> Self {
        Self { message, body, at: 0 }
    }

    /// Bytes from here to the end of the body.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.body.len().saturating_sub(self.at)
    }

    /// The error that says that `field` has a value it cannot have.
    #[must_use]
    pub fn unexpected(&self, field: &'static str, expected: &'static str, got: impl Into<u64>) -> Error {
        Error::Unexpected {
            message: self.message,
            field,
            expected,
            got: got.into(),
        }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        let Some(array) = rest.first_chunk::<N>() else {
            return Err(self.truncated(field, N as u64));
        };
        self.at += N;
        Ok(*array)
    }

    integer!(u8, u8);
    integer!(u16, u16);
    integer!(u32, u32);
    integer!(u64, u64);
    integer!(i16, i16);
    integer!(i32, i32);
    integer!(i64, i64);

    /// Two `i32`: x, y.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn point(&mut self, field: &'static str) -> Result<Point> {
        Ok(Point {
            x: self.i32(field)?,
            y: self.i32(field)?,
        })
    }

    /// Two `i16`: x, y.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn point16(&mut self, field: &'static str) -> Result<Point16> {
        Ok(Point16 {
            x: self.i16(field)?,
            y: self.i16(field)?,
        })
    }

    /// Four `i32`: top, left, bottom, right.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn rect(&mut self, field: &'static str) -> Result<Rect> {
        Ok(Rect {
            top: self.i32(field)?,
            left: self.i32(field)?,
            bottom: self.i32(field)?,
            right: self.i32(field)?,
        })
    }

    /// The next `length` bytes, sharing the buffer of the message.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn bytes(&mut self, field: &'static str, length: u64) -> Result<Bytes> {
        let taken = usize::try_from(length).ok().filter(|taken| *taken <= self.remaining());
        let Some(taken) = taken else {
            return Err(self.truncated(field, length));
        };
        let start = self.at;
        self.at += taken;
        Ok(self.body.slice(start..self.at))
    }

    /// Everything to the end of the body, sharing its buffer.
    #[must_use]
    pub fn rest(&mut self) -> Bytes {
        let start = self.at.min(self.body.len());
        self.at = self.body.len();
        self.body.slice(start..)
    }

    /// Text of `length` bytes, up to its first NUL. What is not UTF-8 is replaced.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before.
    pub fn text(&mut self, field: &'static str, length: u32) -> Result<String> {
        let bytes = self.bytes(field, u64::from(length))?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// `count` items of at least `item_bytes` bytes each, read one after the other. Memory is taken only once the
    /// count is known to fit into the body.
    ///
    /// # Errors
    /// [`Error::Truncated`] when they cannot fit; what `item` reports.
    pub fn items<T>(
        &mut self,
        field: &'static str,
        count: u32,
        item_bytes: usize,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let need = u64::from(count).saturating_mul(item_bytes as u64);
        let count = usize::try_from(count).ok().filter(|_| need <= self.remaining() as u64);
        let Some(count) = count else {
            return Err(self.truncated(field, need));
        };
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A pointer: a reader at its target, or `None` when it is 0.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before, [`Error::Pointer`] when the target is outside the body.
    pub fn pointer(&mut self, field: &'static str) -> Result<Option<Self>> {
        match self.u32(field)? {
            0 => Ok(None),
            offset => self.at_offset(field, offset).map(Some),
        }
    }

    /// An offset in a sub-message list: a reader at the sub-message. Unlike a pointer, 0 is an offset like any other.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the body ends before, [`Error::Pointer`] when the target is outside the body.
    pub fn sub_message(&mut self, field: &'static str) -> Result<Self> {
        let offset = self.u32(field)?;
        self.at_offset(field, offset)
    }

    fn at_offset(&self, field: &'static str, offset: u32) -> Result<Self> {
        match usize::try_from(offset) {
            Ok(at) if at < self.body.len() => Ok(Self { at, ..self.clone() }),
            _ => Err(Error::Pointer {
                message: self.message,
                field,
                offset: u64::from(offset),
                body: self.body.len() as u64,
            }),
        }
    }

    /// A pointer that must not be 0.
    ///
    /// # Errors
    /// As [`Self::pointer`], and [`Error::Null`].
    pub fn target(&mut self, field: &'static str) -> Result<Self> {
        self.pointer(field)?.ok_or(Error::Null {
            message: self.message,
            field,
        })
    }

    fn truncated(&self, field: &'static str, need: u64) -> Error {
        Error::Truncated {
            message: self.message,
            field,
            need,
            have: self.remaining() as u64,
        }
    }
}
