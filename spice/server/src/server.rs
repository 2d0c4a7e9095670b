//! The server: from a connection to a running channel.

#[cfg(any(test, feature = "fuzzing"))]
mod after_link;

use std::{sync::Arc, time::Duration};

use caraway_display::{Display, ImageCounts, ImageSettings};
use caraway_ports::{display::WantedHead, input::InputSink, port::HostPort, tablet::TabletSink};
use caraway_protocol::{
    caps::MainCap,
    channel::{ChannelId, ChannelType},
    header::{FrameDecoder, FrameEncoder, Limits},
    link::{LinkCode, LinkMessage},
    main_channel::AgentMonitor,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tracing::{Instrument, debug, info_span};

use crate::{
    Accepts, AgentPolicy, Channel, ClientFigures, Connected, MediaClock, Observer, Peer, Role, Security, ServeError,
    TicketError,
    access::{Way, Who},
    admission::{Guesses, HalfOpen, InLink, Origin},
    agent::{AgentHub, Graphics},
    channel::{self, Io},
    flow::Flow,
    key::KeyHandle,
    link::{self, Linked},
    moved::Moved,
    ports::{Lease, PortChannels, PortConfig},
    session::{MainSession, OpenChannel, Sessions, Sharing},
    tablet::TabletMouse,
    ticket::Tickets,
    transport::{Receiver, Sender},
    turns::Turns,
    web::Web,
    wire::Wire,
};

/// A client has this long for the link stage, the TLS handshake before it included.
pub(crate) const LINK_DEADLINE: Duration = Duration::from_secs(10);

/// What a server is made of.
pub struct ServerConfig {
    /// The VM's name, shown by clients.
    pub name: String,
    /// The VM's UUID.
    pub uuid: [u8; 16],
    /// The password clients must give, at most 60 bytes; `None` lets everybody in. [`Server::set_ticket`] changes it.
    pub ticket: Option<String>,
    /// Another one, for clients that may only look. Counts only if there is a `ticket`.
    pub view_ticket: Option<String>,
    /// TLS, and which channels need it.
    pub security: Security,
    /// The displays; the index is the channel id.
    pub displays: Vec<Arc<Display>>,
    /// Where the device of each is in the guest, `pci/0000/01.0` for example, for an agent that wants to know.
    pub addresses: Vec<String>,
    /// What images are compressed with.
    pub images: ImageSettings,
    /// What is sent to one client and to all, at most.
    pub rates: RateLimits,
    /// How many clients there may be.
    pub sharing: Sharing,
    /// For how long the session of a client is kept whose connection was cut, if the client can come back (RESUME).
    pub grace: Duration,
    /// Keyboard and mouse.
    pub input: Arc<dyn InputSink>,
    /// The tablet, if the machine has one. It moves the pointer of a machine with one display while there is no agent to do
    /// it, and the guest has a driver for it.
    pub tablet: Option<Arc<dyn TabletSink>>,
    /// The port of the guest's agent, if the machine has one.
    pub agent: Option<HostPort>,
    /// What the agent and its clients may do.
    pub agent_policy: AgentPolicy,
    /// Ports that have a channel of their own.
    pub ports: Vec<PortConfig>,
    /// Who is told about connections.
    pub observer: Option<Arc<dyn Observer>>,
    /// The page for browsers, if there is one.
    pub web: Option<Web>,
}

impl ServerConfig {
    /// A server with these displays, keyboard and mouse, and nothing else: everybody is let in.
    #[must_use]
    pub fn new(name: impl Into<String>, displays: Vec<Arc<Display>>, input: Arc<dyn InputSink>) -> Self {
        Self {
            name: name.into(),
            uuid: [0; 16],
            ticket: None,
            view_ticket: None,
            security: Security::default(),
            displays,
            addresses: Vec::new(),
            images: ImageSettings::default(),
            rates: RateLimits::default(),
            sharing: Sharing::default(),
            grace: Duration::ZERO,
            input,
            tablet: None,
            agent: None,
            agent_policy: AgentPolicy::default(),
            ports: Vec::new(),
            observer: None,
            web: None,
        }
    }
}

/// Bits a second that are sent at most, by default as many as the links take. The picture waits; cursor, inputs and what
/// keeps the session alive do not, and are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// To one client.
    pub client: Option<u64>,
    /// To all clients.
    pub total: Option<u64>,
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A SPICE server.
pub struct Server {
    pub(crate) config: ServerConfig,
    keys: KeyHandle,
    pub(crate) tickets: Tickets,
    turns: Turns,
    pub(crate) guesses: Guesses,
    sessions: Arc<Sessions>,
    pub(crate) half_open: Arc<HalfOpen>,
    /// Connections that ask for the page. They are not in the link stage, and leave it to those that are.
    pub(crate) asking: Arc<HalfOpen>,
    images_sent: Arc<ImageCounts>,
    pub(crate) clock: MediaClock,
    pub(crate) agent: Arc<AgentHub>,
    pub(crate) ports: Arc<PortChannels>,
    /// Where the machine runs, when it is not here any more.
    pub(crate) moved: Moved,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server without listeners. Its ticket key is made in the background.
    #[must_use]
    pub fn new(config: ServerConfig) -> Arc<Self> {
        Self::with_keys(config, KeyHandle::spawn())
    }

    fn with_keys(mut config: ServerConfig, keys: KeyHandle) -> Arc<Self> {
        let RateLimits { client, total } = config.rates;
        let tablet = match (config.tablet.take(), config.displays.as_slice()) {
            (Some(tablet), [display]) => Some(TabletMouse::new(tablet, Arc::clone(display))),
            _ => None,
        };
        let graphics = Graphics::new(&config.displays, std::mem::take(&mut config.addresses));
        let agent = AgentHub::new(config.agent.take(), config.agent_policy, tablet, graphics);
        let ports = PortChannels::new(std::mem::take(&mut config.ports));
        let tickets = Tickets::new(config.ticket.take(), config.view_ticket.take());
        let sessions = Sessions::new(client, total, config.sharing, config.grace);
        Arc::new(Self {
            config,
            keys,
            tickets,
            turns: Turns::default(),
            guesses: Guesses::default(),
            sessions: Arc::new(sessions),
            half_open: Arc::default(),
            asking: Arc::default(),
            images_sent: Arc::default(),
            clock: MediaClock::start(),
            agent: Arc::new(agent),
            ports: Arc::new(ports),
            moved: Moved::default(),
        })
    }

    /// Serves the guest's agent, for as long as this is polled: what it says with no client there is taken, too. Also
    /// follows whether the guest has a driver for the tablet.
    pub async fn serve_agent(self: &Arc<Self>) {
        self.agent.run().await;
    }

    /// Takes up whether the drivers of all displays take which monitors a client wants.
    pub(crate) fn ask_drivers(&self) {
        let mut displays = self.config.displays.iter();
        let takes = displays.len() > 0 && displays.all(|display| display.takes_monitors());
        self.agent.set_driver_takes(takes);
    }

    /// Asks the drivers for the monitors that a client wants: one display for all of them, or each for one.
    pub(crate) fn request_monitors(&self, monitors: &[AgentMonitor]) {
        let heads: Vec<WantedHead> = monitors
            .iter()
            .map(|monitor| WantedHead {
                x: u32::try_from(monitor.x).unwrap_or(0),
                y: u32::try_from(monitor.y).unwrap_or(0),
                width: monitor.width,
                height: monitor.height,
            })
            .collect();
        match self.config.displays.as_slice() {
            [one] => one.request_monitors(&heads),
            several => several
                .iter()
                .zip(heads.chunks(1))
                .for_each(|(display, head)| display.request_monitors(head)),
        }
    }

    /// Whether clients say where the pointer is.
    #[must_use]
    pub fn is_client_mouse_mode(&self) -> bool {
        self.agent.is_client_mode()
    }

    /// Clients connected.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.sessions.count()
    }

    /// Whether clients must give a ticket.
    #[must_use]
    pub fn has_ticket(&self) -> bool {
        self.tickets.is_set()
    }

    /// Whether clients authenticate by SASL; the ticket does not count then.
    #[must_use]
    pub fn has_sasl(&self) -> bool {
        self.config.security.sasl.is_some()
    }

    /// Sets the ticket of a role, which every channel that is linked from now on must give; an empty one lets nobody in.
    /// Until when it counts stays as [`Server::expire_ticket`] said.
    ///
    /// # Errors
    /// More than 60 bytes, a NUL, clients that are connected if that is to fail, one for viewers without one for control.
    pub fn set_ticket(&self, role: Role, password: &str, connected: Connected) -> Result<(), TicketError> {
        let clients = self.clients();
        if connected == Connected::Fail && clients > 0 {
            return Err(TicketError::ClientsConnected { clients });
        }
        self.tickets.set(role, password)?;
        if connected == Connected::Disconnect {
            self.sessions.end_all();
        }
        Ok(())
    }

    /// Says for how long from now the ticket of a role lets clients in, those that are connected not concerned; `None` is for
    /// ever.
    ///
    /// # Errors
    /// When there is none.
    pub fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), TicketError> {
        self.tickets.expire(role, after)
    }

    /// Images sent to all clients since the server was made.
    #[must_use]
    pub fn images_sent(&self) -> &ImageCounts {
        &self.images_sent
    }

    /// What is counted of the clients that are connected.
    #[must_use]
    pub fn figures(&self) -> Vec<ClientFigures> {
        self.sessions.figures()
    }

    /// The channels every client of a role has, main not among them.
    pub(crate) fn channels(&self, role: Role) -> Vec<ChannelId> {
        let mut channels = self.all_channels();
        channels.retain(|channel| role.has(channel.kind));
        channels
    }

    /// The channels there are for all clients, main not among them.
    fn all_channels(&self) -> Vec<ChannelId> {
        let each = |kind| {
            (0..self.config.displays.len()).filter_map(move |id| {
                Some(ChannelId {
                    kind,
                    id: u8::try_from(id).ok()?,
                })
            })
        };
        each(ChannelType::Display)
            .chain(each(ChannelType::Cursor))
            .chain([ChannelId {
                kind: ChannelType::Inputs,
                id: 0,
            }])
            .collect()
    }

    /// Serves one connection without TLS on a task of its own.
    pub fn spawn<S>(self: &Arc<Self>, stream: S, local: Peer, client: Peer)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.spawn_as(stream, local, client, Accepts::Plain);
    }

    /// Serves one connection on a task of its own, which may be what the listener accepts.
    pub fn spawn_as<S>(self: &Arc<Self>, stream: S, local: Peer, client: Peer, accepts: Accepts)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let server = Arc::clone(self);
        let span = info_span!("spice", ?client);
        tokio::spawn(
            async move {
                if let Err(error) = server.serve_stream_as(stream, &local, &client, accepts).await {
                    debug!(error = %chain(&error), "connection ended");
                }
            }
            .instrument(span),
        );
    }

    /// Serves one connection without TLS to its end.
    ///
    /// # Errors
    /// Why it ended, other than by the client.
    pub async fn serve_stream<S>(self: &Arc<Self>, stream: S, local: &Peer, client: &Peer) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.serve_stream_as(stream, local, client, Accepts::Plain).await
    }

    /// Serves one connection, which may be what the listener accepts, to its end.
    ///
    /// # Errors
    /// Why it ended, other than by the client.
    pub async fn serve_stream_as<S>(
        self: &Arc<Self>,
        stream: S,
        local: &Peer,
        client: &Peer,
        accepts: Accepts,
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let observer = self.config.observer.as_deref();
        observer.inspect(|observer| observer.connected(local, client));
        let mut channel = None;
        let result = self.link_and_run(stream, (local, client, accepts), &mut channel).await;
        observer.inspect(|observer| observer.disconnected(local, client, channel.as_ref()));
        result
    }

    async fn link_and_run<S>(
        self: &Arc<Self>,
        stream: S,
        (local, client, accepts): (&Peer, &Peer, Accepts),
        channel: &mut Option<Channel>,
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(half_open) = self.half_open.enter(Origin::from(client)) else {
            return Err(ServeError::Refused(LinkCode::Error));
        };
        let page = self.config.web.as_ref().map(|web| web.address.as_str());
        let wire = Wire::accept(stream, accepts, &self.config.security, page);
        self.link_wire(wire, half_open, (local, client, accepts), channel).await
    }

    /// The same from the link stage on.
    pub(crate) async fn link_wire<S>(
        self: &Arc<Self>,
        wire: impl Future<Output = Result<Wire<S>, ServeError>> + Send,
        half_open: InLink,
        (local, client, accepts): (&Peer, &Peer, Accepts),
        channel: &mut Option<Channel>,
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let linking = tokio::time::timeout(LINK_DEADLINE, async {
            let mut wire = wire.await?;
            let way = Way::new(local, accepts, wire.is_encrypted());
            match self.link(&mut wire, way, client).await {
                Ok((linked, place)) => Ok((wire, way, linked, place)),
                Err(error) => {
                    // What it was told is all; how it takes that does not matter any more.
                    let _ = wire.shutdown().await;
                    Err(error)
                }
            }
        });
        let (wire, way, linked, place) = linking.await.map_err(|_| ServeError::Timeout {
            what: "finish the link stage",
            seconds: LINK_DEADLINE.as_secs(),
        })??;
        drop(half_open);
        let id = linked.message.channel;
        let channel = channel.insert(Channel {
            connection_id: place.open.session.id,
            kind: id.kind.into(),
            id: id.id,
            tls: way == Way::Tls,
        });
        if let Some(observer) = &self.config.observer {
            observer.initialized(local, client, channel);
        }
        self.run(wire, linked, place, (way, client)).await
    }

    /// The link stage up to its result.
    async fn link<S>(&self, stream: &mut S, way: Way, client: &Peer) -> Result<(Linked, Place), ServeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let known = self.all_channels();
        let refuses = |channel: ChannelId| {
            let exists = channel.kind == ChannelType::Main && channel.id == 0
                || known.contains(&channel)
                || self.ports.has(channel);
            let access = self.config.security.channels.of(channel.kind);
            way.refuses(access)
                .or_else(|| self.config.security.sasl.as_ref().and_then(|_| way.refuses_sasl()))
                .or((!exists).then_some(LinkCode::ChannelNotAvailable))
        };
        let gate = link::Gate {
            keys: &self.keys,
            tickets: &self.tickets,
            sasl: self.config.security.sasl.as_ref(),
            guesses: &self.guesses,
            origin: Origin::from(client),
        };
        let linked = link::link(stream, &gate, refuses).await?;
        if let Who { role, user: Some(name) } = &linked.who {
            tracing::info!(user = name, %role, channel = ?linked.message.channel, "authenticated");
        }
        let place = self.place(stream, &linked, client).await?;
        link::send_result(stream, LinkCode::Ok).await?;
        Ok((linked, place))
    }

    /// The session a connection belongs to; the client is told when there is none.
    async fn place<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        linked: &Linked,
        client: &Peer,
    ) -> Result<Place, ServeError> {
        match self.find_place(&linked.message, &linked.who, client) {
            Ok(place) => Ok(place),
            Err(refused) => {
                link::send_result(stream, refused).await?;
                Err(ServeError::Refused(refused))
            }
        }
    }

    fn find_place(&self, message: &LinkMessage, who: &Who, client: &Peer) -> Result<Place, LinkCode> {
        if message.channel.kind == ChannelType::Main {
            let resumes = message.channel_caps.has(MainCap::Resume);
            let main = match message.connection_id {
                0 => self
                    .sessions
                    .create(client, who, resumes)
                    .ok_or(LinkCode::ChannelNotAvailable)?,
                id if resumes => self.sessions.resume(id, client, who).ok_or(LinkCode::BadConnectionId)?,
                // Others with a session id are the target side of a migration, and none is under way.
                _ => return Err(LinkCode::BadConnectionId),
            };
            let open = main.session.open(message.channel).ok_or(LinkCode::Error)?;
            let _main = Some(main);
            return Ok(Place {
                open,
                _main,
                lease: None,
            });
        }
        let session = self.sessions.find(message.connection_id);
        let session = session.ok_or(LinkCode::BadConnectionId)?;
        // Who may only look does not get at the channels of who may do more, nor one user at those of another.
        if who.role < session.role || who.user != session.user {
            return Err(LinkCode::PermissionDenied);
        }
        if !session.role.has(message.channel.kind) {
            return Err(LinkCode::ChannelNotAvailable);
        }
        let lease = self.ports.take(message.channel);
        if lease.is_none() && self.ports.has(message.channel) {
            return Err(LinkCode::ChannelNotAvailable);
        }
        let open = session.open(message.channel).ok_or(LinkCode::ChannelNotAvailable)?;
        let _main = None;
        Ok(Place { open, _main, lease })
    }

    async fn run<S>(
        self: &Arc<Self>,
        stream: S,
        linked: Linked,
        place: Place,
        (way, client): (Way, &Peer),
    ) -> Result<(), ServeError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Linked {
            message, header, rest, ..
        } = linked;
        let (read, write) = tokio::io::split(stream);
        let (session, counters) = (&place.open.session, Arc::clone(&place.open.counters));
        let flow = Arc::new(Flow::default());
        let stalls = Arc::clone(&flow).stalls();
        let waits = matches!(message.channel.kind, ChannelType::Display) || place.lease.is_some();
        let allowance = session.allowance(waits);
        let sender = Sender::new(
            write,
            FrameEncoder::new(header),
            Arc::clone(&flow),
            allowance,
            Arc::clone(&counters),
        );
        let io = Io {
            receiver: Receiver::new(
                read,
                rest,
                FrameDecoder::new(header, Limits::FromClient(message.channel.kind)),
                counters,
            ),
            sender: if way == Way::Tls { sender.one_by_one() } else { sender },
            flow,
            id: message.channel,
            caps: message.channel_caps,
        };
        let channel = async {
            if let Some(lease) = &place.lease {
                return match message.channel.kind {
                    ChannelType::Smartcard => channel::smartcard::run(io, lease).await,
                    _ => channel::spicevmc::run(io, lease, way == Way::Unix).await,
                };
            }
            let index = usize::from(message.channel.id);
            match (message.channel.kind, self.config.displays.get(index)) {
                (ChannelType::Main, _) => channel::main::run(self, io, session).await,
                (ChannelType::Display, Some(display)) => {
                    let images = channel::display::Images {
                        settings: self.config.images,
                        is_local: way == Way::Unix,
                        sent: ImageCounts::part_of(&self.images_sent),
                        session,
                        clock: self.clock,
                    };
                    channel::display::run(io, display, images).await
                }
                (ChannelType::Cursor, Some(display)) => channel::cursor::run(io, display, session, &self.agent).await,
                (ChannelType::Inputs, _) => {
                    let turns = (&self.agent, &self.turns);
                    channel::inputs::run(io, &self.config.input, turns, way.can_be_read(client)).await
                }
                _ => Err(ServeError::Refused(LinkCode::ChannelNotAvailable)),
            }
        };
        tokio::select! {
            result = channel => result,
            stalled = stalls => {
                // A client that does not do its part on one channel is gone from all of them.
                session.end();
                Err(stalled)
            }
            () = session.ended() => Ok(()),
        }
    }
}

/// Where a connection belongs, as long as it lives.
struct Place {
    open: OpenChannel,
    /// The session ends with its main channel.
    _main: Option<MainSession>,
    /// The ports it leads to. Offered to others when it goes, and by then it has to be closed: fields go in this order.
    lease: Option<Lease>,
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
