//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use caraway_config::{Compression, Listen, Use, Video};
use clap::{
    Args, Parser, Subcommand,
    builder::{PathBufValueParser, TypedValueParser},
};

use crate::{ctl::args::CtlCommand, replay::parse_name, run::incoming::Incoming};

/// Virtual machines on KVM whose screen, keyboard and mouse are served over SPICE.
///
/// `caraway run` shows a built-in demo VM; `caraway run CONFIG.toml` a VM of your own. Look at it with any SPICE client,
/// for example `remote-viewer spice://127.0.0.1:5900`, or in a browser, http://127.0.0.1:5980/.
#[derive(Debug, Parser)]
#[command(name = "caraway", version, after_long_help = ENVIRONMENT)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ENVIRONMENT: &str = "\
Environment:
  CARAWAY_RUN_DIR  Directory of running VMs, one folder each with their sockets. Default: $XDG_RUNTIME_DIR/caraway, else
                   /run/caraway for root, else /tmp/caraway-UID.
  CARAWAY_LOG      What is logged to standard error: error, warn (default), info, debug, trace, or by part of the
                   program, for example \"info,caraway_qxl=trace\".

Exit codes:
  0  done; for `run`: the guest powered off
  1  failed: the host, the machine, or a VM that refused a command
  2  wrong command line, configuration or recording, with the place in the file
  `caraway run --help` lists those of a VM's end.";

// What has arguments is described at them: a description here would hide the longer one.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Ctl(CtlArgs),
    Replay(ReplayArgs),
    Ps(PsArgs),
    Web(WebArgs),
    Check(CheckArgs),
    User(UserArgs),
    /// Print the JSON schema of configurations
    Schema,
    Doctor(DoctorArgs),
}

/// Run a VM until it ends; without CONFIG, the built-in demo VM.
///
/// Prints where its screen is, for SPICE and for browsers, and its control socket and its serial console. On a terminal, the serial console is there,
/// too, and Ctrl-] twice quits. SIGINT and SIGTERM press the guest's power button; a second one ends it at once.
#[derive(Debug, Args)]
#[command(after_long_help = ENDINGS)]
pub(crate) struct RunArgs {
    /// The VM's configuration, a TOML file (`caraway schema` describes it); `.toml` may be left out
    #[arg(value_parser = PathBufValueParser::new().map(configuration))]
    pub(crate) config: Option<PathBuf>,
    /// Set a key of the configuration, for example `--set cpus=2` or `--set 'boot.cmdline=quiet'`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Wait for `caraway ctl VM resume` before the guest's first instruction
    #[arg(long)]
    pub(crate) paused: bool,
    /// Go on with a VM instead of booting: `file:DIRECTORY` is what `caraway ctl VM snapshot DIRECTORY` made; at
    /// `tcp:HOST:PORT`, `unix:PATH` or `fd:N` one is waited for that `caraway ctl VM migrate` sends. CONFIG must describe the
    /// same machine; name, ports and sockets may be others
    #[arg(long, value_name = "URI", value_parser = Incoming::parse)]
    pub(crate) incoming: Option<Incoming>,
    /// Do not serve the screen
    #[arg(long)]
    pub(crate) headless: bool,
}

const ENDINGS: &str = "\
Exit codes:
  0     the guest powered off
  1     the host or the machine failed
  2     wrong configuration or snapshot, or something they name: FILE:LINE: message
  3     the guest crashed
  4     the guest did not power off in time
  5     the VM has moved to another process
  64+n  what the guest wrote to its debug-exit port, if the configuration has one";

/// Command a running VM: screenshots, keys, pause, power button.
#[derive(Debug, Args)]
#[command(after_long_help = CTL_EXIT_CODES)]
pub(crate) struct CtlArgs {
    /// Name of the VM (`caraway ps` lists them), or the path of a control socket
    #[arg(value_name = "VM")]
    pub(crate) vm: OsString,
    #[command(subcommand)]
    pub(crate) command: CtlCommand,
}

const CTL_EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  no such VM, or it refused, or it took too long
  2  wrong command line";

/// Play a recording of a QXL device's commands into the SPICE server, without a VM.
///
/// Recordings are made by `caraway ctl VM record-qxl FILE`, or by other programs in the format "SPICE_REPLAY 1" of
/// libspice-server; a file compressed by zstd is read as it is. Prints where the screen is and, at the end of the
/// recording, what was played; then serves the last picture until SIGINT or SIGTERM.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_EXIT_CODES)]
pub(crate) struct ReplayArgs {
    /// The recording
    pub(crate) trace: PathBuf,
    /// Where to listen, ADDRESS:PORT (port 0: any) or unix:PATH; default: the first free port of 127.0.0.1:5900 to 5909
    #[arg(long, value_name = "WHERE", value_parser = crate::replay::parse_listen)]
    pub(crate) listen: Option<Listen>,
    /// Do not serve the screen; implies --fast and --exit
    #[arg(long, conflicts_with_all = ["listen", "timed", "repeat"])]
    pub(crate) headless: bool,
    /// As quickly as possible
    #[arg(long, conflicts_with = "timed")]
    pub(crate) fast: bool,
    /// At the pace it was recorded at (the default)
    #[arg(long)]
    pub(crate) timed: bool,
    /// Wait no longer than this between two records
    #[arg(long, value_name = "SECONDS", conflicts_with = "fast", value_parser = crate::replay::parse_seconds)]
    pub(crate) max_gap: Option<Duration>,
    /// Do not begin before a client shows the screen
    #[arg(long, conflicts_with = "headless")]
    pub(crate) wait: bool,
    /// Begin again at the end
    #[arg(long = "loop", conflicts_with_all = ["exit", "hash", "png"])]
    pub(crate) repeat: bool,
    /// How images are compressed, as spice.compression of a configuration
    #[arg(long, default_value = "auto", value_name = "MODE", value_parser = |name: &str| parse_name(Compression::NAMES, name))]
    pub(crate) compression: Compression,
    /// Whether photographs go as JPEG, as spice.jpeg
    #[arg(long, default_value = "never", value_name = "WHEN", value_parser = |name: &str| parse_name(Use::NAMES, name))]
    pub(crate) jpeg: Use,
    /// Whether GLZ goes in zlib, as spice.zlib
    #[arg(long, default_value = "auto", value_name = "WHEN", value_parser = |name: &str| parse_name(Use::NAMES, name))]
    pub(crate) zlib: Use,
    /// What goes as video, as spice.video
    #[arg(long, default_value = "filter", value_name = "WHAT", value_parser = |name: &str| parse_name(Video::NAMES, name))]
    pub(crate) video: Video,
    /// Write the last picture to this PNG file
    #[arg(long, value_name = "FILE.png")]
    pub(crate) png: Option<PathBuf>,
    /// Print the last picture's checksum, as `ctl screenshot --hash` does, instead of what was played
    #[arg(long)]
    pub(crate) hash: bool,
    /// End at the end of the recording
    #[arg(long)]
    pub(crate) exit: bool,
}

const REPLAY_EXIT_CODES: &str = "\
Exit codes:
  0  played to the end, or ended by a signal
  1  the host: a port that is taken, a file that cannot be written; or a signal before the picture that was asked for
  2  wrong command line or recording, FILE: line N, byte M: message";

/// List this user's running VMs.
///
/// Whatever VMs that were killed left in the run directory is removed.
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// As JSON: a list of objects with name, pid, state, spice, web, config, control, serial
    #[arg(long)]
    pub(crate) json: bool,
}

/// Serve a page that lists this user's running VMs, each with its screen.
///
/// Prints its address, and ends at SIGINT or SIGTERM. Tickets are those of the VMs: whoever can connect here can connect
/// to them, so it listens on this machine alone.
#[derive(Debug, Args)]
pub(crate) struct WebArgs {
    /// Where to listen, ADDRESS:PORT (port 0: any) or unix:PATH
    #[arg(long, value_name = "WHERE", default_value = "127.0.0.1:5979", value_parser = crate::web::parse_listen)]
    pub(crate) listen: Listen,
}

/// Check a configuration and print the machine it describes, defaults filled in.
///
/// Everything it names is looked at: kernel, initramfs, disks, ticket. Mistakes are reported as FILE:LINE: message, exit
/// code 2.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration; `.toml` may be left out
    #[arg(value_parser = PathBufValueParser::new().map(configuration))]
    pub(crate) config: PathBuf,
    /// Set a key of the configuration, as for `run`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Measure what this host can run.
///
/// Times guest code in kernel and user mode and looks at memory, ports, files and devices. Exit code 0 when the demo VM
/// can run here, 1 when not. Whether Linux can boot is said in one line.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make the file of users that `spice.sasl` of a configuration names.
///
/// It has a line for each user, with what is needed to know the password, not the password. VMs that run see a change as the
/// next client comes.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    Add(AddUserArgs),
    /// Take a user off the file
    Remove {
        /// The file
        file: PathBuf,
        /// The user
        name: String,
    },
}

/// Add a user, or give one another password and role.
///
/// The password is asked for, or the first line of standard input when that is no terminal.
#[derive(Debug, Args)]
pub(crate) struct AddUserArgs {
    /// The file; made when it is not there
    pub(crate) file: PathBuf,
    /// The user: letters a to z and A to Z, digits, and . _ - @
    pub(crate) name: String,
    /// What is written beside the name, `control` or `view`. Both let in, and do not restrict anything
    #[arg(long, value_name = "ROLE", default_value = "control")]
    pub(crate) role: caraway_server::Role,
}

/// The file that `path` means: beside a folder with a machine's parts is its configuration, of the same name with `.toml`.
fn configuration(path: PathBuf) -> PathBuf {
    if path.exists() && !path.is_dir() {
        return path;
    }
    // Shells complete the name of a folder with a slash.
    let mut name = path.components().as_path().as_os_str().to_os_string();
    name.push(".toml");
    let named = PathBuf::from(name);
    if named.is_file() { named } else { path }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::configuration;

    #[test]
    fn the_ending_of_a_configuration_may_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(configuration(path("vm")), path("vm"), "neither is there");
        fs::create_dir(path("vm")).unwrap();
        assert_eq!(configuration(path("vm")), path("vm"), "a folder alone");
        fs::write(path("vm.toml"), "").unwrap();
        assert_eq!(
            configuration(path("vm")),
            path("vm.toml"),
            "a folder, and a configuration beside it"
        );
        assert_eq!(configuration(path("vm/")), path("vm.toml"));
        assert_eq!(configuration(path("vm.toml")), path("vm.toml"));
        fs::write(path("other"), "").unwrap();
        fs::write(path("other.toml"), "").unwrap();
        assert_eq!(
            configuration(path("other")),
            path("other"),
            "a file of that very name comes first"
        );
    }
}
