//! Writing a snapshot. It is made under another name beside its own and renamed when all of it is on the disk: what has
//! the final name is whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use caraway_base::{memory::MemoryFile, state::Record};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::{
    Fact, SnapshotError,
    pages::{self, CopyError},
    state_file::{self, Contents, Memory, STATE, is_name},
};

/// What a snapshot came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of all files, holes not counted.
    pub bytes: u64,
}

/// Writes a snapshot to `directory`, which must not be there yet. Nothing else may touch the memories meanwhile.
///
/// # Errors
/// When something is there already or the host cannot write. Nothing is left behind then.
pub fn write(
    directory: &Path,
    machine: Vec<Fact>,
    memories: &[MemoryFile],
    records: Vec<Record>,
) -> Result<Written, SnapshotError> {
    let mut unfinished = Unfinished::new(directory)?;
    let mut written = Written::default();
    let mut described = Vec::new();
    for memory in memories {
        let memory = unfinished.memory(memory)?;
        written.bytes += memory.pages * caraway_base::memory::PAGE_SIZE;
        described.push(memory);
    }
    let path = unfinished.path.join(STATE);
    let contents = Contents {
        machine,
        memories: described,
        records,
    };
    let state = state_file::encode(&contents, &path)?;
    let mut file = create(&path)?;
    file.write_all(&state)
        .and_then(|()| file.sync_all())
        .map_err(SnapshotError::io(&path, "write"))?;
    written.bytes += state.len() as u64;
    unfinished.finish(directory)?;
    Ok(written)
}

/// The directory while it has its other name; removed unless it was finished.
struct Unfinished {
    path: PathBuf,
    parent: PathBuf,
    finished: bool,
}

impl Unfinished {
    fn new(directory: &Path) -> Result<Self, SnapshotError> {
        let exists = || SnapshotError::Exists {
            path: directory.to_owned(),
        };
        match fs::symlink_metadata(directory) {
            Ok(_) => return Err(exists()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(SnapshotError::io(directory, "look at it")(error)),
        }
        let Some(name) = directory.file_name() else {
            return Err(SnapshotError::Name {
                path: directory.to_owned(),
            });
        };
        let parent = match directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", std::process::id()));
        let path = parent.join(hidden);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(SnapshotError::io(&path, "make the directory"))?;
        Ok(Self {
            path,
            parent,
            finished: false,
        })
    }

    fn memory(&self, memory: &MemoryFile) -> Result<Memory, SnapshotError> {
        let name = memory.name().to_owned();
        let path = self.path.join(Memory::file_name(&name));
        if !is_name(&name) {
            return Err(SnapshotError::Unsaved {
                path,
                what: "a memory of this name".to_owned(),
            });
        }
        let file = create(&path)?;
        let copied = pages::copy(memory.file(), &file, memory.size()).map_err(|error| match error {
            CopyError::Read(source) => SnapshotError::io(&path, "read the machine's memory for it")(source),
            CopyError::Write(source) => SnapshotError::io(&path, "write")(source),
        })?;
        file.set_len(memory.size())
            .and_then(|()| file.sync_all())
            .map_err(SnapshotError::io(&path, "write"))?;
        Ok(Memory {
            name,
            size: memory.size(),
            pages: copied.pages,
            checksum: copied.checksum,
        })
    }

    fn finish(&mut self, directory: &Path) -> Result<(), SnapshotError> {
        sync_directory(&self.path)?;
        match renameat_with(CWD, &self.path, CWD, directory, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return Err(SnapshotError::Exists {
                    path: directory.to_owned(),
                });
            }
            // Not every file system knows the flag. Without it only an empty directory could be replaced.
            Err(Errno::INVAL) => {
                fs::rename(&self.path, directory).map_err(SnapshotError::io(directory, "give it its name"))?;
            }
            Err(error) => return Err(SnapshotError::io(directory, "give it its name")(error.into())),
        }
        self.finished = true;
        sync_directory(&self.parent)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed does not look like a snapshot either.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn create(path: &Path) -> Result<File, SnapshotError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(SnapshotError::io(path, "make the file"))
}

fn sync_directory(path: &Path) -> Result<(), SnapshotError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(SnapshotError::io(path, "make it permanent"))
}
