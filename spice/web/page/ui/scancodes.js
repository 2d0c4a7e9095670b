// Scan codes of set 1 by KeyboardEvent.code: what the key at that place of a PC keyboard sends, whatever is on its cap.

/**
 * A key with the prefix e0, which is in the low byte.
 * @param {number} code
 * @returns {number}
 */
export function extended(code) {
    return 0xe0 | (code << 8);
}

/** Keys whose codes follow each other: the first code, and the names. @type {[number, string][]} */
const PLAIN = [
    [0x01, "Escape Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal Backspace"],
    [0x0f, "Tab KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight Enter"],
    [0x1d, "ControlLeft KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote Backquote"],
    [0x2a, "ShiftLeft Backslash KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash ShiftRight NumpadMultiply"],
    [0x38, "AltLeft Space CapsLock F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NumLock ScrollLock"],
    [0x47, "Numpad7 Numpad8 Numpad9 NumpadSubtract Numpad4 Numpad5 Numpad6 NumpadAdd"],
    [0x4f, "Numpad1 Numpad2 Numpad3 Numpad0 NumpadDecimal"],
    [0x56, "IntlBackslash F11 F12 NumpadEqual"],
    [0x64, "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23"],
    // Japan: KanaMode, Convert, NonConvert, IntlYen, Lang3 to Lang5. Brazil: IntlRo, NumpadComma. Korea: Lang1, Lang2.
    [0x70, "KanaMode Lang2 Lang1 IntlRo"],
    [0x76, "F24 Lang4 Lang3 Convert"],
    [0x76, "Lang5"],
    [0x7b, "NonConvert"],
    [0x7d, "IntlYen NumpadComma"],
    [0x451de1, "Pause"],
];

/** The same with the prefix e0. Of two names one is of browsers before the standard. @type {[number, string][]} */
const EXTENDED = [
    [0x08, "Undo"],
    [0x0a, "Paste"],
    [0x10, "MediaTrackPrevious"],
    [0x17, "Cut Copy MediaTrackNext"],
    [0x1c, "NumpadEnter ControlRight"],
    [0x20, "AudioVolumeMute LaunchApp2 MediaPlayPause"],
    [0x20, "VolumeMute"],
    [0x24, "MediaStop"],
    [0x2c, "Eject"],
    [0x2e, "AudioVolumeDown"],
    [0x2e, "VolumeDown"],
    [0x30, "AudioVolumeUp"],
    [0x30, "VolumeUp"],
    [0x32, "BrowserHome"],
    [0x35, "NumpadDivide"],
    [0x37, "PrintScreen AltRight"],
    [0x3b, "Help"],
    [0x47, "Home ArrowUp PageUp"],
    [0x4b, "ArrowLeft"],
    [0x4d, "ArrowRight"],
    [0x4f, "End ArrowDown PageDown Insert Delete"],
    [0x5b, "MetaLeft MetaRight ContextMenu Power Sleep"],
    [0x5b, "OSLeft OSRight"],
    [0x63, "WakeUp"],
    [0x65, "BrowserSearch BrowserFavorites BrowserRefresh BrowserStop BrowserForward BrowserBack"],
    [0x6b, "LaunchApp1 LaunchMail MediaSelect"],
];

/**
 * Scan codes by KeyboardEvent.code. A prefix is in the low byte, as 0x1de0; Pause has three bytes.
 * @type {ReadonlyMap<string, number>}
 */
export const SCANCODES = new Map([
    ...rows(PLAIN),
    ...rows(EXTENDED).map(([name, code]) => /** @type {[string, number]} */ ([name, extended(code)])),
]);

/**
 * @param {[number, string][]} from
 * @returns {[string, number][]}
 */
function rows(from) {
    return from.flatMap(([first, names]) =>
        names.split(" ").map((name, index) => /** @type {[string, number]} */ ([name, first + index])),
    );
}
