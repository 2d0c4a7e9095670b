//! Headers that lie.

use super::*;

const ROWS: [&Row; 8] = [
    &main::ROW,
    &display::ROW,
    &cursor::ROW,
    &inputs::ROW,
    &ports::PORT,
    &ports::WEBDAV,
    &ports::USBREDIR,
    &smartcard::ROW,
];

impl Row {
    /// Largest body of a message, and of most of them.
    fn limit(&self, id: u16) -> u32 {
        Limits::FromClient(self.kind).body_bytes(id)
    }
}

#[tokio::test]
async fn sizes_beyond_the_limit_end_the_channel_before_anything_is_read_of_them() {
    for row in ROWS {
        let mut scene = Scene::new(Guest::Bare, row.kind != ChannelType::Main).await;
        let ids = [COMMON, row.needs].concat();
        for (id, _) in ids.into_iter().chain([(0, 0), (999, 0), (u16::MAX, 0)]) {
            let limit = row.limit(id);
            for size in [limit + 1, 1 << 31, u32::MAX - 1, u32::MAX] {
                for header in [HeaderKind::Mini, HeaderKind::Full] {
                    let mut channel = scene.channel(row.kind, header);
                    channel.say_sized(id, (1, size, 0), &[]).await;
                    let error = chain(&channel.ended().await.unwrap_err());
                    let says = format!("message {id}: size {size} exceeds the limit of {limit}");
                    assert!(error.contains(&says), "{:?}: {error}", row.kind);
                }
            }
        }
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn unknown_messages_of_the_largest_size_go_by() {
    for row in ROWS {
        let mut scene = Scene::new(Guest::Bare, row.kind != ChannelType::Main).await;
        let mut channel = scene.channel(row.kind, HeaderKind::Full);
        for _ in 0..3 {
            channel.say(999, &vec![0xff; row.limit(999) as usize]).await;
        }
        assert_eq!(channel.outcome().await, Outcome::GoesOn);
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn connections_cut_at_every_byte_end_and_only_between_messages_without_an_error() {
    for row in ROWS {
        let mut scene = Scene::new(Guest::Bare, row.kind != ChannelType::Main).await;
        for header in [HeaderKind::Mini, HeaderKind::Full] {
            let whole = header.bytes() + 5;
            for length in 0..=whole {
                let mut channel = scene.channel(row.kind, header);
                let mut message = vec![0; whole];
                let id = header.bytes() - if header == HeaderKind::Full { 10 } else { 6 };
                message[id..id + 2].copy_from_slice(&999u16.to_le_bytes());
                message[id + 2..id + 6].copy_from_slice(&5u32.to_le_bytes());
                channel.stream.write_all(&message[..length]).await.unwrap();
                channel.stream.shutdown().await.unwrap();
                let result = channel.ended().await;
                let is_whole = length % whole == 0;
                assert_eq!(
                    result.is_ok(),
                    is_whole,
                    "{:?} {header:?} {length}: {result:?}",
                    row.kind
                );
            }
        }
        scene.nobody_noticed().await;
    }
}

/// A client's lists are not looked at, as in the reference: only servers send them.
#[tokio::test]
async fn lists_and_serials_of_a_client_go_by_whatever_they_are() {
    // Two sub-messages: themselves, and far away.
    let loops = [2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    for row in ROWS {
        let mut scene = Scene::new(Guest::Bare, row.kind != ChannelType::Main).await;
        for sub_list in [1, 9, 10, 11, 1 << 31, u32::MAX] {
            let mut channel = scene.channel(row.kind, HeaderKind::Full);
            for serial in [0, 7, 7, u64::MAX, 1 << 63, 3] {
                let size = loops.len() as u32;
                for id in [999, 8] {
                    channel.say_sized(id, (serial, size, sub_list), &loops).await;
                }
                channel.say_sized(client_id::ACK, (serial, 0, sub_list), &[]).await;
            }
            assert_eq!(channel.outcome().await, Outcome::GoesOn, "{:?} {sub_list}", row.kind);
        }
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn acknowledgements_and_answers_nobody_waits_for_go_by() {
    for row in ROWS {
        let mut scene = Scene::new(Guest::Bare, row.kind != ChannelType::Main).await;
        let mut channel = scene.channel(row.kind, HeaderKind::Mini);
        for number in [0, 1, 2, 1 << 31, u32::MAX] {
            channel.say(client_id::ACK_SYNC, &number.to_le_bytes()).await;
            for _ in 0..50 {
                channel.say(client_id::ACK, &[]).await;
            }
            for stamp in [0, 1, u64::MAX] {
                let pong = [&number.to_le_bytes()[..], &stamp.to_le_bytes()].concat();
                channel.say(client_id::PONG, &pong).await;
            }
        }
        assert_eq!(channel.outcome().await, Outcome::GoesOn, "{:?}", row.kind);
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn a_second_channel_of_a_kind_and_one_of_nobodys_session_are_refused_and_the_first_goes_on() {
    for row in ROWS {
        if row.kind == ChannelType::Main {
            continue;
        }
        let mut scene = Scene::new(Guest::Bare, true).await;
        let first = scene.channel(row.kind, HeaderKind::Mini);
        tokio::task::yield_now().await;
        let second = scene.channel(row.kind, HeaderKind::Mini).ended().await;
        assert!(
            matches!(second, Err(ServeError::Refused(LinkCode::ChannelNotAvailable))),
            "{second:?}"
        );
        let nobodys = link_stage(&scene.fixture, row.kind, 0, HeaderKind::Mini).ended().await;
        assert!(
            matches!(nobodys, Err(ServeError::Refused(LinkCode::BadConnectionId))),
            "{nobodys:?}"
        );
        assert_eq!(first.outcome().await, Outcome::GoesOn);
        scene.nobody_noticed().await;
    }
}
