//! The device as vCPUs see it.

use caraway_base::{memory::SharedMemory, state::StateError};

use crate::{
    dirty::DirtyPages,
    dispi::{Change, Dispi},
    registers::Registers,
    scanout::Scanout,
    state::VgaState,
};

/// What a VGA is built from.
#[derive(Clone, Debug)]
pub struct VgaArgs {
    /// The memory of BAR 0.
    pub memory: SharedMemory,
    /// How many bytes from its start dispi modes may use; no more than there are. At least 64 KiB should be, or the
    /// widest modes have no line.
    pub vgamem: u64,
}

/// The registers, and the memory window at 0xa0000 through which they show BAR 0.
#[derive(Debug)]
pub struct Vga {
    pub(crate) memory: SharedMemory,
    pub(crate) registers: Registers,
    pub(crate) dispi: Dispi,
    /// The four planes of the last dword that was read through the window, plane 0 lowest.
    pub(crate) latch: u32,
    pub(crate) dirty: DirtyPages,
}

impl Vga {
    /// A VGA after power-on. The memory is taken as it is.
    #[must_use]
    pub fn new(args: VgaArgs) -> Self {
        let VgaArgs { memory, vgamem } = args;
        Self {
            registers: Registers::new(),
            dispi: Dispi::new(vgamem.min(memory.size()), memory.size()),
            latch: 0,
            dirty: DirtyPages::new(memory.size()),
            memory,
        }
    }

    /// Back to the state after power-on: the screen is blank. The memory stays as it is.
    pub fn reset(&mut self) {
        self.registers = Registers::new();
        self.dispi = self.fresh_dispi();
        self.latch = 0;
    }

    fn fresh_dispi(&self) -> Dispi {
        Dispi::new(self.dispi.memory(), self.memory.size())
    }

    /// The guest reads from a port of [`crate::PORTS`]. VGA registers have one byte: a wider access reads a register a
    /// byte. Those of dispi have 16 bits and are never split. Bytes nobody answers are ones.
    pub fn port_read(&mut self, port: u16, data: &mut [u8]) {
        if !is_dispi(port) {
            for (at, slot) in data.iter_mut().enumerate() {
                *slot = port_at(port, at).map_or(0xff, |port| self.registers.read(port));
            }
            return;
        }
        data.fill(0xff);
        for (number, pair) in data.chunks_exact_mut(2).enumerate() {
            let value = match port_at(port, 2 * number) {
                Some(0x1ce) => self.dispi.index(),
                Some(0x1cf | 0x1d0) => self.dispi.read(),
                _ => continue,
            };
            pair.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// The guest writes to a port of [`crate::PORTS`], split like [`Self::port_read`].
    pub fn port_write(&mut self, port: u16, data: &[u8]) {
        if !is_dispi(port) {
            for (at, byte) in data.iter().enumerate() {
                if let Some(port) = port_at(port, at) {
                    self.registers.write(port, *byte);
                }
            }
            // While a dispi mode is on, the registers that describe it cannot be changed.
            if let Some(layout) = self.dispi.layout() {
                self.registers.follow(&layout);
            }
            return;
        }
        for (number, pair) in data.chunks_exact(2).enumerate() {
            let &[low, high] = pair else { continue };
            let value = u16::from_le_bytes([low, high]);
            match port_at(port, 2 * number) {
                Some(0x1ce) => self.dispi.set_index(value),
                Some(0x1cf | 0x1d0) => self.write_dispi(value),
                _ => {}
            }
        }
    }

    fn write_dispi(&mut self, value: u16) {
        let change = self.dispi.write(value);
        if let (Change::Geometry | Change::ModeSet { .. }, Some(layout)) = (change, self.dispi.layout()) {
            self.registers.follow(&layout);
        }
        if let Change::ModeSet { clear } = change
            && self.memory.zero(0, clear).is_ok()
        {
            self.dirty.mark(0, clear);
        }
    }

    /// The sequencer as the memory window and the display see it. Software sets dispi modes without knowing that the
    /// sequencer must be in a state that goes with them, so it is; what the guest reads is what it wrote.
    pub(crate) fn sequencer(&self) -> [u8; 8] {
        let mut sr = self.registers.sr;
        match self.dispi.layout() {
            Some(layout) if layout.is_planar() => sr[1] &= !0x08,
            Some(_) => {
                sr[2] = 0x0f;
                sr[4] |= 0x08;
            }
            None => {}
        }
        sr
    }

    /// Adds the pages of BAR 0 that were written through this device since the last call to `into`.
    pub fn take_dirty(&mut self, into: &mut DirtyPages) {
        into.merge(&self.dirty);
        self.dirty.clear();
    }

    /// What the registers say is on the screen.
    #[must_use]
    pub fn scanout(&self) -> Scanout {
        Scanout::new(self)
    }

    pub(crate) fn from_state(args: VgaArgs, state: VgaState) -> Result<Self, StateError> {
        let mut vga = Self::new(args);
        state.check(&vga.dispi)?;
        (vga.registers, vga.dispi, vga.latch) = state.into_parts();
        Ok(vga)
    }
}

const fn is_dispi(port: u16) -> bool {
    matches!(port, 0x1ce..=0x1d1)
}

fn port_at(port: u16, offset: usize) -> Option<u16> {
    port.checked_add(u16::try_from(offset).ok()?)
}
