//! The runtime that serves SPICE and control clients.

use std::{io, sync::mpsc, thread};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Threads that serve clients.
const SERVER_THREADS: usize = 2;
/// Stack of each, and of those that do what may block.
const STACK_BYTES: usize = 2 << 20;

/// Starts the runtime.
pub(crate) fn start() -> anyhow::Result<Runtime> {
    // The runtime panics when it gets no thread, and hangs because of it: so one that may block is asked for as well.
    check_threads(SERVER_THREADS + 1)
        .and_then(|()| {
            Builder::new_multi_thread()
                .worker_threads(SERVER_THREADS)
                .thread_name("server")
                .thread_stack_size(STACK_BYTES)
                .enable_io()
                .enable_time()
                .build()
        })
        .context("cannot start the server threads")
}

/// Whether the host gives so many threads at once.
fn check_threads(count: usize) -> io::Result<()> {
    // Each waits until its sender is dropped, so that all of them are there at the same time.
    let started: io::Result<Vec<_>> = (0..count)
        .map(|_| {
            let (hold, held) = mpsc::channel::<()>();
            let thread = thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn(move || held.recv().ok())?;
            Ok((hold, thread))
        })
        .collect();
    for (hold, thread) in started? {
        drop(hold);
        // It cannot have panicked.
        thread.join().ok();
    }
    Ok(())
}
