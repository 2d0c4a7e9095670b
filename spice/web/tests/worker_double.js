// Stands in for the worker where a test is about the page alone: keeps what the page says, and says what the test has
// it say. A test reaches `received` and `say` from outside.

/** @type {any} */
const scope = self;

/** @type {any[]} what the page has said; canvases are kept beside it */
scope.received = [];
/** @type {Map<number, OffscreenCanvas>} by the numbers of displays */
scope.canvases = new Map();

/** @param {any} message for the page */
scope.say = (message) => scope.postMessage(message);

scope.onmessage = (/** @type {MessageEvent<any>} */ { data }) => {
    if (data.type === "canvas") {
        scope.canvases.set(data.display, data.canvas);
        paint(data.canvas);
        scope.received.push({ type: "canvas", display: data.display });
    } else if (data.type === "file") {
        scope.received.push({ type: "file", name: data.file.name, size: data.file.size });
    } else {
        scope.received.push(data);
    }
};

/** @param {OffscreenCanvas} canvas */
function paint(canvas) {
    const context = canvas.getContext("2d");
    if (context !== null) {
        context.fillStyle = "#246";
        context.fillRect(0, 0, canvas.width, canvas.height);
    }
}
