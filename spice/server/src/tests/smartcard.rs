//! Card readers of a client, and their devices.

use caraway_ports::port::PORT_BYTES;
use caraway_protocol::smartcard::{
    ClientMessage, NO_READER, ServerMessage, VSC_DATA_MAX, VSC_HEADER_BYTES, VSC_INIT, VscError, VscMessage, VscType,
};

use super::{
    ports::{Device, id, offered_ports, ports_fixture},
    *,
};
use crate::PortKind;

const CHANNEL: ChannelId = id(ChannelType::Smartcard, 0);

fn message(kind: VscType, reader: u32, data: &[u8]) -> VscMessage {
    VscMessage {
        kind,
        reader,
        data: Bytes::copy_from_slice(data),
    }
}

fn error(reader: u32, error: VscError) -> VscMessage {
    message(VscType::Error, reader, &u32::from(error).to_le_bytes())
}

impl Device {
    /// The next message to it.
    async fn heard(&self) -> VscMessage {
        let mut bytes = BytesMut::from(&self.exactly(VSC_HEADER_BYTES).await[..]);
        loop {
            match VscMessage::decode_device(&mut bytes).unwrap() {
                Progress::Done(message) => return message,
                Progress::Need(count) => bytes.extend_from_slice(&self.exactly(count).await),
            }
        }
    }

    async fn say(&self, message: &VscMessage) {
        self.write(&message.encode_device()).await;
    }

    /// Its answer, in the order of its stream.
    async fn answers(&self, code: VscError) {
        self.say(&message(VscType::Error, 77, &u32::from(code).to_be_bytes()))
            .await;
    }
}

impl Client {
    async fn told(&mut self) -> VscMessage {
        let frame = timeout(PATIENCE, self.frame()).await.expect("something comes");
        match frame.expect("the channel is open").message().unwrap() {
            ServerMessage::Data(message) => message,
            other => panic!("{other:?}"),
        }
    }

    async fn tell(&mut self, kind: VscType, reader: u32, data: &[u8]) {
        self.send(ClientMessage::Data(message(kind, reader, data))).await;
    }

    /// Adds a reader, which the device takes.
    async fn add(&mut self, device: &Device, reader: u32) {
        self.tell(VscType::ReaderAdd, NO_READER, b"reader").await;
        assert_eq!(device.heard().await, message(VscType::Init, NO_READER, &VSC_INIT));
        assert_eq!(device.heard().await, message(VscType::ReaderAdd, NO_READER, b"reader"));
        device.answers(VscError::Success).await;
        assert_eq!(self.told().await, error(reader, VscError::Success));
    }
}

async fn cards(devices: usize) -> (Fixture, Vec<Device>, Client, Client) {
    let (fixture, devices) = ports_fixture(&vec![PortKind::Smartcard; devices]);
    let (mut main, session) = fixture.session().await;
    assert_eq!(offered_ports(&mut main).await, [CHANNEL]);
    let client = fixture.link(ChannelType::Smartcard, session).await;
    for device in &devices {
        device.open().await;
    }
    (fixture, devices, main, client)
}

#[tokio::test]
async fn a_card_is_put_in_asked_and_taken_out() {
    let (_fixture, devices, _main, mut client) = cards(1).await;
    let device = &devices[0];
    client.add(device, 0).await;
    // It greets, too.
    device.say(&message(VscType::Init, 0, &VSC_INIT)).await;
    client.tell(VscType::Atr, 0, &[0x3b; 40]).await;
    assert_eq!(device.heard().await, message(VscType::Atr, 0, &[0x3b; 40]));
    device.answers(VscError::Success).await;
    assert_eq!(client.told().await, error(0, VscError::Success));
    for length in [0, 5, VSC_DATA_MAX] {
        let (command, response) = (vec![1; length], vec![2; length]);
        // The number a device gives is not the client's business.
        device.say(&message(VscType::Apdu, 4_000_000, &command)).await;
        assert_eq!(client.told().await, message(VscType::Apdu, 0, &command));
        client.tell(VscType::Apdu, 0, &response).await;
        assert_eq!(device.heard().await, message(VscType::Apdu, 0, &response));
    }
    for kind in [VscType::CardRemove, VscType::ReaderRemove] {
        client.tell(kind, 0, &[]).await;
        assert_eq!(device.heard().await, message(kind, 0, &[]));
        device.answers(VscError::Success).await;
        assert_eq!(client.told().await, error(0, VscError::Success));
    }
    client.tell(VscType::Atr, 0, &[0x3b]).await;
    assert_eq!(client.told().await, error(0, VscError::General), "it is gone");
    client.tell(VscType::ReaderAdd, NO_READER, b"again").await;
    assert_eq!(device.heard().await, message(VscType::ReaderAdd, NO_READER, b"again"));
}

#[tokio::test]
async fn each_reader_has_a_device_and_ten_are_the_most() {
    let (_fixture, devices, _main, mut client) = cards(10).await;
    for (reader, device) in (0..).zip(&devices) {
        client.add(device, reader).await;
    }
    client.tell(VscType::ReaderAdd, NO_READER, b"eleventh").await;
    assert_eq!(client.told().await, error(NO_READER, VscError::CannotAddMoreReaders));
    for (reader, device) in (0..10).zip(&devices).rev() {
        client.tell(VscType::Apdu, reader, &[reader as u8]).await;
        assert_eq!(device.heard().await, message(VscType::Apdu, reader, &[reader as u8]));
    }
    // Numbers of readers that are not there.
    for reader in [10, 11, 255, 256, 0x7fff_ffff, u32::MAX - 1, NO_READER] {
        for kind in [VscType::Apdu, VscType::Error, VscType::Flush, VscType::FlushComplete] {
            client.tell(kind, reader, &[1, 2, 3, 4]).await;
        }
        for kind in [VscType::Atr, VscType::CardRemove, VscType::ReaderRemove] {
            client.tell(kind, reader, &[]).await;
            assert_eq!(client.told().await, error(reader, VscError::General));
        }
    }
    assert!(devices.iter().all(|device| device.port.readable() == 0));
}

#[tokio::test]
async fn a_reader_waits_for_its_device_and_may_give_up() {
    let (fixture, devices) = ports_fixture(&[PortKind::Smartcard, PortKind::Smartcard]);
    let (_main, session) = fixture.session().await;
    let mut client = fixture.link(ChannelType::Smartcard, session).await;
    client.tell(VscType::ReaderAdd, NO_READER, b"first").await;
    client.tell(VscType::ReaderAdd, NO_READER, b"second").await;
    client.tell(VscType::ReaderAdd, NO_READER, b"third").await;
    assert_eq!(client.told().await, error(NO_READER, VscError::CannotAddMoreReaders));
    client.tell(VscType::ReaderRemove, 1, &[]).await;
    assert_eq!(client.told().await, error(1, VscError::Success));
    devices[1].open().await;
    devices[0].open().await;
    assert_eq!(devices[0].heard().await.kind, VscType::Init);
    assert_eq!(
        devices[0].heard().await,
        message(VscType::ReaderAdd, NO_READER, b"first")
    );
    assert_eq!(devices[1].heard().await.kind, VscType::Init);
    devices[0].answers(VscError::CannotAddMoreReaders).await;
    assert_eq!(client.told().await, error(0, VscError::CannotAddMoreReaders));
    // Refused, so it is free.
    client.tell(VscType::ReaderAdd, NO_READER, b"fourth").await;
    assert_eq!(
        devices[0].heard().await,
        message(VscType::ReaderAdd, NO_READER, b"fourth")
    );
}

#[tokio::test]
async fn a_device_is_told_when_the_client_leaves_and_the_client_when_a_device_does() {
    let (fixture, devices, mut main, mut client) = cards(2).await;
    client.add(&devices[0], 0).await;
    drop(client);
    devices[0].closed().await;
    assert_eq!(devices[0].heard().await, message(VscType::ReaderRemove, 0, &[]));
    assert_eq!(main.offered().await, [CHANNEL]);
    // Another one, and this time the device goes.
    let (_main, session) = fixture.session().await;
    let mut client = fixture.link(ChannelType::Smartcard, session).await;
    devices[0].open().await;
    client.add(&devices[0], 0).await;
    devices[1].port.close();
    client.tell(VscType::Atr, 0, &[1]).await;
    assert_eq!(
        devices[0].heard().await.kind,
        VscType::Atr,
        "the other one is not concerned"
    );
    devices[0].port.close();
    client.closed().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_on_a_device_that_takes_nothing_leaves_its_readers_to_the_next() {
    let (_fixture, devices, mut main, mut client) = cards(1).await;
    let device = &devices[0];
    client.add(device, 0).await;
    for _ in 0..3 {
        client.tell(VscType::Apdu, 0, &[1; 60_000]).await;
    }
    device
        .when("it is full", || (device.port.readable() == PORT_BYTES).then_some(()))
        .await;
    tokio::time::pause();
    drop(client);
    assert_eq!(main.offered().await, [CHANNEL]);
    assert!(!device.port.is_open());
}

#[tokio::test]
async fn messages_with_wrong_lengths_end_the_channel_and_nothing_reaches_a_device() {
    let (fixture, devices, mut main, client) = cards(1).await;
    drop(client);
    assert_eq!(main.offered().await, [CHANNEL]);
    devices[0].closed().await;
    let words = |length: u32| [7, 0, length].map(u32::to_le_bytes).concat();
    let mut bodies: Vec<Vec<u8>> = (0..VSC_HEADER_BYTES)
        .map(|length| words(0)[..length].to_vec())
        .collect();
    for length in [5, 0x7fff_ffff, 0x8000_0000, u32::MAX - 11, u32::MAX] {
        bodies.push([words(length), vec![0; 4]].concat());
    }
    // One byte more than any command has.
    let much = VSC_DATA_MAX + 1;
    bodies.push([words(much as u32), vec![0; much]].concat());
    for body in bodies {
        let (_main, session) = fixture.session().await;
        let mut client = fixture.link(ChannelType::Smartcard, session).await;
        devices[0].open().await;
        client.add(&devices[0], 0).await;
        client
            .send(ClientMessage::Unknown {
                id: 101,
                body: body.into(),
            })
            .await;
        client.closed().await;
        devices[0].closed().await;
        assert_eq!(devices[0].heard().await.kind, VscType::ReaderRemove);
        assert_eq!(devices[0].port.readable(), 0);
    }
}

#[tokio::test]
async fn what_a_device_says_may_come_in_pieces_and_is_cut_off_when_it_is_nonsense() {
    let (_fixture, devices, mut main, mut client) = cards(1).await;
    client.add(&devices[0], 0).await;
    let command = message(VscType::Apdu, 0, &[5; 30]);
    for byte in command.encode_device() {
        devices[0].write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.told().await, command);
    // Kinds that are not a device's to say, and an answer without a code.
    for kind in [1, 3, 4, 5, 6, 9, 10, u32::MAX] {
        devices[0].say(&message(kind.into(), 0, b"?")).await;
    }
    devices[0].say(&message(VscType::Error, 0, &[1, 2, 3])).await;
    devices[0].say(&command).await;
    assert_eq!(client.told().await, command);
    let length = (VSC_DATA_MAX as u32 + 1).to_be_bytes();
    devices[0]
        .write(&[&[0, 0, 0, 7, 0, 0, 0, 0][..], &length].concat())
        .await;
    devices[0].closed().await;
    client.closed().await;
    assert_eq!(main.offered().await, [CHANNEL]);
}

#[tokio::test]
async fn readers_that_come_and_go_a_thousand_times_leave_nothing_behind() {
    let (_fixture, devices, _main, mut client) = cards(1).await;
    let device = &devices[0];
    client.add(device, 0).await;
    for _ in 0..1000 {
        // In the middle of a command.
        device.say(&message(VscType::Apdu, 0, &[1; 100])).await;
        client.tell(VscType::ReaderRemove, 0, &[]).await;
        assert_eq!(device.heard().await.kind, VscType::ReaderRemove);
        device.answers(VscError::Success).await;
        client.tell(VscType::ReaderAdd, NO_READER, b"reader").await;
        assert_eq!(device.heard().await.kind, VscType::ReaderAdd);
        device.answers(VscError::Success).await;
        let mut answers = 0;
        while answers < 2 {
            answers += usize::from(client.told().await.kind == VscType::Error);
        }
    }
}
