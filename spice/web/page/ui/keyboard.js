// The keyboard: events of an element to keys of the guest. Keys go by their place on the keyboard, so that the guest's
// layout decides what they write.

import { SCANCODES } from "./scancodes.js";
import { timer } from "./timer.js";

/**
 * How keys behave where the browser runs: "windows" has a Ctrl that nobody pressed before AltGr, "mac" does not tell
 * of keys that go up while Meta is down.
 * @typedef {"windows" | "mac" | "other"} Platform
 */

/** Keys that setSticky can hold. */
const STICKY = { ctrl: "ControlLeft", alt: "AltLeft", shift: "ShiftLeft", super: "MetaLeft" };
/** Keys that change a light. */
const LOCKS = new Set(["CapsLock", "NumLock", "ScrollLock"]);
const MODIFIERS = new Set(["Control", "Shift", "Alt", "AltGraph", "Meta"]);
/**
 * Most milliseconds between the Ctrl that Windows adds and the AltGr that it belongs to. They are made together, and
 * nobody presses two keys so quickly.
 */
const FALSE_CTRL_MS = 25;
/** KeyboardEvent.keyCode of what an input method takes, in Safari after the composition as well. */
const COMPOSING_KEY = 229;

/** @returns {Platform} */
function platformHere() {
    const name = globalThis.navigator?.platform ?? "";
    return /^win/i.test(name) ? "windows" : /^(mac|iphone|ipad)/i.test(name) ? "mac" : "other";
}

/**
 * Listens to an element, which must be able to have the focus.
 * @param {object} options
 * @param {HTMLElement} options.element
 * @param {(message: {type: "keyDown" | "keyUp", scancode: number} |
 *     {type: "lights", scroll: boolean, num: boolean, caps: boolean}) => void} options.send to the worker
 * @param {() => void} [options.onEscape] Ctrl and Alt were pressed and let go, and nothing else meanwhile
 * @param {(text: string) => void} [options.onText] text without keys: from an input method or a keyboard on the screen;
 *     only an element that can be edited has it
 * @param {Platform} [options.platform] where the browser runs; found out without
 * @param {(run: () => void, milliseconds: number) => () => void} [options.later] a timer; returns what stops it
 * @returns {{
 *     release(): void,
 *     press(scancodes: number[]): void,
 *     setSticky(name: "ctrl" | "alt" | "shift" | "super", on: boolean): void,
 *     detach(): void,
 * }} release: lets all keys go, sticky ones too; press: taps a combination; detach: releases, and listens no more. Keys
 *     that are not sticky are let go as soon as the element loses the focus or the page cannot be seen
 */
export function attachKeyboard({ element, send, onEscape, onText, platform = platformHere(), later = timer }) {
    /** @type {Map<string, string>} KeyboardEvent.key of those that are down, as it was then, by their codes */
    const held = new Map();
    /** @type {Set<string>} codes */
    const sticky = new Set();
    /** @type {{event: KeyboardEvent, stop: () => void} | null} a Ctrl that AltGr may follow */
    let doubtful = null;
    /** Ctrl and Alt: how far the chord is. "none": nothing is down; "spoilt": until nothing is down. */
    let chord = /** @type {"none" | "begun" | "armed" | "spoilt"} */ ("none");
    /** As last said, or as the guest must have them; empty: not known. */
    let lights = "";

    /** @param {KeyboardEvent} event */
    function down({ code, key }) {
        const isNew = !held.has(code);
        held.set(code, key);
        if (isNew && chord !== "spoilt") {
            const names = [...held.keys()].map((code) => /^(Control|Alt)/.exec(code)?.[0]);
            const both = names.includes("Control") && names.includes("Alt");
            chord = names.includes(undefined) ? "spoilt" : both || chord === "armed" ? "armed" : "begun";
        }
        send({ type: "keyDown", scancode: scancodeOf(code) });
    }

    /** @param {string} code */
    function up(code) {
        if (!held.delete(code)) {
            return;
        }
        if (!sticky.has(code)) {
            send({ type: "keyUp", scancode: scancodeOf(code) });
        }
        if (held.size === 0) {
            const escaped = chord === "armed";
            chord = "none";
            if (escaped) {
                onEscape?.();
            }
        }
    }

    /** Sends a Ctrl that was real. */
    function settle() {
        if (doubtful !== null) {
            const { event, stop } = doubtful;
            doubtful = null;
            stop();
            down(event);
        }
    }

    /** Lets the keys go that the person holds, or held. */
    function letGo() {
        doubtful?.stop();
        doubtful = null;
        chord = "spoilt";
        [...held.keys()].reverse().forEach(up);
        chord = "none";
        // Lights may change while nobody tells us.
        lights = "";
    }

    function release() {
        letGo();
        [...sticky].forEach((code) => stick(code, false));
    }

    /**
     * @param {string} code
     * @param {boolean} on
     */
    function stick(code, on) {
        const changed = sticky.delete(code) !== on;
        if (on) {
            sticky.add(code);
        }
        if (changed && !held.has(code)) {
            send({ type: on ? "keyDown" : "keyUp", scancode: scancodeOf(code) });
        }
    }

    /** @param {number[]} scancodes */
    function press(scancodes) {
        scancodes.forEach((scancode) => send({ type: "keyDown", scancode }));
        [...scancodes].reverse().forEach((scancode) => send({ type: "keyUp", scancode }));
    }

    /** @param {KeyboardEvent | MouseEvent} event */
    function lightsOf(event) {
        return {
            scroll: event.getModifierState("ScrollLock"),
            // There is no such key on a Mac, its keypad has digits always.
            num: platform === "mac" || event.getModifierState("NumLock"),
            caps: event.getModifierState("CapsLock"),
        };
    }

    /**
     * Says how the lights are, if that is not known from the keys.
     * @param {KeyboardEvent | MouseEvent} event
     */
    function tellLights(event) {
        const now = lightsOf(event);
        if (lights !== String(Object.values(now))) {
            lights = String(Object.values(now));
            send({ type: "lights", ...now });
        }
    }

    /**
     * Lets modifiers go that are not down any more although nobody said so: another window took the event, or both
     * Shift keys were down, of which Windows tells one.
     * @param {KeyboardEvent} event
     */
    function dropLost(event) {
        for (const [code, key] of [...held]) {
            // With AltGr, browsers on Windows hide that Ctrl is down.
            const hidden = key === "Control" && event.getModifierState("AltGraph");
            if (code !== event.code && MODIFIERS.has(key) && !hidden && !event.getModifierState(key)) {
                chord = "spoilt";
                up(code);
            }
        }
    }

    /** @param {KeyboardEvent} event */
    function onKeyDown(event) {
        const { code } = event;
        // What an input method takes comes as text when it is done.
        if (event.isComposing || event.keyCode === COMPOSING_KEY || !SCANCODES.has(code)) {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
        if (code === "AltRight" && doubtful !== null && event.timeStamp - doubtful.event.timeStamp <= FALSE_CTRL_MS) {
            doubtful.stop();
            doubtful = null;
        }
        settle();
        if (event.repeat) {
            // A key that was let go meanwhile stays up until it is pressed again.
            if (held.has(code)) {
                down(event);
            }
            return;
        }
        dropLost(event);
        if (LOCKS.has(code)) {
            lockKey(event, true);
            return;
        }
        tellLights(event);
        if (platform !== "windows" || code !== "ControlLeft") {
            down(event);
        } else if (!held.has("AltRight")) {
            doubtful = { event, stop: later(settle, FALSE_CTRL_MS * 2) };
        }
    }

    /** @param {KeyboardEvent} event */
    function onKeyUp(event) {
        const { code } = event;
        if (!SCANCODES.has(code)) {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
        settle();
        if (LOCKS.has(code)) {
            lockKey(event, false);
            return;
        }
        up(code);
        if (platform === "mac" && event.key === "Meta") {
            [...held].filter(([, key]) => !MODIFIERS.has(key)).forEach(([other]) => up(other));
        }
    }

    /**
     * The guest changes its own light by the key. What browsers say about it before the key is up differs, and to tell
     * the guest before it has changed it would change it twice.
     * @param {KeyboardEvent} event
     * @param {boolean} pressed
     */
    function lockKey(event, pressed) {
        // On a Mac, Caps Lock goes down when it is switched on and up when it is switched off.
        const isWhole = platform === "mac" && event.code === "CapsLock";
        if (pressed || isWhole) {
            down(event);
        }
        if (!pressed || isWhole) {
            up(event.code);
            lights &&= String(Object.values(lightsOf(event)));
        }
    }

    /** @param {CompositionEvent} event */
    function onComposed(event) {
        if (event.data !== "") {
            onText?.(event.data);
        }
        // An element that takes text keeps none.
        if ("value" in element) {
            element.value = "";
        }
    }

    /**
     * Keyboards on screens often write without keys.
     * @param {InputEvent} event
     */
    function onBeforeInput(event) {
        if (event.isComposing || event.inputType === "insertCompositionText") {
            return;
        }
        event.preventDefault();
        if (event.inputType === "deleteContentBackward") {
            press([scancodeOf("Backspace")]);
        } else if (event.inputType === "insertLineBreak" || event.inputType === "insertParagraph") {
            press([scancodeOf("Enter")]);
        } else if (event.data) {
            onText?.(event.data);
        }
    }

    /** @param {MouseEvent} event */
    function onPointer(event) {
        settle();
        if (chord !== "none") {
            chord = "spoilt";
        }
        tellLights(event);
    }

    function onHidden() {
        if (page.visibilityState === "hidden") {
            letGo();
        }
    }

    const page = element.ownerDocument;
    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener("keydown", onKeyDown, { signal });
    element.addEventListener("keyup", onKeyUp, { signal });
    element.addEventListener("compositionend", onComposed, { signal });
    element.addEventListener("beforeinput", onBeforeInput, { signal });
    // Before anybody sends the button: what the keys are comes first.
    element.addEventListener("pointerdown", onPointer, { signal, capture: true });
    element.addEventListener("blur", letGo, { signal });
    page.addEventListener("visibilitychange", onHidden, { signal });
    page.defaultView?.addEventListener("blur", letGo, { signal });

    return {
        release,
        press,
        setSticky: (name, on) => stick(STICKY[name], on),
        detach() {
            release();
            listening.abort();
        },
    };
}

/** @param {string} code that SCANCODES has */
function scancodeOf(code) {
    return /** @type {number} */ (SCANCODES.get(code));
}
