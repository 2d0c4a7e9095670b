use std::sync::Arc;

use caraway_base::{
    lifecycle::Lifecycle as _,
    migratable_suite,
    state::{Migratable as _, StateError},
};
use caraway_pci::{PciBus, function::PciFunction as _};
use caraway_ports::port::{HostPort, PORT_BYTES};
use vm_memory::{Bytes as _, GuestAddress};

use super::{
    Console, ConsolePorts, ConsoleState,
    fake_driver::{
        DEVICE_READY, Driver, NAME, PORT_ADD, PORT_OPEN, PORT_READY, console, host_ports, named, one_port, taken, told,
        watch,
    },
    message::DriverMessage,
};
use crate::{
    VirtioDevice, VirtioPci,
    test_support::{Bench, HIGH, LIMIT, Mode, common, ram, status},
};

/// Saves the machine and builds it again, with the same memory and a new host.
fn moved(bench: &Bench, ports: &ConsolePorts) -> (HostPort, Arc<ConsolePorts>, Bench) {
    bench.function.pause();
    let (mut hosts, list) = host_ports(&[NAME]);
    let ports = Arc::new(ConsolePorts::restore(list, ports.save()).unwrap());
    let device = Box::new(Console::new(Arc::clone(&ports)).unwrap());
    let restored = VirtioPci::restore((device, bench.ram.clone()), bench.function.save()).unwrap();
    let there = Bench::with(restored, bench.ram.clone());
    PciBus::restore(there.bus.clone(), bench.bus.save()).unwrap();
    there.function.resume();
    (hosts.remove(0), ports, there)
}

#[test]
fn a_driver_that_is_unloaded_ends_the_connection_and_one_that_is_loaded_begins_anew() {
    let (host, _twin, ports, bench) = one_port();
    for round in 1..4 {
        let mut driver = Driver::open(&bench, Mode::Messages);
        assert_eq!((host.connection().number, host.connection().is_open), (round, true));
        driver.write(1, b"left");
        driver.wait_written(1);
        assert_eq!(host.write(round, b"left"), 4);
        bench.reset_device();
        assert!(!host.connection().is_open);
        assert_eq!((taken(&host), host.unread()), (b"".to_vec(), 0));
        assert_eq!(ports.save(), ConsolePorts::new(host_ports(&[NAME]).1).unwrap().save());
    }
}

#[test]
fn a_reset_gives_the_port_to_a_device_that_waits_for_it() {
    let (_host, twin, _, bench) = one_port();
    Driver::open(&bench, Mode::Line);
    assert!(!twin.open());
    bench.reset_device();
    assert!(twin.open());
}

#[test]
fn a_pause_keeps_the_connection_and_a_chain_that_is_half_sent_goes_on_where_it_was() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let text: Vec<u8> = (0..2 * PORT_BYTES).map(|at| (at % 249) as u8).collect();
    bench.ram.write_slice(&text, GuestAddress(HIGH)).unwrap();
    driver.rings[5].add(&[(HIGH, text.len() as u32, false)]);
    driver.rings[5].kick();
    let woken = watch(&host);
    let mut got = Vec::new();
    while got.len() < text.len() {
        woken.recv_timeout(LIMIT).unwrap();
        // Anywhere within the chain.
        let mut some = [0; 1000];
        let count = host.read(1, &mut some);
        got.extend(&some[..count]);
        bench.function.pause();
        let before = driver.rings[5].used_index();
        assert_eq!(host.write(1, b"."), 1);
        got.extend(taken(&host));
        assert_eq!(driver.rings[5].used_index(), before, "nothing moves while paused");
        bench.function.resume();
    }
    driver.wait_written(1);
    assert!(got == text);
    driver.give(1, 100);
    assert!(driver.read(1).starts_with(b"."));
    assert_eq!((host.connection().number, host.connection().is_open), (1, true));
}

#[test]
fn memory_taken_away_and_given_back_neither_loses_nor_repeats_bytes() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let text: Vec<u8> = (0..50 * 1000).map(|at| (at % 247) as u8).collect();
    let mut got = Vec::new();
    for chunk in text.chunks(1000) {
        driver.write(1, chunk);
        bench.set_config(4, 2, 0x402);
        got.extend(taken(&host));
        bench.set_config(4, 2, 0x406);
        driver.wait_written(1);
    }
    got.extend(taken(&host));
    assert!(got == text);
}

#[test]
fn after_a_restore_the_guest_loses_its_connection_and_has_another() {
    for mode in [Mode::Messages, Mode::Line] {
        let (host, _twin, ports, bench) = one_port();
        let mut driver = Driver::open(&bench, mode);
        // Half of it is with the host that is no more.
        bench.ram.write_slice(&[1; 2 * PORT_BYTES], GuestAddress(HIGH)).unwrap();
        driver.rings[5].add(&[(HIGH, 2 * PORT_BYTES as u32, false)]);
        driver.rings[5].kick();
        let woken = watch(&host);
        while host.read(1, &mut [0]) == 0 {
            woken.recv_timeout(LIMIT).unwrap();
        }
        assert_eq!(host.write(1, b"never read"), 10);
        let (there_host, there_ports, there) = moved(&bench, &ports);
        let mut driver = driver.moved(&there);
        assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
        driver.wait_written(1);
        assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
        assert_eq!(
            (there_host.connection().number, there_host.connection().is_open),
            (1, true)
        );
        assert_eq!(taken(&there_host), b"", "what belongs to the old connection is gone");
        driver.write(1, b"anew");
        driver.wait_written(1);
        assert_eq!(taken(&there_host), b"anew");
        driver.give(1, 100);
        assert_eq!(there_host.write(1, b"answer"), 6);
        assert_eq!(driver.read(1), b"answer");
        // Once more, from the first machine's words to a guest that has closed the port.
        driver.say(1, PORT_OPEN, 0);
        let (host, _, third) = moved(&there, &there_ports);
        let mut driver = driver.moved(&third);
        assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
        driver.say(1, PORT_OPEN, 1);
        assert!(host.connection().is_open);
        assert_eq!(third.status(), status::WORKING);
    }
}

#[test]
fn what_a_driver_was_not_told_before_it_is_told_after_a_restore() {
    let (_host, _twin, ports, bench) = one_port();
    let mut driver = Driver::new(&bench, Mode::Messages);
    bench.function.pause();
    driver.put_control(&super::fake_driver::message(0, DEVICE_READY, 1));
    let (_, ports, there) = moved(&bench, &ports);
    let mut driver = driver.moved(&there);
    assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
    driver.say(1, PORT_READY, 1);
    assert_eq!(driver.hear(), named(1, NAME));
    let (_host, _, third) = moved(&there, &ports);
    let mut driver = driver.moved(&third);
    let first = driver.hear();
    assert_eq!(first, told(1, PORT_OPEN, 1));
}

#[test]
fn a_machine_reset_ends_the_connection() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    for _ in 0..12 {
        driver.write(1, &[1; 8000]);
    }
    bench.function.pause();
    bench.function.reset();
    bench.bus.reset();
    assert!(!host.connection().is_open);
    bench.function.resume();
    assert_eq!(bench.status(), 0);
    let mut driver = Driver::open(&bench, Mode::Line);
    driver.write(1, b"anew");
    driver.wait_written(1);
    assert_eq!((host.connection().number, taken(&host)), (2, b"anew".to_vec()));
}

#[test]
fn dropping_the_machine_with_bytes_under_way_ends_its_thread() {
    let (hosts, ports, device) = console(&[NAME]);
    let weak = Arc::downgrade(&ports);
    drop(ports);
    let bench = Bench::new(device);
    let mut driver = Driver::open(&bench, Mode::Messages);
    for _ in 0..12 {
        driver.write(1, &[1; 8000]);
    }
    drop(driver);
    drop(bench);
    assert!(weak.upgrade().is_none());
    assert!(!hosts[0].connection().is_open);
}

fn fresh() -> VirtioPci {
    VirtioPci::new(console(&[NAME]).2, ram()).unwrap()
}

migratable_suite!(
    migratable_function,
    VirtioPci,
    fresh: fresh(),
    args: (console(&[NAME]).2 as Box<dyn VirtioDevice>, ram()),
    change: |device: &VirtioPci| {
        device.bar_write(0, common::STATUS, &[status::ACKNOWLEDGE]);
    }
);

fn fresh_ports() -> ConsolePorts {
    ConsolePorts::new(host_ports(&[NAME, "other"]).1).unwrap()
}

/// Something in every field.
fn change(ports: &ConsolePorts) {
    let mut ports = ports.lock();
    ports.hear(DriverMessage::DeviceReady(true));
    ports.hear(DriverMessage::PortReady(2, true));
    ports.hear(DriverMessage::PortOpen(2, true));
    while let Some((number, message, _)) = ports.message() {
        let now = std::time::Instant::now();
        ports.get_mut(number).unwrap().told(message, now);
    }
}

migratable_suite!(
    migratable_ports,
    ConsolePorts,
    fresh: fresh_ports(),
    args: host_ports(&[NAME, "other"]).1,
    change: change
);

type Damage = fn(&mut ConsoleState);

#[test]
fn states_that_cannot_be_are_refused() {
    let ports = fresh_ports();
    change(&ports);
    let good = ports.save();
    assert!(good.is_ready && good.ports[0].is_added && good.ports[1].is_named && good.ports[1].is_open);
    let restore = |state| ConsolePorts::restore(host_ports(&[NAME, "other"]).1, state);
    assert_eq!(restore(good.clone()).unwrap().save(), good);
    let damage: [(&str, Damage); 6] = [
        ("a port too few", |state| state.ports.truncate(1)),
        ("another name", |state| state.ports[1].name = "third".to_owned()),
        ("another order", |state| state.ports.swap(0, 1)),
        ("ready without being there", |state| state.ports[1].is_added = false),
        ("open without being ready", |state| state.ports[1].is_ready = false),
        ("named without being ready", |state| state.ports[0].is_named = true),
    ];
    for (what, change) in damage {
        let mut state = good.clone();
        change(&mut state);
        assert!(matches!(restore(state), Err(StateError::Invalid { .. })), "{what}");
    }
}
