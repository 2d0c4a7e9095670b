//! A driver as Linux's: it keeps buffers for control messages in their queue, and waits for its own to come back.

use std::sync::Arc;

use caraway_ports::port::{DevicePort, HostPort, PortWaker, attended_port, port};
use vm_memory::{Bytes as _, GuestAddress};

use super::{Console, ConsolePorts};
use crate::{
    VirtioDevice,
    test_support::{Bench, HIGH, Mode, Ring},
};

pub(super) const DEVICE_READY: u16 = 0;
pub(super) const PORT_ADD: u16 = 1;
pub(super) const PORT_READY: u16 = 3;
pub(super) const PORT_OPEN: u16 = 6;
pub(super) const PORT_NAME: u16 = 7;

pub(super) const ALL: u64 = u64::MAX;
pub(super) const NAME: &str = "com.redhat.spice.0";

/// Each queue has its own room for buffers, of this size each.
const QUEUE_ROOM: u64 = 0x10_0000;
pub(super) const BUFFER: u64 = 0x2000;

/// Control buffers in their queue.
const CONTROL_BUFFERS: u16 = 4;

/// A message of the device: port, event, value, name.
pub(super) type Told = (u32, u16, u16, String);

pub(super) fn told(port: u32, event: u16, value: u16) -> Told {
    (port, event, value, String::new())
}

pub(super) fn named(port: u32, name: &str) -> Told {
    (port, PORT_NAME, 0, name.to_owned())
}

/// The host's sides of ports, and the device.
pub(super) fn console(names: &[&str]) -> (Vec<HostPort>, Arc<ConsolePorts>, Box<dyn VirtioDevice>) {
    let (hosts, list) = host_ports(names);
    let ports = Arc::new(ConsolePorts::new(list).unwrap());
    let device = Box::new(Console::new(Arc::clone(&ports)).unwrap());
    (hosts, ports, device)
}

pub(super) fn host_ports(names: &[&str]) -> (Vec<HostPort>, Vec<(String, DevicePort)>) {
    let pairs = names.iter().map(|name| (port(), (*name).to_owned()));
    pairs.map(|((host, device), name)| (host, (name, device))).unzip()
}

/// A machine with one port, its host's side, and a device that leads to the same port.
pub(super) fn one_port() -> (HostPort, DevicePort, Arc<ConsolePorts>, Bench) {
    let (host, device) = port();
    let twin = device.twin();
    let ports = Arc::new(ConsolePorts::new(vec![(NAME.to_owned(), device)]).unwrap());
    let bench = Bench::new(Box::new(Console::new(Arc::clone(&ports)).unwrap()));
    (host, twin, ports, bench)
}

/// A machine with one port, whose host comes and goes and is there now.
pub(super) fn attended_one_port() -> (HostPort, Bench) {
    let (host, device) = attended_port();
    host.attend();
    let ports = Arc::new(ConsolePorts::new(vec![(NAME.to_owned(), device)]).unwrap());
    (host, Bench::new(Box::new(Console::new(ports).unwrap())))
}

/// Signals when the host should look.
pub(super) fn watch(host: &HostPort) -> std::sync::mpsc::Receiver<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let waker: PortWaker = Arc::new(move || {
        // The test may have seen enough.
        sender.send(()).ok();
    });
    host.set_waker(waker);
    receiver
}

/// The driver.
pub(super) struct Driver<'a> {
    pub(super) rings: Vec<Ring<'a>>,
}

impl<'a> Driver<'a> {
    /// A driver at work that has said nothing yet.
    pub(super) fn new(bench: &'a Bench, mode: Mode) -> Self {
        Self::with(bench, ALL, mode)
    }

    pub(super) fn with(bench: &'a Bench, features: u64, mode: Mode) -> Self {
        let mut driver = Self {
            rings: bench.start(features, mode, 32),
        };
        for slot in 0..CONTROL_BUFFERS {
            driver.give_control(slot.into());
        }
        driver
    }

    /// The same driver on another machine with the same memory.
    pub(super) fn moved<'b>(&self, bench: &'b Bench) -> Driver<'b> {
        let rings = self.rings.iter().map(|ring| ring.moved(bench)).collect();
        Driver { rings }
    }

    /// A driver that has set port 1 up, and has been told all there is.
    pub(super) fn ready(bench: &'a Bench, mode: Mode) -> Self {
        let mut driver = Self::new(bench, mode);
        driver.say(u32::MAX, DEVICE_READY, 1);
        assert_eq!(driver.hear(), told(1, PORT_ADD, 0));
        driver.say(1, PORT_READY, 1);
        assert_eq!(driver.hear(), named(1, NAME));
        assert_eq!(driver.hear(), told(1, PORT_OPEN, 1));
        driver
    }

    /// Someone in the guest has opened port 1.
    pub(super) fn open(bench: &'a Bench, mode: Mode) -> Self {
        let mut driver = Self::ready(bench, mode);
        driver.say(1, PORT_OPEN, 1);
        driver
    }

    fn place(queue: usize, slot: u64) -> u64 {
        HIGH + QUEUE_ROOM * queue as u64 + BUFFER * slot
    }

    fn give_control(&mut self, slot: u64) {
        self.rings[2].add(&[(Self::place(2, slot), BUFFER as u32, true)]);
        self.rings[2].kick();
    }

    /// Puts bytes into the control queue without waiting.
    pub(super) fn put_control(&mut self, bytes: &[u8]) {
        let ring = &mut self.rings[3];
        let place = Self::place(3, u64::from(ring.next_available) % 64);
        ring.bench().ram.write_slice(bytes, GuestAddress(place)).unwrap();
        ring.add(&[(place, bytes.len() as u32, false)]);
        ring.kick();
    }

    /// Sends bytes as a control message, and waits until they were taken.
    pub(super) fn say_bytes(&mut self, bytes: &[u8]) {
        self.put_control(bytes);
        assert_eq!(self.rings[3].wait().1, 0);
    }

    pub(super) fn say(&mut self, port: u32, event: u16, value: u16) {
        self.say_bytes(&message(port, event, value));
    }

    /// The next message of the device; its buffer goes back into the queue.
    pub(super) fn hear(&mut self) -> Told {
        let (head, length) = self.rings[2].wait();
        let at = GuestAddress(Self::descriptor(&self.rings[2], head));
        let mut bytes = vec![0; length as usize];
        self.rings[2].bench().ram.read_slice(&mut bytes, at).unwrap();
        self.give_control((at.0 - Self::place(2, 0)) / BUFFER);
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
        (
            number,
            word(4),
            word(6),
            String::from_utf8(bytes[8..].to_vec()).unwrap(),
        )
    }

    /// Address of the buffer at a descriptor.
    fn descriptor(ring: &Ring<'_>, head: u32) -> u64 {
        let at = GuestAddress(ring.table + 16 * u64::from(head));
        ring.bench().ram.read_obj(at).unwrap()
    }

    /// Writes to a port, without waiting, from two buffers.
    pub(super) fn write(&mut self, port: usize, bytes: &[u8]) {
        let queue = 3 + 2 * port;
        let ring = &mut self.rings[queue];
        let place = Self::place(queue, u64::from(ring.next_available) % 32);
        ring.bench().ram.write_slice(bytes, GuestAddress(place)).unwrap();
        let first = bytes.len() as u32 / 3;
        let parts = [
            (place, first, false),
            (place + u64::from(first), bytes.len() as u32 - first, false),
        ];
        ring.add(&parts);
        ring.kick();
    }

    /// Waits until what was written first is taken.
    pub(super) fn wait_written(&mut self, port: usize) {
        assert_eq!(self.rings[3 + 2 * port].wait().1, 0);
    }

    /// Gives a port a buffer of `length` bytes.
    pub(super) fn give(&mut self, port: usize, length: u32) {
        let queue = 2 + 2 * port;
        let place = Self::place(queue, u64::from(self.rings[queue].next_available) % 32);
        self.rings[queue].add(&[(place, length, true)]);
        self.rings[queue].kick();
    }

    /// Waits for a buffer of a port to be filled; what is in it.
    pub(super) fn read(&mut self, port: usize) -> Vec<u8> {
        let ring = &mut self.rings[2 + 2 * port];
        let (head, length) = ring.wait();
        let mut bytes = vec![0; length as usize];
        let at = GuestAddress(Self::descriptor(ring, head));
        ring.bench().ram.read_slice(&mut bytes, at).unwrap();
        bytes
    }
}

pub(super) fn message(port: u32, event: u16, value: u16) -> Vec<u8> {
    let mut bytes = Vec::from(port.to_le_bytes());
    bytes.extend(event.to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

/// Reads all the host has, without waiting.
pub(super) fn taken(host: &HostPort) -> Vec<u8> {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let count = host.read(host.connection().number, &mut some);
        if count == 0 {
            return all;
        }
        all.extend(&some[..count]);
    }
}
