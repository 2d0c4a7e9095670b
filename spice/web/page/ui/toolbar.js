// The toolbar and its panels: one panel at a time, Escape closes it, and in full screen the toolbar hides.

import { buttonOf, element } from "./dom.js";
import { notice } from "./notices.js";

/** @param {{toolbar: HTMLElement, stage: HTMLElement}} options */
export function attachToolbar({ toolbar, stage }) {
    const root = document.documentElement;
    const handle = buttonOf("handle", () => want(true));
    const full = buttonOf("fullscreen", () => void toggleFull());
    /** Where there is one, it gives the page keys that browsers keep. */
    const { keyboard } = /** @type {{keyboard?: {lock(): Promise<void>, unlock(): void}}} */ (
        /** @type {unknown} */ (navigator)
    );
    /** @type {HTMLButtonElement | null} of the panel that is open */
    let opened = null;

    /** @param {HTMLButtonElement} button */
    const panelOf = (button) => element(button.dataset.panel ?? "", HTMLElement);

    /** @param {boolean} wanted whether it is to be seen in full screen */
    function want(wanted) {
        toolbar.classList.toggle("wanted", wanted);
    }

    /** @param {HTMLButtonElement | null} button */
    function open(button) {
        if (opened !== null) {
            opened.setAttribute("aria-expanded", "false");
            panelOf(opened).hidden = true;
        }
        opened = button;
        want(button !== null);
        if (button !== null) {
            button.setAttribute("aria-expanded", "true");
            panelOf(button).hidden = false;
        }
    }

    async function toggleFull() {
        try {
            await (document.fullscreenElement === null
                ? root.requestFullscreen({ navigationUI: "hide" })
                : document.exitFullscreen());
            stage.focus({ preventScroll: true });
        } catch (error) {
            notice(`The browser gives no full screen: ${error instanceof Error ? error.message : String(error)}`, 1);
        }
    }

    async function fullChanged() {
        const isFull = document.fullscreenElement !== null;
        full.setAttribute("aria-pressed", String(isFull));
        document.body.classList.toggle("tucked", isFull);
        handle.hidden = !isFull;
        open(null);
        if (!isFull) {
            keyboard?.unlock();
        } else if (keyboard !== undefined) {
            await keyboard.lock().then(
                () => notice("All keys go to the virtual machine. Hold Esc to leave the full screen."),
                // The browser keeps some, as without a lock.
                () => {},
            );
        }
    }

    for (const button of toolbar.querySelectorAll("button")) {
        if (button.dataset.panel !== undefined) {
            const panel = panelOf(button);
            panel.hidden = true;
            // Behind its button for those who go by the Tab key.
            button.after(panel);
            button.setAttribute("aria-expanded", "false");
            button.setAttribute("aria-controls", panel.id);
            button.addEventListener("click", () => open(opened === button ? null : button));
        }
    }
    toolbar.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") {
            return;
        }
        event.preventDefault();
        const button = opened;
        open(null);
        if (button === null) {
            stage.focus();
        } else {
            button.focus();
        }
    });
    document.addEventListener("pointerdown", ({ target }) => {
        if (target instanceof Element && !toolbar.contains(target) && target.closest("dialog") === null) {
            open(null);
        }
    });
    element("stage-area", HTMLElement).addEventListener("focusin", () => open(null));
    handle.addEventListener("pointerenter", () => want(true));
    toolbar.addEventListener("pointerleave", () => want(opened !== null));
    document.addEventListener("fullscreenchange", () => void fullChanged());
    full.hidden = typeof root.requestFullscreen !== "function";

    return {
        close: () => open(null),
        /** Puts the focus on the first button that does something. */
        focus() {
            const first = [...toolbar.querySelectorAll("button")].find(
                (button) => !button.disabled && button.closest("[hidden]") === null,
            );
            first?.focus();
        },
        /** @param {boolean} mayAct whether what acts on the guest can be used */
        allow(mayAct) {
            for (const button of toolbar.querySelectorAll("button")) {
                if (button.dataset.control !== undefined) {
                    button.disabled = !mayAct;
                }
            }
            if (!mayAct && opened?.dataset.control !== undefined) {
                open(null);
            }
        },
    };
}
