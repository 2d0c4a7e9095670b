//! Channels that carry bytes: port, webdav and usbredir.

use caraway_ports::port::PORT_BYTES;
use caraway_protocol::spicevmc::client_id::{ALL, COMPRESSED_DATA, DATA, PORT_EVENT};

use super::*;

const FULL: (u16, &[u8]) = (DATA, &[0x5a; PORT_BYTES]);

/// Bytes in front of those that are compressed: how, and how many they become.
const COMPRESSED_HEADER: usize = 5;

const fn row(kind: ChannelType) -> Row {
    Row {
        kind,
        all: ALL,
        needs: &[(DATA, 0), (COMPRESSED_DATA, COMPRESSED_HEADER), (PORT_EVENT, 1)],
        states: &[
            State {
                name: "linked",
                caps: &[],
                before: &[],
            },
            // No more fits in where there is a device, until it has read.
            State {
                name: "full",
                caps: &[],
                before: &[FULL],
            },
        ],
        outcome: |_, _, id, body| match (id, body) {
            // Not compressed, so that no number follows.
            (COMPRESSED_DATA, [0, ..]) => Some(Outcome::GoesOn),
            (COMPRESSED_DATA, [2..=u8::MAX, ..]) if body.len() >= COMPRESSED_HEADER => {
                Some(ends(&["102", "it is compressed in a way nobody knows"]))
            }
            _ => None,
        },
    }
}

pub(super) const PORT: Row = row(ChannelType::Port);
pub(super) const WEBDAV: Row = row(ChannelType::Webdav);
pub(super) const USBREDIR: Row = row(ChannelType::Usbredir);

#[tokio::test]
async fn every_message_of_a_channel_that_carries_bytes_at_every_length() {
    for row in [PORT, WEBDAV, USBREDIR] {
        // Without a device, the client of a usbredir channel is not read any more, and waits.
        let guests = [Guest::Bare, Guest::Devices, Guest::LateDevices];
        for guest in &guests[usize::from(row.kind == ChannelType::Usbredir)..] {
            row.every_length(*guest).await;
            row.unknown_ones(*guest).await;
        }
    }
}

/// A block that becomes 300 bytes.
fn block() -> Vec<u8> {
    lz4_flex::block::compress(&[6; 300])
}

fn compressed(how: u8, becomes: u32, bytes: &[u8]) -> Vec<u8> {
    [&[how], &becomes.to_le_bytes()[..], bytes].concat()
}

#[tokio::test]
async fn what_was_compressed_becomes_what_it_says_whoever_is_there_to_take_it() {
    const SHORT: &str = "it does not become as much as it says";
    const MUCH: &str = "it says that it becomes more than a message may be";
    let block = block();
    let mut cases = vec![
        (compressed(1, 300, &block), None),
        // Nothing: a token without literals, and no block at all.
        (compressed(1, 0, &[0]), None),
        (compressed(1, 0, &[]), Some(SHORT)),
        (compressed(1, 300, &[]), Some(SHORT)),
        (compressed(1, 300, &block[..block.len() - 1]), Some(SHORT)),
        (compressed(1, 300, &[0xff; 600]), Some(SHORT)),
    ];
    for becomes in [0, 1, 299, 301, (2 << 20) - 1, 2 << 20] {
        cases.push((compressed(1, becomes, &block), Some(SHORT)));
    }
    for becomes in [(2 << 20) + 1, 1 << 31, u32::MAX - 1, u32::MAX] {
        for bytes in [&block[..], &[]] {
            cases.push((compressed(1, becomes, bytes), Some(MUCH)));
        }
    }
    for how in 2..=u8::MAX {
        cases.push((
            compressed(how, 300, &block),
            Some("it is compressed in a way nobody knows"),
        ));
    }
    for kind in [ChannelType::Port, ChannelType::Webdav, ChannelType::Usbredir] {
        for guest in [Guest::Bare, Guest::Devices] {
            let mut scene = Scene::new(guest, true).await;
            for (body, says) in &cases {
                let waits = says.is_none() && kind == ChannelType::Usbredir && guest == Guest::Bare;
                if waits {
                    continue;
                }
                let mut channel = scene.channel(kind, HeaderKind::Mini);
                if guest.has_devices() {
                    scene.opened(kind).await;
                }
                channel.say(COMPRESSED_DATA, body).await;
                let is = scene.outcome(channel, kind).await;
                match says {
                    Some(says) => assert!(
                        matches!(&is.0, Outcome::Ends(error) if error[0].contains(says)) && is.1.is_empty(),
                        "{kind:?} {guest:?} {body:02x?}: {is:?}, not {says}"
                    ),
                    None => {
                        let becomes = u32::from_le_bytes(*body[1..].first_chunk().unwrap());
                        let there = if guest.has_devices() { becomes as usize } else { 0 };
                        assert_eq!(is, (Outcome::GoesOn, vec![6; there]), "{kind:?} {guest:?} {body:02x?}");
                    }
                }
            }
            scene.nobody_noticed().await;
        }
    }
}

#[tokio::test]
async fn what_waits_for_a_device_or_for_room_comes_whole_and_in_order() {
    let more = [
        (DATA, b"one".to_vec()),
        (DATA, Vec::new()),
        (COMPRESSED_DATA, b"\0two".to_vec()),
        (PORT_EVENT, vec![0]),
        (COMPRESSED_DATA, vec![0]),
        (COMPRESSED_DATA, compressed(1, 300, &block())),
        (999, b"not this".to_vec()),
        (DATA, vec![3; 3 * PORT_BYTES + 1]),
        (DATA, b"end".to_vec()),
    ];
    let expected = [FULL.1, b"onetwo", &[6; 300], &vec![3; 3 * PORT_BYTES + 1], b"end"].concat();
    for kind in [ChannelType::Port, ChannelType::Webdav, ChannelType::Usbredir] {
        for guest in [Guest::Devices, Guest::LateDevices] {
            if guest == Guest::LateDevices && kind != ChannelType::Usbredir {
                // It would be dropped: nobody is waited for.
                continue;
            }
            let mut scene = Scene::new(guest, true).await;
            let mut channel = scene.channel(kind, HeaderKind::Mini);
            if guest == Guest::Devices {
                scene.opened(kind).await;
            }
            let end = async {
                channel.say(FULL.0, FULL.1).await;
                for (id, body) in &more {
                    channel.say(*id, body).await;
                }
                channel.outcome().await
            };
            let (outcome, read) = scene.read_until(kind, end).await;
            assert_eq!(outcome, Outcome::GoesOn, "{kind:?} {guest:?}");
            assert!(read == expected, "{kind:?} {guest:?}: {} bytes", read.len());
            scene.nobody_noticed().await;
        }
    }
}
