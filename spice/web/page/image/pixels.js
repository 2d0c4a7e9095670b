// What pictures are made of.

import { Malformed } from "../protocol/reader.js";

/** Most pixels of a picture, and of all that a session keeps. */
export const MAX_PIXELS = 64 << 20;
/** Most pixels of a side. */
const MAX_SIDE = 1 << 20;

/** Pixels of the values of x1r5g5b5 without bit 15: opaque, 5 bits widened so that 0 and 31 become 0 and 255. */
export const WIDE_555 = Uint32Array.from({ length: 1 << 15 }, (_, value) => {
    const five = (/** @type {number} */ component) => (component << 3) | (component >> 2);
    return 0xff000000 | (five(value & 31) << 16) | (five((value >> 5) & 31) << 8) | five(value >> 10);
});

/**
 * @param {number} value 0xAARRGGBB
 * @returns {number} 0xAABBGGRR, which may be negative
 */
export function swapped(value) {
    return (value & 0xff00ff00) | ((value >>> 16) & 255) | ((value & 255) << 16);
}

/**
 * @param {string} what the name of the field or format, for errors
 * @param {number} width
 * @param {number} height
 * @returns {number} pixels
 * @throws {Malformed} when a side is 0, or the picture larger than anything may be
 */
export function checkSize(what, width, height) {
    const isRight = width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE;
    if (!isRight || width * height > MAX_PIXELS) {
        throw new Malformed(`${what} of ${width}x${height} pixels is empty or too large`);
    }
    return width * height;
}

/**
 * Puts the last row first, and so on, in place.
 * @param {Uint32Array} pixels
 * @param {number} width
 */
export function flipRows(pixels, width) {
    const row = new Uint32Array(width);
    for (let top = 0, bottom = pixels.length - width; top < bottom; top += width, bottom -= width) {
        row.set(pixels.subarray(top, top + width));
        pixels.copyWithin(top, bottom, bottom + width);
        pixels.set(row, bottom);
    }
}
