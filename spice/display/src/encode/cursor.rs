//! Steps of the cursor as messages.

use caraway_ports::display::CursorShape;
use caraway_protocol::cursor;

use super::point16;
use crate::cursor::CursorItem;

/// The message for a step of the cursor.
#[must_use]
pub fn encode_cursor(item: &CursorItem) -> cursor::ServerMessage {
    match item {
        CursorItem::Init {
            position,
            visible,
            shape,
            trail,
        } => cursor::ServerMessage::Init {
            position: point16(*position),
            trail_length: trail.0,
            trail_frequency: trail.1,
            visible: u8::from(*visible),
            cursor: shape.as_ref().map_or(cursor::Cursor::None, |shape| shape_of(shape)),
        },
        CursorItem::Reset => cursor::ServerMessage::Reset,
        CursorItem::Set {
            position,
            visible,
            shape,
        } => cursor::ServerMessage::Set {
            position: point16(*position),
            visible: u8::from(*visible),
            cursor: shape_of(shape),
        },
        CursorItem::Move(position) => cursor::ServerMessage::Move(point16(*position)),
        CursorItem::Hide => cursor::ServerMessage::Hide,
        CursorItem::Trail { length, frequency } => cursor::ServerMessage::Trail {
            length: *length,
            frequency: *frequency,
        },
    }
}

fn shape_of(shape: &CursorShape) -> cursor::Cursor {
    cursor::Cursor::Shape {
        header: cursor::CursorHeader {
            unique: 0,
            kind: cursor::CursorType::from(shape.kind as u8),
            width: shape.width,
            height: shape.height,
            hot_spot_x: shape.hot_spot.0,
            hot_spot_y: shape.hot_spot.1,
        },
        cache: false,
        data: shape.data.clone(),
    }
}
