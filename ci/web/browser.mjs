// A browser that does what it is told, one step a line on standard input, as JSON: {"do": NAME, ...}. For each it
// prints a line: {"ok": true, ...} or {"ok": false, "error": TEXT}, and goes on.
//
//   node browser.mjs [--browser PATH] [--seconds N] [--size WIDTHxHEIGHT]
//
// Elements are found as people find them: by "role" and "name" (a part of it, "exact": all of it) or by "label";
// "screen" is the number of a screen, from 1, and "css" a selector, for pages of others. A step waits for its element
// and for what it says as long as --seconds.
//
//   open url                  a page of its own, with nothing of those before
//   click ELEMENT [button]    with what people have a mouse for
//   fill ELEMENT text         types into a field
//   choose ELEMENT value      of a list
//   shown ELEMENT [text]      waits until it is there, and has the text; its whole text
//   gone ELEMENT              waits until it is not there
//   value ELEMENT             what is in a field; of a box, whether it is ticked
//   holds ELEMENT wanted      waits until that is in a field
//   focus ELEMENT             puts the focus on it
//   focused                   role, name and tag of what has the focus
//   blur                      the window loses the focus
//   leave                     the page is left for another one
//   press key [times]         a key, or several together: "Control+Alt+Enter"
//   down, up key              one of them
//   type text [hold]          as somebody types with a US layout, each key held for so many milliseconds
//   screens count             waits until there are so many; size of each, in pixels of the guest and of the page
//   hash screen [wanted] [other]  checksum of what it shows, as `ctl screenshot --hash` has it; waits until it is that
//                             wanted, or another one than `other`
//   move screen x y           the pointer, to a pixel of the guest's
//   by x y                    the pointer, so far from where it is
//   mouse what button         "down" or "up" with "left", "middle" or "right"
//   wheel y                   turns it
//   cursor screen [wanted] [other]  what the pointer is over the screen, of the style; waits until that is in it, or it
//                             is another one than `other`
//   lock [wanted]             whether the page has the pointer for itself; waits until it is so
//   copy text                 puts a text into the clipboard of the browser, as another window does
//   pasted [wanted]           the text there; waits until it is that wanted
//   copyPicture path          puts the picture of a PNG file there; the PNG that the browser made of it, in base64
//   pastedPicture [other]     the PNG there, in base64; waits until it is one, and another one than `other`
//   attach ELEMENT path       chooses a file, in a field for files
//   drop screen path          drops a file on it, as from another window
//   size width height         of the window
//   axe                       what axe finds: [{id, impact, help, nodes}]
//   complaints                what the browser has complained about since it was asked last: errors, what is against
//                             the policy of the page, requests for elsewhere, dialogs, elements that pages do not make
//   onward [press]            how far it has come: "login", "connecting", "screen", "cut" or "ended", with its words
//                             and notices. With `press` presses what leads on, but for a screen

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

/** @typedef {import("playwright-core").Locator} Locator */
/** @typedef {import("playwright-core").Page} Page */

const { values: options } = parseArgs({
    options: {
        browser: { type: "string", default: "/usr/bin/chromium" },
        seconds: { type: "string", default: "60" },
        size: { type: "string", default: "1600x1200" },
    },
});
const timeout = Number(options.seconds) * 1000;
const [width, height] = String(options.size).split("x").map(Number);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
    executablePath: options.browser,
    // Chromium's sandbox is not for root, and a container's /dev/shm is small.
    args: ["--disable-dev-shm-usage", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
});
/** @type {import("playwright-core").BrowserContext | null} */
let context = null;
/** @type {Page | null} */
let opened = null;
/** @type {string[]} */
let complaints = [];
const pointer = { x: 0, y: 0 };

/** @returns {Page} */
function page() {
    if (opened === null) {
        throw new Error("no page is open");
    }
    return opened;
}

/**
 * @param {any} step
 * @returns {Locator}
 */
function find(step) {
    if (step.screen !== undefined) {
        return page().locator("canvas[role]").nth(step.screen - 1);
    }
    if (step.css !== undefined) {
        return page().locator(step.css).first();
    }
    if (step.label !== undefined) {
        return page().getByLabel(step.label, { exact: step.exact });
    }
    return page().getByRole(step.role, { name: step.name, exact: step.exact });
}

/** Pixels of a canvas of the page and their checksum: 64-bit FNV-1a over size and colours. This runs in the page.
 * @param {HTMLCanvasElement | SVGElement | HTMLElement} canvas
 */
function checksum(canvas) {
    const source = /** @type {HTMLCanvasElement} */ (canvas);
    const copy = document.createElement("canvas");
    copy.width = source.width;
    copy.height = source.height;
    const drawing = copy.getContext("2d", { willReadFrequently: true });
    if (drawing === null || source.width === 0 || source.height === 0) {
        return null;
    }
    drawing.drawImage(source, 0, 0);
    const { data } = drawing.getImageData(0, 0, copy.width, copy.height);
    // The halves of the hash. The prime is 2^40 + 0x1b3, and no product reaches 2^53.
    let [high, low] = [0xcbf29ce4, 0x84222325];
    /** @param {number} byte */
    const add = (byte) => {
        const mixed = (low ^ byte) >>> 0;
        const product = mixed * 0x1b3;
        const carry = Math.floor(product / 0x1_0000_0000);
        high = (high * 0x1b3 + carry + ((mixed << 8) >>> 0)) % 0x1_0000_0000;
        low = product % 0x1_0000_0000;
    };
    for (const side of [copy.width, copy.height]) {
        for (let shift = 0; shift < 32; shift += 8) {
            add((side >>> shift) & 0xff);
        }
    }
    for (let at = 0; at < data.length; at += 4) {
        add(data[at + 2]);
        add(data[at + 1]);
        add(data[at]);
    }
    return [high, low].map((half) => half.toString(16).padStart(8, "0")).join("");
}

/** Elements that the page of a VM never makes, and that run or load something. */
const FOREIGN = "img, script, iframe, frame, object, embed, link, style, svg, math, video, audio, base, meta, form";

/** Tells of elements and attributes that were not in the page when it was loaded. This runs in the page. */
function watchElements(/** @type {string} */ foreign) {
    /** @param {Element} element */
    const look = (element) => {
        const handler = element.getAttributeNames().find((name) => name.startsWith("on"));
        if (element.matches(foreign) || handler !== undefined) {
            console.error(`an element was made: ${element.outerHTML.slice(0, 200)}`);
        }
    };
    addEventListener("DOMContentLoaded", () => {
        const changes = { subtree: true, childList: true, attributes: true };
        new MutationObserver((records) => {
            for (const { target, addedNodes, attributeName } of records) {
                if (attributeName?.startsWith("on")) {
                    console.error(`an element was given ${attributeName}`);
                }
                for (const node of addedNodes) {
                    if (node instanceof Element) {
                        [node, ...node.querySelectorAll("*")].forEach(look);
                    }
                }
                if (target instanceof Element && target.ownerDocument !== document) {
                    console.error("another document was made");
                }
            }
        }).observe(document, changes);
    });
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
        console.error(`against the policy: ${violatedDirective}, ${blockedURI}`);
    });
}

/** How far the page has come, and its words; presses what leads on. This runs in the page. */
function standing(/** @type {boolean} */ press) {
    const buttons = [...document.querySelectorAll("button")];
    /** @param {string} name */
    const button = (name) => buttons.find((one) => one.textContent?.trim() === name && one.checkVisibility());
    const card = document.querySelector("main > .card");
    const [again, now] = [button("Connect again"), button("Try now")];
    const enter = button("Connect");
    const words = (again ?? now)?.closest(".card") ?? card;
    const notices = [...document.querySelectorAll("[role=log] > *")].map((one) => one.textContent ?? "");
    const state = again ? "ended" : now ? "cut" : enter ? "login"
        : button("Disconnect") ? "screen" : "connecting";
    const seen = { state, words: words?.textContent?.replace(/\s+/g, " ").slice(0, 2000) ?? "", notices };
    if (press) {
        (again ?? now ?? enter)?.click();
    }
    return seen;
}

/**
 * Looks until something is as it should be; the page gives no event for what is looked at.
 * @template T
 * @param {() => Promise<T>} look
 * @param {(seen: T) => boolean} isSo
 * @param {string} what
 * @returns {Promise<T>}
 */
async function until(look, isSo, what) {
    const limit = Date.now() + timeout;
    for (;;) {
        const seen = await look();
        if (isSo(seen)) {
            return seen;
        }
        if (Date.now() > limit) {
            throw new Error(`${what}: it is ${JSON.stringify(seen)}`);
        }
        // The next picture of the page, or a moment when it draws none.
        await page().evaluate(() => new Promise((done) => {
            requestAnimationFrame(() => done(null));
            setTimeout(done, 50);
        }));
    }
}

/** @param {Locator} screen */
async function box(screen) {
    const found = await screen.boundingBox();
    if (found === null) {
        throw new Error("the screen is not shown");
    }
    const size = await screen.evaluate((canvas) => {
        const { width, height } = /** @type {HTMLCanvasElement} */ (canvas);
        return { width, height };
    });
    return { ...found, pixels: size };
}

const lock = () => page().evaluate(() => document.pointerLockElement !== null);
const clipboard = () => page().evaluate(() => navigator.clipboard.readText());
/** The PNG on the clipboard, in base64; null: there is none, or it changes just now. */
const clipboardPicture = () => page().evaluate(async () => {
    try {
        const item = (await navigator.clipboard.read()).find(({ types }) => types.includes("image/png"));
        if (item === undefined) {
            return null;
        }
        const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
        return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    } catch (error) {
        if (error instanceof DOMException && error.name === "InvalidStateError") {
            return null;
        }
        throw error;
    }
});
/** Playwright has every page believe that it has the focus; that it comes back is an event of its own. */
const comeBack = () => page().evaluate(() => window.dispatchEvent(new Event("focus")));

/** @type {Record<string, (step: any) => Promise<object | void>>} */
const steps = {
    async open({ url }) {
        await context?.close();
        // Certificates that a program has made for itself are nobody's.
        context = await browser.newContext({ viewport: { width, height }, ignoreHTTPSErrors: true });
        context.setDefaultTimeout(timeout);
        await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
        opened = await context.newPage();
        complaints = [];
        await opened.addInitScript(watchElements, FOREIGN);
        opened.on("dialog", (dialog) => {
            complaints.push(`a dialog: ${dialog.message()}`);
            void dialog.dismiss();
        });
        opened.on("crash", () => complaints.push("the page has crashed"));
        opened.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
        opened.on("console", (message) => {
            if (message.type() === "error" || message.type() === "warning") {
                complaints.push(`${message.type()}: ${message.text()}`);
            }
        });
        opened.on("request", (request) => {
            const { protocol, host } = new URL(request.url());
            if (/^(https?|wss?):$/.test(protocol) && host !== new URL(url).host) {
                complaints.push(`a request for ${request.url()}`);
            }
        });
        await opened.goto(url);
        return { title: await opened.title() };
    },
    async click(step) {
        await find(step).click({ button: step.button });
    },
    async fill(step) {
        await find(step).fill(step.text);
    },
    async choose(step) {
        await find(step).selectOption(step.value);
    },
    async shown(step) {
        const element = find(step).first();
        await element.waitFor();
        const look = () => element.innerText();
        const text = step.text === undefined
            ? await look()
            : await until(look, (seen) => seen.includes(step.text), `no ${JSON.stringify(step.text)}`);
        return { text };
    },
    async gone(step) {
        await find(step).first().waitFor({ state: "hidden" });
    },
    async value(step) {
        const element = find(step);
        const kind = await element.getAttribute("type");
        return { value: kind === "checkbox" ? await element.isChecked() : await element.inputValue() };
    },
    async holds(step) {
        const isIt = (/** @type {string} */ seen) => seen === step.wanted;
        await until(() => find(step).inputValue(), isIt, `the field does not hold ${step.wanted}`);
    },
    async focus(step) {
        await find(step).focus();
    },
    async focused() {
        return page().evaluate(() => {
            const element = document.activeElement;
            const label = element?.getAttribute("aria-label") ?? element?.textContent?.trim() ?? "";
            return { tag: element?.localName ?? "", role: element?.getAttribute("role") ?? "", name: label };
        });
    },
    async blur() {
        // Playwright has every page believe that it has the focus.
        await page().evaluate(() => window.dispatchEvent(new Event("blur")));
    },
    async leave() {
        await page().goto("about:blank");
    },
    async press({ key, times = 1 }) {
        for (let time = 0; time < times; time++) {
            await page().keyboard.press(key);
        }
    },
    async down({ key }) {
        await page().keyboard.down(key);
    },
    async up({ key }) {
        await page().keyboard.up(key);
    },
    async type({ text, hold }) {
        const { keyboard } = page();
        for (const letter of text) {
            // Playwright types these with no Shift key.
            const isShifted = /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(letter);
            if (isShifted) {
                await keyboard.down("Shift");
            }
            await keyboard.type(letter, { delay: hold });
            if (isShifted) {
                await keyboard.up("Shift");
            }
        }
    },
    async screens({ count }) {
        const all = page().locator("canvas[role]:visible");
        await until(() => all.count(), (seen) => seen === count, `not ${count} screens`);
        return { screens: await Promise.all((await all.all()).map(box)) };
    },
    async hash(step) {
        const look = () => find(step).evaluate(checksum);
        const hash = step.wanted === undefined
            ? await until(look, (seen) => seen !== null && seen !== step.other, "no picture, or the same")
            : await until(look, (seen) => seen === step.wanted, `the picture is not ${step.wanted}`);
        return { hash };
    },
    async move(step) {
        const { x, y, width, height, pixels } = await box(find(step));
        // A mouse is at whole pixels of the page: at one within the pixel of the guest, if there is one.
        /** @type {(from: number, pixel: number) => number} */
        const within = (from, pixel) => Math.max(Math.ceil(from), Math.floor(from + pixel / 2));
        const [across, down] = [width / pixels.width, height / pixels.height];
        pointer.x = within(x + step.x * across, across);
        pointer.y = within(y + step.y * down, down);
        await page().mouse.move(pointer.x, pointer.y);
    },
    async by({ x, y }) {
        pointer.x += x;
        pointer.y += y;
        await page().mouse.move(pointer.x, pointer.y);
    },
    async mouse({ what, button }) {
        await page().mouse[/** @type {"down" | "up"} */ (what)]({ button });
    },
    async wheel({ y }) {
        await page().mouse.wheel(0, y);
    },
    async cursor(step) {
        const look = () => find(step).evaluate((element) => getComputedStyle(element).cursor);
        const isIt = (/** @type {string} */ seen) =>
            step.wanted === undefined ? seen !== step.other : seen.includes(step.wanted);
        return { cursor: await until(look, isIt, `no ${step.wanted ?? "other shape"} in the cursor`) };
    },
    async lock({ wanted }) {
        const seen = await until(lock, (is) => wanted === undefined || is === wanted, `the lock is not ${wanted}`);
        return { lock: seen };
    },
    async copy({ text }) {
        await page().evaluate((copied) => navigator.clipboard.writeText(copied), text);
        await comeBack();
    },
    async pasted({ wanted }) {
        const isIt = (/** @type {string} */ text) => wanted === undefined || text === wanted;
        return { text: await until(clipboard, isIt, `the clipboard is not ${JSON.stringify(wanted)}`) };
    },
    async copyPicture({ path }) {
        await page().evaluate(async (encoded) => {
            const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
            const png = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
        }, readFileSync(path, "base64"));
        const png = await clipboardPicture();
        await comeBack();
        return { png };
    },
    async pastedPicture({ other }) {
        const isIt = (/** @type {string | null} */ png) => png !== null && png !== other;
        return { png: await until(clipboardPicture, isIt, "no picture on the clipboard, or the same") };
    },
    async attach(step) {
        await find(step).setInputFiles(step.path);
    },
    async drop(step) {
        const file = { name: basename(step.path), encoded: readFileSync(step.path, "base64") };
        await find(step).evaluate((element, { name, encoded }) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], name));
            for (const what of ["dragenter", "dragover", "drop"]) {
                element.dispatchEvent(new DragEvent(what, { bubbles: true, cancelable: true, dataTransfer }));
            }
        }, file);
    },
    async size(size) {
        await page().setViewportSize({ width: size.width, height: size.height });
    },
    async axe() {
        await page().evaluate(axe);
        return page().evaluate(async () => {
            const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"] });
            /** @param {any} found */
            const short = ({ id, impact, help, nodes }) => ({
                id, impact, help, nodes: nodes.map((/** @type {any} */ node) => node.html.slice(0, 200)),
            });
            return { violations: violations.map(short) };
        });
    },
    async onward({ press = false }) {
        return page().evaluate(standing, press);
    },
    async complaints() {
        const said = complaints;
        complaints = [];
        return { complaints: said };
    },
    async picture({ path }) {
        await page().screenshot({ path });
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const step = JSON.parse(line);
    let answer;
    try {
        const does = Object.hasOwn(steps, step.do) ? steps[step.do] : null;
        if (does === null) {
            throw new Error(`there is no step ${step.do}`);
        }
        answer = { ok: true, ...await does(step) };
    } catch (error) {
        answer = { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
