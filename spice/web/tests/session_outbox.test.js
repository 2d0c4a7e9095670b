import assert from "node:assert/strict";
import test from "node:test";

import { shortText } from "../page/protocol/reader.js";
import { Outbox } from "../page/session/outbox.js";

/** An outbox, with a clock that stands still until it is moved. */
function bench() {
    /** @type {any[]} */
    const posted = [];
    let time = 0;
    /** @type {(() => void)[]} */
    const timers = [];
    const outbox = new Outbox({
        post: (message) => posted.push(message),
        now: () => time,
        later(_, run) {
            timers.push(run);
            return () => {};
        },
    });
    const pass = () => {
        time += 50;
        timers.splice(0).forEach((run) => run());
    };
    return { outbox, posted, pass };
}

test("what is said now and then is told at once", () => {
    const { outbox, posted } = bench();
    for (let count = 0; count < 64; count++) {
        outbox.post("a", count);
    }
    assert.equal(posted.length, 64);
});

test("of what is said without end the latest is told, with what was not said again", () => {
    const { outbox, posted, pass } = bench();
    for (let count = 0; count < 20_000; count++) {
        outbox.post("cursor 0", count % 2 === 0 ? { x: count, shape: count } : { x: count }, 17);
        outbox.post("name", { name: count });
    }
    assert.ok(posted.length < 64);
    pass();
    assert.deepEqual(posted.slice(-2), [{ x: 19_999, shape: 19_998 }, { name: 19_999 }]);
    outbox.post("name", { name: "next" });
    assert.deepEqual(posted.at(-1), { name: "next" });
});

test("what waits is told bit by bit when it is large", () => {
    const { outbox, posted, pass } = bench();
    for (let key = 0; key < 16; key++) {
        outbox.post(`cursor ${key}`, { key }, 32);
    }
    assert.equal(posted.length, 2);
    for (const seen of [4, 6, 8]) {
        pass();
        assert.equal(posted.length, seen);
    }
});

test("texts of the server are cut where they get long", () => {
    assert.equal(shortText(new TextEncoder().encode("abc"), 3), "abc");
    assert.equal(shortText(new TextEncoder().encode("abcd"), 3), "abc…");
    assert.equal(shortText(new Uint8Array(9).fill(0xff), 2), "\ufffd\ufffd…");
});
