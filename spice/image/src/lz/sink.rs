//! Where the bytes of a stream are put together.

/// Bytes that are collected before they go to the output.
const COLLECTED: usize = 8192;
/// Most bytes of a piece.
pub(super) const PIECE: usize = 128;

/// Collects small pieces, so that most of them take no check of the output's size.
#[derive(Debug)]
pub(super) struct Sink {
    bytes: Box<[u8; COLLECTED + PIECE]>,
    used: usize,
}

impl Default for Sink {
    fn default() -> Self {
        Self {
            bytes: Box::new([0; COLLECTED + PIECE]),
            used: 0,
        }
    }
}

impl Sink {
    /// Writes the first `count` bytes of a piece of at most [`PIECE`]. The piece has a fixed size, which makes it cheap
    /// to copy.
    #[inline]
    pub(super) fn write<const N: usize>(&mut self, piece: [u8; N], count: usize, out: &mut Vec<u8>) {
        const { assert!(N <= PIECE) };
        if self.used > COLLECTED {
            self.flush(out);
        }
        if let Some(to) = self.bytes.get_mut(self.used..self.used + N) {
            to.copy_from_slice(&piece);
        }
        self.used += count;
    }

    /// Hands over everything.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes.get(..self.used).unwrap_or_default());
        self.used = 0;
    }
}
