//! Bookkeeping of pings: which are outstanding, how long their round trips take.

use std::collections::VecDeque;
use std::time::Duration;

use crate::common::{Ping, Pong};

/// Pings that are remembered; of more than that the oldest are given up.
const OUTSTANDING_MAX: usize = 8;

/// A ping that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Id of the ping.
    pub id: u32,
    /// From PING to PONG.
    pub time: Duration,
    /// Padding the ping had.
    pub padding: u32,
}

#[derive(Clone, Debug)]
struct Outstanding {
    id: u32,
    sent_at: Duration,
    padding: u32,
}

/// The pings of one channel. Times are durations since any fixed moment. Round trips are measured by times kept here;
/// what the peer echoes is only compared.
#[derive(Clone, Debug, Default)]
pub struct PingTracker {
    last_id: u32,
    outstanding: VecDeque<Outstanding>,
}

impl PingTracker {
    /// No ping yet; the first has id 1.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            last_id: 0,
            outstanding: VecDeque::new(),
        }
    }

    /// A ping to send now, with that many bytes behind it. Its timestamp is in nanoseconds.
    pub fn ping(&mut self, now: Duration, padding: u32) -> Ping {
        self.last_id = self.last_id.wrapping_add(1);
        if self.outstanding.len() == OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back(Outstanding {
            id: self.last_id,
            sent_at: now,
            padding,
        });
        Ping {
            id: self.last_id,
            timestamp: nanoseconds(now),
            padding,
        }
    }

    /// A pong has arrived; the round trip it ends. `None` for a pong nobody is waiting for: pings given up, pongs made
    /// up by the peer. Pongs come in the order of the pings, so earlier ones are given up.
    pub fn on_pong(&mut self, pong: Pong, now: Duration) -> Option<RoundTrip> {
        let place = self
            .outstanding
            .iter()
            .position(|ping| ping.id == pong.id && nanoseconds(ping.sent_at) == pong.timestamp)?;
        let ping = self.outstanding.drain(..=place).next_back()?;
        Some(RoundTrip {
            id: ping.id,
            time: now.saturating_sub(ping.sent_at),
            padding: ping.padding,
        })
    }

    /// When the oldest unanswered ping was sent.
    #[must_use]
    pub fn waiting_since(&self) -> Option<Duration> {
        self.outstanding.front().map(|ping| ping.sent_at)
    }
}

/// Bits per second of a connection: `padding` bytes took this much longer than a ping without any. `None` when they
/// took no longer.
#[must_use]
pub fn bit_rate(padding: u32, with_padding: Duration, latency: Duration) -> Option<u64> {
    let took = with_padding.checked_sub(latency)?.as_nanos();
    let rate = (u128::from(padding) * 8 * 1_000_000_000).checked_div(took)?;
    u64::try_from(rate).ok()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn pong(ping: Ping) -> Pong {
        Pong {
            id: ping.id,
            timestamp: ping.timestamp,
        }
    }

    #[test]
    fn a_pong_ends_the_round_trip_of_its_ping() {
        let mut pings = PingTracker::new();
        let first = pings.ping(at(100), 0);
        let second = pings.ping(at(110), 256_000);
        assert_eq!((first.id, second.id), (1, 2));
        let trip = pings.on_pong(pong(first), at(130)).unwrap();
        assert_eq!((trip.id, trip.time), (1, at(30)));
        assert_eq!(pings.waiting_since(), Some(at(110)));
        assert_eq!(pings.on_pong(pong(second), at(210)).unwrap().padding, 256_000);
        assert_eq!(pings.waiting_since(), None);
    }

    #[test]
    fn pongs_nobody_waits_for_are_ignored() {
        let mut pings = PingTracker::new();
        let ping = pings.ping(at(1), 0);
        assert_eq!(pings.on_pong(Pong { id: 9, timestamp: 0 }, at(2)), None);
        assert_eq!(
            pings.on_pong(
                Pong {
                    timestamp: 0,
                    ..pong(ping)
                },
                at(2)
            ),
            None
        );
        assert!(pings.on_pong(pong(ping), at(2)).is_some());
        assert_eq!(pings.on_pong(pong(ping), at(3)), None);
    }

    #[test]
    fn a_peer_that_never_answers_costs_bounded_memory() {
        let mut pings = PingTracker::new();
        for now in 0..1000 {
            pings.ping(at(now), 0);
        }
        assert_eq!(pings.outstanding.len(), OUTSTANDING_MAX);
    }

    #[test]
    fn the_bit_rate_follows_from_what_padding_adds() {
        assert_eq!(bit_rate(256_000, at(230), at(30)), Some(10_240_000));
        assert_eq!(bit_rate(256_000, at(30), at(30)), None);
        assert_eq!(bit_rate(256_000, at(20), at(30)), None);
    }
}
