use std::sync::Mutex;

use caraway_base::{bus::BusDevice, memory::SharedMemory};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;

/// Answers each byte with its offset, records writes.
#[derive(Default)]
struct Recorder {
    writes: Mutex<Vec<(u64, Vec<u8>)>>,
    reads: Mutex<Vec<(u64, usize)>>,
}

impl BusDevice for Recorder {
    fn read(&self, offset: u64, data: &mut [u8]) {
        self.reads.lock().unwrap().push((offset, data.len()));
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = (offset as u8).wrapping_add(index as u8);
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        self.writes.lock().unwrap().push((offset, data.to_vec()));
        if data.first() == Some(&0xee) {
            Outcome::Reset
        } else {
            Outcome::Done
        }
    }
}

fn entry(id: u64, start: u64, end: u64, target: Target, doorbells: Vec<Doorbell>) -> Arc<Entry> {
    Arc::new(Entry {
        id: MappingId(id),
        start,
        end,
        target,
        doorbells,
    })
}

fn buses(entries: Vec<Arc<Entry>>) -> Buses {
    let buses = Buses::default();
    let mut snapshot = Snapshot::default();
    for entry in entries {
        assert!(snapshot.insert(Space::Memory, entry));
    }
    buses.publish(snapshot);
    buses
}

#[test]
fn an_access_inside_a_range_is_one_call_with_its_offset() {
    let device = Arc::new(Recorder::default());
    let buses = buses(vec![entry(1, 0x1000, 0x2000, Target::Device(device.clone()), vec![])]);
    let mut data = [0; 4];
    buses.read(Space::Memory, 0x1010, &mut data);
    assert_eq!(data, [0x10, 0x11, 0x12, 0x13]);
    assert_eq!(buses.write(Space::Memory, 0x1ff8, &[1; 8]), Outcome::Done);
    assert_eq!(*device.writes.lock().unwrap(), [(0xff8, vec![1; 8])]);
    assert_eq!(buses.unclaimed().reads(), 0);
}

#[test]
fn unclaimed_reads_are_ones_and_writes_are_counted() {
    let buses = buses(vec![]);
    let mut data = [0; 8];
    buses.read(Space::Ports, 0x80, &mut data);
    assert_eq!(data, [0xff; 8]);
    buses.read(Space::Memory, u64::MAX - 2, &mut data);
    assert_eq!(data, [0xff; 8]);
    buses.write(Space::Ports, 0x80, &[1]);
    assert_eq!((buses.unclaimed().reads(), buses.unclaimed().writes()), (2, 1));
}

#[test]
fn an_access_across_two_devices_is_cut_into_lengths_devices_accept() {
    let (low, high) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    let buses = buses(vec![
        entry(1, 0x1000, 0x1003, Target::Device(low.clone()), vec![]),
        entry(2, 0x1003, 0x1010, Target::Device(high.clone()), vec![]),
    ]);
    let mut data = [0; 8];
    buses.read(Space::Memory, 0x1000, &mut data);
    assert_eq!(data, [0, 1, 2, 0, 1, 2, 3, 4]);
    assert_eq!(*low.reads.lock().unwrap(), [(0, 2), (2, 1)]);
    assert_eq!(*high.reads.lock().unwrap(), [(0, 4), (4, 1)]);
    assert_eq!(
        buses.write(Space::Memory, 0x1002, &[1, 0xee]),
        Outcome::Reset,
        "the outcome of the second device is not lost"
    );
}

#[test]
fn a_hole_between_devices_reads_ones() {
    let device = Arc::new(Recorder::default());
    let buses = buses(vec![
        entry(1, 0x10, 0x11, Target::Device(device.clone()), vec![]),
        entry(2, 0x13, 0x14, Target::Device(device), vec![]),
    ]);
    let mut data = [0x55; 8];
    buses.read(Space::Memory, 0xe, &mut data);
    assert_eq!(data, [0xff, 0xff, 0, 0xff, 0xff, 0, 0xff, 0xff]);
}

#[test]
fn overlaps_are_refused_at_both_ends() {
    let device: Arc<dyn BusDevice> = Arc::new(Recorder::default());
    let mut snapshot = Snapshot::default();
    let at = |id, start, end| entry(id, start, end, Target::Device(device.clone()), vec![]);
    assert!(snapshot.insert(Space::Memory, at(1, 0x10, 0x20)));
    for (start, end) in [(0x0, 0x11), (0x1f, 0x30), (0x12, 0x13), (0x0, 0x100)] {
        assert!(!snapshot.insert(Space::Memory, at(2, start, end)));
    }
    assert!(snapshot.insert(Space::Memory, at(3, 0x0, 0x10)));
    assert!(snapshot.insert(Space::Memory, at(4, 0x20, 0x21)));
    assert!(snapshot.insert(Space::Ports, at(5, 0x10, 0x20)));
}

#[test]
fn memory_reached_by_an_exit_behaves_like_memory() {
    let memory = SharedMemory::allocate("test", 0x2000).unwrap();
    let target = |read_only| Target::Memory {
        memory: memory.clone(),
        offset: 0x1000,
        read_only,
        log_dirty: false,
    };
    let buses = buses(vec![
        entry(1, 0x10_0000, 0x10_1000, target(false), vec![]),
        entry(2, 0x20_0000, 0x20_1000, target(true), vec![]),
    ]);
    buses.write(Space::Memory, 0x10_0008, &[1, 2, 3, 4]);
    buses.write(Space::Memory, 0x20_0008, &[9, 9, 9, 9]);
    let mut data = [0; 4];
    buses.read(Space::Memory, 0x20_0008, &mut data);
    assert_eq!(data, [1, 2, 3, 4]);
    assert_eq!(memory.read_vec(0x1008, 4).unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_doorbell_write_that_exits_still_rings_and_does_not_reach_the_device() {
    let device = Arc::new(Recorder::default());
    let event = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let doorbell = |offset, width, value| Doorbell {
        offset,
        width,
        value,
        event: event.clone(),
    };
    let buses = buses(vec![entry(
        1,
        0x1000,
        0x2000,
        Target::Device(device.clone()),
        vec![doorbell(0x10, 2, Some(3)), doorbell(0x20, 0, None)],
    )]);
    buses.write(Space::Memory, 0x1010, &[3, 0]);
    buses.write(Space::Memory, 0x1020, &[9; 8]);
    assert_eq!(event.read().unwrap(), 2);
    buses.write(Space::Memory, 0x1010, &[4, 0]);
    buses.write(Space::Memory, 0x1010, &[3]);
    buses.write(Space::Memory, 0x1011, &[3, 0]);
    assert!(event.read().is_err());
    assert_eq!(device.writes.lock().unwrap().len(), 3);
}
