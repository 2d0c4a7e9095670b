//! Images: what drawing messages point to.

use std::sync::Arc;

use bitflags::bitflags;
use bytes::Bytes;
use caraway_ports::drawing::{BitmapFormat, Palette};

use crate::error::Result;
use crate::wire::{Block, Reader, Writer};

bitflags! {
    /// What is to be done with an image besides drawing it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ImageFlags: u8 {
        /// The client keeps the decoded image under its id.
        const CACHE_ME = 1;
        /// The unused byte of a 32-bit image counts as 0xff.
        const HIGH_BITS_SET = 2;
        /// The id is kept as a lossy image; this lossless one takes its place.
        const CACHE_REPLACE_ME = 4;
        const _ = !0;
    }
}

bitflags! {
    /// Flags of BITMAP and LZ_PLT; not those of the image.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct BitmapFlags: u8 {
        const PAL_CACHE_ME = 1;
        const PAL_FROM_CACHE = 2;
        const TOP_DOWN = 4;
        const _ = !0;
    }
}

/// Numbers of the image types.
mod kind {
    pub(super) const BITMAP: u8 = 0;
    pub(super) const QUIC: u8 = 1;
    pub(super) const LZ_PLT: u8 = 100;
    pub(super) const LZ_RGB: u8 = 101;
    pub(super) const GLZ_RGB: u8 = 102;
    pub(super) const FROM_CACHE: u8 = 103;
    pub(super) const SURFACE: u8 = 104;
    pub(super) const JPEG: u8 = 105;
    pub(super) const FROM_CACHE_LOSSLESS: u8 = 106;
    pub(super) const ZLIB_GLZ_RGB: u8 = 107;
    pub(super) const JPEG_ALPHA: u8 = 108;
    pub(super) const LZ4: u8 = 109;
}

/// Where the colours of an image are. `unique` of a [`Palette`] is here the key in the client's cache, 0 = not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaletteRef {
    /// In this palette.
    Inline {
        /// The colours, at most 65535.
        palette: Arc<Palette>,
        /// Whether the client keeps it.
        cache: bool,
    },
    /// In the palette the client has kept under this key.
    Cached(u64),
}

/// Plain pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// How a pixel is stored.
    pub format: BitmapFormat,
    /// Whether the first row stored is the top one.
    pub top_down: bool,
    /// Bytes from one row to the next, at least what a row takes.
    pub stride: u32,
    /// Colours, for formats that need them; masks have none.
    pub palette: Option<PaletteRef>,
    /// The rows: stride times height bytes.
    pub data: Bytes,
}

/// Where the pixels of an image come from. Compressed data begins with the header of its codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageData {
    /// Plain pixels.
    Bitmap(Bitmap),
    /// QUIC, whole 32-bit words.
    Quic(Bytes),
    /// LZ of palette indices.
    LzPalette {
        /// Whether the first row is the top one.
        top_down: bool,
        /// The colours.
        palette: PaletteRef,
        /// The LZ stream.
        data: Bytes,
    },
    /// LZ of pixels.
    LzRgb(Bytes),
    /// LZ with a dictionary of earlier images.
    GlzRgb(Bytes),
    /// The image the client has kept under the id.
    FromCache,
    /// The content of another surface of this channel.
    Surface(u32),
    /// JPEG, top row first.
    Jpeg(Bytes),
    /// As `FromCache`, but only if it was kept without loss.
    FromCacheLossless,
    /// GLZ within zlib.
    ZlibGlzRgb {
        /// Bytes of the GLZ stream.
        glz_bytes: u32,
        /// The zlib stream.
        data: Bytes,
    },
    /// JPEG for the colours, LZ for alpha.
    JpegAlpha {
        /// Whether the first row is the top one, as in the header of the LZ stream.
        top_down: bool,
        /// The JPEG.
        jpeg: Bytes,
        /// The LZ stream.
        alpha: Bytes,
    },
    /// LZ4.
    Lz4(Bytes),
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name for the client's cache.
    pub id: u64,
    /// What is done with it besides drawing.
    pub flags: ImageFlags,
    /// Pixels across.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Where the pixels come from.
    pub data: ImageData,
}

impl Image {
    pub(super) fn decode(mut reader: Reader<'_>) -> Result<Self> {
        let reader = &mut reader;
        let id = reader.u64("image id")?;
        let kind = reader.u8("image type")?;
        let flags = ImageFlags::from_bits_retain(reader.u8("image flags")?);
        let width = reader.u32("image width")?;
        let height = reader.u32("image height")?;
        let data = match kind {
            kind::BITMAP => ImageData::Bitmap(Bitmap::decode(reader, width, height)?),
            kind::QUIC => ImageData::Quic(sized(reader)?),
            kind::LZ_PLT => decode_lz_palette(reader)?,
            kind::LZ_RGB => ImageData::LzRgb(sized(reader)?),
            kind::GLZ_RGB => ImageData::GlzRgb(sized(reader)?),
            kind::FROM_CACHE => ImageData::FromCache,
            kind::SURFACE => ImageData::Surface(reader.u32("image surface_id")?),
            kind::JPEG => ImageData::Jpeg(sized(reader)?),
            kind::FROM_CACHE_LOSSLESS => ImageData::FromCacheLossless,
            kind::ZLIB_GLZ_RGB => ImageData::ZlibGlzRgb {
                glz_bytes: reader.u32("image glz_data_size")?,
                data: sized(reader)?,
            },
            kind::JPEG_ALPHA => decode_jpeg_alpha(reader)?,
            kind::LZ4 => ImageData::Lz4(sized(reader)?),
            other => return Err(reader.unexpected("image type", "a type of image", other)),
        };
        Ok(Self {
            id,
            flags,
            width,
            height,
            data,
        })
    }
}

impl Block for Image {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.u64(self.id);
        out.u8(match self.data {
            ImageData::Bitmap(_) => kind::BITMAP,
            ImageData::Quic(_) => kind::QUIC,
            ImageData::LzPalette { .. } => kind::LZ_PLT,
            ImageData::LzRgb(_) => kind::LZ_RGB,
            ImageData::GlzRgb(_) => kind::GLZ_RGB,
            ImageData::FromCache => kind::FROM_CACHE,
            ImageData::Surface(_) => kind::SURFACE,
            ImageData::Jpeg(_) => kind::JPEG,
            ImageData::FromCacheLossless => kind::FROM_CACHE_LOSSLESS,
            ImageData::ZlibGlzRgb { .. } => kind::ZLIB_GLZ_RGB,
            ImageData::JpegAlpha { .. } => kind::JPEG_ALPHA,
            ImageData::Lz4(_) => kind::LZ4,
        });
        out.u8(self.flags.bits());
        out.u32(self.width);
        out.u32(self.height);
        match &self.data {
            ImageData::Bitmap(bitmap) => bitmap.encode(out, self.width, self.height)?,
            ImageData::LzPalette {
                top_down,
                palette,
                data,
            } => {
                out.u8(bitmap_flags(*top_down, Some(palette)).bits());
                out.count_u32("image data_size", data.len())?;
                encode_palette(Some(palette), out);
                out.payload(data);
            }
            ImageData::Quic(data)
            | ImageData::LzRgb(data)
            | ImageData::GlzRgb(data)
            | ImageData::Jpeg(data)
            | ImageData::Lz4(data) => {
                out.count_u32("image data_size", data.len())?;
                out.payload(data);
            }
            ImageData::FromCache | ImageData::FromCacheLossless => {}
            ImageData::Surface(surface_id) => out.u32(*surface_id),
            ImageData::ZlibGlzRgb { glz_bytes, data } => {
                out.u32(*glz_bytes);
                out.count_u32("image data_size", data.len())?;
                out.payload(data);
            }
            ImageData::JpegAlpha { top_down, jpeg, alpha } => {
                out.u8(u8::from(*top_down));
                out.count_u32("image jpeg_size", jpeg.len())?;
                out.count_u32("image data_size", jpeg.len().saturating_add(alpha.len()))?;
                out.payload(jpeg);
                out.payload(alpha);
            }
        }
        Ok(())
    }
}

impl Bitmap {
    fn decode(reader: &mut Reader<'_>, width: u32, height: u32) -> Result<Self> {
        let format = reader.u8("bitmap format")?;
        let Some(format) = BitmapFormat::from_raw(format) else {
            return Err(reader.unexpected("bitmap format", "1 to 10", format));
        };
        let flags = BitmapFlags::from_bits_retain(reader.u8("bitmap flags")?);
        let (x, y) = (reader.u32("bitmap x")?, reader.u32("bitmap y")?);
        if x != width {
            return Err(reader.unexpected("bitmap x", "the width of the image", x));
        }
        if y != height {
            return Err(reader.unexpected("bitmap y", "the height of the image", y));
        }
        let stride = reader.u32("bitmap stride")?;
        if u64::from(stride) < format.row_bytes(width) {
            return Err(reader.unexpected("bitmap stride", "at least the bytes of a row", stride));
        }
        let palette = decode_palette(reader, flags)?;
        Ok(Self {
            format,
            top_down: flags.contains(BitmapFlags::TOP_DOWN),
            stride,
            palette,
            data: reader.bytes("bitmap data", u64::from(stride) * u64::from(height))?,
        })
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>, width: u32, height: u32) -> Result<()> {
        if u64::from(self.stride) < self.format.row_bytes(width) {
            return Err(out.unexpected("bitmap stride", "at least the bytes of a row", self.stride));
        }
        if self.data.len() as u64 != u64::from(self.stride) * u64::from(height) {
            return Err(out.unexpected("bitmap data", "stride times height bytes", self.data.len() as u64));
        }
        out.u8(self.format as u8);
        out.u8(bitmap_flags(self.top_down, self.palette.as_ref()).bits());
        out.u32(width);
        out.u32(height);
        out.u32(self.stride);
        encode_palette(self.palette.as_ref(), out);
        out.payload(&self.data);
        Ok(())
    }
}

/// u32 size and that many bytes.
fn sized(reader: &mut Reader<'_>) -> Result<Bytes> {
    let size = reader.u32("image data_size")?;
    reader.bytes("image data", u64::from(size))
}

fn decode_lz_palette(reader: &mut Reader<'_>) -> Result<ImageData> {
    let flags = BitmapFlags::from_bits_retain(reader.u8("image lz flags")?);
    let size = reader.u32("image data_size")?;
    let Some(palette) = decode_palette(reader, flags)? else {
        return Err(reader.unexpected("image palette", "a palette", 0_u64));
    };
    Ok(ImageData::LzPalette {
        top_down: flags.contains(BitmapFlags::TOP_DOWN),
        palette,
        data: reader.bytes("image data", u64::from(size))?,
    })
}

fn decode_jpeg_alpha(reader: &mut Reader<'_>) -> Result<ImageData> {
    let flags = reader.u8("image jpeg flags")?;
    let jpeg_size = reader.u32("image jpeg_size")?;
    let size = reader.u32("image data_size")?;
    let Some(alpha_size) = size.checked_sub(jpeg_size) else {
        return Err(reader.unexpected("image jpeg_size", "at most data_size", jpeg_size));
    };
    Ok(ImageData::JpegAlpha {
        top_down: flags & 1 != 0,
        jpeg: reader.bytes("image jpeg data", u64::from(jpeg_size))?,
        alpha: reader.bytes("image alpha data", u64::from(alpha_size))?,
    })
}

fn bitmap_flags(top_down: bool, palette: Option<&PaletteRef>) -> BitmapFlags {
    let mut flags = BitmapFlags::empty();
    flags.set(BitmapFlags::TOP_DOWN, top_down);
    match palette {
        Some(PaletteRef::Cached(_)) => flags |= BitmapFlags::PAL_FROM_CACHE,
        Some(PaletteRef::Inline { cache, .. }) => flags.set(BitmapFlags::PAL_CACHE_ME, *cache),
        None => {}
    }
    flags
}

/// u64 key, or pointer to a palette.
fn decode_palette(reader: &mut Reader<'_>, flags: BitmapFlags) -> Result<Option<PaletteRef>> {
    if flags.contains(BitmapFlags::PAL_FROM_CACHE) {
        return Ok(Some(PaletteRef::Cached(reader.u64("palette id")?)));
    }
    let Some(mut target) = reader.pointer("palette")? else {
        return Ok(None);
    };
    let unique = target.u64("palette unique")?;
    let count = target.u16("palette num_ents")?;
    let entries = target.items("palette entries", u32::from(count), 4, |target| {
        target.u32("palette entry")
    })?;
    Ok(Some(PaletteRef::Inline {
        palette: Arc::new(Palette { unique, entries }),
        cache: flags.contains(BitmapFlags::PAL_CACHE_ME),
    }))
}

fn encode_palette<'a>(palette: Option<&'a PaletteRef>, out: &mut Writer<'a>) {
    match palette {
        None => out.pointer(None),
        Some(PaletteRef::Cached(id)) => out.u64(*id),
        Some(PaletteRef::Inline { palette, .. }) => out.pointer(Some(palette.as_ref())),
    }
}

impl Block for Palette {
    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.u64(self.unique);
        out.count_u16("palette num_ents", self.entries.len())?;
        self.entries.iter().for_each(|entry| out.u32(*entry));
        Ok(())
    }
}
