//! What holds up the messages of a channel, and for how long it may.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_protocol::ack::AckWindow;
use tokio::{sync::Notify, time::Instant};

use crate::ServeError;

/// A client that acknowledges nothing and answers nothing for so long, while something waits for it, is gone: the
/// reference's figure.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The same for one that takes no byte. Kernels tell of what a slow reader has taken in steps of up to 64 KiB, which take
/// one of 1 kB/s a minute.
const BYTES_DEADLINE: Duration = Duration::from_secs(120);

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);

/// What a channel waits for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    what: &'static str,
    since: Instant,
    deadline: Duration,
}

/// The acknowledgement window, shared by the two directions of a channel, and what the channel waits for.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    ack: Mutex<AckWindow>,
    changed: Notify,
    waiting: Mutex<Option<Waiting>>,
}

impl Flow {
    pub(crate) fn ack(&self) -> MutexGuard<'_, AckWindow> {
        lock(&self.ack)
    }

    pub(crate) fn on_ack(&self) {
        self.ack().on_ack();
        self.on_progress();
        self.changed.notify_one();
    }

    pub(crate) fn on_ack_sync(&self, generation: u32) {
        self.ack().on_ack_sync(generation);
        self.changed.notify_one();
    }

    /// Waits until the window has room.
    pub(crate) async fn ready(&self) {
        let mut waits = None;
        loop {
            let changed = self.changed.notified();
            if self.ack().can_send() {
                return;
            }
            waits.get_or_insert_with(|| self.waits("acknowledge messages", ANSWER_DEADLINE));
            changed.await;
        }
    }

    /// The client did something that was waited for.
    pub(crate) fn on_progress(&self) {
        if let Some(waiting) = lock(&self.waiting).as_mut() {
            waiting.since = Instant::now();
        }
    }

    /// The client has to take bytes while this lives.
    pub(crate) fn waits_for_bytes(&self) -> Waits<'_> {
        self.waits("take what was sent", BYTES_DEADLINE)
    }

    /// The client has to answer a ping while this lives.
    pub(crate) fn waits_for_pong(&self) -> Waits<'_> {
        self.waits("answer a ping", ANSWER_DEADLINE)
    }

    fn waits(&self, what: &'static str, deadline: Duration) -> Waits<'_> {
        let since = Instant::now();
        *lock(&self.waiting) = Some(Waiting { what, since, deadline });
        Waits(self)
    }

    /// Ends when the client has not done in time what it had to.
    pub(crate) async fn stalls(self: Arc<Self>) -> ServeError {
        loop {
            tokio::time::sleep(LOOK).await;
            let waiting = *lock(&self.waiting);
            if let Some(Waiting { what, since, deadline }) = waiting
                && since.elapsed() > deadline
            {
                return ServeError::Timeout {
                    what,
                    seconds: deadline.as_secs(),
                };
            }
        }
    }
}

/// A channel waits for its client while this lives.
pub(crate) struct Waits<'a>(&'a Flow);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        *lock(&self.0.waiting) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
