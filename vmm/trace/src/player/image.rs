//! Images, and what refers to them: brushes and masks.

use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::{
    drawing::{Bitmap, BitmapFormat, Brush, Image, ImageData, Mask, Palette},
    layout,
};

use super::{Malformed, Surfaces};
use crate::{BITMAP_TOP_DOWN, record};

/// Bytes all parts of one command of a device may take.
const COMMAND_BUDGET: u64 = (256 << 20) + (1 << 20);
const FLAG_CACHE: u8 = 1;
const FLAG_HIGH_BITS_SET: u8 = 2;
/// Colours an index of 8 bits can name.
const COLOURS_MAX: usize = 256;

/// What an image is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its colours count.
    Picture,
    /// Its bits select pixels: 1 bit each, a palette means nothing.
    Mask,
}

/// An image whose colours count.
pub(super) fn picture(image: Option<&record::Image>, surfaces: &Surfaces) -> Result<Image, Malformed> {
    let image = image.ok_or(Malformed::value("image", 0))?;
    of_role(image, surfaces, Role::Picture)
}

fn of_role(image: &record::Image, surfaces: &Surfaces, role: Role) -> Result<Image, Malformed> {
    let (width, height, data) = match &image.pixels {
        record::PixelSource::Bitmap(pixels) => {
            let bitmap = bitmap(pixels, role)?;
            (bitmap.width, bitmap.height, ImageData::Bitmap(Arc::new(bitmap)))
        }
        record::PixelSource::Quic { size, data } if role == Role::Picture => {
            if data.data.len() as u64 != u64::from(*size) {
                return Err(Malformed::value("QUIC size", *size));
            }
            let stream = quic(&data.data, image.width, image.height)?;
            (image.width, image.height, stream)
        }
        record::PixelSource::Surface(id) if role == Role::Picture => {
            let (width, height) = surfaces.size_of(*id).ok_or(Malformed::value("image surface", *id))?;
            (width, height, ImageData::Surface(*id))
        }
        _ => return Err(Malformed::value("image type of a mask", 0)),
    };
    Ok(Image {
        id: image.id,
        cache: image.flags & FLAG_CACHE != 0,
        high_bits_set: image.flags & FLAG_HIGH_BITS_SET != 0,
        width,
        height,
        data,
    })
}

/// The pixels without the padding of the rows.
fn bitmap(bitmap: &record::Bitmap, role: Role) -> Result<Bitmap, Malformed> {
    let (width, height, stride) = (bitmap.width, bitmap.height, bitmap.stride);
    let format = BitmapFormat::from_raw(bitmap.format).ok_or(Malformed::value("bitmap format", bitmap.format))?;
    if role == Role::Mask && format.bits_per_pixel() != 1 {
        return Err(Malformed::value("mask format", bitmap.format));
    }
    if width == 0 || height == 0 {
        return Err(Malformed::value("bitmap size", 0));
    }
    let row = format.row_bytes(width);
    if u64::from(stride) < row {
        return Err(Malformed::value("bitmap stride", stride));
    }
    let data = &bitmap.data.data;
    if data.len() as u64 != u64::from(stride) * u64::from(height) {
        return Err(Malformed::value("bytes of the bitmap", data.len()));
    }
    let palette = match (role, format.has_palette(), &bitmap.palette) {
        (Role::Picture, true, Some(palette)) => Some(Arc::new(Palette {
            unique: palette.unique,
            entries: palette.entries.iter().copied().take(COLOURS_MAX).collect(),
        })),
        (Role::Picture, true, None) => return Err(Malformed::value("palette", 0)),
        _ => None,
    };
    let rows = if u64::from(stride) == row {
        data.clone()
    } else {
        let length = usize::try_from(row).map_err(|_| Malformed::value("bitmap width", width))?;
        let stride = usize::try_from(stride).map_err(|_| Malformed::value("bitmap stride", stride))?;
        let lines = data.chunks_exact(stride).filter_map(|line| line.get(..length));
        let mut rows = Vec::with_capacity(data.len() / stride * length);
        lines.for_each(|line| rows.extend_from_slice(line));
        Bytes::from(rows)
    };
    Ok(Bitmap {
        format,
        width,
        height,
        stride: u32::try_from(row).map_err(|_| Malformed::value("bitmap width", width))?,
        top_down: bitmap.flags & BITMAP_TOP_DOWN != 0,
        palette,
        data: rows,
    })
}

/// A QUIC stream, passed on as it is once its header agrees with the descriptor.
fn quic(stream: &Bytes, width: u32, height: u32) -> Result<ImageData, Malformed> {
    layout::quic_header(stream, width, height)?;
    // A few bytes may stand for any number of pixels, which are made where it is drawn.
    let bytes = u64::from(width).saturating_mul(height.into()).saturating_mul(4);
    if bytes > COMMAND_BUDGET {
        return Err(Malformed::value("QUIC width", width));
    }
    Ok(ImageData::Quic(stream.clone()))
}

pub(super) fn brush(brush: &record::Brush, surfaces: &Surfaces) -> Result<Brush, Malformed> {
    Ok(match brush {
        record::Brush::None => Brush::None,
        record::Brush::Solid(colour) => Brush::Solid(*colour),
        record::Brush::Pattern(image, pos) => Brush::Pattern {
            image: picture(image.as_ref(), surfaces)?,
            pos: *pos,
        },
    })
}

pub(super) fn mask(mask: &record::Mask, surfaces: &Surfaces) -> Result<Mask, Malformed> {
    Ok(Mask {
        inverse: mask.flags & 1 != 0,
        pos: mask.position,
        bitmap: match &mask.image {
            None => None,
            Some(image) => Some(of_role(image, surfaces, Role::Mask)?),
        },
    })
}
