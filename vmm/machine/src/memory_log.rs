//! Which pages of a machine's memories are written while it runs, by the guest, by KVM and by its devices.

use std::{io, sync::Arc};

use caraway_base::memory::{GuestRam, MemoryFile, Region};
use vm_memory::GuestMemoryBackend as _;

use crate::{
    bus::space::MachineSpace,
    driver::{Memories, memory_files},
    kvm::Vm,
};

/// The log of all memories of a machine. KVM keeps one of what the guest and itself write, and devices mark what they write
/// in the bitmap beside each memory; this puts both together. One user at a time.
pub struct MemoryLog {
    vm: Arc<Vm>,
    space: Arc<MachineSpace>,
    memories: Memories,
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

impl MemoryLog {
    pub(crate) fn new(vm: Arc<Vm>, space: Arc<MachineSpace>, memories: Memories) -> Self {
        Self { vm, space, memories }
    }

    /// The files behind the memories, in the order of the logs: guest RAM, then the memories of devices. `None` when one
    /// has no file.
    #[must_use]
    pub fn files(&self) -> Option<Vec<MemoryFile>> {
        memory_files(self.ram(), &self.memories)
    }

    /// Begins: what is written from now on is in the log.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn start(&self) -> io::Result<()> {
        self.vm.log_ram(true)?;
        self.space.log_all(true)?;
        // What was marked before it began is of no interest: all pages are looked at after it.
        self.for_each(|region| region.bitmap().reset());
        Ok(())
    }

    /// Pages written since the last call, a bit for each, by memory.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn take(&self) -> io::Result<Vec<Vec<u64>>> {
        self.vm.collect_ram_log()?;
        self.space.collect_logs();
        let mut logs = Vec::new();
        self.for_each(|region| logs.push(region.bitmap().get_and_reset()));
        Ok(logs)
    }

    /// Ends: KVM keeps the logs devices want for themselves.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn stop(&self) -> io::Result<()> {
        self.vm.log_ram(false)?;
        self.space.log_all(false)
    }

    fn ram(&self) -> &GuestRam {
        self.vm.ram()
    }

    fn for_each(&self, mut action: impl FnMut(&Region)) {
        for region in self.ram().iter() {
            action(region);
        }
        for (_, memory) in &self.memories {
            action(memory.region());
        }
    }
}
