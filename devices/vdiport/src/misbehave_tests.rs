use super::*;
use crate::testing::{CONNECTION, CONS, GENERATION, INPUT, INT_PENDING, OUTPUT, PROD, Rig, UPDATE_IRQ};

/// A guest that is connected, to a device whose fault is armed then.
fn rig(fault: &str, value: i64, count: Option<u32>) -> Rig {
    let rig = Rig::new();
    rig.connect();
    misbehave(&rig, fault, value, count);
    rig
}

fn misbehave(rig: &Rig, fault: &str, value: i64, count: Option<u32>) {
    rig.device.misbehave(fault, value, count).unwrap();
    rig.settle();
}

fn behave(rig: &Rig) {
    rig.device.behave();
    rig.settle();
}

/// Generation and size of the packet in place `index` of the output ring.
fn head(rig: &Rig, index: u64) -> (u32, u32) {
    let at = OUTPUT + 0x14 + 512 * index;
    (rig.load(at), rig.load(at + 4))
}

#[test]
fn a_fault_that_is_none_is_refused_and_the_names_are_all_different() {
    let rig = rig("packet-size", 9, None);
    let error = rig.device.misbehave("packet", 0, None).unwrap_err().to_string();
    assert!(
        error.contains("\"packet\"") && error.contains("packet-size, "),
        "{error}"
    );
    rig.say(b"one");
    assert_eq!(
        (head(&rig, 0), rig.device.misdeeds()),
        ((1, 9), 1),
        "the one there is stays"
    );
    for (index, (name, fault)) in FAULTS.iter().enumerate() {
        let rest = &FAULTS[index + 1..];
        assert!(rest.iter().all(|(other, is)| other != name && is != fault), "{name}");
    }
}

#[test]
fn packets_lie_as_often_as_they_were_told() {
    let sizes = rig("packet-size", 505, Some(1));
    sizes.say(b"one");
    sizes.say(b"two");
    assert_eq!([head(&sizes, 0), head(&sizes, 1)], [(1, 505), (1, 3)]);
    assert_eq!(sizes.device.misdeeds(), 1);

    let generations = rig("packet-generation", -2, None);
    generations.say(b"one");
    behave(&generations);
    generations.say(b"two");
    assert_eq!([head(&generations, 0), head(&generations, 1)], [(u32::MAX, 3), (1, 3)]);
}

#[test]
fn indices_jump_by_what_they_are_told_and_come_back() {
    let output = rig("output-producer", 33, Some(1));
    output.say(b"one");
    assert_eq!(output.load(OUTPUT + PROD), 34);
    behave(&output);
    assert_eq!(output.load(OUTPUT + PROD), 1, "it is over");
    output.say(b"two");
    assert_eq!(output.load(OUTPUT + PROD), 2);

    let input = rig("input-consumer", 1, Some(1));
    input.send(1, b"one");
    assert_eq!(input.load(INPUT + CONS), 2, "it is given back twice");
    behave(&input);
    assert_eq!(input.load(INPUT + CONS), 1, "it is over");
    input.send(1, b"two");
    assert_eq!(input.load(INPUT + CONS), 2);
    assert_eq!(input.heard(), b"onetwo");
}

#[test]
fn input_deaf_takes_nothing_until_it_is_over() {
    let rig = rig("input-deaf", 0, None);
    rig.send(1, b"one");
    assert_eq!((rig.waiting(INPUT), rig.heard()), (1, Vec::new()));
    behave(&rig);
    assert_eq!((rig.waiting(INPUT), rig.heard()), (0, b"one".to_vec()));
}

#[test]
fn interrupts_lost_are_pending_without_the_line_until_it_is_over() {
    let rig = rig("interrupts-lost", 0, None);
    rig.say(b"one");
    assert_eq!((rig.load(INT_PENDING), rig.level()), (1, false));
    behave(&rig);
    assert!(rig.level());
}

#[test]
fn interrupts_storm_as_often_as_they_were_told() {
    let rig = rig("interrupts-storm", 1, Some(3));
    let taken: Vec<bool> = (0..5).map(|_| rig.take_interrupt()).collect();
    assert_eq!(taken, [false, true, true, true, false]);
}

#[test]
fn level_held_is_up_with_nothing_pending_until_it_is_over() {
    let rig = rig("level-held", 0, None);
    for _ in 0..3 {
        rig.outl(UPDATE_IRQ, 0);
        assert_eq!((rig.load(INT_PENDING), rig.level()), (0, true));
    }
    behave(&rig);
    assert!(!rig.level());
}

#[test]
fn pending_unknown_adds_its_bits() {
    let rig = rig("pending-unknown", -2, None);
    rig.say(b"one");
    assert_eq!(rig.load(INT_PENDING), u32::MAX);
}

#[test]
fn generation_flaps_whenever_the_device_looks_and_is_right_when_it_is_over() {
    let rig = Rig::new();
    rig.connect();
    misbehave(&rig, "generation-flaps", 0, None);
    assert_eq!((rig.load(GENERATION), rig.level()), (2, true));
    rig.device.attend();
    assert_eq!(rig.load(GENERATION), 1);
    rig.device.attend();
    behave(&rig);
    assert_eq!(rig.load(GENERATION), 1);
}

#[test]
fn connection_reads_as_it_was_told_and_connects_nothing() {
    let rig = Rig::new();
    misbehave(&rig, "connection-value", -1, Some(1));
    assert_eq!(rig.inl(CONNECTION), u32::MAX);
    assert!(!rig.host.connection().is_open);
    assert_eq!(rig.inl(CONNECTION), 1);
}

#[test]
fn words_lie_now_and_after_each_reset_until_it_is_over() {
    use caraway_base::lifecycle::Lifecycle as _;
    for (name, fault) in FAULTS {
        let Fault::Word(field) = *fault else { continue };
        let rig = Rig::new();
        let truth = rig.load(field);
        misbehave(&rig, name, 0x1234_5678, None);
        assert_eq!(rig.load(field), 0x1234_5678, "{name}");
        rig.device.reset();
        assert_eq!(rig.load(field), 0x1234_5678, "{name} after a reset");
        behave(&rig);
        assert_eq!(rig.load(field), truth, "{name} is over");
    }
}
