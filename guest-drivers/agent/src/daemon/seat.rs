//! Whose session is the one that is seen: logind's active one of seat0, or the owner of the terminal in the foreground.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The root of the file system.
    root: PathBuf,
    /// Who it is where neither logind nor terminals are.
    fallback: u32,
}

/// Who has the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Active {
    /// The user.
    pub user: Option<u32>,
    /// The session, as logind has it.
    pub session: Option<String>,
}

impl Seat {
    /// That of this system.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Path::new("/"))
    }

    /// That of a system below this folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            fallback: rustix::process::getuid().as_raw(),
        }
    }

    /// Who has the screen now.
    #[must_use]
    pub fn active(&self) -> Active {
        // There if logind runs; without a user if nobody is logged in.
        if let Ok(text) = fs::read_to_string(self.root.join("run/systemd/seats/seat0")) {
            return Active {
                user: value(&text, "ACTIVE_UID").and_then(|user| user.parse().ok()),
                session: value(&text, "ACTIVE").map(str::to_owned),
            };
        }
        let user = match fs::read_to_string(self.root.join("sys/class/tty/tty0/active")) {
            Ok(name) if is_terminal(name.trim()) => fs::metadata(self.root.join("dev").join(name.trim()))
                .ok()
                .map(|terminal| terminal.uid()),
            _ => Some(self.fallback),
        };
        Active { user, session: None }
    }

    /// The session of a process, as logind has it.
    #[must_use]
    pub fn session_of(&self, process: i32) -> Option<String> {
        let text = fs::read_to_string(self.root.join(format!("proc/{process}/cgroup"))).ok()?;
        let scope = text.lines().flat_map(|line| line.split('/')).find_map(|part| {
            let name = part.strip_prefix("session-")?;
            name.strip_suffix(".scope")
        });
        scope.map(str::to_owned)
    }

    /// Where files come and go when somebody else has the screen; `None` if logind tells nothing of it.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        let folder = self.root.join("run/systemd/seats");
        folder.join("seat0").exists().then_some(folder)
    }
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.filter(|value| !value.is_empty())
}

fn is_terminal(name: &str) -> bool {
    name.strip_prefix("tty")
        .is_some_and(|number| number.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn logind_knows() {
        let root = tempfile::tempdir().unwrap();
        let seat = Seat::new(root.path());
        let text = "# This is private data.\nIS_SEAT0=1\nACTIVE=c2\nACTIVE_UID=1000\nSESSIONS=c2 5\nUIDS=1000 0\n";
        write(root.path(), "run/systemd/seats/seat0", text);
        let wanted = Active {
            user: Some(1000),
            session: Some("c2".to_owned()),
        };
        assert_eq!(seat.active(), wanted);
        write(root.path(), "run/systemd/seats/seat0", "IS_SEAT0=1\n");
        assert_eq!(seat.active(), Active::default());
    }

    #[test]
    fn without_logind_it_is_the_owner_of_the_terminal() {
        let root = tempfile::tempdir().unwrap();
        let seat = Seat::new(root.path());
        let me = Some(rustix::process::getuid().as_raw());
        assert_eq!(seat.active().user, me);
        write(root.path(), "sys/class/tty/tty0/active", "tty2\n");
        assert_eq!(seat.active().user, None);
        write(root.path(), "dev/tty2", "");
        assert_eq!(seat.active().user, me);
    }

    #[test]
    fn a_process_is_in_the_session_of_its_group() {
        let root = tempfile::tempdir().unwrap();
        let seat = Seat::new(root.path());
        write(
            root.path(),
            "proc/12/cgroup",
            "0::/user.slice/user-1000.slice/session-c2.scope\n",
        );
        assert_eq!(seat.session_of(12).as_deref(), Some("c2"));
        write(
            root.path(),
            "proc/13/cgroup",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice\n",
        );
        assert_eq!(seat.session_of(13), None);
        assert_eq!(seat.session_of(14), None);
    }
}
