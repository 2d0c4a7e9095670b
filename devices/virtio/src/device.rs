//! What a device type is to the transport.

use std::{fmt::Debug, sync::Arc, time::Duration};

use virtio_bindings::bindings::{
    virtio_config::VIRTIO_F_VERSION_1,
    virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC},
};

use crate::{DeviceMemory, Interrupt, VirtQueue};

/// Ring features every device has: indirect descriptors, event indices, virtio 1.
pub const RING_FEATURES: u64 = (1 << VIRTIO_RING_F_INDIRECT_DESC) | EVENT_IDX | VERSION_1;

/// The driver follows virtio 1.0 or later; the transport takes no other.
pub const VERSION_1: u64 = 1 << VIRTIO_F_VERSION_1;

/// Used buffer and available buffer notifications by index.
pub const EVENT_IDX: u64 = 1 << VIRTIO_RING_F_EVENT_IDX;

/// What is moved into a device when the driver is ready, and comes back at reset.
#[derive(Debug)]
pub struct Activation {
    /// The queues the driver has enabled, by rising index.
    pub queues: Vec<VirtQueue>,
    /// Guest RAM behind the bus-master gate.
    pub memory: DeviceMemory,
    /// How to tell the driver.
    pub interrupt: Arc<Interrupt>,
    /// Features negotiated.
    pub features: u64,
}

/// Which device this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioIdentity {
    /// Device type (virtio 1.2, 5): 1 network, 2 block, 3 console, ...
    pub device: u16,
    /// PCI class, subclass, programming interface.
    pub class: [u8; 3],
}

/// A device type. The transport calls in this order: `activate`, `deactivate`, `reclaim` until the queues are back,
/// and again from the start. Calls come from vCPU threads, one at a time: nothing here waits but `reclaim`.
pub trait VirtioDevice: Send + Debug {
    /// Type and class.
    fn identity(&self) -> VirtioIdentity;

    /// Device features offered, besides [`RING_FEATURES`].
    fn features(&self) -> u64;

    /// Largest size of each queue, a power of two each; fixes the number of queues.
    fn queue_sizes(&self) -> Vec<u16>;

    /// The guest reads the device-specific configuration; bytes past its end stay zero.
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// The guest writes the device-specific configuration.
    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    /// Starts to serve the queues. Requests may be waiting in them already.
    fn activate(&mut self, activation: Activation);

    /// Starts to stop: what is being done is finished or put back, nothing new is begun.
    fn deactivate(&mut self);

    /// The queues, once the device has stopped: then nothing of it touches memory or interrupts any more. Waits for at
    /// most `patience`, or for as long as it takes.
    fn reclaim(&mut self, patience: Option<Duration>) -> Option<Vec<VirtQueue>>;

    /// The driver has reset the device, or the machine was reset: what the device has besides its queues begins anew.
    /// Called only while the device does not work.
    fn reset(&mut self) {}
}
