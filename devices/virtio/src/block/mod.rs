//! The block device (virtio 1.2, 5.2).

mod request;

#[cfg(test)]
mod block_tests;
#[cfg(test)]
mod lifecycle_tests;
#[cfg(test)]
mod slow_disk;

use std::{fmt::Debug, io, sync::Arc, time::Duration};

use caraway_storage::{BlockBackend, SECTOR};
use virtio_bindings::bindings::virtio_blk::VIRTIO_BLK_ID_BYTES;

use self::request::Requests;
use crate::{Activation, VirtQueue, VirtioDevice, VirtioIdentity, worker::Worker};

/// Descriptors of the one queue.
const QUEUE_SIZE: u16 = 256;

/// Data buffers of a request: the queue's descriptors less header and status.
const SEG_MAX: u32 = 254;

/// Bytes of the identification string.
const ID_BYTES: usize = VIRTIO_BLK_ID_BYTES as usize;

/// Most sectors a discard or write-zeroes segment may name: 1 GiB, so that one does not hold up the thread for long.
const MAX_SECTORS: u32 = 1 << 21;

/// Most segments in one such request.
const MAX_SEGMENTS: u32 = 16;

mod feature {
    use virtio_bindings::bindings::virtio_blk as bindings;

    pub(super) const SEG_MAX: u64 = 1 << bindings::VIRTIO_BLK_F_SEG_MAX;
    pub(super) const RO: u64 = 1 << bindings::VIRTIO_BLK_F_RO;
    pub(super) const BLK_SIZE: u64 = 1 << bindings::VIRTIO_BLK_F_BLK_SIZE;
    pub(super) const FLUSH: u64 = 1 << bindings::VIRTIO_BLK_F_FLUSH;
    pub(super) const DISCARD: u64 = 1 << bindings::VIRTIO_BLK_F_DISCARD;
    pub(super) const WRITE_ZEROES: u64 = 1 << bindings::VIRTIO_BLK_F_WRITE_ZEROES;
}

/// Why a disk cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The id is too long or not ASCII.
    #[error("disk id {id:?}: at most {ID_BYTES} ASCII characters")]
    Id {
        /// The id.
        id: String,
    },
    /// The host gives no thread.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A disk. Requests are served one after the other on a thread of its own.
#[derive(Debug)]
pub struct Block {
    backend: Arc<dyn BlockBackend>,
    worker: Worker,
}

impl Block {
    /// A disk on thread `io-<number>`. The guest reads `id` as the disk's serial number.
    ///
    /// # Errors
    /// When the id does not fit or the host has no thread to give.
    pub fn new(backend: Arc<dyn BlockBackend>, id: &str, number: usize) -> Result<Self, BlockError> {
        if id.len() > ID_BYTES || !id.is_ascii() {
            return Err(BlockError::Id { id: id.to_owned() });
        }
        let mut serial = [0; ID_BYTES];
        for (to, from) in serial.iter_mut().zip(id.bytes()) {
            *to = from;
        }
        let name = format!("io-{number}");
        let requests = Requests::new(Arc::clone(&backend), serial);
        let worker = Worker::spawn(name.clone(), requests).map_err(|source| BlockError::Thread { name, source })?;
        Ok(Self { backend, worker })
    }
}

impl VirtioDevice for Block {
    fn identity(&self) -> VirtioIdentity {
        VirtioIdentity {
            device: 2,
            class: [0x01, 0x00, 0x00],
        }
    }

    fn features(&self) -> u64 {
        let mut features = feature::SEG_MAX | feature::BLK_SIZE | feature::FLUSH;
        if self.backend.read_only() {
            features |= feature::RO;
        } else {
            features |= feature::WRITE_ZEROES;
        }
        if self.backend.can_discard() {
            features |= feature::DISCARD;
        }
        features
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    /// `struct virtio_blk_config` up to the write-zeroes fields.
    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0_u8; 60];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, from) in config.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        };
        let sector = u32::try_from(SECTOR).unwrap_or(0);
        put(0, &(self.backend.size() / SECTOR).to_le_bytes());
        put(12, &SEG_MAX.to_le_bytes());
        put(20, &sector.to_le_bytes());
        for (at, value) in [
            (36, MAX_SECTORS),
            (40, MAX_SEGMENTS),
            (44, 1),
            (48, MAX_SECTORS),
            (52, MAX_SEGMENTS),
        ] {
            put(at, &value.to_le_bytes());
        }
        put(56, &[u8::from(self.backend.can_discard())]);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(config.iter().skip(start)) {
            *to = *from;
        }
    }

    fn activate(&mut self, activation: Activation) {
        self.worker.activate(activation);
    }

    fn deactivate(&mut self) {
        self.worker.deactivate();
    }

    fn reclaim(&mut self, patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
        self.worker.reclaim(patience)
    }
}
