// The worker: everything but the page itself. Sockets, decoding and drawing are here, the main thread has the rest.
//
// From the main thread:
//   connect            url (ws: or wss:), ticket, options {view}: whether to look only
//   disconnect         the person leaves
//   retry              the person does not want to wait until the connection is tried again
//   canvas             display, canvas: an OffscreenCanvas for a display; again after the page has made a new one
//   visible            visible: whether anybody can see the page
//   keyDown, keyUp     scancode: of set 1; a prefix is in the low byte, as 0x1de0
//   motion             dx, dy, buttons: in mouse mode "server"; buttons is a mask of those that are down
//   position           x, y, display, buttons: in mouse mode "client"; in pixels of the display
//   button             button (1 left, 2 middle, 3 right, 4 and 5 the wheel, 6 and 7 at the side), down, buttons
//   lights             scroll, num, caps: as the keyboard has them
//   mouseMode          mode: "client" or "server", as soon as there is that mode
//   monitors           heads [{x, y, width, height}]: how the guest's monitors are to be
//   clipboard          what: "offer" with types, "release", or "data" with kind and data (null: it is not there) as an
//                      answer to clipboardRequest; kinds are "text/plain" (a string) and "image/png" (bytes)
//   clipboardRequest   kind: the page wants what the guest has offered
//   file               file: a File for the guest
//   fileCancel         id: as in files
//   audio              on: whether sound is wanted
//
// To the main thread:
//   state              state: "connecting", "connected", "reconnecting" or "closed"; reason in words, code of a link
//                      error, needsTicket: the ticket is wrong or missing
//   session            name, uuid, role ("view" or "control"), mouseMode, mouseModes, agent, clipboard, files, monitors
//                      (whether the guest can do these)
//   displays           displays [{display, width, height, x, y}]: x and y are where it begins in the guest's screen
//   cursor             display, visible, x, y: of the hot spot; with shape {width, height, hotX, hotY, pixels, invert}
//                      when it is another one
//   lights             scroll, num, caps: as the guest has them
//   clipboard          what: "offer" with types, "release", or "data" with kind and data (null: it cannot be had)
//   clipboardRequest   kind: the guest wants what the page has offered
//   files              id, name, size, sent (bytes), state: "waiting", "sending", "done", "failed" or "cancelled";
//                      reason in words
//   figures            roundTrip (ms or null), frames, bytes (both a second), codec, video, dropped
//   audio              what: "start" with channels and rate, "data" with samples (Int16Array, channels in turn),
//                      "stop", "volume" with volume (0 to 1 for each channel), "mute" with mute
//   notify             text, severity: 0 information, 1 warning, 2 error

import { contains, intersect, isEmpty } from "./canvas/region.js";
import { graphics } from "./session/graphics.js";
import { copiesPixels, frameDecoder, jpegDecoder, opusMaker, videoCodecs, videoPlayer } from "./session/media.js";
import { Session } from "./session/session.js";
import { webSocket } from "./session/socket.js";

const scope = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** @type {Map<number, OffscreenCanvasRenderingContext2D>} by the numbers of displays */
const contexts = new Map();
/** @type {WeakMap<Uint32Array, ImageData>} the same memory as the surfaces */
const images = new WeakMap();

/** @type {import("./session/platform.js").Platform["present"]} */
function present(display, { pixels, width, height, overlay }, head, damage) {
    const context = contexts.get(display);
    if (context === undefined) {
        return false;
    }
    let image = images.get(pixels);
    if (image === undefined) {
        const bytes = new Uint8ClampedArray(
            /** @type {ArrayBuffer} */ (pixels.buffer),
            pixels.byteOffset,
            pixels.byteLength,
        );
        image = new ImageData(bytes, width, height);
        images.set(pixels, image);
    }
    const { canvas } = context;
    const [across, down] = [head.right - head.left, head.bottom - head.top];
    if (canvas.width !== across || canvas.height !== down) {
        canvas.width = across;
        canvas.height = down;
        damage = head;
    }
    const { left, top, right, bottom } = damage;
    if (overlay === null || !contains(overlay.dest, damage)) {
        context.putImageData(image, -head.left, -head.top, left, top, right - left, bottom - top);
    }
    if (overlay !== null) {
        draw(context, overlay, head, intersect(overlay.dest, damage));
    }
    return true;
}

/**
 * Draws a part of a frame.
 * @param {OffscreenCanvasRenderingContext2D} context
 * @param {import("./canvas/canvas.js").Overlay} overlay
 * @param {import("./session/platform.js").Rect} head
 * @param {import("./session/platform.js").Rect} part of the surface
 */
function draw(context, { frame: { image }, dest }, head, part) {
    if (image !== null && !isEmpty(part)) {
        const { left, top, right, bottom } = part;
        const [width, height] = [right - left, bottom - top];
        const [from, to] = [dest, head].map((rect) => ({ x: left - rect.left, y: top - rect.top }));
        if (image instanceof ImageData) {
            context.putImageData(image, to.x - from.x, to.y - from.y, from.x, from.y, width, height);
        } else {
            context.drawImage(image, from.x, from.y, width, height, to.x, to.y, width, height);
        }
    }
}

/** @param {() => void} run */
function frame(run) {
    if (typeof scope.requestAnimationFrame === "function") {
        scope.requestAnimationFrame(run);
    } else {
        setTimeout(run, 16);
    }
}

async function start() {
    const copies = await copiesPixels();
    const decodeJpeg = jpegDecoder(copies);
    return new Session({
        connect: webSocket,
        post(message, transfer = []) {
            if (message.type === "displays") {
                // The canvas of a screen that has gone is not shown again.
                const there = new Set(message.displays.map((/** @type {{display: number}} */ { display }) => display));
                [...contexts.keys()].filter((display) => !there.has(display)).forEach((gone) => contexts.delete(gone));
            }
            scope.postMessage(message, transfer);
        },
        now: () => performance.now(),
        later(milliseconds, run) {
            const timer = setTimeout(run, milliseconds);
            return () => clearTimeout(timer);
        },
        frame,
        random: (count) => crypto.getRandomValues(new Uint8Array(count)),
        graphics: graphics(decodeJpeg),
        present,
        decodeJpeg,
        decodeFrame: frameDecoder(copies),
        videoCodecs: await videoCodecs(),
        video: videoPlayer(copies),
        opus: opusMaker(),
    });
}

const session = start();

/** @param {MessageEvent} event */
scope.onmessage = async ({ data }) => {
    try {
        if (data.type === "canvas") {
            const context = data.canvas.getContext("2d", { alpha: false });
            if (context === null) {
                throw new Error("the browser has no 2D canvas in workers");
            }
            contexts.set(data.display, context);
        }
        (await session).handle(data);
    } catch (error) {
        scope.postMessage({
            type: "state",
            state: "closed",
            reason: error instanceof Error ? error.message : String(error),
        });
    }
};
