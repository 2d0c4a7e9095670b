//! Keys with all their prefixes, lights both ways, and the acknowledgement of motion.

use caraway_protocol::inputs::{KeyCode, KeyModifiers, MOTION_ACK_BUNCH, MouseButtons};

use super::*;

const NONE: MouseButtons = MouseButtons::empty();

async fn channel(fixture: &Fixture) -> (Client, Client) {
    let (main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    channel
        .until(|message: inputs::ServerMessage| matches!(message, inputs::ServerMessage::Init(_)).then_some(()))
        .await;
    (main, channel)
}

fn key(code: Scancode, down: bool) -> InputEvent {
    InputEvent::Key { code, down }
}

#[tokio::test]
async fn keys_with_every_prefix_reach_the_machine_whichever_message_brings_them() {
    use Scancode::{Extended, Pause, Plain};
    let fixture = fixture(None);
    let (_main, mut channel) = channel(&fixture).await;
    // Enter and the keypad's, Print Screen with the shift around it, Pause, and Ctrl with Pause.
    for code in [
        0x1c,
        0x9c,
        0x1ce0,
        0x9ce0,
        0x37e0_2ae0,
        0xaae0_b7e0,
        0x0045_1de1,
        0x00c5_9de1,
        0x46e0,
        0xc6e0,
    ] {
        let message = if code & 0x8080_8080 & !0xe0e0_e0e0 == 0 {
            inputs::ClientMessage::KeyDown(KeyCode(code))
        } else {
            inputs::ClientMessage::KeyUp(KeyCode(code))
        };
        channel.send(message).await;
    }
    let mut expected = vec![
        key(Plain(0x1c), true),
        key(Plain(0x1c), false),
        key(Extended(0x1c), true),
        key(Extended(0x1c), false),
        key(Extended(0x2a), true),
        key(Extended(0x37), true),
        key(Extended(0x37), false),
        key(Extended(0x2a), false),
        key(Pause, true),
        key(Pause, false),
        key(Extended(0x46), true),
        key(Extended(0x46), false),
    ];
    assert_eq!(fixture.keyboard.wait_for(expected.len()).await, expected);
    // The same as bytes, cut anywhere.
    let bytes = [
        0x1c, 0x9c, 0xe0, 0x1c, 0xe0, 0x9c, 0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa, 0xe1, 0x1d, 0x45, 0xe1,
        0x9d, 0xc5, 0xe0, 0x46, 0xe0, 0xc6,
    ];
    let keys = expected.clone();
    for size in [1, 2, 3, 5, bytes.len()] {
        for part in bytes.chunks(size) {
            let message = inputs::ClientMessage::KeyScancode(Bytes::copy_from_slice(part));
            channel.send(message).await;
        }
        expected.extend(&keys);
        assert_eq!(
            fixture.keyboard.wait_for(expected.len()).await,
            expected,
            "{size} bytes each"
        );
    }
}

#[tokio::test]
async fn all_keys_a_client_holds_are_released_when_it_leaves() {
    use Scancode::{Extended, Pause, Plain};
    let fixture = fixture(None);
    let (_main, mut channel) = channel(&fixture).await;
    let codes = || (1..=0x7f).flat_map(|code| [Plain(code), Extended(code)]).chain([Pause]);
    for code in codes() {
        let wire = match code {
            Plain(code) => u32::from(code),
            Extended(code) => 0xe0 | u32::from(code) << 8,
            Pause => 0x0045_1de1,
        };
        channel.send(inputs::ClientMessage::KeyDown(KeyCode(wire))).await;
        // Held down, it repeats.
        channel.send(inputs::ClientMessage::KeyDown(KeyCode(wire))).await;
    }
    // Extended(0x60) and Extended(0x61) would be prefixes themselves; they are keys after one.
    channel.send(inputs::ClientMessage::KeyUp(KeyCode(0x9e))).await;
    let count = codes().count();
    fixture.keyboard.wait_for(2 * count + 1).await;
    drop(channel);
    let events = fixture.keyboard.wait_for(3 * count).await;
    let mut released: Vec<_> = events[2 * count..].to_vec();
    let mut expected: Vec<_> = codes().map(|code| key(code, false)).collect();
    let order = |event: &InputEvent| format!("{event:?}");
    released.sort_by_key(order);
    expected.sort_by_key(order);
    assert_eq!(released, expected);
}

/// The next lights the client is told of.
async fn lights(channel: &mut Client) -> KeyModifiers {
    channel
        .until(|message: inputs::ServerMessage| match message {
            inputs::ServerMessage::KeyModifiers(lights) => Some(lights),
            _ => None,
        })
        .await
}

impl Keyboard {
    /// The guest switches lights.
    fn set_leds(&self, leds: Leds) {
        *self.leds.lock().unwrap() = leds;
        let listeners = self.listeners.lock().unwrap().clone();
        for listener in listeners.iter().filter_map(std::sync::Weak::upgrade) {
            listener.leds_changed(leds);
        }
    }
}

const CAPS: Leds = Leds {
    caps: true,
    num: false,
    scroll: false,
};

#[tokio::test]
async fn lights_the_guest_switches_are_shown_to_the_client() {
    let fixture = fixture(None);
    fixture.keyboard.set_leds(CAPS);
    let (_main, session) = fixture.session().await;
    let mut channel = fixture.link(ChannelType::Inputs, session).await;
    let first = channel
        .until(|message: inputs::ServerMessage| match message {
            inputs::ServerMessage::Init(lights) => Some(lights),
            _ => None,
        })
        .await;
    assert_eq!(first, KeyModifiers::CAPS_LOCK);
    let (num, scroll, caps) = (true, true, false);
    for (leds, shown) in [
        (
            Leds { num, scroll, caps },
            KeyModifiers::NUM_LOCK | KeyModifiers::SCROLL_LOCK,
        ),
        (CAPS, KeyModifiers::CAPS_LOCK),
        (Leds::default(), KeyModifiers::empty()),
    ] {
        fixture.keyboard.set_leds(leds);
        assert_eq!(lights(&mut channel).await, shown);
    }
}

#[tokio::test]
async fn locks_a_client_wants_are_tapped_unless_held_and_the_lights_told_again_two_seconds_later() {
    let fixture = fixture(None);
    let (_main, mut channel) = channel(&fixture).await;
    tokio::time::pause();
    fixture.keyboard.set_leds(CAPS);
    assert_eq!(lights(&mut channel).await, KeyModifiers::CAPS_LOCK);
    let (num, caps, scroll) = (Scancode::Plain(0x45), Scancode::Plain(0x3a), Scancode::Plain(0x46));
    let tap = |code| [key(code, true), key(code, false)];
    channel
        .send(inputs::ClientMessage::KeyModifiers(KeyModifiers::NUM_LOCK))
        .await;
    assert_eq!(fixture.keyboard.wait_for(4).await, [tap(num), tap(caps)].concat());
    let asked = tokio::time::Instant::now();
    assert_eq!(
        lights(&mut channel).await,
        KeyModifiers::CAPS_LOCK,
        "this guest does not care"
    );
    assert_eq!(asked.elapsed().as_secs(), 2);
    // One that is held is not tapped.
    channel.send(inputs::ClientMessage::KeyDown(KeyCode(0x46))).await;
    let every = KeyModifiers::SCROLL_LOCK | KeyModifiers::NUM_LOCK | KeyModifiers::CAPS_LOCK;
    channel.send(inputs::ClientMessage::KeyModifiers(every)).await;
    let events = fixture.keyboard.wait_for(7).await;
    assert_eq!(events[4..], [&[key(scroll, true)][..], &tap(num)].concat());
    lights(&mut channel).await;
}

#[tokio::test]
async fn the_lights_are_told_again_two_seconds_after_a_lock_key() {
    let fixture = fixture(None);
    let (_main, mut channel) = channel(&fixture).await;
    tokio::time::pause();
    for code in [0x3a, 0x45, 0x46] {
        let pressed = tokio::time::Instant::now();
        channel.send(inputs::ClientMessage::KeyDown(KeyCode(code))).await;
        channel.send(inputs::ClientMessage::KeyUp(KeyCode(code | 0x80))).await;
        assert_eq!(lights(&mut channel).await, KeyModifiers::empty());
        assert_eq!(pressed.elapsed().as_secs(), 2, "{code:#x}");
    }
}

#[tokio::test]
async fn motion_is_acknowledged_at_exactly_every_fourth_whatever_it_is_mixed_of() {
    let fixture = fixture(None);
    let (_main, mut channel) = channel(&fixture).await;
    let motion = inputs::ClientMessage::MouseMotion {
        dx: 1,
        dy: 0,
        buttons: NONE,
    };
    // Without a meaning in server mode, but counted.
    let position = inputs::ClientMessage::MousePosition {
        x: 1,
        y: 1,
        buttons: NONE,
        display_id: 0,
    };
    let (mut sent, mut moves, mut caps) = (0, 0, false);
    for is_motion in [
        false, true, true, false, false, false, true, true, true, true, false, true,
    ] {
        // A press is not counted, and says when the machine has seen all that was before.
        let message = if is_motion { motion.clone() } else { position.clone() };
        channel.send(message).await;
        let button = inputs::MouseButton::Down;
        channel
            .send(inputs::ClientMessage::MousePress { button, buttons: NONE })
            .await;
        sent += 1;
        moves += 1 + usize::from(is_motion);
        fixture.keyboard.wait_for(moves).await;
        // Lights go behind the acknowledgements that are due.
        caps = !caps;
        fixture.keyboard.set_leds(Leds {
            caps,
            ..Leds::default()
        });
        let mut acks = 0;
        loop {
            let frame = timeout(PATIENCE, channel.frame())
                .await
                .expect("in time")
                .expect("open");
            match frame.message::<inputs::ServerMessage>().unwrap() {
                inputs::ServerMessage::MouseMotionAck => acks += 1,
                inputs::ServerMessage::KeyModifiers(_) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(acks, u32::from(sent % MOTION_ACK_BUNCH == 0), "after {sent}");
    }
}
