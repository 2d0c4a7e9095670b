//! A cap on what is sent, as a bucket that tokens drip into. Who has spent more than there was waits until it is filled
//! again, and those who wait take turns.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What is saved up while nothing is sent, as the time the cap takes for it.
const BURST: Duration = Duration::from_millis(20);

/// How much is written at a time, as the time the cap takes for it: those who share it wait for so long for each other.
const PIECE: Duration = Duration::from_millis(10);

/// Bytes written at a time, at least.
const LEAST_PIECE: usize = 1 << 10;

/// A cap in bytes a second, or none.
#[derive(Debug)]
pub(crate) struct Cap {
    bytes_per_second: Option<u64>,
    /// Up to when everything sent so far is paid for. In the past at most by what may be saved.
    paid: Mutex<Instant>,
    turn: tokio::sync::Mutex<()>,
}

impl Cap {
    /// `bits_per_second` = `None` caps nothing.
    pub(crate) fn new(bits_per_second: Option<u64>) -> Self {
        Self {
            bytes_per_second: bits_per_second.map(|bits| (bits / 8).max(1)),
            paid: Mutex::new(Instant::now()),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn bits_per_second(&self) -> Option<u64> {
        self.bytes_per_second.map(|bytes| bytes.saturating_mul(8))
    }

    /// How many bytes to take at a time.
    pub(crate) fn piece(&self) -> usize {
        self.bytes_per_second.map_or(usize::MAX, |rate| {
            let bytes = u128::from(rate) * PIECE.as_millis() / 1000;
            usize::try_from(bytes).unwrap_or(usize::MAX).max(LEAST_PIECE)
        })
    }

    /// Counts bytes that do not wait; those that do wait for them too.
    pub(crate) fn spend(&self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = now.checked_sub(BURST).unwrap_or(now);
        let from = (*paid).max(saved);
        *paid = from.checked_add(time).unwrap_or(from);
    }

    /// Whether something is not paid for yet.
    pub(crate) fn owes(&self) -> bool {
        let paid = *self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        self.bytes_per_second.is_some() && paid > Instant::now()
    }

    /// Waits until all is paid for.
    pub(crate) async fn pass(&self) {
        if self.bytes_per_second.is_none() {
            return;
        }
        loop {
            let paid = *self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            if paid <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(paid).await;
        }
    }

    /// Waits for its turn and until all is paid for, and counts a piece.
    pub(crate) async fn take(&self, bytes: usize) {
        if self.bytes_per_second.is_none() {
            return;
        }
        let _turn = self.turn.lock().await;
        self.pass().await;
        self.spend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    const RATE: u64 = 1_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_cap_is_kept_and_shared_evenly_whoever_asks_for_more() {
        let cap = Arc::new(Cap::new(Some(8 * RATE)));
        let taken: [Arc<AtomicU64>; 3] = std::array::from_fn(|_| Arc::default());
        // The first has several tasks that take, the last one asks for little.
        for (client, tasks, bytes) in [(0, 1, cap.piece()), (1, 1, cap.piece()), (2, 1, 1000)] {
            for _ in 0..tasks {
                let (cap, taken) = (Arc::clone(&cap), Arc::clone(&taken[client]));
                tokio::spawn(async move {
                    loop {
                        cap.take(bytes).await;
                        taken.fetch_add(bytes as u64, Ordering::Relaxed);
                    }
                });
            }
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        let [first, second, third] = taken.map(|taken| taken.load(Ordering::Relaxed));
        let all = first + second + third;
        assert!((19 * RATE..=21 * RATE).contains(&all), "{all}");
        assert!(first.abs_diff(second) <= 2 * 10_000, "{first} {second}");
        assert!(third < first);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_wait_is_waited_for() {
        let cap = Cap::new(Some(8 * RATE));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let began = Instant::now();
        // Little is saved up in an hour.
        cap.spend(20_000);
        cap.pass().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        cap.spend(2_000_000);
        cap.take(1000).await;
        assert!(
            began.elapsed().abs_diff(Duration::from_secs(2)) < Duration::from_millis(5),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_cap_is_no_wait() {
        let cap = Cap::new(None);
        let began = Instant::now();
        cap.spend(usize::MAX);
        cap.take(usize::MAX).await;
        assert_eq!((began.elapsed(), cap.piece()), (Duration::ZERO, usize::MAX));
        let least = Cap::new(Some(0));
        assert_eq!((least.bits_per_second(), least.piece()), (Some(8), 1024));
    }
}
