import assert from "node:assert/strict";
import test from "node:test";

import { CHANNEL, PLAYBACK } from "../page/protocol/names.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes } from "./session_server.js";

/** @param {Partial<import("../page/session/platform.js").Platform>} [platform] */
async function start(platform = {}) {
    const server = await ScriptedServer.listen();
    const bench = new Bench(platform);
    bench.connect(server.url);
    await server.main([[CHANNEL.PLAYBACK, 0]]);
    await bench.posts({ type: "session" });
    assert.equal(server.connections, 1, "sound is not asked for yet");
    bench.say({ type: "audio", on: true });
    return { server, bench, playback: await server.channel(CHANNEL.PLAYBACK) };
}

/** @param {number} mode */
const modeBody = (mode) =>
    bytes((out) => {
        out.u32(0);
        out.u16(mode);
    });

/** @param {number} channels */
const startBody = (channels) =>
    bytes((out) => {
        out.u32(channels);
        out.u16(1);
        out.u32(48000);
        out.u32(0);
    });

test("samples are handed on, with volume and the end", async () => {
    const { server, bench, playback } = await start();
    playback.send(PLAYBACK.MODE, modeBody(1));
    playback.send(PLAYBACK.START, startBody(2));
    playback.send(PLAYBACK.VOLUME, Uint8Array.of(2, 0xff, 0xff, 0, 0));
    playback.send(PLAYBACK.MUTE, Uint8Array.of(1));
    // One frame, and a part of one more.
    playback.send(PLAYBACK.DATA, Uint8Array.of(0, 0, 0, 0, 1, 0, 0xff, 0xff, 7));
    playback.send(PLAYBACK.STOP);
    const audio = () => bench.posts({ type: "audio" });
    assert.deepEqual(await audio(), { type: "audio", what: "start", channels: 2, rate: 48000 });
    assert.deepEqual(await audio(), { type: "audio", what: "volume", volume: [1, 0] });
    assert.deepEqual(await audio(), { type: "audio", what: "mute", mute: true });
    assert.deepEqual((await audio()).samples, Int16Array.of(1, -1));
    assert.deepEqual(await audio(), { type: "audio", what: "stop" });
    server.close();
});

test("Opus goes to its decoder", async () => {
    /** @type {number[]} */
    const packets = [];
    const { server, bench, playback } = await start({
        opus: (channels, rate, onsamples) => ({
            decode: (packet) => {
                packets.push(packet.length);
                onsamples(Int16Array.of(channels, rate / 1000));
            },
            close: () => packets.push(-1),
        }),
    });
    playback.send(PLAYBACK.MODE, modeBody(3));
    playback.send(PLAYBACK.START, startBody(2));
    playback.send(PLAYBACK.DATA, new Uint8Array(4 + 9));
    playback.send(PLAYBACK.STOP);
    assert.deepEqual((await bench.posts({ type: "audio", what: "data" })).samples, Int16Array.of(2, 48));
    await bench.posts({ type: "audio", what: "stop" });
    assert.deepEqual(packets, [9, -1]);
    server.close();
});

test("sound that is not wanted any more, or whose channel ends, ends alone", async () => {
    const { server, bench, playback } = await start();
    playback.send(PLAYBACK.START, startBody(1));
    await bench.posts({ type: "audio", what: "start" });
    bench.say({ type: "audio", on: false });
    await bench.posts({ type: "audio", what: "stop" });
    await playback.gone();
    bench.say({ type: "audio", on: true });
    const again = await server.channel(CHANNEL.PLAYBACK);
    again.send(PLAYBACK.START, startBody(1));
    await bench.posts({ type: "audio", what: "start" });
    again.cut();
    await bench.posts({ type: "audio", what: "stop" });
    assert.equal(bench.session.state, "connected");
    server.close();
});
