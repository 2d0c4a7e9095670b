//! What a client keeps under keys, and only one channel uses: shapes of the pointer, palettes. The server decides what is
//! kept, and must know it exactly: with a key that is not there the client has no shape, or no colours.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
};

use twox_hash::XxHash3_128;

/// Where something is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The client has it under this key.
    Kept(u64),
    /// The client gets it now, to be kept under `key`.
    New {
        key: u64,
        /// What the client has to forget, once it has got this.
        evicted: Option<u64>,
    },
}

/// A model of what the client keeps: the least recently used goes. Contents are told apart by a hash of 128 bits with a
/// random seed, so that the guest's own names are not needed. A key is never given twice.
#[derive(Debug)]
pub(super) struct Kept {
    capacity: usize,
    seed: u64,
    /// The last key given.
    last: u64,
    /// Counts uses.
    now: u64,
    entries: HashMap<u128, Entry>,
    /// Contents by their last use.
    order: BTreeMap<u64, u128>,
}

#[derive(Debug)]
struct Entry {
    key: u64,
    used: u64,
}

impl Kept {
    /// Nothing yet, of at most `capacity` things.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seed: RandomState::new().hash_one(0),
            last: 0,
            now: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// The place of what `content` writes, all that decides what the client makes of it. It must be used: from now on the
    /// client is taken to have it.
    pub(super) fn place(&mut self, content: impl FnOnce(&mut XxHash3_128)) -> Place {
        let mut hash = XxHash3_128::with_seed(self.seed);
        content(&mut hash);
        let content = hash.finish_128();
        self.now += 1;
        if let Some(entry) = self.entries.get_mut(&content) {
            self.order.remove(&entry.used);
            entry.used = self.now;
            self.order.insert(self.now, content);
            return Place::Kept(entry.key);
        }
        let mut evicted = None;
        if self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            evicted = self.entries.remove(&oldest).map(|entry| entry.key);
        }
        self.last += 1;
        let (key, used) = (self.last, self.now);
        self.entries.insert(content, Entry { key, used });
        self.order.insert(used, content);
        Place::New { key, evicted }
    }

    /// The client has forgotten all.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }
}
