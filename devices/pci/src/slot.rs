//! A plugged function: its config space with the side effects of writing it.

use std::sync::Arc;

use caraway_base::{
    bus::{BusDevice, Outcome},
    irq::{IrqLine, MsiAllocator},
};

use crate::{
    bar::Bar,
    config_space::{CapabilityMap, ConfigSpace, SIZE, command, register, status},
    error::PlugError,
    function::{BarKind, Capability, PciFunction, PciInterrupts},
    intx::IntxGate,
    msix::Msix,
    state::{FunctionState, image, invalid},
};

/// A function and what the bus keeps for it.
pub(crate) struct Slot {
    pub(crate) function: Arc<dyn PciFunction>,
    pub(crate) config: ConfigSpace,
    pub(crate) bars: Vec<Bar>,
    capabilities: CapabilityMap,
    intx: Option<Arc<IntxGate>>,
    msix: Option<Arc<Msix>>,
    /// Config space a reset goes back to.
    pub(crate) initial: [u8; SIZE],
}

impl Slot {
    /// Asks the function what it is and tells it how to interrupt.
    pub(crate) fn new(
        device: u8,
        function: Arc<dyn PciFunction>,
        line: Arc<dyn IrqLine>,
        allocator: &dyn MsiAllocator,
    ) -> Result<Self, PlugError> {
        let identity = function.identity();
        let mut config = ConfigSpace::new(&identity);
        let list = function.capabilities();
        let capabilities = config.add_capabilities(device, &list)?;
        let (msix, msix_bar) = match msix_of(device, &list)? {
            Some((vectors, bar)) => (Some(allocate(device, vectors, allocator)?), Some(bar)),
            None => (None, None),
        };
        let table = msix.as_ref().map(|(msix, _)| Arc::clone(msix));
        let bars = bars_of(device, &function, table.as_ref(), msix_bar, &mut config)?;
        let intx = identity.intx.then(|| Arc::new(IntxGate::new(line)));
        function.plugged(PciInterrupts {
            intx: intx.clone().map(|gate| gate as Arc<dyn IrqLine>),
            msix_enabled: table.as_ref().map(|msix| msix.enabled()).unwrap_or_default(),
            msix: msix.map(|(_, vectors)| vectors).unwrap_or_default(),
        });
        Ok(Self {
            function,
            initial: config.image(),
            config,
            bars,
            capabilities,
            intx,
            msix: table,
        })
    }

    /// The guest reads config space; what is past its end stays as it is.
    pub(crate) fn read(&self, at: usize, data: &mut [u8]) {
        self.config.read(at, data);
        if self.intx.as_ref().is_some_and(|gate| gate.wanted()) {
            let offset = usize::from(register::STATUS).checked_sub(at);
            if let Some(byte) = offset.and_then(|offset| data.get_mut(offset)) {
                *byte |= status::INTERRUPT;
            }
        }
        for &(start, end) in &self.capabilities.vendor {
            let first = at.max(start);
            if let (Ok(offset), Some(part)) = (u8::try_from(first), part_mut(data, at, first, end)) {
                self.function.config_read(offset, part);
            }
        }
    }

    /// The guest writes config space. `true` when BARs may have moved.
    pub(crate) fn write(&mut self, at: usize, data: &[u8]) -> (Outcome, bool) {
        let before = self.config.clone();
        self.config.write(at, data);
        let moved = self.follow(&before);
        let mut outcome = Outcome::Done;
        for &(start, end) in &self.capabilities.vendor {
            let first = at.max(start);
            if let (Ok(offset), Some(part)) = (u8::try_from(first), part(data, at, first, end)) {
                outcome = self.function.config_write(offset, part);
            }
        }
        (outcome, moved)
    }

    /// Back to the state after plugging or after addresses were assigned.
    pub(crate) fn reset(&mut self) {
        if let Some(msix) = &self.msix {
            msix.reset();
        }
        let image = self.initial;
        self.adopt(&image);
    }

    pub(crate) fn save(&self, devfn: u8) -> FunctionState {
        FunctionState {
            devfn,
            config: self.config.image().to_vec(),
            initial: self.initial.to_vec(),
            msix: self.msix.as_ref().map(|msix| msix.save()),
        }
    }

    /// Checks a saved state without taking it.
    pub(crate) fn check(&self, state: &FunctionState) -> Result<(), caraway_base::state::StateError> {
        for (field, bytes) in [("config", &state.config), ("initial", &state.initial)] {
            if !self.config.accepts(&image(field, bytes)?) {
                return Err(invalid(
                    field,
                    format_args!("that of another function than {}", state.devfn),
                ));
            }
        }
        let own = self.msix.as_ref().map(|msix| msix.vectors());
        let saved = state.msix.as_ref().map(|msix| msix.entries.len());
        if own != saved {
            return Err(invalid(
                "msix",
                format_args!("{saved:?} vectors at function {}", state.devfn),
            ));
        }
        Ok(())
    }

    /// Takes a saved state that was checked.
    pub(crate) fn load(&mut self, state: &FunctionState) -> Result<(), caraway_base::state::StateError> {
        self.initial = image("initial", &state.initial)?;
        let config = image("config", &state.config)?;
        if let (Some(msix), Some(saved)) = (&self.msix, &state.msix) {
            msix.reset();
            msix.load(saved);
        }
        self.adopt(&config);
        Ok(())
    }

    /// Writes a whole config space as the guest would, without calling into vendor capabilities.
    fn adopt(&mut self, image: &[u8; SIZE]) {
        let before = self.config.clone();
        self.config.write(0, image);
        self.follow(&before);
        if let (Some(msix), Some(control)) = (&self.msix, self.capabilities.msix_control) {
            msix.set_control(self.config.u16(control));
        }
    }

    /// Makes everything but the mappings agree with config space; whether the mappings have to follow.
    fn follow(&self, before: &ConfigSpace) -> bool {
        let (old, new) = (before.u16(register::COMMAND), self.config.u16(register::COMMAND));
        if let Some(gate) = &self.intx {
            gate.set_disabled(new & command::INTX_DISABLE != 0);
        }
        if let (Some(msix), Some(at)) = (&self.msix, self.capabilities.msix_control) {
            let control = self.config.u16(at);
            if before.u16(at) != control {
                msix.set_control(control);
            }
            if let Some(gate) = &self.intx {
                gate.set_msix(control & crate::config_space::message_control::ENABLE != 0);
            }
        }
        if (old ^ new) & command::BUS_MASTER != 0 {
            self.function.bus_master(new & command::BUS_MASTER != 0);
        }
        let bars = (register::BAR0..register::BAR_END)
            .step_by(4)
            .chain([register::EXPANSION_ROM]);
        (old ^ new) & (command::IO | command::MEMORY) != 0
            || bars.into_iter().any(|at| before.u32(at) != self.config.u32(at))
    }
}

/// The bytes of an access at `at` that lie in `first..end`.
fn part(data: &[u8], at: usize, first: usize, end: usize) -> Option<&[u8]> {
    let last = end.min(at + data.len());
    if first >= last {
        return None;
    }
    data.get(first - at..last - at)
}

fn part_mut(data: &mut [u8], at: usize, first: usize, end: usize) -> Option<&mut [u8]> {
    let last = end.min(at + data.len());
    if first >= last {
        return None;
    }
    data.get_mut(first - at..last - at)
}

/// Vectors and BAR of the MSI-X capability.
fn msix_of(device: u8, list: &[Capability]) -> Result<Option<(u16, u8)>, PlugError> {
    let mut found = None;
    for (index, capability) in list.iter().enumerate() {
        if let Capability::MsiX { vectors, bar } = capability {
            if found.is_some() {
                let reason = "there is one MSI-X capability";
                return Err(PlugError::Capability { device, index, reason });
            }
            found = Some((*vectors, *bar));
        }
    }
    Ok(found)
}

type Vectors = Vec<Arc<dyn caraway_base::irq::MsiVector>>;

fn allocate(device: u8, count: u16, allocator: &dyn MsiAllocator) -> Result<(Arc<Msix>, Vectors), PlugError> {
    let vectors: Result<Vectors, _> = (0..count).map(|_| allocator.allocate()).collect();
    let vectors = vectors.map_err(|source| PlugError::Vector { device, source })?;
    Ok((Arc::new(Msix::new(vectors.clone())), vectors))
}

fn bars_of(
    device: u8,
    function: &Arc<dyn PciFunction>,
    msix: Option<&Arc<Msix>>,
    msix_bar: Option<u8>,
    config: &mut ConfigSpace,
) -> Result<Vec<Bar>, PlugError> {
    let mut bars = Vec::new();
    let mut taken = 0u8;
    for spec in function.bars() {
        let bar = spec.index;
        let fail = |reason| PlugError::Bar { device, bar, reason };
        let registers = 1u8.checked_shl(bar.into()).unwrap_or(0)
            | if spec.wide {
                2u8.checked_shl(bar.into()).unwrap_or(0)
            } else {
                0
            };
        if taken & registers != 0 {
            return Err(fail("its register is taken by another BAR"));
        }
        taken |= registers;
        let table = msix.filter(|_| msix_bar == Some(bar));
        if table.is_some() && !(matches!(spec.kind, BarKind::Registers) && spec.size >= 4096) {
            return Err(fail("an MSI-X table needs a register BAR of 4096 bytes"));
        }
        let table = table.map(|msix| Arc::clone(msix) as Arc<dyn BusDevice>);
        bars.push(Bar::new(device, spec, function, table, config)?);
    }
    match msix_bar {
        Some(bar) if bars.iter().all(|found| found.index != bar) => {
            let reason = "the MSI-X capability names it, but it is not there";
            Err(PlugError::Bar { device, bar, reason })
        }
        _ => Ok(bars),
    }
}
