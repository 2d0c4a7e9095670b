//! The one loop over a row, which encoder and decoder share.

use super::{
    QuicError,
    bits::{BitReader, BitWriter},
    model::{Family, Plane, RUN_ORDER},
};

/// One pixel of a plane: its components in the order they are coded.
pub(super) type Pixel<const N: usize> = [u8; N];

/// What encoder and decoder do in their own way.
pub(super) trait Coder {
    /// Codes one component whose prediction is `predicted`; the symbol.
    fn component(&mut self, family: &Family, code: usize, predicted: u8, value: &mut u8) -> Result<u8, QuicError>;

    /// Codes a run from pixel `x` on, before `end`, of the pixel left of it; its length.
    fn run<const N: usize>(
        &mut self,
        state: &mut usize,
        row: &mut [Pixel<N>],
        x: usize,
        end: usize,
    ) -> Result<usize, QuicError>;
}

/// Codes one row of a plane; `above` is the row above, `None` for the first.
pub(super) fn code_row<C: Coder, const N: usize>(
    coder: &mut C,
    plane: &mut Plane<N>,
    above: Option<&[Pixel<N>]>,
    row: &mut [Pixel<N>],
) -> Result<(), QuicError> {
    plane.begin_row(above.is_none());
    let width = row.len();
    let mut x = 0;
    while x < width {
        let start = x;
        let end = width.min(x.saturating_add(plane.until_growth()));
        // Where a run was tried last in this segment; none is tried before the fourth pixel.
        let mut run_at = 0;
        while x < end {
            if let Some(above) = above
                && x > 2
                && run_at != x
                && above[x - 1] == above[x]
                && row[x - 1] == row[x - 2]
            {
                run_at = x;
                x += coder.run(&mut plane.run_state, row, x, end)?;
                continue;
            }
            code_pixel(coder, plane, above, row, x)?;
            plane.step(x);
            x += 1;
        }
        plane.grow(end - start);
    }
    Ok(())
}

/// Codes the components of pixel `x`.
fn code_pixel<C: Coder, const N: usize>(
    coder: &mut C,
    plane: &mut Plane<N>,
    above: Option<&[Pixel<N>]>,
    row: &mut [Pixel<N>],
    x: usize,
) -> Result<(), QuicError> {
    for (at, channel) in plane.channels.iter_mut().enumerate() {
        let predicted = match (x.checked_sub(1), above) {
            (None, None) => 0,
            (Some(left), None) => row[left][at],
            (None, Some(above)) => above[0][at],
            (Some(left), Some(above)) => u8::midpoint(row[left][at], above[x][at]),
        };
        let context = channel.symbols[x];
        let code = channel.code(plane.family, context);
        channel.symbols[x + 1] = coder.component(plane.family, code, predicted, &mut row[x][at])?;
    }
    Ok(())
}

impl Coder for BitReader<'_> {
    fn component(&mut self, family: &Family, code: usize, predicted: u8, value: &mut u8) -> Result<u8, QuicError> {
        let zeroes = self.peek().leading_zeros();
        let code = code & 7;
        let symbol = if zeroes < family.prefix[code] {
            self.skip(zeroes + 1);
            (zeroes << code) | self.read(code as u32)
        } else {
            self.skip(family.prefix[code]);
            family.escaped[code] + self.read(family.suffix[code])
        };
        let symbol = u8::try_from(symbol).ok().filter(|symbol| *symbol <= family.mask());
        let symbol = symbol.ok_or(QuicError::Symbol)?;
        *value = family.unfold(symbol).wrapping_add(predicted) & family.mask();
        Ok(symbol)
    }

    fn run<const N: usize>(
        &mut self,
        state: &mut usize,
        row: &mut [Pixel<N>],
        x: usize,
        end: usize,
    ) -> Result<usize, QuicError> {
        let room = end - x;
        let mut length = 0;
        while self.read(1) == 1 {
            length += 1 << RUN_ORDER[*state & 31];
            if length > room {
                return Err(QuicError::Run { length, room });
            }
            *state = (*state + 1).min(31);
        }
        length += self.read(RUN_ORDER[*state & 31]) as usize;
        *state = state.saturating_sub(1);
        if length > room {
            return Err(QuicError::Run { length, room });
        }
        let pixel = row[x - 1];
        row[x..x + length].fill(pixel);
        Ok(length)
    }
}

impl Coder for BitWriter {
    fn component(&mut self, family: &Family, code: usize, predicted: u8, value: &mut u8) -> Result<u8, QuicError> {
        let symbol = family.fold(value.wrapping_sub(predicted));
        let (bits, count) = family.encoded(symbol, code);
        self.write(bits, count);
        Ok(symbol)
    }

    fn run<const N: usize>(
        &mut self,
        state: &mut usize,
        row: &mut [Pixel<N>],
        x: usize,
        end: usize,
    ) -> Result<usize, QuicError> {
        let pixel = row[x - 1];
        let length = row[x..end].iter().take_while(|next| **next == pixel).count();
        let mut left = length;
        while left >= 1 << RUN_ORDER[*state & 31] {
            self.write(1, 1);
            left -= 1 << RUN_ORDER[*state & 31];
            *state = (*state + 1).min(31);
        }
        let order = RUN_ORDER[*state & 31];
        self.write(0, 1);
        self.write(left as u32, order);
        *state = state.saturating_sub(1);
        Ok(length)
    }
}
