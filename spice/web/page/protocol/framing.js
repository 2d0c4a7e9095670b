// Messages out of a stream of bytes, with the long and the short header.

import { Malformed, Reader, Writer } from "./reader.js";

const MINI_BYTES = 6;
const FULL_BYTES = 18;

/**
 * @typedef {object} Frame
 * @property {number} type of the message
 * @property {Uint8Array} body
 * @property {number} subList offset of the list of sub-messages in the body; 0: there is none
 * @property {bigint | null} serial if the header has it
 */

/**
 * Fewer bytes than these are copied together, so that a server that sends them one by one fills no memory with views.
 */
const SMALL_BYTES = 4096;
const SLAB_BYTES = 65536;

/** Bytes that have come and are not used yet. */
export class Incoming {
    constructor() {
        /** @type {Uint8Array[]} */
        this.chunks = [];
        this.length = 0;
        this.slab = new Uint8Array(0);
        this.used = 0;
    }

    /** @param {Uint8Array} bytes not changed any more by who gives them */
    push(bytes) {
        if (bytes.length === 0) {
            return;
        }
        this.length += bytes.length;
        if (bytes.length >= SMALL_BYTES) {
            this.chunks.push(bytes);
            return;
        }
        if (this.slab.length - this.used < bytes.length) {
            this.slab = new Uint8Array(SLAB_BYTES);
            this.used = 0;
        }
        const last = this.chunks.at(-1);
        const begin = this.used;
        this.slab.set(bytes, begin);
        this.used += bytes.length;
        if (last !== undefined && last.buffer === this.slab.buffer && last.byteOffset + last.length === begin) {
            this.chunks[this.chunks.length - 1] = this.slab.subarray(last.byteOffset, this.used);
        } else {
            this.chunks.push(this.slab.subarray(begin, this.used));
        }
    }

    /**
     * The next `count` bytes; null while they have not all come. Those of one chunk are not copied.
     * @param {number} count
     * @param {boolean} [keep] whether they stay
     * @returns {Uint8Array | null}
     */
    take(count, keep = false) {
        if (this.length < count) {
            return null;
        }
        const [first] = this.chunks;
        if (count === 0) {
            return new Uint8Array(0);
        }
        if (first.length > count) {
            if (!keep) {
                this.chunks[0] = first.subarray(count);
                this.length -= count;
            }
            return first.subarray(0, count);
        }
        const whole = new Uint8Array(count);
        let at = 0;
        let used = 0;
        for (const chunk of this.chunks) {
            const part = chunk.subarray(0, count - at);
            whole.set(part, at);
            at += part.length;
            if (at === count) {
                if (!keep) {
                    this.chunks.splice(0, part.length < chunk.length ? used : used + 1);
                    if (part.length < chunk.length) {
                        this.chunks[0] = chunk.subarray(part.length);
                    }
                    this.length -= count;
                }
                break;
            }
            used++;
        }
        return whole;
    }
}

/**
 * The next message that has come whole.
 * @param {Incoming} incoming
 * @param {boolean} mini whether headers are short
 * @param {number} most bytes of a message
 * @returns {Frame | null}
 * @throws {Malformed} for a message that is too long
 */
export function nextFrame(incoming, mini, most) {
    const headerBytes = mini ? MINI_BYTES : FULL_BYTES;
    const header = incoming.take(headerBytes, true);
    if (header === null) {
        return null;
    }
    const reader = new Reader(header);
    const serial = mini ? null : reader.u64();
    const type = reader.u16();
    const size = reader.u32();
    const subList = mini ? 0 : reader.u32();
    if (size > most) {
        throw new Malformed(`message ${type}: size ${size} is above ${most}`);
    }
    if (incoming.length < headerBytes + size) {
        return null;
    }
    incoming.take(headerBytes);
    const body = incoming.take(size) ?? new Uint8Array(0);
    return { type, body, subList, serial };
}

/**
 * A message with its header.
 * @param {number} type
 * @param {Uint8Array} body
 * @param {boolean} mini
 * @param {bigint} serial
 */
export function framed(type, body, mini, serial) {
    const out = new Writer();
    if (!mini) {
        out.u64(serial);
    }
    out.u16(type);
    out.u32(body.length);
    if (!mini) {
        out.u32(0);
    }
    out.bytes(body);
    return out.finish();
}

/**
 * Sub-messages of a list, in the order in which they are executed.
 * @param {Uint8Array} body
 * @param {number} offset of the list
 * @returns {Frame[]}
 * @throws {Malformed} when they are not in the body, or more in all than it has: they never share bytes
 */
export function subMessages(body, offset) {
    const list = new Reader(body).at(offset);
    const count = list.u16();
    if (count * 4 > list.left) {
        throw new Malformed(`sub_list: ${count} sub-messages at ${offset} are not in ${body.length} bytes`);
    }
    let sum = 0;
    return Array.from({ length: count }, () => {
        const reader = new Reader(body).at(list.u32());
        const type = reader.u16();
        const part = reader.take(reader.u32());
        sum += MINI_BYTES + part.length;
        if (sum > body.length) {
            throw new Malformed(
                `sub_list: ${count} sub-messages have more than the ${body.length} bytes of their message`,
            );
        }
        return { type, body: part, subList: 0, serial: null };
    });
}
