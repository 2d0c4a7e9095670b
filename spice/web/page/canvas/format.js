// Formats of surfaces and the words in which their pixels are kept.
//
// Every surface has a word of 32 bits for each pixel, 0xAABBGGRR, whatever its format:
// - xRGB: alpha is 255. The unused byte of the wire is not kept.
// - ARGB: premultiplied, as on the wire.
// - 16 bits: each component widened to 8 bits by repeating its highest bits, alpha 255. Bits of the wire are there once
//   or twice, so that raster operations, which work bit by bit, can be done on the words; after anything else the
//   components are cut to their bits again (`narrow`).
// - A8: the alpha in the highest byte, no colours. A1: 0 or 0xff000000.

import { Malformed } from "../protocol/reader.js";

/** Formats by their numbers in SURFACE_CREATE. */
export const FORMAT = { A1: 1, A8: 8, RGB555: 16, XRGB: 32, RGB565: 80, ARGB: 96 };

/** The bits of alpha. */
export const OPAQUE = 0xff000000;
/** The bits of colours. */
export const COLORS = 0x00ffffff;

/**
 * @param {number} format
 * @throws {Malformed} when there is no such format
 */
export function checkFormat(format) {
    if (!Object.values(FORMAT).includes(format)) {
        throw new Malformed(`surface format ${format} is not 1, 8, 16, 32, 80 or 96`);
    }
}

/**
 * Whether pixels hold an alpha value.
 * @param {number} format
 */
export const hasAlpha = (format) => format === FORMAT.ARGB || format === FORMAT.A8 || format === FORMAT.A1;

/**
 * Whether pixels are nothing but alpha.
 * @param {number} format
 */
export const isAlpha = (format) => format === FORMAT.A8 || format === FORMAT.A1;

/**
 * Whether pixels have 16 bits.
 * @param {number} format
 */
export const isNarrow = (format) => format === FORMAT.RGB555 || format === FORMAT.RGB565;

/**
 * The bits of a word that an operation may change.
 * @param {number} format
 */
export const keptBits = (format) => (isAlpha(format) ? OPAQUE : -1);

/**
 * The bits that are set in every word.
 * @param {number} format
 */
export const setBits = (format) => (hasAlpha(format) ? 0 : OPAQUE);

/**
 * 0xAARRGGBB as a word, and back.
 * @param {number} value
 */
export const swapped = (value) => (value & 0xff00ff00) | ((value >>> 16) & 0xff) | ((value & 0xff) << 16);

/**
 * Components with 5 bits, the rest filled with their highest ones.
 * @param {number} word
 */
const cut555 = (word) => (word & 0xf8f8f8) | ((word >>> 5) & 0x070707) | OPAQUE;

/**
 * Components with 5, 6 and 5 bits.
 * @param {number} word
 */
const cut565 = (word) => (word & 0xf8fcf8) | ((word >>> 5) & 0x070007) | ((word >>> 6) & 0x000300) | OPAQUE;

/**
 * What a surface keeps of a word.
 * @param {number} format
 * @param {number} word
 * @returns {number} 32 bits, signed
 */
export function narrow(format, word) {
    switch (format) {
        case FORMAT.XRGB:
            return word | OPAQUE;
        case FORMAT.RGB555:
            return cut555(word);
        case FORMAT.RGB565:
            return cut565(word);
        case FORMAT.A8:
            return word & OPAQUE;
        case FORMAT.A1:
            return word < 0 || word > 0x7fffffff ? OPAQUE : 0;
        default:
            return word | 0;
    }
}

/**
 * `narrow` for the words from `at` to `end`.
 * @param {number} format
 * @param {Uint32Array} words
 * @param {number} at
 * @param {number} end
 */
export function narrowRow(format, words, at, end) {
    switch (format) {
        case FORMAT.XRGB:
            for (let i = at; i < end; i++) {
                words[i] |= OPAQUE;
            }
            break;
        case FORMAT.RGB555:
            for (let i = at; i < end; i++) {
                words[i] = cut555(words[i]);
            }
            break;
        case FORMAT.RGB565:
            for (let i = at; i < end; i++) {
                words[i] = cut565(words[i]);
            }
            break;
        case FORMAT.A8:
            for (let i = at; i < end; i++) {
                words[i] &= OPAQUE;
            }
            break;
        case FORMAT.A1:
            for (let i = at; i < end; i++) {
                words[i] = words[i] > 0x7fffffff ? OPAQUE : 0;
            }
            break;
    }
}

/**
 * The word of a pixel value as brushes have it.
 * @param {number} format of the surface and the value
 * @param {number} value
 * @returns {number}
 */
export function wordOf(format, value) {
    switch (format) {
        case FORMAT.RGB555:
            return cut555(((value >>> 7) & 0xf8) | ((value << 6) & 0xf800) | ((value << 19) & 0xf80000));
        case FORMAT.RGB565:
            return cut565(((value >>> 8) & 0xf8) | ((value << 5) & 0xfc00) | ((value << 19) & 0xf80000));
        case FORMAT.A8:
            return value << 24;
        case FORMAT.A1:
            return (value & 1) !== 0 ? OPAQUE : 0;
        case FORMAT.ARGB:
            return swapped(value);
        default:
            return swapped(value) | OPAQUE;
    }
}
