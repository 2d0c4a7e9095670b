//! PCI configuration by ports cf8/cfc, and finding a device on bus 0.

use crate::cpu::{in32, out32};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

const COMMAND: u8 = 0x04;
const COMMAND_IO: u32 = 1;
const COMMAND_MEMORY: u32 = 2;
const COMMAND_MASTER: u32 = 4;
const COMMAND_INTX_OFF: u32 = 1 << 10;
const HEADER_TYPE: u8 = 0x0c;
const MULTI_FUNCTION: u32 = 1 << 23;
const FIRST_BAR: u8 = 0x10;
const EXPANSION_ROM: u8 = 0x30;
const ROM_ENABLE: u32 = 1;
const ROM_BASE: u32 = !0x7ff;
const BARS: u8 = 6;

/// A function on bus 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    device: u8,
    function: u8,
}

/// A 32-bit memory BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBar {
    /// Guest-physical base.
    pub base: u32,
    /// Size in bytes, a power of two.
    pub size: u32,
}

impl Function {
    /// The function with these numbers (below 32 and 8) on bus 0, whether there is one or not.
    pub const fn new(device: u8, function: u8) -> Self {
        Self {
            device: device & 31,
            function: function & 7,
        }
    }

    /// Its device number.
    pub const fn device(self) -> u8 {
        self.device
    }

    /// Its function number.
    pub const fn function(self) -> u8 {
        self.function
    }

    /// Whether something answers there.
    pub fn exists(self) -> bool {
        self.read(0) != u32::MAX
    }

    fn select(self, register: u8) {
        let address =
            0x8000_0000 | (u32::from(self.device) << 11) | (u32::from(self.function) << 8) | u32::from(register & 0xfc);
        out32(ADDRESS, address);
    }

    /// Reads the configuration doubleword at a multiple of 4.
    pub fn read(self, register: u8) -> u32 {
        self.select(register);
        in32(DATA)
    }

    /// Writes the configuration doubleword at a multiple of 4.
    pub fn write(self, register: u8, value: u32) {
        self.select(register);
        out32(DATA, value);
    }

    /// The revision id.
    pub fn revision(self) -> u8 {
        self.read(0x08) as u8
    }

    /// Lets the function decode its BARs and raise INTx.
    pub fn enable(self) {
        // The upper half is the status register: its bits are cleared by writing ones.
        let command = self.read(COMMAND) & 0xffff;
        self.write(
            COMMAND,
            (command | COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER) & !COMMAND_INTX_OFF,
        );
    }

    /// Base port of an I/O BAR that has been assigned.
    pub fn io_bar(self, index: u8) -> Option<u16> {
        let value = self.read(bar_register(index)?);
        (value & 1 == 1 && value & 0xfffc != 0).then_some((value & 0xfffc) as u16)
    }

    /// Base and size of a 32-bit memory BAR that has been assigned. The function does not decode while it is sized.
    pub fn memory_bar(self, index: u8) -> Option<MemoryBar> {
        let register = bar_register(index)?;
        let value = self.read(register);
        // I/O, or 64 bits wide.
        if value & 1 == 1 || value & 6 != 0 {
            return None;
        }
        let command = self.read(COMMAND) & 0xffff;
        self.write(COMMAND, command & !(COMMAND_IO | COMMAND_MEMORY));
        self.write(register, u32::MAX);
        let mask = self.read(register) & !0xf;
        self.write(register, value);
        self.write(COMMAND, command);
        let base = value & !0xf;
        (mask != 0 && base != 0).then_some(MemoryBar {
            base,
            size: mask.wrapping_neg(),
        })
    }

    /// Lets the expansion ROM answer; its base if it has one that has been assigned. With [`Self::enable`].
    pub fn enable_expansion_rom(self) -> Option<u32> {
        let base = self.read(EXPANSION_ROM) & ROM_BASE;
        if base == 0 {
            return None;
        }
        self.write(EXPANSION_ROM, base | ROM_ENABLE);
        Some(base)
    }

    /// Takes the expansion ROM out of the address space.
    pub fn disable_expansion_rom(self) {
        self.write(EXPANSION_ROM, self.read(EXPANSION_ROM) & ROM_BASE);
    }
}

fn bar_register(index: u8) -> Option<u8> {
    (index < BARS).then_some(FIRST_BAR + 4 * index)
}

/// The first function on bus 0 with these ids.
pub fn find(vendor: u16, device: u16) -> Option<Function> {
    let wanted = u32::from(vendor) | (u32::from(device) << 16);
    for number in 0..32 {
        let first = Function {
            device: number,
            function: 0,
        };
        let ids = first.read(0);
        if ids == u32::MAX {
            continue;
        }
        if ids == wanted {
            return Some(first);
        }
        if first.read(HEADER_TYPE) & MULTI_FUNCTION == 0 {
            continue;
        }
        let others = (1..8).map(|function| Function {
            device: number,
            function,
        });
        if let Some(found) = others.into_iter().find(|function| function.read(0) == wanted) {
            return Some(found);
        }
    }
    None
}
