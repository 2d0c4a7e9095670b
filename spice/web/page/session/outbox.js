// What the main thread is told of states that the server can change as fast as it likes: only so much in a while, and
// of what is more only the latest. A server that says small messages cannot have the page do large things without end.

/** Milliseconds for which a budget is. */
const WHILE = 50;
/** A shape of the pointer of 1024x1024 pixels costs 16, a layout of displays as much, others one. */
const BUDGET = 64;

export class Outbox {
    /** @param {Pick<import("./platform.js").Platform, "post" | "now" | "later">} platform */
    constructor(platform) {
        this.platform = platform;
        this.begun = -Infinity;
        this.spent = 0;
        /** @type {Map<string, {cost: number, message: any}>} what waits, by what it tells of */
        this.held = new Map();
    }

    /**
     * Posts a message now, or later what it tells together with those before it.
     * @param {string} key what it tells of: later messages take the place of those before, but for what they do not say
     * @param {any} message
     * @param {number} [cost]
     */
    post(key, message, cost = 1) {
        const { now, later, post } = this.platform;
        if (now() - this.begun >= WHILE) {
            this.begun = now();
            this.spent = 0;
        }
        if (this.held.size === 0 && this.spent + cost <= BUDGET) {
            this.spent += cost;
            post(message);
            return;
        }
        if (this.held.size === 0) {
            later(WHILE, () => this.flush());
        }
        const before = this.held.get(key);
        const all = { ...before?.message, ...message };
        this.held.set(key, { cost: Math.max(cost, before?.cost ?? 0), message: all });
    }

    flush() {
        const { now, later, post } = this.platform;
        this.begun = now();
        this.spent = 0;
        for (const [key, { cost, message }] of this.held) {
            if (this.spent >= BUDGET) {
                later(WHILE, () => this.flush());
                return;
            }
            this.held.delete(key);
            this.spent += cost;
            post(message);
        }
    }

    /** What waits is of a session that is over. */
    clear() {
        this.held.clear();
    }
}
