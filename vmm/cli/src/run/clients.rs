//! Who is connected to the SPICE server: events for the control socket, and the list of channels.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use caraway_control::{
    ChannelCounts, ChannelInfo, ClientCounts, ClientDestination, Connected, Event, QmpError, Role, SpiceInfo,
    backend::Address,
};
use caraway_server::{Channel, ClientFigures, Destination, Observer, Peer, Server, TicketError};

use super::{SpiceSockets, backend::Events, sockets::SpiceSocket, viewer::ViewerFile};
use crate::rundir;

/// How long clients have to go where the machine is: the reference's figure.
const SWITCHING: Duration = Duration::from_secs(10);

/// Follows the connections of the SPICE server.
#[derive(Debug)]
pub(super) struct Clients {
    events: Arc<Events>,
    listening: Option<(String, Option<u16>)>,
    tls_port: Option<u16>,
    /// By session, type and id: there is one of each at a time.
    channels: Mutex<BTreeMap<(u32, u8, u8), ChannelInfo>>,
    /// Who counts; the server holds this observer itself.
    server: OnceLock<Weak<Server>>,
    /// What viewers open, which has the ticket in it.
    viewer: OnceLock<ViewerFile>,
    /// Where they are to go when the machine has moved.
    destination: Mutex<Option<ClientDestination>>,
    /// They were told.
    migrated: AtomicBool,
}

impl Clients {
    /// `sockets` is `None` when there is no SPICE server.
    pub(super) fn new(events: Arc<Events>, sockets: Option<&SpiceSockets>) -> Arc<Self> {
        Arc::new(Self {
            events,
            tls_port: sockets
                .and_then(SpiceSockets::tls_address)
                .map(|address| address.port()),
            listening: sockets.map(|sockets| match &sockets.plain {
                SpiceSocket::Tcp(_, address) => (address.ip().to_string(), Some(address.port())),
                SpiceSocket::Unix(bound) => (bound.path.display().to_string(), None),
            }),
            channels: Mutex::default(),
            server: OnceLock::new(),
            viewer: OnceLock::new(),
            destination: Mutex::default(),
            migrated: AtomicBool::new(false),
        })
    }

    /// Says which server is observed.
    pub(super) fn follow(&self, server: &Arc<Server>) {
        // There is one.
        let _ = self.server.set(Arc::downgrade(server));
    }

    /// Says what viewers open.
    pub(super) fn keep(&self, viewer: ViewerFile) {
        // There is one.
        let _ = self.viewer.set(viewer);
    }

    /// Says where they are to go, for `client_migrate_info`.
    pub(super) fn set_destination(&self, destination: ClientDestination) -> Result<(), QmpError> {
        self.server().ok_or_else(no_server)?;
        *self.destination.lock().unwrap_or_else(PoisonError::into_inner) = Some(destination);
        Ok(())
    }

    /// The machine has moved: they are told where to, and go there.
    pub(super) async fn switch_host(&self) {
        let destination = self.destination.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(server), Some(destination)) = (self.server(), destination) else {
            return;
        };
        let ClientDestination {
            host,
            port,
            tls_port,
            subject,
        } = destination;
        let destination = Destination {
            host,
            port,
            tls_port,
            subject,
        };
        let left = server.switch_host(destination, SWITCHING).await;
        if left > 0 {
            tracing::warn!(clients = left, "clients did not go where the machine is now");
        }
        self.migrated.store(true, Ordering::Relaxed);
        self.events.send(Event::SpiceMigrateCompleted);
    }

    fn server(&self) -> Option<Arc<Server>> {
        self.server.get().and_then(Weak::upgrade)
    }

    fn auth(&self) -> &'static str {
        match self.server() {
            Some(server) if server.has_sasl() => "sasl",
            Some(server) if server.has_ticket() => "spice",
            _ => "none",
        }
    }

    /// Sets the ticket of a role, for `set_password`.
    pub(super) fn set_ticket(&self, role: Role, ticket: &str, connected: Connected) -> Result<(), QmpError> {
        let connected = match connected {
            Connected::Keep => caraway_server::Connected::Keep,
            Connected::Fail => caraway_server::Connected::Fail,
            Connected::Disconnect => caraway_server::Connected::Disconnect,
        };
        let server = self.server().ok_or_else(no_server)?;
        if server.has_sasl() {
            // The words of QEMU, which says no more.
            return Err(QmpError::generic("Could not set password"));
        }
        server
            .set_ticket(server_role(role), ticket, connected)
            .map_err(|error| refused("password", error))?;
        // The file has the one for control.
        let file = self.viewer.get().filter(|_| role == Role::Control);
        match file.map(ViewerFile::forget_ticket) {
            Some(Err(error)) => Err(QmpError::generic(format!(
                "the ticket is set, but the old one stays in {}: {error}",
                rundir::VIEWER
            ))),
            _ => Ok(()),
        }
    }

    /// Says how long it counts, for `expire_password`.
    pub(super) fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), QmpError> {
        let server = self.server().ok_or_else(no_server)?;
        if server.has_sasl() {
            return Err(QmpError::generic("Could not set password expire time"));
        }
        server
            .expire_ticket(server_role(role), after)
            .map_err(|error| refused("time", error))
    }

    /// What is counted of the clients, for `x-caraway-clients`.
    pub(super) fn counts(&self) -> Vec<ClientCounts> {
        let figures = self.server().map(|server| server.figures()).unwrap_or_default();
        figures.into_iter().map(counts).collect()
    }

    /// The server, for `query-spice`.
    pub(super) fn info(&self) -> SpiceInfo {
        let (host, port) = self.listening.clone().unzip();
        SpiceInfo {
            enabled: self.listening.is_some(),
            migrated: self.migrated.load(Ordering::Relaxed),
            host,
            port: port.flatten(),
            tls_port: self.tls_port,
            auth: self.auth(),
            compiled_version: concat!("caraway ", env!("CARGO_PKG_VERSION")),
            mouse_mode: match self.server() {
                Some(server) if server.is_client_mouse_mode() => "client",
                _ => "server",
            },
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
            tls: channel.tls,
        };
        self.lock().insert(key(channel), channel_info.clone());
        self.events.send(Event::SpiceInitialized {
            server: address(server),
            auth: self.auth(),
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

fn no_server() -> QmpError {
    QmpError::generic("there is no SPICE server: the VM is headless")
}

fn refused(parameter: &str, error: TicketError) -> QmpError {
    QmpError::generic(match error {
        TicketError::ClientsConnected { .. } => format!("Invalid parameter 'connected': {error}"),
        _ => format!("Invalid parameter '{parameter}': {error}"),
    })
}

const fn server_role(role: Role) -> caraway_server::Role {
    match role {
        Role::View => caraway_server::Role::View,
        Role::Control => caraway_server::Role::Control,
    }
}

fn counts(client: ClientFigures) -> ClientCounts {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let channels = client.channels.into_iter().map(|channel| ChannelCounts {
        channel_type: channel.kind,
        channel_id: channel.id,
        bytes_sent: channel.bytes_sent,
        messages_sent: channel.messages_sent,
        bytes_received: channel.bytes_received,
        details: channel.details,
    });
    ClientCounts {
        client: address(&client.peer),
        connection_id: client.connection_id,
        role: match client.role {
            caraway_server::Role::View => Role::View,
            caraway_server::Role::Control => Role::Control,
        },
        user: client.user,
        connected_ms: micros(client.connected) / 1000,
        round_trip_us: client.round_trip.map(micros),
        delivery: client.delivery,
        channels: channels.collect(),
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
