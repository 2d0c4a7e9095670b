// GLZ: LZ whose matches may also lie in earlier images.
//
// All images of one dictionary have numbers, counted up from 0, and each says how far back it may refer. The images
// that can be referred to are kept in a window, which all displays of a session share.

import { Malformed } from "../protocol/reader.js";
import { LONG_MATCH, MAGIC, UNITS_PER_BYTE, VERSION, tooFar, tooLong, truncated } from "./lz.js";
import { WIDE_555, checkSize, flipRows } from "./pixels.js";

const HEADER_BYTES = 33;
/** The bit beside the type that says that the top row is first. */
const TOP_DOWN = 0x10;
const [RGB16, RGBA] = [6, 9];
/** Bytes of a pixel of the rows that were encoded, by type. */
const PIXEL_BYTES = [0, 0, 0, 0, 0, 0, 2, 3, 4, 4];
/** Most images of a window. */
const MAX_IMAGES = 1 << 18;

/** A match lies in an image that has not come yet, by way of another display. Nothing is wrong with the stream. */
export class NotYet extends Error {
    /** @param {number} missing the number of the image to wait for */
    constructor(missing) {
        super(`GLZ image ${missing} has not come yet`);
        this.name = "NotYet";
        this.missing = missing;
    }
}

/**
 * @typedef {object} Header
 * @property {number} kind 6 to 9
 * @property {boolean} topDown
 * @property {number} width
 * @property {number} height
 * @property {number} id
 * @property {number} back how many images back it may refer
 */

/**
 * An image that later ones may refer to.
 * @typedef {object} Kept
 * @property {Uint32Array} pixels in stream order
 * @property {boolean} hasAlpha
 * @property {number} back how many images back it may refer
 */

/** What takes and gives back pixels of what a session may keep.
 * @typedef {{check: (what: string, pixels: number) => void, take: (pixels: number) => void}} Budget */

/**
 * @param {Uint8Array} stream
 * @returns {Header}
 */
function readHeader(stream) {
    if (stream.length < HEADER_BYTES) {
        throw new Malformed(`GLZ data has ${stream.length} bytes`);
    }
    const view = new DataView(stream.buffer, stream.byteOffset, HEADER_BYTES);
    const [magic, version, width, height, stride, high, low, back] = [0, 4, 9, 13, 17, 21, 25, 29].map((at) =>
        view.getUint32(at),
    );
    const raw = stream[8];
    const kind = raw & ~TOP_DOWN;
    if (magic !== MAGIC || version !== VERSION) {
        throw new Malformed(`GLZ magic is ${magic} and version ${version}`);
    }
    if (kind < RGB16 || kind > RGBA) {
        throw new Malformed(`GLZ type and row order are ${raw}; types are 6 to 9`);
    }
    const pixels = checkSize("GLZ image", width, height);
    if (stride !== width * PIXEL_BYTES[kind]) {
        throw new Malformed(`GLZ stride is ${stride} for ${width} pixels of type ${kind}`);
    }
    const id = high * 2 ** 32 + low;
    if (!Number.isSafeInteger(id + 1)) {
        throw new Malformed(`GLZ image has number ${id}`);
    }
    if (back > id) {
        throw new Malformed(`GLZ image ${id} may refer ${back} images back`);
    }
    if (pixels > UNITS_PER_BYTE * (stream.length - HEADER_BYTES)) {
        throw new Malformed(`GLZ data of ${stream.length} bytes is too short for ${width}x${height} pixels`);
    }
    return { kind, topDown: (raw & TOP_DOWN) !== 0, width, height, id, back };
}

/** The images of one dictionary that later images may refer to. */
export class Window {
    /** @param {Budget} budget of what it may keep */
    constructor(budget) {
        this.budget = budget;
        /** @type {Map<number, Kept>} */
        this.images = new Map();
        /** The lowest number that any image so far has shown to be one of this dictionary. */
        this.first = Infinity;
        /** The lowest number from `first` on that has not come. */
        this.nextMissing = Infinity;
        /** All from `first` to before this one have come and are gone. */
        this.freedBelow = 0;
        /** None that is kept has a lower number. */
        this.lowest = Infinity;
    }

    /** Forgets everything: another dictionary begins. */
    clear() {
        for (const { pixels } of this.images.values()) {
            this.budget.take(-pixels.length);
        }
        this.images.clear();
        this.first = Infinity;
        this.nextMissing = Infinity;
        this.freedBelow = 0;
        this.lowest = Infinity;
    }

    /** @param {number} id */
    has(id) {
        return this.images.has(id);
    }

    /**
     * Decodes the next image of a display and keeps it for those that refer to it. Bytes after the image are ignored.
     * @param {Uint8Array} stream
     * @returns {{width: number, height: number, pixels: Uint32Array, hasAlpha: boolean}} its pixels must not be changed
     * @throws {NotYet} then the window is as it was, and the same stream can be decoded when that image is there
     * @throws {Malformed}
     */
    decode(stream) {
        const header = readHeader(stream);
        const { kind, width, height, id, back, topDown } = header;
        if (this.images.has(id) || (id >= this.first && id < this.freedBelow)) {
            throw new Malformed(`GLZ image ${id} comes a second time`);
        }
        if (id === this.nextMissing) {
            // Nothing that is still to come refers to what lies before: make room first.
            this.freeBelow(id - back);
        }
        this.budget.check("GLZ window", width * height);
        if (this.images.size >= MAX_IMAGES) {
            throw new Malformed(`GLZ window of ${this.images.size} images cannot take another one`);
        }
        const pixels = new Uint32Array(width * height);
        const sources = new Sources(this, header);
        const end = readColours(stream, pixels, sources, kind);
        if (kind === RGBA) {
            readAlpha(stream, end, pixels, sources);
        }
        const hasAlpha = kind === RGBA;
        this.keep(header, { pixels, hasAlpha, back });
        if (topDown || height === 1) {
            return { width, height, pixels, hasAlpha };
        }
        const flipped = pixels.slice();
        flipRows(flipped, width);
        return { width, height, pixels: flipped, hasAlpha };
    }

    /**
     * @param {number} id
     * @returns {Kept}
     */
    image(id) {
        const image = this.images.get(id);
        if (image === undefined) {
            throw id < this.freedBelow
                ? new Malformed(`GLZ image ${id}, which is referred to, has left the window`)
                : new NotYet(id);
        }
        return image;
    }

    /**
     * @param {Header} header
     * @param {Kept} image
     */
    keep({ id, back }, image) {
        // A dictionary counts from 0, or after a migration from any number: its first image reaches no further back
        // than itself, and every other one is known to follow the oldest that it may refer to.
        const oldest = id - back;
        if (oldest < this.first) {
            this.first = oldest;
            this.nextMissing = oldest;
        }
        this.budget.take(image.pixels.length);
        this.images.set(id, image);
        this.lowest = Math.min(this.lowest, id);
        let reach = -1;
        for (;;) {
            const next = this.images.get(this.nextMissing);
            if (next === undefined) {
                break;
            }
            reach = this.nextMissing - next.back;
            this.nextMissing++;
        }
        if (reach >= 0) {
            this.freeBelow(reach);
        }
    }

    /** @param {number} end */
    freeBelow(end) {
        if (this.lowest >= end) {
            return;
        }
        if (end - this.lowest <= this.images.size) {
            for (let id = this.lowest; id < end; id++) {
                this.free(id);
            }
        } else {
            // Numbers with gaps.
            for (const id of [...this.images.keys()]) {
                if (id < end) {
                    this.free(id);
                }
            }
        }
        this.lowest = end;
    }

    /** @param {number} id */
    free(id) {
        const image = this.images.get(id);
        if (image !== undefined) {
            this.images.delete(id);
            this.budget.take(-image.pixels.length);
            this.freedBelow = Math.max(this.freedBelow, id + 1);
        }
    }
}

/** The earlier images that matches of one image lie in. */
class Sources {
    /**
     * @param {Window} window
     * @param {Header} header
     */
    constructor(window, { id, back }) {
        this.window = window;
        this.id = id;
        this.back = back;
        /** The image asked for last: most matches lie where the one before did. */
        this.lastBack = 0;
        /** @type {Kept} */
        this.last = { pixels: new Uint32Array(0), hasAlpha: false, back: 0 };
    }

    /**
     * The image a match lies in, all of which has to be there.
     * @param {number} back how many images back, not 0
     * @param {number} offset
     * @param {number} length
     */
    find(back, offset, length) {
        if (back !== this.lastBack) {
            if (back > this.back) {
                throw new Malformed(`GLZ image ${this.id} refers ${back} images back, it may refer ${this.back} back`);
            }
            this.last = this.window.image(this.id - back);
            this.lastBack = back;
        }
        const units = this.last.pixels.length;
        if (length > units - offset) {
            const id = this.id - back;
            throw new Malformed(`GLZ match of ${length} units from unit ${offset} of image ${id}, which has ${units}`);
        }
        return this.last;
    }
}

/** Where a match lies that was read last: how many images back, where in that one, and where it ends in the stream. */
const found = { back: 0, offset: 0, end: 0 };

/**
 * Reads a match after its length.
 * @param {Uint8Array} input
 * @param {number} from
 * @param {number} control
 * @returns {boolean} whether all of it is there
 */
function readPlace(input, from, control) {
    if (from + 2 > input.length) {
        return false;
    }
    let offset = (control & 15) | (input[from] << 4);
    const third = input[from + 1];
    from += 2;
    const isFar = (control & 16) !== 0;
    const more = third >> 6;
    const isVeryFar = isFar && (third & 32) !== 0;
    if (from + more + (isVeryFar ? 1 : 0) > input.length) {
        return false;
    }
    let back = 0;
    let shift = 0;
    if (isFar) {
        offset |= (third & 31) << 12;
    } else {
        back = third & 63;
        shift = 6;
    }
    for (let count = more; count > 0; count--) {
        back |= input[from++] << shift;
        shift += 8;
    }
    if (isVeryFar) {
        offset |= input[from++] << 17;
    }
    found.back = back;
    found.offset = offset;
    found.end = from;
    return true;
}

/**
 * Reads the pass over colours.
 * @param {Uint8Array} input the whole stream
 * @param {Uint32Array} out
 * @param {Sources} sources
 * @param {number} kind
 * @returns {number} where it ends
 */
function readColours(input, out, sources, kind) {
    const expected = out.length;
    const end = input.length;
    const words = new Int32Array(out.buffer);
    const isNarrow = kind === RGB16;
    const extra = isNarrow ? 1 : 0;
    let from = HEADER_BYTES;
    let at = 0;
    while (at < expected) {
        if (from >= end) {
            throw truncated("GLZ", at, expected);
        }
        const control = input[from++];
        if (control < 32) {
            const stop = at + control + 1;
            if (stop > expected) {
                throw tooLong("GLZ", control + 1, at, expected);
            }
            if (from + (control + 1) * (3 - extra) > end) {
                throw truncated("GLZ", at, expected);
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
                    throw truncated("GLZ", at, expected);
                }
                more = input[from++];
                length += more;
            }
        }
        length += extra;
        if (!readPlace(input, from, control)) {
            throw truncated("GLZ", at, expected);
        }
        from = found.end;
        if (length > expected - at) {
            throw tooLong("GLZ", length, at, expected);
        }
        const stop = at + length;
        const { back, offset } = found;
        if (back !== 0) {
            const image = sources.find(back, offset, length);
            const { pixels } = image;
            if (image.hasAlpha && kind !== RGBA) {
                for (let place = offset; at < stop; at++, place++) {
                    words[at] = pixels[place] | 0xff000000;
                }
            } else if (length >= LONG_MATCH) {
                out.set(pixels.subarray(offset, offset + length), at);
                at = stop;
            } else {
                for (let place = offset; at < stop; at++, place++) {
                    words[at] = pixels[place];
                }
            }
            continue;
        }
        const distance = offset + 1;
        if (distance > at) {
            throw tooFar("GLZ", distance, at);
        }
        if (distance === 1 && length >= LONG_MATCH) {
            words.fill(words[at - 1], at, stop);
            at = stop;
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
 * Reads the pass over alpha.
 * @param {Uint8Array} input the whole stream
 * @param {number} start where the pass begins
 * @param {Uint32Array} pixels
 * @param {Sources} sources
 */
function readAlpha(input, start, pixels, sources) {
    const expected = pixels.length;
    const end = input.length;
    const bytes = new Uint8Array(pixels.buffer);
    let from = start;
    let at = 0;
    while (at < expected) {
        if (from >= end) {
            throw truncated("GLZ alpha", at, expected);
        }
        const control = input[from++];
        if (control < 32) {
            const stop = at + control + 1;
            if (stop > expected) {
                throw tooLong("GLZ alpha", control + 1, at, expected);
            }
            if (from + control + 1 > end) {
                throw truncated("GLZ alpha", at, expected);
            }
            for (; at < stop; at++) {
                bytes[4 * at + 3] = input[from++];
            }
            continue;
        }
        let length = control >> 5;
        if (length === 7) {
            let more = 255;
            while (more === 255 && length <= expected) {
                if (from >= end) {
                    throw truncated("GLZ alpha", at, expected);
                }
                more = input[from++];
                length += more;
            }
        }
        length += 2;
        if (!readPlace(input, from, control)) {
            throw truncated("GLZ alpha", at, expected);
        }
        from = found.end;
        if (length > expected - at) {
            throw tooLong("GLZ alpha", length, at, expected);
        }
        const stop = at + length;
        const { back, offset } = found;
        if (back !== 0) {
            const image = sources.find(back, offset, length);
            if (!image.hasAlpha) {
                throw new Malformed(`GLZ match takes alpha from image ${sources.id - back}, which has none`);
            }
            for (let place = offset; at < stop; at++, place++) {
                bytes[4 * at + 3] = image.pixels[place] >>> 24;
            }
            continue;
        }
        const distance = offset + 1;
        if (distance > at) {
            throw tooFar("GLZ alpha", distance, at);
        }
        for (let to = 4 * at + 3; at < stop; at++, to += 4) {
            bytes[to] = bytes[to - 4 * distance];
        }
    }
}
