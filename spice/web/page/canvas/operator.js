// The operators of Render: Porter and Duff's, and the blend modes of PDF (ISO 32000, 11.3.5) for premultiplied colours.

import { Malformed } from "../protocol/reader.js";
import { product, times } from "./blend.js";
import { FLOATING, applyFloating } from "./float.js";

/** What a component of source or destination counts by the alpha of the other: `alpha & kept ^ flipped`, in 255ths. */
const NONE = [0, 0];
const ALL = [0, 255];
const ALPHA = [255, 0];
const REST = [255, 255];

/** Factors of source and destination, by the number of the operator. */
const PORTER_DUFF = [
    [NONE, NONE], // Clear
    [ALL, NONE], // Src
    [NONE, ALL], // Dst
    [ALL, REST], // Over
    [REST, ALL], // OverReverse
    [ALPHA, NONE], // In
    [NONE, ALPHA], // InReverse
    [REST, NONE], // Out
    [NONE, REST], // OutReverse
    [ALPHA, REST], // Atop
    [REST, ALPHA], // AtopReverse
    [REST, REST], // Xor
    [ALL, ALL], // Add
];

/** The operator that lays the source over the destination. */
export const OVER = 3;

/** Blend modes whose function of two colours needs no division once they are premultiplied. */
const BLEND = {
    MULTIPLY: 0x30,
    SCREEN: 0x31,
    OVERLAY: 0x32,
    DARKEN: 0x33,
    LIGHTEN: 0x34,
    HARD_LIGHT: 0x37,
    DIFFERENCE: 0x39,
    EXCLUSION: 0x3a,
};

const BLENDS = new Set(Object.values(BLEND));
const FLOATINGS = new Set(Object.values(FLOATING));

/**
 * @param {number} operator
 * @throws {Malformed} when Render does not have it, or it is a disjoint or conjoint one
 */
export function checkOperator(operator) {
    if (operator >= PORTER_DUFF.length && !BLENDS.has(operator) && !FLOATINGS.has(operator)) {
        throw new Malformed(`composite operator ${operator} is not supported`);
    }
}

/**
 * Every component times that of another word, in 255ths.
 * @param {number} word
 * @param {number} factors
 */
function timesEach(word, factors) {
    let all = 0;
    for (let shift = 0; shift < 32; shift += 8) {
        all |= product((word >>> shift) & 255, (factors >>> shift) & 255) << shift;
    }
    return all;
}

/** @param {number} word */
const spread = (word) => Math.imul(word >>> 24, 0x01010101);

/**
 * @param {number[][]} factors
 * @param {number} source
 * @param {number} alphas of the source, for each component
 * @param {number} dest
 */
function porterDuff([[keptS, flippedS], [keptD, flippedD]], source, alphas, dest) {
    const ofSource = ((dest >>> 24) & keptS) ^ flippedS;
    let all = 0;
    for (let shift = 0; shift < 32; shift += 8) {
        const ofDest = ((alphas >>> shift) & keptD) ^ flippedD;
        const sum = product((source >>> shift) & 255, ofSource) + product((dest >>> shift) & 255, ofDest);
        all |= Math.min(sum, 255) << shift;
    }
    return all;
}

/**
 * The function of two colours where both are, times both alphas, in 65025ths.
 * @param {number} mode
 * @param {number} s
 * @param {number} sa
 * @param {number} d
 * @param {number} da
 */
function both(mode, s, sa, d, da) {
    const hard = (/** @type {boolean} */ isLow) => (isLow ? 2 * s * d : sa * da - 2 * (da - d) * (sa - s));
    switch (mode) {
        case BLEND.SCREEN:
            return s * da + d * sa - s * d;
        case BLEND.OVERLAY:
            return hard(2 * d < da);
        case BLEND.HARD_LIGHT:
            return hard(2 * s < sa);
        case BLEND.DARKEN:
            return Math.min(s * da, d * sa);
        case BLEND.LIGHTEN:
            return Math.max(s * da, d * sa);
        case BLEND.DIFFERENCE:
            return Math.abs(s * da - d * sa);
        default:
            return s * da + d * sa - 2 * s * d;
    }
}

/**
 * A component in 255ths of a sum in 65025ths, rounded to the nearest.
 * @param {number} sum
 */
const blended = (sum) => product(Math.min(Math.max(sum, 0), 65025), 1);

/**
 * @param {number} mode
 * @param {number} source
 * @param {number} alphas of the source, for each component
 * @param {number} dest
 */
function blend(mode, source, alphas, dest) {
    const da = dest >>> 24;
    let all = 0;
    for (let shift = 0; shift < 32; shift += 8) {
        const s = (source >>> shift) & 255;
        const sa = (alphas >>> shift) & 255;
        const d = (dest >>> shift) & 255;
        let component;
        if (mode === BLEND.MULTIPLY) {
            const apart = Math.min(product(s, 255 - da) + product(d, 255 - sa), 255);
            component = Math.min(apart + product(s, d), 255);
        } else if (shift === 24) {
            // Both are opaque to the extent that one of them is.
            component = blended(255 * (da + sa) - da * sa);
        } else {
            component = blended((255 - sa) * d + (255 - da) * s + both(mode, s, sa, d, da));
        }
        all |= component << shift;
    }
    return all;
}

/**
 * Sets `count` words of `dest` to the result for those of the source and of its mask, if there is one.
 * @param {number} operator
 * @param {Uint32Array} sources from `from` on
 * @param {number} from
 * @param {Uint32Array | null} masks from `maskFrom` on
 * @param {number} maskFrom
 * @param {boolean} byComponent whether each component of the mask counts for that of the source, or its alpha for all
 * @param {Uint32Array} dest from `at` on
 * @param {number} at
 * @param {number} count
 */
export function operateRow(operator, sources, from, masks, maskFrom, byComponent, dest, at, count) {
    const factors = PORTER_DUFF[operator];
    const isFloating = FLOATINGS.has(operator);
    for (let i = 0; i < count; i++) {
        let source = sources[from + i];
        const before = dest[at + i];
        if (isFloating) {
            const mask = masks === null ? null : masks[maskFrom + i];
            dest[at + i] = applyFloating(operator, source, mask, byComponent, before);
            continue;
        }
        let alphas = spread(source);
        if (masks !== null && byComponent) {
            alphas = timesEach(masks[maskFrom + i], alphas);
            source = timesEach(source, masks[maskFrom + i]);
        } else if (masks !== null) {
            source = times(source, masks[maskFrom + i] >>> 24);
            alphas = spread(source);
        }
        dest[at + i] =
            factors === undefined
                ? blend(operator, source, alphas, before)
                : porterDuff(factors, source, alphas, before);
    }
}
