use proptest::{collection::vec, prelude::*};

use super::*;
use crate::vectors::{Vector, of_codec, psnr};

/// The rows a stream of the reference was made from.
pub(super) fn source(vector: &Vector) -> Bitmap {
    Bitmap {
        format: BitmapFormat::from_raw(vector.number("type") as u8).unwrap(),
        width: vector.number("width"),
        height: vector.number("height"),
        stride: vector.number("stride"),
        top_down: vector.top_down(),
        palette: None,
        data: vector.raw().unwrap().into(),
    }
}

/// A smooth picture of `width` x `height` pixels.
fn picture(width: u32, height: u32) -> Bitmap {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [(x * 3) as u8, (y * 5) as u8, (x + y) as u8, 9]));
    Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: pixels.flatten().collect(),
    }
}

fn streams() -> Vec<(String, Vec<u8>)> {
    let images = of_codec("jpeg")
        .into_iter()
        .map(|v| (v.name.clone(), v.encoded().unwrap()));
    let frames = of_codec("mjpeg");
    let frames = frames.iter().flat_map(Vector::frames);
    let frames = frames.map(|frame| (frame.name.clone(), frame.encoded().unwrap()));
    images.chain(frames).collect()
}

#[test]
fn own_streams_are_as_long_and_as_near_as_those_of_the_reference() {
    let vectors = of_codec("jpeg");
    assert_eq!(vectors.len(), 7);
    for vector in vectors {
        let (source, theirs) = (source(&vector), vector.encoded().unwrap());
        let ours = encode_bitmap(&source, vector.number("quality") as u8).unwrap();
        assert!(ours.len() <= theirs.len() * 103 / 100, "{} {}", vector.name, ours.len());
        assert_eq!(quantisation(&ours), quantisation(&theirs), "{}", vector.name);
        let shown = decode(&ours, &Limits::default()).unwrap();
        let near = psnr(&shown, &source);
        assert!(near >= vector.decibels() - 0.5, "{} {near}", vector.name);
    }
}

/// The content of all quantisation tables, one after the other.
fn quantisation(stream: &[u8]) -> Vec<u8> {
    let mut tables = Vec::new();
    for at in 0..stream.len() - 1 {
        if stream[at..at + 2] == [0xff, 0xdb] {
            let length = usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]));
            tables.extend_from_slice(&stream[at + 4..at + 2 + length]);
        }
        if stream[at..at + 2] == [0xff, 0xda] {
            break;
        }
    }
    assert_eq!(tables.len(), 2 * 65);
    tables
}

#[test]
fn the_quality_follows_the_usual_rule() {
    let first = |quality| quantisation(&encode_bitmap(&picture(8, 8), quality).unwrap())[1];
    // The first entry of annex K is 16.
    let scaled = [
        (1, 255),
        (10, 80),
        (25, 32),
        (49, 16),
        (50, 16),
        (75, 8),
        (85, 5),
        (100, 1),
        (0, 255),
    ];
    for (quality, entry) in scaled {
        assert_eq!(first(quality), entry, "quality {quality}");
    }
}

#[test]
fn all_frames_of_a_video_but_the_first_come_without_tables() {
    for vector in of_codec("mjpeg") {
        for (index, frame) in vector.frames().into_iter().enumerate() {
            let read = Frame::read(&frame.encoded().unwrap(), &Limits::default()).unwrap();
            assert_eq!(read.has_tables, index == 0, "{}", frame.name);
        }
    }
}

/// What other encoders make of the same picture.
fn foreign(change: impl FnOnce(&mut Encoder<&mut Vec<u8>>), colours: ColorType) -> Vec<u8> {
    let source = picture(50, 37);
    let grey: Vec<u8> = source.data.as_chunks::<4>().0.iter().map(|pixel| pixel[1]).collect();
    let mut stream = Vec::new();
    let mut encoder = Encoder::new(&mut stream, 95);
    change(&mut encoder);
    let pixels = if colours == ColorType::Luma {
        &grey[..]
    } else {
        &source.data[..]
    };
    encoder.encode(pixels, 50, 37, colours).unwrap();
    stream
}

#[test]
fn baseline_streams_of_other_encoders_decode() {
    use SamplingFactor::{F_1_1, F_1_2, F_1_4, F_2_1, F_2_2, F_4_1, F_4_2};
    let near = |stream: &[u8]| psnr(&decode(stream, &Limits::exactly(50, 37)).unwrap(), &picture(50, 37));
    for factors in [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1, F_4_2, F_1_4] {
        let stream = foreign(|encoder| encoder.set_sampling_factor(factors), ColorType::Bgra);
        assert!(near(&stream) > 30.0, "{factors:?} {}", near(&stream));
        let stream = foreign(
            |encoder| {
                encoder.set_sampling_factor(factors);
                encoder.set_restart_interval(3);
            },
            ColorType::Bgra,
        );
        assert!(near(&stream) > 30.0, "{factors:?} with restarts: {}", near(&stream));
    }
    let stream = foreign(|encoder| encoder.set_optimized_huffman_tables(true), ColorType::Bgra);
    assert!(near(&stream) > 30.0);
    let grey = decode(&foreign(|_| {}, ColorType::Luma), &Limits::exactly(50, 37)).unwrap();
    for ([b, g, r, x], source) in grey
        .data
        .as_chunks()
        .0
        .iter()
        .zip(picture(50, 37).data.as_chunks::<4>().0)
    {
        assert!(b == g && g == r && *x == 0 && g.abs_diff(source[1]) < 8);
    }
}

#[test]
fn other_kinds_of_frames_are_refused() {
    let progressive = foreign(|encoder| encoder.set_progressive(true), ColorType::Bgra);
    assert_eq!(
        decode(&progressive, &Limits::default()),
        Err(JpegError::NotBaseline(0xc2))
    );
    let good = encode_bitmap(&picture(16, 16), 50).unwrap();
    let frame = good.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let with = |at: usize, value: u8| {
        let mut stream = good.clone();
        stream[frame + at] = value;
        decode(&stream, &Limits::default()).unwrap_err()
    };
    for marker in [0xc1, 0xc3, 0xc5, 0xc9, 0xcc, 0xcf] {
        assert_eq!(with(1, marker), JpegError::NotBaseline(marker));
    }
    assert_eq!(with(4, 12), JpegError::Precision(12));
    assert_eq!(with(9, 4), JpegError::Components(4));
    assert_eq!(with(9, 0), JpegError::Components(0));
    assert!(matches!(with(9, 1), JpegError::Segment { marker: 0xc0, .. }));
    let factors = |component, horizontal, vertical| JpegError::Sampling {
        component,
        horizontal,
        vertical,
    };
    assert_eq!(with(11, 0x51), factors(0, 5, 1));
    assert_eq!(with(11, 0x20), factors(0, 2, 0));
    assert_eq!(with(14, 0x15), factors(1, 1, 5));
    assert_eq!(with(17, 0x00), factors(2, 0, 0));
    assert_eq!(with(6, 0), JpegError::Size { width: 16, height: 0 });
    assert_eq!(with(8, 0), JpegError::Size { width: 0, height: 16 });
    assert!(matches!(
        with(1, 0xfe),
        JpegError::Scans {
            frames: 0,
            scans: 1,
            ..
        }
    ));
    assert!(matches!(with(3, 1), JpegError::Segment { length: 1, .. }));
}

#[test]
fn markers_out_of_place_are_told_apart() {
    let error = |stream: &[u8]| decode(stream, &Limits::default()).unwrap_err();
    assert_eq!(error(&[]), JpegError::Truncated(0));
    assert_eq!(error(&[0xff]), JpegError::Truncated(1));
    assert_eq!(error(b"GIF89a"), JpegError::NoMarker(0));
    assert_eq!(error(&[0xff, 0xda]), JpegError::NoMarker(0));
    assert_eq!(error(&[0xff, 0xd8, 0x12]), JpegError::NoMarker(2));
    assert_eq!(error(&[0xff, 0xd8, 0xff, 0]), JpegError::NoMarker(2));
    assert_eq!(error(&[0xff, 0xd8, 0xff, 0xe0, 0, 9, 1]), JpegError::Truncated(7));
    let nothing = JpegError::Scans {
        frames: 0,
        scans: 0,
        components: 0,
    };
    assert_eq!(error(&[0xff, 0xd8, 0xff, 0xd9]), nothing);
    let good = encode_bitmap(&picture(16, 16), 50).unwrap();
    let frame = good.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let twice = [&good[..frame + 19], &good[frame..]].concat();
    assert!(matches!(error(&twice), JpegError::Scans { frames: 2, .. }));
    let scan = good.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let scans = [
        &good[..good.len() - 2],
        &good[scan..good.len() - 2].repeat(3),
        &good[good.len() - 2..],
    ]
    .concat();
    assert!(matches!(
        error(&scans),
        JpegError::Scans {
            scans: 4,
            components: 3,
            ..
        }
    ));
    // Bytes after the end mean nothing.
    let longer = [&good[..], &[0xff, 0xd8, 1]].concat();
    assert_eq!(decode(&longer, &Limits::default()), decode(&good, &Limits::default()));
}

#[test]
fn every_cut_is_an_error() {
    for (name, stream) in streams() {
        for length in 0..stream.len() {
            let error = decode(&stream[..length], &Limits::default()).unwrap_err();
            assert!(matches!(error, JpegError::Truncated(_)), "{name} {length}: {error}");
        }
    }
}

#[test]
fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
    let good = encode_bitmap(&picture(16, 16), 50).unwrap();
    let frame = good.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let sized = |width: u16, height: u16, limits| {
        let mut stream = good.clone();
        stream[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        stream[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        decode(&stream, &limits)
    };
    assert!(sized(16, 16, Limits::exactly(16, 16)).is_ok());
    let over = Err(JpegError::Size { width: 16, height: 16 });
    assert_eq!(sized(16, 16, Limits::exactly(15, 16)), over);
    assert_eq!(
        sized(u16::MAX, u16::MAX, Limits::default()),
        Err(JpegError::Size {
            width: 65535,
            height: 65535
        })
    );
    assert_eq!(
        sized(8192, 8192, Limits::default()),
        Err(JpegError::Short {
            have: good.len(),
            width: 8192,
            height: 8192
        })
    );
}

#[test]
fn a_frame_is_the_same_picture_in_fewer_bytes() {
    for (size, quality) in [(17, 20), (64, 50), (200, 80)] {
        let bitmap = picture(size, size);
        let (frame, image) = (
            encode_frame(&bitmap, quality).unwrap(),
            encode_bitmap(&bitmap, quality).unwrap(),
        );
        assert_eq!(decode(&frame, &Limits::default()), decode(&image, &Limits::default()));
        assert!(frame.len() < image.len(), "{} {}", frame.len(), image.len());
    }
}

#[test]
fn what_cannot_be_encoded_is_told_apart() {
    let mut bitmap = picture(1, 1);
    bitmap.format = BitmapFormat::Bit8;
    let refused = JpegError::Source(SourceError::Format(BitmapFormat::Bit8));
    assert_eq!(encode_bitmap(&bitmap, 85), Err(refused));
    let wide = JpegError::Size {
        width: 65536,
        height: 1,
    };
    assert_eq!(encode_bitmap(&picture(65536, 1), 85), Err(wide));
    let widest = encode_bitmap(&picture(65535, 1), 85).unwrap();
    assert_eq!(decode(&widest, &Limits::default()).unwrap().width, 65535);
}

proptest! {
    #[test]
    fn damaged_streams_decode_or_fail_without_harm(
        which in any::<prop::sample::Index>(), damage in vec((any::<prop::sample::Index>(), 0..8u32), 1..8),
    ) {
        let all = streams();
        let mut stream = which.get(&all).1.clone();
        for (at, bit) in damage {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        let limits = Limits { max_pixels: 1 << 18, ..Limits::default() };
        if let Ok(image) = decode(&stream, &limits) {
            prop_assert_eq!(image.data.len() as u64, u64::from(image.width) * u64::from(image.height) * 4);
        }
    }
}
