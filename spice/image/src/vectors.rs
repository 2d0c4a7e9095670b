//! Streams of the reference implementation with what they decode to.

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use caraway_ports::drawing::{Bitmap, BitmapFormat, Palette};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bitmap::BitmapReader;

/// One entry of the manifest.
#[derive(Clone)]
pub(crate) struct Vector {
    pub(crate) name: String,
    entry: Value,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Content of a file of the folder, without its gzip if it has one.
pub(crate) fn file(path: &str) -> Vec<u8> {
    let stored = fs::read(folder().join(path)).unwrap();
    if !path.ends_with(".gz") {
        return stored;
    }
    let mut content = Vec::new();
    GzDecoder::new(&stored[..]).read_to_end(&mut content).unwrap();
    content
}

/// Everything there is.
pub(crate) fn all() -> Vec<Vector> {
    let manifest = fs::read_to_string(folder().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let entries = manifest["vectors"].as_array().unwrap();
    let vector = |entry: &Value| Vector {
        name: entry["name"].as_str().unwrap().to_owned(),
        entry: entry.clone(),
    };
    entries.iter().map(vector).collect()
}

/// The vectors of one codec of which the stream is stored or a generator makes the picture.
pub(crate) fn of_codec(codec: &str) -> Vec<Vector> {
    let mut vectors = all();
    vectors.retain(|vector| {
        let entry = &vector.entry;
        let is_there = ["encoded", "gen", "frames"]
            .iter()
            .any(|field| !entry[*field].is_null());
        entry["codec"] == codec && is_there
    });
    vectors
}

impl Vector {
    /// The entries of its list, which have no name of their own.
    pub(crate) fn list(&self) -> Vec<Self> {
        let entries = self.entry["list"].as_array().into_iter().flatten();
        let entry = |entry: &Value| Self {
            name: self.name.clone(),
            entry: entry.clone(),
        };
        entries.map(entry).collect()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.entry[field].as_str().unwrap()
    }

    /// The codec, which parts of an entry do not name.
    pub(crate) fn codec(&self) -> Option<&str> {
        self.entry["codec"].as_str()
    }

    pub(crate) fn number(&self, field: &str) -> u32 {
        u32::try_from(self.entry[field].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn top_down(&self) -> bool {
        self.entry["top_down"].as_bool().unwrap()
    }

    /// Kind and seed of the generator of the picture.
    pub(crate) fn generator(&self) -> Option<(&str, u32)> {
        let generator = self.entry.get("gen")?.as_object()?;
        let seed = u32::try_from(generator["seed"].as_u64()?).ok()?;
        Some((generator["kind"].as_str()?, seed))
    }

    /// The stream, where it is stored.
    pub(crate) fn encoded(&self) -> Option<Vec<u8>> {
        self.entry["encoded"].as_str().map(file)
    }

    /// The rows the stream was made from, where they are stored.
    pub(crate) fn raw(&self) -> Option<Vec<u8>> {
        self.entry["raw"].as_str().map(file)
    }

    /// What the reference decodes a lossy stream to: B, G, R, A, the top row first.
    pub(crate) fn reference(&self) -> Option<Vec<u8>> {
        self.entry["reference_decode"].as_str().map(file)
    }

    /// How near that is to what was encoded, as a [`psnr`].
    pub(crate) fn decibels(&self) -> f64 {
        self.entry["reference_psnr_db"].as_f64().unwrap()
    }

    /// The images of a video stream.
    pub(crate) fn frames(&self) -> Vec<Self> {
        let frames = self.entry["frames"].as_array().into_iter().flatten();
        let frame = |(index, entry): (usize, &Value)| Self {
            name: format!("{} frame {index}", self.name),
            entry: entry.clone(),
        };
        frames.enumerate().map(frame).collect()
    }

    /// Files that the entry names, each with the hash of its content.
    pub(crate) fn files(&self) -> Vec<(&str, &str)> {
        let frames = self.entry["frames"].as_array().into_iter().flatten();
        let mut files = Vec::new();
        for part in frames.chain([&self.entry]) {
            for (file, hash) in [
                ("encoded", "encoded_sha256"),
                ("raw", "raw_sha256"),
                ("reference_decode", "reference_decode_sha256"),
            ] {
                if let Some(path) = part[file].as_str() {
                    files.push((path, part[hash].as_str().unwrap()));
                }
            }
        }
        files
    }

    pub(crate) fn palette(&self) -> Option<Arc<Palette>> {
        let entries = self.entry.get("palette")?.as_array()?;
        let entries = entries.iter().map(|entry| entry.as_u64().unwrap() as u32).collect();
        Some(Arc::new(Palette { unique: 0, entries }))
    }

    /// Whether `bitmap`, with the palette of this vector, shows what the reference decoder does.
    pub(crate) fn assert_shows(&self, mut bitmap: Bitmap) {
        bitmap.palette = self.palette();
        let reader = BitmapReader::new(&bitmap).unwrap();
        let mut row = vec![0; bitmap.width as usize];
        let mut hash = Sha256::new();
        let has_alpha = bitmap.format != BitmapFormat::Bit32;
        for y in 0..bitmap.height {
            reader.row(0, y, &mut row);
            for value in &row {
                let value = if has_alpha { *value } else { value & 0x00ff_ffff };
                hash.update(value.to_le_bytes());
            }
        }
        assert_eq!(hex(&hash.finalize()), self.text("display_sha256"), "{}", self.name);
    }
}

/// How near the colours of two bitmaps are to each other, in decibels of the greatest difference there can be.
pub(crate) fn psnr(a: &Bitmap, b: &Bitmap) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let (readers, width) = (
        [a, b].map(|bitmap| BitmapReader::new(bitmap).unwrap()),
        a.width as usize,
    );
    let mut rows = [vec![0; width], vec![0; width]];
    let mut squares = 0.0;
    for y in 0..a.height {
        readers
            .iter()
            .zip(&mut rows)
            .for_each(|(reader, row)| reader.row(0, y, row));
        for (a, b) in rows[0].iter().zip(&rows[1]) {
            let pairs = a.to_le_bytes().into_iter().zip(b.to_le_bytes()).take(3);
            squares += pairs.map(|(a, b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>();
        }
    }
    let mean = squares / (3.0 * width as f64 * f64::from(a.height));
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
