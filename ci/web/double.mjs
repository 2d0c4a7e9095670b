// The page in Chromium, in front of a double of its worker: tests see what the page says, and say what it is answered.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { servePage } from "./server.mjs";

/** @typedef {import("playwright-core").Page} Page */

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DOUBLE = fileURLToPath(new URL("../../spice/web/tests/worker_double.js", import.meta.url));
const TIMEOUT = 30_000;

/** What the server says besides the files of the page. */
const FACTS = { name: "first", ticket: false, users: false, tls: false, power: true };
/** What the worker says of a session in which everything can be done. */
export const SESSION = {
    type: "session", name: "first", uuid: null, role: "control", mouseMode: "client", mouseModes: ["server", "client"],
    agent: true, clipboard: true, files: true, monitors: true,
};

/**
 * @typedef {object} Options
 * @property {Partial<typeof FACTS> | null} [facts] null: they cannot be had
 * @property {string} [path] of the page
 * @property {number} [ratio] pixels of the device in a CSS pixel
 * @property {"light" | "dark"} [scheme]
 * @property {number} [width] of the window
 * @property {number} [height]
 * @property {"reduce" | "no-preference"} [motion]
 * @property {boolean} [touch]
 * @property {object[] | null} [machines] that vms.json lists; null: they cannot be had
 */

/** A browser and the server of the page. */
export async function start(executablePath = "/usr/bin/chromium") {
    const browser = await chromium.launch({
        executablePath,
        // Chromium's sandbox is not for root, and a container's /dev/shm is small.
        args: ["--disable-dev-shm-usage", ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
    });
    /** @type {Options} of the page that is open */
    let now = {};
    /** @type {{headers: import("node:http").IncomingHttpHeaders, body: string}[]} requests for power */
    let commands = [];
    const { server, url } = await servePage({
        instead: new Map([["worker.js", DOUBLE]]),
        others(asked, answer) {
            const path = asked.url ?? "";
            /** @param {object | null | undefined} facts */
            const give = (facts) => {
                answer.writeHead(facts === null ? 404 : 200, { "Content-Type": "application/json" });
                answer.end(facts === null ? "" : JSON.stringify(facts));
            };
            if (path.endsWith("/vm.json")) {
                give(now.facts === null ? null : { ...FACTS, ...now.facts });
            } else if (path.endsWith("/vms.json")) {
                give(now.machines === undefined ? [] : now.machines);
            } else if (path.endsWith("/power")) {
                let body = "";
                asked.setEncoding("utf8").on("data", (part) => (body += part)).on("end", () => {
                    commands.push({ headers: asked.headers, body });
                    answer.writeHead(204).end();
                });
            } else {
                return false;
            }
            return true;
        },
    });

    /** Opens the page, with nothing of those before. @param {Options} [options] */
    async function open(options = {}) {
        now = options;
        commands = [];
        const context = await browser.newContext({
            viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
            deviceScaleFactor: options.ratio ?? 1,
            colorScheme: options.scheme ?? "light",
            reducedMotion: options.motion ?? "no-preference",
            hasTouch: options.touch ?? false,
            locale: "en-US",
        });
        context.setDefaultTimeout(TIMEOUT);
        await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
        const page = await context.newPage();
        /** @type {string[]} */
        const complaints = [];
        page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
        page.on("console", (message) => {
            // That facts cannot be had is what some tests are about.
            if (message.type() === "error" && !message.text().includes("404")) {
                complaints.push(message.text());
            }
        });
        await page.goto(new URL(options.path ?? "/", url).href);
        return new Opened(page, complaints, () => commands);
    }

    return {
        open,
        async stop() {
            await browser.close();
            server.closeAllConnections();
            server.close();
        },
    };
}

/** A page that is open. */
export class Opened {
    /**
     * @param {Page} page
     * @param {string[]} complaints of the browser
     * @param {() => {headers: import("node:http").IncomingHttpHeaders, body: string}[]} commands
     */
    constructor(page, complaints, commands) {
        this.page = page;
        this.complaints = complaints;
        this.commands = commands;
    }

    /** The worker, once it has begun. */
    async worker() {
        const worker = this.page.workers()[0] ?? (await this.page.waitForEvent("worker"));
        await this.until(() => worker.evaluate(() => Array.isArray(/** @type {any} */ (self).received)), "no worker");
        return worker;
    }

    /**
     * Looks until something is so. It is looked at from outside: the page's policy lets nothing be evaluated in it.
     * @param {() => Promise<boolean>} look
     * @param {string} what there is otherwise
     */
    async until(look, what) {
        const limit = Date.now() + TIMEOUT;
        while (!(await look())) {
            assert.ok(Date.now() < limit, what);
        }
    }

    /** The worker says something. @param {...object} messages */
    async say(...messages) {
        const worker = await this.worker();
        await worker.evaluate((said) => said.forEach((one) => /** @type {any} */ (self).say(one)), messages);
    }

    /**
     * Waits until the page has said so many messages of a type, and forgets all that were said.
     * @param {string} type
     * @param {number} [count]
     * @returns {Promise<any[]>} those of the type
     */
    async said(type, count = 1) {
        const worker = await this.worker();
        return worker.evaluate(
            ([type, count, timeout]) => new Promise((resolve, reject) => {
                const scope = /** @type {any} */ (self);
                const limit = Date.now() + Number(timeout);
                const look = () => {
                    const found = scope.received.filter((/** @type {any} */ one) => one.type === type);
                    if (found.length >= Number(count)) {
                        scope.received = [];
                        resolve(found);
                    } else if (Date.now() > limit) {
                        reject(new Error(`not ${count} ${type} but ${JSON.stringify(scope.received)}`));
                    } else {
                        setTimeout(look, 5);
                    }
                };
                look();
            }),
            [type, count, TIMEOUT],
        );
    }

    /**
     * What the page has said of some types since the last look. Whatever it said before is there: the page answers a
     * message that comes after.
     * @param {string[]} types
     * @returns {Promise<any[]>}
     */
    async heard(types) {
        const { page } = this;
        // A message of ours comes back when all before it have been taken.
        await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
        const worker = await this.worker();
        return worker.evaluate(
            ([types]) => new Promise((resolve) => {
                const scope = /** @type {any} */ (self);
                const look = () => {
                    if (!scope.received.some((/** @type {any} */ one) => one.type === "visible")) {
                        setTimeout(look, 5);
                        return;
                    }
                    const found = scope.received.filter((/** @type {any} */ one) => types.includes(one.type));
                    scope.received = [];
                    resolve(found);
                };
                look();
            }),
            [types],
        );
    }

    /**
     * The worker connects, and shows screens.
     * @param {object} [session] what is another way than in SESSION
     * @param {object[]} [displays]
     */
    async connected(session = {}, displays = [{ display: 0, width: 1024, height: 768, x: 0, y: 0 }]) {
        await this.said("connect");
        await this.say(
            { type: "state", state: "connected" },
            { ...SESSION, ...session },
            { type: "displays", displays },
        );
        await this.said("canvas", displays.length);
        await this.page.locator("canvas[role]").first().waitFor();
    }

    /** @param {string} name of a button, all of it */
    button(name) {
        return this.page.getByRole("button", { name, exact: true });
    }

    /** @param {string} name of a button that opens a panel */
    async panel(name) {
        await this.button(name).click();
        return this.page.getByRole("region", { name, exact: true });
    }

    /** Axe must find nothing at all. @param {string} what */
    async accessible(what) {
        await this.page.evaluate(AXE);
        const found = await this.page.evaluate(async () => {
            // Colours are looked at when they are not on their way any more.
            await Promise.all(document.getAnimations().map((one) => (
                one.effect?.getComputedTiming().endTime === Infinity ? null : one.finished.catch(() => {})
            )));
            const { violations } = await /** @type {any} */ (window).axe.run(document, { resultTypes: ["violations"] });
            /** @param {any} one */
            const short = ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(htmlOf)}`;
            /** @param {any} node */
            const htmlOf = ({ html }) => html;
            return violations.map(short);
        });
        assert.deepEqual(found, [], what);
    }

    async close() {
        await this.page.context().close();
        assert.deepEqual(this.complaints, [], "the browser has complained");
    }
}
