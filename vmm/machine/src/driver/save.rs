//! Saving the machine: all records and all memories, while everything is held still.

use std::{error::Error, time::Instant};

use caraway_base::{
    errors::chain,
    memory::{GuestRam, MemoryFile, SharedMemory},
    state::{Record, Records, StateError},
};
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _};

use super::{CommandError, Event, RunState, state::Driver};
use crate::kvm::saved::SavedVm;

/// A machine that is held still.
#[derive(Debug)]
pub struct Saved {
    /// The records of all devices, the interrupt controllers and the vCPUs.
    pub records: Vec<Record>,
    /// Guest RAM and the memories of devices.
    pub memories: Vec<MemoryFile>,
    /// When the guest began to stand still.
    pub since: Instant,
    /// Whether it ran until then.
    pub was_running: bool,
}

/// Writes the state, or is told why there is none; what it returns is called when the machine goes on.
pub(crate) type SaveJob = Box<dyn FnOnce(Result<Saved, CommandError>) -> Box<dyn FnOnce() + Send> + Send>;

/// Puts the record of one device.
pub(crate) type Saver = Box<dyn Fn(&mut Records) -> Result<(), StateError> + Send>;

/// Memories of devices, each with its name.
pub(crate) type Memories = Vec<(String, SharedMemory)>;

impl Driver {
    pub(super) fn save(&mut self, job: SaveJob) {
        let (was_held, since) = (self.held, Instant::now());
        let rest = self.come_to_rest();
        let told = !was_held && self.state == RunState::Running && rest.is_ok();
        if told {
            self.tell(Event::Stopped);
        }
        let done = job(rest.and_then(|()| self.saved(since)));
        if self.ending.is_none() && !was_held {
            self.go_on();
        }
        if told {
            self.tell(Event::Resumed);
        }
        done();
    }

    /// Holds the machine still; its state then.
    pub(super) fn come_to_rest_and_save(&mut self) -> Result<Saved, CommandError> {
        let since = Instant::now();
        self.come_to_rest().and_then(|()| self.saved(since))
    }

    /// Holds the machine still and does what the guest has asked for until then: it would be lost to the saved one.
    fn come_to_rest(&mut self) -> Result<(), CommandError> {
        self.hold();
        while self.ending.is_none()
            && let Some(report) = self.parts.queue.take_report()
        {
            self.report(report);
        }
        if self.ending.is_some() {
            return Err(CommandError::Gone);
        }
        Ok(())
    }

    fn saved(&mut self, since: Instant) -> Result<Saved, CommandError> {
        let unsaved = |error: &dyn Error| CommandError::Unsaved(chain(error));
        // The disks are no part of what is saved, but they must have what the guest believes they have.
        for flush in &mut self.parts.flushes {
            flush().map_err(|error| unsaved(&error))?;
        }
        let mut records = Records::default();
        for saver in &self.parts.savers {
            saver(&mut records).map_err(|error| unsaved(&error))?;
        }
        let controllers = SavedVm::take(&self.parts.vm).map_err(|error| unsaved(&error))?;
        records.put("0", &controllers).map_err(|error| unsaved(&error))?;
        for (cpu, vcpu) in self
            .parts
            .cpus
            .save()
            .map_err(|error| unsaved(&error))?
            .iter()
            .enumerate()
        {
            records.put(&cpu.to_string(), vcpu).map_err(|error| unsaved(&error))?;
        }
        let memories = memory_files(self.parts.vm.ram(), &self.parts.memories);
        Ok(Saved {
            records: records.into_inner(),
            memories: memories.ok_or_else(|| CommandError::Unsaved("a memory has no file".to_owned()))?,
            since,
            was_running: self.state == RunState::Running,
        })
    }
}

/// The files behind guest RAM, named by where each region begins. `None` for a region that has none.
pub(crate) fn ram_files(ram: &GuestRam) -> Vec<Option<MemoryFile>> {
    ram.iter()
        .map(|region| MemoryFile::of(format!("ram-{:x}", region.start_addr().0), region))
        .collect()
}

/// The files behind all memories: guest RAM, then those of devices. `None` when one has none.
pub(crate) fn memory_files(ram: &GuestRam, memories: &Memories) -> Option<Vec<MemoryFile>> {
    ram_files(ram).into_iter().chain(files(memories)).collect()
}

fn files(memories: &Memories) -> impl Iterator<Item = Option<MemoryFile>> {
    memories
        .iter()
        .map(|(name, memory)| MemoryFile::of(name.clone(), memory.region()))
}
