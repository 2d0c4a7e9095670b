//! Timers of devices, on the `devices` thread.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caraway_legacy::clock::Timer;
use event_manager::EventSet;
use vmm_sys_util::timerfd::TimerFd;

use crate::event_loop::{Devices, Next};

/// A timerfd that is never read: setting it again is what ends its readiness.
pub(super) struct DeviceTimer {
    timer: Mutex<TimerFd>,
    fd: RawFd,
}

impl DeviceTimer {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let timer = TimerFd::new().map_err(io::Error::from)?;
        Ok(Arc::new(Self {
            fd: timer.as_raw_fd(),
            timer: Mutex::new(timer),
        }))
    }

    /// Has `expired` called whenever the timer is due. It must set the timer again, or off.
    pub(super) fn start(self: Arc<Self>, devices: &Devices, expired: impl Fn() + Send + 'static) -> io::Result<()> {
        let handler = Box::new(move |_| {
            expired();
            Next::Keep
        });
        devices.register(self, EventSet::IN, handler).map(drop)
    }
}

impl AsRawFd for DeviceTimer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl Timer for DeviceTimer {
    fn set(&self, after: Option<Duration>) {
        // Zero is off.
        let after = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = timer.reset(after, None) {
            tracing::error!(%error, "a device's timer cannot be set");
        }
    }
}
