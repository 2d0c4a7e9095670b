//! Messages every channel has. The message types of the channels carry them as their variant `Common`.

use bitflags::bitflags;
use bytes::Bytes;

use crate::channel::{ChannelId, ChannelType};
use crate::error::Result;
use crate::link::LinkCode;
use crate::sublist::{self, SubMessage};
use crate::wire::{Reader, Writer, message_ids, wire_enum};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "" {
        MIGRATE = 1,
        MIGRATE_DATA = 2,
        SET_ACK = 3,
        PING = 4,
        WAIT_FOR_CHANNELS = 5,
        DISCONNECTING = 6,
        NOTIFY = 7,
        LIST = 8,
    }
}

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "" {
        ACK_SYNC = 1,
        ACK = 2,
        PONG = 3,
        MIGRATE_FLUSH_MARK = 4,
        MIGRATE_DATA = 5,
        DISCONNECTING = 6,
    }
}

bitflags! {
    /// What a channel does on MIGRATE.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MigrateFlags: u32 {
        /// The client sends MIGRATE_FLUSH_MARK.
        const NEED_FLUSH = 1;
        /// The server sends MIGRATE_DATA, which the client hands to the destination.
        const NEED_DATA_TRANSFER = 2;
        const _ = !0;
    }
}

wire_enum! {
    /// How bad a notice is.
    pub enum Severity: u32 {
        /// Information.
        Info = 0,
        /// Warning.
        Warn = 1,
        /// Error.
        Error = 2,
    }
}

wire_enum! {
    /// How much a notice should be seen.
    pub enum Visibility: u32 {
        /// Low.
        Low = 0,
        /// Medium.
        Medium = 1,
        /// High.
        High = 2,
    }
}

/// Turn acknowledgement on: one ACK for every `window` messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetAck {
    /// Echoed by ACK_SYNC.
    pub generation: u32,
    /// Messages per ACK; 0 = none wanted.
    pub window: u32,
}

/// The peer answers with a PONG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Echoed.
    pub id: u32,
    /// Echoed.
    pub timestamp: u64,
    /// Bytes behind, to measure the rate. Their values mean nothing; zeros are sent.
    pub padding: u32,
}

/// Answer to a PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The PING's.
    pub id: u32,
    /// The PING's.
    pub timestamp: u64,
}

/// A message of another channel that has to be processed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// The other channel.
    pub channel: ChannelId,
    /// The serial its last processed message must have reached.
    pub serial: u64,
}

impl WaitFor {
    /// u8 count, then 10 bytes each: INVAL_ALL_PIXMAPS carries the same.
    pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Self>> {
        let count = reader.u8("wait_count")?;
        reader.items("wait_list", u32::from(count), 10, |reader| {
            Ok(Self {
                channel: ChannelId {
                    kind: ChannelType::from(reader.u8("channel_type")?),
                    id: reader.u8("channel_id")?,
                },
                serial: reader.u64("message_serial")?,
            })
        })
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Writer<'_>) -> Result<()> {
        out.count_u8("wait_count", list.len())?;
        for wait in list {
            out.u8(wait.channel.kind.into());
            out.u8(wait.channel.id);
            out.u64(wait.serial);
        }
        Ok(())
    }
}

/// The sender is about to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnecting {
    /// The sender's clock.
    pub time_stamp: u64,
    /// Why.
    pub reason: LinkCode,
}

impl Disconnecting {
    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            time_stamp: reader.u64("time_stamp")?,
            reason: reader.u32("reason")?.into(),
        })
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.time_stamp);
        out.u32(self.reason.into());
    }
}

/// A text for the person at the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The server's clock in nanoseconds.
    pub time_stamp: u64,
    /// How bad it is.
    pub severity: Severity,
    /// How much it should be seen.
    pub visibility: Visibility,
    /// A link error code when the severity is an error, else a warning or information code (0 = general).
    pub what: u32,
    /// The text.
    pub text: String,
}

impl Notify {
    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let time_stamp = reader.u64("time_stamp")?;
        let severity = reader.u32("severity")?.into();
        let visibility = reader.u32("visibility")?.into();
        let what = reader.u32("what")?;
        let length = reader.u32("message_len")?;
        Ok(Self {
            time_stamp,
            severity,
            visibility,
            what,
            text: reader.text("message", length)?,
        })
    }

    fn encode(&self, out: &mut Writer<'_>) -> Result<()> {
        out.u64(self.time_stamp);
        out.u32(self.severity.into());
        out.u32(self.visibility.into());
        out.u32(self.what);
        // Unlike every other text the NUL is sent but not counted.
        out.count_u32("message_len", self.text.len())?;
        out.text("message", &self.text)
    }
}

/// Server messages of every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerCommon {
    /// This channel moves to another server.
    Migrate(MigrateFlags),
    /// State for the other server, opaque to the client.
    MigrateData(Bytes),
    /// Acknowledgement window.
    SetAck(SetAck),
    /// Asks for a PONG.
    Ping(Ping),
    /// Process nothing further before other channels have come so far. At most 255 entries.
    WaitForChannels(Vec<WaitFor>),
    /// The server is about to close.
    Disconnecting(Disconnecting),
    /// A text for the person.
    Notify(Notify),
    /// Carries other messages, executed in this order.
    List(Vec<SubMessage>),
}

impl ServerCommon {
    /// The id in the data header.
    #[must_use]
    pub const fn id(&self) -> u16 {
        match self {
            Self::Migrate(_) => server_id::MIGRATE,
            Self::MigrateData(_) => server_id::MIGRATE_DATA,
            Self::SetAck(_) => server_id::SET_ACK,
            Self::Ping(_) => server_id::PING,
            Self::WaitForChannels(_) => server_id::WAIT_FOR_CHANNELS,
            Self::Disconnecting(_) => server_id::DISCONNECTING,
            Self::Notify(_) => server_id::NOTIFY,
            Self::List(_) => server_id::LIST,
        }
    }

    /// The common message `id`, or `None` when there is none with that id.
    pub(crate) fn decode(id: u16, body: &Bytes) -> Result<Option<Self>> {
        let Some(name) = server_id::name(id) else {
            return Ok(None);
        };
        let mut reader = Reader::new(name, body);
        Ok(Some(match id {
            server_id::MIGRATE => Self::Migrate(MigrateFlags::from_bits_retain(reader.u32("flags")?)),
            server_id::MIGRATE_DATA => Self::MigrateData(body.clone()),
            server_id::SET_ACK => Self::SetAck(SetAck {
                generation: reader.u32("generation")?,
                window: reader.u32("window")?,
            }),
            server_id::PING => Self::Ping(Ping {
                id: reader.u32("id")?,
                timestamp: reader.u64("timestamp")?,
                padding: u32::try_from(reader.remaining()).unwrap_or(u32::MAX),
            }),
            server_id::WAIT_FOR_CHANNELS => Self::WaitForChannels(WaitFor::decode_list(&mut reader)?),
            server_id::DISCONNECTING => Self::Disconnecting(Disconnecting::decode(&mut reader)?),
            server_id::NOTIFY => Self::Notify(Notify::decode(&mut reader)?),
            server_id::LIST => Self::List(sublist::decode(name, body, 0)?),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn encode_body(&self, out: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::Migrate(flags) => out.u32(flags.bits()),
            Self::MigrateData(data) => out.payload(data),
            Self::SetAck(ack) => {
                out.u32(ack.generation);
                out.u32(ack.window);
            }
            Self::Ping(ping) => {
                out.u32(ping.id);
                out.u64(ping.timestamp);
                out.zeros(ping.padding as usize);
            }
            Self::WaitForChannels(list) => WaitFor::encode_list(list, out)?,
            Self::Disconnecting(disconnecting) => disconnecting.encode(out),
            Self::Notify(notify) => notify.encode(out)?,
            Self::List(list) => sublist::encode(list, out)?,
        }
        Ok(())
    }
}

/// Client messages of every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCommon {
    /// Answer to SET_ACK: its generation.
    AckSync(u32),
    /// One more window of messages has arrived.
    Ack,
    /// Answer to PING.
    Pong(Pong),
    /// Last message to the server that is left.
    MigrateFlushMark,
    /// State of the old server, for the new one.
    MigrateData(Bytes),
    /// The client is about to close.
    Disconnecting(Disconnecting),
}

impl ClientCommon {
    /// The id in the data header.
    #[must_use]
    pub const fn id(&self) -> u16 {
        match self {
            Self::AckSync(_) => client_id::ACK_SYNC,
            Self::Ack => client_id::ACK,
            Self::Pong(_) => client_id::PONG,
            Self::MigrateFlushMark => client_id::MIGRATE_FLUSH_MARK,
            Self::MigrateData(_) => client_id::MIGRATE_DATA,
            Self::Disconnecting(_) => client_id::DISCONNECTING,
        }
    }

    /// The common message `id`, or `None` when there is none with that id.
    pub(crate) fn decode(id: u16, body: &Bytes) -> Result<Option<Self>> {
        let Some(name) = client_id::name(id) else {
            return Ok(None);
        };
        let mut reader = Reader::new(name, body);
        Ok(Some(match id {
            client_id::ACK_SYNC => Self::AckSync(reader.u32("generation")?),
            client_id::ACK => Self::Ack,
            client_id::PONG => Self::Pong(Pong {
                id: reader.u32("id")?,
                timestamp: reader.u64("timestamp")?,
            }),
            client_id::MIGRATE_FLUSH_MARK => Self::MigrateFlushMark,
            client_id::MIGRATE_DATA => Self::MigrateData(body.clone()),
            client_id::DISCONNECTING => Self::Disconnecting(Disconnecting::decode(&mut reader)?),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn encode_body(&self, out: &mut Writer<'_>) {
        match self {
            Self::AckSync(generation) => out.u32(*generation),
            Self::Ack | Self::MigrateFlushMark => {}
            Self::Pong(pong) => {
                out.u32(pong.id);
                out.u64(pong.timestamp);
            }
            Self::MigrateData(data) => out.payload(data),
            Self::Disconnecting(disconnecting) => disconnecting.encode(out),
        }
    }
}
