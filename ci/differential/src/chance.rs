//! Numbers that depend on a seed and nothing else.

use std::ops::RangeInclusive;

/// A SplitMix64 generator: the same numbers on every machine and with every version of every crate.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of a seed and a path of numbers below it.
    #[must_use]
    pub fn new(seed: u64, path: &[u64]) -> Self {
        let mut chance = Self(seed);
        for step in path {
            chance.0 = chance.word() ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        chance.word();
        chance
    }

    /// The next number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 32 bits.
    pub fn bits(&mut self) -> u32 {
        (self.word() >> 32) as u32
    }

    /// One of the range.
    pub fn pick(&mut self, range: RangeInclusive<i64>) -> i64 {
        let (low, high) = (*range.start(), *range.end());
        let count = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.word() % count).unwrap_or(0)
    }

    /// One of the range.
    pub fn int(&mut self, range: RangeInclusive<i32>) -> i32 {
        i32::try_from(self.pick(i64::from(*range.start())..=i64::from(*range.end()))).unwrap_or(0)
    }

    /// One of the range.
    pub fn size(&mut self, range: RangeInclusive<u32>) -> u32 {
        u32::try_from(self.pick(i64::from(*range.start())..=i64::from(*range.end()))).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.word() % 100 < percent
    }

    /// One of several.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.get(usize::try_from(self.word()).unwrap_or(0) % of.len().max(1))
            .copied()
    }

    /// In another order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, usize::try_from(self.word() % (last as u64 + 1)).unwrap_or(0));
        }
    }
}
