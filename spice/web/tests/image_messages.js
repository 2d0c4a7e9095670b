// Images as drawing messages have them.

import { BITMAP_FLAG, IMAGE, ImageCaches, ImageDecoder, PaletteCache } from "../page/image/images.js";
import { Writer } from "../page/protocol/reader.js";

/** Bytes before an image: pointers are never 0. */
export const OFFSET = 3;

/**
 * @typedef {object} Descriptor
 * @property {bigint} [id]
 * @property {number} type
 * @property {number} [flags]
 * @property {number} width
 * @property {number} height
 */

/** @param {Descriptor} descriptor */
function begun({ id = 1n, type, flags = 0, width, height }) {
    const writer = new Writer();
    writer.bytes(new Uint8Array(OFFSET));
    writer.u64(id);
    writer.u8(type);
    writer.u8(flags);
    writer.u32(width);
    writer.u32(height);
    return writer;
}

/**
 * An image that has nothing but a size and that many bytes.
 * @param {Descriptor} descriptor
 * @param {Uint8Array} data
 */
export function sizedImage(descriptor, data) {
    const writer = begun(descriptor);
    writer.u32(data.length);
    writer.bytes(data);
    return writer.finish();
}

/**
 * An image of the cache.
 * @param {bigint} id
 */
export function cachedImage(id, lossless = false) {
    const type = lossless ? IMAGE.FROM_CACHE_LOSSLESS : IMAGE.FROM_CACHE;
    return begun({ id, type, width: 0, height: 0 }).finish();
}

/** @param {number} surface */
export function surfaceImage(surface) {
    const writer = begun({ type: IMAGE.SURFACE, width: 1, height: 1 });
    writer.u32(surface);
    return writer.finish();
}

/**
 * @typedef {object} Palette
 * @property {bigint} [unique]
 * @property {number[]} entries
 */

/** @typedef {Palette | bigint | null} PaletteRef a palette, the key of one in the cache, or none */

/**
 * Writes a palette reference and what follows it, and the palette behind.
 * @param {Writer} writer
 * @param {PaletteRef | undefined} palette
 * @param {Uint8Array} data
 */
function palettePart(writer, palette, data) {
    if (typeof palette === "bigint") {
        writer.u64(palette);
        writer.bytes(data);
    } else if (palette === null || palette === undefined) {
        writer.u32(0);
        writer.bytes(data);
    } else {
        writer.u32(writer.finish().length + 4 + data.length);
        writer.bytes(data);
        writer.u64(palette.unique ?? 0n);
        writer.u16(palette.entries.length);
        palette.entries.forEach((entry) => writer.u32(entry));
    }
    return writer.finish();
}

/** @param {PaletteRef | undefined} palette */
function paletteFlags(palette) {
    if (typeof palette === "bigint") {
        return BITMAP_FLAG.PAL_FROM_CACHE;
    }
    return palette?.unique === undefined ? 0 : BITMAP_FLAG.PAL_CACHE_ME;
}

/**
 * @typedef {object} BitmapParts
 * @property {number} format
 * @property {number} stride
 * @property {boolean} [topDown]
 * @property {PaletteRef} [palette] one with a key is to be kept
 */

/**
 * @param {Omit<Descriptor, "type">} descriptor
 * @param {BitmapParts} bitmap
 * @param {ArrayLike<number>} data
 */
export function bitmapImage(descriptor, { format, stride, topDown = true, palette }, data) {
    const writer = begun({ ...descriptor, type: IMAGE.BITMAP });
    writer.u8(format);
    writer.u8(paletteFlags(palette) | (topDown ? BITMAP_FLAG.TOP_DOWN : 0));
    writer.u32(descriptor.width);
    writer.u32(descriptor.height);
    writer.u32(stride);
    return palettePart(writer, palette, Uint8Array.from(data));
}

/**
 * @param {Omit<Descriptor, "type">} descriptor
 * @param {PaletteRef} palette
 * @param {Uint8Array} data
 */
export function lzPaletteImage(descriptor, palette, data) {
    const writer = begun({ ...descriptor, type: IMAGE.LZ_PLT });
    writer.u8(paletteFlags(palette));
    writer.u32(data.length);
    return palettePart(writer, palette, data);
}

/**
 * @param {Omit<Descriptor, "type">} descriptor
 * @param {Uint8Array} data
 * @param {number} size bytes of the GLZ stream
 */
export function zlibImage(descriptor, data, size) {
    const writer = begun({ ...descriptor, type: IMAGE.ZLIB_GLZ_RGB });
    writer.u32(size);
    writer.u32(data.length);
    writer.bytes(data);
    return writer.finish();
}

/**
 * @param {Omit<Descriptor, "type">} descriptor
 * @param {{topDown: boolean, jpegSize: number}} parts
 * @param {Uint8Array} data
 */
export function jpegAlphaImage(descriptor, { topDown, jpegSize }, data) {
    const writer = begun({ ...descriptor, type: IMAGE.JPEG_ALPHA });
    writer.u8(topDown ? 1 : 0);
    writer.u32(jpegSize);
    writer.u32(data.length);
    writer.bytes(data);
    return writer.finish();
}

/** What makes a timer of the test: nothing runs before `runAll`. */
export class Timers {
    constructor() {
        /** @type {Set<() => void>} */
        this.pending = new Set();
    }

    /** @type {import("../page/image/caches.js").Later} */
    later = (_milliseconds, run) => {
        this.pending.add(run);
        return () => this.pending.delete(run);
    };

    runAll() {
        for (const run of [...this.pending]) {
            run();
        }
    }
}

/**
 * A decoder of a channel of its own.
 * @param {object} [options]
 * @param {ImageCaches} [options.caches]
 * @param {import("../page/image/images.js").DecodeJpeg} [options.decodeJpeg]
 */
export function decoderOf({ caches = new ImageCaches({ later: new Timers().later }), decodeJpeg } = {}) {
    const refuse = () => Promise.reject(new Error("no JPEG is expected"));
    const palettes = new PaletteCache();
    return new ImageDecoder(caches, palettes, { decodeJpeg: decodeJpeg ?? refuse });
}

/**
 * A picture that is there at once.
 * @param {ImageDecoder} decoder
 * @param {Uint8Array} message
 * @param {number} [format]
 */
export function pictureOf(decoder, message, format) {
    const decoded = decoder.decode(message, OFFSET, format);
    if (decoded instanceof Promise || "surface" in decoded) {
        throw new TypeError("a picture is expected");
    }
    return decoded;
}

/** @param {{pixels: Uint32Array}} picture 0xAABBGGRR as 0xAARRGGBB in hex */
export function hexOf({ pixels }) {
    return Array.from(pixels, (word) => {
        const value = ((word & 0xff00ff00) | ((word >>> 16) & 255) | ((word & 255) << 16)) >>> 0;
        return value.toString(16).padStart(8, "0");
    });
}
