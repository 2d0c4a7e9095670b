//! Surfaces a viewer cannot take do not exist for it, and what is drawn with them arrives all the same.

use std::sync::Arc;

use caraway_canvas::Limits;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Clip, DrawOp, Drawable, Image, ImageData, Mask, Rop, ScaleMode, Source, SurfaceFormat},
    geometry::Rect,
};

use crate::{Display, Item, Viewer, ViewerCaps};

const ALL: ViewerCaps = ViewerCaps {
    composite: true,
    a8_surface: true,
    monitors: true,
    all: [0; 58],
};
const NO_A8: ViewerCaps = ViewerCaps {
    a8_surface: false,
    ..ALL
};

fn surface(id: u32, format: SurfaceFormat) -> DisplayCommand {
    DisplayCommand::CreateSurface(SurfaceSpec {
        id,
        width: 8,
        height: 8,
        format,
        pixels: None,
    })
}

/// Copies one surface to another.
fn between(from: u32, to: u32) -> DisplayCommand {
    let area = Rect::at(0, 0, 8, 8);
    let image = Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: 8,
        height: 8,
        data: ImageData::Surface(from),
    };
    let source = Source {
        image,
        area,
        scale: ScaleMode::Nearest,
    };
    DisplayCommand::Draw(Box::new(Drawable {
        surface: to,
        bbox: area,
        clip: Clip::None,
        mm_time: 0,
        op: DrawOp::Copy {
            source,
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    }))
}

fn steps(viewer: &Viewer) -> Vec<Item> {
    std::iter::from_fn(|| viewer.next()).collect()
}

/// Whether a step names a surface above 1.
fn names_others(item: &Item) -> bool {
    match item {
        Item::CreateSurface { id, .. } | Item::DestroySurface(id) => *id > 1,
        Item::Pixels { surface, .. } => *surface > 1,
        Item::Draw(drawable) => {
            let from = match &drawable.op {
                DrawOp::Copy { source, .. } => source.image.data.clone(),
                other => panic!("{other:?}"),
            };
            drawable.surface > 1 || from != ImageData::Surface(1)
        }
        _ => false,
    }
}

#[test]
fn surfaces_a_viewer_cannot_take_are_never_named() {
    for (format, caps, told) in [
        (SurfaceFormat::A1, ALL, false),
        (SurfaceFormat::A8, ALL, true),
        (SurfaceFormat::A8, NO_A8, false),
    ] {
        let display = Display::new(Limits::default());
        display.submit(surface(1, SurfaceFormat::Xrgb));
        display.submit(surface(2, format));
        // One surface was there when the viewer came, and one comes later.
        let viewer = display.attach(caps, Arc::new(|| ()));
        let mut seen = steps(&viewer);
        display.submit(surface(3, format));
        seen.extend(steps(&viewer));
        for command in [between(1, 3), between(2, 1), between(3, 1)] {
            display.submit(command);
            let step = steps(&viewer);
            seen.extend(step);
        }
        let results = seen
            .iter()
            .filter(|item| matches!(item, Item::Pixels { surface: 1, .. }))
            .count();
        for command in [2, 3].map(DisplayCommand::DestroySurface) {
            display.submit(command);
            seen.extend(steps(&viewer));
        }
        assert_eq!(seen.iter().any(names_others), told, "{format:?} {caps:?}: {seen:?}");
        // The first picture, and without the surface what each of the two copies made of it.
        assert_eq!(results, if told { 1 } else { 3 }, "{format:?} {caps:?}: {seen:?}");
    }
}
