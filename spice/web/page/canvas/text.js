// Strings of glyphs.

import { cover, overCovered } from "./blend.js";
import { FORMAT, narrowRow, wordOf } from "./format.js";
import { paintRow } from "./picture.js";
import { NOTHING, intersect, isEmpty, union } from "./region.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./message.js").Glyph} Glyph */
/** @typedef {import("./picture.js").Paint} Paint */
/** @typedef {import("./region.js").Region} Region */
/** @typedef {import("./canvas.js").Surface} Surface */

/** @param {number} value held where 32 bits reach */
const held = (value) => Math.min(Math.max(value, -0x80000000), 0x7fffffff);

/**
 * Where a glyph lies.
 * @param {Glyph} glyph
 * @returns {Rect}
 */
function boxOf(glyph) {
    const left = held(glyph.renderX + glyph.originX);
    const top = held(glyph.renderY + glyph.originY);
    return { left, top, right: held(left + glyph.width), bottom: held(top + glyph.height) };
}

/**
 * How much of each pixel the glyphs of a string cover together, in 255ths.
 * @typedef {{bounds: Rect, covers: Uint8Array}} Coverage covers: rows of the bounds without padding
 */

/**
 * Lays a row of a glyph over those of other glyphs: what covers most counts. In the reference client a pixel at an odd
 * column of a 4-bit glyph, behind one that covers something, counts instead of those of earlier glyphs.
 * @param {number} depth bits: 1, 4 or 8
 * @param {Uint8Array} data
 * @param {number} start of the row in `data`
 * @param {number} column the first of it
 * @param {Uint8Array} covers from `at` on
 * @param {number} at
 * @param {number} count
 */
function layRow(depth, data, start, column, covers, at, count) {
    for (let i = 0; i < count; i++) {
        const x = column + i;
        let covered;
        let hides = false;
        if (depth === 8) {
            covered = data[start + x];
        } else if (depth === 1) {
            covered = -((data[start + (x >> 3)] >> (7 - (x & 7))) & 1) & 255;
        } else {
            const pair = data[start + (x >> 1)];
            covered = (x & 1) === 0 ? pair & 0xf0 : (pair << 4) & 0xf0;
            hides = (x & 1) === 1 && pair >> 4 !== 0;
        }
        if (hides || covered > covers[at + i]) {
            covers[at + i] = covered;
        }
    }
}

/**
 * The coverage of the part of a string inside `area`.
 * @param {Glyph[]} glyphs
 * @param {number} depth
 * @param {Rect} area
 * @returns {Coverage}
 */
export function coverageOf(glyphs, depth, area) {
    const places = glyphs.map(boxOf);
    const bounds = places.map((place) => intersect(place, area)).reduce(union, NOTHING);
    const width = bounds.right - bounds.left;
    const covers = new Uint8Array(width * (bounds.bottom - bounds.top));
    glyphs.forEach((glyph, index) => {
        const place = places[index];
        const visible = intersect(place, bounds);
        if (isEmpty(visible)) {
            return;
        }
        const line = Math.ceil((glyph.width * depth) / 8);
        for (let y = visible.top; y < visible.bottom; y++) {
            const row = glyph.bottomUp ? glyph.height - 1 - (y - place.top) : y - place.top;
            const at = (y - bounds.top) * width + visible.left - bounds.left;
            const count = visible.right - visible.left;
            layRow(depth, glyph.data, row * line, visible.left - place.left, covers, at, count);
        }
    });
    return { bounds, covers };
}

/**
 * Paints by the coverage of each pixel.
 * @param {Surface} surface
 * @param {Region} region inside the bounds of the coverage
 * @param {Coverage} coverage
 * @param {Paint} brush
 */
export function drawGlyphs(surface, region, { bounds, covers }, brush) {
    const { pixels, width, format } = surface;
    const across = bounds.right - bounds.left;
    const scratch = new Uint32Array(brush.tile === null ? 0 : across);
    const color = brush.tile === null ? wordOf(format, brush.value) : 0;
    // Over full alpha, and with alpha and colours, the result is what is kept.
    const isKept = format === FORMAT.XRGB || format === FORMAT.ARGB;
    region.forEach((left, top, right, bottom) => {
        const count = right - left;
        for (let y = top; y < bottom; y++) {
            const from = (y - bounds.top) * across + left - bounds.left;
            const at = y * width + left;
            if (brush.tile === null) {
                cover(pixels, at, color, covers, from, count);
            } else {
                paintRow(brush, left, y, scratch, count, format, true);
                overCovered(pixels, at, scratch, covers, from, count);
            }
            if (!isKept) {
                narrowRow(format, pixels, at, at + count);
            }
        }
    });
}
