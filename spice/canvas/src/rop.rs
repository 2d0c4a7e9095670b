//! Raster operations on raw pixel values.

use caraway_ports::drawing::Rop;

use crate::lanes::{self, Pixel};

/// Which operands of a binary operation the inversion flags of a descriptor act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operands {
    first: u16,
    second: u16,
}

impl Operands {
    /// Brush with destination.
    pub(crate) const BRUSH_DEST: Self = Self {
        first: Rop::INVERS_BRUSH,
        second: Rop::INVERS_DEST,
    };
    /// Source with destination.
    pub(crate) const SOURCE_DEST: Self = Self {
        first: Rop::INVERS_SRC,
        second: Rop::INVERS_DEST,
    };
    /// Brush with source.
    pub(crate) const BRUSH_SOURCE: Self = Self {
        first: Rop::INVERS_BRUSH,
        second: Rop::INVERS_SRC,
    };
}

/// One of the sixteen Boolean functions of two bits; bit `2 * a + b` of the number is the result for `a`, `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BinaryOp(u8);

impl BinaryOp {
    /// The first operand as it is.
    pub(crate) const COPY: Self = Self(0b1100);

    /// What a descriptor means for the operands. The first operator in the order of the protocol wins; none is a
    /// plain copy.
    pub(crate) const fn new(rop: Rop, operands: Operands) -> Self {
        const A: u8 = 0b1100;
        const B: u8 = 0b1010;
        let bits = rop.0;
        let a = if bits & operands.first != 0 { !A & 15 } else { A };
        let b = if bits & operands.second != 0 { !B & 15 } else { B };
        let table = if bits & Rop::OP_PUT != 0 {
            a
        } else if bits & Rop::OP_OR != 0 {
            a | b
        } else if bits & Rop::OP_AND != 0 {
            a & b
        } else if bits & Rop::OP_XOR != 0 {
            a ^ b
        } else if bits & Rop::OP_BLACKNESS != 0 {
            return Self(0);
        } else if bits & Rop::OP_WHITENESS != 0 {
            return Self(15);
        } else if bits & Rop::OP_INVERS != 0 {
            return Self(!B & 15);
        } else {
            return Self::COPY;
        };
        Self(if bits & Rop::INVERS_RES != 0 {
            !table & 15
        } else {
            table
        })
    }

    /// Whether the result is one value whatever the second operand is, given one value of the first.
    pub(crate) fn constant(self, a: u32) -> Option<u32> {
        match self.0 {
            0 => Some(0),
            0b1100 => Some(a),
            0b0011 => Some(!a),
            15 => Some(u32::MAX),
            _ => None,
        }
    }

    /// The function of two values, bit by bit.
    pub(crate) const fn apply(self, a: u32, b: u32) -> u32 {
        match self.0 {
            0b0000 => 0,
            0b0001 => !(a | b),
            0b0010 => !a & b,
            0b0011 => !a,
            0b0100 => a & !b,
            0b0101 => !b,
            0b0110 => a ^ b,
            0b0111 => !(a & b),
            0b1000 => a & b,
            0b1001 => !(a ^ b),
            0b1010 => b,
            0b1011 => !a | b,
            0b1100 => a,
            0b1101 => a | !b,
            0b1110 => a | b,
            _ => u32::MAX,
        }
    }
}

impl BinaryOp {
    /// Sets each value of `second` to the function of that of `first` and of itself.
    pub(crate) fn apply_row(self, first: &[u32], second: &mut [u32]) {
        self.each(first, second, (|word| word, |word| word), |word| word);
    }

    /// As [`apply_row`](Self::apply_row), for pixels of 32 bits; only the bits of `kept` are taken of `first`.
    pub(crate) fn apply_pixels(self, first: &[Pixel], kept: u32, second: &mut [Pixel]) {
        if self == Self::COPY && kept == u32::MAX && first.len() == second.len() {
            return second.copy_from_slice(first);
        }
        if self == Self::COPY {
            return lanes::copy(second, first, kept);
        }
        let first_of = |pixel| u32::from_le_bytes(pixel) & kept;
        self.each(first, second, (first_of, u32::from_le_bytes), u32::to_le_bytes);
    }

    /// A loop for each function, so that the compiler knows which it is.
    fn each<T: Copy>(
        self,
        first: &[T],
        second: &mut [T],
        get: (impl Fn(T) -> u32, impl Fn(T) -> u32),
        put: impl Fn(u32) -> T,
    ) {
        match self.0 {
            0b0000 => row::<0b0000, T>(first, second, get, put),
            0b0001 => row::<0b0001, T>(first, second, get, put),
            0b0010 => row::<0b0010, T>(first, second, get, put),
            0b0011 => row::<0b0011, T>(first, second, get, put),
            0b0100 => row::<0b0100, T>(first, second, get, put),
            0b0101 => row::<0b0101, T>(first, second, get, put),
            0b0110 => row::<0b0110, T>(first, second, get, put),
            0b0111 => row::<0b0111, T>(first, second, get, put),
            0b1000 => row::<0b1000, T>(first, second, get, put),
            0b1001 => row::<0b1001, T>(first, second, get, put),
            0b1010 => {}
            0b1011 => row::<0b1011, T>(first, second, get, put),
            0b1100 => row::<0b1100, T>(first, second, get, put),
            0b1101 => row::<0b1101, T>(first, second, get, put),
            0b1110 => row::<0b1110, T>(first, second, get, put),
            _ => row::<0b1111, T>(first, second, get, put),
        }
    }
}

/// Applies one function.
fn row<const TABLE: u8, T: Copy>(
    first: &[T],
    second: &mut [T],
    (get_first, get): (impl Fn(T) -> u32, impl Fn(T) -> u32),
    put: impl Fn(u32) -> T,
) {
    for (b, a) in second.iter_mut().zip(first) {
        *b = put(BinaryOp(TABLE).apply(get_first(*a), get(*b)));
    }
}

/// Sets each value of `dest` to the ternary operation `code` of brush, source and itself: for each bit, bit
/// `4 * p + 2 * s + d` of the code.
pub(crate) fn ternary_row(code: u8, brush: &[u32], source: &[u32], dest: &mut [u32]) {
    // All ones for the combinations whose result is 1.
    let wanted: [u32; 8] = std::array::from_fn(|at| if code >> at & 1 == 1 { u32::MAX } else { 0 });
    for ((d, p), s) in dest.iter_mut().zip(brush).zip(source) {
        let [w0, w1, w2, w3, w4, w5, w6, w7] = wanted;
        let by_dest = |zero: u32, one: u32| zero & !*d | one & *d;
        let by_source = |zero: u32, one: u32| zero & !s | one & s;
        let clear = by_source(by_dest(w0, w1), by_dest(w2, w3));
        let set = by_source(by_dest(w4, w5), by_dest(w6, w7));
        *d = clear & !p | set & p;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one bit at a time.
    fn reference(bits: u16, operands: Operands, a: bool, b: bool) -> bool {
        let a_in = a;
        let a = a ^ (bits & operands.first != 0);
        let b_in = b;
        let b = b ^ (bits & operands.second != 0);
        let inverted = bits & Rop::INVERS_RES != 0;
        if bits & Rop::OP_PUT != 0 {
            a ^ inverted
        } else if bits & Rop::OP_OR != 0 {
            (a || b) ^ inverted
        } else if bits & Rop::OP_AND != 0 {
            (a && b) ^ inverted
        } else if bits & Rop::OP_XOR != 0 {
            (a != b) ^ inverted
        } else if bits & Rop::OP_BLACKNESS != 0 {
            false
        } else if bits & Rop::OP_WHITENESS != 0 {
            true
        } else if bits & Rop::OP_INVERS != 0 {
            !b_in
        } else {
            a_in
        }
    }

    #[test]
    fn every_descriptor_agrees_with_its_definition() {
        for operands in [Operands::BRUSH_DEST, Operands::SOURCE_DEST, Operands::BRUSH_SOURCE] {
            for bits in 0..0x800u16 {
                let op = BinaryOp::new(Rop(bits), operands);
                let result = op.apply(0b1100, 0b1010) & 15;
                for (at, (a, b)) in [(false, false), (false, true), (true, false), (true, true)]
                    .into_iter()
                    .enumerate()
                {
                    assert_eq!(
                        (result >> at) & 1 == 1,
                        reference(bits, operands, a, b),
                        "{bits:#x} {a} {b}"
                    );
                }
                let mut row = [0b1010];
                op.apply_row(&[0b1100], &mut row);
                assert_eq!(row, [op.apply(0b1100, 0b1010)]);
                if let Some(value) = op.constant(0x55) {
                    assert_eq!((value, value), (op.apply(0x55, 0), op.apply(0x55, u32::MAX)));
                }
            }
        }
    }

    #[test]
    fn ternary_codes_have_their_windows_names() {
        let (p, s, d) = (0xf0f0_f0f0, 0xcccc_cccc, 0xaaaa_aaaa);
        let ternary = |code: u8, p: u32, s: u32, d: u32| {
            let mut dest = [d];
            ternary_row(code, &[p], &[s], &mut dest);
            dest[0]
        };
        assert_eq!(ternary(0xcc, p, s, d), s, "SRCCOPY");
        assert_eq!(ternary(0xf0, p, s, d), p, "PATCOPY");
        assert_eq!(ternary(0x66, p, s, d), s ^ d, "SRCINVERT");
        assert_eq!(ternary(0xc0, p, s, d), p & s, "MERGECOPY");
        for code in 0..=255u8 {
            assert_eq!(ternary(code, p, s, d) & 0xff, u32::from(code));
        }
    }
}
