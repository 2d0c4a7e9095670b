import assert from "node:assert/strict";
import test from "node:test";

import { CHANNEL, CLIENT_DISPLAY, DISPLAY, DISPLAY_CAP, LINK, MAIN, MAIN_CAP } from "../page/protocol/names.js";
import { Reader } from "../page/protocol/reader.js";
import { tileHash } from "../page/session/resume.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes, channelsList, mainInit } from "./session_server.js";

/** @typedef {import("./session_server.js").Peer} Peer */

/** The capabilities of a server to which clients can come back. */
const RESUMES = {
    caps: (/** @type {Peer} */ { type }) =>
        type === CHANNEL.MAIN ? [MAIN_CAP.RESUME] : type === CHANNEL.DISPLAY ? [DISPLAY_CAP.RESUME] : [],
};

/** @param {import("./session_server.js").Script} script */
async function start(script) {
    const server = await ScriptedServer.listen(script);
    const bench = new Bench();
    bench.connect(server.url, "ticket");
    const main = await server.main([[CHANNEL.DISPLAY, 0]], { session: 41 });
    const display = await server.channel(CHANNEL.DISPLAY);
    await display.until(CLIENT_DISPLAY.INIT);
    display.send(
        DISPLAY.SURFACE_CREATE,
        bytes((out) => [0, 40, 33, 32, 1].forEach((value) => out.u32(value))),
    );
    display.send(DISPLAY.MARK);
    await bench.when(() => bench.painted.length > 0);
    return { server, bench, main, display };
}

/** @param {Bench} bench */
async function retry(bench) {
    await bench.posts({ type: "state", state: "reconnecting" });
    bench.pass(250);
}

test("a tile has the hash that servers compute", () => {
    // The pixels 1 2 3 4 and 5 6 7 8 as blue, green, red, alpha; as in the tests of caraway-protocol.
    const pixels = Uint32Array.of(0x04010203, 0x08050607);
    const argb = { width: 2, height: 1, format: 96, pixels, damage: null, overlay: null };
    assert.deepEqual(tileHash(argb, 0, 0), [0x110d32a8, 0x6cffe64c]);
    const full = pixels.map((pixel) => pixel | 0xff000000);
    const xrgb = { ...argb, format: 32 };
    assert.deepEqual(tileHash({ ...xrgb, pixels: full }, 0, 0), tileHash(xrgb, 0, 0));
});

test("after a break the session is resumed with what is still there", async () => {
    const { server, bench, main } = await start(RESUMES);
    main.cut();
    await retry(bench);
    const again = await server.channel(CHANNEL.MAIN);
    assert.equal(again.session, 41);
    assert.equal(again.password, "ticket\0");
    again.send(MAIN.INIT, mainInit({ session: 42 }));
    again.send(MAIN.CHANNELS_LIST, channelsList([[CHANNEL.DISPLAY, 0]]));
    await bench.posts({ type: "state", state: "connected" });
    const display = await server.channel(CHANNEL.DISPLAY);
    assert.equal(display.session, 42);
    const { type, body } = await display.message();
    assert.equal(type, CLIENT_DISPLAY.RESUME);
    const reader = new Reader(body);
    assert.deepEqual([reader.u32(), reader.u64(), reader.u64()], [2, 5n, 6n]);
    assert.deepEqual([reader.u32(), reader.u32(), reader.u32(), reader.u32(), reader.u32()], [1, 0, 40, 33, 32]);
    const surface = bench.canvases[0].surface(0);
    for (const [left, top] of [
        [0, 0],
        [32, 0],
        [0, 32],
        [32, 32],
    ]) {
        const [high, low] = tileHash(surface, left, top);
        assert.deepEqual([reader.u32(), reader.u32()], [low, high]);
    }
    assert.equal(reader.left, 0);
    assert.equal((await display.message()).type, CLIENT_DISPLAY.INIT);
    assert.equal(bench.canvases.length, 1);
    assert.ok(bench.caches[1].log.includes("restartGlz"));
    assert.equal(bench.caches.length, 2);
    // What is drawn is painted again, and no display went away meanwhile.
    const before = bench.painted.length;
    display.send(303);
    await bench.when(() => bench.painted.length > before);
    assert.equal(bench.posted.filter((message) => message.type === "displays").length, 1);
    server.close();
});

test("a session that is not there any more is followed by a new one, at once", async () => {
    let gone = false;
    const { server, bench, display } = await start({
        ...RESUMES,
        result: ({ session, type }) =>
            gone && type === CHANNEL.MAIN && session !== 0 ? LINK.BAD_CONNECTION_ID : LINK.OK,
    });
    gone = true;
    display.cut();
    await retry(bench);
    const again = await server.main([[CHANNEL.DISPLAY, 0]], { session: 50 });
    assert.equal(again.session, 0);
    const next = await server.channel(CHANNEL.DISPLAY);
    assert.equal((await next.message()).type, CLIENT_DISPLAY.INIT);
    assert.equal(bench.canvases.length, 2);
    assert.equal(bench.posted.filter((message) => message.type === "displays").length, 1);
    server.close();
});

test("a server that does not know of resuming is given a new session", async () => {
    const { server, bench, main } = await start({});
    main.cut();
    await retry(bench);
    assert.equal((await server.channel(CHANNEL.MAIN)).session, 0);
    server.close();
});

test("a display on which something was still being drawn begins anew", async () => {
    const { server, bench, display } = await start(RESUMES);
    bench.canvases[0].hold = new Promise(() => {});
    display.send(303);
    await bench.when(() => bench.session.channels.get("2:0")?.busy);
    display.cut();
    await retry(bench);
    await server.main([[CHANNEL.DISPLAY, 0]]);
    const next = await server.channel(CHANNEL.DISPLAY);
    const { type, body } = await next.message();
    assert.equal(type, CLIENT_DISPLAY.RESUME);
    const reader = new Reader(body);
    assert.deepEqual([reader.u32(), reader.u64(), reader.u64(), reader.u32()], [2, 5n, 6n, 0]);
    assert.equal(bench.canvases.length, 2);
    server.close();
});

test("it is tried again in pauses that grow, and begin anew after a good connection", async () => {
    const { server, bench, main } = await start(RESUMES);
    server.script.result = () => LINK.CHANNEL_NOT_AVAILABLE;
    main.cut();
    for (const pause of [250, 500, 1000, 2000, 5000, 5000]) {
        await bench.posts({ type: "state", state: "reconnecting" });
        bench.timers = bench.timers.filter(({ at }) => at - bench.time === pause);
        assert.equal(bench.timers.length, 1, `${pause}`);
        bench.pass(pause);
    }
    await bench.posts({ type: "state", state: "reconnecting" });
    server.script.result = () => LINK.OK;
    bench.pass(5000);
    const again = await server.main([]);
    await bench.posts({ type: "state", state: "connected" });
    bench.time += 6000;
    again.cut();
    await bench.posts({ type: "state", state: "reconnecting" });
    assert.ok(bench.timers.some(({ at }) => at - bench.time === 250));
    // Who leaves meanwhile is not connected again.
    bench.say({ type: "disconnect" });
    assert.deepEqual(bench.timers, []);
    await bench.posts({ type: "state", state: "closed" });
    server.close();
});

test("after nonsense on a good connection a new session is begun, and on one that is not, none", async () => {
    const { server, bench, main } = await start(RESUMES);
    bench.time += 6000;
    main.send(MAIN.INIT, mainInit({ session: 42 }));
    assert.match((await bench.posts({ type: "state", state: "reconnecting" })).reason, /second time/);
    bench.pass(250);
    const again = await server.channel(CHANNEL.MAIN);
    assert.equal(again.session, 0);
    // Who looks again meanwhile sees the last picture; there is nothing to paint.
    bench.session.screens.show(false);
    bench.session.screens.show(true);
    await new Promise((resolve) => void setImmediate(resolve));
    again.send(MAIN.INIT, mainInit({ session: 43 }));
    await bench.posts({ type: "state", state: "connected" });
    again.send(MAIN.INIT, mainInit({ session: 43 }));
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /second time/);
    server.close();
});

test("a server that takes connections and says nothing does not keep anybody", async () => {
    const { server, bench, main } = await start(RESUMES);
    main.cut();
    await retry(bench);
    // It links, and never begins.
    await server.channel(CHANNEL.MAIN);
    bench.pass(10_000);
    assert.match((await bench.posts({ type: "state", state: "reconnecting" })).reason, /does not answer/);
    bench.pass(500);
    await server.channel(CHANNEL.MAIN);
    // Who does not want to wait any longer has it tried again.
    bench.time += 2000;
    bench.say({ type: "retry" });
    const again = await server.channel(CHANNEL.MAIN);
    again.send(MAIN.INIT, mainInit({ session: 42 }));
    await bench.posts({ type: "state", state: "connected" });
    server.close();
});

test("who does not want to wait comes back at once, and once only", async () => {
    const { server, bench, main } = await start(RESUMES);
    // There is nothing to come back to yet.
    bench.say({ type: "retry" });
    main.cut();
    await bench.posts({ type: "state", state: "reconnecting" });
    bench.say({ type: "retry" });
    bench.say({ type: "retry" });
    const again = await server.channel(CHANNEL.MAIN);
    assert.equal(again.session, 41);
    assert.ok(!bench.timers.some(({ at }) => at - bench.time === 250));
    again.send(MAIN.INIT, mainInit({ session: 42 }));
    await bench.posts({ type: "state", state: "connected" });
    bench.say({ type: "disconnect" });
    await bench.posts({ type: "state", state: "closed" });
    assert.equal(bench.posted.filter(({ state }) => state === "reconnecting").length, 1);
    server.close();
});

test("a ticket that counts no more is asked for", async () => {
    const { server, bench, main } = await start(RESUMES);
    server.script.result = () => LINK.PERMISSION_DENIED;
    main.cut();
    await retry(bench);
    const state = await bench.posts({ type: "state", state: "closed" });
    assert.equal(state.needsTicket, true);
    server.close();
});
