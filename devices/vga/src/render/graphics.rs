//! Graphics modes: line by line, a line of the memory to a line of the frame.

use std::{ops::Range, slice::ChunksExactMut};

use crate::scanout::{Format, Graphics};

use super::{PIXEL, damage::Damage, source::Source};

/// Changes are looked for in blocks of this many pixels.
const BLOCK: usize = 32;

/// For each byte its bits, highest first, as the lowest bits of eight bytes in little-endian order.
const BITS: [u64; 256] = {
    let mut bits = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte & (0x80 >> bit) != 0 {
                bits[byte] |= 1 << (8 * bit);
            }
            bit += 1;
        }
        byte += 1;
    }
    bits
};

/// Scratch of the drawing of lines.
#[derive(Debug, Default)]
pub(super) struct GraphicsScreen {
    /// A line as it is in the memory.
    bytes: Vec<u8>,
    /// A byte a pixel, for formats that have several pixels in a byte.
    dots: Vec<u8>,
    /// A line as it will be in the frame.
    pixels: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl GraphicsScreen {
    /// Draws the lines that are dirty, or `all`, and adds what is not as it was.
    pub(super) fn refresh(
        &mut self,
        source: &Source<'_>,
        graphics: &Graphics,
        palette: &[u32; 256],
        all: bool,
        rows: ChunksExactMut<'_, u8>,
        damage: &mut Damage,
    ) {
        if !all && source.dirty.is_empty() {
            return;
        }
        let mut drawn = None;
        for ((number, row), line) in rows.enumerate().zip(Lines::new(graphics)) {
            let width = row.len() / PIXEL;
            let length = graphics.line_bytes(width, line.pan);
            if !all && !source.is_dirty(line.address, length) {
                continue;
            }
            // Lines that are shown several times are read and converted once.
            if drawn != Some(line) {
                self.bytes.resize(length, 0);
                self.pixels.resize(row.len(), 0);
                source.read(line.address, &mut self.bytes);
                self.convert(graphics, palette, line.pan);
                drawn = Some(line);
            }
            self.update(row, number, damage);
        }
    }

    /// Puts the line into the frame where it differs.
    fn update(&mut self, row: &mut [u8], number: usize, damage: &mut Damage) {
        if row == self.pixels {
            return;
        }
        self.spans.clear();
        let blocks = row.chunks_mut(BLOCK * PIXEL).zip(self.pixels.chunks(BLOCK * PIXEL));
        for (block, (old, new)) in blocks.enumerate() {
            if old == new {
                continue;
            }
            old.copy_from_slice(new);
            let start = block * BLOCK;
            let end = start + new.len() / PIXEL;
            match self.spans.last_mut() {
                Some(span) if span.end == start => span.end = end,
                _ => self.spans.push(start..end),
            }
        }
        damage.add(number, 1, &self.spans);
    }

    fn convert(&mut self, graphics: &Graphics, palette: &[u32; 256], pan: u32) {
        let Self {
            bytes, dots, pixels, ..
        } = self;
        let dots = match graphics.format {
            Format::Planar => {
                spread(bytes, dots, planar);
                dots.as_slice()
            }
            Format::Cga => {
                spread(bytes, dots, cga);
                dots.as_slice()
            }
            Format::Indexed => bytes.as_slice(),
            Format::Rgb555 => return each(bytes, pixels, |[low, high]| rgb555(u16::from_le_bytes([low, high]))),
            Format::Rgb565 => return each(bytes, pixels, |[low, high]| rgb565(u16::from_le_bytes([low, high]))),
            Format::Bgr => return each(bytes, pixels, |[blue, green, red]| [blue, green, red, 0]),
            Format::Bgrx => return each(bytes, pixels, |[blue, green, red, _]| [blue, green, red, 0]),
        };
        let pan = pan as usize;
        if graphics.dot_width == 1 {
            let dots = dots.get(pan..).unwrap_or_default();
            each(dots, pixels, |[dot]| palette[usize::from(dot)].to_le_bytes());
        } else {
            look_up_doubled(dots, pan, palette, pixels);
        }
    }
}

/// Converts `N` bytes to a pixel, as long as there are both.
fn each<const N: usize>(bytes: &[u8], pixels: &mut [u8], convert: impl Fn([u8; N]) -> [u8; PIXEL]) {
    let (bytes, _) = bytes.as_chunks::<N>();
    let (pixels, _) = pixels.as_chunks_mut::<PIXEL>();
    for (from, to) in bytes.iter().zip(pixels) {
        *to = convert(*from);
    }
}

/// Makes eight dots of each dword.
fn spread(bytes: &[u8], dots: &mut Vec<u8>, convert: fn([u8; 4]) -> [u8; 8]) {
    let (dwords, _) = bytes.as_chunks::<4>();
    dots.resize(dwords.len() * 8, 0);
    let (eights, _) = dots.as_chunks_mut::<8>();
    for (planes, dots) in dwords.iter().zip(eights) {
        *dots = convert(*planes);
    }
}

fn planar(planes: [u8; 4]) -> [u8; 8] {
    let [blue, green, red, intensity] = planes.map(|plane| BITS[usize::from(plane)]);
    (blue | green << 1 | red << 2 | intensity << 3).to_le_bytes()
}

fn cga([low, next_low, high, next_high]: [u8; 4]) -> [u8; 8] {
    let mut dots = [0; 8];
    let (first, second) = dots.split_at_mut(4);
    for (dots, low, high) in [(first, low, high), (second, next_low, next_high)] {
        for (dot, shift) in dots.iter_mut().zip([6, 4, 2, 0]) {
            *dot = low >> shift & 3 | (high >> shift & 3) << 2;
        }
    }
    dots
}

/// Two pixels of the frame for each dot; the first `pan` pixels are left out.
fn look_up_doubled(dots: &[u8], pan: usize, palette: &[u32; 256], pixels: &mut [u8]) {
    let dots = dots.get(pan / 2..).unwrap_or_default();
    let (pixels, _) = pixels.as_chunks_mut::<PIXEL>();
    // With an odd pan the first dot has its second half only.
    let half = (pan % 2).min(pixels.len()).min(dots.len());
    let ((first, dots), (half, pixels)) = (dots.split_at(half), pixels.split_at_mut(half));
    for (dot, pixel) in first.iter().zip(half) {
        *pixel = palette[usize::from(*dot)].to_le_bytes();
    }
    for (dot, pair) in dots.iter().zip(pixels.chunks_mut(2)) {
        pair.fill(palette[usize::from(*dot)].to_le_bytes());
    }
}

fn rgb555(value: u16) -> [u8; PIXEL] {
    [five_bits(value), five_bits(value >> 5), five_bits(value >> 10), 0]
}

fn rgb565(value: u16) -> [u8; PIXEL] {
    let [green, _] = (value >> 5 & 0x3f).to_le_bytes();
    [five_bits(value), green << 2 | green >> 4, five_bits(value >> 11), 0]
}

/// The lowest five bits to eight, so that ones become ones.
fn five_bits(value: u16) -> u8 {
    let [bits, _] = (value & 0x1f).to_le_bytes();
    bits << 3 | bits >> 2
}

impl Graphics {
    /// Bytes of the memory a line of `width` pixels takes.
    fn line_bytes(&self, width: usize, pan: u32) -> usize {
        let dots = (width + pan as usize).div_ceil(self.dot_width as usize);
        match self.format {
            Format::Planar | Format::Cga => dots.div_ceil(8) * 4,
            Format::Indexed => dots,
            Format::Rgb555 | Format::Rgb565 => 2 * dots,
            Format::Bgr => 3 * dots,
            Format::Bgrx => 4 * dots,
        }
    }
}

/// Where a line of the frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    address: u64,
    pan: u32,
}

/// The lines of a picture from the top, without end.
struct Lines<'a> {
    graphics: &'a Graphics,
    /// Address before banks.
    base: u64,
    /// Line of the memory, and how often it has been shown.
    row: u64,
    shown: u32,
    /// Line of the frame.
    number: u32,
    pan: u32,
}

impl<'a> Lines<'a> {
    const fn new(graphics: &'a Graphics) -> Self {
        Self {
            graphics,
            base: graphics.start,
            row: 0,
            shown: 0,
            number: 0,
            pan: graphics.pan,
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let Graphics {
            bank_bit, four_banks, ..
        } = *self.graphics;
        let mut address = self.base;
        if let Some(bit) = bank_bit {
            address = address & !(1 << bit) | (self.row & 1) << bit;
        }
        if four_banks {
            address = address & !0x8000 | (self.row & 2) << 14;
        }
        let line = Line { address, pan: self.pan };
        self.shown += 1;
        if self.shown >= self.graphics.repeat {
            self.shown = 0;
            let banks = u64::from(bank_bit.is_some()) | u64::from(four_banks) << 1;
            if self.row & banks == banks {
                self.base += self.graphics.pitch;
            }
            self.row += 1;
        }
        if let Some(split) = self.graphics.split
            && split.line == self.number
        {
            self.base = 0;
            if split.stops_pan {
                self.pan = 0;
            }
        }
        self.number += 1;
        Some(line)
    }
}
