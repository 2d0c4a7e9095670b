//! The parts of the agent that run in sessions, as the daemon has them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use caraway_protocol::agent::{AgentCaps, AgentMessage};
use rustix::event::{PollFd, PollFlags};
use rustix::net::sockopt;

use super::seat::{Active, Seat};
use crate::link::{Link, LinkReader, Screen, VERSION};
use crate::log::note;
use crate::port::MOST_CLIPBOARD;
use crate::queue::{self, Queue};

/// Connections, and those of one user.
const MOST: usize = 32;
const MOST_OF_USER: usize = 8;
/// How long one may take to say what it is, and to take up what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that may wait for one that is not active.
const MOST_IDLE: usize = 64 << 10;
/// Messages of an active one may have as much as a selection.
const MOST_MESSAGE: usize = MOST_CLIPBOARD + 64;

/// A connection.
#[derive(Debug)]
pub(super) struct Peer {
    number: u64,
    stream: UnixStream,
    user: u32,
    /// As logind has it.
    session: Option<String>,
    reader: LinkReader,
    out: Queue,
    caps: Option<AgentCaps>,
    screen: Option<Screen>,
    /// Since when it owes something.
    since: Instant,
    /// Why it is to be closed.
    end: Option<String>,
}

impl Peer {
    pub(super) fn send(&mut self, link: &Link) {
        if self.out.is_empty() {
            self.since = Instant::now();
        }
        link.encode(self.out.back());
    }

    fn is_ready(&self) -> bool {
        self.caps.is_some() && self.screen.is_some()
    }

    /// When it has had enough time.
    fn deadline(&self) -> Option<Instant> {
        let owes = self.caps.is_none() || !self.out.is_empty();
        owes.then(|| self.since + PATIENCE)
    }

    fn write(&mut self) {
        match self.out.write(&self.stream) {
            Ok(true) => self.since = Instant::now(),
            Ok(false) => {}
            Err(error) => self.end = Some(error.to_string()),
        }
    }

    /// Reads, and says what is for the engine.
    fn read(&mut self, heard: &mut Vec<AgentMessage>) {
        let mut buffer = [0; 64 << 10];
        match queue::read(&self.stream, &mut buffer) {
            Ok(Some(bytes)) => self.reader.push(bytes),
            Ok(None) => self.end = Some("it has gone".to_owned()),
            Err(error) => self.end = Some(error.to_string()),
        }
        loop {
            match self.reader.message() {
                Ok(Some(link)) => self.hear(link, heard),
                Ok(None) => return,
                Err(error) => {
                    self.end = Some(error.to_string());
                    return;
                }
            }
        }
    }

    fn hear(&mut self, link: Link, heard: &mut Vec<AgentMessage>) {
        match link {
            Link::Hello { version: VERSION, caps } => self.caps = Some(caps),
            Link::Hello { version, .. } => self.end = Some(format!("it is of version {version}, not {VERSION}")),
            Link::Screen(screen) => self.screen = Some(screen),
            Link::Agent(message) => heard.push(message),
            Link::Active { .. } | Link::Inactive => self.end = Some("it sends what is not its to send".to_owned()),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sessions {
    listener: UnixListener,
    seat: Seat,
    peers: Vec<Peer>,
    next: u64,
    /// The number of the active one.
    active: Option<u64>,
    /// Somebody has come or gone.
    is_changed: bool,
    /// Another one is active, and nobody has asked yet.
    has_switched: bool,
    heard: Vec<AgentMessage>,
}

impl Sessions {
    /// Where they come.
    pub(super) fn listen(path: &Path, seat: Seat) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(named)?;
        }
        // Of a daemon that was killed; one that lives answers.
        if UnixStream::connect(path).is_ok() {
            return Err(named(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another daemon is there",
            )));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(named)?;
        listener.set_nonblocking(true)?;
        // Who may do what depends on who it is, not on the file.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(named)?;
        Ok(Self {
            listener,
            seat,
            peers: Vec::new(),
            next: 0,
            active: None,
            is_changed: false,
            has_switched: false,
            heard: Vec::new(),
        })
    }

    pub(super) fn polled(&self, reads: bool) -> impl Iterator<Item = PollFd<'_>> {
        let peers = self.peers.iter().map(move |peer| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, reads || self.active != Some(peer.number));
            flags.set(PollFlags::OUT, !peer.out.is_empty());
            PollFd::new(&peer.stream, flags)
        });
        std::iter::once(PollFd::new(&self.listener, PollFlags::IN)).chain(peers)
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        let first = self.peers.iter().filter_map(Peer::deadline).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// Reads and writes what `ready`, in the order of `polled`, says. Nothing of the active one is read if there is no room
    /// for it.
    pub(super) fn serve(&mut self, ready: &[PollFlags], room: usize) {
        let [listener, peers @ ..] = ready else {
            return;
        };
        let now = Instant::now();
        for (peer, ready) in self.peers.iter_mut().zip(peers) {
            let is_active = self.active == Some(peer.number);
            let was_ready = peer.is_ready();
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && (room > 0 || !is_active) {
                let mut heard = Vec::new();
                peer.read(&mut heard);
                // What others say is of no interest.
                if is_active {
                    self.heard.extend(heard);
                }
            }
            peer.write();
            if peer.deadline().is_some_and(|deadline| deadline <= now) {
                peer.end = Some(format!("it has not answered for {} s", PATIENCE.as_secs()));
            }
            if !is_active && peer.out.len() > MOST_IDLE {
                peer.end = Some("it does not read".to_owned());
            }
            self.is_changed |= peer.end.is_some() || peer.is_ready() != was_ready;
        }
        for peer in self.peers.extract_if(.., |peer| peer.end.is_some()) {
            note(&format!(
                "a session of user {} ends: {}",
                peer.user,
                peer.end.unwrap_or_default()
            ));
        }
        if !listener.is_empty() {
            self.accept();
        }
        if self.is_changed {
            self.is_changed = false;
            self.choose();
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Ok(who) = sockopt::socket_peercred(&stream) else {
                continue;
            };
            let user = who.uid.as_raw();
            let of_user = self.peers.iter().filter(|peer| peer.user == user).count();
            if self.peers.len() >= MOST && self.seat.active().user == Some(user) {
                // Who has the screen does not stand back behind others.
                if let Some(place) = self.peers.iter().position(|peer| peer.user != user) {
                    let peer = self.peers.remove(place);
                    note(&format!(
                        "a session of user {} ends: there is no room for it",
                        peer.user
                    ));
                }
            }
            if self.peers.len() >= MOST || of_user >= MOST_OF_USER || stream.set_nonblocking(true).is_err() {
                note(&format!(
                    "a session of user {user} is refused: there are {of_user} of it, {} in all",
                    self.peers.len()
                ));
                continue;
            }
            self.peers.push(Peer {
                number: self.next,
                stream,
                user,
                session: self.seat.session_of(who.pid.as_raw_nonzero().get()),
                reader: LinkReader::new(0),
                out: Queue::default(),
                caps: None,
                screen: None,
                since: Instant::now(),
                end: None,
            });
            self.next += 1;
        }
    }

    /// Finds out which one is active: one of the user who has the screen, best of the session that has it, best the newest.
    pub(super) fn choose(&mut self) {
        let Active { user, session } = self.seat.active();
        let of_user = |peer: &&Peer| peer.is_ready() && Some(peer.user) == user;
        let best = self.peers.iter().filter(of_user).max_by_key(|peer| {
            let is_it = session.is_some() && peer.session == session;
            (is_it, peer.number)
        });
        let best = best.map(|peer| peer.number);
        if best == self.active {
            return;
        }
        if let Some(before) = self.active_mut() {
            before.send(&Link::Inactive);
        }
        self.active = best;
        self.heard.clear();
        if let Some(peer) = self.active_mut() {
            peer.reader.allow(MOST_MESSAGE);
            note(&format!("a session of user {} is active", peer.user));
        }
        self.has_switched = true;
    }

    pub(super) fn active(&self) -> Option<&Peer> {
        self.peers.iter().find(|peer| Some(peer.number) == self.active)
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| Some(peer.number) == self.active)
    }

    /// Bytes that wait for the active one.
    pub(super) fn waiting(&self) -> usize {
        self.active().map_or(0, |peer| peer.out.len())
    }

    pub(super) fn screen(&self) -> Option<&Screen> {
        self.active().and_then(|peer| peer.screen.as_ref())
    }

    pub(super) const fn has_some(&self) -> bool {
        !self.peers.is_empty()
    }

    /// If another one is active: what it can do.
    pub(super) fn take_change(&mut self) -> Option<Option<AgentCaps>> {
        std::mem::take(&mut self.has_switched).then(|| self.active().and_then(|peer| peer.caps))
    }

    /// What the active one has said.
    pub(super) fn take_heard(&mut self) -> Vec<AgentMessage> {
        std::mem::take(&mut self.heard)
    }
}
