//! Codes for symbols, and the statistics that choose among them.

use super::chaos::CHAOS;

/// Longest code of any symbol in bits.
const MAX_CODE_BITS: u32 = 26;
/// Pixels after which the wait mask grows.
const MASK_STEP: usize = 2048;
/// Greatest index of a wait mask.
const LAST_MASK: usize = 6;
/// The counter above which all counters of a bucket are halved, by index of the wait mask.
const TRIGGERS: [u32; LAST_MASK + 1] = [110, 550, 900, 800, 550, 400, 350];
/// Bits of a run length order, by run state.
pub(super) const RUN_ORDER: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The Golomb-Rice codes for components of `bits` bits: one for each number of low bits written as they are.
#[derive(Debug)]
pub(super) struct Family {
    /// Bits of a component.
    pub(super) bits: u32,
    /// Zeroes that stand for the escape.
    pub(super) prefix: [u32; 8],
    /// First symbol that is written by the escape.
    pub(super) escaped: [u32; 8],
    /// Bits that follow the escape.
    pub(super) suffix: [u32; 8],
    /// Length of each symbol in each code.
    length: [[u8; 8]; 256],
}

/// Components of 8 bits.
pub(super) static FAMILY_8: Family = Family::new(8);
/// Components of 5 bits.
pub(super) static FAMILY_5: Family = Family::new(5);

impl Family {
    const fn new(bits: u32) -> Self {
        let symbols = 1u32 << bits;
        let mut family = Self {
            bits,
            prefix: [0; 8],
            escaped: [0; 8],
            suffix: [0; 8],
            length: [[0; 8]; 256],
        };
        let mut code = 0;
        while code < bits {
            let at = code as usize;
            let all = (1 << (bits - code)) - 1;
            let most = MAX_CODE_BITS - bits;
            family.prefix[at] = if all < most { all } else { most };
            family.escaped[at] = family.prefix[at] << code;
            family.suffix[at] = (symbols - family.escaped[at]).next_power_of_two().trailing_zeros();
            let mut symbol = 0;
            while symbol < symbols {
                family.length[symbol as usize][at] = if symbol < family.escaped[at] {
                    (symbol >> code) + 1 + code
                } else {
                    family.prefix[at] + family.suffix[at]
                } as u8;
                symbol += 1;
            }
            code += 1;
        }
        family
    }

    /// The bits of a symbol and their number.
    pub(super) fn encoded(&self, symbol: u8, code: usize) -> (u32, u32) {
        let value = u32::from(symbol);
        let length = u32::from(self.length[usize::from(symbol)][code & 7]);
        let bits = if value < self.escaped[code & 7] {
            (1 << code) | (value & ((1 << code) - 1))
        } else {
            value - self.escaped[code & 7]
        };
        (bits, length)
    }

    /// Highest component value.
    pub(super) const fn mask(&self) -> u8 {
        ((1u32 << self.bits) - 1) as u8
    }

    /// The symbol of a difference, small ones for small magnitudes.
    pub(super) const fn fold(&self, difference: u8) -> u8 {
        let mask = self.mask();
        let difference = difference & mask;
        if difference <= mask / 2 {
            2 * difference
        } else {
            2 * (mask - difference) + 1
        }
    }

    /// The difference of a symbol.
    pub(super) const fn unfold(&self, symbol: u8) -> u8 {
        if symbol.is_multiple_of(2) {
            symbol / 2
        } else {
            self.mask() - symbol / 2
        }
    }
}

/// Statistics of the symbols that followed one group of contexts.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Bits that each code would have taken, halved now and then.
    counters: [u32; 8],
    /// The code with the smallest counter.
    best: usize,
}

/// One component: statistics, and the symbols of the row above as far as the current row has not replaced them.
#[derive(Debug)]
pub(super) struct Channel {
    buckets: [Bucket; 8],
    /// Symbol of each column, after one that stands left of the first.
    pub(super) symbols: Vec<u8>,
}

impl Channel {
    fn new(family: &Family, width: usize) -> Self {
        let bucket = Bucket {
            counters: [0; 8],
            best: family.bits as usize - 1,
        };
        Self {
            buckets: [bucket; 8],
            symbols: vec![0; width + 1],
        }
    }

    /// The code for a symbol after `context`.
    pub(super) fn code(&self, family: &Family, context: u8) -> usize {
        self.buckets[bucket(family, context)].best
    }

    /// Counts a symbol after `context`.
    fn update(&mut self, family: &Family, context: u8, symbol: u8, trigger: u32) {
        let bucket = &mut self.buckets[bucket(family, context)];
        let lengths = &family.length[usize::from(symbol)];
        let (mut best, mut least) = (0, u32::MAX);
        for (code, (counter, length)) in bucket
            .counters
            .iter_mut()
            .zip(lengths)
            .take(family.bits as usize)
            .enumerate()
        {
            *counter += u32::from(*length);
            if *counter <= least {
                (best, least) = (code, *counter);
            }
        }
        bucket.best = best;
        if least > trigger {
            bucket.counters.iter_mut().for_each(|counter| *counter >>= 1);
        }
    }
}

/// The group a context belongs to; always below 8.
const fn bucket(family: &Family, context: u8) -> usize {
    let group = (context as u32 + 1).ilog2() as usize;
    let last = if family.bits == 8 { 7 } else { 4 };
    if group < last { group } else { last }
}

/// What is remembered of one plane: its components and the state they share.
#[derive(Debug)]
pub(super) struct Plane<const N: usize> {
    pub(super) family: &'static Family,
    pub(super) channels: [Channel; N],
    /// Pixels until the next update.
    wait: u32,
    /// Place in the random table.
    random: u8,
    /// Index of the wait mask.
    mask: usize,
    /// Pixels until the mask grows.
    left: usize,
    /// State of the run length code, below 32.
    pub(super) run_state: usize,
}

impl<const N: usize> Plane<N> {
    pub(super) fn new(family: &'static Family, width: usize) -> Self {
        Self {
            family,
            channels: std::array::from_fn(|_| Channel::new(family, width)),
            wait: 0,
            random: 255,
            mask: 0,
            left: MASK_STEP,
            run_state: 0,
        }
    }

    /// Sets the context of the first column of a row.
    pub(super) fn begin_row(&mut self, first: bool) {
        for channel in &mut self.channels {
            let above = channel.symbols.get(1).copied().unwrap_or(0);
            if let Some(left) = channel.symbols.first_mut() {
                *left = if first { 0 } else { above };
            }
        }
    }

    /// Pixels that can follow before the wait mask grows.
    pub(super) const fn until_growth(&self) -> usize {
        if self.mask < LAST_MASK { self.left } else { usize::MAX }
    }

    /// Counts the pixels of a segment, at most [`until_growth`](Self::until_growth).
    pub(super) const fn grow(&mut self, pixels: usize) {
        if self.mask < LAST_MASK {
            self.left -= pixels;
            if self.left == 0 {
                self.mask += 1;
                self.left = MASK_STEP;
            }
        }
    }

    /// After a pixel was coded: waits, or updates the statistics with the symbols of column `x`.
    pub(super) fn step(&mut self, x: usize) {
        if self.wait > 0 {
            self.wait -= 1;
            return;
        }
        for channel in &mut self.channels {
            if let Some([context, symbol]) = channel.symbols.get(x..x + 2).and_then(|two| two.first_chunk()).copied() {
                channel.update(self.family, context, symbol, TRIGGERS[self.mask]);
            }
        }
        self.random = self.random.wrapping_add(1);
        self.wait = u32::from(CHAOS[usize::from(self.random)]) & ((1 << self.mask) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_format() {
        assert_eq!(FAMILY_8.prefix, [18, 18, 18, 18, 15, 7, 3, 1]);
        assert_eq!(FAMILY_8.escaped, [18, 36, 72, 144, 240, 224, 192, 128]);
        assert_eq!(FAMILY_8.suffix, [8, 8, 8, 7, 4, 5, 6, 7]);
        assert_eq!(FAMILY_8.length[255], [26, 26, 26, 25, 19, 12, 9, 8]);
        assert_eq!(FAMILY_5.prefix[..5], [21, 15, 7, 3, 1]);
        assert_eq!(FAMILY_5.escaped[..5], [21, 30, 28, 24, 16]);
        assert_eq!(FAMILY_5.suffix[..5], [4, 1, 2, 3, 4]);
        assert_eq!(FAMILY_5.length[31][..5], [25, 16, 9, 6, 5]);
        assert_eq!(FAMILY_8.encoded(20, 7), (0b1001_0100, 8));
        assert_eq!(FAMILY_8.encoded(131, 1), (0b0101_1111, 26));
    }

    #[test]
    fn differences_fold_and_unfold() {
        for family in [&FAMILY_8, &FAMILY_5] {
            for difference in 0..=family.mask() {
                assert_eq!(family.unfold(family.fold(difference)), difference);
            }
            assert_eq!([0, 1, family.mask()].map(|d| family.fold(d)), [0, 2, 1]);
        }
    }

    #[test]
    fn contexts_group_by_powers_of_two() {
        let groups = |family: &Family, contexts: &[u8]| contexts.iter().map(|c| bucket(family, *c)).collect::<Vec<_>>();
        assert_eq!(
            groups(&FAMILY_8, &[0, 1, 2, 3, 62, 63, 126, 127, 255]),
            [0, 1, 1, 2, 5, 6, 6, 7, 7]
        );
        assert_eq!(groups(&FAMILY_5, &[0, 14, 15, 31]), [0, 3, 4, 4]);
    }
}
