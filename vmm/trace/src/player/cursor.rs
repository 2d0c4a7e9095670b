//! Cursor commands.

use std::sync::Arc;

use caraway_ports::display::{CursorCommand, CursorShape, CursorType};

use super::Malformed;
use crate::record::{Cursor, Shape};

/// Largest width and height of a shape.
const SIDE_MAX: u16 = 512;

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
    let kind = kind_of(shape.kind).ok_or(Malformed::new("cursor type", shape.kind))?;
    let (width, height) = (shape.width, shape.height);
    for side in [width, height] {
        if !(1..=SIDE_MAX).contains(&side) {
            return Err(Malformed::new("cursor side", side));
        }
    }
    let needed = data_bytes(kind, width.into(), height.into());
    if shape.data.data.len() < needed {
        return Err(Malformed::new("cursor data size", shape.data.data.len()));
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

const fn kind_of(raw: u16) -> Option<CursorType> {
    Some(match raw {
        0 => CursorType::Alpha,
        1 => CursorType::Mono,
        2 => CursorType::Color4,
        3 => CursorType::Color8,
        4 => CursorType::Color16,
        5 => CursorType::Color24,
        6 => CursorType::Color32,
        _ => return None,
    })
}

/// Bytes of pixels, palette and AND mask; sides are at most 512.
pub(crate) fn data_bytes(kind: CursorType, width: usize, height: usize) -> usize {
    let mask = width.div_ceil(8) * height;
    match kind {
        CursorType::Alpha => 4 * width * height,
        CursorType::Mono => 2 * mask,
        CursorType::Color4 => width.div_ceil(2) * height + 16 * 4 + mask,
        CursorType::Color8 => width * height + 256 * 4 + mask,
        CursorType::Color16 => 2 * width * height + mask,
        CursorType::Color24 => 3 * width * height + mask,
        CursorType::Color32 => 4 * width * height + mask,
    }
}
