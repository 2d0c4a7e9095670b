//! [`AddressSpace`] over KVM: a change moves the bus snapshot, memory slots and doorbells together, or nothing.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use caraway_base::{
    address_space::{AddressSpace, Doorbell, MapError, Mapping, MappingId, Space, Target},
    memory::PAGE_SIZE,
};

use super::{Buses, Entry, PORTS_END, Snapshot};
use crate::kvm::{Slot, Vm, dirty_pages};

/// The part of KVM a change needs; a trait so that tests can make it fail.
pub(crate) trait SlotHost: Send + Sync {
    fn set_slot(&self, number: u32, slot: Option<&Slot>) -> io::Result<()>;
    fn set_doorbell(&self, attach: bool, space: Space, address: u64, doorbell: &Doorbell) -> io::Result<()>;
    fn dirty_log(&self, number: u32, size: u64) -> io::Result<Vec<u64>>;
}

impl SlotHost for Vm {
    fn set_slot(&self, number: u32, slot: Option<&Slot>) -> io::Result<()> {
        Self::set_slot(self, number, slot)
    }

    fn set_doorbell(&self, attach: bool, space: Space, address: u64, doorbell: &Doorbell) -> io::Result<()> {
        Self::set_doorbell(self, attach, space, address, doorbell)
    }

    fn dirty_log(&self, number: u32, size: u64) -> io::Result<Vec<u64>> {
        Self::dirty_log(self, number, size)
    }
}

/// What only the thread that changes the map knows.
#[derive(Debug)]
struct Ledger {
    next_id: u64,
    next_slot: u32,
    free_slots: Vec<u32>,
    slots: BTreeMap<MappingId, u32>,
    /// KVM keeps the log of every memory, whether or not a device asked for it.
    log_all: bool,
    /// What was taken from logs that devices have not asked for yet.
    owed: BTreeMap<MappingId, Vec<u64>>,
}

/// Adds the bits of a log.
fn merge(into: &mut Vec<u64>, pages: &[u64]) {
    if into.len() < pages.len() {
        into.resize(pages.len(), 0);
    }
    for (word, more) in into.iter_mut().zip(pages) {
        *word |= more;
    }
}

/// The guest's address spaces.
pub(crate) struct MachineSpace {
    host: Arc<dyn SlotHost>,
    buses: Arc<Buses>,
    /// Guest-physical ranges that are RAM: nothing else may be put there.
    ram: Vec<std::ops::Range<u64>>,
    ledger: Mutex<Ledger>,
}

/// Memory behind the map, and whose log KVM keeps.
impl MachineSpace {
    /// Has KVM keep the dirty log of everything that can be written to, or no more than what devices want for themselves.
    ///
    /// # Errors
    /// When the host refuses; what was changed until then stays.
    pub(crate) fn log_all(&self, log: bool) -> io::Result<()> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        // What is in a log that is given up belongs into the bitmap.
        self.collect(&mut ledger);
        ledger.log_all = log;
        for (entry, slot) in Self::memories(&self.buses.snapshot(), &ledger) {
            if let Some(contents) = Self::slot_of(&entry, log) {
                self.host.set_slot(slot, Some(&contents))?;
            }
        }
        Ok(())
    }

    /// Takes the logs of all memories into their bitmaps.
    pub(crate) fn collect_logs(&self) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        self.collect(&mut ledger);
    }

    fn collect(&self, ledger: &mut Ledger) {
        for (entry, slot) in Self::memories(&self.buses.snapshot(), ledger) {
            let pages = self.keep_dirty_log(&entry, slot, ledger.log_all);
            // KVM tells once; a device that keeps a log of its own has to hear of it, too.
            if let (Some(pages), Target::Memory { log_dirty: true, .. }) = (pages, &entry.target) {
                merge(ledger.owed.entry(entry.id).or_default(), &pages);
            }
        }
    }

    fn memories(snapshot: &Snapshot, ledger: &Ledger) -> Vec<(Arc<Entry>, u32)> {
        let entries = snapshot.memory.iter();
        entries
            .filter_map(|entry| Some((Arc::clone(entry), *ledger.slots.get(&entry.id)?)))
            .collect()
    }
}

impl std::fmt::Debug for MachineSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineSpace")
            .field("ram", &self.ram)
            .finish_non_exhaustive()
    }
}

/// One step towards a new map, so that it can be undone.
enum Step {
    Unrang {
        space: Space,
        entry: Arc<Entry>,
        doorbell: usize,
    },
    Rang {
        space: Space,
        entry: Arc<Entry>,
        doorbell: usize,
    },
    Emptied {
        entry: Arc<Entry>,
        slot: u32,
    },
    Filled {
        slot: u32,
    },
}

impl MachineSpace {
    pub(crate) fn new(
        host: Arc<dyn SlotHost>,
        buses: Arc<Buses>,
        ram: Vec<std::ops::Range<u64>>,
        first_slot: u32,
    ) -> Self {
        Self {
            host,
            buses,
            ram,
            ledger: Mutex::new(Ledger {
                next_id: 1,
                next_slot: first_slot,
                free_slots: Vec::new(),
                slots: BTreeMap::new(),
                log_all: false,
                owed: BTreeMap::new(),
            }),
        }
    }

    fn check(&self, mapping: &Mapping) -> Result<(), MapError> {
        let (space, start, end) = (mapping.space, mapping.range.start, mapping.range.end);
        let bad = MapError::Range { space, start, end };
        if start >= end || (space == Space::Ports && end > PORTS_END) {
            return Err(bad);
        }
        if let Target::Memory { memory, offset, .. } = &mapping.target
            && (space == Space::Ports
                || [start, end, *offset].iter().any(|value| value % PAGE_SIZE != 0)
                || !memory.contains(*offset, end - start))
        {
            return Err(bad);
        }
        let outside = mapping.doorbells.iter().any(|doorbell| {
            let width = u64::from(doorbell.width.max(1));
            doorbell.offset.checked_add(width).is_none_or(|last| last > end - start)
        });
        if outside {
            return Err(bad);
        }
        if space == Space::Memory && self.ram.iter().any(|ram| start < ram.end && ram.start < end) {
            return Err(MapError::Overlap { space, start, end });
        }
        Ok(())
    }

    /// What its slot shows; `log_all`: with a log, also when no device asked for it.
    fn slot_of(entry: &Entry, log_all: bool) -> Option<Slot> {
        match &entry.target {
            Target::Device(_) => None,
            Target::Memory {
                memory,
                offset,
                read_only,
                log_dirty,
            } => Some(Slot {
                guest: entry.start,
                size: entry.end - entry.start,
                memory: memory.clone(),
                offset: *offset,
                read_only: *read_only,
                log_dirty: *log_dirty || log_all && !read_only,
            }),
        }
    }

    fn doorbell(&self, attach: bool, space: Space, entry: &Entry, index: usize) -> io::Result<()> {
        match entry.doorbells.get(index) {
            Some(doorbell) => self
                .host
                .set_doorbell(attach, space, entry.start + doorbell.offset, doorbell),
            None => Ok(()),
        }
    }

    fn take_down(
        &self,
        space: Space,
        entry: &Arc<Entry>,
        (slot, log_all): (Option<u32>, bool),
        steps: &mut Vec<Step>,
    ) -> Result<(), MapError> {
        for index in 0..entry.doorbells.len() {
            self.doorbell(false, space, entry, index)
                .map_err(host("to remove a doorbell"))?;
            steps.push(Step::Unrang {
                space,
                entry: Arc::clone(entry),
                doorbell: index,
            });
        }
        if let Some(slot) = slot {
            self.keep_dirty_log(entry, slot, log_all);
            self.host.set_slot(slot, None).map_err(host("to empty a memory slot"))?;
            steps.push(Step::Emptied {
                entry: Arc::clone(entry),
                slot,
            });
        }
        Ok(())
    }

    fn put_up(
        &self,
        space: Space,
        entry: &Arc<Entry>,
        (slot, log_all): (Option<u32>, bool),
        steps: &mut Vec<Step>,
    ) -> Result<(), MapError> {
        if let (Some(number), Some(slot)) = (slot, Self::slot_of(entry, log_all)) {
            self.host
                .set_slot(number, Some(&slot))
                .map_err(host("to fill a memory slot"))?;
            steps.push(Step::Filled { slot: number });
        }
        for index in 0..entry.doorbells.len() {
            self.doorbell(true, space, entry, index)
                .map_err(host("to make a doorbell"))?;
            steps.push(Step::Rang {
                space,
                entry: Arc::clone(entry),
                doorbell: index,
            });
        }
        Ok(())
    }

    /// Reads and clears the log of a slot. What it holds goes to the memory's own bitmap: nobody else can ask again.
    fn keep_dirty_log(&self, entry: &Entry, slot: u32, log_all: bool) -> Option<Vec<u64>> {
        let Target::Memory {
            memory,
            offset,
            log_dirty,
            read_only,
        } = &entry.target
        else {
            return None;
        };
        if !log_dirty && (!log_all || *read_only) {
            return None;
        }
        let size = entry.end - entry.start;
        let pages = match self.host.dirty_log(slot, size) {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(%error, "dirty log lost; the whole range counts as written");
                memory.mark_dirty(*offset, size);
                let words = size.div_ceil(64 * PAGE_SIZE);
                return Some(vec![u64::MAX; usize::try_from(words).unwrap_or(0)]);
            }
        };
        for page in dirty_pages(&pages) {
            memory.mark_dirty(offset + page * PAGE_SIZE, PAGE_SIZE);
        }
        Some(pages)
    }

    fn undo(&self, steps: Vec<Step>, log_all: bool) {
        for step in steps.into_iter().rev() {
            let result = match step {
                Step::Unrang { space, entry, doorbell } => self.doorbell(true, space, &entry, doorbell),
                Step::Rang { space, entry, doorbell } => self.doorbell(false, space, &entry, doorbell),
                Step::Emptied { entry, slot } => match Self::slot_of(&entry, log_all) {
                    Some(contents) => self.host.set_slot(slot, Some(&contents)),
                    None => Ok(()),
                },
                Step::Filled { slot } => self.host.set_slot(slot, None),
            };
            // The bus still has the old map and answers for what KVM lost, slowly.
            if let Err(error) = result {
                tracing::error!(%error, "a failed change of the address space was not undone completely");
            }
        }
    }
}

fn host(what: &'static str) -> impl FnOnce(io::Error) -> MapError {
    move |source| MapError::Host { what, source }
}

impl AddressSpace for MachineSpace {
    fn change(&self, remove: &[MappingId], add: Vec<Mapping>) -> Result<Vec<MappingId>, MapError> {
        for mapping in &add {
            self.check(mapping)?;
        }
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next: Snapshot = (*self.buses.snapshot()).clone();
        let removed: Vec<_> = remove.iter().filter_map(|id| next.remove(*id)).collect();
        let freed: Vec<u32> = removed
            .iter()
            .filter_map(|(_, entry)| ledger.slots.get(&entry.id).copied())
            .collect();
        let mut spare = ledger.free_slots.clone();
        let mut fresh = ledger.next_slot;
        let mut added = Vec::new();
        for (number, mapping) in (ledger.next_id..).zip(add) {
            let (space, start, end) = (mapping.space, mapping.range.start, mapping.range.end);
            let is_memory = matches!(mapping.target, Target::Memory { .. });
            let entry = Arc::new(Entry {
                id: MappingId(number),
                start,
                end,
                target: mapping.target,
                doorbells: mapping.doorbells,
            });
            if !next.insert(space, Arc::clone(&entry)) {
                return Err(MapError::Overlap { space, start, end });
            }
            let slot = is_memory.then(|| {
                spare.pop().unwrap_or_else(|| {
                    fresh += 1;
                    fresh - 1
                })
            });
            added.push((space, entry, slot));
        }

        let mut steps = Vec::new();
        let result = removed
            .iter()
            .try_for_each(|(space, entry)| {
                let slot = ledger.slots.get(&entry.id).copied();
                self.take_down(*space, entry, (slot, ledger.log_all), &mut steps)
            })
            .and_then(|()| {
                added.iter().try_for_each(|(space, entry, slot)| {
                    self.put_up(*space, entry, (*slot, ledger.log_all), &mut steps)
                })
            });
        if let Err(error) = result {
            self.undo(steps, ledger.log_all);
            return Err(error);
        }
        self.buses.publish(next);

        ledger.next_id += added.len() as u64;
        ledger.next_slot = fresh;
        ledger.free_slots = spare;
        ledger.free_slots.extend(freed);
        for (_, entry) in &removed {
            ledger.slots.remove(&entry.id);
            ledger.owed.remove(&entry.id);
        }
        for (_, entry, slot) in &added {
            if let Some(slot) = slot {
                ledger.slots.insert(entry.id, *slot);
            }
        }
        Ok(added.iter().map(|(_, entry, _)| entry.id).collect())
    }

    fn take_dirty_log(&self, id: MappingId) -> Option<Vec<u64>> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = *ledger.slots.get(&id)?;
        let snapshot = self.buses.snapshot();
        let entry = snapshot.memory.iter().find(|entry| entry.id == id)?;
        let mut pages = self.keep_dirty_log(entry, slot, ledger.log_all)?;
        if let Some(owed) = ledger.owed.remove(&id) {
            merge(&mut pages, &owed);
        }
        Some(pages)
    }
}

#[cfg(test)]
#[path = "space_tests.rs"]
mod tests;
