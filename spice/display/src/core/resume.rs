//! Viewers that come back with what they had.

use std::collections::{BTreeMap, VecDeque};

use caraway_canvas::Canvas;
use caraway_ports::{
    drawing::{Clip, Drawable, Rop, SurfaceFormat},
    geometry::{Point, Rect},
};
use caraway_protocol::display::{KnownSurface, TILE, tile_hash};

use crate::{item::Item, part::Unscaled, region::around, scene::Scene};

/// Pictures that are remembered.
const PICTURES: usize = 256;

/// Pixels of the smallest picture that is: others come as what they are part of.
const SMALLEST: u64 = 256;

/// Where whole pictures were copied to lately. A viewer that comes back may have them, so it is shown each as what it is and
/// not as a part of the screen: the encoder finds it among what the client keeps.
#[derive(Debug, Default)]
pub(super) struct Pictures(VecDeque<(u32, Rect)>);

impl Pictures {
    /// Takes up a command, if it copies one.
    pub(super) fn note(&mut self, drawable: &Drawable) {
        let Some(Unscaled { source, bitmap, rop }) = Unscaled::of(drawable) else {
            return;
        };
        let is_whole = source.area == Rect::at(0, 0, bitmap.width, bitmap.height);
        if !is_whole || rop != Rop::PUT || drawable.clip != Clip::None || drawable.bbox.area() < SMALLEST {
            return;
        }
        if self.0.len() >= PICTURES {
            self.0.pop_front();
        }
        self.0.push_back((drawable.surface, drawable.bbox));
    }

    /// Those on a surface of this size that may still be there, and of which something is among these tiles.
    fn among(&self, surface: u32, area: &Rect, tiles: &[Rect]) -> Vec<Rect> {
        let mut found: Vec<Rect> = Vec::new();
        let on = self
            .0
            .iter()
            .rev()
            .filter(|(on, rect)| *on == surface && area.contains(rect));
        for (_, rect) in on {
            let meets = |other: &Rect| !rect.intersect(other).is_empty();
            // Under a later one it is not whole any more.
            if !found.iter().any(meets) && tiles.iter().any(meets) {
                found.push(*rect);
            }
        }
        found
    }
}

/// Tells the scene of a new viewer which of the surfaces it `has` are there no more or are others now. Those that are left
/// it keeps.
pub(super) fn destroy_others<'a>(
    scene: &mut Scene,
    canvas: &Canvas,
    has: &'a [KnownSurface],
) -> BTreeMap<u32, &'a KnownSurface> {
    let mut kept: BTreeMap<u32, &KnownSurface> = has.iter().map(|known| (known.id, known)).collect();
    kept.retain(|id, known| {
        let area = Rect::at(0, 0, known.width, known.height);
        let stays = canvas.area(*id) == Some(area) && canvas.format(*id) == Some(known.format);
        if !stays {
            scene.control(Item::DestroySurface(*id));
        }
        stays
    });
    kept
}

/// Keeps a surface, all but the tiles that differ. Of them it is shown the pictures that were copied there, and the rest.
pub(super) fn keep(scene: &mut Scene, canvas: &Canvas, pictures: &Pictures, known: &KnownSurface) {
    let (surface, format) = (known.id, known.format);
    scene.control(Item::KeepSurface { id: surface, format });
    let tiles = differing(canvas, known);
    let area = Rect::at(0, 0, known.width, known.height);
    let pictures = pictures.among(surface, &area, &tiles);
    for picture in &pictures {
        if let Some(pixels) = canvas.read(surface, *picture) {
            let at = Point::new(picture.left, picture.top);
            scene.show(Item::Pixels { surface, at, pixels });
        }
    }
    for tile in tiles {
        let mut rest = vec![tile];
        for picture in &pictures {
            rest = rest.iter().flat_map(|part| without(part, picture)).collect();
        }
        for part in rest {
            scene.add_damage(surface, part);
        }
    }
}

/// A rectangle, all but what is in a hole.
fn without(rect: &Rect, hole: &Rect) -> Vec<Rect> {
    let hole = rect.intersect(hole);
    if hole.is_empty() {
        return vec![*rect];
    }
    around(rect, &hole)
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect()
}

fn differing(canvas: &Canvas, known: &KnownSurface) -> Vec<Rect> {
    let area = Rect::at(0, 0, known.width, known.height);
    let Some(pixels) = canvas.read(known.id, area) else {
        return vec![area];
    };
    let stride = pixels.stride as usize;
    let has_alpha = known.format == SurfaceFormat::Argb;
    let mut differing = Vec::new();
    let mut tiles = known.tiles.iter();
    for y in (0..known.height).step_by(TILE as usize) {
        let height = TILE.min(known.height - y);
        let rows = pixels.data.get(y as usize * stride..).unwrap_or_default();
        for x in (0..known.width).step_by(TILE as usize) {
            let width = TILE.min(known.width - x);
            let bytes = x as usize * 4..(x + width) as usize * 4;
            let rows = rows.chunks(stride).take(height as usize);
            let hash = tile_hash(rows.map(|row| row.get(bytes.clone()).unwrap_or_default()), has_alpha);
            if tiles.next() != Some(&hash) {
                differing.push(Rect::at(x.cast_signed(), y.cast_signed(), width, height));
            }
        }
    }
    differing
}
