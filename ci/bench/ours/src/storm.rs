//! Commands without end: fills, copies of bitmaps and of the screen, surfaces that come and go. The same ones as in
//! `ci/bench/reference_server/latency.c`.

use bytes::Bytes;
use caraway_ports::{
    display::DisplayCommand,
    drawing::{Brush, DrawOp, Mask, Rop},
    geometry::{Point, Rect},
};

use crate::{copy, create, draw};

/// Surfaces besides the primary at once.
const FURTHER: u64 = 7;

/// Numbers of surfaces are used again after so many.
const NUMBERS: u32 = 1000;

/// Edges of a surface besides the primary, and of what is drawn, are at most so long.
const MOST_SURFACE: u64 = 512;
const MOST_DRAWN: u64 = 200;

/// Bytes that bitmaps are parts of.
const NOISE: u64 = 1 << 20;

#[derive(Clone, Copy)]
struct Surface {
    id: u32,
    width: u32,
    height: u32,
}

impl Surface {
    fn bytes(self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * 4
    }
}

pub(crate) struct Storm {
    random: u64,
    primary: Surface,
    further: [Option<Surface>; FURTHER as usize],
    created: u32,
    most: u64,
    noise: Vec<u8>,
}

impl Storm {
    /// A primary surface of this size is there.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let primary = Surface { id: 0, width, height };
        let mut storm = Self {
            random: 0x9e37_79b9_7f4a_7c15,
            primary,
            further: [None; FURTHER as usize],
            created: 0,
            most: primary.bytes(),
            noise: Vec::new(),
        };
        while (storm.noise.len() as u64) < NOISE {
            let word = storm.random();
            storm.noise.extend_from_slice(&word.to_le_bytes());
        }
        storm
    }

    /// Bytes of all surfaces together, when they were most.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    pub(crate) fn next(&mut self) -> DisplayCommand {
        let kind = self.below(100);
        if kind < 5 {
            return self.surface();
        }
        let number = self.below(FURTHER + 1) as usize;
        let on = self.further.get(number).copied().flatten().unwrap_or(self.primary);
        let width = 1 + self.below(u64::from(on.width).min(MOST_DRAWN)) as u32;
        let height = 1 + self.below(u64::from(on.height).min(MOST_DRAWN)) as u32;
        let at = self.place(on, width, height);
        let bbox = Rect::at(at.x, at.y, width, height);
        if kind < 40 {
            let op = DrawOp::Fill {
                brush: Brush::Solid(self.below(1 << 24) as u32),
                rop: Rop::PUT,
                mask: Mask::default(),
            };
            return draw(on.id, bbox, op);
        }
        if kind < 85 {
            let size = u64::from(width) * u64::from(height) * 4;
            let from = (self.below(NOISE - size + 1) & !3) as usize;
            let data = self.noise.get(from..from + size as usize).unwrap_or_default();
            return copy(on.id, at.x, at.y, width, height, Bytes::copy_from_slice(data));
        }
        let src_pos = self.place(on, width, height);
        draw(on.id, bbox, DrawOp::CopyBits { src_pos })
    }

    /// A surface comes, or goes.
    fn surface(&mut self) -> DisplayCommand {
        let number = self.below(FURTHER) as usize;
        if let Some(gone) = self.further.get_mut(number).and_then(Option::take) {
            return DisplayCommand::DestroySurface(gone.id);
        }
        let width = 1 + self.below(MOST_SURFACE) as u32;
        let height = 1 + self.below(MOST_SURFACE) as u32;
        let id = 1 + self.created % NUMBERS;
        self.created += 1;
        if let Some(place) = self.further.get_mut(number) {
            *place = Some(Surface { id, width, height });
        }
        let all = self.further.iter().flatten().chain([&self.primary]);
        self.most = self.most.max(all.map(|surface| surface.bytes()).sum());
        create(id, width, height)
    }

    /// Where something of this size is inside a surface.
    fn place(&mut self, on: Surface, width: u32, height: u32) -> Point {
        let x = self.below(u64::from(on.width - width + 1)) as i32;
        let y = self.below(u64::from(on.height - height + 1)) as i32;
        Point::new(x, y)
    }

    /// The next number of xorshift64.
    const fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    const fn below(&mut self, bound: u64) -> u64 {
        (self.random() >> 32) % bound
    }
}
