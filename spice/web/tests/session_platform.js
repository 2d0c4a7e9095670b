// What a session needs, as Node has it: TCP, a clock that tests move, and doubles of what decodes and draws.

import { randomBytes } from "node:crypto";
import net from "node:net";

import { Session } from "../page/session/session.js";

/** @typedef {import("../page/session/platform.js").Platform} Platform */

/** What is waited for so long, in ms, does not come. */
const PATIENCE = 20_000;

/**
 * Waits until something happens.
 * @param {(() => void)[]} wakers called when it does
 * @param {() => string} what for an error when it does not
 * @returns {Promise<void>}
 */
export function woken(wakers, what) {
    return new Promise((resolve, reject) => {
        const limit = setTimeout(() => reject(new Error(what())), PATIENCE);
        wakers.push(() => {
            clearTimeout(limit);
            resolve();
        });
    });
}

/**
 * A connection by TCP: the bytes are the same as by WebSocket.
 * @param {string} url tcp://HOST:PORT
 * @param {(stream: net.Socket) => void} [made] is given the stream
 * @returns {import("../page/session/platform.js").Socket}
 */
export function tcp(url, made = () => {}) {
    const { hostname, port } = new URL(url);
    const stream = net.connect(Number(port), hostname);
    stream.setNoDelay(true);
    made(stream);
    /** @type {import("../page/session/platform.js").Socket} */
    const socket = {
        onbytes: null,
        onclose: null,
        send: (bytes) => stream.write(bytes),
        close: () => stream.end(),
    };
    stream.on("data", (data) => socket.onbytes?.(new Uint8Array(data)));
    let reason = "the connection has ended";
    stream.on("error", (error) => (reason = error.message));
    stream.on("close", () => socket.onclose?.(reason));
    return socket;
}

/** A canvas that keeps what it was told. A drawing message makes the first pixel of its surface its own number. */
export class FakeCanvas {
    constructor() {
        /** @type {Map<number, import("../page/session/platform.js").Surface>} */
        this.surfaces = new Map();
        /** @type {number[]} */
        this.drawn = [];
        /** @type {any[]} */
        this.pictures = [];
        /** @type {Promise<void> | null} what the next drawing waits for */
        this.hold = null;
    }

    /** @param {{id: number, width: number, height: number, format: number}} spec */
    createSurface({ id, width, height, format }) {
        if (width * height > 1 << 20) {
            throw new Error(`surface of ${width}x${height} pixels`);
        }
        const damage = { left: 0, top: 0, right: width, bottom: height };
        const pixels = new Uint32Array(width * height).fill(0xff000000);
        this.surfaces.set(id, { width, height, format, pixels, damage, overlay: null });
    }

    /** @param {number} id */
    destroySurface(id) {
        this.surfaces.delete(id);
    }

    /** @param {number} id */
    surface(id) {
        const surface = this.surfaces.get(id);
        if (surface === undefined) {
            throw new Error(`no surface ${id}`);
        }
        return surface;
    }

    reset() {
        this.surfaces.clear();
    }

    /** @param {number} id */
    settled(id) {
        return this.surface(id);
    }

    /** @param {number} id */
    takeDamage(id) {
        const surface = this.surface(id);
        const { damage } = surface;
        surface.damage = null;
        return damage;
    }

    /**
     * @param {number} type
     * @param {Uint8Array} _body
     * @returns {void | Promise<void>}
     */
    draw(type, _body) {
        const draw = () => {
            this.drawn.push(type);
            const surface = this.surface(0);
            surface.pixels[0] = 0xff000000 + type;
            surface.damage = { left: 0, top: 0, right: 1, bottom: 1 };
        };
        const { hold } = this;
        if (hold !== null) {
            this.hold = null;
            return hold.then(draw);
        }
        return draw();
    }

    /**
     * @param {number} id
     * @param {any} frame
     * @param {any} dest
     * @param {any} clip
     * @param {any} options
     */
    drawFrame(id, frame, dest, clip, options) {
        const surface = this.surface(id);
        this.pictures.push({ id, frame, dest, clip, options });
        surface.damage = dest;
        frame.close();
    }
}

/**
 * A frame of which there are only pixels, all black.
 * @param {number} width
 * @param {number} height
 * @returns {import("../page/session/platform.js").Frame}
 */
export function frameOf(width, height) {
    return { width, height, image: null, read: () => new Uint32Array(width * height), close: () => {} };
}

/** A session on doubles, and what it said to the main thread. */
export class Bench {
    /** @param {Partial<Platform>} [more] */
    constructor(more = {}) {
        /** @type {any[]} */
        this.posted = [];
        /** Messages before this one have been found. */
        this.at = 0;
        /** @type {(() => void)[]} */
        this.wakers = [];
        this.time = 0;
        /** @type {{at: number, run: () => void}[]} */
        this.timers = [];
        /** @type {FakeCanvas[]} */
        this.canvases = [];
        /** @type {any[]} */
        this.caches = [];
        /** @type {any[]} */
        this.palettes = [];
        /** @type {any[]} */
        this.painted = [];
        this.screens = new Set([0, 1, 2, 3]);
        this.session = new Session({
            connect: (url) => this.watched(tcp(url)),
            post: (message) => {
                this.posted.push(message);
                this.wake();
            },
            now: () => this.time,
            later: (milliseconds, run) => {
                const timer = { at: this.time + milliseconds, run };
                this.timers.push(timer);
                this.wake();
                return () => {
                    this.timers = this.timers.filter((other) => other !== timer);
                };
            },
            frame: (run) => setImmediate(run),
            random: (count) => new Uint8Array(randomBytes(count)),
            graphics: {
                caches: () => {
                    const caches = new FakeCache([5n, 6n]);
                    this.caches.push(caches);
                    return caches;
                },
                display: () => {
                    const canvas = new FakeCanvas();
                    const palettes = new FakeCache([]);
                    this.canvases.push(canvas);
                    this.palettes.push(palettes);
                    return { canvas, palettes };
                },
            },
            present: (display, surface, head, damage) => {
                if (!this.screens.has(display)) {
                    return false;
                }
                this.painted.push({ display, head, damage, first: surface.pixels[0] });
                this.wake();
                return true;
            },
            decodeJpeg: (data) =>
                Promise.resolve({ width: data.length, height: 1, pixels: new Uint32Array(data.length) }),
            decodeFrame: (data) => Promise.resolve(frameOf(data.length, 1)),
            videoCodecs: [],
            video: () => {
                throw new Error("there is no video");
            },
            opus: null,
            ...more,
        });
    }

    /**
     * A connection after whose bytes tests look again.
     * @param {import("../page/session/platform.js").Socket} inner
     */
    watched(inner) {
        /** @type {import("../page/session/platform.js").Socket} */
        const outer = { onbytes: null, onclose: null, send: inner.send, close: inner.close };
        inner.onbytes = (bytes) => {
            outer.onbytes?.(bytes);
            this.wake();
        };
        inner.onclose = (reason) => {
            outer.onclose?.(reason);
            this.wake();
        };
        return outer;
    }

    wake() {
        this.wakers.splice(0).forEach((waker) => waker());
    }

    /**
     * Waits until `get` finds something.
     * @template T
     * @param {() => T | null | undefined | false} get
     * @returns {Promise<T>}
     */
    async when(get) {
        for (;;) {
            const found = get();
            if (found) {
                return found;
            }
            await woken(this.wakers, () => `not among ${JSON.stringify(this.posted.slice(this.at))}`);
        }
    }

    /**
     * The next message to the main thread with these values.
     * @param {object} like
     * @returns {Promise<any>}
     */
    posts(like) {
        return this.when(() => {
            const found = this.posted.findIndex(
                (message, index) =>
                    index >= this.at && Object.entries(like).every(([name, value]) => message[name] === value),
            );
            if (found < 0) {
                return null;
            }
            this.at = found + 1;
            return this.posted[found];
        });
    }

    /** @param {any} message from the main thread */
    say(message) {
        this.session.handle(message);
    }

    /**
     * @param {string} url
     * @param {string} [ticket]
     * @param {object} [options]
     */
    connect(url, ticket = "", options = {}) {
        this.say({ type: "connect", url, ticket, options });
    }

    /**
     * Time passes, and what was to happen then does.
     * @param {number} milliseconds
     */
    pass(milliseconds) {
        this.time += milliseconds;
        const due = this.timers.filter(({ at }) => at <= this.time);
        this.timers = this.timers.filter(({ at }) => at > this.time);
        due.forEach(({ run }) => run());
    }
}

/** A cache that keeps what it was told. */
export class FakeCache {
    /** @param {bigint[]} ids */
    constructor(ids) {
        this.images = ids;
        /** @type {string[]} */
        this.log = [];
    }

    ids() {
        return this.images;
    }

    /** @param {bigint} id */
    invalidate(id) {
        this.log.push(`invalidate ${id}`);
    }

    invalidateAll() {
        this.log.push("invalidateAll");
    }

    restartGlz() {
        this.log.push("restartGlz");
    }
}
