use std::{
    io::Write as _,
    sync::{Arc, atomic::Ordering},
};

use caraway_storage::{BlockBackend, RawFile, SECTOR};
use tempfile::NamedTempFile;
use vm_memory::{Bytes as _, GuestAddress};

use super::slow_disk::{Slow, slow};
use crate::{
    Block, BlockError, EVENT_IDX, VERSION_1, VirtioDevice,
    test_support::{Bench, DATA, HIGH, HIGH_END, LOW_END, Mode, Part, Ring, status},
};

pub(super) const IN: u32 = 0;
pub(super) const OUT: u32 = 1;
const FLUSH: u32 = 4;
pub(super) const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

pub(super) const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

pub(super) const ALL: u64 = u64::MAX;
const F_FLUSH: u64 = 1 << 9;

/// Sectors of the disks here.
pub(super) const SECTORS: u64 = 4096;

/// Where a request's header and status are; the data is in the high memory.
const HEADER: u64 = DATA;
const STATUS: u64 = DATA + 0x8000;

/// A disk whose sectors all differ.
fn image() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..SECTORS * SECTOR).map(pattern).collect();
    file.write_all(&bytes).unwrap();
    file
}

pub(super) fn pattern(at: u64) -> u8 {
    (at / SECTOR * 7 + at % 251) as u8
}

fn open(file: &NamedTempFile, read_only: bool) -> Arc<dyn BlockBackend> {
    Arc::new(RawFile::open(file.path(), read_only).unwrap())
}

pub(super) fn block(backend: Arc<dyn BlockBackend>) -> Box<dyn VirtioDevice> {
    Box::new(Block::new(backend, "serial-0123", 7).unwrap())
}

fn bench(file: &NamedTempFile) -> Bench {
    Bench::new(block(open(file, false)))
}

pub(super) fn header(kind: u32, sector: u64) -> Vec<u8> {
    let mut bytes = Vec::from(kind.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(sector.to_le_bytes());
    bytes
}

pub(super) fn segment(sector: u64, count: u32, flags: u32) -> Vec<u8> {
    let mut bytes = Vec::from(sector.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Done {
    status: u8,
    /// Length in the used ring.
    length: u32,
}

pub(super) fn done(status: u8, length: u32) -> Done {
    Done { status, length }
}

impl Ring<'_> {
    pub(super) fn write_memory(&self, address: u64, bytes: &[u8]) {
        self.bench().ram.write_slice(bytes, GuestAddress(address)).unwrap();
    }

    pub(super) fn memory(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bench().ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
        bytes
    }

    /// Puts a request with these data parts into the ring.
    pub(super) fn submit(&mut self, kind: u32, sector: u64, data: &[Part]) -> u16 {
        // Each has a header and a status of its own.
        let slot = u64::from(self.next_available) % 64;
        self.write_memory(HEADER + 16 * slot, &header(kind, sector));
        self.write_memory(STATUS + slot, &[0xee]);
        let mut parts = vec![(HEADER + 16 * slot, 16, false)];
        parts.extend(data);
        parts.push((STATUS + slot, 1, true));
        self.add(&parts)
    }

    /// Submits, kicks, waits.
    pub(super) fn request(&mut self, kind: u32, sector: u64, data: &[Part]) -> Done {
        let slot = u64::from(self.next_available) % 64;
        let head = self.submit(kind, sector, data);
        self.kick();
        let (used, length) = self.wait();
        assert_eq!(used, u32::from(head));
        let status = self.memory(STATUS + slot, 1)[0];
        Done { status, length }
    }

    pub(super) fn read_sectors(&mut self, sector: u64, count: u32) -> Vec<u8> {
        let length = count * SECTOR as u32;
        assert_eq!(self.request(IN, sector, &[(HIGH, length, true)]), done(OK, length + 1));
        self.memory(HIGH, length as usize)
    }

    fn write_sectors(&mut self, sector: u64, bytes: &[u8]) -> Done {
        self.write_memory(HIGH, bytes);
        self.request(OUT, sector, &[(HIGH, bytes.len() as u32, false)])
    }

    /// Discard and write zeroes.
    fn ranges(&mut self, kind: u32, segments: &[u8]) -> Done {
        self.write_memory(HIGH, segments);
        self.request(kind, 0, &[(HIGH, segments.len() as u32, false)])
    }
}

pub(super) fn start(bench: &Bench, features: u64, mode: Mode) -> Ring<'_> {
    bench.start(features, mode, 64).remove(0)
}

#[test]
fn the_configuration_describes_the_disk() {
    let file = image();
    let bench = bench(&file);
    assert_eq!(bench.config(2, 2), 0x1042);
    assert_eq!(bench.config(8, 4) >> 8, 0x01_0000);
    let at = bench.place(4).0;
    let (low, high) = (bench.read(at, 4), bench.read(at + 4, 4));
    assert_eq!((low | high << 32, bench.read(at, 8)), (SECTORS, SECTORS));
    assert_eq!(bench.read(at + 12, 4), 254, "seg_max");
    assert_eq!(bench.read(at + 20, 4), 512, "blk_size");
    for (offset, what) in [
        (36, "max_discard_sectors"),
        (40, "max_discard_seg"),
        (44, "discard_sector_alignment"),
    ] {
        assert!(bench.read(at + offset, 4) > 0, "{what}");
    }
    assert_eq!(bench.read(at + 56, 1), 1, "write_zeroes_may_unmap");
    assert_eq!(bench.read(at + 60, 4), 0);
    let offered = bench.device_features();
    for bit in [2, 6, 9, 13, 14, 28, 29, 32] {
        assert_ne!(offered & 1 << bit, 0, "feature {bit}");
    }
    assert_eq!(offered & 1 << 5, 0, "not read-only");
}

#[test]
fn what_is_written_is_read_back_and_is_in_the_file() {
    for mode in [Mode::Messages, Mode::Line] {
        for features in [ALL, ALL & !EVENT_IDX] {
            let file = image();
            let bench = bench(&file);
            let mut ring = start(&bench, features, mode);
            let before = ring.read_sectors(10, 3);
            assert_eq!(before, (10 * SECTOR..13 * SECTOR).map(pattern).collect::<Vec<_>>());
            assert_eq!(ring.write_sectors(11, &[0xab; 512]), done(OK, 1));
            assert_eq!(ring.request(FLUSH, 0, &[]), done(OK, 1));
            let mut expected = before;
            expected[512..1024].fill(0xab);
            assert_eq!(ring.read_sectors(10, 3), expected);
            let stored = std::fs::read(file.path()).unwrap();
            assert_eq!(stored[10 * 512..13 * 512], expected);
            assert_eq!(stored.len() as u64, SECTORS * SECTOR);
        }
    }
}

#[test]
fn data_may_be_in_any_pieces() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Messages);
    let parts = [
        (HIGH, 1, true),
        (HIGH + 100, 1000, true),
        (LOW_END - 23, 23, true),
        (HIGH + 4096, 0, true),
    ];
    assert_eq!(ring.request(IN, 3, &parts), done(OK, 1025));
    let read = [
        ring.memory(HIGH, 1),
        ring.memory(HIGH + 100, 1000),
        ring.memory(LOW_END - 23, 23),
    ]
    .concat();
    assert_eq!(read, (3 * SECTOR..5 * SECTOR).map(pattern).collect::<Vec<_>>());

    // Header and data in one buffer, data and status in another: no framing is implied.
    let mut all = header(OUT, 20);
    all.extend([0x11; 512]);
    ring.write_memory(HIGH, &all);
    ring.add(&[(HIGH, 7, false), (HIGH + 7, 521, false), (STATUS, 1, true)]);
    ring.kick();
    assert_eq!(ring.wait().1, 1);
    ring.write_memory(HIGH, &header(IN, 20));
    ring.add_indirect(&[(HIGH, 16, false), (HIGH + 1000, 513, true)]);
    ring.kick();
    assert_eq!(ring.wait().1, 513);
    let mut expected = vec![0x11; 512];
    expected.push(OK);
    assert_eq!(ring.memory(HIGH + 1000, 513), expected);
}

#[test]
fn the_whole_disk_fits_one_request() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Line);
    let bytes = ring.read_sectors(0, SECTORS as u32);
    assert!(bytes.iter().zip(0..).all(|(byte, at)| *byte == pattern(at)));
    let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    assert_eq!(ring.write_sectors(0, &inverted), done(OK, 1));
    assert_eq!(std::fs::read(file.path()).unwrap(), inverted);
}

#[test]
fn many_requests_at_once_are_all_done_in_order() {
    let file = image();
    let bench = bench(&file);
    for features in [ALL, VERSION_1] {
        let mut ring = start(&bench, features, Mode::Messages);
        for round in 0..200_u64 {
            let heads: Vec<_> = (0..16)
                .map(|n| ring.submit(IN, (round * 16 + n) % SECTORS, &[(HIGH + 512 * n, 512, true)]))
                .collect();
            ring.kick();
            for head in heads {
                assert_eq!(ring.wait(), (head.into(), 513));
            }
            let expected: Vec<_> = (0..16 * SECTOR)
                .map(|at| pattern((round * 16 * SECTOR + at) % (SECTORS * SECTOR)))
                .collect();
            assert_eq!(ring.memory(HIGH, 16 * 512), expected);
        }
    }
}

#[test]
fn the_id_is_what_was_given() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Messages);
    assert_eq!(ring.request(GET_ID, 0, &[(HIGH, 20, true)]), done(OK, 21));
    assert_eq!(ring.memory(HIGH, 20), b"serial-0123\0\0\0\0\0\0\0\0\0");
    ring.write_memory(HIGH, &[0x77; 64]);
    assert_eq!(ring.request(GET_ID, 0, &[(HIGH, 64, true)]), done(OK, 20));
    assert_eq!(ring.memory(HIGH + 20, 44), [0x77; 44]);
    assert_eq!(ring.request(GET_ID, 0, &[(HIGH, 3, true)]), done(OK, 4));

    let backend: Arc<dyn BlockBackend> = Arc::new(Slow::new());
    assert!(matches!(
        Block::new(Arc::clone(&backend), &"x".repeat(21), 0),
        Err(BlockError::Id { .. })
    ));
    assert!(matches!(
        Block::new(Arc::clone(&backend), "größe", 0),
        Err(BlockError::Id { .. })
    ));
    assert!(Block::new(backend, &"x".repeat(20), 0).is_ok());
}

#[test]
fn discarded_and_zeroed_ranges_read_as_zeroes() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Messages);
    let two = [segment(8, 2, 0), segment(100, 1, 0)].concat();
    assert_eq!(ring.ranges(DISCARD, &two), done(OK, 1));
    for (unmap, sector) in [(0, 200), (1, 300)] {
        assert_eq!(ring.ranges(WRITE_ZEROES, &segment(sector, 4, unmap)), done(OK, 1));
        assert_eq!(ring.read_sectors(sector, 4), [0; 2048]);
        assert_eq!(ring.read_sectors(sector + 4, 1)[0], pattern((sector + 4) * SECTOR));
        assert_eq!(ring.read_sectors(sector - 1, 1)[0], pattern((sector - 1) * SECTOR));
    }
    assert_eq!(ring.read_sectors(8, 2), [0; 1024]);
    assert_eq!(ring.read_sectors(100, 1), [0; 512]);
    assert_eq!(ring.read_sectors(10, 1)[0], pattern(10 * SECTOR));
    // The whole disk in one segment.
    assert_eq!(ring.ranges(WRITE_ZEROES, &segment(0, SECTORS as u32, 0)), done(OK, 1));
    assert_eq!(
        std::fs::read(file.path()).unwrap(),
        vec![0; (SECTORS * SECTOR) as usize]
    );
}

#[test]
fn ranges_that_cannot_be_change_nothing() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Messages);
    let before = std::fs::read(file.path()).unwrap();
    for kind in [DISCARD, WRITE_ZEROES] {
        for (what, segments, status) in [
            ("nothing", vec![], IO_ERROR),
            ("half a segment", vec![0; 24], IO_ERROR),
            ("too many", segment(0, 1, 0).repeat(17), IO_ERROR),
            ("past the end", segment(SECTORS - 1, 2, 0), IO_ERROR),
            ("at the end of the numbers", segment(u64::MAX, 1, 0), IO_ERROR),
            ("too large", segment(0, u32::MAX, 0), IO_ERROR),
            ("flags from the future", segment(0, 1, 2), UNSUPPORTED),
            (
                "good, then bad",
                [segment(0, 1, 0), segment(SECTORS, 1, 0)].concat(),
                IO_ERROR,
            ),
        ] {
            assert_eq!(ring.ranges(kind, &segments), done(status, 1), "{what}");
        }
    }
    assert_eq!(
        ring.ranges(DISCARD, &segment(0, 1, 1)),
        done(UNSUPPORTED, 1),
        "unmap is for zeroes"
    );
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
    assert_eq!(ring.ranges(DISCARD, &segment(0, 0, 0)), done(OK, 1));
    assert_eq!(ring.ranges(DISCARD, &segment(0, 1, 0).repeat(16)), done(OK, 1));
}

#[test]
fn requests_past_the_end_and_of_odd_sizes_are_errors_and_change_nothing() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, ALL, Mode::Messages);
    let before = std::fs::read(file.path()).unwrap();
    ring.write_memory(HIGH, &[0x55; 4096]);
    for (sector, length) in [
        (SECTORS, 512),
        (SECTORS - 1, 1024),
        (SECTORS - 1, 4096),
        (u64::MAX, 512),
        (u64::MAX / SECTOR, 512),
        (u64::MAX / SECTOR + 1, 512),
        (1 << 55, 512),
        (0, 511),
        (0, 513),
        (5, 1),
    ] {
        assert_eq!(ring.request(OUT, sector, &[(HIGH, length, false)]), done(IO_ERROR, 1));
        assert_eq!(ring.request(IN, sector, &[(HIGH, length, true)]), done(IO_ERROR, 0));
    }
    assert_eq!(ring.memory(HIGH, 4096), [0x55; 4096]);
    assert_eq!(std::fs::read(file.path()).unwrap(), before);
    assert_eq!(ring.request(OUT, SECTORS - 1, &[(HIGH, 512, false)]), done(OK, 1));
    assert_eq!(ring.request(OUT, SECTORS, &[]), done(OK, 1), "nothing, at the end");
    assert_eq!(bench.status(), status::WORKING);
}

#[test]
fn a_read_only_disk_says_so_and_stays_as_it_is() {
    let file = image();
    let bench = Bench::new(block(open(&file, true)));
    assert_ne!(bench.device_features() & 1 << 5, 0);
    assert_eq!(bench.device_features() & (1 << 13 | 1 << 14), 0);
    for features in [ALL, VERSION_1] {
        let mut ring = start(&bench, features, Mode::Line);
        assert_eq!(ring.write_sectors(0, &[1; 512]), done(IO_ERROR, 1));
        assert_eq!(ring.ranges(DISCARD, &segment(0, 1, 0)), done(UNSUPPORTED, 1));
        assert_eq!(ring.ranges(WRITE_ZEROES, &segment(0, 1, 0)), done(UNSUPPORTED, 1));
        assert_eq!(ring.request(FLUSH, 0, &[]), done(OK, 1));
        assert_eq!(ring.read_sectors(1, 1)[1], pattern(513));
    }
}

#[test]
fn unknown_and_unnegotiated_requests_are_unsupported() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, VERSION_1, Mode::Messages);
    for kind in [2, 3, 5, 14, 0x8000_0000, u32::MAX, DISCARD, WRITE_ZEROES] {
        assert_eq!(ring.ranges(kind, &segment(0, 1, 0)), done(UNSUPPORTED, 1), "{kind}");
    }
}

#[test]
fn a_chain_without_room_for_header_or_status_needs_a_reset() {
    let file = image();
    let bench = bench(&file);
    for (mode, parts) in [
        (Mode::Messages, vec![(HEADER, 16, false)]),
        (Mode::Line, vec![(HEADER, 15, false), (STATUS, 1, true)]),
        (Mode::Messages, vec![(STATUS, 1, true)]),
        (Mode::Line, vec![(HEADER, 16, false), (STATUS, 0, true)]),
        (
            Mode::Messages,
            vec![(HEADER, 16, false), (HIGH_END, 512, true), (STATUS, 1, true)],
        ),
    ] {
        let mut ring = start(&bench, ALL, mode);
        ring.write_memory(HEADER, &header(IN, 0));
        ring.add(&parts);
        ring.kick();
        match mode {
            Mode::Messages => bench.wait_message(0),
            Mode::Line => assert_eq!(bench.wait_line() & 2, 2),
        }
        assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
        assert_eq!(ring.used_index(), 0);
        // Deaf until it is reset.
        ring.submit(FLUSH, 0, &[]);
        ring.kick();
        let mut ring = start(&bench, ALL, mode);
        assert_eq!(ring.read_sectors(0, 1)[0], pattern(0));
    }
}

#[test]
fn an_available_index_that_jumps_needs_a_reset() {
    let file = image();
    let bench = bench(&file);
    let ring = start(&bench, ALL, Mode::Messages);
    ring.publish(65);
    ring.kick();
    bench.wait_message(0);
    assert_eq!(bench.status(), status::WORKING | status::NEEDS_RESET);
    assert_eq!(
        start(&bench, ALL, Mode::Messages).read_sectors(7, 1)[0],
        pattern(7 * SECTOR)
    );
}

#[test]
fn a_driver_may_have_interrupts_and_kicks_held_back() {
    let file = image();
    let bench = bench(&file);
    let mut ring = start(&bench, VERSION_1, Mode::Messages);
    ring.read_sectors(0, 1);
    ring.set_available_flags(1);
    bench.take_message(1);
    ring.submit(FLUSH, 0, &[]);
    ring.kick();
    bench.wait_for(|| ring.used_index() == 2, "the request is done");
    // The device asks for kicks again only when it is about to wait: then nothing of that request is to come.
    bench.wait_for(|| ring.used_flags() == 0, "kicks are wanted again");
    assert_eq!(bench.take_message(1), 0);
    bench.reset_device();
}

#[test]
fn a_driver_that_cannot_flush_has_every_write_kept() {
    let (backend, bench) = slow();
    for (features, each) in [(ALL & !F_FLUSH, 1), (ALL, 0)] {
        backend.flushes.store(0, Ordering::SeqCst);
        let mut ring = start(&bench, features, Mode::Messages);
        assert_eq!(ring.write_sectors(1, &[1; 512]), done(OK, 1));
        assert_eq!(backend.flushes.load(Ordering::SeqCst), each);
        assert_eq!(ring.ranges(WRITE_ZEROES, &segment(1, 1, 0)), done(OK, 1));
        assert_eq!(backend.flushes.load(Ordering::SeqCst), 2 * each);
        assert_eq!(ring.request(FLUSH, 0, &[]), done(OK, 1));
        assert_eq!(backend.flushes.load(Ordering::SeqCst), 2 * each + 1);
    }
}

#[test]
fn errors_of_the_host_reach_the_driver_and_nothing_breaks() {
    let backend = Arc::new(Slow::failing());
    let bench = Bench::new(block(backend));
    assert_eq!(bench.device_features() & 1 << 13, 0, "no discard");
    let mut ring = start(&bench, ALL, Mode::Line);
    assert_eq!(ring.request(IN, 0, &[(HIGH, 512, true)]), done(IO_ERROR, 0));
    assert_eq!(ring.write_sectors(0, &[1; 512]), done(IO_ERROR, 1));
    assert_eq!(ring.request(FLUSH, 0, &[]), done(IO_ERROR, 1));
    assert_eq!(ring.ranges(WRITE_ZEROES, &segment(0, 1, 0)), done(IO_ERROR, 1));
    assert_eq!(bench.status(), status::WORKING);
}
