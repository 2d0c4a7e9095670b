// Where screens are on the page, and how large the guest's are asked to be.

import assert from "node:assert/strict";
import { test } from "node:test";

import { monitorsFor, placeScreens } from "../page/ui/scale.js";

const RATIOS = [1, 1.25, 1.5, 1.75, 2, 3];
const HEAD = { display: 0, width: 1024, height: 768, x: 0, y: 0 };

/** @param {Partial<import("../page/ui/scale.js").Room>} [other] */
function room(other = {}) {
    return { x: 0, y: 46, width: 1280, height: 754, ratio: 1, ...other };
}

/** @param {number} length in CSS pixels @param {number} ratio */
function assertWhole(length, ratio) {
    const pixels = length * ratio;
    assert.ok(Math.abs(pixels - Math.round(pixels)) < 1e-6, `${length} CSS pixels are ${pixels} of the device`);
}

test("fitting fills one direction and is in the middle of the other", () => {
    const { scale, places } = placeScreens([HEAD], { mode: "fit", ...room() });
    assert.equal(scale, 754 / 768);
    const [{ left, top, width, height }] = places;
    assert.deepEqual([top, height], [0, 754]);
    assert.ok(Math.abs(left + width / 2 - 640) <= 1);
});

test("pixel for pixel is a pixel of the device for one of the guest, whatever there is room for", () => {
    for (const ratio of RATIOS) {
        const { scale, places, width } = placeScreens([HEAD], { mode: "exact", ...room({ ratio, width: 200 }) });
        assert.equal(scale * ratio, 1);
        assert.equal(width * ratio, 1024);
        assert.equal(places[0].left, 0);
    }
});

test("screens begin on whole pixels of the device, in a window that does not", () => {
    for (const ratio of RATIOS) {
        const space = room({ ratio, width: 1279.3, y: 46.4 });
        for (const mode of /** @type {const} */ (["fit", "exact", "resize"])) {
            const heads = [HEAD, { ...HEAD, display: 1, x: 1024 }];
            for (const { left, top } of placeScreens(heads, { mode, ...space }).places) {
                assertWhole(left + space.x, ratio);
                assertWhole(top + space.y, ratio);
            }
        }
    }
});

test("a guest that was resized has as many pixels as there are, at every ratio", () => {
    for (const ratio of RATIOS) {
        const space = room({ ratio });
        const [{ width, height }] = monitorsFor(1, 1, space);
        const lost = [space.width * ratio - width, space.height * ratio - height];
        assert.ok(lost.every((pixels) => pixels >= -0.01 && pixels < 2), `${lost} pixels are left at ${ratio}`);
        const { scale, places } = placeScreens([{ ...HEAD, width, height }], { mode: "resize", ...space });
        assert.equal(scale * ratio, 1);
        assert.ok(places[0].left >= 0 && places[0].top >= 0);
    }
});

test("a guest that does not follow is made smaller to fit, never larger", () => {
    assert.equal(placeScreens([HEAD], { mode: "resize", ...room({ width: 512 }) }).scale, 0.5);
    assert.equal(placeScreens([HEAD], { mode: "resize", ...room({ width: 5000, height: 5000 }) }).scale, 1);
});

test("screens are in a row by where the guest has them, and above each other if it has them so", () => {
    const row = [{ ...HEAD, display: 0, x: 1024 }, { ...HEAD, display: 1, x: 0 }];
    const { places } = placeScreens(row, { mode: "fit", ...room() });
    assert.deepEqual(places.map(({ display }) => display), [1, 0]);
    assert.equal(places[0].top, places[1].top);
    assert.ok(Math.abs(places[0].left + places[0].width - places[1].left) <= 1);

    const column = [HEAD, { ...HEAD, display: 1, y: 768 }];
    const above = placeScreens(column, { mode: "fit", ...room() }).places;
    assert.equal(above[0].left, above[1].left);
    assert.ok(Math.abs(above[0].top + above[0].height - above[1].top) <= 1);
});

test("monitors share the page, or each has all of it where one is shown at a time", () => {
    assert.deepEqual(monitorsFor(2, 2, room({ width: 1200, height: 800 })), [
        { x: 0, y: 0, width: 600, height: 800 },
        { x: 600, y: 0, width: 600, height: 800 },
    ]);
    assert.deepEqual(monitorsFor(2, 1, room({ width: 1200, height: 800 })), [
        { x: 0, y: 0, width: 1200, height: 800 },
        { x: 1200, y: 0, width: 1200, height: 800 },
    ]);
});

test("no window is so small or so large that a guest cannot have the mode", () => {
    const [small] = monitorsFor(1, 1, room({ width: 3, height: 0 }));
    assert.deepEqual([small.width, small.height], [320, 320]);
    const [large] = monitorsFor(1, 1, room({ width: 40000, height: 40000, ratio: 2 }));
    assert.deepEqual([large.width, large.height], [16384, 16384]);
});
