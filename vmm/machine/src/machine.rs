//! A machine that is ready to run.

use crate::driver::{Driver, Ending, MachineHandle};

/// A built machine.
pub struct Machine {
    driver: Driver,
    handle: MachineHandle,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(driver: Driver, handle: MachineHandle) -> Self {
        Self { driver, handle }
    }

    /// Commands and events, from any thread.
    #[must_use]
    pub fn handle(&self) -> MachineHandle {
        self.handle.clone()
    }

    /// Runs until the machine ends; this thread is the state driver. When it returns every vCPU has stopped, devices are
    /// paused and flushed, and the terminal is as it was.
    #[must_use]
    pub fn run(self) -> Ending {
        self.driver.run()
    }
}
