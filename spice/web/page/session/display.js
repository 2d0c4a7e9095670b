// A display channel: its surfaces, what is drawn on them, and the parts of them that monitors show.

import { CHANNEL, CLIENT_DISPLAY, CODEC, DISPLAY, DISPLAY_CAP, IMAGE_NAMES, capWords } from "../protocol/names.js";
import { Malformed, Reader } from "../protocol/reader.js";
import { displayInit, readInvalList, readMonitors, readSurfaceCreate } from "../protocol/display.js";
import { resumeBody } from "./resume.js";
import { Streams } from "./streams.js";

/** @typedef {import("./channel.js").Handler} Handler */
/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./platform.js").Rect} Rect */
/** @typedef {import("../protocol/display.js").Head} Head */

/** Most bytes of a message: an image of 64 Mi pixels that is not compressed. */
const MESSAGE_MAX = (256 << 20) + 65536;
/** Pixels of the image cache. */
export const CACHE_PIXELS = 20 << 20;
/** Pixels of the window of GLZ. */
export const GLZ_PIXELS = 8 << 20;
const FLAG_PRIMARY = 1;

/** @type {Map<number, number>} capabilities of decoders of video */
const CODEC_CAPS = new Map([
    [CODEC.VP8, DISPLAY_CAP.CODEC_VP8],
    [CODEC.H264, DISPLAY_CAP.CODEC_H264],
    [CODEC.VP9, DISPLAY_CAP.CODEC_VP9],
]);

/**
 * @typedef {object} DisplayOwner
 * @property {import("./platform.js").Platform} platform
 * @property {import("./platform.js").Caches} caches
 * @property {() => number} mediaTime in ms
 * @property {() => void} layout heads, or what they are on, have changed
 * @property {() => void} drawn there is something new on a surface
 * @property {(codec: string, shown: boolean) => void} frame of video
 * @property {(codec: string) => void} image one has come
 */

/** @implements {Handler} */
export class Display {
    /**
     * @param {DisplayOwner} owner
     * @param {number} id
     */
    constructor(owner, id) {
        this.owner = owner;
        this.type = CHANNEL.DISPLAY;
        this.id = id;
        this.most = MESSAGE_MAX;
        const { platform } = owner;
        const { canvas, palettes } = platform.graphics.display(owner.caches);
        this.canvas = canvas;
        this.palettes = palettes;
        this.caps = capWords([
            DISPLAY_CAP.SIZED_STREAM,
            DISPLAY_CAP.MONITORS_CONFIG,
            DISPLAY_CAP.COMPOSITE,
            DISPLAY_CAP.A8_SURFACE,
            DISPLAY_CAP.STREAM_REPORT,
            DISPLAY_CAP.LZ4_COMPRESSION,
            DISPLAY_CAP.PREF_COMPRESSION,
            DISPLAY_CAP.MULTI_CODEC,
            DISPLAY_CAP.CODEC_MJPEG,
            ...platform.videoCodecs.flatMap((codec) => CODEC_CAPS.get(codec) ?? []),
            DISPLAY_CAP.RESUME,
        ]);
        this.streams = new Streams({
            platform,
            canvas,
            mediaTime: owner.mediaTime,
            drawn: owner.drawn,
            frame: owner.frame,
        });
        /** @type {Map<number, import("./platform.js").Surface>} */
        this.surfaces = new Map();
        /** @type {number | null} the surface that monitors show, unless they say which */
        this.primary = null;
        this.marked = false;
        /** @type {Head[]} as MONITORS_CONFIG has them; empty before it came */
        this.monitors = [];
        /** Whether the next link is one that has a session before it. */
        this.resumes = false;
    }

    /** @param {Channel} channel */
    linked(channel) {
        if (this.resumes && channel.serverHas(DISPLAY_CAP.RESUME)) {
            [...this.surfaces.keys()].forEach((id) => this.canvas.settled(id));
            channel.send(CLIENT_DISPLAY.RESUME, resumeBody(this.owner.caches.ids(), this.surfaces));
        }
        this.resumes = false;
        channel.send(CLIENT_DISPLAY.INIT, displayInit({ pixels: CACHE_PIXELS, window: GLZ_PIXELS }));
    }

    /** The connection was cut, and the next one goes on with what is here. */
    cut() {
        this.streams.clear();
        this.palettes.invalidateAll();
        this.resumes = true;
    }

    /** Nothing that is here counts any more. */
    drop() {
        this.canvas.reset();
        // A screen that still shows one is not painted from it.
        this.surfaces.clear();
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     * @param {Channel} channel
     * @returns {void | Promise<void>}
     */
    message(type, body, channel) {
        if (
            (type >= DISPLAY.DRAW_FIRST && type <= DISPLAY.DRAW_LAST) ||
            type === DISPLAY.COMPOSITE ||
            type === DISPLAY.COPY_BITS
        ) {
            return this.draw(type, body);
        }
        const { caches } = this.owner;
        switch (type) {
            case DISPLAY.MODE:
                this.mode(new Reader(body));
                break;
            case DISPLAY.MARK:
                this.marked = this.primary !== null;
                this.owner.layout();
                break;
            case DISPLAY.RESET:
                this.reset();
                break;
            case DISPLAY.INVAL_LIST:
                readInvalList(body).forEach((id) => caches.invalidate(id));
                break;
            case DISPLAY.INVAL_ALL_PIXMAPS:
                return after(channel.wait(body), () => caches.invalidateAll());
            case DISPLAY.INVAL_PALETTE:
                this.palettes.invalidate(new Reader(body).u64());
                break;
            case DISPLAY.INVAL_ALL_PALETTES:
                this.palettes.invalidateAll();
                break;
            case DISPLAY.SURFACE_CREATE:
                this.createSurface(readSurfaceCreate(body));
                break;
            case DISPLAY.SURFACE_DESTROY:
                this.destroySurface(new Reader(body).u32());
                break;
            case DISPLAY.MONITORS_CONFIG:
                this.configure(readMonitors(body));
                break;
            case DISPLAY.STREAM_CREATE:
            case DISPLAY.STREAM_DATA:
            case DISPLAY.STREAM_DATA_SIZED:
            case DISPLAY.STREAM_CLIP:
            case DISPLAY.STREAM_DESTROY:
            case DISPLAY.STREAM_DESTROY_ALL:
            case DISPLAY.STREAM_ACTIVATE_REPORT:
                return this.streams.message(type, body, channel);
            default:
        }
        return undefined;
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     */
    draw(type, body) {
        if (type === DISPLAY.DRAW_COPY || type === DISPLAY.DRAW_BLEND) {
            this.nameImage(body);
        }
        return after(this.canvas.draw(type, body), () => this.owner.drawn());
    }

    /**
     * Tells how the image of DRAW_COPY or DRAW_BLEND is compressed. What is wrong with the message is said elsewhere.
     * @param {Uint8Array} body
     */
    nameImage(body) {
        // Surface, box, type of clip; the source's offset; id and type of the image.
        const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
        const clip = 20;
        const source =
            body[clip] === 0
                ? clip + 1
                : clip + 5 + (body.length >= clip + 5 ? 16 * view.getUint32(clip + 1, true) : 0);
        if (source + 4 <= body.length) {
            const name = IMAGE_NAMES.get(body[view.getUint32(source, true) + 8]);
            if (name !== undefined) {
                this.owner.image(name);
            }
        }
    }

    /** @param {Reader} reader */
    mode(reader) {
        const [width, height, bits] = [reader.u32(), reader.u32(), reader.u32()];
        if (bits !== 16 && bits !== 32) {
            throw new Malformed(`display: mode of ${bits} bits`);
        }
        this.createSurface({ id: 0, width, height, format: bits, flags: FLAG_PRIMARY });
    }

    reset() {
        this.palettes.invalidateAll();
        this.marked = false;
        if (this.primary !== null) {
            this.canvas.settled(this.primary).pixels.fill(0xff000000);
        }
        this.owner.layout();
    }

    /** @param {{id: number, width: number, height: number, format: number, flags: number}} spec */
    createSurface(spec) {
        this.streams.clearSurface(spec.id);
        this.surfaces.delete(spec.id);
        this.canvas.createSurface(spec);
        this.surfaces.set(spec.id, this.canvas.surface(spec.id));
        if (spec.flags & FLAG_PRIMARY) {
            this.primary = spec.id;
            this.marked = false;
            this.owner.layout();
        }
    }

    /** @param {number} id */
    destroySurface(id) {
        this.streams.clearSurface(id);
        this.canvas.destroySurface(id);
        this.surfaces.delete(id);
        if (this.primary === id) {
            this.primary = null;
            this.marked = false;
            this.owner.layout();
        }
    }

    /** @param {Head[]} heads */
    configure(heads) {
        if (heads.length > 0) {
            this.monitors = heads;
            this.owner.layout();
        }
    }

    /**
     * The parts of surfaces that are shown; all of the primary one when no monitor is on it.
     * @returns {Head[]}
     */
    heads() {
        if (this.primary === null || !this.marked) {
            return [];
        }
        const shown = this.monitors.flatMap((head) => {
            const surface = this.surfaces.get(head.surface);
            if (surface === undefined || head.x >= surface.width || head.y >= surface.height) {
                return [];
            }
            const width = Math.min(head.width, surface.width - head.x);
            const height = Math.min(head.height, surface.height - head.y);
            return [{ ...head, width, height }];
        });
        const primary = this.surfaces.get(this.primary);
        if (shown.length > 0 || primary === undefined) {
            return shown;
        }
        return [{ monitor: 0, surface: this.primary, x: 0, y: 0, width: primary.width, height: primary.height }];
    }
}

/**
 * @param {void | Promise<void>} what that may take its time
 * @param {() => void} then what comes after it
 * @returns {void | Promise<void>}
 */
function after(what, then) {
    if (what instanceof Promise) {
        return what.then(then);
    }
    return then();
}
