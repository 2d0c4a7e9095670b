// Rows of plain pixels, and masks.

import { Malformed } from "../protocol/reader.js";
import { WIDE_555, checkSize, swapped } from "./pixels.js";

/** Formats of bitmaps. */
export const FORMAT = Object.freeze({
    BIT_1_LE: 1,
    BIT_1_BE: 2,
    BIT_4_LE: 3,
    BIT_4_BE: 4,
    BIT_8: 5,
    BIT_16: 6,
    BIT_24: 7,
    BIT_32: 8,
    RGBA: 9,
    BIT_8_A: 10,
});

/** Bits of a pixel by format. */
const DEPTHS = [0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8];
/** Entries that a palette is asked for. */
const INDICES = 256;

/**
 * Rows of pixels, `stride` bytes each.
 * @typedef {object} Rows
 * @property {number} format
 * @property {number} width
 * @property {number} height
 * @property {number} stride
 * @property {boolean} topDown whether the first row is the top one
 * @property {Uint8Array} data
 */

/**
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint32Array} pixels 0xAABBGGRR, rows top-down without padding
 * @property {boolean} hasAlpha false: the alpha of each pixel is 255. true: premultiplied as on the wire
 * @property {number | Uint8Array} [unused] of a picture without alpha the byte of its pixels that the wire calls
 *     unused: one for all or one for each; 0 when it is not there
 */

/** @typedef {{width: number, height: number, stride: number, bits: Uint8Array}} Mask1 */

/**
 * @param {number} format
 * @param {number} width
 * @returns {number} bytes of a row without padding
 * @throws {Malformed} when there is no such format
 */
export function rowBytes(format, width) {
    if (format < FORMAT.BIT_1_LE || format > FORMAT.BIT_8_A) {
        throw new Malformed(`bitmap format is ${format}, not 1 to 10`);
    }
    return Math.ceil((width * DEPTHS[format]) / 8);
}

/**
 * Colours as pixels, one for each index there can be. Those that are missing are black.
 * @param {ArrayLike<number>} entries 0x00RRGGBB, or x1r5g5b5
 * @param {boolean} isNarrow
 */
export function paletteOf(entries, isNarrow) {
    const palette = new Uint32Array(INDICES).fill(0xff000000);
    const count = Math.min(entries.length, INDICES);
    for (let at = 0; at < count; at++) {
        palette[at] = isNarrow ? WIDE_555[entries[at] & 0x7fff] : swapped(entries[at]) | 0xff000000;
    }
    return palette;
}

/**
 * Checks that every row is there.
 * @param {Rows} rows
 */
function checkRows({ format, width, height, stride, data }) {
    checkSize("bitmap", width, height);
    const needed = rowBytes(format, width);
    if (stride < needed) {
        throw new Malformed(`bitmap stride is ${stride}, a row has ${needed} bytes`);
    }
    if ((height - 1) * stride + needed > data.length) {
        throw new Malformed(`bitmap data has ${data.length} bytes for ${height} rows of ${stride}`);
    }
}

/**
 * @param {Rows} rows
 * @param {Uint32Array | null} palette from `paletteOf`; null: there is none
 * @returns {Picture}
 * @throws {Malformed} when rows are missing, or there are indices and no palette
 */
export function pixelsOf(rows, palette) {
    checkRows(rows);
    const { format, width, height, stride, topDown, data } = rows;
    if (format <= FORMAT.BIT_8 && palette === null) {
        throw new Malformed(`bitmap of format ${format} has no palette`);
    }
    const colours = palette ?? WIDE_555;
    const pixels = new Uint32Array(width * height);
    const words = new Int32Array(pixels.buffer);
    const unused = format === FORMAT.BIT_32 ? new Uint8Array(pixels.length) : null;
    for (let y = 0; y < height; y++) {
        const from = (topDown ? y : height - 1 - y) * stride;
        const at = y * width;
        switch (format) {
            case FORMAT.BIT_1_LE:
            case FORMAT.BIT_1_BE:
                putBits(data, from, words, at, width, colours, format === FORMAT.BIT_1_LE ? 0 : 7);
                break;
            case FORMAT.BIT_4_LE:
            case FORMAT.BIT_4_BE:
                putNibbles(data, from, words, at, width, colours, format === FORMAT.BIT_4_LE ? 0 : 4);
                break;
            case FORMAT.BIT_8:
                putIndices(data, from, words, at, width, colours);
                break;
            case FORMAT.BIT_16:
                put16(data, from, words, at, width);
                break;
            case FORMAT.BIT_24:
                put24(data, from, words, at, width);
                break;
            case FORMAT.BIT_8_A:
                putAlpha(data, from, words, at, width);
                break;
            default:
                put32(data, from, words, at, width, unused);
        }
    }
    return { width, height, pixels, hasAlpha: format >= FORMAT.RGBA, unused: unused === null ? 0 : oneOf(unused) };
}

/**
 * The byte that all are, or all of them.
 * @param {Uint8Array} bytes at least one
 */
function oneOf(bytes) {
    const first = bytes[0];
    for (let at = 1; at < bytes.length; at++) {
        if (bytes[at] !== first) {
            return bytes;
        }
    }
    return first;
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 * @param {Uint32Array} colours
 * @param {number} turn 7 when the most significant bit is the leftmost
 */
function putBits(data, from, out, at, count, colours, turn) {
    const [zero, one] = [colours[0], colours[1]];
    for (let x = 0; x < count; x++) {
        out[at + x] = (data[from + (x >> 3)] >> ((x & 7) ^ turn)) & 1 ? one : zero;
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 * @param {Uint32Array} colours
 * @param {number} turn 4 when the high nibble is the left one
 */
function putNibbles(data, from, out, at, count, colours, turn) {
    for (let x = 0; x < count; x++) {
        out[at + x] = colours[(data[from + (x >> 1)] >> (((x & 1) << 2) ^ turn)) & 15];
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 * @param {Uint32Array} colours
 */
function putIndices(data, from, out, at, count, colours) {
    for (let x = 0; x < count; x++) {
        out[at + x] = colours[data[from + x]];
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 */
function put16(data, from, out, at, count) {
    for (let x = 0; x < count; x++) {
        out[at + x] = WIDE_555[data[from + 2 * x] | ((data[from + 2 * x + 1] & 127) << 8)];
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 */
function put24(data, from, out, at, count) {
    for (let x = 0; x < count; x++, from += 3) {
        out[at + x] = 0xff000000 | (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 * @param {Uint8Array | null} unused where the fourth byte goes; null: it is alpha
 */
function put32(data, from, out, at, count, unused) {
    if (unused === null) {
        for (let x = 0; x < count; x++, from += 4) {
            out[at + x] = (data[from + 3] << 24) | (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
        }
        return;
    }
    for (let x = 0; x < count; x++, from += 4) {
        out[at + x] = 0xff000000 | (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
        unused[at + x] = data[from + 3];
    }
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {Int32Array} out
 * @param {number} at
 * @param {number} count
 */
function putAlpha(data, from, out, at, count) {
    for (let x = 0; x < count; x++) {
        out[at + x] = data[from + x] << 24;
    }
}

/** Bytes with their bits the other way round. */
const TURNED = Uint8Array.from({ length: 256 }, (_, byte) => {
    let turned = 0;
    for (let bit = 0; bit < 8; bit++) {
        turned |= ((byte >> bit) & 1) << (7 - bit);
    }
    return turned;
});

/**
 * @param {Rows} rows of 1 bit a pixel
 * @returns {Mask1} its rows from the top, most significant bit leftmost
 * @throws {Malformed} when rows are missing, or have more than 1 bit a pixel
 */
export function maskOf(rows) {
    checkRows(rows);
    const { format, width, height, topDown, data } = rows;
    if (format > FORMAT.BIT_1_BE) {
        throw new Malformed(`bitmap of format ${format} cannot be a mask`);
    }
    const stride = rowBytes(format, width);
    const bits = new Uint8Array(stride * height);
    for (let y = 0; y < height; y++) {
        const from = (topDown ? y : height - 1 - y) * rows.stride;
        const at = y * stride;
        bits.set(data.subarray(from, from + stride), at);
        if (format === FORMAT.BIT_1_LE) {
            for (let x = at; x < at + stride; x++) {
                bits[x] = TURNED[bits[x]];
            }
        }
        // What is right of the last pixel is nothing.
        bits[at + stride - 1] &= 0xff << (8 * stride - width);
    }
    return { width, height, stride, bits };
}
