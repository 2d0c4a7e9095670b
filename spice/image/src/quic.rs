//! QUIC: lossless, each component predicted from its neighbours, differences in adaptive Golomb-Rice codes, runs.
//!
//! The encoder has no freedom: the same pixels always give the same stream.

mod bits;
mod chaos;
mod model;
mod row;

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat, SurfaceFormat},
};
use thiserror::Error;

use self::{
    bits::{BitReader, BitWriter},
    model::{FAMILY_5, FAMILY_8, Family, Plane},
    row::{Coder, Pixel, code_row},
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

    const fn family(self) -> &'static Family {
        match self {
            Self::Rgb16 => &FAMILY_5,
            _ => &FAMILY_8,
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
    let QuicHeader { kind, width, height } = header(stream)?;
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
    let mut data = vec![0; width as usize * height as usize * kind.pixel_bytes()];
    let mut reader = BitReader::new(body);
    let row_bytes = width as usize * kind.pixel_bytes();
    let mut planes = Planes::new(kind, width as usize);
    for row in data.chunks_exact_mut(row_bytes) {
        planes.code_row(&mut reader)?;
        if reader.overrun() {
            return Err(QuicError::Truncated(stream.len()));
        }
        planes.write(kind, row);
    }
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
    let row_bytes = image.width as usize * image.kind.pixel_bytes();
    let needed = row_bytes as u64 * u64::from(image.height);
    if image.data.len() as u64 != needed {
        let have = image.data.len();
        return Err(QuicError::Data { have, needed });
    }
    let rows = (0..image.height as usize).map(|y| image.data.get(y * row_bytes..(y + 1) * row_bytes));
    encode_rows(image.kind, image.width, image.height, rows)
}

/// Encodes a bitmap of 16, 24 or 32 bits.
///
/// # Errors
/// A bitmap of another format or whose rows are not there, a size beyond the format.
pub fn encode_bitmap(bitmap: &Bitmap) -> Result<Vec<u8>, QuicError> {
    let kind = QuicType::of_bitmap(bitmap.format).ok_or(QuicError::Format(bitmap.format))?;
    let rows = (0..bitmap.height).map(|y| bitmap.row(y));
    encode_rows(kind, bitmap.width, bitmap.height, rows)
}

/// Encodes rows from top to bottom.
fn encode_rows<'a>(
    kind: QuicType,
    width: u32,
    height: u32,
    rows: impl Iterator<Item = Option<&'a [u8]>>,
) -> Result<Vec<u8>, QuicError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(QuicError::Size { width, height });
    }
    let row_bytes = width as usize * kind.pixel_bytes();
    let needed = row_bytes as u64 * u64::from(height);
    // At most 2^31 bytes of pixels; half of them is what a photograph takes.
    let mut writer = BitWriter::with_capacity(HEADER_BYTES + (needed / 2) as usize);
    for word in [MAGIC, VERSION, kind as u32, width, height] {
        writer.write(word, 32);
    }
    let mut planes = Planes::new(kind, width as usize);
    for row in rows {
        let row = row.filter(|row| row.len() == row_bytes);
        planes.read(kind, row.ok_or(QuicError::Data { have: 0, needed })?);
        planes.code_row(&mut writer)?;
    }
    Ok(writer.finish())
}

/// One plane with its current row and the one above.
struct Rows<const N: usize> {
    plane: Plane<N>,
    above: Vec<Pixel<N>>,
    row: Vec<Pixel<N>>,
    first: bool,
}

impl<const N: usize> Rows<N> {
    fn new(family: &'static Family, width: usize) -> Self {
        Self {
            plane: Plane::new(family, width),
            above: vec![[0; N]; width],
            row: vec![[0; N]; width],
            first: true,
        }
    }

    /// Codes the current row, which is the one above from then on, and still readable there.
    fn code_row<C: Coder>(&mut self, coder: &mut C) -> Result<(), QuicError> {
        let above = (!self.first).then_some(self.above.as_slice());
        code_row(coder, &mut self.plane, above, &mut self.row)?;
        self.first = false;
        std::mem::swap(&mut self.above, &mut self.row);
        Ok(())
    }
}

/// The planes of an image, in the order they are coded within a row.
struct Planes {
    /// Red, green and blue; absent in a grey image.
    colour: Option<Rows<3>>,
    /// Alpha or grey.
    single: Option<Rows<1>>,
}

impl Planes {
    fn new(kind: QuicType, width: usize) -> Self {
        let (colour, single) = match kind {
            QuicType::Gray => (false, true),
            QuicType::Rgb16 | QuicType::Rgb24 | QuicType::Rgb32 => (true, false),
            QuicType::Rgba => (true, true),
        };
        Self {
            colour: colour.then(|| Rows::new(kind.family(), width)),
            single: single.then(|| Rows::new(kind.family(), width)),
        }
    }

    fn code_row<C: Coder>(&mut self, coder: &mut C) -> Result<(), QuicError> {
        if let Some(colour) = &mut self.colour {
            colour.code_row(coder)?;
        }
        if let Some(single) = &mut self.single {
            single.code_row(coder)?;
        }
        Ok(())
    }

    /// Takes the pixels of a row as the current row.
    fn read(&mut self, kind: QuicType, row: &[u8]) {
        let pixels = row.chunks_exact(kind.pixel_bytes());
        if let Some(colour) = &mut self.colour {
            for (to, from) in colour.row.iter_mut().zip(pixels.clone()) {
                *to = components(from);
            }
        }
        if let Some(single) = &mut self.single {
            // Alpha is the last byte of its pixel, grey the only one.
            for (to, from) in single.row.iter_mut().zip(pixels) {
                *to = [from.last().copied().unwrap_or(0)];
            }
        }
    }

    /// Stores the row that was coded last.
    fn write(&self, kind: QuicType, row: &mut [u8]) {
        if let Some(colour) = &self.colour {
            for (from, to) in colour.above.iter().zip(row.chunks_exact_mut(kind.pixel_bytes())) {
                store(*from, to);
            }
        }
        if let Some(single) = &self.single {
            for ([from], to) in single.above.iter().zip(row.chunks_exact_mut(kind.pixel_bytes())) {
                if let Some(to) = to.last_mut() {
                    *to = *from;
                }
            }
        }
    }
}

/// Red, green and blue of a stored pixel of two bytes or more.
fn components(pixel: &[u8]) -> Pixel<3> {
    match pixel {
        [low, high] => {
            let value = u16::from_le_bytes([*low, *high]);
            // Five bits each.
            [10, 5, 0].map(|shift| ((value >> shift) & 31) as u8)
        }
        [b, g, r, ..] => [*r, *g, *b],
        _ => [0; 3],
    }
}

/// Stores red, green and blue in a pixel of two bytes or more.
fn store([r, g, b]: Pixel<3>, pixel: &mut [u8]) {
    match pixel {
        [low, high] => [*low, *high] = (u16::from(r) << 10 | u16::from(g) << 5 | u16::from(b)).to_le_bytes(),
        [to_b, to_g, to_r, ..] => (*to_b, *to_g, *to_r) = (b, g, r),
        _ => {}
    }
}

#[cfg(test)]
#[path = "quic/tests.rs"]
mod tests;
