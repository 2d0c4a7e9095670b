//! How a display channel is fed: only as fast as its link delivers, so that what waits, waits where it can be replaced.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use caraway_display::Pace;
use caraway_protocol::common::{Ping, Pong};
use tokio::{sync::Notify, time::Instant};

use crate::{delivery::Delivery, flow::Flow, session::Session};

/// Bytes of a probe, with a mini header.
const PROBE_BYTES: u64 = 18;

/// Smaller images say little of what a codec makes of others.
const MIN_PIXEL_BYTES: usize = 4 << 10;

/// A thousand bytes of pixels are taken to become so many bytes of messages at least: text that was sent so far says
/// nothing of the photograph that comes next.
const MIN_PERMILLE: u32 = 333;

/// A client has this long to answer the pings that say how fast its link is, before it is sent the picture in parts.
pub(super) const MEASURE_DEADLINE: Duration = Duration::from_millis(500);

/// The feed of one channel.
#[derive(Debug)]
pub(super) struct Feed {
    began: Instant,
    state: Mutex<State>,
    answered: Notify,
}

#[derive(Debug)]
struct State {
    delivery: Delivery,
    permille: u32,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::new(State {
                delivery: Delivery::default(),
                permille: MIN_PERMILLE,
            }),
            answered: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the link can do with more, now.
    pub(super) fn is_ready(&self) -> bool {
        let delivery = &self.lock().delivery;
        delivery.can_send() && delivery.paced_until() <= self.began.elapsed()
    }

    /// Waits until the link can do with more.
    pub(super) async fn ready(&self, flow: &Flow) {
        let mut waits = None;
        loop {
            let answered = self.answered.notified();
            let (can_send, paced_until, patience) = {
                let delivery = &self.lock().delivery;
                (delivery.can_send(), delivery.paced_until(), delivery.patience())
            };
            if can_send {
                drop(waits);
                if paced_until > self.began.elapsed() {
                    tokio::time::sleep_until(self.began + paced_until).await;
                }
                return;
            }
            let Some(patience) = patience else {
                waits.get_or_insert_with(|| flow.waits_for_pong());
                answered.await;
                continue;
            };
            if tokio::time::timeout_at(self.began + patience, answered).await.is_err() {
                self.lock().delivery.give_up();
            }
        }
    }

    /// Messages of so many bytes were sent; the pixels in them were so many.
    pub(super) fn on_sent(&self, bytes: u64, pixel_bytes: usize) {
        let now = self.began.elapsed();
        let mut state = self.lock();
        state.delivery.on_sent(bytes, now);
        if pixel_bytes >= MIN_PIXEL_BYTES {
            let permille = bytes.saturating_mul(1000) / pixel_bytes as u64;
            let permille = u32::try_from(permille).unwrap_or(u32::MAX).min(1000);
            let remembered = state.permille / 8 * 7;
            state.permille = permille.max(remembered).max(MIN_PERMILLE);
        }
    }

    /// Everything there was has been sent.
    pub(super) fn on_idle(&self) {
        self.lock().delivery.on_idle();
    }

    /// The probe to send behind the last message, if there is to be one.
    pub(super) fn probe(&self) -> Option<Ping> {
        let now = self.began.elapsed();
        let delivery = &mut self.lock().delivery;
        delivery.wants_probe().then(|| delivery.probe(now, PROBE_BYTES))
    }

    /// An answer has come.
    pub(super) fn on_pong(&self, pong: Pong, flow: &Flow) {
        let now = self.began.elapsed();
        if self.lock().delivery.on_pong(pong, now) {
            flow.on_progress();
            self.answered.notify_one();
        }
    }

    /// Takes up what the session knows of the link.
    pub(super) fn hear(&self, session: &Session) {
        let delivery = &mut self.lock().delivery;
        delivery.hear(session.delivery(), session.round_trip());
    }

    /// Bits a second that may be sent; a cap is a slow link.
    pub(super) fn rate(&self, cap: Option<u64>) -> Option<u64> {
        let bits = self.lock().delivery.rate().map(|bytes| bytes.saturating_mul(8));
        bits.into_iter().chain(cap).min()
    }

    /// What the viewer may have at a time.
    pub(super) fn pace(&self, cap: Option<u64>) -> Pace {
        let (permille, answers) = {
            let state = self.lock();
            (state.permille, state.delivery.round_trip().is_some())
        };
        match self.rate(cap) {
            Some(rate) => Pace::of_link(rate, permille),
            // It has answered short pings, and the long one is still on its way.
            None if answers => Pace::unknown(),
            None => Pace::default(),
        }
    }

    /// For counters: bytes on their way, and the shortest round trip.
    pub(super) fn on_its_way(&self) -> (u64, Option<Duration>) {
        let state = self.lock();
        (state.delivery.in_flight(), state.delivery.round_trip())
    }
}
