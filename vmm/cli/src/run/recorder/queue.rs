//! Bytes on their way to the file.

use std::{
    collections::VecDeque,
    io::Write,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Bytes that may wait to be written; the state a recording begins with comes on top.
const LIMIT: usize = 64 << 20;

/// A bounded queue between the display thread and the one that writes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    /// Bytes that wait, or are being written.
    pending: usize,
    limit: usize,
    /// Nothing more is taken.
    closed: bool,
    written: u64,
    events: u64,
    error: Option<String>,
}

impl State {
    fn end_with(&mut self, error: String) {
        self.closed = true;
        if self.error.is_none() {
            tracing::warn!(error, "the recording of a display ended early");
            self.error = Some(error);
        }
    }
}

impl Queue {
    /// Takes what a recording begins with, whatever its size.
    pub(super) fn begin(&self, bytes: Vec<u8>, events: u64) {
        let mut state = self.lock();
        state.limit = LIMIT.saturating_add(bytes.len());
        state.events = events;
        state.pending = bytes.len();
        state.waiting.push_back(bytes);
        self.changed.notify_one();
    }

    /// Takes a record; false when the recording is over.
    pub(super) fn push(&self, bytes: Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let pending = state.pending.saturating_add(bytes.len());
        // One record alone may have any size.
        if state.pending > 0 && pending > state.limit {
            state.end_with(format!("the file cannot keep up: {} MiB wait for it", LIMIT >> 20));
            self.changed.notify_one();
            return false;
        }
        state.pending = pending;
        state.events += 1;
        state.waiting.push_back(bytes);
        self.changed.notify_one();
        true
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Ends the recording for a reason; what waits is still written.
    pub(super) fn fail(&self, error: String) {
        self.lock().end_with(error);
        self.changed.notify_one();
    }

    /// Why the recording ended early.
    pub(super) fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    /// Bytes written, events taken, and the error.
    pub(super) fn figures(&self) -> (u64, u64, Option<String>) {
        let state = self.lock();
        (state.written, state.events, state.error.clone())
    }

    /// Writes what comes until nothing more does.
    pub(super) fn write_to(&self, mut file: impl Write) {
        while let Some(bytes) = self.next() {
            let result = file.write_all(&bytes);
            let mut state = self.lock();
            state.pending = state.pending.saturating_sub(bytes.len());
            match result {
                Ok(()) => state.written += bytes.len() as u64,
                Err(error) => {
                    state.end_with(error.to_string());
                    state.waiting.clear();
                    state.pending = 0;
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if let Some(bytes) = state.waiting.pop_front() {
                return Some(bytes);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
