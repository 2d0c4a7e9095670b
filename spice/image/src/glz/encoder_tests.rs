use std::{iter, num::NonZeroUsize};

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, SurfaceFormat},
};
use proptest::{collection::vec, prelude::*};

use super::{
    records::{budget, records, sequences, source},
    *,
};
use crate::{Limits, SourceError};

fn window(pixels: u32) -> Window {
    Window::new(WindowBudget {
        max_pixels: u64::from(pixels),
        max_images: 1 << 16,
    })
}

fn decoded(window: &mut Window, stream: &GlzStream) -> GlzImage {
    let image = window.decode(&stream.data, &Limits::default()).unwrap();
    assert_eq!((image.id, image.win_head_dist), (stream.id, stream.win_head_dist));
    image
}

/// A picture of the colours `value` gives, top row first.
fn picture(width: u32, height: u32, value: impl Fn(u32, u32) -> u32) -> Bitmap {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: pixels
            .flat_map(|(x, y)| (value(x, y) & 0x00ff_ffff).to_le_bytes())
            .collect(),
    }
}

/// A number without pattern.
fn noise(x: u32, y: u32) -> u32 {
    let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d) >> 3
}

#[test]
fn own_streams_decode_to_the_same_pixels_and_are_no_longer_than_those_of_the_reference() {
    let (mut own, mut reference) = (0, 0);
    for vector in sequences() {
        let mut theirs = Window::new(WindowBudget::for_window(1 << 24));
        let mut dictionary = Dictionary::new(vector.number("window_pixels")).unwrap();
        let mut ours = Window::new(budget(&vector));
        for record in records(&vector) {
            let image = theirs.decode(&record.stream, &Limits::default()).unwrap();
            // In the order the reference had them.
            let rows = Bitmap {
                top_down: true,
                ..source(&image)
            };
            let stream = dictionary.encode_bitmap(&rows).unwrap();
            let again = decoded(&mut ours, &stream);
            assert_eq!(again.kind, image.kind);
            assert_eq!(again.bitmap.data, image.bitmap.data, "{} {}", vector.name, image.id);
            let (length, allowed) = (stream.data.len(), record.stream.len() * 103 / 100);
            assert!(
                length <= allowed,
                "{} {}: {length} for {allowed}",
                vector.name,
                image.id
            );
            own += length;
            reference += record.stream.len();
        }
        assert_eq!(dictionary.held_pixels() as u64, ours.held_pixels(), "{}", vector.name);
        assert_eq!(dictionary.held_images(), ours.held_images(), "{}", vector.name);
    }
    assert!(own <= reference, "{own} bytes for {reference}");
}

/// The rows, top one first.
fn rows(bitmap: &Bitmap) -> Vec<&[u8]> {
    (0..bitmap.height).map(|y| bitmap.row(y).unwrap()).collect()
}

#[test]
fn images_leave_whole_when_newer_ones_need_their_room() {
    let mut dictionary = Dictionary::new(1000).unwrap();
    let mut client = window(1000);
    // Pixels of each image, then how far it may refer back and what the dictionary holds with it.
    for (id, (pixels, back, held)) in [
        (400, 0, 400),
        (300, 1, 700),
        (300, 2, 1000),
        (1, 2, 601),
        (399, 3, 1000),
        (999, 0, 999),
        (1, 1, 1000),
        (2, 1, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let stream = dictionary.encode_bitmap(&picture(pixels, 1, noise)).unwrap();
        assert_eq!((stream.id, stream.win_head_dist), (id as u64, back));
        assert_eq!(dictionary.held_pixels(), held);
        decoded(&mut client, &stream);
        assert_eq!(client.held_pixels(), held as u64);
    }
}

#[test]
fn an_image_as_large_as_the_window_is_refused_and_spends_no_number() {
    let mut dictionary = Dictionary::new(100).unwrap();
    assert!(dictionary.takes(99, 1) && !dictionary.takes(10, 10) && !dictionary.takes(u32::MAX, u32::MAX));
    let refused = DictionaryError::TooLarge {
        pixels: 100,
        window: 100,
    };
    let large = picture(10, 10, |_, _| 0);
    assert_eq!(dictionary.encode_bitmap(&large), Err(refused));
    let mut short = large.clone();
    short.data = Bytes::new();
    let error = dictionary.encode_bitmap(&short).unwrap_err();
    assert_eq!(
        error,
        DictionaryError::Source(SourceError::Data { have: 0, needed: 400 })
    );
    assert_eq!(dictionary.encode_bitmap(&picture(33, 3, |_, _| 0)).unwrap().id, 0);
    let none = Dictionary::new(0).unwrap().encode_bitmap(&picture(1, 1, |_, _| 0));
    assert_eq!(none, Err(DictionaryError::TooLarge { pixels: 1, window: 0 }));
}

#[test]
fn windows_are_at_most_what_offsets_reach() {
    assert!(Dictionary::new(MAX_WINDOW_PIXELS).is_ok());
    for pixels in [MAX_WINDOW_PIXELS + 1, u32::MAX] {
        assert_eq!(
            Dictionary::new(pixels).err(),
            Some(DictionaryError::WindowTooLarge(pixels))
        );
    }
}

#[test]
fn a_frozen_dictionary_goes_on_elsewhere_with_the_next_number_and_no_images() {
    let mut dictionary = Dictionary::new(5000).unwrap();
    let mut client = window(5000);
    let image = picture(40, 40, noise);
    for _ in 0..3 {
        decoded(&mut client, &dictionary.encode_bitmap(&image).unwrap());
    }
    let state = dictionary.freeze();
    assert_eq!(
        state,
        DictionaryState {
            window_pixels: 5000,
            next_id: 3
        }
    );
    assert_eq!(dictionary.encode_bitmap(&image), Err(DictionaryError::Frozen(3)));
    assert!(!dictionary.takes(1, 1));

    let mut target = Dictionary::resume(state).unwrap();
    let stream = target.encode_bitmap(&image).unwrap();
    assert_eq!((stream.id, stream.win_head_dist), (3, 0));
    decoded(&mut client, &stream);
    assert_eq!(
        client.held_images(),
        1,
        "what the source sent is never referred to again"
    );
    let next = target.encode_bitmap(&image).unwrap();
    assert_eq!((next.id, next.win_head_dist), (4, 1));
    assert!(next.data.len() < stream.data.len() / 10);
    decoded(&mut client, &next);

    dictionary.thaw();
    assert_eq!(dictionary.encode_bitmap(&image).unwrap().id, 3);
}

#[test]
fn the_last_number_is_not_given_out() {
    let state = DictionaryState {
        window_pixels: 100,
        next_id: u64::MAX - 1,
    };
    let mut dictionary = Dictionary::resume(state).unwrap();
    let image = picture(2, 2, |_, _| 7);
    let stream = dictionary.encode_bitmap(&image).unwrap();
    assert_eq!(stream.id, u64::MAX - 1);
    decoded(&mut window(100), &stream);
    assert_eq!(dictionary.encode_bitmap(&image), Err(DictionaryError::Spent(u64::MAX)));
}

#[test]
fn images_of_other_types_are_not_referred_to() {
    let mut dictionary = Dictionary::new(1 << 20).unwrap();
    let mut client = window(1 << 20);
    let wide = picture(50, 50, noise);
    let as_alpha = Bitmap {
        format: BitmapFormat::Rgba,
        ..wide.clone()
    };
    let first = dictionary.encode_bitmap(&wide).unwrap();
    let other = dictionary.encode_bitmap(&as_alpha).unwrap();
    let again = dictionary.encode_bitmap(&wide).unwrap();
    assert!(other.data.len() > 7000 && again.data.len() < 60, "{}", again.data.len());
    for stream in [&first, &other, &again] {
        assert_eq!(decoded(&mut client, stream).bitmap.data, wide.data);
    }
}

#[test]
fn rows_are_taken_from_the_top_and_parts_of_surfaces_as_they_are() {
    let mut dictionary = Dictionary::new(1 << 20).unwrap();
    let mut client = window(1 << 20);
    let upside_down = Bitmap {
        format: BitmapFormat::Bit24,
        width: 1,
        height: 2,
        stride: 4,
        top_down: false,
        palette: None,
        data: Bytes::from_static(&[1, 2, 3, 9, 4, 5, 6]),
    };
    let image = decoded(&mut client, &dictionary.encode_bitmap(&upside_down).unwrap());
    assert_eq!((image.kind, image.bitmap.top_down), (GlzType::Rgb24, true));
    assert_eq!(image.bitmap.data[..], [4, 5, 6, 0, 1, 2, 3, 0]);
    for (format, data, kind, wide) in [
        (
            SurfaceFormat::Rgb555,
            [0xff, 0xff, 0, 0],
            GlzType::Rgb16,
            [255, 255, 255, 0],
        ),
        (SurfaceFormat::Xrgb, [1, 2, 3, 4], GlzType::Rgb32, [1, 2, 3, 0]),
        (SurfaceFormat::Argb, [1, 2, 3, 4], GlzType::Rgba, [1, 2, 3, 4]),
        (SurfaceFormat::Rgb565, [0xe0, 7, 0, 0], GlzType::Rgb32, [0, 255, 0, 0]),
    ] {
        let pixels = Pixels {
            format,
            width: 1,
            height: 1,
            stride: 4,
            data: Bytes::copy_from_slice(&data),
        };
        let image = decoded(&mut client, &dictionary.encode_pixels(&pixels).unwrap());
        assert_eq!((image.kind, &image.bitmap.data[..]), (kind, &wide[..]));
    }
    let indices = Bitmap {
        format: BitmapFormat::Bit8,
        ..upside_down
    };
    let refused = DictionaryError::Source(SourceError::Format(BitmapFormat::Bit8));
    assert_eq!(dictionary.encode_bitmap(&indices), Err(refused));
}

#[test]
fn content_that_stays_is_found_however_many_images_have_come_and_gone() {
    // A page that moves up by a few rows with each image; the window has room for three.
    let (width, height) = (200, 120);
    let pixels = width * height * 3 + 1;
    let mut dictionary = Dictionary::new(pixels).unwrap();
    let mut client = window(pixels);
    for step in 0..60 {
        let image = picture(width, height, |x, y| noise(x, y + step * 3));
        let stream = dictionary.encode_bitmap(&image).unwrap();
        assert_eq!(decoded(&mut client, &stream).bitmap.data, image.data);
        let length = stream.data.len();
        // Three rows of noise are new, 600 pixels of three bytes.
        assert!(step == 0 || length < 2300, "image {step} has {length} bytes");
    }
}

#[test]
fn offsets_and_distances_of_every_size_are_written_right() {
    // Large enough for offsets of more than 17 bits; a part of it comes back from there, further back each time.
    let large = picture(1000, 200, noise);
    for from in [1, 4095, 4096, 131_071, 131_072, 199_950] {
        let part = picture(50, 1, move |x, _| noise((from + x) % 1000, (from + x) / 1000));
        for back in [1, 63, 64, 255, 256, 300] {
            let mut dictionary = Dictionary::new(1 << 20).unwrap();
            let mut client = window(1 << 20);
            decoded(&mut client, &dictionary.encode_bitmap(&large).unwrap());
            for other in 1..back {
                let other = picture(1, 1, |_, _| other);
                decoded(&mut client, &dictionary.encode_bitmap(&other).unwrap());
            }
            let stream = dictionary.encode_bitmap(&part).unwrap();
            let image = decoded(&mut client, &stream);
            assert_eq!(image.bitmap.data, part.data, "{from} {back}");
            // One match: its three bytes, one for the length, one or two for the image, one for the offset.
            let length = stream.data.len() - HEADER_BYTES;
            assert!(length <= 7, "{length} bytes for {from} {back}");
        }
    }
}

/// Pictures of one format with runs, repeats and noise; parts of a few are those of many.
fn pictures() -> impl Strategy<Value = Vec<Bitmap>> {
    let piece = prop_oneof![
        (any::<u8>(), 1..400usize).prop_map(|(byte, count)| vec![byte; count]),
        vec(any::<u8>(), 1..40),
        (vec(any::<u8>(), 1..9), 1..60usize).prop_map(|(bytes, count)| bytes.repeat(count)),
    ];
    let pieces = vec(piece, 4..12);
    let shape = (
        6..=9u8,
        1..60u32,
        1..30u32,
        any::<bool>(),
        0..5u32,
        vec(any::<prop::sample::Index>(), 1..20),
    );
    (pieces, vec(shape, 1..8)).prop_map(|(pieces, shapes)| {
        let of_shape = |(raw, width, height, top_down, padding, order): (_, u32, u32, _, u32, Vec<_>)| {
            let format = BitmapFormat::from_raw(raw).unwrap();
            let stride = format.row_bytes(width) as u32 + padding;
            let parts = order
                .iter()
                .cycle()
                .flat_map(|at: &prop::sample::Index| at.get(&pieces).iter().copied());
            let mut data: Vec<u8> = parts.take((stride * height) as usize).collect();
            match format {
                BitmapFormat::Bit16 => data
                    .chunks_mut(stride as usize)
                    .for_each(|row| row.chunks_mut(2).for_each(|p| p[p.len() - 1] &= 0x7f)),
                BitmapFormat::Bit32 => data.chunks_mut(stride as usize).for_each(|row| {
                    row.chunks_exact_mut(4).for_each(|p| p[3] = 0);
                }),
                _ => {}
            }
            Bitmap {
                format,
                width,
                height,
                stride,
                top_down,
                palette: None,
                data: data.into(),
            }
        };
        shapes.into_iter().map(of_shape).collect()
    })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(pictures in pictures(), size in 1..6000u32) {
        let mut dictionary = Dictionary::new(size).unwrap();
        let mut client = window(size);
        for picture in pictures.iter().chain(&pictures) {
            if !dictionary.takes(picture.width, picture.height) {
                continue;
            }
            let stream = dictionary.encode_bitmap(picture).unwrap();
            prop_assert!(dictionary.held_pixels() <= size as usize);
            let again = source(&decoded(&mut client, &stream));
            prop_assert_eq!(client.held_pixels(), dictionary.held_pixels() as u64);
            prop_assert_eq!(rows(&again), rows(picture));
        }
    }

    #[test]
    fn displays_that_deliver_in_turns_of_any_length_show_the_same(
        pictures in pictures(), owners in vec(any::<bool>(), 16), turns in vec(any::<bool>(), 64),
    ) {
        let mut dictionary = Dictionary::new(1 << 16).unwrap();
        let mut queues: [Vec<(GlzStream, &Bitmap)>; 2] = Default::default();
        for (picture, owner) in pictures.iter().chain(&pictures).zip(iter::repeat(owners).flatten()) {
            queues[usize::from(owner)].push((dictionary.encode_bitmap(picture).unwrap(), picture));
        }
        let mut client = window(1 << 17);
        let mut queues = queues.map(Vec::into_iter).map(Iterator::peekable);
        for turn in turns.into_iter().chain(iter::repeat([false, true]).flatten()) {
            if queues.iter_mut().all(|queue| queue.peek().is_none()) {
                break;
            }
            let queue = &mut queues[usize::from(turn)];
            let Some((stream, picture)) = queue.peek() else { continue };
            match client.decode(&stream.data, &Limits::default()) {
                Ok(image) => {
                    let again = source(&image);
                    prop_assert_eq!(rows(&again), rows(picture));
                    queue.next();
                }
                Err(GlzError::NotYet { id, missing }) => prop_assert!(id == stream.id && missing < id),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        prop_assert_eq!(client.held_images(), dictionary.held_images());
    }
}

const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();

#[test]
fn large_images_are_encoded_in_parts_that_refer_to_those_above_and_to_earlier_images() {
    let (width, height) = (1024, 2048);
    let mut dictionary = Dictionary::new(1 << 23).unwrap().with_parts(FOUR);
    let mut window = window(1 << 23);
    let mut encode = |format, seed: u32| {
        // Half of each row is noise that was there in the image before, half is new.
        let value = |x: u32, y: u32| noise(x, y + if x < width / 2 { 0 } else { 4096 * seed });
        let image = Bitmap {
            format,
            ..picture(width, height, value)
        };
        let stream = dictionary.encode_bitmap(&image).unwrap();
        let again = decoded(&mut window, &stream).bitmap;
        assert!(again.data == image.data, "{format:?} {seed}");
        stream.data.len()
    };
    let raw = (width * height * 3) as usize;
    assert!(encode(BitmapFormat::Bit32, 1) > raw);
    let half = encode(BitmapFormat::Bit32, 2);
    assert!(half < raw * 6 / 10, "{half} of {raw}");
    // Of another type: nothing is found.
    assert!(encode(BitmapFormat::Rgba, 1) > raw);
    let half = encode(BitmapFormat::Rgba, 2);
    assert!(half < raw * 6 / 10, "{half} of {raw}");
    // The rows are those of the part above it, another time.
    let part = height / 4;
    let image = picture(width, height, |x, y| noise(x, (y % part) + (1 << 20)));
    let stream = dictionary.encode_bitmap(&image).unwrap();
    assert!(decoded(&mut window, &stream).bitmap.data == image.data);
}

#[test]
fn what_parts_of_large_images_have_shown_is_found_by_small_ones() {
    let (width, height) = (1024, 2048);
    let mut dictionary = Dictionary::new(1 << 23).unwrap().with_parts(FOUR);
    let mut window = window(1 << 23);
    let image = picture(width, height, |x, y| noise(x / 32, y));
    decoded(&mut window, &dictionary.encode_bitmap(&image).unwrap());
    for top in [0, height / 2, height - 64] {
        let small = picture(64, 64, |x, y| noise((x + 128) / 32, y + top));
        let stream = dictionary.encode_bitmap(&small).unwrap();
        assert_eq!(decoded(&mut window, &stream).bitmap.data, small.data, "{top}");
        // Two colours a row, in one match; apart they would take 16 bytes.
        assert!(stream.data.len() < 64 * 13, "{top}: {}", stream.data.len());
    }
}
