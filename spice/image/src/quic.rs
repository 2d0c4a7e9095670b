//! QUIC: lossless, each component predicted from its neighbours, differences in adaptive Golomb-Rice codes, runs.
//!
//! The encoder has no freedom: the same pixels always give the same stream.

mod bits;
mod chaos;
mod codes;
mod decode;
mod encode;
mod model;
#[cfg(test)]
mod plain;

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, SurfaceFormat},
};
use thiserror::Error;

use self::{
    bits::{BitReader, BitWriter},
    codes::{Depth, Eight, Five},
    decode::PlaneReader,
    encode::{Pixel, PlaneWriter},
};
use crate::Limits;

/// First word of a stream: `QUIC`.
const MAGIC: u32 = 0x4349_5551;
/// 0.0.
const VERSION: u32 = 0;
/// Bytes of the header: five little-endian words.
const HEADER_BYTES: usize = 20;
/// Most pixels of a picture.
const MAX_PIXELS: u64 = (1 << 29) - 1;

/// What a stream holds; the numbers are those of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum QuicType {
    /// 8 bits of grey.
    Gray = 1,
    /// x1r5g5b5, little endian; bit 15 is 0 after decoding.
    Rgb16 = 2,
    /// B, G, R.
    Rgb24 = 3,
    /// B, G, R and an unused byte that is 0 after decoding.
    Rgb32 = 4,
    /// B, G, R, A, premultiplied.
    Rgba = 5,
}

impl QuicType {
    /// The type with this number, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            1 => Self::Gray,
            2 => Self::Rgb16,
            3 => Self::Rgb24,
            4 => Self::Rgb32,
            5 => Self::Rgba,
            _ => return None,
        })
    }

    /// The type that stores the pixels of a bitmap; none for indices and for alpha alone.
    #[must_use]
    pub const fn of_bitmap(format: BitmapFormat) -> Option<Self> {
        match format {
            BitmapFormat::Bit16 => Some(Self::Rgb16),
            BitmapFormat::Bit24 => Some(Self::Rgb24),
            BitmapFormat::Bit32 => Some(Self::Rgb32),
            BitmapFormat::Rgba => Some(Self::Rgba),
            _ => None,
        }
    }

    /// Bytes of a decoded pixel.
    #[must_use]
    pub const fn pixel_bytes(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb16 => 2,
            Self::Rgb24 => 3,
            Self::Rgb32 | Self::Rgba => 4,
        }
    }
}

/// Rows of pixels without padding, the top row first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuicImage {
    /// How a pixel is stored.
    pub kind: QuicType,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// `height` rows of `width` pixels.
    pub data: Bytes,
}

impl QuicImage {
    /// The same pixels as a surface stores them: 555 for RGB16, ARGB for RGBA, xRGB for all others.
    #[must_use]
    pub fn into_pixels(self) -> Pixels {
        let (format, data) = match self.kind {
            QuicType::Rgb16 => (SurfaceFormat::Rgb555, self.data),
            QuicType::Rgba => (SurfaceFormat::Argb, self.data),
            QuicType::Rgb32 => (SurfaceFormat::Xrgb, self.data),
            QuicType::Gray => {
                let wide: Vec<u8> = self.data.iter().flat_map(|grey| [*grey, *grey, *grey, 0]).collect();
                (SurfaceFormat::Xrgb, Bytes::from(wide))
            }
            QuicType::Rgb24 => {
                let pixels = self.data.as_chunks().0;
                let wide: Vec<u8> = pixels.iter().flat_map(|[b, g, r]| [*b, *g, *r, 0]).collect();
                (SurfaceFormat::Xrgb, Bytes::from(wide))
            }
        };
        Pixels {
            format,
            width: self.width,
            height: self.height,
            stride: self.width * (format.bits_per_pixel() / 8),
            data,
        }
    }
}

/// What the header of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicHeader {
    /// How a pixel is stored.
    pub kind: QuicType,
    /// Pixels across, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// Why a stream cannot be decoded or an image not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuicError {
    /// Another kind of data.
    #[error("QUIC magic is {0:#010x}, not 0x43495551")]
    Magic(u32),
    /// Another version.
    #[error("QUIC version is {0:#010x}, not 0")]
    Version(u32),
    /// Not a type of image.
    #[error("QUIC image type is {0}, not 1 to 5")]
    Type(u32),
    /// Zero, or beyond what is allowed.
    #[error("QUIC image of {width}x{height} pixels is empty or too large")]
    Size { width: u32, height: u32 },
    /// The input ends too early.
    #[error("QUIC data of {0} bytes ends too early")]
    Truncated(usize),
    /// An escape names no symbol.
    #[error("QUIC escape beyond the last symbol")]
    Symbol,
    /// A run is longer than the rest of its segment.
    #[error("QUIC run of {length} pixels or more where {room} are left")]
    Run { length: usize, room: usize },
    /// The rows to encode are not as long as the size says.
    #[error("{have} bytes of rows, {needed} are needed")]
    Data { have: usize, needed: u64 },
    /// The format has no type for such pixels.
    #[error("QUIC cannot hold a bitmap of format {0:?}")]
    Format(BitmapFormat),
}

/// Reads the header of a stream.
///
/// # Errors
/// Fewer bytes than a header, another magic, version or type, a size of zero or beyond the format.
pub fn header(stream: &[u8]) -> Result<QuicHeader, QuicError> {
    let Some((head, _)) = stream.split_first_chunk::<HEADER_BYTES>() else {
        return Err(QuicError::Truncated(stream.len()));
    };
    let mut words = head.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let mut next = || words.next().unwrap_or(0);
    let (magic, version, raw, width, height) = (next(), next(), next(), next(), next());
    if magic != MAGIC {
        return Err(QuicError::Magic(magic));
    }
    if version != VERSION {
        return Err(QuicError::Version(version));
    }
    let kind = QuicType::from_raw(raw).ok_or(QuicError::Type(raw))?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(QuicError::Size { width, height });
    }
    Ok(QuicHeader { kind, width, height })
}

/// Decodes a stream. What follows the picture is not looked at.
///
/// # Errors
/// Anything that the format does not allow, an image beyond `limits`, input that is too short. Memory is taken only
/// for a size that is within the limits and that the input is long enough to fill.
pub fn decode(stream: &[u8], limits: &Limits) -> Result<QuicImage, QuicError> {
    let mut data = Vec::new();
    let QuicHeader { kind, width, height } = QuicDecoder::new().decode(stream, limits, &mut data)?;
    Ok(QuicImage {
        kind,
        width,
        height,
        data: Bytes::from(data),
    })
}

/// Encodes an image.
///
/// # Errors
/// A size of zero or beyond the format, rows that are shorter or longer than the size says.
pub fn encode(image: &QuicImage) -> Result<Vec<u8>, QuicError> {
    let mut stream = Vec::new();
    QuicEncoder::new().encode(image, &mut stream)?;
    Ok(stream)
}

/// Encodes a bitmap of 16, 24 or 32 bits.
///
/// # Errors
/// A bitmap of another format or whose rows are not there, a size beyond the format.
pub fn encode_bitmap(bitmap: &Bitmap) -> Result<Vec<u8>, QuicError> {
    let mut stream = Vec::new();
    QuicEncoder::new().encode_bitmap(bitmap, &mut stream)?;
    Ok(stream)
}

/// Decodes one image after the other, with memory of its own for rows that it takes once.
#[derive(Debug, Default)]
pub struct QuicDecoder {
    colour: decode::Scratch,
    single: decode::Scratch,
}

impl QuicDecoder {
    /// A decoder for images of any type and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a stream into `data`, which has the rows of the picture afterwards and nothing else; after an error its
    /// content means nothing. What follows the picture is not looked at.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn decode(&mut self, stream: &[u8], limits: &Limits, data: &mut Vec<u8>) -> Result<QuicHeader, QuicError> {
        let header = header(stream)?;
        let QuicHeader { kind, width, height } = header;
        if !limits.allow(width, height) {
            return Err(QuicError::Size { width, height });
        }
        let body = stream.get(HEADER_BYTES..).unwrap_or_default();
        // Each component of the first row and of the first three columns takes a bit at least.
        let coded = u64::from(width) + u64::from(height - 1) * u64::from(width.min(3));
        let components = if kind == QuicType::Gray { 1 } else { 3 };
        if coded * components > body.len() as u64 * 8 {
            return Err(QuicError::Truncated(stream.len()));
        }
        // Every byte is written below: what is there already is not worth clearing.
        data.resize(width as usize * height as usize * kind.pixel_bytes(), 0);
        let whole = match kind {
            QuicType::Rgb16 => self.rows::<Five>(header, body, data),
            _ => self.rows::<Eight>(header, body, data),
        }?;
        if whole {
            Ok(header)
        } else {
            Err(QuicError::Truncated(stream.len()))
        }
    }

    /// Decodes all rows; whether the input was long enough.
    fn rows<D: Depth>(&mut self, header: QuicHeader, body: &[u8], data: &mut [u8]) -> Result<bool, QuicError> {
        let QuicHeader { kind, width, .. } = header;
        let width = width as usize;
        let mut bits = BitReader::new(body);
        let mut colour = (kind != QuicType::Gray).then(|| PlaneReader::<D, 3>::new(width, &mut self.colour));
        let alpha = matches!(kind, QuicType::Gray | QuicType::Rgba);
        let mut single = alpha.then(|| PlaneReader::<D, 1>::new(width, &mut self.single));
        for row in data.chunks_exact_mut(width * kind.pixel_bytes()) {
            if let Some(colour) = &mut colour {
                colour.row(&mut bits)?;
            }
            if let Some(single) = &mut single {
                single.row(&mut bits)?;
            }
            if bits.overrun() {
                return Ok(false);
            }
            let colour = colour.as_ref().map_or(&[][..], PlaneReader::last);
            let single = single.as_ref().map_or(&[][..], PlaneReader::last);
            store(kind, colour, single, row);
        }
        Ok(true)
    }
}

/// Encodes one image after the other, with memory of its own for rows that it takes once.
#[derive(Debug, Default)]
pub struct QuicEncoder {
    rows: RowPair,
    symbols: Vec<Pixel>,
    colour: encode::Scratch,
    single: encode::Scratch,
    bits: BitWriter,
}

/// The row being encoded and the one above, where pixels are not stored with four bytes.
#[derive(Debug, Default)]
struct RowPair {
    row: Vec<Pixel>,
    above: Vec<Pixel>,
}

impl QuicEncoder {
    /// An encoder for images of any type and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes an image into `stream`, which holds nothing else afterwards.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&mut self, image: &QuicImage, stream: &mut Vec<u8>) -> Result<(), QuicError> {
        let row_bytes = image.width as usize * image.kind.pixel_bytes();
        let needed = row_bytes as u64 * u64::from(image.height);
        if image.data.len() as u64 != needed {
            let have = image.data.len();
            return Err(QuicError::Data { have, needed });
        }
        let rows = (0..image.height as usize).map(|y| image.data.get(y * row_bytes..(y + 1) * row_bytes));
        self.encode_rows(image.kind, image.width, image.height, rows, stream)
    }

    /// Encodes a bitmap of 16, 24 or 32 bits into `stream`, which holds nothing else afterwards.
    ///
    /// # Errors
    /// As [`encode_bitmap`].
    pub fn encode_bitmap(&mut self, bitmap: &Bitmap, stream: &mut Vec<u8>) -> Result<(), QuicError> {
        let kind = QuicType::of_bitmap(bitmap.format).ok_or(QuicError::Format(bitmap.format))?;
        let rows = (0..bitmap.height).map(|y| bitmap.row(y));
        self.encode_rows(kind, bitmap.width, bitmap.height, rows, stream)
    }

    /// Encodes rows from top to bottom.
    fn encode_rows<'a>(
        &mut self,
        kind: QuicType,
        width: u32,
        height: u32,
        rows: impl Iterator<Item = Option<&'a [u8]>>,
        stream: &mut Vec<u8>,
    ) -> Result<(), QuicError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > MAX_PIXELS {
            return Err(QuicError::Size { width, height });
        }
        let row_bytes = width as usize * kind.pixel_bytes();
        let needed = row_bytes as u64 * u64::from(height);
        let rows = rows.map(|row| {
            let row = row.filter(|row| row.len() == row_bytes);
            row.ok_or(QuicError::Data { have: 0, needed })
        });
        stream.clear();
        for word in [MAGIC, VERSION, kind as u32, width, height] {
            stream.extend_from_slice(&word.to_le_bytes());
        }
        self.bits.begin();
        match kind {
            QuicType::Rgb16 => self.planes::<Five>(kind, width as usize, rows, stream)?,
            _ => self.planes::<Eight>(kind, width as usize, rows, stream)?,
        }
        self.bits.finish(stream);
        Ok(())
    }

    fn planes<'a, D: Depth>(
        &mut self,
        kind: QuicType,
        width: usize,
        rows: impl Iterator<Item = Result<&'a [u8], QuicError>>,
        stream: &mut Vec<u8>,
    ) -> Result<(), QuicError> {
        let mut colour = (kind != QuicType::Gray).then(|| PlaneWriter::<D, 3>::new(width, &mut self.colour));
        let alpha = matches!(kind, QuicType::Gray | QuicType::Rgba);
        let mut single = alpha.then(|| PlaneWriter::<D, 1>::new(width, &mut self.single));
        self.symbols.resize(width, [0; 4]);
        self.rows.row.resize(width, [0; 4]);
        self.rows.above.resize(width, [0; 4]);
        let mut last: Option<&[u8]> = None;
        for row in rows {
            let row = row?;
            let (pixels, above) = if kind.pixel_bytes() == 4 {
                (row.as_chunks().0, last.map(|row| row.as_chunks().0))
            } else {
                let RowPair { row: pixels, above } = &mut self.rows;
                std::mem::swap(pixels, above);
                load(kind, row, pixels);
                (pixels.as_slice(), last.map(|_| above.as_slice()))
            };
            last = Some(row);
            encode::symbols::<D>(above, pixels, &mut self.symbols);
            if let Some(colour) = &mut colour {
                colour.row(pixels, &self.symbols, &mut self.bits, stream);
            }
            if let Some(single) = &mut single {
                single.row(pixels, &self.symbols, &mut self.bits, stream);
            }
        }
        Ok(())
    }
}

/// Widens a row of pixels of fewer than four bytes: blue, green and red, then grey.
fn load(kind: QuicType, row: &[u8], pixels: &mut [Pixel]) {
    match kind {
        QuicType::Gray => {
            for (to, grey) in pixels.iter_mut().zip(row) {
                *to = [0, 0, 0, *grey];
            }
        }
        QuicType::Rgb16 => {
            for (to, pixel) in pixels.iter_mut().zip(row.as_chunks().0) {
                let value = u32::from(u16::from_le_bytes(*pixel));
                // Five bits each.
                *to = (value & 0x1f | (value & 0x3e0) << 3 | (value & 0x7c00) << 6).to_le_bytes();
            }
        }
        QuicType::Rgb24 | QuicType::Rgb32 | QuicType::Rgba => {
            for (to, [b, g, r]) in pixels.iter_mut().zip(row.as_chunks().0) {
                *to = [*b, *g, *r, 0];
            }
        }
    }
}

/// Stores a row of pixels whose colour and whose grey or alpha are in words of their own.
fn store(kind: QuicType, colour: &[u32], single: &[u32], row: &mut [u8]) {
    match kind {
        QuicType::Gray => {
            for (to, grey) in row.iter_mut().zip(single) {
                *to = (*grey >> 24) as u8;
            }
        }
        QuicType::Rgb16 => {
            for (to, value) in row.as_chunks_mut().0.iter_mut().zip(colour) {
                let packed = (*value >> 16) << 10 | ((*value >> 8) & 31) << 5 | (*value & 31);
                *to = (packed as u16).to_le_bytes();
            }
        }
        QuicType::Rgb24 => {
            for (to, value) in row.as_chunks_mut().0.iter_mut().zip(colour) {
                let [b, g, r, _] = value.to_le_bytes();
                *to = [b, g, r];
            }
        }
        QuicType::Rgb32 => {
            for (to, value) in row.as_chunks_mut().0.iter_mut().zip(colour) {
                *to = value.to_le_bytes();
            }
        }
        QuicType::Rgba => {
            for (to, (value, alpha)) in row.as_chunks_mut().0.iter_mut().zip(colour.iter().zip(single)) {
                *to = (value | alpha).to_le_bytes();
            }
        }
    }
}

#[cfg(test)]
#[path = "quic/tests.rs"]
mod tests;
