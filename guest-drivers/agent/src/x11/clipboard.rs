//! The selections CLIPBOARD and PRIMARY: what programs have is offered to the client, what the client has to programs.

mod fetch;
mod serve;

use std::time::{Duration, Instant};

use caraway_protocol::agent::{AgentMessage, ClipboardKind, Selection};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{self, ConnectionExt as _, SelectionEventMask};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, Property, Timestamp, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::{Atoms, convert};
use crate::link::Link;
use crate::port::MOST_CLIPBOARD;
use crate::session::DesktopError;
use fetch::Fetch;
use serve::{Sending, Serve};

/// How long a program or the client may take for its next step.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who has a selection.
#[derive(Debug, Default)]
enum Owner {
    #[default]
    Nobody,
    /// A program; what it offers, once it has said so.
    Program(Vec<(ClipboardKind, Atom)>),
    /// The client, for which we stand.
    Client(Vec<ClipboardKind>),
}

/// One of the selections.
#[derive(Debug)]
struct Held {
    selection: Selection,
    name: Atom,
    /// Where programs put what they are asked for.
    property: Atom,
    owner: Owner,
    /// Since when.
    time: Timestamp,
    fetch: Fetch,
    serve: Serve,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Clipboards {
    window: Window,
    atoms: Atoms,
    held: [Held; 2],
    sending: Vec<Sending>,
    /// Whether there is a client.
    is_active: bool,
    /// Bytes of a selection that it takes.
    most: usize,
}

impl Clipboards {
    pub(super) fn new(connection: &RustConnection, root: Window, atoms: Atoms) -> Result<Self, DesktopError> {
        connection.xfixes_query_version(5, 0)?.reply()?;
        let window = connection.generate_id()?;
        let events = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &events)?;
        let held = |selection, name, property| Held {
            selection,
            name,
            property,
            owner: Owner::Nobody,
            time: x11rb::CURRENT_TIME,
            fetch: Fetch::default(),
            serve: Serve::default(),
        };
        let mut clipboards = Self {
            window,
            atoms,
            held: [
                held(Selection::Clipboard, atoms.CLIPBOARD, atoms.CARAWAY_CLIPBOARD),
                held(Selection::Primary, AtomEnum::PRIMARY.into(), atoms.CARAWAY_PRIMARY),
            ],
            sending: Vec::new(),
            is_active: false,
            most: 0,
        };
        for held in &mut clipboards.held {
            let changes = SelectionEventMask::SET_SELECTION_OWNER
                | SelectionEventMask::SELECTION_WINDOW_DESTROY
                | SelectionEventMask::SELECTION_CLIENT_CLOSE;
            connection.xfixes_select_selection_input(window, held.name, changes)?;
            if connection.get_selection_owner(held.name)?.reply()?.owner != x11rb::NONE {
                held.owner = Owner::Program(Vec::new());
                held.fetch
                    .ask_targets(connection, window, held.name, held.property, &atoms)?;
            }
        }
        Ok(clipboards)
    }

    /// There is a client: what programs have is offered to it.
    pub(super) fn activate(&mut self, most: u64, out: &mut Vec<Link>) {
        self.is_active = true;
        self.most = usize::try_from(most).unwrap_or(usize::MAX).min(MOST_CLIPBOARD);
        self.held.iter().for_each(|held| held.offer(out));
    }

    /// There is none any more: what it had is nobody's.
    pub(super) fn deactivate(&mut self, connection: &RustConnection) -> Result<(), DesktopError> {
        self.is_active = false;
        for held in &mut self.held {
            held.drop_client(connection)?;
            held.fetch.forget();
        }
        Ok(())
    }

    pub(super) fn take(
        &mut self,
        connection: &RustConnection,
        message: AgentMessage,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        let (window, atoms) = (self.window, self.atoms);
        match message {
            AgentMessage::ClipboardGrab { selection, kinds, .. } => {
                if let Some(held) = self.of(selection) {
                    held.serve.fail(connection)?;
                    held.owner = Owner::Client(kinds);
                    connection.set_selection_owner(window, held.name, x11rb::CURRENT_TIME)?;
                }
            }
            AgentMessage::ClipboardRelease { selection } => {
                if let Some(held) = self.of(selection) {
                    held.drop_client(connection)?;
                }
            }
            AgentMessage::ClipboardRequest { selection, kind } => match self.of(selection) {
                Some(held) => held.ask_program(connection, window, kind, out)?,
                None => out.push(crate::session::nothing(selection)),
            },
            AgentMessage::Clipboard { selection, kind, data } => {
                if let Some(held) = self.held.iter_mut().find(|held| held.selection == selection) {
                    self.sending.extend(held.serve.answer(connection, kind, &data, &atoms)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn event(
        &mut self,
        connection: &RustConnection,
        event: &Event,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        let (window, atoms, most) = (self.window, self.atoms, self.most);
        match event {
            Event::XfixesSelectionNotify(event) => {
                if let Some(held) = self.held.iter_mut().find(|held| held.name == event.selection) {
                    held.owner_changed(connection, window, event, self.is_active, &atoms, out)?;
                }
            }
            Event::SelectionNotify(event) if event.requestor == window => {
                if let Some(held) = self.held.iter_mut().find(|held| held.name == event.selection) {
                    held.given(connection, window, event, self.is_active, most, &atoms, out)?;
                }
            }
            Event::SelectionRequest(event) => {
                if let Some(held) = self.held.iter_mut().find(|held| held.name == event.selection) {
                    let kinds = match &held.owner {
                        Owner::Client(kinds) if self.is_active => kinds.as_slice(),
                        _ => &[],
                    };
                    if let Some(kind) = held.serve.asked(connection, event, kinds, held.time, &atoms)? {
                        let selection = held.selection;
                        out.push(Link::Agent(AgentMessage::ClipboardRequest { selection, kind }));
                    }
                }
            }
            Event::PropertyNotify(event) if event.window == window && event.state == Property::NEW_VALUE => {
                if let Some(held) = self.held.iter_mut().find(|held| held.property == event.atom) {
                    held.more(connection, window, most, &atoms, out)?;
                }
            }
            Event::PropertyNotify(event) if event.state == Property::DELETE => {
                for sending in &mut self.sending {
                    sending.go_on(connection, event.window, event.atom)?;
                }
                self.sending.retain(|sending| !sending.is_over());
            }
            _ => {}
        }
        Ok(())
    }

    /// When somebody has had enough time.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let fetches = self.held.iter().filter_map(|held| held.fetch.since());
        let serves = self.held.iter().filter_map(|held| held.serve.since());
        let sends = self.sending.iter().map(|sending| sending.since);
        fetches.chain(serves).chain(sends).min().map(|since| since + PATIENCE)
    }

    /// Gives up on who has had enough time.
    pub(super) fn expire(&mut self, connection: &RustConnection, out: &mut Vec<Link>) -> Result<(), DesktopError> {
        let window = self.window;
        let is_late = |since: Instant| since.elapsed() >= PATIENCE;
        self.sending.retain(|sending| !is_late(sending.since));
        for held in &mut self.held {
            if held.fetch.since().is_some_and(is_late) {
                held.failed(connection, window, out)?;
            }
            held.serve.expire(connection, PATIENCE)?;
        }
        Ok(())
    }

    fn of(&mut self, selection: Selection) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.selection == selection)
    }
}

impl Held {
    /// Says what a program has, if one has something.
    fn offer(&self, out: &mut Vec<Link>) {
        let Owner::Program(offer) = &self.owner else {
            return;
        };
        if !offer.is_empty() {
            let kinds = offer.iter().map(|(kind, _)| *kind).collect();
            let selection = self.selection;
            out.push(Link::Agent(AgentMessage::ClipboardGrab {
                selection,
                serial: None,
                kinds,
            }));
        }
    }

    /// Says that no program has anything, if one had.
    fn withdraw(&self, out: &mut Vec<Link>) {
        if matches!(&self.owner, Owner::Program(offer) if !offer.is_empty()) {
            let selection = self.selection;
            out.push(Link::Agent(AgentMessage::ClipboardRelease { selection }));
        }
    }

    /// The client has it no more.
    fn drop_client(&mut self, connection: &RustConnection) -> Result<(), DesktopError> {
        self.serve.fail(connection)?;
        if matches!(self.owner, Owner::Client(_)) {
            self.owner = Owner::Nobody;
            connection.set_selection_owner(x11rb::NONE, self.name, self.time)?;
        }
        Ok(())
    }

    fn owner_changed(
        &mut self,
        connection: &RustConnection,
        window: Window,
        event: &xfixes::SelectionNotifyEvent,
        is_active: bool,
        atoms: &Atoms,
        out: &mut Vec<Link>,
    ) -> Result<(), DesktopError> {
        if event.owner == window {
            self.time = event.selection_timestamp;
            return Ok(());
        }
        if event.owner == x11rb::NONE {
            if is_active {
                self.withdraw(out);
            }
            self.fetch.fail(self.selection, out);
            // If it was the client's, it knows; or a grab of the client's is on its way to the server.
            if matches!(self.owner, Owner::Program(_)) {
                self.owner = Owner::Nobody;
            }
            return Ok(());
        }
        self.fetch.fail(self.selection, out);
        // Grabbing again says it anew; an offer that is not known yet is none.
        let was_offered = matches!(&self.owner, Owner::Program(offer) if !offer.is_empty());
        self.fetch.offered_before = was_offered && is_active;
        self.owner = Owner::Program(Vec::new());
        self.fetch
            .ask_targets(connection, window, self.name, self.property, atoms)
    }
}
