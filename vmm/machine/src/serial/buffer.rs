//! The last megabyte the guest printed, by position since the start.

use std::collections::VecDeque;

/// Bytes kept for places that are slow.
pub(super) const CAPACITY: usize = 1 << 20;
/// Bytes a client that connects late sees first.
pub(super) const HISTORY: u64 = 64 * 1024;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: VecDeque<u8>,
    /// Position of the byte after the last.
    end: u64,
}

impl Buffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.end += bytes.len() as u64;
        let excess = self.bytes.len().saturating_sub(CAPACITY);
        self.bytes.drain(..excess);
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn start(&self) -> u64 {
        self.end - self.bytes.len() as u64
    }

    /// Where a client that connects now begins.
    pub(super) fn history(&self) -> u64 {
        self.end.saturating_sub(HISTORY).max(self.start())
    }

    /// Up to `most` bytes from `position` on and how many before them are lost.
    pub(super) fn read(&self, position: u64, most: usize) -> (u64, Vec<u8>) {
        let lost = self.start().saturating_sub(position);
        let skip = usize::try_from((position + lost).saturating_sub(self.start())).unwrap_or(usize::MAX);
        (lost, self.bytes.iter().skip(skip).take(most).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_by_position() {
        let mut buffer = Buffer::default();
        buffer.push(b"hello ");
        buffer.push(b"world");
        assert_eq!(buffer.read(0, 100), (0, b"hello world".to_vec()));
        assert_eq!(buffer.read(6, 3), (0, b"wor".to_vec()));
        assert_eq!(buffer.read(buffer.end(), 3), (0, vec![]));
    }

    #[test]
    fn the_oldest_bytes_go_first_and_are_counted() {
        let mut buffer = Buffer::default();
        buffer.push(&vec![b'a'; CAPACITY]);
        buffer.push(b"xyz");
        let (lost, bytes) = buffer.read(0, CAPACITY + 10);
        assert_eq!((lost, bytes.len()), (3, CAPACITY));
        assert!(bytes.ends_with(b"axyz"));
        assert_eq!(buffer.end() - buffer.history(), HISTORY);
    }
}
