//! Time, as the device needs it: for blinking, and for how often something is said.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Time since the device was made.
#[derive(Debug)]
pub(crate) enum Clock {
    /// The host's.
    Host(Instant),
    /// Microseconds, as told.
    Told(AtomicU64),
}

impl Clock {
    pub(crate) fn host() -> Self {
        Self::Host(Instant::now())
    }

    pub(crate) const fn told() -> Self {
        Self::Told(AtomicU64::new(0))
    }

    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Host(start) => start.elapsed(),
            Self::Told(microseconds) => Duration::from_micros(microseconds.load(Ordering::Relaxed)),
        }
    }

    /// Moves a clock that is told what time it is; the host's goes by itself.
    pub(crate) fn advance(&self, by: Duration) {
        if let Self::Told(microseconds) = self {
            let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
            let now = microseconds.load(Ordering::Relaxed).saturating_add(by);
            microseconds.store(now, Ordering::Relaxed);
        }
    }
}
