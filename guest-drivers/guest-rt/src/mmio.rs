//! Raw accesses to the part of the address space below 4 GiB where devices are: config space (ECAM) and the 32-bit PCI
//! window. Any width at any alignment, whether something answers there or not.

use core::arch::asm;
use core::ops::Range;

/// First address of ECAM on a q35 address map.
pub const ECAM: u32 = 0xb000_0000;
/// The 32-bit PCI window; the IOAPIC follows.
pub const WINDOW: Range<u32> = 0xc000_0000..0xfec0_0000;

/// How many bytes an access moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A byte.
    B1,
    /// A word.
    B2,
    /// A doubleword.
    B4,
    /// A quadword.
    B8,
}

impl Width {
    /// Bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::B1 => 1,
            Self::B2 => 2,
            Self::B4 => 4,
            Self::B8 => 8,
        }
    }

    /// Reads at an address. By assembly because it may be unaligned.
    ///
    /// # Safety
    ///
    /// The address is mapped for ring 3 and holds no object of Rust's.
    pub(crate) unsafe fn read(self, at: u64) -> u64 {
        let value: u64;
        // SAFETY: the caller's promise; a read changes at most a device's state.
        unsafe {
            match self {
                Self::B1 => asm!("movzx {0:e}, byte ptr [{1}]", out(reg) value, in(reg) at),
                Self::B2 => asm!("movzx {0:e}, word ptr [{1}]", out(reg) value, in(reg) at),
                Self::B4 => asm!("mov {0:e}, dword ptr [{1}]", out(reg) value, in(reg) at),
                Self::B8 => asm!("mov {0}, qword ptr [{1}]", out(reg) value, in(reg) at),
            }
        }
        value
    }

    /// Writes the low bytes of `value` at an address.
    ///
    /// # Safety
    ///
    /// As for [`Self::read`].
    pub(crate) unsafe fn write(self, at: u64, value: u64) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::B1 => asm!("mov byte ptr [{1}], {0}", in(reg_byte) value as u8, in(reg) at),
                Self::B2 => asm!("mov word ptr [{1}], {0:x}", in(reg) value, in(reg) at),
                Self::B4 => asm!("mov dword ptr [{1}], {0:e}", in(reg) value, in(reg) at),
                Self::B8 => asm!("mov qword ptr [{1}], {0}", in(reg) value, in(reg) at),
            }
        }
    }
}

/// The address, if the access lies between ECAM's start and the window's end.
fn pointer(address: u32, width: Width) -> Option<u64> {
    let end = address.checked_add(width.bytes())?;
    (address >= ECAM && end <= WINDOW.end).then_some(address.into())
}

/// Reads; nothing outside ECAM and the window.
pub fn read(address: u32, width: Width) -> Option<u64> {
    // SAFETY: mapped one to one by ring0.s, and never RAM.
    pointer(address, width).map(|at| unsafe { width.read(at) })
}

/// Writes the low bytes of `value`; whether the address lies in ECAM or the window.
pub fn write(address: u32, width: Width, value: u64) -> bool {
    let Some(at) = pointer(address, width) else {
        return false;
    };
    // SAFETY: as in `read`. What the device makes of it is the caller's business.
    unsafe { width.write(at, value) };
    true
}
