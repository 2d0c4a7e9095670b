//! How a guest that cannot go on says so: a line on the serial port, then the debug-exit port, then a halt.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::{cpu, power, print};

/// Debug-exit code of a panic or a fault.
const EXIT_FAILED: u8 = 0x33;

/// What ring0.s records of an exception: vector, error code, rip, cr2, rsp.
// SAFETY: the runtime's own name, used by ring0.s only.
#[unsafe(no_mangle)]
static GUEST_FAULT: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

/// Where ring0.s continues after an exception in ring 3.
// SAFETY: the runtime's own name, used by ring0.s only.
#[unsafe(no_mangle)]
extern "C" fn guest_fault() -> ! {
    let [vector, error, rip, cr2, rsp] = GUEST_FAULT.each_ref().map(|cell| cell.load(Ordering::Acquire));
    print!("\nguest: fault {vector} error {error:#x} rip {rip:#x} cr2 {cr2:#x} rsp {rsp:#x}\n");
    fail()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print!("\nguest: {info}\n");
    fail()
}

fn fail() -> ! {
    power::debug_exit(EXIT_FAILED);
    cpu::halt()
}
