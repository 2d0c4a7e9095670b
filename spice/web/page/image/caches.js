// What a session keeps of images: those with names, the window of GLZ, and palettes.

import { Malformed } from "../protocol/reader.js";
import { NotYet, Window } from "./glz.js";
import { MAX_PIXELS } from "./pixels.js";

/** Most images with names. */
const MAX_IMAGES = 1 << 18;
/** How long an image may wait for one that another display brings, in ms. */
const WAIT_MAX = 30_000;
/** Most palettes of a channel; servers keep 128, and tell of the one that they drop after the next one came. */
const MAX_PALETTES = 256;
/** Entries of a palette that can be asked for. */
const ENTRIES_MAX = 256;

/** @typedef {import("./bitmap.js").Picture} Picture */
/** @typedef {import("./bitmap.js").Mask1} Mask1 */

/**
 * Runs something once, later; what it returns stops that.
 * @typedef {(milliseconds: number, run: () => void) => () => void} Later
 */

/** @type {Later} */
function afterwards(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
}

/** Pixels that a session keeps. */
class Budget {
    /** @param {number} most */
    constructor(most) {
        this.most = most;
        this.used = 0;
    }

    /**
     * @param {string} what takes them
     * @param {number} pixels
     * @throws {Malformed} when they are too many
     */
    check(what, pixels) {
        if (this.used + pixels > this.most) {
            throw new Malformed(`${what} takes ${pixels} pixels; the session keeps ${this.used} of ${this.most}`);
        }
    }

    /** @param {number} pixels that are kept now; negative: that are not any more */
    take(pixels) {
        this.used += pixels;
    }
}

/**
 * An image with a name.
 * @typedef {object} Named
 * @property {Picture | Mask1} image
 * @property {boolean} lossy
 */

/** Images of a session, which all its displays share. */
export class ImageCaches {
    /**
     * @param {object} [options]
     * @param {number} [options.pixels] that may be kept in all
     * @param {Later} [options.later]
     */
    constructor({ pixels = MAX_PIXELS, later = afterwards } = {}) {
        this.later = later;
        this.budget = new Budget(pixels);
        this.window = new Window(this.budget);
        /** @type {Map<bigint, Named>} by name, those that were used last at the end */
        this.images = new Map();
        /** @type {Set<{isThere: () => boolean, done: () => void, failed: (why: string) => void}>} */
        this.waiting = new Set();
    }

    /** Pixels that are kept. */
    get pixels() {
        return this.budget.used;
    }

    /** @returns {bigint[]} names of all images, those that were used last at the end */
    ids() {
        return [...this.images.keys()];
    }

    /**
     * Keeps an image under a name, in place of what has it.
     * @param {bigint} id
     * @param {Picture | Mask1} image which must not be changed any more
     * @param {boolean} lossy
     * @throws {Malformed} when the session keeps too much
     */
    put(id, image, lossy) {
        this.invalidate(id);
        const pixels = image.width * image.height;
        this.budget.check(`image ${id}`, pixels);
        if (this.images.size >= MAX_IMAGES) {
            throw new Malformed(`image ${id} is one more than ${this.images.size}`);
        }
        this.budget.take(pixels);
        this.images.set(id, { image, lossy });
        this.wake();
    }

    /**
     * The image with a name.
     * @param {bigint} id
     * @param {boolean} lossless whether it must not be lossy
     * @returns {Picture | Mask1 | Promise<Picture | Mask1>} a promise when another display has yet to bring it
     */
    get(id, lossless) {
        const isThere = () => {
            const named = this.images.get(id);
            return named !== undefined && !(lossless && named.lossy);
        };
        return isThere() ? this.use(id) : this.wait(`image ${id}`, isThere).then(() => this.use(id));
    }

    /**
     * @param {bigint} id of an image that is there
     * @returns {Picture | Mask1}
     */
    use(id) {
        const named = this.images.get(id);
        if (named === undefined) {
            throw new Malformed(`image ${id} was dropped while a drawing waited for it`);
        }
        this.images.delete(id);
        this.images.set(id, named);
        return named.image;
    }

    /**
     * Drops an image, if it is there: INVAL_LIST.
     * @param {bigint} id
     */
    invalidate(id) {
        const named = this.images.get(id);
        if (named !== undefined) {
            this.images.delete(id);
            this.budget.take(-named.image.width * named.image.height);
        }
    }

    /** Drops all images with names: INVAL_ALL_PIXMAPS, after what it waits for. */
    invalidateAll() {
        for (const id of this.ids()) {
            this.invalidate(id);
        }
    }

    /** The dictionary of GLZ begins anew, as that of the server does. What waits will not come. */
    restartGlz() {
        this.window.clear();
        for (const { failed } of [...this.waiting]) {
            failed("will not come, since the connection is another one");
        }
    }

    /**
     * Decodes a GLZ stream.
     * @param {Uint8Array} stream which must not be changed any more
     * @returns {Picture | Promise<Picture>} a promise when it refers to an image that another display has yet to bring
     * @throws {Malformed}
     */
    decodeGlz(stream) {
        try {
            const picture = this.window.decode(stream);
            this.wake();
            return picture;
        } catch (error) {
            if (!(error instanceof NotYet)) {
                throw error;
            }
            const { missing } = error;
            const come = this.wait(`GLZ image ${missing}`, () => this.window.has(missing));
            return come.then(() => this.decodeGlz(stream));
        }
    }

    /**
     * @param {string} what is waited for
     * @param {() => boolean} isThere
     * @returns {Promise<void>}
     */
    wait(what, isThere) {
        return new Promise((resolve, reject) => {
            const end = () => {
                this.waiting.delete(waiter);
                stop();
            };
            const waiter = {
                isThere,
                done: () => {
                    end();
                    resolve();
                },
                failed: (/** @type {string} */ why) => {
                    end();
                    reject(new Malformed(`${what} ${why}`));
                },
            };
            const stop = this.later(WAIT_MAX, () => waiter.failed(`has not come within ${WAIT_MAX} ms`));
            this.waiting.add(waiter);
        });
    }

    /** Something has come. */
    wake() {
        for (const { isThere, done } of [...this.waiting]) {
            if (isThere()) {
                done();
            }
        }
    }
}

/** Palettes that a display channel keeps. */
export class PaletteCache {
    constructor() {
        /** @type {Map<bigint, Uint32Array>} entries by key */
        this.palettes = new Map();
    }

    /**
     * Keeps a palette, in place of what has its key. The oldest one goes when there are too many.
     * @param {bigint} id its key; 0: it is not kept
     * @param {Uint32Array} entries
     */
    put(id, entries) {
        if (id === 0n) {
            return;
        }
        this.palettes.delete(id);
        this.palettes.set(id, entries.subarray(0, ENTRIES_MAX));
        if (this.palettes.size > MAX_PALETTES) {
            const [oldest] = this.palettes.keys();
            this.palettes.delete(oldest);
        }
    }

    /**
     * @param {bigint} id
     * @returns {Uint32Array}
     * @throws {Malformed} when there is none
     */
    get(id) {
        const entries = this.palettes.get(id);
        if (entries === undefined) {
            throw new Malformed(`palette ${id} is not in the cache`);
        }
        return entries;
    }

    /**
     * Drops a palette, if it is there: INVAL_PALETTE.
     * @param {bigint} id
     */
    invalidate(id) {
        this.palettes.delete(id);
    }

    /** Drops all palettes: INVAL_ALL_PALETTES and RESET. */
    invalidateAll() {
        this.palettes.clear();
    }
}
