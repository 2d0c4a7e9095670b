import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

const PAGE = fileURLToPath(new URL("../page/", import.meta.url));

/**
 * All modules that one is made of.
 * @param {string} name
 * @param {Set<string>} [found]
 */
function modules(name, found = new Set()) {
    if (!found.has(name)) {
        found.add(name);
        const text = readFileSync(join(PAGE, name), "utf8");
        for (const [, other] of text.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)"/gm)) {
            modules(join(dirname(name), other), found);
        }
    }
    return found;
}

test("the page names all its modules, so that they come together", () => {
    const html = readFileSync(join(PAGE, "index.html"), "utf8");
    const named = [...html.matchAll(/<link rel="modulepreload" href="([^"]+)">/g)].map(([, name]) => name);
    const begun = [...html.matchAll(/<script type="module" src="([^"]+)">/g)].map(([, name]) => name);
    assert.deepEqual(begun, ["start.js", "main.js"]);
    assert.deepEqual([...begun, ...named].sort(), [...modules("main.js")].sort());
});
