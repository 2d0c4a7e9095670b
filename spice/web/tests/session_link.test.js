import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import test from "node:test";

import { CHANNEL, COMMON_CAP, LINK, hasCap, linkReason, MAIN_CAP } from "../page/protocol/names.js";
import { sha1 } from "../page/protocol/sha1.js";
import { encryptTicket } from "../page/protocol/ticket.js";
import { Bench } from "./session_platform.js";
import { ScriptedServer, linkReply } from "./session_server.js";

test("SHA-1 of messages of every length around a block is that of Node", () => {
    for (let length = 0; length < 200; length++) {
        const message = new Uint8Array(randomBytes(length));
        assert.deepEqual(Buffer.from(sha1(message)), createHash("sha1").update(message).digest(), `${length}`);
    }
});

test("the link says who the client is, and the server reads the password", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url, "päss word");
    const main = await server.channel(CHANNEL.MAIN);
    assert.equal(main.password, "päss word\0");
    assert.equal(main.session, 0);
    for (const cap of [COMMON_CAP.AUTH_SELECTION, COMMON_CAP.MINI_HEADER]) {
        assert.ok(hasCap(main.common, cap), `${cap}`);
    }
    for (const cap of Object.values(MAIN_CAP)) {
        assert.ok(hasCap(main.caps, cap), `${cap}`);
    }
    server.close();
});

for (const common of [[], [COMMON_CAP.AUTH_SELECTION], [COMMON_CAP.MINI_HEADER]]) {
    test(`a server with the common capabilities [${common}] is linked as well`, async () => {
        const server = await ScriptedServer.listen({ common });
        const bench = new Bench();
        bench.connect(server.url, "old");
        const main = await server.main([]);
        assert.equal(main.password, "old\0");
        await bench.posts({ type: "state", state: "connected" });
        server.close();
    });
}

for (const stage of ["reply", "result"]) {
    for (let code = 1; code <= 10; code++) {
        test(`link error ${code} of the ${stage} is told with its own reason`, async () => {
            const server = await ScriptedServer.listen({ [stage]: () => code });
            const bench = new Bench();
            bench.connect(server.url, "x");
            const state = await bench.posts({ type: "state", state: "closed" });
            assert.equal(state.code, code);
            assert.equal(state.reason, linkReason(code));
            assert.equal(state.needsTicket ?? false, code === LINK.PERMISSION_DENIED);
            server.close();
        });
    }
}

test("each link error has a reason of its own", () => {
    const reasons = Array.from({ length: 12 }, (_, code) => linkReason(code));
    assert.equal(new Set(reasons).size, 12);
});

test("a key that is no RSA key, other bytes and another version close the session", async () => {
    const other = (/** @type {(reply: Uint8Array) => void} */ change) => {
        const reply = linkReply(0, [9], []);
        change(reply);
        return reply;
    };
    const cases = /** @type {const} */ ([
        [other((reply) => (reply[20] ^= 1)), /pub_key/],
        [other((reply) => (reply[0] = 0)), /magic/],
        [other((reply) => (reply[4] = 3)), /version 3/],
        [other((reply) => (reply[12] = 1)), /size/],
        [other((reply) => (reply[182] = 200)), /words/],
        [new Uint8Array(5), /ended/],
    ]);
    for (const [raw, reason] of cases) {
        const server = await ScriptedServer.listen({ raw: () => raw });
        const bench = new Bench();
        bench.connect(server.url);
        assert.match((await bench.posts({ type: "state", state: "closed" })).reason, reason);
        server.close();
    }
});

test("a server that wants the name of a user says so to the person", async () => {
    const server = await ScriptedServer.listen({ common: [COMMON_CAP.AUTH_SELECTION, COMMON_CAP.AUTH_SASL] });
    const bench = new Bench();
    bench.connect(server.url);
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /SASL/);
    server.close();
});

test("where nobody listens the session is closed, and it is not tried again", async () => {
    const server = await ScriptedServer.listen();
    const { url } = server;
    server.close();
    const bench = new Bench();
    bench.connect(url);
    await bench.posts({ type: "state", state: "closed" });
    assert.deepEqual(bench.timers, []);
});

test("a password that is too long is not sent", async () => {
    const server = await ScriptedServer.listen();
    const bench = new Bench();
    bench.connect(server.url, "é".repeat(31));
    assert.match((await bench.posts({ type: "state", state: "closed" })).reason, /62 bytes/);
    assert.throws(
        () => encryptTicket(new Uint8Array(162), "a".repeat(61), (count) => new Uint8Array(count)),
        RangeError,
    );
    server.close();
});
