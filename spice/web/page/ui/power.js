// The menu of power, where the machine's configuration lets pages have it.

import { buttonOf, element } from "./dom.js";
import { confirm } from "./dialogs.js";

/** What is asked before; the others can be taken back. */
const QUESTIONS = /** @type {const} */ ({
    powerdown: {
        title: "Press the power button?",
        text: "Most guests shut down when it is pressed.",
        yes: "Press it",
    },
    reset: {
        title: "Reset the virtual machine?",
        text: "It starts anew at once. What it has not saved is lost.",
        yes: "Reset",
    },
});

/**
 * The header that carries a ticket: its bytes in Base64.
 * @param {string} ticket
 */
export function bearer(ticket) {
    return `Bearer ${btoa(String.fromCharCode(...new TextEncoder().encode(ticket)))}`;
}

/**
 * @param {string} action powerdown, reset, pause, resume
 * @param {string} ticket
 * @returns {Promise<string>} what was wrong; empty when it is done
 */
async function command(action, ticket) {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (ticket !== "") {
        headers.Authorization = bearer(ticket);
    }
    try {
        const answer = await fetch(new URL("power", document.baseURI), {
            method: "POST",
            headers,
            body: JSON.stringify({ action }),
        });
        return answer.ok ? "" : (await answer.text()).trim() || `${answer.status} ${answer.statusText}`;
    } catch (error) {
        return error instanceof Error ? error.message : String(error);
    }
}

/** @param {{ticket: () => string}} options */
export function attachPower({ ticket }) {
    const panel = element("power-panel", HTMLElement);
    const alert = element("power-alert", HTMLElement);

    panel.addEventListener("click", async ({ target }) => {
        const action = target instanceof HTMLButtonElement ? (target.dataset.action ?? "") : "";
        const question = action === "powerdown" || action === "reset" ? QUESTIONS[action] : null;
        if (action === "" || (question !== null && !(await confirm(question)))) {
            return;
        }
        const complaint = await command(action, ticket());
        alert.textContent = complaint;
        alert.hidden = complaint === "";
    });

    return {
        /** @param {boolean} there */
        show(there) {
            buttonOf("power").hidden = !there;
        },
    };
}
