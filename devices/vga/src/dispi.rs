//! The Bochs dispi extension: an index and a data port, and a linear frame buffer at the start of BAR 0.
//!
//! The guest may write any value; a mode is set when it turns the extension on, and then every value is brought to what
//! the memory can show. All limits follow from the size of that memory, never from what was written.

use serde::{Deserialize, Serialize};

/// Ids a guest may write to see what the device can do; the newest is what it has at reset.
const OLDEST_ID: u16 = 0xb0c0;
const NEWEST_ID: u16 = 0xb0c5;
/// Largest mode.
const MOST_X: u16 = 16000;
const MOST_Y: u16 = 12000;
const MOST_BPP: u16 = 32;
/// Bits of ENABLE.
const ENABLED: u16 = 0x01;
const GET_CAPS: u16 = 0x02;
const EIGHT_BIT_DAC: u16 = 0x20;
const NO_CLEAR: u16 = 0x80;

/// Registers behind 0x1ce and 0x1cf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispi {
    index: u16,
    id: u16,
    x: u16,
    y: u16,
    bpp: u16,
    enable: u16,
    bank: u16,
    /// The bank that counts, in 64 KiB: writes of ENABLE take it back to 0 but leave the register.
    effective_bank: u16,
    virtual_width: u16,
    virtual_height: u16,
    x_offset: u16,
    y_offset: u16,
    /// Bytes the modes may use.
    memory: u64,
    /// What a bank may be.
    bank_mask: u16,
}

/// What a write changed besides the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// The mode that is on has other numbers.
    Geometry,
    /// A mode was set. The first bytes of the memory are to be zeroed.
    ModeSet { clear: u64 },
}

/// A mode as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Pixels across, a multiple of 8.
    pub(crate) width: u32,
    /// Lines; `height * line` bytes at `start` are in the memory.
    pub(crate) height: u32,
    /// 4, 8, 15, 16, 24 or 32.
    pub(crate) depth: u16,
    /// Bytes from line to line.
    pub(crate) line: u32,
    /// First byte, a multiple of 4.
    pub(crate) start: u64,
}

impl Layout {
    pub(crate) const fn is_planar(&self) -> bool {
        self.depth == 4
    }
}

impl Dispi {
    /// `memory` is what modes may use (vgamem), `bar` the size of the BAR the banks reach.
    pub(crate) fn new(memory: u64, bar: u64) -> Self {
        Self {
            index: 0,
            id: NEWEST_ID,
            x: 0,
            y: 0,
            bpp: 0,
            enable: 0,
            bank: 0,
            effective_bank: 0,
            virtual_width: 0,
            virtual_height: 0,
            x_offset: 0,
            y_offset: 0,
            memory,
            bank_mask: u16::try_from((bar >> 16).saturating_sub(1)).unwrap_or(u16::MAX),
        }
    }

    /// Bytes the modes may use.
    pub(crate) const fn memory(&self) -> u64 {
        self.memory
    }

    pub(crate) const fn is_enabled(&self) -> bool {
        self.enable & ENABLED != 0
    }

    pub(crate) const fn has_eight_bit_dac(&self) -> bool {
        self.enable & EIGHT_BIT_DAC != 0
    }

    /// First byte of the bank.
    pub(crate) fn bank_start(&self) -> u64 {
        u64::from(self.effective_bank) << 16
    }

    pub(crate) const fn index(&self) -> u16 {
        self.index
    }

    pub(crate) const fn set_index(&mut self, index: u16) {
        self.index = index;
    }

    pub(crate) fn read(&self) -> u16 {
        let capabilities = self.enable & GET_CAPS != 0;
        match self.index {
            0 => self.id,
            1 if capabilities => MOST_X,
            1 => self.x,
            2 if capabilities => MOST_Y,
            2 => self.y,
            3 if capabilities => MOST_BPP,
            3 => self.bpp,
            4 => self.enable,
            5 => self.bank,
            6 => self.virtual_width,
            7 => self.virtual_height,
            8 => self.x_offset,
            9 => self.y_offset,
            0xa => u16::try_from(self.memory >> 16).unwrap_or(u16::MAX),
            _ => 0,
        }
    }

    pub(crate) fn write(&mut self, value: u16) -> Change {
        match self.index {
            0 if (OLDEST_ID..=NEWEST_ID).contains(&value) => self.id = value,
            4 => return self.write_enable(value),
            5 => {
                self.bank = value & self.bank_mask;
                self.effective_bank = self.bank;
            }
            1 | 2 | 3 | 6 | 8 | 9 => {
                match self.index {
                    1 => self.x = value,
                    2 => self.y = value,
                    3 => self.bpp = value,
                    6 => self.virtual_width = value,
                    8 => self.x_offset = value,
                    _ => self.y_offset = value,
                }
                if self.is_enabled() {
                    self.fix_up();
                    return Change::Geometry;
                }
            }
            _ => {}
        }
        Change::None
    }

    fn write_enable(&mut self, value: u16) -> Change {
        let turned_on = value & ENABLED != 0 && !self.is_enabled();
        self.enable = value;
        if !turned_on {
            self.effective_bank = 0;
            return Change::None;
        }
        self.virtual_width = 0;
        self.x_offset = 0;
        self.y_offset = 0;
        self.fix_up();
        let used = u64::from(self.y) * self.line();
        Change::ModeSet {
            clear: if value & NO_CLEAR == 0 { used } else { 0 },
        }
    }

    /// Brings the registers to what the memory can show. Doing it twice changes nothing more.
    fn fix_up(&mut self) {
        if !matches!(self.bpp, 4 | 8 | 15 | 16 | 24 | 32) {
            self.bpp = 8;
        }
        self.x = (self.x & !7).clamp(8, MOST_X);
        self.virtual_width = (self.virtual_width & !7).clamp(self.x, MOST_X);
        let line = self.line();
        // A line has four bytes at least: eight pixels of four bits.
        let most_y = self.memory / line.max(4);
        let least = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
        self.y = self.y.clamp(1, MOST_Y).min(least(most_y));
        self.x_offset = self.x_offset.min(MOST_X);
        self.y_offset = self.y_offset.min(MOST_Y);
        let shown = u64::from(self.y) * line;
        if self.offset() + shown > self.memory {
            self.y_offset = 0;
            if self.offset() + shown > self.memory {
                self.x_offset = 0;
            }
        }
        self.virtual_height = least(most_y);
    }

    /// Bytes of a line, 64000 at most.
    fn line(&self) -> u64 {
        u64::from(self.virtual_width) * self.bits() / 8
    }

    fn bits(&self) -> u64 {
        if self.bpp == 15 { 16 } else { u64::from(self.bpp) }
    }

    fn offset(&self) -> u64 {
        u64::from(self.x_offset) * self.bits() / 8 + u64::from(self.y_offset) * self.line()
    }

    /// The mode that is on.
    pub(crate) fn layout(&self) -> Option<Layout> {
        self.is_enabled().then(|| Layout {
            width: u32::from(self.x),
            height: u32::from(self.y),
            depth: self.bpp,
            line: u32::try_from(self.line()).unwrap_or(u32::MAX),
            start: self.offset() & !3,
        })
    }

    /// A field that no guest can have made so, on a device like `fresh`.
    pub(crate) fn impossible(&self, fresh: &Self) -> Option<(&'static str, u64)> {
        if self.memory != fresh.memory {
            return Some(("vgamem", self.memory));
        }
        if self.bank_mask != fresh.bank_mask {
            return Some(("dispi bank mask", self.bank_mask.into()));
        }
        if !(OLDEST_ID..=NEWEST_ID).contains(&self.id) {
            return Some(("dispi id", self.id.into()));
        }
        if self.bank & !self.bank_mask != 0 || ![0, self.bank].contains(&self.effective_bank) {
            return Some(("dispi bank", self.effective_bank.into()));
        }
        let mut fixed = self.clone();
        fixed.fix_up();
        (self.is_enabled() && fixed != *self).then_some(("dispi mode", self.x.into()))
    }
}
