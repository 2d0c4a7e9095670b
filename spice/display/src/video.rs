//! Video: which commands are frames, and what of them each viewer is shown.
//!
//! A guest that plays a video copies pictures to one rectangle, one after the other. Once that is noticed
//! ([`detect::Detector`]), the commands are frames of a stream: what waits is replaced by what came after it, and the
//! frames that go out may lose something. Where a viewer's screen may differ from the canvas for it is the business of
//! [`crate::lossy`], which has it exact again when it has rested.

mod detect;
mod frame;
mod shown;

pub(crate) use self::{
    detect::{Detector, Look, Surfaces},
    frame::{bitmap_source, part_of},
    shown::Shown,
};

use std::{sync::Arc, time::Duration};

use caraway_canvas::clip_parts;
use caraway_ports::{
    drawing::{Clip, Drawable},
    geometry::Rect,
};

/// Which commands may become video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VideoMode {
    /// None.
    #[default]
    Off,
    /// Copies of at least 96x96 pixels, if what they show is smooth.
    Filter,
    /// All copies to one place, whatever they show.
    All,
}

/// A stream is stopped when it had no frame for so long: the reference's figure.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// Rectangles of a clip that are told apart. A command with more is no frame; where covering a stream would leave more, it
/// shows nothing until its next frame.
pub(crate) const MAX_RECTS: usize = 32;

/// What all frames of a stream have in common.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its number on the wire: below 50.
    pub id: u32,
    /// Tells it from others that had the number before.
    pub(crate) life: u64,
    /// The surface that is drawn on.
    pub surface: u32,
    /// Pixels across of a frame.
    pub width: u32,
    /// Rows of a frame.
    pub height: u32,
}

/// A frame of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The stream.
    pub stream: Arc<Stream>,
    /// The plain copy of a bitmap: what the frame shows, where, and what of it.
    pub drawable: Arc<Drawable>,
    /// Time from frame to frame, lately.
    pub period: Duration,
    /// The place is not the one the viewer was told when the stream began.
    pub moved: bool,
}

impl Frame {
    /// Where it is shown, scaled.
    #[must_use]
    pub fn dest(&self) -> Rect {
        self.drawable.bbox
    }

    /// What of that place is shown.
    pub(crate) fn clip(&self) -> Vec<Rect> {
        clip_parts(self.dest(), &self.drawable.clip)
    }

    /// Whether nothing is to be seen of another frame once this one is shown.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match &self.drawable.clip {
            Clip::None => self.dest().contains(&other.dest()),
            clip => *clip == other.drawable.clip && self.dest() == other.dest(),
        }
    }
}
