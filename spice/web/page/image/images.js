// Images of drawing messages.

import { jpegSize } from "../protocol/jpeg.js";
import { Malformed, Reader } from "../protocol/reader.js";
import { maskOf, paletteOf, pixelsOf, rowBytes } from "./bitmap.js";
import { inflate } from "./inflate.js";
import { decodeLz, decodeLzPalette, putLzAlpha } from "./lz.js";
import { decodeLz4 } from "./lz4.js";
import { checkSize } from "./pixels.js";
import { decodeQuic } from "./quic.js";

export { ImageCaches, PaletteCache } from "./caches.js";

/** @typedef {import("./bitmap.js").Picture} Picture */
/** @typedef {import("./bitmap.js").Mask1} Mask1 */
/** @typedef {import("./bitmap.js").Rows} Rows */
/** @typedef {import("./caches.js").ImageCaches} Caches */
/** @typedef {import("./caches.js").PaletteCache} Palettes */
/** @typedef {{surface: number}} SurfaceRef */

/**
 * Decodes a JPEG to opaque pixels, top row first, which belong to who asked.
 * @typedef {(bytes: Uint8Array) => Promise<{width: number, height: number, pixels: Uint32Array}>} DecodeJpeg
 */

/** Numbers of the image types. */
export const IMAGE = Object.freeze({
    BITMAP: 0,
    QUIC: 1,
    LZ_PLT: 100,
    LZ_RGB: 101,
    GLZ_RGB: 102,
    FROM_CACHE: 103,
    SURFACE: 104,
    JPEG: 105,
    FROM_CACHE_LOSSLESS: 106,
    ZLIB_GLZ_RGB: 107,
    JPEG_ALPHA: 108,
    LZ4: 109,
});

/** Flags of an image. */
export const IMAGE_FLAG = Object.freeze({ CACHE_ME: 1, HIGH_BITS_SET: 2, CACHE_REPLACE_ME: 4 });
/** Flags of BITMAP and LZ_PLT. */
export const BITMAP_FLAG = Object.freeze({ PAL_CACHE_ME: 1, PAL_FROM_CACHE: 2, TOP_DOWN: 4 });

/** The surface format whose palettes hold pixel values. */
const SURFACE_555 = 16;
/** The unused byte where HIGH_BITS_SET says that it counts as full. */
const FULL = 255;
/** The most bytes that a GLZ stream has beyond those of a picture, which none is in practice. */
const GLZ_BYTES_MAX = 1 << 29;

/**
 * What all images begin with.
 * @typedef {object} Descriptor
 * @property {bigint} id the name it has in the cache
 * @property {number} type
 * @property {number} flags
 * @property {number} width
 * @property {number} height
 */

/**
 * @param {Reader} reader
 * @returns {Descriptor}
 */
function readDescriptor(reader) {
    const id = reader.u64();
    const type = reader.u8();
    const flags = reader.u8();
    return { id, type, flags, width: reader.u32(), height: reader.u32() };
}

/** @param {Reader} reader at a size and as many bytes */
function sized(reader) {
    return reader.take(reader.u32());
}

/**
 * @template Value, Result
 * @param {Value | Promise<Value>} value
 * @param {(value: Value) => Result} then
 * @returns {Result | Promise<Result>}
 */
function after(value, then) {
    return value instanceof Promise ? value.then(then) : then(value);
}

/** Decodes the images of one display channel. */
export class ImageDecoder {
    /**
     * @param {Caches} caches of the session
     * @param {Palettes} palettes of the channel
     * @param {{decodeJpeg: DecodeJpeg}} platform
     */
    constructor(caches, palettes, { decodeJpeg }) {
        this.caches = caches;
        this.palettes = palettes;
        this.decodeJpeg = decodeJpeg;
    }

    /**
     * Decodes an image, and keeps it and its palette where it says so.
     * @param {Uint8Array} message the body of a display message, which must not be changed any more
     * @param {number} offset where the image begins
     * @param {number} [format] of the surface that is drawn to, as in SURFACE_CREATE: palettes for 555 have such values
     * @returns {Picture | SurfaceRef | Promise<Picture | SurfaceRef>} a promise when it is a JPEG, or waits for another
     *     image that another display has yet to bring. Pixels must not be changed: others may hold them, too
     * @throws {Malformed} at once, or in the promise
     */
    decode(message, offset, format = 0) {
        const reader = new Reader(message).at(offset);
        const image = readDescriptor(reader);
        switch (image.type) {
            case IMAGE.SURFACE:
                return { surface: reader.u32() };
            case IMAGE.FROM_CACHE:
            case IMAGE.FROM_CACHE_LOSSLESS:
                return after(this.caches.get(image.id, image.type === IMAGE.FROM_CACHE_LOSSLESS), (kept) => {
                    if ("bits" in kept) {
                        throw new Malformed(`image ${image.id} is kept as a mask and drawn as a picture`);
                    }
                    return kept;
                });
            default:
                checkSize("image", image.width, image.height);
                return after(this.pixels(image, reader, format), (picture) => this.finish(image, picture));
        }
    }

    /**
     * Decodes a mask, and keeps it where it says so.
     * @param {Uint8Array} message the body of a display message
     * @param {number} offset where the image begins
     * @returns {Mask1 | SurfaceRef | Promise<Mask1 | SurfaceRef>} a promise when it waits for another display
     * @throws {Malformed} at once, or in the promise
     */
    decodeMask(message, offset) {
        const reader = new Reader(message).at(offset);
        const image = readDescriptor(reader);
        switch (image.type) {
            case IMAGE.SURFACE:
                return { surface: reader.u32() };
            case IMAGE.FROM_CACHE:
            case IMAGE.FROM_CACHE_LOSSLESS:
                return after(this.caches.get(image.id, image.type === IMAGE.FROM_CACHE_LOSSLESS), (kept) => {
                    if (!("bits" in kept)) {
                        throw new Malformed(`image ${image.id} is kept as a picture and used as a mask`);
                    }
                    return kept;
                });
            case IMAGE.BITMAP: {
                const mask = maskOf(this.rows(image, reader).rows);
                this.keep(image, mask, false);
                return mask;
            }
            default:
                throw new Malformed(`image type of a mask is ${image.type}`);
        }
    }

    /**
     * @param {Descriptor} image
     * @param {Reader} reader after the descriptor
     * @param {number} format of the surface that is drawn to
     * @returns {Picture | Promise<Picture>}
     */
    pixels(image, reader, format) {
        const { type, width, height } = image;
        switch (type) {
            case IMAGE.BITMAP: {
                const { rows, entries } = this.rows(image, reader);
                return pixelsOf(rows, entries === null ? null : paletteOf(entries, format === SURFACE_555));
            }
            case IMAGE.QUIC:
                return decodeQuic(sized(reader));
            case IMAGE.LZ_PLT:
                return this.lzPalette(reader, format);
            case IMAGE.LZ_RGB:
                return decodeLz(sized(reader));
            case IMAGE.GLZ_RGB:
                return this.caches.decodeGlz(sized(reader));
            case IMAGE.ZLIB_GLZ_RGB: {
                const bytes = reader.u32();
                if (bytes > GLZ_BYTES_MAX) {
                    throw new Malformed(`image glz_data_size is ${bytes}`);
                }
                return this.caches.decodeGlz(inflate(sized(reader), bytes));
            }
            case IMAGE.JPEG:
                return this.jpeg(image, sized(reader));
            case IMAGE.JPEG_ALPHA:
                return this.jpegAlpha(image, reader);
            case IMAGE.LZ4:
                return decodeLz4(sized(reader), width, height);
            default:
                throw new Malformed(`image type is ${type}`);
        }
    }

    /**
     * @param {Descriptor} image
     * @param {Picture} picture
     */
    finish(image, picture) {
        const { width, height, flags, type } = image;
        if (picture.width !== width || picture.height !== height) {
            throw new Malformed(`image of ${width}x${height} pixels holds ${picture.width}x${picture.height}`);
        }
        const isFull = (flags & IMAGE_FLAG.HIGH_BITS_SET) !== 0 && !picture.hasAlpha;
        const whole = isFull ? { ...picture, unused: FULL } : picture;
        this.keep(image, whole, type === IMAGE.JPEG || type === IMAGE.JPEG_ALPHA);
        return whole;
    }

    /**
     * @param {Descriptor} image
     * @param {Picture | Mask1} decoded
     * @param {boolean} lossy
     */
    keep({ id, flags }, decoded, lossy) {
        if ((flags & (IMAGE_FLAG.CACHE_ME | IMAGE_FLAG.CACHE_REPLACE_ME)) !== 0) {
            this.caches.put(id, decoded, lossy);
        }
    }

    /**
     * The rows of a BITMAP and the entries of its palette, if it has one.
     * @param {Descriptor} image
     * @param {Reader} reader after the descriptor
     * @returns {{rows: Rows, entries: Uint32Array | null}}
     */
    rows({ width, height }, reader) {
        const format = reader.u8();
        const flags = reader.u8();
        const [x, y, stride] = [reader.u32(), reader.u32(), reader.u32()];
        if (x !== width || y !== height) {
            throw new Malformed(`bitmap of ${x}x${y} pixels in an image of ${width}x${height}`);
        }
        checkSize("bitmap", width, height);
        const needed = rowBytes(format, width);
        if (stride < needed) {
            throw new Malformed(`bitmap stride is ${stride}, a row has ${needed} bytes`);
        }
        const entries = this.palette(reader, flags);
        const data = reader.take(stride * height);
        const topDown = (flags & BITMAP_FLAG.TOP_DOWN) !== 0;
        return { rows: { format, width, height, stride, topDown, data }, entries };
    }

    /**
     * @param {Reader} reader after the descriptor
     * @param {number} format of the surface that is drawn to
     */
    lzPalette(reader, format) {
        const flags = reader.u8();
        const size = reader.u32();
        const entries = this.palette(reader, flags);
        if (entries === null) {
            throw new Malformed("image of type LZ_PLT has no palette");
        }
        return decodeLzPalette(reader.take(size), paletteOf(entries, format === SURFACE_555));
    }

    /**
     * @param {Reader} reader at a key or a pointer
     * @param {number} flags of the bitmap
     * @returns {Uint32Array | null} entries; null: there is no palette
     */
    palette(reader, flags) {
        if ((flags & BITMAP_FLAG.PAL_FROM_CACHE) !== 0) {
            return this.palettes.get(reader.u64());
        }
        const pointer = reader.u32();
        if (pointer === 0) {
            return null;
        }
        const target = reader.at(pointer);
        const unique = target.u64();
        const bytes = target.take(4 * target.u16());
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const entries = Uint32Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(4 * at, true));
        if ((flags & BITMAP_FLAG.PAL_CACHE_ME) !== 0) {
            this.palettes.put(unique, entries);
        }
        return entries;
    }

    /**
     * @param {Descriptor} image
     * @param {Uint8Array} bytes
     * @returns {Promise<Picture>}
     */
    async jpeg({ width, height }, bytes) {
        // Before a decoder takes memory for it.
        const size = jpegSize(bytes);
        if (size.width !== width || size.height !== height) {
            throw new Malformed(`JPEG of ${size.width}x${size.height} pixels in an image of ${width}x${height}`);
        }
        let decoded;
        try {
            decoded = await this.decodeJpeg(bytes);
        } catch (error) {
            throw new Malformed(`JPEG of ${bytes.length} bytes: ${error}`);
        }
        const { pixels } = decoded;
        if (decoded.width !== width || decoded.height !== height || pixels.length !== width * height) {
            throw new Malformed(`JPEG of ${width}x${height} pixels was decoded to ${decoded.width}x${decoded.height}`);
        }
        return { width, height, pixels, hasAlpha: false };
    }

    /**
     * @param {Descriptor} image
     * @param {Reader} reader after the descriptor
     * @returns {Promise<Picture>}
     */
    async jpegAlpha(image, reader) {
        const topDown = (reader.u8() & 1) !== 0;
        const [jpegBytes, bytes] = [reader.u32(), reader.u32()];
        if (jpegBytes > bytes) {
            throw new Malformed(`image jpeg_size is ${jpegBytes}, data_size ${bytes}`);
        }
        const colours = reader.take(jpegBytes);
        const alpha = reader.take(bytes - jpegBytes);
        const picture = await this.jpeg(image, colours);
        // Colours are premultiplied already; where JPEG has made one brighter than its alpha, so it stays.
        putLzAlpha(alpha, picture, topDown);
        return { ...picture, hasAlpha: true };
    }
}
