// Before there is a link: the facts about the machine, where things are, and the ticket.

import { element } from "./dom.js";

/**
 * @typedef {object} Facts
 * @property {string} name
 * @property {boolean} ticket whether one is asked for
 * @property {boolean} users whether users are asked for name and password
 * @property {boolean} power whether there is a menu of power
 */

/** A server that has not answered in so long, in ms, does not. */
const ANSWER_MAX = 10_000;

/**
 * Asks for the facts.
 * @param {string} base address of the page, which may be in any folder
 * @param {typeof fetch} [ask]
 * @returns {Promise<Facts>}
 * @throws when there is no answer, or another one
 */
export async function facts(base, ask = fetch) {
    const answer = await ask(new URL("vm.json", base), { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MAX) });
    if (!answer.ok) {
        throw new Error(`${answer.status} ${answer.statusText}`.trim());
    }
    const found = await answer.json();
    return {
        name: typeof found.name === "string" ? found.name : "",
        ticket: found.ticket === true,
        users: found.users === true,
        power: found.power === true,
    };
}

/**
 * Where SPICE is by WebSocket.
 * @param {string} base
 */
export function spiceAddress(base) {
    const address = new URL("spice", base);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    return address.href;
}

/**
 * The page that lists all machines, for a page that is in its folder.
 * @param {string} base
 * @returns {string | null}
 */
export function listAddress(base) {
    return /\/vm\/[^/]+\/$/.test(new URL(base).pathname) ? new URL("../../", base).href : null;
}

/**
 * Where a machine's page is: in a folder of the list, or at an address of its own, as those with https have it.
 * @param {string} href as the list has it
 * @param {string} base address of the list
 * @returns {string | null} null: that is no page
 */
export function pageAddress(href, base) {
    if (!URL.canParse(href, base)) {
        return null;
    }
    const address = new URL(href, base);
    return ["http:", "https:"].includes(address.protocol) ? address.href : null;
}

/**
 * The form for the ticket.
 * @param {(ticket: string) => void} entered
 */
export function attachLogin(entered) {
    const form = element("login", HTMLFormElement);
    const field = element("ticket", HTMLInputElement);
    const alert = element("login-alert", HTMLElement);
    const view = element("view-only", HTMLInputElement);
    element("plain-note", HTMLElement).hidden = window.isSecureContext;

    form.addEventListener("submit", (event) => {
        event.preventDefault();
        const ticket = field.value;
        field.value = "";
        entered(ticket);
    });

    return {
        /** @param {string} [complaint] what was wrong with the last ticket */
        ask(complaint = "") {
            alert.hidden = complaint === "";
            alert.textContent = complaint;
            field.toggleAttribute("aria-invalid", complaint !== "");
            field.value = "";
            field.focus();
        },
        /** Whether the person wants to look only. */
        view: () => view.checked,
    };
}
