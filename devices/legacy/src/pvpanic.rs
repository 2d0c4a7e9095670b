//! pvpanic as a PCI function (1b36:0011): the guest's kernel tells that it has panicked.

use caraway_base::bus::Outcome;
use caraway_pci::function::{BarKind, BarSpec, PciFunction, PciIdentity, PciInterrupts};

/// The guest has panicked.
const PANICKED: u8 = 1 << 0;
/// The guest has panicked and goes on in a crash kernel of its own.
const CRASH_LOADED: u8 = 1 << 1;

/// The function: one register, the first byte of BAR 0. A read tells which events there are, a write reports some.
#[derive(Debug)]
pub struct PvPanic;

impl PciFunction for PvPanic {
    fn identity(&self) -> PciIdentity {
        PciIdentity {
            vendor: 0x1b36,
            device: 0x0011,
            revision: 1,
            class: [0x08, 0x80, 0x00],
            subsystem_vendor: 0x1af4,
            subsystem: 0x1100,
            intx: false,
        }
    }

    fn bars(&self) -> Vec<BarSpec> {
        vec![BarSpec {
            index: 0,
            size: 16,
            wide: false,
            prefetchable: false,
            kind: BarKind::Registers,
        }]
    }

    fn plugged(&self, _interrupts: PciInterrupts) {}

    fn bar_read(&self, _bar: u8, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let (0, Some(byte)) = (offset, data.first_mut()) {
            *byte = PANICKED | CRASH_LOADED;
        }
    }

    fn bar_write(&self, _bar: u8, offset: u64, data: &[u8]) -> Outcome {
        match data.first() {
            Some(events) if offset == 0 && events & PANICKED != 0 => Outcome::GuestPanicked,
            // The crash kernel saves what there is to save and reboots.
            _ => Outcome::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: u64, data: &[u8]) -> Outcome {
        PvPanic.bar_write(0, offset, data)
    }

    #[test]
    fn a_read_tells_both_events() {
        for width in [1, 2, 4, 8] {
            let mut data = vec![0xff; width];
            PvPanic.bar_read(0, 0, &mut data);
            assert_eq!(data.first(), Some(&3));
            assert!(data.iter().skip(1).all(|byte| *byte == 0));
        }
        let mut data = [0xff];
        PvPanic.bar_read(0, 1, &mut data);
        assert_eq!(data, [0]);
    }

    #[test]
    fn only_a_panic_ends_the_machine() {
        for events in 0..=0xff {
            let expected = if events & 1 != 0 {
                Outcome::GuestPanicked
            } else {
                Outcome::Done
            };
            assert_eq!(write(0, &[events]), expected, "{events:#x}");
            assert_eq!(write(1, &[events]), Outcome::Done);
        }
        assert_eq!(write(0, &[1, 0, 0, 0]), Outcome::GuestPanicked);
        assert_eq!(write(0, &[]), Outcome::Done);
    }
}
