import assert from "node:assert/strict";
import test from "node:test";

import { ImageCaches, PaletteCache } from "../page/image/caches.js";
import { IMAGE, IMAGE_FLAG, ImageDecoder } from "../page/image/images.js";
import { Malformed } from "../page/protocol/reader.js";
import {
    OFFSET,
    Timers,
    bitmapImage,
    cachedImage,
    decoderOf,
    hexOf,
    jpegAlphaImage,
    pictureOf,
    sizedImage,
    surfaceImage,
} from "./image_messages.js";
import { bgra, damage, file, vectorsOf } from "./image_vectors.js";

const { CACHE_ME, CACHE_REPLACE_ME } = IMAGE_FLAG;

/**
 * A picture of one pixel.
 * @param {bigint} id
 * @param {number} blue
 * @param {number} [flags]
 */
const pixel = (id, blue, flags = CACHE_ME) =>
    bitmapImage({ id, flags, width: 1, height: 1 }, { format: 8, stride: 4 }, [blue, 0, 0, 0]);

/** A JPEG of one pixel, as far as anybody looks at it here. */
const JPEG = Uint8Array.of(0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0);

/** What makes of every JPEG a picture of one green pixel. */
const greenJpeg = async () => ({ width: 1, height: 1, pixels: Uint32Array.of(0xff00ff00) });

/** @param {bigint} id */
const jpegImage = (id, flags = CACHE_ME) => sizedImage({ id, type: IMAGE.JPEG, flags, width: 1, height: 1 }, JPEG);

/** @param {unknown} decoded */
async function shown(decoded) {
    const image = await decoded;
    assert.ok(typeof image === "object" && image !== null && "pixels" in image);
    return hexOf(/** @type {{pixels: Uint32Array}} */ (image)).join(" ");
}

test("images are kept under their names until they are dropped", async () => {
    const caches = new ImageCaches({ later: new Timers().later });
    const decoder = decoderOf({ caches });
    pictureOf(decoder, pixel(1n, 1));
    pictureOf(decoder, pixel(2n ** 64n - 1n, 2));
    pictureOf(decoder, pixel(3n, 3, 0));
    assert.deepEqual(caches.ids(), [1n, 2n ** 64n - 1n]);
    assert.deepEqual(hexOf(pictureOf(decoder, cachedImage(1n))), ["ff000001"]);
    assert.deepEqual(hexOf(pictureOf(decoder, cachedImage(2n ** 64n - 1n, true))), ["ff000002"]);
    pictureOf(decoder, pixel(1n, 7, CACHE_REPLACE_ME));
    assert.deepEqual(hexOf(pictureOf(decoder, cachedImage(1n))), ["ff000007"]);
    assert.equal(caches.pixels, 2);
    caches.invalidate(1n);
    caches.invalidate(1n);
    assert.deepEqual([caches.ids(), caches.pixels], [[2n ** 64n - 1n], 1]);
    caches.invalidateAll();
    assert.deepEqual([caches.ids(), caches.pixels], [[], 0]);
});

test("images that were used last are named last", () => {
    const caches = new ImageCaches({ later: new Timers().later });
    const decoder = decoderOf({ caches });
    [1n, 2n, 3n].forEach((id) => pictureOf(decoder, pixel(id, 0)));
    pictureOf(decoder, cachedImage(1n));
    assert.deepEqual(caches.ids(), [2n, 3n, 1n]);
});

test("the unused byte of a kept image is kept, and full if its flag says so", () => {
    const decoder = decoderOf();
    pictureOf(decoder, pixel(1n, 1, CACHE_ME | IMAGE_FLAG.HIGH_BITS_SET));
    assert.equal(pictureOf(decoder, cachedImage(1n)).unused, 255);
});

test("an image of the cache waits for the display that brings it", async () => {
    const caches = new ImageCaches({ later: new Timers().later });
    const [first, second] = [decoderOf({ caches }), decoderOf({ caches })];
    const waits = second.decode(cachedImage(5n), OFFSET);
    assert.ok(waits instanceof Promise);
    pictureOf(first, pixel(4n, 4));
    assert.equal(caches.waiting.size, 1);
    pictureOf(first, pixel(5n, 5));
    assert.equal(await shown(waits), "ff000005");
    assert.equal(caches.waiting.size, 0);
});

test("a lossless image is waited for while there is a lossy one", async () => {
    const caches = new ImageCaches({ later: new Timers().later });
    const decoder = decoderOf({ caches, decodeJpeg: greenJpeg });
    assert.equal(await shown(decoder.decode(jpegImage(1n), OFFSET)), "ff00ff00");
    assert.deepEqual(hexOf(pictureOf(decoder, cachedImage(1n))), ["ff00ff00"]);
    const waits = decoder.decode(cachedImage(1n, true), OFFSET);
    assert.ok(waits instanceof Promise);
    pictureOf(decoder, pixel(1n, 9, CACHE_REPLACE_ME));
    assert.equal(await shown(waits), "ff000009");
});

test("nothing is waited for for ever, nor over the end of a connection", async () => {
    const timers = new Timers();
    const caches = new ImageCaches({ later: timers.later });
    const decoder = decoderOf({ caches });
    const late = decoder.decode(cachedImage(1n), OFFSET);
    timers.runAll();
    await assert.rejects(Promise.resolve(late), new Malformed("image 1 has not come within 30000 ms"));
    const cut = decoder.decode(cachedImage(1n), OFFSET);
    caches.restartGlz();
    await assert.rejects(Promise.resolve(cut), /^Malformed: image 1 will not come/);
    const dropped = decoder.decode(cachedImage(1n), OFFSET);
    pictureOf(decoder, pixel(1n, 1));
    caches.invalidate(1n);
    await assert.rejects(Promise.resolve(dropped), /^Malformed: image 1 was dropped while a drawing waited for it$/);
    assert.equal(timers.pending.size, 0);
});

test("no more is kept than a session may", () => {
    const caches = new ImageCaches({ pixels: 3, later: new Timers().later });
    const decoder = decoderOf({ caches });
    [1n, 2n, 3n, 3n].forEach((id) => pictureOf(decoder, pixel(id, 0)));
    assert.throws(
        () => decoder.decode(pixel(4n, 0), OFFSET),
        new Malformed("image 4 takes 1 pixels; the session keeps 3 of 3"),
    );
});

test("masks are kept, too, and are no pictures", () => {
    const decoder = decoderOf();
    const bitmap = bitmapImage({ id: 1n, flags: CACHE_ME, width: 2, height: 1 }, { format: 2, stride: 1 }, [0x40]);
    const mask = { width: 2, height: 1, stride: 1, bits: Uint8Array.of(0x40) };
    assert.deepEqual(decoder.decodeMask(bitmap, OFFSET), mask);
    assert.deepEqual(decoder.decodeMask(cachedImage(1n), OFFSET), mask);
    assert.throws(() => decoder.decode(cachedImage(1n), OFFSET), /^Malformed: image 1 is kept as a mask/);
    pictureOf(decoder, pixel(2n, 1));
    assert.throws(() => decoder.decodeMask(cachedImage(2n, true), OFFSET), /^Malformed: image 2 is kept as a picture/);
    assert.throws(() => decoder.decodeMask(jpegImage(1n), OFFSET), /^Malformed: image type of a mask is 105$/);
});

test("a surface is named by its number", () => {
    assert.deepEqual(decoderOf().decode(surfaceImage(9), OFFSET), { surface: 9 });
});

test("palettes are kept for a channel under their keys", () => {
    const caches = new ImageCaches({ later: new Timers().later });
    const palettes = new PaletteCache();
    const decoder = new ImageDecoder(caches, palettes, { decodeJpeg: greenJpeg });
    const image = (/** @type {any} */ palette) =>
        bitmapImage({ width: 2, height: 1 }, { format: 5, stride: 2, palette }, [0, 1]);
    assert.deepEqual(hexOf(pictureOf(decoder, image({ unique: 7n, entries: [1, 2] }))), ["ff000001", "ff000002"]);
    assert.deepEqual(hexOf(pictureOf(decoder, image(7n))), ["ff000001", "ff000002"]);
    pictureOf(decoder, image({ unique: 0n, entries: [1, 2] }));
    assert.throws(() => decoder.decode(image(0n), OFFSET), new Malformed("palette 0 is not in the cache"));
    assert.throws(() => decoderOf({ caches }).decode(image(7n), OFFSET), /^Malformed: palette 7 is not in the cache$/);
    palettes.invalidate(7n);
    assert.throws(() => decoder.decode(image(7n), OFFSET), /^Malformed: palette 7/);
    for (let id = 1n; id <= 300n; id++) {
        pictureOf(decoder, image({ unique: id, entries: [1] }));
    }
    assert.deepEqual(hexOf(pictureOf(decoder, image(300n))), ["ff000001", "ff000000"]);
    assert.throws(() => decoder.decode(image(44n), OFFSET), /^Malformed: palette 44/);
    palettes.invalidateAll();
    assert.throws(() => decoder.decode(image(300n), OFFSET), /^Malformed: palette 300/);
});

test("JPEG_ALPHA takes its colours from the JPEG and its alpha from LZ", async () => {
    const vectors = vectorsOf("jpeg-alpha");
    assert.equal(vectors.length, 5);
    for (const vector of vectors) {
        const { width, height, jpeg_size: jpegSize } = vector;
        const data = file(vector.encoded);
        const reference = file(vector.reference_decode);
        // What the reference makes of the JPEG; it has the top row first.
        const pixels = new Uint32Array(width * height);
        pixels.forEach((_, at) => {
            const [b, g, r] = reference.subarray(4 * at);
            pixels[at] = 0xff000000 | (b << 16) | (g << 8) | r;
        });
        /** @type {Uint8Array[]} */
        const asked = [];
        const decodeJpeg = async (/** @type {Uint8Array} */ bytes) => {
            asked.push(bytes);
            return { width, height, pixels: pixels.slice() };
        };
        const topDown = (vector.flags & 1) === 1;
        const message = jpegAlphaImage({ width, height }, { topDown, jpegSize }, data);
        const decode = (/** @type {Uint8Array} */ part) => decoderOf({ decodeJpeg }).decode(part, OFFSET);
        const picture = await decode(message);
        assert.ok("pixels" in picture && picture.hasAlpha);
        assert.deepEqual(bgra(picture), reference, vector.name);
        assert.deepEqual(asked, [data.slice(0, jpegSize)]);
        const other = jpegAlphaImage({ width, height }, { topDown: !topDown, jpegSize }, data);
        await assert.rejects(Promise.resolve(decode(other)), /^Malformed: LZ alpha has top_down/);
        // All that comes of damage is a promise, too.
        /** @type {Promise<unknown>[]} */
        const attempts = [];
        damage(vector.name, message, (part) => {
            const decoded = decode(part);
            if (!(decoded instanceof Promise)) {
                return decoded;
            }
            attempts.push(decoded.catch((error) => assert.ok(error instanceof Malformed, String(error))));
            return decoded;
        }, { mayEnd: message.length });
        await Promise.all(attempts);
    }
});

test("a JPEG must be of the size of its image, before it is decoded and after", async () => {
    const refused = (/** @type {Partial<Parameters<typeof decoderOf>[0]>} */ options, width = 1) =>
        Promise.resolve(decoderOf(options).decode(sizedImage({ type: IMAGE.JPEG, width, height: 1 }, JPEG), OFFSET));
    const never = () => Promise.reject(new TypeError("decoded"));
    await assert.rejects(refused({ decodeJpeg: never }, 2), new Malformed("JPEG of 1x1 pixels in an image of 2x1"));
    await assert.rejects(refused({ decodeJpeg: never }), new Malformed("JPEG of 15 bytes: TypeError: decoded"));
    const other = async () => ({ width: 1, height: 2, pixels: new Uint32Array(2) });
    await assert.rejects(refused({ decodeJpeg: other }), new Malformed("JPEG of 1x1 pixels was decoded to 1x2"));
});

test("the size of an image must be that of what it holds, and its type one that there is", () => {
    const vector = vectorsOf("quic").find(({ width, height }) => width > 1 && height > 1);
    assert.ok(vector !== undefined);
    const { width, height } = vector;
    const stream = file(vector.encoded);
    const image = (/** @type {number} */ type, extra = 0) =>
        sizedImage({ type, flags: CACHE_ME, width: width + extra, height }, stream);
    const caches = new ImageCaches({ later: new Timers().later });
    const decoder = decoderOf({ caches });
    assert.throws(() => decoder.decode(image(IMAGE.QUIC, 1), OFFSET), /^Malformed: image of \d+x\d+ pixels holds/);
    assert.throws(() => decoder.decode(image(2), OFFSET), /^Malformed: image type is 2$/);
    assert.deepEqual(caches.ids(), []);
    pictureOf(decoder, image(IMAGE.QUIC));
    assert.deepEqual(caches.ids(), [1n]);
});
