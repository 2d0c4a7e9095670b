//! The pointer panel: a map of the screen with the pointer on it, where buttons were pressed, which are held.

use crate::font::CELL_WIDTH;
use crate::text::{self, Backdrop, Field};
use crate::theme::{self, HEAD_HEIGHT, POINTER_PANEL};
use crate::{Color, HEIGHT, Painter, Point, Rect, WIDTH};

/// Left button held.
pub const BUTTON_LEFT: u8 = 1;
/// Right button held.
pub const BUTTON_RIGHT: u8 = 2;
/// Middle button held.
pub const BUTTON_MIDDLE: u8 = 4;

/// Screen pixels per map pixel.
const SCALE: i32 = 4;
const MAP: Rect = Rect::new(
    POINTER_PANEL.x + 32,
    POINTER_PANEL.y + HEAD_HEIGHT + 9,
    WIDTH as i32 / SCALE,
    HEIGHT as i32 / SCALE,
);
const MAP_COLOR: Color = 0x12242f;
/// Presses that are kept.
const MARKS: usize = 8;
const MARK_SIZE: i32 = 5;
/// Left, middle and right, as they lie on a mouse: bit, letter, colour.
const BUTTONS: [(u8, u8, Color); 3] = [
    (BUTTON_LEFT, b'L', theme::AMBER),
    (BUTTON_MIDDLE, b'M', theme::ROSE),
    (BUTTON_RIGHT, b'R', theme::TEAL),
];
const BUTTON_WIDTH: i32 = 24;
const BUTTON_STEP: i32 = 28;

/// Where a button was pressed.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Point,
    color: Color,
}

/// Pointer, buttons and wheel.
#[derive(Debug)]
pub(crate) struct Pointer {
    at: Point,
    buttons: u8,
    wheel: i32,
    marks: [Option<Mark>; MARKS],
    next_mark: usize,
    /// Where the crosshair was painted.
    crosshair: Option<Point>,
    dirty: bool,
}

impl Pointer {
    pub(crate) const fn new() -> Self {
        Self {
            at: Point {
                x: WIDTH as i32 / 2,
                y: HEIGHT as i32 / 2,
            },
            buttons: 0,
            wheel: 0,
            marks: [None; MARKS],
            next_mark: 0,
            crosshair: None,
            dirty: true,
        }
    }

    pub(crate) fn at(&self) -> Point {
        self.at
    }

    pub(crate) fn buttons(&self) -> u8 {
        self.buttons
    }

    pub(crate) fn wheel(&self) -> i32 {
        self.wheel
    }

    /// Moves the pointer; it stays on the screen.
    pub(crate) fn motion(&mut self, dx: i32, dy: i32) {
        let x = self.at.x.saturating_add(dx).clamp(0, WIDTH as i32 - 1);
        let y = self.at.y.saturating_add(dy).clamp(0, HEIGHT as i32 - 1);
        self.dirty |= self.at != Point { x, y };
        self.at = Point { x, y };
    }

    /// Turns the wheel.
    pub(crate) fn turn(&mut self, steps: i32) {
        self.wheel = self.wheel.saturating_add(steps).clamp(-99_999, 99_999);
        self.dirty |= steps != 0;
    }

    /// Sets the buttons held; a new press leaves a mark.
    pub(crate) fn press(&mut self, buttons: u8) {
        for (bit, _, color) in BUTTONS {
            if buttons & !self.buttons & bit == 0 {
                continue;
            }
            if let Some(mark) = self.marks.get_mut(self.next_mark) {
                // The oldest mark goes: what was under it is painted again.
                if mark.is_some() {
                    self.crosshair = None;
                }
                *mark = Some(Mark { at: self.at, color });
            }
            self.next_mark = (self.next_mark + 1) % MARKS;
        }
        self.dirty |= self.buttons != buttons;
        self.buttons = buttons;
    }

    /// Paints the panel's contents anew.
    pub(crate) fn paint_all(&mut self, painter: &mut impl Painter) {
        self.crosshair = None;
        self.dirty = true;
        self.paint(painter);
    }

    /// Paints what has changed.
    pub(crate) fn paint(&mut self, painter: &mut impl Painter) {
        if !core::mem::take(&mut self.dirty) {
            return;
        }
        let at = Point {
            x: MAP.x + self.at.x / SCALE,
            y: MAP.y + self.at.y / SCALE,
        };
        match self.crosshair {
            Some(old) => lines(old).into_iter().for_each(|line| painter.fill(line, MAP_COLOR)),
            None => painter.fill(MAP, MAP_COLOR),
        }
        // From the oldest to the newest.
        for step in 0..MARKS {
            if let Some(Some(mark)) = self.marks.get((self.next_mark + step) % MARKS) {
                painter.fill(mark_area(mark.at), mark.color);
            }
        }
        lines(at)
            .into_iter()
            .for_each(|line| painter.fill(line, theme::CROSSHAIR));
        self.crosshair = Some(at);
        self.paint_buttons(painter);
        let Point { x, y } = self.at;
        let field = Field::<24>::new(format_args!("{x:>4}, {y:>3}  wheel {:<6}", self.wheel));
        text::draw(
            painter,
            MAP.x,
            MAP.bottom() + 13,
            field.text(),
            theme::TEXT,
            Backdrop::Flat(theme::PANEL),
        );
    }

    fn paint_buttons(&self, painter: &mut impl Painter) {
        let left = MAP.right() - 2 * BUTTON_STEP - BUTTON_WIDTH + 24;
        for (index, (bit, letter, color)) in (0..).zip(BUTTONS) {
            let held = self.buttons & bit != 0;
            let (face, ink) = if held {
                (color, theme::PANEL)
            } else {
                (theme::BUTTON_OFF, theme::TEXT_DIM)
            };
            let area = Rect::new(left + index * BUTTON_STEP, MAP.bottom() + 9, BUTTON_WIDTH, 24);
            painter.fill(area, face);
            let x = area.x + (BUTTON_WIDTH - CELL_WIDTH) / 2;
            text::draw(painter, x, area.y + 4, &[letter], ink, Backdrop::Flat(face));
        }
    }
}

/// The crosshair: a line each way, and a dot in the middle.
fn lines(at: Point) -> [Rect; 3] {
    let left = (at.x - 1).clamp(MAP.x, MAP.right() - 3);
    let top = (at.y - 1).clamp(MAP.y, MAP.bottom() - 3);
    [
        Rect::new(at.x, MAP.y, 1, MAP.height),
        Rect::new(MAP.x, at.y, MAP.width, 1),
        Rect::new(left, top, 3, 3),
    ]
}

fn mark_area(at: Point) -> Rect {
    let x = (MAP.x + at.x / SCALE - MARK_SIZE / 2).clamp(MAP.x, MAP.right() - MARK_SIZE);
    let y = (MAP.y + at.y / SCALE - MARK_SIZE / 2).clamp(MAP.y, MAP.bottom() - MARK_SIZE);
    Rect::new(x, y, MARK_SIZE, MARK_SIZE)
}
