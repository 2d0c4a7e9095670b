//! The smartcard channel.

use caraway_protocol::smartcard::{
    NO_READER, VSC_DATA_MAX, VSC_HEADER_BYTES, VSC_INIT, VscError, VscMessage, VscType,
    client_id::{ALL, DATA},
};

use super::*;

/// Bytes of INIT and READER_ADD without a name, which a device is told first.
const GREETING: usize = VSC_HEADER_BYTES + VSC_INIT.len() + VSC_HEADER_BYTES;

/// Bytes of an answer to the client: a header, and a code behind that of a message.
const ANSWER: usize = 6 + VSC_HEADER_BYTES + 4;

/// A client that has a reader.
const ADD: (u16, &[u8]) = (DATA, &[3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

pub(super) const ROW: Row = Row {
    kind: ChannelType::Smartcard,
    all: ALL,
    needs: &[(DATA, VSC_HEADER_BYTES)],
    states: &[
        State {
            name: "linked",
            caps: &[],
            before: &[],
        },
        State {
            name: "with a reader",
            caps: &[],
            before: &[ADD],
        },
    ],
    outcome: |_, _, id, body| match (id, body.get(8..12)) {
        // Of the fills, only zeros are the length of what is there.
        (DATA, Some(length)) if length != [0; 4] => {
            let length = u32::from_le_bytes(*length.first_chunk()?);
            Some(ends(&[&format!("SMARTCARD_DATA: data: needs {length} bytes, ")]))
        }
        _ => None,
    },
};

#[tokio::test]
async fn every_message_of_the_smartcard_channel_at_every_length() {
    for guest in [Guest::Bare, Guest::Devices, Guest::LateDevices] {
        ROW.every_length(guest).await;
        ROW.unknown_ones(guest).await;
    }
}

/// A message with a length that need not be right.
fn body(kind: u32, reader: u32, length: u32, data: &[u8]) -> Vec<u8> {
    let words = [kind, reader, length].map(u32::to_le_bytes);
    [words.as_flattened(), data].concat()
}

const READERS: [u32; 14] = [
    0,
    1,
    2,
    3,
    8,
    9,
    10,
    11,
    255,
    256,
    65536,
    1 << 31,
    u32::MAX - 1,
    NO_READER,
];

#[tokio::test]
async fn messages_of_every_kind_about_any_reader_are_answered_passed_on_or_go_by() {
    for guest in [Guest::Bare, Guest::Devices, Guest::LateDevices] {
        let mut scene = Scene::new(guest, true).await;
        for state in ROW.states {
            for kind in (0..=11).chain([255, 1 << 31, u32::MAX]) {
                for reader in READERS {
                    for length in [0, 1, 4, 12] {
                        let body = body(kind, reader, length, &vec![0xff; length as usize]);
                        let mut channel = scene.channel(ROW.kind, HeaderKind::Mini);
                        if guest == Guest::Devices {
                            scene.opened(ROW.kind).await;
                        }
                        for (id, body) in state.before {
                            channel.say(*id, body).await;
                        }
                        channel.say(DATA, &body).await;
                        let (is, _) = scene.outcome(channel, ROW.kind).await;
                        let name = state.name;
                        assert_eq!(is, Outcome::GoesOn, "{guest:?} {name} {kind} {reader} {length}");
                    }
                }
            }
            scene.nobody_noticed().await;
        }
    }
}

#[tokio::test]
async fn lengths_of_messages_that_are_lies_end_the_channel_before_a_device_hears_of_them() {
    let says =
        |length: u32, there: usize| Some(format!("SMARTCARD_DATA: data: needs {length} bytes, {there} are left"));
    let most = VSC_DATA_MAX as u32;
    let mut cases = vec![
        (most, VSC_DATA_MAX, None),
        (
            most + 1,
            VSC_DATA_MAX + 1,
            Some("it is longer than the longest command of a smart card".to_owned()),
        ),
        (most, VSC_DATA_MAX - 1, says(most, VSC_DATA_MAX - 1)),
        (1, 0, says(1, 0)),
        // What is behind the end goes by, however long it is.
        (0, VSC_DATA_MAX + 1, None),
        (4, 5, None),
    ];
    for length in [5, 12, 1 << 16, 1 << 31, u32::MAX - 12, u32::MAX - 11, u32::MAX] {
        cases.push((length, 4, says(length, 4)));
    }
    for guest in [Guest::Bare, Guest::Devices] {
        let mut scene = Scene::new(guest, true).await;
        for kind in [VscType::ReaderAdd, VscType::Atr, VscType::Apdu, VscType::Unknown(77)] {
            for (length, there, says) in &cases {
                let mut channel = scene.channel(ROW.kind, HeaderKind::Mini);
                if guest == Guest::Devices {
                    scene.opened(ROW.kind).await;
                }
                channel
                    .say(DATA, &body(kind.into(), 0, *length, &vec![7; *there]))
                    .await;
                let (is, mut read) = scene.outcome(channel, ROW.kind).await;
                match (&is, says) {
                    (Outcome::Ends(error), Some(says)) => {
                        assert!(error[0].contains(says), "{error:?}, not {says}");
                        read.drain(..read.len().min(VSC_HEADER_BYTES + VSC_INIT.len()));
                        assert!(read.is_empty(), "{kind:?}: more than a greeting: {read:02x?}");
                    }
                    (is, says) => assert!(
                        *is == Outcome::GoesOn && says.is_none(),
                        "{kind:?} {length} {there}: {is:?}, not {says:?}"
                    ),
                }
            }
        }
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn a_device_that_reads_late_hears_everything_and_only_of_its_reader() {
    const COMMANDS: usize = 20;
    let mut scene = Scene::new(Guest::Devices, true).await;
    let mut channel = scene.channel(ROW.kind, HeaderKind::Mini);
    scene.opened(ROW.kind).await;
    channel.say(ADD.0, ADD.1).await;
    let device = scene.devices(ROW.kind).next().unwrap();
    timeout(PATIENCE, async {
        while device.readable() < GREETING {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the device is told of the reader");
    let success = VscMessage {
        kind: VscType::Error,
        reader: 0,
        data: Bytes::copy_from_slice(&u32::from(VscError::Success).to_be_bytes()),
    };
    let answer = success.encode_device();
    assert_eq!(device.write(&answer), answer.len());
    // The server has heard it by what it says to the client.
    let mut told = [0; ANSWER];
    timeout(PATIENCE, channel.stream.read_exact(&mut told))
        .await
        .expect("it is told")
        .unwrap();
    let end = async {
        for number in 0..COMMANDS {
            for reader in READERS {
                let command = vec![number as u8; 16 << 10];
                channel
                    .say(DATA, &body(VscType::Apdu.into(), reader, 16 << 10, &command))
                    .await;
            }
        }
        channel.outcome().await
    };
    let (outcome, read) = scene.read_until(ROW.kind, end).await;
    assert_eq!(outcome, Outcome::GoesOn);
    let mut read = BytesMut::from(&read[..]);
    let mut heard = Vec::new();
    while let Progress::Done(message) = VscMessage::decode_device(&mut read).unwrap() {
        heard.push((message.kind, message.reader, message.data.first().copied()));
    }
    let mut expected = vec![
        (VscType::Init, NO_READER, Some(b'V')),
        (VscType::ReaderAdd, NO_READER, None),
    ];
    expected.extend((0..COMMANDS).map(|number| (VscType::Apdu, 0, Some(number as u8))));
    expected.push((VscType::ReaderRemove, 0, None));
    // The last one is for a port that has room.
    assert!(
        heard == expected || heard[..] == expected[..expected.len() - 1],
        "{heard:?}"
    );
    scene.nobody_noticed().await;
}
