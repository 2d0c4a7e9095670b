//! MSI-X as a driver uses it, saved state, and a hostile guest.

use std::sync::{Arc, atomic::Ordering};

use caraway_base::{address_space::Space, irq::MsiVector as _, migratable_suite, state::Migratable as _};
use proptest::prelude::*;

use crate::{
    PciBus, Windows,
    test_support::{Bench, Probe},
};

const TABLE: u64 = 0xc000_0000;
const PBA: u64 = TABLE + 2048;

fn bench() -> (Bench, Arc<Probe>) {
    let bench = Bench::new();
    let virtio = Arc::new(Probe::virtio());
    bench.bus.plug(4, virtio.clone()).unwrap();
    bench.bus.assign(Windows::with_high(1 << 36..1 << 37)).unwrap();
    (bench, virtio)
}

fn write(bench: &Bench, at: u64, value: u32) {
    bench.space.write(Space::Memory, at, 4, value.into());
}

fn program(bench: &Bench, vector: u64) {
    write(bench, TABLE + 16 * vector, 0xfee0_1000);
    write(bench, TABLE + 16 * vector + 8, 0x40 + vector as u32);
}

fn route(bench: &Bench, vector: usize) -> Option<(u64, u32)> {
    *bench.vectors.0.lock().unwrap()[vector].route.lock().unwrap()
}

#[test]
fn a_vector_is_routed_when_enabled_and_unmasked_only() {
    let (bench, virtio) = bench();
    let enabled = virtio.interrupts.lock().unwrap().as_ref().unwrap().msix_enabled.clone();
    program(&bench, 1);
    assert_eq!(bench.config(4, 0x42, 2), 2);
    bench.set_config(4, 0x42, 2, 0xc000);
    assert!(enabled.load(Ordering::SeqCst));
    write(&bench, TABLE + 16 + 12, 0);
    assert_eq!(route(&bench, 1), None);
    bench.set_config(4, 0x42, 2, 0x8000);
    assert_eq!(route(&bench, 1), Some((0xfee0_1000, 0x41)));
    assert_eq!(route(&bench, 0), None);
    write(&bench, TABLE + 16 + 8, 0x51);
    assert_eq!(route(&bench, 1), Some((0xfee0_1000, 0x51)));
    write(&bench, TABLE + 16 + 12, 0xffff_ffff);
    assert_eq!(route(&bench, 1), None);
    assert_eq!(bench.space.read(Space::Memory, TABLE + 28, 4), 1);
    write(&bench, TABLE + 16 + 12, 0);
    bench.set_config(4, 0x42, 2, 0);
    assert_eq!(route(&bench, 1), None);
    assert!(!enabled.load(Ordering::SeqCst));
}

#[test]
fn a_message_sent_while_masked_is_pending_and_goes_out_when_unmasked() {
    let (bench, _) = bench();
    program(&bench, 2);
    bench.set_config(4, 0x42, 2, 0x8000);
    let vector = bench.vectors.0.lock().unwrap()[2].clone();
    assert_eq!(bench.space.read(Space::Memory, PBA, 8), 0);
    vector.event().write(1).unwrap();
    assert_eq!(bench.space.read(Space::Memory, PBA, 8), 1 << 2);
    assert!(vector.event().read().is_err());
    write(&bench, TABLE + 32 + 12, 0);
    assert_eq!(bench.space.read(Space::Memory, PBA, 4), 0);
    assert_eq!(vector.event().read().unwrap(), 1);
    write(&bench, PBA, 0xff);
    assert_eq!(bench.space.read(Space::Memory, PBA, 4), 0);
}

#[test]
fn a_message_sent_just_before_unmasking_goes_out_once() {
    let (bench, _) = bench();
    bench.set_config(4, 0x42, 2, 0x8000);
    let vector = bench.vectors.0.lock().unwrap()[0].clone();
    vector.event().write(1).unwrap();
    write(&bench, TABLE + 12, 0);
    assert_eq!(vector.event().read().unwrap(), 1);
}

#[test]
fn msix_keeps_intx_quiet() {
    let (bench, virtio) = bench();
    virtio.line().set(true);
    assert!(bench.lines[0].level());
    bench.set_config(4, 0x42, 2, 0x8000);
    assert!(!bench.lines[0].level());
    bench.bus.reset();
    assert!(bench.lines[0].level());
}

#[test]
fn the_table_takes_aligned_double_and_quad_words_only() {
    let (bench, _) = bench();
    bench.space.write(Space::Memory, TABLE, 8, 0x0000_0001_fee0_2003);
    bench.space.write(Space::Memory, TABLE + 8, 1, 0xff);
    bench.space.write(Space::Memory, TABLE + 10, 4, 0xffff_ffff);
    assert_eq!(bench.space.read(Space::Memory, TABLE, 8), 0x0000_0001_fee0_2000);
    assert_eq!(bench.space.read(Space::Memory, TABLE + 8, 8), 1 << 32);
    assert_eq!(bench.space.read(Space::Memory, TABLE + 5, 2), 0);
    bench.space.write(Space::Memory, TABLE + 48, 4, 0xffff_ffff);
    assert_eq!(bench.space.read(Space::Memory, TABLE + 48, 4), 0);
    assert_eq!(bench.space.read(Space::Memory, TABLE + 4094, 2), 0);
}

#[test]
fn a_saved_bus_comes_back_with_bars_routes_and_pending_bits() {
    let (old, _) = bench();
    old.set_config(4, 0x14, 4, 0xd000_0000);
    let moved = 0xd000_0000u64;
    write(&old, moved, 0xfee0_3000);
    write(&old, moved + 8, 0x77);
    write(&old, moved + 12, 0);
    old.set_config(4, 0x42, 2, 0x8000);
    old.vectors.0.lock().unwrap()[1].event().write(1).unwrap();
    let state = old.bus.save();
    let (new, _) = bench();
    PciBus::restore(new.bus.clone(), state.clone()).unwrap();
    assert_eq!(new.bus.save(), state);
    assert_eq!(new.space.ranges(Space::Memory), old.space.ranges(Space::Memory));
    assert_eq!(route(&new, 0), Some((0xfee0_3000, 0x77)));
    assert_eq!(new.space.read(Space::Memory, moved + 2048, 4), 2);
}

#[test]
fn a_state_of_another_machine_is_refused_and_changes_nothing() {
    let (bench, _) = bench();
    let good = bench.bus.save();
    let spoil: [fn(&mut crate::PciBusState); 5] = [
        |state| drop(state.functions.pop()),
        |state| state.functions[1].config[0] ^= 1,
        |state| state.functions[1].initial.truncate(255),
        |state| state.functions[1].msix = None,
        |state| state.functions[1].msix.as_mut().unwrap().entries.truncate(2),
    ];
    for spoil in spoil {
        let mut state = good.clone();
        spoil(&mut state);
        assert!(PciBus::restore(bench.bus.clone(), state).is_err());
        assert_eq!(bench.bus.save(), good);
    }
}

migratable_suite!(
    migration,
    PciBus,
    fresh: bench().0.bus,
    args: bench().0.bus,
    change: |bus: &PciBus| {
        bus.ecam().write(4 << 15 | 0x10, &[0, 0, 0, 0xd1]);
        bus.ecam().write(4 << 15 | 4, &[6, 4]);
    }
);

#[derive(Clone, Debug)]
enum Access {
    Port {
        at: u64,
        width: usize,
        value: u64,
    },
    Ecam {
        at: u64,
        width: usize,
        value: u64,
    },
    Register {
        device: u8,
        register: u8,
        value: u32,
    },
    Mapped {
        space: Space,
        at: u64,
        width: usize,
        value: u64,
    },
    Line(bool),
    Reset,
}

fn access() -> impl Strategy<Value = Access> {
    let width = || prop::sample::select(vec![1usize, 2, 4]);
    let device = || prop::sample::select(vec![0u8, 1, 2, 4]);
    let window = prop_oneof![
        Just(u64::from(u32::MAX)),
        (0u64..0x40).prop_map(|step| 0xc000_0000 + (step << 24)),
        0xc000u64..0x1_0000,
        any::<u32>().prop_map(u64::from),
    ];
    prop_oneof![
        4 => (0u64..8, width(), any::<u64>()).prop_map(|(at, width, value)| Access::Port { at: at.min(8 - width as u64), width, value }),
        2 => (0u64..1 << 29, width(), any::<u64>()).prop_map(|(at, width, value)| Access::Ecam { at, width, value }),
        4 => (device(), 0u64..256, width(), any::<u64>())
            .prop_map(|(device, at, width, value)| Access::Ecam { at: u64::from(device) << 15 | at, width, value }),
        8 => (device(), 4u8..10, window).prop_map(|(device, bar, value)| Access::Register { device, register: 4 * bar, value: value as u32 }),
        4 => (device(), any::<u32>()).prop_map(|(device, value)| Access::Register { device, register: 4, value }),
        4 => (0u64..4096, prop::sample::select(vec![1usize, 2, 4, 8]), any::<u64>())
            .prop_map(|(at, width, value)| Access::Mapped { space: Space::Memory, at: TABLE + at.min(4096 - width as u64), width, value }),
        1 => any::<bool>().prop_map(Access::Line),
        1 => Just(Access::Reset),
    ]
}

fn perform(bench: &Bench, qxl: &Probe, access: &Access) {
    match *access {
        Access::Port { at, width, value } => {
            bench.out(0xcf8 + at, width, value);
            bench.input(0xcf8 + at, width);
        }
        Access::Ecam { at, width, value } => {
            let ecam = bench.bus.ecam();
            ecam.write(at, &value.to_le_bytes()[..width]);
            ecam.read(at, &mut [0xff; 8][..width]);
        }
        Access::Register {
            device,
            register,
            value,
        } => bench.set_config(device, register, 4, value.into()),
        Access::Mapped {
            space,
            at,
            width,
            value,
        } => {
            bench.space.write(space, at, width, value);
            bench.space.read(space, at, width);
        }
        Access::Line(level) => qxl.line().set(level),
        Access::Reset => bench.bus.reset(),
    }
    qxl.told.lock().unwrap().clear();
}

proptest! {
    // 100 runs of 1000 accesses.
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_hostile_guest_breaks_nothing_and_a_reset_repairs(accesses in prop::collection::vec(access(), 1000)) {
        let bench = Bench::new();
        let qxl = Arc::new(Probe::qxl());
        bench.bus.plug(1, qxl.clone()).unwrap();
        bench.bus.plug(2, Arc::new(Probe::virtio())).unwrap();
        bench.bus.plug(4, Arc::new(Probe::virtio())).unwrap();
        bench.bus.assign(Windows::default()).unwrap();
        let fresh = bench.bus.save();
        let ranges = bench.space.ranges(Space::Memory);
        for access in &accesses {
            perform(&bench, &qxl, access);
        }
        for (start, end) in bench.space.ranges(Space::Memory) {
            prop_assert!(start >= 0xc000_0000 && end <= 0xfec0_0000);
        }
        for (start, end) in bench.space.ranges(Space::Ports) {
            prop_assert!(start >= 0xc000 && end <= 0x1_0000);
        }
        let state = bench.bus.save();
        prop_assert_eq!(&PciBus::restore(bench.bus.clone(), state.clone()).unwrap().save(), &state);
        bench.bus.reset();
        prop_assert_eq!(bench.bus.save(), fresh);
        prop_assert_eq!(bench.space.ranges(Space::Memory), ranges);
    }
}
