//! The port and memory buses: an interval map behind an atomically swapped snapshot.
//!
//! A vCPU that dispatches an access loads the current snapshot and takes no lock. Changes build a new snapshot; they are
//! made by [`space::Space`](crate::bus::space::MachineSpace), which moves KVM's slots and doorbells with them.

pub(crate) mod space;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use caraway_base::{
    address_space::{Doorbell, MappingId, Space, Target},
    bus::{Outcome, value_of},
};

/// One past the last port.
pub(crate) const PORTS_END: u64 = 0x1_0000;

/// A mapped range.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: MappingId,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) target: Target,
    pub(crate) doorbells: Vec<Doorbell>,
}

impl Entry {
    fn read(&self, address: u64, data: &mut [u8]) {
        match &self.target {
            Target::Device(device) => device.read(address - self.start, data),
            // Reached while the slot is being moved: the guest must not notice.
            Target::Memory { memory, offset, .. } => {
                if let Err(error) = memory.read(offset + (address - self.start), data) {
                    tracing::error!(%error, "mapped memory not readable");
                }
            }
        }
    }

    fn write(&self, address: u64, data: &[u8]) -> Outcome {
        if self.ring(address, data) {
            return Outcome::Done;
        }
        match &self.target {
            Target::Device(device) => device.write(address - self.start, data),
            Target::Memory { read_only: true, .. } => Outcome::Done,
            Target::Memory { memory, offset, .. } => {
                if let Err(error) = memory.write(offset + (address - self.start), data) {
                    tracing::error!(%error, "mapped memory not writable");
                }
                Outcome::Done
            }
        }
    }

    /// Signals the doorbell this write rings, if any. Normally KVM does so without an exit; a write that comes while the
    /// doorbell is being moved, or as part of a string instruction, comes here.
    fn ring(&self, address: u64, data: &[u8]) -> bool {
        let value = value_of(data);
        let Some(doorbell) = self.doorbells.iter().find(|doorbell| {
            self.start + doorbell.offset == address
                && (doorbell.width == 0 || doorbell.width as usize == data.len())
                && doorbell.value.is_none_or(|wanted| wanted == value)
        }) else {
            return false;
        };
        // Only a counter at its limit refuses, and then the event is signalled already.
        doorbell.event.write(1).ok();
        true
    }
}

/// What lies where, in both spaces. Immutable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    ports: Vec<Arc<Entry>>,
    memory: Vec<Arc<Entry>>,
}

impl Snapshot {
    fn list(&self, space: Space) -> &Vec<Arc<Entry>> {
        match space {
            Space::Ports => &self.ports,
            Space::Memory => &self.memory,
        }
    }

    fn list_mut(&mut self, space: Space) -> &mut Vec<Arc<Entry>> {
        match space {
            Space::Ports => &mut self.ports,
            Space::Memory => &mut self.memory,
        }
    }

    /// Adds an entry; false when something is there.
    pub(crate) fn insert(&mut self, space: Space, entry: Arc<Entry>) -> bool {
        let list = self.list_mut(space);
        let at = list.partition_point(|other| other.start < entry.start);
        let before = at.checked_sub(1).and_then(|index| list.get(index));
        if before.is_some_and(|other| other.end > entry.start)
            || list.get(at).is_some_and(|other| other.start < entry.end)
        {
            return false;
        }
        list.insert(at, entry);
        true
    }

    pub(crate) fn remove(&mut self, id: MappingId) -> Option<(Space, Arc<Entry>)> {
        for space in [Space::Ports, Space::Memory] {
            let list = self.list_mut(space);
            if let Some(index) = list.iter().position(|entry| entry.id == id) {
                return Some((space, list.remove(index)));
            }
        }
        None
    }

    /// What lies at `address`, or else how many bytes nothing does (at least 1).
    fn find(&self, space: Space, address: u64) -> Result<&Entry, u64> {
        let list = self.list(space);
        let next = list.partition_point(|entry| entry.start <= address);
        if let Some(entry) = next.checked_sub(1).and_then(|index| list.get(index))
            && address < entry.end
        {
            return Ok(entry);
        }
        Err(list.get(next).map_or(u64::MAX, |entry| entry.start - address))
    }
}

/// Accesses nobody answered.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Unclaimed {
    /// Reads, answered with ones.
    #[must_use]
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Writes, dropped.
    #[must_use]
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

/// Both buses.
#[derive(Debug, Default)]
pub(crate) struct Buses {
    current: ArcSwap<Snapshot>,
    unclaimed: Unclaimed,
}

/// A piece of an access: `length` bytes at `start` of its data, all inside one range or all outside any.
struct Piece<'a> {
    entry: Option<&'a Entry>,
    address: u64,
    start: usize,
    length: usize,
}

impl Buses {
    /// Reads `data.len()` bytes (at most 8); ones where nothing answers.
    pub(crate) fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        data.fill(0xff);
        let snapshot = self.current.load();
        for piece in pieces(&snapshot, space, address, data.len()) {
            match (piece.entry, data.get_mut(piece.start..piece.start + piece.length)) {
                (Some(entry), Some(part)) => entry.read(piece.address, part),
                _ => {
                    self.unclaimed.reads.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Writes; the first outcome that is not [`Outcome::Done`], if an access reaches several devices.
    pub(crate) fn write(&self, space: Space, address: u64, data: &[u8]) -> Outcome {
        let snapshot = self.current.load();
        let mut outcome = Outcome::Done;
        for piece in pieces(&snapshot, space, address, data.len()) {
            match (piece.entry, data.get(piece.start..piece.start + piece.length)) {
                (Some(entry), Some(part)) => {
                    let one = entry.write(piece.address, part);
                    if outcome == Outcome::Done {
                        outcome = one;
                    }
                }
                _ => {
                    self.unclaimed.writes.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        outcome
    }

    /// Counters of accesses nobody answered.
    #[must_use]
    pub(crate) fn unclaimed(&self) -> &Unclaimed {
        &self.unclaimed
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}

/// Cuts an access where ranges begin and end. A piece inside a range has a length devices accept: 1, 2, 4 or 8.
fn pieces(snapshot: &Snapshot, space: Space, address: u64, length: usize) -> impl Iterator<Item = Piece<'_>> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let left = length.checked_sub(done).filter(|left| *left > 0)?;
        // Past the end of the address space nothing answers.
        let found = address
            .checked_add(done as u64)
            .map(|at| (at, snapshot.find(space, at)));
        let (entry, at, room) = match found {
            Some((at, Ok(entry))) => (Some(entry), at, entry.end - at),
            Some((at, Err(gap))) => (None, at, gap),
            None => (None, address, u64::MAX),
        };
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(left);
        let length = if entry.is_some() {
            1 << fits.min(8).ilog2()
        } else {
            fits
        };
        let piece = Piece {
            entry,
            address: at,
            start: done,
            length,
        };
        done += length;
        Some(piece)
    })
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
