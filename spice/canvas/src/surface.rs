//! One surface: rows of pixels without padding.

use caraway_ports::{display::Pixels, drawing::SurfaceFormat, geometry::Rect};

use crate::lanes::Pixel;

/// Pixels of one format. Row accesses outside the surface read nothing and write nothing.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    pub(crate) format: SurfaceFormat,
    pub(crate) width: u32,
    pub(crate) height: u32,
    row_bytes: usize,
    data: Vec<u8>,
}

impl Surface {
    /// Whether the host has memory for so many bytes now. Asked before [`Surface::new`], whose zeroed memory is taken
    /// from the host only where it is written, but which ends the process when there is none.
    pub(crate) fn fits_host(bytes: u64) -> bool {
        usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok())
    }

    /// No surface at all.
    pub(crate) const fn empty() -> Self {
        Self {
            format: SurfaceFormat::A8,
            width: 0,
            height: 0,
            row_bytes: 0,
            data: Vec::new(),
        }
    }

    /// A surface of zeroes. The caller has checked the size against a budget.
    pub(crate) fn new(format: SurfaceFormat, width: u32, height: u32) -> Self {
        let row_bytes = format.row_bytes(width) as usize;
        Self {
            format,
            width,
            height,
            row_bytes,
            data: vec![0; row_bytes * height as usize],
        }
    }

    /// A surface with this content; `None` when the data is too short. The caller has checked the size.
    pub(crate) fn from_pixels(pixels: &Pixels) -> Option<Self> {
        let mut surface = Self::new(pixels.format, pixels.width, pixels.height);
        surface.fill_from(pixels)?;
        Some(surface)
    }

    /// A copy of a part of it; `area` is inside and holds a pixel.
    pub(crate) fn part(&self, area: &Rect) -> Self {
        let mut part = Self::new(self.format, area.width(), area.height());
        let mut row = vec![0; area.width() as usize];
        for y in 0..part.height {
            self.load(area.left.unsigned_abs(), area.top.unsigned_abs() + y, &mut row);
            part.store(0, y, &row);
        }
        part
    }

    /// Bytes a surface takes.
    pub(crate) const fn bytes(format: SurfaceFormat, width: u32, height: u32) -> u64 {
        format.row_bytes(width) * height as u64
    }

    /// The whole of it.
    pub(crate) fn area(&self) -> Rect {
        Rect::at(0, 0, self.width, self.height)
    }

    /// Takes over the content of `pixels`, which must have the same size and format. `None` when it does not or its
    /// data is too short.
    pub(crate) fn fill_from(&mut self, pixels: &Pixels) -> Option<()> {
        let same = (pixels.format, pixels.width, pixels.height) == (self.format, self.width, self.height);
        let stride = pixels.stride as usize;
        let needed = (u64::from(self.height) - 1) * u64::from(pixels.stride) + self.row_bytes as u64;
        if !same || stride < self.row_bytes || (pixels.data.len() as u64) < needed {
            return None;
        }
        for (to, from) in self
            .data
            .chunks_exact_mut(self.row_bytes)
            .zip(pixels.data.chunks(stride))
        {
            to.copy_from_slice(from.get(..self.row_bytes)?);
        }
        Some(())
    }

    /// Bytes of row `y`.
    pub(crate) fn row(&self, y: u32) -> &[u8] {
        let start = y as usize * self.row_bytes;
        self.data.get(start..start + self.row_bytes).unwrap_or_default()
    }

    /// Bytes of row `y`.
    pub(crate) fn row_mut(&mut self, y: u32) -> &mut [u8] {
        let start = y as usize * self.row_bytes;
        self.data.get_mut(start..start + self.row_bytes).unwrap_or_default()
    }

    /// Bytes a pixel takes; `None` for one bit.
    pub(crate) const fn pixel_bytes(&self) -> Option<usize> {
        match self.format {
            SurfaceFormat::A1 => None,
            SurfaceFormat::A8 => Some(1),
            SurfaceFormat::Rgb555 | SurfaceFormat::Rgb565 => Some(2),
            SurfaceFormat::Xrgb | SurfaceFormat::Argb => Some(4),
        }
    }

    /// The bytes of `count` pixels of row `y` from `x` on, for formats of whole bytes; empty when not all are there.
    pub(crate) fn span(&self, x: u32, y: u32, count: u32) -> &[u8] {
        let each = self.pixel_bytes().unwrap_or(0);
        let (start, len) = (x as usize * each, count as usize * each);
        self.row(y).get(start..start + len).unwrap_or_default()
    }

    /// As [`span`](Self::span), to write.
    pub(crate) fn span_mut(&mut self, x: u32, y: u32, count: u32) -> &mut [u8] {
        let each = self.pixel_bytes().unwrap_or(0);
        let (start, len) = (x as usize * each, count as usize * each);
        self.row_mut(y).get_mut(start..start + len).unwrap_or_default()
    }

    /// `count` pixels of 32 bits of row `y` from `x` on; `None` when the format is another or not all are there.
    pub(crate) fn pixels(&self, x: u32, y: u32, count: usize) -> Option<&[Pixel]> {
        let pixels = (self.pixel_bytes() == Some(4)).then(|| self.row(y).as_chunks().0)?;
        pixels.get(x as usize..)?.get(..count)
    }

    /// As [`pixels`](Self::pixels), to write.
    pub(crate) fn pixels_mut(&mut self, x: u32, y: u32, count: usize) -> Option<&mut [Pixel]> {
        if self.pixel_bytes() != Some(4) {
            return None;
        }
        let pixels = self.row_mut(y).as_chunks_mut().0;
        pixels.get_mut(x as usize..)?.get_mut(..count)
    }

    /// Raw values of row `y` from `x` on.
    pub(crate) fn load(&self, x: u32, y: u32, out: &mut [u32]) {
        let Some(each) = self.pixel_bytes() else {
            let row = self.row(y);
            for (i, value) in out.iter_mut().enumerate() {
                let at = x as usize + i;
                *value = u32::from(row.get(at / 8).is_some_and(|byte| (byte >> (at % 8)) & 1 == 1));
            }
            return;
        };
        let bytes = self.row(y).get(x as usize * each..).unwrap_or_default();
        match each {
            1 => out
                .iter_mut()
                .zip(bytes)
                .for_each(|(value, byte)| *value = u32::from(*byte)),
            2 => {
                for (value, pixel) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *value = u32::from(u16::from_le_bytes(*pixel));
                }
            }
            _ => {
                for (value, pixel) in out.iter_mut().zip(bytes.as_chunks().0) {
                    *value = u32::from_le_bytes(*pixel);
                }
            }
        }
    }

    /// Writes raw values to row `y` from `x` on; bits a pixel does not have are dropped.
    pub(crate) fn store(&mut self, x: u32, y: u32, values: &[u32]) {
        let width = self.width as usize;
        let Some(each) = self.pixel_bytes() else {
            let row = self.row_mut(y);
            for (at, value) in (x as usize..width).zip(values) {
                if let Some(byte) = row.get_mut(at / 8) {
                    *byte = *byte & !(1 << (at % 8)) | ((value & 1) as u8) << (at % 8);
                }
            }
            return;
        };
        let bytes = self.row_mut(y).get_mut(x as usize * each..).unwrap_or_default();
        match each {
            1 => bytes
                .iter_mut()
                .zip(values)
                .for_each(|(byte, value)| *byte = *value as u8),
            2 => {
                for (pixel, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                    *pixel = (*value as u16).to_le_bytes();
                }
            }
            _ => {
                for (pixel, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                    *pixel = value.to_le_bytes();
                }
            }
        }
    }

    /// The raw value at `x`, `y`; 0 outside.
    pub(crate) fn pixel(&self, x: u32, y: u32) -> u32 {
        let mut value = [0];
        if x < self.width {
            self.load(x, y, &mut value);
        }
        value[0]
    }

    /// Moves the pixels of a box; `from` and `to` are inside the surface. Overlap is as through a temporary.
    pub(crate) fn copy_within(&mut self, from: Rect, to: Rect) {
        let rows = to.height();
        let (sx, sy) = (from.left.unsigned_abs(), from.top.unsigned_abs());
        let (dx, dy) = (to.left.unsigned_abs(), to.top.unsigned_abs());
        let Some(each) = self.pixel_bytes() else {
            return self.copy_bits_within((sx, sy), (dx, dy), to.width(), rows);
        };
        let length = to.width() as usize * each;
        let mut copy_row = |i: u32| {
            let start = (sy + i) as usize * self.row_bytes + sx as usize * each;
            let target = (dy + i) as usize * self.row_bytes + dx as usize * each;
            self.data.copy_within(start..start + length, target);
        };
        if dy > sy {
            (0..rows).rev().for_each(&mut copy_row);
        } else {
            (0..rows).for_each(&mut copy_row);
        }
    }

    /// [`copy_within`](Self::copy_within) for one-bit pixels.
    fn copy_bits_within(&mut self, from: (u32, u32), to: (u32, u32), width: u32, rows: u32) {
        let mut values = vec![0; width as usize];
        let mut copy_row = |i: u32| {
            self.load(from.0, from.1 + i, &mut values);
            self.store(to.0, to.1 + i, &values);
        };
        if to.1 > from.1 {
            (0..rows).rev().for_each(&mut copy_row);
        } else {
            (0..rows).for_each(&mut copy_row);
        }
    }
}
