//! Guest structures to owned values. Every field is read once: a structure is copied out of guest memory, and what is
//! checked is the copy. A structure that cannot be is [`Malformed`]; the command it belongs to is dropped and released.

mod chunks;
mod composite;
pub(crate) mod drawable;
mod envelope;
mod image;
mod shapes;

pub(crate) use caraway_ports::layout::Fields;
pub(crate) use chunks::{ChunkLimit, Chunks};

use caraway_ports::layout;

use crate::memory::{GuestMemory, Location, SlotTable};

/// Bytes all parts of one command may take on the host: the largest primary surface and room for its lists.
pub(crate) const COMMAND_BUDGET: u64 = (256 << 20) + (1 << 20);

/// Why a guest structure cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("no {length} bytes at address {address:#x}")]
    Address { address: u64, length: u64 },
    #[error("{field} = {value:#x}")]
    Value { field: &'static str, value: u64 },
    #[error("{field} is too short")]
    Short { field: &'static str },
    #[error("{0} bytes are more than a command may take")]
    Budget(u64),
}

impl From<layout::Malformed> for Malformed {
    fn from(reason: layout::Malformed) -> Self {
        match reason {
            layout::Malformed::Value { field, value } => Self::value(field, value),
            layout::Malformed::Short { field } => Self::Short { field },
        }
    }
}

impl Malformed {
    pub(crate) fn value(field: &'static str, value: impl TryInto<u64>) -> Self {
        Self::Value {
            field,
            value: value.try_into().unwrap_or(u64::MAX),
        }
    }
}

/// How the guest lays out commands and says colours (ABI 17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As drivers do since there are slots.
    #[default]
    Native,
    /// As the first drivers did: other drawables, one surface.
    Compat,
    /// The same; solid brushes and palettes are x1r5g5b5.
    Compat16,
}

impl Layout {
    /// The layout in a SET_MODE mode of 16 or 32 bits.
    pub(crate) const fn of_bits(bits: u32) -> Self {
        if bits == 16 { Self::Compat16 } else { Self::Compat }
    }

    pub(crate) const fn is_compat(self) -> bool {
        !matches!(self, Self::Native)
    }

    /// A colour as 0x00RRGGBB; the high bits of five fill the low ones of eight.
    const fn colour(self, colour: u32) -> u32 {
        if !matches!(self, Self::Compat16) {
            return colour;
        }
        let (red, green, blue) = (colour >> 10 & 0x1f, colour >> 5 & 0x1f, colour & 0x1f);
        (red << 3 | red >> 2) << 16 | (green << 3 | green >> 2) << 8 | (blue << 3 | blue >> 2)
    }
}

/// Guest memory as one command may see it, with what it may still copy.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    memory: &'a GuestMemory,
    slots: &'a SlotTable,
    layout: Layout,
    budget: u64,
}

impl<'a> Guest<'a> {
    pub(crate) const fn new(memory: &'a GuestMemory, slots: &'a SlotTable) -> Self {
        Self {
            memory,
            slots,
            layout: Layout::Native,
            budget: COMMAND_BUDGET,
        }
    }

    /// The same memory, read as a driver of this layout means it.
    pub(crate) const fn with_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }

    /// Where `length` bytes at `address` are.
    pub(crate) fn resolve(&self, address: u64, length: u64) -> Result<Location, Malformed> {
        self.slots.resolve(address, length)
    }

    /// Bytes from `address` to the end of its slot.
    pub(crate) fn room(&self, address: u64) -> Result<u64, Malformed> {
        self.slots.room(address)
    }

    /// Copies `N` bytes at `address + offset`; the structure from `address` on lies in one slot.
    pub(crate) fn read<const N: usize>(&self, address: u64, offset: u64) -> Result<[u8; N], Malformed> {
        let place = self.resolve(address, offset.saturating_add(N as u64))?.plus(offset);
        let mut bytes = [0; N];
        self.memory.read(place, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies `length` bytes at `address + offset`, within the budget.
    pub(crate) fn read_vec(&mut self, address: u64, offset: u64, length: u64) -> Result<Vec<u8>, Malformed> {
        let place = self.resolve(address, offset.saturating_add(length))?.plus(offset);
        let mut bytes = self.allocate(length)?;
        self.memory.read(place, &mut bytes)?;
        Ok(bytes)
    }

    /// Zero bytes to copy into, within the budget.
    pub(crate) fn allocate(&mut self, length: u64) -> Result<Vec<u8>, Malformed> {
        self.charge(length)?;
        usize::try_from(length)
            .map(|length| vec![0; length])
            .map_err(|_| Malformed::Budget(length))
    }

    /// Takes from the budget.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Malformed> {
        self.budget = self.budget.checked_sub(bytes).ok_or(Malformed::Budget(bytes))?;
        Ok(())
    }
}

#[cfg(test)]
mod compat_tests;
#[cfg(test)]
mod drawable_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod pointer_tests;
#[cfg(test)]
mod reads_tests;
