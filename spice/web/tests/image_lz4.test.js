import assert from "node:assert/strict";
import test from "node:test";

import { IMAGE } from "../page/image/images.js";
import { decodeLz4 } from "../page/image/lz4.js";
import { decoderOf, pictureOf, sizedImage } from "./image_messages.js";
import { assertShows, damage, file, isWhole, vectorsOf } from "./image_vectors.js";

const VECTORS = vectorsOf("lz4");

test("LZ4 streams of the reference decode to its pixels", () => {
    assert.equal(VECTORS.length, 29);
    for (const vector of VECTORS) {
        const { width, height } = vector;
        const message = sizedImage({ type: IMAGE.LZ4, width, height }, file(vector.encoded));
        assertShows(vector, pictureOf(decoderOf(), message));
    }
});

test("parts of LZ4 streams and damaged ones are malformed or whole pictures", () => {
    for (const { name, encoded, width, height } of VECTORS) {
        damage(name, file(encoded), (stream) => decodeLz4(stream, width, height), { isRight: isWhole });
    }
});

test("LZ4 blocks repeat what earlier ones left, and keep the unused byte", () => {
    const linked = Uint8Array.of(1, 8, 0, 0, 0, 9, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 4, 0x04, 8, 0, 0x00);
    const { pixels, hasAlpha, unused } = decodeLz4(linked, 2, 2);
    assert.deepEqual([...pixels], [0xff010203, 0xff050607, 0xff010203, 0xff050607]);
    assert.equal(hasAlpha, false);
    assert.deepEqual(unused, Uint8Array.of(4, 8, 4, 8));
});

test("what is wrong with an LZ4 block is said", () => {
    const wrong = (/** @type {number[]} */ ...block) => {
        try {
            decodeLz4(Uint8Array.of(1, 8, 0, 0, 0, block.length, ...block), 1, 2);
        } catch (error) {
            return String(error).replace(/ at byte \d+$/, "");
        }
        return "nothing";
    };
    assert.equal(wrong(0x80, 1, 2, 3, 4, 5, 6, 7, 8), "nothing");
    assert.equal(wrong(0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9), "Malformed: LZ4 block holds more than the image");
    assert.equal(wrong(0x1f, 1, 1, 0, 255, 0, 0), "Malformed: LZ4 block holds more than the image");
    assert.equal(wrong(0x40, 1, 2), "Malformed: LZ4 block ends within literals");
    assert.equal(wrong(0x10, 1, 2), "Malformed: LZ4 block ends within an offset");
    assert.equal(wrong(0xf0), "Malformed: LZ4 block ends within a length");
    assert.equal(wrong(0x10, 1, 0, 0, 0), "Malformed: LZ4 block reaches back 0 bytes from byte 1 of the image");
    assert.equal(wrong(0x10, 1, 2, 0, 0), "Malformed: LZ4 block reaches back 2 bytes from byte 1 of the image");
    assert.equal(wrong(0x00), "Malformed: LZ4 block at byte 6 holds nothing");
    assert.equal(wrong(0x10, 1), "Malformed: LZ4 data holds 1 of 8 bytes");
    assert.throws(() => decodeLz4(Uint8Array.of(1, 10, 0), 1, 1), /LZ4 bitmap format is 10, not 6 to 9/);
    assert.throws(() => decodeLz4(Uint8Array.of(1, 8, 0, 0, 0, 9, 0), 1, 1), /has 9 bytes where 1 are left/);
    assert.throws(() => decodeLz4(Uint8Array.of(1, 8, 0), 8192, 8192), /too short for 8192x8192 pixels/);
});
