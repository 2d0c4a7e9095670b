//! Every message of every channel at every length, in every state, with every header: a connection goes on or ends with
//! an error that says what was wrong, and another client notices nothing.
//!
//! A channel is a [`Row`]; a message without a line in it is a failure.

mod cursor;
mod display;
mod frames;
mod inputs;
mod main;
mod ports;
mod smartcard;

use caraway_ports::port::{DevicePort, attended_port, port};
use caraway_protocol::{
    channel::ChannelId,
    common::client_id,
    main_channel::{AgentCaps, AgentHeader, AgentKind, CLIENT_PORT, ChunkHeader, MouseMode},
};
use tokio::task::JoinHandle;

use super::*;
use crate::{PortKind, Role, ServeError};

/// Bytes behind what a message needs that are sent, too.
const BEYOND: usize = 3;

/// What a message's bytes are filled with: numbers at their extremes, and one in the middle.
const FILLS: [u8; 3] = [0, 0xff, 0x80];

/// What comes of a message.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It is done, or passed over.
    GoesOn,
    /// The channel ends as it should.
    Leaves,
    /// The channel ends with an error that says all of this.
    Ends(Vec<String>),
}

fn ends(says: &[&str]) -> Outcome {
    Outcome::Ends(says.iter().map(ToString::to_string).collect())
}

/// Messages with their bodies.
type Said = &'static [(u16, &'static [u8])];

/// What a channel has been told before.
#[derive(Debug)]
struct State {
    name: &'static str,
    /// The words of the capabilities of its channel that the client has said.
    caps: &'static [u32],
    before: Said,
}

/// What there is of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guest {
    /// No agent.
    Bare,
    /// An agent.
    Agent,
    /// An agent that moves the pointer, and clients that say where it is.
    ClientMode,
    /// An agent, and a client that may only look.
    Watched,
    /// Devices behind the ports, which open them before the client says anything, and read when it has.
    Devices,
    /// Devices that come only when the client has said everything.
    LateDevices,
}

impl Guest {
    fn role(self) -> Role {
        match self {
            Self::Watched => Role::View,
            _ => Role::Control,
        }
    }

    const fn has_agent(self) -> bool {
        matches!(self, Self::Agent | Self::ClientMode | Self::Watched)
    }

    const fn has_devices(self) -> bool {
        matches!(self, Self::Devices | Self::LateDevices)
    }
}

/// The ports of the machine. Who has the channel of the card readers has both of them.
const PORTS: [PortKind; 5] = [
    PortKind::Port,
    PortKind::Webdav,
    PortKind::Usbredir,
    PortKind::Smartcard,
    PortKind::Smartcard,
];

/// What is to be known of a type of channels.
struct Row {
    kind: ChannelType,
    /// Its own messages as the protocol has them.
    all: &'static [(u16, &'static str)],
    /// The same: bytes each needs at least.
    needs: &'static [(u16, usize)],
    states: &'static [State],
    /// What comes of messages, where they do not just go on or are too short.
    outcome: fn(Guest, &State, u16, &[u8]) -> Option<Outcome>,
}

/// Bytes the messages of all channels need at least.
const COMMON: &[(u16, usize)] = &[
    (client_id::ACK_SYNC, 4),
    (client_id::ACK, 0),
    (client_id::PONG, 12),
    (client_id::MIGRATE_FLUSH_MARK, 0),
    (client_id::MIGRATE_DATA, 0),
    (client_id::DISCONNECTING, 12),
];

const NO_MIGRATION: &str = "no migration is under way";

fn common_outcome(id: u16) -> Option<Outcome> {
    match id {
        client_id::MIGRATE_FLUSH_MARK | client_id::MIGRATE_DATA => Some(ends(&[NO_MIGRATION])),
        client_id::DISCONNECTING => Some(Outcome::Leaves),
        _ => None,
    }
}

/// A channel behind its link stage.
struct Channel {
    stream: DuplexStream,
    served: JoinHandle<Result<(), ServeError>>,
    header: HeaderKind,
}

impl Channel {
    /// A header that says what it likes, and bytes.
    async fn say_sized(&mut self, id: u16, (serial, size, sub_list): (u64, u32, u32), body: &[u8]) {
        let mut bytes = Vec::new();
        if self.header == HeaderKind::Full {
            bytes.extend(serial.to_le_bytes());
        }
        bytes.extend(id.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        if self.header == HeaderKind::Full {
            bytes.extend(sub_list.to_le_bytes());
        }
        bytes.extend(body);
        // One that has ended already takes no more.
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn say(&mut self, id: u16, body: &[u8]) {
        self.say_sized(id, (1, body.len() as u32, 0), body).await;
    }

    /// How the channel ends, which it has to. What the server writes is not read.
    async fn ended(self) -> Result<(), ServeError> {
        // The stream stays open meanwhile: it is the server that ends.
        let Self {
            stream: _stream,
            served,
            ..
        } = self;
        joined(served).await
    }

    /// How the channel ends when it is hung up on.
    async fn hang_up(self) -> Result<(), ServeError> {
        drop(self.stream);
        joined(self.served).await
    }

    /// Whether what was said so far was done or passed over: one more message ends the channel in a way of its own.
    async fn outcome(mut self) -> Outcome {
        self.say(client_id::MIGRATE_FLUSH_MARK, &[]).await;
        match self.ended().await {
            Ok(()) => Outcome::Leaves,
            Err(ServeError::Unexpected { id, why, .. })
                if id == client_id::MIGRATE_FLUSH_MARK && why == NO_MIGRATION =>
            {
                Outcome::GoesOn
            }
            Err(error) => Outcome::Ends(vec![chain(&error)]),
        }
    }
}

async fn joined(served: JoinHandle<Result<(), ServeError>>) -> Result<(), ServeError> {
    let ended = timeout(PATIENCE, served).await.expect("the channel ends");
    ended.expect("no task of the server dies")
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A server with a client that is there all the time, and the session of another one.
struct Scene {
    fixture: Fixture,
    agent: DevicePort,
    guest: Guest,
    /// As [`PORTS`].
    devices: Vec<DevicePort>,
    _main: Channel,
    inputs: Channel,
    /// Its main channel and its number, unless every case has a session of its own.
    bad: Option<(Channel, u32)>,
}

impl Scene {
    async fn new(guest: Guest, has_session: bool) -> Self {
        let (host, agent) = port();
        let displays = [Display::new(CanvasLimits::default())];
        let (ports, devices) = PORTS
            .iter()
            .map(|kind| {
                let (port, device) = attended_port();
                let (name, kind) = ("port".to_owned(), *kind);
                (PortConfig { name, kind, port }, device)
            })
            .unzip();
        let (security, sharing) = (Security::default(), Sharing::default());
        let fixture = fixture_for(None, &displays, security, Some(host), sharing, ports);
        let server = Arc::clone(&fixture.server);
        tokio::spawn(async move { server.serve_agent().await });
        let mut main = link_stage(&fixture, ChannelType::Main, 0, HeaderKind::Mini);
        let session = session(&fixture, 0).await;
        let inputs = link_stage(&fixture, ChannelType::Inputs, session, HeaderKind::Mini);
        if guest.has_agent() {
            assert!(agent.open());
        }
        if guest == Guest::ClientMode {
            let body = [0u32.to_le_bytes(), AgentCaps::MOUSE_STATE.bits().to_le_bytes()].concat();
            let header = AgentHeader {
                protocol: AgentHeader::PROTOCOL,
                kind: AgentKind::AnnounceCapabilities.into(),
                opaque: 0,
                size: body.len() as u32,
            };
            let message = [&header.encode()[..], &body].concat();
            let (port, size) = (CLIENT_PORT, message.len() as u32);
            let chunk = [&ChunkHeader { port, size }.encode()[..], &message].concat();
            assert_eq!(agent.write(&chunk), chunk.len());
            timeout(PATIENCE, async {
                while !fixture.server.is_client_mouse_mode() {
                    let id = caraway_protocol::main_channel::client_id::MOUSE_MODE_REQUEST;
                    main.say(id, &u32::from(MouseMode::Client).to_le_bytes()[..2]).await;
                    tokio::task::yield_now().await;
                }
            })
            .await
            .expect("the mode changes");
        }
        let mut scene = Self {
            fixture,
            agent,
            guest,
            devices,
            _main: main,
            inputs,
            bad: None,
        };
        if has_session {
            let main = scene.channel(ChannelType::Main, HeaderKind::Mini);
            scene.bad = Some((main, scene::other(&scene.fixture, session).await));
        }
        scene
    }

    fn channel(&self, kind: ChannelType, header: HeaderKind) -> Channel {
        self.channel_of(kind, header, &[])
    }

    /// A channel of a client that has said these capabilities of it.
    fn channel_of(&self, kind: ChannelType, header: HeaderKind, caps: &[u32]) -> Channel {
        let session = self.bad.as_ref().map_or(0, |(_, session)| *session);
        link_stage_as(&self.fixture, self.guest.role(), kind, session, (header, caps))
    }

    /// The devices of a channel.
    fn devices(&self, kind: ChannelType) -> impl Iterator<Item = &DevicePort> {
        let all = PORTS.iter().zip(&self.devices);
        all.filter_map(move |(of, device)| (of.channel() == kind).then_some(device))
    }

    /// Waits until the devices of a channel have opened their ports, which they can once somebody is there.
    async fn opened(&self, kind: ChannelType) {
        let opening = async {
            while !self.devices(kind).all(|device| device.is_open() || device.open()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, opening).await.expect("a client is there");
    }

    /// Waits for this with the devices as they are, those that are late included. With what the channel's first one has read.
    async fn read_until<T>(&self, kind: ChannelType, over: impl Future<Output = T>) -> (T, Vec<u8>) {
        let mut all = Vec::new();
        let mut bytes = vec![0; 64 << 10];
        let mut read = || {
            let count = self.devices(kind).next().map_or(0, |device| device.read(&mut bytes));
            all.extend_from_slice(&bytes[..count]);
        };
        let mut over = std::pin::pin!(over);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut over => break done,
                () = tokio::task::yield_now() => read(),
            }
            if self.guest == Guest::LateDevices {
                // Until somebody is there, and when nobody is any more, they cannot.
                for device in self.devices(kind).filter(|device| !device.is_open()) {
                    let _ = device.open();
                }
            }
        };
        // What is left when nobody is there any more.
        read();
        (done, all)
    }

    /// What comes of what a channel was told so far, and what its device has read.
    async fn outcome(&self, channel: Channel, kind: ChannelType) -> (Outcome, Vec<u8>) {
        self.read_until(kind, channel.outcome()).await
    }

    /// The other client types, and nobody else is counted.
    async fn nobody_noticed(&mut self) {
        use caraway_protocol::inputs::client_id::KEY_DOWN;
        let keyboard = &self.fixture.keyboard;
        keyboard.events.lock().unwrap().clear();
        for code in [0x1e, 0x9e] {
            self.inputs.say(KEY_DOWN, &u32::to_le_bytes(code)).await;
        }
        let code = Scancode::Plain(0x1e);
        let expected = [true, false].map(|down| InputEvent::Key { code, down });
        assert_eq!(keyboard.wait_for(2).await, expected);
        assert_eq!(
            self.fixture.server.clients(),
            1 + usize::from(self.bad.is_some()),
            "sessions that ended are not counted"
        );
    }
}

mod scene {
    use super::*;

    /// The number of the session that is not this one.
    pub(super) async fn other(fixture: &Fixture, known: u32) -> u32 {
        timeout(PATIENCE, session(fixture, known))
            .await
            .expect("a session comes")
    }
}

/// The number of a session beside a known one, as soon as there is one.
async fn session(fixture: &Fixture, known: u32) -> u32 {
    loop {
        let figures = fixture.server.figures();
        let mut ids = figures.iter().map(|client| client.connection_id);
        match ids.find(|id| *id != known) {
            Some(id) => return id,
            None => tokio::task::yield_now().await,
        }
    }
}

/// A channel that has just passed the link stage.
fn link_stage(fixture: &Fixture, kind: ChannelType, session: u32, header: HeaderKind) -> Channel {
    link_stage_as(fixture, Role::Control, kind, session, (header, &[]))
}

/// The same of a client that may do so much, with capabilities of the channel.
fn link_stage_as(
    fixture: &Fixture,
    role: Role,
    kind: ChannelType,
    session: u32,
    (header, channel_caps): (HeaderKind, &[u32]),
) -> Channel {
    let mut caps = vec![CommonCap::AuthSelection, CommonCap::AuthSpice];
    if header == HeaderKind::Mini {
        caps.push(CommonCap::MiniHeader);
    }
    let message = LinkMessage {
        connection_id: session,
        channel: ChannelId { kind, id: 0 },
        common_caps: Caps::of(&caps),
        channel_caps: Caps::from_words(channel_caps.to_vec()),
    };
    let (stream, theirs) = tokio::io::duplex(64 << 10);
    let server = Arc::clone(&fixture.server);
    Channel {
        stream,
        served: tokio::spawn(async move { server.serve_linked(theirs, message, role).await }),
        header,
    }
}

impl Row {
    /// Every message has a line, and no other has.
    fn is_complete(&self) {
        let ids = |of: &[(u16, usize)]| of.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let known = |of: &[(u16, &str)]| of.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        assert_eq!(ids(self.needs), known(self.all), "{:?}", self.kind);
        assert_eq!(ids(COMMON), known(client_id::ALL));
    }

    /// What a message has to come to.
    fn expects(&self, guest: Guest, state: &State, id: u16, body: &[u8]) -> Outcome {
        let all = [client_id::ALL, self.all].concat();
        let needs = [COMMON, self.needs].concat();
        let Some((_, needed)) = needs.iter().find(|(known, _)| *known == id) else {
            return Outcome::GoesOn;
        };
        if let Some(own) = (self.outcome)(guest, state, id, body) {
            return own;
        }
        if body.len() < *needed {
            let (_, name) = all.iter().find(|(known, _)| *known == id).unwrap();
            return ends(&["protocol violation", name, " bytes, ", "are left"]);
        }
        common_outcome(id).unwrap_or(Outcome::GoesOn)
    }

    async fn case(&self, scene: &Scene, (guest, state): (Guest, &State), header: HeaderKind, id: u16, body: &[u8]) {
        let mut channel = scene.channel_of(self.kind, header, state.caps);
        if guest == Guest::Devices {
            scene.opened(self.kind).await;
        }
        for (id, body) in state.before {
            channel.say(*id, body).await;
        }
        channel.say(id, body).await;
        let (is, _) = scene.outcome(channel, self.kind).await;
        let expected = self.expects(guest, state, id, body);
        let fits = match (&is, &expected) {
            // One and the same message ends it in both cases.
            (Outcome::GoesOn, Outcome::Ends(says)) => says[..] == [NO_MIGRATION] && id == client_id::MIGRATE_FLUSH_MARK,
            (Outcome::Ends(error), Outcome::Ends(says)) => says.iter().all(|part| error[0].contains(part)),
            (is, expected) => is == expected,
        };
        assert!(
            fits,
            "{:?} {guest:?} {} {header:?} message {id} {body:02x?}: {is:?}, expected {expected:?}",
            self.kind, state.name
        );
    }

    /// Every message in every state, from no byte to some too many.
    async fn every_length(&self, guest: Guest) {
        self.is_complete();
        let mut scene = Scene::new(guest, self.kind != ChannelType::Main).await;
        for state in self.states {
            for (id, needed) in [COMMON, self.needs].concat() {
                for header in [HeaderKind::Mini, HeaderKind::Full] {
                    for fill in FILLS {
                        for length in 0..=needed + BEYOND {
                            self.case(&scene, (guest, state), header, id, &vec![fill; length]).await;
                        }
                    }
                }
                scene.nobody_noticed().await;
            }
        }
    }

    /// Messages that nobody knows go by, whatever is in them.
    async fn unknown_ones(&self, guest: Guest) {
        let mut scene = Scene::new(guest, self.kind != ChannelType::Main).await;
        let known = [COMMON, self.needs].concat();
        let last = known.iter().map(|(id, _)| *id).max().unwrap();
        for id in [0, 7, 8, 100, last + 1, 1000, u16::MAX] {
            for state in self.states {
                for length in [0, 1, 600] {
                    let case = (guest, state);
                    self.case(&scene, case, HeaderKind::Mini, id, &vec![0xff; length]).await;
                }
            }
        }
        scene.nobody_noticed().await;
    }
}
