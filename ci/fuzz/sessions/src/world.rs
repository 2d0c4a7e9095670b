//! The server, its guest, and a client that has to notice nothing.

use std::{
    fs::{self, File},
    future::Future,
    io::Write as _,
    os::{fd::AsRawFd as _, unix::fs::OpenOptionsExt as _},
    sync::{Arc, LazyLock},
    time::Duration,
};

use caraway_canvas::Limits;
use caraway_display::Display;
use caraway_ports::{
    display::DisplaySink as _,
    port::{DevicePort, attended_port, port},
};
use caraway_protocol::{
    caps::{Caps, CommonCap, MainCap},
    channel::{ChannelId, ChannelType},
    header::HeaderKind,
    inputs::{self, KeyCode, MOTION_ACK_BUNCH, MouseButtons},
    link::LinkMessage,
    main_channel::{self as main, AgentKind, CLIENT_PORT},
};
use caraway_server::{
    Accepts, AgentPolicy, Peer, PortConfig, PortKind, Power, PowerAction, Role, Security, Server, ServerConfig, Tls,
    Users, Web,
};
use rcgen::KeyPair;
use rustls_pki_types::PrivateKeyDer;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{
    client::{Client, STREAM_BYTES},
    guest::{Agent, Keyboard, message, primary},
    scram,
};

/// The ticket where one is wanted.
pub(crate) const PASSWORD: &str = "secret";

/// The user where there are some, and the password. The verifier is that of RFC 7677, with as few iterations as may be.
pub(crate) const USER: (&str, &str) = ("user", "pencil");
pub(crate) const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
pub(crate) const ITERATIONS: u32 = 4096;
const KEYS: &str = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// The ports of a guest that has some.
pub(crate) const PORTS: [PortKind; 5] = [
    PortKind::Port,
    PortKind::Webdav,
    PortKind::Usbredir,
    PortKind::Smartcard,
    PortKind::Smartcard,
];

/// What a world is made of.
pub(crate) mod flag {
    /// What the agent may not do.
    pub(crate) const POLICY: u8 = 7;
    /// A ticket is wanted.
    pub(crate) const TICKET: u8 = 8;
    /// Users authenticate by SASL.
    pub(crate) const USERS: u8 = 0x10;
    /// There are ports.
    pub(crate) const PORTS: u8 = 0x20;
}

/// How long the server is let run; its clock counts.
const MOMENT: Duration = Duration::from_millis(2);

/// Seconds another client may have to wait until what it does is done: a guest that reads no keys has it wait for one.
const PATIENCE: u32 = 20;

/// Seconds that go by in a program at most: once through the longest of the server's deadlines.
const MAX_SECONDS: u64 = 400;

/// How often a client that is there all the time looks, seconds.
const LOOK: u64 = 10;

/// A message of the agent that nobody else says.
const HELLO: u32 = 0x5e55_1095;

/// What takes long to make.
struct Made {
    /// Its key serves all others.
    server: Arc<Server>,
    tls: Arc<Tls>,
    users: Arc<Users>,
    /// The file they are in, which has no name any more.
    _file: File,
}

/// Users in a file that goes with the process.
fn users() -> (Arc<Users>, File) {
    let path = std::env::temp_dir().join(format!("caraway-fuzz-users-{}", std::process::id()));
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .expect("a file");
    for (name, role) in [(USER.0, Role::Control), ("viewer", Role::View)] {
        writeln!(file, "{name}:{role}:SCRAM-SHA-256${ITERATIONS}:{SALT}${KEYS}").expect("a file");
    }
    fs::remove_file(&path).expect("a file");
    let users = Users::from_file(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("users");
    (Arc::new(users), file)
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["vm.example.org".to_owned()]).expect("a certificate");
    let cert = params.self_signed(&key).expect("a certificate").der().clone();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let (users, file) = users();
    Made {
        users,
        _file: file,
        server: Server::new(config(Security::default(), &Parts::new(0))),
        tls: Arc::new(Tls::new(vec![cert], key).expect("a certificate of TLS")),
    }
});

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
}

/// Makes what is made once.
pub(crate) fn prepare() {
    LazyLock::force(&MADE);
    scram::prepare();
    RUNTIME.with(|_| ());
}

/// Runs a program on a clock that stands still while there is something to do, and else goes to the next thing.
pub(crate) fn block_on(program: impl Future<Output = ()>) {
    RUNTIME.with(|runtime| runtime.block_on(program));
}

/// Lets the server do what there is to do.
pub(crate) async fn run() {
    tokio::time::sleep(MOMENT).await;
}

struct Parts {
    display: Arc<Display>,
    keyboard: Arc<Keyboard>,
    policy: AgentPolicy,
    ticket: Option<String>,
}

impl Parts {
    fn new(flags: u8) -> Self {
        Self {
            display: Display::new(Limits {
                max_side: 256,
                max_surfaces: 4,
                max_bytes: 1 << 20,
            }),
            keyboard: Arc::default(),
            policy: AgentPolicy {
                clipboard_to_guest: flags & 1 == 0,
                clipboard_to_client: flags & 2 == 0,
                file_transfer: flags & 4 == 0,
            },
            ticket: None,
        }
    }
}

fn config(security: Security, parts: &Parts) -> ServerConfig {
    ServerConfig {
        uuid: [7; 16],
        ticket: parts.ticket.clone(),
        security,
        grace: Duration::from_secs(60),
        agent_policy: parts.policy,
        web: Some(Web {
            address: "http://127.0.0.1:5980/".to_owned(),
            power: Some(Arc::new(Machine)),
        }),
        ..ServerConfig::new("fuzzed", vec![Arc::clone(&parts.display)], parts.keyboard.clone())
    }
}

/// Does what it is told, but for going on.
struct Machine;

impl Power for Machine {
    fn act(&self, action: PowerAction) -> Result<(), String> {
        match action {
            PowerAction::Resume => Err("it runs".to_owned()),
            _ => Ok(()),
        }
    }
}

pub(crate) struct World {
    pub(crate) server: Arc<Server>,
    pub(crate) display: Arc<Display>,
    pub(crate) keyboard: Arc<Keyboard>,
    pub(crate) agent: Agent,
    /// As [`PORTS`], if there are some.
    pub(crate) devices: Vec<DevicePort>,
    hub: JoinHandle<()>,
    witness: Witness,
    seconds: u64,
}

/// A client that is there all the time.
struct Witness {
    main: Client,
    inputs: Client,
}

impl World {
    /// `flags` are of [`flag`].
    pub(crate) async fn new(flags: u8) -> Self {
        let (host, device) = port();
        let mut parts = Parts::new(flags & flag::POLICY);
        parts.ticket = (flags & flag::TICKET != 0).then(|| PASSWORD.to_owned());
        let security = Security {
            tls: Some(Arc::clone(&MADE.tls)),
            sasl: (flags & flag::USERS != 0).then(|| Arc::clone(&MADE.users)),
            ..Security::default()
        };
        let mut config = config(security, &parts);
        config.agent = Some(host);
        let kinds = if flags & flag::PORTS == 0 { &[][..] } else { &PORTS };
        let mut devices = Vec::new();
        for kind in kinds {
            let (port, device) = attended_port();
            devices.push(device);
            config.ports.push(PortConfig {
                name: "port".to_owned(),
                kind: *kind,
                port,
            });
        }
        let server = MADE.server.with_key_of(config);
        let hub = Arc::clone(&server);
        let hub = tokio::spawn(async move { hub.serve_agent().await });
        let mut main = connect(
            &server,
            Role::Control,
            (ChannelType::Main, 0),
            HeaderKind::Mini,
            tokens(),
        );
        main.take(STREAM_BYTES).await;
        let session = main.session.expect("a session begins with INIT");
        let inputs = connect(
            &server,
            Role::Control,
            (ChannelType::Inputs, session),
            HeaderKind::Mini,
            Caps::none(),
        );
        parts.display.submit(primary(64));
        Self {
            server,
            display: parts.display,
            keyboard: parts.keyboard,
            agent: Agent::new(device),
            devices,
            hub,
            witness: Witness { main, inputs },
            seconds: MAX_SECONDS,
        }
    }

    /// A channel that has passed the link stage.
    pub(crate) fn connect(&self, kind: ChannelType, session: u32, header: HeaderKind, caps: Caps) -> Client {
        connect(&self.server, Role::Control, (kind, session), header, caps)
    }

    /// The same of a client of this role.
    pub(crate) fn connect_as(
        &self,
        role: Role,
        kind: ChannelType,
        session: u32,
        header: HeaderKind,
        caps: Caps,
    ) -> Client {
        connect(&self.server, role, (kind, session), header, caps)
    }

    /// A connection from its first byte on.
    pub(crate) fn accept(&self, accepts: Accepts) -> Client {
        let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
        let server = Arc::clone(&self.server);
        let served = tokio::spawn(async move {
            let peer = Peer::Unnamed;
            server.serve_stream_as(theirs, &peer, &peer, accepts).await
        });
        Client::new(ours, served, ChannelType::Main, HeaderKind::Mini)
    }

    /// The same where browsers come.
    pub(crate) fn accept_browser(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
        let server = Arc::clone(&self.server);
        let served = tokio::spawn(async move {
            let peer = Peer::Unnamed;
            server.serve_web_stream(theirs, &peer, &peer).await
        });
        Client::new(ours, served, ChannelType::Main, HeaderKind::Mini)
    }

    /// The same, as if it were in TLS.
    pub(crate) fn accept_as_in_tls(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
        let server = Arc::clone(&self.server);
        let served = tokio::spawn(async move { server.serve_as_in_tls(theirs).await });
        Client::new(ours, served, ChannelType::Main, HeaderKind::Mini)
    }

    /// A client hangs up. That may take a while, in which the one that is there all the time answers.
    pub(crate) async fn part(&mut self, client: Client) {
        client.hang_up().await;
        self.answer().await;
    }

    async fn answer(&mut self) {
        self.witness.main.answer().await;
        self.witness.inputs.answer().await;
    }

    /// Lets time pass, as long as there is some left.
    pub(crate) async fn pass(&mut self, seconds: u64) {
        let seconds = seconds.min(self.seconds);
        self.seconds -= seconds;
        self.wait(seconds).await;
    }

    async fn wait(&mut self, mut left: u64) {
        while left > 0 {
            let part = left.min(LOOK);
            tokio::time::sleep(Duration::from_secs(part)).await;
            self.answer().await;
            left -= part;
        }
    }

    /// The client that is there all the time types and moves.
    async fn look(&mut self) {
        self.keyboard.read_all();
        let before = (self.keyboard.witnessed(), self.witness.inputs.motion_acks);
        let (down, up) = (KeyCode(0x5f), KeyCode(0xdf));
        for _ in 0..MOTION_ACK_BUNCH {
            let motion = inputs::ClientMessage::MouseMotion {
                dx: 0,
                dy: 0,
                buttons: MouseButtons::empty(),
            };
            self.witness.inputs.send(motion).await;
        }
        for _ in 0..PATIENCE {
            // It may be another one's turn for a while.
            let inputs = &mut self.witness.inputs;
            inputs.send(inputs::ClientMessage::KeyDown(down)).await;
            inputs.send(inputs::ClientMessage::KeyUp(up)).await;
            self.witness.inputs.answer().await;
            let now = (self.keyboard.witnessed(), self.witness.inputs.motion_acks);
            if now.0 > before.0 && now.1 > before.1 {
                return;
            }
            self.wait(1).await;
        }
        panic!("the client that is there all the time has keys taken no more");
    }

    /// A guest's agent that begins anew is heard, and hears.
    async fn begin_anew(&mut self) {
        let main = &mut self.witness.main;
        main.answer().await;
        main.tokens = 0;
        self.agent.close();
        run().await;
        self.agent.open();
        for _ in 0..PATIENCE {
            main.answer().await;
            if main.tokens > 0 {
                break;
            }
        }
        assert!(main.tokens > 0, "an agent that begins anew is told");
        main.send(main::ClientMessage::AgentStart(u32::MAX)).await;
        let hello = message(HELLO, 0, &[]);
        main.send(main::ClientMessage::AgentData(hello.into())).await;
        run().await;
        self.agent.read(STREAM_BYTES);
        let hello = (CLIENT_PORT, AgentKind::from(HELLO));
        assert!(
            self.agent.messages.contains(&hello),
            "an agent that begins anew is told what a client says: {:?}",
            self.agent.messages
        );
    }

    /// The clients hang up; what must hold then.
    pub(crate) async fn end(mut self, clients: Vec<Client>) {
        run().await;
        self.look().await;
        for client in clients {
            self.part(client).await;
        }
        run().await;
        assert_eq!(self.server.clients(), 1, "clients that have gone are not counted");
        self.keyboard.assert_nothing_held();
        self.look().await;
        self.begin_anew().await;
        self.witness.inputs.hang_up().await;
        self.witness.main.hang_up().await;
        assert_eq!(self.server.clients(), 0);
        assert!(self.server.figures().is_empty());
        self.keyboard.assert_nothing_held();
        self.hub.abort();
        match self.hub.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    }
}

fn connect(
    server: &Arc<Server>,
    role: Role,
    (kind, session): (ChannelType, u32),
    header: HeaderKind,
    caps: Caps,
) -> Client {
    let mut common = vec![CommonCap::AuthSelection, CommonCap::AuthSpice];
    if header == HeaderKind::Mini {
        common.push(CommonCap::MiniHeader);
    }
    let message = LinkMessage {
        connection_id: session,
        channel: ChannelId { kind, id: 0 },
        common_caps: Caps::of(&common),
        channel_caps: caps,
    };
    let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
    let server = Arc::clone(server);
    let served = tokio::spawn(async move { server.serve_linked(theirs, message, role).await });
    Client::new(ours, served, kind, header)
}

/// What a client of the agent says that it can do.
pub(crate) fn tokens() -> Caps {
    Caps::of(&[MainCap::NameAndUuid, MainCap::AgentConnectedTokens])
}
