// Paths as straight lines between whole pixels.

/** @typedef {import("./message.js").Segment} Segment */

const BEGIN = 1;
const END = 2;
const CLOSE = 8;
const BEZIER = 16;

/** Coordinates beyond this (28.4) are moved to it, so that all arithmetic is exact. */
const MAX_COORDINATE = 1 << 26;

/** How far (28.4) a curve may be from the lines that stand for it: a quarter of a pixel. */
const FLATNESS = 4;

/**
 * 28.4 to the nearest whole number; a half rounds down.
 * @param {number} value
 */
export const whole = (value) => (value >> 4) + ((value & 15) > 8 ? 1 : 0);

/**
 * Lines needed so that none is further than FLATNESS from the curve: the distance of a curve from the chord of a step
 * of 1/n is at most 1/8 of its second derivative over n², which is at most 6 times the second difference of
 * neighbouring control points.
 * @param {number[]} xs
 * @param {number[]} ys
 */
function stepsOf(xs, ys) {
    const bend = (/** @type {number[]} */ [p, q, r, s]) => Math.max(Math.abs(p - 2 * q + r), Math.abs(q - 2 * r + s));
    const squared = Math.floor((6 * (bend(xs) + bend(ys))) / (8 * FLATNESS));
    return Math.floor(Math.sqrt(squared)) + 1;
}

/**
 * A coordinate of a curve at the parameter `step / steps`, rounded down.
 * @param {number[]} points
 * @param {number} step
 * @param {number} steps
 */
function onCurve([p, q, r, s], step, steps) {
    const rest = steps - step;
    const [a, b, c, d] = [rest ** 3, 3 * rest * rest * step, 3 * rest * step * step, step ** 3];
    const cube = steps ** 3;
    // Divided by hand in base 512: the sum of products may need 67 bits, and so no part needs more than 51.
    let sum = a * (p >> 18) + b * (q >> 18) + c * (r >> 18) + d * (s >> 18);
    const high = Math.floor(sum / cube);
    sum = (sum - high * cube) * 512;
    sum += a * ((p >> 9) & 511) + b * ((q >> 9) & 511) + c * ((r >> 9) & 511) + d * ((s >> 9) & 511);
    const middle = Math.floor(sum / cube);
    sum = (sum - middle * cube) * 512;
    sum += a * (p & 511) + b * (q & 511) + c * (r & 511) + d * (s & 511);
    return (high * 512 + middle) * 512 + Math.floor(sum / cube);
}

/**
 * Calls `visit` with each line of the path, whose end is not a part of it, until it returns false.
 * @param {Segment[]} path
 * @param {(fromX: number, fromY: number, toX: number, toY: number, first: boolean) => boolean} visit first: of a
 *     sub-path
 * @returns {boolean} whether all have been visited
 */
export function forEachLine(path, visit) {
    /** Where the sub-path began; null before one has. @type {[number, number] | null} */
    let start = null;
    let [atX, atY] = [0, 0];
    let first = true;
    const lineTo = (/** @type {number} */ x, /** @type {number} */ y) => {
        const goesOn = visit(whole(atX), whole(atY), whole(x), whole(y), first);
        [atX, atY, first] = [x, y, false];
        return goesOn;
    };
    for (const { flags, points } of path) {
        const coordinate = (/** @type {number} */ at) =>
            Math.min(Math.max(points[at], -MAX_COORDINATE), MAX_COORDINATE);
        let next = 0;
        if (((flags & BEGIN) !== 0 || start === null) && points.length > 0) {
            [atX, atY] = [coordinate(0), coordinate(1)];
            start = [atX, atY];
            first = true;
            next = 2;
        }
        if ((flags & BEZIER) !== 0) {
            for (; next + 6 <= points.length; next += 6) {
                const xs = [atX, coordinate(next), coordinate(next + 2), coordinate(next + 4)];
                const ys = [atY, coordinate(next + 1), coordinate(next + 3), coordinate(next + 5)];
                const steps = stepsOf(xs, ys);
                for (let step = 1; step < steps; step++) {
                    if (!lineTo(onCurve(xs, step, steps), onCurve(ys, step, steps))) {
                        return false;
                    }
                }
                if (!lineTo(xs[3], ys[3])) {
                    return false;
                }
            }
        } else {
            for (; next < points.length; next += 2) {
                if (!lineTo(coordinate(next), coordinate(next + 1))) {
                    return false;
                }
            }
        }
        if ((flags & END) !== 0) {
            const close = (flags & CLOSE) !== 0 ? start : null;
            start = null;
            if (close !== null && !lineTo(close[0], close[1])) {
                return false;
            }
        }
    }
    return true;
}
