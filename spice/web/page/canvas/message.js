// Drawing messages of the display channel, taken apart. Images stay where they are: their offset in the message is
// handed to the image decoder.

import { Malformed, Reader } from "../protocol/reader.js";

/**
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rect
 * right and bottom are exclusive
 * @typedef {{x: number, y: number}} Point
 * @typedef {{kind: "none"} | {kind: "solid", color: number} | {kind: "pattern", image: number, pos: Point}} Brush
 * color is a pixel value in the format of the surface, image an offset in the message
 * @typedef {{inverse: boolean, pos: Point, image: number}} Mask image is an offset; 0 selects everything
 * @typedef {{flags: number, points: Int32Array}} Segment points are x and y in turn, 28.4
 * @typedef {{renderX: number, renderY: number, originX: number, originY: number, width: number, height: number,
 *     data: Uint8Array, bottomUp: boolean}} Glyph rows without padding
 */

/** Numbers of the messages. */
export const COPY_BITS = 104;
export const DRAW = {
    FILL: 302,
    OPAQUE: 303,
    COPY: 304,
    BLEND: 305,
    BLACKNESS: 306,
    WHITENESS: 307,
    INVERS: 308,
    ROP3: 309,
    STROKE: 310,
    TEXT: 311,
    TRANSPARENT: 312,
    ALPHA_BLEND: 313,
    COMPOSITE: 318,
};

/** Flags of a composite that say which optional parts are there. */
const HAS_MASK = 1 << 19;
const HAS_SRC_TRANSFORM = 1 << 20;
const HAS_MASK_TRANSFORM = 1 << 21;

/**
 * A drawing message. Which fields are there depends on `type`.
 * @typedef {object} Draw
 * @property {number} type
 * @property {number} surface
 * @property {Rect} box
 * @property {Rect[] | null} clip null: all of the box
 * @property {number} source offset of the source image, 0 when there is none
 * @property {Rect} area the part of the source that is used
 * @property {boolean} nearest how it is scaled: by the nearest pixel, or interpolated
 * @property {Brush} brush of text: what glyphs are painted with
 * @property {number} rop binary raster operation, or of ROP3 the ternary one
 * @property {Mask | null} mask
 * @property {Point} from COPY_BITS: where the pixels come from
 * @property {Segment[]} path STROKE
 * @property {Int32Array} style STROKE: lengths of dashes and gaps, 28.4; empty: a solid line
 * @property {boolean} startWithGap STROKE
 * @property {Glyph[]} glyphs TEXT
 * @property {number} depth TEXT: bits of coverage for each pixel
 * @property {Rect} backArea TEXT
 * @property {Brush} backBrush TEXT
 * @property {number} key TRANSPARENT: the colour that is not drawn, 0x00RRGGBB
 * @property {number} alphaFlags ALPHA_BLEND
 * @property {number} alpha ALPHA_BLEND
 * @property {number} flags COMPOSITE
 * @property {number} maskImage COMPOSITE: offset, 0 when there is none
 * @property {Int32Array | null} transform COMPOSITE, of the source: six 16.16 numbers, two rows of three
 * @property {Int32Array | null} maskTransform COMPOSITE
 * @property {Point} origin COMPOSITE: the point of the source that falls on the corner of the box
 * @property {Point} maskOrigin COMPOSITE
 */

/** @returns {Rect} */
const nowhere = () => ({ left: 0, top: 0, right: 0, bottom: 0 });

/** @type {Brush} */
const NO_BRUSH = { kind: "none" };

/**
 * @param {Reader} reader
 * @returns {Point}
 */
function readPoint(reader) {
    const x = reader.i32();
    return { x, y: reader.i32() };
}

/**
 * @param {Reader} reader
 * @returns {Point}
 */
function readPoint16(reader) {
    const x = (reader.u16() << 16) >> 16;
    return { x, y: (reader.u16() << 16) >> 16 };
}

/**
 * On the wire the order is top, left, bottom, right.
 * @param {Reader} reader
 * @returns {Rect}
 */
export function readRect(reader) {
    const top = reader.i32();
    const left = reader.i32();
    const bottom = reader.i32();
    return { left, top, right: reader.i32(), bottom };
}

/**
 * Refuses a count of things that the message has no room for, before memory is taken for them.
 * @param {Reader} reader
 * @param {string} field
 * @param {number} count
 * @param {number} least bytes that each takes at least
 */
function checkCount(reader, field, count, least) {
    if (count * least > reader.left) {
        throw new Malformed(`${field} ${count}: ${reader.left} bytes are left, each takes ${least}`);
    }
}

/**
 * @param {Reader} reader
 * @returns {Rect[] | null} null: no clip
 */
export function readClip(reader) {
    const type = reader.u8();
    if (type === 0) {
        return null;
    }
    if (type !== 1) {
        throw new Malformed(`clip type ${type} is not 0 or 1`);
    }
    const count = reader.u32();
    checkCount(reader, "clip num_rects", count, 16);
    return Array.from({ length: count }, () => readRect(reader));
}

/**
 * A pointer, which is an offset in the message.
 * @param {Reader} reader
 * @param {string} field
 * @param {boolean} [mayBeNull]
 * @returns {number}
 */
function readPointer(reader, field, mayBeNull = false) {
    const offset = reader.u32();
    if (offset >= reader.bytes.length || (offset === 0 && !mayBeNull)) {
        throw new Malformed(`${field} ${offset} does not point into a message of ${reader.bytes.length} bytes`);
    }
    return offset;
}

/**
 * @param {Reader} reader
 * @returns {Brush}
 */
function readBrush(reader) {
    const type = reader.u8();
    switch (type) {
        case 0:
            return NO_BRUSH;
        case 1:
            return { kind: "solid", color: reader.u32() };
        case 2: {
            const image = readPointer(reader, "brush pattern");
            return { kind: "pattern", image, pos: readPoint(reader) };
        }
        default:
            throw new Malformed(`brush type ${type} is not 0, 1 or 2`);
    }
}

/**
 * @param {Reader} reader
 * @returns {Mask}
 */
function readMask(reader) {
    const inverse = (reader.u8() & 1) !== 0;
    const pos = readPoint(reader);
    return { inverse, pos, image: readPointer(reader, "mask bitmap", true) };
}

/**
 * @param {Reader} reader
 * @returns {boolean} whether it is the nearest pixel
 */
function readScaleMode(reader) {
    const mode = reader.u8();
    if (mode > 1) {
        throw new Malformed(`scale_mode ${mode} is not 0 or 1`);
    }
    return mode === 1;
}

/**
 * @param {Reader} reader
 * @param {number} count
 * @returns {Int32Array}
 */
function readNumbers(reader, count) {
    const numbers = new Int32Array(count);
    for (let at = 0; at < count; at++) {
        numbers[at] = reader.i32();
    }
    return numbers;
}

/**
 * @param {Reader} reader at the path
 * @returns {Segment[]}
 */
function readPath(reader) {
    const count = reader.u32();
    checkCount(reader, "path num_segments", count, 5);
    return Array.from({ length: count }, () => {
        const flags = reader.u8();
        const points = reader.u32();
        checkCount(reader, "path segment count", points, 8);
        return { flags, points: readNumbers(reader, points * 2) };
    });
}

/**
 * How a line is dashed.
 * @param {Reader} reader
 * @param {Draw} draw
 */
function readLine(reader, draw) {
    const flags = reader.u8();
    draw.startWithGap = (flags & 4) !== 0;
    if ((flags & 8) === 0) {
        return;
    }
    const count = reader.u8();
    const style = readPointer(reader, "line style", count === 0);
    if (style !== 0) {
        const target = reader.at(style);
        checkCount(target, "line style_nseg", count, 4);
        draw.style = readNumbers(target, count);
    }
}

/**
 * @param {Reader} reader at the string
 * @param {Draw} draw
 */
function readString(reader, draw) {
    const count = reader.u16();
    const flags = reader.u8();
    const depth = { 1: 1, 2: 4, 4: 8 }[flags & 7];
    if (depth === undefined) {
        throw new Malformed(`str flags ${flags} have not one of RASTER_A1, A4 and A8`);
    }
    draw.depth = depth;
    const bottomUp = (flags & 8) === 0;
    checkCount(reader, "str length", count, 20);
    draw.glyphs = Array.from({ length: count }, () => {
        const render = readPoint(reader);
        const origin = readPoint(reader);
        const width = reader.u16();
        const height = reader.u16();
        const data = reader.take(Math.ceil((width * depth) / 8) * height);
        return {
            renderX: render.x,
            renderY: render.y,
            originX: origin.x,
            originY: origin.y,
            width,
            height,
            data,
            bottomUp,
        };
    });
}

/**
 * @param {Reader} reader
 * @param {Draw} draw
 */
function readSource(reader, draw) {
    draw.source = readPointer(reader, "src_bitmap");
    draw.area = readRect(reader);
}

/**
 * @param {Reader} reader
 * @param {Draw} draw
 */
function readComposite(reader, draw) {
    const flags = reader.u32();
    draw.flags = flags;
    draw.source = readPointer(reader, "src_bitmap");
    if ((flags & HAS_MASK) !== 0) {
        draw.maskImage = readPointer(reader, "mask_bitmap");
    }
    if ((flags & HAS_SRC_TRANSFORM) !== 0) {
        draw.transform = readNumbers(reader, 6);
    }
    if ((flags & HAS_MASK_TRANSFORM) !== 0) {
        draw.maskTransform = readNumbers(reader, 6);
    }
    draw.origin = readPoint16(reader);
    draw.maskOrigin = readPoint16(reader);
}

/**
 * Takes a drawing message apart.
 * @param {number} type 302 to 313 and 318, and 104 for COPY_BITS
 * @param {Uint8Array} body
 * @returns {Draw}
 * @throws {Malformed} when it is cut off, points outside itself, or has values there are none of
 */
export function readDraw(type, body) {
    const reader = new Reader(body);
    /** @type {Draw} */
    const draw = {
        type,
        surface: reader.u32(),
        box: readRect(reader),
        clip: readClip(reader),
        source: 0,
        area: nowhere(),
        nearest: true,
        brush: NO_BRUSH,
        rop: 0,
        mask: null,
        from: { x: 0, y: 0 },
        path: [],
        style: new Int32Array(0),
        startWithGap: false,
        glyphs: [],
        depth: 1,
        backArea: nowhere(),
        backBrush: NO_BRUSH,
        key: 0,
        alphaFlags: 0,
        alpha: 0,
        flags: 0,
        maskImage: 0,
        transform: null,
        maskTransform: null,
        origin: { x: 0, y: 0 },
        maskOrigin: { x: 0, y: 0 },
    };
    switch (type) {
        case COPY_BITS:
            draw.from = readPoint(reader);
            break;
        case DRAW.FILL:
            draw.brush = readBrush(reader);
            draw.rop = reader.u16();
            draw.mask = readMask(reader);
            break;
        case DRAW.OPAQUE:
        case DRAW.ROP3:
            readSource(reader, draw);
            draw.brush = readBrush(reader);
            draw.rop = type === DRAW.ROP3 ? reader.u8() : reader.u16();
            draw.nearest = readScaleMode(reader);
            draw.mask = readMask(reader);
            break;
        case DRAW.COPY:
        case DRAW.BLEND:
            readSource(reader, draw);
            draw.rop = reader.u16();
            draw.nearest = readScaleMode(reader);
            draw.mask = readMask(reader);
            break;
        case DRAW.BLACKNESS:
        case DRAW.WHITENESS:
        case DRAW.INVERS:
            draw.mask = readMask(reader);
            break;
        case DRAW.STROKE:
            draw.path = readPath(reader.at(readPointer(reader, "path")));
            readLine(reader, draw);
            draw.brush = readBrush(reader);
            draw.rop = reader.u16();
            // back_mode is without use.
            reader.skip(2);
            break;
        case DRAW.TEXT:
            readString(reader.at(readPointer(reader, "str")), draw);
            draw.backArea = readRect(reader);
            draw.brush = readBrush(reader);
            draw.backBrush = readBrush(reader);
            // Neither fore_mode nor back_mode is of use: glyphs are laid over by their coverage.
            reader.skip(4);
            break;
        case DRAW.TRANSPARENT:
            readSource(reader, draw);
            // src_color is the same in the format of the image.
            reader.skip(4);
            draw.key = reader.u32();
            break;
        case DRAW.ALPHA_BLEND:
            draw.alphaFlags = reader.u8();
            draw.alpha = reader.u8();
            readSource(reader, draw);
            break;
        case DRAW.COMPOSITE:
            readComposite(reader, draw);
            break;
        default:
            throw new Malformed(`message type ${type} draws nothing`);
    }
    return draw;
}
