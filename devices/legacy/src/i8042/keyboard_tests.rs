use caraway_ports::input::{InputSink as _, Scancode};

use super::{
    keyboard::CAPACITY,
    test_bench::{Bench, Taken, Typed},
};

const A: Scancode = Scancode::Plain(0x1e);
const CTRL: Scancode = Scancode::Plain(0x1d);
const ALT: Scancode = Scancode::Plain(0x38);
const SHIFT: Scancode = Scancode::Plain(0x36);
const PRINT_SCREEN: Scancode = Scancode::Extended(0x37);

#[test]
fn every_key_arrives_translated() {
    let bench = Bench::typing();
    for code in 1..=0x7f {
        bench.tap(Scancode::Plain(code));
        assert_eq!(bench.interrupts().keys, [code, code | 0x80], "{code:#x}");
        if code != 0x37 {
            bench.tap(Scancode::Extended(code));
            assert_eq!(bench.interrupts().keys, [0xe0, code, 0xe0, code | 0x80], "{code:#x}");
        }
    }
    for code in [0x00, 0x80, 0xff] {
        bench.tap(Scancode::Plain(code));
        bench.tap(Scancode::Extended(code));
    }
    assert_eq!(bench.device.pending(), 0, "what is no key is nothing");
}

#[test]
fn untranslated_the_guest_sees_set_2() {
    let bench = Bench::typing();
    bench.command(0x60);
    bench.out(0x07);
    bench.tap(A);
    bench.tap(Scancode::Extended(0x1d));
    bench.tap(Scancode::Pause);
    assert_eq!(
        bench.interrupts().keys,
        [
            0x1c, 0xf0, 0x1c, 0xe0, 0x14, 0xe0, 0xf0, 0x14, 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77
        ]
    );
    // Set 1 without translation looks as set 2 with it.
    assert_eq!(bench.to_keyboard(&[0xf0, 1, 0xf0, 0]), [0xfa, 0xfa, 0xfa, 0xfa, 1]);
    bench.interrupts();
    bench.tap(Scancode::Extended(0x48));
    assert_eq!(bench.interrupts().keys, [0xe0, 0x48, 0xe0, 0xc8]);
}

#[test]
fn pause_and_print_screen_have_their_own_sequences() {
    let bench = Bench::typing();
    let keys = |code: Scancode, with: Option<Scancode>| {
        if let Some(with) = with {
            bench.key(with, true);
            bench.interrupts();
        }
        bench.key(code, true);
        let pressed = bench.interrupts().keys;
        bench.key(code, false);
        let released = bench.interrupts().keys;
        if let Some(with) = with {
            bench.key(with, false);
            bench.interrupts();
        }
        (pressed, released)
    };
    let all = |pressed: &[u8], released: &[u8]| (pressed.to_vec(), released.to_vec());
    assert_eq!(
        keys(Scancode::Pause, None),
        all(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], &[])
    );
    assert_eq!(keys(Scancode::Pause, Some(CTRL)), all(&[0xe0, 0x46, 0xe0, 0xc6], &[]));
    assert_eq!(
        keys(PRINT_SCREEN, None),
        all(&[0xe0, 0x2a, 0xe0, 0x37], &[0xe0, 0xb7, 0xe0, 0xaa])
    );
    for with in [CTRL, SHIFT] {
        assert_eq!(keys(PRINT_SCREEN, Some(with)), all(&[0xe0, 0x37], &[0xe0, 0xb7]));
    }
    assert_eq!(keys(PRINT_SCREEN, Some(ALT)), all(&[0x54], &[0xd4]));
    // The form is that of the press, whatever is let go in between.
    bench.key(ALT, true);
    bench.key(PRINT_SCREEN, true);
    bench.key(ALT, false);
    bench.key(PRINT_SCREEN, false);
    assert_eq!(bench.interrupts().keys, [0x38, 0x54, 0xb8, 0xd4]);
}

#[test]
fn keyboard_commands_answer() {
    let bench = Bench::typing();
    let cases: &[(&[u8], &[u8])] = &[
        (&[0xee], &[0xee]),
        // 0x83 comes through the translation.
        (&[0xf2], &[0xfa, 0xab, 0x41]),
        (&[0xed, 0x02], &[0xfa, 0xfa]),
        (&[0xf3, 0x20], &[0xfa, 0xfa]),
        (&[0xf3, 0x80], &[0xfa, 0xfe]),
        (&[0xf0, 0x02], &[0xfa, 0xfa]),
        (&[0xf0, 0x00], &[0xfa, 0xfa, 0x41]),
        // There is no set 3.
        (&[0xf0, 0x03], &[0xfa, 0xfe]),
        (&[0xf5], &[0xfa]),
        (&[0xf6], &[0xfa]),
        (&[0xfa], &[0xfa]),
        (&[0xfb, 0x1c, 0x1d, 0xf4], &[0xfa, 0xfa, 0xfa, 0xfa]),
        (&[0xff], &[0xfa, 0xaa]),
        // A command instead of a parameter.
        (&[0xed, 0xf4], &[0xfa, 0xfa]),
        (&[0x00], &[0xfe]),
        (&[0xef], &[0xfe]),
        // Once more, please.
        (&[0xee, 0xfe, 0xfe], &[0xee, 0xee, 0xee]),
    ];
    for (sent, answers) in cases {
        assert_eq!(bench.to_keyboard(sent), *answers, "{sent:x?}");
    }
    bench.command(0x60);
    bench.out(0x07);
    assert_eq!(bench.to_keyboard(&[0xf2]), [0xfa, 0xab, 0x83]);
}

#[test]
fn answers_come_between_the_bytes_of_a_key_and_do_not_harm_it() {
    let bench = Bench::typing();
    bench.key(Scancode::Extended(0x48), true);
    bench.key(Scancode::Extended(0x48), false);
    assert_eq!(bench.take(), 0xe0);
    bench.out(0xed);
    // The byte that was ready comes first, as on the wire.
    assert_eq!([bench.take(), bench.take()], [0x48, 0xfa]);
    bench.out(0x07);
    assert_eq!(bench.drain().keys, [0xe0, 0xfa, 0xc8]);
}

#[test]
fn a_held_key_repeats_as_often_as_the_guest_keeps_up_with() {
    let bench = Bench::typing();
    for _ in 0..3 {
        bench.key(A, true);
        assert_eq!(bench.interrupts().keys, [0x1e]);
    }
    for _ in 0..1000 {
        bench.key(A, true);
    }
    bench.key(A, false);
    // One in the output buffer, one behind it.
    assert_eq!(bench.interrupts().keys, [0x1e, 0x1e, 0x9e]);
}

#[test]
fn keys_let_go_while_scanning_is_off_are_told_when_it_is_on() {
    let bench = Bench::typing();
    bench.key(A, true);
    bench.key(CTRL, true);
    bench.interrupts();
    bench.to_keyboard(&[0xf5]);
    bench.key(A, false);
    bench.key(SHIFT, true);
    bench.key(SHIFT, false);
    assert_eq!(bench.device.pending(), 0);
    assert_eq!(bench.to_keyboard(&[0xf4]), [0xfa, 0x9e]);
    bench.key(CTRL, false);
    assert_eq!(bench.interrupts().keys, [0x9d]);
}

#[test]
fn defaults_drop_presses_that_wait_but_no_releases() {
    let bench = Bench::typing();
    bench.key(A, true);
    bench.interrupts();
    bench.key(A, false);
    assert_eq!(bench.device.pending(), 1);
    bench.tap(CTRL);
    bench.key(ALT, true);
    // In the output buffer is the release already.
    assert_eq!(bench.to_keyboard(&[0xf6]), [0x9e, 0xfa]);
    bench.key(ALT, false);
    assert_eq!(bench.device.pending(), 0, "the guest has never seen that key go down");
}

/// More than anybody types while a guest does something else.
#[test]
fn a_thousand_keys_wait_without_loss() {
    let bench = Bench::typing();
    let codes: Vec<u8> = (0x02..0x37).cycle().take(1000).collect();
    for code in &codes {
        bench.tap(Scancode::Plain(*code));
    }
    let mut typed = Typed::default();
    typed.take(&bench.interrupts().keys);
    let expected: Vec<_> = codes
        .iter()
        .flat_map(|code| [(false, *code, true), (false, *code, false)])
        .collect();
    assert_eq!(typed.changes, expected);
}

#[test]
fn a_typist_who_waits_loses_nothing_of_ten_thousand() {
    let bench = Bench::typing();
    let mut typed = Typed::default();
    for code in (0x02..0x37).cycle().take(10_000) {
        bench.tap(Scancode::Plain(code));
        while bench.device.pending() > 0 {
            let mut taken = Taken::default();
            assert!(bench.interrupt(&mut taken));
            typed.take(&taken.keys);
        }
    }
    assert_eq!(typed.changes.len(), 20_000);
    assert!(typed.down.is_empty());
}

#[test]
fn a_full_queue_drops_presses_whole_and_keeps_releases() {
    let bench = Bench::typing();
    bench.key(CTRL, true);
    bench.interrupts();
    for code in (0x02..0x37).cycle().take(CAPACITY) {
        bench.key(Scancode::Extended(code), true);
        bench.key(Scancode::Extended(code), false);
    }
    bench.key(CTRL, false);
    let mut typed = Typed::default();
    typed.take(&bench.interrupts().keys);
    assert_eq!(typed.changes.last(), Some(&(false, 0x1d, false)));
    assert!(typed.changes.len() < CAPACITY);
    let (presses, releases) = typed
        .changes
        .iter()
        .copied()
        .partition::<Vec<_>, _>(|(_, _, down)| *down);
    assert_eq!(presses.len() + 1, releases.len());
    // There is room again.
    bench.tap(A);
    assert_eq!(bench.interrupts().keys, [0x1e, 0x9e]);
}
