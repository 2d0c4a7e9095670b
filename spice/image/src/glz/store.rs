//! The images that later ones may refer to, in memory of the dictionary's own.

use std::collections::VecDeque;

use super::GlzType;
use crate::{pool::each, rows::Rows};

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
    /// Takes the pixels of an image from its rows, the top one first, into `memory`: so many rows at a time, all at the same
    /// time.
    pub(super) fn new(kind: GlzType, rows: &Rows, rows_together: usize, memory: Vec<u32>) -> Self {
        let (width, height) = (rows.width as usize, rows.height as usize);
        let mut colours = memory;
        // What is there already is overwritten.
        colours.resize(width * height, 0);
        let mut alpha = match kind {
            GlzType::Rgba => vec![0; width * height],
            _ => Vec::new(),
        };
        let units = (rows_together * width).max(1);
        let mut alphas = alpha.chunks_mut(units);
        let firsts = (0..).step_by(rows_together.max(1));
        let jobs = colours
            .chunks_mut(units)
            .zip(firsts)
            .map(|(colours, first)| (first, colours, alphas.next().unwrap_or_default()));
        each(
            jobs.collect(),
            |(first, colours, alpha): (usize, &mut [u32], &mut [u8])| {
                let rows = rows.top_first().skip(first);
                for (row, colours) in rows.clone().zip(colours.chunks_mut(width)) {
                    take(kind, row, colours);
                }
                for (row, alpha) in rows.zip(alpha.chunks_mut(width)) {
                    let pixels = row.as_chunks::<4>().0.iter();
                    alpha.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel[3]);
                }
            },
        );
        Self { kind, colours, alpha }
    }
}

/// Takes the colours of a row.
fn take(kind: GlzType, row: &[u8], colours: &mut [u32]) {
    match kind {
        GlzType::Rgb16 => {
            let pixels = colours.iter_mut().zip(row.as_chunks().0);
            pixels.for_each(|(to, pixel)| *to = u32::from(u16::from_le_bytes(*pixel)) & 0x7fff);
        }
        GlzType::Rgb24 => {
            let pixels = colours.iter_mut().zip(row.as_chunks().0);
            pixels.for_each(|(to, [b, g, r])| *to = u32::from_le_bytes([*b, *g, *r, 0]));
        }
        GlzType::Rgb32 | GlzType::Rgba => {
            let pixels = colours.iter_mut().zip(row.as_chunks().0);
            pixels.for_each(|(to, pixel)| *to = u32::from_le_bytes(*pixel) & 0x00ff_ffff);
        }
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

    /// Drops images, oldest first, until `pixels` more fit into `most`. Gives memory for the colours of so many: that
    /// of an image dropped, if one had hardly more.
    pub(super) fn make_room(&mut self, pixels: usize, most: usize) -> Vec<u32> {
        let mut memory = Vec::new();
        while self.pixels + pixels > most {
            let Some(image) = self.images.pop_front() else { break };
            self.pixels -= image.colours.len();
            self.oldest += 1;
            if (pixels..=pixels + pixels / 8).contains(&image.colours.capacity()) {
                memory = image.colours;
            }
        }
        memory
    }

    pub(super) fn push(&mut self, image: Stored) {
        self.pixels += image.colours.len();
        self.images.push_back(image);
    }

    /// The image `distance` before the one that comes next; 1 is the newest.
    pub(super) fn back(&self, distance: usize) -> Option<&Stored> {
        self.images.get(self.images.len().checked_sub(distance)?)
    }

    /// The image whose number ends in these bits, if the window has it.
    pub(super) fn numbered(&self, low: u32, mask: u32) -> Option<&Stored> {
        let at = low.wrapping_sub(self.oldest as u32) & mask;
        self.images.get(at as usize)
    }
}
