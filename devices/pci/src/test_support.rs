//! Doubles of what the bus talks to.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use caraway_base::{
    address_space::{AddressSpace, DirtyLog, Doorbell, MapError, Mapping, MappingId, Space, Target},
    bus::{BusDevice, Outcome, store_value, value_of},
    irq::{IrqLine, MsiAllocator, MsiVector, SharedLine},
    memory::SharedMemory,
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{
    bus::PciBus,
    function::{BarKind, BarSpec, Capability, PciFunction, PciIdentity, PciInterrupts},
};

/// An address space that refuses overlaps and panics on ids it never gave out.
#[derive(Default)]
pub(crate) struct FakeSpace {
    pub(crate) mappings: Mutex<BTreeMap<MappingId, Mapping>>,
    pub(crate) changes: AtomicU64,
    next: AtomicU64,
}

impl AddressSpace for FakeSpace {
    fn change(&self, remove: &[MappingId], add: Vec<Mapping>) -> Result<Vec<MappingId>, MapError> {
        let mut mappings = self.mappings.lock().unwrap();
        let mut after = mappings.clone();
        for id in remove {
            after.remove(id).expect("only what is mapped is unmapped");
        }
        let mut ids = Vec::new();
        for mapping in add {
            let (start, end) = (mapping.range.start, mapping.range.end);
            assert!(start < end);
            if after
                .values()
                .any(|old| old.space == mapping.space && old.range.start < end && start < old.range.end)
            {
                return Err(MapError::Overlap {
                    space: mapping.space,
                    start,
                    end,
                });
            }
            let id = MappingId(self.next.fetch_add(1, Ordering::Relaxed));
            after.insert(id, mapping);
            ids.push(id);
        }
        *mappings = after;
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(ids)
    }

    /// The id, so that tests see whose log it is.
    fn take_dirty_log(&self, id: MappingId) -> Option<Vec<u64>> {
        let mappings = self.mappings.lock().unwrap();
        mappings.contains_key(&id).then(|| vec![id.0])
    }
}

impl FakeSpace {
    pub(crate) fn ranges(&self, space: Space) -> Vec<(u64, u64)> {
        let mappings = self.mappings.lock().unwrap();
        let of_space = mappings.values().filter(|mapping| mapping.space == space);
        let mut ranges: Vec<_> = of_space
            .map(|mapping| (mapping.range.start, mapping.range.end))
            .collect();
        ranges.sort_unstable();
        ranges
    }

    pub(crate) fn at(&self, space: Space, address: u64) -> Option<Mapping> {
        let mappings = self.mappings.lock().unwrap();
        let mut found = mappings.values().filter(|mapping| mapping.space == space);
        found.find(|mapping| mapping.range.contains(&address)).cloned()
    }

    fn device(&self, space: Space, address: u64) -> Option<(Arc<dyn BusDevice>, u64)> {
        let mapping = self.at(space, address)?;
        let Target::Device(device) = mapping.target else {
            return None;
        };
        Some((device, address - mapping.range.start))
    }

    pub(crate) fn read(&self, space: Space, address: u64, width: usize) -> u64 {
        let mut data = vec![0xff; width];
        if let Some((device, offset)) = self.device(space, address) {
            device.read(offset, &mut data);
        }
        value_of(&data)
    }

    pub(crate) fn write(&self, space: Space, address: u64, width: usize, value: u64) {
        let mut data = vec![0; width];
        store_value(&mut data, value);
        if let Some((device, offset)) = self.device(space, address) {
            device.write(offset, &data);
        }
    }
}

#[derive(Debug)]
pub(crate) struct FakeVector {
    event: EventFd,
    pub(crate) route: Mutex<Option<(u64, u32)>>,
}

impl MsiVector for FakeVector {
    fn event(&self) -> &EventFd {
        &self.event
    }

    fn route(&self, address: u64, data: u32) -> io::Result<()> {
        *self.route.lock().unwrap() = Some((address, data));
        Ok(())
    }

    fn mask(&self) -> io::Result<()> {
        *self.route.lock().unwrap() = None;
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct FakeAllocator(pub(crate) Mutex<Vec<Arc<FakeVector>>>);

impl MsiAllocator for FakeAllocator {
    fn allocate(&self) -> io::Result<Arc<dyn MsiVector>> {
        let vector = Arc::new(FakeVector {
            event: EventFd::new(EFD_NONBLOCK)?,
            route: Mutex::new(None),
        });
        self.0.lock().unwrap().push(Arc::clone(&vector));
        Ok(vector)
    }
}

#[derive(Debug, Default)]
pub(crate) struct FakeLine(pub(crate) AtomicBool);

impl IrqLine for FakeLine {
    fn set(&self, asserted: bool) {
        self.0.store(asserted, Ordering::SeqCst);
    }
}

impl FakeLine {
    pub(crate) fn level(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a [`Probe`] was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Moved(u8, Option<u64>),
    Master(bool),
    Read(u8, u64, usize),
    Write(u8, u64, u64),
    ConfigWrite(u8, Vec<u8>),
}

/// A function that remembers what it was told.
pub(crate) struct Probe {
    pub(crate) identity: PciIdentity,
    pub(crate) bars: Vec<BarSpec>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) bells: Vec<(u8, Doorbell)>,
    pub(crate) told: Mutex<Vec<Told>>,
    pub(crate) interrupts: Mutex<Option<PciInterrupts>>,
    logs: Mutex<BTreeMap<u8, DirtyLog>>,
}

impl Probe {
    /// The shape of a QXL device: two memories, a ROM and ports.
    pub(crate) fn qxl() -> Self {
        let memory = |size| BarKind::Memory {
            memory: SharedMemory::allocate("probe", size).unwrap(),
            offset: 0,
            read_only: false,
            log_dirty: true,
        };
        let bar = |index, size, kind| BarSpec {
            index,
            size,
            wide: false,
            prefetchable: false,
            kind,
        };
        Self::new(
            PciIdentity {
                vendor: 0x1b36,
                device: 0x0100,
                revision: 5,
                class: [3, 0, 0],
                subsystem_vendor: 0x1af4,
                subsystem: 0x1100,
                intx: true,
            },
            vec![
                bar(0, 64 << 20, memory(64 << 20)),
                bar(1, 64 << 20, memory(64 << 20)),
                bar(2, 8192, memory(8192)),
                bar(3, 32, BarKind::Ports),
            ],
            Vec::new(),
        )
    }

    /// The shape of a modern virtio device: MSI-X, vendor capabilities, a wide register BAR.
    pub(crate) fn virtio() -> Self {
        let bar = |index, wide| BarSpec {
            index,
            size: if wide { 16384 } else { 4096 },
            wide,
            prefetchable: wide,
            kind: BarKind::Registers,
        };
        Self::new(
            PciIdentity {
                vendor: 0x1af4,
                device: 0x1042,
                revision: 1,
                class: [1, 0, 0],
                subsystem_vendor: 0x1af4,
                subsystem: 0x1100,
                intx: true,
            },
            vec![bar(1, false), bar(4, true)],
            vec![
                Capability::MsiX { vectors: 3, bar: 1 },
                Capability::Vendor {
                    body: (0..14).map(|byte| if byte == 0 { 16 } else { byte }).collect(),
                },
            ],
        )
    }

    pub(crate) fn new(identity: PciIdentity, bars: Vec<BarSpec>, capabilities: Vec<Capability>) -> Self {
        Self {
            identity,
            bars,
            capabilities,
            bells: Vec::new(),
            told: Mutex::default(),
            interrupts: Mutex::default(),
            logs: Mutex::default(),
        }
    }

    /// The dirty log of a BAR.
    pub(crate) fn log(&self, bar: u8) -> Option<Vec<u64>> {
        self.logs.lock().unwrap().get(&bar)?.take()
    }

    pub(crate) fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    pub(crate) fn line(&self) -> Arc<dyn IrqLine> {
        self.interrupts.lock().unwrap().as_ref().unwrap().intx.clone().unwrap()
    }

    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl PciFunction for Probe {
    fn identity(&self) -> PciIdentity {
        self.identity
    }

    fn bars(&self) -> Vec<BarSpec> {
        self.bars.clone()
    }

    fn capabilities(&self) -> Vec<Capability> {
        self.capabilities.clone()
    }

    fn doorbells(&self, bar: u8) -> Vec<Doorbell> {
        let own = self.bells.iter().filter(|(index, _)| *index == bar);
        own.map(|(_, bell)| bell.clone()).collect()
    }

    fn plugged(&self, interrupts: PciInterrupts) {
        *self.interrupts.lock().unwrap() = Some(interrupts);
    }

    fn bar_read(&self, bar: u8, offset: u64, data: &mut [u8]) {
        self.tell(Told::Read(bar, offset, data.len()));
        data.fill(0x5a);
    }

    fn bar_write(&self, bar: u8, offset: u64, data: &[u8]) -> Outcome {
        self.tell(Told::Write(bar, offset, value_of(data)));
        Outcome::Done
    }

    fn bar_logged(&self, bar: u8, log: Option<DirtyLog>) {
        match log {
            Some(log) => self.logs.lock().unwrap().insert(bar, log),
            None => self.logs.lock().unwrap().remove(&bar),
        };
    }

    fn bar_moved(&self, bar: u8, address: Option<u64>) {
        self.tell(Told::Moved(bar, address));
    }

    fn bus_master(&self, enabled: bool) {
        self.tell(Told::Master(enabled));
    }

    fn config_read(&self, _offset: u8, data: &mut [u8]) {
        data.iter_mut().for_each(|byte| *byte ^= 0x80);
    }

    fn config_write(&self, offset: u8, data: &[u8]) -> Outcome {
        self.tell(Told::ConfigWrite(offset, data.to_vec()));
        Outcome::Done
    }
}

/// A bus with everything around it faked.
pub(crate) struct Bench {
    pub(crate) bus: PciBus,
    pub(crate) space: Arc<FakeSpace>,
    pub(crate) vectors: Arc<FakeAllocator>,
    pub(crate) lines: [Arc<FakeLine>; 4],
    ports: Arc<dyn BusDevice>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let space = Arc::new(FakeSpace::default());
        let vectors = Arc::new(FakeAllocator::default());
        let lines: [Arc<FakeLine>; 4] = std::array::from_fn(|_| Arc::default());
        let shared = std::array::from_fn(|index| SharedLine::new(lines[index].clone()));
        let bus = PciBus::new(space.clone(), vectors.clone(), shared).unwrap();
        let ports = bus.config_ports();
        Self {
            bus,
            space,
            vectors,
            lines,
            ports,
        }
    }

    pub(crate) fn out(&self, port: u64, width: usize, value: u64) -> Outcome {
        let mut data = vec![0; width];
        store_value(&mut data, value);
        self.ports.write(port - 0xcf8, &data)
    }

    pub(crate) fn input(&self, port: u64, width: usize) -> u64 {
        let mut data = vec![0xff; width];
        self.ports.read(port - 0xcf8, &mut data);
        value_of(&data)
    }

    /// `device` may have a function number in its top three bits: `device | function << 5`.
    fn point(&self, device: u8, register: u8) {
        let place = u64::from(device & 0x1f) << 3 | u64::from(device >> 5);
        let address = 0x8000_0000 | place << 8 | u64::from(register & 0xfc);
        self.out(0xcf8, 4, address);
    }

    pub(crate) fn config(&self, device: u8, register: u8, width: usize) -> u64 {
        self.point(device, register);
        self.input(0xcfc + u64::from(register & 3), width)
    }

    pub(crate) fn set_config(&self, device: u8, register: u8, width: usize, value: u64) {
        self.point(device, register);
        self.out(0xcfc + u64::from(register & 3), width, value);
    }
}
