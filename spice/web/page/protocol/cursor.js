// Shapes of the pointer, from every encoding to RGBA.

import { Malformed, Reader } from "./reader.js";

/**
 * A shape. `pixels` are RGBA, not premultiplied. Where the screen is to be inverted they are black, with white around,
 * for those who cannot invert, and `invert` is 1.
 * @typedef {object} Shape
 * @property {number} width
 * @property {number} height
 * @property {number} hotX
 * @property {number} hotY
 * @property {Uint8ClampedArray} pixels
 * @property {Uint8Array} [invert] one byte a pixel; not there when nothing is inverted
 */

/**
 * What a message says about the shape.
 * @typedef {object} CursorPart
 * @property {bigint} id its key in the cache; 0: it has none
 * @property {boolean} keep whether it goes into the cache
 * @property {boolean} cached whether it comes from the cache
 * @property {Shape | null} shape null: from the cache, or there is none
 */

/** Longest side of a shape; those of guests have up to 256. */
const SIDE_MAX = 1024;

const FLAG_NONE = 1;
const FLAG_CACHE_ME = 2;
const FLAG_FROM_CACHE = 4;

const ALPHA = 0;
const MONO = 1;
const COLOR4 = 2;
const COLOR8 = 3;
const COLOR16 = 4;
const COLOR24 = 5;
const COLOR32 = 6;

/** What a pixel is. */
const TRANSPARENT = 0;
const INVERTED = 0xff000000;

/**
 * @param {Reader} reader where the cursor begins; to the end of the message
 * @returns {CursorPart}
 * @throws {Malformed}
 */
export function readCursor(reader) {
    const flags = reader.u16();
    if (flags & FLAG_NONE) {
        return { id: 0n, keep: false, cached: false, shape: null };
    }
    const id = reader.u64();
    const type = reader.u8();
    const [width, height, hotX, hotY] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
    if (flags & FLAG_FROM_CACHE) {
        return { id, keep: false, cached: true, shape: null };
    }
    if (width === 0 || height === 0 || width > SIDE_MAX || height > SIDE_MAX) {
        throw new Malformed(`cursor: ${width}x${height} pixels, sides must be 1 to ${SIDE_MAX}`);
    }
    const shape = { hotX, hotY, ...pixelsOf(reader, type, width, height) };
    return { id, keep: (flags & FLAG_CACHE_ME) !== 0 && id !== 0n, cached: false, shape };
}

/**
 * @param {Reader} reader
 * @param {number} type
 * @param {number} width
 * @param {number} height
 */
function pixelsOf(reader, type, width, height) {
    const count = width * height;
    const words = new Uint32Array(count);
    const invert = new Uint8Array(count);
    if (type === ALPHA) {
        const data = new Reader(reader.take(count * 4));
        for (let at = 0; at < count; at++) {
            words[at] = swapped(data.u32());
        }
    } else if (type === MONO) {
        const stride = (width + 7) >> 3;
        const and = reader.take(stride * height);
        const xor = reader.take(stride * height);
        fill(width, height, words, invert, (x, y) => {
            const [a, b] = [bit(and, stride, x, y), bit(xor, stride, x, y)];
            return [a, b ? 0xffffff : 0];
        });
    } else {
        const color = colors(reader, type, width, height);
        const stride = (width + 7) >> 3;
        const mask = reader.take(stride * height);
        fill(width, height, words, invert, (x, y) => [bit(mask, stride, x, y), color(x, y)]);
    }
    const pixels = new Uint8ClampedArray(words.buffer);
    if (!invert.includes(1)) {
        return { width, height, pixels };
    }
    outline(words, invert, width, height);
    return { width, height, pixels, invert };
}

/**
 * @param {number} width
 * @param {number} height
 * @param {Uint32Array} words
 * @param {Uint8Array} invert
 * @param {(x: number, y: number) => number[]} at bit of the mask and colour 0xRRGGBB of a pixel
 */
function fill(width, height, words, invert, at) {
    for (let y = 0, index = 0; y < height; y++) {
        for (let x = 0; x < width; x++, index++) {
            const [masked, color] = at(x, y);
            if (!masked) {
                words[index] = (swapped(color) | 0xff000000) >>> 0;
            } else if (color === 0xffffff) {
                words[index] = INVERTED;
                invert[index] = 1;
            } else {
                words[index] = TRANSPARENT;
            }
        }
    }
}

/**
 * Reads pixels of a shape with colours, its palette too.
 * @param {Reader} reader
 * @param {number} type
 * @param {number} width
 * @param {number} height
 * @returns {(x: number, y: number) => number} colours 0xRRGGBB
 */
function colors(reader, type, width, height) {
    if (type === COLOR4 || type === COLOR8) {
        const stride = type === COLOR4 ? (width + 1) >> 1 : width;
        const data = reader.take(stride * height);
        const palette = Array.from({ length: type === COLOR4 ? 16 : 256 }, () => reader.u32() & 0xffffff);
        return (x, y) => {
            if (type === COLOR8) {
                return palette[data[y * stride + x]];
            }
            const pair = data[y * stride + (x >> 1)];
            return palette[x & 1 ? pair & 15 : pair >> 4];
        };
    }
    const bytes = { [COLOR16]: 2, [COLOR24]: 3, [COLOR32]: 4 }[type];
    if (bytes === undefined) {
        throw new Malformed(`cursor: type ${type} is none`);
    }
    const data = reader.take(bytes * width * height);
    return (x, y) => {
        const at = (y * width + x) * bytes;
        if (bytes > 2) {
            return data[at] | (data[at + 1] << 8) | (data[at + 2] << 16);
        }
        const pixel = data[at] | (data[at + 1] << 8);
        const wide = (/** @type {number} */ five) => (five << 3) | (five >> 2);
        return (wide((pixel >> 10) & 31) << 16) | (wide((pixel >> 5) & 31) << 8) | wide(pixel & 31);
    };
}

/**
 * A bit of a bitmap, the most significant first.
 * @param {Uint8Array} bits
 * @param {number} stride
 * @param {number} x
 * @param {number} y
 */
function bit(bits, stride, x, y) {
    return (bits[y * stride + (x >> 3)] >> (7 - (x & 7))) & 1;
}

/**
 * 0xAARRGGBB to 0xAABBGGRR.
 * @param {number} word
 */
function swapped(word) {
    return ((word & 0xff00ff00) | ((word >>> 16) & 0xff) | ((word & 0xff) << 16)) >>> 0;
}

/**
 * Makes the transparent pixels beside inverted ones white.
 * @param {Uint32Array} words
 * @param {Uint8Array} invert
 * @param {number} width
 * @param {number} height
 */
function outline(words, invert, width, height) {
    for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
            if (words[y * width + x] !== TRANSPARENT) {
                continue;
            }
            for (let next = 0; next < 9; next++) {
                const [nx, ny] = [x + (next % 3) - 1, y + Math.floor(next / 3) - 1];
                if (nx >= 0 && ny >= 0 && nx < width && ny < height && invert[ny * width + nx]) {
                    words[y * width + x] = 0xffffffff;
                    break;
                }
            }
        }
    }
}
