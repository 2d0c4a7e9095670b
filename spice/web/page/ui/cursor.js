// The shape of the guest's pointer. The browser draws it where it can, so that it goes with the hand; what is too large
// for it, and the pointer of mouse mode "server", which the guest moves, is a canvas above the display.

/** Browsers take no pointers with longer sides, in CSS pixels. */
const SIDE_MAX = 128;

/** @typedef {import("../protocol/cursor.js").Shape} Shape */

/**
 * @typedef {object} State
 * @property {Shape | null} shape the last one
 * @property {string | null} css it, as a value of `cursor`; null: it was not made yet; empty: the overlay has it
 * @property {number} ratio for which that was made
 * @property {HTMLCanvasElement | null} overlay
 * @property {AbortController | null} following what moves the overlay with the pointer of the browser
 */

/** @type {WeakMap<HTMLElement, State>} */
const states = new WeakMap();

/**
 * Shows the pointer of a display.
 * @param {HTMLElement} element that shows the display, in one that is positioned
 * @param {{visible: boolean, x: number, y: number, shape?: Shape}} message of the worker; without a shape the last one
 *     is meant. x and y are those of the hot spot, in pixels of the guest
 * @param {number} ratio pixels of the guest for one CSS pixel: `devicePixelRatio` where every pixel has one of its own
 * @param {"client" | "server"} [mode] mouse mode; without, "server" while the pointer is locked
 */
export function applyCursor(element, message, ratio, mode) {
    const state = stateOf(element);
    if (message.shape !== undefined) {
        state.shape = message.shape;
        state.css = null;
    }
    const { shape } = state;
    const scale = Number.isFinite(ratio) && ratio > 0 ? ratio : 1;
    if (!message.visible || shape === null) {
        element.style.cursor = "none";
        hide(state);
        return;
    }
    const locked = element.ownerDocument.pointerLockElement === element;
    const own = (mode ?? (locked ? "server" : "client")) === "server";
    if (own || Math.max(shape.width, shape.height) / scale > SIDE_MAX) {
        element.style.cursor = "none";
        const overlay = overlayOf(element, state, shape, scale);
        if (own) {
            state.following?.abort();
            state.following = null;
            place(overlay, element.offsetLeft + message.x / scale, element.offsetTop + message.y / scale, shape, scale);
        } else {
            follow(element, state);
        }
        return;
    }
    hide(state);
    if (!state.css || state.ratio !== scale) {
        state.ratio = scale;
        state.css = cssOf(element.ownerDocument, shape, scale);
    }
    element.style.cursor = state.css;
}

/** @param {HTMLElement} element */
function stateOf(element) {
    let state = states.get(element);
    if (state === undefined) {
        state = { shape: null, css: null, ratio: 1, overlay: null, following: null };
        states.set(element, state);
    }
    return state;
}

/** @type {(page: Document, shape: Shape, scale: number) => string} */
function cssOf(page, shape, scale) {
    const url = `url("${drawn(page, shape).toDataURL()}")`;
    const image = scale === 1 ? url : `image-set(${url} ${scale}x)`;
    return `${image} ${Math.round(shape.hotX / scale)} ${Math.round(shape.hotY / scale)}, default`;
}

/** @type {(page: Document, shape: Shape) => HTMLCanvasElement} */
function drawn(page, { width, height, pixels }) {
    const canvas = page.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const image = context?.createImageData(width, height);
    if (image !== undefined) {
        image.data.set(pixels.subarray(0, image.data.length));
        context?.putImageData(image, 0, 0);
    }
    return canvas;
}

/** @param {State} state */
function hide(state) {
    state.following?.abort();
    state.following = null;
    state.overlay?.remove();
    state.overlay = null;
}

/** @type {(element: HTMLElement, state: State, shape: Shape, scale: number) => HTMLCanvasElement} */
function overlayOf(element, state, shape, scale) {
    let { overlay } = state;
    if (overlay === null || state.css !== "" || state.ratio !== scale) {
        overlay = drawn(element.ownerDocument, shape);
        overlay.className = "pointer";
        overlay.setAttribute("aria-hidden", "true");
        const [width, height] = [shape.width, shape.height].map((side) => `${side / scale}px`);
        // Until the browser moves its pointer, a large one is nowhere.
        const transform = state.overlay?.style.transform ?? "translate(-9999px, -9999px)";
        const rules = { position: "absolute", left: "0", top: "0", pointerEvents: "none", width, height, transform };
        Object.assign(overlay.style, rules);
        state.overlay?.remove();
        element.after(overlay);
        [state.overlay, state.css, state.ratio] = [overlay, "", scale];
    }
    return overlay;
}

/**
 * Puts the hot spot to a place, in CSS pixels of what both are in.
 * @type {(overlay: HTMLElement, x: number, y: number, shape: Shape, scale: number) => void}
 */
function place(overlay, x, y, { hotX, hotY }, scale) {
    overlay.style.transform = `translate(${x - hotX / scale}px, ${y - hotY / scale}px)`;
}

/** @type {(element: HTMLElement, state: State) => void} */
function follow(element, state) {
    if (state.following !== null) {
        return;
    }
    state.following = new AbortController();
    element.addEventListener(
        "pointermove",
        ({ clientX, clientY }) => {
            const { overlay, shape, ratio } = state;
            if (overlay !== null && shape !== null) {
                const { left, top } = element.getBoundingClientRect();
                const [x, y] = [element.offsetLeft + clientX - left, element.offsetTop + clientY - top];
                place(overlay, x, y, shape, ratio);
            }
        },
        { signal: state.following.signal },
    );
}
