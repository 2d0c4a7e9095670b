use std::sync::{Mutex, mpsc};

use caraway_base::migratable_suite;
use caraway_ports::input::{Button, Scancode};
use proptest::prelude::*;

use super::{
    test_bench::{AUX, Bench, OUTPUT_FULL, Taken, Typed, args, packets},
    *,
};
use crate::test_support::{read, write};

const A: Scancode = Scancode::Plain(0x1e);

#[test]
fn after_power_on_there_is_nothing_to_read_and_nothing_arrives_by_itself() {
    let bench = Bench::new();
    assert_eq!(bench.status(), 0x1c);
    bench.tap(A);
    bench.motion(3, 4);
    bench.button(Button::Left, true);
    assert_eq!(bench.status(), 0x1c);
    assert_eq!(bench.device.pending(), 0);
    assert_eq!(bench.keyboard.edges() + bench.mouse.edges(), 0);
}

#[test]
fn controller_commands_answer() {
    let bench = Bench::new();
    // Self-test, keyboard and mouse interface tests, config byte, input and output port.
    for (command, answer) in [
        (0xaa, 0x55),
        (0xab, 0x00),
        (0xa9, 0x00),
        (0x20, 0x65),
        (0xc0, 0x80),
        (0xd0, 0x03),
        (0xe0, 0x00),
    ] {
        assert_eq!(bench.command(command), Outcome::Done);
        assert_eq!(bench.status(), 0x1d, "{command:#x}");
        assert_eq!(bench.data(), answer, "{command:#x}");
        assert_eq!(bench.status(), 0x1c, "{command:#x}");
    }
    // What is no command answers nothing.
    for command in [0x00, 0x10, 0x80, 0xa4, 0xc3, 0xf1, 0xff] {
        assert_eq!(bench.command(command), Outcome::Done);
        assert_eq!(bench.status() & OUTPUT_FULL, 0, "{command:#x}");
    }
    // The last byte is still there for who reads too much.
    assert_eq!(bench.data(), 0x00);
}

#[test]
fn the_config_byte_follows_the_enable_and_disable_commands() {
    let bench = Bench::new();
    let config = || {
        bench.command(0x20);
        bench.take()
    };
    bench.command(0xa8);
    assert_eq!(config(), 0x45);
    bench.command(0xa7);
    assert_eq!(config(), 0x65);
    bench.command(0xad);
    assert_eq!(config(), 0x75);
    bench.command(0xae);
    assert_eq!(config(), 0x65);
    bench.command(0x60);
    bench.out(0x74);
    assert_eq!(config(), 0x74);
    // A byte to a device switches its port on.
    bench.out(0xee);
    assert_eq!(bench.take(), 0xee);
    assert_eq!(config(), 0x64);
    bench.command(0xd4);
    bench.out(0xf2);
    assert_eq!(config(), 0x44);
}

#[test]
fn controller_memory_and_a20_read_back() {
    let bench = Bench::new();
    for at in 1..0x20 {
        bench.command(0x60 + at);
        bench.out(0xa0 ^ at);
    }
    for at in 1..0x20 {
        bench.command(0x20 + at);
        assert_eq!(bench.take(), 0xa0 ^ at);
    }
    let output_port = || {
        bench.command(0xd0);
        bench.take()
    };
    bench.command(0xdd);
    assert_eq!(output_port(), 0x01);
    bench.command(0xdf);
    assert_eq!(output_port(), 0x03);
    bench.command(0xd1);
    assert_eq!(bench.out(0x01), Outcome::Done);
    assert_eq!(output_port(), 0x01);
}

#[test]
fn the_ways_to_reset_a_pc_reset() {
    for command in 0x00..=0xff {
        let expected = if command >= 0xf0 && command & 1 == 0 {
            Outcome::Reset
        } else {
            Outcome::Done
        };
        assert_eq!(Bench::new().command(command), expected, "{command:#x}");
    }
    let bench = Bench::new();
    bench.command(0xd1);
    assert_eq!(bench.out(0xfe), Outcome::Reset);
    // To the keyboard the same byte means something else.
    assert_eq!(bench.out(0xfe), Outcome::Done);
}

#[test]
fn a_looped_byte_comes_from_the_side_it_was_sent_to() {
    let bench = Bench::typing();
    bench.command(0xd2);
    bench.out(0x5a);
    assert_eq!(bench.status() & (OUTPUT_FULL | AUX), OUTPUT_FULL);
    assert_eq!((bench.keyboard.level(), bench.mouse.level()), (true, false));
    assert_eq!(bench.data(), 0x5a);
    bench.command(0xd3);
    bench.out(0xa5);
    assert_eq!(bench.status() & (OUTPUT_FULL | AUX), OUTPUT_FULL | AUX);
    assert_eq!((bench.keyboard.level(), bench.mouse.level()), (false, true));
    assert_eq!(bench.data(), 0xa5);
    assert_eq!((bench.keyboard.level(), bench.mouse.level()), (false, false));
}

#[test]
fn an_answer_goes_ahead_of_a_key_that_waits() {
    let bench = Bench::typing();
    bench.key(A, true);
    bench.command(0x20);
    assert_eq!(bench.take(), 0x47);
    assert_eq!(bench.take(), 0x1e);
    // And of one that waits for a port that has been switched off.
    bench.key(A, false);
    bench.command(0xad);
    bench.command(0x20);
    assert_eq!(bench.take(), 0x57);
    assert_eq!(bench.take(), 0x9e);
}

#[test]
fn every_byte_has_an_edge_of_its_own() {
    let bench = Bench::typing();
    bench.tap(Scancode::Extended(0x48));
    for byte in [0xe0, 0x48, 0xe0, 0xc8] {
        assert!(bench.keyboard.level());
        assert_eq!(bench.keyboard.edges(), 1);
        assert_eq!(bench.take(), byte);
    }
    assert_eq!((bench.keyboard.level(), bench.keyboard.edges()), (false, 0));
    assert_eq!(bench.mouse.edges(), 0);
}

#[test]
fn interrupts_come_only_while_the_config_byte_allows_them() {
    let bench = Bench::pointing(0);
    bench.command(0x60);
    bench.out(0x44);
    bench.key(A, true);
    bench.motion(1, 0);
    assert_eq!((bench.keyboard.level(), bench.mouse.level()), (false, false));
    bench.command(0x60);
    bench.out(0x47);
    assert_eq!(bench.keyboard.edges(), 1);
    assert_eq!(bench.take(), 0x1e);
    assert_eq!(bench.mouse.edges(), 1);
    assert_eq!(packets(0, &bench.drain().aux).len(), 1);
}

#[test]
fn a_port_that_is_off_keeps_its_bytes() {
    let bench = Bench::pointing(0);
    bench.command(0xad);
    bench.command(0xa7);
    bench.key(A, true);
    bench.motion(1, 0);
    assert_eq!(bench.status() & OUTPUT_FULL, 0);
    assert_eq!(bench.device.pending(), 2);
    bench.command(0xae);
    bench.command(0xa8);
    let taken = bench.interrupts();
    assert_eq!((taken.keys, taken.aux.len()), (vec![0x1e], 3));
    assert_eq!(bench.device.pending(), 0);
}

#[test]
fn pending_is_0_exactly_when_the_guest_has_read_everything() {
    let bench = Bench::pointing(3);
    for event in [
        InputEvent::Key {
            code: Scancode::Pause,
            down: true,
        },
        InputEvent::Key { code: A, down: true },
        InputEvent::Motion { dx: 900, dy: -3 },
        InputEvent::Button {
            button: Button::Right,
            down: true,
        },
        InputEvent::Wheel(-3),
    ] {
        bench.device.send(event);
        let mut left = 0;
        let mut taken = Taken::default();
        while bench.device.pending() > 0 {
            assert!(bench.interrupt(&mut taken), "{event:?} waits without an interrupt");
            left += 1;
            assert!(left < 100);
        }
        assert!(left > 0, "{event:?}");
        assert_eq!(bench.status() & OUTPUT_FULL, 0);
    }
}

#[test]
fn while_paused_nothing_moves_and_what_came_is_there_afterwards() {
    let bench = Bench::typing();
    bench.device.pause();
    bench.key(A, true);
    let state = bench.device.save();
    assert_eq!((bench.keyboard.edges(), bench.device.pending()), (0, 1));
    let restored = Bench::with(|args| I8042::restore(args, state).unwrap());
    assert_eq!(restored.keyboard.edges(), 0);
    for bench in [bench, restored] {
        bench.device.resume();
        assert_eq!(bench.interrupts().keys, [0x1e]);
    }
}

#[test]
fn a_restored_device_goes_on_in_the_middle_of_a_packet() {
    let bench = Bench::pointing(4);
    bench.motion(300, 5);
    bench.key(Scancode::Extended(0x1d), true);
    let mut bytes = vec![bench.take()];
    bench.device.pause();
    let state = bench.device.save();
    let bench = Bench::with(|args| I8042::restore(args, state).unwrap());
    bench.device.resume();
    let taken = bench.interrupts();
    bytes.extend(taken.aux);
    assert_eq!(taken.keys, [0xe0, 0x1d]);
    let sum: i32 = packets(4, &bytes).iter().map(|packet| packet.dx).sum();
    assert_eq!(sum, 300);
}

#[test]
fn reset_is_power_on_and_takes_the_lines_down() {
    let bench = Bench::pointing(4);
    let fresh = Bench::new().device.save();
    bench.key(A, true);
    assert!(bench.keyboard.level());
    bench.device.pause();
    bench.device.reset();
    bench.device.resume();
    assert!(!bench.keyboard.level() && !bench.mouse.level());
    assert_eq!(bench.device.save(), fresh);
    assert_eq!(bench.status(), 0x1c);
}

struct Lights(Mutex<mpsc::Sender<Leds>>);

impl LedListener for Lights {
    fn leds_changed(&self, leds: Leds) {
        self.0.lock().unwrap().send(leds).unwrap();
    }
}

#[test]
fn lights_are_told_when_they_change_and_only_then() {
    let bench = Bench::typing();
    let (sender, told) = mpsc::channel();
    let listener: Arc<dyn LedListener> = Arc::new(Lights(Mutex::new(sender)));
    bench.device.watch_leds(listener.clone());
    let caps = Leds {
        caps: true,
        ..Leds::default()
    };
    let all = Leds {
        scroll: true,
        num: true,
        caps: true,
    };
    for (bits, leds) in [(4, Some(caps)), (4, None), (7, Some(all)), (0, Some(Leds::default()))] {
        assert_eq!(bench.to_keyboard(&[0xed, bits]), [0xfa, 0xfa]);
        assert_eq!(told.try_recv().ok(), leds);
        assert_eq!(bench.device.leds(), leds.unwrap_or(caps));
    }
    bench.to_keyboard(&[0xed, 1]);
    told.try_recv().unwrap();
    bench.device.reset();
    assert_eq!(told.try_recv(), Ok(Leds::default()));
    drop(listener);
    bench.to_keyboard(&[0xed, 1]);
    assert!(told.try_recv().is_err());
}

#[test]
fn wide_accesses_are_their_first_byte() {
    let device = Arc::new(I8042::new(args()));
    assert_eq!(write(&*device.command_port(), 0, 4, 0xffff_ffaa), Outcome::Done);
    assert_eq!(read(&*device.data_port(), 0, 2), 0xff55);
    device.data_port().read(0, &mut []);
    device.command_port().read(0, &mut []);
    assert_eq!(device.command_port().write(0, &[]), Outcome::Done);
    assert_eq!(device.data_port().write(0, &[]), Outcome::Done);
}

#[test]
fn states_that_cannot_be_are_refused() {
    let record = |state: &Controller| {
        let mut records = caraway_base::state::Records::default();
        records.put("0", &I8042::with(state.clone(), args(), true)).unwrap();
        records.take::<I8042>("0", args())
    };
    let good = Bench::pointing(4).device.save();
    assert!(record(&good).is_ok());
    for broken in controller::broken::states(&good) {
        assert!(record(&broken).is_err(), "{broken:?}");
    }
}

migratable_suite!(
    migration,
    I8042,
    fresh: I8042::new(args()),
    args: args(),
    change: |device: &I8042| {
        device.write(|controller| controller.write_data(0xf4));
        device.send(InputEvent::Key { code: A, down: true });
        device.write(|controller| controller.command(0xa8));
    }
);

/// Anything a guest or a person can do.
#[derive(Clone, Debug)]
enum Act {
    ReadData,
    ReadStatus,
    WriteData(u8),
    WriteCommand(u8),
    Key(Scancode, bool),
    Motion(i32, i32),
    Wheel(i32),
    Button(Button, bool),
    Hold(bool),
}

fn scancode() -> impl Strategy<Value = Scancode> {
    prop_oneof![
        8 => any::<u8>().prop_map(Scancode::Plain),
        4 => any::<u8>().prop_map(Scancode::Extended),
        1 => Just(Scancode::Pause),
    ]
}

fn any_button() -> impl Strategy<Value = Button> {
    prop::sample::select(vec![
        Button::Left,
        Button::Middle,
        Button::Right,
        Button::Side,
        Button::Extra,
    ])
}

fn act() -> impl Strategy<Value = Act> {
    let interesting = prop::sample::select(vec![0x60u8, 0xd1, 0xd2, 0xd3, 0xd4, 0xa8, 0xae, 0x20]);
    let device = prop::sample::select(vec![
        0xedu8, 0xf0, 0xf2, 0xf3, 0xf4, 0xf4, 0xf5, 0xf6, 0xfe, 0xff, 0xeb, 0xee, 0xec, 0xea, 200, 100, 80,
    ]);
    prop_oneof![
        4 => Just(Act::ReadData),
        2 => Just(Act::ReadStatus),
        2 => any::<u8>().prop_map(Act::WriteData),
        3 => device.prop_map(Act::WriteData),
        1 => any::<u8>().prop_map(Act::WriteCommand),
        3 => interesting.prop_map(Act::WriteCommand),
        4 => (scancode(), any::<bool>()).prop_map(|(code, down)| Act::Key(code, down)),
        2 => (any::<i32>(), -300..300).prop_map(|(dx, dy)| Act::Motion(dx, dy)),
        1 => any::<i32>().prop_map(Act::Wheel),
        2 => (any_button(), any::<bool>()).prop_map(|(button, down)| Act::Button(button, down)),
        1 => any::<bool>().prop_map(Act::Hold),
    ]
}

fn perform(bench: &Bench, act: &Act) {
    match *act {
        Act::ReadData => {
            bench.data();
        }
        Act::ReadStatus => {
            bench.status();
        }
        Act::WriteData(byte) => {
            bench.out(byte);
        }
        Act::WriteCommand(byte) => {
            bench.command(byte);
        }
        Act::Key(code, down) => bench.key(code, down),
        Act::Motion(dx, dy) => bench.motion(dx, dy),
        Act::Wheel(steps) => bench.device.send(InputEvent::Wheel(steps)),
        Act::Button(button, down) => bench.button(button, down),
        Act::Hold(true) => bench.device.pause(),
        Act::Hold(false) => bench.device.resume(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever guest and person do: memory stays bounded, the state restores, and after a reset everything works.
    #[test]
    fn hostile_sequences_are_survived(acts in prop::collection::vec(act(), 0..2000)) {
        let bench = Bench::new();
        for act in &acts {
            perform(&bench, act);
        }
        prop_assert!(bench.device.pending() <= keyboard::CAPACITY + mouse::CAPACITY + 256 + 4);
        bench.device.pause();
        let state = bench.device.save();
        let restored = I8042::restore(args(), state.clone());
        prop_assert!(restored.is_ok_and(|restored| restored.save() == state));
        bench.device.reset();
        bench.device.resume();
        bench.to_keyboard(&[0xf4]);
        bench.tap(A);
        prop_assert_eq!(bench.interrupts().keys, [0x1e, 0x9e]);
    }

    /// A saved state of any bytes is refused, or is a device that works and does not outgrow its bounds.
    #[test]
    fn hostile_states_are_survived(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let mut records = caraway_base::state::Records::default();
        let device = Bench::pointing(4).device;
        device.send(InputEvent::Motion { dx: 500, dy: 1 });
        device.send(InputEvent::Key { code: A, down: true });
        records.put("0", &*device).unwrap();
        let mut list = records.into_inner();
        for (index, byte) in changes {
            let payload = &mut list[0].payload;
            let at = index.index(payload.len());
            payload[at] = byte;
        }
        if let Ok(device) = caraway_base::state::Records::new(list).take::<I8042>("0", args()) {
            let bench = Bench::with(|_| device);
            bench.device.resume();
            for act in &acts {
                perform(&bench, act);
            }
            bench.drain();
        }
    }

    /// A guest that stalls, but only reads: it ends with the keys that are really down, however many came.
    #[test]
    fn a_stalling_guest_ends_with_the_truth(
        keys in prop::collection::vec((1u8..0x40, any::<bool>(), any::<bool>()), 0..6000),
        reads in prop::collection::vec(0usize..8, 1..50),
    ) {
        let bench = Bench::typing();
        let mut typed = Typed::default();
        let mut held = std::collections::BTreeSet::new();
        let mut reads = reads.iter().cycle();
        for (index, (code, extended, down)) in keys.into_iter().enumerate() {
            // Print Screen has sequences of its own, and 0xe0 0x2a is a fake shift.
            if extended && matches!(code, 0x37 | 0x2a) {
                continue;
            }
            let key = if extended { Scancode::Extended(code) } else { Scancode::Plain(code) };
            bench.key(key, down);
            if down {
                held.insert((extended, code));
            } else {
                held.remove(&(extended, code));
            }
            // Nothing at all is read for long stretches.
            if index % 2000 < 500 {
                let mut taken = Taken::default();
                for _ in 0..*reads.next().unwrap() {
                    bench.interrupt(&mut taken);
                }
                typed.take(&taken.keys);
            }
        }
        typed.take(&bench.interrupts().keys);
        prop_assert_eq!(bench.device.pending(), 0);
        // Presses may have been dropped for want of room, releases never: nothing sticks.
        prop_assert!(typed.down.is_subset(&held), "{:?} {:?}", typed.down, held);
    }
}
