// Tickets: passwords encrypted by RSAES-OAEP (RFC 8017) with SHA-1, as the link stage wants them.

import { Malformed } from "./reader.js";
import { SHA1_BYTES, sha1 } from "./sha1.js";

/** Bytes of a public key: SubjectPublicKeyInfo of 1024 bits. */
export const KEY_BYTES = 162;
/** Bytes of an encrypted ticket. */
export const TICKET_BYTES = 128;
/** Longest password in bytes of UTF-8. */
export const PASSWORD_MAX = 60;

/** What is before the modulus of every such key: sequence, rsaEncryption, bit string, sequence, integer. */
const KEY_START = [
    0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03,
    0x81, 0x8d, 0x00, 0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00,
];
/** What follows it: the exponent 65537. */
const KEY_END = [0x02, 0x03, 0x01, 0x00, 0x01];

/**
 * @param {Uint8Array} key the server's public key, 162 bytes of DER
 * @param {string} password at most 60 bytes in UTF-8
 * @param {(count: number) => Uint8Array} random that many random bytes
 * @returns {Uint8Array} 128 bytes
 * @throws {Malformed} for a key of another kind
 * @throws {RangeError} for a password that is too long
 */
export function encryptTicket(key, password, random) {
    const text = new TextEncoder().encode(password);
    if (text.length > PASSWORD_MAX) {
        throw new RangeError(`the password has ${text.length} bytes, ${PASSWORD_MAX} is the most`);
    }
    const modulus = modulusOf(key);
    const block = new Uint8Array(TICKET_BYTES - SHA1_BYTES - 1);
    block.set(sha1(new Uint8Array(0)));
    // The password ends with a NUL, before which is what ends the padding.
    block[block.length - text.length - 2] = 1;
    block.set(text, block.length - text.length - 1);
    const seed = random(SHA1_BYTES).slice();
    combine(block, mask(seed, block.length));
    combine(seed, mask(block, SHA1_BYTES));
    const whole = new Uint8Array(TICKET_BYTES);
    whole.set(seed, 1);
    whole.set(block, 1 + SHA1_BYTES);
    return bytesOf(powered(numberOf(whole), modulus));
}

/** @param {Uint8Array} key */
function modulusOf(key) {
    const end = KEY_START.length + TICKET_BYTES;
    const known =
        key.length === KEY_BYTES &&
        KEY_START.every((byte, index) => key[index] === byte) &&
        KEY_END.every((byte, index) => key[end + index] === byte) &&
        key[KEY_START.length] >= 0x80;
    if (!known) {
        throw new Malformed(`pub_key: ${key.length} bytes that are no RSA key of 1024 bits with exponent 65537`);
    }
    return numberOf(key.subarray(KEY_START.length, end));
}

/**
 * MGF1.
 * @param {Uint8Array} seed
 * @param {number} length
 */
function mask(seed, length) {
    const made = new Uint8Array(length);
    const input = new Uint8Array(seed.length + 4);
    input.set(seed);
    for (let at = 0, counter = 0; at < length; at += SHA1_BYTES, counter++) {
        new DataView(input.buffer).setUint32(seed.length, counter);
        made.set(sha1(input).subarray(0, length - at), at);
    }
    return made;
}

/**
 * @param {Uint8Array} bytes changed
 * @param {Uint8Array} other
 */
function combine(bytes, other) {
    other.forEach((byte, index) => (bytes[index] ^= byte));
}

/** @param {Uint8Array} bytes */
function numberOf(bytes) {
    return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/** @param {bigint} number */
function bytesOf(number) {
    const bytes = new Uint8Array(TICKET_BYTES);
    for (let at = bytes.length - 1; at >= 0; at--) {
        bytes[at] = Number(number & 0xffn);
        number >>= 8n;
    }
    return bytes;
}

/**
 * The number to the power of 65537: sixteen squares and one more factor.
 * @param {bigint} number
 * @param {bigint} modulus
 */
function powered(number, modulus) {
    let square = number;
    for (let count = 0; count < 16; count++) {
        square = (square * square) % modulus;
    }
    return (square * number) % modulus;
}
