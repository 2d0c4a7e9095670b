//! What is drawn bit by bit is what is drawn at once.

use std::{sync::Mutex, time::Duration};

use proptest::prelude::*;

use crate::{
    DirtyPages,
    testing::{MODE_3, MODE_4, MODE_6, MODE_12, MODE_13, Mode, Pc, dispi},
};

/// Small enough that pictures wrap around its end.
const BAR: u64 = 0x4_0000;
const VGAMEM: u64 = 0x2_0000;

#[derive(Clone, Debug)]
enum Step {
    Standard(usize),
    Linear(u16, u16, u16),
    Dispi(u16, u16),
    Window(u64, Vec<u8>),
    Bar(u64, Vec<u8>),
    Sequencer(u8, u8),
    Graphics(u8, u8),
    Attribute(u8, u8),
    Crtc(u8, u8),
    Colour(u8, [u8; 3]),
    Screen(bool),
    Wait(u64),
    Refresh,
    FullRefresh,
}

const MODES: [Mode; 5] = [MODE_3, MODE_4, MODE_6, MODE_12, MODE_13];

fn step() -> impl Strategy<Value = Step> {
    let bytes = || proptest::collection::vec(any::<u8>(), 1..20);
    let at = || prop_oneof![2 => 0..0x2000_u64, 1 => 0..BAR - 32];
    prop_oneof![
        2 => (0..MODES.len()).prop_map(Step::Standard),
        1 => (1_u16..300, 1_u16..200, prop_oneof![Just(4_u16), Just(8), Just(15), Just(16), Just(24), Just(32)])
            .prop_map(|(x, y, bits)| Step::Linear(x, y, bits)),
        1 => (1_u16..10, 0_u16..400).prop_map(|(index, value)| Step::Dispi(index, value)),
        6 => (0_u64..0x2_0000, bytes()).prop_map(|(at, bytes)| Step::Window(at, bytes)),
        4 => (0_u64..0x1000, bytes()).prop_map(|(at, bytes)| Step::Window(0x1_8000 + at, bytes)),
        8 => (at(), bytes()).prop_map(|(at, bytes)| Step::Bar(at, bytes)),
        1 => (1_u8..5, any::<u8>()).prop_map(|(index, value)| Step::Sequencer(index, value & 0xdf)),
        1 => (0_u8..9, any::<u8>()).prop_map(|(index, value)| Step::Graphics(index, value)),
        1 => (0_u8..0x15, any::<u8>()).prop_map(|(index, value)| Step::Attribute(index, value)),
        // Not the size, which would only make it slow, but all that says where lines come from.
        2 => (proptest::sample::select(vec![7, 9, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x13, 0x14, 0x17, 0x18]), any::<u8>())
            .prop_map(|(index, value)| Step::Crtc(index, value)),
        1 => (0_u8..20, any::<[u8; 3]>()).prop_map(|(index, rgb)| Step::Colour(index, rgb)),
        1 => any::<bool>().prop_map(Step::Screen),
        2 => (0_u64..700).prop_map(Step::Wait),
        8 => Just(Step::Refresh),
        1 => Just(Step::FullRefresh),
    ]
}

fn perform(pc: &mut Pc, step: &Step) {
    match step {
        Step::Standard(mode) => pc.set_mode(&MODES[*mode]),
        Step::Linear(x, y, bits) => pc.set_linear(*x, *y, *bits),
        Step::Dispi(index, value) => pc.set_dispi(*index, *value),
        Step::Window(at, bytes) => pc.poke(0xa_0000 + at, bytes),
        Step::Bar(at, bytes) => pc.write_bar(*at, bytes),
        Step::Sequencer(index, value) => pc.sr(*index, *value),
        Step::Graphics(index, value) => pc.gr(*index, *value),
        Step::Attribute(index, value) => pc.ar(*index, *value),
        Step::Crtc(index, value) => {
            pc.cr(0x11, 0);
            pc.cr(*index, *value);
        }
        Step::Colour(index, rgb) => pc.colour(*index, *rgb),
        Step::Screen(on) => pc.screen(*on),
        Step::Wait(milliseconds) => pc.time += Duration::from_millis(*milliseconds),
        // The viewer beside the guest checks that nothing changes unreported.
        Step::Refresh => drop(pc.refresh()),
        Step::FullRefresh => drop(pc.refresh_with(true)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn refreshes_in_any_order_leave_the_frame_a_full_redraw_gives(
        noise in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut pc = Pc::with_memory(BAR, VGAMEM);
        let bytes: Vec<u8> = (0..BAR).map(|at| (at.wrapping_mul(noise | 1) >> 13) as u8).collect();
        pc.memory.write(0, &bytes).unwrap();
        pc.set_mode(&MODE_3);
        for step in &steps {
            perform(&mut pc, step);
        }
        pc.assert_frame_is_right();
    }

    /// Split screens with any start, pitch and line, of a memory that ends in the middle of them.
    #[test]
    fn split_screens_are_drawn_from_any_start(
        mode in 0..MODES.len(),
        (start, line, pitch) in any::<(u16, u16, u8)>(),
        (pan, control, repeat) in any::<(u8, u8, u8)>(),
        writes in proptest::collection::vec((0..BAR, any::<u8>()), 1..8),
    ) {
        let mut pc = Pc::with_memory(BAR, VGAMEM);
        pc.set_mode(&MODES[mode]);
        pc.cr(0x11, 0);
        let [low, high] = start.to_le_bytes();
        pc.cr(0x0c, high);
        pc.cr(0x0d, low);
        pc.cr(0x13, pitch);
        let [low, high] = line.to_le_bytes();
        pc.cr(0x18, low);
        pc.change(0x3d4, 0x07, 0x10, (high & 1) << 4);
        pc.cr(0x09, (high & 2) << 5 | repeat & 0x9f);
        pc.cr(0x17, control);
        pc.ar(0x13, pan);
        pc.refresh();
        for (at, byte) in writes {
            pc.write_bar(at, &[byte]);
            pc.refresh();
        }
        pc.assert_frame_is_right();
    }
}

#[test]
fn an_idle_screen_reads_nothing_and_a_write_between_refreshes_is_not_lost() {
    let mut pc = Pc::new();
    pc.set_mode(&MODE_12);
    pc.set_linear(640, 480, 32);
    pc.refresh();
    pc.write_bar(0, &[1]);
    pc.refresh();
    pc.write_bar(0, &[2]);
    pc.write_bar(4096, &[3]);
    assert_eq!(pc.refresh().rects.len(), 2);
    assert_eq!((pc.pixel(0, 0), pc.pixel(384, 1)), (2, 3));
    // A mode set clears, and what it cleared is drawn.
    pc.set_dispi(dispi::ENABLE, 0);
    pc.set_dispi(dispi::ENABLE, 1);
    pc.refresh();
    assert_eq!((pc.pixel(0, 0), pc.pixel(384, 1)), (0, 0));
}

#[test]
fn nothing_is_lost_of_what_another_thread_writes_during_refreshes() {
    let mut pc = Pc::new();
    pc.set_linear(640, 480, 32);
    pc.refresh();
    let (memory, log) = (pc.memory.clone(), Mutex::new(DirtyPages::new(pc.memory.size())));
    let (mut refreshes, mut changed) = (0, 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..40_000_u64 {
                let at = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (640 * 480) * 4;
                memory.write(at, &[number as u8; 3]).unwrap();
                log.lock().unwrap().mark(at, 3);
            }
        });
        loop {
            let last = writer.is_finished();
            let dirty = std::mem::replace(&mut *log.lock().unwrap(), DirtyPages::new(pc.memory.size()));
            let refresh = pc
                .renderer
                .refresh(&pc.memory, &pc.vga.scanout(), &dirty, pc.time, false);
            refreshes += 1;
            changed += usize::from(!refresh.rects.is_empty());
            if last {
                break;
            }
        }
    });
    assert!(refreshes > 0 && changed > 0);
    let incremental = pc.renderer.frame().to_vec();
    pc.refresh_with(true);
    assert!(incremental == pc.renderer.frame());
}
