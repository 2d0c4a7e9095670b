use caraway_ports::drawing::SurfaceFormat;
use proptest::{collection::vec, prelude::*};

use super::{tests::source, *};
use crate::{
    lz::{self, LzImage, LzType},
    vectors::{of_codec, psnr},
};

/// The stored streams: name, data, bytes of JPEG, row order.
fn streams() -> Vec<(String, Vec<u8>, usize, bool)> {
    let vectors = of_codec("jpeg-alpha");
    assert_eq!(vectors.len(), 5);
    let stream = |v: crate::vectors::Vector| {
        let jpeg_size = v.number("jpeg_size") as usize;
        (
            v.name.clone(),
            v.encoded().unwrap(),
            jpeg_size,
            v.number("flags") & 1 == 1,
        )
    };
    vectors.into_iter().map(stream).collect()
}

fn rows(bitmap: &Bitmap) -> Vec<&[u8]> {
    (0..bitmap.height).map(|y| bitmap.row(y).unwrap()).collect()
}

fn alpha(bitmap: &Bitmap) -> Vec<u8> {
    rows(bitmap).concat().iter().skip(3).step_by(4).copied().collect()
}

#[test]
fn own_streams_keep_alpha_and_are_as_near_as_those_of_the_reference() {
    for vector in of_codec("jpeg-alpha") {
        let source = source(&vector);
        let ours = encode_alpha_bitmap(&source, vector.number("quality") as u8).unwrap();
        let allowed = vector.number("data_size") as usize * 103 / 100 + 4;
        assert!(ours.data.len() <= allowed, "{} {}", vector.name, ours.data.len());
        assert_eq!(ours.top_down, vector.top_down());
        let limits = Limits::exactly(source.width, source.height);
        let shown = decode_alpha(&ours.data, ours.jpeg_size, ours.top_down, &limits).unwrap();
        assert_eq!(alpha(&shown), alpha(&source), "{}", vector.name);
        let near = psnr(&shown, &source);
        assert!(near >= vector.decibels() - 0.5, "{} {near}", vector.name);
    }
}

#[test]
fn parts_of_argb_surfaces_are_encoded_and_no_others() {
    let pixels = Pixels {
        format: SurfaceFormat::Argb,
        width: 1,
        height: 2,
        stride: 4,
        data: Bytes::from_static(&[9, 9, 9, 7, 9, 9, 9, 200]),
    };
    let image = encode_alpha_pixels(&pixels, QUALITY).unwrap();
    let shown = decode_alpha(&image.data, image.jpeg_size, true, &Limits::exactly(1, 2)).unwrap();
    assert_eq!(
        (shown.format, shown.top_down, alpha(&shown)),
        (BitmapFormat::Rgba, true, vec![7, 200])
    );
    let without = Pixels {
        format: SurfaceFormat::Xrgb,
        ..pixels
    };
    assert_eq!(
        encode_alpha_pixels(&without, QUALITY),
        Err(JpegError::NoAlpha(BitmapFormat::Bit32))
    );
}

#[test]
fn parts_that_do_not_fit_are_told_apart() {
    let (_, data, jpeg_size, top_down) = streams().remove(0);
    let limits = Limits::default();
    assert!(decode_alpha(&data, jpeg_size, top_down, &limits).is_ok());
    assert_eq!(
        decode_alpha(&data, data.len() + 1, top_down, &limits),
        Err(JpegError::Parts {
            jpeg_size: data.len() + 1,
            data_size: data.len()
        })
    );
    assert_eq!(
        decode_alpha(&data, jpeg_size, !top_down, &limits),
        Err(JpegError::AlphaOrder(top_down))
    );
    assert!(matches!(
        decode_alpha(&data, data.len(), top_down, &limits),
        Err(JpegError::Alpha(LzError::Truncated { .. }))
    ));
    assert!(matches!(
        decode_alpha(&data, jpeg_size - 1, top_down, &limits),
        Err(JpegError::Truncated(_))
    ));
    let with = |kind: LzType, width, height| {
        let image = LzImage {
            kind,
            width,
            height,
            top_down,
            data: vec![0; kind.row_bytes(width) as usize * height as usize].into(),
        };
        let other = [&data[..jpeg_size], &lz::encode(&image).unwrap()].concat();
        decode_alpha(&other, jpeg_size, top_down, &limits).map(|_| ())
    };
    assert_eq!(with(LzType::Xxxa, 80, 56), Ok(()));
    assert_eq!(with(LzType::Rgba, 80, 56), Err(JpegError::AlphaType(9)));
    assert_eq!(with(LzType::A8, 80, 56), Err(JpegError::AlphaType(11)));
    let size = |width, height| JpegError::AlphaSize { width, height };
    assert_eq!(with(LzType::Xxxa, 79, 56), Err(size(79, 56)));
    assert_eq!(with(LzType::Xxxa, 80, 55), Err(size(80, 55)));
    assert!(matches!(
        with(LzType::Xxxa, 81, 56),
        Err(JpegError::Alpha(LzError::Size { .. }))
    ));
}

#[test]
fn every_cut_is_an_error() {
    for (name, data, jpeg_size, top_down) in streams() {
        for length in 0..data.len() {
            let cut = decode_alpha(&data[..length], jpeg_size, top_down, &Limits::default());
            assert!(cut.is_err(), "{name} {length}");
        }
    }
}

proptest! {
    #[test]
    fn damaged_streams_decode_or_fail_without_harm(
        which in any::<prop::sample::Index>(), damage in vec((any::<prop::sample::Index>(), 0..8u32), 1..8),
    ) {
        let all = streams();
        let (_, data, jpeg_size, top_down) = which.get(&all);
        let mut data = data.clone();
        for (at, bit) in damage {
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
        }
        let limits = Limits { max_pixels: 1 << 18, ..Limits::default() };
        if let Ok(image) = decode_alpha(&data, *jpeg_size, *top_down, &limits) {
            prop_assert_eq!(image.data.len() as u64, u64::from(image.width) * u64::from(image.height) * 4);
        }
    }
}
