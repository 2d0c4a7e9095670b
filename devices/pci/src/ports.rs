//! The two ways to config space: ports 0xcf8 to 0xcff, and ECAM.

use std::sync::Arc;

use caraway_base::bus::{BusDevice, Outcome, store_value, value_of};

use crate::bus::Inner;

const ENABLE: u32 = 1 << 31;
/// Enable, bus, device, function and register; the reserved bits read 0.
const ADDRESS_BITS: u32 = 0x80ff_fffc;
/// Config data starts this many ports after config address.
const DATA: u64 = 4;

/// A function's place: bus, device and function number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bus: u8,
    pub(crate) device: u8,
    pub(crate) function: u8,
}

impl Place {
    /// From bits as ECAM (shift 12) and the address port (shift 8) pack them.
    fn from_bits(bits: u64) -> Self {
        Self {
            bus: (bits >> 8 & 0xff) as u8,
            device: (bits >> 3 & 0x1f) as u8,
            function: (bits & 7) as u8,
        }
    }
}

/// Ports 0xcf8 to 0xcff. Only double words reach the address register, so that the byte port 0xcf9 stays free for a
/// reset control register.
pub(crate) struct ConfigPorts(pub(crate) Arc<Inner>);

impl ConfigPorts {
    /// Where an access to the data ports leads: enabled, inside the data ports.
    fn target(&self, offset: u64, length: usize) -> Option<(Place, usize)> {
        let address = self.0.address();
        let within = offset.checked_sub(DATA)?;
        if address & ENABLE == 0 || within + length as u64 > 4 {
            return None;
        }
        let register = usize::try_from(u64::from(address & 0xfc) + within).ok()?;
        Some((Place::from_bits(u64::from(address) >> 8), register))
    }
}

impl BusDevice for ConfigPorts {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if offset == 0 && data.len() == 4 {
            store_value(data, self.0.address().into());
        } else if let Some((place, register)) = self.target(offset, data.len()) {
            self.0.config_read(place, register, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        if offset == 0 && data.len() == 4 {
            self.0.set_address(value_of(data) as u32 & ADDRESS_BITS);
        } else if let Some((place, register)) = self.target(offset, data.len()) {
            return self.0.config_write(place, register, data);
        }
        Outcome::Done
    }
}

/// ECAM: 4 KiB for each function, 1 MiB for each bus. Bus 0 answers.
pub(crate) struct Ecam(pub(crate) Arc<Inner>);

impl Ecam {
    fn target(offset: u64) -> Option<(Place, usize)> {
        // Buses past 255 are not addressable.
        if offset >> 28 != 0 {
            return None;
        }
        Some((Place::from_bits(offset >> 12), usize::try_from(offset & 0xfff).ok()?))
    }
}

impl BusDevice for Ecam {
    fn read(&self, offset: u64, data: &mut [u8]) {
        if let Some((place, register)) = Self::target(offset) {
            self.0.config_read(place, register, data);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        match Self::target(offset) {
            Some((place, register)) => self.0.config_write(place, register, data),
            None => Outcome::Done,
        }
    }
}
