//! Colours and the layout of the picture.

use crate::{Color, HEIGHT, Rect, WIDTH};

pub(crate) const BACKGROUND_TOP: Color = 0x0c1822;
pub(crate) const BACKGROUND_BOTTOM: Color = 0x1d4a50;
/// Rows of one colour in the background.
pub(crate) const BAND: i32 = 4;

pub(crate) const SHADOW: Color = 0x070f16;
pub(crate) const CREAM: Color = 0xf6eedc;
pub(crate) const AMBER: Color = 0xe9a842;
pub(crate) const AMBER_DEEP: Color = 0xc47228;
pub(crate) const LEAF: Color = 0x7fb069;
pub(crate) const TEAL: Color = 0x57c4c4;
pub(crate) const ROSE: Color = 0xe06c75;
pub(crate) const TEXT: Color = 0xd5e4e6;
pub(crate) const TEXT_DIM: Color = 0x93aeb4;
pub(crate) const PANEL: Color = 0x0e1b24;
pub(crate) const PANEL_HEAD: Color = 0x162c38;
pub(crate) const PANEL_EDGE: Color = 0x2f5c68;
pub(crate) const CROSSHAIR: Color = 0x3d7f8c;
pub(crate) const BUTTON_OFF: Color = 0x213c48;

pub(crate) const SCREEN: Rect = Rect::new(0, 0, WIDTH as i32, HEIGHT as i32);
pub(crate) const HEAD_HEIGHT: i32 = 28;

pub(crate) const TITLE: Rect = Rect::new(40, 30, 520, 140);
pub(crate) const SUBTITLE: Rect = Rect::new(44, 178, 62 * 8, 16);
pub(crate) const UMBEL: Rect = Rect::new(704, 12, 256, 196);

pub(crate) const CONSOLE_PANEL: Rect = Rect::new(40, 216, 600, 164);
pub(crate) const VIDEO_PANEL: Rect = Rect::new(40, 396, 600, 280);
pub(crate) const POINTER_PANEL: Rect = Rect::new(664, 216, 320, 268);
pub(crate) const STAGE_PANEL: Rect = Rect::new(664, 500, 320, 176);

pub(crate) const HELP_LEFT: i32 = 44;
pub(crate) const HELP_TOP: i32 = 692;
pub(crate) const HELP_STEP: i32 = 22;

/// A colour between two: `step` of `steps` on the way.
pub(crate) fn mix(from: Color, to: Color, step: i32, steps: i32) -> Color {
    let channel = |shift: u32| {
        let (from, to) = (((from >> shift) & 0xff) as i32, ((to >> shift) & 0xff) as i32);
        let steps = steps.max(1);
        ((from * (steps - step) + to * step + steps / 2) / steps).clamp(0, 255) as u32
    };
    (channel(16) << 16) | (channel(8) << 8) | channel(0)
}

/// The background's colour in a row.
pub(crate) fn background(y: i32) -> Color {
    let bands = HEIGHT as i32 / BAND;
    mix(BACKGROUND_TOP, BACKGROUND_BOTTOM, y / BAND, bands - 1)
}
