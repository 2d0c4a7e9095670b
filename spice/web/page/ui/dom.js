// Elements of the page, and what the browser remembers. Text of others only ever becomes text.

const PREFIX = "caraway.";

/**
 * The element with an id.
 * @template {Element} T
 * @param {string} id
 * @param {{new (): T}} kind
 * @returns {T}
 * @throws when there is none of that kind, as when page and script are of two versions
 */
export function element(id, kind) {
    const found = document.getElementById(id);
    if (!(found instanceof kind)) {
        throw new Error(`the page has no ${kind.name} ${id}`);
    }
    return found;
}

/**
 * The button with an id.
 * @param {string} id
 * @param {(event: MouseEvent) => void} [run] when it is pressed
 */
export function buttonOf(id, run) {
    const found = element(id, HTMLButtonElement);
    if (run !== undefined) {
        found.addEventListener("click", run);
    }
    return found;
}

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {{className?: string, text?: string}} [options]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, { className = "", text = "" } = {}) {
    const made = document.createElement(tag);
    if (className !== "") {
        made.className = className;
    }
    made.textContent = text;
    return made;
}

/**
 * Makes a button.
 * @param {string} text
 * @param {() => void} run
 */
export function makeButton(text, run) {
    const made = make("button", { text });
    made.type = "button";
    made.addEventListener("click", run);
    return made;
}

/**
 * The radio buttons of a name.
 * @param {string} name
 * @returns {HTMLInputElement[]}
 */
export function radios(name) {
    return [...document.querySelectorAll("input")].filter((input) => input.name === name);
}

/**
 * How a person likes the page, as the browser has it from before. Nothing secret is among it.
 * @template {string} T
 * @param {string} name
 * @param {readonly T[]} values that it can have
 * @param {T} otherwise
 * @returns {T}
 */
export function recall(name, values, otherwise) {
    let found = null;
    try {
        found = localStorage.getItem(PREFIX + name);
    } catch {
        // A browser that keeps nothing.
    }
    return values.find((value) => value === found) ?? otherwise;
}

/**
 * @param {string} name
 * @param {string} value
 */
export function remember(name, value) {
    try {
        localStorage.setItem(PREFIX + name, value);
    } catch {
        // A browser that keeps nothing.
    }
}
