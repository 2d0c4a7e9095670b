use caraway_ports::drawing::SurfaceFormat;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::vectors::of_codec;

/// The stored streams with the size of their images.
fn streams() -> Vec<(String, Vec<u8>, u32, u32)> {
    let vectors = of_codec("lz4");
    assert_eq!(vectors.len(), 29);
    vectors
        .into_iter()
        .map(|v| {
            (
                v.name.clone(),
                v.encoded().unwrap(),
                v.number("width"),
                v.number("height"),
            )
        })
        .collect()
}

fn decoded(stream: &[u8], width: u32, height: u32) -> Bitmap {
    decode(stream, width, height, &Limits::exactly(width, height)).unwrap()
}

#[test]
fn own_streams_decode_to_the_same_pixels_in_about_as_many_bytes_as_the_reference_takes() {
    let mut encoder = Lz4Encoder::new();
    let (mut own, mut reference) = (0, 0);
    for (name, stream, width, height) in streams() {
        let bitmap = decoded(&stream, width, height);
        let again = encoder.encode_bitmap(&bitmap).unwrap();
        assert_eq!(decoded(&again, width, height), bitmap, "{name}");
        own += again.len();
        reference += stream.len();
    }
    // Many of the stored streams are cut into more blocks than ours.
    assert!(own <= reference + reference / 50, "{own} bytes for {reference}");
}

#[test]
fn blocks_repeat_what_earlier_ones_left() {
    let linked = [
        &[1, 9, 0, 0, 0, 9, 0x80][..],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 4, 0x04, 8, 0, 0x00],
    ]
    .concat();
    let bitmap = decoded(&linked, 2, 2);
    assert_eq!(bitmap.data[..], [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        (bitmap.format, bitmap.top_down, bitmap.stride),
        (BitmapFormat::Rgba, true, 8)
    );
}

#[test]
fn large_images_are_cut_into_blocks_of_whole_rows() {
    let (width, height) = (500u32, 700u32);
    let data: Vec<u8> = (0..width * height * 4).map(|at| (at / 7 % 251) as u8).collect();
    let bitmap = Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: false,
        palette: None,
        data: data.into(),
    };
    let stream = Lz4Encoder::new().encode_bitmap(&bitmap).unwrap();
    assert_eq!(decoded(&stream, width, height), bitmap);
    for threads in [2, 3, 16].map(|threads| NonZeroUsize::new(threads).unwrap()) {
        let mut encoder = Lz4Encoder::with_threads(threads);
        for _ in 0..2 {
            assert!(encoder.encode_bitmap(&bitmap).unwrap() == stream, "{threads} threads");
        }
    }
    let mut rest = &stream[HEADER_BYTES..];
    let mut blocks = 0;
    while !rest.is_empty() {
        rest = next_block(rest).unwrap().1;
        blocks += 1;
    }
    assert_eq!(blocks, (700usize).div_ceil(BLOCK_BYTES / 2000));
}

#[test]
fn a_stream_cut_anywhere_or_too_long_is_an_error() {
    for (name, stream, width, height) in streams() {
        let limits = Limits::exactly(width, height);
        let step = (stream.len() / 500).max(1);
        for length in (0..stream.len()).step_by(step) {
            assert!(
                decode(&stream[..length], width, height, &limits).is_err(),
                "{name} {length}"
            );
        }
        let more = [&stream[..], &[0]].concat();
        assert_eq!(
            decode(&more, width, height, &limits),
            Err(Lz4Error::Length { length: 0, left: 1 }),
            "{name}"
        );
    }
}

#[test]
fn bad_headers_and_blocks_are_told_apart() {
    let error = |stream: &[u8]| decode(stream, 1, 2, &Limits::default()).unwrap_err();
    for format in [0, 1, 5, 10, 11, 255] {
        assert_eq!(error(&[1, format, 0, 0, 0, 1, 0]), Lz4Error::Format(format));
    }
    assert_eq!(
        error(&[1, 8, 0, 0, 0, 3, 0x10, 1]),
        Lz4Error::Length { length: 3, left: 2 }
    );
    assert_eq!(
        error(&[1, 8, 0xff, 0xff, 0xff, 0xff, 0]),
        Lz4Error::Length {
            length: u32::MAX,
            left: 1
        }
    );
    assert_eq!(
        error(&[1, 8, 0, 0, 0, 0, 0, 0]),
        Lz4Error::Length { length: 0, left: 2 }
    );
    let reason = |block: &[u8]| {
        let stream = [&[1, 8, 0, 0, 0, block.len() as u8][..], block].concat();
        match error(&stream) {
            Lz4Error::Block {
                produced: 0,
                expected: 8,
                reason,
            } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        reason(&[0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        "it holds more than the image"
    );
    assert_eq!(reason(&[0x1f, 1, 1, 0, 255, 0, 0]), "it holds more than the image");
    assert_eq!(reason(&[0x40, 1, 2]), "a literal run reaches past its end");
    assert_eq!(reason(&[0x10, 1, 2]), "it ends within a sequence");
    assert_eq!(reason(&[0x10, 1, 0, 0, 0]), "a match has offset 0");
    assert_eq!(reason(&[0x10, 1, 2, 0, 0]), "a match reaches before the image");
    assert_eq!(reason(&[0x00]), "it holds nothing");
    assert_eq!(
        error(&[1, 8, 0, 0, 0, 2, 0x10, 1]),
        Lz4Error::Truncated {
            produced: 1,
            expected: 8
        }
    );
}

#[test]
fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
    let size = |width, height| decode(&[1, 8, 0, 0, 0, 1, 0], width, height, &Limits::default());
    for (width, height) in [
        (0, 1),
        (1, 0),
        (1 << 13, (1 << 13) + 1),
        ((1 << 20) + 1, 1),
        (u32::MAX, u32::MAX),
    ] {
        assert_eq!(size(width, height), Err(Lz4Error::Size { width, height }));
    }
    let expected = 4 << 26;
    assert_eq!(
        size(1 << 13, 1 << 13),
        Err(Lz4Error::Truncated { produced: 0, expected })
    );
    let wide = Limits {
        max_width: u32::MAX,
        max_height: u32::MAX,
        max_pixels: u64::MAX,
    };
    let (width, height) = (1 << 30, 1);
    assert_eq!(
        decode(&[1, 8, 0, 0, 0, 1, 0], width, height, &wide),
        Err(Lz4Error::Size { width, height })
    );
}

#[test]
fn surfaces_take_the_format_that_holds_them() {
    let pixels = Pixels {
        format: SurfaceFormat::Argb,
        width: 1,
        height: 2,
        stride: 5,
        data: Bytes::from_static(&[1, 2, 3, 4, 9, 5, 6, 7, 8]),
    };
    let bitmap = decoded(&Lz4Encoder::new().encode_pixels(&pixels).unwrap(), 1, 2);
    assert_eq!(
        (bitmap.format, &bitmap.data[..]),
        (BitmapFormat::Rgba, &[1, 2, 3, 4, 5, 6, 7, 8][..])
    );
    let alpha = Pixels {
        format: SurfaceFormat::A8,
        ..pixels
    };
    let refused = Lz4Error::Source(SourceError::Surface(SurfaceFormat::A8));
    assert_eq!(Lz4Encoder::new().encode_pixels(&alpha), Err(refused));
}

proptest! {
    #[test]
    fn damaged_streams_decode_or_fail_without_harm(
        which in any::<prop::sample::Index>(), damage in vec((any::<prop::sample::Index>(), 0..8u32), 1..6),
    ) {
        let all = streams();
        let (_, stream, width, height) = which.get(&all);
        let mut stream = stream.clone();
        for (at, bit) in damage {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        if let Ok(bitmap) = decode(&stream, *width, *height, &Limits::exactly(*width, *height)) {
            prop_assert_eq!(bitmap.data.len() as u64, bitmap.format.row_bytes(*width) * u64::from(*height));
        }
    }
}
