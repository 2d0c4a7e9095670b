use std::sync::{Mutex, MutexGuard, PoisonError};

use caraway_base::{memory::SharedMemory, migratable_suite};
use proptest::prelude::*;

use super::*;
use crate::testing::{MODE_3, Pc, dispi};

/// The device as its owner holds it.
#[derive(Debug)]
struct Shared(Mutex<Vga>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vga> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Migratable for Shared {
    type State = VgaState;
    type Args = VgaArgs;
    const KIND: &'static str = Vga::KIND;
    const VERSION: u16 = Vga::VERSION;
    const OLDEST: u16 = Vga::OLDEST;

    fn save(&self) -> VgaState {
        self.lock().save()
    }

    fn restore(args: VgaArgs, state: VgaState) -> Result<Self, StateError> {
        Vga::restore(args, state).map(|vga| Self(Mutex::new(vga)))
    }
}

fn args() -> VgaArgs {
    VgaArgs {
        memory: SharedMemory::allocate("vga test", 1 << 20).unwrap(),
        vgamem: 1 << 19,
    }
}

migratable_suite!(
    suite,
    Shared,
    fresh: Shared(Mutex::new(Vga::new(args()))),
    args: args(),
    change: |shared: &Shared| {
        let mut vga = shared.lock();
        vga.port_write(0x3c2, &[0x67]);
        vga.port_write(0x3d4, &[0xfe, 0x77]);
        vga.port_write(0x3c0, &[0x01]);
        vga.port_write(0x3c8, &[3]);
        vga.port_write(0x3c9, &[9]);
        vga.window_read(0, &mut [0]);
        vga.port_write(0x1ce, &[4, 0]);
        vga.port_write(0x1cf, &[1, 0]);
    }
);

fn refused(vga: &Vga, change: impl Fn(&mut Vga)) -> &'static str {
    let mut other = Vga::restore(args(), vga.save()).unwrap();
    change(&mut other);
    match Vga::restore(args(), other.save()) {
        Err(StateError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_no_guest_can_do_is_refused() {
    let vga = Vga::new(args());
    assert_eq!(refused(&vga, |vga| vga.registers.sr[2] = 0x10), "SR");
    assert_eq!(refused(&vga, |vga| vga.registers.gr[9] = 1), "GR");
    assert_eq!(refused(&vga, |vga| vga.registers.ar[0x14] = 0x10), "AR");
    let other = |bar, vgamem| {
        let memory = SharedMemory::allocate("vga test", bar).unwrap();
        Vga::new(VgaArgs { memory, vgamem })
    };
    assert_eq!(refused(&vga, |vga| *vga = other(1 << 20, 1 << 18)), "vgamem");
    assert_eq!(refused(&vga, |vga| *vga = other(1 << 21, 1 << 19)), "dispi bank mask");
}

#[test]
fn every_byte_of_a_record_is_refused_or_makes_a_device_that_works() {
    let mut pc = Pc::with_memory(1 << 20, 1 << 19);
    pc.set_mode(&MODE_3);
    pc.set_linear(640, 180, 32);
    pc.set_dispi(dispi::BANK, 5);
    let mut records = caraway_base::state::Records::default();
    records.put("0", &pc.vga).unwrap();
    let list = records.into_inner();
    let (mut refused, mut built) = (0, 0);
    for at in 0..list[0].payload.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut list = list.clone();
            list[0].payload[at] = byte;
            let mut records = caraway_base::state::Records::new(list);
            let Ok(mut vga) = records.take::<Vga>("0", args()) else {
                refused += 1;
                continue;
            };
            built += 1;
            vga.window_write(0, &[1; 4]);
            vga.port_read(0x3c9, &mut [0]);
            vga.port_write(0x3c9, &[0]);
            let layout = vga.dispi.layout().unwrap_or(pc.vga.dispi.layout().unwrap());
            assert!(layout.start + u64::from(layout.height) * u64::from(layout.line) <= 1 << 19);
            assert!(vga.scanout().size().is_none_or(|(width, _)| width <= 16000));
        }
    }
    assert!(refused > 50 && built > 50, "{refused} refused, {built} built");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What a guest can do is taken, and goes on where it was.
    #[test]
    fn any_state_a_guest_makes_is_restored(
        writes in proptest::collection::vec(
            (prop_oneof![0x3c0_u16..0x3d0, Just(0x3d4), Just(0x1ce), Just(0x1cf)], any::<[u8; 2]>()), 1..100),
        dispi in proptest::collection::vec((0_u16..11, 0_u16..2000), 0..20),
    ) {
        let mut pc = Pc::with_memory(1 << 20, 1 << 19);
        for (port, value) in writes {
            pc.vga.port_write(port, &value);
        }
        for (index, value) in dispi {
            pc.set_dispi(index, value);
        }
        let restored = Vga::restore(args(), pc.vga.save()).unwrap();
        prop_assert_eq!(restored.save(), pc.vga.save());
        prop_assert!(restored.scanout() == pc.vga.scanout());
    }
}
