// The mouse on a display: in mouse mode "client" its place, in mode "server" how it moves, with the pointer locked.

import { EXTRA, LEFT, MIDDLE, RIGHT, SIDE, clicksOf, createMouse } from "./mouse.js";
import { attachTouch } from "./touch.js";

/** What the bits of PointerEvent.buttons are for the guest, the lowest first. */
const BUTTONS = [LEFT, RIGHT, MIDDLE, SIDE, EXTRA];
/** CSS pixels for one click of the wheel, as browsers on Windows have it. */
const CLICK_PIXELS = 100;
/** What WheelEvent.wheelDeltaY has for one notch. */
const NOTCH = 120;
/** By WheelEvent.deltaMode: pixels, lines, pages. */
const PIXELS = [1, CLICK_PIXELS / 3, CLICK_PIXELS];

/**
 * Listens to an element.
 * @param {object} options
 * @param {HTMLElement} options.element that shows the display, and nothing around it
 * @param {number} options.display
 * @param {(message: import("./mouse.js").MouseMessage) => void} options.send to the worker
 * @param {() => "client" | "server"} options.mode mouse mode
 * @param {() => import("./mouse.js").Scale} options.scale
 * @param {(run: () => void) => void} [options.frame] calls once before the next frame is drawn
 * @param {(run: () => void, milliseconds: number) => () => void} [options.later] a timer; returns what stops it
 * @returns {{detach(): void}} detach: lets all buttons go, and listens no more
 */
export function attachPointer({ element, display, send, mode, scale, frame = requestAnimationFrame, later }) {
    // Not as a method: the browser's own function wants no other object.
    const mouse = createMouse({ element, display, send, scale, frame: (run) => frame(run) });
    const page = element.ownerDocument;
    const turned = clicksOf(CLICK_PIXELS);
    const touch = attachTouch({ element, mouse, mode, later });
    /** Whether the buttons that are down are for the guest; not those that went down elsewhere, or to lock. */
    let pressing = false;

    const locked = () => page.pointerLockElement === element;
    // Phones have no pointer lock, and the pointer moves as it is.
    const canLock = typeof element.requestPointerLock === "function";

    /** @param {PointerEvent} event */
    function moved(event) {
        if (mode() === "client") {
            if (locked()) {
                page.exitPointerLock();
            }
            mouse.moveTo(event.clientX, event.clientY);
        } else if (locked() || !canLock) {
            mouse.moveBy(event.movementX, event.movementY);
        }
    }

    /** @param {PointerEvent} event of any kind: a second button is no pointerdown */
    function onPointer(event) {
        if (touch.handle(event)) {
            return;
        }
        if (event.type === "pointerdown") {
            if (mode() === "server" && !locked() && canLock) {
                // The browser may refuse, as just after the person left the lock; another click asks again. Some return
                // no promise.
                const asked = /** @type {Promise<void> | undefined} */ (element.requestPointerLock());
                asked?.catch(() => {});
            } else {
                pressing = true;
                // A locked pointer is captured as it is, and must not be once more.
                if (!locked()) {
                    element.setPointerCapture(event.pointerId);
                }
            }
        }
        moved(event);
        mouse.setButtons(pressing ? maskOf(event.buttons) : 0);
        if (event.buttons === 0) {
            pressing = false;
        }
    }

    /** @param {PointerEvent} event */
    function onLost(event) {
        // With the pointer locked nothing is captured, and nothing is lost.
        if (!touch.handle(event) && (event.type === "pointercancel" || !locked())) {
            letGo();
        }
    }

    function letGo() {
        pressing = false;
        mouse.setButtons(0);
    }

    /** @param {WheelEvent} event */
    function onWheel(event) {
        event.preventDefault();
        // In this order: Firefox tells lines to those who have asked for the mode.
        const unit = PIXELS[event.deltaMode] ?? 1;
        // Wheels have notches. Chromium tells of them in pixels of the device: of fewer where those are small.
        const { wheelDeltaY = 0 } = /** @type {{wheelDeltaY?: number}} */ (event);
        const notches = (-wheelDeltaY * (page.defaultView?.devicePixelRatio ?? 1)) / NOTCH;
        const isNotched = notches !== 0 && Math.abs(notches - Math.round(notches)) < 0.01;
        const clicks = isNotched ? Math.round(notches) : turned(event.deltaY * unit);
        if (clicks !== 0) {
            mouse.wheel(clicks);
        }
    }

    function onLock() {
        if (!locked()) {
            pressing = false;
            mouse.stop();
        }
    }

    /** @param {Event} event */
    const refuse = (event) => event.preventDefault();

    /** @param {MouseEvent} event scrolling by the middle button, pages back and forth by those at the side */
    function onOther(event) {
        if (event.button !== 0) {
            event.preventDefault();
        }
    }

    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener("pointerdown", onPointer, { signal });
    element.addEventListener("pointermove", onPointer, { signal });
    element.addEventListener("pointerup", onPointer, { signal });
    element.addEventListener("pointercancel", onLost, { signal });
    element.addEventListener("lostpointercapture", onLost, { signal });
    element.addEventListener("mousedown", onOther, { signal });
    element.addEventListener("mouseup", onOther, { signal });
    element.addEventListener("auxclick", onOther, { signal });
    element.addEventListener("wheel", onWheel, { signal, passive: false });
    element.addEventListener("contextmenu", refuse, { signal });
    element.addEventListener("dragstart", refuse, { signal });
    page.addEventListener("pointerlockchange", onLock, { signal });
    page.defaultView?.addEventListener("blur", letGo, { signal });

    return {
        detach() {
            listening.abort();
            touch.detach();
            mouse.stop();
            if (locked()) {
                page.exitPointerLock();
            }
        },
    };
}

/** @param {number} buttons as in PointerEvent */
function maskOf(buttons) {
    return BUTTONS.reduce((mask, button, bit) => (buttons & (1 << bit) ? mask | button : mask), 0);
}
