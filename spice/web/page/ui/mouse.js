// The mouse of the guest: where it is and which buttons are down, as messages to the worker. What moves is sent once a
// frame; a button is sent at once, and what moved before it goes first.

/** Bits of the mask of buttons. */
export const LEFT = 1;
export const MIDDLE = 2;
export const RIGHT = 4;
export const SIDE = 32;
export const EXTRA = 64;

/** Numbers of the buttons by their bits. */
const NUMBERS = new Map([LEFT, MIDDLE, RIGHT, SIDE, EXTRA].map((bit, at) => [bit, [1, 2, 3, 6, 7][at]]));
const WHEEL_UP = { button: 4, bit: 8 };
const WHEEL_DOWN = { button: 5, bit: 16 };
/** Most clicks of the wheel for one event, whatever it says. */
const CLICKS_MAX = 20;

/**
 * Where a display is on the page. Client coordinates are those of the window, in CSS pixels.
 * @typedef {object} Scale
 * @property {number} x where its first pixel is, in client coordinates
 * @property {number} y
 * @property {number} scaleX CSS pixels for a pixel of the guest
 * @property {number} scaleY
 * @property {number} [width] pixels of the guest; without, as far as the element goes
 * @property {number} [height]
 */

/**
 * @typedef {{type: "position", x: number, y: number, display: number, buttons: number} |
 *     {type: "motion", dx: number, dy: number, buttons: number} |
 *     {type: "button", button: number, down: boolean, buttons: number}} MouseMessage
 */

/**
 * @typedef {object} Mouse
 * @property {(clientX: number, clientY: number) => void} moveTo mouse mode "client"; a place beside the display is the
 *     nearest one on it
 * @property {(dx: number, dy: number) => void} moveBy mouse mode "server"; CSS pixels
 * @property {(mask: number) => void} setButtons which are down from now on
 * @property {(clicks: number) => void} wheel up where negative, down where positive
 * @property {() => void} stop lets all buttons go, and forgets what was not sent
 */

/**
 * @param {object} options
 * @param {Element} options.element that shows the display
 * @param {number} options.display
 * @param {(message: MouseMessage) => void} options.send
 * @param {() => Scale} options.scale
 * @param {(run: () => void) => void} options.frame calls once before the next frame is drawn
 * @returns {Mouse}
 */
export function createMouse({ element, display, send, scale, frame }) {
    let buttons = 0;
    /** @type {{x: number, y: number} | null} */
    let place = null;
    // What has moved and was not sent, in pixels of the guest; parts of pixels stay.
    let [restX, restY] = [0, 0];
    let asked = false;

    function flush() {
        if (place !== null) {
            const { x, y } = place;
            place = null;
            send({ type: "position", x, y, display, buttons });
        }
        const [dx, dy] = [Math.trunc(restX), Math.trunc(restY)];
        if (dx !== 0 || dy !== 0) {
            restX -= dx;
            restY -= dy;
            send({ type: "motion", dx, dy, buttons });
        }
    }

    function later() {
        if (!asked) {
            asked = true;
            frame(() => {
                asked = false;
                flush();
            });
        }
    }

    /** @param {number} mask */
    function setButtons(mask) {
        if (mask === buttons) {
            return;
        }
        flush();
        for (const [bit, button] of NUMBERS) {
            if ((mask & bit) !== (buttons & bit)) {
                buttons ^= bit;
                send({ type: "button", button, down: (buttons & bit) !== 0, buttons });
            }
        }
    }

    return {
        moveTo(clientX, clientY) {
            const at = scale();
            const { right, bottom } = element.getBoundingClientRect();
            const width = at.width ?? (right - at.x) / at.scaleX;
            const height = at.height ?? (bottom - at.y) / at.scaleY;
            const x = limited((clientX - at.x) / at.scaleX, width);
            const y = limited((clientY - at.y) / at.scaleY, height);
            // A display that is not shown has no places.
            if (x !== null && y !== null) {
                place = { x, y };
                later();
            }
        },
        moveBy(dx, dy) {
            const { scaleX, scaleY } = scale();
            const [x, y] = [dx / scaleX, dy / scaleY];
            if (Number.isFinite(x) && Number.isFinite(y)) {
                restX += x;
                restY += y;
                later();
            }
        },
        setButtons,
        wheel(clicks) {
            const { button, bit } = clicks < 0 ? WHEEL_UP : WHEEL_DOWN;
            flush();
            for (let left = Math.min(Math.abs(clicks), CLICKS_MAX); left >= 1; left--) {
                send({ type: "button", button, down: true, buttons: buttons | bit });
                send({ type: "button", button, down: false, buttons });
            }
        },
        stop() {
            setButtons(0);
            place = null;
            [restX, restY] = [0, 0];
        },
    };
}

/**
 * The pixel at a place, the nearest one where there is none; null: there are no pixels.
 * @type {(place: number, size: number) => number | null}
 */
function limited(place, size) {
    const last = Math.round(size) - 1;
    return Number.isFinite(place) && last >= 0 ? Math.max(0, Math.min(Math.floor(place), last)) : null;
}

/**
 * Makes clicks of the wheel from distances, however small they come.
 * @param {number} distance of one click
 * @returns {(moved: number) => number} whole clicks
 */
export function clicksOf(distance) {
    let rest = 0;
    return (moved) => {
        // Who turns back does not have to make up for what was left over.
        rest = Math.sign(rest) === -Math.sign(moved) ? moved : rest + moved;
        const clicks = Math.trunc(rest / distance);
        rest -= clicks * distance;
        return clicks;
    };
}
