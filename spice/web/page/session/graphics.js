// Images and canvases, as a session wants them.

import { Canvas } from "../canvas/canvas.js";
import { ImageCaches, ImageDecoder, PaletteCache } from "../image/images.js";

/**
 * @param {import("./platform.js").Platform["decodeJpeg"]} decodeJpeg
 * @returns {import("./platform.js").Graphics}
 */
export function graphics(decodeJpeg) {
    return {
        caches: () => new ImageCaches(),
        display(caches) {
            const palettes = new PaletteCache();
            // They are what `caches` makes.
            const own = /** @type {ImageCaches} */ (caches);
            return { palettes, canvas: new Canvas(new ImageDecoder(own, palettes, { decodeJpeg })) };
        },
    };
}
