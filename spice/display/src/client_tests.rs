//! Surfaces a viewer cannot take do not exist for it, and what is drawn with them arrives all the same. Commands that the
//! reference client draws otherwise, or ends itself at, are not sent.

use std::sync::Arc;

use caraway_canvas::Limits;
use caraway_ports::{
    display::{DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{
        Bitmap, Brush, Clip, Composite, DrawOp, Drawable, Glyph, Image, ImageData, Mask, PathSegment, Rop, ScaleMode,
        Source, SurfaceFormat, Transform,
    },
    geometry::{Point, Rect},
};

use super::*;
use crate::{Display, Item, Viewer};

const ALL: ViewerCaps = ViewerCaps {
    composite: true,
    a8_surface: true,
    monitors: true,
    all: [0; 58],
    streams: true,
    sized_streams: true,
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

/// Blends one surface over another.
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
        op: DrawOp::AlphaBlend {
            source,
            flags: 0,
            alpha: 255,
        },
    }))
}

fn steps(viewer: &Viewer) -> Vec<Item> {
    std::iter::from_fn(|| viewer.next()).collect()
}

/// The surfaces of the table of commands, by their numbers.
const SURFACES: [(u32, SurfaceFormat); 8] = [
    (1, SurfaceFormat::Xrgb),
    (2, SurfaceFormat::Argb),
    (3, SurfaceFormat::Rgb555),
    (4, SurfaceFormat::Rgb565),
    (5, SurfaceFormat::A8),
    (6, SurfaceFormat::A1),
    (7, SurfaceFormat::Rgb555),
    (8, SurfaceFormat::Rgb565),
];
const BOX: Rect = Rect {
    top: 0,
    left: 0,
    bottom: 4,
    right: 4,
};

/// Whether a command on a surface of the table is sent as one.
fn is_taken(surface: u32, op: DrawOp) -> bool {
    is_taken_in(surface, BOX, Clip::None, op)
}

fn is_taken_in(surface: u32, bbox: Rect, clip: Clip, op: DrawOp) -> bool {
    let mut canvas = Canvas::new(Limits::default());
    for (id, format) in SURFACES {
        let spec = SurfaceSpec {
            id,
            width: 8,
            height: 8,
            format,
            pixels: None,
        };
        canvas.create(&spec).unwrap();
    }
    let drawable = Drawable {
        surface,
        bbox,
        clip,
        mm_time: 0,
        op,
    };
    takes_command(&drawable, &canvas, ALL)
}

fn image(data: ImageData) -> Image {
    Image {
        id: 0,
        cache: false,
        high_bits_set: false,
        width: 8,
        height: 8,
        data,
    }
}

fn bitmap(format: BitmapFormat) -> Image {
    let stride = format.row_bytes(8) as u32;
    image(ImageData::Bitmap(Arc::new(Bitmap {
        format,
        width: 8,
        height: 8,
        stride,
        top_down: true,
        palette: None,
        data: vec![0; stride as usize * 8].into(),
    })))
}

fn on_surface(id: u32) -> Image {
    image(ImageData::Surface(id))
}

fn part(image: Image, left: i32, size: u32) -> Source {
    Source {
        image,
        area: Rect::at(left, 4, size, 4),
        scale: ScaleMode::Nearest,
    }
}

fn copy(source: Source, rop: u16) -> DrawOp {
    DrawOp::Copy {
        source,
        rop: Rop(rop),
        mask: Mask::default(),
    }
}

fn tiles(image: Image) -> Brush {
    Brush::Pattern {
        image,
        pos: Point::default(),
    }
}

fn fill(brush: Brush) -> DrawOp {
    DrawOp::Fill {
        brush,
        rop: Rop::PUT,
        mask: Mask::default(),
    }
}

#[test]
fn raw_values_are_copied_between_surfaces_that_store_them_alike() {
    let taken: Vec<(u32, u32)> = (1..=5)
        .flat_map(|to| (1..=6).map(move |from| (from, to)))
        .filter(|(from, to)| is_taken(*to, copy(part(on_surface(*from), 4, 4), Rop::OP_PUT)))
        .collect();
    assert_eq!(taken, [(1, 1), (2, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    for (from, to) in [(1, 2), (3, 4), (1, 5)] {
        assert!(!is_taken(to, fill(tiles(on_surface(from)))), "{from} on {to}");
    }
    assert!(is_taken(1, fill(tiles(on_surface(2)))));
    assert!(!is_taken(1, fill(tiles(on_surface(1)))), "tiles of what is drawn");
}

#[test]
fn what_reads_what_it_draws_is_not_sent_but_as_a_plain_copy() {
    let overlapping = |rop| {
        copy(
            Source {
                area: Rect::at(2, 2, 4, 4),
                ..part(on_surface(1), 0, 4)
            },
            rop,
        )
    };
    assert!(is_taken(1, overlapping(Rop::OP_PUT)));
    assert!(!is_taken(1, overlapping(Rop::OP_OR)));
    let scaled = |left| copy(part(on_surface(1), left, 3), Rop::OP_PUT);
    assert!(!is_taken(1, scaled(0)), "interpolation reads one row more");
    let blended = |left| DrawOp::AlphaBlend {
        source: part(on_surface(2), left, 4),
        flags: 0,
        alpha: 1,
    };
    assert!(!is_taken(2, blended(4)));
    assert!(is_taken(1, blended(4)));
}

#[test]
fn ternary_operations_have_to_be_ternary() {
    let rop3 = |rop3| DrawOp::Rop3 {
        source: part(bitmap(BitmapFormat::Rgba), 0, 4),
        brush: Brush::Solid(1),
        rop3,
        mask: Mask::default(),
    };
    let taken = (0..=255).filter(|code| is_taken(1, rop3(*code))).count();
    assert_eq!(taken, 218);
    for code in [0x00, 0x55, 0xcc, 0xf0, 0x66, 0x5a, 0xee] {
        assert!(!is_taken(1, rop3(code)), "{code:#x}");
    }
    assert!(!is_taken(5, rop3(0x96)), "there are none of 8 bits");
}

#[test]
fn unused_bits_are_never_read() {
    let key = |source| DrawOp::Transparent {
        source,
        src_color: 0,
        true_color: 0,
    };
    assert!(!is_taken(3, key(part(on_surface(7), 4, 4))));
    assert!(is_taken(4, key(part(on_surface(8), 4, 4))));
    let blend = |surface, flags| {
        let source = part(on_surface(surface), 0, 4);
        is_taken(
            4,
            DrawOp::AlphaBlend {
                source,
                flags,
                alpha: 9,
            },
        )
    };
    assert_eq!(
        [blend(1, 0), blend(1, 2), blend(2, 2), blend(3, 2)],
        [true, false, true, true]
    );
    // A scaled picture between has an unused byte of its own.
    let scaled = |format, rop| copy(part(bitmap(format), 0, 3), rop);
    assert!(is_taken(2, scaled(BitmapFormat::Bit32, Rop::OP_PUT)));
    assert!(!is_taken(2, scaled(BitmapFormat::Bit32, Rop::OP_XOR)));
    assert!(is_taken(2, scaled(BitmapFormat::Rgba, Rop::OP_XOR)));
    assert!(is_taken(1, scaled(BitmapFormat::Bit32, Rop::OP_XOR)));
}

#[test]
fn strings_need_glyphs_in_reach() {
    let text = |depth, glyphs: &[Glyph], fore_brush| DrawOp::Text {
        glyphs: glyphs.into(),
        depth,
        back_area: Rect::default(),
        fore_brush,
        back_brush: Brush::None,
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let glyph = |x| Glyph {
        render_pos: Point::new(x, 0),
        origin: Point::default(),
        width: 1,
        height: 1,
        data: vec![0xff],
    };
    let solid = || Brush::Solid(1);
    assert!(is_taken(1, text(GlyphDepth::A1, &[glyph(0)], solid())));
    assert!(!is_taken(1, text(GlyphDepth::A8, &[glyph(0)], solid())));
    assert!(!is_taken(1, text(GlyphDepth::A1, &[], solid())));
    assert!(!is_taken(
        1,
        text(GlyphDepth::A1, &[glyph(0), glyph(i32::MIN)], solid())
    ));
    assert!(!is_taken(1, text(GlyphDepth::A1, &[glyph(0)], tiles(on_surface(1)))));
    assert!(is_taken(
        1,
        text(GlyphDepth::A1, &[glyph(0)], tiles(bitmap(BitmapFormat::Rgba)))
    ));
}

#[test]
fn strokes_need_a_simple_clip_and_lines_in_reach() {
    let stroke = |to: i32, style: &[i32], brush| DrawOp::Stroke {
        path: [PathSegment {
            flags: 3,
            points: vec![Point::default(), Point::new(to * 16, 64)],
        }]
        .into(),
        style: style.into(),
        start_with_gap: false,
        brush,
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let solid = || Brush::Solid(1);
    assert!(is_taken(1, stroke(90, &[], solid())));
    assert!(
        is_taken(1, stroke(9000, &[16], solid())),
        "only runs in the box are sent"
    );
    assert!(!is_taken(1, stroke(9000, &[], solid())));
    assert!(!is_taken(1, stroke(90, &[], tiles(on_surface(1)))));
    let every_other = |count: i32| Clip::Rects((0..count).map(|i| Rect::at(i % 4 * 2, i / 4, 1, 1)).collect());
    let all = Rect::at(0, 0, 8, 8);
    assert!(is_taken_in(1, all, every_other(16), stroke(90, &[], solid())));
    assert!(!is_taken_in(1, all, every_other(17), stroke(90, &[], solid())));
}

#[test]
fn composites_are_sent_where_the_client_heeds_all_they_say() {
    let composite = |flags, src: Image, mask: Option<Image>, src_transform| {
        DrawOp::Composite(Box::new(Composite {
            flags,
            src,
            src_transform,
            mask,
            mask_transform: None,
            src_origin: Point::default(),
            mask_origin: Point::default(),
        }))
    };
    let turn = Some(Transform([0, 1 << 16, 0, -1 << 16, 0, 0]));
    let over = |src: Image| composite(3, src, None, None);
    let alpha = || bitmap(BitmapFormat::Rgba);
    assert!(is_taken(1, over(alpha())) && is_taken(2, over(alpha())));
    assert!(!is_taken(4, over(alpha())), "alpha is lost on 16 bits");
    assert!(is_taken(4, over(bitmap(BitmapFormat::Bit32))) && is_taken(4, over(on_surface(2))));
    assert!(is_taken(1, composite(3, alpha(), None, turn)));
    assert!(
        !is_taken(1, composite(3, on_surface(2), None, turn)),
        "a surface keeps its transform"
    );
    assert!(is_taken(1, composite(3 | SOURCE_OPAQUE, on_surface(2), None, turn)));
    assert!(
        !is_taken(1, composite(3, on_surface(2), Some(on_surface(2)), None)),
        "one image for both"
    );
    assert!(!is_taken(
        1,
        composite(3 | MASK_OPAQUE, alpha(), Some(on_surface(2)), None)
    ));
    assert!(!is_taken(2, composite(3 | DEST_OPAQUE, alpha(), None, None)));
    assert!(is_taken(1, composite(3 | DEST_OPAQUE, alpha(), None, None)));
    for operator in FLOATING {
        let filter = |filter: u32| operator | filter << 8;
        assert!(is_taken(2, composite(filter(4), alpha(), None, None)), "{operator:#x}");
        assert!(is_taken(2, composite(filter(3), alpha(), None, turn)), "{operator:#x}");
        assert!(
            !is_taken(2, composite(filter(4), alpha(), None, turn)),
            "{operator:#x} of several pixels"
        );
        assert!(
            !is_taken(2, composite(operator, on_surface(4), None, None)),
            "{operator:#x} of 565"
        );
        assert!(
            !is_taken(4, composite(operator, on_surface(2), None, None)),
            "{operator:#x} on 565"
        );
        let masked = is_taken(2, composite(operator, alpha(), Some(alpha()), None));
        assert_eq!(masked, operator < HUE, "{operator:#x}");
    }
    assert!(!is_taken(
        2,
        composite(SATURATE, bitmap(BitmapFormat::Bit32), None, None)
    ));
    let far = Some(Transform([1 << 16, 0, i32::MAX, 0, 1 << 16, 0]));
    assert!(!is_taken(1, composite(3, alpha(), None, far)), "nothing would be drawn");
}

/// Whether a step names a surface above 1.
fn names_others(item: &Item) -> bool {
    match item {
        Item::CreateSurface { id, .. } | Item::DestroySurface(id) => *id > 1,
        Item::Pixels { surface, .. } => *surface > 1,
        Item::Draw(drawable) | Item::Photo(drawable) => {
            let from = match &drawable.op {
                DrawOp::AlphaBlend { source, .. } => source.image.data.clone(),
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
