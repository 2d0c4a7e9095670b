use caraway_ports::input::{Button, InputEvent, InputSink as _, Scancode};
use proptest::prelude::*;

use super::{
    mouse::CAPACITY,
    test_bench::{Bench, Packet, Taken, packets},
};

fn moved(dx: i32, dy: i32) -> Packet {
    Packet {
        dx,
        dy,
        ..Packet::default()
    }
}

fn held(buttons: u8) -> Packet {
    Packet {
        buttons,
        ..Packet::default()
    }
}

#[test]
fn packets_on_the_wire() {
    let bench = Bench::pointing(0);
    for (dx, dy, bytes) in [
        (1, 0, [0x08, 1, 0]),
        (-1, 0, [0x18, 0xff, 0]),
        (0, 1, [0x28, 0, 0xff]),
        (0, -1, [0x08, 0, 1]),
        (255, -255, [0x08, 0xff, 0xff]),
        (-255, 255, [0x38, 0x01, 0x01]),
    ] {
        bench.motion(dx, dy);
        assert_eq!(bench.interrupts().aux, bytes);
    }
    bench.button(Button::Left, true);
    bench.button(Button::Right, true);
    bench.button(Button::Middle, true);
    bench.button(Button::Left, false);
    assert_eq!(
        packets(0, &bench.interrupts().aux),
        [held(1), held(3), held(7), held(6)]
    );
}

#[test]
fn the_wheel_and_five_buttons_show_when_the_guest_has_asked_for_them() {
    for (kind, wheel, five) in [(0, 0, 0), (3, 2, 0), (4, 2, 0x18)] {
        let bench = Bench::pointing(kind);
        bench.device.send(InputEvent::Wheel(2));
        bench.button(Button::Side, true);
        bench.button(Button::Extra, true);
        let seen = packets(kind, &bench.interrupts().aux);
        assert_eq!(seen.iter().map(|packet| packet.wheel).sum::<i32>(), wheel, "{kind}");
        assert_eq!(seen.last().map_or(0, |packet| packet.buttons), five, "{kind}");
    }
}

#[test]
fn what_linux_reads_as_up_is_away_from_the_person() {
    let bench = Bench::pointing(3);
    bench.device.send(InputEvent::Wheel(-1));
    assert_eq!(bench.interrupts().aux, [0x08, 0, 0, 0xff]);
    let bench = Bench::pointing(4);
    bench.device.send(InputEvent::Wheel(-1));
    bench.device.send(InputEvent::Wheel(1));
    bench.device.send(InputEvent::Wheel(1));
    let bytes = bench.interrupts().aux;
    let steps: Vec<_> = bytes
        .chunks(4)
        .map(|packet| i32::from(packet[3] & 8) - i32::from(packet[3] & 7))
        .collect();
    assert_eq!(steps.iter().sum::<i32>(), -1, "{bytes:x?}");
}

#[test]
fn motion_a_slow_guest_has_not_read_becomes_few_packets() {
    let bench = Bench::pointing(0);
    for _ in 0..1000 {
        bench.motion(1, -2);
    }
    let seen = packets(0, &bench.interrupts().aux);
    assert!(seen.len() < 12, "{}", seen.len());
    assert_eq!(seen.iter().map(|packet| packet.dx).sum::<i32>(), 1000);
    assert_eq!(seen.iter().map(|packet| packet.dy).sum::<i32>(), -2000);
}

#[test]
fn a_button_goes_down_where_the_pointer_was() {
    let bench = Bench::pointing(0);
    bench.motion(1, 1);
    bench.motion(10, 10);
    bench.motion(10, 10);
    bench.button(Button::Left, true);
    bench.motion(5, 0);
    bench.motion(5, 0);
    bench.button(Button::Left, false);
    bench.motion(-3, 0);
    let down = |dx| Packet {
        buttons: 1,
        dx,
        dy: 0,
        wheel: 0,
    };
    assert_eq!(
        packets(0, &bench.interrupts().aux),
        [moved(1, 1), moved(20, 20), held(1), down(10), held(0), moved(-3, 0)]
    );
}

#[test]
fn a_guest_that_never_reads_ends_with_the_right_buttons() {
    let bench = Bench::pointing(0);
    for index in 0..10 * CAPACITY as i32 {
        bench.button(Button::Left, index % 2 == 0);
        bench.motion(1, 0);
        bench.button(Button::Right, index % 3 == 0);
    }
    assert!(bench.device.pending() <= CAPACITY + 2);
    bench.button(Button::Left, false);
    bench.button(Button::Right, true);
    let seen = packets(0, &bench.interrupts().aux);
    assert_eq!(seen.last().unwrap().buttons, 2);
    assert_eq!(seen.iter().map(|packet| packet.dx).sum::<i32>(), 10 * CAPACITY as i32);
}

#[test]
fn commands_answer() {
    let bench = Bench::pointing(0);
    let cases: &[(&[u8], &[u8])] = &[
        (&[0xf2], &[0xfa, 0x00]),
        // Status: reporting, resolution 2, 100 a second.
        (&[0xe9], &[0xfa, 0x20, 0x02, 0x64]),
        (&[0xe8, 0x03, 0xe7, 0xf3, 0x28], &[0xfa, 0xfa, 0xfa, 0xfa, 0xfa]),
        (&[0xe9], &[0xfa, 0x30, 0x03, 0x28]),
        (&[0xe8, 0x04], &[0xfa, 0xfe]),
        (&[0xf3, 0x0b], &[0xfa, 0xfe]),
        (&[0xf6], &[0xfa]),
        (&[0xe9], &[0xfa, 0x00, 0x02, 0x64]),
        (&[0xf0, 0xeb], &[0xfa, 0xfa, 0x08, 0, 0]),
        (&[0xe9], &[0xfa, 0x40, 0x02, 0x64]),
        (&[0xea], &[0xfa]),
        // Everything comes back, except what ends that.
        (&[0xee, 0x12, 0xf4, 0xec], &[0xfa, 0x12, 0xf4, 0xfa]),
        (&[0xe1], &[0xfe]),
        (&[0xff], &[0xfa, 0xaa, 0x00]),
        (&[0xfe], &[0xfa, 0xaa, 0x00]),
    ];
    for (sent, answers) in cases {
        assert_eq!(bench.to_mouse(sent), *answers, "{sent:x?}");
    }
}

#[test]
fn remote_mode_gathers_motion_until_it_is_asked_for() {
    let bench = Bench::pointing(3);
    bench.to_mouse(&[0xf0]);
    bench.motion(300, -4);
    bench.device.send(InputEvent::Wheel(-2));
    bench.button(Button::Middle, true);
    assert_eq!(bench.interrupts().aux, []);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = bench.to_mouse(&[0xeb]);
        assert_eq!(answer[0], 0xfa);
        seen.extend(packets(3, &answer[1..]));
    }
    assert_eq!(seen.iter().map(|packet| packet.dx).sum::<i32>(), 300);
    assert_eq!(seen[0].wheel, -2);
    assert_eq!(seen[1].buttons, 4);
    assert_eq!(bench.to_mouse(&[0xea]), [0xfa], "the guest knows the button already");
}

#[test]
fn a_command_ends_a_packet_and_the_next_one_starts_in_step() {
    let bench = Bench::pointing(4);
    bench.button(Button::Side, true);
    assert_eq!(bench.take(), 0x08);
    // One byte was in the buffer already; then the answer; then the buttons again, whole.
    assert_eq!(bench.to_mouse(&[0xf2]), [0, 0xfa, 0x04, 0x08, 0, 0, 0x10]);
    bench.button(Button::Side, false);
    assert_eq!(packets(4, &bench.interrupts().aux), [held(0)]);
}

#[test]
fn buttons_that_changed_while_reporting_was_off_are_told() {
    let bench = Bench::pointing(0);
    bench.button(Button::Left, true);
    bench.interrupts();
    bench.to_mouse(&[0xf5]);
    bench.button(Button::Left, false);
    bench.motion(50, 50);
    assert_eq!(bench.device.pending(), 0);
    assert_eq!(bench.to_mouse(&[0xf4]), [0xfa, 0x08, 0, 0]);
}

#[test]
fn double_scaling_is_for_packets_of_its_own_accord() {
    let bench = Bench::pointing(0);
    bench.to_mouse(&[0xe7]);
    for (dx, seen) in [(1, 1), (2, 1), (3, 3), (4, 6), (5, 9), (6, 12), (-5, -9), (100, 200)] {
        bench.motion(dx, 0);
        assert_eq!(packets(0, &bench.interrupts().aux), [moved(seen, 0)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Keys and mouse at once, a guest that reads now and then, controller commands in between: packets stay in step,
    /// nothing of the motion is lost, clicks come in order and at their place.
    #[test]
    fn packets_stay_whole(
        kind in prop::sample::select(vec![0u8, 3, 4]),
        acts in prop::collection::vec((0u8..6, -400i32..400, -400i32..400), 0..200),
    ) {
        let bench = Bench::pointing(kind);
        let mut taken = Taken::default();
        let (mut x, mut y, mut down) = (0, 0, false);
        let mut clicks = Vec::new();
        for (act, dx, dy) in acts {
            match act {
                0 | 1 => {
                    bench.motion(dx, dy);
                    (x, y) = (x + dx, y + dy);
                }
                2 => {
                    down = !down;
                    bench.button(Button::Left, down);
                    clicks.push((x, y, down));
                }
                3 => bench.tap(Scancode::Extended(0x48)),
                4 => {
                    // The config byte: polled, with interrupts off, as drivers do.
                    bench.command(0x20);
                    prop_assert_eq!(bench.take(), 0x47);
                }
                _ => {
                    for _ in 0..dx.unsigned_abs() % 7 {
                        bench.interrupt(&mut taken);
                    }
                }
            }
        }
        let rest = bench.interrupts();
        taken.aux.extend(rest.aux);
        let (mut at_x, mut at_y, mut was, mut seen) = (0, 0, 0, Vec::new());
        for packet in packets(kind, &taken.aux) {
            (at_x, at_y) = (at_x + packet.dx, at_y + packet.dy);
            if packet.buttons != was {
                was = packet.buttons;
                seen.push((at_x, at_y, was == 1));
            }
        }
        prop_assert_eq!((at_x, at_y), (x, y));
        prop_assert_eq!(seen, clicks);
        prop_assert_eq!(bench.device.pending(), 0);
    }
}
