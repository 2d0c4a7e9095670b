// What the page tells beside the picture: notices over the screen, and states for those who listen.

import { element, make } from "./dom.js";

/** Milliseconds that a notice stays. */
const STAYS = 8000;
/** Most notices at once. */
const MOST = 4;

/**
 * @param {string} text
 * @param {number} [severity] 0 information, 1 warning, 2 error
 */
export function notice(text, severity = 0) {
    const list = element("notices", HTMLElement);
    const made = make("p", { className: severity > 0 ? "notice warning" : "notice", text });
    list.append(made);
    while (list.childElementCount > MOST) {
        list.firstElementChild?.remove();
    }
    setTimeout(() => made.remove(), STAYS);
}

/** @param {string} text for those who listen to the page */
export function tell(text) {
    element("announcement", HTMLElement).textContent = text;
}
