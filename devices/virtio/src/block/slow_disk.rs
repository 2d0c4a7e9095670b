//! A disk that answers when the test lets it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use caraway_storage::{BlockBackend, SECTOR};

use super::block_tests::{SECTORS, block, pattern};
use crate::test_support::{Bench, LIMIT};

/// A backend that keeps its bytes in memory, counts, fails on demand, and waits to be let go.
#[derive(Debug)]
pub(super) struct Slow {
    pub(super) bytes: Mutex<Vec<u8>>,
    gate: Mutex<Gate>,
    changed: Condvar,
    pub(super) flushes: AtomicUsize,
    pub(super) writes: AtomicUsize,
    fails: bool,
}

#[derive(Debug, Default)]
struct Gate {
    closed: bool,
    waiting: usize,
}

impl Slow {
    pub(super) fn new() -> Self {
        Self {
            bytes: Mutex::new((0..SECTORS * SECTOR).map(pattern).collect()),
            gate: Mutex::default(),
            changed: Condvar::new(),
            flushes: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            fails: false,
        }
    }

    /// A disk on which everything fails.
    pub(super) fn failing() -> Self {
        Self {
            fails: true,
            ..Self::new()
        }
    }

    pub(super) fn close(&self, closed: bool) {
        self.gate.lock().unwrap().closed = closed;
        self.changed.notify_all();
    }

    /// Until a request is inside.
    pub(super) fn wait_inside(&self) {
        let gate = self.gate.lock().unwrap();
        let (_gate, late) = self
            .changed
            .wait_timeout_while(gate, LIMIT, |gate| gate.waiting == 0)
            .unwrap();
        assert!(!late.timed_out(), "a request comes");
    }

    fn pass(&self) -> io::Result<()> {
        let mut gate = self.gate.lock().unwrap();
        gate.waiting += 1;
        self.changed.notify_all();
        let mut gate = self.changed.wait_while(gate, |gate| gate.closed).unwrap();
        gate.waiting -= 1;
        if self.fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl BlockBackend for Slow {
    fn size(&self) -> u64 {
        SECTORS * SECTOR
    }

    fn read_only(&self) -> bool {
        false
    }

    fn can_discard(&self) -> bool {
        false
    }

    fn read_at(&self, offset: u64, buffers: &mut [IoSliceMut<'_>]) -> io::Result<()> {
        self.pass()?;
        let (bytes, mut at) = (self.bytes.lock().unwrap(), offset as usize);
        for buffer in buffers {
            let count = buffer.len();
            buffer.copy_from_slice(&bytes[at..at + count]);
            at += count;
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, buffers: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.pass()?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        let (mut bytes, mut at) = (self.bytes.lock().unwrap(), offset as usize);
        for buffer in buffers {
            bytes[at..at + buffer.len()].copy_from_slice(buffer);
            at += buffer.len();
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.pass()?;
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn discard(&self, _offset: u64, _length: u64) -> io::Result<()> {
        self.pass()
    }

    fn write_zeroes(&self, offset: u64, length: u64, _unmap: bool) -> io::Result<()> {
        self.write_at(offset, &mut [IoSlice::new(&vec![0; length as usize])])
    }
}

/// A machine with such a disk.
pub(super) fn slow() -> (Arc<Slow>, Bench) {
    let backend = Arc::new(Slow::new());
    let bench = Bench::new(block(backend.clone()));
    (backend, bench)
}
