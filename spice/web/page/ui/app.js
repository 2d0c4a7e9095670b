// The page of one virtual machine, from its facts to the ticket, the console and the end.

import { createAudio } from "./audio.js";
import { attachClipboard } from "./clipboard.js";
import { attachConsole } from "./console.js";
import { attachTypeText } from "./dialogs.js";
import { buttonOf, element } from "./dom.js";
import { attachFiles } from "./files.js";
import { attachHeads } from "./heads.js";
import { attachLogin, facts, listAddress, spiceAddress } from "./login.js";
import { notice, tell } from "./notices.js";
import { attachPower } from "./power.js";
import { attachStatus } from "./status.js";
import { attachToolbar } from "./toolbar.js";

/** Ctrl+V. */
const PASTE = [0x1d, 0x2f];
/** Milliseconds in which the guest's programs learn of another clipboard; nobody says when they have. */
const PASTE_AFTER = 250;

/**
 * Runs the page.
 * @param {Worker} worker with everything that is not the page itself; `worker.js` has the table of messages
 * @param {Promise<string>} failure what is wrong with it, if there is something
 */
export function run(worker, failure) {
    const stage = element("stage", HTMLElement);
    const base = document.baseURI;
    let name = "";
    /** It is kept nowhere else. */
    let ticket = "";
    let state = "closed";
    /** Whether there is a picture, which stays while the connection is made again. */
    let pictured = false;
    let mayAct = false;
    /** Whether the guest shares its clipboard. */
    let shares = false;

    /**
     * @param {any} message
     * @param {Transferable[]} [transfer]
     */
    const post = (message, transfer = []) => worker.postMessage(message, transfer);

    /**
     * Sends what the person does, if it can have an effect.
     * @param {any} message
     * @param {Transferable[]} [transfer]
     */
    function act(message, transfer) {
        if (state === "connected" && mayAct) {
            post(message, transfer);
        }
    }

    const toolbar = attachToolbar({ toolbar: element("toolbar", HTMLElement), stage });
    const status = attachStatus();
    const heads = attachHeads({ stage, post, act });
    const keys = attachConsole({ stage, act, onEscape: toolbar.focus, onText: (text) => typing.type(text) });
    const typing = attachTypeText({ keys, mayType: () => state === "connected" && mayAct, paste });
    const shared = element("shared-text", HTMLTextAreaElement);
    const clipboard = attachClipboard({ send: act, panel: shared, notify: notice });
    const files = attachFiles({
        element: element("stage-area", HTMLElement),
        send: (message) => (mayAct ? act(message) : notice("Those who look only cannot send files.", 1)),
        list: element("files", HTMLElement),
    });
    const power = attachPower({ ticket: () => ticket });
    const audio = createAudio();
    const login = attachLogin(connect);

    /**
     * Has the guest paste a text.
     * @param {string} text
     * @returns {boolean} whether it shares its clipboard
     */
    function paste(text) {
        if (mayAct && shares) {
            shared.value = text;
            shared.dispatchEvent(new Event("input"));
            setTimeout(() => void keys.strokes([PASTE], () => true), PASTE_AFTER);
        }
        return mayAct && shares;
    }

    /** @param {"login" | "connecting" | "console" | "ended"} view */
    function show(view) {
        document.body.dataset.view = view;
        element("console", HTMLElement).hidden = view !== "console";
    }

    /** @param {string} found */
    function setName(found) {
        name = found || "Caraway";
        document.title = name;
        element("card-title", HTMLElement).textContent = name;
        element("name", HTMLElement).textContent = name;
        stage.setAttribute("aria-label", `Screen of ${name}`);
    }

    /** @param {string} entered */
    function connect(entered) {
        ticket = entered;
        show("connecting");
        tell("Connecting…");
        post({ type: "connect", url: spiceAddress(base), ticket, options: { view: login.view() } });
    }

    /** @param {string} [complaint] */
    function askTicket(complaint) {
        show("login");
        login.ask(complaint);
    }

    /** @param {string} reason */
    function end(reason) {
        state = "closed";
        pictured = false;
        show("ended");
        element("ended-reason", HTMLElement).textContent = reason;
        tell(reason);
        buttonOf("again").focus();
    }

    /** What there is to know about the machine comes first. */
    async function begin() {
        show("connecting");
        tell("Connecting…");
        try {
            const found = await facts(base);
            setName(found.name);
            power.show(found.power);
            if (found.users) {
                end("This virtual machine asks for the name and password of a user, which this page cannot give.");
            } else if (found.ticket) {
                askTicket();
            } else {
                connect("");
            }
        } catch (error) {
            end(`The virtual machine cannot be reached: ${error instanceof Error ? error.message : String(error)}`);
        }
    }

    /** The picture is there again, or for the first time. */
    function connected() {
        const isFocused = pictured && !element("veil", HTMLElement).contains(document.activeElement);
        tell(pictured ? "The connection is there again." : `Connected to ${name}.`);
        pictured = true;
        show("console");
        setVeil("");
        if (!isFocused) {
            stage.focus({ preventScroll: true });
        }
    }

    /** @param {string} text over the last picture; empty: there is nothing to say */
    function setVeil(text) {
        document.body.classList.toggle("cut", text !== "");
        element("veil", HTMLElement).hidden = text === "";
        element("veil-text", HTMLElement).textContent = text;
    }

    /** @param {string} reason */
    function lost(reason) {
        const isNew = element("veil", HTMLElement).hidden;
        setVeil(reason);
        if (isNew) {
            tell(`The connection is lost: ${reason}. Reconnecting…`);
            if (stage.contains(document.activeElement)) {
                buttonOf("try-now").focus();
            }
        }
    }

    /** @param {any} message state */
    function stateChanged({ state: now, reason = "", needsTicket = false }) {
        if (state === "connected" && now !== "connected") {
            // The guest lets all keys go when the connection ends; the page must not think that they are down.
            keys.release();
            typing.close();
            // Who is told that there is no connection needs the mouse.
            if (document.pointerLockElement !== null) {
                document.exitPointerLock();
            }
        }
        state = now;
        if (now === "connected") {
            connected();
        } else if (now === "reconnecting") {
            lost(reason);
        } else if (now === "closed") {
            toolbar.close();
            if (document.fullscreenElement !== null) {
                void document.exitFullscreen();
            }
            pictured = false;
            setVeil("");
            if (needsTicket) {
                askTicket(ticket === "" ? "A ticket is needed." : "The ticket is wrong, or not valid any more.");
                tell("The ticket was not accepted.");
            } else {
                end(reason === "disconnected" ? "You have left." : `The connection has ended: ${reason}`);
            }
        }
    }

    /** @param {any} message session */
    function sessionChanged(message) {
        mayAct = message.role === "control";
        shares = message.clipboard === true;
        setName(message.name || name);
        element("role-badge", HTMLElement).hidden = mayAct;
        toolbar.allow(mayAct);
        heads.session(message);
        status.session(message);
        element("clipboard-state", HTMLElement).textContent = !message.clipboard
            ? "The guest has no agent that shares its clipboard. Text can be typed instead."
            : navigator.clipboard === undefined
              ? "The browser gives its clipboard only to pages with https: copy and paste in the field."
              : "Shared with the clipboard of this browser as far as that lets it.";
        element("files-state", HTMLElement).textContent = message.files
            ? "Files can also be dropped on the screen."
            : "The guest has no agent that takes files.";
    }

    /** @type {Record<string, (message: any) => void>} */
    const handlers = {
        state: stateChanged,
        session: sessionChanged,
        displays(message) {
            heads.displays(message);
            status.displays(message);
        },
        cursor: heads.cursor,
        lights(message) {
            keys.lights(message);
            status.lights(message);
        },
        figures: status.figures,
        notify: ({ text, severity }) => notice(text, severity),
    };

    worker.onmessage = ({ data }) => {
        if (Object.hasOwn(handlers, data.type)) {
            handlers[data.type](data);
        }
        clipboard.onMessage(data);
        files.onMessage(data);
        audio.onMessage(data);
    };
    void failure.then((message) => end(message || "A part of the page cannot be loaded."));

    const sound = buttonOf("sound", () => {
        const on = sound.getAttribute("aria-pressed") !== "true";
        sound.setAttribute("aria-pressed", String(on));
        if (on) {
            audio.enable();
        } else {
            audio.disable();
        }
        post({ type: "audio", on });
    });
    for (const id of ["cancel", "leave", "give-up"]) {
        buttonOf(id, () => post({ type: "disconnect" }));
    }
    buttonOf("again", () => void begin());
    buttonOf("try-now", () => post({ type: "retry" }));
    buttonOf("type-shared", () => typing.open(shared.value));
    window.addEventListener("online", () => post({ type: "retry" }));
    document.addEventListener("visibilitychange", () => {
        post({ type: "visible", visible: document.visibilityState === "visible" });
    });
    window.addEventListener("pagehide", () => {
        keys.release();
        post({ type: "disconnect" });
    });
    // A page that the browser has kept has no connection any more.
    window.addEventListener("pageshow", ({ persisted }) => {
        if (persisted) {
            void begin();
        }
    });
    element("to-list", HTMLElement).hidden = listAddress(base) === null;
    if (typeof OffscreenCanvas === "undefined") {
        end("This browser is too old: it has no OffscreenCanvas.");
    } else {
        void begin();
    }
}
