//! What goes wrong with a migration.

use std::{io, time::Duration};

use super::{SourceInput, TargetInput};

/// Why a machine did not move.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// No connection was made.
    #[error("cannot {what} {uri}")]
    Connect {
        what: &'static str,
        uri: String,
        #[source]
        source: io::Error,
    },
    /// The connection or the host failed.
    #[error("cannot {what}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// The other side has gone.
    #[error("the other side closed the connection")]
    Ended,
    /// The other side neither reads nor writes.
    #[error("the other side does not answer: nothing within {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// Something in the stream cannot be.
    #[error("{field} = {value}: {reason}")]
    Invalid {
        field: &'static str,
        value: String,
        reason: String,
    },
    /// Another machine comes.
    #[error("{name}: the machine that comes has {coming}, this one {here}")]
    Differs { name: String, coming: String, here: String },
    /// The other side does not take the machine; why, in its words.
    #[error("the destination says: {0}")]
    Refused(String),
    /// The machine stays where it is.
    #[error("the migration was cancelled")]
    Cancelled,
    /// The machine cannot be moved.
    #[error("{0}")]
    Machine(String),
}

impl LiveError {
    pub(crate) fn invalid(field: &'static str, value: &dyn std::fmt::Display, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// For `map_err` on what the host does.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// What that means to the source.
    pub(crate) fn to_source(&self) -> SourceInput {
        match self {
            Self::Cancelled => SourceInput::Cancelled,
            Self::Refused(_) => SourceInput::Refused,
            _ => SourceInput::Lost,
        }
    }

    /// What that means to the destination.
    pub(crate) fn to_target(&self) -> TargetInput {
        match self {
            Self::Cancelled => TargetInput::Cancelled,
            Self::Ended | Self::Stalled(_) | Self::Connect { .. } | Self::Io { .. } => TargetInput::Lost,
            _ => TargetInput::Invalid,
        }
    }
}
