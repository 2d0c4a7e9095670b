import assert from "node:assert/strict";
import test from "node:test";

import { attachFiles, sizeText } from "../page/ui/files.js";
import { Page, event } from "./ui_doubles.js";

/** @param {boolean} [own] whether the page has an input of its own */
function start(own = true) {
    const page = new Page();
    const element = page.element();
    const list = page.element();
    const input = page.element();
    /** @type {any[]} */
    const sent = [];
    const files = attachFiles({
        element,
        send: (message) => sent.push(message),
        list,
        input: own ? input : undefined,
    });
    return {
        page,
        element,
        list,
        input,
        files,
        sent: () => sent.splice(0),
        /** Rows: name, how far, what is said, and what the button does. */
        rows: () =>
            list.children.map((/** @type {any} */ { children: [name, progress, state, button] }) => [
                name.textContent,
                progress.value / progress.max,
                state.textContent,
                button.textContent,
            ]),
        /** @param {number} index */
        press: (index) => list.children[index].children[3].dispatchEvent(event("click")),
        /**
         * @param {string} type
         * @param {any[]} items
         * @param {string[]} [types]
         */
        drag(type, items, types = ["Files"]) {
            const made = event(type, { dataTransfer: { types, items }, relatedTarget: null });
            element.dispatchEvent(made);
            return made.defaultPrevented;
        },
    };
}

/** @param {string} name */
function item(name, isDirectory = false) {
    const file = { name };
    return { kind: "file", getAsFile: () => file, webkitGetAsEntry: () => ({ name, isDirectory }) };
}

/** @param {number} id */
const progress = (id, fields = {}) => ({
    type: "files",
    id,
    name: "a.txt",
    size: 4096,
    sent: 0,
    state: "waiting",
    ...fields,
});

test("files that are dropped are sent, and folders are said not to be", () => {
    const { element, drag, sent, rows } = start();
    assert.ok(drag("dragenter", []));
    assert.ok(drag("dragover", []));
    assert.ok(element.classes.has("dropping"));
    const text = { kind: "string", getAsFile: () => null };
    assert.ok(drag("drop", [item("a"), item("dir", true), text, item("b")]));
    assert.ok(!element.classes.has("dropping"));
    assert.deepEqual(
        sent().map(({ type, file }) => [type, file.name]),
        [
            ["file", "a"],
            ["file", "b"],
        ],
    );
    assert.deepEqual(rows(), [["dir", 0, "failed: folders cannot be sent", "Remove"]]);
});

test("what is no file is the browser's", () => {
    const { drag, sent, element } = start();
    assert.ok(!drag("dragover", [], ["text/plain"]));
    assert.ok(!drag("drop", [], ["text/plain"]));
    assert.deepEqual(sent(), []);
    drag("dragover", []);
    drag("dragleave", []);
    assert.ok(!element.classes.has("dropping"));
});

test("files that are chosen are sent, the same one again too", () => {
    const { input, sent } = start();
    input.files = [{ name: "a" }, { name: "b" }];
    input.value = "C:\\fakepath\\a";
    input.dispatchEvent(event("change"));
    assert.deepEqual(
        sent().map(({ file }) => file.name),
        ["a", "b"],
    );
    assert.equal(input.value, "");
});

test("without an input one is made, and goes with the rest", () => {
    const { page, files, sent } = start(false);
    const made = /** @type {any} */ (page.body.children[3]);
    assert.deepEqual(
        [made.type, made.multiple, made.attributes.get("aria-label")],
        ["file", true, "Files for the guest"],
    );
    made.files = [{ name: "a" }];
    made.dispatchEvent(event("change"));
    assert.equal(sent().length, 1);
    files.detach();
    assert.equal(page.body.children.length, 3);
});

test("a file has one row, which says how far it is", () => {
    const { files, rows } = start();
    files.onMessage(progress(1));
    assert.deepEqual(rows(), [["a.txt", 0, "waiting", "Cancel"]]);
    files.onMessage(progress(1, { state: "sending", sent: 1024 }));
    assert.deepEqual(rows(), [["a.txt", 0.25, "1.0 KiB of 4.0 KiB", "Cancel"]]);
    files.onMessage(progress(1, { state: "done", sent: 4096 }));
    assert.deepEqual(rows(), [["a.txt", 1, "done", "Remove"]]);
    files.onMessage(progress(2, { size: 0, state: "failed", reason: "no space" }));
    assert.deepEqual(rows()[1], ["a.txt", 0, "failed: no space", "Remove"]);
    files.onMessage({ type: "notify" });
    assert.equal(rows().length, 2);
});

test("a file can be cancelled while it is on its way, and its row removed afterwards", () => {
    const { files, rows, press, sent } = start();
    files.onMessage(progress(7, { state: "sending" }));
    press(0);
    assert.deepEqual(sent(), [{ type: "fileCancel", id: 7 }]);
    files.onMessage(progress(7, { state: "cancelled" }));
    press(0);
    assert.deepEqual([rows(), sent()], [[], []]);
});

test("rows of files that are over go when there are many", () => {
    const { files, rows } = start();
    files.onMessage(progress(0, { state: "sending" }));
    for (let id = 1; id < 200; id++) {
        files.onMessage(progress(id, { state: "failed" }));
    }
    assert.equal(rows().length, 50);
    assert.equal(rows()[0][3], "Cancel");
});

test("sizes are told in units that fit", () => {
    assert.deepEqual([0, 1023, 1024, 10240, 1.5 * 2 ** 30, 2 ** 60].map(sizeText), [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "10 KiB",
        "1.5 GiB",
        "1048576 TiB",
    ]);
});
