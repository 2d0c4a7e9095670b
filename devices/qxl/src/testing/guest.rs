//! Guest-side building blocks: bytes of commands, placed in slot 1, and ring pushes by the rules of the ABI.

use super::{BAR0, BAR1, Rig};
use crate::{
    header::{RamHeader, offset},
    interrupts, ports,
};

/// Bytes of a packed structure.
#[derive(Clone, Default)]
pub(crate) struct Packed(pub(crate) Vec<u8>);

impl Packed {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }
    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    pub(crate) fn i32(self, value: i32) -> Self {
        self.u32(value as u32)
    }
    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }
    /// Top, left, bottom, right.
    pub(crate) fn rect(self, rect: [i32; 4]) -> Self {
        rect.into_iter().fold(self, Self::i32)
    }
    pub(crate) fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// A chunk header for `size` bytes and the next chunk's address.
    pub(crate) fn chunk(self, size: u32, next: u64) -> Self {
        self.u32(size).u64(0).u64(next)
    }
    /// No mask.
    pub(crate) fn no_mask(self) -> Self {
        self.zeros(17)
    }
    pub(crate) fn solid(self, colour: u32) -> Self {
        self.u32(1).u32(colour).zeros(12)
    }
}

/// Address `offset` of slot `slot`.
pub(crate) const fn slot(slot: u64, offset: u64) -> u64 {
    slot << 56 | offset
}

/// What of a drawable differs from call to call.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) id: u64,
    pub(crate) surface: u32,
    pub(crate) kind: u8,
    pub(crate) self_bitmap: u8,
    pub(crate) self_area: [i32; 4],
    pub(crate) bbox: [i32; 4],
    /// Address of clip rectangles; 0 = no clip.
    pub(crate) clip: u64,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            id: 1,
            surface: 0,
            kind: 1,
            self_bitmap: 0,
            self_area: [0; 4],
            bbox: [0, 0, 16, 16],
            clip: 0,
        }
    }
}

impl Frame {
    /// A drawable with this payload.
    pub(crate) fn with(&self, payload: &Packed) -> Packed {
        let mut packed = Packed::new()
            .u64(self.id)
            .u32(self.surface)
            .u8(1)
            .u8(self.kind)
            .u8(self.self_bitmap)
            .rect(self.self_area)
            .rect(self.bbox)
            .u32(u32::from(self.clip != 0))
            .u64(self.clip)
            .u32(1234)
            .i32(-1)
            .i32(-1)
            .i32(-1)
            .zeros(48)
            .bytes(&payload.0);
        assert!(packed.0.len() <= 191);
        packed.0.resize(191, 0);
        packed
    }
}

/// The guest: a bump allocator in RAM behind the draw area, and its ends of the rings.
pub(crate) struct Driver {
    pub(crate) rig: Rig,
    next: u64,
    release_consumer: u32,
}

impl Driver {
    pub(crate) fn new(rig: Rig) -> Self {
        let next = rig.core.config.sizes.vgamem();
        Self {
            rig,
            next,
            release_consumer: 0,
        }
    }

    /// A driver that has reset the device and added its two slots, as Linux does.
    pub(crate) fn probed() -> Self {
        let mut driver = Self::new(Rig::new());
        driver.probe();
        driver
    }

    /// With a primary surface of 640x480 at the start of VRAM.
    pub(crate) fn with_primary() -> Self {
        let mut driver = Self::probed();
        driver.create_primary(640, 480, 640 * 4, slot(2, 0), 0);
        driver.rig.sink.take();
        driver
    }

    /// The same guest on another device, as after a migration.
    pub(crate) fn moved_to(&self, rig: Rig) -> Self {
        Self {
            rig,
            next: self.next,
            release_consumer: self.release_consumer,
        }
    }

    pub(crate) fn probe(&mut self) {
        self.rig.out(ports::RESET, 0);
        self.release_consumer = 0;
        self.rig.header().store(offset::INT_MASK, 0x27);
        let header = self.rig.core.config.sizes.ram_header();
        self.add_slot(1, BAR0, BAR0 + header);
        self.add_slot(2, BAR1, BAR1 + self.rig.core.config.sizes.vram32());
    }

    pub(crate) fn add_slot(&mut self, id: u8, start: u64, end: u64) {
        self.set_slot_argument(start, end);
        self.rig.async_out(ports::ADD_SLOT_ASYNC, id);
    }

    pub(crate) fn set_slot_argument(&self, start: u64, end: u64) {
        let argument = Packed::new().u64(start).u64(end);
        self.rig.header().write(offset::MEMORY_SLOT, &argument.0);
    }

    pub(crate) fn set_primary_argument(&self, width: u32, height: u32, stride: i32, memory: u64, flags: u32) {
        let argument = Packed::new()
            .u32(width)
            .u32(height)
            .i32(stride)
            .u32(32)
            .u32(0)
            .u32(0)
            .u32(flags)
            .u32(0)
            .u64(memory);
        self.rig.header().write(offset::CREATE_SURFACE, &argument.0);
    }

    pub(crate) fn create_primary(&mut self, width: u32, height: u32, stride: i32, memory: u64, flags: u32) {
        self.set_primary_argument(width, height, stride, memory, flags);
        self.rig.async_out(ports::CREATE_PRIMARY_ASYNC, 0);
    }

    pub(crate) fn update_area(&mut self, surface: u32, area: [i32; 4]) {
        let argument = Packed::new().rect(area).u32(surface);
        self.rig.header().write(offset::UPDATE_AREA, &argument.0);
        self.rig.async_out(ports::UPDATE_AREA_ASYNC, 0);
    }

    /// Places bytes in slot 1; their address.
    pub(crate) fn place(&mut self, packed: &Packed) -> u64 {
        let at = self.next;
        self.rig.ram().write(at, &packed.0).unwrap();
        self.next += (packed.0.len() as u64).next_multiple_of(16);
        if self.next + (4 << 20) > self.rig.core.config.sizes.ram_header() {
            self.next = self.rig.core.config.sizes.vgamem();
        }
        slot(1, at)
    }

    /// Places clip rectangles.
    pub(crate) fn clip(&mut self, rects: &[[i32; 4]]) -> u64 {
        let packed = Packed::new().u32(rects.len() as u32).chunk(16 * rects.len() as u32, 0);
        let packed = rects.iter().fold(packed, |packed, rect| packed.rect(*rect));
        self.place(&packed)
    }

    /// Places a 32-bit, top-down bitmap of `width` x `height` pixels with `pitch` bytes a row in one chunk.
    pub(crate) fn bitmap(&mut self, width: u32, height: u32, pitch: u32, pixels: &[u8]) -> u64 {
        assert_eq!(pixels.len() as u32, pitch * height);
        let data = self.place(&Packed::new().chunk(pixels.len() as u32, 0).bytes(pixels));
        let image = image_of(width, height, pitch, data);
        self.place(&image)
    }

    fn push(&mut self, ring: u64, port: u8, kind: u32, body: u64) {
        let header = self.rig.header().clone();
        let producer = header.load(ring + offset::RING_PRODUCER);
        let fill = producer.wrapping_sub(header.load(ring + offset::RING_CONSUMER));
        assert!(fill < 32, "the ring has room");
        let item = Packed::new().u64(body).u32(kind).u32(0xdead_beef);
        header.write(ring + offset::RING_ITEMS + 16 * u64::from(producer % 32), &item.0);
        let producer = producer.wrapping_add(1);
        header.store(ring + offset::RING_PRODUCER, producer);
        RamHeader::barrier();
        if header.load(ring + offset::RING_NOTIFY_ON_PRODUCER) == producer {
            self.rig.out(port, 0);
        }
    }

    /// Pushes to the command ring and rings the doorbell if the device asked for it.
    pub(crate) fn command(&mut self, kind: u32, body: u64) {
        self.push(offset::COMMAND_RING, ports::NOTIFY_COMMAND, kind, body);
    }

    pub(crate) fn cursor_command(&mut self, body: u64) {
        self.push(offset::CURSOR_RING, ports::NOTIFY_CURSOR, 3, body);
    }

    /// Places and pushes a drawable.
    pub(crate) fn draw(&mut self, frame: &Frame, payload: &Packed) -> u64 {
        let body = self.place(&frame.with(payload));
        self.command(1, body);
        body
    }

    pub(crate) fn fill(&mut self, id: u64, surface: u32, bbox: [i32; 4], colour: u32) -> u64 {
        let frame = Frame {
            id,
            surface,
            bbox,
            ..Frame::default()
        };
        self.draw(&frame, &Packed::new().solid(colour).u16(8).no_mask())
    }

    /// What the release ring gives back now, in order, walking the chains through the bodies. `body_of` finds the
    /// body of a cookie.
    pub(crate) fn collect(&mut self, body_of: impl Fn(u64) -> u64) -> Vec<u64> {
        let header = self.rig.header().clone();
        let mut ids = Vec::new();
        while header.load(offset::RELEASE_RING + offset::RING_PRODUCER) != self.release_consumer {
            let at = offset::RELEASE_RING + offset::RING_ITEMS + 8 * u64::from(self.release_consumer % 8);
            let mut id = u64::from_le_bytes(header.read(at));
            self.release_consumer = self.release_consumer.wrapping_add(1);
            header.store(offset::RELEASE_RING + offset::RING_CONSUMER, self.release_consumer);
            while id != 0 {
                ids.push(id);
                assert!(ids.len() < 10_000, "the chain ends");
                let offset = body_of(id) & 0xffff_ffff_ffff;
                let mut next = [0; 8];
                self.rig.ram().read(offset, &mut next).unwrap();
                id = u64::from_le_bytes(next);
            }
        }
        ids
    }

    /// Commands that come back, whose cookie is their address in slot 1.
    pub(crate) fn collect_addresses(&mut self) -> Vec<u64> {
        self.collect(|id| id)
    }

    /// The guest misbehaved: the error interrupt came and nothing but a reset works.
    pub(crate) fn assert_frozen(&mut self) {
        assert!(self.rig.frozen());
        assert_ne!(self.rig.take_pending() & interrupts::ERROR, 0);
    }
}

/// An image with a 32-bit top-down bitmap whose chunk chain is at `data`.
pub(crate) fn image_of(width: u32, height: u32, pitch: u32, data: u64) -> Packed {
    Packed::new()
        .u64(0)
        .u8(0)
        .u8(0)
        .u32(width)
        .u32(height)
        .u8(8)
        .u8(4)
        .u32(width)
        .u32(height)
        .u32(pitch)
        .u64(0)
        .u64(data)
}

/// The payload of a plain copy of all of an image.
pub(crate) fn copy_of(image: u64, width: i32, height: i32) -> Packed {
    Packed::new()
        .u64(image)
        .rect([0, 0, height, width])
        .u16(8)
        .u8(1)
        .no_mask()
}

/// The guest-physical address, as the compatibility mode wants it, of something placed in slot 1.
pub(crate) const fn physical(address: u64) -> u64 {
    BAR0 + (address & 0xffff_ffff)
}

/// A drawable in the layout of the first drivers; `own` is the offset of its self bitmap, of which `bbox` is the area.
pub(crate) fn compat_drawable(id: u64, kind: u8, bbox: [i32; 4], own: u16, payload: &Packed) -> Packed {
    let mut packed = Packed::new()
        .u64(id)
        .u8(1)
        .u8(kind)
        .u16(own)
        .rect(bbox)
        .rect(bbox)
        .zeros(12)
        .u32(1234)
        .bytes(&payload.0);
    assert!(packed.0.len() <= 128);
    packed.0.resize(128, 0);
    packed
}
