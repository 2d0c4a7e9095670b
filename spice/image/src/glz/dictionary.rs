//! What a server keeps of the images it has encoded.

use caraway_ports::{
    display::Pixels,
    drawing::{Bitmap, BitmapFormat},
};
use thiserror::Error;

use super::{
    GlzType, HEADER_BYTES, MAGIC, TOP_DOWN, VERSION,
    encode::{Own, Pass},
    store::{Store, Stored},
    table::{IMAGE_MASK, Place, Table},
    units::{Alpha, Colours, Colours16, Units as _},
};
use crate::{
    pool::each,
    rows::{Rows, SourceError},
};

/// The largest window that the format has offsets for, in pixels.
pub const MAX_WINDOW_PIXELS: u32 = 1 << 25;

/// As many places in the table of colours as the largest windows need: 8 MiB.
const COLOUR_BITS: u32 = 20;
/// Alpha has few values and long runs.
const ALPHA_BITS: u32 = 16;
/// An image is taken to need a place in a table for every so many of its pixels: text needs about as many.
const PIXELS_A_PLACE: usize = 8;

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
/// for each pixel of the window, and 9 MiB of tables.
#[derive(Debug)]
pub struct Dictionary {
    window: usize,
    next_id: u64,
    frozen: bool,
    store: Store,
    colours: Table,
    alpha: Table,
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
            store: Store::new(state.next_id),
            colours: Table::new(COLOUR_BITS),
            alpha: Table::new(ALPHA_BITS),
        })
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

    /// Encodes several bitmaps, whose streams must be sent in this order, on the threads of the [pool](crate::pool). Which earlier pixels
    /// a stream refers to depends on how far the others are by then; what it decodes to does not.
    ///
    /// # Errors
    /// As [`encode_bitmap`](Self::encode_bitmap), all of them together counted against the window. None is encoded then.
    pub fn encode_bitmaps(&mut self, bitmaps: &[Bitmap]) -> Result<Vec<GlzStream>, DictionaryError> {
        let rows: Vec<Rows> = bitmaps.iter().map(Rows::of_bitmap).collect::<Result<_, _>>()?;
        self.encode_all(rows.iter().map(|rows| (rows, Vec::new())).collect())
    }

    /// Encodes a part of a surface: RGB32 for xRGB and 565, RGBA for ARGB, RGB16 for 555.
    ///
    /// # Errors
    /// Surfaces of alpha alone, rows that are not there, a part as large as the window, a frozen dictionary.
    pub fn encode_pixels(&mut self, pixels: &Pixels) -> Result<GlzStream, DictionaryError> {
        self.encode(&Rows::of_pixels(pixels)?, Vec::new())
    }

    fn encode(&mut self, rows: &Rows, memory: Vec<u8>) -> Result<GlzStream, DictionaryError> {
        let mut streams = self.encode_all(vec![(rows, memory)])?;
        // One for each image.
        streams.pop().ok_or(DictionaryError::Spent(self.next_id))
    }

    fn encode_all(&mut self, images: Vec<(&Rows, Vec<u8>)>) -> Result<Vec<GlzStream>, DictionaryError> {
        let window = self.window_pixels();
        let total: u64 = images.iter().map(|(rows, _)| rows.pixels()).sum();
        if self.frozen {
            return Err(DictionaryError::Frozen(self.next_id));
        }
        if total >= u64::from(window) {
            return Err(DictionaryError::TooLarge { pixels: total, window });
        }
        let id = self.next_id;
        let next_id = id
            .checked_add(images.len() as u64)
            .ok_or(DictionaryError::Spent(id))?;
        // Below the pixels of the window.
        let pixels = total as usize;
        let mut memory = self.store.make_room(pixels, self.window);
        let before = self.store.images();
        let jobs = images.iter().map(|(rows, _)| (*rows, taken_for(rows, &mut memory)));
        let stored = |(rows, units): (&Rows, Vec<u32>)| Stored::new(kind(rows), rows.pixels() as usize, rows.top_first(), units);
        let mut with_alpha = 0;
        for image in each(jobs.collect(), stored) {
            with_alpha += image.alpha.len();
            self.store.push(image);
        }
        self.reserve(pixels, with_alpha);
        self.next_id = next_id;
        let Self {
            store, colours, alpha, ..
        } = &*self;
        let jobs = store.newest(images.into_iter().enumerate());
        let jobs = jobs.map(|(stored, (at, (rows, memory)))| Encoder {
            stored,
            id: id + at as u64,
            width: rows.width,
            height: rows.height,
            reach: (before + at) as u32,
            memory,
        });
        let done = each(jobs.collect(), |encoder: Encoder<'_>| encoder.run(store, colours, alpha));
        let mut streams = Vec::with_capacity(done.len());
        for (stream, [colours, alpha]) in done {
            self.colours.taken(colours);
            self.alpha.taken(alpha);
            streams.push(stream);
        }
        Ok(streams)
    }

    /// Has the tables grow to what images of so many pixels may take of them.
    fn reserve(&mut self, pixels: usize, with_alpha: usize) {
        let Self {
            store, colours, alpha, ..
        } = self;
        let image = |place: Place| store.numbered(place.image, IMAGE_MASK);
        // One of the types that share the table: it is the same for all of them.
        colours.reserve(pixels / PIXELS_A_PLACE, |place| Colours16::key_at(image(place)?, place.offset));
        alpha.reserve(with_alpha / PIXELS_A_PLACE, |place| Alpha::key_at(image(place)?, place.offset));
    }
}

/// The type of a stream of such rows.
const fn kind(rows: &Rows) -> GlzType {
    match rows.format {
        BitmapFormat::Bit16 => GlzType::Rgb16,
        BitmapFormat::Bit24 => GlzType::Rgb24,
        BitmapFormat::Rgba => GlzType::Rgba,
        _ => GlzType::Rgb32,
    }
}

/// Memory for the units of an image, of one that had hardly more, if there is such.
fn taken_for(rows: &Rows, memory: &mut Vec<Vec<u32>>) -> Vec<u32> {
    let pixels = rows.pixels() as usize;
    let fits = |memory: &Vec<u32>| (pixels..=pixels + pixels / 8).contains(&memory.capacity());
    match memory.iter().position(fits) {
        Some(place) => memory.swap_remove(place),
        None => Vec::new(),
    }
}

/// Encodes one image that is in the store.
struct Encoder<'a> {
    stored: &'a Stored,
    id: u64,
    width: u32,
    height: u32,
    /// How many images back it may refer.
    reach: u32,
    memory: Vec<u8>,
}

impl Encoder<'_> {
    /// The stream, and the places taken of both tables.
    fn run(self, store: &Store, colours: &Table, alpha: &Table) -> (GlzStream, [usize; 2]) {
        const RGB24: u8 = GlzType::Rgb24 as u8;
        const RGB32: u8 = GlzType::Rgb32 as u8;
        const RGBA: u8 = GlzType::Rgba as u8;
        let Self {
            stored,
            id,
            width,
            height,
            reach,
            memory: mut data,
        } = self;
        data.clear();
        data.reserve(HEADER_BYTES + stored.colours.len() / 4);
        for word in [MAGIC, VERSION] {
            data.extend_from_slice(&word.to_be_bytes());
        }
        data.push(stored.kind as u8 | TOP_DOWN);
        for word in [width, height, width * stored.kind.pixel_bytes()] {
            data.extend_from_slice(&word.to_be_bytes());
        }
        data.extend_from_slice(&id.to_be_bytes());
        data.extend_from_slice(&reach.to_be_bytes());
        let own = Own {
            width: width as usize,
            number: id as u32,
            reach,
        };
        let out = &mut data;
        let taken = match stored.kind {
            GlzType::Rgb16 => [Pass::<Colours16>::new(stored, own, store, colours).run(out), 0],
            GlzType::Rgb24 => [Pass::<Colours<RGB24>>::new(stored, own, store, colours).run(out), 0],
            GlzType::Rgb32 => [Pass::<Colours<RGB32>>::new(stored, own, store, colours).run(out), 0],
            GlzType::Rgba => [
                Pass::<Colours<RGBA>>::new(stored, own, store, colours).run(out),
                Pass::<Alpha>::new(stored, own, store, alpha).run(out),
            ],
        };
        let stream = GlzStream {
            id,
            win_head_dist: reach,
            data,
        };
        (stream, taken)
    }
}
