// The cursor channel of a display: shape and place of the pointer.

import { readCursor } from "../protocol/cursor.js";
import { CHANNEL, CURSOR } from "../protocol/names.js";
import { Malformed, Reader } from "../protocol/reader.js";

/** @typedef {import("./channel.js").Handler} Handler */
/** @typedef {import("../protocol/cursor.js").Shape} Shape */

/** Most bytes of a message: a shape of 1024x1024 pixels, and its mask. */
const MESSAGE_MAX = 5 << 20;
/** Shapes that servers keep; they say which one goes before one more comes. */
const CACHE_MAX = 256 + 1;
/** Most pixels in all shapes that are kept. */
const CACHE_PIXELS_MAX = 8 << 20;

/** @implements {Handler} */
export class Cursor {
    /**
     * @param {number} id that of the display channel, too
     * @param {(state: {visible: boolean, x: number, y: number, shape: Shape | null, newShape: boolean}) => void} show
     *     the hot spot is at a place of the surface; without a shape nothing is shown
     */
    constructor(id, show) {
        this.show = show;
        this.type = CHANNEL.CURSOR;
        this.id = id;
        this.most = MESSAGE_MAX;
        /** @type {number[]} */
        this.caps = [];
        /** @type {Map<bigint, Shape>} */
        this.cache = new Map();
        this.pixels = 0;
        this.visible = false;
        this.x = 0;
        this.y = 0;
        /** @type {Shape | null} */
        this.shape = null;
    }

    linked() {
        // The server speaks first.
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     */
    message(type, body) {
        const reader = new Reader(body);
        switch (type) {
            case CURSOR.INIT:
                this.clear();
                this.place(reader);
                reader.skip(4);
                this.set(reader);
                break;
            case CURSOR.RESET:
                this.clear();
                this.visible = false;
                this.shape = null;
                this.tell(true);
                break;
            case CURSOR.SET:
                this.place(reader);
                this.set(reader);
                break;
            case CURSOR.MOVE:
                this.place(reader);
                this.visible = true;
                this.tell(false);
                break;
            case CURSOR.HIDE:
                this.visible = false;
                this.tell(false);
                break;
            case CURSOR.TRAIL:
                // Browsers draw no trails.
                reader.skip(4);
                break;
            case CURSOR.INVAL_ONE:
                this.forget(reader.u64());
                break;
            case CURSOR.INVAL_ALL:
                this.clear();
                break;
            default:
        }
    }

    clear() {
        this.cache.clear();
        this.pixels = 0;
    }

    /** @param {bigint} id */
    forget(id) {
        const shape = this.cache.get(id);
        if (shape !== undefined) {
            this.pixels -= shape.width * shape.height;
            this.cache.delete(id);
        }
    }

    /** @param {Reader} reader */
    place(reader) {
        // Signed, 16 bits each.
        this.x = (reader.u16() << 16) >> 16;
        this.y = (reader.u16() << 16) >> 16;
    }

    /** @param {Reader} reader */
    set(reader) {
        this.visible = reader.u8() !== 0;
        const { id, keep, cached, shape } = readCursor(reader);
        if (cached) {
            const kept = this.cache.get(id);
            if (kept === undefined) {
                throw new Malformed(`cursor: shape ${id} is not in the cache`);
            }
            this.shape = kept;
        } else {
            this.shape = shape;
        }
        if (keep && shape !== null) {
            this.keep(id, shape);
        }
        this.tell(true);
    }

    /**
     * @param {bigint} id
     * @param {Shape} shape
     */
    keep(id, shape) {
        this.forget(id);
        this.cache.set(id, shape);
        this.pixels += shape.width * shape.height;
        if (this.cache.size > CACHE_MAX || this.pixels > CACHE_PIXELS_MAX) {
            throw new Malformed(`cursor: ${this.cache.size} shapes of ${this.pixels} pixels are kept`);
        }
    }

    /** @param {boolean} newShape */
    tell(newShape) {
        const { visible, x, y, shape } = this;
        this.show({ visible, x, y, shape, newShape });
    }
}
