use BitmapFormat::{Bit1Be, Bit1Le, Bit4Be, Bit8, Bit8A, Bit16, Bit24, Bit32, Rgba};
use bytes::Bytes;
use caraway_ports::drawing::Bitmap;

use super::*;

const RGB: [BitmapFormat; 4] = [Bit16, Bit24, Bit32, Rgba];
const NOT_RGB: [BitmapFormat; 5] = [Bit1Le, Bit1Be, Bit4Be, Bit8, Bit8A];
const GLZ: Choice = Choice::Glz { zlib: false };
const JPEG: Choice = Choice::Jpeg { quality: 85 };

/// A picture of a drawing command that is no photograph.
fn drawn(format: BitmapFormat) -> Picture {
    Picture {
        format,
        width: 100,
        height: 50,
        stride: format.row_bytes(100) as u32,
        graduality: Some(Graduality::Low),
        colours: Some(COLOUR_SAMPLES),
        is_drawn: true,
        is_settled: true,
    }
}

fn photo(format: BitmapFormat) -> Picture {
    Picture {
        graduality: Some(Graduality::High),
        ..drawn(format)
    }
}

/// A client that can do everything.
const CLIENT: Client = Client {
    is_local: false,
    has_lz4: true,
    glz_window: Some(1 << 22),
};

fn policy(mode: Mode) -> Policy {
    Policy {
        mode,
        ..Policy::default()
    }
}

fn link(delivery: u64) -> Measured {
    Measured {
        delivery: Some(delivery),
        ..Measured::default()
    }
}

/// The choice for a client that can do everything, with nothing measured.
fn of(mode: Mode, picture: Picture) -> Choice {
    choose(&picture, &CLIENT, &policy(mode), &Measured::default())
}

const MODES: [Mode; 7] = [
    Mode::Off,
    Mode::AutoGlz,
    Mode::AutoLz,
    Mode::Quic,
    Mode::Glz,
    Mode::Lz,
    Mode::Lz4,
];

#[test]
fn each_mode_has_its_codec_for_each_kind_of_picture() {
    // Mode; drawn, photograph, with indices or alpha alone, drawn but not settled, photograph not settled.
    for (mode, choices) in [
        (Mode::Off, [Choice::Raw; 5]),
        (
            Mode::AutoGlz,
            [GLZ, Choice::Quic, Choice::Lz, Choice::Quic, Choice::Quic],
        ),
        (
            Mode::AutoLz,
            [Choice::Lz, Choice::Quic, Choice::Lz, Choice::Quic, Choice::Quic],
        ),
        (
            Mode::Quic,
            [Choice::Quic, Choice::Quic, Choice::Raw, Choice::Quic, Choice::Quic],
        ),
        (Mode::Glz, [GLZ, GLZ, Choice::Lz, Choice::Raw, Choice::Raw]),
        (Mode::Lz, [Choice::Lz, Choice::Lz, Choice::Lz, Choice::Raw, Choice::Raw]),
        (
            Mode::Lz4,
            [Choice::Lz4, Choice::Lz4, Choice::Lz, Choice::Raw, Choice::Raw],
        ),
    ] {
        let unsettled = |picture| Picture {
            is_settled: false,
            ..picture
        };
        for format in RGB {
            let pictures = [
                drawn(format),
                photo(format),
                drawn(Bit8),
                unsettled(drawn(format)),
                unsettled(photo(format)),
            ];
            assert_eq!(
                pictures.map(|picture| of(mode, picture)),
                choices,
                "{mode:?} {format:?}"
            );
        }
        for format in NOT_RGB {
            assert_eq!(of(mode, drawn(format)), choices[2], "{mode:?} {format:?}");
            let unsettled = of(mode, unsettled(drawn(format)));
            assert_eq!(unsettled, Choice::Raw, "{mode:?} {format:?}");
        }
    }
}

#[test]
fn a_client_on_the_same_machine_gets_bitmaps_of_drawings_and_streams_of_all_else() {
    let client = Client {
        is_local: true,
        ..CLIENT
    };
    let area = Picture {
        is_drawn: false,
        ..drawn(Bit32)
    };
    for mode in MODES {
        let choice = |picture: &Picture| choose(picture, &client, &policy(mode), &Measured::default());
        assert_eq!(choice(&drawn(Bit32)), Choice::Raw, "{mode:?}");
        assert_eq!(choice(&photo(Bit32)), Choice::Raw, "{mode:?}");
        assert_eq!(choice(&area), of(mode, area), "{mode:?}");
    }
    assert_eq!(of(Mode::AutoGlz, area), Choice::Lz);
}

#[test]
fn small_images_are_sent_as_they_are() {
    let of_bytes = |stride, height| Picture {
        width: 9,
        height,
        stride,
        ..drawn(Bit8)
    };
    for mode in MODES {
        assert_eq!(of(mode, of_bytes(53, 1)), Choice::Raw, "{mode:?}");
        assert_eq!(of(mode, of_bytes(9, 5)), Choice::Raw, "{mode:?}");
    }
    assert_eq!(of(Mode::Lz, of_bytes(54, 1)), Choice::Lz);
    assert_eq!(of(Mode::Lz, of_bytes(9, 6)), Choice::Lz);
}

#[test]
fn quic_needs_three_pixels_each_way() {
    for (width, height, can) in [(2, 100, false), (100, 2, false), (3, 100, true), (100, 3, true)] {
        let picture = Picture {
            width,
            height,
            stride: width * 4,
            ..photo(Bit32)
        };
        let (quic, auto) = if can {
            (Choice::Quic, Choice::Quic)
        } else {
            (Choice::Raw, GLZ)
        };
        assert_eq!(of(Mode::Quic, picture), quic, "{width}x{height}");
        assert_eq!(of(Mode::AutoGlz, picture), auto, "{width}x{height}");
    }
}

#[test]
fn only_smooth_pictures_of_many_colours_are_photographs() {
    let with = |graduality, colours| {
        of(
            Mode::AutoLz,
            Picture {
                graduality,
                colours,
                ..drawn(Bit32)
            },
        )
    };
    assert_eq!(with(Some(Graduality::High), None), Choice::Quic);
    assert_eq!(with(Some(Graduality::High), Some(33)), Choice::Quic);
    assert_eq!(with(Some(Graduality::High), Some(32)), Choice::Lz);
    assert_eq!(with(Some(Graduality::Medium), Some(256)), Choice::Lz);
    assert_eq!(with(Some(Graduality::Low), None), Choice::Lz);
    assert_eq!(with(None, Some(256)), Choice::Lz);
}

#[test]
fn what_glz_does_not_take_goes_to_lz() {
    let with = |client: Client, picture: Picture| choose(&picture, &client, &policy(Mode::Glz), &Measured::default());
    let window = |glz_window| Client { glz_window, ..CLIENT };
    assert_eq!(with(window(Some(5001)), drawn(Bit32)), GLZ);
    assert_eq!(
        with(window(Some(5000)), drawn(Bit32)),
        Choice::Lz,
        "as large as the window"
    );
    assert_eq!(with(window(Some(0)), drawn(Bit32)), Choice::Lz);
    assert_eq!(
        with(window(None), drawn(Bit32)),
        Choice::Lz,
        "no dictionary or a frozen one"
    );
    let area = Picture {
        is_drawn: false,
        ..drawn(Bit32)
    };
    assert_eq!(with(CLIENT, area), Choice::Lz, "no drawable behind it");
    let huge = Picture {
        width: u32::MAX,
        height: u32::MAX,
        ..drawn(Bit32)
    };
    assert_eq!(with(window(Some(u32::MAX)), huge), Choice::Lz);
}

#[test]
fn a_client_without_lz4_gets_lz() {
    let client = Client {
        has_lz4: false,
        ..CLIENT
    };
    let choice = choose(&drawn(Bit32), &client, &policy(Mode::Lz4), &Measured::default());
    assert_eq!(choice, Choice::Lz);
}

#[test]
fn jpeg_takes_the_place_of_quic_where_loss_is_allowed_and_the_switch_is_on() {
    let with = |mode, jpeg, lossy, delivery, picture: Picture| {
        let policy = Policy {
            mode,
            jpeg,
            lossy,
            ..Policy::default()
        };
        choose(&picture, &CLIENT, &policy, &link(delivery))
    };
    let (slow, fast) = (SLOW - 1, SLOW);
    for mode in [Mode::Quic, Mode::AutoGlz, Mode::AutoLz] {
        let choice = |jpeg, lossy, delivery| with(mode, jpeg, lossy, delivery, photo(Bit32));
        assert_eq!(choice(Switch::Always, true, fast), JPEG);
        assert_eq!(choice(Switch::Always, false, slow), Choice::Quic);
        assert_eq!(choice(Switch::Never, true, slow), Choice::Quic);
        assert_eq!(choice(Switch::Auto, true, slow), JPEG);
        assert_eq!(choice(Switch::Auto, true, fast), Choice::Quic);
    }
    let always = |mode, picture| with(mode, Switch::Always, true, fast, picture);
    assert_eq!(always(Mode::Quic, drawn(Bit16)), JPEG);
    assert_eq!(always(Mode::Quic, drawn(Bit24)), JPEG);
    assert_eq!(always(Mode::Quic, drawn(Rgba)), Choice::JpegAlpha { quality: 85 });
    assert_eq!(always(Mode::AutoGlz, drawn(Bit32)), GLZ, "only in place of QUIC");
    let unsettled = Picture {
        is_settled: false,
        ..photo(Rgba)
    };
    assert_eq!(always(Mode::Quic, unsettled), Choice::Quic, "LZ cannot have the alpha");
    let wide = Picture {
        width: 65536,
        ..photo(Bit32)
    };
    assert_eq!(always(Mode::Quic, wide), Choice::Quic);
    let policy = Policy {
        mode: Mode::Quic,
        lossy: true,
        ..Policy::default()
    };
    let unknown = choose(&photo(Bit32), &CLIENT, &policy, &Measured::default());
    assert_eq!(unknown, Choice::Quic, "a link that was not measured is not slow");
}

#[test]
fn zlib_wraps_glz_when_its_switch_is_on() {
    for (zlib, delivery, on) in [
        (Switch::Always, u64::MAX, true),
        (Switch::Never, 1, false),
        (Switch::Auto, SLOW - 1, true),
        (Switch::Auto, SLOW, false),
    ] {
        for mode in [Mode::Glz, Mode::AutoGlz] {
            let policy = Policy {
                mode,
                zlib,
                ..Policy::default()
            };
            let choice = choose(&drawn(Bit32), &CLIENT, &policy, &link(delivery));
            assert_eq!(choice, Choice::Glz { zlib: on }, "{mode:?} {zlib:?} {delivery}");
        }
    }
}

#[test]
fn what_got_longer_is_sent_as_a_bitmap_unless_it_is_glz() {
    for choice in [Choice::Quic, Choice::Lz, Choice::Lz4, JPEG] {
        assert!(choice.keeps(100, 100) && !choice.keeps(101, 100), "{choice:?}");
    }
    assert!(GLZ.keeps(101, 100));
}

fn cost(megabytes: u64, permille: u32) -> Option<Cost> {
    Some(Cost {
        speed: megabytes * 1_000_000,
        permille,
    })
}

#[test]
fn the_modes_that_leave_it_open_take_what_is_clearly_sooner_at_the_client() {
    let measured = Measured {
        delivery: None,
        quic: cost(100, 250),
        lz: cost(1000, 400),
        glz: cost(600, 200),
        lz4: cost(4000, 450),
    };
    let at = |mode, delivery, picture: &Picture| {
        let measured = Measured {
            delivery: Some(delivery),
            ..measured
        };
        choose(picture, &CLIENT, &policy(mode), &measured)
    };
    let (mega, giga) = (1_000_000, 1_000_000_000);
    // On a slow link the fewest bytes, on a fast one the quickest encoder, on the fastest none.
    for (delivery, photo_choice, drawn_choice) in [
        (20 * mega, Choice::Quic, GLZ),
        (100 * mega, Choice::Quic, GLZ),
        (giga, Choice::Lz4, GLZ),
        (10 * giga, Choice::Lz4, Choice::Lz4),
        (400 * giga, Choice::Raw, Choice::Raw),
    ] {
        assert_eq!(at(Mode::AutoGlz, delivery, &photo(Bit32)), photo_choice, "{delivery}");
        assert_eq!(at(Mode::AutoGlz, delivery, &drawn(Bit32)), drawn_choice, "{delivery}");
    }
    assert_eq!(at(Mode::AutoGlz, 0, &photo(Bit32)), Choice::Quic, "no rate at all");
    // Without RGB there is neither QUIC nor LZ4.
    assert_eq!(at(Mode::AutoGlz, giga, &drawn(Bit8)), Choice::Lz);
    assert_eq!(at(Mode::AutoGlz, 400 * giga, &drawn(Bit8)), Choice::Raw);
    // A fixed mode is fixed.
    for mode in [Mode::Quic, Mode::Glz, Mode::Lz, Mode::Lz4] {
        assert_eq!(at(mode, 400 * giga, &photo(Bit32)), of(mode, photo(Bit32)), "{mode:?}");
    }
    // What was not measured is not compared.
    let unmeasured = choose(&photo(Bit32), &CLIENT, &policy(Mode::AutoLz), &link(400 * giga));
    assert_eq!(unmeasured, Choice::Quic);
    // A little sooner is not enough.
    let alike = Measured {
        delivery: Some(100 * mega),
        quic: cost(100, 250),
        lz: cost(120, 250),
        ..Measured::default()
    };
    let choice = choose(&photo(Bit32), &CLIENT, &policy(Mode::AutoLz), &alike);
    assert_eq!(choice, Choice::Quic);
}

fn bitmap(format: BitmapFormat, width: u32, height: u32, value: impl Fn(u32, u32) -> u32) -> Bitmap {
    let bytes = format.bits_per_pixel() as usize / 8;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let data = pixels.flat_map(|(x, y)| value(x, y).to_le_bytes().into_iter().take(bytes));
    Bitmap {
        format,
        width,
        height,
        stride: format.row_bytes(width) as u32,
        top_down: true,
        palette: None,
        data: data.collect(),
    }
}

#[test]
fn smooth_pictures_are_told_from_drawn_ones() {
    let slope = |x: u32, y: u32| (x + y) & 255 | ((2 * x) & 255) << 8 | (y & 255) << 16;
    let text = |x: u32, y: u32| if (x * 7 + y * 13) % 5 < 2 { 0 } else { 0xff_ffff };
    for format in [Bit24, Bit32, Rgba] {
        assert_eq!(
            graduality(&bitmap(format, 200, 100, slope)),
            Some(Graduality::High),
            "{format:?}"
        );
        assert_eq!(
            graduality(&bitmap(format, 200, 100, text)),
            Some(Graduality::Low),
            "{format:?}"
        );
    }
    let slope = |x: u32, y: u32| ((x / 4) & 31) | ((((x + y) / 4) & 31) << 5);
    assert_eq!(graduality(&bitmap(Bit16, 30, 28, slope)), Some(Graduality::High));
    // A flat picture scores nothing: neither smooth nor drawn, which 8 bits call medium and 5 bits too.
    for format in RGB {
        assert_eq!(
            graduality(&bitmap(format, 50, 50, |_, _| 7)),
            Some(Graduality::Medium),
            "{format:?}"
        );
    }
    assert_eq!(graduality(&bitmap(Bit8A, 50, 50, |x, _| x)), None);
    for (width, height) in [(1, 50), (50, 1)] {
        assert_eq!(
            graduality(&bitmap(Bit32, width, height, |x, y| x + y)),
            Some(Graduality::Low)
        );
    }
    let short = Bitmap {
        data: Bytes::new(),
        ..bitmap(Bit32, 9, 9, |_, _| 0)
    };
    assert_eq!((graduality(&short), sampled_colours(&short)), (None, None));
}

#[test]
fn the_score_is_that_of_the_pairs_looked_at() {
    // Two rows of 16 pixels: the only sample is pixel 8 of the first row, which is compared with three others.
    let with = |right: u32, below: u32, diagonal: u32| {
        let value = move |x, y| match (x, y) {
            (9, 0) => right,
            (8, 1) => below,
            (9, 1) => diagonal,
            _ => 100,
        };
        graduality(&bitmap(Bit32, 16, 2, value)).unwrap()
    };
    use Graduality::{High, Low, Medium};
    assert_eq!(with(100, 100, 100), Medium, "flat: 0");
    assert_eq!(with(101, 100, 100), Low, "0.5 + 0.5 - 0.25");
    assert_eq!(with(101, 99, 100), Medium, "0.5 - 0.25 - 0.25");
    assert_eq!(with(101, 99, 159), High, "-0.25 each");
    assert_eq!(with(101, 99, 160), Low, "1 - 0.25 - 0.25");
    // In the last column the pixel before is looked at; at 15 columns each step is 14 pixels.
    let last = |x, y| if (x, y) == (1, 1) { 255 } else { 100 };
    assert_eq!(graduality(&bitmap(Bit32, 2, 2, last)), Some(Low));
    let step = |x, y| if (x, y) == (7 + 14 - 15, 1) { 101 } else { 100 };
    assert_eq!(graduality(&bitmap(Bit32, 15, 3, step)), Some(High));
}

#[test]
fn colours_are_counted_all_over_the_picture() {
    let count = |picture: Bitmap| sampled_colours(&picture).unwrap();
    assert_eq!(count(bitmap(Bit32, 640, 480, |_, _| 5)), 1);
    assert_eq!(
        count(bitmap(Rgba, 640, 480, |x, y| (x + y) << 24)),
        1,
        "alpha does not count"
    );
    assert_eq!(
        count(bitmap(Bit16, 640, 480, |x, _| x << 15)),
        1,
        "bit 15 does not count"
    );
    assert_eq!(
        count(bitmap(Bit24, 4, 4, |x, y| x + 4 * y)),
        16,
        "every pixel of a small one"
    );
    assert_eq!(
        count(bitmap(Bit32, 256, 256, |x, _| x)),
        256,
        "the samples stand in no column"
    );
    assert_eq!(count(bitmap(Bit32, 256, 256, |_, y| y)), 256);
    assert_eq!(sampled_colours(&bitmap(Bit8A, 5, 5, |x, _| x)), None);
}
