//! Where the registers lie in the BARs, and the capabilities that tell the driver (virtio 1.2, 4.1.4).

use caraway_pci::function::{BarKind, BarSpec, Capability};

/// BAR of the registers.
pub(super) const REGISTER_BAR: u8 = 0;
/// BAR of the MSI-X table.
pub(super) const MSIX_BAR: u8 = 1;

pub(super) const COMMON: u64 = 0;
pub(super) const COMMON_SIZE: u64 = 0x38;
pub(super) const ISR: u64 = 0x1000;
pub(super) const DEVICE: u64 = 0x2000;
pub(super) const DEVICE_SIZE: u64 = 0x1000;
pub(super) const NOTIFY: u64 = 0x3000;
const BAR_SIZE: u64 = 0x4000;

/// Bytes from one queue's doorbell to the next.
pub(super) const NOTIFY_MULTIPLIER: u64 = 4;

/// Queues a device type may have: those of a console with 32 ports, the most there are. All of them, and a vector more, fit
/// in the doorbells' page and in the MSI-X table's.
pub(super) const MAX_QUEUES: usize = 66;

/// The window capability is listed first, so it is where the first capability always is.
pub(super) const WINDOW_START: usize = 0x40;

const COMMON_CFG: u8 = 1;
const NOTIFY_CFG: u8 = 2;
const ISR_CFG: u8 = 3;
const DEVICE_CFG: u8 = 4;
const PCI_CFG: u8 = 5;

pub(super) fn bars() -> Vec<BarSpec> {
    let registers = |index, size| BarSpec {
        index,
        size,
        wide: false,
        prefetchable: false,
        kind: BarKind::Registers,
    };
    vec![registers(REGISTER_BAR, BAR_SIZE), registers(MSIX_BAR, 0x1000)]
}

pub(super) fn capabilities(queues: usize) -> Vec<Capability> {
    let queues = u16::try_from(queues).unwrap_or(u16::MAX - 1);
    let doorbells = u64::from(queues) * NOTIFY_MULTIPLIER;
    let multiplier = u32::try_from(NOTIFY_MULTIPLIER).unwrap_or(0).to_le_bytes();
    vec![
        vendor(PCI_CFG, 0, 0, &[0; 4]),
        vendor(COMMON_CFG, COMMON, COMMON_SIZE, &[]),
        vendor(NOTIFY_CFG, NOTIFY, doorbells, &multiplier),
        vendor(ISR_CFG, ISR, 1, &[]),
        vendor(DEVICE_CFG, DEVICE, DEVICE_SIZE, &[]),
        Capability::MsiX {
            vectors: queues + 1,
            bar: MSIX_BAR,
        },
    ]
}

/// `struct virtio_pci_cap` without its first two bytes.
fn vendor(kind: u8, offset: u64, length: u64, more: &[u8]) -> Capability {
    let word = |value: u64| u32::try_from(value).unwrap_or(0).to_le_bytes();
    let size = u8::try_from(16 + more.len()).unwrap_or(u8::MAX);
    let mut body = vec![size, kind, REGISTER_BAR, 0, 0, 0];
    body.extend(word(offset));
    body.extend(word(length));
    body.extend(more);
    Capability::Vendor { body }
}
