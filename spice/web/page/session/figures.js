// Figures of the session, told once a second while somebody looks.

/** Round trips older than that say nothing about now, in ms. */
const ROUND_TRIP_AGE = 10_000;
/** Round trips that are kept. */
const ROUND_TRIPS = 16;

export class Figures {
    /** @param {() => number} now in ms */
    constructor(now) {
        this.now = now;
        this.bytes = 0;
        this.frames = 0;
        this.dropped = 0;
        this.codec = "";
        this.video = "";
        this.since = now();
        /** When something has come last. */
        this.received = now();
        /** @type {{at: number, milliseconds: number}[]} */
        this.trips = [];
        /** @type {{at: number, milliseconds: number} | null} */
        this.link = null;
    }

    /** @param {number} bytes that have come */
    receive(bytes) {
        this.bytes += bytes;
        this.received = this.now();
    }

    /** @param {number} milliseconds between a ticket and the answer to it, for which the server has some work to do */
    linked(milliseconds) {
        if (this.link === null || milliseconds < this.link.milliseconds) {
            this.link = { at: this.now(), milliseconds };
        }
    }

    /** @param {number} milliseconds between a motion and its answer, which the server gives at once */
    measured(milliseconds) {
        this.trips.push({ at: this.now(), milliseconds });
        if (this.trips.length > ROUND_TRIPS) {
            this.trips.shift();
        }
    }

    /**
     * @param {string} codec of video
     * @param {boolean} shown
     */
    videoFrame(codec, shown) {
        this.video = codec;
        this.dropped += shown ? 0 : 1;
    }

    /**
     * What there is to tell; then counting begins anew. `roundTrip`: ms between a motion and its answer, the median of
     * the last ones; before there are any, what linking took; null when nothing of the last ten seconds is known.
     * `frames`: pictures shown a second; `bytes` received a second. `codec` and `video`: how the last image was
     * compressed, and video if there was any. `dropped`: frames of video that were late.
     * @returns {{type: "figures", roundTrip: number | null, frames: number, bytes: number, codec: string,
     *     video: string, dropped: number}}
     */
    take() {
        const now = this.now();
        const seconds = Math.max(now - this.since, 1) / 1000;
        const known = this.trips.length > 0 || this.link === null ? this.trips : [this.link];
        const trips = known
            .filter(({ at }) => now - at <= ROUND_TRIP_AGE)
            .map(({ milliseconds }) => milliseconds)
            .sort((one, other) => one - other);
        const { video, dropped } = this;
        const figures = {
            type: /** @type {const} */ ("figures"),
            roundTrip: trips.length > 0 ? trips[trips.length >> 1] : null,
            frames: Math.round(this.frames / seconds),
            bytes: Math.round(this.bytes / seconds),
            codec: this.codec,
            video,
            dropped,
        };
        Object.assign(this, { bytes: 0, frames: 0, dropped: 0, video: "", since: now });
        return figures;
    }
}
