//! LZ4: two bytes (row order, bitmap format), then blocks of the LZ4 block format, each after its length in bytes as a
//! big-endian word. Lossless, the cheapest codec, the least compression.
//!
//! Size and stride are not in the stream: rows are tight, and the size is that of the image's descriptor.

use std::num::NonZeroUsize;

use bytes::Bytes;
use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat},
};
use lz4_flex::block::{self, CompressTable, DecompressError, get_maximum_output_size};
use thiserror::Error;

use crate::{
    Limits, bands,
    rows::{Rows, SourceError},
};

/// Bytes before the first block.
const HEADER_BYTES: usize = 2;
/// Bytes of pixels in a block, unless a single row has more. Few enough that a block and its stream stay in a cache of
/// the second level, and many enough that forgetting the 64 KiB before it costs nothing that can be measured.
const BLOCK_BYTES: usize = 256 << 10;
/// Most bytes that a block may stand for in the block format.
const MAX_BLOCK_BYTES: usize = 0x7e00_0000;
/// How far back a match can reach.
const WINDOW_BYTES: usize = 64 << 10;

/// Why a stream cannot be decoded or an image not be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lz4Error {
    /// Not one of 16BIT, 24BIT, 32BIT and RGBA.
    #[error("LZ4 pixel format is {0}, not 6 to 9")]
    Format(u8),
    /// Zero, or beyond what is allowed.
    #[error("LZ4 image of {width}x{height} pixels is empty or too large")]
    Size {
        /// Pixels across.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The input ends too early.
    #[error("LZ4 data ends after {produced} of {expected} bytes of pixels")]
    Truncated {
        /// Bytes of pixels decoded until then.
        produced: usize,
        /// Bytes of pixels of the image.
        expected: usize,
    },
    /// A block that is longer than what is left of the input, or empty.
    #[error("LZ4 block of {length} bytes, {left} are left")]
    Length {
        /// Bytes the block says to have.
        length: u32,
        /// Bytes of input there are.
        left: usize,
    },
    /// A block makes no sense, reaches back too far, or holds more than the image or nothing.
    #[error("LZ4 block after {produced} of {expected} bytes of pixels: {reason}")]
    Block {
        /// Bytes of pixels decoded before it.
        produced: usize,
        /// Bytes of pixels of the image.
        expected: usize,
        /// What is wrong in it.
        reason: &'static str,
    },
    /// Pixels that cannot be encoded.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Decodes the stream of an image of `width` x `height` pixels. Pixels are as the encoder had them: the unused byte of
/// a 32-bit pixel and bit 15 of a 16-bit one mean nothing.
///
/// # Errors
/// Anything that the format does not allow, an image beyond `limits`, input that stands for fewer or more pixels.
/// Memory is taken only for a size that is within the limits and that the input is long enough to fill.
pub fn decode(stream: &[u8], width: u32, height: u32, limits: &Limits) -> Result<Bitmap, Lz4Error> {
    let Some((&[top_down, raw], mut rest)) = stream.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Lz4Error::Truncated {
            produced: 0,
            expected: 0,
        });
    };
    let format = match BitmapFormat::from_raw(raw) {
        Some(format) if !format.has_palette() && format != BitmapFormat::Bit8A => format,
        _ => return Err(Lz4Error::Format(raw)),
    };
    let too_large = Lz4Error::Size { width, height };
    if width == 0 || height == 0 || !limits.allow(width, height) {
        return Err(too_large);
    }
    let stride = u32::try_from(format.row_bytes(width)).map_err(|_| too_large.clone())?;
    let expected = u64::from(stride) * u64::from(height);
    let expected = usize::try_from(expected).map_err(|_| too_large)?;
    // No byte of a block stands for more than 255 bytes.
    if expected / 255 > rest.len() {
        return Err(Lz4Error::Truncated { produced: 0, expected });
    }
    let mut data = vec![0; expected];
    let mut produced = 0;
    while !rest.is_empty() {
        let block;
        (block, rest) = next_block(rest)?;
        // Later blocks may repeat what earlier ones left.
        let (before, after) = data.split_at_mut(produced);
        let dictionary = before
            .get(before.len().saturating_sub(WINDOW_BYTES)..)
            .unwrap_or_default();
        let wrong = |reason| Lz4Error::Block {
            produced,
            expected,
            reason,
        };
        let count =
            block::decompress_into_with_dict(block, after, dictionary).map_err(|error| wrong(reason(&error)))?;
        if count == 0 {
            return Err(wrong("it holds nothing"));
        }
        produced += count;
    }
    if produced != expected {
        return Err(Lz4Error::Truncated { produced, expected });
    }
    Ok(Bitmap {
        format,
        width,
        height,
        stride,
        top_down: top_down != 0,
        palette: None,
        data: Bytes::from(data),
    })
}

/// The first block of `rest`, without its length, and what follows it.
fn next_block(rest: &[u8]) -> Result<(&[u8], &[u8]), Lz4Error> {
    let left = rest.len();
    let Some((length, rest)) = rest.split_first_chunk() else {
        return Err(Lz4Error::Length { length: 0, left });
    };
    let length = u32::from_be_bytes(*length);
    match rest.split_at_checked(length as usize) {
        Some(parts) if length > 0 => Ok(parts),
        _ => Err(Lz4Error::Length {
            length,
            left: rest.len(),
        }),
    }
}

fn reason(error: &DecompressError) -> &'static str {
    match error {
        DecompressError::OutputTooSmall { .. } => "it holds more than the image",
        DecompressError::LiteralOutOfBounds => "a literal run reaches past its end",
        DecompressError::ExpectedAnotherByte => "it ends within a sequence",
        DecompressError::OffsetZero => "a match has offset 0",
        DecompressError::OffsetOutOfBounds => "a match reaches before the image",
        _ => "it is malformed",
    }
}

/// Encodes images, with memory of its own that it uses again.
#[derive(Debug)]
pub struct Lz4Encoder {
    threads: NonZeroUsize,
    /// One for each thread there was something to do for.
    workers: Vec<Worker>,
    /// A stream's blocks.
    blocks: Vec<Block>,
}

/// What a thread needs to compress.
struct Worker(CompressTable);

impl Default for Worker {
    fn default() -> Self {
        Self(CompressTable::large())
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// A block in memory that is longer.
#[derive(Debug, Default)]
struct Block {
    memory: Vec<u8>,
    used: usize,
}

impl Default for Lz4Encoder {
    fn default() -> Self {
        Self::with_threads(NonZeroUsize::MIN)
    }
}

impl Lz4Encoder {
    /// One with empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that has the blocks of large images encoded by so many threads at the same time; the streams are the same.
    #[must_use]
    pub const fn with_threads(threads: NonZeroUsize) -> Self {
        Self {
            threads,
            workers: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Encodes a bitmap; rows stay in their order.
    ///
    /// # Errors
    /// Formats with a palette or of alpha alone, a bitmap whose rows are not there.
    pub fn encode_bitmap(&mut self, bitmap: &Bitmap) -> Result<Vec<u8>, Lz4Error> {
        self.encode(&Rows::of_bitmap(bitmap)?)
    }

    /// Encodes a part of a surface: 32BIT for xRGB and 565, RGBA for ARGB, 16BIT for 555.
    ///
    /// # Errors
    /// Surfaces of alpha alone, rows that are not there.
    pub fn encode_pixels(&mut self, pixels: &Pixels) -> Result<Vec<u8>, Lz4Error> {
        self.encode(&Rows::of_pixels(pixels)?)
    }

    fn encode(&mut self, rows: &Rows) -> Result<Vec<u8>, Lz4Error> {
        let data = rows.tight();
        let row_bytes = data.len() / rows.height as usize;
        let too_large = Lz4Error::Size {
            width: rows.width,
            height: rows.height,
        };
        if row_bytes > MAX_BLOCK_BYTES {
            return Err(too_large);
        }
        let block_bytes = (BLOCK_BYTES / row_bytes).max(1) * row_bytes;
        let mut out = Vec::with_capacity(HEADER_BYTES + data.len() / 4);
        out.extend_from_slice(&[u8::from(rows.top_down), rows.format as u8]);
        let threads = self.threads.get().min(data.len().div_ceil(block_bytes));
        if self.workers.len() < threads {
            self.workers.resize_with(threads, Worker::default);
        }
        let workers = self.workers.get_mut(..threads).unwrap_or_default();
        // A single thread puts one block after the other, and keeps none.
        let several = if threads > 1 { usize::MAX } else { block_bytes };
        for part in data.chunks(several) {
            self.blocks
                .resize_with(part.len().div_ceil(block_bytes), Block::default);
            let jobs = part.chunks(block_bytes).zip(&mut self.blocks);
            bands::share(workers, jobs, |worker, (part, block)| block.fill(part, worker));
            for block in &self.blocks {
                // None is empty but one that did not fit, which is not so with the room it has.
                if block.used == 0 {
                    return Err(too_large);
                }
                out.extend_from_slice(&(block.used as u32).to_be_bytes());
                out.extend_from_slice(block.memory.get(..block.used).unwrap_or_default());
            }
        }
        Ok(out)
    }
}

impl Block {
    /// Compresses `part` into it; nothing is in it if that fails.
    fn fill(&mut self, part: &[u8], Worker(table): &mut Worker) {
        let most = get_maximum_output_size(part.len());
        if self.memory.len() < most {
            self.memory.resize(most, 0);
        }
        self.used = block::compress_into_with_table(part, &mut self.memory, table).unwrap_or_default();
    }
}

#[cfg(test)]
#[path = "lz4/tests.rs"]
mod tests;
