//! Bytes nobody should send: errors that say what is wrong, never a panic, never memory by an unchecked count.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use caraway_protocol::channel::ChannelType;
use caraway_protocol::header::{FrameDecoder, FrameEncoder, HeaderKind, Limits};
use caraway_protocol::link::sasl::{self, decode_mechanisms};
use caraway_protocol::link::{LinkMessage, LinkReply};
use caraway_protocol::main_channel::{self, AgentHeader};
use caraway_protocol::sublist::{self, SubMessage};
use caraway_protocol::{Error, Message, Progress, common, cursor, display, inputs, smartcard, spicevmc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;

use crate::hex;
use crate::strategies;
use crate::support::{bytes_of, decode_prefixes};

/// Values that are wrong in most places.
const NASTY: [u32; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/// What `body` decodes to, if anything, encodes and decodes to the same.
fn survives<M: Message + PartialEq + Debug>(id: u16, body: &Bytes) {
    if let Ok(message) = M::decode(id, body) {
        let again = message.to_body().unwrap();
        assert_eq!(M::decode(id, &again).as_ref(), Ok(&message));
    }
}

/// `body` as every message of every channel.
fn survives_everywhere(body: &Bytes) {
    for id in (0..128).chain(200..203).chain(300..326) {
        survives::<main_channel::ServerMessage>(id, body);
        survives::<main_channel::ClientMessage>(id, body);
        survives::<display::ServerMessage>(id, body);
        survives::<display::ClientMessage>(id, body);
        survives::<inputs::ServerMessage>(id, body);
        survives::<inputs::ClientMessage>(id, body);
        survives::<cursor::ServerMessage>(id, body);
        survives::<cursor::ClientMessage>(id, body);
        survives::<spicevmc::ServerMessage>(id, body);
        survives::<spicevmc::ClientMessage>(id, body);
        survives::<smartcard::ServerMessage>(id, body);
        survives::<smartcard::ClientMessage>(id, body);
    }
}

/// Overwrites four bytes at each place.
fn mutated(body: &Bytes, changes: &[(Index, usize)]) -> Bytes {
    let mut bytes = body.to_vec();
    for (place, value) in changes {
        let at = place.index(bytes.len().max(1));
        let value = NASTY[*value].to_le_bytes();
        bytes.iter_mut().skip(at).zip(value).for_each(|(byte, new)| *byte = new);
    }
    bytes.into()
}

fn changes() -> impl Strategy<Value = Vec<(Index, usize)>> {
    vec((any::<Index>(), 0..NASTY.len()), 1..4)
}

proptest! {
    #![proptest_config(Config { cases: 1024, failure_persistence: None, ..Config::default() })]

    #[test]
    fn changed_display_messages(message in strategies::display_server(), changes in changes()) {
        let body = message.to_body().unwrap();
        survives::<display::ServerMessage>(message.id(), &mutated(&body, &changes));
    }

    #[test]
    fn changed_main_messages(message in strategies::main_server(), changes in changes()) {
        let body = message.to_body().unwrap();
        survives::<main_channel::ServerMessage>(message.id(), &mutated(&body, &changes));
    }

    #[test]
    fn changed_cursor_messages(message in strategies::cursor_server(), changes in changes()) {
        let body = message.to_body().unwrap();
        survives::<cursor::ServerMessage>(message.id(), &mutated(&body, &changes));
    }

    #[test]
    fn messages_that_end_early(message in strategies::display_server()) {
        let body = message.to_body().unwrap();
        decode_prefixes::<display::ServerMessage>(message.id(), &body[..body.len().min(300)]);
    }
}

proptest! {
    #![proptest_config(Config { cases: 128, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_bytes_as_any_message(body in vec(any::<u8>(), 0..200)) {
        survives_everywhere(&body.into());
    }

    #[test]
    fn few_values_as_any_message(words in vec(0..NASTY.len(), 0..40)) {
        let body: Vec<u8> = words.into_iter().flat_map(|word| NASTY[word].to_le_bytes()).collect();
        survives_everywhere(&body.into());
    }

    #[test]
    fn any_bytes_as_a_sub_message_list(body in vec(any::<u8>(), 0..100), offset in 0_u32..120) {
        let body = Bytes::from(body);
        if let Ok(list) = sublist::decode("test", &body, offset) {
            prop_assert!(list.iter().map(|sub| sub.body.len()).sum::<usize>() <= body.len());
        }
    }

    #[test]
    fn any_bytes_in_the_link_stage(bytes in vec(any::<u8>(), 0..300), at in any::<Index>(), reply: bool) {
        // Most of it an example with something else in the middle, so that it gets beyond the magic.
        let mut wire = bytes_of(if reply { hex::LINK_REPLY } else { hex::LINK_MESSAGE });
        let at = at.index(wire.len());
        wire.splice(at.., bytes);
        let _ = LinkMessage::decode(&mut BytesMut::from(&wire[..]));
        let _ = LinkReply::decode(&mut BytesMut::from(&wire[..]));
    }

    #[test]
    fn any_bytes_as_steps_of_sasl(length in prop_oneof![0_u32..20, any::<u32>()], bytes in vec(any::<u8>(), 0..40)) {
        let wire = [&length.to_le_bytes()[..], &bytes].concat();
        let buffer = || BytesMut::from(&wire[..]);
        let _ = decode_mechanisms(&mut buffer());
        let _ = sasl::MechanismName::decode(&mut buffer());
        let _ = sasl::Step::decode(&mut buffer());
        let _ = sasl::Outcome::decode(&mut buffer());
        let mut rest = buffer();
        if let Ok(Progress::Done(data)) = sasl::Data::decode(&mut rest) {
            prop_assert_eq!(rest.len() + 4 + length as usize, wire.len());
            prop_assert_eq!(data.0.map_or(0, |data| data.len() + 1), length as usize);
        }
    }

    #[test]
    fn any_bytes_as_a_stream(bytes in vec(any::<u8>(), 0..300), full: bool) {
        let kind = if full { HeaderKind::Full } else { HeaderKind::Mini };
        for limits in [Limits::FromServer, Limits::FromClient(ChannelType::Display)] {
            let (mut decoder, mut buffer) = (FrameDecoder::new(kind, limits), BytesMut::from(&bytes[..]));
            let mut last = buffer.len() + 1;
            while let Ok(Progress::Done(frame)) = decoder.decode(&mut buffer) {
                prop_assert!(buffer.len() < last);
                last = buffer.len();
                let _ = frame.sub_messages();
                let _ = frame.message::<display::ServerMessage>();
            }
        }
    }
}

fn display_error(id: u16, body: &[u8]) -> Option<Error> {
    display::ServerMessage::decode(id, &Bytes::copy_from_slice(body)).err()
}

/// The body of the DRAW_COPY example, with four bytes replaced.
fn draw_copy(at: usize, value: u32) -> Vec<u8> {
    let mut body = bytes_of(hex::DRAW_COPY).split_off(6);
    body[at..at + 4].copy_from_slice(&value.to_le_bytes());
    body
}

#[test]
fn counts_beyond_the_body_take_no_memory() {
    let clipped = [&[0; 20][..], &[1, 0xff, 0xff, 0xff, 0xff], &[0; 64]].concat();
    assert_eq!(
        display_error(display::server_id::COPY_BITS, &clipped),
        Some(Error::Truncated {
            message: "DISPLAY_COPY_BITS",
            field: "clip rects",
            need: 0xffff_ffff * 16,
            have: 64
        })
    );
    let channels = Bytes::from_static(&[0, 0, 0, 0x40, 2, 0, 3, 0]);
    assert_eq!(
        main_channel::ServerMessage::decode(main_channel::server_id::CHANNELS_LIST, &channels).err(),
        Some(Error::Truncated {
            message: "MAIN_CHANNELS_LIST",
            field: "channels",
            need: 0x8000_0000,
            have: 4
        })
    );
}

#[test]
fn pointers_must_lead_into_the_body() {
    let error = |offset| display_error(display::server_id::DRAW_COPY, &draw_copy(21, offset));
    let outside = |offset| {
        Some(Error::Pointer {
            message: "DISPLAY_DRAW_COPY",
            field: "src_bitmap",
            offset,
            body: 109,
        })
    };
    let null = Error::Null {
        message: "DISPLAY_DRAW_COPY",
        field: "src_bitmap",
    };
    assert_eq!(error(0), Some(null));
    assert_eq!(error(109), outside(109));
    assert_eq!(error(0xffff_ffff), outside(0xffff_ffff));
    assert!(matches!(
        error(108),
        Some(Error::Truncated {
            field: "image id",
            need: 8,
            have: 1,
            ..
        })
    ));
    assert_eq!(error(57), None);
}

#[test]
fn a_target_may_be_shared_and_may_lie_anywhere() {
    // The mask points to the image the source points to.
    let shared = Bytes::from(draw_copy(53, 57));
    let message = display::ServerMessage::decode(display::server_id::DRAW_COPY, &shared).unwrap();
    let display::ServerMessage::Draw(draw) = &message else {
        panic!("not a drawing");
    };
    let display::DrawOp::Copy { source, mask, .. } = &draw.op else {
        panic!("not a copy");
    };
    assert_eq!(mask.image.as_ref(), Some(&source.image));
    assert_eq!(message.to_body().unwrap().len(), 109 + 52, "encoders do not share");
}

#[test]
fn bitmaps_must_agree_with_their_image_and_their_data() {
    let field = |at, value| match display_error(display::server_id::DRAW_COPY, &draw_copy(at, value)) {
        Some(Error::Unexpected { field, .. } | Error::Truncated { field, .. }) => Some(field),
        Some(other) => panic!("{other}"),
        None => None,
    };
    assert_eq!(field(67, 3), Some("bitmap x"), "width of the image differs");
    assert_eq!(field(81, 1), Some("bitmap y"), "height of the bitmap differs");
    assert_eq!(field(85, 7), Some("bitmap stride"), "less than two pixels");
    assert_eq!(field(85, 9), Some("bitmap data"), "one byte too far");
    assert_eq!(field(85, 0xffff_ffff), Some("bitmap data"));
    assert_eq!(field(75, 0x0200_040b), Some("bitmap format"));
    assert_eq!(field(65, 0x0002_0002), Some("image type"), "type 2 is reserved");
}

#[test]
fn lz_of_palette_indices_needs_a_palette() {
    let mut body = draw_copy(65, 0x0002_0064);
    body.truncate(75);
    body.extend_from_slice(&[4, 1, 0, 0, 0, 0, 0, 0, 0, 0xaa]);
    assert_eq!(
        display_error(display::server_id::DRAW_COPY, &body),
        Some(Error::Unexpected {
            message: "DISPLAY_DRAW_COPY",
            field: "image palette",
            expected: "a palette",
            got: 0
        })
    );
}

#[test]
fn a_list_that_names_one_sub_message_many_times_is_refused() {
    let mut body = vec![0xff, 0x3f];
    let (count, size) = (0x3fff_u32, 60_000_u32);
    let offset = 2 + 4 * count;
    (0..count).for_each(|_| body.extend_from_slice(&offset.to_le_bytes()));
    body.extend_from_slice(&[0x69, 0]);
    body.extend_from_slice(&size.to_le_bytes());
    body.resize(body.len() + size as usize, 0);
    let error = sublist::decode("LIST", &Bytes::from(body), 0).err();
    assert!(
        matches!(
            error,
            Some(Error::Limit {
                field: "sub-message bytes",
                ..
            })
        ),
        "{error:?}"
    );
}

#[test]
fn a_list_within_a_list_is_refused_both_ways() {
    let inner = SubMessage {
        id: common::server_id::LIST,
        body: Bytes::from_static(&[0, 0]),
    };
    let list = display::ServerMessage::Common(common::ServerCommon::List(vec![inner]));
    assert!(matches!(list.to_body(), Err(Error::Unexpected { got: 8, .. })));
    let body = Bytes::from_static(&[1, 0, 6, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0]);
    assert!(matches!(
        sublist::decode("LIST", &body, 0),
        Err(Error::Unexpected { got: 8, .. })
    ));
}

#[test]
fn mini_headers_cannot_carry_a_list() {
    let sub = SubMessage {
        id: 105,
        body: Bytes::from_static(&[0, 0]),
    };
    let mut encoder = FrameEncoder::new(HeaderKind::Mini);
    assert!(encoder.encode_with(&display::ServerMessage::Mark, &[sub]).is_err());
    assert_eq!(encoder.last_serial(), 0, "a message that is not sent takes no serial");
}

#[test]
fn the_size_is_checked_before_the_body_is_there() {
    let header = |id: u16, size: u32| [&id.to_le_bytes()[..], &size.to_le_bytes()].concat();
    let decode = |channel, id, size| {
        let limits = Limits::FromClient(channel);
        FrameDecoder::new(HeaderKind::Mini, limits).decode(&mut BytesMut::from(&header(id, size)[..]))
    };
    let limit_of = |channel, id| match decode(channel, id, u32::MAX) {
        Err(Error::Oversized {
            limit,
            size: u32::MAX,
            id: got,
        }) if got == id => limit,
        other => panic!("{other:?}"),
    };
    let agent_data = main_channel::client_id::AGENT_DATA;
    assert_eq!(
        limit_of(ChannelType::Main, main_channel::client_id::ATTACH_CHANNELS),
        26_624
    );
    assert_eq!(limit_of(ChannelType::Main, agent_data), 2048);
    assert_eq!(limit_of(ChannelType::Display, display::client_id::INIT), 1024);
    assert_eq!(limit_of(ChannelType::Cursor, common::client_id::PONG), 1024);
    assert_eq!(
        limit_of(ChannelType::Display, common::client_id::MIGRATE_DATA),
        256 << 10
    );
    assert_eq!(limit_of(ChannelType::Inputs, inputs::client_id::KEY_DOWN), 2048);
    assert_eq!(decode(ChannelType::Main, agent_data, 2048), Ok(Progress::Need(2048)));
    assert!(decode(ChannelType::Main, agent_data, 2049).is_err());
}

#[test]
fn values_that_do_not_fit_their_field_are_not_sent() {
    let heads = vec![
        display::Head {
            monitor_id: 0,
            surface_id: 0,
            width: 1,
            height: 1,
            x: 0,
            y: 0,
            flags: 0
        };
        0x1_0000
    ];
    let config = display::ServerMessage::MonitorsConfig(display::MonitorsConfig { max_allowed: 1, heads });
    let mut out = b"before".to_vec();
    let error = FrameEncoder::new(HeaderKind::Mini).encode_into(&config, &mut out).err();
    assert_eq!(
        error,
        Some(Error::Limit {
            message: "DISPLAY_MONITORS_CONFIG",
            field: "count",
            got: 0x1_0000,
            limit: 0xffff
        })
    );
    assert_eq!(out, b"before");
    let name = main_channel::ServerMessage::Name("two\0names".to_owned());
    assert!(matches!(name.to_body(), Err(Error::Unexpected { field: "name", .. })));
}

#[test]
fn agent_messages_of_another_protocol_or_too_short_are_refused() {
    let body = Bytes::from(bytes_of(hex::AGENT_CAPS)).slice(6..);
    assert!(matches!(
        AgentHeader::decode(&body.slice(..19)),
        Err(Error::Truncated { field: "size", .. })
    ));
    let other = [&[2], &body[1..]].concat();
    assert!(matches!(
        AgentHeader::decode(&other.into()),
        Err(Error::Unexpected { got: 2, .. })
    ));
}

#[test]
fn errors_name_message_field_and_value() {
    let error = display_error(display::server_id::SURFACE_CREATE, &[7; 20]).unwrap();
    assert_eq!(
        error.to_string(),
        "DISPLAY_SURFACE_CREATE: format: expected a surface format, got 117901063"
    );
    let error = display_error(display::server_id::MODE, &[0; 11]).unwrap();
    assert_eq!(error.to_string(), "DISPLAY_MODE: bits: needs 4 bytes, 3 are left");
}
