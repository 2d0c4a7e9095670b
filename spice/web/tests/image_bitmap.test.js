import assert from "node:assert/strict";
import test from "node:test";

import { IMAGE_FLAG } from "../page/image/images.js";
import { OFFSET, bitmapImage, decoderOf, hexOf, pictureOf, surfaceImage } from "./image_messages.js";
import { assertShows, damage, file, vectorsOf } from "./image_vectors.js";

const ENTRIES = [0x10, 0x20, 0xff000030];

/**
 * @param {number} format
 * @param {number} width
 * @param {number} stride
 * @param {number[]} data of two rows
 * @param {boolean} [topDown]
 */
function shown(format, width, stride, data, topDown = true) {
    const palette = format <= 5 ? { entries: ENTRIES } : null;
    const message = bitmapImage({ width, height: 2 }, { format, stride, topDown, palette }, data);
    return hexOf(pictureOf(decoderOf(), message)).join(" ");
}

test("bitmaps of the reference show what it shows", () => {
    const vectors = vectorsOf("bitmap");
    assert.equal(vectors.length, 16);
    for (const vector of vectors) {
        const { type: format, width, height, stride, top_down: topDown, palette: entries } = vector;
        const palette = entries === undefined ? null : { entries };
        const message = bitmapImage({ width, height }, { format, stride, topDown, palette }, file(vector.encoded));
        assertShows(vector, pictureOf(decoderOf(), message));
        damage(vector.name, message, (part) => decoderOf().decode(part, OFFSET));
    }
});

test("each format puts the leftmost pixel where its name says", () => {
    assert.equal(shown(1, 3, 1, [0b001, 0b110]), "ff000020 ff000010 ff000010 ff000010 ff000020 ff000020");
    assert.equal(shown(2, 3, 1, [0x80, 0x60]), "ff000020 ff000010 ff000010 ff000010 ff000020 ff000020");
    assert.equal(shown(3, 3, 2, [0x21, 0, 0, 0x0f]), "ff000020 ff000030 ff000010 ff000010 ff000010 ff000000");
    assert.equal(shown(4, 3, 2, [0x21, 0, 0, 0xf0]), "ff000030 ff000020 ff000010 ff000010 ff000010 ff000000");
    assert.equal(shown(5, 2, 2, [0, 1, 2, 3]), "ff000010 ff000020 ff000030 ff000000");
    assert.equal(shown(6, 1, 2, [0x00, 0xfc, 0x1f, 0x00]), "ffff0000 ff0000ff");
    assert.equal(shown(7, 1, 3, [1, 2, 3, 4, 5, 6]), "ff030201 ff060504");
    assert.equal(shown(8, 1, 4, [1, 2, 3, 9, 4, 5, 6, 8]), "ff030201 ff060504");
    assert.equal(shown(9, 1, 4, [1, 2, 3, 9, 4, 5, 6, 8]), "09030201 08060504");
    assert.equal(shown(10, 2, 2, [0, 1, 2, 255]), "00000000 01000000 02000000 ff000000");
});

test("rows may be padded, and begin at the bottom", () => {
    assert.equal(shown(10, 1, 3, [1, 9, 9, 2, 9, 9], false), "02000000 01000000");
});

test("the unused byte is kept, and full where the flag says so", () => {
    const picture = (/** @type {number[]} */ data, flags = 0, format = 8) =>
        pictureOf(decoderOf(), bitmapImage({ flags, width: 2, height: 1 }, { format, stride: 8 }, data));
    assert.deepEqual(picture([1, 2, 3, 4, 5, 6, 7, 8]).unused, Uint8Array.of(4, 8));
    assert.equal(picture([1, 2, 3, 4, 5, 6, 7, 4]).unused, 4);
    assert.equal(picture([1, 2, 3, 4, 5, 6, 7, 8], IMAGE_FLAG.HIGH_BITS_SET).unused, 255);
    const alpha = picture([1, 2, 3, 4, 5, 6, 7, 8], IMAGE_FLAG.HIGH_BITS_SET, 9);
    assert.deepEqual([alpha.unused, alpha.hasAlpha, hexOf(alpha)], [0, true, ["04030201", "08070605"]]);
});

test("palettes hold pixel values where the surface is of 555", () => {
    const palette = { entries: [0x7c00, 0xffff83e0] };
    const message = bitmapImage({ width: 2, height: 1 }, { format: 5, stride: 2, palette }, [0, 1]);
    assert.deepEqual(hexOf(pictureOf(decoderOf(), message, 16)), ["ffff0000", "ff00ff00"]);
    assert.deepEqual(hexOf(pictureOf(decoderOf(), message, 32)), ["ff007c00", "ffff83e0"]);
});

test("what does not fit together is malformed", () => {
    const decode = (/** @type {any} */ descriptor, /** @type {any} */ bitmap, length = 8) =>
        decoderOf().decode(bitmapImage(descriptor, bitmap, new Array(length).fill(0)), OFFSET);
    const size = { width: 1, height: 2 };
    decode(size, { format: 8, stride: 4 });
    assert.throws(() => decode(size, { format: 8, stride: 3 }), /^Malformed: bitmap stride is 3, a row has 4 bytes$/);
    assert.throws(() => decode(size, { format: 5, stride: 4 }), /^Malformed: bitmap of format 5 has no palette$/);
    assert.throws(() => decode(size, { format: 11, stride: 4 }), /^Malformed: bitmap format is 11, not 1 to 10$/);
    assert.throws(() => decode(size, { format: 0, stride: 4 }), /^Malformed: bitmap format is 0/);
    assert.throws(() => decode({ width: 0, height: 2 }, { format: 8, stride: 4 }), /image of 0x2 pixels is empty/);
    assert.throws(() => decode(size, { format: 8, stride: 4 }, 7), /^Malformed: 8 bytes wanted at 39, 7 are left$/);
    assert.throws(() => decode({ width: 16385, height: 16384 }, { format: 8, stride: 4 }), /is empty or too large/);
    assert.throws(() => decode(size, { format: 8, stride: 0xffffffff }), /^Malformed: 8589934590 bytes wanted/);
    const other = bitmapImage(size, { format: 8, stride: 4 }, new Array(8).fill(0));
    other[OFFSET + 20] = 9;
    assert.throws(() => decoderOf().decode(other, OFFSET), /^Malformed: bitmap of 9x2 pixels in an image of 1x2$/);
    assert.throws(() => decoderOf().decode(other, 4000), /^Malformed: offset 4000 is outside/);
});

test("a mask has its bits from the top, most significant first", () => {
    const mask = (/** @type {number} */ format, /** @type {number[]} */ data, topDown = true) =>
        decoderOf().decodeMask(bitmapImage({ width: 10, height: 2 }, { format, stride: 3, topDown }, data), OFFSET);
    const [width, height, stride] = [10, 2, 2];
    const bits = Uint8Array.of(0x81, 0x40, 0xff, 0xc0);
    assert.deepEqual(mask(2, [0x81, 0x7f, 9, 0xff, 0xff, 9]), { width, height, stride, bits });
    assert.deepEqual(mask(1, [0x81, 0xfe, 9, 0xff, 0xff, 9]), { width, height, stride, bits });
    assert.deepEqual(mask(2, [0xff, 0xff, 9, 0x81, 0x7f, 9], false), { width, height, stride, bits });
    assert.throws(() => mask(10, [0, 0, 0, 0, 0, 0]), /^Malformed: bitmap stride is 3, a row has 10 bytes$/);
    const eight = bitmapImage({ width: 1, height: 1 }, { format: 10, stride: 1 }, [1]);
    assert.throws(() => decoderOf().decodeMask(eight, OFFSET), /^Malformed: bitmap of format 10 cannot be a mask$/);
    assert.deepEqual(decoderOf().decodeMask(surfaceImage(7), OFFSET), { surface: 7 });
});
