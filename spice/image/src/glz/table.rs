//! Where units have been seen before: a hash table over all images of the window.
//!
//! Several images are encoded at the same time with one table. None waits for another: what one has just found, another may
//! have replaced.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of an offset in an image; a window has fewer pixels than this.
const OFFSET_BITS: u32 = 25;
/// Bits of an image's number that are remembered: as many as both forms of a match can say.
const IMAGE_BITS: u32 = 24;
/// Bits of a hash that are remembered besides those that chose the place: without them nearly every look at a full
/// table would be followed by one at pixels that have long left the cache.
const TAG_BITS: u32 = 15;
/// Mask of an image's number in a place.
pub(super) const IMAGE_MASK: u32 = (1 << IMAGE_BITS) - 1;
/// Places of the smallest table, as a power of two: 32 KiB, as much as a cache of the first level.
const MIN_BITS: u32 = 12;
/// A table with more than one in so many places taken grows.
const LOAD: usize = 4;
/// By so much, as a power of two.
const GROW_BITS: u32 = 2;

/// A hash of a few units.
#[derive(Clone, Copy)]
pub(super) struct Key(pub(super) u64);

impl Key {
    const fn tag(self, bits: u32) -> u64 {
        (self.0 << bits) >> (64 - TAG_BITS)
    }
}

/// Where units begin: the image's number, cut to [`IMAGE_BITS`], and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) image: u32,
    pub(super) offset: usize,
}

/// The last place of each hash. What it says may be outdated or wrong: whoever asks compares the units.
#[derive(Debug)]
pub(super) struct Table {
    /// Tag, image, offset, from the high bits down.
    places: Vec<AtomicU64>,
    bits: u32,
    max_bits: u32,
    /// How many places are taken.
    used: usize,
}

impl Table {
    /// An empty table that grows to at most `1 << max_bits` places.
    pub(super) fn new(max_bits: u32) -> Self {
        Self {
            places: empty(MIN_BITS),
            bits: MIN_BITS,
            max_bits,
            used: 0,
        }
    }

    /// Makes room for so many more places to be taken. `key` gives the hash of what lies at a place.
    pub(super) fn reserve(&mut self, places: usize, key: impl Fn(Place) -> Option<Key>) {
        let mut bits = self.bits;
        while bits < self.max_bits && self.used.saturating_add(places) >= (1 << bits) / LOAD {
            bits = (bits + GROW_BITS).min(self.max_bits);
        }
        if bits == self.bits {
            return;
        }
        self.bits = bits;
        let before = std::mem::replace(&mut self.places, empty(bits));
        let mut used = 0;
        for entry in before.into_iter().map(AtomicU64::into_inner).filter(|entry| *entry != 0) {
            let place = unpack(entry);
            if let Some(key) = key(place) {
                self.swap(key, place, false, &mut used);
            }
        }
        self.used = used;
    }

    /// So many places more are taken: what [`Self::swap`] has counted.
    pub(super) const fn taken(&mut self, places: usize) {
        self.used = self.used.saturating_add(places);
    }

    /// Remembers a place, and gives the one before if its units probably are the same. With `keep` a place in the same
    /// image stays. Counts in `taken` if there was none.
    #[inline]
    pub(super) fn swap(&self, key: Key, place: Place, keep: bool, taken: &mut usize) -> Option<Place> {
        let tag = key.tag(self.bits) << (IMAGE_BITS + OFFSET_BITS);
        let entry = self.places.get((key.0 >> (64 - self.bits)) as usize)?;
        // An entry says all of it in one word, and whoever reads one compares what lies there.
        let before = entry.load(Ordering::Relaxed);
        *taken += usize::from(before == 0);
        let found = ((before ^ tag) >> (IMAGE_BITS + OFFSET_BITS) == 0).then(|| unpack(before));
        if !(keep && found.is_some_and(|found| found.image == place.image & IMAGE_MASK)) {
            let now = tag | (u64::from(place.image & IMAGE_MASK) << OFFSET_BITS) | place.offset as u64;
            entry.store(now, Ordering::Relaxed);
        }
        found
    }
}

fn empty(bits: u32) -> Vec<AtomicU64> {
    std::iter::repeat_with(AtomicU64::default).take(1 << bits).collect()
}

const fn unpack(entry: u64) -> Place {
    Place {
        image: (entry >> OFFSET_BITS) as u32 & IMAGE_MASK,
        offset: (entry & ((1 << OFFSET_BITS) - 1)) as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_after_the_table_has_grown() {
        let mut table = Table::new(16);
        let place = Place {
            image: 7,
            offset: (1 << OFFSET_BITS) - 1,
        };
        let key = Key(0x0123_4567_89ab_cdef);
        let mut taken = 0;
        assert_eq!(table.swap(key, place, false, &mut taken), None);
        table.taken(taken);
        let known = |at| (at == place).then_some(key);
        for (places, bits) in [(1, MIN_BITS), ((1 << MIN_BITS) / LOAD, 14), (1 << 20, 16), (usize::MAX, 16)] {
            table.reserve(places, known);
            assert_eq!((table.places.len(), table.used), (1 << bits, 1));
            assert_eq!(table.swap(key, place, false, &mut taken), Some(place));
        }
        assert_eq!(taken, 1);
        let other = Key(key.0 ^ (1 << 48));
        assert_eq!(table.swap(other, place, false, &mut taken), None, "the same place, other units");
    }

    #[test]
    fn a_place_in_the_same_image_is_kept_when_asked_for() {
        let (table, mut taken) = (Table::new(MIN_BITS), 0);
        let mut swap = |place, keep| table.swap(Key(77 << 40), place, keep, &mut taken);
        let at = |image, offset| Place { image, offset };
        swap(at(IMAGE_MASK + 5, 1), false);
        assert_eq!(swap(at(4, 2), true), Some(at(4, 1)));
        assert_eq!(swap(at(4, 3), false), Some(at(4, 1)));
        assert_eq!(swap(at(5, 4), true), Some(at(4, 3)));
        assert_eq!(swap(at(5, 5), true), Some(at(5, 4)));
    }
}
