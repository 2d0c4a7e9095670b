//! virtio 1.2 over PCI: transport, queues, the block device, the console device with named ports, and a tablet.
//!
//! [`VirtioPci`] is the PCI function of any virtio device: registers, features, status, interrupts, doorbells. A device
//! type is a [`VirtioDevice`]; queues, memory and interrupt are moved into it when the driver is ready, and come back when
//! the driver resets it or the machine pauses. Modern only: no legacy or transitional interface.
//!
//! A driver that breaks the rules of the rings gets DEVICE_NEEDS_RESET and nothing more until it resets the device.
#![forbid(unsafe_code)]

mod block;
mod console;
mod device;
mod input;
mod interrupt;
mod memory;
mod queue;
mod transport;
mod worker;

#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod test_support;

pub use self::{
    block::{Block, BlockError},
    console::{Console, ConsoleError, ConsolePortState, ConsolePorts, ConsoleState},
    device::{Activation, EVENT_IDX, RING_FEATURES, VERSION_1, VirtioDevice, VirtioIdentity},
    input::{Input, InputError, Report, Tablet, TabletState},
    interrupt::{Interrupt, NO_VECTOR},
    memory::{DeviceMemory, MemoryAccess},
    queue::{Buffers, Chain, QueueError, VirtQueue},
    transport::{CreateError, QueueRegisters, VirtioPci, VirtioPciState},
};
