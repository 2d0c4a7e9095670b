use std::num::NonZeroUsize;

use caraway_ports::{display::Pixels, drawing::SurfaceFormat};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    Limits,
    vectors::{of_codec, sha256},
};

fn decoded(stream: &[u8]) -> LzImage {
    decode(stream, &Limits::default()).unwrap()
}

#[test]
fn reference_streams_decode_to_their_pixels() {
    let vectors = of_codec("lz");
    assert!(vectors.len() > 200);
    for vector in vectors {
        let image = decoded(&vector.encoded().unwrap());
        assert_eq!(
            (image.kind as u32, image.width),
            (vector.number("type"), vector.number("width"))
        );
        assert_eq!(
            (image.height, image.top_down),
            (vector.number("height"), vector.top_down())
        );
        assert_eq!(sha256(&image.data), vector.text("pixels_sha256"), "{}", vector.name);
        vector.assert_shows(image.into_bitmap().unwrap());
    }
}

#[test]
fn own_streams_decode_to_the_same_pixels_and_are_no_longer_than_those_of_the_reference() {
    let (mut own, mut reference) = (0, 0);
    for vector in of_codec("lz") {
        let stream = vector.encoded().unwrap();
        let mut image = decoded(&stream);
        if image.kind == LzType::Rgb16 {
            // Bit 15 means nothing and is not kept.
            image.data = image
                .data
                .iter()
                .enumerate()
                .map(|(i, byte)| if i % 2 == 1 { byte & 0x7f } else { *byte })
                .collect();
        }
        let again = encode(&image).unwrap();
        assert_eq!(decoded(&again), image, "{}", vector.name);
        if !vector.name.contains("hand") {
            let allowed = stream.len() + stream.len() / 50 + 4;
            assert!(
                again.len() <= allowed,
                "{}: {} for {}",
                vector.name,
                again.len(),
                stream.len()
            );
            own += again.len();
            reference += stream.len();
        }
    }
    assert!(own <= reference, "{own} bytes for {reference}");
}

#[test]
fn a_stream_cut_anywhere_is_an_error() {
    for vector in of_codec("lz") {
        let stream = vector.encoded().unwrap();
        let step = (stream.len() / 200).max(1);
        for length in (0..stream.len()).step_by(step) {
            assert!(
                decode(&stream[..length], &Limits::default()).is_err(),
                "{} {length}",
                vector.name
            );
        }
        let mut longer = stream.clone();
        longer.push(0);
        assert!(
            matches!(decode(&longer, &Limits::default()), Err(LzError::Trailing(1))),
            "{}",
            vector.name
        );
    }
}

fn stream(kind: u32, width: u32, height: u32, stride: u32, body: &[u8]) -> Vec<u8> {
    let words = [MAGIC, VERSION, kind, width, height, stride, 1];
    let header = words.iter().flat_map(|word| word.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

#[test]
fn the_worked_example_of_the_format_decodes() {
    let body = [2, 1, 2, 3, 0x80, 2, 0, 9, 0x80, 0, 3, 1, 2, 3, 4];
    let image = decoded(&stream(5, 10, 2, 10, &body));
    assert_eq!(
        image.data[..],
        [1, 2, 3, 1, 2, 3, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4]
    );
    assert_eq!(
        encode(&image).unwrap().len(),
        HEADER_BYTES + body.len() - 1,
        "matches to the very end"
    );
}

#[test]
fn bad_headers_and_runs_are_told_apart() {
    let error = |stream: &[u8]| decode(stream, &Limits::default()).unwrap_err();
    let plt8 = |width, body: &[u8]| stream(5, width, 1, width, body);
    let mut other = plt8(1, &[0, 7]);
    other[0] = 0;
    assert!(matches!(error(&other), LzError::Magic(_)));
    other = plt8(1, &[0, 7]);
    other[7] = 2;
    assert_eq!(error(&other), LzError::Version(0x0001_0002));
    assert_eq!(error(&stream(12, 1, 1, 1, &[])), LzError::Type(12));
    assert_eq!(error(&stream(0, 1, 1, 1, &[])), LzError::Type(0));
    assert_eq!(error(&plt8(0, &[])), LzError::Size { width: 0, height: 1 });
    assert_eq!(
        error(&stream(8, 2, 1, 9, &[])),
        LzError::Stride { stride: 9, needed: 8 }
    );
    assert_eq!(
        error(&plt8(4, &[0, 7, 0x20, 1])),
        LzError::Distance { at: 1, distance: 2 }
    );
    assert_eq!(error(&plt8(3, &[0x20, 0])), LzError::Distance { at: 0, distance: 1 });
    let too_long = LzError::Length {
        at: 1,
        length: 3,
        expected: 3,
    };
    assert_eq!(error(&plt8(3, &[0, 7, 0x20, 0])), too_long);
    assert!(matches!(
        error(&plt8(3, &[3, 1, 2, 3, 4])),
        LzError::Length { at: 0, length: 4, .. }
    ));
    let endless = [&[0, 7, 0xe0][..], &[255; 4000]].concat();
    assert!(matches!(
        error(&plt8(3, &endless)),
        LzError::Truncated { produced: 1, .. }
    ));
}

#[test]
fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
    let huge = stream(8, 1 << 14, 1 << 13, 4 << 14, &[0; 100]);
    assert!(matches!(decode(&huge, &Limits::default()), Err(LzError::Size { .. })));
    let large = stream(8, 8192, 8192, 4 * 8192, &[0; 100]);
    assert!(matches!(
        decode(&large, &Limits::default()),
        Err(LzError::Truncated { produced: 0, .. })
    ));
    let small = stream(5, 3, 1, 3, &[2, 1, 2, 3]);
    assert!(decode(&small, &Limits::exactly(3, 1)).is_ok());
    assert!(matches!(
        decode(&small, &Limits::exactly(2, 1)),
        Err(LzError::Size { .. })
    ));
}

#[test]
fn bitmaps_are_repacked_top_row_first() {
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
    assert_eq!((image.top_down, &image.data[..]), (true, &[4, 5, 6, 1, 2, 3][..]));
    let short = Bitmap { height: 3, ..bitmap };
    assert!(matches!(encode_bitmap(&short), Err(LzError::Data { have: 7, .. })));
}

#[test]
fn surfaces_take_the_type_that_holds_them() {
    let encoded = |format, width, stride, data: &'static [u8]| {
        let pixels = Pixels {
            format,
            width,
            height: 1,
            stride,
            data: Bytes::from_static(data),
        };
        let image = decoded(&encode_pixels(&pixels).unwrap());
        (image.kind, image.data.to_vec())
    };
    assert_eq!(
        encoded(SurfaceFormat::Xrgb, 1, 4, &[1, 2, 3, 4]),
        (LzType::Rgb32, vec![1, 2, 3, 0])
    );
    assert_eq!(
        encoded(SurfaceFormat::Argb, 1, 4, &[1, 2, 3, 4]),
        (LzType::Rgba, vec![1, 2, 3, 4])
    );
    assert_eq!(
        encoded(SurfaceFormat::Rgb555, 1, 4, &[0x34, 0x12]),
        (LzType::Rgb16, vec![0x34, 0x12])
    );
    assert_eq!(
        encoded(SurfaceFormat::Rgb565, 1, 2, &[0xe0, 7]),
        (LzType::Rgb32, vec![0, 255, 0, 0])
    );
    assert_eq!(encoded(SurfaceFormat::A8, 2, 2, &[7, 8]), (LzType::A8, vec![7, 8]));
    assert_eq!(
        encoded(SurfaceFormat::A1, 3, 1, &[0b101]),
        (LzType::A8, vec![255, 0, 255])
    );
}

/// Pictures with runs, repeats near and far, and noise.
fn picture() -> impl Strategy<Value = LzImage> {
    let piece = prop_oneof![
        (any::<u8>(), 1..400usize).prop_map(|(byte, count)| vec![byte; count]),
        vec(any::<u8>(), 1..40),
        (vec(any::<u8>(), 1..9), 1..60usize).prop_map(|(bytes, count)| bytes.repeat(count)),
    ];
    (1..=11u32, 1..60u32, 1..30u32, any::<bool>(), vec(piece, 1..30)).prop_map(
        |(kind, width, height, top_down, pieces)| {
            let bytes: Vec<u8> = pieces.concat();
            shaped(kind, width, height, top_down, bytes.into_iter().cycle())
        },
    )
}

/// Pictures of many rows of noise, some of them like earlier ones but for a few bytes: far matches of any length.
fn large_picture() -> impl Strategy<Value = LzImage> {
    let row = (
        any::<u64>(),
        0..40usize,
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    );
    (1..=11u32, 500..3000u32, vec(row, 1..60)).prop_map(|(kind, width, rows)| {
        let mut made: Vec<Vec<u8>> = Vec::new();
        for (seed, back, changes) in &rows {
            let mut row = match made.len().checked_sub(*back) {
                Some(at) if at < made.len() => made[at].clone(),
                _ => (0..u64::from(width) * 4)
                    .map(|at| (at.wrapping_add(*seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
                    .collect(),
            };
            for (at, byte) in changes {
                let at = at.index(row.len());
                row[at] = *byte;
            }
            made.push(row);
        }
        shaped(
            kind,
            width,
            rows.len() as u32,
            true,
            made.into_iter().flatten().chain(std::iter::repeat(0)),
        )
    })
}

/// A picture of these bytes; what the format does not keep is 0.
fn shaped(kind: u32, width: u32, height: u32, top_down: bool, bytes: impl Iterator<Item = u8>) -> LzImage {
    let kind = LzType::from_raw(kind).unwrap();
    let length = kind.row_bytes(width) as usize * height as usize;
    let mut data: Vec<u8> = bytes.take(length).collect();
    for (at, byte) in data.iter_mut().enumerate() {
        match kind {
            LzType::Rgb16 if at % 2 == 1 => *byte &= 0x7f,
            LzType::Rgb32 if at % 4 == 3 => *byte = 0,
            LzType::Xxxa if at % 4 != 3 => *byte = 0,
            _ => {}
        }
    }
    LzImage {
        kind,
        width,
        height,
        top_down,
        data: data.into(),
    }
}

/// What a stream decodes to as the format is written down.
fn plainly_decoded(stream: &[u8], kind: LzType, width: u32, height: u32) -> Option<Vec<u8>> {
    let header = LzHeader {
        kind,
        width,
        height,
        top_down: true,
    };
    plain::decode(header, &stream[HEADER_BYTES..])
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(image in picture()) {
        let stream = encode(&image).unwrap();
        prop_assert!(plainly_decoded(&stream, image.kind, image.width, image.height) == Some(image.data.to_vec()));
        prop_assert_eq!(decoded(&stream), image);
    }

    #[test]
    fn encoder_and_decoder_keep_nothing_of_earlier_pictures(images in vec(picture(), 2..6)) {
        let (mut encoder, mut decoder) = (LzEncoder::new(), LzDecoder::new());
        let (mut stream, mut data) = (Vec::new(), Vec::new());
        for image in images {
            encoder.encode(&image, &mut stream).unwrap();
            prop_assert!(stream == encode(&image).unwrap());
            let header = decoder.decode(&stream, &Limits::default(), &mut data).unwrap();
            prop_assert!(data == image.data);
            prop_assert_eq!((header.kind, header.width, header.height), (image.kind, image.width, image.height));
            prop_assert!(decoder.decode(&stream[..stream.len() - 1], &Limits::default(), &mut data).is_err());
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
        if let Ok(image) = decode(&stream, &limits) {
            prop_assert_eq!(image.data.len() as u64, image.kind.row_bytes(image.width) * u64::from(image.height));
        }
    }

    #[test]
    fn damaged_passes_are_taken_for_what_the_format_says(
        image in picture(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut stream = encode(&image).unwrap();
        for (at, value) in damage {
            let at = HEADER_BYTES + at.index(stream.len() - HEADER_BYTES);
            stream[at] = value;
        }
        let data = decode(&stream, &Limits::default()).ok().map(|image| image.data.to_vec());
        prop_assert!(data == plainly_decoded(&stream, image.kind, image.width, image.height));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn far_and_long_matches_come_back(image in large_picture()) {
        let stream = encode(&image).unwrap();
        prop_assert!(plainly_decoded(&stream, image.kind, image.width, image.height) == Some(image.data.to_vec()));
        prop_assert!(decoded(&stream) == image);
    }
}

#[test]
fn matches_of_every_distance_and_length_end_anywhere() {
    // Room after a match decides how it is copied.
    for distance in 1..40usize {
        for length in (1..40).chain([255, 256, 257, 300]) {
            for after in 0..20 {
                let mut body = vec![];
                for unit in 0..distance {
                    body.extend([0, unit as u8, 7, 9]);
                }
                let code = length;
                body.push((code.min(7) << 5) as u8);
                if code >= 7 {
                    body.extend(std::iter::repeat_n(255, (code - 7) / 255));
                    body.push(((code - 7) % 255) as u8);
                }
                body.push(distance as u8 - 1);
                body.extend(
                    [1, 2, 3].into_iter().cycle().take(4 * after).enumerate().map(
                        |(at, byte)| {
                            if at % 4 == 0 { 0 } else { byte }
                        },
                    ),
                );
                let width = (distance + length + after) as u32;
                for kind in [LzType::Rgb32, LzType::Rgb24] {
                    let stream = stream(kind as u32, width, 1, kind.row_bytes(width) as u32, &body);
                    assert!(plainly_decoded(&stream, kind, width, 1).unwrap() == decoded(&stream).data);
                }
            }
        }
    }
}

#[test]
fn bands_are_one_stream() {
    let (width, height) = (700u32, 1021u32);
    for kind in (1..=11).filter_map(LzType::from_raw) {
        let bytes = kind.row_bytes(width) * u64::from(height);
        // Rows that come again after a while, and some that do not.
        let byte = |at: u64| if at % 0x1_0000 < 0x8000 { at / 3 % 251 } else { (at * at) >> 7 } as u8;
        let mut image = LzImage {
            kind,
            width,
            height,
            top_down: false,
            data: (0..bytes).map(byte).collect(),
        };
        // What the type does not keep.
        image.data = decoded(&encode(&image).unwrap()).data;
        for threads in [2, 3, 16].map(|threads| NonZeroUsize::new(threads).unwrap()) {
            let mut encoder = LzEncoder::with_threads(threads);
            let mut stream = Vec::new();
            for _ in 0..2 {
                encoder.encode(&image, &mut stream).unwrap();
                assert!(decoded(&stream) == image, "{kind:?} on {threads} threads");
            }
            // A small image next.
            let small = LzImage {
                height: 1,
                data: image.data.slice(..kind.row_bytes(width) as usize),
                ..image.clone()
            };
            encoder.encode(&small, &mut stream).unwrap();
            assert!(stream == encode(&small).unwrap());
        }
    }
}
