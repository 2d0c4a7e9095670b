import assert from "node:assert/strict";
import test from "node:test";

import { jpegSize } from "../page/protocol/jpeg.js";
import { CODEC } from "../page/protocol/names.js";
import { Malformed } from "../page/protocol/reader.js";
import { Screens } from "../page/session/screen.js";
import { frameInfo } from "../page/session/video.js";
import { Bench } from "./session_platform.js";

/** The begin of a JPEG of 300x200 pixels: a comment, filling, and the frame. */
const JPEG = Uint8Array.of(
    ...[0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xc0],
    ...[0xff, 0xff, 0xc2, 0, 11, 8, 0, 200, 1, 44, 1, 1, 0x11, 0],
);

test("the size of a JPEG is known before it is decoded", () => {
    assert.deepEqual(jpegSize(JPEG), { width: 300, height: 200 });
    for (let length = 0; length < JPEG.length - 4; length++) {
        assert.throws(() => jpegSize(JPEG.subarray(0, length)), Malformed, `${length}`);
    }
    const changed = (/** @type {number[]} */ ...changes) => {
        const bytes = JPEG.slice();
        changes.forEach((value, index) => index % 2 === 0 && (bytes[value] = changes[index + 1]));
        return bytes;
    };
    // No width, more pixels than anybody has, and something else altogether.
    for (const bytes of [changed(16, 0, 17, 0), changed(14, 255, 16, 255), changed(1, 0), new Uint8Array(1000)]) {
        assert.throws(() => jpegSize(bytes), Malformed);
    }
});

test("frames of VP8 and VP9 say whether they need those before", () => {
    const isKey = (/** @type {number} */ codec, /** @type {number[]} */ ...data) =>
        frameInfo(codec, Uint8Array.from(data)).key;
    assert.deepEqual([isKey(CODEC.VP8, 0x10, 2), isKey(CODEC.VP8, 0x11, 2), isKey(CODEC.VP8)], [true, false, false]);
    // Marker 2; profile 0, shown anew, inter; profile 3 with its reserved bit; another marker.
    assert.deepEqual(
        [0x82, 0x8a, 0x86, 0xb0, 0xb2, 0x42].map((byte) => isKey(CODEC.VP9, byte)),
        [true, false, false, true, false, false],
    );
    assert.equal(isKey(CODEC.VP9), false);
});

test("parameters of H.264 are found behind start codes of both lengths, and not in pictures", () => {
    const info = (/** @type {number[]} */ ...data) => frameInfo(CODEC.H264, Uint8Array.from(data));
    assert.deepEqual(info(0, 0, 1, 0x67, 0x64, 0, 0x28, 0, 0, 0, 1, 0x65, 9), { key: true, format: "avc1.640028" });
    assert.deepEqual(info(0, 0, 1, 0x41, 1, 0, 0, 1, 0x65), { key: false, format: "" });
    assert.deepEqual(info(0, 0, 1), { key: false, format: "" });
    assert.deepEqual(info(0, 0, 1, 0x67, 0x64), { key: false, format: "" });
});

test("displays keep their numbers, and no two have the same", () => {
    const { platform } = new Bench().session;
    const screens = new Screens(
        platform,
        () => [],
        () => {},
        () => {},
    );
    const numbers = () => [screens.number(0, 0), screens.number(0, 1), screens.number(1, 0), screens.number(2, 0)];
    assert.deepEqual(numbers(), [0, 1, 2, 3]);
    assert.deepEqual(numbers(), [0, 1, 2, 3]);
});
