//! The statistics that choose among the codes, and what the pixels of a plane share.

use super::{chaos::CHAOS, codes::Depth};

/// Pixels after which the wait mask grows.
const MASK_STEP: usize = 2048;
/// Greatest index of a wait mask.
const LAST_MASK: usize = 6;
/// The counter above which all counters of a bucket are halved, by index of the wait mask.
const TRIGGERS: [u32; LAST_MASK + 1] = [110, 550, 900, 800, 550, 400, 350];
/// Bits of a run length order, by run state.
pub(super) const RUN_ORDER: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
/// Stands for a code that the size of components does not have.
const NEVER: u32 = u32::MAX / 2;

/// Statistics of one component. A code is told by its place in the tables: `SHIFT` bits above the number.
#[derive(Debug)]
pub(super) struct Channel<const SHIFT: u32> {
    /// By group of contexts and code: the bits that the code would have taken, halved now and then. They are kept times
    /// eight with 7 minus the code below, so that the smallest one names the last of the best codes.
    counters: [[u32; 8]; 8],
    /// The best code by context.
    best: [u16; 256],
}

impl<const SHIFT: u32> Channel<SHIFT> {
    fn new<D: Depth>() -> Self {
        let bits = D::FAMILY.bits;
        let counters = std::array::from_fn(|code| if code < bits as usize { 7 - code as u32 } else { NEVER });
        Self {
            counters: [counters; 8],
            best: [((bits - 1) << SHIFT) as u16; 256],
        }
    }

    /// The code for a symbol after `context`.
    pub(super) fn code(&self, context: u8) -> usize {
        usize::from(self.best[usize::from(context)])
    }

    /// Counts a symbol after `context`.
    fn update<D: Depth>(&mut self, context: u8, symbol: u8, trigger: u32) {
        let group = group::<D>(context);
        let counters = &mut self.counters[group & 7];
        for (counter, length) in counters.iter_mut().zip(&D::FAMILY.eight_lengths[usize::from(symbol)]) {
            *counter += u32::from(*length);
        }
        let least = counters.iter().fold(u32::MAX, |least, counter| least.min(*counter));
        if least >> 3 > trigger {
            for (code, counter) in counters.iter_mut().enumerate().take(D::FAMILY.bits as usize) {
                *counter = ((*counter >> 1) & !7) | (7 - code as u32);
            }
        }
        let best = ((7 - (least & 7)) << SHIFT) as u16;
        if self.best[usize::from(context)] != best {
            let (first, end) = contexts::<D>(group);
            if let Some(contexts) = self.best.get_mut(first..end) {
                contexts.fill(best);
            }
        }
    }
}

/// The group a context belongs to, below 8.
fn group<D: Depth>(context: u8) -> usize {
    let group = (u32::from(context) + 1).ilog2() as usize;
    group.min(if D::FAMILY.bits == 8 { 7 } else { 4 })
}

/// The contexts of a group: the first one and the one after the last.
fn contexts<D: Depth>(group: usize) -> (usize, usize) {
    let all = 1 << D::FAMILY.bits;
    let end = (2 << group) - 1;
    // The last group takes what is left.
    ((1 << group) - 1, if end + (2 << group) > all { all } else { end })
}

/// What is remembered of one plane: its components and the state they share.
#[derive(Debug)]
pub(super) struct Plane<D: Depth, const N: usize, const SHIFT: u32> {
    pub(super) channels: [Channel<SHIFT>; N],
    depth: std::marker::PhantomData<D>,
    /// Pixels until the next update.
    wait: usize,
    /// Place in the random table.
    random: u8,
    /// Index of the wait mask.
    mask: usize,
    /// Pixels until the mask grows.
    left: usize,
    /// State of the run length code, below 32.
    pub(super) run_state: usize,
}

impl<D: Depth, const N: usize, const SHIFT: u32> Plane<D, N, SHIFT> {
    pub(super) fn new() -> Self {
        Self {
            channels: std::array::from_fn(|_| Channel::new::<D>()),
            depth: std::marker::PhantomData,
            wait: 0,
            random: 255,
            mask: 0,
            left: MASK_STEP,
            run_state: 0,
        }
    }

    /// Where in its word a component of the plane is: red, green, blue above each other from the bottom up the other
    /// way round; the single one in the highest byte.
    pub(super) const fn place(channel: usize) -> u32 {
        if N == 1 { 24 } else { 16 - 8 * channel as u32 }
    }

    /// The bits of a word that belong to the plane.
    pub(super) const BITS: u32 = if N == 1 { 0xff00_0000 } else { 0x00ff_ffff };

    /// The component of a packed word.
    pub(super) const fn component(word: u32, channel: usize) -> u8 {
        (word >> Self::place(channel)) as u8
    }

    /// Pixels that can follow before the wait mask grows.
    pub(super) const fn until_growth(&self) -> usize {
        if self.mask < LAST_MASK { self.left } else { usize::MAX }
    }

    /// Counts the pixels of a segment, at most [`until_growth`](Self::until_growth).
    pub(super) const fn grow(&mut self, pixels: usize) {
        if self.mask < LAST_MASK {
            self.left -= pixels;
            if self.left == 0 {
                self.mask += 1;
                self.left = MASK_STEP;
            }
        }
    }

    /// Pixels up to the next one after which statistics are updated, that one included.
    pub(super) const fn until_update(&self) -> usize {
        self.wait + 1
    }

    /// After pixels were coded, at most [`until_update`](Self::until_update): waits on, or updates the statistics with
    /// the packed symbols of the last one and of the one left of it.
    pub(super) fn step(&mut self, pixels: usize, context: u32, symbols: u32) {
        if pixels <= self.wait {
            self.wait -= pixels;
            return;
        }
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let (context, symbol) = (Self::component(context, at), Self::component(symbols, at));
            channel.update::<D>(context, symbol, TRIGGERS[self.mask]);
        }
        self.random = self.random.wrapping_add(1);
        self.wait = usize::from(CHAOS[usize::from(self.random)]) & ((1 << self.mask) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::codes::{Eight, Five},
        *,
    };

    #[test]
    fn contexts_group_by_powers_of_two() {
        assert_eq!(
            [0, 1, 2, 3, 62, 63, 126, 127, 255].map(group::<Eight>),
            [0, 1, 1, 2, 5, 6, 6, 7, 7]
        );
        assert_eq!([0, 14, 15, 31].map(group::<Five>), [0, 3, 4, 4]);
        for context in 0..=255 {
            let (first, end) = contexts::<Eight>(group::<Eight>(context));
            assert!((first..end).contains(&usize::from(context)) && end <= 256);
        }
        assert_eq!(contexts::<Five>(4), (15, 32));
    }
}
