// The page's session against a real server, by TCP: the picture becomes what is expected, the connections are cut and
// it comes back, a key is pressed, and the picture changes. What was seen is printed as one line of JSON: hash of the
// picture `before` and `after` the key, `bytes` that came up to the first picture, and `again`, those that came after
// the cut.
//
//     node live.mjs --port PORT [--host HOST] --hash HEX [--ticket TICKET] [--key SCANCODE] [--cut] [--seconds N]
//
// The hash is that of `caraway ctl VM screenshot --hash`: 64-bit FNV-1a over width and height, and blue, green and red
// of each pixel. Without a hash the first picture is taken as it is. Exit code 1: something did not come
// within the time.

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

import { graphics } from "../page/session/graphics.js";
import { Session } from "../page/session/session.js";
import { tcp } from "./session_platform.js";

const { values } = parseArgs({
    options: {
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: process.env.SPICE_PORT ?? "5900" },
        hash: { type: "string", default: process.env.SPICE_HASH ?? "" },
        ticket: { type: "string", default: process.env.SPICE_TICKET ?? "" },
        key: { type: "string", default: "0x1e" },
        cut: { type: "boolean", default: false },
        seconds: { type: "string", default: "30" },
    },
});

/** @typedef {import("../page/session/platform.js").Surface} Surface */
/** @typedef {import("../page/session/platform.js").Rect} Rect */

/** @type {(() => void)[]} */
const wakers = [];
const wake = () => wakers.splice(0).forEach((waker) => waker());
/** @type {{surface: Surface, head: Rect} | null} */
let shown = null;
/** @type {any} */
let state = { state: "connecting" };
/** @type {any} */
let info = {};
let hasKeyboard = false;
const codecs = new Set();
/** @type {import("node:net").Socket[]} */
const streams = [];
let bytes = 0;

const decodeJpeg = () => Promise.reject(new Error("Node decodes no JPEG"));
const session = new Session({
    connect: (url) =>
        tcp(url, (stream) => {
            streams.push(stream);
            stream.on("data", (data) => (bytes += data.length));
        }),
    post(message) {
        if (message.type === "state") {
            state = message;
        } else if (message.type === "lights") {
            hasKeyboard = true;
        } else if (message.type === "session") {
            info = message;
        } else if (message.type === "figures" && message.codec !== "") {
            codecs.add(message.codec);
        }
        wake();
    },
    now: () => performance.now(),
    later(milliseconds, run) {
        const timer = setTimeout(run, milliseconds);
        return () => clearTimeout(timer);
    },
    frame: (run) => setImmediate(run),
    random: (count) => new Uint8Array(randomBytes(count)),
    graphics: graphics(decodeJpeg),
    present(display, surface, head) {
        if (display === 0) {
            shown = { surface, head };
            wake();
        }
        return true;
    },
    decodeJpeg,
    decodeFrame: decodeJpeg,
    videoCodecs: [],
    video: () => {
        throw new Error("Node decodes no video");
    },
    opus: null,
});

/** 64-bit FNV-1a, in halves. */
class Fnv {
    constructor() {
        this.high = 0xcbf29ce4;
        this.low = 0x84222325;
    }

    /** @param {number} byte */
    add(byte) {
        // The prime is 2^40 + 0x1b3.
        const low = (this.low ^ byte) >>> 0;
        const product = low * 0x1b3;
        this.high = (this.high * 0x1b3 + Math.floor(product / 0x100000000) + low * 0x100) % 0x100000000;
        this.low = product >>> 0;
    }

    toString() {
        return [this.high, this.low].map((half) => half.toString(16).padStart(8, "0")).join("");
    }
}

/** The hash of the picture as it is; empty while there is none. */
function hash() {
    if (shown === null) {
        return "";
    }
    const { surface, head } = shown;
    const fnv = new Fnv();
    for (const side of [head.right - head.left, head.bottom - head.top]) {
        [0, 8, 16, 24].forEach((shift) => fnv.add((side >>> shift) & 255));
    }
    for (let y = head.top; y < head.bottom; y++) {
        for (let x = head.left; x < head.right; x++) {
            const pixel = surface.pixels[y * surface.width + x];
            fnv.add((pixel >>> 16) & 255);
            fnv.add((pixel >>> 8) & 255);
            fnv.add(pixel & 255);
        }
    }
    return fnv.toString();
}

/**
 * Waits until the picture is one that is wanted, and there is a keyboard.
 * @param {string} what
 * @param {(hash: string) => boolean} wanted
 */
async function picture(what, wanted) {
    let last = "";
    const limit = setTimeout(
        () => {
            console.error(
                `${what}: the picture is ${last || "none"} after ${values.seconds} s, ${JSON.stringify(state)}`,
            );
            process.exit(1);
        },
        Number(values.seconds) * 1000,
    );
    for (;;) {
        if (state.state === "closed") {
            console.error(`${what}: ${state.reason}`);
            process.exit(1);
        }
        last = hash();
        if (hasKeyboard && last !== "" && wanted(last)) {
            clearTimeout(limit);
            return last;
        }
        await new Promise((resolve) => wakers.push(() => resolve(undefined)));
    }
}

session.handle({ type: "connect", url: `tcp://${values.host}:${values.port}`, ticket: values.ticket });
const before = await picture("at first", (found) => values.hash === "" || found === values.hash);
const first = bytes;
let again = 0;
if (values.cut) {
    bytes = 0;
    shown = null;
    hasKeyboard = false;
    streams.splice(0).forEach((stream) => stream.destroy());
    // Painted anew when the server has marked its surface again.
    await picture("after a cut", (found) => found === before);
    again = bytes;
}
const scancode = Number(values.key);
session.handle({ type: "keyDown", scancode });
session.handle({ type: "keyUp", scancode });
const after = await picture("after a key", (found) => found !== before);
session.handle({ type: "disconnect" });
const { width, height } = /** @type {{surface: Surface}} */ (/** @type {unknown} */ (shown)).surface;
const { name, role } = info;
console.log(JSON.stringify({ before, after, bytes: first, again, width, height, name, role, codecs: [...codecs] }));
