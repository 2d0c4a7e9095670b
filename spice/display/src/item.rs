//! What goes to a viewer, in order.

use std::sync::Arc;

use caraway_canvas::clip_parts;
use caraway_ports::{
    display::{Head, Pixels},
    drawing::{Brush, Clip, DrawOp, Drawable, ImageData, Rop, SurfaceFormat},
    geometry::{Point, Rect},
};

use crate::video::{Frame, MAX_RECTS, Stream};

/// One step of the picture a viewer follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A surface of zeroes exists from now on.
    CreateSurface {
        id: u32,
        width: u32,
        height: u32,
        format: SurfaceFormat,
    },
    /// A surface the viewer has from before is the one there is.
    KeepSurface { id: u32, format: SurfaceFormat },
    /// A surface is gone.
    DestroySurface(u32),
    /// A drawing command.
    Draw(Arc<Drawable>),
    /// The plain copy of a photograph to the screen, which may lose something on its way.
    Photo(Arc<Drawable>),
    /// A stream begins: frames are drawn on its surface at `dest`, as far as `clip` shows them.
    CreateStream {
        stream: Arc<Stream>,
        dest: Rect,
        clip: Vec<Rect>,
    },
    /// Which part of a stream is shown from now on, also of frames sent before that were not shown yet.
    ClipStream { id: u32, clip: Vec<Rect> },
    /// A frame, which may lose something on its way.
    Frame(Frame),
    /// A stream is over; frames that were not shown yet will not be.
    DestroyStream(Arc<Stream>),
    /// Pixels read from the canvas.
    Pixels { surface: u32, at: Point, pixels: Pixels },
    /// The monitors on surface 0; never empty.
    Monitors { heads: Vec<Head>, max: u16 },
    /// The primary surface has meaningful content.
    Mark,
}

/// What an item takes of a viewer's budget besides its pixels.
pub(crate) const OVERHEAD: usize = 256;

impl Item {
    /// Bytes it holds while it waits.
    pub(crate) fn cost(&self) -> usize {
        let bytes = match self {
            Self::Pixels { pixels, .. } => pixels.data.len(),
            item => item.drawable().map_or(0, |drawable| drawable_bytes(drawable)),
        };
        OVERHEAD + bytes
    }

    /// The command it is.
    fn drawable(&self) -> Option<&Arc<Drawable>> {
        match self {
            Self::Draw(drawable) | Self::Photo(drawable) | Self::Frame(Frame { drawable, .. }) => Some(drawable),
            _ => None,
        }
    }

    /// Bytes of pixels it holds: how long encoding it may take.
    #[must_use]
    pub fn pixel_bytes(&self) -> usize {
        self.cost() - OVERHEAD
    }

    /// The surface and the area it draws on.
    pub(crate) fn touched(&self) -> Option<(u32, Rect)> {
        match self {
            Self::Pixels { surface, at, pixels } => Some((*surface, Rect::at(at.x, at.y, pixels.width, pixels.height))),
            item => item.drawable().map(|drawable| (drawable.surface, drawable.bbox)),
        }
    }

    /// The parts of `area` that it draws on. Of a clip with many parts that is all of it.
    pub(crate) fn parts(&self, area: Rect) -> Vec<Rect> {
        match self.drawable().map(|drawable| &drawable.clip) {
            Some(clip @ Clip::Rects(rects)) if rects.len() <= MAX_RECTS => clip_parts(area, clip),
            _ => vec![area],
        }
    }

    /// Whether every pixel of its area is replaced by something that does not depend on what was there.
    pub(crate) fn is_opaque(&self) -> bool {
        match (self, self.drawable()) {
            (Self::Pixels { .. }, _) => true,
            (_, Some(drawable)) => {
                drawable.clip == Clip::None
                    // A copy of the surface onto itself may read what it covers.
                    && !self.moves_pixels_of(drawable.surface)
                    && match &drawable.op {
                        DrawOp::Fill { rop, mask, .. } | DrawOp::Copy { rop, mask, .. } => {
                            *rop == Rop::PUT && mask.bitmap.is_none()
                        }
                        DrawOp::Blackness { mask } | DrawOp::Whiteness { mask } => mask.bitmap.is_none(),
                        _ => false,
                    }
            }
            (_, None) => false,
        }
    }

    /// Whether it carries pixels of `surface` to another place, so that what was drawn there before must stay.
    pub(crate) fn moves_pixels_of(&self, surface: u32) -> bool {
        self.drawable().is_some_and(|drawable| match &drawable.op {
            DrawOp::CopyBits { .. } => drawable.surface == surface,
            op => sources(op).any(|source| source == surface),
        })
    }
}

/// The images an operation takes colours or alpha from; masks not among them.
pub(crate) fn images(op: &DrawOp) -> Vec<&ImageData> {
    const fn pattern(brush: &Brush) -> Option<&ImageData> {
        match brush {
            Brush::Pattern { image, .. } => Some(&image.data),
            _ => None,
        }
    }
    match op {
        DrawOp::Fill { brush, .. } | DrawOp::Stroke { brush, .. } => pattern(brush).into_iter().collect(),
        DrawOp::Text {
            fore_brush, back_brush, ..
        } => pattern(fore_brush).into_iter().chain(pattern(back_brush)).collect(),
        DrawOp::Opaque { source, brush, .. } | DrawOp::Rop3 { source, brush, .. } => {
            pattern(brush).into_iter().chain([&source.image.data]).collect()
        }
        DrawOp::Copy { source, .. }
        | DrawOp::Blend { source, .. }
        | DrawOp::Transparent { source, .. }
        | DrawOp::AlphaBlend { source, .. } => vec![&source.image.data],
        DrawOp::Composite(composite) => {
            let mask = composite.mask.as_ref().map(|mask| &mask.data);
            mask.into_iter().chain([&composite.src.data]).collect()
        }
        DrawOp::CopyBits { .. } | DrawOp::Blackness { .. } | DrawOp::Whiteness { .. } | DrawOp::Invers { .. } => {
            Vec::new()
        }
    }
}

/// The surfaces an operation reads as images.
pub(crate) fn sources(op: &DrawOp) -> impl Iterator<Item = u32> {
    images(op).into_iter().chain(mask_of(op)).filter_map(|data| match data {
        ImageData::Surface(id) => Some(*id),
        _ => None,
    })
}

pub(crate) fn mask_of(op: &DrawOp) -> Option<&ImageData> {
    match op {
        DrawOp::Fill { mask, .. }
        | DrawOp::Opaque { mask, .. }
        | DrawOp::Copy { mask, .. }
        | DrawOp::Blend { mask, .. }
        | DrawOp::Blackness { mask }
        | DrawOp::Whiteness { mask }
        | DrawOp::Invers { mask }
        | DrawOp::Rop3 { mask, .. } => mask.bitmap.as_ref().map(|image| &image.data),
        _ => None,
    }
}

/// Bytes of guest data a drawable holds.
fn drawable_bytes(drawable: &Drawable) -> usize {
    let image = |data: &ImageData| match data {
        ImageData::Bitmap(bitmap) => bitmap.data.len(),
        ImageData::Quic(data) => data.len(),
        ImageData::Surface(_) => 0,
    };
    let brush = |brush: &Brush| match brush {
        Brush::Pattern { image: tile, .. } => image(&tile.data),
        _ => 0,
    };
    let clip = match &drawable.clip {
        Clip::None => 0,
        Clip::Rects(rects) => size_of_val::<[Rect]>(rects),
    };
    let mask = mask_of(&drawable.op).map_or(0, image);
    clip + mask
        + match &drawable.op {
            DrawOp::Fill { brush: b, .. } => brush(b),
            DrawOp::Opaque { source, brush: b, .. } | DrawOp::Rop3 { source, brush: b, .. } => {
                image(&source.image.data) + brush(b)
            }
            DrawOp::Copy { source, .. }
            | DrawOp::Blend { source, .. }
            | DrawOp::Transparent { source, .. }
            | DrawOp::AlphaBlend { source, .. } => image(&source.image.data),
            DrawOp::Stroke {
                path, style, brush: b, ..
            } => {
                brush(b)
                    + size_of_val::<[i32]>(style)
                    + path
                        .iter()
                        .map(|segment| 64 + size_of_val(segment.points.as_slice()))
                        .sum::<usize>()
            }
            DrawOp::Text {
                glyphs,
                fore_brush,
                back_brush,
                ..
            } => {
                brush(fore_brush) + brush(back_brush) + glyphs.iter().map(|glyph| 64 + glyph.data.len()).sum::<usize>()
            }
            DrawOp::Composite(composite) => {
                image(&composite.src.data) + composite.mask.as_ref().map_or(0, |mask| image(&mask.data))
            }
            DrawOp::CopyBits { .. } | DrawOp::Blackness { .. } | DrawOp::Whiteness { .. } | DrawOp::Invers { .. } => 0,
        }
}
