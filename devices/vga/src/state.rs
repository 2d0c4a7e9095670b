//! What is saved. The picture travels with the memory; a restored device is drawn anew.

use caraway_base::state::{Migratable, StateError};
use serde::{Deserialize, Serialize};

use crate::{
    dispi::Dispi,
    registers::Registers,
    vga::{Vga, VgaArgs},
};

/// The record of a VGA: all registers, indices, flip-flops and latches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VgaState {
    registers: Registers,
    dispi: Dispi,
    latch: u32,
}

impl VgaState {
    /// Refuses what no device can have saved, or none with the sizes of `fresh`.
    pub(crate) fn check(&self, fresh: &Dispi) -> Result<(), StateError> {
        let registers = self.registers.impossible();
        let found = registers.map(|(field, value)| (field, u64::from(value)));
        match found.or_else(|| self.dispi.impossible(fresh)) {
            Some((field, value)) => Err(StateError::Invalid {
                kind: Vga::KIND,
                field,
                value: format!("{value:#x}"),
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn into_parts(self) -> (Registers, Dispi, u32) {
        (self.registers, self.dispi, self.latch)
    }
}

impl Migratable for Vga {
    type State = VgaState;
    type Args = VgaArgs;
    const KIND: &'static str = "vga";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> VgaState {
        VgaState {
            registers: self.registers.clone(),
            dispi: self.dispi.clone(),
            latch: self.latch,
        }
    }

    fn restore(args: VgaArgs, state: VgaState) -> Result<Self, StateError> {
        Self::from_state(args, state)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
