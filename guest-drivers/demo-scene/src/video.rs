//! The video: a picture copied to the same place at every step, with text beside it. Frozen, it rests at one frame.

use crate::font::CELL_WIDTH;
use crate::plasma::Plasma;
use crate::text::{self, Backdrop, Field};
use crate::theme::{self, HEAD_HEIGHT, VIDEO_PANEL};
use crate::{Color, Painter, Rect};

/// Where the video plays, in every frame.
pub const VIDEO_AREA: Rect = Rect::new(VIDEO_PANEL.x + 6, VIDEO_PANEL.y + HEAD_HEIGHT + 6, 320, 240);

const AREA_COLOR: Color = 0x0a141b;
const TEXT_LEFT: i32 = VIDEO_AREA.right() + 18;
const TEXT_STEP: i32 = 20;
/// At most 30 characters each: the panel ends there.
const TEXT: [&[u8]; 11] = [
    b"320 x 240 pixels, 25 frames a",
    b"second: each is a copy of a",
    b"bitmap to the same rectangle.",
    b"",
    b"SPICE clients get a stream for",
    b"it. This text stays exact, and",
    b"once the picture rests it is",
    b"exact as well.",
    b"",
    b"`freeze` on the serial console",
    b"has it rest.",
];
/// The frame that is shown at rest.
const REST: u32 = 40;

/// What the panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Off,
    Rest,
    Frame(u32),
}

impl Shown {
    const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Rest => "frozen",
            Self::Frame(_) => "playing",
        }
    }
}

/// The video and how far it is.
#[derive(Debug)]
pub(crate) struct Video {
    step: u32,
    frozen: bool,
    on: bool,
    frames: u64,
    painted: Option<Shown>,
}

impl Video {
    pub(crate) const fn new() -> Self {
        Self {
            step: 0,
            frozen: false,
            on: true,
            frames: 0,
            painted: None,
        }
    }

    pub(crate) fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    pub(crate) fn set_on(&mut self, on: bool) {
        self.on = on;
    }

    /// Frames painted so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// Moves on by a step, unless frozen.
    pub(crate) fn tick(&mut self) {
        if !self.frozen {
            self.step = self.step.wrapping_add(1);
        }
    }

    fn now(&self) -> Shown {
        match (self.on, self.frozen) {
            (false, _) => Shown::Off,
            (true, true) => Shown::Rest,
            (true, false) => Shown::Frame(self.step),
        }
    }

    /// Paints the panel's contents anew.
    pub(crate) fn paint_all(&mut self, painter: &mut impl Painter) {
        for (index, line) in (0..).zip(TEXT) {
            let y = VIDEO_AREA.y + 2 + index * TEXT_STEP;
            text::draw(painter, TEXT_LEFT, y, line, theme::TEXT, Backdrop::Flat(theme::PANEL));
        }
        self.painted = None;
        self.paint(painter);
    }

    /// Paints what has changed.
    pub(crate) fn paint(&mut self, painter: &mut impl Painter) {
        let now = self.now();
        if self.painted == Some(now) {
            return;
        }
        let frame = match now {
            Shown::Off => None,
            Shown::Rest => Some(REST),
            Shown::Frame(step) => Some(step),
        };
        match frame {
            Some(frame) => {
                painter.copy(VIDEO_AREA, &Plasma::new(frame));
                self.frames += 1;
            }
            None => painter.fill(VIDEO_AREA, AREA_COLOR),
        }
        if self.painted.map(Shown::word) != Some(now.word()) {
            let color = match now {
                Shown::Rest => theme::TEAL,
                Shown::Off | Shown::Frame(_) => theme::TEXT_DIM,
            };
            let field = Field::<7>::new(format_args!("{:>7}", now.word()));
            let x = VIDEO_PANEL.right() - 12 - 7 * CELL_WIDTH;
            text::draw(
                painter,
                x,
                VIDEO_PANEL.y + 7,
                field.text(),
                color,
                Backdrop::Flat(theme::PANEL_HEAD),
            );
        }
        self.painted = Some(now);
    }
}
