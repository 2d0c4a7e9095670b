// As much of a browser as the page's parts for input need: elements, a document and its window, time that tests move.

import { setMaxListeners } from "node:events";

/**
 * An event as browsers make it, with what tests give.
 * @param {string} type
 * @param {Record<string, any>} [fields] modifiers: the names that getModifierState knows
 * @returns {any}
 */
export function event(type, { modifiers = [], ...fields } = {}) {
    const made = new Event(type, { bubbles: true, cancelable: true });
    const getModifierState = (/** @type {string} */ name) => modifiers.includes(name);
    for (const [name, value] of Object.entries({ getModifierState, ...fields })) {
        Object.defineProperty(made, name, { value });
    }
    return made;
}

/** An element, of any kind. */
export class Element extends EventTarget {
    /** @param {any} page */
    constructor(page) {
        super();
        this.ownerDocument = page;
        /** @type {any} */
        this.style = {};
        /** @type {Map<string, string>} */
        this.attributes = new Map();
        /** @type {Element[]} */
        this.children = [];
        /** @type {Set<string>} */
        this.classes = new Set();
        this.classList = {
            add: (/** @type {string} */ name) => this.classes.add(name),
            remove: (/** @type {string} */ name) => this.classes.delete(name),
        };
        /** @type {Element | null} */
        this.parent = null;
        this.rect = { left: 0, top: 0, right: 0, bottom: 0 };
        this.offsetLeft = 0;
        this.offsetTop = 0;
        this.textContent = "";
        this.className = "";
        /** @type {number[]} pointers that were captured */
        this.captured = [];
    }

    /**
     * @param {string} type
     * @param {any} listener
     * @param {any} [options]
     */
    addEventListener(type, listener, options) {
        // Node warns of many listeners with one signal, which is what detaching is about.
        if (options?.signal !== undefined) {
            setMaxListeners(0, options.signal);
        }
        super.addEventListener(type, listener, options);
    }

    getBoundingClientRect() {
        return this.rect;
    }

    /** @param {number} id */
    setPointerCapture(id) {
        this.captured.push(id);
    }

    /**
     * @param {string} name
     * @param {string} value
     */
    setAttribute(name, value) {
        this.attributes.set(name, value);
    }

    /** @param {Element[]} elements */
    append(...elements) {
        elements.forEach((element) => (element.parent = this));
        this.children.push(...elements);
    }

    /** @param {Element} element */
    before(element) {
        this.parent?.append(element);
    }

    /** @param {Element} element */
    after(element) {
        this.parent?.append(element);
    }

    remove() {
        if (this.parent !== null) {
            this.parent.children = this.parent.children.filter((child) => child !== this);
            this.parent = null;
        }
    }

    /** @param {unknown} other */
    contains(other) {
        return other === this || this.children.some((child) => child === other);
    }
}

/** A document with its window, a body, and a clock. */
export class Page extends EventTarget {
    constructor() {
        super();
        /** @type {any} */
        this.defaultView = new EventTarget();
        this.defaultView.navigator = {};
        this.defaultView.Blob = Blob;
        this.visibilityState = "visible";
        this.focused = true;
        /** @type {Element | null} */
        this.pointerLockElement = null;
        this.body = new Element(this);
        /** @type {(() => void)[]} what waits for the next frame */
        this.frames = [];
        /** @type {Map<symbol, {run: () => void, milliseconds: number}>} */
        this.timers = new Map();
        this.frame = (/** @type {() => void} */ run) => void this.frames.push(run);
        this.later = (/** @type {() => void} */ run, /** @type {number} */ milliseconds) => {
            const id = Symbol(milliseconds);
            this.timers.set(id, { run, milliseconds });
            return () => void this.timers.delete(id);
        };
    }

    hasFocus() {
        return this.focused;
    }

    /** @param {string} tag */
    createElement(tag) {
        const made = /** @type {any} */ (new Element(this));
        if (tag === "canvas") {
            canvas(made);
        }
        return made;
    }

    /** @returns {any} an element in the body */
    element() {
        const made = new Element(this);
        this.body.append(made);
        return made;
    }

    exitPointerLock() {
        this.lock(null);
    }

    /** @param {Element | null} element */
    lock(element) {
        this.pointerLockElement = element;
        this.dispatchEvent(new Event("pointerlockchange"));
    }

    /** The next frame is drawn. */
    draw() {
        this.frames.splice(0).forEach((run) => run());
    }

    /** All timers are over. */
    wait() {
        const due = [...this.timers.values()];
        this.timers.clear();
        due.forEach(({ run }) => run());
    }
}

/** @param {any} element */
function canvas(element) {
    element.getContext = () => ({
        createImageData: (/** @type {number} */ width, /** @type {number} */ height) => ({
            data: new Uint8ClampedArray(width * height * 4),
        }),
        putImageData(/** @type {any} */ image) {
            element.pixels = image.data;
        },
        drawImage() {},
    });
    element.toDataURL = () => `data:image/png,${element.width}x${element.height}`;
}
