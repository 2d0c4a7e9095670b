// Reading a picture at the places an affine map sends pixels of a surface to, and parts of pictures brought to a box.

import { narrowRow } from "./format.js";
import { argb, argbRow, checkArea, isPlain, rawRow } from "./picture.js";
import { sameSize } from "./region.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./message.js").Point} Point */
/** @typedef {import("./picture.js").Source} Source */

/** 1 in 16.16 fixed point. */
const ONE = 1 << 16;

/** What lies outside a picture, by the numbers of a composite's flags: nothing, tiles, its edge, its reflection. */
const REPEAT = { NONE: 0, TILE: 1, PAD: 2 };

/**
 * The pixel of a side of `length` that stands at `at`; -1: none.
 * @param {number} repeat 0 to 3
 * @param {number} at
 * @param {number} length
 */
export function place(repeat, at, length) {
    if (at >= 0 && at < length) {
        return at;
    }
    switch (repeat) {
        case REPEAT.NONE:
            return -1;
        case REPEAT.TILE:
            return ((at % length) + length) % length;
        case REPEAT.PAD:
            return at < 0 ? 0 : length - 1;
        default: {
            const twice = 2 * length;
            const inside = ((at % twice) + twice) % twice;
            return inside < length ? inside : twice - 1 - inside;
        }
    }
}

/**
 * Where the pixels of a surface lie in a picture: a shift by whole pixels, then a matrix of 16.16 numbers (two rows of
 * three; null: none).
 * @typedef {{dx: number, dy: number, matrix: Int32Array | null}} Map
 */

/**
 * @param {Point} at a point of the surface
 * @param {Point} origin what falls on it
 * @param {Int32Array | null} matrix
 * @returns {Map}
 */
export const mapOf = (at, origin, matrix) => ({ dx: origin.x - at.x, dy: origin.y - at.y, matrix });

/**
 * Where the middle of a pixel falls, 16.16, rounded to the nearest: one of the two coordinates.
 * @param {Map} map
 * @param {number} row 0: x, 1: y
 * @param {number} x
 * @param {number} y
 */
function middle(map, row, x, y) {
    const [column, line] = [x + map.dx, y + map.dy];
    if (map.matrix === null) {
        return (row === 0 ? column : line) * ONE + ONE / 2;
    }
    const [byX, byY, constant] = map.matrix.subarray(row * 3, row * 3 + 3);
    // In parts, so that no sum needs more than 53 bits: the halves of the pixel come last.
    return byX * column + byY * line + constant + Math.floor(((byX + byY) * (ONE / 2) + ONE / 2) / ONE);
}

/**
 * The first pixel that counts at a place (16.16) along an axis, for the nearest one: the one the place lies in, and on
 * an edge the one before.
 * @param {number} at
 */
const nearestTo = (at) => Math.floor((at - 1) / ONE);

/** @param {number} at place, 16.16; the first of two pixels that count there */
const firstAt = (at) => Math.floor((at - ONE / 2) / ONE);

/** @param {number} at place, 16.16; how much the second one counts, in 128ths */
const weightAt = (at) => Math.floor((at - ONE / 2) / 512) & 127;

/** Two of the four components of a word. */
const LOW = 0x00ff00ff;

/**
 * The weighted mean of four words, each component for itself.
 * @param {number} a top left
 * @param {number} b top right
 * @param {number} c bottom left
 * @param {number} d bottom right
 * @param {number} x how much the right ones count, in 128ths
 * @param {number} y how much the lower ones count
 */
function mix(a, b, c, d, x, y) {
    const { imul } = Math;
    const left = 128 - x;
    const top = 128 - y;
    // Two components in 16 bits each, in 128ths.
    const upEven = (imul(a & LOW, left) + imul(b & LOW, x)) | 0;
    const upOdd = (imul((a >>> 8) & LOW, left) + imul((b >>> 8) & LOW, x)) | 0;
    const downEven = (imul(c & LOW, left) + imul(d & LOW, x)) | 0;
    const downOdd = (imul((c >>> 8) & LOW, left) + imul((d >>> 8) & LOW, x)) | 0;
    return (
        ((imul(upEven & 0xffff, top) + imul(downEven & 0xffff, y)) >> 14) |
        (((imul(upOdd & 0xffff, top) + imul(downOdd & 0xffff, y)) >> 14) << 8) |
        (((imul(upEven >>> 16, top) + imul(downEven >>> 16, y)) >> 14) << 16) |
        (((imul(upOdd >>> 16, top) + imul(downOdd >>> 16, y)) >> 14) << 24)
    );
}

/**
 * Something that has a word for every pixel that is drawn. `argb` makes premultiplied words with a meaningful alpha
 * for `count` pixels of row `y` from column `x` on, and returns where in `words` they begin; `raw` gives words as a
 * surface of a format keeps them.
 * @typedef {object} Reading
 * @property {Uint32Array} words
 * @property {(x: number, y: number, count: number) => number} argb
 * @property {(x: number, y: number, out: Uint32Array, at: number, count: number, format: number) => void} raw
 */

/** A picture one to one. @implements {Reading} */
class Unscaled {
    /**
     * @param {Source} source
     * @param {number} dx what to add to a column of the surface for that of the picture
     * @param {number} dy
     */
    constructor(source, dx, dy) {
        this.source = source;
        this.dx = dx;
        this.dy = dy;
        this.words = source.pixels;
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {number} count
     */
    argb(x, y, count) {
        const { source } = this;
        if (isPlain(source)) {
            return source.base + (y + this.dy) * source.stride + x + this.dx;
        }
        this.words = new Uint32Array(count);
        argbRow(source, x + this.dx, y + this.dy, this.words, 0, count);
        return 0;
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {Uint32Array} out
     * @param {number} at
     * @param {number} count
     * @param {number} format
     */
    raw(x, y, out, at, count, format) {
        rawRow(this.source, x + this.dx, y + this.dy, out, at, count, format);
    }
}

/**
 * The first and the end of the columns that are inside a picture.
 * @param {Int32Array} columns as `Sampler` has them
 */
function innerOf(columns) {
    const isInside = (/** @type {number} */ at) => columns[3 * at] >= 0 && columns[3 * at + 1] >= 0;
    let [first, end] = [0, columns.length / 3];
    while (first < end && !isInside(first)) {
        first += 1;
    }
    while (end > first && !isInside(end - 1)) {
        end -= 1;
    }
    return [first, end];
}

/**
 * A part of a row of a picture at other columns.
 * @param {Uint32Array} out
 * @param {number} first
 * @param {number} end
 * @param {Uint32Array} pixels
 * @param {number} row where it begins
 * @param {Int32Array} columns as `Sampler` has them
 * @param {number} from which of them is that of `out[0]`
 */
function pickRow(out, first, end, pixels, row, columns, from) {
    for (let i = first, c = 3 * (from + first); i < end; i++, c += 3) {
        out[i] = pixels[row + columns[c]];
    }
}

/**
 * Parts of two rows of a picture mixed, at other columns.
 * @param {Uint32Array} out
 * @param {number} first
 * @param {number} end
 * @param {Uint32Array} pixels
 * @param {number} upper where the one begins
 * @param {number} lower where the other begins
 * @param {number} weight of the lower one, in 128ths
 * @param {Int32Array} columns as `Sampler` has them
 * @param {number} from which of them is that of `out[0]`
 */
function mixRow(out, first, end, pixels, upper, lower, weight, columns, from) {
    for (let i = first, c = 3 * (from + first); i < end; i++, c += 3) {
        const left = columns[c];
        const right = columns[c + 1];
        out[i] = mix(
            pixels[upper + left],
            pixels[upper + right],
            pixels[lower + left],
            pixels[lower + right],
            columns[c + 2],
            weight,
        );
    }
}

/** A picture over the plane. @implements {Reading} */
export class Sampler {
    /**
     * @param {Source} source
     * @param {Map} map
     * @param {boolean} nearest by the nearest pixel; else interpolated
     * @param {number} repeat what lies outside, by the numbers of a composite's flags
     * @param {Rect} drawn what is around the pixels that are drawn
     */
    constructor(source, map, nearest, repeat, drawn) {
        this.source = source;
        this.map = map;
        this.nearest = nearest;
        this.repeat = repeat;
        this.left = drawn.left;
        this.scratch = new Uint32Array(drawn.right - drawn.left);
        /** @type {Uint32Array} */
        this.words = this.scratch;
        /** What `scratch` has been made for: column, number, two rows of the picture and a weight. */
        this.made = [-1, 0, 0, 0, 0];
        /** Of a map that only scales: two columns of the picture for each of the surface, and a weight. */
        this.columns = this.onlyScales() ? this.findColumns(drawn) : null;
        /** The first and the end of those that are inside the picture: outside it are only those before and behind. */
        this.inner = this.columns === null ? [0, 0] : innerOf(this.columns);
    }

    onlyScales() {
        const { matrix } = this.map;
        return matrix !== null && matrix[1] === 0 && matrix[3] === 0;
    }

    /** @param {Rect} drawn */
    findColumns(drawn) {
        const { width } = this.source;
        const step = this.map.matrix === null ? ONE : this.map.matrix[0];
        const columns = new Int32Array(3 * (drawn.right - drawn.left));
        let at = middle(this.map, 0, drawn.left, 0);
        for (let i = 0; i < columns.length; i += 3, at += step) {
            if (this.nearest) {
                columns[i] = place(this.repeat, nearestTo(at), width);
            } else {
                const first = firstAt(at);
                columns[i] = place(this.repeat, first, width);
                columns[i + 1] = place(this.repeat, first + 1, width);
                columns[i + 2] = weightAt(at);
            }
        }
        return columns;
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {number} count
     */
    argb(x, y, count) {
        const from = this.map.matrix === null ? this.insideRow(x, y, count) : -1;
        if (from < 0) {
            this.words = this.scratch;
            if (this.columns !== null) {
                this.scaledRow(this.columns, x, y, count);
            } else {
                this.mappedRow(x, y, count);
            }
            return 0;
        }
        if (isPlain(this.source)) {
            this.words = this.source.pixels;
            return from;
        }
        this.words = this.scratch;
        const { source } = this;
        for (let i = 0; i < count; i++) {
            this.scratch[i] = argb(source, source.pixels[from + i]);
        }
        return 0;
    }

    /**
     * @param {number} x
     * @param {number} y
     * @param {Uint32Array} out
     * @param {number} at
     * @param {number} count
     * @param {number} format
     */
    raw(x, y, out, at, count, format) {
        const from = this.argb(x, y, count);
        out.set(this.words.subarray(from, from + count), at);
        narrowRow(format, out, at, at + count);
    }

    /**
     * Where a row of the picture begins that is wanted as it is; -1 when there is more to do.
     * @param {number} x
     * @param {number} y
     * @param {number} count
     */
    insideRow(x, y, count) {
        const { source, map } = this;
        const column = x + map.dx;
        const row = place(this.repeat, y + map.dy, source.height);
        const isInside = column >= 0 && column + count <= source.width && row >= 0;
        return isInside ? source.base + row * source.stride + column : -1;
    }

    /**
     * A row of a picture that is only scaled.
     * @param {Int32Array} columns
     * @param {number} x
     * @param {number} y
     * @param {number} count
     */
    scaledRow(columns, x, y, count) {
        const { source, scratch, nearest } = this;
        const { pixels, base, stride, height } = source;
        const at = middle(this.map, 1, 0, y);
        const row = nearest ? nearestTo(at) : firstAt(at);
        const top = place(this.repeat, row, height);
        const bottom = nearest ? top : place(this.repeat, row + 1, height);
        const weight = nearest ? 0 : weightAt(at);
        const wanted = [x, count, top, bottom, weight];
        if (wanted.every((value, i) => value === this.made[i])) {
            return;
        }
        this.made = wanted;
        const upper = base + top * stride;
        const lower = base + bottom * stride;
        const from = x - this.left;
        // The part of the row whose columns are all inside the picture.
        let [first, end] = [0, 0];
        if (top >= 0 && bottom >= 0 && isPlain(source)) {
            first = Math.min(Math.max(this.inner[0] - from, 0), count);
            end = Math.min(Math.max(this.inner[1] - from, first), count);
        }
        this.scaledEdge(columns, from, 0, first, top, bottom, weight);
        if (nearest) {
            pickRow(scratch, first, end, pixels, upper, columns, from);
        } else {
            mixRow(scratch, first, end, pixels, upper, lower, weight, columns, from);
        }
        this.scaledEdge(columns, from, end, count, top, bottom, weight);
    }

    /**
     * A part of a row of a picture that is only scaled, where not all that is read is inside it, or just so in it.
     * @param {Int32Array} columns
     * @param {number} from which of them is the first of the row
     * @param {number} first of the row
     * @param {number} end
     * @param {number} top row of the picture; -1: outside
     * @param {number} bottom
     * @param {number} weight
     */
    scaledEdge(columns, from, first, end, top, bottom, weight) {
        for (let i = first, c = 3 * (from + first); i < end; i++, c += 3) {
            const a = this.wordAt(top, columns[c]);
            if (this.nearest) {
                this.scratch[i] = a;
                continue;
            }
            const b = this.wordAt(top, columns[c + 1]);
            const lower = this.wordAt(bottom, columns[c]);
            this.scratch[i] = mix(a, b, lower, this.wordAt(bottom, columns[c + 1]), columns[c + 2], weight);
        }
    }

    /**
     * The word of a pixel, and 0 outside.
     * @param {number} row -1: outside
     * @param {number} column
     */
    wordAt(row, column) {
        const { source } = this;
        if (row < 0 || column < 0) {
            return 0;
        }
        return argb(source, source.pixels[source.base + row * source.stride + column]);
    }

    /**
     * A row, pixel by pixel.
     * @param {number} x
     * @param {number} y
     * @param {number} count
     */
    mappedRow(x, y, count) {
        const { map, scratch } = this;
        const stepX = map.matrix === null ? ONE : map.matrix[0];
        const stepY = map.matrix === null ? 0 : map.matrix[3];
        let atX = middle(map, 0, x, y);
        let atY = middle(map, 1, x, y);
        for (let i = 0; i < count; i++, atX += stepX, atY += stepY) {
            if (this.nearest) {
                scratch[i] = this.pixel(nearestTo(atX), nearestTo(atY));
                continue;
            }
            const [left, top] = [firstAt(atX), firstAt(atY)];
            const a = this.pixel(left, top);
            const b = this.pixel(left + 1, top);
            const c = this.pixel(left, top + 1);
            scratch[i] = mix(a, b, c, this.pixel(left + 1, top + 1), weightAt(atX), weightAt(atY));
        }
    }

    /**
     * The word of a pixel, or of what stands for it.
     * @param {number} x
     * @param {number} y
     */
    pixel(x, y) {
        const { width, height } = this.source;
        return this.wordAt(place(this.repeat, y, height), place(this.repeat, x, width));
    }
}

/** The largest number of 16.16 fixed point. */
const MOST = 0x7fffffff;

/**
 * `length` pixels from `first` on, in `to` pixels: source pixels for one of the box (16.16), what is added before that
 * (in pixels of the box) and after it (16.16).
 * @param {number} first
 * @param {number} length
 * @param {number} to
 * @param {boolean} rounded
 */
function axis(first, length, to, rounded) {
    const step = Math.min(Math.floor((length * ONE) / to), MOST);
    if (rounded) {
        // In the numbers the reference client uses, since halves decide.
        return { step, constant: 0, origin: Math.min(Math.floor(first / (length / to) + 0.5), MOST) };
    }
    return { step, constant: Math.min(first * ONE, MOST), origin: 0 };
}

/**
 * `area` of a picture in the box `to`, and of it the part `drawn`. What interpolation reads around the area is the
 * rest of the picture, and nothing beyond its edge.
 * @param {Source} source
 * @param {Rect} area
 * @param {Rect} to holds a pixel
 * @param {boolean} nearest
 * @param {boolean} rounded whether a scaled part begins at a whole number of pixels of the box, as for ternary raster
 *     operations in the reference client; else where it says
 * @param {Rect} drawn
 * @returns {Unscaled | Sampler}
 * @throws {Malformed} when the area is not a part of the picture
 */
export function scaled(source, area, to, nearest, rounded, drawn) {
    checkArea(area, source.width, source.height);
    const corner = { x: to.left, y: to.top };
    if (sameSize(area, to)) {
        return new Unscaled(source, area.left - to.left, area.top - to.top);
    }
    const x = axis(area.left, area.right - area.left, to.right - to.left, rounded);
    const y = axis(area.top, area.bottom - area.top, to.bottom - to.top, rounded);
    const matrix = Int32Array.of(x.step, 0, x.constant, 0, y.step, y.constant);
    return new Sampler(source, mapOf(corner, { x: x.origin, y: y.origin }, matrix), nearest, REPEAT.NONE, drawn);
}
