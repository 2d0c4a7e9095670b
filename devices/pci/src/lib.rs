//! PCI: config space, BARs, MSI-X, the host bridge and its bus.
//!
//! One flat bus, conventional functions, function 0 only. A device implements [`function::PciFunction`] and is plugged
//! into a [`PciBus`], which answers config space (ports 0xcf8 to 0xcff and ECAM), maps BARs through
//! [`caraway_base::address_space::AddressSpace`], owns the MSI-X table and gates INTx.
//!
//! Capabilities are laid out in the order the function lists them, the first at 0x40, each following one at the next
//! multiple of four.
//!
//! Config accesses serialise on the bus's mutex. Accesses to a mapped BAR never take it: what is mapped is a small
//! adapter that holds the function itself.
#![forbid(unsafe_code)]

mod assign;
mod bar;
mod bus;
mod config_space;
mod error;
pub mod function;
mod host_bridge;
mod intx;
mod msix;
mod ports;
mod slot;
mod state;

#[cfg(test)]
mod test_support;

pub use assign::Windows;
pub use bus::PciBus;
pub use error::{AssignError, PlugError};
pub use state::{FunctionState, MsixEntryState, MsixState, PciBusState};
#[cfg(test)]
mod bus_tests;
#[cfg(test)]
mod msix_tests;
