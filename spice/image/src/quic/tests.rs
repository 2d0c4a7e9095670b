use proptest::{collection::vec, prelude::*};

use super::*;
use crate::vectors::{of_codec, sha256};

fn decoded(stream: &[u8]) -> QuicImage {
    decode(stream, &Limits::default()).unwrap()
}

#[test]
fn reference_streams_decode_to_their_pixels_and_encode_to_the_same_bytes() {
    let vectors = of_codec("quic");
    assert!(vectors.len() > 90);
    for vector in vectors {
        let Some(stream) = vector.encoded() else { continue };
        let image = decoded(&stream);
        assert_eq!(
            (image.kind as u32, image.width),
            (vector.number("type"), vector.number("width"))
        );
        assert_eq!(sha256(&image.data), vector.text("pixels_sha256"), "{}", vector.name);
        assert!(encode(&image).unwrap() == stream, "{}", vector.name);
    }
}

/// The hash the generators of the vectors are made from.
fn hash32(seed: u32, x: u32, y: u32) -> u32 {
    let mut h = seed
        .wrapping_mul(0x9e37_79b1)
        .wrapping_add(x.wrapping_mul(0x85eb_ca77))
        .wrapping_add(y.wrapping_mul(0xc2b2_ae3d));
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// Smooth noise with cells of `1 << n` pixels.
fn lattice(seed: u32, x: u32, y: u32, n: u32) -> u32 {
    let side = 1 << n;
    let (xi, yi, fx, fy) = (x / side, y / side, x % side, y % side);
    let corner = |dx, dy| hash32(seed, xi + dx, yi + dy) & 255;
    let top = corner(0, 0) * (side - fx) + corner(1, 0) * fx;
    let bottom = corner(0, 1) * (side - fx) + corner(1, 1) * fx;
    (top * (side - fy) + bottom * fy) >> (2 * n)
}

/// B, G, R of a pixel of the generator `kind`.
fn generated(kind: &str, seed: u32, x: u32, y: u32) -> [u8; 3] {
    if kind == "noise" {
        let [b, g, r, _] = hash32(seed, x, y).to_le_bytes();
        return [b, g, r];
    }
    let light = (6 * lattice(seed + 1, x, y, 6)
        + 4 * lattice(seed + 2, x, y, 5)
        + 3 * lattice(seed + 3, x, y, 4)
        + 2 * lattice(seed + 4, x, y, 3)
        + lattice(seed + 5, x, y, 2))
        / 16;
    [0, 1, 2].map(|k| {
        let smooth = (3 * light + lattice(seed + 10 + k, x, y, 6)) / 4;
        (smooth + hash32(seed + 20 + k, x, y) % 7).saturating_sub(3).min(255) as u8
    })
}

#[test]
fn large_generated_pictures_encode_to_the_bytes_of_the_reference() {
    let mut seen = 0;
    for vector in of_codec("quic") {
        if vector.encoded().is_some() {
            continue;
        }
        let (kind, seed) = vector.generator().unwrap();
        let (width, height) = (vector.number("width"), vector.number("height"));
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| generated(kind, seed, x, y)));
        let image = QuicImage {
            kind: QuicType::Rgb32,
            width,
            height,
            data: pixels.flat_map(|[b, g, r]| [b, g, r, 0]).collect(),
        };
        let stream = encode(&image).unwrap();
        assert_eq!(sha256(&stream), vector.text("encoded_sha256"), "{}", vector.name);
        assert_eq!(
            sha256(&decoded(&stream).data),
            vector.text("pixels_sha256"),
            "{}",
            vector.name
        );
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn the_worked_example_of_the_format_encodes_and_decodes() {
    let image = QuicImage {
        kind: QuicType::Gray,
        width: 6,
        height: 3,
        data: Bytes::from_static(&[10, 10, 10, 10, 10, 12, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 200, 0]),
    };
    let body = [
        0x21, 0x82, 0x80, 0x94, 0xd0, 0x82, 0x72, 0x32, 0x51, 0x5f, 0, 0, 0, 0, 0, 0,
    ];
    let stream = encode(&image).unwrap();
    assert_eq!(stream[HEADER_BYTES..], body);
    assert_eq!(decoded(&stream), image);
}

#[test]
fn a_stream_cut_anywhere_is_an_error_or_the_whole_picture() {
    for vector in of_codec("quic") {
        let Some(stream) = vector.encoded() else { continue };
        let image = decoded(&stream);
        let step = (stream.len() / 60).max(1);
        for length in (0..stream.len())
            .step_by(step)
            .chain(stream.len().saturating_sub(9)..stream.len())
        {
            match decode(&stream[..length], &Limits::default()) {
                Ok(cut) => assert!(cut == image && length + 8 > stream.len(), "{} {length}", vector.name),
                Err(error) => assert_ne!(error, QuicError::Symbol, "{} {length}", vector.name),
            }
        }
    }
}

fn stream(kind: u32, width: u32, height: u32, body: &[u8]) -> Vec<u8> {
    let words = [MAGIC, VERSION, kind, width, height];
    let header = words.iter().flat_map(|word| word.to_le_bytes());
    header.chain(body.iter().copied()).collect()
}

#[test]
fn bad_headers_and_symbols_are_told_apart() {
    let error = |stream: &[u8]| decode(stream, &Limits::default()).unwrap_err();
    let mut other = stream(1, 1, 1, &[0; 8]);
    other[0] = 0;
    assert!(matches!(error(&other), QuicError::Magic(_)));
    other = stream(1, 1, 1, &[0; 8]);
    other[6] = 1;
    assert_eq!(error(&other), QuicError::Version(0x1_0000));
    assert_eq!(error(&stream(6, 1, 1, &[0; 8])), QuicError::Type(6));
    assert_eq!(
        error(&stream(1, 0, 5, &[0; 8])),
        QuicError::Size { width: 0, height: 5 }
    );
    assert_eq!(
        error(&stream(4, 1 << 16, 1 << 16, &[0; 8])),
        QuicError::Size {
            width: 1 << 16,
            height: 1 << 16
        }
    );
    assert_eq!(error(&stream(1, 1, 1, &[])), QuicError::Truncated(20));
    assert_eq!(error(&[]), QuicError::Truncated(0));
    assert_eq!(
        header(&stream(5, 7, 9, &[])),
        Ok(QuicHeader {
            kind: QuicType::Rgba,
            width: 7,
            height: 9
        })
    );
}

#[test]
fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
    let large = stream(4, 8192, 8192, &[0; 64]);
    assert_eq!(decode(&large, &Limits::default()), Err(QuicError::Truncated(84)));
    let image = QuicImage {
        kind: QuicType::Gray,
        width: 2,
        height: 1,
        data: Bytes::from_static(&[1, 2]),
    };
    let small = encode(&image).unwrap();
    assert_eq!(decode(&small, &Limits::exactly(2, 1)), Ok(image));
    assert!(matches!(
        decode(&small, &Limits::exactly(1, 1)),
        Err(QuicError::Size { .. })
    ));
}

#[test]
fn bitmaps_are_encoded_from_their_top_row_without_padding() {
    let bitmap = Bitmap {
        format: BitmapFormat::Bit24,
        width: 1,
        height: 2,
        stride: 4,
        top_down: false,
        palette: None,
        data: Bytes::from_static(&[1, 2, 3, 9, 4, 5, 6]),
    };
    let image = decoded(&encode_bitmap(&bitmap).unwrap());
    assert_eq!(image.data[..], [4, 5, 6, 1, 2, 3]);
    assert_eq!(image.into_pixels().data[..], [4, 5, 6, 0, 1, 2, 3, 0]);
    let short = Bitmap {
        height: 3,
        ..bitmap.clone()
    };
    assert!(matches!(encode_bitmap(&short), Err(QuicError::Data { .. })));
    let indices = Bitmap {
        format: BitmapFormat::Bit8,
        ..bitmap
    };
    assert_eq!(encode_bitmap(&indices), Err(QuicError::Format(BitmapFormat::Bit8)));
}

/// Pictures with runs, repeated rows, noise and slopes.
fn picture() -> impl Strategy<Value = QuicImage> {
    let piece = prop_oneof![
        (any::<u8>(), 1..400usize).prop_map(|(byte, count)| vec![byte; count]),
        vec(any::<u8>(), 1..40),
        (vec(any::<u8>(), 1..9), 1..200usize).prop_map(|(bytes, count)| bytes.repeat(count)),
        (any::<u8>(), 1..9usize, 1..400usize)
            .prop_map(|(first, step, count)| (0..count).map(|at| first.wrapping_add((at / step) as u8)).collect()),
    ];
    (1..=5u32, 1..200u32, 1..40u32, vec(piece, 1..30)).prop_map(|(kind, width, height, pieces)| {
        let kind = QuicType::from_raw(kind).unwrap();
        let length = kind.pixel_bytes() * width as usize * height as usize;
        let mut data: Vec<u8> = pieces.concat().into_iter().cycle().take(length).collect();
        for (at, byte) in data.iter_mut().enumerate() {
            match kind {
                QuicType::Rgb16 if at % 2 == 1 => *byte &= 0x7f,
                QuicType::Rgb32 if at % 4 == 3 => *byte = 0,
                _ => {}
            }
        }
        QuicImage {
            kind,
            width,
            height,
            data: data.into(),
        }
    })
}

/// What a stream decodes to as the format is written down.
fn plainly_decoded(stream: &[u8]) -> Option<Vec<u8>> {
    plain::decode(header(stream).ok()?, &stream[HEADER_BYTES..])
}

proptest! {
    #[test]
    fn what_is_encoded_is_what_the_format_says_and_decodes_to_the_same(image in picture()) {
        let stream = encode(&image).unwrap();
        prop_assert!(stream[HEADER_BYTES..] == plain::encode(&image));
        prop_assert_eq!(decoded(&stream), image);
    }

    #[test]
    fn encoder_and_decoder_keep_nothing_of_earlier_pictures(images in vec(picture(), 2..6)) {
        let (mut encoder, mut decoder) = (QuicEncoder::new(), QuicDecoder::new());
        let (mut stream, mut data) = (Vec::new(), Vec::new());
        for image in images {
            encoder.encode(&image, &mut stream).unwrap();
            prop_assert!(stream == encode(&image).unwrap());
            let header = decoder.decode(&stream, &Limits::default(), &mut data).unwrap();
            prop_assert!(data == image.data);
            prop_assert_eq!((header.kind, header.width, header.height), (image.kind, image.width, image.height));
            // One that fails half way leaves nothing either.
            let _ = decoder.decode(&stream[..stream.len() / 2], &Limits::default(), &mut data);
            let short = QuicImage { height: image.height + 1, ..image };
            prop_assert!(encoder.encode(&short, &mut stream).is_err());
        }
    }

    #[test]
    fn damaged_streams_decode_or_fail_without_harm(
        image in picture(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = encode(&image).unwrap();
        for (at, value) in damage {
            let at = at.index(stream.len());
            stream[at] = value;
        }
        let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
        match decode(&stream, &limits) {
            Ok(image) => prop_assert!(Some(image.data.to_vec()) == plainly_decoded(&stream)),
            Err(QuicError::Symbol | QuicError::Run { .. }) => prop_assert!(plainly_decoded(&stream).is_none()),
            Err(_) => {}
        }
    }

    #[test]
    fn noise_after_a_header_decodes_or_fails_without_harm(
        kind in 1..=5u32, width in 1..300u32, height in 1..100u32, body in vec(any::<u8>(), 0..2000),
    ) {
        let stream = stream(kind, width, height, &body);
        let data = decode(&stream, &Limits::default()).ok().map(|image| image.data.to_vec());
        prop_assert!(data == plainly_decoded(&stream));
    }
}

#[test]
fn runs_longer_than_every_state_of_their_code() {
    let (width, height) = (300_000, 4);
    for kind in (1..=5).filter_map(QuicType::from_raw) {
        // One colour with a few pixels of another one, none in the last row.
        let pixels = (0..width * height).map(|at| if at % 130_000 == 99_999 { 3 } else { 9 });
        let image = QuicImage {
            kind,
            width,
            height,
            data: pixels
                .flat_map(|value| vec![value, 0, value, 0].into_iter().take(kind.pixel_bytes()))
                .collect(),
        };
        let stream = encode(&image).unwrap();
        assert!(stream[HEADER_BYTES..] == plain::encode(&image), "{kind:?}");
        assert!(decoded(&stream) == image, "{kind:?}");
    }
}
