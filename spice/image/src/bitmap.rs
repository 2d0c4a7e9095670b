//! Reading plain bitmaps of every format as 32-bit pixels.

use caraway_ports::drawing::{Bitmap, BitmapFormat};
use thiserror::Error;

use crate::color;

/// Why a bitmap cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BitmapError {
    /// A side is zero.
    #[error("bitmap of {width}x{height} pixels has no content")]
    Empty { width: u32, height: u32 },
    /// Rows overlap.
    #[error("bitmap stride of {stride} bytes is less than the {needed} bytes of a row")]
    Stride { stride: u32, needed: u64 },
    /// Rows are missing.
    #[error("bitmap data of {have} bytes is less than the {needed} bytes of its rows")]
    Data { have: u64, needed: u64 },
    /// Indices without colours.
    #[error("bitmap of format {format:?} has no palette")]
    NoPalette { format: BitmapFormat },
    /// Only 1-bit bitmaps select pixels.
    #[error("bitmap of format {format:?} cannot be a mask")]
    NotAMask { format: BitmapFormat },
}

/// Checks that every row of `bitmap` is there.
fn check_rows(bitmap: &Bitmap) -> Result<(), BitmapError> {
    if bitmap.width == 0 || bitmap.height == 0 {
        return Err(BitmapError::Empty {
            width: bitmap.width,
            height: bitmap.height,
        });
    }
    let row = bitmap.format.row_bytes(bitmap.width);
    if u64::from(bitmap.stride) < row {
        return Err(BitmapError::Stride {
            stride: bitmap.stride,
            needed: row,
        });
    }
    // u32 * u32 + u35 fits in 64 bits.
    let needed = u64::from(bitmap.height - 1) * u64::from(bitmap.stride) + row;
    let have = bitmap.data.len() as u64;
    if have < needed {
        return Err(BitmapError::Data { have, needed });
    }
    Ok(())
}

/// A checked bitmap, read as 0xAARRGGBB values.
///
/// The high byte is what the pixel holds for [`BitmapFormat::Bit32`] and [`BitmapFormat::Rgba`], the value itself for
/// [`BitmapFormat::Bit8A`] (whose colours are 0), and 0 for all others. A palette index past the end is black.
#[derive(Clone, Copy, Debug)]
pub struct BitmapReader<'a> {
    bitmap: &'a Bitmap,
    palette: &'a [u32],
}

impl<'a> BitmapReader<'a> {
    /// Checks sizes and palette.
    ///
    /// # Errors
    /// A side of zero, too short a stride or too little data, indices without a palette.
    pub fn new(bitmap: &'a Bitmap) -> Result<Self, BitmapError> {
        check_rows(bitmap)?;
        let palette = match &bitmap.palette {
            Some(palette) => palette.entries.as_slice(),
            None if bitmap.format.has_palette() => return Err(BitmapError::NoPalette { format: bitmap.format }),
            None => &[],
        };
        Ok(Self { bitmap, palette })
    }

    /// The bitmap behind.
    #[must_use]
    pub const fn bitmap(&self) -> &'a Bitmap {
        self.bitmap
    }

    /// The pixel at `x`, `y` counted from the top left; 0 outside.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> u32 {
        let mut value = [0];
        self.row(x, y, &mut value);
        value[0]
    }

    /// Pixels of row `y` from column `x` on; those outside the picture are left as they are in `out`.
    pub fn row(&self, x: u32, y: u32, out: &mut [u32]) {
        let Some(row) = self.bitmap.row(y) else { return };
        let x = x as usize;
        let left = (self.bitmap.width as usize).saturating_sub(x);
        let count = out.len().min(left);
        let out = out.get_mut(..count).unwrap_or_default();
        let color = |index: usize| self.palette.get(index).copied().unwrap_or(0) & 0x00ff_ffff;
        let bytes = |per_pixel: usize| row.get(x.saturating_mul(per_pixel)..).unwrap_or_default();
        match self.bitmap.format {
            BitmapFormat::Bit1Le | BitmapFormat::Bit1Be => {
                let le = self.bitmap.format == BitmapFormat::Bit1Le;
                for (i, value) in out.iter_mut().enumerate() {
                    *value = color(usize::from(bit(row, x + i, le)));
                }
            }
            BitmapFormat::Bit4Le | BitmapFormat::Bit4Be => {
                let le = self.bitmap.format == BitmapFormat::Bit4Le;
                for (i, value) in out.iter_mut().enumerate() {
                    *value = color(nibble(row, x + i, le));
                }
            }
            BitmapFormat::Bit8 => {
                for (value, index) in out.iter_mut().zip(bytes(1)) {
                    *value = color(usize::from(*index));
                }
            }
            BitmapFormat::Bit8A => {
                for (value, alpha) in out.iter_mut().zip(bytes(1)) {
                    *value = u32::from(*alpha) << 24;
                }
            }
            BitmapFormat::Bit16 => {
                for (value, pixel) in out.iter_mut().zip(bytes(2).as_chunks().0) {
                    *value = color::from_555(u16::from_le_bytes(*pixel));
                }
            }
            BitmapFormat::Bit24 => {
                for (value, [b, g, r]) in out.iter_mut().zip(bytes(3).as_chunks().0) {
                    *value = u32::from_le_bytes([*b, *g, *r, 0]);
                }
            }
            BitmapFormat::Bit32 | BitmapFormat::Rgba => {
                for (value, pixel) in out.iter_mut().zip(bytes(4).as_chunks().0) {
                    *value = u32::from_le_bytes(*pixel);
                }
            }
        }
    }
}

/// A checked 1-bit bitmap that selects pixels; a palette, if there is one, plays no part.
#[derive(Clone, Copy, Debug)]
pub struct MaskReader<'a> {
    bitmap: &'a Bitmap,
}

impl<'a> MaskReader<'a> {
    /// Checks sizes and format.
    ///
    /// # Errors
    /// A side of zero, too short a stride or too little data, more than one bit a pixel.
    pub fn new(bitmap: &'a Bitmap) -> Result<Self, BitmapError> {
        check_rows(bitmap)?;
        match bitmap.format {
            BitmapFormat::Bit1Le | BitmapFormat::Bit1Be => Ok(Self { bitmap }),
            format => Err(BitmapError::NotAMask { format }),
        }
    }

    /// The bit at `x`, `y` counted from the top left; `None` outside.
    #[must_use]
    pub fn bit(&self, x: u32, y: u32) -> Option<bool> {
        if x >= self.bitmap.width {
            return None;
        }
        let row = self.bitmap.row(y)?;
        Some(bit(row, x as usize, self.bitmap.format == BitmapFormat::Bit1Le))
    }
}

/// Pixel `x` of a 1-bit row.
fn bit(row: &[u8], x: usize, low_first: bool) -> bool {
    let byte = row.get(x / 8).copied().unwrap_or(0);
    let shift = if low_first { x % 8 } else { 7 - x % 8 };
    (byte >> shift) & 1 == 1
}

/// Pixel `x` of a 4-bit row.
fn nibble(row: &[u8], x: usize, low_first: bool) -> usize {
    let byte = row.get(x / 2).copied().unwrap_or(0);
    usize::from(if x.is_multiple_of(2) == low_first {
        byte & 15
    } else {
        byte >> 4
    })
}

#[cfg(test)]
#[path = "bitmap_tests.rs"]
mod tests;
