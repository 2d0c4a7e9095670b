// Files for the guest: dropped on the screen or chosen, with how far they are.

/** Most rows; the oldest of those that are over go first. */
const ROWS_MAX = 50;
/** States of a file after which nothing more comes. */
const OVER = new Set(["done", "failed", "cancelled"]);
/** Units of sizes. */
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * @typedef {{row: HTMLElement, progress: HTMLProgressElement, state: HTMLElement, button: HTMLButtonElement,
 *     over: boolean}} Row
 */

/**
 * @param {object} options
 * @param {HTMLElement} options.element on which files can be dropped; has the class "dropping" meanwhile
 * @param {(message: any) => void} options.send to the worker
 * @param {HTMLElement} options.list a `ul` or `ol` for the files
 * @param {HTMLInputElement} [options.input] to choose files with; without, one is made before the list
 * @returns {{onMessage(message: any): void, detach(): void}} onMessage: takes every message of the worker, and does
 *     something for `files`
 */
export function attachFiles({ element, send, list, input }) {
    const page = list.ownerDocument;
    /** @type {Map<number | string, Row>} by the worker's numbers; what does not get as far has names */
    const rows = new Map();
    const chooser = input ?? makeInput();
    let folders = 0;

    function makeInput() {
        const made = page.createElement("input");
        made.type = "file";
        made.multiple = true;
        made.setAttribute("aria-label", "Files for the guest");
        list.before(made);
        return made;
    }

    /** @type {(id: number | string, name: string) => Row} */
    function rowOf(id, name) {
        const known = rows.get(id);
        if (known !== undefined) {
            return known;
        }
        const row = page.createElement("li");
        const [title, state] = [page.createElement("span"), page.createElement("span")];
        [title.className, state.className] = ["name", "state"];
        title.textContent = name;
        const progress = page.createElement("progress");
        progress.setAttribute("aria-label", name);
        const button = page.createElement("button");
        button.type = "button";
        const made = { row, progress, state, button, over: false };
        button.addEventListener("click", () => {
            if (made.over) {
                drop(id);
            } else {
                send({ type: "fileCancel", id });
            }
        });
        row.append(title, progress, state, button);
        list.append(row);
        rows.set(id, made);
        const oldest = [...rows].find(([, { over }]) => over);
        if (rows.size > ROWS_MAX && oldest !== undefined) {
            drop(oldest[0]);
        }
        return made;
    }

    /** @param {number | string} id */
    function drop(id) {
        rows.get(id)?.row.remove();
        rows.delete(id);
    }

    /**
     * @param {number | string} id
     * @param {{name: string, size: number, sent: number, state: string, reason?: string}} file
     */
    function show(id, { name, size, sent, state, reason }) {
        const row = rowOf(id, name);
        row.over = OVER.has(state);
        row.row.className = state;
        // An empty file is there as soon as it is done.
        row.progress.max = Math.max(size, 1);
        row.progress.value = state === "done" ? row.progress.max : sent;
        const words = state === "sending" ? `${sizeText(sent)} of ${sizeText(size)}` : state;
        row.state.textContent = reason === undefined ? words : `${words}: ${reason}`;
        row.button.textContent = row.over ? "Remove" : "Cancel";
        row.button.setAttribute("aria-label", `${row.button.textContent} ${name}`);
    }

    /** @param {DragEvent} event */
    function onDrag(event) {
        if (event.dataTransfer?.types.includes("Files")) {
            event.preventDefault();
            event.dataTransfer.dropEffect = "copy";
            element.classList.add("dropping");
        }
    }

    /** @param {DragEvent} event */
    function onLeave(event) {
        // Going over what is in the element is not leaving it.
        if (!element.contains(/** @type {Node | null} */ (event.relatedTarget))) {
            element.classList.remove("dropping");
        }
    }

    /** @param {DragEvent} event */
    function onDrop(event) {
        element.classList.remove("dropping");
        const data = event.dataTransfer;
        if (data === null || !data.types.includes("Files")) {
            return;
        }
        event.preventDefault();
        for (const item of [...data.items].filter(({ kind }) => kind === "file")) {
            const entry = item.webkitGetAsEntry?.();
            const file = item.getAsFile();
            if (entry?.isDirectory) {
                const reason = "folders cannot be sent";
                show(`folder ${++folders}`, { name: entry.name, size: 0, sent: 0, state: "failed", reason });
            } else if (file !== null) {
                send({ type: "file", file });
            }
        }
    }

    function onChosen() {
        [...(chooser.files ?? [])].forEach((file) => send({ type: "file", file }));
        // So that the same file can be chosen once more.
        chooser.value = "";
    }

    const listening = new AbortController();
    const { signal } = listening;
    element.addEventListener("dragenter", onDrag, { signal });
    element.addEventListener("dragover", onDrag, { signal });
    element.addEventListener("dragleave", onLeave, { signal });
    element.addEventListener("drop", onDrop, { signal });
    chooser.addEventListener("change", onChosen, { signal });

    return {
        onMessage(message) {
            if (message.type === "files") {
                show(message.id, message);
            }
        },
        detach() {
            listening.abort();
            element.classList.remove("dropping");
            [...rows.keys()].forEach(drop);
            if (input === undefined) {
                chooser.remove();
            }
        },
    };
}

/**
 * A size for people.
 * @param {number} bytes
 * @returns {string}
 */
export function sizeText(bytes) {
    let [size, unit] = [bytes, 0];
    while (size >= 1024 && unit < UNITS.length - 1) {
        size /= 1024;
        unit++;
    }
    return `${unit > 0 && size < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
