// What a session needs of where it runs. The worker gives it what browsers have, tests give it what Node has.

/**
 * A connection that is made or being made. What is sent before it stands goes out when it does.
 * @typedef {object} Socket
 * @property {(bytes: Uint8Array) => void} send
 * @property {((bytes: Uint8Array) => void) | null} onbytes called with what has come, which is not changed any more
 * @property {((reason: string) => void) | null} onclose called once, and not after close()
 * @property {() => void} close
 */

/**
 * A decoder of video.
 * @typedef {object} VideoPlayer
 * @property {(data: Uint8Array, key: boolean, format: string) => void | Promise<void>} decode one frame; `format` as
 *     WebCodecs name it. A promise when others wait to be decoded: it ends when there is room for one more
 * @property {() => void} close
 */

/** @typedef {{decode: (packet: Uint8Array) => void, close: () => void}} OpusPlayer */
/** @typedef {(channels: number, rate: number, onsamples: (samples: Int16Array) => void) => OpusPlayer} OpusMaker */

/** @typedef {{left: number, top: number, right: number, bottom: number}} Rect */
/** @typedef {import("../canvas/canvas.js").Surface} Surface */
/** @typedef {import("../canvas/canvas.js").Frame} Frame */

/**
 * Draws a frame of video, scaled to a rectangle, and closes it when it is not needed any more.
 * @callback DrawFrame
 * @param {number} id of the surface
 * @param {Frame} frame
 * @param {Rect} dest
 * @param {Rect[] | null} clip null: none
 * @param {{topDown: boolean}} options
 * @returns {void}
 */

/**
 * Surfaces of a display channel, and what draws on them.
 * @typedef {object} CanvasLike
 * @property {(spec: {id: number, width: number, height: number, format: number, flags: number}) => void} createSurface
 * @property {(id: number) => void} destroySurface
 * @property {(id: number) => Surface} surface throws when there is none
 * @property {(id: number) => Surface} settled the same with all its pixels as they are to be seen
 * @property {(id: number) => Rect | null} takeDamage
 * @property {(type: number, body: Uint8Array) => void | Promise<void>} draw
 * @property {DrawFrame} drawFrame
 * @property {() => void} reset ends all surfaces
 */

/**
 * Images that the session keeps, for all its displays.
 * @typedef {object} Caches
 * @property {(id: bigint) => void} invalidate
 * @property {() => void} invalidateAll
 * @property {() => bigint[]} ids of all images
 * @property {() => void} restartGlz the dictionary begins anew, as that of the server does
 */

/**
 * Palettes that a display channel keeps.
 * @typedef {object} Palettes
 * @property {(id: bigint) => void} invalidate
 * @property {() => void} invalidateAll
 */

/**
 * Images and canvases.
 * @typedef {object} Graphics
 * @property {() => Caches} caches for a new session
 * @property {(caches: Caches) => {canvas: CanvasLike, palettes: Palettes}} display for a display channel
 */

/**
 * @typedef {object} Platform
 * @property {(url: string) => Socket} connect
 * @property {(message: any, transfer?: Transferable[]) => void} post to the main thread
 * @property {() => number} now in ms
 * @property {(milliseconds: number, run: () => void) => () => void} later runs something once; what it returns stops
 *     that
 * @property {(run: () => void) => void} frame runs something when the next picture is due
 * @property {(count: number) => Uint8Array} random bytes
 * @property {Graphics} graphics
 * @property {(display: number, surface: Surface, head: Rect, damage: Rect) => boolean} present puts a part of a surface
 *     on the screen of a display, whose `head` of the surface it shows; whether there is such a screen
 * @property {(bytes: Uint8Array) => Promise<{width: number, height: number, pixels: Uint32Array}>} decodeJpeg
 * @property {(bytes: Uint8Array) => Promise<Frame>} decodeFrame of MJPEG
 * @property {number[]} videoCodecs numbers of codecs, without MJPEG, that `video` plays
 * @property {(onframe: (frame: Frame) => void, onerror: (error: unknown) => void) => VideoPlayer} video
 * @property {OpusMaker | null} opus null: there is no decoder
 */

export {};
