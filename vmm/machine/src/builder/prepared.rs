//! A machine that is to come: its memories are there before its devices.

use caraway_base::{memory::MemoryFile, state::Records};

use super::{BuildError, MachineBuilder, platform::Platform};
use crate::{
    driver::{CpuLeaf, ram_files},
    kvm::{cpuid, reset::Controllers, saved::entry},
    spec::MachineSpec,
    sys::signals::Signals,
};
use kvm_ioctls::Cap;

/// KVM, RAM and buses, without devices.
pub struct Prepared {
    pub(super) spec: MachineSpec,
    pub(super) platform: Platform,
    pub(super) controllers: Controllers,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Prepared {
    pub(super) fn new(spec: MachineSpec) -> Result<Self, BuildError> {
        let platform = Platform::new(spec.cpus, spec.memory)?;
        // Before a restored device drives a line.
        let controllers = Controllers::take(&platform.vm)?;
        Ok(Self {
            spec,
            platform,
            controllers,
        })
    }

    /// The signals this machine is to obey.
    #[must_use]
    pub fn signals(&self) -> Option<&Signals> {
        self.spec.signals.as_ref()
    }

    /// The files behind guest RAM, to be filled.
    #[must_use]
    pub fn ram_files(&self) -> Vec<MemoryFile> {
        // Every region of RAM was made with one.
        ram_files(self.platform.vm.ram()).into_iter().flatten().collect()
    }

    /// Whether vCPUs here can show what a vCPU of another host does: what is missing, if not.
    ///
    /// # Errors
    /// Names the features.
    pub fn check_cpu(&self, leaves: &[CpuLeaf]) -> Result<(), String> {
        let shown: Vec<_> = leaves.iter().map(entry).collect();
        let deadline = self.platform.kvm.has(Cap::TscDeadlineTimer);
        let here = cpuid::leaves(&self.platform.cpuid, 0, self.spec.cpus, deadline);
        match cpuid::missing(&shown, &here) {
            None => Ok(()),
            Some(missing) => Err(missing),
        }
    }

    /// Has the machine wait for [`crate::Command::Resume`].
    pub fn start_paused(&mut self) {
        self.spec.start_paused = true;
    }

    /// Goes on with records, as [`MachineBuilder::incoming`] does.
    ///
    /// # Errors
    /// When a record is missing or cannot be.
    pub fn incoming(self, records: Records) -> Result<MachineBuilder, BuildError> {
        MachineBuilder::on(self, Some(records))
    }
}
