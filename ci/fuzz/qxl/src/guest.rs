//! The guest: what its driver knows, and what must hold for it.
//!
//! As long as the guest keeps to the protocol of rings and memory, it knows which commands must come back. Writes that
//! may touch what the device shares with it end that until the next reset ([`Guest::spoil`]).

use std::collections::BTreeMap;

use crate::{
    machine::{BAR0, BAR1, MIB, Machine, RAM, Region, VGAMEM},
    program::Config,
};

/// Fields of the RAM header.
pub(crate) mod field {
    pub(crate) const INT_PENDING: u64 = 0x0004;
    pub(crate) const INT_MASK: u64 = 0x0008;
    pub(crate) const COMMAND_RING: u64 = 0x100c;
    pub(crate) const CURSOR_RING: u64 = 0x1220;
    pub(crate) const RELEASE_RING: u64 = 0x1434;
    pub(crate) const UPDATE_AREA: u64 = 0x1488;
    pub(crate) const MEMORY_SLOT: u64 = 0x149c;
    pub(crate) const CREATE_SURFACE: u64 = 0x14ac;
    pub(crate) const MONITORS_CONFIG: u64 = 0x14dc;
    /// Behind everything that means something.
    pub(crate) const END: u64 = 0x14e4;
    // Inside a ring.
    pub(crate) const PRODUCER: u64 = 0x04;
    pub(crate) const NOTIFY_ON_PRODUCER: u64 = 0x08;
    pub(crate) const CONSUMER: u64 = 0x0c;
    pub(crate) const NOTIFY_ON_CONSUMER: u64 = 0x10;
    pub(crate) const ITEMS: u64 = 0x14;
}

/// Ports.
pub(crate) mod port {
    pub(crate) const UPDATE_AREA: u8 = 2;
    pub(crate) const UPDATE_IRQ: u8 = 3;
    pub(crate) const OUT_OF_MEMORY: u8 = 4;
    pub(crate) const RESET: u8 = 5;
    pub(crate) const SET_MODE: u8 = 6;
    pub(crate) const ADD_SLOT: u8 = 8;
    pub(crate) const DELETE_SLOT: u8 = 9;
    pub(crate) const CREATE_PRIMARY: u8 = 12;
    pub(crate) const UPDATE_AREA_ASYNC: u8 = 16;
    pub(crate) const ADD_SLOT_ASYNC: u8 = 17;
    pub(crate) const CREATE_PRIMARY_ASYNC: u8 = 18;
    pub(crate) const FLUSH_RELEASE: u8 = 23;
    pub(crate) const MONITORS_ASYNC: u8 = 24;
}

/// In the notification index of the cursor ring, which a reset clears: how the guest sees that there was one.
const SENTINEL: u32 = 0x7fff_fff1;
/// Room for commands behind the draw area.
const ARENA: u64 = MIB;

/// Bytes of a packed structure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed(pub(crate) Vec<u8>);

impl Packed {
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    pub(crate) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }
    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_le_bytes())
    }
    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }
    pub(crate) fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_le_bytes())
    }
    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }
    pub(crate) fn rect(self, rect: [i16; 4]) -> Self {
        rect.into_iter().fold(self, |packed, edge| packed.i32(edge.into()))
    }
    pub(crate) fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}

/// Something in RAM.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) at: u64,
}

/// A command the device has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    /// Where it is in RAM.
    pub(crate) at: u64,
    /// Whether it comes back only when its surface goes.
    pub(crate) is_surface: bool,
}

#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    /// Next free byte of the arena, an offset into RAM.
    pub(crate) arena: u64,
    pub(crate) objects: Vec<Placed>,
    /// Commands by their cookies.
    pub(crate) given: BTreeMap<u64, Given>,
    pub(crate) next_id: u64,
    pub(crate) release_consumer: u32,
    /// Whether the guest kept to the protocol, so that it knows what comes back.
    pub(crate) knows_commands: bool,
    /// Whether nobody but the device writes to surfaces and none lie over each other.
    pub(crate) knows_pictures: bool,
    /// Whether slots are as [`Guest::bring_up`] made them.
    pub(crate) knows_slots: bool,
    /// Memory surfaces were made in since the last reset.
    pub(crate) used: Vec<(Region, u64, u64)>,
    /// Addresses are those of the compatibility modes.
    pub(crate) compat: bool,
    /// Nothing but a fault can have written behind the slots.
    pub(crate) guards: bool,
    /// Resets the guest noticed.
    resets: u64,
    pub(crate) dispi_index: u16,
    pub(crate) viewers: Vec<caraway_display::Viewer>,
}

impl Guest {
    pub(crate) fn new(config: &Config) -> Self {
        let guest = Self {
            machine: Machine::new(config),
            arena: VGAMEM,
            objects: Vec::new(),
            given: BTreeMap::new(),
            next_id: 0,
            release_consumer: 0,
            knows_commands: true,
            knows_pictures: true,
            knows_slots: false,
            used: Vec::new(),
            compat: false,
            guards: true,
            resets: 0,
            dispi_index: 0,
            viewers: Vec::new(),
        };
        guest.mark();
        guest
    }

    /// Whether the program took what it may take.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.arena > VGAMEM + ARENA
    }

    /// Something was written that the device and the guest share: what comes back is not known until the next reset.
    pub(crate) fn spoil(&mut self) {
        self.knows_commands = false;
        self.knows_pictures = false;
    }

    pub(crate) fn mark(&self) {
        self.machine
            .store(field::CURSOR_RING + field::NOTIFY_ON_CONSUMER, SENTINEL);
    }

    /// The device was reset: rings are empty, slots and surfaces gone.
    pub(crate) fn forget(&mut self) {
        self.given.clear();
        self.used.clear();
        self.release_consumer = 0;
        self.knows_commands = true;
        self.knows_pictures = true;
        self.knows_slots = false;
        self.compat = false;
        self.resets += 1;
        self.mark();
    }

    /// Notices a reset that came with something else, as with a mode.
    pub(crate) fn notice_reset(&mut self) {
        let mark = self.machine.load(field::CURSOR_RING + field::NOTIFY_ON_CONSUMER);
        if self.knows_commands && mark != SENTINEL {
            self.forget();
        }
    }

    /// Room for `length` bytes of a command.
    pub(crate) fn reserve(&mut self, length: u64) -> Placed {
        let at = self.arena;
        self.arena += length.next_multiple_of(16).max(16);
        assert!(self.arena < RAM - MIB, "operations are small");
        Placed { at }
    }

    /// How commands name a place.
    pub(crate) const fn address_of(&self, placed: Placed) -> u64 {
        if self.compat {
            BAR0 + placed.at
        } else {
            1 << 56 | placed.at
        }
    }

    /// Resets, adds slots for RAM up to the header and for the lower half of VRAM, and makes a primary surface.
    pub(crate) fn bring_up(&mut self, how: u8) {
        self.port(port::RESET, 0);
        if self.machine.config.revision == 1 {
            self.set_mode(1);
            return;
        }
        for bar in 0..2 {
            self.machine.move_bar(bar, Some([BAR0, BAR1][bar]));
        }
        let asynchronous = how & 1 != 0 && self.machine.config.revision >= 3;
        let add = if asynchronous {
            port::ADD_SLOT_ASYNC
        } else {
            port::ADD_SLOT
        };
        let half = self.machine.vram_slot();
        for (id, start, size) in [(1, BAR0, self.machine.header), (2, BAR1, half)] {
            let end = start + size;
            let words = [start as u32, (start >> 32) as u32, end as u32, (end >> 32) as u32];
            self.machine.argument(field::MEMORY_SLOT, &words);
            self.port(add, id);
        }
        self.knows_slots = !self.machine.paused;
        self.machine.store(field::INT_MASK, u32::from(how >> 2));
        if how & 2 == 0 {
            let (width, height) = (64 + u32::from(how >> 4), 48);
            self.primary_argument([width, height, 4 * width, 32], 1 << 56);
            let create = if asynchronous {
                port::CREATE_PRIMARY_ASYNC
            } else {
                port::CREATE_PRIMARY
            };
            self.port(create, 0);
            self.use_memory(Region::Ram, 0, u64::from(4 * width * height));
        }
    }

    pub(crate) fn primary_argument(&mut self, [width, height, stride, format]: [u32; 4], address: u64) {
        let words = [
            width,
            height,
            stride,
            format,
            0,
            0,
            0,
            0,
            address as u32,
            (address >> 32) as u32,
        ];
        self.machine.argument(field::CREATE_SURFACE, &words);
    }

    /// A surface is made in this memory, or something like that.
    pub(crate) fn use_memory(&mut self, region: Region, start: u64, length: u64) {
        let end = start.saturating_add(length);
        if region == Region::Ram && end > VGAMEM {
            self.spoil();
        }
        if self
            .used
            .iter()
            .any(|(other, from, to)| *other == region && *from < end && start < *to)
        {
            self.knows_pictures = false;
        }
        if self.used.len() > 64 {
            self.knows_pictures = false;
        } else {
            self.used.push((region, start, end));
        }
    }

    /// SET_MODE, after which addresses are physical ones.
    pub(crate) fn set_mode(&mut self, id: u8) {
        let resets = self.resets;
        self.port(port::SET_MODE, id);
        self.guards = false;
        // A mode begins with a reset; seen only while the guest knows what it shares.
        if self.resets != resets {
            self.compat = self.machine.bars[0].1 == Some(BAR0);
            self.use_memory(Region::Ram, 0, VGAMEM);
        }
    }

    /// Writes a port and looks at what must be true then.
    pub(crate) fn port(&mut self, port: u8, value: u8) {
        self.machine.out(port, value);
        match port {
            port::RESET if !self.machine.paused => self.forget(),
            port::RESET => self.spoil(),
            port::UPDATE_IRQ => self.check_line(),
            _ => self.notice_reset(),
        }
    }
}
