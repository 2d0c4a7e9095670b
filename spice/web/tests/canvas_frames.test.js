import assert from "node:assert/strict";
import test from "node:test";

import { Canvas } from "../page/canvas/canvas.js";
import { FORMAT } from "../page/canvas/format.js";
import { COPY_BITS, DRAW } from "../page/canvas/message.js";
import { Malformed } from "../page/protocol/reader.js";
import { BitmapDecoder } from "./canvas_decoder.js";
import { Body, rect } from "./canvas_messages.js";

/** @typedef {import("../page/canvas/message.js").Rect} Rect */

const PUT = 8;

/** A canvas of two surfaces of 4x2 pixels. */
function start(format = FORMAT.XRGB) {
    const canvas = new Canvas(new BitmapDecoder());
    [0, 1].forEach((id) => canvas.createSurface({ id, width: 4, height: 2, format }));
    canvas.takeDamage(0);
    return canvas;
}

/**
 * A frame of the browser's, of one colour, that tells what is done with it.
 * @param {number} width
 * @param {number} height
 * @param {number} color
 */
function frameOf(width, height, color) {
    const told = { read: 0, closed: 0 };
    const frame = {
        width,
        height,
        // Nobody looks into it here.
        image: /** @type {any} */ ({}),
        read() {
            assert.equal(told.closed, 0);
            told.read++;
            return new Uint32Array(width * height).fill(0xff000000 + color);
        },
        close: () => void told.closed++,
    };
    return { frame, told };
}

/**
 * The last byte of each pixel as it is to be seen, row by row.
 * @param {Canvas} canvas
 */
function rows(canvas, id = 0) {
    const { width, pixels } = canvas.settled(id);
    const all = [...pixels].map((pixel) => String(pixel & 0xff)).join("");
    return [all.slice(0, width), all.slice(width)];
}

/**
 * A part of a surface in one colour.
 * @param {Rect} box
 */
const fill = (box, surface = 0) => new Body(surface, box, null).solid(0x050505).short(PUT).mask().finish();

test("a frame lies on the surface until its pixels are needed", () => {
    const canvas = start();
    const { frame, told } = frameOf(2, 2, 7);
    canvas.drawFrame(0, frame, rect(1, 0, 2, 2), null);
    assert.deepEqual(told, { read: 0, closed: 0 });
    assert.deepEqual(canvas.takeDamage(0), rect(1, 0, 2, 2));
    // What is drawn beside it, or on another surface, leaves it as it is.
    canvas.draw(DRAW.FILL, fill(rect(3, 0, 1, 2)));
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 4, 2), 1));
    assert.equal(canvas.surface(0).overlay?.frame, frame);
    canvas.takeDamage(0);
    assert.deepEqual(rows(canvas), ["0775", "0775"]);
    assert.deepEqual(told, { read: 1, closed: 1 });
    // It was seen before.
    assert.equal(canvas.takeDamage(0), null);
    assert.deepEqual(rows(canvas), ["0775", "0775"]);
});

test("what is drawn on a frame, or reads it, has its pixels", () => {
    const drawn = start();
    const first = frameOf(4, 2, 7);
    drawn.drawFrame(0, first.frame, rect(0, 0, 4, 2), null);
    drawn.draw(DRAW.FILL, fill(rect(1, 0, 1, 1)));
    assert.equal(drawn.surface(0).overlay, null);
    assert.deepEqual(rows(drawn), ["7577", "7777"]);
    assert.deepEqual(first.told, { read: 1, closed: 1 });

    const moved = start();
    const second = frameOf(2, 2, 7);
    moved.drawFrame(0, second.frame, rect(0, 0, 2, 2), null);
    moved.draw(COPY_BITS, new Body(0, rect(2, 0, 2, 1), null).point(1, 0).finish());
    assert.deepEqual(rows(moved), ["7770", "7700"]);

    const copied = start();
    const third = frameOf(2, 2, 7);
    copied.drawFrame(0, third.frame, rect(0, 0, 2, 2), null);
    const body = new Body(1, rect(0, 0, 4, 2));
    const copy = body.pointer(body.surface(0)).rect(rect(0, 0, 4, 2)).short(PUT).byte(1).mask().finish();
    copied.draw(DRAW.COPY, copy);
    assert.deepEqual(rows(copied, 1), ["7700", "7700"]);
    assert.deepEqual(third.told, { read: 1, closed: 1 });
});

test("a frame that covers the one before takes its place, and is drawn over one that it does not", () => {
    const canvas = start();
    const [small, large, beside] = [frameOf(1, 1, 1), frameOf(3, 2, 2), frameOf(1, 2, 3)];
    canvas.drawFrame(0, small.frame, rect(1, 1, 1, 1), null);
    canvas.drawFrame(0, large.frame, rect(0, 0, 3, 2), null);
    assert.deepEqual(small.told, { read: 0, closed: 1 });
    canvas.drawFrame(0, beside.frame, rect(2, 0, 1, 2), null);
    assert.deepEqual(large.told, { read: 1, closed: 1 });
    assert.deepEqual(rows(canvas), ["2230", "2230"]);
    assert.deepEqual(beside.told, { read: 1, closed: 1 });
});

test("frames that are scaled, clipped, turned over or partly outside become pixels at once", () => {
    /** @type {[Rect, Rect[] | null, object][]} */
    const ways = [
        [rect(0, 0, 4, 2), null, {}],
        [rect(0, 0, 2, 2), [rect(0, 0, 1, 2)], {}],
        [rect(0, 0, 2, 2), null, { topDown: false }],
        [rect(3, 0, 2, 2), null, {}],
    ];
    for (const [dest, clip, options] of ways) {
        const canvas = start();
        const { frame, told } = frameOf(2, 2, 7);
        canvas.drawFrame(0, frame, dest, clip, options);
        assert.deepEqual(told, { read: 1, closed: 1 });
        assert.equal(canvas.surface(0).overlay, null);
    }
    const narrow = start(FORMAT.RGB555);
    const { frame, told } = frameOf(2, 2, 0);
    narrow.drawFrame(0, frame, rect(0, 0, 2, 2), null);
    assert.deepEqual(told, { read: 1, closed: 1 });
});

test("frames are closed with their surfaces, and where there is none", () => {
    const canvas = start();
    const [gone, replaced, last] = [frameOf(4, 2, 1), frameOf(4, 2, 2), frameOf(4, 2, 3)];
    assert.throws(() => canvas.drawFrame(9, gone.frame, rect(0, 0, 4, 2), null), Malformed);
    assert.deepEqual(gone.told, { read: 0, closed: 1 });
    canvas.drawFrame(0, replaced.frame, rect(0, 0, 4, 2), null);
    canvas.createSurface({ id: 0, width: 4, height: 2, format: FORMAT.XRGB });
    assert.deepEqual(replaced.told, { read: 0, closed: 1 });
    canvas.drawFrame(0, last.frame, rect(0, 0, 4, 2), null);
    canvas.reset();
    assert.deepEqual(last.told, { read: 0, closed: 1 });
});
