//! What the surfaces of a viewer may have lost to JPEG and video, and what follows for the commands after.
//!
//! Where a viewer may not have the pixels of the canvas, nothing is drawn from them: a command that reads such pixels is
//! sent as a picture of its result, without loss. What has rested is sent again, without loss. Only photographs that
//! are copied to the screen may be lossy images: what is drawn off the screen is there to be read.

use std::{collections::BTreeMap, time::Duration};

use caraway_image::choice::is_photo;
use caraway_ports::{
    drawing::{DrawOp, Drawable, ImageData},
    geometry::Rect,
};

use crate::{
    client::is_put,
    item::{Item, sources},
    region::Region,
};

/// The surface that is the screen.
const SCREEN: u32 = 0;

/// What has not been drawn on for so long, or up to twice as long, is sent again without loss: shorter than a person
/// looks for faults, and longer than between two frames of what moves.
pub(crate) const REST: Duration = Duration::from_millis(400);

/// How a command goes to a viewer that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it is, without loss.
    Exact,
    /// As it is, and its image may lose something.
    Photo,
    /// As a picture of the result.
    Picture,
}

/// What of a surface may differ from the canvas.
#[derive(Debug, Default)]
struct Lost {
    /// Since the last turn.
    lately: Region,
    /// Before it, and not since.
    before: Region,
}

impl Lost {
    fn is_empty(&self) -> bool {
        self.lately.is_empty() && self.before.is_empty()
    }

    fn overlaps(&self, area: &Rect) -> bool {
        self.lately.overlaps(area) || self.before.overlaps(area)
    }
}

/// What may differ from the canvas once a viewer has all that is on its way.
#[derive(Debug, Default)]
pub(crate) struct Lossy {
    /// Whether photographs may lose something from now on.
    pub(crate) allowed: bool,
    lost: BTreeMap<u32, Lost>,
    /// When what was lost lately became what was lost before.
    turned: Duration,
}

impl Lossy {
    /// Whether there may be a difference.
    pub(crate) fn is_any(&self) -> bool {
        !self.lost.is_empty()
    }

    /// When [`Lossy::rested`] has something to do again.
    pub(crate) fn next_turn(&self) -> Option<Duration> {
        self.is_any().then(|| self.turned + REST)
    }

    /// What may differ and has not been drawn on for [`REST`]. It is forgotten: it is to be sent again.
    pub(crate) fn rested(&mut self, now: Duration) -> Vec<(u32, Rect)> {
        if self.next_turn().is_none_or(|turn| now < turn) {
            return Vec::new();
        }
        self.turned = now;
        let mut areas = Vec::new();
        for (surface, lost) in &mut self.lost {
            while let Some(area) = lost.before.take(u64::MAX) {
                areas.push((*surface, area));
            }
            lost.before = std::mem::take(&mut lost.lately);
        }
        self.lost.retain(|_, lost| !lost.is_empty());
        areas
    }

    /// The surface is a new one, or none.
    pub(crate) fn forget(&mut self, surface: u32) {
        self.lost.remove(&surface);
    }

    /// How a command is sent.
    pub(crate) fn way(&self, drawable: &Drawable) -> Way {
        if self.is_read_by(drawable) {
            Way::Picture
        } else if self.allowed && may_lose(drawable) {
            Way::Photo
        } else {
            Way::Exact
        }
    }

    /// Takes up what is sent.
    pub(crate) fn sent(&mut self, item: &Item) {
        let Some((surface, area)) = item.touched() else { return };
        if matches!(item, Item::Photo(_) | Item::Frame(_)) {
            let lost = self.lost.entry(surface).or_default();
            lost.lately.add(area);
            lost.before.subtract(&area);
        } else if item.is_opaque()
            && let Some(lost) = self.lost.get_mut(&surface)
        {
            lost.lately.subtract(&area);
            lost.before.subtract(&area);
            if lost.is_empty() {
                self.lost.remove(&surface);
            }
        }
    }

    /// Whether a command reads what may have been lost: it goes as a picture then.
    pub(crate) fn is_read_by(&self, drawable: &Drawable) -> bool {
        let Drawable { surface, bbox, op, .. } = drawable;
        let own = self.lost.get(surface);
        let overlaps = |area: &Rect| own.is_some_and(|lost| lost.overlaps(area));
        if let DrawOp::CopyBits { src_pos } = op {
            return overlaps(&Rect::at(src_pos.x, src_pos.y, bbox.width(), bbox.height()));
        }
        sources(op).any(|source| self.lost.contains_key(&source)) || reads_target(op) && overlaps(bbox)
    }
}

/// Whether pixels of the result depend on those that were there before; leaving some as they are is no reading.
fn reads_target(op: &DrawOp) -> bool {
    match op {
        DrawOp::Blackness { .. } | DrawOp::Whiteness { .. } | DrawOp::Transparent { .. } | DrawOp::CopyBits { .. } => {
            false
        }
        DrawOp::Fill { rop, .. } | DrawOp::Copy { rop, .. } => !is_put(*rop),
        _ => true,
    }
}

/// Whether a command is the plain copy of a photograph to the screen.
fn may_lose(drawable: &Drawable) -> bool {
    let DrawOp::Copy { source, rop, mask } = &drawable.op else {
        return false;
    };
    let ImageData::Bitmap(bitmap) = &source.image.data else {
        return false;
    };
    drawable.surface == SCREEN && is_put(*rop) && mask.bitmap.is_none() && is_photo(bitmap)
}
