//! One port by itself, with times of the test's.

use std::time::{Duration, Instant};

use caraway_ports::port::{DevicePort, HostPort, port};

use super::{
    message::{MESSAGE_BYTES, PortMessage},
    port::{HANG_UP, Port},
};

/// A port that someone in the guest has open, its host's side, and another device.
fn opened() -> (HostPort, DevicePort, Port) {
    let (host, device) = port();
    let twin = device.twin();
    let mut port = Port::new("name".to_owned(), device);
    port.set_ready(true);
    tell_all(&mut port, Instant::now());
    port.open();
    assert!(port.is_connected());
    (host, twin, port)
}

/// Tells the driver all there is.
fn tell_all(port: &mut Port, now: Instant) -> Vec<PortMessage> {
    let mut told = Vec::new();
    while let Some(message) = port.message() {
        assert!(told.len() < 3, "it ends");
        port.told(message, now);
        told.push(message);
    }
    told
}

#[test]
fn messages_are_those_of_the_specification() {
    assert_eq!(PortMessage::Add.bytes(0x0102, "x"), [2, 1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(PortMessage::Name.bytes(1, "ab"), [1, 0, 0, 0, 7, 0, 0, 0, b'a', b'b']);
    assert_eq!(PortMessage::Open(true).bytes(1, "x"), [1, 0, 0, 0, 6, 0, 1, 0]);
    assert_eq!(PortMessage::Open(false).bytes(1, "x").len(), MESSAGE_BYTES);
}

#[test]
fn the_order_of_what_a_driver_is_told() {
    let (_host, device) = port();
    let (mut port, now) = (Port::new("name".to_owned(), device), Instant::now());
    assert_eq!(tell_all(&mut port, now), [PortMessage::Add]);
    port.set_ready(true);
    let rest = [PortMessage::Name, PortMessage::Open(true)];
    assert_eq!(tell_all(&mut port, now), rest);
    port.set_ready(true);
    assert_eq!(tell_all(&mut port, now), rest);
    port.set_ready(false);
    assert_eq!(tell_all(&mut port, now), []);
}

#[test]
fn a_hang_up_lasts_until_the_guest_has_closed_the_port() {
    let (host, _twin, mut port) = opened();
    host.hang_up(1);
    let now = Instant::now();
    port.look(now);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(false)]);
    port.look(now + HANG_UP - Duration::from_nanos(1));
    assert_eq!(port.message(), None);
    port.close();
    assert_eq!(
        (port.message(), port.hang_up_ends()),
        (Some(PortMessage::Open(true)), None)
    );
    assert!(!host.connection().is_open);
}

#[test]
fn a_hang_up_lasts_for_a_while_from_when_the_guest_was_told() {
    let (host, _twin, mut port) = opened();
    host.hang_up(1);
    let now = Instant::now();
    port.look(now);
    // The driver has no buffer for the message.
    let later = now + 100 * HANG_UP;
    port.look(later);
    assert_eq!((port.hang_up_ends(), port.is_connected()), (None, false));
    assert_eq!(tell_all(&mut port, later), [PortMessage::Open(false)]);
    assert_eq!(port.hang_up_ends(), Some(later + HANG_UP));
    port.look(later + HANG_UP);
    assert_eq!(port.hang_up_ends(), None);
    assert!(port.is_connected() && host.connection().is_open);
    assert_eq!(tell_all(&mut port, later), [PortMessage::Open(true)]);
}

#[test]
fn a_guest_that_has_closed_the_port_is_told_nothing_of_a_hang_up() {
    let (host, _twin, mut port) = opened();
    host.hang_up(1);
    port.close();
    port.look(Instant::now());
    assert_eq!(port.message(), None);
    port.open();
    assert!(port.is_connected());
}

#[test]
fn who_opens_a_port_that_was_taken_a_moment_ago_is_told_so_whatever_comes_next() {
    let (_host, device) = port();
    let twin = device.twin();
    let (mut port, now) = (Port::new("name".to_owned(), device), Instant::now());
    port.set_ready(true);
    tell_all(&mut port, now);
    assert!(twin.open());
    port.open();
    twin.close();
    port.look(now);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(false)]);
    assert!(!port.is_connected());
    port.look(now + HANG_UP);
    assert!(port.is_connected());
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(true)]);
}

#[test]
fn a_guest_that_was_told_that_a_port_is_taken_has_it_at_once_when_it_is_free() {
    let (_host, device) = port();
    let twin = device.twin();
    assert!(twin.open());
    let (mut port, now) = (Port::new("name".to_owned(), device), Instant::now());
    port.set_ready(true);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Name, PortMessage::Open(false)]);
    port.open();
    port.look(now);
    assert_eq!((port.is_connected(), port.message()), (false, None));
    twin.close();
    assert_eq!(port.message(), None, "not before there is a connection");
    port.look(now);
    assert!(port.is_connected());
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(true)]);
}

#[test]
fn the_other_device_may_have_the_port_after_a_hang_up() {
    let (host, twin, mut port) = opened();
    host.hang_up(1);
    assert!(twin.open());
    let now = Instant::now();
    port.look(now);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(false)]);
    port.look(now + HANG_UP);
    assert_eq!((port.is_connected(), port.message()), (false, None));
    assert!(twin.is_open());
    port.close();
    assert!(twin.is_open() && host.connection().is_open);
}

#[test]
fn a_restored_guest_loses_its_connection_first() {
    let (_, _twin, before) = opened();
    let (host, device) = port();
    let mut port = Port::with(before.state().clone(), device);
    let now = Instant::now();
    port.look(now);
    assert!(!host.connection().is_open);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(false)]);
    port.look(now + HANG_UP);
    assert!(host.connection().is_open);
    assert_eq!(tell_all(&mut port, now), [PortMessage::Open(true)]);
}
