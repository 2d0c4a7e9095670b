//! Who is connected to the SPICE server: events for the control socket, and the list of channels.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use caraway_control::{ChannelInfo, Event, SpiceInfo, backend::Address};
use caraway_server::{Channel, Observer, Peer};

use super::{backend::Events, sockets::SpiceSocket};

/// Follows the connections of the SPICE server.
#[derive(Debug)]
pub(super) struct Clients {
    events: Arc<Events>,
    listening: Option<(String, Option<u16>)>,
    auth: &'static str,
    /// By session, type and id: there is one of each at a time.
    channels: Mutex<BTreeMap<(u32, u8, u8), ChannelInfo>>,
}

impl Clients {
    /// `socket` is `None` when there is no SPICE server.
    pub(super) fn new(events: Arc<Events>, socket: Option<&SpiceSocket>, ticket: bool) -> Arc<Self> {
        Arc::new(Self {
            events,
            listening: socket.map(|socket| match socket {
                SpiceSocket::Tcp(_, address) => (address.ip().to_string(), Some(address.port())),
                SpiceSocket::Unix(bound) => (bound.path.display().to_string(), None),
            }),
            auth: if ticket { "spice" } else { "none" },
            channels: Mutex::default(),
        })
    }

    /// The server, for `query-spice`.
    pub(super) fn info(&self) -> SpiceInfo {
        let (host, port) = self.listening.clone().unzip();
        SpiceInfo {
            enabled: self.listening.is_some(),
            migrated: false,
            host,
            port: port.flatten(),
            auth: self.auth,
            compiled_version: concat!("caraway ", env!("CARGO_PKG_VERSION")),
            mouse_mode: "server",
            channels: self.lock().values().cloned().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u32, u8, u8), ChannelInfo>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Clients {
    fn connected(&self, server: &Peer, client: &Peer) {
        self.events.send(Event::SpiceConnected {
            server: address(server),
            client: address(client),
        });
    }

    fn initialized(&self, server: &Peer, client: &Peer, channel: &Channel) {
        let channel_info = ChannelInfo {
            client: address(client),
            connection_id: channel.connection_id,
            channel_type: channel.kind,
            channel_id: channel.id,
            tls: false,
        };
        self.lock().insert(key(channel), channel_info.clone());
        self.events.send(Event::SpiceInitialized {
            server: address(server),
            auth: self.auth,
            channel: channel_info,
        });
    }

    fn disconnected(&self, server: &Peer, client: &Peer, channel: Option<&Channel>) {
        if let Some(channel) = channel {
            self.lock().remove(&key(channel));
        }
        self.events.send(Event::SpiceDisconnected {
            server: address(server),
            client: address(client),
        });
    }
}

fn key(channel: &Channel) -> (u32, u8, u8) {
    (channel.connection_id, channel.kind, channel.id)
}

fn address(peer: &Peer) -> Address {
    match peer {
        Peer::Tcp(address) => Address {
            host: address.ip().to_string(),
            port: address.port().to_string(),
            family: if address.is_ipv4() { "ipv4" } else { "ipv6" },
        },
        Peer::Unix(path) => Address {
            host: path.clone(),
            port: String::new(),
            family: "unix",
        },
        Peer::Unnamed => Address {
            host: String::new(),
            port: String::new(),
            family: "unknown",
        },
    }
}
