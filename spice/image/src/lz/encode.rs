//! Writing a stream.

use std::num::NonZeroUsize;

use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, SurfaceFormat},
};

use super::{
    HEADER_BYTES, LzError, LzImage, LzType, MAGIC, MAX_BYTES, VERSION,
    matches::{Table, pass},
    sink::Sink,
    units::Unit as _,
};
use crate::{bands, color};

/// Encodes an image. The unused byte of RGB32 and bit 15 of RGB16 are not kept.
///
/// # Errors
/// A size of zero or beyond the format, rows that are shorter or longer than the size says.
pub fn encode(image: &LzImage) -> Result<Vec<u8>, LzError> {
    let mut stream = Vec::new();
    LzEncoder::new().encode(image, &mut stream)?;
    Ok(stream)
}

/// Encodes a bitmap, top row first. Its palette, if it has one, travels beside the stream.
///
/// # Errors
/// A bitmap whose rows are not there, a size beyond the format.
pub fn encode_bitmap(bitmap: &Bitmap) -> Result<Vec<u8>, LzError> {
    let mut stream = Vec::new();
    LzEncoder::new().encode_bitmap(bitmap, &mut stream)?;
    Ok(stream)
}

/// Encodes a part of a surface: RGB32 for xRGB and 565 (which LZ does not have), RGBA for ARGB, RGB16 for 555, A8 for
/// 8 bits of alpha. A 1-bit surface becomes A8 of 0 and 255.
///
/// # Errors
/// Rows that are not there, a size beyond the format.
pub fn encode_pixels(pixels: &Pixels) -> Result<Vec<u8>, LzError> {
    let mut stream = Vec::new();
    LzEncoder::new().encode_pixels(pixels, &mut stream)?;
    Ok(stream)
}

/// Encodes one image after the other, with memory of its own that it takes once.
#[derive(Debug)]
pub struct LzEncoder {
    threads: NonZeroUsize,
    /// One for each thread there was something to do for.
    workers: Vec<Worker>,
    /// The passes of each band, where there are several.
    bands: Vec<[Vec<u8>; 2]>,
    /// Rows without padding, where the input has them otherwise.
    rows: Vec<u8>,
}

impl Default for LzEncoder {
    fn default() -> Self {
        Self::with_threads(NonZeroUsize::MIN)
    }
}

/// The memory of a thread.
#[derive(Debug, Default)]
struct Worker {
    table: Table,
    sink: Sink,
    /// Pixels of three bytes, widened.
    wide: Vec<[u8; 4]>,
    alpha: Vec<u8>,
}

impl Worker {
    /// Adds the pass over the units of rows, if there is one besides that over alpha.
    fn colours(&mut self, kind: LzType, rows: &[u8], out: &mut Vec<u8>) {
        let Self { table, sink, wide, .. } = self;
        match kind {
            LzType::Plt1Le | LzType::Plt1Be | LzType::Plt4Le | LzType::Plt4Be | LzType::Plt8 | LzType::A8 => {
                pass(rows, table, sink, out);
            }
            LzType::Rgb16 => pass(rows.as_chunks::<2>().0, table, sink, out),
            LzType::Rgb24 => {
                // They are stored as the literals of a stream are.
                let pixels = rows.len() / 3;
                wide.resize(pixels, [0; 4]);
                <[u8; 4]>::literals(rows, wide, pixels);
                pass(wide, table, sink, out);
            }
            LzType::Rgb32 | LzType::Rgba => pass(rows.as_chunks::<4>().0, table, sink, out),
            LzType::Xxxa => {}
        }
    }

    /// Adds the pass over the alpha of rows, if their type has one of its own.
    fn alpha(&mut self, kind: LzType, rows: &[u8], out: &mut Vec<u8>) {
        if matches!(kind, LzType::Rgba | LzType::Xxxa) {
            let Self { table, sink, alpha, .. } = self;
            alpha.clear();
            alpha.extend(rows.as_chunks::<4>().0.iter().map(|[.., alpha]| *alpha));
            pass(alpha, table, sink, out);
        }
    }
}

/// Type, sides and row order of the picture in a stream.
#[derive(Clone, Copy)]
struct Shape {
    kind: LzType,
    width: u32,
    height: u32,
    top_down: bool,
}

impl Shape {
    /// Bytes of all rows.
    fn bytes(self) -> Result<u64, LzError> {
        let needed = self.kind.row_bytes(self.width) * u64::from(self.height);
        if needed == 0 || needed > MAX_BYTES {
            return Err(LzError::Size {
                width: self.width,
                height: self.height,
            });
        }
        Ok(needed)
    }

    /// The begin of the stream.
    fn header(self) -> [u8; HEADER_BYTES] {
        // All rows together fit 30 bits, and so does one.
        let stride = self.kind.row_bytes(self.width) as u32;
        let (kind, top_down) = (self.kind as u32, u32::from(self.top_down));
        let words = [MAGIC, VERSION, kind, self.width, self.height, stride, top_down];
        let mut header = [0; HEADER_BYTES];
        for (to, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        header
    }
}

impl LzEncoder {
    /// An encoder for images of any type and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder that has large images encoded in bands of rows by so many threads at the same time. A stream is longer
    /// than that of a single thread by what a band could repeat of the one above.
    #[must_use]
    pub const fn with_threads(threads: NonZeroUsize) -> Self {
        Self {
            threads,
            workers: Vec::new(),
            bands: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Encodes an image into `stream`, which holds nothing else afterwards.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn encode(&mut self, image: &LzImage, stream: &mut Vec<u8>) -> Result<(), LzError> {
        let shape = Shape {
            kind: image.kind,
            width: image.width,
            height: image.height,
            top_down: image.top_down,
        };
        let (have, needed) = (image.data.len(), shape.bytes()?);
        if have as u64 != needed {
            return Err(LzError::Data { have, needed });
        }
        self.tight(shape, &image.data, stream);
        Ok(())
    }

    /// Encodes a bitmap into `stream`, which holds nothing else afterwards.
    ///
    /// # Errors
    /// As [`encode_bitmap`].
    pub fn encode_bitmap(&mut self, bitmap: &Bitmap, stream: &mut Vec<u8>) -> Result<(), LzError> {
        let shape = Shape {
            kind: LzType::of_bitmap(bitmap.format),
            width: bitmap.width,
            height: bitmap.height,
            top_down: true,
        };
        let (have, needed) = (bitmap.data.len(), shape.bytes()?);
        let row_bytes = shape.kind.row_bytes(shape.width);
        if bitmap.top_down && u64::from(bitmap.stride) == row_bytes && have as u64 == needed {
            self.tight(shape, &bitmap.data, stream);
            return Ok(());
        }
        if u64::from(bitmap.stride) * u64::from(shape.height - 1) + row_bytes > have as u64 {
            return Err(LzError::Data { have, needed });
        }
        self.rows.clear();
        for y in 0..shape.height {
            self.rows
                .extend_from_slice(bitmap.row(y).ok_or(LzError::Data { have, needed })?);
        }
        self.packed(shape, stream);
        Ok(())
    }

    /// Encodes a part of a surface into `stream`, which holds nothing else afterwards.
    ///
    /// # Errors
    /// As [`encode_pixels`].
    pub fn encode_pixels(&mut self, pixels: &Pixels, stream: &mut Vec<u8>) -> Result<(), LzError> {
        let shape = Shape {
            kind: match pixels.format {
                SurfaceFormat::Xrgb | SurfaceFormat::Rgb565 => LzType::Rgb32,
                SurfaceFormat::Argb => LzType::Rgba,
                SurfaceFormat::Rgb555 => LzType::Rgb16,
                SurfaceFormat::A8 | SurfaceFormat::A1 => LzType::A8,
            },
            width: pixels.width,
            height: pixels.height,
            top_down: true,
        };
        let (have, needed) = (pixels.data.len(), shape.bytes()?);
        let (stride, row) = (pixels.stride as usize, pixels.format.row_bytes(shape.width) as usize);
        if stride < row || u64::from(shape.height - 1) * stride as u64 + row as u64 > have as u64 {
            return Err(LzError::Data { have, needed });
        }
        let rows = pixels
            .data
            .chunks(stride)
            .take(shape.height as usize)
            .filter_map(|bytes| bytes.get(..row));
        let data = &mut self.rows;
        data.clear();
        for row in rows {
            match pixels.format {
                SurfaceFormat::Rgb565 => {
                    let pixels = row.as_chunks().0.iter();
                    let wide = pixels.map(|pixel| color::from_565(u16::from_le_bytes(*pixel)));
                    data.extend(wide.flat_map(u32::to_le_bytes));
                }
                SurfaceFormat::A1 => {
                    let bits = row.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
                    data.extend(bits.take(shape.width as usize).map(|bit| bit * 255));
                }
                _ => data.extend_from_slice(row),
            }
        }
        self.packed(shape, stream);
        Ok(())
    }

    /// Encodes what is in `rows`.
    fn packed(&mut self, shape: Shape, stream: &mut Vec<u8>) {
        let rows = std::mem::take(&mut self.rows);
        self.tight(shape, &rows, stream);
        self.rows = rows;
    }

    /// Encodes rows without padding, as many bytes as the shape has.
    fn tight(&mut self, shape: Shape, rows: &[u8], stream: &mut Vec<u8>) {
        let (kind, height) = (shape.kind, shape.height as usize);
        let band = bands::rows_in_band(rows.len(), height, self.threads);
        let count = height.div_ceil(band);
        let workers = self.threads.get().min(count);
        if self.workers.len() < workers {
            self.workers.resize_with(workers, Worker::default);
        }
        let workers = self.workers.get_mut(..workers).unwrap_or_default();
        if let ([worker], 1) = (&mut *workers, count) {
            stream.clear();
            stream.extend_from_slice(&shape.header());
            worker.colours(kind, rows, stream);
            worker.alpha(kind, rows, stream);
            return;
        }
        self.bands.resize_with(count, Default::default);
        // Matches are told by their distance, so that bands one after the other are a pass over all rows.
        let jobs = rows.chunks(band * (rows.len() / height)).zip(&mut self.bands);
        bands::share(workers, jobs, |worker, (rows, [colours, alpha])| {
            colours.clear();
            worker.colours(kind, rows, colours);
            alpha.clear();
            worker.alpha(kind, rows, alpha);
        });
        let (colours, alpha): (Vec<_>, Vec<_>) = self.bands.iter().map(|[colours, alpha]| (colours, alpha)).unzip();
        let passes = colours.into_iter().chain(alpha);
        bands::join(workers, &shape.header(), passes.map(Vec::as_slice), stream);
    }
}
