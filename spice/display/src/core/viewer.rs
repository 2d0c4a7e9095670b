//! Those who look at a display.

use std::{sync::Arc, time::Duration};

use super::{Display, State};
use crate::{cursor::CursorItem, figures::ViewerFigures, item::Item, pace::Pace, video::Stream};

/// A viewer's end of a display. Dropping it detaches the viewer.
#[derive(Debug)]
pub struct Viewer {
    pub(super) display: Arc<Display>,
    pub(super) id: u64,
}

impl Viewer {
    /// The next step to send; `None` until the waker is called.
    #[must_use]
    pub fn next(&self) -> Option<Item> {
        let mut state = self.display.lock_without_canvas();
        if state.is_away {
            let scene = &mut state.viewers.get_mut(&self.id)?.scene;
            if let Some(item) = scene.next_without_canvas() {
                return Some(item);
            }
            drop(state);
            state = self.display.lock();
        }
        let State { canvas, viewers, .. } = &mut *state;
        viewers.get_mut(&self.id)?.scene.next(canvas)
    }

    /// Whether photographs copied to the screen may lose something from now on ([`Item::Photo`]). Nothing a viewer is sent
    /// is drawn from what was lost.
    pub fn set_lossy(&self, allowed: bool) {
        if let Some(viewer) = self.display.lock_without_canvas().viewers.get_mut(&self.id) {
            viewer.scene.lossy.allowed = allowed;
        }
    }

    /// Says how much the viewer is given at a time from now on.
    pub fn set_pace(&self, pace: Pace) {
        if let Some(viewer) = self.display.lock_without_canvas().viewers.get_mut(&self.id) {
            viewer.scene.pace = pace;
        }
    }

    /// Whether the viewer's screen may have lost something.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        let state = self.display.lock_without_canvas();
        let viewer = state.viewers.get(&self.id);
        viewer.is_some_and(|viewer| viewer.scene.lossy.is_any())
    }

    /// Does what is due by now: ends streams without frames, and has what may have been lost, and has rested, sent again
    /// without loss; there may be a next step then. Returns how long it is until something may be due again, unless
    /// something is drawn.
    pub fn tick(&self) -> Option<Duration> {
        let now = (self.display.clock)();
        let mut state = self.display.lock_without_canvas();
        let mut wakers = Vec::new();
        if state.expire(now) {
            let others = state.viewers.iter().filter(|(id, _)| **id != self.id);
            wakers.extend(others.map(|(_, viewer)| Arc::clone(&viewer.waker)));
        }
        let expiry = state.video.next_expiry();
        let scene = &mut state.viewers.get_mut(&self.id)?.scene;
        scene.refine(now);
        let turn = scene.lossy.next_turn();
        drop(state);
        wakers.iter().for_each(|wake| wake());
        let due = expiry.into_iter().chain(turn).min()?;
        Some(due.saturating_sub(now))
    }

    /// The viewer cannot be shown video any more.
    pub fn refuse_streams(&self) {
        let mut state = self.display.lock_without_canvas();
        if let Some(viewer) = state.viewers.get_mut(&self.id) {
            viewer.caps.streams = false;
            let shown: Vec<Arc<Stream>> = viewer.scene.streams().map(Arc::clone).collect();
            for stream in shown {
                viewer.scene.control(Item::DestroyStream(stream));
            }
        }
    }

    /// What waits for it, and what became of the rest.
    #[must_use]
    pub fn figures(&self) -> ViewerFigures {
        let state = self.display.lock_without_canvas();
        let viewer = state.viewers.get(&self.id);
        viewer.map(|viewer| viewer.scene.figures()).unwrap_or_default()
    }

    /// Bytes of commands that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.display
            .lock()
            .viewers
            .get(&self.id)
            .map_or(0, |viewer| viewer.scene.waiting())
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.display.lock_without_canvas().viewers.remove(&self.id);
        self.display.tell_source();
    }
}

/// Somebody looks while this lives.
#[derive(Debug)]
pub struct Watch(pub(super) Arc<Display>);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.watchers = state.watchers.saturating_sub(1);
        drop(state);
        self.0.tell_source();
    }
}

/// A cursor channel's end of a display. Dropping it detaches the channel.
#[derive(Debug)]
pub struct CursorViewer {
    pub(super) display: Arc<Display>,
    pub(super) id: u64,
}

impl CursorViewer {
    /// The next message to send; `None` until the waker is called.
    #[must_use]
    pub fn next(&self) -> Option<CursorItem> {
        let mut state = self.display.lock_without_canvas();
        let State { cursor, cursors, .. } = &mut *state;
        cursors.get_mut(&self.id)?.scene.next(cursor)
    }
}

impl Drop for CursorViewer {
    fn drop(&mut self) {
        self.display.lock_without_canvas().cursors.remove(&self.id);
    }
}
