//! Putting saved state into a machine whose devices are there.

use caraway_base::state::Records;
use caraway_pci::PciBus;

use super::{BuildError, MachineBuilder};
use crate::kvm::{
    reset::PowerOn,
    saved::{SavedVcpu, SavedVm},
    vcpu::Vcpu,
};

impl MachineBuilder {
    /// Loads the PCI bus and creates the vCPUs as they were saved. Devices have driven their lines when this begins, and
    /// change none until the machine runs: so the controllers, which come after, take nothing for new.
    pub(super) fn restore_vcpus(&self, mut records: Records) -> Result<Vec<(Vcpu, PowerOn)>, BuildError> {
        records.take::<PciBus>("0", self.board.pci.clone())?;
        let controllers = records.take::<SavedVm>("0", ())?;
        let saved = (0..self.firmware.cpus).map(|cpu| records.take::<SavedVcpu>(&cpu.to_string(), ()));
        let saved = saved.collect::<Result<Vec<_>, _>>()?;
        records.finish()?;
        let vcpus = self.create_vcpus(|id, leaves| {
            let saved = usize::try_from(id).ok().and_then(|index| saved.get(index));
            Ok(saved.map_or(Ok(leaves.clone()), |saved| saved.cpuid(&leaves))?)
        })?;
        let pairs = || vcpus.iter().zip(&saved);
        pairs().try_for_each(|((vcpu, _), saved)| saved.apply_registers(vcpu))?;
        controllers.apply_controllers(&self.platform.vm)?;
        pairs().try_for_each(|((vcpu, _), saved)| saved.apply_events(vcpu))?;
        controllers.apply_clock(&self.platform.vm)?;
        Ok(vcpus)
    }
}
