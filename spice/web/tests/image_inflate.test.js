import assert from "node:assert/strict";
import test from "node:test";
import { constants, deflateSync } from "node:zlib";

import { inflate } from "../page/image/inflate.js";
import { Draws, attempt, damage } from "./image_vectors.js";

/**
 * Bytes with runs, repeats near and far, and noise.
 * @param {number} seed
 * @param {number} size
 */
function mixed(seed, size) {
    const draws = new Draws(seed);
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
        const length = Math.min(size - at, 1 + draws.below(600));
        switch (draws.below(4)) {
            case 0:
                bytes.fill(draws.below(256), at, at + length);
                break;
            case 1:
                bytes.copyWithin(at, draws.below(at + 1), draws.below(at + 1) + length);
                break;
            default:
                for (let place = at; place < at + length; place++) {
                    bytes[place] = draws.below(1 + (seed % 256));
                }
        }
        at += length;
    }
    return bytes;
}

/** Ways to make a stream: stored, fixed and dynamic codes, literals alone, runs alone. */
const WAYS = [
    { level: 0 },
    { level: 1 },
    { level: 3 },
    { level: 9 },
    { strategy: constants.Z_FIXED },
    { strategy: constants.Z_HUFFMAN_ONLY },
    { strategy: constants.Z_RLE },
    { windowBits: 9 },
    { memLevel: 1 },
];

test("what zlib deflates inflates to the same", () => {
    for (let seed = 0; seed < 40; seed++) {
        const bytes = mixed(seed * 7, [0, 1, 300, 5000, 70000, 300000][seed % 6]);
        for (const way of WAYS) {
            const stream = new Uint8Array(deflateSync(bytes, way));
            assert.deepEqual(inflate(stream, bytes.length), bytes, `${seed} ${JSON.stringify(way)}`);
        }
    }
});

test("a zlib stream must hold just the bytes that are expected", () => {
    const bytes = mixed(5, 1000);
    const stream = new Uint8Array(deflateSync(bytes));
    assert.throws(() => inflate(stream, 999), /^Malformed: zlib data holds more than 999 bytes$/);
    assert.throws(() => inflate(stream, 1001), /^Malformed: zlib data holds 1000 of 1001 bytes$/);
    assert.throws(() => inflate(stream, 1 << 30), /^Malformed: zlib data of \d+ bytes is too short for 1073741824$/);
    stream[stream.length - 1] ^= 1;
    assert.throws(() => inflate(stream, 1000), /^Malformed: zlib sum is \d+, not that of the data$/);
});

test("parts of zlib streams and damaged ones are malformed", () => {
    for (let seed = 0; seed < 8; seed++) {
        for (const way of WAYS) {
            const bytes = mixed(seed * 31, 3000);
            const stream = new Uint8Array(deflateSync(bytes, way));
            // Two changes can make up for each other only in what means nothing.
            damage(`${seed} ${JSON.stringify(way)}`, stream, (part) => inflate(part, bytes.length), {
                isRight: (out) => out.every((byte, at) => byte === bytes[at]),
            });
        }
    }
});

test("bytes without sense behind a header of zlib end in an error", () => {
    const draws = new Draws(1);
    for (let round = 0; round < 3000; round++) {
        const stream = Uint8Array.from({ length: 60 }, () => draws.below(256));
        stream.set([0x78, 0x01, (draws.below(256) & 0xf8) | 4 | (round & 3)]);
        attempt(() => inflate(stream, 1000));
    }
});
