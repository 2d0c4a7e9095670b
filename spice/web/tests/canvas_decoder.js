// A decoder of plain bitmaps and surfaces, for tests of the canvas alone.

import { Malformed, Reader } from "../page/protocol/reader.js";

const BITMAP = 0;
const SURFACE = 104;
const HIGH_BITS_SET = 2;

/** Bits of a pixel by the number of the bitmap format. */
const DEPTHS = [0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8];

/**
 * @param {Uint8Array} message
 * @param {number} offset
 */
function readImage(message, offset) {
    const reader = new Reader(message, offset);
    reader.skip(8);
    const type = reader.u8();
    const flags = reader.u8();
    const [width, height] = [reader.u32(), reader.u32()];
    if (type === SURFACE) {
        return { kind: /** @type {const} */ ("surface"), surface: reader.u32() };
    }
    if (type !== BITMAP) {
        throw new Malformed(`image type ${type} is not known to tests`);
    }
    const format = reader.u8();
    const bitmapFlags = reader.u8();
    const depth = DEPTHS[format] ?? 0;
    reader.skip(8);
    const stride = reader.u32();
    const palettePointer = reader.u32();
    const isHuge = width * height > 1 << 24 || width === 0 || height === 0;
    if (depth === 0 || stride * 8 < width * depth || isHuge) {
        throw new Malformed(`bitmap of format ${format}, ${width}x${height} pixels and stride ${stride}`);
    }
    const data = reader.take(stride * height);
    const row = (/** @type {number} */ y) => {
        const stored = (bitmapFlags & 4) !== 0 ? y : height - 1 - y;
        return data.subarray(stored * stride, (stored + 1) * stride);
    };
    /** @type {number[]} */
    let palette = [];
    if (palettePointer !== 0) {
        const entries = reader.at(palettePointer);
        entries.skip(8);
        const count = entries.u16();
        palette = Array.from({ length: count }, () => entries.u32());
    }
    const kind = /** @type {const} */ ("bitmap");
    return { kind, format, depth, width, height, row, palette, isFull: (flags & HIGH_BITS_SET) !== 0 };
}

/**
 * The bits or bytes of a pixel as one number.
 * @param {Uint8Array} row
 * @param {number} x
 * @param {number} format
 */
function valueAt(row, x, format) {
    switch (format) {
        case 1:
            return (row[x >> 3] >> (x & 7)) & 1;
        case 2:
            return (row[x >> 3] >> (7 - (x & 7))) & 1;
        case 3:
            return (row[x >> 1] >> (4 * (x & 1))) & 15;
        case 4:
            return (row[x >> 1] >> (4 - 4 * (x & 1))) & 15;
        case 6:
            return row[2 * x] | (row[2 * x + 1] << 8);
        case 7:
            return row[3 * x] | (row[3 * x + 1] << 8) | (row[3 * x + 2] << 16);
        case 8:
        case 9:
            return row[4 * x] | (row[4 * x + 1] << 8) | (row[4 * x + 2] << 16) | (row[4 * x + 3] << 24);
        default:
            return row[x];
    }
}

/** @param {number} value 0xAARRGGBB */
const swapped = (value) => (value & 0xff00ff00) | ((value >>> 16) & 255) | ((value & 255) << 16);

/** @param {number} value */
function wide555(value) {
    const five = (/** @type {number} */ component) => (component << 3) | (component >> 2);
    return (five((value >> 10) & 31) << 16) | (five((value >> 5) & 31) << 8) | five(value & 31);
}

/** @typedef {import("../page/canvas/ops.js").Decoded} Decoded */

/** As the image decoder of the page has it. */
export class BitmapDecoder {
    /**
     * @param {Uint8Array} message
     * @param {number} offset
     * @returns {Decoded}
     */
    decode(message, offset) {
        const image = readImage(message, offset);
        if (image.kind === "surface") {
            return { surface: image.surface };
        }
        const { format, width, height, palette } = image;
        const pixels = new Uint32Array(width * height);
        const hasAlpha = format === 9 || format === 10;
        const unused = image.isFull && format === 8 ? 255 : new Uint8Array(pixels.length);
        for (let y = 0; y < height; y++) {
            const row = image.row(y);
            for (let x = 0; x < width; x++) {
                const value = valueAt(row, x, format);
                const at = y * width + x;
                if (format === 9) {
                    pixels[at] = swapped(value);
                } else if (format === 10) {
                    pixels[at] = value << 24;
                } else if (format === 6) {
                    pixels[at] = swapped(wide555(value)) | 0xff000000;
                } else {
                    if (format === 8 && typeof unused !== "number") {
                        unused[at] = value >>> 24;
                    }
                    pixels[at] = swapped(format < 6 ? (palette[value] ?? 0) : value) | 0xff000000;
                }
            }
        }
        return { width, height, pixels, hasAlpha, unused };
    }

    /**
     * @param {Uint8Array} message
     * @param {number} offset
     * @returns {Decoded}
     */
    decodeMask(message, offset) {
        const image = readImage(message, offset);
        if (image.kind === "surface") {
            return { surface: image.surface };
        }
        const { format, depth, width, height } = image;
        if (depth !== 1) {
            throw new Malformed(`bitmap of format ${format} as a mask`);
        }
        const stride = (width + 7) >> 3;
        const bits = new Uint8Array(stride * height);
        for (let y = 0; y < height; y++) {
            const row = image.row(y);
            for (let x = 0; x < width; x++) {
                bits[y * stride + (x >> 3)] |= valueAt(row, x, format) << (7 - (x & 7));
            }
        }
        return { width, height, stride, bits };
    }
}
