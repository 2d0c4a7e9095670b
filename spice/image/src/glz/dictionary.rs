//! What a server keeps of the images it has encoded.

use std::num::NonZeroUsize;

use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat},
};
use thiserror::Error;

use super::{
    GlzType, HEADER_BYTES, MAGIC, TOP_DOWN, VERSION,
    encode::{Own, Pass},
    store::{Store, Stored},
    table::Table,
    units::{Alpha, Colours, Colours16, Units},
};
use crate::{
    pool::each,
    rows::{Rows, SourceError},
};

/// The largest window that the format has offsets for, in pixels.
pub const MAX_WINDOW_PIXELS: u32 = 1 << 25;

/// Most places in a table of colours, as a power of two, for any window: 8 MiB.
const COLOUR_BITS: u32 = 20;
/// Of as many pixels of a window as this power of two has, one has a place in the table of colours.
const SHARE_BITS: u32 = 2;
/// Alpha has few values and long runs.
const ALPHA_BITS: u32 = 16;
/// Most parts of an image that are encoded at the same time. Each has tables of its own.
const MOST_PARTS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// Pixels of the smallest part: what it could repeat of those above is found by its tables only when it comes again.
const PART_PIXELS: usize = 1 << 19;
/// The tables of colours of all parts but the first have fewer places by this power of two.
const PART_BITS: u32 = 2;

/// An encoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlzStream {
    /// Its number in the dictionary.
    pub id: u64,
    /// How many images back it may refer.
    pub win_head_dist: u32,
    /// The stream. It must be sent: later images refer to this one, and one that is lost blocks the client for ever.
    pub data: Vec<u8>,
}

/// What goes on with a dictionary in another process after a migration. The images do not: the new dictionary is empty,
/// and its first image refers to none, while the client keeps what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryState {
    /// The window that the client announced, in pixels.
    pub window_pixels: u32,
    /// Number of the next image.
    pub next_id: u64,
}

/// Why a dictionary cannot be made or an image not be encoded. No number is spent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DictionaryError {
    /// A window for which there are no offsets.
    #[error("GLZ window of {0} pixels, at most 33554432 are allowed")]
    WindowTooLarge(u32),
    /// The image would not leave room for any other: use another codec.
    #[error("GLZ image of {pixels} pixels does not fit into a window of {window}")]
    TooLarge {
        /// Pixels of the image.
        pixels: u64,
        /// Pixels of the window.
        window: u32,
    },
    /// Another process goes on with the numbers: use another codec.
    #[error("GLZ dictionary is frozen at image {0}")]
    Frozen(u64),
    /// There is no number left.
    #[error("GLZ dictionary has no number after {0}")]
    Spent(u64),
    /// Pixels that cannot be encoded.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// The images of one dictionary that later images may refer to.
///
/// All displays of a client that announce the same dictionary share one: whoever encodes holds the lock around it, and
/// each display sends its images in the order of their numbers. It keeps its own copy of the pixels: at most six bytes
/// for each pixel of the window. Its tables take two more, but at most 8 MiB, and half a MiB for alpha; with parts up to
/// three quarters of the former again, and as much for alpha for each.
#[derive(Debug)]
pub struct Dictionary {
    window: usize,
    next_id: u64,
    frozen: bool,
    parts: NonZeroUsize,
    store: Store,
    /// The tables of each part.
    colours: Vec<Table>,
    alpha: Vec<Table>,
}

impl Dictionary {
    /// A new dictionary for the window that the client announced, in pixels; 0 takes no image at all.
    ///
    /// # Errors
    /// More than [`MAX_WINDOW_PIXELS`].
    pub fn new(window_pixels: u32) -> Result<Self, DictionaryError> {
        Self::resume(DictionaryState {
            window_pixels,
            next_id: 0,
        })
    }

    /// An empty dictionary that goes on where another one, frozen, has ended.
    ///
    /// # Errors
    /// A window of more than [`MAX_WINDOW_PIXELS`].
    pub fn resume(state: DictionaryState) -> Result<Self, DictionaryError> {
        if state.window_pixels > MAX_WINDOW_PIXELS {
            return Err(DictionaryError::WindowTooLarge(state.window_pixels));
        }
        Ok(Self {
            window: state.window_pixels as usize,
            next_id: state.next_id,
            frozen: false,
            parts: NonZeroUsize::MIN,
            store: Store::new(state.next_id),
            colours: vec![Table::new(colour_bits(state.window_pixels))],
            alpha: vec![Table::new(ALPHA_BITS)],
        })
    }

    /// Has large images encoded in so many parts at the same time, four at most, on the threads of the [pool](crate::pool). A stream is
    /// longer than one without parts by what a part could repeat of those above.
    #[must_use]
    pub fn with_parts(mut self, parts: NonZeroUsize) -> Self {
        self.parts = parts.min(MOST_PARTS);
        self
    }

    /// Ends encoding, for a migration: from now on every image is refused.
    pub const fn freeze(&mut self) -> DictionaryState {
        self.frozen = true;
        DictionaryState {
            window_pixels: self.window_pixels(),
            next_id: self.next_id,
        }
    }

    /// Goes on encoding after a migration that did not happen. Only if no other process has used the numbers.
    pub const fn thaw(&mut self) {
        self.frozen = false;
    }

    /// The window in pixels.
    #[must_use]
    pub const fn window_pixels(&self) -> u32 {
        self.window as u32
    }

    /// Pixels of the images it holds, at most those of the window.
    #[must_use]
    pub const fn held_pixels(&self) -> usize {
        self.store.pixels()
    }

    /// How many images it holds.
    #[must_use]
    pub fn held_images(&self) -> usize {
        self.store.images()
    }

    /// Whether an image of this size can be encoded now.
    #[must_use]
    pub const fn takes(&self, width: u32, height: u32) -> bool {
        !self.frozen && (width as u64 * height as u64) < self.window as u64
    }

    /// Encodes a bitmap, top row first.
    ///
    /// # Errors
    /// Formats with a palette or of alpha alone, a bitmap whose rows are not there, one as large as the window, a
    /// frozen dictionary.
    pub fn encode_bitmap(&mut self, bitmap: &Bitmap) -> Result<GlzStream, DictionaryError> {
        self.encode(&Rows::of_bitmap(bitmap)?, Vec::new())
    }

    /// As [`encode_bitmap`](Self::encode_bitmap), into memory the caller no longer needs: what it holds is dropped.
    ///
    /// # Errors
    /// As there.
    pub fn encode_bitmap_into(&mut self, bitmap: &Bitmap, memory: Vec<u8>) -> Result<GlzStream, DictionaryError> {
        self.encode(&Rows::of_bitmap(bitmap)?, memory)
    }

    /// Encodes a part of a surface: RGB32 for xRGB and 565, RGBA for ARGB, RGB16 for 555.
    ///
    /// # Errors
    /// Surfaces of alpha alone, rows that are not there, a part as large as the window, a frozen dictionary.
    pub fn encode_pixels(&mut self, pixels: &Pixels) -> Result<GlzStream, DictionaryError> {
        self.encode(&Rows::of_pixels(pixels)?, Vec::new())
    }

    fn encode(&mut self, rows: &Rows, memory: Vec<u8>) -> Result<GlzStream, DictionaryError> {
        let kind = match rows.format {
            BitmapFormat::Bit16 => GlzType::Rgb16,
            BitmapFormat::Bit24 => GlzType::Rgb24,
            BitmapFormat::Rgba => GlzType::Rgba,
            _ => GlzType::Rgb32,
        };
        let (width, height) = (rows.width, rows.height);
        if self.frozen {
            return Err(DictionaryError::Frozen(self.next_id));
        }
        if !self.takes(width, height) {
            return Err(DictionaryError::TooLarge {
                pixels: u64::from(width) * u64::from(height),
                window: self.window_pixels(),
            });
        }
        let id = self.next_id;
        let next_id = id.checked_add(1).ok_or(DictionaryError::Spent(id))?;
        // Below the pixels of the window.
        let pixels = width as usize * height as usize;
        let units = self.store.make_room(pixels, self.window);
        let win_head_dist = self.store.images() as u32;
        let parts = (pixels / PART_PIXELS).clamp(1, self.parts.get());
        let rows_in_part = (height as usize).div_ceil(parts);
        let image = Stored::new(kind, rows, rows_in_part, units);

        let mut data = memory;
        data.clear();
        data.reserve(HEADER_BYTES + pixels / 4);
        for word in [MAGIC, VERSION] {
            data.extend_from_slice(&word.to_be_bytes());
        }
        data.push(kind as u8 | TOP_DOWN);
        for word in [width, height, width * kind.pixel_bytes()] {
            data.extend_from_slice(&word.to_be_bytes());
        }
        data.extend_from_slice(&id.to_be_bytes());
        data.extend_from_slice(&win_head_dist.to_be_bytes());
        let own = Own {
            image: &image,
            width: width as usize,
            number: id as u32,
            store: &self.store,
        };
        let units = rows_in_part * width as usize;
        let bits = colour_bits(self.window_pixels()).saturating_sub(PART_BITS);
        match kind {
            GlzType::Rgb16 => pass::<Colours16>(own, units, &mut self.colours, bits, &mut data),
            GlzType::Rgb24 => pass::<Colours<RGB24>>(own, units, &mut self.colours, bits, &mut data),
            GlzType::Rgb32 => pass::<Colours<RGB32>>(own, units, &mut self.colours, bits, &mut data),
            GlzType::Rgba => {
                pass::<Colours<RGBA>>(own, units, &mut self.colours, bits, &mut data);
                pass::<Alpha>(own, units, &mut self.alpha, ALPHA_BITS, &mut data);
            }
        }

        self.next_id = next_id;
        self.store.push(image);
        Ok(GlzStream {
            id,
            win_head_dist,
            data,
        })
    }
}

/// Places in the table of colours for a window of so many pixels, as a power of two.
const fn colour_bits(window: u32) -> u32 {
    let bits = (u32::BITS - window.leading_zeros()).saturating_sub(SHARE_BITS + 1);
    if bits > COLOUR_BITS { COLOUR_BITS } else { bits }
}

const RGB24: u8 = GlzType::Rgb24 as u8;
const RGB32: u8 = GlzType::Rgb32 as u8;
const RGBA: u8 = GlzType::Rgba as u8;

/// Adds a pass over an image to `out`, in parts of so many units. Each part has a table of its own; new ones have at most
/// `1 << bits` places. An image in one piece has the first table, and is told what the others know.
fn pass<U: Units>(own: Own<'_>, part: usize, tables: &mut Vec<Table>, bits: u32, out: &mut Vec<u8>) {
    let units = U::of(own.image).len();
    let parts = units.div_ceil(part.max(1));
    if parts < 2 {
        if let Some((first, others)) = tables.split_first_mut() {
            Pass::<U>::new(own, units, first, others).run(0, out);
        }
        return;
    }
    while tables.len() < parts {
        tables.push(Table::new(bits));
    }
    let jobs = tables.iter_mut().zip((0..units).step_by(part));
    let streams = each(jobs.collect(), |(table, start): (&mut Table, usize)| {
        let mut stream = Vec::with_capacity(part / 8);
        Pass::<U>::new(own, units.min(start + part), table, &[]).run(start, &mut stream);
        stream
    });
    streams.iter().for_each(|stream| out.extend_from_slice(stream));
}
