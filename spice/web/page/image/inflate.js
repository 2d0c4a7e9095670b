// zlib streams, inflated at once: browsers only do that later, and drawings must not wait.

import { Malformed } from "../protocol/reader.js";

/** Most bytes that one of a stream stands for: two bits for a match of 258. */
const BYTES_PER_BYTE = 1032;
/** Bits of a stream that tables are asked with; longer codes are searched. */
const FAST_BITS = 10;
const MAX_CODE_BITS = 15;
/** The symbol that ends a block; lengths of matches are above. */
const END_OF_BLOCK = 256;
/** Bytes that are added up before the sums of Adler-32 are made small: those stay small integers. */
const ADLER_BYTES = 2048;
const ADLER_MODULUS = 65521;

const LENGTH_BASE = Uint16Array.of(
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
);
const LENGTH_BITS = Uint8Array.of(
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
);
const DISTANCE_BASE = Uint16Array.of(
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
);
const DISTANCE_BITS = Uint8Array.of(
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
);
/** In what order the lengths of the codes of lengths come. */
const ORDER = Uint8Array.of(16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15);

/**
 * A prefix code.
 * @typedef {object} Code
 * @property {Uint16Array} fast at the next bits of a stream, first one lowest: the symbol above the length of its code
 *     in four bits; 0: it is longer, or there is none
 * @property {Uint16Array} counts how many codes have each length
 * @property {Uint16Array} symbols in the order of their codes
 */

/**
 * @param {Uint8Array} lengths of the codes of all symbols, 0 where there is none
 * @param {string} what for errors
 * @param {boolean} mayLack whether it may be a single code, or none at all
 * @returns {Code}
 */
function codeOf(lengths, what, mayLack) {
    const counts = new Uint16Array(MAX_CODE_BITS + 1);
    for (const length of lengths) {
        counts[length]++;
    }
    counts[0] = 0;
    const first = new Uint16Array(MAX_CODE_BITS + 2);
    const next = new Int32Array(MAX_CODE_BITS + 2);
    let left = 1;
    let used = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
        left = 2 * left - counts[length];
        if (left < 0) {
            throw new Malformed(`zlib code of ${what} has more codes than there are`);
        }
        first[length + 1] = first[length] + counts[length];
        next[length + 1] = (next[length] + counts[length]) << 1;
        used += counts[length];
    }
    if (left > 0 && !(mayLack && used <= 1 && used === counts[1])) {
        throw new Malformed(`zlib code of ${what} lacks codes`);
    }
    const symbols = new Uint16Array(used);
    const fast = new Uint16Array(1 << FAST_BITS);
    for (let symbol = 0; symbol < lengths.length; symbol++) {
        const length = lengths[symbol];
        if (length === 0) {
            continue;
        }
        symbols[first[length]++] = symbol;
        const code = next[length]++;
        if (length <= FAST_BITS) {
            let turned = 0;
            for (let bit = 0; bit < length; bit++) {
                turned |= ((code >> bit) & 1) << (length - 1 - bit);
            }
            for (let at = turned; at < 1 << FAST_BITS; at += 1 << length) {
                fast[at] = (symbol << 4) | length;
            }
        }
    }
    return { fast, counts, symbols };
}

const FIXED_LITERALS = codeOf(
    Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
    "fixed literals",
    false,
);
const FIXED_DISTANCES = codeOf(new Uint8Array(32).fill(5), "fixed distances", false);

/** @param {Uint8Array} input */
function ended(input) {
    return new Malformed(`zlib data of ${input.length} bytes ends too early`);
}

/** What is done with a stream. */
class Inflater {
    /**
     * @param {Uint8Array} input
     * @param {Uint8Array} out
     */
    constructor(input, out) {
        this.input = input;
        this.out = out;
        this.from = 2;
        this.at = 0;
        /** Bits that were read and not taken, the next one lowest, and how many. */
        this.held = 0;
        this.count = 0;
    }

    /** @param {number} count at most 16 */
    bits(count) {
        while (this.count < count) {
            if (this.from >= this.input.length) {
                throw ended(this.input);
            }
            this.held |= this.input[this.from++] << this.count;
            this.count += 8;
        }
        const bits = this.held & ((1 << count) - 1);
        this.held >>>= count;
        this.count -= count;
        return bits;
    }

    /**
     * The next symbol of a code, bit by bit.
     * @param {Code} code
     */
    slowSymbol({ counts, symbols }) {
        let value = 0;
        let first = 0;
        let index = 0;
        for (let length = 1; length <= MAX_CODE_BITS; length++) {
            value |= this.bits(1);
            const count = counts[length];
            if (value - first < count) {
                return symbols[index + value - first];
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        throw new Malformed(`zlib code at byte ${this.from} has no symbol`);
    }

    /** @returns {Uint8Array} */
    run() {
        let isLast = false;
        while (!isLast) {
            isLast = this.bits(1) === 1;
            const kind = this.bits(2);
            if (kind === 0) {
                this.stored();
            } else if (kind === 1) {
                this.block(FIXED_LITERALS, FIXED_DISTANCES);
            } else if (kind === 2) {
                this.dynamic();
            } else {
                throw new Malformed("zlib block is of type 3");
            }
        }
        const { out, input } = this;
        if (this.at !== out.length) {
            throw new Malformed(`zlib data holds ${this.at} of ${out.length} bytes`);
        }
        this.toByte();
        if (input.length - this.from < 4) {
            throw ended(input);
        }
        const sum = new DataView(input.buffer, input.byteOffset + this.from, 4).getUint32(0);
        if (sum !== adler32(out)) {
            throw new Malformed(`zlib sum is ${sum}, not that of the data`);
        }
        return out;
    }

    /** Goes on to the next byte; whole bytes that were read are given back. */
    toByte() {
        this.from -= this.count >> 3;
        this.held = 0;
        this.count = 0;
    }

    stored() {
        this.toByte();
        const { input, out } = this;
        if (input.length - this.from < 4) {
            throw ended(input);
        }
        const length = input[this.from] | (input[this.from + 1] << 8);
        const inverse = input[this.from + 2] | (input[this.from + 3] << 8);
        if ((length ^ inverse) !== 0xffff) {
            throw new Malformed(`zlib stored block has length ${length} and ${inverse}`);
        }
        this.from += 4;
        if (length > input.length - this.from) {
            throw ended(input);
        }
        if (length > out.length - this.at) {
            throw new Malformed(`zlib data holds more than ${out.length} bytes`);
        }
        out.set(input.subarray(this.from, this.from + length), this.at);
        this.from += length;
        this.at += length;
    }

    dynamic() {
        const literals = this.bits(5) + 257;
        const distances = this.bits(5) + 1;
        const given = this.bits(4) + 4;
        if (literals > 286 || distances > 30) {
            throw new Malformed(`zlib block has ${literals} lengths and ${distances} distances`);
        }
        const lengths = new Uint8Array(ORDER.length);
        for (let at = 0; at < given; at++) {
            lengths[ORDER[at]] = this.bits(3);
        }
        const code = codeOf(lengths, "lengths", false);
        const all = new Uint8Array(literals + distances);
        for (let at = 0; at < all.length; ) {
            const symbol = this.slowSymbol(code);
            if (symbol < 16) {
                all[at++] = symbol;
                continue;
            }
            const repeated = symbol === 16 ? 3 + this.bits(2) : symbol === 17 ? 3 + this.bits(3) : 11 + this.bits(7);
            if (repeated > all.length - at || (symbol === 16 && at === 0)) {
                throw new Malformed(`zlib length is repeated ${repeated} times at ${at} of ${all.length}`);
            }
            all.fill(symbol === 16 ? all[at - 1] : 0, at, at + repeated);
            at += repeated;
        }
        if (all[END_OF_BLOCK] === 0) {
            throw new Malformed("zlib block cannot end");
        }
        this.block(
            codeOf(all.subarray(0, literals), "literals", true),
            codeOf(all.subarray(literals), "distances", true),
        );
    }

    /**
     * @param {Code} literals
     * @param {Code} distances
     */
    block(literals, distances) {
        const { input, out } = this;
        const most = out.length;
        const end = input.length;
        const fastLiterals = literals.fast;
        const fastDistances = distances.fast;
        const mask = (1 << FAST_BITS) - 1;
        let { from, at, held, count } = this;
        for (;;) {
            if (count < 16) {
                if (from + 2 <= end) {
                    held |= (input[from] | (input[from + 1] << 8)) << count;
                    from += 2;
                    count += 16;
                } else if (from < end) {
                    held |= input[from++] << count;
                    count += 8;
                }
            }
            const found = fastLiterals[held & mask];
            let symbol = found >> 4;
            if (found !== 0 && (found & 15) <= count) {
                held >>>= found & 15;
                count -= found & 15;
            } else {
                this.from = from;
                this.held = held;
                this.count = count;
                symbol = this.slowSymbol(literals);
                ({ from, held, count } = this);
            }
            if (symbol < END_OF_BLOCK) {
                if (at >= most) {
                    throw new Malformed(`zlib data holds more than ${most} bytes`);
                }
                out[at++] = symbol;
                continue;
            }
            if (symbol === END_OF_BLOCK) {
                break;
            }
            symbol -= END_OF_BLOCK + 1;
            if (symbol >= LENGTH_BASE.length) {
                throw new Malformed(`zlib length has symbol ${symbol + END_OF_BLOCK + 1}`);
            }
            let extra = LENGTH_BITS[symbol];
            while (count < extra) {
                if (from >= end) {
                    throw ended(input);
                }
                held |= input[from++] << count;
                count += 8;
            }
            const length = LENGTH_BASE[symbol] + (held & ((1 << extra) - 1));
            held >>>= extra;
            count -= extra;
            while (count <= 16 && from < end) {
                held |= input[from++] << count;
                count += 8;
            }
            const near = fastDistances[held & mask];
            let place = near >> 4;
            if (near !== 0 && (near & 15) <= count) {
                held >>>= near & 15;
                count -= near & 15;
            } else {
                this.from = from;
                this.held = held;
                this.count = count;
                place = this.slowSymbol(distances);
                ({ from, held, count } = this);
            }
            if (place >= DISTANCE_BASE.length) {
                throw new Malformed(`zlib distance has symbol ${place}`);
            }
            extra = DISTANCE_BITS[place];
            while (count < extra) {
                if (from >= end) {
                    throw ended(input);
                }
                held |= input[from++] << count;
                count += 8;
            }
            const distance = DISTANCE_BASE[place] + (held & ((1 << extra) - 1));
            held >>>= extra;
            count -= extra;
            if (distance > at) {
                throw new Malformed(`zlib match at byte ${at} reaches back ${distance} bytes`);
            }
            if (length > most - at) {
                throw new Malformed(`zlib data holds more than ${most} bytes`);
            }
            for (const stop = at + length; at < stop; at++) {
                out[at] = out[at - distance];
            }
        }
        this.from = from;
        this.at = at;
        this.held = held;
        this.count = count;
    }
}

/**
 * The sum that ends a stream.
 * @param {Uint8Array} bytes
 */
function adler32(bytes) {
    let low = 1;
    let high = 0;
    for (let at = 0; at < bytes.length; ) {
        for (const stop = Math.min(at + ADLER_BYTES, bytes.length); at < stop; at++) {
            low += bytes[at];
            high += low;
        }
        low %= ADLER_MODULUS;
        high %= ADLER_MODULUS;
    }
    return high * 65536 + low;
}

/**
 * Inflates a zlib stream. Bytes after it are not looked at.
 * @param {Uint8Array} input
 * @param {number} size bytes that it must hold, no more and no less
 * @returns {Uint8Array}
 * @throws {Malformed} when it is damaged or holds another number of bytes. Memory is taken only for a size that the
 *     input is long enough to fill
 */
export function inflate(input, size) {
    if (input.length < 2 || size > BYTES_PER_BYTE * input.length) {
        throw new Malformed(`zlib data of ${input.length} bytes is too short for ${size}`);
    }
    const [method, flags] = input;
    if ((method & 15) !== 8 || method >> 4 > 7 || (method * 256 + flags) % 31 !== 0 || (flags & 32) !== 0) {
        throw new Malformed(`zlib header is ${method}, ${flags}`);
    }
    return new Inflater(input, new Uint8Array(size)).run();
}
