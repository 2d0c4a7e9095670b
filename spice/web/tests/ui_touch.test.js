import assert from "node:assert/strict";
import test from "node:test";

import { attachTouch } from "../page/ui/touch.js";
import { Page, event } from "./ui_doubles.js";

/** @param {"client" | "server"} [mode] */
function start(mode = "client") {
    const page = new Page();
    const element = page.element();
    /** @type {any[]} */
    const done = [];
    const record =
        (/** @type {string} */ name) =>
        (/** @type {number[]} */ ...values) =>
            void done.push([name, ...values]);
    let buttons = 0;
    const touch = attachTouch({
        element,
        mouse: {
            moveTo: record("to"),
            moveBy: record("by"),
            wheel: record("wheel"),
            stop: record("stop"),
            setButtons(mask) {
                if (mask !== buttons) {
                    buttons = mask;
                    done.push(["buttons", mask]);
                }
            },
        },
        mode: () => mode,
        later: page.later,
    });
    /**
     * @param {string} type without "pointer"
     * @param {number} pointerId
     * @param {number} [clientX]
     * @param {number} [clientY]
     */
    function finger(type, pointerId, clientX = 0, clientY = 0) {
        assert.ok(touch.handle(event(`pointer${type}`, { pointerType: "touch", pointerId, clientX, clientY })));
    }
    return { page, element, touch, finger, done: () => done.splice(0) };
}

/** @param {any} element */
function browserMayZoom(element) {
    const made = event("touchmove");
    element.dispatchEvent(made);
    return !made.defaultPrevented;
}

test("mice and pens are not for fingers", () => {
    const { touch } = start();
    assert.ok(!touch.handle(event("pointerdown", { pointerType: "mouse", pointerId: 1 })));
});

test("a tap clicks where it is, a small move does not matter", () => {
    const { page, finger, done } = start();
    finger("down", 1, 50, 60);
    finger("move", 1, 54, 60);
    finger("up", 1, 54, 60);
    page.wait();
    assert.deepEqual(done(), [
        ["to", 50, 60],
        ["buttons", 1],
        ["buttons", 0],
    ]);
});

test("a long press is the right button, and then nothing more", () => {
    const { page, finger, done } = start();
    finger("down", 1, 50, 60);
    page.wait();
    assert.deepEqual(done(), [
        ["to", 50, 60],
        ["buttons", 4],
        ["buttons", 0],
    ]);
    finger("move", 1, 90, 90);
    finger("up", 1, 90, 90);
    assert.deepEqual(done(), []);
    finger("down", 1, 1, 1);
    finger("up", 1, 1, 1);
    assert.equal(done().length, 3);
});

test("a finger drags in mode client", () => {
    const { page, finger, done } = start();
    finger("down", 1, 50, 60);
    finger("move", 1, 70, 60);
    page.wait();
    finger("move", 1, 80, 65);
    finger("up", 1, 80, 65);
    assert.deepEqual(done(), [
        ["to", 50, 60],
        ["buttons", 1],
        ["to", 70, 60],
        ["to", 80, 65],
        ["buttons", 0],
    ]);
});

test("a finger moves the pointer in mode server, and taps where that is", () => {
    const { finger, done } = start("server");
    finger("down", 1, 50, 60);
    finger("move", 1, 56, 60);
    finger("move", 1, 70, 60);
    finger("move", 1, 71, 62);
    finger("up", 1, 71, 62);
    assert.deepEqual(done(), [
        ["by", 14, 0],
        ["by", 1, 2],
    ]);
    finger("down", 1);
    finger("up", 1);
    assert.deepEqual(done(), [
        ["buttons", 1],
        ["buttons", 0],
    ]);
});

test("two fingers turn the wheel, and what is under them goes with them", () => {
    const { page, element, finger, done } = start();
    finger("down", 1, 100, 100);
    finger("down", 2, 200, 100);
    page.wait();
    for (const y of [110, 120, 130, 140]) {
        finger("move", 1, 100, y);
        finger("move", 2, 200, y);
        assert.ok(!browserMayZoom(element));
    }
    assert.deepEqual(done(), [
        ["to", 150, 100],
        ["wheel", -1],
    ]);
    for (const y of [100, 70]) {
        finger("move", 1, 100, y);
        finger("move", 2, 200, y);
    }
    assert.equal(done().filter(([name, clicks]) => name === "wheel" && clicks === 1).length, 2);
    finger("up", 1);
    finger("move", 2, 0, 0);
    finger("up", 2);
    assert.deepEqual(done(), [], "the last finger neither clicks nor drags");
});

test("fingers that move apart are the browser's", () => {
    const { element, finger, done } = start();
    assert.equal(element.style.touchAction, "pinch-zoom");
    finger("down", 1, 100, 100);
    finger("down", 2, 200, 100);
    finger("move", 1, 80, 100);
    finger("move", 2, 220, 100);
    assert.ok(browserMayZoom(element));
    finger("cancel", 1);
    finger("cancel", 2);
    assert.deepEqual(done(), []);
});

test("a finger that the browser takes lets the button go, and does not click", () => {
    const { finger, done } = start();
    finger("down", 1);
    finger("cancel", 1);
    assert.deepEqual(done(), []);
    finger("down", 1);
    finger("move", 1, 50, 0);
    done();
    finger("cancel", 1);
    assert.deepEqual(done(), [["buttons", 0]]);
});

test("another finger does not disturb one that drags, and three do nothing", () => {
    const { finger, done } = start();
    finger("down", 1);
    finger("move", 1, 50, 0);
    done();
    finger("down", 2, 300, 300);
    finger("move", 2, 310, 300);
    finger("up", 2);
    finger("move", 1, 60, 0);
    finger("up", 1);
    assert.deepEqual(done(), [
        ["to", 60, 0],
        ["buttons", 0],
    ]);
    for (const id of [1, 2, 3]) {
        finger("down", id, id * 100, 0);
    }
    for (const id of [1, 2, 3]) {
        finger("move", id, id * 100, 90);
        finger("up", id);
    }
    assert.deepEqual(done(), []);
});

test("detached, a press does not become a long one", () => {
    const { page, element, touch, finger, done } = start();
    finger("down", 1);
    touch.detach();
    page.wait();
    assert.deepEqual(done(), []);
    assert.equal(element.style.touchAction, "");
});
