//! The functions that are there, as they were at the start, and how to bring them back there.

use caraway_guest_rt::cpu::out8;
use caraway_guest_rt::mmio::{self, Width};
use caraway_guest_rt::pci::Function;
use caraway_guest_rt::qxl::abi;

use crate::access::Machine;
use crate::random::Random;

const DEVICES: usize = 32;
const COMMAND: u8 = 0x04;
const BAR0: u8 = 0x10;
const BARS: usize = 6;
const CAPABILITIES: u8 = 0x34;
const INTERRUPT_LINE: u8 = 0x3c;
/// Vendor and device id of pvpanic.
const PVPANIC: u32 = 0x0011_1b36;
const CAPABILITY_MSIX: u8 = 0x11;
/// Capabilities looked at: a list may be a circle.
const CAPABILITIES_MAX: usize = 48;

/// A function and what its config space held.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) function: Function,
    command: u32,
    bars: [u32; BARS],
    sizes: [u32; BARS],
    line: u32,
    is_pvpanic: bool,
    /// Register of the MSI-X capability, and the BAR its table is in.
    msix: Option<(u8, u8)>,
}

impl Target {
    fn take(function: Function) -> Self {
        let mut bars = [0; BARS];
        let mut sizes = [0; BARS];
        for ((bar, size), index) in bars.iter_mut().zip(&mut sizes).zip(0..) {
            *bar = function.read(BAR0 + 4 * index);
            *size = match function.memory_bar(index) {
                Some(memory) => memory.size,
                None if *bar & 1 == 1 => abi::PORT_COUNT.into(),
                None => 0,
            };
        }
        Self {
            function,
            command: function.read(COMMAND) & 0xffff,
            bars,
            sizes,
            line: function.read(INTERRUPT_LINE),
            is_pvpanic: function.read(0) == PVPANIC,
            msix: find_msix(function),
        }
    }

    /// Base and size of a BAR in memory as config space has it now; the guest's own BARs only, below 4 GiB.
    pub(crate) fn memory(&self, index: u8) -> Option<(u32, u32)> {
        let size = *self.sizes.get(usize::from(index))?;
        let was = *self.bars.get(usize::from(index))?;
        (size != 0 && was & 1 == 0).then(|| (self.function.read(BAR0 + 4 * index) & !0xf, size))
    }

    /// First port of a BAR as config space has it now.
    pub(crate) fn ports(&self, index: u8) -> Option<u16> {
        let was = *self.bars.get(usize::from(index))?;
        (was & 1 == 1).then(|| (self.function.read(BAR0 + 4 * index) & 0xfffc) as u16)
    }

    /// What a BAR held at the start.
    pub(crate) fn bar(&self, index: usize) -> u32 {
        self.bars.get(index).copied().unwrap_or_default()
    }

    fn restore(&self) {
        self.function.write(COMMAND, 0);
        for (bar, index) in self.bars.iter().zip(0..) {
            self.function.write(BAR0 + 4 * index, *bar);
        }
        if let Some((capability, _)) = self.msix {
            self.function.write(capability, 0);
        }
        self.function.write(INTERRUPT_LINE, self.line);
    }
}

fn find_msix(function: Function) -> Option<(u8, u8)> {
    let mut at = function.read(CAPABILITIES) as u8 & 0xfc;
    for _ in 0..CAPABILITIES_MAX {
        if at < 0x40 {
            return None;
        }
        let [id, next, ..] = function.read(at).to_le_bytes();
        if id == CAPABILITY_MSIX && at < 0xfc {
            return Some((at, (function.read(at + 4) & 7) as u8));
        }
        at = next & 0xfc;
    }
    None
}

/// The QXL device's places, fixed at the start.
#[derive(Clone, Copy)]
pub(crate) struct Qxl {
    /// Its index among the targets.
    index: usize,
    /// Offset of the RAM header.
    header: u32,
}

/// Every function on bus 0.
pub(crate) struct Targets {
    list: [Option<Target>; DEVICES],
    length: usize,
    qxl: Option<Qxl>,
}

impl Targets {
    /// Looks at function 0 of every device and has the machine guard what must be.
    pub(crate) fn find(machine: &mut Machine) -> Self {
        let mut targets = Self {
            list: [None; DEVICES],
            length: 0,
            qxl: None,
        };
        for device in 0..DEVICES as u8 {
            let function = Function::new(device, 0);
            if !function.exists() {
                continue;
            }
            let target = Target::take(function);
            let is_qxl = function.read(0) == u32::from(abi::VENDOR) | u32::from(abi::DEVICE) << 16;
            if is_qxl && targets.qxl.is_none() {
                targets.qxl = header_of(&target).map(|header| Qxl {
                    index: targets.length,
                    header,
                });
            } else if !is_qxl {
                machine.forbid_master(device);
            }
            if let Some(place) = targets.list.get_mut(targets.length) {
                *place = Some(target);
                targets.length += 1;
            }
        }
        targets
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.list.iter().flatten()
    }

    pub(crate) fn any(&self, random: &mut Random) -> Option<&Target> {
        let index = random.below(self.length as u32) as usize;
        self.list.get(index)?.as_ref()
    }

    /// The QXL device, if there is one.
    pub(crate) fn qxl(&self) -> Option<(&Target, Qxl)> {
        let qxl = self.qxl?;
        Some((self.list.get(qxl.index)?.as_ref()?, qxl))
    }

    /// Where the QXL device is now.
    pub(crate) fn map(&self) -> Option<QxlMap> {
        let (target, qxl) = self.qxl()?;
        let (ram, ram_size) = target.memory(0)?;
        let (vram, vram_size) = target.memory(1)?;
        let (rom, rom_size) = target.memory(2)?;
        Some(QxlMap {
            ram,
            ram_size,
            vram,
            vram_size,
            rom,
            rom_size,
            ports: target.ports(3)?,
            header: qxl.header,
        })
    }

    /// Brings config space back to what it was.
    pub(crate) fn restore(&self) {
        // Everything off first: a function that moves must find its place empty.
        self.iter().for_each(Target::restore);
        for target in self.iter() {
            target.function.write(COMMAND, target.command);
        }
    }

    /// Tells the machine where MSI-X tables and pvpanic's register are now.
    pub(crate) fn guard(&self, machine: &mut Machine) {
        for target in self.iter() {
            if let Some((base, _)) = target.memory(0).filter(|_| target.is_pvpanic) {
                machine.guard_panic(base);
            }
            let table = target.msix.and_then(|(_, bar)| target.memory(bar));
            if let Some((base, size)) = table {
                machine.guard_table(target.function.device(), base, base.saturating_add(size));
            }
        }
    }
}

/// Offset of the RAM header, as the ROM has it.
fn header_of(target: &Target) -> Option<u32> {
    let command = target.function.read(COMMAND) & 0xffff;
    target.function.enable();
    let (rom, _) = target.memory(2)?;
    let (_, ram_size) = target.memory(0)?;
    let word = |offset: usize| mmio::read(rom.checked_add(offset as u32)?, Width::B4);
    let magic = word(0)?;
    let header = word(abi::ROM_RAM_HEADER_OFFSET)? as u32;
    target.function.write(COMMAND, command);
    let end = header.checked_add(abi::RAM_HEADER_SIZE as u32)?;
    (magic == abi::ROM_MAGIC.into() && end <= ram_size).then_some(header)
}

/// Where the parts of the QXL device are.
#[derive(Clone, Copy)]
pub(crate) struct QxlMap {
    pub(crate) ram: u32,
    pub(crate) ram_size: u32,
    pub(crate) vram: u32,
    pub(crate) vram_size: u32,
    pub(crate) rom: u32,
    pub(crate) rom_size: u32,
    pub(crate) ports: u16,
    pub(crate) header: u32,
}

/// Slot of the RAM BAR, and of the surface BAR, in [`QxlMap::revive`].
pub(crate) const SLOT_RAM: u64 = 1;
pub(crate) const SLOT_VRAM: u64 = 2;
/// Where the slot id is in an address.
pub(crate) const SLOT_SHIFT: u32 = 56;

impl QxlMap {
    /// Address of a field of the RAM header.
    pub(crate) fn field(&self, offset: usize) -> u32 {
        self.ram.wrapping_add(self.header).wrapping_add(offset as u32)
    }

    fn write(&self, offset: usize, value: u32) {
        mmio::write(self.field(offset), Width::B4, value.into());
    }

    fn write64(&self, offset: usize, value: u64) {
        mmio::write(self.field(offset), Width::B8, value);
    }

    fn port(&self, number: u16, value: u8) {
        out8(self.ports.wrapping_add(number), value);
    }

    /// Resets the device.
    pub(crate) fn reset(&self) {
        self.port(abi::PORT_RESET, 0);
    }

    /// Makes a device that was reset draw again: slots, and a primary surface, so that nonsense meets a live device.
    pub(crate) fn revive(&self, width: u32, height: u32) {
        self.write(abi::RAM_INT_MASK, 0);
        for (slot, base, size) in [
            (SLOT_RAM, self.ram, self.ram_size),
            (SLOT_VRAM, self.vram, self.vram_size),
        ] {
            self.write64(abi::RAM_MEM_SLOT, base.into());
            self.write64(abi::RAM_MEM_SLOT + 8, u64::from(base) + u64::from(size));
            self.port(abi::PORT_MEMSLOT_ADD, slot as u8);
        }
        let surface = [width, height, width * 4, abi::FORMAT_32_XRGB, 0, 0, 0, 0];
        for (index, value) in surface.into_iter().enumerate() {
            self.write(abi::RAM_CREATE_SURFACE + 4 * index, value);
        }
        self.write64(abi::RAM_CREATE_SURFACE + 32, SLOT_VRAM << SLOT_SHIFT);
        self.port(abi::PORT_CREATE_PRIMARY, 0);
    }
}
