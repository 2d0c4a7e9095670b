//! What a connection delivers, and how much may be on its way: no more than the link holds, so that the backlog stays
//! where it can be replaced.
//!
//! Pings between the messages ("probes") tell how much has arrived. They go through the same queues as the messages, at
//! the client too, whatever there is in between; so what they say is true for a client that decodes slowly as well. From
//! the bytes between two answers follows a rate. The greatest of the last seconds, times the shortest round trip, is what
//! the link holds; a little more is let onto it, which keeps it busy, and shows when it becomes quicker.

use std::{collections::VecDeque, time::Duration};

use caraway_protocol::common::{Ping, Pong};

/// Probes on their way at once.
const MAX_PROBES: usize = 32;

/// Bytes after which a probe follows, at least; it has 18 itself.
const MIN_BETWEEN: u64 = 1 << 10;

/// Bytes that may be on their way as long as nothing is known: what TCP begins with is less.
const FIRST_WINDOW: u64 = 64 << 10;

/// Bytes that may always be on their way.
const MIN_WINDOW: u64 = 4 << 10;

/// What may wait in queues on the way, as the time it takes the link. With what one item takes it stays well below 100 ms;
/// it has to be more than that, or the link is not full with whole items and nobody knows.
const QUEUE: Duration = Duration::from_millis(40);

/// With fewer bytes a round trip may be long because the client had something else to do.
const MIN_QUEUED: u64 = 8 << 10;

/// Rates are forgotten after one to two times this, or this many round trips.
const MEMORY: Duration = Duration::from_secs(2);
const MEMORY_TRIPS: u32 = 8;

/// A client that has never answered is taken for one that does not, after so long: others look after it then.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
struct Probe {
    id: u32,
    sent_at: Duration,
    /// Bytes sent before it, and with it.
    sent: u64,
    /// Bytes that had arrived when it was sent, and when that was known.
    delivered: u64,
    delivered_at: Duration,
    /// When the probe that had told so was sent.
    confirmed: Duration,
    /// There was nothing more to send some time before.
    is_idle: bool,
    /// As much was on its way as may be.
    is_full: bool,
}

/// One connection. Times are durations since any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    sent: u64,
    /// Bytes sent when the last probe was.
    probed: u64,
    delivered: u64,
    delivered_at: Duration,
    confirmed: Duration,
    probes: VecDeque<Probe>,
    last_id: u32,
    answered: bool,
    silent: bool,
    /// All that there was has been sent since the last probe.
    is_idle: bool,
    /// Shortest round trip.
    round_trip: Option<Duration>,
    /// What was said of the connection before anything was measured on it, in bytes a second.
    said: Option<u64>,
    /// Greatest rates of this period and the one before.
    rates: [u64; 2],
    period_ends: Duration,
}

impl Delivery {
    /// Takes up what others measured on the link: bits a second, and a round trip.
    pub(crate) fn hear(&mut self, bits_per_second: Option<u64>, round_trip: Option<Duration>) {
        self.said = bits_per_second.map(|bits| bits / 8).or(self.said);
        if let (Some(heard), known) = (round_trip, self.round_trip) {
            self.round_trip = Some(known.map_or(heard, |known| known.min(heard)));
        }
    }

    /// Bytes were written.
    pub(crate) const fn on_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// There is nothing more to send.
    pub(crate) const fn on_idle(&mut self) {
        self.is_idle = true;
    }

    /// Whether a probe is due.
    pub(crate) fn wants_probe(&self) -> bool {
        let since = self.sent.saturating_sub(self.probed);
        since >= (self.window() / 16).max(MIN_BETWEEN) && self.probes.len() < MAX_PROBES
    }

    /// A probe to send now; `bytes` is what it takes itself, and is counted.
    pub(crate) fn probe(&mut self, now: Duration, bytes: u64) -> Ping {
        if self.probes.is_empty() && self.is_idle {
            // Nothing was on its way for a while: that time says nothing of the link.
            self.delivered_at = now;
            self.confirmed = now;
        }
        self.on_sent(bytes);
        let is_full = self.in_flight() >= self.window();
        self.last_id = self.last_id.wrapping_add(1);
        self.probes.push_back(Probe {
            id: self.last_id,
            sent_at: now,
            sent: self.sent,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            confirmed: self.confirmed,
            is_idle: self.is_idle,
            is_full,
        });
        self.probed = self.sent;
        self.is_idle = false;
        Ping {
            id: self.last_id,
            timestamp: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            padding: 0,
        }
    }

    /// An answer has come; whether it was one that is waited for.
    pub(crate) fn on_pong(&mut self, pong: Pong, now: Duration) -> bool {
        let Some(place) = self.probes.iter().position(|probe| probe.id == pong.id) else {
            return false;
        };
        let Some(probe) = self.probes.drain(..=place).next_back() else {
            return false;
        };
        (self.answered, self.silent) = (true, false);
        let trip = now.saturating_sub(probe.sent_at);
        self.round_trip = Some(match self.round_trip {
            Some(known) if known < trip && probe.is_idle => known + (trip - known) / 8,
            Some(known) => known.min(trip),
            None => trip,
        });
        // Answers that come in a bunch say no more than what was sent in the time.
        let arriving = now.saturating_sub(probe.delivered_at);
        let sending = probe.sent_at.saturating_sub(probe.confirmed);
        let bytes = probe.sent.saturating_sub(probe.delivered);
        let time = arriving.max(sending).as_nanos().max(1);
        let rate = u64::try_from(u128::from(bytes) * 1_000_000_000 / time).unwrap_or(u64::MAX);
        // Where the link had nothing to do in between, it may deliver more than this says.
        let shortest = self.round_trip.unwrap_or(trip);
        let queued = !probe.is_idle && bytes >= MIN_QUEUED && trip >= shortest.saturating_add(QUEUE / 2);
        let is_lower_bound = !(probe.is_full || queued);
        self.note(rate, is_lower_bound, now);
        self.delivered = self.delivered.max(probe.sent);
        self.delivered_at = now;
        self.confirmed = probe.sent_at;
        true
    }

    fn note(&mut self, rate: u64, is_lower_bound: bool, now: Duration) {
        if is_lower_bound && self.rate().is_none_or(|known| rate <= known) {
            return;
        }
        let [this, before] = &mut self.rates;
        if now >= self.period_ends {
            // Time in which nothing was said is no time.
            (*before, *this) = (*this, 0);
            let trips = self.round_trip.unwrap_or_default().saturating_mul(MEMORY_TRIPS);
            self.period_ends = now.saturating_add(MEMORY.max(trips));
        }
        *this = (*this).max(rate);
    }

    /// Bytes a second, if that is known.
    pub(crate) fn rate(&self) -> Option<u64> {
        let [this, before] = self.rates;
        Some(this.max(before)).filter(|rate| *rate > 0).or(self.said)
    }

    /// The shortest round trip.
    pub(crate) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Bytes that may be on their way.
    pub(crate) fn window(&self) -> u64 {
        let (Some(rate), Some(trip)) = (self.rate(), self.round_trip) else {
            return FIRST_WINDOW;
        };
        let nanos = trip.saturating_add(QUEUE).as_nanos();
        let bytes = u128::from(rate) * nanos / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(MIN_WINDOW)
    }

    /// Bytes on their way, as far as is known.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    /// Whether more may be sent now.
    pub(crate) fn can_send(&self) -> bool {
        // Of what no probe is behind nobody will ever hear. With one item alone on its way, the link would rest while it is
        // answered for.
        self.silent || self.probes.len() < 2 || self.in_flight() < self.window()
    }

    /// When to call [`Self::give_up`], if no answer comes before.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let first = self.probes.front().filter(|_| !self.answered)?;
        Some(first.sent_at.saturating_add(PATIENCE))
    }

    /// The client does not answer: what is on its way to it is for the socket to limit, until it does.
    pub(crate) const fn give_up(&mut self) {
        self.silent = true;
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
