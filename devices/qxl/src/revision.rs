//! What the revisions of the interface differ in (ABI 1.1).

use crate::{QxlConfig, ports};

/// The first revision; it knows SET_MODE and the compatibility layout only.
pub(crate) const OLDEST: u8 = 1;
/// The newest one.
pub(crate) const NEWEST: u8 = 5;
/// Adds client capabilities, client monitors and port 24.
const CLIENTS: u8 = 4;

impl QxlConfig {
    /// Bytes of the I/O BAR.
    pub(crate) const fn port_bar_size(&self) -> u64 {
        match self.revision {
            ..=1 => 8,
            2 => 16,
            _ => 32,
        }
    }

    /// Whether the revision has the port, used or not: what is beyond is a breach in every mode.
    pub(crate) const fn has_port(&self, port: u8) -> bool {
        (port as u64) < self.port_bar_size() && (self.revision >= CLIENTS || port <= ports::FLUSH_RELEASE)
    }

    /// Whether the guest is told of clients, in the ROM and by interrupts.
    pub(crate) const fn tells_of_clients(&self) -> bool {
        self.revision >= CLIENTS
    }

    /// Whether a write to a VGA register ends what a driver shows. Revision 5 was made to end that.
    pub(crate) const fn vga_takes_over(&self) -> bool {
        self.primary && self.revision < NEWEST
    }
}

#[cfg(test)]
#[path = "revision_tests.rs"]
mod tests;
