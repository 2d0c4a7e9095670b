// The console: screens and their sizes, keyboard, mouse, panels.

import assert from "node:assert/strict";

import { SESSION } from "./double.mjs";

/** @typedef {import("./double.mjs").Opened} Opened */
/** @typedef {import("./views_outside.mjs").Open} Open */
/** @typedef {import("./views_outside.mjs").Check} Check */

const HEAD = { display: 0, width: 1024, height: 768, x: 0, y: 0 };
const TWO = [HEAD, { display: 1, width: 1024, height: 768, x: 1024, y: 0 }];
const RATIOS = [1, 1.25, 1.5, 2];
const INPUTS = ["keyDown", "keyUp", "button", "motion", "position", "lights"];
const PANELS = ["Keys", "Clipboard", "Files", "View", "Power", "Status"];
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/**
 * Where a screen is, in pixels of the device: x, y, width, height. They are whole numbers of them, as exactly as
 * browsers have lengths, that is to a 64th of a CSS pixel.
 * @param {Opened} opened
 * @param {number} [index]
 */
function pixels(opened, index = 0) {
    return opened.page.locator("canvas[role]").nth(index).evaluate((canvas) => {
        const { x, y, width, height } = canvas.getBoundingClientRect();
        return [x, y, width, height].map((side) => {
            const exact = side * devicePixelRatio;
            return Math.abs(exact - Math.round(exact)) <= devicePixelRatio / 32 ? Math.round(exact) : exact;
        });
    });
}

/** The size of the stage, in pixels of the device. @param {Opened} opened */
function room(opened) {
    return opened.page.locator("#stage").evaluate((stage) => (
        [stage.clientWidth, stage.clientHeight].map((side) => side * devicePixelRatio)
    ));
}

/** @param {Opened} opened @param {string} size */
async function choose(opened, size) {
    const panel = await opened.panel("View");
    await panel.getByLabel(size).check();
}

/** @param {any[]} messages */
const keysOf = (messages) => messages.map(({ type, scancode }) => (
    `${type === "keyDown" ? "+" : "-"}${scancode.toString(16)}`
));

/**
 * @param {Open} open
 * @returns {Check[]}
 */
export function consoleChecks(open) {
    return [
        ["the screen fits into the window and follows it", async () => {
            const opened = await open();
            await opened.connected();
            for (const [width, height] of [[1280, 800], [700, 900], [1600, 500]]) {
                await opened.page.setViewportSize({ width, height });
                await opened.until(() => opened.page.evaluate(() => {
                    const stage = document.querySelector("#stage")?.getBoundingClientRect();
                    const box = document.querySelector("canvas[role]")?.getBoundingClientRect();
                    return stage !== undefined && box !== undefined && (Math.abs(box.width - stage.width) < 1
                        || Math.abs(box.height - stage.height) < 1) && box.right <= stage.right + 1
                        && box.bottom <= stage.bottom + 1 && Math.abs(box.width / box.height - 4 / 3) < 0.01;
                }), `it does not fit into ${width}x${height}`);
            }
            await opened.close();
        }],
        ["pixel for pixel, at every ratio of pixels", async () => {
            for (const ratio of RATIOS) {
                const opened = await open({ ratio });
                await opened.connected();
                await choose(opened, "Pixel for pixel");
                const [, , width, height] = await pixels(opened);
                assert.deepEqual([width, height], [1024, 768], `at ${ratio}`);
                await opened.close();
            }
        }],
        ["a guest that is resized has the pixels of the window, at every ratio", async () => {
            for (const ratio of RATIOS) {
                const opened = await open({ ratio });
                await opened.connected();
                await choose(opened, "Resize the guest");
                const messages = await opened.said("monitors");
                const [{ width, height }] = messages[messages.length - 1].heads;
                const [wide, high] = await room(opened);
                assert.ok(wide - width >= 0 && wide - width < 2 && high - height >= 0 && high - height < 2,
                    `${width}x${height} of ${wide}x${high} at ${ratio}`);
                await opened.say({ type: "displays", displays: [{ ...HEAD, width, height }] });
                const wanted = JSON.stringify([width, height]);
                const size = async () => JSON.stringify((await pixels(opened)).slice(2));
                await opened.until(async () => (await size()) === wanted, `not ${wanted}`);
                await opened.close();
            }
        }],
        ["the guest is resized when the window is, once it rests", async () => {
            const opened = await open();
            await opened.connected();
            await choose(opened, "Resize the guest");
            await opened.said("monitors");
            await opened.page.setViewportSize({ width: 1000, height: 700 });
            await opened.page.setViewportSize({ width: 900, height: 640 });
            const [{ heads }] = await opened.said("monitors");
            const [wide, high] = await room(opened);
            assert.deepEqual(heads, [{ x: 0, y: 0, width: wide, height: high }]);
            await opened.close();
        }],
        ["two screens are beside each other, or one of them is shown, and more can be asked for", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected({}, TWO);
            const screens = page.locator("canvas[role]:visible");
            assert.equal(await screens.count(), 2);
            const [left, right] = [await pixels(opened, 0), await pixels(opened, 1)];
            assert.ok(Math.abs(left[0] + left[2] - right[0]) <= 1 && left[1] === right[1], `${left} and ${right}`);
            await opened.accessible("two screens");
            await opened.button("Screen 2").click();
            await page.locator("canvas[aria-label='Screen 1']").waitFor({ state: "hidden" });
            assert.equal(await screens.count(), 1);
            await opened.button("All screens").click();
            const panel = await opened.panel("View");
            await panel.getByRole("button", { name: "Add a screen" }).click();
            const [{ heads }] = await opened.said("monitors");
            const across = heads.map((/** @type {any} */ { x, width }) => [x, width]);
            assert.deepEqual(across, [[0, 1024], [1024, 1024], [2048, 1024]]);
            await panel.getByRole("button", { name: "Remove the last" }).click();
            assert.equal((await opened.said("monitors"))[0].heads.length, 1);
            await opened.say({ type: "displays", displays: [HEAD] });
            await page.locator("canvas[aria-label='Screen 2']").waitFor({ state: "detached" });
            await opened.close();
        }],
        ["keys go by their place, and those of the browser, too", async () => {
            const opened = await open();
            await opened.connected();
            assert.equal(await opened.page.evaluate(() => document.activeElement?.id), "stage");
            for (const key of ["a", "Tab", "ArrowUp", "F5", "Escape", "NumpadEnter", "Control+KeyS"]) {
                await opened.page.keyboard.press(key);
            }
            const messages = (await opened.heard(["keyDown", "keyUp"]));
            assert.deepEqual(keysOf(messages), [
                "+1e", "-1e", "+f", "-f", "+48e0", "-48e0", "+3f", "-3f", "+1", "-1", "+1ce0", "-1ce0",
                "+1d", "+1f", "-1f", "-1d",
            ]);
            assert.equal(await opened.page.evaluate(() => document.activeElement?.id), "stage");
            await opened.close();
        }],
        ["keys are let go when the window loses the focus", async () => {
            const opened = await open();
            await opened.connected();
            await opened.page.keyboard.down("Shift");
            await opened.page.keyboard.down("a");
            await opened.said("keyDown", 2);
            await opened.page.evaluate(() => window.dispatchEvent(new Event("blur")));
            assert.deepEqual(keysOf(await opened.said("keyUp", 2)).sort(), ["-1e", "-2a"]);
            await opened.close();
        }],
        ["the keyboard alone is enough: out of the screen, through the toolbar, and back", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            await page.keyboard.press("Control+Alt");
            const focus = () => page.evaluate(() => document.activeElement?.textContent?.trim());
            assert.equal(await focus(), "Keys");
            await opened.heard([]);
            await page.keyboard.press("Enter");
            const panel = page.getByRole("region", { name: "Keys" });
            await panel.waitFor();
            await page.keyboard.press("Tab");
            assert.equal(await panel.evaluate((it) => it.contains(document.activeElement)), true);
            await page.keyboard.press("Escape");
            await panel.waitFor({ state: "hidden" });
            assert.equal(await focus(), "Keys");
            await page.keyboard.press("Escape");
            assert.equal(await page.evaluate(() => document.activeElement?.id), "stage");
            assert.deepEqual(keysOf(await opened.heard(["keyDown"])), []);
            await opened.close();
        }],
        ["the mouse is where it points, to the pixel of the guest", async () => {
            const opened = await open({ ratio: 1.5 });
            const { page } = opened;
            await opened.connected();
            const box = /** @type {{x: number, y: number, width: number, height: number}} */ (
                await page.locator("canvas[role]").boundingBox()
            );
            const at = [box.x + 100, box.y + 200];
            await page.mouse.move(at[0], at[1]);
            await page.mouse.down();
            await page.mouse.up();
            const messages = await opened.heard(["position", "button"]);
            const wanted = [100, 200].map((side) => side * 1024 / box.width);
            const last = messages.filter(({ type }) => type === "position").pop();
            const off = [last.x - wanted[0], last.y - wanted[1]];
            assert.ok(off.every((side) => Math.abs(side) < 1.5), JSON.stringify(messages));
            assert.deepEqual(messages.filter(({ type }) => type === "button"), [
                { type: "button", button: 1, down: true, buttons: 1 },
                { type: "button", button: 1, down: false, buttons: 0 },
            ]);
            // A notch each.
            await page.mouse.wheel(0, -100);
            await page.mouse.wheel(0, 100);
            const clicks = (await opened.said("button", 4)).map(({ button, down }) => [button, down]);
            assert.deepEqual(clicks, [[4, true], [4, false], [5, true], [5, false]]);
            await opened.close();
        }],
        ["a mouse that is locked in says how far it moves, and Ctrl+Alt frees it", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected({ mouseMode: "server" });
            await page.locator("canvas[role]").click();
            const isLocked = () => page.evaluate(() => document.pointerLockElement !== null);
            await opened.until(isLocked, "the pointer is not locked");
            await page.getByRole("log").getByText("Ctrl+Alt").waitFor();
            await opened.heard([]);
            await page.mouse.move(600, 400);
            await page.mouse.move(630, 420);
            assert.notDeepEqual(await opened.said("motion"), []);
            await page.keyboard.press("Control+Alt");
            await opened.until(async () => !(await isLocked()), "the pointer stays locked");
            await opened.close();
        }],
        ["the guest's pointer is the browser's, unless it is too large for that", async () => {
            const opened = await open();
            await opened.connected();
            /** @param {number} side */
            const shape = (side) => ({
                type: "cursor", display: 0, visible: true, x: 5, y: 5,
                shape: { width: side, height: side, hotX: 1, hotY: 2 },
            });
            /** @param {number} side */
            const show = async (side) => (await opened.worker()).evaluate((message) => {
                const { shape } = /** @type {any} */ (message);
                shape.pixels = new Uint8ClampedArray(shape.width * shape.height * 4).fill(200);
                /** @type {any} */ (self).say(message);
            }, shape(side));
            const screen = opened.page.locator("canvas[role]");
            const cursor = () => screen.evaluate((it) => getComputedStyle(it).cursor);
            await show(32);
            await opened.until(async () => (await cursor()).includes("url("), "no cursor of the guest's");
            await show(300);
            await opened.page.locator("canvas.pointer").waitFor({ state: "attached" });
            assert.equal(await cursor(), "none");
            await opened.say({ type: "cursor", display: 0, visible: false, x: 0, y: 0 });
            await opened.page.locator("canvas.pointer").waitFor({ state: "detached" });
            await opened.close();
        }],
        ["a pointer that comes before its screen is shown on it", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.said("connect");
            await (await opened.worker()).evaluate(() => /** @type {any} */ (self).say({
                type: "cursor", display: 0, visible: true, x: 5, y: 5,
                shape: { width: 8, height: 8, hotX: 1, hotY: 1, pixels: new Uint8ClampedArray(256).fill(200) },
            }));
            await opened.say({ type: "state", state: "connected" }, SESSION, { type: "displays", displays: [HEAD] });
            const screen = page.locator("canvas[role]");
            await screen.waitFor();
            const cursor = () => screen.evaluate((it) => getComputedStyle(it).cursor);
            await opened.until(async () => (await cursor()).includes("url("), "no cursor of the guest's");
            await opened.close();
        }],
        ["who looks only sends nothing, and cannot open what acts", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected({ role: "view" });
            await page.getByText("looking only").first().waitFor();
            await page.locator("canvas[role]").click();
            await page.keyboard.type("nothing");
            await page.mouse.wheel(0, 100);
            assert.deepEqual(await opened.heard([...INPUTS, "monitors", "clipboard"]), []);
            for (const name of ["Keys", "Clipboard", "Files", "Power"]) {
                assert.equal(await opened.button(name).isDisabled(), true, name);
            }
            await opened.accessible("a viewer's console");
            await opened.close();
        }],
        ["combinations that browsers keep are buttons, and modifiers can be held", async () => {
            const opened = await open();
            await opened.connected();
            const panel = await opened.panel("Keys");
            await panel.getByRole("button", { name: "Ctrl+Alt+Del", exact: true }).click();
            assert.deepEqual(keysOf(await opened.heard(["keyDown", "keyUp"])),
                ["+1d", "+38", "+53e0", "-53e0", "-38", "-1d"]);
            await panel.getByRole("button", { name: "Ctrl+Alt+F3", exact: true }).click();
            assert.deepEqual(keysOf(await opened.heard(["keyDown", "keyUp"])),
                ["+1d", "+38", "+3d", "-3d", "-38", "-1d"]);
            const alt = panel.getByRole("button", { name: "Alt", exact: true });
            await alt.click();
            assert.equal(await alt.getAttribute("aria-pressed"), "true");
            await panel.getByRole("button", { name: "Tab", exact: true }).click();
            await alt.click();
            assert.deepEqual(keysOf(await opened.heard(["keyDown", "keyUp"])), ["+38", "+f", "-f", "-38"]);
            await opened.close();
        }],
        ["a text is typed on the guest's layout, and what it has no keys for is told before", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            await (await opened.panel("Keys")).getByRole("button", { name: "Type text…" }).click();
            const dialog = page.getByRole("dialog", { name: "Type text" });
            await dialog.getByLabel("Text", { exact: true }).fill("zé@世");
            await dialog.getByLabel("Keyboard layout").selectOption("de");
            assert.match(await dialog.innerText(), /世/);
            await opened.accessible("typing a text");
            await opened.heard([]);
            await dialog.getByRole("button", { name: "Type", exact: true }).click();
            await dialog.waitFor({ state: "hidden" });
            // z is where y is on a US keyboard; the accent is a dead key; @ is AltGr+Q.
            assert.deepEqual(keysOf(await opened.heard(["keyDown", "keyUp"])),
                ["+15", "-15", "+d", "-d", "+12", "-12", "+38e0", "+10", "-10", "-38e0"]);
            await opened.close();
        }],
        ["a keyboard on the screen: texts in order, with modifiers that are held, or pasted", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            const panel = await opened.panel("Keys");
            await panel.getByRole("button", { name: "Ctrl", exact: true }).click();
            await panel.getByRole("button", { name: "On-screen keyboard" }).click();
            await opened.heard([]);
            await page.keyboard.insertText("cx");
            await page.keyboard.insertText("v");
            assert.deepEqual(keysOf(await opened.said("keyUp", 3)), ["-2e", "-2d", "-2f"]);
            await page.keyboard.insertText("世界");
            const [offer] = await opened.said("clipboard");
            assert.deepEqual(offer, { type: "clipboard", what: "offer", types: ["text/plain"] });
            assert.deepEqual(keysOf(await opened.said("keyUp", 2)), ["-2f", "-1d"]);
            await opened.say({ type: "clipboardRequest", kind: "text/plain" });
            assert.equal((await opened.said("clipboard"))[0].data, "世界");
            await opened.close();
        }],
        ["what the guest copies is the browser's, text and pictures, and the other way round", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            await opened.say({ type: "clipboard", what: "offer", types: ["image/png", "text/plain"] });
            assert.deepEqual(await opened.said("clipboardRequest"), [{ type: "clipboardRequest", kind: "text/plain" }]);
            await opened.say({ type: "clipboard", what: "data", kind: "text/plain", data: "from the guest" });
            const text = () => page.evaluate(() => navigator.clipboard.readText());
            await opened.until(async () => (await text()) === "from the guest", "the text does not arrive");
            const panel = await opened.panel("Clipboard");
            assert.equal(await panel.getByRole("textbox").inputValue(), "from the guest");
            await opened.heard([]);
            await page.evaluate(() => navigator.clipboard.writeText("from here"));
            await page.evaluate(() => window.dispatchEvent(new Event("focus")));
            assert.deepEqual(await opened.said("clipboard"),
                [{ type: "clipboard", what: "offer", types: ["text/plain"] }]);
            await opened.say({ type: "clipboardRequest", kind: "text/plain" });
            assert.deepEqual(await opened.said("clipboard"),
                [{ type: "clipboard", what: "data", kind: "text/plain", data: "from here" }]);
            await (await opened.worker()).evaluate((png) => /** @type {any} */ (self).say({
                type: "clipboard", what: "data", kind: "image/png",
                data: Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0)).buffer,
            }), PNG);
            await opened.until(() => page.evaluate(async () => (
                (await navigator.clipboard.read()).some(({ types }) => types.includes("image/png"))
            )), "the picture does not arrive");
            await opened.close();
        }],
        ["files are sent, shown and cancelled", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            const panel = await opened.panel("Files");
            await panel.locator("input[type=file]").setInputFiles([
                { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("once upon a time") },
            ]);
            assert.deepEqual(await opened.said("file"), [{ type: "file", name: "notes.txt", size: 16 }]);
            const file = { type: "files", id: 1, name: "notes.txt", size: 16 };
            await opened.say({ ...file, sent: 8, state: "sending" });
            const bar = panel.getByRole("progressbar");
            await bar.waitFor();
            assert.equal(await bar.evaluate((it) => /** @type {HTMLProgressElement} */ (it).value), 8);
            await opened.accessible("a file on its way");
            await panel.getByRole("button", { name: "Cancel notes.txt" }).click();
            assert.deepEqual(await opened.said("fileCancel"), [{ type: "fileCancel", id: 1 }]);
            await opened.say({ ...file, sent: 8, state: "failed", reason: "no space" });
            await panel.getByText("no space").waitFor();
            // Dropped on the screen.
            const data = await page.evaluateHandle(() => {
                const transfer = new DataTransfer();
                transfer.items.add(new File(["abc"], "dropped.bin"));
                return transfer;
            });
            await page.dispatchEvent("#stage", "drop", { dataTransfer: data });
            assert.deepEqual(await opened.said("file"), [{ type: "file", name: "dropped.bin", size: 3 }]);
            await opened.close();
        }],
        ["power carries the ticket, and asks before a reset", async () => {
            const opened = await open({ facts: { ticket: true } });
            const { page } = opened;
            await page.getByLabel("Ticket").fill("Grüße");
            await opened.button("Connect").click();
            await opened.connected();
            const panel = await opened.panel("Power");
            await panel.getByRole("button", { name: "Pause" }).click();
            await panel.getByRole("button", { name: "Reset…" }).click();
            const dialog = page.getByRole("dialog");
            await dialog.waitFor();
            await opened.accessible("the question before a reset");
            await dialog.getByRole("button", { name: "Cancel" }).click();
            await panel.getByRole("button", { name: "Reset…" }).click();
            await Promise.all([
                page.waitForResponse((answer) => answer.url().endsWith("/power")),
                dialog.getByRole("button", { name: "Reset" }).click(),
            ]);
            const commands = opened.commands();
            assert.deepEqual(commands.map(({ body }) => JSON.parse(body)), [{ action: "pause" }, { action: "reset" }]);
            const token = String(commands[0].headers.authorization).replace(/^Bearer /, "");
            assert.equal(Buffer.from(token, "base64").toString(), "Grüße");
            await opened.close();
        }],
        ["a machine without a menu of power shows none", async () => {
            const opened = await open({ facts: { power: false } });
            await opened.connected();
            assert.equal(await opened.button("Power").count(), 0);
            await opened.close();
        }],
        ["sound is off until it is asked for", async () => {
            const opened = await open();
            await opened.connected();
            assert.deepEqual(await opened.heard(["audio"]), []);
            await opened.button("Sound").click();
            assert.deepEqual(await opened.said("audio"), [{ type: "audio", on: true }]);
            await opened.say({ type: "audio", what: "start", channels: 2, rate: 48000 });
            await (await opened.worker()).evaluate(() => /** @type {any} */ (self).say({
                type: "audio", what: "data", samples: new Int16Array(960),
            }));
            await opened.say({ type: "audio", what: "volume", volume: [0.5, 0.5] });
            await opened.button("Sound").click();
            assert.deepEqual(await opened.said("audio"), [{ type: "audio", on: false }]);
            await opened.close();
        }],
        ["full screen tucks the toolbar away, and the keyboard gets it back", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            await opened.button("Full screen").click();
            const isFull = () => page.evaluate(() => document.fullscreenElement !== null);
            await opened.until(isFull, "there is no full screen");
            const top = () => page.locator("#toolbar").evaluate((it) => it.getBoundingClientRect().top);
            await page.mouse.move(600, 500);
            await opened.until(async () => (await top()) < -40, "the toolbar stays");
            await page.locator("#stage").focus();
            await page.keyboard.press("Control+Alt");
            await opened.until(async () => (await top()) >= 0, "the toolbar does not come");
            await opened.button("Full screen").click();
            await opened.until(async () => !(await isFull()), "the full screen stays");
            await opened.close();
        }],
        ["figures and lights are in the status panel", async () => {
            const opened = await open();
            await opened.connected();
            const panel = await opened.panel("Status");
            await opened.say(
                { type: "figures", roundTrip: 1.62, frames: 30, bytes: 2048, codec: "LZ4", video: "H.264", dropped: 0 },
                { type: "lights", scroll: false, num: true, caps: true },
            );
            for (const text of ["1.6 ms", "30 a second", "LZ4", "H.264", "Num", "1024 × 768"]) {
                await panel.getByText(text).first().waitFor();
            }
            await opened.close();
        }],
        ["axe finds nothing in the console and its panels, light, dark and narrow", async () => {
            for (const look of /** @type {const} */ ([
                { scheme: "light" }, { scheme: "dark" }, { scheme: "light", width: 390, height: 700, touch: true },
            ])) {
                const opened = await open(look);
                await opened.connected({}, TWO);
                await opened.accessible(`the console, ${JSON.stringify(look)}`);
                for (const name of PANELS) {
                    await (await opened.panel(name)).waitFor();
                    await opened.accessible(`${name}, ${JSON.stringify(look)}`);
                }
                const wide = await opened.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
                assert.ok(wide <= 0, `the page is ${wide} pixels too wide, ${JSON.stringify(look)}`);
                await opened.close();
            }
        }],
        ["the page can be seen or not, and the worker is told", async () => {
            const opened = await open();
            await opened.connected();
            await opened.heard([]);
            await opened.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
            assert.deepEqual(await opened.said("visible"), [{ type: "visible", visible: true }]);
            await opened.close();
        }],
    ];
}
