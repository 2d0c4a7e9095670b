//! The gate between a function's INTA# and the interrupt controller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use caraway_base::irq::IrqLine;

#[derive(Debug, Default)]
struct Gate {
    wanted: bool,
    disabled: bool,
    msix: bool,
}

/// What the function drives. The level reaches the line unless the guest disabled INTx (command bit 10) or enabled
/// MSI-X; status bit 3 shows what the function wants either way.
#[derive(Debug)]
pub(crate) struct IntxGate {
    line: Arc<dyn IrqLine>,
    gate: Mutex<Gate>,
}

impl IntxGate {
    pub(crate) fn new(line: Arc<dyn IrqLine>) -> Self {
        Self {
            line,
            gate: Mutex::default(),
        }
    }

    /// What the function wants.
    pub(crate) fn wanted(&self) -> bool {
        self.lock().wanted
    }

    /// Follows command bit 10.
    pub(crate) fn set_disabled(&self, disabled: bool) {
        self.change(|gate| gate.disabled = disabled);
    }

    /// Follows the MSI-X enable bit.
    pub(crate) fn set_msix(&self, enabled: bool) {
        self.change(|gate| gate.msix = enabled);
    }

    fn change(&self, change: impl FnOnce(&mut Gate)) {
        // The line is told under the lock, so that two changes at once cannot be reported in the wrong order.
        let mut gate = self.lock();
        let before = gate.level();
        change(&mut gate);
        let after = gate.level();
        if before != after {
            self.line.set(after);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn level(&self) -> bool {
        self.wanted && !self.disabled && !self.msix
    }
}

impl IrqLine for IntxGate {
    fn set(&self, asserted: bool) {
        self.change(|gate| gate.wanted = asserted);
    }
}
