//! The file that `remote-viewer` opens to show a VM's screen.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use caraway_config::{Access, Channels};

use super::sockets::SpiceSocket;
use crate::rundir;

/// Channels as viewers name them in such a file.
const NAMES: [&str; 8] = [
    "main",
    "display",
    "inputs",
    "cursor",
    "playback",
    "record",
    "smartcard",
    "usbredir",
];

/// What a viewer has to know.
pub(super) struct Screen<'a> {
    pub(super) name: &'a str,
    pub(super) plain: &'a SpiceSocket,
    /// Where TLS is spoken.
    pub(super) tls: Option<SocketAddr>,
    /// The name in the certificate, if it is not the address.
    pub(super) host: Option<&'a str>,
    pub(super) channels: &'a Channels,
    /// Certificates to trust, in PEM.
    pub(super) ca: Option<&'a str>,
    /// The password, if this user can read it anyhow.
    pub(super) ticket: Option<&'a str>,
}

/// The file, in the VM's folder.
#[derive(Debug)]
pub(super) struct ViewerFile {
    path: PathBuf,
    new: PathBuf,
    /// All but the ticket.
    text: String,
}

impl ViewerFile {
    /// Writes it, readable by this user only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(folder: &Path, screen: &Screen<'_>) -> io::Result<Self> {
        let file = Self {
            path: folder.join(rundir::VIEWER),
            new: folder.join(rundir::NEW_VIEWER),
            text: text(screen),
        };
        file.put(screen.ticket)?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The ticket is another one now: viewers have to ask for it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn forget_ticket(&self) -> io::Result<()> {
        self.put(None)
    }

    fn put(&self, ticket: Option<&str>) -> io::Result<()> {
        let ticket = ticket.map(|ticket| format!("password={}\n", escaped(ticket)));
        // Somebody may have been stopped in the middle of this.
        match fs::remove_file(&self.new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.new)?;
        file.write_all(self.text.as_bytes())?;
        file.write_all(ticket.unwrap_or_default().as_bytes())?;
        fs::rename(&self.new, &self.path)
    }
}

fn text(screen: &Screen<'_>) -> String {
    let mut text = String::from("[virt-viewer]\ntype=spice\n");
    let mut add = |key: &str, value: &str| text += &format!("{key}={value}\n");
    add("title", &escaped(screen.name));
    match screen.plain {
        SpiceSocket::Unix(bound) => add("unix-path", &escaped(&bound.path.to_string_lossy())),
        SpiceSocket::Tcp(_, address) => {
            let all_encrypted = !NAMES.iter().any(|name| screen.channels.of(name) == Access::Plain);
            let by_address = reached(screen.tls.unwrap_or(*address).ip()).to_string();
            add("host", screen.host.unwrap_or(&by_address));
            match screen.tls {
                // Without another port a viewer has TLS on all channels.
                Some(tls) if all_encrypted => add("tls-port", &tls.port().to_string()),
                Some(tls) => {
                    add("port", &address.port().to_string());
                    add("tls-port", &tls.port().to_string());
                    let encrypted = NAMES.iter().filter(|name| screen.channels.of(name) != Access::Plain);
                    add("secure-channels", &encrypted.copied().collect::<Vec<_>>().join(";"));
                }
                None => add("port", &address.port().to_string()),
            }
        }
    }
    if let Some(ca) = screen.ca.filter(|_| screen.tls.is_some()) {
        add("ca", &escaped(ca));
    }
    add("delete-this-file", "0");
    text
}

/// How a socket is reached from this machine.
fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// A string as GLib's key files have it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' ' if at == 0 => escaped.push_str("\\s"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn plain() -> SpiceSocket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SpiceSocket::Tcp(listener, "0.0.0.0:5900".parse().unwrap())
    }

    fn written(folder: &Path, tls: Option<&str>, channels: &Channels) -> (ViewerFile, String) {
        let socket = plain();
        let screen = Screen {
            name: "demo",
            plain: &socket,
            tls: tls.map(|address| address.parse().unwrap()),
            host: None,
            channels,
            ca: Some("-----BEGIN\nabc\n"),
            ticket: Some(" a\\b;c "),
        };
        let file = ViewerFile::write(folder, &screen).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        (file, text)
    }

    #[test]
    fn a_plain_port_and_the_ticket_are_all_a_viewer_needs() {
        let folder = tempfile::tempdir().unwrap();
        let (file, text) = written(folder.path(), None, &Channels::default());
        assert_eq!(
            text,
            "[virt-viewer]\ntype=spice\ntitle=demo\nhost=127.0.0.1\nport=5900\ndelete-this-file=0\npassword=\\sa\\\\b;c \n"
        );
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        file.forget_ticket().unwrap();
        assert!(text.starts_with(&fs::read_to_string(file.path()).unwrap()));
        assert!(!fs::read_to_string(file.path()).unwrap().contains("password"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_certificate_for_a_name_is_reached_by_it() {
        let channels = Channels::default();
        let socket = plain();
        let screen = Screen {
            name: "demo",
            plain: &socket,
            tls: Some("0.0.0.0:5901".parse().unwrap()),
            host: Some("vm.example.org"),
            channels: &channels,
            ca: None,
            ticket: None,
        };
        assert!(
            text(&screen).contains("host=vm.example.org\ntls-port=5901\n"),
            "{}",
            text(&screen)
        );
    }

    #[test]
    fn with_tls_the_plain_port_is_left_out_unless_a_channel_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let (_, text) = written(folder.path(), Some("[::]:5901"), &Channels::default());
        assert!(
            text.contains("host=::1\ntls-port=5901\nca=-----BEGIN\\nabc\\n\n"),
            "{text}"
        );
        assert!(!text.contains("\nport="), "{text}");
        let channels = Channels {
            own: [("cursor", Access::Plain), ("main", Access::Tls)].into(),
            ..Channels::default()
        };
        let (_, text) = written(folder.path(), Some("127.0.0.1:5900"), &channels);
        assert!(
            text.contains("port=5900\ntls-port=5900\nsecure-channels=main;display;inputs;playback;"),
            "{text}"
        );
    }
}
