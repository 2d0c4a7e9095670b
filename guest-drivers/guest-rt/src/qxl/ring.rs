//! The rings of the RAM header: free-running indices, and marks at which the other side wants to hear.

use core::sync::atomic::{Ordering, fence};

use super::memory::CommandMemory;
use crate::bar::Bar;

const PROD: usize = 0x04;
const NOTIFY_ON_PROD: usize = 0x08;
const CONS: usize = 0x0c;
const NOTIFY_ON_CONS: usize = 0x10;
const ITEMS: usize = 0x14;

const COMMAND_ITEMS: u32 = 32;
const COMMAND_ITEM_SIZE: usize = 16;
const RELEASE_ITEMS: u32 = 8;
const RELEASE_ITEM_SIZE: usize = 8;

/// A ring the guest fills: commands or cursor commands.
#[derive(Debug)]
pub(super) struct CommandRing {
    at: usize,
}

impl CommandRing {
    pub(super) fn new(at: usize) -> Self {
        Self { at }
    }

    fn full(&self, ram: &Bar) -> bool {
        ram.read32(self.at + PROD).wrapping_sub(ram.read32(self.at + CONS)) >= COMMAND_ITEMS
    }

    /// Adds a command and says whether the device must be notified. When the ring is full, asks for an interrupt at
    /// the next command taken and returns nothing.
    pub(super) fn push(&mut self, ram: &Bar, address: u64, kind: u32) -> Option<bool> {
        if self.full(ram) {
            let next = ram.read32(self.at + CONS).wrapping_add(1);
            ram.write32(self.at + NOTIFY_ON_CONS, next);
            fence(Ordering::SeqCst);
            if self.full(ram) {
                return None;
            }
        }
        let prod = ram.read32(self.at + PROD);
        let item = self.at + ITEMS + (prod % COMMAND_ITEMS) as usize * COMMAND_ITEM_SIZE;
        ram.write64(item, address);
        ram.write32(item + 8, kind);
        ram.write32(item + 12, 0);
        fence(Ordering::SeqCst);
        let prod = prod.wrapping_add(1);
        ram.write32(self.at + PROD, prod);
        fence(Ordering::SeqCst);
        Some(prod == ram.read32(self.at + NOTIFY_ON_PROD))
    }
}

/// The ring in which the device gives commands back.
#[derive(Debug)]
pub(super) struct ReleaseRing {
    at: usize,
}

impl ReleaseRing {
    pub(super) fn new(at: usize) -> Self {
        Self { at }
    }

    fn next(&self, ram: &Bar) -> Option<u64> {
        let cons = ram.read32(self.at + CONS);
        if cons == ram.read32(self.at + PROD) {
            return None;
        }
        fence(Ordering::SeqCst);
        let id = ram.read64(self.at + ITEMS + (cons % RELEASE_ITEMS) as usize * RELEASE_ITEM_SIZE);
        fence(Ordering::SeqCst);
        ram.write32(self.at + CONS, cons.wrapping_add(1));
        Some(id)
    }

    /// Frees every chain in the ring and asks for an interrupt at the next one. Says whether anything was freed.
    pub(super) fn collect(&mut self, ram: &Bar, memory: &mut CommandMemory) -> bool {
        let mut freed = false;
        // A second round after arming: what arrived in between is announced by nobody.
        for _ in 0..2 {
            for _ in 0..RELEASE_ITEMS {
                let Some(first) = self.next(ram) else { break };
                let mut id = first;
                // An id the memory does not know ends the chain; so does 0, its regular end.
                while let Some(at) = memory.lookup(id) {
                    let next = ram.read64(at);
                    memory.release(id);
                    freed = true;
                    id = next;
                }
            }
            let mark = ram.read32(self.at + CONS).wrapping_add(1);
            ram.write32(self.at + NOTIFY_ON_PROD, mark);
            fence(Ordering::SeqCst);
        }
        freed
    }
}
