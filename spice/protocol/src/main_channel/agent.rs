//! The tunnel between the client and the guest's agent: AGENT_DATA messages and their tokens.

use bytes::Bytes;

use crate::error::Result;
use crate::wire::Reader;

/// Largest body of an AGENT_DATA message, in both directions.
pub const AGENT_DATA_MAX: usize = 2048;

/// Header of a message between client and agent (VDAgentMessage). A message is a header and `size` bytes, cut into
/// AGENT_DATA bodies of at most [`AGENT_DATA_MAX`]; the first of them has at least the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentHeader {
    /// Version of the agent protocol; 1.
    pub protocol: u32,
    /// Type of the message.
    pub kind: u32,
    /// Meaning depends on the type; mostly 0.
    pub opaque: u64,
    /// Bytes behind the header.
    pub size: u32,
}

impl AgentHeader {
    /// Bytes on the wire.
    pub const BYTES: usize = 20;
    /// The only version of the agent protocol.
    pub const PROTOCOL: u32 = 1;

    /// The header at the start of `data`.
    ///
    /// # Errors
    /// [`crate::Error::Truncated`] when `data` is shorter, [`crate::Error::Unexpected`] for another version.
    pub fn decode(data: &Bytes) -> Result<Self> {
        let mut reader = Reader::new("VDAgentMessage", data);
        let protocol = reader.u32("protocol")?;
        if protocol != Self::PROTOCOL {
            return Err(reader.unexpected("protocol", "1", protocol));
        }
        Ok(Self {
            protocol,
            kind: reader.u32("type")?,
            opaque: reader.u64("opaque")?,
            size: reader.u32("size")?,
        })
    }

    /// The header on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        out.extend_from_slice(&self.protocol.to_le_bytes());
        out.extend_from_slice(&self.kind.to_le_bytes());
        out.extend_from_slice(&self.opaque.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out
    }
}

/// AGENT_DATA messages one side may still send. One token is one message, whatever its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens(u32);

impl Tokens {
    /// This many (INIT, AGENT_CONNECTED_TOKENS, AGENT_START).
    #[must_use]
    pub const fn new(tokens: u32) -> Self {
        Self(tokens)
    }

    /// How many are left.
    #[must_use]
    pub const fn left(self) -> u32 {
        self.0
    }

    /// More of them (AGENT_TOKEN). The sum saturates: clients grant `u32::MAX` to say "without limit".
    pub const fn grant(&mut self, tokens: u32) {
        self.0 = self.0.saturating_add(tokens);
    }

    /// Takes one for a message that is sent, or that has arrived; `false` when there is none, which from a peer is a
    /// violation of the protocol.
    #[must_use]
    pub const fn take(&mut self) -> bool {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_token_is_refused() {
        let mut tokens = Tokens::new(1);
        assert!(tokens.take());
        assert!(!tokens.take());
        tokens.grant(2);
        assert_eq!(tokens.left(), 2);
    }

    #[test]
    fn granting_more_than_everything_saturates() {
        let mut tokens = Tokens::new(u32::MAX);
        tokens.grant(5);
        assert_eq!(tokens.left(), u32::MAX);
    }
}
