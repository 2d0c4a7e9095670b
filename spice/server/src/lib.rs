//! The SPICE server: links, sessions and channels on tokio, over any byte stream.
//!
//! [`Server`] is handed displays ([`caraway_display::Display`]) and an input sink, and serves clients that arrive on
//! listeners ([`listener`]) or on streams the caller accepted itself ([`Server::serve_stream`]). It knows no device
//! and no VM. A broken client loses its own connection and nothing else.
#![forbid(unsafe_code)]

mod access;
mod admission;
mod agent;
mod channel;
mod clock;
mod delivery;
mod error;
mod figures;
mod flow;
mod key;
mod link;
pub mod listener;
mod moved;
mod observer;
mod origins;
mod ports;
mod rate;
pub mod sasl;
mod server;
mod session;
mod socket;
mod tablet;
mod ticket;
mod tls;
mod transport;
mod turns;
mod web;
mod wire;

pub use access::{Accepts, Access, CHANNEL_NAMES, ChannelAccess, Identity, Role, Security};
pub use agent::{AgentFault, AgentPolicy};
pub use caraway_protocol::{channel::ChannelType, link::PASSWORD_MAX};
use clock::MediaClock;
pub use error::ServeError;
pub use figures::{ChannelFigures, ClientFigures};
pub use listener::Listener;
pub use moved::Destination;
pub use observer::{Channel, Observer, Peer};
pub use origins::{OriginError, Origins};
pub use ports::{MAX_READERS, PortConfig, PortKind};
pub use sasl::Users;
pub use server::{RateLimits, Server, ServerConfig};
pub use session::Sharing;
pub use ticket::{Connected, TicketError};
pub use tls::{Tls, TlsError};
pub use web::{Power, PowerAction, Web, http};

#[cfg(test)]
mod tests;
