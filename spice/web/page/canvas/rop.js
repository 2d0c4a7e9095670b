// Raster operations, bit by bit.

import { keptBits, setBits } from "./format.js";

/** Bits of a rop descriptor. */
export const ROP = {
    INVERS_SRC: 0x001,
    INVERS_BRUSH: 0x002,
    INVERS_DEST: 0x004,
    OP_PUT: 0x008,
    OP_OR: 0x010,
    OP_AND: 0x020,
    OP_XOR: 0x040,
    OP_BLACKNESS: 0x080,
    OP_WHITENESS: 0x100,
    OP_INVERS: 0x200,
    INVERS_RES: 0x400,
};

/** The first operand as it is. */
export const COPY = 0b1100;

/**
 * One of the sixteen Boolean functions of two bits; bit `2 * a + b` of the number is the result for `a`, `b`. The first
 * operator of the descriptor in the order of the protocol wins; none is a plain copy.
 * @param {number} rop descriptor
 * @param {number} first flag that inverts the first operand
 * @param {number} second flag that inverts the second operand
 * @returns {number} 0 to 15
 */
export function binaryOp(rop, first, second) {
    const a = (rop & first) !== 0 ? 0b0011 : 0b1100;
    const b = (rop & second) !== 0 ? 0b0101 : 0b1010;
    let table;
    if ((rop & ROP.OP_PUT) !== 0) {
        table = a;
    } else if ((rop & ROP.OP_OR) !== 0) {
        table = a | b;
    } else if ((rop & ROP.OP_AND) !== 0) {
        table = a & b;
    } else if ((rop & ROP.OP_XOR) !== 0) {
        table = a ^ b;
    } else if ((rop & ROP.OP_BLACKNESS) !== 0) {
        return 0;
    } else if ((rop & ROP.OP_WHITENESS) !== 0) {
        return 15;
    } else if ((rop & ROP.OP_INVERS) !== 0) {
        return 0b0101;
    } else {
        return COPY;
    }
    return (rop & ROP.INVERS_RES) !== 0 ? ~table & 15 : table;
}

/**
 * All ones where bit `at` of a table is set.
 * @param {number} table
 * @param {number} at
 */
const ones = (table, at) => -((table >> at) & 1);

/**
 * The result for one value of the first operand, if it is the same whatever the second one is.
 * @param {number} op
 * @param {number} a
 * @returns {number | null}
 */
export function constantOf(op, a) {
    // Bits 2 * a and 2 * a + 1 are the same.
    if (((op >> 1) & 0b0101) !== (op & 0b0101)) {
        return null;
    }
    return (a & ones(op, 2)) | (~a & ones(op, 0));
}

/**
 * The function of two words for surfaces of a format.
 * @param {number} op
 * @param {number} format
 * @param {number} a
 * @param {number} b
 */
export function applyOp(op, format, a, b) {
    const set = a & ((b & ones(op, 3)) | (~b & ones(op, 2)));
    const clear = ~a & ((b & ones(op, 1)) | (~b & ones(op, 0)));
    return ((set | clear) & keptBits(format)) | setBits(format);
}

/**
 * Sets `count` words of `out` to the function of those of `first` and of `second`.
 * @param {number} op
 * @param {number} format of the surface
 * @param {Uint32Array} first from its begin on
 * @param {Uint32Array} second from `at` on
 * @param {number} at
 * @param {number} count
 * @param {Uint32Array} [out] from `outAt` on
 * @param {number} [outAt]
 */
export function applyRow(op, format, first, second, at, count, out = second, outAt = at) {
    const kept = keptBits(format);
    const set = setBits(format);
    const [m0, m1, m2, m3] = [0, 1, 2, 3].map((bits) => ones(op, bits) & kept);
    for (let i = 0; i < count; i++) {
        const a = first[i];
        const b = second[at + i];
        out[outAt + i] = (a & ((b & m3) | (~b & m2))) | (~a & ((b & m1) | (~b & m0))) | set;
    }
}

/**
 * Sets words of `dest` to the ternary operation of brush, source and themselves: for each bit, bit `4 * p + 2 * s + d`
 * of the code.
 * @param {number} code 0 to 255
 * @param {number} format of the surface
 * @param {Uint32Array} brush from its begin on
 * @param {Uint32Array} source from its begin on
 * @param {Uint32Array} dest from `at` on
 * @param {number} at
 * @param {number} count
 */
export function ternaryRow(code, format, brush, source, dest, at, count) {
    const kept = keptBits(format);
    const set = setBits(format);
    const [m0, m1, m2, m3, m4, m5, m6, m7] = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ones(code, bits) & kept);
    for (let i = 0; i < count; i++) {
        const p = brush[i];
        const s = source[i];
        const d = dest[at + i];
        const without = (s & ((d & m3) | (~d & m2))) | (~s & ((d & m1) | (~d & m0)));
        const withBrush = (s & ((d & m7) | (~d & m6))) | (~s & ((d & m5) | (~d & m4)));
        dest[at + i] = (p & withBrush) | (~p & without) | set;
    }
}
