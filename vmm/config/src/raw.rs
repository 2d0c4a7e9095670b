//! The file as it is written. Documentation comments here are the descriptions of the JSON schema.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// A virtual machine.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawVm {
    /// Name of the VM: letters, digits, `-`, `_` and `.`, at most 64. Default: the file's name without its ending.
    #[schemars(with = "Option<String>")]
    pub(crate) name: Option<Spanned<String>>,
    /// Number of virtual CPUs. Default: 1.
    #[schemars(with = "Option<u32>")]
    pub(crate) cpus: Option<Spanned<i64>>,
    /// Guest memory, for example "1 GiB". Default: "512 MiB".
    #[schemars(with = "Option<String>")]
    pub(crate) memory: Option<Spanned<String>>,
    /// What a reboot by the guest does: "restart" (default) in place, or "exit".
    #[schemars(with = "Option<String>")]
    pub(crate) on_reboot: Option<Spanned<String>>,
    /// Time a guest has to power off after the power button was pressed by SIGTERM or SIGINT. At most a
    /// day. Default: "30 s".
    #[schemars(with = "Option<String>")]
    pub(crate) stop_timeout: Option<Spanned<String>>,
    /// Whether a byte n written to port 0xf4 ends the VM with exit code 64 + n (n up to 62). Default: false.
    pub(crate) debug_exit: Option<bool>,
    /// What boots.
    #[schemars(with = "Option<RawBoot>")]
    pub(crate) boot: Option<Spanned<RawBoot>>,
    /// Disks, in order: the first is /dev/vda in a Linux guest.
    #[serde(default)]
    pub(crate) disk: Vec<RawDisk>,
    /// The QXL display.
    #[serde(default)]
    pub(crate) display: RawDisplay,
    /// The SPICE server.
    #[serde(default)]
    pub(crate) spice: RawSpice,
    /// The page for browsers. Default: none.
    #[schemars(with = "Option<RawWeb>")]
    pub(crate) web: Option<Spanned<RawWeb>>,
    /// The guest's agent.
    #[serde(default)]
    pub(crate) agent: RawAgent,
    /// Ports: streams of bytes between two of a SPICE channel, the guest and a socket.
    #[serde(default)]
    #[schemars(with = "Vec<RawPort>")]
    pub(crate) port: Vec<Spanned<RawPort>>,
    /// Keyboard, mouse and tablet.
    #[serde(default)]
    pub(crate) input: RawInput,
    /// The serial console.
    #[serde(default)]
    pub(crate) serial: RawSerial,
    /// The control socket.
    #[serde(default)]
    pub(crate) control: RawControl,
}

/// Direct kernel boot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBoot {
    /// A bzImage (boot protocol 2.12 or later, 64-bit) or an ELF with a PVH note.
    #[schemars(with = "String")]
    pub(crate) kernel: Option<Spanned<String>>,
    /// An initramfs.
    #[schemars(with = "Option<String>")]
    pub(crate) initramfs: Option<Spanned<String>>,
    /// The kernel's command line.
    #[schemars(with = "Option<String>")]
    pub(crate) cmdline: Option<Spanned<String>>,
}

/// A virtio disk.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDisk {
    /// A raw image: the file's bytes are the disk's. Its size is a multiple of 512.
    #[schemars(with = "String")]
    pub(crate) path: Spanned<String>,
    /// Refuse writes. Default: false.
    #[serde(default)]
    pub(crate) readonly: bool,
}

/// The QXL display devices.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDisplay {
    /// QXL devices, 1 to 4. Default: 1.
    #[schemars(with = "Option<u32>")]
    pub(crate) devices: Option<Spanned<u32>>,
    /// Monitors the guest may show on each device, 1 to 16. Default: 4.
    #[schemars(with = "Option<u32>")]
    pub(crate) heads: Option<Spanned<u32>>,
    /// Largest picture at 32 bits a pixel; memory sizes follow. Default: "2560x1600".
    #[schemars(with = "Option<String>")]
    pub(crate) max_resolution: Option<Spanned<String>>,
    /// What particular guests need.
    #[serde(default)]
    pub(crate) advanced: RawDisplayAdvanced,
}

/// What particular guests need of a QXL device. Each size is rounded up to a power of two.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDisplayAdvanced {
    /// The part of RAM for the primary surface, 8 to 256 MiB. Default: from `max_resolution`, at least 16 MiB.
    #[schemars(with = "Option<String>")]
    pub(crate) vgamem: Option<Spanned<String>>,
    /// BAR 0, at least twice `vgamem`, at most 512 MiB. Default: 64 MiB.
    #[schemars(with = "Option<String>")]
    pub(crate) ram: Option<Spanned<String>>,
    /// BAR 1, at most 512 MiB. Default: 64 MiB.
    #[schemars(with = "Option<String>")]
    pub(crate) vram: Option<Spanned<String>>,
    /// All surface memory, of which BAR 1 shows the first `vram`; more than that adds a 64-bit BAR. At most 8 GiB.
    /// Default: as `vram`.
    #[schemars(with = "Option<String>")]
    pub(crate) vram64: Option<Spanned<String>>,
    /// Interface revision, 1 to 5. Default: 5.
    #[schemars(with = "Option<u32>")]
    pub(crate) revision: Option<Spanned<u32>>,
    /// The VGA BIOS in the expansion ROM of the first device, at most 64 KiB. Default: none.
    #[schemars(with = "Option<String>")]
    pub(crate) option_rom: Option<Spanned<String>>,
}

/// The SPICE server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSpice {
    /// Where to listen: "ADDRESS:PORT" (port 0: any free one), "unix:PATH", or "fd:N", a socket that this process was
    /// started with. Default: the first free port of 127.0.0.1:5900 to 5909.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Spanned<String>>,
    /// The password a client must give.
    #[schemars(with = "Option<RawTicket>")]
    pub(crate) ticket: Option<Spanned<RawTicket>>,
    /// The password of clients that may only look; needs a `ticket`.
    #[schemars(with = "Option<RawTicket>")]
    pub(crate) view_ticket: Option<Spanned<RawTicket>>,
    /// Users with names and passwords of their own, instead of a ticket. Only in TLS.
    #[schemars(with = "Option<RawSasl>")]
    pub(crate) sasl: Option<Spanned<RawSasl>>,
    /// TLS. Default: none.
    #[schemars(with = "Option<RawTls>")]
    pub(crate) tls: Option<Spanned<RawTls>>,
    /// Which channels may be on which connections.
    #[serde(default)]
    pub(crate) channels: RawChannels,
    /// Pages that may connect by WebSocket, besides those of the server itself: "https://example.org" (with ":PORT" where it
    /// is not the usual one), "null" for those without an origin, "*" for all. Default: none.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) origins: Option<Spanned<Vec<String>>>,
    /// Listen without a ticket on an address that is not loopback. Default: false.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// How images are compressed, without loss: "auto" or "auto_glz" (QUIC for photographs, GLZ for all else), "auto_lz",
    /// "quic", "glz", "lz", "lz4", "off". Default: "auto".
    #[schemars(with = "Option<String>")]
    pub(crate) compression: Option<Spanned<String>>,
    /// Whether photographs go to the screen as JPEG, which loses something: "never", "auto" (on slow links), "always".
    /// Default: "never".
    #[schemars(with = "Option<String>")]
    pub(crate) jpeg: Option<Spanned<String>>,
    /// Whether GLZ is compressed once more with zlib: "never", "auto" (on slow links), "always". Default: "auto".
    #[schemars(with = "Option<String>")]
    pub(crate) zlib: Option<Spanned<String>>,
    /// For how long the session of a client that can come back is kept after its connection was cut. Default: "60 s"; "0 s":
    /// not at all.
    #[schemars(with = "Option<String>")]
    pub(crate) grace: Option<Spanned<String>>,
    /// What goes as video, which loses something until it rests: "filter" (pictures of at least 96x96 pixels that follow each
    /// other in one place and are smooth), "all" (all that follow each other in one place), "off". Default: "filter".
    #[schemars(with = "Option<String>")]
    pub(crate) video: Option<Spanned<String>>,
    /// How many clients there may be: "many" (16), "newest" (one, which gives way to who comes later), "first" (one, and who
    /// comes later is refused). Default: "many".
    #[schemars(with = "Option<String>")]
    pub(crate) clients: Option<Spanned<String>>,
    /// What is sent to each client in a second at most, for example "10 Mbit/s"; at least "64 kbit/s". Default: what its
    /// link takes.
    #[schemars(with = "Option<String>")]
    pub(crate) client_rate: Option<Spanned<String>>,
    /// What is sent to all clients together in a second at most. Default: what their links take.
    #[schemars(with = "Option<String>")]
    pub(crate) total_rate: Option<Spanned<String>>,
}

/// Where a password comes from; exactly one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTicket {
    /// A file whose first line is the password.
    #[schemars(with = "Option<String>")]
    pub(crate) file: Option<Spanned<String>>,
    /// An environment variable that holds it.
    #[schemars(with = "Option<String>")]
    pub(crate) env: Option<Spanned<String>>,
    /// How long it lets clients in from the start on, for example "10 min". Default: for ever.
    #[schemars(with = "Option<String>")]
    pub(crate) expires: Option<Spanned<String>>,
}

/// Users, who authenticate by SASL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSasl {
    /// The file of users, which `caraway user` makes. It is read again when it changes.
    #[schemars(with = "String")]
    pub(crate) users: Spanned<String>,
}

/// TLS: a certificate and its key, or `generate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTls {
    /// A port of its own, "ADDRESS:PORT" or "fd:N". Default: the port of `listen`, which then takes both.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Spanned<String>>,
    /// The certificate chain in PEM, the server's own first. It is read again when it changes.
    #[schemars(with = "Option<String>")]
    pub(crate) cert: Option<Spanned<String>>,
    /// The certificate's private key in PEM.
    #[schemars(with = "Option<String>")]
    pub(crate) key: Option<Spanned<String>>,
    /// The certificates of authorities in PEM that clients are to trust, for the file viewers open. Default: theirs.
    #[schemars(with = "Option<String>")]
    pub(crate) ca: Option<Spanned<String>>,
    /// The name of this host in the certificate, for the file viewers open. Default: the address they connect to.
    #[schemars(with = "Option<String>")]
    pub(crate) host: Option<Spanned<String>>,
    /// Make a certificate at each start, signed by an authority of this user's that is made once. Default: false.
    #[serde(default)]
    pub(crate) generate: bool,
    /// Names and addresses in the certificate that is made, besides this host's name, localhost and where it listens.
    #[schemars(with = "Option<Vec<String>>")]
    pub(crate) names: Option<Spanned<Vec<String>>>,
}

/// Which connections each channel may be on: "any", "tls" (encrypted, or a Unix socket) or "plain".
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawChannels {
    /// Channels that are not named. Default: "any".
    #[schemars(with = "Option<String>")]
    pub(crate) default: Option<Spanned<String>>,
    /// The session. Default: as `default`.
    #[schemars(with = "Option<String>")]
    pub(crate) main: Option<Spanned<String>>,
    /// The picture.
    #[schemars(with = "Option<String>")]
    pub(crate) display: Option<Spanned<String>>,
    /// Keyboard and mouse.
    #[schemars(with = "Option<String>")]
    pub(crate) inputs: Option<Spanned<String>>,
    /// The pointer.
    #[schemars(with = "Option<String>")]
    pub(crate) cursor: Option<Spanned<String>>,
    /// Sound to the client.
    #[schemars(with = "Option<String>")]
    pub(crate) playback: Option<Spanned<String>>,
    /// Sound from the client.
    #[schemars(with = "Option<String>")]
    pub(crate) record: Option<Spanned<String>>,
    /// Smart cards.
    #[schemars(with = "Option<String>")]
    pub(crate) smartcard: Option<Spanned<String>>,
    /// USB devices.
    #[schemars(with = "Option<String>")]
    pub(crate) usbredir: Option<Spanned<String>>,
    /// Named byte streams.
    #[schemars(with = "Option<String>")]
    pub(crate) port: Option<Spanned<String>>,
    /// Shared folders.
    #[schemars(with = "Option<String>")]
    pub(crate) webdav: Option<Spanned<String>>,
}

/// The page for browsers: the screen, by SPICE over WebSocket, for whom [spice] lets in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawWeb {
    /// Where to listen, as `listen` of [spice]: "ADDRESS:PORT", "unix:PATH" or "fd:N". Takes TLS as well where [spice] has it.
    #[schemars(with = "String")]
    pub(crate) listen: Option<Spanned<String>>,
    /// Whether the page has a menu of power (powerdown, reset, pause, resume), for who has the ticket. Default: false.
    #[schemars(with = "Option<bool>")]
    pub(crate) power: Option<Spanned<bool>>,
}

/// The guest's agent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAgent {
    /// Which way the clipboard goes: "both", "to-guest", "to-client", "off". Default: "both".
    #[schemars(with = "Option<String>")]
    pub(crate) clipboard: Option<Spanned<String>>,
    /// Whether clients may send files to the guest. Default: true.
    pub(crate) file_transfer: Option<bool>,
}

/// A port. It has two ends of a SPICE channel, the guest and a socket. Unless a socket is named, they are a SPICE channel
/// and the guest; with one, a SPICE channel and the socket, or, if `guest` is there as well, the guest and the socket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPort {
    /// The port's name, by which guests and clients know it, 1 to 64 printable ASCII characters without space and `/`. A
    /// "usbredir" or "smartcard" channel has none.
    #[schemars(with = "Option<String>")]
    pub(crate) name: Option<Spanned<String>>,
    /// The SPICE channel: "port", "webdav", "usbredir", "smartcard". Default: "webdav" for the name
    /// "org.spice-space.webdav.0", else "port".
    #[schemars(with = "Option<String>")]
    pub(crate) channel: Option<Spanned<String>>,
    /// Where it is in the guest: "virtio-serial" (a port of that name) or "serial" (the serial console). Default:
    /// "virtio-serial", if no socket is named.
    #[schemars(with = "Option<String>")]
    pub(crate) guest: Option<Spanned<String>>,
    /// A socket that a program connects to: "unix:PATH" or "ADDRESS:PORT", on this machine.
    #[schemars(with = "Option<String>")]
    pub(crate) listen: Option<Spanned<String>>,
    /// A socket that a program listens on: "unix:PATH" or "ADDRESS:PORT".
    #[schemars(with = "Option<String>")]
    pub(crate) connect: Option<Spanned<String>>,
}

/// Keyboard, mouse and tablet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawInput {
    /// Whether there is a virtio tablet: a pointer that is where a client has it, without an agent. Default: true.
    pub(crate) tablet: Option<bool>,
}

/// The serial console.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSerial {
    /// A file that everything the guest prints is appended to.
    #[schemars(with = "Option<String>")]
    pub(crate) log: Option<Spanned<String>>,
}

/// The control socket (QMP).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawControl {
    /// "default" (qmp.sock in the VM's run directory) or a path.
    #[schemars(with = "Option<String>")]
    pub(crate) socket: Option<Spanned<String>>,
}
