//! Cursor commands (ABI 13).

use std::sync::Arc;

use bytes::Bytes;
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorState},
    geometry::Point,
    layout,
};
use serde::{Deserialize, Serialize};

use crate::parse::{ChunkLimit, Chunks, Fields, Guest, Malformed};

/// Parses the cursor command at `address`.
pub(crate) fn parse(guest: &mut Guest<'_>, address: u64) -> Result<CursorCommand, Malformed> {
    // What follows in the 150 bytes of the command is scratch room.
    let bytes: [u8; 0x16] = guest.read(address, 0)?;
    let mut fields = Fields::new("cursor command", &bytes);
    fields.skip(8)?; // release info
    let kind = fields.u8()?;
    Ok(match kind {
        0 => {
            let position = fields.point16()?;
            let visible = fields.u8()? != 0;
            CursorCommand::Set {
                position,
                visible,
                shape: Arc::new(shape(guest, fields.u64()?)?),
            }
        }
        1 => CursorCommand::Move(fields.point16()?),
        2 => CursorCommand::Hide,
        3 => CursorCommand::Trail {
            length: fields.u16()?,
            frequency: fields.u16()?,
        },
        other => return Err(Malformed::value("cursor command type", other)),
    })
}

fn shape(guest: &mut Guest<'_>, address: u64) -> Result<CursorShape, Malformed> {
    let bytes: [u8; 0x16] = guest.read(address, 0)?;
    let mut fields = Fields::new("cursor", &bytes);
    let unique = fields.u64()?;
    let raw = fields.u16()?;
    let (width, height) = (fields.u16()?, fields.u16()?);
    let (hot_x, hot_y) = (fields.u16()?, fields.u16()?);
    let size = u64::from(fields.u32()?);
    let (kind, needed) = layout::cursor_data(raw, width, height)?;
    let needed = needed as u64;
    if size < needed {
        return Err(Malformed::value("cursor data size", size));
    }
    let mut chunks = Chunks::walk(guest, address, 0x16, ChunkLimit::Prefix(needed))?;
    let mut data = guest.allocate(needed)?;
    chunks.read(guest, &mut data)?;
    Ok(CursorShape {
        unique,
        kind,
        width,
        height,
        hot_spot: (hot_x.min(width - 1), hot_y.min(height - 1)),
        data: Bytes::from(data),
    })
}

/// The record of a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedCursor {
    shape: Option<SavedShape>,
    position: (i32, i32),
    visible: bool,
    trail: (u16, u16),
}

impl SavedCursor {
    pub(crate) fn of(cursor: &CursorState) -> Self {
        Self {
            shape: cursor.shape.as_ref().map(|shape| SavedShape {
                unique: shape.unique,
                kind: shape.kind as u16,
                size: (shape.width, shape.height),
                hot_spot: shape.hot_spot,
                data: shape.data.to_vec(),
            }),
            position: (cursor.position.x, cursor.position.y),
            visible: cursor.visible,
            trail: cursor.trail,
        }
    }

    /// `None` when the record holds a shape that cannot be.
    pub(crate) fn restore(self) -> Option<CursorState> {
        let shape = match self.shape {
            None => None,
            Some(shape) => Some(Arc::new(shape.restore()?)),
        };
        Some(CursorState {
            shape,
            position: Point::new(self.position.0, self.position.1),
            visible: self.visible,
            trail: self.trail,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedShape {
    unique: u64,
    kind: u16,
    size: (u16, u16),
    hot_spot: (u16, u16),
    data: Vec<u8>,
}

impl SavedShape {
    fn restore(self) -> Option<CursorShape> {
        let (width, height) = self.size;
        let (kind, needed) = layout::cursor_data(self.kind, width, height).ok()?;
        let inside = self.hot_spot.0 < width && self.hot_spot.1 < height;
        if !inside || self.data.len() != needed {
            return None;
        }
        Some(CursorShape {
            unique: self.unique,
            kind,
            width,
            height,
            hot_spot: self.hot_spot,
            data: Bytes::from(self.data),
        })
    }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
