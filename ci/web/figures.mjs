// Figures of a page that shows a stream of numbered frames (ci/bench/stream_server.py), as one line of JSON:
//
//   node figures.mjs [--browser PATH] --url URL --seconds N [--look | --any]
//
//   seconds    for how long it was measured, from 3 s after the navigation on
//   main       ms in which the page's main thread was busy in that time, by what Chromium counts as its tasks
//   script     ms of those in scripts
//
// With --look each picture that is drawn is looked at, which takes time of its own; then there are
//
//   first      ms from the navigation to the first of them
//   seen       their numbers, in turn
//
// With --any only `first` is told, of whatever picture comes first on the largest canvas.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

const { values: options } = parseArgs({
    options: {
        browser: { type: "string", default: "/usr/bin/chromium" },
        url: { type: "string", default: "" },
        seconds: { type: "string", default: "10" },
        look: { type: "boolean", default: false },
        any: { type: "boolean", default: false },
    },
});
const WARM = 3000;

/** Keeps what the observers tell. This runs in the page. */
function listen() {
    const own = /** @type {any} */ (window);
    own.framesSeen = [];
    new BroadcastChannel("frames").onmessage = ({ data }) => own.framesSeen.push(data);
}

/** Looks for a canvas with a picture, that is with a pixel that is not black. This runs in the page. */
function awaitPicture() {
    const copy = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true });
    const own = /** @type {any} */ (window);
    const look = () => {
        const canvas = document.querySelector("canvas[role]");
        if (canvas instanceof HTMLCanvasElement && canvas.offsetParent !== null && canvas.width > 0 && copy !== null) {
            copy.drawImage(canvas, 0, 0, 16, 16);
            const { data } = copy.getImageData(0, 0, 16, 16);
            if (data.some((value, at) => at % 4 < 3 && value > 0)) {
                own.firstPicture = performance.now();
                return;
            }
        }
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}

const browser = await chromium.launch({
    executablePath: options.browser,
    // Chromium's sandbox is not for root, and a container's /dev/shm is small.
    args: ["--disable-dev-shm-usage", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
});
const context = await browser.newContext({ viewport: { width: 1940, height: 1200 } });
const page = await context.newPage();
if (options.look) {
    await page.addInitScript(listen);
    await page.addInitScript(readFileSync(new URL("observer.js", import.meta.url), "utf8"));
}
const devtools = await context.newCDPSession(page);
await devtools.send("Performance.enable");
const metrics = async () => {
    const { metrics: all } = await devtools.send("Performance.getMetrics");
    const of = (/** @type {string} */ name) => all.find((metric) => metric.name === name)?.value ?? 0;
    return [of("TaskDuration"), of("ScriptDuration"), of("Timestamp")];
};
const pause = (/** @type {number} */ milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

if (options.any) {
    await page.addInitScript(awaitPicture);
    await page.goto(options.url);
    let first;
    do {
        await pause(100);
        first = await page.evaluate(() => /** @type {any} */ (window).firstPicture);
    } while (first === undefined);
    console.log(JSON.stringify({ first }));
    await browser.close();
    process.exit();
}
await page.goto(options.url);
await pause(WARM);
const before = await metrics();
const from = Date.now();
await pause(Number(options.seconds) * 1000);
const [main, script, seconds] = (await metrics()).map((value, at) => value - before[at]);
const looked = await page.evaluate((start) => {
    const all = /** @type {any} */ (window).framesSeen;
    if (all === undefined) {
        return {};
    }
    const seen = all.filter((/** @type {any} */ frame) => frame.at >= start);
    const first = all.length === 0 ? null : all[0].at - performance.timeOrigin;
    return { first, seen: seen.map((/** @type {any} */ frame) => frame.number) };
}, from);
console.log(JSON.stringify({ seconds, main: main * 1000, script: script * 1000, ...looked }));
await browser.close();
