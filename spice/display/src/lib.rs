//! Between the ring and the wire: what the screen shows, and what each client has not been sent yet.
//!
//! A [`Display`] takes the command stream of one display device ([`caraway_ports::display::DisplaySink`]), renders it
//! into its canvas at once, and keeps for each viewer the commands not sent yet. A viewer that keeps up is sent
//! drawing commands; one that falls behind is moved to damage: areas read from the canvas when it is ready for them,
//! and back to commands when it has caught up. Memory per viewer is bounded by the size of the display.
//!
//! No I/O here: a viewer is polled with [`Viewer::next`] and [`Viewer::tick`], and woken through a callback; the clock may
//! be the caller's.
#![forbid(unsafe_code)]

mod adapt;
mod client;
mod core;
mod cull;
mod cursor;
mod damage;
mod encode;
mod figures;
mod item;
mod lossy;
mod motion;
mod pace;
mod part;
mod picture;
mod region;
mod scene;
mod video;

pub use core::{Clock, CursorViewer, Display, Located, Viewer, ViewerCaps, Watch};

pub use caraway_image::choice::{Mode, Switch};
pub use cursor::CursorItem;
pub use encode::{
    Codec, CursorEncoder, Dictionaries, EncodeError, Encoder, EncoderConfig, ImageCounts, ImageSettings,
    MAX_GLZ_WINDOW, Membership, Outgoing, PixmapCache, Pixmaps, SharedDictionary, StreamCodecs, Verdict,
};
pub use figures::ViewerFigures;
pub use item::Item;
pub use pace::Pace;
pub use picture::Picture;
pub use video::{Frame, Stream, VideoMode};

#[cfg(test)]
mod audience_tests;
#[cfg(test)]
mod core_tests;
#[cfg(test)]
mod cull_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod resume_tests;
#[cfg(test)]
mod video_tests;
