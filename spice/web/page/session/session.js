// A session with a SPICE server: its channels, what the main thread wants of them, and the way back after a break.

import { LinkError } from "../protocol/link.js";
import { CHANNEL, CLIENT_COMMON, LINK, MAIN_CAP } from "../protocol/names.js";
import { Writer } from "../protocol/reader.js";
import { Channel, Closed, Disconnected } from "./channel.js";
import { Cursor } from "./cursor.js";
import { Display } from "./display.js";
import { Figures } from "./figures.js";
import { Inputs } from "./inputs.js";
import { Main } from "./main.js";
import { Outbox } from "./outbox.js";
import { Playback } from "./playback.js";
import { Screens } from "./screen.js";

/** @typedef {import("./platform.js").Platform} Platform */
/** @typedef {import("./channel.js").Handler} Handler */
/** @typedef {{visible: boolean, x: number, y: number, newShape: boolean,
 *     shape: import("../protocol/cursor.js").Shape | null}} Pointer */

/** Pauses before one tries to come back, in ms: they grow to the last one, which stays. */
const PAUSES = [250, 500, 1000, 2000, 5000];
/** A connection that has lasted so long, in ms, was a good one: pauses begin anew. */
const GOOD = 5000;
/** Who does not want to wait is waited for so long, in ms, while a link is made. */
const IMPATIENT = 1000;
/** Our servers say something every 15 s; in so long, in ms, they are not there any more. */
const QUIET = 45_000;
/** Between two looks at the figures, in ms. */
const FIGURES_EVERY = 1000;
/** A motion that has no answer for so long, in ms, while nothing else comes: the link is broken and nobody says so. */
const SILENCE = 10_000;
/** Pixels of a shape of the pointer for each of what it costs to tell the page of it. */
const SHAPE_PIXELS = 1 << 16;
/** What it costs the page to have other displays. */
const LAYOUT_COST = 16;
/** Most display channels, and with them cursor channels. */
const DISPLAYS_MAX = 16;

const NAMES = Object.freeze(["", "main", "display", "inputs", "cursor", "playback"]);

/** A session, which lives as long as the worker does; connections come and go. */
export class Session {
    /** @param {Platform} platform */
    constructor(platform) {
        this.platform = platform;
        this.url = "";
        this.ticket = "";
        this.view = false;
        /** @type {"idle" | "connecting" | "connected" | "reconnecting"} */
        this.state = "idle";
        /** The id to link channels with: that of the session there is, or was. */
        this.session = 0;
        /** Whether the server can resume it. */
        this.resumable = false;
        /** Whether there was a session before the one that is being linked. */
        this.resuming = false;
        /** @type {Map<string, Channel>} by type and id */
        this.channels = new Map();
        /** @type {{waits: {type: number, id: number, serial: bigint}[], resolve: () => void}[]} */
        this.waiting = [];
        /** @type {Map<number, Display>} */
        this.displays = new Map();
        this.caches = platform.graphics.caches();
        /** @type {Main | null} */
        this.main = null;
        /** @type {Inputs | null} */
        this.inputs = null;
        /** @type {Playback | null} */
        this.playback = null;
        this.audio = false;
        this.hasPlayback = false;
        this.hasInputs = false;
        /** Whether it is known which channels there are. */
        this.isListed = false;
        /** @type {"client" | "server"} */
        this.mouseWish = "client";
        /** @type {{x: number, y: number, width: number, height: number}[] | null} */
        this.monitors = null;
        this.attempts = 0;
        this.connectedAt = 0;
        /** @type {Map<number, Pointer>} by the numbers of channels */
        this.pointers = new Map();
        /** Files have numbers of their own as long as the page is there. */
        this.fileNumbers = { next: 1 };
        this.clock = { base: 0, at: 0 };
        this.told = "";
        this.figures = new Figures(platform.now);
        this.outbox = new Outbox(platform);
        /** @type {() => void} stops what would happen later */
        this.stopRetry = () => {};
        /** Comes back now instead of later. */
        this.retry = () => {};
        this.stopTicking = () => {};
        this.screens = new Screens(
            { ...platform, post: (message) => this.outbox.post("displays", message, LAYOUT_COST) },
            () => this.displays.values(),
            () => this.figures.frames++,
            (error) => this.fail(error),
        );
    }

    /**
     * What the main thread says.
     * @param {any} message as the table in `worker.js` has them
     */
    handle(message) {
        const { main, inputs } = this;
        switch (message.type) {
            case "connect":
                this.connect(message);
                break;
            case "disconnect":
                this.leave();
                break;
            case "retry":
                this.retry();
                break;
            case "canvas":
                this.screens.attached(message.display);
                break;
            case "visible":
                this.screens.show(message.visible);
                break;
            case "keyDown":
                inputs?.keyDown(message.scancode);
                break;
            case "keyUp":
                inputs?.keyUp(message.scancode);
                break;
            case "motion":
                if (main?.info().mouseMode === "server") {
                    inputs?.move({ x: message.dx, y: message.dy, buttons: message.buttons, display: null });
                }
                break;
            case "position":
                if (main?.info().mouseMode === "client") {
                    const display = this.screens.wireNumber(message.display);
                    inputs?.move({ x: message.x, y: message.y, buttons: message.buttons, display });
                }
                break;
            case "button":
                inputs?.button(message.button, message.down, message.buttons);
                break;
            case "lights":
                inputs?.lights(message);
                break;
            case "mouseMode":
                this.mouseWish = message.mode;
                main?.wishMouse(message.mode);
                break;
            case "monitors":
                this.monitors = message.heads;
                main?.agent.monitors(message.heads);
                break;
            case "clipboard":
                this.clipboard(message);
                break;
            case "clipboardRequest":
                main?.agent.request(message.kind);
                break;
            case "file":
                main?.agent.sendFile(message.file);
                break;
            case "fileCancel":
                main?.agent.files.cancel(message.id);
                break;
            case "audio":
                this.audio = message.on;
                this.listen();
                break;
            default:
        }
    }

    /** @param {any} message */
    clipboard(message) {
        const agent = this.main?.agent;
        if (message.what === "offer") {
            agent?.offer(message.types);
        } else if (message.what === "release") {
            agent?.release();
        } else {
            agent?.answer(message.kind, message.data);
        }
    }

    /** @param {{url: string, ticket?: string, options?: {view?: boolean}}} message */
    connect({ url, ticket = "", options = {} }) {
        this.drop();
        this.url = url;
        this.ticket = ticket;
        this.view = options.view ?? false;
        this.screens.clear();
        this.outbox.clear();
        this.attempts = 0;
        this.figures = new Figures(this.platform.now);
        this.state = "connecting";
        this.platform.post({ type: "state", state: "connecting" });
        this.begin();
        this.tick();
    }

    /** A new session begins, which has nothing yet. */
    begin() {
        this.session = 0;
        this.resumable = false;
        this.caches = this.platform.graphics.caches();
        this.displays.forEach((display) => display.drop());
        this.displays = new Map();
        this.pointers.clear();
        this.open();
    }

    /** Links the main channel: of a new session, or of the one there was. */
    open() {
        this.told = "";
        this.resuming = this.session !== 0;
        this.isListed = false;
        this.hasInputs = false;
        this.hasPlayback = false;
        this.main = new Main(
            {
                platform: this.platform,
                started: (init) => this.started(init),
                channels: (channels) => this.listed(channels),
                mediaTime: (time) => this.setClock(time),
                changed: () => {
                    this.tell();
                    this.pointers.forEach((state, channel) => this.pointer(channel, { ...state, newShape: false }));
                },
            },
            // Who only looks changes nothing.
            this.view ? null : this.mouseWish,
        );
        this.main.agent.heads = this.view ? null : this.monitors;
        this.main.agent.files.numbers = this.fileNumbers;
        this.link(this.main);
    }

    /** @param {Handler} handler */
    link(handler) {
        const { platform, url, ticket, session } = this;
        /** @type {import("./channel.js").Owner} */
        const owner = {
            platform,
            url,
            ticket,
            session,
            broken: (channel, error) => this.broken(channel, error),
            waitFor: (waits) => this.waitFor(waits),
            progressed: () => this.progressed(),
            received: (bytes) => this.figures.receive(bytes),
            measured: (milliseconds) => this.figures.linked(milliseconds),
            notify: (text, severity) => this.outbox.post("notify", { type: "notify", text, severity }),
        };
        try {
            this.channels.set(`${handler.type}:${handler.id}`, new Channel(owner, handler));
        } catch (error) {
            // As for a URL that is none.
            this.fail(error);
        }
    }

    /** @param {{session: number, time: number}} init */
    started({ session, time }) {
        this.session = session;
        this.resumable = this.channels.get(`${CHANNEL.MAIN}:0`)?.serverHas(MAIN_CAP.RESUME) ?? false;
        this.channels.get(`${CHANNEL.MAIN}:0`)?.answered();
        this.stopWaiting();
        this.setClock(time);
        this.connectedAt = this.platform.now();
        this.state = "connected";
        this.platform.post({ type: "state", state: "connected" });
    }

    /** @param {number} time of the media clock, in ms */
    setClock(time) {
        this.clock = { base: time, at: this.platform.now() };
    }

    mediaTime() {
        return (this.clock.base + Math.trunc(this.platform.now() - this.clock.at)) >>> 0;
    }

    /** @param {{type: number, id: number}[]} channels that are there, some maybe for longer */
    listed(channels) {
        this.isListed = true;
        for (const { type, id } of channels) {
            if (this.channels.has(`${type}:${id}`)) {
                continue;
            }
            if (type === CHANNEL.DISPLAY && id < DISPLAYS_MAX) {
                this.link(this.display(id));
            } else if (type === CHANNEL.CURSOR && id < DISPLAYS_MAX) {
                this.link(new Cursor(id, (state) => this.pointer(id, state)));
            } else if (type === CHANNEL.INPUTS && id === 0 && !this.view) {
                this.hasInputs = true;
                this.inputs = new Inputs({
                    post: (message) => this.platform.post(message),
                    now: this.platform.now,
                    measured: (milliseconds) => this.figures.measured(milliseconds),
                });
                this.link(this.inputs);
            } else if (type === CHANNEL.PLAYBACK && id === 0) {
                this.hasPlayback = true;
                this.listen();
            }
        }
        this.tell();
    }

    /** Links the playback channel when it is wanted and there, and ends it when it is not wanted. */
    listen() {
        const key = `${CHANNEL.PLAYBACK}:0`;
        if (!this.audio) {
            this.playback?.stop();
            this.playback = null;
            this.channels.get(key)?.close();
            this.channels.delete(key);
        } else if (this.hasPlayback && this.playback === null) {
            const { opus } = this.platform;
            this.playback = new Playback({
                post: (message, transfer) => this.platform.post(message, transfer),
                opus,
            });
            this.link(this.playback);
        }
    }

    /**
     * The display with a number: what there was of it before the connection was cut, if it can be gone on with.
     * @param {number} id
     */
    display(id) {
        const { platform, caches } = this;
        const former = this.displays.get(id);
        if (former !== undefined) {
            return former;
        }
        const display = new Display(
            {
                platform,
                caches,
                mediaTime: () => this.mediaTime(),
                layout: () => {
                    this.screens.layout();
                    this.pointers.forEach((state, channel) => this.pointer(channel, { ...state, newShape: true }));
                },
                drawn: () => this.screens.request(),
                frame: (codec, shown) => this.figures.videoFrame(codec, shown),
                image: (codec) => {
                    this.figures.codec = codec;
                },
            },
            id,
        );
        // It has no surfaces yet, but the images are there.
        display.resumes = this.resuming;
        this.displays.set(id, display);
        return display;
    }

    /**
     * Shows the pointer of a display.
     * @param {number} channel
     * @param {Pointer} state
     */
    pointer(channel, state) {
        this.pointers.set(channel, state);
        const { visible, x, y, shape, newShape } = state;
        const at = this.screens.find(channel, x, y) ?? { display: channel, x, y };
        const cost = 1 + (shape === null ? 0 : Math.floor((shape.width * shape.height) / SHAPE_PIXELS));
        // The browser has the pointer over any of the screens, the guest on one.
        const isAnywhere = this.main?.info().mouseMode === "client";
        for (const { display, head } of this.screens.of(channel) ?? [{ display: at.display, head: null }]) {
            const message = {
                type: "cursor",
                display,
                x: head === null ? at.x : x - head.x,
                y: head === null ? at.y : y - head.y,
                visible: visible && shape !== null && (isAnywhere || display === at.display),
            };
            if (newShape && shape !== null) {
                this.outbox.post(`cursor ${display}`, { ...message, shape }, cost);
            } else {
                this.outbox.post(`cursor ${display}`, message);
            }
        }
    }

    /** Tells what there is to know about the session, if that has changed. */
    tell() {
        if (this.main === null || !this.isListed) {
            return;
        }
        const message = { type: "session", ...this.main.info(), role: this.hasInputs ? "control" : "view" };
        const told = JSON.stringify(message);
        if (told !== this.told) {
            this.told = told;
            this.outbox.post("session", message);
        }
    }

    /**
     * @param {{type: number, id: number, serial: bigint}[]} waits
     * @returns {void | Promise<void>}
     */
    waitFor(waits) {
        if (!this.isReached(waits)) {
            return new Promise((resolve) => this.waiting.push({ waits, resolve }));
        }
        return undefined;
    }

    /** @param {{type: number, id: number, serial: bigint}[]} waits */
    isReached(waits) {
        return waits.every(({ type, id, serial }) => {
            const channel = this.channels.get(`${type}:${id}`);
            return channel === undefined || channel.ended || channel.processed >= serial;
        });
    }

    /** Channels that wait go on if what they wait for is there. */
    progressed() {
        const reached = this.waiting.filter(({ waits }) => this.isReached(waits));
        if (reached.length > 0) {
            this.waiting = this.waiting.filter((one) => !reached.includes(one));
            reached.forEach(({ resolve }) => resolve());
        }
    }

    /**
     * A channel has ended by itself.
     * @param {Channel} channel
     * @param {Error} error
     */
    broken(channel, error) {
        const { type, id } = channel.handler;
        if (this.channels.get(`${type}:${id}`) !== channel) {
            return;
        }
        const name = NAMES[type] ?? `channel ${type}`;
        if (type === CHANNEL.PLAYBACK && (error instanceof Disconnected || error instanceof Closed)) {
            this.without(channel);
        } else if (error instanceof Disconnected) {
            this.end({ reason: error.message, code: error.code });
        } else if (error instanceof LinkError) {
            this.refused(channel, error);
        } else if (!(error instanceof Closed)) {
            this.nonsense(`${name}: ${error.message}`);
        } else if (this.state === "connecting") {
            this.end({ reason: error.message });
        } else {
            this.reconnect(`${name}: ${error.message}`);
        }
    }

    /**
     * The server has said what it may not. After a good connection it is tried once more, from the beginning: nobody
     * knows what is still true of what was there. Who says nothing else is left.
     * @param {string} reason
     */
    nonsense(reason) {
        if (this.isGood()) {
            this.session = 0;
            this.resumable = false;
            this.reconnect(reason);
        } else {
            this.end({ reason });
        }
    }

    /** Whether there is a connection that has lasted. */
    isGood() {
        return this.state === "connected" && this.platform.now() - this.connectedAt >= GOOD;
    }

    /**
     * The server has refused a channel.
     * @param {Channel} channel
     * @param {LinkError} error
     */
    refused(channel, error) {
        const { code, message } = error;
        const isMain = channel.handler.type === CHANNEL.MAIN;
        if (code === LINK.PERMISSION_DENIED) {
            this.end({ reason: message, code, needsTicket: true });
        } else if (code === LINK.BAD_CONNECTION_ID && this.state === "reconnecting" && this.session !== 0) {
            // The session is not there any more: a new one, at once.
            this.cut();
            this.begin();
        } else if (code === LINK.BAD_CONNECTION_ID && !isMain) {
            this.reconnect(message);
        } else if (code === LINK.CHANNEL_NOT_AVAILABLE && !isMain) {
            this.without(channel);
        } else if (code === LINK.CHANNEL_NOT_AVAILABLE && this.state === "reconnecting") {
            this.reconnect(message);
        } else {
            this.end({ reason: message, code });
        }
    }

    /** @param {Channel} channel that is not there, and can be done without */
    without(channel) {
        const { type, id } = channel.handler;
        this.channels.delete(`${type}:${id}`);
        if (type === CHANNEL.INPUTS) {
            this.inputs = null;
            this.hasInputs = false;
        } else if (type === CHANNEL.PLAYBACK) {
            this.playback?.stop();
            this.playback = null;
            this.hasPlayback = false;
        }
        this.progressed();
        this.tell();
    }

    /** Ends all connections. What is on the screens stays. */
    cut() {
        const channels = [...this.channels.values()];
        this.channels.clear();
        this.waiting = [];
        for (const channel of channels) {
            // Nobody knows what a drawing still changes that is under way.
            if (channel.busy && channel.handler.type === CHANNEL.DISPLAY) {
                this.displays.get(channel.handler.id)?.cut();
                this.displays.delete(channel.handler.id);
            }
            channel.close();
        }
        this.displays.forEach((display) => display.cut());
        this.caches.restartGlz();
        this.main?.agent.reset();
        this.main = null;
        this.inputs = null;
        this.playback?.stop();
        this.playback = null;
    }

    /** @param {string} reason why the connection is not there any more */
    reconnect(reason) {
        if (this.isGood()) {
            this.attempts = 0;
        }
        this.cut();
        this.state = "reconnecting";
        this.platform.post({ type: "state", state: "reconnecting", reason });
        const pause = PAUSES[Math.min(this.attempts, PAUSES.length - 1)];
        this.attempts++;
        let tried = -Infinity;
        this.retry = () => {
            const now = this.platform.now();
            if (now - tried < IMPATIENT) {
                return;
            }
            tried = now;
            this.stopRetry();
            this.cut();
            if (this.resumable) {
                this.open();
            } else {
                this.begin();
            }
        };
        this.stopRetry = this.platform.later(pause, this.retry);
    }

    /** Whoever waited to come back does so no more. */
    stopWaiting() {
        this.stopRetry();
        this.retry = () => {};
    }

    /** Ends everything, without a word. */
    drop() {
        this.stopWaiting();
        this.stopTicking();
        this.cut();
        this.session = 0;
    }

    /** The person leaves. The server need not keep the session for somebody who comes back. */
    leave() {
        const out = new Writer();
        out.u64(0n);
        out.u32(LINK.OK);
        const main = this.channels.get(`${CHANNEL.MAIN}:0`);
        if (main?.linked) {
            main.send(CLIENT_COMMON.DISCONNECTING, out.finish());
        }
        this.end({ reason: "disconnected" });
    }

    /** @param {unknown} error that should not have been */
    fail(error) {
        this.end({ reason: error instanceof Error ? error.message : String(error) });
    }

    /** @param {{reason: string, code?: number, needsTicket?: boolean}} why */
    end(why) {
        if (this.state !== "idle") {
            this.state = "idle";
            this.drop();
            this.platform.post({ type: "state", state: "closed", ...why });
        }
    }

    /** Once a second: figures, and whether the link is still alive. */
    tick() {
        this.stopTicking = this.platform.later(FIGURES_EVERY, () => {
            const { now } = this.platform;
            const since = this.inputs?.waitingSince() ?? null;
            if (since !== null && now() - since > SILENCE && now() - this.figures.received > SILENCE) {
                this.reconnect("the server does not answer");
            } else if (this.state === "connected" && this.resumable && now() - this.figures.received > QUIET) {
                this.reconnect("nothing has come for a long time");
            }
            if (this.screens.visible && this.state === "connected") {
                this.platform.post(this.figures.take());
            }
            this.tick();
        });
    }
}
