//! Reading a plane, row by row.
//!
//! Pixels are words with a component in each byte, so that predictions and values are found for all of them at once.

use super::{
    QuicError,
    bits::BitReader,
    codes::{Depth, LONG, SHORT_BITS},
    model::{Plane, RUN_ORDER},
};

/// Memory of a plane that is used for one picture after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    above: Vec<u32>,
    row: Vec<u32>,
    /// Symbols by column, after one that stands left of the first; those skipped by runs are of rows further above.
    coded: Vec<u32>,
    /// Whether a run can begin at a column as far as the row above is concerned.
    starts: Vec<bool>,
}

/// A plane that is read.
#[derive(Debug)]
pub(super) struct PlaneReader<'a, D: Depth, const N: usize> {
    plane: Plane<D, N, SHORT_BITS>,
    scratch: &'a mut Scratch,
    first: bool,
}

impl<'a, D: Depth, const N: usize> PlaneReader<'a, D, N> {
    pub(super) fn new(width: usize, scratch: &'a mut Scratch) -> Self {
        for words in [&mut scratch.above, &mut scratch.row] {
            words.clear();
            words.resize(width, 0);
        }
        scratch.coded.clear();
        scratch.coded.resize(width + 1, 0);
        scratch.starts.clear();
        scratch.starts.resize(width, false);
        Self {
            plane: Plane::new(),
            scratch,
            first: true,
        }
    }

    /// The row that was read last: components where [`Plane::place`] says, 0 in the other bits.
    pub(super) fn last(&self) -> &[u32] {
        &self.scratch.row
    }

    /// Reads one row.
    pub(super) fn row(&mut self, bits: &mut BitReader<'_>) -> Result<(), QuicError> {
        if self.first {
            self.first = false;
            return self.segments::<true>(bits);
        }
        let scratch = &mut *self.scratch;
        std::mem::swap(&mut scratch.above, &mut scratch.row);
        if let [left, first, ..] = scratch.coded.as_mut_slice() {
            *left = *first;
        }
        // Never within the first three pixels.
        let starts = scratch.starts.get_mut(3..).unwrap_or_default().iter_mut();
        let pixels = scratch.above.iter().skip(2).zip(scratch.above.iter().skip(3));
        for (start, (left, pixel)) in starts.zip(pixels) {
            *start = left == pixel;
        }
        self.segments::<false>(bits)
    }

    fn segments<const FIRST: bool>(&mut self, bits: &mut BitReader<'_>) -> Result<(), QuicError> {
        let width = self.scratch.row.len();
        let mut x = 0;
        while x < width {
            let end = width.min(x.saturating_add(self.plane.until_growth()));
            self.segment::<FIRST>(x, end, bits)?;
            self.plane.grow(end - x);
            x = end;
        }
        Ok(())
    }

    /// Reads the pixels from `start` to `end`, between which the wait mask does not grow.
    fn segment<const FIRST: bool>(
        &mut self,
        start: usize,
        end: usize,
        bits: &mut BitReader<'_>,
    ) -> Result<(), QuicError> {
        let Scratch {
            above,
            row,
            coded,
            starts,
        } = &mut *self.scratch;
        let mut x = start;
        // Where a run was read last; none is within the first three pixels.
        let mut run_at = 0;
        while x < end {
            let stop = end.min(x + self.plane.until_update());
            let (done, rest) = row.split_at_mut(x);
            let left = match done {
                [.., before, left] => [*before, *left],
                // The first pixel is predicted from the one above alone.
                _ => [0, done.last().or(above.first()).copied().unwrap_or(0)],
            };
            let span = Span {
                above: above.get(x..stop).unwrap_or_default(),
                row: rest.get_mut(..stop - x).unwrap_or_default(),
                coded: coded.get_mut(x..=stop).unwrap_or_default(),
                starts: starts.get(x..stop).unwrap_or_default(),
            };
            let count = span.read::<D, N, FIRST>(&self.plane, left, run_at == x, bits)?;
            if let Some([context, last]) = coded.get(x..=x + count).and_then(<[u32]>::last_chunk) {
                self.plane.step(count, *context, *last);
            }
            x += count;
            if x < stop {
                let length = run(&mut self.plane.run_state, end - x, bits)?;
                if let Some((pixel, rest)) = row.get_mut(x - 1..x + length).and_then(<[u32]>::split_first_mut) {
                    rest.fill(*pixel);
                }
                run_at = x;
                x += length;
            }
        }
        Ok(())
    }
}

/// Pixels up to the next update of the statistics.
struct Span<'a> {
    above: &'a [u32],
    row: &'a mut [u32],
    /// Symbols, the one of the pixel before first.
    coded: &'a mut [u32],
    starts: &'a [bool],
}

impl Span<'_> {
    /// Reads pixels up to the first one where a run begins, but not there when `no_run`. The two before are `left`.
    /// Returns how many.
    fn read<D: Depth, const N: usize, const FIRST: bool>(
        self,
        plane: &Plane<D, N, SHORT_BITS>,
        left: [u32; 2],
        no_run: bool,
        bits: &mut BitReader<'_>,
    ) -> Result<usize, QuicError> {
        let [mut before, mut left] = left;
        let mut no_run = no_run;
        let mut reader = *bits;
        let Some((context, coded)) = self.coded.split_first_mut() else {
            return Ok(0);
        };
        let mut context = *context;
        let mut count = 0;
        let columns = self.row.iter_mut().zip(coded).zip(self.above.iter().zip(self.starts));
        for ((pixel, coded), (above, start)) in columns {
            if *start && before == left && !no_run {
                break;
            }
            no_run = false;
            let predicted = if FIRST { left } else { D::midpoints(left, *above) };
            context = match short::<D, N>(plane, context, &mut reader) {
                Some(symbols) => symbols,
                None => long::<D, N>(plane, context, &mut reader)?,
            };
            *coded = context;
            before = left;
            left = D::values(context, predicted) & Plane::<D, N, SHORT_BITS>::BITS;
            *pixel = left;
            count += 1;
        }
        *bits = reader;
        Ok(count)
    }
}

/// The packed symbols of a pixel, when all of them have short codes.
fn short<D: Depth, const N: usize>(
    plane: &Plane<D, N, SHORT_BITS>,
    context: u32,
    bits: &mut BitReader<'_>,
) -> Option<u32> {
    let mut window = bits.window();
    let (mut symbols, mut length, mut found) = (0, 0, 0);
    for (at, channel) in plane.channels.iter().enumerate() {
        let code = channel.code(Plane::<D, N, SHORT_BITS>::component(context, at));
        let entry = D::FAMILY.short[(code | (window >> (64 - SHORT_BITS)) as usize) % (8 << SHORT_BITS)];
        // A shift looks at the length alone, the low six bits.
        window = window.wrapping_shl(u32::from(entry));
        length += u32::from(entry & 0xff);
        symbols |= u32::from(entry >> 8) << Plane::<D, N, SHORT_BITS>::place(at);
        found |= entry;
    }
    if found & LONG != 0 {
        return None;
    }
    bits.shifted(window, length);
    Some(symbols)
}

/// The packed symbols of a pixel.
#[cold]
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
        bits.skip(length);
        symbols |= symbol << Plane::<D, N, SHORT_BITS>::place(at);
    }
    Ok(symbols)
}

/// Reads the length of a run, at most `room`.
fn run(state: &mut usize, room: usize, bits: &mut BitReader<'_>) -> Result<usize, QuicError> {
    let mut length = 0;
    while bits.read(1) == 1 {
        length += 1 << RUN_ORDER[*state & 31];
        if length > room {
            return Err(QuicError::Run { length, room });
        }
        *state = (*state + 1).min(31);
    }
    length += bits.read(RUN_ORDER[*state & 31]) as usize;
    *state = state.saturating_sub(1);
    if length > room {
        return Err(QuicError::Run { length, room });
    }
    Ok(length)
}
