//! Writing one message: metadata into one buffer, bulk data as shared slices beside it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::geometry::{Point, Rect};

use super::Point16;
use crate::error::{Error, Result};

/// Below this many bytes copying a payload is cheaper than one more entry in a vectored write.
const SEGMENT_MIN: usize = 1024;

/// Something a pointer leads to. It is written behind the fixed part of the message.
pub trait Block {
    /// Writes the target of the pointer at the current position.
    ///
    /// # Errors
    /// When a value does not fit its field.
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()>;
}

/// Text behind a pointer, with its NUL.
impl Block for String {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.text("text", self)
    }
}

/// An array of numbers behind a pointer.
impl Block for Arc<[i32]> {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        self.iter().for_each(|value| out.i32(*value));
        Ok(())
    }
}

/// One message on its way out. `'a` is the life of the message that is written.
pub struct Writer<'a> {
    message: &'static str,
    buffer: Vec<u8>,
    body_start: usize,
    /// Payloads that are not in `buffer`, each with the length of `buffer` where it belongs.
    shared: Vec<(usize, Bytes)>,
    shared_bytes: usize,
    share_from: usize,
    pending: VecDeque<(usize, &'a dyn Block)>,
}

impl std::fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("message", &self.message)
            .field("position", &self.position())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

/// Writes a little-endian integer.
macro_rules! integer {
    ($name:ident, $type:ty) => {
        #[doc = concat!("A little-endian `", stringify!($type), "`.")]
        pub fn $name(&mut self, value: $type) {
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
    };
}

impl<'a> Writer<'a> {
    /// Writes behind what `buffer` holds; the body starts `header_bytes` further on. With `share` payloads stay where
    /// they are and the result has several segments, without it everything ends up in the buffer.
    pub(crate) fn new(message: &'static str, mut buffer: Vec<u8>, header_bytes: usize, share: bool) -> Self {
        buffer.resize(buffer.len().saturating_add(header_bytes), 0);
        Self {
            message,
            body_start: buffer.len(),
            buffer,
            shared: Vec::new(),
            shared_bytes: 0,
            share_from: if share { SEGMENT_MIN } else { usize::MAX },
            pending: VecDeque::new(),
        }
    }

    integer!(u8, u8);
    integer!(u16, u16);
    integer!(u32, u32);
    integer!(u64, u64);
    integer!(i16, i16);
    integer!(i32, i32);
    integer!(i64, i64);

    /// Two `i32`: x, y.
    pub fn point(&mut self, point: Point) {
        self.i32(point.x);
        self.i32(point.y);
    }

    /// Two `i16`: x, y.
    pub fn point16(&mut self, point: Point16) {
        self.i16(point.x);
        self.i16(point.y);
    }

    /// Four `i32`: top, left, bottom, right.
    pub fn rect(&mut self, rect: &Rect) {
        self.i32(rect.top);
        self.i32(rect.left);
        self.i32(rect.bottom);
        self.i32(rect.right);
    }

    /// Bytes that are few, or not shared.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// That many zero bytes.
    pub fn zeros(&mut self, count: usize) {
        self.buffer.resize(self.buffer.len().saturating_add(count), 0);
    }

    /// Bulk data. Large data is not copied when the message is encoded into segments.
    pub fn payload(&mut self, data: &Bytes) {
        if data.len() >= self.share_from {
            self.shared_bytes = self.shared_bytes.saturating_add(data.len());
            self.shared.push((self.buffer.len(), data.clone()));
        } else {
            self.buffer.extend_from_slice(data);
        }
    }

    /// Text and a NUL.
    ///
    /// # Errors
    /// [`Error::Unexpected`] when a NUL is inside, since the peer would read less than was meant.
    pub fn text(&mut self, field: &'static str, text: &str) -> Result<()> {
        if text.bytes().any(|byte| byte == 0) {
            return Err(self.unexpected(field, "text without NUL", 0_u64));
        }
        self.raw(text.as_bytes());
        self.u8(0);
        Ok(())
    }

    /// A length as `u8`.
    ///
    /// # Errors
    /// [`Error::Limit`] when it does not fit.
    pub fn count_u8(&mut self, field: &'static str, count: usize) -> Result<()> {
        let count = u8::try_from(count).map_err(|_| self.limit(field, count as u64, u64::from(u8::MAX)))?;
        self.u8(count);
        Ok(())
    }

    /// A length as `u16`.
    ///
    /// # Errors
    /// [`Error::Limit`] when it does not fit.
    pub fn count_u16(&mut self, field: &'static str, count: usize) -> Result<()> {
        let count = u16::try_from(count).map_err(|_| self.limit(field, count as u64, u64::from(u16::MAX)))?;
        self.u16(count);
        Ok(())
    }

    /// A length as `u32`.
    ///
    /// # Errors
    /// [`Error::Limit`] when it does not fit.
    pub fn count_u32(&mut self, field: &'static str, count: usize) -> Result<()> {
        let count = u32::try_from(count).map_err(|_| self.limit(field, count as u64, u64::from(u32::MAX)))?;
        self.u32(count);
        Ok(())
    }

    /// A pointer to `target`; `None` is written as 0. The target follows the fixed part, in the order in which the
    /// pointers were written; targets of pointers inside a target come after all of those.
    pub fn pointer(&mut self, target: Option<&'a dyn Block>) {
        if let Some(target) = target {
            self.pending.push_back((self.buffer.len(), target));
        }
        self.u32(0);
    }

    /// Bytes of the body written so far.
    #[must_use]
    pub fn position(&self) -> usize {
        (self.buffer.len() - self.body_start).saturating_add(self.shared_bytes)
    }

    /// The error that says that `field` has a value that cannot be sent.
    #[must_use]
    pub fn unexpected(&self, field: &'static str, expected: &'static str, got: impl Into<u64>) -> Error {
        Error::Unexpected {
            message: self.message,
            field,
            expected,
            got: got.into(),
        }
    }

    /// Writes the targets of all pointers.
    pub(crate) fn finish_body(&mut self) -> Result<()> {
        while let Some((slot, target)) = self.pending.pop_front() {
            let position = self.body_bytes()?;
            if let Some(pointer) = self.buffer.get_mut(slot..slot.saturating_add(4)) {
                pointer.copy_from_slice(&position.to_le_bytes());
            }
            target.encode(self)?;
        }
        Ok(())
    }

    /// [`Self::position`] as the wire says it.
    pub(crate) fn body_bytes(&self) -> Result<u32> {
        let position = self.position();
        u32::try_from(position).map_err(|_| self.limit("body", position as u64, u64::from(u32::MAX)))
    }

    /// The bytes kept free in front of the body.
    pub(crate) fn header_mut(&mut self, header_bytes: usize) -> &mut [u8] {
        let start = self.body_start.saturating_sub(header_bytes);
        self.buffer.get_mut(start..self.body_start).unwrap_or_default()
    }

    pub(crate) fn finish(self) -> Encoded {
        Encoded {
            buffer: self.buffer.into(),
            shared: self.shared,
        }
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    pub(crate) fn limit(&self, field: &'static str, got: u64, limit: u64) -> Error {
        Error::Limit {
            message: self.message,
            field,
            got,
            limit,
        }
    }
}

/// An encoded message: header and metadata in one buffer, large payloads shared with whoever made them.
#[derive(Clone, Debug)]
pub struct Encoded {
    buffer: Bytes,
    shared: Vec<(usize, Bytes)>,
}

impl Encoded {
    /// Bytes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared
            .iter()
            .fold(self.buffer.len(), |sum, (_, data)| sum + data.len())
    }

    /// Whether there is nothing to send; never so for a message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts in wire order, none of them empty, for a vectored write.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments {
            encoded: self,
            at: 0,
            next: 0,
        }
    }

    /// Copies everything behind what `out` holds.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.len());
        self.segments().for_each(|segment| out.extend_from_slice(segment));
    }

    /// Everything in one piece; copies only when there is a shared payload.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if self.shared.is_empty() {
            return self.buffer.clone();
        }
        let mut out = Vec::new();
        self.append_to(&mut out);
        out.into()
    }
}

/// The parts of an encoded message in wire order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    encoded: &'a Encoded,
    /// Bytes of the buffer already given.
    at: usize,
    /// Shared payloads already given.
    next: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let encoded = self.encoded;
        let payload = encoded.shared.get(self.next);
        let end = payload.map_or(encoded.buffer.len(), |(position, _)| *position);
        if self.at < end {
            let part = encoded.buffer.get(self.at..end);
            self.at = end;
            return part;
        }
        let (_, data) = payload?;
        self.next += 1;
        Some(data)
    }
}
