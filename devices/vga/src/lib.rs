//! A standard VGA with the Bochs "dispi" extension, as firmware, boot loaders and kernels without a driver use it.
//!
//! Two halves that share nothing but the memory of BAR 0, so that one can be called by vCPUs under a short lock while
//! the other draws without holding it:
//!
//! - [`Vga`] is the registers: I/O ports, the memory window at 0xa0000, what a mode set means. It also remembers which
//!   pages the guest wrote through the window ([`Vga::take_dirty`]); what it wrote to BAR 0 directly is in KVM's dirty
//!   log, which the owner adds ([`DirtyPages::merge_log`]).
//! - [`Renderer`] is the picture: from the memory, a [`Scanout`] (what the registers say, at one moment) and the dirty
//!   pages it makes a frame of 32-bit pixels and says which parts of it changed.
//!
//! Dirty pages and scan-out are taken before [`Renderer::refresh`], which reads the memory: what the guest writes
//! meanwhile is in the next set, and is seen at the next refresh at the latest.
//!
//! The memory is plane-interleaved: the four bytes of dword `n` are planes 0 to 3 of planar address `n`. "Address" in
//! this crate is a byte offset into BAR 0 unless it is said to be planar.
#![forbid(unsafe_code)]

mod array;
mod dac;
mod dirty;
mod dispi;
mod registers;
mod render;
mod scanout;
mod state;
mod vga;
mod window;

#[cfg(test)]
mod dispi_tests;
#[cfg(test)]
mod dump_tests;
#[cfg(test)]
mod graphics_tests;
#[cfg(test)]
mod port_tests;
#[cfg(test)]
mod refresh_tests;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod text_tests;
#[cfg(test)]
mod window_tests;

pub use dirty::DirtyPages;
pub use render::{Refresh, Renderer};
pub use scanout::Scanout;
pub use state::VgaState;
pub use vga::{Vga, VgaArgs};

/// The ports the device answers: first port and number of ports. 0x1d1 is there only because an access of 16 bits to
/// 0x1d0 reaches it.
pub const PORTS: [(u16, u16); 6] = [(0x1ce, 4), (0x3b4, 2), (0x3ba, 1), (0x3c0, 16), (0x3d4, 2), (0x3da, 1)];

/// Guest-physical address of the memory window.
pub const WINDOW: u64 = 0xa_0000;

/// Bytes of the memory window.
pub const WINDOW_SIZE: u64 = 0x2_0000;

/// Whether `port` is one of the registers of a standard VGA, a write to which takes a QXL device of revision 4 or
/// below out of its native mode. Those of dispi do not.
#[must_use]
pub const fn changes_mode(port: u16) -> bool {
    matches!(port, 0x3b4 | 0x3b5 | 0x3ba | 0x3c0..=0x3cf | 0x3d4 | 0x3d5 | 0x3da)
}
