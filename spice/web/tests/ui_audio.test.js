import assert from "node:assert/strict";
import test from "node:test";

import { createAudio } from "../page/ui/audio.js";
import { Ring } from "../page/ui/audio_worklet.js";

/**
 * Sound from the ring, of both sides.
 * @param {Ring} ring
 * @param {number} frames
 * @param {number[]} [volume]
 */
function pull(ring, frames, volume = []) {
    const outputs = [new Float32Array(frames).fill(9), new Float32Array(frames).fill(9)];
    ring.pull(outputs, volume);
    return outputs.map((output) => [...output].map((sample) => sample * 32768));
}

/**
 * Samples from a number on, of two channels: the second is negative.
 * @param {number} first
 * @param {number} frames
 */
function stereo(first, frames) {
    return Int16Array.from({ length: frames * 2 }, (_, at) => (first + (at >> 1)) * (at & 1 ? -1 : 1));
}

test("sound is heard when enough of it waits, in order and on its side", () => {
    // At 1000 frames a second it begins with 60.
    const ring = new Ring(2, 1000);
    ring.push(stereo(1, 59));
    assert.deepEqual(pull(ring, 2), [
        [0, 0],
        [0, 0],
    ]);
    ring.push(stereo(60, 1));
    assert.deepEqual(pull(ring, 2), [
        [1, 2],
        [-1, -2],
    ]);
    assert.equal(pull(ring, 58)[0][57], 60);
});

test("after a gap there is silence until enough waits again", () => {
    const ring = new Ring(2, 1000);
    ring.push(stereo(1, 60));
    assert.deepEqual(pull(ring, 61)[0].slice(-2), [60, 0]);
    pull(ring, 1);
    ring.push(stereo(1, 10));
    assert.deepEqual(pull(ring, 1), [[0], [0]]);
    ring.push(stereo(11, 50));
    assert.deepEqual(pull(ring, 1), [[1], [-1]]);
});

test("the ring goes round, and what is too late is left out", () => {
    const ring = new Ring(2, 1000);
    let next = 1;
    for (let turn = 0; turn < 50; turn++) {
        ring.push(stereo(turn * 70 + 1, 70));
        for (let frame = 0; frame < 70; frame++) {
            assert.equal(pull(ring, 1)[0][0], next++);
        }
    }
    for (let piece = 0; piece < 31; piece++) {
        ring.push(stereo(5000 + piece * 10, 10));
    }
    assert.equal(ring.count, 60);
    assert.equal(pull(ring, 60)[0][59], 5309);
    ring.push(stereo(1, 1000));
    assert.equal(ring.count, 300);
    assert.equal(pull(ring, 300)[0][299], 1000);
});

test("one channel is heard on both sides, of many the first two, as loud as they are to be", () => {
    const mono = new Ring(1, 1000);
    mono.push(new Int16Array(60).fill(100));
    assert.deepEqual(pull(mono, 1, [0.5]), [[50], [50]]);
    const many = new Ring(3, 1000);
    many.push(Int16Array.from({ length: 180 }, (_, at) => (at % 3) * 100 + 100));
    assert.deepEqual(pull(many, 1, [1, 0, 1]), [[100], [0]]);
});

/** What plays sound in a browser without worklets. */
function contexts() {
    /** @type {any[]} */
    const made = [];
    class Context {
        /** @param {{sampleRate: number}} options */
        constructor({ sampleRate }) {
            this.sampleRate = sampleRate;
            this.currentTime = 1;
            this.state = "running";
            this.closed = false;
            /** @type {{at: number, data: number[][]}[]} */
            this.played = [];
            made.push(this);
        }
        async resume() {}
        async close() {
            this.closed = true;
        }
        /**
         * @param {number} channels
         * @param {number} frames
         */
        createBuffer(channels, frames) {
            const data = Array.from({ length: channels }, () => new Float32Array(frames));
            return { data, getChannelData: (/** @type {number} */ channel) => data[channel] };
        }
        createBufferSource() {
            const { played } = this;
            return {
                /** @type {any} */
                buffer: null,
                connect() {},
                /** @param {number} at */
                start(at) {
                    const data = this.buffer.data.map((/** @type {Float32Array} */ one) =>
                        [...one].map((x) => x * 32768),
                    );
                    played.push({ at, data });
                },
            };
        }
    }
    return { Context: /** @type {any} */ (Context), made };
}

const START = { type: "audio", what: "start", channels: 2, rate: 1000 };
const data = (/** @type {number} */ frames = 1) => ({ type: "audio", what: "data", samples: stereo(10, frames) });

test("nothing is played before the person has said so, nor after", () => {
    const { Context, made } = contexts();
    const audio = createAudio({ Context });
    audio.onMessage(START);
    audio.onMessage(data());
    assert.equal(made.length, 0);
    audio.enable();
    assert.equal(made[0].sampleRate, 1000);
    audio.onMessage(data());
    assert.equal(made[0].played.length, 1);
    audio.disable();
    assert.ok(made[0].closed);
    audio.onMessage(data());
    audio.onMessage({ type: "notify" });
    assert.equal(made[0].played.length, 1);
});

test("without worklets, pieces are played one after the other, and too late ones are left out", () => {
    const { Context, made } = contexts();
    const audio = createAudio({ Context });
    audio.enable();
    audio.onMessage(START);
    for (let piece = 0; piece < 10; piece++) {
        audio.onMessage(data(100));
    }
    const times = made[0].played.map((/** @type {any} */ { at }) => at - made[0].currentTime);
    assert.deepEqual(
        times.map((/** @type {number} */ time) => Math.round(time * 100)),
        [12, 22, 32],
    );
    made[0].currentTime = 9;
    audio.onMessage(data());
    assert.equal(made[0].played[3].at, 9.12);
});

test("volume and mute are those of the guest, before and after it begins", () => {
    const { Context, made } = contexts();
    const audio = createAudio({ Context });
    audio.enable();
    audio.onMessage({ type: "audio", what: "volume", volume: [0.5, 1] });
    audio.onMessage(START);
    audio.onMessage(data());
    audio.onMessage({ type: "audio", what: "mute", mute: true });
    audio.onMessage(data());
    audio.onMessage({ type: "audio", what: "mute", mute: false });
    audio.onMessage(data());
    assert.deepEqual(
        made[0].played.map((/** @type {any} */ piece) => piece.data),
        [
            [[5], [-10]],
            [[0], [-0]],
            [[5], [-10]],
        ],
    );
});

test("another start is another context, and stop ends it", () => {
    const { Context, made } = contexts();
    const audio = createAudio({ Context });
    audio.enable();
    audio.onMessage(START);
    audio.onMessage({ ...START, rate: 2000 });
    assert.deepEqual([made.length, made[0].closed, made[1].sampleRate], [2, true, 2000]);
    audio.onMessage({ type: "audio", what: "stop" });
    assert.ok(made[1].closed);
});
