//! Memory on its way: which pages go, in which batches, and how fast.

use std::{
    os::unix::fs::FileExt as _,
    thread,
    time::{Duration, Instant},
};

use caraway_base::memory::{MemoryFile, PAGE_SIZE};
use rustix::fs::{FallocateFlags, fallocate};

use super::{
    Control, Link, LiveError,
    message::{PageList, page_list},
    record::{Kind, MOST_PAGES},
};
use crate::pages;

const PAGE: usize = PAGE_SIZE as usize;
const ZERO: [u8; PAGE] = [0; PAGE];
/// How long a pause for the limit of bandwidth is before it is looked whether it has to go on.
const SLICE: Duration = Duration::from_millis(20);

/// Pages of one memory, a bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageSet(Vec<u64>);

impl PageSet {
    /// The pages of a memory of `size` bytes whose bits are set; what is behind its end is none.
    pub(crate) fn new(mut words: Vec<u64>, size: u64) -> Self {
        let pages = size / PAGE_SIZE;
        words.truncate(usize::try_from(pages.div_ceil(64)).unwrap_or(usize::MAX));
        if !pages.is_multiple_of(64)
            && let Some(last) = words.get_mut(usize::try_from(pages / 64).unwrap_or(usize::MAX))
        {
            *last &= (1 << (pages % 64)) - 1;
        }
        Self(words)
    }

    /// Those that may have something else than zeros.
    pub(crate) fn used(memory: &MemoryFile) -> Result<Self, LiveError> {
        let pages = memory.size() / PAGE_SIZE;
        let mut words = vec![0; usize::try_from(pages.div_ceil(64)).unwrap_or(0)];
        let mut at = 0;
        while let Some(range) = pages::next_data(memory.file(), at, memory.size())
            .map_err(LiveError::io("look for the used pages of a memory"))?
        {
            for page in range.start / PAGE_SIZE..range.end.div_ceil(PAGE_SIZE) {
                if let Some(word) = words.get_mut(usize::try_from(page / 64).unwrap_or(usize::MAX)) {
                    *word |= 1 << (page % 64);
                }
            }
            at = range.end;
        }
        Ok(Self::new(words, memory.size()))
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Neighbours together, no more than `most` at once: the first page and how many.
    fn runs(&self, most: usize) -> impl Iterator<Item = (u64, usize)> {
        let mut pages = (0_u64..)
            .zip(&self.0)
            .flat_map(|(index, word)| {
                (0..64)
                    .filter(move |bit| word >> bit & 1 != 0)
                    .map(move |bit| index * 64 + bit)
            })
            .peekable();
        std::iter::from_fn(move || {
            let first = pages.next()?;
            let mut count = 1;
            while count < most && pages.next_if_eq(&(first + count as u64)).is_some() {
                count += 1;
            }
            Some((first, count))
        })
    }
}

/// Sends no more than so many bytes in a time.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Pages that may go at once: about ten batches a second at the least.
    fn batch(rate: u64) -> usize {
        let pages = usize::try_from(rate / 10 / PAGE_SIZE).unwrap_or(MOST_PAGES);
        if rate == 0 {
            MOST_PAGES
        } else {
            pages.clamp(1, MOST_PAGES)
        }
    }

    /// Waits until so many bytes may have been sent.
    fn wait(&mut self, bytes: u64, rate: u64, link: &Link) -> Result<(), LiveError> {
        self.bytes += bytes;
        if rate == 0 {
            return Ok(());
        }
        let due = self.since + Duration::from_secs_f64(self.bytes as f64 / rate as f64);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            link.check_stop()?;
            thread::sleep(left.min(SLICE));
        }
        // What was not used in time is not saved up, and another limit counts at once.
        *self = Self::new();
        Ok(())
    }
}

/// Sends these pages of a memory, as they are now. Pages of zeros are left out in the `first` round, when the other side
/// has nothing else there. With a `pace`, no faster than the parameters say.
pub(crate) fn send_pages(
    link: &mut Link,
    control: &Control,
    memory: (usize, &MemoryFile),
    pages: &PageSet,
    first: bool,
    mut pace: Option<&mut Pace>,
) -> Result<(), LiveError> {
    let (index, memory) = memory;
    let mut buffer = vec![0; MOST_PAGES * PAGE];
    let mut batch = Batch::default();
    let rate = || control.parameters().max_bandwidth;
    let most = if pace.is_some() {
        Pace::batch(rate())
    } else {
        MOST_PAGES
    };
    for (start, count) in pages.runs(most) {
        link.check_stop()?;
        let before = link.written();
        let Some(part) = buffer.get_mut(..count * PAGE) else {
            break;
        };
        memory
            .file()
            .read_exact_at(part, start * PAGE_SIZE)
            .map_err(LiveError::io("read the machine's memory"))?;
        for (number, page) in (start..).zip(part.as_chunks::<PAGE>().0) {
            if *page != ZERO {
                batch.pages.push(number);
                batch.bytes.extend_from_slice(page);
            } else if first {
                batch.skipped += 1;
            } else {
                batch.zeros.push(number);
            }
            if batch.pages.len() >= most || batch.zeros.len() >= MOST_PAGES {
                batch.send(link, control, index)?;
            }
        }
        if let Some(pace) = pace.as_deref_mut() {
            pace.wait(link.written() - before, rate(), link)?;
        }
    }
    batch.send(link, control, index)
}

#[derive(Default)]
struct Batch {
    pages: Vec<u64>,
    bytes: Vec<u8>,
    zeros: Vec<u64>,
    /// Zeros that need not be said.
    skipped: u64,
}

impl Batch {
    fn send(&mut self, link: &mut Link, control: &Control, memory: usize) -> Result<(), LiveError> {
        if !self.pages.is_empty() {
            link.send(Kind::Pages, &[&page_list(memory, &self.pages), &self.bytes])?;
        }
        if !self.zeros.is_empty() {
            link.send(Kind::Zeros, &[&page_list(memory, &self.zeros)])?;
        }
        let (normal, zero) = (self.pages.len() as u64, self.zeros.len() as u64 + self.skipped);
        control.count(|figures| {
            figures.normal += normal;
            figures.zero += zero;
            figures.transferred = link.written();
            figures.remaining = figures.remaining.saturating_sub((normal + zero) * PAGE_SIZE);
        });
        self.pages.clear();
        self.bytes.clear();
        self.zeros.clear();
        self.skipped = 0;
        Ok(())
    }
}

/// Puts pages that came where they belong.
pub(crate) fn take_pages(memories: &[MemoryFile], kind: Kind, payload: &[u8]) -> Result<(), LiveError> {
    let list = PageList::parse(payload, kind == Kind::Pages)?;
    let Some(memory) = memories.get(list.memory) else {
        let reason = format!("there are {} memories", memories.len());
        return Err(LiveError::invalid("memory", &list.memory, reason));
    };
    let place = |number: u64| {
        let at = number.checked_mul(PAGE_SIZE).filter(|at| *at < memory.size());
        at.ok_or_else(|| {
            let reason = format!("memory {} has {} pages", memory.name(), memory.size() / PAGE_SIZE);
            LiveError::invalid("page", &number, reason)
        })
    };
    let failed = LiveError::io;
    if kind == Kind::Zeros {
        for number in list.numbers {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(memory.file(), flags, place(number)?, PAGE_SIZE)
                .map_err(std::io::Error::from)
                .map_err(failed("fill the machine's memory"))?;
        }
        return Ok(());
    }
    for (number, page) in list.numbers.into_iter().zip(list.contents.as_chunks::<PAGE>().0) {
        let written = memory.file().write_all_at(page, place(number)?);
        written.map_err(failed("fill the machine's memory"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_neighbours_and_bounded() {
        let set = PageSet::new(vec![0b1_0111, 1 << 63 | 1, u64::MAX], 130 * PAGE_SIZE);
        assert_eq!(set.count(), 4 + 2 + 2);
        let runs: Vec<_> = set.runs(2).collect();
        assert_eq!(runs, [(0, 2), (2, 1), (4, 1), (64, 1), (127, 2), (129, 1)]);
    }

    #[test]
    fn a_low_rate_has_small_batches() {
        assert_eq!(Pace::batch(0), MOST_PAGES);
        assert_eq!(Pace::batch(1), 1);
        assert_eq!(Pace::batch(1 << 40), MOST_PAGES);
        assert_eq!(Pace::batch(100 * PAGE_SIZE), 10);
    }
}
