import assert from "node:assert/strict";
import test from "node:test";

import { decodeQuic } from "../page/image/quic.js";
import { Malformed } from "../page/protocol/reader.js";
import { assertShows, damage, file, isWhole, vectorsOf } from "./image_vectors.js";

const VECTORS = vectorsOf("quic");

test("QUIC streams of the reference decode to its pixels", () => {
    assert.equal(VECTORS.length, 97);
    for (const vector of VECTORS) {
        assertShows(vector, decodeQuic(file(vector.encoded)));
    }
});

test("parts of QUIC streams and damaged ones are malformed or whole pictures", () => {
    for (const vector of VECTORS) {
        const stream = file(vector.encoded);
        damage(vector.name, stream, decodeQuic, { mayEnd: 8, isRight: isWhole });
    }
});

test("the worked example of the format decodes", () => {
    const hex = "5155494300000000010000000600000003000000218280" + "94d0827232515f000000000000";
    const { pixels } = decodeQuic(Uint8Array.from(Buffer.from(hex, "hex")));
    assert.deepEqual(
        Array.from(pixels, (pixel) => pixel & 255),
        [10, 10, 10, 10, 10, 12, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 200, 0],
    );
});

test("a QUIC picture takes memory only when the stream is long enough for it", () => {
    const header = new Uint8Array(200);
    const view = new DataView(header.buffer);
    [0x43495551, 0, 4, 8192, 8192].forEach((word, at) => view.setUint32(4 * at, word, true));
    assert.throws(() => decodeQuic(header), new Malformed("QUIC data of 200 bytes is too short for 8192x8192 pixels"));
    view.setUint32(12, 0x7fffffff, true);
    assert.throws(() => decodeQuic(header), /QUIC image of 2147483647x8192 pixels is empty or too large/);
});
