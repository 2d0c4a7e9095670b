import assert from "node:assert/strict";
import test from "node:test";

import { attachKeyboard } from "../page/ui/keyboard.js";
import { Page, event } from "./ui_doubles.js";

const CTRL = 0x1d;
const ALT = 0x38;
const ALT_GR = 0x38e0;
const SHIFT = 0x2a;
const META = 0x5be0;
const A = 0x1e;
const NONE = { scroll: false, num: false, caps: false };

/** @param {"windows" | "mac" | "other"} [platform] */
function start(platform = "other") {
    const page = new Page();
    const element = page.element();
    /** @type {any[]} */
    const sent = [];
    let escapes = 0;
    /** @type {string[]} */
    const texts = [];
    const keyboard = attachKeyboard({
        element,
        send: (message) => sent.push(message),
        onEscape: () => escapes++,
        onText: (text) => texts.push(text),
        platform,
        later: page.later,
    });
    let time = 1000;
    /**
     * @param {string} type
     * @param {string} code
     * @param {Record<string, any>} [fields]
     */
    function key(type, code, fields = {}) {
        const name = code.replace(/(Left|Right)$/, "").replace(/^Key/, "");
        time += fields.after ?? 100;
        const made = event(type, { code, key: name, repeat: false, isComposing: false, timeStamp: time, ...fields });
        element.dispatchEvent(made);
        return made;
    }
    return {
        page,
        element,
        keyboard,
        texts,
        escapes: () => escapes,
        /** @type {(code: string, fields?: Record<string, any>) => Event} */
        down: (code, fields) => key("keydown", code, fields),
        /** @type {(code: string, fields?: Record<string, any>) => Event} */
        up: (code, fields) => key("keyup", code, fields),
        /** Keys since last asked: positive is down, negative is up. */
        keys: () =>
            sent
                .splice(0)
                .filter(({ type }) => type !== "lights")
                .map(({ type, scancode }) => (type === "keyDown" ? scancode : -scancode)),
        /** Everything since last asked. */
        all: () => sent.splice(0),
    };
}

test("a key goes down, repeats and goes up, and the browser does nothing with it", () => {
    const { down, up, keys } = start();
    assert.ok(down("KeyA").defaultPrevented);
    down("KeyA", { repeat: true });
    assert.ok(up("KeyA").defaultPrevented);
    assert.deepEqual(keys(), [A, A, -A]);
});

test("keys that nobody knows are the browser's, and what did not go down does not go up", () => {
    const { down, up, keys } = start();
    assert.ok(!down("").defaultPrevented);
    assert.ok(!down("Fn").defaultPrevented);
    up("KeyA");
    assert.deepEqual(keys(), []);
});

for (const [why, happens] of /** @type {[string, (it: ReturnType<typeof start>) => void][]} */ ([
    ["the element loses the focus", ({ element }) => element.dispatchEvent(event("blur"))],
    ["the window loses the focus", ({ page }) => page.defaultView.dispatchEvent(event("blur"))],
    ["release is called", ({ keyboard }) => keyboard.release()],
    ["it is detached", ({ keyboard }) => keyboard.detach()],
    [
        "the page is hidden",
        ({ page }) => {
            page.visibilityState = "hidden";
            page.dispatchEvent(event("visibilitychange"));
        },
    ],
])) {
    test(`all keys are let go when ${why}`, () => {
        const it = start();
        it.down("ShiftLeft", { modifiers: ["Shift"] });
        it.down("KeyA", { modifiers: ["Shift"] });
        it.keys();
        happens(it);
        assert.deepEqual(it.keys(), [-A, -SHIFT]);
        it.down("KeyA", { repeat: true });
        it.up("KeyA");
        assert.deepEqual(it.keys(), [], "it stays up until it is pressed again");
    });
}

test("a page that can be seen again lets nothing go", () => {
    const { page, down, keys } = start();
    down("KeyA");
    page.dispatchEvent(event("visibilitychange"));
    assert.deepEqual(keys(), [A]);
});

test("nothing is heard after it was detached", () => {
    const { keyboard, down, all } = start();
    keyboard.detach();
    assert.ok(!down("KeyA").defaultPrevented);
    assert.deepEqual(all(), []);
});

test("on Windows, AltGr has no Ctrl", () => {
    const { page, down, up, keys } = start("windows");
    down("ControlLeft", { modifiers: ["Control"] });
    assert.deepEqual(keys(), []);
    down("AltRight", { key: "AltGraph", after: 0, modifiers: ["AltGraph"] });
    assert.deepEqual(keys(), [ALT_GR]);
    down("ControlLeft", { repeat: true });
    down("AltRight", { key: "AltGraph", after: 0, repeat: true, modifiers: ["AltGraph"] });
    up("ControlLeft");
    up("AltRight", { key: "AltGraph", after: 0 });
    page.wait();
    assert.deepEqual(keys(), [ALT_GR, -ALT_GR]);
});

test("on Windows, a real Ctrl comes with the next key, when it goes up, or after a moment", () => {
    const { page, down, up, keys } = start("windows");
    down("ControlLeft", { modifiers: ["Control"] });
    down("KeyA", { modifiers: ["Control"] });
    assert.deepEqual(keys(), [CTRL, A]);
    up("KeyA");
    up("ControlLeft");
    keys();
    down("ControlLeft", { modifiers: ["Control"] });
    up("ControlLeft");
    assert.deepEqual(keys(), [CTRL, -CTRL]);
    down("ControlLeft", { modifiers: ["Control"] });
    page.wait();
    assert.deepEqual(keys(), [CTRL]);
    down("AltRight", { modifiers: ["Control", "Alt"] });
    assert.deepEqual(keys(), [ALT_GR]);
});

test("on Windows, Ctrl and AltGr one after the other are both real", () => {
    const { down, keys } = start("windows");
    down("ControlLeft", { modifiers: ["Control"] });
    down("AltRight", { key: "Alt", after: 40, modifiers: ["Control", "Alt"] });
    assert.deepEqual(keys(), [CTRL, ALT_GR]);
});

test("on Windows, no Ctrl is added while AltGr is down, and a real one is not lost because browsers hide it", () => {
    const { page, down, keys } = start("windows");
    down("ControlLeft", { modifiers: ["Control"] });
    page.wait();
    down("AltRight", { key: "AltGraph", modifiers: ["AltGraph"] });
    down("KeyA", { modifiers: ["AltGraph"] });
    assert.deepEqual(keys(), [CTRL, ALT_GR, A]);
    const other = start("windows");
    other.down("AltRight", { key: "AltGraph", modifiers: ["AltGraph"] });
    other.down("ControlLeft", { modifiers: ["AltGraph"] });
    other.page.wait();
    assert.deepEqual(other.keys(), [ALT_GR]);
});

test("elsewhere Ctrl goes at once", () => {
    const { down, keys } = start();
    down("ControlLeft", { modifiers: ["Control"] });
    assert.deepEqual(keys(), [CTRL]);
});

test("on a Mac, keys go up with Meta, and modifiers do not", () => {
    const { down, up, keys } = start("mac");
    down("MetaLeft", { modifiers: ["Meta"] });
    down("ShiftLeft", { modifiers: ["Meta", "Shift"] });
    down("KeyA", { modifiers: ["Meta", "Shift"] });
    assert.deepEqual(keys(), [META, SHIFT, A]);
    up("MetaLeft", { modifiers: ["Shift"] });
    assert.deepEqual(keys(), [-META, -A]);
    up("ShiftLeft");
    assert.deepEqual(keys(), [-SHIFT]);
});

test("elsewhere, keys stay down when Meta goes up", () => {
    const { down, up, keys } = start();
    down("MetaLeft", { modifiers: ["Meta"] });
    down("KeyA", { modifiers: ["Meta"] });
    up("MetaLeft");
    assert.deepEqual(keys(), [META, A, -META]);
});

test("on a Mac, Caps Lock is pressed whether it is switched on or off", () => {
    const { down, up, keys } = start("mac");
    down("CapsLock", { modifiers: ["CapsLock"] });
    assert.deepEqual(keys(), [0x3a, -0x3a]);
    up("CapsLock");
    assert.deepEqual(keys(), [0x3a, -0x3a]);
});

test("a modifier whose going up was lost goes up before the next key", () => {
    const { down, keys } = start();
    down("ShiftLeft", { modifiers: ["Shift"] });
    down("ShiftRight", { modifiers: ["Shift"] });
    keys();
    down("KeyA");
    assert.deepEqual(keys(), [-SHIFT, -0x36, A]);
});

test("a key that is no modifier where it is, is not taken for one that was lost", () => {
    const { down, keys } = start();
    // Caps Lock as Ctrl, and the right Alt as Compose.
    down("AltRight", { key: "Compose" });
    down("KeyA");
    assert.deepEqual(keys(), [ALT_GR, A]);
});

test("Ctrl and Alt, pressed and let go, escape, in any order", () => {
    const { down, up, escapes, keys } = start();
    down("ControlLeft", { modifiers: ["Control"] });
    down("AltLeft", { modifiers: ["Control", "Alt"] });
    up("ControlLeft", { modifiers: ["Alt"] });
    assert.equal(escapes(), 0);
    up("AltLeft");
    assert.equal(escapes(), 1);
    assert.deepEqual(keys(), [CTRL, ALT, -CTRL, -ALT]);
    down("AltLeft", { modifiers: ["Alt"] });
    down("AltLeft", { repeat: true, modifiers: ["Alt"] });
    down("ControlRight", { modifiers: ["Control", "Alt"] });
    up("ControlRight", { modifiers: ["Alt"] });
    up("AltLeft");
    assert.equal(escapes(), 2);
});

test("Ctrl and Alt escape nothing when there was something else", () => {
    const { element, down, up, escapes } = start();
    /** @param {() => void} between */
    function chord(between) {
        down("ControlLeft", { modifiers: ["Control"] });
        down("AltLeft", { modifiers: ["Control", "Alt"] });
        between();
        up("AltLeft", { modifiers: ["Control"] });
        up("ControlLeft");
    }
    chord(() => {
        down("Delete", { modifiers: ["Control", "Alt"] });
        up("Delete", { modifiers: ["Control", "Alt"] });
    });
    chord(() => element.dispatchEvent(event("pointerdown")));
    chord(() => element.dispatchEvent(event("blur")));
    down("KeyA");
    chord(() => {});
    up("KeyA");
    down("ControlLeft", { modifiers: ["Control"] });
    up("ControlLeft");
    down("AltLeft", { modifiers: ["Alt"] });
    up("AltLeft");
    assert.equal(escapes(), 0);
    chord(() => {});
    assert.equal(escapes(), 1);
});

test("a combination is pressed in order and let go the other way round", () => {
    const { keyboard, keys } = start();
    keyboard.press([CTRL, ALT, 0x53e0]);
    assert.deepEqual(keys(), [CTRL, ALT, 0x53e0, -0x53e0, -ALT, -CTRL]);
});

test("a sticky key stays down until it is switched off, whatever the person does", () => {
    const { element, keyboard, down, up, keys } = start();
    keyboard.setSticky("ctrl", true);
    keyboard.setSticky("ctrl", true);
    assert.deepEqual(keys(), [CTRL]);
    element.dispatchEvent(event("blur"));
    down("KeyA");
    up("KeyA");
    assert.deepEqual(keys(), [A, -A]);
    down("ControlLeft", { modifiers: ["Control"] });
    up("ControlLeft");
    assert.ok(!keys().includes(-CTRL));
    keyboard.setSticky("ctrl", false);
    assert.deepEqual(keys(), [-CTRL]);
    keyboard.setSticky("super", true);
    keyboard.release();
    assert.deepEqual(keys(), [META, -META]);
});

test("lights are told before the first key, and when they have changed without one", () => {
    const { element, down, up, all } = start();
    down("KeyA", { modifiers: ["NumLock"] });
    assert.deepEqual(all(), [
        { type: "lights", ...NONE, num: true },
        { type: "keyDown", scancode: A },
    ]);
    up("KeyA", { modifiers: ["NumLock"] });
    down("KeyA", { modifiers: ["NumLock"] });
    assert.ok(all().every(({ type }) => type !== "lights"));
    element.dispatchEvent(event("pointerdown", { modifiers: ["NumLock", "CapsLock"] }));
    assert.deepEqual(all(), [{ type: "lights", scroll: false, num: true, caps: true }]);
});

test("lights are told again after the focus was lost", () => {
    const { element, down, all } = start();
    down("KeyA");
    element.dispatchEvent(event("blur"));
    all();
    down("KeyA");
    assert.deepEqual(all()[0], { type: "lights", ...NONE });
});

test("what a lock key changes is left to the guest", () => {
    const { down, up, all } = start();
    down("KeyA");
    up("KeyA");
    all();
    down("CapsLock", { modifiers: ["CapsLock"] });
    up("CapsLock", { modifiers: ["CapsLock"] });
    down("KeyA", { modifiers: ["CapsLock"] });
    assert.deepEqual(
        all().map(({ type }) => type),
        ["keyDown", "keyUp", "keyDown"],
    );
});

test("on a Mac, the keypad has digits", () => {
    const { down, all } = start("mac");
    down("KeyA");
    assert.deepEqual(all()[0], { type: "lights", ...NONE, num: true });
});

test("dead keys go by their place, and what is composed comes as text", () => {
    const { element, down, up, keys, texts } = start();
    down("Equal", { key: "Dead" });
    up("Equal", { key: "Dead" });
    assert.deepEqual(keys(), [0x0d, -0x0d]);
    down("KeyA", { isComposing: true });
    down("KeyA", { keyCode: 229, key: "Process" });
    up("KeyA");
    element.value = "한";
    element.dispatchEvent(event("compositionend", { data: "한" }));
    element.dispatchEvent(event("compositionend", { data: "" }));
    assert.deepEqual(keys(), []);
    assert.deepEqual(texts, ["한"]);
    assert.equal(element.value, "");
});

test("a keyboard on the screen writes text, and has keys to delete and to end lines", () => {
    const { element, keys, texts } = start();
    const write = (/** @type {string} */ inputType, /** @type {any} */ fields = {}) => {
        const made = event("beforeinput", { inputType, isComposing: false, data: null, ...fields });
        element.dispatchEvent(made);
        return made.defaultPrevented;
    };
    assert.ok(write("insertText", { data: "a" }));
    assert.ok(write("deleteContentBackward"));
    assert.ok(write("insertLineBreak"));
    assert.ok(!write("insertCompositionText", { data: "b", isComposing: true }));
    assert.deepEqual(texts, ["a"]);
    assert.deepEqual(keys(), [0x0e, -0x0e, 0x1c, -0x1c]);
});
