//! What of the device is saved, and how it is built again. The memory behind BAR 1, with it the rings and the interrupt
//! registers, travels with the machine's memory.

use caraway_base::{
    memory::SharedMemory,
    state::{Migratable, StateError},
};
use caraway_ports::port::DevicePort;
use serde::{Deserialize, Serialize};

use crate::{
    VdiPort,
    core::{Core, Lasting},
    ram::BAR_SIZE,
};

/// What a device is built from besides its record.
#[derive(Debug)]
pub struct VdiPortArgs {
    /// Its side of the port.
    pub port: DevicePort,
    /// Contents of BAR 1, [`BAR_SIZE`](crate::BAR_SIZE) bytes.
    pub memory: SharedMemory,
}

/// The record of a device. How much the host has read of a packet is not in it: the host's side of a restored device is
/// another one, so that a guest that was connected starts over, and what it had put before is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VdiPortState {
    generation: u32,
    connected: bool,
    input_consumer: u32,
    output_producer: u32,
}

#[cfg(test)]
impl VdiPortState {
    /// The record of a device that has had so many connections.
    pub(crate) const fn at_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }

    /// The record of a device whose rings have come this far.
    pub(crate) const fn at_indices(self, index: u32) -> Self {
        Self {
            input_consumer: index,
            output_producer: index,
            ..self
        }
    }
}

fn invalid(field: &'static str, value: &impl ToString) -> StateError {
    StateError::Invalid {
        kind: VdiPort::KIND,
        field,
        value: value.to_string(),
    }
}

impl Migratable for VdiPort {
    type State = VdiPortState;
    type Args = VdiPortArgs;
    const KIND: &'static str = "vdiport";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> VdiPortState {
        let Lasting {
            generation,
            connected,
            input_consumer,
            output_producer,
        } = self.core().lasting();
        VdiPortState {
            generation,
            connected,
            input_consumer,
            output_producer,
        }
    }

    fn restore(args: VdiPortArgs, state: VdiPortState) -> Result<Self, StateError> {
        if args.memory.size() != BAR_SIZE {
            return Err(invalid("memory", &args.memory.size()));
        }
        if state.connected && state.generation == 0 {
            return Err(invalid("generation", &state.generation));
        }
        let lasting = Lasting {
            generation: state.generation,
            connected: state.connected,
            input_consumer: state.input_consumer,
            output_producer: state.output_producer,
        };
        Self::assemble(args.memory, args.port, |ram, port| Core::restore(ram, port, lasting))
            .map_err(|error| invalid("device", &error))
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
