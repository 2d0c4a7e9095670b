//! Connections, generations and the interrupt (VDIPort 4 and 6), row by row.

use caraway_base::lifecycle::Lifecycle as _;
use caraway_ports::port::{Connection, port};

use crate::{
    VdiPort,
    testing::{
        CONNECTION, CONS, GENERATION, INPUT, INT_MASK, INT_PENDING, NOTIFY, NOTIFY_ON_CONS, NOTIFY_ON_PROD, OUTPUT,
        PROD, Rig, UPDATE_IRQ,
    },
};

fn open(number: u64) -> Connection {
    Connection { number, is_open: true }
}

fn closed(number: u64) -> Connection {
    Connection { number, is_open: false }
}

#[test]
fn connecting_gives_the_next_generation_and_tells_the_host() {
    let rig = Rig::new();
    assert_eq!(rig.host.connection(), closed(0));
    assert_eq!((rig.inl(CONNECTION), rig.load(GENERATION)), (1, 1));
    assert_eq!(rig.host.connection(), open(1));
    assert!(!rig.level() && rig.load(INT_PENDING) == 0, "the guest knows by itself");
}

#[test]
fn connecting_twice_gives_0_and_changes_nothing() {
    let rig = Rig::new();
    rig.connect();
    assert_eq!(rig.say(b"still"), 5);
    assert_eq!((rig.inl(CONNECTION), rig.load(GENERATION)), (0, 1));
    assert_eq!(rig.host.connection(), open(1));
    assert_eq!(rig.take().unwrap().1, b"still");
}

#[test]
fn disconnecting_tells_the_host_and_leaves_rings_and_generation() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"a");
    rig.say(b"b");
    rig.put(1, 1, b"c");
    let before = rig.memory().read_vec(0, 32952).unwrap();
    rig.outl(CONNECTION, 0x1234_5678);
    assert_eq!(rig.host.connection(), closed(1));
    assert!(rig.memory().read_vec(0, 32952).unwrap() == before);
    // Once more means nothing; neither does a notification.
    rig.outl(CONNECTION, 0);
    rig.outl(NOTIFY, 0);
    assert!(rig.memory().read_vec(0, 32952).unwrap() == before);
    assert_eq!((rig.inl(CONNECTION), rig.host.connection()), (2, open(2)));
}

#[test]
fn generations_skip_0() {
    let rig = Rig::new();
    let mut state = caraway_base::state::Migratable::save(&rig.device);
    state = state.at_generation(u32::MAX);
    let (host, device) = port();
    let args = crate::VdiPortArgs {
        port: device,
        memory: rig.memory().clone(),
    };
    let device = <VdiPort as caraway_base::state::Migratable>::restore(args, state).unwrap();
    let rig = Rig::with(device, host);
    rig.device.resume();
    assert_eq!((rig.connect(), rig.load(GENERATION)), (1, 1));
}

#[test]
fn when_the_host_hangs_up_the_guest_is_told_and_goes_on_in_the_next_generation() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"lost");
    rig.hang_up();
    assert_eq!(rig.load(GENERATION), 2);
    assert!(rig.level() && rig.take_interrupt() && !rig.level());
    assert_eq!(rig.host.connection(), open(2), "the plug stays usable");
    rig.send(1, b"of before");
    rig.send(2, b"new");
    assert_eq!(rig.heard(), b"new");
    rig.say(b"hello");
    let (generation, data, _) = rig.take().unwrap();
    assert_eq!((generation, &data[..]), (2, &b"hello"[..]));
    assert_eq!(rig.inl(CONNECTION), 0, "it is connected");
}

#[test]
fn hanging_up_without_a_guest_changes_nothing() {
    let rig = Rig::new();
    rig.hang_up();
    rig.connect();
    rig.outl(CONNECTION, 0);
    rig.hang_up();
    assert_eq!((rig.load(GENERATION), rig.load(INT_PENDING)), (1, 0));
}

#[test]
fn a_host_that_hangs_up_while_paused_is_remembered_until_the_machine_goes_on() {
    let rig = Rig::new();
    rig.connect();
    rig.device.pause();
    rig.put(1, 4, b"lost");
    let before = rig.memory().read_vec(0, 65536).unwrap();
    rig.hang_up();
    rig.hang_up();
    assert!(!rig.level() && rig.memory().read_vec(0, 65536).unwrap() == before);
    rig.device.resume();
    rig.settle();
    assert!(rig.level());
    assert_eq!((rig.load(GENERATION), rig.host.connection()), (2, open(2)));
    assert!(rig.heard().is_empty() && rig.waiting(INPUT) == 0);
}

#[test]
fn going_on_brings_rings_and_line_up_to_date() {
    let rig = Rig::new();
    rig.connect();
    rig.device.pause();
    rig.store(INT_PENDING, 1);
    rig.put(1, 2, b"up");
    rig.say(b"down");
    assert!(!rig.level() && rig.heard().is_empty() && rig.take().is_none());
    rig.device.resume();
    rig.settle();
    assert!(rig.level());
    assert_eq!((rig.heard(), rig.take().unwrap().1), (b"up".to_vec(), b"down".to_vec()));
}

#[test]
fn a_reset_disconnects_and_zeroes_the_structure() {
    let rig = Rig::new();
    let fresh = rig.memory().read_vec(0, 32952).unwrap();
    rig.connect();
    rig.hang_up();
    rig.send(2, b"some");
    rig.say(b"more");
    rig.memory().write(0x9000, b"kept").unwrap();
    rig.device.pause();
    rig.device.reset();
    rig.device.resume();
    rig.settle();
    assert!(!rig.level());
    assert_eq!(rig.host.connection(), closed(2));
    assert!(rig.memory().read_vec(0, 32952).unwrap() == fresh);
    assert_eq!(rig.memory().read_vec(0x9000, 4).unwrap(), b"kept");
    assert_eq!(rig.connect(), 1);
    assert!(rig.send(1, b"again"));
    assert_eq!(rig.heard(), b"again");
}

#[test]
fn another_device_on_the_port_makes_this_one_read_as_closed_until_it_lets_go() {
    let (host, device) = port();
    let twin = device.twin();
    let rig = Rig::with(VdiPort::new(device).unwrap(), host);
    assert!(twin.open());
    assert_eq!((rig.inl(CONNECTION), rig.load(GENERATION)), (0, 0));
    rig.outl(CONNECTION, 0);
    assert!(twin.is_open(), "it is not this device's to close");
    twin.close();
    assert_eq!(rig.connect(), 1);
    assert!(!twin.open());
    // The host hangs up, and the twin is faster.
    rig.host.hang_up(rig.host.connection().number);
    assert!(twin.open());
    rig.settle();
    assert!(rig.level());
    assert_eq!(rig.load(GENERATION), 2);
    rig.send(2, b"waits");
    rig.outl(NOTIFY, 0);
    assert_eq!((rig.waiting(INPUT), rig.inl(CONNECTION)), (1, 0));
    twin.close();
    rig.settle();
    assert_eq!((rig.load(GENERATION), rig.heard()), (2, b"waits".to_vec()));
}

#[test]
fn the_line_is_up_while_something_pending_is_not_masked() {
    let rig = Rig::new();
    rig.inl(CONNECTION);
    rig.hang_up();
    assert!(rig.load(INT_PENDING) == 1 && !rig.level(), "masked");
    for (pending, mask, level) in [
        (1, 1, true),
        (1, 0, false),
        (1, u32::MAX, true),
        (0, u32::MAX, false),
        (2, 1, false),
        (2, 2, true),
        (0x8000_0000, 0x8000_0000, true),
    ] {
        rig.store(INT_PENDING, pending);
        rig.store(INT_MASK, mask);
        rig.outl(UPDATE_IRQ, 0);
        assert_eq!(rig.level(), level, "{pending:#x} and {mask:#x}");
    }
}

#[test]
fn what_is_pending_is_not_raised_again() {
    let rig = Rig::new();
    rig.connect();
    rig.hang_up();
    // The guest has masked the interrupt and will look by itself.
    rig.store(INT_MASK, 0);
    rig.outl(UPDATE_IRQ, 0);
    rig.store(INT_MASK, 1);
    rig.hang_up();
    assert_eq!((rig.level(), rig.rises(), rig.load(GENERATION)), (false, 1, 3));
    assert!(rig.take_interrupt());
    rig.hang_up();
    assert_eq!((rig.level(), rig.rises()), (true, 2));
}

#[test]
fn nothing_is_raised_while_disconnected() {
    let rig = Rig::new();
    rig.store(INT_MASK, 1);
    rig.store(INPUT + NOTIFY_ON_CONS, 1);
    rig.put(0, 1, b"x");
    rig.outl(NOTIFY, 0);
    assert_eq!((rig.load(INT_PENDING), rig.load(INPUT + CONS)), (0, 0));
}

#[test]
fn what_is_left_of_a_connection_does_not_reach_the_next_one() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"of the first");
    rig.say(b"for the first");
    rig.put(1, 3, b"old");
    rig.put(1, 3, b"old");
    rig.outl(CONNECTION, 0);
    assert_eq!((rig.load(INPUT + PROD), rig.load(INPUT + CONS)), (3, 1));
    // The marks are long passed, so that only connecting makes the device look.
    assert_eq!(rig.connect(), 2);
    assert_eq!(rig.load(INPUT + CONS), 3);
    assert!(rig.heard().is_empty());
    assert_eq!(rig.load(INPUT + NOTIFY_ON_PROD), 4);
    assert!(rig.send(2, b"of the second"));
    assert_eq!(rig.heard(), b"of the second");
    let (generation, ..) = rig.take().unwrap();
    assert_eq!((generation, rig.waiting(OUTPUT)), (1, 0), "the guest skips it");
}
