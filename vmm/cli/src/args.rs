//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Virtual machines on KVM whose screen is served over SPICE.
#[derive(Debug, Parser)]
#[command(name = "caraway", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a VM until it ends; without CONFIG, the built-in demo.
    Run(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The VM's configuration, a TOML file. Without it the built-in demo VM runs.
    pub(crate) config: Option<PathBuf>,
    /// Set a key of the configuration: `--set cpus=2`, `--set boot.cmdline="quiet"`. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Wait for `caraway ctl VM resume` before the guest's first instruction.
    #[arg(long)]
    pub(crate) paused: bool,
    /// Serve no screen.
    #[arg(long)]
    pub(crate) headless: bool,
}
