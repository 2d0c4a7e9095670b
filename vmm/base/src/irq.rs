//! Interrupt lines and message-signalled vectors.

use std::{io, sync::Arc};

use vmm_sys_util::eventfd::EventFd;

/// One input of an interrupt controller. Any thread may call.
pub trait IrqLine: Send + Sync + std::fmt::Debug {
    /// Asserts or deasserts the line (true = the device wants service, whatever the electrical level).
    fn set(&self, asserted: bool);
}

/// A line several devices share: asserted while any of them asserts it. Each device gets its own [`SharedLine::input`].
#[derive(Debug)]
pub struct SharedLine {
    line: Arc<dyn IrqLine>,
    asserted: std::sync::Mutex<Vec<bool>>,
}

impl SharedLine {
    /// Wraps the controller's input.
    #[must_use]
    pub fn new(line: Arc<dyn IrqLine>) -> Arc<Self> {
        Arc::new(Self {
            line,
            asserted: std::sync::Mutex::new(Vec::new()),
        })
    }

    /// A new input for one device.
    #[must_use]
    pub fn input(self: &Arc<Self>) -> Arc<dyn IrqLine> {
        let mut asserted = self.asserted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        asserted.push(false);
        Arc::new(SharedInput {
            shared: Arc::clone(self),
            index: asserted.len() - 1,
        })
    }
}

#[derive(Debug)]
struct SharedInput {
    shared: Arc<SharedLine>,
    index: usize,
}

impl IrqLine for SharedInput {
    fn set(&self, asserted: bool) {
        // The controller is told under the lock: two devices that change at once must not be reported out of order.
        let mut inputs = self
            .shared
            .asserted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = inputs.iter().any(|input| *input);
        if let Some(input) = inputs.get_mut(self.index) {
            *input = asserted;
        }
        let after = inputs.iter().any(|input| *input);
        if before != after {
            self.shared.line.set(after);
        }
    }
}

/// One message-signalled vector: an irqfd whose route the owner of the MSI-X table programs.
pub trait MsiVector: Send + Sync + std::fmt::Debug {
    /// Writing 1 delivers the message as programmed now; nothing while masked.
    fn event(&self) -> &EventFd;

    /// Programs where the message goes and lets it through.
    ///
    /// # Errors
    /// When the host refuses the route.
    fn route(&self, address: u64, data: u32) -> io::Result<()>;

    /// Holds messages back.
    ///
    /// # Errors
    /// When the host refuses.
    fn mask(&self) -> io::Result<()>;
}

/// Hands out message-signalled vectors.
pub trait MsiAllocator: Send + Sync {
    /// A new vector, masked.
    ///
    /// # Errors
    /// When the host has no more.
    fn allocate(&self) -> io::Result<Arc<dyn MsiVector>>;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<bool>>);

    impl IrqLine for Recorder {
        fn set(&self, asserted: bool) {
            self.0.lock().unwrap().push(asserted);
        }
    }

    #[test]
    fn a_shared_line_drops_only_when_the_last_device_lets_go() {
        let recorder = Arc::new(Recorder::default());
        let shared = SharedLine::new(recorder.clone());
        let (a, b) = (shared.input(), shared.input());
        a.set(true);
        b.set(true);
        a.set(false);
        assert_eq!(*recorder.0.lock().unwrap(), [true]);
        b.set(false);
        assert_eq!(*recorder.0.lock().unwrap(), [true, false]);
    }
}
