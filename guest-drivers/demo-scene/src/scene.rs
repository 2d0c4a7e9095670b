//! The whole picture.

use crate::console::{self, Console};
use crate::font::CELL_WIDTH;
use crate::keyboard::{Keyboard, Press};
use crate::pointer::Pointer;
use crate::stage::Stage;
use crate::text::{self, Backdrop};
use crate::theme::{self, CONSOLE_PANEL, HEAD_HEIGHT, POINTER_PANEL, STAGE_PANEL, VIDEO_PANEL};
use crate::video::Video;
use crate::{Painter, Point, Rect, art};

const SUBTITLE: &[u8] = b"A virtual machine whose screen, keyboard and mouse speak SPICE";
const HELP: [&[u8]; 3] = [
    b"This guest has no operating system: it draws with QXL commands and reads a PS/2 keyboard and mouse.",
    b"Type, and the text appears above. Move the mouse: the arrow is a hardware cursor. Press its buttons.",
    b"On the serial console:  help  state  freeze  hash  go  video on  video off  frames  redraw  reset  quit",
];

/// What a program may want to know of a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Key presses, modifiers and repetitions included.
    pub keys: u32,
    /// The pointer's position.
    pub pointer: Point,
    /// Buttons held: 1 left, 2 right, 4 middle.
    pub buttons: u8,
    /// Sum of the wheel's steps, positive towards the user.
    pub wheel: i32,
    /// Whether nothing moves by itself.
    pub frozen: bool,
    /// Frames of the video that were painted.
    pub frames: u64,
}

/// State of the demo's picture, and what of it is painted already.
///
/// Input changes the state only; [`Scene::paint`] brings a picture up to date. A painter must be given every `paint`
/// of a scene, or a complete one after [`Scene::invalidate`].
#[derive(Debug)]
pub struct Scene {
    keyboard: Keyboard,
    console: Console,
    pointer: Pointer,
    stage: Stage,
    video: Video,
    keys: u32,
    painted_keys: Option<u32>,
    painted: bool,
}

impl Scene {
    /// Nothing typed, the pointer in the middle of the screen, tile and video moving, nothing painted.
    pub const fn new() -> Self {
        Self {
            keyboard: Keyboard::new(),
            console: Console::new(),
            pointer: Pointer::new(),
            stage: Stage::new(),
            video: Video::new(),
            keys: 0,
            painted_keys: None,
            painted: false,
        }
    }

    /// Takes a byte of scan code set 1 from the keyboard.
    pub fn key(&mut self, byte: u8) {
        let Some(press) = self.keyboard.byte(byte) else { return };
        self.keys = self.keys.saturating_add(1);
        match press {
            Press::Character(character) => self.console.put(character),
            Press::Enter => self.console.new_line(),
            Press::Backspace => self.console.backspace(),
            Press::Tab => self.console.tab(),
            Press::Named(name) => self.console.put_name(name),
            Press::Silent => {}
        }
    }

    /// Moves the pointer, to the right and down; it stops at the edges of the screen.
    pub fn motion(&mut self, dx: i32, dy: i32) {
        self.pointer.motion(dx, dy);
    }

    /// Turns the wheel, positive towards the user.
    pub fn wheel(&mut self, steps: i32) {
        self.pointer.turn(steps);
    }

    /// Says which buttons are held (1 left, 2 right, 4 middle); each new one leaves a mark where the pointer is.
    pub fn buttons(&mut self, buttons: u8) {
        self.pointer.press(buttons & 7);
    }

    /// Moves on by a step ([`crate::TICKS_PER_SECOND`]), unless frozen.
    pub fn tick(&mut self) {
        self.stage.tick();
        self.video.tick();
    }

    /// Stops everything that moves by itself, and puts it where it belongs at rest.
    pub fn freeze(&mut self) {
        self.stage.set_frozen(true);
        self.video.set_frozen(true);
    }

    /// Ends a freeze.
    pub fn go(&mut self) {
        self.stage.set_frozen(false);
        self.video.set_frozen(false);
    }

    /// Has the video play, or leaves its place empty: nothing is copied there then.
    pub fn set_video(&mut self, on: bool) {
        self.video.set_on(on);
    }

    /// What there is to know.
    pub fn state(&self) -> State {
        State {
            keys: self.keys,
            pointer: self.pointer.at(),
            buttons: self.pointer.buttons(),
            wheel: self.pointer.wheel(),
            frozen: self.stage.is_frozen(),
            frames: self.video.frames(),
        }
    }

    /// Has the next `paint` draw everything.
    pub fn invalidate(&mut self) {
        self.painted = false;
    }

    /// Draws what differs from the last `paint`.
    pub fn paint(&mut self, painter: &mut impl Painter) {
        if core::mem::replace(&mut self.painted, true) {
            self.console.paint(painter);
            self.pointer.paint(painter);
            self.stage.paint(painter);
            self.video.paint(painter);
        } else {
            paint_still(painter);
            self.console.paint_all(painter);
            self.pointer.paint_all(painter);
            self.stage.paint_all(painter);
            self.video.paint_all(painter);
            self.painted_keys = None;
        }
        if self.painted_keys != Some(self.keys) {
            console::paint_count(painter, self.keys);
            self.painted_keys = Some(self.keys);
        }
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// What never changes.
fn paint_still(painter: &mut impl Painter) {
    let screen = theme::SCREEN;
    for y in (screen.y..screen.bottom()).step_by(theme::BAND as usize) {
        painter.fill(Rect::new(screen.x, y, screen.width, theme::BAND), theme::background(y));
    }
    art::draw_umbel(painter);
    art::draw_title(painter);
    let subtitle = theme::SUBTITLE;
    text::draw(
        painter,
        subtitle.x,
        subtitle.y,
        SUBTITLE,
        theme::AMBER,
        Backdrop::Background(subtitle.y),
    );
    paint_panel(painter, CONSOLE_PANEL, b"Keyboard");
    paint_panel(painter, VIDEO_PANEL, b"Video");
    paint_panel(painter, POINTER_PANEL, b"Mouse");
    paint_panel(painter, STAGE_PANEL, b"Moving picture");
    for (index, line) in (0..).zip(HELP) {
        let y = theme::HELP_TOP + index * theme::HELP_STEP;
        text::draw(painter, theme::HELP_LEFT, y, line, theme::TEXT, Backdrop::Background(y));
    }
}

fn paint_panel(painter: &mut impl Painter, area: Rect, title: &[u8]) {
    painter.fill(area, theme::PANEL_EDGE);
    painter.fill(area.inset(1), theme::PANEL);
    let head = area.inset(1);
    painter.fill(Rect::new(head.x, head.y, head.width, HEAD_HEIGHT), theme::PANEL_HEAD);
    painter.fill(Rect::new(head.x, head.y, 4, HEAD_HEIGHT), theme::AMBER);
    let x = area.x + 2 * CELL_WIDTH;
    text::draw(
        painter,
        x,
        area.y + 7,
        title,
        theme::CREAM,
        Backdrop::Flat(theme::PANEL_HEAD),
    );
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
