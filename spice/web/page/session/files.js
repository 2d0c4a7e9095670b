// Files on their way to the guest: several at a time, in blocks that take turns.

import { FILE_STATUS, fileCancel, fileData, fileStart } from "../protocol/agent.js";

/** Bytes of a block; agents take no more at a time. */
const BLOCK_BYTES = 65536;
/** Most files on their way. Others wait. */
const ACTIVE_MAX = 8;

const TAKES_NONE = "the guest takes no files";
/** @type {Map<number, string>} why a file does not arrive, by the agent's status */
const FAILURES = new Map([
    [FILE_STATUS.CANCELLED, "cancelled by the guest"],
    [FILE_STATUS.ERROR, "the guest could not write it"],
    [FILE_STATUS.NOT_ENOUGH_SPACE, "the guest has not enough space for it"],
    [FILE_STATUS.SESSION_LOCKED, "the guest's session is locked"],
    [FILE_STATUS.AGENT_NOT_CONNECTED, "nobody is logged in in the guest"],
    [FILE_STATUS.DISABLED, TAKES_NONE],
]);

/**
 * A file as browsers have it.
 * @typedef {object} FileLike
 * @property {string} name
 * @property {number} size
 * @property {(begin: number, end: number) => {arrayBuffer(): Promise<ArrayBuffer>}} slice
 */

/**
 * @typedef {object} Transfer
 * @property {number} id
 * @property {FileLike} file
 * @property {number} sent bytes
 * @property {"waiting" | "asked" | "sending" | "reading" | "sent"} state
 */

/** The files of a session. */
export class Files {
    /**
     * @param {{post: (message: any) => void, wake: () => void}} owner wake: there is something to send
     */
    constructor(owner) {
        this.owner = owner;
        /** @type {Map<number, Transfer>} in the order of their turns */
        this.transfers = new Map();
        /** Of the next one; of a session when it has more than one of these. */
        this.numbers = { next: 1 };
        /** @type {Uint8Array[]} messages that are ready */
        this.ready = [];
    }

    /**
     * Begins to send a file.
     * @param {FileLike} file
     */
    add(file) {
        const id = this.numbers.next++;
        const transfer = { id, file, sent: 0, state: /** @type {const} */ ("waiting") };
        this.transfers.set(id, transfer);
        this.tell(transfer, "waiting");
        this.begin();
    }

    /** Asks the agent about files for which there is room. */
    begin() {
        let active = 0;
        for (const transfer of this.transfers.values()) {
            if (transfer.state !== "waiting") {
                active++;
            } else if (active < ACTIVE_MAX) {
                active++;
                transfer.state = "asked";
                this.ready.push(fileStart(transfer.id, transfer.file.name, transfer.file.size));
            }
        }
        this.owner.wake();
    }

    /** @param {number} id */
    cancel(id) {
        const transfer = this.transfers.get(id);
        if (transfer === undefined) {
            return;
        }
        if (transfer.state !== "waiting") {
            this.ready.push(fileCancel(id));
        }
        this.end(transfer, "cancelled");
    }

    /** No file arrives any more. */
    gone() {
        const lost = [...this.transfers.values()];
        this.transfers.clear();
        this.ready = [];
        lost.forEach((transfer) => this.tell(transfer, "failed", "the guest's agent has gone"));
    }

    /** @param {FileLike} file that the guest does not take */
    refuse(file) {
        const id = this.numbers.next++;
        this.tell({ id, file, sent: 0, state: "waiting" }, "failed", TAKES_NONE);
    }

    /**
     * What the agent says about a file.
     * @param {number} id
     * @param {number} status
     */
    status(id, status) {
        const transfer = this.transfers.get(id);
        if (transfer === undefined) {
            return;
        }
        if (status === FILE_STATUS.CAN_SEND_DATA) {
            if (transfer.state === "asked") {
                transfer.state = "sending";
                this.owner.wake();
            }
        } else if (status === FILE_STATUS.SUCCESS) {
            this.end(transfer, "done");
        } else {
            this.end(transfer, "failed", FAILURES.get(status) ?? `the guest answers ${status}`);
        }
    }

    /**
     * The next message about files. Nothing is read before it is asked for, so that no file is in memory whole.
     * @returns {Uint8Array | null}
     */
    take() {
        const message = this.ready.shift();
        if (message !== undefined) {
            return message;
        }
        for (const transfer of this.transfers.values()) {
            if (transfer.state === "sending") {
                // Others come first the next time.
                this.transfers.delete(transfer.id);
                this.transfers.set(transfer.id, transfer);
                this.read(transfer);
                break;
            }
        }
        return null;
    }

    /** @param {Transfer} transfer */
    read(transfer) {
        const { file, id } = transfer;
        transfer.state = "reading";
        const end = Math.min(transfer.sent + BLOCK_BYTES, file.size);
        file.slice(transfer.sent, end)
            .arrayBuffer()
            .then((buffer) => {
                if (this.transfers.get(id) !== transfer) {
                    return;
                }
                if (buffer.byteLength !== end - transfer.sent) {
                    throw new Error(`it has ${transfer.sent + buffer.byteLength} bytes, not ${file.size}`);
                }
                this.ready.push(fileData(id, new Uint8Array(buffer)));
                transfer.sent = end;
                transfer.state = end === file.size ? "sent" : "sending";
                this.tell(transfer, "sending");
                this.owner.wake();
            })
            .catch((error) => {
                if (this.transfers.get(id) === transfer) {
                    this.ready.push(fileCancel(id));
                    this.end(transfer, "failed", `it cannot be read: ${error.message}`);
                }
            });
    }

    /**
     * @param {Transfer} transfer
     * @param {string} state
     * @param {string} [reason]
     */
    end(transfer, state, reason) {
        this.transfers.delete(transfer.id);
        this.tell(transfer, state, reason);
        this.begin();
    }

    /**
     * @param {Transfer} transfer
     * @param {string} state
     * @param {string} [reason]
     */
    tell({ id, file, sent }, state, reason) {
        this.owner.post({ type: "files", id, name: file.name, size: file.size, sent, state, reason });
    }
}
