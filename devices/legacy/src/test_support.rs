//! Doubles of what the devices talk to.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use caraway_base::{
    bus::{BusDevice, Outcome, store_value, value_of},
    irq::IrqLine,
};

use crate::clock::{MonotonicClock, Timer, WallClock};

/// Remembers the level and counts rising edges.
#[derive(Debug, Default)]
pub(crate) struct Line {
    level: AtomicBool,
    edges: AtomicUsize,
}

impl IrqLine for Line {
    fn set(&self, asserted: bool) {
        if !self.level.swap(asserted, Ordering::SeqCst) && asserted {
            self.edges.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Line {
    pub(crate) fn level(&self) -> bool {
        self.level.load(Ordering::SeqCst)
    }

    /// Rising edges since the last call.
    pub(crate) fn edges(&self) -> usize {
        self.edges.swap(0, Ordering::SeqCst)
    }
}

/// A clock that stands still until told.
#[derive(Debug, Default)]
pub(crate) struct TestClock {
    nanos: AtomicU64,
    unix: AtomicI64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.nanos.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        self.unix.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn set_unix(&self, seconds: i64) {
        self.unix.store(seconds * 1000, Ordering::SeqCst);
    }
}

impl MonotonicClock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::SeqCst))
    }
}

impl WallClock for TestClock {
    fn unix_millis(&self) -> i64 {
        self.unix.load(Ordering::SeqCst)
    }
}

/// Remembers what it was set to.
#[derive(Debug, Default)]
pub(crate) struct TestTimer(pub(crate) Mutex<Option<Duration>>);

impl Timer for TestTimer {
    fn set(&self, after: Option<Duration>) {
        *self.0.lock().unwrap() = after;
    }
}

/// Collects output.
#[derive(Debug, Default)]
pub(crate) struct Collector(pub(crate) Mutex<Vec<u8>>);

impl crate::uart::SerialSink for Collector {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend(bytes);
    }
}

/// Reads `width` bytes as the bus does.
pub(crate) fn read(device: &(impl BusDevice + ?Sized), offset: u64, width: usize) -> u64 {
    let mut data = vec![0xff; width];
    device.read(offset, &mut data);
    value_of(&data)
}

/// Writes `width` bytes as the bus does.
pub(crate) fn write(device: &(impl BusDevice + ?Sized), offset: u64, width: usize, value: u64) -> Outcome {
    let mut data = vec![0; width];
    store_value(&mut data, value);
    device.write(offset, &data)
}

/// An access a guest could make to a block of `length` bytes.
pub(crate) fn accesses(
    length: u64,
    count: usize,
) -> impl proptest::strategy::Strategy<Value = Vec<(u64, usize, Option<u64>)>> {
    use proptest::prelude::*;
    let width = prop::sample::select(vec![1usize, 1, 1, 2, 4, 8]);
    let one = (0..length, width, prop::option::weighted(0.7, any::<u64>()));
    let clipped = one.prop_map(move |(at, width, value)| (at, width.min((length - at) as usize), value));
    prop::collection::vec(clipped, count)
}

/// Carries out what [`accesses`] made.
pub(crate) fn perform(device: &(impl BusDevice + ?Sized), accesses: &[(u64, usize, Option<u64>)]) {
    for (at, width, value) in accesses {
        match value {
            Some(value) => {
                write(device, *at, *width, *value);
            }
            None => {
                read(device, *at, *width);
            }
        }
    }
}

pub(crate) fn line() -> Arc<Line> {
    Arc::default()
}
