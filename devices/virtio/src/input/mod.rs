//! The input device as a tablet (virtio 1.2, 5.8): a pointer that is where it is put, with five buttons and a wheel.
//!
//! What happened at once is one group of events in the guest, with a SYN_REPORT at its end, and is given to the driver as a
//! whole: a group for which there are not enough buffers waits. While it does, places are merged, clicks are not.

mod config;
mod reports;
mod service;
mod tablet;

#[cfg(test)]
mod fake_driver;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod lifecycle_tests;

use std::{io, sync::Arc, time::Duration};

use self::service::Serving;
pub use self::{
    reports::Report,
    tablet::{Tablet, TabletState},
};
use crate::{Activation, VirtQueue, VirtioDevice, VirtioIdentity, worker::Worker};

/// Events for the driver.
const EVENT_QUEUE: u16 = 0;
/// Descriptors of the event queue, and of the queue for what the driver says: as many as the buffers that Linux keeps in one.
const QUEUE_SIZE: u16 = 64;
const QUEUES: usize = 2;

/// Bytes of `struct virtio_input_event`.
const EVENT_BYTES: usize = 8;

/// Name of the device's thread.
const THREAD: &str = "virtio-input";

/// Event types and codes, as Linux numbers them (`linux/input-event-codes.h`); virtio uses them as they are.
mod code {
    pub(super) const EV_SYN: u16 = 0;
    pub(super) const EV_KEY: u16 = 1;
    pub(super) const EV_REL: u16 = 2;
    pub(super) const EV_ABS: u16 = 3;
    pub(super) const SYN_REPORT: u16 = 0;
    pub(super) const REL_WHEEL: u16 = 8;
    pub(super) const ABS_X: u16 = 0;
    pub(super) const ABS_Y: u16 = 1;
    const BTN_LEFT: u16 = 0x110;
    const BTN_RIGHT: u16 = 0x111;
    const BTN_MIDDLE: u16 = 0x112;
    const BTN_SIDE: u16 = 0x113;
    const BTN_EXTRA: u16 = 0x114;
    /// By their bits in a report.
    pub(super) const BUTTONS: [u16; 5] = [BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA];
}

/// Why a tablet cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The host gives no thread.
    #[error("cannot start the thread {THREAD}")]
    Thread(#[source] io::Error),
}

/// The device of a [`Tablet`].
#[derive(Debug)]
pub struct Input {
    tablet: Arc<Tablet>,
    worker: Worker,
}

impl Input {
    /// A device for this tablet. The caller saves and restores the tablet: it is a record of its own.
    ///
    /// # Errors
    /// When the host has no thread to give.
    pub fn new(tablet: Arc<Tablet>) -> Result<Self, InputError> {
        let serving = Serving::new(Arc::clone(&tablet));
        let worker = Worker::spawn(THREAD.to_owned(), serving).map_err(InputError::Thread)?;
        tablet.set_waker(worker.waker());
        Ok(Self { tablet, worker })
    }
}

impl VirtioDevice for Input {
    fn identity(&self) -> VirtioIdentity {
        VirtioIdentity {
            device: 18,
            class: [0x09, 0x80, 0x00],
        }
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; QUEUES]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let (select, subselect) = self.tablet.selected();
        let image = config::image(select, subselect);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(image.iter().skip(start)) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            self.tablet.select(at, *byte);
        }
    }

    fn activate(&mut self, activation: Activation) {
        let has_events = activation.queues.iter().any(|queue| queue.index() == EVENT_QUEUE);
        self.tablet.set_present(has_events);
        self.worker.activate(activation);
    }

    fn deactivate(&mut self) {
        self.worker.deactivate();
    }

    fn reclaim(&mut self, patience: Option<Duration>) -> Option<Vec<VirtQueue>> {
        self.worker.reclaim(patience)
    }

    fn reset(&mut self) {
        self.tablet.reset();
    }
}
