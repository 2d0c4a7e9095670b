//! VDIPort, PCI 1b36:0105: a stream of bytes each way between an agent in the guest and the host.
//!
//! The memory behind BAR 1 holds two rings of 32 packets, which guest and device fill and empty without an exit; three
//! registers in BAR 0 connect, notify and bring the interrupt line up to date. Connections have generations: a packet that
//! is left over from an earlier one is dropped, so that rings need no reset between them. The host's side is a
//! [`caraway_ports::port::HostPort`].
//!
//! `core` is the device without PCI and without threads; [`VdiPort`] is what the machine sees. It has no thread of its own:
//! somebody watches [`VdiPort::wake`] and calls [`VdiPort::attend`], where all work on the rings is done.
#![forbid(unsafe_code)]

mod core;
mod device;
#[cfg(feature = "misbehave")]
mod misbehave;
mod ram;
mod ring;
mod state;

#[cfg(test)]
mod connection_tests;
#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod thread_tests;
#[cfg(test)]
mod windows_driver_tests;

pub use device::VdiPort;
#[cfg(feature = "misbehave")]
pub use misbehave::UnknownFault;
pub use ram::BAR_SIZE;
pub use state::{VdiPortArgs, VdiPortState};

/// Why a device cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VdiPortError {
    /// The host has no memory.
    #[error(transparent)]
    Memory(#[from] caraway_base::memory::MemoryError),
    /// The host has no more event descriptors.
    #[error("the host refused an event descriptor")]
    Event(#[source] std::io::Error),
}
