//! What ports ask the worker for, and how those who wait learn that it is done.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use caraway_ports::geometry::Rect;

use super::modes::CompatScreen;
use crate::{
    lock,
    memory::Slot,
    monitors::{ClientHead, MonitorsConfig},
    rom::CLIENT_CAPABILITY_BYTES,
    surfaces::Backing,
};

/// What the worker is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Reset,
    SetMode(CompatScreen),
    EnterVga { drain: bool },
    SetSlot { id: u8, slot: Option<Slot> },
    CreatePrimary { backing: Backing, keep_data: bool },
    DestroyPrimary,
    DestroySurface(u32),
    DestroyAll,
    UpdateArea { surface: u32, area: Rect },
    FlushSurfaces,
    OutOfMemory,
    FlushRelease,
    Monitors(MonitorsConfig),
}

/// What is to be said to the guest about the clients. It describes them, not the guest, so a reset does not end it; only
/// the newest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientNews {
    /// Whether any is there, and what all of them can do.
    pub(crate) client: Option<(bool, Box<[u8; CLIENT_CAPABILITY_BYTES]>)>,
    /// The monitors they want.
    pub(crate) heads: Option<Vec<ClientHead>>,
}

/// What the worker does next.
#[derive(Debug)]
pub(crate) enum Work {
    Job(Job),
    News(ClientNews),
}

/// Whom to tell when a job is done.
#[derive(Clone, Debug)]
pub(crate) enum Completion {
    Nobody,
    /// The guest, by interrupt, unless the asynchronous command with this number was cancelled.
    Interrupt(u64),
    /// The vCPU that wrote the port.
    Ticket(Arc<Ticket>),
}

/// A request on its way to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Resets before the port write: a job older than the last reset is abandoned.
    pub(crate) epoch: u64,
    pub(crate) completion: Completion,
}

/// Lets one thread wait until a job is done.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    done: Mutex<bool>,
    changed: Condvar,
}

impl Ticket {
    pub(crate) fn finish(&self) {
        *lock(&self.done) = true;
        self.changed.notify_all();
    }

    /// Whether the job was done in time.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let done = lock(&self.done);
        let (done, _) = self
            .changed
            .wait_timeout_while(done, limit, |done| !*done)
            .unwrap_or_else(PoisonError::into_inner);
        *done
    }
}
