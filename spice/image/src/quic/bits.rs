//! Bits in 32-bit words, most significant first, words little endian.

/// Reads bits; past the end they are 0, and it remembers that it went there.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    words: std::slice::Iter<'a, [u8; 4]>,
    /// The next bits, from the top.
    window: u64,
    /// How many bits of the window came from the words.
    filled: u32,
    overrun: bool,
}

impl<'a> BitReader<'a> {
    /// For whole words; bytes after the last one are left out.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            words: bytes.as_chunks().0.iter(),
            window: 0,
            filled: 0,
            overrun: false,
        }
    }

    /// The next 32 bits, from the top.
    pub(super) fn peek(&mut self) -> u32 {
        if self.filled < 32
            && let Some(word) = self.words.next()
        {
            self.window |= u64::from(u32::from_le_bytes(*word)) << (32 - self.filled);
            self.filled += 32;
        }
        (self.window >> 32) as u32
    }

    /// Goes on by `count` bits, at most 32, all of them peeked at.
    pub(super) const fn skip(&mut self, count: u32) {
        if count > self.filled {
            self.overrun = true;
            self.filled = 0;
        } else {
            self.filled -= count;
        }
        self.window <<= count;
    }

    /// The next `count` bits, at most 26, as a number.
    pub(super) fn read(&mut self, count: u32) -> u32 {
        let bits = self.peek();
        self.skip(count);
        // In 64 bits so that a count of 0 is no overflow.
        (u64::from(bits) >> (32 - count)) as u32
    }

    /// Whether bits past the end have been taken.
    pub(super) const fn overrun(&self) -> bool {
        self.overrun
    }
}

/// Writes bits.
#[derive(Debug)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not written yet, at the bottom.
    window: u64,
    /// How many; at most 31 between calls.
    filled: u32,
}

impl BitWriter {
    /// With room for about this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            window: 0,
            filled: 0,
        }
    }

    /// Appends the low `count` bits of `bits`, at most 32; the bits above are 0.
    pub(super) fn write(&mut self, bits: u32, count: u32) {
        self.window = (self.window << count) | u64::from(bits);
        self.filled += count;
        if self.filled >= 32 {
            self.filled -= 32;
            let word = (self.window >> self.filled) as u32;
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Fills the last word with zeroes and appends the extra word that the format ends with.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.write(0, 32 - self.filled);
        }
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn bits_fill_words_from_the_top() {
        let mut writer = BitWriter::with_capacity(8);
        writer.write(1, 1);
        writer.write(0x1234, 31);
        writer.write(3, 2);
        assert_eq!(writer.finish(), [0x34, 0x12, 0, 0x80, 0, 0, 0, 0xc0, 0, 0, 0, 0]);
    }

    #[test]
    fn reading_past_the_end_gives_zeroes_and_is_noticed() {
        let mut reader = BitReader::new(&[0xff; 5]);
        assert_eq!(reader.read(20), 0xf_ffff);
        assert_eq!(reader.read(12), 0xfff);
        assert!(!reader.overrun());
        assert_eq!(reader.read(0), 0);
        assert!(!reader.overrun());
        assert_eq!(reader.read(1), 0);
        assert!(reader.overrun());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers in vec((any::<u32>(), 0..=26u32), 0..200)) {
            let mut writer = BitWriter::with_capacity(0);
            let cut = |value: u32, count: u32| value & ((1u32 << count) - 1);
            for (value, count) in &numbers {
                writer.write(cut(*value, *count), *count);
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (value, count) in numbers {
                prop_assert_eq!(reader.read(count), cut(value, count));
            }
            prop_assert!(!reader.overrun());
        }
    }
}
