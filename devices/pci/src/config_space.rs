//! The 256 bytes of a conventional function's config space: layout, and which bits the guest can write.

use crate::{error::PlugError, function::Capability, function::PciIdentity};

/// Bytes of config space.
pub(crate) const SIZE: usize = 256;

/// Register offsets (PCI Local Bus Specification 3.0, 6.1).
pub(crate) mod register {
    pub(crate) const COMMAND: u8 = 0x04;
    pub(crate) const STATUS: u8 = 0x06;
    pub(crate) const BAR0: u8 = 0x10;
    pub(crate) const BAR_END: u8 = 0x28;
    pub(crate) const HEADER_TYPE: u8 = 0x0e;
    pub(crate) const EXPANSION_ROM: u8 = 0x30;
    pub(crate) const CAPABILITIES: u8 = 0x34;
    pub(crate) const INTERRUPT_LINE: u8 = 0x3c;
    pub(crate) const INTERRUPT_PIN: u8 = 0x3d;
    pub(crate) const FIRST_CAPABILITY: u8 = 0x40;
}

/// Command register bits.
pub(crate) mod command {
    pub(crate) const IO: u16 = 1 << 0;
    pub(crate) const MEMORY: u16 = 1 << 1;
    pub(crate) const BUS_MASTER: u16 = 1 << 2;
    pub(crate) const PARITY: u16 = 1 << 6;
    pub(crate) const SERR: u16 = 1 << 8;
    pub(crate) const INTX_DISABLE: u16 = 1 << 10;
    pub(crate) const WRITABLE: u16 = IO | MEMORY | BUS_MASTER | PARITY | SERR | INTX_DISABLE;
}

/// Status register bits.
pub(crate) mod status {
    pub(crate) const INTERRUPT: u8 = 1 << 3;
    pub(crate) const CAPABILITY_LIST: u16 = 1 << 4;
}

/// Header type bit: there are functions besides function 0.
pub(crate) const MULTIFUNCTION: u8 = 1 << 7;

/// Message control bits of MSI-X the guest can write.
pub(crate) mod message_control {
    pub(crate) const FUNCTION_MASK: u16 = 1 << 14;
    pub(crate) const ENABLE: u16 = 1 << 15;
}

const CAPABILITY_VENDOR: u8 = 0x09;
const CAPABILITY_MSIX: u8 = 0x11;
const MSIX_LENGTH: u8 = 12;

/// Where in the MSI-X BAR the pending bits start; the table is at 0.
pub(crate) const PBA_OFFSET: u16 = 2048;

/// Values and write masks.
#[derive(Clone, Debug)]
pub(crate) struct ConfigSpace {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
}

/// Where capabilities ended up.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapabilityMap {
    /// Offset of the message control register.
    pub(crate) msix_control: Option<u8>,
    /// First and one past last byte of each vendor capability's body.
    pub(crate) vendor: Vec<(usize, usize)>,
}

impl ConfigSpace {
    pub(crate) fn new(identity: &PciIdentity) -> Self {
        let mut config = Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
        };
        config.set_u16(0x00, identity.vendor);
        config.set_u16(0x02, identity.device);
        config.set_u8(0x08, identity.revision);
        let [class, subclass, interface] = identity.class;
        config.set_u8(0x09, interface);
        config.set_u8(0x0a, subclass);
        config.set_u8(0x0b, class);
        config.set_u16(0x2c, identity.subsystem_vendor);
        config.set_u16(0x2e, identity.subsystem);
        config.set_u8(register::INTERRUPT_PIN, u8::from(identity.intx));
        config.allow(register::COMMAND, &command::WRITABLE.to_le_bytes());
        config.allow(register::INTERRUPT_LINE, &[0xff]);
        config
    }

    /// Lays out the capability list.
    pub(crate) fn add_capabilities(
        &mut self,
        device: u8,
        capabilities: &[Capability],
    ) -> Result<CapabilityMap, PlugError> {
        let mut map = CapabilityMap::default();
        let mut link = register::CAPABILITIES;
        let mut at = usize::from(register::FIRST_CAPABILITY);
        for (index, capability) in capabilities.iter().enumerate() {
            let fail = |reason| PlugError::Capability { device, index, reason };
            let body = match capability {
                Capability::MsiX { vectors, bar } => {
                    msix_body(*vectors, *bar).ok_or_else(|| fail("impossible size"))?
                }
                Capability::Vendor { body } => body.clone(),
            };
            let end = at + 2 + body.len();
            let start = u8::try_from(at).map_err(|_| fail("config space is full"))?;
            if end > SIZE {
                return Err(fail("config space is full"));
            }
            let id = match capability {
                Capability::MsiX { .. } => {
                    map.msix_control = Some(start + 2);
                    let control = message_control::ENABLE | message_control::FUNCTION_MASK;
                    self.allow(start + 2, &control.to_le_bytes());
                    CAPABILITY_MSIX
                }
                Capability::Vendor { body } => {
                    if body.first().map(|length| usize::from(*length)) != Some(body.len() + 2) {
                        return Err(fail("the length byte does not match the body"));
                    }
                    map.vendor.push((at + 2, end));
                    CAPABILITY_VENDOR
                }
            };
            self.set_u8(link, start);
            self.set_u8(start, id);
            self.set_bytes(at + 2, &body);
            link = start + 1;
            at = end.next_multiple_of(4);
        }
        if !capabilities.is_empty() {
            self.set_u16(register::STATUS, status::CAPABILITY_LIST);
        }
        Ok(map)
    }

    /// Makes bits writable by the guest.
    pub(crate) fn allow(&mut self, at: u8, mask: &[u8]) {
        for (slot, mask) in self.writable.iter_mut().skip(usize::from(at)).zip(mask) {
            *slot = *mask;
        }
    }

    /// Copies out; what is past the end stays as it is.
    pub(crate) fn read(&self, at: usize, data: &mut [u8]) {
        for (slot, byte) in data.iter_mut().zip(self.bytes.iter().skip(at)) {
            *slot = *byte;
        }
    }

    /// A guest write: only writable bits change.
    pub(crate) fn write(&mut self, at: usize, data: &[u8]) {
        let masks = self.writable.iter().skip(at);
        for ((slot, mask), byte) in self.bytes.iter_mut().skip(at).zip(masks).zip(data) {
            *slot = (*slot & !mask) | (byte & mask);
        }
    }

    /// The whole content.
    pub(crate) fn image(&self) -> [u8; SIZE] {
        self.bytes
    }

    /// Whether `image` differs from what is here in writable bits only.
    pub(crate) fn accepts(&self, image: &[u8; SIZE]) -> bool {
        let fixed = self.bytes.iter().zip(&self.writable);
        fixed.zip(image).all(|((old, mask), new)| (old ^ new) & !mask == 0)
    }

    pub(crate) fn u8(&self, at: u8) -> u8 {
        self.bytes.get(usize::from(at)).copied().unwrap_or(0)
    }

    pub(crate) fn u16(&self, at: u8) -> u16 {
        let mut bytes = [0; 2];
        self.read(usize::from(at), &mut bytes);
        u16::from_le_bytes(bytes)
    }

    pub(crate) fn u32(&self, at: u8) -> u32 {
        let mut bytes = [0; 4];
        self.read(usize::from(at), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    pub(crate) fn set_u8(&mut self, at: u8, value: u8) {
        self.set_bytes(usize::from(at), &[value]);
    }

    pub(crate) fn set_u16(&mut self, at: u8, value: u16) {
        self.set_bytes(usize::from(at), &value.to_le_bytes());
    }

    pub(crate) fn set_u32(&mut self, at: u8, value: u32) {
        self.set_bytes(usize::from(at), &value.to_le_bytes());
    }

    fn set_bytes(&mut self, at: usize, data: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(at).zip(data) {
            *slot = *byte;
        }
    }
}

/// Message control, table and PBA pointers (PCI Local Bus Specification 3.0, 6.8.2).
fn msix_body(vectors: u16, bar: u8) -> Option<Vec<u8>> {
    if !(1..=128).contains(&vectors) || bar > 5 {
        return None;
    }
    let mut body = Vec::with_capacity(usize::from(MSIX_LENGTH) - 2);
    body.extend((vectors - 1).to_le_bytes());
    body.extend(u32::from(bar).to_le_bytes());
    body.extend((u32::from(PBA_OFFSET) | u32::from(bar)).to_le_bytes());
    Some(body)
}
