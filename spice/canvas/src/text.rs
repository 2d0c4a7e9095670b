//! Strings of glyphs.

use caraway_ports::{
    drawing::{Glyph, GlyphDepth, SurfaceFormat},
    geometry::Rect,
};

use crate::{
    blend::Dest,
    color::widen,
    lanes::{self, Over, Pixel},
    paint::Painter,
    picture::Paint,
    region::Region,
    rop::BinaryOp,
    surface::Surface,
};

/// A string ready to be drawn.
#[derive(Debug)]
pub(crate) struct Text<'s> {
    pub(crate) glyphs: &'s [Glyph],
    pub(crate) depth: GlyphDepth,
    pub(crate) back_area: Rect,
    /// Glyphs are drawn with it by their coverage, whatever the raster operation; `None`: they are not.
    pub(crate) fore_brush: Option<Paint<'s>>,
    pub(crate) back_brush: Paint<'s>,
}

impl Text<'_> {
    /// Fills the background, then applies the glyphs; the rectangle around what was drawn.
    pub(crate) fn draw(&self, surface: &mut Surface, region: &Region) -> Rect {
        let back = region.within(&self.back_area);
        let painter = Painter {
            surface: &mut *surface,
            region: &back,
            selection: None,
        };
        painter.fill(&self.back_brush, BinaryOp::COPY);
        let coverage = Coverage::new(self.glyphs, self.depth, &region.bounds());
        let fore = region.within(&coverage.bounds);
        self.draw_glyphs(surface, &fore, &coverage);
        back.bounds().union(&fore.bounds())
    }

    fn draw_glyphs(&self, surface: &mut Surface, region: &Region, coverage: &Coverage) {
        let Some(fore_brush) = &self.fore_brush else { return };
        let format = surface.format;
        let dest = Dest::new(format, false);
        let painter = Painter {
            surface,
            region,
            selection: None,
        };
        let mut brush = Vec::new();
        let mut lay = |x: u32, y: u32, pixels: &mut [Pixel], written: u32| {
            let Some(covers) = coverage.row(x, y).get(..pixels.len()) else {
                return;
            };
            match fore_brush {
                Paint::Solid(value) => lanes::cover(pixels, widen(format, *value), covers, written),
                Paint::Tile(..) => {
                    brush.resize(pixels.len(), 0);
                    fore_brush.argb_row(x, y, &mut brush, format);
                    let brush = lanes::pixels(&mut brush);
                    let masks: Vec<_> = covers.iter().map(|cover| [*cover; 4]).collect();
                    lanes::multiply_rows(brush, &masks);
                    lanes::over(pixels, brush, Over::plain(0, written));
                }
            }
        };
        if format != SurfaceFormat::Rgb555 {
            return painter.blend(dest, lay);
        }
        // The unused bit stays where nothing is covered.
        let mut wide = Vec::new();
        painter.rows(|x, y, values| {
            wide.clear();
            wide.extend_from_slice(values);
            dest.widen(&mut wide);
            lay(x, y, lanes::pixels(&mut wide), u32::MAX);
            lanes::values(&mut wide);
            dest.narrow(&mut wide, values);
            for ((value, new), cover) in values.iter_mut().zip(&wide).zip(coverage.row(x, y)) {
                if *cover != 0 {
                    *value = *new;
                }
            }
        });
    }
}

/// How much of each pixel the glyphs of a string cover together, in 255ths: the most that one of them does, but for
/// what [`hides`] others.
#[derive(Debug)]
struct Coverage {
    bounds: Rect,
    values: Vec<u8>,
}

impl Coverage {
    /// For the part of the string inside `area`, which is inside a surface.
    fn new(glyphs: &[Glyph], depth: GlyphDepth, area: &Rect) -> Self {
        let boxes = glyphs.iter().map(|glyph| glyph_box(glyph).intersect(area));
        let bounds = boxes.fold(Rect::default(), |all, glyph| all.union(&glyph));
        let mut coverage = Self {
            bounds,
            values: vec![0; bounds.area() as usize],
        };
        glyphs.iter().for_each(|glyph| coverage.add(glyph, depth));
        coverage
    }

    fn add(&mut self, glyph: &Glyph, depth: GlyphDepth) {
        // A loop for each depth, so that the compiler knows which it is.
        match depth {
            GlyphDepth::A1 => self.lay(glyph, GlyphDepth::A1),
            GlyphDepth::A4 => self.lay(glyph, GlyphDepth::A4),
            GlyphDepth::A8 => self.lay(glyph, GlyphDepth::A8),
        }
    }

    #[inline(always)]
    fn lay(&mut self, glyph: &Glyph, depth: GlyphDepth) {
        let place = glyph_box(glyph);
        let visible = place.intersect(&self.bounds);
        if visible.is_empty() {
            return;
        }
        let bits = match depth {
            GlyphDepth::A1 => 1,
            GlyphDepth::A4 => 4,
            GlyphDepth::A8 => 8,
        };
        let line = (usize::from(glyph.width) * bits).div_ceil(8);
        let above = (i64::from(visible.top) - i64::from(place.top)) as usize;
        let first = (i64::from(visible.left) - i64::from(place.left)) as usize;
        let (width, count) = (self.bounds.width() as usize, visible.width() as usize);
        let start = self.index(visible.left, visible.top);
        let below = self.values.get_mut(start..).unwrap_or_default();
        let rows = glyph.data.get(above * line..).unwrap_or_default().chunks_exact(line);
        for (row, values) in rows.zip(below.chunks_mut(width)).take(visible.height() as usize) {
            // Eight pixels at once from the left edge of the glyph on, where no other glyph was.
            let (eights, rest) = values.get_mut(..count).unwrap_or_default().as_chunks_mut::<8>();
            let whole = eights.len() * 8;
            for (at, values) in (first..).step_by(8).zip(eights) {
                match eight(row, at, depth) {
                    Some(covers) if *values == [0; 8] => *values = covers,
                    _ => put(row, at, depth, values),
                }
            }
            if !rest.is_empty() {
                put(row, first + whole, depth, rest);
            }
        }
    }

    /// Index of a pixel inside the bounds.
    fn index(&self, x: i32, y: i32) -> usize {
        (y - self.bounds.top) as usize * self.bounds.width() as usize + (x - self.bounds.left) as usize
    }

    /// Values from a pixel inside the bounds on.
    fn row(&self, x: u32, y: u32) -> &[u8] {
        let start = self.index(x.cast_signed(), y.cast_signed());
        self.values.get(start..).unwrap_or_default()
    }
}

/// Lays the coverage of a glyph row from `column` on over that of other glyphs.
fn put(row: &[u8], column: usize, depth: GlyphDepth, values: &mut [u8]) {
    for (column, value) in (column..).zip(values) {
        let covered = cover(row, column, depth);
        *value = if hides(row, column, depth) {
            covered
        } else {
            (*value).max(covered)
        };
    }
}

/// The coverage of eight pixels of a glyph row from `column` on, if it begins with a byte and all of them are there.
#[inline(always)]
fn eight(row: &[u8], column: usize, depth: GlyphDepth) -> Option<[u8; 8]> {
    match depth {
        GlyphDepth::A1 => {
            let bits = column.is_multiple_of(8).then(|| row.get(column / 8)).flatten()?;
            // Each byte has one of the bits, the first one the highest.
            let apart = (u64::from(*bits) * 0x0101_0101_0101_0101) & 0x0102_0408_1020_4080;
            // What is not zero carries into the highest bit of its byte.
            let set = ((apart + 0x7f7f_7f7f_7f7f_7f7f) >> 7) & 0x0101_0101_0101_0101;
            Some((set * 255).to_le_bytes())
        }
        GlyphDepth::A4 => {
            let pairs = column.is_multiple_of(2).then(|| row.get(column / 2..)).flatten()?;
            let pairs = u64::from(u32::from_le_bytes(*pairs.first_chunk()?));
            // A pair for each 16 bits, then its second half into the upper eight.
            let apart = (pairs | pairs << 16) & 0x0000_ffff_0000_ffff;
            let apart = (apart | apart << 8) & 0x00ff_00ff_00ff_00ff;
            Some(((apart & 0x00f0_00f0_00f0_00f0) | ((apart & 0x000f_000f_000f_000f) << 12)).to_le_bytes())
        }
        GlyphDepth::A8 => row.get(column..)?.first_chunk().copied(),
    }
}

/// Where a glyph lies; edges saturate.
fn glyph_box(glyph: &Glyph) -> Rect {
    let x = glyph.render_pos.x.saturating_add(glyph.origin.x);
    let y = glyph.render_pos.y.saturating_add(glyph.origin.y);
    Rect::at(x, y, u32::from(glyph.width), u32::from(glyph.height))
}

/// Whether a pixel counts instead of those of earlier glyphs. In the reference client it does at odd columns of 4-bit
/// glyphs, behind a pixel that covers something.
fn hides(row: &[u8], column: usize, depth: GlyphDepth) -> bool {
    depth == GlyphDepth::A4 && !column.is_multiple_of(2) && row.get(column / 2).is_some_and(|pair| pair >> 4 != 0)
}

/// Coverage at a column of a glyph row, in 255ths.
fn cover(row: &[u8], column: usize, depth: GlyphDepth) -> u8 {
    let at = |per_byte: usize| row.get(column / per_byte).copied().unwrap_or(0);
    match depth {
        GlyphDepth::A1 => {
            let bit = (at(8) >> (7 - column % 8)) & 1;
            bit * 255
        }
        GlyphDepth::A4 => {
            let nibble = if column.is_multiple_of(2) {
                at(2) >> 4
            } else {
                at(2) & 15
            };
            nibble << 4
        }
        GlyphDepth::A8 => at(1),
    }
}
