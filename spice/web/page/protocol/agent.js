// Messages of the guest's agent (VDAgent), which go through the main channel in pieces.

import { Malformed, Reader, Writer } from "./reader.js";

/** Most bytes of one AGENT_DATA. */
export const PIECE_BYTES = 2048;
/** Bytes before the data of a message. */
export const AGENT_HEADER_BYTES = 20;
/** Most bytes of a message from the agent: clipboards are what is large. */
export const AGENT_MESSAGE_MAX = 64 << 20;

const PROTOCOL = 1;

/** Types of messages. */
export const AGENT = Object.freeze({
    MONITORS_CONFIG: 2,
    REPLY: 3,
    CLIPBOARD: 4,
    ANNOUNCE_CAPABILITIES: 6,
    CLIPBOARD_GRAB: 7,
    CLIPBOARD_REQUEST: 8,
    CLIPBOARD_RELEASE: 9,
    FILE_XFER_START: 10,
    FILE_XFER_STATUS: 11,
    FILE_XFER_DATA: 12,
    MAX_CLIPBOARD: 14,
});

/** Capabilities, as bits. */
export const AGENT_CAP = Object.freeze({
    MOUSE_STATE: 0,
    MONITORS_CONFIG: 1,
    REPLY: 2,
    CLIPBOARD_BY_DEMAND: 5,
    CLIPBOARD_SELECTION: 6,
    SPARSE_MONITORS_CONFIG: 7,
    GUEST_LINEEND_CRLF: 9,
    MAX_CLIPBOARD: 10,
    MONITORS_CONFIG_POSITION: 12,
    FILE_XFER_DISABLED: 13,
    FILE_XFER_DETAILED_ERRORS: 14,
    CLIPBOARD_NO_RELEASE_ON_REGRAB: 16,
});

/** What a clipboard holds. */
export const CLIPBOARD_TYPE = Object.freeze({ NONE: 0, UTF8_TEXT: 1, IMAGE_PNG: 2 });

/** What a status of a file means. */
export const FILE_STATUS = Object.freeze({
    CAN_SEND_DATA: 0,
    CANCELLED: 1,
    ERROR: 2,
    SUCCESS: 3,
    NOT_ENOUGH_SPACE: 4,
    SESSION_LOCKED: 5,
    AGENT_NOT_CONNECTED: 6,
    DISABLED: 7,
});

/**
 * @param {number} type
 * @param {(out: Writer) => void} [put] writes the data
 * @returns {Uint8Array} the whole message
 */
export function agentMessage(type, put = () => {}) {
    const data = new Writer();
    put(data);
    const bytes = data.finish();
    const out = new Writer();
    out.u32(PROTOCOL);
    out.u32(type);
    out.u64(0n);
    out.u32(bytes.length);
    out.bytes(bytes);
    return out.finish();
}

/** Messages out of the pieces that come. */
export class AgentAssembler {
    constructor() {
        this.begun = false;
        this.type = 0;
        this.size = 0;
        /** Bytes of the data that have come. */
        this.have = 0;
        this.data = new Uint8Array(0);
    }

    /** What has come is dropped: the agent begins anew. */
    reset() {
        this.begun = false;
        this.have = 0;
        this.data = new Uint8Array(0);
    }

    /**
     * @param {Uint8Array} piece body of an AGENT_DATA
     * @returns {{type: number, data: Uint8Array} | null} a message that is complete with it
     * @throws {Malformed}
     */
    push(piece) {
        let rest = piece;
        if (!this.begun) {
            const reader = new Reader(piece);
            const protocol = reader.u32();
            if (protocol !== PROTOCOL) {
                throw new Malformed(`agent: protocol ${protocol} is not ${PROTOCOL}`);
            }
            this.type = reader.u32();
            reader.skip(8);
            this.size = reader.u32();
            if (this.size > AGENT_MESSAGE_MAX) {
                throw new Malformed(
                    `agent: message ${this.type} of ${this.size} bytes, ${AGENT_MESSAGE_MAX} are the most`,
                );
            }
            rest = reader.take(reader.left);
            this.begun = true;
        }
        const have = this.have + rest.length;
        if (have > this.size) {
            throw new Malformed(`agent: message ${this.type} of ${this.size} bytes has ${have}`);
        }
        if (have > this.data.length) {
            // No more room than has come, as nobody knows whether the rest does.
            const grown = new Uint8Array(Math.min(this.size, Math.max(have, this.data.length * 2)));
            grown.set(this.data.subarray(0, this.have));
            this.data = grown;
        }
        this.data.set(rest, this.have);
        this.have = have;
        if (have < this.size) {
            return null;
        }
        const whole = { type: this.type, data: this.data.subarray(0, this.size) };
        this.reset();
        return whole;
    }
}

/**
 * @param {{x: number, y: number, width: number, height: number}[]} heads those with width 0 are off
 * @returns {Uint8Array}
 */
export function monitorsMessage(heads) {
    return agentMessage(AGENT.MONITORS_CONFIG, (out) => {
        out.u32(heads.length);
        // x and y count.
        out.u32(1);
        for (const { x, y, width, height } of heads) {
            out.u32(height);
            out.u32(width);
            out.u32(32);
            out.i32(x);
            out.i32(y);
        }
    });
}

/**
 * The key file that begins the transfer of a file.
 * @param {number} id
 * @param {string} name without a folder
 * @param {number} size in bytes
 */
export function fileStart(id, name, size) {
    // What would end the line, or the file, is not in a name.
    const safe = Array.from(name, (letter) => (letter < " " || letter === "/" || letter === "\\" ? "_" : letter)).join(
        "",
    );
    return agentMessage(AGENT.FILE_XFER_START, (out) => {
        out.u32(id);
        out.bytes(new TextEncoder().encode(`[vdagent-file-xfer]\nname=${safe}\nsize=${size}\n\0`));
    });
}

/**
 * @param {number} id
 * @param {Uint8Array} data
 */
export function fileData(id, data) {
    return agentMessage(AGENT.FILE_XFER_DATA, (out) => {
        out.u32(id);
        out.u64(BigInt(data.length));
        out.bytes(data);
    });
}

/** @param {number} id */
export function fileCancel(id) {
    return agentMessage(AGENT.FILE_XFER_STATUS, (out) => {
        out.u32(id);
        out.u32(FILE_STATUS.CANCELLED);
    });
}
