//! Nonsense in the QXL device's RAM: header, rings, and commands that are nearly right.

use caraway_guest_rt::mmio::{self, Width};
use caraway_guest_rt::qxl::abi;

use crate::access::Machine;
use crate::random::Random;
use crate::target::{QxlMap, SLOT_RAM, SLOT_SHIFT, SLOT_VRAM};

const WIDTHS: [Width; 4] = [Width::B1, Width::B2, Width::B4, Width::B8];
const RINGS: [usize; 3] = [abi::RAM_COMMAND_RING, abi::RAM_CURSOR_RING, abi::RAM_RELEASE_RING];
const RING_PRODUCER: usize = 0x04;
const RING_CONSUMER: usize = 0x0c;
const RING_ITEMS: usize = 0x14;
const ITEMS: u32 = 32;
const ITEM_SIZE: usize = 16;

const COMMAND_CURSOR: u32 = 3;
const COMMAND_SURFACE: u32 = 5;
/// Bytes at the start of the RAM BAR that commands are put into: few, so that they overlap.
const ARENA: u32 = 0x10_0000;
/// Commands pushed before the device is made to take them: far from what the ring holds, so that it overflows by
/// nonsense only.
const BURST: u32 = 6;

/// Accesses of one sort.
pub(crate) fn step(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    match random.below(8) {
        0 => header(machine, random, map),
        1 => indices(machine, random, map),
        _ => {
            for _ in 0..random.between(1, BURST) {
                command(machine, random, map);
            }
            // Waits until the device has taken them.
            machine.memory_write(map.field(abi::RAM_UPDATE_AREA), Width::B8, 0);
            machine.memory_write(map.field(abi::RAM_UPDATE_AREA + 8), Width::B8, 64 << 32 | 64);
            machine.memory_write(map.field(abi::RAM_UPDATE_SURFACE), Width::B4, random.below(2).into());
            machine.port_write(map.ports.wrapping_add(abi::PORT_UPDATE_AREA), Width::B1, 0);
            // Takes everything given back.
            let given = mmio::read(map.field(abi::RAM_RELEASE_RING + RING_PRODUCER), Width::B4).unwrap_or_default();
            machine.memory_write(map.field(abi::RAM_RELEASE_RING + RING_CONSUMER), Width::B4, given);
        }
    }
}

fn header(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    for _ in 0..random.between(1, 8) {
        let at = map.field(random.below(abi::RAM_HEADER_SIZE as u32) as usize);
        let width = random.pick(&WIDTHS);
        if random.once_in(4) {
            machine.memory_read(at, width);
        } else {
            machine.memory_write(at, width, random.nonsense());
        }
    }
}

fn indices(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    for _ in 0..random.between(1, 4) {
        // Producer, its mark, consumer, its mark, or the number of items.
        let at = map.field(random.pick(&RINGS) + 4 * random.below(5) as usize);
        machine.memory_write(at, Width::B4, random.nonsense());
        let number = random.pick(&[abi::PORT_NOTIFY_COMMAND, abi::PORT_NOTIFY_CURSOR, abi::PORT_NOTIFY_OOM]);
        machine.port_write(map.ports.wrapping_add(number), Width::B1, 0);
    }
}

/// An address as commands have them: mostly in the arena, otherwise anything.
pub(crate) fn slot_address(random: &mut Random, map: &QxlMap) -> u64 {
    match random.below(24) {
        0 => random.nonsense(),
        1 => SLOT_RAM << SLOT_SHIFT | u64::from(map.header.saturating_sub(random.below(256))),
        2 => SLOT_VRAM << SLOT_SHIFT | u64::from(random.below(map.vram_size)),
        3 => u64::from(random.below(256)) << SLOT_SHIFT | u64::from(random.below(ARENA)),
        4 => SLOT_RAM << SLOT_SHIFT | random.nonsense() & 0xffff_ffff_ffff,
        _ => SLOT_RAM << SLOT_SHIFT | u64::from(random.below(ARENA)),
    }
}

/// Writes a body field by field, each now and then replaced by nonsense.
struct Body<'a> {
    machine: &'a mut Machine,
    random: &'a mut Random,
    at: u32,
}

impl Body<'_> {
    fn put(&mut self, width: Width, value: u64) {
        let value = if self.random.once_in(64) {
            self.random.nonsense()
        } else {
            value
        };
        self.machine.memory_write(self.at, width, value);
        self.at = self.at.wrapping_add(width.bytes());
    }

    fn u8(&mut self, value: u32) {
        self.put(Width::B1, value.into());
    }

    fn u16(&mut self, value: u32) {
        self.put(Width::B2, value.into());
    }

    fn u32(&mut self, value: u32) {
        self.put(Width::B4, value.into());
    }

    fn u64(&mut self, value: u64) {
        self.put(Width::B8, value);
    }

    /// Top, left, bottom, right of something on a screen of that size.
    fn rect(&mut self, width: u32, height: u32) {
        let (left, top) = (self.random.below(width), self.random.below(height));
        let right = left + self.random.below(width - left + 1);
        let bottom = top + self.random.below(height - top + 1);
        for value in [top, left, bottom, right] {
            self.u32(value);
        }
    }
}

/// Puts one command into a ring and says so.
fn command(machine: &mut Machine, random: &mut Random, map: &QxlMap) {
    let body = random.below(ARENA);
    let at = map.ram.wrapping_add(body);
    let (ring, kind, notify) = match random.below(16) {
        0 | 1 => {
            cursor(machine, random, map, at);
            (abi::RAM_CURSOR_RING, COMMAND_CURSOR, abi::PORT_NOTIFY_CURSOR)
        }
        2 | 3 => {
            surface(machine, random, map, at);
            (abi::RAM_COMMAND_RING, COMMAND_SURFACE, abi::PORT_NOTIFY_COMMAND)
        }
        4 => (abi::RAM_COMMAND_RING, random.below(8), abi::PORT_NOTIFY_COMMAND),
        _ => {
            drawable(machine, random, map, at);
            (abi::RAM_COMMAND_RING, 1, abi::PORT_NOTIFY_COMMAND)
        }
    };
    let kind = if random.once_in(64) {
        random.nonsense() as u32
    } else {
        kind
    };
    let address = if random.once_in(64) {
        random.nonsense()
    } else {
        SLOT_RAM << SLOT_SHIFT | u64::from(body)
    };
    let producer = mmio::read(map.field(ring + RING_PRODUCER), Width::B4).unwrap_or_default() as u32;
    let item = map.field(ring + RING_ITEMS + (producer % ITEMS) as usize * ITEM_SIZE);
    machine.memory_write(item, Width::B8, address);
    machine.memory_write(item.wrapping_add(8), Width::B8, kind.into());
    machine.memory_write(
        map.field(ring + RING_PRODUCER),
        Width::B4,
        producer.wrapping_add(1).into(),
    );
    machine.port_write(map.ports.wrapping_add(notify), Width::B1, 0);
}

fn cursor(machine: &mut Machine, random: &mut Random, map: &QxlMap, at: u32) {
    let id = random.next();
    let kind = random.below(5);
    let place = [random.below(1024), random.below(768)];
    let shape_at = random.below(ARENA);
    let mut body = Body { machine, random, at };
    body.u64(id);
    body.u8(kind);
    place.into_iter().for_each(|value| body.u16(value));
    body.u8(1);
    body.u64(SLOT_RAM << SLOT_SHIFT | u64::from(shape_at));
    // Unique id, type, width, height, hot spot, data size, and a chunk.
    body.at = map.ram.wrapping_add(shape_at);
    let kind = body.random.below(8);
    let size = body.random.below(0x4000);
    let next = slot_address(body.random, map);
    body.u64(0);
    for value in [kind, 32, 32, 3, 40] {
        body.u16(value);
    }
    body.u32(size);
    body.u32(size);
    body.u64(0);
    body.u64(if size & 3 == 0 { next } else { 0 });
}

fn surface(machine: &mut Machine, random: &mut Random, map: &QxlMap, at: u32) {
    let (width, height) = (random.between(1, 640), random.between(1, 480));
    let format = random.pick(&[1, 8, 16, 80, 32, 96]);
    let stride = if random.once_in(2) {
        width * 4
    } else {
        (width * 4).wrapping_neg()
    };
    let (id, number, destroy) = (random.next(), random.below(8), random.below(2));
    let address = if random.once_in(2) {
        slot_address(random, map)
    } else {
        SLOT_VRAM << SLOT_SHIFT | u64::from(random.below(map.vram_size) & !0xfff)
    };
    let mut body = Body { machine, random, at };
    body.u64(id);
    body.u32(number);
    body.u8(destroy);
    body.u32(0);
    for value in [format, width, height, stride] {
        body.u32(value);
    }
    body.u64(address);
}

fn drawable(machine: &mut Machine, random: &mut Random, map: &QxlMap, at: u32) {
    let (id, kind) = (random.next(), random.below(16));
    let surface = random.below(4) * u32::from(random.once_in(3));
    let clip = u32::from(random.once_in(4));
    let clip_at = slot_address(random, map);
    let image_at = random.below(ARENA);
    let image = SLOT_RAM << SLOT_SHIFT | u64::from(image_at);
    let mut body = Body { machine, random, at };
    body.u64(id);
    body.u32(surface);
    body.u8(1);
    body.u8(kind);
    body.u8(0); // self_bitmap
    body.rect(320, 240);
    body.rect(320, 240);
    body.u32(clip);
    body.u64(clip_at);
    body.u32(0); // mm_time
    for _ in 0..3 + 12 {
        body.u32(u32::MAX); // other surfaces and their areas
    }
    union_fields(&mut body, map, kind, image);
    put_image(&mut body, map, image_at);
}

/// The 68 bytes that depend on the type: an image and where from, a brush, or numbers.
fn union_fields(body: &mut Body<'_>, map: &QxlMap, kind: u32, image: u64) {
    let rop = body.random.pick(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    let start = body.at;
    match kind {
        1 => {
            let brush = body.random.below(3);
            body.u32(brush);
            body.u64(image);
            body.u64(0);
            body.u16(rop);
        }
        4 => {
            let (x, y) = (body.random.below(320), body.random.below(240));
            body.u32(x);
            body.u32(y);
        }
        2 | 3 | 5 | 9 | 12 | 13 => {
            body.u64(image);
            body.rect(64, 64);
            body.u16(rop);
            let mode = body.random.below(2);
            body.u8(mode);
        }
        _ => {
            let other = slot_address(body.random, map);
            body.u64(other);
            let second = slot_address(body.random, map);
            body.u64(second);
        }
    }
    // Small numbers or addresses in what is left; a mask's bitmap may be any of them.
    while body.at.wrapping_sub(start) + 8 <= 68 {
        let value = match body.random.below(4) {
            0 => slot_address(body.random, map),
            1 => body.random.below(16).into(),
            _ => 0,
        };
        body.u64(value);
    }
}

/// An image header, its bitmap, and a chunk of whatever is there.
fn put_image(body: &mut Body<'_>, map: &QxlMap, at: u32) {
    let kind = if body.random.once_in(2) {
        0
    } else {
        body.random
            .pick(&[0, 1, 2, 100, 101, 102, 103, 104, 105, 106, 107, 108])
    };
    let (width, height) = (body.random.between(1, 64), body.random.between(1, 64));
    let format = body.random.below(10);
    let flags = body.random.below(8);
    let palette = if body.random.once_in(2) {
        slot_address(body.random, map)
    } else {
        0
    };
    let chunk_at = body.random.below(ARENA);
    let id = body.random.below(4);
    body.at = map.ram.wrapping_add(at);
    body.u64(id.into());
    body.u8(kind);
    body.u8(flags);
    body.u32(width);
    body.u32(height);
    if kind == 0 {
        body.u8(format);
        body.u8(flags);
        body.u32(width);
        body.u32(height);
        body.u32(width * 4);
        body.u64(palette);
        body.u64(SLOT_RAM << SLOT_SHIFT | u64::from(chunk_at));
    } else {
        // A compressed image: its size, and a chunk at once.
        body.u32(width * height);
    }
    let size = width * height * 4;
    let next = if body.random.once_in(4) {
        slot_address(body.random, map)
    } else {
        0
    };
    if kind == 0 {
        body.at = map.ram.wrapping_add(chunk_at);
    }
    body.u32(size);
    body.u64(0);
    body.u64(next);
}
