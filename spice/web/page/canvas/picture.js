// Images, brushes and masks as drawing operations read them.

import { Malformed } from "../protocol/reader.js";
import { COLORS, FORMAT, OPAQUE, hasAlpha, isAlpha, isNarrow, narrow, narrowRow, wordOf } from "./format.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./message.js").Point} Point */
/** @typedef {import("./canvas.js").Surface} Surface */

/**
 * What the image decoder makes of an image.
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {Uint32Array} pixels 0xAABBGGRR, rows top-down without padding
 * @property {boolean} hasAlpha false: the alpha of each pixel is 255. true: premultiplied as on the wire
 * @property {number | Uint8Array} [unused] of a picture without alpha the unused byte of its pixels, which becomes the
 *     alpha where it is copied to an ARGB surface: one for all or one for each; 0 when it is not there
 */

/** @typedef {{width: number, height: number, stride: number, bits: Uint8Array}} Mask1 */

/**
 * A picture as an operation reads it: the pixel at x, y is `pixels[base + y * stride + x]`.
 * @typedef {object} Source
 * @property {Uint32Array} pixels
 * @property {number} base
 * @property {number} stride
 * @property {number} width
 * @property {number} height
 * @property {boolean} hasAlpha
 * @property {number} format of a surface; 0: it is an image
 * @property {number | Uint8Array} unused
 * @property {number} cut the format of 16 bits to which colours have been cut; 0: none
 * @property {boolean} opaque whether alpha is taken as full
 */

/**
 * @param {Picture} picture
 * @param {boolean} [bottomUp] whether the first row is the last one
 * @returns {Source}
 */
export function sourceOfPicture(picture, bottomUp = false) {
    const { pixels, width, height, unused = 0 } = picture;
    return {
        pixels,
        base: bottomUp ? (height - 1) * width : 0,
        stride: bottomUp ? -width : width,
        width,
        height,
        hasAlpha: picture.hasAlpha,
        format: 0,
        unused,
        cut: 0,
        opaque: false,
    };
}

/**
 * A surface as it is now. The one that is drawn on is copied: all of it, or the part that is read.
 * @param {Surface} surface
 * @param {boolean} isOwn whether it is the one drawn on
 * @param {Rect | null} area inside it: the only part that is read
 * @returns {Source}
 */
export function sourceOfSurface(surface, isOwn, area) {
    const { width, height, format } = surface;
    let { pixels } = surface;
    let [base, stride] = [0, width];
    if (isOwn && area === null) {
        pixels = pixels.slice();
    } else if (isOwn && area !== null) {
        stride = area.right - area.left;
        base = -area.top * stride - area.left;
        pixels = new Uint32Array(stride * (area.bottom - area.top));
        for (let y = area.top; y < area.bottom; y++) {
            const from = y * width;
            pixels.set(surface.pixels.subarray(from + area.left, from + area.right), (y - area.top) * stride);
        }
    }
    return {
        pixels,
        base,
        stride,
        width,
        height,
        hasAlpha: hasAlpha(format),
        format,
        unused: 0,
        cut: 0,
        opaque: false,
    };
}

/**
 * An image as it is for a surface of a format: on one of 16 bits it has their precision, and no alpha. Surfaces stay
 * what they are.
 * @param {Source} source
 * @param {number} format
 */
export function convert(source, format) {
    if (source.format === 0 && isNarrow(format)) {
        source.cut = format;
        source.hasAlpha = false;
    }
}

/**
 * Checks that `area` is a part of a picture that holds a pixel.
 * @param {Rect} area
 * @param {number} width
 * @param {number} height
 */
export function checkArea(area, width, height) {
    const { left, top, right, bottom } = area;
    if (left < 0 || top < 0 || right > width || bottom > height || left >= right || top >= bottom) {
        throw new Malformed(
            `src_area ${left}, ${top} to ${right}, ${bottom} is not a part of an image of ${width}x${height} pixels`,
        );
    }
}

/**
 * Whether words of a picture are just what a surface keeps of them.
 * @param {Source} source
 * @param {number} format of the surface
 */
export function isSame(source, format) {
    switch (format) {
        case FORMAT.XRGB:
            return !source.hasAlpha && source.cut === 0;
        case FORMAT.ARGB:
            return source.hasAlpha || source.format === FORMAT.XRGB;
        case FORMAT.A8:
            return isAlpha(source.format);
        default:
            return source.format === format;
    }
}

/**
 * Words of row `y` from column `x` on as a surface keeps them; all of them are inside the picture.
 *
 * On an ARGB surface the unused byte of an image becomes alpha; that of a surface of 16 bits is 0, and that of an xRGB
 * one, which is not kept, 255. A surface of alpha takes the alpha of the picture.
 * @param {Source} source
 * @param {number} x
 * @param {number} y
 * @param {Uint32Array} out from `at` on
 * @param {number} at
 * @param {number} count
 * @param {number} format of the surface
 */
export function rawRow(source, x, y, out, at, count, format) {
    const from = source.base + y * source.stride + x;
    out.set(source.pixels.subarray(from, from + count), at);
    if (isSame(source, format)) {
        return;
    }
    if (format !== FORMAT.ARGB) {
        narrowRow(format, out, at, at + count);
        return;
    }
    const unused = source.unused;
    if (typeof unused === "number") {
        for (let i = at; i < at + count; i++) {
            out[i] = (out[i] & COLORS) | (unused << 24);
        }
    } else {
        for (let i = 0; i < count; i++) {
            out[at + i] = (out[at + i] & COLORS) | (unused[from + i] << 24);
        }
    }
}

/**
 * Whether `argbRow` gives words just as they are in the picture.
 * @param {Source} source
 */
export const isPlain = (source) => source.cut === 0 && !source.opaque;

/**
 * A word of the picture as a premultiplied one with a meaningful alpha.
 * @param {Source} source
 * @param {number} word
 */
export function argb(source, word) {
    const cut = source.cut === 0 ? word : narrow(source.cut, word);
    return source.opaque ? cut | OPAQUE : cut;
}

/**
 * Premultiplied words with a meaningful alpha from row `y`, column `x` on; all of them are inside the picture.
 * @param {Source} source
 * @param {number} x
 * @param {number} y
 * @param {Uint32Array} out from `at` on
 * @param {number} at
 * @param {number} count
 */
export function argbRow(source, x, y, out, at, count) {
    const from = source.base + y * source.stride + x;
    out.set(source.pixels.subarray(from, from + count), at);
    if (source.cut !== 0) {
        narrowRow(source.cut, out, at, at + count);
    } else if (source.opaque) {
        narrowRow(FORMAT.XRGB, out, at, at + count);
    }
}

/**
 * What an area is painted with: one word, or a tile repeated in all directions.
 * @typedef {{tile: null, value: number} | {tile: Source, pos: Point}} Paint
 * value is a pixel value in the format of the surface, pos where one tile's top left corner lies
 */

/**
 * Place in a tile of a coordinate.
 * @param {number} at
 * @param {number} origin where a tile begins
 * @param {number} period
 */
const wrap = (at, origin, period) => (((at - origin) % period) + period) % period;

/**
 * Words of a row of a surface of a format, from column `x` on.
 * @param {Paint} paint
 * @param {number} x
 * @param {number} y
 * @param {Uint32Array} out
 * @param {number} count
 * @param {number} format of the surface
 * @param {boolean} [premultiplied] as `argbRow`, not as `rawRow`
 */
export function paintRow(paint, x, y, out, count, format, premultiplied = false) {
    if (paint.tile === null) {
        const word = wordOf(format, paint.value);
        out.fill(premultiplied ? word | OPAQUE : word, 0, count);
        return;
    }
    const { tile, pos } = paint;
    const start = wrap(x, pos.x, tile.width);
    const row = wrap(y, pos.y, tile.height);
    const period = Math.min(tile.width, count);
    const head = Math.min(tile.width - start, period);
    for (const [column, at, length] of [
        [start, 0, head],
        [0, head, period - head],
    ]) {
        if (premultiplied) {
            argbRow(tile, column, row, out, at, length);
        } else {
            rawRow(tile, column, row, out, at, length, format);
        }
    }
    for (let done = period; done < count; done *= 2) {
        out.copyWithin(done, 0, Math.min(done, count - done));
    }
}

/** A 1-bit image that selects the pixels of a box. */
export class Selection {
    /**
     * @param {Mask1 | {width: number, height: number, alphas: Uint32Array}} image bits, or the words of an A1 surface
     * @param {boolean} inverse whether 0 selects
     * @param {number} dx what to add to a column of the surface for that of the mask
     * @param {number} dy
     */
    constructor(image, inverse, dx, dy) {
        this.image = image;
        this.inverse = inverse;
        this.dx = dx;
        this.dy = dy;
    }

    /**
     * Whether the pixel of the surface is drawn; outside the mask it is not.
     * @param {number} x
     * @param {number} y
     */
    contains(x, y) {
        const { image } = this;
        const [column, row] = [x + this.dx, y + this.dy];
        if (column < 0 || row < 0 || column >= image.width || row >= image.height) {
            return false;
        }
        const bit =
            "bits" in image
                ? ((image.bits[row * image.stride + (column >> 3)] >> (7 - (column & 7))) & 1) !== 0
                : image.alphas[row * image.width + column] !== 0;
        return bit !== this.inverse;
    }

    /**
     * Brings back what was there where the mask does not select.
     * @param {number} x
     * @param {number} y
     * @param {Uint32Array} words from `at` on
     * @param {number} at
     * @param {Uint32Array} before
     * @param {number} count
     */
    restore(x, y, words, at, before, count) {
        for (let i = 0; i < count; i++) {
            if (!this.contains(x + i, y)) {
                words[at + i] = before[i];
            }
        }
    }
}
