//! The RAM header at the end of BAR 0 (ABI 4): the registers and rings device and guest share.

use caraway_base::memory::{SharedMemory, full_barrier};

/// Offsets inside the header.
pub(crate) mod offset {
    pub(crate) const MAGIC: u64 = 0x0000;
    pub(crate) const INT_PENDING: u64 = 0x0004;
    pub(crate) const INT_MASK: u64 = 0x0008;
    pub(crate) const LOG_BUFFER: u64 = 0x000c;
    pub(crate) const COMMAND_RING: u64 = 0x100c;
    pub(crate) const CURSOR_RING: u64 = 0x1220;
    pub(crate) const RELEASE_RING: u64 = 0x1434;
    pub(crate) const UPDATE_AREA: u64 = 0x1488;
    pub(crate) const UPDATE_SURFACE: u64 = 0x1498;
    pub(crate) const MEMORY_SLOT: u64 = 0x149c;
    pub(crate) const CREATE_SURFACE: u64 = 0x14ac;
    pub(crate) const MONITORS_CONFIG: u64 = 0x14dc;
    // Inside a ring.
    pub(crate) const RING_ITEM_COUNT: u64 = 0x00;
    pub(crate) const RING_PRODUCER: u64 = 0x04;
    pub(crate) const RING_NOTIFY_ON_PRODUCER: u64 = 0x08;
    pub(crate) const RING_CONSUMER: u64 = 0x0c;
    pub(crate) const RING_NOTIFY_ON_CONSUMER: u64 = 0x10;
    pub(crate) const RING_ITEMS: u64 = 0x14;
}

/// Bytes of the log buffer.
pub(crate) const LOG_BUFFER_SIZE: usize = 4096;
/// Items of the command ring and of the cursor ring.
pub(crate) const COMMAND_RING_ITEMS: u32 = 32;
/// Items of the release ring.
pub(crate) const RELEASE_RING_ITEMS: u32 = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"QXRA");

/// The header. Every access goes to the device's own mapping of it, never through a slot. The header lies inside the
/// memory and its fields are aligned by construction, so accesses cannot fail; should one all the same, reads give 0.
#[derive(Clone, Debug)]
pub(crate) struct RamHeader {
    memory: SharedMemory,
    base: u64,
}

impl RamHeader {
    /// The header at `base` of BAR 0's memory.
    pub(crate) const fn new(memory: SharedMemory, base: u64) -> Self {
        Self { memory, base }
    }

    /// Brings magic, interrupts, rings and the arguments a reset clears to their initial values (ABI 8.1 step 6).
    pub(crate) fn reset(&self) {
        for (ring, items) in [
            (offset::COMMAND_RING, COMMAND_RING_ITEMS),
            (offset::CURSOR_RING, COMMAND_RING_ITEMS),
            (offset::RELEASE_RING, RELEASE_RING_ITEMS),
        ] {
            self.store(ring + offset::RING_ITEM_COUNT, items);
            self.store(ring + offset::RING_PRODUCER, 0);
            self.store(ring + offset::RING_NOTIFY_ON_PRODUCER, 1);
            self.store(ring + offset::RING_CONSUMER, 0);
            self.store(ring + offset::RING_NOTIFY_ON_CONSUMER, 0);
        }
        self.write(offset::RELEASE_RING + offset::RING_ITEMS, &[0; 8]);
        self.store(offset::UPDATE_SURFACE, 0);
        self.write(offset::MONITORS_CONFIG, &[0; 8]);
        self.store(offset::INT_PENDING, 0);
        self.store(offset::INT_MASK, 0);
        self.store(offset::MAGIC, MAGIC);
    }

    pub(crate) fn load(&self, field: u64) -> u32 {
        self.memory.load_u32(self.base + field).unwrap_or(0)
    }

    pub(crate) fn store(&self, field: u64, value: u32) {
        if let Err(error) = self.memory.store_u32(self.base + field, value) {
            tracing::error!(%error, "the RAM header is not where it must be");
        }
    }

    /// Sets bits; the value before.
    pub(crate) fn or(&self, field: u64, bits: u32) -> u32 {
        self.memory.or_u32(self.base + field, bits).unwrap_or(0)
    }

    /// Copies `N` bytes out, once.
    pub(crate) fn read<const N: usize>(&self, field: u64) -> [u8; N] {
        let mut bytes = [0; N];
        match self.memory.read(self.base + field, &mut bytes) {
            Ok(()) => bytes,
            Err(_) => [0; N],
        }
    }

    pub(crate) fn write(&self, field: u64, bytes: &[u8]) {
        if let Err(error) = self.memory.write(self.base + field, bytes) {
            tracing::error!(%error, "the RAM header is not where it must be");
        }
    }

    /// Publishes what was written before: the full barrier of the ring protocol.
    pub(crate) fn barrier() {
        full_barrier();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_header_equals_the_reference_dump_and_keeps_the_rest() {
        let memory = SharedMemory::allocate("ram", 16384).unwrap();
        memory.write(0, &[0xa5; 16384]).unwrap();
        RamHeader::new(memory.clone(), 8192).reset();
        let bytes = memory.read_vec(8192, 8192).unwrap();
        let words = |at: usize, count: usize| -> Vec<u32> {
            bytes[at..at + 4 * count]
                .chunks(4)
                .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
                .collect()
        };
        assert_eq!(&bytes[..4], b"QXRA");
        assert_eq!(words(4, 2), [0, 0]);
        assert_eq!(words(0x100c, 5), [32, 0, 1, 0, 0]);
        assert_eq!(words(0x1220, 5), [32, 0, 1, 0, 0]);
        assert_eq!(words(0x1434, 7), [8, 0, 1, 0, 0, 0, 0]);
        assert_eq!(words(0x1498, 1), [0]);
        assert_eq!(bytes[0x14dc..0x14e4], [0; 8]);
        let kept = [
            0x0c..0x100c,
            0x1020..0x1220,
            0x1234..0x1434,
            0x1450..0x1498,
            0x149c..0x14dc,
            0x14e4..0x2000,
        ];
        for range in kept {
            assert!(bytes[range.clone()].iter().all(|byte| *byte == 0xa5), "{range:x?}");
        }
    }
}
