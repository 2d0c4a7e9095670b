//! What the daemon knows of the conversation between the clients and the active session. No I/O: bytes and messages in,
//! bytes and things to do out.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use caraway_protocol::agent::{
    AgentCaps, AgentKind, AgentMessage, ClipboardKind, Dialect, FileStatus, GraphicsDevice, MouseState, Selection,
};

use crate::link::Link;
use crate::port::{self, Arrived, Fault, MOST_CLIPBOARD, Origin, Reader};

/// Files a client may have on their way or waiting.
pub const MOST_FILES: usize = 1024;
/// Questions for what a selection holds that are not answered yet.
const MOST_ASKED: usize = 32;

/// What a daemon can do for any session.
const ALWAYS: AgentCaps = AgentCaps::REPLY
    .union(AgentCaps::MAX_CLIPBOARD)
    .union(AgentCaps::GUEST_LINEEND_LF)
    .union(AgentCaps::CLIPBOARD_SELECTION)
    .union(AgentCaps::CLIPBOARD_NO_RELEASE_ON_REGRAB)
    .union(AgentCaps::CLIPBOARD_GRAB_SERIAL)
    .union(AgentCaps::FILE_XFER_DETAILED_ERRORS)
    .union(AgentCaps::GRAPHICS_DEVICE_INFO);

/// What a session may say that it can do.
const OF_SESSION: AgentCaps = AgentCaps::MONITORS_CONFIG
    .union(AgentCaps::SPARSE_MONITORS_CONFIG)
    .union(AgentCaps::MONITORS_CONFIG_POSITION)
    .union(AgentCaps::DISPLAY_CONFIG)
    .union(AgentCaps::CLIPBOARD_BY_DEMAND)
    .union(AgentCaps::AUDIO_VOLUME_SYNC);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// The active session gets this.
    Tell(Link),
    /// The pointer moves.
    Point(MouseState),
    /// Whose hand is on the mouse is gone: nothing is held.
    LetGo,
    /// Somebody who looks for a reason reads this.
    Note(String),
}

/// Who has a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Owner {
    #[default]
    Nobody,
    Guest,
    Client(Vec<ClipboardKind>),
}

/// What is known of a selection.
#[derive(Debug, Default)]
struct Held {
    owner: Owner,
    /// Grabs so far, of both sides.
    serial: u32,
    /// What the client asked the guest for.
    client_asked: VecDeque<ClipboardKind>,
    /// What the guest asked the client for.
    guest_asked: VecDeque<ClipboardKind>,
}

/// The conversation.
#[derive(Debug)]
pub struct Engine {
    reader: Reader,
    /// For the port.
    out: Vec<u8>,
    todo: Vec<Do>,
    /// What the client announced, if there is one.
    client: Option<AgentCaps>,
    most_clipboard: u64,
    /// What the active session said that it can do.
    session: Option<AgentCaps>,
    /// What the daemon itself can do.
    own: AgentCaps,
    held: [Held; 3],
    files: BTreeSet<u32>,
    graphics: Option<Vec<GraphicsDevice>>,
}

impl Engine {
    /// That of a port that nobody has opened. `own` is `MOUSE_STATE` if there is a pointer to move, and
    /// `FILE_XFER_DISABLED` if no files are wanted.
    #[must_use]
    pub fn new(own: AgentCaps) -> Self {
        Self {
            reader: Reader::default(),
            out: Vec::new(),
            todo: Vec::new(),
            client: None,
            most_clipboard: MOST_CLIPBOARD as u64,
            session: None,
            own,
            held: Default::default(),
            files: BTreeSet::new(),
            graphics: None,
        }
    }

    /// The port is open: everything begins.
    pub fn opened(&mut self) {
        self.closed();
        self.announce(true);
    }

    /// The port is closed: there is no client any more.
    pub fn closed(&mut self) {
        self.reader = Reader::default();
        self.out.clear();
        self.graphics = None;
        self.lose_client();
    }

    /// What is to be written to the port.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// What is to be done.
    pub fn take_todo(&mut self) -> Vec<Do> {
        std::mem::take(&mut self.todo)
    }

    /// Another session is active, or none. The one before is not told by this.
    pub fn session(&mut self, caps: Option<AgentCaps>) {
        self.todo.push(Do::LetGo);
        for number in 0..self.held.len() {
            self.give_up(number);
        }
        for id in std::mem::take(&mut self.files) {
            self.status(id, FileStatus::NotConnected);
        }
        self.session = caps;
        if self.client.is_some() {
            self.announce(false);
            self.greet();
        }
    }

    /// Takes up bytes of the port.
    ///
    /// # Errors
    /// The port is to be closed and opened anew.
    pub fn port_says(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut arrived = Vec::new();
        let result = self.reader.push(bytes, &mut arrived);
        for arrived in arrived {
            match arrived {
                Arrived::Message { from, kind, body } => self.message(from, kind, &body),
                Arrived::TooLong { kind, size, lead } => self.too_long(kind, size, &lead),
            }
        }
        result
    }

    fn message(&mut self, from: Origin, kind: AgentKind, body: &Bytes) {
        match AgentMessage::decode(kind, body, self.dialect()) {
            Ok(message) => match from {
                Origin::Client => self.client_says(message),
                Origin::Server => self.server_says(message),
            },
            Err(error) => self.note(format!("a message that is passed over: {error}")),
        }
    }

    fn dialect(&self) -> Dialect {
        Dialect::of(self.caps(), self.client.unwrap_or_default())
    }

    fn caps(&self) -> AgentCaps {
        ALWAYS | self.own | (self.session.unwrap_or_default() & OF_SESSION)
    }

    fn announce(&mut self, wants_answer: bool) {
        let caps = self.caps();
        self.send(&AgentMessage::AnnounceCapabilities { wants_answer, caps });
    }

    fn send(&mut self, message: &AgentMessage) {
        port::write(
            Origin::Client,
            message.kind(),
            &message.encode(self.dialect()),
            &mut self.out,
        );
    }

    fn tell(&mut self, message: AgentMessage) {
        if self.session.is_some() {
            self.todo.push(Do::Tell(Link::Agent(message)));
        }
    }

    fn note(&mut self, text: String) {
        self.todo.push(Do::Note(text));
    }

    /// Tells the session of the client, and of what it has.
    fn greet(&mut self) {
        let (Some(caps), Some(_)) = (self.client, self.session) else {
            return;
        };
        let most_clipboard = self.most_clipboard;
        self.todo.push(Do::Tell(Link::Active { caps, most_clipboard }));
        if let Some(devices) = self.graphics.clone() {
            self.tell(AgentMessage::GraphicsDeviceInfo(devices));
        }
        for number in 0..self.held.len() {
            let Some(Owner::Client(kinds)) = self.held.get(number).map(|held| held.owner.clone()) else {
                continue;
            };
            let selection = (number as u8).into();
            self.tell(AgentMessage::ClipboardGrab {
                selection,
                serial: None,
                kinds,
            });
        }
    }

    fn lose_client(&mut self) {
        if self.client.take().is_some() {
            self.todo.push(Do::LetGo);
            if self.session.is_some() {
                self.todo.push(Do::Tell(Link::Inactive));
            }
        }
        self.held = Default::default();
        self.files.clear();
        self.most_clipboard = MOST_CLIPBOARD as u64;
    }

    fn server_says(&mut self, message: AgentMessage) {
        match message {
            AgentMessage::MouseState(mouse) if self.session.is_some() => self.todo.push(Do::Point(mouse)),
            AgentMessage::MouseState(_) => {}
            AgentMessage::ClientDisconnected => self.lose_client(),
            AgentMessage::GraphicsDeviceInfo(devices) => {
                self.graphics = Some(devices.clone());
                self.tell(AgentMessage::GraphicsDeviceInfo(devices));
            }
            message @ AgentMessage::MonitorsConfig(_) => self.client_says(message),
            other => self.note(format!("the server sends {:?}, which is not its to send", other.kind())),
        }
    }

    fn client_says(&mut self, message: AgentMessage) {
        match message {
            AgentMessage::AnnounceCapabilities { wants_answer, caps } => self.announced(wants_answer, caps),
            AgentMessage::ClipboardGrab {
                selection,
                serial,
                kinds,
            } => self.client_grabs(selection, serial, kinds),
            AgentMessage::ClipboardRequest { selection, kind } => self.client_asks(selection, kind),
            AgentMessage::ClipboardRelease { selection } => {
                if let Some(held) = self.held(selection)
                    && matches!(held.owner, Owner::Client(_))
                {
                    held.owner = Owner::Nobody;
                    self.fail_guest(selection);
                    self.tell(AgentMessage::ClipboardRelease { selection });
                }
            }
            AgentMessage::Clipboard { selection, kind, data } => self.client_answers(selection, kind, data),
            AgentMessage::MaxClipboard(most) => {
                // A negative one is none.
                let most = u64::try_from(most).unwrap_or(u64::MAX);
                self.most_clipboard = most.min(MOST_CLIPBOARD as u64);
                self.greet();
            }
            AgentMessage::FileXferStart(ref start) => {
                let id = start.id;
                if let Some(refusal) = self.refuses(id) {
                    self.note(format!("file {id} of the client is refused: {refusal:?}"));
                    self.status(id, refusal);
                } else {
                    self.files.insert(id);
                    self.tell(message);
                }
            }
            AgentMessage::FileXferData { id, .. } if self.files.contains(&id) => self.tell(message),
            AgentMessage::FileXferStatus { id, .. } if self.files.remove(&id) => self.tell(message),
            // Of a file that is over.
            AgentMessage::FileXferData { .. } | AgentMessage::FileXferStatus { .. } => {}
            AgentMessage::MonitorsConfig(_) | AgentMessage::DisplayConfig { .. } if self.session.is_none() => {
                self.reply(message.kind(), false);
            }
            AgentMessage::MonitorsConfig(_)
            | AgentMessage::DisplayConfig { .. }
            | AgentMessage::AudioVolumeSync { .. } => self.tell(message),
            AgentMessage::MouseState(_)
            | AgentMessage::Reply { .. }
            | AgentMessage::ClientDisconnected
            | AgentMessage::GraphicsDeviceInfo(_)
            | AgentMessage::Unknown { .. } => {
                self.note(format!(
                    "the client sends {:?}, which is not its to send",
                    message.kind()
                ));
            }
        }
    }

    fn announced(&mut self, wants_answer: bool, caps: AgentCaps) {
        if wants_answer {
            // It is a client that has just come: it counts grabs from the start.
            self.held.iter_mut().for_each(|held| held.serial = 0);
        }
        self.client = Some(caps);
        if wants_answer {
            self.announce(false);
        }
        self.greet();
    }

    fn too_long(&mut self, kind: AgentKind, size: u32, lead: &[u8]) {
        self.note(format!("a message of kind {kind:?} with {size} bytes is passed over"));
        let has_selections = self.dialect().has_selections;
        match (kind, lead) {
            (AgentKind::Clipboard, [number, ..]) => {
                let selection = if has_selections {
                    (*number).into()
                } else {
                    Selection::Clipboard
                };
                self.client_answers(selection, ClipboardKind::None, Bytes::new());
            }
            (AgentKind::FileXferData, [a, b, c, d, ..]) => {
                let id = u32::from_le_bytes([*a, *b, *c, *d]);
                if self.files.remove(&id) {
                    self.status(id, FileStatus::Error(None));
                    let status = FileStatus::Cancelled;
                    self.tell(AgentMessage::FileXferStatus { id, status });
                }
            }
            _ => {}
        }
    }

    fn held(&mut self, selection: Selection) -> Option<&mut Held> {
        self.held.get_mut(usize::from(u8::from(selection)))
    }

    fn client_grabs(&mut self, selection: Selection, serial: Option<u32>, kinds: Vec<ClipboardKind>) {
        let Some(held) = self.held(selection) else {
            return;
        };
        if let Some(serial) = serial {
            if serial != held.serial {
                // The guest was first.
                return;
            }
            held.serial = held.serial.wrapping_add(1);
        }
        held.owner = Owner::Client(kinds.clone());
        self.fail_guest(selection);
        self.fail_client(selection);
        self.tell(AgentMessage::ClipboardGrab {
            selection,
            serial: None,
            kinds,
        });
    }

    fn client_asks(&mut self, selection: Selection, kind: ClipboardKind) {
        let is_there = self.session.is_some();
        let Some(held) = self.held(selection) else {
            return;
        };
        if is_there && held.owner == Owner::Guest && held.client_asked.len() < MOST_ASKED {
            held.client_asked.push_back(kind);
            self.tell(AgentMessage::ClipboardRequest { selection, kind });
        } else {
            self.send(&nothing(selection));
        }
    }

    fn client_answers(&mut self, selection: Selection, kind: ClipboardKind, data: Bytes) {
        let Some(held) = self.held(selection) else {
            return;
        };
        // "None" answers any question; what nobody asked for goes nowhere.
        let mut asked = held.guest_asked.iter();
        let place = if kind == ClipboardKind::None {
            Some(0)
        } else {
            asked.position(|asked| *asked == kind)
        };
        if place.and_then(|place| held.guest_asked.remove(place)).is_some() {
            self.tell(AgentMessage::Clipboard { selection, kind, data });
        }
    }

    /// The guest is told that it gets nothing of what it asked for.
    fn fail_guest(&mut self, selection: Selection) {
        let asked = self.held(selection).map(|held| std::mem::take(&mut held.guest_asked));
        asked.iter().flatten().for_each(|_| self.tell(nothing(selection)));
    }

    /// The client is told that it gets nothing of what it asked for.
    fn fail_client(&mut self, selection: Selection) {
        let asked = self.held(selection).map(|held| std::mem::take(&mut held.client_asked));
        asked.iter().flatten().for_each(|_| self.send(&nothing(selection)));
    }

    /// A selection is the session's no more.
    fn give_up(&mut self, number: usize) {
        let selection = (number as u8).into();
        self.fail_client(selection);
        if let Some(held) = self.held(selection) {
            held.guest_asked.clear();
            if held.owner == Owner::Guest {
                held.owner = Owner::Nobody;
                self.send(&AgentMessage::ClipboardRelease { selection });
            }
        }
    }

    /// Why a file is not taken.
    fn refuses(&self, id: u32) -> Option<FileStatus> {
        if self.own.contains(AgentCaps::FILE_XFER_DISABLED) {
            Some(FileStatus::Disabled)
        } else if self.session.is_none() {
            Some(FileStatus::NotConnected)
        } else if self.files.len() >= MOST_FILES || self.files.contains(&id) {
            Some(FileStatus::Error(None))
        } else {
            None
        }
    }

    fn status(&mut self, id: u32, status: FileStatus) {
        let has_details = self
            .client
            .unwrap_or_default()
            .contains(AgentCaps::FILE_XFER_DETAILED_ERRORS);
        let status = if has_details { status } else { status.plain() };
        self.send(&AgentMessage::FileXferStatus { id, status });
    }

    fn reply(&mut self, to: AgentKind, ok: bool) {
        if self.client.unwrap_or_default().contains(AgentCaps::REPLY) {
            self.send(&AgentMessage::Reply { to, ok });
        }
    }

    /// Takes up what the active session says.
    pub fn session_says(&mut self, message: AgentMessage) {
        if self.client.is_none() {
            return;
        }
        match message {
            AgentMessage::ClipboardGrab { selection, kinds, .. } => {
                let Some(held) = self.held(selection) else {
                    return;
                };
                held.owner = Owner::Guest;
                let serial = Some(held.serial);
                held.serial = held.serial.wrapping_add(1);
                self.fail_guest(selection);
                self.fail_client(selection);
                self.send(&AgentMessage::ClipboardGrab {
                    selection,
                    serial,
                    kinds,
                });
            }
            AgentMessage::ClipboardRelease { selection } => {
                if self.held(selection).is_some_and(|held| held.owner == Owner::Guest) {
                    self.give_up(usize::from(u8::from(selection)));
                }
            }
            AgentMessage::ClipboardRequest { selection, kind } => {
                let Some(held) = self.held(selection) else {
                    return;
                };
                if matches!(held.owner, Owner::Client(_)) && held.guest_asked.len() < MOST_ASKED {
                    held.guest_asked.push_back(kind);
                    self.send(&AgentMessage::ClipboardRequest { selection, kind });
                } else {
                    self.tell(nothing(selection));
                }
            }
            AgentMessage::Clipboard { selection, kind, data } => self.guest_answers(selection, kind, data),
            AgentMessage::FileXferStatus { id, status } => {
                let goes_on = status == FileStatus::CanSendData;
                if if goes_on {
                    self.files.contains(&id)
                } else {
                    self.files.remove(&id)
                } {
                    self.status(id, status);
                }
            }
            AgentMessage::Reply { to, ok } => self.reply(to, ok),
            other => self.note(format!(
                "the session sends {:?}, which is not its to send",
                other.kind()
            )),
        }
    }

    fn guest_answers(&mut self, selection: Selection, kind: ClipboardKind, data: Bytes) {
        let is_too_long = data.len() as u64 > self.most_clipboard;
        let Some(held) = self.held(selection) else {
            return;
        };
        let mut asked = held.client_asked.iter();
        let place = if kind == ClipboardKind::None {
            Some(0)
        } else {
            asked.position(|asked| *asked == kind)
        };
        if place.and_then(|place| held.client_asked.remove(place)).is_none() {
            return;
        }
        if is_too_long {
            self.note(format!("{} bytes are more than the client takes", data.len()));
            self.send(&nothing(selection));
        } else {
            self.send(&AgentMessage::Clipboard { selection, kind, data });
        }
    }
}

/// The answer that there is nothing.
const fn nothing(selection: Selection) -> AgentMessage {
    AgentMessage::Clipboard {
        selection,
        kind: ClipboardKind::None,
        data: Bytes::new(),
    }
}
