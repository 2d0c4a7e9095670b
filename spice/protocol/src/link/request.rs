//! The client's first message.

use bytes::BytesMut;

use super::{HEADER_BYTES, put_caps, put_header, read_caps, sendable, take_body};
use crate::Progress;
use crate::caps::Caps;
use crate::channel::{ChannelId, ChannelType};
use crate::error::Result;
use crate::wire::Reader;

/// Which channel of which session a connection is to be, and what the client can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// 0 for the main channel of a new session; the session id of MAIN_INIT for every other channel. A main channel
    /// with an id comes from a migration.
    pub connection_id: u32,
    /// The channel.
    pub channel: ChannelId,
    /// Common capabilities of the client, at most [`crate::caps::MAX_WORDS`] words.
    pub common_caps: Caps,
    /// Its capabilities for this type of channel, at most as many.
    pub channel_caps: Caps,
}

impl LinkMessage {
    const NAME: &'static str = "link message";
    /// Bytes before the capabilities.
    const FIXED_BYTES: u32 = 18;
    /// Largest size the reference server takes.
    const MAX_BYTES: u32 = 4096;

    /// Takes header and link message from the front of `buffer`.
    ///
    /// # Errors
    /// Violations of the protocol; [`crate::Error::link_answer`] says what to answer.
    pub fn decode(buffer: &mut BytesMut) -> Result<Progress<Self>> {
        let body = match take_body(Self::NAME, buffer, Self::FIXED_BYTES, Self::MAX_BYTES)? {
            Progress::Need(bytes) => return Ok(Progress::Need(bytes)),
            Progress::Done(body) => body.freeze(),
        };
        let start = Reader::new(Self::NAME, &body);
        let mut reader = start.clone();
        let connection_id = reader.u32("connection_id")?;
        let channel = ChannelId {
            kind: ChannelType::from(reader.u8("channel_type")?),
            id: reader.u8("channel_id")?,
        };
        let (common_caps, channel_caps) = read_caps(Self::NAME, &mut reader, &start, Self::FIXED_BYTES)?;
        Ok(Progress::Done(Self {
            connection_id,
            channel,
            common_caps,
            channel_caps,
        }))
    }

    /// Header and link message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words = sendable(&self.common_caps).len() + sendable(&self.channel_caps).len();
        let size = Self::FIXED_BYTES as usize + 4 * words;
        let mut out = Vec::with_capacity(HEADER_BYTES + size);
        put_header(&mut out, size);
        out.extend_from_slice(&self.connection_id.to_le_bytes());
        out.push(self.channel.kind.into());
        out.push(self.channel.id);
        put_caps(
            &mut out,
            &self.common_caps,
            &self.channel_caps,
            Self::FIXED_BYTES as usize,
        );
        out
    }
}
