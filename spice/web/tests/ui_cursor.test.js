import assert from "node:assert/strict";
import test from "node:test";

import { applyCursor } from "../page/ui/cursor.js";
import { Page, event } from "./ui_doubles.js";

/**
 * @param {number} width
 * @param {number} [height]
 */
function shape(width, height = width) {
    return { width, height, hotX: 4, hotY: 6, pixels: new Uint8ClampedArray(width * height * 4).fill(7) };
}

function start() {
    const page = new Page();
    const element = page.element();
    element.rect = { left: 100, top: 50, right: 500, bottom: 450 };
    [element.offsetLeft, element.offsetTop] = [20, 10];
    const overlay = () => /** @type {any} */ (page.body.children.find((child) => child !== element));
    return { page, element, overlay };
}

const AT = { visible: true, x: 30, y: 40 };

test("the browser draws the pointer, with its hot spot", () => {
    const { element, overlay } = start();
    applyCursor(element, { ...AT, shape: shape(32) }, 1);
    assert.equal(element.style.cursor, 'url("data:image/png,32x32") 4 6, default');
    assert.equal(overlay(), undefined);
});

test("on a screen with more pixels it has as many", () => {
    const { element } = start();
    applyCursor(element, { ...AT, shape: shape(32) }, 2);
    assert.equal(element.style.cursor, 'image-set(url("data:image/png,32x32") 2x) 2 3, default');
    applyCursor(element, AT, 1);
    assert.equal(element.style.cursor, 'url("data:image/png,32x32") 4 6, default');
});

test("a pointer that is hidden, or has no shape, is none, and comes back with the shape it had", () => {
    const { element } = start();
    applyCursor(element, AT, 1);
    assert.equal(element.style.cursor, "none");
    applyCursor(element, { ...AT, shape: shape(16) }, 1);
    applyCursor(element, { ...AT, visible: false }, 1);
    assert.equal(element.style.cursor, "none");
    applyCursor(element, AT, 1);
    assert.match(element.style.cursor, /16x16/);
});

test("one too large for the browser is a canvas that goes with the browser's pointer", () => {
    const { element, overlay } = start();
    applyCursor(element, { ...AT, shape: shape(129) }, 1);
    assert.equal(element.style.cursor, "none");
    assert.deepEqual([overlay().width, overlay().pixels[0], overlay().style.pointerEvents], [129, 7, "none"]);
    element.dispatchEvent(event("pointermove", { clientX: 150, clientY: 80 }));
    assert.equal(overlay().style.transform, "translate(66px, 34px)");
    applyCursor(element, AT, 2);
    assert.match(element.style.cursor, /129x129/);
    assert.equal(overlay(), undefined);
    element.dispatchEvent(event("pointermove", { clientX: 150, clientY: 80 }));
});

test("in mode server the guest says where it is", () => {
    const { page, element, overlay } = start();
    applyCursor(element, { ...AT, shape: shape(32) }, 2, "server");
    assert.equal(element.style.cursor, "none");
    // 20 + 30/2 - 4/2, 10 + 40/2 - 6/2
    assert.equal(overlay().style.transform, "translate(33px, 27px)");
    assert.equal(overlay().style.width, "16px");
    const first = overlay();
    element.dispatchEvent(event("pointermove", { clientX: 150, clientY: 80 }));
    applyCursor(element, { ...AT, x: 32 }, 2, "server");
    assert.equal(overlay(), first);
    assert.equal(first.style.transform, "translate(34px, 27px)");
    applyCursor(element, { ...AT, shape: shape(8) }, 2, "server");
    assert.equal(page.body.children.length, 2);
    assert.equal(overlay().width, 8);
    applyCursor(element, AT, 2, "client");
    assert.equal(overlay(), undefined);
    assert.match(element.style.cursor, /8x8/);
});

test("without a mode, it is server while the pointer is locked", () => {
    const { page, element, overlay } = start();
    page.lock(element);
    applyCursor(element, { ...AT, shape: shape(32) }, 1);
    assert.ok(overlay() !== undefined);
    page.lock(null);
    applyCursor(element, AT, 1);
    assert.equal(overlay(), undefined);
});

test("a ratio that is none counts as one", () => {
    const { element } = start();
    for (const ratio of [0, NaN, Infinity]) {
        applyCursor(element, { ...AT, shape: shape(32) }, ratio);
        assert.equal(element.style.cursor, 'url("data:image/png,32x32") 4 6, default');
    }
});
