//! What the bus saves.

use caraway_base::state::{Migratable, StateError};
use serde::{Deserialize, Serialize};

use crate::{bus::PciBus, config_space::SIZE};

/// One entry of an MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsixEntryState {
    /// Message address low and high, message data, vector control.
    pub words: [u32; 4],
    /// A message waits for the mask to be lifted.
    pub pending: bool,
}

/// The MSI-X table of a function; control is in its config space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsixState {
    /// In vector order.
    pub entries: Vec<MsixEntryState>,
}

/// Config space of one function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionState {
    /// Device number times 8, plus function number.
    pub devfn: u8,
    /// The 256 bytes as they are.
    pub config: Vec<u8>,
    /// The 256 bytes a reset goes back to.
    pub initial: Vec<u8>,
    /// The MSI-X table, when there is one.
    pub msix: Option<MsixState>,
}

/// Everything the bus itself knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciBusState {
    /// The config address register (port 0xcf8).
    pub address: u32,
    /// By device and function number.
    pub functions: Vec<FunctionState>,
}

/// Restoring takes a bus with the same functions plugged in, addresses assigned or not, and gives it back in the state.
impl Migratable for PciBus {
    type State = PciBusState;
    type Args = Self;
    const KIND: &'static str = "pci";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> PciBusState {
        self.state()
    }

    fn restore(bus: Self, state: PciBusState) -> Result<Self, StateError> {
        bus.load(&state)?;
        Ok(bus)
    }
}

/// A saved config space, checked for its length.
pub(crate) fn image(field: &'static str, bytes: &[u8]) -> Result<[u8; SIZE], StateError> {
    bytes.try_into().map_err(|_| invalid(field, bytes.len()))
}

pub(crate) fn invalid(field: &'static str, value: impl std::fmt::Display) -> StateError {
    StateError::Invalid {
        kind: PciBus::KIND,
        field,
        value: value.to_string(),
    }
}
