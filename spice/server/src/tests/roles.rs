//! Clients that may only look.

use caraway_protocol::main_channel::{AgentCaps, AgentKind, MouseMode, MouseModes};

use super::{agent::agent_fixture, *};
use crate::{Connected, Role, TicketError};

/// A server with a ticket for each role.
fn with_tickets(fixture: &Fixture) {
    let server = &fixture.server;
    server.set_ticket(Role::Control, "control", Connected::Keep).unwrap();
    server.set_ticket(Role::View, "view", Connected::Keep).unwrap();
}

impl Fixture {
    async fn enter(&self, password: &str) -> (Client, main::Init) {
        let mut main = self.try_link(ChannelType::Main, 0, 0, password).await.unwrap();
        let init = main
            .until(|message: main::ServerMessage| match message {
                main::ServerMessage::Init(init) => Some(init),
                _ => None,
            })
            .await;
        (main, init)
    }
}

impl Client {
    async fn channels(&mut self) -> Vec<ChannelType> {
        self.send(main::ClientMessage::AttachChannels).await;
        self.until(|message: main::ServerMessage| match message {
            main::ServerMessage::ChannelsList(list) => Some(list.iter().map(|channel| channel.kind).collect()),
            _ => None,
        })
        .await
    }
}

#[tokio::test]
async fn the_ticket_says_what_a_client_may_do() {
    let fixture = fixture(None);
    with_tickets(&fixture);
    let (mut controller, control) = fixture.enter("control").await;
    let (mut viewer, view) = fixture.enter("view").await;
    assert_eq!(
        controller.channels().await,
        [ChannelType::Display, ChannelType::Cursor, ChannelType::Inputs]
    );
    assert_eq!(viewer.channels().await, [ChannelType::Display, ChannelType::Cursor]);
    let roles: Vec<_> = fixture.server.figures().iter().map(|client| client.role).collect();
    assert_eq!(roles.iter().filter(|role| **role == Role::View).count(), 1);
    let (control, view) = (control.session_id, view.session_id);
    for (kind, session, password, refused) in [
        (ChannelType::Display, view, "view", None),
        (ChannelType::Cursor, view, "control", None),
        // Who may only look has no inputs, by whatever ticket.
        (ChannelType::Inputs, view, "view", Some(LinkCode::ChannelNotAvailable)),
        (
            ChannelType::Inputs,
            view,
            "control",
            Some(LinkCode::ChannelNotAvailable),
        ),
        // Nor those of somebody else.
        (ChannelType::Inputs, control, "view", Some(LinkCode::PermissionDenied)),
        (ChannelType::Display, control, "view", Some(LinkCode::PermissionDenied)),
        (ChannelType::Inputs, control, "control", None),
        (
            ChannelType::Display,
            control,
            "neither",
            Some(LinkCode::PermissionDenied),
        ),
    ] {
        assert_eq!(
            fixture.try_link(kind, 0, session, password).await.err(),
            refused,
            "{kind:?} of {session} with {password}"
        );
    }
}

#[tokio::test]
async fn a_ticket_for_viewers_expires_by_itself_and_needs_one_for_control() {
    let open = fixture(None);
    let set = open.server.set_ticket(Role::View, "view", Connected::Keep);
    assert_eq!(set, Err(TicketError::NoControl));
    let fixture = fixture(None);
    with_tickets(&fixture);
    fixture.server.expire_ticket(Role::View, Some(Duration::ZERO)).unwrap();
    let refused = fixture.try_link(ChannelType::Main, 0, 0, "view").await.err();
    assert_eq!(refused, Some(LinkCode::PermissionDenied));
    assert!(fixture.try_link(ChannelType::Main, 0, 0, "control").await.is_ok());
    // One that is the same as that for control gives control.
    fixture
        .server
        .set_ticket(Role::View, "control", Connected::Keep)
        .unwrap();
    fixture.server.expire_ticket(Role::View, None).unwrap();
    let (mut main, _) = fixture.enter("control").await;
    assert!(main.channels().await.contains(&ChannelType::Inputs));
}

#[tokio::test]
async fn who_may_only_look_has_no_agent_and_no_say_in_the_mouse_mode() {
    let (fixture, agent) = agent_fixture();
    with_tickets(&fixture);
    let (mut controller, _) = fixture.enter("control").await;
    assert!(agent.port.open());
    let capabilities = [0u32.to_le_bytes(), AgentCaps::MOUSE_STATE.bits().to_le_bytes()].concat();
    agent.say(AgentKind::AnnounceCapabilities, &capabilities).await;
    let mode = |message: main::ServerMessage| match message {
        main::ServerMessage::MouseMode { supported, current } => Some((supported, current)),
        _ => None,
    };
    let both = MouseModes::SERVER | MouseModes::CLIENT;
    assert_eq!(controller.until(mode).await, (both, MouseMode::Server));
    let (mut viewer, init) = fixture.enter("view").await;
    assert_eq!((init.agent_connected, init.agent_tokens), (0, 0));
    assert_eq!(init.supported_mouse_modes, MouseModes::SERVER);
    viewer
        .send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
        .await;
    viewer.send(main::ClientMessage::AgentStart(10)).await;
    viewer
        .send(main::ClientMessage::AgentData(Bytes::from_static(&[0; 2048])))
        .await;
    // It is still there, and nothing has come of it.
    assert_eq!(viewer.channels().await, [ChannelType::Display, ChannelType::Cursor]);
    assert!(!fixture.server.is_client_mouse_mode());
    // It sees the pointer where others have it: they move it, and its own mouse mode stays.
    controller
        .send(main::ClientMessage::MouseModeRequest(MouseMode::Client))
        .await;
    assert_eq!(controller.until(mode).await, (both, MouseMode::Client));
    let (mut viewer, init) = fixture.enter("view").await;
    assert_eq!(
        (init.supported_mouse_modes, init.current_mouse_mode),
        (MouseModes::SERVER, MouseMode::Server)
    );
    let moved = |point: Point| {
        move |message: cursor::ServerMessage| match message {
            cursor::ServerMessage::Move(to) if (i32::from(to.x), i32::from(to.y)) == (point.x, point.y) => Some(()),
            _ => None,
        }
    };
    let mut pointer = fixture
        .try_link(ChannelType::Cursor, 0, init.session_id, "view")
        .await
        .unwrap();
    pointer
        .until(|message: cursor::ServerMessage| matches!(message, cursor::ServerMessage::Init { .. }).then_some(()))
        .await;
    for at in [Point::new(10, 20), Point::new(30, 40)] {
        fixture.display.submit(DisplayCommand::Cursor(CursorCommand::Move(at)));
        pointer.until(moved(at)).await;
    }
    assert_eq!(viewer.channels().await.len(), 2);
}
