// What goes between the page and the guest's agent: clipboard, files, monitors.

import {
    AGENT,
    AGENT_CAP,
    AgentAssembler,
    CLIPBOARD_TYPE,
    PIECE_BYTES,
    agentMessage,
    monitorsMessage,
} from "../protocol/agent.js";
import { capWords, hasCap } from "../protocol/names.js";
import { Reader } from "../protocol/reader.js";
import { Files } from "./files.js";

/** Most bytes of a clipboard in either direction. */
export const CLIPBOARD_MAX = 32 << 20;

/** Clipboards other than that of copy and paste, which browsers do not have, are passed over. */
const SELECTION_CLIPBOARD = 0;

/** @type {Map<number, string>} kinds of contents, by their numbers */
const KINDS = new Map([
    [CLIPBOARD_TYPE.UTF8_TEXT, "text/plain"],
    [CLIPBOARD_TYPE.IMAGE_PNG, "image/png"],
]);

/** What this client says that it can. */
const CAPS = capWords([
    AGENT_CAP.MOUSE_STATE,
    AGENT_CAP.MONITORS_CONFIG,
    AGENT_CAP.REPLY,
    AGENT_CAP.CLIPBOARD_BY_DEMAND,
    AGENT_CAP.CLIPBOARD_SELECTION,
    AGENT_CAP.MONITORS_CONFIG_POSITION,
    AGENT_CAP.FILE_XFER_DETAILED_ERRORS,
    AGENT_CAP.CLIPBOARD_NO_RELEASE_ON_REGRAB,
]);

/**
 * @typedef {object} AgentOwner
 * @property {(message: any, transfer?: Transferable[]) => void} post to the main thread
 * @property {(piece: Uint8Array) => void} send an AGENT_DATA
 * @property {() => void} changed what the agent can, or whether it is there
 */

export class Agent {
    /** @param {AgentOwner} owner */
    constructor(owner) {
        this.owner = owner;
        this.assembler = new AgentAssembler();
        this.connected = false;
        /** @type {number[] | null} what the agent can, in words; null until it has said so */
        this.caps = null;
        /** How many AGENT_DATA may be sent. */
        this.tokens = 0;
        /** @type {Uint8Array[]} messages that wait; the first may have been sent in part */
        this.waiting = [];
        this.at = 0;
        /** @type {Set<string>} kinds that the guest has asked for, and has not been sent yet */
        this.answering = new Set();
        /** @type {Set<string>} those of them whose answer waits to be sent */
        this.answered = new Set();
        /** Whether the page has something on its clipboard that the guest may ask for. */
        this.offers = false;
        /** @type {{x: number, y: number, width: number, height: number}[] | null} the last layout wished for */
        this.heads = null;
        this.files = new Files({ post: (message) => owner.post(message), wake: () => this.flush() });
    }

    /** @param {number} cap */
    can(cap) {
        return this.caps !== null && hasCap(this.caps, cap);
    }

    get sharesClipboard() {
        return this.can(AGENT_CAP.CLIPBOARD_BY_DEMAND);
    }

    get takesFiles() {
        return this.caps !== null && !this.can(AGENT_CAP.FILE_XFER_DISABLED);
    }

    get takesMonitors() {
        return this.can(AGENT_CAP.MONITORS_CONFIG);
    }

    /**
     * The agent is there.
     * @param {number | null} tokens null: those there were
     */
    start(tokens) {
        this.reset();
        this.connected = true;
        if (tokens !== null) {
            this.tokens = tokens;
        }
        this.announce(1);
        this.owner.changed();
    }

    /** The agent is not there any more. */
    gone() {
        this.reset();
        this.owner.changed();
    }

    reset() {
        if (this.caps !== null && this.sharesClipboard) {
            this.owner.post({ type: "clipboard", what: "release" });
        }
        this.assembler.reset();
        this.waiting = [];
        this.answering.clear();
        this.answered.clear();
        this.at = 0;
        this.connected = false;
        this.caps = null;
        this.files.gone();
    }

    /** @param {number} request 1: the agent is to announce itself as well */
    announce(request) {
        this.send(
            agentMessage(AGENT.ANNOUNCE_CAPABILITIES, (out) => {
                out.u32(request);
                CAPS.forEach((word) => out.u32(word));
            }),
        );
    }

    /** @param {number} tokens */
    grant(tokens) {
        this.tokens = Math.min(this.tokens + tokens, 0xffffffff);
        this.flush();
    }

    /** @param {Uint8Array} message */
    send(message) {
        if (this.connected) {
            this.waiting.push(message);
            this.flush();
        }
    }

    /** Sends what the tokens allow. */
    flush() {
        while (this.connected && this.tokens > 0) {
            if (this.waiting.length === 0) {
                this.answered.forEach((kind) => this.answering.delete(kind));
                this.answered.clear();
                const more = this.files.take();
                if (more === null) {
                    return;
                }
                this.waiting.push(more);
            }
            const [message] = this.waiting;
            const piece = message.subarray(this.at, this.at + PIECE_BYTES);
            this.at += piece.length;
            if (this.at >= message.length) {
                this.waiting.shift();
                this.at = 0;
            }
            this.tokens--;
            this.owner.send(piece);
        }
    }

    /** @param {Uint8Array} piece body of an AGENT_DATA */
    receive(piece) {
        if (!this.connected) {
            return;
        }
        const message = this.assembler.push(piece);
        if (message !== null) {
            this.message(message.type, message.data);
        }
    }

    /**
     * @param {number} type
     * @param {Uint8Array} data
     */
    message(type, data) {
        const reader = new Reader(data);
        switch (type) {
            case AGENT.ANNOUNCE_CAPABILITIES:
                this.announced(reader);
                break;
            case AGENT.CLIPBOARD_GRAB:
                if (this.selected(reader)) {
                    const types = this.kinds(reader);
                    this.offers = false;
                    this.owner.post({ type: "clipboard", what: "offer", types });
                }
                break;
            case AGENT.CLIPBOARD_REQUEST:
                if (this.selected(reader)) {
                    this.asked(reader.u32());
                }
                break;
            case AGENT.CLIPBOARD:
                if (this.selected(reader)) {
                    this.contents(reader);
                }
                break;
            case AGENT.CLIPBOARD_RELEASE:
                if (this.selected(reader)) {
                    this.owner.post({ type: "clipboard", what: "release" });
                }
                break;
            case AGENT.FILE_XFER_STATUS:
                this.files.status(reader.u32(), reader.u32());
                break;
            default:
        }
    }

    /** @param {Reader} reader */
    announced(reader) {
        const request = reader.u32();
        const words = [];
        // More words than anybody has capabilities for say nothing.
        while (reader.left >= 4 && words.length < 8) {
            words.push(reader.u32());
        }
        const first = this.caps === null;
        this.caps = words;
        if (request !== 0) {
            this.announce(0);
        }
        if (this.can(AGENT_CAP.MAX_CLIPBOARD)) {
            this.send(agentMessage(AGENT.MAX_CLIPBOARD, (out) => out.i32(CLIPBOARD_MAX)));
        }
        if (first && this.heads !== null) {
            this.sendMonitors();
        }
        this.owner.changed();
    }

    /**
     * Whether a message is about the clipboard of copy and paste.
     * @param {Reader} reader moved over the selection, if there is one
     */
    selected(reader) {
        if (!this.can(AGENT_CAP.CLIPBOARD_SELECTION)) {
            return true;
        }
        const selection = reader.u8();
        reader.skip(3);
        return selection === SELECTION_CLIPBOARD;
    }

    /** @param {Reader} reader */
    kinds(reader) {
        /** @type {Set<string>} */
        const found = new Set();
        while (reader.left >= 4) {
            const kind = KINDS.get(reader.u32());
            if (kind !== undefined) {
                found.add(kind);
            }
        }
        return [...found];
    }

    /** @param {number} type of contents that the guest wants */
    asked(type) {
        const kind = KINDS.get(type);
        if (kind === undefined || !this.offers) {
            this.sendClipboard(CLIPBOARD_TYPE.NONE, new Uint8Array(0));
        } else if (!this.answering.has(kind)) {
            // Each answer may be large: there is one at a time, for all who ask meanwhile.
            this.answering.add(kind);
            this.owner.post({ type: "clipboardRequest", kind });
        }
    }

    /** @param {Reader} reader */
    contents(reader) {
        const kind = KINDS.get(reader.u32());
        if (kind === undefined || reader.left > CLIPBOARD_MAX) {
            this.owner.post({ type: "clipboard", what: "data", kind: kind ?? null, data: null });
            return;
        }
        const bytes = reader.take(reader.left);
        if (kind === "text/plain") {
            const text = new TextDecoder().decode(bytes);
            const data = this.can(AGENT_CAP.GUEST_LINEEND_CRLF) ? text.replaceAll("\r\n", "\n") : text;
            this.owner.post({ type: "clipboard", what: "data", kind, data });
        } else {
            const data = bytes.slice().buffer;
            this.owner.post({ type: "clipboard", what: "data", kind, data }, [data]);
        }
    }

    /**
     * A message about the clipboard, with the selection if the agent has several.
     * @param {number} type
     * @param {(out: import("../protocol/reader.js").Writer) => void} [put]
     */
    sendSelected(type, put = () => {}) {
        this.send(
            agentMessage(type, (out) => {
                if (this.can(AGENT_CAP.CLIPBOARD_SELECTION)) {
                    out.u32(SELECTION_CLIPBOARD);
                }
                put(out);
            }),
        );
    }

    /**
     * @param {number} type
     * @param {Uint8Array} bytes
     */
    sendClipboard(type, bytes) {
        this.sendSelected(AGENT.CLIPBOARD, (out) => {
            out.u32(type);
            out.bytes(bytes);
        });
    }

    /**
     * The page has something on its clipboard.
     * @param {string[]} kinds
     */
    offer(kinds) {
        const types = [...KINDS].filter(([, kind]) => kinds.includes(kind)).map(([type]) => type);
        if (this.sharesClipboard && types.length > 0) {
            this.offers = true;
            this.sendSelected(AGENT.CLIPBOARD_GRAB, (out) => types.forEach((type) => out.u32(type)));
        }
    }

    /** The page has nothing on its clipboard any more. */
    release() {
        if (this.offers && this.sharesClipboard) {
            this.offers = false;
            this.sendSelected(AGENT.CLIPBOARD_RELEASE);
        }
    }

    /**
     * The page wants what the guest has on its clipboard.
     * @param {string} kind
     */
    request(kind) {
        const type = [...KINDS].find(([, known]) => known === kind)?.[0];
        if (this.sharesClipboard && type !== undefined) {
            this.sendSelected(AGENT.CLIPBOARD_REQUEST, (out) => out.u32(type));
        }
    }

    /**
     * What the guest has asked for.
     * @param {string} kind
     * @param {string | ArrayBuffer | Uint8Array | null} data null: it is not there
     */
    answer(kind, data) {
        if (!this.sharesClipboard) {
            return;
        }
        this.answered.add(kind);
        const type = [...KINDS].find(([, known]) => known === kind)?.[0];
        if (type === undefined || data === null) {
            this.sendClipboard(CLIPBOARD_TYPE.NONE, new Uint8Array(0));
            return;
        }
        const bytes = typeof data === "string" ? this.textBytes(data) : new Uint8Array(data);
        if (bytes.length > CLIPBOARD_MAX) {
            this.sendClipboard(CLIPBOARD_TYPE.NONE, new Uint8Array(0));
        } else {
            this.sendClipboard(type, bytes);
        }
    }

    /** @param {string} text */
    textBytes(text) {
        const plain = text.replaceAll("\r\n", "\n");
        return new TextEncoder().encode(
            this.can(AGENT_CAP.GUEST_LINEEND_CRLF) ? plain.replaceAll("\n", "\r\n") : plain,
        );
    }

    /** @param {import("./files.js").FileLike} file for the guest */
    sendFile(file) {
        if (this.takesFiles) {
            this.files.add(file);
        } else {
            this.files.refuse(file);
        }
    }

    /**
     * How the guest's monitors are to be.
     * @param {{x: number, y: number, width: number, height: number}[]} heads
     */
    monitors(heads) {
        this.heads = heads;
        if (this.caps !== null) {
            this.sendMonitors();
        }
    }

    sendMonitors() {
        if (this.heads !== null && this.takesMonitors) {
            // Only the last one counts: those that wait are not sent any more.
            const first = this.at > 0 ? 1 : 0;
            this.waiting = this.waiting.filter(
                (message, index) => index < first || new Reader(message).at(4).u32() !== AGENT.MONITORS_CONFIG,
            );
            this.send(monitorsMessage(this.heads));
        }
    }
}
