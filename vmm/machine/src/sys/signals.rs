//! SIGTERM, SIGINT, SIGHUP and SIGCHLD as a descriptor.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT or SIGHUP: end.
    Terminate,
    /// SIGCHLD: a child ended.
    Child,
}

/// The signals that end the machine, taken out of the usual delivery.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks the signals in the calling thread, and so in every thread it starts afterwards: call this first thing in
    /// `main`. A thread that does not block them would die of them.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn take() -> io::Result<Self> {
        // SAFETY: an all-zero signal set is a valid value, and `sigemptyset` initialises it.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is a live local variable for all of these calls, the numbers are valid signals, and a null
        // pointer means that the old mask is not wanted.
        let blocked = unsafe {
            libc::sigemptyset(&raw mut set);
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGCHLD] {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
        };
        if blocked != 0 {
            return Err(io::Error::from_raw_os_error(blocked));
        }
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Another one that receives the same signals; each comes to one of them.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The next signal that has arrived, if any.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut bytes = [0_u8; SIZE];
        match rustix::io::read(&self.0, &mut bytes) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // The signal's number is the first field of the record.
        let [a, b, c, d, ..] = bytes;
        match libc::c_int::from_ne_bytes([a, b, c, d]) {
            libc::SIGCHLD => Ok(Some(Signal::Child)),
            _ => Ok(Some(Signal::Terminate)),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

/// Collects children that have ended, if this process is the one that inherits orphans. In any other process children
/// belong to whoever started them.
pub fn reap_if_init() {
    if rustix::process::getpid() != rustix::process::Pid::INIT {
        return;
    }
    while let Ok(Some(_)) = rustix::process::waitpid(None, rustix::process::WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_arrives_at_the_descriptor() {
        // In a thread of its own, whose mask dies with it; directed at that thread, so that no other one sees it.
        std::thread::spawn(|| {
            let signals = Signals::take().unwrap();
            assert_eq!(signals.next().unwrap(), None);
            // SAFETY: sends a signal to the calling thread, which blocks it.
            unsafe { libc::raise(libc::SIGTERM) };
            assert_eq!(signals.next().unwrap(), Some(Signal::Terminate));
            // SAFETY: as above.
            unsafe { libc::raise(libc::SIGCHLD) };
            assert_eq!(signals.next().unwrap(), Some(Signal::Child));
            assert_eq!(signals.next().unwrap(), None);
        })
        .join()
        .unwrap();
    }
}
