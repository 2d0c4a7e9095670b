//! JPEG and JPEG_ALPHA, for images that may lose something: baseline, 8 bits, the colours halved in both directions.
//!
//! A JPEG_ALPHA image is a JPEG stream of the colours and, right behind it, an LZ stream of type XXXA of the alpha,
//! which loses nothing. Both codecs encode by way of the crate `jpeg-encoder` and decode by way of `jpeg-decoder`; what
//! a stream says of itself is checked here before memory is taken for it.

mod alpha;
mod frame;
mod tables;

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat},
};
use jpeg_decoder::{Decoder, PixelFormat};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};
use thiserror::Error;

use self::frame::Frame;
use crate::{
    Limits,
    lz::LzError,
    rows::{Rows, SourceError},
};

pub use alpha::{JpegAlpha, decode_alpha, encode_alpha_bitmap, encode_alpha_pixels};

/// The quality of images that the reference uses: 1 is the worst, 100 the best.
pub const QUALITY: u8 = 85;

/// Why a stream cannot be decoded or an image not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JpegError {
    /// The input ends before the end-of-image marker.
    #[error("JPEG data of {0} bytes has no end")]
    Truncated(usize),
    /// Another byte than a marker has.
    #[error("JPEG data has no marker at byte {0}")]
    NoMarker(usize),
    /// A segment that is too short or too long for what is in it.
    #[error("JPEG segment of marker {marker:#04x} at byte {at} has a wrong length of {length}")]
    Segment {
        /// Second byte of the marker.
        marker: u8,
        /// Where the segment begins.
        at: usize,
        /// The length it says.
        length: usize,
    },
    /// Not baseline: progressive, lossless, arithmetic coding.
    #[error("JPEG has a frame of marker {0:#04x}, only baseline (0xc0) is decoded")]
    NotBaseline(u8),
    /// 12 bits a component.
    #[error("JPEG has {0} bits a component, not 8")]
    Precision(u8),
    /// Neither grey nor three colours.
    #[error("JPEG has {0} components, not 1 or 3")]
    Components(u8),
    /// Not 1 to 4 samples across and down.
    #[error("JPEG samples component {component} {horizontal}x{vertical} times")]
    Sampling {
        /// Which of the components.
        component: usize,
        /// Samples across.
        horizontal: u8,
        /// Samples down.
        vertical: u8,
    },
    /// More scans or frames than a picture has, or none.
    #[error("JPEG has {frames} frames and {scans} scans for {components} components")]
    Scans {
        /// Frame headers up to there.
        frames: usize,
        /// Scans up to there.
        scans: usize,
        /// Components of the frame.
        components: usize,
    },
    /// Zero, or beyond what is allowed; a JPEG has at most 65535 pixels on a side.
    #[error("JPEG image of {width}x{height} pixels is empty or too large")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Fewer bytes than the blocks of the picture need at least.
    #[error("JPEG data of {have} bytes cannot fill {width}x{height} pixels")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// What the coder finds wrong in what was left to it.
    #[error("JPEG: {0}")]
    Coding(String),
    /// The JPEG part is longer than all.
    #[error("JPEG_ALPHA has {jpeg_size} bytes of JPEG in {data_size} bytes of data")]
    Parts {
        /// Bytes of JPEG that the message says.
        jpeg_size: usize,
        /// Bytes there are.
        data_size: usize,
    },
    /// The alpha part is damaged.
    #[error("JPEG_ALPHA: {0}")]
    Alpha(#[from] LzError),
    /// The alpha part has other pixels than alpha alone.
    #[error("JPEG_ALPHA has alpha of LZ type {0}, not 10")]
    AlphaType(u32),
    /// The parts are not of one size.
    #[error("JPEG_ALPHA has alpha of {width}x{height} pixels, its colours have another size")]
    AlphaSize {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The message and the alpha part do not agree about the order of rows.
    #[error("JPEG_ALPHA has alpha with top_down {0}, the message says otherwise")]
    AlphaOrder(bool),
    /// Only RGBA has alpha to keep.
    #[error("JPEG_ALPHA is for RGBA, not for {0:?}")]
    NoAlpha(BitmapFormat),
    /// Pixels that cannot be encoded.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Decodes a stream to 32BIT, top row first, unused byte 0. One without Huffman tables, as all frames of an MJPEG
/// stream but the first may be, is decoded with the usual ones. Bytes after the end of the image are ignored.
///
/// # Errors
/// Anything but baseline JPEG of grey or of three colours, an image beyond `limits`, input that is cut. Memory is taken
/// only for a size that is within the limits and that the input is long enough to fill.
pub fn decode(data: &[u8], limits: &Limits) -> Result<Bitmap, JpegError> {
    let frame = Frame::read(data, limits)?;
    let whole;
    let data = if frame.has_tables {
        data
    } else {
        whole = tables::insert(data);
        &whole
    };
    let mut decoder = Decoder::new(data);
    let pixels = decoder.decode().map_err(|error| JpegError::Coding(error.to_string()))?;
    let (width, height) = (frame.width, frame.height);
    let wide: Vec<[u8; 4]> = match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::RGB24) => pixels.as_chunks().0.iter().map(|[r, g, b]| [*b, *g, *r, 0]).collect(),
        Some(PixelFormat::L8) => pixels.iter().map(|grey| [*grey, *grey, *grey, 0]).collect(),
        format => return Err(JpegError::Coding(format!("pixels of format {format:?}"))),
    };
    if wide.len() as u64 != u64::from(width) * u64::from(height) {
        return Err(JpegError::Coding(format!("{} pixels", wide.len())));
    }
    Ok(Bitmap {
        format: BitmapFormat::Bit32,
        width,
        height,
        // A side has 16 bits.
        stride: width * 4,
        top_down: true,
        palette: None,
        data: Bytes::from(wide.into_flattened()),
    })
}

/// Encodes the colours of a bitmap, with a quality of 1 (worst) to 100; alpha is not kept.
///
/// # Errors
/// Formats with a palette or of alpha alone, a bitmap whose rows are not there, a side of more than 65535 pixels.
pub fn encode_bitmap(bitmap: &Bitmap, quality: u8) -> Result<Vec<u8>, JpegError> {
    encode(&Rows::of_bitmap(bitmap)?, quality, Tables::Usual)
}

/// The same for a frame of a video: with Huffman tables made for it, which takes half as long again and saves a tenth of
/// a photograph, and half where much of it is of one colour.
///
/// # Errors
/// Those of [`encode_bitmap`].
pub fn encode_frame(bitmap: &Bitmap, quality: u8) -> Result<Vec<u8>, JpegError> {
    encode(&Rows::of_bitmap(bitmap)?, quality, Tables::Own)
}

/// Encodes the colours of a part of a surface, with a quality of 1 (worst) to 100; alpha is not kept.
///
/// # Errors
/// Surfaces of alpha alone, rows that are not there, a side of more than 65535 pixels.
pub fn encode_pixels(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, JpegError> {
    encode(&Rows::of_pixels(pixels)?, quality, Tables::Usual)
}

/// The Huffman tables of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// Those of the standard's example.
    Usual,
    /// Made for the picture.
    Own,
}

fn encode(rows: &Rows, quality: u8, tables: Tables) -> Result<Vec<u8>, JpegError> {
    let (Ok(width), Ok(height)) = (u16::try_from(rows.width), u16::try_from(rows.height)) else {
        return Err(JpegError::Size {
            width: rows.width,
            height: rows.height,
        });
    };
    let mut out = Vec::with_capacity(rows.bytes() / 8);
    let mut encoder = Encoder::new(&mut out, quality.clamp(1, 100));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.set_optimized_huffman_tables(tables == Tables::Own);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let done = match rows.format {
        BitmapFormat::Bit24 => encoder.encode(&rows.tight_top_first(), width, height, ColorType::Bgr),
        BitmapFormat::Bit16 => encoder.encode(&rows.widened_top_first(), width, height, ColorType::Bgra),
        _ => encoder.encode(&rows.tight_top_first(), width, height, ColorType::Bgra),
    };
    done.map_err(|error| JpegError::Coding(error.to_string()))?;
    Ok(out)
}

#[cfg(test)]
#[path = "jpeg/alpha_tests.rs"]
mod alpha_tests;
#[cfg(test)]
#[path = "jpeg/tests.rs"]
mod tests;
