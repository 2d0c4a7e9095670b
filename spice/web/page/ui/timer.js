// A timer in the form in which tests can have their own.

/**
 * Calls once, later.
 * @param {() => void} run
 * @param {number} milliseconds
 * @returns {() => void} what stops it
 */
export function timer(run, milliseconds) {
    const id = setTimeout(run, milliseconds);
    return () => clearTimeout(id);
}
