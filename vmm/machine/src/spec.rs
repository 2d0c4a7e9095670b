//! What a machine is built from.

use std::{fs::File, os::unix::net::UnixListener, path::PathBuf, sync::Arc, time::Duration};

use crate::{Signals, boot, driver::STOP_TIMEOUT};

/// A file that is read at the start and at every reset, and its name for messages.
#[derive(Debug)]
pub struct BootFile {
    /// Opened for reading.
    pub file: File,
    /// As the user wrote it.
    pub path: PathBuf,
}

/// What is booted: an ELF file with a PVH note, or a bzImage.
#[derive(Debug)]
pub enum Kernel {
    /// A file.
    File(BootFile),
    /// Part of this program.
    Static(&'static [u8]),
    /// In memory.
    Bytes(Arc<[u8]>),
}

impl Kernel {
    pub(crate) fn source(&self) -> boot::Source<'_> {
        match self {
            Self::File(file) => boot::Source::File(&file.file, &file.path),
            Self::Static(bytes) => boot::Source::Bytes(bytes),
            Self::Bytes(bytes) => boot::Source::Bytes(bytes),
        }
    }
}

/// What a reset by the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReboot {
    /// Reset in place.
    Restart,
    /// End as if powered off.
    Exit,
}

/// Where the serial console leads. All of them at once if given.
#[derive(Debug, Default)]
pub struct SerialSpec {
    /// Standard output, and standard input: in raw mode if that is a terminal, where Ctrl-] twice ends the machine.
    pub stdio: bool,
    /// Clients of this socket see the last 64 KiB first.
    pub socket: Option<UnixListener>,
    /// Everything the guest prints is appended here.
    pub log: Option<File>,
}

/// A machine to be built.
#[derive(Debug)]
pub struct MachineSpec {
    /// Virtual CPUs, at least 1.
    pub cpus: u32,
    /// RAM in bytes, a multiple of 4096.
    pub memory: u64,
    /// What is booted.
    pub kernel: Kernel,
    /// Its initial file system.
    pub initramfs: Option<BootFile>,
    /// Its command line.
    pub cmdline: String,
    /// Whether the guest may end the program with a code of its own, at port 0xf4.
    pub debug_exit: bool,
    /// What a reset by the guest does.
    pub on_reboot: OnReboot,
    /// How long the guest may take to power off after SIGTERM.
    pub stop_timeout: Duration,
    /// Where the serial console leads.
    pub serial: SerialSpec,
    /// Termination signals, if this machine is to obey them.
    pub signals: Option<Signals>,
    /// Wait for [`crate::Command::Resume`] before the first instruction.
    pub start_paused: bool,
}

impl MachineSpec {
    /// One CPU, no initramfs, no command line, no debug-exit port, no serial console; restarts on reset.
    #[must_use]
    pub fn new(kernel: Kernel, memory: u64) -> Self {
        Self {
            cpus: 1,
            memory,
            kernel,
            initramfs: None,
            cmdline: String::new(),
            debug_exit: false,
            on_reboot: OnReboot::Restart,
            stop_timeout: STOP_TIMEOUT,
            serial: SerialSpec::default(),
            signals: None,
            start_paused: false,
        }
    }
}
