//! A machine around one virtio function, and the driver's side of it: everything goes through config space, BARs and rings
//! in guest RAM, as from a guest.

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsRawFd as _,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use caraway_base::{
    address_space::{AddressSpace, MapError, Mapping, MappingId, Target},
    bus::{BusDevice, store_value, value_of},
    irq::{IrqLine, MsiAllocator, MsiVector, SharedLine},
    memory::GuestRam,
};
use caraway_pci::{PciBus, Windows};
use virtio_bindings::bindings::virtio_ring::{VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    eventfd::{EFD_NONBLOCK, EventFd},
};

use crate::{EVENT_IDX, VERSION_1, VirtioDevice, VirtioPci};

/// For what must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Place of the function on the bus.
const DEVICE: u8 = 4;

/// RAM of every test: two pieces with a hole between.
pub(crate) const LOW_END: u64 = 4 << 20;
pub(crate) const HIGH: u64 = 16 << 20;
pub(crate) const HIGH_END: u64 = 24 << 20;

/// Where the driver keeps things: rings, indirect tables, data.
const RINGS: u64 = 0x10_0000;
const TABLES: u64 = 0x20_0000;
pub(crate) const DATA: u64 = 0x30_0000;

pub(crate) mod status {
    pub(crate) const ACKNOWLEDGE: u8 = 1;
    pub(crate) const DRIVER: u8 = 2;
    pub(crate) const DRIVER_OK: u8 = 4;
    pub(crate) const FEATURES_OK: u8 = 8;
    pub(crate) const NEEDS_RESET: u8 = 64;
    pub(crate) const FAILED: u8 = 128;
    pub(crate) const WORKING: u8 = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
}

/// Offsets in the common configuration.
pub(crate) mod common {
    pub(crate) const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub(crate) const DEVICE_FEATURE: u64 = 0x04;
    pub(crate) const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub(crate) const DRIVER_FEATURE: u64 = 0x0c;
    pub(crate) const CONFIG_VECTOR: u64 = 0x10;
    pub(crate) const NUM_QUEUES: u64 = 0x12;
    pub(crate) const STATUS: u64 = 0x14;
    pub(crate) const GENERATION: u64 = 0x15;
    pub(crate) const QUEUE_SELECT: u64 = 0x16;
    pub(crate) const QUEUE_SIZE: u64 = 0x18;
    pub(crate) const QUEUE_VECTOR: u64 = 0x1a;
    pub(crate) const QUEUE_ENABLE: u64 = 0x1c;
    pub(crate) const QUEUE_NOTIFY_OFF: u64 = 0x1e;
    pub(crate) const QUEUE_DESC: u64 = 0x20;
    pub(crate) const QUEUE_DRIVER: u64 = 0x28;
    pub(crate) const QUEUE_DEVICE: u64 = 0x30;
}

pub(crate) fn ram() -> GuestRam {
    let high = usize::try_from(HIGH_END - HIGH).unwrap();
    GuestRam::from_ranges(&[(GuestAddress(0), LOW_END as usize), (GuestAddress(HIGH), high)]).unwrap()
}

#[derive(Default)]
struct FakeSpace {
    mappings: Mutex<BTreeMap<MappingId, Mapping>>,
    next: AtomicU64,
    /// Writes that rang a doorbell and never reached the device.
    rung: AtomicU64,
}

impl AddressSpace for FakeSpace {
    fn change(&self, remove: &[MappingId], add: Vec<Mapping>) -> Result<Vec<MappingId>, MapError> {
        let mut mappings = self.mappings.lock().unwrap();
        for id in remove {
            mappings.remove(id).expect("only what is mapped is unmapped");
        }
        let ids = add.into_iter().map(|mapping| {
            let id = MappingId(self.next.fetch_add(1, Ordering::Relaxed));
            mappings.insert(id, mapping);
            id
        });
        Ok(ids.collect())
    }

    fn take_dirty_log(&self, _id: MappingId) -> Option<Vec<u64>> {
        None
    }
}

impl FakeSpace {
    fn at(&self, address: u64) -> (Mapping, Arc<dyn BusDevice>, u64) {
        let mappings = self.mappings.lock().unwrap();
        let mapping = mappings.values().find(|mapping| mapping.range.contains(&address));
        let mapping = mapping.expect("something is mapped there").clone();
        let Target::Device(device) = &mapping.target else {
            panic!("virtio has no memory BAR")
        };
        let (device, offset) = (Arc::clone(device), address - mapping.range.start);
        (mapping, device, offset)
    }

    fn read(&self, address: u64, width: usize) -> u64 {
        let (_, device, offset) = self.at(address);
        let mut data = vec![0xff; width];
        device.read(offset, &mut data);
        value_of(&data)
    }

    fn write(&self, address: u64, width: usize, value: u64) {
        let (mapping, device, offset) = self.at(address);
        let mut bells = mapping.doorbells.iter();
        if let Some(bell) = bells.find(|bell| bell.offset == offset && bell.width as usize == width) {
            bell.event.write(1).unwrap();
            self.rung.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut data = vec![0; width];
        store_value(&mut data, value);
        device.write(offset, &data);
    }
}

#[derive(Debug)]
struct FakeVector(EventFd);

impl MsiVector for FakeVector {
    fn event(&self) -> &EventFd {
        &self.0
    }

    fn route(&self, _address: u64, _data: u32) -> io::Result<()> {
        Ok(())
    }

    fn mask(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct FakeAllocator(Mutex<Vec<Arc<FakeVector>>>);

impl MsiAllocator for FakeAllocator {
    fn allocate(&self) -> io::Result<Arc<dyn MsiVector>> {
        let vector = Arc::new(FakeVector(EventFd::new(EFD_NONBLOCK)?));
        self.0.lock().unwrap().push(Arc::clone(&vector));
        Ok(vector)
    }
}

#[derive(Debug, Default)]
struct FakeLine {
    level: Mutex<bool>,
    changed: Condvar,
}

impl IrqLine for FakeLine {
    fn set(&self, asserted: bool) {
        *self.level.lock().unwrap() = asserted;
        self.changed.notify_all();
    }
}

/// The function on a bus, with everything around it faked.
pub(crate) struct Bench {
    pub(crate) function: Arc<VirtioPci>,
    pub(crate) ram: GuestRam,
    pub(crate) bus: PciBus,
    space: Arc<FakeSpace>,
    vectors: Arc<FakeAllocator>,
    line: Arc<FakeLine>,
    ports: Arc<dyn BusDevice>,
    /// Address of each virtio structure by its type, with its length.
    places: BTreeMap<u8, (u64, u64)>,
    notify_multiplier: u64,
}

/// How the driver wants to be interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Messages,
    Line,
}

impl Bench {
    pub(crate) fn new(device: Box<dyn VirtioDevice>) -> Self {
        let ram = ram();
        Self::with(VirtioPci::new(device, ram.clone()).unwrap(), ram)
    }

    pub(crate) fn with(function: VirtioPci, ram: GuestRam) -> Self {
        let (space, vectors) = (Arc::new(FakeSpace::default()), Arc::new(FakeAllocator::default()));
        let line = Arc::new(FakeLine::default());
        // Device 4 is on the first of the four lines.
        let lines = std::array::from_fn(|index| {
            let line = if index == 0 { Arc::clone(&line) } else { Arc::default() };
            SharedLine::new(line)
        });
        let bus = PciBus::new(space.clone(), vectors.clone(), lines).unwrap();
        let function = Arc::new(function);
        bus.plug(DEVICE, function.clone()).unwrap();
        bus.assign(Windows::default()).unwrap();
        let ports = bus.config_ports();
        let mut bench = Self {
            function,
            ram,
            bus,
            space,
            vectors,
            line,
            ports,
            places: BTreeMap::new(),
            notify_multiplier: 0,
        };
        bench.find();
        bench
    }

    pub(crate) fn config(&self, register: u8, width: usize) -> u64 {
        self.point(register);
        let mut data = vec![0xff; width];
        self.ports.read(4 + u64::from(register & 3), &mut data);
        value_of(&data)
    }

    pub(crate) fn set_config(&self, register: u8, width: usize, value: u64) {
        self.point(register);
        let mut data = vec![0; width];
        store_value(&mut data, value);
        self.ports.write(4 + u64::from(register & 3), &data);
    }

    fn point(&self, register: u8) {
        let address = 0x8000_0000 | u32::from(DEVICE) << 11 | u32::from(register & 0xfc);
        self.ports.write(0, &address.to_le_bytes());
    }

    /// Config space offset and id of each capability, in the order of the list.
    pub(crate) fn capabilities(&self) -> Vec<(u8, u8)> {
        let mut found = Vec::new();
        let mut at = self.config(0x34, 1) as u8;
        while at != 0 {
            assert!(found.len() < 48, "the list ends");
            found.push((at, self.config(at, 1) as u8));
            at = self.config(at + 1, 1) as u8;
        }
        found
    }

    /// Looks for the virtio structures as Linux does: the first of each type counts.
    fn find(&mut self) {
        for (at, id) in self.capabilities() {
            let kind = self.config(at + 3, 1) as u8;
            if id != 9 || self.places.contains_key(&kind) {
                continue;
            }
            let bar = self.config(0x10 + 4 * self.config(at + 4, 1) as u8, 4) & !0xf;
            let (offset, length) = (self.config(at + 8, 4), self.config(at + 12, 4));
            self.places.insert(kind, (bar + offset, length));
            if kind == 2 {
                self.notify_multiplier = self.config(at + 16, 4);
            }
        }
    }

    /// Address and length of a virtio structure.
    pub(crate) fn place(&self, kind: u8) -> (u64, u64) {
        self.places[&kind]
    }

    pub(crate) fn read(&self, address: u64, width: usize) -> u64 {
        self.space.read(address, width)
    }

    pub(crate) fn write(&self, address: u64, width: usize, value: u64) {
        self.space.write(address, width, value);
    }

    pub(crate) fn common(&self, offset: u64, width: usize) -> u64 {
        self.read(self.place(1).0 + offset, width)
    }

    pub(crate) fn set_common(&self, offset: u64, width: usize, value: u64) {
        self.write(self.place(1).0 + offset, width, value);
    }

    pub(crate) fn status(&self) -> u8 {
        self.common(common::STATUS, 1) as u8
    }

    pub(crate) fn set_status(&self, status: u8) {
        self.set_common(common::STATUS, 1, status.into());
    }

    pub(crate) fn isr(&self) -> u8 {
        self.read(self.place(3).0, 1) as u8
    }

    pub(crate) fn line(&self) -> bool {
        *self.line.level.lock().unwrap()
    }

    pub(crate) fn doorbells_rung(&self) -> u64 {
        self.space.rung.load(Ordering::Relaxed)
    }

    pub(crate) fn notify_multiplier(&self) -> u64 {
        self.notify_multiplier
    }

    pub(crate) fn device_features(&self) -> u64 {
        let half = |select| {
            self.set_common(common::DEVICE_FEATURE_SELECT, 4, select);
            self.common(common::DEVICE_FEATURE, 4)
        };
        half(0) | half(1) << 32
    }

    pub(crate) fn set_driver_features(&self, features: u64) {
        for (select, value) in [(0, features & 0xffff_ffff), (1, features >> 32)] {
            self.set_common(common::DRIVER_FEATURE_SELECT, 4, select);
            self.set_common(common::DRIVER_FEATURE, 4, value);
        }
    }

    /// Waits until the reset is over, as Linux does.
    pub(crate) fn reset_device(&self) {
        self.set_status(0);
        self.wait_for(|| self.status() == 0, "the reset is over");
    }

    pub(crate) fn wait_for(&self, done: impl Fn() -> bool, what: &str) {
        let end = Instant::now() + LIMIT;
        while !done() {
            assert!(Instant::now() < end, "{what}");
            std::thread::yield_now();
        }
    }

    /// Takes the message of a vector, if there is one; how many were sent.
    pub(crate) fn take_message(&self, vector: usize) -> u64 {
        self.vector(vector).0.read().unwrap_or(0)
    }

    pub(crate) fn wait_message(&self, vector: usize) {
        let vector = self.vector(vector);
        let (epoll, mut ready) = (Epoll::new().unwrap(), [EpollEvent::default()]);
        let interest = EpollEvent::new(EventSet::IN, 0);
        epoll
            .ctl(ControlOperation::Add, vector.0.as_raw_fd(), interest)
            .unwrap();
        let milliseconds = i32::try_from(LIMIT.as_millis()).unwrap();
        assert_eq!(epoll.wait(milliseconds, &mut ready).unwrap(), 1, "a message comes");
        vector.0.read().unwrap();
    }

    /// Waits for INTA# and acknowledges it; what the ISR register held.
    pub(crate) fn wait_line(&self) -> u8 {
        let level = self.line.level.lock().unwrap();
        let (level, late) = self
            .line
            .changed
            .wait_timeout_while(level, LIMIT, |level| !*level)
            .unwrap();
        assert!(!late.timed_out(), "INTA# is asserted");
        drop(level);
        self.isr()
    }

    fn vector(&self, vector: usize) -> Arc<FakeVector> {
        Arc::clone(&self.vectors.0.lock().unwrap()[vector])
    }

    /// Decode, bus mastering, and MSI-X with every vector open, or INTx.
    pub(crate) fn enable(&self, mode: Mode) {
        self.set_config(4, 2, if mode == Mode::Messages { 0x406 } else { 0x006 });
        let (at, _) = *self.capabilities().iter().find(|(_, id)| *id == 0x11).unwrap();
        let control = self.config(at + 2, 2);
        if mode == Mode::Line {
            self.set_config(at + 2, 2, control & !0x8000);
            return;
        }
        self.set_config(at + 2, 2, control | 0xc000);
        let table = self.config(at + 4, 4);
        let bar = self.config(0x10 + 4 * (table & 7) as u8, 4) & !0xf;
        for vector in 0..=control & 0x7ff {
            let entry = bar + (table & !7) + 16 * vector;
            for (word, value) in [0xfee0_0000, 0, 0x40 + vector, 0].into_iter().enumerate() {
                self.write(entry + 4 * word as u64, 4, value);
            }
        }
        self.set_config(at + 2, 2, (control | 0x8000) & !0x4000);
    }

    /// From reset to FEATURES_OK with those of the wanted features that are offered; the features agreed on.
    pub(crate) fn negotiate(&self, wanted: u64) -> u64 {
        self.reset_device();
        self.set_status(status::ACKNOWLEDGE);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER);
        let features = self.device_features() & wanted | VERSION_1;
        self.set_driver_features(features);
        let agreed = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.set_status(agreed);
        assert_eq!(self.status(), agreed);
        features
    }

    /// A working driver with all queues at `size`.
    pub(crate) fn start(&self, wanted: u64, mode: Mode, size: u16) -> Vec<Ring<'_>> {
        self.enable(mode);
        let features = self.negotiate(wanted);
        self.set_common(
            common::CONFIG_VECTOR,
            2,
            if mode == Mode::Messages { 0 } else { 0xffff },
        );
        let count = self.common(common::NUM_QUEUES, 2) as u16;
        let rings = (0..count).map(|index| Ring::new(self, index, size, mode, features & EVENT_IDX != 0));
        let rings: Vec<_> = rings.collect();
        self.set_status(status::WORKING);
        rings
    }
}

/// One piece of a chain: address, length, whether the device writes it.
pub(crate) type Part = (u64, u32, bool);

/// The driver's side of a queue.
pub(crate) struct Ring<'a> {
    bench: &'a Bench,
    pub(crate) index: u16,
    pub(crate) size: u16,
    pub(crate) table: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
    mode: Mode,
    event_idx: bool,
    next_descriptor: u16,
    pub(crate) next_available: u16,
    pub(crate) next_used: u16,
}

impl<'a> Ring<'a> {
    /// Clears the rings, tells the device where they are and enables the queue.
    fn new(bench: &'a Bench, index: u16, size: u16, mode: Mode, event_idx: bool) -> Self {
        let table = RINGS + 0x1_0000 * u64::from(index);
        let ring = Self::at(bench, index, size, table, mode, event_idx);
        bench.ram.write_slice(&[0; 0x1_0000], GuestAddress(table)).unwrap();
        bench.set_common(common::QUEUE_SELECT, 2, index.into());
        bench.set_common(common::QUEUE_SIZE, 2, size.into());
        for (register, address) in [
            (common::QUEUE_DESC, ring.table),
            (common::QUEUE_DRIVER, ring.available),
            (common::QUEUE_DEVICE, ring.used),
        ] {
            bench.set_common(register, 4, address & 0xffff_ffff);
            bench.set_common(register + 4, 4, address >> 32);
        }
        if mode == Mode::Messages {
            bench.set_common(common::QUEUE_VECTOR, 2, u64::from(index) + 1);
        }
        bench.set_common(common::QUEUE_ENABLE, 2, 1);
        ring
    }

    fn at(bench: &'a Bench, index: u16, size: u16, table: u64, mode: Mode, event_idx: bool) -> Self {
        Self {
            bench,
            index,
            size,
            table,
            available: table + 0x4000,
            used: table + 0x8000,
            mode,
            event_idx,
            next_descriptor: 0,
            next_available: 0,
            next_used: 0,
        }
    }

    pub(crate) fn bench(&self) -> &'a Bench {
        self.bench
    }

    /// The same rings on another machine with the same memory.
    pub(crate) fn moved<'b>(&self, bench: &'b Bench) -> Ring<'b> {
        Ring {
            next_descriptor: self.next_descriptor,
            next_available: self.next_available,
            next_used: self.next_used,
            ..Ring::at(bench, self.index, self.size, self.table, self.mode, self.event_idx)
        }
    }

    pub(crate) fn put<T: vm_memory::ByteValued>(&self, value: T, address: u64) {
        self.bench.ram.write_obj(value, GuestAddress(address)).unwrap();
    }

    /// Writes a descriptor.
    pub(crate) fn describe(&self, table: u64, index: u16, (address, length, flags, next): (u64, u32, u32, u16)) {
        let at = table + 16 * u64::from(index);
        self.put(address, at);
        self.put(length, at + 8);
        self.put(flags as u16, at + 12);
        self.put(next, at + 14);
    }

    fn chain(&self, table: u64, first: u16, size: u16, parts: &[Part]) {
        for (place, &(address, length, writable)) in (0_u16..).zip(parts) {
            let last = usize::from(place) + 1 == parts.len();
            let flags = if writable { VRING_DESC_F_WRITE } else { 0 } | if last { 0 } else { VRING_DESC_F_NEXT };
            let next = (first + place + 1) % size;
            self.describe(table, (first + place) % size, (address, length, flags, next));
        }
    }

    /// Writes a chain into the table and puts its head into the available ring without telling the device; the head.
    pub(crate) fn add(&mut self, parts: &[Part]) -> u16 {
        let head = self.next_descriptor;
        self.chain(self.table, head, self.size, parts);
        self.next_descriptor = (head + parts.len() as u16) % self.size;
        self.offer(head);
        head
    }

    /// The same through an indirect table.
    pub(crate) fn add_indirect(&mut self, parts: &[Part]) -> u16 {
        let head = self.next_descriptor;
        let table = TABLES + 0x1000 * u64::from(head);
        self.chain(table, 0, u16::MAX, parts);
        let length = 16 * parts.len() as u32;
        self.describe(self.table, head, (table, length, VRING_DESC_F_INDIRECT, 0));
        self.next_descriptor = (head + 1) % self.size;
        self.offer(head);
        head
    }

    /// Puts a head into the available ring.
    pub(crate) fn offer(&mut self, head: u16) {
        let slot = u64::from(self.next_available % self.size);
        self.put(head, self.available + 4 + 2 * slot);
        self.next_available = self.next_available.wrapping_add(1);
        self.publish(self.next_available);
    }

    pub(crate) fn publish(&self, index: u16) {
        let at = GuestAddress(self.available + 2);
        self.bench.ram.store(index, at, Ordering::SeqCst).unwrap();
    }

    /// Rings the doorbell.
    pub(crate) fn kick(&self) {
        self.bench.set_common(common::QUEUE_SELECT, 2, self.index.into());
        let offset = self.bench.common(common::QUEUE_NOTIFY_OFF, 2) * self.bench.notify_multiplier;
        self.bench.write(self.bench.place(2).0 + offset, 2, self.index.into());
    }

    pub(crate) fn used_index(&self) -> u16 {
        let at = GuestAddress(self.used + 2);
        self.bench.ram.load(at, Ordering::SeqCst).unwrap()
    }

    /// Whether the device asked not to be told of new requests.
    pub(crate) fn used_flags(&self) -> u16 {
        self.bench.ram.load(GuestAddress(self.used), Ordering::SeqCst).unwrap()
    }

    pub(crate) fn set_available_flags(&self, flags: u16) {
        let at = GuestAddress(self.available);
        self.bench.ram.store(flags, at, Ordering::SeqCst).unwrap();
    }

    /// Takes a used element, waiting for interrupts: head and length.
    pub(crate) fn wait(&mut self) -> (u32, u32) {
        loop {
            if self.event_idx {
                let at = GuestAddress(self.available + 4 + 2 * u64::from(self.size));
                self.bench.ram.store(self.next_used, at, Ordering::SeqCst).unwrap();
            }
            if self.used_index() != self.next_used {
                let at = self.used + 4 + 8 * u64::from(self.next_used % self.size);
                self.next_used = self.next_used.wrapping_add(1);
                let read = |at| self.bench.ram.read_obj(GuestAddress(at)).unwrap();
                return (read(at), read(at + 4));
            }
            match self.mode {
                Mode::Messages => self.bench.wait_message(usize::from(self.index) + 1),
                Mode::Line => {
                    self.bench.wait_line();
                }
            }
        }
    }
}
