//! The cursor channel: shape and place of the pointer.

use bitflags::bitflags;
use bytes::Bytes;

use crate::common::{self, ClientCommon, ServerCommon};
use crate::error::{Error, Result};
use crate::message::{Message, carries_common};
use crate::wire::{Point16, Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "CURSOR_" {
        INIT = 101,
        RESET = 102,
        SET = 103,
        MOVE = 104,
        HIDE = 105,
        TRAIL = 106,
        INVAL_ONE = 107,
        INVAL_ALL = 108,
    }
}

/// Shapes a client keeps.
pub const CACHE_ENTRIES: usize = 256;

bitflags! {
    /// How a cursor is told.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    struct CursorFlags: u16 {
        const NONE = 1;
        const CACHE_ME = 2;
        const FROM_CACHE = 4;
        const _ = !0;
    }
}

wire_enum! {
    /// How the pixels of a shape are stored.
    pub enum CursorType: u8 {
        /// u32 0xAARRGGBB each.
        Alpha = 0,
        /// AND mask, then XOR mask, 1 bit each.
        Mono = 1,
        /// 4-bit indices, palette of 16, mask.
        Color4 = 2,
        /// 8-bit indices, palette of 256, mask.
        Color8 = 3,
        /// u16 x1r5g5b5 each, mask.
        Color16 = 4,
        /// Bytes B, G, R each, mask.
        Color24 = 5,
        /// u32 0x00RRGGBB each, mask.
        Color32 = 6,
    }
}

/// What is known of a shape without its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorHeader {
    /// Key in the client's cache; 0 = not to be kept.
    pub unique: u64,
    /// How pixels are stored.
    pub kind: CursorType,
    /// Pixels across.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Pixels from the left edge to the point that points.
    pub hot_spot_x: u16,
    /// Rows from the top to it.
    pub hot_spot_y: u16,
}

impl CursorHeader {
    /// Bytes the pixels take, palette and masks included; `None` for an unknown type.
    #[must_use]
    pub fn shape_bytes(&self) -> Option<u64> {
        let (width, height) = (u64::from(self.width), u64::from(self.height));
        let mask = width.div_ceil(8) * height;
        Some(match self.kind {
            CursorType::Alpha => 4 * width * height,
            CursorType::Mono => 2 * mask,
            CursorType::Color4 => width.div_ceil(2) * height + 16 * 4 + mask,
            CursorType::Color8 => width * height + 256 * 4 + mask,
            CursorType::Color16 => 2 * width * height + mask,
            CursorType::Color24 => 3 * width * height + mask,
            CursorType::Color32 => 4 * width * height + mask,
            CursorType::Unknown(_) => return None,
        })
    }
}

/// The shape of the pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// None.
    None,
    /// One the client has kept under `unique`.
    Cached(CursorHeader),
    /// One with its pixels.
    Shape {
        /// Size and format.
        header: CursorHeader,
        /// Whether the client keeps it under `unique`.
        cache: bool,
        /// The pixels; at least [`CursorHeader::shape_bytes`] bytes.
        data: Bytes,
    },
}

impl Cursor {
    fn decode(reader: &mut Reader<'_>, message: &'static str) -> Result<Self> {
        let flags = CursorFlags::from_bits_retain(reader.u16("cursor flags")?);
        if flags.contains(CursorFlags::NONE) {
            return Ok(Self::None);
        }
        let header = CursorHeader {
            unique: reader.u64("cursor unique")?,
            kind: reader.u8("cursor type")?.into(),
            width: reader.u16("cursor width")?,
            height: reader.u16("cursor height")?,
            hot_spot_x: reader.u16("cursor hot_spot_x")?,
            hot_spot_y: reader.u16("cursor hot_spot_y")?,
        };
        if flags.contains(CursorFlags::FROM_CACHE) {
            return Ok(Self::Cached(header));
        }
        let data = reader.rest();
        check_shape(message, &header, &data)?;
        Ok(Self::Shape {
            header,
            cache: flags.contains(CursorFlags::CACHE_ME),
            data,
        })
    }

    fn encode(&self, message: &'static str, out: &mut Writer<'_>) -> Result<()> {
        let (flags, header, data) = match self {
            Self::None => {
                out.u16(CursorFlags::NONE.bits());
                return Ok(());
            }
            Self::Cached(header) => (CursorFlags::FROM_CACHE, header, None),
            Self::Shape {
                header,
                cache: true,
                data,
            } => (CursorFlags::CACHE_ME, header, Some(data)),
            Self::Shape { header, data, .. } => (CursorFlags::empty(), header, Some(data)),
        };
        out.u16(flags.bits());
        out.u64(header.unique);
        out.u8(header.kind.into());
        out.u16(header.width);
        out.u16(header.height);
        out.u16(header.hot_spot_x);
        out.u16(header.hot_spot_y);
        if let Some(data) = data {
            check_shape(message, header, data)?;
            out.payload(data);
        }
        Ok(())
    }
}

fn check_shape(message: &'static str, header: &CursorHeader, data: &Bytes) -> Result<()> {
    match header.shape_bytes() {
        Some(need) if need > data.len() as u64 => Err(Error::Truncated {
            message,
            field: "cursor data",
            need,
            have: data.len() as u64,
        }),
        _ => Ok(()),
    }
}

/// A server message of a cursor channel. Positions are those of the hot spot, in pixels of the primary surface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A message every channel has.
    Common(ServerCommon),
    /// State after the link and after a new primary surface; empties the cache.
    Init {
        /// Where the pointer is.
        position: Point16,
        /// Length of its trail.
        trail_length: u16,
        /// Milliseconds between the pictures of the trail.
        trail_frequency: u16,
        /// Whether it is shown (not 0).
        visible: u8,
        /// Its shape.
        cursor: Cursor,
    },
    /// No shape, empty cache.
    Reset,
    /// A new shape.
    Set {
        /// Where the pointer is.
        position: Point16,
        /// Whether it is shown (not 0).
        visible: u8,
        /// Its shape.
        cursor: Cursor,
    },
    /// A new place.
    Move(Point16),
    /// Not shown.
    Hide,
    /// A trail.
    Trail {
        /// Its length.
        length: u16,
        /// Milliseconds between its pictures.
        frequency: u16,
    },
    /// Forget the shape with this key.
    InvalOne(u64),
    /// Forget all shapes.
    InvalAll,
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

carries_common!(ServerMessage, ServerCommon);

impl Message for ServerMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::Init { .. } => server_id::INIT,
            Self::Reset => server_id::RESET,
            Self::Set { .. } => server_id::SET,
            Self::Move(_) => server_id::MOVE,
            Self::Hide => server_id::HIDE,
            Self::Trail { .. } => server_id::TRAIL,
            Self::InvalOne(_) => server_id::INVAL_ONE,
            Self::InvalAll => server_id::INVAL_ALL,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        server_id::name(id)
            .or_else(|| common::server_id::name(id))
            .unwrap_or("unknown cursor message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = server_id::name(id) else {
            return Ok(
                ServerCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            server_id::INIT => Self::Init {
                position: reader.point16("position")?,
                trail_length: reader.u16("trail_length")?,
                trail_frequency: reader.u16("trail_frequency")?,
                visible: reader.u8("visible")?,
                cursor: Cursor::decode(&mut reader, name)?,
            },
            server_id::RESET => Self::Reset,
            server_id::SET => Self::Set {
                position: reader.point16("position")?,
                visible: reader.u8("visible")?,
                cursor: Cursor::decode(&mut reader, name)?,
            },
            server_id::MOVE => Self::Move(reader.point16("position")?),
            server_id::HIDE => Self::Hide,
            server_id::TRAIL => Self::Trail {
                length: reader.u16("length")?,
                frequency: reader.u16("frequency")?,
            },
            server_id::INVAL_ONE => Self::InvalOne(reader.u64("id")?),
            _ => Self::InvalAll,
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out)?,
            Self::Init {
                position,
                trail_length,
                trail_frequency,
                visible,
                cursor,
            } => {
                out.point16(*position);
                out.u16(*trail_length);
                out.u16(*trail_frequency);
                out.u8(*visible);
                cursor.encode(self.name(), out)?;
            }
            Self::Set {
                position,
                visible,
                cursor,
            } => {
                out.point16(*position);
                out.u8(*visible);
                cursor.encode(self.name(), out)?;
            }
            Self::Move(position) => out.point16(*position),
            Self::Trail { length, frequency } => {
                out.u16(*length);
                out.u16(*frequency);
            }
            Self::InvalOne(id) => out.u64(*id),
            Self::Reset | Self::Hide | Self::InvalAll => {}
            Self::Unknown { body, .. } => out.payload(body),
        }
        Ok(())
    }
}

/// A client message of a cursor channel: there are none but the common ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A message every channel has.
    Common(ClientCommon),
    /// A message with an id that has no meaning here.
    Unknown {
        /// The id.
        id: u16,
        /// The body.
        body: Bytes,
    },
}

carries_common!(ClientMessage, ClientCommon);

impl Message for ClientMessage {
    fn id(&self) -> u16 {
        match self {
            Self::Common(common) => common.id(),
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        common::client_id::name(self.id()).unwrap_or("unknown cursor message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        Ok(ClientCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common))
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out),
            Self::Unknown { body, .. } => out.payload(body),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_with_masks_round_rows_up_to_bytes() {
        let header = |kind| CursorHeader {
            unique: 0,
            kind,
            width: 9,
            height: 2,
            hot_spot_x: 0,
            hot_spot_y: 0,
        };
        let bytes = |kind| header(kind).shape_bytes();
        assert_eq!(bytes(CursorType::Alpha), Some(72));
        assert_eq!(bytes(CursorType::Mono), Some(8));
        assert_eq!(bytes(CursorType::Color4), Some(10 + 64 + 4));
        assert_eq!(bytes(CursorType::Color8), Some(18 + 1024 + 4));
        assert_eq!(bytes(CursorType::Color16), Some(36 + 4));
        assert_eq!(bytes(CursorType::Color24), Some(54 + 4));
        assert_eq!(bytes(CursorType::Color32), Some(72 + 4));
        assert_eq!(bytes(CursorType::Unknown(9)), None);
    }

    #[test]
    fn a_shape_with_missing_pixels_is_an_error() {
        let body = Bytes::from_static(&[
            0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 1, 2, 3,
        ]);
        assert_eq!(
            ServerMessage::decode(server_id::SET, &body),
            Err(Error::Truncated {
                message: "CURSOR_SET",
                field: "cursor data",
                need: 16,
                have: 3
            })
        );
    }
}
