use caraway_protocol::inputs::client_id::{
    ALL, KEY_DOWN, KEY_MODIFIERS, KEY_SCANCODE, KEY_UP, MOUSE_MOTION, MOUSE_POSITION, MOUSE_PRESS, MOUSE_RELEASE,
};

use super::*;

pub(super) const ROW: Row = Row {
    kind: ChannelType::Inputs,
    all: ALL,
    needs: &[
        (KEY_DOWN, 4),
        (KEY_UP, 4),
        (KEY_MODIFIERS, 2),
        (KEY_SCANCODE, 0),
        (MOUSE_MOTION, 10),
        (MOUSE_POSITION, 11),
        (MOUSE_PRESS, 3),
        (MOUSE_RELEASE, 3),
    ],
    states: &[
        State {
            name: "linked",
            caps: &[],
            before: &[],
        },
        State {
            name: "holding a key and a button",
            caps: &[],
            before: &[(KEY_DOWN, &[0x2a, 0, 0, 0]), (MOUSE_PRESS, &[1, 1, 0])],
        },
    ],
    outcome: |_, _, _, _| None,
};

#[tokio::test]
async fn every_message_of_the_inputs_channel_at_every_length() {
    for guest in [Guest::Bare, Guest::ClientMode] {
        ROW.every_length(guest).await;
    }
    ROW.unknown_ones(Guest::Bare).await;
}

/// What is down after these events.
fn held(events: &[InputEvent]) -> Vec<InputEvent> {
    let mut held = Vec::new();
    for event in events {
        let other = match *event {
            InputEvent::Key { code, down: false } => InputEvent::Key { code, down: true },
            InputEvent::Button { button, down: false } => InputEvent::Button { button, down: true },
            InputEvent::Key { .. } | InputEvent::Button { .. } => {
                held.push(*event);
                continue;
            }
            InputEvent::Motion { .. } | InputEvent::Wheel(_) => continue,
        };
        held.retain(|event| *event != other);
    }
    held
}

#[tokio::test]
async fn whatever_a_client_presses_is_let_go_of_when_it_is_gone() {
    for guest in [Guest::Bare, Guest::ClientMode] {
        let mut scene = Scene::new(guest, true).await;
        for way in ["hangs up", "breaks the protocol", "says good-bye"] {
            let mut channel = scene.channel(ChannelType::Inputs, HeaderKind::Mini);
            for code in 0..=255 {
                channel.say(KEY_DOWN, &[code, 0, 0, 0]).await;
                channel.say(KEY_DOWN, &[0xe0, code, 0, 0]).await;
                channel.say(KEY_SCANCODE, &[0xe1, code, 0x45]).await;
                channel.say(MOUSE_PRESS, &[code, 0xff, 0xff]).await;
            }
            match way {
                "hangs up" => drop(channel.hang_up().await),
                "breaks the protocol" => {
                    channel.say(KEY_DOWN, &[1]).await;
                    channel.ended().await.unwrap_err();
                }
                _ => {
                    channel.say(client_id::DISCONNECTING, &[0; 12]).await;
                    channel.ended().await.unwrap();
                }
            }
            let events = std::mem::take(&mut *scene.fixture.keyboard.events.lock().unwrap());
            assert!(events.len() > 400, "{way}: {}", events.len());
            assert_eq!(held(&events), [], "{guest:?}: {way}");
        }
        scene.nobody_noticed().await;
    }
}

#[tokio::test]
async fn buttons_that_do_not_exist_and_places_that_cannot_be_do_nothing() {
    let mut scene = Scene::new(Guest::Bare, true).await;
    let mut channel = scene.channel(ChannelType::Inputs, HeaderKind::Mini);
    for button in (8..=255).chain([0]) {
        channel.say(MOUSE_PRESS, &[button, 0xff, 0xff]).await;
        channel.say(MOUSE_RELEASE, &[button, 0, 0]).await;
    }
    // Positions have no meaning in server mode.
    channel.say(MOUSE_POSITION, &[0xff; 11]).await;
    channel.say(KEY_DOWN, &[0; 4]).await;
    channel.say(KEY_SCANCODE, &[0; 2048]).await;
    let (dx, dy) = (i32::MIN, i32::MAX);
    channel
        .say(
            MOUSE_MOTION,
            &[&dx.to_le_bytes()[..], &dy.to_le_bytes(), &[0, 0]].concat(),
        )
        .await;
    assert_eq!(channel.outcome().await, Outcome::GoesOn);
    let events = scene.fixture.keyboard.events.lock().unwrap().clone();
    assert_eq!(events, [InputEvent::Motion { dx, dy }]);
    scene.nobody_noticed().await;
}
