//! The controlling terminal in raw mode, and back again however this program ends.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};

/// What the terminal was like before, for the panic and exit paths that run no destructors.
static SAVED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// Raw mode for as long as this lives.
#[derive(Debug)]
pub(crate) struct RawMode(());

impl RawMode {
    /// Switches the terminal behind `fd` to raw mode. Newlines the guest prints still return the carriage, so that our
    /// own messages do not turn into stairs.
    ///
    /// # Errors
    /// When it is no terminal.
    pub(crate) fn enter(fd: impl AsFd) -> io::Result<Self> {
        let before = tcgetattr(&fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        let kept = fd.as_fd().try_clone_to_owned()?;
        *saved() = Some((kept, before));
        tcsetattr(&fd, OptionalActions::Now, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts the terminal back, if it was changed. Safe to call at any time and twice; `main` calls it from its panic hook.
pub(crate) fn restore() {
    if let Some((fd, before)) = saved().take() {
        // Nothing can be done about a terminal that went away.
        tcsetattr(&fd, OptionalActions::Now, &before).ok();
    }
}

fn saved() -> std::sync::MutexGuard<'static, Option<(OwnedFd, Termios)>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rustix::termios::LocalModes;

    pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
        let controller =
            rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        let terminal = rustix::fs::open(
            name.as_c_str(),
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        (controller, terminal)
    }

    #[test]
    fn raw_mode_ends_with_its_guard() {
        let (_controller, terminal) = terminal();
        let echo = |fd: &OwnedFd| tcgetattr(fd).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echo(&terminal));
        let raw = RawMode::enter(&terminal).unwrap();
        assert!(!echo(&terminal));
        drop(raw);
        assert!(echo(&terminal));
        restore();
    }

    #[test]
    fn a_file_is_no_terminal() {
        assert!(RawMode::enter(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
