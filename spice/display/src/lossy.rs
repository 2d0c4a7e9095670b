//! What the screen of a viewer may have lost to JPEG, and what follows for the commands after.
//!
//! Only photographs that are copied to the screen may lose something: what is drawn off the screen is there to be read.
//! Where a viewer may not have the pixels of the canvas, nothing is drawn from them: a command that reads such pixels is
//! sent as a picture of its result, without loss.

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

/// What of the screen may differ from the canvas once a viewer has all that is on its way.
#[derive(Debug, Default)]
pub(crate) struct Lossy {
    /// Whether photographs may lose something from now on.
    pub(crate) allowed: bool,
    lost: Region,
}

impl Lossy {
    /// Whether there may be a difference.
    pub(crate) fn is_any(&self) -> bool {
        !self.lost.is_empty()
    }

    /// What may differ, which is forgotten: it is to be sent again.
    pub(crate) fn take(&mut self) -> Option<Rect> {
        self.lost.take(u64::MAX)
    }

    /// The screen is a new one, or none.
    pub(crate) fn forget(&mut self, surface: u32) {
        if surface == SCREEN {
            self.lost = Region::default();
        }
    }

    /// How a command is sent.
    pub(crate) fn way(&self, drawable: &Drawable) -> Way {
        if self.is_any() && self.is_read_by(drawable) {
            Way::Picture
        } else if self.allowed && may_lose(drawable) {
            Way::Photo
        } else {
            Way::Exact
        }
    }

    /// Takes up what is sent.
    pub(crate) fn sent(&mut self, item: &Item) {
        match item.touched() {
            Some((SCREEN, area)) if matches!(item, Item::Photo(_)) => self.lost.add(area),
            Some((SCREEN, area)) if item.is_opaque() => self.lost.subtract(&area),
            _ => {}
        }
    }

    fn is_read_by(&self, drawable: &Drawable) -> bool {
        let Drawable { surface, bbox, op, .. } = drawable;
        let on_screen = *surface == SCREEN;
        if let DrawOp::CopyBits { src_pos } = op {
            let from = Rect::at(src_pos.x, src_pos.y, bbox.width(), bbox.height());
            return on_screen && self.lost.overlaps(&from);
        }
        sources(op).any(|source| source == SCREEN) || on_screen && reads_target(op) && self.lost.overlaps(bbox)
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
