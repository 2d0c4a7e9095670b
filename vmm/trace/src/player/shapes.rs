//! Clip rectangles, paths, line styles, strings and transforms in the device's layout.

use std::sync::Arc;

use caraway_ports::{
    drawing::{Clip, Glyph, GlyphDepth, PathSegment, Transform},
    geometry::{Point, Rect},
};

use super::{Malformed, fields::Fields};
use crate::record::{Chunks, ClipRects, Text};

/// Bytes of a list one command may bring.
const LIST_MAX: u64 = 16 << 20;
/// 28.4 coordinates are held to this.
const FIXED_MAX: i32 = 1 << 26;
const SEGMENT_FLAGS: u32 = 0x1b;
const STRING_TOP_DOWN: u16 = 8;

fn list<'a>(field: &'static str, chunks: &'a Chunks) -> Result<&'a [u8], Malformed> {
    let bytes = chunks.data.len() as u64;
    if bytes > LIST_MAX {
        return Err(Malformed::new(field, bytes));
    }
    Ok(&chunks.data)
}

/// Rectangles are cut to the box, and empty ones left out.
pub(super) fn clip(clip: Option<&ClipRects>, bbox: &Rect) -> Result<Clip, Malformed> {
    let Some(clip) = clip else { return Ok(Clip::None) };
    let bytes = list("clip rectangles", &clip.rects)?;
    if bytes.len() as u64 != 16 * u64::from(clip.count) {
        return Err(Malformed::new("clip rectangles", clip.count));
    }
    let mut fields = Fields::new("clip rectangles", bytes);
    let mut rects = Vec::new();
    for _ in 0..clip.count {
        let rect = fields.rect()?.intersect(bbox);
        if !rect.is_empty() {
            rects.push(rect);
        }
    }
    Ok(Clip::Rects(rects.into()))
}

/// Segments until the data is used up, never past it.
pub(super) fn path(chunks: &Chunks) -> Result<Arc<[PathSegment]>, Malformed> {
    let mut fields = Fields::new("path", list("path size", chunks)?);
    let mut segments = Vec::new();
    while !fields.is_empty() {
        let flags = fields.u32()? & SEGMENT_FLAGS;
        let count = fields.u32()?;
        let length = usize::try_from(u64::from(count) * 8).map_err(|_| Malformed::new("path points", count))?;
        let mut points = Fields::new("path points", fields.bytes(length)?);
        segments.push(PathSegment {
            flags: u8::try_from(flags).unwrap_or(0),
            points: (0..count)
                .map(|_| points.point().map(held))
                .collect::<Result<Vec<_>, _>>()?,
        });
    }
    Ok(segments.into())
}

fn held(point: Point) -> Point {
    Point {
        x: point.x.clamp(-FIXED_MAX, FIXED_MAX),
        y: point.y.clamp(-FIXED_MAX, FIXED_MAX),
    }
}

/// Lengths that are not negative and not all zero.
pub(super) fn line_style(bytes: &[u8]) -> Result<Arc<[i32]>, Malformed> {
    let lengths: Vec<i32> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|length| i32::from_le_bytes(*length))
        .collect();
    if let Some(length) = lengths.iter().find(|length| !(0..=FIXED_MAX).contains(*length)) {
        return Err(Malformed::new("line style length", *length));
    }
    if !lengths.iter().any(|length| *length > 0) {
        return Err(Malformed::new("line style", lengths.len()));
    }
    Ok(lengths.into())
}

/// As many glyphs as the string says, ending exactly where its data ends.
pub(super) fn string(text: &Text) -> Result<(Arc<[Glyph]>, GlyphDepth), Malformed> {
    let depth = match text.flags & 7 {
        1 => GlyphDepth::A1,
        2 => GlyphDepth::A4,
        4 => GlyphDepth::A8,
        _ => return Err(Malformed::new("string flags", text.flags)),
    };
    let bytes = list("string size", &text.data)?;
    if bytes.len() as u64 != u64::from(text.data_size) {
        return Err(Malformed::new("string size", text.data_size));
    }
    let mut fields = Fields::new("string", bytes);
    let mut glyphs = Vec::new();
    for _ in 0..text.length {
        glyphs.push(glyph(&mut fields, depth, text.flags & STRING_TOP_DOWN != 0)?);
    }
    if !fields.is_empty() {
        return Err(Malformed::new("string length", text.length));
    }
    Ok((glyphs.into(), depth))
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

/// A map that can be inverted.
pub(super) fn transform(bytes: Option<&bytes::Bytes>) -> Result<Option<Transform>, Malformed> {
    let Some(bytes) = bytes else { return Ok(None) };
    let mut fields = Fields::new("transform", bytes);
    let mut matrix = [0; 6];
    for element in &mut matrix {
        *element = fields.i32()?;
    }
    let [t00, t01, _, t10, t11, _] = matrix.map(i64::from);
    if t00 * t11 == t01 * t10 {
        return Err(Malformed::new("transform determinant", 0));
    }
    Ok(Some(Transform(matrix)))
}
