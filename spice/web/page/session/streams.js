// Streams of video on a display channel.

import { CLIENT_DISPLAY, CODEC, CODEC_NAMES, DISPLAY } from "../protocol/names.js";
import { Malformed } from "../protocol/reader.js";
import {
    peekStream,
    readActivateReport,
    readStreamClip,
    readStreamCreate,
    readStreamData,
    readStreamDestroy,
    streamReport,
} from "../protocol/display.js";
import { frameInfo } from "./video.js";

/** @typedef {import("./channel.js").Channel} Channel */
/** @typedef {import("./platform.js").Frame} Frame */
/** @typedef {import("../protocol/display.js").Rect} Rect */

/** What says in a report that a stream cannot be decoded. */
const CANNOT = 0xffffffff;
/** Frames that wait behind one that is passed over. Two may have come together; of more, nobody would see all. */
const OVERTAKEN = 3;
/** Drops in a row after which a report goes out at once. */
const DROPS_IN_A_ROW = 3;

/**
 * What is counted for reports.
 * @typedef {object} Report
 * @property {number} unique
 * @property {number} most frames between two reports
 * @property {number} milliseconds most time between two reports
 * @property {number} begun when this one did, in ms
 * @property {number} start media time of its first frame
 * @property {number} frames
 * @property {number} drops
 * @property {number} inRow drops since a frame was shown
 */

/**
 * @typedef {object} Stream
 * @property {import("../protocol/display.js").StreamCreate} spec
 * @property {Rect[] | null} clip as it is now
 * @property {Report | null} report
 * @property {import("./platform.js").VideoPlayer | null} player of codecs other than MJPEG
 * @property {boolean} started whether the player has had a frame that needs none before
 * @property {string} format of the video, as WebCodecs name it
 * @property {Rect} dest where the newest frame goes
 * @property {boolean} refused the server has been told that nothing can be shown
 */

/**
 * @typedef {object} StreamsOwner
 * @property {import("./platform.js").Platform} platform
 * @property {import("./platform.js").CanvasLike} canvas
 * @property {() => number} mediaTime as it is now, in ms
 * @property {() => void} drawn there is something new on a surface
 * @property {(codec: string, shown: boolean) => void} frame one has come; whether it was shown
 */

export class Streams {
    /** @param {StreamsOwner} owner */
    constructor(owner) {
        this.owner = owner;
        /** @type {Map<number, Stream>} */
        this.streams = new Map();
    }

    /**
     * @param {number} type STREAM_CREATE to STREAM_DESTROY_ALL, STREAM_DATA_SIZED or STREAM_ACTIVATE_REPORT
     * @param {Uint8Array} body
     * @param {Channel} channel
     * @returns {void | Promise<void>}
     */
    message(type, body, channel) {
        switch (type) {
            case DISPLAY.STREAM_CREATE:
                this.create(body);
                return undefined;
            case DISPLAY.STREAM_DATA:
            case DISPLAY.STREAM_DATA_SIZED:
                return this.data(body, type === DISPLAY.STREAM_DATA_SIZED, channel);
            case DISPLAY.STREAM_CLIP: {
                const { id, clip } = readStreamClip(body);
                const stream = this.streams.get(id);
                if (stream !== undefined) {
                    stream.clip = clip;
                }
                return undefined;
            }
            case DISPLAY.STREAM_DESTROY:
                this.destroy(readStreamDestroy(body));
                return undefined;
            case DISPLAY.STREAM_DESTROY_ALL:
                this.clear();
                return undefined;
            default:
                this.activateReport(body, channel);
                return undefined;
        }
    }

    /** @param {Uint8Array} body */
    create(body) {
        const spec = readStreamCreate(body);
        if (this.streams.has(spec.id)) {
            throw new Malformed(`stream id ${spec.id} is in use`);
        }
        /** @type {Stream} */
        const stream = {
            spec,
            clip: spec.clip,
            report: null,
            player: null,
            started: false,
            format: "",
            dest: spec.dest,
            refused: false,
        };
        this.streams.set(spec.id, stream);
    }

    /** @param {number} id */
    destroy(id) {
        this.streams.get(id)?.player?.close();
        this.streams.delete(id);
    }

    /** Ends all streams. */
    clear() {
        [...this.streams.keys()].forEach((id) => this.destroy(id));
    }

    /**
     * Ends the streams on a surface.
     * @param {number} surface
     */
    clearSurface(surface) {
        const there = [...this.streams.values()].filter(({ spec }) => spec.surface === surface);
        there.forEach(({ spec }) => this.destroy(spec.id));
    }

    /**
     * @param {Uint8Array} body
     * @param {Channel} channel
     */
    activateReport(body, channel) {
        const { id, unique, frames, milliseconds } = readActivateReport(body);
        const stream = this.streams.get(id);
        if (stream === undefined) {
            refuse(channel, id, unique);
        } else {
            const report = { unique, most: frames, milliseconds, begun: 0, start: 0, frames: 0, drops: 0, inRow: 0 };
            stream.report = report;
            // The player may have failed before the server asked.
            if (stream.refused) {
                refuse(channel, id, unique);
            }
        }
    }

    /**
     * @param {Uint8Array} body
     * @param {boolean} sized
     * @param {Channel} channel
     * @returns {void | Promise<void>}
     */
    data(body, sized, channel) {
        const { id, time, dest, data } = readStreamData(body, sized);
        const stream = this.streams.get(id);
        // Without a surface there is nothing to be drawn on: the server ends such a stream.
        if (stream === undefined || stream.refused) {
            return undefined;
        }
        const { codec } = stream.spec;
        const place = dest ?? stream.spec.dest;
        if (codec !== CODEC.MJPEG) {
            const queued = this.play(stream, data, place, channel);
            this.count(stream, time, true, channel);
            return queued;
        }
        // Those that are here already are too many to be shown as they come.
        if (isOvertaken(id, sized, channel.waiting())) {
            this.count(stream, time, false, channel);
            return undefined;
        }
        return this.owner.platform.decodeFrame(data).then(
            (frame) => {
                // Everything after this message waits, but the end of the connection does not.
                if (this.streams.get(id) === stream) {
                    this.show(stream, frame, place);
                    this.count(stream, time, true, channel);
                } else {
                    frame.close();
                }
            },
            () => {
                // What cannot be decoded leaves what was there.
                if (this.streams.get(id) === stream) {
                    this.count(stream, time, false, channel);
                }
            },
        );
    }

    /**
     * @param {Stream} stream
     * @param {Frame} frame
     * @param {Rect} dest
     */
    show(stream, frame, dest) {
        const { surface, topDown } = stream.spec;
        this.owner.canvas.drawFrame(surface, frame, dest, stream.clip, { topDown });
        this.owner.drawn();
    }

    /**
     * Gives a frame to the player, which shows it when it is decoded.
     * @param {Stream} stream
     * @param {Uint8Array} data
     * @param {Rect} dest
     * @param {Channel} channel
     * @returns {void | Promise<void>} as of `decode`
     */
    play(stream, data, dest, channel) {
        const { platform } = this.owner;
        const { codec, id } = stream.spec;
        const fail = () => {
            if (this.streams.get(id) === stream && !stream.refused) {
                stream.refused = true;
                stream.player?.close();
                stream.player = null;
                refuse(channel, id, stream.report?.unique ?? 0);
            }
        };
        if (!platform.videoCodecs.includes(codec)) {
            fail();
            return undefined;
        }
        const { key, format } = frameInfo(codec, data);
        stream.format = format || stream.format;
        if (!stream.started && !(key && stream.format)) {
            return undefined;
        }
        stream.started = true;
        stream.player ??= platform.video((frame) => {
            if (this.streams.get(id) !== stream) {
                frame.close();
                return;
            }
            try {
                this.show(stream, frame, stream.dest);
            } catch (error) {
                channel.fail(error);
            }
        }, fail);
        stream.dest = dest;
        return stream.player.decode(data, key, stream.format);
    }

    /**
     * Counts a frame, and reports when it is time.
     * @param {Stream} stream
     * @param {number} time of the frame
     * @param {boolean} shown
     * @param {Channel} channel
     */
    count(stream, time, shown, channel) {
        const { platform } = this.owner;
        this.owner.frame(CODEC_NAMES[stream.spec.codec] ?? "", shown);
        const { report } = stream;
        if (report === null) {
            return;
        }
        const now = platform.now();
        if (report.frames === 0) {
            report.begun = now;
            report.start = time;
        }
        report.frames++;
        report.inRow = shown ? 0 : report.inRow + 1;
        report.drops += shown ? 0 : 1;
        const due = report.frames >= report.most || now - report.begun >= report.milliseconds;
        if (due || report.inRow >= DROPS_IN_A_ROW) {
            const body = streamReport({
                id: stream.spec.id,
                unique: report.unique,
                start: report.start,
                end: time,
                frames: report.frames,
                drops: report.drops,
                // Media times wrap.
                delay: (time - this.owner.mediaTime()) | 0,
            });
            channel.send(CLIENT_DISPLAY.STREAM_REPORT, body);
            Object.assign(report, { frames: 0, drops: 0, inRow: 0 });
        }
    }
}

/**
 * Whether too many later frames of a stream are among messages.
 * @param {number} id of the stream
 * @param {boolean} sized whether frames say where they go: only one that says so as well replaces another
 * @param {import("../protocol/framing.js").Frame[]} frames
 */
function isOvertaken(id, sized, frames) {
    let later = 0;
    for (const { type, body } of frames) {
        if (type === DISPLAY.STREAM_DESTROY || type === DISPLAY.STREAM_DESTROY_ALL) {
            return false;
        }
        if (type === (sized ? DISPLAY.STREAM_DATA_SIZED : DISPLAY.STREAM_DATA) && peekStream(body) === id) {
            later++;
            if (later === OVERTAKEN) {
                return true;
            }
        }
    }
    return false;
}

/**
 * Says that a stream cannot be shown.
 * @param {Channel} channel
 * @param {number} id
 * @param {number} unique
 */
function refuse(channel, id, unique) {
    const body = streamReport({ id, unique, start: 0, end: 0, frames: 0, drops: CANNOT, delay: 0 });
    channel.send(CLIENT_DISPLAY.STREAM_REPORT, body);
}
