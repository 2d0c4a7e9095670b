//! Steps of the cursor as messages.

use bytes::Bytes;
use caraway_ports::display::{self, CursorShape};
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
            width,
            height,
            hot_spot,
            ..
        } = shape;
        let (kind, data) = for_clients(shape);
        let mut header = CursorHeader {
            unique: 0,
            kind: CursorType::from(kind as u8),
            width: *width,
            height: *height,
            hot_spot_x: hot_spot.0,
            hot_spot_y: hot_spot.1,
        };
        // The reference client makes nothing of a shape without pixels, and does not keep it.
        let place = self.kept.as_mut().filter(|_| !data.is_empty()).map(|kept| {
            kept.place(|hash| {
                hash.write(&[kind as u8]);
                for number in [*width, *height, hot_spot.0, hot_spot.1] {
                    hash.write(&number.to_le_bytes());
                }
                hash.write(&data);
            })
        });
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

/// Kind and data of a shape as they are sent. The reference client shows nothing for shapes of 8 and of 24 bits a pixel; with
/// 32 they are the same.
fn for_clients(shape: &CursorShape) -> (display::CursorType, Bytes) {
    let pixels = usize::from(shape.width) * usize::from(shape.height);
    let wide = match shape.kind {
        display::CursorType::Color8 => wide_of_8(&shape.data, pixels),
        display::CursorType::Color24 => wide_of_24(&shape.data, pixels),
        _ => None,
    };
    match wide {
        Some(data) => (display::CursorType::Color32, data.into()),
        None => (shape.kind, shape.data.clone()),
    }
}

/// Indices, 256 colours, mask.
fn wide_of_8(data: &[u8], pixels: usize) -> Option<Vec<u8>> {
    let (indices, rest) = data.split_at_checked(pixels)?;
    let (palette, mask) = rest.split_at_checked(256 * 4)?;
    let (colors, _) = palette.as_chunks::<4>();
    let mut wide = Vec::with_capacity(pixels * 4 + mask.len());
    for index in indices {
        wide.extend_from_slice(colors.get(usize::from(*index))?);
    }
    wide.extend_from_slice(mask);
    Some(wide)
}

/// Blue, green and red of each pixel, mask.
fn wide_of_24(data: &[u8], pixels: usize) -> Option<Vec<u8>> {
    let (colors, mask) = data.split_at_checked(pixels * 3)?;
    let mut wide = Vec::with_capacity(pixels * 4 + mask.len());
    for color in colors.as_chunks::<3>().0 {
        wide.extend_from_slice(color);
        wide.push(0);
    }
    wide.extend_from_slice(mask);
    Some(wide)
}

#[cfg(test)]
#[path = "cursor_tests.rs"]
mod tests;
