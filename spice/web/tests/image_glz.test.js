import assert from "node:assert/strict";
import test from "node:test";
import { inflateSync } from "node:zlib";

import { ImageCaches } from "../page/image/caches.js";
import { IMAGE } from "../page/image/images.js";
import { inflate } from "../page/image/inflate.js";
import { Malformed } from "../page/protocol/reader.js";
import { OFFSET, Timers, decoderOf, hexOf, pictureOf, sizedImage, zlibImage } from "./image_messages.js";
import { assertShows, bgra, damage, file, isWhole, sha256, vectorsOf } from "./image_vectors.js";

const SEQUENCES = vectorsOf("glz-seq");

/**
 * The images of a sequence, in order.
 * @param {import("./image_vectors.js").Vector} vector
 */
function recordsOf(vector) {
    const bytes = file(vector.encoded);
    const view = new DataView(bytes.buffer);
    const records = [];
    for (let at = 0; at < bytes.length; ) {
        const isZlib = bytes[at] === 1;
        const length = view.getUint32(at + 1, true);
        const payload = bytes.slice(at + 9, at + 9 + length);
        const size = view.getUint32(at + 5, true);
        const stream = isZlib ? new Uint8Array(inflateSync(payload)) : payload;
        assert.equal(stream.length, size);
        records.push({ isZlib, payload, stream, size });
        at += 9 + length;
    }
    assert.equal(records.length, vector.images, vector.name);
    return records;
}

/** Caches without clocks. */
const newCaches = (pixels = 64 << 20) => new ImageCaches({ pixels, later: new Timers().later });

test("GLZ sequences of the reference decode to their pixels, image by image", () => {
    assert.equal(SEQUENCES.length, 8);
    for (const vector of SEQUENCES) {
        // No more is kept than the window that was announced.
        const decoder = decoderOf({ caches: newCaches(vector.window_pixels) });
        const { list } = vector;
        const described = new Map(list.map((/** @type {{index: number}} */ entry) => [entry.index, entry]));
        recordsOf(vector).forEach(({ isZlib, payload, stream, size }, index) => {
            const view = new DataView(stream.buffer, stream.byteOffset);
            const [width, height] = [view.getUint32(9), view.getUint32(13)];
            const message = isZlib
                ? zlibImage({ width, height }, payload, size)
                : sizedImage({ type: IMAGE.GLZ_RGB, width, height }, payload);
            const picture = pictureOf(decoder, message);
            const entry = described.get(index);
            if (entry !== undefined) {
                assertShows({ ...entry, name: `${vector.name} ${index}` }, picture);
            }
        });
    }
});

test("all images of a GLZ sequence together are those of the reference", () => {
    for (const vector of SEQUENCES) {
        const caches = newCaches(vector.window_pixels);
        const all = recordsOf(vector).map(({ stream }) => {
            // In stream order: as if the first row were the top one.
            const straight = stream.slice();
            straight[8] |= 0x10;
            const picture = caches.decodeGlz(straight);
            assert.ok(!(picture instanceof Promise));
            return bgra(picture);
        });
        assert.equal(sha256(new Uint8Array(Buffer.concat(all))), vector.all_pixels_sha256, vector.name);
    }
});

test("parts of GLZ streams and damaged ones are malformed, wait, or are whole pictures", () => {
    for (const vector of SEQUENCES) {
        const caches = newCaches();
        for (const { isZlib, payload, stream, size } of recordsOf(vector).slice(0, 12)) {
            // The window is put back as it was after what decodes.
            const { window } = caches;
            const decode = (/** @type {Uint8Array} */ part) => {
                const before = { ...window, images: new Map(window.images) };
                const used = caches.budget.used;
                try {
                    return window.decode(part);
                } catch (error) {
                    throw error instanceof Error && error.name === "NotYet" ? new Malformed("waits") : error;
                } finally {
                    Object.assign(window, before);
                    caches.budget.used = used;
                }
            };
            damage(vector.name, stream, decode, { isRight: isWhole });
            if (isZlib) {
                const isRight = (/** @type {Uint8Array} */ out) => out.every((byte, at) => byte === stream[at]);
                damage(`${vector.name} zlib`, payload, (part) => inflate(part, size), { isRight });
            }
            window.decode(stream);
        }
    }
});

/**
 * A GLZ stream of one row of 32 bits a pixel.
 * @param {{id: number, back?: number, width?: number, type?: number, high?: number}} header
 * @param {number[]} body
 */
function glz({ id, back = 0, width = 4, type = 8, high = 0 }, body) {
    const bytes = new Uint8Array(33 + body.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x20205a4c);
    view.setUint32(4, 0x00010001);
    bytes[8] = type | 0x10;
    [width, 1, width * 4, high, id, back].forEach((word, at) => view.setUint32(9 + 4 * at, word));
    bytes.set(body, 33);
    return bytes;
}

/** Four pixels of this colour. */
const plain = (/** @type {number} */ value) => [0, value, value, value, 0x60, 0, 0];
/** Four pixels from the begin of an image `back` images before. */
const from = (/** @type {number} */ back) => [0x80, 0, back];

test("a GLZ image waits for the one it refers to, which another display brings", async () => {
    const caches = newCaches();
    const [first, second] = [decoderOf({ caches }), decoderOf({ caches })];
    const image = (/** @type {Uint8Array} */ stream) =>
        sizedImage({ type: IMAGE.GLZ_RGB, width: 4, height: 1 }, stream);
    assert.deepEqual(hexOf(pictureOf(first, image(glz({ id: 0 }, plain(1))))), new Array(4).fill("ff010101"));
    const waits = second.decode(image(glz({ id: 3, back: 3 }, from(1))), OFFSET);
    assert.ok(waits instanceof Promise);
    const order = [];
    const done = waits.then((picture) => {
        order.push("3");
        assert.ok(!("surface" in picture));
        return hexOf(picture);
    });
    pictureOf(first, image(glz({ id: 1, back: 1 }, from(1))));
    order.push("1");
    // It waits in turn, for one that does not come after it.
    const next = first.decode(image(glz({ id: 2, back: 2 }, plain(9))), OFFSET);
    order.push("2");
    assert.ok(!(next instanceof Promise));
    assert.deepEqual(await done, new Array(4).fill("ff090909"));
    assert.deepEqual(order, ["1", "2", "3"]);
    assert.equal(caches.waiting.size, 0);
});

test("a GLZ image does not wait for ever", async () => {
    const timers = new Timers();
    const caches = new ImageCaches({ later: timers.later });
    const late = caches.decodeGlz(glz({ id: 5, back: 1 }, from(1)));
    assert.ok(late instanceof Promise);
    timers.runAll();
    await assert.rejects(late, new Malformed("GLZ image 4 has not come within 30000 ms"));
    const cut = caches.decodeGlz(glz({ id: 5, back: 1 }, from(1)));
    assert.ok(cut instanceof Promise);
    caches.restartGlz();
    await assert.rejects(cut, /^Malformed: GLZ image 4 will not come, since the connection is another one$/);
    assert.equal(timers.pending.size, 0);
});

test("a window frees what is out of reach, and gives its pixels back", () => {
    const caches = newCaches(12);
    for (let id = 0; id < 100; id++) {
        caches.decodeGlz(glz({ id, back: Math.min(id, 2) }, id === 0 ? plain(7) : from(1)));
        assert.equal(caches.window.images.size, Math.min(id + 1, 3));
    }
    assert.equal(caches.pixels, 12);
    assert.throws(() => caches.decodeGlz(glz({ id: 100, back: 3 }, plain(1))), /^Malformed: GLZ window takes 4 pixels/);
    caches.restartGlz();
    assert.equal(caches.pixels, 0);
    caches.decodeGlz(glz({ id: 0 }, plain(1)));
});

test("what is wrong with a GLZ stream is said", () => {
    const caches = newCaches();
    const wrong = (/** @type {Uint8Array} */ stream) => {
        try {
            caches.decodeGlz(stream);
        } catch (error) {
            return String(error);
        }
        return "nothing";
    };
    assert.equal(wrong(glz({ id: 0 }, plain(1))), "nothing");
    assert.equal(wrong(glz({ id: 0 }, plain(1))), "Malformed: GLZ image 0 comes a second time");
    assert.equal(wrong(glz({ id: 1, back: 2 }, plain(1))), "Malformed: GLZ image 1 may refer 2 images back");
    assert.equal(
        wrong(glz({ id: 1, back: 1 }, [0x80, 1, 1])),
        "Malformed: GLZ match of 4 units from unit 16 of image 0, which has 4",
    );
    assert.equal(
        wrong(glz({ id: 1, back: 1, type: 9 }, [...plain(1), 0x40, 0, 1])),
        "Malformed: GLZ match takes alpha from image 0, which has none",
    );
    assert.equal(wrong(glz({ id: 1 }, from(1))), "Malformed: GLZ image 1 refers 1 images back, it may refer 0 back");
    assert.equal(wrong(glz({ id: 1 }, [0x20, 0, 0])), "Malformed: GLZ match at unit 0 reaches back 1 units");
    assert.equal(wrong(glz({ id: 1, type: 5 }, [])), "Malformed: GLZ type and row order are 21; types are 6 to 9");
    assert.equal(wrong(glz({ id: 1, high: 1 << 22 }, plain(1))), "Malformed: GLZ image has number 18014398509481984");
    assert.equal(
        wrong(glz({ id: 1, width: 1 << 20 }, [0])),
        "Malformed: GLZ data of 34 bytes is too short for 1048576x1 pixels",
    );
    assert.equal(wrong(glz({ id: 1 }, plain(1))), "nothing");
    assert.equal(wrong(glz({ id: 2, back: 1 }, plain(1))), "nothing");
    assert.equal(
        wrong(glz({ id: 3, back: 3 }, from(3))),
        "Malformed: GLZ image 0, which is referred to, has left the window",
    );
});

test("numbers with gaps, as a hostile server gives them, are freed all the same", () => {
    const caches = newCaches();
    for (let id = 10; id < 100; id += 10) {
        caches.decodeGlz(glz({ id }, plain(id)));
    }
    caches.decodeGlz(glz({ id: 2 ** 31 }, plain(1)));
    assert.ok(caches.window.images.size <= 10);
    caches.decodeGlz(glz({ id: 0 }, plain(1)));
    caches.decodeGlz(glz({ id: 1 }, plain(1)));
    assert.ok(caches.window.images.has(1));
});
