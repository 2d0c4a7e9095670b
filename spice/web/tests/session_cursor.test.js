import assert from "node:assert/strict";
import test from "node:test";

import { readCursor } from "../page/protocol/cursor.js";
import { CHANNEL, CURSOR, DISPLAY, MAIN } from "../page/protocol/names.js";
import { Malformed, Reader } from "../page/protocol/reader.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes } from "./session_server.js";

/**
 * A cursor as in messages.
 * @param {number} type
 * @param {number} width
 * @param {number} height
 * @param {number[]} data
 * @param {{flags?: number, id?: bigint}} [more]
 */
const cursor = (type, width, height, data, { flags = 0, id = 0n } = {}) =>
    bytes((out) => {
        out.u16(flags);
        out.u64(id);
        out.u8(type);
        [width, height, 1, 2].forEach((value) => out.u16(value));
        out.bytes(Uint8Array.from(data));
    });

/** @param {Uint8Array} data */
function pixels(data) {
    const { shape } = readCursor(new Reader(data));
    assert.ok(shape !== null);
    const found = [];
    for (let at = 0; at < shape.pixels.length; at += 4) {
        found.push([...shape.pixels.subarray(at, at + 4)]);
    }
    return { found, invert: shape.invert && [...shape.invert] };
}

const BLACK = [0, 0, 0, 255];
const WHITE = [255, 255, 255, 255];
const NONE = [0, 0, 0, 0];

test("every encoding of shapes becomes RGBA", () => {
    // Blue, green and red in memory.
    assert.deepEqual(pixels(cursor(0, 2, 1, [1, 2, 3, 128, 4, 5, 6, 0])), {
        found: [
            [3, 2, 1, 128],
            [6, 5, 4, 0],
        ],
        invert: undefined,
    });
    const mono = pixels(cursor(1, 4, 1, [0b00110000, 0b01000000]));
    assert.deepEqual(mono, { found: [BLACK, WHITE, NONE, NONE], invert: undefined });
    const palette = [3, 2, 1, 0, ...new Array(15 * 4).fill(255)];
    assert.deepEqual(
        pixels(cursor(2, 3, 1, [0x01, 0x00, ...palette, 0b00100000])).found,
        [[1, 2, 3, 255], WHITE, NONE].map((pixel, index) => (index === 2 ? NONE : pixel)),
    );
    const large = [3, 2, 1, 0, ...new Array(255 * 4).fill(255)];
    assert.deepEqual(pixels(cursor(3, 2, 1, [0, 7, ...large, 0])).found, [[1, 2, 3, 255], WHITE]);
    assert.deepEqual(pixels(cursor(4, 2, 1, [0x00, 0x7c, 0x1f, 0x00, 0])).found, [
        [255, 0, 0, 255],
        [0, 0, 255, 255],
    ]);
    assert.deepEqual(pixels(cursor(5, 2, 1, [1, 2, 3, 4, 5, 6, 0])).found, [
        [3, 2, 1, 255],
        [6, 5, 4, 255],
    ]);
    assert.deepEqual(pixels(cursor(6, 2, 1, [1, 2, 3, 9, 0, 0, 0, 9, 0b01000000])).found, [[3, 2, 1, 255], NONE]);
});

test("where the screen is inverted, it is black with white around for those who cannot invert", () => {
    // Only the one in the middle of the second row.
    const { found, invert } = pixels(cursor(1, 3, 3, [0xe0, 0xe0, 0xe0, 0, 0x40, 0]));
    assert.deepEqual(found, [WHITE, WHITE, WHITE, WHITE, BLACK, WHITE, WHITE, WHITE, WHITE]);
    assert.deepEqual(invert, [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    const colored = pixels(cursor(6, 1, 1, [255, 255, 255, 0, 0x80]));
    assert.deepEqual(colored, { found: [BLACK], invert: [1] });
});

test("shapes that are none are found", () => {
    for (const data of [
        cursor(7, 1, 1, new Array(64).fill(0)),
        cursor(0, 0, 1, []),
        cursor(0, 1, 1025, new Array(8192).fill(0)),
        cursor(0, 2, 2, new Array(15).fill(0)),
        cursor(1, 9, 2, new Array(7).fill(0)),
        cursor(2, 2, 2, new Array(66).fill(0)),
    ]) {
        assert.throws(() => readCursor(new Reader(data)), Malformed);
    }
});

async function start() {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    await server.main([[CHANNEL.CURSOR, 0]]);
    const channel = await server.channel(CHANNEL.CURSOR);
    const set = (/** @type {Uint8Array} */ shape, /** @type {number} */ type = CURSOR.SET) =>
        channel.send(
            type,
            bytes((out) => {
                out.u16(10);
                out.u16(0xffff);
                if (type === CURSOR.INIT) {
                    out.u32(0);
                }
                out.u8(1);
                out.bytes(shape);
            }),
        );
    return { server, bench, channel, set };
}

const RED = [0, 0, 255, 255];

test("the pointer comes, moves, hides and goes", async () => {
    const { server, bench, channel, set } = await start();
    set(cursor(0, 1, 1, RED), CURSOR.INIT);
    const first = await bench.posts({ type: "cursor" });
    assert.deepEqual([first.display, first.visible, first.x, first.y], [0, true, 10, -1]);
    assert.deepEqual([first.shape.hotX, first.shape.hotY, [...first.shape.pixels]], [1, 2, [255, 0, 0, 255]]);
    channel.send(CURSOR.HIDE);
    assert.deepEqual(await bench.posts({ type: "cursor" }), {
        type: "cursor",
        display: 0,
        visible: false,
        x: 10,
        y: -1,
    });
    channel.send(
        CURSOR.MOVE,
        bytes((out) => {
            out.u16(5);
            out.u16(6);
        }),
    );
    assert.deepEqual(await bench.posts({ type: "cursor" }), { type: "cursor", display: 0, visible: true, x: 5, y: 6 });
    channel.send(CURSOR.TRAIL, new Uint8Array(4));
    channel.send(CURSOR.RESET);
    assert.equal((await bench.posts({ type: "cursor" })).visible, false);
    server.close();
});

test("with several screens each has the shape, and one the pointer; in mouse mode client all have it", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.main([
        [CHANNEL.DISPLAY, 0],
        [CHANNEL.CURSOR, 0],
    ]);
    const display = await server.channel(CHANNEL.DISPLAY);
    const words = (/** @type {number[]} */ ...values) => bytes((out) => values.forEach((value) => out.u32(value)));
    display.send(DISPLAY.SURFACE_CREATE, words(0, 80, 40, 32, 1));
    display.send(DISPLAY.MARK);
    const heads = words(0, 0, 40, 40, 0, 0, 0, 1, 0, 40, 40, 40, 0, 0);
    display.send(DISPLAY.MONITORS_CONFIG, Uint8Array.of(2, 0, 2, 0, ...heads));
    await bench.when(() => bench.posted.some(({ displays }) => displays?.length === 2));
    const channel = await server.channel(CHANNEL.CURSOR);
    channel.send(
        CURSOR.SET,
        bytes((out) => {
            [50, 6].forEach((value) => out.u16(value));
            out.u8(1);
            out.bytes(cursor(0, 1, 1, RED));
        }),
    );
    const both = [await bench.posts({ type: "cursor" }), await bench.posts({ type: "cursor" })];
    assert.deepEqual(
        both.map(({ display: number, visible, x, shape }) => [number, visible, x, shape !== undefined]),
        [
            [0, false, 50, true],
            [1, true, 10, true],
        ],
    );
    main.send(
        MAIN.MOUSE_MODE,
        bytes((out) => [3, 2].forEach((value) => out.u16(value))),
    );
    assert.deepEqual((await bench.posts({ type: "cursor", visible: true })).display, 0);
    server.close();
});

test("shapes come from the cache, until they are forgotten", async () => {
    for (const [forget, body] of /** @type {[number, Uint8Array][]} */ ([
        [CURSOR.INVAL_ONE, bytes((out) => out.u64(5n))],
        [CURSOR.INVAL_ALL, new Uint8Array(0)],
        [CURSOR.RESET, new Uint8Array(0)],
    ])) {
        const { server, bench, channel, set } = await start();
        set(cursor(0, 1, 1, RED, { flags: 2, id: 5n }));
        set(cursor(0, 1, 1, [1, 2, 3, 4]));
        set(cursor(0, 1, 1, [], { flags: 4, id: 5n }));
        await bench.posts({ type: "cursor" });
        await bench.posts({ type: "cursor" });
        assert.deepEqual([...(await bench.posts({ type: "cursor" })).shape.pixels], [255, 0, 0, 255]);
        // One that is none shows nothing.
        set(bytes((out) => out.u16(1)));
        assert.equal((await bench.posts({ type: "cursor" })).visible, false);
        channel.send(forget, body);
        set(cursor(0, 1, 1, [], { flags: 4, id: 5n }));
        assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /shape 5/);
        server.close();
    }
});

test("a server that forgets nothing does not fill the memory", async () => {
    const { server, bench, set } = await start();
    for (let id = 1n; id <= 258n; id++) {
        set(cursor(0, 1, 1, RED, { flags: 2, id }));
    }
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /258 shapes/);
    server.close();
});
