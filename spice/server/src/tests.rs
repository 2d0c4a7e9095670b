//! The server on in-memory streams, spoken to through the client half of the protocol crate.

mod agent;
mod bad_input;
mod client;
mod deadlines;
mod images;
mod inputs_channel;
mod moved;
mod ports;
mod power;
mod resume;
mod roles;
mod sasl;
mod smartcard;
mod tablet;
mod tickets;
mod tls;
mod turns;
mod video;
mod web;
mod websocket;
mod wrong;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use caraway_canvas::Limits as CanvasLimits;
use caraway_display::Display;
use caraway_ports::{
    display::{CursorCommand, CursorShape, CursorType, DisplayCommand, DisplaySink, SurfaceSpec},
    drawing::{Brush, Clip, DrawOp, Drawable, Mask, Rop, SurfaceFormat},
    geometry::{Point, Rect},
    input::{Button, InputEvent, InputSink, LedListener, Leds, Scancode},
    port::HostPort,
};
use caraway_protocol::{
    Message, Progress,
    caps::{Caps, CommonCap, DisplayCap, MainCap},
    channel::{ChannelId, ChannelType},
    common::{ClientCommon, Pong, ServerCommon},
    cursor, display,
    header::{Frame, FrameDecoder, FrameEncoder, HeaderKind, Limits},
    inputs,
    link::{AuthMechanism, LinkCode, LinkMessage, LinkReply, decode_result},
    main_channel as main,
};
use rsa::{PublicKey, pkcs8::DecodePublicKey};
use sha1::Sha1;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    sync::Notify,
    time::timeout,
};

use self::client::{Client, fill, link, link_with};
use crate::{Peer, PortConfig, Security, Server, ServerConfig, Sharing};

const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than any test takes.
const GRACE: Duration = Duration::from_secs(600);

/// INIT of a client that keeps no images.
const NO_CACHES: display::Init = display::Init {
    pixmap_cache_id: 1,
    pixmap_cache_size: 0,
    glz_dictionary_id: 1,
    glz_dictionary_window_size: 0,
};

#[derive(Default)]
struct Keyboard {
    events: Mutex<Vec<InputEvent>>,
    changed: Notify,
    listeners: Mutex<Vec<std::sync::Weak<dyn LedListener>>>,
    leds: Mutex<Leds>,
    /// Whether the guest reads only a little at a time; else it is never behind.
    slow: AtomicBool,
    taken: AtomicUsize,
    furthest_behind: AtomicUsize,
}

impl Keyboard {
    async fn wait_for(&self, count: usize) -> Vec<InputEvent> {
        timeout(PATIENCE, async {
            loop {
                let changed = self.changed.notified();
                let events = self.events.lock().unwrap().clone();
                if events.len() >= count {
                    return events;
                }
                changed.await;
            }
        })
        .await
        .expect("the events arrive")
    }
}

impl InputSink for Keyboard {
    fn send(&self, event: InputEvent) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_one();
    }

    /// The guest takes a few events whenever somebody looks.
    fn pending(&self) -> usize {
        let sent = self.events.lock().unwrap().len();
        let taken = self.taken.load(Ordering::SeqCst);
        if !self.slow.load(Ordering::SeqCst) {
            return 0;
        }
        self.furthest_behind.fetch_max(sent - taken, Ordering::SeqCst);
        self.taken.store(sent.min(taken + 16), Ordering::SeqCst);
        sent - taken
    }

    fn leds(&self) -> Leds {
        *self.leds.lock().unwrap()
    }

    fn watch_leds(&self, listener: Arc<dyn LedListener>) {
        self.listeners.lock().unwrap().push(Arc::downgrade(&listener));
    }
}

struct Fixture {
    server: Arc<Server>,
    display: Arc<Display>,
    keyboard: Arc<Keyboard>,
}

fn fixture(ticket: Option<&str>) -> Fixture {
    fixture_of(ticket, &[Display::new(CanvasLimits::default())])
}

fn fixture_of(ticket: Option<&str>, displays: &[Arc<Display>]) -> Fixture {
    fixture_with(ticket, displays, Security::default(), None)
}

fn secured_fixture(ticket: Option<&str>, displays: &[Arc<Display>], security: Security) -> Fixture {
    fixture_with(ticket, displays, security, None)
}

fn fixture_with(
    ticket: Option<&str>,
    displays: &[Arc<Display>],
    security: Security,
    agent: Option<HostPort>,
) -> Fixture {
    fixture_for(ticket, displays, security, agent, Sharing::default(), Vec::new())
}

fn shared_fixture(displays: &[Arc<Display>], sharing: Sharing) -> Fixture {
    fixture_for(None, displays, Security::default(), None, sharing, Vec::new())
}

fn fixture_for(
    ticket: Option<&str>,
    displays: &[Arc<Display>],
    security: Security,
    agent: Option<HostPort>,
    sharing: Sharing,
    ports: Vec<PortConfig>,
) -> Fixture {
    let keyboard = Arc::new(Keyboard::default());
    let server = Server::new(ServerConfig {
        uuid: [7; 16],
        ticket: ticket.map(ToOwned::to_owned),
        security,
        sharing,
        grace: GRACE,
        agent,
        ports,
        ..ServerConfig::new("test", displays.to_vec(), keyboard.clone())
    });
    Fixture {
        server,
        display: Arc::clone(&displays[0]),
        keyboard,
    }
}

impl Fixture {
    fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.server.spawn(theirs, Peer::Unnamed, Peer::Unnamed);
        ours
    }

    async fn link(&self, kind: ChannelType, connection_id: u32) -> Client {
        self.try_link(kind, 0, connection_id, "")
            .await
            .expect("the link is accepted")
    }

    async fn try_link(&self, kind: ChannelType, id: u8, session: u32, password: &str) -> Result<Client, LinkCode> {
        timeout(PATIENCE, link(self.connect(), kind, id, session, password))
            .await
            .expect("the server answers")
    }

    /// A main channel that has read INIT; the session id comes with it.
    async fn session(&self) -> (Client, u32) {
        let mut main = self.link(ChannelType::Main, 0).await;
        let init = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init),
                _ => None,
            })
            .await;
        assert_ne!(init.session_id, 0);
        (main, init.session_id)
    }
}

#[tokio::test]
async fn a_session_is_told_its_channels_when_it_asks() {
    let fixture = fixture(None);
    let (mut main, _) = fixture.session().await;
    main.send(main::ClientMessage::AttachChannels).await;
    let list = main
        .until(|message: main::ServerMessage| match message {
            main::ServerMessage::ChannelsList(list) => Some(list),
            _ => None,
        })
        .await;
    let kinds: Vec<_> = list.iter().map(|channel| channel.kind).collect();
    assert_eq!(kinds, [ChannelType::Display, ChannelType::Cursor, ChannelType::Inputs]);
}

#[tokio::test]
async fn only_the_right_ticket_is_let_in() {
    let fixture = fixture(Some("secret"));
    let wrong = fixture.try_link(ChannelType::Main, 0, 0, "guess").await.err();
    assert_eq!(wrong, Some(LinkCode::PermissionDenied));
    assert!(fixture.try_link(ChannelType::Main, 0, 0, "secret").await.is_ok());
}

#[tokio::test]
async fn channels_of_no_session_and_unknown_channels_are_refused() {
    let fixture = fixture(None);
    let refused = async |kind, id, session| fixture.try_link(kind, id, session, "").await.err();
    assert_eq!(
        refused(ChannelType::Display, 0, 99).await,
        Some(LinkCode::BadConnectionId)
    );
    assert_eq!(
        refused(ChannelType::Display, 5, 99).await,
        Some(LinkCode::ChannelNotAvailable)
    );
    assert_eq!(
        refused(ChannelType::Playback, 0, 99).await,
        Some(LinkCode::ChannelNotAvailable)
    );
    assert_eq!(refused(ChannelType::Main, 0, 99).await, Some(LinkCode::BadConnectionId));
}

#[tokio::test]
async fn broken_links_get_the_code_of_the_protocol_and_are_closed() {
    let fixture = fixture(None);
    let header = |magic: &[u8; 4], major: u32, size: u32| {
        [
            &magic[..],
            &major.to_le_bytes(),
            &2u32.to_le_bytes(),
            &size.to_le_bytes(),
        ]
        .concat()
    };
    for (bytes, code) in [
        (header(b"HTTP", 2, 18), Some(LinkCode::InvalidMagic)),
        (header(b"REDQ", 3, 18), Some(LinkCode::VersionMismatch)),
        (header(b"REDQ", 0, 18), None),
        (header(b"REDQ", 2, 5000), Some(LinkCode::InvalidData)),
        (header(b"REDQ", 2, 17), Some(LinkCode::InvalidData)),
        (
            [
                header(b"REDQ", 2, 18),
                vec![0, 0, 0, 0, 1, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat(),
            Some(LinkCode::InvalidData),
        ),
    ] {
        let mut stream = fixture.connect();
        stream.write_all(&bytes).await.unwrap();
        let mut reply = BytesMut::new();
        timeout(PATIENCE, async {
            while stream.read_buf(&mut reply).await.unwrap() != 0 {}
        })
        .await
        .expect("closed");
        let got = match LinkReply::decode(&mut reply).unwrap() {
            Progress::Done(LinkReply::Refused(code)) => Some(code),
            Progress::Done(LinkReply::Accepted(_)) => panic!("accepted"),
            Progress::Need(_) => None,
        };
        assert_eq!(got, code, "{bytes:02x?}");
    }
    // Nobody else noticed.
    fixture.session().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_silent_is_cut_off() {
    let fixture = fixture(None);
    let mut stream = fixture.connect();
    stream.write_all(b"RE").await.unwrap();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn a_display_channel_shows_nothing_before_init_and_then_the_whole_picture() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let spec = SurfaceSpec {
        id: 0,
        width: 320,
        height: 200,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    };
    fixture.display.submit(DisplayCommand::CreateSurface(spec));
    let mut channel = fixture.link(ChannelType::Display, session).await;
    let first: display::ServerMessage = channel.frame().await.unwrap().message().unwrap();
    assert!(matches!(first, display::ServerMessage::Common(ServerCommon::SetAck(_))));
    channel.send(display::ClientMessage::Init(NO_CACHES)).await;
    let mut names = Vec::new();
    timeout(PATIENCE, async {
        while names.last() != Some(&"DISPLAY_MARK") {
            let message: display::ServerMessage = channel.frame().await.unwrap().message().unwrap();
            names.push(message.name());
        }
    })
    .await
    .expect("the picture comes");
    let place = |name| names.iter().position(|known| *known == name);
    assert!(
        place("DISPLAY_SURFACE_CREATE") < place("DISPLAY_DRAW_COPY"),
        "{names:?}"
    );
    assert!(place("DISPLAY_MONITORS_CONFIG").is_some(), "{names:?}");

    let op = DrawOp::Fill {
        brush: Brush::Solid(0x00ff_0000),
        rop: Rop::PUT,
        mask: Mask::default(),
    };
    let drawable = Drawable {
        surface: 0,
        bbox: Rect::at(1, 2, 3, 4),
        clip: Clip::None,
        mm_time: 0,
        op,
    };
    fixture.display.submit(DisplayCommand::Draw(Box::new(drawable)));
    let drawn = channel
        .until(|message: display::ServerMessage| match message {
            display::ServerMessage::Draw(draw) => Some(draw),
            _ => None,
        })
        .await;
    assert_eq!(drawn.bbox, Rect::at(1, 2, 3, 4));
}

#[tokio::test]
async fn a_client_that_keeps_shapes_is_sent_each_of_them_once() {
    for (caps, keeps) in [
        (Caps::of(&[MainCap::NameAndUuid, MainCap::AgentConnectedTokens]), true),
        // As spice-html5 says it.
        (Caps::of(&[MainCap::AgentConnectedTokens]), false),
    ] {
        let fixture = fixture(None);
        let channel = ChannelId {
            kind: ChannelType::Main,
            id: 0,
        };
        let mut main = link_with(fixture.connect(), channel, 0, "", caps).await.unwrap();
        let session = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init.session_id),
                _ => None,
            })
            .await;
        let mut channel = fixture.link(ChannelType::Cursor, session).await;
        channel
            .until(|message: cursor::ServerMessage| match message {
                cursor::ServerMessage::Init { .. } => Some(()),
                _ => None,
            })
            .await;
        let shape = Arc::new(CursorShape {
            unique: 0,
            kind: CursorType::Alpha,
            width: 1,
            height: 1,
            hot_spot: (0, 0),
            data: Bytes::from_static(&[0xff; 4]),
        });
        for is_first in [true, false] {
            fixture.display.submit(DisplayCommand::Cursor(CursorCommand::Set {
                position: Point::new(1, 1),
                visible: true,
                shape: Arc::clone(&shape),
            }));
            let cursor = channel
                .until(|message: cursor::ServerMessage| match message {
                    cursor::ServerMessage::Set { cursor, .. } => Some(cursor),
                    _ => None,
                })
                .await;
            let is_named = matches!(cursor, cursor::Cursor::Cached(_));
            assert_eq!(is_named, keeps && !is_first, "{cursor:?}");
        }
    }
}

#[tokio::test]
async fn the_ack_window_holds_a_client_that_does_not_acknowledge() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Cursor, session).await;
    let set = channel
        .until(|message: cursor::ServerMessage| match message {
            cursor::ServerMessage::Common(ServerCommon::SetAck(set)) => Some(set),
            _ => None,
        })
        .await;
    channel
        .send(cursor::ClientMessage::Common(ClientCommon::AckSync(set.generation)))
        .await;
    let place = |x| DisplayCommand::Cursor(CursorCommand::Move(Point::new(x, 0)));
    let mut received = 0;
    for x in 0..200 {
        fixture.display.submit(place(x));
        // As long as the window is open each move arrives; then nothing does.
        match timeout(Duration::from_millis(200), channel.frame()).await {
            Ok(frame) => {
                frame.expect("open");
                received += 1;
            }
            Err(_) => break,
        }
    }
    assert!(received > set.window && received <= 2 * set.window + 1, "{received}");
    channel.send(cursor::ClientMessage::Common(ClientCommon::Ack)).await;
    // What comes now is the latest place, not a backlog.
    fixture.display.submit(place(777));
    channel
        .until(|message: cursor::ServerMessage| match message {
            cursor::ServerMessage::Move(to) => (to.x == 777).then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn a_client_that_types_faster_than_the_guest_reads_waits_for_it() {
    const KEYS: usize = 1000;
    let fixture = fixture(None);
    fixture.keyboard.slow.store(true, Ordering::SeqCst);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    for _ in 0..KEYS {
        channel
            .send(inputs::ClientMessage::KeyDown(inputs::KeyCode(0x1e)))
            .await;
        channel.send(inputs::ClientMessage::KeyUp(inputs::KeyCode(0x9e))).await;
    }
    let events = fixture.keyboard.wait_for(2 * KEYS).await;
    assert_eq!(events.len(), 2 * KEYS);
    let behind = fixture.keyboard.furthest_behind.load(Ordering::SeqCst);
    assert!(behind <= 257, "{behind} events were waiting");
}

#[tokio::test]
async fn a_client_that_acknowledges_late_is_not_stuck() {
    const MOTIONS: usize = 1000;
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    let buttons = inputs::MouseButtons::empty();
    // It sends everything it has before it looks at what came.
    for _ in 0..MOTIONS {
        let motion = inputs::ClientMessage::MouseMotion { dx: 1, dy: 1, buttons };
        channel.send(motion).await;
    }
    let common = inputs::ClientMessage::Common;
    let mut window = caraway_protocol::ack::AckCounter::new();
    let mut acks = 0;
    while acks < MOTIONS / inputs::MOTION_ACK_BUNCH as usize {
        let frame = timeout(PATIENCE, channel.frame())
            .await
            .expect("not stuck")
            .expect("open");
        match frame.message::<inputs::ServerMessage>().unwrap() {
            inputs::ServerMessage::Common(ServerCommon::SetAck(set)) => {
                let generation = window.on_set_ack(set);
                channel.send(common(ClientCommon::AckSync(generation))).await;
                continue;
            }
            inputs::ServerMessage::MouseMotionAck => acks += 1,
            _ => {}
        }
        if window.on_received() {
            channel.send(common(ClientCommon::Ack)).await;
        }
    }
    assert_eq!(fixture.keyboard.wait_for(MOTIONS).await.len(), MOTIONS);
}

#[tokio::test]
async fn keys_motion_and_buttons_reach_the_machine_and_motion_is_acknowledged_by_fours() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    channel
        .send(inputs::ClientMessage::KeyDown(inputs::KeyCode(0x1e)))
        .await;
    channel.send(inputs::ClientMessage::KeyUp(inputs::KeyCode(0x9e))).await;
    channel
        .send(inputs::ClientMessage::KeyDown(inputs::KeyCode(0x4de0)))
        .await;
    let buttons = inputs::MouseButtons::empty();
    channel
        .send(inputs::ClientMessage::MousePress {
            button: inputs::MouseButton::Right,
            buttons,
        })
        .await;
    channel
        .send(inputs::ClientMessage::MousePress {
            button: inputs::MouseButton::Up,
            buttons,
        })
        .await;
    for step in 0..4 {
        channel
            .send(inputs::ClientMessage::MouseMotion {
                dx: step,
                dy: -step,
                buttons,
            })
            .await;
    }
    channel
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::MouseMotionAck).then_some(()))
        .await;
    let events = fixture.keyboard.wait_for(9).await;
    let key = |code, down| InputEvent::Key { code, down };
    assert_eq!(
        events[..5],
        [
            key(Scancode::Plain(0x1e), true),
            key(Scancode::Plain(0x1e), false),
            key(Scancode::Extended(0x4d), true),
            InputEvent::Button {
                button: Button::Right,
                down: true
            },
            InputEvent::Wheel(-1),
        ]
    );
    // A client that goes lets go of what it held.
    drop(channel);
    let events = fixture.keyboard.wait_for(11).await;
    assert!(events.contains(&key(Scancode::Extended(0x4d), false)));
    assert!(events.contains(&InputEvent::Button {
        button: Button::Right,
        down: false
    }));
}

#[tokio::test]
async fn a_client_that_is_gone_without_a_word_loses_its_session() {
    let fixture = fixture(None);
    let (mut main, session) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    assert_eq!(fixture.server.clients(), 1);
    tokio::time::pause();
    // It answers for a while, then never again.
    for _ in 0..6 {
        let ping = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Common(ServerCommon::Ping(ping)) => Some(ping),
                _ => None,
            })
            .await;
        let pong = Pong {
            id: ping.id,
            timestamp: ping.timestamp,
        };
        main.send(main::ClientMessage::Common(ClientCommon::Pong(pong))).await;
    }
    let from = tokio::time::Instant::now();
    while main.frame().await.is_some() {}
    let waited = from.elapsed();
    assert!(
        waited >= Duration::from_secs(30) && waited < Duration::from_secs(60),
        "{waited:?}"
    );
    while display.frame().await.is_some() {}
    assert_eq!(fixture.server.clients(), 0);
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_session() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut inputs = fixture.link(ChannelType::Inputs, session).await;
    tokio::time::pause();
    let closed = timeout(Duration::from_secs(400), async {
        while inputs.frame().await.is_some() {}
    });
    closed.await.expect("the session ends");
}

#[tokio::test]
async fn the_channels_of_a_session_end_with_its_main_channel() {
    let fixture = fixture(None);
    let (main, session) = fixture.session().await;
    let mut inputs = fixture.link(ChannelType::Inputs, session).await;
    assert_eq!(fixture.server.clients(), 1);
    tokio::time::pause();
    drop(main);
    inputs.closed().await;
    assert_eq!(fixture.server.clients(), 0);
}

#[tokio::test]
async fn nonsense_on_one_channel_leaves_the_others_alone() {
    let fixture = fixture(None);
    let (mut main, session) = fixture.session().await;
    let mut inputs = fixture.link(ChannelType::Inputs, session).await;
    inputs
        .stream
        .write_all(&[101, 0, 0xff, 0xff, 0xff, 0xff])
        .await
        .unwrap();
    inputs.closed().await;
    main.send(main::ClientMessage::AttachChannels).await;
    main.until(|message: main::ServerMessage| matches!(message, main::ServerMessage::ChannelsList(_)).then_some(()))
        .await;
    // The channel can be opened again.
    fixture.link(ChannelType::Inputs, session).await;
}

#[tokio::test]
async fn one_client_gives_way_to_the_next_or_keeps_it_out() {
    let displays = [Display::new(CanvasLimits::default())];
    let newest = shared_fixture(&displays, Sharing::Newest);
    let (mut first, session) = newest.session().await;
    let mut display = newest.link(ChannelType::Display, session).await;
    let (mut second, _) = newest.session().await;
    first.closed().await;
    display.closed().await;
    second.send(main::ClientMessage::AttachChannels).await;
    second
        .until(|message: main::ServerMessage| matches!(message, main::ServerMessage::ChannelsList(_)).then_some(()))
        .await;
    let one = shared_fixture(&displays, Sharing::First);
    let (mut first, _) = one.session().await;
    let refused = one.try_link(ChannelType::Main, 0, 0, "").await.err();
    assert_eq!(refused, Some(LinkCode::ChannelNotAvailable));
    first.send(main::ClientMessage::AttachChannels).await;
    first
        .until(|message: main::ServerMessage| matches!(message, main::ServerMessage::ChannelsList(_)).then_some(()))
        .await;
}
