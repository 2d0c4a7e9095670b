//! Messages of the guest's agent: round trips in every dialect, known bytes, and hostile ones.

use bytes::Bytes;
use caraway_protocol::agent::{
    AgentButtons, AgentCaps, AgentHeader, AgentKind, AgentMessage, AgentMonitor, ClipboardKind, Dialect, FileStart,
    FileStatus, GraphicsDevice, MonitorsConfig, MouseState, Selection,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::hex;
use crate::support::bytes_of;

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn selection() -> impl Strategy<Value = Selection> {
    any::<u8>().prop_map(Selection::from)
}

fn held() -> impl Strategy<Value = ClipboardKind> {
    prop_oneof![0..9_u32, any::<u32>()].prop_map(ClipboardKind::from)
}

fn monitor() -> impl Strategy<Value = AgentMonitor> {
    any::<(u32, u32, u32, i32, i32)>().prop_map(|(width, height, depth, x, y)| AgentMonitor {
        width,
        height,
        depth,
        x,
        y,
    })
}

fn status() -> impl Strategy<Value = FileStatus> {
    prop_oneof![
        Just(FileStatus::CanSendData),
        Just(FileStatus::Cancelled),
        Just(FileStatus::Success),
        Just(FileStatus::SessionLocked),
        Just(FileStatus::NotConnected),
        Just(FileStatus::Disabled),
        any::<Option<(u8, u32)>>().prop_map(FileStatus::Error),
        any::<Option<u64>>().prop_map(FileStatus::NotEnoughSpace),
        (8..u32::MAX).prop_map(FileStatus::Unknown),
    ]
}

fn device() -> impl Strategy<Value = GraphicsDevice> {
    (any::<(u32, u32, u32)>(), "[a-z0-9/.]{0,40}").prop_map(|((channel, monitor, output), address)| GraphicsDevice {
        channel,
        monitor,
        output,
        address,
    })
}

fn message() -> impl Strategy<Value = AgentMessage> {
    use AgentMessage as M;
    prop_oneof![
        any::<(u32, u32, u32, u8)>().prop_map(|(x, y, buttons, display)| M::MouseState(MouseState {
            x,
            y,
            buttons: AgentButtons::from_bits_retain(buttons),
            display
        })),
        (any::<bool>(), vec(monitor(), 0..20))
            .prop_map(|(has_places, monitors)| M::MonitorsConfig(MonitorsConfig { has_places, monitors })),
        any::<(u32, bool)>().prop_map(|(to, ok)| M::Reply { to: to.into(), ok }),
        (selection(), held(), blob()).prop_map(|(selection, kind, data)| M::Clipboard { selection, kind, data }),
        any::<(u32, u32)>().prop_map(|(flags, depth)| M::DisplayConfig { flags, depth }),
        any::<(bool, u32)>().prop_map(|(wants_answer, caps)| M::AnnounceCapabilities {
            wants_answer,
            caps: AgentCaps::from_bits_retain(caps)
        }),
        (selection(), any::<u32>(), vec(held(), 0..64)).prop_map(|(selection, serial, kinds)| M::ClipboardGrab {
            selection,
            serial: Some(serial),
            kinds
        }),
        (selection(), held()).prop_map(|(selection, kind)| M::ClipboardRequest { selection, kind }),
        selection().prop_map(|selection| M::ClipboardRelease { selection }),
        (any::<u32>(), "[ -~é\\\\\t\r\n]{0,30}", any::<u64>())
            .prop_map(|(id, name, size)| M::FileXferStart(FileStart { id, name, size })),
        (any::<u32>(), status()).prop_map(|(id, status)| M::FileXferStatus { id, status }),
        (any::<u32>(), blob()).prop_map(|(id, data)| M::FileXferData { id, data }),
        Just(M::ClientDisconnected),
        any::<i32>().prop_map(M::MaxClipboard),
        (any::<(bool, bool)>(), vec(any::<u16>(), 0..9)).prop_map(|((is_playback, is_mute), volumes)| {
            M::AudioVolumeSync {
                is_playback,
                is_mute,
                volumes,
            }
        }),
        vec(device(), 0..5).prop_map(M::GraphicsDeviceInfo),
        (17..u32::MAX, blob()).prop_map(|(kind, body)| M::Unknown { kind, body }),
    ]
}

/// The message as it arrives in a dialect that cannot say everything.
fn known_in(message: &AgentMessage, dialect: Dialect) -> AgentMessage {
    let mut known = message.clone();
    match &mut known {
        AgentMessage::ClipboardGrab { selection, serial, .. } => {
            if !dialect.has_selections {
                *selection = Selection::Clipboard;
            }
            if !dialect.has_serials {
                *serial = None;
            }
        }
        AgentMessage::Clipboard { selection, .. }
        | AgentMessage::ClipboardRequest { selection, .. }
        | AgentMessage::ClipboardRelease { selection }
            if !dialect.has_selections =>
        {
            *selection = Selection::Clipboard;
        }
        _ => {}
    }
    known
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(message in message(), has_selections: bool, has_serials: bool) {
        let dialect = Dialect { has_selections, has_serials };
        let body = Bytes::from(message.encode(dialect));
        let decoded = AgentMessage::decode(message.kind(), &body, dialect);
        prop_assert_eq!(decoded, Ok(known_in(&message, dialect)));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(kind in 0..20_u32, body in vec(any::<u8>(), 0..300), has_selections: bool) {
        let dialect = Dialect { has_selections, has_serials: has_selections };
        let _ = AgentMessage::decode(kind.into(), &body.into(), dialect);
    }

    #[test]
    fn a_message_that_is_cut_off_is_no_other_one(message in message(), cut: prop::sample::Index) {
        let dialect = Dialect { has_selections: true, has_serials: true };
        let body = message.encode(dialect);
        let at = cut.index(body.len().max(1)).min(body.len());
        if let Ok(other) = AgentMessage::decode(message.kind(), &body[..at].to_vec().into(), dialect) {
            prop_assert_eq!(other.kind(), message.kind());
        }
    }
}

fn decode(dump: &str) -> AgentMessage {
    // Behind the header of AGENT_DATA.
    let body = Bytes::from(bytes_of(dump)).slice(6..);
    let header = AgentHeader::decode(&body).unwrap();
    let both = Dialect {
        has_selections: true,
        has_serials: true,
    };
    AgentMessage::decode(header.kind.into(), &body.slice(AgentHeader::BYTES..), both).unwrap()
}

#[test]
fn worked_examples() {
    let text = AgentMessage::Clipboard {
        selection: Selection::Clipboard,
        kind: ClipboardKind::Text,
        data: Bytes::from_static("héllo".as_bytes()),
    };
    assert_eq!(decode(hex::AGENT_CLIPBOARD), text);
    let caps = AgentMessage::AnnounceCapabilities {
        wants_answer: true,
        caps: AgentCaps::from_bits_retain(0x35077),
    };
    assert_eq!(decode(hex::AGENT_CAPS), caps);
}

#[test]
fn selections_and_serials_are_there_when_both_ends_have_them() {
    let selections = AgentCaps::CLIPBOARD_SELECTION;
    let both = selections | AgentCaps::CLIPBOARD_GRAB_SERIAL;
    assert_eq!(Dialect::of(both, AgentCaps::empty()), Dialect::default());
    assert!(Dialect::of(both, both).has_serials);
    let some = Dialect::of(both, selections);
    assert!(some.has_selections && !some.has_serials);
}

fn start(text: &str) -> Option<FileStart> {
    let body = [&7_u32.to_le_bytes()[..], text.as_bytes(), b"\0"].concat();
    match AgentMessage::decode(AgentKind::FileXferStart, &body.into(), Dialect::default()) {
        Ok(AgentMessage::FileXferStart(start)) => Some(start),
        _ => None,
    }
}

#[test]
fn the_start_of_a_file_is_a_key_file() {
    let wanted = FileStart {
        id: 7,
        name: " a b=c".to_owned(),
        size: 12,
    };
    let text = "# made by hand\n[other]\nname=x\n[vdagent-file-xfer]\nname=\\sa b=c\nmore=1\nsize=12\n";
    assert_eq!(start(text), Some(wanted));
    for wrong in [
        "",
        "[vdagent-file-xfer]\nname=x\n",
        "[vdagent-file-xfer]\nsize=1\n",
        "[vdagent-file-xfer]\nname=x\nsize=-1\n",
        "[vdagent-file-xfer]\nname=x\nsize=18446744073709551616\n",
        "[vdagent-file-xfer]\nname=x\\y\nsize=1\n",
        "[another]\nname=x\nsize=1\n",
    ] {
        assert_eq!(start(wrong), None, "{wrong:?}");
    }
    assert_eq!(
        start(&format!("[vdagent-file-xfer]\nsize=1\nname={}", "x".repeat(20_000))),
        None
    );
}

#[test]
fn counts_that_lie_take_no_memory() {
    let all = Dialect {
        has_selections: true,
        has_serials: true,
    };
    let many = [0xff_u8; 4096];
    for kind in [
        AgentKind::MonitorsConfig,
        AgentKind::GraphicsDeviceInfo,
        AgentKind::ClipboardGrab,
    ] {
        assert!(
            AgentMessage::decode(kind, &many.to_vec().into(), all).is_err(),
            "{kind:?}"
        );
    }
    // A block of a file with more bytes than there are.
    let block = [&[1, 0, 0, 0][..], &[0xff; 8], b"abc"].concat();
    assert!(AgentMessage::decode(AgentKind::FileXferData, &block.into(), all).is_err());
    // A volume of 255 channels, of which one is there.
    let volume = vec![1, 0, 255, 1, 1];
    assert!(AgentMessage::decode(AgentKind::AudioVolumeSync, &volume.into(), all).is_err());
}
