//! GLZ: LZ whose matches may also lie in earlier images, lossless.
//!
//! All images of one dictionary have numbers, counted up from 0, and each says how far back it may refer. The server
//! keeps the images that can be referred to in a [`Dictionary`], the client in a [`Window`]; both are shared by all
//! displays of a connection that announce the same dictionary.
//!
//! A stream is a header of 33 bytes and one pass over the picture, or two (colours, then alpha). What a pass copies is
//! a unit: a pixel of the colours, a byte of alpha.

mod decode;
mod dictionary;
mod encode;
mod store;
mod table;
mod units;
mod window;

use caraway_ports::drawing::{Bitmap, BitmapFormat};
use thiserror::Error;

pub use dictionary::{Dictionary, DictionaryError, DictionaryState, GlzStream, MAX_WINDOW_PIXELS};
pub use window::{Window, WindowBudget};

/// First four bytes of a stream: two blanks, `ZL`.
const MAGIC: u32 = 0x2020_5a4c;
/// 1.1.
const VERSION: u32 = 0x0001_0001;
/// Bytes of the header: big-endian words but for the fifth field, which is the ninth byte.
const HEADER_BYTES: usize = 33;
/// The bit beside the type that says that the top row is first.
const TOP_DOWN: u8 = 0x10;
/// Most units in one literal run.
const MAX_LITERALS: usize = 32;
/// First offset that does not fit the short form of a match.
const FAR_PIXEL: usize = 1 << 12;
/// First offset that needs the third part of the far form.
const VERY_FAR_PIXEL: usize = 1 << 17;

/// What a stream holds; the numbers are those of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GlzType {
    /// x1r5g5b5.
    Rgb16 = 6,
    /// B, G, R.
    Rgb24 = 7,
    /// B, G, R and an unused byte.
    Rgb32 = 8,
    /// B, G, R, A, premultiplied.
    Rgba = 9,
}

impl GlzType {
    /// The type with this number, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            6 => Self::Rgb16,
            7 => Self::Rgb24,
            8 => Self::Rgb32,
            9 => Self::Rgba,
            _ => return None,
        })
    }

    /// The type that stores the pixels of a bitmap; none for indices and for alpha alone.
    #[must_use]
    pub const fn of_bitmap(format: BitmapFormat) -> Option<Self> {
        Self::from_raw(format as u8)
    }

    /// Bytes of a pixel of the rows that were encoded.
    const fn pixel_bytes(self) -> u32 {
        match self {
            Self::Rgb16 => 2,
            Self::Rgb24 => 3,
            Self::Rgb32 | Self::Rgba => 4,
        }
    }

    /// Shortest match in a pass over colours.
    const fn min_match(self) -> usize {
        match self {
            Self::Rgb16 => 2,
            _ => 1,
        }
    }
}

/// Shortest match in a pass over alpha.
const ALPHA_MIN_MATCH: usize = 3;

/// A decoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlzImage {
    /// Its number in the dictionary.
    pub id: u64,
    /// How many images back it may refer.
    pub win_head_dist: u32,
    /// How its pixels were stored before they were encoded.
    pub kind: GlzType,
    /// Its pixels, 32 bits each whatever they were: RGBA for [`GlzType::Rgba`], else 32BIT with unused byte 0. The
    /// memory is shared with the window until the window lets go of the image.
    pub bitmap: Bitmap,
}

/// Why a stream cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GlzError {
    /// A match lies in an image that has not come yet. Nothing is wrong: displays deliver independently. Decode the
    /// stream again when that image is there.
    #[error("GLZ image {id} refers to image {missing}, which has not come yet")]
    NotYet {
        /// The image that was to be decoded.
        id: u64,
        /// The one to wait for.
        missing: u64,
    },
    /// Another kind of data.
    #[error("GLZ magic is {0:#010x}, not 0x20205a4c")]
    Magic(u32),
    /// Another version.
    #[error("GLZ version is {0:#010x}, not 0x00010001")]
    Version(u32),
    /// Not a type of image.
    #[error("GLZ type and row order are {0:#04x}; types are 6 to 9")]
    Type(u8),
    /// Zero, or beyond what is allowed.
    #[error("GLZ image of {width}x{height} pixels is empty or too large")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Padded or overlapping rows.
    #[error("GLZ stride is {stride}, a row has {needed} bytes")]
    Stride {
        /// Bytes from row to row.
        stride: u32,
        /// Bytes of a row.
        needed: u64,
    },
    /// An image before the first is within reach.
    #[error("GLZ image {id} may refer {win_head_dist} images back")]
    WindowHead {
        /// The image.
        id: u64,
        /// What it says.
        win_head_dist: u32,
    },
    /// An image with this number has been decoded already.
    #[error("GLZ image {0} comes a second time")]
    Repeated(u64),
    /// The window would hold more than its budget.
    #[error("GLZ window of {pixels} pixels in {images} images cannot take {needed} pixels more")]
    Budget {
        /// Pixels it holds.
        pixels: u64,
        /// Images it holds.
        images: usize,
        /// Pixels of the new image.
        needed: u64,
    },
    /// The input ends too early.
    #[error("GLZ data ends after {produced} of {expected} units")]
    Truncated {
        /// Units of the pass decoded until then.
        produced: usize,
        /// Units of the pass.
        expected: usize,
    },
    /// A match reaches before the start of the pass.
    #[error("GLZ match at unit {at} reaches back {distance} units")]
    Distance {
        /// Where it stands.
        at: usize,
        /// How far back it reaches.
        distance: usize,
    },
    /// A literal run or match reaches past the end of the pass.
    #[error("GLZ run of {length} units at unit {at} of {expected}")]
    Length {
        /// Where it stands.
        at: usize,
        /// How many units it has.
        length: usize,
        /// Units of the pass.
        expected: usize,
    },
    /// A match in an image that the window no longer reaches.
    #[error("GLZ image {id} refers {distance} images back, it may refer {win_head_dist} back")]
    Outside {
        /// The image that was to be decoded.
        id: u64,
        /// How many images back the match lies.
        distance: u32,
        /// How many the image says.
        win_head_dist: u32,
    },
    /// A match in an image that earlier images said would never be referred to again.
    #[error("GLZ image {id} refers to image {freed}, which has left the window")]
    Freed {
        /// The image that was to be decoded.
        id: u64,
        /// The one it refers to.
        freed: u64,
    },
    /// A match reaches past the end of another image.
    #[error("GLZ match of {length} units from unit {offset} of image {id}, which has {units}")]
    Reach {
        /// The image the match lies in.
        id: u64,
        /// Where the match begins in it.
        offset: usize,
        /// How many units it has.
        length: usize,
        /// Units of that image.
        units: usize,
    },
    /// A match for alpha in an image without alpha.
    #[error("GLZ match takes alpha from image {0}, which has none")]
    NoAlpha(u64),
}

#[cfg(test)]
#[path = "glz/encoder_tests.rs"]
mod encoder_tests;
#[cfg(test)]
#[path = "glz/records.rs"]
pub(crate) mod records;
#[cfg(test)]
#[path = "glz/window_tests.rs"]
mod window_tests;
