//! Which directory is this user's run directory.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

/// A place for the run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// How far a place is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Named by the user, who may have named a symbolic link.
    Named,
    /// In a directory that only this user, or only root, writes to.
    Private,
    /// In a directory where everybody can make files.
    Shared,
}

impl Location {
    /// What the environment says.
    pub(super) fn of_user() -> Self {
        Self::choose(|name| env::var_os(name), geteuid().as_raw())
    }

    pub(super) fn choose(variable: impl Fn(&str) -> Option<OsString>, user: u32) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set("CARAWAY_RUN_DIR") {
            // Only an empty path has no absolute form.
            let path = std::path::absolute(&path).unwrap_or(path);
            return Self {
                path,
                kind: Kind::Named,
            };
        }
        // A relative one is to be ignored, says the XDG specification.
        if let Some(path) = set("XDG_RUNTIME_DIR").filter(|path| path.is_absolute()) {
            return Self {
                path: path.join("caraway"),
                kind: Kind::Private,
            };
        }
        if user == 0 {
            return Self {
                path: Path::new("/run/caraway").to_owned(),
                kind: Kind::Private,
            };
        }
        Self {
            path: PathBuf::from(format!("/tmp/caraway-{user}")),
            kind: Kind::Shared,
        }
    }
}
