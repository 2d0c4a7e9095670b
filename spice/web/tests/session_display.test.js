import assert from "node:assert/strict";
import test from "node:test";

import {
    CHANNEL,
    CLIENT_COMMON,
    CLIENT_DISPLAY,
    CODEC,
    COMMON,
    DISPLAY,
    DISPLAY_CAP,
    hasCap,
} from "../page/protocol/names.js";
import { Reader } from "../page/protocol/reader.js";
import { Bench, frameOf } from "./session_platform.js";
import { ScriptedServer, bytes } from "./session_server.js";

/** @typedef {import("./session_server.js").Peer} Peer */

/** @param {number[]} values of 32 bits each */
const words = (...values) => bytes((out) => values.forEach((value) => out.u32(value)));

/**
 * @param {Peer} display
 * @param {{id?: number, width?: number, height?: number, flags?: number, format?: number}} [spec]
 */
function surface(display, { id = 0, width = 64, height = 48, flags = 1, format = 32 } = {}) {
    display.send(DISPLAY.SURFACE_CREATE, words(id, width, height, format, flags));
}

/**
 * Body of MONITORS_CONFIG.
 * @param {number[][]} heads monitor, surface, width, height, x, y
 */
const monitors = (heads) =>
    bytes((out) => {
        out.u16(heads.length);
        out.u16(16);
        heads.forEach((head) => [...head, 0].forEach((value) => out.u32(value)));
    });

/**
 * @param {Partial<import("../page/session/platform.js").Platform>} [platform]
 * @param {[number, number][]} [channels]
 */
async function start(platform = {}, channels = [[CHANNEL.DISPLAY, 0]]) {
    const server = await ScriptedServer.listen();
    const bench = new Bench(platform);
    bench.connect(server.url);
    await server.main(channels, { time: 5000 });
    const display = await server.channel(CHANNEL.DISPLAY);
    const init = await display.message();
    return { server, bench, display, init };
}

/**
 * Body of STREAM_CREATE.
 * @param {{id?: number, codec?: number, clip?: number[][] | null}} [spec] clip: rectangles of top, left, bottom, right
 */
const stream = ({ id = 3, codec = CODEC.MJPEG, clip = null } = {}) =>
    bytes((out) => {
        out.u32(0);
        out.u32(id);
        out.u8(1);
        out.u8(codec);
        out.u64(0n);
        [32, 16, 32, 16].forEach((value) => out.u32(value));
        [4, 8, 20, 40].forEach((value) => out.i32(value));
        putClip(out, clip);
    });

/**
 * @param {import("../page/protocol/reader.js").Writer} out
 * @param {number[][] | null} clip
 */
function putClip(out, clip) {
    out.u8(clip === null ? 0 : 1);
    if (clip !== null) {
        out.u32(clip.length);
        clip.flat().forEach((value) => out.i32(value));
    }
}

/**
 * Body of STREAM_DATA.
 * @param {number} length of the data
 * @param {number} [time]
 * @param {number} [id]
 */
const frame = (length, time = 0, id = 3) =>
    bytes((out) => {
        [id, time, length].forEach((value) => out.u32(value));
        out.bytes(new Uint8Array(length));
    });

/** Messages that are not drawn before a PING behind them is answered have not been. */
async function settled(/** @type {Peer} */ display) {
    display.send(COMMON.PING, new Uint8Array(12));
    await display.until(CLIENT_COMMON.PONG);
}

test("INIT has the sizes of the caches, and the link what the client can", async () => {
    const { server, display, init } = await start();
    assert.equal(init.type, CLIENT_DISPLAY.INIT);
    const reader = new Reader(init.body);
    assert.deepEqual([reader.u8(), reader.u64(), reader.u8(), reader.u32()], [1, 20n << 20n, 1, 8 << 20]);
    const has = (/** @type {number} */ cap) => hasCap(display.caps, cap);
    const { CODEC_H264, CODEC_VP8, CODEC_VP9, CODEC_MJPEG, LZ4_COMPRESSION, RESUME, STREAM_REPORT } = DISPLAY_CAP;
    assert.ok([CODEC_MJPEG, LZ4_COMPRESSION, RESUME, STREAM_REPORT].every(has));
    assert.ok(![CODEC_H264, CODEC_VP8, CODEC_VP9, 7, 15].some(has));
    server.close();
});

test("video is announced as far as it can be decoded", async () => {
    const { server, display } = await start({ videoCodecs: [CODEC.H264] });
    assert.ok(hasCap(display.caps, DISPLAY_CAP.CODEC_H264) && !hasCap(display.caps, DISPLAY_CAP.CODEC_VP8));
    server.close();
});

test("a primary surface is shown when it is marked, and then what changes of it", async () => {
    const { server, bench, display } = await start();
    surface(display);
    await settled(display);
    assert.deepEqual(bench.painted, []);
    display.send(DISPLAY.MARK);
    assert.deepEqual((await bench.posts({ type: "displays" })).displays, [
        { display: 0, width: 64, height: 48, x: 0, y: 0 },
    ]);
    const whole = await bench.when(() => bench.painted.shift());
    assert.deepEqual(whole.damage, { left: 0, top: 0, right: 64, bottom: 48 });
    display.send(DISPLAY.DRAW_COPY, words(0));
    const part = await bench.when(() => bench.painted.shift());
    assert.deepEqual(part.damage, { left: 0, top: 0, right: 1, bottom: 1 });
    assert.equal(part.first, 0xff000000 + DISPLAY.DRAW_COPY);
    server.close();
});

test("several heads of one surface show their parts, and what comes before a canvas is shown with it", async () => {
    const { server, bench, display } = await start();
    bench.screens.delete(1);
    surface(display, { width: 100, height: 50 });
    display.send(
        DISPLAY.MONITORS_CONFIG,
        monitors([
            [0, 0, 60, 50, 0, 0],
            [1, 0, 50, 40, 60, 10],
            [2, 0, 0, 0, 0, 0],
        ]),
    );
    display.send(DISPLAY.MARK);
    const { displays } = await bench.posts({ type: "displays" });
    // The second one ends where the surface does.
    assert.deepEqual(displays, [
        { display: 0, width: 60, height: 50, x: 0, y: 0 },
        { display: 1, width: 40, height: 40, x: 60, y: 10 },
    ]);
    await bench.when(() => bench.painted.find((painted) => painted.display === 0));
    bench.screens.add(1);
    bench.say({ type: "canvas", display: 1 });
    const other = await bench.when(() => bench.painted.find((painted) => painted.display === 1));
    assert.deepEqual(other.head, { left: 60, top: 10, right: 100, bottom: 50 });
    assert.deepEqual(other.damage, other.head);
    // A new mode takes the surface away for a moment; the layout comes back with it.
    display.send(DISPLAY.SURFACE_DESTROY, words(0));
    surface(display, { width: 80, height: 60 });
    display.send(DISPLAY.MONITORS_CONFIG, monitors([[0, 0, 80, 60, 0, 0]]));
    display.send(DISPLAY.MARK);
    const next = await bench.posts({ type: "displays" });
    assert.deepEqual(next.displays, [{ display: 0, width: 80, height: 60, x: 0, y: 0 }]);
    server.close();
});

test("displays of several channels have numbers of their own, and a position goes to the channel", async () => {
    const { server, bench, display } = await start({}, [
        [CHANNEL.DISPLAY, 0],
        [CHANNEL.DISPLAY, 1],
    ]);
    const second = await server.channel(CHANNEL.DISPLAY, 1);
    for (const one of [display, second]) {
        surface(one);
        one.send(DISPLAY.MARK);
    }
    const shown = await bench.when(() => bench.posted.find(({ displays }) => displays?.length === 2));
    assert.deepEqual(
        shown.displays.map((/** @type {any} */ { display }) => display),
        [0, 1],
    );
    assert.equal(bench.session.screens.wireNumber(1), 1);
    server.close();
});

test("drawing waits for what takes its time, in order, and is acknowledged afterwards", async () => {
    const { server, bench, display } = await start();
    display.send(COMMON.SET_ACK, words(1, 2));
    await display.until(CLIENT_COMMON.ACK_SYNC);
    surface(display);
    const [canvas] = bench.canvases;
    let release = () => {};
    canvas.hold = new Promise((resolve) => (release = resolve));
    display.send(DISPLAY.DRAW_COPY);
    display.send(303);
    // Another channel goes on meanwhile.
    await bench.when(() => bench.session.channels.get("2:0")?.busy);
    assert.deepEqual(canvas.drawn, []);
    assert.equal(bench.session.channels.get("2:0")?.unacknowledged, 1);
    release();
    await display.until(CLIENT_COMMON.ACK);
    await settled(display);
    assert.deepEqual(canvas.drawn, [DISPLAY.DRAW_COPY, 303]);
    server.close();
});

test("images and palettes are forgotten as the server says", async () => {
    const { server, bench, display } = await start();
    display.send(
        DISPLAY.INVAL_LIST,
        bytes((out) => {
            out.u16(3);
            for (const [type, id] of [
                [1, 7n],
                [2, 8n],
                [1, 9n],
            ]) {
                out.u8(Number(type));
                out.u64(BigInt(id));
            }
        }),
    );
    display.send(DISPLAY.INVAL_ALL_PIXMAPS, Uint8Array.of(0));
    display.send(
        DISPLAY.INVAL_PALETTE,
        bytes((out) => out.u64(3n)),
    );
    display.send(DISPLAY.INVAL_ALL_PALETTES);
    await settled(display);
    assert.deepEqual(bench.caches.at(-1).log.slice(-3), ["invalidate 7", "invalidate 9", "invalidateAll"]);
    assert.deepEqual(bench.palettes[0].log, ["invalidate 3", "invalidateAll"]);
    server.close();
});

test("a channel waits for another one, and goes on when that has come so far or has gone", async () => {
    const { server, bench, display } = await start({}, [
        [CHANNEL.DISPLAY, 0],
        [CHANNEL.DISPLAY, 1],
        [CHANNEL.PLAYBACK, 0],
    ]);
    const second = await server.channel(CHANNEL.DISPLAY, 1);
    const wait = (/** @type {number} */ id, /** @type {bigint} */ serial) =>
        bytes((out) => {
            out.u8(1);
            out.u8(CHANNEL.DISPLAY);
            out.u8(id);
            out.u64(serial);
        });
    surface(display);
    display.send(COMMON.WAIT_FOR_CHANNELS, wait(1, 2n));
    display.send(303);
    await bench.when(() => bench.session.waiting.length === 1);
    second.send(COMMON.PING, new Uint8Array(12));
    await second.until(CLIENT_COMMON.PONG);
    assert.deepEqual(bench.canvases[0].drawn, []);
    second.send(COMMON.PING, new Uint8Array(12));
    await settled(display);
    assert.deepEqual(bench.canvases[0].drawn, [303]);
    // A channel that is not there is not waited for.
    display.send(COMMON.WAIT_FOR_CHANNELS, wait(9, 99n));
    await settled(display);
    // For what has not come of itself it would wait for ever.
    display.send(COMMON.WAIT_FOR_CHANNELS, wait(0, 9999n));
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /wait list/);
    server.close();
});

test("frames of a stream are drawn in its place and its clip, and late ones are not", async () => {
    const { server, bench, display } = await start();
    surface(display);
    display.send(DISPLAY.STREAM_CREATE, stream({ clip: [[0, 0, 9, 9]] }));
    display.send(DISPLAY.STREAM_ACTIVATE_REPORT, words(3, 55, 5, 100000));
    display.send(DISPLAY.STREAM_DATA, frame(1, 4990));
    await settled(display);
    const [canvas] = bench.canvases;
    assert.deepEqual(canvas.pictures[0].dest, { left: 8, top: 4, right: 40, bottom: 20 });
    assert.deepEqual(canvas.pictures[0].clip, [{ left: 0, top: 0, right: 9, bottom: 9 }]);
    display.send(
        DISPLAY.STREAM_CLIP,
        bytes((out) => {
            out.u32(3);
            putClip(out, null);
        }),
    );
    display.send(
        DISPLAY.STREAM_DATA_SIZED,
        bytes((out) => {
            [3, 4995, 7, 7].forEach((value) => out.u32(value));
            [1, 2, 8, 9].forEach((value) => out.i32(value));
            out.u32(2);
            out.bytes(new Uint8Array(2));
        }),
    );
    await settled(display);
    assert.deepEqual(canvas.pictures[1].dest, { left: 2, top: 1, right: 9, bottom: 8 });
    assert.equal(canvas.pictures[1].clip, null);
    // Five that have come behind each other: the last three are seen.
    let release = () => {};
    canvas.hold = new Promise((resolve) => (release = resolve));
    display.send(303);
    await bench.when(() => bench.session.channels.get("2:0")?.busy);
    [10, 11, 12, 13, 14].forEach((length, index) => display.send(DISPLAY.STREAM_DATA, frame(length, 4996 + index)));
    await bench.when(() => bench.session.channels.get("2:0")?.waiting().length === 5);
    release();
    const report = new Reader(await display.until(CLIENT_DISPLAY.STREAM_REPORT));
    const values = [3, 55, 4990, 4998, 5, 2, -2];
    assert.deepEqual(
        values.map((_, index) => (index === 6 ? report.i32() : report.u32())),
        values,
    );
    await settled(display);
    assert.deepEqual(
        canvas.pictures.map(({ frame }) => frame.width),
        [1, 2, 12, 13, 14],
    );
    server.close();
});

test("frames after the end of a stream are passed over, and a number may be used again", async () => {
    const { server, bench, display } = await start();
    surface(display);
    for (const end of [DISPLAY.STREAM_DESTROY, DISPLAY.STREAM_DESTROY_ALL]) {
        display.send(DISPLAY.STREAM_CREATE, stream());
        display.send(end, words(3));
        display.send(DISPLAY.STREAM_DATA, frame(5));
    }
    await settled(display);
    assert.deepEqual(bench.canvases[0].pictures, []);
    display.send(DISPLAY.STREAM_CREATE, stream());
    display.send(DISPLAY.STREAM_CREATE, stream());
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /stream id 3 is in use/);
    server.close();
});

test("the server is told of streams that cannot be decoded", async () => {
    const { server, display } = await start();
    surface(display);
    display.send(DISPLAY.STREAM_CREATE, stream({ codec: CODEC.H264 }));
    display.send(DISPLAY.STREAM_DATA, frame(5));
    const refused = async () => {
        const report = new Reader(await display.until(CLIENT_DISPLAY.STREAM_REPORT));
        return Array.from({ length: 6 }, () => report.u32());
    };
    assert.deepEqual(await refused(), [3, 0, 0, 0, 0, 0xffffffff]);
    display.send(DISPLAY.STREAM_ACTIVATE_REPORT, words(9, 1, 5, 1000));
    assert.deepEqual(await refused(), [9, 1, 0, 0, 0, 0xffffffff]);
    server.close();
});

test("video goes to a player from its first key frame on, and what that shows is drawn", async () => {
    /** @type {any[]} */
    const given = [];
    let closed = 0;
    /** @type {(error: unknown) => void} */
    let fail = () => {};
    const { server, bench, display } = await start({
        videoCodecs: [CODEC.H264],
        video: (onframe, onerror) => {
            fail = onerror;
            return {
                decode: (data, key, format) => {
                    given.push({ length: data.length, key, format });
                    onframe(frameOf(data.length, 1));
                },
                close: () => closed++,
            };
        },
    });
    const unit = (/** @type {number[]} */ ...data) => [0, 0, 0, 1, ...data];
    const sps = unit(0x67, 0x42, 0xc0, 0x1f, 1, 2);
    const send = (/** @type {number[]} */ data) =>
        display.send(
            DISPLAY.STREAM_DATA,
            bytes((out) => {
                [3, 0, data.length].forEach((value) => out.u32(value));
                out.bytes(Uint8Array.from(data));
            }),
        );
    surface(display);
    display.send(DISPLAY.STREAM_CREATE, stream({ codec: CODEC.H264 }));
    send(unit(0x41, 9));
    send([...sps, ...unit(0x68, 1), ...unit(0x65, 1, 2, 3)]);
    send(unit(0x41, 9, 9));
    await settled(display);
    assert.deepEqual(given, [
        { length: 24, key: true, format: "avc1.42C01F" },
        { length: 7, key: false, format: "avc1.42C01F" },
    ]);
    assert.deepEqual(
        bench.canvases[0].pictures.map(({ frame }) => frame.width),
        [24, 7],
    );
    fail(new Error("broken"));
    await display.until(CLIENT_DISPLAY.STREAM_REPORT);
    assert.equal(closed, 1);
    server.close();
});

test("MODE makes a primary surface, and RESET hides it until the next mark", async () => {
    const { server, bench, display } = await start();
    display.send(DISPLAY.MODE, words(20, 10, 32));
    display.send(DISPLAY.MARK);
    await bench.posts({ type: "displays" });
    display.send(DISPLAY.RESET);
    await settled(display);
    assert.deepEqual(bench.session.displays.get(0)?.heads(), []);
    display.send(DISPLAY.MARK);
    await settled(display);
    assert.equal(bench.session.displays.get(0)?.heads().length, 1);
    server.close();
});

test("figures name the codec of the last image", async () => {
    const { server, bench, display } = await start();
    surface(display);
    for (const [clip, type, name] of /** @type {[number[][] | null, number, string][]} */ ([
        [null, 1, "QUIC"],
        [[[0, 0, 1, 1]], 109, "LZ4"],
    ])) {
        const copy = bytes((out) => {
            [0, 0, 0, 1, 1].forEach((value) => out.u32(value));
            putClip(out, clip);
            out.u32(clip === null ? 25 : 45);
            out.u64(0n);
            out.u8(type);
        });
        display.send(DISPLAY.DRAW_COPY, copy);
        await settled(display);
        bench.pass(1000);
        assert.equal((await bench.posts({ type: "figures" })).codec, name);
    }
    server.close();
});
