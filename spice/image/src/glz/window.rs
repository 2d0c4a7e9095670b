//! What a client keeps of the images it has decoded.

use std::collections::BTreeMap;

use bytes::Bytes;
use caraway_ports::drawing::{Bitmap, BitmapFormat};

use super::{
    GlzError, GlzImage, GlzType, HEADER_BYTES,
    decode::{Header, Sources, colours, decode_alpha},
};
use crate::Limits;

/// What a [`Window`] may hold at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBudget {
    /// Pixels, each four bytes. At least the window that was announced to the server; images that come before one that
    /// they do not refer to, by way of another display, come on top.
    pub max_pixels: u64,
    /// Images, each about 100 bytes besides its pixels.
    pub max_images: usize,
}

impl WindowBudget {
    /// Room for an announced window of this many pixels, and as many again for images that come early.
    #[must_use]
    pub const fn for_window(pixels: u32) -> Self {
        Self {
            max_pixels: 2 * pixels as u64,
            max_images: 1 << 20,
        }
    }
}

/// An image that later ones may refer to.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// B, G, R, A of each pixel, in stream order.
    data: Bytes,
    has_alpha: bool,
    win_head_dist: u32,
}

impl Kept {
    pub(super) fn pixels(&self) -> &[[u8; 4]] {
        self.data.as_chunks().0
    }

    pub(super) const fn has_alpha(&self) -> bool {
        self.has_alpha
    }
}

/// The images of one dictionary that later images may refer to, shared by all displays of a client.
#[derive(Clone, Debug)]
pub struct Window {
    budget: WindowBudget,
    images: BTreeMap<u64, Kept>,
    /// Pixels of all images.
    pixels: u64,
    /// The lowest number that any image so far has shown to be one of this dictionary.
    first: u64,
    /// The lowest number from `first` on that has not come.
    next_missing: u64,
    /// All from `first` to before this one have come and are gone.
    freed_below: u64,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub const fn new(budget: WindowBudget) -> Self {
        Self {
            budget,
            images: BTreeMap::new(),
            pixels: 0,
            first: u64::MAX,
            next_missing: u64::MAX,
            freed_below: 0,
        }
    }

    /// Pixels of the images it holds.
    #[must_use]
    pub const fn held_pixels(&self) -> u64 {
        self.pixels
    }

    /// How many images it holds.
    #[must_use]
    pub fn held_images(&self) -> usize {
        self.images.len()
    }

    /// Decodes the next image of a display and keeps it for those that refer to it. Bytes after the image are ignored.
    ///
    /// # Errors
    /// [`GlzError::NotYet`] when it refers to one that has not come: then the window is as it was, and the same stream
    /// can be decoded when that one is there. All others are final: anything the format does not allow, an image beyond
    /// `limits` or the budget. Memory is taken only for a size that is within both and that the input is long enough
    /// to fill.
    pub fn decode(&mut self, stream: &[u8], limits: &Limits) -> Result<GlzImage, GlzError> {
        let header = Header::read(stream, limits)?;
        let body = stream.get(HEADER_BYTES..).unwrap_or_default();
        let units = header.units;
        // No byte of a stream stands for more than 255 units.
        if units / 255 > body.len() {
            return Err(GlzError::Truncated {
                produced: 0,
                expected: units,
            });
        }
        let id = header.id;
        if self.images.contains_key(&id) || (self.first..self.freed_below).contains(&id) {
            return Err(GlzError::Repeated(id));
        }
        if id == self.next_missing {
            // Nothing that is still to come refers to what lies before: make room first.
            self.free_below(header.oldest());
        }
        self.check_budget(units as u64)?;
        let data = self.pixels_of(&header, body)?;
        let has_alpha = header.kind == GlzType::Rgba;
        self.keep(
            &header,
            Kept {
                data: data.clone(),
                has_alpha,
                win_head_dist: header.win_head_dist,
            },
        );
        Ok(GlzImage {
            id,
            win_head_dist: header.win_head_dist,
            kind: header.kind,
            bitmap: Bitmap {
                format: if has_alpha {
                    BitmapFormat::Rgba
                } else {
                    BitmapFormat::Bit32
                },
                width: header.width,
                height: header.height,
                stride: header.decoded_stride,
                top_down: header.top_down,
                palette: None,
                data,
            },
        })
    }

    fn check_budget(&self, needed: u64) -> Result<(), GlzError> {
        let images = self.images.len();
        if self.pixels.saturating_add(needed) > self.budget.max_pixels || images >= self.budget.max_images {
            return Err(GlzError::Budget {
                pixels: self.pixels,
                images,
                needed,
            });
        }
        Ok(())
    }

    fn pixels_of(&self, header: &Header, body: &[u8]) -> Result<Bytes, GlzError> {
        let mut sources = Sources::new(self, header);
        let (mut out, rest) = colours(header, body, &mut sources)?;
        if header.kind == GlzType::Rgba {
            decode_alpha(rest, &mut out, &mut sources)?;
        }
        Ok(Bytes::from(out.into_flattened()))
    }

    /// The image with this number, for one that may refer to it.
    pub(super) fn image(&self, for_id: u64, id: u64) -> Result<&Kept, GlzError> {
        self.images.get(&id).ok_or(if id < self.freed_below {
            GlzError::Freed { id: for_id, freed: id }
        } else {
            GlzError::NotYet {
                id: for_id,
                missing: id,
            }
        })
    }

    fn keep(&mut self, header: &Header, image: Kept) {
        // A dictionary counts from 0, or after a migration from any number: its first image reaches no further back
        // than itself, and every other one is known to follow the oldest that it may refer to.
        let oldest = header.oldest();
        if oldest < self.first {
            self.first = oldest;
            self.next_missing = oldest;
        }
        self.pixels += header.units as u64;
        self.images.insert(header.id, image);
        let mut newest = None;
        while let Some(image) = self.images.get(&self.next_missing) {
            newest = Some(self.next_missing - u64::from(image.win_head_dist));
            let Some(next) = self.next_missing.checked_add(1) else {
                break;
            };
            self.next_missing = next;
        }
        if let Some(oldest) = newest {
            self.free_below(oldest);
        }
    }

    fn free_below(&mut self, id: u64) {
        while let Some(entry) = self.images.first_entry() {
            let freed = *entry.key();
            if freed >= id {
                break;
            }
            self.pixels -= entry.remove().pixels().len() as u64;
            self.freed_below = freed + 1;
        }
    }
}
