//! Bits in 32-bit words, most significant first, words little endian.

/// Reads bits; past the end they are 0.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    words: &'a [[u8; 4]],
    /// The words from `tail_at` on, and zeroes.
    tail: [[u8; 4]; 2 * STRETCH],
    tail_at: usize,
    /// Bits taken, those past the end included.
    taken: usize,
}

/// What is past the end.
static NOTHING: [[u8; 4]; STRETCH] = [[0; 4]; STRETCH];

impl<'a> BitReader<'a> {
    /// For whole words; bytes after the last one are left out.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let words = bytes.as_chunks().0;
        let tail_at = words.len().saturating_sub(STRETCH);
        let mut tail = [[0; 4]; 2 * STRETCH];
        let last = words.get(tail_at..).unwrap_or_default();
        tail.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
        Self {
            words,
            tail,
            tail_at,
            taken: 0,
        }
    }

    /// The next 64 bits, from the top.
    pub(super) fn window(&self) -> u64 {
        let (words, at) = self.stretch();
        window([words[0], words[1], words[2]], at)
    }

    /// The next words, for a loop that looks at [`window`] by itself, and where the next bit is in the first one.
    pub(super) fn stretch(&self) -> (&[[u8; 4]; STRETCH], usize) {
        let at = self.taken / 32;
        let words = self.words.get(at..).and_then(<[_]>::first_chunk);
        let tail = || self.tail.get(at.checked_sub(self.tail_at)?..)?.first_chunk();
        (words.or_else(tail).unwrap_or(&NOTHING), self.taken % 32)
    }

    /// Goes on by `count` bits.
    pub(super) const fn skip(&mut self, count: usize) {
        self.taken += count;
    }

    /// Whether bits past the end have been taken.
    pub(super) const fn overrun(&self) -> bool {
        self.taken.div_ceil(32) > self.words.len()
    }
}

/// Words of a stretch: for the codes of 64 pixels of at most 31 bits each, and two more.
pub(super) const STRETCH: usize = 66;

/// 64 bits from three words, from bit `at` of the first one on; higher bits of `at` do not count.
#[inline(always)]
pub(super) fn window(words: [[u8; 4]; 3], at: usize) -> u64 {
    let [first, second, third] = words.map(|word| u64::from(u32::from_le_bytes(word)));
    let at = at as u32 % 32;
    (first << 32 | second) << at | third << at >> 32
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

    fn read(reader: &mut BitReader<'_>, count: u32) -> u32 {
        let bits = (reader.window() >> 1).wrapping_shr(63 - count);
        reader.skip(count as usize);
        bits as u32
    }

    #[test]
    fn reading_past_the_end_gives_zeroes_and_is_noticed() {
        let mut reader = BitReader::new(&[0xff; 5]);
        assert_eq!(read(&mut reader, 20), 0xf_ffff);
        assert_eq!(read(&mut reader, 12), 0xfff);
        assert!(!reader.overrun());
        assert_eq!(read(&mut reader, 0), 0);
        assert!(!reader.overrun());
        assert_eq!(read(&mut reader, 1), 0);
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
                prop_assert_eq!(read(&mut reader, count), value);
            }
            prop_assert!(!reader.overrun());
        }
    }
}
