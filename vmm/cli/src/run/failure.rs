//! Why a machine could not be started, and the exit code that says so.

use std::{fmt, path::Path};

use caraway_config::{ConfigError, Kernel, Origin, VmSpec};
use caraway_machine::{BootFailure, BuildError, boot::BootError};

use crate::rundir::RunDirError;

/// What ends `run` before the guest's first instruction.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, or something it names: exit code 2.
    Config(ConfigError),
    /// The host: exit code 1.
    Host(anyhow::Error),
}

impl Failure {
    /// See the documentation of exit codes.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Host(_) => 1,
            Self::Config(_) => 2,
        }
    }

    /// Says where in the configuration the mistake was made, if it was one.
    pub(super) fn of_build(error: BuildError, spec: &VmSpec) -> Self {
        if !error.is_config() {
            return Self::Host(error.into());
        }
        let message = chain(&error);
        Self::Config(match &error {
            BuildError::Boot(BootFailure::Kernel(error)) => boot_origin(error, spec).error(message),
            _ => spec.memory_origin.error(message),
        })
    }
}

/// Where what a kernel's loader complains about was written.
fn boot_origin<'a>(error: &BootError, spec: &'a VmSpec) -> &'a Origin {
    match error {
        BootError::KernelTooBig { .. } | BootError::InitramfsTooBig { .. } => &spec.memory_origin,
        BootError::CommandLineTooLong { .. } | BootError::CommandLineNul { .. } => &spec.boot.cmdline.origin,
        BootError::Read { name, .. } | BootError::NotAFile { name } | BootError::Empty { name } => {
            match &spec.boot.initramfs {
                Some(initramfs) if initramfs.value == Path::new(name) => &initramfs.origin,
                _ => kernel_origin(spec),
            }
        }
        _ => kernel_origin(spec),
    }
}

pub(super) fn kernel_origin(spec: &VmSpec) -> &Origin {
    match &spec.boot.kernel {
        Kernel::File(path) => &path.origin,
        Kernel::Demo => &spec.memory_origin,
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<RunDirError> for Failure {
    fn from(error: RunDirError) -> Self {
        Self::Host(error.into())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Host(error) => write!(f, "{error:#}"),
        }
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
