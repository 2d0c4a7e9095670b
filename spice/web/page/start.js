// Has the worker loaded while the rest of the page still comes.

export const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });

/** @type {Promise<string>} what is wrong with it, which may be known before anybody listens */
export const failure = new Promise((resolve) => {
    worker.addEventListener("error", ({ message }) => resolve(message));
});
