//! The way of the data, and who is told when (VDIPort 5 and 7).

use caraway_base::memory::SharedMemory;
use caraway_ports::port::PORT_BYTES;

use crate::testing::{CONNECTION, CONS, GENERATION, INPUT, NOTIFY, NOTIFY_ON_CONS, NOTIFY_ON_PROD, OUTPUT, PROD, Rig};

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// The data of packets that were taken.
fn data(packets: &[(u32, Vec<u8>, bool)]) -> Vec<u8> {
    packets.iter().flat_map(|(_, data, _)| data.clone()).collect()
}

/// Fills the host's side of the port so that so many bytes have room.
fn leave_room(rig: &Rig, room: usize) {
    let mut left = PORT_BYTES - room;
    while left > 0 {
        let count = left.min(504);
        rig.send(rig.load(GENERATION), &vec![0; count]);
        left -= count;
    }
    rig.outl(NOTIFY, 0);
    assert_eq!(rig.waiting(INPUT), 0);
}

#[test]
fn packets_of_the_guest_become_a_stream_of_bytes() {
    let rig = Rig::new();
    rig.connect();
    let sent = bytes(100 * 504);
    let (mut rest, mut size) = (&sent[..], 0);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(size.min(rest.len()));
        rig.send(1, now);
        rest = later;
        size = (size + 37) % 505;
    }
    assert_eq!(rig.waiting(INPUT), 0);
    assert!(rig.heard() == sent);
    assert!(rig.load(INPUT + PROD) > 200, "the ring was gone round often");
}

#[test]
fn what_the_host_says_comes_in_packets_of_504_bytes() {
    let rig = Rig::new();
    rig.connect();
    let said = bytes(1000);
    assert_eq!(rig.say(&said), 1000);
    let taken: Vec<_> = std::iter::from_fn(|| rig.take()).collect();
    assert_eq!(
        taken.iter().map(|(_, data, _)| data.len()).collect::<Vec<_>>(),
        [504, 496]
    );
    assert!(taken.iter().all(|(generation, ..)| *generation == 1));
    assert!(data(&taken) == said);
}

#[test]
fn the_device_asks_to_be_notified_of_the_next_packet_when_it_has_read_all() {
    let rig = Rig::new();
    rig.connect();
    assert_eq!(rig.load(INPUT + NOTIFY_ON_PROD), 1);
    for count in 1..=70 {
        assert!(rig.send(1, b"x"), "packet {count}");
        assert_eq!(rig.load(INPUT + NOTIFY_ON_PROD), count + 1);
    }
    // Of a batch, only the first one is asked for.
    assert!(rig.put(1, 1, b"a") && !rig.put(1, 1, b"b") && !rig.put(1, 1, b"c"));
    rig.outl(NOTIFY, 0);
    assert_eq!((rig.heard().len(), rig.load(INPUT + NOTIFY_ON_PROD)), (73, 74));
}

#[test]
fn the_guest_is_told_of_the_packet_it_waits_for_and_of_no_other() {
    let rig = Rig::new();
    rig.connect();
    rig.say(b"first");
    assert!(rig.take_interrupt(), "the mark is at 1 to begin with");
    rig.say(b"second");
    rig.say(b"third");
    assert!(!rig.take_interrupt());
    while rig.take().is_some() {}
    rig.store(OUTPUT + NOTIFY_ON_PROD, 5);
    rig.say(b"fourth");
    assert!(!rig.take_interrupt());
    rig.say(b"fifth");
    assert!(rig.level() && rig.take_interrupt());
}

#[test]
fn the_guest_is_told_when_the_packet_it_waits_for_is_read() {
    let rig = Rig::new();
    rig.connect();
    rig.store(INPUT + NOTIFY_ON_CONS, 2);
    rig.send(1, b"a");
    assert!(!rig.take_interrupt());
    rig.send(1, b"b");
    assert!(rig.level() && rig.take_interrupt());
    rig.send(1, b"c");
    assert!(!rig.take_interrupt());
    // A packet that is dropped is read too.
    rig.store(INPUT + NOTIFY_ON_CONS, 4);
    rig.send(9, b"of another");
    assert!(rig.take_interrupt());
    assert_eq!(rig.heard(), b"abc");
}

#[test]
fn a_full_ring_stops_the_host_until_the_guest_takes_a_packet() {
    let rig = Rig::new();
    rig.connect();
    let said = bytes(40 * 504);
    assert_eq!(rig.say(&said), said.len());
    assert_eq!(rig.waiting(OUTPUT), 32);
    assert_eq!((rig.host.unread(), rig.load(OUTPUT + NOTIFY_ON_CONS)), (8 * 504, 1));
    let mut taken = vec![rig.take().unwrap()];
    assert!(taken[0].2, "it was asked for");
    assert!(!rig.take().is_none_or(|packet| {
        let notify = packet.2;
        taken.push(packet);
        notify
    }));
    assert_eq!(rig.waiting(OUTPUT), 30, "until then nothing is put");
    rig.outl(NOTIFY, 0);
    assert_eq!((rig.waiting(OUTPUT), rig.load(OUTPUT + NOTIFY_ON_CONS)), (32, 3));
    while let Some(packet) = rig.take() {
        let notify = packet.2;
        taken.push(packet);
        if notify {
            rig.outl(NOTIFY, 0);
        }
    }
    assert!(data(&taken) == said);
    assert_eq!(rig.host.unread(), 0);
}

#[test]
fn a_packet_is_given_back_when_its_last_byte_was_read() {
    let rig = Rig::new();
    rig.connect();
    leave_room(&rig, 100);
    let before = rig.load(INPUT + CONS);
    let sent = bytes(504);
    rig.send(1, &sent);
    rig.send(1, b"end");
    assert_eq!(rig.waiting(INPUT), 2, "100 bytes of it are read");
    // What the guest does to it now has no effect: it was copied when it was looked at.
    let at = INPUT + 0x14 + 512 * u64::from(before % 32);
    rig.store(at, 7);
    rig.store(at + 4, u32::MAX);
    rig.memory().write(at + 8, &[0xee; 504]).unwrap();
    let mut some = [0; 200];
    assert_eq!(rig.host.read(1, &mut some), 200);
    rig.settle();
    assert_eq!(rig.load(INPUT + CONS), before);
    assert_eq!(rig.host.read(1, &mut some), 200);
    rig.settle();
    assert_eq!(rig.load(INPUT + CONS), before);
    let heard = rig.heard();
    assert_eq!(rig.waiting(INPUT), 0);
    assert!(heard.ends_with(&[&sent[..], b"end"].concat()));
    assert_eq!(heard.len(), PORT_BYTES - 100 - 400 + 504 + 3);
}

#[test]
fn the_rest_of_a_packet_is_forgotten_with_its_connection() {
    for reconnect in [true, false] {
        let rig = Rig::new();
        rig.connect();
        leave_room(&rig, 100);
        rig.send(1, &bytes(504));
        assert_eq!(rig.waiting(INPUT), 1);
        if reconnect {
            rig.outl(CONNECTION, 0);
            assert_eq!(rig.waiting(INPUT), 1);
            assert_eq!(rig.connect(), 2);
        } else {
            rig.hang_up();
        }
        assert_eq!((rig.waiting(INPUT), rig.heard()), (0, Vec::new()));
        rig.send(2, b"new");
        assert_eq!(rig.heard(), b"new");
    }
}

#[test]
fn packets_without_data_are_given_back() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"");
    rig.send(1, b"a");
    rig.send(1, b"");
    assert_eq!((rig.heard(), rig.waiting(INPUT)), (b"a".to_vec(), 0));
}

#[test]
fn a_packet_larger_than_packets_are_is_dropped_and_both_sides_start_over() {
    for size in [505, 512, 0x8000_0000, u32::MAX] {
        let rig = Rig::new();
        rig.connect();
        rig.send(1, b"before");
        rig.put(1, size, b"?");
        rig.put(1, 5, b"after");
        rig.outl(NOTIFY, 0);
        assert_eq!((rig.load(GENERATION), rig.host.connection().number), (2, 2), "{size}");
        assert!(rig.host.connection().is_open && rig.level());
        assert_eq!((rig.waiting(INPUT), rig.heard()), (0, Vec::new()));
        rig.send(2, b"new");
        assert_eq!(rig.heard(), b"new");
    }
    // Of another connection it is just dropped.
    let rig = Rig::new();
    rig.connect();
    rig.put(7, 505, b"?");
    rig.outl(NOTIFY, 0);
    assert_eq!((rig.load(GENERATION), rig.waiting(INPUT), rig.level()), (1, 0, false));
}

#[test]
fn an_input_ring_that_cannot_be_ends_the_connection() {
    for (index, is_corrupt) in [(32, false), (33, true), (0x8000_0000, true), (u32::MAX, true)] {
        let rig = Rig::new();
        rig.connect();
        rig.store(INPUT + PROD, index);
        rig.outl(NOTIFY, 0);
        let connection = rig.host.connection();
        assert_eq!(
            (connection.is_open, rig.load(GENERATION)),
            (!is_corrupt, 1 + u32::from(is_corrupt))
        );
        assert_eq!(rig.load(INPUT + CONS), index, "what there is in it is gone");
        assert_eq!(rig.level(), is_corrupt);
        rig.outl(CONNECTION, 0);
        rig.take_interrupt();
        let generation = rig.connect();
        assert_eq!(generation, 2 + u32::from(is_corrupt));
        assert!(rig.send(generation, b"well again"));
        assert_eq!(rig.heard(), b"well again");
    }
}

#[test]
fn an_output_ring_that_cannot_be_ends_the_connection() {
    for index in [1, 0x8000_0000, u32::MAX - 32] {
        let rig = Rig::new();
        rig.connect();
        rig.store(OUTPUT + CONS, index);
        rig.say(b"for nobody");
        assert!(!rig.host.connection().is_open && rig.level());
        assert_eq!(
            (rig.load(GENERATION), rig.load(OUTPUT + CONS), rig.load(OUTPUT + PROD)),
            (2, 0, 0)
        );
        assert_eq!(rig.connect(), 3);
        rig.say(b"well again");
        assert_eq!(rig.take().unwrap().1, b"well again");
    }
}

#[test]
fn what_the_guest_writes_to_the_device_s_indices_has_no_effect() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"a");
    rig.say(b"b");
    rig.store(INPUT + CONS, 77);
    rig.store(OUTPUT + PROD, 88);
    rig.store(GENERATION, 99);
    rig.store(0, 0);
    rig.store(INPUT, 5);
    rig.store(OUTPUT, 5);
    rig.send(1, b"c");
    rig.say(b"d");
    assert_eq!(rig.heard(), b"ac");
    assert_eq!((rig.load(INPUT + CONS), rig.load(OUTPUT + PROD)), (2, 2));
    assert_eq!(rig.take().unwrap().1, b"b");
    let (generation, data, _) = rig.take().unwrap();
    assert_eq!((generation, &data[..]), (1, &b"d"[..]));
}

#[test]
fn indices_run_over() {
    use caraway_base::{lifecycle::Lifecycle as _, state::Migratable as _};
    let old = Rig::new();
    let near = u32::MAX - 5;
    for field in [INPUT + PROD, INPUT + CONS, OUTPUT + PROD, OUTPUT + CONS] {
        old.store(field, near);
    }
    let (host, port) = caraway_ports::port::port();
    let args = crate::VdiPortArgs {
        port,
        memory: old.memory().clone(),
    };
    let device = crate::VdiPort::restore(args, old.device.save().at_indices(near)).unwrap();
    let rig = Rig::with(device, host);
    rig.device.resume();
    rig.connect();
    for round in 0..20 {
        rig.send(1, &[round]);
        rig.say(&[round]);
        assert_eq!((rig.heard(), rig.take().unwrap().1), (vec![round], vec![round]));
    }
    assert_eq!((rig.load(INPUT + CONS), rig.load(OUTPUT + PROD)), (14, 14));
}

#[test]
fn one_turn_takes_no_more_than_a_ring_of_packets() {
    let rig = Rig::new();
    rig.connect();
    for _ in 0..32 {
        rig.put(1, 1, b"x");
    }
    rig.device.attend();
    assert_eq!(rig.waiting(INPUT), 0);
    let mut heard = [0; 100];
    assert_eq!(rig.host.read(1, &mut heard), 32);
    assert_eq!(rig.load(INPUT + NOTIFY_ON_PROD), 33, "and it waits for the next one");
    // A guest that puts as fast as the device takes: each turn ends.
    let memory: SharedMemory = rig.memory().clone();
    memory.store_u32(INPUT + PROD, 64).unwrap();
    rig.device.attend();
    assert_eq!(rig.load(INPUT + CONS), 64);
}
