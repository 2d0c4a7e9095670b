//! The SPICE server: links, sessions and channels on tokio, over any byte stream.
//!
//! [`Server`] is handed displays ([`caraway_display::Display`]) and an input sink, and serves clients that arrive on
//! listeners ([`listener`]) or on streams the caller accepted itself ([`Server::serve_stream`]). It knows no device
//! and no VM. A broken client loses its own connection and nothing else.
#![forbid(unsafe_code)]

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
mod observer;
mod rate;
mod server;
mod session;
mod socket;
mod transport;

pub use agent::{AgentFault, AgentPolicy};
use clock::MediaClock;
pub use error::ServeError;
pub use figures::{ChannelFigures, ClientFigures};
pub use listener::Listener;
pub use observer::{Channel, Observer, Peer};
pub use server::{RateLimits, Server, ServerConfig};

#[cfg(test)]
mod tests;
