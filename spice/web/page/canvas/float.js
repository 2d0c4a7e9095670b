// Operators of Render that divide. They are calculated in single precision, step by step, as our canvas and the
// reference client do, so that pictures of 8 bits come out the same: every result goes through Math.fround.

const { fround, sqrt } = Math;

/** The operators by their numbers in the Render extension. */
export const FLOATING = {
    SATURATE: 0x0d,
    COLOR_DODGE: 0x35,
    COLOR_BURN: 0x36,
    SOFT_LIGHT: 0x38,
    HUE: 0x3b,
    SATURATION: 0x3c,
    COLOR: 0x3d,
    LUMINOSITY: 0x3e,
};

const { SATURATE, COLOR_DODGE, COLOR_BURN, SOFT_LIGHT, HUE, SATURATION, LUMINOSITY } = FLOATING;

/** The least positive number that is not denormal. */
const LEAST = 2 ** -126;

/** @param {number} a @param {number} b */
const add = (a, b) => fround(a + b);
/** @param {number} a @param {number} b */
const sub = (a, b) => fround(a - b);
/** @param {number} a @param {number} b */
const mul = (a, b) => fround(a * b);
/** @param {number} a @param {number} b */
const div = (a, b) => fround(a / b);

/** @param {number} value */
const isZero = (value) => -LEAST < value && value < LEAST;

/** @param {number} value */
const clamped = (value) => Math.min(Math.max(value, 0), 1);

/** @param {number} byte */
const unit = (byte) => mul(byte, fround(1 / 255));

/**
 * 256 steps of equal width, the last of them 1 itself as well.
 * @param {number} value
 */
function byteOf(value) {
    const step = mul(clamped(value), 256) | 0;
    return step - (step >> 8);
}

/**
 * How much of a source there is room for beside a destination.
 * @param {number} source
 * @param {number} dest
 */
const room = (source, dest) => (isZero(source) ? 1 : clamped(div(sub(1, dest), source)));

/**
 * A function of two colours where both are, times both alphas.
 * @param {number} operator
 * @param {number} sa
 * @param {number} s
 * @param {number} da
 * @param {number} d
 */
function both(operator, sa, s, da, d) {
    if (operator === COLOR_DODGE) {
        if (isZero(d)) {
            return 0;
        }
        if (mul(d, sa) >= sub(mul(sa, da), mul(s, da)) || isZero(sub(sa, s))) {
            return mul(sa, da);
        }
        return div(mul(mul(sa, sa), d), sub(sa, s));
    }
    if (operator === COLOR_BURN) {
        if (d >= da) {
            return mul(sa, da);
        }
        const left = mul(sa, sub(da, d));
        if (left >= mul(s, da) || isZero(s)) {
            return 0;
        }
        return mul(sa, sub(da, div(left, s)));
    }
    const product = mul(d, sa);
    if (isZero(da)) {
        return product;
    }
    const twice = mul(2, s);
    if (twice <= sa) {
        return sub(product, div(mul(mul(d, sub(da, d)), sub(sa, twice)), da));
    }
    const factor = sub(twice, sa);
    if (mul(4, d) <= da) {
        const inner = sub(div(mul(16, d), da), 12);
        return add(product, mul(mul(factor, d), add(div(mul(inner, d), da), 3)));
    }
    return add(product, mul(sub(fround(sqrt(mul(d, da))), d), factor));
}

/** @typedef {[number, number, number]} Rgb */

/** @param {Rgb} color */
const luminosity = ([red, green, blue]) =>
    add(add(mul(red, fround(0.3)), mul(green, fround(0.59))), mul(blue, fround(0.11)));

/** @param {Rgb} color */
const leastOf = ([red, green, blue]) => Math.min(red, green, blue);
/** @param {Rgb} color */
const mostOf = ([red, green, blue]) => Math.max(red, green, blue);

/** @param {Rgb} color */
const saturation = (color) => sub(mostOf(color), leastOf(color));

/**
 * @param {Rgb} color
 * @param {(component: number) => number} change
 * @returns {Rgb}
 */
const each = ([red, green, blue], change) => [change(red), change(green), change(blue)];

/**
 * The colour moved to a luminosity, and drawn together around it where it leaves 0 to `limit`.
 * @param {Rgb} color
 * @param {number} limit
 * @param {number} wanted
 */
function withLuminosity(color, limit, wanted) {
    const by = sub(wanted, luminosity(color));
    let moved = each(color, (c) => add(c, by));
    const center = luminosity(moved);
    const [least, most] = [leastOf(moved), mostOf(moved)];
    if (least < 0) {
        const reach = sub(center, least);
        moved = each(moved, (c) => (isZero(reach) ? 0 : add(center, div(mul(sub(c, center), center), reach))));
    }
    if (most > limit) {
        const reach = sub(most, center);
        const left = sub(limit, center);
        moved = each(moved, (c) => (isZero(reach) ? limit : add(center, div(mul(sub(c, center), left), reach))));
    }
    return moved;
}

/**
 * The colour stretched so that its components reach from 0 to `wanted`.
 * @param {Rgb} color
 * @param {number} wanted
 * @returns {Rgb}
 */
function withSaturation(color, wanted) {
    const [least, most] = [leastOf(color), mostOf(color)];
    const reach = sub(most, least);
    if (isZero(reach)) {
        return [0, 0, 0];
    }
    return each(color, (c) => (c === most ? wanted : div(mul(sub(c, least), wanted), reach)));
}

/**
 * A function of two colours as a whole where both are, times both alphas.
 * @param {number} operator
 * @param {Rgb} source
 * @param {number} sa
 * @param {Rgb} dest
 * @param {number} da
 * @returns {Rgb}
 */
function mixed(operator, source, sa, dest, da) {
    const limit = mul(sa, da);
    const ofDest = mul(luminosity(dest), sa);
    switch (operator) {
        case HUE: {
            const scaled = each(source, (c) => mul(c, da));
            return withLuminosity(withSaturation(scaled, mul(saturation(dest), sa)), limit, ofDest);
        }
        case SATURATION: {
            const scaled = each(dest, (c) => mul(c, sa));
            return withLuminosity(withSaturation(scaled, mul(saturation(source), da)), limit, ofDest);
        }
        case LUMINOSITY: {
            const scaled = each(dest, (c) => mul(c, sa));
            return withLuminosity(scaled, limit, mul(luminosity(source), da));
        }
        default: {
            const scaled = each(source, (c) => mul(c, da));
            return withLuminosity(scaled, limit, ofDest);
        }
    }
}

/**
 * The components of a word, alpha last.
 * @param {number} word
 */
const unpacked = (word) => [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24].map(unit);

/** @param {number[]} components */
const packed = ([red, green, blue, alpha]) =>
    byteOf(red) | (byteOf(green) << 8) | (byteOf(blue) << 16) | (byteOf(alpha) << 24);

/**
 * The result for a source, its mask, if there is one, and a destination.
 * @param {number} operator one of FLOATING
 * @param {number} source word
 * @param {number | null} mask word
 * @param {boolean} byComponent whether each component of the mask counts for that of the source, or its alpha for all
 * @param {number} dest word
 * @returns {number}
 */
export function applyFloating(operator, source, mask, byComponent, dest) {
    const s = unpacked(source);
    const d = unpacked(dest);
    const alpha = s[3];
    let alphas = [alpha, alpha, alpha, alpha];
    if (mask !== null) {
        const components = unpacked(mask);
        const factors = byComponent ? components : components.map(() => components[3]);
        alphas = factors.map((factor) => mul(factor, alpha));
        factors.forEach((factor, at) => {
            s[at] = mul(s[at], factor);
        });
    }
    const da = d[3];
    if (operator === SATURATE) {
        return packed(d.map((c, at) => Math.min(add(mul(s[at], room(alphas[at], da)), c), 1)));
    }
    if (operator === COLOR_DODGE || operator === COLOR_BURN || operator === SOFT_LIGHT) {
        const result = d.map((c, at) => {
            const sa = alphas[at];
            const apart = add(mul(sub(1, sa), c), mul(sub(1, da), s[at]));
            return add(apart, both(operator, sa, s[at], da, c));
        });
        result[3] = sub(add(da, alphas[3]), mul(da, alphas[3]));
        return packed(result);
    }
    if (byComponent && mask !== null) {
        // What they would do by components is nowhere defined.
        return dest;
    }
    const sa = s[3];
    /** @type {Rgb} */
    const sc = [s[0], s[1], s[2]];
    /** @type {Rgb} */
    const dc = [d[0], d[1], d[2]];
    const result = mixed(operator, sc, sa, dc, da).map((m, at) => {
        const apart = add(mul(sub(1, sa), dc[at]), mul(sub(1, da), sc[at]));
        return add(apart, m);
    });
    return packed([...result, sub(add(sa, da), mul(sa, da))]);
}
