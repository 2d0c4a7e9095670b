//! `--incoming`: a machine that goes on where a saved one stopped, or that comes from another process.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use caraway_base::memory::{MemoryFile, SharedMemory};
use caraway_config::VmSpec;
use caraway_machine::{MachineBuilder, MachineSpec};
use caraway_migration::{
    Fact, Snapshot,
    live::{Arrived, Uri},
};
use caraway_ports::display::DisplaySink;
use caraway_qxl::{Drive, OptionRom, QxlArgs, QxlConfig};
use caraway_storage::BlockBackend;

use super::{arrival::Arrival, failure::Failure};

/// Where the machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Saved to a directory.
    Saved(PathBuf),
    /// It comes over a connection.
    Moving(Uri),
}

impl Incoming {
    /// Parses `file:DIRECTORY`, `tcp:HOST:PORT`, `unix:PATH` and `fd:N`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const KNOWN: &str = "file:DIRECTORY, tcp:HOST:PORT, unix:PATH and fd:N are";
        match text.split_once(':') {
            Some(("file", "")) => Err("file: must be followed by a directory".to_owned()),
            Some(("file", directory)) => Ok(Self::Saved(PathBuf::from(directory))),
            Some(("tcp" | "unix" | "fd", _)) => text.parse().map(Self::Moving),
            Some((scheme, _)) => Err(format!("{scheme:?} is not known here: {KNOWN}")),
            None => Err(format!("no URI: did you mean file:{text}?")),
        }
    }

    /// The directory, when it is saved to one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Saved(directory) => Some(directory),
            Self::Moving(_) => None,
        }
    }
}

/// A machine that is to be built from state.
pub(super) enum Source {
    /// It is saved here.
    Saved(PathBuf),
    /// It comes here.
    Moving(Arrival),
}

/// Its memories.
pub(super) enum Memories {
    /// Files that are read when a device wants its memory.
    Saved(Snapshot),
    /// They have come.
    Moved(Arrived, Vec<(String, SharedMemory)>),
}

impl Source {
    /// A builder with the records, which must be of the machine `facts` describe, and its memories.
    pub(super) fn begin(
        self,
        spec: &VmSpec,
        machine: MachineSpec,
        facts: &[Fact],
    ) -> Result<(MachineBuilder, Memories), Failure> {
        match self {
            Self::Saved(directory) => {
                let mut snapshot = Snapshot::open(&directory)?;
                snapshot.check(facts)?;
                let builder = MachineBuilder::incoming(machine, snapshot.take_records());
                let builder = builder.map_err(|error| Failure::of_build(error, spec))?;
                Ok((builder, Memories::Saved(snapshot)))
            }
            Self::Moving(arrival) => arrival.receive(spec, machine, facts),
        }
    }
}

impl Memories {
    /// A memory of a device, with its contents.
    pub(super) fn take(&mut self, name: &str, size: u64) -> Result<SharedMemory, Failure> {
        match self {
            Self::Saved(snapshot) => {
                let (memory, file) = allocate(name, size)?;
                snapshot.load(&file)?;
                Ok(memory)
            }
            Self::Moved(_, memories) => {
                let index = memories.iter().position(|(other, _)| other == name);
                let memory = index.map(|index| memories.swap_remove(index).1);
                // Those that came are the ones that devices ask for.
                Ok(memory.with_context(|| format!("no memory {name} has come"))?)
            }
        }
    }

    /// Fills the guest's RAM, if it is not there yet; nothing may be left then. A machine that came is still its source's.
    pub(super) fn finish(self, builder: &MachineBuilder) -> Result<Option<Arrived>, Failure> {
        match self {
            Self::Saved(mut snapshot) => {
                for file in builder.ram_files() {
                    snapshot.load(&file)?;
                }
                snapshot.finish()?;
                Ok(None)
            }
            Self::Moved(arrived, _) => Ok(Some(arrived)),
        }
    }

    /// Says why no machine was built.
    pub(super) fn refuse(self, reason: &str) {
        if let Self::Moved(arrived, _) = self {
            arrived.refuse(reason);
        }
    }
}

/// Memory that has only zeros, and the file behind it.
pub(super) fn allocate(name: &str, size: u64) -> anyhow::Result<(SharedMemory, MemoryFile)> {
    let memory = SharedMemory::allocate(name, size).context("cannot make a device")?;
    let file = MemoryFile::of(name, memory.region()).context("cannot make a device")?;
    Ok((memory, file))
}

/// What a machine and the one it goes on in must agree in: all that a guest could notice.
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

/// Names of a display's memories.
pub(super) fn display_names(index: u8) -> [String; 2] {
    [format!("display-{index}-ram"), format!("display-{index}-vram")]
}

/// What a display is restored from besides its record: its memories, called `names`, with their contents.
pub(super) fn display(
    memories: &mut Memories,
    names: &[String; 2],
    config: QxlConfig,
    option_rom: Option<OptionRom>,
    sink: Arc<dyn DisplaySink>,
) -> Result<QxlArgs, Failure> {
    let [ram_name, vram_name] = names;
    let sizes = config.sizes.for_revision(config.revision);
    Ok(QxlArgs {
        ram: memories.take(ram_name, sizes.ram())?,
        vram: memories.take(vram_name, sizes.vram64())?,
        config,
        option_rom,
        sink,
        drive: Drive::Thread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_connections_are_known_and_the_others_are_named() {
        assert_eq!(Incoming::parse("file:/a:b"), Ok(Incoming::Saved("/a:b".into())));
        assert_eq!(
            Incoming::parse("tcp:host:4444"),
            Ok(Incoming::Moving(Uri::Tcp("host:4444".to_owned())))
        );
        assert!(Incoming::parse("exec:cat").is_err_and(|text| text.contains("\"exec\"")));
        assert!(Incoming::parse("saved").is_err_and(|text| text.contains("file:saved")));
        assert!(Incoming::parse("file:").is_err());
        assert!(Incoming::parse("fd:x").is_err());
    }
}
