//! Connections that are cut at each stage of the handshake, over TCP: nothing of them is left, and a client that is
//! connected the whole time is served. In a process of its own, whose descriptors and memory nobody else changes.
//! `ci/suites/drops` does the same to a whole VM, and more often.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers are tests too.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use caraway_canvas::Limits as CanvasLimits;
use caraway_display::Display;
use caraway_ports::input::{InputEvent, InputSink, LedListener, Leds};
use caraway_protocol::{
    Message, Progress,
    caps::{Caps, CommonCap},
    channel::{ChannelId, ChannelType},
    common::{ClientCommon, Pong, ServerCommon},
    header::{Frame, FrameDecoder, FrameEncoder, HeaderKind, Limits},
    link::{AuthMechanism, LinkCode, LinkMessage, LinkReply, decode_result},
    main_channel as main,
};
use caraway_server::{Accepts, Channel, Listener, Observer, Peer, Security, Server, ServerConfig, Tls};
use rsa::{PublicKey, pkcs8::DecodePublicKey as _};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
};
use sha1::Sha1;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Connections cut at each stage, before and while it is looked at what is left of them.
const WARM_UP: usize = 30;
const DROPS: usize = 300;
/// Of these so many are open at once: less than there are places for one address in the link stage, and than clients.
const BATCH: usize = 8;
/// Places for one address in the link stage.
const PLACES: usize = 32;
/// Bytes of memory that may be kept: what allocators keep for the threads there are. A leak of 1.3 KiB for each connection
/// would be more.
const ALLOWED: usize = 4 << 20;
const PAGE: usize = 4096;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[derive(Clone, Copy, Debug)]
enum Stage {
    NothingSent,
    HalfALinkMessage,
    AfterTheReply,
    HalfAMechanism,
    HalfATicket,
    AfterTheResult,
    TlsGarbage,
    HalfAClientHello,
    HalfARequest,
    AfterThe101,
    HalfAFrame,
}

const STAGES: [Stage; 11] = [
    Stage::NothingSent,
    Stage::HalfALinkMessage,
    Stage::AfterTheReply,
    Stage::HalfAMechanism,
    Stage::HalfATicket,
    Stage::AfterTheResult,
    Stage::TlsGarbage,
    Stage::HalfAClientHello,
    Stage::HalfARequest,
    Stage::AfterThe101,
    Stage::HalfAFrame,
];

struct Nobody;

impl InputSink for Nobody {
    fn send(&self, _: InputEvent) {}

    fn pending(&self) -> usize {
        0
    }

    fn leds(&self) -> Leds {
        Leds::default()
    }

    fn watch_leds(&self, _: Arc<dyn LedListener>) {}
}

/// Connections that have come, and that are open.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    came: usize,
    open: usize,
}

struct Counting(watch::Sender<Count>);

impl Observer for Counting {
    fn connected(&self, _: &Peer, _: &Peer) {
        self.0.send_modify(|count| {
            count.came += 1;
            count.open += 1;
        });
    }

    fn initialized(&self, _: &Peer, _: &Peer, _: &Channel) {}

    fn disconnected(&self, _: &Peer, _: &Peer, _: Option<&Channel>) {
        self.0.send_modify(|count| count.open -= 1);
    }
}

struct Fixture {
    server: Arc<Server>,
    address: std::net::SocketAddr,
    count: watch::Receiver<Count>,
    hello: Vec<u8>,
    /// Connections made so far.
    made: usize,
}

async fn fixture() -> Fixture {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let (counting, count) = watch::channel(Count::default());
    let server = Server::new(ServerConfig {
        uuid: [7; 16],
        security: Security {
            tls: Some(Arc::new(Tls::new(vec![certified.cert.der().clone()], key).unwrap())),
            ..Security::default()
        },
        observer: Some(Arc::new(Counting(counting))),
        ..ServerConfig::new("test", vec![Display::new(CanvasLimits::default())], Arc::new(Nobody))
    });
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let Peer::Tcp(address) = listener.local() else {
        panic!("it is TCP")
    };
    tokio::spawn(listener.serve_as(Arc::clone(&server), Accepts::Both));
    Fixture {
        server,
        address,
        count,
        hello: hello(),
        made: 0,
    }
}

/// The first message of a TLS client.
fn hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

fn message() -> Vec<u8> {
    let message = LinkMessage {
        connection_id: 0,
        channel: ChannelId {
            kind: ChannelType::Main,
            id: 0,
        },
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::AuthSpice, CommonCap::MiniHeader]),
        channel_caps: Caps::none(),
    };
    message.encode()
}

fn half(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / 2]
}

/// A connection, and what was read of it and not used.
struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn fill(&mut self) {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        let read = read.expect("the server answers").unwrap();
        assert_ne!(read, 0, "the server closed the connection");
    }

    /// Up to the link reply; the key in it.
    async fn replied(&mut self) -> PublicKey {
        self.send(&message()).await;
        loop {
            match LinkReply::decode(&mut self.buffer).unwrap() {
                Progress::Need(_) => self.fill().await,
                Progress::Done(LinkReply::Accepted(reply)) => {
                    return PublicKey::from_public_key_der(&reply.public_key).unwrap();
                }
                Progress::Done(LinkReply::Refused(code)) => panic!("refused: {code:?}"),
            }
        }
    }

    async fn linked(&mut self) {
        let key = self.replied().await;
        self.send(&AuthMechanism::Spice.encode()).await;
        self.send(&key.oaep_encrypt::<Sha1>(&[0]).unwrap()).await;
        loop {
            match decode_result(&mut self.buffer) {
                Progress::Need(_) => self.fill().await,
                Progress::Done(code) => return assert_eq!(code, LinkCode::Ok),
            }
        }
    }

    async fn upgraded(&mut self) {
        self.send(REQUEST).await;
        while !self.buffer.ends_with(b"\r\n\r\n") {
            self.fill().await;
        }
        assert!(self.buffer.starts_with(b"HTTP/1.1 101 "), "{:?}", self.buffer);
    }

    async fn reach(&mut self, stage: Stage, hello: &[u8]) {
        match stage {
            Stage::NothingSent => {}
            Stage::HalfALinkMessage => self.send(half(&message())).await,
            Stage::AfterTheReply => drop(self.replied().await),
            Stage::HalfAMechanism => {
                self.replied().await;
                self.send(half(&AuthMechanism::Spice.encode())).await;
            }
            Stage::HalfATicket => {
                self.replied().await;
                self.send(&AuthMechanism::Spice.encode()).await;
                self.send(&[7; 64]).await;
            }
            Stage::AfterTheResult => self.linked().await,
            Stage::TlsGarbage => self.send(&[&[0x16, 3, 1, 0xff, 0xff][..], &[7; 1000]].concat()).await,
            Stage::HalfAClientHello => self.send(half(hello)).await,
            Stage::HalfARequest => self.send(half(REQUEST)).await,
            Stage::AfterThe101 => self.upgraded().await,
            Stage::HalfAFrame => {
                self.upgraded().await;
                // Masked with zeros.
                let frame = [&[0x82, 0x80 | 100, 0, 0, 0, 0][..], &[7; 50]].concat();
                self.send(&frame).await;
            }
        }
    }
}

impl Fixture {
    async fn connect(&mut self) -> Client {
        self.made += 1;
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            buffer: BytesMut::new(),
        }
    }

    /// Waits until all connections have come and so many are open.
    async fn settled(&mut self, open: usize) {
        let made = self.made;
        let settled = self.count.wait_for(|count| count.came == made && count.open == open);
        timeout(PATIENCE, settled).await.expect("they end").unwrap();
    }

    /// Cuts connections at a stage, every other one with a reset.
    async fn cut(&mut self, stage: Stage, times: usize) {
        for first in (0..times).step_by(BATCH) {
            let mut batch = Vec::new();
            for number in first..times.min(first + BATCH) {
                let mut client = self.connect().await;
                client.reach(stage, &self.hello).await;
                if number % 2 == 1 {
                    SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
                batch.push(client);
            }
            drop(batch);
            self.settled(1).await;
        }
    }
}

/// A client that stays.
struct Steady {
    client: Client,
    decoder: FrameDecoder,
    encoder: FrameEncoder,
}

impl Steady {
    async fn frame(&mut self) -> Frame {
        loop {
            if let Progress::Done(frame) = self.decoder.decode(&mut self.client.buffer).unwrap() {
                return frame;
            }
            let read = self.client.stream.read_buf(&mut self.client.buffer).await.unwrap();
            assert_ne!(read, 0, "the server closed the connection");
        }
    }

    async fn send<M: Message>(&mut self, message: M) {
        let mut out = Vec::new();
        self.encoder.encode_into(&message, &mut out).unwrap();
        self.client.send(&out).await;
    }

    /// Answers pings until it is told of the channels.
    async fn listen(&mut self) {
        loop {
            match self.frame().await.message().unwrap() {
                main::ServerMessage::Common(ServerCommon::Ping(ping)) => {
                    let (id, timestamp) = (ping.id, ping.timestamp);
                    let pong = ClientCommon::Pong(Pong { id, timestamp });
                    self.send(main::ClientMessage::Common(pong)).await;
                }
                main::ServerMessage::ChannelsList(list) => return assert!(!list.is_empty()),
                _ => {}
            }
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Bytes of memory this process has.
fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * PAGE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_connections_that_are_cut_at_any_stage() {
    let mut fixture = fixture().await;
    let mut client = fixture.connect().await;
    client.linked().await;
    let mut steady = Steady {
        client,
        decoder: FrameDecoder::new(HeaderKind::Mini, Limits::FromServer),
        encoder: FrameEncoder::new(HeaderKind::Mini),
    };
    let cutting = async {
        // Whatever grows once.
        for stage in STAGES {
            fixture.cut(stage, WARM_UP).await;
        }
        let before = (descriptors(), memory());
        for stage in STAGES {
            fixture.cut(stage, DROPS).await;
            assert_eq!(descriptors(), before.0, "{stage:?}");
            assert_eq!(fixture.server.clients(), 1, "{stage:?}");
        }
        let grown = memory().saturating_sub(before.1);
        assert!(grown <= ALLOWED, "{grown} bytes");
        // All places in the link stage are free, and no more than there were.
        let mut held = Vec::new();
        for _ in 0..PLACES {
            let mut client = fixture.connect().await;
            client.replied().await;
            held.push(client);
        }
        let mut one_more = fixture.connect().await;
        assert_eq!(one_more.stream.read(&mut [0]).await.unwrap_or(0), 0);
        drop(held);
        fixture.settled(1).await;
    };
    tokio::select! {
        () = cutting => {}
        () = steady.listen() => panic!("nobody asked for the channels"),
    }
    steady.send(main::ClientMessage::AttachChannels).await;
    timeout(PATIENCE, steady.listen()).await.expect("the server answers");
}
