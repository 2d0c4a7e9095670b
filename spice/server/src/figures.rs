//! What is counted of clients and their channels.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Peer, Role};

/// A client, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFigures {
    /// Its session.
    pub connection_id: u32,
    /// Its end of the main channel.
    pub peer: Peer,
    /// What it may do.
    pub role: Role,
    /// The user's name, by SASL.
    pub user: Option<String>,
    /// Since when it is connected.
    pub connected: Duration,
    /// The shortest round trip, if there was one.
    pub round_trip: Option<Duration>,
    /// What the link delivers, in bits a second, if that is known.
    pub delivery: Option<u64>,
    /// Its channels, main first.
    pub channels: Vec<ChannelFigures>,
}

/// A channel of a client, since it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFigures {
    /// SPICE channel type.
    pub kind: u8,
    /// SPICE channel id.
    pub id: u8,
    /// Bytes written to the socket, the link stage not among them.
    pub bytes_sent: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Bytes read from the socket.
    pub bytes_received: u64,
    /// What only channels of this type have, by name (the server's README lists them).
    pub details: BTreeMap<&'static str, u64>,
}

/// What a channel tells of itself when it is asked.
pub(crate) type Details = Box<dyn Fn() -> BTreeMap<&'static str, u64> + Send + Sync>;

/// Counts of a channel that is open.
#[derive(Default)]
pub(crate) struct Counters {
    bytes_sent: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    details: Mutex<Option<Details>>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters")
            .field("bytes_sent", &self.bytes_sent)
            .finish_non_exhaustive()
    }
}

impl Counters {
    pub(crate) fn on_written(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn on_message(&self) {
        self.messages_sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn on_read(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Says who knows more.
    pub(crate) fn set_details(&self, details: Details) {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner) = Some(details);
    }

    pub(crate) fn figures(&self, (kind, id): (u8, u8)) -> ChannelFigures {
        let details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        ChannelFigures {
            kind,
            id,
            bytes_sent: self.bytes_sent(),
            messages_sent: self.messages_sent.load(Ordering::Relaxed),
            bytes_received: self.bytes_received.load(Ordering::Relaxed),
            details: details.as_ref().map(|details| details()).unwrap_or_default(),
        }
    }
}
