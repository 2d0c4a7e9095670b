import assert from "node:assert/strict";
import test from "node:test";

import { attachClipboard } from "../page/ui/clipboard.js";
import { Page, event } from "./ui_doubles.js";

const TEXT = "text/plain";
const PNG = "image/png";

/** What was begun by promises that are kept already is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/**
 * A page with a panel, and with a browser's clipboard if there is one.
 * @param {{clipboard?: boolean, permission?: string | null}} [options] permission: null where browsers know none
 */
function start({ clipboard = true, permission = "granted" } = {}) {
    const page = new Page();
    const panel = page.element();
    panel.value = "";
    /** @type {any[]} */
    const sent = [];
    /** @type {string[]} */
    const notices = [];
    const browser = {
        /** @type {Record<string, any>} */
        has: {},
        refuses: false,
        reads: 0,
        /** @param {string} text */
        async writeText(text) {
            if (this.refuses) {
                throw new Error("not now");
            }
            this.has = { [TEXT]: text };
        },
        /** @param {any[]} items */
        async write([item]) {
            if (this.refuses) {
                throw new Error("not now");
            }
            this.has = item.items;
        },
        async read() {
            this.reads++;
            const getType = async (/** @type {string} */ type) => new Blob([this.has[type]], { type });
            return [{ types: Object.keys(this.has), getType }];
        },
    };
    const view = page.defaultView;
    view.ClipboardItem = class {
        /** @param {any} items */
        constructor(items) {
            this.items = items;
        }
    };
    view.navigator.permissions = {
        async query() {
            if (permission === null) {
                throw new TypeError("clipboard-read");
            }
            return { state: permission };
        },
    };
    if (clipboard) {
        view.navigator.clipboard = browser;
    }
    const attached = attachClipboard({
        send: (message) => sent.push(message),
        panel,
        notify: (text) => notices.push(text),
    });
    return {
        page,
        panel,
        browser,
        notices,
        attached,
        /** @param {any} message */
        async hear(message) {
            attached.onMessage(message);
            await settled();
            return sent.splice(0);
        },
        async focus() {
            view.dispatchEvent(event("focus"));
            await settled();
            return sent.splice(0);
        },
        /** @param {string} text */
        type(text) {
            panel.value = text;
            panel.dispatchEvent(event("input"));
            return sent.splice(0);
        },
        /** @param {any[]} files */
        paste(files) {
            panel.dispatchEvent(event("paste", { clipboardData: { files } }));
            return sent.splice(0);
        },
    };
}

const SESSION = { type: "session", role: "control", clipboard: true };
const OFFER_TEXT = { type: "clipboard", what: "offer", types: [TEXT] };
const OFFER_PNG = { type: "clipboard", what: "offer", types: [PNG] };
/** @param {string} data */
const text = (data) => ({ type: "clipboard", what: "data", kind: TEXT, data });
const png = () => ({ type: "clipboard", what: "data", kind: PNG, data: new Uint8Array([1, 2, 3]).buffer });

test("text that the guest has copied is asked for, and is on the clipboard and in the panel", async () => {
    const { browser, panel, hear, focus } = start();
    await hear(SESSION);
    const asked = await hear({ type: "clipboard", what: "offer", types: [PNG, TEXT] });
    assert.deepEqual(asked, [{ type: "clipboardRequest", kind: TEXT }]);
    assert.deepEqual(await hear(text("from the guest")), []);
    assert.deepEqual(browser.has, { [TEXT]: "from the guest" });
    assert.equal(panel.value, "from the guest");
    assert.deepEqual(await focus(), [], "the guest is not offered what it had");
});

test("pictures that the guest has copied are on the clipboard, and are not offered to it", async () => {
    const { browser, hear, focus } = start();
    await hear(SESSION);
    assert.deepEqual(await hear(OFFER_PNG), [{ type: "clipboardRequest", kind: PNG }]);
    await hear(png());
    assert.deepEqual(new Uint8Array(await browser.has[PNG].arrayBuffer()), new Uint8Array([1, 2, 3]));
    // As browsers write it anew.
    browser.has = { [PNG]: "anew" };
    assert.deepEqual(await focus(), []);
    assert.deepEqual(await focus(), []);
    browser.has = { [PNG]: "another one" };
    assert.deepEqual(await focus(), [OFFER_PNG]);
    const [answer] = await hear({ type: "clipboardRequest", kind: PNG });
    assert.equal(new TextDecoder().decode(answer.data), "another one");
});

test("what cannot be had, or is of no kind that we know, changes nothing", async () => {
    const { browser, hear, panel } = start();
    await hear(SESSION);
    assert.deepEqual(await hear({ type: "clipboard", what: "offer", types: ["text/html"] }), []);
    await hear({ type: "clipboard", what: "data", kind: TEXT, data: null });
    await hear({ type: "clipboard", what: "data", kind: null, data: null });
    assert.deepEqual([browser.has, panel.value], [{}, ""]);
});

test("where the browser waits for the person, the next click or key puts the text there", async () => {
    for (const type of ["pointerup", "keydown"]) {
        const { page, browser, hear } = start();
        await hear(SESSION);
        browser.refuses = true;
        await hear(text("later"));
        browser.refuses = false;
        assert.deepEqual(browser.has, {});
        page.dispatchEvent(event(type));
        await settled();
        assert.deepEqual(browser.has, { [TEXT]: "later" });
    }
});

test("a page without the focus waits for it, and forgets what the guest has no more", async () => {
    const { page, browser, hear, focus } = start();
    await hear(SESSION);
    page.focused = false;
    await hear(text("later"));
    assert.deepEqual(browser.has, {});
    page.focused = true;
    await focus();
    assert.deepEqual(browser.has, { [TEXT]: "later" });
    page.focused = false;
    await hear(text("never"));
    await hear({ type: "clipboard", what: "release" });
    page.focused = true;
    await focus();
    assert.deepEqual(browser.has, { [TEXT]: "later" });
});

test("without a clipboard the panel has the text, which is said once, and pictures are said to be lost", async () => {
    const { panel, notices, hear } = start({ clipboard: false });
    await hear(SESSION);
    await hear(text("one"));
    await hear(text("two"));
    assert.equal(panel.value, "two");
    assert.equal(notices.length, 1);
    await hear(png());
    assert.match(notices[1], /picture.*https/);
});

test("what was copied elsewhere is offered when the page gets the focus, once", async () => {
    const { browser, hear, focus } = start();
    browser.has = { [TEXT]: "first" };
    assert.deepEqual(await hear(SESSION), [OFFER_TEXT]);
    assert.deepEqual(await focus(), []);
    browser.has = { [TEXT]: "second", [PNG]: "picture" };
    assert.deepEqual(await focus(), [{ type: "clipboard", what: "offer", types: [TEXT, PNG] }]);
    assert.deepEqual(await hear({ type: "clipboardRequest", kind: TEXT }), [text("second")]);
    assert.deepEqual(await hear({ type: "clipboardRequest", kind: "text/html" }), [
        { type: "clipboard", what: "data", kind: "text/html", data: null },
    ]);
});

test("the clipboard is not looked at where the person would be asked each time, or has said no", async () => {
    for (const permission of [null, "denied"]) {
        const { browser, hear, focus } = start({ permission });
        browser.has = { [TEXT]: "secret" };
        assert.deepEqual(await hear(SESSION), []);
        assert.deepEqual(await focus(), []);
        assert.equal(browser.reads, 0);
    }
});

test("a guest that cannot have a clipboard, or is only looked at, is offered nothing", async () => {
    for (const session of [
        { ...SESSION, clipboard: false },
        { ...SESSION, role: "view" },
    ]) {
        const { browser, hear, focus, type } = start();
        browser.has = { [TEXT]: "secret" };
        assert.deepEqual(await hear(session), []);
        assert.deepEqual(await focus(), []);
        assert.equal(browser.reads, 0);
        assert.deepEqual(type("x"), []);
    }
});

test("what is written or pasted into the panel is offered, also to an agent that comes later", async () => {
    const { hear, type, paste } = start({ clipboard: false });
    assert.deepEqual(type("early"), []);
    assert.deepEqual(await hear(SESSION), [OFFER_TEXT]);
    assert.deepEqual(await hear(SESSION), []);
    assert.deepEqual(await hear({ type: "clipboardRequest", kind: TEXT }), [text("early")]);
    assert.deepEqual(paste([new Blob(["x"], { type: "image/jpeg" })]), []);
    assert.deepEqual(paste([new Blob(["x"], { type: PNG })]), [OFFER_PNG]);
    const [answer] = await hear({ type: "clipboardRequest", kind: TEXT });
    assert.equal(answer.data, null, "it is a picture now");
});

test("too much is not offered, which is said", async () => {
    const { hear, paste, notices } = start();
    await hear(SESSION);
    assert.deepEqual(paste([{ type: PNG, size: 33 << 20 }]), []);
    assert.match(notices[0], /32 MiB/);
});

test("a picture that cannot be read is said to be missing", async () => {
    const { hear, paste, notices } = start();
    await hear(SESSION);
    paste([{ type: PNG, size: 3, arrayBuffer: () => Promise.reject(new Error("gone")) }]);
    const [answer] = await hear({ type: "clipboardRequest", kind: PNG });
    assert.equal(answer.data, null);
    assert.match(notices[0], /gone/);
});

test("detached, it offers nothing more", async () => {
    const { attached, browser, hear, focus, type } = start();
    await hear(SESSION);
    attached.detach();
    browser.has = { [TEXT]: "x" };
    assert.deepEqual(await focus(), []);
    assert.deepEqual(type("y"), []);
});
