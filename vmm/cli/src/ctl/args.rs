//! The commands of `caraway ctl`.

use std::path::PathBuf;

use caraway_config::Video;
use caraway_control::keys;
use caraway_migration::live::Uri;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::replay::parse_name;

/// Longest time keys can be held, in milliseconds.
const LONGEST_HOLD: i64 = 10_000;
/// Longest time waited for the screen, in seconds: a day.
const LONGEST_WAIT: i64 = 24 * 3600;
/// Longest time a ticket can be given, in seconds: ten years.
const LONGEST_TICKET: u64 = 10 * 365 * 24 * 3600;
/// Most clicks or wheel steps of one command.
const MOST_STEPS: i64 = 100;

// What has arguments is described at them: a description here would hide the longer one.
#[derive(Debug, Subcommand)]
pub(crate) enum CtlCommand {
    /// Print how the VM is: running, paused, prelaunch, inmigrate, finish-migrate, postmigrate, shutdown, guest-panicked or
    /// internal-error
    Status {
        /// As JSON, with the name and who is connected to the screen
        #[arg(long)]
        json: bool,
    },
    /// Print who is connected to the screen, and what was sent to them
    Clients {
        /// As JSON, with all that is counted
        #[arg(long)]
        json: bool,
    },
    /// Stop the guest's processors
    Pause,
    /// Let the guest go on
    Resume,
    /// Reset the machine, as its reset button would
    Reset,
    /// Press the power button; what it does is up to the guest
    Powerdown,
    /// End the VM at once, its disks flushed, and wait until it has gone
    Quit,
    Snapshot(SnapshotArgs),
    Migrate(MigrateArgs),
    /// Have a VM stay that is on its way to another process
    MigrateCancel,
    Screenshot(ScreenshotArgs),
    SendKey(SendKeyArgs),
    Type(TypeArgs),
    /// Move and click the mouse
    Mouse {
        #[command(subcommand)]
        action: MouseAction,
    },
    WaitScreen(WaitArgs),
    RecordQxl(RecordArgs),
    /// What goes to clients as video: print it, or change it for all displays, whose streams end
    Video {
        /// As spice.video of a configuration
        #[arg(value_parser = |name: &str| parse_name(Video::NAMES, name))]
        mode: Option<Video>,
    },
    SetTicket(SetTicketArgs),
    Qmp(QmpArgs),
}

/// Save the VM to a directory.
///
/// The guest stands still meanwhile and goes on afterwards, if it ran. `caraway run CONFIG --incoming file:DIRECTORY` goes
/// on with what was saved. Disks are not part of it: they must be as they were.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// The directory, which must not be there yet
    pub(crate) directory: PathBuf,
}

/// Move the VM to another process, which waits for it: `caraway run CONFIG --incoming URI`.
///
/// The guest runs meanwhile and stands still for a moment at the end. Prints what was sent; exit code 1, and the VM goes on
/// here, when it could not be moved. Ctrl-C ends the watching, not the move.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Where to: `tcp:HOST:PORT`, `unix:PATH`, or `fd:N`, a connected socket the VM was started with
    pub(crate) uri: Uri,
    /// Bytes a second at most while the guest runs, 0 for no limit; stays so for later moves
    #[arg(long, value_name = "BYTES")]
    pub(crate) bandwidth: Option<u64>,
    /// Milliseconds for which the guest may stand still; stays so for later moves
    #[arg(long, value_name = "MS")]
    pub(crate) downtime: Option<u64>,
    /// Where clients of the screen find the VM then, as the destination prints it: `spice://HOST:PORT`, `spice+tls://HOST:PORT`;
    /// may be given once each
    #[arg(long, value_name = "URI")]
    pub(crate) clients: Vec<String>,
    /// Do not wait until it has moved
    #[arg(long)]
    pub(crate) detach: bool,
}

/// Take a picture of the screen.
///
/// Without -o or --hash it is written to NAME.png, NAME being the VM's. The file's name, the picture's size and its
/// checksum are printed, unless the picture itself goes to standard output.
#[derive(Debug, Args)]
pub(crate) struct ScreenshotArgs {
    /// The PNG file to write; `-` is standard output
    #[arg(short, long, value_name = "FILE.png")]
    pub(crate) output: Option<PathBuf>,
    /// Print the picture's checksum and nothing else: 64-bit FNV-1a over width, height (32 bits, little endian) and the
    /// pixels' blue, green, red
    #[arg(long, conflicts_with = "json")]
    pub(crate) hash: bool,
    /// Number of the display device, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) device: u32,
    /// Only this monitor's part of the screen, from 0
    #[arg(long, value_name = "N")]
    pub(crate) head: Option<u32>,
    /// With the mouse pointer
    #[arg(long)]
    pub(crate) cursor: bool,
    /// Print file, width, height and hash as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Press keys together, hold them and let them go.
///
/// Keys are joined by `-`. Several combinations are pressed one after another.
#[derive(Debug, Args)]
#[command(after_long_help = key_names())]
pub(crate) struct SendKeyArgs {
    /// Keys pressed together, for example `ctrl-alt-f2`, `shift-a` or `ret`
    #[arg(required = true, value_name = "KEYS", value_parser = super::input::parse_keys)]
    pub(crate) keys: Vec<Keys>,
    /// Milliseconds the keys are held
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=LONGEST_HOLD))]
    pub(crate) hold: u32,
}

/// QMP names of keys that are pressed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(pub(crate) Vec<&'static str>);

fn key_names() -> String {
    let mut text =
        "Keys (enter, return, space, escape, del, ins, super, win, control, pageup and pagedown are other names \
                    for some):\n"
            .to_owned();
    let mut line = String::new();
    for name in keys::qcode_names() {
        if line.len() + name.len() > 100 {
            text += &format!(" {line}\n");
            line.clear();
        }
        line += " ";
        line += name;
    }
    text + " " + &line
}

/// Type text on a US keyboard.
///
/// Each key waits until the guest has read the one before. In TEXT, `\n` is Enter, `\t` Tab, `\b` Backspace, `\e` Escape
/// and `\\` a backslash. What is read from standard input, or given with --raw, is typed as it is: its ends of lines are
/// Enter.
#[derive(Debug, Args)]
pub(crate) struct TypeArgs {
    /// What to type; `-` reads it from standard input
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: String,
    /// A backslash in TEXT is a backslash
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MouseAction {
    /// Move by so many steps to the right and down; negative is left and up
    #[command(allow_negative_numbers = true)]
    Move {
        /// Steps to the right
        dx: i32,
        /// Steps down
        dy: i32,
    },
    /// Press a button and let it go
    Click {
        /// The button
        button: Button,
        /// How many times
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MOST_STEPS))]
        count: u32,
    },
    /// Press a button and hold it
    Down {
        /// The button
        button: Button,
    },
    /// Let a button go
    Up {
        /// The button
        button: Button,
    },
    /// Turn the wheel
    #[command(allow_negative_numbers = true)]
    Wheel {
        /// Steps towards the user, scrolling down; negative is away, scrolling up
        #[arg(value_parser = clap::value_parser!(i32).range(-MOST_STEPS..=MOST_STEPS))]
        steps: i32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Button {
    Left,
    Middle,
    Right,
    Side,
    Extra,
}

impl Button {
    /// As QMP calls it.
    pub(crate) const fn qmp_name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Middle => "middle",
            Self::Right => "right",
            Self::Side => "side",
            Self::Extra => "extra",
        }
    }
}

/// Wait for a picture on the screen.
///
/// Exit code 1, and the checksum of what is there instead, when it does not come in time.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("goal").required(true))]
pub(crate) struct WaitArgs {
    /// Number of the display device, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) device: u32,
    /// The checksum the screen is to have, as `screenshot --hash` prints it
    #[arg(long, value_name = "HEX", group = "goal", value_parser = super::screen::parse_hash)]
    pub(crate) hash: Option<u64>,
    /// Milliseconds without a change of the screen
    #[arg(long, value_name = "MS", group = "goal", value_parser = clap::value_parser!(u64).range(1..=1000 * LONGEST_WAIT as u64))]
    pub(crate) still: Option<u64>,
    /// Seconds to wait at most
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=LONGEST_WAIT as u64))]
    pub(crate) timeout: u64,
}

/// Record what the guest's display device is told, for `caraway replay`.
///
/// The recording begins with the screen as it is and goes on until --stop or the VM's end. A file that is there is
/// overwritten. It grows by every pixel the guest draws.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(crate) struct RecordArgs {
    /// The file to record to
    #[arg(group = "what")]
    pub(crate) file: Option<PathBuf>,
    /// End the recording and print what was written
    #[arg(long, group = "what")]
    pub(crate) stop: bool,
    /// The display device, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) device: u32,
}

/// Set the ticket that clients of the screen must give from now on.
///
/// It is the first line of a file or of standard input, 1 to 60 bytes, and never part of the command line, which others can
/// read. The file for viewers in the VM's folder has no ticket from then on.
#[derive(Debug, Args)]
pub(crate) struct SetTicketArgs {
    /// The file; `-` reads standard input
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// It is the ticket of clients that may only look
    #[arg(long)]
    pub(crate) view: bool,
    /// Seconds for which it lets clients in; else for ever
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=LONGEST_TICKET))]
    pub(crate) expires: Option<u64>,
    /// What happens to clients that are connected: keep, fail (the ticket is not set) or disconnect
    #[arg(long, value_name = "WHAT", default_value = "keep", value_parser = ["keep", "fail", "disconnect"])]
    pub(crate) connected: String,
}

/// Run any QMP command and print its reply.
///
/// For example `caraway ctl demo qmp query-spice`, or `caraway ctl demo qmp screendump '{"filename":"a.ppm"}'`, or the
/// whole request: `caraway ctl demo qmp '{"execute":"stop"}'`. `query-commands` lists them.
#[derive(Debug, Args)]
pub(crate) struct QmpArgs {
    /// The command's name, or a whole request as a JSON object
    pub(crate) command: String,
    /// Its arguments, a JSON object
    pub(crate) arguments: Option<String>,
    /// Seconds to wait for the reply at most
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=LONGEST_WAIT as u64))]
    pub(crate) timeout: u64,
}
