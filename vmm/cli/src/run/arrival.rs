//! A machine that comes over a connection: its memories are there before its devices.

use std::{io, sync::Arc};

use anyhow::Context as _;
use caraway_base::memory::SharedMemory;
use caraway_config::VmSpec;
use caraway_machine::{MachineBuilder, MachineSpec, inherited};
use caraway_migration::{
    Fact,
    live::{self, CpuLeaf, Expected, Link, Listening, LiveError, Uri},
};

use super::{
    assemble::{self, VDIPORT_MEMORY},
    failure::Failure,
    incoming::{Memories, allocate, display_names},
    sockets::{self, BoundUnix},
    waiting::Stop,
};

/// Where a machine is waited for.
pub(super) struct Arrival {
    listening: Listening,
    /// As others are told.
    uri: String,
    /// The file goes when the machine has come.
    _socket: Option<BoundUnix>,
    stop: Arc<Stop>,
}

impl Arrival {
    /// Binds it.
    pub(super) fn bind(uri: &Uri, stop: Arc<Stop>) -> Result<Self, Failure> {
        let mut socket = None;
        let listening = uri.listen(
            |path| {
                let bound = sockets::unix(path).map_err(io::Error::other)?;
                let listener = bound.listener.try_clone()?;
                socket = Some(bound);
                Ok(listener)
            },
            inherited,
        );
        let listening = listening.context("cannot wait for a machine")?;
        let address = listening.address();
        Ok(Self {
            uri: address.map_or_else(|| uri.to_string(), |address| format!("tcp:{address}")),
            listening,
            _socket: socket,
            stop,
        })
    }

    /// Where a source has to go.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Waits for the machine and takes its memory and its records.
    pub(super) fn receive(
        self,
        spec: &VmSpec,
        machine: MachineSpec,
        facts: &[Fact],
    ) -> Result<(MachineBuilder, Memories), Failure> {
        let mut prepared = MachineBuilder::prepare(machine).map_err(|error| Failure::of_build(error, spec))?;
        let mut memories: Vec<(String, SharedMemory)> = Vec::new();
        let mut files = prepared.ram_files();
        for (name, size) in device_memories(spec)? {
            let (memory, file) = allocate(&name, size)?;
            memories.push((name, memory));
            files.push(file);
        }
        let stop = self.stop;
        let stream = self.listening.accept(|| stop.is_told())?;
        let link = Link::new(stream, move || stop.is_told())?;
        let check_cpu = |leaves: &[CpuLeaf]| {
            prepared.check_cpu(leaves).map_err(|missing| LiveError::Differs {
                name: "cpu".to_owned(),
                coming: missing.clone(),
                here: "less".to_owned(),
            })
        };
        let expected = Expected {
            machine: facts,
            memories: &files,
            check_cpu: &check_cpu,
        };
        let mut arrived = live::receive(link, &expected)?;
        if arrived.is_paused() {
            prepared.start_paused();
        }
        match prepared.incoming(arrived.take_records()) {
            Ok(builder) => Ok((builder, Memories::Moved(arrived, memories))),
            Err(error) => {
                let failure = Failure::of_build(error, spec);
                arrived.refuse(&failure.line());
                Err(failure)
            }
        }
    }
}

/// Names and sizes of the memories of devices.
fn device_memories(spec: &VmSpec) -> Result<Vec<(String, u64)>, Failure> {
    let mut memories = Vec::new();
    for index in 0..spec.display.devices {
        let config = assemble::qxl_config(spec, index)?;
        let sizes = config.sizes.for_revision(config.revision);
        let [ram, vram] = display_names(index);
        memories.push((ram, sizes.ram()));
        memories.push((vram, sizes.vram64()));
    }
    memories.push((VDIPORT_MEMORY.to_owned(), caraway_vdiport::BAR_SIZE));
    Ok(memories)
}
