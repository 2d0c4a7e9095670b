//! Why a function cannot be plugged in or given its addresses.

use caraway_base::address_space::MapError;

/// Why a function cannot be plugged in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlugError {
    /// There are 32 devices of 8 functions.
    #[error("PCI function {device:02x}.{number:x} is not one of 00.0 to 1f.7")]
    Number {
        /// Device number asked for.
        device: u8,
        /// Function number asked for.
        number: u8,
    },
    /// Something is there.
    #[error("PCI function {device:02x}.{number:x} is taken")]
    Taken {
        /// Device number asked for.
        device: u8,
        /// Function number asked for.
        number: u8,
    },
    /// The function describes a BAR that cannot be.
    #[error("BAR {bar} of PCI device {device}: {reason}")]
    Bar {
        /// Device number.
        device: u8,
        /// BAR index.
        bar: u8,
        /// What is wrong.
        reason: &'static str,
    },
    /// The function describes a capability that cannot be.
    #[error("capability {index} of PCI device {device}: {reason}")]
    Capability {
        /// Device number.
        device: u8,
        /// Place in the list.
        index: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The host has no more interrupt vectors.
    #[error("no interrupt vector for PCI device {device}")]
    Vector {
        /// Device number.
        device: u8,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why the bus cannot give its functions addresses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The window is full.
    #[error("no room for BAR {bar} of PCI device {device} ({size:#x} bytes)")]
    NoRoom {
        /// Device number.
        device: u8,
        /// BAR index.
        bar: u8,
        /// Bytes.
        size: u64,
    },
    /// The address space refused.
    #[error("cannot map the BARs that were assigned")]
    Map(#[from] MapError),
}
