//! Several clients at one keyboard.

use caraway_protocol::inputs::{KeyCode, MOTION_ACK_BUNCH, MouseButton, MouseButtons};

use super::*;

const NONE: MouseButtons = MouseButtons::empty();

/// What the first and the second client press: A and B.
const A: u8 = 0x1e;
const B: u8 = 0x30;

fn key(code: u8, down: bool) -> InputEvent {
    InputEvent::Key {
        code: Scancode::Plain(code),
        down,
    }
}

/// A client with an inputs channel.
struct Typist {
    _main: Client,
    channel: Client,
}

impl Typist {
    async fn new(fixture: &Fixture, known: &[u32]) -> (Self, u32) {
        let (main, session) = fixture.session().await;
        assert!(!known.contains(&session));
        let channel = fixture.link(ChannelType::Inputs, session).await;
        (Self { _main: main, channel }, session)
    }

    async fn key(&mut self, code: u8, down: bool) {
        let code = KeyCode(u32::from(code) | if down { 0 } else { 0x80 });
        let message = if down {
            inputs::ClientMessage::KeyDown(code)
        } else {
            inputs::ClientMessage::KeyUp(code)
        };
        self.channel.send(message).await;
    }

    /// The mouse moves, and all before has been done.
    async fn moves(&mut self, dx: i32) {
        for _ in 0..MOTION_ACK_BUNCH {
            self.channel
                .send(inputs::ClientMessage::MouseMotion {
                    dx,
                    dy: 0,
                    buttons: NONE,
                })
                .await;
        }
        self.channel
            .until(|message: inputs::ServerMessage| {
                matches!(message, inputs::ServerMessage::MouseMotionAck).then_some(())
            })
            .await;
    }

    async fn button(&mut self, down: bool) {
        let (button, buttons) = (MouseButton::Left, NONE);
        self.channel
            .send(if down {
                inputs::ClientMessage::MousePress { button, buttons }
            } else {
                inputs::ClientMessage::MouseRelease { button, buttons }
            })
            .await;
    }
}

/// Two clients; what they do is done at a time that only [`pass`] moves on.
async fn two() -> (Fixture, Typist, Typist) {
    let fixture = fixture(None);
    let (first, session) = Typist::new(&fixture, &[]).await;
    let (second, _) = Typist::new(&fixture, &[session]).await;
    (fixture, first, second)
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn done(fixture: &Fixture) -> Vec<InputEvent> {
    let mut events = std::mem::take(&mut *fixture.keyboard.events.lock().unwrap());
    events.dedup();
    events
}

#[tokio::test]
async fn what_another_client_does_while_one_types_is_passed_over() {
    let (fixture, mut first, mut second) = two().await;
    first.key(A, true).await;
    first.key(A, false).await;
    first.moves(1).await;
    second.key(B, true).await;
    second.key(B, false).await;
    second.button(true).await;
    second.button(false).await;
    second.moves(2).await;
    let motion = |dx| InputEvent::Motion { dx, dy: 0 };
    assert_eq!(done(&fixture), [key(A, true), key(A, false), motion(1)]);
    // A second later the first one has stopped.
    pass(Duration::from_secs(1)).await;
    second.key(B, true).await;
    second.key(B, false).await;
    second.moves(2).await;
    first.key(A, true).await;
    first.moves(1).await;
    assert_eq!(done(&fixture), [key(B, true), key(B, false), motion(2)]);
}

#[tokio::test]
async fn who_holds_something_keeps_the_turn_for_longer_and_not_for_ever() {
    let (fixture, mut first, mut second) = two().await;
    first.key(A, true).await;
    first.button(true).await;
    let held = InputEvent::Button {
        button: Button::Left,
        down: true,
    };
    assert_eq!(fixture.keyboard.wait_for(2).await, [key(A, true), held]);
    pass(Duration::from_secs(9)).await;
    second.key(B, true).await;
    second.moves(2).await;
    assert_eq!(done(&fixture).len(), 2);
    pass(Duration::from_secs(1)).await;
    second.key(B, true).await;
    let released = InputEvent::Button {
        button: Button::Left,
        down: false,
    };
    assert_eq!(
        fixture.keyboard.wait_for(3).await,
        [key(A, false), released, key(B, true)]
    );
    done(&fixture);
    // What the first one lets go of is up already.
    first.key(A, false).await;
    first.button(false).await;
    first.moves(1).await;
    assert_eq!(done(&fixture), []);
    second.key(B, false).await;
    assert_eq!(fixture.keyboard.wait_for(1).await, [key(B, false)]);
}

#[tokio::test]
async fn who_only_moves_the_pointer_gives_way_to_who_presses_something() {
    let (fixture, mut first, mut second) = two().await;
    let motion = |dx| InputEvent::Motion { dx, dy: 0 };
    first.moves(1).await;
    second.moves(2).await;
    assert_eq!(done(&fixture), [motion(1)]);
    second.key(B, true).await;
    second.key(B, false).await;
    second.moves(2).await;
    first.moves(1).await;
    first.key(A, true).await;
    first.moves(1).await;
    assert_eq!(done(&fixture), [key(B, true), key(B, false), motion(2)]);
}

#[tokio::test]
async fn the_turn_of_who_leaves_is_over() {
    let (fixture, mut first, mut second) = two().await;
    first.key(A, true).await;
    assert_eq!(fixture.keyboard.wait_for(1).await, [key(A, true)]);
    done(&fixture);
    drop(first);
    assert_eq!(fixture.keyboard.wait_for(1).await, [key(A, false)]);
    second.key(B, true).await;
    assert_eq!(fixture.keyboard.wait_for(2).await, [key(A, false), key(B, true)]);
}
