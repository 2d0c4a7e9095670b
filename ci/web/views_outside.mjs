// What is around the console: facts, ticket, the states of the connection, the end, and the list.

import assert from "node:assert/strict";

import { SESSION } from "./double.mjs";

/** @typedef {import("./double.mjs").Opened} Opened */
/** @typedef {import("./double.mjs").Options} Options */
/** @typedef {(options?: Options) => Promise<Opened>} Open */
/** @typedef {[string, () => Promise<void>]} Check */

const HOSTILE = "<img src=x onerror=alert(1)>\u202eevil";
const LOOKS = /** @type {const} */ ([
    { scheme: "light" },
    { scheme: "dark" },
    { scheme: "light", width: 390, height: 700 },
]);

/**
 * @param {Open} open
 * @returns {Check[]}
 */
export function outsideChecks(open) {
    return [
        ["the ticket is asked for when there is one, and is nowhere but in the message", async () => {
            const opened = await open({ facts: { ticket: true }, path: "/vm/first/" });
            const { page } = opened;
            const field = page.getByLabel("Ticket");
            await field.waitFor();
            assert.equal(await field.evaluate((it) => it === document.activeElement), true);
            await page.keyboard.type("correct horse");
            await page.keyboard.press("Enter");
            const [message] = await opened.said("connect");
            const { host } = new URL(page.url());
            assert.deepEqual(message, {
                type: "connect", url: `ws://${host}/vm/first/spice`, ticket: "correct horse", options: { view: false },
            });
            const kept = await page.evaluate(() => JSON.stringify([
                location.href, document.cookie, { ...localStorage }, { ...sessionStorage },
                [...document.querySelectorAll("input")].map(({ value }) => value), history.state,
            ]));
            assert.equal(kept.includes("horse"), false, kept);
            await opened.close();
        }],
        ["a wrong ticket is told of, and another can be given", async () => {
            const opened = await open({ facts: { ticket: true } });
            const { page } = opened;
            const alert = page.getByRole("alert");
            for (const ticket of ["guess", ""]) {
                await page.getByLabel("Ticket").fill(ticket);
                await opened.button("Connect").click();
                await opened.said("connect");
                await opened.say({ type: "state", state: "closed", reason: "refused", code: 7, needsTicket: true });
                await alert.waitFor();
                assert.match(await alert.innerText(), /ticket/i);
                assert.equal(await page.getByLabel("Ticket").evaluate((it) => it === document.activeElement), true);
            }
            await opened.accessible("a wrong ticket");
            await opened.close();
        }],
        ["who wants to look only says so to the worker", async () => {
            const opened = await open({ facts: { ticket: true } });
            await opened.page.getByLabel("Look only").check();
            await opened.button("Connect").click();
            const [{ options }] = await opened.said("connect");
            assert.deepEqual(options, { view: true });
            await opened.close();
        }],
        ["without a ticket the page connects by itself", async () => {
            const opened = await open();
            const [{ ticket }] = await opened.said("connect");
            assert.equal(ticket, "");
            await opened.accessible("connecting");
            await opened.button("Cancel").click();
            await opened.said("disconnect");
            await opened.close();
        }],
        ["a worker that is told of a ticket later asks for it", async () => {
            const opened = await open();
            await opened.said("connect");
            await opened.say({ type: "state", state: "closed", reason: "refused", code: 7, needsTicket: true });
            await opened.page.getByLabel("Ticket").waitFor();
            await opened.close();
        }],
        ["a machine that is not there is told of, and looked for again", async () => {
            const opened = await open({ facts: null });
            await opened.button("Connect again").waitFor();
            assert.match(await opened.page.getByRole("main").innerText(), /404/);
            await opened.accessible("not there");
            await opened.button("Connect again").click();
            await opened.button("Connect again").waitFor();
            await opened.close();
        }],
        ["a machine that wants users is told of", async () => {
            const opened = await open({ facts: { users: true } });
            await opened.button("Connect again").waitFor();
            assert.match(await opened.page.getByRole("main").innerText(), /user/);
            await opened.close();
        }],
        ["names are text, whatever is in them", async () => {
            const opened = await open({ facts: { name: HOSTILE } });
            await opened.connected({ name: HOSTILE });
            assert.equal(await opened.page.title(), HOSTILE);
            assert.equal(await opened.page.locator("img:not([src$='icon.svg'])").count(), 0);
            await opened.say({ type: "notify", text: HOSTILE, severity: 2 });
            await opened.page.getByRole("log").getByText(HOSTILE).waitFor();
            await opened.close();
        }],
        ["a lost connection: the picture stays, and one need not wait", async () => {
            const opened = await open();
            const { page } = opened;
            await opened.connected();
            const status = page.getByRole("status").first();
            await opened.say({ type: "state", state: "reconnecting", reason: "main: the line is cut" });
            const again = opened.button("Try now");
            await again.waitFor();
            assert.equal(await page.locator("canvas[role]").isVisible(), true);
            assert.match(await status.innerText(), /econnecting/);
            assert.equal(await again.evaluate((it) => it === document.activeElement), true);
            await opened.accessible("reconnecting");
            await again.click();
            await opened.said("retry");
            await page.keyboard.press("Tab");
            await opened.say({ type: "state", state: "connected" });
            await again.waitFor({ state: "hidden" });
            assert.equal(await page.evaluate(() => document.activeElement?.id), "stage");
            await opened.close();
        }],
        ["nothing goes to a guest that is not there", async () => {
            const opened = await open();
            await opened.connected();
            await opened.page.keyboard.down("a");
            await opened.said("keyDown");
            await opened.say({ type: "state", state: "reconnecting", reason: "cut" });
            await opened.button("Try now").waitFor();
            await opened.heard([]);
            await opened.page.locator("#stage").focus();
            await opened.page.keyboard.press("b");
            assert.deepEqual(await opened.heard(["keyDown", "keyUp", "button", "motion", "position"]), []);
            await opened.close();
        }],
        ["the end has its reason, and can be begun again", async () => {
            const opened = await open();
            await opened.connected();
            await opened.say({ type: "state", state: "closed", reason: "the virtual machine has ended" });
            await opened.button("Connect again").waitFor();
            assert.match(await opened.page.getByRole("main").innerText(), /the virtual machine has ended/);
            assert.match(await opened.page.getByRole("status").first().innerText(), /ended/);
            await opened.accessible("the end");
            await opened.page.keyboard.press("Enter");
            await opened.said("connect");
            await opened.say({ type: "state", state: "connected" }, SESSION);
            // The worker has their canvases still.
            await opened.page.locator("canvas[role]").waitFor();
            await opened.close();
        }],
        ["who leaves is asked nothing, and is told", async () => {
            const opened = await open();
            await opened.connected();
            await opened.button("Disconnect").click();
            await opened.said("disconnect");
            await opened.say({ type: "state", state: "closed", reason: "disconnected" });
            await opened.page.getByText("You have left.").first().waitFor();
            await opened.close();
        }],
        ["axe finds nothing in the login, the connecting and the end, light, dark and narrow", async () => {
            for (const look of LOOKS) {
                const opened = await open({ ...look, facts: { ticket: true }, path: "/vm/first/" });
                await opened.page.getByLabel("Ticket").waitFor();
                await opened.accessible(`the login, ${JSON.stringify(look)}`);
                await opened.button("Connect").click();
                await opened.said("connect");
                await opened.accessible(`connecting, ${JSON.stringify(look)}`);
                await opened.say({ type: "state", state: "closed", reason: "it is over" });
                await opened.accessible(`the end, ${JSON.stringify(look)}`);
                await opened.close();
            }
        }],
        ["who wants no motion gets none", async () => {
            const opened = await open({ motion: "reduce" });
            await opened.said("connect");
            const moving = await opened.page.evaluate(() => document.getAnimations().length);
            assert.equal(moving, 0);
            await opened.close();
        }],
        ["the list: machines with and without a screen, on other addresses, and none that is run", async () => {
            const machines = [
                { name: "first", state: "running", href: "vm/first/", screen: true },
                { name: HOSTILE, state: "paused", href: "https://vm.example.org:5980/", screen: true },
                { name: "blind", state: "running", href: "vm/blind/", screen: false },
                { name: "trap", state: "running", href: "javascript:alert(1)", screen: true },
            ];
            for (const look of LOOKS) {
                const opened = await open({ ...look, machines, path: "/list.html" });
                const { page } = opened;
                const link = page.getByRole("link", { name: "first" });
                await link.waitFor();
                assert.equal(await link.evaluate((it) => /** @type {HTMLAnchorElement} */ (it).pathname), "/vm/first/");
                const far = page.getByRole("link", { name: HOSTILE });
                assert.equal(await far.getAttribute("href"), "https://vm.example.org:5980/");
                assert.equal(await page.getByRole("link").count(), 2);
                await opened.accessible(`the list, ${JSON.stringify(look)}`);
                await opened.close();
            }
        }],
        ["the list without machines, and when it cannot be had", async () => {
            for (const [machines, text] of /** @type {const} */ ([[[], "No virtual machine"], [null, "404"]])) {
                const opened = await open({ machines: machines === null ? null : [...machines], path: "/list.html" });
                await opened.page.getByText(text).first().waitFor();
                await opened.accessible(`the list: ${text}`);
                await opened.close();
            }
        }],
        ["the list is looked at again, and the focus stays", async () => {
            const machines = [{ name: "first", state: "running", href: "vm/first/", screen: true }];
            const opened = await open({ machines, path: "/list.html" });
            const link = opened.page.getByRole("link", { name: "first" });
            await link.focus();
            machines.unshift({ name: "another", state: "running", href: "vm/another/", screen: true });
            await opened.page.getByRole("link", { name: "another" }).waitFor();
            assert.equal(await link.evaluate((it) => it === document.activeElement), true);
            await opened.close();
        }],
    ];
}
