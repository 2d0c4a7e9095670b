use caraway_protocol::display::{
    RESUME_IMAGES_MAX,
    client_id::{ALL, GL_DRAW_DONE, INIT, PREFERRED_COMPRESSION, PREFERRED_VIDEO_CODEC_TYPE, RESUME, STREAM_REPORT},
};

use caraway_protocol::display::TILE;

use super::*;

const INITIAL: (u16, &[u8]) = (INIT, &[0; INIT_BYTES]);

const INIT_BYTES: usize = 14;

/// RESUME of a client that has nothing.
const NOTHING_LEFT: (u16, &[u8]) = (RESUME, &[0; RESUME_BYTES]);

/// Two counts.
const RESUME_BYTES: usize = 8;

/// The words of the capability RESUME.
const RESUMES: &[u32] = &[0, 1 << (DisplayCap::Resume as u32 % 32)];

/// Whether a client in this state may say RESUME.
fn may_resume(state: &State) -> bool {
    state.caps == RESUMES && state.before.is_empty()
}

pub(super) const ROW: Row = Row {
    kind: ChannelType::Display,
    all: ALL,
    needs: &[
        (INIT, 14),
        (STREAM_REPORT, 32),
        (PREFERRED_COMPRESSION, 1),
        (GL_DRAW_DONE, 0),
        (PREFERRED_VIDEO_CODEC_TYPE, 1),
        (RESUME, RESUME_BYTES),
    ],
    states: &[
        State {
            name: "linked",
            caps: &[],
            before: &[],
        },
        State {
            name: "with INIT",
            caps: &[],
            before: &[INITIAL],
        },
        State {
            name: "able to come back",
            caps: RESUMES,
            before: &[],
        },
        State {
            name: "back",
            caps: RESUMES,
            before: &[NOTHING_LEFT],
        },
        State {
            name: "back, with INIT",
            caps: RESUMES,
            before: &[NOTHING_LEFT, INITIAL],
        },
        State {
            name: "able to come back, with INIT",
            caps: RESUMES,
            before: &[INITIAL],
        },
    ],
    outcome: |_, state, id, body| match (id, body.first_chunk()) {
        (INIT, _) if body.len() >= INIT_BYTES && state.before.contains(&INITIAL) => {
            Some(ends(&["101", "INIT was sent before"]))
        }
        (PREFERRED_VIDEO_CODEC_TYPE, _) if body.first().is_some_and(|count| body.len() - 1 < usize::from(*count)) => {
            Some(ends(&["DISPLAY_PREFERRED_VIDEO_CODEC_TYPE", "codecs", "are left"]))
        }
        (RESUME, Some(images)) if u32::from_le_bytes(*images) > RESUME_IMAGES_MAX => {
            Some(ends(&["DISPLAY_RESUME: image_count: ", "exceeds the limit of 16384"]))
        }
        (RESUME, _) if body.len() >= RESUME_BYTES && !may_resume(state) => {
            Some(ends(&["200", "RESUME comes once, before INIT, and is announced"]))
        }
        _ => None,
    },
};

#[tokio::test]
async fn every_message_of_a_display_channel_at_every_length() {
    ROW.every_length(Guest::Bare).await;
    ROW.unknown_ones(Guest::Bare).await;
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

/// A surface of RESUME: number, sides, format, tiles.
type Has = (u32, [u32; 2], u32, usize);

/// The body of RESUME with counts that need not be right.
fn resume((image_count, images): (u32, usize), (surface_count, surfaces): (u32, &[Has])) -> Vec<u8> {
    let mut body = image_count.to_le_bytes().to_vec();
    body.extend((0..images).flat_map(|_| [7; 8]));
    body.extend(surface_count.to_le_bytes());
    for (id, [width, height], format, tiles) in surfaces {
        body.extend([*id, *width, *height, *format].into_iter().flat_map(u32::to_le_bytes));
        body.extend((0..*tiles).flat_map(|_| [9; 8]));
    }
    body
}

#[tokio::test]
async fn what_a_client_says_that_it_has_is_there_or_the_channel_ends() {
    const XRGB: u32 = 32;
    const ARGB: u32 = 96;
    const NONE: (u32, &[Has]) = (0, &[]);
    let far = [1 << 31, u32::MAX - 1, u32::MAX];
    let mut cases: Vec<(Vec<u8>, Option<String>)> = Vec::new();
    for (count, there, says) in [
        (0, 0, None),
        // As all of them.
        (2, 2, None),
        (16384, 16384, None),
        (1, 0, Some("images: needs 8 bytes, 4 are left")),
        (2, 1, Some("images: needs 16 bytes, 12 are left")),
        (16384, 16383, Some("images: needs 131072 bytes, 131068 are left")),
        (16384, 0, Some("images: needs 131072 bytes, 4 are left")),
    ] {
        cases.push((resume((count, there), NONE), says.map(str::to_owned)));
    }
    for count in [16385].into_iter().chain(far) {
        let says = format!("image_count: {count} exceeds the limit of 16384");
        cases.push((resume((count, 0), NONE), Some(says)));
    }
    for count in [1025].into_iter().chain(far) {
        let says = format!("surface_count: {count} exceeds the limit of 1024");
        cases.push((resume((0, 0), (count, &[])), Some(says)));
    }
    for count in [1, 2, 1024] {
        let says = format!("surfaces: needs {} bytes, 0 are left", count * 16);
        cases.push((resume((0, 0), (count, &[])), Some(says)));
    }
    let one = |has| resume((0, 0), (1, &[has]));
    for side in [0, 8193].into_iter().chain(far) {
        let says = |field| Some(format!("{field}: expected 1 to 8192, got {side}"));
        cases.push((one((0, [side, 1], XRGB, 4)), says("width")));
        cases.push((one((0, [1, side], XRGB, 4)), says("height")));
    }
    for format in [0, 1, 8, 16, 33, 80, 95].into_iter().chain(far) {
        let says = format!("format: expected 32 or 96, got {format}");
        cases.push((one((0, [1, 1], format, 1)), Some(says)));
    }
    for (sides, tiles) in [
        ([1, 1], 1),
        ([TILE, TILE], 1),
        ([TILE + 1, TILE], 2),
        ([8192, 1], 8192 / TILE),
        ([8192, 8192], (8192 / TILE) * (8192 / TILE)),
    ] {
        let tiles = tiles as usize;
        cases.push((one((0, sides, ARGB, tiles)), None));
        let says = format!("tiles: needs {} bytes, {} are left", tiles * 8, (tiles - 1) * 8);
        cases.push((one((0, sides, ARGB, tiles - 1)), Some(says)));
    }
    // Ones that are named again, that are not there, or that never were; and what nobody asked for.
    let [small, other] = [(5, [3, 3], XRGB, 1), (5, [4, 4], ARGB, 1)];
    let unknown = (u32::MAX, [3, 3], XRGB, 1);
    cases.push((resume((3, 3), (4, &[small, small, other, unknown])), None));
    let many: Vec<Has> = (0..1024).map(|id| (id / 2, [1, 1], XRGB, 1)).collect();
    cases.push((resume((0, 0), (1024, &many)), None));
    cases.push((resume((0, 0), (0, &[small, small])), None));
    let mut scene = Scene::new(Guest::Bare, true).await;
    for (body, says) in cases {
        for is_followed in [false, true] {
            let mut channel = scene.channel_of(ChannelType::Display, HeaderKind::Mini, RESUMES);
            channel.say(RESUME, &body).await;
            if is_followed {
                channel.say(INIT, INITIAL.1).await;
            }
            let (is, size) = (channel.outcome().await, body.len());
            match (&is, &says) {
                (Outcome::Ends(error), Some(says)) => {
                    assert!(
                        error[0].contains(&format!("DISPLAY_RESUME: {says}")),
                        "{error:?}, not {says}"
                    );
                }
                (is, says) => assert!(*is == Outcome::GoesOn && says.is_none(), "{size}: {is:?}, not {says:?}"),
            }
        }
        scene.nobody_noticed().await;
    }
}
