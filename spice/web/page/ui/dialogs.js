// Dialogs: a question, and "Type text", for guests that have no agent or a field that takes no paste.

import { buttonOf, element, make, recall, remember } from "./dom.js";
import { LAYOUTS } from "./layouts.js";
import { notice } from "./notices.js";
import { strokes } from "./typing.js";

/** @typedef {keyof typeof LAYOUTS} LayoutName */

/** Most characters that are told of as unknown. */
const TOLD = 12;

/**
 * Asks before something that cannot be taken back.
 * @param {{title: string, text: string, yes: string}} question yes: what the button says
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes }) {
    const dialog = element("confirm-dialog", HTMLDialogElement);
    element("confirm-title", HTMLElement).textContent = title;
    element("confirm-text", HTMLElement).textContent = text;
    buttonOf("confirm-yes").textContent = yes;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
}

/** The layout that people with the browser's language mostly have. */
function usual() {
    const language = navigator.language.toLowerCase();
    const name = language === "en-gb" ? "gb" : language.slice(0, 2);
    return Object.hasOwn(LAYOUTS, name) ? /** @type {LayoutName} */ (name) : "us";
}

/** @param {string[]} unknown */
function complaint(unknown) {
    const told = unknown.slice(0, TOLD).join(" ");
    return `This layout has no keys for: ${told}${unknown.length > TOLD ? " …" : ""}. They are left out.`;
}

/**
 * @param {object} options
 * @param {ReturnType<typeof import("./console.js").attachConsole>} options.keys
 * @param {() => boolean} options.mayType
 * @param {(text: string) => boolean} options.paste has the guest paste a text, if it shares its clipboard
 */
export function attachTypeText({ keys, mayType, paste }) {
    const dialog = element("type-dialog", HTMLDialogElement);
    const field = element("type-field", HTMLTextAreaElement);
    const layouts = element("type-layout", HTMLSelectElement);
    const note = element("type-note", HTMLElement);
    const progress = element("type-progress", HTMLProgressElement);
    const start = buttonOf("type-start", () => void type());
    const names = /** @type {LayoutName[]} */ (Object.keys(LAYOUTS));

    layouts.append(
        ...names.map((name) => {
            const option = make("option", { text: LAYOUTS[name].title });
            option.value = name;
            return option;
        }),
    );
    layouts.value = recall("layout", names, usual());

    const find = (text = field.value) => strokes(text, /** @type {LayoutName} */ (layouts.value));

    function look() {
        const { strokes: found, unknown } = find();
        note.textContent = unknown.length > 0 ? complaint(unknown) : "";
        start.disabled = found.length === 0;
    }

    async function type() {
        const { strokes: found } = find();
        progress.hidden = false;
        progress.max = found.length;
        start.disabled = true;
        keys.release();
        // Closing the dialog stops it.
        await keys.strokes(found, (done) => {
            progress.value = done;
            return dialog.open && mayType();
        });
        progress.hidden = true;
        if (dialog.open) {
            field.value = "";
            dialog.close();
        }
    }

    /** @param {string} text */
    function open(text) {
        field.value = text;
        look();
        dialog.showModal();
        field.focus();
    }

    layouts.addEventListener("change", () => {
        remember("layout", layouts.value);
        look();
    });
    field.addEventListener("input", look);
    buttonOf("type-text", () => open(""));
    // Behind it the focus is where the text went.
    dialog.addEventListener("close", () => element("stage", HTMLElement).focus());

    return {
        open,
        /**
         * Types a text that came without keys. One that the layout has no keys for is pasted where the guest shares
         * its clipboard, and else typed as far as that goes.
         * @param {string} text
         */
        type(text) {
            const { strokes: found, unknown } = find(text);
            if (unknown.length > 0 && paste(text)) {
                return;
            }
            if (unknown.length > 0) {
                notice(complaint(unknown), 1);
            }
            void keys.strokes(found, mayType);
        },
        close: () => dialog.close(),
    };
}
