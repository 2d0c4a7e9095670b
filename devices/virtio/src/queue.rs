//! A split virtqueue (virtio 1.2, 2.7): descriptor chains are read once, checked as a whole, and then owned.
//!
//! Positions in the rings, event indices and the order of memory accesses are those of the virtio-queue crate, which many
//! monitors share and which is fuzzed and partly proved upstream. It ends a chain that breaks the rules without a word and
//! leaves it to its user where buffers lie; what is missing for a hostile driver is checked here.

use std::sync::{Arc, atomic::Ordering};

use caraway_base::memory::GuestRam;
use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{Queue, QueueOwnedT as _, QueueState, QueueT as _};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _};
use vmm_sys_util::eventfd::EventFd;

/// What a driver did wrong with its rings. The device cannot go on: it needs a reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The rings or their indices.
    #[error("queue {queue}: {source}")]
    Rings {
        /// Index of the queue.
        queue: u16,
        /// What is wrong.
        #[source]
        source: virtio_queue::Error,
    },
    /// A ring is not in guest RAM.
    #[error("queue {queue}: the {ring} at {address:#x} is not in guest RAM")]
    RingAddress {
        /// Index of the queue.
        queue: u16,
        /// Which of the three.
        ring: &'static str,
        /// Where the driver said it is.
        address: u64,
    },
    /// The available ring names a descriptor that is not there.
    #[error("queue {queue}: descriptor {head} of {size}")]
    Head {
        /// Index of the queue.
        queue: u16,
        /// The descriptor.
        head: u16,
        /// Descriptors there are.
        size: u16,
    },
    /// A chain that loops, leads out of its table, or has more descriptors than the queue.
    #[error("queue {queue}: the chain at descriptor {head} does not end as it should")]
    Chain {
        /// Index of the queue.
        queue: u16,
        /// Its first descriptor.
        head: u16,
    },
    /// A buffer for the device to read after one for it to write.
    #[error("queue {queue}: the chain at descriptor {head} mixes readable and writable buffers")]
    Order {
        /// Index of the queue.
        queue: u16,
        /// Its first descriptor.
        head: u16,
    },
    /// A buffer is not in guest RAM.
    #[error("{length} bytes at {address:#x} are not in guest RAM")]
    Buffer {
        /// Its start.
        address: u64,
        /// Its bytes.
        length: u32,
    },
    /// A chain is too short for what the device type asks.
    #[error("the chain has {length} bytes for {what}")]
    Short {
        /// What the bytes are for.
        what: &'static str,
        /// Bytes there are.
        length: u64,
    },
}

/// The buffers of a chain in one direction, in guest-physical addresses, all in RAM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    parts: Vec<(u64, u32)>,
    length: u64,
}

impl Buffers {
    /// Bytes in total, below 4 GiB.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Copies out from `offset` on.
    ///
    /// # Errors
    /// When the buffers end before, or are not in RAM.
    pub fn read(&self, ram: &GuestRam, offset: u64, into: &mut [u8]) -> Result<(), QueueError> {
        let mut rest = into;
        self.walk(offset, rest.len(), |address, count| {
            let (now, later) = std::mem::take(&mut rest)
                .split_at_mut_checked(count)
                .unwrap_or_default();
            rest = later;
            ram.read_slice(now, GuestAddress(address)).is_ok()
        })
    }

    /// Copies in from `offset` on.
    ///
    /// # Errors
    /// When the buffers end before, or are not in RAM.
    pub fn write(&self, ram: &GuestRam, offset: u64, from: &[u8]) -> Result<(), QueueError> {
        let mut rest = from;
        self.walk(offset, rest.len(), |address, count| {
            let (now, later) = rest.split_at_checked(count).unwrap_or_default();
            rest = later;
            ram.write_slice(now, GuestAddress(address)).is_ok()
        })
    }

    /// Calls with the address and length of each piece of the range.
    fn walk(&self, offset: u64, length: usize, mut copy: impl FnMut(u64, usize) -> bool) -> Result<(), QueueError> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(QueueError::Short {
                what: "a part of the request",
                length: self.length,
            });
        }
        let (mut skip, mut left) = (offset, length);
        for &(address, size) in &self.parts {
            if left == 0 {
                break;
            }
            let available = u64::from(size).saturating_sub(skip);
            if available > 0 {
                let count = usize::try_from(available).unwrap_or(usize::MAX).min(left);
                if !copy(address.saturating_add(skip), count) {
                    return Err(QueueError::Buffer { address, length: size });
                }
                left -= count;
            }
            skip = skip.saturating_sub(u64::from(size));
        }
        Ok(())
    }

    fn push(&mut self, address: u64, size: u32) {
        self.parts.push((address, size));
        self.length = self.length.saturating_add(u64::from(size));
    }
}

/// One request: the buffers the device reads, then those it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    head: u16,
    /// Readable by the device.
    pub readable: Buffers,
    /// Writable by the device.
    pub writable: Buffers,
}

/// A queue the driver has enabled, with the event its doorbell signals.
#[derive(Debug)]
pub struct VirtQueue {
    index: u16,
    queue: Queue,
    kick: Arc<EventFd>,
}

impl VirtQueue {
    /// Builds a queue and checks that its rings are where they can be.
    ///
    /// # Errors
    /// When size or addresses cannot be.
    pub fn new(index: u16, state: QueueState, ram: &GuestRam, kick: Arc<EventFd>) -> Result<Self, QueueError> {
        let queue = Queue::try_from(state).map_err(|source| QueueError::Rings { queue: index, source })?;
        let size = usize::from(queue.size());
        // With the two event fields, whether they are used or not.
        for (ring, address, bytes) in [
            ("descriptor table", queue.desc_table(), size * 16),
            ("available ring", queue.avail_ring(), 6 + size * 2),
            ("used ring", queue.used_ring(), 6 + size * 8),
        ] {
            // virtio-queue takes address 0 for a ring that was never set.
            if address == 0 || !ram.check_range(GuestAddress(address), bytes) {
                return Err(QueueError::RingAddress {
                    queue: index,
                    ring,
                    address,
                });
            }
        }
        Ok(Self { index, queue, kick })
    }

    /// Which queue of the device this is.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Descriptors.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.queue.size()
    }

    /// Signalled when the driver has made buffers available.
    #[must_use]
    pub fn kick(&self) -> &Arc<EventFd> {
        &self.kick
    }

    /// Position in the rings: next available, next used.
    #[must_use]
    pub fn position(&self) -> (u16, u16) {
        (self.queue.next_avail(), self.queue.next_used())
    }

    /// Takes the next request, if there is one.
    ///
    /// # Errors
    /// When the driver broke the rules; nothing more can be taken then.
    pub fn pop(&mut self, ram: &GuestRam) -> Result<Option<Chain>, QueueError> {
        let (queue, size) = (self.index, self.queue.size());
        let broken = |source| QueueError::Rings { queue, source };
        let Some(descriptors) = self.queue.iter(ram).map_err(broken)?.next() else {
            return Ok(None);
        };
        let head = descriptors.head_index();
        if head >= size {
            return Err(QueueError::Head { queue, head, size });
        }
        let mut chain = Chain {
            head,
            readable: Buffers::default(),
            writable: Buffers::default(),
        };
        // The iterator ends without a word at a loop or a bad index: what it gave last tells whether the chain had ended.
        let mut ended = false;
        for (count, descriptor) in (0..).zip(descriptors) {
            if count >= size {
                return Err(QueueError::Chain { queue, head });
            }
            ended = !descriptor.has_next();
            let (address, length) = (descriptor.addr(), descriptor.len());
            if !ram.check_range(address, usize::try_from(length).unwrap_or(usize::MAX)) {
                let address = address.0;
                return Err(QueueError::Buffer { address, length });
            }
            if descriptor.is_write_only() {
                chain.writable.push(address.0, length);
            } else if chain.writable.parts.is_empty() {
                chain.readable.push(address.0, length);
            } else {
                return Err(QueueError::Order { queue, head });
            }
        }
        if ended {
            Ok(Some(chain))
        } else {
            Err(QueueError::Chain { queue, head })
        }
    }

    /// Puts back what [`VirtQueue::pop`] took last; it is given again.
    pub fn put_back(&mut self) {
        self.queue.go_to_previous_position();
    }

    /// Gives a request back to the driver. `written` counts the bytes written at the start of the writable buffers.
    ///
    /// # Errors
    /// When the used ring cannot be written.
    pub fn complete(&mut self, ram: &GuestRam, chain: &Chain, written: u32) -> Result<(), QueueError> {
        let queue = self.index;
        self.queue
            .add_used(ram, chain.head, written)
            .map_err(|source| QueueError::Rings { queue, source })
    }

    /// Whether the driver wants an interrupt for what was completed since the last call.
    ///
    /// # Errors
    /// When the available ring cannot be read.
    pub fn wants_interrupt(&mut self, ram: &GuestRam) -> Result<bool, QueueError> {
        let queue = self.index;
        let broken = |source| QueueError::Rings { queue, source };
        // virtio-queue knows event indices only, and says yes to all without them.
        let wanted = self.queue.needs_notification(ram).map_err(broken)?;
        if self.queue.event_idx_enabled() {
            return Ok(wanted);
        }
        let flags: u16 = ram
            .load(GuestAddress(self.queue.avail_ring()), Ordering::Relaxed)
            .map_err(|source| broken(virtio_queue::Error::GuestMemory(source)))?;
        Ok(u32::from(u16::from_le(flags)) & VRING_AVAIL_F_NO_INTERRUPT == 0)
    }

    /// Asks the driver for kicks, or not to bother. When asked for, true means that there are requests already.
    ///
    /// # Errors
    /// When the rings cannot be reached.
    pub fn ask_for_kicks(&mut self, ram: &GuestRam, wanted: bool) -> Result<bool, QueueError> {
        let queue = self.index;
        let result = if wanted {
            self.queue.enable_notification(ram)
        } else {
            self.queue.disable_notification(ram).map(|()| false)
        };
        result.map_err(|source| QueueError::Rings { queue, source })
    }
}
