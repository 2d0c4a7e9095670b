//! Strings of glyphs.

use caraway_ports::{
    drawing::{Glyph, GlyphDepth, Rop, SurfaceFormat},
    geometry::Rect,
};

use crate::{
    blend::{Dest, over, scaled},
    color::{OPAQUE, widen},
    paint::Painter,
    picture::Paint,
    region::Region,
    rop::{BinaryOp, Operands},
    surface::Surface,
};

/// A string ready to be drawn.
#[derive(Debug)]
pub(crate) struct Text<'s> {
    pub(crate) glyphs: &'s [Glyph],
    pub(crate) depth: GlyphDepth,
    pub(crate) back_area: Rect,
    pub(crate) fore_brush: Paint<'s>,
    pub(crate) back_brush: Paint<'s>,
    pub(crate) fore_mode: Rop,
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
        let format = surface.format;
        let dest = Dest::new(format, true);
        let op = BinaryOp::new(self.fore_mode, Operands::BRUSH_DEST);
        let hard = self.depth == GlyphDepth::A1;
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
            self.fore_brush.row(x, y, brush, format);
            for ((value, brush), cover) in values.iter_mut().zip(brush).zip(coverage.row(x, y)) {
                match cover {
                    0 => {}
                    _ if hard => *value = op.apply(*brush, *value),
                    _ => *value = blended(dest, format, *brush, u32::from(*cover), *value),
                }
            }
        });
    }
}

/// A raw destination value with the raw value of a brush over it by a coverage of `cover` 255ths.
fn blended(dest: Dest, format: SurfaceFormat, brush: u32, cover: u32, before: u32) -> u32 {
    let source = scaled(widen(format, brush) | OPAQUE, cover);
    dest.store(over(source, dest.load(before)), before)
}

/// How much of each pixel the glyphs of a string cover together: the most that one of them does, in 255ths.
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
                *value = (*value).max(cover(row, column, depth));
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
            nibble * 17
        }
        GlyphDepth::A8 => at(1),
    }
}
