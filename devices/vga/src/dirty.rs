//! Which pages of BAR 0 were written.

use caraway_base::memory::PAGE_SIZE;

/// A set of 4 KiB pages of a memory, counted from its start.
#[derive(Clone, Debug, Default)]
pub struct DirtyPages {
    /// One bit a page, lowest bit first.
    words: Vec<u64>,
    pages: u64,
    /// Words outside `low..high` are zero: an idle screen looks at none.
    low: usize,
    high: usize,
}

impl DirtyPages {
    /// The empty set over a memory of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let pages = bytes.div_ceil(PAGE_SIZE);
        Self {
            words: vec![0; usize::try_from(pages.div_ceil(64)).unwrap_or(0)],
            pages,
            low: 0,
            high: 0,
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low >= self.high
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        if let Some(words) = self.words.get_mut(self.low..self.high) {
            words.fill(0);
        }
        (self.low, self.high) = (0, 0);
    }

    /// Puts the pages of `length` bytes at `offset` in; what is past the end of the memory is left out.
    pub fn mark(&mut self, offset: u64, length: u64) {
        let Some(last) = length.checked_sub(1).map(|rest| offset.saturating_add(rest)) else {
            return;
        };
        for page in offset / PAGE_SIZE..=(last / PAGE_SIZE).min(self.pages.saturating_sub(1)) {
            self.or(usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64));
        }
    }

    /// Puts all pages in.
    pub fn mark_all(&mut self) {
        for word in 0..self.words.len() {
            self.or(word, u64::MAX);
        }
    }

    /// Adds a dirty log as KVM gives it: one bit a page from the start of the memory, lowest bit first. Bits past the
    /// end of the memory mean nothing.
    pub fn merge_log(&mut self, log: &[u64]) {
        for (word, bits) in log.iter().enumerate() {
            self.or(word, *bits);
        }
    }

    /// Adds another set.
    pub fn merge(&mut self, other: &Self) {
        for word in other.low..other.high {
            self.or(word, other.words.get(word).copied().unwrap_or(0));
        }
    }

    /// Whether a page of `length` bytes at `offset` is in it.
    #[must_use]
    pub fn touches(&self, offset: u64, length: u64) -> bool {
        let Some(last) = length.checked_sub(1).map(|rest| offset.saturating_add(rest)) else {
            return false;
        };
        !self.is_empty()
            && (offset / PAGE_SIZE..=(last / PAGE_SIZE).min(self.pages.saturating_sub(1))).any(|page| {
                let word = usize::try_from(page / 64).ok().and_then(|word| self.words.get(word));
                word.is_some_and(|word| word & (1 << (page % 64)) != 0)
            })
    }

    fn or(&mut self, at: usize, bits: u64) {
        // The last word may have bits of pages that are not there.
        let there = self.pages.saturating_sub((at as u64).saturating_mul(64));
        let bits = if there >= 64 { bits } else { bits & ((1 << there) - 1) };
        let Some(word) = self.words.get_mut(at).filter(|_| bits != 0) else {
            return;
        };
        *word |= bits;
        (self.low, self.high) = if self.low >= self.high {
            (at, at + 1)
        } else {
            (self.low.min(at), self.high.max(at + 1))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(set: &DirtyPages, count: u64) -> Vec<u64> {
        (0..count)
            .filter(|page| set.touches(page * PAGE_SIZE, PAGE_SIZE))
            .collect()
    }

    #[test]
    fn a_range_marks_every_page_it_touches() {
        let mut set = DirtyPages::new(200 * PAGE_SIZE);
        set.mark(64 * PAGE_SIZE - 1, 2);
        set.mark(199 * PAGE_SIZE, u64::MAX);
        set.mark(3 * PAGE_SIZE, 0);
        assert_eq!(pages(&set, 300), [63, 64, 199]);
        assert!(set.touches(0, u64::MAX) && !set.touches(u64::MAX, 5) && !set.touches(0, 0));
        set.clear();
        assert!(set.is_empty() && pages(&set, 300).is_empty());
        set.mark(0, 1);
        assert_eq!(pages(&set, 300), [0]);
    }

    #[test]
    fn logs_and_sets_are_added_and_bits_past_the_end_are_not() {
        let mut set = DirtyPages::new(65 * PAGE_SIZE + 1);
        set.merge_log(&[1 << 5, u64::MAX, u64::MAX]);
        let mut other = DirtyPages::new(4 * PAGE_SIZE);
        other.mark_all();
        set.merge(&other);
        assert_eq!(pages(&set, 300), [0, 1, 2, 3, 5, 64, 65]);
        let mut small = DirtyPages::new(PAGE_SIZE);
        small.merge(&set);
        assert_eq!(pages(&small, 300), [0]);
        let mut none = DirtyPages::new(0);
        none.mark_all();
        none.mark(0, 1);
        assert!(none.is_empty());
    }
}
