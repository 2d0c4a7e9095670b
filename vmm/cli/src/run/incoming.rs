//! `--incoming`: a machine that goes on where a saved one stopped.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use caraway_base::memory::{MemoryFile, SharedMemory};
use caraway_config::VmSpec;
use caraway_machine::MachineBuilder;
use caraway_migration::{Fact, Snapshot};
use caraway_ports::display::DisplaySink;
use caraway_qxl::{Drive, OptionRom, QxlArgs, QxlConfig};
use caraway_storage::BlockBackend;

use super::failure::Failure;

/// Where the saved machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming(PathBuf);

impl Incoming {
    /// Parses `file:DIRECTORY`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", "")) => Err("file: must be followed by a directory".to_owned()),
            Some(("file", directory)) => Ok(Self(PathBuf::from(directory))),
            Some((scheme, _)) => Err(format!("{scheme:?} is not known here: file:DIRECTORY is")),
            None => Err(format!("no URI: did you mean file:{text}?")),
        }
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    /// Opens it; it must be of the machine these facts describe.
    pub(super) fn open(&self, machine: &[Fact]) -> Result<Snapshot, Failure> {
        let snapshot = Snapshot::open(&self.0)?;
        snapshot.check(machine)?;
        Ok(snapshot)
    }
}

/// What a saved machine and the one it is restored into must agree in: all that a guest could notice.
pub(super) fn describe(spec: &VmSpec, disks: &[Arc<dyn BlockBackend>], ports: &[&str]) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("cpus", spec.cpus.to_string()),
        Fact::new("memory", format!("{} bytes", spec.memory)),
        Fact::new("debug_exit", spec.debug_exit.to_string()),
    ];
    let advanced = &spec.display.advanced;
    let display = format!(
        "{} heads, revision {}, {} bytes of RAM with {} for the picture, {} of VRAM ({} in 32 bits), {} VGA BIOS",
        spec.display.heads,
        advanced.revision,
        advanced.ram,
        advanced.vgamem,
        advanced.vram64,
        advanced.vram,
        if advanced.option_rom.is_some() { "a" } else { "no" },
    );
    for number in 0..spec.display.devices {
        facts.push(Fact::new(format!("display {number}"), display.clone()));
    }
    for (number, disk) in disks.iter().enumerate() {
        let access = if disk.read_only() { "read-only" } else { "writable" };
        facts.push(Fact::new(
            format!("disk {number}"),
            format!("{} bytes, {access}", disk.size()),
        ));
    }
    for (number, name) in (1..).zip(ports) {
        facts.push(Fact::new(format!("port {number}"), *name));
    }
    if spec.input.tablet {
        facts.push(Fact::new("tablet", "present"));
    }
    facts
}

/// What a display is restored from besides its record: its memories, called `names`, with their contents.
pub(super) fn display(
    snapshot: &mut Snapshot,
    names: &[String; 2],
    config: QxlConfig,
    option_rom: Option<OptionRom>,
    sink: Arc<dyn DisplaySink>,
) -> Result<QxlArgs, Failure> {
    let [ram_name, vram_name] = names;
    let sizes = config.sizes.for_revision(config.revision);
    Ok(QxlArgs {
        ram: memory(snapshot, ram_name, sizes.ram())?,
        vram: memory(snapshot, vram_name, sizes.vram64())?,
        config,
        option_rom,
        sink,
        drive: Drive::Thread,
    })
}

/// A memory of a device, with its contents.
pub(super) fn memory(snapshot: &mut Snapshot, name: &str, size: u64) -> Result<SharedMemory, Failure> {
    let memory = SharedMemory::allocate(name, size).context("cannot make a device")?;
    let file = MemoryFile::of(name, memory.region()).context("cannot make a device")?;
    snapshot.load(&file)?;
    Ok(memory)
}

/// Fills the guest's RAM; nothing may be left then.
pub(super) fn finish(mut snapshot: Snapshot, builder: &MachineBuilder) -> Result<(), Failure> {
    for file in builder.ram_files() {
        snapshot.load(&file)?;
    }
    Ok(snapshot.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_are_known_and_the_others_are_named() {
        assert_eq!(Incoming::parse("file:/a:b"), Ok(Incoming("/a:b".into())));
        assert!(Incoming::parse("tcp:host:4444").is_err_and(|text| text.contains("\"tcp\"")));
        assert!(Incoming::parse("saved").is_err_and(|text| text.contains("file:saved")));
        assert!(Incoming::parse("file:").is_err());
    }
}
