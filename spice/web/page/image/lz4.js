// LZ4: blocks of the usual format, each of which may repeat what earlier ones left.

import { Malformed } from "../protocol/reader.js";
import { FORMAT, pixelsOf, rowBytes } from "./bitmap.js";
import { checkSize } from "./pixels.js";

const HEADER_BYTES = 2;
/** Shortest match. */
const MIN_MATCH = 4;
/** Most bytes that a byte of a block stands for. */
const BYTES_PER_BYTE = 255;
/** Bytes from which on they are copied all at once. */
const LONG = 32;

/**
 * Decodes a stream.
 * @param {Uint8Array} stream
 * @param {number} width of the picture, which the stream does not say
 * @param {number} height
 * @returns {import("./bitmap.js").Picture}
 * @throws {Malformed} when the format does not allow it. Memory is taken only for a size that the input is long enough
 *     to fill
 */
export function decodeLz4(stream, width, height) {
    if (stream.length < HEADER_BYTES) {
        throw new Malformed(`LZ4 data has ${stream.length} bytes`);
    }
    const topDown = stream[0] !== 0;
    const format = stream[1];
    if (format < FORMAT.BIT_16 || format > FORMAT.RGBA) {
        throw new Malformed(`LZ4 bitmap format is ${format}, not 6 to 9`);
    }
    checkSize("LZ4 image", width, height);
    const stride = rowBytes(format, width);
    const expected = stride * height;
    if (expected > BYTES_PER_BYTE * stream.length) {
        throw new Malformed(`LZ4 data of ${stream.length} bytes is too short for ${width}x${height} pixels`);
    }
    const data = new Uint8Array(expected);
    let produced = 0;
    for (let at = HEADER_BYTES; at < stream.length; ) {
        if (stream.length - at < 4) {
            throw new Malformed(`LZ4 data has ${stream.length - at} bytes after its last block`);
        }
        const length =
            ((stream[at] << 24) | (stream[at + 1] << 16) | (stream[at + 2] << 8) | stream[at + 3]) >>> 0;
        at += 4;
        if (length === 0 || length > stream.length - at) {
            throw new Malformed(`LZ4 block has ${length} bytes where ${stream.length - at} are left`);
        }
        const end = readBlock(stream, at, at + length, data, produced);
        if (end === produced) {
            throw new Malformed(`LZ4 block at byte ${at} holds nothing`);
        }
        produced = end;
        at += length;
    }
    if (produced !== expected) {
        throw new Malformed(`LZ4 data holds ${produced} of ${expected} bytes`);
    }
    return pixelsOf({ format, width, height, stride, topDown, data }, null);
}

/**
 * @param {string} what
 * @param {number} from
 */
function wrong(what, from) {
    return new Malformed(`LZ4 block ${what} at byte ${from}`);
}

/**
 * Decodes a block.
 * @param {Uint8Array} input
 * @param {number} start where it begins in the input
 * @param {number} end where it ends
 * @param {Uint8Array} out
 * @param {number} begin where its bytes go
 * @returns {number} where they end
 */
function readBlock(input, start, end, out, begin) {
    const most = out.length;
    let from = start;
    let at = begin;
    for (;;) {
        if (from >= end) {
            throw wrong("ends within a sequence", from);
        }
        const token = input[from++];
        let length = token >> 4;
        if (length === 15) {
            let more = 255;
            while (more === 255) {
                if (from >= end) {
                    throw wrong("ends within a length", from);
                }
                more = input[from++];
                length += more;
            }
        }
        if (length > end - from) {
            throw wrong("ends within literals", from);
        }
        if (length > most - at) {
            throw wrong("holds more than the image", from);
        }
        if (length >= LONG) {
            out.set(input.subarray(from, from + length), at);
            at += length;
            from += length;
        } else {
            for (const stop = at + length; at < stop; ) {
                out[at++] = input[from++];
            }
        }
        if (from === end) {
            return at;
        }
        if (end - from < 2) {
            throw wrong("ends within an offset", from);
        }
        const distance = input[from] | (input[from + 1] << 8);
        from += 2;
        if (distance === 0 || distance > at) {
            throw wrong(`reaches back ${distance} bytes from byte ${at} of the image`, from);
        }
        length = token & 15;
        if (length === 15) {
            let more = 255;
            while (more === 255) {
                if (from >= end) {
                    throw wrong("ends within a length", from);
                }
                more = input[from++];
                length += more;
            }
        }
        length += MIN_MATCH;
        if (length > most - at) {
            throw wrong("holds more than the image", from);
        }
        at = repeat(out, at, distance, length);
    }
}

/**
 * Repeats what is `distance` bytes before.
 * @param {Uint8Array} out
 * @param {number} at
 * @param {number} distance
 * @param {number} length
 * @returns {number} where it ends
 */
function repeat(out, at, distance, length) {
    const stop = at + length;
    if (length >= LONG) {
        const start = at - distance;
        // What was copied doubles what can be copied next.
        while (at < stop) {
            const count = Math.min(stop - at, at - start);
            out.copyWithin(at, start, start + count);
            at += count;
        }
        return stop;
    }
    for (; at < stop; at++) {
        out[at] = out[at - distance];
    }
    return at;
}
