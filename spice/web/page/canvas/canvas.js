// The surfaces of one display channel, and every drawing operation on them.
//
// What is drawn is pixel by pixel what the canvas of the server has, but for the unused byte of xRGB pixels, which is
// not kept: where a command would make alpha of it, 255 counts. Such commands are not sent, since clients differ
// there.

import { Malformed } from "../protocol/reader.js";
import { FORMAT, OPAQUE, checkFormat, hasAlpha } from "./format.js";
import { COPY_BITS, readDraw } from "./message.js";
import { Target, execute } from "./ops.js";
import { sourceOfPicture } from "./picture.js";
import { NOTHING, Region, contains, intersect, isEmpty, union } from "./region.js";
import { scaled } from "./sample.js";

/** @typedef {import("./message.js").Rect} Rect */
/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./ops.js").Decoded} Decoded */

/**
 * A surface. The alpha byte of a pixel is 255 where the format has no alpha.
 * @typedef {object} Surface
 * @property {number} width
 * @property {number} height
 * @property {number} format as in SURFACE_CREATE: 32 xRGB, 96 ARGB, 16 and 80 for 555 and 565, 8 and 1 for alpha
 * @property {Uint32Array} pixels 0xAABBGGRR, rows top-down without padding
 * @property {Rect | null} damage what may have changed since it was last asked for
 * @property {Overlay | null} overlay what lies on a part of it, whose pixels are older
 */

/**
 * A frame of video, as the browser has it; its pixels are asked for only when they are needed.
 * @typedef {object} Frame
 * @property {number} width
 * @property {number} height
 * @property {CanvasImageSource | ImageData | null} image null: there are only pixels to be read
 * @property {() => Uint32Array} read 0xAABBGGRR with full alpha, rows top-down without padding
 * @property {() => void} close it is not needed any more
 */

/** @typedef {{frame: Frame, dest: Rect}} Overlay a frame and the part of the surface it covers, of the same size */

/**
 * What makes pictures of the images in messages.
 * @typedef {object} ImageDecoder
 * @property {(message: Uint8Array, offset: number, format: number) => Decoded | Promise<Decoded>} decode an image at an
 *     offset of a message, which is drawn to a surface of a format
 * @property {(message: Uint8Array, offset: number) => Decoded | Promise<Decoded>} decodeMask a mask
 */

/** Longest side of a surface. */
const MAX_SIDE = 16384;
/** Most surfaces, by their numbers: the wire has no more. */
const MAX_SURFACES = 1024;
/** Most pixels in all surfaces together: four bytes each, as much as the largest screen memory holds. */
const MAX_PIXELS = 64 << 20;

/**
 * @param {number} id
 * @param {number} count
 * @throws {Malformed} when there is no memory for them
 */
function zeroes(id, count) {
    try {
        return new Uint32Array(count);
    } catch {
        throw new Malformed(`surface ${id} of ${count} pixels: there is no memory for them`);
    }
}

/** All surfaces of one display channel. */
export class Canvas {
    /** @param {ImageDecoder} decoder */
    constructor(decoder) {
        this.decoder = decoder;
        /** @type {Map<number, Surface>} */
        this.surfaces = new Map();
    }

    /**
     * Creates a surface of zeroes; a live one with the same number is replaced.
     * @param {{id: number, width: number, height: number, format: number, flags?: number}} spec
     * @throws {Malformed} for a number, a size or a format there is none of, and when there would be too many pixels
     */
    createSurface({ id, width, height, format }) {
        checkFormat(format);
        if (id >= MAX_SURFACES) {
            throw new Malformed(`surface_id ${id} is not below ${MAX_SURFACES}`);
        }
        if (!(width > 0 && height > 0 && width <= MAX_SIDE && height <= MAX_SIDE)) {
            throw new Malformed(`surface ${id} of ${width}x${height} pixels: sides must be 1 to ${MAX_SIDE}`);
        }
        this.destroySurface(id);
        let sum = width * height;
        this.surfaces.forEach((surface) => (sum += surface.pixels.length));
        if (sum > MAX_PIXELS) {
            throw new Malformed(`surface ${id} of ${width}x${height} pixels: all have more than ${MAX_PIXELS}`);
        }
        const pixels = zeroes(id, width * height);
        if (!hasAlpha(format)) {
            pixels.fill(OPAQUE);
        }
        const damage = { left: 0, top: 0, right: width, bottom: height };
        this.surfaces.set(id, { width, height, format, pixels, damage, overlay: null });
    }

    /** @param {number} id */
    destroySurface(id) {
        this.surfaces.get(id)?.overlay?.frame.close();
        this.surfaces.delete(id);
    }

    /** Ends all surfaces. */
    reset() {
        [...this.surfaces.keys()].forEach((id) => this.destroySurface(id));
    }

    /**
     * @param {number} id
     * @returns {Surface}
     * @throws {Malformed} when there is none
     */
    surface(id) {
        const surface = this.surfaces.get(id);
        if (surface === undefined) {
            throw new Malformed(`surface_id ${id}: there is no such surface`);
        }
        return surface;
    }

    /**
     * A surface with all its pixels as they are to be seen.
     * @param {number} id
     * @returns {Surface}
     * @throws {Malformed} when there is none
     */
    settled(id) {
        const surface = this.surface(id);
        const { overlay } = surface;
        if (overlay !== null) {
            surface.overlay = null;
            const { frame, dest } = overlay;
            try {
                const { width, height } = frame;
                const picture = { width, height, pixels: frame.read(), hasAlpha: false };
                const { damage } = surface;
                this.drawPicture(id, picture, dest, null);
                // It was seen before.
                surface.damage = damage;
            } finally {
                frame.close();
            }
        }
        return surface;
    }

    /**
     * The rectangle around what may have changed since it was last asked for; null: nothing.
     * @param {number} id
     */
    takeDamage(id) {
        const surface = this.surface(id);
        const { damage } = surface;
        surface.damage = null;
        return damage;
    }

    /**
     * Executes a drawing message. All its images are decoded, also where nothing is drawn, since later ones may need
     * them.
     * @param {number} type 302 to 313 and 318, and 104 for COPY_BITS
     * @param {Uint8Array} body
     * @returns {void | Promise<void>} a promise when an image takes its time; no other message may be drawn meanwhile
     * @throws {Malformed} when it is not what the protocol says, or does not fit the surfaces there are. Nothing has
     *     been drawn then. What the decoder throws comes out as it is
     */
    draw(type, body) {
        const draw = readDraw(type, body);
        const format = this.surfaces.get(draw.surface)?.format ?? 0;
        /** @type {[string, number][]} */
        const wanted = [
            ["source", draw.source],
            ["maskImage", draw.maskImage],
            ["brush", draw.brush.kind === "pattern" ? draw.brush.image : 0],
            ["backBrush", draw.backBrush.kind === "pattern" ? draw.backBrush.image : 0],
            ["mask", draw.mask?.image ?? 0],
        ];
        /** @type {Record<string, Decoded>} */
        const images = {};
        // One after the other, since a compressed image may be made of those before.
        /** @type {(at: number) => void | Promise<void>} */
        const decodeFrom = (at) => {
            for (; at < wanted.length; at++) {
                const [name, offset] = wanted[at];
                if (offset === 0) {
                    continue;
                }
                const image =
                    name === "mask" ? this.decoder.decodeMask(body, offset) : this.decoder.decode(body, offset, format);
                if (image instanceof Promise) {
                    return image.then((decoded) => {
                        images[name] = decoded;
                        return decodeFrom(at + 1);
                    });
                }
                images[name] = image;
            }
            this.execute(draw, images);
        };
        return decodeFrom(0);
    }

    /**
     * @param {import("./message.js").Draw} draw
     * @param {Record<string, Decoded>} images
     */
    execute(draw, images) {
        const surface = this.surface(draw.surface);
        const { left, top, right, bottom } = draw.box;
        if (left > right || top > bottom || left < 0 || top < 0 || right > surface.width || bottom > surface.height) {
            throw new Malformed(
                `box ${left}, ${top} to ${right}, ${bottom} is not inside surface ${draw.surface} of ` +
                    `${surface.width}x${surface.height} pixels`,
            );
        }
        if (isEmpty(draw.box)) {
            return;
        }
        const region = new Region(draw.box, draw.clip);
        const covered = surface.overlay?.dest;
        if (covered !== undefined && (draw.type === COPY_BITS || !isEmpty(intersect(covered, region.bounds)))) {
            this.settled(draw.surface);
        }
        execute(new Target(surface, draw.surface, (id) => this.settled(id), draw.box, region), draw, images);
        this.damage(surface, region.bounds);
    }

    /**
     * Draws a frame of a stream, which it closes. One that needs no scaling and no clip lies on the surface as it is,
     * until its pixels are needed or another one covers it.
     * @param {number} id of the surface
     * @param {Frame} frame
     * @param {Rect} dest
     * @param {Rect[] | null} clip null: all of it
     * @param {{topDown?: boolean}} [options] topDown false: the first row is the lowest one
     * @throws {Malformed} when there is no such surface
     */
    drawFrame(id, frame, dest, clip, options = {}) {
        try {
            const surface = this.surface(id);
            const isPlain =
                frame.image !== null &&
                clip === null &&
                options.topDown !== false &&
                surface.format === FORMAT.XRGB &&
                frame.width === dest.right - dest.left &&
                frame.height === dest.bottom - dest.top &&
                contains({ left: 0, top: 0, right: surface.width, bottom: surface.height }, dest);
            const covered = surface.overlay?.dest;
            if (isPlain && covered !== undefined && contains(dest, covered)) {
                surface.overlay?.frame.close();
                surface.overlay = null;
            }
            this.settled(id);
            if (isPlain) {
                surface.overlay = { frame, dest };
                this.damage(surface, dest);
                return;
            }
            const { width, height } = frame;
            this.drawPicture(id, { width, height, pixels: frame.read(), hasAlpha: false }, dest, clip, options);
        } catch (error) {
            frame.close();
            throw error;
        }
        frame.close();
    }

    /**
     * Draws a picture that is no image of a message: scaled to a rectangle, of which what is inside the surface and the
     * clip is drawn. Nothing lies on the surface.
     * @param {number} id of the surface
     * @param {Picture} picture
     * @param {Rect} dest
     * @param {Rect[] | null} clip null: all of it
     * @param {{topDown?: boolean}} [options] topDown false: the first row is the lowest one
     * @throws {Malformed} when there is no such surface
     */
    drawPicture(id, picture, dest, clip, { topDown = true } = {}) {
        const surface = this.surface(id);
        const { width, height, pixels, format } = surface;
        const visible = intersect(dest, { left: 0, top: 0, right: width, bottom: height });
        const region = new Region(visible, clip);
        if (isEmpty(region.bounds)) {
            return;
        }
        const area = { left: 0, top: 0, right: picture.width, bottom: picture.height };
        const reading = scaled(sourceOfPicture(picture, !topDown), area, dest, false, false, region.bounds);
        const target = new Target(surface, id, (other) => this.surface(other), dest, region);
        target.rows(null, (x, y, at, count) => reading.raw(x, y, pixels, at, count, format));
        this.damage(surface, region.bounds);
    }

    /**
     * @param {Surface} surface
     * @param {Rect} area
     */
    damage(surface, area) {
        const all = union(surface.damage ?? NOTHING, area);
        surface.damage = isEmpty(all) ? null : all;
    }
}
