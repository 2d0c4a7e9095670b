//! The text that was typed.

use crate::font::{CELL_HEIGHT, CELL_WIDTH};
use crate::text::{self, Backdrop, Field};
use crate::theme::{self, CONSOLE_PANEL, HEAD_HEIGHT};
use crate::{Painter, Point, Rect};

const COLUMNS: usize = 72;
const ROWS: usize = 6;
/// Rows of pixels from one line of text to the next; the caret is drawn in the gap.
const LINE: i32 = 18;
const AREA: Rect = Rect::new(
    CONSOLE_PANEL.x + 12,
    CONSOLE_PANEL.y + HEAD_HEIGHT + 9,
    COLUMNS as i32 * CELL_WIDTH,
    ROWS as i32 * LINE,
);
const TAB: usize = 8;
const BACKDROP: Backdrop = Backdrop::Flat(theme::PANEL);

/// Columns of a line that differ from what is painted; empty when from >= to.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
}

const CLEAN: Span = Span { from: COLUMNS, to: 0 };

/// Lines of text with a caret; the text moves up when the last line is full.
#[derive(Debug)]
pub(crate) struct Console {
    lines: [[u8; COLUMNS]; ROWS],
    row: usize,
    column: usize,
    dirty: [Span; ROWS],
    /// Lines the painted text has to move up.
    scrolled: usize,
    /// Where the caret was painted.
    caret: Option<(usize, usize)>,
}

impl Console {
    pub(crate) const fn new() -> Self {
        Self {
            lines: [[b' '; COLUMNS]; ROWS],
            row: 0,
            column: 0,
            dirty: [CLEAN; ROWS],
            scrolled: 0,
            caret: None,
        }
    }

    /// Types a character at the caret.
    pub(crate) fn put(&mut self, character: u8) {
        if self.column == COLUMNS {
            self.new_line();
        }
        self.set(self.row, self.column, character);
        self.column += 1;
    }

    /// Types `<Name>`.
    pub(crate) fn put_name(&mut self, name: &str) {
        self.put(b'<');
        name.bytes().for_each(|byte| self.put(byte));
        self.put(b'>');
    }

    /// Goes to the next tab stop.
    pub(crate) fn tab(&mut self) {
        self.put(b' ');
        while !self.column.is_multiple_of(TAB) {
            self.put(b' ');
        }
    }

    /// Begins a new line.
    pub(crate) fn new_line(&mut self) {
        self.column = 0;
        if self.row + 1 < ROWS {
            self.row += 1;
            return;
        }
        self.lines.copy_within(1.., 0);
        self.dirty.copy_within(1.., 0);
        if let (Some(line), Some(dirty)) = (self.lines.last_mut(), self.dirty.last_mut()) {
            line.fill(b' ');
            *dirty = CLEAN;
        }
        self.scrolled += 1;
    }

    /// Takes the character before the caret away, or goes back to the end of the line above.
    pub(crate) fn backspace(&mut self) {
        if let Some(column) = self.column.checked_sub(1) {
            self.column = column;
            self.set(self.row, column, b' ');
        } else if let Some(row) = self.row.checked_sub(1) {
            self.row = row;
            let line = self.lines.get(row);
            self.column = line
                .and_then(|line| line.iter().rposition(|c| *c != b' '))
                .map_or(0, |last| last + 1);
        }
    }

    fn set(&mut self, row: usize, column: usize, character: u8) {
        let (Some(line), Some(dirty)) = (self.lines.get_mut(row), self.dirty.get_mut(row)) else {
            return;
        };
        if let Some(cell) = line.get_mut(column) {
            *cell = character;
            *dirty = Span {
                from: dirty.from.min(column),
                to: dirty.to.max(column + 1),
            };
        }
    }

    /// Paints panel and text anew.
    pub(crate) fn paint_all(&mut self, painter: &mut impl Painter) {
        painter.fill(AREA, theme::PANEL);
        self.scrolled = 0;
        self.caret = None;
        for (line, dirty) in self.lines.iter().zip(&mut self.dirty) {
            let written = line.iter().rposition(|c| *c != b' ').map_or(0, |last| last + 1);
            *dirty = Span { from: 0, to: written };
        }
        self.paint(painter);
    }

    /// Paints what has changed.
    pub(crate) fn paint(&mut self, painter: &mut impl Painter) {
        let caret = (self.row, self.column.min(COLUMNS - 1));
        let moved = self.caret != Some(caret) || self.scrolled > 0;
        if moved && let Some(old) = self.caret.take() {
            painter.fill(caret_area(old), theme::PANEL);
        }
        self.scroll(painter);
        for (row, (line, dirty)) in self.lines.iter().zip(&mut self.dirty).enumerate() {
            let span = core::mem::replace(dirty, CLEAN);
            if let Some(text) = line.get(span.from..span.to) {
                let (x, y) = (AREA.x + span.from as i32 * CELL_WIDTH, AREA.y + row as i32 * LINE);
                text::draw(painter, x, y, text, theme::TEXT, BACKDROP);
            }
        }
        if moved {
            painter.fill(caret_area(caret), theme::AMBER);
            self.caret = Some(caret);
        }
    }

    fn scroll(&mut self, painter: &mut impl Painter) {
        let lines = core::mem::take(&mut self.scrolled).min(ROWS) as i32;
        let kept = ROWS as i32 - lines;
        if lines > 0 && kept > 0 {
            let area = Rect::new(AREA.x, AREA.y, AREA.width, kept * LINE);
            painter.copy_bits(
                area,
                Point {
                    x: AREA.x,
                    y: AREA.y + lines * LINE,
                },
            );
        }
        if lines > 0 {
            painter.fill(
                Rect::new(AREA.x, AREA.y + kept * LINE, AREA.width, lines * LINE),
                theme::PANEL,
            );
        }
    }
}

fn caret_area((row, column): (usize, usize)) -> Rect {
    let (x, y) = (
        AREA.x + column as i32 * CELL_WIDTH,
        AREA.y + row as i32 * LINE + CELL_HEIGHT,
    );
    Rect::new(x, y, CELL_WIDTH, LINE - CELL_HEIGHT)
}

/// Paints the number of key presses into the panel's head.
pub(crate) fn paint_count(painter: &mut impl Painter, keys: u32) {
    let field = Field::<12>::new(format_args!("{keys:>7} keys"));
    let x = CONSOLE_PANEL.right() - 12 - 12 * CELL_WIDTH;
    text::draw(
        painter,
        x,
        CONSOLE_PANEL.y + 7,
        field.text(),
        theme::TEXT_DIM,
        Backdrop::Flat(theme::PANEL_HEAD),
    );
}
