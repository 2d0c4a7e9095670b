// Keyboard and mouse. What moves is sent no faster than the server takes it: what it has not taken is one motion.

import { CHANNEL, CLIENT_INPUTS, INPUTS } from "../protocol/names.js";
import { Reader, Writer } from "../protocol/reader.js";

/** @typedef {import("./channel.js").Handler} Handler */
/** @typedef {import("./channel.js").Channel} Channel */

/** Motions that one MOUSE_MOTION_ACK answers. */
const ACK_BUNCH = 4;
/** Most motions without an answer: two bunches. */
const UNANSWERED_MAX = 2 * ACK_BUNCH;
/** Most bytes of a message. */
const MESSAGE_MAX = 1 << 16;
const LIGHT_SCROLL = 1;
const LIGHT_NUM = 2;
const LIGHT_CAPS = 4;
const I32_MAX = 0x7fffffff;

/**
 * @typedef {object} Motion
 * @property {number} x distance, or place on the display
 * @property {number} y
 * @property {number} buttons mask of those that are down
 * @property {number | null} display where the place is; null: it is a distance
 */

/** @implements {Handler} */
export class Inputs {
    /**
     * @param {{post: (message: any) => void, now: () => number, measured: (milliseconds: number) => void}} owner
     */
    constructor(owner) {
        this.owner = owner;
        this.type = CHANNEL.INPUTS;
        this.id = 0;
        this.most = MESSAGE_MAX;
        /** @type {number[]} */
        this.caps = [];
        /** @type {Channel | null} */
        this.channel = null;
        this.unanswered = 0;
        /** @type {Motion | null} what the server has no room for yet */
        this.pending = null;
        /** Motions sent since the channel is there. */
        this.motions = 0;
        /** @type {number[]} when the last motion of each bunch without an answer was sent, in ms */
        this.times = [];
        /** Codes of keys that are down. */
        this.down = new Set();
    }

    /** @param {Channel} channel */
    linked(channel) {
        this.channel = channel;
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     */
    message(type, body) {
        if (type === INPUTS.INIT || type === INPUTS.KEY_MODIFIERS) {
            const lights = new Reader(body).u16();
            this.owner.post({
                type: "lights",
                scroll: (lights & LIGHT_SCROLL) !== 0,
                num: (lights & LIGHT_NUM) !== 0,
                caps: (lights & LIGHT_CAPS) !== 0,
            });
        } else if (type === INPUTS.MOUSE_MOTION_ACK) {
            this.answered();
        }
    }

    answered() {
        this.unanswered = Math.max(0, this.unanswered - ACK_BUNCH);
        const time = this.times.shift();
        if (time !== undefined) {
            this.owner.measured(this.owner.now() - time);
        }
        if (this.pending !== null) {
            this.sendPending();
        }
    }

    /**
     * When the oldest motion was sent that should have been answered; null: there is none.
     * @returns {number | null}
     */
    waitingSince() {
        return this.times[0] ?? null;
    }

    /**
     * @param {number} type
     * @param {(out: Writer) => void} put
     */
    send(type, put) {
        const out = new Writer();
        put(out);
        this.channel?.send(type, out.finish());
    }

    /** @param {number} scancode of set 1; a prefix is in the low byte */
    keyDown(scancode) {
        this.down.add(scancode);
        this.send(CLIENT_INPUTS.KEY_DOWN, (out) => out.u32(scancode));
    }

    /** @param {number} scancode as it was when the key went down */
    keyUp(scancode) {
        // A key that the server does not know as down, as after a new link, has nothing to let go.
        if (this.down.delete(scancode)) {
            this.send(CLIENT_INPUTS.KEY_UP, (out) => out.u32(released(scancode)));
        }
    }

    /** @param {{scroll: boolean, num: boolean, caps: boolean}} lights */
    lights({ scroll, num, caps }) {
        const mask = (scroll ? LIGHT_SCROLL : 0) | (num ? LIGHT_NUM : 0) | (caps ? LIGHT_CAPS : 0);
        this.send(CLIENT_INPUTS.KEY_MODIFIERS, (out) => out.u16(mask));
    }

    /** @param {Motion} motion */
    move(motion) {
        const { pending } = this;
        if (pending !== null && pending.display === null && motion.display === null) {
            motion = { ...motion, x: limited(pending.x + motion.x), y: limited(pending.y + motion.y) };
        }
        this.pending = motion;
        if (this.unanswered < UNANSWERED_MAX) {
            this.sendPending();
        }
    }

    /**
     * @param {number} button 1 left, 2 middle, 3 right, 4 and 5 the wheel, 6 and 7 at the side
     * @param {boolean} down
     * @param {number} buttons mask of those that are down afterwards
     */
    button(button, down, buttons) {
        // It counts where the pointer is now, whether there is room or not.
        if (this.pending !== null) {
            this.sendPending();
        }
        this.send(down ? CLIENT_INPUTS.MOUSE_PRESS : CLIENT_INPUTS.MOUSE_RELEASE, (out) => {
            out.u8(button);
            out.u16(buttons);
        });
    }

    sendPending() {
        const motion = this.pending;
        if (motion === null || this.channel === null) {
            return;
        }
        this.pending = null;
        const { x, y, buttons, display } = motion;
        if (display === null) {
            this.send(CLIENT_INPUTS.MOUSE_MOTION, (out) => {
                out.i32(limited(x));
                out.i32(limited(y));
                out.u16(buttons);
            });
        } else {
            this.send(CLIENT_INPUTS.MOUSE_POSITION, (out) => {
                out.u32(Math.max(0, Math.trunc(x)));
                out.u32(Math.max(0, Math.trunc(y)));
                out.u16(buttons);
                out.u8(display);
            });
        }
        this.unanswered++;
        this.motions++;
        if (this.motions % ACK_BUNCH === 0) {
            this.times.push(this.owner.now());
        }
    }
}

/**
 * The code with which a key is released: bit 7 of its last byte is set, of Pause that of both.
 * @param {number} scancode
 */
function released(scancode) {
    if (scancode > 0xffff) {
        return (scancode | 0x808000) >>> 0;
    }
    return scancode > 0xff ? scancode | 0x8000 : scancode | 0x80;
}

/** @param {number} distance */
function limited(distance) {
    return Math.max(-I32_MAX, Math.min(I32_MAX, Math.trunc(distance)));
}
