//! Ports: what they are, and what can be wrong with them.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml::Spanned;

use crate::{
    ConfigError,
    raw::RawPort,
    resolve::{Context, named},
    spec::{Located, Origin},
};

/// A virtio console has as many with a name, the agent's not among them.
const MAX_PORTS: usize = 30;
/// Readers a client may have.
const MAX_READERS: usize = 10;
/// Bytes of the longest name.
const NAME_BYTES: usize = 64;
/// Ports by this name have a webdav channel.
const WEBDAV: &str = "org.spice-space.webdav.0";
/// Ports that are something else: the agent's, and that of video the guest encodes.
const RESERVED: [&str; 2] = ["com.redhat.spice.0", "org.spice-space.stream.0"];

/// A stream of bytes between two ends: of `channel`, `guest` and a socket (`listen` or `connect`) there are two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Where it was written.
    #[serde(skip)]
    pub origin: Origin,
    /// By what name guests and clients know it; empty for channels that have none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The SPICE channel it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<PortChannel>,
    /// Where it is in the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<PortGuest>,
    /// A socket that a program connects to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Located<PortAddress>>,
    /// A socket that a program listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Located<PortAddress>>,
}

/// A SPICE channel that leads to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortChannel {
    /// Bytes.
    Port,
    /// Folder sharing.
    Webdav,
    /// A USB device.
    Usbredir,
    /// A smart card reader.
    Smartcard,
}

impl PortChannel {
    const NAMES: &[(&str, Self)] = &[
        ("port", Self::Port),
        ("webdav", Self::Webdav),
        ("usbredir", Self::Usbredir),
        ("smartcard", Self::Smartcard),
    ];
}

/// Where a port is in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortGuest {
    /// A port of its name on the virtio console.
    VirtioSerial,
    /// The serial console.
    Serial,
}

impl PortGuest {
    const NAMES: &[(&str, Self)] = &[("virtio-serial", Self::VirtioSerial), ("serial", Self::Serial)];
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP.
    Tcp(SocketAddr),
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Serialize for PortAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(crate) fn ports(context: &Context<'_>, raw: &[Spanned<RawPort>]) -> Result<Vec<Port>, ConfigError> {
    if let Some(extra) = raw.get(MAX_PORTS) {
        return Err(context.error(extra, format!("port: at most {MAX_PORTS} ports")));
    }
    let mut ports: Vec<Port> = Vec::with_capacity(raw.len());
    let mut readers = 0;
    for raw in raw {
        let port = port(context, raw)?;
        if !port.name.is_empty() && ports.iter().any(|other| other.name == port.name) {
            let message = format!("port.name: there are two ports {:?}", port.name);
            return Err(raw
                .get_ref()
                .name
                .as_ref()
                .map_or_else(|| context.error(raw, &message), |name| context.error(name, &message)));
        }
        readers += usize::from(port.channel == Some(PortChannel::Smartcard));
        if readers > MAX_READERS {
            return Err(context.error(raw, format!("port: at most {MAX_READERS} smartcard channels")));
        }
        ports.push(port);
    }
    Ok(ports)
}

fn port(context: &Context<'_>, spanned: &Spanned<RawPort>) -> Result<Port, ConfigError> {
    let raw = spanned.get_ref();
    let listen = address(context, "port.listen", raw.listen.as_ref())?;
    let connect = address(context, "port.connect", raw.connect.as_ref())?;
    if let (Some(_), Some(second)) = (&raw.listen, &raw.connect) {
        return Err(context.error(second, "port: `listen` and `connect` exclude each other"));
    }
    if let Some(listen) = &listen
        && let PortAddress::Tcp(address) = &listen.value
        && !address.ip().to_canonical().is_loopback()
    {
        return Err(listen.origin.error(format!(
            "port.listen: {address} can be reached from other machines, and who connects is not asked who they are: use \
             127.0.0.1 or a Unix socket"
        )));
    }
    let has_socket = listen.is_some() || connect.is_some();
    let guest = named(context, "port.guest", raw.guest.as_ref(), PortGuest::NAMES)?;
    let guest = guest.or((!has_socket).then_some(PortGuest::VirtioSerial));
    let channel = named(context, "port.channel", raw.channel.as_ref(), PortChannel::NAMES)?;
    let is_nameless = matches!(channel, Some(PortChannel::Usbredir | PortChannel::Smartcard));
    let what = |key: Option<&Spanned<String>>, message: &str| {
        key.map_or_else(|| context.error(spanned, message), |key| context.error(key, message))
    };
    if is_nameless && !has_socket {
        let message = "port: a usbredir or smartcard channel needs a socket: set `listen` or `connect`";
        return Err(what(raw.channel.as_ref(), message));
    }
    if guest.is_some() && has_socket && channel.is_some() {
        let message = "port: it has `guest`, `channel` and a socket, but only two ends";
        return Err(what(raw.channel.as_ref(), message));
    }
    if guest == Some(PortGuest::Serial) && has_socket {
        let message = "port.guest: the serial console has a socket already, serial.sock in the VM's run directory";
        return Err(what(raw.guest.as_ref(), message));
    }
    let name = match &raw.name {
        Some(name) if is_nameless => {
            return Err(context.error(name, "port.name: a usbredir or smartcard channel has no name"));
        }
        Some(name) => checked_name(context, name)?,
        None if is_nameless => String::new(),
        None => return Err(context.error(spanned, "port needs a `name`")),
    };
    let by_name = if name == WEBDAV {
        PortChannel::Webdav
    } else {
        PortChannel::Port
    };
    let channel = if guest.is_some() && has_socket {
        None
    } else {
        Some(channel.unwrap_or(by_name))
    };
    if guest == Some(PortGuest::Serial) && channel == Some(PortChannel::Webdav) {
        let message = "port: a webdav channel does not lead to the serial console";
        return Err(what(raw.guest.as_ref(), message));
    }
    Ok(Port {
        origin: context.origin(spanned),
        name,
        channel,
        guest,
        listen,
        connect,
    })
}

fn checked_name(context: &Context<'_>, value: &Spanned<String>) -> Result<String, ConfigError> {
    let name = value.get_ref();
    let is_printable = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    if !is_printable || !(1..=NAME_BYTES).contains(&name.len()) {
        return Err(context.error(
            value,
            format!("port.name: {name:?} is not 1 to {NAME_BYTES} printable ASCII characters without space and '/'"),
        ));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(context.error(value, format!("port.name: {name:?} is not for ports of one's own")));
    }
    Ok(name.clone())
}

fn address(
    context: &Context<'_>,
    key: &str,
    value: Option<&Spanned<String>>,
) -> Result<Option<Located<PortAddress>>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let text = value.get_ref();
    let wrong = || {
        context.error(
            value,
            format!("{key}: {text:?} is neither \"unix:PATH\" nor \"ADDRESS:PORT\""),
        )
    };
    let address = match text.strip_prefix("unix:") {
        Some("") => return Err(wrong()),
        Some(path) => {
            let base = context.file.parent().unwrap_or_else(|| Path::new(""));
            PortAddress::Unix(base.join(path))
        }
        None => PortAddress::Tcp(text.parse().map_err(|_| wrong())?),
    };
    if matches!(&address, PortAddress::Tcp(address) if address.port() == 0) {
        return Err(context.error(value, format!("{key}: {text:?} has no port")));
    }
    Ok(Some(Located {
        value: address,
        origin: context.origin(value),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VmSpec, parse};

    fn spec(ports: &str) -> Result<VmSpec, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("vmlinuz"), b"kernel").unwrap();
        let file = folder.path().join("vm.toml");
        let text = format!("[boot]\nkernel = \"vmlinuz\"\n{ports}");
        let shown = |text: String| text.replace(folder.path().to_str().unwrap(), "DIR");
        parse(&file, &text, &[]).map_err(|error| shown(error.to_string()))
    }

    #[test]
    fn a_port_has_two_ends_and_says_least_of_what_is_usual() {
        let text = r#"
            [[port]]
            name = "org.example.a"
            [[port]]
            name = "org.spice-space.webdav.0"
            [[port]]
            name = "org.qemu.console.serial.0"
            guest = "serial"
            [[port]]
            name = "org.example.b"
            guest = "virtio-serial"
            listen = "unix:b.sock"
            [[port]]
            name = "org.example.c"
            connect = "[2001:db8::1]:5000"
            [[port]]
            channel = "usbredir"
            listen = "127.0.0.1:5001"
            [[port]]
            channel = "smartcard"
            connect = "unix:card.sock"
        "#;
        let ports = spec(text).unwrap().ports;
        let ends: Vec<_> = ports
            .iter()
            .map(|port| {
                (
                    port.channel,
                    port.guest,
                    port.listen.is_some() || port.connect.is_some(),
                )
            })
            .collect();
        use PortChannel::{Port, Smartcard, Usbredir, Webdav};
        let wanted = [
            (Some(Port), Some(PortGuest::VirtioSerial), false),
            (Some(Webdav), Some(PortGuest::VirtioSerial), false),
            (Some(Port), Some(PortGuest::Serial), false),
            (None, Some(PortGuest::VirtioSerial), true),
            (Some(Port), None, true),
            (Some(Usbredir), None, true),
            (Some(Smartcard), None, true),
        ];
        assert_eq!(ends, wanted);
    }

    #[test]
    fn each_mistake_has_a_message() {
        let cases = [
            ("guest = \"serial\"", "3: port needs a `name`"),
            ("name = \"a b\"", "4: port.name: \"a b\" is not 1 to 64 printable"),
            ("name = \"a/b\"", "4: port.name: \"a/b\" is not 1 to 64"),
            ("name = \"\"", "4: port.name: \"\" is not 1 to 64"),
            (
                "name = \"com.redhat.spice.0\"",
                "4: port.name: \"com.redhat.spice.0\" is not for",
            ),
            (
                "channel = \"usbredir\"",
                "4: port: a usbredir or smartcard channel needs a socket",
            ),
            ("channel = \"usb\"", "4: port.channel: \"usb\" is not one of"),
            ("name = \"a\"\nguest = \"pci\"", "5: port.guest: \"pci\" is not one of"),
            (
                "name = \"a\"\nguest = \"serial\"\nlisten = \"unix:a\"",
                "5: port.guest: the serial console has a socket",
            ),
            (
                "name = \"a\"\nguest = \"serial\"\nchannel = \"webdav\"",
                "5: port: a webdav channel does not lead",
            ),
            (
                "name = \"a\"\nguest = \"virtio-serial\"\nchannel = \"port\"\nlisten = \"unix:a\"",
                "6: port: it has `guest`, `channel` and a socket",
            ),
            (
                "name = \"a\"\nlisten = \"unix:a\"\nconnect = \"unix:b\"",
                "6: port: `listen` and `connect` exclude",
            ),
            (
                "name = \"a\"\nlisten = \"unix:\"",
                "5: port.listen: \"unix:\" is neither",
            ),
            (
                "name = \"a\"\nconnect = \"host\"",
                "5: port.connect: \"host\" is neither",
            ),
            (
                "name = \"a\"\nlisten = \"127.0.0.1:0\"",
                "5: port.listen: \"127.0.0.1:0\" has no port",
            ),
            (
                "name = \"a\"\nlisten = \"0.0.0.0:9\"",
                "5: port.listen: 0.0.0.0:9 can be reached from other machines",
            ),
            (
                "channel = \"smartcard\"\nname = \"a\"\nlisten = \"unix:a\"",
                "5: port.name: a usbredir or smartcard",
            ),
            (
                "name = \"a\"\n[[port]]\nname = \"a\"",
                "6: port.name: there are two ports \"a\"",
            ),
        ];
        for (text, wanted) in cases {
            let message = spec(&format!("[[port]]\n{text}\n")).unwrap_err();
            assert!(
                message.starts_with(&format!("DIR/vm.toml:{wanted}")),
                "{text}: {message}"
            );
        }
        let many = |count, text: &str| {
            (0..count)
                .map(|number| text.replace('N', &format!("{number}")))
                .collect::<String>()
        };
        assert!(spec(&many(30, "[[port]]\nname = \"pN\"\n")).is_ok());
        let message = spec(&many(31, "[[port]]\nname = \"pN\"\n")).unwrap_err();
        assert!(message.contains("port: at most 30 ports"), "{message}");
        let card = "[[port]]\nchannel = \"smartcard\"\nlisten = \"unix:N\"\n";
        assert!(spec(&many(10, card)).is_ok());
        let message = spec(&many(11, card)).unwrap_err();
        assert!(message.contains("port: at most 10 smartcard channels"), "{message}");
    }
}
