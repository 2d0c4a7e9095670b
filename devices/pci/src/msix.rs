//! The MSI-X table and pending bits of one function (PCI Local Bus Specification 3.0, 6.8).

use std::{
    os::fd::AsRawFd as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::MsiVector,
};
use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::EventFd,
};

use crate::{
    config_space::{PBA_OFFSET, message_control},
    state::{MsixEntryState, MsixState},
};

const ENTRY_SIZE: usize = 16;
const MASKED: u32 = 1;

#[derive(Debug)]
struct Entry {
    /// Message address low and high, message data, vector control.
    words: [u32; 4],
    /// A message was sent while masked.
    pending: bool,
    /// The vector is routed.
    live: bool,
    vector: Arc<dyn MsiVector>,
}

#[derive(Debug)]
struct Table {
    entries: Vec<Entry>,
    control: u16,
}

/// Table, pending bits and control word. The MSI-X BAR leads here.
#[derive(Debug)]
pub(crate) struct Msix {
    table: Mutex<Table>,
    enabled: Arc<AtomicBool>,
    /// Routes the host refused.
    refused: AtomicU64,
}

impl Msix {
    pub(crate) fn new(vectors: Vec<Arc<dyn MsiVector>>) -> Self {
        let entries = vectors.into_iter().map(Entry::new).collect();
        Self {
            table: Mutex::new(Table { entries, control: 0 }),
            enabled: Arc::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// How many vectors there are.
    pub(crate) fn vectors(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether the guest has enabled MSI-X.
    pub(crate) fn enabled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.enabled)
    }

    /// The guest wrote message control.
    pub(crate) fn set_control(&self, control: u16) {
        let mut table = self.lock();
        table.control = control;
        self.enabled
            .store(control & message_control::ENABLE != 0, Ordering::SeqCst);
        for index in 0..table.entries.len() {
            self.refresh(&mut table, index, false);
        }
    }

    /// Back to power-on: every vector masked, nothing pending.
    pub(crate) fn reset(&self) {
        let mut table = self.lock();
        table.control = 0;
        self.enabled.store(false, Ordering::SeqCst);
        for index in 0..table.entries.len() {
            self.refresh(&mut table, index, false);
        }
        for entry in &mut table.entries {
            entry.collect();
            entry.pending = false;
            entry.words = [0, 0, 0, MASKED];
        }
    }

    pub(crate) fn save(&self) -> MsixState {
        let mut table = self.lock();
        let entries = table.entries.iter_mut().map(|entry| {
            entry.settle();
            if !entry.live {
                entry.collect();
            }
            MsixEntryState {
                words: entry.words,
                pending: entry.pending,
            }
        });
        MsixState {
            entries: entries.collect(),
        }
    }

    /// Takes the table from a saved state; false when it has another number of vectors. Routes follow with
    /// [`Msix::set_control`].
    pub(crate) fn load(&self, state: &MsixState) -> bool {
        let mut table = self.lock();
        if table.entries.len() != state.entries.len() {
            return false;
        }
        for (entry, saved) in table.entries.iter_mut().zip(&state.entries) {
            let [low, high, data, control] = saved.words;
            entry.words = [low & !0b11, high, data, control & MASKED];
            entry.pending = saved.pending;
        }
        true
    }

    /// Routes or masks one vector as table and control say now. `changed`: its message was rewritten.
    fn refresh(&self, table: &mut Table, index: usize, changed: bool) {
        let open =
            table.control & (message_control::ENABLE | message_control::FUNCTION_MASK) == message_control::ENABLE;
        let Some(entry) = table.entries.get_mut(index) else {
            return;
        };
        let [low, high, data, control] = entry.words;
        let open = open && control & MASKED == 0;
        let result = if open && (!entry.live || changed) {
            if !entry.live {
                entry.collect();
            }
            let address = u64::from(high) << 32 | u64::from(low);
            entry.vector.route(address, data).and_then(|()| {
                entry.live = true;
                if std::mem::take(&mut entry.pending) {
                    entry.vector.event().write(1)
                } else {
                    Ok(())
                }
            })
        } else if !open && entry.live {
            entry.live = false;
            entry.vector.mask()
        } else {
            Ok(())
        };
        if let Err(error) = result {
            let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_power_of_two() {
                tracing::warn!(index, %error, count, "the host refused an MSI-X route");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(vector: Arc<dyn MsiVector>) -> Self {
        Self {
            words: [0, 0, 0, MASKED],
            pending: false,
            live: false,
            vector,
        }
    }

    /// Has every message that was sent arrive. The host may deliver some in the background; taking a route down waits for
    /// that.
    fn settle(&mut self) {
        if !self.live {
            return;
        }
        let [low, high, data, _] = self.words;
        let address = u64::from(high) << 32 | u64::from(low);
        if let Err(error) = self.vector.mask().and_then(|()| self.vector.route(address, data)) {
            self.live = false;
            tracing::error!(%error, "an MSI-X route was lost");
        }
    }

    /// Moves a message that was sent while masked from the event into the pending bit. Nobody else reads the event
    /// while the vector is masked.
    fn collect(&mut self) {
        if is_signalled(self.vector.event()) && self.vector.event().read().is_ok() {
            self.pending = true;
        }
    }
}

/// Whether a read of the event would return at once, also when it was made blocking.
fn is_signalled(event: &EventFd) -> bool {
    let fd = event.as_raw_fd();
    let wanted = EpollEvent::new(EventSet::IN, 0);
    let mut ready = [EpollEvent::default()];
    let mut poll = || {
        let epoll = Epoll::new()?;
        epoll.ctl(ControlOperation::Add, fd, wanted)?;
        epoll.wait(0, &mut ready)
    };
    poll().is_ok_and(|count| count > 0)
}

impl Msix {
    /// The little-endian words of the BAR at `offset`, a multiple of four.
    fn word(table: &Table, offset: u64) -> u32 {
        let Ok(offset) = usize::try_from(offset) else { return 0 };
        let pba = usize::from(PBA_OFFSET);
        if offset < pba {
            let entry = table.entries.get(offset / ENTRY_SIZE);
            return entry
                .and_then(|entry| entry.words.get(offset % ENTRY_SIZE / 4))
                .copied()
                .unwrap_or(0);
        }
        let first = (offset - pba).saturating_mul(8);
        let bits = table.entries.iter().skip(first).take(32).enumerate();
        bits.fold(0, |word, (bit, entry)| word | u32::from(entry.pending) << bit)
    }
}

/// Reads of any width work; writes are four or eight bytes at a multiple of their width, as the specification asks.
impl BusDevice for Msix {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut table = self.lock();
        if offset >= u64::from(PBA_OFFSET) {
            table
                .entries
                .iter_mut()
                .filter(|entry| !entry.live)
                .for_each(Entry::collect);
        }
        for (index, slot) in (offset..).zip(data) {
            let bytes = Self::word(&table, index & !3).to_le_bytes();
            *slot = bytes.get((index & 3) as usize).copied().unwrap_or(0);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        let aligned = matches!(data.len(), 4 | 8) && offset.is_multiple_of(data.len() as u64);
        if !aligned || offset >= u64::from(PBA_OFFSET) {
            return Outcome::Done;
        }
        let Ok(offset) = usize::try_from(offset) else {
            return Outcome::Done;
        };
        let mut table = self.lock();
        let index = offset / ENTRY_SIZE;
        if let Some(entry) = table.entries.get_mut(index) {
            let first = offset % ENTRY_SIZE / 4;
            let slots = entry.words.iter_mut().enumerate().skip(first);
            for ((place, slot), word) in slots.zip(data.chunks_exact(4)) {
                let value = word.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                *slot = match place {
                    0 => value & !0b11,
                    3 => value & MASKED,
                    _ => value,
                };
            }
            let message = first < 3;
            self.refresh(&mut table, index, message);
        }
        Outcome::Done
    }
}
