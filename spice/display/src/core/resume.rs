//! Viewers that come back with what they had.

use std::collections::BTreeMap;

use caraway_canvas::Canvas;
use caraway_ports::{drawing::SurfaceFormat, geometry::Rect};
use caraway_protocol::display::{KnownSurface, TILE, tile_hash};

use crate::{item::Item, scene::Scene};

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

/// Keeps a surface, all but the tiles that differ.
pub(super) fn keep(scene: &mut Scene, canvas: &Canvas, known: &KnownSurface) {
    let (surface, format) = (known.id, known.format);
    scene.control(Item::KeepSurface { id: surface, format });
    for tile in differing(canvas, known) {
        scene.add_damage(surface, tile);
    }
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
