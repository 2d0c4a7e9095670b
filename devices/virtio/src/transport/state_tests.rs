use std::sync::Arc;

use caraway_base::{
    lifecycle::Lifecycle as _,
    migratable_suite,
    state::{Migratable as _, StateError},
};
use caraway_pci::function::PciFunction as _;

use super::{
    VirtioPci,
    transport_tests::{Inside, Toy, toy},
};
use crate::{
    QueueRegisters, VERSION_1, VirtioDevice, VirtioPciState,
    test_support::{Bench, DATA, LOW_END, Mode, common, ram, status},
};

fn fresh() -> VirtioPci {
    VirtioPci::new(Box::new(Toy(Arc::default())), ram()).unwrap()
}

/// A driver at work, with something in every field.
fn change(device: &VirtioPci) {
    let write = |offset: u64, width: usize, value: u64| {
        device.bar_write(0, offset, &value.to_le_bytes()[..width]);
    };
    write(common::STATUS, 1, 3);
    write(common::DRIVER_FEATURE_SELECT, 4, 1);
    write(common::DRIVER_FEATURE, 4, VERSION_1 >> 32);
    write(common::DEVICE_FEATURE_SELECT, 4, 1);
    write(common::STATUS, 1, 11);
    write(common::CONFIG_VECTOR, 2, 1);
    write(common::QUEUE_SELECT, 2, 1);
    write(common::QUEUE_SIZE, 2, 4);
    write(common::QUEUE_VECTOR, 2, 2);
    write(common::QUEUE_DESC, 8, DATA);
    write(common::QUEUE_DRIVER, 8, DATA + 0x1000);
    write(common::QUEUE_DEVICE, 8, DATA + 0x2000);
    write(common::QUEUE_ENABLE, 2, 1);
    device.config_write(0x44, &[0]);
    device.config_write(0x48, &[0x14, 0, 0, 0]);
    device.config_write(0x4c, &[1, 0, 0, 0]);
    write(common::STATUS, 1, 15);
    device.pause();
}

migratable_suite!(
    migratable,
    VirtioPci,
    fresh: fresh(),
    args: (Box::new(Toy(Arc::default())) as Box<dyn VirtioDevice>, ram()),
    change: change
);

#[test]
fn a_restored_device_works_on_where_it_was_saved() {
    let (inside, bench) = toy();
    for mode in [Mode::Messages, Mode::Line] {
        let mut rings = bench.start(VERSION_1, mode, 8);
        rings[0].add(&[(DATA, 16, true)]);
        rings[0].add(&[(DATA, 16, true)]);
        assert!(inside.serve(0));
        inside.with(|a| a.interrupt.config_changed());
        bench.function.pause();
        let (state, bus) = (bench.function.save(), bench.bus.save());

        let other = Arc::new(Inside::default());
        let device = Box::new(Toy(Arc::clone(&other)));
        let restored = VirtioPci::restore((device, bench.ram.clone()), state.clone()).unwrap();
        assert_eq!(restored.save(), state);
        let there = Bench::with(restored, bench.ram.clone());
        caraway_pci::PciBus::restore(there.bus.clone(), bus).unwrap();
        assert_eq!(there.line(), mode == Mode::Line, "what was pending still is");
        there.function.resume();
        assert_eq!(there.status(), status::WORKING);
        assert_eq!(there.isr() & 2, 2);
        let mut ring = rings[0].moved(&there);
        assert_eq!(ring.wait(), (0, 3));
        assert!(other.serve(0) && !other.serve(0));
        assert_eq!(ring.wait(), (1, 3));
        bench.function.resume();
    }
}

type Damage = fn(&mut VirtioPciState);

#[test]
fn states_that_cannot_be_are_refused() {
    let device = fresh();
    change(&device);
    let good = device.save();
    let restore = |state| VirtioPci::restore((Box::new(Toy(Arc::default())) as _, ram()), state);
    assert_eq!(restore(good.clone()).unwrap().save(), good);
    let damage: [(&str, Damage); 11] = [
        ("another device type", |state| state.device = 2),
        ("status bits", |state| state.status |= 0x10),
        ("working without features", |state| state.status = 7),
        ("features that are not offered", |state| state.driver_features |= 1),
        ("features without virtio 1", |state| state.driver_features = 0),
        ("ISR bits", |state| state.isr = 4),
        ("a queue too few", |state| state.queues.truncate(1)),
        ("a vector too few", |state| state.queue_vectors.truncate(1)),
        ("a size that is too large", |state| state.queues[0].size = 32),
        ("an odd size", |state| state.queues[1].size = 3),
        ("a vector that is not there", |state| state.config_vector = 3),
    ];
    for (what, change) in damage {
        let mut state = good.clone();
        change(&mut state);
        assert!(matches!(restore(state), Err(StateError::Invalid { .. })), "{what}");
    }
    // Rings elsewhere are the driver's fault: they come out when the device is to work with them.
    let mut state = good;
    state.queues[1] = QueueRegisters {
        used: LOW_END,
        ..state.queues[1]
    };
    let bench = Bench::with(restore(state).unwrap(), ram());
    bench.function.resume();
    assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
}
