import assert from "node:assert/strict";
import test from "node:test";

import { AGENT, AGENT_CAP, AgentAssembler, PIECE_BYTES, agentMessage } from "../page/protocol/agent.js";
import { CHANNEL, CLIENT_MAIN, MAIN, capWords } from "../page/protocol/names.js";
import { Malformed, Reader } from "../page/protocol/reader.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, bytes } from "./session_server.js";

/** @typedef {import("../page/protocol/reader.js").Writer} Writer */

const MODERN = [
    AGENT_CAP.MONITORS_CONFIG,
    AGENT_CAP.CLIPBOARD_BY_DEMAND,
    AGENT_CAP.CLIPBOARD_SELECTION,
    AGENT_CAP.MAX_CLIPBOARD,
];

/** An agent behind a server. */
class Guest {
    /**
     * @param {ScriptedServer} server
     * @param {Bench} bench
     * @param {import("./session_server.js").Peer} main
     */
    constructor(server, bench, main) {
        this.server = server;
        this.bench = bench;
        this.main = main;
        this.assembler = new AgentAssembler();
        /** The client's capabilities. */
        this.words = 0;
    }

    /**
     * @param {number[]} caps of the agent
     * @param {{tokens?: number, before?: (bench: Bench) => void}} [options]
     */
    static async start(caps, { tokens = 1000, before = () => {} } = {}) {
        const server = await ScriptedServer.listen();
        const bench = new Bench();
        before(bench);
        bench.connect(server.url);
        const guest = new Guest(server, bench, await server.main([], { agent: 1, tokens }));
        await guest.main.until(CLIENT_MAIN.AGENT_START);
        const announced = new Reader(await guest.heard(AGENT.ANNOUNCE_CAPABILITIES));
        assert.equal(announced.u32(), 1);
        guest.words = announced.u32();
        guest.say(AGENT.ANNOUNCE_CAPABILITIES, (out) => {
            out.u32(0);
            capWords(caps).forEach((word) => out.u32(word));
        });
        return guest;
    }

    /**
     * @param {number} type
     * @param {(out: Writer) => void} [put]
     */
    say(type, put) {
        const message = agentMessage(type, put);
        for (let at = 0; at < message.length; at += PIECE_BYTES) {
            this.main.send(MAIN.AGENT_DATA, message.subarray(at, at + PIECE_BYTES));
        }
    }

    /**
     * The data of the next message of the client, which is of this type.
     * @param {number} type
     */
    async heard(type) {
        for (;;) {
            const piece = await this.main.until(CLIENT_MAIN.AGENT_DATA);
            assert.ok(piece.length <= PIECE_BYTES);
            const message = this.assembler.push(piece);
            if (message !== null) {
                assert.equal(message.type, type);
                return message.data;
            }
        }
    }
}

/**
 * @param {(out: Writer) => void} put
 * @returns {(out: Writer) => void} behind the selection of copy and paste
 */
const selected = (put) => (out) => {
    out.u32(0);
    put(out);
};

test("the client says what it can, and not that it counts grabs", async () => {
    const guest = await Guest.start([]);
    assert.equal(guest.words, 0x00015067);
    assert.equal((guest.words >> 17) & 1, 0);
    guest.server.close();
});

test("text and pictures go from the guest's clipboard to the page's", async () => {
    const guest = await Guest.start(MODERN);
    await guest.heard(AGENT.MAX_CLIPBOARD);
    guest.say(
        AGENT.CLIPBOARD_GRAB,
        selected((out) => [1, 2, 3, 99].forEach((type) => out.u32(type))),
    );
    assert.deepEqual((await guest.bench.posts({ type: "clipboard", what: "offer" })).types, [
        "text/plain",
        "image/png",
    ]);
    const text = "héllo\nworld ".repeat(1000);
    for (const [kind, type, data] of /** @type {[string, number, Uint8Array][]} */ ([
        ["text/plain", 1, new TextEncoder().encode(text)],
        ["image/png", 2, Uint8Array.from({ length: 5000 }, (_, index) => index)],
    ])) {
        guest.bench.say({ type: "clipboardRequest", kind });
        const asked = new Reader(await guest.heard(AGENT.CLIPBOARD_REQUEST));
        assert.deepEqual([asked.u32(), asked.u32(), asked.left], [0, type, 0]);
        guest.say(
            AGENT.CLIPBOARD,
            selected((out) => {
                out.u32(type);
                out.bytes(data);
            }),
        );
        const found = await guest.bench.posts({ type: "clipboard", what: "data" });
        assert.equal(found.kind, kind);
        assert.deepEqual(type === 1 ? found.data : new Uint8Array(found.data), type === 1 ? text : data);
    }
    // The selection of the middle button is not that of copy and paste.
    guest.say(AGENT.CLIPBOARD_GRAB, (out) => [1, 1].forEach((value) => out.u32(value)));
    guest.say(
        AGENT.CLIPBOARD_RELEASE,
        selected(() => {}),
    );
    const next = await guest.bench.posts({ type: "clipboard" });
    assert.equal(next.what, "release");
    guest.server.close();
});

test("the guest is given what it asks for of what the page offers, with its own ends of lines", async () => {
    const guest = await Guest.start([...MODERN, AGENT_CAP.GUEST_LINEEND_CRLF]);
    await guest.heard(AGENT.MAX_CLIPBOARD);
    guest.bench.say({ type: "clipboard", what: "offer", types: ["text/plain", "text/html"] });
    const grab = new Reader(await guest.heard(AGENT.CLIPBOARD_GRAB));
    assert.deepEqual([grab.u32(), grab.u32(), grab.left], [0, 1, 0]);
    guest.say(
        AGENT.CLIPBOARD_REQUEST,
        selected((out) => out.u32(1)),
    );
    await guest.bench.posts({ type: "clipboardRequest", kind: "text/plain" });
    guest.bench.say({ type: "clipboard", what: "data", kind: "text/plain", data: "one\ntwo\r\n" });
    const data = await guest.heard(AGENT.CLIPBOARD);
    assert.equal(new TextDecoder().decode(data.subarray(8)), "one\r\ntwo\r\n");
    // Back again, in ours.
    guest.bench.say({ type: "clipboardRequest", kind: "text/plain" });
    await guest.heard(AGENT.CLIPBOARD_REQUEST);
    guest.say(
        AGENT.CLIPBOARD,
        selected((out) => {
            out.u32(1);
            out.bytes(data.subarray(8));
        }),
    );
    assert.equal((await guest.bench.posts({ type: "clipboard", what: "data" })).data, "one\ntwo\n");
    // What is not there, and what was never offered, is nothing.
    guest.bench.say({ type: "clipboard", what: "data", kind: "text/plain", data: null });
    assert.equal(new Reader(await guest.heard(AGENT.CLIPBOARD), 4).u32(), 0);
    guest.bench.say({ type: "clipboard", what: "release" });
    await guest.heard(AGENT.CLIPBOARD_RELEASE);
    guest.say(
        AGENT.CLIPBOARD_REQUEST,
        selected((out) => out.u32(1)),
    );
    assert.equal(new Reader(await guest.heard(AGENT.CLIPBOARD), 4).u32(), 0);
    guest.server.close();
});

test("an agent without selections gets none", async () => {
    const guest = await Guest.start([AGENT_CAP.CLIPBOARD_BY_DEMAND]);
    await guest.bench.posts({ type: "session", clipboard: true });
    guest.bench.say({ type: "clipboard", what: "offer", types: ["image/png"] });
    assert.equal(new Reader(await guest.heard(AGENT.CLIPBOARD_GRAB)).u32(), 2);
    guest.server.close();
});

test("no more is sent than there are tokens for", async () => {
    const guest = await Guest.start(MODERN, { tokens: 4 });
    await guest.heard(AGENT.MAX_CLIPBOARD);
    guest.bench.say({ type: "clipboard", what: "offer", types: ["text/plain"] });
    await guest.heard(AGENT.CLIPBOARD_GRAB);
    const text = "x".repeat(10 * PIECE_BYTES);
    guest.bench.say({ type: "clipboard", what: "data", kind: "text/plain", data: text });
    const { main, bench } = guest;
    const agent = bench.session.main?.agent;
    await main.until(CLIENT_MAIN.AGENT_DATA);
    assert.equal(agent?.tokens, 0);
    const sent = () => bench.session.channels.get(`${CHANNEL.MAIN}:0`)?.sent ?? 0n;
    const before = sent();
    main.send(
        MAIN.AGENT_TOKEN,
        bytes((out) => out.u32(3)),
    );
    for (let count = 0; count < 3; count++) {
        assert.equal((await main.until(CLIENT_MAIN.AGENT_DATA)).length, PIECE_BYTES);
    }
    assert.equal(sent(), before + 3n);
    main.send(
        MAIN.AGENT_TOKEN,
        bytes((out) => out.u32(100)),
    );
    let rest = 0;
    for (let count = 0; count < 7; count++) {
        rest += (await main.until(CLIENT_MAIN.AGENT_DATA)).length;
    }
    // Its header, the selection and the type are 28 bytes more.
    assert.equal(rest + 4 * PIECE_BYTES, text.length + 28);
    guest.server.close();
});

test("the last layout of monitors is sent, also when it was wished for before the agent was there", async () => {
    const heads = [
        { x: 0, y: 0, width: 800, height: 600 },
        { x: 800, y: -5, width: 640, height: 480 },
    ];
    const guest = await Guest.start([AGENT_CAP.MONITORS_CONFIG], {
        before: (bench) => {
            bench.say({ type: "monitors", heads: [] });
            bench.say({ type: "monitors", heads });
        },
    });
    const reader = new Reader(await guest.heard(AGENT.MONITORS_CONFIG));
    assert.deepEqual([reader.u32(), reader.u32()], [2, 1]);
    const read = () => [reader.u32(), reader.u32(), reader.u32(), reader.i32(), reader.i32()];
    assert.deepEqual(
        [read(), read()],
        [
            [600, 800, 32, 0, 0],
            [480, 640, 32, 800, -5],
        ],
    );
    await guest.bench.posts({ type: "session", monitors: true });
    // The agent goes and comes again, with as many tokens as the server says.
    guest.main.send(
        MAIN.AGENT_DISCONNECTED,
        bytes((out) => out.u32(0)),
    );
    await guest.bench.posts({ type: "session", agent: false, monitors: false });
    guest.main.send(
        MAIN.AGENT_CONNECTED_TOKENS,
        bytes((out) => out.u32(5)),
    );
    await guest.main.until(CLIENT_MAIN.AGENT_START);
    await guest.heard(AGENT.ANNOUNCE_CAPABILITIES);
    guest.server.close();
});

/**
 * @param {string} name
 * @param {Uint8Array} data
 */
const file = (name, data) => ({
    name,
    size: data.length,
    slice: (/** @type {number} */ begin, /** @type {number} */ end) => new Blob([data.slice(begin, end)]),
});

test("several files arrive, in blocks that take turns, and one that is empty", async () => {
    // As many as the announcement and the begins need: no block is sent before all files may be.
    const guest = await Guest.start([], { tokens: 4 });
    const files = [
        file(
            "one.bin",
            Uint8Array.from({ length: 150_000 }, (_, index) => index % 251),
        ),
        file(
            "../two\n.bin",
            Uint8Array.from({ length: 70_000 }, (_, index) => index % 241),
        ),
        file("empty", new Uint8Array(0)),
    ];
    await guest.bench.posts({ type: "session", files: true });
    /** @type {Map<number, {data: number[]}>} */
    const arriving = new Map();
    for (const one of files) {
        guest.bench.say({ type: "file", file: one });
        const start = new Reader(await guest.heard(AGENT.FILE_XFER_START));
        const id = start.u32();
        const text = new TextDecoder().decode(start.take(start.left));
        const name = one.name.replace("../two\n", ".._two_");
        assert.equal(text, `[vdagent-file-xfer]\nname=${name}\nsize=${one.size}\n\0`);
        arriving.set(id, { data: [] });
    }
    const status = (/** @type {number} */ id, /** @type {number} */ result) =>
        guest.say(AGENT.FILE_XFER_STATUS, (out) => {
            out.u32(id);
            out.u32(result);
        });
    [...arriving.keys()].forEach((id) => status(id, 0));
    guest.main.send(
        MAIN.AGENT_TOKEN,
        bytes((out) => out.u32(1000)),
    );
    /** @type {number[]} */
    const order = [];
    while (order.length < 6) {
        const block = new Reader(await guest.heard(AGENT.FILE_XFER_DATA));
        const id = block.u32();
        const size = Number(block.u64());
        assert.equal(block.left, size);
        order.push(id);
        arriving.get(id)?.data.push(...block.take(size));
    }
    assert.deepEqual(order, [1, 2, 3, 1, 2, 1]);
    [...arriving.values()].forEach(({ data }, index) => {
        assert.equal(data.length, files[index].size);
        assert.ok(data.every((byte, at) => byte === at % [251, 241][index]));
    });
    [...arriving.keys()].forEach((id) => status(id, 3));
    for (const one of files) {
        const done = await guest.bench.posts({ type: "files", state: "done" });
        assert.deepEqual([done.name, done.sent], [one.name, one.size]);
    }
    guest.server.close();
});

test("files end when the person, the guest or the agent ends them", async () => {
    const guest = await Guest.start([]);
    await guest.bench.posts({ type: "session", files: true });
    const start = async () => {
        guest.bench.say({ type: "file", file: file("a", new Uint8Array(10)) });
        return new Reader(await guest.heard(AGENT.FILE_XFER_START)).u32();
    };
    const first = await start();
    guest.bench.say({ type: "fileCancel", id: first });
    const cancel = new Reader(await guest.heard(AGENT.FILE_XFER_STATUS));
    assert.deepEqual([cancel.u32(), cancel.u32()], [first, 1]);
    await guest.bench.posts({ type: "files", id: first, state: "cancelled" });
    const second = await start();
    guest.say(AGENT.FILE_XFER_STATUS, (out) => {
        out.u32(second);
        out.u32(4);
        out.u64(0n);
    });
    assert.match((await guest.bench.posts({ type: "files", id: second, state: "failed" })).reason, /space/);
    const third = await start();
    guest.main.send(
        MAIN.AGENT_DISCONNECTED,
        bytes((out) => out.u32(0)),
    );
    assert.match((await guest.bench.posts({ type: "files", id: third, state: "failed" })).reason, /gone/);
    guest.bench.say({ type: "file", file: file("b", new Uint8Array(1)) });
    await guest.bench.posts({ type: "files", name: "b", state: "failed" });
    guest.server.close();
});

test("what is no message of an agent is found", () => {
    const whole = agentMessage(AGENT.CLIPBOARD, (out) => out.bytes(new Uint8Array(100)));
    const cases = [
        [whole.subarray(0, 19)],
        [Uint8Array.of(2, ...whole.subarray(1))],
        [Uint8Array.of(...whole, 0)],
        [whole.subarray(0, 40), whole.subarray(40), whole.subarray(40)],
        [bytes((out) => [1, 4, 0, 0, 0xffffffff].forEach((value) => out.u32(value)))],
    ];
    for (const pieces of cases) {
        const assembler = new AgentAssembler();
        assert.throws(() => pieces.forEach((piece) => assembler.push(piece)), Malformed);
    }
    const assembler = new AgentAssembler();
    let message = null;
    whole.forEach((_, at) => {
        message ??= at < 20 ? null : assembler.push(at === 20 ? whole.subarray(0, 21) : whole.subarray(at, at + 1));
    });
    assert.deepEqual(message, { type: AGENT.CLIPBOARD, data: new Uint8Array(100) });
});
