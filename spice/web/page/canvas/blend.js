// Arithmetic on premultiplied words, two components at a time.

import { OPAQUE } from "./format.js";

const LOW = 0x00ff00ff;

/**
 * Every component times a number of 255ths, rounded to the nearest.
 * @param {number} word
 * @param {number} factor 0 to 255
 * @returns {number}
 */
export function times(word, factor) {
    // A product and what is added fit in 16 bits; x / 255 is (x + (x >> 8)) >> 8 then.
    const even = (Math.imul(word & LOW, factor) + 0x00800080) | 0;
    const odd = (Math.imul((word >>> 8) & LOW, factor) + 0x00800080) | 0;
    return (((even + ((even >>> 8) & LOW)) >>> 8) & LOW) | ((odd + ((odd >>> 8) & LOW)) & 0xff00ff00);
}

/**
 * The sum of two words, each component at most 255.
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
export function plus(a, b) {
    const even = (a & LOW) + (b & LOW);
    const odd = ((a >>> 8) & LOW) + ((b >>> 8) & LOW);
    // What carries into bit 8 of a component fills it.
    const fullEven = (even >>> 8) & 0x00010001;
    const fullOdd = (odd >>> 8) & 0x00010001;
    return ((even | Math.imul(fullEven, 255)) & LOW) | (((odd | Math.imul(fullOdd, 255)) & LOW) << 8);
}

/**
 * `a * b / 255`, rounded to the nearest.
 * @param {number} a 0 to 255
 * @param {number} b 0 to 255
 */
export function product(a, b) {
    const value = a * b + 0x80;
    return (value + (value >> 8)) >> 8;
}

/**
 * Lays words over others, saturating where they are not properly premultiplied.
 * @param {Uint32Array} dest from `at` on
 * @param {number} at
 * @param {Uint32Array} source from `from` on
 * @param {number} from
 * @param {number} count
 */
export function over(dest, at, source, from, count) {
    for (let i = 0; i < count; i++) {
        const word = source[from + i];
        const alpha = word >>> 24;
        if (alpha === 255) {
            dest[at + i] = word;
        } else if (word !== 0) {
            dest[at + i] = plus(word, times(dest[at + i], 255 - alpha));
        }
    }
}

/**
 * As `over`, the source times a number of 255ths.
 * @param {Uint32Array} dest
 * @param {number} at
 * @param {Uint32Array} source
 * @param {number} from
 * @param {number} count
 * @param {number} factor 0 to 255
 */
export function overThinned(dest, at, source, from, count, factor) {
    for (let i = 0; i < count; i++) {
        const word = times(source[from + i], factor);
        if (word !== 0) {
            dest[at + i] = plus(word, times(dest[at + i], 255 - (word >>> 24)));
        }
    }
}

/**
 * As `over`, the source times a coverage for each word.
 * @param {Uint32Array} dest
 * @param {number} at
 * @param {Uint32Array} source from its begin on
 * @param {Uint8Array} covers from `from` on
 * @param {number} from
 * @param {number} count
 */
export function overCovered(dest, at, source, covers, from, count) {
    for (let i = 0; i < count; i++) {
        const cover = covers[from + i];
        if (cover !== 0) {
            const word = times(source[i], cover);
            dest[at + i] = plus(word, times(dest[at + i], 255 - (word >>> 24)));
        }
    }
}

/**
 * Lays one opaque colour over words by the coverage of each.
 * @param {Uint32Array} dest from `at` on
 * @param {number} at
 * @param {number} color
 * @param {Uint8Array} covers from `from` on
 * @param {number} from
 * @param {number} count
 */
export function cover(dest, at, color, covers, from, count) {
    const opaque = color | OPAQUE;
    for (let i = 0; i < count; i++) {
        const covered = covers[from + i];
        if (covered === 255) {
            dest[at + i] = opaque;
        } else if (covered !== 0) {
            dest[at + i] = plus(times(opaque, covered), times(dest[at + i], 255 - covered));
        }
    }
}
