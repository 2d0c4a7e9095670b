//! The guest's agent behind its port, and clients on real channels.

use caraway_ports::port::{DevicePort, PORT_BYTES, PortWaker, port};
use caraway_protocol::{
    inputs::{self, MOTION_ACK_BUNCH, MouseButton, MouseButtons},
    main_channel::{AgentCaps, AgentHeader, AgentKind, CLIENT_PORT, ChunkHeader, MouseMode, MouseModes, SERVER_PORT},
};

use super::*;

/// An agent in a guest.
pub(super) struct Agent {
    pub(super) port: DevicePort,
    woken: Arc<Notify>,
}

impl Agent {
    async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let woken = self.woken.notified();
            let count = self.port.write(bytes);
            bytes = &bytes[count..];
            if count == 0 {
                timeout(PATIENCE, woken).await.expect("there is room again");
            }
        }
    }

    pub(super) async fn say(&self, kind: AgentKind, body: &[u8]) {
        let message = message(kind, body);
        let header = ChunkHeader {
            port: CLIENT_PORT,
            size: message.len() as u32,
        };
        self.write(&header.encode()).await;
        self.write(&message).await;
    }

    async fn exactly(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            let woken = self.woken.notified();
            let more = self.port.read(&mut bytes[have..]);
            have += more;
            if more == 0 {
                timeout(PATIENCE, woken).await.expect("something comes");
            }
        }
        bytes
    }

    /// The next chunk: its stream and data.
    async fn chunk(&self) -> (u32, Vec<u8>) {
        let header = self.exactly(ChunkHeader::BYTES).await;
        let header = ChunkHeader::decode(*header.first_chunk().unwrap());
        (header.port, self.exactly(header.size as usize).await)
    }
}

fn message(kind: AgentKind, body: &[u8]) -> Vec<u8> {
    let header = AgentHeader {
        protocol: AgentHeader::PROTOCOL,
        kind: kind.into(),
        opaque: 0,
        size: body.len() as u32,
    };
    [&header.encode()[..], body].concat()
}

/// A server with an agent's port, nothing of it open.
pub(super) fn agent_fixture() -> (Fixture, Agent) {
    let (host, device) = port();
    let woken = Arc::<Notify>::default();
    let waker = Arc::clone(&woken);
    let waker: PortWaker = Arc::new(move || waker.notify_one());
    device.set_waker(waker);
    let displays = [Display::new(CanvasLimits::default())];
    let fixture = fixture_with(None, &displays, Security::default(), Some(host));
    let server = Arc::clone(&fixture.server);
    tokio::spawn(async move { server.serve_agent().await });
    (fixture, Agent { port: device, woken })
}

impl Client {
    async fn agent_data(&mut self) -> Vec<u8> {
        self.until(|message: main::ServerMessage| match message {
            main::ServerMessage::AgentData(data) => Some(data.to_vec()),
            _ => None,
        })
        .await
    }

    async fn agent_comes(&mut self) -> u32 {
        self.until(|message: main::ServerMessage| match message {
            main::ServerMessage::AgentConnectedTokens(tokens) => Some(tokens),
            _ => None,
        })
        .await
    }
}

impl Fixture {
    /// A main channel of a client that knows tokens, and whether it was told of an agent.
    async fn agent_client(&self) -> (Client, bool) {
        let id = ChannelId {
            kind: ChannelType::Main,
            id: 0,
        };
        let caps = Caps::of(&[MainCap::AgentConnectedTokens]);
        let mut main = link_with(self.connect(), id, 0, "", caps).await.expect("it is let in");
        let init = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init),
                _ => None,
            })
            .await;
        assert_eq!(init.agent_tokens, 10);
        (main, init.agent_connected != 0)
    }
}

#[tokio::test]
async fn agent_and_client_talk_while_both_are_there() {
    let (fixture, agent) = agent_fixture();
    let (mut main, connected) = fixture.agent_client().await;
    assert!(!connected);
    assert!(agent.port.open());
    assert_eq!(main.agent_comes().await, 10);
    main.send(main::ClientMessage::AgentStart(u32::MAX)).await;
    let text = message(AgentKind::Unknown(77), b"from the client");
    main.send(main::ClientMessage::AgentData(text.clone().into())).await;
    assert_eq!(agent.chunk().await, (CLIENT_PORT, text));
    agent.say(AgentKind::Unknown(78), b"from the guest").await;
    let mut got = main.agent_data().await;
    got.extend(main.agent_data().await);
    assert_eq!(got, message(AgentKind::Unknown(78), b"from the guest"));
    agent.port.close();
    main.until(|message: main::ServerMessage| match message {
        main::ServerMessage::AgentDisconnected(_) => Some(()),
        _ => None,
    })
    .await;
    assert!(agent.port.open());
    assert_eq!(main.agent_comes().await, 10);
    main.send(main::ClientMessage::AgentStart(1)).await;
    drop(main);
    let (port, data) = agent.chunk().await;
    assert_eq!((port, data), (SERVER_PORT, message(AgentKind::ClientDisconnected, &[])));
    let (_main, connected) = fixture.agent_client().await;
    assert!(connected);
}

#[tokio::test]
async fn much_goes_both_ways_at_the_pace_of_who_reads() {
    let (fixture, agent) = agent_fixture();
    assert!(agent.port.open());
    let mut client = fixture.link(ChannelType::Main, 0).await.acknowledging();
    client.send(main::ClientMessage::AgentStart(u32::MAX)).await;
    let body: Vec<u8> = (0..8 * PORT_BYTES as u32).map(|at| (at / 7) as u8).collect();
    let whole = message(AgentKind::Unknown(77), &body);
    let to_guest = async {
        let mut tokens = 10;
        for part in whole.chunks(2048) {
            while tokens == 0 {
                tokens = client
                    .until(|message: main::ServerMessage| match message {
                        main::ServerMessage::AgentToken(more) => Some(more),
                        _ => None,
                    })
                    .await;
            }
            let data = main::ClientMessage::AgentData(part.to_vec().into());
            client.send(data).await;
            tokens -= 1;
        }
    };
    let arrives = async {
        let mut got = Vec::new();
        while got.len() < whole.len() {
            got.extend(agent.chunk().await.1);
        }
        got
    };
    let ((), got) = tokio::join!(to_guest, arrives);
    assert!(got == whole);
    let to_client = agent.say(AgentKind::Unknown(77), &body);
    let arrives = async {
        let mut got = Vec::new();
        while got.len() < whole.len() {
            got.extend(client.agent_data().await);
        }
        got
    };
    let ((), got) = tokio::join!(to_client, arrives);
    assert!(got == whole);
}

#[tokio::test]
async fn a_client_that_breaks_the_agents_protocol_is_gone_and_others_are_not() {
    let (fixture, agent) = agent_fixture();
    assert!(agent.port.open());
    let (mut other, _) = fixture.agent_client().await;
    other.send(main::ClientMessage::AgentStart(u32::MAX)).await;
    let many = vec![message(AgentKind::Unknown(1), &[]); 11];
    for lie in [
        vec![b"short".to_vec()],
        vec![[&message(AgentKind::Unknown(1), b"")[..], b"more"].concat()],
        many,
    ] {
        let (mut main, _) = fixture.agent_client().await;
        main.send(main::ClientMessage::AgentStart(u32::MAX)).await;
        for data in lie {
            main.send(main::ClientMessage::AgentData(data.into())).await;
        }
        main.closed().await;
    }
    let text = message(AgentKind::Unknown(78), b"still here");
    other.send(main::ClientMessage::AgentData(text.clone().into())).await;
    while agent.chunk().await != (CLIENT_PORT, text.clone()) {}
}

#[tokio::test]
async fn an_agent_that_breaks_its_protocol_is_not_heard_until_it_comes_again() {
    let (fixture, agent) = agent_fixture();
    assert!(agent.port.open());
    let (mut main, _) = fixture.agent_client().await;
    main.send(main::ClientMessage::AgentStart(u32::MAX)).await;
    let wrong = ChunkHeader { port: 9, size: 1 };
    agent.write(&[&wrong.encode()[..], b"x"].concat()).await;
    main.until(|message: main::ServerMessage| match message {
        main::ServerMessage::AgentDisconnected(_) => Some(()),
        _ => None,
    })
    .await;
    // It is read all the same, or it would wait for ever.
    agent.write(&vec![0; 3 * PORT_BYTES]).await;
    assert!(agent.port.open());
    assert_eq!(main.agent_comes().await, 10);
}

#[tokio::test]
async fn an_unfinished_message_of_a_client_that_is_gone_makes_the_agent_begin_anew() {
    let (fixture, agent) = agent_fixture();
    assert!(agent.port.open());
    let (mut main, _) = fixture.agent_client().await;
    main.send(main::ClientMessage::AgentStart(u32::MAX)).await;
    let mut huge = message(AgentKind::Unknown(78), b"begin");
    huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    main.send(main::ClientMessage::AgentData(huge.into())).await;
    agent.chunk().await;
    drop(main);
    timeout(PATIENCE, async {
        while agent.port.is_open() {
            agent.woken.notified().await;
        }
    })
    .await
    .expect("the host hangs up");
    assert!(agent.port.open());
}

#[tokio::test]
async fn the_pointer_is_the_clients_while_an_agent_moves_it() {
    let (fixture, agent) = agent_fixture();
    assert!(agent.port.open());
    let (mut main, session) = fixture.session().await;
    let mode = async |main: &mut Client| {
        main.until(|message: main::ServerMessage| match message {
            main::ServerMessage::MouseMode { supported, current } => Some((supported, current)),
            _ => None,
        })
        .await
    };
    let both = MouseModes::SERVER | MouseModes::CLIENT;
    main.send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
        .await;
    let capabilities = [0u32.to_le_bytes(), AgentCaps::MOUSE_STATE.bits().to_le_bytes()].concat();
    agent.say(AgentKind::AnnounceCapabilities, &capabilities).await;
    assert_eq!(
        mode(&mut main).await,
        (both, MouseMode::Server),
        "it was asked for too soon"
    );
    main.send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
        .await;
    assert_eq!(mode(&mut main).await, (both, MouseMode::Client));
    assert!(fixture.server.is_client_mouse_mode());

    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    let none = MouseButtons::empty();
    let state = |buttons: u32| {
        let words = [300u32, 200, buttons].map(u32::to_le_bytes);
        let body = [words.as_flattened(), &[1]].concat();
        (SERVER_PORT, message(AgentKind::MouseState, &body))
    };
    for _ in 0..MOTION_ACK_BUNCH {
        channel
            .send(inputs::ClientMessage::MousePosition {
                x: 300,
                y: 200,
                buttons: none,
                display_id: 1,
            })
            .await;
    }
    channel
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::MouseMotionAck).then_some(()))
        .await;
    assert_eq!(agent.chunk().await, state(0));
    for (button, down) in [
        (MouseButton::Right, true),
        (MouseButton::Up, true),
        (MouseButton::Up, false),
    ] {
        channel
            .send(if down {
                inputs::ClientMessage::MousePress { button, buttons: none }
            } else {
                inputs::ClientMessage::MouseRelease { button, buttons: none }
            })
            .await;
    }
    let mut seen = agent.chunk().await;
    while seen == state(0) {
        seen = agent.chunk().await;
    }
    assert_eq!(seen, state(1 << 3));
    assert_eq!(agent.chunk().await, state(1 << 3 | 1 << 4));
    assert_eq!(agent.chunk().await, state(1 << 3));
    // What a client holds is let go of when it leaves.
    drop(channel);
    let mut seen = agent.chunk().await;
    while seen == state(1 << 3) {
        seen = agent.chunk().await;
    }
    assert_eq!(seen, state(0));
    // The same when the mode changes while it does.
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    let press = |button| inputs::ClientMessage::MousePress { button, buttons: none };
    channel.send(press(MouseButton::Left)).await;
    let held = agent.chunk().await;
    main.send(main::ClientMessage::MouseModeRequest(MouseMode::Server))
        .await;
    assert_eq!(mode(&mut main).await, (both, MouseMode::Server));
    let released = agent.chunk().await;
    let buttons = |(port, data): (u32, Vec<u8>)| (port, data[28..32].to_vec());
    assert_eq!(buttons(held), (SERVER_PORT, vec![1 << 1, 0, 0, 0]));
    assert_eq!(buttons(released), (SERVER_PORT, vec![0; 4]));
    main.send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
        .await;
    assert_eq!(mode(&mut main).await, (both, MouseMode::Client));
    assert!(fixture.keyboard.events.lock().unwrap().is_empty());
    agent.port.close();
    assert_eq!(mode(&mut main).await, (MouseModes::SERVER, MouseMode::Server));
}

#[tokio::test]
async fn an_agent_that_wants_to_know_is_told_where_each_display_is_and_when_that_changes() {
    let (host, port) = port();
    let woken = Arc::<Notify>::default();
    let waker = Arc::clone(&woken);
    let waker: PortWaker = Arc::new(move || waker.notify_one());
    port.set_waker(waker);
    let agent = Agent { port, woken };
    let displays = [(); 2].map(|()| Display::new(CanvasLimits::default()));
    let server = Server::new(ServerConfig {
        addresses: vec!["pci/0000/01.0".to_owned(), "pci/0000/02.0".to_owned()],
        agent: Some(host),
        ..ServerConfig::new("test", displays.to_vec(), Arc::new(Keyboard::default()))
    });
    tokio::spawn(async move { server.serve_agent().await });
    let heads = |heads: &[(u32, u32, &str)]| {
        let mut body = (heads.len() as u32).to_le_bytes().to_vec();
        for (channel, head, address) in heads {
            let words = [*channel, *head, *head, address.len() as u32 + 1].map(u32::to_le_bytes);
            body.extend_from_slice(words.as_flattened());
            body.extend_from_slice(address.as_bytes());
            body.push(0);
        }
        (SERVER_PORT, message(AgentKind::GraphicsDeviceInfo, &body))
    };
    assert!(agent.port.open());
    // One that does not say that it takes it is told nothing.
    let announce = |caps: AgentCaps| [0u32.to_le_bytes(), caps.bits().to_le_bytes()].concat();
    agent
        .say(AgentKind::AnnounceCapabilities, &announce(AgentCaps::MOUSE_STATE))
        .await;
    let wants = announce(AgentCaps::GRAPHICS_DEVICE_INFO);
    agent.say(AgentKind::AnnounceCapabilities, &wants).await;
    let one_each = heads(&[(0, 0, "pci/0000/01.0"), (1, 0, "pci/0000/02.0")]);
    assert_eq!(agent.chunk().await, one_each);
    // Again when it begins anew, and with what has changed.
    agent.say(AgentKind::AnnounceCapabilities, &wants).await;
    assert_eq!(agent.chunk().await, one_each);
    displays[1].submit(DisplayCommand::Monitors {
        max: 2,
        heads: Vec::new(),
    });
    agent.say(AgentKind::DisplayConfig, &[0; 8]).await;
    let more = [
        (0, 0, "pci/0000/01.0"),
        (1, 0, "pci/0000/02.0"),
        (1, 1, "pci/0000/02.0"),
    ];
    assert_eq!(agent.chunk().await, heads(&more));
}
