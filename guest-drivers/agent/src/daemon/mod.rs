//! The daemon: the port to the host, the pointer, and the sessions of which one is active.

mod engine;
#[cfg(test)]
mod engine_tests;
mod pointer;
mod seat;
mod sessions;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use caraway_protocol::agent::AgentCaps;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags, inotify};

pub use engine::{Do, Engine, MOST_FILES};
pub use pointer::{InputEvent, MOST as POINTER_MOST, Mouse, Uinput};
pub use seat::{Active, Seat};
use sessions::Sessions;

use crate::link::Link;
use crate::log::note;
use crate::queue::{self, Queue};

/// Between attempts to open the port.
const AGAIN: Duration = Duration::from_secs(1);
/// Where nothing tells that another session is active, how often that is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Bytes that wait for a port or a session before nothing more is read that would make more of them.
const HIGH: usize = 4 << 20;

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the port may be; the first there is counts.
    pub ports: Vec<PathBuf>,
    /// Where pointers are made.
    pub uinput: PathBuf,
    /// Where sessions come.
    pub socket: PathBuf,
    /// Whether clients may send files.
    pub takes_files: bool,
    /// Who has the screen.
    pub seat: Seat,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ports: ["/dev/virtio-ports/com.redhat.spice.0", "/dev/vdiport0"]
                .map(PathBuf::from)
                .into(),
            uinput: "/dev/uinput".into(),
            socket: crate::SOCKET.into(),
            takes_files: true,
            seat: Seat::system(),
        }
    }
}

/// Runs until there is no way to go on.
///
/// # Errors
/// The socket of the sessions cannot be made, or waiting fails.
pub fn run(options: &Options) -> io::Result<()> {
    let mut daemon = Daemon::new(options)?;
    loop {
        daemon.step()?;
    }
}

#[derive(Debug)]
struct Daemon<'a> {
    options: &'a Options,
    engine: Engine,
    port: Option<OwnedFd>,
    /// For the port.
    out: Queue,
    /// When opening is tried again.
    again: Instant,
    /// The reason why it could not be opened, if that was told.
    told: Option<String>,
    pointer: Option<Uinput>,
    mouse: Mouse,
    sessions: Sessions,
    /// Tells when another session is active.
    watch: Option<OwnedFd>,
}

impl<'a> Daemon<'a> {
    fn new(options: &'a Options) -> io::Result<Self> {
        let pointer = match Uinput::open(&options.uinput) {
            Ok(pointer) => Some(pointer),
            Err(error) => {
                note(&format!(
                    "{}: {error}: clients cannot move the pointer",
                    options.uinput.display()
                ));
                None
            }
        };
        let mut own = AgentCaps::empty();
        own.set(AgentCaps::MOUSE_STATE, pointer.is_some());
        own.set(AgentCaps::FILE_XFER_DISABLED, !options.takes_files);
        Ok(Self {
            options,
            engine: Engine::new(own),
            port: None,
            out: Queue::default(),
            again: Instant::now(),
            told: None,
            pointer,
            mouse: Mouse::default(),
            sessions: Sessions::listen(&options.socket, options.seat.clone())?,
            watch: options.seat.folder().and_then(|folder| watch(&folder)),
        })
    }

    /// Waits for something to do, and does it.
    fn step(&mut self) -> io::Result<()> {
        // A port that is open makes the server hand the mouse to the agent, which needs a session to know where it is.
        if self.sessions.active().is_none() {
            // The client hears what became of its files.
            self.write();
            self.close(None);
        } else if self.port.is_none() && Instant::now() >= self.again {
            self.open();
        }
        self.write();
        let ready = self.wait()?;
        if ready.watch {
            self.drain_watch();
        }
        self.sessions
            .serve(&ready.sessions, HIGH.saturating_sub(self.out.len()));
        if ready.watch || self.watch.is_none() {
            self.sessions.choose();
        }
        if let Some(caps) = self.sessions.take_change() {
            self.engine.session(caps);
        }
        for message in self.sessions.take_heard() {
            self.engine.session_says(message);
        }
        if ready.port {
            self.read();
        }
        self.act();
        Ok(())
    }

    /// Writes what is to be said to the host, as far as it takes it.
    fn write(&mut self) {
        self.out.back().extend(self.engine.take_output());
        if let Some(port) = &self.port
            && let Err(error) = self.out.write(port)
        {
            self.close(Some(&error.to_string()));
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let mut polled = Vec::new();
        if let Some(port) = &self.port {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, self.sessions.waiting() < HIGH);
            flags.set(PollFlags::OUT, !self.out.is_empty());
            polled.push(PollFd::new(port, flags));
        }
        if let Some(watch) = &self.watch {
            polled.push(PollFd::new(watch, PollFlags::IN));
        }
        let reads = self.out.len() < HIGH;
        polled.extend(self.sessions.polled(reads));
        let timeout = self.timeout().map(|time| Timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = polled.iter().map(PollFd::revents);
        Ok(Ready {
            port: self.port.is_some() && ready.next().is_some_and(|flags| !flags.is_empty()),
            watch: self.watch.is_some() && ready.next().is_some_and(|flags| !flags.is_empty()),
            sessions: ready.collect(),
        })
    }

    fn timeout(&self) -> Option<Duration> {
        let mut timeout = self.sessions.timeout();
        let mut at_most = |time: Duration| timeout = Some(timeout.map_or(time, |before| before.min(time)));
        if self.watch.is_none() && self.sessions.has_some() {
            at_most(LOOK);
        }
        if self.port.is_none() && self.sessions.active().is_some() {
            at_most(self.again.saturating_duration_since(Instant::now()));
        }
        timeout
    }

    fn open(&mut self) {
        match self.options.ports.iter().find(|port| port.exists()) {
            Some(path) => match open(path) {
                Ok(port) => {
                    note(&format!("{} is open", path.display()));
                    self.port = Some(port);
                    self.told = None;
                    self.out.clear();
                    self.engine.opened();
                    return;
                }
                Err(error) => self.tell(format!("{}: {error}", path.display())),
            },
            None => self.tell("there is no port to the host".to_owned()),
        }
        self.again = Instant::now() + AGAIN;
    }

    /// Says why there is no port, once.
    fn tell(&mut self, reason: String) {
        if self.told.as_ref() != Some(&reason) {
            note(&reason);
            self.told = Some(reason);
        }
    }

    fn close(&mut self, reason: Option<&str>) {
        if self.port.take().is_some() {
            note(&format!(
                "the port is closed: {}",
                reason.unwrap_or("no session is active")
            ));
            self.engine.closed();
            self.out.clear();
            self.again = Instant::now() + AGAIN;
            self.act();
        }
    }

    fn read(&mut self) {
        let Some(port) = &self.port else {
            return;
        };
        let mut buffer = [0; 64 << 10];
        let reason = match queue::read(port, &mut buffer) {
            Ok(Some(bytes)) => match self.engine.port_says(bytes) {
                Ok(()) => return,
                Err(fault) => fault.to_string(),
            },
            Ok(None) => "the host has closed it".to_owned(),
            Err(error) => error.to_string(),
        };
        self.close(Some(&reason));
    }

    fn act(&mut self) {
        for todo in self.engine.take_todo() {
            match todo {
                Do::Tell(link) => self.sessions.tell(&link),
                Do::Note(text) => note(&text),
                Do::Point(state) => {
                    let events = self.sessions.screen().map(|screen| self.mouse.events(&state, screen));
                    self.report(&events.unwrap_or_default());
                }
                Do::LetGo => {
                    let events = self.mouse.release();
                    self.report(&events);
                }
            }
        }
    }

    fn report(&mut self, events: &[InputEvent]) {
        if let Some(pointer) = &mut self.pointer
            && !events.is_empty()
            && let Err(error) = pointer.report(events)
        {
            note(&format!("the pointer: {error}"));
        }
    }

    fn drain_watch(&self) {
        let mut buffer = [0; 4096];
        while let Some(watch) = &self.watch
            && matches!(queue::read(watch, &mut buffer), Ok(Some([_, ..])))
        {}
    }
}

/// What can be read or written.
#[derive(Debug)]
struct Ready {
    port: bool,
    watch: bool,
    sessions: Vec<PollFlags>,
}

/// Opens a port: a device, or a socket that somebody listens at.
fn open(path: &Path) -> io::Result<OwnedFd> {
    if path.metadata()?.file_type().is_socket() {
        let stream = UnixStream::connect(path)?;
        stream.set_nonblocking(true)?;
        return Ok(stream.into());
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let device = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if device.metadata()?.file_type().is_char_device() {
        return Ok(device.into());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "neither a device nor a socket",
    ))
}

/// Tells of changes in a folder; `None` if it cannot be watched.
fn watch(folder: &Path) -> Option<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).ok()?;
    let changes = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::DELETE;
    inotify::add_watch(watch.as_fd(), folder, changes).ok()?;
    Some(watch)
}

impl Sessions {
    /// Gives the active session a message.
    fn tell(&mut self, link: &Link) {
        if let Some(peer) = self.active_mut() {
            peer.send(link);
        }
    }
}
