import assert from "node:assert/strict";
import test from "node:test";

import { CHANNEL, CLIENT_COMMON, CLIENT_INPUTS, COMMON, INPUTS } from "../page/protocol/names.js";
import { Reader } from "../page/protocol/reader.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes } from "./session_server.js";

/** @param {number} mode 1 server, 2 client */
async function start(mode) {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    if (mode === 1) {
        bench.say({ type: "mouseMode", mode: "server" });
    }
    bench.connect(server.url);
    await server.main([[CHANNEL.INPUTS, 0]], { mode });
    const inputs = await server.channel(CHANNEL.INPUTS);
    await bench.posts({ type: "session" });
    inputs.send(
        INPUTS.INIT,
        bytes((out) => out.u16(2)),
    );
    await bench.posts({ type: "lights" });
    return { server, bench, inputs };
}

/**
 * All messages of the client up to now.
 * @param {import("./session_server.js").Peer} inputs
 */
async function said(inputs) {
    inputs.send(COMMON.PING, new Uint8Array(12));
    const found = [];
    for (;;) {
        const frame = await inputs.message();
        if (frame.type === CLIENT_COMMON.PONG) {
            return found;
        }
        found.push(frame);
    }
}

/** @param {Uint8Array} body of MOUSE_MOTION */
function motion(body) {
    const reader = new Reader(body);
    return [reader.i32(), reader.i32(), reader.u16()];
}

test("keys go with their scan codes, and only those that are down are released", async () => {
    const { server, bench, inputs } = await start(2);
    for (const scancode of [0x1e, 0x1de0, 0x451de1]) {
        bench.say({ type: "keyDown", scancode });
        bench.say({ type: "keyUp", scancode });
        bench.say({ type: "keyUp", scancode });
    }
    assert.deepEqual(
        (await said(inputs)).map(({ type, body }) => [type, new Reader(body).u32()]),
        [
            [CLIENT_INPUTS.KEY_DOWN, 0x1e],
            [CLIENT_INPUTS.KEY_UP, 0x9e],
            [CLIENT_INPUTS.KEY_DOWN, 0x1de0],
            [CLIENT_INPUTS.KEY_UP, 0x9de0],
            [CLIENT_INPUTS.KEY_DOWN, 0x451de1],
            [CLIENT_INPUTS.KEY_UP, 0xc59de1],
        ],
    );
    server.close();
});

test("lights go both ways", async () => {
    const { server, bench, inputs } = await start(2);
    bench.say({ type: "lights", scroll: true, num: false, caps: true });
    assert.equal(new Reader(await inputs.until(CLIENT_INPUTS.KEY_MODIFIERS)).u16(), 5);
    inputs.send(
        INPUTS.KEY_MODIFIERS,
        bytes((out) => out.u16(4)),
    );
    assert.deepEqual(await bench.posts({ type: "lights" }), { type: "lights", scroll: false, num: false, caps: true });
    server.close();
});

test("at most eight motions are on their way, and those that wait are one", async () => {
    const { server, bench, inputs } = await start(1);
    for (let count = 0; count < 20; count++) {
        bench.say({ type: "motion", dx: 1, dy: -2, buttons: 4 });
        bench.say({ type: "position", x: 1, y: 1, display: 0, buttons: 0 });
    }
    const first = await said(inputs);
    assert.deepEqual(
        first.map(({ type }) => type),
        new Array(8).fill(CLIENT_INPUTS.MOUSE_MOTION),
    );
    assert.deepEqual(motion(first[7].body), [1, -2, 4]);
    bench.time += 30;
    inputs.send(INPUTS.MOUSE_MOTION_ACK);
    const [waited, ...none] = await said(inputs);
    assert.deepEqual([motion(waited.body), none], [[12, -24, 4], []]);
    bench.pass(970);
    assert.equal((await bench.posts({ type: "figures" })).roundTrip, 30);
    // Three more have room; then a button takes along what waits.
    for (let count = 0; count < 5; count++) {
        bench.say({ type: "motion", dx: 1, dy: 1, buttons: 0 });
    }
    assert.equal((await said(inputs)).length, 3);
    bench.say({ type: "button", button: 1, down: true, buttons: 1 });
    bench.say({ type: "button", button: 1, down: false, buttons: 0 });
    const [moved, press, release] = await said(inputs);
    assert.deepEqual(motion(moved.body), [2, 2, 0]);
    assert.deepEqual([press.type, [...press.body]], [CLIENT_INPUTS.MOUSE_PRESS, [1, 1, 0]]);
    assert.deepEqual([release.type, [...release.body]], [CLIENT_INPUTS.MOUSE_RELEASE, [1, 0, 0]]);
    server.close();
});

test("of places only the last one counts, and they name their display", async () => {
    const { server, bench, inputs } = await start(2);
    for (let count = 0; count < 12; count++) {
        bench.say({ type: "position", x: count, y: 2 * count, display: 2, buttons: 1 });
        bench.say({ type: "motion", dx: 1, dy: 1, buttons: 0 });
    }
    assert.equal((await said(inputs)).length, 8);
    inputs.send(INPUTS.MOUSE_MOTION_ACK);
    const [{ type, body }] = await said(inputs);
    const reader = new Reader(body);
    assert.deepEqual(
        [type, reader.u32(), reader.u32(), reader.u16(), reader.u8()],
        [CLIENT_INPUTS.MOUSE_POSITION, 11, 22, 1, 2],
    );
    server.close();
});

test("a server that does not answer motions, and says nothing else, is taken for gone", async () => {
    const { server, bench, inputs } = await start(2);
    for (let count = 0; count < 4; count++) {
        bench.say({ type: "position", x: count, y: 0, display: 0, buttons: 0 });
    }
    await said(inputs);
    for (let second = 0; second < 11; second++) {
        assert.ok(!bench.posted.some(({ state }) => state === "reconnecting"), `${second}`);
        bench.pass(1000);
    }
    assert.match((await bench.posts({ type: "state", state: "reconnecting" })).reason, /answer/);
    await inputs.gone();
    server.close();
});
