// Messages of display channels other than the drawing ones.

import { Malformed, Reader, Writer } from "./reader.js";

/** @typedef {{left: number, top: number, right: number, bottom: number}} Rect */

/**
 * A stream of video.
 * @typedef {object} StreamCreate
 * @property {number} surface
 * @property {number} id
 * @property {boolean} topDown
 * @property {number} codec
 * @property {number} width of frames
 * @property {number} height of frames
 * @property {Rect} dest
 * @property {Rect[] | null} clip null: none
 */

/**
 * A part of a surface that one monitor shows.
 * @typedef {object} Head
 * @property {number} monitor its number among those of the channel
 * @property {number} surface
 * @property {number} x where it begins in the surface
 * @property {number} y
 * @property {number} width
 * @property {number} height
 */

/** Streams have numbers below. */
const STREAMS = 64;
/** Most heads of a channel. Servers offer up to 16. */
const HEADS_MAX = 16;
/** Most rectangles of a clip. */
const RECTS_MAX = 1 << 16;
/** Most images named as what is still there. */
export const RESUME_IMAGES_MAX = 1 << 14;
/** Bytes of a frame of video before its data. */
const FRAME_BYTES = 12;

/**
 * @param {Reader} reader
 * @returns {Rect}
 */
function readRect(reader) {
    const [top, left, bottom, right] = [reader.i32(), reader.i32(), reader.i32(), reader.i32()];
    if (top > bottom || left > right) {
        throw new Malformed(`rectangle ${left}, ${top} to ${right}, ${bottom} ends before it begins`);
    }
    return { left, top, right, bottom };
}

/**
 * @param {Reader} reader
 * @returns {Rect[] | null}
 */
function readClip(reader) {
    const type = reader.u8();
    if (type === 0) {
        return null;
    }
    if (type !== 1) {
        throw new Malformed(`clip type ${type} is none`);
    }
    const count = reader.u32();
    if (count > RECTS_MAX || count * 16 > reader.left) {
        throw new Malformed(`num_rects ${count}: ${reader.left} bytes are left`);
    }
    return Array.from({ length: count }, () => readRect(reader));
}

/** @param {Reader} reader */
function readStreamId(reader) {
    const id = reader.u32();
    if (id >= STREAMS) {
        throw new Malformed(`stream id ${id} is not below ${STREAMS}`);
    }
    return id;
}

/**
 * @param {Uint8Array} body of STREAM_CREATE
 * @returns {StreamCreate}
 */
export function readStreamCreate(body) {
    const reader = new Reader(body);
    const surface = reader.u32();
    const id = readStreamId(reader);
    const topDown = (reader.u8() & 1) !== 0;
    const codec = reader.u8();
    reader.skip(8);
    const [width, height] = [reader.u32(), reader.u32()];
    reader.skip(8);
    const dest = readRect(reader);
    return { surface, id, topDown, codec, width, height, dest, clip: readClip(reader) };
}

/**
 * A frame of a stream.
 * @param {Uint8Array} body of STREAM_DATA or STREAM_DATA_SIZED
 * @param {boolean} sized which of them
 * @returns {{id: number, time: number, dest: Rect | null, data: Uint8Array}} time in ms of the media clock; dest null:
 *     that of the stream
 */
export function readStreamData(body, sized) {
    const reader = new Reader(body);
    const id = readStreamId(reader);
    const time = reader.u32();
    let dest = null;
    if (sized) {
        reader.skip(8);
        dest = readRect(reader);
    }
    return { id, time, dest, data: reader.take(reader.u32()) };
}

/**
 * @param {Uint8Array} body of STREAM_DATA or STREAM_DATA_SIZED
 * @returns {number} the stream's number, or -1 for a message that is too short
 */
export function peekStream(body) {
    return body.length < FRAME_BYTES ? -1 : new Reader(body).u32();
}

/** @param {Uint8Array} body of STREAM_CLIP */
export function readStreamClip(body) {
    const reader = new Reader(body);
    const id = readStreamId(reader);
    return { id, clip: readClip(reader) };
}

/** @param {Uint8Array} body of STREAM_DESTROY */
export function readStreamDestroy(body) {
    return readStreamId(new Reader(body));
}

/** @param {Uint8Array} body of STREAM_ACTIVATE_REPORT */
export function readActivateReport(body) {
    const reader = new Reader(body);
    return { id: readStreamId(reader), unique: reader.u32(), frames: reader.u32(), milliseconds: reader.u32() };
}

/**
 * @param {object} report
 * @param {number} report.id of the stream
 * @param {number} report.unique as the server asked for it
 * @param {number} report.start media time of its first frame, in ms
 * @param {number} report.end that of its last one
 * @param {number} report.frames
 * @param {number} report.drops
 * @param {number} report.delay by how many ms the last frame came before its time
 * @returns {Uint8Array} body of STREAM_REPORT
 */
export function streamReport({ id, unique, start, end, frames, drops, delay }) {
    const out = new Writer();
    [id, unique, start, end, frames, drops].forEach((value) => out.u32(value));
    out.i32(delay);
    // No sound is playing that pictures would have to wait for.
    out.u32(0xffffffff);
    return out.finish();
}

/**
 * The heads that are shown; those without a size are none.
 * @param {Uint8Array} body of MONITORS_CONFIG
 * @returns {Head[]}
 */
export function readMonitors(body) {
    const reader = new Reader(body);
    const count = reader.u16();
    reader.u16();
    if (count * 28 > reader.left) {
        throw new Malformed(`monitors: ${count} heads are not in ${reader.left} bytes`);
    }
    const heads = Array.from({ length: count }, () => {
        const [monitor, surface, width, height] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
        const [x, y] = [reader.u32(), reader.u32()];
        reader.u32();
        return { monitor, surface, x, y, width, height };
    }).filter(({ width, height }) => width > 0 && height > 0);
    const numbers = new Set(heads.map(({ monitor }) => monitor));
    if (heads.length > HEADS_MAX || numbers.size !== heads.length || heads.some(({ monitor }) => monitor > 255)) {
        throw new Malformed(`monitors: ${heads.length} heads with numbers ${[...numbers].slice(0, 20).join(", ")}`);
    }
    return heads;
}

/**
 * @param {Uint8Array} body of INVAL_LIST
 * @returns {bigint[]} ids of pixmaps
 */
export function readInvalList(body) {
    const reader = new Reader(body);
    const count = reader.u16();
    /** @type {bigint[]} */
    const ids = [];
    for (let index = 0; index < count; index++) {
        const type = reader.u8();
        const id = reader.u64();
        if (type === 1) {
            ids.push(id);
        }
    }
    return ids;
}

/** @param {Uint8Array} body of SURFACE_CREATE */
export function readSurfaceCreate(body) {
    const reader = new Reader(body);
    const [id, width, height, format] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
    return { id, width, height, format, flags: reader.u32() };
}

/**
 * @param {{pixels: number, window: number}} sizes of image cache and of the GLZ window, in pixels
 * @returns {Uint8Array} body of INIT
 */
export function displayInit({ pixels, window }) {
    const out = new Writer();
    out.u8(1);
    out.u64(BigInt(pixels));
    out.u8(1);
    out.i32(window);
    return out.finish();
}
