//! The one error of the run directory.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::SOCKET_PATH_LIMIT;

/// Why the run directory, or a VM in it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunDirError {
    /// Not the name of a VM.
    #[error("{0:?} cannot be a VM's name: use 1 to 64 letters, digits, '-', '_' or '.', not starting with '.'")]
    Name(String),
    /// The VM runs already.
    #[error("VM {name} is running already{}", of_pid(*pid))]
    Taken {
        /// Its name.
        name: String,
        /// Its process, if it has said so.
        pid: Option<u32>,
    },
    /// No VM of that name runs.
    #[error("no VM {name} is running; {}", list(running))]
    NotRunning {
        /// The name.
        name: String,
        /// Those that run.
        running: Vec<String>,
    },
    /// It has not said yet where its sockets are.
    #[error("VM {name}{} is still starting", of_pid(*pid))]
    Starting {
        /// Its name.
        name: String,
        /// Its process, if it has said so.
        pid: Option<u32>,
    },
    /// A directory of somebody else.
    #[error(
        "{} belongs to user {owner}, not to this user ({user}): set CARAWAY_RUN_DIR to a directory of your own",
        .path.display()
    )]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this.
        user: u32,
    },
    /// Others could put files there, or take some away.
    #[error("{} has mode {mode:04o}: other users must have no right to it (chmod {needed:o})", .path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they should be.
        needed: u32,
    },
    /// A symbolic link, or a file.
    #[error("{} is not a directory (symbolic links are not followed)", .0.display())]
    NotADirectory(PathBuf),
    /// A folder that holds something else.
    #[error("{} is there and is not a VM's folder: give the VM another name or remove it", .0.display())]
    Foreign(PathBuf),
    /// No socket could be bound there.
    #[error(
        "the path of the socket {} has {length} bytes, a Unix socket's has at most {SOCKET_PATH_LIMIT}: set \
         CARAWAY_RUN_DIR to a directory with a shorter path, or give the VM a shorter name",
        .path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its bytes.
        length: usize,
    },
    /// The file system refused.
    #[error("cannot {what} {}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl RunDirError {
    pub(super) fn io(what: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }
}

fn of_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

fn list(running: &[String]) -> String {
    match running {
        [] => "none is".to_owned(),
        [one] => format!("{one} is"),
        several => format!("{} are", several.join(", ")),
    }
}
