//! The decoders, each given a stream as it comes.

use caraway_image::{
    Limits,
    lz::{self, LzImage, LzType},
    quic,
};

use crate::MAX_PIXELS;

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
