import assert from "node:assert/strict";
import test from "node:test";

import { clicksOf } from "../page/ui/mouse.js";
import { attachPointer } from "../page/ui/pointer.js";
import { Page, event } from "./ui_doubles.js";

/**
 * A display of 200x100 pixels, each two CSS pixels wide and high, whose first one is at 10, 20.
 * @param {"client" | "server"} [first] mouse mode
 * @param {{lock?: boolean}} [options] whether the browser can lock the pointer
 */
function start(first = "client", { lock = true } = {}) {
    const page = new Page();
    const element = page.element();
    element.rect = { left: 10, top: 20, right: 410, bottom: 220 };
    let asked = 0;
    if (lock) {
        element.requestPointerLock = () => {
            asked++;
            return Promise.reject(new Error("not now"));
        };
    }
    /** @type {any[]} */
    const sent = [];
    let mode = first;
    const scale = { x: 10, y: 20, scaleX: 2, scaleY: 2 };
    const pointer = attachPointer({
        element,
        display: 1,
        send: (message) => sent.push(message),
        mode: () => mode,
        scale: () => scale,
        frame: page.frame,
        later: page.later,
    });
    return {
        page,
        element,
        scale,
        pointer,
        asked: () => asked,
        /** @param {"client" | "server"} next */
        setMode: (next) => (mode = next),
        /**
         * @param {string} type without "pointer"
         * @param {Record<string, any>} [fields]
         */
        say(type, fields = {}) {
            const name = type === "lostcapture" ? "lostpointercapture" : `pointer${type}`;
            const all = {
                pointerType: "mouse",
                pointerId: 1,
                buttons: 0,
                clientX: 10,
                clientY: 20,
                movementX: 0,
                movementY: 0,
            };
            element.dispatchEvent(event(name, { ...all, ...fields }));
        },
        /** @param {Record<string, any>} fields */
        wheel(fields) {
            const made = event("wheel", { deltaMode: 0, deltaY: 0, deltaX: 0, ...fields });
            element.dispatchEvent(made);
            return made;
        },
        /** What was sent since last asked, in short: [x, y, buttons], [number, down, buttons]. */
        sent: () =>
            sent.splice(0).map((message) => {
                const { type, x, y, dx, dy, button, down, buttons, display } = message;
                if (type === "button") {
                    return [button, down, buttons];
                }
                assert.equal(display, type === "position" ? 1 : undefined);
                return type === "position" ? ["at", x, y, buttons] : ["by", dx, dy, buttons];
            }),
    };
}

test("places are in pixels of the guest, and the nearest ones where there are none", () => {
    const { page, say, sent } = start();
    for (const [clientX, clientY, x, y] of [
        [10, 20, 0, 0],
        [11.9, 21.9, 0, 0],
        [12, 22, 1, 1],
        [409, 219, 199, 99],
        [410, 220, 199, 99],
        [5000, 5000, 199, 99],
        [0, -3, 0, 0],
    ]) {
        say("move", { clientX, clientY });
        page.draw();
        assert.deepEqual(sent(), [["at", x, y, 0]], `${clientX}, ${clientY}`);
    }
});

test("a size that is given counts more than that of the element", () => {
    const { page, scale, say, sent } = start();
    Object.assign(scale, { width: 50, height: 40 });
    say("move", { clientX: 409, clientY: 219 });
    page.draw();
    assert.deepEqual(sent(), [["at", 49, 39, 0]]);
});

test("a display that is not shown has no places", () => {
    const { page, element, scale, say, sent } = start();
    element.rect = { left: 0, top: 0, right: 0, bottom: 0 };
    Object.assign(scale, { x: 0, y: 0, scaleX: 0, scaleY: 0 });
    say("move", { clientX: 3, clientY: 3 });
    page.draw();
    assert.deepEqual(sent(), []);
});

test("of what moves in one frame the last place is sent", () => {
    const { page, say, sent } = start();
    say("move", { clientX: 20 });
    say("move", { clientX: 30 });
    assert.deepEqual(sent(), []);
    assert.equal(page.frames.length, 1);
    page.draw();
    page.draw();
    assert.deepEqual(sent(), [["at", 10, 0, 0]]);
});

test("buttons have their numbers and masks, and go where the pointer is", () => {
    const { page, element, say, sent } = start();
    say("down", { clientX: 30, clientY: 40, buttons: 1 });
    assert.deepEqual(sent(), [
        ["at", 10, 10, 0],
        [1, true, 1],
    ]);
    assert.deepEqual(element.captured, [1]);
    // A second button is a move for browsers.
    say("move", { clientX: 30, clientY: 40, buttons: 3 });
    say("move", { clientX: 30, clientY: 40, buttons: 2 });
    say("up", { clientX: 30, clientY: 40 });
    page.draw();
    assert.deepEqual(
        sent().filter(([first]) => first !== "at"),
        [
            [3, true, 5],
            [1, false, 4],
            [3, false, 0],
        ],
    );
    for (const [bit, number, mask] of [
        [4, 2, 2],
        [8, 6, 32],
        [16, 7, 64],
    ]) {
        say("down", { buttons: bit });
        say("up");
        assert.deepEqual(
            sent().filter(([first]) => first !== "at"),
            [
                [number, true, mask],
                [number, false, 0],
            ],
        );
    }
});

test("buttons that went down elsewhere are not for the guest", () => {
    const { say, sent } = start();
    say("move", { buttons: 1 });
    say("up");
    assert.deepEqual(sent(), []);
});

for (const type of ["cancel", "lostcapture"]) {
    test(`all buttons are let go after pointer ${type}`, () => {
        const { page, say, sent } = start();
        say("down", { buttons: 3 });
        sent();
        say(type);
        assert.deepEqual(sent(), [
            [1, false, 4],
            [3, false, 0],
        ]);
        say("move", { buttons: 3 });
        page.draw();
        assert.deepEqual(sent(), [["at", 0, 0, 0]]);
    });
}

test("all buttons are let go when the window loses the focus, and when it is detached", () => {
    const { page, pointer, say, sent } = start();
    say("down", { buttons: 1 });
    sent();
    page.defaultView.dispatchEvent(event("blur"));
    assert.deepEqual(sent(), [[1, false, 0]]);
    say("down", { buttons: 1 });
    sent();
    pointer.detach();
    assert.deepEqual(sent(), [[1, false, 0]]);
    say("down", { buttons: 1 });
    assert.deepEqual(sent(), []);
});

test("clicks of the wheel are buttons 4 and 5, down and up", () => {
    const { say, wheel, sent } = start();
    assert.ok(wheel({ deltaY: -100 }).defaultPrevented);
    assert.deepEqual(sent(), [
        [4, true, 8],
        [4, false, 0],
    ]);
    say("down", { buttons: 1 });
    sent();
    wheel({ deltaY: 3, deltaMode: 1 });
    assert.deepEqual(sent(), [
        [5, true, 17],
        [5, false, 1],
    ]);
    wheel({ deltaY: 2, deltaMode: 2 });
    assert.equal(sent().length, 4);
    wheel({ deltaX: 500 });
    assert.deepEqual(sent(), []);
    wheel({ deltaY: 1e9 });
    assert.ok(sent().length <= 40, "one event does not turn it without end");
});

test("a notch of a wheel is a click, however many pixels it has", () => {
    for (const devicePixelRatio of [1, 1.25, 1.5, 2]) {
        const { page, wheel, sent } = start();
        Object.assign(page.defaultView, { devicePixelRatio });
        wheel({ deltaY: 100 / devicePixelRatio, wheelDeltaY: -120 / devicePixelRatio });
        wheel({ deltaY: -200 / devicePixelRatio, wheelDeltaY: 240 / devicePixelRatio });
        const pressed = sent().filter(([, down]) => down === true);
        assert.deepEqual(pressed.map(([button]) => button), [5, 4, 4], `at ${devicePixelRatio}`);
    }
});

test("small turns of the wheel add up, and turning back begins anew", () => {
    const { wheel, sent } = start();
    const turn = (/** @type {number} */ deltaY) => {
        wheel({ deltaY });
        return sent().length;
    };
    assert.deepEqual([40, 40, 40, 40, 40].map(turn), [0, 0, 2, 0, 2]);
    assert.deepEqual([90, -90, -10].map(turn), [0, 0, 2]);
    const clicks = clicksOf(30);
    assert.deepEqual([29, 1, -75, -15].map(clicks), [0, 1, -2, -1]);
});

test("menus, scrolling by the middle button and pages back and forth are not the browser's", () => {
    const { element } = start();
    const refused = (/** @type {string} */ type, /** @type {number} */ button) => {
        const made = event(type, { button });
        element.dispatchEvent(made);
        return made.defaultPrevented;
    };
    assert.ok(refused("contextmenu", 2));
    assert.ok(refused("mousedown", 1));
    assert.ok(refused("mouseup", 3));
    assert.ok(refused("auxclick", 4));
    assert.ok(!refused("mousedown", 0), "the left button gives the focus");
});

test("in mode server a click locks the pointer, and is not for the guest", () => {
    const { page, element, asked, say, sent } = start("server");
    say("move", { movementX: 5 });
    say("down", { buttons: 1 });
    assert.equal(asked(), 1);
    page.lock(element);
    say("move", { buttons: 1 });
    say("up");
    page.draw();
    assert.deepEqual(sent(), []);
    say("down", { buttons: 1 });
    say("up");
    assert.equal(asked(), 1);
    assert.deepEqual(sent(), [
        [1, true, 1],
        [1, false, 0],
    ]);
    assert.deepEqual(element.captured, [], "a locked pointer cannot be captured");
});

test("in mode server motions are added up for a frame, parts of pixels too", () => {
    const { page, element, say, sent } = start("server");
    page.lock(element);
    say("move", { movementX: 3, movementY: -1 });
    say("move", { movementX: 2, movementY: -1 });
    page.draw();
    assert.deepEqual(sent(), [["by", 2, -1, 0]]);
    say("move", { movementX: 1 });
    page.draw();
    assert.deepEqual(sent(), [["by", 1, 0, 0]]);
    say("move", { movementX: 1, movementY: 1 });
    page.draw();
    assert.deepEqual(sent(), []);
    say("move", { movementX: 3 });
    say("down", { buttons: 1, movementX: 0 });
    assert.deepEqual(sent(), [
        ["by", 2, 0, 0],
        [1, true, 1],
    ]);
});

test("leaving the lock lets all buttons go", () => {
    const { page, element, say, sent } = start("server");
    page.lock(element);
    say("down", { buttons: 2 });
    say("lostcapture");
    say("move", { movementX: 9, buttons: 2 });
    sent();
    page.lock(null);
    assert.deepEqual(sent(), [
        ["by", 4, 0, 4],
        [3, false, 0],
    ]);
});

test("where nothing can be locked the pointer moves as it is", () => {
    const { page, say, sent } = start("server", { lock: false });
    say("move", { movementX: 4 });
    page.draw();
    assert.deepEqual(sent(), [["by", 2, 0, 0]]);
    say("down", { buttons: 1 });
    assert.deepEqual(sent(), [[1, true, 1]]);
});

test("in mode client the pointer does not stay locked", () => {
    const { page, element, setMode, say, sent } = start("server");
    page.lock(element);
    setMode("client");
    say("move", { clientX: 30 });
    assert.equal(page.pointerLockElement, null);
    say("move", { clientX: 50 });
    page.draw();
    assert.deepEqual(sent(), [["at", 20, 0, 0]]);
});
