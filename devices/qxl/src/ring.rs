//! The rings (ABI 5, 10.3). Indices are free-running; the side this device owns is kept privately and only written out,
//! so that nothing the guest writes there can confuse it.

use serde::{Deserialize, Serialize};

use crate::{
    header::{COMMAND_RING_ITEMS, RELEASE_RING_ITEMS, RamHeader, offset},
    memory::{GuestMemory, Location},
};

/// A ring holds more entries than it has room for: the guest's index is nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ring} ring: guest index {guest:#x} against {own:#x}")]
pub(crate) struct RingCorrupt {
    ring: &'static str,
    guest: u32,
    own: u32,
}

/// One item of the command or cursor ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingItem {
    /// Slot address of the body.
    pub(crate) body: u64,
    /// Command type.
    pub(crate) kind: u32,
}

/// The device's end of a ring the guest fills.
#[derive(Debug)]
pub(crate) struct CommandRing {
    name: &'static str,
    base: u64,
    consumer: u32,
}

impl CommandRing {
    pub(crate) const fn command(consumer: u32) -> Self {
        Self {
            name: "command",
            base: offset::COMMAND_RING,
            consumer,
        }
    }

    pub(crate) const fn cursor(consumer: u32) -> Self {
        Self {
            name: "cursor",
            base: offset::CURSOR_RING,
            consumer,
        }
    }

    pub(crate) const fn consumer(&self) -> u32 {
        self.consumer
    }

    /// Entries waiting.
    pub(crate) fn waiting(&self, header: &RamHeader) -> Result<u32, RingCorrupt> {
        let producer = header.load(self.base + offset::RING_PRODUCER);
        let waiting = producer.wrapping_sub(self.consumer);
        if waiting > COMMAND_RING_ITEMS {
            return Err(RingCorrupt {
                ring: self.name,
                guest: producer,
                own: self.consumer,
            });
        }
        Ok(waiting)
    }

    /// Takes the next entry; the flag says that the guest wants to be told.
    pub(crate) fn take(&mut self, header: &RamHeader) -> Result<Option<(RingItem, bool)>, RingCorrupt> {
        if self.waiting(header)? == 0 {
            return Ok(None);
        }
        let index = u64::from(self.consumer % COMMAND_RING_ITEMS);
        let bytes: [u8; 16] = header.read(self.base + offset::RING_ITEMS + 16 * index);
        let [body @ .., _, _, _, _] = bytes;
        let [b0, b1, b2, b3, b4, b5, b6, b7, k0, k1, k2, k3] = body;
        let item = RingItem {
            body: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
            kind: u32::from_le_bytes([k0, k1, k2, k3]),
        };
        self.consumer = self.consumer.wrapping_add(1);
        header.store(self.base + offset::RING_CONSUMER, self.consumer);
        RamHeader::barrier();
        let notify = header.load(self.base + offset::RING_NOTIFY_ON_CONSUMER) == self.consumer;
        Ok(Some((item, notify)))
    }

    /// Asks for a doorbell at the next entry. Whether one arrived meanwhile, so that no doorbell will come.
    pub(crate) fn arm(&self, header: &RamHeader) -> Result<bool, RingCorrupt> {
        header.store(
            self.base + offset::RING_NOTIFY_ON_PRODUCER,
            self.consumer.wrapping_add(1),
        );
        RamHeader::barrier();
        Ok(self.waiting(header)? > 0)
    }
}

/// A command the device has finished with, or will: what goes back to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The guest's cookie, read when the command was taken.
    pub(crate) id: u64,
    /// The first 8 bytes of the body, validated then.
    pub(crate) body: Location,
}

/// Finished commands not published yet: a chain through the first 8 bytes of their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) last: Location,
    pub(crate) count: u32,
}

impl Batch {
    /// The cell the next link goes into.
    pub(crate) const fn last(&self) -> Location {
        self.last
    }
}

/// The device's end of the release ring. The ring entry is written when a batch is published, not before.
#[derive(Debug)]
pub(crate) struct ReleaseRing {
    producer: u32,
    pub(crate) batch: Option<Batch>,
}

impl ReleaseRing {
    /// Commands after which a batch is published even while the device is busy.
    const FULL_BATCH: u32 = 32;

    pub(crate) const fn new(producer: u32, batch: Option<Batch>) -> Self {
        Self { producer, batch }
    }

    pub(crate) const fn producer(&self) -> u32 {
        self.producer
    }

    pub(crate) const fn batch(&self) -> Option<Batch> {
        self.batch
    }

    /// Adds a finished command to the chain.
    pub(crate) fn add(&mut self, memory: &GuestMemory, held: Held) {
        memory.write(held.body, &[0; 8]);
        self.batch = Some(match self.batch {
            None => Batch {
                first: held.id,
                last: held.body,
                count: 1,
            },
            Some(batch) => {
                memory.write(batch.last, &held.id.to_le_bytes());
                Batch {
                    first: batch.first,
                    last: held.body,
                    count: batch.count.saturating_add(1),
                }
            }
        });
    }

    /// Whether the batch is large enough to be published at once.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.is_some_and(|batch| batch.count >= Self::FULL_BATCH)
    }

    /// Whether the guest has taken everything published.
    pub(crate) fn is_empty(&self, header: &RamHeader) -> Result<bool, RingCorrupt> {
        Ok(self.visible(header)? == 0)
    }

    /// Publishes the batch. Whether it did: not when there is none or the ring has no room (one entry stays free).
    pub(crate) fn publish(&mut self, header: &RamHeader) -> Result<bool, RingCorrupt> {
        let Some(batch) = self.batch else { return Ok(false) };
        if self.visible(header)? + 1 >= RELEASE_RING_ITEMS {
            return Ok(false);
        }
        self.write_item(header, batch.first);
        RamHeader::barrier();
        self.producer = self.producer.wrapping_add(1);
        header.store(offset::RELEASE_RING + offset::RING_PRODUCER, self.producer);
        RamHeader::barrier();
        self.write_item(header, 0);
        self.batch = None;
        Ok(true)
    }

    fn write_item(&self, header: &RamHeader, id: u64) {
        let index = u64::from(self.producer % RELEASE_RING_ITEMS);
        header.write(offset::RELEASE_RING + offset::RING_ITEMS + 8 * index, &id.to_le_bytes());
    }

    fn visible(&self, header: &RamHeader) -> Result<u32, RingCorrupt> {
        let consumer = header.load(offset::RELEASE_RING + offset::RING_CONSUMER);
        let visible = self.producer.wrapping_sub(consumer);
        if visible > RELEASE_RING_ITEMS {
            return Err(RingCorrupt {
                ring: "release",
                guest: consumer,
                own: self.producer,
            });
        }
        Ok(visible)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
