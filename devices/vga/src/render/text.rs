//! Text modes: cells of a character and its attribute, drawn with fonts in plane 2.

use std::ops::Range;

use crate::scanout::{Text, TextStyle};

use super::{PIXEL, damage::Damage, source::Source};

/// Glyphs of a font, and bytes of each, of which the upper ones are shown.
const GLYPHS: usize = 256;
const GLYPH_BYTES: usize = 32;
/// Bytes of the memory that are read of a font at a time; a font has eight of them. Plane 2 is a quarter.
const FONT_PIECE: usize = 4096;
/// Characters whose ninth column is their eighth.
const LINE_GRAPHICS: std::ops::RangeInclusive<u8> = 0xc0..=0xdf;
/// Bits of an attribute.
const SECOND_FONT: u8 = 0x08;
const BLINK: u8 = 0x80;

/// Where cells are drawn.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) pixels: &'a mut [u8],
    pub(super) stride: usize,
    pub(super) damage: &'a mut Damage,
}

/// A character and its attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    character: u8,
    attribute: u8,
}

impl Cell {
    fn font(self) -> usize {
        usize::from(self.attribute & SECOND_FONT != 0)
    }
}

/// A cell as it is in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    cell: Cell,
    /// The foreground is blinked off.
    hidden: bool,
    /// Lines the cursor covers; empty without.
    cursor: Range<u8>,
}

/// A font as it was last read.
#[derive(Debug)]
struct Font {
    glyphs: Vec<[u8; GLYPH_BYTES]>,
    /// Glyphs that changed since cells were last drawn.
    changed: [bool; GLYPHS],
}

impl Default for Font {
    fn default() -> Self {
        Self {
            glyphs: vec![[0; GLYPH_BYTES]; GLYPHS],
            changed: [false; GLYPHS],
        }
    }
}

impl Font {
    /// Reads the parts that are dirty, or `all`. Whether a glyph changed.
    fn read(&mut self, source: &Source<'_>, base: u64, all: bool) -> bool {
        self.changed.fill(false);
        let mut changed_any = false;
        let pieces = self
            .glyphs
            .chunks_mut(GLYPHS / 8)
            .zip(self.changed.chunks_mut(GLYPHS / 8));
        for (piece, (glyphs, changed)) in (0_u64..).zip(pieces) {
            let address = base + piece * FONT_PIECE as u64;
            if !all && !source.is_dirty(address, FONT_PIECE) {
                continue;
            }
            let mut bytes = [0; FONT_PIECE];
            source.read(address, &mut bytes);
            let (dwords, _) = bytes.as_chunks::<4>();
            let new = dwords.chunks(GLYPH_BYTES);
            for ((glyph, changed), dwords) in glyphs.iter_mut().zip(changed).zip(new) {
                for (row, [_, _, plane, _]) in glyph.iter_mut().zip(dwords) {
                    *changed |= *row != *plane;
                    *row = *plane;
                }
                changed_any |= *changed;
            }
        }
        changed_any
    }
}

/// The cells of the screen: what was read, and what is drawn of it.
#[derive(Debug, Default)]
pub(super) struct TextScreen {
    /// What was drawn last; none when the frame does not show text.
    last: Option<(Text, [u32; 16])>,
    fonts: [Font; 2],
    cells: Vec<Cell>,
    shown: Vec<Option<Shown>>,
    /// Whether what blinks was blinked off.
    off: bool,
    /// Whether any cell blinks.
    blinks: bool,
    /// Scratch.
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl TextScreen {
    /// The frame shows something else now, and dirty pages are no longer seen here.
    pub(super) fn forget(&mut self) {
        self.last = None;
        self.blinks = false;
        self.cells = Vec::new();
        self.shown = Vec::new();
    }

    /// Whether it looks different in the other phase of blinking.
    pub(super) const fn blinks(&self) -> bool {
        self.blinks
    }

    /// Draws the cells that are not drawn as they are now; `off` hides what blinks.
    pub(super) fn refresh(
        &mut self,
        source: &Source<'_>,
        text: &Text,
        palette: &[u32; 256],
        off: bool,
        target: &mut Target<'_>,
    ) {
        let mut colours = [0; 16];
        colours.iter_mut().zip(palette).for_each(|(to, from)| *to = *from);
        let style = &text.style;
        let (same_style, same_fonts, same_place, same_cursor) =
            self.last
                .as_ref()
                .map_or((false, false, false, false), |(last, last_colours)| {
                    (
                        last.style == *style && *last_colours == colours,
                        last.style.fonts == style.fonts,
                        (last.start, last.pitch, last.split) == (text.start, text.pitch, text.split),
                        last.cursor == text.cursor,
                    )
                });
        let mut changed = !same_style || !same_cursor || (self.blinks && self.off != off);
        for (font, base) in self.fonts.iter_mut().zip(style.fonts) {
            changed |= font.read(source, base, !same_fonts);
        }
        if !same_style {
            let cells = style.columns as usize * style.rows as usize;
            self.cells.resize(cells, Cell::default());
            self.shown.clear();
            self.shown.resize(cells, None);
        }
        changed |= self.read_cells(source, text, !same_style || !same_place);
        if changed {
            self.draw(text, &colours, off, target);
            self.off = off;
        }
        self.last = Some((*text, colours));
    }

    /// Reads the rows that are dirty, or `all`. Whether it read any.
    fn read_cells(&mut self, source: &Source<'_>, text: &Text, all: bool) -> bool {
        let columns = text.style.columns as usize;
        let mut read_any = false;
        self.bytes.resize(4 * columns, 0);
        for (cells, address) in self.cells.chunks_exact_mut(columns.max(1)).zip(Rows::new(text)) {
            if !all && !source.is_dirty(address, self.bytes.len()) {
                continue;
            }
            read_any = true;
            source.read(address, &mut self.bytes);
            let (dwords, _) = self.bytes.as_chunks::<4>();
            for (cell, [character, attribute, ..]) in cells.iter_mut().zip(dwords) {
                *cell = Cell {
                    character: *character,
                    attribute: *attribute,
                };
            }
        }
        read_any
    }

    fn draw(&mut self, text: &Text, colours: &[u32; 16], off: bool, target: &mut Target<'_>) {
        let style = &text.style;
        let (width, height) = (style.cell_width as usize, style.cell_height as usize);
        let columns = style.columns as usize;
        let cursor_lines = cursor_lines(text);
        self.blinks = false;
        let rows = self.cells.chunks_exact(columns.max(1));
        let rows = rows.zip(self.shown.chunks_exact_mut(columns.max(1)));
        for (number, ((cells, shown), address)) in rows.zip(Rows::new(text)).enumerate() {
            let cursor = text
                .cursor
                .filter(|_| !cursor_lines.is_empty())
                .and_then(|cursor| cursor.cell.checked_sub(address / 4));
            let top = number * height;
            self.spans.clear();
            for (column, (cell, shown)) in cells.iter().zip(shown).enumerate() {
                let has_cursor = cursor == Some(column as u64);
                let blinks = style.blinks && cell.attribute & BLINK != 0;
                self.blinks |= has_cursor || blinks;
                let now = Shown {
                    cell: *cell,
                    hidden: blinks && off,
                    cursor: if has_cursor && !off { cursor_lines.clone() } else { 0..0 },
                };
                let character = usize::from(cell.character);
                let Some(font) = self.fonts.get(cell.font()) else {
                    continue;
                };
                if shown.as_ref() == Some(&now) && font.changed.get(character) == Some(&false) {
                    continue;
                }
                if let Some(glyph) = font.glyphs.get(character) {
                    draw_cell(style, colours, &now, glyph, target, (column * width, top));
                }
                *shown = Some(now);
                match self.spans.last_mut() {
                    Some(span) if span.end == column * width => span.end += width,
                    _ => self.spans.push(column * width..(column + 1) * width),
                }
            }
            target.damage.add(top, height, &self.spans);
        }
    }
}

/// Lines of its cell that the cursor covers.
fn cursor_lines(text: &Text) -> Range<u8> {
    let last = u8::try_from(text.style.cell_height.saturating_sub(1)).unwrap_or(u8::MAX);
    match text.cursor {
        Some(cursor) if cursor.first <= cursor.last => cursor.first..cursor.last.min(last).saturating_add(1),
        _ => 0..0,
    }
}

fn draw_cell(
    style: &TextStyle,
    colours: &[u32; 16],
    shown: &Shown,
    glyph: &[u8; GLYPH_BYTES],
    target: &mut Target<'_>,
    (left, top): (usize, usize),
) {
    let Cell { character, attribute } = shown.cell;
    let background = attribute >> 4 & if style.blinks { 0x07 } else { 0x0f };
    let colour = |index: u8| colours.get(usize::from(index)).copied().unwrap_or(0).to_le_bytes();
    let (paper, ink) = (colour(background), colour(attribute & 0x0f));
    let glyph_ink = if shown.hidden { paper } else { ink };
    let joined = style.joins_lines && LINE_GRAPHICS.contains(&character);
    let underline = style.underline.filter(|_| attribute & 0x07 == 0x01);
    let columns = left * PIXEL..(left + style.cell_width as usize) * PIXEL;
    let lines = target.pixels.chunks_exact_mut(target.stride).skip(top);
    for ((line, bits), row) in (0_u8..).zip(glyph).zip(lines).take(style.cell_height as usize) {
        let Some(pixels) = row.get_mut(columns.clone()) else {
            return;
        };
        let (pixels, _) = pixels.as_chunks_mut::<PIXEL>();
        if shown.cursor.contains(&line) {
            pixels.fill(ink);
            continue;
        }
        let pattern = if underline == Some(u32::from(line)) {
            u16::MAX
        } else {
            pattern(*bits, style.cell_width, joined)
        };
        for (pixel, bit) in pixels.iter_mut().zip(0_u32..16) {
            *pixel = if pattern & 0x8000 >> bit == 0 { paper } else { glyph_ink };
        }
    }
}

/// A row of a glyph as it is shown, leftmost pixel in the highest bit.
fn pattern(bits: u8, width: u32, joined: bool) -> u16 {
    let wide = u16::from(bits) << 8;
    match width {
        16 => (0..8).fold(0, |all, bit| all | ((u16::from(bits) >> bit & 1) * 3) << (2 * bit)),
        9 if joined => wide | u16::from(bits & 1) << 7,
        _ => wide,
    }
}

/// Addresses of the rows of a screen from the top, without end.
struct Rows<'a> {
    text: &'a Text,
    address: u64,
    /// Line of the frame.
    line: u32,
}

impl<'a> Rows<'a> {
    const fn new(text: &'a Text) -> Self {
        Self {
            text,
            address: text.start,
            line: 0,
        }
    }
}

impl Iterator for Rows<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let address = self.address;
        let below = self.line + self.text.style.cell_height;
        self.address = if self.line < self.text.split && below >= self.text.split {
            0
        } else {
            address + self.text.pitch
        };
        self.line = below;
        Some(address)
    }
}
