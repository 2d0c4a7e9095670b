// Where screens are on the page, and how large the guest's are to be.

/** @typedef {{display: number, width: number, height: number, x: number, y: number}} Display pixels of the guest */
/** @typedef {"fit" | "exact" | "resize"} ScaleMode */
/** @typedef {{display: number, left: number, top: number, width: number, height: number}} Place in CSS pixels */
/**
 * What screens are on.
 * @typedef {object} Room
 * @property {number} width in CSS pixels
 * @property {number} height
 * @property {number} x where it begins in the window
 * @property {number} y
 * @property {number} ratio pixels of the device in a CSS pixel
 */

/** Sides of a monitor, in pixels, and what they are multiples of: video modes have even sides. */
const SIDE_MIN = 320;
const SIDE_MAX = 16384;
const STEP = 2;
/** Fitting that comes so near to pixel for pixel is that. */
const NEAR = 0.005;

/**
 * Places screens beside each other, or above each other where the guest has them so.
 * @param {Display[]} displays those shown
 * @param {Room & {mode: ScaleMode}} options
 * @returns {{scale: number, places: Place[], width: number, height: number}} scale: CSS pixels for one of the guest;
 *     width and height: what is needed
 */
export function placeScreens(displays, { mode, width, height, x, y, ratio }) {
    const order = [...displays].sort((one, other) => one.x - other.x || one.y - other.y || one.display - other.display);
    const isColumn =
        order.length > 1 && order.every((one) => one.x === order[0].x) && order.some((one) => one.y !== order[0].y);
    const sum = (/** @type {number[]} */ sides) => sides.reduce((total, side) => total + side, 0);
    const widths = order.map((one) => one.width);
    const heights = order.map((one) => one.height);
    const whole = {
        width: isColumn ? Math.max(...widths) : sum(widths),
        height: isColumn ? sum(heights) : Math.max(...heights),
    };
    const exact = 1 / ratio;
    const fitting = Math.min(width / whole.width, height / whole.height);
    let scale = mode === "exact" ? exact : mode === "fit" ? fitting : Math.min(fitting, exact);
    if (Math.abs(scale / exact - 1) < NEAR && fitting >= exact * (1 - NEAR)) {
        scale = exact;
    }
    // They begin on whole pixels of the device, so that nothing is blurred.
    const snap = (/** @type {number} */ at, /** @type {number} */ origin) =>
        Math.round((origin + Math.max(0, at)) * ratio) / ratio - origin;
    let [left, top] = [(width - whole.width * scale) / 2, (height - whole.height * scale) / 2];
    /** @type {Place[]} */
    const places = [];
    for (const display of order) {
        const [wide, high] = [display.width * scale, display.height * scale];
        places.push({
            display: display.display,
            left: snap(isColumn ? (width - wide) / 2 : left, x),
            top: snap(isColumn ? top : (height - high) / 2, y),
            width: wide,
            height: high,
        });
        left = Math.max(0, left) + wide;
        top = Math.max(0, top) + high;
    }
    return { scale, places, width: whole.width * scale, height: whole.height * scale };
}

/**
 * Monitors that fill the page.
 * @param {number} count of monitors
 * @param {number} shown how many of them share the page; the others are as large as it
 * @param {Room} room
 * @returns {{x: number, y: number, width: number, height: number}[]} in pixels of the guest
 */
export function monitorsFor(count, shown, { width, height, ratio }) {
    const wide = side((width / Math.max(shown, 1)) * ratio);
    const high = side(height * ratio);
    return Array.from({ length: count }, (_, index) => ({ x: index * wide, y: 0, width: wide, height: high }));
}

/** @param {number} length */
function side(length) {
    // What a fraction of a pixel lacks by rounding is none.
    const limited = Math.max(SIDE_MIN, Math.min(SIDE_MAX, Math.floor(length + 0.01)));
    return limited - (limited % STEP);
}
