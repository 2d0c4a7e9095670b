//! What leaves is what the guest drew, and nothing that lay beside it.

use caraway_image::bitmap::BitmapReader;
use caraway_ports::drawing::{Bitmap, BitmapFormat, Clip, Palette};
use caraway_protocol::display::{Image, PaletteRef};
use proptest::prelude::*;

use super::{bitmaps::pack, *};

fn bitmap(format: BitmapFormat, width: u32, height: u32, stride: u32, top_down: bool, data: Vec<u8>) -> Bitmap {
    let palette = format.has_palette().then(|| {
        Arc::new(Palette {
            unique: 77,
            entries: vec![0, 1, 2],
        })
    });
    Bitmap {
        format,
        width,
        height,
        stride,
        top_down,
        palette,
        data: data.into(),
    }
}

fn copy_of(bitmap: Bitmap, area: Rect) -> Drawable {
    let (width, height) = (bitmap.width, bitmap.height);
    let data = ImageData::Bitmap(Arc::new(bitmap));
    let image = drawing::Image {
        id: 9,
        cache: true,
        high_bits_set: false,
        width,
        height,
        data,
    };
    let source = drawing::Source {
        image,
        area,
        scale: ScaleMode::Nearest,
    };
    let bbox = Rect::at(0, 0, area.width(), area.height());
    let op = DrawOp::Copy {
        source,
        rop: Rop::PUT,
        mask: drawing::Mask::default(),
    };
    Drawable {
        surface: 0,
        bbox,
        clip: Clip::None,
        mm_time: 0,
        op,
    }
}

fn sent_image(drawable: Drawable) -> (Image, Rect) {
    sent_image_on(SurfaceFormat::Xrgb, drawable)
}

/// The image of a copy to a surface of that format.
fn sent_image_on(format: SurfaceFormat, drawable: Drawable) -> (Image, Rect) {
    let mut encoder = Encoder::default();
    let surface = Item::CreateSurface {
        id: 0,
        width: 100,
        height: 100,
        format,
    };
    encoder.encode(&surface).unwrap();
    let messages = encoder.encode(&Item::Draw(Arc::new(drawable))).unwrap();
    match &messages[..] {
        [ServerMessage::Draw(draw)] => match &draw.op {
            display::DrawOp::Copy { source, .. } => (source.image.clone(), source.area),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn row_padding_of_the_guest_is_not_sent() {
    // Three pixels of two rows, 20 bytes apart; what lies behind them is somebody else's.
    let mut data = vec![0xee; 40];
    data[..12].copy_from_slice(&[1; 12]);
    data[20..32].copy_from_slice(&[2; 12]);
    let (image, area) = sent_image(copy_of(
        bitmap(BitmapFormat::Bit32, 3, 2, 20, true, data),
        Rect::at(0, 0, 3, 2),
    ));
    assert_eq!(area, Rect::at(0, 0, 3, 2));
    let display::ImageData::Bitmap(sent) = image.data else {
        panic!("compressed")
    };
    assert_eq!(sent.data[..], [[1; 12], [2; 12]].concat());
    assert_eq!(image.id, 1, "the guest's id is not sent");
}

#[test]
fn only_the_part_that_is_used_is_sent_and_bottom_up_rows_are_turned() {
    let data: Vec<u8> = (0..4 * 4).flat_map(|pixel| [pixel, 0, 0, 0]).collect();
    let whole = bitmap(BitmapFormat::Bit32, 4, 4, 16, false, data);
    let (image, area) = sent_image(copy_of(whole, Rect::at(1, 0, 2, 2)));
    assert_eq!((image.width, image.height, area), (2, 2, Rect::at(0, 0, 2, 2)));
    let display::ImageData::Bitmap(sent) = image.data else {
        panic!("compressed")
    };
    assert!(sent.top_down);
    assert_eq!(
        sent.data.iter().step_by(4).copied().collect::<Vec<_>>(),
        [13, 14, 9, 10]
    );
}

#[test]
fn a_large_flat_image_is_compressed_and_noise_is_not() {
    let flat = bitmap(BitmapFormat::Bit32, 100, 100, 400, true, vec![7; 40_000]);
    let (image, _) = sent_image(copy_of(flat, Rect::at(0, 0, 100, 100)));
    let display::ImageData::LzRgb(stream) = image.data else {
        panic!("{:?}", image.data)
    };
    assert!(stream.len() < 2000);
    let mut state = 1_u32;
    let noise = (0..40_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    // The fourth byte of a 32-bit pixel is not sent, so noise still shrinks by that; RGBA keeps it.
    let noise = bitmap(BitmapFormat::Rgba, 100, 100, 400, true, noise.collect());
    let (image, _) = sent_image(copy_of(noise, Rect::at(0, 0, 100, 100)));
    assert!(matches!(image.data, display::ImageData::Bitmap(_)));
}

#[test]
fn the_unused_byte_arrives_where_it_becomes_alpha() {
    let sent = |format, unused: u8| {
        let data = [7, 7, 7, unused].repeat(100);
        let flat = bitmap(BitmapFormat::Bit32, 10, 10, 40, true, data);
        let (image, _) = sent_image_on(format, copy_of(flat, Rect::at(0, 0, 10, 10)));
        let full = image.flags.contains(ImageFlags::HIGH_BITS_SET);
        (matches!(image.data, display::ImageData::LzRgb(_)), full)
    };
    for unused in [0, 5, 0xff] {
        assert_eq!(sent(SurfaceFormat::Xrgb, unused), (true, false), "{unused}");
    }
    assert_eq!(sent(SurfaceFormat::Argb, 0), (true, false));
    assert_eq!(sent(SurfaceFormat::Argb, 0xff), (true, true));
    assert_eq!(
        sent(SurfaceFormat::Argb, 5),
        (false, false),
        "no codec has a place for it"
    );
}

#[test]
fn the_unused_bit_of_16_is_clear_and_on_argb_there_are_32() {
    let sent = |format| {
        let two = bitmap(BitmapFormat::Bit16, 2, 1, 4, true, vec![0x34, 0x92, 0x56, 0x12]);
        match sent_image_on(format, copy_of(two, Rect::at(0, 0, 2, 1))).0.data {
            display::ImageData::Bitmap(sent) => (sent.format, sent.data.to_vec()),
            other => panic!("{other:?}"),
        }
    };
    for format in [SurfaceFormat::Xrgb, SurfaceFormat::Rgb555, SurfaceFormat::Rgb565] {
        assert_eq!(
            sent(format),
            (BitmapFormat::Bit16, vec![0x34, 0x12, 0x56, 0x12]),
            "{format:?}"
        );
    }
    let wide = vec![0xa5, 0x8c, 0x21, 0, 0xb5, 0x94, 0x21, 0];
    assert_eq!(sent(SurfaceFormat::Argb), (BitmapFormat::Bit32, wide));
}

#[test]
fn a_palette_is_sent_without_the_name_the_guest_gave_it() {
    let picture = bitmap(BitmapFormat::Bit8, 4, 1, 4, true, vec![0, 1, 2, 1]);
    let (image, _) = sent_image(copy_of(picture, Rect::at(0, 0, 4, 1)));
    let display::ImageData::Bitmap(sent) = image.data else {
        panic!("compressed")
    };
    let Some(PaletteRef::Inline { palette, cache: true }) = sent.palette else {
        panic!("{:?}", sent.palette)
    };
    assert_eq!(palette.unique, 1, "a name of ours");
}

#[test]
fn a_palette_is_sent_with_an_entry_for_every_index() {
    for (format, indices) in [
        (BitmapFormat::Bit1Be, 2),
        (BitmapFormat::Bit4Le, 16),
        (BitmapFormat::Bit8, 256),
    ] {
        for count in [0, 1, 3, 256] {
            let entries: Vec<u32> = (1..=count).collect();
            // Long enough to be compressed.
            let mut picture = bitmap(format, 64, 64, 64, true, vec![0x11; 64 * 64]);
            picture.palette = Some(Arc::new(Palette {
                unique: 5,
                entries: entries.clone(),
            }));
            let (image, _) = sent_image(copy_of(picture, Rect::at(0, 0, 64, 64)));
            let (display::ImageData::LzPalette { palette, .. }
            | display::ImageData::Bitmap(display::Bitmap {
                palette: Some(palette), ..
            })) = image.data
            else {
                panic!("{:?}", image.data)
            };
            let PaletteRef::Inline { palette, .. } = palette else {
                panic!("{palette:?}")
            };
            assert!(palette.entries.starts_with(&entries));
            assert!(palette.entries.len() >= indices && palette.entries.iter().skip(entries.len()).all(|e| *e == 0));
        }
    }
}

/// The pixels of an image that was not compressed, as a client reads them.
fn pixels_of(image: &Image) -> Vec<u32> {
    let display::ImageData::Bitmap(sent) = &image.data else {
        panic!("{:?}", image.data)
    };
    let palette = sent.palette.as_ref().map(|palette| match palette {
        PaletteRef::Inline { palette, .. } => Arc::clone(palette),
        other => panic!("{other:?}"),
    });
    let bitmap = Bitmap {
        format: sent.format,
        width: image.width,
        height: image.height,
        stride: sent.stride,
        top_down: sent.top_down,
        palette,
        data: sent.data.clone(),
    };
    let reader = BitmapReader::new(&bitmap).unwrap();
    (0..image.width).map(|x| reader.pixel(x, 0)).collect()
}

#[test]
fn small_pixels_go_leftmost_first_in_the_high_bits() {
    for (format, sent) in [
        (BitmapFormat::Bit1Le, BitmapFormat::Bit1Be),
        (BitmapFormat::Bit1Be, BitmapFormat::Bit1Be),
        (BitmapFormat::Bit4Le, BitmapFormat::Bit4Be),
        (BitmapFormat::Bit4Be, BitmapFormat::Bit4Be),
    ] {
        let picture = bitmap(format, 7, 1, 4, true, vec![0x21, 0x10, 0x02, 0x20]);
        let reader = BitmapReader::new(&picture).unwrap();
        let expected: Vec<u32> = (0..7).map(|x| reader.pixel(x, 0)).collect();
        let (image, _) = sent_image(copy_of(picture.clone(), Rect::at(0, 0, 7, 1)));
        assert_eq!(pixels_of(&image), expected, "{format:?}");
        let display::ImageData::Bitmap(bitmap) = image.data else {
            panic!("compressed")
        };
        assert_eq!(bitmap.format, sent);
    }
}

#[test]
fn indices_become_colours_where_the_client_takes_no_palette() {
    for target in [SurfaceFormat::Rgb555, SurfaceFormat::Rgb565, SurfaceFormat::A8] {
        let picture = bitmap(BitmapFormat::Bit8, 4, 1, 4, true, vec![0, 1, 2, 3]);
        let (image, _) = sent_image_on(target, copy_of(picture, Rect::at(0, 0, 4, 1)));
        assert_eq!(pixels_of(&image), [0, 1, 2, 0], "{target:?}");
        let display::ImageData::Bitmap(sent) = image.data else {
            panic!("compressed")
        };
        assert_eq!((sent.format, sent.palette), (BitmapFormat::Bit32, None));
    }
}

#[test]
fn alpha_alone_goes_to_alpha_surfaces_only() {
    for (target, format) in [
        (SurfaceFormat::A8, BitmapFormat::Bit8A),
        (SurfaceFormat::Argb, BitmapFormat::Rgba),
        (SurfaceFormat::Rgb565, BitmapFormat::Rgba),
    ] {
        let picture = bitmap(BitmapFormat::Bit8A, 4, 1, 4, true, vec![0, 1, 0x80, 0xff]);
        let (image, _) = sent_image_on(target, copy_of(picture, Rect::at(0, 0, 4, 1)));
        assert_eq!(pixels_of(&image), [0, 0x0100_0000, 0x8000_0000, 0xff00_0000]);
        let display::ImageData::Bitmap(sent) = image.data else {
            panic!("compressed")
        };
        assert_eq!(sent.format, format, "{target:?}");
    }
}

#[test]
fn high_bits_are_set_where_the_guest_has_some() {
    for (format, set) in [
        (BitmapFormat::Bit32, true),
        (BitmapFormat::Bit24, false),
        (BitmapFormat::Bit8, false),
    ] {
        let mut drawable = copy_of(bitmap(format, 1, 1, 4, true, vec![1; 4]), Rect::at(0, 0, 1, 1));
        if let DrawOp::Copy { source, .. } = &mut drawable.op {
            source.image.high_bits_set = true;
        }
        let (image, _) = sent_image(drawable);
        assert_eq!(image.flags.contains(ImageFlags::HIGH_BITS_SET), set, "{format:?}");
    }
}

proptest! {
    #[test]
    fn parts_of_small_pixels_are_cut_at_any_column(
        le in any::<bool>(), four in any::<bool>(), left in 0..20u32, width in 1..20u32, data in proptest::collection::vec(any::<u8>(), 40)
    ) {
        let format = match (four, le) {
            (false, true) => BitmapFormat::Bit1Le,
            (false, false) => BitmapFormat::Bit1Be,
            (true, true) => BitmapFormat::Bit4Le,
            (true, false) => BitmapFormat::Bit4Be,
        };
        let whole = bitmap(format, 40, 2, 20, true, data);
        let (packed, stride) = pack(&whole, &Rect::at(i32::try_from(left).unwrap(), 0, width, 2)).unwrap();
        let cut = bitmap(format, width, 2, stride, true, packed.to_vec());
        let index = |bitmap: &Bitmap, x: u32, y: u32| {
            let (row, bits) = (bitmap.row(y).unwrap(), format.bits_per_pixel());
            let slot = x % (8 / bits);
            let shift = bits * if le { slot } else { 8 / bits - 1 - slot };
            row[(x * bits / 8) as usize] >> shift & ((1 << bits) - 1)
        };
        for y in 0..2 {
            for x in 0..width {
                prop_assert_eq!(index(&cut, x, y), index(&whole, left + x, y));
            }
        }
    }
}
