//! Steps of the cursor as messages.

use caraway_ports::display::CursorShape;
use caraway_protocol::cursor::{CACHE_ENTRIES, Cursor, CursorHeader, CursorType, ServerMessage};

use super::{
    kept::{Kept, Place},
    point16,
};
use crate::cursor::CursorItem;

/// Turns the steps of one cursor channel into messages, one for each connection. Its messages must be sent, all and in
/// their order: shapes are sent once, and named after that for as long as the client keeps them.
#[derive(Debug)]
pub struct CursorEncoder {
    kept: Option<Kept>,
}

impl CursorEncoder {
    /// For a new connection; `keeps` is whether its client keeps shapes.
    #[must_use]
    pub fn new(keeps: bool) -> Self {
        Self {
            kept: keeps.then(|| Kept::new(CACHE_ENTRIES)),
        }
    }

    /// The messages for a step, in order.
    #[must_use]
    pub fn encode(&mut self, item: &CursorItem) -> Vec<ServerMessage> {
        let mut evicted = None;
        let message = match item {
            CursorItem::Init {
                position,
                visible,
                shape,
                trail,
            } => {
                // The client forgets all before it looks at the shape.
                self.forget();
                ServerMessage::Init {
                    position: point16(*position),
                    trail_length: trail.0,
                    trail_frequency: trail.1,
                    visible: u8::from(*visible),
                    cursor: match shape {
                        Some(shape) => self.cursor(shape, &mut evicted),
                        None => Cursor::None,
                    },
                }
            }
            CursorItem::Reset => {
                self.forget();
                return vec![ServerMessage::InvalAll, ServerMessage::Reset];
            }
            CursorItem::Set {
                position,
                visible,
                shape,
            } => ServerMessage::Set {
                position: point16(*position),
                visible: u8::from(*visible),
                cursor: self.cursor(shape, &mut evicted),
            },
            CursorItem::Move(position) => ServerMessage::Move(point16(*position)),
            CursorItem::Hide => ServerMessage::Hide,
            CursorItem::Trail { length, frequency } => ServerMessage::Trail {
                length: *length,
                frequency: *frequency,
            },
        };
        [message]
            .into_iter()
            .chain(evicted.map(ServerMessage::InvalOne))
            .collect()
    }

    fn forget(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
    }

    fn cursor(&mut self, shape: &CursorShape, evicted: &mut Option<u64>) -> Cursor {
        let CursorShape {
            kind,
            width,
            height,
            hot_spot,
            data,
            ..
        } = shape;
        let mut header = CursorHeader {
            unique: 0,
            kind: CursorType::from(*kind as u8),
            width: *width,
            height: *height,
            hot_spot_x: hot_spot.0,
            hot_spot_y: hot_spot.1,
        };
        // The reference client makes nothing of a shape without pixels, and does not keep it.
        let place = self.kept.as_mut().filter(|_| !data.is_empty()).map(|kept| {
            kept.place(|hash| {
                hash.write(&[*kind as u8]);
                for number in [*width, *height, hot_spot.0, hot_spot.1] {
                    hash.write(&number.to_le_bytes());
                }
                hash.write(data);
            })
        });
        let data = data.clone();
        match place {
            None => Cursor::Shape {
                header,
                cache: false,
                data,
            },
            Some(Place::Kept(key)) => {
                header.unique = key;
                Cursor::Cached(header)
            }
            Some(Place::New { key, evicted: old }) => {
                header.unique = key;
                *evicted = old;
                Cursor::Shape {
                    header,
                    cache: true,
                    data,
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
