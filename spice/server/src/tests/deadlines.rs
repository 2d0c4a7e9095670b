//! Clients that do not do their part lose their session, or their channel, at a deadline, and nobody else does.

use super::*;

const INIT: display::Init = NO_CACHES;

fn invert(x: i32) -> DisplayCommand {
    DisplayCommand::Draw(Box::new(Drawable {
        surface: 0,
        // None hides another.
        bbox: Rect::at(x % 600, x % 400, 3, 4),
        clip: Clip::None,
        mm_time: 0,
        op: DrawOp::Fill {
            brush: Brush::Solid(x as u32),
            rop: Rop(Rop::OP_XOR),
            mask: Mask::default(),
        },
    }))
}

/// Answers what the main channel asks, for ever.
fn keep_alive(mut main: Client) {
    tokio::spawn(async move {
        while let Some(frame) = main.frame().await {
            if let main::ServerMessage::Common(ServerCommon::Ping(ping)) = frame.message().unwrap() {
                let pong = Pong {
                    id: ping.id,
                    timestamp: ping.timestamp,
                };
                main.send(main::ClientMessage::Common(ClientCommon::Pong(pong))).await;
            }
        }
    });
}

/// Reads until the channel ends; how long that took.
async fn ends(channel: &mut Client) -> Duration {
    let from = tokio::time::Instant::now();
    let all = async { while channel.frame().await.is_some() {} };
    timeout(Duration::from_secs(1000), all).await.expect("the channel ends");
    from.elapsed()
}

#[tokio::test]
async fn a_client_that_never_acknowledges_loses_its_session_and_others_do_not() {
    let fixture = fixture(None);
    let (main, session) = fixture.session().await;
    let (other_main, other) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    let mut cursor = fixture.link(ChannelType::Cursor, session).await;
    let mut others = fixture.link(ChannelType::Inputs, other).await;
    keep_alive(main);
    keep_alive(other_main);
    tokio::time::pause();
    display.send(display::ClientMessage::Init(INIT)).await;
    display
        .until(|message: display::ServerMessage| matches!(message, display::ServerMessage::Mark).then_some(()))
        .await;
    for x in 0..200 {
        fixture.display.submit(invert(x));
    }
    // It reads everything, and says nothing.
    let waited = ends(&mut display).await;
    assert!(
        waited >= Duration::from_secs(30) && waited < Duration::from_secs(60),
        "{waited:?}"
    );
    ends(&mut cursor).await;
    assert_eq!(fixture.server.clients(), 1);
    // The other one is served.
    others
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::Init(_)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_client_that_acknowledges_too_much_is_served() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    display.send(display::ClientMessage::Init(INIT)).await;
    let common = display::ClientMessage::Common;
    for generation in [0, 7, u32::MAX, 1] {
        display.send(common(ClientCommon::AckSync(generation))).await;
        for _ in 0..100 {
            display.send(common(ClientCommon::Ack)).await;
        }
        let pong = Pong {
            id: generation,
            timestamp: 0,
        };
        display.send(common(ClientCommon::Pong(pong))).await;
    }
    display
        .until(|message: display::ServerMessage| matches!(message, display::ServerMessage::Mark).then_some(()))
        .await;
}

#[tokio::test]
async fn a_display_channel_without_init_ends_after_ten_seconds_and_its_session_does_not() {
    let fixture = fixture(None);
    let (main, session) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    keep_alive(main);
    tokio::time::pause();
    let waited = ends(&mut display).await;
    assert!(
        waited >= Duration::from_secs(9) && waited < Duration::from_secs(12),
        "{waited:?}"
    );
    assert_eq!(fixture.server.clients(), 1);
}

#[tokio::test]
async fn a_client_that_takes_no_byte_loses_its_session() {
    let fixture = fixture(None);
    let (main, session) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    keep_alive(main);
    display.send(display::ClientMessage::Init(INIT)).await;
    tokio::time::pause();
    let from = tokio::time::Instant::now();
    // More than the stream between them holds.
    let gone = async {
        let mut x = 0;
        while fixture.server.clients() > 0 {
            fixture.display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
                id: 0,
                width: 800 + x % 2,
                height: 600,
                format: SurfaceFormat::Xrgb,
                pixels: None,
            }));
            x += 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(Duration::from_secs(1000), gone).await.expect("it is gone");
    assert!(from.elapsed() >= Duration::from_secs(30), "{:?}", from.elapsed());
}

#[tokio::test]
async fn what_is_counted_of_a_client_adds_up() {
    let fixture = fixture(None);
    let (_main, session) = fixture.session().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    display.send(display::ClientMessage::Init(INIT)).await;
    let mut messages = 0;
    let mut bytes = 0;
    timeout(PATIENCE, async {
        loop {
            let frame = display.frame().await.expect("open");
            messages += 1;
            bytes += 6 + frame.body.len() as u64;
            if let display::ServerMessage::Mark = frame.message().unwrap() {
                return;
            }
        }
    })
    .await
    .expect("the picture comes");
    let figures = fixture.server.figures();
    let [client] = figures.as_slice() else {
        panic!("{figures:?}")
    };
    assert_eq!(client.connection_id, session);
    let [main, display] = client.channels.as_slice() else {
        panic!("{client:?}")
    };
    assert_eq!((main.kind, display.kind), (1, 2));
    assert!(
        display.messages_sent >= messages && display.bytes_sent >= bytes,
        "{display:?} {messages} {bytes}"
    );
    // INIT: a header of 6 bytes, and 14.
    assert_eq!(display.bytes_received, 20);
    assert_eq!(display.details["waiting-items"], 0);
    assert_eq!(
        display
            .details
            .iter()
            .filter(|(name, _)| name.starts_with("images-"))
            .count(),
        1
    );
}
