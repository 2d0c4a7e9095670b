// Streams of the reference implementation with what they decode to: those of the codecs of the server.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

import { Malformed } from "../page/protocol/reader.js";

const FOLDER = new URL("../../image/tests/vectors/", import.meta.url);

/** @typedef {{width: number, height: number, pixels: Uint32Array, hasAlpha: boolean}} Picture */
/** @typedef {Record<string, any> & {name: string, codec: string, width: number, height: number}} Vector */

/** @type {{vectors: Vector[]}} */
const MANIFEST = JSON.parse(readFileSync(new URL("manifest.json", FOLDER), "utf8"));

/** @param {string} codec */
export function vectorsOf(codec) {
    return MANIFEST.vectors.filter((vector) => vector.codec === codec && (vector.encoded ?? vector.frames));
}

/**
 * The content of a file, without its gzip if it has one.
 * @param {string} path
 */
export function file(path) {
    const stored = readFileSync(new URL(path, FOLDER));
    return new Uint8Array(path.endsWith(".gz") ? gunzipSync(stored) : stored);
}

/** @param {Uint8Array} bytes */
export function sha256(bytes) {
    return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Pixels as B, G, R, A; alpha is 0 when there is none.
 * @param {Picture} picture
 */
export function bgra({ pixels, hasAlpha }) {
    const bytes = new Uint8Array(pixels.slice().buffer);
    for (let at = 0; at < bytes.length; at += 4) {
        [bytes[at], bytes[at + 2]] = [bytes[at + 2], bytes[at]];
        bytes[at + 3] = hasAlpha ? bytes[at + 3] : 0;
    }
    return bytes;
}

/**
 * The picture must be what the reference decoder makes of the stream, and of a form that canvases read.
 * @param {Vector} vector
 * @param {Picture} picture
 */
export function assertShows(vector, picture) {
    assert.deepEqual([picture.width, picture.height], [vector.width, vector.height], vector.name);
    assert.equal(picture.pixels.length, vector.width * vector.height, vector.name);
    if (!picture.hasAlpha) {
        assert.ok(picture.pixels.every((pixel) => pixel >>> 24 === 255), vector.name);
    }
    assert.equal(sha256(bgra(picture)), vector.display_sha256, vector.name);
}

/** Numbers without pattern. */
export class Draws {
    /** @param {number} seed */
    constructor(seed) {
        this.state = Math.imul(seed + 1, 0x9e3779b1);
    }

    /** @param {number} bound */
    below(bound) {
        this.state = (Math.imul(this.state, 0x19660d) + 0x3c6ef35f) | 0;
        return Math.floor(((this.state >>> 4) / 2 ** 28) * bound);
    }
}

/**
 * What comes out of a decoder, or null when it says that the stream is malformed; anything else it throws comes out.
 * @template Out
 * @param {() => Out} decode
 * @returns {Out | null}
 */
export function attempt(decode) {
    try {
        return decode();
    } catch (error) {
        if (error instanceof Malformed && error.message.length > 0) {
            return null;
        }
        throw error;
    }
}

/**
 * Tries parts of a stream, which must all be malformed unless they end in what means nothing, and streams with changed
 * bits.
 * @template Out
 * @param {string} name
 * @param {Uint8Array} stream
 * @param {(stream: Uint8Array) => Out} decode
 * @param {{mayEnd?: number, isRight?: (out: Out) => boolean}} [options] mayEnd: how many of the last bytes may be
 *     missing; isRight: what holds for all that decodes
 */
export function damage(name, stream, decode, { mayEnd = 0, isRight = () => true } = {}) {
    const step = Math.max(1, Math.floor(stream.length / 40));
    for (let length = 0; length < stream.length; length += length + 12 < stream.length ? step : 1) {
        const out = attempt(() => decode(stream.slice(0, length)));
        assert.ok(out === null || length + mayEnd >= stream.length, `${name} ${length}`);
    }
    const draws = new Draws(stream.length);
    const rounds = stream.length < 10000 ? 24 : 6;
    for (let round = 0; round < rounds; round++) {
        const damaged = stream.slice();
        // Half of them in what the stream says of itself.
        const within = round % 2 === 0 ? stream.length : Math.min(stream.length, 40);
        for (let count = draws.below(4); count >= 0; count--) {
            damaged[draws.below(within)] ^= 1 << draws.below(8);
        }
        const out = attempt(() => decode(damaged));
        assert.ok(out === null || isRight(out), `${name} round ${round}`);
    }
}

/** @param {Picture} picture */
export function isWhole({ width, height, pixels }) {
    return pixels.length === width * height && pixels.length > 0;
}
