// Keyboards of the guest: which key writes which character. As Windows and XKB have it; where they differ, as XKB.

/**
 * Scan codes of the keys that write, in the four rows of a keyboard. In `LAYOUTS`, each level has a string for each row
 * with as many characters; a space: nothing of use. A combining accent stands for a dead key.
 */
export const KEYS = [
    [0x29, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d],
    [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b],
    [0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x2b],
    [0x56, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35],
];

/**
 * What a dead key writes when a space follows, by its combining accent.
 * @type {ReadonlyMap<string, string>}
 */
export const ACCENTS = new Map([
    ["\u0300", "`"],
    ["\u0301", "´"],
    ["\u0302", "^"],
    ["\u0308", "¨"],
]);

/**
 * @typedef {object} Layout
 * @property {string} title for people
 * @property {readonly string[]} plain
 * @property {readonly string[]} shift
 * @property {readonly string[]} altGr
 */

/** @type {Readonly<Record<"us" | "de" | "fr" | "gb", Layout>>} */
export const LAYOUTS = {
    us: {
        title: "English (US)",
        plain: ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'\\", " zxcvbnm,./"],
        shift: ["~!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"|', " ZXCVBNM<>?"],
        altGr: ["             ", "            ", "            ", "           "],
    },
    de: {
        title: "Deutsch",
        plain: ["\u03021234567890ß\u0301", "qwertzuiopü+", "asdfghjklöä#", "<yxcvbnm,.-"],
        shift: ['°!"§$%&/()=?\u0300', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ'", ">YXCVBNM;:_"],
        altGr: ["  ²³   {[]}\\ ", "@ €        ~", "            ", "|      µ   "],
    },
    fr: {
        title: "Français",
        plain: ["²&é\"'(-è_çà)=", "azertyuiop\u0302$", "qsdfghjklmù*", "<wxcvbn,;:!"],
        shift: [" 1234567890°+", "AZERTYUIOP\u0308£", "QSDFGHJKLM%µ", ">WXCVBN?./§"],
        altGr: ["  ~#{[|`\\^@]}", "  €        ¤", "            ", "           "],
    },
    gb: {
        title: "English (UK)",
        plain: ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'#", "\\zxcvbnm,./"],
        shift: ['¬!"£$%^&*()_+', "QWERTYUIOP{}", "ASDFGHJKL:@~", "|ZXCVBNM<>?"],
        altGr: ["    €        ", "            ", "            ", "           "],
    },
};
