//! Text as pictures.

use core::fmt;

use crate::font::{self, CELL_HEIGHT, CELL_WIDTH};
use crate::{Color, Image, Painter, Rect, theme};

/// What lies behind text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backdrop {
    /// One colour.
    Flat(Color),
    /// The picture's own background, for text whose first row is this one.
    Background(i32),
}

impl Backdrop {
    pub(crate) fn color(self, row: i32) -> Color {
        match self {
            Self::Flat(color) => color,
            Self::Background(top) => theme::background(top + row),
        }
    }
}

/// A line of text, 16 rows high, 8 columns a character.
#[derive(Debug)]
pub(crate) struct TextImage<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) color: Color,
    pub(crate) backdrop: Backdrop,
}

impl Image for TextImage<'_> {
    fn row(&self, y: i32, out: &mut [Color]) {
        let backdrop = self.backdrop.color(y);
        for (cell, character) in out.chunks_mut(CELL_WIDTH as usize).zip(self.text) {
            let mut bits = font::bitmap_row(*character, y);
            for pixel in cell {
                *pixel = if bits & 0x80 != 0 { self.color } else { backdrop };
                bits <<= 1;
            }
        }
    }
}

/// Draws text with its top left corner at (`x`, `y`).
pub(crate) fn draw(painter: &mut impl Painter, x: i32, y: i32, text: &[u8], color: Color, backdrop: Backdrop) {
    if text.is_empty() {
        return;
    }
    let area = Rect::new(x, y, text.len() as i32 * CELL_WIDTH, CELL_HEIGHT);
    painter.copy(area, &TextImage { text, color, backdrop });
}

/// Text of exactly `N` characters, padded with blanks, cut at the end.
#[derive(Debug)]
pub(crate) struct Field<const N: usize> {
    text: [u8; N],
    length: usize,
}

impl<const N: usize> Field<N> {
    pub(crate) fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut field = Self {
            text: [b' '; N],
            length: 0,
        };
        // Cutting is no error.
        let _ = fmt::Write::write_fmt(&mut field, arguments);
        field
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }
}

impl<const N: usize> fmt::Write for Field<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if let Some(cell) = self.text.get_mut(self.length) {
                *cell = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}
