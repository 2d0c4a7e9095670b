//! Writing a plane, row by row.
//!
//! All pixels are known, so that predictions, symbols and the places where runs begin are found for a whole row at once
//! before its codes are written, in spans without a run and without an update of the statistics.

use super::{
    bits::{BitWriter, Written},
    codes::Depth,
    model::{Plane, RUN_ORDER},
};

/// A pixel whose components are bytes: blue, green and red, then alpha or grey.
pub(super) type Pixel = [u8; 4];

/// The symbols of a row of pixels for all components.
pub(super) fn symbols<D: Depth>(above: Option<&[Pixel]>, row: &[Pixel], symbols: &mut [Pixel]) {
    let (Some((first, rest)), Some((first_symbol, rest_symbols))) = (row.split_first(), symbols.split_first_mut())
    else {
        return;
    };
    let difference = |value: u8, predicted: u8| D::fold(value.wrapping_sub(predicted) & D::MASK);
    let (left, values) = (row.as_flattened(), rest.as_flattened());
    let rest_symbols = rest_symbols.as_flattened_mut();
    let Some((above_first, above)) = above.and_then(<[Pixel]>::split_first) else {
        *first_symbol = first.map(|value| difference(value, 0));
        for ((symbol, value), left) in rest_symbols.iter_mut().zip(values).zip(left) {
            *symbol = difference(*value, *left);
        }
        return;
    };
    for ((symbol, value), above) in first_symbol.iter_mut().zip(first).zip(above_first) {
        *symbol = difference(*value, *above);
    }
    for (((symbol, value), left), above) in rest_symbols.iter_mut().zip(values).zip(left).zip(above.as_flattened()) {
        // Half the sum, rounded down.
        *symbol = difference(*value, (left & above) + ((left ^ above) >> 1));
    }
}

/// A bit for each pixel of a row.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// None, for rows of `width` pixels and one word more.
    pub(super) fn clear(&mut self, width: usize) {
        self.0.clear();
        self.0.resize(width / 64 + 1, 0);
    }

    /// Marks the pixels that are equal to the one left of them, as far as `bits` of them go.
    fn mark_equal(&mut self, row: &[Pixel], bits: u32) {
        let (left, last_left) = row.as_chunks::<64>();
        let (right, last_right) = row.get(1..).unwrap_or_default().as_chunks::<64>();
        // At the end of the row one of the two may have fewer whole chunks. Beyond it nothing counts.
        let (mut padded_left, mut padded_right) = ([[0; 4]; 64], [[0; 4]; 64]);
        let mut last_left = left.get(right.len()).map_or(last_left, |chunk| chunk.as_slice()).iter();
        padded_left
            .iter_mut()
            .zip(&mut last_left)
            .for_each(|(to, from)| *to = *from);
        padded_right
            .iter_mut()
            .zip(last_right)
            .for_each(|(to, from)| *to = *from);
        let pairs = left.iter().zip(right).chain([(&padded_left, &padded_right)]);
        // What a pair of chunks says about pixel i is for the right one, a pixel further.
        let mut carry = 0;
        for (word, (left, right)) in self.0.iter_mut().zip(pairs) {
            let found = equal(left, right, bits);
            *word = found << 1 | carry;
            carry = found >> 63;
        }
    }

    /// Marks where a run may begin: the row above does not change there, nor this one at the pixel before.
    fn mark_starts(&mut self, above: &Self, row: &Self) {
        let mut carry = 0;
        for ((word, above), row) in self.0.iter_mut().zip(&above.0).zip(&row.0) {
            *word = above & (row << 1 | carry);
            carry = row >> 63;
        }
        // Never within the first three pixels.
        if let Some(first) = self.0.first_mut() {
            *first &= !7;
        }
    }

    /// Whether pixel `x` is marked.
    fn is_set(&self, x: usize) -> bool {
        self.0.get(x / 64).is_some_and(|word| word >> (x % 64) & 1 == 1)
    }

    /// The first pixel from `x` on that is marked, or is not for `marked` false; at most `end`.
    fn next(&self, marked: bool, x: usize, end: usize) -> usize {
        let flip = if marked { 0 } else { u64::MAX };
        let mut at = x;
        for word in self.0.get(x / 64..).unwrap_or_default() {
            let bits = (word ^ flip) >> (at % 64);
            if bits != 0 {
                return end.min(at + bits.trailing_zeros() as usize);
            }
            at = (at / 64 + 1) * 64;
            if at >= end {
                break;
            }
        }
        end
    }
}

/// Which pixels of two rows are equal, as far as `bits` of them go; the first one at the bottom.
fn equal(left: &[Pixel; 64], right: &[Pixel; 64], bits: u32) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, (left, right)) in flags.iter_mut().zip(left.iter().zip(right)) {
        *flag = u8::from((u32::from_le_bytes(*left) ^ u32::from_le_bytes(*right)) & bits == 0);
    }
    let eights = flags.as_chunks().0.iter().enumerate();
    eights.fold(0, |packed, (at, eight)| {
        // Byte i is moved to bit 56 + i; no two products meet.
        let top = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        packed | top << (8 * at)
    })
}

/// A plane that is written, and what is remembered of the row above.
#[derive(Debug)]
pub(super) struct PlaneWriter<'a, D: Depth, const N: usize> {
    plane: Plane<D, N, 8>,
    scratch: &'a mut Scratch,
    first: bool,
}

/// Memory of a plane that is used for one picture after the other.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Symbols by column, after one that stands left of the first; those skipped by runs are of rows further above.
    coded: Vec<Pixel>,
    /// Which pixels of the row above, and of this one, are equal to the one left of them.
    equal_above: Marks,
    equal: Marks,
    starts: Marks,
}

impl<'a, D: Depth, const N: usize> PlaneWriter<'a, D, N> {
    pub(super) fn new(width: usize, scratch: &'a mut Scratch) -> Self {
        scratch.coded.clear();
        scratch.coded.resize(width + 1, [0; 4]);
        for marks in [&mut scratch.equal_above, &mut scratch.equal, &mut scratch.starts] {
            marks.clear(width);
        }
        Self {
            plane: Plane::new(),
            scratch,
            first: true,
        }
    }

    /// Writes one row with its symbols; rows have the width the writer was made for.
    pub(super) fn row(&mut self, row: &[Pixel], symbols: &[Pixel], bits: &mut BitWriter, out: &mut Vec<u8>) {
        let width = row.len();
        let scratch = &mut *self.scratch;
        scratch.equal.mark_equal(row, Plane::<D, N, 8>::BITS);
        if self.first {
            self.first = false;
        } else {
            scratch.starts.mark_starts(&scratch.equal_above, &scratch.equal);
            if let [left, first, ..] = scratch.coded.as_mut_slice() {
                *left = *first;
            }
        }
        let mut x = 0;
        while x < width {
            let start = x;
            let end = width.min(x.saturating_add(self.plane.until_growth()));
            while x < end {
                if scratch.starts.is_set(x) {
                    let run_end = scratch.equal.next(false, x, end);
                    run(&mut self.plane.run_state, run_end - x, bits, out);
                    let empty = run_end == x;
                    x = run_end;
                    if !empty {
                        continue;
                    }
                }
                let until = scratch.starts.next(true, x + 1, end);
                x = span(&mut self.plane, symbols, &mut scratch.coded, x, until, bits, out);
            }
            self.plane.grow(end - start);
        }
        std::mem::swap(&mut scratch.equal, &mut scratch.equal_above);
    }
}

/// Writes the pixels from `x` to `end`, at least one of them and less than `end` when an update comes first.
fn span<D: Depth, const N: usize>(
    plane: &mut Plane<D, N, 8>,
    symbols: &[Pixel],
    coded: &mut [Pixel],
    x: usize,
    end: usize,
    bits: &mut BitWriter,
    out: &mut Vec<u8>,
) -> usize {
    let mut x = x;
    while x < end {
        let count = plane.until_update().min(end - x);
        let (Some(symbols), Some(coded)) = (symbols.get(x..x + count), coded.get_mut(x..=x + count)) else {
            return end;
        };
        let written = codes(plane, symbols, coded, bits, out);
        bits.advance(written);
        if let [.., context, last] = coded {
            plane.step(count, u32::from_le_bytes(*context), u32::from_le_bytes(*last));
        }
        x += count;
    }
    end
}

/// Writes the codes of symbols and notes them in `coded`, after the one that stands there for the pixel before.
fn codes<D: Depth, const N: usize>(
    plane: &Plane<D, N, 8>,
    symbols: &[Pixel],
    coded: &mut [Pixel],
    bits: &mut BitWriter,
    out: &mut Vec<u8>,
) -> Written {
    let mut cursor = bits.cursor(out);
    let Some((context, coded)) = coded.split_first_mut() else {
        return cursor.written();
    };
    let mut context = u32::from_le_bytes(*context);
    for (symbol, coded) in symbols.iter().zip(coded) {
        *coded = *symbol;
        let symbol = u32::from_le_bytes(*symbol);
        let codes: [u32; N] = std::array::from_fn(|at| {
            let code = plane.channels[at].code(Plane::<D, N, 8>::component(context, at));
            D::FAMILY.written[(code | usize::from(Plane::<D, N, 8>::component(symbol, at))) % (8 << 8)]
        });
        context = symbol;
        // The lengths are in the low bytes, and so is their sum.
        let length = codes.iter().sum::<u32>() & 0xff;
        if length <= 32 {
            // A shift looks at the length alone, the low six bits.
            let all = codes
                .iter()
                .fold(0, |all: u64, code| all.wrapping_shl(*code) | u64::from(code >> 8));
            cursor.write(all, length);
        } else {
            codes
                .iter()
                .for_each(|code| cursor.write(u64::from(code >> 8), code & 31));
        }
    }
    cursor.written()
}

/// Writes the length of a run.
fn run(state: &mut usize, length: usize, bits: &mut BitWriter, out: &mut Vec<u8>) {
    let (mut left, mut ones) = (length, 0);
    while left >= 1 << RUN_ORDER[*state & 31] {
        left -= 1 << RUN_ORDER[*state & 31];
        *state = (*state + 1).min(31);
        ones += 1;
        if ones == 32 {
            bits.write(u64::from(u32::MAX), 32, out);
            ones = 0;
        }
    }
    bits.write((1 << ones) - 1, ones, out);
    // A zero ends the ones.
    let order = RUN_ORDER[*state & 31];
    bits.write(left as u64, order + 1, out);
    *state = state.saturating_sub(1);
}
