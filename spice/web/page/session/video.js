// What WebCodecs want to be told about frames of video.

import { CODEC } from "../protocol/names.js";

/** Types of NAL units of H.264. */
const NAL_IDR = 5;
const NAL_SPS = 7;

/**
 * Whether a frame can be decoded without those before, and what the stream is, as WebCodecs name it.
 * @param {number} codec
 * @param {Uint8Array} data one frame: of H.264 an access unit with start codes
 * @returns {{key: boolean, format: string}} the format is empty for H.264 without its parameters
 */
export function frameInfo(codec, data) {
    if (codec === CODEC.VP8) {
        return { key: data.length > 0 && (data[0] & 1) === 0, format: "vp8" };
    }
    if (codec === CODEC.VP9) {
        return { key: vp9Key(data), format: "vp09.00.41.08" };
    }
    let key = false;
    let format = "";
    for (let at = 0; at + 3 < data.length; at++) {
        if (data[at] !== 0 || data[at + 1] !== 0 || data[at + 2] !== 1) {
            continue;
        }
        const type = data[at + 3] & 31;
        key ||= type === NAL_IDR;
        if (type === NAL_SPS && at + 6 < data.length) {
            const hex = (/** @type {number} */ byte) => byte.toString(16).padStart(2, "0").toUpperCase();
            format = `avc1.${hex(data[at + 4])}${hex(data[at + 5])}${hex(data[at + 6])}`;
        }
        if (type === NAL_IDR || type === 1) {
            // Pictures come last; there is nothing to be found in their data.
            break;
        }
        at += 3;
    }
    return { key, format };
}

/**
 * The begin of the uncompressed header of VP9: marker 2 bits, profile 2 bits, show_existing_frame, frame_type.
 * @param {Uint8Array} data
 */
function vp9Key(data) {
    if (data.length === 0 || data[0] >> 6 !== 2) {
        return false;
    }
    const profile = ((data[0] >> 5) & 1) | ((data[0] >> 3) & 2);
    // Profile 3 has one more bit before.
    const shift = profile === 3 ? 2 : 3;
    const showsExisting = (data[0] >> shift) & 1;
    const isInter = (data[0] >> (shift - 1)) & 1;
    return showsExisting === 0 && isInter === 0;
}
