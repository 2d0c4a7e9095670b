//! Where a machine goes or comes from.

use std::{
    io,
    net::{TcpListener, TcpStream, ToSocketAddrs as _},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    thread,
    time::Duration,
};

use super::{LiveError, Stream};

/// How long a connection to another host may take to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// How often it is looked whether somebody has come.
const LOOK: Duration = Duration::from_millis(10);

/// `tcp:HOST:PORT`, `unix:PATH` or `fd:N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// Host and port.
    Tcp(String),
    /// Path of a Unix socket.
    Unix(PathBuf),
    /// A descriptor the process was started with.
    Fd(u16),
}

impl std::fmt::Display for Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

impl std::str::FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const KNOWN: &str = "tcp:HOST:PORT, unix:PATH and fd:N are";
        match text.split_once(':') {
            Some(("tcp", address)) => match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(address.to_owned()))
                }
                _ => Err(format!("tcp:{address}: must be tcp:HOST:PORT")),
            },
            Some(("unix", "")) => Err("unix: must be followed by the path of a socket".to_owned()),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("fd", number)) => match number.parse() {
                Ok(number) => Ok(Self::Fd(number)),
                Err(_) => Err(format!("fd:{number}: must be fd: and the number of a descriptor")),
            },
            Some((scheme, _)) => Err(format!("{scheme:?} is not known here: {KNOWN}")),
            None => Err(format!("{text:?} is no URI: {KNOWN}")),
        }
    }
}

impl Uri {
    /// Connects, as the source does. `inherited` finds a descriptor by its number.
    ///
    /// # Errors
    /// When nobody is there, or the descriptor is no connection.
    pub fn connect(&self, inherited: impl FnOnce(u16) -> io::Result<OwnedFd>) -> Result<Stream, LiveError> {
        let connected = match self {
            Self::Tcp(address) => connect_tcp(address).map(Stream::Tcp),
            Self::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Self::Fd(number) => inherited(*number).and_then(Stream::inherited),
        };
        connected.map_err(|source| LiveError::Connect {
            what: "connect to",
            uri: self.to_string(),
            source,
        })
    }

    /// Binds, as the destination does. `bind_unix` makes a Unix socket, `inherited` finds a descriptor by its number.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn listen(
        &self,
        bind_unix: impl FnOnce(&std::path::Path) -> io::Result<UnixListener>,
        inherited: impl FnOnce(u16) -> io::Result<OwnedFd>,
    ) -> Result<Listening, LiveError> {
        let listening = match self {
            Self::Tcp(address) => TcpListener::bind(address).map(Listening::Tcp),
            Self::Unix(path) => bind_unix(path).map(Listening::Unix),
            Self::Fd(number) => inherited(*number).and_then(Stream::inherited).map(Listening::Connected),
        };
        let ready = listening.and_then(|listening| {
            match &listening {
                Listening::Tcp(listener) => listener.set_nonblocking(true)?,
                Listening::Unix(listener) => listener.set_nonblocking(true)?,
                Listening::Connected(_) => {}
            }
            Ok(listening)
        });
        ready.map_err(|source| LiveError::Connect {
            what: "listen on",
            uri: self.to_string(),
            source,
        })
    }
}

fn connect_tcp(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECTING) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where a source is waited for.
#[derive(Debug)]
pub enum Listening {
    /// Bound to an address.
    Tcp(TcpListener),
    /// Bound to a path.
    Unix(UnixListener),
    /// Connected already.
    Connected(Stream),
}

impl Listening {
    /// The address, if it has one of its own: port 0 has become another.
    #[must_use]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) | Self::Connected(_) => None,
        }
    }

    /// Waits for a source, until `stop` says that it is enough.
    ///
    /// # Errors
    /// When nobody is to come any more, or the host fails.
    pub fn accept(self, stop: impl Fn() -> bool) -> Result<Stream, LiveError> {
        loop {
            let accepted = match &self {
                Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
                Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
                Self::Connected(_) => break,
            };
            match accepted {
                Ok(stream) => return Ok(stream),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(source) => {
                    return Err(LiveError::Io {
                        what: "wait for a machine",
                        source,
                    });
                }
            }
            if stop() {
                return Err(LiveError::Cancelled);
            }
            thread::sleep(LOOK);
        }
        match self {
            Self::Connected(stream) => Ok(stream),
            Self::Tcp(_) | Self::Unix(_) => Err(LiveError::Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read_and_printed_and_others_refused_by_name() {
        for text in ["tcp:127.0.0.1:4444", "tcp:[::1]:0", "unix:/run/a:b", "fd:7"] {
            assert_eq!(text.parse::<Uri>().unwrap().to_string(), text);
        }
        for (text, word) in [
            ("tcp:4444", "tcp:HOST:PORT"),
            ("tcp:host:70000", "tcp:HOST:PORT"),
            ("unix:", "path"),
            ("fd:-1", "fd:-1"),
            ("exec:cat", "\"exec\" is not known"),
            ("demo", "is no URI"),
        ] {
            let error = text.parse::<Uri>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
