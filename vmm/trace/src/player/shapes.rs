//! Clip rectangles, paths and strings: how many bytes a record brings, before they are read.

use std::sync::Arc;

use caraway_ports::{
    drawing::{Clip, Glyph, GlyphDepth, PathSegment},
    geometry::Rect,
    layout,
};

use super::Malformed;
use crate::record::{Chunks, ClipRects, Text};

/// Bytes of a list one command may bring.
const LIST_MAX: u64 = 16 << 20;

fn list<'a>(field: &'static str, chunks: &'a Chunks) -> Result<&'a [u8], Malformed> {
    let bytes = chunks.data.len() as u64;
    if bytes > LIST_MAX {
        return Err(Malformed::value(field, bytes));
    }
    Ok(&chunks.data)
}

pub(super) fn clip(clip: Option<&ClipRects>, bbox: &Rect) -> Result<Clip, Malformed> {
    let Some(clip) = clip else { return Ok(Clip::None) };
    let bytes = list("clip rectangles", &clip.rects)?;
    if bytes.len() as u64 != 16 * u64::from(clip.count) {
        return Err(Malformed::value("clip rectangles", clip.count));
    }
    layout::clip(clip.count, bytes, bbox)
}

pub(super) fn path(chunks: &Chunks) -> Result<Arc<[PathSegment]>, Malformed> {
    layout::path(list("path size", chunks)?)
}

pub(super) fn string(text: &Text) -> Result<(Arc<[Glyph]>, GlyphDepth), Malformed> {
    let bytes = list("string size", &text.data)?;
    if bytes.len() as u64 != u64::from(text.data_size) {
        return Err(Malformed::value("string size", text.data_size));
    }
    layout::string(text.length, text.flags, bytes)
}
