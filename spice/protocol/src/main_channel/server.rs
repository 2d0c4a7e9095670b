//! What the server says on the main channel.

use bytes::Bytes;

use super::{MouseMode, MouseModes};
use crate::channel::{ChannelId, ChannelType};
use crate::common::{self, ServerCommon};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Block, Reader, Writer, message_ids};

message_ids! {
    /// Ids of the server's messages.
    pub mod server_id, "MAIN_" {
        MIGRATE_BEGIN = 101,
        MIGRATE_CANCEL = 102,
        INIT = 103,
        CHANNELS_LIST = 104,
        MOUSE_MODE = 105,
        MULTI_MEDIA_TIME = 106,
        AGENT_CONNECTED = 107,
        AGENT_DISCONNECTED = 108,
        AGENT_DATA = 109,
        AGENT_TOKEN = 110,
        MIGRATE_SWITCH_HOST = 111,
        MIGRATE_END = 112,
        NAME = 113,
        UUID = 114,
        AGENT_CONNECTED_TOKENS = 115,
        MIGRATE_BEGIN_SEAMLESS = 116,
        MIGRATE_DST_SEAMLESS_ACK = 117,
        MIGRATE_DST_SEAMLESS_NACK = 118,
    }
}

/// First message after a new link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// Connection id of all further links.
    pub session_id: u32,
    /// Number of display channels.
    pub display_channels_hint: u32,
    /// Modes the client may ask for.
    pub supported_mouse_modes: MouseModes,
    /// Mode in force.
    pub current_mouse_mode: MouseMode,
    /// Whether the guest agent is there (not 0).
    pub agent_connected: u32,
    /// AGENT_DATA messages the client may send.
    pub agent_tokens: u32,
    /// Multimedia clock in milliseconds.
    pub multi_media_time: u32,
    /// Bytes of display RAM; the client derives its GLZ window from it.
    pub ram_hint: u32,
}

impl Init {
    fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            session_id: reader.u32("session_id")?,
            display_channels_hint: reader.u32("display_channels_hint")?,
            supported_mouse_modes: MouseModes::from_bits_retain(reader.u32("supported_mouse_modes")?),
            current_mouse_mode: reader.u32("current_mouse_mode")?.into(),
            agent_connected: reader.u32("agent_connected")?,
            agent_tokens: reader.u32("agent_tokens")?,
            multi_media_time: reader.u32("multi_media_time")?,
            ram_hint: reader.u32("ram_hint")?,
        })
    }

    fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.session_id);
        out.u32(self.display_channels_hint);
        out.u32(self.supported_mouse_modes.bits());
        out.u32(self.current_mouse_mode.into());
        out.u32(self.agent_connected);
        out.u32(self.agent_tokens);
        out.u32(self.multi_media_time);
        out.u32(self.ram_hint);
    }
}

/// Where a migrating session goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DstInfo {
    /// Plain port, 0 if there is none.
    pub port: u16,
    /// TLS port, 0 if there is none.
    pub tls_port: u16,
    /// Host name or address.
    pub host: String,
    /// Subject of the server's certificate, where the host name is not what to check.
    pub cert_subject: Option<String>,
}

impl DstInfo {
    /// `host_required` is whether the host pointer must not be null.
    fn decode(reader: &mut Reader<'_>, host_required: bool) -> Result<Self> {
        let port = reader.u16("port")?;
        let tls_port = reader.u16("sport")?;
        let host_bytes = reader.u32("host_size")?;
        let host = if host_required {
            Some(reader.target("host")?)
        } else {
            reader.pointer("host")?
        };
        let subject_bytes = reader.u32("cert_subject_size")?;
        let subject = reader.pointer("cert_subject")?;
        Ok(Self {
            port,
            tls_port,
            host: host.map_or_else(|| Ok(String::new()), |mut host| host.text("host", host_bytes))?,
            cert_subject: subject
                .map(|mut subject| subject.text("cert_subject", subject_bytes))
                .transpose()?,
        })
    }

    fn encode<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        out.u16(self.port);
        out.u16(self.tls_port);
        out.count_u32("host_size", self.host.len().saturating_add(1))?;
        out.pointer(Some(&self.host));
        let subject = self.cert_subject.as_ref();
        out.count_u32(
            "cert_subject_size",
            subject.map_or(0, |subject| subject.len().saturating_add(1)),
        )?;
        out.pointer(subject.map(|subject| subject as &dyn Block));
        Ok(())
    }
}

/// A server message of the main channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// A message every channel has.
    Common(ServerCommon),
    /// The client is to connect to the destination in advance.
    MigrateBegin(DstInfo),
    /// Migration failed.
    MigrateCancel,
    /// First message.
    Init(Init),
    /// Channels the client may link; later again with those that were added.
    ChannelsList(Vec<ChannelId>),
    /// A change of mouse modes. Modes beyond 16 bits are not sent.
    MouseMode {
        /// Modes the client may ask for.
        supported: MouseModes,
        /// Mode in force.
        current: MouseMode,
    },
    /// Multimedia clock in milliseconds.
    MultiMediaTime(u32),
    /// The guest agent has come; for clients that take no tokens with it.
    AgentConnected,
    /// The guest agent has gone; an error code.
    AgentDisconnected(u32),
    /// Bytes of the agent's stream, at most [`super::AGENT_DATA_MAX`].
    AgentData(Bytes),
    /// AGENT_DATA messages the client may send in addition.
    AgentToken(u32),
    /// The client is to start anew on another host.
    MigrateSwitchHost(DstInfo),
    /// Migration is done.
    MigrateEnd,
    /// Name of the machine.
    Name(String),
    /// UUID of the machine, bytes in textual order.
    Uuid([u8; 16]),
    /// The guest agent has come; the number of AGENT_DATA messages the client may send.
    AgentConnectedTokens(u32),
    /// As `MigrateBegin`, for a migration that keeps everything.
    MigrateBeginSeamless {
        /// Where to.
        destination: DstInfo,
        /// Version of the source's migration protocol.
        source_version: u32,
    },
    /// The destination can take over everything.
    MigrateDstSeamlessAck,
    /// The destination cannot.
    MigrateDstSeamlessNack,
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
            Self::MigrateBegin(_) => server_id::MIGRATE_BEGIN,
            Self::MigrateCancel => server_id::MIGRATE_CANCEL,
            Self::Init(_) => server_id::INIT,
            Self::ChannelsList(_) => server_id::CHANNELS_LIST,
            Self::MouseMode { .. } => server_id::MOUSE_MODE,
            Self::MultiMediaTime(_) => server_id::MULTI_MEDIA_TIME,
            Self::AgentConnected => server_id::AGENT_CONNECTED,
            Self::AgentDisconnected(_) => server_id::AGENT_DISCONNECTED,
            Self::AgentData(_) => server_id::AGENT_DATA,
            Self::AgentToken(_) => server_id::AGENT_TOKEN,
            Self::MigrateSwitchHost(_) => server_id::MIGRATE_SWITCH_HOST,
            Self::MigrateEnd => server_id::MIGRATE_END,
            Self::Name(_) => server_id::NAME,
            Self::Uuid(_) => server_id::UUID,
            Self::AgentConnectedTokens(_) => server_id::AGENT_CONNECTED_TOKENS,
            Self::MigrateBeginSeamless { .. } => server_id::MIGRATE_BEGIN_SEAMLESS,
            Self::MigrateDstSeamlessAck => server_id::MIGRATE_DST_SEAMLESS_ACK,
            Self::MigrateDstSeamlessNack => server_id::MIGRATE_DST_SEAMLESS_NACK,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        server_id::name(id)
            .or_else(|| common::server_id::name(id))
            .unwrap_or("unknown main message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = server_id::name(id) else {
            return Ok(
                ServerCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            server_id::MIGRATE_BEGIN => Self::MigrateBegin(DstInfo::decode(&mut reader, true)?),
            server_id::MIGRATE_CANCEL => Self::MigrateCancel,
            server_id::INIT => Self::Init(Init::decode(&mut reader)?),
            server_id::CHANNELS_LIST => {
                let count = reader.u32("count")?;
                Self::ChannelsList(reader.items("channels", count, 2, |reader| {
                    Ok(ChannelId {
                        kind: ChannelType::from(reader.u8("channel_type")?),
                        id: reader.u8("channel_id")?,
                    })
                })?)
            }
            server_id::MOUSE_MODE => Self::MouseMode {
                supported: MouseModes::from_bits_retain(reader.u16("supported_modes")?.into()),
                current: u32::from(reader.u16("current_mode")?).into(),
            },
            server_id::MULTI_MEDIA_TIME => Self::MultiMediaTime(reader.u32("time")?),
            server_id::AGENT_CONNECTED => Self::AgentConnected,
            server_id::AGENT_DISCONNECTED => Self::AgentDisconnected(reader.u32("error_code")?),
            server_id::AGENT_DATA => Self::AgentData(body.clone()),
            server_id::AGENT_TOKEN => Self::AgentToken(reader.u32("num_tokens")?),
            server_id::MIGRATE_SWITCH_HOST => Self::MigrateSwitchHost(DstInfo::decode(&mut reader, false)?),
            server_id::MIGRATE_END => Self::MigrateEnd,
            server_id::NAME => {
                let length = reader.u32("name_len")?;
                Self::Name(reader.text("name", length)?)
            }
            server_id::UUID => Self::Uuid(reader.array("uuid")?),
            server_id::AGENT_CONNECTED_TOKENS => Self::AgentConnectedTokens(reader.u32("num_tokens")?),
            server_id::MIGRATE_BEGIN_SEAMLESS => Self::MigrateBeginSeamless {
                destination: DstInfo::decode(&mut reader, true)?,
                source_version: reader.u32("src_mig_version")?,
            },
            server_id::MIGRATE_DST_SEAMLESS_ACK => Self::MigrateDstSeamlessAck,
            _ => Self::MigrateDstSeamlessNack,
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out)?,
            Self::MigrateBegin(info) | Self::MigrateSwitchHost(info) => info.encode(out)?,
            Self::MigrateBeginSeamless {
                destination,
                source_version,
            } => {
                destination.encode(out)?;
                out.u32(*source_version);
            }
            Self::Init(init) => init.encode(out),
            Self::ChannelsList(channels) => {
                out.count_u32("count", channels.len())?;
                for channel in channels {
                    out.u8(channel.kind.into());
                    out.u8(channel.id);
                }
            }
            Self::MouseMode { supported, current } => {
                out.u16(u16::try_from(supported.bits() & u32::from(u16::MAX)).unwrap_or(0));
                out.u16(current.to_u16());
            }
            Self::AgentData(data) => out.payload(data),
            Self::Unknown { body, .. } => out.payload(body),
            Self::Name(name) => {
                out.count_u32("name_len", name.len().saturating_add(1))?;
                out.text("name", name)?;
            }
            Self::Uuid(uuid) => out.raw(uuid),
            Self::MultiMediaTime(value)
            | Self::AgentDisconnected(value)
            | Self::AgentToken(value)
            | Self::AgentConnectedTokens(value) => out.u32(*value),
            Self::MigrateCancel
            | Self::AgentConnected
            | Self::MigrateEnd
            | Self::MigrateDstSeamlessAck
            | Self::MigrateDstSeamlessNack => {}
        }
        Ok(())
    }
}
