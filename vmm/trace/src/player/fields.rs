//! Packed little-endian structures of the device inside a record's data.

use caraway_ports::geometry::{Point, Rect};

use super::Malformed;

/// The fields of a structure, one after the other.
pub(super) struct Fields<'a> {
    name: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `name` is said when the bytes end too soon.
    pub(super) const fn new(name: &'static str, bytes: &'a [u8]) -> Self {
        Self { name, rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn short(&self) -> Malformed {
        Malformed::new(self.name, self.rest.len())
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn point(&mut self) -> Result<Point, Malformed> {
        Ok(Point {
            x: self.i32()?,
            y: self.i32()?,
        })
    }

    pub(super) fn rect(&mut self) -> Result<Rect, Malformed> {
        Ok(Rect {
            top: self.i32()?,
            left: self.i32()?,
            bottom: self.i32()?,
            right: self.i32()?,
        })
    }
}
