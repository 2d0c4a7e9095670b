// The link stage: what both sides say before a channel carries messages.

import { LINK, linkReason } from "./names.js";
import { Malformed, Reader, Writer } from "./reader.js";
import { KEY_BYTES } from "./ticket.js";

/** Bytes of the header of link message and reply. */
export const LINK_HEADER_BYTES = 16;

const MAGIC = 0x51444552;
const MAJOR = 2;
const MINOR = 2;
/** Bytes of a link message, and of a reply, before their capabilities. */
const MESSAGE_BYTES = 18;
const REPLY_BYTES = 178;
/** Most bytes of a reply: as much as 1024 words of capabilities of each kind need. */
const REPLY_MAX = REPLY_BYTES + 2 * 4 * 1024;

/** The server refuses a channel. `code` is its link error. */
export class LinkError extends Error {
    /**
     * @param {number} code
     * @param {string} [reason]
     */
    constructor(code, reason = linkReason(code)) {
        super(reason);
        this.name = "LinkError";
        this.code = code;
    }
}

/**
 * @param {{session: number, type: number, id: number, common: number[], channel: number[]}} what session: 0 for a new
 *     one; capabilities in words
 * @returns {Uint8Array} the link message with its header
 */
export function linkMessage({ session, type, id, common, channel }) {
    const out = new Writer();
    out.u32(MAGIC);
    out.u32(MAJOR);
    out.u32(MINOR);
    out.u32(MESSAGE_BYTES + 4 * (common.length + channel.length));
    out.u32(session);
    out.u8(type);
    out.u8(id);
    out.u32(common.length);
    out.u32(channel.length);
    out.u32(MESSAGE_BYTES);
    [...common, ...channel].forEach((word) => out.u32(word));
    return out.finish();
}

/**
 * @param {Uint8Array} header 16 bytes
 * @returns {number} bytes of the reply that follows
 * @throws {Malformed} when it is no header of a reply
 * @throws {LinkError} for another version
 */
export function replySize(header) {
    const reader = new Reader(header);
    const magic = reader.u32();
    if (magic !== MAGIC) {
        throw new Malformed(`link reply: magic ${magic.toString(16)} is not ${MAGIC.toString(16)}`);
    }
    const major = reader.u32();
    if (major !== MAJOR) {
        throw new LinkError(LINK.VERSION_MISMATCH, `the server speaks version ${major} of SPICE, this page ${MAJOR}`);
    }
    reader.u32();
    const size = reader.u32();
    if (size < REPLY_BYTES || size > REPLY_MAX) {
        throw new Malformed(`link reply: size ${size} is not ${REPLY_BYTES} to ${REPLY_MAX}`);
    }
    return size;
}

/**
 * @param {Uint8Array} body of the reply
 * @returns {{key: Uint8Array, common: number[], channel: number[]}} public key, and the server's capabilities in words
 * @throws {LinkError} when it refuses
 * @throws {Malformed} for capabilities outside of the reply
 */
export function parseReply(body) {
    const reader = new Reader(body);
    const error = reader.u32();
    if (error !== LINK.OK) {
        throw new LinkError(error);
    }
    const key = reader.take(KEY_BYTES);
    const counts = [reader.u32(), reader.u32()];
    const offset = reader.u32();
    if (offset > body.length || counts[0] + counts[1] > (body.length - offset) / 4) {
        throw new Malformed(`link reply: ${counts.join(" and ")} words at ${offset} are not in ${body.length} bytes`);
    }
    const words = new Reader(body, offset);
    const [common, channel] = counts.map((count) => Array.from({ length: count }, () => words.u32()));
    return { key, common, channel };
}
