//! The worked examples of the protocol reference, byte for byte, both ways.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use caraway_protocol::caps::{Caps, CommonCap, DisplayCap, MainCap};
use caraway_protocol::channel::{ChannelId, ChannelType};
use caraway_protocol::common::{ClientCommon, Ping, Pong, ServerCommon, SetAck, WaitFor};
use caraway_protocol::display::*;
use caraway_protocol::header::{FrameEncoder, HeaderKind, Limits};
use caraway_protocol::link::{
    AuthMechanism, LinkCode, LinkMessage, LinkReply, Negotiated, Ticket, decode_result, encode_result,
};
use caraway_protocol::main_channel::{self, AgentHeader, MouseMode, MouseModes};
use caraway_protocol::sublist::SubMessage;
use caraway_protocol::{Error, Message, Progress};

use crate::hex;
use crate::support::{bytes_of, decode_prefixes, frame};

/// `dump` decodes to `message`, `message` encodes to `dump`, and every prefix of `dump` asks for more.
fn check<M: Message + PartialEq + std::fmt::Debug>(kind: HeaderKind, limits: Limits, dump: &str, message: &M) {
    let wire = bytes_of(dump);
    assert_eq!(frame(kind, limits, &wire).message::<M>().as_ref(), Ok(message));
    assert_eq!(FrameEncoder::new(kind).encode(message).unwrap().to_bytes(), wire);
    for length in 0..wire.len() {
        let mut buffer = BytesMut::from(&wire[..length]);
        let mut decoder = caraway_protocol::header::FrameDecoder::new(kind, limits);
        match decoder.decode(&mut buffer) {
            Ok(Progress::Need(missing)) => assert!(missing > 0 && missing <= wire.len() - length),
            other => panic!("{length} of {} bytes gave {other:?}", wire.len()),
        }
        assert_eq!(buffer.len(), length, "an unfinished message must stay in the buffer");
    }
    decode_prefixes::<M>(message.id(), &message.to_body().unwrap());
}

fn from_server<M: Message + PartialEq + std::fmt::Debug>(dump: &str, message: &M) {
    check(HeaderKind::Mini, Limits::FromServer, dump, message);
}

fn from_client<M: Message + PartialEq + std::fmt::Debug>(channel: ChannelType, dump: &str, message: &M) {
    check(HeaderKind::Mini, Limits::FromClient(channel), dump, message);
}

/// Runs `decode` on every prefix of `wire`, which must ask for what is missing and leave the bytes alone, and then on
/// all of it with one more byte behind, which must be left.
fn step<T>(wire: &[u8], mut decode: impl FnMut(&mut BytesMut) -> caraway_protocol::Result<Progress<T>>) -> T {
    for length in 0..wire.len() {
        let mut buffer = BytesMut::from(&wire[..length]);
        match decode(&mut buffer) {
            Ok(Progress::Need(missing)) => assert!(missing > 0 && missing <= wire.len() - length),
            _ => panic!("{length} of {} bytes did not ask for more", wire.len()),
        }
        assert_eq!(buffer.len(), length);
    }
    let mut buffer = BytesMut::from(wire);
    buffer.extend_from_slice(&[0x5a]);
    match decode(&mut buffer).unwrap() {
        Progress::Done(value) => {
            assert_eq!(&buffer[..], [0x5a], "the next step's byte must be left");
            value
        }
        Progress::Need(missing) => panic!("{missing} bytes are missing"),
    }
}

const fn channel(kind: ChannelType, id: u8) -> ChannelId {
    ChannelId { kind, id }
}

fn main_caps() -> Caps {
    Caps::of(&[
        MainCap::SemiSeamlessMigrate,
        MainCap::NameAndUuid,
        MainCap::AgentConnectedTokens,
        MainCap::SeamlessMigrate,
    ])
}

#[test]
fn link_message_of_a_main_channel() {
    let wire = bytes_of(hex::LINK_MESSAGE);
    let expected = LinkMessage {
        connection_id: 0,
        channel: channel(ChannelType::Main, 0),
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::MiniHeader]),
        channel_caps: main_caps(),
    };
    assert_eq!(step(&wire, LinkMessage::decode), expected);
    assert_eq!(expected.encode(), wire);
}

#[test]
fn link_message_of_a_display_channel() {
    let wire = bytes_of(hex::DISPLAY_LINK_MESSAGE);
    let expected = LinkMessage {
        connection_id: 0x1a2b_3c4d,
        channel: channel(ChannelType::Display, 0),
        common_caps: Caps::of(&[CommonCap::AuthSelection, CommonCap::MiniHeader]),
        channel_caps: Caps::of(&[
            DisplayCap::SizedStream,
            DisplayCap::MonitorsConfig,
            DisplayCap::Composite,
            DisplayCap::A8Surface,
            DisplayCap::StreamReport,
            DisplayCap::Lz4Compression,
            DisplayCap::MultiCodec,
            DisplayCap::CodecMjpeg,
            DisplayCap::CodecVp8,
        ]),
    };
    assert_eq!(step(&wire, LinkMessage::decode), expected);
    assert_eq!(expected.encode(), wire);
}

#[test]
fn link_reply_with_a_key_and_what_follows_from_it() {
    let wire = bytes_of(hex::LINK_REPLY);
    let reply = step(&wire, LinkReply::decode);
    assert_eq!(reply.encode(), wire);
    let LinkReply::Accepted(accepted) = reply else {
        panic!("refused");
    };
    assert_eq!(accepted.public_key, wire[20..182]);
    assert_eq!(accepted.common_caps.words(), [0xb]);
    assert_eq!(accepted.channel_caps, main_caps());
    let client = step(&bytes_of(hex::LINK_MESSAGE), LinkMessage::decode);
    let negotiated = Negotiated::new(&accepted.common_caps, &client.common_caps);
    assert_eq!((negotiated.header, negotiated.selects), (HeaderKind::Mini, true));
}

#[test]
fn mechanism_ticket_and_result() {
    let wire = bytes_of(hex::MECHANISM);
    assert_eq!(
        step(&wire, |buffer| Ok(AuthMechanism::decode(buffer))),
        AuthMechanism::Spice
    );
    assert_eq!(AuthMechanism::Spice.encode(), *wire);
    let wire = bytes_of(hex::TICKET);
    assert_eq!(step(&wire, |buffer| Ok(Ticket::decode(buffer))).0, *wire);
    let wire = bytes_of(hex::LINK_RESULT);
    assert_eq!(step(&wire, |buffer| Ok(decode_result(buffer))), LinkCode::Ok);
    assert_eq!(encode_result(LinkCode::Ok), *wire);
}

#[test]
fn main_init_and_channels_list() {
    use main_channel::{Init, ServerMessage};
    from_server(
        hex::MAIN_INIT,
        &ServerMessage::Init(Init {
            session_id: 0x1a2b_3c4d,
            display_channels_hint: 1,
            supported_mouse_modes: MouseModes::SERVER | MouseModes::CLIENT,
            current_mouse_mode: MouseMode::Server,
            agent_connected: 1,
            agent_tokens: 10,
            multi_media_time: 123_456,
            ram_hint: 0x0100_0000,
        }),
    );
    let channels = [
        ChannelType::Display,
        ChannelType::Cursor,
        ChannelType::Inputs,
        ChannelType::Playback,
    ];
    from_server(
        hex::CHANNELS_LIST,
        &ServerMessage::ChannelsList(channels.map(|kind| channel(kind, 0)).to_vec()),
    );
}

#[test]
fn acknowledgement_and_ping() {
    use main_channel::{ClientMessage, ServerMessage};
    let set = SetAck {
        generation: 1,
        window: 20,
    };
    from_server(hex::SET_ACK, &ServerMessage::Common(ServerCommon::SetAck(set)));
    let client = |dump, message| from_client(ChannelType::Main, dump, &ClientMessage::Common(message));
    client(hex::ACK_SYNC, ClientCommon::AckSync(1));
    client(hex::ACK, ClientCommon::Ack);
    let (id, timestamp) = (7, 0x1122_3344_5566_7788);
    let ping = Ping {
        id,
        timestamp,
        padding: 0,
    };
    from_server(hex::PING, &ServerMessage::Common(ServerCommon::Ping(ping)));
    let pong = "03 00 0c 00 00 00 07 00 00 00 88 77 66 55 44 33 22 11";
    client(pong, ClientCommon::Pong(Pong { id, timestamp }));
}

#[test]
fn display_init_with_both_headers() {
    let init = ClientMessage::Init(Init {
        pixmap_cache_id: 1,
        pixmap_cache_size: 0x0140_0000,
        glz_dictionary_id: 1,
        glz_dictionary_window_size: 0x0040_0000,
    });
    let limits = Limits::FromClient(ChannelType::Display);
    check(HeaderKind::Mini, limits, hex::DISPLAY_INIT, &init);
    check(HeaderKind::Full, limits, hex::DISPLAY_INIT_FULL, &init);
}

#[test]
fn primary_surface_and_fill() {
    let create = SurfaceCreate {
        surface_id: 0,
        width: 640,
        height: 480,
        format: SurfaceFormat::Xrgb,
        flags: SurfaceFlags::PRIMARY,
    };
    from_server(hex::SURFACE_CREATE, &ServerMessage::SurfaceCreate(create));
    let fill = Draw {
        surface_id: 0,
        bbox: Rect::at(0, 0, 640, 480),
        clip: Clip::None,
        op: DrawOp::Fill {
            brush: Brush::Solid(0x0033_6699),
            rop: Rop::PUT,
            mask: Mask::default(),
        },
    };
    from_server(hex::DRAW_FILL, &ServerMessage::from(fill));
}

#[test]
fn copy_of_a_bitmap() {
    let rows = [[0, 0, 0xff, 0], [0, 0xff, 0, 0], [0xff, 0, 0, 0], [0xff, 0xff, 0xff, 0]].concat();
    let image = Image {
        id: 0x0000_0001_0000_0001,
        flags: ImageFlags::empty(),
        width: 2,
        height: 2,
        data: ImageData::Bitmap(Bitmap {
            format: BitmapFormat::Bit32,
            top_down: true,
            stride: 8,
            palette: None,
            data: rows.into(),
        }),
    };
    let draw = Draw {
        surface_id: 0,
        bbox: Rect::at(10, 20, 2, 2),
        clip: Clip::None,
        op: copy(image, Rect::at(0, 0, 2, 2)),
    };
    from_server(hex::DRAW_COPY, &ServerMessage::from(draw));
}

#[test]
fn clipped_copy_of_a_bitmap_with_palette() {
    let palette = Palette {
        unique: 0x77,
        entries: vec![0, 0x00ff_ffff],
    };
    let image = Image {
        id: 0x0000_0002_0000_0001,
        flags: ImageFlags::empty(),
        width: 4,
        height: 1,
        data: ImageData::Bitmap(Bitmap {
            format: BitmapFormat::Bit8,
            top_down: true,
            stride: 4,
            palette: Some(PaletteRef::Inline {
                palette: Arc::new(palette),
                cache: true,
            }),
            data: Bytes::from_static(&[0, 1, 1, 0]),
        }),
    };
    let draw = Draw {
        surface_id: 0,
        bbox: Rect::at(0, 0, 4, 1),
        clip: Clip::Rects(Arc::new([Rect::at(0, 0, 4, 1)])),
        op: copy(image, Rect::at(0, 0, 4, 1)),
    };
    from_server(hex::DRAW_COPY_PALETTE, &ServerMessage::from(draw));
}

fn copy(image: Image, area: Rect) -> DrawOp {
    DrawOp::Copy {
        source: Source {
            image,
            area,
            scale: ScaleMode::Interpolate,
        },
        rop: Rop::PUT,
        mask: Mask::default(),
    }
}

#[test]
fn agent_messages_in_agent_data() {
    for (dump, kind, size) in [(hex::AGENT_CLIPBOARD, 4, 14), (hex::AGENT_CAPS, 6, 8)] {
        let body = Bytes::from(bytes_of(dump)).slice(6..);
        let header = AgentHeader {
            protocol: AgentHeader::PROTOCOL,
            kind,
            opaque: 0,
            size,
        };
        assert_eq!(AgentHeader::decode(&body), Ok(header));
        assert_eq!(header.encode(), body[..AgentHeader::BYTES]);
        assert_eq!(body.len(), AgentHeader::BYTES + size as usize);
        from_client(ChannelType::Main, dump, &main_channel::ClientMessage::AgentData(body));
    }
}

#[test]
fn list_of_two_sub_messages() {
    let wait = ServerMessage::Common(ServerCommon::WaitForChannels(vec![WaitFor {
        channel: channel(ChannelType::Display, 1),
        serial: 0x123,
    }]));
    let inval = ServerMessage::InvalList(vec![Resource {
        kind: ResourceType::Pixmap,
        id: 0x0000_0001_0000_0001,
    }]);
    let subs = [&wait, &inval]
        .map(|message| SubMessage::new(message).unwrap())
        .to_vec();
    assert_eq!(subs[0].message::<ServerMessage>(), Ok(wait));
    assert_eq!(subs[1].message::<ServerMessage>(), Ok(inval));
    from_server(hex::LIST, &ServerMessage::Common(ServerCommon::List(subs)));
}

#[test]
fn the_example_link_message_with_one_field_changed_is_refused_with_its_code() {
    let example = bytes_of(hex::LINK_MESSAGE);
    let refused = |at: usize, value: u8| {
        let mut wire = example.clone();
        wire[at] = value;
        LinkMessage::decode(&mut BytesMut::from(&wire[..])).err()
    };
    let answer = |at, value| refused(at, value).map(|error| error.link_answer());
    assert_eq!(answer(0, b'G'), Some(Some(LinkCode::InvalidMagic)));
    assert_eq!(answer(4, 3), Some(Some(LinkCode::VersionMismatch)));
    assert_eq!(
        answer(7, 0x80),
        Some(Some(LinkCode::VersionMismatch)),
        "development versions"
    );
    assert_eq!(answer(4, 0), Some(None), "version 0 is only closed");
    assert_eq!(answer(8, 9), None, "the minor version is not checked");
    assert_eq!(answer(12, 17), Some(Some(LinkCode::InvalidData)));
    assert_eq!(answer(13, 0x10), Some(Some(LinkCode::InvalidData)), "larger than 4096");
    assert_eq!(answer(23, 4), Some(Some(LinkCode::InvalidData)), "1025 words");
    assert_eq!(
        answer(26, 2),
        Some(Some(LinkCode::InvalidData)),
        "3 words in the space of 2"
    );
    assert_eq!(
        answer(30, 17),
        Some(Some(LinkCode::InvalidData)),
        "inside the fixed part"
    );
    assert_eq!(answer(30, 19), Some(Some(LinkCode::InvalidData)), "past the end");
    assert_eq!(refused(4, 3), Some(Error::Version { got: 3 }));
}

#[test]
fn a_wrong_magic_is_seen_in_the_first_four_bytes() {
    let mut buffer = BytesMut::from(&b"GET "[..]);
    assert_eq!(LinkMessage::decode(&mut buffer), Err(Error::Magic { got: *b"GET " }));
}

#[test]
fn an_error_reply_is_194_bytes() {
    let reply = LinkReply::Refused(LinkCode::NeedSecured);
    let wire = reply.encode();
    assert_eq!(wire.len(), 194);
    assert_eq!(wire[12..24], [178, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(step(&wire, LinkReply::decode), reply);
}
