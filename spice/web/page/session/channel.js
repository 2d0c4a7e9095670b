// One channel: its link, its messages in order, and what is the same on all channels.

import { Incoming, framed, nextFrame, subMessages } from "../protocol/framing.js";
import { LINK_HEADER_BYTES, LinkError, linkMessage, parseReply, replySize } from "../protocol/link.js";
import { CHANNEL, CLIENT_COMMON, COMMON, COMMON_CAP, LINK, capWords, hasCap, linkReason } from "../protocol/names.js";
import { Malformed, Reader, Writer, shortText } from "../protocol/reader.js";
import { encryptTicket } from "../protocol/ticket.js";

/** @typedef {import("../protocol/framing.js").Frame} Frame */

/** What this client says of itself on every channel. */
const COMMON_WORDS = capWords([COMMON_CAP.AUTH_SELECTION, COMMON_CAP.AUTH_SPICE, COMMON_CAP.MINI_HEADER]);

/** Most bytes of messages that have come and wait: a server that heeds acknowledgements has far fewer. */
const WAITING_MAX = 512 << 20;
/** Most bytes of what the server has to say that are shown. */
const NOTICE_BYTES = 1000;
/** What a message that waits needs beside its body. */
const QUEUED_BYTES = 128;

/** How the server may end a channel without there being something wrong with what it says. */
export class Closed extends Error {
    /** @param {string} reason */
    constructor(reason) {
        super(reason);
        this.name = "Closed";
    }
}

/** The server says that it disconnects. */
export class Disconnected extends LinkError {}

/**
 * What a channel is told and asks of the session.
 * @typedef {object} Owner
 * @property {import("./platform.js").Platform} platform
 * @property {string} url
 * @property {string} ticket
 * @property {number} session the id to link with; 0: a new session
 * @property {(channel: Channel, error: Error) => void} broken called once, when the channel ends by itself
 * @property {(waits: {type: number, id: number, serial: bigint}[]) => void | Promise<void>} waitFor
 *     resolves when other channels have come so far
 * @property {() => void} progressed a message has been processed
 * @property {(bytes: number) => void} received so many bytes
 * @property {(milliseconds: number) => void} measured a round trip
 * @property {(text: string, severity: number) => void} notify
 */

/**
 * What a kind of channel does with its messages.
 * @typedef {object} Handler
 * @property {number} type of the channel
 * @property {number} id of the channel
 * @property {number[]} caps as words
 * @property {number} most bytes of a message
 * @property {(channel: Channel) => void} linked the link stands; messages may be sent
 * @property {(type: number, body: Uint8Array, channel: Channel) => void | Promise<void>} message those of all channels
 *     are not among them, nor unknown ones an error
 */

/** How long a server may take to answer a link, and, on the main channel, until INIT; in ms. */
const ANSWER_MAX = 10_000;

/** A connection with the server for one channel. */
export class Channel {
    /**
     * Begins to link.
     * @param {Owner} owner
     * @param {Handler} handler
     */
    constructor(owner, handler) {
        this.owner = owner;
        this.handler = handler;
        this.incoming = new Incoming();
        /** @type {Frame[]} those that have come whole and wait */
        this.queue = [];
        /** @type {number[]} the server's capabilities for this channel, in words */
        this.serverCaps = [];
        this.mini = false;
        this.linked = false;
        this.ended = false;
        /** Whether a message is being processed that takes its time. */
        this.busy = false;
        /** The serial of the last message that was processed. */
        this.processed = 0n;
        this.sent = 0n;
        this.window = 0;
        this.unacknowledged = 0;
        /** Index in the queue of the first message that has not begun. */
        this.rest = 0;
        this.waitingBytes = 0;
        /** @type {() => void} what comes next in the link stage */
        this.step = () => this.linkHeader();
        this.asked = owner.platform.now();
        /** Stops what ends it. */
        this.answered = owner.platform.later(ANSWER_MAX, () => this.fail(new Closed("the server does not answer")));
        this.socket = owner.platform.connect(owner.url);
        this.socket.onbytes = (bytes) => this.receive(bytes);
        this.socket.onclose = (reason) => this.fail(new Closed(reason));
        const { type, id, caps } = handler;
        this.socket.send(linkMessage({ session: owner.session, type, id, common: COMMON_WORDS, channel: caps }));
    }

    /** @param {number} bit of the capability */
    serverHas(bit) {
        return hasCap(this.serverCaps, bit);
    }

    /**
     * Ends the channel from here; nobody is told.
     */
    close() {
        if (!this.ended) {
            this.ended = true;
            this.answered();
            this.queue = [];
            this.socket.onbytes = null;
            this.socket.onclose = null;
            this.socket.close();
        }
    }

    /** @param {unknown} error why the channel ends */
    fail(error) {
        if (!this.ended) {
            this.close();
            this.owner.broken(this, error instanceof Error ? error : new Error(String(error)));
        }
    }

    /** @param {Uint8Array} bytes */
    receive(bytes) {
        if (this.ended) {
            return;
        }
        this.owner.received(bytes.length);
        this.incoming.push(bytes);
        try {
            while (!this.linked) {
                const before = this.step;
                this.step();
                if (this.step === before || this.ended) {
                    return;
                }
            }
            this.frames();
        } catch (error) {
            this.fail(error);
            return;
        }
        this.pump();
    }

    linkHeader() {
        const header = this.incoming.take(LINK_HEADER_BYTES);
        if (header !== null) {
            const size = replySize(header);
            this.step = () => this.linkReply(size);
        }
    }

    /** @param {number} size */
    linkReply(size) {
        const body = this.incoming.take(size);
        if (body === null) {
            return;
        }
        const reply = parseReply(body);
        this.serverCaps = reply.channel;
        this.mini = hasCap(reply.common, COMMON_CAP.MINI_HEADER);
        const out = new Writer();
        if (hasCap(reply.common, COMMON_CAP.AUTH_SELECTION)) {
            if (hasCap(reply.common, COMMON_CAP.AUTH_SASL) && !hasCap(reply.common, COMMON_CAP.AUTH_SPICE)) {
                throw new LinkError(
                    LINK.ERROR,
                    "the server wants the name and password of a user (SASL), which this page has no way to say",
                );
            }
            out.u32(COMMON_CAP.AUTH_SPICE);
        }
        out.bytes(encryptTicket(reply.key, this.owner.ticket, this.owner.platform.random));
        this.asked = this.owner.platform.now();
        this.socket.send(out.finish());
        this.step = () => this.linkResult();
    }

    linkResult() {
        const result = this.incoming.take(4);
        if (result === null) {
            return;
        }
        const code = new Reader(result).u32();
        if (code !== LINK.OK) {
            throw new LinkError(code, linkReason(code));
        }
        this.owner.measured(this.owner.platform.now() - this.asked);
        this.linked = true;
        if (this.handler.type !== CHANNEL.MAIN) {
            this.answered();
        }
        this.step = () => {};
        this.handler.linked(this);
    }

    /** Takes what has come apart into messages. */
    frames() {
        while (!this.ended) {
            const frame = nextFrame(this.incoming, this.mini, this.handler.most);
            if (frame === null) {
                return;
            }
            this.queue.push(frame);
            this.waitingBytes += QUEUED_BYTES + frame.body.length;
            if (this.waitingBytes > WAITING_MAX) {
                throw new Malformed(`${this.queue.length} messages wait: the server does not`);
            }
        }
    }

    /** Processes messages in order, up to one that takes its time. */
    pump() {
        try {
            let at = 0;
            while (!this.busy && !this.ended && at < this.queue.length) {
                const frame = this.queue[at++];
                this.rest = at;
                this.waitingBytes -= QUEUED_BYTES + frame.body.length;
                const waits = this.process(frame);
                if (waits instanceof Promise) {
                    this.busy = true;
                    waits.then(
                        () => {
                            this.busy = false;
                            this.done(frame);
                            this.pump();
                        },
                        (error) => {
                            this.busy = false;
                            this.fail(error);
                        },
                    );
                } else {
                    this.done(frame);
                }
            }
            this.queue.splice(0, at);
            this.rest = 0;
        } catch (error) {
            this.fail(error);
        }
    }

    /**
     * The messages that wait behind the one that is being processed, at most 64 of them.
     * @returns {Frame[]}
     */
    waiting() {
        return this.queue.slice(this.rest, this.rest + 64);
    }

    /** @param {Frame} frame that has been processed */
    done(frame) {
        if (this.ended) {
            return;
        }
        this.processed = frame.serial ?? this.processed + 1n;
        if (frame.type !== COMMON.SET_ACK && this.window > 0 && ++this.unacknowledged >= this.window) {
            this.unacknowledged = 0;
            this.send(CLIENT_COMMON.ACK);
        }
        this.owner.progressed();
    }

    /**
     * @param {Frame} frame
     * @returns {void | Promise<void>}
     */
    process(frame) {
        if (frame.subList === 0) {
            return this.handle(frame);
        }
        return this.inOrder([...subMessages(frame.body, frame.subList), frame]);
    }

    /**
     * @param {Frame[]} frames
     * @returns {void | Promise<void>}
     */
    inOrder(frames) {
        for (let at = 0; at < frames.length; at++) {
            const waits = this.handle(frames[at]);
            if (waits instanceof Promise) {
                return waits.then(() => this.inOrder(frames.slice(at + 1)));
            }
        }
        return undefined;
    }

    /**
     * @param {Frame} frame
     * @returns {void | Promise<void>}
     */
    handle({ type, body }) {
        if (this.ended) {
            return undefined;
        }
        switch (type) {
            case COMMON.SET_ACK:
                return this.setAck(new Reader(body));
            case COMMON.PING:
                return this.send(CLIENT_COMMON.PONG, new Reader(body).take(12));
            case COMMON.WAIT_FOR_CHANNELS:
                return this.wait(body);
            case COMMON.DISCONNECTING: {
                const reader = new Reader(body);
                reader.skip(8);
                const code = reader.u32();
                throw new Disconnected(code, code === LINK.OK ? "the server has ended the session" : linkReason(code));
            }
            case COMMON.NOTIFY:
                return this.notify(new Reader(body));
            case COMMON.LIST: {
                const parts = subMessages(body, 0);
                if (parts.some((part) => part.type === COMMON.LIST)) {
                    throw new Malformed("LIST: there is a LIST in it");
                }
                return this.inOrder(parts);
            }
            default:
                return this.handler.message(type, body, this);
        }
    }

    /** @param {Reader} reader */
    setAck(reader) {
        const generation = reader.u32();
        this.window = reader.u32();
        this.unacknowledged = 0;
        const out = new Writer();
        out.u32(generation);
        this.send(CLIENT_COMMON.ACK_SYNC, out.finish());
    }

    /**
     * Waits for the channels in a wait list.
     * @param {Uint8Array} body of WAIT_FOR_CHANNELS or INVAL_ALL_PIXMAPS
     * @returns {void | Promise<void>}
     */
    wait(body) {
        const reader = new Reader(body);
        const count = reader.u8();
        const waits = Array.from({ length: count }, () => ({
            type: reader.u8(),
            id: reader.u8(),
            serial: reader.u64(),
        }));
        const own = waits.find(({ type, id }) => type === this.handler.type && id === this.handler.id);
        if (own !== undefined && own.serial > this.processed) {
            throw new Malformed(`wait list: message ${own.serial} of this channel itself, which has not come`);
        }
        return this.owner.waitFor(waits);
    }

    /** @param {Reader} reader */
    notify(reader) {
        reader.skip(8);
        const severity = reader.u32();
        reader.skip(8);
        const bytes = reader.take(reader.u32());
        this.owner.notify(shortText(bytes, NOTICE_BYTES), severity);
    }

    /**
     * @param {number} type
     * @param {Uint8Array} [body]
     */
    send(type, body = new Uint8Array(0)) {
        if (!this.ended) {
            this.sent += 1n;
            this.socket.send(framed(type, body, this.mini, this.sent));
        }
    }
}
