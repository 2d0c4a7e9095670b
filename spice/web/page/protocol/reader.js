// Reading and writing of SPICE messages: little endian, every length checked.

/** A message of the server that is not what the protocol says. The text names the field and its value. */
export class Malformed extends Error {
    /** @param {string} message */
    constructor(message) {
        super(message);
        this.name = "Malformed";
    }
}

/** A position in a message. */
export class Reader {
    /**
     * @param {Uint8Array} bytes the whole message; pointers are offsets in it
     * @param {number} [position] where to begin, in bytes
     */
    constructor(bytes, position = 0) {
        this.bytes = bytes;
        this.position = position;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    /** Bytes from here to the end. */
    get left() {
        return this.bytes.length - this.position;
    }

    /**
     * Moves on by `count` bytes, which have to be there.
     * @param {number} count
     * @returns {number} where they begin
     */
    step(count) {
        const start = this.position;
        if (!(count >= 0 && count <= this.left)) {
            throw new Malformed(`${count} bytes wanted at ${start}, ${this.left} are left`);
        }
        this.position = start + count;
        return start;
    }

    u8() {
        return this.view.getUint8(this.step(1));
    }

    u16() {
        return this.view.getUint16(this.step(2), true);
    }

    u32() {
        return this.view.getUint32(this.step(4), true);
    }

    i32() {
        return this.view.getInt32(this.step(4), true);
    }

    u64() {
        return this.view.getBigUint64(this.step(8), true);
    }

    /**
     * The next `count` bytes, not copied.
     * @param {number} count
     */
    take(count) {
        const start = this.step(count);
        return this.bytes.subarray(start, start + count);
    }

    /**
     * A reader of the same bytes at an absolute offset, which must be inside.
     * @param {number} offset
     */
    at(offset) {
        if (!(offset >= 0 && offset < this.bytes.length)) {
            throw new Malformed(`offset ${offset} is outside a message of ${this.bytes.length} bytes`);
        }
        return new Reader(this.bytes, offset);
    }

    /** @param {number} count bytes to pass over */
    skip(count) {
        this.step(count);
    }
}

/** Bytes written one after the other. */
export class Writer {
    constructor() {
        this.buffer = new Uint8Array(64);
        this.length = 0;
    }

    /**
     * @param {number} count
     * @param {(view: DataView, at: number) => void} put
     */
    write(count, put) {
        const at = this.length;
        if (at + count > this.buffer.length) {
            const grown = new Uint8Array(Math.max(this.buffer.length * 2, at + count));
            grown.set(this.buffer);
            this.buffer = grown;
        }
        this.length = at + count;
        put(new DataView(this.buffer.buffer), at);
    }

    /** @param {number} value */
    u8(value) {
        this.write(1, (view, at) => view.setUint8(at, value));
    }

    /** @param {number} value */
    u16(value) {
        this.write(2, (view, at) => view.setUint16(at, value, true));
    }

    /** @param {number} value */
    u32(value) {
        this.write(4, (view, at) => view.setUint32(at, value, true));
    }

    /** @param {number} value */
    i32(value) {
        this.write(4, (view, at) => view.setInt32(at, value, true));
    }

    /** @param {bigint} value */
    u64(value) {
        this.write(8, (view, at) => view.setBigUint64(at, value, true));
    }

    /** @param {Uint8Array} bytes */
    bytes(bytes) {
        this.write(bytes.length, (_view, at) => this.buffer.set(bytes, at));
    }

    /** Everything written so far. */
    finish() {
        return this.buffer.slice(0, this.length);
    }
}

/**
 * Text of the server, which is put on the page: laying out one of megabytes takes the browser very long.
 * @param {Uint8Array} bytes UTF-8
 * @param {number} most bytes that are taken
 * @returns {string} with "…" where it is not all
 */
export function shortText(bytes, most) {
    const text = new TextDecoder().decode(bytes.subarray(0, most));
    return bytes.length > most ? `${text}…` : text;
}
