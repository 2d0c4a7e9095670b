use caraway_protocol::main_channel::{
    ClientMessage, ServerMessage,
    client_id::{
        AGENT_DATA, AGENT_START, AGENT_TOKEN, ALL, ATTACH_CHANNELS, CLIENT_INFO, MIGRATE_CONNECT_ERROR,
        MIGRATE_CONNECTED, MIGRATE_CONNECTED_SEAMLESS, MIGRATE_DST_DO_SEAMLESS, MIGRATE_END, MOUSE_MODE_REQUEST,
        QUALITY_INDICATOR,
    },
};

use super::*;

const START: (u16, &[u8]) = (AGENT_START, &[0xff; 4]);

pub(super) const ROW: Row = Row {
    kind: ChannelType::Main,
    all: ALL,
    needs: &[
        (CLIENT_INFO, 8),
        (MIGRATE_CONNECTED, 0),
        (MIGRATE_CONNECT_ERROR, 0),
        (ATTACH_CHANNELS, 0),
        (MOUSE_MODE_REQUEST, 2),
        (AGENT_START, 4),
        (AGENT_DATA, 0),
        (AGENT_TOKEN, 4),
        (MIGRATE_END, 0),
        (MIGRATE_DST_DO_SEAMLESS, 4),
        (MIGRATE_CONNECTED_SEAMLESS, 0),
        (QUALITY_INDICATOR, 0),
    ],
    states: &[
        State {
            name: "linked",
            caps: &[],
            before: &[],
        },
        State {
            name: "attached",
            caps: &[],
            before: &[(ATTACH_CHANNELS, &[])],
        },
        State {
            name: "talking to the agent",
            caps: &[],
            before: &[(ATTACH_CHANNELS, &[]), START],
        },
    ],
    outcome: |guest, state, id, body| {
        // What is said to an agent that is not there, or before AGENT_START, is dropped.
        let is_heard = guest == Guest::Agent && state.before.contains(&START);
        match body.first_chunk() {
            _ if id != AGENT_DATA || !is_heard => None,
            None | Some(_) if body.len() < AgentHeader::BYTES => Some(ends(&[
                "agent protocol violation",
                &format!("AGENT_DATA of {} bytes begins a message of at least 20", body.len()),
            ])),
            first => {
                let protocol = first.copied().map_or(0, u32::from_le_bytes);
                let says = format!("VDAgentMessage: protocol: expected 1, got {protocol}");
                (protocol != 1).then(|| ends(&[&says]))
            }
        }
    },
};

#[tokio::test]
async fn every_message_of_the_main_channel_at_every_length() {
    for guest in [Guest::Bare, Guest::Agent] {
        ROW.every_length(guest).await;
    }
    ROW.unknown_ones(Guest::Bare).await;
}

#[tokio::test]
async fn every_message_of_a_client_that_may_only_look_goes_by_and_nothing_reaches_the_agent() {
    ROW.every_length(Guest::Watched).await;
    ROW.unknown_ones(Guest::Watched).await;
    let mut scene = Scene::new(Guest::Watched, false).await;
    let mut channel = scene.channel(ChannelType::Main, HeaderKind::Mini);
    let header = AgentHeader {
        protocol: AgentHeader::PROTOCOL,
        kind: AgentKind::AnnounceCapabilities.into(),
        opaque: 0,
        size: 8,
    };
    channel.say(START.0, START.1).await;
    for _ in 0..100 {
        // A message as agents have it, one that is none, and the rest of none.
        for data in [&[&header.encode()[..], &[0xff; 8]].concat()[..], &[0xff; 2048], &[]] {
            channel.say(AGENT_DATA, data).await;
        }
        channel.say(AGENT_TOKEN, &[0xff; 4]).await;
        for mode in 0..=4u16 {
            channel.say(MOUSE_MODE_REQUEST, &mode.to_le_bytes()).await;
        }
    }
    assert_eq!(channel.outcome().await, Outcome::GoesOn);
    scene.nobody_noticed().await;
    assert!(scene.agent.is_open());
    assert_eq!(scene.agent.readable(), 0);
    assert!(!scene.fixture.server.is_client_mouse_mode());
}

#[tokio::test]
async fn agent_data_of_every_length_is_dropped_or_has_to_begin_with_a_header() {
    for guest in [Guest::Bare, Guest::Agent] {
        let mut scene = Scene::new(guest, false).await;
        for state in ROW.states {
            for length in (0..=40).chain([2047, 2048]) {
                let case = (guest, state);
                ROW.case(&scene, case, HeaderKind::Mini, AGENT_DATA, &vec![0x33; length])
                    .await;
            }
        }
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn a_mouse_mode_that_does_not_exist_or_may_not_be_changes_nothing() {
    for (guest, is_client) in [(Guest::Bare, false), (Guest::ClientMode, true)] {
        let mut scene = Scene::new(guest, false).await;
        let mut channel = scene.channel(ChannelType::Main, HeaderKind::Mini);
        for mode in [0, 3, 4, 0x7fff, 0x8001, u16::MAX] {
            channel.say(MOUSE_MODE_REQUEST, &mode.to_le_bytes()).await;
        }
        if guest == Guest::Bare {
            channel.say(MOUSE_MODE_REQUEST, &2u16.to_le_bytes()).await;
        }
        assert_eq!(channel.outcome().await, Outcome::GoesOn);
        assert_eq!(scene.fixture.server.is_client_mouse_mode(), is_client);
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn tokens_of_any_number_are_added_up_without_overflow() {
    let mut scene = Scene::new(Guest::Agent, false).await;
    let mut channel = scene.channel(ChannelType::Main, HeaderKind::Mini);
    for tokens in [u32::MAX, 0, 1, 1 << 31, u32::MAX] {
        channel.say(AGENT_START, &tokens.to_le_bytes()).await;
        for _ in 0..3 {
            channel.say(AGENT_TOKEN, &tokens.to_le_bytes()).await;
        }
    }
    assert_eq!(channel.outcome().await, Outcome::GoesOn);
    assert!(scene.agent.is_open());
    scene.nobody_noticed().await;
}

#[tokio::test]
async fn a_client_that_asks_for_its_channels_ever_again_and_acknowledges_behind_that_is_answered_each_time() {
    const TIMES: usize = 1000;
    let fixture = fixture(None);
    let (mut main, _) = fixture.session().await;
    for _ in 0..TIMES {
        main.send(ClientMessage::AttachChannels).await;
    }
    main.send(ClientMessage::Common(ClientCommon::AckSync(1))).await;
    for count in 1..=TIMES {
        main.until(|message: ServerMessage| matches!(message, ServerMessage::ChannelsList(_)).then_some(()))
            .await;
        if count % 20 == 0 {
            main.send(ClientMessage::Common(ClientCommon::Ack)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_much_and_goes_is_gone_at_once() {
    let scene = Scene::new(Guest::Bare, false).await;
    let mut channel = scene.channel(ChannelType::Main, HeaderKind::Mini);
    for _ in 0..1000 {
        channel.say(ATTACH_CHANNELS, &[]).await;
    }
    // It reads all it is sent, and acknowledges nothing.
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read) = timeout(Duration::from_millis(10), channel.stream.read(&mut bytes)).await {
        read.unwrap();
    }
    let from = tokio::time::Instant::now();
    channel.hang_up().await.unwrap();
    assert!(from.elapsed() < Duration::from_secs(1), "{:?}", from.elapsed());
}
