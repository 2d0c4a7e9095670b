//! The console device as a serial device of many ports (virtio 1.2, 5.3): each has a name and carries bytes both ways
//! between the guest and a [`DevicePort`](caraway_ports::port::DevicePort).
//!
//! Its buffers are the guest's: bytes from the guest stay in its queue until the host has room, and its writers wait. For
//! bytes without a connection nobody waits; they are dropped.

mod message;
mod port;
mod ports;
mod service;

#[cfg(test)]
mod console_tests;
#[cfg(test)]
mod fake_driver;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod lifecycle_tests;
#[cfg(test)]
mod port_tests;

use std::{io, ops::Range, sync::Arc, time::Duration};

use caraway_ports::port::PortWaker;

use self::service::Serving;
pub use self::{
    port::ConsolePortState,
    ports::{ConsolePorts, ConsoleState},
};
use crate::{Activation, VirtQueue, VirtioDevice, VirtioIdentity, worker::Worker};

/// Descriptors of a port's queue, and of a control queue.
const PORT_QUEUE_SIZE: u16 = 128;
const CONTROL_QUEUE_SIZE: u16 = 32;

/// The control queues lie between those of port 0 and those of port 1.
const CONTROL_QUEUES: Range<usize> = 2..4;

mod feature {
    /// VIRTIO_CONSOLE_F_MULTIPORT.
    pub(super) const MULTIPORT: u64 = 1 << 1;
}

/// Offset of `max_nr_ports` in `struct virtio_console_config`. The fields around it belong to features that are not
/// offered.
const MAX_NR_PORTS: usize = 4;
/// Bytes of the structure.
const CONFIG_BYTES: usize = 12;

/// Name of the device's thread.
const THREAD: &str = "virtio-serial";

/// Why a console device cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// More ports than there can be.
    #[error("{count} ports: a virtio console has at most 31 with a name")]
    Count {
        /// How many.
        count: usize,
    },
    /// A name that cannot be.
    #[error("port name {name:?}: 1 to 64 printable ASCII characters without space and slash, each name once")]
    Name {
        /// The name.
        name: String,
    },
    /// The host gives no thread.
    #[error("cannot start the thread {THREAD}")]
    Thread(#[source] io::Error),
}

/// A serial device. All its ports are served on one thread.
#[derive(Debug)]
pub struct Console {
    ports: Arc<ConsolePorts>,
    worker: Worker,
}

impl Console {
    /// A device with these ports. The caller saves and restores them: they are a record of their own.
    ///
    /// # Errors
    /// When the host has no thread to give.
    pub fn new(ports: Arc<ConsolePorts>) -> Result<Self, ConsoleError> {
        let serving = Serving::new(Arc::clone(&ports));
        let worker = Worker::spawn(THREAD.to_owned(), serving).map_err(ConsoleError::Thread)?;
        let wake = worker.waker();
        let waker: PortWaker = Arc::new(move || {
            // A full counter wakes as well.
            let _ = wake.write(1);
        });
        ports.set_waker(&waker);
        Ok(Self { ports, worker })
    }
}

impl VirtioDevice for Console {
    fn identity(&self) -> VirtioIdentity {
        VirtioIdentity {
            device: 3,
            class: [0x07, 0x80, 0x00],
        }
    }

    fn features(&self) -> u64 {
        feature::MULTIPORT
    }

    /// Two for each port there can be, and the control queues.
    fn queue_sizes(&self) -> Vec<u16> {
        let ports = usize::try_from(self.ports.max_nr_ports()).unwrap_or(0);
        let size = |queue| {
            if CONTROL_QUEUES.contains(&queue) {
                CONTROL_QUEUE_SIZE
            } else {
                PORT_QUEUE_SIZE
            }
        };
        (0..2 * ports + CONTROL_QUEUES.len()).map(size).collect()
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; CONFIG_BYTES];
        let number = self.ports.max_nr_ports().to_le_bytes();
        for (to, from) in config.iter_mut().skip(MAX_NR_PORTS).zip(number) {
            *to = from;
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(config.iter().skip(start)) {
            *to = *from;
        }
    }

    fn activate(&mut self, activation: Activation) {
        self.worker.activate(activation);
    }

    fn deactivate(&mut self) {
        self.worker.deactivate();
    }

    fn reclaim(&mut self, patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
        self.worker.reclaim(patience)
    }

    fn reset(&mut self) {
        self.ports.lock().reset();
    }
}
