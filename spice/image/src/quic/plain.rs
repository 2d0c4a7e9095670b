//! QUIC as the format is written down: pixel by pixel and bit by bit, without any table or shortcut. What the encoder
//! and decoder are compared with.

use super::{QuicHeader, QuicImage, QuicType, chaos::CHAOS};

const TRIGGERS: [u32; 7] = [110, 550, 900, 800, 550, 400, 350];
const RUN_ORDER: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// Bits one by one: written, or read until there are none.
struct Bits {
    bits: Vec<bool>,
    at: usize,
    writes: bool,
}

impl Bits {
    /// Writes a bit, or reads one in place of it; `None` past the end.
    fn code(&mut self, bit: bool) -> Option<bool> {
        if self.writes {
            self.bits.push(bit);
            return Some(bit);
        }
        self.at += 1;
        self.bits.get(self.at - 1).copied()
    }

    fn number(&mut self, value: u32, count: u32) -> Option<u32> {
        (0..count).rev().try_fold(0, |read, bit| {
            Some(2 * read + u32::from(self.code(value >> bit & 1 == 1)?))
        })
    }

    /// Zeroes, and a one when there are fewer than `most`.
    fn zeroes(&mut self, count: u32, most: u32) -> Option<u32> {
        for zeroes in 0..most {
            if self.code(zeroes == count)? {
                return Some(zeroes);
            }
        }
        Some(most)
    }
}

/// A number of bits for each component.
struct Depth(u32);

impl Depth {
    fn mask(&self) -> u32 {
        (1 << self.0) - 1
    }

    fn prefix(&self, code: u32) -> u32 {
        (26 - self.0).min((1 << (self.0 - code)) - 1)
    }

    fn suffix(&self, code: u32) -> u32 {
        let left = self.mask() + 1 - (self.prefix(code) << code);
        (0..).find(|bits| 1 << bits >= left).unwrap()
    }

    fn length(&self, symbol: u32, code: u32) -> u32 {
        if symbol >> code < self.prefix(code) {
            (symbol >> code) + 1 + code
        } else {
            self.prefix(code) + self.suffix(code)
        }
    }

    fn symbol(&self, bits: &mut Bits, symbol: u32, code: u32) -> Option<u32> {
        let prefix = self.prefix(code);
        let zeroes = bits.zeroes((symbol >> code).min(prefix), prefix)?;
        if zeroes < prefix {
            let low = bits.number(symbol & ((1 << code) - 1), code)?;
            Some(zeroes << code | low)
        } else {
            let over = bits.number(symbol.wrapping_sub(prefix << code), self.suffix(code))?;
            Some((prefix << code) + over).filter(|symbol| *symbol <= self.mask())
        }
    }

    fn fold(&self, difference: u32) -> u32 {
        let difference = difference & self.mask();
        if difference <= self.mask() / 2 {
            2 * difference
        } else {
            2 * (self.mask() - difference) + 1
        }
    }

    fn unfold(&self, symbol: u32) -> u32 {
        if symbol.is_multiple_of(2) {
            symbol / 2
        } else {
            self.mask() - symbol / 2
        }
    }

    fn bucket(&self, context: u32) -> usize {
        ((context + 1).ilog2() as usize).min(if self.0 == 8 { 7 } else { 4 })
    }
}

/// A component: counters and best code of each bucket, and the symbols by column, after one left of the first.
struct Channel {
    counters: [[u32; 8]; 8],
    best: [u32; 8],
    symbols: Vec<u32>,
}

struct Plane {
    depth: Depth,
    channels: Vec<Channel>,
    wait: u32,
    random: u8,
    mask: usize,
    left: usize,
    run_state: usize,
}

impl Plane {
    fn new(depth: u32, channels: usize, width: usize) -> Self {
        let channel = || Channel {
            counters: [[0; 8]; 8],
            best: [depth - 1; 8],
            symbols: vec![0; width + 1],
        };
        Self {
            depth: Depth(depth),
            channels: (0..channels).map(|_| channel()).collect(),
            wait: 0,
            random: 255,
            mask: 0,
            left: 2048,
            run_state: 0,
        }
    }

    /// Codes a row, in place; pixels are lists of components.
    fn row(&mut self, bits: &mut Bits, above: Option<&[Vec<u32>]>, row: &mut [Vec<u32>]) -> Option<()> {
        for channel in &mut self.channels {
            channel.symbols[0] = if above.is_some() { channel.symbols[1] } else { 0 };
        }
        let mut x = 0;
        while x < row.len() {
            let end = if self.mask < 6 {
                row.len().min(x + self.left)
            } else {
                row.len()
            };
            let (start, mut run_at) = (x, 0);
            while x < end {
                if above.is_some_and(|above| x > 2 && run_at != x && above[x - 1] == above[x])
                    && row[x - 1] == row[x - 2]
                {
                    run_at = x;
                    let same = row[x..end].iter().take_while(|pixel| **pixel == row[x - 1]).count();
                    let length = self.run(bits, same)?;
                    if length > end - x {
                        return None;
                    }
                    let pixel = row[x - 1].clone();
                    row[x..x + length].fill(pixel);
                    x += length;
                } else {
                    self.pixel(bits, above, row, x)?;
                    x += 1;
                }
            }
            if self.mask < 6 {
                self.left -= end - start;
                if self.left == 0 {
                    (self.mask, self.left) = (self.mask + 1, 2048);
                }
            }
        }
        Some(())
    }

    fn pixel(&mut self, bits: &mut Bits, above: Option<&[Vec<u32>]>, row: &mut [Vec<u32>], x: usize) -> Option<()> {
        let mask = self.depth.mask();
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let predicted = match (x, above) {
                (0, None) => 0,
                (_, None) => row[x - 1][at],
                (0, Some(above)) => above[0][at],
                (_, Some(above)) => (row[x - 1][at] + above[x][at]) >> 1,
            };
            let code = channel.best[self.depth.bucket(channel.symbols[x])];
            let symbol = self.depth.fold(row[x][at].wrapping_sub(predicted));
            let symbol = self.depth.symbol(bits, symbol, code)?;
            row[x][at] = (self.depth.unfold(symbol) + predicted) & mask;
            channel.symbols[x + 1] = symbol;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return Some(());
        }
        for channel in &mut self.channels {
            let bucket = self.depth.bucket(channel.symbols[x]);
            let counters = &mut channel.counters[bucket];
            for code in 0..self.depth.0 {
                counters[code as usize] += self.depth.length(channel.symbols[x + 1], code);
            }
            let least = *counters[..self.depth.0 as usize].iter().min().unwrap();
            let best = (0..self.depth.0).rev().find(|code| counters[*code as usize] == least);
            channel.best[bucket] = best.unwrap();
            if least > TRIGGERS[self.mask] {
                counters.iter_mut().for_each(|counter| *counter /= 2);
            }
        }
        self.random = self.random.wrapping_add(1);
        self.wait = u32::from(CHAOS[usize::from(self.random)]) & ((1 << self.mask) - 1);
        Some(())
    }

    fn run(&mut self, bits: &mut Bits, length: usize) -> Option<usize> {
        let (mut left, mut read) = (length, 0);
        loop {
            let step = 1 << RUN_ORDER[self.run_state];
            if !bits.code(left >= step)? {
                break;
            }
            read += step;
            left = left.saturating_sub(step);
            self.run_state = (self.run_state + 1).min(31);
        }
        read += bits.number(left as u32, RUN_ORDER[self.run_state])? as usize;
        self.run_state = self.run_state.saturating_sub(1);
        Some(read)
    }
}

/// Codes the rows of a picture, in place.
fn picture(bits: &mut Bits, image: QuicHeader, data: &mut [u8]) -> Option<()> {
    let depth = if image.kind == QuicType::Rgb16 { 5 } else { 8 };
    let width = image.width as usize;
    // Where the components of each plane are in a pixel, in the order they are coded.
    let planes: &[&[usize]] = match image.kind {
        QuicType::Gray => &[&[0]],
        QuicType::Rgba => &[&[2, 1, 0], &[3]],
        _ => &[&[2, 1, 0]],
    };
    let mut states: Vec<_> = planes
        .iter()
        .map(|plane| Plane::new(depth, plane.len(), width))
        .collect();
    let mut above = vec![None; planes.len()];
    for row in data.chunks_mut(width * image.kind.pixel_bytes()) {
        for ((places, state), above) in planes.iter().zip(&mut states).zip(&mut above) {
            let mut pixels: Vec<Vec<u32>> = row
                .chunks(image.kind.pixel_bytes())
                .map(|pixel| {
                    let narrow = |place| (u32::from(pixel[1]) << 8 | u32::from(pixel[0])) >> (5 * place) & 31;
                    let component = |place: &usize| {
                        if depth == 5 {
                            narrow(*place)
                        } else {
                            u32::from(pixel[*place])
                        }
                    };
                    places.iter().map(component).collect()
                })
                .collect();
            state.row(bits, above.as_deref(), &mut pixels)?;
            for (to, from) in row.chunks_mut(image.kind.pixel_bytes()).zip(&pixels) {
                if depth == 5 {
                    let value = (from[0] << 10 | from[1] << 5 | from[2]) as u16;
                    to.copy_from_slice(&value.to_le_bytes());
                } else {
                    places
                        .iter()
                        .zip(from)
                        .for_each(|(place, value)| to[*place] = *value as u8);
                }
            }
            *above = Some(pixels);
        }
    }
    Some(())
}

/// The stream of a picture after its header.
pub(super) fn encode(image: &QuicImage) -> Vec<u8> {
    let mut bits = Bits {
        bits: Vec::new(),
        at: 0,
        writes: true,
    };
    let QuicImage {
        kind, width, height, ..
    } = *image;
    picture(&mut bits, QuicHeader { kind, width, height }, &mut image.data.to_vec()).unwrap();
    let words = bits.bits.chunks(32).map(|bits| {
        let set = bits.iter().enumerate().filter(|(_, bit)| **bit);
        set.fold(0, |word, (at, _)| word | 1 << (31 - at))
    });
    words.chain([0]).flat_map(u32::to_le_bytes).collect()
}

/// The rows of the stream after `header`; `None` when it ends too early or makes no sense.
pub(super) fn decode(header: QuicHeader, body: &[u8]) -> Option<Vec<u8>> {
    let words = body.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let mut bits = Bits {
        bits: words
            .flat_map(|word| (0..32).rev().map(move |bit| word >> bit & 1 == 1))
            .collect(),
        at: 0,
        writes: false,
    };
    let pixels = header.width as usize * header.height as usize;
    let mut data = vec![0; pixels * header.kind.pixel_bytes()];
    picture(&mut bits, header, &mut data)?;
    Some(data)
}
