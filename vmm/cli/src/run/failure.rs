//! Why a machine could not be started, and the exit code that says so.

use std::path::Path;

use caraway_base::state::StateError;
use caraway_config::{ConfigError, Kernel, Origin, VmSpec};
use caraway_machine::{BootFailure, BuildError, boot::BootError};
use caraway_migration::{SnapshotError, live::LiveError};

use crate::{
    output::{chain, one_line},
    rundir::RunDirError,
};

/// What ends `run` before the guest's first instruction.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration, or something it names: exit code 2.
    Config(ConfigError),
    /// The snapshot the machine is to go on with: exit code 2.
    Snapshot(SnapshotError),
    /// A record of that snapshot, or of a machine that came: exit code 2.
    Record(StateError),
    /// The machine that was to come: exit code 2 when it is another one, else 1.
    Incoming(LiveError),
    /// The host: exit code 1.
    Host(anyhow::Error),
}

impl Failure {
    /// See the documentation of exit codes.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Host(_) => 1,
            Self::Incoming(error) if !matches!(error, LiveError::Differs { .. }) => 1,
            Self::Incoming(_) | Self::Config(_) | Self::Snapshot(_) | Self::Record(_) => 2,
        }
    }

    /// Says in which file a record was.
    pub(super) fn in_snapshot(self, directory: Option<&Path>) -> Self {
        match (self, directory) {
            (Self::Record(error), Some(directory)) => Self::Snapshot(SnapshotError::of_record(directory, error)),
            (failure, _) => failure,
        }
    }

    /// What a person should read.
    pub(super) fn line(&self) -> String {
        one_line(&match self {
            Self::Config(error) => error.to_string(),
            Self::Snapshot(error) => chain(error),
            Self::Record(error) => chain(error),
            Self::Incoming(error) => format!("caraway: no machine has come: {}", chain(error)),
            Self::Host(error) => format!("caraway: {error:#}"),
        })
    }

    /// Says where in the configuration the mistake was made, if it was one.
    pub(super) fn of_build(error: BuildError, spec: &VmSpec) -> Self {
        if let BuildError::State(error) = error {
            return Self::Record(error);
        }
        if !error.is_config() {
            return Self::Host(error.into());
        }
        Self::Config(match &error {
            BuildError::Boot(BootFailure::Kernel(error)) => of_boot(error, spec),
            BuildError::Cpus { .. } => spec.cpus_origin.error(chain(&error)),
            _ => spec.memory_origin.error(chain(&error)),
        })
    }
}

/// What a kernel's loader complains about, at the key that has to change.
pub(crate) fn of_boot(error: &BootError, spec: &VmSpec) -> ConfigError {
    let kernel = ("boot.kernel", kernel_origin(spec));
    let initramfs = spec.boot.initramfs.as_ref();
    let of_initramfs = || initramfs.map_or(kernel, |path| ("boot.initramfs", &path.origin));
    // A default has no line: then it is laid at the file that is too big for it.
    let memory = |too_big| match spec.memory_origin.line {
        Some(_) => ("memory", &spec.memory_origin),
        None => too_big,
    };
    let (key, origin) = match error {
        BootError::KernelTooBig { .. } => memory(kernel),
        BootError::InitramfsTooBig { .. } => memory(of_initramfs()),
        BootError::CommandLineTooLong { .. } | BootError::CommandLineNul { .. } => {
            ("boot.cmdline", &spec.boot.cmdline.origin)
        }
        BootError::Read { name, .. } | BootError::NotAFile { name } | BootError::Empty { name }
            if initramfs.is_some_and(|path| path.value == Path::new(name)) =>
        {
            of_initramfs()
        }
        _ => kernel,
    };
    origin.error(format!("{key}: {}", chain(error)))
}

fn kernel_origin(spec: &VmSpec) -> &Origin {
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

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        Self::Snapshot(error)
    }
}

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        Self::Incoming(error)
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
