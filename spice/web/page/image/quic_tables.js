// Tables of QUIC: its Golomb-Rice codes for components of 8 and of 5 bits, and its random numbers.

/** Longest code of any symbol in bits. */
const MAX_CODE_BITS = 26;
/** How many bits of a stream the table of short codes is asked with. */
export const SHORT_BITS = 10;
/** Marks a table entry for bits that begin a longer code, or none. */
export const LONG = 0x80;

/**
 * The codes of one size of components: one for each number of low bits written as they are, below 8.
 * @typedef {object} Family
 * @property {number} bits of a component
 * @property {Int32Array} prefix zeroes that stand for the escape, by code
 * @property {Int32Array} escaped first symbol that is written by the escape, by code
 * @property {Int32Array} suffix bits that follow the escape, by code
 * @property {Uint8Array} lengths at `symbol * 8 + code`: bits of a symbol in a code
 * @property {Uint16Array} short at `code << SHORT_BITS | bits`, the next of a stream: the symbol, and below it the
 *     length of its code in eight bits, or LONG
 */

/**
 * @param {number} bits
 * @returns {Family}
 */
function family(bits) {
    const symbols = 1 << bits;
    const prefix = new Int32Array(8);
    const escaped = new Int32Array(8);
    const suffix = new Int32Array(8);
    const lengths = new Uint8Array(symbols * 8);
    const short = new Uint16Array(8 << SHORT_BITS).fill(LONG);
    for (let code = 0; code < bits; code++) {
        prefix[code] = Math.min(MAX_CODE_BITS - bits, (1 << (bits - code)) - 1);
        escaped[code] = prefix[code] << code;
        suffix[code] = 32 - Math.clz32(symbols - escaped[code] - 1);
        for (let symbol = 0; symbol < symbols; symbol++) {
            const isPlain = symbol < escaped[code];
            const length = isPlain ? (symbol >> code) + 1 + code : prefix[code] + suffix[code];
            const value = isPlain ? (1 << code) | (symbol & ((1 << code) - 1)) : symbol - escaped[code];
            lengths[symbol * 8 + code] = length;
            if (length <= SHORT_BITS) {
                const first = (code << SHORT_BITS) | (value << (SHORT_BITS - length));
                short.fill((symbol << 8) | length, first, first + (1 << (SHORT_BITS - length)));
            }
        }
    }
    return { bits, prefix, escaped, suffix, lengths, short };
}

export const FAMILY_8 = family(8);
export const FAMILY_5 = family(5);

/**
 * How many pixels to wait before the next update of a model, before the wait mask is applied: the low six bits of each
 * of the 256 numbers of the format, which is all that the largest mask leaves.
 */
export const CHAOS = Uint8Array.of(
    2, 23, 19, 21, 7, 18, 40, 14, 12, 32, 47, 44, 36, 6, 18, 11, 4, 19, 42, 29, 16, 63, 57, 51,
    16, 3, 5, 14, 15, 30, 20, 9, 36, 45, 3, 57, 61, 0, 8, 5, 41, 14, 43, 27, 43, 59, 31, 35,
    39, 60, 42, 38, 13, 54, 62, 1, 26, 3, 11, 61, 52, 34, 7, 48, 4, 59, 22, 12, 22, 8, 50, 4,
    10, 6, 44, 8, 11, 46, 31, 51, 53, 17, 1, 43, 46, 60, 36, 54, 10, 27, 39, 44, 22, 41, 23, 2,
    44, 0, 40, 53, 40, 48, 16, 43, 32, 28, 33, 12, 20, 2, 56, 62, 55, 58, 18, 20, 13, 55, 38, 29,
    57, 19, 49, 33, 47, 63, 59, 0, 35, 61, 19, 25, 46, 38, 60, 4, 35, 1, 26, 40, 28, 10, 5, 14,
    25, 18, 48, 49, 20, 59, 62, 34, 46, 7, 33, 52, 34, 58, 9, 29, 8, 55, 62, 60, 37, 36, 37, 50,
    6, 3, 10, 28, 48, 24, 26, 61, 57, 30, 11, 54, 2, 6, 50, 47, 7, 17, 35, 53, 32, 12, 23, 17,
    5, 21, 49, 55, 51, 45, 52, 27, 39, 25, 39, 63, 22, 24, 42, 52, 56, 38, 41, 41, 56, 32, 13, 24,
    26, 51, 27, 56, 58, 37, 24, 42, 15, 28, 17, 30, 31, 15, 16, 23, 25, 54, 33, 34, 1, 29, 31, 50,
    53, 21, 49, 15, 47, 9, 0, 58, 37, 45, 30, 13, 9, 45, 63, 21,
);
