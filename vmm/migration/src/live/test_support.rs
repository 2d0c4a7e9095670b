//! A machine that is nothing but memory, and two sides joined by a relay that can spoil what goes over it.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use caraway_base::{
    memory::{MemoryFile, SharedMemory},
    state::Record,
};

use super::*;
use crate::Fact;

pub(super) const PAGE: u64 = 4096;
pub(super) const PAGES: u64 = 300;

/// What became of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Runs,
    Held,
    Stays,
    Gone,
}

/// Called with the number of the round when its log is taken: the guest at work.
type Guest = Box<dyn FnMut(u64, &[SharedMemory]) + Send>;

pub(super) struct Fake {
    pub(super) memories: Vec<SharedMemory>,
    pub(super) fate: Arc<Mutex<Fate>>,
    pub(super) logging: AtomicBool,
    pub(super) paused: bool,
    guest: Mutex<(u64, Guest)>,
}

pub(super) fn memories() -> Vec<SharedMemory> {
    ["ram-0", "display-0-ram"]
        .map(|name| SharedMemory::allocate(name, PAGES * PAGE).unwrap())
        .to_vec()
}

pub(super) fn files(memories: &[SharedMemory]) -> Vec<MemoryFile> {
    let names = ["ram-0", "display-0-ram"];
    let pairs = memories.iter().zip(names);
    pairs
        .map(|(memory, name)| MemoryFile::of(name, memory.region()).unwrap())
        .collect()
}

pub(super) fn facts() -> Vec<Fact> {
    vec![Fact::new("cpus", "2"), Fact::new("memory", "1228800 bytes")]
}

pub(super) fn hello() -> Hello {
    Hello {
        program: "caraway test".to_owned(),
        machine: facts(),
        memories: files(&memories())
            .iter()
            .map(|file| (file.name().to_owned(), file.size()))
            .collect(),
        cpu: vec![[1, 0, 0, 1, 2, 3, 4]],
    }
}

pub(super) fn records() -> Vec<Record> {
    vec![Record {
        kind: "uart".into(),
        instance: "0".into(),
        version: 3,
        payload: vec![1, 2, 3],
    }]
}

impl Fake {
    /// A machine with something in its memory; `guest` is called between rounds.
    pub(super) fn new(guest: impl FnMut(u64, &[SharedMemory]) + Send + 'static) -> Self {
        let memories = memories();
        for page in [0, 1, 2, 7, 70, 200, PAGES - 1] {
            memories[0].write(page * PAGE + 5, &[page as u8 + 1; 9]).unwrap();
        }
        memories[1].write(3 * PAGE, &[0x33; 4096]).unwrap();
        Self {
            memories,
            fate: Arc::new(Mutex::new(Fate::Runs)),
            logging: AtomicBool::new(false),
            paused: false,
            guest: Mutex::new((0, Box::new(guest))),
        }
    }

    pub(super) fn idle() -> Self {
        Self::new(|_, _| ())
    }

    pub(super) fn fate(&self) -> Fate {
        *self.fate.lock().unwrap()
    }
}

impl LiveMachine for Fake {
    type Held = FakeHeld;

    fn start_log(&self) -> Result<(), LiveError> {
        self.logging.store(true, Ordering::SeqCst);
        self.memories.iter().for_each(|memory| memory.region().bitmap().reset());
        Ok(())
    }

    fn take_log(&self) -> Result<Vec<Vec<u64>>, LiveError> {
        let mut guest = self.guest.lock().unwrap();
        guest.0 += 1;
        let round = guest.0;
        if self.fate() == Fate::Runs {
            (guest.1)(round, &self.memories);
        }
        let bitmaps = self.memories.iter().map(|memory| memory.region().bitmap());
        Ok(bitmaps.map(|bitmap| bitmap.get_and_reset()).collect())
    }

    fn stop_log(&self) {
        self.logging.store(false, Ordering::SeqCst);
    }

    fn hold(&self) -> Result<FakeHeld, LiveError> {
        *self.fate.lock().unwrap() = Fate::Held;
        Ok(FakeHeld {
            fate: Arc::clone(&self.fate),
            since: Instant::now(),
            paused: self.paused,
            otherwise: Fate::Runs,
        })
    }
}

pub(super) struct FakeHeld {
    fate: Arc<Mutex<Fate>>,
    since: Instant,
    paused: bool,
    otherwise: Fate,
}

impl Held for FakeHeld {
    fn take_records(&mut self) -> Vec<Record> {
        records()
    }

    fn was_paused(&self) -> bool {
        self.paused
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn hand_over(&mut self) -> Vec<Extra> {
        self.otherwise = Fate::Stays;
        vec![(1, -2, 3)]
    }

    fn end(mut self, onward: Onward) {
        self.otherwise = match onward {
            Onward::GoOn => Fate::Runs,
            Onward::Stay => Fate::Stays,
            Onward::Gone => Fate::Gone,
        };
    }
}

impl Drop for FakeHeld {
    fn drop(&mut self) {
        *self.fate.lock().unwrap() = self.otherwise;
    }
}

/// How a move ended at the source, and what came to the destination.
pub(super) struct Moved {
    pub(super) outcome: Outcome,
    pub(super) fate: Fate,
    /// Records and extras when the destination runs the machine, else why not.
    pub(super) arrived: Result<(Vec<Record>, Vec<Extra>), LiveError>,
    pub(super) memories: Vec<SharedMemory>,
}

impl Moved {
    /// Checks that one of the two has the machine, and that it can run there; whether it is the destination.
    pub(super) fn exactly_one(&self) -> bool {
        match (&self.outcome, self.fate, self.arrived.is_ok()) {
            (Outcome::Moved, Fate::Gone, true) | (Outcome::Unknown(_), Fate::Stays, true) => true,
            (Outcome::Kept(_), Fate::Runs, false) | (Outcome::Unknown(_), Fate::Stays, false) => false,
            other => panic!("{other:?}; the destination: {:?}", self.arrived),
        }
    }
}

/// The destination's part over a link.
pub(super) fn destination(
    link: Link,
    facts: &[Fact],
    memories: &[SharedMemory],
) -> Result<(Vec<Record>, Vec<Extra>), LiveError> {
    let files = files(memories);
    let expected = Expected {
        machine: facts,
        memories: &files,
        check_cpu: &|leaves| {
            assert_eq!(leaves, hello().cpu);
            Ok(())
        },
    };
    let mut arrived = receive(link, &expected)?;
    let records = arrived.take_records().into_inner();
    assert!(!arrived.is_paused());
    Ok((records, arrived.ready()?))
}

pub(super) fn link(stream: UnixStream) -> Link {
    Link::new(Stream::Unix(stream), || false)
        .unwrap()
        .with_patience(Duration::from_secs(3))
}

/// What a relay does to bytes at a place of the stream; false ends the connection there.
pub(super) type Spoil = Box<dyn FnMut(u64, &mut Vec<u8>) -> bool + Send>;

pub(super) fn untouched() -> Spoil {
    Box::new(|_, _| true)
}

/// Ends the connection behind so many bytes.
pub(super) fn cut_at(most: u64) -> Spoil {
    Box::new(move |at, bytes| {
        let left = usize::try_from(most.saturating_sub(at)).unwrap();
        let whole = bytes.len() <= left;
        bytes.truncate(left);
        whole
    })
}

/// Moves a machine through a relay that spoils each direction.
pub(super) fn move_through(machine: &Fake, forth: Spoil, back: Spoil) -> Moved {
    let (source, near) = UnixStream::pair().unwrap();
    let (far, target) = UnixStream::pair().unwrap();
    let ways = [
        (near.try_clone().unwrap(), far.try_clone().unwrap(), forth),
        (far, near, back),
    ];
    let ways = ways.map(|(from, to, spoil)| thread::spawn(move || relay(from, to, spoil)));
    let control = Arc::new(Control::default());
    assert!(control.begin());
    let memories = memories();
    let there = memories.clone();
    let other = thread::spawn(move || destination(link(target), &facts(), &there));
    let outcome = send(link(source), machine, &hello(), &files(&machine.memories), &control);
    let arrived = other.join().unwrap();
    for way in ways {
        way.join().unwrap();
    }
    assert!(!machine.logging.load(Ordering::SeqCst), "the log is still kept");
    Moved {
        outcome,
        fate: machine.fate(),
        arrived,
        memories,
    }
}

fn relay(mut from: UnixStream, mut to: UnixStream, mut spoil: Spoil) {
    let mut at = 0;
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut bytes = buffer[..count].to_vec();
        let goes_on = spoil(at, &mut bytes);
        at += count as u64;
        if to.write_all(&bytes).is_err() || !goes_on {
            if !goes_on {
                // A cut is one in both directions.
                from.shutdown(Shutdown::Both).ok();
                to.shutdown(Shutdown::Both).ok();
            }
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}

/// Moves an idle machine and keeps what went forth and back.
pub(super) fn recorded() -> (Vec<u8>, Vec<u8>) {
    let keep = || {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mine = Arc::clone(&kept);
        let spoil: Spoil = Box::new(move |_, bytes| {
            kept.lock().unwrap().extend_from_slice(bytes);
            true
        });
        (mine, spoil)
    };
    let ((forth, keep_forth), (back, keep_back)) = (keep(), keep());
    let moved = move_through(&Fake::idle(), keep_forth, keep_back);
    assert!(moved.exactly_one());
    let take = |kept: &Mutex<Vec<u8>>| std::mem::take(&mut *kept.lock().unwrap());
    (take(&forth), take(&back))
}

/// Where the preamble and each record of a stream end, and what the records are.
pub(super) fn boundaries(stream: &[u8]) -> Vec<u64> {
    let mut ends = vec![0, record::PREAMBLE as u64];
    let mut at = record::PREAMBLE;
    while let Some(length) = stream.get(at + 4..at + 8) {
        at += record::HEADER + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        ends.push(at as u64);
    }
    assert_eq!(ends.last(), Some(&(stream.len() as u64)));
    ends
}
