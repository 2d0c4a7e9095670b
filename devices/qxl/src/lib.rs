//! The QXL display device: PCI 1b36:0100, revisions 1 to 5.
//!
//! A guest driver puts drawing, cursor and surface commands into rings in the device's memory. This crate copies each
//! command out of guest memory once, checks it while copying, hands it to a [`caraway_ports::display::DisplaySink`] as
//! owned data and gives the guest its memory back at once. [`Qxl`] is the device as the machine sees it: a PCI
//! function with a worker thread.
//!
//! Two halves do the work and neither has threads of its own: `core` is what a vCPU does at a port write, `worker` is
//! what the display thread does with rings and requests. What breaks the protocol of ports, slots or rings freezes
//! the device until its reset (error interrupt); a command that makes no sense is dropped, given back and counted.
#![forbid(unsafe_code)]

mod clock;
mod core;
mod counters;
mod cursor;
mod device;
mod drive;
mod guest_text;
mod header;
mod interrupts;
mod memory;
#[cfg(feature = "misbehave")]
mod misbehave;
mod modes;
mod monitors;
mod option_rom;
mod parse;
mod ports;
mod revision;
mod ring;
mod rom;
mod sizes;
mod state;
mod surfaces;
mod vga;
mod worker;

#[cfg(test)]
mod double_fetch_tests;
#[cfg(test)]
mod linux_driver_tests;
#[cfg(test)]
mod mode_tests;
#[cfg(test)]
mod monitors_tests;
#[cfg(test)]
mod port_tests;
#[cfg(test)]
mod surface_tests;
#[cfg(test)]
mod testing;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use counters::QxlCounters;
pub use device::Qxl;
pub use drive::Drive;
#[cfg(feature = "misbehave")]
pub use misbehave::UnknownFault;
pub use monitors::ClientHead;
pub use option_rom::OptionRom;
pub use rom::CLIENT_CAPABILITY_BYTES;
pub use sizes::QxlSizes;
pub use state::{QxlArgs, QxlState};
pub use vga::LinearMemory;

/// Why a device cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QxlError {
    /// A memory size is larger than its BAR can be.
    #[error("{what} = {size} bytes: at most {most} are possible")]
    Size {
        /// Which size.
        what: &'static str,
        /// What was asked for.
        size: u64,
        /// The largest.
        most: u64,
    },
    /// There is no such revision of the interface.
    #[error("revision = {0}: 1 to 5 are possible")]
    Revision(u8),
    /// A device has at least one head and at most 64.
    #[error("heads = {0}: 1 to 64 are possible")]
    Heads(u16),
    /// The expansion ROM cannot be.
    #[error("not a VGA BIOS: {reason}")]
    OptionRom {
        /// What is wrong.
        reason: &'static str,
    },
    /// The host has no memory.
    #[error(transparent)]
    Memory(#[from] caraway_base::memory::MemoryError),
    /// The host has no more event descriptors or threads.
    #[error("the host refused {what}")]
    Host {
        /// What was asked for.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What a device is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QxlConfig {
    /// Number of the device, 0 for the first: its SPICE channel id.
    pub index: u32,
    /// Whether it is the VGA device of the machine. The first one is.
    pub primary: bool,
    /// 1 to 5. Current drivers want 4 or 5; the older ones lack ports and interrupts ([the differences][Qxl]).
    pub revision: u8,
    /// Most monitors a guest may show on it.
    pub heads: u16,
    /// Memory sizes; the device applies [`QxlSizes::for_revision`].
    pub sizes: QxlSizes,
}

impl Default for QxlConfig {
    fn default() -> Self {
        Self {
            index: 0,
            primary: true,
            revision: 5,
            heads: 16,
            sizes: QxlSizes::default(),
        }
    }
}

impl QxlConfig {
    /// The mode without a driver: the VGA core's picture where there is one.
    pub(crate) const fn idle_mode(&self) -> core::Mode {
        if self.primary {
            core::Mode::Vga
        } else {
            core::Mode::Undefined
        }
    }

    /// Checks, and gives the sizes what the revision asks of them.
    fn checked(self) -> Result<Self, QxlError> {
        if !(revision::OLDEST..=revision::NEWEST).contains(&self.revision) {
            return Err(QxlError::Revision(self.revision));
        }
        if !(1..=monitors::MAX_HEADS as u16).contains(&self.heads) {
            return Err(QxlError::Heads(self.heads));
        }
        Ok(Self {
            sizes: self.sizes.for_revision(self.revision),
            ..self
        })
    }
}

/// Locks; a thread that panicked while holding the lock left data that is still whole, field by field.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
