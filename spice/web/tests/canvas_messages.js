// Drawing messages for tests.

import { Writer } from "../page/protocol/reader.js";

/** @typedef {import("../page/canvas/message.js").Rect} Rect */

/**
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 * @returns {Rect}
 */
export const rect = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });

/** A message body: fields in order, then what pointers point to. */
export class Body extends Writer {
    /**
     * @param {number} surface
     * @param {Rect} box
     * @param {Rect[] | null} [clip]
     */
    constructor(surface, box, clip = null) {
        super();
        /** @type {[number, (() => void)][]} */
        this.targets = [];
        this.u32(surface);
        this.rect(box);
        if (clip === null) {
            this.u8(0);
        } else {
            this.u8(1);
            this.u32(clip.length);
            clip.forEach((part) => this.rect(part));
        }
    }

    /** @param {Rect} box */
    rect({ left, top, right, bottom }) {
        [top, left, bottom, right].forEach((edge) => this.i32(edge));
        return this;
    }

    /**
     * @param {number} x
     * @param {number} y
     */
    point(x, y) {
        this.i32(x);
        this.i32(y);
        return this;
    }

    /**
     * A pointer, and what is to be written where it points.
     * @param {() => void} write
     */
    pointer(write) {
        this.targets.push([this.length, write]);
        this.u32(0);
        return this;
    }

    /** @param {number} value */
    byte(value) {
        this.u8(value);
        return this;
    }

    /** @param {number} value */
    short(value) {
        this.u16(value);
        return this;
    }

    /** @param {number} value */
    word(value) {
        this.u32(value);
        return this;
    }

    /** @param {number} color */
    solid(color) {
        return this.byte(1).word(color);
    }

    /** @param {(() => void) | null} [image] */
    mask(image = null, inverse = false, x = 0, y = 0) {
        this.byte(inverse ? 1 : 0).point(x, y);
        return image === null ? this.word(0) : this.pointer(image);
    }

    /**
     * A bitmap.
     * @param {number} format
     * @param {number} width
     * @param {number} height
     * @param {ArrayLike<number>} data rows without padding, top-down
     * @param {number[]} [palette]
     */
    bitmap(format, width, height, data, palette) {
        return () => {
            this.u64(7n);
            this.byte(0).byte(0).word(width).word(height);
            this.byte(format).byte(4).word(width).word(height);
            this.word(data.length / height);
            if (palette === undefined) {
                this.word(0);
            } else {
                this.pointer(() => {
                    this.u64(0n);
                    this.short(palette.length);
                    palette.forEach((entry) => this.word(entry));
                });
            }
            this.bytes(Uint8Array.from(data));
        };
    }

    /**
     * Pixels of 32 bits, 0xAARRGGBB.
     * @param {number} width
     * @param {number[]} values
     * @param {boolean} [hasAlpha]
     */
    pixels(width, values, hasAlpha = false) {
        const data = values.flatMap((value) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]);
        return this.bitmap(hasAlpha ? 9 : 8, width, values.length / width, data);
    }

    /**
     * A surface as an image.
     * @param {number} id
     */
    surface(id) {
        return () => {
            this.u64(0n);
            this.byte(104).byte(0).word(0).word(0).word(id);
        };
    }

    /** The whole body. */
    finish() {
        for (let next = this.targets.shift(); next !== undefined; next = this.targets.shift()) {
            const [slot, write] = next;
            new DataView(this.buffer.buffer).setUint32(slot, this.length, true);
            write();
        }
        return super.finish();
    }
}
