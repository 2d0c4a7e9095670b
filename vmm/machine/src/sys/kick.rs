//! A signal that gets a thread out of a system call and does nothing else.

use std::{ffi::c_void, io};

use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

extern "C" fn ignore(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut c_void) {}

/// Installs the handler; again and again does no harm. Without a handler the signal would end the process, and an
/// ignored one would not interrupt anything.
pub(crate) fn install() -> io::Result<()> {
    register_signal_handler(SIGRTMIN(), ignore).map_err(|error| io::Error::from_raw_os_error(error.errno()))
}

/// A thread of this process. Signalling one that has ended does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thread(libc::pid_t);

impl Thread {
    pub(crate) fn current() -> Self {
        Self(rustix::thread::gettid().as_raw_nonzero().get())
    }

    pub(crate) fn kick(self) {
        self.send(SIGRTMIN());
    }

    /// Sends a signal to this thread.
    pub(crate) fn send(self, signal: libc::c_int) {
        let process = rustix::process::getpid().as_raw_nonzero().get();
        // SAFETY: tgkill reads no memory of ours; naming process and thread, it cannot reach another process.
        unsafe { libc::syscall(libc::SYS_tgkill, process, self.0, signal) };
    }
}
