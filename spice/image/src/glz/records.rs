//! The stored sequences: dictionaries of the reference with all their images.

use std::io::Read as _;

use caraway_ports::drawing::{Bitmap, BitmapFormat};
use flate2::read::ZlibDecoder;

use super::{GlzImage, GlzType, WindowBudget};
use crate::{
    color,
    vectors::{Vector, all},
};

/// One image of a sequence.
pub(crate) struct Record {
    /// Whether `payload` is a zlib stream.
    pub(crate) zlib: bool,
    /// As the message carries it.
    pub(crate) payload: Vec<u8>,
    /// The GLZ stream.
    pub(crate) stream: Vec<u8>,
}

/// All sequences.
pub(crate) fn sequences() -> Vec<Vector> {
    let mut sequences = all();
    sequences.retain(|vector| vector.text("codec") == "glz-seq");
    assert_eq!(sequences.len(), 8);
    sequences
}

/// The images of a sequence, in order.
pub(crate) fn records(vector: &Vector) -> Vec<Record> {
    let file = vector.encoded().unwrap();
    let mut rest = &file[..];
    let mut records = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<9>() {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let (payload, tail) = tail.split_at(word(1));
        let zlib = head[0] == 1;
        let mut stream = payload.to_vec();
        if zlib {
            stream.clear();
            ZlibDecoder::new(payload).read_to_end(&mut stream).unwrap();
        }
        assert_eq!(stream.len(), word(5), "{}", vector.name);
        records.push(Record {
            zlib,
            payload: payload.to_vec(),
            stream,
        });
        rest = tail;
    }
    assert_eq!(records.len(), vector.number("images") as usize, "{}", vector.name);
    records
}

/// Just the window of a sequence.
pub(crate) fn budget(vector: &Vector) -> WindowBudget {
    WindowBudget {
        max_pixels: u64::from(vector.number("window_pixels")),
        max_images: 1 << 16,
    }
}

/// The pixels of a decoded image as they were before it was encoded.
pub(crate) fn source(image: &GlzImage) -> Bitmap {
    let pixels = image.bitmap.data.as_chunks::<4>().0.iter();
    let (format, data): (_, Vec<u8>) = match image.kind {
        GlzType::Rgb16 => {
            let narrow = pixels.map(|pixel| color::to_555(u32::from_le_bytes(*pixel)));
            (BitmapFormat::Bit16, narrow.flat_map(u16::to_le_bytes).collect())
        }
        GlzType::Rgb24 => (
            BitmapFormat::Bit24,
            pixels.flat_map(|[b, g, r, _]| [*b, *g, *r]).collect(),
        ),
        GlzType::Rgb32 | GlzType::Rgba => return image.bitmap.clone(),
    };
    Bitmap {
        format,
        stride: format.row_bytes(image.bitmap.width) as u32,
        data: data.into(),
        ..image.bitmap.clone()
    }
}
