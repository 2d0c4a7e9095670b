//! Runtime of Caraway's bare-metal guests.
//!
//! A guest is a static ELF with a PVH note: a kernel of a few hundred instructions in ring 0 (`ring0.s`: tables,
//! interrupt entry, port I/O and a wait for events as services) and everything else in ring 3, which drives its
//! devices itself. Hosts that interpret ring 0 run such a guest at full speed.
//!
//! A binary uses [`entry!`] to name its main function, includes this crate's `link.ld` by link arguments (see the
//! demo's build script) and is single-threaded: ring 3 is never interrupted by Rust code.

#![no_std]

mod bar;
pub mod boot;
pub mod cpu;
pub mod input;
pub mod irq;
mod mem;
pub mod mmio;
pub mod once;
pub mod pci;
pub mod power;
pub mod qxl;
pub mod real_mode;
mod report;
pub mod serial;
pub mod vdiport;

core::arch::global_asm!(include_str!("ring0.s"), include_str!("real_mode.s"), options(raw));

/// Names the function (`fn() -> !`) that ring 3 begins with.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: the only symbol of this name in a guest; the runtime's start code calls it once.
        #[unsafe(no_mangle)]
        extern "C" fn guest_main() -> ! {
            let main: fn() -> ! = $main;
            main()
        }
    };
}
