// Decoders that browsers have: JPEG everywhere, video and Opus where there are WebCodecs, which only pages have that
// come by HTTPS or from this host.

import { jpegSize } from "../protocol/jpeg.js";
import { CODEC } from "../protocol/names.js";

/** @typedef {import("./platform.js").Picture} Picture */

/** Most pixels of a frame of video. */
const PIXELS_MAX = 64 << 20;
/** Frames are passed over while later ones wait, but not for longer than this, in ms. */
const PASSED_OVER_MAX = 100;
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

/** @returns {import("./platform.js").Platform["decodeJpeg"]} */
export function jpegDecoder() {
    const read = pixelReader();
    return async (bytes) => {
        const { width, height } = jpegSize(bytes);
        const blob = new Blob([/** @type {BlobPart} */ (bytes)], { type: "image/jpeg" });
        const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", imageOrientation: "none" });
        try {
            return { width, height, pixels: read(bitmap, width, height) };
        } finally {
            bitmap.close();
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

/** @type {import("./platform.js").Platform["video"]} */
export function videoPlayer(onpicture, onerror) {
    const read = pixelReader();
    let format = "";
    let time = 0;
    let shown = 0;
    const decoder = new VideoDecoder({
        output: (frame) => {
            try {
                const now = performance.now();
                // The newest is always shown: behind it nothing waits.
                if (decoder.state === "configured" && decoder.decodeQueueSize > 0 && now - shown < PASSED_OVER_MAX) {
                    return;
                }
                shown = now;
                const { displayWidth: width, displayHeight: height } = frame;
                if (width * height > PIXELS_MAX) {
                    throw new Error(`video of ${width}x${height} pixels`);
                }
                onpicture({ width, height, pixels: read(frame, width, height), hasAlpha: false });
            } catch (error) {
                onerror(error);
            } finally {
                frame.close();
            }
        },
        error: onerror,
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
            }
        },
        close() {
            if (decoder.state !== "closed") {
                decoder.close();
            }
        },
    };
}

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
