use caraway_ports::{
    drawing::{DrawOp, ImageData},
    geometry::{Point, Rect},
};

use super::*;
use crate::record::{
    Brush, Chunks, ClipRects, Composite, Cursor, Drawable, Image, Mask, NewSurface, Op, PixelSource, Shape, Source,
};

fn primary(width: u32, height: u32, stride: i32, flags: u32) -> What {
    let size = stride.unsigned_abs() * height;
    What::Request(Request {
        number: request::CREATE_PRIMARY_ASYNC,
        primary: Some(Primary {
            width,
            height,
            stride,
            format: 32,
            position: 0,
            mouse_mode: 1,
            flags,
            kind: 0,
            data: (0..size).map(|at| (at % 251) as u8).collect(),
        }),
    })
}

fn request(number: u32) -> What {
    What::Request(Request { number, primary: None })
}

fn off_screen(id: u32, create: Option<NewSurface>) -> What {
    What::Command(Command::Surface(Surface { id, flags: 0, create }))
}

fn new_surface(format: u32, width: u32, height: u32, stride: i32) -> Option<NewSurface> {
    Some(NewSurface {
        format,
        width,
        height,
        stride,
        data: None,
    })
}

fn fill(surface: u32, bbox: Rect) -> Drawable {
    Drawable {
        bbox,
        clip: None,
        effect: 0,
        mm_time: 0,
        self_bitmap: false,
        self_bitmap_area: Rect::default(),
        surface,
        reads: [(-1, Rect::default()); 3],
        op: Op::Fill {
            brush: Brush::Solid(1),
            rop: 8,
            mask: Mask::default(),
        },
    }
}

fn draw(drawable: Drawable) -> What {
    What::Command(Command::Draw(Box::new(drawable)))
}

/// A player with a screen of 8x4 pixels.
fn with_screen() -> Player {
    let mut player = Player::new();
    assert_eq!(player.translate(primary(8, 4, 32, 0)).len(), 1);
    player
}

/// Why the record is dropped.
#[track_caller]
fn dropped(player: &mut Player, what: What) -> String {
    let before = player.dropped();
    let commands = player.translate(what);
    assert!(commands.is_empty(), "{commands:?}");
    assert_eq!(player.dropped(), before + 1);
    player.last_dropped().unwrap().to_string()
}

#[test]
fn a_screen_stored_bottom_up_is_turned() {
    let mut player = Player::new();
    let commands = player.translate(primary(1, 3, -8, KEEP_DATA));
    let [DisplayCommand::CreateSurface(spec)] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    let pixels = spec.pixels.as_ref().unwrap();
    assert_eq!((pixels.stride, pixels.height), (4, 3));
    assert_eq!(&pixels.data[..], [16, 17, 18, 19, 8, 9, 10, 11, 0, 1, 2, 3]);
}

#[test]
fn without_keep_data_a_screen_is_black() {
    let commands = Player::new().translate(primary(8, 4, 32, 0));
    assert!(matches!(commands.as_slice(), [DisplayCommand::CreateSurface(spec)] if spec.pixels.is_none()));
}

#[test]
fn a_screen_over_a_screen_destroys_it_even_when_the_new_one_cannot_be() {
    let mut player = with_screen();
    let commands = player.translate(primary(8, 4, 32, 0));
    assert!(
        matches!(
            commands.as_slice(),
            [DisplayCommand::DestroySurface(0), DisplayCommand::CreateSurface(_)]
        ),
        "{commands:?}"
    );
    // A row of 9 pixels has more than 32 bytes.
    let commands = player.translate(primary(9, 4, 32, 0));
    assert!(
        matches!(commands.as_slice(), [DisplayCommand::DestroySurface(0)]),
        "{commands:?}"
    );
    assert_eq!(player.last_dropped().unwrap().to_string(), "surface stride = 32");
    assert!(player.translate(request(request::DESTROY_PRIMARY)).is_empty());
}

#[test]
fn requests_that_do_nothing_to_a_picture_are_passed_over() {
    let mut player = with_screen();
    for number in [1, 2, 3, 8, 9, 15, 16, 20, 23, 24, 26, 29, 31, 35, 36, 4000] {
        assert!(player.translate(request(number)).is_empty(), "{number}");
    }
    assert_eq!(player.dropped(), 0);
}

#[test]
fn destroying_all_surfaces_forgets_them() {
    let mut player = with_screen();
    assert_eq!(player.translate(off_screen(3, new_surface(96, 8, 8, 32))).len(), 1);
    for number in [request::DESTROY_SURFACES, request::DESTROY_SURFACES_ASYNC] {
        assert!(matches!(
            player.translate(request(number)).as_slice(),
            [DisplayCommand::Reset]
        ));
    }
    assert_eq!(dropped(&mut player, off_screen(3, None)), "surface command for = 3");
    assert_eq!(
        dropped(&mut player, draw(fill(0, Rect::at(0, 0, 1, 1)))),
        "drawable surface = 0"
    );
}

#[test]
fn a_cursor_reset_is_one() {
    let commands = Player::new().translate(request(request::RESET_CURSOR));
    assert!(matches!(
        commands.as_slice(),
        [DisplayCommand::Cursor(CursorCommand::Reset)]
    ));
}

#[test]
fn surfaces_that_cannot_be_are_dropped() {
    let mut player = with_screen();
    for (what, reason) in [
        (off_screen(0, new_surface(32, 8, 8, 32)), "surface id = 0"),
        (off_screen(1024, new_surface(32, 8, 8, 32)), "surface id = 1024"),
        (off_screen(1, new_surface(33, 8, 8, 32)), "surface format = 33"),
        (off_screen(1, new_surface(32, 0, 8, 32)), "surface side = 0"),
        (off_screen(1, new_surface(32, 8, 200_000, 32)), "surface side = 200000"),
        (off_screen(1, new_surface(32, 8, 8, 30)), "surface stride = 30"),
        (off_screen(1, new_surface(8, 7, 8, 7)), "surface stride = 7"),
        (
            off_screen(1, new_surface(32, 8, 8, i32::MIN)),
            "surface stride = -2147483648",
        ),
        (
            off_screen(1, new_surface(32, 100_000, 100_000, 400_000)),
            "surface bytes = 40000000000",
        ),
    ] {
        assert_eq!(dropped(&mut player, what), reason);
    }
    // All together have a limit, too.
    let large = || new_surface(32, 8192, 4096, 32768);
    assert_eq!(player.translate(off_screen(1, large())).len(), 1);
    assert_eq!(
        dropped(&mut player, off_screen(2, large())),
        "surface bytes = 134217728"
    );
    assert_eq!(dropped(&mut player, off_screen(1, large())), "surface command for = 1");
}

#[test]
fn drawables_a_device_would_drop_are_dropped() {
    let mut player = with_screen();
    let inverted = Rect {
        left: 4,
        right: 2,
        top: 0,
        bottom: 2,
    };
    for (bbox, reason) in [
        (Rect::at(0, 0, 9, 1), "drawable box = 9"),
        (Rect::at(-1, 0, 2, 1), "drawable box = 1"),
        (inverted, "drawable box = 2"),
    ] {
        assert_eq!(dropped(&mut player, draw(fill(0, bbox))), reason);
    }
    let mut clipped = fill(0, Rect::at(0, 0, 4, 4));
    clipped.clip = Some(ClipRects {
        count: 2,
        rects: Chunks {
            data: vec![0; 16].into(),
            more: 0,
        },
    });
    assert_eq!(dropped(&mut player, draw(clipped)), "clip rectangles = 2");
    let mut copy_bits = fill(0, Rect::at(0, 0, 4, 4));
    copy_bits.op = Op::CopyBits {
        position: Point::new(5, 0),
    };
    assert_eq!(dropped(&mut player, draw(copy_bits)), "source position = 9");
}

#[test]
fn what_draws_nothing_is_no_fault() {
    let mut player = with_screen();
    let nothing = ClipRects {
        count: 0,
        rects: Chunks::default(),
    };
    let empty = fill(0, Rect::at(3, 3, 0, 0));
    let clipped = Drawable {
        clip: Some(nothing),
        ..fill(0, Rect::at(0, 0, 4, 4))
    };
    let nop = Drawable {
        op: Op::Nop,
        ..fill(0, Rect::at(0, 0, 4, 4))
    };
    for drawable in [empty, clipped, nop] {
        assert!(player.translate(draw(drawable)).is_empty());
    }
    assert_eq!(player.dropped(), 0);
}

#[test]
fn an_absent_source_is_the_destination_where_the_drawable_says_so() {
    let own = |op, self_bitmap| Drawable {
        self_bitmap,
        self_bitmap_area: Rect::at(2, 1, 6, 3),
        op,
        ..fill(0, Rect::at(0, 0, 4, 2))
    };
    let transparent = |left| Op::Transparent {
        source: Source {
            image: None,
            area: Rect::at(left, 0, 4, 2),
        },
        src_color: 0,
        true_color: 0,
    };
    let composite = |x| {
        Op::Composite(Box::new(Composite {
            flags: 1,
            src: None,
            src_transform: None,
            mask: None,
            mask_transform: None,
            src_origin: Point::new(x, 0),
            mask_origin: Point::default(),
        }))
    };
    let copy = Op::Copy {
        source: Source {
            image: None,
            area: Rect::at(1, 0, 4, 2),
        },
        rop: 8,
        scale: 1,
        mask: Mask::default(),
    };
    let mut player = with_screen();
    let mut drawn = |op| {
        let commands = player.translate(draw(own(op, true)));
        match commands.as_slice() {
            [DisplayCommand::Draw(drawable)] => drawable.op.clone(),
            other => panic!("{other:?}"),
        }
    };
    let DrawOp::Transparent { source, .. } = drawn(transparent(1)) else {
        panic!()
    };
    assert_eq!(
        (source.image.data, source.area),
        (ImageData::Surface(0), Rect::at(3, 1, 4, 2))
    );
    let DrawOp::Composite(parts) = drawn(composite(1)) else {
        panic!()
    };
    assert_eq!(
        (parts.src.data, parts.src_origin),
        (ImageData::Surface(0), Point::new(3, 1))
    );

    for (op, self_bitmap, reason) in [
        (transparent(1), false, "image = 0"),
        (transparent(3), true, "source area = 7"),
        (composite(1), false, "image = 0"),
        (composite(3), true, "composite source = 7"),
        // A copy brings its source whatever the drawable says.
        (copy, true, "image = 0"),
    ] {
        assert_eq!(dropped(&mut player, draw(own(op, self_bitmap))), reason);
    }
}

#[test]
fn a_quic_image_of_more_pixels_than_a_command_may_bring_is_dropped() {
    let copy = |width: u32, height: u32| {
        let header = [u32::from_le_bytes(*b"QUIC"), 0, 4, width, height];
        let data: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        let image = Image {
            id: 0,
            flags: 0,
            width,
            height,
            pixels: PixelSource::Quic {
                size: 20,
                data: Chunks {
                    data: data.into(),
                    more: 0,
                },
            },
        };
        draw(Drawable {
            op: Op::Copy {
                source: Source {
                    image: Some(image),
                    area: Rect::at(0, 0, 1, 1),
                },
                rop: 8,
                scale: 1,
                mask: Mask::default(),
            },
            ..fill(0, Rect::at(0, 0, 1, 1))
        })
    };
    let mut player = with_screen();
    assert_eq!(player.translate(copy(8192, 8192)).len(), 1);
    for (width, height) in [(8192, 8192 + 64), (0x4000, 0x8000), (u32::MAX, u32::MAX), (0, 8)] {
        let reason = format!("QUIC width = {width}");
        assert_eq!(dropped(&mut player, copy(width, height)), reason);
    }
}

#[test]
fn the_data_there_is_counts_for_a_cursor() {
    let shape = |width, size: usize| {
        What::Command(Command::Cursor(Cursor::Set(Box::new(Shape {
            position: Point::default(),
            visible: true,
            unique: 0,
            kind: 0,
            width,
            height: 2,
            hot_spot: (9, 9),
            data_size: 0,
            data: Chunks {
                data: vec![7; size].into(),
                more: 0,
            },
        }))))
    };
    let mut player = Player::new();
    let commands = player.translate(shape(2, 20));
    let [DisplayCommand::Cursor(CursorCommand::Set { shape: seen, .. })] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!((seen.data.len(), seen.hot_spot), (16, (1, 1)));
    assert_eq!(dropped(&mut player, shape(2, 15)), "cursor data size = 15");
    assert_eq!(dropped(&mut player, shape(513, 15)), "cursor side = 513");
}
