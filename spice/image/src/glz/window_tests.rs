use proptest::{collection::vec, prelude::*};

use super::{
    records::{budget, records, sequences},
    *,
};
use crate::{Limits, vectors::sha256};

/// A stream; `raw` is the type, with [`TOP_DOWN`] for the row order.
fn stream(raw: u8, (width, height): (u32, u32), id: u64, win_head_dist: u32, body: &[u8]) -> Vec<u8> {
    let bytes = match raw & 15 {
        6 => 2,
        7 => 3,
        _ => 4,
    };
    let mut stream = Vec::new();
    for word in [MAGIC, VERSION] {
        stream.extend_from_slice(&word.to_be_bytes());
    }
    stream.push(raw);
    for word in [width, height, width.wrapping_mul(bytes)] {
        stream.extend_from_slice(&word.to_be_bytes());
    }
    stream.extend_from_slice(&id.to_be_bytes());
    stream.extend_from_slice(&win_head_dist.to_be_bytes());
    stream.extend_from_slice(body);
    stream
}

fn rgb32(width: u32, id: u64, win_head_dist: u32, body: &[u8]) -> Vec<u8> {
    stream(8 | TOP_DOWN, (width, 1), id, win_head_dist, body)
}

fn window() -> Window {
    Window::new(WindowBudget::for_window(1 << 16))
}

fn decode(window: &mut Window, stream: &[u8]) -> Result<GlzImage, GlzError> {
    window.decode(stream, &Limits::default())
}

/// A window with image 0: four pixels 1, 2, 3, 0; 4, 5, 6, 0; 7, 8, 9, 0; 1, 2, 3, 0.
fn with_four() -> Window {
    let mut window = window();
    let body = [2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x22, 0, 0];
    let image = decode(&mut window, &rgb32(4, 0, 0, &body)).unwrap();
    assert_eq!(image.bitmap.data[..], [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 1, 2, 3, 0]);
    window
}

#[test]
fn reference_sequences_decode_to_their_pixels_within_their_windows() {
    for vector in sequences() {
        let mut window = Window::new(budget(&vector));
        let mut pixels = Vec::new();
        let listed = vector.list();
        let mut listed = listed.iter().peekable();
        for (index, record) in records(&vector).iter().enumerate() {
            let image = decode(&mut window, &record.stream).unwrap();
            pixels.extend_from_slice(&image.bitmap.data);
            if let Some(entry) = listed.next_if(|entry| entry.number("index") as usize == index) {
                let name = format!("{} {index}", vector.name);
                assert_eq!(image.id & 0xffff_ffff, u64::from(entry.number("id")), "{name}");
                assert_eq!(image.win_head_dist, entry.number("win_head_dist"), "{name}");
                assert_eq!(image.kind as u32, entry.number("type"), "{name}");
                assert_eq!(image.bitmap.width, entry.number("width"), "{name}");
                assert_eq!(image.bitmap.height, entry.number("height"), "{name}");
                assert_eq!(image.bitmap.top_down, entry.top_down(), "{name}");
                assert_eq!(sha256(&image.bitmap.data), entry.text("pixels_sha256"), "{name}");
                entry.assert_shows(image.bitmap);
            }
        }
        assert!(listed.next().is_none(), "{}", vector.name);
        assert_eq!(sha256(&pixels), vector.text("all_pixels_sha256"), "{}", vector.name);
    }
}

#[test]
fn matches_in_other_images_count_from_their_first_pixel() {
    let mut window = with_four();
    // Two pixels from unit 1 of image 0, then the same in the far form with an image byte and a third part of the
    // offset that are 0.
    let body = [0x41, 0, 1, 0x51, 0, 0b0110_0000, 1, 0];
    let image = decode(&mut window, &rgb32(4, 1, 1, &body)).unwrap();
    assert_eq!(image.bitmap.data[..8], [4, 5, 6, 0, 7, 8, 9, 0]);
    assert_eq!(image.bitmap.data[8..], image.bitmap.data[..8]);
    // Offset 0, more image bytes than are needed, and bytes behind the image, which mean nothing.
    let body = [0x80, 0, 0b1100_0010, 0, 0, 0, 9, 9];
    let image = decode(&mut window, &rgb32(4, 2, 2, &body)).unwrap();
    assert_eq!(image.bitmap.data[..4], [1, 2, 3, 0]);
}

#[test]
fn matches_may_overlap_themselves_at_every_distance() {
    for distance in 1..20usize {
        for length in 1..60 {
            let literals: Vec<u8> = (0..distance as u8 * 3).collect();
            let code = (length as u8).min(7);
            let mut body = [&[distance as u8 - 1][..], &literals].concat();
            body.push((code << 5) | ((distance - 1) & 15) as u8);
            if code == 7 {
                body.push(length as u8 - 7);
            }
            body.extend_from_slice(&[((distance - 1) >> 4) as u8, 0]);
            let image = decode(&mut window(), &rgb32((distance + length) as u32, 0, 0, &body)).unwrap();
            let pixels = image.bitmap.data.as_chunks::<4>().0;
            for (at, pixel) in pixels.iter().enumerate() {
                let first = (at % distance * 3) as u8;
                assert_eq!(*pixel, [first, first + 1, first + 2, 0], "{distance} {length} {at}");
            }
        }
    }
}

#[test]
fn alpha_is_copied_apart_from_colours() {
    let mut window = with_four();
    // Four pixels of colours from image 0, which has no alpha, then literal alpha.
    let body = [0x80, 0, 1, 3, 10, 20, 30, 40];
    let rgba = |id, body: &[u8]| stream(9, (4, 1), id, id as u32, body);
    let image = decode(&mut window, &rgba(1, &body)).unwrap();
    assert_eq!(
        image.bitmap.data[..],
        [1, 2, 3, 10, 4, 5, 6, 20, 7, 8, 9, 30, 1, 2, 3, 40]
    );
    assert_eq!(
        (image.bitmap.format, image.bitmap.top_down),
        (BitmapFormat::Rgba, false)
    );
    // One literal pixel and a run of it; alpha: three from unit 1 of image 1, then one literal.
    let body = [0, 9, 9, 9, 0x60, 0, 0, 0x21, 0, 1, 0, 5];
    let image = decode(&mut window, &rgba(2, &body)).unwrap();
    assert_eq!(
        image.bitmap.data[..],
        [9, 9, 9, 20, 9, 9, 9, 30, 9, 9, 9, 40, 9, 9, 9, 5]
    );
    // Colours of an image with alpha, in one without: the unused byte is 0.
    let image = decode(&mut window, &rgb32(4, 3, 3, &[0x80, 0, 1])).unwrap();
    assert_eq!(image.bitmap.data[..], [9, 9, 9, 0].repeat(4));
    // Alpha of an image that has none.
    let none = decode(&mut window, &rgba(4, &[0x80, 0, 1, 0x40, 0, 1]));
    assert_eq!(none, Err(GlzError::NoAlpha(3)));
}

#[test]
fn bad_headers_are_told_apart() {
    let good = rgb32(1, 5, 5, &[0, 1, 2, 3]);
    let with = |at: usize, value: &[u8]| {
        let mut stream = good.clone();
        stream[at..at + value.len()].copy_from_slice(value);
        decode(&mut window(), &stream).unwrap_err()
    };
    assert_eq!(with(0, &[1]), GlzError::Magic(0x0120_5a4c));
    assert_eq!(with(4, &[0, 1, 0, 2]), GlzError::Version(0x0001_0002));
    for raw in [0, 1, 5, 10, 11, 15, 0x15, 0x28, 0x88] {
        assert_eq!(with(8, &[raw]), GlzError::Type(raw));
    }
    assert_eq!(with(9, &[0, 0, 0, 0]), GlzError::Size { width: 0, height: 1 });
    assert_eq!(with(13, &[0, 0, 0, 0]), GlzError::Size { width: 1, height: 0 });
    assert_eq!(with(17, &[0, 0, 0, 3]), GlzError::Stride { stride: 3, needed: 4 });
    let far = GlzError::WindowHead {
        id: 5,
        win_head_dist: 6,
    };
    assert_eq!(with(29, &[0, 0, 0, 6]), far);
    for length in 0..HEADER_BYTES {
        assert!(decode(&mut window(), &good[..length]).is_err());
    }
}

#[test]
fn bad_runs_are_told_apart() {
    let error = |body: &[u8]| decode(&mut with_four(), &rgb32(4, 1, 1, body)).unwrap_err();
    let truncated = |produced| GlzError::Truncated { produced, expected: 4 };
    assert_eq!(error(&[]), truncated(0));
    assert_eq!(error(&[0, 1, 2]), truncated(0));
    assert_eq!(error(&[0, 1, 2, 3, 0x20]), truncated(1));
    assert_eq!(error(&[0, 1, 2, 3, 0x20, 0]), truncated(1));
    assert_eq!(error(&[0, 1, 2, 3, 0x20, 0, 0x41]), truncated(1));
    assert_eq!(error(&[0, 1, 2, 3, 0x30, 0, 0x20]), truncated(1));
    assert_eq!(error(&[0, 1, 2, 3, 0xe0]), truncated(1));
    assert_eq!(
        error(&[4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6]),
        GlzError::Length {
            at: 0,
            length: 5,
            expected: 4
        }
    );
    assert_eq!(
        error(&[0, 1, 2, 3, 0x80, 0, 0]),
        GlzError::Length {
            at: 1,
            length: 4,
            expected: 4
        }
    );
    // A match can never be the first unit of a pass, unless it lies in another image.
    assert_eq!(error(&[0x20, 0, 0]), GlzError::Distance { at: 0, distance: 1 });
    assert_eq!(
        error(&[0, 1, 2, 3, 0x21, 0, 0]),
        GlzError::Distance { at: 1, distance: 2 }
    );
    let farthest = GlzError::Distance {
        at: 1,
        distance: 1 << 25,
    };
    assert_eq!(error(&[0, 1, 2, 3, 0x3f, 255, 0x3f, 255]), farthest);
    let endless = [&[0, 1, 2, 3, 0xe0][..], &[255; 4000]].concat();
    assert_eq!(error(&endless), truncated(1));
    let long = [&endless[..], &[0, 0, 0]].concat();
    assert!(matches!(error(&long), GlzError::Length { at: 1, expected: 4, .. }));
}

#[test]
fn matches_outside_another_image_or_the_window_are_refused() {
    let error = |win_head_dist, body: &[u8]| decode(&mut with_four(), &rgb32(4, 1, win_head_dist, body)).unwrap_err();
    let reach = |offset, length| GlzError::Reach {
        id: 0,
        offset,
        length,
        units: 4,
    };
    assert_eq!(error(1, &[0x43, 0, 1]), reach(3, 2));
    assert_eq!(error(1, &[0x24, 0, 1]), reach(4, 1));
    assert_eq!(error(1, &[0x3f, 255, 0x7f, 1, 255]), reach((1 << 25) - 1, 1));
    let outside = |distance, win_head_dist| GlzError::Outside {
        id: 1,
        distance,
        win_head_dist,
    };
    assert_eq!(error(0, &[0x40, 0, 1]), outside(1, 0));
    assert_eq!(error(1, &[0x40, 0, 2]), outside(2, 1));
    assert_eq!(error(1, &[0x40, 0, 0xff, 255, 255, 255]), outside((1 << 30) - 1, 1));
}

/// An image of one pixel, and one that repeats one of `back` images before.
fn pixel(id: u64, win_head_dist: u32) -> Vec<u8> {
    rgb32(1, id, win_head_dist, &[0, id as u8, 2, 3])
}

fn copy(id: u64, win_head_dist: u32, back: u8) -> Vec<u8> {
    rgb32(1, id, win_head_dist, &[0x20, 0, back])
}

#[test]
fn an_image_waits_for_the_one_it_refers_to() {
    let mut window = window();
    decode(&mut window, &pixel(0, 0)).unwrap();
    let late = copy(2, 2, 1);
    let wait = Err(GlzError::NotYet { id: 2, missing: 1 });
    assert_eq!(decode(&mut window, &late), wait);
    assert_eq!(decode(&mut window, &late), wait);
    assert_eq!((window.held_images(), window.held_pixels()), (1, 1));
    decode(&mut window, &pixel(1, 1)).unwrap();
    assert_eq!(decode(&mut window, &late).unwrap().bitmap.data[..], [1, 2, 3, 0]);
}

#[test]
fn images_are_freed_when_all_before_have_come_and_none_can_refer_to_them() {
    let mut window = window();
    for id in 0..3 {
        decode(&mut window, &pixel(id, id as u32)).unwrap();
    }
    // 4 says that 0 to 2 are gone, but 3 may still refer to them.
    decode(&mut window, &pixel(4, 1)).unwrap();
    assert_eq!(window.held_images(), 4);
    assert_eq!(decode(&mut window, &copy(3, 3, 3)).unwrap().bitmap.data[0], 0);
    assert_eq!(window.held_images(), 2);
    let gone = Err(GlzError::Freed { id: 5, freed: 2 });
    assert_eq!(decode(&mut window, &copy(5, 5, 3)), gone);
    assert_eq!(decode(&mut window, &pixel(2, 2)), Err(GlzError::Repeated(2)));
    assert_eq!(decode(&mut window, &pixel(4, 1)), Err(GlzError::Repeated(4)));
}

#[test]
fn a_window_may_begin_with_any_image() {
    let mut window = window();
    // The first of a dictionary that goes on at 70, behind one that refers to it.
    decode(&mut window, &pixel(71, 1)).unwrap();
    assert_eq!(
        decode(&mut window, &copy(72, 2, 2)),
        Err(GlzError::NotYet { id: 72, missing: 70 })
    );
    decode(&mut window, &pixel(70, 0)).unwrap();
    decode(&mut window, &copy(72, 2, 2)).unwrap();
    decode(&mut window, &pixel(73, 0)).unwrap();
    assert_eq!(window.held_images(), 1);
    decode(&mut window, &pixel(u64::MAX, 0)).unwrap();
    assert_eq!(decode(&mut window, &copy(74, 1, 1)).unwrap().bitmap.data[0], 73);
}

#[test]
fn the_first_image_to_come_need_not_be_the_first_of_the_dictionary() {
    let mut window = window();
    // 2 needs nothing that came before; 1 and 0 are on their way by another display.
    decode(&mut window, &pixel(2, 0)).unwrap();
    assert_eq!(
        decode(&mut window, &copy(1, 1, 1)),
        Err(GlzError::NotYet { id: 1, missing: 0 })
    );
    decode(&mut window, &pixel(0, 0)).unwrap();
    decode(&mut window, &copy(1, 1, 1)).unwrap();
    assert_eq!(window.held_images(), 1);
}

#[test]
fn the_budget_is_what_the_window_holds_at_most() {
    let mut window = Window::new(WindowBudget {
        max_pixels: 3,
        max_images: 2,
    });
    let row = |width: u32, id, win_head_dist| {
        let body = [&[width as u8 - 1][..], &vec![7; width as usize * 3]].concat();
        rgb32(width, id, win_head_dist, &body)
    };
    assert_eq!(
        decode(&mut window, &row(4, 0, 0)),
        Err(GlzError::Budget {
            pixels: 0,
            images: 0,
            needed: 4
        })
    );
    decode(&mut window, &row(3, 0, 0)).unwrap();
    let full = GlzError::Budget {
        pixels: 3,
        images: 1,
        needed: 1,
    };
    assert_eq!(decode(&mut window, &row(1, 1, 1)), Err(full));
    // Room is made first for one that refers to nothing before.
    decode(&mut window, &row(1, 1, 0)).unwrap();
    decode(&mut window, &row(1, 2, 1)).unwrap();
    let many = GlzError::Budget {
        pixels: 2,
        images: 2,
        needed: 1,
    };
    assert_eq!(decode(&mut window, &row(1, 3, 2)), Err(many));
    decode(&mut window, &row(2, 3, 1)).unwrap();
    assert_eq!((window.held_pixels(), window.held_images()), (3, 2));
}

#[test]
fn memory_is_taken_only_within_limits_and_for_input_that_can_fill_it() {
    let size = |width, height| decode(&mut window(), &stream(8, (width, height), 0, 0, &[0; 100])).unwrap_err();
    for (width, height) in [
        (1 << 13, (1 << 13) + 1),
        ((1 << 20) + 1, 1),
        (1, (1 << 20) + 1),
        (u32::MAX, u32::MAX),
    ] {
        assert_eq!(size(width, height), GlzError::Size { width, height });
    }
    assert_eq!(
        size(1 << 13, 1 << 13),
        GlzError::Truncated {
            produced: 0,
            expected: 1 << 26
        }
    );
    assert!(matches!(
        size(255, 99),
        GlzError::Length { .. } | GlzError::Truncated { .. }
    ));
    assert_eq!(
        size(300, 300),
        GlzError::Truncated {
            produced: 0,
            expected: 90_000
        }
    );
    let small = rgb32(1, 0, 0, &[0, 1, 2, 3]);
    assert!(window().decode(&small, &Limits::exactly(1, 1)).is_ok());
    assert!(window().decode(&small, &Limits::exactly(2, 1)).is_ok());
    assert!(window().decode(&small, &Limits::exactly(1, 0)).is_err());
    let unbounded = Limits {
        max_width: u32::MAX,
        max_height: u32::MAX,
        max_pixels: u64::MAX,
    };
    let wide = stream(8, (1 << 30, 1), 0, 0, &[0; 100]);
    assert_eq!(
        window().decode(&wide, &unbounded),
        Err(GlzError::Size {
            width: 1 << 30,
            height: 1
        })
    );
}

#[test]
fn a_sequence_cut_in_any_image_is_an_error_there() {
    for vector in sequences() {
        let mut window = Window::new(budget(&vector));
        for record in records(&vector).iter().take(20) {
            let step = (record.stream.len() / 60).max(1);
            for length in (0..record.stream.len()).step_by(step) {
                let error = decode(&mut window, &record.stream[..length]).unwrap_err();
                assert!(matches!(error, GlzError::Truncated { .. }), "{} {error}", vector.name);
            }
            decode(&mut window, &record.stream).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn damaged_sequences_decode_or_fail_without_harm(
        which in 0..7usize, damage in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8u32), 1..20),
    ) {
        // The long ones are left out: nothing in them is different.
        let vectors = sequences();
        let vector = vectors.iter().filter(|vector| vector.number("images") < 200).nth(which % 6).unwrap();
        let mut streams: Vec<Vec<u8>> = records(vector).into_iter().map(|record| record.stream).collect();
        for (image, at, bit) in damage {
            let image = image.index(streams.len());
            let at = at.index(streams[image].len());
            streams[image][at] ^= 1 << bit;
        }
        let mut window = Window::new(budget(vector));
        let limits = Limits { max_pixels: 1 << 19, ..Limits::default() };
        for stream in streams {
            if let Ok(image) = window.decode(&stream, &limits) {
                let pixels = u64::from(image.bitmap.width) * u64::from(image.bitmap.height);
                prop_assert_eq!(image.bitmap.data.len() as u64, pixels * 4);
            }
            prop_assert!(window.held_pixels() <= u64::from(vector.number("window_pixels")));
        }
    }
}
