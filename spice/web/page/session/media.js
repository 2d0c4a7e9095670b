// Decoders that browsers have: JPEG everywhere, video and Opus where there are WebCodecs, which only pages have that
// come by HTTPS or from this host.

import { jpegSize } from "../protocol/jpeg.js";
import { CODEC } from "../protocol/names.js";

/** @typedef {import("./platform.js").Frame} Frame */

/** Most pixels of a frame of video. */
const PIXELS_MAX = 64 << 20;
/** Frames are passed over while later ones wait, but not for longer than this, in ms. */
const PASSED_OVER_MAX = 100;
/** Frames whose memory is kept for others: one is on a surface while the next one is decoded. */
const SPARE = 2;
/** Frames that may wait to be decoded. */
const QUEUED_MAX = 3;
/** What is asked of the browser about each codec. */
const PROBES = Object.freeze([
    { codec: CODEC.H264, format: "avc1.42E01F" },
    { codec: CODEC.VP8, format: "vp8" },
    { codec: CODEC.VP9, format: "vp09.00.41.08" },
]);

/**
 * A place in which pictures of the browser become pixels.
 * @returns {(image: CanvasImageSource, width: number, height: number) => Uint32Array}
 */
function pixelReader() {
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    return (image, width, height) => {
        if (context === null) {
            throw new Error("the browser has no 2D canvas in workers");
        }
        if (canvas.width < width || canvas.height < height) {
            canvas.width = Math.max(canvas.width, width);
            canvas.height = Math.max(canvas.height, height);
        }
        context.drawImage(image, 0, 0, width, height);
        return new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    };
}

/**
 * Whether the browser turns frames into pixels by itself: three times as quick as by way of a canvas.
 * @returns {Promise<boolean>}
 */
export async function copiesPixels() {
    if (typeof ImageDecoder === "undefined" || typeof VideoFrame === "undefined") {
        return false;
    }
    const black = { format: /** @type {VideoPixelFormat} */ ("I420"), codedWidth: 2, codedHeight: 2, timestamp: 0 };
    const frame = new VideoFrame(Uint8Array.of(0, 0, 0, 0, 128, 128), black);
    try {
        const pixels = new Uint8Array(16);
        await frame.copyTo(pixels, /** @type {VideoFrameCopyToOptions} */ ({ format: "RGBA" }));
        // Those that do not know the option copy what is there, which is shorter.
        return pixels[15] === 255;
    } catch {
        return false;
    } finally {
        frame.close();
    }
}

/** Frames that the browser turns into pixels. Their memory is used again when they are closed. */
class Pixels {
    constructor() {
        /** @type {ImageData[]} */
        this.free = [];
    }

    /**
     * @param {VideoFrame} frame which is closed
     * @param {number} width
     * @param {number} height
     * @returns {Promise<Frame>}
     */
    async of(frame, width, height) {
        try {
            const at = this.free.findIndex((image) => image.width === width && image.height === height);
            const image = at < 0 ? new ImageData(width, height) : this.free.splice(at, 1)[0];
            const rect = { x: 0, y: 0, width, height };
            await frame.copyTo(image.data, /** @type {VideoFrameCopyToOptions} */ ({ format: "RGBA", rect }));
            const read = () => new Uint32Array(image.data.buffer);
            const close = () => {
                this.free.push(image);
                this.free.splice(0, this.free.length - SPARE);
            };
            return { width, height, image, read, close };
        } finally {
            frame.close();
        }
    }
}

/**
 * @param {Uint8Array} bytes a JPEG
 * @param {Pixels} pixels
 * @returns {Promise<Frame>}
 */
async function decodeToPixels(bytes, pixels) {
    const { width, height } = jpegSize(bytes);
    const decoder = new ImageDecoder({ data: bytes, type: "image/jpeg", colorSpaceConversion: "none" });
    try {
        const { image } = await decoder.decode();
        return await pixels.of(image, width, height);
    } finally {
        decoder.close();
    }
}

/**
 * @param {boolean} copies as `copiesPixels` says
 * @returns {import("./platform.js").Platform["decodeFrame"]}
 */
export function frameDecoder(copies) {
    if (copies) {
        const pixels = new Pixels();
        return (bytes) => decodeToPixels(bytes, pixels);
    }
    const read = pixelReader();
    return async (bytes) => {
        const { width, height } = jpegSize(bytes);
        const blob = new Blob([/** @type {BlobPart} */ (bytes)], { type: "image/jpeg" });
        const image = await createImageBitmap(blob, { colorSpaceConversion: "none", imageOrientation: "none" });
        return { width, height, image, read: () => read(image, width, height), close: () => image.close() };
    };
}

/**
 * @param {boolean} copies as `copiesPixels` says
 * @returns {import("./platform.js").Platform["decodeJpeg"]}
 */
export function jpegDecoder(copies) {
    // The pixels are kept, and their memory is not used again.
    /** @type {import("./platform.js").Platform["decodeFrame"]} */
    const decode = copies ? (bytes) => decodeToPixels(bytes, new Pixels()) : frameDecoder(false);
    return async (bytes) => {
        const { width, height, read, close } = await decode(bytes);
        try {
            return { width, height, pixels: read() };
        } finally {
            close();
        }
    };
}

/** @returns {Promise<number[]>} codecs of video that the browser says it can decode */
export async function videoCodecs() {
    if (typeof VideoDecoder === "undefined") {
        return [];
    }
    const found = await Promise.all(
        PROBES.map(async ({ codec, format }) => {
            try {
                const { supported } = await VideoDecoder.isConfigSupported({ codec: format, optimizeForLatency: true });
                return supported ? [codec] : [];
            } catch {
                return [];
            }
        }),
    );
    return found.flat();
}

/**
 * @param {boolean} copies as `copiesPixels` says
 * @returns {import("./platform.js").Platform["video"]}
 */
export const videoPlayer = (copies) => (onframe, onerror) => {
    const read = pixelReader();
    const pixels = new Pixels();
    /** Frames are shown one after the other. */
    let before = Promise.resolve();
    let format = "";
    let time = 0;
    let shown = 0;
    const decoder = new VideoDecoder({
        output: (image) => {
            const now = performance.now();
            // The newest is always shown: behind it nothing waits.
            if (decoder.state === "configured" && decoder.decodeQueueSize > 0 && now - shown < PASSED_OVER_MAX) {
                image.close();
                return;
            }
            shown = now;
            const { displayWidth: width, displayHeight: height } = image;
            if (width * height > PIXELS_MAX) {
                image.close();
                onerror(new Error(`video of ${width}x${height} pixels`));
                return;
            }
            if (copies) {
                const earlier = before;
                const show = (/** @type {Frame} */ frame) => earlier.then(() => onframe(frame));
                before = pixels.of(image, width, height).then(show, onerror);
            } else {
                onframe({ width, height, image, read: () => read(image, width, height), close: () => image.close() });
            }
        },
        error: (error) => {
            go();
            onerror(error);
        },
    });
    /** @type {(() => void)[]} */
    const waiters = [];
    const go = () => waiters.splice(0).forEach((waiter) => waiter());
    decoder.addEventListener("dequeue", () => {
        if (decoder.decodeQueueSize <= QUEUED_MAX) {
            go();
        }
    });
    return {
        decode(data, key, codec) {
            try {
                if (codec !== format) {
                    format = codec;
                    decoder.configure({ codec, optimizeForLatency: true });
                }
                decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: time++, data }));
            } catch (error) {
                onerror(error);
                return undefined;
            }
            // Browsers that do not tell when there is room are not waited for.
            return decoder.decodeQueueSize > QUEUED_MAX && "ondequeue" in decoder
                ? new Promise((resolve) => void waiters.push(resolve))
                : undefined;
        },
        close() {
            go();
            if (decoder.state !== "closed") {
                decoder.close();
            }
        },
    };
};

/** @returns {import("./platform.js").OpusMaker | null} */
export function opusMaker() {
    if (typeof AudioDecoder === "undefined") {
        return null;
    }
    return (channels, rate, onsamples) => {
        let time = 0;
        const decoder = new AudioDecoder({
            output: (data) => {
                const plane = new Float32Array(data.numberOfFrames);
                const samples = new Int16Array(data.numberOfFrames * channels);
                for (let channel = 0; channel < channels; channel++) {
                    data.copyTo(plane, { planeIndex: channel, format: "f32-planar" });
                    plane.forEach((value, at) => {
                        samples[at * channels + channel] = Math.max(-1, Math.min(1, value)) * 0x7fff;
                    });
                }
                data.close();
                onsamples(samples);
            },
            // A packet that cannot be decoded is silence.
            error: () => {},
        });
        decoder.configure({ codec: "opus", numberOfChannels: channels, sampleRate: rate });
        return {
            decode(packet) {
                if (decoder.state === "configured") {
                    decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: time++, data: packet }));
                }
            },
            close() {
                if (decoder.state !== "closed") {
                    decoder.close();
                }
            },
        };
    };
}
