//! Lines and glyphs.

use std::sync::Arc;

use caraway_ports::drawing::{Glyph, GlyphDepth, PathSegment, Rop};
use caraway_ports::geometry::Rect;

use super::draw::{Brush, rop};
use crate::error::Result;
use crate::wire::{Block, Reader, Writer};

/// Lines, one pixel wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// Where they go.
    pub path: Arc<[PathSegment]>,
    /// How they are dashed.
    pub line: Line,
    /// What they are painted with.
    pub brush: Brush,
    /// How brush and destination are combined.
    pub fore_mode: Rop,
    /// Carried, without use in clients.
    pub back_mode: Rop,
}

impl Stroke {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            path: decode_path(&mut reader.target("path")?)?,
            line: Line::decode(reader)?,
            brush: Brush::decode(reader)?,
            fore_mode: rop(reader, "fore_mode")?,
            back_mode: rop(reader, "back_mode")?,
        })
    }

    pub(super) fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.pointer(Some(&self.path));
        self.line.encode(out)?;
        self.brush.encode(out);
        out.u16(self.fore_mode.0);
        out.u16(self.back_mode.0);
        Ok(())
    }
}

/// Glyphs, painted over an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawText {
    /// The glyphs.
    pub text: Text,
    /// Filled with `back_brush` first; nothing when empty.
    pub back_area: Rect,
    /// What glyphs are painted with.
    pub fore_brush: Brush,
    /// What the area is painted with.
    pub back_brush: Brush,
    /// [`Rop::PUT`] when there is an area.
    pub fore_mode: Rop,
    /// Carried, without use in clients.
    pub back_mode: Rop,
}

impl DrawText {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            text: Text::decode(&mut reader.target("str")?)?,
            back_area: reader.rect("back_area")?,
            fore_brush: Brush::decode(reader)?,
            back_brush: Brush::decode(reader)?,
            fore_mode: rop(reader, "fore_mode")?,
            back_mode: rop(reader, "back_mode")?,
        })
    }

    pub(super) fn encode<'a>(&'a self, out: &mut Writer<'a>) {
        out.pointer(Some(&self.text));
        out.rect(&self.back_area);
        self.fore_brush.encode(out);
        self.back_brush.encode(out);
        out.u16(self.fore_mode.0);
        out.u16(self.back_mode.0);
    }
}

/// How a path is dashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// On and off lengths, 28.4; empty = solid. At most 255.
    pub style: Arc<[i32]>,
    /// Start with an off length.
    pub start_with_gap: bool,
}

impl Line {
    const START_WITH_GAP: u8 = 4;
    const STYLED: u8 = 8;

    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let flags = reader.u8("line flags")?;
        let mut style = Vec::new();
        if flags & Self::STYLED != 0 {
            let count = reader.u8("line style_nseg")?;
            if let Some(mut target) = reader.pointer("line style")? {
                style = target.items("line style", u32::from(count), 4, |target| target.i32("line style"))?;
            } else if count != 0 {
                return Err(reader.unexpected("line style_nseg", "0 without a style", count));
            }
        }
        Ok(Self {
            style: style.into(),
            start_with_gap: flags & Self::START_WITH_GAP != 0,
        })
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        let gap = if self.start_with_gap { Self::START_WITH_GAP } else { 0 };
        if self.style.is_empty() {
            out.u8(gap);
            return Ok(());
        }
        out.u8(gap | Self::STYLED);
        out.count_u8("line style_nseg", self.style.len())?;
        out.pointer(Some(&self.style));
        Ok(())
    }
}

/// Bytes of a path segment without points: flags and count.
const SEGMENT_BYTES: usize = 5;
/// Bytes of a point of a path.
const POINT_BYTES: usize = 8;

fn decode_path(reader: &mut Reader<'_>) -> Result<Arc<[PathSegment]>> {
    let count = reader.u32("path num_segments")?;
    let segments = reader.items("path segments", count, SEGMENT_BYTES, |reader| {
        let flags = reader.u8("path segment flags")?;
        let count = reader.u32("path segment count")?;
        let points = reader.items("path points", count, POINT_BYTES, |reader| reader.point("path point"))?;
        Ok(PathSegment { flags, points })
    })?;
    Ok(segments.into())
}

impl Block for Arc<[PathSegment]> {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.count_u32("path num_segments", self.len())?;
        for segment in self.iter() {
            out.u8(segment.flags);
            out.count_u32("path segment count", segment.points.len())?;
            segment.points.iter().for_each(|point| out.point(*point));
        }
        Ok(())
    }
}

/// Glyphs of one depth. [`Glyph`] has its rows top down; on the wire the bottom row comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Bits of coverage.
    pub depth: GlyphDepth,
    /// The glyphs, at most 65535.
    pub glyphs: Arc<[Glyph]>,
}

impl Text {
    const DEPTHS: u8 = 7;
    const TOP_DOWN: u8 = 8;
    /// Bytes of a glyph without coverage.
    const GLYPH_BYTES: usize = 20;

    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.u16("str length")?;
        let flags = reader.u8("str flags")?;
        let depth = match flags & Self::DEPTHS {
            1 => GlyphDepth::A1,
            2 => GlyphDepth::A4,
            4 => GlyphDepth::A8,
            _ => return Err(reader.unexpected("str flags", "one of RASTER_A1, A4, A8", flags)),
        };
        let glyphs = reader.items("str glyphs", u32::from(count), Self::GLYPH_BYTES, |reader| {
            let render_pos = reader.point("glyph render_pos")?;
            let origin = reader.point("glyph glyph_origin")?;
            let width = reader.u16("glyph width")?;
            let height = reader.u16("glyph height")?;
            let row_bytes = row_bytes(depth, width);
            let stored = reader.bytes("glyph data", (row_bytes as u64) * u64::from(height))?;
            let data = if flags & Self::TOP_DOWN != 0 {
                stored.to_vec()
            } else {
                flipped(&stored, row_bytes).flatten().copied().collect()
            };
            Ok(Glyph {
                render_pos,
                origin,
                width,
                height,
                data,
            })
        })?;
        Ok(Self {
            depth,
            glyphs: glyphs.into(),
        })
    }
}

impl Block for Text {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.count_u16("str length", self.glyphs.len())?;
        out.u8(self.depth as u8);
        for glyph in self.glyphs.iter() {
            let row_bytes = row_bytes(self.depth, glyph.width);
            if glyph.data.len() as u64 != (row_bytes as u64) * u64::from(glyph.height) {
                return Err(out.unexpected("glyph data", "the bytes of its rows", glyph.data.len() as u64));
            }
            out.point(glyph.render_pos);
            out.point(glyph.origin);
            out.u16(glyph.width);
            out.u16(glyph.height);
            flipped(&glyph.data, row_bytes).for_each(|row| out.raw(row));
        }
        Ok(())
    }
}

/// Bytes of one row of a glyph.
fn row_bytes(depth: GlyphDepth, width: u16) -> usize {
    let bits = match depth {
        GlyphDepth::A1 => 1,
        GlyphDepth::A4 => 4,
        GlyphDepth::A8 => 8,
    };
    (usize::from(width) * bits).div_ceil(8)
}

/// The rows of a glyph, last first.
fn flipped(data: &[u8], row_bytes: usize) -> impl Iterator<Item = &[u8]> {
    // Without columns there is no data either, and any other row length gives the same nothing.
    data.chunks(row_bytes.max(1)).rev()
}
