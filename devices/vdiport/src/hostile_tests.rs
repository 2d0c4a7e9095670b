//! Guests that do anything at all.

use caraway_base::lifecycle::Lifecycle as _;
use proptest::prelude::*;

use crate::testing::{CONNECTION, CONS, GENERATION, INPUT, INT_MASK, INT_PENDING, OUTPUT, PROD, Rig};

#[derive(Clone, Debug)]
enum Step {
    Read(u64),
    Write(u64, u32),
    /// A dword of the shared memory.
    Scribble(u64, u32),
    /// A field near where it is: what gets further than noise.
    Nudge(u64, u32),
    Put(u32, u32),
    Take,
    Say(usize),
    Listen(usize),
    HangUp,
    PauseAndGoOn,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let register = (0..4_u64).prop_map(|index| 4 * index);
    let field = prop_oneof![
        Just(GENERATION),
        Just(INT_PENDING),
        Just(INT_MASK),
        (0..5_u64).prop_map(|index| INPUT + 4 * index),
        (0..5_u64).prop_map(|index| OUTPUT + 4 * index),
    ];
    prop_oneof![
        2 => register.clone().prop_map(Step::Read),
        4 => (register, any::<u32>()).prop_map(|(offset, value)| Step::Write(offset, value)),
        2 => (0..0x202e_u64, any::<u32>()).prop_map(|(index, value)| Step::Scribble(4 * index, value)),
        4 => (field, 0..40_u32).prop_map(|(field, by)| Step::Nudge(field, by.wrapping_sub(4))),
        8 => (0..3_u32, prop_oneof![9 => 0..505_u32, 1 => any::<u32>()]).prop_map(|(age, size)| Step::Put(age, size)),
        4 => Just(Step::Take),
        4 => (0..40_000_usize).prop_map(Step::Say),
        4 => (0..40_000_usize).prop_map(Step::Listen),
        1 => Just(Step::HangUp),
        1 => Just(Step::PauseAndGoOn),
        1 => Just(Step::Reset),
    ]
}

fn perform(rig: &Rig, step: &Step) {
    match *step {
        Step::Read(offset) => drop(rig.inl(offset)),
        Step::Write(offset, value) => rig.outl(offset, value),
        Step::Scribble(offset, value) => rig.store(offset, value),
        Step::Nudge(field, by) => rig.store(field, rig.load(field).wrapping_add(by)),
        Step::Put(age, size) => drop(rig.put(rig.load(GENERATION).wrapping_sub(age), size, b"some data")),
        Step::Take => rig.store(OUTPUT + CONS, rig.load(OUTPUT + CONS).wrapping_add(1)),
        Step::Say(count) => drop(rig.say(&vec![7; count])),
        Step::Listen(count) => {
            let _ = rig.host.read(rig.host.connection().number, &mut vec![0; count]);
            rig.settle();
        }
        Step::HangUp => rig.hang_up(),
        Step::PauseAndGoOn => {
            rig.device.pause();
            rig.device.resume();
            rig.settle();
        }
        Step::Reset => {
            rig.device.pause();
            rig.device.reset();
            rig.device.resume();
            rig.settle();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The device comes to rest after each of them, shows the host no more than one connection's bytes, and is as new after
    /// a reset.
    #[test]
    fn whatever_a_guest_does_the_device_rests_and_is_as_new_after_a_reset(steps in prop::collection::vec(step(), 1..80)) {
        let rig = Rig::new();
        for step in &steps {
            perform(&rig, step);
        }
        perform(&rig, &Step::Reset);
        prop_assert!(!rig.level() && !rig.host.connection().is_open);
        prop_assert_eq!(rig.connect(), 1);
        for _ in 0..40 {
            prop_assert!(rig.send(1, b"up"));
            rig.say(b"down");
            prop_assert_eq!(rig.heard(), b"up".to_vec());
            let taken = rig.take().map(|(generation, data, _)| (generation, data));
            prop_assert_eq!(taken, Some((1, b"down".to_vec())));
        }
    }

    /// Without a reset, too: whoever makes its indices whole and connects again is served.
    #[test]
    fn a_guest_that_comes_to_its_senses_is_served(steps in prop::collection::vec(step(), 1..80)) {
        let rig = Rig::new();
        for step in &steps {
            perform(&rig, step);
        }
        rig.outl(CONNECTION, 0);
        // What the device wrote last is what it goes by.
        let (input, output) = {
            let state = rig.device.core().lasting();
            (state.input_consumer, state.output_producer)
        };
        for field in [INPUT + PROD, INPUT + CONS] {
            rig.store(field, input);
        }
        for field in [OUTPUT + PROD, OUTPUT + CONS] {
            rig.store(field, output);
        }
        rig.take_interrupt();
        let generation = rig.connect();
        prop_assert_ne!(generation, 0);
        prop_assert!(rig.send(generation, b"up"));
        rig.say(b"down");
        prop_assert_eq!(rig.heard(), b"up".to_vec());
        let taken = rig.take().map(|(generation, data, _)| (generation, data));
        prop_assert_eq!(taken, Some((generation, b"down".to_vec())));
    }
}
