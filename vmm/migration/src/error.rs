//! What goes wrong with a snapshot.

use std::{
    io,
    path::{Path, PathBuf},
};

use caraway_base::state::StateError;

use crate::state_file::STATE;

/// Why a snapshot cannot be written or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Something is there already.
    #[error("{}: exists already", .path.display())]
    Exists { path: PathBuf },
    /// Not the name of a directory that could be made.
    #[error("{}: not a name for a new directory", .path.display())]
    Name { path: PathBuf },
    /// The host failed.
    #[error("{}: cannot {what}", .path.display())]
    Io {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// A part of the snapshot holds what cannot be.
    #[error("{}: {field} = {value}: {reason}", .path.display())]
    Invalid {
        path: PathBuf,
        field: &'static str,
        value: String,
        reason: String,
    },
    /// The snapshot is of another machine.
    #[error("{}: {name}: the saved machine has {saved}, this one {here}", .path.display())]
    Differs {
        path: PathBuf,
        name: String,
        saved: String,
        here: String,
    },
    /// A device's record cannot be used.
    #[error("{}", .path.display())]
    Record {
        path: PathBuf,
        #[source]
        source: StateError,
    },
    /// The state does not fit into a snapshot.
    #[error("{}: {what} cannot be saved", .path.display())]
    Unsaved { path: PathBuf, what: String },
}

impl SnapshotError {
    /// A record of the snapshot in `directory` cannot be used.
    #[must_use]
    pub fn of_record(directory: &Path, source: StateError) -> Self {
        Self::Record {
            path: directory.join(STATE),
            source,
        }
    }

    /// For `map_err` on what the host does with a file.
    pub(crate) fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, what, source }
    }
}
