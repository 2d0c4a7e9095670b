//! Raster operations on raw pixel values.

use caraway_ports::drawing::Rop;

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

/// The ternary operation `code` of brush, source and destination: for each bit, bit `4 * p + 2 * s + d` of the code.
pub(crate) fn ternary(code: u8, brush: u32, source: u32, dest: u32) -> u32 {
    (0..8u8)
        .filter(|minterm| (code >> minterm) & 1 == 1)
        .fold(0, |all, minterm| {
            let pick = |bit: u8, value: u32| if minterm & bit != 0 { value } else { !value };
            all | (pick(4, brush) & pick(2, source) & pick(1, dest))
        })
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
                if let Some(value) = op.constant(0x55) {
                    assert_eq!((value, value), (op.apply(0x55, 0), op.apply(0x55, u32::MAX)));
                }
            }
        }
    }

    #[test]
    fn ternary_codes_have_their_windows_names() {
        let (p, s, d) = (0xf0f0_f0f0, 0xcccc_cccc, 0xaaaa_aaaa);
        assert_eq!(ternary(0xcc, p, s, d), s, "SRCCOPY");
        assert_eq!(ternary(0xf0, p, s, d), p, "PATCOPY");
        assert_eq!(ternary(0x66, p, s, d), s ^ d, "SRCINVERT");
        assert_eq!(ternary(0xc0, p, s, d), p & s, "MERGECOPY");
        for code in 0..=255u8 {
            assert_eq!(ternary(code, p, s, d) & 0xff, u32::from(code));
        }
    }
}
