// Compares the canvas of the page with that of the server, bit for bit, on random commands of every kind, which
// ci/suites/page-canvas has made and written to standard input:
//
//     cargo build -p caraway-differential
//     target/debug/caraway-differential-messages --commands 20000 | node spice/web/tests/differential.mjs
//
// The stream is described in that program. After each command the surface it draws on is compared, at the end of each
// round all of them; but for the unused byte of 32-bit pixels and the unused bit of 16-bit ones, which the page does
// not keep. What differs is told by cell, seed, round and command. With --some cells may stay without a command.

import { Canvas } from "../page/canvas/canvas.js";
import { FORMAT } from "../page/canvas/format.js";
import { Malformed, Reader } from "../page/protocol/reader.js";
import { BitmapDecoder } from "./canvas_decoder.js";

const SURFACE_CREATE = 314;
const CELLS = 0xfffd;
const COMMAND = 0xfffe;
const PIXELS = 0xffff;
/** Differences that are told. */
const MOST = 20;

/**
 * A pixel as the server has it, as a word of the page.
 * @param {number} format
 * @param {Uint8Array} row
 * @param {number} x
 */
function serverWord(format, row, x) {
    const repeated = (/** @type {number} */ value, /** @type {number} */ bits) =>
        ((value << (8 - bits)) | (value >> (2 * bits - 8))) & 255;
    switch (format) {
        case FORMAT.A1:
            return ((row[x >> 3] >> (x & 7)) & 1) !== 0 ? 0xff000000 : 0;
        case FORMAT.A8:
            return (row[x] << 24) >>> 0;
        case FORMAT.RGB555:
        case FORMAT.RGB565: {
            const value = row[2 * x] | (row[2 * x + 1] << 8);
            const green = format === FORMAT.RGB565 ? 6 : 5;
            const red = repeated((value >> (5 + green)) & 31, 5);
            const middle = repeated((value >> 5) & ((1 << green) - 1), green);
            return (0xff000000 | (repeated(value & 31, 5) << 16) | (middle << 8) | red) >>> 0;
        }
        default: {
            const alpha = format === FORMAT.ARGB ? row[4 * x + 3] : 255;
            return ((alpha << 24) | (row[4 * x] << 16) | (row[4 * x + 1] << 8) | row[4 * x + 2]) >>> 0;
        }
    }
}

/**
 * What is different about a surface, if anything is.
 * @param {Canvas} canvas
 * @param {Uint8Array} body
 */
function difference(canvas, body) {
    const reader = new Reader(body);
    const [id, width, height, format] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
    const surface = canvas.surface(id);
    const stride = Math.ceil((width * { [FORMAT.A1]: 1, [FORMAT.A8]: 8, 16: 16, 80: 16, 32: 32, 96: 32 }[format]) / 8);
    let count = 0;
    let first = "";
    for (let y = 0; y < height; y++) {
        const row = reader.take(stride);
        for (let x = 0; x < width; x++) {
            const theirs = serverWord(format, row, x);
            const ours = surface.pixels[y * width + x];
            if (ours !== theirs) {
                first ||= `${x}, ${y}: page ${ours.toString(16)}, server ${theirs.toString(16)}`;
                count += 1;
            }
        }
    }
    return count === 0 ? null : `${count} pixels of surface ${id} (format ${format}) differ, the first at ${first}`;
}

const canvas = new Canvas(new BitmapDecoder());
/** Commands that changed pixels, by cell. @type {Map<string, number>} */
const cells = new Map();
const differing = new Set();
let commands = 0;
let refused = 0;
let told = 0;
let current = "before the first command";

/**
 * @param {number} id
 * @param {Uint8Array} body
 */
function take(id, body) {
    switch (id) {
        case CELLS:
            new TextDecoder()
                .decode(body)
                .split("\n")
                .forEach((name) => cells.set(name, 0));
            return;
        case COMMAND: {
            current = new TextDecoder().decode(body);
            const [cell, changed] = current.split(" ");
            commands += 1;
            cells.set(cell, (cells.get(cell) ?? 0) + (Number(changed) > 0 ? 1 : 0));
            return;
        }
        case PIXELS: {
            const wrong = difference(canvas, body);
            if (wrong !== null) {
                differing.add(current);
                told += 1;
                if (told <= MOST) {
                    console.log(`${current}: ${wrong}`);
                }
            }
            return;
        }
        case SURFACE_CREATE: {
            const reader = new Reader(body);
            const [surface, width, height, format] = [reader.u32(), reader.u32(), reader.u32(), reader.u32()];
            canvas.createSurface({ id: surface, width, height, format, flags: reader.u32() });
            return;
        }
        default:
            try {
                canvas.draw(id, body);
            } catch (error) {
                // What the server's canvas refuses leaves its surface as it is.
                if (!(error instanceof Malformed)) {
                    throw error;
                }
                refused += 1;
            }
    }
}

/** @type {Buffer} */
let rest = Buffer.alloc(0);
for await (const chunk of process.stdin) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= 6 && rest.length - at - 6 >= rest.readUInt32LE(at + 2)) {
        const size = rest.readUInt32LE(at + 2);
        take(rest.readUInt16LE(at), new Uint8Array(rest.subarray(at + 6, at + 6 + size)));
        at += 6 + size;
    }
    rest = rest.subarray(at);
}
const empty = [...cells].filter(([, count]) => count === 0).map(([name]) => name);
console.log(`${commands} commands, ${refused} refused, ${differing.size} with differences`);
console.log(
    `${cells.size} cells, ${empty.length} without a command that changed pixels: ${empty.slice(0, 9).join(", ")}`,
);
const isComplete = commands > 0 && rest.length === 0 && (empty.length === 0 || process.argv.includes("--some"));
process.exitCode = differing.size === 0 && isComplete ? 0 : 1;
