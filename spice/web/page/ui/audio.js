// Sound of the guest. Browsers let a page be heard only after the person has done something: enable() is for then.

/** Seconds by which sound is played later where there is no audio worklet, that is on pages without https. */
const DELAY = 0.12;
/** Sound that would come later than this, in seconds, is left out. */
const LATE = 0.4;

/**
 * What plays the samples of one start: of all channels in turn; the volume of each is 0 to 1.
 * @typedef {{play(samples: Int16Array): void, setVolume(volume: number[]): void, stop(): void}} Player
 */

/**
 * @param {object} [options]
 * @param {new (options: {sampleRate: number}) => AudioContext} [options.Context] what plays; the browser's
 * @returns {{onMessage(message: any): void, enable(): void, disable(): void}} onMessage: takes every message of the
 *     worker, and does something for `audio`; enable: to be called where the person has clicked. What the worker is
 *     told is up to the caller
 */
export function createAudio({ Context = globalThis.AudioContext } = {}) {
    let on = false;
    /** @type {{channels: number, rate: number} | null} what the guest plays */
    let format = null;
    /** @type {number[]} */
    let volume = [];
    let mute = false;
    /** @type {AudioContext | null} */
    let context = null;
    /** @type {Player | null} */
    let player = null;
    /** Starts; what was begun for another one than the last is not used. */
    let starts = 0;

    async function start() {
        stop();
        const mine = ++starts;
        if (!on || format === null || Context === undefined) {
            return;
        }
        const made = new Context({ sampleRate: format.rate });
        context = made;
        void made.resume().catch(() => {});
        const { channels, rate } = format;
        const ready =
            made.audioWorklet === undefined ? sourcePlayer(made, channels, rate) : await workletPlayer(made, channels);
        if (mine !== starts) {
            ready.stop();
            return;
        }
        player = ready;
        tellVolume();
    }

    function stop() {
        starts++;
        player?.stop();
        player = null;
        void context?.close().catch(() => {});
        context = null;
    }

    function tellVolume() {
        const channels = format?.channels ?? 0;
        player?.setVolume(Array.from({ length: channels }, (_, channel) => (mute ? 0 : (volume[channel] ?? 1))));
    }

    return {
        onMessage(message) {
            const what = message.type === "audio" ? message.what : "";
            if (what === "start") {
                format = { channels: message.channels, rate: message.rate };
                void start();
            } else if (what === "data") {
                player?.play(message.samples);
            } else if (what === "stop") {
                format = null;
                stop();
            } else if (what === "volume") {
                volume = message.volume;
                tellVolume();
            } else if (what === "mute") {
                mute = message.mute;
                tellVolume();
            }
        },
        enable() {
            if (!on) {
                on = true;
                void start();
            } else {
                void context?.resume().catch(() => {});
            }
        },
        disable() {
            on = false;
            stop();
        },
    };
}

/** @type {(context: AudioContext, channels: number) => Promise<Player>} */
async function workletPlayer(context, channels) {
    const rate = context.sampleRate;
    try {
        await context.audioWorklet.addModule(new URL("audio_worklet.js", import.meta.url).href);
        const node = new AudioWorkletNode(context, "guest-sound", {
            numberOfInputs: 0,
            outputChannelCount: [2],
            processorOptions: { channels, rate },
        });
        node.connect(context.destination);
        return {
            play: (samples) => node.port.postMessage({ samples }, [samples.buffer]),
            setVolume: (volume) => node.port.postMessage({ volume }),
            stop() {
                node.port.postMessage({});
                node.disconnect();
            },
        };
    } catch {
        return sourcePlayer(context, channels, rate);
    }
}

/**
 * Plays the pieces one after the other.
 * @type {(context: AudioContext, channels: number, rate: number) => Player}
 */
function sourcePlayer(context, channels, rate) {
    /** @type {number[]} */
    let gains = [];
    /** When the next piece is to be heard, in seconds of the context. */
    let next = 0;
    const heard = Math.min(channels, 2);
    return {
        play(samples) {
            const frames = Math.floor(samples.length / channels);
            const now = context.currentTime;
            if (frames === 0 || next > now + LATE || context.state !== "running") {
                return;
            }
            const buffer = context.createBuffer(heard, frames, rate);
            for (let channel = 0; channel < heard; channel++) {
                const gain = (gains[channel] ?? 1) / 32768;
                const data = buffer.getChannelData(channel);
                for (let frame = 0; frame < frames; frame++) {
                    data[frame] = samples[frame * channels + channel] * gain;
                }
            }
            const source = context.createBufferSource();
            source.buffer = buffer;
            source.connect(context.destination);
            next = next < now ? now + DELAY : next;
            source.start(next);
            next += frames / rate;
        },
        setVolume(volume) {
            gains = volume;
        },
        stop() {
            // The context is closed, and with it what would come still.
        },
    };
}
