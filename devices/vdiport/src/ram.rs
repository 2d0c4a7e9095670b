//! VDIPortRam, at the start of BAR 1: what device and guest share.

use caraway_base::memory::{SharedMemory, full_barrier};

/// Bytes of BAR 1.
pub const BAR_SIZE: u64 = 64 << 10;

/// Bytes of it that have a meaning.
pub(crate) const RAM_SIZE: u64 = 0x80b8;
/// Packets of a ring.
pub(crate) const RING_ITEMS: u32 = 32;
/// Bytes of a packet, and of the data in it.
pub(crate) const PACKET_SIZE: u64 = 512;
pub(crate) const PACKET_DATA: usize = 504;

const MAGIC: u32 = u32::from_le_bytes(*b"VDIP");

/// Offsets.
pub(crate) mod offset {
    pub(crate) const MAGIC: u64 = 0x0000;
    pub(crate) const GENERATION: u64 = 0x0004;
    pub(crate) const INT_PENDING: u64 = 0x0008;
    pub(crate) const INT_MASK: u64 = 0x000c;
    /// What the guest puts.
    pub(crate) const INPUT: u64 = 0x0010;
    /// What the guest takes.
    pub(crate) const OUTPUT: u64 = 0x4024;
    pub(crate) const RESERVED: u64 = 0x8038;
    // Inside a ring.
    pub(crate) const RING_ITEM_COUNT: u64 = 0x00;
    pub(crate) const RING_PRODUCER: u64 = 0x04;
    pub(crate) const RING_NOTIFY_ON_PRODUCER: u64 = 0x08;
    pub(crate) const RING_CONSUMER: u64 = 0x0c;
    pub(crate) const RING_NOTIFY_ON_CONSUMER: u64 = 0x10;
    pub(crate) const RING_ITEMS: u64 = 0x14;
    // Inside a packet.
    pub(crate) const PACKET_DATA: u64 = 0x08;
}

const RING_SIZE: u64 = offset::RING_ITEMS + PACKET_SIZE * RING_ITEMS as u64;

const _: () = {
    assert!(RING_SIZE == 16404);
    assert!(offset::INPUT + RING_SIZE == offset::OUTPUT);
    assert!(offset::OUTPUT + RING_SIZE == offset::RESERVED);
    assert!(offset::RESERVED + 4 * 32 == RAM_SIZE);
    assert!(offset::PACKET_DATA + PACKET_DATA as u64 == PACKET_SIZE);
    assert!(RAM_SIZE <= BAR_SIZE);
};

/// The structure. Its fields lie inside the memory and are aligned by construction, so accesses cannot fail; should one
/// all the same, reads give 0.
#[derive(Clone, Debug)]
pub(crate) struct PortRam(
    SharedMemory,
    #[cfg(feature = "misbehave")] std::sync::Arc<crate::misbehave::Faults>,
);

impl PortRam {
    /// In the memory of BAR 1.
    pub(crate) fn new(memory: SharedMemory) -> Self {
        Self(
            memory,
            #[cfg(feature = "misbehave")]
            std::sync::Arc::default(),
        )
    }

    #[cfg(feature = "misbehave")]
    pub(crate) fn faults(&self) -> &crate::misbehave::Faults {
        &self.1
    }

    /// As after power-on. What lies behind the structure stays.
    pub(crate) fn reset(&self) {
        if let Err(error) = self.0.zero(0, RAM_SIZE) {
            misplaced(&error);
        }
        for ring in [offset::INPUT, offset::OUTPUT] {
            self.store(ring + offset::RING_ITEM_COUNT, RING_ITEMS);
            self.store(ring + offset::RING_NOTIFY_ON_PRODUCER, 1);
        }
        self.store(offset::MAGIC, MAGIC);
        #[cfg(feature = "misbehave")]
        self.spoil();
    }

    pub(crate) fn load(&self, field: u64) -> u32 {
        self.0.load_u32(field).unwrap_or(0)
    }

    pub(crate) fn store(&self, field: u64, value: u32) {
        if let Err(error) = self.0.store_u32(field, value) {
            misplaced(&error);
        }
    }

    /// Sets bits; the value before.
    pub(crate) fn or(&self, field: u64, bits: u32) -> u32 {
        self.0.or_u32(field, bits).unwrap_or(0)
    }

    /// Copies out, once.
    pub(crate) fn read(&self, field: u64, into: &mut [u8]) {
        if let Err(error) = self.0.read(field, into) {
            misplaced(&error);
        }
    }

    pub(crate) fn write(&self, field: u64, bytes: &[u8]) {
        if let Err(error) = self.0.write(field, bytes) {
            misplaced(&error);
        }
    }

    /// Publishes what was written before: the full barrier of the ring protocol.
    pub(crate) fn barrier() {
        full_barrier();
    }
}

fn misplaced(error: &caraway_base::memory::MemoryError) {
    tracing::error!(%error, "the rings of the VDIPort are not where they must be");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_zeroes_the_structure_and_keeps_what_lies_behind_it() {
        let memory = SharedMemory::allocate("ram", BAR_SIZE).unwrap();
        memory.write(0, &[0xa5; BAR_SIZE as usize]).unwrap();
        PortRam::new(memory.clone()).reset();
        let bytes = memory.read_vec(0, BAR_SIZE).unwrap();
        let (ram, behind) = bytes.split_at(32952);
        assert!(behind.iter().all(|byte| *byte == 0xa5));
        let mut expected = vec![0; 32952];
        for (at, value) in [
            (0x0000, u32::from_le_bytes([0x56, 0x44, 0x49, 0x50])),
            (0x0010, 32),
            (0x0018, 1),
            (0x4024, 32),
            (0x402c, 1),
        ] {
            expected[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        assert_eq!(u32::from_le_bytes([0x56, 0x44, 0x49, 0x50]), 0x5049_4456);
        assert!(ram == expected);
    }
}
