// What a hostile server may send: every message cut off anywhere, and with bytes changed. Only Malformed comes out, and
// surfaces stay what their formats allow.

import assert from "node:assert/strict";
import test from "node:test";

import { Canvas } from "../page/canvas/canvas.js";
import { FORMAT, narrow } from "../page/canvas/format.js";
import { COPY_BITS, DRAW } from "../page/canvas/message.js";
import { Malformed } from "../page/protocol/reader.js";
import { BitmapDecoder } from "./canvas_decoder.js";
import { Body, rect } from "./canvas_messages.js";

const BOX = rect(1, 1, 6, 5);
const CLIP = [rect(0, 0, 4, 4), rect(3, 2, 9, 9)];

/** Pixels of 32 bits, 5 across. */
const VALUES = Array.from({ length: 20 }, (_, at) => Math.imul(at + 1, 0x9e3779b9) >>> 0);

/** A good message of each type, with all there can be in it. @type {[number, () => Uint8Array][]} */
const MESSAGES = [
    [COPY_BITS, () => new Body(0, BOX, CLIP).point(2, 2).finish()],
    [
        DRAW.FILL,
        () => {
            const body = new Body(0, BOX, CLIP);
            body.byte(2).pointer(body.pixels(5, VALUES)).point(1, 1).short(0x40);
            return body.mask(body.bitmap(1, 8, 3, [0x55, 0xaa, 0xff]), true, 1, 1).finish();
        },
    ],
    ...[DRAW.OPAQUE, DRAW.COPY, DRAW.BLEND, DRAW.ROP3].map((type) => {
        const make = () => {
            const body = new Body(0, BOX, CLIP);
            body.pointer(body.bitmap(5, 5, 4, Array(20).fill(1), [1, 2, 3])).rect(rect(0, 0, 5, 4));
            if (type === DRAW.OPAQUE || type === DRAW.ROP3) {
                body.byte(2).pointer(body.surface(0)).point(1, 1);
            }
            if (type === DRAW.ROP3) {
                body.byte(0x96);
            } else {
                body.short(0x10);
            }
            return body
                .byte(0)
                .mask(body.bitmap(2, 8, 3, [0x55, 0xaa, 0xff]))
                .finish();
        };
        return /** @type {[number, () => Uint8Array]} */ ([type, make]);
    }),
    ...[DRAW.BLACKNESS, DRAW.WHITENESS, DRAW.INVERS].map((type) => {
        const make = () => {
            const body = new Body(0, BOX, CLIP);
            return body.mask(body.bitmap(2, 8, 3, [0x55, 0xaa, 0xff])).finish();
        };
        return /** @type {[number, () => Uint8Array]} */ ([type, make]);
    }),
    [
        DRAW.STROKE,
        () => {
            const body = new Body(0, BOX, CLIP);
            body.pointer(() => {
                body.word(2).byte(1).word(2).point(0, 0).point(90, 70);
                body.byte(2 | 8 | 16)
                    .word(3)
                    .point(10, 50)
                    .point(50, 10)
                    .point(70, 70);
            });
            body.byte(4 | 8)
                .byte(3)
                .pointer(() => [32, 16, 48].forEach((length) => body.i32(length)));
            return body.solid(0xffffff).short(0x40).short(8).finish();
        },
    ],
    ...[1, 2, 4].map((flags) => {
        const make = () => {
            const body = new Body(0, BOX, CLIP);
            body.pointer(() => {
                body.short(2).byte(flags);
                for (let glyph = 0; glyph < 2; glyph++) {
                    body.point(2 + glyph, 2)
                        .point(0, 0)
                        .short(3)
                        .short(2);
                    Array.from({ length: 2 * Math.ceil((3 * [1, 1, 4, 4, 8][flags]) / 8) }).forEach(() =>
                        body.byte(0xa7),
                    );
                }
            });
            body.rect(rect(1, 1, 2, 2))
                .byte(2)
                .pointer(body.pixels(5, VALUES))
                .point(0, 0);
            return body.solid(0xff).short(8).short(8).finish();
        };
        return /** @type {[number, () => Uint8Array]} */ ([DRAW.TEXT, make]);
    }),
    [
        DRAW.TRANSPARENT,
        () => {
            const body = new Body(0, BOX, CLIP);
            return body
                .pointer(body.pixels(5, VALUES))
                .rect(rect(1, 0, 3, 4))
                .word(1)
                .word(2)
                .finish();
        },
    ],
    [
        DRAW.ALPHA_BLEND,
        () => {
            const body = new Body(0, BOX, CLIP);
            return body
                .byte(3)
                .byte(200)
                .pointer(body.pixels(5, VALUES, true))
                .rect(rect(1, 0, 3, 4))
                .finish();
        },
    ],
    ...[3, 11, 0x32, 0x3c].map((operator) => {
        const make = () => {
            const body = new Body(0, BOX, CLIP).word(operator | (4 << 8) | (3 << 14) | (1 << 16) | (7 << 19));
            body.pointer(body.pixels(5, VALUES, true)).pointer(body.bitmap(10, 5, 4, Array(20).fill(77)));
            [70000, 5, -9000, 3, 60000, 7, 65536, 0, 0, 0, 65536, 65536].forEach((value) => body.i32(value));
            return body.short(1).short(2).short(0xffff).short(3).finish();
        };
        return /** @type {[number, () => Uint8Array]} */ ([DRAW.COMPOSITE, make]);
    }),
];

/** @param {number} format */
function canvasOf(format) {
    const canvas = new Canvas(new BitmapDecoder());
    canvas.createSurface({ id: 0, width: 9, height: 8, format });
    return canvas;
}

/**
 * Draws, or refuses.
 * @param {Canvas} canvas
 * @param {number} type
 * @param {Uint8Array} body
 */
function attempt(canvas, type, body) {
    try {
        canvas.draw(type, body);
        return true;
    } catch (error) {
        if (!(error instanceof Malformed)) {
            throw error;
        }
        assert.ok(error.message.length > 5);
        return false;
    }
}

/** Numbers that do not change from run to run. */
function chance(seed = 1) {
    return (/** @type {number} */ below) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor((seed / 0x100000000) * below);
    };
}

test("the messages are good as they are, on every format", () => {
    for (const format of Object.values(FORMAT)) {
        for (const [type, make] of MESSAGES) {
            assert.ok(attempt(canvasOf(format), type, make()), `${type} on ${format}`);
        }
    }
});

test("a message that is cut off is refused, and leaves the surface as it is", () => {
    const canvas = canvasOf(FORMAT.XRGB);
    const before = canvas.surface(0).pixels.slice();
    for (const [type, make] of MESSAGES) {
        const body = make();
        for (let length = 0; length < body.length; length++) {
            assert.equal(attempt(canvas, type, body.slice(0, length)), false, `${length} bytes of ${type}`);
        }
    }
    assert.deepEqual(canvas.surface(0).pixels, before);
});

test("changed messages are drawn or refused", () => {
    const pick = chance();
    const extremes = [0, 1, 0x7f, 0x80, 0xff];
    for (const format of Object.values(FORMAT)) {
        const canvas = canvasOf(format);
        let drawn = 0;
        for (const [type, make] of MESSAGES) {
            const good = make();
            for (let round = 0; round < 150; round++) {
                const body = good.slice();
                for (let changes = pick(3); changes >= 0; changes--) {
                    body[pick(body.length)] = pick(2) === 0 ? extremes[pick(extremes.length)] : pick(256);
                }
                drawn += attempt(canvas, type, body) ? 1 : 0;
            }
        }
        assert.ok(drawn > 50, `${drawn} on ${format}`);
        const { pixels } = canvas.surface(0);
        pixels.forEach((word) => assert.equal(narrow(format, word) >>> 0, word, `${word.toString(16)} on ${format}`));
    }
});

test("counts beyond the message are refused before anything is made of them", () => {
    const canvas = canvasOf(FORMAT.XRGB);
    const base = (/** @type {number} */ bytes) => new Uint8Array(bytes).fill(0xff);
    const clipped = new Body(0, BOX).finish().slice(0, 20);
    assert.equal(attempt(canvas, DRAW.FILL, Uint8Array.of(...clipped, 1, ...base(4), ...base(64))), false);
    const path = new Body(0, BOX)
        .pointer(() => {})
        .byte(0)
        .solid(1)
        .short(8)
        .short(8)
        .finish();
    assert.equal(attempt(canvas, DRAW.STROKE, Uint8Array.of(...path, ...base(40))), false);
});

test("types that draw nothing are refused", () => {
    const body = new Body(0, BOX).finish();
    for (const type of [0, 103, 301, 314, 317, 65535]) {
        assert.equal(attempt(canvasOf(FORMAT.XRGB), type, body), false);
    }
});
