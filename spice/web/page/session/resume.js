// RESUME: what this client still has of a session whose connections were cut.

import { RESUME_IMAGES_MAX } from "../protocol/display.js";
import { Writer } from "../protocol/reader.js";

/** Pixels of a side of a tile. */
const TILE = 32;
/** Longest side of a surface that is named. */
const SIDE_MAX = 8192;
const XRGB = 32;
const ARGB = 96;

/**
 * @param {bigint[]} images ids of those in the cache
 * @param {Map<number, import("./platform.js").Surface>} surfaces by their numbers
 * @returns {Uint8Array} body of RESUME
 */
export function resumeBody(images, surfaces) {
    const out = new Writer();
    // The latest are those that are used soonest.
    const named = images.slice(-RESUME_IMAGES_MAX);
    out.u32(named.length);
    named.forEach((id) => out.u64(id));
    const known = [...surfaces].filter(
        ([, { width, height, format }]) =>
            width <= SIDE_MAX && height <= SIDE_MAX && (format === XRGB || format === ARGB),
    );
    out.u32(known.length);
    for (const [id, surface] of known) {
        const { width, height, format } = surface;
        [id, width, height, format].forEach((value) => out.u32(value));
        for (let top = 0; top < height; top += TILE) {
            for (let left = 0; left < width; left += TILE) {
                const [high, low] = tileHash(surface, left, top);
                out.u32(low);
                out.u32(high);
            }
        }
    }
    return out.finish();
}

/**
 * What tells tiles apart, in two lanes of 32 bits: over the pixels as B G R A in memory.
 * @param {import("./platform.js").Surface} surface
 * @param {number} left where the tile begins
 * @param {number} top
 * @returns {[number, number]} the high lane and the low one
 */
export function tileHash({ width, height, format, pixels }, left, top) {
    const mask = format === ARGB ? 0xffffffff : 0x00ffffff;
    const right = Math.min(left + TILE, width);
    const bottom = Math.min(top + TILE, height);
    let high = 0x811c9dc5 | 0;
    let low = 0x9747b28c | 0;
    for (let y = top; y < bottom; y++) {
        for (let at = y * width + left; at < y * width + right; at++) {
            const word = pixels[at];
            const pixel = ((word & 0xff00ff00) | ((word >>> 16) & 0xff) | ((word & 0xff) << 16)) & mask;
            high = Math.imul(((high << 5) | (high >>> 27)) ^ pixel, 0x9e3779b1);
            low = Math.imul((((low << 13) | (low >>> 19)) + pixel) | 0, 0x85ebca77);
        }
    }
    return [mixed(high), mixed(low)];
}

/**
 * The last step of MurmurHash3, by which all bits depend on all.
 * @param {number} hash
 */
function mixed(hash) {
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) >>> 0;
}
