//! The bus: functions by device number, config access, and keeping the mappings in step with the BARs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use caraway_base::{
    address_space::{AddressSpace, DirtyLog, MapError, MappingId},
    bus::{BusDevice, Outcome},
    irq::{MsiAllocator, SharedLine},
    lifecycle::Lifecycle,
    state::StateError,
};

use crate::{
    assign::{Allocator, Windows},
    bar::{Bar, Placement},
    config_space::{MULTIFUNCTION, command, register},
    error::{AssignError, PlugError},
    function::PciFunction,
    host_bridge::HostBridge,
    ports::{ConfigPorts, Ecam, Place},
    slot::Slot,
    state::{PciBusState, invalid},
};

/// GSI of the first of the four INTx lines.
const FIRST_GSI: u8 = 16;

/// One flat PCI bus with the host bridge in it. Cloning shares it.
#[derive(Clone)]
pub struct PciBus(Arc<Inner>);

pub(crate) struct Inner {
    space: Arc<dyn AddressSpace>,
    msi: Arc<dyn MsiAllocator>,
    lines: [Arc<SharedLine>; 4],
    functions: Mutex<Functions>,
    /// Placements that were not mapped.
    refused: AtomicU64,
}

struct Functions {
    /// The config address register.
    address: u32,
    windows: Windows,
    /// By device number times 8, plus function number.
    slots: BTreeMap<u8, Slot>,
}

impl std::fmt::Debug for PciBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PciBus").finish_non_exhaustive()
    }
}

impl PciBus {
    /// A bus with the host bridge at 00:00.0. `lines` are the inputs of GSI 16 to 19.
    ///
    /// # Errors
    /// Never for the host bridge itself; the type is that of [`PciBus::plug`].
    pub fn new(
        space: Arc<dyn AddressSpace>,
        msi: Arc<dyn MsiAllocator>,
        lines: [Arc<SharedLine>; 4],
    ) -> Result<Self, PlugError> {
        let bus = Self(Arc::new(Inner {
            space,
            msi,
            lines,
            functions: Mutex::new(Functions {
                address: 0,
                windows: Windows::default(),
                slots: BTreeMap::new(),
            }),
            refused: AtomicU64::new(0),
        }));
        bus.plug(0, Arc::new(HostBridge))?;
        Ok(bus)
    }

    /// Plugs a function in as function 0 of a device. INTA# goes to GSI 16 + (device & 3).
    ///
    /// # Errors
    /// When the number is taken or not below 32, the function describes what cannot be, or the host has no vectors.
    pub fn plug(&self, device: u8, function: Arc<dyn PciFunction>) -> Result<(), PlugError> {
        self.plug_at(device, 0, function)
    }

    /// Plugs a function in as one of up to eight of a device. They share the device's INTA#. A guest looks for further
    /// functions only when function 0 is there.
    ///
    /// # Errors
    /// As [`PciBus::plug`], and for a function number above 7.
    pub fn plug_at(&self, device: u8, number: u8, function: Arc<dyn PciFunction>) -> Result<(), PlugError> {
        if device >= 32 || number >= 8 {
            return Err(PlugError::Number { device, number });
        }
        let devfn = first_of(device) | number;
        let mut functions = self.0.lock();
        if functions.slots.contains_key(&devfn) {
            return Err(PlugError::Taken { device, number });
        }
        let [a, b, c, d] = &self.0.lines;
        let line = match device & 3 {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        };
        let slot = Slot::new(device, function, line.input(), self.0.msi.as_ref())?;
        functions.slots.insert(devfn, slot);
        if functions.slots.range(first_of(device)..=devfn | 7).count() > 1 {
            for (_, slot) in functions.slots.range_mut(first_of(device)..=devfn | 7) {
                slot.config.set_u8(register::HEADER_TYPE, MULTIFUNCTION);
                slot.initial = slot.config.image();
            }
        }
        Ok(())
    }

    /// Does what firmware would: gives every BAR an address, turns decode on, writes the GSI to Interrupt Line. Bus
    /// mastering stays off. [`PciBus::reset`] comes back to here.
    ///
    /// # Errors
    /// When a window is full or the address space refuses.
    pub fn assign(&self, windows: Windows) -> Result<(), AssignError> {
        let mut functions = self.0.lock();
        let functions = &mut *functions;
        functions.windows = windows;
        let mut allocator = Allocator::new(functions.windows.clone());
        let mut order: Vec<(u64, u8, u8)> = Vec::new();
        for (devfn, slot) in &functions.slots {
            order.extend(slot.bars.iter().map(|bar| (bar.size, *devfn, bar.index)));
        }
        order.sort_by_key(|&(size, devfn, bar)| (std::cmp::Reverse(size), devfn, bar));
        for (size, devfn, index) in order {
            let Some(Slot { bars, config, .. }) = functions.slots.get_mut(&devfn) else {
                continue;
            };
            let Some(bar) = bars.iter().find(|bar| bar.index == index) else {
                continue;
            };
            let address = allocator.allocate(bar.space, bar.wide, size);
            bar.program(
                config,
                address.ok_or(AssignError::NoRoom {
                    device: devfn >> 3,
                    bar: index,
                    size,
                })?,
            );
        }
        for (devfn, slot) in &mut functions.slots {
            slot.config.set_u16(register::COMMAND, slot.decode());
            if slot.config.u8(register::INTERRUPT_PIN) != 0 {
                slot.config
                    .set_u8(register::INTERRUPT_LINE, FIRST_GSI + (devfn >> 3 & 3));
            }
            slot.initial = slot.config.image();
        }
        self.0.settle(functions).map_or(Ok(()), |error| Err(error.into()))
    }

    /// Says where BARs may lie, for a bus whose addresses come from a record instead of [`PciBus::assign`].
    pub fn set_windows(&self, windows: Windows) {
        self.0.lock().windows = windows;
    }

    /// The device for ports 0xcf8 to 0xcff. Byte accesses to 0xcf9 are not its business and change nothing.
    #[must_use]
    pub fn config_ports(&self) -> Arc<dyn BusDevice> {
        Arc::new(ConfigPorts(Arc::clone(&self.0)))
    }

    /// The device for ECAM, 1 MiB for each bus from bus 0 on.
    #[must_use]
    pub fn ecam(&self) -> Arc<dyn BusDevice> {
        Arc::new(Ecam(Arc::clone(&self.0)))
    }

    /// Back to the state [`PciBus::assign`] left, or that after plugging when it was not called. Functions are reset
    /// by the machine, not from here.
    pub fn reset(&self) {
        let mut functions = self.0.lock();
        functions.address = 0;
        functions.slots.values_mut().for_each(Slot::reset);
        self.0.settle(&mut functions);
    }

    /// BAR placements the guest asked for that could not be mapped.
    #[must_use]
    pub fn refused_placements(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> PciBusState {
        let functions = self.0.lock();
        PciBusState {
            address: functions.address,
            functions: functions.slots.iter().map(|(devfn, slot)| slot.save(*devfn)).collect(),
        }
    }

    pub(crate) fn load(&self, state: &PciBusState) -> Result<(), StateError> {
        let mut functions = self.0.lock();
        let plugged: Vec<u8> = functions.slots.keys().copied().collect();
        let saved: Vec<u8> = state.functions.iter().map(|function| function.devfn).collect();
        if plugged != saved {
            return Err(invalid(
                "functions",
                format_args!("{saved:?}, plugged in are {plugged:?}"),
            ));
        }
        for (slot, saved) in functions.slots.values().zip(&state.functions) {
            slot.check(saved)?;
        }
        for (slot, saved) in functions.slots.values_mut().zip(&state.functions) {
            slot.load(saved)?;
        }
        functions.address = state.address;
        self.0.settle(&mut functions);
        Ok(())
    }
}

impl Lifecycle for PciBus {
    fn pause(&self) {}

    fn resume(&self) {}

    fn reset(&self) {
        Self::reset(self);
    }
}

impl Slot {
    /// Command register with decode on for the kinds of BAR that are there.
    fn decode(&self) -> u16 {
        self.bars.iter().fold(0, |bits, bar| {
            bits | match bar.space {
                caraway_base::address_space::Space::Ports => command::IO,
                caraway_base::address_space::Space::Memory => command::MEMORY,
            }
        })
    }
}

impl Inner {
    pub(crate) fn address(&self) -> u32 {
        self.lock().address
    }

    pub(crate) fn set_address(&self, address: u32) {
        self.lock().address = address;
    }

    pub(crate) fn config_read(&self, place: Place, register: usize, data: &mut [u8]) {
        if let Some(slot) = self.lock().slot(place) {
            slot.read(register, data);
        }
    }

    pub(crate) fn config_write(&self, place: Place, register: usize, data: &[u8]) -> Outcome {
        let mut functions = self.lock();
        let Some(slot) = functions.slot(place) else {
            return Outcome::Done;
        };
        let (outcome, moved) = slot.write(register, data);
        if moved {
            self.settle(&mut functions);
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Functions> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes what is mapped agree with config space: one transaction for everything that moved. A BAR that cannot be
    /// where the guest wants it does not answer, and is tried again whenever something else makes room. The first
    /// error, for callers to whom it is one.
    fn settle(&self, functions: &mut Functions) -> Option<MapError> {
        let Functions { windows, slots, .. } = functions;
        let mut moves = Vec::new();
        let mut waiting = Vec::new();
        for (devfn, slot) in slots.iter_mut() {
            for (index, bar) in slot.bars.iter_mut().enumerate() {
                let target = match bar.placement(&slot.config, windows) {
                    Placement::Off => {
                        bar.blocked = None;
                        None
                    }
                    Placement::At(address) => Some(address),
                    Placement::Refused(address) => {
                        if bar.blocked.replace(address) != Some(address) {
                            self.refuse(*devfn, bar.index, address, "outside every window");
                        }
                        None
                    }
                };
                let step = Move {
                    devfn: *devfn,
                    index,
                    old: bar.mapped,
                    target,
                };
                if bar.mapped.map(|(address, _)| address) == target {
                    continue;
                }
                if target.is_some() && bar.blocked == target {
                    waiting.push(step);
                } else {
                    moves.push(step);
                }
            }
        }
        let made_room = moves.iter().any(|step| step.old.is_some());
        let mut error = self.carry_out(slots, &moves);
        if made_room {
            for step in &waiting {
                error = error.or(self.place(slots, *step));
            }
        }
        for step in moves.iter().chain(&waiting) {
            let Some(slot) = slots.get(&step.devfn) else { continue };
            let Some(bar) = slot.bars.get(step.index) else { continue };
            let now = bar.mapped.map(|(address, _)| address);
            if now != step.old.map(|(address, _)| address) {
                if bar.is_logged() {
                    let log = bar.mapped.map(|(_, id)| DirtyLog::new(Arc::clone(&self.space), id));
                    slot.function.bar_logged(bar.index, log);
                }
                slot.function.bar_moved(bar.index, now);
            }
        }
        error
    }

    /// All moves at once; when that fails, each for itself.
    fn carry_out(&self, slots: &mut BTreeMap<u8, Slot>, moves: &[Move]) -> Option<MapError> {
        if moves.is_empty() {
            return None;
        }
        let remove: Vec<MappingId> = moves.iter().filter_map(|step| Some(step.old?.1)).collect();
        let add = moves
            .iter()
            .filter_map(|step| Some(bar(slots, step)?.mapping(step.target?)));
        match self.space.change(&remove, add.collect()) {
            Ok(ids) => {
                let mut ids = ids.into_iter();
                for step in moves {
                    let mapped = step.target.and_then(|address| Some((address, ids.next()?)));
                    if let Some(bar) = bar(slots, step) {
                        bar.mapped = mapped;
                        bar.blocked = bar.blocked.filter(|_| step.target.is_none());
                    }
                }
                None
            }
            Err(_) => self.carry_out_singly(slots, moves, &remove),
        }
    }

    fn carry_out_singly(
        &self,
        slots: &mut BTreeMap<u8, Slot>,
        moves: &[Move],
        remove: &[MappingId],
    ) -> Option<MapError> {
        if let Err(error) = self.space.change(remove, Vec::new()) {
            // The old mappings stay, and `mapped` keeps saying so.
            tracing::error!(%error, "cannot unmap BARs");
            return Some(error);
        }
        for step in moves {
            if let Some(bar) = bar(slots, step) {
                bar.mapped = None;
            }
        }
        moves
            .iter()
            .fold(None, |error, step| error.or(self.place(slots, *step)))
    }

    /// Maps one BAR that is not mapped.
    fn place(&self, slots: &mut BTreeMap<u8, Slot>, step: Move) -> Option<MapError> {
        let address = step.target?;
        let bar = bar(slots, &step)?;
        match self.space.change(&[], vec![bar.mapping(address)]) {
            Ok(ids) => {
                bar.mapped = ids.first().map(|id| (address, *id));
                bar.blocked = None;
                None
            }
            Err(error) => {
                if bar.blocked.replace(address) != Some(address) {
                    self.refuse(step.devfn, bar.index, address, &error);
                }
                Some(error)
            }
        }
    }

    /// Counts, and logs at 1, 2, 4, 8 and so on: the guest can do this as often as it likes.
    fn refuse(&self, devfn: u8, bar: u8, address: u64, reason: impl std::fmt::Display) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(device = devfn >> 3, function = devfn & 7, bar, address, count, %reason, "a BAR does not answer where the guest put it");
        }
    }
}

/// A BAR that has to be somewhere else.
#[derive(Clone, Copy, Debug)]
struct Move {
    devfn: u8,
    /// Place in the slot's list of BARs.
    index: usize,
    old: Option<(u64, MappingId)>,
    target: Option<u64>,
}

fn bar<'a>(slots: &'a mut BTreeMap<u8, Slot>, step: &Move) -> Option<&'a mut Bar> {
    slots.get_mut(&step.devfn)?.bars.get_mut(step.index)
}

/// Device and function number of a device's function 0. `device` is below 32.
const fn first_of(device: u8) -> u8 {
    device << 3
}

impl Functions {
    fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        if place.bus != 0 {
            return None;
        }
        self.slots.get_mut(&(first_of(place.device) | place.function))
    }
}
