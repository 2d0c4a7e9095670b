//! What the client says on the main channel.

use bytes::Bytes;

use super::MouseMode;
use crate::common::{self, ClientCommon};
use crate::error::Result;
use crate::message::{Message, carries_common};
use crate::wire::{Reader, Writer, message_ids};

message_ids! {
    /// Ids of the client's messages.
    pub mod client_id, "MAIN_" {
        CLIENT_INFO = 101,
        MIGRATE_CONNECTED = 102,
        MIGRATE_CONNECT_ERROR = 103,
        ATTACH_CHANNELS = 104,
        MOUSE_MODE_REQUEST = 105,
        AGENT_START = 106,
        AGENT_DATA = 107,
        AGENT_TOKEN = 108,
        MIGRATE_END = 109,
        MIGRATE_DST_DO_SEAMLESS = 110,
        MIGRATE_CONNECTED_SEAMLESS = 111,
        QUALITY_INDICATOR = 112,
    }
}

/// A client message of the main channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// A message every channel has.
    Common(ClientCommon),
    /// Cache size; obsolete.
    ClientInfo {
        /// Bytes.
        cache_size: u64,
    },
    /// Connected to the destination.
    MigrateConnected,
    /// Could not connect to the destination.
    MigrateConnectError,
    /// Asks for CHANNELS_LIST.
    AttachChannels,
    /// Asks for a mouse mode.
    MouseModeRequest(MouseMode),
    /// The client talks to the agent; the number of AGENT_DATA messages the server may send.
    AgentStart(u32),
    /// Bytes of the agent's stream, at most [`super::AGENT_DATA_MAX`].
    AgentData(Bytes),
    /// AGENT_DATA messages the server may send in addition.
    AgentToken(u32),
    /// To the destination: all channels have moved.
    MigrateEnd,
    /// To the destination: take over everything; version of the source's migration protocol.
    MigrateDstDoSeamless(u32),
    /// Connected to a destination that takes over everything.
    MigrateConnectedSeamless,
    /// Reserved; to be ignored.
    QualityIndicator(Bytes),
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
            Self::ClientInfo { .. } => client_id::CLIENT_INFO,
            Self::MigrateConnected => client_id::MIGRATE_CONNECTED,
            Self::MigrateConnectError => client_id::MIGRATE_CONNECT_ERROR,
            Self::AttachChannels => client_id::ATTACH_CHANNELS,
            Self::MouseModeRequest(_) => client_id::MOUSE_MODE_REQUEST,
            Self::AgentStart(_) => client_id::AGENT_START,
            Self::AgentData(_) => client_id::AGENT_DATA,
            Self::AgentToken(_) => client_id::AGENT_TOKEN,
            Self::MigrateEnd => client_id::MIGRATE_END,
            Self::MigrateDstDoSeamless(_) => client_id::MIGRATE_DST_DO_SEAMLESS,
            Self::MigrateConnectedSeamless => client_id::MIGRATE_CONNECTED_SEAMLESS,
            Self::QualityIndicator(_) => client_id::QUALITY_INDICATOR,
            Self::Unknown { id, .. } => *id,
        }
    }

    fn name(&self) -> &'static str {
        let id = self.id();
        client_id::name(id)
            .or_else(|| common::client_id::name(id))
            .unwrap_or("unknown main message")
    }

    fn decode(id: u16, body: &Bytes) -> Result<Self> {
        let Some(name) = client_id::name(id) else {
            return Ok(
                ClientCommon::decode(id, body)?.map_or_else(|| Self::Unknown { id, body: body.clone() }, Self::Common)
            );
        };
        let mut reader = Reader::new(name, body);
        Ok(match id {
            client_id::CLIENT_INFO => Self::ClientInfo {
                cache_size: reader.u64("cache_size")?,
            },
            client_id::MIGRATE_CONNECTED => Self::MigrateConnected,
            client_id::MIGRATE_CONNECT_ERROR => Self::MigrateConnectError,
            client_id::ATTACH_CHANNELS => Self::AttachChannels,
            client_id::MOUSE_MODE_REQUEST => Self::MouseModeRequest(u32::from(reader.u16("mode")?).into()),
            client_id::AGENT_START => Self::AgentStart(reader.u32("num_tokens")?),
            client_id::AGENT_DATA => Self::AgentData(body.clone()),
            client_id::AGENT_TOKEN => Self::AgentToken(reader.u32("num_tokens")?),
            client_id::MIGRATE_END => Self::MigrateEnd,
            client_id::MIGRATE_DST_DO_SEAMLESS => Self::MigrateDstDoSeamless(reader.u32("src_version")?),
            client_id::MIGRATE_CONNECTED_SEAMLESS => Self::MigrateConnectedSeamless,
            _ => Self::QualityIndicator(body.clone()),
        })
    }

    fn encode_body<'a>(&'a self, out: &mut Writer<'a>) -> Result<()> {
        match self {
            Self::Common(common) => common.encode_body(out),
            Self::ClientInfo { cache_size } => out.u64(*cache_size),
            Self::MouseModeRequest(mode) => out.u16(mode.to_u16()),
            Self::AgentStart(value) | Self::AgentToken(value) | Self::MigrateDstDoSeamless(value) => out.u32(*value),
            Self::AgentData(data) | Self::QualityIndicator(data) => out.payload(data),
            Self::Unknown { body, .. } => out.payload(body),
            Self::MigrateConnected
            | Self::MigrateConnectError
            | Self::AttachChannels
            | Self::MigrateEnd
            | Self::MigrateConnectedSeamless => {}
        }
        Ok(())
    }
}
