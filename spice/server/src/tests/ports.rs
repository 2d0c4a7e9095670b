//! Ports of the machine, and clients that have their channels.

use caraway_ports::port::{DevicePort, PORT_BYTES, attended_port};
use caraway_protocol::{
    caps::StreamCap,
    spicevmc::{ClientMessage, Compressed, Compression, PortEvent, PortInit, ServerMessage},
};

use super::*;
use crate::PortKind;

/// The other end of a port: a device of the guest, or who stands in for one.
pub(super) struct Device {
    pub(super) port: DevicePort,
    woken: Arc<Notify>,
}

impl Device {
    /// Waits until somebody is there, and opens the port.
    pub(super) async fn open(&self) {
        self.when("somebody is there", || self.port.open().then_some(())).await;
    }

    pub(super) async fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self
                .when("there is room", || {
                    Some(self.port.write(bytes)).filter(|count| *count > 0)
                })
                .await;
            bytes = &bytes[count..];
        }
    }

    pub(super) async fn exactly(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            let rest = &mut bytes[have..];
            have += self
                .when("something comes", || {
                    Some(self.port.read(rest)).filter(|count| *count > 0)
                })
                .await;
        }
        bytes
    }

    pub(super) async fn closed(&self) {
        self.when("it is closed", || (!self.port.is_open()).then_some(())).await;
    }

    pub(super) async fn when<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let waiting = async {
            loop {
                let woken = self.woken.notified();
                if let Some(found) = look() {
                    return found;
                }
                woken.await;
            }
        };
        timeout(PATIENCE, waiting).await.expect(what)
    }
}

/// A server with such ports, named `port 0` and so on, and their devices, nothing of them open.
pub(super) fn ports_fixture(kinds: &[PortKind]) -> (Fixture, Vec<Device>) {
    let (ports, devices) = kinds
        .iter()
        .enumerate()
        .map(|(number, kind)| {
            let (host, device) = attended_port();
            let woken = Arc::<Notify>::default();
            let waker = Arc::clone(&woken);
            device.set_waker(Arc::new(move || waker.notify_one()));
            let config = PortConfig {
                name: format!("port {number}"),
                kind: *kind,
                port: host,
            };
            (config, Device { port: device, woken })
        })
        .unzip();
    let displays = [Display::new(CanvasLimits::default())];
    let fixture = fixture_for(None, &displays, Security::default(), None, Sharing::default(), ports);
    (fixture, devices)
}

pub(super) const fn id(kind: ChannelType, id: u8) -> ChannelId {
    ChannelId { kind, id }
}

impl Fixture {
    /// A channel of a client that takes compressed data, or does not.
    async fn stream(&self, session: u32, channel: ChannelId, lz4: bool) -> Client {
        let caps = if lz4 {
            Caps::of(&[StreamCap::DataCompressLz4])
        } else {
            Caps::none()
        };
        link_with(self.connect(), channel, session, "", caps)
            .await
            .expect("it is let in")
    }

    /// The channel of a port that is open.
    async fn open_port(&self, session: u32, device: &Device) -> Client {
        let mut client = self.stream(session, id(ChannelType::Port, 0), false).await;
        device.open().await;
        assert!(matches!(client.next().await, ServerMessage::PortInit(_)));
        assert_eq!(client.next().await, ServerMessage::PortEvent(PortEvent::Opened));
        client
    }
}

impl Client {
    async fn next(&mut self) -> ServerMessage {
        let frame = timeout(PATIENCE, self.frame()).await.expect("something comes");
        frame.expect("the channel is open").message().unwrap()
    }

    /// Bytes in as many messages as it takes.
    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.next().await {
                ServerMessage::Data(more) => bytes.extend_from_slice(&more),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bytes.len(), count);
        bytes
    }

    async fn give(&mut self, bytes: &[u8]) {
        self.send(ClientMessage::Data(Bytes::copy_from_slice(bytes))).await;
    }

    pub(super) async fn offered(&mut self) -> Vec<ChannelId> {
        self.until(|message: main::ServerMessage| match message {
            main::ServerMessage::ChannelsList(list) => Some(list),
            _ => None,
        })
        .await
    }
}

/// The channels that lead to ports, of those a client is told of.
pub(super) async fn offered_ports(main: &mut Client) -> Vec<ChannelId> {
    main.send(main::ClientMessage::AttachChannels).await;
    let mut list = main.offered().await;
    list.retain(|channel| u8::from(channel.kind) >= u8::from(ChannelType::Smartcard));
    list
}

#[tokio::test]
async fn clients_are_told_of_ports_by_kind_and_number() {
    use PortKind::{Port, Smartcard, Usbredir, Webdav};
    let (fixture, _devices) = ports_fixture(&[Port, Webdav, Usbredir, Port, Smartcard, Usbredir, Smartcard]);
    let (mut main, _) = fixture.session().await;
    let wanted = [
        id(ChannelType::Port, 0),
        id(ChannelType::Webdav, 0),
        id(ChannelType::Usbredir, 0),
        id(ChannelType::Port, 1),
        id(ChannelType::Smartcard, 0),
        id(ChannelType::Usbredir, 1),
    ];
    assert_eq!(offered_ports(&mut main).await, wanted);
}

#[tokio::test]
async fn a_port_says_its_name_first_and_then_what_happens_at_the_other_end() {
    let (fixture, devices) = ports_fixture(&[PortKind::Webdav]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.stream(session, id(ChannelType::Webdav, 0), false).await;
    let init = PortInit {
        name: "port 0".to_owned(),
        opened: false,
    };
    assert_eq!(client.next().await, ServerMessage::PortInit(init));
    for round in 0..3 {
        devices[0].open().await;
        assert_eq!(client.next().await, ServerMessage::PortEvent(PortEvent::Opened));
        devices[0].write(b"from the guest").await;
        assert_eq!(client.exactly(14).await, b"from the guest");
        client.send(ClientMessage::PortEvent(PortEvent::Break)).await;
        client.give(b"to the ").await;
        client.give(b"guest").await;
        assert_eq!(devices[0].exactly(12).await, b"to the guest");
        // It is closed before anybody can have read this.
        devices[0].write(b"last words").await;
        devices[0].port.close();
        assert_eq!(client.exactly(10).await, b"last words", "round {round}");
        assert_eq!(client.next().await, ServerMessage::PortEvent(PortEvent::Closed));
    }
}

#[tokio::test]
async fn a_connection_that_is_over_at_once_is_told_of_with_all_it_had_to_say() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.stream(session, id(ChannelType::Port, 0), false).await;
    assert!(matches!(client.next().await, ServerMessage::PortInit(_)));
    let port = &devices[0].port;
    // Nobody runs between these.
    for word in [b"one", b"two", b"six"] {
        assert!(port.open() && port.write(word) == 3);
        port.close();
    }
    for words in [&b"onetwo"[..], b"six"] {
        assert_eq!(client.next().await, ServerMessage::PortEvent(PortEvent::Opened));
        assert_eq!(client.exactly(words.len()).await, words);
        assert_eq!(client.next().await, ServerMessage::PortEvent(PortEvent::Closed));
    }
}

#[tokio::test]
async fn a_port_is_one_clients_and_offered_to_the_others_when_that_one_leaves() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (channel, device) = (id(ChannelType::Port, 0), &devices[0]);
    let (main, session) = fixture.session().await;
    let client = fixture.open_port(session, device).await;
    let (mut other_main, other) = fixture.session().await;
    assert!(offered_ports(&mut other_main).await.is_empty());
    let refused = fixture.try_link(channel.kind, 0, other, "").await.err();
    assert_eq!(refused, Some(LinkCode::ChannelNotAvailable));
    // What is under way is nobody else's.
    device.write(b"for the first").await;
    drop((main, client));
    device.closed().await;
    assert_eq!(other_main.offered().await, [channel]);
    let mut second = fixture.open_port(other, device).await;
    device.write(b"for the second").await;
    assert_eq!(second.exactly(14).await, b"for the second");
}

#[tokio::test]
async fn what_a_port_does_not_take_waits_at_the_client() {
    const MESSAGES: usize = 64;
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.open_port(session, &devices[0]).await;
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES {
            client.give(&[number as u8; 32 << 10]).await;
        }
        client
    });
    let device = &devices[0];
    device
        .when("the port is full", || {
            (device.port.readable() == PORT_BYTES).then_some(())
        })
        .await;
    assert!(!sending.is_finished(), "2 MiB are nowhere else");
    for number in 0..MESSAGES {
        assert_eq!(device.exactly(32 << 10).await, [number as u8; 32 << 10]);
    }
    let mut client = timeout(PATIENCE, sending).await.expect("all is sent").unwrap();
    device.write(b"done").await;
    assert_eq!(client.exactly(4).await, b"done");
}

/// Fills a port, and says more.
async fn stuck(fixture: &Fixture, session: u32, device: &Device) -> Client {
    let mut client = fixture.open_port(session, device).await;
    client.give(&[1; PORT_BYTES + 1000]).await;
    client.give(b"the end").await;
    device
        .when("the port is full", || {
            (device.port.readable() == PORT_BYTES).then_some(())
        })
        .await;
    client
}

#[tokio::test]
async fn a_client_that_hangs_up_on_a_port_that_takes_nothing_leaves_it_to_the_next() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (channel, device) = (id(ChannelType::Port, 0), &devices[0]);
    let (mut main, session) = fixture.session().await;
    assert_eq!(offered_ports(&mut main).await, [channel]);
    let client = stuck(&fixture, session, device).await;
    tokio::time::pause();
    drop(client);
    assert_eq!(main.offered().await, [channel]);
    assert!(!device.port.is_open());
}

#[tokio::test]
async fn what_a_client_said_before_it_hung_up_the_guest_still_reads() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (_main, session) = fixture.session().await;
    drop(stuck(&fixture, session, &devices[0]).await);
    assert_eq!(devices[0].exactly(PORT_BYTES + 1000).await, [1; PORT_BYTES + 1000]);
    assert_eq!(devices[0].exactly(7).await, b"the end");
    devices[0].closed().await;
}

#[tokio::test]
async fn what_a_client_does_not_take_waits_in_the_guest() {
    let (fixture, mut devices) = ports_fixture(&[PortKind::Port]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.open_port(session, &devices[0]).await;
    let device = devices.remove(0);
    let sending = tokio::spawn(async move {
        for number in 0..64_u8 {
            device.write(&[number; 32 << 10]).await;
        }
        device
    });
    // A message in time shows that the other channels are not held up.
    let (mut other_main, _) = fixture.session().await;
    assert!(offered_ports(&mut other_main).await.is_empty());
    assert!(!sending.is_finished(), "2 MiB are nowhere else");
    for number in 0..64_u8 {
        assert!(client.exactly_of(32 << 10).await.iter().all(|byte| *byte == number));
    }
    let _device = timeout(PATIENCE, sending).await.expect("all is taken").unwrap();
}

impl Client {
    /// As [`Client::exactly`], where messages do not end with what is wanted.
    async fn exactly_of(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.over);
        while bytes.len() < count {
            match self.next().await {
                ServerMessage::Data(more) => bytes.extend_from_slice(&more),
                other => panic!("{other:?}"),
            }
        }
        self.over = bytes.split_off(count);
        bytes
    }
}

#[tokio::test]
async fn large_data_is_compressed_for_clients_that_say_so_and_are_not_here() {
    let (fixture, devices) = ports_fixture(&[PortKind::Usbredir]);
    let channel = id(ChannelType::Usbredir, 0);
    let noise: Vec<u8> = (0..1001).map(|_| rand::random()).collect();
    for lz4 in [true, false] {
        let (_main, session) = fixture.session().await;
        let mut client = fixture.stream(session, channel, lz4).await;
        devices[0].open().await;
        for (bytes, compresses) in [(vec![7; 1001], lz4), (vec![7; 1000], false), (noise.clone(), false)] {
            devices[0].write(&bytes).await;
            match client.next().await {
                ServerMessage::CompressedData(compressed) if compresses => {
                    assert_eq!(
                        (compressed.compression, compressed.uncompressed),
                        (Compression::Lz4, 1001)
                    );
                    assert!(compressed.bytes.len() < 100);
                    let size = compressed.uncompressed as usize;
                    assert_eq!(lz4_flex::block::decompress(&compressed.bytes, size).unwrap(), bytes);
                }
                ServerMessage::Data(data) if !compresses => assert_eq!(data, bytes),
                other => panic!("{other:?}"),
            }
        }
        drop(client);
        devices[0].closed().await;
    }
    // By a Unix socket.
    let (_main, session) = fixture.session().await;
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let unix = Peer::Unix(String::new());
    fixture.server.spawn(theirs, unix.clone(), unix);
    let caps = Caps::of(&[StreamCap::DataCompressLz4]);
    let mut client = link_with(ours, channel, session, "", caps).await.unwrap();
    devices[0].open().await;
    devices[0].write(&[7; 5000]).await;
    assert_eq!(client.next().await, ServerMessage::Data(vec![7; 5000].into()));
}

fn lz4(bytes: &[u8], uncompressed: u32) -> ClientMessage {
    ClientMessage::CompressedData(Compressed {
        compression: Compression::Lz4,
        uncompressed,
        bytes: Bytes::copy_from_slice(bytes),
    })
}

#[tokio::test]
async fn what_clients_compress_is_taken() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.open_port(session, &devices[0]).await;
    let largest = vec![9; 2 << 20];
    client.send(lz4(&lz4_flex::block::compress(&largest), 2 << 20)).await;
    assert_eq!(devices[0].exactly(2 << 20).await, largest);
    client
        .send(ClientMessage::CompressedData(Compressed {
            compression: Compression::None,
            uncompressed: 0,
            bytes: Bytes::from_static(b"as it is"),
        }))
        .await;
    assert_eq!(devices[0].exactly(8).await, b"as it is");
}

#[tokio::test]
async fn who_sends_nonsense_loses_the_channel_and_nothing_else() {
    let (fixture, devices) = ports_fixture(&[PortKind::Port, PortKind::Port]);
    let (mut main, session) = fixture.session().await;
    let (mut steady_main, steady_session) = fixture.session().await;
    let mut steady = fixture.stream(steady_session, id(ChannelType::Port, 1), false).await;
    devices[1].open().await;
    let block = lz4_flex::block::compress(&[3; 4096]);
    let bomb = lz4_flex::block::compress(&vec![0; 8 << 20]);
    let mut wrong: Vec<(u16, Bytes)> = [
        lz4(&bomb, 8 << 20),
        lz4(&bomb, 2 << 20),
        lz4(&block, u32::MAX),
        lz4(&block, (2 << 20) + 1),
        lz4(&block, 4095),
        lz4(&block, 4097),
        lz4(&block, 0),
        lz4(&[], 1),
        lz4(&[0xff; 500], 4096),
        // A copy from before the beginning.
        lz4(&[0x10, b'a', 9, 0], 8),
        ClientMessage::CompressedData(Compressed {
            compression: Compression::Unknown(2),
            uncompressed: 1,
            bytes: Bytes::from_static(b"a"),
        }),
    ]
    .iter()
    .map(|message| (message.id(), message.to_body().unwrap()))
    .collect();
    wrong.extend((1..block.len()).map(|length| (102, lz4(&block[..length], 4096).to_body().unwrap())));
    wrong.extend((0..5).map(|length| (102, Bytes::from(vec![1; length]))));
    // An event without its only byte.
    wrong.push((201, Bytes::new()));
    for (id, body) in wrong {
        let mut client = fixture.open_port(session, &devices[0]).await;
        client.send(ClientMessage::Unknown { id, body }).await;
        client.closed().await;
        devices[0].closed().await;
    }
    // Messages nobody knows, and events clients do not send, are passed over.
    let mut client = fixture.open_port(session, &devices[0]).await;
    for id in [100, 103, 200, 202, 300, u16::MAX] {
        let body = Bytes::from_static(b"what?");
        client.send(ClientMessage::Unknown { id, body }).await;
    }
    for event in 0..=u8::MAX {
        client.send(ClientMessage::PortEvent(event.into())).await;
    }
    client.give(b"all the same").await;
    assert_eq!(devices[0].exactly(12).await, b"all the same");
    // A size nobody may announce.
    client.stream.write_all(&[101, 0, 1, 0, 32, 0]).await.unwrap();
    client.closed().await;
    for main in [&mut main, &mut steady_main] {
        main.send(main::ClientMessage::AttachChannels).await;
        main.offered().await;
    }
    steady.give(b"still here").await;
    assert_eq!(devices[1].exactly(10).await, b"still here");
}

#[tokio::test]
async fn usb_devices_are_let_go_when_either_end_goes() {
    let (fixture, devices) = ports_fixture(&[PortKind::Usbredir]);
    let (channel, device) = (id(ChannelType::Usbredir, 0), &devices[0]);
    let (mut main, session) = fixture.session().await;
    assert_eq!(offered_ports(&mut main).await, [channel]);
    for round in 0..3 {
        let mut client = fixture.stream(session, channel, false).await;
        // It waits for whoever comes.
        client.give(b"hello").await;
        // By this answer the server has looked at it.
        assert!(offered_ports(&mut main).await.is_empty());
        device.open().await;
        assert_eq!(device.exactly(5).await, b"hello");
        device.write(b"hello to you").await;
        assert_eq!(client.exactly(12).await, b"hello to you");
        if round == 1 {
            drop(client);
            device.closed().await;
        } else {
            device.write(b"bye").await;
            device.port.close();
            assert_eq!(client.exactly(3).await, b"bye");
            client.closed().await;
        }
        assert_eq!(main.offered().await, [channel], "to begin anew");
    }
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_leave_nothing_behind() {
    const ROUNDS: usize = 1000;
    let (fixture, devices) = ports_fixture(&[PortKind::Usbredir]);
    let (channel, device) = (id(ChannelType::Usbredir, 0), &devices[0]);
    let (mut main, session) = fixture.session().await;
    assert_eq!(offered_ports(&mut main).await, [channel]);
    for round in 0..ROUNDS {
        let mut client = fixture.stream(session, channel, false).await;
        device.open().await;
        let mine = round.to_le_bytes();
        client.give(&mine).await;
        assert_eq!(device.exactly(mine.len()).await, mine, "nothing of the one before");
        device.write(&mine).await;
        assert_eq!(client.exactly(mine.len()).await, mine, "nothing of the one before");
        // Both have begun something.
        let _ = device.port.write(&[round as u8; 3000]);
        let header = [101, 0, 0, 16, 0, 0];
        let rest = [round as u8; 100];
        let cut = round % (header.len() + rest.len());
        client
            .stream
            .write_all(&[&header[..], &rest].concat()[..cut])
            .await
            .unwrap();
        if round % 2 == 0 {
            drop(client);
            device.closed().await;
        } else {
            device.port.close();
            client.closed().await;
        }
        assert_eq!(main.offered().await, [channel]);
        let acknowledged = if round == 0 {
            ClientCommon::AckSync(1)
        } else {
            ClientCommon::Ack
        };
        if round % 20 == 0 {
            main.send(main::ClientMessage::Common(acknowledged)).await;
        }
    }
}
