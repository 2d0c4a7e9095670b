//! Command memory in the RAM BAR: slots of 256 bytes for commands without data, runs of pages for those with data.
//! A command's release id says where it lies.

const PAGE: usize = 4096;
const SLOT: usize = 256;
const SLOTS: usize = 512;
const SLOT_PAGES: usize = SLOTS * SLOT / PAGE;
/// Pages managed at most (16 MiB).
const MAX_PAGES: usize = 4096;
/// Pages needed at least: the largest picture of the demo with room for several.
const MIN_PAGES: usize = 512;
const WORD: usize = 64;

/// Release ids from here on are pages; below are slots. 0 is no id.
const FIRST_PAGE_ID: u64 = 0x1_0000;

/// The allocator. Freed memory may come back in any order.
#[derive(Debug)]
pub(super) struct CommandMemory {
    monitors: usize,
    slots_at: usize,
    pages_at: usize,
    pages: usize,
    slots: [u64; SLOTS / WORD],
    used: [u64; MAX_PAGES / WORD],
    /// Length of the run that begins at a page; 0 elsewhere.
    runs: [u16; MAX_PAGES],
    outstanding: usize,
}

impl CommandMemory {
    /// Manages `from..to` of the RAM BAR; nothing if that is too small.
    pub(super) fn new(from: usize, to: usize) -> Option<Self> {
        let from = from.checked_next_multiple_of(PAGE)?;
        let pages = (to.checked_sub(from)? / PAGE)
            .checked_sub(1 + SLOT_PAGES)?
            .min(MAX_PAGES);
        (pages >= MIN_PAGES).then_some(Self {
            monitors: from,
            slots_at: from + PAGE,
            pages_at: from + PAGE + SLOTS * SLOT,
            pages,
            slots: [0; SLOTS / WORD],
            used: [0; MAX_PAGES / WORD],
            runs: [0; MAX_PAGES],
            outstanding: 0,
        })
    }

    /// A page of its own for the monitors configuration.
    pub(super) fn monitors(&self) -> usize {
        self.monitors
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Release id and offset of memory for a command of `size` bytes.
    pub(super) fn allocate(&mut self, size: usize) -> Option<(u64, usize)> {
        let found = if size <= SLOT {
            self.allocate_slot()
        } else {
            self.allocate_pages(size.div_ceil(PAGE))
        };
        if found.is_some() {
            self.outstanding += 1;
        }
        found
    }

    fn allocate_slot(&mut self) -> Option<(u64, usize)> {
        let (word, bits) = self.slots.iter_mut().enumerate().find(|(_, bits)| **bits != u64::MAX)?;
        let bit = bits.trailing_ones() as usize;
        *bits |= 1 << bit;
        let slot = word * WORD + bit;
        Some((slot as u64 + 1, self.slots_at + slot * SLOT))
    }

    fn page_used(&self, page: usize) -> bool {
        self.used
            .get(page / WORD)
            .is_none_or(|bits| bits & (1 << (page % WORD)) != 0)
    }

    fn mark_pages(&mut self, first: usize, count: usize, used: bool) {
        for page in first..first + count {
            if let Some(bits) = self.used.get_mut(page / WORD) {
                let bit = 1 << (page % WORD);
                *bits = if used { *bits | bit } else { *bits & !bit };
            }
        }
    }

    fn find_run(&self, count: usize) -> Option<usize> {
        let mut free = 0;
        for page in 0..self.pages {
            free = if self.page_used(page) { 0 } else { free + 1 };
            if free == count {
                return Some(page + 1 - count);
            }
        }
        None
    }

    fn allocate_pages(&mut self, count: usize) -> Option<(u64, usize)> {
        let length = u16::try_from(count).ok()?;
        // The lowest run: what is drawn again and again stays in the same few pages, which is all the host has to keep.
        let first = self.find_run(count)?;
        self.mark_pages(first, count, true);
        *self.runs.get_mut(first)? = length;
        Some((FIRST_PAGE_ID + first as u64, self.pages_at + first * PAGE))
    }

    /// Offset of the live command with this id.
    pub(super) fn lookup(&self, id: u64) -> Option<usize> {
        if let Some(page) = id.checked_sub(FIRST_PAGE_ID) {
            let page = usize::try_from(page).ok()?;
            return (*self.runs.get(page)? != 0).then_some(self.pages_at + page * PAGE);
        }
        let slot = usize::try_from(id).ok()?.checked_sub(1)?;
        let live = self.slots.get(slot / WORD)? & (1 << (slot % WORD)) != 0;
        live.then_some(self.slots_at + slot * SLOT)
    }

    /// Frees the live command with this id; an unknown id changes nothing.
    pub(super) fn release(&mut self, id: u64) {
        if self.lookup(id).is_none() {
            return;
        }
        if let Some(page) = id.checked_sub(FIRST_PAGE_ID) {
            let first = page as usize;
            if let Some(run) = self.runs.get_mut(first) {
                let count = usize::from(core::mem::take(run));
                self.mark_pages(first, count, false);
            }
        } else {
            let slot = id as usize - 1;
            if let Some(bits) = self.slots.get_mut(slot / WORD) {
                *bits &= !(1 << (slot % WORD));
            }
        }
        self.outstanding -= 1;
    }

    /// Forgets every command: the device was reset.
    pub(super) fn release_all(&mut self) {
        self.slots.fill(0);
        self.used.fill(0);
        self.runs.fill(0);
        self.outstanding = 0;
    }
}
