// Text as keys that a person would press to write it.

import { ACCENTS, KEYS, LAYOUTS } from "./layouts.js";
import { extended } from "./scancodes.js";

const SHIFT = 0x2a;
const ALT_GR = extended(0x38);
const SPACE = 0x39;

/** Keys that are the same everywhere. */
const COMMON = /** @type {const} */ ([
    [" ", [SPACE]],
    ["\n", [0x1c]],
    ["\t", [0x0f]],
]);

/**
 * Combinations of keys by what they write; a dead key by its combining accent.
 * @param {import("./layouts.js").Layout} layout
 */
function tableOf({ plain, shift, altGr }) {
    /** @type {Map<string, number[]>} */
    const table = new Map(COMMON.map(([character, keys]) => [character, [...keys]]));
    for (const [level, before] of /** @type {const} */ ([
        [plain, []],
        [shift, [SHIFT]],
        [altGr, [ALT_GR]],
    ])) {
        level.forEach((characters, row) =>
            [...characters].forEach((character, at) => {
                // What is there without modifiers is not looked for with them.
                if (!table.has(character)) {
                    table.set(character, [...before, KEYS[row][at]]);
                }
            }),
        );
    }
    return table;
}

/**
 * The keys for one character.
 * @param {Map<string, number[]>} table
 * @param {string} character
 * @returns {number[][] | null} null: there are none
 */
function keysOf(table, character) {
    const direct = table.get(character);
    if (direct !== undefined && !ACCENTS.has(character)) {
        return [direct];
    }
    const [letter, accent, ...more] = character.normalize("NFD");
    for (const [mark, alone] of ACCENTS) {
        const dead = table.get(mark);
        if (dead === undefined) {
            continue;
        }
        if (character === alone) {
            return [dead, [SPACE]];
        }
        const base = table.get(letter);
        if (accent === mark && more.length === 0 && base !== undefined) {
            return [dead, base];
        }
    }
    return null;
}

/**
 * How to type a text.
 * @param {string} text lines may end in any way
 * @param {keyof typeof LAYOUTS} layout that the guest has
 * @returns {{strokes: number[][], unknown: string[]}} strokes: combinations of scan codes, each pressed in order and
 *     let go the other way round, before the next; unknown: characters that the layout has no keys for, each once
 * @throws {RangeError} there is no such layout
 */
export function strokes(text, layout) {
    if (!Object.hasOwn(LAYOUTS, layout)) {
        throw new RangeError(`layout: ${layout} is not one of ${Object.keys(LAYOUTS).join(", ")}`);
    }
    const table = tableOf(LAYOUTS[layout]);
    /** @type {number[][]} */
    const found = [];
    /** @type {Set<string>} */
    const unknown = new Set();
    for (const character of text.replace(/\r\n?/g, "\n").normalize("NFC")) {
        const keys = keysOf(table, character);
        if (keys === null) {
            unknown.add(character);
        } else {
            found.push(...keys);
        }
    }
    return { strokes: found, unknown: [...unknown] };
}
