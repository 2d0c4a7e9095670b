//! The channels that carry a stream of bytes: usbredir, port and webdav.
//!
//! What the bytes mean is not looked at here, and where a message ends means nothing. A port and a webdav channel have a
//! name and are told when the other end opens and closes; a usbredir channel has neither.

use bytes::Bytes;

use crate::common::{self, ClientCommon, ServerCommon};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "SPICEVMC_" {
        DATA = 101,
        COMPRESSED_DATA = 102,
        PORT_INIT = 201,
        PORT_EVENT = 202,
    }
}

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "SPICEVMC_" {
        DATA = 101,
        COMPRESSED_DATA = 102,
        PORT_EVENT = 201,
    }
}

wire_enum! {
    /// What happens to a port.
    pub enum PortEvent: u8 {
        /// The other end was opened.
        Opened = 0,
        /// It was closed.
        Closed = 1,
        /// A break, as on a serial line.
        Break = 2,
    }
}

wire_enum! {
    /// How bytes are compressed.
    pub enum Compression: u8 {
        /// Not at all.
        None = 0,
        /// One block of LZ4.
        Lz4 = 1,
    }
}

/// The first message of a port or webdav channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInit {
    /// The port's name.
    pub name: String,
    /// Whether the other end is open.
    pub opened: bool,
}

impl PortInit {
    fn decode(mut reader: Reader<'_>) -> Result<Self> {
        let size = reader.u32("name_size")?;
        let name = reader.target("name")?.text("name", size)?;
        let opened = reader.u8("opened")? != 0;
        Ok(Self { name, opened })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.count_u32("name_size", self.name.len().saturating_add(1))?;
        out.pointer(Some(&self.name));
        out.u8(self.opened.into());
        Ok(())
    }
}

/// Bytes that are compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    /// How.
    pub compression: Compression,
    /// How many there are when they are not; with [`Compression::None`] it is not sent, and is 0 here.
    pub uncompressed: u32,
    /// What was made of them.
    pub bytes: Bytes,
}

impl Compressed {
    fn decode(mut reader: Reader<'_>) -> Result<Self> {
        let compression = Compression::from(reader.u8("type")?);
        let uncompressed = match compression {
            Compression::None => 0,
            _ => reader.u32("uncompressed_size")?,
        };
        Ok(Self {
            compression,
            uncompressed,
            bytes: reader.rest(),
        })
    }

    fn encode_body(&self, out: &mut Writer<'_>) {
        out.u8(self.compression.into());
        if self.compression != Compression::None {
            out.u32(self.uncompressed);
        }
        out.payload(&self.bytes);
    }
}

/// A server message of a usbredir, port or webdav channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A message every channel has.
    Common(ServerCommon),
    /// Bytes.
    Data(Bytes),
    /// Bytes, compressed.
    CompressedData(Compressed),
    /// First message of a port and a webdav channel.
    PortInit(PortInit),
    /// The guest's end of a port.
    PortEvent(PortEvent),
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
            Self::Data(_) => server_id::DATA,
            Self::CompressedData(_) => server_id::COMPRESSED_DATA,
            Self::PortInit(_) => server_id::PORT_INIT,
            Self::PortEvent(_) => server_id::PORT_EVENT,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        server_id::name(id)
            .or_else(|| common::server_id::name(id))
            .unwrap_or("unknown spicevmc message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = server_id::name(id) else {
            return Ok(
                ServerCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            server_id::DATA => Self::Data(reader.rest()),
            server_id::COMPRESSED_DATA => Self::CompressedData(Compressed::decode(reader)?),
            server_id::PORT_INIT => Self::PortInit(PortInit::decode(reader)?),
            _ => Self::PortEvent(PortEvent::from(reader.u8("event")?)),
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out)?,
            Self::CompressedData(compressed) => compressed.encode_body(out),
            Self::PortInit(init) => init.encode_body(out)?,
            Self::PortEvent(event) => out.u8((*event).into()),
            Self::Data(bytes) | Self::Unknown { body: bytes, .. } => out.payload(bytes),
        }
        Ok(())
    }
}

/// A client message of a usbredir, port or webdav channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A message every channel has.
    Common(ClientCommon),
    /// Bytes.
    Data(Bytes),
    /// Bytes, compressed.
    CompressedData(Compressed),
    /// The client's end of a port: clients send breaks only.
    PortEvent(PortEvent),
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
            Self::Data(_) => client_id::DATA,
            Self::CompressedData(_) => client_id::COMPRESSED_DATA,
            Self::PortEvent(_) => client_id::PORT_EVENT,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        client_id::name(id)
            .or_else(|| common::client_id::name(id))
            .unwrap_or("unknown spicevmc message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = client_id::name(id) else {
            return Ok(
                ClientCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            client_id::DATA => Self::Data(reader.rest()),
            client_id::COMPRESSED_DATA => Self::CompressedData(Compressed::decode(reader)?),
            _ => Self::PortEvent(PortEvent::from(reader.u8("event")?)),
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out),
            Self::CompressedData(compressed) => compressed.encode_body(out),
            Self::PortEvent(event) => out.u8((*event).into()),
            Self::Data(bytes) | Self::Unknown { body: bytes, .. } => out.payload(bytes),
        }
        Ok(())
    }
}
