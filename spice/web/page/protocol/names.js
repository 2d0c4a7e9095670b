// Numbers of the protocol: channels, capabilities, messages.

/** Channel types. */
export const CHANNEL = Object.freeze({ MAIN: 1, DISPLAY: 2, INPUTS: 3, CURSOR: 4, PLAYBACK: 5 });

/** Capabilities of every channel, as bits. */
export const COMMON_CAP = Object.freeze({ AUTH_SELECTION: 0, AUTH_SPICE: 1, AUTH_SASL: 2, MINI_HEADER: 3 });

/** Capabilities of the main channel. RESUME is Caraway's: sessions that were cut are resumed. */
export const MAIN_CAP = Object.freeze({ NAME_AND_UUID: 1, AGENT_CONNECTED_TOKENS: 2, RESUME: 32 });

/** Capabilities of a display channel. */
export const DISPLAY_CAP = Object.freeze({
    SIZED_STREAM: 0,
    MONITORS_CONFIG: 1,
    COMPOSITE: 2,
    A8_SURFACE: 3,
    STREAM_REPORT: 4,
    LZ4_COMPRESSION: 5,
    PREF_COMPRESSION: 6,
    MULTI_CODEC: 8,
    CODEC_MJPEG: 9,
    CODEC_VP8: 10,
    CODEC_H264: 11,
    CODEC_VP9: 13,
    RESUME: 32,
});

/** Capabilities of the playback channel. */
export const PLAYBACK_CAP = Object.freeze({ VOLUME: 1, OPUS: 3 });

/** Messages that servers send on every channel. */
export const COMMON = Object.freeze({
    SET_ACK: 3,
    PING: 4,
    WAIT_FOR_CHANNELS: 5,
    DISCONNECTING: 6,
    NOTIFY: 7,
    LIST: 8,
});

/** Messages that clients send on every channel. */
export const CLIENT_COMMON = Object.freeze({ ACK_SYNC: 1, ACK: 2, PONG: 3, DISCONNECTING: 6 });

/** The server's messages on the main channel. */
export const MAIN = Object.freeze({
    INIT: 103,
    CHANNELS_LIST: 104,
    MOUSE_MODE: 105,
    MULTI_MEDIA_TIME: 106,
    AGENT_CONNECTED: 107,
    AGENT_DISCONNECTED: 108,
    AGENT_DATA: 109,
    AGENT_TOKEN: 110,
    NAME: 113,
    UUID: 114,
    AGENT_CONNECTED_TOKENS: 115,
});

/** The client's messages on the main channel. */
export const CLIENT_MAIN = Object.freeze({
    ATTACH_CHANNELS: 104,
    MOUSE_MODE_REQUEST: 105,
    AGENT_START: 106,
    AGENT_DATA: 107,
});

/** The server's messages on a display channel. Those from DRAW_FIRST to DRAW_LAST, COMPOSITE and COPY_BITS draw. */
export const DISPLAY = Object.freeze({
    MODE: 101,
    MARK: 102,
    RESET: 103,
    COPY_BITS: 104,
    INVAL_LIST: 105,
    INVAL_ALL_PIXMAPS: 106,
    INVAL_PALETTE: 107,
    INVAL_ALL_PALETTES: 108,
    STREAM_CREATE: 122,
    STREAM_DATA: 123,
    STREAM_CLIP: 124,
    STREAM_DESTROY: 125,
    STREAM_DESTROY_ALL: 126,
    DRAW_FIRST: 302,
    DRAW_COPY: 304,
    DRAW_BLEND: 305,
    DRAW_LAST: 313,
    SURFACE_CREATE: 314,
    SURFACE_DESTROY: 315,
    STREAM_DATA_SIZED: 316,
    MONITORS_CONFIG: 317,
    COMPOSITE: 318,
    STREAM_ACTIVATE_REPORT: 319,
});

/** The client's messages on a display channel. */
export const CLIENT_DISPLAY = Object.freeze({ INIT: 101, STREAM_REPORT: 102, RESUME: 200 });

/** The server's messages on the inputs channel. */
export const INPUTS = Object.freeze({ INIT: 101, KEY_MODIFIERS: 102, MOUSE_MOTION_ACK: 111 });

/** The client's messages on the inputs channel. */
export const CLIENT_INPUTS = Object.freeze({
    KEY_DOWN: 101,
    KEY_UP: 102,
    KEY_MODIFIERS: 103,
    MOUSE_MOTION: 111,
    MOUSE_POSITION: 112,
    MOUSE_PRESS: 113,
    MOUSE_RELEASE: 114,
});

/** The server's messages on a cursor channel. */
export const CURSOR = Object.freeze({
    INIT: 101,
    RESET: 102,
    SET: 103,
    MOVE: 104,
    HIDE: 105,
    TRAIL: 106,
    INVAL_ONE: 107,
    INVAL_ALL: 108,
});

/** The server's messages on the playback channel. */
export const PLAYBACK = Object.freeze({ DATA: 101, MODE: 102, START: 103, STOP: 104, VOLUME: 105, MUTE: 106 });

/** Codecs of streams. */
export const CODEC = Object.freeze({ MJPEG: 1, VP8: 2, H264: 3, VP9: 4 });

/** Names of codecs of streams, for people. */
export const CODEC_NAMES = Object.freeze(["", "MJPEG", "VP8", "H.264", "VP9", "H.265"]);

/** Image types that say how an image is compressed, for people. */
export const IMAGE_NAMES = Object.freeze(
    new Map([
        [0, "bitmap"],
        [1, "QUIC"],
        [100, "LZ"],
        [101, "LZ"],
        [102, "GLZ"],
        [105, "JPEG"],
        [107, "GLZ+zlib"],
        [108, "JPEG"],
        [109, "LZ4"],
    ]),
);

/** Link error codes. */
export const LINK = Object.freeze({
    OK: 0,
    ERROR: 1,
    INVALID_MAGIC: 2,
    INVALID_DATA: 3,
    VERSION_MISMATCH: 4,
    NEED_SECURED: 5,
    NEED_UNSECURED: 6,
    PERMISSION_DENIED: 7,
    BAD_CONNECTION_ID: 8,
    CHANNEL_NOT_AVAILABLE: 9,
});

/** What each link error means to a person. */
const LINK_REASONS = Object.freeze([
    "the server has no complaint",
    "the server reports an error of its own",
    "the server does not take this for SPICE",
    "the server finds the link message invalid",
    "the server speaks another version of SPICE",
    "the server wants an encrypted connection (wss://)",
    "the server wants a connection without encryption (ws://)",
    "the password is wrong or has expired",
    "the session is not there any more",
    "the server has no such channel, or no room for another client",
]);

/**
 * @param {number} code link error
 * @returns {string} what it means, in words
 */
export function linkReason(code) {
    return LINK_REASONS[code] ?? `link error ${code}`;
}

/**
 * A set of capabilities in words.
 * @param {number[]} bits
 * @returns {number[]}
 */
export function capWords(bits) {
    /** @type {number[]} */
    const words = [];
    for (const bit of bits) {
        const word = bit >> 5;
        while (words.length <= word) {
            words.push(0);
        }
        words[word] = (words[word] | (1 << (bit & 31))) >>> 0;
    }
    return words;
}

/**
 * @param {number[]} words of a set of capabilities; missing words are zero
 * @param {number} bit
 * @returns {boolean} whether it is in the set
 */
export function hasCap(words, bit) {
    return (((words[bit >> 5] ?? 0) >>> (bit & 31)) & 1) === 1;
}
