//! A painter into plain memory, and the checksum of what it holds.

use crate::{Color, HEIGHT, Image, Painter, Point, Rect, WIDTH};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// A picture of [`WIDTH`] x [`HEIGHT`] pixels in memory, 0x00RRGGBB each.
#[derive(Debug)]
pub struct Raster<'a> {
    pixels: &'a mut [Color],
}

impl<'a> Raster<'a> {
    /// Paints into `pixels`, which must hold the whole picture; nothing if the size differs.
    pub fn new(pixels: &'a mut [Color]) -> Option<Self> {
        (pixels.len() == WIDTH * HEIGHT).then_some(Self { pixels })
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> &[Color] {
        self.pixels
    }

    /// Checksum of the picture: 64-bit FNV-1a over width and height (u32, little-endian), then blue, green and red of
    /// each pixel, rows top-down.
    pub fn hash(&self) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        let size = [WIDTH as u32, HEIGHT as u32].into_iter().flat_map(u32::to_le_bytes);
        let head = size.fold(FNV_OFFSET, step);
        self.pixels.iter().fold(head, |hash, pixel| {
            let [blue, green, red, _] = pixel.to_le_bytes();
            step(step(step(hash, blue), green), red)
        })
    }

    /// The part of row `y` between two columns, cut at the edges.
    fn span(&mut self, y: i32, from: i32, to: i32) -> &mut [Color] {
        let (Ok(y), Ok(from), Ok(to)) = (usize::try_from(y), usize::try_from(from), usize::try_from(to)) else {
            return &mut [];
        };
        if y >= HEIGHT || from > to || to > WIDTH {
            return &mut [];
        }
        self.pixels
            .get_mut(y * WIDTH + from..y * WIDTH + to)
            .unwrap_or_default()
    }
}

impl Painter for Raster<'_> {
    fn fill(&mut self, area: Rect, color: Color) {
        for y in area.y..area.bottom() {
            self.span(y, area.x, area.right()).fill(color);
        }
    }

    fn copy(&mut self, area: Rect, image: &dyn Image) {
        for y in area.y..area.bottom() {
            let span = self.span(y, area.x, area.right());
            if !span.is_empty() {
                image.row(y - area.y, span);
            }
        }
    }

    fn copy_bits(&mut self, area: Rect, from: Point) {
        let mut move_row = |row: i32| {
            let source = (from.y + row) as usize * WIDTH + from.x as usize;
            let target = (area.y + row) as usize * WIDTH + area.x as usize;
            let width = area.width as usize;
            if source.max(target) + width <= self.pixels.len() {
                self.pixels.copy_within(source..source + width, target);
            }
        };
        // Upwards from the top, downwards from the bottom: no row is overwritten before it was read.
        if area.y <= from.y {
            (0..area.height).for_each(&mut move_row);
        } else {
            (0..area.height).rev().for_each(&mut move_row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn checksum_of_a_black_picture_is_the_one_computed_by_hand() {
        let mut pixels = vec![0; WIDTH * HEIGHT];
        let raster = Raster::new(&mut pixels).unwrap();
        let mut expected = FNV_OFFSET;
        let bytes = [0u8, 4, 0, 0, 0, 3, 0, 0];
        for byte in bytes.into_iter().chain(core::iter::repeat_n(0, WIDTH * HEIGHT * 3)) {
            expected = (expected ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        assert_eq!(raster.hash(), expected);
    }

    #[test]
    fn one_flipped_pixel_changes_the_checksum() {
        let mut pixels = vec![0; WIDTH * HEIGHT];
        let before = Raster::new(&mut pixels).unwrap().hash();
        pixels[WIDTH * 300 + 17] ^= 1;
        assert_ne!(Raster::new(&mut pixels).unwrap().hash(), before);
    }

    #[test]
    fn a_buffer_of_another_size_is_refused() {
        assert!(Raster::new(&mut vec![0; WIDTH * HEIGHT - 1]).is_none());
    }

    #[test]
    fn overlapping_moves_keep_every_row() {
        let mut pixels = vec![0; WIDTH * HEIGHT];
        let mut raster = Raster::new(&mut pixels).unwrap();
        for y in 0..10 {
            raster.fill(Rect::new(5, y, 3, 1), 100 + y as u32);
        }
        raster.copy_bits(Rect::new(5, 4, 3, 10), Point { x: 5, y: 0 });
        let column: Vec<u32> = (0..14).map(|y| raster.pixels()[y * WIDTH + 6]).collect();
        assert_eq!(
            column,
            [100, 101, 102, 103, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109]
        );
        raster.copy_bits(Rect::new(5, 0, 3, 10), Point { x: 5, y: 4 });
        assert_eq!(raster.pixels()[WIDTH * 9 + 7], 109);
    }
}
