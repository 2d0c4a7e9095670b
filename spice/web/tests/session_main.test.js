import assert from "node:assert/strict";
import test from "node:test";

import { CHANNEL, CLIENT_COMMON, CLIENT_MAIN, COMMON, COMMON_CAP, LINK, MAIN } from "../page/protocol/names.js";
import { Reader } from "../page/protocol/reader.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes, channelsList, mainInit } from "./session_server.js";

/** @param {(out: import("../page/protocol/reader.js").Writer) => void} put */
const body = bytes;

test("the session has the name, the uuid, the modes and the role of the server", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.channel(CHANNEL.MAIN);
    main.send(MAIN.INIT, mainInit({ mode: 2 }));
    main.send(
        MAIN.NAME,
        body((out) => {
            out.u32(5);
            out.bytes(new TextEncoder().encode("demo\0"));
        }),
    );
    main.send(
        MAIN.UUID,
        Uint8Array.from({ length: 16 }, (_, index) => index),
    );
    await main.until(CLIENT_MAIN.ATTACH_CHANNELS);
    main.send(
        MAIN.CHANNELS_LIST,
        channelsList([
            [CHANNEL.INPUTS, 0],
            [8, 0],
            [11, 0],
        ]),
    );
    assert.deepEqual(await bench.posts({ type: "session" }), {
        type: "session",
        name: "demo",
        uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f",
        mouseMode: "client",
        mouseModes: ["server", "client"],
        agent: false,
        clipboard: false,
        files: false,
        monitors: false,
        role: "control",
    });
    server.close();
});

test("whose server has no inputs channel, or does not let them in, looks only", async () => {
    for (const result of [LINK.OK, LINK.CHANNEL_NOT_AVAILABLE]) {
        const server = await ScriptedServer.listen({
            result: ({ type }) => (type === CHANNEL.INPUTS ? result : LINK.OK),
        });
        const bench = new Bench();
        bench.connect(server.url);
        await server.main(result === LINK.OK ? [] : [[CHANNEL.INPUTS, 0]]);
        await bench.posts({ type: "session", role: "view" });
        server.close();
    }
});

test("who wants to look only links no inputs channel", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url, "", { view: true });
    await server.main([
        [CHANNEL.INPUTS, 0],
        [CHANNEL.CURSOR, 0],
    ]);
    await server.channel(CHANNEL.CURSOR);
    await bench.posts({ type: "session", role: "view" });
    assert.equal(server.connections, 2);
    server.close();
});

test("the mouse mode that is wished for is asked for as soon as there is that mode", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.main([], { supported: 1, mode: 1 });
    const modes = (/** @type {number} */ supported, /** @type {number} */ mode) =>
        main.send(
            MAIN.MOUSE_MODE,
            body((out) => {
                out.u16(supported);
                out.u16(mode);
            }),
        );
    modes(3, 1);
    assert.equal(new Reader(await main.until(CLIENT_MAIN.MOUSE_MODE_REQUEST)).u16(), 2);
    modes(3, 2);
    await bench.posts({ type: "session", mouseMode: "client" });
    bench.say({ type: "mouseMode", mode: "server" });
    assert.equal(new Reader(await main.until(CLIENT_MAIN.MOUSE_MODE_REQUEST)).u16(), 1);
    modes(3, 1);
    await bench.posts({ type: "session", mouseMode: "server" });
    // That others change it is not answered.
    modes(3, 2);
    await bench.posts({ type: "session", mouseMode: "client" });
    main.send(COMMON.PING, new Uint8Array(12));
    for (let type = 0; type !== CLIENT_COMMON.PONG; ) {
        ({ type } = await main.message());
        assert.notEqual(type, CLIENT_MAIN.MOUSE_MODE_REQUEST);
    }
    server.close();
});

for (const common of [[COMMON_CAP.MINI_HEADER], []]) {
    test(`pings are answered and windows acknowledged, with the common capabilities [${common}]`, async () => {
        const server = await ScriptedServer.listen({ common });
        const bench = new Bench();
        bench.connect(server.url);
        const main = await server.main([]);
        await main.until(CLIENT_MAIN.ATTACH_CHANNELS);
        main.send(
            COMMON.SET_ACK,
            body((out) => {
                out.u32(9);
                out.u32(3);
            }),
        );
        const sync = await main.message();
        assert.deepEqual([sync.type, new Reader(sync.body).u32()], [CLIENT_COMMON.ACK_SYNC, 9]);
        const ping = body((out) => {
            out.u32(5);
            out.u64(123456789012345n);
            out.bytes(new Uint8Array(256000));
        });
        for (let count = 0; count < 3; count++) {
            main.send(COMMON.PING, ping);
        }
        const answers = [await main.message(), await main.message(), await main.message(), await main.message()];
        assert.deepEqual(
            answers.map(({ type }) => type),
            [CLIENT_COMMON.PONG, CLIENT_COMMON.PONG, CLIENT_COMMON.PONG, CLIENT_COMMON.ACK],
        );
        assert.deepEqual(answers[0].body, ping.subarray(0, 12));
        server.close();
    });
}

test("sub-messages of a long header are executed before their message", async () => {
    const server = await ScriptedServer.listen({ common: [] });
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.main([]);
    await main.until(CLIENT_MAIN.ATTACH_CHANNELS);
    const ping = (/** @type {number} */ id) =>
        body((out) => {
            out.u32(id);
            out.u64(0n);
        });
    // The message itself, two sub-messages, and the list of them from the last to the first.
    const whole = body((out) => {
        out.bytes(ping(3));
        for (const id of [2, 1]) {
            out.u16(COMMON.PING);
            out.u32(12);
            out.bytes(ping(id));
        }
        out.u16(2);
        out.u32(30);
        out.u32(12);
    });
    const header = body((out) => {
        out.u64(3n);
        out.u16(COMMON.PING);
        out.u32(whole.length);
        out.u32(48);
    });
    main.socket.write(header);
    main.socket.write(whole);
    for (const id of [1, 2, 3]) {
        assert.equal(new Reader((await main.message()).body).u32(), id);
    }
    // By LIST, as with short headers; an offset of a list itself is 0 then.
    const list = body((out) => {
        out.u16(1);
        out.u32(6);
        out.u16(COMMON.PING);
        out.u32(12);
        out.bytes(ping(4));
    });
    main.send(COMMON.LIST, list);
    assert.equal(new Reader((await main.message()).body).u32(), 4);
    server.close();
});

test("what the server notifies is told, and that it disconnects ends the session", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.main([]);
    const text = new TextEncoder().encode("keyboard is insecure");
    main.send(
        COMMON.NOTIFY,
        body((out) => {
            out.u64(1n);
            [1, 2, 0, text.length].forEach((value) => out.u32(value));
            out.bytes(text);
            out.u8(0);
        }),
    );
    assert.deepEqual(await bench.posts({ type: "notify" }), {
        type: "notify",
        text: "keyboard is insecure",
        severity: 1,
    });
    main.send(
        COMMON.DISCONNECTING,
        body((out) => {
            out.u64(1n);
            out.u32(0);
        }),
    );
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /ended/);
    await main.gone();
    assert.deepEqual(bench.timers, []);
    server.close();
});

test("who leaves says so", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    const main = await server.main([]);
    await bench.posts({ type: "session" });
    bench.say({ type: "disconnect" });
    await main.until(CLIENT_COMMON.DISCONNECTING);
    await main.gone();
    await bench.posts({ type: "state", state: "closed" });
    server.close();
});

test("figures are told once a second while somebody looks", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url);
    await server.main([]);
    await bench.posts({ type: "session" });
    bench.pass(1000);
    const figures = await bench.posts({ type: "figures" });
    assert.ok(figures.bytes > 200, `${figures.bytes}`);
    assert.equal(figures.roundTrip, 0);
    bench.say({ type: "visible", visible: false });
    bench.pass(1000);
    bench.say({ type: "visible", visible: true });
    bench.pass(30_000);
    assert.deepEqual(await bench.posts({ type: "figures" }), {
        type: "figures",
        roundTrip: null,
        frames: 0,
        bytes: 0,
        codec: "",
        video: "",
        dropped: 0,
    });
    assert.equal(bench.posted.filter(({ type }) => type === "figures").length, 2);
    server.close();
});
