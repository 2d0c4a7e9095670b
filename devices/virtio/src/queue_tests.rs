use std::sync::{Arc, atomic::Ordering};

use caraway_base::memory::GuestRam;
use proptest::prelude::*;
use virtio_bindings::bindings::virtio_ring::{VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE};
use virtio_queue::QueueState;
use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{
    Chain, QueueError, VirtQueue,
    test_support::{DATA, HIGH, HIGH_END, LOW_END, ram},
};

const NEXT: u32 = VRING_DESC_F_NEXT;
const WRITE: u32 = VRING_DESC_F_WRITE;
const INDIRECT: u32 = VRING_DESC_F_INDIRECT;

const TABLE: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;
const SIZE: u16 = 8;

/// A queue of eight descriptors and the memory it is in.
struct Rig {
    ram: GuestRam,
    queue: VirtQueue,
}

fn state() -> QueueState {
    QueueState {
        max_size: 256,
        next_avail: 0,
        next_used: 0,
        event_idx_enabled: false,
        size: SIZE,
        ready: true,
        desc_table: TABLE,
        avail_ring: AVAILABLE,
        used_ring: USED,
    }
}

fn queue(state: QueueState, ram: &GuestRam) -> Result<VirtQueue, QueueError> {
    VirtQueue::new(0, state, ram, Arc::new(EventFd::new(EFD_NONBLOCK).unwrap()))
}

impl Rig {
    fn new() -> Self {
        Self::with(state())
    }

    fn with(state: QueueState) -> Self {
        let ram = ram();
        let queue = queue(state, &ram).unwrap();
        Self { ram, queue }
    }

    fn put<T: vm_memory::ByteValued>(&self, value: T, address: u64) {
        self.ram.write_obj(value, GuestAddress(address)).unwrap();
    }

    fn get<T: vm_memory::ByteValued>(&self, address: u64) -> T {
        self.ram.read_obj(GuestAddress(address)).unwrap()
    }

    /// Writes a descriptor into a table.
    fn describe(&self, table: u64, index: u16, (address, length, flags, next): (u64, u32, u32, u16)) {
        let at = table + 16 * u64::from(index);
        self.put(address, at);
        self.put(length, at + 8);
        self.put(flags as u16, at + 12);
        self.put(next, at + 14);
    }

    /// Makes `head` available at a position.
    fn offer(&self, position: u16, head: u16) {
        self.put(head, AVAILABLE + 4 + 2 * u64::from(position % SIZE));
        self.put(position.wrapping_add(1), AVAILABLE + 2);
    }

    fn pop(&mut self) -> Result<Option<Chain>, QueueError> {
        self.queue.pop(&self.ram)
    }
}

#[test]
fn an_empty_queue_gives_nothing() {
    assert!(Rig::new().pop().unwrap().is_none());
}

#[test]
fn a_chain_is_split_by_direction_and_keeps_its_order() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 5, (DATA, 16, NEXT, 2));
    rig.describe(TABLE, 2, (DATA + 64, 3, NEXT, 7));
    rig.describe(TABLE, 7, (HIGH, 5, NEXT | WRITE, 0));
    rig.describe(TABLE, 0, (DATA + 128, 1, WRITE, 9));
    rig.offer(0, 5);
    let chain = rig.pop().unwrap().unwrap();
    assert_eq!((chain.readable.length(), chain.writable.length()), (19, 6));

    rig.ram.write_slice(&[1; 16], GuestAddress(DATA)).unwrap();
    rig.ram.write_slice(&[2; 3], GuestAddress(DATA + 64)).unwrap();
    let mut bytes = [0; 5];
    chain.readable.read(&rig.ram, 14, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 1, 2, 2, 2]);
    chain.writable.write(&rig.ram, 4, &[8, 9]).unwrap();
    assert_eq!((rig.get::<u8>(HIGH + 4), rig.get::<u8>(DATA + 128)), (8, 9));
    assert!(chain.readable.read(&rig.ram, 15, &mut bytes).is_err());
    assert!(chain.writable.write(&rig.ram, u64::MAX, &[1, 2]).is_err());
    assert!(rig.pop().unwrap().is_none());
}

#[test]
fn an_indirect_table_stands_for_its_chain() {
    let mut rig = Rig::new();
    let table = DATA + 0x1000;
    rig.describe(TABLE, 3, (table, 48, INDIRECT, 0));
    rig.describe(table, 0, (DATA, 16, NEXT, 2));
    rig.describe(table, 2, (DATA + 512, 512, NEXT | WRITE, 1));
    rig.describe(table, 1, (DATA + 16, 1, WRITE, 0));
    rig.offer(0, 3);
    let chain = rig.pop().unwrap().unwrap();
    assert_eq!((chain.readable.length(), chain.writable.length()), (16, 513));
    rig.queue.complete(&rig.ram, &chain, 513).unwrap();
    assert_eq!((rig.get::<u32>(USED + 4), rig.get::<u32>(USED + 8)), (3, 513));
    assert_eq!(rig.get::<u16>(USED + 2), 1);
}

#[test]
fn a_chain_may_follow_a_direct_descriptor_into_an_indirect_table() {
    let mut rig = Rig::new();
    let table = DATA + 0x1000;
    rig.describe(TABLE, 0, (DATA, 16, NEXT, 1));
    rig.describe(TABLE, 1, (table, 16, INDIRECT, 0));
    rig.describe(table, 0, (DATA + 16, 1, WRITE, 0));
    rig.offer(0, 0);
    let chain = rig.pop().unwrap().unwrap();
    assert_eq!((chain.readable.length(), chain.writable.length()), (16, 1));
}

#[test]
fn positions_run_through_all_values_of_their_sixteen_bits() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 1, (DATA, 1, WRITE, 0));
    for position in (0..=u16::MAX).chain(0..10) {
        rig.offer(position, 1);
        let chain = rig.pop().unwrap().unwrap();
        rig.queue.complete(&rig.ram, &chain, 1).unwrap();
        assert_eq!(rig.get::<u16>(USED + 2), position.wrapping_add(1));
    }
    assert_eq!(rig.queue.position(), (10, 10));
}

#[test]
fn what_is_put_back_is_given_again() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 1, (DATA, 1, WRITE, 0));
    rig.offer(0, 1);
    let first = rig.pop().unwrap().unwrap();
    rig.queue.put_back();
    assert_eq!(rig.pop().unwrap().unwrap(), first);
    assert_eq!(rig.queue.position(), (1, 0));
}

type Change = fn(&mut QueueState);

#[test]
fn rings_outside_memory_or_unaligned_are_refused() {
    let ram = ram();
    let changes: [(&str, Change); 10] = [
        ("no table", |state| state.desc_table = 0),
        ("unaligned table", |state| state.desc_table += 8),
        ("unaligned available ring", |state| state.avail_ring += 1),
        ("unaligned used ring", |state| state.used_ring += 2),
        ("table past the end", |state| state.desc_table = LOW_END - 16 * 7),
        ("available ring in the hole", |state| state.avail_ring = LOW_END),
        ("used ring reaches into the hole", |state| {
            state.used_ring = LOW_END - 64;
        }),
        ("used ring wraps around", |state| state.used_ring = u64::MAX - 3),
        ("a size of 0", |state| state.size = 0),
        ("a size that is too large", |state| state.size = 512),
    ];
    for (what, change) in changes {
        let mut state = state();
        change(&mut state);
        assert!(queue(state, &ram).is_err(), "{what}");
    }
    assert!(queue(state(), &ram).is_ok());
}

/// Descriptors in the table, in an indirect table at `DATA`, and the head that is offered.
type Broken = (
    &'static str,
    &'static [(u16, (u64, u32, u32, u16))],
    &'static [(u16, (u64, u32, u32, u16))],
    u16,
);

#[test]
fn chains_that_break_the_rules_are_refused() {
    let cases: [Broken; 16] = [
        ("a head past the table", &[], &[], SIZE),
        ("the largest head", &[], &[], u16::MAX),
        ("a descriptor that follows itself", &[(0, (DATA, 1, NEXT, 0))], &[], 0),
        (
            "a loop of two",
            &[(0, (DATA, 1, NEXT, 1)), (1, (DATA, 1, NEXT, 0))],
            &[],
            0,
        ),
        ("a next past the table", &[(0, (DATA, 1, NEXT, SIZE))], &[], 0),
        ("a buffer in the hole", &[(0, (LOW_END, 1, 0, 0))], &[], 0),
        (
            "a buffer that reaches into the hole",
            &[(0, (LOW_END - 1, 2, 0, 0))],
            &[],
            0,
        ),
        (
            "a buffer over the hole",
            &[(0, (LOW_END - 1, HIGH as u32, 0, 0))],
            &[],
            0,
        ),
        ("a buffer past the end", &[(0, (HIGH_END - 1, 2, WRITE, 0))], &[], 0),
        (
            "a buffer at the end of the address space",
            &[(0, (u64::MAX, 1, 0, 0))],
            &[],
            0,
        ),
        (
            "a buffer that wraps around",
            &[(0, (u64::MAX - 1, u32::MAX, 0, 0))],
            &[],
            0,
        ),
        (
            "readable after writable",
            &[(0, (DATA, 1, NEXT | WRITE, 1)), (1, (DATA, 1, 0, 0))],
            &[],
            0,
        ),
        (
            "an indirect table outside memory",
            &[(0, (LOW_END, 16, INDIRECT, 0))],
            &[],
            0,
        ),
        (
            "half a descriptor",
            &[(0, (DATA, 24, INDIRECT, 0))],
            &[(0, (DATA, 1, 0, 0))],
            0,
        ),
        (
            "an indirect table in an indirect table",
            &[(0, (DATA, 32, INDIRECT, 0))],
            &[(0, (DATA, 16, INDIRECT, 0))],
            0,
        ),
        (
            "a next past the indirect table",
            &[(0, (DATA, 32, INDIRECT, 0))],
            &[(0, (DATA, 1, NEXT, 2))],
            0,
        ),
    ];
    for (what, table, indirect, head) in cases {
        let mut rig = Rig::new();
        for (index, descriptor) in table {
            rig.describe(TABLE, *index, *descriptor);
        }
        for (index, descriptor) in indirect {
            rig.describe(DATA, *index, *descriptor);
        }
        rig.offer(0, head);
        assert!(rig.pop().is_err(), "{what}");
    }
}

#[test]
fn an_indirect_table_of_no_descriptors_is_refused() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 0, (DATA, 0, INDIRECT, 0));
    rig.offer(0, 0);
    assert!(matches!(rig.pop(), Err(QueueError::Chain { queue: 0, head: 0 })));
}

#[test]
fn an_indirect_chain_longer_than_the_queue_is_refused() {
    for (count, fits) in [(SIZE, true), (SIZE + 1, false), (1000, false)] {
        let mut rig = Rig::new();
        rig.describe(TABLE, 0, (DATA, 16 * u32::from(count), INDIRECT, 0));
        for index in 0..count {
            let flags = if index + 1 < count { NEXT } else { 0 };
            rig.describe(DATA, index, (HIGH, 1, flags, index + 1));
        }
        rig.offer(0, 0);
        assert_eq!(rig.pop().is_ok(), fits, "{count} descriptors");
    }
}

#[test]
fn a_chain_of_four_gigabytes_is_refused() {
    let mut rig = Rig::new();
    // Each of the indirect table's eight names the same memory; together they have more than 32 bits can count.
    rig.describe(TABLE, 0, (DATA, 16 * 8, INDIRECT, 0));
    for index in 0..8 {
        let flags = if index < 7 { NEXT } else { 0 };
        rig.describe(DATA, index, (HIGH, (HIGH_END - HIGH) as u32, flags, index + 1));
    }
    rig.offer(0, 0);
    let chain = rig.pop().unwrap().unwrap();
    assert_eq!(chain.readable.length(), 8 * (HIGH_END - HIGH));

    rig.describe(DATA, 0, (HIGH, u32::MAX, NEXT, 1));
    rig.offer(1, 0);
    assert!(rig.pop().is_err());
}

#[test]
fn an_index_that_jumps_is_refused() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 0, (DATA, 1, 0, 0));
    rig.put(SIZE, AVAILABLE + 2);
    assert!(rig.pop().unwrap().is_some(), "as many as there are descriptors");
    for jump in [SIZE + 2, 0x8000, 0] {
        rig.put(jump, AVAILABLE + 2);
        assert!(matches!(rig.pop(), Err(QueueError::Rings { .. })), "to {jump}");
    }
}

#[test]
fn without_event_indices_flags_tell_who_wants_to_be_told() {
    let mut rig = Rig::new();
    rig.queue.ask_for_kicks(&rig.ram, false).unwrap();
    assert_eq!(rig.get::<u16>(USED), 1);
    assert!(!rig.queue.ask_for_kicks(&rig.ram, true).unwrap());
    assert_eq!(rig.get::<u16>(USED), 0);

    rig.describe(TABLE, 0, (DATA, 1, 0, 0));
    rig.offer(0, 0);
    assert!(rig.queue.ask_for_kicks(&rig.ram, true).unwrap(), "one came meanwhile");
    for (flags, wanted) in [(0_u16, true), (1, false), (0, true)] {
        rig.put(flags, AVAILABLE);
        assert_eq!(rig.queue.wants_interrupt(&rig.ram).unwrap(), wanted);
    }
}

#[test]
fn with_event_indices_the_driver_is_told_when_its_index_is_passed() {
    let mut rig = Rig::with(QueueState {
        event_idx_enabled: true,
        ..state()
    });
    rig.describe(TABLE, 0, (DATA, 1, 0, 0));
    let used_event = AVAILABLE + 4 + 2 * u64::from(SIZE);
    let avail_event = USED + 4 + 8 * u64::from(SIZE);
    rig.put(2_u16, used_event);
    // Flags mean nothing then.
    rig.put(1_u16, AVAILABLE);
    let mut told = Vec::new();
    for position in 0..4 {
        rig.offer(position, 0);
        let chain = rig.pop().unwrap().unwrap();
        rig.queue.complete(&rig.ram, &chain, 0).unwrap();
        told.push(rig.queue.wants_interrupt(&rig.ram).unwrap());
        assert!(!rig.queue.ask_for_kicks(&rig.ram, true).unwrap());
        assert_eq!(rig.get::<u16>(avail_event), position + 1);
    }
    assert_eq!(told, [false, false, true, false]);
}

#[test]
fn a_queue_goes_on_where_another_stopped() {
    let mut rig = Rig::new();
    rig.describe(TABLE, 0, (DATA, 1, 0, 0));
    rig.offer(0, 0);
    let chain = rig.pop().unwrap().unwrap();
    rig.queue.complete(&rig.ram, &chain, 0).unwrap();
    let (next_avail, next_used) = rig.queue.position();
    let mut later = queue(
        QueueState {
            next_avail,
            next_used,
            ..state()
        },
        &rig.ram,
    )
    .unwrap();
    assert!(later.pop(&rig.ram).unwrap().is_none());
    rig.offer(1, 0);
    let chain = later.pop(&rig.ram).unwrap().unwrap();
    later.complete(&rig.ram, &chain, 0).unwrap();
    assert_eq!(
        rig.ram.load::<u16>(GuestAddress(USED + 2), Ordering::SeqCst).unwrap(),
        2
    );
}

/// A descriptor that is likely to be nearly right.
fn descriptor() -> impl Strategy<Value = (u64, u32, u32, u16)> {
    let address = prop_oneof![
        4 => DATA..DATA + 0x800,
        1 => LOW_END - 0x200..LOW_END + 0x200,
        1 => HIGH_END - 0x200..HIGH_END,
        1 => any::<u64>(),
    ];
    let length = prop_oneof![
        4 => 0_u32..8,
        3 => (1_u32..12).prop_map(|count| count * 16),
        1 => any::<u32>(),
    ];
    let flags = prop_oneof![3 => Just(0), 6 => Just(NEXT), 3 => Just(WRITE), 3 => Just(NEXT | WRITE), 2 => Just(INDIRECT), 1 => 0_u32..8];
    let next = prop_oneof![9 => 0..SIZE, 1 => any::<u16>()];
    (address, length, flags, next)
}

/// What the specification makes of a chain: pieces with their direction, or nothing when a rule is broken.
fn walk(rig: &Rig, head: u16) -> Option<Vec<(u64, u32, bool)>> {
    let inside = |address: u64, length: u64| {
        let end = address.checked_add(length);
        length == 0 || end.is_some_and(|end| end <= LOW_END || address >= HIGH && end <= HIGH_END)
    };
    let (mut table, mut count, mut index, mut indirect) = (TABLE, u64::from(SIZE), head, false);
    let (mut pieces, mut total) = (Vec::new(), 0_u64);
    loop {
        let at = table.checked_add(16 * u64::from(index))?;
        if u64::from(index) >= count || !inside(at, 16) {
            return None;
        }
        let (address, length): (u64, u32) = (rig.get(at), rig.get(at + 8));
        let (flags, next): (u16, u16) = (rig.get(at + 12), rig.get(at + 14));
        let flags = u32::from(flags);
        if flags & INDIRECT != 0 {
            if indirect || length % 16 != 0 || length / 16 > u32::from(u16::MAX) {
                return None;
            }
            (table, count, index, indirect) = (address, u64::from(length / 16), 0, true);
            continue;
        }
        let writable = flags & WRITE != 0;
        let after_writable = pieces.last().is_some_and(|&(_, _, writable)| writable);
        total += u64::from(length);
        if !inside(address, length.into()) || !writable && after_writable || total > u64::from(u32::MAX) {
            return None;
        }
        pieces.push((address, length, writable));
        if pieces.len() > usize::from(SIZE) {
            return None;
        }
        if flags & NEXT == 0 {
            return Some(pieces);
        }
        index = next;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_tables_give_what_the_specification_says_or_an_error(
        table in prop::collection::vec(descriptor(), usize::from(SIZE)),
        indirect in prop::collection::vec(descriptor(), 12),
        heads in prop::collection::vec(prop_oneof![9 => 0..SIZE, 1 => any::<u16>()], 1..8),
        jump in prop_oneof![9 => Just(0_u16), 1 => any::<u16>()],
    ) {
        let mut rig = Rig::new();
        for (index, descriptor) in (0..).zip(table) {
            rig.describe(TABLE, index, descriptor);
        }
        for (index, descriptor) in (0..).zip(indirect) {
            rig.describe(DATA, index, descriptor);
        }
        for (position, head) in (0..).zip(&heads) {
            rig.offer(position, *head);
        }
        let published = (heads.len() as u16).wrapping_add(jump);
        rig.put(published, AVAILABLE + 2);
        if published > SIZE {
            prop_assert!(rig.pop().is_err());
            return Ok(());
        }
        for head in heads.iter().take(published.into()) {
            let expected = (*head < SIZE).then(|| walk(&rig, *head)).flatten();
            let popped = rig.pop();
            let Some(pieces) = expected else {
                prop_assert!(popped.is_err(), "{popped:?}");
                return Ok(());
            };
            let chain = popped.unwrap().unwrap();
            let sum = |writable| pieces.iter().filter(|piece| piece.2 == writable).map(|piece| u64::from(piece.1)).sum::<u64>();
            prop_assert_eq!(chain.readable.length(), sum(false));
            prop_assert_eq!(chain.writable.length(), sum(true));
            // All of it can be reached, and not a byte more.
            let mut bytes = vec![0; usize::try_from(chain.readable.length().min(4096)).unwrap()];
            prop_assert!(chain.readable.read(&rig.ram, 0, &mut bytes).is_ok());
            prop_assert!(chain.readable.read(&rig.ram, chain.readable.length(), &mut [0]).is_err());
            prop_assert!(chain.writable.write(&rig.ram, chain.writable.length(), &[0]).is_err());
            rig.queue.complete(&rig.ram, &chain, 0).unwrap();
        }
    }
}
