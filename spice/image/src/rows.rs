//! The rows of an image that is to be encoded.

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, SurfaceFormat},
};
use thiserror::Error;

use crate::color;

/// Why an image cannot be encoded: what is wrong with its size, format or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The codec has no such pixels.
    #[error("bitmap format {0:?} cannot be encoded")]
    Format(BitmapFormat),
    /// Surfaces of alpha alone have no colours.
    #[error("surface format {0:?} cannot be encoded")]
    Surface(SurfaceFormat),
    /// A side of zero, or more than the codec can say.
    #[error("image of {width}x{height} pixels is empty or too large to encode")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows overlap.
    #[error("image stride is {stride}, a row has {needed} bytes")]
    Stride {
        /// Bytes from row to row.
        stride: u32,
        /// Bytes of a row.
        needed: u64,
    },
    /// Rows are missing.
    #[error("image has {have} bytes of rows, {needed} are needed")]
    Data {
        /// Bytes there are.
        have: usize,
        /// Bytes up to the end of the last row.
        needed: u64,
    },
}

/// Checked rows of one of the four RGB formats.
pub(crate) struct Rows {
    pub(crate) format: BitmapFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Whether the first row stored is the top one.
    pub(crate) top_down: bool,
    row_bytes: usize,
    stride: usize,
    data: Bytes,
}

impl Rows {
    /// Those of a bitmap.
    pub(crate) fn of_bitmap(bitmap: &Bitmap) -> Result<Self, SourceError> {
        let format = bitmap.format;
        if format.has_palette() || format == BitmapFormat::Bit8A {
            return Err(SourceError::Format(format));
        }
        let size = (bitmap.width, bitmap.height);
        let (stride, row_bytes) = check(size, bitmap.stride, format.row_bytes(bitmap.width), bitmap.data.len())?;
        Ok(Self {
            format,
            width: bitmap.width,
            height: bitmap.height,
            top_down: bitmap.top_down,
            row_bytes,
            stride,
            data: bitmap.data.clone(),
        })
    }

    /// Those of a part of a surface: RGB32 for xRGB and 565, RGBA for ARGB, RGB16 for 555.
    pub(crate) fn of_pixels(pixels: &Pixels) -> Result<Self, SourceError> {
        let format = match pixels.format {
            SurfaceFormat::Xrgb | SurfaceFormat::Rgb565 => BitmapFormat::Bit32,
            SurfaceFormat::Argb => BitmapFormat::Rgba,
            SurfaceFormat::Rgb555 => BitmapFormat::Bit16,
            format @ (SurfaceFormat::A8 | SurfaceFormat::A1) => return Err(SourceError::Surface(format)),
        };
        let size = (pixels.width, pixels.height);
        let needed = pixels.format.row_bytes(pixels.width);
        let (stride, row_bytes) = check(size, pixels.stride, needed, pixels.data.len())?;
        let mut rows = Self {
            format,
            width: pixels.width,
            height: pixels.height,
            top_down: true,
            row_bytes,
            stride,
            data: pixels.data.clone(),
        };
        if pixels.format == SurfaceFormat::Rgb565 {
            let narrow = rows.stored().flat_map(|row| row.as_chunks().0);
            let wide: Vec<u8> = narrow
                .flat_map(|pixel| color::from_565(u16::from_le_bytes(*pixel)).to_le_bytes())
                .collect();
            rows.row_bytes *= 2;
            rows.stride = rows.row_bytes;
            rows.data = wide.into();
        }
        Ok(rows)
    }

    /// The rows without padding, in the order they are stored.
    pub(crate) fn stored(&self) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        let rows = self.data.chunks(self.stride).take(self.height as usize);
        rows.filter_map(|row| row.get(..self.row_bytes))
    }

    /// The rows without padding, the top one first.
    pub(crate) fn top_first(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let height = self.height as usize;
        (0..height).filter_map(move |y| {
            let place = if self.top_down { y } else { height - 1 - y };
            self.data.get(place * self.stride..)?.get(..self.row_bytes)
        })
    }

    /// Bytes of all rows without padding.
    pub(crate) fn bytes(&self) -> usize {
        self.row_bytes * self.height as usize
    }

    /// All rows without padding in one piece, in the order they are stored.
    pub(crate) fn tight(&self) -> Bytes {
        if self.stride == self.row_bytes {
            // They are all there.
            self.data.slice(..self.bytes())
        } else {
            self.stored().collect::<Vec<_>>().concat().into()
        }
    }

    /// All rows without padding in one piece, the top one first.
    pub(crate) fn tight_top_first(&self) -> Bytes {
        if self.top_down {
            self.tight()
        } else {
            self.top_first().collect::<Vec<_>>().concat().into()
        }
    }

    /// The pixels of 16-bit rows with 32 bits each, the top row first.
    pub(crate) fn widened_top_first(&self) -> Vec<u8> {
        let pixels = self.top_first().flat_map(|row| row.as_chunks().0);
        pixels
            .flat_map(|pixel| color::from_555(u16::from_le_bytes(*pixel)).to_le_bytes())
            .collect()
    }
}

/// Checks that all rows are there: stride and bytes of a row, as sizes of memory.
fn check((width, height): (u32, u32), stride: u32, row: u64, have: usize) -> Result<(usize, usize), SourceError> {
    if width == 0 || height == 0 {
        return Err(SourceError::Size { width, height });
    }
    if u64::from(stride) < row {
        return Err(SourceError::Stride { stride, needed: row });
    }
    // u32 * u32 + u35 fits in 64 bits.
    let needed = u64::from(stride) * u64::from(height - 1) + row;
    if needed > have as u64 {
        return Err(SourceError::Data { have, needed });
    }
    // Both are at most `have`, but for the stride of a single row.
    Ok(((stride as usize).max(1), row as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bitmap(format: BitmapFormat, height: u32, stride: u32, top_down: bool, data: &'static [u8]) -> Bitmap {
        Bitmap {
            format,
            width: 1,
            height,
            stride,
            top_down,
            palette: None,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn padding_is_left_out_and_the_top_row_found() {
        let padded = bitmap(BitmapFormat::Bit24, 2, 4, false, &[1, 2, 3, 9, 4, 5, 6]);
        let rows = Rows::of_bitmap(&padded).unwrap();
        assert_eq!(rows.tight()[..], [1, 2, 3, 4, 5, 6]);
        assert_eq!(rows.tight_top_first()[..], [4, 5, 6, 1, 2, 3]);
        let plain = bitmap(BitmapFormat::Bit24, 2, 3, true, &[1, 2, 3, 4, 5, 6, 7]);
        let rows = Rows::of_bitmap(&plain).unwrap();
        assert_eq!(rows.tight_top_first(), plain.data.slice(..6));
        assert_eq!(rows.tight_top_first().as_ptr(), plain.data.as_ptr(), "the same memory");
    }

    #[test]
    fn surfaces_of_5_6_5_are_widened() {
        let pixels = Pixels {
            format: SurfaceFormat::Rgb565,
            width: 1,
            height: 2,
            stride: 4,
            data: Bytes::from_static(&[0xe0, 7, 9, 9, 0x1f, 0]),
        };
        let rows = Rows::of_pixels(&pixels).unwrap();
        assert_eq!((rows.format, rows.bytes()), (BitmapFormat::Bit32, 8));
        assert_eq!(rows.tight()[..], [0, 255, 0, 0, 255, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_encoded_is_told_apart() {
        let error = |bitmap: &Bitmap| Rows::of_bitmap(bitmap).err().unwrap();
        let indices = bitmap(BitmapFormat::Bit8, 1, 1, true, &[0]);
        assert_eq!(error(&indices), SourceError::Format(BitmapFormat::Bit8));
        let alpha = bitmap(BitmapFormat::Bit8A, 1, 1, true, &[0]);
        assert_eq!(error(&alpha), SourceError::Format(BitmapFormat::Bit8A));
        let empty = bitmap(BitmapFormat::Bit32, 0, 4, true, &[0; 4]);
        assert_eq!(error(&empty), SourceError::Size { width: 1, height: 0 });
        let overlap = bitmap(BitmapFormat::Bit32, 2, 3, true, &[0; 8]);
        assert_eq!(error(&overlap), SourceError::Stride { stride: 3, needed: 4 });
        let short = bitmap(BitmapFormat::Bit32, 3, u32::MAX, true, &[0; 8]);
        let needed = 2 * u64::from(u32::MAX) + 4;
        assert_eq!(error(&short), SourceError::Data { have: 8, needed });
        let mask = Pixels {
            format: SurfaceFormat::A8,
            width: 1,
            height: 1,
            stride: 1,
            data: Bytes::from_static(&[0]),
        };
        assert_eq!(
            Rows::of_pixels(&mask).err(),
            Some(SourceError::Surface(SurfaceFormat::A8))
        );
    }
}
