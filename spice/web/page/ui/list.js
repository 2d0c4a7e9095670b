// The page that lists the machines that run.

import { element, make } from "./dom.js";
import { pageAddress } from "./login.js";

/** Milliseconds between two looks, while anybody can see the page. */
const EVERY = 3000;
/** A server that has not answered in so long, in ms, does not. */
const ANSWER_MAX = 10_000;

/** @typedef {{name: string, state: string, href: string, screen: boolean}} Machine */

const machines = element("machines", HTMLElement);
const note = element("list-note", HTMLElement);
let shown = "";
let asking = false;

/**
 * @param {Machine} machine
 * @returns {HTMLElement}
 */
function row({ name, state, href, screen }) {
    const made = make("li");
    const address = screen ? pageAddress(href, document.baseURI) : null;
    if (address !== null) {
        const link = make("a", { text: name });
        link.href = address;
        made.append(link);
    } else {
        made.append(make("span", { text: name }));
    }
    made.append(make("span", { className: "badge", text: screen ? state : `${state}, no screen` }));
    return made;
}

/** @param {string} text */
function say(text) {
    if (note.textContent !== text) {
        note.textContent = text;
    }
    note.hidden = text === "";
}

async function look() {
    if (asking || document.visibilityState === "hidden") {
        return;
    }
    asking = true;
    try {
        const answer = await fetch("vms.json", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MAX) });
        if (!answer.ok) {
            throw new Error(`${answer.status} ${answer.statusText}`.trim());
        }
        const text = await answer.text();
        if (text !== shown) {
            const rows = /** @type {Machine[]} */ (JSON.parse(text)).map(row);
            // Who is on a link stays there.
            const { activeElement } = document;
            const at = activeElement instanceof HTMLAnchorElement ? activeElement.href : null;
            machines.replaceChildren(...rows);
            [...machines.querySelectorAll("a")].find(({ href }) => href === at)?.focus();
            shown = text;
        }
        say(machines.childElementCount === 0 ? "No virtual machine runs." : "");
    } catch (error) {
        say(`The list cannot be had: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
        asking = false;
    }
}

setInterval(() => void look(), EVERY);
document.addEventListener("visibilitychange", () => void look());
void look();
