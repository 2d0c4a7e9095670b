//! Clip rectangles, paths, line styles and strings (ABI 11.2, 11.3).

use std::sync::Arc;

use caraway_ports::{
    drawing::{Clip, Glyph, GlyphDepth, PathSegment},
    geometry::Rect,
    layout,
};

use super::{Fields, Guest, Malformed};

/// Bytes of a list one command may bring: a million rectangles, two million points.
const LIST_MAX: u64 = 16 << 20;
/// What is made of a list takes at most so many times its bytes: a path of segments without points does.
const LIST_GROWTH: u64 = 5;

fn list_bytes(field: &'static str, bytes: u64) -> Result<u64, Malformed> {
    if bytes > LIST_MAX {
        return Err(Malformed::value(field, bytes));
    }
    Ok(bytes)
}

impl Guest<'_> {
    /// The clip of a drawable.
    pub(super) fn clip(&mut self, kind: u32, address: u64, bbox: &Rect) -> Result<Clip, Malformed> {
        match kind {
            0 => return Ok(Clip::None),
            1 => {}
            other => return Err(Malformed::value("clip type", other)),
        }
        let count = u32::from_le_bytes(self.read(address, 0)?);
        let bytes = self.list(address, 4, "clip rectangles", 16 * u64::from(count))?;
        Ok(layout::clip(count, &bytes, bbox)?)
    }

    /// A path.
    pub(super) fn path(&mut self, address: u64) -> Result<Arc<[PathSegment]>, Malformed> {
        let size = u32::from_le_bytes(self.read(address, 0)?);
        let bytes = self.list(address, 4, "path size", size.into())?;
        Ok(layout::path(&bytes)?)
    }

    /// The lengths of a styled line.
    pub(super) fn line_style(&mut self, address: u64, count: u8) -> Result<Arc<[i32]>, Malformed> {
        let bytes = self.read_vec(address, 0, 4 * u64::from(count))?;
        Ok(layout::line_style(&bytes)?)
    }

    /// A string.
    pub(super) fn string(&mut self, address: u64) -> Result<(Arc<[Glyph]>, GlyphDepth), Malformed> {
        let bytes: [u8; 8] = self.read(address, 0)?;
        let mut fields = Fields::new("string", &bytes);
        let size = fields.u32()?;
        let (count, flags) = (fields.u16()?, fields.u16()?);
        let bytes = self.list(address, 8, "string size", size.into())?;
        Ok(layout::string(count, flags, &bytes)?)
    }

    /// A chain of chunks, and room for what is made of it.
    fn list(&mut self, address: u64, offset: u64, field: &'static str, length: u64) -> Result<Vec<u8>, Malformed> {
        let length = list_bytes(field, length)?;
        let bytes = self.chained(address, offset, length)?;
        self.charge(LIST_GROWTH * length)?;
        Ok(bytes)
    }
}
