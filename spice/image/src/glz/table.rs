//! Where units have been seen before: a hash table over all images of the window.

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
    places: Vec<u64>,
    bits: u32,
    max_bits: u32,
    /// How many places are taken.
    used: usize,
}

impl Table {
    /// An empty table that grows to at most `1 << max_bits` places.
    pub(super) fn new(max_bits: u32) -> Self {
        Self {
            places: vec![0; 1 << MIN_BITS],
            bits: MIN_BITS,
            max_bits,
            used: 0,
        }
    }

    /// Whether it is so full that it should grow, and may.
    pub(super) const fn is_crowded(&self) -> bool {
        self.used >= self.places.len() / LOAD && self.bits < self.max_bits
    }

    /// Makes it larger. `key` gives the hash of what lies at a place.
    pub(super) fn grow(&mut self, key: impl Fn(Place) -> Option<Key>) {
        self.bits = (self.bits + GROW_BITS).min(self.max_bits);
        self.used = 0;
        let before = std::mem::replace(&mut self.places, vec![0; 1 << self.bits]);
        for entry in before.into_iter().filter(|entry| *entry != 0) {
            let place = unpack(entry);
            if let Some(key) = key(place) {
                self.swap(key, place, false);
            }
        }
    }

    /// The last place with this hash, if its units probably are the same.
    pub(super) fn look(&self, key: Key) -> Option<Place> {
        let entry = *self.places.get((key.0 >> (64 - self.bits)) as usize)?;
        let tag = key.tag(self.bits) << (IMAGE_BITS + OFFSET_BITS);
        ((entry ^ tag) >> (IMAGE_BITS + OFFSET_BITS) == 0).then(|| unpack(entry))
    }

    /// Remembers a place, and gives the one before if its units probably are the same. With `keep` a place in the same
    /// image stays.
    pub(super) fn swap(&mut self, key: Key, place: Place, keep: bool) -> Option<Place> {
        let tag = key.tag(self.bits) << (IMAGE_BITS + OFFSET_BITS);
        let entry = self.places.get_mut((key.0 >> (64 - self.bits)) as usize)?;
        let before = *entry;
        self.used += usize::from(before == 0);
        let found = ((before ^ tag) >> (IMAGE_BITS + OFFSET_BITS) == 0).then(|| unpack(before));
        if !(keep && found.is_some_and(|found| found.image == place.image & IMAGE_MASK)) {
            *entry = tag | (u64::from(place.image & IMAGE_MASK) << OFFSET_BITS) | place.offset as u64;
        }
        found
    }
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
        assert_eq!(table.swap(key, place, false), None);
        for bits in [14, 16] {
            table.used = table.places.len();
            assert!(table.is_crowded());
            table.grow(|at| (at == place).then_some(key));
            assert_eq!(table.look(key), Some(place));
            assert_eq!(table.swap(key, place, false), Some(place));
            assert_eq!((table.places.len(), table.used), (1 << bits, 1));
        }
        table.used = table.places.len();
        assert!(!table.is_crowded(), "it is as large as it may be");
        let other = Key(key.0 ^ (1 << 48));
        assert_eq!(table.look(other), None);
        assert_eq!(table.swap(other, place, false), None, "the same place, other units");
    }

    #[test]
    fn a_place_in_the_same_image_is_kept_when_asked_for() {
        let mut table = Table::new(MIN_BITS);
        let key = Key(77 << 40);
        let at = |image, offset| Place { image, offset };
        table.swap(key, at(IMAGE_MASK + 5, 1), false);
        assert_eq!(table.swap(key, at(4, 2), true), Some(at(4, 1)));
        assert_eq!(table.swap(key, at(4, 3), false), Some(at(4, 1)));
        assert_eq!(table.swap(key, at(5, 4), true), Some(at(4, 3)));
        assert_eq!(table.swap(key, at(5, 5), true), Some(at(5, 4)));
    }
}
