//! Clip rectangles, paths, line styles and strings (ABI 11.2, 11.3).

use std::sync::Arc;

use caraway_ports::{
    drawing::{Clip, Glyph, GlyphDepth, PathSegment},
    geometry::{Point, Rect},
};

use super::{Guest, Malformed, fields::Fields};

/// Bytes of a list one command may bring: a million rectangles, two million points.
const LIST_MAX: u64 = 16 << 20;
/// 28.4 coordinates are held to this before anybody calculates with them.
const FIXED_MAX: i32 = 1 << 26;

const SEGMENT_FLAGS: u32 = 0x1b;
const STRING_TOP_DOWN: u16 = 8;

fn list_bytes(field: &'static str, bytes: u64) -> Result<u64, Malformed> {
    if bytes > LIST_MAX {
        return Err(Malformed::value(field, bytes));
    }
    Ok(bytes)
}

impl Guest<'_> {
    /// The clip of a drawable. Rectangles are cut to its box and empty ones left out: what remains is what counts.
    pub(super) fn clip(&mut self, kind: u32, address: u64, bbox: &Rect) -> Result<Clip, Malformed> {
        match kind {
            0 => return Ok(Clip::None),
            1 => {}
            other => return Err(Malformed::value("clip type", other)),
        }
        let count = u32::from_le_bytes(self.read(address, 0)?);
        let length = list_bytes("clip rectangles", 16 * u64::from(count))?;
        let bytes = self.chained(address, 4, length)?;
        self.charge(length)?;
        let mut fields = Fields::new("clip rectangles", &bytes);
        let mut rects = Vec::new();
        for _ in 0..count {
            let rect = fields.rect()?.intersect(bbox);
            if !rect.is_empty() {
                rects.push(rect);
            }
        }
        Ok(Clip::Rects(rects.into()))
    }

    /// A path: segments until its data is used up, never past it.
    pub(super) fn path(&mut self, address: u64) -> Result<Arc<[PathSegment]>, Malformed> {
        let size = u32::from_le_bytes(self.read(address, 0)?);
        let bytes = self.chained(address, 4, list_bytes("path size", size.into())?)?;
        let mut fields = Fields::new("path", &bytes);
        let mut segments = Vec::new();
        while !fields.rest().is_empty() {
            let flags = fields.u32()? & SEGMENT_FLAGS;
            let count = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
            let length = count.checked_mul(8).ok_or(Malformed::value("path points", count))?;
            let mut points = Fields::new("path points", fields.bytes(length)?);
            self.charge((length + size_of::<PathSegment>()) as u64)?;
            let points = (0..count)
                .map(|_| points.point().map(held))
                .collect::<Result<Vec<_>, _>>()?;
            segments.push(PathSegment {
                flags: u8::try_from(flags).unwrap_or(0),
                points,
            });
        }
        Ok(segments.into())
    }

    /// The lengths of a styled line: not negative, and not all zero, so that walking along them gets ahead.
    pub(super) fn line_style(&mut self, address: u64, count: u8) -> Result<Arc<[i32]>, Malformed> {
        let bytes = self.read_vec(address, 0, 4 * u64::from(count))?;
        let mut fields = Fields::new("line style", &bytes);
        let lengths = (0..count).map(|_| fields.i32()).collect::<Result<Vec<_>, _>>()?;
        if let Some(length) = lengths.iter().find(|length| !(0..=FIXED_MAX).contains(*length)) {
            return Err(Malformed::value("line style length", *length));
        }
        if !lengths.iter().any(|length| *length > 0) {
            return Err(Malformed::value("line style", count));
        }
        Ok(lengths.into())
    }

    /// A string: as many glyphs as it says, ending exactly where its data ends.
    pub(super) fn string(&mut self, address: u64) -> Result<(Arc<[Glyph]>, GlyphDepth), Malformed> {
        let bytes: [u8; 8] = self.read(address, 0)?;
        let mut fields = Fields::new("string", &bytes);
        let size = list_bytes("string size", fields.u32()?.into())?;
        let (count, flags) = (fields.u16()?, fields.u16()?);
        let depth = match flags & 7 {
            1 => GlyphDepth::A1,
            2 => GlyphDepth::A4,
            4 => GlyphDepth::A8,
            _ => return Err(Malformed::value("string flags", flags)),
        };
        let bytes = self.chained(address, 8, size)?;
        let mut fields = Fields::new("string", &bytes);
        let mut glyphs = Vec::new();
        for _ in 0..count {
            let glyph = glyph(&mut fields, depth, flags & STRING_TOP_DOWN != 0)?;
            self.charge((glyph.data.len() + size_of::<Glyph>()) as u64)?;
            glyphs.push(glyph);
        }
        if !fields.rest().is_empty() {
            return Err(Malformed::value("string size", size));
        }
        Ok((glyphs.into(), depth))
    }
}

fn held(point: Point) -> Point {
    Point {
        x: point.x.clamp(-FIXED_MAX, FIXED_MAX),
        y: point.y.clamp(-FIXED_MAX, FIXED_MAX),
    }
}

fn glyph(fields: &mut Fields<'_>, depth: GlyphDepth, top_down: bool) -> Result<Glyph, Malformed> {
    let (render_pos, origin) = (fields.point()?, fields.point()?);
    let (width, height) = (fields.u16()?, fields.u16()?);
    let bits = match depth {
        GlyphDepth::A1 => 1,
        GlyphDepth::A4 => 4,
        GlyphDepth::A8 => 8,
    };
    let row = (usize::from(width) * bits).div_ceil(8);
    let stored = fields.bytes(row * usize::from(height))?;
    let data = if top_down || row == 0 {
        stored.to_vec()
    } else {
        stored.chunks_exact(row).rev().flatten().copied().collect()
    };
    Ok(Glyph {
        render_pos,
        origin,
        width,
        height,
        data,
    })
}
