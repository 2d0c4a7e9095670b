//! A set of key numbers.

use serde::{Deserialize, Serialize};

/// 256 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeySet([u64; 4]);

impl KeySet {
    pub(super) fn contains(&self, key: u8) -> bool {
        self.0
            .get(usize::from(key / 64))
            .is_some_and(|word| word & bit(key) != 0)
    }

    pub(super) fn any(&self, keys: &[u8]) -> bool {
        keys.iter().any(|key| self.contains(*key))
    }

    pub(super) fn insert(&mut self, key: u8) {
        if let Some(word) = self.0.get_mut(usize::from(key / 64)) {
            *word |= bit(key);
        }
    }

    /// Whether it was in.
    pub(super) fn remove(&mut self, key: u8) -> bool {
        let was = self.contains(key);
        if let Some(word) = self.0.get_mut(usize::from(key / 64)) {
            *word &= !bit(key);
        }
        was
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|key| self.contains(*key))
    }
}

fn bit(key: u8) -> u64 {
    1 << (key % 64)
}
