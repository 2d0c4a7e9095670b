// The clipboards of guest and browser as one. What the browser does not let the page do by itself, the person does in
// the panel: a text field that has the guest's text, and whose text the guest gets.

/** Most bytes, as the worker takes them. */
const BYTES_MAX = 32 << 20;
const TEXT = "text/plain";
const PNG = "image/png";

/**
 * @typedef {object} Contents
 * @property {string} [text]
 * @property {Blob} [png]
 */

/**
 * @param {object} options
 * @param {(message: any, transfer?: Transferable[]) => void} options.send to the worker
 * @param {HTMLElement} options.panel a textarea, or what has one in it
 * @param {(text: string, severity: 0 | 1 | 2) => void} options.notify tells the person: information, warning, error
 * @returns {{onMessage(message: any): void, detach(): void}} onMessage: takes every message of the worker, and does
 *     something for `clipboard`, `clipboardRequest` and `session`
 */
export function attachClipboard({ send, panel, notify }) {
    const page = panel.ownerDocument;
    const view = /** @type {Window & typeof globalThis} */ (page.defaultView);
    const area = /** @type {HTMLTextAreaElement} */ ("value" in panel ? panel : panel.querySelector("textarea"));
    /** What the page has for the guest. @type {Contents} */
    let ours = {};
    /** What the guest had that is on the clipboard, or on its way there; it is not offered to it again. */
    let theirs = { text: "", size: 0, png: false };
    /** @type {Contents | null} what is not on the clipboard yet, because the browser waits for the person */
    let waiting = null;
    let able = false;
    let told = false;

    function offer() {
        const types = [...(ours.text === undefined ? [] : [TEXT]), ...(ours.png === undefined ? [] : [PNG])];
        if (able && types.length > 0) {
            send({ type: "clipboard", what: "offer", types });
        }
    }

    /** @param {Contents} contents that the person has copied outside of the guest */
    function take(contents) {
        if ((contents.text?.length ?? 0) > BYTES_MAX || (contents.png?.size ?? 0) > BYTES_MAX) {
            notify(`The clipboard has more than ${BYTES_MAX >> 20} MiB: the guest does not get it.`, 1);
            return;
        }
        ours = contents;
        waiting = null;
        offer();
    }

    /** Looks at the clipboard of the browser, where pages may do so without being asked each time. */
    async function look() {
        const clipboard = view.navigator.clipboard;
        if (!able || clipboard === undefined || !(await mayRead(view.navigator))) {
            return;
        }
        const contents = await contentsOf(clipboard);
        if (contents.text !== undefined && contents.text !== theirs.text && contents.text !== ours.text) {
            take(contents);
        } else if (contents.text === undefined && contents.png !== undefined) {
            const { size } = contents.png;
            if (theirs.png) {
                // Browsers write pictures anew: the first one after the guest's is the guest's.
                theirs = { ...theirs, size, png: false };
            } else if (size !== theirs.size && size !== ours.png?.size) {
                take(contents);
            }
        }
    }

    /** Puts what the guest has copied on the clipboard of the browser. */
    async function put() {
        const contents = waiting;
        if (contents === null || !page.hasFocus()) {
            return;
        }
        const clipboard = view.navigator.clipboard;
        try {
            if (contents.text !== undefined) {
                await clipboard.writeText(contents.text);
            } else if (contents.png !== undefined) {
                await clipboard.write([new view.ClipboardItem({ [PNG]: contents.png })]);
                theirs = { ...theirs, png: true };
            }
            if (waiting === contents) {
                waiting = null;
            }
        } catch {
            // Most browsers want the person to have done something just before: the next click or key tries again.
        }
    }

    /** @param {{kind: string | null, data: string | ArrayBuffer | null}} message */
    function received({ kind, data }) {
        if (kind === TEXT && typeof data === "string") {
            area.value = data;
            ours = {};
            theirs = { text: data, size: 0, png: false };
            waiting = { text: data };
        } else if (kind === PNG && data !== null && typeof data !== "string") {
            ours = {};
            theirs = { text: "", size: 0, png: false };
            waiting = { png: new view.Blob([data], { type: PNG }) };
        } else {
            return;
        }
        if (view.navigator.clipboard === undefined) {
            apologize(waiting.png !== undefined);
            waiting = null;
        } else {
            void put();
        }
    }

    /** @param {boolean} picture */
    function apologize(picture) {
        if (picture) {
            notify("The guest has copied a picture; the browser takes pictures only from pages with https.", 1);
        } else if (!told) {
            told = true;
            notify("The browser gives its clipboard only to pages with https: the guest's text is in the panel.", 0);
        }
    }

    /** @param {string} kind that the guest wants */
    async function answer(kind) {
        /** @type {string | ArrayBuffer | null} */
        let data = null;
        try {
            data =
                kind === TEXT ? (ours.text ?? null) : kind === PNG ? ((await ours.png?.arrayBuffer()) ?? null) : null;
        } catch (error) {
            notify(`The picture on the clipboard cannot be read: ${error instanceof Error ? error.message : error}`, 2);
        }
        send({ type: "clipboard", what: "data", kind, data }, data instanceof ArrayBuffer ? [data] : []);
    }

    /** @param {ClipboardEvent} event in the panel */
    function onPaste(event) {
        const png = [...(event.clipboardData?.files ?? [])].find((file) => file.type === PNG);
        if (png !== undefined) {
            event.preventDefault();
            take({ png });
        }
    }

    const listening = new AbortController();
    const { signal } = listening;
    area.addEventListener("input", () => take({ text: area.value }), { signal });
    area.addEventListener("paste", onPaste, { signal });
    view.addEventListener("focus", () => void put().then(look), { signal });
    // These count as something that the person does, before the page has made them keys of the guest.
    for (const type of /** @type {const} */ (["pointerup", "keydown"])) {
        page.addEventListener(type, () => void put(), { signal, capture: true });
    }

    return {
        onMessage(message) {
            if (message.type === "session") {
                const now = message.clipboard === true && message.role !== "view";
                if (now && !able) {
                    able = true;
                    offer();
                    void look();
                }
                able = now;
            } else if (message.type === "clipboardRequest") {
                void answer(message.kind);
            } else if (message.type === "clipboard" && message.what === "offer") {
                // Text, where there are both: pictures of text are of less use.
                const kind = [TEXT, PNG].find((kind) => message.types.includes(kind));
                if (kind !== undefined) {
                    send({ type: "clipboardRequest", kind });
                }
            } else if (message.type === "clipboard" && message.what === "data") {
                received(message);
            } else if (message.type === "clipboard" && message.what === "release") {
                waiting = null;
            }
        },
        detach() {
            listening.abort();
            waiting = null;
        },
    };
}

/**
 * Whether the page may read the clipboard. Browsers that do not know this permission ask the person each time, and are
 * not to do so whenever the page gets the focus.
 * @param {Navigator} navigator
 */
async function mayRead(navigator) {
    try {
        const name = /** @type {PermissionName} */ ("clipboard-read");
        return (await navigator.permissions.query({ name })).state !== "denied";
    } catch {
        return false;
    }
}

/**
 * @param {Clipboard} clipboard
 * @returns {Promise<Contents>} nothing, where the browser does not give it
 */
async function contentsOf(clipboard) {
    /** @type {Contents} */
    const contents = {};
    try {
        for (const item of await clipboard.read()) {
            if (item.types.includes(TEXT)) {
                contents.text = await (await item.getType(TEXT)).text();
            }
            if (item.types.includes(PNG)) {
                contents.png = await item.getType(PNG);
            }
        }
    } catch {
        // The person has said no, or the page has lost the focus meanwhile.
    }
    return contents;
}
