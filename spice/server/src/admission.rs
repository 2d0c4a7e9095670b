//! Who may be in the link stage, and how soon a ticket is looked at: nobody keeps others out, and guessing takes long.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::Peer;

/// Connections in the link stage at once; more are closed at once.
const MAX_HALF_OPEN: usize = 64;
/// The same of one address. A client opens all its channels together, of which there are a dozen or so.
const MAX_HALF_OPEN_OF_ONE: usize = 32;

/// How long after a wrong ticket the next one of its address is looked at; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: less than the link stage may take, so that who has the right ticket gets in all the same.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Wrong tickets are forgotten after so long without another.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Addresses of which wrong tickets are remembered; the one that has been quiet for longest makes room.
const MAX_ADDRESSES: usize = 1024;

/// Where a client comes from, as far as limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    V4(Ipv4Addr),
    /// A network of 64 bits: less is not given to one host.
    V6([u16; 4]),
    /// This machine, by a Unix socket or a stream of the caller.
    Here,
}

impl From<&Peer> for Origin {
    fn from(peer: &Peer) -> Self {
        let Peer::Tcp(address) = peer else { return Self::Here };
        match address.ip().to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Connections in the link stage.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen(Mutex<BTreeMap<Origin, usize>>);

/// A connection in the link stage, as long as this lives.
#[derive(Debug)]
pub(crate) struct InLink {
    all: Arc<HalfOpen>,
    origin: Origin,
}

impl HalfOpen {
    /// Lets one in; `None` when there are too many.
    pub(crate) fn enter(self: &Arc<Self>, origin: Origin) -> Option<InLink> {
        let mut open = lock(&self.0);
        let of_one = open.get(&origin).copied().unwrap_or(0);
        let most = match origin {
            // Only those who may use the socket, or the caller.
            Origin::Here => MAX_HALF_OPEN,
            Origin::V4(_) | Origin::V6(_) => MAX_HALF_OPEN_OF_ONE,
        };
        if of_one >= most || open.values().sum::<usize>() >= MAX_HALF_OPEN {
            return None;
        }
        open.insert(origin, of_one + 1);
        drop(open);
        Some(InLink {
            all: Arc::clone(self),
            origin,
        })
    }
}

impl Drop for InLink {
    fn drop(&mut self) {
        let mut open = lock(&self.all.0);
        match open.get_mut(&self.origin) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.origin)),
        }
    }
}

/// Wrong tickets by address.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<BTreeMap<Origin, Wrong>>);

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: Instant,
}

impl Wrong {
    fn pause(self) -> Duration {
        let doubled = 1_u32.checked_shl(self.count.saturating_sub(1)).unwrap_or(u32::MAX);
        FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
    }
}

impl Guesses {
    /// Waits until a ticket from there may be looked at. Those that wait at the same time are looked at together, so that
    /// who guesses does not keep out who knows; how many there can be is limited.
    pub(crate) async fn pause(&self, origin: Origin) {
        let wrong = lock(&self.0).get(&origin).copied();
        if let Some(wrong) = wrong {
            tokio::time::sleep_until(wrong.last + wrong.pause()).await;
        }
    }

    /// The ticket was right.
    pub(crate) fn right(&self, origin: Origin) {
        lock(&self.0).remove(&origin);
    }

    /// The ticket was wrong.
    pub(crate) fn wrong(&self, origin: Origin) {
        let now = Instant::now();
        let mut all = lock(&self.0);
        if !all.contains_key(&origin) && all.len() >= MAX_ADDRESSES {
            all.retain(|_, wrong| now.duration_since(wrong.last) < FORGOTTEN);
            if all.len() >= MAX_ADDRESSES
                && let Some(quiet) = all
                    .iter()
                    .min_by_key(|(_, wrong)| wrong.last)
                    .map(|(origin, _)| *origin)
            {
                all.remove(&quiet);
            }
        }
        let wrong = all.entry(origin).or_insert(Wrong { count: 0, last: now });
        if now.duration_since(wrong.last) >= FORGOTTEN {
            wrong.count = 0;
        }
        wrong.count = wrong.count.saturating_add(1);
        wrong.last = now;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(address: &str) -> Origin {
        Origin::from(&Peer::Tcp(address.parse().unwrap()))
    }

    #[test]
    fn one_address_leaves_room_for_others_and_all_together_are_limited() {
        let all = Arc::new(HalfOpen::default());
        let many =
            |address: &str| -> Vec<InLink> { std::iter::from_fn(|| all.enter(origin(address))).take(100).collect() };
        let first = many("192.0.2.1:1");
        assert_eq!(first.len(), MAX_HALF_OPEN_OF_ONE);
        let second = many("192.0.2.2:1");
        assert_eq!(first.len() + second.len(), MAX_HALF_OPEN);
        assert!(all.enter(origin("192.0.2.3:1")).is_none() && all.enter(Origin::Here).is_none());
        drop(first);
        assert!(all.enter(origin("192.0.2.1:2")).is_some());
        drop(second);
        assert!(lock(&all.0).is_empty());
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written_and_a_host_has_one_network() {
        assert_eq!(origin("192.0.2.1:1"), origin("[::ffff:192.0.2.1]:2"));
        assert_eq!(origin("[2001:db8::1]:1"), origin("[2001:db8::ffff:2]:1"));
        assert_ne!(origin("[2001:db8::1]:1"), origin("[2001:db8:0:1::1]:1"));
    }

    async fn waited(guesses: &Guesses, origin: Origin) -> Duration {
        let from = Instant::now();
        guesses.pause(origin).await;
        from.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_wrong_ticket_makes_the_next_wait_longer_and_a_right_one_ends_that() {
        let guesses = Guesses::default();
        let (bad, good) = (origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pauses.push(waited(&guesses, bad).await.as_millis());
            guesses.wrong(bad);
        }
        // Timers have a resolution of a millisecond.
        let expected = [0, 250, 500, 1000, 2000, 4000];
        for (is, should) in pauses.iter().zip(expected.into_iter().chain(std::iter::repeat(4000))) {
            assert!((should..=should + 1).contains(is), "{pauses:?}");
        }
        assert_eq!(waited(&guesses, good).await, Duration::ZERO);
        guesses.right(bad);
        assert_eq!(waited(&guesses, bad).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tickets_are_forgotten_and_only_so_many_addresses_are_remembered() {
        let guesses = Guesses::default();
        let bad = origin("192.0.2.1:1");
        for _ in 0..5 {
            guesses.wrong(bad);
        }
        tokio::time::advance(FORGOTTEN).await;
        guesses.wrong(bad);
        assert!(waited(&guesses, bad).await <= FIRST_PAUSE + Duration::from_millis(1));
        for number in 0..3 * MAX_ADDRESSES {
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            guesses.wrong(Origin::V4(Ipv4Addr::new(198, 18, high, low)));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let all = lock(&guesses.0);
        assert_eq!(all.len(), MAX_ADDRESSES);
        assert!(!all.contains_key(&bad));
    }
}
