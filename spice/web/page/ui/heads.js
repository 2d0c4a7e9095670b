// The screens: a canvas for each head of the guest, which the worker paints, and where they are on the page.

import { applyCursor } from "./cursor.js";
import { buttonOf, element, make, makeButton, radios, recall, remember } from "./dom.js";
import { notice } from "./notices.js";
import { attachPointer } from "./pointer.js";
import { monitorsFor, placeScreens } from "./scale.js";

/** @typedef {import("./scale.js").Display} Display */
/** @typedef {import("./scale.js").ScaleMode} ScaleMode */
/**
 * @typedef {object} Screen
 * @property {HTMLElement} frame
 * @property {HTMLCanvasElement} canvas
 * @property {Display} display
 * @property {() => void} detach
 */

/** Milliseconds without another change of size until the guest is told. */
const SETTLES = 250;
/** Most screens that can be asked for. */
const SCREENS_MAX = 16;
/** CSS pixels of the toolbar, about. */
const BAR = 46;
const MODES = /** @type {const} */ (["fit", "exact", "resize"]);

/**
 * A length for the style. Browsers have lengths in 64ths of a pixel, and leave out what is less than one: what is meant
 * to be a whole pixel of the device must not be below it.
 * @param {number} length in CSS pixels
 */
function pixels(length) {
    return `${Math.ceil(length * 64 - 0.01) / 64}px`;
}

/**
 * @param {object} options
 * @param {HTMLElement} options.stage
 * @param {(message: any, transfer?: Transferable[]) => void} options.post to the worker
 * @param {(message: any) => void} options.act the same, if this person may do anything
 */
export function attachHeads({ stage, post, act }) {
    const sheet = element("sheet", HTMLElement);
    const tabs = element("tabs", HTMLElement);
    const add = buttonOf("add-screen", () => ask(screens.size + 1));
    const remove = buttonOf("remove-screen", () => ask(screens.size - 1));
    /** @type {Map<number, Screen>} by the numbers of displays */
    const screens = new Map();
    /**
     * Pointers as they were last told, with their shapes. They may come before their displays.
     * @type {Map<number, {visible: boolean, x: number, y: number, shape?: any}>}
     */
    const cursors = new Map();
    let mode = recall("scale", MODES, "fit");
    /** @type {number | null} the only display that is shown; null: all */
    let chosen = null;
    let session = {
        role: "view",
        mouseMode: /** @type {"client" | "server"} */ ("client"),
        mouseModes: [""],
        monitors: false,
    };
    let scale = 1;
    let wished = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let settling;

    const shown = () => [...screens.values()].filter(({ display }) => chosen === null || display.display === chosen);
    const canResize = () => session.role === "control" && session.monitors;

    function room() {
        const ratio = window.devicePixelRatio;
        // The stage begins on a whole pixel of the device: browsers move what scrolls to one.
        document.body.style.setProperty("--bar", pixels(Math.round(BAR * ratio) / ratio));
        const { x, y } = stage.getBoundingClientRect();
        return { x, y, width: stage.clientWidth, height: stage.clientHeight, ratio };
    }

    /** @param {Display} display */
    function show(display) {
        const known = screens.get(display.display);
        if (known !== undefined) {
            known.display = display;
            return;
        }
        const frame = make("div", { className: "screen" });
        const canvas = make("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `Screen ${display.display + 1}`);
        [canvas.width, canvas.height] = [display.width, display.height];
        canvas.style.cursor = "default";
        frame.append(canvas);
        sheet.append(frame);
        const offscreen = canvas.transferControlToOffscreen();
        post({ type: "canvas", display: display.display, canvas: offscreen }, [offscreen]);
        const pointer = attachPointer({
            element: canvas,
            display: display.display,
            send: act,
            mode: () => session.mouseMode,
            scale() {
                const { x, y } = canvas.getBoundingClientRect();
                const { width, height } = screen.display;
                return { x, y, scaleX: scale, scaleY: scale, width, height };
            },
        });
        /** @type {Screen} */
        const screen = { frame, canvas, display, detach: () => pointer.detach() };
        screens.set(display.display, screen);
        showCursor(screen, cursors.get(display.display)?.shape);
    }

    function place() {
        const visible = shown();
        const space = room();
        if (visible.length === 0 || space.width === 0 || space.height === 0) {
            return;
        }
        const displays = visible.map(({ display }) => display);
        const placed = placeScreens(displays, { mode, ...space });
        scale = placed.scale;
        const scrolls = mode === "exact";
        stage.classList.toggle("scrolls", scrolls);
        sheet.style.width = scrolls ? `${placed.width}px` : "";
        sheet.style.height = scrolls ? `${placed.height}px` : "";
        const times = scale * space.ratio;
        sheet.classList.toggle("sharp", Math.abs(times - Math.round(times)) < 1e-3);
        for (const screen of screens.values()) {
            const at = placed.places.find(({ display }) => display === screen.display.display);
            screen.frame.hidden = at === undefined;
            if (at !== undefined) {
                const { style } = screen.frame;
                const sides = [at.left, at.top, at.width, at.height].map(pixels);
                [style.left, style.top, style.width, style.height] = sides;
                showCursor(screen);
            }
        }
    }

    /**
     * @param {Screen} screen
     * @param {any} [shape] another one
     */
    function showCursor({ canvas, display }, shape) {
        const cursor = cursors.get(display.display);
        if (cursor === undefined) {
            return;
        }
        const { visible, x, y } = cursor;
        const told = shape === undefined ? { visible, x, y } : { visible, x, y, shape };
        applyCursor(canvas, told, 1 / scale, session.mouseMode);
        // Who has not locked the pointer yet sees his own, to click with.
        if (session.mouseMode === "server" && document.pointerLockElement !== canvas) {
            canvas.style.cursor = "default";
        }
    }

    function showTabs() {
        const numbers = [...screens.keys()].sort((one, other) => one - other);
        if (chosen !== null && !screens.has(chosen)) {
            chosen = null;
        }
        const focused = [...tabs.children].findIndex((tab) => tab === document.activeElement);
        tabs.hidden = numbers.length < 2;
        tabs.replaceChildren(
            ...[null, ...numbers].map((number) => {
                const tab = makeButton(number === null ? "All" : `${number + 1}`, () => {
                    chosen = number;
                    showTabs();
                    changed();
                });
                tab.setAttribute("aria-label", number === null ? "All screens" : `Screen ${number + 1}`);
                tab.setAttribute("aria-pressed", String(chosen === number));
                return tab;
            }),
        );
        const tab = tabs.children[focused];
        if (tab instanceof HTMLElement) {
            tab.focus();
        }
        add.disabled = !canResize() || numbers.length >= SCREENS_MAX;
        remove.disabled = !canResize() || numbers.length < 2;
    }

    /** @param {{x: number, y: number, width: number, height: number}[]} heads */
    function wish(heads) {
        const text = JSON.stringify(heads);
        if (canResize() && heads.length > 0 && text !== wished) {
            wished = text;
            act({ type: "monitors", heads });
        }
    }

    /** The room, or what is shown in it, has changed. */
    function changed() {
        place();
        clearTimeout(settling);
        if (mode === "resize" && screens.size > 0 && stage.clientWidth > 0) {
            settling = setTimeout(() => wish(monitorsFor(screens.size, shown().length, room())), SETTLES);
        }
    }

    /** @param {number} count of screens */
    function ask(count) {
        // The one that comes is to be seen, and asking twice is meant.
        chosen = null;
        wished = "";
        if (mode === "resize") {
            wish(monitorsFor(count, count, room()));
            return;
        }
        const displays = [...screens.values()].map(({ display }) => display);
        let x = 0;
        wish(
            Array.from({ length: count }, (_, index) => {
                const { width, height } = displays[Math.min(index, displays.length - 1)];
                const head = { x, y: 0, width, height };
                x += width;
                return head;
            }),
        );
    }

    /** Zooming, and another monitor. */
    function watchRatio() {
        const query = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
        const again = () => {
            changed();
            watchRatio();
        };
        query.addEventListener("change", again, { once: true });
    }

    for (const choice of radios("scale")) {
        choice.checked = choice.value === mode;
        choice.addEventListener("change", () => {
            mode = /** @type {ScaleMode} */ (choice.value);
            remember("scale", mode);
            wished = "";
            if (mode === "resize" && !canResize()) {
                notice("The guest cannot be resized: neither an agent nor a driver is there that does it.", 1);
            }
            changed();
        });
    }
    for (const choice of radios("mouse")) {
        choice.addEventListener("change", () => act({ type: "mouseMode", mode: choice.value }));
    }
    stage.addEventListener("pointerdown", () => stage.focus({ preventScroll: true }));
    document.addEventListener("pointerlockchange", () => {
        if (document.pointerLockElement !== null) {
            notice("The mouse belongs to the virtual machine. Ctrl+Alt, or Esc, gives it back.");
        }
        screens.forEach((screen) => showCursor(screen));
    });
    new ResizeObserver(changed).observe(stage);
    watchRatio();

    return {
        /** @param {any} message displays */
        displays({ displays }) {
            const numbers = new Set(displays.map((/** @type {Display} */ { display }) => display));
            for (const [number, screen] of [...screens].filter(([known]) => !numbers.has(known))) {
                screen.detach();
                screen.frame.remove();
                screens.delete(number);
                cursors.delete(number);
            }
            displays.forEach(show);
            showTabs();
            changed();
        },
        /** @param {any} message cursor */
        cursor({ display, visible, x, y, shape }) {
            cursors.set(display, { visible, x, y, shape: shape ?? cursors.get(display)?.shape });
            const screen = screens.get(display);
            if (screen !== undefined) {
                showCursor(screen, shape);
            }
        },
        /** @param {any} message session */
        session(message) {
            const couldResize = canResize();
            session = message;
            for (const choice of radios("mouse")) {
                choice.checked = choice.value === session.mouseMode;
                choice.disabled = session.role !== "control" || !session.mouseModes.includes(choice.value);
            }
            showTabs();
            screens.forEach((screen) => showCursor(screen));
            if (canResize() && !couldResize) {
                wished = "";
                changed();
            }
        },
    };
}
