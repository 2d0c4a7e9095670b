use caraway_base::lifecycle::Lifecycle as _;
use caraway_ports::port::{Connection, HostPort, PORT_BYTES};

use super::{
    ConsoleError, ConsolePorts,
    fake_driver::{
        ALL, DEVICE_READY, Driver, NAME, PORT_ADD, PORT_OPEN, PORT_READY, attended_one_port, console, host_ports,
        message, named, one_port, taken, told, watch,
    },
    port::HANG_UP,
};
use crate::{
    EVENT_IDX,
    test_support::{Bench, DATA, HIGH, LIMIT, Mode, common, status},
};

fn number(number: u64, is_open: bool) -> Connection {
    Connection { number, is_open }
}

#[test]
fn the_configuration_describes_the_ports() {
    for (names, ports) in [(vec![], 1), (vec![NAME], 2), (vec![NAME, "other"], 3)] {
        let (_hosts, _, device) = console(&names);
        let bench = Bench::new(device);
        assert_eq!(bench.config(2, 2), 0x1043);
        assert_eq!(bench.config(8, 4) >> 8, 0x07_8000);
        let at = bench.place(4).0;
        assert_eq!(bench.read(at, 4), 0, "cols and rows");
        assert_eq!(bench.read(at + 4, 4), ports, "max_nr_ports");
        assert_eq!(bench.read(at + 8, 8), 0, "emerg_wr, and nothing after it");
        assert_eq!(
            bench.device_features() & 0xff_ffff,
            1 << 1,
            "multiport and nothing else"
        );
        assert_eq!(bench.common(common::NUM_QUEUES, 2), 2 * ports + 2);
        for (queue, size) in (0..2 * ports + 2).zip([128, 128, 32, 32, 128, 128, 128, 128]) {
            bench.set_common(common::QUEUE_SELECT, 2, queue);
            assert_eq!(bench.common(common::QUEUE_SIZE, 2), size, "queue {queue}");
        }
    }
}

#[test]
fn the_most_ports_there_can_be_have_names_and_queues() {
    let names: Vec<_> = (0..31).map(|number| format!("port.{number}")).collect();
    let (_hosts, _, device) = console(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let bench = Bench::new(device);
    assert_eq!(bench.read(bench.place(4).0 + 4, 4), 32);
    assert_eq!(bench.common(common::NUM_QUEUES, 2), 66);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let refused = |names: &[&str]| ConsolePorts::new(host_ports(names).1).unwrap_err();
    let long = "x".repeat(65);
    for name in ["", "two words", "a/b", "größe", "zero\0", &long] {
        let error = refused(&["good", name]);
        assert!(
            matches!(&error, ConsoleError::Name { name: said } if said == name),
            "{error}"
        );
    }
    assert!(matches!(refused(&["twice", "twice"]), ConsoleError::Name { .. }));
    let many: Vec<_> = (0..32).map(|number| number.to_string()).collect();
    let error = refused(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(matches!(error, ConsoleError::Count { count: 32 }), "{error}");
    assert!(ConsolePorts::new(host_ports(&["x".repeat(64).as_str()]).1).is_ok());
}

#[test]
fn ports_are_told_of_when_the_driver_asks() {
    for mode in [Mode::Messages, Mode::Line] {
        let (hosts, ports, device) = console(&["first", "second"]);
        let bench = Bench::new(device);
        let mut driver = Driver::new(&bench, mode);
        driver.say(0, DEVICE_READY, 1);
        assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
        assert_eq!(driver.hear(), told(2, PORT_ADD, 0));
        driver.say(2, PORT_READY, 1);
        assert_eq!(driver.hear(), named(2, "second"));
        assert_eq!(driver.hear(), told(2, PORT_OPEN, 1));
        driver.say(1, PORT_READY, 1);
        assert_eq!(driver.hear(), named(1, "first"));
        assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
        assert_eq!(hosts[1].connection(), number(0, false));
        driver.say(2, PORT_OPEN, 1);
        assert_eq!(hosts[1].connection(), number(1, true));
        assert_eq!(hosts[0].connection(), number(0, false));
        // Each has its own queues.
        driver.say(1, PORT_OPEN, 1);
        for (port, host, text) in [(1, &hosts[0], b"one"), (2, &hosts[1], b"two")] {
            driver.write(port, text);
            driver.wait_written(port);
            assert_eq!(taken(host), text);
            driver.give(port, 16);
            assert_eq!(host.write(1, b"hello"), 5);
            assert_eq!(driver.read(port), b"hello");
        }
        driver.say(2, PORT_OPEN, 0);
        assert_eq!(hosts[1].connection(), number(1, false));
        assert!(hosts[0].connection().is_open);
        // Nothing was said in between.
        driver.say(1, PORT_READY, 1);
        assert_eq!(driver.hear(), named(1, "first"));
        assert_eq!((ports.ignored(), bench.status()), (0, status::WORKING));
    }
}

#[test]
fn a_driver_that_says_things_twice_is_told_what_it_asks_for_once_more() {
    let (host, _twin, ports, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    driver.say(0, DEVICE_READY, 1);
    driver.say(1, PORT_READY, 1);
    assert_eq!(driver.hear(), named(1, NAME), "the port is not added twice");
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
    driver.say(1, PORT_OPEN, 1);
    assert_eq!(host.connection(), number(1, true), "the same connection");
    driver.say(1, PORT_OPEN, 0);
    driver.say(1, PORT_OPEN, 0);
    assert_eq!(host.connection(), number(1, false));
    driver.say(1, PORT_READY, 1);
    assert_eq!(driver.hear(), named(1, NAME));
    assert_eq!(ports.ignored(), 0);
}

#[test]
fn a_driver_that_fails_has_no_connection() {
    let (host, _twin, ports, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    driver.say(1, PORT_READY, 0);
    assert!(!host.connection().is_open);
    driver.say(1, PORT_OPEN, 1);
    assert_eq!((host.connection(), ports.ignored()), (number(1, false), 1));
    driver.say(1, PORT_READY, 1);
    assert_eq!(driver.hear(), named(1, NAME));
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
    driver.say(1, PORT_OPEN, 1);
    assert_eq!(host.connection(), number(2, true));
    driver.say(1, DEVICE_READY, 0);
    assert_eq!(host.connection(), number(2, false));
    driver.say(1, DEVICE_READY, 1);
    assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
}

/// Linux says no DEVICE_READY when it comes back from a suspend to disk: it knows its ports.
#[test]
fn a_driver_that_comes_back_from_a_suspend_goes_on_with_its_ports() {
    let (hosts, ports, device) = console(&["first", "second"]);
    let bench = Bench::new(device);
    let mut driver = Driver::new(&bench, Mode::Line);
    for (port, name) in [(1, "first"), (2, "second")] {
        driver.say(port, PORT_READY, 1);
        driver.say(port, PORT_OPEN, 1);
        assert_eq!(driver.hear(), named(port, name));
        assert_eq!(driver.hear(), told(port, PORT_OPEN, 1));
    }
    let connections: Vec<_> = hosts.iter().map(HostPort::connection).collect();
    assert_eq!(connections, [number(1, true), number(1, true)]);
    assert_eq!(ports.ignored(), 0);
}

#[test]
fn bytes_go_both_ways_in_any_pieces() {
    for (mode, features) in [
        (Mode::Messages, ALL),
        (Mode::Line, ALL),
        (Mode::Messages, ALL & !EVENT_IDX),
    ] {
        let (host, _twin, _, bench) = one_port();
        let mut driver = Driver::with(&bench, features, mode);
        driver.say(0, DEVICE_READY, 1);
        driver.say(1, PORT_READY, 1);
        driver.say(1, PORT_OPEN, 1);
        let text: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        // From the guest, in chunks of many sizes.
        let (mut sent, mut got) = (0, Vec::new());
        for length in [1, 2, 3, 100, 4096, 8191].into_iter().cycle() {
            let chunk = &text[sent..text.len().min(sent + length)];
            if chunk.is_empty() {
                break;
            }
            driver.write(1, chunk);
            driver.wait_written(1);
            sent += chunk.len();
            got.extend(taken(&host));
        }
        assert!(got == text);
        // To the guest, into buffers of many sizes.
        let (mut sent, mut got) = (0, Vec::new());
        for length in [1, 7, 4096, 8192].into_iter().cycle() {
            sent += host.write(1, &text[sent..]);
            if got.len() == text.len() {
                break;
            }
            driver.give(1, length);
            got.extend(driver.read(1));
        }
        assert!(got == text);
        // No framing is implied: an indirect chain with gaps.
        for (at, bytes) in [(DATA, &b"in"[..]), (DATA + 10, b"dir"), (DATA + 20, b"ect")] {
            vm_memory::Bytes::write_slice(&bench.ram, bytes, vm_memory::GuestAddress(at)).unwrap();
        }
        let parts = [
            (DATA, 2, false),
            (HIGH, 0, false),
            (DATA + 10, 3, false),
            (DATA + 20, 3, false),
        ];
        driver.rings[5].add_indirect(&parts);
        driver.rings[5].kick();
        driver.wait_written(1);
        assert_eq!(taken(&host), b"indirect");
    }
}

#[test]
fn buffers_are_filled_as_soon_as_there_is_something() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    for _ in 0..3 {
        driver.give(1, 100);
    }
    for text in [&b"first"[..], b"second"] {
        assert_eq!(host.write(1, text), text.len());
        assert_eq!(driver.read(1), text);
    }
    // The host is told when everything was taken.
    let woken = watch(&host);
    woken.recv_timeout(LIMIT).unwrap();
    assert_eq!(host.write(1, &[7; 150]), 150);
    driver.give(1, 100);
    assert_eq!((driver.read(1).len(), driver.read(1).len()), (100, 50));
    while host.unread() > 0 {
        woken.recv_timeout(LIMIT).unwrap();
    }
}

#[test]
fn what_the_host_has_no_room_for_stays_in_the_guest() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let text: Vec<u8> = (0..100_000_u32).map(|at| (at % 253) as u8).collect();
    let chunks: Vec<_> = text.chunks(8000).collect();
    for chunk in &chunks {
        driver.write(1, chunk);
    }
    // 8 chunks fit, and a part of the ninth.
    let fitting = PORT_BYTES / 8000;
    for _ in 0..fitting {
        driver.wait_written(1);
    }
    // Something else is answered meanwhile; and then the device has tried all it could.
    driver.say(1, PORT_READY, 1);
    assert_eq!(usize::from(driver.rings[5].used_index()), fitting);
    let mut got = vec![0; 10];
    assert_eq!(host.read(1, &mut got), 10);
    driver.say(1, PORT_READY, 1);
    assert_eq!(
        usize::from(driver.rings[5].used_index()),
        fitting,
        "the ninth has room for 10 bytes more only"
    );
    let woken = watch(&host);
    for _ in fitting..chunks.len() {
        while usize::from(driver.rings[5].used_index()) < chunks.len() && got.len() < text.len() {
            woken.recv_timeout(LIMIT).unwrap();
            got.extend(taken(&host));
        }
        driver.wait_written(1);
    }
    got.extend(taken(&host));
    assert!(got == text, "each byte once, in order");
}

#[test]
fn what_the_guest_wrote_before_it_closed_the_port_is_not_in_the_next_connection() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let old = vec![1; 8000];
    for _ in 0..12 {
        driver.write(1, &old);
    }
    for _ in 0..8 {
        driver.wait_written(1);
    }
    driver.say(1, PORT_OPEN, 0);
    assert_eq!(driver.rings[5].used_index(), 12, "all buffers are back");
    driver.say(1, PORT_OPEN, 1);
    driver.write(1, b"new");
    for _ in 0..5 {
        driver.wait_written(1);
    }
    assert_eq!((host.connection(), taken(&host)), (number(2, true), b"new".to_vec()));
    // The same when the device hears of both at once.
    for _ in 0..12 {
        driver.write(1, &old);
    }
    for _ in 0..8 {
        driver.wait_written(1);
    }
    bench.function.pause();
    driver.put_control(&message(1, PORT_OPEN, 0));
    driver.put_control(&message(1, PORT_OPEN, 1));
    bench.function.resume();
    for _ in 0..4 {
        driver.wait_written(1);
    }
    for _ in 0..2 {
        driver.rings[3].wait();
    }
    assert_eq!((host.connection(), taken(&host)), (number(3, true), b"".to_vec()));
    // Nothing waits in a port that nobody has open.
    driver.say(1, PORT_OPEN, 0);
    driver.write(1, b"lost");
    driver.wait_written(1);
    driver.say(1, PORT_OPEN, 1);
    assert_eq!(taken(&host), b"");
}

#[test]
fn what_the_guest_wrote_right_before_it_closed_the_port_is_not_lost() {
    let (host, bench) = attended_one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    for round in 1..4 {
        // The device hears of both at once.
        bench.function.pause();
        driver.write(1, b"last words");
        driver.put_control(&message(1, PORT_OPEN, 0));
        bench.function.resume();
        driver.wait_written(1);
        driver.rings[3].wait();
        assert_eq!(
            (host.connection(), taken(&host)),
            (number(round, false), b"last words".to_vec())
        );
        driver.say(1, PORT_OPEN, 1);
    }
}

#[test]
fn a_guest_whose_connection_the_host_ends_is_told_and_opens_the_port_again() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Line);
    assert_eq!(host.write(1, b"never read"), 10);
    host.hang_up(1);
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
    driver.write(1, b"the rest");
    driver.wait_written(1);
    driver.say(1, PORT_OPEN, 0);
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
    assert_eq!(host.connection(), number(1, false));
    driver.say(1, PORT_OPEN, 1);
    assert_eq!((host.connection(), taken(&host)), (number(2, true), b"".to_vec()));
    driver.give(1, 100);
    assert_eq!(host.write(2, b"anew"), 4);
    assert_eq!(driver.read(1), b"anew");
}

#[test]
fn a_guest_that_keeps_a_port_open_has_a_new_connection_after_a_while() {
    let (host, _twin, _, bench) = one_port();
    let mut driver = Driver::open(&bench, Mode::Messages);
    let before = std::time::Instant::now();
    host.hang_up(1);
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
    assert!(before.elapsed() >= HANG_UP);
    assert_eq!(host.connection(), number(2, true));
    driver.write(1, b"anew");
    driver.wait_written(1);
    assert_eq!(taken(&host), b"anew");
}

#[test]
fn the_host_side_is_closed_while_another_device_has_the_port() {
    let (host, twin, _, bench) = one_port();
    let mut driver = Driver::ready(&bench, Mode::Messages);
    assert!(twin.open());
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
    driver.say(1, PORT_OPEN, 1);
    driver.write(1, b"for nobody");
    driver.wait_written(1);
    assert_eq!((host.connection(), taken(&host)), (number(1, true), b"".to_vec()));
    twin.close();
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
    assert_eq!(
        host.connection(),
        number(2, true),
        "it is open in the guest, so it is connected"
    );
    assert!(!twin.open());
    driver.write(1, b"for the host");
    driver.wait_written(1);
    assert_eq!(taken(&host), b"for the host");
    driver.say(1, PORT_OPEN, 0);
    assert!(twin.open());
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
}

#[test]
fn a_driver_that_is_ready_while_another_device_has_the_port_is_told_that_it_is_closed() {
    let (_host, twin, _, bench) = one_port();
    assert!(twin.open());
    let mut driver = Driver::new(&bench, Mode::Messages);
    driver.say(0, DEVICE_READY, 1);
    assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
    driver.say(1, PORT_READY, 1);
    assert_eq!(driver.hear(), named(1, NAME));
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 0));
    drop(twin);
    assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
}

#[test]
fn a_driver_without_multiport_writes_to_a_console_that_takes_all_and_says_nothing() {
    let (host, _twin, ports, bench) = one_port();
    let mut rings = bench.start(ALL & !(1 << 1), Mode::Messages, 32);
    rings[0].add(&[(HIGH, 100, true)]);
    rings[0].kick();
    for text in 0..40 {
        rings[1].add(&[(HIGH + text, 100, false)]);
        rings[1].kick();
        assert_eq!(rings[1].wait().1, 0);
    }
    assert_eq!(rings[0].used_index(), 0);
    assert_eq!((host.connection(), ports.ignored()), (number(0, false), 0));
}
