//! What need not be sent of the commands that wait: what is hidden by later ones, and what is repeated.

use std::{collections::VecDeque, sync::Arc};

use caraway_ports::{
    display::Pixels,
    drawing::{Brush, Clip, DrawOp, Drawable, ImageData, Rop},
    geometry::{Point, Rect},
};

use crate::{item::Item, part::packed, region::around, video::part_of};

/// How far back commands are looked at. Bounds the cost of a command.
const DEPTH: usize = 64;

/// A picture is cut only if so many pixels less are sent, and so much of it: each part is a picture of its own.
const WORTH: u64 = 64 * 64;
const WORTH_OF: u64 = 4;

/// What was taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// What the queue costs less.
    pub(crate) bytes: usize,
    /// Commands that are gone.
    pub(crate) commands: u64,
}

/// Takes out what an opaque command on `area` hides: whole commands, and the hidden parts of pictures. Stops at one that
/// carries hidden pixels elsewhere.
pub(crate) fn hide(queue: &mut VecDeque<Item>, surface: u32, area: &Rect) -> Hidden {
    let mut hidden = Hidden::default();
    let mut index = queue.len();
    let stop = index.saturating_sub(DEPTH);
    while index > stop {
        index -= 1;
        let Some(queued) = queue.get(index) else { break };
        if queued.moves_pixels_of(surface) {
            break;
        }
        let Some((on, drawn)) = queued.touched() else { continue };
        if on != surface {
            continue;
        }
        let parts = if area.contains(&drawn) {
            Vec::new()
        } else if let Some(parts) = visible(queued, &drawn, area) {
            parts
        } else {
            continue;
        };
        let cost: usize = parts.iter().map(Item::cost).sum();
        hidden.bytes = (hidden.bytes + queued.cost()).saturating_sub(cost);
        hidden.commands += u64::from(parts.is_empty());
        queue.remove(index);
        for (place, part) in parts.into_iter().enumerate() {
            queue.insert(index + place, part);
        }
    }
    hidden
}

/// What is left to see of a picture when `area` is drawn over it; `None` where it stays as it is.
fn visible(item: &Item, drawn: &Rect, area: &Rect) -> Option<Vec<Item>> {
    let hidden = drawn.intersect(area).area();
    if hidden < WORTH || hidden * WORTH_OF < drawn.area() {
        return None;
    }
    let parts = around(drawn, area).into_iter().filter(|part| !part.is_empty());
    match item {
        Item::Draw(drawable) => {
            if drawable.clip != Clip::None {
                return None;
            }
            let DrawOp::Copy {
                source,
                rop: Rop::PUT,
                mask,
            } = &drawable.op
            else {
                return None;
            };
            // A name of the guest's means that the picture may come again, whole.
            if mask.bitmap.is_some() || source.image.cache || !matches!(source.image.data, ImageData::Bitmap(_)) {
                return None;
            }
            parts
                .map(|part| {
                    let mut part = part_of(drawable, source, &part)?.0;
                    if let DrawOp::Copy { source, .. } = &mut part.op
                        && let ImageData::Bitmap(bitmap) = &mut source.image.data
                    {
                        // What is hidden does not take memory. A picture becomes smaller by a part of its size each time, so
                        // that no more is copied than a few times what it had.
                        *bitmap = Arc::new(packed(bitmap)?);
                    }
                    Some(Item::Draw(Arc::new(part)))
                })
                .collect()
        }
        Item::Pixels { surface, at, pixels } => parts
            .map(|part| {
                Some(Item::Pixels {
                    surface: *surface,
                    at: Point::new(part.left, part.top),
                    pixels: crop(pixels, part.left.checked_sub(at.x)?, part.top.checked_sub(at.y)?, &part)?,
                })
            })
            .collect(),
        _ => None,
    }
}

/// A part of some pixels, in memory of its own.
fn crop(pixels: &Pixels, x: i32, y: i32, part: &Rect) -> Option<Pixels> {
    let bytes = match pixels.format.row_bytes(8) {
        bytes if bytes.is_multiple_of(8) => bytes / 8,
        // Pixels of less than a byte begin anywhere in one.
        _ => return None,
    };
    let (x, y) = (u64::try_from(x).ok()?, u64::try_from(y).ok()?);
    let stride = u64::from(pixels.stride);
    let row_bytes = pixels.format.row_bytes(part.width());
    let mut data = Vec::with_capacity(usize::try_from(row_bytes).ok()? * part.height() as usize);
    for row in y..y + u64::from(part.height()) {
        let start = usize::try_from(row.checked_mul(stride)?.checked_add(x.checked_mul(bytes)?)?).ok()?;
        data.extend_from_slice(pixels.data.get(start..)?.get(..usize::try_from(row_bytes).ok()?)?);
    }
    Some(Pixels {
        format: pixels.format,
        width: part.width(),
        height: part.height(),
        stride: u32::try_from(row_bytes).ok()?,
        data: data.into(),
    })
}

/// What a command that is there already means for the same one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is drawn again.
    Draw,
    /// Nothing changes.
    Nothing,
    /// The two cancel out; the first is at this place of the queue.
    Undo(usize),
}

/// Whether a command repeats one that waits, without anything between them that touches or reads what they draw on.
pub(crate) fn again(queue: &VecDeque<Item>, drawable: &Drawable) -> Again {
    let Some(repeat) = repeats(drawable) else {
        return Again::Draw;
    };
    for (index, item) in queue.iter().enumerate().rev().take(DEPTH) {
        if let Item::Draw(queued) = item
            && **queued == *drawable
        {
            return match repeat {
                Repeat::Same => Again::Nothing,
                Repeat::Undone => Again::Undo(index),
            };
        }
        let touches =
            |(surface, area): (u32, Rect)| surface == drawable.surface && !area.intersect(&drawable.bbox).is_empty();
        // What makes and ends surfaces is not looked behind.
        if item.touched().is_none_or(touches) || item.moves_pixels_of(drawable.surface) {
            return Again::Draw;
        }
    }
    Again::Draw
}

/// What happens when a command is drawn twice.
enum Repeat {
    /// The same as once.
    Same,
    /// All is as it was before.
    Undone,
}

fn repeats(drawable: &Drawable) -> Option<Repeat> {
    let solid = |brush: &Brush| matches!(brush, Brush::Solid(_) | Brush::None);
    match &drawable.op {
        DrawOp::Invers { mask } if mask.bitmap.is_none() => Some(Repeat::Undone),
        DrawOp::Fill { brush, rop, mask } if solid(brush) && mask.bitmap.is_none() => match rop.0 {
            Rop::OP_XOR => Some(Repeat::Undone),
            Rop::OP_PUT | Rop::OP_AND | Rop::OP_OR => Some(Repeat::Same),
            _ => None,
        },
        DrawOp::Stroke {
            brush,
            fore_mode,
            style,
            ..
        } => (solid(brush) && *fore_mode == Rop::PUT && style.is_empty()).then_some(Repeat::Same),
        _ => None,
    }
}
