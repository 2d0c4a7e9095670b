//! Reading a snapshot.

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use caraway_base::{memory::MemoryFile, state::Records};
use rustix::fs::OFlags;

use crate::{
    Fact, SnapshotError,
    pages::{self, CopyError},
    state_file::{self, Contents, HEADER, MOST_BODY, Memory, STATE, difference, invalid},
};

/// An opened snapshot: its state was read and checked, the memories are read when they are asked for.
#[derive(Debug)]
pub struct Snapshot {
    directory: PathBuf,
    machine: Vec<Fact>,
    /// Those that were not loaded yet.
    memories: Vec<Memory>,
    records: Vec<caraway_base::state::Record>,
}

impl Snapshot {
    /// Reads the state in `directory`.
    ///
    /// # Errors
    /// When it is no snapshot, or a damaged one.
    pub fn open(directory: &Path) -> Result<Self, SnapshotError> {
        let path = directory.join(STATE);
        let most = HEADER as u64 + MOST_BODY;
        let (file, size) = open(&path)?;
        if size > most {
            let reason = format!("a state has at most {most} bytes");
            return Err(invalid(&path, "size", size.to_string(), &reason));
        }
        let mut bytes = Vec::new();
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(SnapshotError::io(&path, "read"))?;
        let Contents {
            machine,
            memories,
            records,
        } = state_file::decode(&bytes, &path)?;
        Ok(Self {
            directory: directory.to_owned(),
            machine,
            memories,
            records,
        })
    }

    /// Compares the saved machine with the one it is to be restored into; both describe themselves in the same order.
    ///
    /// # Errors
    /// Names the first difference.
    pub fn check(&self, here: &[Fact]) -> Result<(), SnapshotError> {
        match difference(&self.machine, here) {
            None => Ok(()),
            Some((name, saved, here)) => Err(SnapshotError::Differs {
                path: self.state_path(),
                name,
                saved,
                here,
            }),
        }
    }

    /// Fills a memory that has only zeros with its saved contents.
    ///
    /// # Errors
    /// When the snapshot has no such memory, or a damaged one.
    pub fn load(&mut self, memory: &MemoryFile) -> Result<(), SnapshotError> {
        let name = memory.name();
        let Some(index) = self.memories.iter().position(|saved| saved.name == name) else {
            let reason = "the snapshot has no memory of this name";
            return Err(invalid(&self.state_path(), "memory.name", name.to_owned(), reason));
        };
        let saved = self.memories.remove(index);
        if saved.size != memory.size() {
            let reason = format!("{name} has {} bytes in this machine", memory.size());
            return Err(invalid(
                &self.state_path(),
                "memory.size",
                saved.size.to_string(),
                &reason,
            ));
        }
        let path = self.directory.join(Memory::file_name(name));
        let (file, size) = open(&path)?;
        if size != saved.size {
            let reason = format!("the state says {}", saved.size);
            return Err(invalid(&path, "size", size.to_string(), &reason));
        }
        let copied = pages::copy(&file, memory.file(), size).map_err(|error| match error {
            CopyError::Read(source) => SnapshotError::io(&path, "read")(source),
            CopyError::Write(source) => SnapshotError::io(&path, "fill the machine's memory with it")(source),
        })?;
        let wanted = saved.copied();
        if copied.pages != wanted.pages {
            let reason = format!("the state says {}: the file is damaged", wanted.pages);
            return Err(invalid(&path, "pages", copied.pages.to_string(), &reason));
        }
        if copied.checksum != wanted.checksum {
            let reason = format!("the state says {}: the file is damaged", wanted.checksum);
            return Err(invalid(&path, "checksum", copied.checksum.to_string(), &reason));
        }
        Ok(())
    }

    /// Takes the records out.
    #[must_use]
    pub fn take_records(&mut self) -> Records {
        Records::new(std::mem::take(&mut self.records))
    }

    /// Ends a restore: every memory must have been loaded.
    ///
    /// # Errors
    /// Names one that was not.
    pub fn finish(self) -> Result<(), SnapshotError> {
        match self.memories.first() {
            None => Ok(()),
            Some(memory) => Err(invalid(
                &self.state_path(),
                "memory.name",
                memory.name.clone(),
                "this machine has no memory of this name",
            )),
        }
    }

    fn state_path(&self) -> PathBuf {
        self.directory.join(STATE)
    }
}

/// Opens a regular file; its size.
fn open(path: &Path) -> Result<(File, u64), SnapshotError> {
    // A pipe in its place would wait for its other end.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(SnapshotError::io(path, "open"))?;
    let metadata = file.metadata().map_err(SnapshotError::io(path, "look at it"))?;
    if !metadata.is_file() {
        return Err(invalid(
            path,
            "type",
            format!("{:?}", metadata.file_type()),
            "not a regular file",
        ));
    }
    Ok((file, metadata.len()))
}
