//! Cursor commands.

use std::sync::Arc;

use caraway_ports::{
    display::{CursorCommand, CursorShape},
    layout,
};

use super::Malformed;
use crate::record::{Cursor, Shape};

pub(super) fn command(cursor: &Cursor) -> Result<CursorCommand, Malformed> {
    Ok(match cursor {
        Cursor::Set(new) => CursorCommand::Set {
            position: new.position,
            visible: new.visible,
            shape: Arc::new(shape(new)?),
        },
        Cursor::Move(position) => CursorCommand::Move(*position),
        Cursor::Hide => CursorCommand::Hide,
        Cursor::Trail { length, frequency } => CursorCommand::Trail {
            length: *length,
            frequency: *frequency,
        },
    })
}

fn shape(shape: &Shape) -> Result<CursorShape, Malformed> {
    let (width, height) = (shape.width, shape.height);
    let (kind, needed) = layout::cursor_data(shape.kind, width, height)?;
    if shape.data.data.len() < needed {
        return Err(Malformed::value("cursor data size", shape.data.data.len()));
    }
    Ok(CursorShape {
        unique: shape.unique,
        kind,
        width,
        height,
        hot_spot: (shape.hot_spot.0.min(width - 1), shape.hot_spot.1.min(height - 1)),
        data: shape.data.data.slice(..needed),
    })
}
