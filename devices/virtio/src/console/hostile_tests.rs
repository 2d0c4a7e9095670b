use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use caraway_base::lifecycle::Lifecycle as _;
use caraway_ports::port::PORT_BYTES;
use proptest::prelude::*;
use vm_memory::{Bytes as _, GuestAddress};

use super::fake_driver::{
    ALL, BUFFER, DEVICE_READY, Driver, NAME, PORT_ADD, PORT_NAME, PORT_OPEN, PORT_READY, console, message, one_port,
    taken, told, watch,
};
use crate::{
    EVENT_IDX,
    test_support::{Bench, DATA, HIGH, HIGH_END, LIMIT, LOW_END, Mode, Part, Ring, status},
};

#[test]
fn messages_that_make_no_sense_are_ignored_and_counted() {
    let (host, _twin, ports, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let good = message(1, PORT_OPEN, 0);
    let mut nonsense: Vec<Vec<u8>> = (0..8).map(|length| good[..length].to_vec()).collect();
    for port in [0, 2, 31, 0xffff, 0x1_0001, 0x8000_0000, u32::MAX] {
        nonsense.push(message(port, PORT_OPEN, 0));
        nonsense.push(message(port, PORT_READY, 1));
    }
    for event in [PORT_ADD, 2, 4, 5, PORT_NAME, 8, 0x100, u16::MAX] {
        nonsense.push(message(1, event, 1));
    }
    for value in [2, 0x100, u16::MAX] {
        for event in [DEVICE_READY, PORT_READY, PORT_OPEN] {
            nonsense.push(message(1, event, value));
        }
    }
    for bytes in &nonsense {
        driver.say_bytes(bytes);
    }
    assert_eq!(ports.ignored(), nonsense.len() as u64);
    assert_eq!((host.connection().number, host.connection().is_open), (1, true));
    // A message that is longer than it need be counts, and one in pieces.
    driver.say_bytes(&[&good[..], b"and more"].concat());
    assert!(!host.connection().is_open);
    bench
        .ram
        .write_slice(&message(1, PORT_OPEN, 1), GuestAddress(DATA))
        .unwrap();
    driver.rings[3].add(&[
        (DATA, 3, false),
        (DATA + 3, 0, false),
        (DATA + 3, 5, false),
        (DATA, 9, true),
    ]);
    driver.rings[3].kick();
    driver.rings[3].wait();
    assert_eq!((host.connection().number, host.connection().is_open), (2, true));
    assert_eq!(ports.ignored(), nonsense.len() as u64);
    assert_eq!(bench.status(), status::WORKING);
}

#[test]
fn a_port_is_not_opened_before_it_is_set_up() {
    let (host, _twin, ports, bench) = one_port();
    let mut driver = Driver::new(&bench, Mode::Line);
    driver.say(1, PORT_OPEN, 1);
    driver.write(1, b"lost");
    driver.wait_written(1);
    driver.say(1, DEVICE_READY, 1);
    driver.say(1, PORT_OPEN, 1);
    assert_eq!((host.connection().number, ports.ignored()), (0, 2));
    assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
}

#[test]
fn a_storm_of_openings_does_nothing_but_open() {
    let (host, twin, ports, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    for _ in 0..500 {
        for value in [0, 1, 1, 0, 0, 1] {
            driver.say(1, PORT_OPEN, value);
        }
    }
    assert_eq!((host.connection().number, host.connection().is_open), (1001, true));
    // The same while the host hangs up all the time, and while another device has the port.
    for _ in 0..200 {
        host.hang_up(host.connection().number);
        driver.say(1, PORT_OPEN, 1);
        driver.say(1, PORT_OPEN, 0);
    }
    assert!(twin.open());
    for value in [0, 1].repeat(200) {
        driver.say(1, PORT_OPEN, value);
    }
    assert!(twin.is_open());
    twin.close();
    while driver.hear() != told(1, PORT_OPEN, 1) || !host.connection().is_open {}
    driver.write(1, b"works");
    let woken = watch(&host);
    let mut got = Vec::new();
    while got.is_empty() {
        woken.recv_timeout(LIMIT).unwrap();
        got = taken(&host);
    }
    assert_eq!(
        (got, ports.ignored(), bench.status()),
        (b"works".to_vec(), 0, status::WORKING)
    );
}

/// Sends a control message on a bare queue and waits until it was taken.
fn say(ring: &mut Ring<'_>, bytes: &[u8]) {
    let at = DATA + 16 * u64::from(ring.next_available % 64);
    ring.bench().ram.write_slice(bytes, GuestAddress(at)).unwrap();
    ring.add(&[(at, bytes.len() as u32, false)]);
    ring.kick();
    ring.wait();
}

/// Gives the device a buffer for a message; how much of it was used.
fn offer(ring: &mut Ring<'_>, parts: &[Part]) -> u32 {
    ring.add(parts);
    ring.kick();
    ring.wait().1
}

#[test]
fn a_driver_without_buffers_for_messages_is_told_the_last_of_each_kind_later() {
    let (host, _twin, _, bench) = one_port();
    let mut rings = bench.start(ALL, Mode::Messages, 32);
    for _ in 0..1000 {
        for event in [DEVICE_READY, PORT_READY, PORT_OPEN] {
            say(&mut rings[3], &message(1, event, 1));
        }
        host.hang_up(host.connection().number);
    }
    for (length, event, value) in [(26, PORT_NAME, 0), (8, PORT_OPEN, 0), (8, PORT_OPEN, 1)] {
        assert_eq!(offer(&mut rings[2], &[(HIGH, 64, true)]), length);
        let read = |at| bench.ram.read_obj::<u16>(GuestAddress(at)).unwrap();
        assert_eq!((read(HIGH + 4), read(HIGH + 6)), (event, value));
    }
}

#[test]
fn buffers_too_small_for_a_message_come_back_empty_and_the_message_waits() {
    let (_host, _twin, ports, bench) = one_port();
    let mut rings = bench.start(ALL, Mode::Messages, 32);
    say(&mut rings[3], &message(0, DEVICE_READY, 1));
    let small: [&[Part]; 4] = [
        &[(HIGH, 7, true)],
        &[(HIGH, 0, true)],
        &[(HIGH, 100, false)],
        &[(HIGH, 100, false), (HIGH, 3, true), (HIGH, 4, true)],
    ];
    for parts in small {
        assert_eq!(offer(&mut rings[2], parts), 0);
    }
    assert_eq!(ports.ignored(), 4);
    assert_eq!(offer(&mut rings[2], &[(HIGH, 3, true), (HIGH + 3, 5, true)]), 8);
    let read = |length| {
        let mut bytes = vec![0; length];
        bench.ram.read_slice(&mut bytes, GuestAddress(HIGH)).unwrap();
        bytes
    };
    assert_eq!(read(8), message(1, PORT_ADD, 0));
    say(&mut rings[3], &message(1, PORT_READY, 1));
    let whole = [&message(1, PORT_NAME, 0)[..], NAME.as_bytes()].concat();
    let length = whole.len() as u32;
    assert_eq!(offer(&mut rings[2], &[(HIGH, length - 1, true)]), 0, "no half names");
    assert_eq!(offer(&mut rings[2], &[(HIGH, length, true)]), length);
    assert_eq!(read(whole.len()), whole);
    assert_eq!((ports.ignored(), bench.status()), (5, status::WORKING));
}

#[test]
fn buffers_without_room_come_back_empty() {
    let (host, _twin, ports, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Line);
    let empty: [&[Part]; 3] = [
        &[(HIGH, 0, true)],
        &[(HIGH, 100, false)],
        &[(HIGH, 100, false), (HIGH, 0, true)],
    ];
    for parts in empty {
        driver.rings[4].add(parts);
    }
    driver.give(1, 100);
    assert_eq!(host.write(1, b"text"), 4);
    for _ in empty {
        assert_eq!(driver.read(1), b"");
    }
    assert_eq!(driver.read(1), b"text");
    driver.say(1, PORT_READY, 1);
    assert_eq!(ports.ignored(), 3);
    // The other way there is nothing to be taken from them.
    for parts in [
        &[(HIGH, 0, false)][..],
        &[(HIGH, 100, true)],
        &[(HIGH, 0, false), (HIGH, 9, true)],
    ] {
        driver.rings[5].add(parts);
        driver.rings[5].kick();
        driver.wait_written(1);
    }
    assert_eq!(taken(&host), b"");
}

#[test]
fn a_chain_larger_than_all_memory_is_taken_in_steps_and_holds_nothing_up() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    // 32 times the same 4 MiB.
    let parts = [(0, LOW_END as u32, false)].repeat(32);
    driver.rings[5].add_indirect(&parts);
    driver.rings[5].kick();
    let woken = watch(&host);
    let (mut got, mut some) = (0, vec![0; PORT_BYTES]);
    while got < 10 << 20 {
        woken.recv_timeout(LIMIT).unwrap();
        loop {
            let count = host.read(1, &mut some);
            if count == 0 {
                break;
            }
            got += count;
        }
        // Messages are answered in between.
        driver.say(1, PORT_READY, 1);
    }
    assert_eq!(driver.rings[5].used_index(), 0);
    bench.reset_device();
    assert!(!host.connection().is_open);
}

/// As above, with a host that takes everything before the device can see that there is no room, so that nothing but the
/// device itself has it go on.
#[test]
fn a_chain_is_taken_to_its_end_by_a_host_that_always_has_room() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let host = Arc::new(host);
    let (got, reader) = (Arc::<AtomicUsize>::default(), Arc::downgrade(&host));
    let count = Arc::clone(&got);
    // Reading here is against the rule for wakers; no other host is as quick.
    host.set_waker(Arc::new(move || {
        let mut some = [0; PORT_BYTES];
        let read = reader.upgrade().map_or(0, |host| host.read(1, &mut some));
        count.fetch_add(read, Ordering::SeqCst);
    }));
    driver.rings[5].add(&[(0, LOW_END as u32, false)]);
    driver.rings[5].kick();
    driver.wait_written(1);
    assert_eq!(got.load(Ordering::SeqCst) as u64, LOW_END);
}

#[test]
fn a_chain_that_shrinks_while_it_waits_is_over() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let size = PORT_BYTES as u32 + 100;
    driver.rings[5].add(&[(HIGH, size, false)]);
    driver.rings[5].kick();
    let woken = watch(&host);
    while host.read(1, &mut [0]) == 0 {
        woken.recv_timeout(LIMIT).unwrap();
    }
    driver.rings[5].describe(driver.rings[5].table, 0, (HIGH, 50, 0, 0));
    let over = || {
        // What was sent before it shrank has been sent.
        let _ = host.read(1, &mut [0; PORT_BYTES]);
        driver.rings[5].used_index() == 1
    };
    bench.wait_for(over, "the chain is over");
    assert_eq!(bench.status(), status::WORKING);
}

#[test]
fn rings_that_are_broken_end_the_connection_and_need_a_reset() {
    let (host, _twin, _, bench) = one_port();
    for queue in 1..6 {
        let mut rings = bench.start(ALL, Mode::Messages, 32);
        say(&mut rings[3], &message(1, PORT_READY, 1));
        say(&mut rings[3], &message(1, PORT_OPEN, 1));
        assert!(host.connection().is_open);
        assert_eq!(host.write(host.connection().number, b"text"), 4);
        rings[queue].add(&[(HIGH_END, 512, queue % 2 == 0)]);
        rings[queue].kick();
        bench.wait_message(0);
        assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
        assert!(!host.connection().is_open);
    }
    Driver::open(&bench, Mode::Messages);
    assert!(host.connection().is_open);
}

/// What a guest's driver may do besides damage to its rings.
#[derive(Clone, Debug)]
enum Act {
    Say(Vec<u8>),
    Write(u32),
    Give(u32),
    HostReads(usize),
    HostWrites(usize),
    HangUp,
    Twin(bool),
    Pause,
}

fn act() -> impl Strategy<Value = Act> {
    let port = prop_oneof![8 => Just(1_u32), 1 => 0_u32..4, 1 => any::<u32>()];
    let event = prop_oneof![8 => prop::sample::select(vec![0_u16, 3, 6]), 1 => any::<u16>()];
    let value = prop_oneof![8 => 0_u16..2, 1 => any::<u16>()];
    prop_oneof![
        6 => (port, event, value).prop_map(|(port, event, value)| Act::Say(message(port, event, value))),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Act::Say),
        4 => (0..BUFFER as u32).prop_map(Act::Write),
        4 => (0..BUFFER as u32).prop_map(Act::Give),
        4 => (0..2 * PORT_BYTES).prop_map(Act::HostReads),
        4 => (0..2 * PORT_BYTES).prop_map(Act::HostWrites),
        1 => Just(Act::HangUp),
        1 => any::<bool>().prop_map(Act::Twin),
        1 => Just(Act::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is in the rings: the device serves it or needs a reset, is reset in time, works afterwards, and has
    /// written only where a descriptor let it and to the used ring.
    #[test]
    fn a_hostile_driver_breaks_its_own_device_at_most(
        descriptors in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..2048, 0_u16..8, 0_u16..32, any::<u64>()), 32),
        heads in prop::collection::vec((1_usize..6, 0_u16..34), 1..40),
        messages in prop::collection::vec((0_u32..3, 0_u16..8, 0_u16..3), 8),
        extra in prop_oneof![8 => Just(0_u16), 1 => any::<u16>()],
        event_idx in any::<bool>(),
    ) {
        let (hosts, _, device) = console(&[NAME]);
        let bench = Bench::new(device);
        let mut rings = bench.start(if event_idx { ALL } else { ALL & !EVENT_IDX }, Mode::Messages, 32);
        // A page that nothing points to.
        let guard = HIGH_END - 4096;
        bench.ram.write_slice(&[0x3c; 4096], GuestAddress(guard)).unwrap();
        for (place, (port, event, value)) in (0..).zip(messages) {
            bench.ram.write_slice(&message(port, event, value), GuestAddress(HIGH + 0x1000 * place)).unwrap();
        }
        let places = [HIGH, HIGH + 0x1000, HIGH + 0x2000, HIGH + 0x3000, DATA, LOW_END - 700];
        for ring in &rings {
            for (index, (place, length, flags, next, wild)) in (0..).zip(&descriptors) {
                let address = if wild % 16 == 0 { *wild } else { *place.get(&places) };
                let length = if wild >> 8 & 1 == 0 { 8 } else { *length };
                if address < guard || address >= HIGH_END {
                    ring.describe(ring.table, index, (address, length, (*flags).into(), *next));
                }
            }
        }
        for (queue, head) in heads {
            rings[queue].offer(head);
            rings[queue].kick();
        }
        // Whether there is a connection is the driver's affair.
        let _ = hosts[0].write(hosts[0].connection().number, b"text");
        rings[3].publish(rings[3].next_available.wrapping_add(extra));
        rings[3].kick();
        bench.reset_device();
        prop_assert!(!hosts[0].connection().is_open);
        let mut page = [0; 4096];
        bench.ram.read_slice(&mut page, GuestAddress(guard)).unwrap();
        prop_assert_eq!(page, [0x3c; 4096]);
        Driver::open(&bench, Mode::Line);
        prop_assert!(hosts[0].connection().is_open);
    }

    /// Whatever a driver with good rings and the host do, in whatever order, the port works at the end.
    #[test]
    fn anything_in_any_order_leaves_a_port_that_works(acts in prop::collection::vec(act(), 1..60)) {
        let (host, twin, _, bench) = one_port();
        let mut driver = Driver::new(&bench, Mode::Messages);
        let mut some = vec![0; 2 * PORT_BYTES];
        for act in acts {
            match act {
                Act::Say(bytes) => driver.say_bytes(&bytes),
                // At most 14 of each can be under way.
                Act::Write(length) if driver.rings[5].next_available - driver.rings[5].used_index() < 14 => {
                    driver.write(1, &vec![0x55; length as usize]);
                }
                Act::Give(length) if driver.rings[4].next_available - driver.rings[4].used_index() < 14 => {
                    driver.give(1, length);
                }
                Act::Write(_) | Act::Give(_) => {}
                Act::HostReads(length) => {
                    let _ = host.read(host.connection().number, &mut some[..length]);
                }
                Act::HostWrites(length) => {
                    let _ = host.write(host.connection().number, &vec![0xaa; length]);
                }
                Act::HangUp => host.hang_up(host.connection().number),
                Act::Twin(true) => {
                    let _ = twin.open();
                }
                Act::Twin(false) => twin.close(),
                Act::Pause => {
                    bench.function.pause();
                    bench.function.resume();
                }
            }
        }
        prop_assert_eq!(bench.status(), status::WORKING);
        twin.close();
        let mut driver = Driver::open(&bench, Mode::Messages);
        driver.write(1, b"works");
        driver.wait_written(1);
        prop_assert_eq!(taken(&host), b"works");
    }
}
