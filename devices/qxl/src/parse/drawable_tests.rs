//! Each type of drawable read field by field, and what is refused of it.

use caraway_ports::{
    drawing::{BitmapFormat, Brush, Clip, DrawOp, GlyphDepth, Image, ImageData, Mask, Rop, ScaleMode, Source},
    geometry::{Point, Rect},
};

use crate::testing::guest::{Driver, Frame, Packed, copy_of, image_of, slot};

/// Draws a drawable of this type and gives what the viewer was told; `None` when it was dropped.
pub(super) fn drawn(driver: &mut Driver, kind: u8, payload: &Packed) -> Option<DrawOp> {
    framed(
        driver,
        &Frame {
            kind,
            ..Frame::default()
        },
        payload,
    )
}

pub(super) fn framed(driver: &mut Driver, frame: &Frame, payload: &Packed) -> Option<DrawOp> {
    let before = driver.rig.core.counters.read();
    let body = driver.draw(frame, payload);
    let after = driver.rig.core.counters.read();
    assert_eq!(after.releases, before.releases + 1, "always given back");
    assert!(!driver.rig.frozen());
    driver.collect(|_| body);
    let draw = driver.rig.sink.draws().pop();
    if draw.is_some() {
        assert_eq!(after.dropped, before.dropped);
    }
    draw.map(|drawable| drawable.op)
}

pub(super) fn dropped(driver: &mut Driver, frame: &Frame, payload: &Packed) -> bool {
    let before = driver.rig.core.counters.read().dropped;
    let op = framed(driver, frame, payload);
    op.is_none() && driver.rig.core.counters.read().dropped == before + 1
}

fn picture(driver: &mut Driver) -> u64 {
    driver.bitmap(16, 16, 64, &[0x21; 1024])
}

fn plain_mask() -> Mask {
    Mask::default()
}

/// A bitmap of `format` whose flat data and palette are given.
fn bitmap(driver: &mut Driver, format: u8, size: (u32, u32), stride: u32, data: &[u8], palette: u64) -> u64 {
    let data = driver.place(&Packed::new().bytes(data));
    let image = Packed::new()
        .u64(0x0102_0304_0506_0708)
        .u8(0)
        .u8(0xff)
        .u32(1)
        .u32(2)
        .u8(format)
        .u8(5) // direct, top down
        .u32(size.0)
        .u32(size.1)
        .u32(stride)
        .u64(palette)
        .u64(data);
    driver.place(&image)
}

fn source_of(op: Option<DrawOp>) -> Option<Source> {
    match op {
        Some(
            DrawOp::Copy { source, .. }
            | DrawOp::Blend { source, .. }
            | DrawOp::Opaque { source, .. }
            | DrawOp::Rop3 { source, .. }
            | DrawOp::Transparent { source, .. }
            | DrawOp::AlphaBlend { source, .. },
        ) => Some(source),
        _ => None,
    }
}

#[test]
fn fill_reads_brush_rop_and_mask() {
    let mut driver = Driver::with_primary();
    let mask = bitmap(&mut driver, 2, (9, 3), 4, &[0xaa; 12], 0);
    let payload = Packed::new()
        .solid(0x0012_3456)
        .u16(0xf808)
        .u8(1)
        .i32(-3)
        .i32(4)
        .u64(mask);
    let Some(DrawOp::Fill { brush, rop, mask }) = drawn(&mut driver, 1, &payload) else {
        panic!("not drawn")
    };
    assert_eq!((brush, rop), (Brush::Solid(0x0012_3456), Rop(8)));
    assert_eq!((mask.inverse, mask.pos), (true, Point::new(-3, 4)));
    let image = mask.bitmap.expect("the mask is there");
    assert_eq!((image.width, image.height), (9, 3), "the bitmap's own size counts");
    let ImageData::Bitmap(bitmap) = image.data else {
        panic!()
    };
    assert_eq!(
        (bitmap.format, bitmap.stride, bitmap.data.len()),
        (BitmapFormat::Bit1Be, 2, 6)
    );
    let payload = Packed::new().u32(0).zeros(16).u16(0x80).no_mask();
    let expected = DrawOp::Fill {
        brush: Brush::None,
        rop: Rop(0x80),
        mask: plain_mask(),
    };
    assert_eq!(drawn(&mut driver, 1, &payload), Some(expected));
}

#[test]
fn pattern_brushes_bring_their_image_and_unknown_ones_are_dropped() {
    let mut driver = Driver::with_primary();
    let image = picture(&mut driver);
    let payload = Packed::new().u32(2).u64(image).i32(-1).i32(7).u16(8).no_mask();
    let Some(DrawOp::Fill {
        brush: Brush::Pattern { image, pos },
        ..
    }) = drawn(&mut driver, 1, &payload)
    else {
        panic!("not drawn")
    };
    assert_eq!((image.width, pos), (16, Point::new(-1, 7)));
    let unknown = Packed::new().u32(3).zeros(16).u16(8).no_mask();
    assert!(dropped(&mut driver, &Frame::default(), &unknown));
    let nowhere = Packed::new().u32(2).u64(0).i32(0).i32(0).u16(8).no_mask();
    assert!(dropped(&mut driver, &Frame::default(), &nowhere));
}

#[test]
fn copy_blend_opaque_and_rop3_read_their_source() {
    let mut driver = Driver::with_primary();
    let image = picture(&mut driver);
    let head = || Packed::new().u64(image).rect([1, 2, 9, 14]);
    let payloads = [
        (2, head().solid(5).u16(0x10).u8(0).no_mask()),
        (3, head().u16(0x20).u8(1).no_mask()),
        (5, head().u16(0x20).u8(0).no_mask()),
        (9, head().solid(5).u8(0xcc).u8(1).no_mask()),
    ];
    for (kind, payload) in payloads {
        let op = drawn(&mut driver, kind, &payload).expect("drawn");
        match (&op, kind) {
            (DrawOp::Opaque { brush, rop, .. }, 2) => assert_eq!((brush, rop.0), (&Brush::Solid(5), 0x10)),
            (DrawOp::Copy { rop, .. }, 3) | (DrawOp::Blend { rop, .. }, 5) => assert_eq!(rop.0, 0x20),
            (DrawOp::Rop3 { brush, rop3, .. }, 9) => assert_eq!((brush, *rop3), (&Brush::Solid(5), 0xcc)),
            other => panic!("{other:?}"),
        }
        let source = source_of(Some(op)).expect("it has a source");
        assert_eq!(source.area, Rect::at(2, 1, 12, 8));
        let nearest = [3, 9].contains(&kind);
        assert_eq!(source.scale == ScaleMode::Nearest, nearest);
    }
    let bad_scale = head().u16(8).u8(2).no_mask();
    let frame = Frame {
        kind: 3,
        ..Frame::default()
    };
    assert!(dropped(&mut driver, &frame, &bad_scale));
}

#[test]
fn source_areas_lie_inside_their_image() {
    let mut driver = Driver::with_primary();
    let image = picture(&mut driver);
    let frame = Frame {
        kind: 3,
        ..Frame::default()
    };
    for area in [
        [0, 0, 17, 16],
        [0, 0, 16, 17],
        [-1, 0, 16, 16],
        [0, -1, 16, 16],
        [5, 0, 4, 16],
        [0, 5, 16, 4],
        [3, 3, 3, 9],
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
    ] {
        let payload = Packed::new().u64(image).rect(area).u16(8).u8(1).no_mask();
        assert!(dropped(&mut driver, &frame, &payload), "{area:?}");
    }
}

#[test]
fn transparent_and_alpha_blend_read_their_own_fields() {
    let mut driver = Driver::with_primary();
    let image = picture(&mut driver);
    let payload = Packed::new().u64(image).rect([0, 0, 16, 16]).u32(0x11).u32(0x22);
    let Some(DrawOp::Transparent {
        src_color, true_color, ..
    }) = drawn(&mut driver, 12, &payload)
    else {
        panic!("not drawn")
    };
    assert_eq!((src_color, true_color), (0x11, 0x22));
    let payload = Packed::new().u16(0xfffe).u8(77).u64(image).rect([0, 0, 16, 16]);
    let Some(DrawOp::AlphaBlend { flags, alpha, .. }) = drawn(&mut driver, 13, &payload) else {
        panic!("not drawn")
    };
    assert_eq!((flags, alpha), (2, 77));
}

#[test]
fn masks_alone_make_blackness_whiteness_and_inversion() {
    let mut driver = Driver::with_primary();
    let payload = Packed::new().u8(0).i32(0).i32(0).u64(0);
    let mask = plain_mask;
    for (kind, op) in [
        (6, DrawOp::Blackness { mask: mask() }),
        (7, DrawOp::Whiteness { mask: mask() }),
        (8, DrawOp::Invers { mask: mask() }),
    ] {
        assert_eq!(drawn(&mut driver, kind, &payload), Some(op));
    }
    // A mask has one bit a pixel.
    let coloured = picture(&mut driver);
    let payload = Packed::new().u8(0).i32(0).i32(0).u64(coloured);
    let frame = Frame {
        kind: 6,
        ..Frame::default()
    };
    assert!(dropped(&mut driver, &frame, &payload));
}

#[test]
fn copy_bits_stays_on_its_surface() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 4,
        bbox: [8, 8, 24, 40],
        ..Frame::default()
    };
    let op = framed(&mut driver, &frame, &Packed::new().i32(608).i32(464));
    assert_eq!(
        op,
        Some(DrawOp::CopyBits {
            src_pos: Point::new(608, 464)
        })
    );
    for (x, y) in [
        (609, 0),
        (0, 465),
        (-1, 0),
        (0, -1),
        (i32::MAX, i32::MAX),
        (i32::MIN, 0),
    ] {
        assert!(dropped(&mut driver, &frame, &Packed::new().i32(x).i32(y)), "{x} {y}");
    }
}

fn stroke(path: u64, flags: u8, count: u8, style: u64) -> Packed {
    Packed::new()
        .u64(path)
        .u8(flags)
        .zeros(2)
        .u8(count)
        .zeros(8)
        .u64(style)
        .solid(5)
        .u16(8)
        .u16(0x10)
}

fn path(driver: &mut Driver, size: u32, data: &Packed) -> u64 {
    driver.place(&Packed::new().u32(size).chunk(data.0.len() as u32, 0).bytes(&data.0))
}

#[test]
fn strokes_read_segments_and_styles_and_hold_coordinates() {
    let mut driver = Driver::with_primary();
    let data = Packed::new()
        .u32(0xffff_ffe5)
        .u32(1)
        .i32(16)
        .i32(-16)
        .u32(0x1a)
        .u32(2)
        .i32(i32::MAX)
        .i32(i32::MIN)
        .i32(0)
        .i32(1)
        .u32(2)
        .u32(0);
    let address = path(&mut driver, data.0.len() as u32, &data);
    let lengths = driver.place(&Packed::new().i32(16).i32(0).i32(48));
    let Some(DrawOp::Stroke {
        path,
        style,
        start_with_gap,
        fore_mode,
        back_mode,
        ..
    }) = drawn(&mut driver, 10, &stroke(address, 0x0c, 3, lengths))
    else {
        panic!("not drawn")
    };
    let flags: Vec<u8> = path.iter().map(|segment| segment.flags).collect();
    assert_eq!(flags, [0x01, 0x1a, 0x02]);
    assert_eq!(path[0].points, [Point::new(16, -16)]);
    assert_eq!(path[1].points, [Point::new(1 << 26, -(1 << 26)), Point::new(0, 1)]);
    assert!(path[2].points.is_empty());
    assert_eq!(style[..], [16, 0, 48]);
    assert!(start_with_gap);
    assert_eq!((fore_mode.0, back_mode.0), (8, 0x10));
    let Some(DrawOp::Stroke { style, .. }) = drawn(&mut driver, 10, &stroke(address, 0, 3, u64::MAX)) else {
        panic!("a style that is not used is not read")
    };
    assert!(style.is_empty());
}

#[test]
fn broken_paths_and_styles_are_dropped() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 10,
        ..Frame::default()
    };
    let point = || Packed::new().u32(3).u32(1).i32(0).i32(0);
    let good = path(&mut driver, 16, &point());
    let cases = [
        path(&mut driver, 16, &Packed::new().u32(3).u32(2).i32(0).i32(0)),
        path(&mut driver, 16, &Packed::new().u32(3).u32(u32::MAX).i32(0).i32(0)),
        path(&mut driver, 16, &Packed::new().u32(3).u32(0x2000_0000).i32(0).i32(0)),
        path(&mut driver, 17, &point().u8(0)),
        path(&mut driver, 20, &point()),
        path(&mut driver, u32::MAX, &point()),
        0,
    ];
    for address in cases {
        assert!(dropped(&mut driver, &frame, &stroke(address, 0, 0, 0)));
    }
    for lengths in [[0, 0], [-1, 5], [i32::MAX, 5]] {
        let style = driver.place(&lengths.iter().fold(Packed::new(), |packed, length| packed.i32(*length)));
        assert!(dropped(&mut driver, &frame, &stroke(good, 8, 2, style)), "{lengths:?}");
    }
    assert!(
        dropped(&mut driver, &frame, &stroke(good, 8, 0, 0)),
        "no lengths at all"
    );
    assert!(dropped(&mut driver, &frame, &stroke(good, 8, 2, 0)));
}

fn text(string: u64) -> Packed {
    Packed::new()
        .u64(string)
        .rect([1, 2, 3, 4])
        .solid(5)
        .u32(0)
        .zeros(16)
        .u16(8)
        .u16(0)
}

fn string(driver: &mut Driver, size: u32, count: u16, flags: u16, data: &Packed) -> u64 {
    let packed = Packed::new()
        .u32(size)
        .u16(count)
        .u16(flags)
        .chunk(data.0.len() as u32, 0)
        .bytes(&data.0);
    driver.place(&packed)
}

fn glyph(width: u16, height: u16, bits: &[u8]) -> Packed {
    Packed::new()
        .i32(10)
        .i32(20)
        .i32(-1)
        .i32(-2)
        .u16(width)
        .u16(height)
        .bytes(bits)
}

#[test]
fn strings_are_walked_glyph_by_glyph_and_turned_top_down() {
    let mut driver = Driver::with_primary();
    for (flags, depth, width, expected) in [
        (1, GlyphDepth::A1, 9, [5, 6, 3, 4, 1, 2]),
        (2, GlyphDepth::A4, 3, [5, 6, 3, 4, 1, 2]),
        (4, GlyphDepth::A8, 2, [5, 6, 3, 4, 1, 2]),
        (12, GlyphDepth::A8, 2, [1, 2, 3, 4, 5, 6]),
    ] {
        let data = Packed::new()
            .bytes(&glyph(width, 3, &[1, 2, 3, 4, 5, 6]).0)
            .bytes(&glyph(0, 5, &[]).0);
        let address = string(&mut driver, data.0.len() as u32, 2, flags, &data);
        let Some(DrawOp::Text {
            glyphs,
            depth: read,
            back_area,
            back_brush,
            ..
        }) = drawn(&mut driver, 11, &text(address))
        else {
            panic!("not drawn")
        };
        assert_eq!((read, glyphs.len()), (depth, 2));
        assert_eq!(glyphs[0].data, expected);
        assert_eq!(
            (glyphs[0].render_pos, glyphs[0].origin),
            (Point::new(10, 20), Point::new(-1, -2))
        );
        assert_eq!(glyphs[1].data, []);
        assert_eq!((back_area, back_brush), (Rect::at(2, 1, 2, 2), Brush::None));
    }
}

#[test]
fn broken_strings_are_dropped() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 11,
        ..Frame::default()
    };
    let one = glyph(8, 1, &[1]);
    let cases = [
        string(&mut driver, 21, 1, 0, &one),
        string(&mut driver, 21, 1, 3, &one),
        string(&mut driver, 21, 1, 7, &one),
        string(&mut driver, 21, 2, 1, &one),
        string(&mut driver, 21, 0, 1, &one),
        string(&mut driver, 20, 1, 1, &one),
        string(&mut driver, 22, 1, 1, &one),
        string(&mut driver, u32::MAX, 1, 1, &one),
        string(&mut driver, 20, 1, 4, &glyph(0xffff, 0xffff, &[])),
        string(&mut driver, 0, 0xffff, 1, &Packed::new()),
        0,
    ];
    for address in cases {
        assert!(dropped(&mut driver, &frame, &text(address)));
    }
}

fn composite(flags: u32, src: u64, transform: u64, mask: u64, mask_transform: u64) -> Packed {
    Packed::new()
        .u32(flags)
        .u64(src)
        .u64(transform)
        .u64(mask)
        .u64(mask_transform)
        .u16(0xffff)
        .u16(2)
        .u16(3)
        .u16(0x8000)
}

#[test]
fn composite_reads_images_transforms_and_origins() {
    let mut driver = Driver::with_primary();
    let image = picture(&mut driver);
    let matrix = [0x1_0000, 0, 5, 0, 0x2_0000, -6];
    let transform = driver.place(&matrix.iter().fold(Packed::new(), |packed, value| packed.i32(*value)));
    // Filter 7 and the reserved bits mean nothing.
    let flags = 0xffff_ff00 | 0x0d;
    let op = drawn(&mut driver, 14, &composite(flags, image, transform, image, 0));
    let Some(DrawOp::Composite(composite)) = op else {
        panic!("not drawn")
    };
    assert_eq!(composite.flags, 0x7_c00d);
    assert_eq!(composite.src_transform.map(|transform| transform.0), Some(matrix));
    assert!(composite.mask.is_some() && composite.mask_transform.is_none());
    assert_eq!(composite.src_origin, Point::new(-1, 2));
    assert_eq!(composite.mask_origin, Point::new(3, -0x8000));
}

#[test]
fn broken_composites_are_dropped() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 14,
        ..Frame::default()
    };
    let image = picture(&mut driver);
    for operator in [0x0e, 0x2f, 0x3f, 0xff] {
        assert!(dropped(&mut driver, &frame, &composite(operator, image, 0, 0, 0)));
    }
    assert!(dropped(&mut driver, &frame, &composite(3, 0, 0, 0, 0)));
    assert!(dropped(&mut driver, &frame, &composite(3, image, slot(7, 0), 0, 0)));
    assert!(dropped(&mut driver, &frame, &composite(3, image, 0, slot(7, 0), 0)));
    for matrix in [
        [0; 6],
        [1, 2, 0, 2, 4, 0],
        [i32::MIN, i32::MIN, 0, i32::MIN, i32::MIN, 0],
    ] {
        let transform = driver.place(&matrix.iter().fold(Packed::new(), |packed, value| packed.i32(*value)));
        assert!(dropped(&mut driver, &frame, &composite(3, image, transform, 0, 0)));
    }
}

#[test]
fn the_own_content_is_the_source_where_the_drawable_says_so() {
    let mut driver = Driver::with_primary();
    let frame = Frame {
        kind: 12,
        self_bitmap: 1,
        self_area: [100, 50, 132, 82],
        ..Frame::default()
    };
    let payload = |area| Packed::new().u64(0).rect(area).u32(0).u32(0);
    let source = source_of(framed(&mut driver, &frame, &payload([8, 4, 24, 20]))).expect("drawn");
    assert_eq!(source.area, Rect::at(54, 108, 16, 16));
    assert_eq!(source.image.data, ImageData::Surface(0));
    assert_eq!((source.image.width, source.image.height), (640, 480));
    assert!(dropped(&mut driver, &frame, &payload([0, 0, 33, 16])), "past the area");
    let outside = Frame {
        self_area: [0, 0, 16, 641],
        ..frame
    };
    assert!(dropped(&mut driver, &outside, &payload([0, 0, 16, 16])));
    let without = Frame {
        self_bitmap: 0,
        ..frame
    };
    assert!(dropped(&mut driver, &without, &payload([0, 0, 16, 16])));
    // A copy brings its own source all the same.
    let image = picture(&mut driver);
    let copy = Frame {
        kind: 3,
        self_bitmap: 1,
        ..frame
    };
    let source = source_of(framed(&mut driver, &copy, &copy_of(image, 16, 16))).expect("drawn");
    assert!(matches!(source.image.data, ImageData::Bitmap(_)));
    assert!(dropped(&mut driver, &copy, &copy_of(0, 16, 16)));
}

#[test]
fn boxes_lie_inside_their_surface_and_empty_ones_draw_nothing() {
    let mut driver = Driver::with_primary();
    let payload = Packed::new().solid(1).u16(8).no_mask();
    for bbox in [
        [0, 0, 481, 640],
        [0, 0, 480, 641],
        [-1, 0, 1, 1],
        [0, -1, 1, 1],
        [2, 0, 1, 1],
        [0, 2, 1, 1],
        [i32::MIN, i32::MIN, i32::MAX, i32::MAX],
    ] {
        let frame = Frame {
            bbox,
            ..Frame::default()
        };
        assert!(dropped(&mut driver, &frame, &payload), "{bbox:?}");
    }
    for surface in [1, 1024, u32::MAX] {
        let frame = Frame {
            surface,
            ..Frame::default()
        };
        assert!(dropped(&mut driver, &frame, &payload));
    }
    let before = driver.rig.core.counters.read().dropped;
    for (kind, bbox) in [(1, [5, 5, 5, 9]), (1, [5, 5, 9, 5]), (0, [0, 0, 9, 9])] {
        let frame = Frame {
            kind,
            bbox,
            ..Frame::default()
        };
        assert_eq!(framed(&mut driver, &frame, &payload), None);
    }
    assert_eq!(driver.rig.core.counters.read().dropped, before);
    for kind in [15, 255] {
        let frame = Frame {
            kind,
            ..Frame::default()
        };
        assert!(dropped(&mut driver, &frame, &payload));
    }
}

#[test]
fn clip_rectangles_are_cut_to_the_box() {
    let mut driver = Driver::with_primary();
    let clip = driver.clip(&[[0, 0, 5, 5], [10, 10, 99, 99], [20, 20, 30, 30], [7, 7, 3, 3]]);
    let frame = Frame {
        clip,
        ..Frame::default()
    };
    let payload = Packed::new().solid(1).u16(8).no_mask();
    driver.draw(&frame, &payload);
    let draws = driver.rig.sink.draws();
    let Clip::Rects(rects) = &draws[0].clip else { panic!() };
    assert_eq!(rects[..], [Rect::at(0, 0, 5, 5), Rect::at(10, 10, 6, 6)]);
    let nothing = driver.clip(&[]);
    let frame = Frame { clip: nothing, ..frame };
    assert_eq!(framed(&mut driver, &frame, &payload), None);
    assert_eq!(driver.rig.core.counters.read().dropped, 0);
    let bad = [
        driver.place(&Packed::new().u32(2).chunk(16, 0).zeros(16)),
        driver.place(&Packed::new().u32(1).chunk(32, 0).zeros(32)),
        driver.place(&Packed::new().u32(u32::MAX).chunk(u32::MAX, 0)),
        slot(6, 0),
    ];
    for clip in bad {
        assert!(dropped(&mut driver, &Frame { clip, ..frame }, &payload));
    }
    let mut body = Frame::default().with(&payload);
    body.0[0x2f] = 2;
    let body = driver.place(&body);
    driver.command(1, body);
    assert!(driver.rig.sink.draws().is_empty(), "an unknown kind of clip");
}

fn copied(driver: &mut Driver, image: u64, width: i32, height: i32) -> Option<Image> {
    let frame = Frame {
        kind: 3,
        bbox: [0, 0, 4, 4],
        ..Frame::default()
    };
    source_of(framed(driver, &frame, &copy_of(image, width, height))).map(|source| source.image)
}

#[test]
fn bitmaps_of_every_format_lose_their_padding() {
    let mut driver = Driver::with_primary();
    let entries = (0..300_u32).fold(Packed::new().u64(77).u16(300), Packed::u32);
    let palette = driver.place(&entries);
    for (format, row) in [
        (1, 1),
        (2, 1),
        (3, 3),
        (4, 3),
        (5, 5),
        (6, 10),
        (7, 15),
        (8, 20),
        (9, 20),
        (10, 5),
    ] {
        let stride = row + 3;
        let data: Vec<u8> = (0..4 * stride)
            .map(|at| if at % stride < row { 1 } else { 0xee })
            .collect();
        let image = bitmap(&mut driver, format, (5, 4), stride, &data, palette);
        let image = copied(&mut driver, image, 5, 4).expect("drawn");
        assert_eq!(image.id, 0x0102_0304_0506_0708);
        assert!(image.cache && image.high_bits_set);
        let ImageData::Bitmap(bitmap) = &image.data else {
            panic!()
        };
        assert_eq!((bitmap.format as u8, bitmap.stride), (format, row));
        assert_eq!(bitmap.data, vec![1; 4 * row as usize], "format {format}");
        assert_eq!(bitmap.palette.is_some(), format <= 5);
        if let Some(palette) = &bitmap.palette {
            assert_eq!((palette.unique, palette.entries.len()), (77, 256));
            assert_eq!(palette.entries[255], 255);
        }
    }
}

#[test]
fn bitmaps_that_cannot_be_are_dropped() {
    let mut driver = Driver::with_primary();
    let data = [0; 64];
    let palette = driver.place(&Packed::new().u64(0).u16(2).u32(0).u32(1));
    let cases = [
        bitmap(&mut driver, 0, (4, 4), 16, &data, palette),
        bitmap(&mut driver, 11, (4, 4), 16, &data, palette),
        bitmap(&mut driver, 8, (0, 4), 16, &data, 0),
        bitmap(&mut driver, 8, (4, 0), 16, &data, 0),
        bitmap(&mut driver, 8, (4, 4), 15, &data, 0),
        bitmap(&mut driver, 8, (u32::MAX, 4), 16, &data, 0),
        bitmap(&mut driver, 8, (4, u32::MAX), 16, &data, 0),
        bitmap(&mut driver, 8, (4, 0x800_0000), 16, &data, 0),
        bitmap(&mut driver, 8, (4, 4), u32::MAX, &data, 0),
        bitmap(&mut driver, 5, (4, 4), 4, &data, 0),
        bitmap(&mut driver, 5, (4, 4), 4, &data, slot(1, (16 << 20) - 8192 - 9)),
    ];
    for image in cases {
        assert!(copied(&mut driver, image, 1, 1).is_none());
    }
    assert_eq!(driver.rig.core.counters.read().dropped, 11);
}

#[test]
fn images_of_surfaces_and_quic_streams_are_checked() {
    let mut driver = Driver::with_primary();
    let surface = |id| Packed::new().u64(0).u8(104).u8(0).u32(1).u32(1).u32(id);
    let own = driver.place(&surface(0));
    let image = copied(&mut driver, own, 640, 480).expect("drawn");
    assert_eq!((image.width, image.data), (640, ImageData::Surface(0)));
    for id in [1, u32::MAX] {
        let missing = driver.place(&surface(id));
        assert!(copied(&mut driver, missing, 1, 1).is_none());
    }
    let stream = |kind: u32, width: u32, height: u32| {
        Packed::new()
            .bytes(b"QUIC")
            .u32(0)
            .u32(kind)
            .u32(width)
            .u32(height)
            .zeros(8)
    };
    let quic = |size: u32, stream: &Packed| {
        Packed::new()
            .u64(0)
            .u8(1)
            .u8(0)
            .u32(30)
            .u32(20)
            .u32(size)
            .chunk(stream.0.len() as u32, 0)
            .bytes(&stream.0)
    };
    let good = driver.place(&quic(28, &stream(5, 30, 20)));
    let image = copied(&mut driver, good, 30, 20).expect("drawn");
    assert_eq!(image.data, ImageData::Quic(stream(5, 30, 20).0.into()));
    for (size, stream) in [
        (28, stream(0, 30, 20)),
        (28, stream(6, 30, 20)),
        (28, stream(4, 31, 20)),
        (28, stream(4, 30, 21)),
        (27, stream(4, 30, 20)),
        (u32::MAX, stream(4, 30, 20)),
        (0, Packed::new()),
        (28, Packed::new().bytes(b"QUIT").u32(0).u32(4).u32(30).u32(20).zeros(8)),
    ] {
        let image = driver.place(&quic(size, &stream));
        assert!(copied(&mut driver, image, 1, 1).is_none());
    }
    // A few bytes that stand for more pixels than a command may bring.
    for (width, height) in [(8192, 8192 + 64), (0x4000, 0x8000), (u32::MAX, u32::MAX)] {
        let mut image = quic(28, &stream(4, width, height));
        image.0[0x0a..0x12].copy_from_slice(&Packed::new().u32(width).u32(height).0);
        let image = driver.place(&image);
        assert!(copied(&mut driver, image, 1, 1).is_none(), "{width}x{height}");
    }
    for kind in [2, 100, 101, 102, 103, 105, 106, 107, 108, 109, 255] {
        let mut image = image_of(1, 1, 4, slot(1, 0));
        image.0[8] = kind;
        let image = driver.place(&image);
        assert!(copied(&mut driver, image, 1, 1).is_none(), "image type {kind}");
    }
}

#[test]
fn a_mask_may_not_be_a_surface() {
    let mut driver = Driver::with_primary();
    let surface = driver.place(&Packed::new().u64(0).u8(104).u8(0).u32(1).u32(1).u32(0));
    let payload = Packed::new().u8(0).i32(0).i32(0).u64(surface);
    let frame = Frame {
        kind: 6,
        ..Frame::default()
    };
    assert!(dropped(&mut driver, &frame, &payload));
}
