// Lines one pixel wide.

import { Malformed } from "../protocol/reader.js";
import { forEachLine, whole } from "./path.js";
import { paintRow } from "./picture.js";
import { applyOp } from "./rop.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./message.js").Segment} Segment */
/** @typedef {import("./picture.js").Paint} Paint */
/** @typedef {import("./region.js").Region} Region */
/** @typedef {import("./canvas.js").Surface} Surface */

/** Most pixels and lines of one path: a screen of 16 million pixels drawn over once. */
const MAX_PIXELS = 1 << 24;

/**
 * The pixels of a line inside some bounds, by their number along its longer axis: a Bresenham line whose ties are
 * broken as in X, so that a line drawn back covers the same pixels.
 * @param {number} fromX
 * @param {number} fromY
 * @param {number} toX
 * @param {number} toY
 * @param {Rect} bounds
 */
function stepsOf(fromX, fromY, toX, toY, bounds) {
    const [dx, dy] = [toX - fromX, toY - fromY];
    const yMajor = Math.abs(dx) <= Math.abs(dy);
    const length = Math.max(Math.abs(dx), Math.abs(dy));
    const rise = Math.min(Math.abs(dx), Math.abs(dy));
    // The octants in which X decides a tie against the step.
    const bias = (yMajor ? dy < 0 : dx < 0) ? 1 : 0;
    const signX = dx < 0 ? -1 : 1;
    const signY = dy < 0 ? -1 : 1;
    // The first pixel that has risen by at least so much, as long as there is one.
    const firstAt = (/** @type {number} */ wanted) => {
        if (wanted <= 0) {
            return 0;
        }
        return rise === 0 ? length : Math.ceil((2 * length * wanted - length + bias) / (2 * rise));
    };
    // The distances from the begin at which each coordinate lies in the bounds.
    const alongX =
        signX > 0 ? [bounds.left - fromX, bounds.right - fromX] : [fromX - bounds.right + 1, fromX - bounds.left + 1];
    const alongY =
        signY > 0 ? [bounds.top - fromY, bounds.bottom - fromY] : [fromY - bounds.bottom + 1, fromY - bounds.top + 1];
    const [major, minor] = yMajor ? [alongY, alongX] : [alongX, alongY];
    const first = Math.max(major[0], firstAt(minor[0]), 0);
    const last = minor[1] <= 0 ? 0 : Math.min(major[1], firstAt(minor[1]), length);
    return { length, rise, bias, yMajor, signX, signY, first, end: Math.max(first, last) };
}

/**
 * Refuses a path whose visible part is beyond the budget.
 * @param {Segment[]} path
 * @param {Rect} bounds
 * @throws {Malformed}
 */
export function checkPath(path, bounds) {
    let pixels = 0;
    const isWithin = forEachLine(path, (fromX, fromY, toX, toY) => {
        const { first, end } = stepsOf(fromX, fromY, toX, toY, bounds);
        pixels += 1 + end - first;
        return pixels <= MAX_PIXELS;
    });
    if (!isWithin) {
        throw new Malformed(`path of more than ${MAX_PIXELS} pixels and lines`);
    }
}

/**
 * The pattern of a styled line: whether the pixel this far along it is drawn.
 * @param {Int32Array} style 28.4 lengths, on and off in turn; an odd number is taken twice, lengths below 0 are 0
 * @param {boolean} startWithGap whether the first length is a gap
 * @returns {((at: number) => boolean) | null} null: a solid line
 */
export function dashesOf(style, startWithGap) {
    const lengths = style.length % 2 === 0 ? [...style] : [...style, ...style];
    let total = 0;
    const ends = lengths.map((length) => (total += Math.max(whole(length), 0)));
    if (total === 0) {
        return null;
    }
    return (at) => {
        const place = at % total;
        // The first that ends behind it.
        let [low, high] = [0, ends.length - 1];
        while (low < high) {
            const half = (low + high) >> 1;
            [low, high] = ends[half] > place ? [low, half] : [half + 1, high];
        }
        return (low % 2 === 0) !== startWithGap;
    };
}

/**
 * A region as a byte for each pixel of its bounds; null: all of them.
 * @param {Region} region
 */
function insideOf(region) {
    if (region.isRect) {
        return null;
    }
    const { left, top, right, bottom } = region.bounds;
    const width = right - left;
    const inside = new Uint8Array(width * (bottom - top));
    region.forEach((from, above, to, below) => {
        for (let y = above; y < below; y++) {
            inside.fill(1, (y - top) * width + from - left, (y - top) * width + to - left);
        }
    });
    return inside;
}

/**
 * Draws the lines of a path, which has been checked.
 * @param {Surface} surface
 * @param {Region} region
 * @param {Segment[]} path
 * @param {((at: number) => boolean) | null} dashes
 * @param {Paint} brush
 * @param {number} op binary operation of brush and destination
 */
export function drawStroke(surface, region, path, dashes, brush, op) {
    const { pixels, width, format } = surface;
    const { left, top, right } = region.bounds;
    const inside = insideOf(region);
    const across = right - left;
    const word = new Uint32Array(1);
    paintRow(brush, 0, 0, word, 1, format);
    let phase = 0;
    forEachLine(path, (fromX, fromY, toX, toY, begins) => {
        if (begins) {
            phase = 0;
        }
        const line = stepsOf(fromX, fromY, toX, toY, region.bounds);
        const { length, rise, bias, yMajor, signX, signY } = line;
        for (let step = line.first; step < line.end; step++) {
            const risen = Math.floor((2 * rise * step + length - bias) / (2 * length));
            const x = fromX + signX * (yMajor ? risen : step);
            const y = fromY + signY * (yMajor ? step : risen);
            if (inside !== null && inside[(y - top) * across + x - left] === 0) {
                continue;
            }
            if (dashes !== null && !dashes(phase + step)) {
                continue;
            }
            if (brush.tile !== null) {
                paintRow(brush, x, y, word, 1, format);
            }
            const at = y * width + x;
            pixels[at] = applyOp(op, format, word[0], pixels[at]);
        }
        phase += length;
        return true;
    });
}
