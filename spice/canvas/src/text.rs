//! Strings of glyphs.

use caraway_ports::{
    drawing::{Glyph, GlyphDepth},
    geometry::Rect,
};

use crate::{
    blend::{Dest, over, scaled},
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
        let mut brush = vec![0; region.bounds().width() as usize];
        let painter = Painter {
            surface,
            region,
            selection: None,
        };
        painter.rows(|x, y, values| {
            let Some(brush) = brush.get_mut(..values.len()) else {
                return;
            };
            fore_brush.argb_row(x, y, brush, format);
            for ((value, brush), cover) in values.iter_mut().zip(brush).zip(coverage.row(x, y)) {
                if *cover != 0 {
                    let source = scaled(*brush, u32::from(*cover));
                    *value = dest.store(over(source, dest.load(*value)), *value);
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
        let place = glyph_box(glyph);
        let visible = place.intersect(&self.bounds);
        let bits = match depth {
            GlyphDepth::A1 => 1,
            GlyphDepth::A4 => 4,
            GlyphDepth::A8 => 8,
        };
        let line = (usize::from(glyph.width) * bits).div_ceil(8);
        for y in visible.top..visible.bottom {
            let start = (i64::from(y) - i64::from(place.top)) as usize * line;
            let Some(row) = glyph.data.get(start..start + line) else {
                return;
            };
            let first = (i64::from(visible.left) - i64::from(place.left)) as usize;
            let Some(values) = self.row_mut(visible.left, y) else {
                return;
            };
            for (column, value) in (first..first + visible.width() as usize).zip(values) {
                let covered = cover(row, column, depth);
                *value = if hides(row, column, depth) {
                    covered
                } else {
                    (*value).max(covered)
                };
            }
        }
    }

    /// Index of a pixel inside the bounds.
    fn index(&self, x: i32, y: i32) -> usize {
        (y - self.bounds.top) as usize * self.bounds.width() as usize + (x - self.bounds.left) as usize
    }

    fn row_mut(&mut self, x: i32, y: i32) -> Option<&mut [u8]> {
        let start = self.index(x, y);
        self.values.get_mut(start..)
    }

    /// Values from a pixel inside the bounds on.
    fn row(&self, x: u32, y: u32) -> &[u8] {
        let start = self.index(x.cast_signed(), y.cast_signed());
        self.values.get(start..).unwrap_or_default()
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
