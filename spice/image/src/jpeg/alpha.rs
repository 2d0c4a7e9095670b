//! Colours in a JPEG stream, alpha in an LZ stream.

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat},
};

use super::{JpegError, Tables, decode, encode};
use crate::{
    Limits,
    lz::{self, LzImage, LzType},
    rows::Rows,
};

/// An encoded image and what the message says beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JpegAlpha {
    /// Whether the alpha has its top row first; the colours always do.
    pub top_down: bool,
    /// Bytes of the JPEG stream.
    pub jpeg_size: usize,
    /// The JPEG stream and the LZ stream.
    pub data: Vec<u8>,
}

/// Encodes an RGBA bitmap, its colours with a quality of 1 (worst) to 100. Alpha keeps the order of the rows.
///
/// # Errors
/// Other formats, a bitmap whose rows are not there, a side of more than 65535 pixels, more than 2^28 pixels.
pub fn encode_alpha_bitmap(bitmap: &Bitmap, quality: u8) -> Result<JpegAlpha, JpegError> {
    encode_alpha(&Rows::of_bitmap(bitmap)?, quality)
}

/// Encodes a part of an ARGB surface, its colours with a quality of 1 (worst) to 100.
///
/// # Errors
/// Other formats, rows that are not there, a side of more than 65535 pixels, more than 2^28 pixels.
pub fn encode_alpha_pixels(pixels: &Pixels, quality: u8) -> Result<JpegAlpha, JpegError> {
    encode_alpha(&Rows::of_pixels(pixels)?, quality)
}

fn encode_alpha(rows: &Rows, quality: u8) -> Result<JpegAlpha, JpegError> {
    if rows.format != BitmapFormat::Rgba {
        return Err(JpegError::NoAlpha(rows.format));
    }
    let mut data = encode(rows, quality, Tables::Usual)?;
    let jpeg_size = data.len();
    data.extend(lz::encode(&LzImage {
        kind: LzType::Xxxa,
        width: rows.width,
        height: rows.height,
        top_down: rows.top_down,
        data: rows.tight(),
    })?);
    Ok(JpegAlpha {
        top_down: rows.top_down,
        jpeg_size,
        data,
    })
}

/// Decodes an image to RGBA, top row first. Alpha is exact; colours are not, so one may be above its alpha.
///
/// # Errors
/// What is wrong in either part, parts that do not fit each other or the message, an image beyond `limits`.
pub fn decode_alpha(data: &[u8], jpeg_size: usize, top_down: bool, limits: &Limits) -> Result<Bitmap, JpegError> {
    let Some((jpeg, alpha)) = data.split_at_checked(jpeg_size) else {
        return Err(JpegError::Parts {
            jpeg_size,
            data_size: data.len(),
        });
    };
    let colours = decode(jpeg, limits)?;
    let alpha = lz::decode(alpha, &Limits::exactly(colours.width, colours.height))?;
    if alpha.kind != LzType::Xxxa {
        return Err(JpegError::AlphaType(alpha.kind as u32));
    }
    if (alpha.width, alpha.height) != (colours.width, colours.height) {
        return Err(JpegError::AlphaSize {
            width: alpha.width,
            height: alpha.height,
        });
    }
    if alpha.top_down != top_down {
        return Err(JpegError::AlphaOrder(alpha.top_down));
    }
    let mut pixels: Vec<u8> = colours.data.into();
    let row_bytes = colours.stride as usize;
    let put = |to: &mut [u8], from: &[u8]| {
        for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<4>().0) {
            to[3] = from[3];
        }
    };
    let rows = alpha.data.chunks(row_bytes);
    let to = pixels.chunks_mut(row_bytes);
    if top_down {
        to.zip(rows).for_each(|(to, from)| put(to, from));
    } else {
        to.zip(rows.rev()).for_each(|(to, from)| put(to, from));
    }
    Ok(Bitmap {
        format: BitmapFormat::Rgba,
        data: Bytes::from(pixels),
        ..colours
    })
}
