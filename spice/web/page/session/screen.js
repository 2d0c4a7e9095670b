// What is on the screens: the heads of all display channels, and which parts of them have to be painted.

/** @typedef {import("./display.js").Display} Display */
/** @typedef {import("./platform.js").Rect} Rect */
/** @typedef {import("../protocol/display.js").Head} Head */

/** Most pixels on all screens together. */
const PIXELS_MAX = 64 << 20;

/**
 * A head on a screen.
 * @typedef {object} Screen
 * @property {number} display its number between worker and main thread
 * @property {Display} channel
 * @property {Head} head
 * @property {boolean} stale whether all of it has to be painted
 */

export class Screens {
    /**
     * @param {import("./platform.js").Platform} platform
     * @param {() => Iterable<Display>} displays those there are
     * @param {() => void} painted something new is on a screen
     * @param {(error: unknown) => void} failed it cannot be painted
     */
    constructor(platform, displays, painted, failed) {
        this.platform = platform;
        this.failed = failed;
        this.displays = displays;
        this.painted = painted;
        /** @type {Map<string, number>} numbers of displays by channel and monitor */
        this.numbers = new Map();
        /** @type {Map<number, Screen>} by the numbers of displays */
        this.screens = new Map();
        this.told = "";
        this.visible = true;
        this.requested = false;
    }

    /**
     * The number of a display. It is that of the monitor, where one channel has them all, or that of the channel, where
     * each has one; and it stays.
     * @param {number} channel
     * @param {number} monitor
     */
    number(channel, monitor) {
        const key = `${channel}:${monitor}`;
        const known = this.numbers.get(key);
        if (known !== undefined) {
            return known;
        }
        const taken = new Set(this.numbers.values());
        let number = channel + monitor;
        while (taken.has(number)) {
            number++;
        }
        this.numbers.set(key, number);
        return number;
    }

    /** Heads, or what they are on, have changed. */
    layout() {
        /** @type {Map<number, Screen>} */
        const screens = new Map();
        let pixels = 0;
        for (const channel of this.displays()) {
            for (const head of channel.heads()) {
                pixels += head.width * head.height;
                if (pixels > PIXELS_MAX) {
                    break;
                }
                const display = this.number(channel.id, head.monitor);
                screens.set(display, { display, channel, head, stale: true });
            }
        }
        // While there is nothing, as between two modes of the guest or two connections, the last picture stays.
        if (screens.size === 0) {
            return;
        }
        this.screens = screens;
        const displays = [...screens.values()]
            .map(({ display, head: { width, height, x, y } }) => ({ display, width, height, x, y }))
            .sort((one, other) => one.display - other.display);
        const told = JSON.stringify(displays);
        if (told !== this.told) {
            this.told = told;
            this.platform.post({ type: "displays", displays });
        }
        this.request();
    }

    /** Nothing is left of what was shown. */
    clear() {
        this.numbers.clear();
        this.screens.clear();
        this.told = "";
    }

    /** @param {number} display that has a new canvas */
    attached(display) {
        const screen = this.screens.get(display);
        if (screen !== undefined) {
            screen.stale = true;
            this.request();
        }
    }

    /** @param {boolean} visible whether anybody can see the screens */
    show(visible) {
        this.visible = visible;
        this.request();
    }

    /** Paints when the next picture is due. */
    request() {
        if (!this.requested && this.visible) {
            this.requested = true;
            this.platform.frame(() => {
                this.requested = false;
                try {
                    this.paint();
                } catch (error) {
                    this.failed(error);
                }
            });
        }
    }

    paint() {
        if (!this.visible) {
            return;
        }
        /** @type {Map<import("./platform.js").Surface, Rect | null>} */
        const damages = new Map();
        let any = false;
        for (const screen of this.screens.values()) {
            const { channel, head, display } = screen;
            const surface = channel.surfaces.get(head.surface);
            // It may have gone, or have become smaller, and what comes in its place is not there yet.
            if (surface === undefined || head.x + head.width > surface.width || head.y + head.height > surface.height) {
                continue;
            }
            if (!damages.has(surface)) {
                damages.set(surface, channel.canvas.takeDamage(head.surface));
            }
            const area = { left: head.x, top: head.y, right: head.x + head.width, bottom: head.y + head.height };
            const damage = screen.stale ? area : common(damages.get(surface) ?? null, area);
            if (damage !== null) {
                const painted = this.platform.present(display, surface, area, damage);
                screen.stale = !painted;
                any ||= painted;
            }
        }
        if (any) {
            this.painted();
        }
    }

    /**
     * The screens of a channel; null: it has none.
     * @param {number} channel
     * @returns {Screen[] | null}
     */
    of(channel) {
        const found = [...this.screens.values()].filter((screen) => screen.channel.id === channel);
        return found.length > 0 ? found : null;
    }

    /**
     * Where a place of a surface is on the screens.
     * @param {number} channel
     * @param {number} x
     * @param {number} y
     * @returns {{display: number, x: number, y: number} | null} null: the channel has no screen
     */
    find(channel, x, y) {
        const screens = [...this.screens.values()].filter((screen) => screen.channel.id === channel);
        const screen =
            screens.find(
                ({ head }) => x >= head.x && y >= head.y && x < head.x + head.width && y < head.y + head.height,
            ) ?? screens[0];
        return screen === undefined ? null : { display: screen.display, x: x - screen.head.x, y: y - screen.head.y };
    }

    /**
     * The number by which the inputs channel knows a display: with several channels that of the channel.
     * @param {number} display
     */
    wireNumber(display) {
        const screen = this.screens.get(display);
        if (screen === undefined) {
            return display & 255;
        }
        return screen.channel.id === 0 ? screen.head.monitor : screen.channel.id;
    }
}

/**
 * @param {Rect | null} one
 * @param {Rect} other
 * @returns {Rect | null}
 */
function common(one, other) {
    if (one === null) {
        return null;
    }
    const left = Math.max(one.left, other.left);
    const top = Math.max(one.top, other.top);
    const right = Math.min(one.right, other.right);
    const bottom = Math.min(one.bottom, other.bottom);
    return left < right && top < bottom ? { left, top, right, bottom } : null;
}
