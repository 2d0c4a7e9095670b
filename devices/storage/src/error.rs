//! Why a disk cannot be used.

use std::{io, path::PathBuf};

/// Why an image cannot be opened. All are mistakes in the configuration, and all name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It is not there, or may not be opened that way.
    #[error("cannot open disk {} for {}", path.display(), if *read_only { "reading" } else { "reading and writing" })]
    Open {
        /// The file.
        path: PathBuf,
        /// Whether only reading was asked for.
        read_only: bool,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, a pipe, a terminal.
    #[error("disk {} is neither a regular file nor a block device", path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
    },
    /// No whole number of sectors, or none.
    #[error("disk {} has {size} bytes, a raw image has a multiple of 512 and at least 512", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        size: u64,
    },
    /// Somebody else has it.
    #[error("disk {} is in use: another process has opened it{}", path.display(), if *read_only { " for writing" } else { "" })]
    InUse {
        /// The file.
        path: PathBuf,
        /// Whether only reading was asked for, which other readers do not hinder.
        read_only: bool,
    },
    /// The host cannot lock it.
    #[error("cannot lock disk {}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
