use caraway_protocol::display::client_id::{
    ALL, GL_DRAW_DONE, INIT, PREFERRED_COMPRESSION, PREFERRED_VIDEO_CODEC_TYPE, STREAM_REPORT,
};

use super::*;

const INITIAL: (u16, &[u8]) = (INIT, &[0; 14]);

pub(super) const ROW: Row = Row {
    kind: ChannelType::Display,
    all: ALL,
    needs: &[
        (INIT, 14),
        (STREAM_REPORT, 32),
        (PREFERRED_COMPRESSION, 1),
        (GL_DRAW_DONE, 0),
        (PREFERRED_VIDEO_CODEC_TYPE, 1),
    ],
    states: &[
        State {
            name: "linked",
            before: &[],
        },
        State {
            name: "with INIT",
            before: &[INITIAL],
        },
    ],
    outcome: |_, state, id, body| match id {
        INIT if !state.before.is_empty() => Some(ends(&["101", "INIT was sent before"])),
        PREFERRED_VIDEO_CODEC_TYPE if body.len() - 1 < usize::from(body[0]) => {
            Some(ends(&["DISPLAY_PREFERRED_VIDEO_CODEC_TYPE", "codecs", "are left"]))
        }
        _ => None,
    },
};

#[tokio::test]
async fn every_message_of_a_display_channel_at_every_length() {
    ROW.every_length(Guest::Bare).await;
    ROW.unknown_ones().await;
}

#[tokio::test]
async fn a_number_of_codecs_that_is_a_lie_ends_the_channel_and_one_that_is_right_does_not() {
    let mut scene = Scene::new(Guest::Bare, true).await;
    for count in [0, 1, 2, 127, 128, 255] {
        for there in [0, 1, 2, 126, 127, 254, 255, 256] {
            let body = [&[count], &vec![9; there][..]].concat();
            let case = (Guest::Bare, &ROW.states[1]);
            ROW.case(&scene, case, HeaderKind::Mini, PREFERRED_VIDEO_CODEC_TYPE, &body)
                .await;
        }
    }
    scene.nobody_noticed().await;
}

#[tokio::test]
async fn any_byte_is_taken_for_a_mode_or_a_codec() {
    let mut scene = Scene::new(Guest::Bare, true).await;
    let mut channel = scene.channel(ChannelType::Display, HeaderKind::Mini);
    channel.say(INIT, INITIAL.1).await;
    for value in 0..=255 {
        channel.say(PREFERRED_COMPRESSION, &[value]).await;
        channel.say(PREFERRED_VIDEO_CODEC_TYPE, &[1, value]).await;
    }
    assert_eq!(channel.outcome().await, Outcome::GoesOn);
    scene.nobody_noticed().await;
}
