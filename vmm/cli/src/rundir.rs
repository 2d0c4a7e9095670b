//! The run directory: one folder for each running VM, with its lock, its sockets and what it tells others about itself.
//!
//! Which directory: `$CARAWAY_RUN_DIR`, else `$XDG_RUNTIME_DIR/caraway`, else `/run/caraway` for root, else
//! `/tmp/caraway-UID`. A VM's folder holds `lock` (locked for the VM's life), `pid`, `qmp.sock`, `serial.sock`,
//! `screen.vv` and `info.json`. A folder whose lock nobody holds was left by a VM that was killed; whoever meets it removes it.

mod error;
mod folder;
mod location;

#[cfg(test)]
mod tests;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::error::RunDirError;
use self::{
    folder::{Base, Folder, Use},
    location::Location,
};

/// Longest path of a Unix socket: `sun_path` has 108 bytes, one of them the NUL.
pub(crate) const SOCKET_PATH_LIMIT: usize = 107;

/// Longest name of a VM; a configuration allows no longer one.
const NAME_LIMIT: usize = 64;
/// How many names are tried for a VM that takes the next free one.
const NEXT_LIMIT: u32 = 1000;

const PID: &str = "pid";
const INFO: &str = "info.json";
const NEW_INFO: &str = "info.json.new";
const CONTROL: &str = "qmp.sock";
const SERIAL: &str = "serial.sock";
/// The file viewers open, and a next one that is being written.
pub(crate) const VIEWER: &str = "screen.vv";
pub(crate) const NEW_VIEWER: &str = "screen.vv.new";

/// What a VM tells others about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Info {
    /// Its name.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: u32,
    /// The file it was started from; `None` = the demo.
    pub(crate) config: Option<PathBuf>,
    /// URI of its screen.
    pub(crate) spice: Option<String>,
    /// URI of its screen in TLS.
    #[serde(default)]
    pub(crate) tls: Option<String>,
    /// Address of the page for browsers.
    #[serde(default)]
    pub(crate) web: Option<String>,
    /// The file viewers open.
    #[serde(default)]
    pub(crate) viewer: Option<PathBuf>,
    /// Path of its control socket (QMP).
    pub(crate) control: PathBuf,
    /// Path of its serial console's socket.
    pub(crate) serial: Option<PathBuf>,
}

impl Info {
    /// With paths that mean the same in every process.
    fn absolute(&self) -> io::Result<Self> {
        let optional = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        Ok(Self {
            config: optional(&self.config)?,
            viewer: optional(&self.viewer)?,
            control: std::path::absolute(&self.control)?,
            serial: optional(&self.serial)?,
            ..self.clone()
        })
    }
}

/// A VM that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// Its process, once it has said so.
    pub(crate) pid: Option<u32>,
    /// The rest, once it has started.
    pub(crate) info: Option<Info>,
}

/// The folder of the VM this process runs. Removed when dropped.
#[derive(Debug)]
pub(crate) struct RunDir {
    name: String,
    path: PathBuf,
    base: Base,
    folder: Folder,
    /// Locked as long as it is open.
    _lock: OwnedFd,
}

impl RunDir {
    /// Takes NAME in the run directory. When that is taken, `or_next` tries NAME-2, NAME-3 and so on.
    ///
    /// # Errors
    /// When the VM runs already, or the directory cannot be used.
    pub(crate) fn claim(name: &str, or_next: bool) -> Result<Self, RunDirError> {
        Self::claim_in(&Location::of_user(), name, or_next)
    }

    fn claim_in(location: &Location, name: &str, or_next: bool) -> Result<Self, RunDirError> {
        check_name(name)?;
        let base = Base::create(location)?;
        let mut number = 1;
        loop {
            let candidate = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            let path = base.path().join(&candidate);
            check_length(path.join(SERIAL))?;
            match base.take(&candidate) {
                Ok((folder, lock)) => {
                    let claimed = Self {
                        name: candidate,
                        path,
                        base,
                        folder,
                        _lock: lock,
                    };
                    claimed
                        .folder
                        .write_new(PID, format!("{}\n", std::process::id()).as_bytes())?;
                    return Ok(claimed);
                }
                Err(RunDirError::Taken { .. }) if or_next && number < NEXT_LIMIT => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The name that was free.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The VM's folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the VM's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Tells others where this VM's sockets are, all at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn publish(&self, info: &Info) -> Result<(), RunDirError> {
        let fail = |source| RunDirError::io("write", self.file(INFO), source);
        let info = info.absolute().map_err(fail)?;
        let mut json = serde_json::to_vec_pretty(&info).map_err(|error| fail(error.into()))?;
        json.push(b'\n');
        self.folder.write_new(NEW_INFO, &json)?;
        self.folder.rename(NEW_INFO, INFO)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = self.base.remove(&self.name, &self.folder) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the VM's folder stays");
        }
    }
}

/// The VMs of this user that run, by name. What was left by others that were killed is removed.
///
/// # Errors
/// When the run directory cannot be used.
pub(crate) fn running() -> Result<Vec<Running>, RunDirError> {
    running_in(&Location::of_user())
}

fn running_in(location: &Location) -> Result<Vec<Running>, RunDirError> {
    let Some(base) = Base::open(location)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for name in base.names()?.filter(|name| check_name(name).is_ok()) {
        match base.look(&name) {
            Ok(Use::Live(folder)) => found.push(describe(name, &folder)),
            Ok(Use::Gone | Use::Foreign) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "passed over in the run directory"
                );
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn describe(name: String, folder: &Folder) -> Running {
    let info = folder
        .read(INFO)
        .and_then(|json| serde_json::from_slice::<Info>(&json).ok());
    Running {
        pid: info.as_ref().map(|info| info.pid).or_else(|| folder.pid()),
        name,
        info,
    }
}

/// The VM of this name, which runs.
///
/// # Errors
/// When none does; the message names those that do.
pub(crate) fn find(name: &str) -> Result<Info, RunDirError> {
    find_in(&Location::of_user(), name)
}

fn find_in(location: &Location, name: &str) -> Result<Info, RunDirError> {
    check_name(name)?;
    let mut all = running_in(location)?;
    match all.iter().position(|vm| vm.name == name) {
        Some(position) => {
            let vm = all.swap_remove(position);
            vm.info.ok_or(RunDirError::Starting {
                name: vm.name,
                pid: vm.pid,
            })
        }
        None => Err(RunDirError::NotRunning {
            name: name.to_owned(),
            running: all.into_iter().map(|vm| vm.name).collect(),
        }),
    }
}

/// Where the run directory is, and whether a VM could be started in it.
///
/// # Errors
/// Why not.
pub(crate) fn probe() -> Result<PathBuf, RunDirError> {
    let location = Location::of_user();
    let base = Base::create(&location)?;
    check_length(base.path().join("demo").join(SERIAL))?;
    base.check_writable()?;
    Ok(base.path().to_owned())
}

fn check_name(name: &str) -> Result<(), RunDirError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_LIMIT || name.starts_with('.') || !name.chars().all(plain) {
        return Err(RunDirError::Name(name.to_owned()));
    }
    Ok(())
}

fn check_length(socket: PathBuf) -> Result<(), RunDirError> {
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH_LIMIT {
        return Err(RunDirError::TooLong { path: socket, length });
    }
    Ok(())
}
