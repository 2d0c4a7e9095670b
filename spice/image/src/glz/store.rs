//! The images that later ones may refer to, in memory of the dictionary's own.

use std::collections::VecDeque;

use super::GlzType;

/// The units of an image.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) kind: GlzType,
    /// 0x00RRGGBB of each pixel, or the 15 bits of a 16-bit one; in stream order.
    pub(super) colours: Vec<u32>,
    /// Alpha of each pixel, if there is any.
    pub(super) alpha: Vec<u8>,
}

impl Stored {
    /// Takes the pixels of an image from its rows, in the order they come, into `memory`.
    pub(super) fn new<'a>(
        kind: GlzType,
        pixels: usize,
        rows: impl Iterator<Item = &'a [u8]>,
        memory: Vec<u32>,
    ) -> Self {
        let mut colours = memory;
        colours.clear();
        colours.reserve_exact(pixels);
        let mut alpha = Vec::new();
        match kind {
            GlzType::Rgb16 => rows.for_each(|row| {
                let pixels = row.as_chunks().0.iter();
                colours.extend(pixels.map(|pixel| u32::from(u16::from_le_bytes(*pixel)) & 0x7fff));
            }),
            GlzType::Rgb24 => rows.for_each(|row| {
                let pixels = row.as_chunks().0.iter();
                colours.extend(pixels.map(|[b, g, r]| u32::from_le_bytes([*b, *g, *r, 0])));
            }),
            GlzType::Rgb32 => rows.for_each(|row| {
                let pixels = row.as_chunks().0.iter();
                colours.extend(pixels.map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff));
            }),
            GlzType::Rgba => {
                alpha.reserve_exact(pixels);
                rows.for_each(|row| {
                    let pixels = row.as_chunks::<4>().0.iter();
                    colours.extend(pixels.clone().map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff));
                    alpha.extend(pixels.map(|pixel| pixel[3]));
                });
            }
        }
        Self { kind, colours, alpha }
    }
}

/// The images of the window, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Store {
    images: VecDeque<Stored>,
    /// Pixels of all of them.
    pixels: usize,
    /// Number of the oldest.
    oldest: u64,
}

impl Store {
    /// An empty one, whose first image has this number.
    pub(super) fn new(oldest: u64) -> Self {
        Self {
            oldest,
            ..Self::default()
        }
    }

    pub(super) const fn pixels(&self) -> usize {
        self.pixels
    }

    pub(super) fn images(&self) -> usize {
        self.images.len()
    }

    /// Drops images, oldest first, until `pixels` more fit into `most`. Gives the memory they had.
    pub(super) fn make_room(&mut self, pixels: usize, most: usize) -> Vec<Vec<u32>> {
        let mut memory = Vec::new();
        while self.pixels + pixels > most {
            let Some(image) = self.images.pop_front() else { break };
            self.pixels -= image.colours.len();
            self.oldest += 1;
            memory.push(image.colours);
        }
        memory
    }

    pub(super) fn push(&mut self, image: Stored) {
        self.pixels += image.colours.len();
        self.images.push_back(image);
    }

    /// The newest images, as many as there are in `of`, each with what belongs to it.
    pub(super) fn newest<T>(&self, of: impl ExactSizeIterator<Item = T>) -> impl Iterator<Item = (&Stored, T)> {
        let before = self.images.len().saturating_sub(of.len());
        self.images.iter().skip(before).zip(of)
    }

    /// The image whose number ends in these bits, if the window has it.
    pub(super) fn numbered(&self, low: u32, mask: u32) -> Option<&Stored> {
        let at = low.wrapping_sub(self.oldest as u32) & mask;
        self.images.get(at as usize)
    }
}
