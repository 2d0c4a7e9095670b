import assert from "node:assert/strict";
import test from "node:test";

import { SCANCODES, extended } from "../page/ui/scancodes.js";

/** @param {string} name */
const code = (name) => SCANCODES.get(name);

test("keys of a PC keyboard have their codes of set 1", () => {
    const known = {
        Escape: 0x01, Digit1: 0x02, Digit0: 0x0b, Minus: 0x0c, Equal: 0x0d, Backspace: 0x0e, Tab: 0x0f, KeyQ: 0x10,
        KeyP: 0x19, BracketLeft: 0x1a, BracketRight: 0x1b, Enter: 0x1c, ControlLeft: 0x1d, KeyA: 0x1e, KeyL: 0x26,
        Semicolon: 0x27, Quote: 0x28, Backquote: 0x29, ShiftLeft: 0x2a, Backslash: 0x2b, KeyZ: 0x2c, KeyM: 0x32,
        Comma: 0x33, Period: 0x34, Slash: 0x35, ShiftRight: 0x36, NumpadMultiply: 0x37, AltLeft: 0x38, Space: 0x39,
        CapsLock: 0x3a, F1: 0x3b, F10: 0x44, NumLock: 0x45, ScrollLock: 0x46, Numpad7: 0x47, Numpad8: 0x48,
        Numpad9: 0x49, NumpadSubtract: 0x4a, Numpad4: 0x4b, Numpad5: 0x4c, Numpad6: 0x4d, NumpadAdd: 0x4e,
        Numpad1: 0x4f, Numpad2: 0x50, Numpad3: 0x51, Numpad0: 0x52, NumpadDecimal: 0x53, IntlBackslash: 0x56,
        F11: 0x57, F12: 0x58,
    }; // prettier-ignore
    for (const [name, value] of Object.entries(known)) {
        assert.equal(code(name), value, name);
    }
});

test("keys with a prefix have it in the low byte", () => {
    assert.equal(extended(0x1d), 0x1de0);
    const known = {
        ControlRight: 0x1d, AltRight: 0x38, NumpadEnter: 0x1c, NumpadDivide: 0x35, PrintScreen: 0x37, Home: 0x47,
        ArrowUp: 0x48, PageUp: 0x49, ArrowLeft: 0x4b, ArrowRight: 0x4d, End: 0x4f, ArrowDown: 0x50, PageDown: 0x51,
        Insert: 0x52, Delete: 0x53, MetaLeft: 0x5b, MetaRight: 0x5c, ContextMenu: 0x5d, AudioVolumeMute: 0x20,
        AudioVolumeDown: 0x2e, AudioVolumeUp: 0x30, MediaTrackPrevious: 0x10, MediaTrackNext: 0x19,
        MediaPlayPause: 0x22, MediaStop: 0x24, Power: 0x5e, Sleep: 0x5f, BrowserBack: 0x6a,
    }; // prettier-ignore
    for (const [name, value] of Object.entries(known)) {
        assert.equal(code(name), 0xe0 | (value << 8), name);
    }
    assert.equal(code("Pause"), 0x451de1);
});

test("keyboards of Japan, Brazil and Korea have their keys", () => {
    // What the controller of a PC makes of the codes 13, 51, 62 to 64, 67, 6a and 6d of set 2, and Korea's f2 and f1.
    const known = {
        KanaMode: 0x70, IntlRo: 0x73, Lang4: 0x77, Lang3: 0x78, Convert: 0x79, NonConvert: 0x7b, IntlYen: 0x7d,
        NumpadComma: 0x7e, Lang1: 0x72, Lang2: 0x71,
    }; // prettier-ignore
    for (const [name, value] of Object.entries(known)) {
        assert.equal(code(name), value, name);
    }
});

test("no two keys have the same code, except for names of the same key", () => {
    const same = [["MetaLeft", "OSLeft"], ["MetaRight", "OSRight"], ["AudioVolumeMute", "VolumeMute"],
        ["AudioVolumeDown", "VolumeDown"], ["AudioVolumeUp", "VolumeUp"], ["F24", "Lang5"]]; // prettier-ignore
    for (const [one, other] of same) {
        assert.equal(code(one), code(other), one);
    }
    assert.equal(new Set(SCANCODES.values()).size, SCANCODES.size - same.length);
    for (const [name, value] of SCANCODES) {
        const last = value > 0xff ? value >> 8 : value;
        assert.ok(name === "Pause" || (last > 0 && last < 0x80), name);
    }
});
