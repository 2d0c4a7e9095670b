//! What the device did, for people who look at it.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $field:ident,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Counter { $($variant),* }

        /// The counts since the device was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct QxlCounters { $($(#[$doc])* pub $field: u64),* }

        /// The running counts.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $($field: AtomicU64),* }

        impl Counters {
            pub(crate) fn add(&self, counter: Counter) {
                let count = match counter { $(Counter::$variant => &self.$field),* };
                count.fetch_add(1, Ordering::Relaxed);
            }

            pub(crate) fn read(&self) -> QxlCounters {
                QxlCounters { $($field: self.$field.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters! {
    /// Commands taken from the rings.
    Commands commands,
    /// Commands that could not be understood and were dropped.
    Dropped dropped,
    /// Times the guest broke the protocol and the device froze until its reset.
    GuestBugs guest_bugs,
    /// Commands given back to the guest.
    Releases releases,
    /// Interrupt bits raised that were not pending.
    Interrupts interrupts,
    /// Port accesses that mean nothing (wrong width).
    IgnoredAccesses ignored_accesses,
    /// Port writes dropped in VGA mode or while frozen.
    FilteredWrites filtered_writes,
    /// Primary surfaces created over a live one.
    ReplacedPrimaries replaced_primaries,
    /// Synchronous port writes that returned before their work was done.
    Timeouts timeouts,
    /// Lines of guest text logged.
    LogLines log_lines,
    /// Lines of guest text suppressed.
    LogSuppressed log_suppressed,
    /// Areas written back to guest memory.
    WriteBacks write_backs,
}
