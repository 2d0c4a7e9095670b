// The pixels a drawing may touch: its box and the union of its clip rectangles.

/** @typedef {import("./message.js").Rect} Rect */

/** A rectangle without pixels. @type {Readonly<Rect>} */
export const NOTHING = Object.freeze({ left: 0, top: 0, right: 0, bottom: 0 });

/** @param {Rect} rect */
export const isEmpty = (rect) => rect.left >= rect.right || rect.top >= rect.bottom;

/**
 * The pixels in both; an empty rectangle at the origin when there are none.
 * @param {Rect} a
 * @param {Rect} b
 * @returns {Rect}
 */
export function intersect(a, b) {
    const both = {
        left: Math.max(a.left, b.left),
        top: Math.max(a.top, b.top),
        right: Math.min(a.right, b.right),
        bottom: Math.min(a.bottom, b.bottom),
    };
    return isEmpty(both) ? NOTHING : both;
}

/**
 * @param {Rect} outer
 * @param {Rect} inner
 */
export const contains = (outer, inner) =>
    outer.left <= inner.left && outer.top <= inner.top && outer.right >= inner.right && outer.bottom >= inner.bottom;

/**
 * The smallest rectangle around both; an empty one adds nothing.
 * @param {Rect} a
 * @param {Rect} b
 * @returns {Rect}
 */
export function union(a, b) {
    if (isEmpty(a)) {
        return b;
    }
    if (isEmpty(b)) {
        return a;
    }
    return {
        left: Math.min(a.left, b.left),
        top: Math.min(a.top, b.top),
        right: Math.max(a.right, b.right),
        bottom: Math.max(a.bottom, b.bottom),
    };
}

/**
 * Whether two rectangles have the same size.
 * @param {Rect} a
 * @param {Rect} b
 */
export const sameSize = (a, b) => a.right - a.left === b.right - b.left && a.bottom - a.top === b.bottom - b.top;

/** The pixels that are drawn. */
export class Region {
    /**
     * The part of `box` that `clip` leaves.
     * @param {Rect} box
     * @param {Rect[] | null} clip null: all of it
     */
    constructor(box, clip) {
        /** The smallest rectangle around it. @type {Rect} */
        this.bounds = isEmpty(box) ? NOTHING : box;
        /** Parts of the bounds, none empty, which may overlap; empty when the bounds are all of it. @type {Rect[]} */
        this.parts = [];
        if (clip !== null) {
            const parts = clip.map((rect) => intersect(rect, box)).filter((rect) => !isEmpty(rect));
            this.bounds = parts.reduce(union, NOTHING);
            this.parts = parts.length > 1 ? parts : [];
        }
    }

    /** Whether it is one rectangle. */
    get isRect() {
        return this.parts.length === 0;
    }

    /**
     * The part of it inside `area`.
     * @param {Rect} area
     */
    within(area) {
        return this.isRect ? new Region(intersect(this.bounds, area), null) : new Region(area, this.parts);
    }

    /**
     * Calls `visit` with the edges of disjoint rectangles that cover it, from top to bottom and left to right. Takes
     * time in proportion to the number of rectangles and the area of the bounds, however the rectangles overlap.
     * @param {(left: number, top: number, right: number, bottom: number) => void} visit
     */
    forEach(visit) {
        const { left, top, right, bottom } = this.bounds;
        if (this.isRect) {
            if (left < right) {
                visit(left, top, right, bottom);
            }
            return;
        }
        const starting = this.parts.slice().sort((a, b) => a.top - b.top);
        const ending = this.parts.slice().sort((a, b) => a.bottom - b.bottom);
        const edges = new Edges(left, right);
        let [started, ended] = [0, 0];
        const nextRow = () => {
            const end = ending[ended].bottom;
            return started < starting.length ? Math.min(starting[started].top, end) : end;
        };
        while (ended < ending.length) {
            const row = nextRow();
            for (; started < starting.length && starting[started].top === row; started++) {
                edges.change(starting[started], 1);
            }
            for (; ended < ending.length && ending[ended].bottom === row; ended++) {
                edges.change(ending[ended], -1);
            }
            if (ended < ending.length) {
                edges.forEachSpan(row, nextRow(), visit);
            }
        }
    }
}

/** How many rectangles begin (positive) and end (negative) at each column of the current band. */
class Edges {
    /**
     * @param {number} left
     * @param {number} right
     */
    constructor(left, right) {
        this.left = left;
        this.changes = new Int32Array(right - left + 1);
        /** A bit for each column where there is one. */
        this.any = new Int32Array((this.changes.length + 31) >> 5);
    }

    /**
     * @param {Rect} rect
     * @param {number} by 1: it begins, -1: it ends
     */
    change(rect, by) {
        this.changeAt(rect.left - this.left, by);
        this.changeAt(rect.right - this.left, -by);
    }

    /**
     * @param {number} at
     * @param {number} by
     */
    changeAt(at, by) {
        this.changes[at] += by;
        const bit = 1 << (at & 31);
        this.any[at >> 5] = this.changes[at] === 0 ? this.any[at >> 5] & ~bit : this.any[at >> 5] | bit;
    }

    /**
     * Visits each covered stretch of columns.
     * @param {number} top
     * @param {number} bottom
     * @param {(left: number, top: number, right: number, bottom: number) => void} visit
     */
    forEachSpan(top, bottom, visit) {
        let [depth, start] = [0, 0];
        for (let word = 0; word < this.any.length; word++) {
            for (let any = this.any[word]; any !== 0; any &= any - 1) {
                const at = word * 32 + 31 - Math.clz32(any & -any);
                const before = depth;
                depth += this.changes[at];
                if (before === 0) {
                    start = this.left + at;
                } else if (depth === 0) {
                    visit(start, top, this.left + at, bottom);
                }
            }
        }
    }
}
