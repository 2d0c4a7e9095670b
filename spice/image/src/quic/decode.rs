//! Reading a plane, row by row.
//!
//! Pixels are words with a component in each byte, so that predictions and values are found for all of them at once.

use super::{
    QuicError,
    bits::{BitReader, STRETCH, window},
    codes::{Depth, LONG, SHORT_BITS},
    model::{Plane, RUN_ORDER},
};

/// Pixels of a run that are written at once.
const BLOCK: usize = 16;
/// The last state of the run length code.
const LAST_RUN_STATE: usize = 31;
/// Pixels that the ones of a run length stand for which lead from the first state to each other one, and one further.
const RUN_PIXELS: [usize; LAST_RUN_STATE + 2] = {
    let mut sums = [0; LAST_RUN_STATE + 2];
    let mut state = 0;
    while state <= LAST_RUN_STATE {
        sums[state + 1] = sums[state] + (1 << RUN_ORDER[state]);
        state += 1;
    }
    sums
};

/// Memory of a plane that is used for one picture after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The row above, replaced by the current one from the left; [`BLOCK`] more that mean nothing.
    row: Vec<u32>,
    /// Symbols by column, after one that stands left of the first; those skipped by runs are of rows further above.
    coded: Vec<u32>,
}

/// A plane that is read.
#[derive(Debug)]
pub(super) struct PlaneReader<'a, D: Depth, const N: usize> {
    plane: Plane<D, N, SHORT_BITS>,
    scratch: &'a mut Scratch,
    width: usize,
    first: bool,
}

impl<'a, D: Depth, const N: usize> PlaneReader<'a, D, N> {
    pub(super) fn new(width: usize, scratch: &'a mut Scratch) -> Self {
        scratch.row.clear();
        scratch.row.resize(width + BLOCK, 0);
        scratch.coded.clear();
        scratch.coded.resize(width + 1, 0);
        Self {
            plane: Plane::new(),
            scratch,
            width,
            first: true,
        }
    }

    /// The row that was read last, and more: components where [`Plane::place`] says, 0 in the other bits.
    pub(super) fn last(&self) -> &[u32] {
        &self.scratch.row
    }

    /// Reads one row.
    pub(super) fn row(&mut self, bits: &mut BitReader<'_>) -> Result<(), QuicError> {
        if self.first {
            self.first = false;
            return self.segments::<true>(bits);
        }
        if let [left, first, ..] = self.scratch.coded.as_mut_slice() {
            *left = *first;
        }
        self.segments::<false>(bits)
    }

    fn segments<const FIRST: bool>(&mut self, bits: &mut BitReader<'_>) -> Result<(), QuicError> {
        let (row, coded) = (self.scratch.row.as_mut_slice(), self.scratch.coded.as_mut_slice());
        let width = self.width;
        // The first pixel is predicted from the one above alone: that one stands left of it, too.
        let first = row.first().copied().unwrap_or(0);
        let mut around = Around {
            before: first,
            left: first,
            above_left: first,
        };
        let mut x = 0;
        while x < width {
            let end = width.min(x.saturating_add(self.plane.until_growth()));
            let start = x;
            // Where a run was read last in this segment.
            let mut run_at = 0;
            while x < end {
                // No run begins within the first three pixels.
                let stop = if x < 3 { x + 1 } else { end };
                let stop = stop.min(x + self.plane.until_update());
                let (Some(pixels), Some(symbols)) = (row.get_mut(x..stop), coded.get_mut(x..=stop)) else {
                    return Ok(());
                };
                if !FIRST && x > 2 && run_at != x && pixels.first().is_some_and(|above| around.is_flat(*above)) {
                    let length = run(&mut self.plane.run_state, end - x, bits)?;
                    around.fill(length, row.get_mut(x..).unwrap_or_default());
                    run_at = x;
                    x += length;
                    continue;
                }
                let (count, reached) = span::<D, N, FIRST>(&mut self.plane, pixels, symbols, &mut around, bits);
                x += count;
                match reached {
                    Reached::End => {}
                    Reached::LongCode => {
                        let (Some(pixel), Some([context, symbols])) =
                            (row.get_mut(x), coded.get_mut(x..).and_then(<[u32]>::first_chunk_mut))
                        else {
                            return Ok(());
                        };
                        *symbols = long::<D, N>(&self.plane, *context, bits)?;
                        *pixel = around.next::<D, N, FIRST>(*pixel, *symbols);
                        self.plane.step(1, *context, *symbols);
                        x += 1;
                    }
                }
            }
            self.plane.grow(end - start);
        }
        Ok(())
    }
}

/// The pixels around the next one: the two left of it, and the one above them.
#[derive(Clone, Copy)]
struct Around {
    before: u32,
    left: u32,
    above_left: u32,
}

impl Around {
    /// Whether a run begins at a pixel below `above`.
    const fn is_flat(self, above: u32) -> bool {
        self.before == self.left && self.above_left == above
    }

    /// Goes on by a run of `length` pixels over the first ones of the row above, which has [`BLOCK`] pixels more.
    fn fill(&mut self, length: usize, above: &mut [u32]) {
        let Some(last) = length.checked_sub(1).and_then(|last| above.get(last)) else {
            return;
        };
        (self.before, self.above_left) = (self.left, *last);
        if length > 4 * BLOCK {
            above.iter_mut().take(length).for_each(|pixel| *pixel = self.left);
            return;
        }
        // Whole blocks, in which the pixels after the run are written as they were: lengths are hard to foresee.
        let mut left = length;
        for block in above.as_chunks_mut::<BLOCK>().0 {
            for (at, pixel) in block.iter_mut().enumerate() {
                *pixel = if at < left { self.left } else { *pixel };
            }
            left = left.saturating_sub(BLOCK);
            if left == 0 {
                break;
            }
        }
    }

    /// Goes on by a pixel below `above` with these symbols; its value.
    fn next<D: Depth, const N: usize, const FIRST: bool>(&mut self, above: u32, symbols: u32) -> u32 {
        let predicted = if FIRST {
            self.left
        } else {
            D::midpoints(self.left, above)
        };
        let value = D::values(symbols, predicted) & Plane::<D, N, SHORT_BITS>::BITS;
        (self.before, self.left, self.above_left) = (self.left, value, above);
        value
    }
}

/// Why no more pixels of a span are read.
enum Reached {
    /// The end, or a pixel where a run begins.
    End,
    /// The next pixel has a long code.
    LongCode,
}

/// Reads pixels up to the next update of the statistics as long as their codes are short and no run begins; at the very
/// first one none does. `coded` has the symbols of the pixel before first. Returns how many, and why no more.
///
/// Everything is in registers here: what is rare is done elsewhere. The code of a component is looked up as soon as its
/// symbol is known, a whole pixel ahead.
fn span<D: Depth, const N: usize, const FIRST: bool>(
    plane: &mut Plane<D, N, SHORT_BITS>,
    row: &mut [u32],
    coded: &mut [u32],
    around: &mut Around,
    bits: &mut BitReader<'_>,
) -> (usize, Reached) {
    let Some((context, coded)) = coded.split_first_mut() else {
        return (0, Reached::End);
    };
    let mut codes: [usize; N] =
        std::array::from_fn(|at| plane.channels[at].code(Plane::<D, N, SHORT_BITS>::component(*context, at)));
    let (words, begin) = bits.stretch();
    let mut at = begin;
    let words_at = |at: usize| {
        let word = at / 32 % (STRETCH - 2);
        window([words[word], words[word + 1], words[word + 2]], at)
    };
    let mut near = *around;
    let mut next = words_at(at);
    let mut count = 0;
    let mut reached = Reached::End;
    for (pixel, coded) in row.iter_mut().zip(&mut *coded) {
        if !FIRST && count > 0 && near.is_flat(*pixel) {
            break;
        }
        // The bits of the next pixel are shifted out of these once its place is known.
        let fresh = words_at(at);
        let (mut symbols, mut length, mut found) = (0, 0, 0);
        for (channel, code) in codes.iter_mut().enumerate() {
            let entry = D::FAMILY.short[(*code | (next >> (64 - SHORT_BITS)) as usize) % (8 << SHORT_BITS)];
            // A shift looks at the length alone, the low six bits.
            next = next.wrapping_shl(u32::from(entry));
            let symbol = entry >> 8;
            *code = plane.channels[channel].code(symbol as u8);
            length += usize::from(entry & 0xff);
            symbols |= u32::from(symbol) << Plane::<D, N, SHORT_BITS>::place(channel);
            found |= entry;
        }
        if found & LONG != 0 {
            reached = Reached::LongCode;
            break;
        }
        next = fresh.wrapping_shl(length as u32);
        at += length;
        *coded = symbols;
        *pixel = near.next::<D, N, FIRST>(*pixel, symbols);
        count += 1;
    }
    *around = near;
    bits.skip(at - begin);
    let context = if count > 1 {
        coded.get(count - 2)
    } else {
        Some(&*context)
    };
    if let (Some(context), Some(last)) = (context, coded.get(count.wrapping_sub(1))) {
        plane.step(count, *context, *last);
    }
    (count, reached)
}

/// The packed symbols of a pixel with codes of any length.
fn long<D: Depth, const N: usize>(
    plane: &Plane<D, N, SHORT_BITS>,
    context: u32,
    bits: &mut BitReader<'_>,
) -> Result<u32, QuicError> {
    let mut symbols = 0;
    for (at, channel) in plane.channels.iter().enumerate() {
        let code = channel.code(Plane::<D, N, SHORT_BITS>::component(context, at)) >> SHORT_BITS;
        let (symbol, length) = D::FAMILY.decoded(bits.window(), code);
        if symbol > u32::from(D::MASK) {
            return Err(QuicError::Symbol);
        }
        bits.skip(length as usize);
        symbols |= symbol << Plane::<D, N, SHORT_BITS>::place(at);
    }
    Ok(symbols)
}

/// Reads the length of a run, at most `room`.
fn run(state: &mut usize, room: usize, bits: &mut BitReader<'_>) -> Result<usize, QuicError> {
    let mut length = 0;
    let mut window = bits.window();
    let mut ones = window.leading_ones() as usize;
    // More than fit in what is looked at at once, or than there are states: only the last state stays for the next one.
    while *state + ones > LAST_RUN_STATE {
        let some = ones.min(LAST_RUN_STATE - *state).max(1);
        length += RUN_PIXELS[*state + some] - RUN_PIXELS[*state];
        if length > room {
            return Err(QuicError::Run { length, room });
        }
        *state = LAST_RUN_STATE.min(*state + some);
        bits.skip(some);
        window = bits.window();
        ones = window.leading_ones() as usize;
        if ones == 0 {
            break;
        }
    }
    length += RUN_PIXELS[(*state + ones) & 31] - RUN_PIXELS[*state & 31];
    *state += ones;
    // The zero that ends the ones goes before the rest.
    let count = 1 + RUN_ORDER[*state & 31];
    length += ((window << (ones & 31) >> 1).wrapping_shr(63 - count)) as usize;
    bits.skip(ones + count as usize);
    *state = state.saturating_sub(1);
    if length > room {
        return Err(QuicError::Run { length, room });
    }
    Ok(length)
}
