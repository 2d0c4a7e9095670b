//! What the server drives: one virtual machine, seen from its control socket.

use std::{collections::BTreeMap, path::Path, str::FromStr, sync::Arc, time::Duration};

use caraway_ports::{input::InputSink, tablet::TabletSink};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{ClientDestination, MigrateParameters, Migration, MigrationStatus, QmpError, Screen, Screenshot};

/// What the machine is doing; the words of QMP's `RunState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Not started yet (`--paused`).
    Prelaunch,
    /// vCPUs run.
    Running,
    /// Paused by a person.
    Paused,
    /// It is to come from another host.
    #[serde(rename = "inmigrate")]
    InMigrate,
    /// Held still for the end of a migration.
    FinishMigrate,
    /// Handed over to another host, from which no word came that it runs there.
    #[serde(rename = "postmigrate")]
    PostMigrate,
    /// Powered off, about to end.
    Shutdown,
    /// The guest reported a panic.
    GuestPanicked,
    /// The host failed the machine.
    InternalError,
}

/// What happened; each becomes one QMP event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// vCPUs stopped.
    Stop,
    /// vCPUs run again.
    Resume,
    /// The machine was reset, by the guest or from outside.
    Reset { guest: bool },
    /// The power button was pressed.
    Powerdown,
    /// The machine ends. `reason` is a word of QMP's `ShutdownCause`.
    Shutdown { guest: bool, reason: &'static str },
    /// The guest reported a panic.
    GuestPanicked,
    /// A migration does something else now.
    Migration { status: MigrationStatus },
    /// Clients of the SPICE server were told where the machine has moved to.
    SpiceMigrateCompleted,
    /// A migration begins to send memory once more.
    MigrationPass { pass: u64 },
    /// A SPICE connection was made (before the link stage).
    SpiceConnected { server: Address, client: Address },
    /// A SPICE channel is up.
    SpiceInitialized {
        server: Address,
        auth: &'static str,
        channel: ChannelInfo,
    },
    /// A SPICE connection ended.
    SpiceDisconnected { server: Address, client: Address },
}

/// One end of a connection, in QMP's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Address, or the path of a Unix socket.
    pub host: String,
    /// Port, as a string (so does QEMU).
    pub port: String,
    /// `ipv4`, `ipv6` or `unix`.
    pub family: &'static str,
}

/// One SPICE channel, in QMP's terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChannelInfo {
    /// The client's end.
    #[serde(flatten)]
    pub client: Address,
    /// The session.
    pub connection_id: u32,
    /// SPICE channel type number.
    pub channel_type: u8,
    /// SPICE channel id.
    pub channel_id: u8,
    /// Encrypted?
    pub tls: bool,
}

/// The SPICE server, in QMP's terms (`query-spice`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpiceInfo {
    /// Whether it listens.
    pub enabled: bool,
    /// Whether the last migration took the clients along.
    pub migrated: bool,
    /// Where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its port for TLS, which may be the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
    /// `none`, `spice` (a ticket) or `sasl`.
    pub auth: &'static str,
    /// Which SPICE server this is.
    pub compiled_version: &'static str,
    /// `server` or `client`.
    pub mouse_mode: &'static str,
    /// The channels that are up.
    pub channels: Vec<ChannelInfo>,
}

/// What happens to connected clients when a ticket is set; the words of QMP's `SetPasswordAction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connected {
    /// They stay.
    #[default]
    Keep,
    /// The ticket is not set while there are any.
    Fail,
    /// They are disconnected.
    Disconnect,
}

/// What a SPICE client may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// See the screen.
    View,
    /// Everything.
    #[default]
    Control,
}

/// What goes as video (`x-caraway-video`), as `spice.video` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoMode {
    /// Nothing.
    Off,
    /// Smooth pictures that follow each other in one place.
    Filter,
    /// All pictures that follow each other in one place.
    All,
}

impl FromStr for VideoMode {
    type Err = QmpError;

    fn from_str(name: &str) -> Result<Self, QmpError> {
        Ok(match name {
            "off" => Self::Off,
            "filter" => Self::Filter,
            "all" => Self::All,
            _ => {
                return Err(QmpError::generic(format!(
                    "Invalid parameter 'mode': {name:?} is none of off, filter, all"
                )));
            }
        })
    }
}

/// A client of the SPICE server and what is counted of it (`x-caraway-clients`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientCounts {
    /// Its end of the main channel.
    #[serde(flatten)]
    pub client: Address,
    /// The session.
    pub connection_id: u32,
    /// What it may do.
    pub role: Role,
    /// The user's name, by SASL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Milliseconds since it connected.
    pub connected_ms: u64,
    /// The shortest round trip in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// Bits a second that its link delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u64>,
    /// Its channels.
    pub channels: Vec<ChannelCounts>,
}

/// What is counted of a channel since it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChannelCounts {
    /// SPICE channel type number.
    pub channel_type: u8,
    /// SPICE channel id.
    pub channel_id: u8,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Messages written.
    pub messages_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// What only channels of this type have.
    #[serde(flatten)]
    pub details: BTreeMap<&'static str, u64>,
}

/// What is measured of a machine (`x-caraway-figures`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// When the guest was entered for the first time: nanoseconds of `CLOCK_MONOTONIC`.
    pub first_instruction_ns: Option<u64>,
    /// Resets since the start.
    pub resets: u64,
    /// Port and memory reads nobody answered.
    pub unclaimed_reads: u64,
    /// Port and memory writes nobody took.
    pub unclaimed_writes: u64,
    /// Bytes of pixels in the server's copies of all surfaces.
    pub canvas_bytes: u64,
    /// Drawing commands that made no sense.
    pub dropped_drawings: u64,
}

/// A recording of a display device's commands (`x-caraway-record-qxl`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recording {
    /// Whether it goes on.
    pub recording: bool,
    /// The file.
    pub filename: String,
    /// Bytes written to it so far.
    pub bytes: u64,
    /// Commands recorded so far.
    pub events: u64,
    /// Why it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What saving a machine came to (`x-caraway-snapshot`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Bytes of its files, holes not counted.
    pub bytes: u64,
    /// How long the guest stood still for it, in nanoseconds.
    pub pause_ns: u64,
}

#[cfg(feature = "misbehave")]
/// What a device is to do wrong (`x-caraway-misbehave`), for tests of guests' drivers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Misbehaviour {
    /// `qxl`, the first display device, or `vdiport`.
    pub device: String,
    /// Name of the fault, which takes the place of the one there is; `none` ends that. Without it all stays as it is.
    #[serde(default)]
    pub fault: Option<String>,
    /// What the fault needs besides its name.
    #[serde(default)]
    pub value: i64,
    /// How often it acts, for ever by default.
    #[serde(default)]
    pub count: Option<u32>,
}

/// One machine. Methods may block for as long as the machine takes; the server calls them off its event loop.
pub trait Backend: Send + Sync + 'static {
    /// The VM's name.
    fn name(&self) -> String;

    /// What it is doing.
    fn status(&self) -> RunState;

    /// Pauses it.
    ///
    /// # Errors
    /// Why not.
    fn stop(&self) -> Result<(), QmpError>;

    /// Lets it run.
    ///
    /// # Errors
    /// Why not.
    fn cont(&self) -> Result<(), QmpError>;

    /// Resets it.
    ///
    /// # Errors
    /// Why not.
    fn reset(&self) -> Result<(), QmpError>;

    /// Presses the power button.
    ///
    /// # Errors
    /// Why not.
    fn powerdown(&self) -> Result<(), QmpError>;

    /// Ends it now; disks are flushed.
    ///
    /// # Errors
    /// Why not.
    fn quit(&self) -> Result<(), QmpError>;

    /// Saves the machine to a directory that is not there yet; it goes on as it was.
    ///
    /// # Errors
    /// Why not; nothing is left of the directory then.
    fn snapshot(&self, directory: &Path) -> Result<Snapshot, QmpError>;

    /// Says where clients of the SPICE server are to go when the machine has moved.
    ///
    /// # Errors
    /// When there is no SPICE server.
    fn client_migrate_info(&self, destination: ClientDestination) -> Result<(), QmpError>;

    /// Begins to move the machine to where a URI leads; how it goes is told by [`Backend::migration`] and events.
    ///
    /// # Errors
    /// When it cannot move, or is on its way already.
    fn migrate(&self, uri: &str) -> Result<(), QmpError>;

    /// Ends a migration, and has the machine stay; without one nothing happens.
    ///
    /// # Errors
    /// When the machine was handed over already.
    fn migrate_cancel(&self) -> Result<(), QmpError>;

    /// How the last migration is doing.
    fn migration(&self) -> Option<Migration>;

    /// How migrations are done.
    fn migrate_parameters(&self) -> MigrateParameters;

    /// Changes how migrations are done, the one on its way, too.
    ///
    /// # Errors
    /// When a value cannot be.
    fn set_migrate_parameters(&self, parameters: MigrateParameters) -> Result<(), QmpError>;

    /// A screen as it is now. Called where waiting is allowed.
    ///
    /// # Errors
    /// When there is no such screen.
    fn screenshot(&self, screen: Screen, cursor: bool) -> Result<Screenshot, QmpError>;

    /// Keeps the picture of a device up to date while what is returned lives, also when nobody else looks.
    ///
    /// # Errors
    /// When there is no such device.
    fn watch(&self, device: u32) -> Result<Box<dyn std::any::Any + Send + Sync>, QmpError>;

    /// Counts changes of a device's picture; 0 when there is no such device.
    fn screen_changes(&self, device: u32) -> u64;

    /// Begins to record the commands of a display device to a file.
    ///
    /// # Errors
    /// No such device, one that is being recorded already, a file that cannot be made.
    fn record_qxl(&self, device: u32, path: &Path) -> Result<(), QmpError>;

    /// Ends the recording of a device; the file is complete then.
    ///
    /// # Errors
    /// No such device or recording; one that had ended early.
    fn record_qxl_stop(&self, device: u32) -> Result<Recording, QmpError>;

    /// How the recording of a device is doing, from its begin to its stop.
    ///
    /// # Errors
    /// When there is no such device.
    fn recording(&self, device: u32) -> Result<Option<Recording>, QmpError>;

    /// Keyboard and mouse.
    ///
    /// # Errors
    /// When the machine has moved.
    fn input(&self) -> Result<Arc<dyn InputSink>, QmpError>;

    /// The tablet, if it has one.
    fn tablet(&self) -> Option<Arc<dyn TabletSink>>;

    /// The SPICE server.
    fn spice(&self) -> SpiceInfo;

    /// Sets the ticket that SPICE clients of a role must give from now on. Until when it counts stays as it was.
    ///
    /// # Errors
    /// A ticket that cannot be one; clients that are connected, if that is to fail.
    fn set_ticket(&self, role: Role, ticket: &str, connected: Connected) -> Result<(), QmpError>;

    /// Says for how long from now the ticket of a role counts; `None` is for ever.
    ///
    /// # Errors
    /// When there is none.
    fn expire_ticket(&self, role: Role, after: Option<Duration>) -> Result<(), QmpError>;

    /// Who is connected to it, and what is counted of them.
    fn clients(&self) -> Vec<ClientCounts>;

    /// Which commands of the display devices may become video.
    fn video(&self) -> VideoMode;

    /// Changes that for all of them; streams that there are end.
    fn set_video(&self, mode: VideoMode);

    /// What is measured.
    fn figures(&self) -> Figures;

    /// Has a device misbehave; how often the last fault of the device has acted.
    ///
    /// # Errors
    /// No such device or fault.
    #[cfg(feature = "misbehave")]
    fn misbehave(&self, misbehaviour: &Misbehaviour) -> Result<u64, QmpError>;

    /// What happens from now on.
    fn events(&self) -> broadcast::Receiver<Event>;
}
