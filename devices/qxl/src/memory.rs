//! Addresses in commands (ABI 9): memory slots, and the one checked way from a guest's address to bytes.

use caraway_base::memory::SharedMemory;
use serde::{Deserialize, Serialize};

use crate::parse::Malformed;

/// Slot ids run below this.
pub(crate) const SLOT_COUNT: usize = 8;
/// Bits of an address that are an offset into the slot.
const OFFSET_BITS: u32 = 48;

/// Which of the device's memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Region {
    /// Behind BAR 0.
    Ram,
    /// Behind BAR 1 and BAR 4.
    Vram,
}

/// A place in the device's memory that was checked against its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Location {
    pub(crate) region: Region,
    pub(crate) offset: u64,
}

impl Location {
    /// `bytes` further on; the caller knows that this is inside what was checked.
    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self {
            region: self.region,
            offset: self.offset.saturating_add(bytes),
        }
    }
}

/// A range the guest may address. Kept relative to the memory, so that a BAR that moves takes its slots along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) region: Region,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Offset in an address that names its first byte. 0, except in the slot of SET_MODE, where addresses are those of
    /// the guest's physical memory.
    pub(crate) bias: u64,
}

/// The guest's slots. Their generation is always 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SlotTable([Option<Slot>; SLOT_COUNT]);

impl SlotTable {
    pub(crate) fn get(&self, id: u8) -> Option<Slot> {
        self.0.get(usize::from(id)).copied().flatten()
    }

    /// Sets or clears a slot; ids past the table are ignored.
    pub(crate) fn set(&mut self, id: u8, slot: Option<Slot>) {
        if let Some(place) = self.0.get_mut(usize::from(id)) {
            *place = slot;
        }
    }

    /// Whether every slot lies inside `memory` and has a bias only if it is the slot of SET_MODE.
    pub(crate) fn fits(&self, memory: &GuestMemory) -> bool {
        self.0.iter().enumerate().all(|(id, slot)| {
            slot.is_none_or(|slot| {
                let biased = id == 0 && slot.region == Region::Ram && slot.bias < 1 << OFFSET_BITS;
                memory.of(slot.region).contains(slot.offset, slot.size) && (slot.bias == 0 || biased)
            })
        })
    }

    /// Where `length` bytes at `address` are: the slot is there, the generation is its own, all bytes are inside.
    pub(crate) fn resolve(&self, address: u64, length: u64) -> Result<Location, Malformed> {
        self.find(address, length)
            .map(|(slot, offset)| Location {
                region: slot.region,
                offset: slot.offset + offset,
            })
            .ok_or(Malformed::Address { address, length })
    }

    /// Bytes from `address` to the end of its slot.
    pub(crate) fn room(&self, address: u64) -> Result<u64, Malformed> {
        self.find(address, 0)
            .map(|(slot, offset)| slot.size - offset)
            .ok_or(Malformed::Address { address, length: 0 })
    }

    /// The slot of an address and the offset in it, `length` bytes before its end or more.
    fn find(&self, address: u64, length: u64) -> Option<(Slot, u64)> {
        let [.., generation, id] = address.to_le_bytes();
        let slot = self.get(id).filter(|_| generation == 0)?;
        let offset = (address & ((1 << OFFSET_BITS) - 1)).checked_sub(slot.bias)?;
        (offset.checked_add(length)? <= slot.size).then_some((slot, offset))
    }
}

/// The memory behind the BARs.
#[derive(Clone, Debug)]
pub(crate) struct GuestMemory {
    pub(crate) ram: SharedMemory,
    pub(crate) vram: SharedMemory,
}

impl GuestMemory {
    pub(crate) const fn of(&self, region: Region) -> &SharedMemory {
        match region {
            Region::Ram => &self.ram,
            Region::Vram => &self.vram,
        }
    }

    /// Bytes in all.
    pub(crate) fn size(&self) -> u64 {
        self.ram.size().saturating_add(self.vram.size())
    }

    /// Copies out of a checked place.
    pub(crate) fn read(&self, at: Location, into: &mut [u8]) -> Result<(), Malformed> {
        self.of(at.region)
            .read(at.offset, into)
            .map_err(|_| Malformed::Address {
                address: at.offset,
                length: into.len() as u64,
            })
    }

    /// Copies into a checked place.
    pub(crate) fn write(&self, at: Location, bytes: &[u8]) {
        if let Err(error) = self.of(at.region).write(at.offset, bytes) {
            tracing::error!(%error, "a checked place is outside the device's memory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SlotTable {
        let mut table = SlotTable::default();
        table.set(
            1,
            Some(Slot {
                region: Region::Ram,
                offset: 0x1000,
                size: 0x2000,
                bias: 0,
            }),
        );
        table.set(
            7,
            Some(Slot {
                region: Region::Vram,
                offset: 0,
                size: 0,
                bias: 0,
            }),
        );
        table
    }

    #[test]
    fn an_address_resolves_up_to_the_last_byte_of_its_slot() {
        let at = |offset: u64, length| table().resolve(1 << 56 | offset, length);
        assert_eq!(
            at(0x10, 4).unwrap(),
            Location {
                region: Region::Ram,
                offset: 0x1010
            }
        );
        assert!(at(0x1fff, 1).is_ok() && at(0, 0x2000).is_ok() && at(0x2000, 0).is_ok());
        assert!(at(0x1fff, 2).is_err() && at(0x2000, 1).is_err() && at(0x2001, 0).is_err());
        assert!(at(0xffff_ffff_ffff, u64::MAX).is_err(), "no overflow");
    }

    #[test]
    fn wrong_slots_and_generations_are_refused() {
        let table = table();
        for high in [0x0000, 0x0101, 0x01ff, 0x0200, 0x0800, 0xff00, 0xffff_u64] {
            assert!(table.resolve(high << 48, 0).is_err(), "{high:x}");
        }
        assert!(table.resolve(0x0700 << 48, 0).is_ok(), "an empty slot holds no byte");
        assert!(table.resolve(0x0700 << 48, 1).is_err());
    }

    #[test]
    fn room_counts_to_the_end_of_the_slot() {
        assert_eq!(table().room(0x0100 << 48 | 0x1f00).unwrap(), 0x100);
        assert!(table().room(0x0100 << 48 | 0x3000).is_err());
    }
}
