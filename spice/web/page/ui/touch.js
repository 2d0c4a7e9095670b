// Fingers on a display. One: a tap is a click, a long press the right button, and a drag drags, or moves the pointer in
// mouse mode "server". Two turn the wheel; when they move apart or together, the browser zooms the page.

import { LEFT, RIGHT, clicksOf } from "./mouse.js";
import { timer } from "./timer.js";

/** Milliseconds after which a press is a long one. */
const LONG_MS = 500;
/** CSS pixels that a finger may move on a tap. */
const SLOP = 10;
/** CSS pixels that two fingers move until it is clear what they do. */
const DECIDE = 6;
/** CSS pixels for one click of the wheel. */
const CLICK_PIXELS = 30;

/** @typedef {{x: number, y: number}} Point */

/**
 * @param {object} options
 * @param {HTMLElement} options.element
 * @param {import("./mouse.js").Mouse} options.mouse
 * @param {() => "client" | "server"} options.mode
 * @param {(run: () => void, milliseconds: number) => () => void} [options.later] a timer; returns what stops it
 * @returns {{handle(event: PointerEvent): boolean, detach(): void}} handle: takes an event, false if it is no finger's
 */
export function attachTouch({ element, mouse, mode, later = timer }) {
    /** @type {Map<number, Point>} fingers, by the ids of pointers */
    const fingers = new Map();
    /** What the fingers do; "over": nothing more until all are up. */
    let state = /** @type {"none" | "pressed" | "dragging" | "two" | "wheel" | "pinch" | "over"} */ ("none");
    /** @type {Point} where the finger, or the middle between two, was first */
    let first = { x: 0, y: 0 };
    /** @type {Point} and where it was last */
    let last = first;
    let apart = 0;
    let turned = clicksOf(CLICK_PIXELS);
    let stopTimer = () => {};

    /** @param {Point} place */
    function go({ x, y }) {
        if (mode() === "client") {
            mouse.moveTo(x, y);
        }
    }

    /** @param {number} button */
    function click(button) {
        go(first);
        mouse.setButtons(button);
        mouse.setButtons(0);
    }

    /** @param {Point} place */
    function pressed(place) {
        state = "pressed";
        first = last = place;
        stopTimer = later(() => {
            if (state === "pressed") {
                state = "over";
                click(RIGHT);
            }
        }, LONG_MS);
    }

    function second() {
        stopTimer();
        state = "two";
        first = last = middle();
        apart = distance();
        turned = clicksOf(CLICK_PIXELS);
    }

    function middle() {
        const [a, b] = [...fingers.values()];
        return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
    }

    function distance() {
        const [a, b] = [...fingers.values()];
        return Math.hypot(a.x - b.x, a.y - b.y);
    }

    /** @param {Point} place */
    function oneMoved(place) {
        if (state === "pressed" && Math.hypot(place.x - first.x, place.y - first.y) > SLOP) {
            stopTimer();
            state = "dragging";
            if (mode() === "client") {
                go(first);
                mouse.setButtons(LEFT);
            }
        }
        if (state === "dragging") {
            if (mode() === "client") {
                go(place);
            } else {
                mouse.moveBy(place.x - last.x, place.y - last.y);
            }
        }
        last = place;
    }

    function twoMoved() {
        const now = middle();
        if (state === "two") {
            const spread = Math.abs(distance() - apart);
            const way = Math.hypot(now.x - first.x, now.y - first.y);
            if (Math.max(spread, way) < DECIDE) {
                return;
            }
            state = spread > way ? "pinch" : "wheel";
            if (state === "wheel") {
                go(first);
            }
        }
        if (state === "wheel") {
            // What is under the fingers goes with them.
            const clicks = turned(last.y - now.y);
            last = now;
            if (clicks !== 0) {
                mouse.wheel(clicks);
            }
        }
    }

    /** @param {PointerEvent} event */
    function down({ pointerId, clientX, clientY }) {
        const place = { x: clientX, y: clientY };
        fingers.set(pointerId, place);
        if (state === "none") {
            pressed(place);
        } else if (state === "pressed" && fingers.size === 2) {
            second();
        } else if (state !== "dragging") {
            stopTimer();
            state = "over";
        }
    }

    /** @param {PointerEvent} event */
    function move({ pointerId, clientX, clientY }) {
        if (!fingers.has(pointerId)) {
            return;
        }
        const place = { x: clientX, y: clientY };
        fingers.set(pointerId, place);
        if (state === "two" || state === "wheel") {
            twoMoved();
        } else if (pointerId === fingers.keys().next().value) {
            oneMoved(place);
        }
    }

    /**
     * @param {PointerEvent} event
     * @param {boolean} lost whether the browser has taken the finger
     */
    function up({ pointerId }, lost) {
        if (!fingers.has(pointerId)) {
            return;
        }
        const leading = pointerId === fingers.keys().next().value;
        fingers.delete(pointerId);
        stopTimer();
        if (state === "pressed" && !lost) {
            click(LEFT);
        }
        // A finger beside the one that drags does not end it.
        if (state !== "dragging" || leading) {
            mouse.setButtons(0);
            state = "over";
        }
        if (fingers.size === 0) {
            state = "none";
        }
    }

    /**
     * What the fingers do is ours, except for zooming.
     * @param {TouchEvent} event
     */
    function onTouchMove(event) {
        if (state !== "pinch" && state !== "over" && event.cancelable) {
            event.preventDefault();
        }
    }

    const listening = new AbortController();
    element.addEventListener("touchmove", onTouchMove, { signal: listening.signal, passive: false });
    element.style.touchAction = "pinch-zoom";

    return {
        handle(event) {
            if (event.pointerType !== "touch") {
                return false;
            }
            if (event.type === "pointerdown") {
                down(event);
            } else if (event.type === "pointermove") {
                move(event);
            } else {
                up(event, event.type !== "pointerup");
            }
            return true;
        },
        detach() {
            listening.abort();
            stopTimer();
            fingers.clear();
            state = "none";
            element.style.touchAction = "";
        },
    };
}
