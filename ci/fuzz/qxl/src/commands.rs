//! Commands in the rings.

use crate::{
    guest::{Given, Guest, Packed, field, port},
    machine::{BAR0, Region, VGAMEM},
    program::{Brush, Cursor, Draw, Mask, Message, Push, Surface, UpdateCommand},
};

const DRAW: u32 = 1;
const UPDATE: u32 = 2;
const CURSOR: u32 = 3;
const MESSAGE: u32 = 4;
const SURFACE: u32 = 5;
/// Bytes of the formats of surfaces by number.
const FORMATS: [(u32, u32); 6] = [(32, 32), (96, 32), (16, 16), (80, 16), (8, 8), (1, 1)];

impl Guest {
    fn cookie(&mut self) -> u64 {
        self.next_id += 1;
        0x1d00_0000_0000 + self.next_id
    }

    fn brush(&self, brush: &Brush) -> Packed {
        let kind = u32::from(brush.kind % 4);
        let packed = Packed::default().u32(kind);
        if kind == 2 {
            let [x, y] = brush.position.map(i32::from);
            packed.u64(self.address(brush.image)).i32(x).i32(y)
        } else {
            packed.u32(brush.colour).zeros(12)
        }
    }

    fn mask(&self, mask: &Mask) -> Packed {
        let [x, y] = mask.position.map(i32::from);
        Packed::default()
            .u8(mask.flags)
            .i32(x)
            .i32(y)
            .u64(self.address(mask.image))
    }

    fn payload(&self, draw: &Draw) -> Packed {
        let source = |packed: Packed| packed.u64(self.address(draw.image)).rect(draw.area);
        let (brush, mask) = (self.brush(&draw.brush).0, self.mask(&draw.mask).0);
        let new = Packed::default;
        match draw.kind {
            1 => new().bytes(&brush).u16(draw.rop).bytes(&mask),
            2 => source(new()).bytes(&brush).u16(draw.rop).u8(draw.scale).bytes(&mask),
            3 | 5 => source(new()).u16(draw.rop).u8(draw.scale).bytes(&mask),
            4 => new().i32(draw.area[1].into()).i32(draw.area[0].into()),
            6..=8 => new().bytes(&mask),
            9 => source(new())
                .bytes(&brush)
                .u8(draw.rop as u8)
                .u8(draw.scale)
                .bytes(&mask),
            10 => new()
                .u64(self.address(draw.extra[0]))
                .u8(draw.scale)
                .zeros(2)
                .u8(draw.word as u8)
                .zeros(8)
                .u64(self.address(draw.extra[1]))
                .bytes(&brush)
                .u16(draw.rop)
                .u16((draw.word >> 16) as u16),
            11 => {
                let back = Brush {
                    colour: draw.word,
                    kind: draw.extra[1],
                    ..draw.brush.clone()
                };
                new()
                    .u64(self.address(draw.extra[0]))
                    .rect(draw.area)
                    .bytes(&brush)
                    .bytes(&self.brush(&back).0)
                    .u16(draw.rop)
                    .u16(draw.word as u16)
            }
            12 => source(new()).u32(draw.word).u32(draw.brush.colour),
            13 if self.compat => source(new().u8(draw.scale)),
            13 => source(new().u16(draw.rop).u8(draw.scale)),
            _ => {
                let [x, y] = draw.mask.position;
                new()
                    .u32(draw.word)
                    .u64(self.address(draw.image))
                    .u64(self.address(draw.extra[0]))
                    .u64(self.address(draw.extra[1]))
                    .u64(self.address(draw.extra[2]))
                    .u16(draw.area[0] as u16)
                    .u16(draw.area[1] as u16)
                    .u16(x as u16)
                    .u16(y as u16)
            }
        }
    }

    pub(crate) fn draw(&mut self, draw: &Draw) {
        let (payload, id) = (self.payload(draw), self.cookie());
        let own = draw.how & 2 != 0;
        let clip = self.address(draw.clip);
        let packed = if self.compat {
            Packed::default()
                .u64(id)
                .u8(1)
                .u8(draw.kind)
                .u16(u16::from(own) * 128)
                .rect(if own { draw.bbox } else { [0; 4] })
                .rect(draw.bbox)
                .u32(u32::from(clip != 0))
                .u64(clip)
                .u32(1234)
                .bytes(&payload.0)
        } else {
            let mut packed = Packed::default()
                .u64(id)
                .u32(draw.surface.into())
                .u8(1)
                .u8(draw.kind)
                .u8(u8::from(own))
                .rect(if own { draw.bbox } else { [0; 4] })
                .rect(draw.bbox)
                .u32(u32::from(clip != 0))
                .u64(clip)
                .u32(1234);
            for read in [i32::from(draw.reads) - 1, -1, -1] {
                packed = packed.i32(read);
            }
            packed.zeros(48).bytes(&payload.0)
        };
        let missing = 191_usize.saturating_sub(packed.0.len());
        self.command(draw.how, DRAW, &packed.zeros(missing).patched(&draw.patch));
    }

    pub(crate) fn cursor(&mut self, cursor: &Cursor) {
        let id = self.cookie();
        let [x, y] = cursor.position;
        let packed = Packed::default().u64(id).u8(cursor.kind % 5);
        let packed = match cursor.kind % 5 {
            0 => packed
                .u16(x as u16)
                .u16(y as u16)
                .u8(cursor.visible)
                .u64(self.address(cursor.shape)),
            _ => packed.u16(x as u16).u16(y as u16),
        };
        let missing = 150 - packed.0.len();
        let placed = self.place(&packed.zeros(missing).patched(&cursor.patch));
        self.give(placed.at, false);
        self.push(field::CURSOR_RING, cursor.how, CURSOR, self.address_of(placed));
    }

    pub(crate) fn surface(&mut self, surface: &Surface) {
        let id = self.cookie();
        let destroy = surface.how & 2 != 0;
        let (format, bits) = FORMATS.get(usize::from(surface.format)).copied().unwrap_or((7, 32));
        let (width, height) = (u32::from(surface.width), u32::from(surface.height));
        let row = (width * bits).div_ceil(32) * 4;
        let stride = row as i32 + 4 * i32::from(surface.padding);
        let in_ram = surface.how & 8 != 0 || self.compat;
        let (region, size) = if in_ram {
            (Region::Ram, VGAMEM)
        } else {
            (Region::Vram, self.machine.vram_slot())
        };
        let at = u64::from(surface.place) % (size + 64);
        let address = match region {
            Region::Ram if self.compat => BAR0 + at,
            Region::Ram => 1 << 56 | at,
            Region::Vram => 2 << 56 | at,
        };
        let packed = Packed::default()
            .u64(id)
            .u32(surface.id.into())
            .u8(u8::from(destroy))
            .u32(u32::from(surface.how & 4 != 0))
            .u32(format)
            .u32(width)
            .u32(height)
            .i32(stride)
            .u64(address)
            .patched(&surface.patch);
        if !destroy {
            let field = |at: usize| u32::from_le_bytes(packed.0[at..at + 4].try_into().expect("four bytes"));
            let length = u64::from((field(0x1d) as i32).unsigned_abs()) * u64::from(field(0x19));
            if packed.0[0x21..0x29] == address.to_le_bytes() {
                self.use_memory(region, at, length);
            } else {
                self.spoil();
            }
        }
        let placed = self.place(&packed);
        self.give(placed.at, !destroy);
        self.push(field::COMMAND_RING, surface.how, SURFACE, self.address_of(placed));
    }

    pub(crate) fn update_command(&mut self, update: &UpdateCommand) {
        let id = self.cookie();
        let packed = Packed::default()
            .u64(id)
            .rect(update.area)
            .u32(update.id.into())
            .u32(update.surface.into());
        self.command(update.how, UPDATE, &packed.patched(&update.patch));
    }

    pub(crate) fn message(&mut self, message: &Message) {
        let id = self.cookie();
        let packed = Packed::default().u64(id).bytes(&message.text).u8(0);
        self.command(0, MESSAGE, &packed);
    }

    fn command(&mut self, how: u8, kind: u32, packed: &Packed) {
        let placed = self.place(packed);
        self.give(placed.at, false);
        self.push(field::COMMAND_RING, how, kind, self.address_of(placed));
    }

    /// Pushes whatever a reference names as whatever command.
    pub(crate) fn push_raw(&mut self, push: &Push) {
        let (address, kind) = (self.address(push.body), u32::from(push.kind));
        let ring = if push.how & 2 == 0 {
            field::COMMAND_RING
        } else {
            field::CURSOR_RING
        };
        // Its first bytes are its cookie, whatever they were meant as; it is not followed.
        self.spoil();
        self.guards = false;
        self.push(ring, push.how, kind, address);
    }

    /// The command at `at` is about to be the device's.
    fn give(&mut self, at: u64, is_surface: bool) {
        let id = u64::from_le_bytes(self.machine.read(at));
        // A cookie of 0 is never given back; one that was used before cannot be told apart.
        if id != 0 && self.given.insert(id, Given { at, is_surface }).is_some() {
            self.spoil();
        }
    }

    fn push(&mut self, ring: u64, how: u8, kind: u32, body: u64) {
        let bell = u8::from(ring == field::CURSOR_RING);
        let space = |guest: &Self| {
            let producer = guest.machine.load(ring + field::PRODUCER);
            producer.wrapping_sub(guest.machine.load(ring + field::CONSUMER)) < 32
        };
        if !space(self) {
            self.port(bell, 0);
        }
        if !space(self) {
            // It was not given after all.
            let at = self.objects.last().map_or(0, |placed| placed.at);
            self.given.retain(|_, given| given.at != at);
            return;
        }
        let producer = self.machine.load(ring + field::PRODUCER);
        let item = ring + field::ITEMS + 16 * u64::from(producer % 32);
        let words = [body as u32, (body >> 32) as u32, kind, 0];
        self.machine.argument(item, &words);
        let producer = producer.wrapping_add(1);
        self.machine.store(ring + field::PRODUCER, producer);
        let wanted = self.machine.load(ring + field::NOTIFY_ON_PRODUCER) == producer;
        if wanted && how & 1 == 0 {
            self.port(bell, 0);
        }
        if self.machine.config.revision >= 3 && how & 0x80 != 0 {
            self.port(port::FLUSH_RELEASE, 0);
        }
    }
}
