//! How long the codecs take for a screen and for a photograph: `cargo bench -p caraway-image`.

use std::num::NonZeroUsize;

use caraway_image::{
    Limits,
    glz::{Dictionary, Window, WindowBudget},
    jpeg,
    lz::{self, LzEncoder},
    lz4::{self, Lz4Encoder},
    quic::{self, QuicEncoder},
};
use caraway_ports::drawing::{Bitmap, BitmapFormat};
use criterion::{Criterion, criterion_group, criterion_main};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 800;
const LIMITS: Limits = Limits::exactly(WIDTH, HEIGHT);

/// A picture of the colours `value` gives.
fn picture(value: impl Fn(u32, u32) -> u32) -> Bitmap {
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
    Bitmap {
        format: BitmapFormat::Bit32,
        width: WIDTH,
        height: HEIGHT,
        stride: WIDTH * 4,
        top_down: true,
        palette: None,
        data: pixels
            .flat_map(|(x, y)| (value(x, y) & 0x00ff_ffff).to_le_bytes())
            .collect(),
    }
}

/// Bars on white, some of which come again.
fn screen(x: u32, y: u32) -> u32 {
    let (word, line) = (x / 9, y / 19);
    let mixed = (word.wrapping_mul(0x9e37_79b1) ^ (line % 7).wrapping_mul(0x85eb_ca6b)) >> 20;
    let is_ink = (x * 7 + y * 3 + mixed).is_multiple_of(11) && y % 19 < 14 && !mixed.is_multiple_of(5);
    if is_ink { 0x20_2124 } else { 0xff_ffff }
}

/// Slopes with a little noise.
fn photograph(x: u32, y: u32) -> u32 {
    let noise = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0xc2b2_ae3d)) >> 29;
    let (red, green, blue) = (x * 200 / WIDTH + noise, y * 220 / HEIGHT + noise, (x + y) / 10 + noise);
    red << 16 | green << 8 | blue
}

fn codecs(criterion: &mut Criterion) {
    let two = NonZeroUsize::MIN.saturating_add(1);
    for (name, bitmap) in [("screen", picture(screen)), ("photograph", picture(photograph))] {
        let mut group = criterion.benchmark_group(name);
        let mut stream = Vec::new();

        let mut encoder = QuicEncoder::new();
        group.bench_function("quic encode", |bencher| {
            bencher.iter(|| encoder.encode_bitmap(&bitmap, &mut stream));
        });
        group.bench_function("quic decode", |bencher| bencher.iter(|| quic::decode(&stream, &LIMITS)));

        let mut encoder = LzEncoder::with_threads(two);
        group.bench_function("lz encode, bands", |bencher| {
            bencher.iter(|| encoder.encode_bitmap(&bitmap, &mut stream));
        });
        let mut encoder = LzEncoder::new();
        group.bench_function("lz encode", |bencher| {
            bencher.iter(|| encoder.encode_bitmap(&bitmap, &mut stream));
        });
        group.bench_function("lz decode", |bencher| bencher.iter(|| lz::decode(&stream, &LIMITS)));

        let mut encoder = Lz4Encoder::with_threads(two);
        group.bench_function("lz4 encode, bands", |bencher| {
            bencher.iter(|| encoder.encode_bitmap(&bitmap));
        });
        let mut encoder = Lz4Encoder::new();
        group.bench_function("lz4 encode", |bencher| bencher.iter(|| encoder.encode_bitmap(&bitmap)));
        let block = encoder.encode_bitmap(&bitmap).unwrap_or_default();
        group.bench_function("lz4 decode", |bencher| {
            bencher.iter(|| lz4::decode(&block, WIDTH, HEIGHT, &LIMITS));
        });

        // Room for one picture, so that none refers to another.
        let window = WIDTH * HEIGHT + 1;
        if let Ok(mut dictionary) = Dictionary::new(window) {
            let first = dictionary
                .encode_bitmap(&bitmap)
                .map(|stream| stream.data)
                .unwrap_or_default();
            group.bench_function("glz encode", |bencher| {
                bencher.iter(|| dictionary.encode_bitmap(&bitmap));
            });
            group.bench_function("glz decode", |bencher| {
                bencher.iter(|| Window::new(WindowBudget::for_window(window)).decode(&first, &LIMITS));
            });
        }

        group.bench_function("jpeg encode", |bencher| {
            bencher.iter(|| jpeg::encode_bitmap(&bitmap, jpeg::QUALITY));
        });
        let photograph = jpeg::encode_bitmap(&bitmap, jpeg::QUALITY).unwrap_or_default();
        group.bench_function("jpeg decode", |bencher| {
            bencher.iter(|| jpeg::decode(&photograph, &LIMITS));
        });
        group.finish();
    }
}

criterion_group!(benches, codecs);
criterion_main!(benches);
