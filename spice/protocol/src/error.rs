//! What can be wrong with bytes from a peer, or with a message that is to be sent.

use crate::link::LinkCode;

/// Result of decoding or encoding.
pub type Result<T> = std::result::Result<T, Error>;

/// A violation of the wire protocol. `message` is the message as the protocol names it, `field` the part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field reaches past the end of its message.
    #[error("{message}: {field}: needs {need} bytes, {have} are left")]
    Truncated {
        /// The message.
        message: &'static str,
        /// The field that does not fit.
        field: &'static str,
        /// Bytes the field takes.
        need: u64,
        /// Bytes there are.
        have: u64,
    },
    /// A field has a value that has no meaning there.
    #[error("{message}: {field}: expected {expected}, got {got}")]
    Unexpected {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was there.
        got: u64,
    },
    /// A pointer does not lead into the body of its message.
    #[error("{message}: {field}: offset {offset} is outside the body of {body} bytes")]
    Pointer {
        /// The message.
        message: &'static str,
        /// The pointer.
        field: &'static str,
        /// Where it points, from the start of the body.
        offset: u64,
        /// Size of the body.
        body: u64,
    },
    /// A pointer that has to lead somewhere is 0.
    #[error("{message}: {field}: must not be null")]
    Null {
        /// The message.
        message: &'static str,
        /// The pointer.
        field: &'static str,
    },
    /// More of something than its limit, or than its field can say.
    #[error("{message}: {field}: {got} exceeds the limit of {limit}")]
    Limit {
        /// The message.
        message: &'static str,
        /// What there is too much of.
        field: &'static str,
        /// How much there is.
        got: u64,
        /// How much may be.
        limit: u64,
    },
    /// The announced size of a message is above what its channel allows.
    #[error("message {id}: size {size} exceeds the limit of {limit}")]
    Oversized {
        /// Message id.
        id: u16,
        /// Bytes announced.
        size: u32,
        /// Bytes allowed.
        limit: u32,
    },
    /// The first bytes of a connection are not those of SPICE.
    #[error("link header: magic: expected REDQ, got {got:02x?}")]
    Magic {
        /// What they are.
        got: [u8; 4],
    },
    /// The peer speaks another major version.
    #[error("link header: major version: expected 2, got {got}")]
    Version {
        /// The peer's.
        got: u32,
    },
}

impl Error {
    /// The code a server answers a faulty link message with, in a full error reply; `None` when it only closes.
    #[must_use]
    pub const fn link_answer(&self) -> Option<LinkCode> {
        match self {
            Self::Magic { .. } => Some(LinkCode::InvalidMagic),
            Self::Version { got: 0 } => None,
            Self::Version { .. } => Some(LinkCode::VersionMismatch),
            _ => Some(LinkCode::InvalidData),
        }
    }
}
