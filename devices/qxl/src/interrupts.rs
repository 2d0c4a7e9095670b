//! The interrupt bits and the line (ABI 6).

use std::sync::{Arc, Mutex};

use caraway_base::irq::IrqLine;

use crate::{
    counters::{Counter, Counters},
    header::{RamHeader, offset},
    lock,
};

/// Release or command ring changed.
pub(crate) const DISPLAY: u32 = 0x01;
/// Cursor ring changed.
pub(crate) const CURSOR: u32 = 0x02;
/// An asynchronous port command finished.
pub(crate) const IO_COMMAND: u32 = 0x04;
/// The guest broke the protocol.
pub(crate) const ERROR: u32 = 0x08;
/// Client presence or capabilities changed.
pub(crate) const CLIENT: u32 = 0x10;
/// The client asks for other monitors.
pub(crate) const CLIENT_MONITORS: u32 = 0x20;

/// The pending and mask words of the RAM header and the line they drive. Any thread may raise.
#[derive(Debug)]
pub(crate) struct Interrupts {
    header: RamHeader,
    counters: Arc<Counters>,
    line: Mutex<Option<Arc<dyn IrqLine>>>,
    #[cfg(feature = "misbehave")]
    pub(crate) faults: crate::misbehave::Faults,
}

impl Interrupts {
    pub(crate) fn new(header: RamHeader, counters: Arc<Counters>) -> Self {
        Self {
            header,
            counters,
            line: Mutex::new(None),
            #[cfg(feature = "misbehave")]
            faults: crate::misbehave::Faults::default(),
        }
    }

    /// Gives the line that is driven from now on.
    pub(crate) fn connect(&self, line: Arc<dyn IrqLine>) {
        *lock(&self.line) = Some(line);
        self.update();
    }

    /// Sets pending bits and, if any is new, brings the line to its level.
    pub(crate) fn raise(&self, bits: u32) {
        #[cfg(feature = "misbehave")]
        let bits = self.faults.raised(bits);
        let before = self.header.or(offset::INT_PENDING, bits);
        if before & bits != bits {
            self.counters.add(Counter::Interrupts);
            #[cfg(feature = "misbehave")]
            if self.faults.loses_interrupt() {
                return;
            }
            self.update();
        }
    }

    /// Brings the line to `pending & mask != 0`, both read under the lock so that the last caller's view wins.
    pub(crate) fn update(&self) {
        let line = lock(&self.line);
        let level = self.header.load(offset::INT_PENDING) & self.mask() != 0;
        #[cfg(feature = "misbehave")]
        let level = level | self.faults.holds_level();
        if let Some(line) = line.as_ref() {
            line.set(level);
        }
    }

    /// The bits the guest wants to hear of.
    pub(crate) fn mask(&self) -> u32 {
        self.header.load(offset::INT_MASK)
    }
}
