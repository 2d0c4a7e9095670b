//! The device without a thread of its own, for a monitor with one thread, for tests and for fuzzing: the same guest
//! then gives the same results every time.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use caraway_ports::display::DisplaySink;

use crate::{Qxl, QxlConfig, QxlError, device::Shared, lock, option_rom::OptionRom, worker::Step};

/// Steps at a time. A sensible guest has no more than two full rings and a few jobs waiting; one that lets the device
/// write into its own ring indices could go on for long.
const STEPS_MAX: usize = 1024;

/// Who does the work of the display thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drive {
    /// A thread of the device's own.
    #[default]
    Thread,
    /// Whoever writes a port, and whoever calls [`Qxl::run_until_idle`].
    Caller,
}

impl Qxl {
    /// As [`Qxl::with_option_rom`], without a display thread ([`Drive::Caller`]).
    ///
    /// A port write returns when the device is idle. Nobody else waits on the events of
    /// [`doorbells`](caraway_pci::function::PciFunction::doorbells): the guest writes the ports themselves, or the
    /// caller follows an event with [`Qxl::run_until_idle`]. That is also how a guest learns of
    /// [`Qxl::set_client`] and [`Qxl::request_monitors`], and gets back what waits for room in the release ring. The
    /// VGA core's picture is drawn at [`refresh`](caraway_ports::display::DisplaySource::refresh), not by itself. Time
    /// stands still but for [`Qxl::advance`].
    ///
    /// # Errors
    /// As [`Qxl::new`].
    pub fn without_thread(
        config: QxlConfig,
        option_rom: Option<OptionRom>,
        sink: Arc<dyn DisplaySink>,
    ) -> Result<Arc<Self>, QxlError> {
        Self::make(config, option_rom, sink, Drive::Caller)
    }

    /// Does what there is to do, on a device without a thread that is not paused.
    pub fn run_until_idle(&self) {
        self.shared().run_until_idle();
    }

    /// Lets time go by on a device without a thread: for what blinks, and for the guest's lines in the log.
    pub fn advance(&self, by: Duration) {
        self.shared().core.clock.advance(by);
    }
}

impl Shared {
    pub(crate) fn run_until_idle(&self) {
        if self.drive == Drive::Thread || lock(&self.control).pause {
            return;
        }
        // What follows answers every doorbell rung before.
        let _ = self.wake.read();
        let mut worker = lock(&self.worker);
        for _ in 0..STEPS_MAX {
            if worker.step() != Step::Busy {
                return;
            }
        }
    }

    /// Brings the device to rest until it is resumed.
    pub(crate) fn pause(&self) {
        let mut control = lock(&self.control);
        control.pause = true;
        if self.drive == Drive::Caller {
            if !std::mem::replace(&mut control.parked, true) {
                drop(control);
                lock(&self.worker).quiesce();
            }
            return;
        }
        self.changed.notify_all();
        self.wake();
        while !control.parked && !control.stop {
            control = self.changed.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn resume(&self) {
        let mut control = lock(&self.control);
        control.pause = false;
        if self.drive == Drive::Caller {
            control.parked = false;
        }
        self.changed.notify_all();
        drop(control);
        self.core.interrupts.update();
        self.run_until_idle();
    }
}

#[cfg(test)]
#[path = "drive_tests.rs"]
mod tests;
