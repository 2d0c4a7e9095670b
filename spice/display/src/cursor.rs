//! The hardware cursor, and what each cursor channel has not been told of it. Only the latest state matters, so what
//! waits is bounded.

use std::sync::Arc;

use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorState},
    geometry::Point,
};

/// One message of the cursor channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorItem {
    /// The first one: everything.
    Init {
        position: Point,
        visible: bool,
        shape: Option<Arc<CursorShape>>,
        trail: (u16, u16),
    },
    /// Everything is forgotten; an `Init` follows.
    Reset,
    /// New shape.
    Set {
        position: Point,
        visible: bool,
        shape: Arc<CursorShape>,
    },
    /// New position, visible.
    Move(Point),
    /// Not visible.
    Hide,
    /// Trail.
    Trail { length: u16, frequency: u16 },
}

/// What one cursor channel has to be told.
#[derive(Debug)]
pub(crate) struct CursorScene {
    init: bool,
    reset: bool,
    shape: bool,
    place: bool,
    trail: bool,
}

impl CursorScene {
    /// A channel that knows nothing.
    pub(crate) const fn new() -> Self {
        Self {
            init: true,
            reset: false,
            shape: false,
            place: false,
            trail: false,
        }
    }

    pub(crate) fn note(&mut self, command: &CursorCommand) {
        if self.init {
            return;
        }
        match command {
            CursorCommand::Set { .. } => self.shape = true,
            CursorCommand::Move(_) | CursorCommand::Hide => self.place = true,
            CursorCommand::Trail { .. } => self.trail = true,
            CursorCommand::Reset => {
                *self = Self {
                    init: true,
                    reset: true,
                    ..Self::new()
                }
            }
        }
    }

    pub(crate) fn next(&mut self, state: &CursorState) -> Option<CursorItem> {
        if std::mem::take(&mut self.reset) {
            return Some(CursorItem::Reset);
        }
        if std::mem::take(&mut self.init) {
            return Some(CursorItem::Init {
                position: state.position,
                visible: state.visible,
                shape: state.shape.clone(),
                trail: state.trail,
            });
        }
        if std::mem::take(&mut self.shape)
            && let Some(shape) = &state.shape
        {
            self.place = false;
            return Some(CursorItem::Set {
                position: state.position,
                visible: state.visible,
                shape: Arc::clone(shape),
            });
        }
        if std::mem::take(&mut self.place) {
            return Some(if state.visible {
                CursorItem::Move(state.position)
            } else {
                CursorItem::Hide
            });
        }
        if std::mem::take(&mut self.trail) {
            return Some(CursorItem::Trail {
                length: state.trail.0,
                frequency: state.trail.1,
            });
        }
        None
    }
}
