// Serves the page as it is in the tree, with the policy that the program gives it, on 127.0.0.1.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = fileURLToPath(new URL("../../spice/web/page/", import.meta.url));
/** @type {Record<string, string>} */
const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml" };

/** @param {string} host of the page */
function policy(host) {
    return "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        + `connect-src 'self' ws://${host} wss://${host}; media-src blob:; font-src 'self'; base-uri 'none'; `
        + "form-action 'none'; frame-ancestors 'none'";
}

/**
 * @typedef {(asked: import("node:http").IncomingMessage, answer: import("node:http").ServerResponse) => boolean} Others
 *     answers a request for what is no file of the page, or says that it does not
 */

/**
 * @param {object} options
 * @param {number} [options.port] 0: any
 * @param {Others} options.others asked first
 * @param {Map<string, string>} [options.instead] files to serve instead of those of the page, by their names there
 * @returns {Promise<{server: import("node:http").Server, url: string}>}
 */
export async function servePage({ port = 0, others, instead = new Map() }) {
    const server = createServer(async (asked, answer) => {
        if (others(asked, answer)) {
            return;
        }
        const path = new URL(asked.url ?? "/", "http://localhost").pathname;
        // A page of a list is in a folder of its own.
        const name = normalize(path.replace(/^\/vm\/[^/]+\//, "/")).replace(/^\/$/, "/index.html");
        try {
            const body = await readFile(instead.get(name.slice(1)) ?? join(PAGE, name));
            answer.writeHead(200, {
                "Content-Type": `${TYPES[extname(name)] ?? "application/octet-stream"}; charset=utf-8`,
                "Cache-Control": "no-store",
                "Content-Security-Policy": policy(asked.headers.host ?? ""),
            });
            answer.end(body);
        } catch {
            answer.writeHead(404).end("There is no such file here.\n");
        }
    });
    await new Promise((done) => server.listen(port, "127.0.0.1", () => done(null)));
    const address = /** @type {import("node:net").AddressInfo} */ (server.address());
    return { server, url: `http://127.0.0.1:${address.port}/` };
}
