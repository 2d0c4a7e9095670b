//! What a copy to the screen changes, and what of it only moves.
//!
//! A guest that has a framebuffer and no commands copies all pixels of whatever has changed, and often of what has not:
//! a line of text scrolled in is a picture of the whole window. Before such a command is drawn, what it brings is compared
//! with what is there. Where the pixels are the same nothing is left of it; where most of the others are those of another
//! place, it becomes the move of that place and copies of what is still different then.
//!
//! Pixels are the same when the surface shows the same: the unused byte of an xRGB surface counts for nothing, since
//! nothing that viewers are sent reads it. Whatever the search comes up with, the copies are found by comparing what would
//! be there with what is meant, pixel by pixel; a bad guess costs bytes and no more.

mod compare;
mod search;

use std::sync::Arc;

use caraway_canvas::{Canvas, clip_parts};
use caraway_ports::{
    drawing::{BitmapFormat, Clip, DrawOp, Drawable, Image, ImageData, Mask, Source, SurfaceFormat},
    geometry::Rect,
};

use self::compare::{Move, Pair};
use crate::{
    client::is_put,
    part::{Unscaled, cut, packed},
};

/// The surface that is the screen.
const SCREEN: u32 = 0;

/// Fewest pixels of a command that is looked at, of what has changed for it to be a move, and of what is moved.
const LEAST: u64 = 64 * 64;

/// Most parts of a clip.
const MOST_PARTS: usize = 16;

/// What a command becomes.
#[derive(Debug)]
pub(crate) struct Split {
    /// The commands, in order: a move at most, and copies. None if nothing changes. They draw in the command's place only.
    pub(crate) parts: Vec<Arc<Drawable>>,
    /// The same in one command that replaces every pixel of its box, if there is one: for viewers that have more waiting
    /// than it takes.
    pub(crate) whole: Option<Arc<Drawable>>,
    /// One of the parts is a move.
    pub(crate) moves: bool,
    /// Pixels of the command that are not copied any more.
    pub(crate) saved: u64,
}

/// Looks at a command that is not drawn yet. `None` if it should stay what it is: it is none of a framebuffer, or little
/// would be saved. Images that the guest names are not cut: they come again. `moves` is whether moves are looked for.
pub(crate) fn split(drawable: &Drawable, canvas: &Canvas, moves: bool) -> Option<Split> {
    let Unscaled { source, bitmap, rop } = Unscaled::of(drawable)?;
    let (bbox, image) = (drawable.bbox, &source.image);
    if drawable.surface != SCREEN || image.cache || !is_put(rop) || bbox.area() < LEAST {
        return None;
    }
    let view = canvas.view(SCREEN)?;
    let significant = match (view.format(), bitmap.format) {
        (SurfaceFormat::Xrgb, BitmapFormat::Bit32 | BitmapFormat::Rgba) => 0x00ff_ffff,
        // With its high bits set, an image is another than its pixels.
        (SurfaceFormat::Argb, BitmapFormat::Bit32) if !image.high_bits_set => u32::MAX,
        (SurfaceFormat::Argb, BitmapFormat::Rgba) => u32::MAX,
        _ => return None,
    };
    if !view.area().contains(&bbox) {
        return None;
    }
    let areas = areas(bbox, &drawable.clip);
    let total = pixels(&areas);
    if areas.len() > MOST_PARTS || total < LEAST {
        return None;
    }
    let offset = (
        source.area.left.checked_sub(bbox.left)?,
        source.area.top.checked_sub(bbox.top)?,
    );
    let pair = Pair::new(view, bitmap, offset, significant);
    let new: Vec<bool> = areas.iter().map(|area| pair.is_new(area)).collect();
    let changed = |(area, is_new): (&Rect, &bool)| match is_new {
        true => vec![*area],
        false => pair.changed(area, None),
    };
    let mut changed: Vec<Vec<Rect>> = areas.iter().zip(&new).map(changed).collect();
    let mut moved = None;
    // One of the parts may move. What it reads is as it was, for it goes first.
    let largest = changed
        .iter_mut()
        .zip(areas.iter().zip(new))
        .max_by_key(|(changed, _)| pixels(changed));
    if moves
        && let Some((changed, (area, is_new))) = largest
        && let Some((found, left)) = motion(&pair, area, changed, is_new)
    {
        *changed = left;
        moved = Some(found);
    }
    let rest: Vec<Rect> = changed.into_iter().flatten().collect();
    let left = pixels(&rest);
    if left > total / 4 * 3 {
        return None;
    }
    let moves = moved.is_some();
    let command = |bbox: Rect, op: DrawOp| {
        Arc::new(Drawable {
            bbox,
            clip: Clip::None,
            op,
            ..*drawable
        })
    };
    let mut parts = Vec::with_capacity(rest.len() + 1);
    if let Some(Move { to, from }) = moved {
        parts.push(command(to, DrawOp::CopyBits { src_pos: from }));
    }
    let copy = |source: Source| DrawOp::Copy {
        source,
        rop,
        mask: Mask::default(),
    };
    for area in rest {
        let part = packed(&cut(bitmap, &area.translate(offset.0, offset.1))?)?;
        let source = Source {
            image: Image {
                id: 0,
                cache: false,
                width: part.width,
                height: part.height,
                data: ImageData::Bitmap(Arc::new(part)),
                ..*image
            },
            area: Rect::at(0, 0, area.width(), area.height()),
            scale: source.scale,
        };
        parts.push(command(area, copy(source)));
    }
    let whole = match areas.as_slice() {
        [area] => {
            let source = Source {
                area: area.translate(offset.0, offset.1),
                ..source.clone()
            };
            Some(command(*area, copy(source)))
        }
        _ => None,
    };
    Some(Split {
        parts,
        whole,
        moves,
        saved: total.saturating_sub(left),
    })
}

/// What of an area moves, and what is still to be copied then; `None` unless that is at most half of what has changed.
fn motion(pair: &Pair<'_>, area: &Rect, changed: &[Rect], is_new: bool) -> Option<(Move, Vec<Rect>)> {
    let before = pixels(changed);
    if before < LEAST {
        return None;
    }
    let around = changed.iter().fold(Rect::default(), |all, rect| all.union(rect));
    let found = search::motion(pair, &around, is_new).filter(|found| found.to.area() >= LEAST)?;
    let left = pair.changed(area, Some(&found));
    (pixels(&left) <= before / 2).then_some((found, left))
}

/// The parts of a box that a clip leaves, none of which has a pixel of another: those of the clip, if they are so.
fn areas(bbox: Rect, clip: &Clip) -> Vec<Rect> {
    if let Clip::Rects(rects) = clip
        && rects.len() <= MOST_PARTS
    {
        let mut parts: Vec<Rect> = Vec::new();
        for part in rects
            .iter()
            .map(|rect| rect.intersect(&bbox))
            .filter(|part| !part.is_empty())
        {
            if parts.iter().any(|other| !other.intersect(&part).is_empty()) {
                return clip_parts(bbox, clip);
            }
            parts.push(part);
        }
        return parts;
    }
    clip_parts(bbox, clip)
}

fn pixels(rects: &[Rect]) -> u64 {
    rects.iter().map(Rect::area).sum()
}

#[cfg(test)]
#[path = "motion_tests.rs"]
mod tests;
