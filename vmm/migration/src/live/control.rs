//! What a migration on its way and those who watch it share: how far it is, how fast it may be, whether it is to stop.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How a migration is to be done. May change on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Bytes a second at most while the guest runs; 0 is no limit.
    pub max_bandwidth: u64,
    /// The machine is stopped when what is left would take no longer than this.
    pub downtime_limit: Duration,
}

impl Parameters {
    /// Least bandwidth: a page now and then, so that the other side knows that this one is there.
    pub const LEAST_BANDWIDTH: u64 = 64 << 10;
    /// Longest downtime that can be asked for.
    pub const MOST_DOWNTIME: Duration = Duration::from_secs(2000);
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            max_bandwidth: 128 << 20,
            downtime_limit: Duration::from_millis(300),
        }
    }
}

/// What a migration is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// There was none.
    #[default]
    None,
    /// Connecting, and comparing the two machines.
    Setup,
    /// Memory is sent while the guest runs.
    Active,
    /// The machine is held still.
    Device,
    /// It is to stop, and has not yet.
    Cancelling,
    /// The machine runs on the destination.
    Completed,
    /// It was cancelled: the machine stays.
    Cancelled,
    /// It failed: the machine stays.
    Failed,
    /// It was handed over, and nobody said that it runs there: it is held still here.
    Unknown,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of the memories.
    pub total: u64,
    /// Bytes that were found changed and are not sent yet.
    pub remaining: u64,
    /// Bytes written to the connection.
    pub transferred: u64,
    /// Pages sent.
    pub normal: u64,
    /// Pages of zeros, of which only their number is sent, or nothing.
    pub zero: u64,
    /// Rounds begun.
    pub rounds: u64,
    /// Pages a second that the guest changed in the last round.
    pub dirty_rate: u64,
    /// Bytes a second of the last round.
    pub bandwidth: u64,
    /// How long the comparison took.
    pub setup: Duration,
    /// How long the machine stood still, or will by what is known now.
    pub downtime: Option<Duration>,
}

/// A migration as those who watch it see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub phase: Phase,
    pub figures: Figures,
    /// From its begin to its end, or to now.
    pub elapsed: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    parameters: Parameters,
    phase: Phase,
    figures: Figures,
    began: Option<Instant>,
    took: Option<Duration>,
    error: Option<String>,
    /// The machine was handed over: too late to cancel.
    committed: bool,
}

/// Shared by the thread that migrates and everybody else.
#[derive(Debug, Default)]
pub struct Control(Mutex<Inner>);

impl Control {
    /// How migrations are done.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.lock().parameters
    }

    /// Changes how migrations are done, the one on its way, too.
    pub fn set_parameters(&self, parameters: Parameters) {
        self.lock().parameters = parameters;
    }

    /// Begins one; false when one is on its way already.
    #[must_use]
    pub fn begin(&self) -> bool {
        let mut inner = self.lock();
        if inner.is_active() {
            return false;
        }
        *inner = Inner {
            parameters: inner.parameters,
            phase: Phase::Setup,
            began: Some(Instant::now()),
            ..Inner::default()
        };
        true
    }

    /// Asks it to stop; false when it is too late or there is none.
    pub fn cancel(&self) -> bool {
        let mut inner = self.lock();
        if inner.committed || !inner.is_active() {
            return false;
        }
        inner.phase = Phase::Cancelling;
        true
    }

    /// Whether it is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().phase == Phase::Cancelling
    }

    /// How far it is.
    #[must_use]
    pub fn report(&self) -> Report {
        let inner = self.lock();
        Report {
            phase: inner.phase,
            figures: inner.figures,
            elapsed: inner
                .took
                .or_else(|| inner.began.map(|began| began.elapsed()))
                .unwrap_or_default(),
            error: inner.error.clone(),
        }
    }

    /// Whether one is on its way.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.lock().is_active()
    }

    /// Ends it.
    pub fn end(&self, phase: Phase, error: Option<String>) {
        let mut inner = self.lock();
        inner.phase = phase;
        inner.error = error;
        inner.took = inner.began.map(|began| began.elapsed());
    }

    /// The next phase, unless it is to stop.
    pub(crate) fn enter(&self, phase: Phase) {
        let mut inner = self.lock();
        if inner.phase != Phase::Cancelling {
            inner.phase = phase;
        }
    }

    /// From here on it cannot be cancelled; false when it was.
    #[must_use]
    pub(crate) fn commit(&self) -> bool {
        let mut inner = self.lock();
        inner.committed = inner.phase != Phase::Cancelling;
        inner.committed
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.lock().figures);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every field is whole between two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_active(&self) -> bool {
        matches!(
            self.phase,
            Phase::Setup | Phase::Active | Phase::Device | Phase::Cancelling
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_over_cannot_be_cancelled_and_what_was_cancelled_not_handed_over() {
        let control = Control::default();
        assert!(!control.cancel());
        assert!(control.begin());
        assert!(!control.begin());
        assert!(control.commit());
        assert!(!control.cancel());
        control.end(Phase::Completed, None);
        assert!(control.begin());
        assert!(control.cancel());
        control.enter(Phase::Device);
        assert!(control.is_cancelled());
        assert!(!control.commit());
    }
}
