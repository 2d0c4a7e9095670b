//! What each mode makes of images, and what it must not.

use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, Brush, Clip, Composite, Image, Mask, Source},
};
use caraway_protocol::display::ImageData as Sent;

use super::*;

/// Rows of few colours; the unused byte, or alpha, as given.
fn text(format: BitmapFormat, unused: &[u8]) -> Bitmap {
    let pixels = (0..64 * 64_usize).flat_map(|at| {
        let shade = (at * at % 7) as u8 * 30;
        let unused = unused.get(at % unused.len().max(1)).copied().unwrap_or(0);
        match format {
            BitmapFormat::Bit24 => vec![shade, 7, shade],
            BitmapFormat::Bit8A => vec![shade],
            _ => vec![shade, 7, shade, unused],
        }
    });
    let data: Vec<u8> = pixels.collect();
    Bitmap {
        format,
        width: 64,
        height: 64,
        stride: (data.len() / 64) as u32,
        top_down: true,
        palette: None,
        data: data.into(),
    }
}

/// Slopes of many colours.
fn photo(format: BitmapFormat) -> Bitmap {
    let pixels = (0..64 * 64_u32).flat_map(|at| {
        let (x, y) = ((at % 64) as u8, (at / 64) as u8);
        [x * 2 + y % 2, y * 2 + x % 2, x + y, 255 - x]
    });
    Bitmap {
        format,
        width: 64,
        height: 64,
        stride: 256,
        top_down: true,
        palette: None,
        data: pixels.collect(),
    }
}

fn image(bitmap: Bitmap, high_bits_set: bool) -> Image {
    Image {
        id: 1,
        cache: false,
        high_bits_set,
        width: bitmap.width,
        height: bitmap.height,
        data: ImageData::Bitmap(Arc::new(bitmap)),
    }
}

fn drawable(op: DrawOp) -> Arc<Drawable> {
    Arc::new(Drawable {
        surface: 0,
        bbox: Rect::at(0, 0, 64, 32),
        clip: Clip::None,
        mm_time: 0,
        op,
    })
}

fn copy(image: Image) -> Arc<Drawable> {
    let area = Rect::at(0, 0, image.width, image.height);
    let mut drawable = Drawable::clone(&drawable(DrawOp::Copy {
        source: Source {
            image,
            area,
            scale: ScaleMode::Nearest,
        },
        rop: Rop::PUT,
        mask: Mask::default(),
    }));
    drawable.bbox = area;
    Arc::new(drawable)
}

/// An encoder of a client that can do everything, and its place in the dictionary.
fn encoder(mode: Mode, target: SurfaceFormat) -> (Encoder, Membership) {
    let membership = Dictionaries::default().join(1, 1 << 20).unwrap();
    let mut encoder = Encoder::new(
        EncoderConfig {
            settings: ImageSettings {
                mode,
                jpeg: caraway_image::choice::Switch::Always,
                ..ImageSettings::default()
            },
            has_lz4: true,
            dictionary: Some(membership.dictionary()),
            ..EncoderConfig::default()
        },
        None,
    );
    let surface = Item::CreateSurface {
        id: 0,
        width: 100,
        height: 100,
        format: target,
    };
    encoder.encode(&surface).unwrap();
    (encoder, membership)
}

/// The images of a step.
fn images(encoder: &mut Encoder, item: &Item) -> Vec<Sent> {
    let messages = encoder.encode(item).unwrap();
    let images = messages.into_iter().flat_map(|message| match message {
        ServerMessage::Draw(draw) => match draw.op {
            display::DrawOp::Copy { source, .. } => vec![source.image],
            display::DrawOp::Fill {
                brush: display::Brush::Pattern { image, .. },
                ..
            } => vec![image],
            display::DrawOp::Composite(composite) => [composite.src].into_iter().chain(composite.mask).collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    images.map(|image| image.data).collect()
}

/// The name of what a copy's image is sent with.
fn sent(mode: Mode, target: SurfaceFormat, item: &Item) -> &'static str {
    let (mut encoder, _membership) = encoder(mode, target);
    name(&images(&mut encoder, item)[0])
}

const fn name(data: &Sent) -> &'static str {
    match data {
        Sent::Bitmap(_) => "bitmap",
        Sent::Quic(_) => "quic",
        Sent::LzRgb(_) => "lz",
        Sent::GlzRgb(_) => "glz",
        Sent::Lz4(_) => "lz4",
        Sent::Jpeg(_) => "jpeg",
        Sent::JpegAlpha { .. } => "jpeg-alpha",
        _ => "other",
    }
}

#[test]
fn each_mode_has_its_codec() {
    let text = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0]), false)));
    let photo = Item::Draw(copy(image(photo(BitmapFormat::Bit32), false)));
    for (mode, of_text, of_photo) in [
        (Mode::Off, "bitmap", "bitmap"),
        (Mode::AutoGlz, "glz", "quic"),
        (Mode::AutoLz, "lz", "quic"),
        (Mode::Quic, "quic", "quic"),
        (Mode::Glz, "glz", "glz"),
        (Mode::Lz, "lz", "lz"),
        (Mode::Lz4, "lz4", "bitmap"),
    ] {
        assert_eq!(sent(mode, SurfaceFormat::Xrgb, &text), of_text, "{mode:?}");
        assert_eq!(sent(mode, SurfaceFormat::Xrgb, &photo), of_photo, "{mode:?}");
    }
}

#[test]
fn only_lz4_is_given_what_others_would_drop() {
    let mixed = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0, 5, 255]), false)));
    let narrow = Item::Draw(copy(image(text(BitmapFormat::Bit24, &[]), false)));
    for (mode, kept, of_24) in [
        (Mode::AutoGlz, "bitmap", "glz"),
        (Mode::Quic, "bitmap", "quic"),
        (Mode::Glz, "bitmap", "glz"),
        (Mode::Lz, "bitmap", "lz"),
        (Mode::Lz4, "lz4", "lz"),
    ] {
        assert_eq!(sent(mode, SurfaceFormat::Argb, &mixed), kept, "{mode:?}");
        assert_eq!(sent(mode, SurfaceFormat::Argb, &narrow), of_24, "{mode:?}");
        assert_ne!(sent(mode, SurfaceFormat::Xrgb, &mixed), "bitmap", "{mode:?}");
    }
    assert_eq!(sent(Mode::Lz4, SurfaceFormat::Xrgb, &narrow), "lz4");
}

#[test]
fn what_the_client_changes_once_it_is_decoded_is_not_in_the_dictionary() {
    let asked = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0]), true)));
    let full = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[255]), false)));
    assert_eq!(sent(Mode::Glz, SurfaceFormat::Xrgb, &asked), "lz");
    assert_eq!(sent(Mode::Glz, SurfaceFormat::Argb, &full), "lz");
    assert_eq!(sent(Mode::Glz, SurfaceFormat::Xrgb, &full), "glz");
}

#[test]
fn the_dictionary_has_what_is_surely_decoded() {
    let picture = || image(text(BitmapFormat::Bit32, &[0]), false);
    let fill = Item::Draw(drawable(DrawOp::Fill {
        brush: Brush::Pattern {
            image: picture(),
            pos: Point::default(),
        },
        rop: Rop::PUT,
        mask: Mask::default(),
    }));
    let composite = Item::Draw(drawable(DrawOp::Composite(Box::new(Composite {
        flags: 3,
        src: picture(),
        mask: Some(picture()),
        src_transform: None,
        mask_transform: None,
        src_origin: Point::default(),
        mask_origin: Point::default(),
    }))));
    let bitmap = text(BitmapFormat::Bit32, &[0]);
    let area = Item::Pixels {
        surface: 0,
        at: Point::default(),
        pixels: Pixels {
            format: SurfaceFormat::Xrgb,
            width: bitmap.width,
            height: bitmap.height,
            stride: bitmap.stride,
            data: bitmap.data,
        },
    };
    let (mut encoder, _membership) = encoder(Mode::Glz, SurfaceFormat::Xrgb);
    for (item, count) in [(fill, 1), (composite, 2), (area, 1)] {
        let images = images(&mut encoder, &item);
        assert_eq!(images.len(), count);
        assert!(images.iter().all(|data| name(data) == "lz"), "{images:?}");
    }
}

#[test]
fn jpeg_is_for_photographs_that_may_lose_something_and_for_no_unused_byte_that_counts() {
    let item = |format, lossy| {
        let copy = copy(image(photo(format), false));
        if lossy { Item::Photo(copy) } else { Item::Draw(copy) }
    };
    for (format, target, expected) in [
        (BitmapFormat::Bit32, SurfaceFormat::Xrgb, "jpeg"),
        (BitmapFormat::Bit32, SurfaceFormat::Rgb555, "jpeg"),
        (BitmapFormat::Rgba, SurfaceFormat::Argb, "jpeg-alpha"),
        (BitmapFormat::Bit32, SurfaceFormat::Argb, "bitmap"),
    ] {
        assert_eq!(
            sent(Mode::AutoGlz, target, &item(format, true)),
            expected,
            "{format:?} {target:?}"
        );
        let exact = sent(Mode::AutoGlz, target, &item(format, false));
        assert!(matches!(exact, "quic" | "bitmap"), "{format:?} {target:?}: {exact}");
    }
    for mode in [Mode::Off, Mode::Glz, Mode::Lz, Mode::Lz4] {
        let sent = sent(mode, SurfaceFormat::Xrgb, &item(BitmapFormat::Bit32, true));
        assert!(!sent.starts_with("jpeg"), "{mode:?}");
        assert!(!encoder(mode, SurfaceFormat::Xrgb).0.may_lose(), "{mode:?}");
    }
    assert!(encoder(Mode::Quic, SurfaceFormat::Xrgb).0.may_lose());
}

#[test]
fn the_mode_changes_from_step_to_step() {
    let item = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0]), false)));
    let (mut encoder, membership) = encoder(Mode::Off, SurfaceFormat::Xrgb);
    let mut next = |mode| {
        encoder.set_mode(mode);
        name(&images(&mut encoder, &item)[0])
    };
    assert_eq!(
        [next(Mode::Glz), next(Mode::Lz4), next(Mode::Off), next(Mode::Quic)],
        ["glz", "lz4", "bitmap", "quic"]
    );
    drop(membership);
    assert_eq!(next(Mode::Glz), "lz", "the display has left the dictionary");
}

#[test]
fn on_the_quickest_links_the_quickest_codec_is_used_and_others_are_tried_now_and_then() {
    let (mut encoder, _membership) = encoder(Mode::AutoGlz, SurfaceFormat::Xrgb);
    let item = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0]), false)));
    let mut next = |delivery| {
        encoder.set_delivery(delivery);
        let sent = name(&images(&mut encoder, &item)[0]);
        // 16 KiB in a millisecond.
        encoder.took(Duration::from_millis(1));
        sent
    };
    assert_eq!([next(None), next(None)], ["glz", "glz"]);
    let quick = Some(100_000_000_000);
    assert_eq!(next(quick), "lz4");
    let later: Vec<&str> = (0..100).map(|_| next(quick)).collect();
    assert!(later.contains(&"glz"), "what was not used for long is tried again");
    assert!(later.iter().filter(|sent| **sent == "lz4").count() > 90, "{later:?}");
}

#[test]
fn images_are_counted_by_what_they_were_sent_with() {
    let sent = Arc::new(ImageCounts::default());
    for mode in [Mode::Off, Mode::Lz, Mode::Lz] {
        let mut encoder = Encoder::new(
            EncoderConfig {
                settings: ImageSettings {
                    mode,
                    ..ImageSettings::default()
                },
                sent: Arc::clone(&sent),
                ..EncoderConfig::default()
            },
            None,
        );
        let item = Item::Draw(copy(image(text(BitmapFormat::Bit32, &[0]), false)));
        encoder.encode(&item).unwrap();
    }
    let counts = Codec::ALL.map(|codec| sent.get(codec));
    assert_eq!(counts, [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn what_a_client_may_never_decode_is_not_kept_there() {
    let cache = Pixmaps::new(1).join(0, 1 << 20, 0, &[]);
    let mut encoder = Encoder::new(EncoderConfig::default(), cache);
    let tile = || image(text(BitmapFormat::Bit32, &[0]), false);
    let pattern = || Brush::Pattern {
        image: tile(),
        pos: Point::default(),
    };
    let glyph = drawing::Glyph {
        render_pos: Point::new(4, 4),
        origin: Point::default(),
        width: 8,
        height: 1,
        data: vec![0xff],
    };
    // The background is empty: the reference client never looks at its tile.
    let string = DrawOp::Text {
        glyphs: [glyph].into(),
        depth: drawing::GlyphDepth::A1,
        back_area: Rect::default(),
        fore_brush: pattern(),
        back_brush: pattern(),
        fore_mode: Rop::PUT,
        back_mode: Rop::PUT,
    };
    let mut images = |op: DrawOp| -> Vec<display::Image> {
        let messages = encoder.encode(&Item::Draw(drawable(op))).unwrap();
        let of = |brush| match brush {
            display::Brush::Pattern { image, .. } => image,
            other => panic!("{other:?}"),
        };
        let sent = messages.into_iter().flat_map(|message| match message {
            ServerMessage::Draw(draw) => match draw.op {
                display::DrawOp::Text(text) => vec![of(text.fore_brush), of(text.back_brush)],
                display::DrawOp::Copy { source, .. } => vec![source.image],
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        });
        sent.collect()
    };
    let is_kept = |image: &display::Image| image.flags.contains(ImageFlags::CACHE_ME);
    assert!(!images(string.clone()).iter().any(is_kept));
    let source = copy(tile()).op.clone();
    let first = images(source.clone()).remove(0);
    assert!(is_kept(&first) && first.data != Sent::FromCache);
    assert_eq!(images(source).remove(0).data, Sent::FromCache);
    let again = images(string);
    assert!(
        again
            .iter()
            .all(|image| !is_kept(image) && image.data != Sent::FromCache)
    );
}
