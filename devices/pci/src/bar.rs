//! Base address registers: the sizing masks, where the guest put them, and what is mapped there.

use std::{ops::Range, sync::Arc};

use caraway_base::{
    address_space::{Doorbell, Mapping, MappingId, Space, Target},
    bus::{BusDevice, Outcome},
};

use crate::{
    assign::Windows,
    config_space::{ConfigSpace, command, register},
    error::PlugError,
    function::{BarKind, BarSpec, EXPANSION_ROM, PciFunction},
};

const IO: u32 = 1;
const WIDE: u32 = 0b100;
const PREFETCHABLE: u32 = 0b1000;
/// Type bits in the low part of a memory BAR.
const MEMORY_FLAGS: u32 = 0xf;
const IO_FLAGS: u32 = 0x3;
/// Enable bit and reserved bits of the expansion ROM's register.
const ROM_ENABLE: u32 = 1;
const ROM_FLAGS: u32 = 0x7ff;

/// Where a BAR belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Decode is off.
    Off,
    /// Decode is on, but the address is not one the bus may answer at.
    Refused(u64),
    /// First address.
    At(u64),
}

/// One BAR of a plugged function.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) index: u8,
    pub(crate) size: u64,
    pub(crate) wide: bool,
    pub(crate) space: Space,
    target: Target,
    doorbells: Vec<Doorbell>,
    /// Where it answers now.
    pub(crate) mapped: Option<(u64, MappingId)>,
    /// The last place it could not be mapped at, until something else makes room.
    pub(crate) blocked: Option<u64>,
}

impl Bar {
    /// Checks the description and sets the BAR up in config space, programmed to 0.
    pub(crate) fn new(
        device: u8,
        spec: BarSpec,
        function: &Arc<dyn PciFunction>,
        msix: Option<Arc<dyn BusDevice>>,
        config: &mut ConfigSpace,
    ) -> Result<Self, PlugError> {
        check(&spec).map_err(|reason| PlugError::Bar {
            device,
            bar: spec.index,
            reason,
        })?;
        let (space, flags) = match spec.kind {
            BarKind::Ports => (Space::Ports, IO),
            BarKind::Registers | BarKind::Memory { .. } => {
                let wide = if spec.wide { WIDE } else { 0 };
                let prefetchable = if spec.prefetchable { PREFETCHABLE } else { 0 };
                (Space::Memory, wide | prefetchable)
            }
        };
        let at = register_of(spec.index);
        config.set_u32(at, flags);
        let mask = !(spec.size - 1);
        config.allow(at, &low_half(mask).to_le_bytes());
        if spec.wide {
            config.allow(at + 4, &high_half(mask).to_le_bytes());
        }
        if spec.index == EXPANSION_ROM {
            config.allow(at, &(low_half(mask) | ROM_ENABLE).to_le_bytes());
        }
        Ok(Self {
            index: spec.index,
            size: spec.size,
            wide: spec.wide,
            space,
            doorbells: if msix.is_some() {
                Vec::new()
            } else {
                function.doorbells(spec.index)
            },
            target: target(spec, function, msix),
            mapped: None,
            blocked: None,
        })
    }

    /// The address in the register, decoded or not.
    pub(crate) fn programmed(&self, config: &ConfigSpace) -> u64 {
        let at = register_of(self.index);
        let flags = match (self.space, self.index) {
            (Space::Ports, _) => IO_FLAGS,
            (Space::Memory, EXPANSION_ROM) => ROM_FLAGS,
            (Space::Memory, _) => MEMORY_FLAGS,
        };
        let low = u64::from(config.u32(at) & !flags);
        if self.wide {
            low | u64::from(config.u32(at + 4)) << 32
        } else {
            low
        }
    }

    /// Programs an address.
    pub(crate) fn program(&self, config: &mut ConfigSpace, address: u64) {
        let at = register_of(self.index).into();
        if self.wide {
            config.write(at, &address.to_le_bytes());
        } else {
            config.write(at, &low_half(address).to_le_bytes());
        }
    }

    /// Where it belongs now.
    pub(crate) fn placement(&self, config: &ConfigSpace, windows: &Windows) -> Placement {
        let decode = match self.space {
            Space::Ports => command::IO,
            Space::Memory => command::MEMORY,
        };
        let disabled = self.index == EXPANSION_ROM && config.u32(register::EXPANSION_ROM) & ROM_ENABLE == 0;
        if disabled || config.u16(register::COMMAND) & decode == 0 {
            return Placement::Off;
        }
        let address = self.programmed(config);
        let fits = |window: &Range<u64>| {
            let end = address.checked_add(self.size);
            address >= window.start && end.is_some_and(|end| end <= window.end)
        };
        let allowed = match self.space {
            Space::Ports => fits(&windows.ports),
            Space::Memory => fits(&windows.low) || fits(&windows.high),
        };
        if allowed {
            Placement::At(address)
        } else {
            Placement::Refused(address)
        }
    }

    /// Whether the function wants to know what the guest writes there.
    pub(crate) const fn is_logged(&self) -> bool {
        matches!(self.target, Target::Memory { log_dirty: true, .. })
    }

    /// What to map at `address`, which lies in a window.
    pub(crate) fn mapping(&self, address: u64) -> Mapping {
        Mapping {
            space: self.space,
            range: address..address.saturating_add(self.size),
            target: self.target.clone(),
            doorbells: self.doorbells.clone(),
        }
    }
}

fn check(spec: &BarSpec) -> Result<(), &'static str> {
    let least = match spec.kind {
        BarKind::Ports => 4,
        BarKind::Registers => 16,
        BarKind::Memory { .. } => 4096,
    };
    if spec.index == EXPANSION_ROM {
        match spec.kind {
            BarKind::Memory { read_only: true, .. } if !spec.wide && !spec.prefetchable => {}
            _ => return Err("an expansion ROM is 32-bit read-only memory"),
        }
    } else if spec.index > 5 || (spec.wide && spec.index > 4) {
        return Err("there are six BAR registers");
    }
    if !spec.size.is_power_of_two() || spec.size < least {
        return Err("the size is not a power of two or too small");
    }
    match &spec.kind {
        BarKind::Ports if spec.wide || spec.prefetchable => return Err("a port BAR is neither wide nor prefetchable"),
        BarKind::Ports if spec.size > 256 => return Err("a port BAR has at most 256 ports"),
        BarKind::Memory { memory, offset, .. } if !memory.contains(*offset, spec.size) || offset % 4096 != 0 => {
            return Err("the memory behind it is smaller than the BAR or not page aligned");
        }
        _ => {}
    }
    // The largest BAR whose register can still hold an address other than 0.
    let most: u64 = if spec.wide { 1 << 62 } else { 1 << 31 };
    if spec.size > most {
        return Err("the size does not fit the register");
    }
    Ok(())
}

fn target(spec: BarSpec, function: &Arc<dyn PciFunction>, msix: Option<Arc<dyn BusDevice>>) -> Target {
    match spec.kind {
        BarKind::Memory {
            memory,
            offset,
            read_only,
            log_dirty,
        } => Target::Memory {
            memory,
            offset,
            read_only,
            log_dirty,
        },
        BarKind::Ports | BarKind::Registers => Target::Device(msix.unwrap_or_else(|| {
            Arc::new(BarDevice {
                function: Arc::clone(function),
                bar: spec.index,
            })
        })),
    }
}

/// Config space offset of a BAR register.
fn register_of(index: u8) -> u8 {
    if index == EXPANSION_ROM {
        register::EXPANSION_ROM
    } else {
        register::BAR0 + 4 * index
    }
}

fn low_half(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

fn high_half(value: u64) -> u32 {
    (value >> 32) as u32
}

/// What the address space calls: straight into the function, past the bus's lock.
struct BarDevice {
    function: Arc<dyn PciFunction>,
    bar: u8,
}

impl BusDevice for BarDevice {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.function.bar_read(self.bar, offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        self.function.bar_write(self.bar, offset, data)
    }
}
