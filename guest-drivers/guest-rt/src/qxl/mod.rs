//! Driver of the QXL display device, in the manner of Linux's `qxl.ko`: RESET, two memory slots, a primary surface in
//! the surface BAR, commands in the RAM BAR, both rings with their notify marks, the release ring, interrupts.
//!
//! Offsets and numbers are those of the QXL ABI (revision 4 and later). Everything the device writes - release ids,
//! ring indices - is checked before use.

pub mod abi;
mod command;
mod memory;
mod ring;

use core::fmt;

use crate::bar::Bar;
use crate::cpu::{self, out8};
use crate::pci;
use abi::{
    DEVICE, FORMAT_32_XRGB, MIN_REVISION, PORT_CREATE_PRIMARY_ASYNC, PORT_FLUSH_SURFACES_ASYNC, PORT_MEMSLOT_ADD_ASYNC,
    PORT_MONITORS_CONFIG_ASYNC, PORT_NOTIFY_COMMAND, PORT_NOTIFY_CURSOR, PORT_NOTIFY_OOM, PORT_RESET,
    PORT_UPDATE_AREA_ASYNC, PORT_UPDATE_IRQ, RAM_COMMAND_RING, RAM_CREATE_SURFACE, RAM_CURSOR_RING, RAM_HEADER_SIZE,
    RAM_INT_MASK, RAM_INT_PENDING, RAM_MAGIC, RAM_MEM_SLOT, RAM_MONITORS_CONFIG, RAM_RELEASE_RING, RAM_UPDATE_AREA,
    RAM_UPDATE_SURFACE, ROM_MAGIC, ROM_PAGES_OFFSET, ROM_RAM_HEADER_OFFSET, ROM_SIZE, ROM_SLOT_GEN_BITS,
    ROM_SLOT_GENERATION, ROM_SLOT_ID_BITS, ROM_SLOTS_START, VENDOR,
};
pub use command::{Area, CursorShape, Pixels};
use memory::CommandMemory;
use ring::{CommandRing, ReleaseRing};

/// Event of the first device: it took from a full command ring or pushed to the release ring.
pub const EVENT_DISPLAY: u32 = DISPLAY << cpu::EVENT_QXL_SHIFT;
/// Event of the first device: it took from a full cursor ring.
pub const EVENT_CURSOR: u32 = CURSOR << cpu::EVENT_QXL_SHIFT;

/// The command ring was full and is not, or the release ring got something.
const DISPLAY: u32 = 1;
/// The cursor ring was full and is not.
const CURSOR: u32 = 2;
/// An asynchronous port command has finished.
const IO: u32 = 4;
/// The device found a protocol violation.
const ERROR: u32 = 8;
const INTERRUPT_MASK: u32 = DISPLAY | CURSOR | IO | ERROR;

/// Heads of a configuration at most.
const MAX_HEADS: usize = 4;
/// Ticks until an asynchronous command, a full ring or a lack of memory counts as an error.
const PATIENCE_TICKS: u64 = 300;

/// Why the display cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QxlError {
    /// No function 1b36:0100 on bus 0.
    NotFound,
    /// The device has this revision, and 4 is needed.
    Revision(u8),
    /// This BAR is missing or not assigned.
    Bar(u8),
    /// ROM or RAM header does not begin with its magic number, or names offsets outside the RAM BAR.
    Layout,
    /// The primary surface does not fit the surface BAR.
    TooLarge,
    /// This port command did not complete.
    Timeout(u16),
    /// The command ring stayed full.
    RingStuck,
    /// No memory for a command came back.
    NoMemory,
    /// The device raised its error interrupt.
    Violation,
}

impl fmt::Display for QxlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("no QXL device (1b36:0100) on bus 0"),
            Self::Revision(revision) => write!(f, "QXL revision {revision} is below {MIN_REVISION}"),
            Self::Bar(index) => write!(f, "QXL BAR {index} is not assigned"),
            Self::Layout => f.write_str("QXL ROM or RAM header is not valid"),
            Self::TooLarge => f.write_str("primary surface is larger than the surface BAR"),
            Self::Timeout(port) => write!(f, "QXL port {port} did not complete"),
            Self::RingStuck => f.write_str("QXL ring stays full"),
            Self::NoMemory => f.write_str("QXL releases no command memory"),
            Self::Violation => f.write_str("QXL reports a protocol violation"),
        }
    }
}

/// The device, with slots added; a primary exists from [`Qxl::create_primary`] on.
#[derive(Debug)]
pub struct Qxl {
    /// Which of the devices the interrupt entry looks at.
    number: usize,
    ports: u16,
    ram: Bar,
    rom: Bar,
    surfaces: Bar,
    header: usize,
    slot_ram: u64,
    slot_surfaces: u64,
    commands: CommandRing,
    cursors: CommandRing,
    releases: ReleaseRing,
    memory: CommandMemory,
    size: (u32, u32),
}

impl Qxl {
    /// Finds the device, resets it and adds its memory slots: 1 for the RAM BAR up to the header, 2 for the surfaces.
    pub fn open() -> Result<Self, QxlError> {
        Self::open_at(pci::find(VENDOR, DEVICE).ok_or(QxlError::NotFound)?, 0)
    }

    /// As [`Qxl::open`], for the device at a place on the bus. `number` tells devices apart that are open at the same
    /// time, below [`cpu::QXL_DEVICES`].
    pub fn open_at(function: pci::Function, number: usize) -> Result<Self, QxlError> {
        if function.revision() < MIN_REVISION {
            return Err(QxlError::Revision(function.revision()));
        }
        let memory_bar = |index| function.memory_bar(index).map(Bar::new).ok_or(QxlError::Bar(index));
        let (ram, surfaces, rom) = (memory_bar(0)?, memory_bar(1)?, memory_bar(2)?);
        let ports = function.io_bar(3).ok_or(QxlError::Bar(3))?;
        function.enable();

        if rom.size() < ROM_SIZE || rom.read32(0) != ROM_MAGIC {
            return Err(QxlError::Layout);
        }
        let header = rom.read32(ROM_RAM_HEADER_OFFSET) as usize;
        let pages = rom.read32(ROM_PAGES_OFFSET) as usize;
        if header.checked_add(RAM_HEADER_SIZE).is_none_or(|end| end > ram.size()) || !header.is_multiple_of(4096) {
            return Err(QxlError::Layout);
        }
        let memory = CommandMemory::new(pages, header).ok_or(QxlError::Layout)?;
        let mut qxl = Self {
            number,
            ports,
            ram,
            rom,
            surfaces,
            header,
            slot_ram: 0,
            slot_surfaces: 0,
            commands: CommandRing::new(header + RAM_COMMAND_RING),
            cursors: CommandRing::new(header + RAM_CURSOR_RING),
            releases: ReleaseRing::new(header + RAM_RELEASE_RING),
            memory,
            size: (0, 0),
        };
        qxl.reset()?;
        Ok(qxl)
    }

    /// Brings the device back to where [`Qxl::open`] left it: no primary, nothing drawn.
    pub fn reset(&mut self) -> Result<(), QxlError> {
        cpu::attach_qxl(self.number, 0, 0);
        self.port(PORT_RESET, 0);
        if self.ram.read32(self.header) != RAM_MAGIC {
            return Err(QxlError::Layout);
        }
        self.memory.release_all();
        self.size = (0, 0);
        cpu::take(self.event(INTERRUPT_MASK));
        cpu::attach_qxl(
            self.number,
            self.ram.address(self.header + RAM_INT_PENDING),
            self.ports + PORT_UPDATE_IRQ,
        );
        self.ram.write32(self.header + RAM_INT_MASK, INTERRUPT_MASK);
        self.port(PORT_UPDATE_IRQ, 0);
        let first = self.rom.read8(ROM_SLOTS_START);
        self.slot_ram = self.add_slot(first, self.ram.address(0), self.header)?;
        self.slot_surfaces = self.add_slot(first.wrapping_add(1), self.surfaces.address(0), self.surfaces.size())?;
        Ok(())
    }

    /// Adds a slot and returns the upper part of addresses in it.
    fn add_slot(&mut self, id: u8, start: u64, size: usize) -> Result<u64, QxlError> {
        self.ram.write64(self.header + RAM_MEM_SLOT, start);
        self.ram.write64(self.header + RAM_MEM_SLOT + 8, start + size as u64);
        self.run(PORT_MEMSLOT_ADD_ASYNC, id)?;
        let generation_bits = u32::from(self.rom.read8(ROM_SLOT_GEN_BITS));
        let id_bits = u32::from(self.rom.read8(ROM_SLOT_ID_BITS));
        let generation = u64::from(self.rom.read8(ROM_SLOT_GENERATION));
        let shift = 64u32
            .checked_sub(id_bits + generation_bits)
            .filter(|shift| *shift < 64)
            .ok_or(QxlError::Layout)?;
        Ok(((u64::from(id) << generation_bits) | generation) << shift)
    }

    /// Makes a 32-bit primary at the start of the surface BAR and reports one head of that size.
    pub fn create_primary(&mut self, width: u32, height: u32) -> Result<(), QxlError> {
        let bytes = u64::from(width) * u64::from(height) * 4;
        if bytes > self.surfaces.size() as u64 {
            return Err(QxlError::TooLarge);
        }
        let at = self.header + RAM_CREATE_SURFACE;
        // width, height, stride, format, position, mouse_mode, flags, type: RESET clears none of them.
        for (index, value) in [width, height, width * 4, FORMAT_32_XRGB, 0, 0, 0, 0]
            .into_iter()
            .enumerate()
        {
            self.ram.write32(at + 4 * index, value);
        }
        self.ram.write64(at + 32, self.slot_surfaces);
        self.run(PORT_CREATE_PRIMARY_ASYNC, 0)?;
        self.size = (width, height);
        self.show_heads(&[Area {
            left: 0,
            top: 0,
            right: width as i32,
            bottom: height as i32,
        }])
    }

    /// Reports heads, each of which shows a part of the primary.
    pub fn show_heads(&mut self, heads: &[Area]) -> Result<(), QxlError> {
        if heads.len() > MAX_HEADS {
            return Err(QxlError::TooLarge);
        }
        let count = heads.len() as u32;
        let monitors = self.memory.monitors();
        // count and max_allowed, then the heads: id, surface, width, height, x, y, flags.
        let words = heads.iter().zip(0u32..).flat_map(|(head, id)| {
            let (width, height) = (head.right - head.left, head.bottom - head.top);
            [id, 0, width as u32, height as u32, head.left as u32, head.top as u32, 0]
        });
        for (index, value) in core::iter::once(count << 16 | count).chain(words).enumerate() {
            self.ram.write32(monitors + 4 * index, value);
        }
        self.ram
            .write64(self.header + RAM_MONITORS_CONFIG, self.slot_ram | monitors as u64);
        self.run(PORT_MONITORS_CONFIG_ASYNC, 0)
    }

    /// Waits until everything drawn so far is in the primary.
    pub fn finish(&mut self) -> Result<(), QxlError> {
        let (width, height) = self.size;
        let at = self.header + RAM_UPDATE_AREA;
        // top, left, bottom, right
        for (index, value) in [0, 0, height, width].into_iter().enumerate() {
            self.ram.write32(at + 4 * index, value);
        }
        self.ram.write32(self.header + RAM_UPDATE_SURFACE, 0);
        self.run(PORT_UPDATE_AREA_ASYNC, 0)?;
        self.collect();
        Ok(())
    }

    /// Fills an area with a colour (0x00RRGGBB).
    pub fn fill(&mut self, area: Area, color: u32) -> Result<(), QxlError> {
        let (id, at) = self.allocate(command::DRAWABLE_SIZE)?;
        command::fill(self.ram.bytes(at, command::DRAWABLE_SIZE), id, area, color);
        self.push_drawable(at)
    }

    /// Moves the pixels whose top left corner is (`x`, `y`) to `area`.
    pub fn copy_bits(&mut self, area: Area, x: i32, y: i32) -> Result<(), QxlError> {
        let (id, at) = self.allocate(command::DRAWABLE_SIZE)?;
        command::copy_bits(self.ram.bytes(at, command::DRAWABLE_SIZE), id, area, x, y);
        self.push_drawable(at)
    }

    /// Draws a picture of the area's size.
    pub fn copy(&mut self, area: Area, pixels: &dyn Pixels) -> Result<(), QxlError> {
        let size = command::copy_size(area).ok_or(QxlError::TooLarge)?;
        let (id, at) = self.allocate(size)?;
        let base = self.slot_ram | at as u64;
        command::copy(self.ram.bytes(at, size), id, base, area, pixels);
        self.push_drawable(at)
    }

    /// Shows a cursor of premultiplied 0xAARRGGBB pixels with its hot spot at (`x`, `y`).
    pub fn set_cursor(&mut self, shape: &CursorShape<'_>, x: i32, y: i32) -> Result<(), QxlError> {
        let size = command::cursor_size(shape);
        let (id, at) = self.allocate(size)?;
        let base = self.slot_ram | at as u64;
        command::set_cursor(self.ram.bytes(at, size), id, base, shape, x, y);
        self.push_cursor(at)
    }

    /// Moves the cursor's hot spot.
    pub fn move_cursor(&mut self, x: i32, y: i32) -> Result<(), QxlError> {
        let (id, at) = self.allocate(command::CURSOR_COMMAND_SIZE)?;
        command::move_cursor(self.ram.bytes(at, command::CURSOR_COMMAND_SIZE), id, x, y);
        self.push_cursor(at)
    }

    /// Takes back the memory of finished commands; to be called at [`EVENT_DISPLAY`]. Says whether there was any.
    pub fn collect(&mut self) -> bool {
        self.releases.collect(&self.ram, &mut self.memory)
    }

    /// Commands the device has not given back.
    pub fn outstanding(&self) -> usize {
        self.memory.outstanding()
    }

    fn push_drawable(&mut self, at: usize) -> Result<(), QxlError> {
        let address = self.slot_ram | at as u64;
        self.push(PORT_NOTIFY_COMMAND, address, command::COMMAND_DRAW, self.event(DISPLAY))
    }

    fn push_cursor(&mut self, at: usize) -> Result<(), QxlError> {
        let address = self.slot_ram | at as u64;
        self.push(PORT_NOTIFY_CURSOR, address, command::COMMAND_CURSOR, self.event(CURSOR))
    }

    fn push(&mut self, notify: u16, address: u64, kind: u32, event: u32) -> Result<(), QxlError> {
        let patience = Patience::new();
        loop {
            let ring = if notify == PORT_NOTIFY_COMMAND {
                &mut self.commands
            } else {
                &mut self.cursors
            };
            if let Some(must_notify) = ring.push(&self.ram, address, kind) {
                if must_notify {
                    self.port(notify, 0);
                }
                return Ok(());
            }
            patience.check(QxlError::RingStuck)?;
            cpu::wait(event | cpu::EVENT_TICK);
            if cpu::take(self.event(ERROR)) != 0 {
                return Err(QxlError::Violation);
            }
        }
    }

    /// Memory for a command; asks the device for some when there is none.
    fn allocate(&mut self, size: usize) -> Result<(u64, usize), QxlError> {
        let patience = Patience::new();
        loop {
            if let Some(found) = self.memory.allocate(size) {
                return Ok(found);
            }
            if self.collect() {
                continue;
            }
            patience.check(QxlError::NoMemory)?;
            self.port(PORT_NOTIFY_OOM, 0);
            cpu::wait(self.event(DISPLAY) | cpu::EVENT_TICK);
            if cpu::take(self.event(ERROR)) != 0 {
                return Err(QxlError::Violation);
            }
        }
    }

    /// Runs an asynchronous port command to its end.
    fn run(&mut self, port: u16, value: u8) -> Result<(), QxlError> {
        let patience = Patience::new();
        self.begin(port, value);
        self.await_end(port, patience)
    }

    /// Writes back every surface, of which there may be none: something for the device's thread to do that ends with an
    /// interrupt. To be followed by [`Qxl::await_flush`].
    pub fn begin_flush(&self) {
        self.begin(PORT_FLUSH_SURFACES_ASYNC, 0);
    }

    /// Waits for the interrupt that ends what [`Qxl::begin_flush`] began.
    pub fn await_flush(&self) -> Result<(), QxlError> {
        self.await_end(PORT_FLUSH_SURFACES_ASYNC, Patience::new())
    }

    fn begin(&self, port: u16, value: u8) {
        cpu::take(self.event(IO));
        self.port(port, value);
    }

    fn await_end(&self, port: u16, patience: Patience) -> Result<(), QxlError> {
        let (io, error) = (self.event(IO), self.event(ERROR));
        loop {
            let events = cpu::wait(io | error | cpu::EVENT_TICK);
            if events & error != 0 {
                return Err(QxlError::Violation);
            }
            if events & io != 0 {
                return Ok(());
            }
            patience.check(QxlError::Timeout(port))?;
        }
    }

    /// The event of pending bits of this device.
    const fn event(&self, bits: u32) -> u32 {
        bits << cpu::qxl_shift(self.number)
    }

    fn port(&self, number: u16, value: u8) {
        out8(self.ports + number, value);
    }
}

/// A time limit in ticks.
#[derive(Debug, Clone, Copy)]
struct Patience(u64);

impl Patience {
    fn new() -> Self {
        Self(cpu::ticks() + PATIENCE_TICKS)
    }

    fn check(self, error: QxlError) -> Result<(), QxlError> {
        if cpu::ticks() < self.0 { Ok(()) } else { Err(error) }
    }
}
