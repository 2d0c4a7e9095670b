use caraway_base::{lifecycle::Lifecycle as _, migratable_suite};
use caraway_ports::port::{HostPort, port};

use super::*;
use crate::testing::{CONNECTION, GENERATION, INPUT, INT_MASK, INT_PENDING, NOTIFY, OUTPUT, Rig, UPDATE_IRQ};

fn fresh() -> VdiPort {
    VdiPort::new(port().1).unwrap()
}

fn args() -> VdiPortArgs {
    VdiPortArgs {
        port: port().1,
        memory: SharedMemory::allocate("vdiport", BAR_SIZE).unwrap(),
    }
}

migratable_suite!(suite, VdiPort, fresh: fresh(), args: args(), change: |device: &VdiPort| {
    device.core().connect();
});

/// The device again, with its memory and another host.
fn restored(rig: &Rig) -> Rig {
    rig.device.pause();
    let memory = SharedMemory::allocate("vdiport", BAR_SIZE).unwrap();
    memory.write(0, &rig.memory().read_vec(0, BAR_SIZE).unwrap()).unwrap();
    let (host, port): (HostPort, _) = port();
    let device = VdiPort::restore(VdiPortArgs { port, memory }, rig.device.save()).unwrap();
    Rig::with(device, host)
}

#[test]
fn a_restored_guest_starts_over_with_the_new_host_once_it_runs() {
    let rig = Rig::new();
    rig.connect();
    rig.send(1, b"read");
    rig.say(b"said");
    assert!(rig.take_interrupt());
    rig.put(1, 6, b"unread");
    let before = rig.device.save();
    let rig = restored(&rig);
    assert_eq!(rig.device.save(), before);
    rig.settle();
    rig.outl(NOTIFY, 0);
    assert!(!rig.level() && !rig.host.connection().is_open, "it is not running yet");
    assert_eq!((rig.load(GENERATION), rig.device.save()), (1, before));
    rig.device.resume();
    rig.settle();
    assert!(rig.level() && rig.host.connection().is_open);
    assert_eq!((rig.load(GENERATION), rig.load(INT_PENDING)), (2, 1));
    assert_eq!((rig.waiting(INPUT), rig.heard()), (0, Vec::new()));
    rig.send(2, b"from the start");
    rig.say(b"hello");
    assert_eq!(rig.heard(), b"from the start");
    let (generation, data, _) = rig.take().unwrap();
    assert_eq!((generation, data), (1, b"said".to_vec()), "left of before");
    let (generation, data, _) = rig.take().unwrap();
    assert_eq!((generation, data), (2, b"hello".to_vec()));
}

#[test]
fn a_guest_that_was_not_connected_notices_nothing() {
    let rig = Rig::new();
    rig.connect();
    rig.outl(CONNECTION, 0);
    let rig = restored(&rig);
    rig.device.resume();
    rig.settle();
    assert_eq!((rig.load(GENERATION), rig.load(INT_PENDING)), (1, 0));
    assert!(!rig.host.connection().is_open);
    assert_eq!(rig.connect(), 2);
}

#[test]
fn an_interrupt_that_was_pending_is_pending_at_once() {
    let rig = Rig::new();
    rig.connect();
    rig.hang_up();
    assert!(rig.level());
    let rig = restored(&rig);
    assert!(rig.level(), "the controllers take a line that is up for what it was");
    rig.store(INT_MASK, 0);
    rig.outl(UPDATE_IRQ, 0);
    assert!(!rig.level());
}

#[test]
fn the_rest_of_a_packet_that_the_host_had_not_read_is_dropped() {
    let rig = Rig::new();
    rig.connect();
    for _ in 0..131 {
        rig.send(1, &[1; 504]);
    }
    assert!(rig.waiting(INPUT) > 0);
    let rig = restored(&rig);
    rig.device.resume();
    rig.settle();
    assert_eq!((rig.waiting(INPUT), rig.heard()), (0, Vec::new()));
}

#[test]
fn a_restored_device_can_be_reset_before_it_runs() {
    let rig = Rig::new();
    rig.connect();
    rig.say(b"x");
    let rig = restored(&rig);
    rig.device.reset();
    rig.device.resume();
    rig.settle();
    assert!(!rig.level() && !rig.host.connection().is_open);
    assert_eq!((rig.load(GENERATION), rig.waiting(OUTPUT), rig.connect()), (0, 0, 1));
}

#[test]
fn records_that_cannot_be_are_refused() {
    let state = fresh().save();
    let connected = VdiPortState {
        connected: true,
        ..state.clone()
    };
    let error = VdiPort::restore(args(), connected).unwrap_err();
    assert_eq!(error.to_string(), "record \"vdiport\": generation = 0 cannot be");
    let small = VdiPortArgs {
        memory: SharedMemory::allocate("vdiport", 4096).unwrap(),
        ..args()
    };
    let error = VdiPort::restore(small, state).unwrap_err();
    assert_eq!(error.to_string(), "record \"vdiport\": memory = 4096 cannot be");
}
