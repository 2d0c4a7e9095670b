//! Where devices take the time from, so that tests choose it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time that only ever goes forward.
pub trait MonotonicClock: Send + Sync {
    /// Since a fixed moment of the clock's own choice.
    fn now(&self) -> Duration;
}

/// Time of day.
pub trait WallClock: Send + Sync {
    /// Since 1970-01-01 00:00 UTC; negative before.
    fn unix_millis(&self) -> i64;
}

/// Something that calls a device back, once, on a thread of its own.
pub trait Timer: Send + Sync {
    /// Calls back after so long, or not any more. Replaces what was set before. Called under the device's lock: it must
    /// not call back from here.
    fn set(&self, after: Option<Duration>);
}

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct HostClock {
    start: Instant,
}

impl HostClock {
    /// Monotonic time counts from here.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new()
    }
}

impl MonotonicClock for HostClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl WallClock for HostClock {
    fn unix_millis(&self) -> i64 {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        }
    }
}
