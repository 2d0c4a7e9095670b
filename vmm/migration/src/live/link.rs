//! A connection between the two sides. Every wait has an end: when the other side is silent for too long, or when a person
//! wants no more.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketType, sockopt},
};

use super::{
    LiveError,
    record::{HEADER, Header, Kind, MOST_TEXT, PREAMBLE, check_preamble, preamble},
};

/// How often a wait is interrupted to see whether it has to go on.
const SLICE: Duration = Duration::from_millis(50);
/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the last word may take: nobody may be there to hear it.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Bytes of a payload that are made room for before any of them has come.
const FIRST_ROOM: usize = 1 << 20;

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// To another host.
    Tcp(TcpStream),
    /// On this host.
    Unix(UnixStream),
}

impl Stream {
    /// A socket somebody else has connected.
    ///
    /// # Errors
    /// When it is none.
    pub fn inherited(fd: OwnedFd) -> io::Result<Self> {
        let other = |what| Err(io::Error::other(what));
        if sockopt::socket_type(&fd)? != SocketType::STREAM || sockopt::socket_acceptconn(&fd)? {
            return other("it is no connected stream");
        }
        match sockopt::socket_domain(&fd)? {
            AddressFamily::UNIX => Ok(Self::Unix(fd.into())),
            AddressFamily::INET | AddressFamily::INET6 => Ok(Self::Tcp(fd.into())),
            _ => other("it is neither a TCP socket nor a Unix socket"),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(false)?;
                // A word at the end must not wait for more.
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SLICE))?;
                stream.set_write_timeout(Some(SLICE))
            }
            Self::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(SLICE))?;
                stream.set_write_timeout(Some(SLICE))
            }
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn shut_down(&self) {
        let sending = std::net::Shutdown::Write;
        // One that has failed already has nothing more to say.
        match self {
            Self::Tcp(stream) => stream.shutdown(sending).ok(),
            Self::Unix(stream) => stream.shutdown(sending).ok(),
        };
    }

    fn is_readable(&self) -> io::Result<bool> {
        let fd = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// A record that came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
}

/// Sends and receives records.
pub struct Link {
    stream: Stream,
    /// Whether a person wants no more.
    stop: Box<dyn Fn() -> bool + Send>,
    patience: Duration,
    /// Records sent and received: the number of the next one.
    sent: u64,
    received: u64,
    /// Bytes written.
    written: u64,
    /// A record was not written to its end: nothing more can be said.
    broken: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Speaks on a connection until `stop` says that it is enough.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn new(stream: Stream, stop: impl Fn() -> bool + Send + 'static) -> Result<Self, LiveError> {
        stream.prepare().map_err(LiveError::io("use the connection"))?;
        Ok(Self {
            stream,
            stop: Box::new(stop),
            patience: PATIENCE,
            sent: 0,
            received: 0,
            written: 0,
            broken: false,
        })
    }

    /// Waits no longer than this for the other side.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Records sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Records received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// No wait ends any more because a person wants it to.
    pub(crate) fn cannot_be_stopped(&mut self) {
        self.stop = Box::new(|| false);
    }

    /// Whether a person wants no more.
    pub(crate) fn check_stop(&self) -> Result<(), LiveError> {
        if (self.stop)() {
            Err(LiveError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Says which protocol this is.
    pub(crate) fn greet(&mut self) -> Result<(), LiveError> {
        self.write(&preamble())
    }

    /// Hears which protocol the other side speaks.
    pub(crate) fn hear_greeting(&mut self) -> Result<(), LiveError> {
        let mut bytes = [0; PREAMBLE];
        self.read(&mut bytes)?;
        check_preamble(&bytes)
    }

    /// Sends a record whose payload is in parts, of which all but the last have whole words.
    pub(crate) fn send(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(), LiveError> {
        let header = Header::of(kind, self.sent, parts)?;
        self.write(&header.to_bytes())?;
        for part in parts {
            self.write(part)?;
        }
        self.sent += 1;
        Ok(())
    }

    /// Whether something came that was not received yet, or the other side has gone.
    pub(crate) fn has_word(&self) -> Result<bool, LiveError> {
        self.stream
            .is_readable()
            .map_err(LiveError::io("read from the connection"))
    }

    /// Waits for a record.
    pub(crate) fn receive(&mut self) -> Result<Received, LiveError> {
        let mut bytes = [0; HEADER];
        self.read(&mut bytes)?;
        let header = Header::parse(&bytes, self.received)?;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let mut payload = Vec::new();
        while payload.len() < length {
            let start = payload.len();
            // Doubled as it comes: what is only announced takes no memory.
            let room = (length - start).min(start.max(FIRST_ROOM));
            payload.resize(start + room, 0);
            self.read(payload.get_mut(start..).unwrap_or_default())?;
        }
        header.check(&payload)?;
        self.received += 1;
        Ok(Received {
            kind: header.kind,
            payload,
        })
    }

    /// What went wrong, in the other side's words if it has left some: a connection it has closed fails here first.
    pub(crate) fn reason(&mut self, error: LiveError) -> LiveError {
        if !matches!(error, LiveError::Io { .. } | LiveError::Ended) {
            return error;
        }
        self.patience = LAST_WORD;
        match self.receive() {
            Ok(received) if received.kind == Kind::Refused => refused(&received.payload),
            _ => error,
        }
    }

    /// Says a last word, if it can still be said, and ends the connection.
    pub(crate) fn say_last(&mut self, kind: Kind, payload: &[u8]) {
        self.patience = LAST_WORD;
        self.cannot_be_stopped();
        if !self.broken && self.send(kind, &[payload]).is_ok() {
            self.stream.shut_down();
            self.drain();
        }
    }

    /// Reads what is still under way. A socket that is closed before would have the last word taken back.
    fn drain(&mut self) {
        let end = Instant::now() + LAST_WORD;
        let mut buffer = [0; 4096];
        while Instant::now() < end {
            match self.stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if is_slice(&error) => {}
                Err(_) => break,
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), LiveError> {
        self.broken = true;
        let mut since = Instant::now();
        while !bytes.is_empty() {
            self.check_stop()?;
            match self.stream.write(bytes) {
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    self.written += count as u64;
                    since = Instant::now();
                }
                Err(error) if is_slice(&error) => self.check_patience(since)?,
                Err(source) => {
                    return Err(LiveError::Io {
                        what: "write to the connection",
                        source,
                    });
                }
            }
        }
        self.broken = false;
        Ok(())
    }

    fn read(&mut self, mut into: &mut [u8]) -> Result<(), LiveError> {
        let mut since = Instant::now();
        while !into.is_empty() {
            self.check_stop()?;
            match self.stream.read(into) {
                Ok(0) => return Err(LiveError::Ended),
                Ok(count) => {
                    into = into.get_mut(count..).unwrap_or_default();
                    since = Instant::now();
                }
                Err(error) if is_slice(&error) => self.check_patience(since)?,
                Err(source) => {
                    return Err(LiveError::Io {
                        what: "read from the connection",
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    fn check_patience(&self, since: Instant) -> Result<(), LiveError> {
        if since.elapsed() < self.patience {
            Ok(())
        } else {
            Err(LiveError::Stalled(self.patience))
        }
    }
}

/// What the destination says when it does not take a machine, as text that can be printed.
pub(crate) fn refused(payload: &[u8]) -> LiveError {
    let text = String::from_utf8_lossy(payload);
    LiveError::Refused(
        text.escape_debug()
            .to_string()
            .replace("\\\"", "\"")
            .replace("\\'", "'"),
    )
}

/// A reason as it fits into a record.
pub(crate) fn as_reason(text: &str) -> &[u8] {
    let most = usize::try_from(MOST_TEXT).unwrap_or(usize::MAX);
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.as_bytes().get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Nothing happened within a slice of a wait.
fn is_slice(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
