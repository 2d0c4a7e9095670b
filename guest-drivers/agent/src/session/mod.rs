//! The part of the agent that runs in a user's session: clipboard, monitors, files, volume.

mod files;
#[cfg(test)]
mod files_tests;
mod folder;
mod volume;

use std::env;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use caraway_protocol::agent::{AgentCaps, AgentMessage, ClipboardKind, Selection};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt;

pub use files::{Downloads, MOST_AT_ONCE, MOST_WAITING};
pub use folder::downloads;

use crate::link::{Link, LinkReader, VERSION};
use crate::log::note;
use crate::port::MOST_CLIPBOARD;
use crate::queue::{self, Queue};
use crate::wayland::Wayland;
use crate::x11::X11;
use volume::Volume;

/// Between attempts to reach the daemon.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes for the daemon before nothing more is read that would make more of them.
const HIGH: usize = 4 << 20;

/// How the part of a session runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the daemon is.
    pub socket: PathBuf,
    /// Where files go, if not where the user has downloads.
    pub folder: Option<PathBuf>,
    /// It ends when the daemon does.
    pub once: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: crate::SOCKET.into(),
            folder: None,
            once: false,
        }
    }
}

/// What shows the session's screen is gone, or does something it cannot do.
pub type DesktopError = Box<dyn std::error::Error + Send + Sync>;

/// What shows the session's screen, and has its clipboard.
pub trait Desktop {
    /// What it can do for a client.
    fn caps(&self) -> AgentCaps;

    /// What is waited for.
    fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)>;

    /// When it is to be asked again without anything happening.
    fn deadline(&self) -> Option<Instant>;

    /// Takes up what has happened, and says what is to be told.
    ///
    /// # Errors
    /// It is gone.
    fn pump(&mut self, out: &mut Vec<Link>) -> Result<(), DesktopError>;

    /// Takes up what the daemon says.
    ///
    /// # Errors
    /// It is gone.
    fn take(&mut self, link: Link, out: &mut Vec<Link>) -> Result<(), DesktopError>;

    /// Begins anew with a daemon: what it has to know.
    fn greet(&mut self, out: &mut Vec<Link>);
}

/// Runs until the screen is gone.
///
/// # Errors
/// There is no screen, or none that is known.
pub fn run(options: &Options) -> Result<(), DesktopError> {
    let folder = options.folder.clone().map_or_else(downloads, Ok)?;
    let mut desktop = connect_desktop()?;
    let mut told = None;
    loop {
        match connect(&options.socket) {
            Ok(stream) => {
                told = None;
                let files = Downloads::new(folder.clone());
                let error = Session::new(stream, desktop.as_mut(), files)?.run()?;
                note(&format!("the daemon is gone: {error}"));
                if options.once {
                    return Ok(());
                }
            }
            Err(error) => {
                let error = error.to_string();
                if told.as_ref() != Some(&error) {
                    note(&format!("{}: {error}", options.socket.display()));
                    told = Some(error);
                }
            }
        }
        rest(desktop.as_mut())?;
    }
}

/// The compositor, if there is one that lets a clipboard be managed, else the X server, which may be the compositor's.
fn connect_desktop() -> Result<Box<dyn Desktop>, DesktopError> {
    if env::var_os("WAYLAND_DISPLAY").is_some() {
        match Wayland::connect() {
            Ok(desktop) => return Ok(Box::new(desktop)),
            Err(error) if env::var_os("DISPLAY").is_some() => note(&format!("{error}: the X server is used")),
            Err(error) => return Err(error),
        }
    }
    Ok(Box::new(X11::connect()?))
}

/// Waits for the next attempt; what happens on the screen meanwhile is taken up.
fn rest(desktop: &mut dyn Desktop) -> Result<(), DesktopError> {
    std::thread::sleep(AGAIN);
    desktop.take(Link::Inactive, &mut Vec::new())?;
    desktop.pump(&mut Vec::new())
}

/// Reaches the daemon, which is root's or our own.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    let user = sockopt::socket_peercred(&stream)?.uid;
    if !user.is_root() && user != rustix::process::geteuid() {
        let text = format!("user {} is no daemon of ours", user.as_raw());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// A connection with the daemon.
struct Session<'a> {
    stream: UnixStream,
    reader: LinkReader,
    out: Queue,
    desktop: &'a mut dyn Desktop,
    files: Downloads,
    volume: Volume,
}

impl<'a> Session<'a> {
    fn new(stream: UnixStream, desktop: &'a mut dyn Desktop, files: Downloads) -> Result<Self, DesktopError> {
        let mut session = Self {
            stream,
            reader: LinkReader::new(MOST_CLIPBOARD + 64),
            out: Queue::default(),
            desktop,
            files,
            volume: Volume::new(),
        };
        let mut caps = session.desktop.caps();
        caps.set(AgentCaps::AUDIO_VOLUME_SYNC, session.volume.is_there());
        let version = VERSION;
        let mut links = vec![Link::Hello { version, caps }];
        session.desktop.greet(&mut links);
        session.send(&links);
        Ok(session)
    }

    fn send(&mut self, links: &[Link]) {
        links.iter().for_each(|link| link.encode(self.out.back()));
    }

    /// Runs until the daemon is gone; why it is.
    fn run(mut self) -> Result<String, DesktopError> {
        loop {
            let is_ready = self.wait()?;
            let mut links = Vec::new();
            if is_ready {
                let mut buffer = [0; 64 << 10];
                match queue::read(&self.stream, &mut buffer) {
                    Ok(Some(bytes)) => self.reader.push(bytes),
                    Ok(None) => return Ok("it has closed the connection".to_owned()),
                    Err(error) => return Ok(error.to_string()),
                }
                loop {
                    match self.reader.message() {
                        Ok(Some(link)) => self.take(link, &mut links)?,
                        Ok(None) => break,
                        Err(fault) => return Ok(fault.to_string()),
                    }
                }
            }
            self.desktop.pump(&mut links)?;
            self.volume.go_on();
            self.send(&links);
            if let Err(error) = self.out.write(&self.stream) {
                return Ok(error.to_string());
            }
        }
    }

    /// Whether the daemon has something to say.
    fn wait(&self) -> io::Result<bool> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.out.len() < HIGH);
        flags.set(PollFlags::OUT, !self.out.is_empty());
        let mut polled = vec![PollFd::new(&self.stream, flags)];
        let descriptors = self.desktop.descriptors();
        polled.extend(
            descriptors
                .iter()
                .map(|(descriptor, flags)| PollFd::new(descriptor, *flags)),
        );
        let deadlines = [self.desktop.deadline(), self.volume.deadline()];
        let timeout = deadlines.into_iter().flatten().min().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match rustix::event::poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(polled.first().is_some_and(|first| !first.revents().is_empty()))
    }

    fn take(&mut self, link: Link, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        match link {
            Link::Agent(AgentMessage::FileXferStart(start)) => self.files.start(&start, out),
            Link::Agent(AgentMessage::FileXferData { id, data }) => self.files.data(id, &data, out),
            Link::Agent(AgentMessage::FileXferStatus { id, .. }) => self.files.cancel(id, out),
            Link::Agent(AgentMessage::AudioVolumeSync {
                is_playback,
                is_mute,
                volumes,
            }) => {
                self.volume.set(is_playback, is_mute, &volumes);
            }
            Link::Inactive => {
                self.files.forget();
                self.desktop.take(link, out)?;
            }
            link => self.desktop.take(link, out)?,
        }
        Ok(())
    }
}

/// The answer that there is nothing.
pub(crate) const fn nothing(selection: Selection) -> Link {
    Link::Agent(AgentMessage::Clipboard {
        selection,
        kind: ClipboardKind::None,
        data: Bytes::new(),
    })
}
