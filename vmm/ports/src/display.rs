//! Device to viewer: the command stream of one display device.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    drawing::{Drawable, SurfaceFormat},
    geometry::{Point, Rect},
};

/// Rows of a surface or a part of one, top row first, without padding unless `stride` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// How a pixel is stored.
    pub format: SurfaceFormat,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// The rows.
    pub data: Bytes,
}

/// A new surface. Surface 0 is the primary: the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfaceSpec {
    /// Its number.
    pub id: u32,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// How a pixel is stored.
    pub format: SurfaceFormat,
    /// First content, of the same size and format; `None` = zero.
    pub pixels: Option<Pixels>,
}

/// Kind of a cursor shape; the values are those of QXL and SPICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CursorType {
    /// BGRA, premultiplied.
    Alpha = 0,
    /// AND mask, then XOR mask.
    Mono = 1,
    /// 4-bit pixels, 16 colours, AND mask.
    Color4 = 2,
    /// 8-bit pixels, 256 colours, AND mask.
    Color8 = 3,
    /// 16-bit pixels, AND mask.
    Color16 = 4,
    /// 24-bit pixels, AND mask.
    Color24 = 5,
    /// 32-bit pixels, AND mask.
    Color32 = 6,
}

/// A cursor shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorShape {
    /// The guest's name for it; 0 = none. Scoped to the device.
    pub unique: u64,
    /// How `data` is laid out.
    pub kind: CursorType,
    /// Pixels across, 1 to 512.
    pub width: u16,
    /// Rows, 1 to 512.
    pub height: u16,
    /// Pixel of the shape that points, inside it.
    pub hot_spot: (u16, u16),
    /// Exactly the bytes `kind` and the size ask for.
    pub data: Bytes,
}

/// A change of the hardware cursor. Positions are those of the hot spot on surface 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorCommand {
    /// New shape, position and visibility.
    Set {
        position: Point,
        visible: bool,
        shape: Arc<CursorShape>,
    },
    /// New position; makes it visible.
    Move(Point),
    /// Not shown until the next `Set` or `Move`.
    Hide,
    /// Ghosts behind a moving cursor.
    Trail { length: u16, frequency: u16 },
    /// No cursor: after a reset or the end of the primary surface.
    Reset,
}

/// The cursor the commands so far have made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorState {
    /// The last shape.
    pub shape: Option<Arc<CursorShape>>,
    /// Of the hot spot.
    pub position: Point,
    /// Whether it is shown.
    pub visible: bool,
    /// Length and frequency of the trail.
    pub trail: (u16, u16),
}

impl CursorState {
    /// Follows a command.
    pub fn apply(&mut self, command: &CursorCommand) {
        match command {
            CursorCommand::Set {
                position,
                visible,
                shape,
            } => {
                self.shape = Some(Arc::clone(shape));
                (self.position, self.visible) = (*position, *visible);
            }
            CursorCommand::Move(position) => (self.position, self.visible) = (*position, true),
            CursorCommand::Hide => self.visible = false,
            CursorCommand::Trail { length, frequency } => self.trail = (*length, *frequency),
            CursorCommand::Reset => *self = Self::default(),
        }
    }

    /// The commands that lead here from no cursor.
    #[must_use]
    pub fn replay(&self) -> Vec<CursorCommand> {
        let mut commands = Vec::new();
        if let Some(shape) = &self.shape {
            commands.push(CursorCommand::Set {
                position: self.position,
                visible: self.visible,
                shape: Arc::clone(shape),
            });
        }
        let (length, frequency) = self.trail;
        if self.trail != (0, 0) {
            commands.push(CursorCommand::Trail { length, frequency });
        }
        commands
    }
}

/// One monitor: a part of a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The guest's number for it.
    pub id: u32,
    /// The surface it shows.
    pub surface: u32,
    /// The part it shows.
    pub area: Rect,
}

/// What a display device says, in order.
#[derive(Clone, Debug)]
pub enum DisplayCommand {
    /// A surface exists from now on. A live surface with this id is replaced.
    CreateSurface(SurfaceSpec),
    /// A surface is gone.
    DestroySurface(u32),
    /// Draw. Dropped when the surface is not there or the box is not inside it.
    Draw(Box<Drawable>),
    /// Hardware cursor.
    Cursor(CursorCommand),
    /// The monitors, at most `max` in all; empty = one head that covers the primary surface.
    Monitors { heads: Vec<Head>, max: u16 },
    /// The device was reset: all surfaces and the cursor are gone, guest ids mean nothing any more.
    Reset,
}

/// Bytes of the capabilities a guest is told of.
pub const CLIENT_CAPABILITY_BYTES: usize = 58;

/// Who looks at a display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Whether anybody does, a client or someone who waits for a picture.
    pub watched: bool,
    /// With a client there, what all of them can do: display capability i is bit i%8 of byte i/8.
    pub clients: Option<[u8; CLIENT_CAPABILITY_BYTES]>,
}

/// A monitor as a client wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedHead {
    /// Left edge in the arrangement of all heads.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Pixels across; 0 = off.
    pub width: u32,
    /// Rows; 0 = off.
    pub height: u32,
}

/// A display device as its viewer sees it. A guest may show a picture by writing to memory instead of by commands; such a
/// picture is brought to the viewer at a steady rate while somebody looks, and when it is asked for.
pub trait DisplaySource: Send + Sync {
    /// The audience has changed. Called from any thread, one call at a time; must not call the viewer.
    fn audience(&self, audience: Audience);

    /// Brings the canvas up to date with the guest's memory; waits for that, but not for long. Not for async tasks.
    fn refresh(&self);

    /// Whether the guest's driver would act on [`DisplaySource::request_monitors`]; if not, its agent may.
    fn takes_monitors(&self) -> bool;

    /// Asks the guest for monitors as a client wants them, if its driver takes such requests. Does not block.
    fn request_monitors(&self, heads: &[WantedHead]);
}

/// A viewer of one display device. All calls come from the display worker of that device, or from a thread that holds
/// that worker parked, so that the order of calls is the order of the commands.
pub trait DisplaySink: Send + Sync {
    /// Takes the next command and renders it into the canvas. Never waits for a client: what a client has not been
    /// sent yet is bounded by the size of the display.
    fn submit(&self, command: DisplayCommand);

    /// The current content of `area` of a surface, every earlier command applied; clipped to the surface. `None`
    /// when there is no such surface or nothing of the area is in it.
    fn read(&self, surface: u32, area: Rect) -> Option<Pixels>;
}
