// What has to be known of a JPEG before somebody decodes it.

import { Malformed } from "./reader.js";

/** Most pixels of a picture. */
const PIXELS_MAX = 64 << 20;

/**
 * @param {Uint8Array} bytes of a JPEG
 * @returns {{width: number, height: number}}
 * @throws {Malformed} when it has no size, or one that is too large
 */
export function jpegSize(bytes) {
    let at = 2;
    while (at + 9 <= bytes.length && bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[at] === 0xff) {
        const marker = bytes[at + 1];
        if (marker === 0xff) {
            // Filling before a marker.
            at++;
            continue;
        }
        const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
        if (isFrame) {
            const height = (bytes[at + 5] << 8) | bytes[at + 6];
            const width = (bytes[at + 7] << 8) | bytes[at + 8];
            if (width === 0 || height === 0 || width * height > PIXELS_MAX) {
                throw new Malformed(`JPEG: ${width}x${height} pixels`);
            }
            return { width, height };
        }
        // A segment says how long it is, itself included; those without one are not before the frame.
        at += 2 + Math.max(2, (bytes[at + 2] << 8) | bytes[at + 3]);
    }
    throw new Malformed(`JPEG: no size in ${bytes.length} bytes`);
}
