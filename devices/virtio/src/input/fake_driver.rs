//! A driver as Linux's: it keeps buffers for events in their queue, gives each back when it has read it, and rings the
//! doorbell only when the device asks for that.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use caraway_ports::{
    input::Button,
    tablet::{TabletEvent, TabletListener, TabletSink as _},
};
use vm_memory::{Bytes as _, GuestAddress};

use super::{Input, Tablet};
use crate::{
    EVENT_IDX, VirtioDevice,
    test_support::{Bench, HIGH, Mode, Ring},
};

pub(super) const ALL: u64 = u64::MAX;
pub(super) const SYN: (u16, u16, i32) = (0, 0, 0);

/// Type, code, value.
pub(super) type Event = (u16, u16, i32);

pub(super) fn abs(axis: u16, place: i32) -> Event {
    (3, axis, place)
}

pub(super) fn key(code: u16, value: i32) -> Event {
    (1, code, value)
}

pub(super) fn wheel(steps: i32) -> Event {
    (2, 8, steps)
}

pub(super) fn at(x: u16, y: u16) -> [TabletEvent; 2] {
    [TabletEvent::X(x), TabletEvent::Y(y)]
}

pub(super) fn press(button: Button) -> TabletEvent {
    TabletEvent::Button { button, down: true }
}

pub(super) fn release(button: Button) -> TabletEvent {
    TabletEvent::Button { button, down: false }
}

pub(super) fn device(tablet: &Arc<Tablet>) -> Box<dyn VirtioDevice> {
    Box::new(Input::new(Arc::clone(tablet)).unwrap())
}

/// A tablet in a machine.
pub(super) fn machine() -> (Arc<Tablet>, Bench) {
    let tablet = Arc::new(Tablet::new());
    let bench = Bench::new(device(&tablet));
    (tablet, bench)
}

/// Counts changes of presence.
#[derive(Default)]
pub(super) struct Watcher(AtomicUsize);

impl Watcher {
    pub(super) fn of(tablet: &Tablet) -> Arc<Self> {
        let watcher = Arc::new(Self::default());
        let listener: Arc<dyn TabletListener> = watcher.clone();
        tablet.watch_presence(listener);
        watcher
    }

    pub(super) fn changes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl TabletListener for Watcher {
    fn presence_changed(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The driver.
pub(super) struct Driver<'a> {
    pub(super) rings: Vec<Ring<'a>>,
    event_idx: bool,
}

impl<'a> Driver<'a> {
    /// A driver at work that has given no buffer yet.
    pub(super) fn bare(bench: &'a Bench, features: u64, mode: Mode) -> Self {
        Self {
            rings: bench.start(features, mode, 16),
            event_idx: features & EVENT_IDX != 0,
        }
    }

    /// One that has filled its queue with buffers.
    pub(super) fn new(bench: &'a Bench, mode: Mode) -> Self {
        let mut driver = Self::bare(bench, ALL, mode);
        for _ in 0..16 {
            driver.give();
        }
        driver
    }

    /// The same driver on another machine with the same memory.
    pub(super) fn moved<'b>(&self, bench: &'b Bench) -> Driver<'b> {
        Driver {
            rings: self.rings.iter().map(|ring| ring.moved(bench)).collect(),
            event_idx: self.event_idx,
        }
    }

    /// Gives a buffer.
    pub(super) fn give(&mut self) {
        let ring = &mut self.rings[0];
        let before = ring.next_available;
        let place = HIGH + 8 * u64::from(before % 16);
        ring.add(&[(place, 8, true)]);
        let is_asked_for = if self.event_idx {
            let asked: u16 = ring
                .bench()
                .ram
                .load(GuestAddress(ring.used + 4 + 8 * u64::from(ring.size)), Ordering::SeqCst)
                .unwrap();
            asked == before
        } else {
            ring.used_flags() & 1 == 0
        };
        if is_asked_for {
            ring.kick();
        }
    }

    /// The next event; its buffer is not given back.
    pub(super) fn take(&mut self) -> Event {
        let ring = &mut self.rings[0];
        let (head, length) = ring.wait();
        assert_eq!(length, 8);
        let memory = &ring.bench().ram;
        let at: u64 = memory
            .read_obj(GuestAddress(ring.table + 16 * u64::from(head)))
            .unwrap();
        let read = |offset| memory.read_obj::<u16>(GuestAddress(at + offset)).unwrap();
        (read(0), read(2), memory.read_obj(GuestAddress(at + 4)).unwrap())
    }

    /// The next event.
    pub(super) fn hear(&mut self) -> Event {
        let event = self.take();
        self.give();
        event
    }

    /// The next events up to a SYN_REPORT.
    pub(super) fn group(&mut self) -> Vec<Event> {
        let mut group = Vec::new();
        loop {
            let event = self.hear();
            if event == SYN {
                return group;
            }
            group.push(event);
        }
    }
}
