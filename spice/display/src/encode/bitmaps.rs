//! Bitmaps in the form in which they are sent.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use caraway_image::bitmap::BitmapReader;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, Palette, SurfaceFormat},
    geometry::Rect,
};
use caraway_protocol::display::{self, PaletteRef};

use super::EncodeError;

pub(super) fn whole(bitmap: &Bitmap) -> Rect {
    Rect::at(0, 0, bitmap.width, bitmap.height)
}

/// The palette of a bitmap without the guest's name for it, with an entry for every index there can be: missing ones
/// are black here, but the reference client takes indices modulo the number of entries, also of none at all.
pub(super) fn whole_palette(bitmap: &Bitmap) -> Option<Arc<Palette>> {
    let mut entries = bitmap.palette.as_ref()?.entries.clone();
    let indices = 1_usize << bitmap.format.bits_per_pixel().min(8);
    entries.resize(entries.len().max(indices), 0);
    Some(Arc::new(Palette { unique: 0, entries }))
}

/// The same 16-bit pixels with their highest bit 0, as codecs leave it and our canvas: the client compares it.
pub(super) fn without_unused_bit(bitmap: Bitmap) -> Bitmap {
    let data = bitmap.data.chunks(2).flat_map(|pixel| match pixel {
        [low, high] => [*low, high & 0x7f],
        _ => [0; 2],
    });
    Bitmap {
        data: data.collect(),
        ..bitmap
    }
}

/// The same pixels in a format of 32 bits.
pub(crate) fn expanded(bitmap: &Bitmap, format: BitmapFormat) -> Result<Bitmap, EncodeError> {
    let (width, height) = (bitmap.width, bitmap.height);
    let wrong = |_| EncodeError::Bitmap { width, height };
    let reader = BitmapReader::new(bitmap).map_err(wrong)?;
    let mut row = vec![0; width as usize];
    let mut data = BytesMut::with_capacity(row.len() * height as usize * 4);
    for y in 0..height {
        reader.row(0, y, &mut row);
        row.iter().for_each(|pixel| data.put_u32_le(*pixel));
    }
    Ok(Bitmap {
        format,
        width,
        height,
        stride: width * 4,
        top_down: true,
        palette: None,
        data: data.freeze(),
    })
}

/// A packed bitmap as it is, but in a format the reference client draws: of those with a palette, only with the leftmost
/// pixel in the high bits.
pub(super) fn drawable(bitmap: &Bitmap) -> display::ImageData {
    let (format, data) = match bitmap.format {
        BitmapFormat::Bit1Le => {
            let turned = bitmap.data.iter().map(|byte| byte.reverse_bits()).collect();
            (BitmapFormat::Bit1Be, turned)
        }
        BitmapFormat::Bit4Le => {
            let turned = bitmap.data.iter().map(|byte| byte.rotate_left(4)).collect();
            (BitmapFormat::Bit4Be, turned)
        }
        format => (format, bitmap.data.clone()),
    };
    let turned = Bitmap {
        format,
        palette: bitmap.palette.clone(),
        data: data.clone(),
        ..*bitmap
    };
    plain(&turned, data, bitmap.stride)
}

pub(super) fn plain(bitmap: &Bitmap, data: Bytes, stride: u32) -> display::ImageData {
    display::ImageData::Bitmap(display::Bitmap {
        format: bitmap.format,
        top_down: true,
        stride,
        palette: whole_palette(bitmap).map(|palette| PaletteRef::Inline { palette, cache: false }),
        data,
    })
}

/// The rows of a part of a bitmap, top row first, without what lies beside them in guest memory: rows are padded to
/// four bytes with zeroes. Formats of less than a byte are cut at whole rows only. Returns data and stride.
pub(super) fn pack(bitmap: &Bitmap, area: &Rect) -> Result<(Bytes, u32), EncodeError> {
    let wrong = || EncodeError::Bitmap {
        width: bitmap.width,
        height: bitmap.height,
    };
    let bits = bitmap.format.bits_per_pixel();
    let (left, right) = (area.left.unsigned_abs(), area.right.unsigned_abs());
    let row_bytes = usize::try_from(bitmap.format.row_bytes(area.width())).map_err(|_| wrong())?;
    let stride = row_bytes.next_multiple_of(4);
    let total = stride.checked_mul(area.height() as usize).ok_or_else(wrong)?;
    let is_packed = bitmap.top_down && row_bytes == stride && stride as u64 == u64::from(bitmap.stride);
    if is_packed && left == 0 && area.width() == bitmap.width {
        // They are there as they are to be.
        let start = stride.checked_mul(area.top.unsigned_abs() as usize).ok_or_else(wrong)?;
        let end = start.checked_add(total).ok_or_else(wrong)?;
        if end > bitmap.data.len() {
            return Err(wrong());
        }
        return Ok((bitmap.data.slice(start..end), bitmap.stride));
    }
    let mut data = BytesMut::with_capacity(total);
    for y in area.top.unsigned_abs()..area.bottom.unsigned_abs() {
        let row = bitmap.row(y).ok_or_else(wrong)?;
        let end = data.len() + stride;
        if bits >= 8 {
            let each = (bits / 8) as usize;
            data.extend_from_slice(row.get(left as usize * each..right as usize * each).ok_or_else(wrong)?);
        } else {
            shift_row(&mut data, row, bitmap.format, left, area.width());
        }
        data.resize(end, 0);
    }
    Ok((data.freeze(), u32::try_from(stride).map_err(|_| wrong())?))
}

/// Copies pixels of less than a byte, so that the first is at the start of a byte and bits behind the last are zero.
fn shift_row(out: &mut BytesMut, row: &[u8], format: BitmapFormat, left: u32, width: u32) {
    let bits = format.bits_per_pixel() as usize;
    let per_byte = 8 / bits;
    let low_first = matches!(format, BitmapFormat::Bit1Le | BitmapFormat::Bit4Le);
    let place = |x: usize| {
        let slot = x % per_byte;
        bits * if low_first { slot } else { per_byte - 1 - slot }
    };
    let mask = (1u8 << bits) - 1;
    let mut byte = 0;
    for x in 0..width as usize {
        let from = left as usize + x;
        let value = row.get(from / per_byte).copied().unwrap_or(0) >> place(from) & mask;
        byte |= value << place(x);
        if x % per_byte == per_byte - 1 {
            out.extend_from_slice(&[byte]);
            byte = 0;
        }
    }
    if !(width as usize).is_multiple_of(per_byte) {
        out.extend_from_slice(&[byte]);
    }
}

/// Canvas pixels as a bitmap that, copied to a surface of the same format, gives the same pixels.
pub(crate) fn bitmap_of(pixels: &Pixels) -> Bitmap {
    let plain = |format, palette| Bitmap {
        format,
        width: pixels.width,
        height: pixels.height,
        stride: pixels.stride,
        top_down: true,
        palette,
        data: pixels.data.clone(),
    };
    match pixels.format {
        SurfaceFormat::Xrgb => plain(BitmapFormat::Bit32, None),
        SurfaceFormat::Argb => plain(BitmapFormat::Rgba, None),
        SurfaceFormat::Rgb555 => plain(BitmapFormat::Bit16, None),
        SurfaceFormat::A8 => plain(BitmapFormat::Bit8A, None),
        SurfaceFormat::A1 => {
            let palette = Palette {
                unique: 0,
                entries: vec![0, 0x00ff_ffff],
            };
            plain(BitmapFormat::Bit1Le, Some(Arc::new(palette)))
        }
        // 16-bit bitmaps are 555: the sixth bit of green survives in 32.
        SurfaceFormat::Rgb565 => widen_565(pixels),
    }
}

fn widen_565(pixels: &Pixels) -> Bitmap {
    let mut data = BytesMut::with_capacity(pixels.width as usize * pixels.height as usize * 4);
    for row in pixels
        .data
        .chunks(pixels.stride.max(1) as usize)
        .take(pixels.height as usize)
    {
        for pixel in row.as_chunks::<2>().0.iter().take(pixels.width as usize) {
            let value = u16::from_le_bytes(*pixel);
            let five = |value: u16| ((value & 0x1f) << 3 | (value & 0x1f) >> 2) as u8;
            let green = (value >> 5) & 0x3f;
            data.extend_from_slice(&[five(value), (green << 2 | green >> 4) as u8, five(value >> 11), 0]);
        }
    }
    Bitmap {
        format: BitmapFormat::Bit32,
        width: pixels.width,
        height: pixels.height,
        stride: pixels.width * 4,
        top_down: true,
        palette: None,
        data: data.freeze(),
    }
}
