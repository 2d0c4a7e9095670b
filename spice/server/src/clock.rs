//! Media time: what frames and sound are stamped with.

use std::time::Instant;

/// Where media time begins, milliseconds: later than any latency, so that the clocks of clients, which are behind, begin
/// above zero as well.
const BEGIN: u32 = 60_000;

/// The server's media clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MediaClock(Instant);

impl MediaClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds, wrapping.
    pub(crate) fn now(self) -> u32 {
        BEGIN.wrapping_add(self.0.elapsed().as_millis() as u32)
    }

    /// What a clock shows that is so many milliseconds behind.
    pub(crate) fn behind(self, latency: u32) -> u32 {
        self.now().wrapping_sub(latency)
    }
}
