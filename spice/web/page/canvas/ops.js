// Every drawing operation: inputs are opened and checked first, then pixels change.

import { Malformed } from "../protocol/reader.js";
import { over, overCovered, overThinned } from "./blend.js";
import { COLORS, FORMAT, OPAQUE, isAlpha, narrow, narrowRow, swapped, wordOf } from "./format.js";
import { COPY_BITS, DRAW } from "./message.js";
import { OVER, checkOperator, operateRow } from "./operator.js";
import { Selection, checkArea, convert, paintRow, sourceOfPicture, sourceOfSurface } from "./picture.js";
import { intersect, isEmpty, sameSize } from "./region.js";
import { COPY, ROP, applyRow, binaryOp, constantOf, ternaryRow } from "./rop.js";
import { Sampler, mapOf, scaled } from "./sample.js";
import { checkPath, dashesOf, drawStroke } from "./stroke.js";
import { coverageOf, drawGlyphs } from "./text.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./message.js").Draw} Draw */
/** @typedef {import("./message.js").Brush} Brush */
/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./picture.js").Mask1} Mask1 */
/** @typedef {import("./picture.js").Paint} Paint */
/** @typedef {import("./picture.js").Source} Source */
/** @typedef {import("./region.js").Region} Region */
/** @typedef {import("./sample.js").Reading} Reading */
/** @typedef {import("./canvas.js").Surface} Surface */

/** An image as the decoder has made it: pixels, bits, or the number of a surface.
 * @typedef {Picture | Mask1 | {surface: number}} Decoded */

/** Flags of a composite. */
const COMPONENT_ALPHA = 1 << 18;
const SOURCE_OPAQUE = 1 << 22;
const MASK_OPAQUE = 1 << 23;
const DEST_OPAQUE = 1 << 24;

/** What is drawn on and what an operation may read. */
export class Target {
    /**
     * @param {Surface} surface the one drawn on
     * @param {number} id its number
     * @param {(id: number) => Surface} find a surface by its number; throws Malformed when there is none
     * @param {Rect} box inside the surface
     * @param {Region} region the part of the box that is drawn
     */
    constructor(surface, id, find, box, region) {
        this.surface = surface;
        this.id = id;
        this.find = find;
        this.box = box;
        this.region = region;
    }

    /**
     * @param {Decoded} image
     * @param {Rect | null} area the only part that is read, if that is known
     * @returns {Source}
     */
    open(image, area) {
        if ("surface" in image) {
            const surface = this.find(image.surface);
            if (area !== null) {
                checkArea(area, surface.width, surface.height);
            }
            return sourceOfSurface(surface, image.surface === this.id, area);
        }
        if ("bits" in image) {
            throw new Malformed(`image of ${image.width}x${image.height} bits is not a picture`);
        }
        return sourceOfPicture(image);
    }

    /**
     * The source of an operation, brought to the box.
     * @param {Draw} draw
     * @param {Decoded} image
     * @param {{nearest: boolean, rounded?: boolean, converted?: boolean}} how
     */
    source({ area }, image, { nearest, rounded = false, converted = true }) {
        // Interpolation reads around the area, and so does a scale whose begin is rounded.
        const source = this.open(image, sameSize(area, this.box) ? area : null);
        if (converted) {
            convert(source, this.surface.format);
        }
        return scaled(source, area, this.box, nearest, rounded, this.region.bounds);
    }

    /**
     * @param {Brush} brush
     * @param {Decoded | undefined} image
     * @returns {Paint}
     */
    paint(brush, image) {
        if (brush.kind !== "pattern" || image === undefined) {
            return { tile: null, value: brush.kind === "solid" ? brush.color : 0 };
        }
        const tile = this.open(image, null);
        convert(tile, this.surface.format);
        return { tile, pos: brush.pos };
    }

    /**
     * @param {Draw} draw
     * @param {Decoded | undefined} image
     * @returns {Selection | null} null: everything is drawn
     */
    selection({ mask }, image) {
        if (mask === null || image === undefined) {
            return null;
        }
        const [dx, dy] = [mask.pos.x - this.box.left, mask.pos.y - this.box.top];
        if ("bits" in image) {
            return new Selection(image, mask.inverse, dx, dy);
        }
        if (!("surface" in image)) {
            throw new Malformed(`mask of ${image.width}x${image.height} pixels has more than one bit for each`);
        }
        const surface = this.find(image.surface);
        if (surface.format !== FORMAT.A1) {
            throw new Malformed(`mask surface ${image.surface} has format ${surface.format}, not 1`);
        }
        const { width, height, pixels } = surface;
        const alphas = image.surface === this.id ? pixels.slice() : pixels;
        return new Selection({ width, height, alphas }, mask.inverse, dx, dy);
    }

    /**
     * Has `change` change each row of the region, where the mask selects it: column, row, and where in the pixels of
     * the surface it begins, and how many there are.
     * @param {Selection | null} selection
     * @param {(x: number, y: number, at: number, count: number) => void} change
     */
    rows(selection, change) {
        const { pixels, width } = this.surface;
        const { bounds } = this.region;
        const before = new Uint32Array(selection === null ? 0 : bounds.right - bounds.left);
        this.region.forEach((left, top, right, bottom) => {
            const count = right - left;
            for (let y = top; y < bottom; y++) {
                const at = y * width + left;
                if (selection === null) {
                    change(left, y, at, count);
                    continue;
                }
                before.set(pixels.subarray(at, at + count));
                change(left, y, at, count);
                selection.restore(left, y, pixels, at, before, count);
            }
        });
    }

    /** A row of words as wide as what is drawn. */
    scratch() {
        return new Uint32Array(this.region.bounds.right - this.region.bounds.left);
    }
}

/**
 * Combines a brush with the destination.
 * @param {Target} target
 * @param {Paint} brush
 * @param {number} op
 * @param {Selection | null} selection
 */
function fill(target, brush, op, selection) {
    const { pixels, format } = target.surface;
    const constant = brush.tile === null ? constantOf(op, wordOf(format, brush.value)) : null;
    if (constant !== null) {
        const word = narrow(format, constant);
        target.rows(selection, (_x, _y, at, count) => pixels.fill(word, at, at + count));
        return;
    }
    const words = target.scratch();
    if (brush.tile === null) {
        words.fill(wordOf(format, brush.value));
    }
    target.rows(selection, (x, y, at, count) => {
        if (brush.tile !== null) {
            paintRow(brush, x, y, words, count, format);
        }
        applyRow(op, format, words, pixels, at, count);
    });
}

/**
 * Combines a source with the destination.
 * @param {Target} target
 * @param {Reading} source
 * @param {number} op
 * @param {Selection | null} selection
 */
function copy(target, source, op, selection) {
    const { pixels, format } = target.surface;
    if (op === COPY) {
        target.rows(selection, (x, y, at, count) => source.raw(x, y, pixels, at, count, format));
        return;
    }
    const words = target.scratch();
    target.rows(selection, (x, y, at, count) => {
        source.raw(x, y, words, 0, count, format);
        applyRow(op, format, words, pixels, at, count);
    });
}

/**
 * Copies to each pixel of the region the one that lies `dx`, `dy` from it, as all were before.
 * @param {Target} target
 * @param {number} dx
 * @param {number} dy
 */
function copyBits({ surface, region }, dx, dy) {
    const { pixels, width } = surface;
    const { bounds } = region;
    const from = {
        left: bounds.left + dx,
        top: bounds.top + dy,
        right: bounds.right + dx,
        bottom: bounds.bottom + dy,
    };
    if (region.isRect && dx === 0 && from.left === 0 && bounds.right === width) {
        pixels.copyWithin(bounds.top * width, from.top * width, from.bottom * width);
        return;
    }
    const isApart = isEmpty(intersect(from, bounds));
    if (region.isRect || isApart) {
        region.forEach((left, top, right, bottom) => {
            const count = right - left;
            for (let i = 0; i < bottom - top; i++) {
                // From the end that is not written to before it is read.
                const y = dy < 0 ? bottom - 1 - i : top + i;
                const start = (y + dy) * width + left + dx;
                pixels.copyWithin(y * width + left, start, start + count);
            }
        });
        return;
    }
    const before = sourceOfSurface(surface, true, from);
    region.forEach((left, top, right, bottom) => {
        for (let y = top; y < bottom; y++) {
            const start = before.base + (y + dy) * before.stride + left + dx;
            pixels.set(before.pixels.subarray(start, start + right - left), y * width + left);
        }
    });
}

/**
 * Copies all but the pixels of one colour, which on surfaces of nothing but alpha is 0.
 * @param {Target} target
 * @param {Reading} source
 * @param {number} color 0x00RRGGBB
 */
function copyBut(target, source, color) {
    const { pixels, format } = target.surface;
    const significant = isAlpha(format) ? OPAQUE : COLORS;
    const key = isAlpha(format) ? 0 : narrow(format, swapped(color)) & significant;
    const words = target.scratch();
    target.rows(null, (x, y, at, count) => {
        source.raw(x, y, words, 0, count, format);
        for (let i = 0; i < count; i++) {
            if (((words[i] ^ key) & significant) !== 0) {
                pixels[at + i] = words[i];
            }
        }
    });
}

/**
 * @param {Target} target
 * @param {Reading} source
 * @param {number} factor 0 to 255
 */
function alphaBlend(target, source, factor) {
    const { pixels, format } = target.surface;
    // Over full alpha, and with alpha and colours, the result is what is kept.
    const isKept = format === FORMAT.XRGB || format === FORMAT.ARGB;
    target.rows(null, (x, y, at, count) => {
        const from = source.argb(x, y, count);
        if (factor === 255) {
            over(pixels, at, source.words, from, count);
        } else {
            overThinned(pixels, at, source.words, from, count, factor);
        }
        if (!isKept) {
            narrowRow(format, pixels, at, at + count);
        }
    });
}

/**
 * Render-style compositing.
 * @param {Target} target
 * @param {Draw} draw
 * @param {Decoded} image
 * @param {Decoded | undefined} maskImage
 */
function composite(target, draw, image, maskImage) {
    const { flags } = draw;
    const { surface, region, box } = target;
    const { pixels, format } = surface;
    const operator = flags & 255;
    checkOperator(operator);
    const corner = { x: box.left, y: box.top };
    const open = (
        /** @type {Decoded} */ of,
        /** @type {import("./sample.js").Map} */ map,
        /** @type {number} */ filter,
        /** @type {number} */ repeat,
        /** @type {number} */ opaque,
    ) => {
        const source = target.open(of, null);
        const isOpaque = (flags & opaque) !== 0;
        if (isOpaque || !source.hasAlpha) {
            convert(source, format);
        }
        source.opaque = isOpaque;
        // FAST and NEAREST are the one, GOOD, BEST and BILINEAR the other.
        const nearest = [0, 3].includes((flags >>> filter) & 7);
        return new Sampler(source, map, nearest, (flags >>> repeat) & 3, region.bounds);
    };
    const source = open(image, mapOf(corner, draw.origin, draw.transform), 8, 14, SOURCE_OPAQUE);
    const maskMap = mapOf(corner, draw.maskOrigin, draw.maskTransform);
    const mask = maskImage === undefined ? null : open(maskImage, maskMap, 11, 16, MASK_OPAQUE);
    const byComponent = (flags & COMPONENT_ALPHA) !== 0;
    // A surface of nothing but alpha has nothing else to write.
    const keepsAlpha = (flags & DEST_OPAQUE) !== 0 && format === FORMAT.ARGB;
    const before = target.scratch();
    const covers = new Uint8Array(before.length);
    target.rows(null, (x, y, at, count) => {
        if (keepsAlpha) {
            before.set(pixels.subarray(at, at + count));
            narrowRow(FORMAT.XRGB, pixels, at, at + count);
        }
        const from = source.argb(x, y, count);
        const maskFrom = mask === null ? 0 : mask.argb(x, y, count);
        if (operator !== OVER || byComponent) {
            const masks = mask === null ? null : mask.words;
            operateRow(operator, source.words, from, masks, maskFrom, byComponent, pixels, at, count);
        } else if (mask === null) {
            over(pixels, at, source.words, from, count);
        } else {
            for (let i = 0; i < count; i++) {
                covers[i] = mask.words[maskFrom + i] >>> 24;
            }
            overCovered(pixels, at, source.words.subarray(from, from + count), covers, 0, count);
        }
        narrowRow(format, pixels, at, at + count);
        for (let i = 0; keepsAlpha && i < count; i++) {
            pixels[at + i] = (pixels[at + i] & COLORS) | (before[i] & OPAQUE);
        }
    });
}

/**
 * Where the pixels of the box come from, if that is inside the surface.
 * @param {Draw} draw
 * @param {Surface} surface
 */
function checkCopySource({ from, box }, surface) {
    const right = from.x + box.right - box.left;
    const bottom = from.y + box.bottom - box.top;
    if (from.x < 0 || from.y < 0 || right > surface.width || bottom > surface.height) {
        throw new Malformed(`src_pos ${from.x}, ${from.y} brings a box that is not inside the surface`);
    }
}

/**
 * Executes a drawing message.
 * @param {Target} target
 * @param {Draw} draw
 * @param {{source?: Decoded, brush?: Decoded, backBrush?: Decoded, mask?: Decoded, maskImage?: Decoded}} images those
 *     that the message has
 * @throws {Malformed} when an input is not there or does not fit; nothing has been drawn then
 */
export function execute(target, draw, images) {
    const { surface, region, box } = target;
    const { pixels, format } = surface;
    const selection = target.selection(draw, images.mask);
    const image = images.source ?? { surface: -1 };
    const { nearest, rop } = draw;
    switch (draw.type) {
        case COPY_BITS:
            checkCopySource(draw, surface);
            copyBits(target, draw.from.x - box.left, draw.from.y - box.top);
            break;
        case DRAW.FILL: {
            const op = binaryOp(rop, ROP.INVERS_BRUSH, ROP.INVERS_DEST);
            fill(target, target.paint(draw.brush, images.brush), op, selection);
            break;
        }
        case DRAW.BLACKNESS:
            fill(target, { tile: null, value: 0 }, COPY, selection);
            break;
        case DRAW.WHITENESS:
            fill(target, { tile: null, value: 0xffffffff }, COPY, selection);
            break;
        case DRAW.INVERS:
            fill(target, { tile: null, value: 0 }, binaryOp(ROP.OP_INVERS, 0, 0), selection);
            break;
        case DRAW.COPY:
        case DRAW.BLEND: {
            const op = binaryOp(rop, ROP.INVERS_SRC, ROP.INVERS_DEST);
            copy(target, target.source(draw, image, { nearest }), op, selection);
            break;
        }
        case DRAW.OPAQUE: {
            const op = binaryOp(rop, ROP.INVERS_BRUSH, ROP.INVERS_SRC);
            const source = target.source(draw, image, { nearest });
            const brush = target.paint(draw.brush, images.brush);
            const [words, painted] = [target.scratch(), target.scratch()];
            target.rows(selection, (x, y, at, count) => {
                source.raw(x, y, words, 0, count, format);
                paintRow(brush, x, y, painted, count, format);
                applyRow(op, format, painted, words, 0, count, pixels, at);
            });
            break;
        }
        case DRAW.ROP3: {
            const source = target.source(draw, image, { nearest, rounded: true });
            const brush = target.paint(draw.brush, images.brush);
            const [words, painted] = [target.scratch(), target.scratch()];
            target.rows(selection, (x, y, at, count) => {
                source.raw(x, y, words, 0, count, format);
                paintRow(brush, x, y, painted, count, format);
                ternaryRow(rop, format, painted, words, pixels, at, count);
            });
            break;
        }
        case DRAW.TRANSPARENT:
            copyBut(target, target.source(draw, image, { nearest: true }), draw.key);
            break;
        case DRAW.ALPHA_BLEND: {
            const source = target.source(draw, image, { nearest: true, converted: false });
            alphaBlend(target, source, draw.alpha);
            break;
        }
        case DRAW.COMPOSITE:
            composite(target, draw, image, images.maskImage);
            break;
        case DRAW.TEXT: {
            const brush = target.paint(draw.brush, images.brush);
            const backBrush = target.paint(draw.backBrush, images.backBrush);
            const back = new Target(surface, target.id, target.find, box, region.within(draw.backArea));
            fill(back, backBrush, COPY, null);
            if (draw.brush.kind !== "none") {
                const coverage = coverageOf(draw.glyphs, draw.depth, region.bounds);
                drawGlyphs(surface, region.within(coverage.bounds), coverage, brush);
            }
            break;
        }
        case DRAW.STROKE: {
            const op = binaryOp(rop, ROP.INVERS_BRUSH, ROP.INVERS_DEST);
            const brush = target.paint(draw.brush, images.brush);
            checkPath(draw.path, region.bounds);
            drawStroke(surface, region, draw.path, dashesOf(draw.style, draw.startWithGap), brush, op);
            break;
        }
        default:
            throw new Malformed(`message type ${draw.type} draws nothing`);
    }
}
