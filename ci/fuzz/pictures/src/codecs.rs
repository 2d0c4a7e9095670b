//! The decoders, each given a stream as it comes.

use caraway_image::{
    Limits,
    bitmap::BitmapReader,
    glz::{Dictionary, Window, WindowBudget},
    jpeg,
    lz::{self, LzImage, LzType},
    lz4::{self, Lz4Encoder},
    quic,
    zlib_glz::{ZlibDecoder, ZlibEncoder},
};
use caraway_ports::drawing::{Bitmap, BitmapFormat};

use crate::{MAX_PIXELS, input::Input};

const LIMITS: Limits = Limits {
    max_width: 1 << 12,
    max_height: 1 << 12,
    max_pixels: MAX_PIXELS,
};

pub(crate) fn quic(stream: &[u8]) {
    let Ok(image) = quic::decode(stream, &LIMITS) else {
        return;
    };
    let header = quic::header(stream).expect("a stream that decodes has a header");
    assert_eq!((image.width, image.height), (header.width, header.height));
    let again = quic::encode(&image).expect("a decoded picture can be encoded");
    assert_eq!(quic::decode(&again, &LIMITS).as_ref(), Ok(&image));
}

pub(crate) fn lz(stream: &[u8]) {
    let Ok(image) = lz::decode(stream, &LIMITS) else { return };
    assert!(LIMITS.allow(image.width, image.height));
    assert_eq!(
        image.data.len() as u64,
        image.kind.row_bytes(image.width) * u64::from(image.height)
    );
    let again = lz::encode(&image).expect("a decoded picture can be encoded");
    let again = lz::decode(&again, &LIMITS).expect("an encoded picture can be decoded");
    assert_eq!(comparable(again), comparable(image));
}

/// Bit 15 of 5-5-5 pixels is not kept.
fn comparable(image: LzImage) -> LzImage {
    if image.kind != LzType::Rgb16 {
        return image;
    }
    let cleared = |(at, byte): (usize, &u8)| if at % 2 == 1 { byte & 0x7f } else { *byte };
    LzImage {
        data: image.data.iter().enumerate().map(cleared).collect(),
        ..image
    }
}

/// Width and height, 16 bits each, then the stream, which does not have them.
pub(crate) fn lz4(data: &[u8]) {
    let mut input = Input::new(data);
    let (width, height) = (u32::from(input.word()), u32::from(input.word()));
    let Ok(bitmap) = lz4::decode(input.rest(), width, height, &LIMITS) else {
        return;
    };
    assert_eq!((bitmap.width, bitmap.height), (width, height));
    let again = Lz4Encoder::new()
        .encode_bitmap(&bitmap)
        .expect("a decoded picture can be encoded");
    let again = lz4::decode(&again, width, height, &LIMITS).expect("an encoded picture can be decoded");
    assert_eq!(pixels(&again), pixels(&bitmap));
}

/// Streams for one window, each after its length of 16 bits. What is decoded is encoded again, for another window.
pub(crate) fn glz(data: &[u8]) {
    const BUDGET: WindowBudget = WindowBudget {
        max_pixels: MAX_PIXELS,
        max_images: 64,
    };
    const MAX_STREAMS: usize = 64;
    let mut input = Input::new(data);
    let mut window = Window::new(BUDGET);
    let mut dictionary = Dictionary::new(1 << 14).expect("a window of this size is allowed");
    let mut other = Window::new(WindowBudget::for_window(1 << 14));
    for _ in 0..MAX_STREAMS {
        if input.is_empty() {
            return;
        }
        let length = usize::from(input.word());
        let image = window.decode(input.take(length), &LIMITS);
        assert!(window.held_pixels() <= BUDGET.max_pixels && window.held_images() <= BUDGET.max_images);
        let Ok(image) = image else { continue };
        if !dictionary.takes(image.bitmap.width, image.bitmap.height) {
            continue;
        }
        let stream = dictionary
            .encode_bitmap(&image.bitmap)
            .expect("a decoded picture can be encoded");
        let again = other
            .decode(&stream.data, &LIMITS)
            .expect("an encoded picture can be decoded");
        assert_eq!(again.id, stream.id);
        assert_eq!(pixels(&again.bitmap), pixels(&image.bitmap));
    }
}

/// The size of the GLZ stream, 32 bits, then the zlib stream.
pub(crate) fn zlib_glz(data: &[u8]) {
    let mut input = Input::new(data);
    let size = input.long();
    let mut decoder = ZlibDecoder::new();
    let Ok(stream) = decoder.decode(input.rest(), size, &LIMITS) else {
        return;
    };
    assert_eq!(stream.len(), size as usize);
    if let Some(again) = ZlibEncoder::new().encode(&stream) {
        assert_eq!(decoder.decode(&again, size, &LIMITS).as_ref(), Ok(&stream));
    }
    let mut window = Window::new(WindowBudget::for_window(1 << 14));
    if let Ok(image) = window.decode(&stream, &LIMITS) {
        assert!(LIMITS.allow(image.bitmap.width, image.bitmap.height));
    }
}

/// The wrapper around the first image of each of the sequences for GLZ.
pub(crate) fn zlib_glz_seeds() -> Vec<Vec<u8>> {
    let wrapped = |sequence: Vec<u8>| {
        let mut input = Input::new(&sequence);
        let length = usize::from(input.word());
        let stream = input.take(length);
        let zlib = ZlibEncoder::new().encode(stream)?;
        Some([&(stream.len() as u32).to_le_bytes()[..], &zlib].concat())
    };
    glz_seeds().into_iter().filter_map(wrapped).collect()
}

pub(crate) fn jpeg(stream: &[u8]) {
    let Ok(bitmap) = jpeg::decode(stream, &LIMITS) else {
        return;
    };
    assert!(LIMITS.allow(bitmap.width, bitmap.height));
    let again = jpeg::encode_bitmap(&bitmap, 85).expect("a decoded picture can be encoded");
    let again = jpeg::decode(&again, &LIMITS).expect("an encoded picture can be decoded");
    assert_eq!((again.width, again.height), (bitmap.width, bitmap.height));
}

/// The size of the JPEG part, 16 bits, whether alpha is top down, then both parts.
pub(crate) fn jpeg_alpha(data: &[u8]) {
    let mut input = Input::new(data);
    let (jpeg_size, top_down) = (usize::from(input.word()), input.flag());
    let Ok(bitmap) = jpeg::decode_alpha(input.rest(), jpeg_size, top_down, &LIMITS) else {
        return;
    };
    let again = jpeg::encode_alpha_bitmap(&bitmap, 85).expect("a decoded picture can be encoded");
    let again = jpeg::decode_alpha(&again.data, again.jpeg_size, again.top_down, &LIMITS);
    let again = again.expect("an encoded picture can be decoded");
    // Colours lose, alpha does not.
    let alpha = |bitmap| pixels(bitmap).iter().map(|pixel| pixel >> 24).collect::<Vec<_>>();
    assert_eq!(alpha(&again), alpha(&bitmap));
}

/// Pictures of alpha that rises, of several sizes and row orders.
pub(crate) fn jpeg_alpha_seeds() -> Vec<Vec<u8>> {
    let picture = |(width, height, top_down): (u32, u32, bool)| {
        let stride = width * 4;
        let data = (0..stride * height).map(|at| (at * 7 / 4) as u8).collect();
        let format = BitmapFormat::Rgba;
        let bitmap = Bitmap {
            format,
            width,
            height,
            stride,
            top_down,
            palette: None,
            data,
        };
        let image = jpeg::encode_alpha_bitmap(&bitmap, 50).expect("a picture of this size can be encoded");
        let head = [&(image.jpeg_size as u16).to_le_bytes()[..], &[u8::from(image.top_down)]].concat();
        [&head[..], &image.data].concat()
    };
    [(1, 1, true), (17, 9, true), (40, 33, false)].map(picture).to_vec()
}

/// A picture's pixels, top row first. Their unused byte is not looked at.
fn pixels(bitmap: &Bitmap) -> Vec<u32> {
    let reader = BitmapReader::new(bitmap).expect("a decoded picture can be read");
    let mut all = Vec::new();
    let mut row = vec![0; bitmap.width as usize];
    let significant = if bitmap.format == BitmapFormat::Rgba {
        u32::MAX
    } else {
        0x00ff_ffff
    };
    for y in 0..bitmap.height {
        reader.row(0, y, &mut row);
        all.extend(row.iter().map(|pixel| pixel & significant));
    }
    all
}

/// Sequences of images of each type that refer to each other.
pub(crate) fn glz_seeds() -> Vec<Vec<u8>> {
    let sequence = |format: BitmapFormat, period: u32| {
        let mut dictionary = Dictionary::new(1 << 12).expect("a window of this size is allowed");
        let mut sequence = Vec::new();
        for number in 0..5 {
            let (width, height) = (20 + number, 16);
            let stride = format.row_bytes(width) as u32;
            let data = (0..stride * height)
                .map(|at| (at % (period + number) * 29) as u8)
                .collect();
            let bitmap = Bitmap {
                format,
                width,
                height,
                stride,
                top_down: number % 2 == 0,
                palette: None,
                data,
            };
            let stream = dictionary
                .encode_bitmap(&bitmap)
                .expect("this is smaller than the window")
                .data;
            sequence.extend((stream.len() as u16).to_le_bytes());
            sequence.extend(stream);
        }
        sequence
    };
    let formats = [
        BitmapFormat::Bit16,
        BitmapFormat::Bit24,
        BitmapFormat::Bit32,
        BitmapFormat::Rgba,
    ];
    formats
        .into_iter()
        .flat_map(|format| [7, 100, 250].map(|period| sequence(format, period)))
        .collect()
}
