//! LZ: a byte-oriented LZ77 with literal runs and matches, lossless.
//!
//! A stream is a header of 28 bytes and one pass over the picture, or two (colours, then alpha). What a pass copies is
//! a unit: a pixel of the RGB types, a byte of the others.

mod decode;
mod encode;
mod matches;
#[cfg(test)]
mod plain;
mod sink;
mod units;

use bytes::Bytes;
use caraway_ports::drawing::{Bitmap, BitmapFormat};
use thiserror::Error;

pub use decode::{LzDecoder, decode};
pub use encode::{LzEncoder, encode, encode_bitmap, encode_pixels};
pub(crate) use units::repeat;

/// First four bytes of a stream: two blanks, `ZL`.
const MAGIC: u32 = 0x2020_5a4c;
/// 1.1.
const VERSION: u32 = 0x0001_0001;
/// Bytes of the header: seven big-endian words.
const HEADER_BYTES: usize = 28;
/// Most bytes of uncompressed rows that the header may announce.
const MAX_BYTES: u64 = (1 << 30) - 1;
/// Greatest distance of a short match.
const MAX_NEAR: usize = 8191;
/// Greatest distance of any match.
const MAX_FAR: usize = MAX_NEAR + 0x1_0000;

/// What a stream holds; the numbers are those of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum LzType {
    /// 1-bit indices, leftmost pixel in the low bit.
    Plt1Le = 1,
    /// 1-bit indices, leftmost pixel in the high bit.
    Plt1Be = 2,
    /// 4-bit indices, leftmost pixel in the low nibble.
    Plt4Le = 3,
    /// 4-bit indices, leftmost pixel in the high nibble.
    Plt4Be = 4,
    /// 8-bit indices.
    Plt8 = 5,
    /// x1r5g5b5.
    Rgb16 = 6,
    /// B, G, R.
    Rgb24 = 7,
    /// B, G, R and an unused byte that is 0 after decoding.
    Rgb32 = 8,
    /// B, G, R, A, premultiplied.
    Rgba = 9,
    /// Only the A of B, G, R, A; the others are 0 after decoding.
    Xxxa = 10,
    /// 8 bits of alpha.
    A8 = 11,
}

impl LzType {
    /// The type with this number, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            1 => Self::Plt1Le,
            2 => Self::Plt1Be,
            3 => Self::Plt4Le,
            4 => Self::Plt4Be,
            5 => Self::Plt8,
            6 => Self::Rgb16,
            7 => Self::Rgb24,
            8 => Self::Rgb32,
            9 => Self::Rgba,
            10 => Self::Xxxa,
            11 => Self::A8,
            _ => return None,
        })
    }

    /// How a bitmap stores the same pixels; alpha alone is an RGBA bitmap without colour.
    #[must_use]
    pub const fn bitmap_format(self) -> BitmapFormat {
        match self {
            Self::Plt1Le => BitmapFormat::Bit1Le,
            Self::Plt1Be => BitmapFormat::Bit1Be,
            Self::Plt4Le => BitmapFormat::Bit4Le,
            Self::Plt4Be => BitmapFormat::Bit4Be,
            Self::Plt8 => BitmapFormat::Bit8,
            Self::Rgb16 => BitmapFormat::Bit16,
            Self::Rgb24 => BitmapFormat::Bit24,
            Self::Rgb32 => BitmapFormat::Bit32,
            Self::Rgba | Self::Xxxa => BitmapFormat::Rgba,
            Self::A8 => BitmapFormat::Bit8A,
        }
    }

    /// The type that stores the pixels of a bitmap.
    #[must_use]
    pub const fn of_bitmap(format: BitmapFormat) -> Self {
        match format {
            BitmapFormat::Bit1Le => Self::Plt1Le,
            BitmapFormat::Bit1Be => Self::Plt1Be,
            BitmapFormat::Bit4Le => Self::Plt4Le,
            BitmapFormat::Bit4Be => Self::Plt4Be,
            BitmapFormat::Bit8 => Self::Plt8,
            BitmapFormat::Bit16 => Self::Rgb16,
            BitmapFormat::Bit24 => Self::Rgb24,
            BitmapFormat::Bit32 => Self::Rgb32,
            BitmapFormat::Rgba => Self::Rgba,
            BitmapFormat::Bit8A => Self::A8,
        }
    }

    /// Whether pixels are indices into a palette that travels beside the stream.
    #[must_use]
    pub const fn has_palette(self) -> bool {
        self.bitmap_format().has_palette()
    }

    /// Bytes of a row of `width` pixels: the only stride there is.
    #[must_use]
    pub const fn row_bytes(self, width: u32) -> u64 {
        self.bitmap_format().row_bytes(width)
    }
}

/// Rows of pixels as a stream holds them: tight, the first one the top row or the bottom row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LzImage {
    /// How a pixel is stored.
    pub kind: LzType,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Whether the first row is the top one.
    pub top_down: bool,
    /// `height` rows of `kind.row_bytes(width)` bytes.
    pub data: Bytes,
}

impl LzImage {
    /// The same pixels as a bitmap, without a palette.
    ///
    /// # Errors
    /// A row longer than a bitmap can say.
    pub fn into_bitmap(self) -> Result<Bitmap, LzError> {
        let too_large = LzError::Size {
            width: self.width,
            height: self.height,
        };
        Ok(Bitmap {
            format: self.kind.bitmap_format(),
            width: self.width,
            height: self.height,
            stride: u32::try_from(self.kind.row_bytes(self.width)).map_err(|_| too_large)?,
            top_down: self.top_down,
            palette: None,
            data: self.data,
        })
    }
}

/// What the header of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LzHeader {
    /// How a pixel is stored.
    pub kind: LzType,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Whether the first row is the top one.
    pub top_down: bool,
}

/// Writes literal colours of B, G and R as pixels whose last byte is 0, one for each three bytes.
pub(crate) fn put_colours(literals: &[u8], pixels: &mut [[u8; 4]]) {
    let count = pixels.len().min(literals.len() / 3);
    <[u8; 4] as units::Unit>::literals(literals, pixels, count);
}

/// Why a stream cannot be decoded or an image not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LzError {
    /// Another kind of data.
    #[error("LZ magic is {0:#010x}, not 0x20205a4c")]
    Magic(u32),
    /// Another version.
    #[error("LZ version is {0:#010x}, not 0x00010001")]
    Version(u32),
    /// Not a type of image.
    #[error("LZ image type is {0}, not 1 to 11")]
    Type(u32),
    /// Zero, or beyond what is allowed.
    #[error("LZ image of {width}x{height} pixels is empty or too large")]
    Size { width: u32, height: u32 },
    /// Padded or overlapping rows.
    #[error("LZ stride is {stride}, a row has {needed} bytes")]
    Stride { stride: u32, needed: u64 },
    /// The input ends too early.
    #[error("LZ data ends after {produced} of {expected} units")]
    Truncated { produced: usize, expected: usize },
    /// A match reaches before the start of the pass.
    #[error("LZ match at unit {at} reaches back {distance} units")]
    Distance { at: usize, distance: usize },
    /// A literal run or match reaches past the end of the pass.
    #[error("LZ run of {length} units at unit {at} of {expected}")]
    Length { at: usize, length: usize, expected: usize },
    /// There is input after the last pass.
    #[error("{0} bytes follow the LZ data")]
    Trailing(usize),
    /// The rows to encode are not as long as the size says.
    #[error("{have} bytes of rows, {needed} are needed")]
    Data { have: usize, needed: u64 },
}

#[cfg(test)]
#[path = "lz/tests.rs"]
mod tests;
