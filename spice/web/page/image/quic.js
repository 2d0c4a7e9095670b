// QUIC: each component predicted from its neighbours, differences in adaptive Golomb-Rice codes, runs.
//
// A plane is read row by row over the row above it, in place. Its pixels are words with a component in each byte, red
// lowest, so that predictions and values are found for all of them at once.

import { Malformed } from "../protocol/reader.js";
import { CHAOS, FAMILY_5, FAMILY_8, LONG, SHORT_BITS } from "./quic_tables.js";
import { checkSize } from "./pixels.js";

/** @typedef {import("./quic_tables.js").Family} Family */

/** First word of a stream: `QUIC`. */
const MAGIC = 0x43495551;
const HEADER_BYTES = 20;
const [GRAY, RGB16, RGBA] = [1, 2, 5];
/** Most pixels of a picture. */
const MAX_QUIC_PIXELS = 2 ** 29 - 1;
/** Most bytes of a stream: places in it are counted in bits. */
const MAX_BYTES = 1 << 27;
/** Words past the end that may be looked at, as one pixel may take 78 bits. */
const PADDING_WORDS = 8;

/** Pixels after which the wait mask grows. */
const MASK_STEP = 2048;
/** Greatest index of a wait mask. */
const LAST_MASK = 6;
/** The counter above which all counters of a bucket are halved, by index of the wait mask. */
const TRIGGERS = [110, 550, 900, 800, 550, 400, 350];
/** Bits of a run length order, by run state. */
const RUN_ORDER = Uint8Array.of(
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
);
/** Runs that are longer are written all at once. */
const LONG_RUN = 24;

/**
 * The bits of a stream, most significant first, in words. Past the end they are 0.
 * @typedef {object} Bits
 * @property {Int32Array} words
 * @property {number} at bits taken
 * @property {number} end bits there are
 */

/** @param {Uint8Array} body whole words; bytes after the last one are left out */
function bitsOf(body) {
    const count = body.length >> 2;
    const words = new Int32Array(count + PADDING_WORDS);
    // Words are little endian, as on every machine that browsers run on.
    new Uint8Array(words.buffer).set(body.subarray(0, count * 4));
    return { words, at: 0, end: count * 32 };
}

/** Statistics of one component. */
class Model {
    /** @param {Family} family */
    constructor(family) {
        this.family = family;
        /** By group of contexts and code: the bits that the code would have taken, halved now and then. */
        this.counters = new Int32Array(64);
        /** The best code by context, SHORT_BITS up. */
        this.best = new Int32Array(256).fill((family.bits - 1) << SHORT_BITS);
    }

    /**
     * Counts a symbol.
     * @param {number} context the symbol left of it
     * @param {number} symbol
     * @param {number} trigger
     */
    update(context, symbol, trigger) {
        const { counters, best } = this;
        const { bits, lengths } = this.family;
        const lastGroup = bits === 8 ? 7 : 4;
        const group = Math.min(31 - Math.clz32(context + 1), lastGroup);
        let least = 0x7fffffff;
        let chosen = 0;
        for (let code = bits - 1; code >= 0; code--) {
            const count = counters[group * 8 + code] + lengths[symbol * 8 + code];
            counters[group * 8 + code] = count;
            if (count < least) {
                least = count;
                chosen = code;
            }
        }
        if (least > trigger) {
            for (let code = 0; code < bits; code++) {
                counters[group * 8 + code] >>= 1;
            }
        }
        const place = chosen << SHORT_BITS;
        if (best[context] !== place) {
            // The last group takes what is left.
            const end = group === lastGroup ? 1 << bits : (2 << group) - 1;
            best.fill(place, (1 << group) - 1, end);
        }
    }
}

/** What is remembered of one plane. */
class Plane {
    /**
     * @param {Family} family
     * @param {number} width
     * @param {number} channels 3 or 1
     */
    constructor(family, width, channels) {
        this.family = family;
        this.width = width;
        this.models = Array.from({ length: channels }, () => new Model(family));
        /** The row above, replaced by the current one from the left. */
        this.row = new Int32Array(width);
        /** Symbols by column, after what stands left of the first; those skipped by runs are of rows further above. */
        this.coded = new Int32Array(width + 1);
        this.isFirst = true;
        /** Pixels until the next update. */
        this.wait = 0;
        /** Place in the random table. */
        this.random = 255;
        /** Index of the wait mask. */
        this.mask = 0;
        /** Pixels until the mask grows. */
        this.left = MASK_STEP;
        this.runState = 0;
    }

    /** Begins a row. */
    begin() {
        this.coded[0] = this.isFirst ? 0 : this.coded[1];
    }

    /** @param {number} x where a segment begins */
    segmentEnd(x) {
        return this.mask < LAST_MASK ? Math.min(this.width, x + this.left) : this.width;
    }

    /** @param {number} pixels of a segment that ends */
    grow(pixels) {
        if (this.mask < LAST_MASK) {
            this.left -= pixels;
            if (this.left === 0) {
                this.mask++;
                this.left = MASK_STEP;
            }
        }
    }

    /**
     * Updates the statistics after a pixel, and begins to wait again.
     * @param {number} context packed symbols of the pixel left of it
     * @param {number} symbols its own
     */
    update(context, symbols) {
        const trigger = TRIGGERS[this.mask];
        for (let at = 0; at < this.models.length; at++) {
            this.models[at].update((context >> (8 * at)) & 255, (symbols >> (8 * at)) & 255, trigger);
        }
        this.random = (this.random + 1) & 255;
        this.wait = CHAOS[this.random] & ((1 << this.mask) - 1);
    }
}

/**
 * The symbol that bits begin with, in a code of any length, and its length.
 * @param {Family} family
 * @param {number} window 32 bits
 * @param {number} code
 * @returns {number} the symbol above the length in eight bits
 */
function longSymbol(family, window, code) {
    const zeroes = Math.clz32(window);
    const prefix = family.prefix[code];
    if (zeroes < prefix) {
        const low = code === 0 ? 0 : ((window << (zeroes + 1)) >>> (32 - code));
        return (((zeroes << code) | low) << 8) | (zeroes + 1 + code);
    }
    const suffix = family.suffix[code];
    const symbol = family.escaped[code] + ((window << prefix) >>> (32 - suffix));
    if (symbol >= 1 << family.bits) {
        throw new Malformed(`QUIC escape names symbol ${symbol} of ${1 << family.bits}`);
    }
    return (symbol << 8) | (prefix + suffix);
}

/**
 * @param {Int32Array} words
 * @param {number} at a place in bits
 * @returns {number} 32 bits from there on
 */
function windowAt(words, at) {
    const word = at >>> 5;
    const shift = at & 31;
    return (words[word] << shift) | ((words[word + 1] >>> 1) >>> (31 - shift));
}

/** @param {Bits} bits */
function ended(bits) {
    return new Malformed(`QUIC data of ${HEADER_BYTES + (bits.end >> 3)} bytes ends too early`);
}

/**
 * Reads the length of a run.
 * @param {Plane} plane
 * @param {Bits} bits
 * @param {number} room the most it may be
 */
function runLength(plane, bits, room) {
    const { words } = bits;
    let state = plane.runState;
    let length = 0;
    // Every one that is read makes the length greater: there are at most as many as there is room.
    for (;;) {
        if (bits.at > bits.end) {
            throw ended(bits);
        }
        const isOne = windowAt(words, bits.at) < 0;
        bits.at++;
        if (!isOne) {
            break;
        }
        length += 1 << RUN_ORDER[state];
        state = Math.min(state + 1, 31);
        if (length > room) {
            break;
        }
    }
    const order = RUN_ORDER[state];
    if (order > 0 && length <= room) {
        length += windowAt(words, bits.at) >>> (32 - order);
        bits.at += order;
    }
    if (length > room) {
        throw new Malformed(`QUIC run of ${length} pixels or more where ${room} are left`);
    }
    plane.runState = Math.max(state - 1, 0);
    return length;
}

/**
 * Reads a row of red, green and blue.
 * @param {Plane} plane
 * @param {Bits} bits
 */
function readColours(plane, bits) {
    const { family, row, coded, width, isFirst } = plane;
    const { short } = family;
    const { words, end: streamEnd } = bits;
    const depthMask = (1 << family.bits) - 1;
    const valueMask = depthMask * 0x010101;
    const [bestRed, bestGreen, bestBlue] = plane.models.map((model) => model.best);
    plane.begin();
    let context = coded[0];
    let red = bestRed[context & 255];
    let green = bestGreen[(context >> 8) & 255];
    let blue = bestBlue[context >> 16];
    let at = bits.at;
    let wait = plane.wait;
    // The first pixel is predicted from the one above alone: that one stands left of it, too.
    let left = row[0];
    let before = left;
    let aboveLeft = left;
    for (let x = 0; x < width; ) {
        const start = x;
        const end = plane.segmentEnd(x);
        // Where a run was read last in this segment; none begins within the first three pixels.
        let runAt = 0;
        while (x < end) {
            const above = row[x];
            if (left === before && above === aboveLeft && x > 2 && x !== runAt && !isFirst) {
                bits.at = at;
                const length = runLength(plane, bits, end - x);
                at = bits.at;
                runAt = x;
                if (length > 0) {
                    const stop = x + length;
                    before = left;
                    aboveLeft = row[stop - 1];
                    if (length > LONG_RUN) {
                        row.fill(left, x, stop);
                        x = stop;
                    } else {
                        while (x < stop) {
                            row[x++] = left;
                        }
                    }
                    context = coded[x];
                    red = bestRed[context & 255];
                    green = bestGreen[(context >> 8) & 255];
                    blue = bestBlue[context >> 16];
                }
                continue;
            }
            if (at > streamEnd) {
                throw ended(bits);
            }
            const word = at >>> 5;
            const shift = at & 31;
            let window = (words[word] << shift) | ((words[word + 1] >>> 1) >>> (31 - shift));
            const first = short[red | (window >>> (32 - SHORT_BITS))];
            // A shift looks at the length alone, the low five bits.
            window <<= first;
            const second = short[green | (window >>> (32 - SHORT_BITS))];
            window <<= second;
            const third = short[blue | (window >>> (32 - SHORT_BITS))];
            let symbols;
            if (((first | second | third) & LONG) === 0) {
                // The three lengths together are no more than a byte.
                at += (first + second + third) & 255;
                symbols = (first >> 8) | (second & 0xff00) | ((third & 0xff00) << 8);
                red = bestRed[first >> 8];
                green = bestGreen[second >> 8];
                blue = bestBlue[third >> 8];
            } else {
                const longRed = longSymbol(family, windowAt(words, at), red >> SHORT_BITS);
                at += longRed & 255;
                const longGreen = longSymbol(family, windowAt(words, at), green >> SHORT_BITS);
                at += longGreen & 255;
                const longBlue = longSymbol(family, windowAt(words, at), blue >> SHORT_BITS);
                at += longBlue & 255;
                symbols = (longRed >> 8) | (longGreen & 0xff00) | ((longBlue & 0xff00) << 8);
                red = bestRed[longRed >> 8];
                green = bestGreen[longGreen >> 8];
                blue = bestBlue[longBlue >> 8];
            }
            // Half of the sum of all three, rounded down.
            const predicted = isFirst ? left : (left & above) + (((left ^ above) & 0xfefefe) >> 1);
            // Even symbols are differences from 0 up, odd ones from the top down: the complement of their half. The top
            // bits are added without their carry into the next component.
            const difference = ((symbols >> 1) & 0x7f7f7f) ^ ((symbols & 0x010101) * depthMask);
            const low = (difference & 0x7f7f7f) + (predicted & 0x7f7f7f);
            const value = (low ^ ((difference ^ predicted) & 0x808080)) & valueMask;
            row[x] = value;
            x++;
            coded[x] = symbols;
            before = left;
            left = value;
            aboveLeft = above;
            if (wait > 0) {
                wait--;
            } else {
                plane.update(context, symbols);
                wait = plane.wait;
                red = bestRed[symbols & 255];
                green = bestGreen[(symbols >> 8) & 255];
                blue = bestBlue[symbols >> 16];
            }
            context = symbols;
        }
        plane.grow(end - start);
    }
    bits.at = at;
    plane.wait = wait;
    plane.isFirst = false;
}

/**
 * Reads a row of alpha or grey.
 * @param {Plane} plane
 * @param {Bits} bits
 */
function readSingle(plane, bits) {
    const { family, row, coded, width, isFirst } = plane;
    const { short } = family;
    const { words, end: streamEnd } = bits;
    const depthMask = (1 << family.bits) - 1;
    const { best } = plane.models[0];
    plane.begin();
    let context = coded[0];
    let at = bits.at;
    let wait = plane.wait;
    let left = row[0];
    let before = left;
    let aboveLeft = left;
    for (let x = 0; x < width; ) {
        const start = x;
        const end = plane.segmentEnd(x);
        let runAt = 0;
        while (x < end) {
            const above = row[x];
            if (left === before && above === aboveLeft && x > 2 && x !== runAt && !isFirst) {
                bits.at = at;
                const length = runLength(plane, bits, end - x);
                at = bits.at;
                runAt = x;
                if (length > 0) {
                    before = left;
                    aboveLeft = row[x + length - 1];
                    row.fill(left, x, x + length);
                    x += length;
                    context = coded[x];
                }
                continue;
            }
            if (at > streamEnd) {
                throw ended(bits);
            }
            const window = windowAt(words, at);
            let found = short[best[context] | (window >>> (32 - SHORT_BITS))];
            if ((found & LONG) !== 0) {
                found = longSymbol(family, window, best[context] >> SHORT_BITS);
            }
            at += found & 127;
            const symbol = found >> 8;
            const predicted = isFirst ? left : (left + above) >> 1;
            const value = ((symbol >> 1) ^ ((symbol & 1) * depthMask)) + predicted & depthMask;
            row[x] = value;
            x++;
            coded[x] = symbol;
            before = left;
            left = value;
            aboveLeft = above;
            if (wait > 0) {
                wait--;
            } else {
                plane.update(context, symbol);
                wait = plane.wait;
            }
            context = symbol;
        }
        plane.grow(end - start);
    }
    bits.at = at;
    plane.wait = wait;
    plane.isFirst = false;
}

/**
 * @param {Uint8Array} stream
 * @returns {{kind: number, width: number, height: number}} kind: 1 grey, 2 555, 3 and 4 colours, 5 colours and alpha
 * @throws {Malformed} when it is no header, or of a picture that is empty or too large
 */
function readHeader(stream) {
    if (stream.length < HEADER_BYTES || stream.length > MAX_BYTES) {
        throw new Malformed(`QUIC data has ${stream.length} bytes`);
    }
    const view = new DataView(stream.buffer, stream.byteOffset, HEADER_BYTES);
    const [magic, version, kind, width, height] = [0, 4, 8, 12, 16].map((at) => view.getUint32(at, true));
    if (magic !== MAGIC || version !== 0) {
        throw new Malformed(`QUIC magic is ${magic} and version ${version}`);
    }
    if (kind < GRAY || kind > RGBA) {
        throw new Malformed(`QUIC image type is ${kind}, not 1 to 5`);
    }
    if (checkSize("QUIC image", width, height) > MAX_QUIC_PIXELS) {
        throw new Malformed(`QUIC image of ${width}x${height} pixels is too large`);
    }
    return { kind, width, height };
}

/**
 * Decodes a stream. What follows the picture is not looked at.
 * @param {Uint8Array} stream
 * @returns {{width: number, height: number, pixels: Uint32Array, hasAlpha: boolean}}
 * @throws {Malformed} when the format does not allow it. Memory is taken only for a size that the input is long enough
 *     to fill
 */
export function decodeQuic(stream) {
    const { kind, width, height } = readHeader(stream);
    const body = stream.subarray(HEADER_BYTES);
    // Each component of the first row and of the first three columns takes a bit at least.
    const coded = width + (height - 1) * Math.min(width, 3);
    if (coded * (kind === GRAY ? 1 : 3) > body.length * 8) {
        throw new Malformed(`QUIC data of ${stream.length} bytes is too short for ${width}x${height} pixels`);
    }
    const bits = bitsOf(body);
    const family = kind === RGB16 ? FAMILY_5 : FAMILY_8;
    const colours = kind === GRAY ? null : new Plane(family, width, 3);
    const single = kind === GRAY || kind === RGBA ? new Plane(family, width, 1) : null;
    const pixels = new Uint32Array(width * height);
    const words = new Int32Array(pixels.buffer);
    for (let y = 0; y < height; y++) {
        const start = y * width;
        if (colours !== null) {
            readColours(colours, bits);
        }
        if (single !== null) {
            readSingle(single, bits);
        }
        if (bits.at > bits.end) {
            throw ended(bits);
        }
        if (colours === null && single !== null) {
            putGrey(single.row, words, start);
        } else if (colours !== null && single !== null) {
            putAlpha(colours.row, single.row, words, start);
        } else if (colours !== null && kind === RGB16) {
            putFive(colours.row, words, start);
        } else if (colours !== null) {
            putColours(colours.row, words, start);
        }
    }
    return { width, height, pixels, hasAlpha: kind === RGBA };
}

/**
 * @param {Int32Array} row
 * @param {Int32Array} out
 * @param {number} start
 */
function putColours(row, out, start) {
    for (let x = 0; x < row.length; x++) {
        out[start + x] = row[x] | 0xff000000;
    }
}

/**
 * @param {Int32Array} row components of 5 bits
 * @param {Int32Array} out
 * @param {number} start
 */
function putFive(row, out, start) {
    for (let x = 0; x < row.length; x++) {
        out[start + x] = (row[x] << 3) | ((row[x] >> 2) & 0x070707) | 0xff000000;
    }
}

/**
 * @param {Int32Array} row
 * @param {Int32Array} alpha
 * @param {Int32Array} out
 * @param {number} start
 */
function putAlpha(row, alpha, out, start) {
    for (let x = 0; x < row.length; x++) {
        out[start + x] = row[x] | (alpha[x] << 24);
    }
}

/**
 * @param {Int32Array} grey
 * @param {Int32Array} out
 * @param {number} start
 */
function putGrey(grey, out, start) {
    for (let x = 0; x < grey.length; x++) {
        out[start + x] = (grey[x] * 0x010101) | 0xff000000;
    }
}
