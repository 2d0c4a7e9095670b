//! A link with a rate and a delay, in simulated time.

use std::{collections::VecDeque, time::Duration};

use caraway_protocol::common::{Ping, Pong};

use super::Delivery;

const PROBE: u64 = 18;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Delivers bytes one after the other; answers come back without loss of time.
struct Link {
    bytes_per_second: u64,
    round_trip: Duration,
    /// When the last byte that was put on it has gone.
    free_at: Duration,
    answers: VecDeque<(Duration, Pong)>,
}

impl Link {
    const fn new(bytes_per_second: u64, round_trip: Duration) -> Self {
        Self {
            bytes_per_second,
            round_trip,
            free_at: Duration::ZERO,
            answers: VecDeque::new(),
        }
    }

    fn put(&mut self, bytes: u64, now: Duration) {
        let time = Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_per_second);
        self.free_at = self.free_at.max(now) + time;
    }

    fn ping(&mut self, ping: Ping) {
        let pong = Pong {
            id: ping.id,
            timestamp: ping.timestamp,
        };
        self.answers.push_back((self.free_at + self.round_trip, pong));
    }
}

/// Sends items of so many bytes as often as is allowed, for a time; how long the queue was at most in the second half.
fn run(delivery: &mut Delivery, link: &mut Link, item: u64, from: Duration, time: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let mut now = from;
    while now < from + time {
        while let Some((at, pong)) = link.answers.front().copied().filter(|(at, _)| *at <= now) {
            assert!(delivery.on_pong(pong, at));
            link.answers.pop_front();
        }
        while delivery.can_send() {
            delivery.on_sent(item);
            link.put(item, now);
            if delivery.wants_probe() {
                link.put(PROBE, now);
                link.ping(delivery.probe(now, PROBE));
            }
        }
        if now > from + time / 2 {
            longest = longest.max(link.free_at.saturating_sub(now));
        }
        now += Duration::from_micros(200);
    }
    longest
}

fn assert_near(delivery: &Delivery, bytes_per_second: u64) {
    let rate = delivery.rate().unwrap();
    let (low, high) = (bytes_per_second * 9 / 10, bytes_per_second * 11 / 10);
    assert!((low..=high).contains(&rate), "{rate} of {bytes_per_second}");
}

#[test]
fn the_rate_is_found_and_the_queue_stays_short_whatever_the_link_is() {
    for (rate, trip) in [
        (125_000, ms(200)),
        (125_000, ms(5)),
        (12_500_000, ms(200)),
        (12_500_000, ms(1)),
        (40_000, ms(40)),
    ] {
        let mut delivery = Delivery::default();
        // As the main channel has measured it; behind an item it is never so short.
        delivery.hear(None, Some(trip));
        let mut link = Link::new(rate, trip);
        let longest = run(&mut delivery, &mut link, rate / 50, Duration::ZERO, ms(20_000));
        assert_near(&delivery, rate);
        // What may wait, and the item that went over.
        assert!(longest <= ms(100), "{longest:?} at {rate} and {trip:?}");
        // And it is busy.
        assert!(delivery.in_flight() >= rate * trip.as_millis() as u64 / 1000);
    }
}

#[test]
fn a_link_that_changes_is_followed() {
    let mut delivery = Delivery::default();
    let mut link = Link::new(1_000_000, ms(50));
    run(&mut delivery, &mut link, 10_000, Duration::ZERO, ms(5000));
    assert_near(&delivery, 1_000_000);
    link.bytes_per_second = 100_000;
    let longest = run(&mut delivery, &mut link, 2000, ms(5000), ms(20_000));
    assert_near(&delivery, 100_000);
    assert!(longest <= ms(100), "{longest:?}");
    link.bytes_per_second = 5_000_000;
    run(&mut delivery, &mut link, 10_000, ms(25_000), ms(10_000));
    assert_near(&delivery, 5_000_000);
}

#[test]
fn a_screen_on_which_little_happens_does_not_make_a_link_slow() {
    let mut delivery = Delivery::default();
    let mut link = Link::new(1_000_000, ms(20));
    run(&mut delivery, &mut link, 10_000, Duration::ZERO, ms(5000));
    let mut now = ms(6000);
    while let Some((at, pong)) = link.answers.pop_front() {
        delivery.on_pong(pong, at);
    }
    for _ in 0..200 {
        delivery.on_idle();
        assert!(delivery.can_send());
        delivery.on_sent(2000);
        link.put(2000, now);
        if delivery.wants_probe() {
            link.ping(delivery.probe(now, PROBE));
        }
        now += ms(100);
        while let Some((at, pong)) = link.answers.pop_front() {
            delivery.on_pong(pong, at);
        }
    }
    assert_near(&delivery, 1_000_000);
}

#[test]
fn bursts_that_a_fast_link_has_no_trouble_with_say_nothing_of_it() {
    let mut delivery = Delivery::default();
    delivery.hear(Some(1_000_000_000), Some(ms(1)));
    let mut link = Link::new(125_000_000, ms(1));
    for burst in 0..200 {
        let now = ms(1000 + 50 * burst);
        for _ in 0..1 + burst % 5 {
            delivery.on_sent(3000);
            link.put(3000, now);
            if delivery.wants_probe() {
                link.ping(delivery.probe(now, PROBE));
            }
        }
        delivery.on_idle();
        // Now and then the client is busy.
        let late = if burst % 7 == 0 { ms(30) } else { ms(0) };
        while let Some((at, pong)) = link.answers.pop_front() {
            delivery.on_pong(pong, at + late);
        }
    }
    let rate = delivery.rate().unwrap();
    assert!(rate >= 60_000_000, "{rate}");
}

#[test]
fn a_client_that_never_answers_is_not_waited_for() {
    let mut delivery = Delivery::default();
    assert_eq!(delivery.patience(), None);
    delivery.on_sent(100_000);
    assert!(delivery.wants_probe() && delivery.can_send());
    let ping = delivery.probe(ms(10), PROBE);
    delivery.on_sent(100_000);
    delivery.probe(ms(11), PROBE);
    assert!(!delivery.can_send());
    assert_eq!(delivery.patience(), Some(ms(1010)));
    delivery.give_up();
    assert!(delivery.can_send());
    // Late, but it does answer.
    let pong = |id| Pong { id, timestamp: 0 };
    assert!(!delivery.on_pong(pong(77), ms(5000)));
    assert!(delivery.on_pong(pong(ping.id), ms(5010)));
    assert_eq!((delivery.patience(), delivery.in_flight()), (None, 100_000 + PROBE));
    assert!(!delivery.on_pong(pong(ping.id), ms(5020)), "only once");
}

#[test]
fn what_others_measured_counts_until_something_is_measured_here() {
    let mut delivery = Delivery::default();
    delivery.hear(Some(8_000_000), Some(ms(100)));
    assert_eq!(delivery.rate(), Some(1_000_000));
    assert_eq!(delivery.window(), 140_000);
    let mut link = Link::new(100_000, ms(100));
    run(&mut delivery, &mut link, 2000, Duration::ZERO, ms(10_000));
    assert_near(&delivery, 100_000);
}
