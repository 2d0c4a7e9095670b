//! Every entry of the manifest, none left out.

use std::{collections::BTreeSet, fs};

use caraway_ports::drawing::{Bitmap, BitmapFormat};

use crate::{
    Limits,
    glz::{
        Window,
        records::{budget, records},
    },
    jpeg, lz, lz4,
    quic::{self, QuicImage, QuicType},
    vectors::{Vector, all, file, folder, sha256},
    zlib_glz::ZlibDecoder,
};

#[test]
fn every_file_is_named_by_the_manifest_and_is_what_it_says() {
    let mut named = BTreeSet::new();
    for vector in all() {
        for (path, hash) in vector.files() {
            assert_eq!(sha256(&file(path)), hash, "{path}");
            named.insert(path.to_owned());
        }
    }
    let stored = ["enc", "raw", "ref"].iter().flat_map(|part| {
        let files = fs::read_dir(folder().join(part)).unwrap();
        files.map(move |file| format!("{part}/{}", file.unwrap().file_name().to_str().unwrap()))
    });
    assert_eq!(stored.collect::<BTreeSet<_>>(), named);
}

#[test]
fn every_entry_decodes_to_what_the_reference_decodes_it_to() {
    let vectors = all();
    assert_eq!(vectors.len(), 396);
    for vector in &vectors {
        match vector.text("codec") {
            "bitmap" => bitmap(vector),
            "lz" => lossless_lz(vector),
            "quic" => lossless_quic(vector),
            "lz4" => lossless_lz4(vector),
            "glz-seq" => lossless_glz(vector),
            "jpeg" => lossy_jpeg(vector),
            "jpeg-alpha" => lossy_jpeg_alpha(vector),
            "mjpeg" => vector.frames().iter().for_each(lossy_jpeg),
            other => panic!("{}: no decoder for {other}", vector.name),
        }
    }
}

fn bitmap(vector: &Vector) {
    vector.assert_shows(Bitmap {
        format: BitmapFormat::from_raw(vector.number("type") as u8).unwrap(),
        width: vector.number("width"),
        height: vector.number("height"),
        stride: vector.number("stride"),
        top_down: vector.top_down(),
        palette: None,
        data: vector.encoded().unwrap().into(),
    });
}

fn lossless_lz(vector: &Vector) {
    let image = lz::decode(&vector.encoded().unwrap(), &Limits::default()).unwrap();
    assert_eq!(sha256(&image.data), vector.text("pixels_sha256"), "{}", vector.name);
    vector.assert_shows(image.into_bitmap().unwrap());
}

/// All images of a dictionary in one hash; `glz` looks at them one by one.
fn lossless_glz(vector: &Vector) {
    let (limits, mut zlib) = (Limits::default(), ZlibDecoder::new());
    let mut window = Window::new(budget(vector));
    let mut pixels = Vec::new();
    for record in records(vector) {
        let stream = if record.zlib {
            zlib.decode(&record.payload, record.stream.len() as u32, &limits)
                .unwrap()
        } else {
            record.payload
        };
        let image = window.decode(&stream, &limits).unwrap();
        pixels.extend_from_slice(&image.bitmap.data);
    }
    assert_eq!(sha256(&pixels), vector.text("all_pixels_sha256"), "{}", vector.name);
}

fn lossless_lz4(vector: &Vector) {
    let (width, height) = (vector.number("width"), vector.number("height"));
    let bitmap = lz4::decode(&vector.encoded().unwrap(), width, height, &Limits::default()).unwrap();
    assert_eq!(bitmap.format as u32, vector.number("type"), "{}", vector.name);
    assert_eq!(bitmap.top_down, vector.top_down(), "{}", vector.name);
    assert_eq!(sha256(&bitmap.data), vector.text("pixels_sha256"), "{}", vector.name);
    vector.assert_shows(bitmap);
}

/// Colours have to be within 4 of what libjpeg-turbo makes of the stream, all but one in a hundred.
fn assert_near(vector: &Vector, bitmap: &Bitmap) {
    let reference = vector.reference().unwrap();
    assert_eq!(bitmap.data.len(), reference.len(), "{}", vector.name);
    let pairs = bitmap.data.iter().zip(&reference);
    let far = pairs.filter(|(a, b)| a.abs_diff(**b) > 4).count();
    assert!(far * 100 <= reference.len() * 3 / 4, "{}: {far} differ", vector.name);
}

fn lossy_jpeg(vector: &Vector) {
    let bitmap = jpeg::decode(&vector.encoded().unwrap(), &Limits::default()).unwrap();
    assert_near(vector, &bitmap);
    assert!(
        bitmap.data.iter().skip(3).step_by(4).all(|unused| *unused == 0),
        "{}",
        vector.name
    );
}

fn lossy_jpeg_alpha(vector: &Vector) {
    let (data, top_down) = (vector.encoded().unwrap(), vector.number("flags") & 1 == 1);
    assert_eq!(data.len(), vector.number("data_size") as usize, "{}", vector.name);
    let bitmap = jpeg::decode_alpha(&data, vector.number("jpeg_size") as usize, top_down, &Limits::default()).unwrap();
    assert_near(vector, &bitmap);
    let alpha = |bytes: &[u8]| bytes.iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
    assert_eq!(
        alpha(&bitmap.data),
        alpha(&vector.reference().unwrap()),
        "{}",
        vector.name
    );
}

/// From the stream where it is stored; else from the picture, whose stream must be that of the reference. Pictures
/// of generators have a test of their own.
fn lossless_quic(vector: &Vector) {
    let stream = match (vector.encoded(), vector.raw()) {
        (Some(stream), _) => stream,
        (None, Some(rows)) => {
            let (width, height) = (vector.number("width"), vector.number("height"));
            let kind = QuicType::from_raw(vector.number("type")).unwrap();
            let data = rows.into();
            let stream = quic::encode(&QuicImage {
                kind,
                width,
                height,
                data,
            });
            stream.unwrap()
        }
        (None, None) => {
            assert!(vector.generator().is_some(), "{}: nothing to decode", vector.name);
            return;
        }
    };
    assert_eq!(sha256(&stream), vector.text("encoded_sha256"), "{}", vector.name);
    let image = quic::decode(&stream, &Limits::default()).unwrap();
    assert_eq!(sha256(&image.data), vector.text("pixels_sha256"), "{}", vector.name);
}
