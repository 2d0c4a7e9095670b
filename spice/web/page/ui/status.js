// The panel with figures of the session, and what this browser does not have.

import { element, make } from "./dom.js";
import { sizeText } from "./files.js";

/** What the page goes on without. */
function missing() {
    const here = window.isSecureContext ? "in this browser" : "on a page without https";
    /** @type {[boolean, string][]} */
    const parts = [
        [navigator.clipboard !== undefined, "no clipboard but the text field"],
        ["VideoDecoder" in window, "video comes as single pictures"],
        ["keyboard" in navigator, "some keys stay with the browser, even in full screen"],
    ];
    const words = parts.filter(([there]) => !there).map(([, text]) => text);
    return words.length > 0 ? `Missing ${here}: ${words.join("; ")}.` : "";
}

export function attachStatus() {
    const list = element("figures", HTMLElement);
    /** @type {Map<string, HTMLElement>} */
    const values = new Map();
    element("missing", HTMLElement).textContent = missing();

    /**
     * @param {string} name
     * @param {string} value
     */
    function put(name, value) {
        let found = values.get(name);
        if (found === undefined) {
            found = make("dd");
            values.set(name, found);
            list.append(make("dt", { text: name }), found);
        }
        if (found.textContent !== value) {
            found.textContent = value;
        }
    }

    return {
        /** @param {any} message figures */
        figures({ roundTrip, frames, bytes, codec, video, dropped }) {
            put("Round trip", roundTrip === null ? "–" : `${roundTrip.toFixed(roundTrip < 10 ? 1 : 0)} ms`);
            put("Pictures", `${frames} a second`);
            put("Data", `${sizeText(bytes)} a second`);
            put("Compression", codec || "–");
            put("Video", video ? `${video}${dropped > 0 ? `, ${dropped} late` : ""}` : "–");
        },
        /** @param {any} message session */
        session({ role, mouseMode, agent }) {
            put("Role", role === "control" ? "control" : "looking only");
            put("Mouse", mouseMode === "client" ? "where it points" : "as it moves");
            put("Agent in the guest", agent ? "there" : "not there");
        },
        /** @param {any} message lights */
        lights({ scroll, num, caps }) {
            const on = [num && "Num", caps && "Caps", scroll && "Scroll"].filter(Boolean);
            put("Lights", on.length > 0 ? on.join(", ") : "none");
        },
        /** @param {any} message displays */
        displays({ displays }) {
            const sizes = displays.map(
                (/** @type {{width: number, height: number}} */ { width, height }) => `${width} × ${height}`,
            );
            put("Screens", sizes.join(", "));
        },
    };
}
