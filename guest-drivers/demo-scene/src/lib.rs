//! The picture of Caraway's demo guest.
//!
//! [`Scene`] is the state: what was typed, where the pointer is, whether things move. [`Scene::paint`] brings a
//! [`Painter`] up to date with a few drawing operations. The guest paints twice, through QXL commands and into its
//! own memory ([`Raster`]); a test harness paints the same scene on the host. All three must agree to the pixel.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod art;
mod console;
mod cursor;
mod font;
mod geometry;
mod keyboard;
mod plasma;
mod pointer;
mod raster;
mod scene;
mod stage;
mod stroke;
mod text;
mod theme;
mod video;

pub use cursor::{CURSOR_HOT_SPOT, CURSOR_SIZE, cursor_pixels};
pub use geometry::{Color, Image, Painter, Point, Rect};
pub use plasma::FRAMES as VIDEO_FRAMES;
pub use pointer::{BUTTON_LEFT, BUTTON_MIDDLE, BUTTON_RIGHT};
pub use raster::Raster;
pub use scene::{Scene, State};
pub use video::VIDEO_AREA;

/// Width of the picture in pixels.
pub const WIDTH: usize = 1024;
/// Height of the picture in pixels.
pub const HEIGHT: usize = 768;
/// Movement steps a second ([`Scene::tick`]).
pub const TICKS_PER_SECOND: u32 = 25;
