// The main channel: the session itself, its channels, the mouse mode, and the way to the agent.

import { MAIN, CLIENT_MAIN, CHANNEL, MAIN_CAP, capWords } from "../protocol/names.js";
import { Malformed, Reader, Writer, shortText } from "../protocol/reader.js";
import { Agent } from "./agent.js";

/** @typedef {import("./channel.js").Handler} Handler */
/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {"client" | "server"} MouseMode */

/** Mouse modes on the wire. */
const SERVER_MODE = 1;
const CLIENT_MODE = 2;

/** Most bytes of a name that are shown. */
const NAME_BYTES = 256;
/** Most bytes of a message; the longest are pings that measure the link, of 256,000 bytes. */
const MESSAGE_MAX = 1 << 20;

/**
 * What there is to know about the session.
 * @typedef {object} SessionInfo
 * @property {string} name of the VM
 * @property {string} uuid of the VM, in its usual form; empty when it has none
 * @property {MouseMode} mouseMode as it is now
 * @property {MouseMode[]} mouseModes those there are
 * @property {boolean} agent whether the guest's agent is there
 * @property {boolean} clipboard whether the agent shares the clipboard
 * @property {boolean} files whether it takes files
 * @property {boolean} monitors whether it, or the guest's display driver, takes a layout of monitors
 */

/**
 * @typedef {object} MainOwner
 * @property {import("./platform.js").Platform} platform
 * @property {(init: {session: number, time: number, ram: number}) => void} started INIT has come; media time in ms
 * @property {(channels: {type: number, id: number}[]) => void} channels these are there
 * @property {(time: number) => void} mediaTime
 * @property {() => void} changed something of the session has
 */

/** @implements {Handler} */
export class Main {
    /**
     * @param {MainOwner} owner
     * @param {MouseMode | null} wish for the mouse mode; null: whatever others have
     */
    constructor(owner, wish) {
        this.owner = owner;
        this.type = CHANNEL.MAIN;
        this.id = 0;
        this.most = MESSAGE_MAX;
        this.caps = capWords([MAIN_CAP.NAME_AND_UUID, MAIN_CAP.AGENT_CONNECTED_TOKENS, MAIN_CAP.RESUME]);
        this.wish = wish;
        this.begun = false;
        this.name = "";
        this.uuid = "";
        this.supported = SERVER_MODE;
        /** Modes there are, as the server has said. */
        this.told = 0;
        this.mode = SERVER_MODE;
        /** @type {Channel | null} */
        this.channel = null;
        this.agent = new Agent({
            post: (message, transfer) => owner.platform.post(message, transfer),
            send: (piece) => this.channel?.send(CLIENT_MAIN.AGENT_DATA, piece),
            changed: () => owner.changed(),
        });
    }

    /** @param {Channel} channel */
    linked(channel) {
        this.channel = channel;
    }

    /** @returns {SessionInfo} */
    info() {
        const { agent } = this;
        /** @type {MouseMode[]} */
        const mouseModes = [];
        if (this.supported & SERVER_MODE) {
            mouseModes.push("server");
        }
        if (this.supported & CLIENT_MODE) {
            mouseModes.push("client");
        }
        return {
            name: this.name,
            uuid: this.uuid,
            mouseMode: this.mode === CLIENT_MODE ? "client" : "server",
            mouseModes,
            agent: agent.connected,
            clipboard: agent.sharesClipboard,
            files: agent.takesFiles,
            monitors: agent.takesMonitors,
        };
    }

    /** @param {MouseMode} wish */
    wishMouse(wish) {
        this.wish = wish;
        this.askMouse();
    }

    askMouse() {
        const mode = modeOf(this.wish);
        if (this.begun && this.supported & mode && this.mode !== mode) {
            const out = new Writer();
            out.u16(mode);
            this.channel?.send(CLIENT_MAIN.MOUSE_MODE_REQUEST, out.finish());
        }
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     * @param {Channel} channel
     */
    message(type, body, channel) {
        const reader = new Reader(body);
        if (type === MAIN.INIT) {
            this.init(reader, channel);
            return;
        }
        if (!this.begun) {
            throw new Malformed(`main: message ${type} comes before INIT`);
        }
        switch (type) {
            case MAIN.CHANNELS_LIST:
                this.owner.channels(readChannels(reader));
                break;
            case MAIN.MOUSE_MODE:
                this.mouse(reader.u16(), reader.u16());
                break;
            case MAIN.MULTI_MEDIA_TIME:
                this.owner.mediaTime(reader.u32());
                break;
            case MAIN.NAME:
                this.name = readText(reader);
                this.owner.changed();
                break;
            case MAIN.UUID:
                this.uuid = uuidText(reader.take(16));
                this.owner.changed();
                break;
            case MAIN.AGENT_CONNECTED:
                this.startAgent(null);
                break;
            case MAIN.AGENT_CONNECTED_TOKENS:
                this.startAgent(reader.u32());
                break;
            case MAIN.AGENT_DISCONNECTED:
                reader.u32();
                this.agent.gone();
                break;
            case MAIN.AGENT_DATA:
                this.agent.receive(body);
                break;
            case MAIN.AGENT_TOKEN:
                this.agent.grant(reader.u32());
                break;
            default:
        }
    }

    /**
     * @param {Reader} reader
     * @param {Channel} channel
     */
    init(reader, channel) {
        if (this.begun) {
            throw new Malformed("main: INIT comes a second time");
        }
        const session = reader.u32();
        reader.u32();
        const [supported, mode] = [reader.u32(), reader.u32()];
        const connected = reader.u32();
        const tokens = reader.u32();
        const [time, ram] = [reader.u32(), reader.u32()];
        this.begun = true;
        this.owner.started({ session, time, ram });
        this.mouse(supported, mode);
        this.agent.tokens = tokens;
        if (connected !== 0) {
            this.startAgent(tokens);
        }
        channel.send(CLIENT_MAIN.ATTACH_CHANNELS);
    }

    /**
     * @param {number} supported mask
     * @param {number} mode
     */
    mouse(supported, mode) {
        // Others may wish for another one: each asks when there is its mode, and not when it is changed.
        const isNew = (supported & ~this.told & modeOf(this.wish)) !== 0;
        this.told = supported;
        this.supported = supported;
        this.mode = mode;
        this.owner.changed();
        if (isNew) {
            this.askMouse();
        }
    }

    /** @param {number | null} tokens null: those there were */
    startAgent(tokens) {
        const out = new Writer();
        // As much as the server likes: what comes is used at once.
        out.u32(0xffffffff);
        this.channel?.send(CLIENT_MAIN.AGENT_START, out.finish());
        this.agent.start(tokens);
    }
}

/** @param {MouseMode | null} wish */
const modeOf = (wish) => (wish === null ? 0 : wish === "client" ? CLIENT_MODE : SERVER_MODE);

/** @param {Reader} reader */
function readChannels(reader) {
    const count = reader.u32();
    if (count * 2 > reader.left) {
        throw new Malformed(`channels list: ${count} channels are not in ${reader.left} bytes`);
    }
    return Array.from({ length: count }, () => ({ type: reader.u8(), id: reader.u8() }));
}

/** @param {Reader} reader */
function readText(reader) {
    const text = shortText(reader.take(reader.u32()), NAME_BYTES);
    const end = text.indexOf("\0");
    return end < 0 ? text : text.slice(0, end);
}

/** @param {Uint8Array} bytes 16 */
function uuidText(bytes) {
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const parts = [
        digits.slice(0, 8),
        digits.slice(8, 12),
        digits.slice(12, 16),
        digits.slice(16, 20),
        digits.slice(20),
    ];
    return /[1-9a-f]/.test(digits) ? parts.join("-") : "";
}
