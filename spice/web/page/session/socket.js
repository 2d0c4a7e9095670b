// A channel's connection in a browser: a WebSocket with the subprotocol "binary".

/**
 * @param {string} url ws: or wss:
 * @returns {import("./platform.js").Socket}
 * @throws {Error} when the browser opens no such URL
 */
export function webSocket(url) {
    const web = new WebSocket(url, "binary");
    web.binaryType = "arraybuffer";
    /** @type {Uint8Array[]} what is sent when the connection stands */
    let early = [];
    let opened = false;
    /** @type {import("./platform.js").Socket} */
    const socket = {
        onbytes: null,
        onclose: null,
        send(bytes) {
            if (opened) {
                web.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
            } else {
                early.push(bytes);
            }
        },
        close: () => web.close(),
    };
    web.onopen = () => {
        opened = true;
        early.forEach((bytes) => web.send(/** @type {Uint8Array<ArrayBuffer>} */ (bytes)));
        early = [];
    };
    web.onmessage = ({ data }) => {
        if (data instanceof ArrayBuffer) {
            socket.onbytes?.(new Uint8Array(data));
        } else {
            web.close();
        }
    };
    web.onclose = ({ reason }) => {
        socket.onclose?.(reason || (opened ? "the connection has ended" : "the server cannot be reached"));
    };
    return socket;
}
