import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import test from "node:test";

import { AGENT, AGENT_CAP, agentMessage } from "../page/protocol/agent.js";
import { Incoming, framed, nextFrame } from "../page/protocol/framing.js";
import {
    CHANNEL,
    CLIENT_COMMON,
    COMMON,
    CURSOR,
    DISPLAY,
    INPUTS,
    MAIN,
    PLAYBACK,
    capWords,
} from "../page/protocol/names.js";
import { Writer } from "../page/protocol/reader.js";
import { Bench } from "./session_platform.js";
import { bytes, channelsList, linkReply, mainInit } from "./session_server.js";

const SEED = 0x5eed;
const MUTATIONS = 150;
const KEY = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ type: "spki", format: "der" });
const MINI_AND_SELECTION = capWords([0, 1, 3]);

/** @param {number} seed of a sequence of numbers from 0 to 1: mulberry32 */
function chance(seed) {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
    };
}

/** A server in the same process, which links every channel and then says what a test wants. */
class Server {
    /** @param {(reply: Uint8Array) => Uint8Array} [spoil] what becomes of the link reply and result */
    constructor(spoil = (reply) => reply) {
        this.spoil = spoil;
        /** @type {Map<string, {socket: any, incoming: Incoming, serial: bigint}>} */
        this.links = new Map();
        this.bench = new Bench({ connect: () => this.connect() });
        this.bench.connect("here");
    }

    connect() {
        /** @type {import("../page/session/platform.js").Socket} */
        const socket = {
            onbytes: null,
            onclose: null,
            close: () => {},
            send: (message) => {
                const type = message[20];
                const link = { socket, incoming: new Incoming(), serial: 0n };
                socket.send = (said) => link.incoming.push(said);
                this.links.set(`${type}:${message[21]}`, link);
                this.asked = link;
            },
        };
        return socket;
    }

    /** Answers the last link message. */
    answer() {
        const reply = new Writer();
        reply.bytes(linkReply(0, MINI_AND_SELECTION, [], KEY));
        reply.u32(0);
        this.asked?.socket.onbytes?.(this.spoil(reply.finish()));
    }

    /**
     * @param {number} channel type
     * @param {number} type
     * @param {Uint8Array} body
     */
    say(channel, type, body) {
        const link = this.links.get(`${channel}:0`);
        assert.ok(link, `channel ${channel} is linked`);
        link.serial += 1n;
        link.socket.onbytes?.(framed(type, body, true, link.serial));
    }

    /** A session with a channel of its own. */
    start(/** @type {number} */ channel) {
        this.answer();
        if (channel === CHANNEL.MAIN) {
            return;
        }
        this.bench.say({ type: "audio", on: true });
        this.say(CHANNEL.MAIN, MAIN.INIT, mainInit());
        this.say(CHANNEL.MAIN, MAIN.CHANNELS_LIST, channelsList([[channel, 0]]));
        this.answer();
    }

    /** Whether the session has ended, with a reason; else its channel still answers. */
    async ended(/** @type {number} */ channel) {
        // What is decoded meanwhile is given back.
        await new Promise((resolve) => setImmediate(resolve));
        const { posted, session } = this.bench;
        const isIdle = () => session.state === "idle";
        if (isIdle()) {
            const last = posted.at(-1);
            assert.equal(last.state, "closed");
            assert.ok(last.reason.length > 0);
            return true;
        }
        const link = this.links.get(`${channel}:0`);
        if (session.waiting.length === 0 && session.channels.has(`${channel}:0`)) {
            assert.ok(link);
            const before = link.incoming.length;
            this.say(channel, COMMON.PING, new Uint8Array(12));
            await new Promise((resolve) => setImmediate(resolve));
            assert.ok(isIdle() || link.incoming.length > before, "a ping is answered");
        }
        return isIdle();
    }
}

/** @param {...number} values of 32 bits each */
const words = (...values) => bytes((out) => values.forEach((value) => out.u32(value)));

const wait = bytes((out) => {
    out.u8(2);
    for (const id of [7, 8]) {
        out.u8(CHANNEL.DISPLAY);
        out.u8(id);
        out.u64(5n);
    }
});

const list = bytes((out) => {
    out.u16(2);
    out.u32(10);
    out.u32(28);
    for (const id of [1, 2]) {
        out.u16(COMMON.PING);
        out.u32(12);
        out.u32(id);
        out.u64(0n);
    }
});

const clip = (/** @type {Writer} */ out) => {
    out.u8(1);
    out.u32(2);
    [0, 0, 5, 5, 1, 1, 9, 9].forEach((value) => out.i32(value));
};

const streamCreate = bytes((out) => {
    out.u32(0);
    out.u32(3);
    out.u8(1);
    out.u8(1);
    out.u64(0n);
    [8, 8, 8, 8].forEach((value) => out.u32(value));
    [0, 0, 8, 8].forEach((value) => out.i32(value));
    clip(out);
});

const shape = (/** @type {Writer} */ out) => {
    out.u8(1);
    out.u16(2);
    out.u64(5n);
    out.u8(2);
    [9, 3, 0, 0].forEach((value) => out.u16(value));
    out.bytes(new Uint8Array(5 * 3 + 16 * 4 + 2 * 3));
};

/** @param {Uint8Array} data */
const piece = (data) => [MAIN.AGENT_DATA, data, 0];

/** @type {[number, Uint8Array][]} */
const SURFACE = [[DISPLAY.SURFACE_CREATE, words(0, 64, 48, 32, 1)]];
/** @type {[number, Uint8Array][]} */
const STREAM = [
    ...SURFACE,
    [DISPLAY.STREAM_CREATE, streamCreate],
    [DISPLAY.STREAM_ACTIVATE_REPORT, words(3, 1, 1, 1000)],
];
/** @type {[number, Uint8Array][]} */
const INIT = [[MAIN.INIT, mainInit({ agent: 1 })]];
/** @type {[number, Uint8Array][]} */
const MODERN = [
    ...INIT,
    [
        MAIN.AGENT_DATA,
        agentMessage(AGENT.ANNOUNCE_CAPABILITIES, (out) => {
            out.u32(0);
            capWords([AGENT_CAP.CLIPBOARD_BY_DEMAND, AGENT_CAP.CLIPBOARD_SELECTION]).forEach((word) => out.u32(word));
        }),
    ],
];

/**
 * Messages: channel, type, body, how many bytes it cannot do without, and what is said before.
 * @type {[number, number, Uint8Array, number, [number, Uint8Array][]][]}
 */
const MESSAGES = [];
/**
 * @param {number} channel
 * @param {any[][]} messages type, body, and bytes it cannot do without if those are not all
 * @param {[number, Uint8Array][]} [before]
 */
const add = (channel, messages, before = []) =>
    messages.forEach(([type, body, least = body.length]) => MESSAGES.push([channel, type, body, least, before]));

add(CHANNEL.MAIN, [[MAIN.INIT, mainInit({ agent: 1 })]]);
add(
    CHANNEL.MAIN,
    [
        [COMMON.SET_ACK, words(1, 2)],
        [COMMON.PING, new Uint8Array(12)],
        [COMMON.WAIT_FOR_CHANNELS, wait],
        [COMMON.DISCONNECTING, words(0, 0, 1)],
        [
            COMMON.NOTIFY,
            bytes((out) => {
                out.u64(0n);
                [1, 1, 0, 3].forEach((value) => out.u32(value));
                out.bytes(Uint8Array.of(65, 66, 67));
            }),
        ],
        [COMMON.LIST, list],
        [
            MAIN.CHANNELS_LIST,
            channelsList([
                [2, 0],
                [2, 1],
                [3, 0],
                [4, 0],
                [5, 0],
            ]),
        ],
        [MAIN.MOUSE_MODE, new Uint8Array(4)],
        [MAIN.MULTI_MEDIA_TIME, words(1)],
        [MAIN.AGENT_CONNECTED_TOKENS, words(9)],
        [MAIN.AGENT_DISCONNECTED, words(0)],
        [MAIN.AGENT_TOKEN, words(1)],
        [
            MAIN.NAME,
            bytes((out) => {
                out.u32(5);
                out.bytes(Uint8Array.of(1, 2, 3, 4, 0));
            }),
        ],
        [MAIN.UUID, new Uint8Array(16).fill(1)],
        piece(MODERN[1][1]),
    ],
    INIT,
);
add(
    CHANNEL.MAIN,
    [
        piece(agentMessage(AGENT.CLIPBOARD_GRAB, (out) => [0, 1, 2].forEach((value) => out.u32(value)))),
        piece(agentMessage(AGENT.CLIPBOARD_REQUEST, (out) => [0, 1].forEach((value) => out.u32(value)))),
        piece(agentMessage(AGENT.CLIPBOARD, (out) => [0, 1, 65].forEach((value) => out.u32(value)))),
        piece(agentMessage(AGENT.CLIPBOARD_RELEASE, (out) => out.u32(0))),
        piece(agentMessage(AGENT.FILE_XFER_STATUS, (out) => [1, 3].forEach((value) => out.u32(value)))),
    ],
    MODERN,
);
add(
    CHANNEL.DISPLAY,
    [
        [DISPLAY.MODE, words(10, 10, 32)],
        [
            DISPLAY.INVAL_LIST,
            bytes((out) => {
                out.u16(2);
                out.bytes(new Uint8Array(18).fill(1));
            }),
        ],
        [DISPLAY.INVAL_ALL_PIXMAPS, wait],
        [DISPLAY.INVAL_PALETTE, new Uint8Array(8)],
        [DISPLAY.SURFACE_CREATE, words(0, 64, 48, 32, 1)],
        [DISPLAY.SURFACE_DESTROY, words(0)],
        [
            DISPLAY.MONITORS_CONFIG,
            bytes((out) => {
                out.u16(2);
                out.u16(2);
                [0, 0, 30, 30, 0, 0, 0, 1, 0, 30, 30, 30, 0, 0].forEach((value) => out.u32(value));
            }),
        ],
        [DISPLAY.STREAM_CREATE, streamCreate],
        [DISPLAY.MARK, new Uint8Array(0)],
        [DISPLAY.RESET, new Uint8Array(0)],
        [DISPLAY.DRAW_COPY, new Uint8Array(60), 0],
    ],
    SURFACE,
);
add(
    CHANNEL.DISPLAY,
    [
        [DISPLAY.STREAM_DATA, words(3, 0, 4, 1)],
        [DISPLAY.STREAM_DATA_SIZED, words(3, 0, 5, 5, 0, 0, 5, 5, 4, 1)],
        [
            DISPLAY.STREAM_CLIP,
            bytes((out) => {
                out.u32(3);
                clip(out);
            }),
        ],
        [DISPLAY.STREAM_DESTROY, words(3)],
        [DISPLAY.STREAM_DESTROY_ALL, new Uint8Array(0)],
        [DISPLAY.STREAM_ACTIVATE_REPORT, words(3, 1, 5, 1000)],
    ],
    STREAM,
);
add(CHANNEL.INPUTS, [
    [INPUTS.INIT, new Uint8Array(2)],
    [INPUTS.KEY_MODIFIERS, new Uint8Array(2)],
    [INPUTS.MOUSE_MOTION_ACK, new Uint8Array(0)],
]);
add(CHANNEL.CURSOR, [
    [
        CURSOR.INIT,
        bytes((out) => {
            out.u32(0);
            out.u32(0);
            shape(out);
        }),
    ],
    [
        CURSOR.SET,
        bytes((out) => {
            out.u32(0);
            shape(out);
        }),
    ],
    [CURSOR.MOVE, words(0)],
    [CURSOR.TRAIL, words(0)],
    [CURSOR.INVAL_ONE, new Uint8Array(8)],
]);
add(CHANNEL.PLAYBACK, [
    [PLAYBACK.MODE, Uint8Array.of(0, 0, 0, 0, 1, 0)],
    [
        PLAYBACK.START,
        bytes((out) => {
            out.u32(2);
            out.u16(1);
            out.u32(48000);
            out.u32(0);
        }),
        10,
    ],
    [PLAYBACK.VOLUME, Uint8Array.of(2, 1, 1, 1, 1)],
    [PLAYBACK.MUTE, Uint8Array.of(1)],
    [PLAYBACK.DATA, new Uint8Array(20), 4],
]);

/**
 * A session that is told a message, after those before it.
 * @param {(typeof MESSAGES)[number]} message
 * @param {Uint8Array} body in place of its own
 */
async function told([channel, type, , , before], body) {
    const server = new Server();
    server.start(channel);
    before.forEach(([earlier, its]) => server.say(channel, earlier, its));
    server.say(channel, type, body);
    return server.ended(channel);
}

test("every message is understood whole, and ends the session when bytes are missing", async () => {
    for (const message of MESSAGES) {
        const [channel, type, body, least] = message;
        const name = `channel ${channel}, message ${type}`;
        assert.equal(await told(message, body), type === COMMON.DISCONNECTING, name);
        for (let length = 0; length < body.length; length++) {
            const ended = await told(message, body.subarray(0, length));
            assert.ok(ended || length >= least, `${name}, ${length} of ${body.length} bytes`);
        }
    }
});

test("whatever becomes of a message, the session goes on or says why not", async () => {
    const random = chance(SEED);
    const below = (/** @type {number} */ limit) => Math.floor(random() * limit);
    let ended = 0;
    for (const message of MESSAGES.filter(([, , body]) => body.length > 0)) {
        for (let count = 0; count < MUTATIONS; count++) {
            const body = message[2].slice();
            for (let change = 0; change <= below(3); change++) {
                const at = below(body.length);
                const value = [0, 0xff, 0x80, 0x7f, 1, below(256)][below(6)];
                body.fill(value, at, at + [1, 2, 4][below(3)]);
            }
            ended += (await told(message, body)) ? 1 : 0;
        }
    }
    assert.ok(ended > 1000, `${ended} were found`);
});

test("whatever becomes of the link, the session says so or waits for more", async () => {
    const random = chance(SEED);
    const whole = linkReply(0, MINI_AND_SELECTION, [], KEY).length + 4;
    for (let length = 0; length < whole; length++) {
        const server = new Server((reply) => reply.subarray(0, length));
        server.answer();
        assert.equal(server.bench.session.state, "connecting", `${length}`);
        server.asked?.socket.onclose?.("cut");
        assert.equal(server.bench.session.state, "idle");
    }
    for (let count = 0; count < 2000; count++) {
        const server = new Server((reply) => {
            const spoiled = reply.slice();
            spoiled[Math.floor(random() * whole)] = Math.floor(random() * 256);
            return spoiled;
        });
        server.answer();
        const { state } = server.bench.session;
        assert.ok(state === "connecting" || state === "idle", state);
    }
});

test("what the whole server says in mutated bytes is survived", async () => {
    const random = chance(SEED);
    for (let count = 0; count < 300; count++) {
        for (const channel of [CHANNEL.MAIN, CHANNEL.DISPLAY, CHANNEL.CURSOR]) {
            const server = new Server();
            server.start(channel);
            const out = new Writer();
            const its = MESSAGES.filter(([which, type]) => which === channel && type !== COMMON.DISCONNECTING);
            its.forEach(([, type, body]) => out.bytes(framed(type, body, true, 0n)));
            const stream = out.finish();
            for (let change = 0; change < 3; change++) {
                stream[Math.floor(random() * stream.length)] = Math.floor(random() * 256);
            }
            const link = server.links.get(`${channel}:0`);
            // In pieces of every size.
            for (let at = 0; at < stream.length;) {
                const size = 1 + Math.floor(random() * 40);
                link?.socket.onbytes?.(stream.slice(at, at + size));
                at += size;
            }
            await new Promise((resolve) => setImmediate(resolve));
        }
    }
});

test("bytes that come one by one are the same messages", () => {
    const incoming = new Incoming();
    const random = chance(SEED);
    const bodies = Array.from({ length: 300 }, () =>
        Uint8Array.from({ length: Math.floor(random() * 9000) }, () => Math.floor(random() * 256)),
    );
    const out = new Writer();
    bodies.forEach((body, index) => out.bytes(framed(index, body, index % 2 === 0, 1n)));
    const stream = out.finish();
    let seen = 0;
    for (let at = 0; at < stream.length;) {
        const size = [1, 1, 7, 4095, 4096, 5000][Math.floor(random() * 6)];
        incoming.push(stream.subarray(at, at + size));
        at += size;
        for (let frame; (frame = nextFrame(incoming, seen % 2 === 0, 1 << 20)) !== null; seen++) {
            assert.equal(frame.type, seen);
            assert.deepEqual(frame.body, bodies[seen]);
        }
    }
    assert.equal(seen, bodies.length);
    assert.equal(incoming.length, 0);
});

test("a server that goes on without waiting is stopped", () => {
    const server = new Server();
    server.start(CHANNEL.DISPLAY);
    SURFACE.forEach(([type, body]) => server.say(CHANNEL.DISPLAY, type, body));
    server.bench.canvases[0].hold = new Promise(() => {});
    server.say(CHANNEL.DISPLAY, DISPLAY.DRAW_COPY, new Uint8Array(100));
    const large = new Uint8Array(64 << 20);
    for (let count = 0; count < 8; count++) {
        server.say(CHANNEL.DISPLAY, DISPLAY.DRAW_COPY, large);
    }
    assert.match(server.bench.posted.at(-1).reason, /messages wait/);
});

test("acknowledgements go on while a session is busy with nothing", () => {
    const server = new Server();
    server.start(CHANNEL.INPUTS);
    server.say(CHANNEL.INPUTS, COMMON.SET_ACK, words(1, 1));
    server.say(CHANNEL.INPUTS, 999, new Uint8Array(3));
    const link = server.links.get(`${CHANNEL.INPUTS}:0`);
    assert.ok(link);
    link.incoming.take(132);
    const types = [];
    for (let frame; (frame = nextFrame(link.incoming, true, 100)) !== null;) {
        types.push(frame.type);
    }
    assert.deepEqual(types, [CLIENT_COMMON.ACK_SYNC, CLIENT_COMMON.ACK]);
});
