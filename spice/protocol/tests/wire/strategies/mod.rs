//! Every message of every channel, as proptest strategies.

mod display;
mod pipes;

use bytes::Bytes;
use caraway_protocol::channel::ChannelId;
use caraway_protocol::common::*;
use caraway_protocol::cursor::{self, Cursor, CursorHeader, CursorType};
use caraway_protocol::display::{Clip, Point, Rect};
use caraway_protocol::inputs::{self, KeyCode, KeyModifiers, MouseButtons};
use caraway_protocol::main_channel::{self, DstInfo, MouseModes};
use caraway_protocol::sublist::SubMessage;
use caraway_protocol::wire::Point16;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) use display::{display_client, display_server, draw};
pub(crate) use pipes::{smartcard_client, smartcard_server, spicevmc_client, spicevmc_server};

/// Bulk data: mostly little, sometimes enough for a segment of its own.
fn blob() -> impl Strategy<Value = Bytes> {
    prop_oneof![8 => vec(any::<u8>(), 0..24), 1 => vec(any::<u8>(), 1100..1200)].prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = String> {
    "[a-zé ]{0,12}"
}

fn channel() -> impl Strategy<Value = ChannelId> {
    any::<(u8, u8)>().prop_map(|(kind, id)| ChannelId { kind: kind.into(), id })
}

fn point() -> impl Strategy<Value = Point> {
    any::<(i32, i32)>().prop_map(|(x, y)| Point { x, y })
}

fn point16() -> impl Strategy<Value = Point16> {
    any::<(i16, i16)>().prop_map(|(x, y)| Point16 { x, y })
}

fn rect() -> impl Strategy<Value = Rect> {
    any::<(i32, i32, i32, i32)>().prop_map(|(top, left, bottom, right)| Rect {
        top,
        left,
        bottom,
        right,
    })
}

fn clip() -> impl Strategy<Value = Clip> {
    prop_oneof![
        Just(Clip::None),
        vec(rect(), 0..4).prop_map(|rects| Clip::Rects(rects.into())),
    ]
}

fn waits() -> impl Strategy<Value = Vec<WaitFor>> {
    let wait = (channel(), any::<u64>()).prop_map(|(channel, serial)| WaitFor { channel, serial });
    vec(wait, 0..4)
}

fn disconnecting() -> impl Strategy<Value = Disconnecting> {
    any::<(u64, u32)>().prop_map(|(time_stamp, reason)| Disconnecting {
        time_stamp,
        reason: reason.into(),
    })
}

fn notify() -> impl Strategy<Value = Notify> {
    (any::<(u64, u32, u32, u32)>(), text()).prop_map(|((time_stamp, severity, visibility, what), text)| Notify {
        time_stamp,
        severity: severity.into(),
        visibility: visibility.into(),
        what,
        text,
    })
}

fn server_common() -> impl Strategy<Value = ServerCommon> {
    let not_a_list = any::<u16>().prop_filter("one level deep", |id| *id != server_id::LIST);
    let sub = (not_a_list, blob()).prop_map(|(id, body)| SubMessage { id, body });
    prop_oneof![
        any::<u32>().prop_map(|flags| ServerCommon::Migrate(MigrateFlags::from_bits_retain(flags))),
        blob().prop_map(ServerCommon::MigrateData),
        any::<(u32, u32)>().prop_map(|(generation, window)| ServerCommon::SetAck(SetAck { generation, window })),
        (any::<(u32, u64)>(), 0..2000_u32).prop_map(|((id, timestamp), padding)| ServerCommon::Ping(Ping {
            id,
            timestamp,
            padding
        })),
        waits().prop_map(ServerCommon::WaitForChannels),
        disconnecting().prop_map(ServerCommon::Disconnecting),
        notify().prop_map(ServerCommon::Notify),
        vec(sub, 0..4).prop_map(ServerCommon::List),
    ]
}

fn client_common() -> impl Strategy<Value = ClientCommon> {
    prop_oneof![
        any::<u32>().prop_map(ClientCommon::AckSync),
        Just(ClientCommon::Ack),
        any::<(u32, u64)>().prop_map(|(id, timestamp)| ClientCommon::Pong(Pong { id, timestamp })),
        Just(ClientCommon::MigrateFlushMark),
        blob().prop_map(ClientCommon::MigrateData),
        disconnecting().prop_map(ClientCommon::Disconnecting),
    ]
}

/// An id without a meaning on any channel, and a body.
fn unknown() -> impl Strategy<Value = (u16, Bytes)> {
    (400_u16.., blob())
}

fn dst_info() -> impl Strategy<Value = DstInfo> {
    (any::<(u16, u16)>(), text(), option::of(text())).prop_map(|((port, tls_port), host, cert_subject)| DstInfo {
        port,
        tls_port,
        host,
        cert_subject,
    })
}

fn mouse_mode() -> impl Strategy<Value = main_channel::MouseMode> {
    prop_oneof![0..4_u32, 0..0x1_0000_u32].prop_map(Into::into)
}

pub(crate) fn main_server() -> impl Strategy<Value = main_channel::ServerMessage> {
    use main_channel::{Init, ServerMessage as M};
    let init = any::<[u32; 8]>().prop_map(|[id, hint, modes, mode, agent, tokens, time, ram]| Init {
        session_id: id,
        display_channels_hint: hint,
        supported_mouse_modes: MouseModes::from_bits_retain(modes),
        current_mouse_mode: mode.into(),
        agent_connected: agent,
        agent_tokens: tokens,
        multi_media_time: time,
        ram_hint: ram,
    });
    let mouse_mode = (any::<u16>(), mouse_mode()).prop_map(|(modes, current)| M::MouseMode {
        supported: MouseModes::from_bits_retain(modes.into()),
        current,
    });
    let simple = prop_oneof![
        Just(M::MigrateCancel),
        Just(M::AgentConnected),
        Just(M::MigrateEnd),
        Just(M::MigrateDstSeamlessAck),
        Just(M::MigrateDstSeamlessNack),
        any::<u32>().prop_map(M::MultiMediaTime),
        any::<u32>().prop_map(M::AgentDisconnected),
        any::<u32>().prop_map(M::AgentToken),
        any::<u32>().prop_map(M::AgentConnectedTokens),
    ];
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        9 => simple,
        1 => dst_info().prop_map(M::MigrateBegin),
        1 => init.prop_map(M::Init),
        1 => vec(channel(), 0..5).prop_map(M::ChannelsList),
        1 => mouse_mode,
        1 => blob().prop_map(M::AgentData),
        1 => dst_info().prop_map(M::MigrateSwitchHost),
        1 => text().prop_map(M::Name),
        1 => any::<[u8; 16]>().prop_map(M::Uuid),
        1 => (dst_info(), any::<u32>())
            .prop_map(|(destination, source_version)| M::MigrateBeginSeamless { destination, source_version }),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn main_client() -> impl Strategy<Value = main_channel::ClientMessage> {
    use main_channel::ClientMessage as M;
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        1 => any::<u64>().prop_map(|cache_size| M::ClientInfo { cache_size }),
        1 => Just(M::MigrateConnected),
        1 => Just(M::MigrateConnectError),
        1 => Just(M::AttachChannels),
        1 => mouse_mode().prop_map(M::MouseModeRequest),
        1 => any::<u32>().prop_map(M::AgentStart),
        1 => blob().prop_map(M::AgentData),
        1 => any::<u32>().prop_map(M::AgentToken),
        1 => Just(M::MigrateEnd),
        1 => any::<u32>().prop_map(M::MigrateDstDoSeamless),
        1 => Just(M::MigrateConnectedSeamless),
        1 => blob().prop_map(M::QualityIndicator),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn inputs_server() -> impl Strategy<Value = inputs::ServerMessage> {
    use inputs::ServerMessage as M;
    let modifiers = || any::<u16>().prop_map(KeyModifiers::from_bits_retain);
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        1 => modifiers().prop_map(M::Init),
        1 => modifiers().prop_map(M::KeyModifiers),
        1 => Just(M::MouseMotionAck),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn inputs_client() -> impl Strategy<Value = inputs::ClientMessage> {
    use inputs::ClientMessage as M;
    let buttons = || any::<u16>().prop_map(MouseButtons::from_bits_retain);
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        1 => any::<u32>().prop_map(|code| M::KeyDown(KeyCode(code))),
        1 => any::<u32>().prop_map(|code| M::KeyUp(KeyCode(code))),
        1 => any::<u16>().prop_map(|bits| M::KeyModifiers(KeyModifiers::from_bits_retain(bits))),
        1 => blob().prop_map(M::KeyScancode),
        1 => (any::<(i32, i32)>(), buttons()).prop_map(|((dx, dy), buttons)| M::MouseMotion { dx, dy, buttons }),
        1 => (any::<(u32, u32, u8)>(), buttons())
            .prop_map(|((x, y, display_id), buttons)| M::MousePosition { x, y, buttons, display_id }),
        1 => (any::<u8>(), buttons()).prop_map(|(button, buttons)| M::MousePress { button: button.into(), buttons }),
        1 => (any::<u8>(), buttons()).prop_map(|(button, buttons)| M::MouseRelease { button: button.into(), buttons }),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let header = (any::<(u64, u16, u16)>(), any::<u8>(), 0..20_u16, 0..20_u16).prop_map(
        |((unique, hot_spot_x, hot_spot_y), kind, width, height)| CursorHeader {
            unique,
            kind: CursorType::from(kind % 8),
            width,
            height,
            hot_spot_x,
            hot_spot_y,
        },
    );
    let shape = (header.clone(), any::<bool>(), any::<u8>()).prop_map(|(header, cache, fill)| {
        let bytes = header.shape_bytes().unwrap_or(5);
        Cursor::Shape {
            header,
            cache,
            data: vec![fill; usize::try_from(bytes).unwrap()].into(),
        }
    });
    prop_oneof![1 => Just(Cursor::None), 1 => header.prop_map(Cursor::Cached), 4 => shape]
}

pub(crate) fn cursor_server() -> impl Strategy<Value = cursor::ServerMessage> {
    use cursor::ServerMessage as M;
    let init = (point16(), any::<(u16, u16, u8)>(), cursor()).prop_map(
        |(position, (trail_length, trail_frequency, visible), cursor)| M::Init {
            position,
            trail_length,
            trail_frequency,
            visible,
            cursor,
        },
    );
    let set = (point16(), any::<u8>(), cursor()).prop_map(|(position, visible, cursor)| M::Set {
        position,
        visible,
        cursor,
    });
    prop_oneof![
        8 => server_common().prop_map(M::Common),
        4 => init,
        1 => Just(M::Reset),
        4 => set,
        1 => point16().prop_map(M::Move),
        1 => Just(M::Hide),
        1 => any::<(u16, u16)>().prop_map(|(length, frequency)| M::Trail { length, frequency }),
        1 => any::<u64>().prop_map(M::InvalOne),
        1 => Just(M::InvalAll),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}

pub(crate) fn cursor_client() -> impl Strategy<Value = cursor::ClientMessage> {
    use cursor::ClientMessage as M;
    prop_oneof![
        6 => client_common().prop_map(M::Common),
        1 => unknown().prop_map(|(id, body)| M::Unknown { id, body }),
    ]
}
