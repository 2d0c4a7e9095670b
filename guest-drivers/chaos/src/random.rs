//! Random numbers, the same for the same seed, and values likely to hurt.

/// xoshiro256** (Blackman and Vigna), its state filled by splitmix64.
pub(crate) struct Random([u64; 4]);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Below `limit`; 0 when that is 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.next() as u32) * u64::from(limit)) >> 32) as u32
    }

    /// From `least` to `most`.
    pub(crate) fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of a list, which is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u32) as usize]
    }

    /// Anything, but often what programs get wrong: zeros, ones, limits of integers, small numbers, single bits.
    pub(crate) fn nonsense(&mut self) -> u64 {
        match self.below(10) {
            0 => 0,
            1 => u64::MAX,
            2 => self.below(64).into(),
            3 => self.below(0x1_0000).into(),
            4 => 1u64.wrapping_shl(self.below(64)),
            5 => 1u64.wrapping_shl(self.below(64)).wrapping_sub(1),
            6 => self.pick(&[
                0x7fff_ffff,
                0x8000_0000,
                0xffff_ffff,
                0x7fff,
                0x8000,
                0xffff,
                0x7fff_ffff_ffff_ffff,
            ]),
            7 => 0u64.wrapping_sub(self.below(64).into()),
            _ => self.next(),
        }
    }
}
