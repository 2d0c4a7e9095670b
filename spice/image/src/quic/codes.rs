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
