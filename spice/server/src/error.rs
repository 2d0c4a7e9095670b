//! Why a connection ends.

use caraway_protocol::{channel::ChannelId, link::LinkCode};

/// Why a connection was closed other than by its client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The stream failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// The TLS handshake failed.
    #[error("no TLS with this client")]
    Tls(#[source] std::io::Error),
    /// The request for WebSocket was refused.
    #[error("the request for WebSocket was refused: {0}")]
    Request(String),
    /// The client broke the protocol.
    #[error("protocol violation")]
    Protocol(#[from] caraway_protocol::Error),
    /// A message that has no place where it came.
    #[error("unexpected message {id} on {channel:?}: {why}")]
    Unexpected {
        /// The channel.
        channel: ChannelId,
        /// Message id.
        id: u16,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The client did not do in time what it had to.
    #[error("the client did not {what} within {seconds} s")]
    Timeout {
        /// What was awaited.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// The client's messages are not those of its SASL mechanism.
    #[error("SASL protocol violation")]
    Sasl(#[from] crate::sasl::Fault),
    /// The link was refused with this code.
    #[error("link refused: {0:?}")]
    Refused(LinkCode),
    /// The client broke the protocol of the agent.
    #[error("agent protocol violation")]
    Agent(#[from] crate::AgentFault),
    /// It kept the other clients from the agent.
    #[error("the client kept others from the agent")]
    KeptAgent,
    /// The picture could not be put into messages.
    #[error("encoding failed")]
    Encode(#[from] caraway_display::EncodeError),
    /// A task of the server died.
    #[error("a task of the server died: {0}")]
    Task(String),
}
