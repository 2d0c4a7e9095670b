//! The five memory functions the compiler calls, which libc provides on a hosted system. As string instructions in
//! assembly: a loop in Rust may be compiled back into a call to the very function.

use core::arch::asm;

// SAFETY: the C functions of these names, with their contracts; a guest has no libc that defines them as well.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller guarantees both ranges; the direction flag is clear by the calling convention.
    unsafe {
        asm!("rep movsb", inout("rcx") count => _, inout("rdi") target => _, inout("rsi") source => _,
            options(nostack, preserves_flags));
    }
    target
}

// SAFETY: as for memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    if (target as usize).wrapping_sub(source as usize) >= count {
        // SAFETY: the target does not begin inside the source, so copying upwards reads each byte before writing it.
        return unsafe { memcpy(target, source, count) };
    }
    // SAFETY: count > 0 here, so the last bytes exist; the direction flag is put back.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") count => _, inout("rdi") target.add(count - 1) => _,
            inout("rsi") source.add(count - 1) => _, options(nostack));
    }
    target
}

// SAFETY: as for memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(target: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller guarantees the range.
    unsafe {
        asm!("rep stosb", inout("rcx") count => _, inout("rdi") target => _, in("al") value as u8,
            options(nostack, preserves_flags));
    }
    target
}

// SAFETY: as for memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    while at < count {
        // SAFETY: at < count, and the caller guarantees both ranges.
        let (l, r) = unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if l != r {
            return i32::from(l) - i32::from(r);
        }
        at += 1;
    }
    0
}

// SAFETY: as for memcpy.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, count) }
}

/// The shipped `core` was built for unwinding, and LLD keeps its reference to the personality function although
/// nothing here unwinds.
// SAFETY: never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
