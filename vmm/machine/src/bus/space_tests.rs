use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

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
    /// Those with a log.
    logged: Mutex<BTreeSet<u32>>,
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
                let mut logged = self.logged.lock().unwrap();
                if slot.log_dirty {
                    logged.insert(number);
                } else {
                    logged.remove(&number);
                }
            }
            None => {
                slots.remove(&number).expect("a slot that is there");
                self.logged.lock().unwrap().remove(&number);
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

impl Rig {
    /// Another memory, of which the device wants no log.
    fn unlogged_at(&self, start: u64, read_only: bool) -> (SharedMemory, Mapping) {
        let memory = SharedMemory::allocate("unlogged", 0x1_0000).unwrap();
        let mut mapping = self.memory_at(start, 0x1_0000);
        mapping.target = Target::Memory {
            memory: memory.clone(),
            offset: 0,
            read_only,
            log_dirty: false,
        };
        (memory, mapping)
    }

    fn logged(&self) -> Vec<u32> {
        self.host.logged.lock().unwrap().iter().copied().collect()
    }
}

#[test]
fn all_memories_that_can_be_written_are_logged_while_that_is_wanted() {
    let rig = rig();
    let (_, rom) = rig.unlogged_at(0xc020_0000, true);
    let (memory, mapping) = rig.unlogged_at(0xc010_0000, false);
    let ids = rig
        .space
        .change(&[], vec![rig.memory_at(0xc000_0000, 0x10_0000), mapping, rom])
        .unwrap();
    assert_eq!(rig.logged(), [2]);
    rig.space.log_all(true).unwrap();
    assert_eq!(rig.logged(), [2, 3]);
    // One that comes meanwhile, and one that moves.
    let (_, late) = rig.unlogged_at(0xc030_0000, false);
    rig.space.change(&[], vec![late]).unwrap();
    assert_eq!(rig.logged(), [2, 3, 5]);
    *rig.host.dirty.lock().unwrap() = vec![0b10];
    let (_, moved) = rig.unlogged_at(0xc040_0000, false);
    rig.space.change(&ids[1..2], vec![moved]).unwrap();
    assert!(memory.is_dirty(PAGE_SIZE) && !memory.is_dirty(0));
    rig.space.log_all(false).unwrap();
    assert_eq!(rig.logged(), [2]);
}

#[test]
fn a_log_that_was_collected_is_still_told_to_the_device_that_keeps_one() {
    let rig = rig();
    let ids = rig
        .space
        .change(&[], vec![rig.memory_at(0xc000_0000, 0x10_0000)])
        .unwrap();
    rig.space.log_all(true).unwrap();
    for bits in [0b1, 0b100] {
        *rig.host.dirty.lock().unwrap() = vec![bits];
        rig.space.collect_logs();
    }
    *rig.host.dirty.lock().unwrap() = vec![0b1000];
    assert_eq!(rig.space.take_dirty_log(ids[0]), Some(vec![0b1101]));
    assert_eq!(rig.space.take_dirty_log(ids[0]), Some(vec![]));
    assert!(rig.memory.is_dirty(0) && rig.memory.is_dirty(2 * PAGE_SIZE) && rig.memory.is_dirty(3 * PAGE_SIZE));
}
