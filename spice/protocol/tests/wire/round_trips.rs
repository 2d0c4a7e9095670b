//! What is encoded decodes to the same, for every message type of both directions of every channel.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use caraway_protocol::caps::Caps;
use caraway_protocol::channel::ChannelId;
use caraway_protocol::header::{FrameDecoder, FrameEncoder, HeaderKind, Limits};
use caraway_protocol::link::{Acceptance, LinkMessage, LinkReply};
use caraway_protocol::sublist::SubMessage;
use caraway_protocol::{Message, Progress, common, cursor, display, inputs, main_channel, smartcard, spicevmc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::strategies;
use crate::support::{frame, through_the_wire};

type Names = fn(u16) -> Option<&'static str>;

/// Messages whose last part is everything to the end of the body; in all others bytes behind are ignored.
const OPEN_ENDED: &[&str] = &[
    "MIGRATE_DATA",
    "PING",
    "MAIN_AGENT_DATA",
    "MAIN_QUALITY_INDICATOR",
    "DISPLAY_QUALITY_INDICATOR",
    "INPUTS_KEY_SCANCODE",
    "CURSOR_INIT",
    "CURSOR_SET",
    "SPICEVMC_DATA",
    "SPICEVMC_COMPRESSED_DATA",
];

/// Checks `cases` messages and that every id of `names` is among them.
fn round_trips<M: Message + PartialEq + Debug>(strategy: impl Strategy<Value = M>, names: [Names; 2], cases: u32) {
    let seen = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&strategy, |message| {
        seen.borrow_mut().insert(message.id());
        for kind in [HeaderKind::Mini, HeaderKind::Full] {
            prop_assert_eq!(&through_the_wire(&message, kind).unwrap(), &message);
        }
        let name = message.name();
        if !OPEN_ENDED.contains(&name) && !name.starts_with("unknown") {
            let longer = [&message.to_body().unwrap()[..], b"later field"].concat();
            let decoded = M::decode(message.id(), &Bytes::from(longer));
            prop_assert_eq!(decoded.as_ref(), Ok(&message));
        }
        Ok(())
    });
    result.unwrap();
    let known: BTreeSet<u16> = (0..400)
        .filter(|id| names.iter().any(|name| name(*id).is_some()))
        .collect();
    let missing: Vec<u16> = known.difference(&seen.borrow()).copied().collect();
    assert!(missing.is_empty(), "no message was made of ids {missing:?}");
}

#[test]
fn main_channel_of_the_server() {
    round_trips(
        strategies::main_server(),
        [main_channel::server_id::name, common::server_id::name],
        800,
    );
}

#[test]
fn main_channel_of_the_client() {
    round_trips(
        strategies::main_client(),
        [main_channel::client_id::name, common::client_id::name],
        600,
    );
}

#[test]
fn display_channel_of_the_server() {
    round_trips(
        strategies::display_server(),
        [display::server_id::name, common::server_id::name],
        1500,
    );
}

#[test]
fn display_channel_of_the_client() {
    round_trips(
        strategies::display_client(),
        [display::client_id::name, common::client_id::name],
        400,
    );
}

#[test]
fn inputs_channel_of_the_server() {
    round_trips(
        strategies::inputs_server(),
        [inputs::server_id::name, common::server_id::name],
        400,
    );
}

#[test]
fn inputs_channel_of_the_client() {
    round_trips(
        strategies::inputs_client(),
        [inputs::client_id::name, common::client_id::name],
        500,
    );
}

#[test]
fn cursor_channel_of_the_server() {
    round_trips(
        strategies::cursor_server(),
        [cursor::server_id::name, common::server_id::name],
        600,
    );
}

#[test]
fn cursor_channel_of_the_client() {
    round_trips(strategies::cursor_client(), [common::client_id::name, |_| None], 300);
}

#[test]
fn spicevmc_channels() {
    round_trips(
        strategies::spicevmc_server(),
        [spicevmc::server_id::name, common::server_id::name],
        600,
    );
    round_trips(
        strategies::spicevmc_client(),
        [spicevmc::client_id::name, common::client_id::name],
        400,
    );
}

#[test]
fn smartcard_channel() {
    round_trips(
        strategies::smartcard_server(),
        [smartcard::server_id::name, common::server_id::name],
        500,
    );
    round_trips(
        strategies::smartcard_client(),
        [smartcard::client_id::name, common::client_id::name],
        300,
    );
}

fn caps() -> impl Strategy<Value = Caps> {
    proptest::collection::vec(any::<u32>(), 0..5).prop_map(Caps::from_words)
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn link_messages(connection_id: u32, kind: u8, id: u8, common_caps in caps(), channel_caps in caps()) {
        let message = LinkMessage {
            connection_id,
            channel: ChannelId { kind: kind.into(), id },
            common_caps,
            channel_caps,
        };
        let decoded = LinkMessage::decode(&mut BytesMut::from(&message.encode()[..]));
        prop_assert_eq!(decoded, Ok(Progress::Done(message)));
    }

    #[test]
    fn link_replies(key: u8, code in 1_u32.., accept: bool, common_caps in caps(), channel_caps in caps()) {
        let reply = if accept {
            LinkReply::Accepted(Box::new(Acceptance { public_key: [key; 162], common_caps, channel_caps }))
        } else {
            LinkReply::Refused(code.into())
        };
        let decoded = LinkReply::decode(&mut BytesMut::from(&reply.encode()[..]));
        prop_assert_eq!(decoded, Ok(Progress::Done(reply)));
    }

    #[test]
    fn a_stream_of_messages_cut_anywhere(
        messages in proptest::collection::vec(strategies::display_server(), 1..5),
        cut in 1_usize..200,
        full: bool,
    ) {
        let kind = if full { HeaderKind::Full } else { HeaderKind::Mini };
        let (mut encoder, mut wire) = (FrameEncoder::new(kind), Vec::new());
        for message in &messages {
            encoder.encode_into(message, &mut wire).unwrap();
        }
        prop_assert_eq!(encoder.last_serial(), messages.len() as u64);
        let (mut decoder, mut buffer, mut decoded) = (FrameDecoder::new(kind, Limits::FromServer), BytesMut::new(), vec![]);
        for piece in wire.chunks(cut) {
            buffer.extend_from_slice(piece);
            while let Progress::Done(frame) = decoder.decode(&mut buffer).unwrap() {
                prop_assert_eq!(frame.serial, decoded.len() as u64 + 1);
                decoded.push(frame.message::<display::ServerMessage>().unwrap());
            }
        }
        prop_assert_eq!(decoded, messages);
    }

    #[test]
    fn a_drawing_that_carries_sub_messages(
        draw in strategies::draw(),
        carried in proptest::collection::vec(strategies::display_server(), 1..4),
    ) {
        let draw = display::ServerMessage::from(draw);
        let carried: Vec<_> = carried.into_iter().filter(|message| message.id() != common::server_id::LIST).collect();
        let subs: Vec<SubMessage> = carried.iter().map(|message| SubMessage::new(message).unwrap()).collect();
        let wire = FrameEncoder::new(HeaderKind::Full).encode_with(&draw, &subs).unwrap().to_bytes();
        let frame = frame(HeaderKind::Full, Limits::FromServer, &wire);
        prop_assert_eq!(&frame.sub_messages().unwrap(), &subs);
        for (sub, message) in subs.iter().zip(&carried) {
            prop_assert_eq!(&sub.message::<display::ServerMessage>().unwrap(), message);
        }
        prop_assert_eq!(frame.message::<display::ServerMessage>().unwrap(), draw);
    }
}
