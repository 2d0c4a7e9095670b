import assert from "node:assert/strict";
import test from "node:test";

import { Canvas } from "../page/canvas/canvas.js";
import { FORMAT } from "../page/canvas/format.js";
import { COPY_BITS, DRAW } from "../page/canvas/message.js";
import { Region } from "../page/canvas/region.js";
import { Malformed } from "../page/protocol/reader.js";
import { BitmapDecoder } from "./canvas_decoder.js";
import { Body, rect } from "./canvas_messages.js";

const PUT = 8;
const XOR = 0x40;

/** A canvas with one surface. */
function canvasOf(width = 4, height = 3, format = FORMAT.XRGB) {
    const canvas = new Canvas(new BitmapDecoder());
    canvas.createSurface({ id: 0, width, height, format });
    return canvas;
}

/**
 * Rows of a surface as 0xAARRGGBB in hex; without alpha for formats that have none.
 * @param {Canvas} canvas
 */
function shown(canvas, id = 0) {
    const { width, height, pixels, format } = canvas.surface(id);
    const text = (/** @type {number} */ word) => {
        const bytes = [word >>> 24, word & 255, (word >>> 8) & 255, (word >>> 16) & 255];
        const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
        const hasAlpha = [FORMAT.ARGB, FORMAT.A8, FORMAT.A1].includes(format);
        if (!hasAlpha) {
            assert.equal(hex[0], "ff");
        }
        return hex.slice(hasAlpha ? 0 : 1).join("");
    };
    return Array.from({ length: height }, (_, y) =>
        Array.from(pixels.subarray(y * width, (y + 1) * width), text).join(" "),
    );
}

/**
 * @param {import("../page/canvas/message.js").Rect} box
 * @param {number} color
 */
const fill = (box, color, rop = PUT, clip = /** @type {any} */ (null), surface = 0) =>
    new Body(surface, box, clip).solid(color).short(rop).mask().finish();

/**
 * @param {import("../page/canvas/message.js").Rect} box
 * @param {(body: Body) => () => void} image
 * @param {import("../page/canvas/message.js").Rect} area
 */
function copy(box, image, area, rop = PUT, nearest = true, surface = 0) {
    const body = new Body(surface, box);
    return body
        .pointer(image(body))
        .rect(area)
        .short(rop)
        .byte(nearest ? 1 : 0)
        .mask()
        .finish();
}

test("a surface is created black, or clear when it has alpha, and all of it is damaged once", () => {
    const canvas = canvasOf(2, 1);
    canvas.createSurface({ id: 5, width: 1, height: 1, format: FORMAT.ARGB });
    assert.deepEqual(shown(canvas), ["000000 000000"]);
    assert.deepEqual(shown(canvas, 5), ["00000000"]);
    assert.deepEqual(canvas.takeDamage(0), rect(0, 0, 2, 1));
    assert.equal(canvas.takeDamage(0), null);
});

test("surfaces beyond the limits are refused", () => {
    const canvas = canvasOf();
    const create = (/** @type {object} */ other) => () =>
        canvas.createSurface({ id: 1, width: 1, height: 1, format: 32, ...other });
    assert.throws(create({ width: 0 }), Malformed);
    assert.throws(create({ height: 16385 }), Malformed);
    assert.throws(create({ id: 1024 }), Malformed);
    assert.throws(create({ format: 24 }), /surface format 24/);
    assert.throws(create({ width: 16384, height: 16384 }), Malformed);
    assert.throws(() => canvas.surface(1), /surface_id 1/);
});

test("a fill paints its box inside the clip, and damage grows by it", () => {
    const canvas = canvasOf();
    canvas.takeDamage(0);
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 4, 3), 0x112233, PUT, [rect(1, 0, 1, 2), rect(1, 1, 3, 1)]));
    assert.deepEqual(shown(canvas), [
        "000000 112233 000000 000000",
        "000000 112233 112233 112233",
        "000000 000000 000000 000000",
    ]);
    assert.deepEqual(canvas.takeDamage(0), rect(1, 0, 3, 2));
    canvas.draw(DRAW.FILL, fill(rect(0, 2, 1, 1), 0x445566));
    canvas.draw(DRAW.FILL, fill(rect(3, 2, 1, 1), 0x445566));
    assert.deepEqual(canvas.takeDamage(0), rect(0, 2, 4, 1));
});

test("clips that overlap draw every pixel once", () => {
    const canvas = canvasOf();
    const parts = [rect(0, 0, 3, 2), rect(1, 1, 3, 2), rect(1, 0, 1, 3), rect(-5, -5, 2, 2), rect(2, 2, 0, 1)];
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 4, 3), 0xffffff, XOR, parts));
    assert.deepEqual(shown(canvas), [
        "ffffff ffffff ffffff 000000",
        "ffffff ffffff ffffff ffffff",
        "000000 ffffff ffffff ffffff",
    ]);
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 4, 3), 0xffffff, PUT, []));
    assert.equal(shown(canvas)[0], "ffffff ffffff ffffff 000000");
});

test("a box that is not inside the surface is refused, and an empty one draws nothing", () => {
    const canvas = canvasOf();
    for (const box of [rect(1, 0, 4, 1), rect(-1, 0, 1, 1), rect(2, 2, -1, 1)]) {
        assert.throws(() => canvas.draw(DRAW.FILL, fill(box, 1)), Malformed);
    }
    canvas.takeDamage(0);
    canvas.draw(DRAW.FILL, fill(rect(1, 1, 0, 1), 1));
    assert.equal(canvas.takeDamage(0), null);
    assert.throws(() => canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 1, PUT, null, 3)), /surface_id 3/);
});

test("pixel values of a brush are those of the surface's format", () => {
    const first = (/** @type {number} */ format, /** @type {number} */ color, rop = PUT) => {
        const canvas = canvasOf(1, 1, format);
        canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), color, rop));
        return shown(canvas)[0];
    };
    assert.equal(first(FORMAT.XRGB, 0x01020304), "020304");
    assert.equal(first(FORMAT.ARGB, 0x01020304), "01020304");
    assert.equal(first(FORMAT.RGB555, 0x7c1f), "ff00ff");
    assert.equal(first(FORMAT.RGB555, 0x8421), "080808");
    assert.equal(first(FORMAT.RGB565, 0x07e0), "00ff00");
    assert.equal(first(FORMAT.RGB565, 0x0821), "080408");
    assert.equal(first(FORMAT.A8, 0x140), "40000000");
    assert.equal(first(FORMAT.A1, 3), "ff000000");
    // Inverted before it is put: raw bits, so nothing is cut afterwards.
    assert.equal(first(FORMAT.RGB565, 0x0821, PUT | 2), "f7fbf7");
    assert.equal(first(FORMAT.A8, 0x40, PUT | 2), "bf000000");
});

test("a copy takes a part of the image, and combines it with what is there", () => {
    const canvas = canvasOf(3, 1);
    const image = (/** @type {Body} */ body) => body.pixels(2, [0xff0000, 0x00ff00, 0x0000ff, 0x123456]);
    canvas.draw(DRAW.COPY, copy(rect(1, 0, 2, 1), image, rect(0, 1, 2, 1)));
    assert.deepEqual(shown(canvas), ["000000 0000ff 123456"]);
    canvas.draw(DRAW.COPY, copy(rect(1, 0, 2, 1), image, rect(0, 0, 2, 1), XOR));
    assert.deepEqual(shown(canvas), ["000000 ff00ff 12cb56"]);
    for (const area of [rect(1, 1, 2, 1), rect(-1, 0, 2, 1), rect(0, 0, 0, 1)]) {
        assert.throws(() => canvas.draw(DRAW.COPY, copy(rect(1, 0, 2, 1), image, area)), /src_area/);
    }
});

test("a source of another size is scaled by the nearest pixel or interpolated", () => {
    const canvas = canvasOf(4, 1);
    const image = (/** @type {Body} */ body) => body.pixels(2, [0x000000, 0x808080]);
    canvas.draw(DRAW.COPY, copy(rect(0, 0, 4, 1), image, rect(0, 0, 2, 1)));
    assert.deepEqual(shown(canvas), ["000000 000000 808080 808080"]);
    // Beyond the edges lies nothing.
    canvas.draw(DRAW.COPY, copy(rect(0, 0, 4, 1), image, rect(0, 0, 2, 1), PUT, false));
    assert.deepEqual(shown(canvas), ["000000 202020 606060 606060"]);
});

test("the unused byte of an image becomes alpha on an ARGB surface", () => {
    const canvas = canvasOf(2, 1, FORMAT.ARGB);
    const image = (/** @type {Body} */ body) => body.pixels(2, [0x05102030, 0xff102030]);
    canvas.draw(DRAW.COPY, copy(rect(0, 0, 2, 1), image, rect(0, 0, 2, 1)));
    assert.deepEqual(shown(canvas), ["05102030 ff102030"]);
});

test("on 16 bits colours are cut", () => {
    const canvas = canvasOf(1, 1, FORMAT.RGB565);
    const image = (/** @type {Body} */ body) => body.pixels(1, [0x07030f]);
    canvas.draw(DRAW.COPY, copy(rect(0, 0, 1, 1), image, rect(0, 0, 1, 1)));
    assert.deepEqual(shown(canvas), ["000008"]);
});

test("copied bits that overlap come as through a temporary, in all directions and through clips", () => {
    for (const clip of [null, [rect(0, 0, 5, 1), rect(0, 1, 4, 4)]]) {
        for (const [dx, dy] of [
            [0, 1],
            [0, -1],
            [1, 0],
            [-1, 0],
            [1, 1],
            [-1, -1],
            [1, -1],
            [-1, 1],
        ]) {
            const canvas = canvasOf(5, 5);
            const { pixels } = canvas.surface(0);
            pixels.forEach((_, at) => (pixels[at] = 0xff000000 | at));
            const before = pixels.slice();
            const box = {
                left: Math.max(dx, 0),
                top: Math.max(dy, 0),
                right: 5 + Math.min(dx, 0),
                bottom: 5 + Math.min(dy, 0),
            };
            canvas.draw(COPY_BITS, new Body(0, box, clip).point(box.left - dx, box.top - dy).finish());
            for (let y = 0; y < 5; y++) {
                for (let x = 0; x < 5; x++) {
                    const inBox = x >= box.left && x < box.right && y >= box.top && y < box.bottom;
                    const drawn = inBox && (clip === null || y === 0 || x < 4);
                    const from = drawn ? (y - dy) * 5 + x - dx : y * 5 + x;
                    assert.equal(pixels[y * 5 + x], before[from], `${x}, ${y} moved by ${dx}, ${dy}`);
                }
            }
        }
    }
    const outside = new Body(0, rect(0, 0, 2, 1)).point(3, 0).finish();
    assert.throws(() => canvasOf().draw(COPY_BITS, outside), /src_pos/);
});

test("a surface is a source, also of itself", () => {
    const canvas = canvasOf(3, 1);
    canvas.createSurface({ id: 1, width: 3, height: 1, format: FORMAT.ARGB });
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 2, 1), 0x80402010, PUT, null, 1));
    canvas.draw(
        DRAW.COPY,
        copy(rect(0, 0, 3, 1), (body) => body.surface(1), rect(0, 0, 3, 1)),
    );
    assert.deepEqual(shown(canvas), ["402010 402010 000000"]);
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 0xffffff));
    canvas.draw(
        DRAW.COPY,
        copy(rect(1, 0, 2, 1), (body) => body.surface(0), rect(0, 0, 2, 1)),
    );
    assert.deepEqual(shown(canvas), ["ffffff ffffff 402010"]);
    assert.throws(
        () =>
            canvas.draw(
                DRAW.COPY,
                copy(rect(1, 0, 2, 1), (body) => body.surface(9), rect(0, 0, 2, 1)),
            ),
        /surface_id 9/,
    );
});

test("a mask selects pixels, and none outside itself", () => {
    for (const [inverse, x, expected] of /** @type {[boolean, number, string][]} */ ([
        [false, 1, "ffffff 000000 ffffff 000000"],
        [true, 1, "000000 ffffff 000000 000000"],
        [true, -1, "000000 ffffff 000000 ffffff"],
    ])) {
        const canvas = canvasOf(4, 1);
        const body = new Body(0, rect(0, 0, 4, 1));
        canvas.draw(DRAW.WHITENESS, body.mask(body.bitmap(2, 4, 1, [0b0101_0000]), inverse, x, 0).finish());
        assert.deepEqual(shown(canvas), [expected]);
    }
    const body = new Body(0, rect(0, 0, 4, 1));
    const surface = body.mask(body.surface(0)).finish();
    assert.throws(() => canvasOf(4, 1).draw(DRAW.WHITENESS, surface), /mask surface 0 has format 32/);
});

test("a pattern is tiled over the plane from its position on", () => {
    const canvas = canvasOf(5, 1);
    const body = new Body(0, rect(0, 0, 5, 1));
    const tile = body.pixels(2, [0x000011, 0x000022]);
    canvas.draw(DRAW.FILL, body.byte(2).pointer(tile).point(7, -3).short(PUT).mask().finish());
    assert.deepEqual(shown(canvas), ["000022 000011 000022 000011 000022"]);
});

test("the ternary operation is that of brush, source and destination", () => {
    const canvas = canvasOf(1, 1);
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 0x0f0f0f));
    const body = new Body(0, rect(0, 0, 1, 1));
    body.pointer(body.pixels(1, [0x333333]))
        .rect(rect(0, 0, 1, 1))
        .solid(0x555555);
    canvas.draw(DRAW.ROP3, body.byte(0x96).byte(1).mask().finish());
    assert.deepEqual(shown(canvas), [(0x0f0f0f ^ 0x333333 ^ 0x555555).toString(16)]);
});

test("pixels of the transparent colour are not copied", () => {
    const canvas = canvasOf(2, 1);
    const body = new Body(0, rect(0, 0, 2, 1));
    body.pointer(body.pixels(2, [0x99abcdef, 0x123456]))
        .rect(rect(0, 0, 2, 1))
        .word(0);
    canvas.draw(DRAW.TRANSPARENT, body.word(0xabcdef).finish());
    assert.deepEqual(shown(canvas), ["000000 123456"]);
});

test("alpha is laid over, times a factor", () => {
    const blended = (/** @type {number} */ alpha, format = FORMAT.XRGB) => {
        const canvas = canvasOf(1, 1, format);
        canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 0x404040));
        const body = new Body(0, rect(0, 0, 1, 1)).byte(0).byte(alpha);
        body.pointer(body.pixels(1, [0x80800040], true)).rect(rect(0, 0, 1, 1));
        canvas.draw(DRAW.ALPHA_BLEND, body.finish());
        return shown(canvas)[0];
    };
    assert.equal(blended(255), "a02060");
    assert.equal(blended(0), "404040");
    assert.equal(blended(128), "703050");
    assert.equal(blended(255, FORMAT.ARGB), "80a02060");
});

/** @param {number} flags */
function composed(flags, format = FORMAT.ARGB) {
    const canvas = canvasOf(1, 1, format);
    canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 0x80000080));
    const body = new Body(0, rect(0, 0, 1, 1)).word(flags);
    body.pointer(body.pixels(1, [0x40400000], true));
    [0, 0, 0, 0].forEach((origin) => body.short(origin));
    canvas.draw(DRAW.COMPOSITE, body.finish());
    return shown(canvas)[0];
}

test("composites use the operators of Render", () => {
    assert.equal(composed(0), "00000000");
    assert.equal(composed(1), "40400000");
    assert.equal(composed(2), "80000080");
    assert.equal(composed(3), "a0400060");
    assert.equal(composed(12), "c0400080");
    assert.equal(composed(13), "c0400080");
    // With the alpha of the source, or of the destination, taken as full.
    assert.equal(composed(3 | (1 << 22)), "ff400000");
    assert.equal(composed(5 | (1 << 24)), "80400000");
    assert.throws(() => composed(14), /composite operator 14/);
    assert.throws(() => composed(0x3f), /composite operator 63/);
});

test("a transform turns the source", () => {
    const canvas = canvasOf(2, 1);
    const body = new Body(0, rect(0, 0, 2, 1)).word(1 | (1 << 20));
    body.pointer(body.pixels(2, [0x000011, 0x000022]));
    [-65536, 0, 2 * 65536, 0, 65536, 0].forEach((value) => body.i32(value));
    canvas.draw(DRAW.COMPOSITE, body.word(0).word(0).finish());
    assert.deepEqual(shown(canvas), ["000022 000011"]);
});

/**
 * @param {number} flags depth and order of rows
 * @param {number[]} data
 */
function written(flags, data, format = FORMAT.XRGB) {
    const canvas = canvasOf(4, 2, format);
    const body = new Body(0, rect(0, 0, 4, 2));
    body.pointer(() => {
        body.short(1).byte(flags);
        body.point(1, 1).point(0, -1).short(2).short(2);
        data.forEach((byte) => body.byte(byte));
    });
    body.rect(rect(0, 0, 1, 1))
        .solid(0xffffff)
        .solid(0x000080)
        .short(PUT)
        .short(PUT);
    canvas.draw(DRAW.TEXT, body.finish());
    return shown(canvas);
}

test("glyphs of all depths are laid on, the lowest row first", () => {
    const [upper, lower] = ["000080 ffffff 000000 000000", "000000 000000 ffffff 000000"];
    assert.deepEqual(written(1, [0b01000000, 0b10000000]), [upper, lower]);
    assert.deepEqual(written(1 | 8, [0b01000000, 0b10000000]), [
        "000080 000000 ffffff 000000",
        "000000 ffffff 000000 000000",
    ]);
    assert.deepEqual(written(4, [0, 255, 255, 0]), [upper, lower]);
    assert.deepEqual(written(4, [0, 0, 0, 128]), ["000080 000000 808080 000000", "000000 000000 000000 000000"]);
    assert.deepEqual(written(2, [0x08, 0xf0]), ["000080 f0f0f0 000000 000000", "000000 000000 808080 000000"]);
    assert.throws(() => written(3, [0, 0]), /str flags 3/);
});

/**
 * @param {[number, number][]} points
 * @param {number[]} style
 */
function stroked(points, style = [], flags = 3, rop = PUT) {
    const canvas = canvasOf(6, 3);
    const body = new Body(0, rect(0, 0, 6, 3));
    body.pointer(() => {
        body.word(1).byte(flags).word(points.length);
        points.forEach(([x, y]) => body.point(x * 16, y * 16));
    });
    body.byte(style.length > 0 ? 8 : 0);
    if (style.length > 0) {
        body.byte(style.length).pointer(() => style.forEach((length) => body.i32(length * 16)));
    }
    body.solid(0xffffff).short(rop).short(PUT);
    canvas.draw(DRAW.STROKE, body.finish());
    return shown(canvas).map((row) =>
        row
            .split(" ")
            .map((word) => (word === "ffffff" ? "#" : "."))
            .join(""),
    );
}

test("lines leave out their last pixel, go in dashes, and close", () => {
    assert.deepEqual(
        stroked([
            [0, 0],
            [4, 2],
        ]),
        ["#.....", ".##...", "...#.."],
    );
    assert.deepEqual(
        stroked(
            [
                [0, 1],
                [6, 1],
            ],
            [2, 1],
        ),
        ["......", "##.##.", "......"],
    );
    assert.deepEqual(
        stroked(
            [
                [0, 0],
                [2, 0],
                [2, 2],
            ],
            [],
            1 | 2 | 8,
        ),
        ["###...", ".##...", "..#..."],
    );
    assert.deepEqual(
        stroked([
            [-100, 1],
            [100, 1],
        ]),
        ["......", "######", "......"],
    );
    assert.deepEqual(
        stroked(
            [
                [1, 1],
                [1, 1],
                [5, 1],
                [5, 1],
            ],
            [],
            1 | 2 | 16,
        ),
        ["......", ".####.", "......"],
    );
});

test("a path beyond the budget is refused", () => {
    const canvas = canvasOf(16384, 1);
    const there = (/** @type {number} */ lines) => {
        const body = new Body(0, rect(0, 0, 16384, 1));
        body.pointer(() => {
            body.word(1)
                .byte(1)
                .word(lines + 1);
            for (let i = 0; i <= lines; i++) {
                body.point(i % 2 === 0 ? 0 : 16383 * 16, 0);
            }
        });
        return body.byte(0).solid(1).short(PUT).short(PUT).finish();
    };
    canvas.draw(DRAW.STROKE, there(8));
    // Each is a line and 16383 pixels.
    assert.throws(() => canvas.draw(DRAW.STROKE, there(1025)), /path of more than/);
});

test("a draw waits for an image that takes its time, and others are drawn at once", async () => {
    const decoder = new BitmapDecoder();
    /** @type {(value: unknown) => void} */
    let ready = () => {};
    const waits = new Promise((resolve) => (ready = resolve));
    const canvas = new Canvas({
        decode: (message, offset) => waits.then(() => decoder.decode(message, offset)),
        decodeMask: () => assert.fail("there is none"),
    });
    canvas.createSurface({ id: 0, width: 1, height: 1, format: FORMAT.XRGB });
    const image = (/** @type {Body} */ body) => body.pixels(1, [0x123456]);
    const done = canvas.draw(DRAW.COPY, copy(rect(0, 0, 1, 1), image, rect(0, 0, 1, 1)));
    assert.ok(done instanceof Promise);
    assert.deepEqual(shown(canvas), ["000000"]);
    ready(null);
    await done;
    assert.deepEqual(shown(canvas), ["123456"]);
    assert.equal(canvas.draw(DRAW.FILL, fill(rect(0, 0, 1, 1), 1)), undefined);
});

test("images are decoded also where nothing is drawn", () => {
    let decoded = 0;
    const decoder = new BitmapDecoder();
    const canvas = new Canvas({
        decode: (message, offset) => {
            decoded += 1;
            return decoder.decode(message, offset);
        },
        decodeMask: () => assert.fail("there is none"),
    });
    canvas.createSurface({ id: 0, width: 1, height: 1, format: FORMAT.XRGB });
    const body = new Body(0, rect(0, 0, 1, 1), []);
    body.pointer(body.pixels(1, [1]))
        .rect(rect(0, 0, 1, 1))
        .short(PUT)
        .byte(1)
        .mask();
    canvas.draw(DRAW.COPY, body.finish());
    assert.equal(decoded, 1);
    const nowhere = copy(rect(0, 0, 1, 1), (other) => other.pixels(1, [1]), rect(0, 0, 1, 1), PUT, true, 8);
    assert.throws(() => canvas.draw(DRAW.COPY, nowhere), /surface_id 8/);
    assert.equal(decoded, 2);
});

test("a picture of a stream is scaled, clipped, and turned over", () => {
    const canvas = canvasOf(3, 2);
    const picture = {
        width: 2,
        height: 2,
        pixels: Uint32Array.of(0xff000001, 0xff000002, 0xff000003, 0xff000004),
        hasAlpha: false,
    };
    canvas.takeDamage(0);
    canvas.drawPicture(0, picture, rect(1, 0, 2, 2), null, { topDown: false });
    assert.deepEqual(shown(canvas), ["000000 030000 040000", "000000 010000 020000"]);
    assert.deepEqual(canvas.takeDamage(0), rect(1, 0, 2, 2));
    canvas.drawPicture(0, picture, rect(-1, -1, 2, 2), [rect(0, 0, 9, 9)], {});
    assert.deepEqual(shown(canvas), ["040000 030000 040000", "000000 010000 020000"]);
    assert.deepEqual(canvas.takeDamage(0), rect(0, 0, 1, 1));
    canvas.drawPicture(0, picture, rect(5, 5, 2, 2), null);
    assert.equal(canvas.takeDamage(0), null);
    canvas.drawPicture(
        0,
        picture,
        { left: -0x80000000, top: -0x80000000, right: 0x7fffffff, bottom: 0x7fffffff },
        null,
    );
    assert.deepEqual(canvas.takeDamage(0), rect(0, 0, 3, 2));
});

test("a region visits every pixel of the union of its parts once", () => {
    let seed = 7;
    const pick = (/** @type {number} */ from, /** @type {number} */ to) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return from + Math.floor((seed / 0x100000000) * (to - from));
    };
    const box = rect(2, 3, 40, 28);
    const inside = (/** @type {import("../page/canvas/message.js").Rect} */ part, /** @type {number} */ x, y = 0) =>
        x >= part.left && x < part.right && y >= part.top && y < part.bottom;
    for (let round = 0; round < 300; round++) {
        const parts = Array.from({ length: pick(0, 9) }, () =>
            rect(pick(-5, 45), pick(-5, 40), pick(-2, 36), pick(-2, 20)),
        );
        const seen = new Uint8Array(50 * 50);
        new Region(box, parts).forEach((left, top, right, bottom) => {
            for (let y = top; y < bottom; y++) {
                for (let x = left; x < right; x++) {
                    seen[y * 50 + x] += 1;
                }
            }
        });
        for (let at = 0; at < seen.length; at++) {
            const [x, y] = [at % 50, Math.floor(at / 50)];
            const isDrawn = inside(box, x, y) && parts.some((part) => inside(part, x, y));
            assert.equal(seen[at], isDrawn ? 1 : 0, `${x}, ${y} of ${JSON.stringify(parts)}`);
        }
    }
});
