// Tells which frames are drawn: put before a page's own script, in the page or in its worker, by figures.mjs and
// ci/bench/stream_server.py. Frames have their number in the left upper corner, as the latter draws it.

(() => {
    const [BITS, SQUARE] = [16, 32];
    const told = new BroadcastChannel("frames");
    const Context =
        typeof CanvasRenderingContext2D === "undefined" ? OffscreenCanvasRenderingContext2D : CanvasRenderingContext2D;
    const drawing = new OffscreenCanvas(BITS, 1).getContext("2d", { willReadFrequently: true });
    const { drawImage, putImageData } = Context.prototype;
    // Of a worker it is the same, which is about to be another one.
    const draw = /** @type {any} */ (OffscreenCanvasRenderingContext2D.prototype.drawImage);
    let last = 0;

    /**
     * @param {Uint8ClampedArray} data
     * @param {number} step bytes from bit to bit
     * @param {number} first byte
     */
    function tell(data, step, first) {
        let number = 0;
        for (let bit = 0; bit < BITS; bit++) {
            number |= (data[first + bit * step] > 127 ? 1 : 0) << bit;
        }
        // Where nothing has been drawn it is 0.
        if (number !== last && number !== 0) {
            last = number;
            told.postMessage({ number, at: performance.timeOrigin + performance.now() });
        }
    }

    /** @param {any[]} all what drawImage is called with */
    Context.prototype.drawImage = function (...all) {
        drawImage.apply(this, /** @type {any} */ (all));
        const image = all[0];
        if (drawing !== null && (image.naturalWidth ?? image.width) >= BITS * SQUARE) {
            drawing.imageSmoothingEnabled = false;
            draw.call(drawing, image, 0, 0, BITS * SQUARE, SQUARE, 0, 0, BITS, 1);
            tell(drawing.getImageData(0, 0, BITS, 1).data, 4, 1);
        }
    };

    /** @param {any[]} all what putImageData is called with */
    Context.prototype.putImageData = function (...all) {
        putImageData.apply(this, /** @type {any} */ (all));
        const { width, height, data } = /** @type {ImageData} */ (all[0]);
        if (width >= BITS * SQUARE && height >= SQUARE) {
            tell(data, 4 * SQUARE, 4 * ((width * SQUARE) / 2 + SQUARE / 2) + 1);
        }
    };
})();
