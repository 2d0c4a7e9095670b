// A SPICE server that says what a test wants, over TCP with the real link stage.

import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { after } from "node:test";

import { Incoming, framed, nextFrame } from "../page/protocol/framing.js";
import { CHANNEL, COMMON_CAP, LINK, MAIN, capWords } from "../page/protocol/names.js";
import { Reader, Writer } from "../page/protocol/reader.js";
import { woken } from "./session_platform.js";

const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
const KEY = publicKey.export({ type: "spki", format: "der" });

/** @type {Set<ScriptedServer>} those that listen */
const servers = new Set();
// A test that has failed has not closed its own, and would keep the process.
after(() => servers.forEach((server) => server.close()));

/**
 * Bytes of a message.
 * @param {(out: Writer) => void} put
 */
export function bytes(put) {
    const out = new Writer();
    put(out);
    return out.finish();
}

/** Body of the main channel's INIT. */
export function mainInit({ session = 77, supported = 3, mode = 1, agent = 0, tokens = 10, time = 1000 } = {}) {
    return bytes((out) => [session, 1, supported, mode, agent, tokens, time, 0].forEach((value) => out.u32(value)));
}

/**
 * Body of CHANNELS_LIST.
 * @param {[number, number][]} channels types and ids
 */
export function channelsList(channels) {
    return bytes((out) => {
        out.u32(channels.length);
        channels.flat().forEach((value) => out.u8(value));
    });
}

/** The server's side of one channel. */
export class Peer {
    /** @param {net.Socket} socket */
    constructor(socket) {
        this.socket = socket;
        this.incoming = new Incoming();
        this.session = 0;
        this.type = 0;
        this.id = 0;
        /** @type {number[]} */
        this.common = [];
        /** @type {number[]} */
        this.caps = [];
        this.password = "";
        this.mini = true;
        this.sent = 0n;
        /** @type {(() => void)[]} */
        this.wakers = [];
        this.ended = false;
        const wake = () => this.wakers.splice(0).forEach((waker) => waker());
        socket.on("data", (data) => {
            this.incoming.push(new Uint8Array(data));
            wake();
        });
        socket.on("error", () => {});
        socket.on("close", () => {
            this.ended = true;
            wake();
        });
    }

    /**
     * What `get` finds, as soon as enough has come.
     * @template T
     * @param {() => T | null} get
     * @returns {Promise<T>}
     */
    async when(get) {
        for (;;) {
            const found = get();
            if (found !== null) {
                return found;
            }
            if (this.ended) {
                throw new Error(`channel ${this.type}: the client has gone`);
            }
            await woken(this.wakers, () => `channel ${this.type}: the client does not say what is waited for`);
        }
    }

    /** @param {number} count */
    take(count) {
        return this.when(() => this.incoming.take(count));
    }

    /** The next message of the client. */
    message() {
        return this.when(() => nextFrame(this.incoming, this.mini, 1 << 26));
    }

    /**
     * The body of the next message of a type; those before are passed over.
     * @param {number} type
     */
    async until(type) {
        for (;;) {
            const frame = await this.message();
            if (frame.type === type) {
                return frame.body;
            }
        }
    }

    /**
     * @param {number} type
     * @param {Uint8Array} [body]
     */
    send(type, body = new Uint8Array(0)) {
        this.sent += 1n;
        this.socket.write(framed(type, body, this.mini, this.sent));
    }

    /** The connection is cut. */
    cut() {
        this.socket.destroy();
    }

    /** The client has ended the connection. */
    async gone() {
        await this.when(() => (this.ended ? true : null)).catch(() => {});
    }
}

/**
 * @typedef {object} Script
 * @property {(peer: Peer) => number} [reply] link error of the reply; OK by default
 * @property {(peer: Peer) => number} [result] link error of the result; OK by default
 * @property {(peer: Peer) => number[]} [caps] capabilities of the channel, as bits
 * @property {number[]} [common] common capabilities, as bits
 * @property {(peer: Peer, message: Uint8Array) => Uint8Array | null} [raw] what is sent in place of the link reply
 */

/** A server on a port of its own. */
export class ScriptedServer {
    /** @param {Script} script */
    constructor(script) {
        this.script = script;
        /** @type {Map<string, Peer[]>} linked channels that nobody has asked for */
        this.linked = new Map();
        /** @type {Map<string, ((peer: Peer) => void)[]>} */
        this.wanted = new Map();
        /** @type {Set<net.Socket>} */
        this.sockets = new Set();
        this.connections = 0;
        this.server = net.createServer((socket) => {
            this.connections++;
            this.sockets.add(socket);
            socket.on("close", () => this.sockets.delete(socket));
            // A client that goes away in the middle is for the test to see.
            this.serve(new Peer(socket)).catch(() => socket.destroy());
        });
    }

    /** @param {Script} [script] */
    static async listen(script = {}) {
        const server = new ScriptedServer(script);
        servers.add(server);
        server.server.listen(0, "127.0.0.1");
        await once(server.server, "listening");
        return server;
    }

    get url() {
        return `tcp://127.0.0.1:${/** @type {net.AddressInfo} */ (this.server.address()).port}`;
    }

    /** @param {Peer} peer */
    async serve(peer) {
        const { script } = this;
        const header = new Reader(await peer.take(16));
        header.skip(12);
        const message = new Reader(await peer.take(header.u32()));
        peer.session = message.u32();
        peer.type = message.u8();
        peer.id = message.u8();
        const counts = [message.u32(), message.u32()];
        message.u32();
        [peer.common, peer.caps] = counts.map((count) => Array.from({ length: count }, () => message.u32()));
        const raw = script.raw?.(peer, message.bytes);
        if (raw) {
            peer.socket.end(raw);
            return;
        }
        const error = script.reply?.(peer) ?? LINK.OK;
        const common = capWords(
            script.common ?? [COMMON_CAP.AUTH_SELECTION, COMMON_CAP.AUTH_SPICE, COMMON_CAP.MINI_HEADER],
        );
        peer.mini = (((common[0] ?? 0) & (peer.common[0] ?? 0)) >> COMMON_CAP.MINI_HEADER) % 2 === 1;
        peer.socket.write(linkReply(error, common, capWords(script.caps?.(peer) ?? [])));
        if (error !== LINK.OK) {
            peer.socket.end();
            return;
        }
        if (common[0] & 1) {
            new Reader(await peer.take(4)).u32();
        }
        const ticket = await peer.take(128);
        const text = privateDecrypt(
            { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" },
            ticket,
        );
        peer.password = text.toString();
        const result = script.result?.(peer) ?? LINK.OK;
        peer.socket.write(bytes((out) => out.u32(result)));
        if (result !== LINK.OK) {
            peer.socket.end();
            return;
        }
        const key = `${peer.type}:${peer.id}`;
        const wanted = this.wanted.get(key)?.shift();
        if (wanted) {
            wanted(peer);
        } else {
            this.linked.set(key, [...(this.linked.get(key) ?? []), peer]);
        }
    }

    /**
     * The next connection of a channel that is linked.
     * @param {number} type
     * @param {number} [id]
     * @returns {Promise<Peer>}
     */
    channel(type, id = 0) {
        const key = `${type}:${id}`;
        const peer = this.linked.get(key)?.shift();
        if (peer) {
            return Promise.resolve(peer);
        }
        return new Promise((resolve) => this.wanted.set(key, [...(this.wanted.get(key) ?? []), resolve]));
    }

    /**
     * The main channel, after INIT and the list of channels.
     * @param {[number, number][]} channels types and ids
     * @param {object} [init] as for mainInit
     */
    async main(channels, init = {}) {
        const main = await this.channel(CHANNEL.MAIN);
        main.send(MAIN.INIT, mainInit(init));
        main.send(MAIN.CHANNELS_LIST, channelsList(channels));
        return main;
    }

    close() {
        servers.delete(this);
        this.server.close();
        this.sockets.forEach((socket) => socket.destroy());
    }
}

/**
 * @param {number} error
 * @param {number[]} common words
 * @param {number[]} channel words
 * @param {Uint8Array} [key]
 */
export function linkReply(error, common, channel, key = KEY) {
    const words = error === LINK.OK ? [...common, ...channel] : [];
    return bytes((out) => {
        [0x51444552, 2, 2, 178 + 4 * words.length, error].forEach((value) => out.u32(value));
        out.bytes(error === LINK.OK ? key : new Uint8Array(162));
        out.u32(error === LINK.OK ? common.length : 0);
        out.u32(error === LINK.OK ? channel.length : 0);
        out.u32(178);
        words.forEach((word) => out.u32(word));
    });
}
