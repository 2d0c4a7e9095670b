import assert from "node:assert/strict";
import test from "node:test";

import { LAYOUTS } from "../page/ui/layouts.js";
import { strokes } from "../page/ui/typing.js";

const NAMES = /** @type {(keyof typeof LAYOUTS)[]} */ (Object.keys(LAYOUTS));
const SHIFT = 0x2a;
const ALT_GR = 0x38e0;
const ASCII = Array.from({ length: 95 }, (_, at) => String.fromCharCode(32 + at)).join("");
/** Scan codes of the keys that write, row by row. */
const ROWS = [
    [0x29, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
    [...Array(12).keys()].map((at) => 0x10 + at),
    [...[...Array(11).keys()].map((at) => 0x1e + at), 0x2b],
    [0x56, ...[...Array(10).keys()].map((at) => 0x2c + at)],
];
const ALONE = new Map([..."`´^¨"].map((accent, at) => ["\u0300\u0301\u0302\u0308"[at], accent]));

/**
 * What a guest with this layout writes: level by the modifiers that are down, dead keys wait for the next.
 * @param {number[][]} pressed
 * @param {keyof typeof LAYOUTS} name
 */
function written(pressed, name) {
    const layout = LAYOUTS[name];
    let [text, dead] = ["", ""];
    for (const combination of pressed) {
        const code = combination[combination.length - 1];
        const modifiers = combination.slice(0, -1);
        assert.ok(modifiers.length <= 1, `${combination}`);
        const level = { [SHIFT]: layout.shift, [ALT_GR]: layout.altGr }[modifiers[0]] ?? layout.plain;
        assert.ok(modifiers.length === 0 || level !== layout.plain, `${combination}`);
        const row = ROWS.findIndex((codes) => codes.includes(code));
        const common = { 0x39: " ", 0x1c: "\n", 0x0f: "\t" }[code];
        const character = common ?? [...level[row]][ROWS[row].indexOf(code)];
        if (dead !== "") {
            text += character === " " ? ALONE.get(dead) : (character + dead).normalize("NFC");
            dead = "";
        } else if (ALONE.has(character)) {
            dead = character;
        } else {
            text += character;
        }
    }
    assert.equal(dead, "", "a dead key waits");
    return text;
}

for (const name of NAMES) {
    test(`all printable ASCII can be typed on ${name}`, () => {
        const { strokes: pressed, unknown } = strokes(ASCII, name);
        assert.deepEqual(unknown, []);
        assert.equal(written(pressed, name), ASCII);
    });

    test(`every row of ${name} has as many characters as keys on every level`, () => {
        const { plain, shift, altGr } = LAYOUTS[name];
        for (const level of [plain, shift, altGr]) {
            assert.deepEqual(
                level.map((row) => [...row].length),
                ROWS.map((row) => row.length),
            );
        }
    });

    test(`all of Latin-1 is typed on ${name}, or said to be unknown`, () => {
        const latin = Array.from({ length: 95 }, (_, at) => String.fromCharCode(0xa1 + at));
        for (const character of latin) {
            const { strokes: pressed, unknown } = strokes(character, name);
            assert.equal(unknown.length === 0 ? written(pressed, name) : unknown[0], character);
            assert.equal(pressed.length === 0, unknown.length === 1);
        }
    });
}

test("letters are where their layout has them", () => {
    assert.deepEqual(strokes("aA", "us").strokes, [[0x1e], [SHIFT, 0x1e]]);
    assert.deepEqual(strokes("zy", "de").strokes, [[0x15], [0x2c]]);
    assert.deepEqual(strokes("aq1&", "fr").strokes, [[0x10], [0x1e], [SHIFT, 0x02], [0x02]]);
    assert.deepEqual(strokes('@"#£|\\', "gb").strokes, [
        [SHIFT, 0x28],
        [SHIFT, 0x03],
        [0x2b],
        [SHIFT, 0x04],
        [SHIFT, 0x56],
        [0x56],
    ]);
    assert.deepEqual(strokes("@{€~", "de").strokes, [
        [ALT_GR, 0x10],
        [ALT_GR, 0x08],
        [ALT_GR, 0x12],
        [ALT_GR, 0x1b],
    ]);
});

test("accents are typed by dead keys, alone with a space", () => {
    assert.deepEqual(strokes("ê^", "fr").strokes, [[0x1a], [0x12], [ALT_GR, 0x0a]]);
    assert.deepEqual(strokes("Ï", "fr").strokes, [
        [SHIFT, 0x1a],
        [SHIFT, 0x17],
    ]);
    assert.deepEqual(strokes("^é`", "de").strokes, [[0x29], [0x39], [0x0d], [0x12], [SHIFT, 0x0d], [0x39]]);
    assert.equal(written(strokes("äöüßÄÖÜéèêÉ²³µ°§", "de").strokes, "de"), "äöüßÄÖÜéèêÉ²³µ°§");
    assert.equal(written(strokes("éèçàùâêîôûëïüÂ²µ§£¤°", "fr").strokes, "fr"), "éèçàùâêîôûëïüÂ²µ§£¤°");
});

test("a letter and its accent may come as two characters", () => {
    assert.deepEqual(strokes("e\u0302", "fr"), strokes("ê", "fr"));
});

test("lines end by Enter, however they end in the text, and tabs are typed", () => {
    assert.deepEqual(strokes("\r\n\n\r\t", "us").strokes, [[0x1c], [0x1c], [0x1c], [0x0f]]);
});

test("what has no keys is said once, and the rest is typed", () => {
    const { strokes: pressed, unknown } = strokes("aé日日😀\u0007\u0302b", "us");
    assert.deepEqual(pressed, [[0x1e], [0x30]]);
    assert.deepEqual(unknown, ["é", "日", "😀", "\u0007", "\u0302"]);
});

test("a layout that is not there is an error", () => {
    assert.throws(() => strokes("a", /** @type {any} */ ("xx")), /layout: xx is not one of us, de, fr, gb/);
    assert.throws(() => strokes("a", /** @type {any} */ ("constructor")), RangeError);
});
