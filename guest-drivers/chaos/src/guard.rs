//! What the guest does not do to itself. Everything else is the VMM's to survive.
//!
//! Left out or defused, because the machine would rightly end, or the guest would lose what it runs on:
//!
//! - 0x604 (PM1a control): SLP_EN, which powers off. The rest of the word is written.
//! - 0xcf9 (reset control) and 0x92 (fast reset): their reset bits.
//! - 0x64 (i8042 commands): pulses of the reset line (0xf0 to 0xff, even) and writes of the output port (0xd1), whose
//!   bit 0 is the same line.
//! - 0xf4 (debug exit): ends the program where the configuration has enabled it.
//! - 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 (PICs), 0x40 to 0x43 (PIT), IOAPIC, LAPIC: KVM's, not the VMM's; with the
//!   wrong vector or delivery mode the guest rightly dies.
//! - 0x3f8 (UART data): would mix garbage into the report. The other registers are written; the report sets the port up
//!   again.
//! - 0x514 to 0x51b (fw_cfg DMA): where there is one, it writes guest memory.
//! - pvpanic's register, wherever its BAR is: the bit that says that the guest has panicked.
//! - Bus mastering of functions that reach guest memory (all but QXL, which knows only its own): a virtio queue in the
//!   wrong place overwrites the guest.
//! - MSI-X messages: any address, but as data a vector this guest has, with fixed delivery: NMI and INIT are no VMM's bug.
//!
//! Guest memory is out of reach: [`caraway_guest_rt::mmio`] begins at ECAM.

use core::ops::RangeInclusive;

use caraway_guest_rt::mmio::Width;

/// Ports nothing is written to.
const UNWRITTEN: [RangeInclusive<u16>; 8] = [
    0x20..=0x21,
    0x40..=0x43,
    0xa0..=0xa1,
    0xf4..=0xf7,
    0x3f8..=0x3f8,
    0x4d0..=0x4d1,
    0x514..=0x51b,
    // Past the last port an access would wrap.
    0xffff..=0xffff,
];

/// The value to write to a port, or nothing.
pub(crate) fn port_value(port: u16, width: Width, value: u32) -> Option<u32> {
    let mut bytes = value.to_le_bytes();
    for (byte, index) in bytes.iter_mut().zip(0..width.bytes() as u16) {
        let at = port.checked_add(index)?;
        if UNWRITTEN.iter().any(|range| range.contains(&at)) {
            return None;
        }
        match at {
            0x64 if *byte == 0xd1 || *byte >= 0xf0 => *byte = 0xaa,
            0x92 => *byte &= !1,
            0x605 => *byte &= !0x20,
            0xcf9 if width != Width::B4 => *byte &= !4,
            _ => {}
        }
    }
    Some(u32::from_le_bytes(bytes))
}

const CONFIG_SIZE: u32 = 0x1000;
const COMMAND: u32 = 4;
const COMMAND_MASTER: u8 = 4;

/// The value to write to config space at `register` of a function that must not become bus master.
pub(crate) fn config_value(register: u32, width: Width, value: u64) -> u64 {
    let mut bytes = value.to_le_bytes();
    for (byte, at) in bytes.iter_mut().zip(register..register + width.bytes()) {
        if at % CONFIG_SIZE == COMMAND {
            *byte &= !COMMAND_MASTER;
        }
    }
    u64::from_le_bytes(bytes)
}

const MSIX_ENTRY: u32 = 16;
const MSIX_DATA: u32 = 8;
/// An interrupt pin's vector in the guest's runtime, of a pin without a device.
const HARMLESS_VECTOR: u8 = 0x35;

/// The value to write at `offset` of an MSI-X table.
pub(crate) fn msix_value(offset: u32, width: Width, value: u64) -> u64 {
    let mut bytes = value.to_le_bytes();
    for (byte, at) in bytes.iter_mut().zip(offset..offset + width.bytes()) {
        match at % MSIX_ENTRY {
            MSIX_DATA => *byte = HARMLESS_VECTOR,
            at if at == MSIX_DATA + 1 => *byte = 0,
            _ => {}
        }
    }
    u64::from_le_bytes(bytes)
}

const PANICKED: u8 = 1;

/// The value to write at `address` when pvpanic's register is at `panic`.
pub(crate) fn panic_value(panic: u32, address: u32, width: Width, value: u64) -> u64 {
    let mut bytes = value.to_le_bytes();
    if let Some(byte) = bytes.get_mut(panic.wrapping_sub(address) as usize)
        && address.wrapping_add(width.bytes()) > panic
    {
        *byte &= !PANICKED;
    }
    u64::from_le_bytes(bytes)
}
