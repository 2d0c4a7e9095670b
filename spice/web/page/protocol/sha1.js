// SHA-1, which tickets are encrypted with. Pages that do not come by HTTPS have no crypto.subtle.

/** Bytes of a digest. */
export const SHA1_BYTES = 20;

/**
 * @param {Uint8Array} message
 * @returns {Uint8Array} its digest, 20 bytes
 */
export function sha1(message) {
    const blocks = ((message.length + 8) >> 6) + 1;
    const padded = new Uint8Array(blocks * 64);
    padded.set(message);
    padded[message.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
    const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
    const words = new Uint32Array(80);
    for (let at = 0; at < padded.length; at += 64) {
        for (let index = 0; index < 16; index++) {
            words[index] = view.getUint32(at + index * 4);
        }
        for (let index = 16; index < 80; index++) {
            words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1);
        }
        let [a, b, c, d, e] = state;
        for (let index = 0; index < 80; index++) {
            const next = (rotated(a, 5) + mixed(index, b, c, d) + e + words[index]) >>> 0;
            [a, b, c, d, e] = [next, a, rotated(b, 30), c, d];
        }
        [a, b, c, d, e].forEach((value, index) => (state[index] = (state[index] + value) >>> 0));
    }
    const digest = new Uint8Array(SHA1_BYTES);
    state.forEach((value, index) => new DataView(digest.buffer).setUint32(index * 4, value));
    return digest;
}

/**
 * @param {number} value
 * @param {number} bits
 */
function rotated(value, bits) {
    return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}

/**
 * The function and the constant of a round.
 * @param {number} round
 * @param {number} b
 * @param {number} c
 * @param {number} d
 */
function mixed(round, b, c, d) {
    if (round < 20) {
        return (((b & c) | (~b & d)) >>> 0) + 0x5a827999;
    }
    if (round < 40) {
        return ((b ^ c ^ d) >>> 0) + 0x6ed9eba1;
    }
    if (round < 60) {
        return (((b & c) | (b & d) | (c & d)) >>> 0) + 0x8f1bbcdc;
    }
    return ((b ^ c ^ d) >>> 0) + 0xca62c1d6;
}
