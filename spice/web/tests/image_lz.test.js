import assert from "node:assert/strict";
import test from "node:test";

import { paletteOf } from "../page/image/bitmap.js";
import { IMAGE } from "../page/image/images.js";
import { decodeLz, decodeLzPalette } from "../page/image/lz.js";
import { decoderOf, lzPaletteImage, pictureOf, sizedImage } from "./image_messages.js";
import { assertShows, damage, file, isWhole, vectorsOf } from "./image_vectors.js";

const VECTORS = vectorsOf("lz");

test("LZ streams of the reference decode to its pixels", () => {
    assert.equal(VECTORS.length, 227);
    for (const vector of VECTORS) {
        const stream = file(vector.encoded);
        const { width, height, palette } = vector;
        const message =
            palette === undefined
                ? sizedImage({ type: IMAGE.LZ_RGB, width, height }, stream)
                : lzPaletteImage({ width, height }, { entries: palette }, stream);
        assertShows(vector, pictureOf(decoderOf(), message));
    }
});

test("parts of LZ streams and damaged ones are malformed or whole pictures", () => {
    for (const { name, encoded, palette } of VECTORS) {
        const colours = paletteOf(palette ?? [], false);
        const decode = (/** @type {Uint8Array} */ stream) =>
            palette === undefined ? decodeLz(stream) : decodeLzPalette(stream, colours);
        damage(name, file(encoded), decode, { isRight: isWhole });
    }
});

/**
 * @param {number} type
 * @param {number} width
 * @param {number} stride
 * @param {number[]} body
 */
function stream(type, width, stride, body) {
    const bytes = new Uint8Array(28 + body.length);
    const view = new DataView(bytes.buffer);
    [0x20205a4c, 0x00010001, type, width, 1, stride, 1].forEach((word, at) => view.setUint32(4 * at, word));
    bytes.set(body, 28);
    return bytes;
}

test("LZ matches of every distance and length end anywhere", () => {
    for (let distance = 1; distance < 60; distance += distance < 9 ? 1 : 7) {
        for (const length of [1, 2, 7, 47, 48, 49, 96, 255, 262, 300]) {
            const body = [];
            for (let at = 0; at < distance; at++) {
                body.push(0, at, 7, 9);
            }
            body.push(Math.min(length, 7) << 5);
            if (length >= 7) {
                body.push(...new Array(Math.floor((length - 7) / 255)).fill(255), (length - 7) % 255);
            }
            body.push(distance - 1);
            const width = distance + length;
            const { pixels } = decodeLz(stream(8, width, 4 * width, body));
            for (let at = 0; at < width; at++) {
                assert.equal(pixels[at], (0xff000000 | ((at % distance) << 16) | 0x0709) >>> 0);
            }
        }
    }
});

test("what is wrong with an LZ stream is said", () => {
    const wrong = (/** @type {number[]} */ body, type = 8, width = 4, stride = 16) => {
        try {
            decodeLz(stream(type, width, stride, body));
        } catch (error) {
            return String(error);
        }
        return "nothing";
    };
    assert.equal(wrong([3, ...new Array(12).fill(0)]), "nothing");
    assert.equal(wrong([0x20, 0]), "Malformed: LZ match at unit 0 reaches back 1 units");
    assert.equal(wrong([0, 1, 2, 3, 0x20, 1]), "Malformed: LZ match at unit 1 reaches back 2 units");
    assert.equal(wrong([0, 1, 2, 3, 0x80, 0]), "Malformed: LZ run of 4 units at unit 1 of 4");
    assert.equal(wrong([4, ...new Array(15).fill(0)]), "Malformed: LZ run of 5 units at unit 0 of 4");
    assert.equal(wrong([0, 1, 2, 3, 0xe0, 255, 255]), "Malformed: LZ run of 7 units at unit 1 of 4");
    assert.equal(wrong([3, ...new Array(13).fill(0)]), "Malformed: LZ data has 1 bytes more than the picture takes");
    assert.equal(wrong([0], 8, 4, 17), "Malformed: LZ stride is 17 for 4 pixels of type 8");
    assert.equal(wrong([0], 12), "Malformed: LZ type is 12, not 1 to 11");
    assert.equal(wrong([0], 5), "Malformed: LZ stride is 16 for 4 pixels of type 5");
    assert.equal(wrong([0], 5, 4, 4), "Malformed: LZ type is 5, which has no place for colours");
    assert.equal(wrong([0], 8, 1 << 20, 1 << 22), "Malformed: LZ data of 29 bytes is too short for 1048576x1 pixels");
});

test("an image of LZ_PLT needs a palette, and one of its colours alone none", () => {
    const vector = VECTORS.find(({ type }) => type === 5);
    assert.ok(vector !== undefined);
    const { width, height } = vector;
    const without = lzPaletteImage({ width, height }, null, file(vector.encoded));
    assert.throws(() => decoderOf().decode(without, 3), /^Malformed: image of type LZ_PLT has no palette$/);
    const plain = sizedImage({ type: IMAGE.LZ_RGB, width, height }, file(vector.encoded));
    assert.throws(() => decoderOf().decode(plain, 3), /^Malformed: LZ type is 5/);
});
