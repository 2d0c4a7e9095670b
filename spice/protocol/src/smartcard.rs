//! The smartcard channel: messages between card readers of the client and their devices in the guest.
//!
//! The same messages go over the channel, little-endian and one in each DATA, and over the byte stream of a device
//! (libcacard's VSC protocol), big-endian and one after the other. [`VscMessage`] is one, wherever it came from.

use bytes::{Buf, Bytes, BytesMut};

use crate::Progress;
use crate::common::{self, ClientCommon, ServerCommon};
use crate::error::{Error, Result};
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "SMARTCARD_" {
        DATA = 101,
    }
}

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "SMARTCARD_" {
        DATA = 101,
    }
}

/// The reader of a message that is about none.
pub const NO_READER: u32 = u32::MAX;

/// Bytes of the largest content of a message: an extended command APDU of ISO 7816-4 (4 bytes of header, 3 and 65,535 of
/// data, 3 of expected length).
pub const VSC_DATA_MAX: usize = 4 + 3 + 65_535 + 3;

/// Bytes of a message in front of its content.
pub const VSC_HEADER_BYTES: usize = 12;

/// What is in an INIT message: the magic "VSCD" and version 0.0.2, and a word without capabilities.
pub const VSC_INIT: [u8; 12] = [b'V', b'S', b'C', b'D', 0, 0, 0, 2, 0, 0, 0, 0];

wire_enum! {
    /// What a message is about.
    pub enum VscType: u32 {
        /// The two ends of a device's stream greet each other.
        Init = 1,
        /// The answer to another message: [`VscError`].
        Error = 2,
        /// The client has a reader.
        ReaderAdd = 3,
        /// The reader is gone.
        ReaderRemove = 4,
        /// A card was put into the reader.
        Atr = 5,
        /// It was taken out.
        CardRemove = 6,
        /// A command to the card, or its response.
        Apdu = 7,
        /// What is under way is to be finished.
        Flush = 8,
        /// It is.
        FlushComplete = 9,
    }
}

wire_enum! {
    /// What became of a message.
    pub enum VscError: u32 {
        /// It was done.
        Success = 0,
        /// It could not be done.
        General = 1,
        /// There is no device for a further reader.
        CannotAddMoreReaders = 2,
        /// There is a card already.
        CardAlreadyInserted = 3,
    }
}

/// A message about a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VscMessage {
    /// What it is about.
    pub kind: VscType,
    /// The reader, or [`NO_READER`].
    pub reader: u32,
    /// What belongs to it.
    pub data: Bytes,
}

impl VscMessage {
    /// A message of the byte stream of a device: taken from the front of what came of it.
    ///
    /// # Errors
    /// When it is longer than [`VSC_DATA_MAX`].
    pub fn decode_device(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        let Some(header) = buffer.first_chunk::<VSC_HEADER_BYTES>() else {
            return Ok(Progress::Need(VSC_HEADER_BYTES - buffer.len()));
        };
        let [kind, reader, length] = words(header).map(u32::from_be_bytes);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > VSC_DATA_MAX {
            return Err(Error::Limit {
                message: "smart card message of a device",
                field: "length",
                got: length as u64,
                limit: VSC_DATA_MAX as u64,
            });
        }
        let need = VSC_HEADER_BYTES + length;
        if buffer.len() < need {
            return Ok(Progress::Need(need - buffer.len()));
        }
        buffer.advance(VSC_HEADER_BYTES);
        Ok(Progress::Done(Self {
            kind: kind.into(),
            reader,
            data: buffer.split_to(length).freeze(),
        }))
    }

    /// As it goes over the byte stream of a device.
    #[must_use]
    pub fn encode_device(&self) -> Vec<u8> {
        let length = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
        let words = [self.kind.into(), self.reader, length].map(u32::to_be_bytes);
        [words.as_flattened(), &self.data].concat()
    }

    fn decode(name: &'static str, body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(name, body);
        let (kind, of) = (reader.u32("type")?, reader.u32("reader_id")?);
        let length = reader.u32("length")?;
        Ok(Self {
            kind: kind.into(),
            reader: of,
            data: reader.bytes("data", length.into())?,
        })
    }

    fn encode_body(&self, out: &mut Writer<'_>) -> Result<()> {
        out.u32(self.kind.into());
        out.u32(self.reader);
        out.count_u32("length", self.data.len())?;
        out.payload(&self.data);
        Ok(())
    }
}

fn words(header: &[u8; VSC_HEADER_BYTES]) -> [[u8; 4]; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *header;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]]
}

macro_rules! message {
    ($(#[$meta:meta])* $name:ident, $common:ty, $ids:ident $(, $fails:tt)?) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            /// A message every channel has.
            Common($common),
            /// A message about a reader.
            Data(VscMessage),
            /// A message with an id that has no meaning here.
            Unknown {
                /// The id.
                id: u16,
                /// The body.
                body: Bytes,
            },
        }

        carries_common!($name, $common);

        impl Message for $name {
            fn id(&self) -> u16 {
                match self {
                    Self::Common(common) => common.id(),
                    Self::Data(_) => $ids::DATA,
                    Self::Unknown { id, .. } => *id,
                }
            }

            fn name(&self) -> &'static str {
                let id = self.id();
                $ids::name(id)
                    .or_else(|| common::$ids::name(id))
                    .unwrap_or("unknown smartcard message")
            }

            fn decode(id: u16, body: &Bytes) -> Result<Self> {
                match $ids::name(id) {
                    Some(name) => VscMessage::decode(name, body).map(Self::Data),
                    None => Ok(<$common>::decode(id, body)?
                        .map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)),
                }
            }

            fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
                match self {
                    Self::Common(common) => common.encode_body(out)$($fails)?,
                    Self::Data(message) => message.encode_body(out)?,
                    Self::Unknown { body, .. } => out.payload(body),
                }
                Ok(())
            }
        }
    };
}

message! {
    /// A server message of the smartcard channel.
    ServerMessage, ServerCommon, server_id, ?
}

message! {
    /// A client message of the smartcard channel.
    ClientMessage, ClientCommon, client_id
}
