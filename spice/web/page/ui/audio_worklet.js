// Sound of the guest where the browser mixes it: samples wait in a ring, so that the network may be late for a moment.

/** Milliseconds of sound that are collected before any is heard, at the beginning and after a gap. */
const START_MS = 60;
/** What waits for longer than this is too late, and goes. */
const LATE_MS = 300;

/** A ring of samples. Times are in frames: one sample of each channel. */
export class Ring {
    /**
     * @param {number} channels
     * @param {number} rate frames a second
     */
    constructor(channels, rate) {
        this.channels = channels;
        this.start = Math.ceil((rate * START_MS) / 1000);
        this.late = Math.ceil((rate * LATE_MS) / 1000);
        this.samples = new Int16Array(this.late * channels);
        this.first = 0;
        this.count = 0;
        this.playing = false;
    }

    /** @param {Int16Array} samples of all channels in turn; what is too much, is from the beginning */
    push(samples) {
        const { channels, late } = this;
        const frames = Math.floor(samples.length / channels);
        const kept = Math.min(frames, late);
        if (this.count + kept > late) {
            // Back to a short wait at once, not to the longest one.
            const wanted = Math.max(0, Math.min(this.count, this.start - kept));
            this.first = (this.first + this.count - wanted) % late;
            this.count = wanted;
        }
        let at = ((this.first + this.count) % late) * channels;
        for (let from = (frames - kept) * channels; from < frames * channels; from++) {
            this.samples[at] = samples[from];
            at = at + 1 === this.samples.length ? 0 : at + 1;
        }
        this.count += kept;
    }

    /**
     * Takes sound out; silence where there is none.
     * @param {Float32Array[]} outputs one for each channel that is heard; the same length all
     * @param {number[]} volume of each channel, 0 to 1
     */
    pull(outputs, volume) {
        const frames = outputs[0]?.length ?? 0;
        this.playing = this.playing ? this.count > 0 : this.count >= this.start;
        const heard = this.playing ? Math.min(frames, this.count) : 0;
        outputs.forEach((output, index) => {
            // One channel is heard on both sides.
            const channel = Math.min(index, this.channels - 1);
            const gain = (volume[channel] ?? 1) / 32768;
            for (let frame = 0; frame < heard; frame++) {
                output[frame] = this.samples[((this.first + frame) % this.late) * this.channels + channel] * gain;
            }
            output.fill(0, heard);
        });
        this.first = (this.first + heard) % this.late;
        this.count -= heard;
    }
}

// What there is in the browser's own place for this, and nowhere else.
const { AudioWorkletProcessor: Processor, registerProcessor } = /** @type {any} */ (globalThis);

if (registerProcessor !== undefined) {
    registerProcessor(
        "guest-sound",
        class extends Processor {
            /** @param {{processorOptions: {channels: number, rate: number}}} options */
            constructor({ processorOptions: { channels, rate } }) {
                super();
                this.ring = new Ring(channels, rate);
                /** @type {number[]} */
                this.volume = [];
                this.ended = false;
                /** @param {MessageEvent} event */
                this.port.onmessage = ({ data }) => {
                    if (data.samples !== undefined) {
                        this.ring.push(data.samples);
                    } else if (data.volume !== undefined) {
                        this.volume = data.volume;
                    } else {
                        this.ended = true;
                    }
                };
            }

            /**
             * @param {Float32Array[][]} _inputs
             * @param {Float32Array[][]} outputs
             */
            process(_inputs, outputs) {
                this.ring.pull(outputs[0], this.volume);
                return !this.ended;
            }
        },
    );
}
