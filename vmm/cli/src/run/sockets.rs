//! The sockets of a VM, bound before its guest runs: a port that is taken ends the start, not the running machine.

use std::{
    fs::{self, Permissions},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use caraway_config::Listen;
use rustix::net::{AddressFamily, sockopt};

/// Ports that are tried when the configuration names none.
const DEFAULT_PORTS: RangeInclusive<u16> = 5900..=5909;
/// The same for pages.
const DEFAULT_WEB_PORTS: RangeInclusive<u16> = 5980..=5989;

/// A bound socket of the SPICE server.
#[derive(Debug)]
pub(crate) enum SpiceSocket {
    Tcp(TcpListener, SocketAddr),
    Unix(BoundUnix),
}

/// A Unix socket whose file goes when this does, if it was made here.
#[derive(Debug)]
pub(crate) struct BoundUnix {
    pub(crate) listener: UnixListener,
    pub(crate) path: PathBuf,
    made_here: bool,
}

impl Drop for BoundUnix {
    fn drop(&mut self) {
        if self.made_here {
            // Somebody may have removed it before.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Binds what the configuration says for SPICE.
pub(crate) fn spice(listen: &Listen) -> anyhow::Result<SpiceSocket> {
    bind(listen, "SPICE")
}

/// Binds what it says for the page.
pub(crate) fn web(listen: &Listen) -> anyhow::Result<SpiceSocket> {
    bind(listen, "browsers")
}

fn bind(listen: &Listen, whom: &str) -> anyhow::Result<SpiceSocket> {
    match listen {
        Listen::Unix(path) => Ok(SpiceSocket::Unix(unix(path)?)),
        Listen::Fd(number) => {
            inherited(*number).with_context(|| format!("cannot listen for {whom} on descriptor {number}"))
        }
        Listen::Tcp(address) => {
            let listener = tcp(*address).with_context(|| format!("cannot listen for {whom} on {address}"))?;
            let bound = listener.local_addr()?;
            Ok(SpiceSocket::Tcp(listener, bound))
        }
        Listen::Default => first_free(DEFAULT_PORTS, whom),
        Listen::DefaultWeb => first_free(DEFAULT_WEB_PORTS, whom),
    }
}

fn first_free(ports: RangeInclusive<u16>, whom: &str) -> anyhow::Result<SpiceSocket> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports.clone() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match tcp(address) {
            Ok(listener) => return Ok(SpiceSocket::Tcp(listener, address)),
            Err(error) => last = error,
        }
    }
    Err(last).with_context(|| {
        format!(
            "cannot listen for {whom}: none of the ports {} to {} of {} is free",
            ports.start(),
            ports.end(),
            Ipv4Addr::LOCALHOST
        )
    })
}

/// A socket that whoever started this process has bound.
fn inherited(number: u16) -> anyhow::Result<SpiceSocket> {
    let fd = caraway_machine::inherited(number)?;
    if !sockopt::socket_acceptconn(&fd)? {
        bail!("it does not listen");
    }
    let family = sockopt::socket_domain(&fd)?;
    if family == AddressFamily::UNIX {
        let listener = UnixListener::from(fd);
        listener.set_nonblocking(true)?;
        let path = listener
            .local_addr()?
            .as_pathname()
            .map(Path::to_owned)
            .unwrap_or_default();
        return Ok(SpiceSocket::Unix(BoundUnix {
            listener,
            path,
            made_here: false,
        }));
    }
    if family != AddressFamily::INET && family != AddressFamily::INET6 {
        bail!("it is neither a TCP socket nor a Unix socket");
    }
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok(SpiceSocket::Tcp(listener, address))
}

pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds a Unix socket only this user can connect to. A socket file nobody listens on any more is replaced, anything
/// else at that path is left alone.
pub(crate) fn unix(path: &Path) -> anyhow::Result<BoundUnix> {
    let shown = || format!("cannot listen on the Unix socket {}", path.display());
    remove_dead(path).with_context(shown)?;
    let listener = UnixListener::bind(path).with_context(shown)?;
    let bound = BoundUnix {
        listener,
        path: path.to_owned(),
        made_here: true,
    };
    fs::set_permissions(path, Permissions::from_mode(0o600)).with_context(shown)?;
    bound.listener.set_nonblocking(true).with_context(shown)?;
    Ok(bound)
}

fn remove_dead(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        // Nothing there, or something that is not ours to remove: `bind` says what is wrong.
        _ => return Ok(()),
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl SpiceSocket {
    /// Its address, if it has one.
    pub(crate) const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// For `remote-viewer` and people.
    pub(crate) fn uri(&self) -> String {
        match self {
            Self::Tcp(_, address) => format!("spice://{address}"),
            // A relative one means nothing to others.
            Self::Unix(bound) => {
                let path = std::path::absolute(&bound.path).unwrap_or_else(|_| bound.path.clone());
                format!("spice+unix://{}", path.display())
            }
        }
    }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
