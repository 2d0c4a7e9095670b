// What the page knows before there is a link, and where it looks for the rest.

import assert from "node:assert/strict";
import { test } from "node:test";

import { facts, listAddress, pageAddress, spiceAddress } from "../page/ui/login.js";
import { bearer } from "../page/ui/power.js";

/**
 * Answers every request.
 * @param {number} status
 * @param {string} body
 */
function answering(status, body) {
    /** @type {string[]} */
    const asked = [];
    /** @type {typeof fetch} */
    const ask = async (address) => {
        asked.push(String(address));
        return new Response(body, { status });
    };
    return { ask, asked };
}

test("facts are asked for beside the page, in whatever folder it is", async () => {
    for (const [page, place] of [
        ["https://vm.example.org/", "https://vm.example.org/vm.json"],
        ["http://127.0.0.1:5980/vm/first/", "http://127.0.0.1:5980/vm/first/vm.json"],
    ]) {
        const { ask, asked } = answering(200, '{"name":"first","ticket":true,"users":false,"tls":false,"power":true}');
        assert.deepEqual(await facts(page, ask), { name: "first", ticket: true, users: false, power: true });
        assert.deepEqual(asked, [place]);
    }
});

test("facts that are of other types are not there", async () => {
    const { ask } = answering(200, '{"name":7,"ticket":"yes","power":1}');
    assert.deepEqual(await facts("http://127.0.0.1/", ask), { name: "", ticket: false, users: false, power: false });
});

test("who cannot give the facts is told of with what it says", async () => {
    await assert.rejects(facts("http://127.0.0.1/", answering(502, "gone").ask), /502/);
    await assert.rejects(facts("http://127.0.0.1/", answering(200, "<html>").ask), SyntaxError);
});

test("SPICE is beside the page, encrypted where the page is", () => {
    assert.equal(spiceAddress("http://127.0.0.1:5980/"), "ws://127.0.0.1:5980/spice");
    assert.equal(spiceAddress("https://vm.example.org/vm/a%20b/?x=1#y"), "wss://vm.example.org/vm/a%20b/spice");
});

test("a page in a folder of the list leads back to it, another does not", () => {
    assert.equal(listAddress("http://127.0.0.1:1/vm/first/"), "http://127.0.0.1:1/");
    assert.equal(listAddress("http://127.0.0.1:1/x/vm/first/?y"), "http://127.0.0.1:1/x/");
    assert.equal(listAddress("http://127.0.0.1:1/"), null);
    assert.equal(listAddress("http://127.0.0.1:1/vm/first/more/"), null);
});

test("machines of the list have their pages in its folders or elsewhere, but nothing that would be run", () => {
    const list = "http://127.0.0.1:1/x/";
    assert.equal(pageAddress("vm/first/", list), "http://127.0.0.1:1/x/vm/first/");
    assert.equal(pageAddress("https://vm.example.org:5980/", list), "https://vm.example.org:5980/");
    assert.equal(pageAddress("javascript:alert(1)", list), null);
    assert.equal(pageAddress("data:text/html,x", list), null);
    assert.equal(pageAddress("https://vm.example.org:no/", list), null);
});

test("a ticket goes into a header whatever characters it has", () => {
    const value = bearer("Grüße, 世界\n");
    assert.match(value, /^Bearer [A-Za-z0-9+/]+=*$/);
    assert.equal(Buffer.from(value.slice(7), "base64").toString(), "Grüße, 世界\n");
});
