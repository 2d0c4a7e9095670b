// Keys of the console: the keyboard of the stage, the one on touch screens, and buttons for keys that browsers keep.

import { buttonOf, element, makeButton } from "./dom.js";
import { attachKeyboard } from "./keyboard.js";
import { SCANCODES } from "./scancodes.js";

/** Combinations that a browser, or the system below it, does not give away; by `KeyboardEvent.code`. */
const COMBINATIONS = /** @type {const} */ ([
    ["Ctrl+Alt+Del", "ControlLeft AltLeft Delete"],
    ["Alt+Tab", "AltLeft Tab"],
    ["Alt+F4", "AltLeft F4"],
    ["Ctrl+W", "ControlLeft KeyW"],
    ["Ctrl+T", "ControlLeft KeyT"],
    ["Ctrl+N", "ControlLeft KeyN"],
    ["Ctrl+Shift+Esc", "ControlLeft ShiftLeft Escape"],
    ["Super", "MetaLeft"],
    ["Super+L", "MetaLeft KeyL"],
    ["Super+R", "MetaLeft KeyR"],
    ["Print", "PrintScreen"],
    ["Menu", "ContextMenu"],
    ["Esc", "Escape"],
    ["Tab", "Tab"],
]);
const STICKY = /** @type {const} */ ([
    ["Ctrl", "ctrl"],
    ["Alt", "alt"],
    ["Shift", "shift"],
    ["Super", "super"],
]);
const FUNCTION_KEYS = 12;
/** Milliseconds between two strokes that are typed: keyboards of guests keep few bytes for those who read slowly. */
const STROKE_EVERY = 12;

/**
 * Scan codes of keys by their codes, with spaces between.
 * @param {string} codes
 */
function scancodes(codes) {
    return codes.split(" ").flatMap((code) => SCANCODES.get(code) ?? []);
}

/**
 * @param {object} options
 * @param {HTMLElement} options.stage
 * @param {(message: any) => void} options.act sends to the worker, if this person may do anything
 * @param {() => void} options.onEscape the person wants to leave the screen
 * @param {(text: string) => void} options.onText text that came without keys
 */
export function attachConsole({ stage, act, onEscape, onText }) {
    const soft = element("soft-keyboard", HTMLTextAreaElement);
    const sticky = element("sticky", HTMLElement);
    let lights = { scroll: false, num: false, caps: false };

    function leave() {
        if (document.pointerLockElement !== null) {
            document.exitPointerLock();
        }
        onEscape();
    }
    const keyboard = attachKeyboard({ element: stage, send: act, onEscape: leave });
    const touch = attachKeyboard({ element: soft, send: act, onEscape: leave, onText });

    for (const [text, name] of STICKY) {
        const made = makeButton(text, () => {
            const on = made.getAttribute("aria-pressed") !== "true";
            made.setAttribute("aria-pressed", String(on));
            keyboard.setSticky(name, on);
        });
        made.setAttribute("aria-pressed", "false");
        sticky.append(made);
    }
    element("combinations", HTMLElement).append(
        ...COMBINATIONS.map(([text, codes]) => makeButton(text, () => keyboard.press(scancodes(codes)))),
    );
    element("consoles", HTMLElement).append(
        ...Array.from({ length: FUNCTION_KEYS }, (_, index) => {
            const key = `F${index + 1}`;
            const made = makeButton(key, () => keyboard.press(scancodes(`ControlLeft AltLeft ${key}`)));
            made.setAttribute("aria-label", `Ctrl+Alt+${key}`);
            return made;
        }),
    );
    buttonOf("show-keyboard", () => soft.focus());

    /** Lets all keys go. */
    function release() {
        keyboard.release();
        touch.release();
        sticky.querySelectorAll("button").forEach((made) => made.setAttribute("aria-pressed", "false"));
    }
    document.addEventListener("fullscreenchange", release);

    /** Ends when the strokes before have been pressed: texts do not mix. */
    let before = Promise.resolve();

    /**
     * @param {number[][]} strokes
     * @param {(done: number) => boolean} goesOn
     */
    async function press(strokes, goesOn) {
        // Capitals are made by Shift.
        if (lights.caps) {
            act({ type: "lights", ...lights, caps: false });
        }
        for (let at = 0; at < strokes.length && goesOn(at); at++) {
            keyboard.press(strokes[at]);
            await new Promise((done) => setTimeout(done, STROKE_EVERY));
        }
    }

    return {
        release,
        /** @param {any} message lights of the guest */
        lights({ scroll, num, caps }) {
            lights = { scroll, num, caps };
        },
        /**
         * Presses combinations one after the other, behind those that are being pressed. Keys that are held stay so.
         * @param {number[][]} strokes
         * @param {(done: number) => boolean} goesOn told how many are done; false: no more
         * @returns {Promise<void>} ends with the last of them
         */
        strokes(strokes, goesOn) {
            before = before.then(() => press(strokes, goesOn));
            return before;
        },
    };
}
