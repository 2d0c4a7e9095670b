//! The moving region: a tile that bounces about its panel. Frozen, it lies in the middle.

use crate::font::CELL_WIDTH;
use crate::stroke::{self, Layer, Stroke, StrokeList, UNIT};
use crate::text::{self, Backdrop};
use crate::theme::{self, HEAD_HEIGHT, STAGE_PANEL};
use crate::{Color, Image, Painter, Point, Rect};

const AREA: Rect = Rect::new(
    STAGE_PANEL.x + 8,
    STAGE_PANEL.y + HEAD_HEIGHT + 5,
    STAGE_PANEL.width - 16,
    STAGE_PANEL.height - HEAD_HEIGHT - 13,
);
const AREA_COLOR: Color = 0x0a141b;
const TILE: i32 = 48;
const RANGE: Point = Point {
    x: AREA.width - TILE,
    y: AREA.height - TILE,
};
const HOME: Point = Point {
    x: AREA.x + RANGE.x / 2,
    y: AREA.y + RANGE.y / 2,
};
/// Pixels a step.
const SPEED: Point = Point { x: 5, y: 4 };
const CORNER: i32 = 10;

/// The tile and its way.
#[derive(Debug)]
pub(crate) struct Stage {
    step: u32,
    frozen: bool,
    /// Where the tile was painted, and whether the head said frozen.
    painted: Option<(Point, bool)>,
}

impl Stage {
    pub(crate) const fn new() -> Self {
        Self {
            step: 0,
            frozen: false,
            painted: None,
        }
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    pub(crate) fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Moves on by a step, unless frozen.
    pub(crate) fn tick(&mut self) {
        if !self.frozen {
            self.step = self.step.wrapping_add(1);
        }
    }

    fn at(&self) -> Point {
        if self.frozen {
            return HOME;
        }
        // There and back again.
        let bounce = |speed: i32, range: i32, start: i32| {
            let way = (i64::from(self.step) * i64::from(speed) + i64::from(start)) % i64::from(2 * range);
            let way = way as i32;
            if way < range { way } else { 2 * range - way }
        };
        let x = AREA.x + bounce(SPEED.x, RANGE.x, RANGE.x / 2);
        let y = AREA.y + bounce(SPEED.y, RANGE.y, RANGE.y / 2);
        Point { x, y }
    }

    /// Paints the panel's contents anew.
    pub(crate) fn paint_all(&mut self, painter: &mut impl Painter) {
        painter.fill(AREA, AREA_COLOR);
        self.painted = None;
        self.paint(painter);
    }

    /// Paints what has changed.
    pub(crate) fn paint(&mut self, painter: &mut impl Painter) {
        let now = (self.at(), self.frozen);
        if self.painted == Some(now) {
            return;
        }
        let (at, frozen) = now;
        if let Some((old, _)) = self.painted {
            uncovered(old, at)
                .into_iter()
                .flatten()
                .for_each(|strip| painter.fill(strip, AREA_COLOR));
        }
        painter.copy(Rect::new(at.x, at.y, TILE, TILE), &Tile::new());
        if self.painted.is_none_or(|(_, painted)| painted != frozen) {
            let (word, color): (&[u8], _) = if frozen {
                (b"frozen", theme::TEAL)
            } else {
                (b"moving", theme::TEXT_DIM)
            };
            let x = STAGE_PANEL.right() - 12 - 6 * CELL_WIDTH;
            text::draw(
                painter,
                x,
                STAGE_PANEL.y + 7,
                word,
                color,
                Backdrop::Flat(theme::PANEL_HEAD),
            );
        }
        self.painted = Some(now);
    }
}

/// What a tile leaves behind when it moves: the whole of it, or a strip above or below and one at a side.
fn uncovered(from: Point, to: Point) -> [Option<Rect>; 2] {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    if dx.abs() >= TILE || dy.abs() >= TILE {
        return [Some(Rect::new(from.x, from.y, TILE, TILE)), None];
    }
    let top = if dy > 0 { from.y } else { to.y + TILE };
    let rows = (dy != 0).then_some(Rect::new(from.x, top, TILE, dy.abs()));
    let left = if dx > 0 { from.x } else { to.x + TILE };
    let columns = (dx != 0).then_some(Rect::new(left, from.y.max(to.y), dx.abs(), TILE - dy.abs()));
    [rows, columns]
}

/// A rounded square in amber with the first letter of the name.
struct Tile {
    letter: StrokeList<48>,
}

impl Tile {
    fn new() -> Self {
        let mut letter = StrokeList::new();
        letter.push_character(b'C', (15 * UNIT, 3 * UNIT), 200, 3 * UNIT);
        Self { letter }
    }
}

impl Image for Tile {
    fn row(&self, y: i32, out: &mut [Color]) {
        out.fill(AREA_COLOR);
        let inner = TILE - CORNER;
        // A square with round corners is what a round pen leaves that goes over a smaller square.
        let nearest = y.clamp(CORNER, inner - 1);
        let pen = Stroke::line(CORNER, nearest, inner, nearest, CORNER * UNIT);
        let color = theme::mix(theme::AMBER, theme::AMBER_DEEP, y, TILE - 1);
        stroke::blend_row(&Layer { color, strokes: &[pen] }, y, out);
        stroke::blend_row(
            &Layer {
                color: theme::CREAM,
                strokes: self.letter.strokes(),
            },
            y,
            out,
        );
    }
}
