//! The order in which the machine drives its devices.

/// A device the machine can hold still. The machine calls in this order and no other:
/// `pause` -> (save) -> `resume`, or `pause` -> `reset` -> `resume`.
pub trait Lifecycle: Send + Sync {
    /// Stops all work on threads of the device's own. Called only after every vCPU is parked; when it returns nothing
    /// of this device touches guest memory or raises interrupts.
    fn pause(&self);

    /// Undoes `pause`. Called before any vCPU runs.
    fn resume(&self);

    /// Returns to the power-on state. Called only while paused.
    fn reset(&self);
}
