//! The tablet: what both the host and the device's thread know of it, and what of that is saved.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use caraway_base::state::{Migratable, StateError};
use caraway_ports::tablet::{TabletEvent, TabletListener, TabletSink};
use serde::{Deserialize, Serialize};
use vmm_sys_util::eventfd::EventFd;

use super::{
    config::{SELECT, SUBSELECT},
    reports::{ALL_BUTTONS, CAPACITY, Report, Reports},
};

/// An absolute pointer.
#[derive(Default)]
pub struct Tablet {
    inner: Mutex<Inner>,
    listeners: Mutex<Vec<Weak<dyn TabletListener>>>,
    waker: OnceLock<Arc<EventFd>>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    select: u8,
    subselect: u8,
    /// The driver is at work.
    is_present: bool,
    pub(super) reports: Reports,
}

impl std::fmt::Debug for Tablet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tablet")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Tablet {
    /// A tablet that no driver has found yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the device's thread look when there is something to tell.
    pub(super) fn set_waker(&self, waker: Arc<EventFd>) {
        // There is one device for a tablet; another one would not be woken.
        self.waker.set(waker).ok();
    }

    pub(super) fn selected(&self) -> (u8, u8) {
        let inner = self.lock();
        (inner.select, inner.subselect)
    }

    /// The driver writes a byte of the configuration.
    pub(super) fn select(&self, at: u64, byte: u8) {
        let mut inner = self.lock();
        match at {
            SELECT => inner.select = byte,
            SUBSELECT => inner.subselect = byte,
            _ => {}
        }
    }

    /// The driver has begun to work, or has ceased to: then nothing waits for it any more, and it knows of no button.
    pub(super) fn set_present(&self, is_present: bool) {
        let mut inner = self.lock();
        let was_present = std::mem::replace(&mut inner.is_present, is_present);
        if !is_present {
            inner.reports = Reports::default();
        }
        drop(inner);
        if was_present != is_present {
            self.tell_presence();
        }
    }

    /// As after power-on.
    pub(super) fn reset(&self) {
        self.set_present(false);
        let mut inner = self.lock();
        (inner.select, inner.subselect) = (0, 0);
    }

    fn tell_presence(&self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        let alive: Vec<_> = listeners.iter().filter_map(Weak::upgrade).collect();
        // A listener may watch or drop listeners itself.
        drop(listeners);
        for listener in alive {
            listener.presence_changed();
        }
    }
}

impl TabletSink for Tablet {
    fn is_present(&self) -> bool {
        self.lock().is_present
    }

    fn send(&self, events: &[TabletEvent]) {
        let mut inner = self.lock();
        if !inner.is_present {
            return;
        }
        inner.reports.push(events);
        drop(inner);
        if let Some(waker) = self.waker.get() {
            // A full counter wakes as well.
            let _ = waker.write(1);
        }
    }

    fn watch_presence(&self, listener: Arc<dyn TabletListener>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
    }
}

/// What the driver was told and is to be told. Whether it is at work is the transport's to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletState {
    /// What of the configuration is shown.
    pub select: u8,
    /// Which part of it.
    pub subselect: u8,
    /// Buttons the driver believes to be down, as in a [`Report`].
    pub told: u8,
    /// What it has not been told yet.
    pub waiting: Vec<Report>,
}

impl Migratable for Tablet {
    type State = TabletState;
    type Args = ();
    const KIND: &'static str = "virtio-input";
    const VERSION: u16 = 1;
    const OLDEST: u16 = 1;

    fn save(&self) -> TabletState {
        let inner = self.lock();
        TabletState {
            select: inner.select,
            subselect: inner.subselect,
            told: inner.reports.told,
            waiting: inner.reports.waiting.iter().copied().collect(),
        }
    }

    fn restore((): (), state: TabletState) -> Result<Self, StateError> {
        let invalid = |field, value: String| StateError::Invalid {
            kind: Self::KIND,
            field,
            value,
        };
        if state.told & !ALL_BUTTONS != 0 {
            return Err(invalid("told", state.told.to_string()));
        }
        if state.waiting.len() > CAPACITY {
            return Err(invalid("waiting", state.waiting.len().to_string()));
        }
        if let Some(report) = state.waiting.iter().find(|report| !report.is_valid()) {
            return Err(invalid("waiting", format!("{report:?}")));
        }
        let inner = Inner {
            select: state.select,
            subselect: state.subselect,
            is_present: false,
            reports: Reports {
                waiting: state.waiting.into(),
                told: state.told,
            },
        };
        Ok(Self {
            inner: Mutex::new(inner),
            ..Self::default()
        })
    }
}
