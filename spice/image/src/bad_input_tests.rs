//! Every stored stream, cut and damaged: an error or a picture of the size announced, and nothing else.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use caraway_ports::drawing::{Bitmap, BitmapFormat};

use crate::{
    Limits,
    bitmap::BitmapReader,
    glz::{
        Window,
        records::{budget, records, sequences},
    },
    jpeg, lz, lz4, quic,
    vectors::{Vector, all},
    zlib_glz::ZlibDecoder,
};

/// Bytes that came out and bytes that should have, or what is wrong.
type Outcome = Result<(usize, u64), String>;

/// A decoder that knows what the message beside the stream says.
type Decode = Box<dyn Fn(&[u8]) -> Outcome + Send + Sync>;

/// A stream and what decodes it.
struct Case {
    name: String,
    stream: Vec<u8>,
    decode: Decode,
}

/// Room for every stored picture and not much more: damaged sizes stay below.
const LIMITS: Limits = Limits {
    max_width: 1 << 17,
    max_height: 1 << 13,
    max_pixels: 1 << 21,
};

fn outcome<E: ToString>(decoded: Result<Bitmap, E>) -> Outcome {
    let bitmap = decoded.map_err(|error| error.to_string())?;
    let needed = u64::from(bitmap.stride) * u64::from(bitmap.height);
    assert!(bitmap.format.row_bytes(bitmap.width) <= u64::from(bitmap.stride));
    Ok((bitmap.data.len(), needed))
}

fn case(name: &str, stream: Vec<u8>, decode: impl Fn(&[u8]) -> Outcome + Send + Sync + 'static) -> Case {
    Case {
        name: name.to_owned(),
        stream,
        decode: Box::new(decode),
    }
}

fn cases_of(vector: &Vector) -> Vec<Case> {
    let name = &vector.name;
    let Some(stream) = vector.encoded() else {
        let frames = vector.frames();
        return frames.iter().flat_map(cases_of).collect();
    };
    // Frames have no codec of their own.
    let decode: Decode = match vector.codec().unwrap_or("jpeg") {
        "lz" => Box::new(|stream| {
            let image = lz::decode(stream, &LIMITS).map_err(|error| error.to_string())?;
            outcome(image.into_bitmap())
        }),
        "quic" => Box::new(|stream| {
            let image = quic::decode(stream, &LIMITS).map_err(|error| error.to_string())?;
            let needed = image.kind.pixel_bytes() as u64 * u64::from(image.width) * u64::from(image.height);
            Ok((image.data.len(), needed))
        }),
        "lz4" => {
            let (width, height) = (vector.number("width"), vector.number("height"));
            Box::new(move |stream| outcome(lz4::decode(stream, width, height, &LIMITS)))
        }
        "jpeg" => Box::new(|stream| outcome(jpeg::decode(stream, &LIMITS))),
        "jpeg-alpha" => {
            let (size, top_down) = (vector.number("jpeg_size") as usize, vector.top_down());
            Box::new(move |stream| outcome(jpeg::decode_alpha(stream, size, top_down, &LIMITS)))
        }
        "bitmap" => {
            let vector = vector.clone();
            Box::new(move |stream| read_bitmap(&vector, stream))
        }
        "glz-seq" => return Vec::new(),
        other => panic!("{name}: no decoder for {other}"),
    };
    vec![Case {
        name: name.clone(),
        stream,
        decode,
    }]
}

fn read_bitmap(vector: &Vector, rows: &[u8]) -> Outcome {
    let format = BitmapFormat::from_raw(vector.number("type") as u8).unwrap();
    let bitmap = Bitmap {
        format,
        width: vector.number("width"),
        height: vector.number("height"),
        stride: vector.number("stride"),
        top_down: vector.top_down(),
        palette: vector.palette(),
        data: rows.to_vec().into(),
    };
    let reader = BitmapReader::new(&bitmap).map_err(|error| error.to_string())?;
    let mut row = vec![0; bitmap.width as usize];
    (0..bitmap.height).for_each(|y| reader.row(0, y, &mut row));
    Ok((0, 0))
}

/// The first images of each sequence, each with the window as it is when it comes.
fn images() -> Vec<Case> {
    let mut cases = Vec::new();
    for vector in sequences() {
        let mut window = Window::new(budget(&vector));
        for (index, record) in records(&vector).into_iter().enumerate().take(20) {
            let name = format!("{} {index}", vector.name);
            let before = window.clone();
            window.decode(&record.stream, &LIMITS).unwrap();
            if record.zlib {
                cases.push(case(&format!("{name} zlib"), record.payload, zlib(record.stream.len())));
            }
            // An error leaves a window as it was.
            let kept = Mutex::new(before.clone());
            cases.push(case(&name, record.stream, move |stream| {
                let mut window = kept.lock().unwrap();
                let decoded = window.decode(stream, &LIMITS);
                if decoded.is_ok() {
                    window.clone_from(&before);
                }
                outcome(decoded.map(|image| image.bitmap))
            }));
        }
    }
    cases
}

/// What takes zlib from a GLZ stream of `size` bytes.
fn zlib(size: usize) -> impl Fn(&[u8]) -> Outcome {
    move |data| {
        let glz = ZlibDecoder::new().decode(data, size as u32, &LIMITS);
        glz.map(|glz| (glz.len(), size as u64))
            .map_err(|error| error.to_string())
    }
}

/// Every part of the images of a sequence, one after the other in one window; how many parts.
fn check_sequence(vector: &Vector) -> usize {
    let mut window = Window::new(budget(vector));
    let mut parts = 0;
    for (index, record) in records(vector).into_iter().enumerate() {
        for length in 0..record.stream.len() {
            let decoded = window.decode(&record.stream[..length], &LIMITS);
            assert!(decoded.is_err(), "{} {index} {length}", vector.name);
        }
        window.decode(&record.stream, &LIMITS).unwrap();
        parts += record.stream.len();
        if record.zlib {
            let zlib = case(
                &format!("{} {index} zlib", vector.name),
                record.payload,
                zlib(record.stream.len()),
            );
            (0..zlib.stream.len()).for_each(|length| check_part(&zlib, length));
            parts += zlib.stream.len();
        }
    }
    parts
}

fn cases() -> Vec<Case> {
    let cases: Vec<Case> = all().iter().flat_map(cases_of).chain(images()).collect();
    assert!(cases.len() > 450, "{}", cases.len());
    for case in &cases {
        let (have, needed) = (case.decode)(&case.stream).unwrap();
        assert_eq!(have as u64, needed, "{}", case.name);
    }
    cases
}

/// Numbers without pattern.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % bound
    }
}

/// The first `length` bytes of a stream must be an error.
fn check_part(case: &Case, length: usize) {
    match (case.decode)(&case.stream[..length]) {
        // QUIC ends with bits that mean nothing, and rows may be padded.
        Ok(_) => assert!(
            case.name.starts_with("quic") || case.name.contains("-pad"),
            "{} {length}",
            case.name
        ),
        Err(error) => assert!(!error.is_empty()),
    }
}

#[test]
fn a_part_of_a_stream_is_an_error() {
    // As ci/fuzz/prefixes does; it takes minutes.
    if std::env::var_os("CARAWAY_EVERY_PREFIX").is_some() {
        return check_every_part();
    }
    for case in cases() {
        let length = case.stream.len();
        // All parts of short streams; of long ones some hundred and those that lack least.
        let step = (length / 300).max(1);
        for length in (0..length).step_by(step).chain(length.saturating_sub(16)..length) {
            check_part(&case, length);
        }
    }
}

/// All parts of all streams, on all processors.
fn check_every_part() {
    let (cases, sequences): (Vec<_>, _) = (all().iter().flat_map(cases_of).collect(), sequences());
    let parts = AtomicUsize::new(cases.iter().map(|case: &Case| case.stream.len()).sum());
    let (next, next_sequence) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(vector) = sequences.get(next_sequence.fetch_add(1, Ordering::Relaxed)) {
            parts.fetch_add(check_sequence(vector), Ordering::Relaxed);
        }
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            (0..case.stream.len()).for_each(|length| check_part(case, length));
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    println!("{} parts", parts.into_inner());
}

#[test]
fn damaged_streams_decode_or_fail_without_harm() {
    for (seed, case) in cases().into_iter().enumerate() {
        let mut draws = Draws(seed as u64);
        let rounds = if case.stream.len() < 10_000 { 40 } else { 8 };
        for round in 0..rounds {
            let mut stream = case.stream.clone();
            // Half of them in what the stream says of itself.
            let within = if round % 2 == 0 {
                stream.len()
            } else {
                stream.len().min(40)
            };
            for _ in 0..=draws.below(4) {
                stream[draws.below(within)] ^= 1 << draws.below(8);
            }
            if let Ok((have, needed)) = (case.decode)(&stream) {
                assert_eq!(have as u64, needed, "{} {round}", case.name);
            }
        }
    }
}

#[test]
fn bytes_without_sense_decode_or_fail_without_harm() {
    let mut draws = Draws(7);
    for case in cases().iter().step_by(7) {
        // Behind a header that makes sense, everything is random.
        let mut stream = case.stream.clone();
        for byte in stream.iter_mut().skip(36) {
            *byte = draws.below(256) as u8;
        }
        if let Ok((have, needed)) = (case.decode)(&stream) {
            assert_eq!(have as u64, needed, "{}", case.name);
        }
    }
}
