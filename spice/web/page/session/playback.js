// The playback channel: sound of the guest, handed to the main thread as samples.

import { CHANNEL, PLAYBACK, PLAYBACK_CAP, capWords } from "../protocol/names.js";
import { Malformed, Reader } from "../protocol/reader.js";

/** @typedef {import("./channel.js").Handler} Handler */

const MESSAGE_MAX = 1 << 20;
const MODE_RAW = 1;
const MODE_OPUS = 3;
const FORMAT_S16 = 1;

/** @implements {Handler} */
export class Playback {
    /** @param {Pick<import("./platform.js").Platform, "post" | "opus">} owner */
    constructor(owner) {
        this.owner = owner;
        this.type = CHANNEL.PLAYBACK;
        this.id = 0;
        this.most = MESSAGE_MAX;
        this.caps = capWords(owner.opus === null ? [PLAYBACK_CAP.VOLUME] : [PLAYBACK_CAP.VOLUME, PLAYBACK_CAP.OPUS]);
        this.mode = MODE_RAW;
        this.channels = 0;
        /** @type {import("./platform.js").OpusPlayer | null} */
        this.decoder = null;
    }

    linked() {
        // The server speaks first.
    }

    /** Nothing is heard any more. */
    stop() {
        this.decoder?.close();
        this.decoder = null;
        if (this.channels > 0) {
            this.channels = 0;
            this.owner.post({ type: "audio", what: "stop" });
        }
    }

    /**
     * @param {number} type
     * @param {Uint8Array} body
     */
    message(type, body) {
        const reader = new Reader(body);
        switch (type) {
            case PLAYBACK.MODE:
                reader.u32();
                this.mode = reader.u16();
                break;
            case PLAYBACK.START:
                this.start(reader);
                break;
            case PLAYBACK.DATA:
                this.data(reader);
                break;
            case PLAYBACK.STOP:
                this.stop();
                break;
            case PLAYBACK.VOLUME: {
                const volume = Array.from({ length: reader.u8() }, () => reader.u16() / 0xffff);
                this.owner.post({ type: "audio", what: "volume", volume });
                break;
            }
            case PLAYBACK.MUTE:
                this.owner.post({ type: "audio", what: "mute", mute: reader.u8() !== 0 });
                break;
            default:
        }
    }

    /** @param {Reader} reader */
    start(reader) {
        const [channels, format, rate] = [reader.u32(), reader.u16(), reader.u32()];
        if (channels < 1 || channels > 8 || format !== FORMAT_S16 || rate < 8000 || rate > 192_000) {
            throw new Malformed(`playback: ${channels} channels in format ${format} at ${rate} Hz`);
        }
        this.stop();
        if (this.mode === MODE_OPUS) {
            if (this.owner.opus === null) {
                throw new Malformed(`playback: mode ${this.mode} was not asked for`);
            }
            this.decoder = this.owner.opus(channels, rate, (samples) => this.play(samples));
        } else if (this.mode !== MODE_RAW) {
            throw new Malformed(`playback: mode ${this.mode} is none`);
        }
        this.channels = channels;
        this.owner.post({ type: "audio", what: "start", channels, rate });
    }

    /** @param {Reader} reader */
    data(reader) {
        reader.u32();
        if (this.channels === 0) {
            return;
        }
        const bytes = reader.take(reader.left);
        if (this.decoder !== null) {
            this.decoder.decode(bytes);
            return;
        }
        const frame = 2 * this.channels;
        const samples = new Int16Array((bytes.length - (bytes.length % frame)) / 2);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        for (let at = 0; at < samples.length; at++) {
            samples[at] = view.getInt16(at * 2, true);
        }
        this.play(samples);
    }

    /** @param {Int16Array} samples of all channels in turn */
    play(samples) {
        this.owner.post({ type: "audio", what: "data", samples }, [/** @type {ArrayBuffer} */ (samples.buffer)]);
    }
}
