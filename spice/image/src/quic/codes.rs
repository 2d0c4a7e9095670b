//! The Golomb-Rice codes for components of 8 and of 5 bits, as tables.

/// Longest code of any symbol in bits.
const MAX_CODE_BITS: u32 = 26;
/// How many bits of a stream the table of short codes is asked with.
pub(super) const SHORT_BITS: u32 = 10;
/// Marks a table entry for bits that begin a longer code, or none.
pub(super) const LONG: u16 = 0x80;

/// The codes of one size of components: one for each number of low bits written as they are, below 8.
#[derive(Debug)]
pub(super) struct Family {
    /// Bits of a component.
    pub(super) bits: u32,
    /// Zeroes that stand for the escape.
    pub(super) prefix: [u32; 8],
    /// First symbol that is written by the escape.
    pub(super) escaped: [u32; 8],
    /// Bits that follow the escape.
    pub(super) suffix: [u32; 8],
    /// Eight times the length of each symbol in each code.
    pub(super) eight_lengths: [[u16; 8]; 256],
    /// At `code << 8 | symbol`: the bits to write, and below them their number in eight bits.
    pub(super) written: [u32; 8 << 8],
    /// At `code << SHORT_BITS | bits`, the next of a stream: the symbol, and below it the length of its code in eight
    /// bits, or [`LONG`].
    pub(super) short: [u16; 8 << SHORT_BITS],
}

/// Components of 8 bits.
static FAMILY_8: Family = Family::new(8);
/// Components of 5 bits.
static FAMILY_5: Family = Family::new(5);

impl Family {
    const fn new(bits: u32) -> Self {
        let symbols = 1u32 << bits;
        let mut family = Self {
            bits,
            prefix: [0; 8],
            escaped: [0; 8],
            suffix: [0; 8],
            eight_lengths: [[0; 8]; 256],
            written: [0; 8 << 8],
            short: [LONG; 8 << SHORT_BITS],
        };
        let mut code = 0;
        while code < bits {
            let at = code as usize;
            let all = (1 << (bits - code)) - 1;
            let most = MAX_CODE_BITS - bits;
            family.prefix[at] = if all < most { all } else { most };
            family.escaped[at] = family.prefix[at] << code;
            family.suffix[at] = (symbols - family.escaped[at]).next_power_of_two().trailing_zeros();
            let mut symbol = 0;
            while symbol < symbols {
                family.add(code, symbol);
                symbol += 1;
            }
            code += 1;
        }
        family
    }

    /// Enters a symbol of a code into the tables.
    const fn add(&mut self, code: u32, symbol: u32) {
        let at = code as usize;
        let (value, length) = if symbol < self.escaped[at] {
            let low = symbol & ((1 << code) - 1);
            ((1 << code) | low, (symbol >> code) + 1 + code)
        } else {
            (symbol - self.escaped[at], self.prefix[at] + self.suffix[at])
        };
        self.eight_lengths[symbol as usize][at] = (8 * length) as u16;
        self.written[at << 8 | symbol as usize] = value << 8 | length;
        if length <= SHORT_BITS {
            let mut follow = 0;
            while follow < 1 << (SHORT_BITS - length) {
                let bits = value << (SHORT_BITS - length) | follow;
                self.short[at << SHORT_BITS | bits as usize] = (symbol << 8 | length) as u16;
                follow += 1;
            }
        }
    }

    /// The symbol that the bits of a stream from the top of `window` on begin with, and its length. An escape may name
    /// what is no symbol.
    pub(super) fn decoded(&self, window: u64, code: usize) -> (u32, u32) {
        let code = code & 7;
        let zeroes = window.leading_zeros();
        if zeroes < self.prefix[code] {
            let length = zeroes + 1 + code as u32;
            // The one that ends the zeroes stands above the low bits.
            let bits = (window >> (64 - length)) as u32;
            (bits + (zeroes << code) - (1 << code), length)
        } else {
            let length = self.prefix[code] + self.suffix[code];
            let bits = (window << self.prefix[code] >> (64 - self.suffix[code])) as u32;
            (self.escaped[code] + bits, length)
        }
    }
}

/// A size of components. Packed values are one of them in each byte of a word.
pub(super) trait Depth {
    /// The codes.
    const FAMILY: &'static Family;
    /// Highest component value.
    const MASK: u8 = ((1u32 << Self::FAMILY.bits) - 1) as u8;

    /// The symbol of a difference, small ones for small magnitudes.
    fn fold(difference: u8) -> u8;
    /// Half the sums of packed components, rounded down.
    fn midpoints(a: u32, b: u32) -> u32;
    /// The packed values of packed symbols for packed predictions.
    fn values(symbols: u32, predicted: u32) -> u32;
}

/// Components of 8 bits.
#[derive(Debug)]
pub(super) struct Eight;

impl Depth for Eight {
    const FAMILY: &'static Family = &FAMILY_8;

    fn fold(difference: u8) -> u8 {
        // All ones for the negative half.
        (difference << 1) ^ (difference.cast_signed() >> 7).cast_unsigned()
    }

    fn midpoints(a: u32, b: u32) -> u32 {
        (a & b) + (((a ^ b) & 0xfefe_fefe) >> 1)
    }

    fn values(symbols: u32, predicted: u32) -> u32 {
        // Even symbols are differences from 0 up, odd ones from the top down: the complement of their half.
        let differences = ((symbols >> 1) & 0x7f7f_7f7f) ^ ((symbols & 0x0101_0101) * 0xff);
        // The top bits are added without their carry into the next component.
        let low = (differences & 0x7f7f_7f7f) + (predicted & 0x7f7f_7f7f);
        low ^ ((differences ^ predicted) & 0x8080_8080)
    }
}

/// Components of 5 bits.
#[derive(Debug)]
pub(super) struct Five;

impl Depth for Five {
    const FAMILY: &'static Family = &FAMILY_5;

    fn fold(difference: u8) -> u8 {
        let sign = ((difference << 3).cast_signed() >> 7).cast_unsigned();
        ((difference << 1) ^ sign) & 31
    }

    fn midpoints(a: u32, b: u32) -> u32 {
        ((a + b) >> 1) & 0x1f1f_1f1f
    }

    fn values(symbols: u32, predicted: u32) -> u32 {
        let differences = ((symbols >> 1) & 0x0f0f_0f0f) ^ ((symbols & 0x0101_0101) * 31);
        (differences + predicted) & 0x1f1f_1f1f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_format() {
        let eight = |lengths: &[u16]| lengths.iter().map(|length| length / 8).collect::<Vec<_>>();
        assert_eq!(FAMILY_8.prefix, [18, 18, 18, 18, 15, 7, 3, 1]);
        assert_eq!(FAMILY_8.escaped, [18, 36, 72, 144, 240, 224, 192, 128]);
        assert_eq!(FAMILY_8.suffix, [8, 8, 8, 7, 4, 5, 6, 7]);
        assert_eq!(eight(&FAMILY_8.eight_lengths[255]), [26, 26, 26, 25, 19, 12, 9, 8]);
        assert_eq!(FAMILY_5.prefix[..5], [21, 15, 7, 3, 1]);
        assert_eq!(FAMILY_5.escaped[..5], [21, 30, 28, 24, 16]);
        assert_eq!(FAMILY_5.suffix[..5], [4, 1, 2, 3, 4]);
        assert_eq!(eight(&FAMILY_5.eight_lengths[31]), [25, 16, 9, 6, 5, 0, 0, 0]);
        assert_eq!(FAMILY_8.written[7 << 8 | 20], 0b1001_0100 << 8 | 8);
        assert_eq!(FAMILY_8.written[1 << 8 | 131], 0b0101_1111 << 8 | 26);
    }

    #[test]
    fn what_is_written_is_decoded_with_and_without_the_table_of_short_codes() {
        for family in [&FAMILY_8, &FAMILY_5] {
            for code in 0..family.bits as usize {
                for symbol in 0..1u32 << family.bits {
                    let written = family.written[code << 8 | symbol as usize];
                    let (bits, length) = (u64::from(written >> 8), written & 0xff);
                    for follow in [0, u64::MAX >> length] {
                        let window = bits << (64 - length) | follow;
                        assert_eq!(family.decoded(window, code), (symbol, length));
                        let entry = family.short[code << SHORT_BITS | (window >> (64 - SHORT_BITS)) as usize];
                        let short = length <= SHORT_BITS;
                        assert_eq!(entry, if short { (symbol << 8 | length) as u16 } else { LONG });
                    }
                }
            }
        }
    }

    fn differences_and_values<D: Depth>() {
        for difference in 0..=D::MASK {
            for predicted in 0..=D::MASK {
                let symbol = D::fold(difference);
                let value = difference.wrapping_add(predicted) & D::MASK;
                // The component around it must not matter.
                for other in [0, D::MASK] {
                    let packed = |byte| u32::from_le_bytes([other, byte, other, byte]);
                    let values = D::values(packed(symbol), packed(predicted)).to_le_bytes();
                    assert_eq!((values[1], values[3]), (value, value));
                    let halves = D::midpoints(packed(difference), packed(predicted)).to_le_bytes();
                    assert_eq!(halves, packed(u8::midpoint(difference, predicted)).to_le_bytes());
                }
            }
        }
        assert_eq!([0, 1, D::MASK].map(D::fold), [0, 2, 1]);
    }

    #[test]
    fn differences_fold_and_unfold() {
        differences_and_values::<Eight>();
        differences_and_values::<Five>();
    }
}
