use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use caraway_base::{lifecycle::Lifecycle as _, state::Migratable as _};
use caraway_pci::function::PciFunction as _;
use vm_memory::{Bytes as _, GuestAddress};

use super::VirtioPci;
use crate::{
    Activation, CreateError, EVENT_IDX, NO_VECTOR, RING_FEATURES, VERSION_1, VirtQueue, VirtioDevice, VirtioIdentity,
    test_support::{Bench, DATA, LIMIT, LOW_END, Mode, common, ram, status},
};

const TOY_FEATURE: u64 = 1 << 3;

/// What the test sees of a [`Toy`].
#[derive(Debug, Default)]
pub(super) struct Inside {
    activation: Mutex<Option<Activation>>,
    activated: AtomicUsize,
    deactivated: AtomicUsize,
    /// The device does not stop.
    held: Mutex<bool>,
    released: Condvar,
    config: Mutex<[u8; 8]>,
}

impl Inside {
    /// Serves one request of a queue, as a device's thread would.
    pub(super) fn serve(&self, queue: usize) -> bool {
        let mut activation = self.activation.lock().unwrap();
        let activation = activation.as_mut().expect("the device works");
        let Some(access) = activation.memory.access() else {
            return false;
        };
        let queue = &mut activation.queues[queue];
        let Some(chain) = queue.pop(&access).unwrap() else {
            return false;
        };
        chain.writable.write(&access, 0, b"toy").unwrap();
        queue.complete(&access, &chain, 3).unwrap();
        activation.interrupt.used(queue.index());
        true
    }

    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.released.notify_all();
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Activation) -> T) -> T {
        f(self.activation.lock().unwrap().as_mut().expect("the device works"))
    }

    fn counts(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.activated), count(&self.deactivated))
    }
}

/// A device of two queues that does what the test tells it.
#[derive(Debug)]
pub(super) struct Toy(pub(super) Arc<Inside>);

impl VirtioDevice for Toy {
    fn identity(&self) -> VirtioIdentity {
        VirtioIdentity {
            device: 3,
            class: [7, 0x80, 0],
        }
    }

    fn features(&self) -> u64 {
        TOY_FEATURE
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![16, 8]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let config = self.0.config.lock().unwrap();
        for (to, from) in data.iter_mut().zip(config.iter().skip(offset as usize)) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let mut config = self.0.config.lock().unwrap();
        for (to, from) in config.iter_mut().skip(offset as usize).zip(data) {
            *to = *from;
        }
    }

    fn activate(&mut self, activation: Activation) {
        self.0.activated.fetch_add(1, Ordering::SeqCst);
        *self.0.activation.lock().unwrap() = Some(activation);
    }

    fn deactivate(&mut self) {
        self.0.deactivated.fetch_add(1, Ordering::SeqCst);
    }

    fn reclaim(&mut self, patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
        let held = self.0.held.lock().unwrap();
        let (held, _) = self
            .0
            .released
            .wait_timeout_while(held, patience.unwrap_or(LIMIT), |held| *held)
            .unwrap();
        if *held {
            return None;
        }
        Some(
            self.0
                .activation
                .lock()
                .unwrap()
                .take()
                .map_or(Vec::new(), |a| a.queues),
        )
    }
}

pub(super) fn toy() -> (Arc<Inside>, Bench) {
    let inside = Arc::new(Inside::default());
    *inside.config.lock().unwrap() = *b"config!!";
    let bench = Bench::new(Box::new(Toy(Arc::clone(&inside))));
    (inside, bench)
}

#[test]
fn config_space_is_that_of_a_modern_device() {
    let (_, bench) = toy();
    assert_eq!(bench.config(0, 2), 0x1af4);
    assert_eq!(bench.config(2, 2), 0x1040 + 3);
    assert!(bench.config(8, 1) >= 1, "revision");
    assert_eq!(bench.config(8, 4) >> 8, 0x07_8000);
    assert_eq!(bench.config(0x2c, 2), 0x1af4);
    assert!(bench.config(0x2e, 2) >= 0x40, "legacy drivers keep away");
    assert_eq!(bench.config(0x3d, 1), 1, "INTA#");
    assert_eq!(bench.config(6, 2) & 0x10, 0x10, "capability list");
}

#[test]
fn every_structure_is_there_once_and_where_linux_asks_for_it() {
    let (_, bench) = toy();
    let mut kinds = Vec::new();
    for (at, id) in bench.capabilities() {
        if id != 9 {
            assert_eq!(id, 0x11);
            assert_eq!(bench.config(at + 2, 2) & 0x7ff, 2, "three vectors, counted from 0");
            continue;
        }
        let (length, kind) = (bench.config(at + 2, 1), bench.config(at + 3, 1) as u8);
        assert_eq!(length, if matches!(kind, 2 | 5) { 20 } else { 16 });
        if kind != 5 {
            let (bar, offset, size) = (
                bench.config(at + 4, 1),
                bench.config(at + 8, 4),
                bench.config(at + 12, 4),
            );
            let least = [0, 56, 2, 1, 4][usize::from(kind)];
            let aligned = [1, 4, 2, 1, 4][usize::from(kind)];
            assert!(bar == 0 && size >= least && offset % aligned == 0 && offset + size <= 0x4000);
        }
        kinds.push(kind);
    }
    kinds.sort_unstable();
    assert_eq!(kinds, [1, 2, 3, 4, 5]);
    assert!(bench.notify_multiplier().is_power_of_two() && bench.notify_multiplier() >= 2);
    for queue in 0..2 {
        bench.set_common(common::QUEUE_SELECT, 2, queue);
        let offset = bench.common(common::QUEUE_NOTIFY_OFF, 2) * bench.notify_multiplier();
        assert!(offset + 2 <= bench.place(2).1);
    }
}

#[test]
fn registers_read_the_same_at_every_width() {
    let (_, bench) = toy();
    bench.negotiate(RING_FEATURES);
    bench.set_common(common::QUEUE_DESC, 8, 0x1122_3344_5566_7788);
    for (start, length) in [(bench.place(1).0, bench.place(1).1), (bench.place(4).0, 16)] {
        let bytes: Vec<u64> = (0..length).map(|at| bench.read(start + at, 1)).collect();
        for width in [2, 4, 8] {
            for at in 0..=length - width {
                let wide = bench.read(start + at, width as usize);
                let joined = (0..width)
                    .rev()
                    .fold(0, |value, byte| value << 8 | bytes[(at + byte) as usize]);
                assert_eq!(wide, joined, "{width} bytes at {at}");
            }
        }
    }
    assert_eq!(bench.read(bench.place(4).0, 8), u64::from_le_bytes(*b"config!!"));
    assert_eq!(
        bench.read(bench.place(4).0 + 6, 4),
        u64::from(u16::from_le_bytes(*b"!!"))
    );
}

#[test]
fn the_device_gets_what_is_written_to_its_configuration() {
    let (inside, bench) = toy();
    bench.write(bench.place(4).0 + 2, 2, 0x4241);
    bench.write(bench.place(4).0 + 7, 4, 0x5a5a_5a5a);
    assert_eq!(*inside.config.lock().unwrap(), *b"coABig!Z");
}

#[test]
fn features_are_agreed_on_once() {
    let (inside, bench) = toy();
    assert_eq!(bench.device_features(), RING_FEATURES | TOY_FEATURE);
    bench.set_common(common::DEVICE_FEATURE_SELECT, 4, 2);
    assert_eq!(bench.common(common::DEVICE_FEATURE, 4), 0);

    let first = status::ACKNOWLEDGE | status::DRIVER;
    for refused in [0, TOY_FEATURE, VERSION_1 | 1 << 40, VERSION_1 | 1] {
        bench.reset_device();
        bench.set_status(first);
        bench.set_driver_features(refused);
        bench.set_status(first | status::FEATURES_OK);
        assert_eq!(bench.status(), first, "{refused:#x}");
        bench.set_status(status::WORKING);
        assert_eq!(bench.status(), first, "{refused:#x}");
    }
    assert_eq!(inside.counts().0, 0);

    bench.negotiate(TOY_FEATURE | EVENT_IDX);
    bench.set_driver_features(VERSION_1);
    bench.set_status(status::WORKING);
    assert_eq!(inside.with(|a| a.features), VERSION_1 | TOY_FEATURE | EVENT_IDX);
    bench.set_common(common::DRIVER_FEATURE_SELECT, 4, 0);
    assert_eq!(bench.common(common::DRIVER_FEATURE, 4), TOY_FEATURE | EVENT_IDX);
}

#[test]
fn only_a_reset_takes_status_bits_away() {
    let (inside, bench) = toy();
    bench.start(RING_FEATURES, Mode::Line, 8);
    bench.set_status(status::ACKNOWLEDGE);
    assert_eq!(bench.status(), status::WORKING);
    bench.set_status(status::WORKING | status::NEEDS_RESET | 0x30);
    assert_eq!(bench.status(), status::WORKING, "bits that are not the driver's");
    bench.set_status(status::WORKING);
    assert_eq!(inside.counts(), (1, 0), "started once");
    bench.set_common(common::STATUS, 2, 0);
    assert_eq!(bench.status(), status::WORKING, "a write of another width");
    bench.reset_device();
    assert_eq!(inside.counts(), (1, 1));
}

#[test]
fn a_driver_that_gave_up_gets_nothing() {
    let (inside, bench) = toy();
    bench.negotiate(RING_FEATURES);
    bench.set_status(status::FAILED);
    bench.set_status(status::WORKING);
    assert_eq!(bench.status() & status::DRIVER_OK, 0);
    bench.function.pause();
    bench.function.resume();
    assert_eq!(inside.counts(), (0, 0));
}

#[test]
fn queue_registers_take_what_can_be_and_are_fixed_once_enabled() {
    let (inside, bench) = toy();
    bench.negotiate(RING_FEATURES);
    assert_eq!(bench.common(common::NUM_QUEUES, 2), 2);
    bench.set_common(common::QUEUE_SELECT, 2, 1);
    assert_eq!(bench.common(common::QUEUE_SIZE, 2), 8, "the largest is shown first");
    for (written, read) in [(4, 4), (0, 4), (3, 4), (16, 4), (0x1_0008 & 0xffff, 8), (2, 2)] {
        bench.set_common(common::QUEUE_SIZE, 2, written);
        assert_eq!(bench.common(common::QUEUE_SIZE, 2), read, "after {written}");
    }
    bench.set_common(common::QUEUE_ENABLE, 2, 2);
    assert_eq!(bench.common(common::QUEUE_ENABLE, 2), 0, "only 1 enables");
    bench.set_common(common::QUEUE_DESC, 8, DATA);
    bench.set_common(common::QUEUE_DRIVER, 8, DATA + 0x1000);
    bench.set_common(common::QUEUE_DEVICE, 4, DATA + 0x2000);
    bench.set_common(common::QUEUE_ENABLE, 2, 1);
    for (register, width) in [
        (common::QUEUE_ENABLE, 2),
        (common::QUEUE_SIZE, 2),
        (common::QUEUE_DESC, 8),
    ] {
        bench.set_common(register, width, 0);
    }
    bench.set_common(common::QUEUE_SIZE, 2, 8);
    assert_eq!(bench.common(common::QUEUE_ENABLE, 2), 1);
    assert_eq!(bench.common(common::QUEUE_SIZE, 2), 2);
    assert_eq!(bench.common(common::QUEUE_DESC, 8), DATA);

    bench.set_status(status::WORKING);
    let queues = inside.with(|a| a.queues.iter().map(|q| (q.index(), q.size())).collect::<Vec<_>>());
    assert_eq!(queues, [(1, 2)], "only what was enabled");
    bench.set_common(common::QUEUE_SELECT, 2, 0);
    bench.set_common(common::QUEUE_ENABLE, 2, 1);
    assert_eq!(bench.common(common::QUEUE_ENABLE, 2), 0, "too late");

    bench.reset_device();
    bench.set_common(common::QUEUE_SELECT, 2, 1);
    assert_eq!(bench.common(common::QUEUE_ENABLE, 2), 0);
    assert_eq!(bench.common(common::QUEUE_SIZE, 2), 8);
    assert_eq!(bench.common(common::QUEUE_DESC, 8), 0);
}

#[test]
fn a_queue_that_is_not_there_has_no_size_and_takes_nothing() {
    let (_, bench) = toy();
    bench.negotiate(RING_FEATURES);
    for queue in [2, 0xffff] {
        bench.set_common(common::QUEUE_SELECT, 2, queue);
        for register in [common::QUEUE_SIZE, common::QUEUE_ENABLE, common::QUEUE_VECTOR] {
            bench.set_common(register, 2, 1);
        }
        bench.set_common(common::QUEUE_DESC, 8, DATA);
        assert_eq!(bench.common(common::QUEUE_SIZE, 2), 0);
        assert_eq!(bench.common(common::QUEUE_ENABLE, 2), 0);
        assert_eq!(bench.common(common::QUEUE_VECTOR, 2), u64::from(NO_VECTOR));
        assert_eq!(bench.common(common::QUEUE_DESC, 8), 0);
    }
}

#[test]
fn a_vector_that_is_not_there_reads_back_as_none() {
    let (_, bench) = toy();
    bench.negotiate(RING_FEATURES);
    for register in [common::CONFIG_VECTOR, common::QUEUE_VECTOR] {
        for (written, read) in [(2, 2), (3, 0xffff), (0, 0), (0xffff, 0xffff), (0x8000, 0xffff)] {
            bench.set_common(register, 2, written);
            assert_eq!(bench.common(register, 2), read);
        }
    }
}

#[test]
fn with_msix_each_queue_has_its_own_message_and_inta_is_quiet() {
    let (inside, bench) = toy();
    let mut rings = bench.start(VERSION_1, Mode::Messages, 8);
    for (index, ring) in rings.iter_mut().enumerate() {
        ring.add(&[(DATA, 16, true)]);
        assert!(inside.serve(index));
        let told: Vec<_> = (0..3).map(|vector| bench.take_message(vector)).collect();
        assert_eq!(told, if index == 0 { [0, 1, 0] } else { [0, 0, 1] });
        assert_eq!(ring.wait(), (0, 3));
        assert!(!bench.line());
    }
    assert_eq!(bench.isr(), 0);
    // Two queues may share a vector, and a queue may have none.
    for (vector, told) in [(0_u16, 1), (NO_VECTOR, 0)] {
        bench.set_common(common::QUEUE_SELECT, 2, 1);
        bench.set_common(common::QUEUE_VECTOR, 2, vector.into());
        inside.with(|a| a.interrupt.used(1));
        assert_eq!(
            (0..3).map(|vector| bench.take_message(vector)).collect::<Vec<_>>(),
            [told, 0, 0]
        );
    }
}

#[test]
fn without_msix_the_isr_register_tells_and_reading_it_lowers_inta() {
    let (inside, bench) = toy();
    let mut rings = bench.start(VERSION_1, Mode::Line, 8);
    rings[1].add(&[(DATA, 16, true)]);
    assert!(inside.serve(1));
    assert!(bench.line());
    assert_eq!(bench.config(6, 2) & 8, 8, "interrupt status");
    assert_eq!(bench.wait_line(), 1);
    assert!(!bench.line());
    assert_eq!(bench.isr(), 0, "reading clears");
    inside.with(|a| {
        a.interrupt.used(0);
        a.interrupt.config_changed();
    });
    assert_eq!(bench.wait_line(), 3);
    assert_eq!((0..3).map(|vector| bench.take_message(vector)).sum::<u64>(), 0);
    inside.with(|a| a.interrupt.used(0));
    bench.reset_device();
    assert!(!bench.line(), "a reset takes back what was not seen");
    assert_eq!(bench.isr(), 0);
}

#[test]
fn a_change_of_the_configuration_changes_its_generation() {
    let (inside, bench) = toy();
    for mode in [Mode::Messages, Mode::Line] {
        bench.start(VERSION_1, mode, 8);
        let before = bench.common(common::GENERATION, 1);
        assert_eq!(bench.common(common::GENERATION, 1), before);
        inside.with(|a| a.interrupt.config_changed());
        assert_ne!(bench.common(common::GENERATION, 1), before);
        if mode == Mode::Messages {
            bench.wait_message(0);
            assert!(!bench.line());
            assert_eq!(bench.isr(), 2, "shown with messages too");
        } else {
            assert_eq!(bench.wait_line(), 2);
        }
    }
}

#[test]
fn rings_that_cannot_be_need_a_reset_and_a_reset_is_enough() {
    let (inside, bench) = toy();
    for mode in [Mode::Messages, Mode::Line] {
        bench.enable(mode);
        bench.negotiate(VERSION_1);
        bench.set_common(common::CONFIG_VECTOR, 2, 0);
        bench.set_common(common::QUEUE_SELECT, 2, 0);
        for (register, address) in [
            (common::QUEUE_DESC, DATA),
            (common::QUEUE_DRIVER, DATA + 0x1000),
            (common::QUEUE_DEVICE, LOW_END),
        ] {
            bench.set_common(register, 8, address);
        }
        bench.set_common(common::QUEUE_ENABLE, 2, 1);
        let before = inside.counts();
        bench.set_status(status::WORKING);
        assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
        assert_eq!(inside.counts(), before);
        match mode {
            Mode::Messages => bench.wait_message(0),
            Mode::Line => assert_eq!(bench.wait_line(), 2),
        }
        bench.set_status(status::WORKING);
        assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
        bench.function.pause();
        bench.function.resume();
        assert_eq!(inside.counts(), before, "still broken after a pause");

        let mut rings = bench.start(VERSION_1, mode, 8);
        assert_eq!(bench.status(), status::WORKING);
        rings[0].add(&[(DATA, 16, true)]);
        assert!(inside.serve(0));
        assert_eq!(rings[0].wait(), (0, 3));
    }
}

#[test]
fn a_reset_waits_for_the_device_without_holding_up_the_driver() {
    let (inside, bench) = toy();
    bench.start(VERSION_1, Mode::Line, 8);
    inside.hold(true);
    let start = Instant::now();
    bench.set_status(0);
    assert!(start.elapsed() < LIMIT / 2);
    assert_eq!(bench.status(), status::WORKING, "not yet");
    inside.with(|a| {
        a.interrupt.used(0);
        a.interrupt.needs_reset();
    });
    assert!(!bench.line(), "what is being reset does not interrupt");
    // Nothing else is taken meanwhile, a second reset least of all.
    bench.set_status(0);
    bench.set_status(status::ACKNOWLEDGE);
    bench.set_common(common::QUEUE_SELECT, 2, 0);
    assert_ne!(bench.status(), 0);
    assert_eq!(bench.common(common::QUEUE_SELECT, 2), 1);
    assert_eq!(inside.counts(), (1, 1));

    inside.hold(false);
    assert_eq!(bench.status(), 0);
    bench.start(VERSION_1, Mode::Line, 8);
    assert_eq!(bench.status(), status::WORKING);
    assert_eq!(inside.counts(), (2, 1));
}

#[test]
fn a_driver_that_does_not_wait_for_its_reset_gets_a_device_that_was_reset() {
    let (inside, bench) = toy();
    bench.start(VERSION_1, Mode::Line, 8);
    inside.hold(true);
    bench.set_status(0);
    inside.hold(false);
    bench.set_status(status::ACKNOWLEDGE);
    assert_eq!(bench.status(), status::ACKNOWLEDGE);
}

#[test]
fn doorbells_are_events_and_work_at_other_widths_too() {
    let (inside, bench) = toy();
    let rings = bench.start(VERSION_1, Mode::Line, 8);
    let kicks = || {
        inside.with(|a| {
            a.queues
                .iter()
                .map(|q| q.kick().read().unwrap_or(0))
                .collect::<Vec<_>>()
        })
    };
    kicks();
    rings[1].kick();
    assert_eq!(bench.doorbells_rung(), 1, "past the device");
    assert_eq!(kicks(), [0, 1]);
    rings[0].kick();
    assert_eq!((bench.doorbells_rung(), kicks()), (2, vec![1, 0]));
    bench.write(bench.place(2).0, 4, 0);
    assert_eq!((bench.doorbells_rung(), kicks()), (2, vec![1, 0]));
    bench.write(bench.place(2).0 + 2 * bench.notify_multiplier(), 2, 2);
    assert_eq!(kicks(), [0, 0], "no such queue");
}

#[test]
fn the_window_in_config_space_reaches_all_registers() {
    let (inside, bench) = toy();
    let (at, _) = *bench
        .capabilities()
        .iter()
        .find(|(at, id)| *id == 9 && bench.config(at + 3, 1) == 5)
        .unwrap();
    let point = |bar: u64, offset: u64, length: u64| {
        bench.set_config(at + 4, 1, bar);
        bench.set_config(at + 8, 4, offset);
        bench.set_config(at + 12, 4, length);
    };
    point(0, common::NUM_QUEUES, 2);
    assert_eq!(
        (
            bench.config(at + 4, 1),
            bench.config(at + 8, 4),
            bench.config(at + 12, 4)
        ),
        (0, 0x12, 2)
    );
    assert_eq!(bench.config(at + 16, 2), 2);
    let config = bench.place(4).0 - bench.place(1).0;
    point(0, config, 4);
    assert_eq!(bench.config(at + 16, 4), u64::from(u32::from_le_bytes(*b"conf")));
    point(0, config + 1, 1);
    bench.set_config(at + 16, 1, u64::from(b'0'));
    assert_eq!(*inside.config.lock().unwrap(), *b"c0nfig!!");
    // Memory decode off: firmware uses the window before it has given addresses.
    bench.set_config(4, 2, 0);
    point(0, common::STATUS, 1);
    bench.set_config(at + 16, 1, u64::from(status::ACKNOWLEDGE));
    assert_eq!(bench.config(at + 16, 1), u64::from(status::ACKNOWLEDGE));
    point(0, bench.place(2).0 - bench.place(1).0, 2);
    bench.set_config(at + 16, 2, 0);

    for (bar, offset, length) in [
        (1, 0, 4),
        (0, 0x4000, 4),
        (0, 0xffff_fffc, 4),
        (0, config + 1, 4),
        (0, config, 3),
        (0, config, 0),
        (0, config, 8),
        (0xff, config, 4),
    ] {
        point(bar, offset, length);
        bench.set_config(at + 16, 4, 0x5a5a_5a5a);
        bench.config(at + 16, 4);
    }
    assert_eq!(*inside.config.lock().unwrap(), *b"c0nfig!!");
}

#[test]
fn memory_is_out_of_reach_while_the_guest_forbids_it() {
    let (inside, bench) = toy();
    let mut rings = bench.start(VERSION_1, Mode::Line, 8);
    bench.set_config(4, 2, 2);
    rings[0].add(&[(DATA, 16, true)]);
    rings[0].kick();
    assert!(!inside.serve(0));
    inside.with(|a| a.queues[0].kick().read()).unwrap();
    bench.set_config(4, 2, 6);
    assert_eq!(
        inside.with(|a| a.queues[0].kick().read()).unwrap(),
        1,
        "woken to look again"
    );
    assert!(inside.serve(0));
    assert_eq!(rings[0].wait(), (0, 3));
}

#[test]
fn a_pause_gives_the_queues_back_and_a_resume_goes_on() {
    let (inside, bench) = toy();
    let mut rings = bench.start(VERSION_1, Mode::Line, 8);
    for _ in 0..3 {
        rings[0].add(&[(DATA, 16, true)]);
    }
    assert!(inside.serve(0));
    bench.function.pause();
    bench.function.pause();
    assert!(inside.activation.lock().unwrap().is_none());
    let saved = bench.function.save();
    assert_eq!((saved.queues[0].next_available, saved.queues[0].next_used), (1, 1));
    bench.function.resume();
    bench.function.resume();
    assert_eq!(inside.counts(), (2, 1));
    assert!(inside.serve(0) && inside.serve(0) && !inside.serve(0));
    assert_eq!((rings[0].wait().0, rings[0].wait().0, rings[0].wait().0), (0, 1, 2));
}

#[test]
fn a_pause_during_a_reset_ends_the_reset() {
    let (inside, bench) = toy();
    bench.start(VERSION_1, Mode::Line, 8);
    inside.hold(true);
    bench.set_status(0);
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| bench.function.pause());
        inside.hold(false);
        pause.join().unwrap();
    });
    assert_eq!(bench.function.save().status, 0);
    bench.function.resume();
    assert_eq!((bench.status(), inside.counts()), (0, (1, 1)));
}

#[test]
fn a_reset_of_the_machine_is_power_on() {
    let (inside, bench) = toy();
    let fresh = bench.function.save();
    let mut rings = bench.start(RING_FEATURES, Mode::Line, 8);
    rings[0].add(&[(DATA, 16, true)]);
    rings[0].kick();
    inside.with(|a| a.interrupt.used(0));
    bench.function.pause();
    bench.function.reset();
    bench.bus.reset();
    bench.function.resume();
    assert_eq!(bench.function.save(), fresh);
    assert!(!bench.line());
    assert_eq!(inside.counts(), (1, 1));
    let mut rings = bench.start(VERSION_1, Mode::Messages, 8);
    rings[1].add(&[(DATA, 16, true)]);
    assert!(inside.serve(1));
    assert_eq!(rings[1].wait(), (0, 3));
}

#[test]
fn a_device_with_impossible_queues_is_refused() {
    #[derive(Debug)]
    struct Odd(Vec<u16>);

    impl VirtioDevice for Odd {
        fn identity(&self) -> VirtioIdentity {
            VirtioIdentity {
                device: 1,
                class: [2, 0, 0],
            }
        }
        fn features(&self) -> u64 {
            0
        }
        fn queue_sizes(&self) -> Vec<u16> {
            self.0.clone()
        }
        fn read_config(&self, _offset: u64, _data: &mut [u8]) {}
        fn activate(&mut self, _activation: Activation) {}
        fn deactivate(&mut self) {}
        fn reclaim(&mut self, _patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
            None
        }
    }

    for sizes in [vec![0], vec![100], vec![8, 3], vec![8; 67]] {
        let refused = VirtioPci::new(Box::new(Odd(sizes)), ram());
        assert!(matches!(refused, Err(CreateError::Queues { .. })));
    }
    assert_eq!(
        VirtioPci::new(Box::new(Odd(vec![8; 66])), ram()).unwrap().bars().len(),
        2
    );
}

#[test]
fn accesses_of_any_shape_anywhere_do_no_harm() {
    let (_, bench) = toy();
    bench.enable(Mode::Messages);
    let (bar, _) = bench.place(1);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let width = 1 << (state & 3);
        let offset = match state >> 2 & 3 {
            0 => state >> 8 & 0x3fff,
            1 => bench.place(4).0 - bar + (state >> 8 & 0xf),
            _ => state >> 8 & 0x3f,
        };
        let offset = offset.min(0x4000 - width as u64);
        let value = if state & 0x10 == 0 {
            state >> 40 & 0xf
        } else {
            state >> 24
        };
        if state & 0x20 == 0 {
            bench.write(bar + offset, width, value);
        } else {
            bench.read(bar + offset, width);
        }
    }
    bench.ram.write_slice(&[0; 16], GuestAddress(DATA)).unwrap();
    bench.start(VERSION_1, Mode::Messages, 8);
    assert_eq!(bench.status(), status::WORKING);
}
