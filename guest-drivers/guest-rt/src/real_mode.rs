//! 16-bit firmware: the first megabyte, where it lives, and calls into it.
//!
//! A PC's firmware services and option ROMs run in real mode. [`call`] goes there and comes back; what the code expects
//! in the first megabyte the guest puts there itself, through [`read()`] and [`write()`].

use core::arch::asm;

use crate::mmio::Width;

/// Bytes that addresses of real mode reach.
pub const SIZE: u32 = 0x10_0000;
/// From here to 0x9000 the first megabyte is used by calls: stack, registers, a few instructions.
pub const RESERVED: core::ops::Range<u32> = 0x1000..0x9000;

/// Where ring0.s maps the first megabyte for ring 3.
const MAPPED: u64 = 1 << 32;
const SERVICE_REAL_MODE: u64 = 8;

/// A place in the first megabyte as real mode names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FarPointer {
    /// Offset from the segment.
    pub offset: u16,
    /// Sixteenth of the segment's address.
    pub segment: u16,
}

impl FarPointer {
    /// Its address.
    pub fn address(self) -> u32 {
        (u32::from(self.segment) << 4) + u32::from(self.offset)
    }

    /// What interrupt `number` calls.
    pub fn of_interrupt(number: u8) -> Self {
        let entry = read(u32::from(number) * 4, Width::B4).unwrap_or(0);
        Self {
            offset: entry as u16,
            segment: (entry >> 16) as u16,
        }
    }
}

/// The registers of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Registers {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// EBP.
    pub ebp: u32,
    /// DS.
    pub ds: u16,
    /// ES.
    pub es: u16,
    /// The flags it returned with; those it is called with are all clear.
    pub flags: u16,
}

/// What ring 0 is given, in the order in which real_mode.s loads and stores it.
#[repr(C)]
struct Block {
    edi: u32,
    esi: u32,
    ebp: u32,
    esp: u32,
    ebx: u32,
    edx: u32,
    ecx: u32,
    eax: u32,
    es: u16,
    ds: u16,
    flags: u16,
    entry: FarPointer,
    unused: u16,
}

/// Calls 16-bit code, an interrupt handler or a far procedure; the registers it returned with. The code must return, and
/// leave alone what is not its own: it runs with all rights.
pub fn call(entry: FarPointer, registers: &Registers) -> Registers {
    let mut block = Block {
        edi: registers.edi,
        esi: registers.esi,
        ebp: registers.ebp,
        esp: 0,
        ebx: registers.ebx,
        edx: registers.edx,
        ecx: registers.ecx,
        eax: registers.eax,
        es: registers.es,
        ds: registers.ds,
        flags: 0,
        entry,
        unused: 0,
    };
    let at = core::ptr::from_mut(&mut block) as usize;
    // SAFETY: ring 0 reads and writes the block at `at`, which is on the stack below 4 GiB, and the part of the first
    // megabyte that is reserved for it; it keeps all registers but those named. Rust has no object in the first
    // megabyte.
    unsafe {
        asm!("int3", inlateout("rax") SERVICE_REAL_MODE => _, inlateout("rdi") at => _,
            lateout("rsi") _, lateout("rcx") _, lateout("rdx") _, lateout("r11") _);
    }
    Registers {
        eax: block.eax,
        ebx: block.ebx,
        ecx: block.ecx,
        edx: block.edx,
        esi: block.esi,
        edi: block.edi,
        ebp: block.ebp,
        ds: block.ds,
        es: block.es,
        flags: block.flags,
    }
}

/// Calls the handler of interrupt `number`, as `int` does.
pub fn interrupt(number: u8, registers: &Registers) -> Registers {
    call(FarPointer::of_interrupt(number), registers)
}

fn pointer(address: u32, width: Width) -> Option<u64> {
    let end = address.checked_add(width.bytes())?;
    (end <= SIZE).then_some(MAPPED + u64::from(address))
}

/// Reads from the first megabyte; nothing outside it.
pub fn read(address: u32, width: Width) -> Option<u64> {
    // SAFETY: mapped for ring 3 by ring0.s; Rust has no object there, and of the devices only the VGA window.
    pointer(address, width).map(|at| unsafe { width.read(at) })
}

/// Writes the low bytes of `value` to the first megabyte; whether the address lies there.
pub fn write(address: u32, width: Width, value: u64) -> bool {
    let Some(at) = pointer(address, width) else {
        return false;
    };
    // SAFETY: as in `read`. What firmware makes of it is the caller's business.
    unsafe { width.write(at, value) };
    true
}

/// Writes bytes one after the other; whether all of them lie in the first megabyte.
pub fn write_bytes(address: u32, bytes: &[u8]) -> bool {
    (address..)
        .zip(bytes)
        .all(|(at, byte)| write(at, Width::B1, (*byte).into()))
}
