//! Fletcher-4 as ZFS has it: four running sums over little-endian 32-bit words. Quick enough for all of a guest's memory;
//! it finds damage, it does not prove who wrote a file.

use serde::{Deserialize, Serialize};

/// The four sums, modulo 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fletcher4([u64; 4]);

impl Fletcher4 {
    /// Bytes of [`Fletcher4::to_bytes`].
    pub(crate) const SIZE: usize = 32;

    /// Takes more bytes in. What is short of a whole word at the end counts as filled up with zeros.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let [mut a, mut b, mut c, mut d] = self.0;
        let mut add = |word: [u8; 4]| {
            a = a.wrapping_add(u32::from_le_bytes(word).into());
            b = b.wrapping_add(a);
            c = c.wrapping_add(b);
            d = d.wrapping_add(c);
        };
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            add(*word);
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            add(last);
        }
        self.0 = [a, b, c, d];
    }

    /// The sum of these bytes alone.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::default();
        sum.update(bytes);
        sum
    }

    /// The sums in order, little-endian.
    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (to, sum) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *to = sum.to_le_bytes();
        }
        bytes
    }
}

impl std::fmt::Display for Fletcher4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a:016x}{b:016x}{c:016x}{d:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definition() {
        assert_eq!(Fletcher4::of(&[1, 0, 0, 0, 2, 0, 0, 0, 3]).0, [6, 10, 15, 21]);
        let mut whole = Fletcher4::of(&[1, 2, 3, 4]);
        whole.update(&[5, 6]);
        assert_eq!(whole, Fletcher4::of(&[1, 2, 3, 4, 5, 6]));
        assert_eq!(whole.to_bytes().len(), Fletcher4::SIZE);
    }

    #[test]
    fn top_bits_of_neighbours_do_not_cancel() {
        let zero = [0; 64];
        let mut flipped = zero;
        flipped[3] ^= 0x80;
        flipped[7] ^= 0x80;
        assert_ne!(Fletcher4::of(&zero), Fletcher4::of(&flipped));
        assert_ne!(Fletcher4::of(&zero), Fletcher4::of(&[0; 60]).clone_with(1));
    }

    impl Fletcher4 {
        fn clone_with(mut self, last: u8) -> Self {
            self.update(&[last]);
            self
        }
    }
}
