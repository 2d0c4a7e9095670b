use std::sync::{Arc, atomic::Ordering};

use caraway_base::{lifecycle::Lifecycle as _, migratable_suite, state::Migratable as _};
use caraway_pci::PciBus;
use caraway_storage::SECTOR;
use proptest::prelude::*;

use super::{
    block_tests::{ALL, GET_ID, IN, OK, OUT, SECTORS, block, done, header, pattern, start},
    slow_disk::{Slow, slow},
};
use crate::{
    EVENT_IDX, RING_FEATURES, VirtioPci,
    test_support::{Bench, DATA, HIGH, HIGH_END, LOW_END, Mode, common, ram, status},
};

#[test]
fn a_reset_during_a_request_drops_it_and_touches_nothing_afterwards() {
    let (backend, bench) = slow();
    for mode in [Mode::Messages, Mode::Line] {
        backend.close(true);
        let mut ring = start(&bench, ALL, mode);
        ring.write_memory(HIGH, &[0x77; 1024]);
        ring.submit(IN, 0, &[(HIGH, 512, true)]);
        ring.submit(IN, 1, &[(HIGH + 512, 512, true)]);
        ring.kick();
        backend.wait_inside();
        // The host's disk does not answer: the driver gets on, and reads that the reset is not over.
        bench.set_status(0);
        assert_eq!(bench.status(), status::WORKING);
        backend.close(false);
        bench.reset_device();
        let after = ring.memory(HIGH, 1024);
        assert_eq!(after[512..], [0x77; 512], "the second request was never begun");
        assert!(ring.used_index() <= 1);
        assert!(!bench.line());

        let mut ring = start(&bench, ALL, mode);
        let used = ring.used_index();
        assert_eq!(used, 0);
        assert_eq!(ring.read_sectors(3, 1)[0], pattern(3 * SECTOR));
    }
}

#[test]
fn memory_taken_away_during_a_request_is_not_touched_and_the_request_is_done_later() {
    let (backend, bench) = slow();
    backend.close(true);
    let mut ring = start(&bench, ALL, Mode::Messages);
    ring.write_memory(HIGH, &[0x77; 512]);
    ring.submit(IN, 0, &[(HIGH, 512, true)]);
    ring.kick();
    backend.wait_inside();
    bench.set_config(4, 2, 0x402);
    backend.close(false);
    // A pause waits until the device is still.
    bench.function.pause();
    assert_eq!(ring.memory(HIGH, 512), [0x77; 512]);
    assert_eq!(ring.used_index(), 0);
    bench.function.resume();
    bench.set_config(4, 2, 0x406);
    assert_eq!(ring.wait(), (0, 513));
    assert_eq!(ring.memory(HIGH, 512), (0..512).map(pattern).collect::<Vec<_>>());
}

#[test]
fn a_pause_holds_requests_and_a_resume_does_each_of_them_once() {
    let (backend, bench) = slow();
    let mut ring = start(&bench, ALL, Mode::Messages);
    for _ in 0..5 {
        backend.writes.store(0, Ordering::SeqCst);
        backend.close(true);
        let first = ring.next_used;
        for n in 0..10_u64 {
            ring.write_memory(HIGH + 512 * n, &[n as u8 + 1; 512]);
            ring.submit(OUT, n, &[(HIGH + 512 * n, 512, false)]);
        }
        ring.kick();
        backend.wait_inside();
        std::thread::scope(|scope| {
            let pause = scope.spawn(|| bench.function.pause());
            backend.close(false);
            pause.join().unwrap();
        });
        let done = ring.used_index().wrapping_sub(first);
        assert!(done <= 10);
        // Nothing moves while paused, also when the doorbell rings.
        ring.kick();
        let writes = backend.writes.load(Ordering::SeqCst);
        assert_eq!(usize::from(done), writes, "what was begun was finished");
        bench.function.resume();
        for _ in 0..10 {
            ring.wait();
        }
        assert_eq!(ring.used_index().wrapping_sub(first), 10);
        assert_eq!(backend.writes.load(Ordering::SeqCst), 10);
        for n in 0..10_u64 {
            assert_eq!(
                backend.bytes.lock().unwrap()[512 * n as usize..][..512],
                [n as u8 + 1; 512]
            );
        }
    }
}

#[test]
fn queued_requests_move_to_another_machine() {
    let (backend, bench) = slow();
    let mut ring = start(&bench, ALL, Mode::Messages);
    assert_eq!(ring.read_sectors(1, 1)[0], pattern(SECTOR));
    bench.function.pause();
    for n in 0..4_u64 {
        ring.submit(IN, n, &[(HIGH + 512 * n, 512, true)]);
    }
    ring.kick();
    let restored = VirtioPci::restore((block(backend), bench.ram.clone()), bench.function.save()).unwrap();
    let there = Bench::with(restored, bench.ram.clone());
    PciBus::restore(there.bus.clone(), bench.bus.save()).unwrap();
    there.function.resume();
    let mut ring = ring.moved(&there);
    for _ in 0..4 {
        assert_eq!(ring.wait().1, 513);
    }
    assert_eq!(ring.memory(HIGH, 2048), (0..2048).map(pattern).collect::<Vec<_>>());
}

#[test]
fn a_machine_reset_with_requests_queued_forgets_them() {
    let (backend, bench) = slow();
    backend.close(true);
    let mut ring = start(&bench, ALL, Mode::Messages);
    for n in 0..4 {
        ring.submit(OUT, n, &[(HIGH, 512, false)]);
    }
    ring.kick();
    backend.wait_inside();
    std::thread::scope(|scope| {
        let pause = scope.spawn(|| bench.function.pause());
        backend.close(false);
        pause.join().unwrap();
    });
    let writes = backend.writes.load(Ordering::SeqCst);
    bench.function.reset();
    bench.bus.reset();
    bench.function.resume();
    assert_eq!(bench.status(), 0);
    let mut ring = start(&bench, ALL, Mode::Line);
    assert_eq!(ring.read_sectors(9, 1)[0], pattern(9 * SECTOR));
    assert_eq!(backend.writes.load(Ordering::SeqCst), writes);
}

#[test]
fn dropping_the_machine_with_requests_queued_ends_its_thread() {
    let backend = Arc::new(Slow::new());
    let weak = Arc::downgrade(&backend);
    let bench = Bench::new(block(backend));
    let mut ring = start(&bench, ALL, Mode::Messages);
    for n in 0..8 {
        ring.submit(IN, n, &[(HIGH, 512, true)]);
    }
    ring.kick();
    drop(bench);
    assert!(weak.upgrade().is_none());
}

fn fresh() -> VirtioPci {
    VirtioPci::new(block(Arc::new(Slow::new())), ram()).unwrap()
}

migratable_suite!(
    migratable,
    VirtioPci,
    fresh: fresh(),
    args: (block(Arc::new(Slow::new())), ram()),
    change: |device: &VirtioPci| {
        use caraway_pci::function::PciFunction as _;
        device.bar_write(0, common::STATUS, &[status::ACKNOWLEDGE]);
    }
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever is in the rings: the device serves it or needs a reset, is reset in time, works afterwards, and has
    /// written only where a descriptor let it and to the used ring.
    #[test]
    fn a_hostile_driver_breaks_its_own_device_at_most(
        descriptors in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..2048, 0_u16..8, 0_u16..64, any::<u64>()), 64),
        heads in prop::collection::vec(0_u16..66, 1..40),
        indirect in prop::collection::vec((0_u64..8, 0_u32..1100, 0_u16..4, 0_u16..16), 16),
        headers in prop::collection::vec((prop_oneof![8 => 0_u32..14, 1 => any::<u32>()], prop_oneof![8 => 0..SECTORS + 8, 1 => any::<u64>()]), 8),
        extra in prop_oneof![8 => Just(0_u16), 1 => any::<u16>()],
        event_idx in any::<bool>(),
    ) {
        let (_backend, bench) = slow();
        let mut ring = start(&bench, if event_idx { ALL } else { ALL & !EVENT_IDX }, Mode::Messages);
        // A page that nothing points to.
        let guard = HIGH_END - 4096;
        ring.write_memory(guard, &[0x3c; 4096]);
        for (place, (kind, sector)) in (0..).zip(headers) {
            ring.write_memory(HIGH + 0x1000 * place, &header(kind, sector));
        }
        let places = [HIGH, HIGH + 0x1000, HIGH + 0x2000, HIGH + 0x3010, DATA, DATA + 0x100, LOW_END - 700];
        for (index, (place, length, flags, next, wild)) in (0..).zip(descriptors) {
            let address = if wild % 16 == 0 { wild } else { *place.get(&places) };
            // Some have a length that fits what they are: a header, a status, a table.
            let length = match wild >> 8 & 3 { 0 => 16, 1 => 1, 2 => length & !0xf, _ => length };
            if address < guard || address >= HIGH_END {
                ring.describe(ring.table, index, (address, length, flags.into(), next));
            }
        }
        for (index, (place, length, flags, next)) in (0..).zip(indirect) {
            ring.describe(DATA, index, (HIGH + 0x1000 * place, length, flags.into(), next));
        }
        for head in heads {
            ring.offer(head);
        }
        ring.publish(ring.next_available.wrapping_add(extra));
        ring.kick();
        bench.reset_device();
        prop_assert_eq!(ring.memory(guard, 4096), vec![0x3c; 4096]);
        let mut ring = start(&bench, RING_FEATURES, Mode::Line);
        prop_assert_eq!(ring.request(GET_ID, 0, &[(HIGH, 20, true)]), done(OK, 21));
    }
}
