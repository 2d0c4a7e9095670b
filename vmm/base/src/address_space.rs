//! Where things are in the guest's port and memory address spaces. Devices and the PCI bus ask; the machine does.

use std::{ops::Range, sync::Arc};

use vmm_sys_util::eventfd::EventFd;

use crate::{bus::BusDevice, memory::SharedMemory};

/// One of the two address spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// `in` and `out`, 64 KiB.
    Ports,
    /// Memory.
    Memory,
}

/// A write that signals an event instead of leaving the guest (KVM's ioeventfd).
#[derive(Clone, Debug)]
pub struct Doorbell {
    /// Bytes from the start of the mapping.
    pub offset: u64,
    /// Width of the write in bytes: 1, 2, 4, 8, or 0 for any (memory only).
    pub width: u32,
    /// Only this value rings; `None` = any.
    pub value: Option<u64>,
    /// What is signalled.
    pub event: Arc<EventFd>,
}

/// What lies at a range.
#[derive(Clone)]
pub enum Target {
    /// Registers: every access is a call.
    Device(Arc<dyn BusDevice>),
    /// Memory the guest reaches without an exit. Writes to read-only memory are dropped. `log_dirty` keeps KVM's dirty
    /// log for it.
    Memory {
        /// The backing.
        memory: SharedMemory,
        /// Where in the backing the range starts (a multiple of 4096).
        offset: u64,
        /// Guest writes are dropped.
        read_only: bool,
        /// Record what the guest writes.
        log_dirty: bool,
    },
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(_) => f.write_str("Device"),
            Self::Memory { offset, read_only, .. } => f
                .debug_struct("Memory")
                .field("offset", offset)
                .field("read_only", read_only)
                .finish_non_exhaustive(),
        }
    }
}

/// A range of addresses and what lies there.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Which space.
    pub space: Space,
    /// First address to the one after the last.
    pub range: Range<u64>,
    /// What is there.
    pub target: Target,
    /// Doorbells within it.
    pub doorbells: Vec<Doorbell>,
}

/// Names a mapping that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MappingId(pub u64);

/// KVM's dirty log of one mapping, for the device behind it.
#[derive(Clone)]
pub struct DirtyLog {
    space: Arc<dyn AddressSpace>,
    id: MappingId,
}

impl DirtyLog {
    /// The log of the mapping `id`, which was made with `log_dirty`.
    #[must_use]
    pub fn new(space: Arc<dyn AddressSpace>, id: MappingId) -> Self {
        Self { space, id }
    }

    /// One bit per 4 KiB page from the start of the mapping, set when the guest wrote there since the last call. `None`
    /// when the mapping is gone.
    #[must_use]
    pub fn take(&self) -> Option<Vec<u64>> {
        self.space.take_dirty_log(self.id)
    }
}

impl std::fmt::Debug for DirtyLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DirtyLog").field(&self.id).finish()
    }
}

/// Why a mapping cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// Something is there already.
    #[error("{space:?} {start:#x}..{end:#x} overlaps what is mapped there")]
    Overlap { space: Space, start: u64, end: u64 },
    /// The range is empty, unaligned or past the end of its space.
    #[error("{space:?} {start:#x}..{end:#x} is not a range that can be mapped")]
    Range { space: Space, start: u64, end: u64 },
    /// The host refused.
    #[error("the host refused {what}")]
    Host {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
}

/// The guest's address spaces. A change is a transaction: what fails is undone. Any thread may call; vCPUs that
/// dispatch an access take no lock, they see the state before or after the change.
pub trait AddressSpace: Send + Sync {
    /// Removes `remove`, then adds `add`; the ids of what was added, in order.
    ///
    /// # Errors
    /// Nothing has changed then.
    fn change(&self, remove: &[MappingId], add: Vec<Mapping>) -> Result<Vec<MappingId>, MapError>;

    /// Takes KVM's dirty log of a memory mapping made with `log_dirty` and clears it: one bit per 4 KiB page, set when
    /// the guest wrote there since the last call. What it held goes to the memory's own bitmap too, so that nobody who
    /// copies the memory misses it. `None` when the mapping is not there or keeps none.
    fn take_dirty_log(&self, id: MappingId) -> Option<Vec<u64>>;
}
