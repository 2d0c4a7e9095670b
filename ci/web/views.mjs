// The page in Chromium, each part of it, in front of a double of its worker. Ends with a line `N passed, M failed`.
//
//   node views.mjs [--only TEXT] [--browser PATH]

import { parseArgs } from "node:util";

import { start } from "./double.mjs";
import { consoleChecks } from "./views_console.mjs";
import { outsideChecks } from "./views_outside.mjs";

const { values: options } = parseArgs({
    options: { only: { type: "string", default: "" }, browser: { type: "string", default: "/usr/bin/chromium" } },
});
const browser = await start(options.browser);
let [passed, failed] = [0, 0];
for (const [name, check] of [...outsideChecks(browser.open), ...consoleChecks(browser.open)]) {
    if (!name.includes(String(options.only))) {
        continue;
    }
    const began = performance.now();
    try {
        await check();
        passed++;
        console.log(`ok      ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
        failed++;
        console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
}
await browser.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
