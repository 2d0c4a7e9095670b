//! The host bridge at 00:00.0: Intel 82G33/Q35 (8086:29c0), ids only.

use caraway_base::bus::Outcome;

use crate::function::{BarSpec, PciFunction, PciIdentity, PciInterrupts};

/// Ids of the bridge; firmware and guests recognise the chipset by them.
#[derive(Debug)]
pub(crate) struct HostBridge;

impl PciFunction for HostBridge {
    fn identity(&self) -> PciIdentity {
        PciIdentity {
            vendor: 0x8086,
            device: 0x29c0,
            revision: 0,
            class: [0x06, 0x00, 0x00],
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            intx: false,
        }
    }

    fn bars(&self) -> Vec<BarSpec> {
        Vec::new()
    }

    fn plugged(&self, _interrupts: PciInterrupts) {}

    fn bar_read(&self, _bar: u8, _offset: u64, _data: &mut [u8]) {}

    fn bar_write(&self, _bar: u8, _offset: u64, _data: &[u8]) -> Outcome {
        Outcome::Done
    }
}
