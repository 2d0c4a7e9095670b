//! When a record's time has come.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use caraway_machine::{Signal, Signals};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// How often a replay that does not wait looks for signals.
const LOOK: Duration = Duration::from_millis(20);

/// Follows the times of a recording.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// Longest distance kept; `None` for those of the recording. No pace at all without an outer value.
    gap: Option<Option<Duration>>,
    previous: Option<u64>,
    /// After the start.
    due: Duration,
    looked: Instant,
}

impl Pace {
    /// Everything at once.
    pub(super) fn fast() -> Self {
        Self::new(None)
    }

    /// As it was recorded, distances no longer than `gap`.
    pub(super) fn timed(gap: Option<Duration>) -> Self {
        Self::new(Some(gap))
    }

    fn new(gap: Option<Option<Duration>>) -> Self {
        let start = Instant::now();
        Self {
            start,
            gap,
            previous: None,
            due: Duration::ZERO,
            looked: start,
        }
    }

    /// When a record of this time is due, after the start. A clock that goes back stands still here.
    fn due(&mut self, time: u64) -> Duration {
        let previous = self.previous.replace(time).unwrap_or(time);
        let distance = Duration::from_nanos(time.saturating_sub(previous));
        self.due = self.due.saturating_add(match self.gap {
            None => Duration::ZERO,
            Some(None) => distance,
            Some(Some(most)) => distance.min(most),
        });
        self.due
    }
}

/// Waits for times and signals.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    signals: &'a Signals,
}

impl<'a> Waiter<'a> {
    pub(crate) const fn new(signals: &'a Signals) -> Self {
        Self { signals }
    }

    /// Waits until a record of this time is due; true when a signal came first.
    pub(super) fn wait_until(&self, pace: &mut Pace, time: u64) -> anyhow::Result<bool> {
        let due = pace.due(time);
        let left = due.saturating_sub(pace.start.elapsed());
        if left.is_zero() {
            if pace.looked.elapsed() < LOOK {
                return Ok(false);
            }
            pace.looked = Instant::now();
        }
        self.wait(Some(left))
    }

    /// Waits for so long, or without end; true when a signal to end came.
    pub(crate) fn wait(&self, time: Option<Duration>) -> anyhow::Result<bool> {
        let start = Instant::now();
        loop {
            let left = time.map(|time| time.saturating_sub(start.elapsed()));
            // A time that cannot be told is without end.
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(self.signals, PollFlags::IN)], timeout.as_ref()) {
                Ok(0) if left.is_some() => return Ok(false),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("cannot wait"),
            }
            if self.signals.next()? == Some(Signal::Terminate) {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_kept_and_capped() {
        const SECOND: u64 = 1_000_000_000;
        let seconds = |pace: &mut Pace| [70, 72, 71, 101].map(|time| pace.due(time * SECOND).as_secs());
        assert_eq!(seconds(&mut Pace::timed(None)), [0, 2, 2, 32]);
        assert_eq!(seconds(&mut Pace::timed(Some(Duration::from_secs(5)))), [0, 2, 2, 7]);
        assert_eq!(seconds(&mut Pace::fast()), [0, 0, 0, 0]);
        let mut pace = Pace::timed(None);
        pace.due(0);
        assert_eq!(pace.due(u64::MAX), Duration::from_nanos(u64::MAX));
    }
}
