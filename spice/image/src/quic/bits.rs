//! Bits in 32-bit words, most significant first, words little endian.

/// Reads bits; past the end they are 0, and it remembers that it went there.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader<'a> {
    words: &'a [[u8; 4]],
    /// Words taken, those past the end included.
    taken: usize,
    /// The next 64 bits, from the top.
    window: u64,
    /// The bits after them, from the top; 0 below.
    ahead: u64,
    /// How many bits are ahead, from 32 to 63.
    ready: u32,
}

impl<'a> BitReader<'a> {
    /// For whole words; bytes after the last one are left out.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self {
            words: bytes.as_chunks().0,
            taken: 0,
            window: 0,
            ahead: 0,
            ready: 0,
        };
        reader.window = reader.word() << 32 | reader.word();
        reader.refill();
        reader
    }

    fn word(&mut self) -> u64 {
        let word = self.words.get(self.taken).copied().unwrap_or_default();
        self.taken += 1;
        u64::from(u32::from_le_bytes(word))
    }

    /// Takes a word when fewer than 32 bits are ahead. Without a branch: whether there are is hard to foresee.
    fn refill(&mut self) {
        let wanted = u32::from(self.ready < 32);
        let word = u64::from(u32::from_le_bytes(
            self.words.get(self.taken).copied().unwrap_or_default(),
        ));
        let word = word & 0u64.wrapping_sub(u64::from(wanted));
        self.ahead |= word.wrapping_shl(32u32.wrapping_sub(self.ready));
        self.ready += wanted * 32;
        self.taken += wanted as usize;
    }

    /// The next 64 bits, from the top.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Goes on by `count` bits, at most 32.
    pub(super) fn skip(&mut self, count: u32) {
        self.shifted(self.window << count, count);
    }

    /// The same when the window less its first `count` bits, from 0 to 32, is known already.
    pub(super) fn shifted(&mut self, window: u64, count: u32) {
        // Two steps so that a count of 0 is no overflow.
        self.window = window | (self.ahead >> 1).wrapping_shr(63 - count);
        self.ahead <<= count;
        self.ready -= count;
        self.refill();
    }

    /// The next `count` bits, at most 32, as a number.
    pub(super) fn read(&mut self, count: u32) -> u32 {
        let bits = (self.window >> 1).wrapping_shr(63 - count);
        self.skip(count);
        bits as u32
    }

    /// Whether bits past the end have been taken.
    pub(super) const fn overrun(&self) -> bool {
        let beyond = self.taken.saturating_sub(self.words.len()) as u64 * 32;
        beyond > 64 + self.ready as u64
    }
}

/// Words that are collected before they go to the output.
const WORDS: usize = 2048;
/// Words that [`Cursor`] may write: a span of pixels between two updates, each of three components of at most 26 bits.
const SPAN_WORDS: usize = 64 * 3 + 1;

/// Writes bits.
#[derive(Debug)]
pub(super) struct BitWriter {
    /// Words not in the output yet, in the order of the stream.
    words: Box<[[u8; 4]; WORDS]>,
    used: usize,
    /// Bits that make no word yet, from the top.
    window: u64,
    /// How many, at most 31.
    filled: u32,
}

impl Default for BitWriter {
    fn default() -> Self {
        Self {
            words: Box::new([[0; 4]; WORDS]),
            used: 0,
            window: 0,
            filled: 0,
        }
    }
}

impl BitWriter {
    /// Forgets what an encoder that failed has left.
    pub(super) const fn begin(&mut self) {
        (self.used, self.window, self.filled) = (0, 0, 0);
    }

    /// What writes the bits of one span.
    pub(super) fn cursor(&mut self, out: &mut Vec<u8>) -> Cursor<'_> {
        if self.used > WORDS - SPAN_WORDS {
            self.flush(out);
        }
        Cursor {
            used: self.used,
            window: self.window,
            filled: self.filled,
            words: &mut self.words,
        }
    }

    /// Takes over what a cursor has written.
    pub(super) const fn advance(&mut self, written: Written) {
        (self.used, self.window, self.filled) = (written.used, written.window, written.filled);
    }

    /// Appends the low `count` bits of `bits`, at most 32; the bits above are 0.
    pub(super) fn write(&mut self, bits: u64, count: u32, out: &mut Vec<u8>) {
        let mut cursor = self.cursor(out);
        cursor.write(bits, count);
        let written = cursor.written();
        self.advance(written);
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.words.get(..self.used).unwrap_or_default().as_flattened());
        self.used = 0;
    }

    /// Fills the last word with zeroes and appends the extra word that the format ends with.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.write(0, (32 - self.filled) % 32, out);
        self.write(0, 32, out);
        self.flush(out);
    }
}

/// The state of a [`BitWriter`] where a loop has it in registers.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    words: &'a mut [[u8; 4]; WORDS],
    used: usize,
    window: u64,
    filled: u32,
}

/// Where a cursor ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    used: usize,
    window: u64,
    filled: u32,
}

impl Cursor<'_> {
    /// Appends the low `count` bits of `bits`, at most 32; the bits above are 0.
    ///
    /// Without a branch: the word is stored in any case, and counts when it is full.
    #[inline]
    pub(super) fn write(&mut self, bits: u64, count: u32) {
        self.window |= bits.wrapping_shl(64 - self.filled - count);
        self.filled += count;
        self.words[self.used % WORDS] = ((self.window >> 32) as u32).to_le_bytes();
        self.used += (self.filled >> 5) as usize;
        self.window <<= self.filled & 32;
        self.filled &= 31;
    }

    /// Where it is.
    pub(super) const fn written(&self) -> Written {
        Written {
            used: self.used,
            window: self.window,
            filled: self.filled,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn written(numbers: &[(u32, u32)]) -> Vec<u8> {
        let (mut writer, mut out) = (BitWriter::default(), Vec::new());
        for span in numbers.chunks(SPAN_WORDS) {
            let mut cursor = writer.cursor(&mut out);
            for (value, count) in span {
                cursor.write(u64::from(*value), *count);
            }
            let written = cursor.written();
            writer.advance(written);
        }
        writer.finish(&mut out);
        out
    }

    #[test]
    fn bits_fill_words_from_the_top() {
        let bytes = written(&[(1, 1), (0x1234, 31), (3, 2)]);
        assert_eq!(bytes, [0x34, 0x12, 0, 0x80, 0, 0, 0, 0xc0, 0, 0, 0, 0]);
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
        fn what_is_written_is_read(numbers in vec((any::<u32>(), 0..=32u32), 0..6000)) {
            let cut = |(value, count): (u32, u32)| ((u64::from(value) & ((1 << count) - 1)) as u32, count);
            let numbers: Vec<_> = numbers.into_iter().map(cut).collect();
            let bytes = written(&numbers);
            let mut reader = BitReader::new(&bytes);
            for (value, count) in numbers {
                prop_assert_eq!((reader.window() >> 1).wrapping_shr(63 - count) as u32, value);
                prop_assert_eq!(reader.read(count), value);
            }
            prop_assert!(!reader.overrun());
        }
    }
}
