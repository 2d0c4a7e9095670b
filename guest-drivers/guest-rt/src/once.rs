//! Memory handed out once.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A static that one owner may take for good: large buffers that fit on no stack.
#[derive(Debug)]
pub struct TakeOnce<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reachable only through the one reference `take` gives out.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    /// An untaken cell holding `value`; a value of zeros costs nothing in the file.
    pub const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// The value; nothing from the second call on.
    #[allow(clippy::mut_from_ref)] // handed out once, as the flag sees to
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the flag went from false to true in this call only, so this is the only reference.
        Some(unsafe { &mut *self.value.get() })
    }
}
