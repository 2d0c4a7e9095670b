//! Images, bitmaps, palettes (ABI 12), and what refers to them: brushes and masks (ABI 11.3).

use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::{
    drawing::{Bitmap, BitmapFormat, Brush, Image, ImageData, Mask, Palette},
    layout,
};

use super::{ChunkLimit, Chunks, Fields, Guest, Malformed, drawable::SurfaceSizes};

const IMAGE_BITMAP: u8 = 0;
const IMAGE_QUIC: u8 = 1;
const IMAGE_SURFACE: u8 = 104;

const FLAG_CACHE: u8 = 1;
const FLAG_HIGH_BITS_SET: u8 = 2;

const BITMAP_DIRECT: u8 = 1;
const BITMAP_TOP_DOWN: u8 = 4;

/// Bytes before the union of an image.
const DESCRIPTOR: u64 = 0x12;
/// The largest size of rows times stride.
const BYTES_MAX: u64 = 0x7fff_ffff;
/// Colours an index of 8 bits can name.
const COLOURS_MAX: u16 = 256;

/// What an image is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Its colours count.
    Picture,
    /// Its bits select pixels: 1 bit each, a palette means nothing.
    Mask,
}

impl Guest<'_> {
    /// An image whose colours count.
    pub(super) fn picture(&mut self, address: u64, surfaces: &impl SurfaceSizes) -> Result<Image, Malformed> {
        self.image(address, surfaces, Role::Picture)
    }

    fn image(&mut self, address: u64, surfaces: &impl SurfaceSizes, role: Role) -> Result<Image, Malformed> {
        let bytes: [u8; DESCRIPTOR as usize] = self.read(address, 0)?;
        let mut descriptor = Fields::new("image", &bytes);
        let id = descriptor.u64()?;
        let kind = descriptor.u8()?;
        let flags = descriptor.u8()?;
        let (width, height) = (descriptor.u32()?, descriptor.u32()?);
        let (width, height, data) = match kind {
            IMAGE_BITMAP => {
                let bitmap = self.bitmap(address, role)?;
                (bitmap.width, bitmap.height, ImageData::Bitmap(Arc::new(bitmap)))
            }
            IMAGE_QUIC if role == Role::Picture => (width, height, self.quic(address, width, height)?),
            IMAGE_SURFACE if role == Role::Picture => {
                let surface = u32::from_le_bytes(self.read(address, DESCRIPTOR)?);
                let (width, height) = surfaces
                    .size_of(surface)
                    .ok_or(Malformed::value("image surface", surface))?;
                (width, height, ImageData::Surface(surface))
            }
            _ => return Err(Malformed::value("image type", kind)),
        };
        Ok(Image {
            id,
            cache: flags & FLAG_CACHE != 0,
            high_bits_set: flags & FLAG_HIGH_BITS_SET != 0,
            width,
            height,
            data,
        })
    }

    /// Copies the pixels without the padding of the rows: it is stale guest memory nobody may see, and with drivers
    /// that give the pitch of the whole screen it is most of the bytes.
    fn bitmap(&mut self, address: u64, role: Role) -> Result<Bitmap, Malformed> {
        let bytes: [u8; 30] = self.read(address, DESCRIPTOR)?;
        let mut fields = Fields::new("bitmap", &bytes);
        let raw = fields.u8()?;
        let flags = fields.u8()?;
        let (width, height, stride) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (palette, data) = (fields.u64()?, fields.u64()?);
        let format = BitmapFormat::from_raw(raw).ok_or(Malformed::value("bitmap format", raw))?;
        if role == Role::Mask && format.bits_per_pixel() != 1 {
            return Err(Malformed::value("mask format", raw));
        }
        if width == 0 || height == 0 {
            return Err(Malformed::value("bitmap size", 0_u8));
        }
        let row = format.row_bytes(width);
        if u64::from(stride) < row {
            return Err(Malformed::value("bitmap stride", stride));
        }
        let total = u64::from(stride)
            .checked_mul(height.into())
            .filter(|total| *total <= BYTES_MAX)
            .ok_or(Malformed::value("bitmap rows", height))?;
        let palette = match (role, format.has_palette()) {
            (Role::Picture, true) => Some(Arc::new(self.palette(palette)?)),
            _ => None,
        };
        let mut chunks = if flags & BITMAP_DIRECT != 0 {
            Chunks::flat(self, data, total)?
        } else {
            Chunks::walk(self, data, 0, ChunkLimit::Exactly(total))?
        };
        let mut rows = self.allocate(row * u64::from(height))?;
        if u64::from(stride) == row {
            chunks.read(self, &mut rows)?;
        } else {
            for line in rows.chunks_exact_mut(usize::try_from(row).unwrap_or(usize::MAX)) {
                chunks.read(self, line)?;
                chunks.skip(u64::from(stride) - row)?;
            }
        }
        Ok(Bitmap {
            format,
            width,
            height,
            stride: u32::try_from(row).map_err(|_| Malformed::value("bitmap width", width))?,
            top_down: flags & BITMAP_TOP_DOWN != 0,
            palette,
            data: Bytes::from(rows),
        })
    }

    fn palette(&mut self, address: u64) -> Result<Palette, Malformed> {
        let bytes: [u8; 10] = self.read(address, 0)?;
        let mut fields = Fields::new("palette", &bytes);
        let unique = fields.u64()?;
        let count = fields.u16()?.min(COLOURS_MAX);
        let colours = self.read_vec(address, 10, 4 * u64::from(count))?;
        let mut fields = Fields::new("palette", &colours);
        let layout = self.layout;
        let entries = (0..count)
            .map(|_| fields.u32().map(|colour| layout.colour(colour)))
            .collect::<Result<_, _>>()?;
        Ok(Palette { unique, entries })
    }

    /// A QUIC stream, passed on as it is once its header agrees with the descriptor.
    fn quic(&mut self, address: u64, width: u32, height: u32) -> Result<ImageData, Malformed> {
        let size = u32::from_le_bytes(self.read(address, DESCRIPTOR)?);
        if u64::from(size) > BYTES_MAX {
            return Err(Malformed::value("QUIC size", size));
        }
        let stream = self.chained(address, DESCRIPTOR + 4, size.into())?;
        layout::quic_header(&stream, width, height)?;
        let pixels = u64::from(width) * u64::from(height);
        // A few bytes may stand for any number of pixels, which are made where it is drawn.
        self.charge(pixels.saturating_mul(4))?;
        Ok(ImageData::Quic(Bytes::from(stream)))
    }

    /// A brush, 20 bytes.
    pub(super) fn brush(&mut self, fields: &mut Fields<'_>, surfaces: &impl SurfaceSizes) -> Result<Brush, Malformed> {
        let bytes = fields.bytes(20)?;
        let mut fields = Fields::new("brush", bytes);
        match fields.u32()? {
            0 => Ok(Brush::None),
            1 => Ok(Brush::Solid(self.layout.colour(fields.u32()?))),
            2 => Ok(Brush::Pattern {
                image: self.picture(fields.u64()?, surfaces)?,
                pos: fields.point()?,
            }),
            other => Err(Malformed::value("brush type", other)),
        }
    }

    /// A mask, 17 bytes.
    pub(super) fn mask(&mut self, fields: &mut Fields<'_>, surfaces: &impl SurfaceSizes) -> Result<Mask, Malformed> {
        let flags = fields.u8()?;
        let pos = fields.point()?;
        let bitmap = match fields.u64()? {
            0 => None,
            address => Some(self.image(address, surfaces, Role::Mask)?),
        };
        Ok(Mask {
            inverse: flags & 1 != 0,
            pos,
            bitmap,
        })
    }
}
