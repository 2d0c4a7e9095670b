//! Clients that come back after their connections were cut.

use caraway_ports::display::Pixels;
use caraway_protocol::{
    common::Disconnecting,
    display::{
        ClientMessage, DrawOp as Sent, ImageData as SentData, Init, KnownSurface, Resume, ServerMessage, tile_hash,
    },
};

use super::{images::picture, *};
use crate::{Connected, Role};

const CACHES: Init = Init {
    pixmap_cache_id: 1,
    pixmap_cache_size: 1 << 20,
    glz_dictionary_id: 1,
    glz_dictionary_window_size: 1 << 20,
};

const SIDE: u32 = 64;

impl Fixture {
    /// A main channel of a client that can come back; to the session it had, if that is not 0.
    async fn resuming(&self, session: u32, password: &str) -> Result<(Client, u32), LinkCode> {
        let channel = ChannelId {
            kind: ChannelType::Main,
            id: 0,
        };
        let caps = Caps::of(&[MainCap::Resume]);
        let mut main = timeout(PATIENCE, link_with(self.connect(), channel, session, password, caps))
            .await
            .expect("the server answers")?;
        let init = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init),
                _ => None,
            })
            .await;
        Ok((main, init.session_id))
    }

    async fn comes_back(&self, session: u32) -> (Client, u32) {
        self.resuming(session, "").await.expect("the session is there")
    }

    /// A display channel of such a client, and what it is sent up to the mark.
    async fn shown(&self, session: u32, resume: Option<Resume>) -> (Client, Vec<ServerMessage>) {
        let channel = ChannelId {
            kind: ChannelType::Display,
            id: 0,
        };
        let caps = Caps::of(&[DisplayCap::Resume, DisplayCap::MonitorsConfig]);
        let mut display = link_with(self.connect(), channel, session, "", caps).await.unwrap();
        if let Some(resume) = resume {
            display.send(ClientMessage::Resume(resume)).await;
        }
        display.send(ClientMessage::Init(CACHES)).await;
        let mut shown = Vec::new();
        timeout(PATIENCE, async {
            while shown.last() != Some(&ServerMessage::Mark) {
                shown.push(display.frame().await.unwrap().message().unwrap());
            }
        })
        .await
        .expect("the picture comes");
        (display, shown)
    }

    fn draw(&self, number: u8) {
        self.display.submit(picture(number));
    }

    /// What a client has that has drawn all there is.
    fn known(&self) -> KnownSurface {
        let pixels = self.display.read(0, Rect::at(0, 0, SIDE, SIDE)).unwrap();
        KnownSurface {
            id: 0,
            width: SIDE,
            height: SIDE,
            format: SurfaceFormat::Xrgb,
            tiles: (0..4)
                .map(|tile| hash(&pixels, tile % 2 * 128, tile / 2 * 32))
                .collect(),
        }
    }
}

/// Of the tile that begins in this byte of this row.
fn hash(pixels: &Pixels, byte: usize, row: usize) -> u64 {
    let rows = pixels.data.chunks(pixels.stride as usize).skip(row).take(32);
    tile_hash(rows.map(|row| &row[byte..byte + 128]), false)
}

fn screen(fixture: &Fixture) {
    fixture.display.submit(DisplayCommand::CreateSurface(SurfaceSpec {
        id: 0,
        width: SIDE,
        height: SIDE,
        format: SurfaceFormat::Xrgb,
        pixels: None,
    }));
}

/// Images among messages: those that came with their pixels and are kept, and those that came from the cache.
fn images(messages: &[ServerMessage]) -> (Vec<u64>, Vec<u64>) {
    let (mut whole, mut cached) = (Vec::new(), Vec::new());
    for message in messages {
        if let ServerMessage::Draw(draw) = message
            && let Sent::Copy { source, .. } = &draw.op
        {
            match source.image.data {
                SentData::FromCache | SentData::FromCacheLossless => cached.push(source.image.id),
                _ => whole.push(source.image.id),
            }
        }
    }
    (whole, cached)
}

impl Client {
    /// What draws the next picture.
    async fn drawn(&mut self) -> ServerMessage {
        self.until(|message: ServerMessage| matches!(message, ServerMessage::Draw(_)).then_some(message))
            .await
    }
}

#[tokio::test]
async fn a_client_that_comes_back_is_not_sent_what_it_has() {
    let fixture = fixture(None);
    screen(&fixture);
    let (main, session) = fixture.comes_back(0).await;
    let (mut display, _) = fixture.shown(session, None).await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        fixture.draw(number);
        ids.extend(images(&[display.drawn().await]).0);
    }
    assert_eq!(ids.len(), 3);
    // The link is cut: nobody says good-bye.
    drop((main, display));
    // Its last image never arrived, and it has one that nobody knows.
    let resume = Resume {
        images: vec![ids[0], ids[1], 77],
        surfaces: vec![fixture.known()],
    };
    let (main, again) = fixture.comes_back(session).await;
    assert_ne!(again, session);
    let (mut display, shown) = fixture.shown(again, Some(resume)).await;
    let names: Vec<_> = shown.iter().map(Message::name).collect();
    assert!(
        !names.contains(&"DISPLAY_SURFACE_CREATE") && !names.iter().any(|name| name.starts_with("DISPLAY_DRAW")),
        "the picture is as it was: {names:?}"
    );
    let mut later = Vec::new();
    for number in [2, 3, 1] {
        fixture.draw(number);
        later.push(display.drawn().await);
    }
    let (whole, cached) = images(&later);
    assert_eq!(cached, [ids[1], ids[0]]);
    assert!(whole.len() == 1 && !ids.contains(&whole[0]), "{whole:?}");
    // What changes while it is away is shown when it is back, and its session may follow on itself.
    let known = fixture.known();
    drop((main, display));
    fixture.draw(9);
    let (_main, again) = fixture.comes_back(again).await;
    let resume = Resume {
        images: vec![ids[0], ids[1]],
        surfaces: vec![known],
    };
    let (_, shown) = fixture.shown(again, Some(resume)).await;
    let (whole, cached) = images(&shown);
    assert_eq!((whole.len(), cached.len()), (1, 0));
}

#[tokio::test]
async fn of_surfaces_that_are_named_twice_the_last_counts_and_those_that_never_were_are_destroyed() {
    let fixture = fixture(None);
    screen(&fixture);
    fixture.draw(1);
    let known = fixture.known();
    let wrong = KnownSurface {
        tiles: known.tiles.iter().map(|hash| !hash).collect(),
        ..known.clone()
    };
    let never = |id| KnownSurface { id, ..known.clone() };
    for (last, draws) in [(&known, 0), (&wrong, 1)] {
        let (_main, session) = fixture.comes_back(0).await;
        let resume = Resume {
            images: vec![7, 7, u64::MAX, 0, 7],
            surfaces: vec![
                never(3),
                wrong.clone(),
                never(u32::MAX),
                known.clone(),
                never(3),
                last.clone(),
            ],
        };
        let (_, shown) = fixture.shown(session, Some(resume)).await;
        let destroyed: Vec<u32> = shown
            .iter()
            .filter_map(|message| match message {
                ServerMessage::SurfaceDestroy(id) => Some(*id),
                _ => None,
            })
            .collect();
        assert_eq!(destroyed, [3, u32::MAX]);
        let names: Vec<_> = shown.iter().map(Message::name).collect();
        let drawn = names.iter().filter(|name| name.starts_with("DISPLAY_DRAW")).count();
        assert_eq!(drawn, draws, "{names:?}");
        assert!(!names.contains(&"DISPLAY_SURFACE_CREATE"), "{names:?}");
    }
}

#[tokio::test]
async fn a_session_whose_connection_is_not_known_to_be_dead_is_taken_over() {
    let fixture = fixture(None);
    screen(&fixture);
    let (mut main, session) = fixture.comes_back(0).await;
    let (mut display, _) = fixture.shown(session, None).await;
    let (_main, again) = fixture.comes_back(session).await;
    main.closed().await;
    display.closed().await;
    assert_eq!(fixture.server.clients(), 1);
    // It is the only one that follows.
    assert_eq!(
        fixture.resuming(session, "").await.err(),
        Some(LinkCode::BadConnectionId)
    );
    let (_, shown) = fixture.shown(again, None).await;
    assert!(shown.iter().any(|message| message.name() == "DISPLAY_SURFACE_CREATE"));
}

#[tokio::test]
async fn nobody_comes_back_to_a_session_that_has_ended_well_or_is_anothers() {
    let fixture = fixture(None);
    let refused = Some(LinkCode::BadConnectionId);
    assert_eq!(fixture.resuming(12345, "").await.err(), refused, "there is none");
    // One that said good-bye.
    let (mut main, session) = fixture.comes_back(0).await;
    let leaving = ClientCommon::Disconnecting(Disconnecting {
        time_stamp: 0,
        reason: LinkCode::Ok,
    });
    main.send(main::ClientMessage::Common(leaving)).await;
    main.closed().await;
    assert_eq!(fixture.resuming(session, "").await.err(), refused);
    // One that never said that it can.
    let (main, session) = fixture.session().await;
    drop(main);
    assert_eq!(fixture.resuming(session, "").await.err(), refused);
    // One that was sent away.
    let (mut main, session) = fixture.comes_back(0).await;
    fixture
        .server
        .set_ticket(Role::Control, "control", Connected::Disconnect)
        .unwrap();
    main.closed().await;
    assert_eq!(fixture.resuming(session, "control").await.err(), refused);
    // Without the ticket, or with one for less.
    fixture.server.set_ticket(Role::View, "view", Connected::Keep).unwrap();
    let (main, session) = fixture.resuming(0, "control").await.unwrap();
    drop(main);
    assert_eq!(
        fixture.resuming(session, "").await.err(),
        Some(LinkCode::PermissionDenied)
    );
    assert_eq!(fixture.resuming(session, "view").await.err(), refused);
    assert!(fixture.resuming(session, "control").await.is_ok());
}

#[tokio::test]
async fn a_place_is_kept_for_a_while() {
    let displays = [Display::new(CanvasLimits::default())];
    let fixture = shared_fixture(&displays, Sharing::First);
    let (main, session) = fixture.comes_back(0).await;
    drop(main);
    let taken = Some(LinkCode::ChannelNotAvailable);
    // As soon as the server has seen it go, and before.
    assert_eq!(fixture.try_link(ChannelType::Main, 0, 0, "").await.err(), taken);
    let (main, session) = fixture.comes_back(session).await;
    drop(main);
    timeout(PATIENCE, async {
        while fixture.server.clients() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the server sees that it is gone");
    assert_eq!(fixture.try_link(ChannelType::Main, 0, 0, "").await.err(), taken);
    tokio::time::pause();
    tokio::time::advance(GRACE + Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(
        fixture.resuming(session, "").await.err(),
        Some(LinkCode::BadConnectionId)
    );
    assert!(fixture.try_link(ChannelType::Main, 0, 0, "").await.is_ok());
}

#[tokio::test]
async fn many_who_may_come_back_do_not_keep_out_those_who_come() {
    let fixture = fixture(None);
    let mut first = None;
    for _ in 0..40 {
        let (main, session) = fixture.comes_back(0).await;
        first.get_or_insert(session);
        drop(main);
    }
    assert_eq!(
        fixture.resuming(first.unwrap(), "").await.err(),
        Some(LinkCode::BadConnectionId),
        "it was the oldest"
    );
}

#[tokio::test]
async fn resume_comes_once_and_before_init_and_from_those_who_can() {
    let fixture = fixture(None);
    screen(&fixture);
    let (_main, session) = fixture.comes_back(0).await;
    let resume = || ClientMessage::Resume(Resume::default());
    let (mut display, _) = fixture.shown(session, Some(Resume::default())).await;
    display.send(resume()).await;
    display.closed().await;
    let channel = ChannelId {
        kind: ChannelType::Display,
        id: 0,
    };
    let caps = Caps::of(&[DisplayCap::Resume]);
    let mut display = link_with(fixture.connect(), channel, session, "", caps).await.unwrap();
    display.send(resume()).await;
    display.send(resume()).await;
    display.closed().await;
    let mut display = fixture.link(ChannelType::Display, session).await;
    display.send(resume()).await;
    display.closed().await;
}
