use openh264::decoder::Decoder;

use super::*;
use crate::vectors::psnr;

const TARGET: Target = Target {
    bits_per_second: 5_000_000,
    frames_per_second: 25,
};

/// A smooth picture that is another one with every `shift`.
fn picture(format: BitmapFormat, width: u32, height: u32, shift: u32) -> Bitmap {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let colours = pixels.map(|(x, y)| [(x / 2 + shift) as u8, (y / 2 + 3 * shift) as u8, ((x + y) / 4) as u8]);
    let data: Vec<u8> = match format {
        BitmapFormat::Bit16 => colours
            .flat_map(|[b, g, r]| (u16::from(b >> 3) | u16::from(g >> 3) << 5 | u16::from(r >> 3) << 10).to_le_bytes())
            .collect(),
        BitmapFormat::Bit24 => colours.flatten().collect(),
        _ => colours.flat_map(|[b, g, r]| [b, g, r, 9]).collect(),
    };
    Bitmap {
        format,
        width,
        height,
        stride: format.row_bytes(width) as u32,
        top_down: true,
        palette: None,
        data: data.into(),
    }
}

/// What a decoder that has decoded all before shows.
fn decoded(decoder: &mut Decoder, unit: &AccessUnit) -> Bitmap {
    let shown = decoder.decode(&unit.data).unwrap().expect("a picture");
    let (width, height) = shown.dimensions();
    let mut rgb = vec![0; width * height * 3];
    shown.write_rgb8(&mut rgb);
    let pixels = rgb.as_chunks::<3>().0.iter().map(|[r, g, b]| [*b, *g, *r, 0]);
    Bitmap {
        format: BitmapFormat::Bit32,
        width: width as u32,
        height: height as u32,
        stride: width as u32 * 4,
        top_down: true,
        palette: None,
        data: pixels.flatten().collect(),
    }
}

/// Types of the NAL units.
fn units(stream: &[u8]) -> Vec<u8> {
    let starts = stream.windows(4).filter(|at| at[..3] == [0, 0, 1]);
    starts.map(|at| at[3] & 31).collect()
}

#[test]
fn what_is_decoded_is_near_to_what_was_encoded_in_every_format_and_order_of_rows() {
    for format in [
        BitmapFormat::Bit16,
        BitmapFormat::Bit24,
        BitmapFormat::Bit32,
        BitmapFormat::Rgba,
    ] {
        for top_down in [true, false] {
            let (mut encoder, mut decoder) = (H264Encoder::new(), Decoder::new().unwrap());
            for shift in 0..10 {
                let source = Bitmap {
                    top_down,
                    ..picture(format, 200, 120, shift)
                };
                let unit = encoder.encode(&source, TARGET).unwrap().unwrap();
                assert_eq!(unit.begins, shift == 0);
                let near = psnr(&decoded(&mut decoder, &unit), &source);
                assert!(near > 33.0, "{format:?} {top_down} picture {shift}: {near} dB");
            }
        }
    }
}

#[test]
fn a_stream_begins_with_parameter_sets_and_goes_on_with_differences() {
    let mut encoder = H264Encoder::new();
    let first = encoder
        .encode(&picture(BitmapFormat::Bit32, 320, 240, 0), TARGET)
        .unwrap()
        .unwrap();
    assert_eq!(first.data[..4], [0, 0, 0, 1]);
    assert_eq!(units(&first.data), [7, 8, 5]);
    for shift in 1..40 {
        let next = encoder
            .encode(&picture(BitmapFormat::Bit32, 320, 240, shift), TARGET)
            .unwrap()
            .unwrap();
        assert_eq!((units(&next.data), next.begins), (vec![1], false), "picture {shift}");
    }
}

#[test]
fn another_size_or_rate_begins_anew_in_the_same_stream() {
    let (mut encoder, mut decoder) = (H264Encoder::new(), Decoder::new().unwrap());
    let slow = Target {
        bits_per_second: 300_000,
        ..TARGET
    };
    let steps = [
        (320, 240, TARGET, true),
        (320, 240, TARGET, false),
        (160, 96, TARGET, true),
        (160, 96, slow, true),
        (160, 96, slow, false),
        (1024, 768, slow, true),
        (64, 64, slow, true),
        (66, 2000, TARGET, true),
    ];
    for (shift, (width, height, target, begins)) in steps.into_iter().enumerate() {
        let source = picture(BitmapFormat::Bit32, width, height, shift as u32);
        let unit = encoder.encode(&source, target).unwrap().unwrap();
        assert_eq!(unit.begins, begins, "{width}x{height}");
        let shown = decoded(&mut decoder, &unit);
        assert_eq!((shown.width, shown.height), (width, height));
        let near = psnr(&shown, &source);
        assert!(near > 28.0, "{width}x{height}: {near} dB");
    }
}

#[test]
fn the_rate_is_held() {
    // Noise that is another one in every frame, in squares of four pixels.
    let noise = |frame: u32| {
        let pixel = |at: u32| {
            let (x, y) = (at % 320 / 4, at / 320 / 4);
            (x * 7919 + y * 104_729 + frame * 15_485_863).wrapping_mul(2_654_435_761) >> 8
        };
        Bitmap {
            data: (0..320 * 240).flat_map(|at| pixel(at).to_le_bytes()).collect(),
            ..picture(BitmapFormat::Bit32, 320, 240, 0)
        }
    };
    for bits_per_second in [8_000_000, 4_000_000, 2_000_000] {
        let mut encoder = H264Encoder::new();
        let target = Target {
            bits_per_second,
            frames_per_second: 25,
        };
        let units = (0..100).map(|frame| encoder.encode(&noise(frame), target).unwrap());
        let bytes: usize = units.flatten().map(|unit| unit.data.len()).sum();
        // Four seconds.
        let ratio = bytes as f64 * 8.0 / 4.0 / f64::from(bits_per_second);
        assert!((0.7..1.1).contains(&ratio), "{ratio} of {bits_per_second}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused_and_the_next_picture_begins_anew() {
    let size = |width, height| Err(H264Error::Size { width, height });
    let sizes = [
        (0, 0),
        (63, 64),
        (64, 62),
        (321, 240),
        (320, 241),
        (3842, 64),
        (2162, 2162),
        (u32::MAX, 2),
        (u32::MAX - 1, u32::MAX - 1),
    ];
    let mut encoder = H264Encoder::new();
    let good = picture(BitmapFormat::Bit32, 64, 64, 0);
    for (width, height) in sizes {
        assert!(!fits(width, height));
        assert!(encoder.encode(&good, TARGET).unwrap().unwrap().begins);
        let hollow = Bitmap {
            width,
            height,
            ..good.clone()
        };
        assert_eq!(encoder.encode(&hollow, TARGET), size(width, height));
    }
    let short = Bitmap {
        width: 3840,
        height: 2160,
        stride: 3840 * 4,
        ..good.clone()
    };
    assert!(matches!(
        encoder.encode(&short, TARGET),
        Err(H264Error::Source(SourceError::Data { .. }))
    ));
    let indices = Bitmap {
        format: BitmapFormat::Bit8,
        ..good.clone()
    };
    assert_eq!(
        encoder.encode(&indices, TARGET),
        Err(H264Error::Source(SourceError::Format(BitmapFormat::Bit8)))
    );
    for bits_per_second in [0, u32::MAX] {
        let target = Target {
            bits_per_second,
            frames_per_second: bits_per_second,
        };
        assert!(encoder.encode(&good, target).unwrap().unwrap().begins);
    }
}

#[test]
fn the_largest_picture_is_encoded() {
    assert!(fits(3840, 2160) && fits(2160, 3840));
    let source = picture(BitmapFormat::Bit32, 3840, 2160, 0);
    let unit = H264Encoder::new().encode(&source, TARGET).unwrap().unwrap();
    let shown = decoded(&mut Decoder::new().unwrap(), &unit);
    assert_eq!((shown.width, shown.height), (3840, 2160));
}
