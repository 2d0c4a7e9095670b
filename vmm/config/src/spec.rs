//! The machine a configuration asks for, checked.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Serialize, ser::SerializeMap as _};

use crate::{
    ConfigError,
    ports::Port,
    units::{format_rate, format_size},
};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: Option<usize>,
}

impl Origin {
    /// An error about the value written here.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(self.file.clone(), self.line, message)
    }
}

/// A value and where it was written, so that what goes wrong with it later can say so too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VmSpec {
    /// Its name.
    pub name: String,
    /// Virtual CPUs, 1 to 64.
    pub cpus: u32,
    /// Where their number was written, for a host that has a lower limit.
    #[serde(skip)]
    pub cpus_origin: Origin,
    /// Guest memory in bytes, a multiple of 1 MiB.
    #[serde(serialize_with = "serialize_size")]
    pub memory: u64,
    /// Where the memory size was written, for errors about what does not fit in it.
    #[serde(skip)]
    pub memory_origin: Origin,
    /// What a reboot does.
    pub on_reboot: OnReboot,
    /// Time from the power button to the end.
    #[serde(serialize_with = "serialize_duration")]
    pub stop_timeout: Duration,
    /// Whether port 0xf4 ends the VM.
    pub debug_exit: bool,
    /// What boots.
    pub boot: Boot,
    /// Disks in order.
    #[serde(rename = "disk")]
    pub disks: Vec<Disk>,
    /// The screen.
    pub display: Display,
    /// The SPICE server.
    pub spice: Spice,
    /// The page for browsers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
    /// What the guest's agent and clients may do.
    pub agent: Agent,
    /// Ports.
    #[serde(rename = "port")]
    pub ports: Vec<Port>,
    /// Keyboard, mouse and tablet.
    pub input: Input,
    /// The serial console.
    pub serial: Serial,
    /// The control socket.
    pub control: Control,
}

/// What a reboot by the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnReboot {
    /// Reset in place.
    Restart,
    /// End as if powered off.
    Exit,
}

/// Where the kernel comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Kernel {
    /// The guest built into the program.
    Demo,
    /// A file.
    File(Located<PathBuf>),
}

/// Direct kernel boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// The kernel.
    pub kernel: Kernel,
    /// The initramfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<Located<PathBuf>>,
    /// The kernel's command line.
    pub cmdline: Located<String>,
}

/// A raw disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The image.
    pub path: Located<PathBuf>,
    /// Refuse writes.
    pub readonly: bool,
}

/// The QXL devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Display {
    /// How many there are, 1 to 4.
    pub devices: u8,
    /// Monitors on each, 1 to 16.
    pub heads: u16,
    /// What particular guests need.
    pub advanced: DisplayAdvanced,
}

/// Memory sizes in bytes, before the device's own rounding, and what else particular guests need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DisplayAdvanced {
    /// The part of RAM for the primary surface.
    #[serde(serialize_with = "serialize_size")]
    pub vgamem: u64,
    /// BAR 0.
    #[serde(serialize_with = "serialize_size")]
    pub ram: u64,
    /// BAR 1.
    #[serde(serialize_with = "serialize_size")]
    pub vram: u64,
    /// All surface memory; more than BAR 1 has adds a 64-bit BAR.
    #[serde(serialize_with = "serialize_size")]
    pub vram64: u64,
    /// Interface revision, 1 to 5.
    pub revision: u8,
    /// The VGA BIOS of the first device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option_rom: Option<Located<PathBuf>>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// The first free port of 127.0.0.1:5900 to 5909.
    Default,
    /// The first free port of 127.0.0.1:5980 to 5989: for pages.
    DefaultWeb,
    /// This address; port 0 = any.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// A socket that listens already, by its number in this process.
    Fd(u16),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("127.0.0.1:5900-5909"),
            Self::DefaultWeb => f.write_str("127.0.0.1:5980-5989"),
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The password, 1 to 60 bytes.
    pub password: String,
    /// Whether it is in a file, where this user can read it.
    pub in_file: bool,
    /// How long it lets clients in from the start on; `None` = for ever.
    pub expires: Option<Duration>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

impl Serialize for Ticket {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(set)")
    }
}

/// Users, who authenticate by SASL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sasl {
    /// The file that names them.
    pub users: Located<PathBuf>,
}

/// TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// A port of its own; `None` = that of [`Spice::listen`].
    pub listen: Option<Located<Listen>>,
    /// By what name viewers connect; `None` = by the address.
    pub host: Option<String>,
    /// What clients are shown.
    pub certificate: Certificate,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// In files.
    Files {
        /// The chain in PEM.
        cert: Located<PathBuf>,
        /// Its key in PEM.
        key: Located<PathBuf>,
        /// Authorities that clients are to trust, in PEM.
        ca: Option<Located<PathBuf>>,
    },
    /// Made at each start.
    Generated {
        /// Further names and addresses in it.
        names: Vec<String>,
    },
}

impl Serialize for Tls {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(listen) = &self.listen {
            map.serialize_entry("listen", listen)?;
        }
        if let Some(host) = &self.host {
            map.serialize_entry("host", host)?;
        }
        match &self.certificate {
            Certificate::Files { cert, key, ca } => {
                map.serialize_entry("cert", cert)?;
                map.serialize_entry("key", key)?;
                if let Some(ca) = ca {
                    map.serialize_entry("ca", ca)?;
                }
            }
            Certificate::Generated { names } => {
                map.serialize_entry("generate", &true)?;
                map.serialize_entry("names", names)?;
            }
        }
        map.end()
    }
}

/// The connections a channel may be on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// All.
    #[default]
    Any,
    /// Those that are not encrypted.
    Plain,
    /// Those that are encrypted, and Unix sockets.
    Tls,
}

impl Access {
    /// How configurations name them.
    pub(crate) const NAMES: &[(&str, Self)] = &[("any", Self::Any), ("plain", Self::Plain), ("tls", Self::Tls)];
}

/// The connections each channel may be on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Channels {
    /// Of channels that are not named.
    pub default: Access,
    /// By name.
    #[serde(flatten)]
    pub own: BTreeMap<&'static str, Access>,
}

impl Channels {
    /// The connections a channel may be on.
    #[must_use]
    pub fn of(&self, name: &str) -> Access {
        self.own.get(name).copied().unwrap_or(self.default)
    }

    fn is_unrestricted(&self) -> bool {
        *self == Self::default()
    }
}

/// For how long the session of a client is kept that was cut: a train's tunnel.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// The SPICE server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spice {
    /// Where it listens.
    pub listen: Located<Listen>,
    /// Whether it may listen without a ticket where others can reach it.
    #[serde(skip)]
    pub insecure: bool,
    /// Encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// The connections each channel may be on.
    #[serde(skip_serializing_if = "Channels::is_unrestricted")]
    pub channels: Channels,
    /// Pages that may connect by WebSocket, as they were written: the server knows what is an origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<Located<Vec<String>>>,
    /// The password a client must give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// The password of a client that may only look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_ticket: Option<Ticket>,
    /// Who may come in by name and password, instead of a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// How images are compressed.
    pub compression: Compression,
    /// Whether photographs go to the screen as JPEG.
    pub jpeg: Use,
    /// Whether GLZ is compressed once more with zlib.
    pub zlib: Use,
    /// For how long the session of a client is kept that can come back after its connection was cut.
    #[serde(serialize_with = "serialize_duration")]
    pub grace: Duration,
    /// What goes as video.
    pub video: Video,
    /// How many clients there may be.
    pub clients: Clients,
    /// Bits a second to each client at most.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_rate")]
    pub client_rate: Option<u64>,
    /// Bits a second to all clients together at most.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_rate")]
    pub total_rate: Option<u64>,
}

/// How many clients there may be, and who gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// 16.
    Many,
    /// One, which gives way to who comes later.
    Newest,
    /// One, and who comes later is refused.
    First,
}

impl Clients {
    /// How configurations name them.
    pub const NAMES: &[(&str, Self)] = &[("many", Self::Many), ("newest", Self::Newest), ("first", Self::First)];
}

impl Use {
    /// How configurations and command lines name them.
    pub const NAMES: &[(&str, Self)] = &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}

/// What goes as video, which loses something until it rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Video {
    /// Nothing.
    Off,
    /// Smooth pictures that follow each other in one place.
    Filter,
    /// All pictures that follow each other in one place.
    All,
}

/// How images are compressed, without loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    Off,
    /// QUIC for photographs, GLZ for all else.
    AutoGlz,
    /// QUIC for photographs, LZ for all else.
    AutoLz,
    /// QUIC.
    Quic,
    /// GLZ.
    Glz,
    /// LZ.
    Lz,
    /// LZ4, for clients that know it.
    Lz4,
}

impl Compression {
    /// How configurations and command lines name them.
    pub const NAMES: &[(&str, Self)] = &[
        ("auto", Self::AutoGlz),
        ("auto_glz", Self::AutoGlz),
        ("auto_lz", Self::AutoLz),
        ("quic", Self::Quic),
        ("glz", Self::Glz),
        ("lz", Self::Lz),
        ("lz4", Self::Lz4),
        ("off", Self::Off),
    ];
}

/// When something is done that pays on slow links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// When the link is slow.
    Auto,
    /// At all times.
    Always,
    /// At no time.
    Never,
}

impl Video {
    /// How configurations and command lines name them.
    pub const NAMES: &[(&str, Self)] = &[("filter", Self::Filter), ("all", Self::All), ("off", Self::Off)];
}

/// The page for browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Web {
    /// Where it listens.
    pub listen: Located<Listen>,
    /// Whether it has a menu of power.
    pub power: bool,
}

/// What the guest's agent and clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Agent {
    /// Which way the clipboard goes.
    pub clipboard: Clipboard,
    /// Whether clients may send files to the guest.
    pub file_transfer: bool,
}

/// Which way the clipboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clipboard {
    /// Both ways.
    Both,
    /// What clients copy may be pasted in the guest.
    ToGuest,
    /// What is copied in the guest may be pasted by clients.
    ToClient,
    /// No way.
    Off,
}

impl Clipboard {
    /// How configurations name them.
    pub const NAMES: &[(&str, Self)] = &[
        ("both", Self::Both),
        ("to-guest", Self::ToGuest),
        ("to-client", Self::ToClient),
        ("off", Self::Off),
    ];
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            clipboard: Clipboard::Both,
            file_transfer: true,
        }
    }
}

/// Keyboard, mouse and tablet. The first two are always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Whether there is a tablet.
    pub tablet: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self { tablet: true }
    }
}

/// The serial console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Serial {
    /// A file everything printed is appended to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Located<PathBuf>>,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Its path; `None` = in the VM's run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<Located<PathBuf>>,
}

impl VmSpec {
    /// The machine that runs when no configuration is given: the demo guest.
    #[must_use]
    pub fn demo() -> Self {
        let origin = Origin {
            file: PathBuf::from("(built-in demo)"),
            line: None,
        };
        Self {
            name: "demo".to_owned(),
            cpus: 1,
            cpus_origin: origin.clone(),
            memory: 64 << 20,
            memory_origin: origin.clone(),
            on_reboot: OnReboot::Restart,
            stop_timeout: Duration::from_secs(30),
            debug_exit: false,
            boot: Boot {
                kernel: Kernel::Demo,
                initramfs: None,
                cmdline: Located {
                    value: String::new(),
                    origin: origin.clone(),
                },
            },
            disks: Vec::new(),
            display: Display::default(),
            spice: Spice {
                listen: Located {
                    value: Listen::Default,
                    origin: origin.clone(),
                },
                insecure: false,
                tls: None,
                channels: Channels::default(),
                origins: None,
                ticket: None,
                view_ticket: None,
                sasl: None,
                compression: Compression::AutoGlz,
                jpeg: Use::Never,
                zlib: Use::Auto,
                grace: GRACE,
                video: Video::Filter,
                clients: Clients::Many,
                client_rate: None,
                total_rate: None,
            },
            web: Some(Web {
                listen: Located {
                    value: Listen::DefaultWeb,
                    origin,
                },
                power: false,
            }),
            agent: Agent::default(),
            ports: Vec::new(),
            input: Input::default(),
            serial: Serial { log: None },
            control: Control { socket: None },
        }
    }
}

impl Default for Display {
    fn default() -> Self {
        Self {
            devices: 1,
            // As many as Linux's driver makes connectors.
            heads: 4,
            advanced: DisplayAdvanced::default(),
        }
    }
}

impl Default for DisplayAdvanced {
    fn default() -> Self {
        Self {
            vgamem: 16 << 20,
            ram: 64 << 20,
            vram: 64 << 20,
            vram64: 64 << 20,
            revision: 5,
            option_rom: None,
        }
    }
}

fn serialize_size<S: serde::Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*size))
}

fn serialize_rate<S: serde::Serializer>(rate: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match rate {
        Some(bits) => serializer.serialize_str(&format_rate(*bits)),
        None => serializer.serialize_none(),
    }
}

fn serialize_duration<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{} ms", time.as_millis()))
}
