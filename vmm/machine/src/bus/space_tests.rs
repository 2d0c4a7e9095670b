use std::sync::atomic::{AtomicUsize, Ordering};

use caraway_base::{
    bus::{BusDevice, Outcome},
    memory::SharedMemory,
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;

/// Plays KVM: slots and doorbells as sets, and a call number that fails.
#[derive(Default)]
struct FakeHost {
    slots: Mutex<BTreeMap<u32, (u64, u64)>>,
    doorbells: Mutex<Vec<u64>>,
    calls: AtomicUsize,
    fail_at: Mutex<Option<usize>>,
    dirty: Mutex<Vec<u64>>,
}

impl FakeHost {
    fn call(&self) -> io::Result<()> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if *self.fail_at.lock().unwrap() == Some(number) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    fn state(&self) -> (BTreeMap<u32, (u64, u64)>, Vec<u64>) {
        let mut doorbells = self.doorbells.lock().unwrap().clone();
        doorbells.sort_unstable();
        (self.slots.lock().unwrap().clone(), doorbells)
    }
}

impl SlotHost for FakeHost {
    fn set_slot(&self, number: u32, slot: Option<&Slot>) -> io::Result<()> {
        self.call()?;
        let mut slots = self.slots.lock().unwrap();
        match slot {
            Some(slot) => {
                let clash = slots.iter().any(|(other, (start, size))| {
                    *other != number && *start < slot.guest + slot.size && slot.guest < start + size
                });
                assert!(!clash, "KVM refuses overlapping slots");
                slots.insert(number, (slot.guest, slot.size));
            }
            None => {
                slots.remove(&number).expect("a slot that is there");
            }
        }
        Ok(())
    }

    fn set_doorbell(&self, attach: bool, _: Space, address: u64, _: &Doorbell) -> io::Result<()> {
        self.call()?;
        let mut doorbells = self.doorbells.lock().unwrap();
        if attach {
            doorbells.push(address);
        } else {
            let at = doorbells
                .iter()
                .position(|other| *other == address)
                .expect("a doorbell that is there");
            doorbells.remove(at);
        }
        Ok(())
    }

    fn dirty_log(&self, _: u32, _: u64) -> io::Result<Vec<u64>> {
        Ok(std::mem::take(&mut self.dirty.lock().unwrap()))
    }
}

struct Silent;

impl BusDevice for Silent {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(0x11);
    }
    fn write(&self, _: u64, _: &[u8]) -> Outcome {
        Outcome::Done
    }
}

struct Rig {
    host: Arc<FakeHost>,
    buses: Arc<Buses>,
    space: MachineSpace,
    memory: SharedMemory,
    event: Arc<EventFd>,
}

/// RAM the rig's machine has.
const RAM: std::ops::Range<u64> = 0..0x1000_0000;

fn rig() -> Rig {
    let host = Arc::new(FakeHost::default());
    let buses = Arc::new(Buses::default());
    Rig {
        space: MachineSpace::new(host.clone(), buses.clone(), Vec::from([RAM]), 2),
        host,
        buses,
        memory: SharedMemory::allocate("test", 0x10_0000).unwrap(),
        event: Arc::new(EventFd::new(EFD_NONBLOCK).unwrap()),
    }
}

impl Rig {
    fn memory_at(&self, start: u64, size: u64) -> Mapping {
        Mapping {
            space: Space::Memory,
            range: start..start + size,
            target: Target::Memory {
                memory: self.memory.clone(),
                offset: 0,
                read_only: false,
                log_dirty: true,
            },
            doorbells: vec![],
        }
    }

    fn device_at(&self, space: Space, start: u64, size: u64) -> Mapping {
        Mapping {
            space,
            range: start..start + size,
            target: Target::Device(Arc::new(Silent)),
            doorbells: vec![Doorbell {
                offset: 0,
                width: 4,
                value: None,
                event: self.event.clone(),
            }],
        }
    }
}

#[test]
fn a_move_takes_slots_and_doorbells_along() {
    let rig = rig();
    let ids = rig
        .space
        .change(
            &[],
            vec![
                rig.memory_at(0xc000_0000, 0x10_0000),
                rig.device_at(Space::Memory, 0xd000_0000, 0x1000),
            ],
        )
        .unwrap();
    rig.space
        .change(
            &ids,
            vec![
                rig.memory_at(0xc008_0000, 0x10_0000),
                rig.device_at(Space::Memory, 0xd000_1000, 0x1000),
            ],
        )
        .unwrap();
    let (slots, doorbells) = rig.host.state();
    assert_eq!(slots.into_values().collect::<Vec<_>>(), [(0xc008_0000, 0x10_0000)]);
    assert_eq!(doorbells, [0xd000_1000]);
    let mut data = [0; 4];
    rig.buses.read(Space::Memory, 0xd000_0000, &mut data);
    assert_eq!(data, [0xff; 4]);
    rig.buses.read(Space::Memory, 0xd000_1000, &mut data);
    assert_eq!(data, [0x11; 4]);
}

#[test]
fn a_change_that_fails_at_any_step_leaves_everything_as_it_was() {
    let rig = rig();
    let ids = rig
        .space
        .change(
            &[],
            vec![
                rig.memory_at(0xc000_0000, 0x10_0000),
                rig.device_at(Space::Ports, 0xc000, 0x20),
            ],
        )
        .unwrap();
    let before = rig.host.state();
    for step in 0..4 {
        *rig.host.fail_at.lock().unwrap() = Some(rig.host.calls.load(Ordering::SeqCst) + step);
        let result = rig.space.change(
            &ids,
            vec![
                rig.memory_at(0xe000_0000, 0x10_0000),
                rig.device_at(Space::Ports, 0xc100, 0x20),
            ],
        );
        assert!(matches!(result, Err(MapError::Host { .. })), "step {step}");
        assert_eq!(rig.host.state(), before, "step {step}");
        let mut data = [0; 1];
        rig.buses.read(Space::Ports, 0xc000, &mut data);
        assert_eq!(data, [0x11]);
    }
    *rig.host.fail_at.lock().unwrap() = None;
    assert!(
        rig.space.take_dirty_log(ids[0]).is_some(),
        "the old ids still name the mappings"
    );
}

#[test]
fn ranges_that_cannot_be_are_refused() {
    let rig = rig();
    let bad = [
        rig.device_at(Space::Ports, 0xffff, 2),
        rig.device_at(Space::Memory, 0xc000_0000, 0),
        rig.memory_at(0xc000_0100, 0x1000),
        rig.memory_at(0xc000_0000, 0x10_1000),
        // The doorbell would reach past the end.
        rig.device_at(Space::Memory, 0xc000_0000, 2),
    ];
    for mapping in bad {
        assert!(matches!(
            rig.space.change(&[], vec![mapping]),
            Err(MapError::Range { .. })
        ));
    }
    assert!(matches!(
        rig.space
            .change(&[], vec![rig.device_at(Space::Memory, 0xfff_f000, 0x2000)]),
        Err(MapError::Overlap { .. })
    ));
    assert!(matches!(
        rig.space.change(
            &[],
            vec![rig.memory_at(0xc000_0000, 0x2000), rig.memory_at(0xc000_1000, 0x2000)]
        ),
        Err(MapError::Overlap { .. })
    ));
    assert_eq!(rig.host.calls.load(Ordering::SeqCst), 0, "nothing was tried");
}

#[test]
fn slots_are_used_again() {
    let rig = rig();
    for _ in 0..10 {
        let ids = rig.space.change(&[], vec![rig.memory_at(0xc000_0000, 0x1000)]).unwrap();
        assert_eq!(rig.host.state().0.into_keys().collect::<Vec<_>>(), [2]);
        rig.space.change(&ids, vec![]).unwrap();
    }
    assert!(rig.host.state().0.is_empty());
}

#[test]
fn a_dirty_log_that_is_taken_goes_to_the_memory_too() {
    let rig = rig();
    let mapping = rig.memory_at(0xc000_0000, 0x10_0000);
    let ids = rig.space.change(&[], vec![mapping]).unwrap();
    *rig.host.dirty.lock().unwrap() = vec![0b100];
    assert_eq!(rig.space.take_dirty_log(ids[0]), Some(vec![0b100]));
    assert!(rig.memory.is_dirty(2 * PAGE_SIZE) && !rig.memory.is_dirty(0));
}

#[test]
fn the_dirty_log_of_a_removed_mapping_goes_to_the_memory() {
    let rig = rig();
    let ids = rig
        .space
        .change(&[], vec![rig.memory_at(0xc000_0000, 0x10_0000)])
        .unwrap();
    *rig.host.dirty.lock().unwrap() = vec![0b100];
    rig.space.change(&ids, vec![]).unwrap();
    assert!(rig.memory.is_dirty(2 * PAGE_SIZE) && !rig.memory.is_dirty(0));
}
