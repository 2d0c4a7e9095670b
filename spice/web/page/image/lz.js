// LZ: literal runs and matches, of pixels or of bytes.
//
// A stream is a header of 28 bytes and one pass over the picture, or two (colours, then alpha).

import { Malformed } from "../protocol/reader.js";
import { pixelsOf } from "./bitmap.js";
import { WIDE_555, checkSize, flipRows } from "./pixels.js";

/** First four bytes of a stream: two blanks, `ZL`. GLZ begins with the same. */
export const MAGIC = 0x20205a4c;
/** 1.1. */
export const VERSION = 0x00010001;
const HEADER_BYTES = 28;
/** The distance, less one, that says that a far one follows. */
const FAR = 8191;
/** Units of a match from which on it is copied all at once. */
export const LONG_MATCH = 48;
/** Most units that a byte of a stream stands for. */
export const UNITS_PER_BYTE = 255;

const PLT8 = 5;
const [RGB16, RGBA, XXXA, A8] = [6, 9, 10, 11];
/** Bits of a pixel of the rows that were encoded, by type. */
const DEPTHS = [0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 32, 8];

/** @typedef {{kind: number, width: number, height: number, topDown: boolean}} Header */
/** @typedef {{width: number, height: number, pixels: Uint32Array, hasAlpha: boolean}} Picture */

/**
 * @param {string} what
 * @param {number} at unit
 * @param {number} expected units
 */
export function truncated(what, at, expected) {
    return new Malformed(`${what} data ends after ${at} of ${expected} units`);
}

/**
 * @param {string} what
 * @param {number} length
 * @param {number} at
 * @param {number} expected
 */
export function tooLong(what, length, at, expected) {
    return new Malformed(`${what} run of ${length} units at unit ${at} of ${expected}`);
}

/**
 * @param {string} what
 * @param {number} distance
 * @param {number} at
 */
export function tooFar(what, distance, at) {
    return new Malformed(`${what} match at unit ${at} reaches back ${distance} units`);
}

/**
 * @param {Uint8Array} stream
 * @returns {Header}
 */
function readHeader(stream) {
    if (stream.length < HEADER_BYTES) {
        throw new Malformed(`LZ data has ${stream.length} bytes`);
    }
    const view = new DataView(stream.buffer, stream.byteOffset, HEADER_BYTES);
    const [magic, version, kind, width, height, stride, topDown] = [0, 4, 8, 12, 16, 20, 24].map((at) =>
        view.getUint32(at),
    );
    if (magic !== MAGIC || version !== VERSION) {
        throw new Malformed(`LZ magic is ${magic} and version ${version}`);
    }
    if (kind < 1 || kind > A8) {
        throw new Malformed(`LZ type is ${kind}, not 1 to 11`);
    }
    checkSize("LZ image", width, height);
    if (stride !== Math.ceil((width * DEPTHS[kind]) / 8)) {
        throw new Malformed(`LZ stride is ${stride} for ${width} pixels of type ${kind}`);
    }
    return { kind, width, height, topDown: topDown !== 0 };
}

/**
 * Reads a pass over pixels.
 * @param {Uint8Array} input
 * @param {number} start where it begins
 * @param {Uint32Array} out
 * @param {boolean} isNarrow whether literals are of 16 bits, high byte first, or of B, G, R
 * @returns {number} where it ends
 */
function readColours(input, start, out, isNarrow) {
    const expected = out.length;
    const end = input.length;
    const words = new Int32Array(out.buffer);
    const extra = isNarrow ? 1 : 0;
    let from = start;
    let at = 0;
    while (at < expected) {
        if (from >= end) {
            throw truncated("LZ", at, expected);
        }
        const control = input[from++];
        if (control < 32) {
            const stop = at + control + 1;
            if (stop > expected) {
                throw tooLong("LZ", control + 1, at, expected);
            }
            if (from + (control + 1) * (3 - extra) > end) {
                throw truncated("LZ", at, expected);
            }
            if (isNarrow) {
                for (; at < stop; at++, from += 2) {
                    words[at] = WIDE_555[((input[from] & 127) << 8) | input[from + 1]];
                }
            } else {
                for (; at < stop; at++, from += 3) {
                    words[at] = 0xff000000 | (input[from] << 16) | (input[from + 1] << 8) | input[from + 2];
                }
            }
            continue;
        }
        let length = control >> 5;
        if (length === 7) {
            let more = 255;
            while (more === 255 && length <= expected) {
                if (from >= end) {
                    throw truncated("LZ", at, expected);
                }
                more = input[from++];
                length += more;
            }
        }
        if (from >= end) {
            throw truncated("LZ", at, expected);
        }
        let distance = ((control & 31) << 8) + input[from++] + 1;
        if (distance > FAR) {
            if (from + 2 > end) {
                throw truncated("LZ", at, expected);
            }
            distance += (input[from] << 8) + input[from + 1];
            from += 2;
        }
        length += extra;
        if (length > expected - at) {
            throw tooLong("LZ", length, at, expected);
        }
        if (distance > at) {
            throw tooFar("LZ", distance, at);
        }
        const stop = at + length;
        if (distance === 1) {
            const word = words[at - 1];
            if (length >= LONG_MATCH) {
                words.fill(word, at, stop);
                at = stop;
            } else {
                while (at < stop) {
                    words[at++] = word;
                }
            }
        } else if (length >= LONG_MATCH && distance >= length) {
            words.copyWithin(at, at - distance, stop - distance);
            at = stop;
        } else {
            for (; at < stop; at++) {
                words[at] = words[at - distance];
            }
        }
    }
    return from;
}

/**
 * Reads a pass over bytes.
 * @param {Uint8Array} input
 * @param {number} start where it begins
 * @param {Uint8Array} out
 * @returns {number} where it ends
 */
function readBytes(input, start, out) {
    const expected = out.length;
    const end = input.length;
    let from = start;
    let at = 0;
    while (at < expected) {
        if (from >= end) {
            throw truncated("LZ", at, expected);
        }
        const control = input[from++];
        if (control < 32) {
            const stop = at + control + 1;
            if (stop > expected) {
                throw tooLong("LZ", control + 1, at, expected);
            }
            if (from + control + 1 > end) {
                throw truncated("LZ", at, expected);
            }
            while (at < stop) {
                out[at++] = input[from++];
            }
            continue;
        }
        let length = control >> 5;
        if (length === 7) {
            let more = 255;
            while (more === 255 && length <= expected) {
                if (from >= end) {
                    throw truncated("LZ", at, expected);
                }
                more = input[from++];
                length += more;
            }
        }
        if (from >= end) {
            throw truncated("LZ", at, expected);
        }
        let distance = ((control & 31) << 8) + input[from++] + 1;
        if (distance > FAR) {
            if (from + 2 > end) {
                throw truncated("LZ", at, expected);
            }
            distance += (input[from] << 8) + input[from + 1];
            from += 2;
        }
        length += 2;
        if (length > expected - at) {
            throw tooLong("LZ", length, at, expected);
        }
        if (distance > at) {
            throw tooFar("LZ", distance, at);
        }
        const stop = at + length;
        if (distance === 1 && length >= LONG_MATCH) {
            out.fill(out[at - 1], at, stop);
            at = stop;
        } else if (length >= LONG_MATCH && distance >= length) {
            out.copyWithin(at, at - distance, stop - distance);
            at = stop;
        } else {
            for (; at < stop; at++) {
                out[at] = out[at - distance];
            }
        }
    }
    return from;
}

/**
 * Puts alpha into pixels.
 * @param {Uint8Array} alpha
 * @param {Uint32Array} pixels
 */
function putAlpha(alpha, pixels) {
    const bytes = new Uint8Array(pixels.buffer);
    for (let at = 0; at < alpha.length; at++) {
        bytes[4 * at + 3] = alpha[at];
    }
}

/**
 * @param {Uint8Array} stream
 * @param {Header} header
 * @param {number} units
 */
function checkLength(stream, { width, height }, units) {
    // Memory is taken only for what the input is long enough to fill.
    if (units > UNITS_PER_BYTE * (stream.length - HEADER_BYTES)) {
        throw new Malformed(`LZ data of ${stream.length} bytes is too short for ${width}x${height} pixels`);
    }
}

/**
 * @param {Uint8Array} stream
 * @param {number} end where the last pass ended
 */
function checkEnd(stream, end) {
    if (end !== stream.length) {
        throw new Malformed(`LZ data has ${stream.length - end} bytes more than the picture takes`);
    }
}

/**
 * Decodes a stream of colours, or of alpha alone, which has black colours then.
 * @param {Uint8Array} stream
 * @returns {Picture}
 * @throws {Malformed}
 */
export function decodeLz(stream) {
    const header = readHeader(stream);
    const { kind, width, height, topDown } = header;
    if (kind <= PLT8) {
        throw new Malformed(`LZ type is ${kind}, which has no place for colours`);
    }
    checkLength(stream, header, width * height);
    const pixels = new Uint32Array(width * height);
    let end = HEADER_BYTES;
    if (kind < XXXA) {
        end = readColours(stream, end, pixels, kind === RGB16);
    }
    if (kind >= RGBA) {
        const alpha = new Uint8Array(pixels.length);
        end = readBytes(stream, end, alpha);
        putAlpha(alpha, pixels);
    }
    checkEnd(stream, end);
    if (!topDown) {
        flipRows(pixels, width);
    }
    return { width, height, pixels, hasAlpha: kind >= RGBA };
}

/**
 * Decodes a stream of indices.
 * @param {Uint8Array} stream
 * @param {Uint32Array} palette pixels by index
 * @returns {Picture}
 * @throws {Malformed}
 */
export function decodeLzPalette(stream, palette) {
    const header = readHeader(stream);
    const { kind, width, height, topDown } = header;
    if (kind > PLT8) {
        throw new Malformed(`LZ type is ${kind}, which has no palette`);
    }
    const stride = Math.ceil((width * DEPTHS[kind]) / 8);
    checkLength(stream, header, stride * height);
    const data = new Uint8Array(stride * height);
    checkEnd(stream, readBytes(stream, HEADER_BYTES, data));
    // Types with a palette have the numbers of the formats of bitmaps.
    return pixelsOf({ format: kind, width, height, stride, topDown, data }, palette);
}

/**
 * Puts the alpha of a stream into a picture of the same size, whose first row is the top one.
 * @param {Uint8Array} stream
 * @param {Picture} picture
 * @param {boolean} topDown as the stream has to say, too
 * @throws {Malformed}
 */
export function putLzAlpha(stream, picture, topDown) {
    const header = readHeader(stream);
    if (header.kind !== XXXA) {
        throw new Malformed(`LZ type of the alpha of JPEG_ALPHA is ${header.kind}, not ${XXXA}`);
    }
    if (header.width !== picture.width || header.height !== picture.height) {
        throw new Malformed(`LZ alpha of ${header.width}x${header.height} pixels in JPEG_ALPHA`);
    }
    if (header.topDown !== topDown) {
        throw new Malformed(`LZ alpha has top_down ${header.topDown}, JPEG_ALPHA says otherwise`);
    }
    checkLength(stream, header, picture.pixels.length);
    const alpha = new Uint8Array(picture.pixels.length);
    checkEnd(stream, readBytes(stream, HEADER_BYTES, alpha));
    if (topDown) {
        putAlpha(alpha, picture.pixels);
        return;
    }
    const { width, height, pixels } = picture;
    for (let y = 0; y < height; y++) {
        const stored = (height - 1 - y) * width;
        const row = pixels.subarray(y * width, (y + 1) * width);
        for (let x = 0; x < width; x++) {
            row[x] = (row[x] & 0xffffff) | (alpha[stored + x] << 24);
        }
    }
}
